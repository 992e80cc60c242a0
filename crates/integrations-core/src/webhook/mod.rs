//! Incoming webhooks: proof of who sent them, over the bytes as they came, before anything is parsed.
//!
//! Invariants:
//! - A [`Verified`] delivery comes out of a verification kit of this module and from nowhere else.
//! - Every kit hashes the raw bytes, tries every key, checks both sides of the time window and compares in constant
//!   time.
//! - A key ring is never empty. A vendor that does not sign yields claims ([`Trust::Claim`]), to be confirmed by a
//!   read.
//! - Nothing of a refused delivery is kept, and the sender learns nothing of the reason.
//! - A key comes from the ring, never from the request: what a request names is only looked up there.
//!
//! A vendor's scheme is a constant: where the signature stands, how it is written, which bytes it covers.
//!
//! ```
//! use http::{HeaderMap, Method, Uri};
//! use integrations_core::webhook::{
//!     Decoding, Encoding, Grammar, Hmac, Incoming, Key, KeyRing, Kit, Place, Scheme, Stamp, Token, WebhookError,
//! };
//!
//! /// `X-Slack-Signature: v0=<hex>` over `v0:<timestamp>:<body>`.
//! const SLACK: Hmac = Hmac::sha256(
//!     Scheme::new(
//!         Place::Header("x-slack-signature"),
//!         &[Token::Text("v0:"), Token::Timestamp, Token::Text(":"), Token::Body],
//!     )
//!     .grammar(Grammar::Prefixed("v0="))
//!     .encoding(Encoding::Hex)
//!     .stamp(Stamp::seconds(Place::Header("x-slack-request-timestamp"))),
//! );
//!
//! let secret = "8f742231b10e8888abcd99yyyzzz85a5".into();
//! let ring = KeyRing::new(Key::secret("present", secret, Decoding::Utf8)?);
//! let mut headers = HeaderMap::new();
//! headers.insert("x-slack-request-timestamp", "1700000000".parse()?);
//! headers.insert(
//!     "x-slack-signature",
//!     "v0=38ef8fc9fd3b1eeb0d4e5ad9ef0fbbf86ba5b1ab2ac1a9ce84eae3e1ba49a4e5".parse()?,
//! );
//! let forged = Incoming {
//!     method: &Method::POST,
//!     uri: &Uri::from_static("https://example.com/slack"),
//!     headers: &headers,
//!     body: b"{}",
//!     received: "2023-11-14T22:13:20Z".parse()?,
//! };
//! assert_eq!(SLACK.verify(&forged, &ring).unwrap_err(), WebhookError::NoMatch);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod asymmetric;
mod diagnose;
mod encoding;
#[cfg(any(feature = "webhook-jwt", feature = "webhook-x509"))]
mod fetch;
pub mod handshake;
mod hmac;
#[cfg(feature = "webhook-jwt")]
mod jwt;
mod keys;
mod place;
mod scheme;
mod shared;
mod standard;
mod twilio;
#[cfg(feature = "webhook-x509")]
mod x509;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use jiff::Timestamp;

use crate::error::{Effect, Error, ErrorKind, Result};

pub use asymmetric::{EcdsaP256, Ed25519};
pub use diagnose::{Finding, Suspects, diagnose};
#[cfg(any(feature = "webhook-jwt", feature = "webhook-x509"))]
pub use fetch::{KeySource, KeySourceBuilder};
pub use hmac::{Hash, Hmac, SecretHash};
#[cfg(feature = "webhook-jwt")]
pub use jwt::{Algorithm, Expect, Jwt};
pub use keys::{Decoding, Key, KeyRing};
pub use place::Place;
pub use scheme::{Encoding, Grammar, Scheme, Signed, Stamp, Token, Unit};
pub use shared::{BasicAuth, SharedToken, Unsigned};
pub use standard::StandardWebhooks;
pub use twilio::TwilioForm;
#[cfg(feature = "webhook-x509")]
pub use x509::{RsaCertificate, RsaHash};

/// A request as it arrived. Nothing may have been decoded, merged or re-encoded before.
#[derive(Clone, Copy)]
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

impl fmt::Debug for Incoming<'_> {
    /// Neither headers, query nor body: passwords and customers' data stand there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Incoming");
        f.field("method", self.method).field("path", &self.uri.path());
        f.field("bytes", &self.body.len()).field("received", &self.received).finish_non_exhaustive()
    }
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
#[derive(Clone)]
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

impl fmt::Debug for Verified<'_> {
    /// Neither headers, query nor body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Verified");
        f.field("trust", &self.trust).field("id", &self.id).field("key", &self.key);
        f.field("bytes", &self.body.len()).field("received", &self.received).finish_non_exhaustive()
    }
}

impl<'a> Verified<'a> {
    /// What a kit makes of a request that it accepts.
    fn new(request: &Incoming<'a>, trust: Trust, matched: &str) -> Self {
        Self {
            body: request.body,
            headers: request.headers,
            uri: request.uri,
            trust,
            id: None,
            signed_at: None,
            received: request.received,
            key: Cow::Owned(matched.to_owned()),
        }
    }

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
#[derive(Clone, PartialEq)]
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

impl fmt::Debug for Event {
    /// Not its content, which is a customer's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Event");
        f.field("id", &self.id).field("kind", &self.kind).field("occurred_at", &self.occurred_at);
        f.field("entity", &self.entity).field("version", &self.version).field("live", &self.live);
        f.field("trust", &self.trust).field("bytes", &self.payload.len()).finish()
    }
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

/// A way of proving who sent a request. The kits of this module implement it; a [`Webhook`] is made of one, of the
/// handshakes it answers and of the events it reads.
///
/// Implementing it elsewhere is possible and of no use: only this module makes a [`Verified`].
pub trait Kit: Send + Sync {
    /// Verifies a request. Pure: the time is the request's [`Incoming::received`].
    fn verify<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Verified<'a>, WebhookError>;
}

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
    /// It names a key that is not in the ring, and the place of the keys does not answer: ask the sender to come again.
    #[error("the key it names is not known and cannot be fetched: {0}")]
    Unavailable(String),
    /// The configuration cannot verify this.
    #[error("{0}")]
    Config(String),
}

impl From<WebhookError> for Error {
    /// A refused request is `Unauthenticated`; a wrong configuration is `Config`; keys out of reach are `Unavailable`.
    fn from(refused: WebhookError) -> Self {
        let kind = match refused {
            WebhookError::Config(_) => ErrorKind::Config,
            WebhookError::Unavailable(_) => ErrorKind::Unavailable,
            _ => ErrorKind::Unauthenticated,
        };
        Self::new(kind, Effect::NotSent, refused.to_string())
    }
}
