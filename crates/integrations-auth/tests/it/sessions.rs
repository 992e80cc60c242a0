//! Sessions: their ends, their tokens, and what a browser brings.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, header};
use integrations_auth::{
    Directory, Draft, IdentityKey, LogoutNotice, MemoryRecords, MemoryUsers, Method, Record, RecordId,
    RecordStore, SessionToken, Sessions, User, UserId, UserStore as _,
};
use integrations_core::{Clock, ErrorKind, Result};
use jiff::Timestamp;

mod signed_in;

const MINUTE: Duration = Duration::from_secs(60);

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// Counts what reaches the store.
#[derive(Default)]
struct Counted {
    records: MemoryRecords,
    puts: std::sync::atomic::AtomicUsize,
    keys: std::sync::Mutex<Vec<(RecordId, Draft)>>,
}

#[async_trait]
impl RecordStore for Counted {
    async fn get(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        // Between a read and what follows, others have their turn.
        let found = self.records.get(id, now).await;
        tokio::task::yield_now().await;
        found
    }
    async fn put(&self, id: &RecordId, seen: u64, next: &Draft, now: Timestamp) -> Result<Option<u64>> {
        self.puts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.keys.lock().unwrap().push((id.clone(), next.clone()));
        let put = self.records.put(id, seen, next, now).await;
        tokio::task::yield_now().await;
        put
    }
    async fn take(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        let taken = self.records.take(id, now).await;
        tokio::task::yield_now().await;
        taken
    }
    async fn owned(
        &self,
        tenant: &str,
        kind: &'static str,
        owner: &UserId,
        now: Timestamp,
    ) -> Result<Vec<(String, Record)>> {
        self.records.owned(tenant, kind, owner, now).await
    }
    async fn remove_owned(&self, tenant: &str, kind: &'static str, owner: &UserId) -> Result<u64> {
        self.records.remove_owned(tenant, kind, owner).await
    }
    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.records.sweep(now, limit).await
    }
}

impl Counted {
    fn puts(&self) -> usize {
        self.puts.load(std::sync::atomic::Ordering::Relaxed)
    }
}

struct Bench {
    records: Arc<Counted>,
    clock: Clock,
    sessions: Sessions,
}

fn bench() -> Bench {
    let (records, clock) = (Arc::new(Counted::default()), Clock::virtual_from(start()));
    let sessions = Sessions::new(records.clone(), clock.clone());
    Bench { records, clock, sessions }
}

fn ada() -> User {
    User::new("ada", "acme", start())
}

async fn pass(time: Duration) {
    tokio::time::advance(time).await;
}

async fn is_alive(sessions: &Sessions, token: &SessionToken) -> bool {
    sessions.get(token).await.unwrap().is_some()
}

#[tokio::test(start_paused = true)]
async fn a_session_says_who_is_signed_in_and_how() {
    let it = bench();
    let (token, made) =
        it.sessions.create(&ada(), vec![Method::Password, Method::OneTimeCode]).await.unwrap();
    let found = it.sessions.get(&token).await.unwrap().unwrap();
    assert_eq!(found, made);
    assert_eq!((found.user.as_str(), found.tenant.as_str()), ("ada", "acme"));
    assert_eq!(found.methods, [Method::Password, Method::OneTimeCode]);
    assert_eq!((found.created_at, found.authenticated_at), (start(), start()));
    let (again, _) = it.sessions.create(&ada(), vec![Method::Password]).await.unwrap();
    assert!(!again.text().ct_eq(token.text().expose()));
}

#[tokio::test(start_paused = true)]
async fn the_store_never_sees_a_token() {
    let it = bench();
    let (first, _) = it.sessions.create(&ada(), vec![Method::Password]).await.unwrap();
    let (second, _) = it.sessions.rotate(&first).await.unwrap().unwrap();
    let kept = it.records.keys.lock().unwrap();
    assert!(!kept.is_empty());
    for token in [first, second] {
        let secret = token.text().expose().rsplit('.').next().unwrap().to_owned();
        assert_eq!(secret.len(), 43, "256 bits");
        for (id, draft) in kept.iter() {
            let text = format!("{id:?} {}", String::from_utf8_lossy(draft.value.expose()));
            assert!(!text.contains(&secret) && draft.owner == Some("ada".into()));
        }
        assert!(!format!("{token:?} {:?}", token.set_cookie().unwrap()).contains(&secret));
    }
}

#[tokio::test(start_paused = true)]
async fn use_moves_the_idle_end_and_nothing_moves_the_absolute_one() {
    let it = bench();
    let (idle, _) = it.sessions.create(&ada(), vec![Method::Password]).await.unwrap();
    let (used, _) = it.sessions.create(&ada(), vec![Method::Password]).await.unwrap();
    pass(Duration::from_millis(30 * 60_000 - 1)).await;
    assert!(is_alive(&it.sessions, &used).await);
    pass(Duration::from_millis(1)).await;
    assert!(!is_alive(&it.sessions, &idle).await);
    for _ in 0..23 {
        assert!(is_alive(&it.sessions, &used).await);
        pass(29 * MINUTE).await;
    }
    assert!(is_alive(&it.sessions, &used).await);
    pass(Duration::from_millis(23 * 60_000 - 1)).await;
    assert!(is_alive(&it.sessions, &used).await, "a moment before 12 hours");
    pass(Duration::from_millis(1)).await;
    assert!(!is_alive(&it.sessions, &used).await);
}

#[tokio::test(start_paused = true)]
async fn a_session_in_use_is_written_once_a_minute() {
    let it = bench();
    let (token, _) = it.sessions.create(&ada(), vec![Method::Password]).await.unwrap();
    let before = it.records.puts();
    for _ in 0..600 {
        pass(Duration::from_secs(1)).await;
        assert!(is_alive(&it.sessions, &token).await);
    }
    assert_eq!(it.records.puts() - before, 10);
    // An end that is nearer than a minute moves all the same.
    let quick = Sessions::new(it.records.clone(), it.clock.clone()).idle(Duration::from_secs(20));
    let (token, _) = quick.create(&ada(), vec![Method::Password]).await.unwrap();
    for _ in 0..10 {
        pass(Duration::from_secs(9)).await;
        assert!(is_alive(&quick, &token).await);
        pass(Duration::from_secs(2)).await;
        assert!(is_alive(&quick, &token).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stricter_policy_holds_for_the_sessions_that_there_are() {
    let it = bench();
    let (token, _) = it.sessions.create(&ada(), vec![Method::Password]).await.unwrap();
    pass(10 * MINUTE).await;
    let stricter = it.sessions.clone().absolute(10 * MINUTE);
    assert!(!is_alive(&stricter, &token).await);
    assert!(stricter.of_user("acme", &"ada".into()).await.unwrap().is_empty());
    assert!(stricter.rotate(&token).await.unwrap().is_none());
    assert!(!is_alive(&it.sessions.clone().idle(5 * MINUTE), &token).await);
    assert!(is_alive(&it.sessions, &token).await);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_session_is_the_same_under_another_token() {
    let it = bench();
    let (old, made) = it.sessions.create(&ada(), vec![Method::Password]).await.unwrap();
    pass(MINUTE).await;
    let (new, session) = it.sessions.rotate(&old).await.unwrap().unwrap();
    assert!(!is_alive(&it.sessions, &old).await && is_alive(&it.sessions, &new).await);
    assert_eq!((session.created_at, session.authenticated_at), (made.created_at, made.authenticated_at));
    assert_ne!(session.id, made.id);
    assert!(it.sessions.rotate(&old).await.unwrap().is_none());
    assert_eq!(it.sessions.of_user("acme", &"ada".into()).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_all_who_rotate_a_token_one_wins() {
    let it = bench();
    let (token, _) = it.sessions.create(&ada(), vec![Method::Password]).await.unwrap();
    let (a, b, c) =
        tokio::join!(it.sessions.rotate(&token), it.sessions.rotate(&token), it.sessions.rotate(&token));
    let won: Vec<_> = [a, b, c].into_iter().filter_map(|it| it.unwrap()).collect();
    assert_eq!(won.len(), 1);
    assert!(is_alive(&it.sessions, &won[0].0).await);
    assert_eq!(
        it.sessions.of_user("acme", &"ada".into()).await.unwrap().len(),
        1,
        "nothing is left of the others"
    );
}

#[tokio::test(start_paused = true)]
async fn what_ends_meanwhile_does_not_come_back() {
    for turns in 0..12 {
        let it = bench();
        let (token, _) = it.sessions.create(&ada(), vec![Method::Password]).await.unwrap();
        pass(5 * MINUTE).await;
        let ending = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            it.sessions.end_all("acme", &"ada".into()).await.unwrap()
        };
        let (rotated, used, _) = tokio::join!(it.sessions.rotate(&token), it.sessions.get(&token), ending);
        used.unwrap();
        let alive = match rotated.unwrap() {
            Some((new, _)) => is_alive(&it.sessions, &new).await,
            None => false,
        };
        assert!(!alive && !is_alive(&it.sessions, &token).await, "after {turns} turns");
        assert!(it.sessions.of_user("acme", &"ada".into()).await.unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_use_that_read_before_the_end_writes_nothing_after_it() {
    let it = bench();
    let (token, _) = it.sessions.create(&ada(), vec![Method::Password]).await.unwrap();
    pass(5 * MINUTE).await;
    let (used, ended) = tokio::join!(it.sessions.get(&token), it.sessions.end(&token));
    used.unwrap();
    ended.unwrap();
    assert!(!is_alive(&it.sessions, &token).await);
    it.sessions.end(&token).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn all_sessions_end_or_all_others_or_one_by_name() {
    let it = bench();
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.push(it.sessions.create(&ada(), vec![Method::Password]).await.unwrap());
    }
    let eve = it.sessions.create(&User::new("eve", "acme", start()), vec![]).await.unwrap();
    let elsewhere = it.sessions.create(&User::new("ada", "other", start()), vec![]).await.unwrap();
    let named = &tokens[1].1.id;
    assert!(!it.sessions.end_named("acme", &"eve".into(), named).await.unwrap(), "not hers");
    assert!(!it.sessions.end_named("other", &"ada".into(), named).await.unwrap());
    assert!(it.sessions.end_named("acme", &"ada".into(), named).await.unwrap());
    assert!(!is_alive(&it.sessions, &tokens[1].0).await);
    assert_eq!(it.sessions.end_others(&tokens[0].0).await.unwrap(), 2);
    assert!(is_alive(&it.sessions, &tokens[0].0).await && !is_alive(&it.sessions, &tokens[3].0).await);
    assert_eq!(it.sessions.end_others(&tokens[3].0).await.unwrap(), 0, "whose own has ended");
    assert_eq!(it.sessions.end_all("acme", &"ada".into()).await.unwrap(), 1);
    for (token, alive) in [(&tokens[0].0, false), (&eve.0, true), (&elsewhere.0, true)] {
        assert_eq!(is_alive(&it.sessions, token).await, alive);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_of_one_tenant() {
    let it = bench();
    let (token, _) = it.sessions.create(&ada(), vec![Method::Password]).await.unwrap();
    let secret = token.text().expose().rsplit('.').next().unwrap();
    // "other" in base64url, and no tenant.
    for moved in [format!("b3RoZXI.{secret}"), secret.to_owned()] {
        let moved = SessionToken::parse(&moved).unwrap();
        assert!(!is_alive(&it.sessions, &moved).await);
        it.sessions.end(&moved).await.unwrap();
    }
    assert!(is_alive(&it.sessions, &SessionToken::parse(token.text().expose()).unwrap()).await);
    let (plain, _) = it.sessions.create(&User::new("ada", "", start()), vec![]).await.unwrap();
    assert_eq!(plain.text().expose().len(), 43);
    assert_eq!(it.sessions.get(&plain).await.unwrap().unwrap().tenant, "");
}

#[tokio::test(start_paused = true)]
async fn whoever_may_not_sign_in_gets_no_session() {
    let it = bench();
    let mut user = ada();
    user.disabled_at = Some(start());
    let e = it.sessions.create(&user, vec![Method::Password]).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::PermissionDenied, Some("disabled")));
    let odd = User::new("ada", "a\u{0}b", start());
    assert_eq!(it.sessions.create(&odd, vec![]).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    let long = User::new("ada", "a".repeat(2000), start());
    assert_eq!(it.sessions.create(&long, vec![]).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    assert_eq!(it.records.puts(), 0);
}

#[tokio::test(start_paused = true)]
async fn proof_is_fresh_for_a_while_and_renewed_by_a_step_up() {
    let it = bench();
    let (token, session) = it.sessions.create(&ada(), vec![Method::Password]).await.unwrap();
    pass(5 * MINUTE).await;
    let proof = session.fresh(5 * MINUTE, it.clock.now()).unwrap();
    assert_eq!((proof.user().as_str(), proof.tenant(), proof.at()), ("ada", "acme", start()));
    pass(Duration::from_millis(1)).await;
    let e = session.fresh(5 * MINUTE, it.clock.now()).unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::ReauthRequired, Some("stale")));
    assert!(session.fresh(Duration::MAX, it.clock.now()).is_ok());

    let both = vec![Method::OneTimeCode, Method::Password];
    let (new, stronger) = it.sessions.step_up(&token, both).await.unwrap().unwrap();
    assert_eq!(stronger.methods, [Method::Password, Method::OneTimeCode]);
    assert!(stronger.fresh(Duration::ZERO, it.clock.now()).is_ok());
    assert!(!is_alive(&it.sessions, &token).await, "the weaker token does not get stronger");
    assert_eq!(it.sessions.get(&new).await.unwrap().unwrap(), stronger);
    assert!(it.sessions.step_up(&token, vec![]).await.unwrap().is_none());
}

#[test]
fn texts_that_are_no_tokens_are_none() {
    let secret = "A".repeat(43);
    assert!(SessionToken::parse(&secret).is_some());
    for text in [
        String::new(),
        "A".repeat(42),
        "A".repeat(44),
        format!("{}B", "A".repeat(42)),
        format!("{secret}="),
        format!(".{secret}"),
        format!("YQ.{secret}x"),
        format!("YQ==.{secret}"),
        format!("YR.{secret}"),
        format!("AA.{secret}"),
        format!("_w.{secret}"),
        format!("YQ.YQ.{secret}"),
        format!("{}.{secret}", "YWFh".repeat(300)),
        format!("\"{secret}\""),
    ] {
        assert!(SessionToken::parse(&text).is_none(), "{text}");
    }
    assert!(SessionToken::parse(&format!("YQ.{secret}")).is_some());
}

fn cookies(fields: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(header::COOKIE, HeaderValue::from_bytes(field).unwrap());
    }
    headers
}

#[tokio::test(start_paused = true)]
async fn a_browser_brings_the_token_back() {
    let it = bench();
    let (token, _) = it.sessions.create(&ada(), vec![Method::Password]).await.unwrap();
    let text = token.text().expose();
    let set = token.set_cookie().unwrap();
    assert!(set.is_sensitive());
    assert_eq!(set.to_str().unwrap(), format!("__Host-sid={text}; Path=/; Secure; HttpOnly; SameSite=Lax"));
    assert_eq!(
        SessionToken::forget_cookie().to_str().unwrap(),
        "__Host-sid=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
    );
    let own = format!("__Host-sid={text}");
    let read = |fields: &[&[u8]]| SessionToken::from_headers(&cookies(fields));
    let beside = format!("sid=x; a=\u{e9}; {own}; __host-sid={text}; x__Host-sid={text}; __Host-sid2=1");
    for fields in [&[own.as_bytes()][..], &[beside.as_bytes()], &[b"a=b", own.as_bytes()]] {
        let found = read(fields).unwrap().unwrap();
        assert!(found.text().ct_eq(text));
    }
    // Browsers guard the exact name alone.
    for other in [
        format!("sid={text}"),
        format!("__Secure-sid={text}"),
        format!("\u{2000}__Host-sid={text}"),
        format!("\t__Host-sid={text}"),
        format!("__Host-sid ={text}"),
        format!("__Host-sid=\"{text}\""),
        "__Host-sid=".to_owned(),
        String::new(),
    ] {
        assert!(read(&[other.as_bytes()]).unwrap().is_none(), "{other}");
    }
    assert!(SessionToken::from_headers(&HeaderMap::new()).unwrap().is_none());
    let twice = format!("{own}; __Host-sid=other");
    for fields in [&[twice.as_bytes()][..], &[own.as_bytes(), own.as_bytes()]] {
        let e = read(fields).unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::InvalidRequest, Some("duplicate_cookie")));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_disabled_or_removed_is_signed_in_no_more() {
    let (it, users) = (bench(), Arc::new(MemoryUsers::new()));
    let directory = Directory::new(users.clone(), it.sessions.clone(), it.clock.clone());
    let ada = users.insert(&ada()).await.unwrap();
    let (token, session) = it.sessions.create(&ada, vec![Method::Password]).await.unwrap();
    let (found, user) = directory.signed_in(&token).await.unwrap().unwrap();
    assert_eq!((found, user.id), (session, ada.id.clone()));

    assert_eq!(directory.disable("acme", &ada.id).await.unwrap().disabled_at, Some(start()));
    assert!(!is_alive(&it.sessions, &token).await);
    pass(MINUTE).await;
    assert_eq!(
        directory.disable("acme", &ada.id).await.unwrap().disabled_at,
        Some(start()),
        "since the first time"
    );
    // By whoever read the user before they were disabled.
    let (late, _) = it.sessions.create(&ada, vec![Method::Password]).await.unwrap();
    assert!(directory.signed_in(&late).await.unwrap().is_none());
    assert!(!is_alive(&it.sessions, &late).await);

    let enabled = directory.enable("acme", &ada.id).await.unwrap();
    let (token, _) = it.sessions.create(&enabled, vec![Method::Password]).await.unwrap();
    assert!(directory.signed_in(&token).await.unwrap().is_some());
    assert!(directory.remove("acme", &ada.id).await.unwrap());
    assert!(!is_alive(&it.sessions, &token).await && !directory.remove("acme", &ada.id).await.unwrap());
    assert_eq!(directory.disable("acme", &ada.id).await.unwrap_err().kind(), ErrorKind::NotFound);
}
