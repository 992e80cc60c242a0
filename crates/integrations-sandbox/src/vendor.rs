//! What a fake vendor is: a state machine that answers requests.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::{Known, Ledger};

/// A fake vendor by name.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Fake {
    /// The provider's id.
    pub provider: &'static str,
    /// Its category.
    pub category: &'static str,
    /// Makes one in its first state.
    pub make: fn(seed: u64) -> Box<dyn Vendor>,
}

impl Fake {
    /// A fake vendor.
    pub const fn new(
        provider: &'static str,
        category: &'static str,
        make: fn(seed: u64) -> Box<dyn Vendor>,
    ) -> Self {
        Self { provider, category, make }
    }
}

/// A fake vendor. It does no I/O, waits for nothing and asks no clock but the [`World`]'s, so that the same requests
/// always get the same answers.
pub trait Vendor: Send {
    /// Answers one request. What it changes it also writes to the ledger.
    fn answer(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer;

    /// How this vendor words a trouble, or `None` for one that it never has.
    fn word(&self, trouble: Trouble) -> Option<Answer>;

    /// What a client is set up with: the settings of its provider and values that this fake takes. Everything here
    /// is to be treated as a secret by whoever looks for leaks, unless its name is in the provider's facts as no secret.
    fn settings(&self) -> Vec<(&'static str, String)>;

    /// What is there in the first state.
    fn known(&self) -> Known;

    /// Replaces the credentials in use, so that those given out before are refused; the new value of the setting that
    /// a caller would have got by refreshing. `None` where credentials do not change.
    fn rotate(&mut self) -> Option<(&'static str, String)> {
        None
    }
}

/// One request as a vendor sees it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Call<'a> {
    /// The method.
    pub method: &'a Method,
    /// The host that was asked for, where the request names one.
    pub host: Option<&'a str>,
    /// The path's segments, decoded.
    pub path: Vec<String>,
    /// The query's pairs, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Call<'a> {
    /// A request taken apart.
    pub fn new(method: &'a Method, uri: &'a http::Uri, headers: &'a HeaderMap, body: &'a [u8]) -> Self {
        let path = uri.path().split('/').skip(1).map(|segment| decoded(segment, false)).collect();
        let query = uri.query().map(pairs).unwrap_or_default();
        Self { method, host: uri.host(), path, query, headers, body }
    }

    /// The path as words to match on.
    pub fn segments(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// The first value of a query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The pairs of a form body, decoded.
    pub fn form(&self) -> Vec<(String, String)> {
        std::str::from_utf8(self.body).map(pairs).unwrap_or_default()
    }

    /// The body as JSON; `None` for anything else.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body).ok()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The token after `Bearer`.
    pub fn bearer(&self) -> Option<&str> {
        self.header(AUTHORIZATION.as_str())?.strip_prefix("Bearer ")
    }
}

/// `a=b&c=d` with both sides decoded.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (decoded(name, true), decoded(value, true))
    };
    text.split('&').filter(|text| !text.is_empty()).map(pair).collect()
}

fn decoded(text: &str, plus_is_space: bool) -> String {
    let text = if plus_is_space { text.replace('+', " ") } else { text.to_owned() };
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

/// What a vendor finds around it during one call.
#[derive(Debug)]
#[non_exhaustive]
pub struct World<'a> {
    /// The time.
    pub now: Timestamp,
    /// Where changes are written.
    pub ledger: &'a mut Ledger,
    /// Chance, from the seed.
    pub random: &'a mut fastrand::Rng,
    /// What was written lately is not found by searches and lists yet.
    pub lags: bool,
    /// The next page of a list is one that was given before.
    pub loops: bool,
}

/// What goes wrong at a vendor, before it is put into the vendor's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// Too many requests. The delay is put into the header by the sandbox unless the vendor has a place of its own.
    RateLimited(Option<Duration>),
    /// The quota of a longer time is used up.
    QuotaExhausted,
    /// The credentials were refused.
    Unauthorized,
    /// The service is broken or overloaded, with this status: 500, 502, 503 or 504. A delay in the vendor's words should
    /// be a second at most, so that this passes.
    Broken(u16),
    /// A passing failure that is told under status 200.
    FailedWithSuccess,
}

/// An answer of a vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// An answer without a body. A status that does not exist counts as 500.
    pub fn empty(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// An answer in JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        let mut answer = Self::empty(status);
        answer.body = body.to_string().into();
        answer.header(CONTENT_TYPE, "application/json; charset=utf-8")
    }

    /// An answer in text of some kind, such as `text/html`.
    pub fn text(status: u16, kind: &str, body: impl Into<String>) -> Self {
        let mut answer = Self::empty(status);
        answer.body = body.into().into();
        answer.header(CONTENT_TYPE, kind)
    }

    /// Sets a header; one that cannot be written is left out.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}
