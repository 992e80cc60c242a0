//! Against npm's `oidc-provider`, an issuer that is certified and knows nothing of this client. `cargo xtask test` starts
//! it; `INTEGRATIONS_TEST_OIDC` is its address. What it knows stands at the top of `xtask/services/oidc/server.mjs`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use integrations_core::pipeline::{Policy, Scope, Stages};
use integrations_core::seal::{Envelope, LocalKeys};
use integrations_core::{ConnectionId, CredentialVersion, Effect, ErrorKind, Transport};
use integrations_http::{HttpTransport, Proxy};
use integrations_oauth::store::MemoryTokens;
use integrations_oauth::{
    AuthorizeRequest, Callback, Client, ClientCredentials, ConnectionState, DevicePoll, Issuer,
    PendingAuthorization, Reauth, SigningKey, Statement, TokenSet, Vault,
};

const REDIRECT: &str = "http://127.0.0.1:49152/callback";
const BASIC: &str = "basic%2F/+:secret%";
const POST: &str = "post%2F/+:secret%";

/// The address of the issuer, or a line that says what is not tested.
fn address(test: &str) -> Option<String> {
    let address = std::env::var("INTEGRATIONS_TEST_OIDC").ok();
    if address.is_none() {
        eprintln!(
            "skipped: {test} needs INTEGRATIONS_TEST_OIDC, the address that `cargo xtask services` prints"
        );
    }
    address
}

fn transport() -> Arc<dyn Transport> {
    Arc::new(HttpTransport::builder().proxy(Proxy::none()).build().unwrap())
}

async fn issuer(address: &str) -> Issuer {
    let pipeline = Stages::new().pipeline(Scope::new("", "oidc"), Policy::default()).unwrap();
    Issuer::discover(address, transport(), pipeline).await.unwrap()
}

async fn client(address: &str, id: &str, secret: Option<&str>) -> Client {
    let mut client = Client::builder(issuer(address).await, id).redirect_uri(REDIRECT).transport(transport());
    if let Some(secret) = secret {
        client = client.secret(secret);
    }
    client.build().unwrap()
}

/// What a browser without a user would get: the status and the address that it is sent to.
fn get(url: &str) -> (u16, Option<String>) {
    let answer = answer(url);
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let location = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("location").then(|| value.to_owned())
    });
    (status, location)
}

fn body(url: &str) -> String {
    answer(url).split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn answer(url: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET /{path} HTTP/1.0\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The user's consent, or refusal: `route` is `authorize` or `deny`.
fn consent(address: &str, url: &str, route: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    get(&format!("{address}/test/{route}?{query}")).1.expect("the issuer sends the browser back")
}

async fn connect(address: &str, client: &Client) -> TokenSet {
    let request = AuthorizeRequest::new(["openid", "offline_access", "api:read"]);
    let (url, pending) = client.authorize(request).unwrap();
    // Through storage, as between two requests of an application.
    let pending = PendingAuthorization::from_stored(&pending.to_stored().unwrap()).unwrap();
    let callback = Callback::parse(&consent(address, &url, "authorize")).unwrap();
    client.complete(pending, callback).await.unwrap()
}

#[tokio::test]
async fn a_code_with_pkce_becomes_tokens_for_each_kind_of_client() {
    let Some(address) = address("the code flow") else { return };
    for (id, secret) in [("basic", Some(BASIC)), ("native", None)] {
        let client = client(&address, id, secret).await;
        let tokens = connect(&address, &client).await;
        assert!(tokens.refresh.is_some() && tokens.id_token.is_some(), "{id}: {tokens:?}");
        let life = tokens.expires_at.unwrap().duration_since(tokens.obtained_at).as_secs();
        assert!((3_590..=3_600).contains(&life), "{life}");
    }
    let facts = integrations_core::provider::OAuth::new("")
        .client_auth(integrations_core::provider::ClientAuth::Body);
    let posting = Issuer::from(facts);
    let posting =
        [(integrations_oauth::Address::Token, "token"), (integrations_oauth::Address::Authorize, "auth")]
            .into_iter()
            .fold(posting, |issuer, (at, path)| issuer.at(at, format!("{address}/{path}")));
    let client = Client::builder(posting, "post").secret(POST).redirect_uri(REDIRECT).transport(transport());
    assert!(connect(&address, &client.build().unwrap()).await.refresh.is_some());
}

#[tokio::test]
async fn a_signed_statement_stands_for_a_secret() {
    let Some(address) = address("private_key_jwt") else { return };
    for algorithm in ["RS256", "ES256"] {
        let key = SigningKey::pem(&body(&format!("{address}/test/private-key/{algorithm}")).into()).unwrap();
        let statement = Statement::new(key.id(algorithm), "jwt").subject("jwt");
        let client = Client::builder(issuer(&address).await, "jwt").transport(transport());
        let client = client.assertion(Arc::new(statement)).build().unwrap();
        let tokens = client.client_credentials(["api:read"]).await.unwrap();
        assert!(client.introspect(&tokens.access).await.unwrap().active);
    }
}

#[tokio::test]
async fn a_wrong_secret_is_a_matter_of_configuration() {
    let Some(address) = address("a wrong secret") else { return };
    let client = client(&address, "basic", Some("wrong")).await;
    let e = client.client_credentials(&["api:read"]).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Config, Some("invalid_client")), "{e:?}");
}

#[tokio::test]
async fn a_code_is_good_for_its_own_flow_and_once() {
    let Some(address) = address("codes") else { return };
    let client = client(&address, "basic", Some(BASIC)).await;
    let begin = || client.authorize(AuthorizeRequest::new(["openid"])).unwrap();
    let ((url, pending), (_, other)) = (begin(), begin());
    let answer = consent(&address, &url, "authorize");

    let e = client.complete(other, Callback::parse(&answer).unwrap()).await.unwrap_err();
    assert_eq!(e.effect(), Effect::NotSent, "another flow's state: {e:?}");
    let stored = pending.to_stored().unwrap();
    let again = PendingAuthorization::from_stored(&stored).unwrap();
    client.complete(pending, Callback::parse(&answer).unwrap()).await.unwrap();
    let e = client.complete(again, Callback::parse(&answer).unwrap()).await.unwrap_err();
    assert_eq!(e.code(), Some("invalid_grant"), "the code is used up: {e:?}");

    // The answer of another issuer, with a state that was listened to.
    let (url, pending) = begin();
    let answer = consent(&address, &url, "authorize");
    let iss = format!("iss={}", address.replace(':', "%3A").replace('/', "%2F"));
    assert!(answer.contains(&iss), "{answer}");
    for forged in [answer.replace(&iss, "iss=https%3A%2F%2Fevil.example"), answer.replace(&iss, "x=y")] {
        let pending = PendingAuthorization::from_stored(&pending.to_stored().unwrap()).unwrap();
        let e = client.complete(pending, Callback::parse(&forged).unwrap()).await.unwrap_err();
        assert_eq!(e.effect(), Effect::NotSent, "{e:?}");
    }
    client.complete(pending, Callback::parse(&answer).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_user_who_refuses_is_told_apart() {
    let Some(address) = address("a refusal") else { return };
    let client = client(&address, "basic", Some(BASIC)).await;
    let (url, pending) = client.authorize(AuthorizeRequest::new(["openid"])).unwrap();
    let callback = Callback::parse(&consent(&address, &url, "deny")).unwrap();
    let e = client.complete(pending, callback).await.unwrap_err();
    assert_eq!(e.code(), Some("access_denied"), "{e:?}");
}

#[tokio::test]
async fn a_refresh_token_that_is_used_twice_ends_the_grant() {
    let Some(address) = address("reuse of a refresh token") else { return };
    let client = client(&address, "basic", Some(BASIC)).await;
    let first = connect(&address, &client).await;
    let second = client.refresh(&first).await.unwrap();
    assert_ne!(second.refresh.as_ref().unwrap().expose(), first.refresh.as_ref().unwrap().expose());
    let e = client.refresh(&first).await.unwrap_err();
    assert_eq!(
        (e.kind(), e.code(), e.effect()),
        (ErrorKind::ReauthRequired, Some("invalid_grant"), Effect::Rejected)
    );
    assert_eq!(
        client.refresh(&second).await.unwrap_err().kind(),
        ErrorKind::ReauthRequired,
        "the family is gone"
    );
}

#[tokio::test]
async fn what_is_revoked_is_inactive() {
    let Some(address) = address("revocation and introspection") else { return };
    let client = client(&address, "basic", Some(BASIC)).await;
    let tokens = connect(&address, &client).await;
    let seen = client.introspect(&tokens.access).await.unwrap();
    assert!(seen.active && seen.client_id.as_deref() == Some("basic"), "{seen:?}");
    client.revoke(&tokens).await.unwrap();
    assert!(!client.introspect(tokens.refresh.as_ref().unwrap()).await.unwrap().active);
    assert_eq!(client.refresh(&tokens).await.unwrap_err().kind(), ErrorKind::ReauthRequired);
    client.revoke(&tokens).await.unwrap();
}

#[tokio::test]
async fn a_device_gets_its_tokens_when_the_user_approves() {
    let Some(address) = address("the device flow") else { return };
    let client = client(&address, "native", None).await;
    let device = client.start_device(["openid", "offline_access"]).await.unwrap();
    assert!(device.verification_uri().starts_with(&address) && !device.user_code().is_empty());
    assert!(matches!(client.poll_device(&device).await.unwrap(), DevicePoll::Pending { .. }));
    assert_eq!(get(&format!("{address}/test/device/approve?user_code={}", device.user_code())).0, 204);
    let DevicePoll::Done(tokens) = client.poll_device(&device).await.unwrap() else { panic!("not approved") };
    assert!(tokens.refresh.is_some());
    assert!(client.poll_device(&device).await.is_err(), "a device code is used once");

    let device = client.start_device(["openid"]).await.unwrap();
    assert_eq!(get(&format!("{address}/test/device/deny?user_code={}", device.user_code())).0, 204);
    let e = client.poll_device(&device).await.unwrap_err();
    assert_eq!(e.code(), Some("access_denied"), "{e:?}");
}

fn vault(source: Arc<dyn integrations_oauth::TokenSource>) -> Vault {
    let keys = LocalKeys::parse(&LocalKeys::generate().unwrap()).unwrap();
    let sealer = Arc::new(Envelope::new(Arc::new(keys), "oauth"));
    Vault::builder(Arc::new(MemoryTokens::new()), sealer)
        .source("oidc", source)
        .refused_again_after(Duration::ZERO)
        .build()
}

#[tokio::test]
async fn the_vault_keeps_a_session_alive_until_the_user_withdraws_it() {
    let Some(address) = address("the vault") else { return };
    let client = Arc::new(client(&address, "basic", Some(BASIC)).await);
    let vault = vault(client.clone());
    let ada = ConnectionId::new("acme", "oidc", "ada").unwrap();
    vault.connect(&ada, connect(&address, &client).await).await.unwrap();
    for _ in 0..20 {
        let old = vault.token(&ada).await.unwrap();
        let proof = vault.authorizer(&ada);
        let calls = (0..20).map(|_| {
            let proof = proof.clone();
            tokio::spawn(async move { proof.refresh(Some(CredentialVersion(old.version))).await.unwrap() })
        });
        for call in calls.collect::<Vec<_>>() {
            assert!(call.await.unwrap());
        }
        let new = vault.token(&ada).await.unwrap();
        assert_eq!(new.version, old.version + 1, "one exchange for twenty calls");
        assert!(client.introspect(&new.token).await.unwrap().active);
    }
    let tokens = vault.tokens(&ada).await.unwrap();
    let refresh = tokens.refresh.unwrap();
    let encoded = percent_encoding::utf8_percent_encode(refresh.expose(), percent_encoding::NON_ALPHANUMERIC);
    assert_eq!(get(&format!("{address}/test/revoke?refresh_token={encoded}")).0, 204);
    let version = vault.token(&ada).await.unwrap().version;
    let e = vault.authorizer(&ada).refresh(Some(CredentialVersion(version))).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ReauthRequired);
    let ConnectionState::ReauthRequired { reason, .. } = vault.state(&ada).await.unwrap().unwrap() else {
        panic!("it is dead")
    };
    assert_eq!(reason, Reauth::Refused { code: "invalid_grant".into() });
}

#[tokio::test]
async fn the_application_itself_gets_tokens_without_a_user() {
    let Some(address) = address("client credentials") else { return };
    let client = client(&address, "basic", Some(BASIC)).await;
    let vault = vault(Arc::new(ClientCredentials::new(client.clone(), ["api:read"])));
    let own = ConnectionId::new("", "oidc", "app").unwrap();
    let token = vault.token(&own).await.unwrap();
    let seen = client.introspect(&token.token).await.unwrap();
    assert!(seen.active);
    assert_eq!(seen.scopes, Some(vec!["api:read".to_owned()]));
    assert!(vault.disconnect(&own).await.is_ok());
    assert!(!client.introspect(&token.token).await.unwrap().active);
}
