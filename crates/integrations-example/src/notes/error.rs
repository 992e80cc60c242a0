//! The service's error envelope, `{"error":{"code":"…","message":"…"}}`, as an [`Error`].

use std::time::Duration;

use http::StatusCode;
use integrations_core::{Effect, Error, ErrorKind, Op, WireResponse};

use super::wire;

/// Vendor page "Errors": <https://notes.example/docs/errors>. A code says more than its status.
const CODES: &[(&str, ErrorKind, Effect)] = &[
    ("invalid_note", ErrorKind::InvalidRequest, Effect::Rejected),
    ("key_reused", ErrorKind::Conflict, Effect::Rejected),
    ("no_such_note", ErrorKind::NotFound, Effect::Rejected),
    ("note_limit", ErrorKind::QuotaExhausted, Effect::Rejected),
    ("token_expired", ErrorKind::Unauthenticated, Effect::Rejected),
    ("too_fast", ErrorKind::RateLimited, Effect::Rejected),
];

/// What an answer says went wrong; `None` for a success.
pub fn classify(op: &'static Op, response: &WireResponse) -> Option<Error> {
    if response.status.is_success() {
        return None;
    }
    let problem = response.json::<wire::Envelope>().ok().map(|envelope| envelope.error);
    let code = problem.as_ref().and_then(|problem| problem.code.as_deref());
    let known = CODES.iter().find(|(name, ..)| Some(*name) == code);
    let (kind, effect) =
        known.map_or_else(|| by_status(response.status), |(_, kind, effect)| (*kind, *effect));
    let message = problem.as_ref().and_then(|problem| problem.message.as_deref());
    let mut error = Error::new(kind, effect, message.unwrap_or("the service refused the call"))
        .with_op(op)
        .with_status(response.status.as_u16());
    if let Some(code) = code {
        error = error.with_code(code);
    }
    if let Some(id) = response.header("x-request-id") {
        error = error.with_request_id(id);
    }
    if let Some(seconds) = response.header("retry-after").and_then(|text| text.parse().ok()) {
        error = error.with_retry_after(Duration::from_secs(seconds));
    }
    Some(error)
}

fn by_status(status: StatusCode) -> (ErrorKind, Effect) {
    match status {
        StatusCode::UNAUTHORIZED => (ErrorKind::Unauthenticated, Effect::Rejected),
        StatusCode::FORBIDDEN => (ErrorKind::PermissionDenied, Effect::Rejected),
        StatusCode::NOT_FOUND => (ErrorKind::NotFound, Effect::Rejected),
        StatusCode::TOO_MANY_REQUESTS => (ErrorKind::RateLimited, Effect::Rejected),
        // 503 is sent before the call is looked at; the other 5xx may follow it.
        StatusCode::SERVICE_UNAVAILABLE => (ErrorKind::Unavailable, Effect::Rejected),
        status if status.is_server_error() => (ErrorKind::Unavailable, Effect::Unknown),
        status if status.is_client_error() => (ErrorKind::InvalidRequest, Effect::Rejected),
        _ => (ErrorKind::Unexpected, Effect::Unknown),
    }
}
