//! What Spotify says when something went wrong, `{"error":{"status":…,"message":"…","reason":"…"}}`, as an [`Error`].

use integrations_core::{Classify, Effect, Error, ErrorKind, Op, WireResponse, status_error};

use super::wire;

/// A 429 with it is about the quota of all the developer's applications in development mode
/// (<https://developer.spotify.com/blog/2026-07-23-web-api-quota-updates>).
const SPENT: &str = "QUOTA_EXCEEDED";

/// A text that is longer is no message.
const LONGEST_MESSAGE: usize = 300;

/// How Spotify says that something went wrong. An answer without its envelope is judged by the status.
#[derive(Debug, Clone, Copy, Default)]
pub struct Errors;

impl Classify for Errors {
    fn classify(&self, _: &'static Op, response: &WireResponse) -> Option<Error> {
        if !response.status.is_client_error() && !response.status.is_server_error() {
            return None;
        }
        let (message, reason) = match response.json::<wire::Envelope>() {
            Ok(wire::Envelope { error }) => (error.message, error.reason),
            Err(_) => (None, None),
        };
        let by_status = status_error(response.status);
        // A user who is not on the application's list is refused in plain text.
        let message = message.or_else(|| response.text().ok().map(str::to_owned));
        let shown =
            message.filter(|text| is_fit_to_show(text)).unwrap_or_else(|| by_status.message().to_owned());
        let is_spent = reason.as_deref() == Some(SPENT);
        let error = if is_spent {
            Error::new(ErrorKind::QuotaExhausted, Effect::Rejected, shown)
        } else {
            Error::new(by_status.kind(), by_status.effect(), shown)
        };
        let error = match hint(error.kind()) {
            Some(hint) => error.with_hint(hint),
            None => error,
        };
        Some(match reason.filter(|reason| is_word(reason)) {
            Some(reason) => error.with_code(reason),
            None => error,
        })
    }
}

fn hint(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Unauthenticated => {
            Some("the token has ended or was revoked: refresh it, or let the user sign in again")
        }
        ErrorKind::PermissionDenied => Some(
            "put the user on the application's list in the developer's dashboard; its owner needs Spotify Premium",
        ),
        ErrorKind::QuotaExhausted => {
            Some("the quota is one of all the developer's applications in development mode")
        }
        _ => None,
    }
}

fn is_word(code: &str) -> bool {
    !code.is_empty() && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A proxy's page for people is none, and a document is none either.
fn is_fit_to_show(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= LONGEST_MESSAGE && !text.contains(['<', '>', '{'])
}
