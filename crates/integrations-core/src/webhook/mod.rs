//! Incoming webhooks: proof of who sent them, over the bytes as they came, before anything is parsed.
//!
//! Invariants:
//! - A [`Verified`] delivery comes out of a verification kit of this module and from nowhere else.
//! - Every kit hashes the raw bytes, tries every key, checks both sides of the time window and compares in constant time.
//! - A key ring is never empty. A vendor that does not sign yields claims ([`Trust::Claim`]), to be confirmed by a read.
//! - Nothing of a refused delivery is kept, and the sender learns nothing of the reason.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use jiff::Timestamp;

use crate::error::Result;

/// A request as it arrived. Nothing may have been decoded, merged or re-encoded before.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// The method.
    pub method: &'a Method,
    /// The address as the sender sees it, with scheme, host and query: some vendors sign it.
    pub uri: &'a Uri,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body as it came.
    pub body: &'a [u8],
    /// When it arrived.
    pub received: Timestamp,
}

/// What a request to a webhook's address is.
#[derive(Debug)]
#[non_exhaustive]
pub enum Receipt<'a> {
    /// The vendor asks whether this address is meant to receive: the answer to send back. There is no event.
    Handshake(http::Response<Bytes>),
    /// A delivery that was verified.
    Delivery(Verified<'a>),
}

/// How far the content of a delivery can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trust {
    /// The vendor signed these bytes.
    Signed,
    /// The sender knew a password, which says nothing about the bytes.
    Authenticated,
    /// Nobody proved anything: what it says must be read from the vendor's API before it is used.
    Claim,
}

/// A delivery whose sender was verified. Only the kits of this module make one.
#[derive(Debug, Clone)]
pub struct Verified<'a> {
    body: &'a [u8],
    headers: &'a HeaderMap,
    uri: &'a Uri,
    trust: Trust,
    id: Option<Cow<'a, str>>,
    signed_at: Option<Timestamp>,
    received: Timestamp,
    key: Cow<'a, str>, // tidy: not a secret, the name of the key that matched
}

impl<'a> Verified<'a> {
    /// The bytes that were verified.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The headers. With most vendors they are not signed: nothing but a hint.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The address the request was sent to.
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// How far the content can be relied on.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// The delivery's id, if the scheme signs one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// When the sender signed it, if the scheme says so.
    pub fn signed_at(&self) -> Option<Timestamp> {
        self.signed_at
    }

    /// When it arrived.
    pub fn received(&self) -> Timestamp {
        self.received
    }

    /// The name of the key that matched.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// What one event is about, in the vendor's words: `("payment_intent", "pi_3Mt")`. Events of one entity are applied in
/// order, one at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Entity {
    /// The kind of thing.
    pub kind: String,
    /// Its id with the vendor.
    pub id: String,
}

impl Entity {
    /// A thing of a vendor.
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self { kind: kind.into(), id: id.into() }
    }
}

/// One event of a delivery, in the vendor's own words.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// What repeated deliveries of the event have in common. An event that the vendor gives no id has the SHA-256 of
    /// provider, endpoint and body.
    pub id: String,
    /// The vendor's name of what happened, e.g. `invoice.paid`.
    pub kind: String,
    /// When it happened, as the vendor says.
    pub occurred_at: Option<Timestamp>,
    /// What it is about, when there is one thing.
    pub entity: Option<Entity>,
    /// The version of the entity that the event tells of, when the vendor counts them.
    pub version: Option<u64>,
    /// Whether it happened in the vendor's live mode, when the vendor says.
    pub live: Option<bool>,
    /// How far it can be relied on.
    pub trust: Trust,
    /// The event's own bytes: the body, or its part of a batch.
    pub payload: Bytes,
}

impl Event {
    /// An event of a verified delivery with this payload.
    pub fn new(
        delivery: &Verified<'_>,
        id: impl Into<String>,
        kind: impl Into<String>,
        payload: impl Into<Bytes>,
    ) -> Self {
        Self {
            id: id.into(),
            kind: kind.into(),
            occurred_at: None,
            entity: None,
            version: None,
            live: None,
            trust: delivery.trust,
            payload: payload.into(),
        }
    }

    /// An event that was read from the vendor's API, when deliveries that were missed are caught up on. It is relied
    /// on as if it were signed: never make one of bytes that somebody sent.
    pub fn from_api(id: impl Into<String>, kind: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            id: id.into(),
            kind: kind.into(),
            occurred_at: None,
            entity: None,
            version: None,
            live: None,
            trust: Trust::Signed,
            payload: payload.into(),
        }
    }

    /// Sets when it happened.
    #[must_use]
    pub fn occurred_at(mut self, at: Timestamp) -> Self {
        self.occurred_at = Some(at);
        self
    }

    /// Sets what it is about.
    #[must_use]
    pub fn entity(mut self, entity: Entity) -> Self {
        self.entity = Some(entity);
        self
    }

    /// Sets the version of the entity.
    #[must_use]
    pub fn version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// Sets the mode.
    #[must_use]
    pub fn live(mut self, live: bool) -> Self {
        self.live = Some(live);
        self
    }
}

/// How one vendor's webhooks are received. Pure: no I/O, no clock.
pub trait Webhook: Send + Sync {
    /// Verifies a request, or answers a handshake.
    fn receive<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Receipt<'a>, WebhookError>;

    /// The events of a verified delivery. [`ErrorKind::Decode`](crate::ErrorKind) when it cannot be read.
    fn events(&self, delivery: &Verified<'_>) -> Result<Vec<Event>>;
}

/// The keys that one endpoint accepts: the present one and, while it is being rotated, its predecessor. Never empty.
#[derive(Debug, Clone)]
pub struct KeyRing(());

/// Why a request was refused. For our own logs and metrics: a sender is told nothing but "refused".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// A header of the scheme is not there.
    #[error("the header `{0}` is missing")]
    MissingHeader(&'static str),
    /// A header or parameter of the scheme cannot be read.
    #[error("`{0}` cannot be read")]
    Malformed(&'static str),
    /// It was signed too long ago.
    #[error("it was signed {0:?} ago")]
    Stale(std::time::Duration),
    /// It was signed in the future.
    #[error("it was signed {0:?} in the future")]
    Early(std::time::Duration),
    /// No key of the ring makes this signature.
    #[error("no key makes this signature")]
    NoMatch,
    /// It names a key that is not in the ring: fetch it, if its place is trusted, and ask once more.
    #[error("the key it names is not known")]
    UnknownKey {
        /// The key's id, or the address of the certificate, as the sender says.
        key: String, // tidy: not a secret, the public key's name
    },
    /// The configuration cannot verify this.
    #[error("{0}")]
    Config(String),
}
