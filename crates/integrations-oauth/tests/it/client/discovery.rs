//! Issuers that say where they are.

use integrations_core::{ErrorKind, Result};
use integrations_oauth::{Address, AuthorizeRequest, Callback, Client, Issuer};

use super::support::{Script, TOKENS, answer, good_callback, pipeline};

const URL: &str = "https://id.example/realm";
const METADATA: &str = r#"{
    "issuer":"https://id.example/realm",
    "authorization_endpoint":"https://id.example/realm/auth",
    "token_endpoint":"https://id.example/realm/token",
    "revocation_endpoint":"https://id.example/realm/revoke",
    "jwks_uri":"https://id.example/realm/keys",
    "userinfo_endpoint":"https://id.example/realm/me",
    "end_session_endpoint":"https://id.example/realm/end",
    "id_token_signing_alg_values_supported":["RS256","EdDSA",7],
    "backchannel_logout_supported":true,
    "token_endpoint_auth_methods_supported":["client_secret_post"],
    "code_challenge_methods_supported":["plain","S256"],
    "authorization_response_iss_parameter_supported":true,
    "something_new":{"a":[1]}
}"#;

async fn discovered(metadata: &str) -> Result<Issuer> {
    let script = Script::new([answer(200, metadata.to_owned())]);
    Issuer::discover(URL, script, pipeline()).await
}

#[tokio::test]
async fn an_issuer_is_used_as_it_describes_itself() {
    let script = Script::new([answer(200, METADATA), answer(200, TOKENS)]);
    let issuer = Issuer::discover(URL, script.clone(), pipeline()).await.unwrap();
    assert_eq!(issuer.jwks_uri(), Some("https://id.example/realm/keys"));
    assert_eq!(issuer.name(), Some(URL));
    assert_eq!(script.seen()[0].uri, "https://id.example/realm/.well-known/openid-configuration");
    assert_eq!(script.seen()[0].method, "GET");

    let client = script.client(issuer);
    let (url, pending) = client.authorize(AuthorizeRequest::new(["a"])).unwrap();
    assert!(url.starts_with("https://id.example/realm/auth?") && url.contains("code_challenge_method=S256"));
    let iss = "https%3A%2F%2Fid.example%2Frealm";
    let callback = Callback::parse(&format!("code=c&state={}&iss={iss}", pending.state().expose())).unwrap();
    client.complete(pending, callback).await.unwrap();
    let seen = &script.seen()[1];
    assert_eq!(seen.uri, "https://id.example/realm/token");
    assert!(seen.body.contains("client_secret=s%2Fe%2Bc") && seen.header("authorization").is_empty());

    let (_, pending) = client.authorize(AuthorizeRequest::new(["a"])).unwrap();
    let nameless = good_callback(&pending);
    let error = client.complete(pending, nameless).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::InvalidRequest && error.message().contains("name its issuer"),
        "{error}"
    );
}

#[tokio::test]
async fn what_openid_adds_is_read_and_absent_where_nothing_is_said() {
    let issuer = discovered(METADATA).await.unwrap();
    assert_eq!(issuer.userinfo_url(), Some("https://id.example/realm/me"));
    assert_eq!(issuer.logout_url(), Some("https://id.example/realm/end"));
    assert_eq!(issuer.id_token_algorithms().unwrap(), ["RS256", "EdDSA"]);
    assert!(issuer.tells_logouts() && issuer.has(Address::Revoke) && !issuer.has(Address::Device));
    let bare = METADATA
        .replace("userinfo_endpoint", "x1")
        .replace("end_session_endpoint", "x2")
        .replace("id_token_signing_alg_values_supported", "x3")
        .replace("\"backchannel_logout_supported\":true", "\"backchannel_logout_supported\":\"true\"")
        .replace("revocation_endpoint", "x4");
    let issuer = discovered(&bare).await.unwrap();
    assert_eq!(
        (issuer.userinfo_url(), issuer.logout_url(), issuer.id_token_algorithms()),
        (None, None, None)
    );
    assert!(!issuer.tells_logouts() && !issuer.has(Address::Revoke));
}

#[tokio::test]
async fn metadata_of_rfc_8414_is_found_where_openid_has_none() {
    let script = Script::new([answer(404, "no"), answer(200, METADATA)]);
    Issuer::discover(URL, script.clone(), pipeline()).await.unwrap();
    assert_eq!(script.seen()[1].uri, "https://id.example/.well-known/oauth-authorization-server/realm");
    let script = Script::new([answer(404, "no"), answer(404, "no")]);
    let error = Issuer::discover(URL, script, pipeline()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_issuer_that_calls_itself_otherwise_is_refused() {
    for other in ["https://id.example/realm/", "https://ID.example/realm", "https://evil.example", ""] {
        let told = METADATA.replace("\"https://id.example/realm\"", &format!("\"{other}\""));
        let error = discovered(&told).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.message().contains("calls itself"), "{error}");
    }
    assert_eq!(discovered(&METADATA.replace("issuer", "x")).await.unwrap_err().kind(), ErrorKind::Config);
    // With a slash at the end it is another issuer, and its metadata is at the same place.
    let script = Script::new([answer(200, METADATA)]);
    let error = Issuer::discover("https://id.example/realm/", script.clone(), pipeline()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(script.only().uri, "https://id.example/realm/.well-known/openid-configuration");
}

#[tokio::test]
async fn only_addresses_that_keep_secrets_are_taken() {
    for bad in ["http://id.example/realm", "ftp://id.example", "id.example", "https://u@id.example"] {
        let script = Script::new([]);
        let error = Issuer::discover(bad, script.clone(), pipeline()).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Config && script.seen().is_empty(), "{bad}");
    }
    for name in ["token", "auth", "revoke"] {
        let path = format!("https://id.example/realm/{name}\"");
        let told = METADATA.replace(&path, &path.replace("https", "http"));
        assert_ne!(told, METADATA);
        assert_eq!(discovered(&told).await.unwrap_err().kind(), ErrorKind::Config, "{name}");
    }
    let local = METADATA.replace("https://id.example", "http://127.0.0.1:8080");
    let script = Script::new([answer(200, local)]);
    Issuer::discover("http://127.0.0.1:8080/realm", script, pipeline()).await.unwrap();
}

#[tokio::test]
async fn metadata_that_cannot_be_used_is_refused() {
    let twice = METADATA.replace("\"something_new\"", "\"token_endpoint\":\"https://evil.example\",\"x\"");
    let huge = METADATA.replace("something_new", &"x".repeat(300 * 1024));
    for bad in ["<html>", "[]", "", &METADATA.replace("token_endpoint\"", "x\""), &twice, &huge] {
        assert_eq!(discovered(bad).await.unwrap_err().kind(), ErrorKind::Decode);
    }
}

#[tokio::test]
async fn a_proof_key_is_left_out_only_where_the_issuer_lists_no_way_for_it() {
    for (listed, sent) in [("[\"plain\"]", false), ("[]", false), ("null", true), ("[\"S256\"]", true)] {
        let told = METADATA.replace("[\"plain\",\"S256\"]", listed);
        let client = Script::new([]).client(discovered(&told).await.unwrap());
        let (url, _) = client.authorize(AuthorizeRequest::new(["a"])).unwrap();
        assert_eq!(url.contains("code_challenge="), sent, "{listed}");
    }
}

#[tokio::test]
async fn a_client_without_a_secret_shows_a_proof_key_whatever_the_issuer_lists() {
    for listed in ["[\"plain\"]", "[]"] {
        let told = METADATA.replace("[\"plain\",\"S256\"]", listed);
        let script = Script::new([answer(200, TOKENS)]);
        let public = Client::builder(discovered(&told).await.unwrap(), "my-app").transport(script.clone());
        let public = public.build().unwrap();
        let (url, pending) = public.authorize(AuthorizeRequest::new(["a"])).unwrap();
        assert!(url.contains("code_challenge_method=S256"), "{listed}: {url}");
        let iss = "https%3A%2F%2Fid.example%2Frealm";
        let callback = format!("code=c&state={}&iss={iss}", pending.state().expose());
        public.complete(pending, Callback::parse(&callback).unwrap()).await.unwrap();
        assert!(script.only().body.contains("code_verifier="), "{listed}");
    }
}

#[tokio::test]
async fn an_encrypted_issuer_has_no_unencrypted_addresses_not_even_on_this_machine() {
    for name in ["token", "auth", "revoke", "keys", "me", "end"] {
        for bad in [format!("http://id.example/realm/{name}"), format!("http://127.0.0.1:8080/{name}")] {
            let told = METADATA.replace(&format!("https://id.example/realm/{name}"), &bad);
            assert_ne!(told, METADATA);
            assert_eq!(discovered(&told).await.unwrap_err().kind(), ErrorKind::Config, "{bad}");
        }
    }
}

#[tokio::test]
async fn an_issuer_with_a_query_is_none() {
    for bad in ["https://id.example/realm?x=1", "https://id.example/admin/delete?"] {
        let script = Script::new([]);
        let error = Issuer::discover(bad, script.clone(), pipeline()).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Config && script.seen().is_empty(), "{bad}");
    }
}
