//! Each classic mistake is named, and nothing secret is said.

use integrations_core::webhook::{
    Decoding, Encoding, Finding, Grammar, Hmac, KeyRing, Kit, Place, Scheme, Stamp, StandardWebhooks,
    Suspects, Token, TwilioForm, diagnose,
};

use super::{Sent, ring, utf8};

const GITHUB: Hmac = Hmac::sha256(
    Scheme::new(Place::Header("x-hub-signature-256"), &[Token::Body]).grammar(Grammar::Prefixed("sha256=")),
);

/// A secret whose every appearance in a finding would be found.
const SECRET: &str = "c2VjcmV0LXRoYXQtbm9ib2R5LXNheXM=";

fn findings(kit: &dyn Kit, sent: &Sent, ring: &KeyRing) -> Vec<Finding> {
    let found = diagnose(kit, &sent.incoming(), ring, Suspects::default());
    for finding in &found {
        let said = format!("{finding} {finding:?}");
        assert!(!said.contains(SECRET) && !said.contains("zebra") && !said.is_empty(), "{said}");
    }
    found
}

fn mac(key: &[u8], message: &[u8]) -> aws_lc_rs::hmac::Tag {
    aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key), message)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// A body that was signed, and one that arrives instead.
fn altered(signed: &[u8], arrived: &[u8]) -> Vec<Finding> {
    let value = format!("sha256={}", hex(mac(SECRET.as_bytes(), signed).as_ref()));
    findings(&GITHUB, &Sent::post(arrived).header("x-hub-signature-256", &value), &utf8(SECRET))
}

#[test]
fn what_changed_the_body() {
    for (signed, arrived, words) in [
        (&b"{\"zebra\":1}"[..], &b"{\"zebra\":1}\n"[..], "the line end at its end is removed"),
        (b"{\"zebra\":1}\r\n", b"{\"zebra\":1}", "CR and LF are added"),
        (
            b"{\"zebra\":1,\"b\":[1,2]}",
            b"{\n  \"zebra\": 1,\n  \"b\": [\n    1,\n    2\n  ]\n}",
            "without white space",
        ),
        (b"{\"zebra\": 1, \"b\": [1, 2]}", b"{\"zebra\":1,\"b\":[1,2]}", "a space after `:` and `,`"),
        (b"{\n  \"zebra\": 1,\n  \"b\": {}\n}", b"{\"zebra\":1,\"b\":{}}", "an indent of two"),
        (
            b"{\n    \"zebra\": 1,\n    \"b\": [\n        1\n    ]\n}",
            b"{\"zebra\":1,\"b\":[1]}",
            "an indent of four",
        ),
        (
            b"{\"zebra\":\"\\u00fc\\ud83d\\ude00\"}",
            "{\"zebra\":\"\u{fc}\u{1f600}\"}".as_bytes(),
            "beyond ASCII",
        ),
        (b"{\"zebra\":\"a\\/b\"}", b"{\"zebra\":\"a/b\"}", "slashes"),
        (b"{\"a\":1,\"zebra\":2}", b"{\"zebra\":2,\"a\":1}", "sorted"),
        (b"zebra\r\nline", b"zebra\nline", "line ends are CR and LF"),
        (b"zebra \xfc", "zebra \u{fc}".as_bytes(), "Latin-1"),
        ("zebra \u{fc}".as_bytes(), b"zebra \xfc", "UTF-8"),
    ] {
        let found = altered(signed, arrived);
        assert!(matches!(found[..], [Finding::Body(change)] if change.contains(words)), "{words}: {found:?}");
    }
    assert_eq!(altered(b"one", b"two"), [Finding::Unknown]);
    assert_eq!(altered(b"same", b"same"), [Finding::Fine]);
}

#[test]
fn a_secret_that_is_decoded_or_not() {
    let decoded = b"secret-that-nobody-says";
    let value = format!("sha256={}", hex(mac(decoded, b"zebra").as_ref()));
    let sent = Sent::post("zebra").header("x-hub-signature-256", &value);
    assert_eq!(findings(&GITHUB, &sent, &utf8(SECRET)), [Finding::Decoding(Decoding::Base64)]);
    let value = format!("sha256={}", hex(mac(SECRET.as_bytes(), b"zebra").as_ref()));
    let sent = Sent::post("zebra").header("x-hub-signature-256", &value);
    assert_eq!(
        findings(&GITHUB, &sent, &ring(SECRET, Decoding::Base64)),
        [Finding::Decoding(Decoding::Utf8)]
    );
}

#[test]
fn a_key_of_another_endpoint() {
    let value = format!("sha256={}", hex(mac(SECRET.as_bytes(), b"zebra").as_ref()));
    let sent = Sent::post("zebra").header("x-hub-signature-256", &value);
    let (own, other) = (utf8("another"), utf8(SECRET));
    let suspects = [("tenant-7", &other)];
    let found = diagnose(&GITHUB, &sent.incoming(), &own, Suspects::default().other_endpoints(&suspects));
    assert_eq!(found, [Finding::OtherEndpoint("tenant-7".to_owned())]);
}

#[test]
fn a_clock_that_is_wrong() {
    const KIT: Hmac = Hmac::sha256(
        Scheme::new(Place::Header("x"), &[Token::Timestamp, Token::Body])
            .stamp(Stamp::seconds(Place::Header("t"))),
    );
    let sent = Sent::post("zebra")
        .header("t", "1700000000")
        .header("x", &hex(mac(SECRET.as_bytes(), b"1700000000zebra").as_ref()));
    let ring = utf8(SECRET);
    assert_eq!(findings(&KIT, &sent, &ring), [Finding::Fine]);
    assert_eq!(findings(&KIT, &sent.clone().at(1_700_003_600), &ring), [Finding::Clock(3600)]);
    assert_eq!(findings(&KIT, &sent.at(1_699_999_000), &ring), [Finding::Clock(-1000)]);
}

#[test]
fn an_address_behind_a_proxy() {
    const SQUARE: Hmac =
        Hmac::sha256(Scheme::new(Place::Header("x"), &[Token::Url, Token::Body]).encoding(Encoding::Base64));
    let sent = Sent::post(r#"{"hello":"world"}"#).header("x", "2kRE5qRU2tR+tBGlDwMEw2avJ7QM4ikPYD/PJ3bd9Og=");
    for (uri, forwarded, words) in [
        ("http://example.com/webhook", None, "`https` and its own host"),
        ("https://example.com:8443/webhook", None, "without its port"),
        ("https://example.com/webhook/", None, "without the slash"),
        ("http://10.0.0.7:8080/webhook", Some("example.com"), "X-Forwarded-Host"),
    ] {
        let mut sent = sent.clone().uri(uri);
        if let Some(host) = forwarded {
            sent = sent.header("x-forwarded-host", host);
        }
        let found = findings(&SQUARE, &sent, &utf8("asdf1234"));
        assert!(matches!(&found[..], [Finding::Address(what)] if what.contains(words)), "{uri}: {found:?}");
    }
    let twilio = TwilioForm::new("x-twilio-signature");
    let sent = Sent::post(
        "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212",
    )
    .uri("http://mycompany.com/myapp.php?foo=1&bar=2")
    .header("x-twilio-signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    assert!(matches!(findings(&twilio, &sent, &utf8("12345"))[..], [Finding::Address(_)]));
}

#[test]
fn headers_modes_and_codings() {
    let sent = Sent::post("zebra").header("stripe-signature", "t=1,v1=00");
    let found = findings(&GITHUB, &sent, &utf8(SECRET));
    assert_eq!(found, [Finding::OtherHeaders("x-hub-signature-256", vec!["stripe-signature"])]);
    let svix = Sent::post("zebra").header("svix-id", "1");
    let key = ring("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", Decoding::StandardWebhooks);
    assert!(matches!(findings(&StandardWebhooks, &svix, &key)[..], [Finding::Header("svix-signature")]));

    let wrong = format!("sha256={}", "00".repeat(32));
    let sent = |body: &[u8]| Sent::post(body).header("x-hub-signature-256", &wrong);
    assert_eq!(findings(&GITHUB, &sent(br#"{"livemode":false}"#), &utf8(SECRET)), [Finding::TestMode]);
    assert_eq!(findings(&GITHUB, &sent(br#"{"live":"false"}"#), &utf8(SECRET)), [Finding::TestMode]);
    assert_eq!(findings(&GITHUB, &sent(br#"{"livemode":true}"#), &utf8(SECRET)), [Finding::Unknown]);
    assert_eq!(findings(&GITHUB, &sent(&[0x1f, 0x8b, 8]), &utf8(SECRET)), [Finding::Compressed]);
    let coded = sent(b"zebra").header("content-encoding", "gzip");
    assert_eq!(findings(&GITHUB, &coded, &utf8(SECRET)), [Finding::Compressed]);
    assert!(matches!(findings(&GITHUB, &sent(b""), &KeyRing::unsigned())[..], [Finding::Config(_)]));
}
