//! What the service says when something went wrong, `{"error":{"status":…,"message":"…","reason":"…"}}`, as an [`Error`].
//! The endpoint of tokens says it otherwise: `{"error":"…","error_description":"…"}` (RFC 6749 section 5.2).

use integrations_core::{Classify, Effect, Error, ErrorKind, Op, WireResponse, status_error};
use serde::Deserialize;

use ErrorKind::{
    PermissionDenied, Precondition, QuotaExhausted, RateLimited, ReauthRequired, Unauthenticated,
};

/// A reason, or a code of the endpoint of tokens, says more than its status. What the player cannot do now is a state of
/// the player, whatever the status. `QUOTA_EXCEEDED`: <https://developer.spotify.com/blog/2026-07-23-web-api-quota-updates>;
/// the player's: <https://developer.spotify.com/documentation/web-api/reference/pause-a-users-playback>.
const REASONS: &[(&str, ErrorKind, &str)] = &[
    ("ALREADY_PAUSED", Precondition, "nothing plays"),
    ("CONTEXT_DISALLOW", Precondition, "what plays now does not allow it"),
    ("DEVICE_NOT_CONTROLLABLE", Precondition, "choose another device: this one cannot be controlled"),
    ("ENDLESS_CONTEXT", Precondition, "what plays now has no end and no order"),
    ("NO_ACTIVE_DEVICE", Precondition, "open Spotify on one of the user's devices, or name the device"),
    ("NO_NEXT_TRACK", Precondition, "this is the last track"),
    ("NO_PREV_TRACK", Precondition, "this is the first track"),
    ("NOT_PAUSED", Precondition, "it plays already"),
    ("NOT_PLAYING_CONTEXT", Precondition, "no album, artist or playlist plays"),
    ("NOT_PLAYING_TRACK", Precondition, "nothing plays"),
    ("PREMIUM_REQUIRED", PermissionDenied, "the user needs Spotify Premium for it"),
    (
        "QUOTA_EXCEEDED",
        QuotaExhausted,
        "the quota is one of all the developer's applications in development mode",
    ),
    ("RATE_LIMITED", RateLimited, "the user changes tracks too often"),
    ("REMOTE_CONTROL_DISALLOW", Precondition, "what plays now cannot be controlled from elsewhere"),
    ("VOLUME_CONTROL_DISALLOW", Precondition, "choose another device: the volume of this one is its own"),
    ("invalid_client", Unauthenticated, "compare id and secret with the developer's dashboard"),
    ("invalid_grant", ReauthRequired, "let the user connect again: a consent ends after six months"),
];

/// What a refusal without a reason means, by what is in its text; <https://developer.spotify.com/documentation/web-api/concepts/api-calls>
/// tells only the status. Some come as 401, and no other token would help.
const REFUSALS: &[(&str, ErrorKind, &str)] = &[
    ("scope", PermissionDenied, SCOPE),
    ("permissions missing", PermissionDenied, SCOPE),
    (
        "user authentication required",
        PermissionDenied,
        "this call needs a user's consent, and an application alone has none",
    ),
    (
        "not registered",
        PermissionDenied,
        "put the user on the application's list in the developer's dashboard",
    ),
    (
        "premium",
        PermissionDenied,
        "the user, or in development mode the application's owner, needs Spotify Premium",
    ),
    (
        "restriction violated",
        Precondition,
        "it plays already, it is paused already, or what plays now does not allow it",
    ),
];
const SCOPE: &str = "let the user connect again with the scope that this call needs";
const REFUSED: &str = "a scope is missing, the user is not on the application's list, the playlist is another user's, or \
                       the application's quota mode lacks this call";

/// A text that is longer is no message.
const LONGEST_MESSAGE: usize = 300;

#[derive(Deserialize)]
struct Envelope {
    error: Problem,
    error_description: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Problem {
    Api { message: Option<String>, reason: Option<String> },
    Token(String),
}

/// How the service says that something went wrong. An answer without its envelope is judged by the status.
#[derive(Debug, Clone, Copy, Default)]
pub struct Errors;

impl Classify for Errors {
    fn classify(&self, _: &'static Op, response: &WireResponse) -> Option<Error> {
        if !response.status.is_client_error() && !response.status.is_server_error() {
            return None;
        }
        let (message, code) = told(response);
        let by_status = status_error(response.status);
        let shown = message.as_deref().filter(|text| is_fit_to_show(text));
        let shown = shown.unwrap_or_else(|| by_status.message()).to_owned();
        let known = REASONS.iter().find(|(reason, ..)| Some(*reason) == code.as_deref());
        // A user who is not on the list is refused in plain text, without an envelope.
        let text = message.as_deref().or_else(|| response.text().ok()).unwrap_or_default();
        let known = known.map(|(_, kind, hint)| (*kind, *hint)).or_else(|| refusal(by_status.kind(), text));
        let error = match known {
            Some((kind, hint)) => Error::new(kind, Effect::Rejected, shown).with_hint(hint),
            None => Error::new(by_status.kind(), by_status.effect(), shown),
        };
        Some(match code {
            Some(code) if is_fit_to_show(&code) => error.with_code(code),
            _ => error,
        })
    }
}

fn told(response: &WireResponse) -> (Option<String>, Option<String>) {
    match response.json::<Envelope>() {
        Ok(Envelope { error: Problem::Api { message, reason }, .. }) => (message, reason),
        Ok(Envelope { error: Problem::Token(code), error_description }) => (error_description, Some(code)),
        Err(_) => (None, None),
    }
}

/// What a refusal without a known reason means. A 401 whose text tells nothing else is about the token.
fn refusal(by_status: ErrorKind, text: &str) -> Option<(ErrorKind, &'static str)> {
    let text = text.to_lowercase();
    let told = REFUSALS.iter().find(|(part, ..)| text.contains(part)).map(|(_, kind, hint)| (*kind, *hint));
    match by_status {
        PermissionDenied => told.or(Some((PermissionDenied, REFUSED))),
        Unauthenticated => told,
        _ => None,
    }
}

/// A proxy's page for people is none.
fn is_fit_to_show(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= LONGEST_MESSAGE && !text.contains(['<', '>'])
}
