//! The same tokens, read by `jsonwebtoken`: whatever we take, it takes, and where we take less, the reason is listed.

use std::sync::LazyLock;

use integrations_core::jose::{Algorithm, Jws, JwtError, KeySet, MAX_LEEWAY};
use jiff::Timestamp;
use jsonwebtoken::{DecodingKey, Validation};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{EVERY, Issuer, b64, unknown};

const ISSUER: &str = "https://issuer.example";
const CLIENT: &str = "s6BhdRkqt3";

struct Reader {
    issuer: Issuer,
    ours: KeySet,
    theirs: DecodingKey,
}

static READERS: LazyLock<Vec<Reader>> = LazyLock::new(|| {
    let reader = |algorithm| {
        let issuer = Issuer::new(algorithm);
        let theirs = DecodingKey::from_jwk(&serde_json::from_value(issuer.jwk("k")).unwrap()).unwrap();
        Reader { ours: issuer.keys(), theirs, issuer }
    };
    EVERY.map(reader).into()
});

impl Reader {
    fn ours(&self, token: &str, now: Timestamp) -> Result<(), JwtError> {
        let claims = Jws::parse(token)?.verify(&self.ours, &[self.issuer.algorithm])?;
        claims.expect("iss", ISSUER)?;
        claims.expect_audience(CLIENT)?;
        // It refuses some subjects that are no text unasked; here that is the caller's to ask.
        if claims.get("sub").is_some() {
            claims.need("sub")?;
        }
        claims.expect_now(now, MAX_LEEWAY)
    }

    /// Asked for the same, as far as it can be.
    fn theirs(&self, token: &str) -> jsonwebtoken::errors::Result<()> {
        let mut validation = Validation::new(self.issuer.algorithm.as_str().parse().unwrap());
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[CLIENT]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        jsonwebtoken::decode::<Map<String, Value>>(token, &self.theirs, &validation).map(|_| ())
    }
}

/// In whole seconds, as tokens count.
fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap()
}

fn header(algorithm: Algorithm, more: &str) -> String {
    format!(r#"{{"alg":"{}"{more}}}"#, algorithm.as_str())
}

fn good(now: Timestamp) -> Map<String, Value> {
    let claims =
        json!({ "iss": ISSUER, "aud": CLIENT, "exp": now.as_second() + 300, "iat": now.as_second() });
    claims.as_object().unwrap().clone()
}

/// What we refuse and it takes: the reason we give, what the header and the claims have more, and why.
fn stricter(now: Timestamp) -> Vec<(JwtError, &'static str, String, &'static str)> {
    let from_now = |name: &str, seconds: i64| format!(r#","{name}":{}"#, now.as_second() + seconds);
    let early = |seconds: i64| JwtError::NotYet(jiff::SignedDuration::from_secs(seconds));
    let twice = "of two claims with one name, another reader may take the other one";
    let header = JwtError::Malformed("header");
    vec![
        (
            header.clone(),
            r#","crit":["exp"]"#,
            String::new(),
            "it does not know what must be understood either",
        ),
        (
            header.clone(),
            r#","crit":["b64"],"b64":false"#,
            String::new(),
            "what is signed is another text then",
        ),
        (header, r#","x":"1","x":"2""#, String::new(), "of two fields with one name, the same"),
        (unknown("o"), r#","kid":"o""#, String::new(), "it is handed one key and does not look at the name"),
        (JwtError::Malformed("payload"), "", r#","nonce":"a","nonce":"b""#.into(), twice),
        (JwtError::Malformed("payload"), "", r#","x":{"a":1,"a":2}"#.into(), twice),
        (early(3_600), "", from_now("iat", 3_600), "a token from the future is somebody's mistake"),
        (JwtError::Malformed("sub"), "", r#","sub":-1"#.into(), "a subject is text (RFC 7519 section 4.1.2)"),
        (JwtError::Malformed("iat"), "", r#","iat":"now""#.into(), "it does not look at it"),
        (JwtError::Malformed("iat"), "", r#","iat":-1"#.into(), "the same"),
        (
            JwtError::Malformed("exp"),
            "",
            from_now("exp", 1 << 40),
            "no token holds for 30,000 years: those are no seconds",
        ),
        (
            JwtError::Malformed("iss"),
            "",
            format!(r#","iss":["{ISSUER}","{ISSUER}"]"#),
            "an issuer is one text (RFC 7519 section 4.1.1)",
        ),
    ]
}

/// The token of a usual header and usual claims and of what stands here, with its claims in place of the usual ones.
fn token(reader: &Reader, now: Timestamp, more_header: &str, more_claims: &str) -> String {
    let mut claims = good(now);
    claims.retain(|name, _| !more_claims.contains(&format!("\"{name}\"")));
    let mut payload = Value::Object(claims).to_string();
    payload.pop();
    reader.issuer.token(header(reader.issuer.algorithm, more_header), format!("{payload}{more_claims}}}"))
}

#[test]
fn where_we_take_less_there_is_a_reason() {
    let now = now();
    for reader in READERS.iter() {
        assert!(reader.ours(&token(reader, now, "", ""), now).is_ok());
        for (reason, more_header, more_claims, why) in stricter(now) {
            let token = token(reader, now, more_header, &more_claims);
            assert_eq!(reader.ours(&token, now), Err(reason), "{why}");
            assert!(reader.theirs(&token).is_ok(), "{more_header}{more_claims}: no difference any more");
        }
    }
    let reader = &READERS[4];
    let long = token(reader, now, "", &format!(r#","x":"{}""#, "x".repeat(13_000)));
    assert_eq!(reader.ours(&long, now), Err(JwtError::Malformed("form")), "more than 16 KiB");
    assert!(reader.theirs(&long).is_ok());
}

fn header_members() -> impl Strategy<Value = Vec<&'static str>> {
    let members = [
        r#""kid":"k""#,
        r#""kid":"o""#,
        r#""kid":7"#,
        r#""typ":"JWT""#,
        r#""typ":"at+jwt""#,
        r#""cty":"JWT""#,
        r#""jku":"https://attacker.example/""#,
        r#""x5c":["AAAA"]"#,
        r#""crit":["exp"]"#,
        r#""alg":"none""#,
        r#""nonce":"n""#,
        r#""x":"y""#,
    ];
    prop::collection::vec(prop::sample::select(members.to_vec()), 0..3)
}

/// Seconds from now, never so near to an edge that a slow machine would be on its other side.
fn times() -> impl Strategy<Value = Option<i64>> {
    let near = [-100_000, -3_600, -90, -30, -1, 0, 30, 90, 300, 3_600, 100_000];
    prop::option::weighted(0.8, prop::sample::select(near.to_vec()))
}

fn odd_values() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(true),
        json!("1"),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!([]),
        json!({}),
        json!(CLIENT),
        json!([CLIENT, 1]),
    ])
}

fn claims() -> impl Strategy<Value = Vec<(&'static str, Claim)>> {
    let time = || times().prop_map(Claim::FromNow);
    let text = |own: &'static str, other: &'static str| {
        prop::sample::select(vec![
            json!(own),
            json!(own),
            json!(own),
            json!(other),
            json!([own]),
            json!([own, other]),
        ])
        .prop_map(Claim::Is)
    };
    let odd = (prop::sample::select(vec!["iss", "aud", "exp", "nbf", "iat", "sub"]), odd_values());
    let usual = (text(ISSUER, "https://issuer.example/"), text(CLIENT, "other"), time(), time(), time());
    (usual, prop::option::weighted(0.2, odd)).prop_map(|((iss, aud, exp, nbf, iat), odd)| {
        let mut claims = vec![("iss", iss), ("aud", aud), ("exp", exp), ("nbf", nbf), ("iat", iat)];
        if let Some((name, value)) = odd {
            claims.retain(|(own, _)| *own != name);
            claims.push((name, Claim::Is(value)));
        }
        claims
    })
}

#[derive(Debug, Clone)]
enum Claim {
    Is(Value),
    FromNow(Option<i64>),
}

fn written(claims: &[(&'static str, Claim)], now: Timestamp) -> String {
    let value = |claim: &Claim| match claim {
        Claim::Is(value) => Some(value.clone()),
        Claim::FromNow(seconds) => seconds.map(|seconds| json!(now.as_second() + seconds)),
    };
    let claims = claims.iter().filter_map(|(name, claim)| Some(((*name).to_owned(), value(claim)?)));
    Value::Object(claims.collect()).to_string()
}

/// What is done to a token after it was signed, or instead.
#[derive(Debug, Clone)]
enum Harm {
    None,
    Byte(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Padded,
    Unsigned,
    OtherKey,
}

fn harms() -> impl Strategy<Value = Harm> {
    prop_oneof![
        6 => Just(Harm::None),
        1 => (any::<prop::sample::Index>(), 0..128_u8).prop_map(|(at, byte)| Harm::Byte(at, byte)),
        1 => any::<prop::sample::Index>().prop_map(Harm::Cut),
        1 => Just(Harm::Padded),
        1 => Just(Harm::Unsigned),
        1 => Just(Harm::OtherKey),
    ]
}

fn harmed(token: String, harm: Harm) -> String {
    let (message, signature) = token.rsplit_once('.').unwrap();
    match harm {
        Harm::None => token,
        Harm::Byte(at, byte) => {
            let mut bytes = token.into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            String::from_utf8(bytes).unwrap()
        }
        Harm::Cut(at) => token[..at.index(token.len())].to_owned(),
        Harm::Padded => format!("{token}="),
        Harm::Unsigned => format!("{message}."),
        Harm::OtherKey => format!("{message}.{}", b64(vec![1; signature.len() * 3 / 4])),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_we_take_they_take(
        which in 0..5_usize,
        named in prop::sample::select(EVERY.to_vec()),
        is_named in prop::bool::weighted(0.1),
        members in header_members(),
        claims in claims(),
        harm in harms(),
    ) {
        let (reader, now) = (&READERS[which], now());
        let algorithm = if is_named { named } else { reader.issuer.algorithm };
        let more: String = members.iter().flat_map(|member| [",", member]).collect();
        let signed = reader.issuer.token(header(algorithm, &more), written(&claims, now));
        let token = harmed(signed, harm);
        match (reader.ours(&token, now), reader.theirs(&token)) {
            (Ok(()), theirs) => prop_assert!(theirs.is_ok(), "{theirs:?}: {token}"),
            (Err(ours), Ok(())) => {
                let is_listed = stricter(now).iter().any(|(reason, ..)| match (&ours, reason) {
                    (JwtError::NotYet(_), JwtError::NotYet(_)) => true,
                    (ours, reason) => ours == reason,
                });
                prop_assert!(is_listed, "{ours:?}: {token}");
            }
            (Err(_), Err(_)) => {}
        }
    }
}
