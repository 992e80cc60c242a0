//! Whose a token is, the next one, and its end.

use integrations_auth::SignIn;
use integrations_auth::github_sign_in::ops::{CheckToken, GetUser};
use integrations_core::{Bearer, Endpoint as _, ErrorKind, TokenSet};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ME, TOKEN, ada, builder, client, reply};
use crate::vendor::{Service, signed_in};

const CHECK: &str = "POST https://api.github.com/applications/app-1/token";
const DELETE: &str = "DELETE https://api.github.com/applications/app-1/token";

/// `app-1:s3cret-of-the-app`.
const BASIC: &str = "Basic YXBwLTE6czNjcmV0LW9mLXRoZS1hcHA=";

fn checked(client_id: &Value, user: &Value) -> Value {
    json!({
        "id": 1, "app": {"client_id": client_id, "name": "App", "url": "https://app.example"}, "user": user,
        "token": "gho_1", "scopes": ["user:email"], "expires_at": "2026-03-02T20:00:00Z"
    })
}

#[tokio::test(start_paused = true)]
async fn a_token_of_this_application_names_its_owner() {
    let service = Service::new(|seen| match seen.line.as_str() {
        CHECK => reply(200, &checked(&json!("app-1"), &json!({"id": 583_231, "login": "ada"}))),
        line => panic!("{line}"),
    });
    let own = client(&service).check_token(&"gho_1".into()).await.unwrap();
    assert_eq!((own.key.issuer.as_str(), own.key.subject.as_str()), ("https://github.com", "583231"));
    assert_eq!(own.scopes, ["user:email"]);
    assert_eq!(own.expires_at, Some("2026-03-02T20:00:00Z".parse().unwrap()));
    let seen = service.seen();
    assert_eq!(seen[0].header("authorization"), BASIC);
    assert_eq!(seen[0].body, r#"{"access_token":"gho_1"}"#);
}

/// The token is good, and `/user` would say whose it is: but they gave it to somebody else.
#[tokio::test(start_paused = true)]
async fn a_token_of_another_application_is_refused() {
    let refused = [
        reply(404, &json!({"message": "Not Found", "documentation_url": "https://docs.github.com"})),
        reply(200, &checked(&json!("app-2"), &json!({"id": 583_231}))),
        reply(200, &checked(&json!("app-1"), &Value::Null)),
        reply(200, &checked(&json!("app-1"), &json!({"id": 0}))),
    ];
    for refusal in refused {
        let shown = refusal.2.clone();
        let service = Service::new(move |seen| match seen.line.as_str() {
            CHECK => refusal.clone(),
            ME => reply(200, &ada()),
            line => panic!("{line}"),
        });
        let error = client(&service).check_token(&"gho_of_another_app".into()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Unauthenticated, Some("token_not_ours")),
            "{shown}"
        );
        assert!(!format!("{error:?}").contains("gho_of"), "{error:?}");
        assert_eq!(service.lines(), [CHECK]);
    }
}

/// An answer that does not name the application vouches for nothing; nor does a service that fails.
#[tokio::test(start_paused = true)]
async fn a_token_that_was_not_checked_is_no_token() {
    let table = [
        (reply(200, &checked(&Value::Null, &json!({"id": 1}))), ErrorKind::Decode),
        (reply(200, &json!({"user": {"id": 1}})), ErrorKind::Decode),
        (
            reply(200, &json!({"app": {"client_id": "app-1"}, "user": {"id": 1}, "expires_at": "soon"})),
            ErrorKind::Decode,
        ),
        (reply(401, &json!({"message": "Bad credentials"})), ErrorKind::Unauthenticated),
        (reply(422, &json!({"message": "Validation Failed"})), ErrorKind::InvalidRequest),
    ];
    for (answer, kind) in table {
        let shown = answer.2.clone();
        let service = Service::new(move |_| answer.clone());
        let error = client(&service).check_token(&"gho_1".into()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, None), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_caller_proves_each_call_as_it_must_be() {
    let service = Service::new(|seen| match seen.line.as_str() {
        ME => reply(200, &ada()),
        _ => reply(200, &checked(&json!("app-1"), &json!({"id": 583_231}))),
    });
    let both =
        builder(&service).client_secret("s3cret-of-the-app").authorize(Bearer::new("gho_2")).build().unwrap();
    let check = CheckToken { client_id: "app-1".to_owned(), access_token: "gho_2".into() };
    both.caller().call(&check).await.unwrap();
    both.caller().call(&GetUser::default()).await.unwrap();
    both.as_user(&"gho_3".into()).unwrap().call(&GetUser::default()).await.unwrap();
    let proofs: Vec<_> = service.seen().iter().map(|seen| seen.header("authorization").to_owned()).collect();
    assert_eq!(proofs, [BASIC, "Bearer gho_2", "Bearer gho_3"]);

    let error = client(&service).caller().call(&GetUser::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, GetUser::OP.name), "nobody's call");
    assert_eq!(service.seen().len(), 3);
}

/// GitHub with tokens that end: `ghu_1` and `ghr_1` are out, `ghu_2` and `ghr_2` come next.
fn expiring(is_known: impl Fn(&str) -> bool + Send + Sync + 'static) -> Service {
    Service::new(move |seen| match seen.line.as_str() {
        TOKEN if seen.body.contains("refresh_token=ghr_1") => reply(
            200,
            &json!({
                "access_token": "ghu_2", "expires_in": 28800, "refresh_token": "ghr_2",
                "refresh_token_expires_in": 15_811_200, "token_type": "bearer", "scope": ""
            }),
        ),
        // As GitHub refuses: with success.
        TOKEN => reply(200, &json!({"error": "bad_refresh_token", "error_description": "no"})),
        DELETE if is_known(&seen.body) => (204, Vec::new(), String::new()),
        DELETE => reply(404, &json!({"message": "Not Found"})),
        ME => reply(401, &json!({"message": "Bad credentials"})),
        line => panic!("{line}"),
    })
}

fn tokens(access: &str, refresh: Option<&str>) -> TokenSet {
    let mut tokens = TokenSet::new(access, Timestamp::UNIX_EPOCH);
    tokens.refresh = refresh.map(Into::into);
    tokens
}

#[tokio::test(start_paused = true)]
async fn tokens_that_end_are_refreshed() {
    let github = SignIn::new(client(&expiring(|_| false)));
    let next = github.refresh(&tokens("ghu_1", Some("ghr_1"))).await.unwrap();
    assert_eq!(
        (next.access.expose().as_str(), next.refresh.as_ref().unwrap().expose().as_str()),
        ("ghu_2", "ghr_2")
    );
    let lifetime = next.expires_at.unwrap().duration_since(next.obtained_at);
    assert_eq!(lifetime.as_hours(), 8);
    for dead in [tokens("ghu_1", Some("ghr_0")), tokens("gho_1", None)] {
        assert_eq!(github.refresh(&dead).await.unwrap_err().kind(), ErrorKind::ReauthRequired);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_ended_by_the_application() {
    let service = expiring(|body| body == r#"{"access_token":"gho_1"}"#);
    SignIn::new(client(&service)).revoke(&tokens("gho_1", None)).await.unwrap();
    assert_eq!(service.lines(), [DELETE]);
    assert_eq!(service.seen()[0].header("authorization"), BASIC);
}

/// GitHub does not know an access token that is over; its refresh token would be good for months.
#[tokio::test(start_paused = true)]
async fn with_an_access_token_that_is_over_the_refresh_token_ends_too() {
    let service = expiring(|body| body.contains("ghu_2"));
    let github = SignIn::new(client(&service));
    github.revoke(&tokens("ghu_1", Some("ghr_1"))).await.unwrap();
    assert_eq!(service.lines(), [DELETE, ME, TOKEN, DELETE]);
    assert_eq!(service.seen()[3].body, r#"{"access_token":"ghu_2"}"#);

    github.revoke(&tokens("ghu_0", Some("ghr_0"))).await.unwrap();
    github.revoke(&tokens("gho_0", None)).await.unwrap();
}

/// GitHub tells a wrong secret and a token that it does not know alike.
#[tokio::test(start_paused = true)]
async fn a_token_that_still_opens_the_account_has_not_ended() {
    for status in [404, 422] {
        let service = Service::new(move |seen| match seen.line.as_str() {
            ME => reply(200, &ada()),
            _ => reply(status, &json!({"message": "no"})),
        });
        let error = SignIn::new(client(&service)).revoke(&tokens("gho_1", None)).await.unwrap_err();
        assert_eq!(error.status(), Some(status));
        assert!(error.hint().unwrap().contains("still good"), "{error:?}");
        assert_eq!(service.lines(), [DELETE, ME]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_code_is_told_as_such() {
    let service = Service::new(|_| {
        reply(200, &json!({"error": "bad_verification_code", "error_description": "The code is wrong"}))
    });
    let error = signed_in(&SignIn::new(client(&service))).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::ReauthRequired, Some("bad_verification_code")));
}
