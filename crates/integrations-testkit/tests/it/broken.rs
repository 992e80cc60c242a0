//! Verifiers with the classic mistakes: the suite must refuse each of them, by the right trials.

use std::time::Duration;

use integrations_core::webhook::{
    Decoding, Event, Hmac, Incoming, Key, KeyRing, Kit, Place, Receipt, Scheme, Stamp, Token, Unsigned,
    Verified, Webhook, WebhookError,
};
use integrations_testkit::webhook::{Case, Delivery, Order, Signer, sign};

/// `x-signature: v1=<hex>` over `timestamp.body`, and the signer's own key in a header that no verifier may heed.
fn make(order: &Order<'_>) -> Delivery {
    let t = order.at.as_second().to_string();
    let mac = sign::hmac_sha256(secret(order.signer).as_bytes(), &[t.as_bytes(), b".", order.body].concat());
    Delivery::post(order.body)
        .header("x-timestamp", &t)
        .header("x-signature", &format!("v1={}", sign::hex(&mac)))
        .header("x-key", &secret(order.signer))
}

fn secret(signer: Signer) -> String {
    format!("a secret of {signer:?}")
}

fn key(signer: Signer) -> Key {
    Key::secret(format!("{signer:?}"), secret(signer).into(), Decoding::Utf8).unwrap()
}

type Verdict = fn(&Incoming<'_>, &[Signer]) -> bool;

/// Accepts by its own judgement.
struct Broken(Verdict);

impl Webhook for Broken {
    fn receive<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Receipt<'a>, WebhookError> {
        let known = [Signer::Present, Signer::Former];
        let known: Vec<Signer> = known
            .into_iter()
            .filter(|signer| keys.names().any(|name| name == format!("{signer:?}")))
            .collect();
        if (self.0)(request, &known) {
            Unsigned.verify(request, &KeyRing::unsigned()).map(Receipt::Delivery)
        } else {
            Err(WebhookError::NoMatch)
        }
    }

    fn events(&self, _: &Verified<'_>) -> integrations_core::Result<Vec<Event>> {
        Ok(Vec::new())
    }
}

fn header<'a>(request: &Incoming<'a>, name: &str) -> &'a str {
    request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn is_once(request: &Incoming<'_>) -> bool {
    ["x-signature", "x-timestamp"].iter().all(|name| request.headers.get_all(*name).iter().count() == 1)
}

fn age(request: &Incoming<'_>) -> Option<i64> {
    Some(request.received.as_second() - header(request, "x-timestamp").parse::<i64>().ok()?)
}

fn is_fresh(request: &Incoming<'_>) -> bool {
    age(request).is_some_and(|age| age.abs() <= 300)
}

fn expected(request: &Incoming<'_>, secret: &str, body: &[u8]) -> String {
    let message = [header(request, "x-timestamp").as_bytes(), b".", body].concat();
    format!("v1={}", sign::hex(&sign::hmac_sha256(secret.as_bytes(), &message)))
}

fn matches(request: &Incoming<'_>, known: &[Signer], body: &[u8]) -> bool {
    known.iter().any(|signer| header(request, "x-signature") == expected(request, &secret(*signer), body))
}

fn failures(webhook: &dyn Webhook) -> Vec<&'static str> {
    let case = Case::new(webhook, key, make).signature("x-signature").signed_header("x-timestamp");
    let report = case.version("v1").tolerance(Duration::from_secs(300)).run();
    report.failed().collect()
}

/// The very judgement that the others spoil: only with it do their failures mean anything.
#[test]
fn a_verifier_without_a_mistake_passes() {
    let sound: Verdict = |r, known| is_once(r) && is_fresh(r) && matches(r, known, r.body);
    assert_eq!(failures(&Broken(sound)), [""; 0]);
}

#[test]
fn each_mistake_is_found() {
    let mistakes: [(&str, Verdict, &[&str]); 12] = [
        (
            "accepts everything",
            |_, _| true,
            &["wrong_key", "no_key", "truncated_body", "missing_header", "old_stamp"],
        ),
        (
            "ignores the time",
            |r, known| is_once(r) && matches(r, known, r.body),
            &["old_stamp", "future_stamp"],
        ),
        (
            "refuses only what is too old",
            |r, known| is_once(r) && age(r).is_some_and(|age| age <= 300) && matches(r, known, r.body),
            &["future_stamp"],
        ),
        (
            "refuses at the edge of the window",
            |r, known| is_once(r) && age(r).is_some_and(|age| age.abs() < 300) && matches(r, known, r.body),
            &["old_stamp", "future_stamp"],
        ),
        (
            "does not sign the time",
            |r, known| {
                let signed = |s: &Signer| {
                    (0..=600).any(|d| {
                        let t = r.received.as_second() - 600 + d;
                        let message = [t.to_string().as_bytes(), b".", r.body].concat();
                        header(r, "x-signature")
                            == format!(
                                "v1={}",
                                sign::hex(&sign::hmac_sha256(secret(*s).as_bytes(), &message))
                            )
                    })
                };
                is_once(r) && is_fresh(r) && known.iter().any(signed)
            },
            &["renewed_stamp", "flipped_bit_in_signed_header"],
        ),
        (
            "compares as far as the signature goes",
            |r, known| {
                let given = header(r, "x-signature");
                let fits = |s: &Signer| expected(r, &secret(*s), r.body).starts_with(given);
                is_once(r) && is_fresh(r) && known.iter().any(fits)
            },
            &["truncated_signature", "empty_signature"],
        ),
        (
            "takes the key from the request",
            |r, _| {
                let secret = header(r, "x-key");
                is_once(r) && is_fresh(r) && header(r, "x-signature") == expected(r, secret, r.body)
            },
            &["wrong_key", "no_key", "rotated_key"],
        ),
        (
            "reads the body as text",
            |r, known| {
                is_once(r) && is_fresh(r) && std::str::from_utf8(r.body).is_ok() && matches(r, known, r.body)
            },
            &["arbitrary_bytes"],
        ),
        (
            "trims the body",
            |r, known| is_once(r) && is_fresh(r) && matches(r, known, r.body.trim_ascii()),
            &["extended_body", "arbitrary_bytes"],
        ),
        (
            "takes the first of two headers",
            |r, known| is_fresh(r) && matches(r, known, r.body),
            &["duplicated_header", "forged_header_beside_the_true_one"],
        ),
        (
            "knows the first key only",
            |r, known| is_once(r) && is_fresh(r) && matches(r, &known[..known.len().min(1)], r.body),
            &["rotated_key"],
        ),
        (
            "reads any version as its own",
            |r, known| {
                let given = header(r, "x-signature").split_once('=').map_or("", |(_, mac)| mac);
                let fits = |s: &Signer| expected(r, &secret(*s), r.body) == format!("v1={given}");
                is_once(r) && is_fresh(r) && known.iter().any(fits)
            },
            &["unknown_version_only"],
        ),
    ];
    for (mistake, verdict, trials) in mistakes {
        let found = failures(&Broken(verdict));
        for trial in trials {
            assert!(found.contains(trial), "a verifier that {mistake} passed `{trial}`; it failed {found:?}");
        }
    }
}

/// The kit, with a constant that its author forgot: the suite speaks about the scheme too.
#[test]
fn a_scheme_that_forgets_the_body_is_found() {
    struct Forgetful;
    impl Webhook for Forgetful {
        fn receive<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Receipt<'a>, WebhookError> {
            const KIT: Hmac = Hmac::sha256(
                Scheme::new(Place::Header("x-signature"), &[Token::Timestamp])
                    .stamp(Stamp::seconds(Place::Header("x-timestamp"))),
            );
            KIT.verify(request, keys).map(Receipt::Delivery)
        }
        fn events(&self, _: &Verified<'_>) -> integrations_core::Result<Vec<Event>> {
            Ok(Vec::new())
        }
    }
    let make = |order: &Order<'_>| {
        let t = order.at.as_second().to_string();
        let mac = sign::hmac_sha256(secret(order.signer).as_bytes(), t.as_bytes());
        Delivery::post(order.body).header("x-timestamp", &t).header("x-signature", &sign::hex(&mac))
    };
    let report = Case::new(&Forgetful, key, make).signature("x-signature").signed_header("x-timestamp").run();
    for trial in ["truncated_body", "extended_body", "flipped_bit_in_body", "swapped_bodies"] {
        assert!(report.failed().any(|name| name == trial), "{report}");
    }
}
