//! What a verified token says.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::error::JwtError;

/// By how much clocks may differ, at most: RFC 7519 section 4.1.4 allows "a few minutes"; we allow one.
pub const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// What a token says whose signature was found good.
#[derive(Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

impl fmt::Debug for Claims {
    /// Names alone: the values are about a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Claims {
    pub(super) fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// A claim.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// A claim that must be text, and not empty.
    pub fn need(&self, name: &'static str) -> Result<&str, JwtError> {
        match self.get(name) {
            None => Err(JwtError::Missing(name)),
            Some(Value::String(text)) if !text.is_empty() => Ok(text),
            Some(_) => Err(JwtError::Malformed(name)),
        }
    }

    /// A claim that is a time (RFC 7519 section 2), in whole seconds. One before 1970 or after 9999 is malformed.
    pub fn time(&self, name: &'static str) -> Result<Option<Timestamp>, JwtError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        // A NumericDate may have a fraction; whole seconds are enough here.
        let seconds = value.as_i64().or_else(|| value.as_f64().filter(|s| s.abs() < 1e11).map(|s| s as i64));
        let time = seconds.filter(|s| *s >= 0).and_then(|seconds| Timestamp::from_second(seconds).ok());
        time.map(Some).ok_or(JwtError::Malformed(name))
    }

    /// Everything in `aud`: a text or a list of texts.
    pub fn audiences(&self) -> Result<Vec<&str>, JwtError> {
        const MALFORMED: JwtError = JwtError::Malformed("aud");
        match self.get("aud") {
            None => Err(JwtError::Missing("aud")),
            Some(Value::String(one)) => Ok(vec![one]),
            Some(Value::Array(several)) => several.iter().map(|one| one.as_str().ok_or(MALFORMED)).collect(),
            Some(_) => Err(MALFORMED),
        }
    }

    /// That a claim is this text.
    pub fn expect(&self, name: &'static str, text: &str) -> Result<(), JwtError> {
        if self.need(name)? == text { Ok(()) } else { Err(JwtError::Mismatch(name)) }
    }

    /// That `aud` names this one.
    pub fn expect_audience(&self, audience: &str) -> Result<(), JwtError> {
        if self.audiences()?.contains(&audience) { Ok(()) } else { Err(JwtError::Mismatch("aud")) }
    }

    /// That the token holds now: `exp` must be there and lie ahead, `nbf` and `iat` must not. `leeway` is by how much the
    /// clocks may differ; more than [`MAX_LEEWAY`] counts as that.
    pub fn expect_now(&self, now: Timestamp, leeway: Duration) -> Result<(), JwtError> {
        let leeway = SignedDuration::try_from(leeway.min(MAX_LEEWAY)).unwrap_or_default();
        let end = self.time("exp")?.ok_or(JwtError::Missing("exp"))?;
        let late = now.duration_since(end);
        if late >= leeway {
            return Err(JwtError::Expired(late));
        }
        for name in ["nbf", "iat"] {
            let early = self.time(name)?.map(|from| from.duration_since(now));
            if let Some(early) = early.filter(|early| *early > leeway) {
                return Err(JwtError::NotYet(early));
            }
        }
        Ok(())
    }

    /// All of them.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// All of them.
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }
}
