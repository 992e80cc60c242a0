//! The grants without a user, and what else there is to do with tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use integrations_core::provider::{ClientAuth, Exchange, OAuth, Refresh, TokenBody};
use integrations_core::seal::{Envelope, LocalKeys};
use integrations_core::{
    Body, Clock, ConnectionId, Effect, ErrorKind, LiveSecret, Payload, Result, SecretString, Transport,
    TransportError,
};
use integrations_oauth::store::MemoryTokens;
use integrations_oauth::{
    Address, AuthorizeRequest, Client, ClientAssertion, ClientCredentials, Issuer, JwtBearer, SigningKey,
    Statement, TokenSet, TokenSource, Vault,
};
use jiff::Timestamp;

use super::support::{FACTS, Script, TOKENS, answer, broken, expect, good_callback, pairs, start, value};

const NO_SCOPES: [&str; 0] = [];

fn present() -> TokenSet {
    let mut tokens = TokenSet::new("at-0", start());
    tokens.refresh = Some("rt-0".into());
    tokens
}

struct Signer(AtomicU32);

#[async_trait]
impl ClientAssertion for Signer {
    async fn assertion(&self, audience: &str, now: Timestamp) -> Result<SecretString> {
        assert_eq!(now.duration_since(start()).as_mins(), 0, "the client's clock");
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        Ok(format!("signed-{number}-for-{audience}").into())
    }
}

fn signer() -> Arc<Signer> {
    Arc::new(Signer(AtomicU32::new(0)))
}

#[tokio::test]
async fn a_refresh_goes_out_once_whatever_becomes_of_it() {
    let script = Script::new([answer(200, TOKENS)]);
    script.client(FACTS.refresh_params(&[("scope", "x")])).refresh(&present()).await.unwrap();
    let seen = script.only();
    assert_eq!((seen.op, seen.uri.to_string()), ("refresh", "https://id.example/token".to_owned()));
    let expected = expect(&[("grant_type", "refresh_token"), ("refresh_token", "rt-0"), ("scope", "x")]);
    assert_eq!(pairs(&seen.body), expected);

    for (lost, kind) in [
        (broken(true), ErrorKind::Transport),
        (answer(500, ""), ErrorKind::Unavailable),
        (answer(200, "<html>"), ErrorKind::Decode),
    ] {
        let script = Script::new([lost]);
        let error = script.client(FACTS).refresh(&present()).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (kind, Effect::Unknown));
        script.only();
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_did_not_go_out_is_tried_again() {
    let script = Script::new([broken(false), answer(200, TOKENS)]);
    script.client(FACTS).refresh(&present()).await.unwrap();
    assert_eq!(script.seen().len(), 2);
}

#[tokio::test]
async fn without_a_refresh_token_the_user_has_to_consent() {
    let client = Script::new([]).client(FACTS);
    let error = client.refresh(&TokenSet::new("at-0", start())).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::ReauthRequired, Effect::NotSent));
}

#[tokio::test]
async fn refreshes_have_an_address_of_their_own_where_the_vendor_has_one() {
    let script = Script::new([answer(200, TOKENS)]);
    script.client(FACTS.refresh_url("https://id.example/refresh")).refresh(&present()).await.unwrap();
    assert_eq!(script.only().uri, "https://id.example/refresh");
}

#[tokio::test]
async fn a_client_proves_itself_as_the_vendor_wants() {
    let sent = async |auth| {
        let script = Script::new([answer(200, TOKENS)]);
        script.client(FACTS.client_auth(auth)).client_credentials(["a", "b"]).await.unwrap();
        script.only()
    };
    let grant = [("grant_type", "client_credentials"), ("scope", "a b")];
    let basic = sent(ClientAuth::Basic).await;
    assert_eq!((basic.basic(), pairs(&basic.body)), ("my-app:s%2Fe%2Bc".to_owned(), expect(&grant)));
    let raw = sent(ClientAuth::BasicRaw).await;
    assert_eq!((raw.basic(), pairs(&raw.body)), ("my-app:s/e+c".to_owned(), expect(&grant)));
    let body = sent(ClientAuth::Body).await;
    let with_client = [grant[0], grant[1], ("client_id", "my-app"), ("client_secret", "s/e+c")];
    assert_eq!((body.header("authorization"), pairs(&body.body)), ("", expect(&with_client)));
}

#[tokio::test(start_paused = true)]
async fn a_signed_statement_is_made_anew_for_each_attempt() {
    let script = Script::new([answer(503, ""), answer(200, TOKENS)]);
    let client = script.builder(FACTS).assertion(signer()).build().unwrap();
    client.client_credentials(["a"]).await.unwrap();
    for (number, seen) in script.seen().iter().enumerate() {
        let expected = expect(&[
            ("grant_type", "client_credentials"),
            ("scope", "a"),
            ("client_id", "my-app"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &format!("signed-{number}-for-https://id.example/token")),
        ]);
        assert_eq!((pairs(&seen.body), seen.header("authorization")), (expected, ""));
    }
    assert_eq!(script.seen().len(), 2);

    let script = Script::new([answer(200, TOKENS)]);
    let facts = FACTS.client_auth(ClientAuth::Body);
    script.builder(facts).signed_secret(signer()).build().unwrap().refresh(&present()).await.unwrap();
    let sent = pairs(&script.only().body);
    assert_eq!(value(&sent, "client_secret"), "signed-0-for-https://id.example/token");
}

#[tokio::test]
async fn a_client_whose_secret_is_refused_is_set_up_wrongly() {
    let script = Script::new([answer(401, r#"{"error":"invalid_client"}"#)]);
    let error = script.client(FACTS).refresh(&present()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect(), error.code()),
        (ErrorKind::Config, Effect::Rejected, Some("invalid_client"))
    );
    assert!(error.hint().is_some());
    script.only();
}

/// Takes statements of its own time alone, as issuers do.
struct Punctual(Timestamp, Arc<Script>);

#[async_trait]
impl Transport for Punctual {
    async fn send(
        &self,
        request: http::Request<Body>,
        exchange: integrations_core::Exchange,
    ) -> Result<http::Response<Payload>, TransportError> {
        self.1.send(request, exchange).await?;
        let body = self.1.seen().pop().unwrap().body;
        let sent = pairs(&body);
        let (_, jwt) =
            sent.iter().find(|(name, _)| ["client_assertion", "assertion"].contains(&name.as_str())).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        let ours = self.0.as_second();
        let good = (claims["iat"].as_i64().unwrap()..claims["exp"].as_i64().unwrap()).contains(&ours);
        let is_client = body.contains("client_assertion=");
        let refusal =
            if is_client { r#"{"error":"invalid_client"}"# } else { r#"{"error":"invalid_grant"}"# };
        let date = self.0.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let response = http::Response::builder().status(if good { 200 } else { 400 }).header("date", date);
        Ok(response.body(Payload::Whole(if good { TOKENS } else { refusal }.into())).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_statement_is_dated_by_the_clock_of_an_issuer_that_refused_ours() {
    let statement = || {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let der = STANDARD.encode(pair.to_pkcs8v1().unwrap());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
        Statement::new(SigningKey::pem(&pem.into()).unwrap(), "my-app").subject("my-app")
    };
    for ahead in [-10, 10] {
        let theirs = start() + jiff::SignedDuration::from_mins(ahead);
        let script = Script::new((0..6).map(|_| answer(200, "")));
        let builder = || script.builder(FACTS).transport(Arc::new(Punctual(theirs, script.clone())));

        let client = builder().assertion(Arc::new(statement())).build().unwrap();
        client.refresh(&present()).await.unwrap();
        assert_eq!(script.seen().len(), 2, "one more request");
        client.refresh(&present()).await.unwrap();
        assert_eq!(script.seen().len(), 3, "and none for those that follow");

        let client = Client::builder(FACTS, "my-app").clock(Clock::virtual_from(start()));
        let client = client.transport(Arc::new(Punctual(theirs, script.clone()))).build().unwrap();
        let source = JwtBearer::new(client, statement(), ["a"]);
        source.initial().await.unwrap().unwrap();
        assert_eq!(script.seen().len(), 5);
        source.refresh(&present()).await.unwrap();
        assert_eq!(script.seen().len(), 6);
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_replaced_during_a_call_is_tried_once_more() {
    let refused = || answer(401, r#"{"error":"invalid_client"}"#);
    let called = async |answers: Vec<_>| {
        let script = Script::new(answers);
        let secret = LiveSecret::from("old-secret");
        let rotated = Rotating { script: script.clone(), secret: secret.clone() };
        let client =
            script.builder(FACTS.client_auth(ClientAuth::Body)).secret(secret).transport(Arc::new(rotated));
        let outcome = client.build().unwrap().refresh(&present()).await;
        let sent: Vec<_> =
            script.seen().iter().map(|seen| value(&pairs(&seen.body), "client_secret")).collect();
        (outcome, sent)
    };
    let (outcome, sent) = called(vec![refused(), answer(200, TOKENS)]).await;
    assert_eq!(outcome.unwrap().access.expose(), "at-1");
    assert_eq!(sent, ["old-secret", "new-secret"]);
    // The refresh token is the same: a refused client has spent nothing.
    let (outcome, sent) = called(vec![refused(), refused()]).await;
    let error = outcome.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Config, Effect::Rejected));
    assert_eq!(sent, ["old-secret", "new-secret"]);
}

/// Puts a new secret into use while the first request is under way.
struct Rotating {
    script: Arc<Script>,
    secret: LiveSecret,
}

#[async_trait]
impl Transport for Rotating {
    async fn send(
        &self,
        request: http::Request<Body>,
        exchange: integrations_core::Exchange,
    ) -> Result<http::Response<Payload>, TransportError> {
        let answer = self.script.send(request, exchange).await;
        self.secret.set("new-secret").unwrap();
        answer
    }
}

#[tokio::test]
async fn token_requests_are_json_or_a_query_where_the_vendor_wants_that() {
    const ODD: OAuth = FACTS.client_auth(ClientAuth::Body).renames(&[
        ("client_id", "client_key"),
        ("client_secret", "secret"),
        ("refresh_token", "token"),
    ]);
    let script = Script::new([answer(200, TOKENS), answer(200, TOKENS), answer(200, "")]);
    let json = script.client(ODD.token_body(TokenBody::Json));
    json.refresh(&present()).await.unwrap();
    script.client(ODD.token_body(TokenBody::Query)).refresh(&present()).await.unwrap();
    json.revoke(&present()).await.unwrap();

    let seen = script.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].header("content-type")), ("POST", "application/json"));
    let body: serde_json::Value = serde_json::from_str(&seen[0].body).unwrap();
    let expected = serde_json::json!({
        "grant_type": "refresh_token", "token": "rt-0", "client_key": "my-app", "secret": "s/e+c",
    });
    assert_eq!(body, expected);

    assert_eq!(
        (seen[1].method.as_str(), seen[1].body.as_str(), seen[1].header("content-type")),
        ("GET", "", "")
    );
    let expected = expect(&[
        ("grant_type", "refresh_token"),
        ("token", "rt-0"),
        ("client_key", "my-app"),
        ("secret", "s/e+c"),
    ]);
    assert_eq!(pairs(seen[1].uri.query().unwrap()), expected);

    // The departures of the token address are not those of others.
    assert_eq!(seen[2].header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(value(&pairs(&seen[2].body), "client_key"), "my-app");
}

#[tokio::test]
async fn the_slash_at_the_end_of_an_address_stays() {
    const SLASHED: OAuth = OAuth::new("https://id.example/token/")
        .authorize_url("https://id.example/auth/")
        .revoke_url("https://id.example/revoke/");
    let script =
        Script::new([answer(200, TOKENS), answer(200, TOKENS), answer(200, TOKENS), answer(200, "")]);
    for body in [TokenBody::Form, TokenBody::Json, TokenBody::Query] {
        script.client(SLASHED.token_body(body)).refresh(&present()).await.unwrap();
    }
    let client = script.client(SLASHED);
    client.revoke(&present()).await.unwrap();
    let paths: Vec<String> = script.seen().iter().map(|seen| seen.uri.path().to_owned()).collect();
    assert_eq!(paths, ["/token/", "/token/", "/token/", "/revoke/"]);
    let (url, _) = client.authorize(AuthorizeRequest::new(["a"])).unwrap();
    assert!(url.starts_with("https://id.example/auth/?"), "{url}");
}

#[tokio::test]
async fn a_signed_statement_about_somebody_is_exchanged() {
    let script = Script::new([answer(200, TOKENS), answer(200, TOKENS)]);
    let public = Client::builder(FACTS, "unnamed").transport(script.clone()).build().unwrap();
    public.jwt_bearer("signed", ["a"]).await.unwrap();
    script.client(FACTS).jwt_bearer("signed", NO_SCOPES).await.unwrap();
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let seen = script.seen();
    assert_eq!(pairs(&seen[0].body), expect(&[grant, ("assertion", "signed"), ("scope", "a")]));
    assert_eq!(seen[0].header("authorization"), "");
    assert_eq!(pairs(&seen[1].body), expect(&[grant, ("assertion", "signed")]));
    assert_eq!(seen[1].basic(), "my-app:s%2Fe%2Bc");

    let script = Script::new([answer(400, r#"{"error":"invalid_grant"}"#)]);
    let error = script.client(FACTS).jwt_bearer("signed", NO_SCOPES).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "no user can mend a signature");
    for code in ["invalid_rapt", "interaction_required", "ended"] {
        let facts = FACTS.reauth_codes(&["interaction_required", "ended"]);
        let script = Script::new([answer(400, format!(r#"{{"error":"{code}"}}"#))]);
        let error = script.client(facts).client_credentials(["a"]).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, Some(code)), "there is no user");
    }
}

#[tokio::test]
async fn tokens_are_ended_the_refresh_token_first() {
    let script = Script::new([answer(200, "")]);
    script.client(FACTS).revoke(&present()).await.unwrap();
    let seen = script.only();
    assert_eq!((seen.op, seen.uri.path()), ("revoke", "/revoke"));
    assert_eq!(pairs(&seen.body), expect(&[("token", "rt-0"), ("token_type_hint", "refresh_token")]));

    let script = Script::new([answer(200, "{}")]);
    script.client(FACTS).revoke(&TokenSet::new("at-0", start())).await.unwrap();
    assert_eq!(pairs(&script.only().body), expect(&[("token", "at-0"), ("token_type_hint", "access_token")]));

    let unsupported = r#"{"error":"unsupported_token_type"}"#;
    let script = Script::new([answer(400, unsupported), answer(200, "")]);
    script.client(FACTS).revoke(&present()).await.unwrap();
    assert_eq!(value(&pairs(&script.seen()[1].body), "token"), "at-0");

    let unknown = |code: &str| answer(400, format!(r#"{{"error":"{code}"}}"#));
    for code in ["invalid_token", "invalid_grant", "bad_refresh_token"] {
        let script = Script::new([unknown(code)]);
        script.client(FACTS.reauth_codes(&["bad_refresh_token"])).revoke(&present()).await.unwrap();
        script.only();
    }
    for code in ["invalid_client", "invalid_request", "access_denied"] {
        let script = Script::new([unknown(code)]);
        script.client(FACTS).revoke(&present()).await.unwrap_err();
    }

    let script = Script::new([answer(400, unsupported), answer(400, unsupported)]);
    let error = script.client(FACTS).revoke(&present()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let nowhere = Script::new([]).client(OAuth::new("https://id.example/token"));
    assert_eq!(nowhere.revoke(&present()).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn tokens_are_ended_on_this_machine_too() {
    let script = Script::new([answer(200, "")]);
    let local = Issuer::from(FACTS).at(Address::Revoke, "http://127.0.0.1:9/revoke");
    script.client(local).revoke(&present()).await.unwrap();
    assert_eq!(script.only().uri, "http://127.0.0.1:9/revoke");
}

#[tokio::test]
async fn an_issuer_says_what_it_knows_of_a_token() {
    let told = r#"{"active":true,"scope":"a b","client_id":"c","sub":"s","exp":1767229200,"aud":["x"]}"#;
    let script = Script::new([answer(200, told), answer(200, r#"{"active":false}"#), answer(200, "{}")]);
    let client = script.client(FACTS);
    let found = client.introspect(&"at-0".into()).await.unwrap();
    assert!(found.active);
    assert_eq!(found.scopes.unwrap(), ["a", "b"]);
    assert_eq!((found.client_id.as_deref(), found.subject.as_deref()), (Some("c"), Some("s")));
    assert_eq!(found.expires_at, Some("2026-01-01T01:00:00Z".parse().unwrap()));
    assert_eq!(found.extra["aud"].expose(), r#"["x"]"#);
    let seen = &script.seen()[0];
    assert_eq!(
        (seen.op, seen.uri.path(), value(&pairs(&seen.body), "token").as_str()),
        ("introspect", "/introspect", "at-0")
    );
    assert!(!client.introspect(&"at-0".into()).await.unwrap().active);
    assert_eq!(client.introspect(&"at-0".into()).await.unwrap_err().kind(), ErrorKind::Decode);
}

const EXTENDING: OAuth = FACTS
    .refresh(Refresh::Extend)
    .upgrade(Exchange::new("https://api.example/long", "ig_exchange_token", "access_token").with_client())
    .extend(Exchange::new("https://api.example/longer", "ig_refresh_token", "access_token"));

#[tokio::test(start_paused = true)]
async fn a_short_lived_token_is_upgraded_at_once_and_keeps_what_came_with_it() {
    let script = Script::new([
        answer(200, r#"{"access_token":"short","user_id":17}"#),
        answer(503, ""),
        answer(200, r#"{"access_token":"long","expires_in":5184000}"#),
    ]);
    let client = script.client(EXTENDING);
    let (_, pending) = client.authorize(AuthorizeRequest::new(["a"])).unwrap();
    let callback = good_callback(&pending);
    let tokens = client.complete(pending, callback).await.unwrap();
    assert_eq!((tokens.access.expose().as_str(), tokens.extra["user_id"].expose().as_str()), ("long", "17"));
    let seen = &script.seen()[2];
    assert_eq!((seen.op, seen.method.as_str(), seen.uri.path()), ("upgrade", "GET", "/long"));
    let expected = expect(&[
        ("grant_type", "ig_exchange_token"),
        ("access_token", "short"),
        ("client_id", "my-app"),
        ("client_secret", "s/e+c"),
    ]);
    assert_eq!(pairs(seen.uri.query().unwrap()), expected);
}

#[tokio::test(start_paused = true)]
async fn a_short_lived_token_is_not_lost_when_its_upgrade_fails_and_is_upgraded_by_the_next_refresh() {
    const LONG: &str = r#"{"access_token":"long","expires_in":5184000}"#;
    for facts in [EXTENDING, EXTENDING.refresh(Refresh::None)] {
        let facts = facts.limit_codes(&["4"]);
        let short = answer(200, r#"{"access_token":"short","user_id":17,"expires_in":3600}"#);
        let away = (0..3).map(|_| answer(400, r#"{"error":{"code":4,"type":"OAuthException"}}"#));
        let script =
            Script::new([short].into_iter().chain(away).chain([answer(200, LONG), answer(200, LONG)]));
        let client = script.client(facts);
        let (_, pending) = client.authorize(AuthorizeRequest::new(["a"])).unwrap();
        let callback = good_callback(&pending);
        let tokens = client.complete(pending, callback).await.unwrap();
        assert_eq!(tokens.access.expose(), "short");
        assert_eq!(tokens.expires_at, Some(start() + jiff::SignedDuration::from_hours(1)));

        let upgraded = client.refresh(&tokens).await.unwrap();
        assert_eq!(upgraded.access.expose(), "long");
        let last = script.seen().pop().unwrap();
        assert_eq!(
            (last.op, value(&pairs(last.uri.query().unwrap()), "access_token").as_str()),
            ("upgrade", "short")
        );
        assert_eq!(upgraded.extra["user_id"].expose(), "17");
        // It is not upgraded twice.
        match client.refresh(&upgraded).await {
            Ok(_) => assert_eq!(script.seen().pop().unwrap().op, "extend"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ReauthRequired),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_vault_upgrades_a_short_lived_token_once_and_extends_what_came_of_it() {
    let long = |name: &str| answer(200, format!(r#"{{"access_token":"{name}","expires_in":5184000}}"#));
    let short = answer(200, r#"{"access_token":"short","expires_in":3600}"#);
    let away = (0..3).map(|_| answer(503, ""));
    let script =
        Script::new([short].into_iter().chain(away).chain([long("long"), long("longer"), long("longest")]));
    let clock = Clock::virtual_from(start());
    let client = script.builder(EXTENDING).clock(clock.clone()).build().unwrap();
    let (_, pending) = client.authorize(AuthorizeRequest::new(["a"])).unwrap();
    let callback = good_callback(&pending);
    let tokens = client.complete(pending, callback).await.unwrap();

    let keys = LocalKeys::parse(&LocalKeys::generate().unwrap()).unwrap();
    let sealer = Arc::new(Envelope::new(Arc::new(keys), "oauth"));
    let vault = Vault::builder(Arc::new(MemoryTokens::new()), sealer).source("photos", Arc::new(client));
    let vault = vault.clock(clock).build();
    let ada = ConnectionId::new("acme", "photos", "ada").unwrap();
    vault.connect(&ada, tokens).await.unwrap();
    let mut used = Vec::new();
    for days in [0, 1, 61, 122] {
        tokio::time::advance(Duration::from_secs(days * 24 * 3_600)).await;
        used.push(vault.token(&ada).await.unwrap().token.expose().clone());
    }
    assert_eq!(used, ["short", "long", "longer", "longest"]);
    let ops: Vec<&str> = script.seen().iter().map(|seen| seen.op).collect();
    assert_eq!(ops[4..], ["upgrade", "extend", "extend"]);
}

#[tokio::test]
async fn an_upgrade_that_is_refused_fails_the_flow() {
    let script =
        Script::new([answer(200, r#"{"access_token":"short"}"#), answer(400, r#"{"error":{"code":100}}"#)]);
    let client = script.client(EXTENDING);
    let (_, pending) = client.authorize(AuthorizeRequest::new(["a"])).unwrap();
    let callback = good_callback(&pending);
    let error = client.complete(pending, callback).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::InvalidRequest, Some("100")));
}

#[tokio::test]
async fn a_token_without_a_refresh_token_is_extended_by_itself() {
    let script = Script::new([answer(200, r#"{"access_token":"longer","expires_in":5184000}"#)]);
    let tokens = script.client(EXTENDING).refresh(&TokenSet::new("long", start())).await.unwrap();
    assert_eq!(tokens.access.expose(), "longer");
    let seen = script.only();
    assert_eq!((seen.op, seen.uri.path(), seen.header("authorization")), ("extend", "/longer", ""));
    let expected = expect(&[("grant_type", "ig_refresh_token"), ("access_token", "long")]);
    assert_eq!(pairs(seen.uri.query().unwrap()), expected);
}

#[tokio::test]
async fn a_vault_gets_its_tokens_from_a_client() {
    let script = Script::new([answer(200, TOKENS), answer(200, "")]);
    let source: Arc<dyn TokenSource> = Arc::new(script.client(FACTS.scheme("Zoho-oauthtoken")));
    assert_eq!(source.scheme(), "Zoho-oauthtoken");
    assert!(source.initial().await.unwrap().is_none());
    assert_eq!(source.refresh(&present()).await.unwrap().access.expose(), "at-1");
    source.revoke(&present()).await.unwrap();
}

#[test]
fn sources_say_without_a_request_whether_they_can_go_on() {
    let script = Script::new([]);
    let bare = TokenSet::new("at-0", start());
    let client = script.client(FACTS);
    assert!(client.needs_user() && client.can_refresh(&present()) && !client.can_refresh(&bare));
    assert!(script.client(EXTENDING).can_refresh(&bare), "the access token itself is exchanged");
    let own = ClientCredentials::new(client, ["a"]);
    assert!(!own.needs_user() && own.can_refresh(&bare));
}

#[tokio::test]
async fn a_client_of_its_own_begins_anew_when_its_refresh_token_has_ended() {
    let script = Script::new([
        answer(200, TOKENS),
        answer(200, TOKENS),
        answer(400, r#"{"error":"invalid_grant"}"#),
        answer(200, TOKENS),
        answer(200, TOKENS),
    ]);
    let source = ClientCredentials::new(script.client(FACTS), ["a"]);
    let first = source.initial().await.unwrap().unwrap();
    source.refresh(&first).await.unwrap();
    source.refresh(&first).await.unwrap();
    source.refresh(&TokenSet::new("at-0", start())).await.unwrap();
    let ops: Vec<&str> = script.seen().iter().map(|seen| seen.op).collect();
    let grant = "client_credentials";
    assert_eq!(ops, [grant, "refresh", "refresh", grant, grant]);

    let script = Script::new([answer(503, r#"{"error":"temporarily_unavailable"}"#)]);
    let source = ClientCredentials::new(script.client(FACTS), ["a"]);
    assert_eq!(source.refresh(&present()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(script.only().op, "refresh", "a lost answer is no reason to begin anew");
}

#[test]
fn a_client_that_is_set_up_wrongly_is_not_built() {
    let build = |issuer: Issuer, id: &str, uri: &str| {
        Client::builder(issuer, id).transport(Script::new([])).redirect_uri(uri).build()
    };
    assert!(build(FACTS.into(), "a", "https://app.example/cb").is_ok());
    let insecure = Issuer::from(FACTS).at(Address::Token, "http://id.example/token");
    for bad in [
        build(FACTS.into(), "", "https://app.example/cb"),
        build(FACTS.into(), "a", "/cb"),
        build(insecure, "a", "https://app.example/cb"),
    ] {
        assert_eq!(bad.unwrap_err().kind(), ErrorKind::Config);
    }
}
