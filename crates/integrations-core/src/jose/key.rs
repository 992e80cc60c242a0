//! Public keys.

use std::fmt;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use serde_json::Value;

use super::algorithm::Algorithm;
use super::error::JwtError;
use crate::error::{Error, Result};
use crate::strict_json::StrictJson;

/// RSA below this many bytes of modulus (2048 bits) is refused (RFC 7518 section 3.3).
const LEAST_MODULUS: usize = 256;

/// No issuer publishes more; whoever does makes us search.
const MOST_KEYS: usize = 100;

/// A public key of an issuer.
#[derive(Clone)]
pub struct PublicKey {
    kid: Option<String>,
    key: DecodingKey,
    /// What its kind allows; `alg` in the set may only narrow it.
    algorithms: Vec<Algorithm>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl PublicKey {
    /// Reads a JWK; `None` for one that verifies no signatures: a set may hold others (RFC 7517 section 5).
    pub fn from_jwk(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let common = &jwk.common;
        let is_for_signatures = common.public_key_use.as_ref().is_none_or(|u| *u == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|ops| ops.contains(&KeyOperations::Verify));
        let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| is_for_signatures)?;
        let named = common.key_algorithm.as_ref().map(ToString::to_string);
        let fits = |a: &&Algorithm| named.as_deref().is_none_or(|named| named == a.as_str());
        let algorithms: Vec<_> = algorithms(&jwk)?.iter().filter(fits).copied().collect();
        let kid = jwk.common.key_id.clone();
        (!algorithms.is_empty()).then_some(Self { kid, key, algorithms })
    }

    /// Its id.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether it verifies this algorithm.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Whether this is its signature of the message. The cryptography is named, so that another crate's choice for the
    /// process changes nothing.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &Vec<u8>) -> bool {
        self.fits(algorithm)
            && (DEFAULT_PROVIDER.verifier_factory)(&algorithm.native(), &self.key)
                .is_ok_and(|verifier| verifier.verify(message, signature).is_ok())
    }
}

/// What a key of this kind verifies.
fn algorithms(jwk: &Jwk) -> Option<&'static [Algorithm]> {
    match &jwk.algorithm {
        AlgorithmParameters::RSA(key) if modulus_bytes(&key.n) >= LEAST_MODULUS => {
            Some(&[Algorithm::Rs256, Algorithm::Ps256])
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Some(&[Algorithm::Es256])
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => {
            Some(&[Algorithm::Es384])
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Some(&[Algorithm::EdDsa])
        }
        _ => None,
    }
}

fn modulus_bytes(n: &str) -> usize {
    n.trim_end_matches('=').len() * 3 / 4
}

/// The public keys of one issuer.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<PublicKey>,
}

impl KeySet {
    /// Reads a JWK set (RFC 7517 section 5). Keys that verify no signatures are left out.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind) for what is no set, has a field twice or more than 100 keys.
    pub fn from_jwks(json: &[u8]) -> Result<Self> {
        let unreadable =
            || Error::config("this is not a JWK set").with_hint("expected is `{\"keys\": […]}` (RFC 7517)");
        let StrictJson(value) = serde_json::from_slice(json).map_err(|_| unreadable())?;
        let Some(Value::Array(keys)) = value.as_object().and_then(|set| set.get("keys")) else {
            return Err(unreadable());
        };
        if keys.len() > MOST_KEYS {
            return Err(Error::config("the JWK set has more than 100 keys"));
        }
        Ok(Self { keys: keys.iter().cloned().filter_map(PublicKey::from_jwk).collect() })
    }

    /// Every key.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// The key for a token: that of its id, or, for a token without one, the only one that fits.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&PublicKey, JwtError> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key.fits(algorithm) && kid.is_none_or(|kid| key.kid() == Some(kid)));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(JwtError::UnknownKey { kid: kid.map(str::to_owned) }),
        }
    }
}
