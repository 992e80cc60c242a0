//! The read cache: HTTP freshness (RFC 9111), coalescing of equal calls, stale answers while the service is down.
//!
//! It sits around the pipeline, because only there an answer is bytes: a hit takes no quota. It is opt-in per
//! operation ([`Op::cached`]), and its key holds tenant, instance, credential and the whole request, so that no
//! answer crosses from one user to another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode, request, response};
use http_cache_semantics::{AfterResponse, BeforeRequest, CacheOptions, CachePolicy};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::body::Body;
use crate::caller::Caller;
use crate::clock::Clock;
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::op::{Op, Safety};
use crate::wire::{WireRequest, WireResponse};

/// RFC 9211: says on each answer how the cache handled it.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Names one request of one user. It holds the request itself: hash it before it leaves the process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheKey(Arc<[u8]>);

impl CacheKey {
    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn new(caller: &Caller, op: &'static Op, head: &request::Parts, body: &[u8]) -> Self {
        let scope = caller.pipeline().scope();
        let mut key = Vec::new();
        // Each part is preceded by its length: no two different lists of parts give the same bytes.
        let mut part = |bytes: &[u8]| {
            key.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            key.extend_from_slice(bytes);
        };
        for text in [&*scope.tenant, &*scope.instance, &*scope.credential, op.provider, op.name] {
            part(text.as_bytes());
        }
        part(head.method.as_str().as_bytes());
        part(head.uri.to_string().as_bytes());
        for (name, value) in &head.headers {
            part(name.as_str().as_bytes());
            part(value.as_bytes());
        }
        part(body);
        Self(key.into())
    }
}

/// Where answers are kept: memory here, Redis or another store elsewhere. A store that fails behaves like an
/// empty one: a cache is never the reason for a failed call.
#[async_trait]
pub trait CacheStore: Send + Sync + 'static {
    /// The entry of `key`, if it is there.
    async fn get(&self, key: &CacheKey) -> Option<Bytes>;
    /// Keeps an entry for at most `keep`.
    async fn put(&self, key: &CacheKey, entry: Bytes, keep: Duration);
}

/// Answers in memory, bounded in bytes; the least useful go first.
pub struct MemoryStore(moka::sync::Cache<CacheKey, Bytes>);

impl MemoryStore {
    /// A store of at most `max_bytes`, keys included. No entry is kept longer than a day.
    pub fn new(max_bytes: u64) -> Self {
        let weigh = |key: &CacheKey, entry: &Bytes| {
            u32::try_from(key.as_bytes().len() + entry.len()).unwrap_or(u32::MAX)
        };
        let cache = moka::sync::Cache::builder().max_capacity(max_bytes).weigher(weigh);
        Self(cache.time_to_live(Duration::from_secs(24 * 3600)).build())
    }
}

#[async_trait]
impl CacheStore for MemoryStore {
    async fn get(&self, key: &CacheKey) -> Option<Bytes> {
        self.0.get(key)
    }

    async fn put(&self, key: &CacheKey, entry: Bytes, _keep: Duration) {
        self.0.insert(key.clone(), entry);
    }
}

/// A cache for the reads of any number of callers.
#[derive(Clone)]
pub struct ReadCache {
    shared: Arc<Shared>,
}

struct Shared {
    store: Box<dyn CacheStore>,
    clock: Clock,
    stale_if_error: Duration,
    in_flight: Mutex<HashMap<CacheKey, Arc<Flight>>>,
}

/// One fetch that equal calls wait for together. If the one that runs it is dropped, the next one runs it.
type Flight = OnceCell<Result<WireResponse>>;

/// How the cache handled a call, as written to `Cache-Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handled {
    Hit,
    Revalidated,
    StaleHit,
    Miss,
}

impl Handled {
    fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Hit => "integrations; hit",
            Self::Revalidated => "integrations; fwd=stale; fwd-status=304",
            Self::StaleHit => "integrations; hit; detail=stale-if-error",
            Self::Miss => "integrations; fwd=miss",
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    policy: CachePolicy,
    /// Until when the answer is fresh.
    fresh_until: SystemTime,
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
}

/// A stored answer.
struct Entry {
    head: Head,
    body: Bytes,
}

impl ReadCache {
    /// A cache over `store`. While the service is down, an answer may be handed out for `stale_if_error` beyond its
    /// freshness (0 switches this off), unless the service itself says how long, or forbids it
    /// (`stale-if-error`, RFC 5861; `must-revalidate`).
    pub fn new(store: impl CacheStore, clock: Clock, stale_if_error: Duration) -> Self {
        let shared = Shared { store: Box::new(store), clock, stale_if_error, in_flight: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) async fn exchange(
        &self,
        caller: &Caller,
        op: &'static Op,
        request: WireRequest,
    ) -> Result<WireResponse> {
        let (head, body) = request.into_parts();
        let Some(bytes) = body.as_bytes().filter(|_| op.safety == Safety::Read) else {
            return caller.send(op, None, WireRequest::from_parts(head, body)).await;
        };
        let key = CacheKey::new(caller, op, &head, bytes);
        let flight = self.join(&key);
        let _leave = Leave { shared: &self.shared, key: &key, flight: &flight };
        // A follower waits for somebody else's call: its own time limit holds all the same.
        let limit = caller.pipeline().time_limit();
        let fetched = flight.get_or_init(|| self.fetch(caller, op, &key, &head, &body));
        tokio::time::timeout(limit, fetched).await.map_or_else(|_| Err(waited_too_long(op)), Clone::clone)
    }

    fn join(&self, key: &CacheKey) -> Arc<Flight> {
        let mut flights = self.shared.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        flights.entry(key.clone()).or_default().clone()
    }

    async fn fetch(
        &self,
        caller: &Caller,
        op: &'static Op,
        key: &CacheKey,
        head: &request::Parts,
        body: &Body,
    ) -> Result<WireResponse> {
        let entry = self.shared.store.get(key).await.and_then(|bytes| Entry::decode(&bytes));
        let outgoing = match entry.as_ref().map(|e| e.head.policy.before_request(head, self.now())) {
            Some(BeforeRequest::Fresh(parts)) => {
                let body = entry.map(|e| e.body).unwrap_or_default();
                return Ok(answer(op, parts, body, Handled::Hit));
            }
            Some(BeforeRequest::Stale { request, matches: true }) => request,
            _ => head.clone(),
        };
        let request = WireRequest::from_parts(outgoing, body.try_clone().unwrap_or_default());
        match caller.send(op, None, request).await {
            Ok(response) => Ok(self.keep(key, head, entry, response).await),
            Err(error) => self.stand_in(op, entry, error),
        }
    }

    /// Stores an answer, or renews the stored one after a 304.
    async fn keep(
        &self,
        key: &CacheKey,
        head: &request::Parts,
        entry: Option<Entry>,
        response: WireResponse,
    ) -> WireResponse {
        let now = self.now();
        let op = response.op;
        let mut received = http::Response::new(response.body);
        *received.status_mut() = response.status;
        *received.headers_mut() = response.headers;
        let (parts, body) = received.into_parts();
        let (policy, parts, body, handled) = match entry {
            Some(entry) => match entry.head.policy.after_response(head, &parts, now) {
                AfterResponse::NotModified(policy, parts) => {
                    (policy, parts, entry.body, Handled::Revalidated)
                }
                AfterResponse::Modified(policy, _) => (policy, parts, body, Handled::Miss),
            },
            None => {
                // The key holds the user: what is private to one may be kept for that one.
                let options = CacheOptions { shared: false, ..CacheOptions::default() };
                (CachePolicy::new_options(head, &parts, now, options), parts, body, Handled::Miss)
            }
        };
        if policy.is_storable() {
            let fresh_for = policy.time_to_live(now);
            let entry = Entry::new(policy, now + fresh_for, &parts, body.clone());
            if let Some(bytes) = entry.encode() {
                self.shared.store.put(key, bytes, fresh_for + self.shared.stale_if_error).await;
            }
        }
        answer(op, parts, body, handled)
    }

    /// A stale answer instead of an error that says the service is unwell.
    fn stand_in(&self, op: &'static Op, entry: Option<Entry>, error: Error) -> Result<WireResponse> {
        let unwell = error.is_retryable() || error.kind() == ErrorKind::CircuitOpen;
        let Some(entry) = entry.filter(|_| unwell) else { return Err(error) };
        let Some(parts) = entry.parts() else { return Err(error) };
        let stale_for = self.now().duration_since(entry.head.fresh_until).unwrap_or_default();
        if stale_for > may_be_stale(&parts.headers).unwrap_or(self.shared.stale_if_error) {
            return Err(error);
        }
        tracing::debug!(stale_s = stale_for.as_secs(), "stale answer instead of an error");
        Ok(answer(op, parts, entry.body, Handled::StaleHit))
    }

    fn now(&self) -> SystemTime {
        self.shared.clock.now().into()
    }
}

fn waited_too_long(op: &'static Op) -> Error {
    let message = "an equal call that this one waited for took too long";
    Error::new(ErrorKind::Timeout, Effect::NotSent, message).with_op(op)
}

/// Ends a caller's part in a flight, also when the caller is dropped: later calls start a new fetch.
struct Leave<'f> {
    shared: &'f Shared,
    key: &'f CacheKey,
    flight: &'f Arc<Flight>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut flights = self.shared.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        // Two holders are the map and this caller: with more, others still wait for the same fetch.
        let last = Arc::strong_count(self.flight) <= 2;
        if (last || self.flight.initialized())
            && flights.get(self.key).is_some_and(|found| Arc::ptr_eq(found, self.flight))
        {
            flights.remove(self.key);
        }
    }
}

impl Entry {
    fn new(policy: CachePolicy, fresh_until: SystemTime, parts: &response::Parts, body: Bytes) -> Self {
        let headers =
            parts.headers.iter().map(|(n, v)| (n.as_str().to_owned(), v.as_bytes().to_vec())).collect();
        Self { head: Head { policy, fresh_until, status: parts.status.as_u16(), headers }, body }
    }

    /// The length of the head in four bytes, the head as JSON, the body as it is.
    fn encode(&self) -> Option<Bytes> {
        let head = serde_json::to_vec(&self.head).ok()?;
        let mut bytes = u32::try_from(head.len()).ok()?.to_le_bytes().to_vec();
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(&self.body);
        Some(bytes.into())
    }

    /// `None` for an entry that another version wrote: it counts as absent.
    fn decode(bytes: &Bytes) -> Option<Self> {
        let length = u32::from_le_bytes(*bytes.first_chunk::<4>()?) as usize;
        let head = serde_json::from_slice(bytes.get(4..4 + length)?).ok()?;
        Some(Self { head, body: bytes.slice(4 + length..) })
    }

    fn parts(&self) -> Option<response::Parts> {
        let mut parts = http::Response::new(()).into_parts().0;
        parts.status = StatusCode::from_u16(self.head.status).ok()?;
        for (name, value) in &self.head.headers {
            parts
                .headers
                .append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value).ok()?);
        }
        Some(parts)
    }
}

fn answer(op: &'static Op, mut parts: response::Parts, body: Bytes, handled: Handled) -> WireResponse {
    parts.headers.insert(CACHE_STATUS, handled.header());
    WireResponse::new(op, parts.status, parts.headers, body)
}

/// What the service itself allows after freshness: `Some(0)` when it demands revalidation, `None` when it is silent.
fn may_be_stale(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|v| v.to_str().ok());
    let directives: Vec<_> = values.flat_map(|v| v.split(',')).map(str::trim).collect();
    if directives
        .iter()
        .any(|d| ["must-revalidate", "no-cache"].iter().any(|name| d.eq_ignore_ascii_case(name)))
    {
        return Some(Duration::ZERO);
    }
    let seconds =
        directives.iter().find_map(|d| d.to_ascii_lowercase().strip_prefix("stale-if-error=")?.parse().ok());
    seconds.map(Duration::from_secs)
}
