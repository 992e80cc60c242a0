//! What vendors answer at the token address, as a corpus of shapes.

use std::time::Duration;

use http::Response;
use integrations_core::provider::OAuth;
use integrations_core::{ErrorKind, Payload, SecretString};
use integrations_oauth::TokenSet;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::support::{FACTS, Script, answer, start};

const CORPUS: [&str; 3] = [
    include_str!("../../replies/tokens.json"),
    include_str!("../../replies/errors.json"),
    include_str!("../../replies/unreadable.json"),
];

#[tokio::test(start_paused = true)]
async fn every_shape_of_the_corpus_is_read_as_it_says() {
    let mut read = 0;
    for case in CORPUS.iter().flat_map(|file| serde_json::from_str::<Vec<Value>>(file).unwrap()) {
        let name = case["name"].as_str().unwrap().to_owned();
        let found = told(&case).await;
        let expected = match case.get("tokens") {
            Some(tokens) => complete(tokens),
            None => case["error"].clone(),
        };
        assert_eq!(found, expected, "{name}");
        read += 1;
    }
    assert!(read >= 120, "{read}");
}

/// What a client tells of the answer in a case.
async fn told(case: &Value) -> Value {
    let mut response =
        Response::builder().status(case.get("status").map_or(200, |s| s.as_u64().unwrap() as u16));
    match case.get("type").and_then(Value::as_str) {
        Some("") => {}
        kind => response = response.header("content-type", kind.unwrap_or("application/json")),
    }
    for (name, value) in case.get("headers").and_then(Value::as_object).into_iter().flatten() {
        response = response.header(name, value.as_str().unwrap());
    }
    let body = case["body"].as_str().map_or_else(|| case["body"].to_string(), str::to_owned);
    let script = Script::new([Ok(response.body(Payload::Whole(body.into())).unwrap())]);
    let mut present = TokenSet::new("at-0", start());
    present.refresh = Some("rt-0".into());
    match script.client(facts(case)).refresh(&present).await {
        Ok(tokens) => shown(&tokens),
        Err(e) => {
            let mut told = json!({ "kind": e.kind().as_str(), "effect": e.effect().as_str() });
            told.as_object_mut().unwrap().extend(e.code().map(|code| ("code".to_owned(), code.into())));
            let after = e.retry_after().map(|after| ("retry_after_s".to_owned(), after.as_secs().into()));
            told.as_object_mut().unwrap().extend(after);
            told
        }
    }
}

fn facts(case: &Value) -> OAuth {
    let mut facts = FACTS;
    let given = &case["facts"];
    if let Some(root) = given["reply_root"].as_str() {
        facts = facts.reply_root(root.to_owned().leak());
    }
    if let Some(seconds) = given["lifetime_s"].as_u64() {
        facts = facts.lifetime(Duration::from_secs(seconds));
    }
    if let Some(codes) = given["reauth_codes"].as_array() {
        let codes: Vec<&str> = codes.iter().map(|code| &*code.as_str().unwrap().to_owned().leak()).collect();
        facts = facts.reauth_codes(codes.leak());
    }
    facts
}

/// What a case says, with everything that it leaves out.
fn complete(tokens: &Value) -> Value {
    let mut all = json!({
        "access": "at-1", "refresh": null, "id_token": null, "expires_in": null, "refresh_expires_in": null,
        "scopes": null, "extra": {},
    });
    all.as_object_mut().unwrap().extend(tokens.as_object().unwrap().clone());
    all
}

fn shown(tokens: &TokenSet) -> Value {
    let text = |secret: &SecretString| secret.expose().clone();
    let seconds = |end: Timestamp| end.duration_since(start()).as_secs();
    let extra: Map<_, _> =
        tokens.extra.iter().map(|(name, value)| (name.clone(), text(value).into())).collect();
    assert_eq!(tokens.obtained_at, start());
    json!({
        "access": text(&tokens.access),
        "refresh": tokens.refresh.as_ref().map(text),
        "id_token": tokens.id_token.as_ref().map(text),
        "expires_in": tokens.expires_at.map(seconds),
        "refresh_expires_in": tokens.refresh_expires_at.map(seconds),
        "scopes": tokens.scopes,
        "extra": extra,
    })
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_long_or_too_deep_is_none() {
    let long = format!(r#"{{"access_token":"at-1","x":"{}"}}"#, "x".repeat(256 * 1024));
    let deep = format!(r#"{{"access_token":"at-1","x":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let fair = format!(r#"{{"access_token":"at-1","x":"{}"}}"#, "x".repeat(200 * 1024));
    let mut present = TokenSet::new("at-0", start());
    present.refresh = Some("rt-0".into());
    for bad in [long, deep] {
        let error = Script::new([answer(200, bad)]).client(FACTS).refresh(&present).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
    }
    assert!(Script::new([answer(200, fair)]).client(FACTS).refresh(&present).await.is_ok());
}
