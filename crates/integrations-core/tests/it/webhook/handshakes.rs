//! Handshakes, with the vectors that vendors published or that follow from their documents.

use http::{Method, StatusCode};
use integrations_core::webhook::handshake::{Challenge, Question};
use integrations_core::webhook::{
    Decoding, Grammar, Hmac, KeyRing, Kit, Place, Scheme, SharedToken, Stamp, Token, Verified, WebhookError,
};

use super::{Sent, ring, utf8};

fn ask(question: Question, sent: &Sent, ring: &KeyRing) -> Result<Option<String>, WebhookError> {
    let answer = question.answer(&sent.incoming(), ring)?;
    Ok(answer.map(|answer| {
        assert_eq!(answer.status(), StatusCode::OK);
        String::from_utf8(answer.body().to_vec()).unwrap()
    }))
}

#[test]
fn meta_echoes_the_challenge_to_who_knows_the_token() {
    let ring = utf8("secret").with_verify_token("our word".into());
    let sent = Sent::get("/h?hub.mode=subscribe&hub.challenge=115%2B8&hub.verify_token=our+word");
    assert_eq!(ask(Question::META, &sent, &ring), Ok(Some("115+8".to_owned())));
    let answer = Question::META.answer(&sent.incoming(), &ring).unwrap().unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    for (uri, expected) in [
        ("/h?hub.challenge=1&hub.verify_token=our+wore", WebhookError::NoMatch),
        ("/h?hub.challenge=1&hub.verify_token=", WebhookError::NoMatch),
        ("/h?hub.challenge=1", WebhookError::MissingHeader("hub.verify_token")),
        ("/h?hub.challenge=&hub.verify_token=our+word", WebhookError::Malformed("hub.challenge")),
        (
            "/h?hub.challenge=1&hub.challenge=2&hub.verify_token=our+word",
            WebhookError::Malformed("hub.challenge"),
        ),
    ] {
        assert_eq!(ask(Question::META, &Sent::get(uri), &ring), Err(expected), "{uri}");
    }
    assert_eq!(ask(Question::META, &Sent::get("/h"), &ring), Ok(None));
    assert_eq!(ask(Question::META, &Sent { method: Method::POST, ..sent.clone() }, &ring), Ok(None));
    assert!(matches!(ask(Question::META, &sent, &utf8("secret")), Err(WebhookError::Config(_))));
}

#[test]
fn web_sub_echoes_for_the_topic_that_was_asked_for() {
    let ring = utf8("secret").with_param("hub.topic", "https://t/?c=1");
    let sent = Sent::get("/h?hub.challenge=9&hub.topic=https%3A%2F%2Ft%2F%3Fc%3D1");
    assert_eq!(ask(Question::WEB_SUB, &sent, &ring), Ok(Some("9".to_owned())));
    let other = Sent::get("/h?hub.challenge=9&hub.topic=https%3A%2F%2Fevil");
    assert_eq!(ask(Question::WEB_SUB, &other, &ring), Err(WebhookError::NoMatch));
}

#[test]
fn signed_challenges() {
    let sent = Sent::get("/h?crc_token=token123");
    let expected = r#"{"response_token":"sha256=l2uKDlr/jHTl9dkTMb94gWySnuRh4w4am+rK5Bov/ec="}"#;
    assert_eq!(ask(Question::X, &sent, &utf8("consumer_secret")), Ok(Some(expected.to_owned())));

    let sent = Sent::get("/h?challengeCode=890e4665-4dfe-4ab1-b689-ed553bceeed0");
    let answer = ask(Question::LINKEDIN, &sent, &utf8("client_secret")).unwrap().unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["challengeCode"], "890e4665-4dfe-4ab1-b689-ed553bceeed0");
    assert_eq!(
        answer["challengeResponse"],
        "901fd732a92f8eec45c5310f5a009e61b3a270759eb22f5ba7090b5b12c07437"
    );

    let sent = Sent::get("/h?bt_challenge=20f9f8ed05f77439fe955c977e4c8a53");
    let keys =
        ring("integration_private_key", Decoding::Sha1).with_param("public_key", "integration_public_key");
    let expected = "integration_public_key|d9b899556c966b3f06945ec21311865d35df3ce4";
    assert_eq!(ask(Question::BRAINTREE, &sent, &keys), Ok(Some(expected.to_owned())));
    assert!(matches!(
        ask(Question::X, &Sent::get("/h?crc_token=1"), &KeyRing::unsigned()),
        Err(WebhookError::Config(_))
    ));
}

/// The key of the challenge is the key of the deliveries: whoever asks must not be handed the signature of a forged one.
#[test]
fn what_could_be_a_delivery_is_not_signed_as_a_challenge() {
    let forged = r#"{"for_user_id":"1","tweet_create_events":[]}"#;
    let asked = |parameter: &str, text: &str| {
        let text = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        Sent::get(&format!("/h?{parameter}={text}"))
    };
    let refused = |name| Err(WebhookError::Malformed(name));
    let keys = utf8("secret").with_param("public_key", "public");
    for text in [forged, "[1]", " ", "a&b", "a b", "a\nb", "ä", &"a".repeat(257)] {
        assert_eq!(ask(Question::X, &asked("crc_token", text), &keys), refused("crc_token"), "{text}");
        assert_eq!(ask(Question::LINKEDIN, &asked("challengeCode", text), &keys), refused("challengeCode"));
    }
    // Braintree signs base64, which no alphabet tells from a word.
    let payload = "PG5vdGlmaWNhdGlvbj48a2luZD5kaXNwdXRlX2xvc3Q8L2tpbmQ+PC9ub3RpZmljYXRpb24+";
    for text in [payload, "20f9f8ed05f77439fe9", "20F9F8ED05F77439FE955C977E4C8A53", &"a".repeat(33)] {
        assert_eq!(ask(Question::BRAINTREE, &asked("bt_challenge", text), &keys), refused("bt_challenge"));
    }
}

#[test]
fn graph_repeats_the_token_as_text() {
    let sent = Sent::post("").uri("https://example.com/h?validationToken=Validation%3A+%3Cb%3E");
    let answer = Question::GRAPH.answer(&sent.incoming(), &KeyRing::unsigned()).unwrap().unwrap();
    assert_eq!(answer.body().as_ref(), b"Validation: <b>");
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
}

#[test]
fn cloud_events_consents_to_known_origins_only() {
    const QUESTION: Question = Question::CloudEvents { origins: &["events.example.com"] };
    let sent = Sent { method: Method::OPTIONS, ..Sent::post("") };
    let ask = |sent: Sent| QUESTION.answer(&sent.incoming(), &KeyRing::unsigned());
    let answer = ask(sent.clone().header("webhook-request-origin", "Events.Example.com")).unwrap().unwrap();
    assert_eq!(answer.headers()["webhook-allowed-origin"], "events.example.com");
    assert!(!answer.headers().contains_key("webhook-allowed-rate"));
    let rated = sent
        .clone()
        .header("webhook-request-origin", "events.example.com")
        .header("webhook-request-rate", "120");
    assert_eq!(ask(rated).unwrap().unwrap().headers()["webhook-allowed-rate"], "*");
    let other = ask(sent.clone().header("webhook-request-origin", "evil.example"));
    assert_eq!(other.unwrap_err(), WebhookError::NoMatch);
    assert_eq!(ask(sent).unwrap_err(), WebhookError::MissingHeader("webhook-request-origin"));
}

#[test]
fn head_is_answered_without_a_body() {
    let sent = Sent { method: Method::HEAD, ..Sent::post("") };
    assert_eq!(ask(Question::Head, &sent, &KeyRing::unsigned()), Ok(Some(String::new())));
    assert_eq!(ask(Question::Head, &Sent::post(""), &KeyRing::unsigned()), Ok(None));
}

/// Only what was verified can be answered: the type asks for it.
#[test]
fn zoom_is_verified_first_and_answered_with_a_signature() {
    const KIT: Hmac = Hmac::sha256(
        Scheme::new(
            Place::Header("x-zm-signature"),
            &[Token::Text("v0:"), Token::Timestamp, Token::Text(":"), Token::Body],
        )
        .grammar(Grammar::Prefixed("v0="))
        .stamp(Stamp::seconds(Place::Header("x-zm-request-timestamp"))),
    );
    let body = "{\"event\":\"endpoint.url_validation\",\"payload\":{\"plainToken\":\"qgg8vlvZRS6UYooatFL8Aw\"},\
        \"event_ts\":1654503849680}";
    let sent = Sent::post(body)
        .header("x-zm-request-timestamp", "1654503849")
        .header("x-zm-signature", "v0=5e22de9d400c0f79a8c3ede327e47ffaeaee6c5f3ac51e3992bd5e1fdefdc5b8")
        .at(1_654_503_849);
    let ring = utf8("secret_token");
    let incoming = sent.incoming();
    let answer = Challenge::ZOOM.answer(&KIT.verify(&incoming, &ring).unwrap(), &ring).unwrap().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(answer["plainToken"], "qgg8vlvZRS6UYooatFL8Aw");
    assert_eq!(answer["encryptedToken"], "0abd212d4653d125d6cbf403b3f529f1804ffabd9578aabfd1af0e4b2b1701f2");
}

#[test]
fn challenges_in_deliveries() {
    let ring = utf8("token");
    let body_of = |challenge: Challenge, body: &str| {
        let sent = Sent::post(body).uri("https://example.com/h?key=token");
        let incoming = sent.incoming();
        let verified: Verified<'_> = SharedToken::new(Place::Query("key")).verify(&incoming, &ring).unwrap();
        let answer = challenge.answer(&verified, &ring).unwrap();
        answer.map(|answer| (answer.status().as_u16(), String::from_utf8(answer.body().to_vec()).unwrap()))
    };
    let some = |status, text: &str| Some((status, text.to_owned()));
    let slack = r#"{"type":"url_verification","challenge":"3eZbrw1a","token":"x"}"#;
    assert_eq!(body_of(Challenge::SLACK, slack), some(200, "3eZbrw1a"));
    let grid = r#"[{"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"512d"}}]"#;
    assert_eq!(body_of(Challenge::EVENT_GRID, grid), some(200, r#"{"validationResponse":"512d"}"#));
    assert_eq!(body_of(Challenge::DISCORD_INTERACTION, r#"{"type":1}"#), some(200, r#"{"type":1}"#));
    assert_eq!(body_of(Challenge::DISCORD_EVENT, r#"{"type":0}"#), some(204, ""));
    for other in [r#"{"type":"event_callback"}"#, r#"{"type":{}}"#, "[]", "", "a=1"] {
        assert_eq!(body_of(Challenge::SLACK, other), None, "{other}");
    }
}
