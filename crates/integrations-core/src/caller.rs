//! Calls of one provider: endpoints through the pipeline over a transport.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{AGE, DATE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode, Uri, request};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::body::{Body, BodyStream};
use crate::clock::{Clock, Skew};
use crate::echo::Secrets;
use crate::endpoint::{Authorize, ByStatus, Classify, CredentialVersion, Endpoint, judge};
use crate::error::{Effect, Error, ErrorKind, Repeat, Result};
use crate::idempotency::IdempotencyKey;
use crate::op::Op;
#[cfg(feature = "cache")]
use crate::op::Safety;
use crate::pipeline::{Attempt, Pipeline, Timed, answer_unusable, answered};
use crate::quota::Quota;
use crate::transport::{Exchange, Payload, Transport, TransportError};
use crate::wire::{WireRequest, WireResponse};

/// Sends the calls of one provider. Cheap to clone.
#[derive(Clone)]
pub struct Caller {
    shared: Arc<Shared>,
    pipeline: Pipeline,
}

struct Shared {
    base: Uri,
    transport: Arc<dyn Transport>,
    authorize: Option<Arc<dyn Authorize>>,
    classify: Arc<dyn Classify>,
    key_header: Option<HeaderName>,
    clock: Clock,
    skew: Arc<Skew>,
    #[cfg(feature = "cache")]
    cache: Option<crate::cache::ReadCache>,
}

/// Builds a [`Caller`].
#[must_use]
pub struct CallerBuilder {
    shared: Shared,
    pipeline: Pipeline,
}

/// An answer whose body is still arriving.
#[non_exhaustive]
pub struct StreamResponse {
    /// The status, always 2xx.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; a gap longer than the policy's idle timeout, or the end of the call's time, ends it with an error.
    pub body: BodyStream,
}

impl fmt::Debug for StreamResponse {
    /// Status and size; never headers or body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamResponse({}, {:?})", self.status, self.body)
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.shared.base.host().unwrap_or_default();
        f.debug_struct("Caller")
            .field("host", &host)
            .field("pipeline", &self.pipeline)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CallerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.shared.base.host().unwrap_or_default();
        f.debug_struct("CallerBuilder").field("host", &host).finish_non_exhaustive()
    }
}

impl CallerBuilder {
    /// Puts credentials on each attempt.
    pub fn authorize(mut self, authorize: Arc<dyn Authorize>) -> Self {
        self.shared.authorize = Some(authorize);
        self
    }

    /// Reads the vendor's errors and limits; without one the status alone decides.
    pub fn classify(mut self, classify: Arc<dyn Classify>) -> Self {
        self.shared.classify = classify;
        self
    }

    /// The header that carries the idempotency key, e.g. `Idempotency-Key` or `PayPal-Request-Id`.
    pub fn key_header(mut self, name: HeaderName) -> Self {
        self.shared.key_header = Some(name);
        self
    }

    /// The clock for dates in headers.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.shared.clock = clock;
        self
    }

    /// The measured difference to the vendor's clock, shared with the signer in [`CallerBuilder::authorize`].
    pub fn skew(mut self, skew: Arc<Skew>) -> Self {
        self.shared.skew = skew;
        self
    }

    /// Keeps answers of operations that allow it ([`Op::cache`]).
    #[cfg(feature = "cache")]
    pub fn cache(mut self, cache: crate::cache::ReadCache) -> Self {
        self.shared.cache = Some(cache);
        self
    }

    /// The caller.
    pub fn build(self) -> Caller {
        Caller { shared: Arc::new(self.shared), pipeline: self.pipeline }
    }
}

impl Caller {
    /// A caller of the provider at `base`.
    pub fn builder(base: Uri, transport: Arc<dyn Transport>, pipeline: Pipeline) -> CallerBuilder {
        let shared = Shared {
            base,
            transport,
            authorize: None,
            classify: Arc::new(ByStatus),
            key_header: None,
            clock: Clock::system(),
            skew: Arc::default(),
            #[cfg(feature = "cache")]
            cache: None,
        };
        CallerBuilder { shared, pipeline }
    }

    /// The pipeline of these calls.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The same caller with another pipeline handle: another tenant, timeout or priority.
    #[must_use]
    pub fn with_pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipeline = pipeline;
        self
    }

    /// Calls one endpoint.
    pub async fn call<E: Endpoint>(&self, endpoint: &E) -> Result<E::Output> {
        self.call_with(endpoint, None).await
    }

    /// Calls one endpoint with the caller's idempotency key.
    pub async fn call_keyed<E: Endpoint>(&self, endpoint: &E, key: IdempotencyKey) -> Result<E::Output> {
        self.call_with(endpoint, Some(key)).await
    }

    async fn call_with<E: Endpoint>(&self, endpoint: &E, key: Option<IdempotencyKey>) -> Result<E::Output> {
        let request = endpoint.request(&self.shared.base).map_err(|e| e.with_op(E::OP))?;
        let response = self.exchange(E::OP, key, request).await?;
        let attempts = response.attempts;
        endpoint.response(response).map_err(|e| {
            let error = e.with_op(E::OP).with_attempts(attempts);
            answer_unusable(&error);
            if error.kind() == ErrorKind::Decode {
                self.pipeline.count_undecodable(E::OP);
            }
            error
        })
    }

    /// Sends a request that no endpoint models, with the same protection: the escape hatch, and the seam for SDKs
    /// that let their HTTP client be replaced.
    pub async fn exchange(
        &self,
        op: &'static Op,
        key: Option<IdempotencyKey>,
        request: WireRequest,
    ) -> Result<WireResponse> {
        #[cfg(feature = "cache")]
        let may_be_kept = op.cache && op.safety == Safety::Read && !self.pipeline.is_off(op);
        #[cfg(feature = "cache")]
        if let Some(cache) = self.shared.cache.as_ref().filter(|_| may_be_kept) {
            // Boxed, so that calls without the cache do not carry its states.
            return Box::pin(cache.exchange(self, op, request)).await;
        }
        self.send(op, key, request).await
    }

    /// Sends a request and hands the answer over as a stream. A retry can only happen before the headers.
    pub async fn stream(
        &self,
        op: &'static Op,
        key: Option<IdempotencyKey>,
        request: WireRequest,
    ) -> Result<StreamResponse> {
        let template = Template::new(request);
        let refreshed = AtomicBool::new(false);
        let end = Instant::now().checked_add(self.pipeline.time_limit());
        let run = self.pipeline.run(op, key, |attempt| {
            let (template, refreshed, request) = (&template, &refreshed, template.open());
            async move {
                let opened = async { self.open_stream(op, &attempt, request?, refreshed, end).await };
                opened.await.map_err(|e| template.last_if_consumed(e))
            }
        });
        run.await
    }

    async fn open_stream(
        &self,
        op: &'static Op,
        attempt: &Attempt<'_>,
        request: WireRequest,
        refreshed: &AtomicBool,
        end: Option<Instant>,
    ) -> Result<StreamResponse> {
        let (response, sent) = self.deliver(op, attempt, request).await?;
        let (head, payload) = response.into_parts();
        if head.status.is_success() {
            let response = WireResponse::new(op, head.status, head.headers, Bytes::new());
            self.learn(attempt, &response, &sent);
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            let body = into_stream(payload).guarded(attempt.call.policy.idle_timeout, left);
            return Ok(StreamResponse { status: response.status, headers: response.headers, body });
        }
        let body = read_whole(op, attempt, head.status, payload).await?;
        let response = WireResponse::new(op, head.status, head.headers, body);
        let neither = |r: WireResponse| r.undecodable("the service answered neither success nor error");
        Err(self.verdict(op, attempt, response, &sent, refreshed).await.map_or_else(|e| e, neither))
    }

    /// One call through the pipeline, its answer in memory.
    pub(crate) async fn send(
        &self,
        op: &'static Op,
        key: Option<IdempotencyKey>,
        request: WireRequest,
    ) -> Result<WireResponse> {
        let template = Template::new(request);
        let refreshed = AtomicBool::new(false);
        let run = self.pipeline.run(op, key, |attempt| {
            let (template, refreshed, request) = (&template, &refreshed, template.open());
            async move {
                let answered = async { self.round_trip(op, &attempt, request?, refreshed).await };
                answered.await.map_err(|e| template.last_if_consumed(e))
            }
        });
        run.await
    }

    async fn round_trip(
        &self,
        op: &'static Op,
        attempt: &Attempt<'_>,
        request: WireRequest,
        refreshed: &AtomicBool,
    ) -> Result<WireResponse> {
        let (response, sent) = self.deliver(op, attempt, request).await?;
        let (head, payload) = response.into_parts();
        let body = read_whole(op, attempt, head.status, payload).await?;
        let mut response = WireResponse::new(op, head.status, head.headers, body);
        response.attempts = attempt.number;
        self.verdict(op, attempt, response, &sent, refreshed).await
    }

    /// Authorises and transports one attempt.
    async fn deliver(
        &self,
        op: &'static Op,
        attempt: &Attempt<'_>,
        mut request: WireRequest,
    ) -> Result<(Response<Payload>, Sent)> {
        if let (Some(name), Some(key)) = (&self.shared.key_header, &attempt.call.key) {
            let value = HeaderValue::from_str(&key.to_string()).map_err(|e| {
                Error::invalid_request("the idempotency key fits in no header").with_source(e)
            })?;
            request.headers_mut().insert(name.clone(), value);
        }
        let skew = self.shared.skew.get();
        if let Some(authorize) = &self.shared.authorize {
            let authorized = Timed::new(pin!(authorize.authorize(&mut request)), attempt.ends_at()).await;
            let late =
                || Error::new(ErrorKind::Timeout, Effect::NotSent, "there were no credentials in time");
            authorized
                .unwrap_or_else(|| Err(late()))
                .map_err(|e| e.for_want_of_credentials(Effect::NotSent))?;
        }
        let secrets = Secrets::of(&request);
        let used = request.extensions().get::<CredentialVersion>().copied();
        let exchange = Exchange::new(op, attempt.number, attempt.time_left());
        let response = self.shared.transport.send(request, exchange).await.map_err(|e| e.into_error(op))?;
        answered(response.status());
        Ok((response, Sent { skew, received: self.shared.clock.now(), secrets, used }))
    }

    /// What an answer teaches whatever it says: what is left of the quota.
    fn learn(&self, attempt: &Attempt<'_>, response: &WireResponse, sent: &Sent) -> Quota {
        let told = self.shared.classify.quota(response, sent.received);
        attempt.learn(&told);
        told
    }

    /// Learns from an answer, judges it, and mends what can be mended: stale credentials, a clock that is off.
    async fn verdict(
        &self,
        op: &'static Op,
        attempt: &Attempt<'_>,
        response: WireResponse,
        sent: &Sent,
        refreshed: &AtomicBool,
    ) -> Result<WireResponse> {
        let told = self.learn(attempt, &response, sent);
        let Some(error) = judge(&*self.shared.classify, op, &response, &told) else {
            return Ok(response);
        };
        let error = sent.secrets.redact(error);
        if error.kind() != ErrorKind::Unauthenticated {
            return Err(error);
        }
        // Only a refused signature is reason to doubt the clock: one wrong `Date` from a proxy on an answer that is
        // good must not spoil the signatures that follow.
        if !response.headers.contains_key(AGE) {
            self.shared.skew.observe(response.headers.get(DATE), sent.received);
        }
        // Compared with the skew that this attempt was signed with: another call's answer may have told it first.
        let skew = self.shared.skew.get();
        if skew.saturating_sub(sent.skew).unsigned_abs() > Skew::TOLERANCE {
            return Err(error.with_repeat(Repeat::ClockCorrected(skew)));
        }
        match &self.shared.authorize {
            Some(authorize) if !refreshed.swap(true, Ordering::Relaxed) => {
                match Timed::new(pin!(authorize.refresh(sent.used)), attempt.ends_at()).await {
                    Some(Ok(true)) => Err(error.with_repeat(Repeat::Refreshed)),
                    Some(Ok(false)) | None => Err(error),
                    Some(Err(cause)) => {
                        refreshed.store(false, Ordering::Relaxed);
                        Err(cause.for_want_of_credentials(Effect::Rejected))
                    }
                }
            }
            _ => Err(error),
        }
    }
}

/// What was so when an attempt was signed and when the headers of its answer arrived, and what must not come back.
struct Sent {
    skew: SignedDuration,
    received: Timestamp,
    secrets: Secrets,
    used: Option<CredentialVersion>,
}

/// A request that is opened anew for each attempt.
struct Template {
    head: request::Parts,
    body: std::sync::Mutex<Option<Body>>,
    replayable: bool,
}

impl Template {
    fn new(request: WireRequest) -> Self {
        let (head, body) = request.into_parts();
        let replayable = body.can_replay();
        Self { head, body: std::sync::Mutex::new(Some(body)), replayable }
    }

    fn open(&self) -> Result<WireRequest> {
        let mut held = self.body.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let again = held.as_ref().and_then(Body::try_clone);
        let body = again.or_else(|| held.take()).ok_or_else(consumed)?;
        Ok(WireRequest::from_parts(self.head.clone(), body))
    }

    /// Says so in the error when no retry is possible because the body existed once.
    fn last_if_consumed(&self, error: Error) -> Error {
        let again = error.is_retryable() || error.repeat().is_some();
        if self.replayable || !again {
            return error;
        }
        let hint = "the body is a stream that exists once; give `Body::replay` so that it can be sent again";
        let error = if error.hint().is_none() { error.with_hint(hint) } else { error };
        error.never_again()
    }
}

fn consumed() -> Error {
    Error::invalid_request("the body was sent by an earlier attempt and exists only once")
}

fn into_stream(payload: Payload) -> BodyStream {
    match payload {
        Payload::Whole(bytes) => BodyStream::from(bytes),
        Payload::Stream(stream) => stream,
    }
}

/// Buffers an answer up to the operation's limit. Of an answer that is no success, as much as there is: its status
/// and its headers say more than that its body was too long or broke off.
async fn read_whole(
    op: &'static Op,
    attempt: &Attempt<'_>,
    status: StatusCode,
    payload: Payload,
) -> Result<Bytes> {
    let limit = op.response_limit;
    let idle = attempt.call.policy.idle_timeout;
    if !status.is_success() {
        let stream = into_stream(payload).guarded(idle, attempt.time_left());
        return Ok(read_up_to(limit, stream).await);
    }
    let too_large = || TransportError::too_large(limit).into_error(op);
    let mut stream = match payload {
        Payload::Whole(bytes) if bytes.len() > limit => return Err(too_large()),
        Payload::Whole(bytes) => return Ok(bytes),
        Payload::Stream(stream) => stream.guarded(idle, Duration::MAX),
    };
    if stream.remaining().is_some_and(|size| size > limit as u64) {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(chunk) = stream.chunk().await {
        let chunk = chunk.map_err(|e| broken_body(op, e))?;
        if whole.len() + chunk.len() > limit {
            return Err(too_large());
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

async fn read_up_to(limit: usize, mut stream: BodyStream) -> Bytes {
    let mut start = BytesMut::new();
    while let Some(Ok(chunk)) = stream.chunk().await {
        let room = limit - start.len();
        start.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    start.freeze()
}

/// The answer broke off: the service has acted or refused, we shall not know from this answer.
fn broken_body(op: &'static Op, cause: crate::body::BoxError) -> Error {
    match cause.downcast::<TransportError>() {
        Ok(known) => known.into_error(op),
        Err(other) => Error::new(ErrorKind::Transport, Effect::Unknown, "the answer broke off")
            .with_op(op)
            .with_source(crate::transport::TransportError::reset().with_source(other)),
    }
}
