//! Public keys.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::algorithm::Algorithm;
use super::error::JwtError;
use super::jwk::{self, Verifier};
use crate::error::{Error, Result};
use crate::strict_json::StrictJson;

/// No issuer publishes more; whoever does makes us search.
const MOST_KEYS: usize = 100;

/// A public key of an issuer: RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519.
#[derive(Clone)]
pub struct PublicKey {
    kid: Option<String>,
    verifiers: Arc<[Verifier]>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl PublicKey {
    /// Reads a JWK (RFC 7517).
    ///
    /// `None` for one that verifies no signatures: a set may hold others (section 5). That is a key of another kind, for
    /// another use (`use`, `key_ops`, `alg`), with an RSA modulus below 2048 bits, off its curve, or with its private half
    /// in it.
    pub fn from_jwk(value: Value) -> Option<Self> {
        let Value::Object(mut jwk) = value else { return None };
        let verifiers = jwk::verifiers(&jwk);
        let kid = match jwk.remove("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid),
            Some(_) => return None,
        };
        (!verifiers.is_empty()).then(|| Self { kid, verifiers: verifiers.into() })
    }

    /// Its id.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether it verifies this algorithm.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.verifiers.iter().any(|(own, _)| *own == algorithm)
    }

    /// Whether this is its signature of the message.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let verifier = self.verifiers.iter().find(|(own, _)| *own == algorithm);
        verifier.is_some_and(|(_, key)| key.verify_sig(message, signature).is_ok())
    }
}

/// The public keys of one issuer.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<PublicKey>,
}

impl KeySet {
    /// Reads a JWK set (RFC 7517 section 5). Keys that verify no signatures are left out: see [`PublicKey::from_jwk`].
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind) for what is no set, has a field twice or more than 100 keys.
    pub fn from_jwks(json: &[u8]) -> Result<Self> {
        let unreadable =
            || Error::config("this is not a JWK set").with_hint("expected is `{\"keys\": […]}` (RFC 7517)");
        let StrictJson(mut value) = serde_json::from_slice(json).map_err(|_| unreadable())?;
        let Some(Value::Array(keys)) = value.get_mut("keys").map(Value::take) else {
            return Err(unreadable());
        };
        if keys.len() > MOST_KEYS {
            return Err(Error::config("the JWK set has more than 100 keys"));
        }
        Ok(Self { keys: keys.into_iter().filter_map(PublicKey::from_jwk).collect() })
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
