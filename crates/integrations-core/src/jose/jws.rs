//! Tokens in compact form.

use std::fmt;

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::base64url::decoded;
use super::claims::Claims;
use super::error::JwtError;
use super::key::{KeySet, PublicKey};
use crate::strict_json::StrictJson;

/// A longer token is none, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;

/// What the header of a token says. Nobody has vouched for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The algorithm's name.
    pub alg: String,
    /// The key's id.
    pub kid: Option<String>,
    /// The kind of token, such as `at+jwt` (RFC 9068).
    pub typ: Option<String>,
}

/// A token in its three parts (RFC 7515 section 7.1), read and not yet verified.
#[derive(Clone)]
pub struct Jws<'t> {
    header: Header,
    message: &'t [u8],
    payload: &'t str,
    signature: Vec<u8>,
}

impl fmt::Debug for Jws<'_> {
    /// The header alone: with the rest somebody could sign in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jws").field("header", &self.header).finish_non_exhaustive()
    }
}

impl<'t> Jws<'t> {
    /// Reads a token.
    pub fn parse(token: &'t str) -> Result<Self, JwtError> {
        const WHOLE: JwtError = JwtError::Malformed("form");
        let parts = token.rsplit_once('.').filter(|_| token.len() <= MAX_TOKEN);
        let (message, signature) = parts.ok_or(WHOLE)?;
        let (header, payload) =
            message.split_once('.').filter(|(_, rest)| !rest.contains('.')).ok_or(WHOLE)?;
        let header = read_header(object(header).ok_or(JwtError::Malformed("header"))?)?;
        let signature = decoded(signature).filter(|bytes| !bytes.is_empty());
        let signature = signature.ok_or(JwtError::Malformed("signature"))?;
        Ok(Self { header, message: message.as_bytes(), payload, signature })
    }

    /// What its header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its claims, if a key of the set signed it with one of these algorithms. Times, issuer and audience are not looked
    /// at: see [`Claims`].
    pub fn verify(&self, keys: &KeySet, allowed: &[Algorithm]) -> Result<Claims, JwtError> {
        let algorithm = self.algorithm(allowed)?;
        let key = keys.find(self.header.kid.as_deref(), algorithm)?;
        if self.is_signed_by(key, algorithm) { self.claims() } else { Err(JwtError::Signature) }
    }

    /// The algorithm, if it is one of these.
    pub(crate) fn algorithm(&self, allowed: &[Algorithm]) -> Result<Algorithm, JwtError> {
        let named = allowed.iter().copied().find(|algorithm| algorithm.as_str() == self.header.alg);
        named.ok_or(JwtError::Algorithm)
    }

    pub(crate) fn is_signed_by(&self, key: &PublicKey, algorithm: Algorithm) -> bool {
        key.verifies(algorithm, self.message, &self.signature)
    }

    /// What is signed.
    #[cfg(feature = "webhook-jwt")]
    pub(crate) fn message(&self) -> &'t [u8] {
        self.message
    }

    #[cfg(feature = "webhook-jwt")]
    pub(crate) fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The claims of a token whose signature was found good.
    pub(crate) fn claims(&self) -> Result<Claims, JwtError> {
        object(self.payload).map(Claims::new).ok_or(JwtError::Malformed("payload"))
    }
}

fn read_header(mut fields: Map<String, Value>) -> Result<Header, JwtError> {
    // Extensions that must be understood (RFC 7515 section 4.1.11); none is.
    if fields.contains_key("crit") {
        return Err(JwtError::Malformed("header"));
    }
    let mut text = |name| match fields.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JwtError::Malformed("header")),
    };
    Ok(Header {
        alg: text("alg")?.ok_or(JwtError::Malformed("header"))?,
        kid: text("kid")?,
        typ: text("typ")?,
    })
}

fn object(part: &str) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&decoded(part)?) {
        Ok(StrictJson(Value::Object(fields))) => Some(fields),
        _ => None,
    }
}
