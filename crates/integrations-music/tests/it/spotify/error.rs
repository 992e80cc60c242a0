//! What the service says when something went wrong.

use http::{HeaderMap, StatusCode};
use integrations_core::{Classify, Effect, Error, ErrorKind, Op, Safety, WireResponse};
use integrations_music::spotify::Errors;
use serde_json::json;

use ErrorKind::{
    InvalidRequest, NotFound, PermissionDenied, Precondition, QuotaExhausted, RateLimited, ReauthRequired,
    Unauthenticated, Unavailable,
};

static OP: Op = Op::new("spotify", "test", Safety::Read);

fn classified(status: u16, body: impl Into<bytes::Bytes>) -> Option<Error> {
    let status = StatusCode::from_u16(status).unwrap();
    Errors.classify(&OP, &WireResponse::new(&OP, status, HeaderMap::new(), body))
}

#[test]
fn each_status_and_reason_has_its_kind_effect_and_hint() {
    let table = [
        (400, None, "Invalid limit", InvalidRequest, Effect::Rejected, None),
        (401, None, "The access token expired", Unauthenticated, Effect::Rejected, None),
        (403, None, "Insufficient client scope", PermissionDenied, Effect::Rejected, Some("scope")),
        // What the player says of a missing scope: github.com/spotipy-dev/spotipy issue 1205.
        (401, None, "Permissions missing", PermissionDenied, Effect::Rejected, Some("scope")),
        (
            401,
            None,
            "Valid user authentication required",
            PermissionDenied,
            Effect::Rejected,
            Some("user's consent"),
        ),
        (
            403,
            None,
            "User not registered in the Developer Dashboard",
            PermissionDenied,
            Effect::Rejected,
            Some("list"),
        ),
        (403, None, "Forbidden", PermissionDenied, Effect::Rejected, Some("quota mode")),
        (
            403,
            Some("PREMIUM_REQUIRED"),
            "Premium required",
            PermissionDenied,
            Effect::Rejected,
            Some("Premium"),
        ),
        (
            403,
            Some("NO_PREV_TRACK"),
            "Restriction violated",
            Precondition,
            Effect::Rejected,
            Some("first track"),
        ),
        (403, Some("SOMETHING_NEW"), "Something new", PermissionDenied, Effect::Rejected, Some("scope")),
        // Pausing what is paused, for one: github.com/spotify/web-api issue 1433.
        (
            403,
            Some("UNKNOWN"),
            "Player command failed: Restriction violated",
            Precondition,
            Effect::Rejected,
            Some("plays already"),
        ),
        (404, None, "Resource not found", NotFound, Effect::Rejected, None),
        (
            404,
            Some("NO_ACTIVE_DEVICE"),
            "No active device",
            Precondition,
            Effect::Rejected,
            Some("open Spotify"),
        ),
        (429, None, "API rate limit exceeded", RateLimited, Effect::Rejected, None),
        (429, Some("QUOTA_EXCEEDED"), "Too many requests", QuotaExhausted, Effect::Rejected, Some("quota")),
        (500, None, "Internal error", Unavailable, Effect::Unknown, None),
        (502, None, "Bad gateway", Unavailable, Effect::Unknown, None),
    ];
    for (status, reason, message, kind, effect, hint) in table {
        let body = json!({ "error": { "status": status, "message": message, "reason": reason } });
        let error = classified(status, body.to_string()).unwrap();
        assert_eq!((error.kind(), error.effect()), (kind, effect), "{status} {reason:?}");
        assert_eq!((error.code(), error.message()), (reason, message));
        match hint {
            Some(part) => {
                assert!(error.hint().unwrap().contains(part), "{status} {reason:?}: {:?}", error.hint());
            }
            None => assert_eq!(error.hint(), None, "{status} {reason:?}"),
        }
    }
    let quota = json!({ "error": { "status": 429, "message": "x", "reason": "QUOTA_EXCEEDED" } });
    assert!(!classified(429, quota.to_string()).unwrap().is_retryable());
}

#[test]
fn the_endpoint_of_tokens_speaks_otherwise() {
    for (status, code, kind) in [
        (400, "invalid_grant", ReauthRequired),
        (400, "invalid_client", Unauthenticated),
        (400, "unsupported_grant_type", InvalidRequest),
        (503, "server_error", Unavailable),
    ] {
        let body = json!({ "error": code, "error_description": "it says why" });
        let error = classified(status, body.to_string()).unwrap();
        assert_eq!((error.kind(), error.code(), error.message()), (kind, Some(code), "it says why"));
    }
}

#[test]
fn what_is_no_envelope_is_judged_by_its_status_and_never_quoted() {
    for (status, body, kind) in [
        (502, "<html>hunter2</html>", Unavailable),
        (404, "{}", NotFound),
        (400, r#"{"error":{"message":"<b>hunter2</b>","reason":"<hunter2>"}}"#, InvalidRequest),
        (400, r#"{"error":{"message":" "}}"#, InvalidRequest),
        (400, r#"{"error":["hunter2"]}"#, InvalidRequest),
        (429, "Too many requests", RateLimited),
    ] {
        let error = classified(status, body).unwrap();
        assert_eq!(error.kind(), kind, "{body}");
        assert!(error.message().starts_with("the service answered"), "{error}");
        assert!(!format!("{error:?} {}", error.explain()).contains("hunter2"));
    }
    let long = json!({ "error": { "message": "x".repeat(301) } }).to_string();
    assert!(classified(400, long).unwrap().message().len() < 100);
    let plain = classified(403, "User not registered in the Developer Dashboard").unwrap();
    assert!(plain.hint().unwrap().contains("application's list"), "{plain:?}");
    for good in [200, 204, 304] {
        assert!(classified(good, r#"{"error":{"status":400,"message":"x"}}"#).is_none());
    }
}
