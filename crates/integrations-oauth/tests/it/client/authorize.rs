//! The user's way there and back.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integrations_core::provider::{OAuth, Pkce};
use integrations_core::{Clock, ErrorKind, Result, Secret};
use integrations_oauth::{AuthorizeRequest, Callback, Client, Issuer, PendingAuthorization, TokenSet};

use super::support::{FACTS, Script, TOKENS, answer, expect, good_callback, pairs, start, value};

const SCOPES: [&str; 2] = ["openid", "mail.read"];

fn begun(client: &Client) -> PendingAuthorization {
    client.authorize(AuthorizeRequest::new(SCOPES)).unwrap().1
}

fn url_pairs(url: &str, at: &str) -> Vec<(String, String)> {
    let (address, query) = url.split_once('?').unwrap();
    assert_eq!(address, at);
    pairs(query)
}

/// A statement with this payload; nobody signed it.
fn id_token(payload: &str) -> String {
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload))
}

#[tokio::test]
async fn the_users_address_has_state_nonce_and_proof_key() {
    let client = Script::new([]).client(FACTS.authorize_params(&[("access_type", "offline")]));
    let request = AuthorizeRequest::new(SCOPES).param("login_hint", "ada@example.org");
    let (url, pending) = client.authorize(request).unwrap();
    let found = url_pairs(&url, "https://id.example/authorize");
    for (name, expected) in [
        ("response_type", "code"),
        ("client_id", "my-app"),
        ("redirect_uri", "https://app.example/cb"),
        ("scope", "openid mail.read"),
        ("access_type", "offline"),
        ("login_hint", "ada@example.org"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(value(&found, name), expected);
    }
    assert_eq!(found.len(), 10);
    assert_eq!(&value(&found, "state"), pending.state().expose());
    for (name, bytes) in [("state", 32), ("nonce", 32), ("code_challenge", 32)] {
        assert_eq!(URL_SAFE_NO_PAD.decode(value(&found, name)).unwrap().len(), bytes, "{name}");
    }
    assert!(url.contains("openid%20mail.read") && !url.contains('+'), "{url}");
    let (again, _) = client.authorize(AuthorizeRequest::new(SCOPES)).unwrap();
    let again = url_pairs(&again, "https://id.example/authorize");
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(value(&found, name), value(&again, name), "{name}");
    }
}

#[tokio::test]
async fn a_vendors_departures_shape_the_users_address() {
    const ODD: OAuth = OAuth::new("https://id.example/token")
        .authorize_url("https://id.example/auth?session=false")
        .pkce(Pkce::S256Hex)
        .scope_separator(',')
        .default_scopes(&["offline", "a"])
        .renames(&[("client_id", "client_key"), ("scope", "perms")])
        .authorize_params(&[("prompt", "consent")]);
    let client = Script::new([]).client(ODD);
    let request = AuthorizeRequest::new(["a", "b"]).param("prompt", "none").redirect_uri("app:/cb");
    let found = url_pairs(&client.authorize(request).unwrap().0, "https://id.example/auth");
    assert_eq!(value(&found, "client_key"), "my-app");
    assert_eq!(value(&found, "perms"), "a,b,offline");
    assert_eq!((value(&found, "prompt").as_str(), value(&found, "session").as_str()), ("none", "false"));
    assert_eq!(value(&found, "redirect_uri"), "app:/cb");
    let challenge = value(&found, "code_challenge");
    assert!(
        challenge.len() == 64 && challenge.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    );
    assert!(!found.iter().any(|(name, _)| ["client_id", "scope", "nonce"].contains(&name.as_str())));

    let plain = Script::new([]).client(ODD.pkce(Pkce::None));
    let (url, _) = plain.authorize(AuthorizeRequest::new(["a"])).unwrap();
    assert!(!url.contains("code_challenge"));
}

#[tokio::test]
async fn what_the_flow_itself_sets_cannot_be_set_otherwise() {
    let client = Script::new([]).client(FACTS);
    for name in ["state", "redirect_uri", "code_challenge", "code_challenge_method", "nonce", "response_type"]
    {
        let error = client.authorize(AuthorizeRequest::new(SCOPES).param(name, "x")).unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidRequest && error.message().contains(name), "{error}");
    }
    let renaming = Script::new([]).client(FACTS.renames(&[("client_id", "client_key"), ("scope", "perms")]));
    for name in ["client_key", "perms", "client_id", "scope"] {
        let error = renaming.authorize(AuthorizeRequest::new(SCOPES).param(name, "x")).unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidRequest && error.message().contains(name), "{error}");
    }
    let error = client.authorize(AuthorizeRequest::new(SCOPES).redirect_uri("not a url")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let machine = Script::new([]).client(OAuth::new("https://id.example/token"));
    assert_eq!(machine.authorize(AuthorizeRequest::new(SCOPES)).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn the_code_is_exchanged_with_the_proof_that_was_shown_before() {
    let script = Script::new([answer(200, TOKENS)]);
    let client = script.client(FACTS.token_params(&[("audience", "api")]));
    let (url, pending) = client.authorize(AuthorizeRequest::new(["mail.read"])).unwrap();
    let callback = good_callback(&pending);
    let tokens = client.complete(pending, callback).await.unwrap();
    assert_eq!(tokens.access.expose(), "at-1");
    let seen = script.only();
    assert_eq!((seen.op, seen.method.as_str()), ("exchange_code", "POST"));
    assert_eq!(seen.uri, "https://id.example/token");
    assert_eq!(seen.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(seen.header("accept"), "application/json");
    assert_eq!(seen.basic(), "my-app:s%2Fe%2Bc");
    let sent = pairs(&seen.body);
    let verifier = value(&sent, "code_verifier");
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    let shown = value(&url_pairs(&url, "https://id.example/authorize"), "code_challenge");
    assert_eq!(URL_SAFE_NO_PAD.encode(hash), shown);
    let expected = expect(&[
        ("grant_type", "authorization_code"),
        ("code", "c-1"),
        ("redirect_uri", "https://app.example/cb"),
        ("code_verifier", &verifier),
        ("audience", "api"),
    ]);
    assert_eq!(sent, expected);
}

/// Completes a flow whose answer is made from the state; nothing may be sent unless it is good.
async fn completed(issuer: Issuer, callback: impl FnOnce(&str) -> String) -> Result<TokenSet> {
    let script = Script::new([answer(200, TOKENS)]);
    let client = script.client(issuer);
    let pending = begun(&client);
    let callback = Callback::parse(&callback(pending.state().expose()))?;
    let outcome = client.complete(pending, callback).await;
    assert_eq!(script.seen().len(), usize::from(outcome.is_ok()));
    outcome
}

#[tokio::test]
async fn an_answer_with_another_state_is_refused() {
    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for wrong in [other.to_owned(), "x".to_owned()] {
        let error = completed(FACTS.into(), |_| format!("code=c&state={wrong}")).await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidRequest && error.message().contains("state"), "{error}");
    }
    let cut = completed(FACTS.into(), |state| format!("code=c&state={}", &state[..42])).await;
    assert_eq!(cut.unwrap_err().kind(), ErrorKind::InvalidRequest);
    let error = completed(FACTS.into(), |_| format!("error=access_denied&state={other}")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "a forged refusal is none");
    completed(FACTS.into(), |state| format!("code=c&state={state}")).await.unwrap();
}

#[tokio::test]
async fn an_answer_to_an_earlier_flow_does_not_complete_a_later_one() {
    let script = Script::new([answer(200, TOKENS)]);
    let client = script.client(FACTS);
    let (first, second) = (begun(&client), begun(&client));
    let replayed = good_callback(&first);
    client.complete(first, good_callback(&second)).await.unwrap_err();
    client.complete(second, replayed).await.unwrap_err();
    assert!(script.seen().is_empty());
}

#[tokio::test]
async fn an_issuer_that_is_mixed_up_with_another_is_found_out() {
    for iss in ["https%3A%2F%2Fevil.example", "https%3A%2F%2Fid.example%2F", "HTTPS%3A%2F%2Fid.example"] {
        let error = completed(FACTS.into(), |s| format!("code=c&state={s}&iss={iss}")).await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidRequest && error.message().contains("issuer"), "{error}");
        let denied = completed(FACTS.into(), |s| format!("error=access_denied&state={s}&iss={iss}")).await;
        assert_eq!(denied.unwrap_err().kind(), ErrorKind::InvalidRequest);
    }
    completed(FACTS.into(), |s| format!("code=c&state={s}&iss=https%3A%2F%2Fid.example")).await.unwrap();
}

#[tokio::test]
async fn an_authorization_completes_only_at_the_client_that_began_it() {
    let script = Script::new([]);
    let client = script.client(FACTS);
    for other in [
        script
            .client(Issuer::from(FACTS).at(integrations_oauth::Address::Token, "https://evil.example/token")),
        script.client(Issuer::from(FACTS).named("https://evil.example")),
        Client::builder(FACTS, "other-app").transport(script.clone()).build().unwrap(),
    ] {
        let pending = begun(&client);
        let callback = good_callback(&pending);
        let error = other.complete(pending, callback).await.unwrap_err();
        assert!(error.message().contains("another client"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_authorization_lives_for_ten_minutes() {
    let script = Script::new([answer(200, TOKENS)]);
    let client = script.client(FACTS);
    let (late, in_time) = (begun(&client), begun(&client));
    assert_eq!(late.expires_at(), start() + jiff::SignedDuration::from_mins(10));
    tokio::time::advance(Duration::from_secs(599)).await;
    let callback = good_callback(&in_time);
    client.complete(in_time, callback).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    let callback = good_callback(&late);
    let error = client.complete(late, callback).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReauthRequired);
    assert_eq!(script.seen().len(), 1);
}

#[tokio::test]
async fn a_statement_made_for_another_flow_is_refused() {
    let with = |statement: String| {
        let body = format!(r#"{{"access_token":"at-1","id_token":"{statement}"}}"#);
        Script::new([answer(200, body)])
    };
    for bad in [id_token(r#"{"nonce":"other"}"#), id_token("{}"), id_token(r#"{"nonce":7}"#), "x".to_owned()]
    {
        let client = with(bad).client(FACTS);
        let pending = begun(&client);
        let callback = good_callback(&pending);
        let error = client.complete(pending, callback).await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidRequest && error.message().contains("nonce"), "{error}");
    }
    // The nonce is known only after the flow was begun.
    let begin = Script::new([]).client(FACTS);
    let (url, pending) = begin.authorize(AuthorizeRequest::new(SCOPES)).unwrap();
    let nonce = value(&url_pairs(&url, "https://id.example/authorize"), "nonce");
    let client = with(id_token(&format!(r#"{{"nonce":"{nonce}","sub":"1"}}"#))).client(FACTS);
    let callback = good_callback(&pending);
    client.complete(pending, callback).await.unwrap();

    let client = with(id_token("{}")).client(FACTS);
    let (url, pending) = client.authorize(AuthorizeRequest::new(SCOPES).without_nonce()).unwrap();
    assert!(!url.contains("nonce"));
    let callback = good_callback(&pending);
    client.complete(pending, callback).await.unwrap();
}

#[test]
fn a_callback_is_read_from_a_query_a_url_or_a_form() {
    for good in [
        "code=c&state=s&realmId=7",
        "?code=c&state=s&realmId=7",
        "https://app.example/cb?code=c&state=s&realmId=7",
        "https://app.example/cb?realmId=7&state=s&code=c#_=_",
        "state=s&realmId=7&code=c&error=",
        "/cb?code=c&state=s&realmId=7",
        "app:/cb?code=c&state=s&realmId=7",
        "https://app.example/a=b/cb?code=c&state=s&realmId=7",
        // A query may hold both of these as they are (RFC 3986 section 3.4).
        "code=c&state=s&realmId=7&iss=https://id.example",
        "code=c&state=s&realmId=7&hint=a?b",
    ] {
        let callback = Callback::parse(good).unwrap();
        assert_eq!(callback.state().expose(), "s");
        assert_eq!(callback.param("realmId").unwrap().expose(), "7");
        assert!(callback.param("code").is_none());
    }
    let long = format!("state=s&code={}", "c".repeat(70_000));
    assert!(Callback::parse(&long[..60_000]).is_ok());
    for (bad, says) in [
        (&*long, "too long"),
        ("code=c", "no state"),
        ("code=c&state=", "no state"),
        ("code=c&error=access_denied&state=s", "both"),
        ("state=s", "neither"),
        ("code=&state=s", "neither"),
        ("code=c&state=s&state=s", "twice"),
        ("code=c&code=d&state=s", "twice"),
        ("code=c&c%6fde=d&state=s", "twice"),
        ("code=%ff&state=s", "UTF-8"),
        ("https://app.example/cb#code=c&state=s", "no state"),
        ("https://app.example/code=c&state=s", "no state"),
        ("/code=c&state=s", "no state"),
        ("code=c;state=s", "no state"),
        ("code=c&state=s&%73tate=t", "twice"),
        ("code=c&state=s&error=x&%65rror=", "twice"),
        ("?code=c&state=s?code=d&state=t", "twice"),
        ("", "no state"),
    ] {
        let error = Callback::parse(bad).unwrap_err();
        assert!(
            error.kind() == ErrorKind::InvalidRequest && error.message().contains(says),
            "{bad}: {error}"
        );
    }
}

#[tokio::test]
async fn an_error_that_the_user_comes_back_with_has_a_kind() {
    for (code, kind) in [
        ("access_denied", ErrorKind::Declined),
        ("login_required", ErrorKind::ReauthRequired),
        ("invalid_scope", ErrorKind::InvalidRequest),
        ("unauthorized_client", ErrorKind::Config),
        ("temporarily_unavailable", ErrorKind::Unavailable),
        ("something_new", ErrorKind::InvalidRequest),
    ] {
        let error = completed(FACTS.into(), |s| format!("error={code}&state={s}")).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, Some(code)));
    }
    let refused = completed(FACTS.into(), |s| format!("error=invalid_client&state={s}")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config, "there is nothing else to try");
    let facts = FACTS.reauth_codes(&["something_new"]);
    let error = completed(facts.into(), |s| format!("error=something_new&state={s}")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReauthRequired);
}

#[tokio::test]
async fn an_authorization_is_kept_between_two_requests() {
    let script = Script::new([answer(200, TOKENS)]);
    let client = script.client(FACTS);
    let (_, pending) = client.authorize(AuthorizeRequest::new(["a"])).unwrap();
    let callback = good_callback(&pending);
    let stored = pending.to_stored().unwrap();
    let again = PendingAuthorization::from_stored(&stored).unwrap();
    assert!(again.state().ct_eq(pending.state().expose()));
    client.complete(again, callback).await.unwrap();
    assert!(script.only().body.contains("code_verifier="));

    let mut cut = stored.expose().clone();
    cut.truncate(20);
    for bad in [cut, b"{}".to_vec(), Vec::new()] {
        let error = PendingAuthorization::from_stored(&Secret::new(bad)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
    }
}

#[tokio::test]
async fn without_a_redirect_address_none_is_sent() {
    let script = Script::new([answer(200, TOKENS)]);
    let client =
        Client::builder(FACTS, "my-app").transport(script.clone()).clock(Clock::system()).build().unwrap();
    let (url, pending) = client.authorize(AuthorizeRequest::new(["a"])).unwrap();
    let callback = good_callback(&pending);
    client.complete(pending, callback).await.unwrap();
    let seen = script.only();
    assert!(!url.contains("redirect_uri") && !seen.body.contains("redirect_uri"));
    assert_eq!(
        (value(&pairs(&seen.body), "client_id").as_str(), seen.header("authorization")),
        ("my-app", "")
    );
}
