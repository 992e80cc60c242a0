//! What an issuer's refusal means.

use http::StatusCode;
use integrations_core::provider::OAuth;
use integrations_core::{Effect, Error, ErrorKind, Op, status_error};

use super::ops;

use ErrorKind::{
    Config, Conflict, Declined, InvalidRequest, RateLimited, ReauthRequired, Unauthenticated, Unavailable,
};

/// Codes of RFC 6749 sections 4.1.2.1 and 5.2, RFC 7009, RFC 8628 section 3.5, OpenID Connect Core section 3.1.2.6 and
/// RFC 6750, and those that GitHub and Slack have in their place: what they mean and say. A client that was refused is
/// [`Unauthenticated`] until its secret was asked for anew, and then [`Config`].
const CODES: &[(&str, ErrorKind, &str)] = &[
    ("access_denied", Declined, "the user, or the issuer, said no"),
    ("account_selection_required", ReauthRequired, "the user has to choose an account"),
    ("authorization_pending", Conflict, "the user has not decided yet"),
    ("bad_client_secret", Unauthenticated, "the issuer refused the client's own credentials"),
    ("bad_redirect_uri", Config, "the redirect address is not the registered one"),
    ("consent_required", ReauthRequired, "the user has to consent again"),
    ("expired_token", ReauthRequired, "the user did not decide in time"),
    ("fatal_error", Unavailable, "the issuer failed"),
    ("incorrect_client_credentials", Unauthenticated, "the issuer refused the client's own credentials"),
    ("interaction_required", ReauthRequired, "the user has to do something at the issuer"),
    ("internal_error", Unavailable, "the issuer failed"),
    ("invalid_client", Unauthenticated, "the issuer refused the client's own credentials"),
    ("invalid_client_id", Unauthenticated, "the issuer refused the client's own credentials"),
    ("invalid_grant", ReauthRequired, "the code or the refresh token is not valid any more"),
    ("invalid_rapt", ReauthRequired, "the organisation of the user wants a new sign-in"),
    ("invalid_request", InvalidRequest, "the issuer says that the request is malformed"),
    ("invalid_scope", InvalidRequest, "the issuer does not give these scopes"),
    ("invalid_target", InvalidRequest, "the issuer does not know this resource"),
    ("invalid_token", ReauthRequired, "the token is not valid any more"),
    ("login_required", ReauthRequired, "the user has to sign in again"),
    ("ratelimited", RateLimited, "the issuer wants fewer calls"),
    ("redirect_uri_mismatch", Config, "the redirect address is not the registered one"),
    ("server_error", Unavailable, "the issuer failed"),
    ("slow_down", RateLimited, "the issuer wants fewer calls"),
    ("temporarily_unavailable", Unavailable, "the issuer is overloaded"),
    ("unauthorized_client", Config, "the issuer does not allow this client to do so"),
    ("unsupported_grant_type", InvalidRequest, "the issuer does not know this grant"),
    ("unsupported_response_type", InvalidRequest, "the issuer gives no codes"),
    ("unsupported_token_type", ErrorKind::Unsupported, "the issuer does not end tokens of this kind"),
];

/// The error for what an issuer answered.
pub(super) fn error(op: &'static Op, status: StatusCode, codes: &[String], facts: &OAuth) -> Error {
    let find = |is: &dyn Fn(&str) -> bool| codes.iter().find(|code| is(code));
    // Of a client that was refused no token was judged.
    let client = find(&|code| named(code).is_some_and(|(kind, _)| kind == Unauthenticated));
    let reauth = || find(&|code| is_reauth(code, facts));
    let known = || find(&|code| facts.limit_codes.contains(&code) || named(code).is_some());
    let code = client.or_else(reauth).or_else(known).or(codes.first());
    let error = match code {
        Some(code) if has_judged(status) => by_code(op, status, code, facts),
        _ => by_status(status),
    };
    with_hint(match code {
        Some(code) => error.with_code(code),
        None => error,
    })
}

/// A server that failed, or refused for want of quota, has not judged the token, whatever it says; nor has one that sends
/// elsewhere, or a proxy on the way.
fn has_judged(status: StatusCode) -> bool {
    let passing = [
        StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    status.is_success() || (status.is_client_error() && !passing.contains(&status))
}

/// The error for a callback in which the issuer says no.
pub(super) fn of_callback(code: &str, facts: &OAuth) -> Error {
    if !is_word(code) {
        return sent_back();
    }
    let error = match named(code) {
        _ if facts.reauth_codes.contains(&code) => reauth_required(code),
        Some((kind, message)) => Error::new(kind, effect(kind, code), message),
        None => sent_back(),
    };
    settled(with_hint(error.with_code(code)))
}

fn sent_back() -> Error {
    Error::new(InvalidRequest, Effect::Rejected, "the issuer sent the user back with an error")
}

/// A longer text is no code.
const LONGEST_CODE: usize = 64;

/// Whether a text can be a code: one word.
pub(super) fn is_word(code: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
    code.len() <= LONGEST_CODE && code.bytes().all(plain)
}

fn is_reauth(code: &str, facts: &OAuth) -> bool {
    facts.reauth_codes.contains(&code) || code == "invalid_rapt"
}

fn by_code(op: &'static Op, status: StatusCode, code: &str, facts: &OAuth) -> Error {
    let error = match named(code) {
        _ if is_reauth(code, facts) => reauth_required(code),
        _ if facts.limit_codes.contains(&code) => {
            Error::new(RateLimited, Effect::Rejected, "the issuer wants fewer calls")
        }
        Some((kind, message)) => Error::new(kind, effect(kind, code), message),
        None => by_status(status),
    };
    // No user stands behind these grants: what is not valid is what the client itself has signed or is.
    if error.kind() == ReauthRequired && is_own_grant(op) {
        return Error::new(
            Unauthenticated,
            Effect::Rejected,
            "the issuer refused what the client proves itself with",
        );
    }
    error
}

fn reauth_required(code: &str) -> Error {
    let message = named(code).map_or("the user has to consent again", |(_, message)| message);
    Error::new(ReauthRequired, Effect::Rejected, message)
}

fn named(code: &str) -> Option<(ErrorKind, &'static str)> {
    CODES.iter().find(|(known, ..)| *known == code).map(|(_, kind, message)| (*kind, *message))
}

fn is_own_grant(op: &'static Op) -> bool {
    [&ops::CLIENT_CREDENTIALS, &ops::JWT_BEARER].contains(&op)
}

fn effect(kind: ErrorKind, code: &str) -> Effect {
    if kind == Unavailable && code != "temporarily_unavailable" { Effect::Unknown } else { Effect::Rejected }
}

/// An error that came with a status of success is one all the same.
fn by_status(status: StatusCode) -> Error {
    if status.is_success() {
        return Error::new(ErrorKind::Unexpected, Effect::Rejected, "the issuer answered with an error");
    }
    status_error(status)
}

fn with_hint(error: Error) -> Error {
    let hint = match error.kind() {
        Config => {
            "compare id, secret, redirect address and grants of the client with what the issuer has registered"
        }
        ReauthRequired => "let the user connect again",
        _ => return error,
    };
    error.with_hint(hint)
}

/// After everything was tried: a client whose credentials are refused is set up wrongly.
pub(super) fn settled(error: Error) -> Error {
    if error.kind() == Unauthenticated { with_hint(error.with_kind(Config)) } else { error }
}
