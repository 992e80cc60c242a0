//! Nothing that is secret may be in an error, whatever an issuer answers.

use std::error::Error as _;

use integrations_core::provider::ClientAuth;
use integrations_core::{Error, TransportError, TransportFailure};
use integrations_oauth::{AuthorizeRequest, Callback, Client, PendingAuthorization, TokenSet};

use super::support::{FACTS, Script, answer, start};

/// Stands for every secret of a client, and is quoted by the issuer in every place.
const CANARY: &str = "canary-4f1d9c2e";

fn tokens() -> TokenSet {
    let mut tokens = TokenSet::new(CANARY, start());
    tokens.refresh = Some(CANARY.into());
    tokens.id_token = Some(CANARY.into());
    tokens.extra.insert("open_id".to_owned(), CANARY.into());
    tokens
}

/// Answers that quote what was sent.
fn bodies() -> Vec<(u16, String)> {
    let texts = [
        format!(r#"{{"error":"{CANARY}","error_description":"{CANARY}","error_uri":"https://x/{CANARY}"}}"#),
        format!(r#"{{"error":"invalid_grant","error_description":"{CANARY}","error_subtype":"{CANARY}"}}"#),
        format!(r#"{{"error":"x-{CANARY}-y"}}"#),
        format!(r#"{{"error":{{"code":"{CANARY}","message":"{CANARY}","type":"{CANARY}"}}}}"#),
        format!(r#"{{"code":"{CANARY}","message":"{CANARY}"}}"#),
        format!(r#"{{"access_token":"{CANARY}","access_token":"{CANARY}"}}"#),
        format!(r#"{{"access_token":["{CANARY}"]}}"#),
        format!(r#"{{"access_token":"{CANARY}"#),
        format!(r#"{{"access_token":"{CANARY}\n"}}"#),
        format!(r#"{{"{CANARY}":"{CANARY}"}}"#),
        format!("<html>{CANARY}</html>"),
        format!("access_token={CANARY}&access_token={CANARY}"),
        format!("error={CANARY}"),
        CANARY.to_owned(),
    ];
    let statuses = [200, 400, 401, 403, 429, 500, 503];
    texts.into_iter().flat_map(|text| statuses.map(|status| (status, text.clone()))).collect()
}

fn is_silent(error: &Error) {
    let mut told = format!("{error}\n{error:?}\n{}\n{:?}\n{:?}", error.explain(), error.code(), error.hint());
    let mut cause = error.source();
    while let Some(inner) = cause {
        told.push_str(&format!("\n{inner}\n{inner:?}"));
        cause = inner.source();
    }
    assert!(!told.contains(CANARY), "{told}");
}

fn clients(script: &std::sync::Arc<Script>) -> Vec<Client> {
    [ClientAuth::Basic, ClientAuth::BasicRaw, ClientAuth::Body]
        .map(|auth| script.builder(FACTS.client_auth(auth)).secret(CANARY).build().unwrap())
        .into()
}

fn begun(client: &Client) -> (PendingAuthorization, Callback) {
    let (_, pending) = client.authorize(AuthorizeRequest::new(["openid"])).unwrap();
    let callback = format!("code={CANARY}&state={}", pending.state().expose());
    (pending, Callback::parse(&callback).unwrap())
}

#[tokio::test(start_paused = true)]
async fn no_error_quotes_what_was_sent_or_answered() {
    let mut failed = 0;
    for (status, body) in bodies() {
        // As many answers as the calls that may be repeated take.
        let script = || Script::new((0..9).map(|_| answer(status, body.clone())));
        for client in clients(&script()) {
            let (pending, callback) = begun(&client);
            let errors =
                [client.refresh(&tokens()).await.err(), client.complete(pending, callback).await.err()];
            failed += errors.iter().flatten().inspect(|error| is_silent(error)).count();
        }
        for client in clients(&Script::new((0..54).map(|_| answer(status, body.clone())))) {
            let errors = [
                client.client_credentials([CANARY]).await.err(),
                client.jwt_bearer(CANARY, [CANARY]).await.err(),
                client.introspect(&CANARY.into()).await.err(),
                client.revoke(&tokens()).await.err(),
                client.start_device(["a"]).await.err(),
            ];
            failed += errors.iter().flatten().inspect(|error| is_silent(error)).count();
        }
    }
    assert!(failed > 1500, "{failed}");
}

#[tokio::test]
async fn no_error_of_a_transport_or_a_callback_quotes_anything() {
    let reset = TransportError::new(TransportFailure::Reset, true, "the connection broke");
    let client = Script::new([Err(reset)]).builder(FACTS).secret(CANARY).build().unwrap();
    is_silent(&client.refresh(&tokens()).await.unwrap_err());
    for bad in [
        format!("code={CANARY}"),
        format!("code={CANARY}&error={CANARY}&state={CANARY}"),
        format!("{CANARY}={CANARY}&{CANARY}={CANARY}"),
        format!("code={CANARY}%ff&state={CANARY}"),
    ] {
        is_silent(&Callback::parse(&bad).unwrap_err());
    }
    for parameter in ["code", "error"] {
        let (pending, _) = begun(&client);
        let forged = Callback::parse(&format!("{parameter}={CANARY}&state={CANARY}")).unwrap();
        is_silent(&client.complete(pending, forged).await.unwrap_err());
    }
    let (pending, _) = begun(&client);
    let prose = format!("error=<b>{CANARY}</b>&state={}", pending.state().expose());
    is_silent(&client.complete(pending, Callback::parse(&prose).unwrap()).await.unwrap_err());
}

#[tokio::test]
async fn nothing_shows_secrets_when_it_is_printed() {
    let script = Script::new([]);
    let client = script.builder(FACTS).secret(CANARY).build().unwrap();
    let (pending, callback) = begun(&client);
    let shown = format!("{:?} {client:?} {callback:?} {pending:?} {:?}", script.builder(FACTS), tokens());
    assert!(!shown.contains(CANARY) && !shown.contains(pending.state().expose()), "{shown}");
    let stored = String::from_utf8(pending.to_stored().unwrap().expose().clone()).unwrap();
    let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
    for secret in ["state", "verifier", "nonce"] {
        assert!(!shown.contains(stored[secret].as_str().unwrap()), "{secret}");
    }
}
