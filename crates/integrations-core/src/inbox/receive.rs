//! From a request to its answer.

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};

use super::Inbox;
use super::types::Source;
use crate::error::Result;
use crate::webhook::{Event, Incoming, KeyRing, Receipt, Webhook, WebhookError};

/// What a sender is told to wait, in seconds, when we cannot store its delivery now.
const COME_BACK: u64 = 30;

impl Inbox {
    /// Verifies a request, stores its events and answers:
    ///
    /// | answer | when |
    /// |---|---|
    /// | the handshake's own | the vendor asks whether the address is meant to receive |
    /// | 200 | the events are stored, or were before, or none concerns us |
    /// | 400 | the sender was verified but the delivery cannot be read |
    /// | 401 | the sender was not verified |
    /// | 503, `Retry-After` | our store, configuration or source of keys is out of order: the vendor is to send again |
    ///
    /// Events of the other mode (live or test) than the source expects are logged and not stored; they are 200 too.
    ///
    /// No answer but the handshake's has a body: a sender learns nothing of the reason, which is in the log. The size
    /// of the body must have been limited before.
    pub async fn receive(
        &self,
        source: &Source,
        webhook: &dyn Webhook,
        request: &Incoming<'_>,
        ring: &KeyRing,
    ) -> Response<Bytes> {
        self.answer(source, webhook, webhook.receive(request, ring)).await
    }

    /// The same for a request that was received already, e.g. by a `KeySource`, which fetches keys.
    pub async fn answer(
        &self,
        source: &Source,
        webhook: &dyn Webhook,
        received: std::result::Result<Receipt<'_>, WebhookError>,
    ) -> Response<Bytes> {
        match received {
            Ok(Receipt::Handshake(answer)) => answer,
            Ok(Receipt::Delivery(verified)) => self.take(source, webhook.events(&verified)).await,
            Err(e) => refused(source, &e),
        }
    }

    /// Answers a verified delivery.
    pub(super) async fn take(&self, source: &Source, events: Result<Vec<Event>>) -> Response<Bytes> {
        let events = match events {
            Ok(events) => events,
            Err(e) => {
                let Source { provider, endpoint, .. } = source;
                tracing::error!(provider, endpoint, error = %e, "a verified webhook cannot be read");
                return empty(StatusCode::BAD_REQUEST);
            }
        };
        let stored = self.accept(source, of_the_mode(source, events)).await;
        stored.map_or_else(|e| unavailable(source, &e), |_| empty(StatusCode::OK))
    }
}

/// The events that are not of the other mode than the source's.
fn of_the_mode(source: &Source, events: Vec<Event>) -> Vec<Event> {
    let (ours, other): (Vec<_>, Vec<_>) = events
        .into_iter()
        .partition(|event| source.live.is_none_or(|live| event.live.is_none_or(|its| its == live)));
    if !other.is_empty() {
        let Source { provider, endpoint, .. } = source;
        tracing::warn!(
            provider,
            endpoint,
            events = other.len(),
            live_expected = source.live,
            "a webhook's events are of the other mode and were not stored",
        );
    }
    ours
}

pub(super) fn refused(source: &Source, error: &WebhookError) -> Response<Bytes> {
    if let WebhookError::Config(_) | WebhookError::Unavailable(_) = error {
        return unavailable(source, error);
    }
    let Source { provider, endpoint, .. } = source;
    tracing::warn!(provider, endpoint, reason = %error, "a webhook was refused");
    empty(StatusCode::UNAUTHORIZED)
}

fn unavailable(source: &Source, error: &dyn std::error::Error) -> Response<Bytes> {
    let Source { provider, endpoint, .. } = source;
    tracing::error!(provider, endpoint, error = %error, "a webhook cannot be taken now");
    let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(COME_BACK));
    response
}

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
