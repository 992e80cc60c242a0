//! The adversarial suite of incoming webhooks: what is signed well is accepted, and nothing else.
//!
//! ```
//! use integrations_core::webhook::{
//!     Decoding, Event, Hmac, Incoming, Key, KeyRing, Kit, Place, Receipt, Scheme, Token, Verified, Webhook,
//!     WebhookError,
//! };
//! use integrations_testkit::webhook::{Case, Delivery, Order, Signer, sign};
//!
//! /// The provider under test: `X-Signature: <hex>` over the body.
//! struct Demo;
//!
//! impl Webhook for Demo {
//!     fn receive<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Receipt<'a>, WebhookError> {
//!         const KIT: Hmac = Hmac::sha256(Scheme::new(Place::Header("x-signature"), &[Token::Body]));
//!         KIT.verify(request, keys).map(Receipt::Delivery)
//!     }
//!     fn events(&self, _: &Verified<'_>) -> integrations_core::Result<Vec<Event>> {
//!         Ok(Vec::new())
//!     }
//! }
//!
//! let secret = |signer: Signer| format!("a secret of {signer:?}");
//! let keys = move |signer: Signer| Key::secret(format!("{signer:?}"), secret(signer).into(), Decoding::Utf8).unwrap();
//! let make = move |order: &Order<'_>| {
//!     let mac = sign::hmac_sha256(secret(order.signer).as_bytes(), order.body);
//!     Delivery::post(order.body).header("x-signature", &sign::hex(&mac))
//! };
//! let report = Case::new(&Demo, keys, make).signature("x-signature").run();
//! report.assert();
//! assert!(report.passed().count() >= 12);
//! ```

pub mod sign;
mod suite;

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use integrations_core::webhook::{Incoming, Key, KeyRing, Webhook};
use jiff::Timestamp;

/// A request that can be altered and sent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Delivery {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Delivery {
    /// A `POST` to `https://hooks.example.com/in?tenant=7&kind=a`.
    pub fn post(body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: Method::POST,
            uri: Uri::from_static("https://hooks.example.com/in?tenant=7&kind=a"),
            headers: HeaderMap::new(),
            body: body.into(),
        }
    }

    /// Sets the address.
    ///
    /// # Panics
    /// If it is no address.
    #[must_use]
    pub fn uri(mut self, uri: &str) -> Self {
        self.uri = uri.parse().expect("the address of a delivery is well formed");
        self
    }

    /// Adds a header.
    ///
    /// # Panics
    /// If name or value cannot be one.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("the header of a delivery is well formed");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// The request as it arrives at this time.
    pub fn incoming(&self, received: Timestamp) -> Incoming<'_> {
        let Self { method, uri, headers, body } = self;
        Incoming { method, uri, headers, body, received }
    }
}

/// Whose key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signer {
    /// The vendor, with its present key.
    Present,
    /// The vendor, with the key before that.
    Former,
    /// A forger with a key of their own, which the request carries along wherever the scheme has room for it.
    Stranger,
}

/// What to sign.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Order<'o> {
    /// The body.
    pub body: &'o [u8],
    /// The time of signing.
    pub at: Timestamp,
    /// Whose key signs.
    pub signer: Signer,
}

impl<'o> Order<'o> {
    /// A body to be signed at this time.
    pub fn new(body: &'o [u8], at: Timestamp, signer: Signer) -> Self {
        Self { body, at, signer }
    }
}

/// How much of a request the scheme's signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Covers {
    /// Every byte of the body.
    Body,
    /// Some fields of the body.
    Fields,
    /// Nothing of the body.
    Nothing,
}

type Sign<'c> = Box<dyn Fn(&Order<'_>) -> Delivery + 'c>;
type Keys<'c> = Box<dyn Fn(Signer) -> Key + 'c>;

/// One provider, as the suite sees it.
pub struct Case<'c> {
    webhook: &'c dyn Webhook,
    keys: Keys<'c>,
    params: KeyRing,
    sign: Sign<'c>,
    signatures: Vec<&'static str>,
    stamps: Vec<&'static str>,
    tolerance: Option<Duration>,
    version: Option<&'static str>,
    covers: Covers,
    covers_address: bool,
    bodies: [Vec<u8>; 2],
    takes_any_bytes: bool,
}

impl<'c> Case<'c> {
    /// A webhook, the key of each signer, and how a delivery is signed.
    pub fn new(
        webhook: &'c dyn Webhook,
        keys: impl Fn(Signer) -> Key + 'c,
        sign: impl Fn(&Order<'_>) -> Delivery + 'c,
    ) -> Self {
        Self {
            webhook,
            keys: Box::new(keys),
            params: KeyRing::unsigned(),
            sign: Box::new(sign),
            signatures: Vec::new(),
            stamps: Vec::new(),
            tolerance: None,
            version: None,
            covers: Covers::Body,
            covers_address: false,
            bodies: [
                br#"{"id":"evt_1","type":"invoice.paid","data":{"amount":100,"name":"J\u00fcrgen"}}"#
                    .to_vec(),
                br#"{"id":"evt_2","type":"invoice.paid","data":{"amount":999,"name":"Zo\u00eb"}}"#.to_vec(),
            ],
            takes_any_bytes: true,
        }
    }

    /// Adds a header that proves something: it may not be missing, doubled, cut or altered.
    #[must_use]
    pub fn signature(mut self, header: &'static str) -> Self {
        self.signatures.push(header);
        self
    }

    /// Adds a header with the time or the id, which are signed and so may not be missing, doubled or altered either.
    #[must_use]
    pub fn signed_header(mut self, header: &'static str) -> Self {
        self.stamps.push(header);
        self
    }

    /// Sets how far the time of signing may be from ours.
    #[must_use]
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// Sets the name of the scheme's version as it stands in the first signature header.
    #[must_use]
    pub fn version(mut self, name: &'static str) -> Self {
        self.version = Some(name);
        self
    }

    /// Sets how much of the request the signature covers.
    #[must_use]
    pub fn covers(mut self, covers: Covers) -> Self {
        self.covers = covers;
        self
    }

    /// Says that the signature covers the address.
    #[must_use]
    pub fn covers_address(mut self) -> Self {
        self.covers_address = true;
        self
    }

    /// Sets two bodies in the vendor's form.
    #[must_use]
    pub fn bodies(mut self, first: impl Into<Vec<u8>>, second: impl Into<Vec<u8>>) -> Self {
        self.bodies = [first.into(), second.into()];
        self
    }

    /// Says that only the vendor's form of body can be signed, so that one of arbitrary bytes cannot be tried.
    #[must_use]
    pub fn only_well_formed(mut self) -> Self {
        self.takes_any_bytes = false;
        self
    }

    /// Sets what the endpoint is configured with: the parameters, the trust anchors.
    #[must_use]
    pub fn configured(mut self, ring: KeyRing) -> Self {
        self.params = ring;
        self
    }

    /// Runs every trial.
    pub fn run(&self) -> Report {
        suite::run(self)
    }

    fn ring(&self, signers: &[Signer]) -> KeyRing {
        signers.iter().fold(self.params.clone(), |ring, signer| ring.with((self.keys)(*signer)))
    }
}

impl fmt::Debug for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("signatures", &self.signatures).finish_non_exhaustive()
    }
}

/// How one trial ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// As it should.
    Passed,
    /// The scheme has nothing that could be tried, for this reason.
    Skipped(&'static str),
    /// What went wrong.
    Failed(String),
}

/// The outcome of every trial, by name.
#[derive(Debug, Clone)]
pub struct Report(Vec<(&'static str, Outcome)>);

impl Report {
    /// All trials.
    pub fn trials(&self) -> impl Iterator<Item = (&'static str, &Outcome)> {
        self.0.iter().map(|(name, outcome)| (*name, outcome))
    }

    /// The names of the trials that passed.
    pub fn passed(&self) -> impl Iterator<Item = &'static str> {
        self.trials().filter(|(_, outcome)| **outcome == Outcome::Passed).map(|(name, _)| name)
    }

    /// The names of the trials that failed.
    pub fn failed(&self) -> impl Iterator<Item = &'static str> {
        self.trials().filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_))).map(|(name, _)| name)
    }

    /// Ends the test if a trial failed.
    ///
    /// # Panics
    /// If a trial failed, with each of them and why.
    pub fn assert(&self) {
        assert!(self.failed().next().is_none(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.trials().try_for_each(|(name, outcome)| match outcome {
            Outcome::Passed => writeln!(f, "passed   {name}"),
            Outcome::Skipped(why) => writeln!(f, "skipped  {name}: {why}"),
            Outcome::Failed(why) => writeln!(f, "FAILED   {name}: {why}"),
        })
    }
}
