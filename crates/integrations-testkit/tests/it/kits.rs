//! The suite over every kit, each in the scheme of a vendor that uses it.

use std::time::Duration;

use integrations_core::webhook::{
    Algorithm, BasicAuth, Decoding, EcdsaP256, Ed25519, Encoding, Event, Expect, Grammar, Hmac, Incoming,
    Jwt, Key, KeyRing, Kit, Place, Receipt, Scheme, SharedToken, Stamp, StandardWebhooks, Token, TwilioForm,
    Unit, Verified, Webhook, WebhookError,
};
use integrations_testkit::webhook::sign::{self, Ed25519Signer, P256Signer};
use integrations_testkit::webhook::{Case, Covers, Delivery, Order, Signer};

/// A webhook that is nothing but a kit.
pub(crate) struct Plain<K>(pub(crate) K);

impl<K: Kit> Webhook for Plain<K> {
    fn receive<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Receipt<'a>, WebhookError> {
        self.0.verify(request, keys).map(Receipt::Delivery)
    }

    fn events(&self, _: &Verified<'_>) -> integrations_core::Result<Vec<Event>> {
        Ok(Vec::new())
    }
}

pub(crate) const FIVE_MINUTES: Duration = Duration::from_secs(300);

fn secret(signer: Signer) -> String {
    format!("0123456789abcdef-{signer:?}")
}

fn text_key(signer: Signer) -> Key {
    Key::secret(format!("{signer:?}"), secret(signer).into(), Decoding::Utf8).unwrap()
}

pub(crate) fn proven(case: &Case<'_>) {
    let report = case.run();
    report.assert();
    assert!(report.passed().count() >= 12, "{report}");
}

fn mac(order: &Order<'_>, message: &[u8]) -> Vec<u8> {
    sign::hmac_sha256(secret(order.signer).as_bytes(), message)
}

#[test]
fn hmac_in_a_list_with_the_time_as_stripe_does() {
    const KIT: Hmac = Hmac::sha256(
        Scheme::new(Place::Header("stripe-signature"), &[Token::Timestamp, Token::Text("."), Token::Body])
            .grammar(Grammar::List { separator: ',', assign: '=', name: Some("v1") })
            .stamp(Stamp::seconds(Place::Item("t"))),
    );
    let make = |order: &Order<'_>| {
        let t = order.at.as_second();
        let mac = mac(order, &[format!("{t}.").as_bytes(), order.body].concat());
        Delivery::post(order.body)
            .header("stripe-signature", &format!("t={t},v1={},v0=00ff", sign::hex(&mac)))
    };
    // Behind the signature stands an item of another scheme, which may be changed and cut: that is why it is left out
    // of the trials over the whole header.
    let with_v0 = make(&order(b"{}"));
    assert!(
        Plain(KIT).receive(&with_v0.incoming(moment()), &KeyRing::new(text_key(Signer::Present))).is_ok()
    );
    let make = |order: &Order<'_>| {
        let mut delivery = make(order);
        let value = delivery.headers["stripe-signature"].to_str().unwrap().replace(",v0=00ff", "");
        delivery.headers.insert("stripe-signature", value.parse().unwrap());
        delivery
    };
    let webhook = Plain(KIT);
    proven(
        &Case::new(&webhook, text_key, make)
            .signature("stripe-signature")
            .version("v1")
            .tolerance(FIVE_MINUTES),
    );
}

pub(crate) fn moment() -> jiff::Timestamp {
    jiff::Timestamp::constant(1_790_000_000, 0)
}

pub(crate) fn order(body: &[u8]) -> Order<'_> {
    Order::new(body, moment(), Signer::Present)
}

#[test]
fn hmac_with_a_prefix_and_a_time_header_as_slack_and_zoom_do() {
    const KIT: Hmac = Hmac::sha256(
        Scheme::new(
            Place::Header("x-slack-signature"),
            &[Token::Text("v0:"), Token::Timestamp, Token::Text(":"), Token::Body],
        )
        .grammar(Grammar::Prefixed("v0="))
        .stamp(Stamp::seconds(Place::Header("x-slack-request-timestamp"))),
    );
    let make = |order: &Order<'_>| {
        let t = order.at.as_second().to_string();
        let mac = mac(order, &[format!("v0:{t}:").as_bytes(), order.body].concat());
        Delivery::post(order.body)
            .header("x-slack-request-timestamp", &t)
            .header("x-slack-signature", &format!("v0={}", sign::hex(&mac)))
    };
    let webhook = Plain(KIT);
    let case = Case::new(&webhook, text_key, make);
    let case = case.signature("x-slack-signature").signed_header("x-slack-request-timestamp");
    proven(&case.version("v0").tolerance(FIVE_MINUTES));
}

#[test]
fn hmac_over_the_body_in_each_hash_and_encoding() {
    type Sign = fn(&[u8], &[u8]) -> Vec<u8>;
    type Write = fn(&[u8]) -> String;
    const SCHEME: Scheme = Scheme::new(Place::Header("x-signature"), &[Token::Body]);
    let kits: [(Hmac, Sign, Write); 4] = [
        (Hmac::sha1(SCHEME), sign::hmac_sha1, sign::hex),
        (Hmac::sha256(SCHEME.encoding(Encoding::Base64)), sign::hmac_sha256, sign::base64),
        (Hmac::sha256(SCHEME.grammar(Grammar::MaybePrefixed("sha256="))), sign::hmac_sha256, sign::hex),
        (Hmac::sha512(SCHEME.encoding(Encoding::Base64Url)), sign::hmac_sha512, sign::base64_url),
    ];
    for (kit, hash, write) in kits {
        let make = |order: &Order<'_>| {
            let mac = hash(secret(order.signer).as_bytes(), order.body);
            Delivery::post(order.body).header("x-signature", &write(&mac))
        };
        let webhook = Plain(kit);
        proven(&Case::new(&webhook, text_key, make).signature("x-signature"));
    }
}

#[test]
fn hmac_over_method_address_body_and_milliseconds_as_hubspot_does() {
    const KIT: Hmac = Hmac::sha256(
        Scheme::new(
            Place::Header("x-hubspot-signature-v3"),
            &[
                Token::Method,
                Token::UrlReplacing(&[("%3A", ":"), ("%2F", "/")]),
                Token::Body,
                Token::Timestamp,
            ],
        )
        .encoding(Encoding::Base64)
        .stamp(Stamp::new(Place::Header("x-hubspot-request-timestamp"), Unit::Millis)),
    );
    let make = |order: &Order<'_>| {
        let delivery = Delivery::post(order.body).uri("https://example.test/hook?a=1%2F2&b=%3A");
        let t = order.at.as_millisecond().to_string();
        let message = [b"POSThttps://example.test/hook?a=1/2&b=:", order.body, t.as_bytes()].concat();
        delivery
            .header("x-hubspot-request-timestamp", &t)
            .header("x-hubspot-signature-v3", &sign::base64(&mac(order, &message)))
    };
    let webhook = Plain(KIT);
    let case = Case::new(&webhook, text_key, make).signature("x-hubspot-signature-v3");
    proven(&case.signed_header("x-hubspot-request-timestamp").tolerance(FIVE_MINUTES).covers_address());
}

#[test]
fn hmac_over_a_hash_of_the_body_and_the_path() {
    const KIT: Hmac = Hmac::sha256(
        Scheme::new(
            Place::Header("x-signature"),
            &[
                Token::Id,
                Token::Text("\n"),
                Token::Timestamp,
                Token::Text("\n"),
                Token::Path,
                Token::BodySha256,
            ],
        )
        .id(Place::Header("x-id"))
        .stamp(Stamp::new(Place::Header("x-date"), Unit::Rfc3339).tolerance(Duration::from_secs(60))),
    );
    let make = |order: &Order<'_>| {
        let delivery = Delivery::post(order.body);
        let body_hash = sign::hex(&sign::sha256(order.body));
        let message = format!("d-1\n{}\n/in?tenant=7&kind=a{body_hash}", order.at);
        delivery
            .header("x-id", "d-1")
            .header("x-date", &order.at.to_string())
            .header("x-signature", &sign::hex(&mac(order, message.as_bytes())))
    };
    let webhook = Plain(KIT);
    let case = Case::new(&webhook, text_key, make).signature("x-signature").covers_address();
    proven(&case.signed_header("x-id").signed_header("x-date").tolerance(Duration::from_secs(60)));
}

/// 24 bytes, as the standard asks for.
fn standard_secret(signer: Signer) -> Vec<u8> {
    format!("{:0<24.24}", secret(signer)).into_bytes()
}

fn standard_key(signer: Signer) -> Key {
    let text = format!("whsec_{}", sign::base64(&standard_secret(signer)));
    Key::secret(format!("{signer:?}"), text.into(), Decoding::StandardWebhooks).unwrap()
}

fn standard(
    order: &Order<'_>,
    [id, stamp, signature]: [&'static str; 3],
    sign: impl Fn(&[u8]) -> String,
) -> Delivery {
    let t = order.at.as_second().to_string();
    let message = [format!("msg_1.{t}.").as_bytes(), order.body].concat();
    Delivery::post(order.body).header(id, "msg_1").header(stamp, &t).header(signature, &sign(&message))
}

#[test]
fn standard_webhooks_v1_with_both_families_of_headers() {
    for prefix in ["webhook", "svix"] {
        let names = ["id", "timestamp", "signature"]
            .map(|name| &*Box::leak(format!("{prefix}-{name}").into_boxed_str()));
        let make = |order: &Order<'_>| {
            standard(order, names, |message| {
                format!("v1,{}", sign::base64(&sign::hmac_sha256(&standard_secret(order.signer), message)))
            })
        };
        let webhook = Plain(StandardWebhooks);
        let case = Case::new(&webhook, standard_key, make).signature(names[2]).version("v1");
        proven(&case.signed_header(names[0]).signed_header(names[1]).tolerance(FIVE_MINUTES));
    }
}

fn ed25519(signer: Signer) -> Ed25519Signer {
    Ed25519Signer::new([signer as u8 + 1; 32])
}

#[test]
fn standard_webhooks_v1a() {
    let key = |signer| {
        let text = format!("whpk_{}", sign::base64(&ed25519(signer).public()));
        Key::ed25519(format!("{signer:?}"), &text).unwrap()
    };
    let make = |order: &Order<'_>| {
        standard(order, ["webhook-id", "webhook-timestamp", "webhook-signature"], |message| {
            format!("v1a,{}", sign::base64(&ed25519(order.signer).sign(message)))
        })
    };
    let webhook = Plain(StandardWebhooks);
    let case = Case::new(&webhook, key, make).signature("webhook-signature").version("v1a");
    proven(&case.signed_header("webhook-id").signed_header("webhook-timestamp").tolerance(FIVE_MINUTES));
}

#[test]
fn ed25519_as_discord_does() {
    const KIT: Ed25519 = Ed25519::new(
        Scheme::new(Place::Header("x-signature-ed25519"), &[Token::Timestamp, Token::Body])
            .stamp(Stamp::seconds(Place::Header("x-signature-timestamp"))),
    );
    let key = |signer| Key::ed25519(format!("{signer:?}"), &sign::hex(&ed25519(signer).public())).unwrap();
    let make = |order: &Order<'_>| {
        let t = order.at.as_second().to_string();
        let signature = ed25519(order.signer).sign(&[t.as_bytes(), order.body].concat());
        Delivery::post(order.body)
            .header("x-signature-timestamp", &t)
            .header("x-signature-ed25519", &sign::hex(&signature))
    };
    let webhook = Plain(KIT);
    let case = Case::new(&webhook, key, make).signature("x-signature-ed25519");
    proven(&case.signed_header("x-signature-timestamp").tolerance(FIVE_MINUTES));
}

fn p256() -> impl Fn(Signer) -> std::rc::Rc<P256Signer> {
    let all = [(); 3].map(|()| std::rc::Rc::new(P256Signer::generate()));
    move |signer| all[signer as usize].clone()
}

#[test]
fn ecdsa_as_sendgrid_does() {
    const SIGNATURE: &str = "x-twilio-email-event-webhook-signature";
    const TIME: &str = "x-twilio-email-event-webhook-timestamp";
    const KIT: EcdsaP256 = EcdsaP256::new(
        Scheme::new(Place::Header(SIGNATURE), &[Token::Timestamp, Token::Body])
            .encoding(Encoding::Base64)
            .stamp(Stamp::seconds(Place::Header(TIME))),
    );
    let signers = p256();
    let key = |signer| Key::p256(format!("{signer:?}"), &signers(signer).spki()).unwrap();
    let make = |order: &Order<'_>| {
        let t = order.at.as_second().to_string();
        let signature = signers(order.signer).sign(&[t.as_bytes(), order.body].concat());
        Delivery::post(order.body).header(TIME, &t).header(SIGNATURE, &sign::base64(&signature))
    };
    let webhook = Plain(KIT);
    proven(&Case::new(&webhook, key, make).signature(SIGNATURE).signed_header(TIME).tolerance(FIVE_MINUTES));
}

#[test]
fn hmac_over_address_and_body_as_square_does() {
    const KIT: Hmac = Hmac::sha256(
        Scheme::new(Place::Header("x-square-hmacsha256-signature"), &[Token::Url, Token::Body])
            .encoding(Encoding::Base64),
    );
    let make = |order: &Order<'_>| {
        let message = [b"https://hooks.example.com/in?tenant=7&kind=a", order.body].concat();
        Delivery::post(order.body)
            .header("x-square-hmacsha256-signature", &sign::base64(&mac(order, &message)))
    };
    let webhook = Plain(KIT);
    proven(&Case::new(&webhook, text_key, make).signature("x-square-hmacsha256-signature").covers_address());
}

const TWILIO: TwilioForm = TwilioForm::new("x-twilio-signature");

#[test]
fn address_and_form_as_twilio_does() {
    let make = |order: &Order<'_>| {
        let url = b"https://hooks.example.com/in?tenant=7&kind=a";
        let message = [&url[..], &sign::sorted_form(order.body)].concat();
        let mac = sign::hmac_sha1(secret(order.signer).as_bytes(), &message);
        Delivery::post(order.body).header("x-twilio-signature", &sign::base64(&mac))
    };
    let webhook = Plain(TWILIO);
    let case = Case::new(&webhook, text_key, make).signature("x-twilio-signature").covers_address();
    proven(
        &case
            .bodies("To=%2B1800&From=%2B1415&Digits=1234&Body=a+b", "To=%2B1800&From=%2B1416&Digits=9&Body="),
    );
}

#[test]
fn address_and_json_as_twilio_does() {
    let make = |order: &Order<'_>| {
        let hash = sign::hex(&sign::sha256(order.body));
        let url = format!("https://hooks.example.com/in?tenant=7&bodySHA256={hash}");
        let mac = sign::hmac_sha1(secret(order.signer).as_bytes(), url.as_bytes());
        Delivery::post(order.body)
            .uri(&url)
            .header("content-type", "application/json")
            .header("x-twilio-signature", &sign::base64(&mac))
    };
    let webhook = Plain(TWILIO);
    proven(&Case::new(&webhook, text_key, make).signature("x-twilio-signature").covers_address());
}

#[test]
fn jwt_under_published_keys_with_the_hash_of_the_body_as_plaid_does() {
    const KIT: Jwt = Jwt::new(Place::Header("plaid-verification"), &[Algorithm::Es256])
        .body_hash("request_body_sha256")
        .max_age(FIVE_MINUTES);
    let signers = p256();
    let key = |signer| jwk(&signers(signer), signer);
    let make = |order: &Order<'_>| {
        let header = format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{:?}"}}"#, order.signer);
        let hash = sign::hex(&sign::sha256(order.body));
        let claims = format!(r#"{{"iat":{},"request_body_sha256":"{hash}"}}"#, order.at.as_second());
        let token = sign::jwt(&header, &claims, |message| signers(order.signer).sign_fixed(message));
        Delivery::post(order.body).header("plaid-verification", &token)
    };
    let webhook = Plain(KIT);
    proven(&Case::new(&webhook, key, make).signature("plaid-verification").tolerance(FIVE_MINUTES));
}

/// A forger may call their own key by the vendor's id: then it is not unknown, it does not match.
#[test]
fn jwt_of_a_stranger_who_borrows_the_key_id() {
    const KIT: Jwt = Jwt::new(Place::Header("authorization"), &[Algorithm::Es256]).max_age(FIVE_MINUTES);
    let (own, theirs) = (P256Signer::generate(), P256Signer::generate());
    let ring = KeyRing::from_jwks(format!(r#"{{"keys":[{}]}}"#, own.jwk("k")).as_bytes()).unwrap();
    let receive = |signer: &P256Signer, header: &str| {
        let claims = format!(r#"{{"iat":{}}}"#, moment().as_second());
        let token = sign::jwt(header, &claims, |message| signer.sign_fixed(message));
        let delivery = Delivery::post("{}").header("authorization", &format!("Bearer {token}"));
        KIT.verify(&delivery.incoming(moment()), &ring).map(|verified| verified.key().to_owned())
    };
    assert_eq!(receive(&own, r#"{"alg":"ES256","kid":"k"}"#), Ok("k".to_owned()));
    assert_eq!(receive(&theirs, r#"{"alg":"ES256","kid":"k"}"#), Err(WebhookError::NoMatch));
    assert_eq!(
        receive(&own, r#"{"alg":"ES256","kid":"other"}"#),
        Err(WebhookError::UnknownKey { key: "other".into() })
    );
    for header in [
        r#"{"alg":"none","kid":"k"}"#,
        r#"{"alg":"HS256","kid":"k"}"#,
        r#"{"alg":"RS256","kid":"k"}"#,
        r#"{"alg":"ES256"}"#,
        r#"{"alg":"ES256","kid":"k","crit":["exp"]}"#,
        "{}",
        "[]",
    ] {
        assert!(matches!(receive(&own, header), Err(WebhookError::Malformed(_))), "{header}");
    }
}

fn jwk(signer: &P256Signer, name: Signer) -> Key {
    let set = format!(r#"{{"keys":[{}]}}"#, signer.jwk(&format!("{name:?}")));
    Key::jwks(set.as_bytes()).unwrap().remove(0)
}

#[test]
fn jwt_under_a_secret_with_the_hash_of_the_body_as_vonage_does() {
    const KIT: Jwt = Jwt::new(Place::Header("authorization"), &[Algorithm::Hs256])
        .claims(&[("iss", Expect::Text("Vonage"))])
        .body_hash("payload_hash")
        .max_age(FIVE_MINUTES);
    let make = |order: &Order<'_>| {
        let hash = sign::hex(&sign::sha256(order.body));
        let t = order.at.as_second();
        let claims = format!(r#"{{"iat":{t},"jti":"j1","iss":"Vonage","payload_hash":"{hash}"}}"#);
        let token = sign::jwt(r#"{"alg":"HS256"}"#, &claims, |message| mac(order, message));
        Delivery::post(order.body).header("authorization", &format!("Bearer {token}"))
    };
    let webhook = Plain(KIT);
    proven(&Case::new(&webhook, text_key, make).signature("authorization").tolerance(FIVE_MINUTES));
}

#[test]
fn jwt_of_an_identity_as_google_pub_sub_does() {
    const KIT: Jwt = Jwt::new(Place::Header("authorization"), &[Algorithm::Es256]).claims(&[
        ("iss", Expect::OneOf(&["https://accounts.google.com", "accounts.google.com"])),
        ("aud", Expect::Param("audience")),
        ("email", Expect::Param("email")),
        ("email_verified", Expect::True),
    ]);
    let signers = p256();
    let key = |signer| jwk(&signers(signer), signer);
    let make = |order: &Order<'_>| {
        let (from, until) = (order.at.as_second(), order.at.as_second() + 3600);
        let claims = format!(
            r#"{{"iss":"https://accounts.google.com","aud":["https://us"],"email":"a@b",
            "email_verified":true,"iat":{from},"exp":{until}}}"#
        );
        let header = format!(r#"{{"alg":"ES256","kid":"{:?}"}}"#, order.signer);
        let token = sign::jwt(&header, &claims, |message| signers(order.signer).sign_fixed(message));
        Delivery::post(order.body).header("authorization", &format!("Bearer {token}"))
    };
    let ring = KeyRing::unsigned().with_param("audience", "https://us").with_param("email", "a@b");
    let webhook = Plain(KIT);
    let case =
        Case::new(&webhook, key, make).signature("authorization").covers(Covers::Nothing).configured(ring);
    let report = case.run();
    report.assert();
    assert!(report.passed().count() >= 10, "{report}");
}

#[test]
fn a_password_and_a_shared_token() {
    let basic = Plain(BasicAuth);
    let key =
        |signer: Signer| Key::password(format!("{signer:?}"), "vendor", &secret(signer).into()).unwrap();
    let make = |order: &Order<'_>| {
        let pair = format!("vendor:{}", secret(order.signer));
        Delivery::post(order.body)
            .header("authorization", &format!("Basic {}", sign::base64(pair.as_bytes())))
    };
    let case = Case::new(&basic, key, make).signature("authorization").covers(Covers::Nothing);
    let report = case.run();
    report.assert();
    assert!(report.passed().count() >= 10, "{report}");

    let token = Plain(SharedToken::new(Place::Header("x-goog-channel-token")));
    let make =
        |order: &Order<'_>| Delivery::post(order.body).header("x-goog-channel-token", &secret(order.signer));
    let report =
        Case::new(&token, text_key, make).signature("x-goog-channel-token").covers(Covers::Nothing).run();
    report.assert();
    assert!(report.passed().count() >= 10, "{report}");
}

/// RFC 7519 section 4.1, with 60 s between the clocks.
#[test]
fn jwt_times_and_claims() {
    const KIT: Jwt = Jwt::new(Place::Header("authorization"), &[Algorithm::Hs256])
        .claims(&[("aud", Expect::Param("audience"))])
        .leeway(Duration::from_secs(3600));
    let ring = KeyRing::new(text_key(Signer::Present)).with_param("audience", "us");
    let now = moment().as_second();
    let receive = |claims: String| {
        let token = sign::jwt(r#"{"alg":"HS256"}"#, &claims, |message| mac(&order(b""), message));
        let delivery = Delivery::post("").header("authorization", &format!("bearer {token}"));
        KIT.verify(&delivery.incoming(moment()), &ring).map(|_| ())
    };
    let early = |seconds| Err(WebhookError::Early(Duration::from_secs(seconds)));
    for (claims, expected) in [
        (format!(r#"{{"aud":"us","exp":{}}}"#, now - 59), Ok(())),
        (format!(r#"{{"aud":"us","exp":{}.5}}"#, now - 59), Ok(())),
        (format!(r#"{{"aud":"us","exp":{}}}"#, now - 60), Err(WebhookError::Stale(Duration::from_secs(60)))),
        (format!(r#"{{"aud":"us","exp":{now},"nbf":{}}}"#, now + 60), Ok(())),
        (format!(r#"{{"aud":"us","exp":{now},"nbf":{}}}"#, now + 61), early(61)),
        (format!(r#"{{"aud":"us","exp":{now},"iat":{}}}"#, now + 61), early(61)),
        (r#"{"aud":"us"}"#.to_owned(), Err(WebhookError::MissingHeader("exp"))),
        (r#"{"aud":"us","exp":"soon"}"#.to_owned(), Err(WebhookError::Malformed("exp"))),
        (r#"{"aud":"us","exp":1e300}"#.to_owned(), Err(WebhookError::Malformed("exp"))),
        (format!(r#"{{"exp":{now}}}"#), Err(WebhookError::MissingHeader("aud"))),
        (format!(r#"{{"aud":["them","us"],"exp":{now}}}"#), Ok(())),
        (format!(r#"{{"aud":["them"],"exp":{now}}}"#), Err(WebhookError::NoMatch)),
        (format!(r#"{{"aud":"us ","exp":{now}}}"#), Err(WebhookError::NoMatch)),
        ("[]".to_owned(), Err(WebhookError::Malformed("authorization"))),
    ] {
        assert_eq!(receive(claims.clone()), expected, "{claims}");
    }
}
