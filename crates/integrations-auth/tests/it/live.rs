//! Against npm's `oidc-provider`, an issuer that is certified and knows nothing of this client. `cargo xtask test` starts
//! it; `INTEGRATIONS_TEST_OIDC` is its address. What it knows stands at the top of `xtask/services/oidc/server.mjs`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use integrations_auth::oidc::Oidc;
use integrations_auth::{
    AuthCap, Expect, IdTokenVerifier, IdentityKey, JwksCache, LogoutRequest, SignIn, SignInRequest, SignedIn,
};
use integrations_core::{Clock, ErrorKind, Result, SecretString};
use integrations_http::{HttpTransport, Proxy};
use jiff::{SignedDuration, Timestamp};

const REDIRECT: &str = "http://127.0.0.1:49152/callback";
const SECRET: &str = "basic%2F/+:secret%";

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

fn transport() -> HttpTransport {
    HttpTransport::builder().proxy(Proxy::none()).build().unwrap()
}

fn oidc(issuer: &str) -> SignIn {
    let builder =
        Oidc::builder().issuer(issuer).client_id("basic").client_secret(SECRET).redirect_uri(REDIRECT);
    SignIn::new(builder.transport(transport()).build().unwrap())
}

/// The head of the answer to a browser without a user.
fn get(url: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET /{path} HTTP/1.0\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().0.to_owned()
}

/// Where the user comes back to.
fn consent(address: &str, query: &str) -> String {
    let head = get(&format!("{address}/test/authorize?{query}"));
    let location = head
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("location")));
    location.unwrap_or_else(|| panic!("{head}")).1.to_owned()
}

/// A sign-in whose query is changed on the way to the issuer.
async fn sign_in_with(address: &str, oidc: &SignIn, change: impl Fn(&str) -> String) -> Result<SignedIn> {
    let begun = oidc.begin(SignInRequest::new().max_age(Duration::from_secs(300))).await?;
    let query = change(begun.url.split_once('?').unwrap().1);
    oidc.complete(begun.pending, &consent(address, &query)).await
}

async fn sign_in(address: &str, oidc: &SignIn) -> Result<SignedIn> {
    sign_in_with(address, oidc, str::to_owned).await
}

#[tokio::test]
async fn somebody_comes_back_known() {
    let Some(address) = address("sign-in") else { return };
    let oidc = oidc(&address);
    let signed_in = sign_in(&address, &oidc).await.unwrap();
    assert_eq!(signed_in.identity.key, IdentityKey::new(&address, "ada"));
    assert_eq!(signed_in.identity.email.as_ref().unwrap().verified().unwrap().as_str(), "ada@example.com");
    assert!(signed_in.authenticated_at.is_some());
    let profile = oidc.profile(&signed_in.tokens.access).await.unwrap();
    assert_eq!((&profile.key, &profile.email), (&signed_in.identity.key, &signed_in.identity.email));
    let next = oidc.refresh(&signed_in.tokens).await.unwrap();
    assert!(next.id_token.is_some());
    oidc.revoke(&next).await.unwrap();
    assert!(!oidc.can(AuthCap::LogoutNotice), "this one tells nobody");
    let mut request = LogoutRequest::default();
    request.id_token = next.id_token;
    let page = get(&oidc.logout_url(&request).await.unwrap());
    assert!(page.contains(" 200 "), "{page}");
}

#[tokio::test]
async fn a_statement_for_another_flow_or_of_another_issuer_signs_nobody_in() {
    let Some(address) = address("wrong statements") else { return };
    let client = oidc(&address);
    let replaced = |query: &str| {
        let pairs =
            query.split('&').map(|pair| if pair.starts_with("nonce=") { "nonce=another" } else { pair });
        pairs.collect::<Vec<_>>().join("&")
    };
    let error = sign_in_with(&address, &client, replaced).await.unwrap_err();
    assert!(error.message().contains("nonce"), "{error:?}");
    let other = oidc(&address.replace("127.0.0.1", "localhost"));
    let error = sign_in(&address, &other).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.message().contains("calls itself"), "{error:?}");
}

/// A verifier whose clock is ahead of this machine's by so many seconds.
fn verifier(address: &str, issuer: &str, client: &str, ahead: i64) -> IdTokenVerifier {
    let keys = JwksCache::builder(format!("{address}/jwks"), Arc::new(transport())).build().unwrap();
    let clock = Clock::virtual_from(Timestamp::now() + SignedDuration::from_secs(ahead));
    IdTokenVerifier::new(keys, issuer, client).clock(clock)
}

#[tokio::test]
async fn a_statement_is_held_against_issuer_client_and_time() {
    let Some(address) = address("statements") else { return };
    let token: SecretString = sign_in(&address, &oidc(&address)).await.unwrap().tokens.id_token.unwrap();
    let code = async |verifier: IdTokenVerifier| {
        let refused = verifier.verify(&token, &Expect::new()).await.err()?;
        Some((refused.code().unwrap().to_owned(), refused.hint().unwrap_or_default().to_owned()))
    };
    assert_eq!(code(verifier(&address, &address, "basic", 0)).await, None);
    let refused = |issuer: String, client: &str, ahead| code(verifier(&address, &issuer, client, ahead));
    assert_eq!(refused(address.clone(), "post", 0).await.unwrap().0, "claim_mismatch");
    assert_eq!(refused("https://evil.example".to_owned(), "basic", 0).await.unwrap().0, "claim_mismatch");
    let (word, hint) = refused(address.clone(), "basic", 3600 + 90).await.unwrap();
    assert!(word == "expired" && hint.contains("ahead"), "{hint}");
    let (word, hint) = refused(address.clone(), "basic", -90).await.unwrap();
    assert!(word == "not_yet_valid" && hint.contains("behind"), "{hint}");
}

#[tokio::test]
async fn a_rotation_locks_nobody_out() {
    let Some(address) = address("a rotation") else { return };
    let oidc = oidc(&address);
    sign_in(&address, &oidc).await.unwrap();
    assert!(get(&format!("{address}/test/rotate")).contains(" 204 "));
    sign_in(&address, &oidc).await.unwrap();
}
