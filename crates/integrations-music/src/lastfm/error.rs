//! The service's error envelope, `{"error":13,"message":"…"}`, as an [`Error`].

use integrations_core::loose::Thing;
use integrations_core::{Classify, Effect, Error, ErrorKind, Op, WireResponse, status_error};

/// Vendor page: <https://www.last.fm/api/errorcodes>. The words are ours: what the vendor says may quote what it was sent.
/// Behind 8 and 16 the vendor's own back end has failed, so that nobody knows whether it acted; 11 and 29 are refusals.
const CODES: &[(u64, ErrorKind, Effect, &str)] = &[
    (2, ErrorKind::Unsupported, Effect::Rejected, "there is no such service"),
    (3, ErrorKind::Unsupported, Effect::Rejected, "there is no such method"),
    (4, ErrorKind::Unauthenticated, Effect::Rejected, "authentication failed"),
    (5, ErrorKind::InvalidRequest, Effect::Rejected, "the service has no such format"),
    (6, ErrorKind::InvalidRequest, Effect::Rejected, "a parameter is missing or wrong"),
    (NOT_FOUND, ErrorKind::NotFound, Effect::Rejected, "the service has nothing of this name"),
    (8, ErrorKind::Unavailable, Effect::Unknown, "the operation failed"),
    (9, ErrorKind::ReauthRequired, Effect::Rejected, "the session key is not valid"),
    (10, ErrorKind::Unauthenticated, Effect::Rejected, "the API key is not valid"),
    (11, ErrorKind::Unavailable, Effect::Rejected, "the service is offline"),
    (12, ErrorKind::PermissionDenied, Effect::Rejected, "this is for subscribers only"),
    (13, ErrorKind::Unauthenticated, Effect::Rejected, "the signature is not valid"),
    (14, ErrorKind::Conflict, Effect::Rejected, "the user has not consented yet"),
    (15, ErrorKind::ReauthRequired, Effect::Rejected, "the token has expired"),
    (16, ErrorKind::Unavailable, Effect::Unknown, "the service has a passing failure"),
    (17, ErrorKind::PermissionDenied, Effect::Rejected, "the user hides this from others"),
    (26, ErrorKind::PermissionDenied, Effect::Rejected, "the API key is suspended"),
    (27, ErrorKind::Unsupported, Effect::Rejected, "the method is no longer offered"),
    (29, ErrorKind::RateLimited, Effect::Rejected, "too many calls in a short time"),
];

const NOT_FOUND: u64 = 7;

/// What to do about some of them.
const HINTS: &[(u64, &str)] = &[
    (9, "the user took the consent back: send them to the page that `web_consent_url` gives"),
    (10, "look at `api_key`, and at https://www.last.fm/api/accounts"),
    (13, "look at `shared_secret`: it belongs to the API key"),
    (14, "ask again once the user has consented"),
    (15, "a token is good for an hour and for one session: begin again"),
    (17, "give the session key of this user"),
    (26, "ask Last.fm why"),
];

/// How the service says that something went wrong, with any status, 200 too. An answer without its envelope is judged by
/// the status.
#[derive(Debug, Clone, Copy, Default)]
pub struct Errors;

impl Classify for Errors {
    fn classify(&self, _: &'static Op, response: &WireResponse) -> Option<Error> {
        let problem = Thing::top(response).ok()?;
        let code = problem.number("error")?;
        let meant = if code == 6 && says_not_found(&problem) { NOT_FOUND } else { code };
        let error = match CODES.iter().find(|(known, ..)| *known == meant) {
            Some((_, kind, effect, words)) => Error::new(*kind, *effect, *words),
            None => {
                let by_status = status_error(response.status);
                let words = "the service refused with a code that is not known";
                Error::new(by_status.kind(), by_status.effect(), words)
            }
        };
        let error = error.with_code(code.to_string());
        Some(match HINTS.iter().find(|(hinted, _)| *hinted == code) {
            Some((_, hint)) => error.with_hint(*hint),
            None => error,
        })
    }
}

/// Code 6 stands for a wrong parameter and for a thing that is not there; the words alone tell.
fn says_not_found(problem: &Thing) -> bool {
    let message = problem.word("message").unwrap_or_default().to_ascii_lowercase();
    ["not found", "not be found", "no such", "does not exist"].iter().any(|words| message.contains(words))
}
