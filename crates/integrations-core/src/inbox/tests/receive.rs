//! What a sender is answered.

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Response, StatusCode};

use super::*;
use crate::inbox::receive::refused;
use crate::webhook::WebhookError;

fn inbox() -> Inbox {
    Inbox::builder(MemoryInbox::new()).clock(Clock::new(Fixed)).build()
}

fn seen(response: &Response<Bytes>) -> (u16, bool) {
    assert!(response.body().is_empty(), "no answer has a body");
    (response.status().as_u16(), response.headers().contains_key(RETRY_AFTER))
}

#[tokio::test]
async fn what_is_stored_was_stored_or_concerns_nobody_is_200() {
    let inbox = inbox();
    for (events, stored) in [(vec![event("a")], 1), (vec![event("a")], 1), (vec![], 1), (vec![event("b")], 2)]
    {
        assert_eq!(seen(&inbox.take(&source("t"), Ok(events)).await), (200, false));
        assert_eq!(inbox.counts().await.unwrap().waiting, stored);
    }
}

#[tokio::test]
async fn events_of_the_other_mode_are_set_aside() {
    for (expected, stored) in [(None, 3), (Some(true), 2), (Some(false), 2)] {
        let inbox = inbox();
        let events = vec![event("live").live(true), event("test").live(false), event("unsaid")];
        let source = Source { live: expected, ..source("t") };
        assert_eq!(seen(&inbox.take(&source, Ok(events)).await), (200, false));
        assert_eq!(inbox.counts().await.unwrap().waiting, stored, "{expected:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_400() {
    let unreadable = Error::new(ErrorKind::Decode, Effect::NotSent, "not JSON");
    assert_eq!(seen(&inbox().take(&source("t"), Err(unreadable)).await), (400, false));
}

#[test]
fn whoever_was_not_verified_is_401_and_our_own_mistakes_are_503() {
    let refusals = [
        WebhookError::MissingHeader("signature"),
        WebhookError::Malformed("signature"),
        WebhookError::Stale(Duration::from_secs(301)),
        WebhookError::Early(Duration::from_secs(301)),
        WebhookError::NoMatch,
        WebhookError::UnknownKey { key: "k".to_owned() },
    ];
    for refusal in refusals {
        assert_eq!(seen(&refused(&source("t"), &refusal)), (401, false), "{refusal}");
    }
    let ours = [
        WebhookError::Config("no key of this kind".to_owned()),
        WebhookError::Unavailable("no answer in time".to_owned()),
    ];
    for ours in ours {
        let answer = refused(&source("t"), &ours);
        assert_eq!(seen(&answer), (StatusCode::SERVICE_UNAVAILABLE.as_u16(), true), "{ours}");
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_store_that_is_down_is_503() {
    let store = crate::store::Store::in_memory().await.unwrap();
    let inbox = Inbox::builder(SqliteInbox::new(store.clone()).await.unwrap()).build();
    store.close().await.unwrap();
    assert_eq!(seen(&inbox.take(&source("t"), Ok(vec![event("a")])).await), (503, true));
}
