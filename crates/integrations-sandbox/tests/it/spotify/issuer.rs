//! The accounts service.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, Method, Uri};
use integrations_sandbox::{Answer, Call};
use serde_json::{Value, json};

use super::{Fake, setting};

/// The verifier and its challenge of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn send(fake: &Fake, method: &Method, path: &str, basic: Option<&str>, body: &str) -> Answer {
    let mut headers = HeaderMap::new();
    if let Some(pair) = basic {
        headers.insert(AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)).parse().unwrap());
    }
    let uri: Uri = format!("https://accounts.spotify.com{path}").parse().unwrap();
    fake.sandbox.answer(&Call::new(method, &uri, &headers, body.as_bytes()))
}

/// Status and body of the token endpoint.
fn token(fake: &Fake, basic: Option<&str>, body: &str) -> (u16, Value) {
    let answer = send(fake, &Method::POST, "/api/token", basic, body);
    (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap())
}

fn id(fake: &Fake) -> String {
    setting(&fake.sandbox, "client_id")
}

fn pair(fake: &Fake) -> String {
    format!("{}:{}", id(fake), setting(&fake.sandbox, "client_secret"))
}

/// Where the user is sent, with everything that can be asked for.
fn consent(fake: &Fake, more: &str) -> String {
    let query = format!(
        "/authorize?response_type=code&client_id={}&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback&state=a%20b{more}",
        id(fake)
    );
    let answer = send(fake, &Method::GET, &query, None, "");
    assert_eq!(answer.status, 302);
    answer.headers[LOCATION].to_str().unwrap().to_owned()
}

fn code(fake: &Fake, more: &str) -> String {
    let address = consent(fake, more);
    let behind = address.strip_prefix("https://app.example/callback?code=").unwrap();
    let (code, state) = behind.split_once('&').unwrap();
    assert_eq!(state, "state=a%20b");
    code.to_owned()
}

fn exchange(code: &str) -> String {
    format!("grant_type=authorization_code&code={code}&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback")
}

fn error(answer: (u16, Value)) -> (u16, String) {
    (answer.0, answer.1["error"].as_str().unwrap().to_owned())
}

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

#[test]
fn a_code_becomes_a_token_with_the_scopes() {
    let mut fake = Fake::new();
    let code = code(&fake, "&scope=user-top-read%20user-library-read");
    let (status, body) = token(&fake, Some(&pair(&fake)), &exchange(&code));
    assert_eq!(status, 200);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3600)));
    assert_eq!(body["scope"], "user-top-read user-library-read");
    body["access_token"].as_str().unwrap().clone_into(&mut fake.token);
    fake.get("/me/top/tracks");
    assert_eq!(fake.status("GET", "/me/playlists", &Value::Null), 403);
    // A stolen code ends what it was changed for.
    assert_eq!(error(token(&fake, Some(&pair(&fake)), &exchange(&code))), invalid_grant());
    assert_eq!(fake.status("GET", "/me/top/tracks", &Value::Null), 401);
}

#[test]
fn without_a_secret_the_challenge_vouches_and_refresh_tokens_rotate() {
    let fake = Fake::new();
    let challenge = format!("&code_challenge_method=S256&code_challenge={CHALLENGE}");
    let public = |body: String| token(&fake, None, &format!("{body}&client_id={}", id(&fake)));
    let wrong = public(format!("{}&code_verifier=wrong", exchange(&code(&fake, &challenge))));
    assert_eq!(error(wrong), invalid_grant());
    assert_eq!(error(public(exchange(&code(&fake, &challenge)))), invalid_grant());
    assert_eq!(error(public(exchange(&code(&fake, "")))), (400, "invalid_client".to_owned()));
    let (status, body) = public(format!("{}&code_verifier={VERIFIER}", exchange(&code(&fake, &challenge))));
    assert_eq!(status, 200);
    let refresh =
        |token: &Value| public(format!("grant_type=refresh_token&refresh_token={}", token.as_str().unwrap()));
    let (status, next) = refresh(&body["refresh_token"]);
    assert_eq!(status, 200);
    assert_ne!(next["refresh_token"], body["refresh_token"]);
    assert_eq!(error(refresh(&body["refresh_token"])), invalid_grant());
    assert_eq!(refresh(&next["refresh_token"]).0, 200);
}

#[test]
fn with_a_secret_the_refresh_token_stays() {
    let fake = Fake::new();
    let refresh = format!("grant_type=refresh_token&refresh_token={}", fake.id("refresh_token"));
    for _ in 0..2 {
        let (status, body) = token(&fake, Some(&pair(&fake)), &refresh);
        assert_eq!((status, body.get("refresh_token")), (200, None));
    }
    let public = format!("{refresh}&client_id={}", id(&fake));
    assert_eq!(error(token(&fake, None, &public)), (400, "invalid_client".to_owned()));
    let narrowed = format!("{refresh}&scope=user-top-read");
    assert_eq!(token(&fake, Some(&pair(&fake)), &narrowed).1["scope"], "user-top-read");
    let widened = format!("{refresh}&scope=everything");
    assert_eq!(error(token(&fake, Some(&pair(&fake)), &widened)), (400, "invalid_scope".to_owned()));
    let unknown = "grant_type=refresh_token&refresh_token=AQnothing";
    assert_eq!(error(token(&fake, Some(&pair(&fake)), unknown)), invalid_grant());
    let other = format!("{}:{}", fake.id("development_client_id"), fake.id("development_client_secret"));
    assert_eq!(error(token(&fake, Some(&other), &refresh)), invalid_grant());
}

#[tokio::test(start_paused = true)]
async fn tokens_end_with_their_time() {
    let mut fake = Fake::new();
    let (_, body) = token(&fake, Some(&pair(&fake)), &exchange(&code(&fake, "&scope=user-top-read")));
    body["access_token"].as_str().unwrap().clone_into(&mut fake.token);
    tokio::time::advance(Duration::from_secs(3599)).await;
    fake.get("/me/top/tracks");
    tokio::time::advance(Duration::from_secs(1)).await;
    let (status, refused) = fake.ask("GET", "/me/top/tracks", &Value::Null);
    assert_eq!(status, 401);
    assert_eq!(refused, json!({"error": {"status": 401, "message": "The access token expired"}}));
    let refresh =
        format!("grant_type=refresh_token&refresh_token={}", body["refresh_token"].as_str().unwrap());
    assert_eq!(token(&fake, Some(&pair(&fake)), &refresh).0, 200);
    tokio::time::advance(Duration::from_secs(182 * 24 * 3600)).await;
    assert_eq!(error(token(&fake, Some(&pair(&fake)), &refresh)), invalid_grant());
    let late = code(&fake, "");
    tokio::time::advance(Duration::from_secs(601)).await;
    assert_eq!(error(token(&fake, Some(&pair(&fake)), &exchange(&late))), invalid_grant());
}

#[test]
fn an_application_asks_for_itself_and_shows_itself_in_one_way() {
    let mut fake = Fake::new();
    let secret = setting(&fake.sandbox, "client_secret");
    let by_body = format!("grant_type=client_credentials&client_id={}&client_secret={secret}", id(&fake));
    let (status, body) = token(&fake, None, &by_body);
    assert_eq!((status, body.get("refresh_token"), body.get("scope")), (200, None, None));
    assert_eq!(token(&fake, Some(&pair(&fake)), "grant_type=client_credentials").0, 200);
    let both = token(&fake, Some(&pair(&fake)), &by_body);
    assert_eq!(error(both), (400, "invalid_request".to_owned()));
    let wrong = format!("{}:wrong", id(&fake));
    let refused = token(&fake, Some(&wrong), "grant_type=client_credentials");
    assert_eq!(error(refused), (401, "invalid_client".to_owned()));
    let public = format!("grant_type=client_credentials&client_id={}", id(&fake));
    assert_eq!(error(token(&fake, None, &public)), (400, "invalid_client".to_owned()));
    let odd = token(&fake, Some(&pair(&fake)), "grant_type=password");
    assert_eq!(error(odd), (400, "unsupported_grant_type".to_owned()));
    assert_eq!(error(token(&fake, Some(&pair(&fake)), "")), (400, "invalid_request".to_owned()));
    body["access_token"].as_str().unwrap().clone_into(&mut fake.token);
    assert_eq!(fake.status("GET", "/me", &Value::Null), 401);
}

#[test]
fn nobody_is_sent_to_a_strange_address() {
    let fake = Fake::new();
    let at = |redirect: &str| {
        let path = format!("/authorize?response_type=code&client_id={}&redirect_uri={redirect}", id(&fake));
        send(&fake, &Method::GET, &path, None, "").status.as_u16()
    };
    assert_eq!(at("https%3A%2F%2Fapp.example%2Fcallback"), 302);
    assert_eq!(at("https%3A%2F%2Fevil.example%2Fcallback"), 400);
    assert_eq!(at("https%3A%2F%2Fapp.example%2Fcallback%2Fmore"), 400);
    assert_eq!(at("http%3A%2F%2F127.0.0.1%3A8123%2Fcallback"), 302, "any port of the loopback address");
    assert_eq!(at("http%3A%2F%2F127.0.0.1%3A8123%2Fother"), 400);
    assert_eq!(at("http%3A%2F%2F127.0.0.1.evil.example%2Fcallback"), 400);
    assert_eq!(at("http%3A%2F%2Flocalhost%3A8123%2Fcallback"), 400);
    assert!(consent(&fake, "&scope=nonsense").contains("error=invalid_scope&state=a%20b"));
    assert!(consent(&fake, &format!("&code_challenge={CHALLENGE}")).contains("error=invalid_request"));
    let unknown = "/authorize?response_type=code&client_id=unknown";
    assert_eq!(send(&fake, &Method::GET, unknown, None, "").status, 400);
}
