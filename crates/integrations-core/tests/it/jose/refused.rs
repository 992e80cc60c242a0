//! Every way to be no good token, each with its reason.

use integrations_core::jose::{Algorithm, Jws, JwtError, KeySet, MAX_TOKEN};
use serde_json::{Value, json};

use super::{Issuer, RSA_N, b64, read, set, unknown, with};

const CLAIMS: &str = r#"{"iss":"joe"}"#;
const FORM: JwtError = JwtError::Malformed("form");
const HEADER: JwtError = JwtError::Malformed("header");
const PAYLOAD: JwtError = JwtError::Malformed("payload");
const SIGNATURE: JwtError = JwtError::Malformed("signature");

fn assert_refused(name: &str, token: &str, keys: &KeySet, reason: &JwtError) {
    assert_eq!(read(token, keys).as_ref(), Err(reason), "{name}: {token}");
}

#[test]
fn no_other_algorithm_than_those_of_the_reader() {
    let issuer = Issuer::new(Algorithm::Es256);
    let keys = issuer.keys();
    for alg in
        ["none", "None", "NONE", "nOnE", "", "es256", "ES256 ", " ES256", "ES512", "ES256K", "HS256", "RS1"]
    {
        let header = json!({ "alg": alg, "kid": "k" }).to_string();
        assert_refused("signed", &issuer.token(&header, CLAIMS), &keys, &JwtError::Algorithm);
        let unsigned = format!("{}.{}.", b64(&header), b64(CLAIMS));
        assert_refused("without a signature", &unsigned, &keys, &SIGNATURE);
    }
    let own = issuer.token(issuer.header("k"), CLAIMS);
    let jws = Jws::parse(&own).unwrap();
    assert_eq!(jws.verify(&keys, &[]), Err(JwtError::Algorithm));
    assert_eq!(jws.verify(&keys, &[Algorithm::Es384, Algorithm::Rs256]), Err(JwtError::Algorithm));
    assert!(jws.verify(&keys, &[Algorithm::Es256]).is_ok());
}

/// Whoever takes the algorithm from the token verifies an HMAC with the published key as its secret.
#[test]
fn a_public_key_is_no_shared_secret() {
    let issuer = Issuer::new(Algorithm::Rs256);
    let keys = issuer.keys();
    let modulus = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, RSA_N).unwrap();
    let secrets: [&[u8]; 5] =
        [super::RSA_PEM.as_bytes(), issuer.jwk("k").to_string().as_bytes(), &modulus, RSA_N.as_bytes(), b""]
            .map(|secret| &*secret.to_vec().leak());
    for secret in secrets {
        let message = format!("{}.{}", b64(r#"{"alg":"HS256","kid":"k"}"#), b64(CLAIMS));
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        let token = format!("{message}.{}", b64(aws_lc_rs::hmac::sign(&key, message.as_bytes())));
        assert_refused("confused", &token, &keys, &JwtError::Algorithm);
        let all = [Algorithm::Hs256, Algorithm::Rs256];
        let jws = Jws::parse(&token).unwrap();
        assert_eq!(jws.verify(&keys, &all), Err(unknown("k")), "even where a reader lists HS256");
        let renamed = token.replacen(&b64(r#"{"alg":"HS256","kid":"k"}"#), &b64(issuer.header("k")), 1);
        assert_refused("confused and renamed", &renamed, &keys, &JwtError::Signature);
    }
    let shared = json!({ "kty": "oct", "k": b64("secret"), "kid": "k", "alg": "HS256" });
    assert!(set([shared]).keys().is_empty());
}

#[test]
fn the_key_must_be_of_the_algorithms_kind() {
    let [p256, p384] = [Algorithm::Es256, Algorithm::Es384].map(Issuer::new);
    let both = set([p256.jwk("256"), p384.jwk("384")]);
    for (issuer, own, other) in [(&p256, "256", "384"), (&p384, "384", "256")] {
        assert!(read(&issuer.token(issuer.header(own), CLAIMS), &both).is_ok());
        assert_refused("other curve", &issuer.token(issuer.header(other), CLAIMS), &both, &unknown(other));
    }
    // The signature is good; the name that it goes by is another curve's.
    let named = p384.token(p256.header("384"), CLAIMS);
    assert_refused("ES256 by P-384", &named, &both, &unknown("384"));
    let named = p256.token(p384.header("256"), CLAIMS);
    assert_refused("ES384 by P-256", &named, &both, &unknown("256"));
}

#[test]
fn a_signature_has_one_form_and_fits() {
    let issuer = Issuer::new(Algorithm::Es256);
    let keys = issuer.keys();
    let message = format!("{}.{}", b64(issuer.header("k")), b64(CLAIMS));
    let good = issuer.sign(&message);
    let (r, s) = good.split_at(32);
    let wrong: [(&str, Vec<u8>); 8] = [
        ("DER, as X.509 has it", der(r, s)),
        ("r and s exchanged", [s, r].concat()),
        ("zeros: they fit every message where nobody looks", vec![0; 64]),
        ("one byte too few", good[..63].to_vec()),
        ("one byte too many", [&good[..], &[0]].concat()),
        ("r alone", r.to_vec()),
        ("filled up to 48 and 48", [&[0; 16], r, &[0; 16], s].concat()),
        ("of another key", Issuer::new(Algorithm::Es256).sign(&message)),
    ];
    for (name, signature) in wrong {
        assert_refused(name, &format!("{message}.{}", b64(signature)), &keys, &JwtError::Signature);
    }
    assert!(read(&format!("{message}.{}", b64(good)), &keys).is_ok());
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let number: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = if number[0] >= 0x80 { vec![0] } else { vec![] };
        [vec![2, (sign.len() + number.len()) as u8], sign, number].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [vec![0x30, body.len() as u8], body].concat()
}

/// All of these are signed, so that nothing but the form speaks against them.
#[test]
fn a_token_has_one_form() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    let keys = issuer.keys();
    let (header, payload) = (b64(issuer.header("k")), b64(CLAIMS));
    let good = issuer.token_of(&header, &payload);
    assert!(read(&good, &keys).is_ok());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let of = |header: &str, payload: &str| issuer.token_of(header, payload);
    let cases = [
        ("nothing", String::new(), FORM),
        ("one part", header.clone(), FORM),
        ("two parts", message.to_owned(), FORM),
        ("four parts", format!("{good}.{signature}"), FORM),
        ("JWE's five parts", format!("{header}..{payload}.{signature}.{signature}"), FORM),
        ("dots alone", "..".into(), HEADER),
        ("no header", of("", &payload), HEADER),
        ("no payload", of(&header, ""), PAYLOAD),
        ("no signature", format!("{message}."), SIGNATURE),
        ("header cut", of(&header[..header.len() - 1], &payload), HEADER),
        ("payload cut", of(&header, &payload[..payload.len() - 2]), PAYLOAD),
        ("signature cut", good[..good.len() - 2].to_owned(), JwtError::Signature),
        ("header padded", of(&format!("{header}="), &payload), HEADER),
        ("payload padded", of(&header, &format!("{payload}==")), PAYLOAD),
        ("signature padded", format!("{good}=="), SIGNATURE),
        ("space before", format!(" {good}"), HEADER),
        ("line end after", format!("{good}\n"), SIGNATURE),
        ("line end in the payload", of(&header, &format!("{}\n{}", &payload[..4], &payload[4..])), PAYLOAD),
        ("line end before the signature", format!("{message}.\r\n{signature}"), SIGNATURE),
        ("no ASCII", format!("{message}.ä{signature}"), SIGNATURE),
        ("NUL", format!("{message}.{signature}\0"), SIGNATURE),
        ("the other alphabet", of(&header, "eyJ+Ijo/fQ"), PAYLOAD),
        ("scheme before", format!("Bearer {good}"), HEADER),
    ];
    for (name, token, reason) in cases {
        assert_refused(name, &token, &keys, &reason);
    }
}

/// Base64 of one byte too many has bits that stand for nothing: with them a token would have several spellings, and a list
/// of used ones would not know the second.
#[test]
fn bits_that_stand_for_nothing_are_zero() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    let keys = issuer.keys();
    // Two bytes of base64 are three letters, of which the last has two such bits.
    let (header, payload) = (format!("{} ", issuer.header("k")), CLAIMS.to_owned());
    let header = (0..3).map(|n| format!("{header}{}", " ".repeat(n))).find(|h| h.len() % 3 == 2).unwrap();
    let payload = (0..3).map(|n| format!("{payload}{}", " ".repeat(n))).find(|p| p.len() % 3 == 2).unwrap();
    let (header, payload) = (b64(header), b64(payload));
    let good = issuer.token_of(&header, &payload);
    assert!(read(&good, &keys).is_ok());
    assert_refused("header", &issuer.token_of(&next_letter(&header), &payload), &keys, &HEADER);
    assert_refused("payload", &issuer.token_of(&header, &next_letter(&payload)), &keys, &PAYLOAD);
    assert_refused("signature", &next_letter(&good), &keys, &SIGNATURE);
}

fn next_letter(text: &str) -> String {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = text.split_at(text.len() - 1);
    let at = LETTERS.find(last).unwrap();
    format!("{rest}{}", &LETTERS[at + 1..at + 2])
}

#[test]
fn a_token_of_more_than_16_kib_is_none() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    let keys = issuer.keys();
    // No base64 has one letter more than a multiple of four: then the header has to be longer.
    let of_length = |length: usize| {
        let token = |spaces: usize| {
            let header = format!("{}{}", issuer.header("k"), " ".repeat(spaces));
            // 64 bytes of signature are 86 letters; two dots.
            let letters = length - 86 - 2 - b64(&header).len();
            issuer.token(header, format!("{{\"a\":\"{}\"}}", "x".repeat(letters * 3 / 4 - 8)))
        };
        (0..4).map(token).find(|token| token.len() == length).unwrap()
    };
    let longest = of_length(MAX_TOKEN);
    assert!(read(&longest, &keys).is_ok());
    assert_refused("one more", &of_length(MAX_TOKEN + 1), &keys, &FORM);
    assert_refused("dots", &".".repeat(MAX_TOKEN + 1), &keys, &FORM);
}

#[test]
fn a_header_says_each_thing_once_and_as_text() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    let keys = issuer.keys();
    let headers: &[&[u8]] = &[
        b"[]",
        b"null",
        b"\"EdDSA\"",
        b"1",
        b"",
        b"{",
        b"{}",
        br#"{"kid":"k"}"#,
        br#"{"alg":null,"kid":"k"}"#,
        br#"{"alg":["EdDSA"],"kid":"k"}"#,
        br#"{"alg":{"EdDSA":1},"kid":"k"}"#,
        br#"{"alg":8,"kid":"k"}"#,
        br#"{"Alg":"EdDSA","kid":"k"}"#,
        br#"{"alg":"EdDSA","kid":7}"#,
        br#"{"alg":"EdDSA","kid":null}"#,
        br#"{"alg":"EdDSA","kid":"k","typ":false}"#,
        br#"{"alg":"EdDSA","alg":"EdDSA","kid":"k"}"#,
        br#"{"alg":"none","alg":"EdDSA","kid":"k"}"#,
        br#"{"alg":"EdDSA","al\u0067":"none","kid":"k"}"#,
        br#"{"alg":"EdDSA","kid":"k","kid":"k"}"#,
        br#"{"alg":"EdDSA","kid":"k","typ":"JWT","typ":"at+jwt"}"#,
        br#"{"alg":"EdDSA","kid":"k","x":{"a":1,"a":2}}"#,
        br#"{"alg":"EdDSA","kid":"k","crit":["exp"]}"#,
        br#"{"alg":"EdDSA","kid":"k","crit":[]}"#,
        br#"{"alg":"EdDSA","kid":"k","crit":null}"#,
        br#"{"alg":"EdDSA","kid":"k","b64":false,"crit":["b64"]}"#,
        br#"{"alg":"EdDSA","kid":"k"}{}"#,
        br#"{"alg":"EdDSA","kid":"k",}"#,
        b"\xef\xbb\xbf{\"alg\":\"EdDSA\",\"kid\":\"k\"}",
        b"{\"alg\":\"EdDSA\",\"kid\":\"k\",\"x\":\"\xff\"}",
    ];
    for header in headers {
        let name = String::from_utf8_lossy(header);
        assert_refused(&name, &issuer.token(header, CLAIMS), &keys, &HEADER);
    }
    let deep = format!(r#"{{"alg":"EdDSA","kid":"k","x":{}1{}}}"#, "[".repeat(4_000), "]".repeat(4_000));
    assert_refused("deep", &issuer.token(deep, CLAIMS), &keys, &HEADER);
}

#[test]
fn a_payload_is_an_object_that_says_each_thing_once() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    let keys = issuer.keys();
    let header = issuer.header("k");
    for payload in [
        "[]",
        "[{}]",
        "\"joe\"",
        "1",
        "null",
        "true",
        "",
        "{",
        "{}{}",
        "{'a':1}",
        r#"{"a":NaN}"#,
        r#"{"a":"\ud800"}"#,
    ] {
        assert_refused(payload, &issuer.token(&header, payload), &keys, &PAYLOAD);
    }
    for claim in
        ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "nonce", "azp", "at_hash", "sid", "email", "x"]
    {
        for payload in [
            format!(r#"{{"{claim}":1,"{claim}":1}}"#),
            format!(r#"{{"{claim}":1,"other":[],"{claim}":null}}"#),
            format!(r#"{{"{claim}":1,"\u00{:02x}{}":2}}"#, claim.as_bytes()[0], &claim[1..]),
            format!(r#"{{"nested":[{{"{claim}":1,"{claim}":2}}]}}"#),
        ] {
            assert_refused(claim, &issuer.token(&header, payload), &keys, &PAYLOAD);
        }
    }
}

#[test]
fn a_key_is_found_by_its_id_or_because_no_other_fits() {
    let [ours, other, p256] = [Algorithm::EdDsa, Algorithm::EdDsa, Algorithm::Es256].map(Issuer::new);
    let (named, unnamed) = (ours.token(ours.header("k"), CLAIMS), ours.token(r#"{"alg":"EdDSA"}"#, CLAIMS));
    let anonymous = |issuer: &Issuer| super::without(issuer.jwk("k"), "kid");
    let cases = [
        ("its id", &named, vec![other.jwk("o"), ours.jwk("k")], Ok(())),
        ("another id", &named, vec![ours.jwk("o")], Err(unknown("k"))),
        ("another's id", &named, vec![other.jwk("k")], Err(JwtError::Signature)),
        ("an empty set", &named, vec![], Err(unknown("k"))),
        ("a key without an id is not called by one", &named, vec![anonymous(&ours)], Err(unknown("k"))),
        ("the id of a key of another kind", &named, vec![p256.jwk("k")], Err(unknown("k"))),
        ("the id of two kinds", &named, vec![p256.jwk("k"), ours.jwk("k")], Ok(())),
        ("the id of two keys", &named, vec![ours.jwk("k"), other.jwk("k")], Err(unknown("k"))),
        ("no id, one key", &unnamed, vec![ours.jwk("k")], Ok(())),
        ("no id, one key without one", &unnamed, vec![anonymous(&ours)], Ok(())),
        ("no id, one that fits", &unnamed, vec![p256.jwk("p"), ours.jwk("k")], Ok(())),
        ("no id, two that fit", &unnamed, vec![ours.jwk("k"), other.jwk("o")], Err(unknown(None))),
        ("no id, none that fits", &unnamed, vec![p256.jwk("p")], Err(unknown(None))),
        ("no id, an empty set", &unnamed, vec![], Err(unknown(None))),
    ];
    for (name, token, keys, expected) in cases {
        assert_eq!(read(token, &set(keys)).map(|_| ()), expected, "{name}");
    }
    let empty = ours.token(r#"{"alg":"EdDSA","kid":""}"#, CLAIMS);
    assert_refused("the empty id is an id", &empty, &ours.keys(), &unknown(""));
}

/// A token that brings its own key, or says where to fetch it.
#[test]
fn what_the_header_says_of_keys_is_not_looked_at() {
    let [ours, theirs] = [Algorithm::Es256, Algorithm::Es256].map(Issuer::new);
    let keys = ours.keys();
    let brings = json!({
        "alg": "ES256", "jwk": theirs.jwk("k"), "jku": "https://attacker.example/jwks",
        "x5u": "https://attacker.example/x5", "x5c": ["AAAA"], "x5t": "AAAA",
    });
    let theirs_token = |header: &Value| theirs.token(header.to_string(), CLAIMS);
    assert_refused("no id", &theirs_token(&brings), &keys, &JwtError::Signature);
    assert_refused("ours", &theirs_token(&with(brings.clone(), "kid", "k")), &keys, &JwtError::Signature);
    assert_refused("theirs", &theirs_token(&with(brings.clone(), "kid", "t")), &keys, &unknown("t"));
    assert!(read(&ours.token(brings.to_string(), CLAIMS), &keys).is_ok(), "it does no harm either");
}
