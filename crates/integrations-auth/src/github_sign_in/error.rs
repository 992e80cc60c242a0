//! GitHub's error envelope, `{"message":"…","documentation_url":"…"}`, as an [`Error`].

use std::time::Duration;

use integrations_core::quota::{self, Quota};
use integrations_core::{Classify, Effect, Error, ErrorKind, Op, WireResponse, status_error};
use jiff::Timestamp;

use super::{spec, wire};

use ErrorKind::{PermissionDenied, RateLimited, Unauthenticated};

/// What GitHub says for its limits besides the usual; the second is the first's old name
/// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits>).
const SECONDARY: [&str; 2] = ["secondary rate limit", "abuse detection"];

/// How long to wait after a secondary limit that says nothing of it, as the same page asks.
const UNTOLD: Duration = Duration::from_secs(60);

/// A text that is longer is no message.
const LONGEST_MESSAGE: usize = 300;

/// How GitHub says that something went wrong. An answer without its envelope is judged by the status and the headers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Errors;

impl Classify for Errors {
    fn classify(&self, op: &'static Op, response: &WireResponse) -> Option<Error> {
        if !response.status.is_client_error() && !response.status.is_server_error() {
            return None;
        }
        let problem = response.json::<wire::Problem>().ok();
        let by_status = status_error(response.status);
        let shown = problem.as_ref().and_then(|problem| problem.message.clone());
        // The application's calls have a token in the body, which a message may quote.
        let shown = shown.filter(|text| is_users(op) && is_fit_to_show(text));
        let shown = shown.unwrap_or_else(|| by_status.message().to_owned());
        if let Some(limit) = limit(response) {
            return Some(Error::new(RateLimited, Effect::Rejected, shown).with_code(limit.code()));
        }
        let error = Error::new(by_status.kind(), by_status.effect(), shown);
        let error = match hint(op, by_status.kind()) {
            Some(hint) => error.with_hint(hint),
            None => error,
        };
        Some(match problem.and_then(first_code) {
            Some(code) => error.with_code(code),
            None => error,
        })
    }

    fn quota(&self, response: &WireResponse, received: Timestamp) -> Quota {
        let mut told = quota::standard(response.status, &response.headers, received);
        if limit(response) == Some(Limit::Secondary) && told.retry_after.is_none() {
            told.retry_after = Some(UNTOLD);
        }
        told
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    Primary,
    Secondary,
}

impl Limit {
    fn code(self) -> &'static str {
        match self {
            Self::Primary => "rate_limit",
            Self::Secondary => "secondary_rate_limit",
        }
    }
}

/// Which limit a refusal is about, if any: both come as 403 and as 429.
fn limit(response: &WireResponse) -> Option<Limit> {
    let status = response.status.as_u16();
    if status != 403 && status != 429 {
        return None;
    }
    let said = response.text().unwrap_or_default().to_ascii_lowercase();
    if SECONDARY.iter().any(|words| said.contains(words)) {
        return Some(Limit::Secondary);
    }
    let is_spent = response.header("x-ratelimit-remaining") == Some("0");
    (is_spent || status == 429 || response.header("retry-after").is_some()).then_some(Limit::Primary)
}

/// Whose call it is.
fn is_users(op: &Op) -> bool {
    op.bucket == spec::GET_USER.bucket
}

fn hint(op: &'static Op, kind: ErrorKind) -> Option<&'static str> {
    match (kind, is_users(op)) {
        (Unauthenticated, true) => Some("the token has ended or was revoked: let the user sign in again"),
        (Unauthenticated, false) => {
            Some("compare `client_id` and `client_secret` with the application's page")
        }
        (PermissionDenied, true) => {
            Some("ask for the scope, or give the GitHub App the permission, that the call's page names")
        }
        _ => None,
    }
}

/// Of several reasons the first: `missing_field`, `invalid`.
fn first_code(problem: wire::Problem) -> Option<String> {
    let codes = problem.errors.into_iter().flatten().flatten().filter_map(|detail| match detail {
        wire::Detail::Coded { code } => Some(code),
        wire::Detail::Other(_) => None,
    });
    codes
        .into_iter()
        .find(|code| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
}

/// A proxy's page for people is none.
fn is_fit_to_show(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= LONGEST_MESSAGE && !text.contains(['<', '>'])
}
