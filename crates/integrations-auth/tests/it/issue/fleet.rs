//! Processes whose clocks differ, and keys that the store has lost.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integrations_auth::jose::Jws;
use integrations_auth::{Draft, Grant, MemoryRecords, RecordId, RecordStore as _};
use integrations_core::{Clock, ErrorKind, Secret};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use super::{API, issuer};

fn kid(token: &str) -> String {
    Jws::parse(token).unwrap().header().kid.clone().unwrap()
}

fn clocks() -> (Clock, Clock) {
    let ahead = "2026-03-01T12:00:05Z".parse().unwrap();
    (Clock::virtual_from(ahead), super::clock())
}

#[tokio::test(start_paused = true)]
async fn a_ring_that_a_faster_clock_made_signs_at_once_everywhere() {
    let (records, (ahead, behind)) = (Arc::new(MemoryRecords::new()), clocks());
    let (first, second) = (issuer(&records, &ahead), issuer(&records, &behind));
    let grant = Grant::new("u1", API);
    let theirs = first.issue(&grant).await.unwrap();
    let ours = second.issue(&grant).await.unwrap();
    assert_eq!(kid(ours.expose()), kid(theirs.expose()));
    assert!(second.verify(theirs.expose(), API).await.is_ok());
    assert!(first.verify(ours.expose(), API).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_a_faster_clock_revoked_is_followed_at_once_everywhere() {
    let (records, (ahead, behind)) = (Arc::new(MemoryRecords::new()), clocks());
    let (first, second) = (issuer(&records, &ahead), issuer(&records, &behind));
    let grant = Grant::new("u1", API);
    let revoked = kid(second.issue(&grant).await.unwrap().expose());
    first.revoke_key(&revoked).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    let fresh = issuer(&records, &behind);
    let next = kid(fresh.issue(&grant).await.unwrap().expose());
    assert_ne!(next, revoked);
    // A slower clock revokes as well: what comes after signs, and there is always one.
    fresh.revoke_key(&next).await.unwrap();
    let last = fresh.issue(&grant).await.unwrap();
    assert!(![revoked, next].contains(&kid(last.expose())));
    assert!(issuer(&records, &ahead).verify(last.expose(), API).await.is_ok());
    assert_eq!(fresh.jwks().await.unwrap().0["keys"].as_array().unwrap().len(), 2);
}

/// What is said in warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<String>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Visit for Warnings {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        *self.0.lock().unwrap() += &format!("{field}={value:?} ");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_the_store_has_lost_are_made_anew_and_said_so() {
    let (warnings, records, clock) = (Warnings::default(), Arc::new(MemoryRecords::new()), super::clock());
    let _caught = tracing::subscriber::set_default(warnings.clone());
    let issuer = issuer(&records, &clock);
    let former = issuer.issue(&Grant::new("u1", API)).await.unwrap();
    warnings.0.lock().unwrap().clear();
    records.take(&ring(), clock.now()).await.unwrap().unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(issuer.verify(former.expose(), API).await.unwrap_err().code(), Some("unknown_key"));
    let said = warnings.0.lock().unwrap().clone();
    assert!(said.contains("no signing keys") && said.contains(super::ISSUER), "{said}");
    assert_eq!(said.matches("no signing keys").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_read_are_an_error_and_stay_as_they_are() {
    let (records, clock) = (Arc::new(MemoryRecords::new()), super::clock());
    let expires_at = "9999-01-01T00:00:00Z".parse().unwrap();
    let damaged = Draft { owner: None, expires_at, value: Secret::new(b"hunter2".to_vec()) };
    records.put(&ring(), 0, &damaged, clock.now()).await.unwrap();
    let issuer = issuer(&records, &clock);
    let e = issuer.issue(&Grant::new("u1", API)).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Decode);
    assert!(!format!("{e:?} {}", e.explain()).contains("hunter2"));
    let kept = records.get(&ring(), clock.now()).await.unwrap().unwrap();
    assert_eq!((kept.version, kept.draft.value.expose().as_slice()), (1, &b"hunter2"[..]));
}

fn ring() -> RecordId {
    RecordId::new("", "signing_keys", super::ISSUER)
}
