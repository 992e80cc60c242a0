//! What a token says: kinds of values, for whom it is, and when it holds.

use std::time::Duration;

use integrations_core::jose::{Algorithm, Claims, JwtError, MAX_LEEWAY};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Issuer, read};

fn claims(payload: &Value) -> Claims {
    thread_local!(static ISSUER: Issuer = Issuer::new(Algorithm::EdDsa));
    ISSUER
        .with(|issuer| read(&issuer.token(issuer.header("k"), payload.to_string()), &issuer.keys()).unwrap())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn holds(payload: &Value, now: i64, leeway: u64) -> Result<(), JwtError> {
    claims(payload).expect_now(at(now), Duration::from_secs(leeway))
}

#[test]
fn a_token_holds_until_the_second_of_its_end() {
    let expired = |late| Err(JwtError::Expired(SignedDuration::from_secs(late)));
    let token = json!({ "exp": 1_000 });
    for (now, leeway, expected) in [
        (0, 0, Ok(())),
        (999, 0, Ok(())),
        (1_000, 0, expired(0)),
        (1_001, 0, expired(1)),
        (1_000, 1, Ok(())),
        (1_001, 1, expired(1)),
        (1_059, 60, Ok(())),
        (1_060, 60, expired(60)),
        (1_059, 61, Ok(())),
        (1_060, 86_400, expired(60)),
        (1_060, u64::MAX, expired(60)),
    ] {
        assert_eq!(holds(&token, now, leeway), expected, "at {now} with {leeway}");
    }
    let just_before = Timestamp::from_millisecond(1_059_999).unwrap();
    assert_eq!(claims(&token).expect_now(just_before, MAX_LEEWAY), Ok(()));
    assert_eq!(holds(&json!({}), 0, 60), Err(JwtError::Missing("exp")));
}

#[test]
fn a_token_holds_from_the_second_of_its_beginning() {
    let not_yet = |early| Err(JwtError::NotYet(SignedDuration::from_secs(early)));
    for name in ["nbf", "iat"] {
        let token = json!({ "exp": 5_000, name: 1_000 });
        for (now, leeway, expected) in [
            (999, 0, not_yet(1)),
            (1_000, 0, Ok(())),
            (940, 60, Ok(())),
            (939, 60, not_yet(61)),
            (939, 61, not_yet(61)),
            (0, u64::MAX, not_yet(1_000)),
        ] {
            assert_eq!(holds(&token, now, leeway), expected, "{name} at {now} with {leeway}");
        }
    }
    let later = json!({ "exp": 5_000, "nbf": 10, "iat": 2_000 });
    assert_eq!(holds(&later, 1_000, 0), not_yet(1_000), "both count");
}

#[test]
fn a_time_is_a_number_of_seconds() {
    let read = |value: Value| claims(&json!({ "exp": value })).time("exp");
    for (value, second) in [
        (json!(0), 0),
        (json!(1_300_819_380), 1_300_819_380),
        (json!(1_300_819_380.0), 1_300_819_380),
        (json!(1_300_819_380.9), 1_300_819_380),
        (json!(1.3e9), 1_300_000_000),
        (json!(253_402_207_200_i64), 253_402_207_200),
    ] {
        assert_eq!(read(value.clone()), Ok(Some(at(second))), "{value}");
    }
    // Milliseconds, as JavaScript counts, are a year far away.
    for value in [
        json!(1_300_819_380_000_i64),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(-1),
        json!(-0.5e10),
        json!(1e300),
        json!("1300819380"),
        json!("2011-03-22T18:43:00Z"),
        json!(null),
        json!(true),
        json!([1_300_819_380]),
        json!({ "seconds": 1 }),
    ] {
        assert_eq!(read(value.clone()), Err(JwtError::Malformed("exp")), "{value}");
        for name in ["nbf", "iat", "exp"] {
            let token = super::with(json!({ "exp": 5_000 }), name, value.clone());
            assert_eq!(holds(&token, 1_000, 60), Err(JwtError::Malformed(name)), "{name}: {value}");
        }
    }
    assert_eq!(claims(&json!({})).time("exp"), Ok(None));
}

#[test]
fn it_is_for_those_it_names() {
    let cases = [
        (json!({ "aud": "us" }), Ok(())),
        (json!({ "aud": ["us"] }), Ok(())),
        (json!({ "aud": ["them", "us"] }), Ok(())),
        (json!({ "aud": "them" }), Err(JwtError::Mismatch("aud"))),
        (json!({ "aud": "us " }), Err(JwtError::Mismatch("aud"))),
        (json!({ "aud": "US" }), Err(JwtError::Mismatch("aud"))),
        (json!({ "aud": "" }), Err(JwtError::Mismatch("aud"))),
        (json!({ "aud": [] }), Err(JwtError::Mismatch("aud"))),
        (json!({ "aud": ["us them"] }), Err(JwtError::Mismatch("aud"))),
        (json!({ "aud": ["us", 7] }), Err(JwtError::Malformed("aud"))),
        (json!({ "aud": ["us", null] }), Err(JwtError::Malformed("aud"))),
        (json!({ "aud": [["us"]] }), Err(JwtError::Malformed("aud"))),
        (json!({ "aud": { "us": true } }), Err(JwtError::Malformed("aud"))),
        (json!({ "aud": null }), Err(JwtError::Malformed("aud"))),
        (json!({ "aud": 7 }), Err(JwtError::Malformed("aud"))),
        (json!({}), Err(JwtError::Missing("aud"))),
    ];
    for (payload, expected) in cases {
        assert_eq!(claims(&payload).expect_audience("us"), expected, "{payload}");
    }
    let several = claims(&json!({ "aud": ["a", "b"] }));
    assert_eq!(several.audiences().unwrap(), ["a", "b"]);
}

#[test]
fn a_text_that_must_be_there_is_text_and_not_empty() {
    let token =
        claims(&json!({ "sub": "24400320", "empty": "", "number": 24_400_320, "list": ["a"], "null": null }));
    assert_eq!(token.need("sub"), Ok("24400320"));
    assert_eq!(token.need("email"), Err(JwtError::Missing("email")));
    for name in ["empty", "number", "list", "null"] {
        assert_eq!(token.need(name), Err(JwtError::Malformed(name)));
    }
    assert_eq!(
        (token.text("sub"), token.text("number"), token.text("email")),
        (Some("24400320"), None, None)
    );
    assert_eq!(token.expect("sub", "24400320"), Ok(()));
    assert_eq!(token.expect("sub", "24400321"), Err(JwtError::Mismatch("sub")));
    assert_eq!(token.expect("nonce", "n"), Err(JwtError::Missing("nonce")));
    assert_eq!(token.expect("empty", ""), Err(JwtError::Malformed("empty")), "nothing is no agreement");
}

#[test]
fn what_a_token_says_is_in_no_log() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    let token = issuer.token(issuer.header("k"), r#"{"email":"janedoe@example.com"}"#);
    let jws = integrations_core::jose::Jws::parse(&token).unwrap();
    let shown = format!("{jws:?}");
    assert!(token.split('.').all(|part| !shown.contains(part)), "{shown}");
    assert!(shown.contains("EdDSA"), "{shown}");
    let claims = jws.verify(&issuer.keys(), Algorithm::PUBLIC).unwrap();
    assert_eq!(format!("{claims:?}"), r#"{"email"}"#);
}
