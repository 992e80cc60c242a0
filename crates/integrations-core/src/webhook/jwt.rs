//! Deliveries with a JWT (RFC 7519), under published keys or a shared secret.
//!
//! The algorithm comes from the kit's list, the key from the ring by its id, and both must fit: the header of the
//! token chooses neither. What a token is and what a key is, [`jose`](crate::jose) says.

use std::time::Duration;

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::keys::{Material, need};
use super::place::View;
use super::scheme::check_window;
use super::shared::after_scheme;
use super::{Incoming, Key, KeyRing, Kit, Place, Trust, Verified, WebhookError, encoding};
use crate::error::Result;
use crate::jose::{Claims, Jws, KeySet, MAX_LEEWAY, PublicKey};

pub use crate::jose::Algorithm;

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

    fn key<'k>(&self, token: &Jws<'_>, keys: &'k KeyRing) -> Result<&'k str, WebhookError> {
        let algorithm = token.algorithm(self.algorithms).map_err(|_| WebhookError::Malformed("alg"))?;
        if algorithm == Algorithm::Hs256 {
            return by_secret(token, keys);
        }
        let kid = token.header().kid.as_deref().ok_or(WebhookError::Malformed("kid"))?;
        let found = keys.keys().iter().filter_map(|key| match key.material() {
            Material::Jwk(jwk) if key.name() == kid && jwk.fits(algorithm) => Some((key.name(), jwk)),
            _ => None,
        });
        let found: Vec<_> = found.collect();
        if found.is_empty() {
            return Err(WebhookError::UnknownKey { key: kid.to_owned() });
        }
        let matched = found.into_iter().find(|(_, jwk)| token.is_signed_by(jwk, algorithm));
        matched.map(|(name, _)| name).ok_or(WebhookError::NoMatch)
    }

    fn check_claims(&self, claims: &Claims, keys: &KeyRing) -> Result<(), WebhookError> {
        for (name, expect) in self.claims {
            let value = claims.get(name).ok_or(WebhookError::MissingHeader(name))?;
            if !expect.holds(value, keys)? {
                return Err(WebhookError::NoMatch);
            }
        }
        Ok(())
    }

    fn check_times(&self, claims: &Claims, now: Timestamp) -> Result<Option<Timestamp>, WebhookError> {
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

    fn check_body(&self, claims: &Claims, body: &[u8]) -> Result<Trust, WebhookError> {
        let Some(claim) = self.body_hash else { return Ok(Trust::Authenticated) };
        let text = claims.text(claim).ok_or(WebhookError::MissingHeader(claim))?;
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
        let token =
            text.and_then(|text| Jws::parse(text).ok()).ok_or(WebhookError::Malformed(self.place.name()))?;
        let matched = self.key(&token, keys)?;
        let claims = token.claims().map_err(|_| WebhookError::Malformed(self.place.name()))?;
        self.check_claims(&claims, keys)?;
        let trust = self.check_body(&claims, request.body)?;
        let issued = self.check_times(&claims, request.received)?;
        let mut verified = Verified::new(request, trust, matched);
        verified.id = claims.text("jti").map(|id| id.to_owned().into());
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

fn by_secret<'k>(token: &Jws<'_>, keys: &'k KeyRing) -> Result<&'k str, WebhookError> {
    need(keys.secrets().next(), "a shared secret")?;
    let signatures = [token.signature().to_vec()];
    super::hmac::matching(super::Hash::Sha256, keys, token.message(), &signatures)
        .ok_or(WebhookError::NoMatch)
}

fn time(claims: &Claims, name: &'static str) -> Result<Option<Timestamp>, WebhookError> {
    claims.time(name).map_err(|_| WebhookError::Malformed(name))
}

fn not_before(from: Timestamp, now: Timestamp, leeway: Duration) -> Result<(), WebhookError> {
    let early = from.duration_since(now);
    if early > signed(leeway) { Err(WebhookError::Early(early.unsigned_abs())) } else { Ok(()) }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

pub(super) fn parse_jwks(json: &[u8]) -> Result<Vec<Key>> {
    let named = |jwk: &PublicKey| Some(Key::new(jwk.kid()?, Material::Jwk(jwk.clone())));
    Ok(KeySet::from_jwks(json)?.keys().iter().filter_map(named).collect())
}
