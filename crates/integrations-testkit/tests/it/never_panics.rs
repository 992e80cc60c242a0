//! Whatever arrives, a kit answers; and no single flipped bit is accepted.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use integrations_core::webhook::handshake::{Challenge, Question};
use integrations_core::webhook::{
    Algorithm, BasicAuth, Decoding, EcdsaP256, Ed25519, Encoding, Grammar, Hmac, Incoming, Jwt, Key, KeyRing,
    Kit, Place, RsaCertificate, RsaHash, Scheme, SharedToken, Stamp, StandardWebhooks, Suspects, Token,
    TwilioForm, Unit, Unsigned, diagnose,
};
use integrations_testkit::webhook::Delivery;
use integrations_testkit::webhook::sign::{self, Ed25519Signer, P256Signer};
use proptest::prelude::*;

const LIST: Scheme = Scheme::new(Place::Header("a"), &[Token::Timestamp, Token::Text("."), Token::Body])
    .grammar(Grammar::List { separator: ',', assign: '=', name: Some("v1") })
    .stamp(Stamp::seconds(Place::Item("t")));
const JSON: Scheme = Scheme::new(
    Place::Json("/s"),
    &[
        Token::Json("/a"),
        Token::JsonOrEmpty("/b"),
        Token::JsonLine("c"),
        Token::Form("f"),
        Token::Param("p"),
        Token::Url,
    ],
)
.stamp(Stamp::new(Place::Json("/t"), Unit::Rfc3339));
const JOINED: Scheme =
    Scheme::new(Place::Form("a"), &[Token::Rest, Token::Method, Token::Path, Token::BodyCrc32])
        .grammar(Grammar::Joined('.'))
        .encoding(Encoding::Base64Url)
        .stamp(Stamp::new(Place::Query("t"), Unit::Millis));
const PLAIN: Scheme = Scheme::new(Place::Header("a"), &[Token::Body]).grammar(Grammar::MaybePrefixed("v1="));
const RSA: RsaCertificate =
    RsaCertificate::new(PLAIN, Place::Header("b"), &["a.*.c"], (Place::Header("c"), &[("1", RsaHash::Sha1)]));

fn kits() -> Vec<Box<dyn Kit>> {
    vec![
        Box::new(Hmac::sha256(LIST)),
        Box::new(Hmac::sha1(JSON)),
        Box::new(Hmac::sha512(JOINED)),
        Box::new(Ed25519::new(LIST)),
        Box::new(EcdsaP256::new(PLAIN.encoding(Encoding::Base64))),
        Box::new(StandardWebhooks),
        Box::new(TwilioForm::new("a")),
        Box::new(BasicAuth),
        Box::new(SharedToken::new(Place::Json("/a/*/b"))),
        Box::new(SharedToken::bearer()),
        Box::new(
            Jwt::new(Place::Header("authorization"), &[Algorithm::Hs256, Algorithm::Es256]).body_hash("h"),
        ),
        Box::new(RSA),
        Box::new(Unsigned),
    ]
}

fn ring() -> KeyRing {
    KeyRing::new(Key::secret("text", "0123456789abcdef01234567".into(), Decoding::Utf8).unwrap())
        .with(Key::ed25519_raw("ed", &Ed25519Signer::new([7; 32]).public()).unwrap())
        .with(Key::p256("ec", &P256Signer::generate().spki()).unwrap())
        .with(Key::password("basic", "user", &"word".into()).unwrap())
        .with_param("p", "param")
        .with_verify_token("token".into())
}

const NAMES: &[&str] = &[
    "a",
    "b",
    "c",
    "authorization",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "svix-id",
    "svix-timestamp",
    "svix-signature",
    "host",
    "x-forwarded-host",
    "webhook-request-origin",
    "content-type",
    "content-encoding",
];

fn value() -> impl Strategy<Value = Vec<u8>> {
    let near = concat!(
        "(t=[0-9]{1,20},)?(v1|v1a|Basic|Bearer|https://a.b.c/)?",
        "[ =,.]?[A-Za-z0-9+/=_.-]{0,90}( v1,[A-Za-z0-9]{0,9}){0,40}"
    );
    prop_oneof![near.prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..40)]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let near = concat!(
        r#"(\{"a":(1|"x"|null|\[\{"b":"x"\}\]),"s":"[0-9a-f]{0,8}","t":"[0-9TZ:-]{0,20}"\}"#,
        "|a=[0-9a-zA-Z.%+-]{0,20}(&f=%?[0-9a-f]{0,4}){0,3})"
    );
    prop_oneof![near.prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..80)]
}

const QUERY: &str = concat!(
    "(t=[0-9]{0,14})?",
    "(&?(hub.challenge|crc_token|validationToken|bodySHA256|hub.verify_token)=[a-z0-9%]{0,6}){0,3}"
);

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_arrives(
        headers in prop::collection::vec((prop::sample::select(NAMES), value()), 0..8),
        body in body(),
        query in QUERY,
        whole in any::<bool>(),
        received in -1_000_000_000_i64..10_000_000_000,
        method in prop::sample::select(&[Method::GET, Method::POST, Method::OPTIONS, Method::HEAD][..]),
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                map.append(HeaderName::from_static(name), value);
            }
        }
        let base = if whole { "https://h.example:8443/p" } else { "/p" };
        let Ok(uri) = format!("{base}?{query}").parse() else { return Ok(()) };
        let received = jiff::Timestamp::from_second(received).unwrap();
        let request = Incoming { method: &method, uri: &uri, headers: &map, body: &body, received };
        let ring = ring();
        for kit in kits() {
            prop_assert!(kit.verify(&request, &ring).is_err(), "a forgery by chance");
            prop_assert!(!diagnose(&*kit, &request, &ring, Suspects::default()).is_empty());
        }
        for question in [Question::META, Question::WEB_SUB, Question::X, Question::LINKEDIN, Question::BRAINTREE,
            Question::GRAPH, Question::CloudEvents { origins: &["a"] }, Question::Head] {
            let _ = question.answer(&request, &ring);
        }
        let claim = Unsigned.verify(&request, &KeyRing::unsigned()).unwrap();
        for challenge in [Challenge::SLACK, Challenge::ZOOM, Challenge::EVENT_GRID, Challenge::DISCORD_EVENT] {
            let _ = challenge.answer(&claim, &ring);
        }
    }

    /// Any bit of the body, the signature, the time or the id. Two bytes that differ in the case of a letter are the
    /// same hexadecimal digit, so the signature is written in base64 here.
    #[test]
    fn one_flipped_bit(
        body in prop::collection::vec(any::<u8>(), 1..60),
        place in 0..4_usize,
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let secret = b"0123456789abcdef01234567";
        let message = [b"msg_1.1700000000.", &body[..]].concat();
        let signature = format!("v1,{}", sign::base64(&sign::hmac_sha256(secret, &message)));
        let good = Delivery::post(body).header("webhook-id", "msg_1").header("webhook-timestamp", "1700000000")
            .header("webhook-signature", &signature);
        let received = jiff::Timestamp::from_second(1_700_000_000).unwrap();
        let ring = KeyRing::new(Key::secret("k", sign::base64(secret).into(), Decoding::StandardWebhooks).unwrap());
        prop_assert!(StandardWebhooks.verify(&good.incoming(received), &ring).is_ok());
        let mut flipped = good.clone();
        if place == 3 {
            let at = at.index(flipped.body.len());
            flipped.body[at] ^= 1 << bit;
        } else {
            let name = ["webhook-id", "webhook-timestamp", "webhook-signature"][place];
            let mut value = good.headers[name].as_bytes().to_vec();
            let at = at.index(value.len());
            value[at] ^= 1 << bit;
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            flipped.headers.insert(name, value);
        }
        prop_assert!(StandardWebhooks.verify(&flipped.incoming(received), &ring).is_err());
    }
}
