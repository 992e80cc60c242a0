//! The read cache: HTTP freshness (RFC 9111), coalescing of equal calls, stale answers while the service is down.
//!
//! It sits around the pipeline, because only there an answer is bytes: a hit takes no quota. It is opt-in per
//! operation ([`Op::cached`]), and its key holds tenant, instance, credential, connection and the whole request, so that no
//! answer crosses from one user to another.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, ETAG, HeaderName, HeaderValue, LAST_MODIFIED};
use http::{HeaderMap, StatusCode, request, response};
use http_cache_semantics::{AfterResponse, BeforeRequest, CacheOptions, CachePolicy};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::body::Body;
use crate::caller::Caller;
use crate::clock::Clock;
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::op::Op;
use crate::pipeline::limiter::Priority;
use crate::wire::{WireRequest, WireResponse};

/// RFC 9211: says on each answer how the cache handled it.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Names one request of one user. It holds the request itself: hash it before it leaves the process.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CacheKey(Arc<[u8]>);

impl fmt::Debug for CacheKey {
    /// Its size alone: the key holds a URL, headers and a body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CacheKey({} bytes)", self.0.len())
    }
}

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
        let whose = [&*scope.tenant, &*scope.instance, &*scope.credential, &*scope.connection];
        for text in whose.into_iter().chain([op.provider, op.name]) {
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
    /// Keeps an entry. After `keep` nobody can use it any more.
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
    in_flight: Mutex<HashMap<FlightKey, Arc<Flight>>>,
}

/// Calls wait for one another only if they would wait alike: one with little time, or with little patience, would
/// else end for all of them.
#[derive(Clone, PartialEq, Eq, Hash)]
struct FlightKey {
    request: CacheKey,
    time_limit: Duration,
    wait_limit: Duration,
    priority: Priority,
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

/// An answer that was just received, or just confirmed.
struct Fresh {
    policy: CachePolicy,
    parts: response::Parts,
    body: Bytes,
}

/// No answer counts as fresh, or is kept, for longer: a vendor's `max-age` may be any number.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long an answer that can be confirmed is kept beyond its freshness.
const FOR_REVALIDATION: Duration = Duration::from_secs(24 * 3600);

/// A stored answer.
struct Entry {
    head: Head,
    body: Bytes,
}

impl fmt::Debug for ReadCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadCache")
            .field("stale_if_error", &self.shared.stale_if_error)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("entries", &self.0.entry_count()).finish_non_exhaustive()
    }
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
        let Some(bytes) = body.as_bytes() else {
            return caller.send(op, None, WireRequest::from_parts(head, body)).await;
        };
        let (pipeline, end) = (caller.pipeline(), Instant::now().checked_add(caller.pipeline().time_limit()));
        let key = FlightKey {
            request: CacheKey::new(caller, op, &head, bytes),
            time_limit: pipeline.time_limit(),
            wait_limit: pipeline.policy().wait.limit(),
            priority: pipeline.priority(),
        };
        let leave = Leave { shared: &self.shared, flight: Some(self.join(&key)), key: &key };
        let flight = leave.flight.as_ref().expect("it is taken when `leave` is dropped");
        let leads = AtomicBool::new(false);
        let fetch = || {
            leads.store(true, Ordering::Relaxed);
            self.fetch(caller, op, &key.request, &head, &body, end)
        };
        let mut fetched = pin!(flight.get_or_init(fetch));
        // A follower waits for somebody else's call: its own time limit holds all the same. Who leads has the limit
        // of its own call, which also says what became of it.
        match within(end, fetched.as_mut()).await {
            Some(result) => result.clone(),
            None if leads.load(Ordering::Relaxed) => fetched.await.clone(),
            None => Err(waited_too_long(op)),
        }
    }

    fn join(&self, key: &FlightKey) -> Arc<Flight> {
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
        end: Option<Instant>,
    ) -> Result<WireResponse> {
        let stored = within(end, self.shared.store.get(key)).await.flatten();
        let entry = stored.and_then(|bytes| Entry::decode(&bytes));
        let (entry, outgoing) = match entry {
            None => (None, head.clone()),
            Some(entry) => match entry.head.policy.before_request(head, self.now()) {
                BeforeRequest::Fresh(parts) => return Ok(answer(op, parts, entry.body, Handled::Hit)),
                BeforeRequest::Stale { request, matches: true } => (Some(entry), request),
                // An answer to another request, as `Vary` tells: no stand-in either.
                BeforeRequest::Stale { .. } => (None, head.clone()),
            },
        };
        let send = |head| {
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            let timely = caller.clone().with_pipeline(caller.pipeline().clone().with_timeout(left));
            let request = WireRequest::from_parts(head, body.try_clone().unwrap_or_default());
            async move { timely.send(op, None, request).await }
        };
        let response = match send(outgoing).await {
            Ok(response) => response,
            Err(error) => return self.stand_in(op, entry, error),
        };
        let (fresh, answered) = match entry {
            Some(entry) if response.status == StatusCode::NOT_MODIFIED => {
                match entry.renewed(head, &response.headers, self.now()) {
                    Some(renewed) => (renewed, Handled::Revalidated),
                    // It confirms an answer that is not ours: ask again, without conditions.
                    None => (self.received(head, send(head.clone()).await?), Handled::Miss),
                }
            }
            _ => (self.received(head, response), Handled::Miss),
        };
        Ok(self.keep(op, key, fresh, answered, end).await)
    }

    /// A new answer with the policy that it tells.
    fn received(&self, head: &request::Parts, response: WireResponse) -> Fresh {
        let mut parts = http::Response::new(()).into_parts().0;
        (parts.status, parts.headers) = (response.status, response.headers);
        // An age that no answer has would overflow in later additions.
        if parts.headers.get(AGE).is_some_and(|age| age.len() > 9) {
            parts.headers.remove(AGE);
        }
        // The key holds the user: what is private to one may be kept for that one.
        let options = CacheOptions { shared: false, ..CacheOptions::default() };
        let policy = CachePolicy::new_options(head, &parts, self.now(), options);
        Fresh { policy, parts, body: response.body }
    }

    async fn keep(
        &self,
        op: &'static Op,
        key: &CacheKey,
        fresh: Fresh,
        handled: Handled,
        end: Option<Instant>,
    ) -> WireResponse {
        let Fresh { policy, parts, body } = fresh;
        if policy.is_storable() {
            let now = self.now();
            let fresh_for = policy.time_to_live(now).min(LONGEST);
            let spare = may_be_stale(&parts.headers).unwrap_or(self.shared.stale_if_error).min(LONGEST);
            let can_be_confirmed = [ETAG, LAST_MODIFIED].iter().any(|name| parts.headers.contains_key(name));
            let spare = if can_be_confirmed { spare.max(FOR_REVALIDATION) } else { spare };
            let entry = Entry::new(policy, now + fresh_for, &parts, body.clone());
            if let Some(bytes) = entry.encode() {
                let _ = within(end, self.shared.store.put(key, bytes, fresh_for.saturating_add(spare))).await;
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

/// `None` once `end` has come.
async fn within<F: Future>(end: Option<Instant>, future: F) -> Option<F::Output> {
    match end {
        Some(end) => tokio::time::timeout_at(end, future).await.ok(),
        None => Some(future.await),
    }
}

/// Ends a caller's part in a flight, also when the caller is dropped: later calls start a new fetch.
struct Leave<'f> {
    shared: &'f Shared,
    key: &'f FlightKey,
    /// Given up while the map is locked: of two that leave at once, one must see that it is the last.
    flight: Option<Arc<Flight>>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut flights = self.shared.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(flight) = self.flight.take() else { return };
        // Two holders are the map and this caller: with more, others still wait for the same fetch.
        let last = Arc::strong_count(&flight) <= 2;
        if (last || flight.initialized())
            && flights.get(self.key).is_some_and(|found| Arc::ptr_eq(found, &flight))
        {
            flights.remove(self.key);
        }
        drop(flight);
    }
}

impl Entry {
    fn new(policy: CachePolicy, fresh_until: SystemTime, parts: &response::Parts, body: Bytes) -> Self {
        let headers =
            parts.headers.iter().map(|(n, v)| (n.as_str().to_owned(), v.as_bytes().to_vec())).collect();
        Self { head: Head { policy, fresh_until, status: parts.status.as_u16(), headers }, body }
    }

    /// This answer after a 304 that confirms it; `None` if the 304 speaks of another one.
    fn renewed(&self, head: &request::Parts, told: &HeaderMap, now: SystemTime) -> Option<Fresh> {
        let mut confirmed = http::Response::new(()).into_parts().0;
        (confirmed.status, confirmed.headers) = (StatusCode::NOT_MODIFIED, told.clone());
        let own = self.parts()?.headers;
        // A 304 need not repeat `Last-Modified` (RFC 9110, section 15.4.5), and some services leave out `ETag` too.
        if !told.contains_key(ETAG) && !told.contains_key(LAST_MODIFIED) {
            for name in [ETAG, LAST_MODIFIED] {
                if let Some(value) = own.get(&name) {
                    confirmed.headers.insert(name, value.clone());
                }
            }
        }
        match self.head.policy.after_response(head, &confirmed, now) {
            AfterResponse::NotModified(policy, parts) => {
                Some(Fresh { policy, parts, body: self.body.clone() })
            }
            AfterResponse::Modified(..) => None,
        }
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
