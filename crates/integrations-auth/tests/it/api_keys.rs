//! Keys of programs.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use integrations_auth::{
    ApiKey, ApiKeys, Draft, MemoryRecords, Mode, NewApiKey, Record, RecordId, RecordStore, UserId,
};
use integrations_core::{Clock, Error, ErrorKind, Result};
use jiff::Timestamp;

/// Counts who comes.
#[derive(Default)]
struct Counted {
    inner: MemoryRecords,
    reads: AtomicU64,
    writes: AtomicU64,
    /// Comes between the look at what is an owner's and its removal, as another process can in a database.
    between: Mutex<Option<Between>>,
}

type Between = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Counted {
    fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl RecordStore for Counted {
    async fn get(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.inner.get(id, now).await
    }

    async fn put(&self, id: &RecordId, seen: u64, next: &Draft, now: Timestamp) -> Result<Option<u64>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.inner.put(id, seen, next, now).await
    }

    async fn take(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        self.inner.take(id, now).await
    }

    async fn owned(
        &self,
        tenant: &str,
        kind: &'static str,
        owner: &UserId,
        now: Timestamp,
    ) -> Result<Vec<(String, Record)>> {
        self.inner.owned(tenant, kind, owner, now).await
    }

    async fn remove_owned(&self, tenant: &str, kind: &'static str, owner: &UserId) -> Result<u64> {
        let seen = self.inner.owned(tenant, kind, owner, Timestamp::MIN).await?;
        let between = self.between.lock().unwrap().take();
        if let Some(between) = between {
            between.await;
        }
        for (key, _) in &seen {
            self.inner.take(&RecordId::new(tenant, kind, key.as_str()), Timestamp::MIN).await?;
        }
        Ok(seen.len() as u64)
    }

    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.inner.sweep(now, limit).await
    }
}

struct Bench {
    records: Arc<Counted>,
    clock: Clock,
    live: ApiKeys,
    test: ApiKeys,
}

fn bench() -> Bench {
    let records = Arc::new(Counted::default());
    let clock = Clock::virtual_from("2026-03-01T12:00:00Z".parse().unwrap());
    let keys = |mode| ApiKeys::new(records.clone(), clock.clone(), mode);
    Bench { live: keys(Mode::Live), test: keys(Mode::Test), records, clock }
}

impl Bench {
    fn in_seconds(&self, seconds: u64) -> Timestamp {
        self.clock.now() + Duration::from_secs(seconds)
    }

    async fn made(&self, new: &NewApiKey) -> (String, ApiKey) {
        let (text, key) = self.live.create(new).await.unwrap();
        (text.expose().clone(), key)
    }
}

fn wanted() -> NewApiKey {
    NewApiKey::new("acme", "u1".into(), "nightly export").scopes(["orders:read", "orders:write"])
}

fn outward(error: &Error) -> (ErrorKind, String, Option<&str>, Option<&str>) {
    (error.kind(), error.to_string(), error.code(), error.hint())
}

#[tokio::test(start_paused = true)]
async fn a_key_is_shown_once_and_says_what_it_was_made_for() {
    let bench = bench();
    let (text, key) = bench.made(&wanted().created_by("admin".into())).await;
    assert!(text.starts_with("ik_live_"), "{text}");
    assert_eq!(key.shown, format!("ik_live_…{}", &text[text.len() - 4..]));

    let known = bench.live.verify(&text).await.unwrap();
    assert_eq!((known.tenant.as_str(), known.owner.as_str()), ("acme", "u1"));
    assert_eq!((known.name.as_str(), known.scopes.len()), ("nightly export", 2));
    assert_eq!((known.created_by, known.expires_at), (Some("admin".into()), None));
    assert_eq!(known.id, key.id);

    // What is listed and what is kept hold nothing of the secret.
    let listed = bench.live.list("acme", &"u1".into()).await.unwrap();
    let kept = bench.records.inner.owned("acme", "api_key", &"u1".into(), bench.clock.now()).await.unwrap();
    let kept = String::from_utf8(kept[0].1.draft.value.expose().clone()).unwrap();
    let secret = &text[text.len() - 59..text.len() - 7];
    for place in [format!("{listed:?}"), format!("{kept:?}"), format!("{:?}", bench.live)] {
        assert!(!(0..=44).any(|at| place.contains(&secret[at..at + 8])), "{place}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_key_is_told_without_the_store() {
    let bench = bench();
    let (text, _) = bench.made(&wanted()).await;
    let (reads, chars) = (bench.records.reads(), text.len());
    let mut wrong: Vec<String> =
        ["", "ik", "ik_live_", "ik_prod_abc", "Bearer x", "ik_live_é"].map(Into::into).into();
    // Every single mistyped character, every omission, every neighbour swapped.
    for at in 0..chars {
        let other = if &text[at..=at] == "a" { "b" } else { "a" };
        wrong.push(format!("{}{other}{}", &text[..at], &text[at + 1..]));
        wrong.push(format!("{}{}", &text[..at], &text[at + 1..]));
        let mut swapped = text.clone().into_bytes();
        swapped.swap(at, (at + 1) % chars);
        wrong.push(String::from_utf8(swapped).unwrap());
    }
    wrong.extend([text.to_uppercase(), format!("{text} "), format!(" {text}"), text.repeat(100)]);
    wrong.retain(|wrong| *wrong != text);
    assert!(wrong.len() > 200, "{}", wrong.len());
    for wrong in wrong {
        let error = bench.live.verify(&wrong).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unauthenticated, Some("api_key")), "{wrong}");
    }
    assert_eq!(bench.records.reads(), reads);
}

#[tokio::test(start_paused = true)]
async fn unknown_malformed_revoked_and_ended_keys_are_answered_alike() {
    let bench = bench();
    let (revoked, key) = bench.made(&wanted()).await;
    assert!(bench.live.revoke("acme", &key.id).await.unwrap());
    assert!(!bench.live.revoke("acme", &key.id).await.unwrap());
    let (ended, _) = bench.made(&wanted().expires_at(bench.in_seconds(60))).await;
    assert!(bench.live.verify(&ended).await.is_ok());
    tokio::time::advance(Duration::from_secs(60)).await;
    let (unknown, _) = self::bench().made(&wanted()).await;

    let mut answers = Vec::new();
    for text in [revoked.as_str(), &ended, &unknown, "ik_live_nothing"] {
        answers.push(bench.live.verify(text).await.unwrap_err());
    }
    assert!(answers.iter().all(|answer| outward(answer) == outward(&answers[0])), "{answers:?}");
    assert_eq!(answers[0].kind(), ErrorKind::Unauthenticated);
}

#[tokio::test(start_paused = true)]
async fn a_key_of_the_other_mode_is_named_as_one_before_the_store_is_asked() {
    let bench = bench();
    let (live, _) = bench.live.create(&wanted()).await.unwrap();
    let (test, _) = bench.test.create(&wanted()).await.unwrap();
    let reads = bench.records.reads();
    for (keys, text, theirs) in [(&bench.test, &live, "live"), (&bench.live, &test, "test")] {
        let error = keys.verify(text.expose()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unauthenticated, Some("api_key_mode")));
        assert!(error.message().contains(&format!("a key of the {theirs} mode")), "{error}");
    }
    assert_eq!(bench.records.reads(), reads);
    // A live key with the other word is no key at all.
    let forged = live.expose().replace("_live_", "_test_");
    assert_eq!(bench.test.verify(&forged).await.unwrap_err().code(), Some("api_key"));
    assert!(bench.live.verify(live.expose()).await.is_ok() && bench.test.verify(test.expose()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_last_use_is_written_at_most_once_a_minute() {
    let bench = bench();
    let (text, _) = bench.made(&wanted()).await;
    let before = bench.records.writes();
    for _ in 0..600 {
        bench.live.verify(&text).await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(bench.records.writes() - before, 10);
    let listed = bench.live.list("acme", &"u1".into()).await.unwrap();
    let used = listed[0].last_used_at.unwrap();
    assert_eq!(bench.clock.now().duration_since(used).as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_key_is_good_for_the_grace_and_its_successor_is_the_same_but_new() {
    let bench = bench();
    let (old_text, old) = bench.made(&wanted().expires_at(bench.in_seconds(86_400))).await;
    let grace = Duration::from_secs(3600);
    let (text, key) = bench.live.rotate("acme", &old.id, grace).await.unwrap();
    assert_eq!((&key.name, &key.scopes, key.expires_at), (&old.name, &old.scopes, old.expires_at));

    tokio::time::advance(Duration::from_secs(3599)).await;
    let still = bench.live.verify(&old_text).await.unwrap();
    assert_eq!(still.replaced_by.as_ref(), Some(&key.id));
    let again = bench.live.rotate("acme", &old.id, grace).await.unwrap_err();
    assert_eq!((again.kind(), again.code()), (ErrorKind::Conflict, Some("replaced")));
    assert_eq!(bench.live.list("acme", &"u1".into()).await.unwrap().len(), 2);

    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(bench.live.verify(&old_text).await.is_err());
    assert!(bench.live.verify(text.expose()).await.is_ok());
    // A grace does not make a life longer.
    let (_, last) = bench.live.rotate("acme", &key.id, Duration::MAX).await.unwrap();
    assert_eq!(last.expires_at, old.expires_at);
    tokio::time::advance(Duration::from_secs(86_400)).await;
    assert!(bench.live.verify(text.expose()).await.is_err());
}

#[tokio::test]
async fn of_two_rotations_at_once_one_wins_and_leaves_no_third_key() {
    let bench = bench();
    let (_, old) = bench.made(&wanted()).await;
    let rotations = (0..4).map(|_| {
        let (keys, id) = (bench.live.clone(), old.id.clone());
        tokio::spawn(async move { keys.rotate("acme", &id, Duration::from_secs(60)).await })
    });
    let mut won = 0;
    for rotation in rotations.collect::<Vec<_>>() {
        won += usize::from(rotation.await.unwrap().is_ok());
    }
    assert_eq!((won, bench.live.list("acme", &"u1".into()).await.unwrap().len()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_rotation_beside_a_revocation_of_all_keys_leaves_none() {
    let bench = bench();
    let (old, key) = bench.made(&wanted()).await;
    let (live, new) = (bench.live.clone(), Arc::new(Mutex::new(String::new())));
    let known = new.clone();
    *bench.records.between.lock().unwrap() = Some(Box::pin(async move {
        let (text, _) = live.rotate("acme", &key.id, Duration::from_secs(60)).await.unwrap();
        known.lock().unwrap().clone_from(text.expose());
    }));
    assert_eq!(bench.live.revoke_all("acme", &"u1".into()).await.unwrap(), 2);
    let new = new.lock().unwrap().clone();
    for text in [old, new] {
        assert_eq!(bench.live.verify(&text).await.unwrap_err().code(), Some("api_key"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_never_makes_a_key_of_one_mode_out_of_one_of_the_other() {
    let bench = bench();
    let (text, key) = bench.test.create(&wanted()).await.unwrap();
    let e = bench.live.rotate("acme", &key.id, Duration::ZERO).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(bench.test.verify(text.expose()).await.is_ok());
    let all = bench.test.list("acme", &"u1".into()).await.unwrap();
    assert_eq!((all.len(), &all[0].replaced_by), (1, &None));
}

#[tokio::test(start_paused = true)]
async fn keys_of_tenants_and_owners_are_apart() {
    let bench = bench();
    for tenant in ["", "acme", "Ümlaut/7"] {
        let (text, key) = bench.made(&NewApiKey::new(tenant, "u1".into(), "k")).await;
        assert_eq!(bench.live.verify(&text).await.unwrap().tenant, tenant);
        assert!(!bench.live.revoke("other", &key.id).await.unwrap());
    }
    bench.made(&NewApiKey::new("acme", "u2".into(), "k")).await;
    assert_eq!(bench.live.revoke_all("acme", &"u1".into()).await.unwrap(), 1);
    let mut left = Vec::new();
    for (tenant, user) in [("", "u1"), ("acme", "u1"), ("acme", "u2"), ("Ümlaut/7", "u1")] {
        left.push(bench.live.list(tenant, &user.into()).await.unwrap().len());
    }
    assert_eq!(left, [1, 0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_prefix_of_ones_own_is_told_apart_and_a_strange_one_refused() {
    let bench = bench();
    let own = bench.live.clone().prefix("acme2").unwrap();
    let (text, _) = own.create(&wanted()).await.unwrap();
    assert!(text.expose().starts_with("acme2_live_") && own.verify(text.expose()).await.is_ok());
    assert!(bench.live.verify(text.expose()).await.is_err());
    for wrong in ["", "a_b", "A", "é", "12345678901234567"] {
        assert_eq!(bench.live.clone().prefix(wrong).unwrap_err().kind(), ErrorKind::Config, "{wrong}");
    }
    let late = wanted().expires_at(bench.clock.now());
    assert_eq!(own.create(&late).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    let long = NewApiKey::new("t".repeat(700), "u1".into(), "k");
    assert_eq!(own.create(&long).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
}
