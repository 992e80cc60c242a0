//! Deliveries with a JWT (RFC 7519), under published keys or a shared secret.
//!
//! The algorithm comes from the kit's list, the key from the ring by its id, and both must fit: the header of the
//! token chooses neither. The cryptography is named explicitly, so that another crate's choice for the process changes
//! nothing.

use std::time::Duration;

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use serde::Deserialize;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use super::keys::{Material, need};
use super::place::View;
use super::scheme::check_window;
use super::shared::after_scheme;
use super::{Incoming, Key, KeyRing, Kit, Place, Trust, Verified, WebhookError, encoding};
use crate::error::{Error, Result};

const MAX_TOKEN: usize = 16 * 1024;
/// RFC 7519 section 4.1.4: "a few minutes" at most.
const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// An algorithm that a token may be signed with (RFC 7518, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC-SHA256 under a shared secret.
    Hs256,
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
    /// ECDSA over P-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    const fn native(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// What a claim must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Expect {
    /// This text.
    Text(&'static str),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// What the endpoint was configured with under this name ([`KeyRing::with_param`]).
    Param(&'static str),
    /// `true`.
    True,
}

/// Deliveries with a JWT.
///
/// A token proves its sender and not the body, unless the scheme has a claim with the body's hash: without one the
/// delivery is [`Trust::Authenticated`].
#[derive(Debug, Clone, Copy)]
pub struct Jwt {
    place: Place,
    algorithms: &'static [Algorithm],
    claims: &'static [(&'static str, Expect)],
    body_hash: Option<&'static str>,
    max_age: Option<Duration>,
    leeway: Duration,
}

impl Jwt {
    /// A token at this place, after `Bearer ` if that is the `authorization` header, signed with one of these.
    pub const fn new(place: Place, algorithms: &'static [Algorithm]) -> Self {
        Self { place, algorithms, claims: &[], body_hash: None, max_age: None, leeway: MAX_LEEWAY }
    }

    /// Sets what claims must hold: `iss`, `aud` (of which it must be one), `email` and so on.
    #[must_use]
    pub const fn claims(mut self, claims: &'static [(&'static str, Expect)]) -> Self {
        self.claims = claims;
        self
    }

    /// Sets the claim that holds the body's SHA-256 in hexadecimal digits.
    #[must_use]
    pub const fn body_hash(mut self, claim: &'static str) -> Self {
        self.body_hash = Some(claim);
        self
    }

    /// Sets how old `iat` may be, for schemes whose tokens have no `exp`. The same holds for the future.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Sets by how much the clocks may differ; 60 s at most, which is the default.
    #[must_use]
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = if leeway.as_secs() > 60 { MAX_LEEWAY } else { leeway };
        self
    }

    fn key<'k>(&self, token: &Token<'_>, keys: &'k KeyRing) -> Result<&'k str, WebhookError> {
        let algorithm = self.algorithms.iter().find(|algorithm| algorithm.name() == token.header.alg);
        let algorithm = *algorithm.ok_or(WebhookError::Malformed("alg"))?;
        if algorithm == Algorithm::Hs256 {
            return by_secret(token, keys);
        }
        let kid = token.header.kid.as_deref().ok_or(WebhookError::Malformed("kid"))?;
        let found = keys.keys().iter().filter_map(|key| match key.material() {
            Material::Jwk(jwk) if key.name() == kid && jwk.fits(algorithm) => Some((key.name(), jwk)),
            _ => None,
        });
        let found: Vec<_> = found.collect();
        if found.is_empty() {
            return Err(WebhookError::UnknownKey { key: kid.to_owned() });
        }
        let matched = found.into_iter().find(|(_, jwk)| token.holds_under(&jwk.key, algorithm));
        matched.map(|(name, _)| name).ok_or(WebhookError::NoMatch)
    }

    fn check_claims(&self, claims: &Map<String, Value>, keys: &KeyRing) -> Result<(), WebhookError> {
        for (name, expect) in self.claims {
            let value = claims.get(*name).ok_or(WebhookError::MissingHeader(name))?;
            if !expect.holds(value, keys)? {
                return Err(WebhookError::NoMatch);
            }
        }
        Ok(())
    }

    fn check_times(
        &self,
        claims: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, WebhookError> {
        let issued = time(claims, "iat")?;
        let expires = time(claims, "exp")?;
        if let Some(from) = time(claims, "nbf")? {
            not_before(from, now, self.leeway)?;
        }
        if let Some(end) = expires {
            let late = now.duration_since(end);
            if late >= signed(self.leeway) {
                return Err(WebhookError::Stale(late.unsigned_abs()));
            }
        }
        match (self.max_age, issued) {
            (Some(age), Some(issued)) => check_window(issued, now, age)?,
            (Some(_), None) => return Err(WebhookError::MissingHeader("iat")),
            (None, Some(issued)) => not_before(issued, now, self.leeway)?,
            (None, None) => {}
        }
        if expires.is_none() && self.max_age.is_none() {
            Err(WebhookError::MissingHeader("exp"))
        } else {
            Ok(issued)
        }
    }

    fn check_body(&self, claims: &Map<String, Value>, body: &[u8]) -> Result<Trust, WebhookError> {
        let Some(claim) = self.body_hash else { return Ok(Trust::Authenticated) };
        let text = claims.get(claim).and_then(Value::as_str).ok_or(WebhookError::MissingHeader(claim))?;
        let given = encoding::from_hex(text).ok_or(WebhookError::Malformed(claim))?;
        let actual = digest::digest(&digest::SHA256, body);
        if bool::from(actual.as_ref().ct_eq(&given)) { Ok(Trust::Signed) } else { Err(WebhookError::NoMatch) }
    }
}

impl Kit for Jwt {
    fn verify<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Verified<'a>, WebhookError> {
        let value = View::new(request).text(self.place)?;
        let text = match self.place {
            Place::Header("authorization") => after_scheme(&value, "bearer"),
            _ => Some(&*value),
        };
        let token = text.and_then(Token::parse).ok_or(WebhookError::Malformed(self.place.name()))?;
        let matched = self.key(&token, keys)?;
        let claims = token.claims().ok_or(WebhookError::Malformed(self.place.name()))?;
        self.check_claims(&claims, keys)?;
        let trust = self.check_body(&claims, request.body)?;
        let issued = self.check_times(&claims, request.received)?;
        let mut verified = Verified::new(request, trust, matched);
        verified.id = claims.get("jti").and_then(Value::as_str).map(|id| id.to_owned().into());
        verified.signed_at = issued;
        Ok(verified)
    }
}

impl Expect {
    fn holds(self, value: &Value, keys: &KeyRing) -> Result<bool, WebhookError> {
        Ok(match self {
            Self::True => *value == Value::Bool(true),
            Self::Text(text) => is_or_has(value, text),
            Self::OneOf(texts) => texts.iter().any(|text| is_or_has(value, text)),
            Self::Param(name) => is_or_has(value, keys.param(name)?),
        })
    }
}

/// `aud` is a text or a list of texts.
fn is_or_has(value: &Value, text: &str) -> bool {
    match value {
        Value::String(own) => own == text,
        Value::Array(items) => items.iter().any(|item| item.as_str() == Some(text)),
        _ => false,
    }
}

fn by_secret<'k>(token: &Token<'_>, keys: &'k KeyRing) -> Result<&'k str, WebhookError> {
    need(keys.secrets().next(), "a shared secret")?;
    let signatures = [token.signature.clone()];
    super::hmac::matching(super::Hash::Sha256, keys, token.message, &signatures).ok_or(WebhookError::NoMatch)
}

fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, WebhookError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    // A NumericDate may have a fraction (RFC 7519 section 2); whole seconds are enough here.
    let seconds = value.as_i64().or_else(|| value.as_f64().filter(|s| s.abs() < 1e11).map(|s| s as i64));
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(Some).ok_or(WebhookError::Malformed(name))
}

fn not_before(from: Timestamp, now: Timestamp, leeway: Duration) -> Result<(), WebhookError> {
    let early = from.duration_since(now);
    if early > signed(leeway) { Err(WebhookError::Early(early.unsigned_abs())) } else { Ok(()) }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood; none is.
    crit: Option<Value>,
}

/// A token in its three parts (RFC 7515 section 7.1), decoded strictly.
struct Token<'t> {
    header: Header,
    message: &'t [u8],
    payload: &'t str,
    signature: Vec<u8>,
}

impl<'t> Token<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let (message, signature) = text.rsplit_once('.').filter(|_| text.len() <= MAX_TOKEN)?;
        let (header, payload) = message.split_once('.').filter(|(_, payload)| !payload.contains('.'))?;
        let header: Header = serde_json::from_slice(&strict(header)?).ok()?;
        let signature = strict(signature).filter(|bytes| !bytes.is_empty())?;
        let is_understood = header.crit.is_none();
        is_understood.then_some(Self { header, message: message.as_bytes(), payload, signature })
    }

    fn claims(&self) -> Option<Map<String, Value>> {
        serde_json::from_slice(&strict(self.payload)?).ok()
    }

    fn holds_under(&self, key: &DecodingKey, algorithm: Algorithm) -> bool {
        (DEFAULT_PROVIDER.verifier_factory)(&algorithm.native(), key)
            .is_ok_and(|verifier| verifier.verify(self.message, &self.signature).is_ok())
    }
}

/// Base64url without padding (RFC 7515 section 2).
fn strict(text: &str) -> Option<Vec<u8>> {
    encoding::from_base64_url(text).filter(|_| !text.contains('='))
}

/// A key of a JWK set.
#[derive(Clone)]
pub(super) struct PublicJwk {
    key: DecodingKey,
    /// The algorithm that its kind allows; `alg` in the set may only confirm it.
    algorithm: Algorithm,
}

impl PublicJwk {
    fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm == algorithm
    }
}

pub(super) fn parse_jwks(json: &[u8]) -> Result<Vec<Key>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_slice(json).map_err(|_| {
        Error::config("this is not a JWK set").with_hint("expected is `{\"keys\": […]}` (RFC 7517)")
    })?;
    Ok(set.keys.into_iter().filter_map(parse_jwk).collect())
}

/// `None` for a key that cannot verify deliveries: a set may hold others (RFC 7517 section 5).
fn parse_jwk(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let kid = jwk.common.key_id.clone()?;
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::Rs256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::Es256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDsa,
        _ => return None,
    };
    let named = jwk.common.key_algorithm.as_ref().map(ToString::to_string);
    let is_for_us =
        jwk.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
            && named.is_none_or(|named| named == algorithm.name());
    let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| is_for_us)?;
    Some(Key::new(kid, Material::Jwk(Box::new(PublicJwk { key, algorithm }))))
}
