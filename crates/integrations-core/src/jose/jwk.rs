//! Keys as JSON: which algorithms a public key verifies, and its thumbprint.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::base64url::{decoded, encoded};

pub(super) type Fields = Map<String, Value>;

/// What a public key verifies an algorithm's signatures with.
pub(super) type Verifier = (Algorithm, ParsedPublicKey);

/// Bits of an RSA modulus: less is refused by RFC 7518 section 3.3, more by the cryptography.
const MODULUS: std::ops::RangeInclusive<usize> = 2048..=8192;

static RSA: [(Algorithm, &RsaParameters); 2] =
    [(Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256), (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256)];

struct Curve {
    kty: &'static str,
    name: &'static str,
    algorithm: Algorithm,
    verification: &'static dyn VerificationAlgorithm,
    /// What stands before the coordinates: SEC 1 section 2.3.3 marks an uncompressed point with a 4.
    prefix: &'static [u8],
    coordinates: &'static [&'static str],
    /// Of each coordinate, in bytes, leading zeros included (RFC 7518 section 6.2.1.2, RFC 8037 section 2).
    length: usize,
}

static CURVES: [Curve; 3] = [
    Curve {
        kty: "EC",
        name: "P-256",
        algorithm: Algorithm::Es256,
        verification: &ECDSA_P256_SHA256_FIXED,
        prefix: &[4],
        coordinates: &["x", "y"],
        length: 32,
    },
    Curve {
        kty: "EC",
        name: "P-384",
        algorithm: Algorithm::Es384,
        verification: &ECDSA_P384_SHA384_FIXED,
        prefix: &[4],
        coordinates: &["x", "y"],
        length: 48,
    },
    Curve {
        kty: "OKP",
        name: "Ed25519",
        algorithm: Algorithm::EdDsa,
        verification: &ED25519,
        prefix: &[],
        coordinates: &["x"],
        length: 32,
    },
];

/// What this key verifies; empty if nothing. `alg` can only narrow what the key's kind allows.
pub(super) fn verifiers(jwk: &Fields) -> Vec<Verifier> {
    if !is_for_signatures(jwk) || is_compromised(jwk) {
        return Vec::new();
    }
    let of_kind = if text(jwk, "kty") == Some("RSA") { rsa(jwk) } else { on_curve(jwk) };
    let mut verifiers = of_kind.unwrap_or_default();
    if let Some(named) = jwk.get("alg") {
        verifiers.retain(|(algorithm, _)| named == algorithm.as_str());
    }
    verifiers
}

/// RFC 7517 sections 4.2 and 4.3.
fn is_for_signatures(jwk: &Fields) -> bool {
    let has_verify = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
    jwk.get("use").is_none_or(|purpose| purpose == "sig") && jwk.get("key_ops").is_none_or(has_verify)
}

/// Whoever publishes the private half with it has told everybody how to sign.
fn is_compromised(jwk: &Fields) -> bool {
    jwk.contains_key("d")
}

fn rsa(jwk: &Fields) -> Option<Vec<Verifier>> {
    let number = |name| Some(without_leading_zeros(decoded(text(jwk, name)?)?));
    let (n, e) = (number("n")?, number("e")?);
    // Under the exponent 1 every message is its own signature, and an even one has no inverse.
    let is_sound = MODULUS.contains(&bits(&n)) && e != [1] && e.last()? % 2 == 1;
    let key = RsaPublicKeyComponents { n, e };
    let parse = |(algorithm, with)| Some((algorithm, key.to_parsed_public_key(with).ok()?));
    is_sound.then(|| RSA.into_iter().map(parse).collect())?
}

fn on_curve(jwk: &Fields) -> Option<Vec<Verifier>> {
    let (kty, name) = (text(jwk, "kty")?, text(jwk, "crv")?);
    let curve = CURVES.iter().find(|curve| curve.kty == kty && curve.name == name)?;
    let mut point = curve.prefix.to_vec();
    for coordinate in curve.coordinates {
        point.extend(decoded(text(jwk, coordinate)?).filter(|bytes| bytes.len() == curve.length)?);
    }
    let key = ParsedPublicKey::new(curve.verification, &point).ok()?;
    Some(vec![(curve.algorithm, key)])
}

fn text<'j>(jwk: &'j Fields, name: &str) -> Option<&'j str> {
    jwk.get(name)?.as_str()
}

/// Some libraries write one in front of the modulus (RFC 7518 section 6.3.1.1); it is no part of the number.
fn without_leading_zeros(mut number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.drain(..zeros);
    number
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

/// SHA-256 over the members that make the key, in the order of their names (RFC 7638 section 3). `None` if one is missing.
pub(super) fn thumbprint(jwk: &Fields) -> Option<String> {
    let names: &[&str] = match text(jwk, "kty")? {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        _ => return None,
    };
    let member = |name: &&str| Some(format!("\"{name}\":{}", Value::from(text(jwk, name)?)));
    let members: Option<Vec<_>> = names.iter().map(member).collect();
    let canonical = format!("{{{}}}", members?.join(","));
    Some(encoded(digest::digest(&digest::SHA256, canonical.as_bytes())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(jwk: Value) -> Fields {
        serde_json::from_value(jwk).unwrap()
    }

    /// RFC 7638 section 3.1.
    #[test]
    fn rfc_7638_thumbprint_of_rsa() {
        let jwk = fields(json!({
            "kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        }));
        assert_eq!(thumbprint(&jwk).as_deref(), Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
    }

    #[test]
    fn a_thumbprint_needs_every_member_of_the_key() {
        for jwk in [
            json!({ "kty": "RSA", "n": "AQ" }),
            json!({ "kty": "EC", "crv": "P-256", "x": "AQ" }),
            json!({ "kty": "OKP", "x": "AQ" }),
            json!({ "kty": "oct", "k": "AQ" }),
            json!({ "n": "AQ", "e": "AQAB" }),
        ] {
            assert_eq!(thumbprint(&fields(jwk)), None);
        }
    }
}
