//! Tokens in compact form.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::error::JwtError;
use super::key::KeySet;
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
#[derive(Debug, Clone)]
pub struct Jws<'t> {
    header: Header,
    message: &'t [u8],
    payload: &'t str,
    signature: Vec<u8>,
}

impl<'t> Jws<'t> {
    /// Reads a token.
    pub fn parse(token: &'t str) -> Result<Self, JwtError> {
        const WHOLE: JwtError = JwtError::Malformed("form");
        let parts = token.rsplit_once('.').filter(|_| token.len() <= MAX_TOKEN);
        let (message, signature) = parts.ok_or(WHOLE)?;
        let (header, payload) =
            message.split_once('.').filter(|(_, rest)| !rest.contains('.')).ok_or(WHOLE)?;
        let header = read_header(&object(header).ok_or(JwtError::Malformed("header"))?)?;
        let signature = bytes(signature).filter(|bytes| !bytes.is_empty());
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
        if !key.verifies(algorithm, self.message, &self.signature) {
            return Err(JwtError::Signature);
        }
        self.claims()
    }

    /// The algorithm, if it is one of these.
    pub(crate) fn algorithm(&self, allowed: &[Algorithm]) -> Result<Algorithm, JwtError> {
        let named = allowed.iter().copied().find(|algorithm| algorithm.as_str() == self.header.alg);
        named.ok_or(JwtError::Algorithm)
    }

    /// The claims of a token whose signature was found good.
    pub(crate) fn claims(&self) -> Result<Claims, JwtError> {
        object(self.payload).map(Claims::new).ok_or(JwtError::Malformed("payload"))
    }
}

fn read_header(fields: &Map<String, Value>) -> Result<Header, JwtError> {
    // Extensions that must be understood (RFC 7515 section 4.1.11); none is.
    if fields.contains_key("crit") {
        return Err(JwtError::Malformed("header"));
    }
    let text = |name| match fields.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(JwtError::Malformed("header")),
    };
    Ok(Header {
        alg: text("alg")?.ok_or(JwtError::Malformed("header"))?,
        kid: text("kid")?,
        typ: text("typ")?,
    })
}

fn object(part: &str) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&bytes(part)?) {
        Ok(StrictJson(Value::Object(fields))) => Some(fields),
        _ => None,
    }
}

/// Base64url without padding, each value in its one spelling (RFC 7515 section 2).
fn bytes(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}
