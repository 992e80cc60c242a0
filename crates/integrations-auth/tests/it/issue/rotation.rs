//! Keys come and go, and nobody is refused for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use integrations_auth::jose::{Algorithm, Jws, KeySet};
use integrations_auth::{
    Draft, Grant, IssuerPolicy, MemoryRecords, Record, RecordId, RecordStore, TokenIssuer, UserId,
};
use integrations_core::{Clock, Effect, Error, ErrorKind, Result};
use jiff::Timestamp;
use serde_json::Value;

use super::{API, ISSUER, clock, issuer};

fn grant() -> Grant {
    Grant::new("u1", API)
}

fn kid(token: &str) -> String {
    Jws::parse(token).unwrap().header().kid.clone().unwrap()
}

fn kids(jwks: &Value) -> Vec<String> {
    let keys = jwks["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Somebody else who verifies: reads the keys when those it has are as old as it was told they may be.
struct Elsewhere {
    keys: KeySet,
    until: Timestamp,
}

impl Elsewhere {
    async fn accepts(&mut self, issuer: &TokenIssuer, token: &str, now: Timestamp) -> bool {
        if self.until <= now {
            let (jwks, max_age) = issuer.jwks().await.unwrap();
            self.keys = KeySet::from_jwks(jwks.to_string().as_bytes()).unwrap();
            self.until = now + max_age;
        }
        let claims = Jws::parse(token).unwrap().verify(&self.keys, Algorithm::PUBLIC);
        claims.is_ok_and(|claims| claims.expect_now(now, Duration::ZERO).is_ok())
    }
}

/// Every 47 minutes for 100 days, in two processes: a token is issued by one; the other and somebody who keeps the keys as
/// long as allowed verify it at once and in its last second.
#[tokio::test(start_paused = true)]
async fn a_hundred_days_of_rotation_refuse_no_token() {
    let (records, clock) = (Arc::new(MemoryRecords::new()), clock());
    let processes = [issuer(&records, &clock), issuer(&records, &clock)];
    let mut elsewhere = Elsewhere { keys: KeySet::default(), until: Timestamp::MIN };
    let (mut signers, mut largest) = (Vec::new(), 0);
    for round in 0..100 * 24 * 60 / 47_usize {
        let (giver, taker) = (&processes[round % 2], &processes[(round + 1) % 2]);
        let token = giver.issue(&grant()).await.unwrap().expose().clone();
        if signers.last() != Some(&kid(&token)) {
            signers.push(kid(&token));
        }
        for wait in [0, 599] {
            tokio::time::advance(Duration::from_secs(wait)).await;
            taker.verify(&token, API).await.unwrap();
            assert!(elsewhere.accepts(giver, &token, clock.now()).await, "round {round}");
        }
        largest = largest.max(kids(&giver.jwks().await.unwrap().0).len());
        tokio::time::advance(Duration::from_secs(47 * 60 - 599)).await;
    }
    // Keys of days 0, 30, 60 and 90, each once; at most the former, the present and the next are published.
    assert_eq!((signers.len(), signers.iter().collect::<BTreeSet<_>>().len(), largest), (4, 4, 3));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_published_a_day_before_it_signs_also_after_a_long_sleep() {
    for (sleep, every) in [(0, 30 * 24), (100 * 24, 30 * 24), (0, 1), (50, 1)] {
        let (records, clock) = (Arc::new(MemoryRecords::new()), clock());
        let policy = IssuerPolicy::default().rotate_every(Duration::from_secs(every * 3600));
        let issuer = TokenIssuer::with_policy(records, clock.clone(), ISSUER, policy);
        issuer.issue(&grant()).await.unwrap();
        tokio::time::advance(Duration::from_secs(sleep * 3600)).await;
        let mut published: Vec<(String, Timestamp)> = Vec::new();
        let mut signers = BTreeSet::new();
        let begun = clock.now();
        for _ in 0..65 * 24 {
            for kid in kids(&issuer.jwks().await.unwrap().0) {
                if !published.iter().any(|(known, _)| *known == kid) {
                    published.push((kid, clock.now()));
                }
            }
            let signer = kid(issuer.issue(&grant()).await.unwrap().expose());
            let since = published.iter().find(|(kid, _)| *kid == signer).unwrap().1;
            if signers.insert(signer) && since > begun {
                assert!(clock.now().duration_since(since).as_hours() >= 24);
            }
            tokio::time::advance(Duration::from_secs(3600)).await;
        }
        assert!(signers.len() >= 3, "{sleep} {every}");
    }
}

#[tokio::test]
async fn processes_that_begin_at_once_agree_on_one_ring() {
    let (records, clock) = (Arc::new(MemoryRecords::new()), clock());
    let begun = (0..12).map(|_| {
        let issuer = issuer(&records, &clock);
        tokio::spawn(async move {
            let token = issuer.issue(&grant()).await.unwrap();
            (kid(token.expose()), kids(&issuer.jwks().await.unwrap().0))
        })
    });
    let mut seen = BTreeSet::new();
    for begun in begun.collect::<Vec<_>>() {
        seen.insert(begun.await.unwrap());
    }
    assert_eq!(seen.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_retired_key_is_good_until_it_ends_and_the_key_goes_after() {
    let (records, clock) = (Arc::new(MemoryRecords::new()), clock());
    let issuer = issuer(&records, &clock);
    issuer.issue(&grant()).await.unwrap();
    tokio::time::advance(Duration::from_secs(30 * 86_400 - 60)).await;
    let last = issuer.issue(&grant()).await.unwrap();
    tokio::time::advance(Duration::from_secs(120)).await;
    let first = issuer.issue(&grant()).await.unwrap();
    assert_ne!(kid(first.expose()), kid(last.expose()));
    tokio::time::advance(Duration::from_secs(479)).await;
    assert!(issuer.verify(last.expose(), API).await.is_ok());
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(issuer.verify(last.expose(), API).await.unwrap_err().code(), Some("expired"));
    let is_published = |jwks: &Value| kids(jwks).contains(&kid(last.expose()));
    assert!(is_published(&issuer.jwks().await.unwrap().0));
    tokio::time::advance(Duration::from_secs(2 * 3600)).await;
    assert!(!is_published(&issuer.jwks().await.unwrap().0));
    assert_eq!(issuer.verify(last.expose(), API).await.unwrap_err().code(), Some("unknown_key"));
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_the_keys() {
    let (records, clock) = (Arc::new(MemoryRecords::new()), clock());
    let token = issuer(&records, &clock).issue(&grant()).await.unwrap();
    let restarted = issuer(&records, &clock);
    assert!(restarted.verify(token.expose(), API).await.is_ok());
    assert_eq!(kid(restarted.issue(&grant()).await.unwrap().expose()), kid(token.expose()));
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_refused_at_once_here_and_within_a_minute_elsewhere() {
    let (records, clock) = (Arc::new(MemoryRecords::new()), clock());
    let (here, there) = (issuer(&records, &clock), issuer(&records, &clock));
    let token = here.issue(&grant()).await.unwrap();
    assert!(there.verify(token.expose(), API).await.is_ok());
    let before = kids(&here.jwks().await.unwrap().0);

    here.revoke_key(&before[0]).await.unwrap();
    assert_eq!(here.verify(token.expose(), API).await.unwrap_err().code(), Some("unknown_key"));
    // The next one, which was published before, signs; there is a next one again.
    let next = here.issue(&grant()).await.unwrap();
    assert_eq!(kid(next.expose()), before[1]);
    let after = kids(&here.jwks().await.unwrap().0);
    assert_eq!((after.len(), &after[0]), (2, &before[1]));
    assert!(there.verify(next.expose(), API).await.is_ok());
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(there.verify(token.expose(), API).await.is_err());
    assert_eq!(here.revoke_key(&before[0]).await.unwrap_err().kind(), ErrorKind::NotFound);

    // A next one can be revoked, too, and one that retired.
    here.revoke_key(&after[1]).await.unwrap();
    let left = kids(&here.jwks().await.unwrap().0);
    assert!(left.len() == 2 && left[0] == after[0] && left[1] != after[1], "{left:?}");
    tokio::time::advance(Duration::from_secs(30 * 86_400)).await;
    let newer = here.issue(&grant()).await.unwrap();
    assert_eq!(kid(newer.expose()), left[1]);
    here.revoke_key(&left[1]).await.unwrap();
    let signer = kid(here.issue(&grant()).await.unwrap().expose());
    assert!(!left.contains(&signer), "the key that retired does not sign again");
    here.revoke_key(&left[0]).await.unwrap();
    assert!(!kids(&here.jwks().await.unwrap().0).contains(&left[0]));
}

#[tokio::test(start_paused = true)]
async fn a_process_with_an_old_ring_learns_from_a_token_of_a_key_it_does_not_know() {
    let (records, clock) = (Arc::new(MemoryRecords::new()), clock());
    let (here, there) = (issuer(&records, &clock), issuer(&records, &clock));
    there.issue(&grant()).await.unwrap();
    // Twice, so that the key that signs was in no ring that the other one has seen.
    for _ in 0..2 {
        let signer = kid(here.issue(&grant()).await.unwrap().expose());
        here.revoke_key(&signer).await.unwrap();
    }
    let token = here.issue(&grant()).await.unwrap();
    assert!(there.verify(token.expose(), API).await.is_err(), "it has just read");
    tokio::time::advance(Duration::from_secs(5)).await;
    assert!(there.verify(token.expose(), API).await.is_ok());
}

/// Counts who reads, and fails if told to.
#[derive(Default)]
struct Shaky {
    inner: MemoryRecords,
    reads: AtomicU64,
    is_down: AtomicBool,
    is_read_only: AtomicBool,
    /// Who asks waits five seconds.
    is_slow: AtomicBool,
}

#[async_trait]
impl RecordStore for Shaky {
    async fn get(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.is_slow.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        if self.is_down.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, Effect::NotSent, "down"));
        }
        self.inner.get(id, now).await
    }

    async fn put(&self, id: &RecordId, seen: u64, next: &Draft, now: Timestamp) -> Result<Option<u64>> {
        if self.is_read_only.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, Effect::NotSent, "read-only"));
        }
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
        self.inner.remove_owned(tenant, kind, owner).await
    }

    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.inner.sweep(now, limit).await
    }
}

#[tokio::test(start_paused = true)]
async fn invented_keys_and_many_tokens_make_few_reads() {
    let (records, clock) = (Arc::new(Shaky::default()), clock());
    let issuer = TokenIssuer::new(records.clone(), clock.clone(), ISSUER);
    let invented = invented_token(&clock).await;
    let good = issuer.issue(&grant()).await.unwrap();
    let before = records.reads.load(Ordering::SeqCst);
    for _ in 0..600 {
        for _ in 0..10 {
            assert!(issuer.verify(&invented, API).await.is_err());
            assert!(issuer.verify(good.expose(), API).await.is_ok());
        }
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let reads = records.reads.load(Ordering::SeqCst) - before;
    assert!(reads <= 600 / 5, "{reads}");
}

async fn invented_token(clock: &Clock) -> String {
    let other = issuer(&Arc::new(MemoryRecords::new()), clock);
    other.issue(&grant()).await.unwrap().expose().clone()
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_is_bridged_for_an_hour_and_then_told() {
    let (records, clock) = (Arc::new(Shaky::default()), clock());
    let issuer = TokenIssuer::new(records.clone(), clock.clone(), ISSUER);
    issuer.issue(&grant()).await.unwrap();
    records.is_down.store(true, Ordering::SeqCst);
    for _ in 0..59 {
        tokio::time::advance(Duration::from_secs(60)).await;
        let token = issuer.issue(&grant()).await.unwrap();
        assert!(issuer.verify(token.expose(), API).await.is_ok());
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(issuer.issue(&grant()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    records.is_down.store(false, Ordering::SeqCst);
    assert!(issuer.issue(&grant()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_ring_that_can_be_read_and_not_written_is_good_while_a_key_of_it_signs() {
    let (records, clock) = (Arc::new(Shaky::default()), clock());
    let issuer = TokenIssuer::new(records.clone(), clock.clone(), ISSUER);
    issuer.issue(&grant()).await.unwrap();
    records.is_read_only.store(true, Ordering::SeqCst);
    // The next key signs by now, and the one after it cannot be written.
    tokio::time::advance(Duration::from_secs(30 * 86_400)).await;
    for _ in 0..5 {
        let token = issuer.issue(&grant()).await.unwrap();
        assert!(issuer.verify(token.expose(), API).await.is_ok());
        tokio::time::advance(Duration::from_secs(1800)).await;
    }
    let signer = kid(issuer.issue(&grant()).await.unwrap().expose());
    assert_eq!(issuer.revoke_key(&signer).await.unwrap_err().kind(), ErrorKind::Unavailable);
    records.is_read_only.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(issuer.jwks().await.unwrap().0["keys"].as_array().unwrap().len(), 2);
    assert!(issuer.revoke_key(&signer).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_all_who_ask_a_store_that_is_down_before_them() {
    let (records, clock) = (Arc::new(Shaky::default()), clock());
    records.is_down.store(true, Ordering::SeqCst);
    records.is_slow.store(true, Ordering::SeqCst);
    let issuer = Arc::new(TokenIssuer::new(records, clock.clone(), ISSUER));
    let begun = clock.now();
    let asked = (0..100).map(|_| {
        let issuer = issuer.clone();
        tokio::spawn(async move { issuer.issue(&grant()).await.unwrap_err() })
    });
    for asked in asked.collect::<Vec<_>>() {
        let e = asked.await.unwrap();
        assert!(e.kind() == ErrorKind::Unavailable && e.is_retryable(), "{e:?}");
    }
    assert!(clock.now().duration_since(begun).as_secs() <= 15);
}
