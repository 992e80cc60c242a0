//! How refusals are told, and whom a limit holds back.

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode};
use integrations_auth::SignIn;
use integrations_auth::github_sign_in::Errors;
use integrations_auth::github_sign_in::ops::{CheckToken, DeleteGrant, DeleteToken, GetUser};
use integrations_core::{Classify, Effect, Endpoint, ErrorKind, Op, WireResponse};
use serde_json::json;

use super::{EMAILS, ME, ada, client, reply};
use crate::vendor::{Reply, Service, signed_in};

const USERS: &Op = GetUser::OP;
const APPLICATIONS: &Op = CheckToken::OP;
const SECONDARY: &str =
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";

fn response(op: &'static Op, status: u16, headers: &[(&'static str, &str)], body: &str) -> WireResponse {
    let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    let headers: HeaderMap = headers.collect();
    WireResponse::new(op, StatusCode::from_u16(status).unwrap(), headers, body.to_owned())
}

#[test]
fn each_refusal_has_its_kind_and_code() {
    type Row<'a> = (&'static Op, u16, &'a [(&'static str, &'a str)], &'a str, ErrorKind, Option<&'a str>);
    let none: &[(&'static str, &str)] = &[];
    let spent: &[(&'static str, &str)] = &[("x-ratelimit-remaining", "0")];
    let after: &[(&'static str, &str)] = &[("retry-after", "30")];
    let table: &[Row<'_>] = &[
        (USERS, 401, none, "Bad credentials", ErrorKind::Unauthenticated, None),
        (USERS, 403, none, "Resource not accessible by integration", ErrorKind::PermissionDenied, None),
        (USERS, 403, &[("x-ratelimit-remaining", "41")], "no", ErrorKind::PermissionDenied, None),
        (USERS, 404, spent, "Not Found", ErrorKind::NotFound, None),
        (USERS, 403, spent, "API rate limit exceeded", ErrorKind::RateLimited, Some("rate_limit")),
        (USERS, 403, after, "no", ErrorKind::RateLimited, Some("rate_limit")),
        (USERS, 429, none, "no", ErrorKind::RateLimited, Some("rate_limit")),
        (USERS, 403, none, SECONDARY, ErrorKind::RateLimited, Some("secondary_rate_limit")),
        (
            USERS,
            403,
            none,
            "You have triggered an abuse detection mechanism.",
            ErrorKind::RateLimited,
            Some("secondary_rate_limit"),
        ),
        (APPLICATIONS, 403, spent, "API rate limit exceeded", ErrorKind::RateLimited, Some("rate_limit")),
        (APPLICATIONS, 429, none, SECONDARY, ErrorKind::RateLimited, Some("secondary_rate_limit")),
        (APPLICATIONS, 404, none, "Not Found", ErrorKind::NotFound, None),
        (USERS, 502, none, "Server Error", ErrorKind::Unavailable, None),
    ];
    for (op, status, headers, message, kind, code) in table {
        let body =
            json!({"message": message, "documentation_url": "https://docs.github.com/rest"}).to_string();
        let error = Errors.classify(op, &response(op, *status, headers, &body)).unwrap();
        assert_eq!((error.kind(), error.code()), (*kind, *code), "{status} {message}");
        // What the application asks about tokens is told in words of our own: the service's may quote the token.
        if std::ptr::eq(*op, APPLICATIONS) {
            assert!(error.message().starts_with("the service answered: "), "{error:?}");
        } else {
            assert_eq!(error.message(), *message);
        }
    }
    assert!(Errors.classify(USERS, &response(USERS, 200, none, r#"{"message":"no"}"#)).is_none());
}

#[test]
fn of_several_reasons_the_first_is_the_code_and_pages_are_not_shown() {
    let body = r#"{"message":"Validation Failed","errors":["odd",null,{"field":"a"},{"code":"missing_field","field":"access_token"}]}"#;
    let error = Errors.classify(APPLICATIONS, &response(APPLICATIONS, 422, &[], body)).unwrap();
    assert_eq!(
        (error.kind(), error.effect(), error.code()),
        (ErrorKind::InvalidRequest, Effect::Rejected, Some("missing_field"))
    );
    for page in ["<html>a proxy's page</html>", r#"{"message":"<b>no</b>"}"#, "", "[]"] {
        let error = Errors.classify(USERS, &response(USERS, 503, &[], page)).unwrap();
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::Unavailable, "the service answered: Service Unavailable"),
            "{page}"
        );
    }
}

/// The token is in the body there, where nobody else looks for what an answer may quote.
#[test]
fn a_token_that_the_application_asks_about_is_not_quoted() {
    let body = r#"{"message":"no such token: gho_hunter2","errors":[{"code":"gho_hunter2"}]}"#;
    for op in [CheckToken::OP, DeleteToken::OP, DeleteGrant::OP] {
        for status in [403, 404, 422, 429, 500] {
            let error = Errors.classify(op, &response(op, status, &[], body)).unwrap();
            assert!(!format!("{error:?} {}", error.explain()).contains("hunter2"), "{status}: {error:?}");
        }
    }
}

/// One user's limit is used up, for an hour.
fn spent() -> Reply {
    let (status, mut headers, body) =
        reply(403, &json!({"message": "API rate limit exceeded for user ID 1."}));
    headers.extend([
        ("date", "Mon, 02 Mar 2026 12:00:00 GMT".to_owned()),
        ("x-ratelimit-limit", "5000".to_owned()),
        ("x-ratelimit-remaining", "0".to_owned()),
        ("x-ratelimit-reset", "1772456400".to_owned()),
        ("x-ratelimit-resource", "core".to_owned()),
    ]);
    (status, headers, body)
}

/// Else whoever uses up their own limit would lock all others out.
#[tokio::test(start_paused = true)]
async fn a_user_without_quota_holds_nobody_else_back() {
    let secondary = reply(403, &json!({"message": SECONDARY}));
    for (refusal, wait) in [(spent(), None), (secondary, Some(Duration::from_secs(60)))] {
        let service = Service::new(move |seen| match seen.line.as_str() {
            ME if seen.header("authorization") == "Bearer gho_spent" => refusal.clone(),
            ME => reply(200, &ada()),
            EMAILS => reply(200, &json!([])),
            line => panic!("{line}"),
        });
        let github = SignIn::new(client(&service));
        let started = tokio::time::Instant::now();
        for _ in 0..3 {
            let error = github.profile(&"gho_spent".into()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RateLimited);
            assert!(
                error.retry_after().is_some_and(|told| wait.is_none_or(|wait| wait == told)),
                "{error:?}"
            );
            github.profile(&"gho_good".into()).await.unwrap();
        }
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        let lines =
            service.seen().into_iter().filter(|seen| seen.header("authorization") == "Bearer gho_spent");
        assert_eq!(lines.count(), 1, "and they themselves are held back before anything is sent");
    }
}

/// A limit looks like a missing permission, and is none: to go on without the address would hide who verified it.
#[tokio::test(start_paused = true)]
async fn a_limit_on_the_addresses_is_not_taken_for_a_missing_scope() {
    let service = super::github(spent());
    let error = signed_in(&SignIn::new(client(&service))).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::RateLimited, Some("rate_limit")));
}
