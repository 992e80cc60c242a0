//! Published keys, fetched when a delivery names one that is not known.
//!
//! Rules:
//! - Only `https`, only hosts of a list given by us, at most [`MAX_SIZE`] bytes, no redirects.
//! - What made a delivery fail for want of a key is fetched once per 30 s: whoever invents key ids makes no traffic.
//! - Keys that are known stay in use while their place does not answer.
//! - Deliveries that need the same keys at once wait for one fetch.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, StatusCode, Uri};
use tokio::time::{Instant, timeout};

use super::place::host_matches;
use super::{Incoming, KeyRing, Receipt, Webhook, WebhookError};
use crate::body::Body;
use crate::error::{Error, Result};
use crate::op::{Op, Safety};
use crate::transport::{Exchange, Payload, Transport};

static FETCH: Op = Op::new("webhook", "fetch_keys", Safety::Read);

/// The largest key set or certificate chain that is read, in bytes.
const MAX_SIZE: usize = 64 * 1024;
const FLOOR: Duration = Duration::from_secs(30);
/// A key that the vendor withdrew is forgotten after this time at the latest, if its place answers.
const MAX_AGE: Duration = Duration::from_secs(3600);
const TIMEOUT: Duration = Duration::from_secs(5);
/// Certificates at more addresses than this within one floor are an attack on our traffic; more than this are not kept.
const MAX_ADDRESSES: usize = 16;

/// Where the keys of a vendor are published, and those that were fetched from there.
///
/// The kits stay pure: this is a shell around them that fetches what they miss and asks them once more.
pub struct KeySource {
    transport: Arc<dyn Transport>,
    base: Option<KeyRing>,
    /// The one address of all keys; without it, each key's name is its address.
    fixed: Option<String>,
    parse: Parse,
    hosts: Vec<String>,
    state: Mutex<HashMap<String, Entry>>,
    /// One fetch at a time; whoever waited finds what the other one fetched.
    flight: tokio::sync::Mutex<()>,
}

/// Reads what was fetched from an address.
type Parse = fn(&str, &[u8]) -> Result<KeyRing>;

/// What is known of one address.
#[derive(Clone)]
struct Entry {
    keys: Option<KeyRing>,
    fetched: Option<Instant>,
    tried: Instant,
    failure: Option<String>,
}

/// Makes a [`KeySource`].
pub struct KeySourceBuilder {
    transport: Arc<dyn Transport>,
    base: Option<KeyRing>,
    hosts: Vec<String>,
}

impl KeySource {
    /// A source over this transport, which should follow no redirects.
    pub fn builder(transport: impl Transport) -> KeySourceBuilder {
        KeySourceBuilder { transport: Arc::new(transport), base: None, hosts: Vec::new() }
    }

    /// Receives a request with the keys at hand; if it names another one, fetches, and receives it once more.
    pub async fn receive<'a>(
        &self,
        webhook: &dyn Webhook,
        request: &Incoming<'a>,
    ) -> Result<Receipt<'a>, WebhookError> {
        let keys = self.keys_at_hand().await?;
        match webhook.receive(request, &keys) {
            Err(WebhookError::UnknownKey { key }) => {
                self.fetch_missing(&key).await?;
                webhook.receive(request, &self.keys_at_hand().await?)
            }
            settled => settled,
        }
    }

    async fn keys_at_hand(&self) -> Result<KeyRing, WebhookError> {
        if let Some(address) = &self.fixed {
            self.refresh(address, MAX_AGE).await;
        }
        self.known().ok_or_else(|| WebhookError::Unavailable("its place does not answer".to_owned()))
    }

    /// What was configured and what was fetched.
    fn known(&self) -> Option<KeyRing> {
        let state = self.state();
        let fetched = state.values().filter_map(|entry| entry.keys.as_ref());
        fetched.fold(self.base.clone(), |known, keys| {
            Some(known.map_or_else(|| keys.clone(), |k| k.with_all(keys)))
        })
    }

    async fn fetch_missing(&self, key: &str) -> Result<(), WebhookError> {
        let address = self.fixed.as_deref().unwrap_or(key);
        check_address(address, &self.hosts).map_err(|_| WebhookError::Malformed("the address of the key"))?;
        self.refresh(address, FLOOR).await;
        match self.state().get(address).map(|entry| entry.failure.clone()) {
            Some(None) => Ok(()),
            Some(Some(failure)) => Err(WebhookError::Unavailable(failure)),
            // It may be a true one, among many that are not.
            None => Err(WebhookError::Unavailable("too many other keys are asked for".to_owned())),
        }
    }

    /// Fetches an address, unless that was tried within the floor, or succeeded within `age`.
    async fn refresh(&self, address: &str, age: Duration) {
        if !self.is_due(address, age) {
            return;
        }
        let _one_at_a_time = self.flight.lock().await;
        if !self.is_due(address, age) {
            return;
        }
        let outcome = self.fetch(address).await;
        let now = Instant::now();
        let mut state = self.state();
        if !state.contains_key(address) && state.len() >= MAX_ADDRESSES {
            // Addresses that gave nothing go first: inventing some must not cost us a key that we have.
            let least = state.iter().min_by_key(|(_, entry)| (entry.keys.is_some(), entry.tried));
            let least = least.map(|(address, _)| address.clone());
            least.and_then(|address| state.remove(&address));
        }
        let entry = state.entry(address.to_owned());
        let entry = entry.or_insert(Entry { keys: None, fetched: None, tried: now, failure: None });
        entry.tried = now;
        match outcome {
            Ok(keys) => {
                entry.keys = Some(keys);
                entry.fetched = Some(now);
                entry.failure = None;
            }
            Err(error) => {
                tracing::warn!(error = %error, "the keys of a webhook could not be fetched");
                entry.failure = Some(error.message().to_owned());
            }
        }
    }

    fn is_due(&self, address: &str, age: Duration) -> bool {
        let state = self.state();
        let recent = |at: Instant, within: Duration| at.elapsed() < within;
        match state.get(address) {
            Some(entry) => {
                !recent(entry.tried, FLOOR) && entry.fetched.is_none_or(|fetched| !recent(fetched, age))
            }
            None => state.values().filter(|entry| recent(entry.tried, FLOOR)).count() < MAX_ADDRESSES,
        }
    }

    async fn fetch(&self, address: &str) -> Result<KeyRing> {
        check_address(address, &self.hosts)?;
        let request = Request::get(address).header("accept", "*/*").body(Body::Empty);
        let request = request.map_err(|_| Error::config("the address of the keys is malformed"))?;
        let sent = self.read(request);
        let bytes = timeout(TIMEOUT, sent).await.map_err(|_| unreadable("no answer in time"))??;
        (self.parse)(address, &bytes)
    }

    async fn read(&self, request: Request<Body>) -> Result<Vec<u8>> {
        let exchange = Exchange::new(&FETCH, 1, TIMEOUT);
        let sent = self.transport.send(request, exchange).await;
        let answer = sent.map_err(|error| error.into_error(&FETCH))?;
        if answer.status() != StatusCode::OK {
            return Err(unreadable(&format!("the answer is {}", answer.status().as_u16())));
        }
        let mut bytes = Vec::new();
        match answer.into_body() {
            Payload::Whole(whole) => bytes.extend_from_slice(&whole),
            Payload::Stream(mut stream) => {
                while let Some(chunk) = std::future::poll_fn(|cx| stream.poll_chunk(cx)).await {
                    bytes.extend_from_slice(&chunk.map_err(|_| unreadable("the answer broke off"))?);
                    if bytes.len() > MAX_SIZE {
                        break;
                    }
                }
            }
        }
        if bytes.len() > MAX_SIZE { Err(unreadable("the answer is larger than 64 KiB")) } else { Ok(bytes) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySource").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl KeySourceBuilder {
    /// Adds keys and parameters that are known beforehand: the trust anchors, the audience.
    #[must_use]
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.base = Some(keys);
        self
    }

    /// Allows a host; one `*` in it stands for letters, digits and hyphens within a label.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into().to_ascii_lowercase());
        self
    }

    /// A JWK set at this address, whose host is allowed thereby.
    #[cfg(feature = "webhook-jwt")]
    pub fn jwks(mut self, address: &str) -> Result<KeySource> {
        let uri: Option<Uri> = address.parse().ok();
        self.hosts
            .extend(uri.as_ref().and_then(Uri::authority).map(|host| host.as_str().to_ascii_lowercase()));
        check_address(address, &self.hosts)?;
        Ok(self.build(Some(address.to_owned()), |_, bytes| KeyRing::from_jwks(bytes)))
    }

    /// Certificates at the addresses that deliveries name, on the hosts that were allowed.
    #[cfg(feature = "webhook-x509")]
    pub fn certificates(self) -> Result<KeySource> {
        if self.hosts.is_empty() || self.base.is_none() {
            return Err(Error::config("fetching certificates needs allowed hosts and trust anchors")
                .with_hint("give them with `host` and `keys`"));
        }
        Ok(self.build(None, certificate))
    }

    fn build(self, fixed: Option<String>, parse: Parse) -> KeySource {
        let Self { transport, base, hosts } = self;
        let (state, flight) = (Mutex::default(), tokio::sync::Mutex::default());
        KeySource { transport, base, fixed, parse, hosts, state, flight }
    }
}

#[cfg(feature = "webhook-x509")]
fn certificate(address: &str, bytes: &[u8]) -> Result<KeyRing> {
    let text = std::str::from_utf8(bytes).map_err(|_| unreadable("the certificate is not PEM"))?;
    super::Key::certificate(address, text).map(KeyRing::new)
}

impl fmt::Debug for KeySourceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySourceBuilder").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

fn check_address(address: &str, hosts: &[String]) -> Result<()> {
    let uri: Option<Uri> = address.parse().ok();
    let is_allowed = uri.as_ref().is_some_and(|uri| {
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        uri.scheme_str() == Some("https") && hosts.iter().any(|host| host_matches(host, authority))
    });
    if is_allowed {
        Ok(())
    } else {
        Err(Error::config("the address of the keys is not `https` on an allowed host"))
    }
}

fn unreadable(message: &str) -> Error {
    Error::new(crate::ErrorKind::Unavailable, crate::Effect::Unknown, message)
}
