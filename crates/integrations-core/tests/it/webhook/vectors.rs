//! Signatures that vendors published, and computed ones where a vendor published none.

use integrations_core::webhook::{
    Decoding, EcdsaP256, Encoding, Grammar, Hmac, Key, KeyRing, Kit, Place, Scheme, SecretHash, Stamp,
    StandardWebhooks, Token, Trust, TwilioForm, WebhookError,
};

use super::{Sent, ring, utf8};

const fn header(name: &'static str, signed: &'static [Token]) -> Scheme {
    Scheme::new(Place::Header(name), signed)
}

const V0: &[Token] = &[Token::Text("v0:"), Token::Timestamp, Token::Text(":"), Token::Body];
const DOTTED: &[Token] = &[Token::Timestamp, Token::Text("."), Token::Body];

/// The delivery is accepted, and refused with one more byte.
fn holds(kit: &dyn Kit, sent: Sent, ring: &KeyRing) {
    assert!(kit.verify(&sent.incoming(), ring).is_ok(), "{:?}", kit.verify(&sent.incoming(), ring));
    let longer = Sent { body: [&sent.body[..], b" "].concat(), ..sent };
    assert_eq!(kit.verify(&longer.incoming(), ring).unwrap_err(), WebhookError::NoMatch);
}

fn standard(id: &str, stamp: i64, body: &str, signature: &str) -> Sent {
    Sent::post(body)
        .header("webhook-id", id)
        .header("webhook-timestamp", &stamp.to_string())
        .header("webhook-signature", signature)
        .at(stamp)
}

/// The test vectors of the libraries of Standard Webhooks and Svix.
#[test]
fn standard_webhooks() {
    let first = standard(
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1_649_367_553,
        r#"{"email":"test@example.com","username":"test_user"}"#,
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    );
    let key = ring("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", Decoding::StandardWebhooks);
    holds(&StandardWebhooks, first.clone(), &key);
    holds(
        &StandardWebhooks,
        first.clone(),
        &ring("C2FVsBQIhrscChlQIMV+b5sSYspob7oD", Decoding::StandardWebhooks),
    );
    let verified =
        StandardWebhooks.verify(&first.incoming(), &key).map(|v| (v.id().map(str::to_owned), v.trust()));
    assert_eq!(verified, Ok((Some("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk".to_owned()), Trust::Signed)));

    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    let mac = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let body = r#"{"test": 2432232314}"#;
    let key = ring("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Decoding::StandardWebhooks);
    holds(&StandardWebhooks, standard(id, 1_614_265_330, body, mac), &key);

    let signature =
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
    let public = Key::ed25519("svix", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=").unwrap();
    holds(&StandardWebhooks, standard(id, 1_614_265_330, body, signature), &KeyRing::new(public.clone()));

    // One good signature among others, whatever its place; a ring with both kinds of keys.
    let both = key.with(public);
    for list in [
        format!("v1,AAAA {mac} v2,xyz"),
        format!("v9 v1, v1,%% {signature}"),
        format!("{mac} v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA="),
    ] {
        holds(&StandardWebhooks, standard(id, 1_614_265_330, body, &list), &both);
    }
    for list in ["", "v1,", "v1", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", " ", ","] {
        let sent = standard(id, 1_614_265_330, body, list);
        assert_eq!(
            StandardWebhooks.verify(&sent.incoming(), &both).unwrap_err(),
            WebhookError::NoMatch,
            "{list}"
        );
    }
    let many = vec![mac; 33].join(" ");
    let sent = standard(id, 1_614_265_330, body, &many);
    assert!(matches!(StandardWebhooks.verify(&sent.incoming(), &both), Err(WebhookError::Malformed(_))));
    let dotted = standard("msg.1", 1_614_265_330, body, mac);
    assert!(matches!(StandardWebhooks.verify(&dotted.incoming(), &both), Err(WebhookError::Malformed(_))));
}

/// docs.github.com, "Validating webhook deliveries".
#[test]
fn github() {
    let kit =
        Hmac::sha256(header("x-hub-signature-256", &[Token::Body]).grammar(Grammar::Prefixed("sha256=")));
    let digits = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let ring = utf8("It's a Secret to Everybody");
    for digits in [digits.to_owned(), digits.to_uppercase()] {
        let sent = Sent::post("Hello, World!").header("x-hub-signature-256", &format!("sha256={digits}"));
        holds(&kit, sent, &ring);
    }
    let bare = Sent::post("Hello, World!").header("x-hub-signature-256", digits);
    assert!(matches!(kit.verify(&bare.incoming(), &ring), Err(WebhookError::Malformed(_))));
}

/// docs.slack.dev, "Verifying requests from Slack".
#[test]
fn slack() {
    let kit = Hmac::sha256(
        header("x-slack-signature", V0)
            .grammar(Grammar::Prefixed("v0="))
            .stamp(Stamp::seconds(Place::Header("x-slack-request-timestamp"))),
    );
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
        &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
        &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let sent = Sent::post(body)
        .header("x-slack-request-timestamp", "1531420618")
        .header("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503")
        .at(1_531_420_618);
    let ring = utf8("8f742231b10e8888abcd99yyyzzz85a5");
    holds(&kit, sent.clone(), &ring);
    for (late, expected) in [(300, true), (301, false), (-300, true), (-301, false)] {
        let sent = sent.clone().at(1_531_420_618 + late);
        assert_eq!(kit.verify(&sent.incoming(), &ring).is_ok(), expected, "{late}");
    }
}

#[test]
fn zoom() {
    let kit = Hmac::sha256(
        header("x-zm-signature", V0)
            .grammar(Grammar::Prefixed("v0="))
            .stamp(Stamp::seconds(Place::Header("x-zm-request-timestamp"))),
    );
    let body = "{\"event\":\"endpoint.url_validation\",\"payload\":{\"plainToken\":\"qgg8vlvZRS6UYooatFL8Aw\"},\
        \"event_ts\":1654503849680}";
    let sent = Sent::post(body)
        .header("x-zm-request-timestamp", "1654503849")
        .header("x-zm-signature", "v0=5e22de9d400c0f79a8c3ede327e47ffaeaee6c5f3ac51e3992bd5e1fdefdc5b8")
        .at(1_654_503_849);
    holds(&kit, sent, &utf8("secret_token"));
}

/// The key is the whole text, `whsec_` included.
#[test]
fn stripe() {
    let kit = Hmac::sha256(
        header("stripe-signature", DOTTED)
            .grammar(Grammar::List { separator: ',', assign: '=', name: Some("v1") })
            .stamp(Stamp::seconds(Place::Item("t"))),
    );
    let body = "{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\",\n  \"data\": { \"object\": { \"id\": \
                \"rdr_123\", \"object\": \"terminal.reader\" } }\n}";
    let mac = "3bfab77baf5f7b6991a46c9b53b6547d7afc56148b10468fcad9f35c1992ffbd";
    let ring = utf8("whsec_test_secret");
    for value in [
        format!("t=1700000000,v1={mac}"),
        format!("t=1700000000,v0=00,v1=00ff,v1={mac}"),
        format!("t=1700000000, v1={mac}"),
    ] {
        holds(&kit, Sent::post(body).header("stripe-signature", &value), &ring);
    }
    for (value, expected) in [
        (format!("v1={mac}"), WebhookError::MissingHeader("t")),
        (format!("t=1700000000,t=1700000000,v1={mac}"), WebhookError::Malformed("t")),
        (format!("t=+1700000000,v1={mac}"), WebhookError::Malformed("t")),
        (format!("t=1700000000,v0={mac}"), WebhookError::NoMatch),
    ] {
        let sent = Sent::post(body).header("stripe-signature", &value);
        assert_eq!(kit.verify(&sent.incoming(), &ring).unwrap_err(), expected, "{value}");
    }
}

#[test]
fn tiktok_meta_x_linkedin_and_segment() {
    let tiktok = Hmac::sha256(
        header("tiktok-signature", DOTTED)
            .grammar(Grammar::List { separator: ',', assign: '=', name: Some("s") })
            .stamp(Stamp::seconds(Place::Item("t"))),
    );
    let value = "t=1633174587,s=518d518170a6bb02b179d3cd3516b79e7bd60dd962efd012fc0a71add6460b44";
    let sent = Sent::post(r#"{"event":"x"}"#).header("tiktok-signature", value).at(1_633_174_587);
    holds(&tiktok, sent, &utf8("client_secret"));

    let meta =
        Hmac::sha256(header("x-hub-signature-256", &[Token::Body]).grammar(Grammar::Prefixed("sha256=")));
    let value = "sha256=550e646d4869f9eaf9e56ccc2b73b528c8d3aac4a24ff137e0a26e3e45bbd075";
    let sent = Sent::post(r#"{"object":"page","entry":[]}"#).header("x-hub-signature-256", value);
    holds(&meta, sent, &utf8("secret"));

    let linkedin = Hmac::sha256(
        header("x-li-signature", &[Token::Text("hmacsha256="), Token::Body])
            .grammar(Grammar::MaybePrefixed("hmacsha256=")),
    );
    let digits = "fedbccd22be4ae77c30034ec6d85c64669341401089e880375e9c3fd4ae21ae1";
    for value in [digits.to_owned(), format!("hmacsha256={digits}")] {
        let sent = Sent::post(r#"{"type":"LEAD_ACTION"}"#).header("x-li-signature", &value);
        holds(&linkedin, sent, &utf8("client_secret"));
    }

    let segment = Hmac::sha1(header("x-signature", &[Token::Body]));
    let sent =
        Sent::post(r#"{"type":"track"}"#).header("x-signature", "2e88aac68ea7b39da724171f506ddb544ec37f6a");
    holds(&segment, sent, &utf8("secret"));
}

#[test]
fn square() {
    let kit = Hmac::sha256(
        header("x-square-hmacsha256-signature", &[Token::Url, Token::Body]).encoding(Encoding::Base64),
    );
    let sent = Sent::post(r#"{"hello":"world"}"#)
        .uri("https://example.com/webhook")
        .header("x-square-hmacsha256-signature", "2kRE5qRU2tR+tBGlDwMEw2avJ7QM4ikPYD/PJ3bd9Og=");
    holds(&kit, sent.clone(), &utf8("asdf1234"));
    let plain = sent.clone().uri("http://example.com/webhook");
    assert_eq!(kit.verify(&plain.incoming(), &utf8("asdf1234")).unwrap_err(), WebhookError::NoMatch);
    let path_alone = sent.uri("/webhook");
    assert!(matches!(kit.verify(&path_alone.incoming(), &utf8("asdf1234")), Err(WebhookError::Config(_))));
}

const ADYEN: &[Token] = &[
    Token::JsonOrEmpty("/pspReference"),
    Token::Text(":"),
    Token::JsonOrEmpty("/originalReference"),
    Token::Text(":"),
    Token::Json("/merchantAccountCode"),
    Token::Text(":"),
    Token::Json("/merchantReference"),
    Token::Text(":"),
    Token::Json("/amount/value"),
    Token::Text(":"),
    Token::Json("/amount/currency"),
    Token::Text(":"),
    Token::Json("/eventCode"),
    Token::Text(":"),
    Token::Json("/success"),
];

/// The vectors of Adyen's own libraries. Only these fields are signed.
#[test]
fn adyen() {
    let kit = Hmac::sha256(
        Scheme::new(Place::Json("/additionalData/hmacSignature"), ADYEN).encoding(Encoding::Base64),
    );
    let ring = ring("DFB1EB5485895CFA84146406857104ABB4CBCABDC8AAF103A624C8F6A3EAAB00", Decoding::Hex);
    for (event, mac) in [
        ("EVENT", "ipnxGCaUZ4l8TUW75a71/ghd2Fe5ffvX0pV4TLTntIc="),
        ("REPORT_AVAILABLE", "ZNBPtI+oDyyRrLyD1XirkKnQgIAlFc07Vj27TeHsDRE="),
    ] {
        let item = |success: &str| {
            Sent::post(format!(
                r#"{{"pspReference":"pspReference","originalReference":"originalReference",
                "merchantAccountCode":"merchantAccount","merchantReference":"reference",
                "amount":{{"value":1000,"currency":"EUR"}},"eventCode":"{event}","success":"{success}",
                "additionalData":{{"hmacSignature":"{mac}"}}}}"#
            ))
        };
        let trust = kit.verify(&item("true").incoming(), &ring).map(|verified| verified.trust());
        assert_eq!(trust, Ok(Trust::Authenticated));
        assert_eq!(kit.verify(&item("false").incoming(), &ring).unwrap_err(), WebhookError::NoMatch);
    }
}

#[test]
fn mailgun() {
    let kit = Hmac::sha256(
        Scheme::new(
            Place::Json("/signature/signature"),
            &[Token::Timestamp, Token::Json("/signature/token")],
        )
        .id(Place::Json("/signature/token"))
        .stamp(Stamp::seconds(Place::Json("/signature/timestamp"))),
    );
    let body = |stamp: i64| {
        let token = "a".repeat(50);
        let mac = "e267364a905adfdea86a44c0694486c6dab043e081db5143f6c24c1b08ee1aff";
        Sent::post(format!(
            r#"{{"signature":{{"timestamp":"{stamp}","token":"{token}","signature":"{mac}"}}}}"#
        ))
    };
    let ring = utf8("key-0123456789abcdef");
    let sent = body(1_700_000_000);
    let verified = kit.verify(&sent.incoming(), &ring).unwrap();
    assert_eq!((verified.trust(), verified.id().map(str::len)), (Trust::Authenticated, Some(50)));
    assert_eq!(kit.verify(&body(1_700_000_001).incoming(), &ring).unwrap_err(), WebhookError::NoMatch);
}

/// The vector of SendGrid's own library; the body ends with CR and LF.
#[test]
fn sendgrid() {
    const SIGNATURE: &str = "x-twilio-email-event-webhook-signature";
    const TIME: &str = "x-twilio-email-event-webhook-timestamp";
    let kit = EcdsaP256::new(
        header(SIGNATURE, &[Token::Timestamp, Token::Body])
            .encoding(Encoding::Base64)
            .stamp(Stamp::seconds(Place::Header(TIME))),
    );
    let key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINX\
        vVpiglSI8eNEc6wEA3F+g==";
    let signature =
        "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=";
    let body = "[{\"email\":\"hello@world.com\",\"event\":\"dropped\",\"reason\":\"Bounced Address\",\
        \"sg_event_id\":\"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA\",\
        \"sg_message_id\":\"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0\",\
        \"smtp-id\":\"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>\",\"timestamp\":1600112492}]\r\n";
    assert_eq!(body.len(), 327);
    let sent = Sent::post(body).header(TIME, "1600112502").header(SIGNATURE, signature).at(1_600_112_502);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n");
    for text in [key, &pem] {
        holds(&kit, sent.clone(), &KeyRing::new(Key::p256("sendgrid", text).unwrap()));
    }
}

/// The vectors of Twilio's own libraries.
#[test]
fn twilio() {
    let kit = TwilioForm::new("x-twilio-signature");
    let form =
        "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
    let ring = utf8("12345");
    let signed = |url: &str, mac: &str| Sent::post(form).uri(url).header("x-twilio-signature", mac);
    for (url, mac) in [
        ("https://mycompany.com/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com:443/myapp.php?foo=1&bar=2", "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        // The port that the address has and the sender left out, and the other way round.
        ("https://mycompany.com:443/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com/myapp.php?foo=1&bar=2", "kvajT1Ptam85bY51eRf/AJRuM3w="),
    ] {
        holds(&kit, signed(url, mac), &ring);
    }
    let moved = signed("https://mycompany.com/myapp.php?bar=2&foo=1", "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    assert_eq!(kit.verify(&moved.incoming(), &ring).unwrap_err(), WebhookError::NoMatch);

    let url = "https://mycompany.com/myapp.php?foo=1&bar=2&\
        bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
    let json = Sent::post(r#"{"property": "value", "boolean": true}"#).uri(url);
    let json = json.header("content-type", "application/json");
    holds(&kit, json.header("x-twilio-signature", "a9nBmqA0ju/hNViExpshrM61xv4="), &ring);
}

/// Facebook's own example of a `signed_request`.
#[test]
fn signed_request() {
    let kit = Hmac::sha256(
        Scheme::new(Place::Form("signed_request"), &[Token::Rest])
            .grammar(Grammar::Joined('.'))
            .encoding(Encoding::Base64Url)
            .covers_all_that_is_read(),
    );
    let value =
        "vlXgu64BQGFSQrY0ZcJBZASMvYvTHu9GQ0YM9rjPSso.eyJhbGdvcml0aG0iOiJITUFDLVNIQTI1NiIsIjAiOiJwYXlsb2FkIn0";
    holds(&kit, Sent::post(format!("signed_request={value}")), &utf8("secret"));
}

/// The vector of Braintree's libraries: the key is the SHA-1 of the private key.
#[test]
fn braintree() {
    let kit = Hmac::sha1(
        Scheme::new(Place::Form("bt_signature"), &[Token::Form("bt_payload")])
            .grammar(Grammar::List { separator: '&', assign: '|', name: None })
            .covers_all_that_is_read(),
    );
    let form = "bt_signature=other%7C00ff%26public_key%7Cd503d7a1a6adba1e6474e9ff2c4167f9dfdf4247\
        &bt_payload=hello+world";
    holds(&kit, Sent::post(form), &ring("secretKey", Decoding::Sha1));
    let doubled = Sent::post(format!("{form}&bt_payload=hello+world"));
    let refused = kit.verify(&doubled.incoming(), &ring("secretKey", Decoding::Sha1)).unwrap_err();
    assert_eq!(refused, WebhookError::Malformed("bt_payload"));
}

/// The vectors of HubSpot's pages on its signatures of versions 1 and 2.
#[test]
fn hubspot_before_version_3() {
    const V1: SecretHash = SecretHash::new(header("x-hubspot-signature", &[Token::Body]));
    const V2: SecretHash =
        SecretHash::new(header("x-hubspot-signature", &[Token::Method, Token::Url, Token::Body]));
    let ring = utf8("yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy");
    let body = concat!(
        r#"[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,"#,
        r#""subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM","#,
        r#""changeFlag":"NEW","appId":54321}]"#
    );
    let signature = "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de";
    holds(&V1, Sent::post(body).header("x-hubspot-signature", signature), &ring);
    let asked = Sent::get("https://www.example.com/webhook_uri");
    let signature = "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e";
    holds(&V2, asked.header("x-hubspot-signature", signature), &ring);

    // The hash of a text lengthened by who has seen that of its beginning: 0x80, zeros, length, and more.
    let lengthened = [b"[]\x80\x00\x00".as_slice(), b"more"].concat();
    let text = [b"yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy".as_slice(), &lengthened].concat();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
    let hex = digest.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let sent = Sent::post(lengthened).header("x-hubspot-signature", &hex);
    assert_eq!(V1.verify(&sent.incoming(), &ring).unwrap_err(), WebhookError::Malformed("the body"));
}
