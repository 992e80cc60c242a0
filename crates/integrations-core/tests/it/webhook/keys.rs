//! What a key is made of, and what is refused with words.

use integrations_core::ErrorKind;
use integrations_core::webhook::{
    BasicAuth, Decoding, Event, Hmac, Key, KeyRing, Kit, Place, Receipt, Scheme, SharedToken,
    StandardWebhooks, Token, Trust, Unsigned, WebhookError,
};

use super::{Sent, ring, utf8};

#[test]
fn what_is_no_webhook_secret_is_refused_with_the_reason() {
    for (text, decoding, words) in [
        ("", Decoding::Utf8, "empty"),
        ("secret\n", Decoding::Utf8, "white space"),
        ("sk_live_4eC39HqLyjWDarjtT1", Decoding::Utf8, "API key of Stripe"),
        ("rk_test_4eC39HqLyjWDarjtT1", Decoding::Utf8, "API key of Stripe"),
        ("xoxb-1234", Decoding::Utf8, "signing secret"),
        ("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", Decoding::StandardWebhooks, "public key"),
        ("whsk_6Xb/dCcHpPea21PS1N9VY/", Decoding::StandardWebhooks, "private key"),
        ("hwsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", Decoding::StandardWebhooks, "`whsec_` was probably meant"),
        ("whsc_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", Decoding::Utf8, "`whsec_` was probably meant"),
        ("whsecc_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", Decoding::Utf8, "`whsec_` was probably meant"),
        ("w", Decoding::StandardWebhooks, "24 to 64 bytes"),
        ("whsec_%", Decoding::StandardWebhooks, "24 to 64 bytes"),
        ("whsec_C2FV", Decoding::StandardWebhooks, "24 to 64 bytes"),
        ("xyz", Decoding::Hex, "hexadecimal"),
        ("!!", Decoding::Base64, "base64"),
    ] {
        let error = Key::secret("present", text.into(), decoding).unwrap_err();
        let said = format!("{error} {}", error.hint().unwrap_or_default());
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(said.contains(words), "{text}: {said}");
        assert!(text.len() < 12 || !format!("{said}{error:?}").contains(&text[8..]), "{said}");
    }
    for fine in ["whsec_test_secret", "shpss_1234", "key-0123", "my_secret", "where_1"] {
        assert!(Key::secret("present", fine.into(), Decoding::Utf8).is_ok(), "{fine}");
    }
}

#[test]
fn public_keys_are_read_in_the_forms_that_vendors_show() {
    let raw = [7_u8; 32];
    let hex = "07".repeat(32);
    for text in [
        &hex[..],
        "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
        "whpk_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
    ] {
        assert!(Key::ed25519("k", text).is_ok(), "{text}");
    }
    assert!(Key::ed25519_raw("k", &raw).is_ok());
    assert!(Key::ed25519_raw("k", &raw[1..]).is_err());
    let private =
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let error = Key::ed25519("k", private).unwrap_err();
    assert!(error.hint().unwrap().contains("replaced"), "{error:?}");
    for text in ["", "00", "whpk_", "zz"] {
        assert_eq!(Key::ed25519("k", text).unwrap_err().kind(), ErrorKind::Config, "{text}");
        assert_eq!(Key::p256("k", text).unwrap_err().kind(), ErrorKind::Config, "{text}");
        assert_eq!(Key::anchor("k", text).unwrap_err().kind(), ErrorKind::Config, "{text}");
    }
    for set in ["", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","kid":"k","k":"AAAA"}]}"#] {
        assert_eq!(KeyRing::from_jwks(set.as_bytes()).unwrap_err().kind(), ErrorKind::Config, "{set}");
    }
}

#[test]
fn nothing_shows_a_key() {
    let ring = utf8("hunter2hunter2").with(Key::password("basic", "user", &"hunter2".into()).unwrap());
    let ring = ring.with_verify_token("hunter2".into());
    for shown in [format!("{ring:?}"), format!("{ring:#?}")] {
        assert!(!shown.contains("hunter2") && !shown.contains("104") && shown.contains("present"), "{shown}");
    }
}

#[test]
fn a_ring_without_the_right_kind_of_key_is_our_mistake() {
    const KIT: Hmac = Hmac::sha256(Scheme::new(Place::Header("x"), &[Token::Body]));
    let sent = Sent::post("{}")
        .header("x", "00")
        .header("webhook-id", "1")
        .header("webhook-timestamp", "1700000000");
    let sent = sent.header("webhook-signature", "v1,AAAA");
    let anchor = KeyRing::unsigned();
    for kit in [&KIT as &dyn Kit, &StandardWebhooks, &SharedToken::new(Place::Header("x"))] {
        let refused = kit.verify(&sent.incoming(), &anchor).unwrap_err();
        assert!(matches!(refused, WebhookError::Config(_)), "{refused}");
        assert_eq!(integrations_core::Error::from(refused).kind(), ErrorKind::Config);
    }
    // A vendor that does not sign is taken for one only by who says so.
    let refused = Unsigned.verify(&sent.incoming(), &utf8("a secret")).unwrap_err();
    assert!(matches!(refused, WebhookError::Config(_)));
    assert_eq!(Unsigned.verify(&sent.incoming(), &anchor).unwrap().trust(), Trust::Claim);
}

#[test]
fn the_name_of_the_key_that_matched_is_told() {
    const KIT: Hmac = Hmac::sha256(Scheme::new(Place::Header("x"), &[Token::Body]));
    let sent = Sent::post("Hello, World!")
        .header("x", "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    let former = Key::secret("former", "It's a Secret to Everybody".into(), Decoding::Utf8).unwrap();
    let ring = ring("the present one", Decoding::Utf8).with(former);
    assert_eq!(KIT.verify(&sent.incoming(), &ring).unwrap().key(), "former");
}

#[test]
fn every_notification_of_a_batch_holds_the_token() {
    const KIT: SharedToken = SharedToken::new(Place::Json("/value/*/clientState"));
    let verify = |body: &str| KIT.verify(&Sent::post(body).incoming(), &utf8("state")).map(|v| v.trust());
    let good = r#"{"value":[{"clientState":"state"},{"clientState":"state"}]}"#;
    assert_eq!(verify(good), Ok(Trust::Authenticated));
    for bad in [
        r#"{"value":[{"clientState":"state"},{"clientState":"other"}]}"#,
        r#"{"value":[{"clientState":"state"},{"clientState":null}]}"#,
        r#"{"value":[{"clientState":"state"},{}]}"#,
        r#"{"value":[]}"#,
        "{}",
        "",
    ] {
        assert!(verify(bad).is_err(), "{bad}");
    }
}

/// A request of a vendor with a password: it stands in a header, and customers' data in the query and the body.
#[test]
fn nothing_shows_a_request_or_an_event() {
    let sent = Sent::post("a customer's data")
        .header("authorization", "Basic dXNlcjpzZXNhbWU=")
        .uri("/h?token=sesame");
    let ring = KeyRing::new(Key::password("p", "user", &"sesame".into()).unwrap());
    let verified = BasicAuth.verify(&sent.incoming(), &ring).unwrap();
    let event = Event::new(&verified, "evt_1", "kind", "a customer's data");
    let receipt = Receipt::Delivery(verified.clone());
    let shown = format!("{:?} {verified:?} {event:?} {receipt:?}", sent.incoming());
    for hidden in ["customer", "dXNlcjpzZXNhbWU", "sesame", "99, 117"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
    assert!(shown.contains("evt_1"), "{shown}");
}

/// A part of the body is what is checked: a reader that takes the other of two must not be led by it.
#[test]
fn a_field_that_stands_twice_is_refused() {
    let kit = SharedToken::new(Place::Json("/value/*/clientState"));
    let verify =
        |body: &str| kit.verify(&Sent::post(body).incoming(), &utf8("sesame")).map(|found| found.trust());
    let good = r#"{"value":[{"clientState":"sesame","id":1,"n":-1.5,"f":[true,null]}],"x":{"value":1}}"#;
    assert_eq!(verify(good), Ok(Trust::Authenticated));
    for bad in [
        r#"{"value":[{"clientState":"forged"}],"value":[{"clientState":"sesame"}]}"#,
        r#"{"value":[{"clientState":"forged","clientState":"sesame"}]}"#,
        r#"{"value":[{"clientState":"sesame","a":{"b":1,"\u0062":2}}]}"#,
    ] {
        assert!(verify(bad).is_err(), "{bad}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(verify(&deep).is_err(), "and what is too deep ends no process");
}
