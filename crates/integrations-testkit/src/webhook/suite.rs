//! The trials.

use std::time::Duration;

use http::{HeaderValue, Uri};
use integrations_core::webhook::{KeyRing, Receipt};
use jiff::{SignedDuration, Timestamp};

use super::{Case, Covers, Delivery, Order, Outcome, Report, Signer};

type Trial = fn(&Case<'_>) -> Outcome;

const TRIALS: &[(&str, Trial)] = &[
    ("round_trip", round_trip),
    ("arbitrary_bytes", arbitrary_bytes),
    ("wrong_key", wrong_key),
    ("no_key", no_key),
    ("rotated_key", rotated_key),
    ("truncated_body", truncated_body),
    ("extended_body", extended_body),
    ("flipped_bit_in_body", flipped_bit_in_body),
    ("swapped_bodies", swapped_bodies),
    ("flipped_bit_in_signature", flipped_bit_in_signature),
    ("flipped_bit_in_signed_header", flipped_bit_in_signed_header),
    ("truncated_signature", truncated_signature),
    ("empty_signature", empty_signature),
    ("missing_header", missing_header),
    ("duplicated_header", duplicated_header),
    ("forged_header_beside_the_true_one", forged_header),
    ("unknown_version_only", unknown_version_only),
    ("old_stamp", old_stamp),
    ("future_stamp", future_stamp),
    ("renewed_stamp", renewed_stamp),
    ("reordered_query", reordered_query),
    ("altered_address", altered_address),
];

pub(super) fn run(case: &Case<'_>) -> Report {
    Report(TRIALS.iter().map(|(name, trial)| (*name, trial(case))).collect())
}

/// The time at which the suite's deliveries arrive.
fn now() -> Timestamp {
    Timestamp::constant(1_790_000_000, 0)
}

impl Case<'_> {
    fn good(&self) -> Delivery {
        self.signed(&self.bodies[0], now(), Signer::Present)
    }

    fn signed(&self, body: &[u8], at: Timestamp, signer: Signer) -> Delivery {
        (self.sign)(&Order { body, at, signer })
    }

    fn accepts(&self, delivery: &Delivery, ring: &KeyRing) -> bool {
        match self.webhook.receive(&delivery.incoming(now()), ring) {
            Ok(Receipt::Delivery(verified)) => verified.body() == delivery.body,
            _ => false,
        }
    }

    /// Passes if all of these are refused under the present key.
    fn refuse_all(&self, forged: impl IntoIterator<Item = (String, Delivery)>) -> Outcome {
        let ring = self.ring(&[Signer::Present]);
        let mut count = 0;
        for (what, delivery) in forged {
            count += 1;
            // Whatever it is taken for, it is not refused: a handshake is an answer too.
            if self.webhook.receive(&delivery.incoming(now()), &ring).is_ok() {
                return Outcome::Failed(format!("accepted {what}"));
            }
        }
        if count == 0 { Outcome::Skipped("the scheme has no such place") } else { Outcome::Passed }
    }

    fn need_body(&self) -> Option<Outcome> {
        (self.covers != Covers::Body).then_some(Outcome::Skipped("the signature does not cover every byte"))
    }
}

fn passed_if(accepted: bool, what: &str) -> Outcome {
    if accepted { Outcome::Passed } else { Outcome::Failed(format!("refused {what}")) }
}

fn round_trip(case: &Case<'_>) -> Outcome {
    let ring = case.ring(&[Signer::Present]);
    let is_accepted = |body: &Vec<u8>| case.accepts(&case.signed(body, now(), Signer::Present), &ring);
    passed_if(case.bodies.iter().all(is_accepted), "what was signed well")
}

/// Verification is about bytes: they need not be text.
fn arbitrary_bytes(case: &Case<'_>) -> Outcome {
    if !case.takes_any_bytes {
        return Outcome::Skipped("the scheme reads the body");
    }
    let ring = case.ring(&[Signer::Present]);
    let bodies: [&[u8]; 4] = [b"a=\xff\xfe\x80", b"", b"\0\r\n\r\n", &[0xc3, 0x28]];
    let is_accepted = |body: &&[u8]| case.accepts(&case.signed(body, now(), Signer::Present), &ring);
    passed_if(bodies.iter().all(is_accepted), "a body that is not UTF-8, or empty")
}

fn wrong_key(case: &Case<'_>) -> Outcome {
    case.refuse_all([(
        "a stranger's signature".to_owned(),
        case.signed(&case.bodies[0], now(), Signer::Stranger),
    )])
}

fn no_key(case: &Case<'_>) -> Outcome {
    let refused = case.webhook.receive(&case.good().incoming(now()), &KeyRing::unsigned()).is_err();
    if refused { Outcome::Passed } else { Outcome::Failed("accepted without a key".to_owned()) }
}

fn rotated_key(case: &Case<'_>) -> Outcome {
    let former = case.signed(&case.bodies[0], now(), Signer::Former);
    for signers in [[Signer::Present, Signer::Former], [Signer::Former, Signer::Present]] {
        let ring = case.ring(&signers);
        if !case.accepts(&former, &ring) || !case.accepts(&case.good(), &ring) {
            return Outcome::Failed("refused one of the two keys during a rotation".to_owned());
        }
    }
    case.refuse_all([("the former key after the rotation".to_owned(), former)])
}

fn truncated_body(case: &Case<'_>) -> Outcome {
    case.need_body().unwrap_or_else(|| {
        let good = case.good();
        let cut = |length: usize| {
            (
                format!("the first {length} bytes"),
                Delivery { body: good.body[..length].to_vec(), ..good.clone() },
            )
        };
        case.refuse_all([0, 1, good.body.len() / 2, good.body.len() - 1].map(cut))
    })
}

fn extended_body(case: &Case<'_>) -> Outcome {
    case.need_body().unwrap_or_else(|| {
        let good = case.good();
        let extend = |more: &[u8]| {
            let body = [&good.body, more].concat();
            (format!("{} more bytes", more.len()), Delivery { body, ..good.clone() })
        };
        let mores: [&[u8]; 6] = [b" ", b"\n", b"\r\n", b"\0", b"x", b"&more=1"];
        case.refuse_all(mores.map(extend))
    })
}

/// The lowest bit: it never makes the other case of a letter, which means the same in hexadecimal digits.
fn flipped_bit_in_body(case: &Case<'_>) -> Outcome {
    case.need_body().unwrap_or_else(|| {
        let good = case.good();
        let flip = |position: usize| {
            let mut body = good.body.clone();
            body[position] ^= 1;
            (format!("a flipped bit in byte {position} of the body"), Delivery { body, ..good.clone() })
        };
        case.refuse_all((0..good.body.len()).map(flip))
    })
}

fn swapped_bodies(case: &Case<'_>) -> Outcome {
    case.need_body().unwrap_or_else(|| {
        let [first, second] = [0, 1].map(|index| case.signed(&case.bodies[index], now(), Signer::Present));
        let swapped = [
            Delivery { body: second.body.clone(), ..first.clone() },
            Delivery { body: first.body.clone(), ..second.clone() },
        ];
        case.refuse_all(swapped.map(|delivery| ("the body of another delivery".to_owned(), delivery)))
    })
}

fn flipped_bit_in_signature(case: &Case<'_>) -> Outcome {
    flipped_bits(case, &case.signatures)
}

fn flipped_bit_in_signed_header(case: &Case<'_>) -> Outcome {
    flipped_bits(case, &case.stamps)
}

fn flipped_bits(case: &Case<'_>, headers: &[&'static str]) -> Outcome {
    let good = case.good();
    let flips = headers.iter().flat_map(|name| {
        let value = value_of(&good, name);
        (0..value.len())
            .filter_map(|position| {
                let mut bytes = value.clone();
                bytes[position] ^= 1;
                let changed = with_header(&good, name, &bytes)?;
                Some((format!("a flipped bit in byte {position} of `{name}`"), changed))
            })
            .collect::<Vec<_>>()
    });
    case.refuse_all(flips)
}

fn truncated_signature(case: &Case<'_>) -> Outcome {
    let good = case.good();
    let cuts = case.signatures.iter().flat_map(|name| {
        let value = value_of(&good, name);
        let whole = without_padding(&value).len().saturating_sub(1);
        (1..=whole)
            .filter_map(|length| {
                Some((
                    format!("{length} characters of `{name}`"),
                    with_header(&good, name, &value[..length])?,
                ))
            })
            .collect::<Vec<_>>()
    });
    case.refuse_all(cuts)
}

fn empty_signature(case: &Case<'_>) -> Outcome {
    let good = case.good();
    let empty = |name: &&'static str| {
        let value = value_of(&good, name);
        let labels = without_padding(&value);
        let labels = labels.iter().position(|b| matches!(b, b'=' | b',' | b' ')).map_or(0, |at| at + 1);
        let cut = |length: usize| {
            Some((format!("{length} characters of `{name}`"), with_header(&good, name, &value[..length])?))
        };
        [cut(0), cut(labels)].into_iter().flatten().collect::<Vec<_>>()
    };
    case.refuse_all(case.signatures.iter().flat_map(empty))
}

fn missing_header(case: &Case<'_>) -> Outcome {
    let good = case.good();
    let without = |name: &&'static str| {
        let mut delivery = good.clone();
        delivery.headers.remove(*name);
        (format!("a delivery without `{name}`"), delivery)
    };
    case.refuse_all(case.signatures.iter().chain(&case.stamps).map(without))
}

fn duplicated_header(case: &Case<'_>) -> Outcome {
    let good = case.good();
    let doubled = |name: &&'static str| {
        let mut delivery = good.clone();
        let value = delivery.headers[*name].clone();
        delivery.headers.append(*name, value);
        (format!("`{name}` twice"), delivery)
    };
    case.refuse_all(case.signatures.iter().chain(&case.stamps).map(doubled))
}

/// Which of the two is read, the first or the last, must not matter.
fn forged_header(case: &Case<'_>) -> Outcome {
    let (good, forged) = (case.good(), case.signed(&case.bodies[1], now(), Signer::Stranger));
    let beside = |name: &&'static str| {
        let (mut first, mut last) = (good.clone(), forged.clone());
        first.headers.append(*name, forged.headers[*name].clone());
        last.headers.append(*name, good.headers[*name].clone());
        [
            (format!("a forged `{name}` after the true one"), first),
            (format!("a true `{name}` after a forged one"), last),
        ]
    };
    case.refuse_all(case.signatures.iter().flat_map(beside))
}

fn unknown_version_only(case: &Case<'_>) -> Outcome {
    let (Some(version), Some(name)) = (case.version, case.signatures.first()) else {
        return Outcome::Skipped("the scheme has no versions");
    };
    let good = case.good();
    let value = String::from_utf8_lossy(&value_of(&good, name)).replace(version, "v9");
    let delivery = with_header(&good, name, value.as_bytes());
    case.refuse_all(delivery.map(|delivery| ("an unknown version".to_owned(), delivery)))
}

fn old_stamp(case: &Case<'_>) -> Outcome {
    window(case, |distance| now() - distance, "before")
}

fn future_stamp(case: &Case<'_>) -> Outcome {
    window(case, |distance| now() + distance, "after")
}

/// At the edge of the window it is accepted, one second beyond it is not.
fn window(case: &Case<'_>, at: impl Fn(SignedDuration) -> Timestamp, side: &str) -> Outcome {
    let Some(tolerance) = case.tolerance else { return Outcome::Skipped("the scheme has no time") };
    let sign = |distance: Duration| {
        let distance = SignedDuration::try_from(distance).unwrap_or(SignedDuration::MAX);
        case.signed(&case.bodies[0], at(distance), Signer::Present)
    };
    if !case.accepts(&sign(tolerance), &case.ring(&[Signer::Present])) {
        return Outcome::Failed(format!("refused a stamp {tolerance:?} {side} our time"));
    }
    let beyond = [1, 60, 86_400].map(|more| tolerance + Duration::from_secs(more));
    case.refuse_all(beyond.map(|distance| (format!("a stamp {distance:?} {side} our time"), sign(distance))))
}

/// An old delivery whose time, and nothing else, is made new.
fn renewed_stamp(case: &Case<'_>) -> Outcome {
    let Some(tolerance) = case.tolerance else { return Outcome::Skipped("the scheme has no time") };
    let distance = SignedDuration::try_from(tolerance * 2).unwrap_or(SignedDuration::MAX);
    let old = case.signed(&case.bodies[0], now() - distance, Signer::Present);
    let fresh = case.good();
    let renewed = case.stamps.iter().map(|name| {
        let mut delivery = old.clone();
        delivery.headers.insert(*name, fresh.headers[*name].clone());
        (format!("an old delivery with a new `{name}`"), delivery)
    });
    case.refuse_all(renewed)
}

fn reordered_query(case: &Case<'_>) -> Outcome {
    altered(case, |uri| {
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        let reversed: Vec<&str> = query.split('&').rev().collect();
        vec![format!("{path}?{}", reversed.join("&"))]
    })
}

fn altered_address(case: &Case<'_>) -> Outcome {
    altered(case, |uri| {
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        vec![format!("{path}&x=1"), format!("/other{path}"), uri.path().to_owned()]
    })
}

fn altered(case: &Case<'_>, paths: impl Fn(&Uri) -> Vec<String>) -> Outcome {
    if !case.covers_address {
        return Outcome::Skipped("the signature does not cover the address");
    }
    let good = case.good();
    let forged = paths(&good.uri).into_iter().filter_map(|path| {
        let authority = good.uri.authority()?;
        let uri: Uri = format!("https://{authority}{path}").parse().ok()?;
        (uri != good.uri).then(|| (format!("another address, {path}"), Delivery { uri, ..good.clone() }))
    });
    case.refuse_all(forged)
}

fn value_of(delivery: &Delivery, name: &str) -> Vec<u8> {
    delivery.headers.get(name).map(|value| value.as_bytes().to_vec()).unwrap_or_default()
}

/// Padding is no part of a base64 value: without it the value is the same.
fn without_padding(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|b| *b != b'=').map_or(0, |last| last + 1);
    &value[..end]
}

/// `None` when the bytes cannot be a header's value, and so cannot arrive.
fn with_header(delivery: &Delivery, name: &'static str, value: &[u8]) -> Option<Delivery> {
    let mut changed = delivery.clone();
    changed.headers.insert(name, HeaderValue::from_bytes(value).ok()?);
    Some(changed)
}
