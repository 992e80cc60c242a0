//! Processes whose clocks differ.

use std::sync::Arc;
use std::time::Duration;

use integrations_auth::jose::Jws;
use integrations_auth::{Grant, MemoryRecords};
use integrations_core::Clock;

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
