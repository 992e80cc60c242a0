//! Calls of one provider: endpoints through the pipeline over a transport.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{AGE, DATE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode, Uri, request};

use crate::body::{Body, BodyStream};
use crate::clock::{Clock, Skew};
use crate::endpoint::{Authorize, ByStatus, Classify, Endpoint, judge};
use crate::error::{Effect, Error, ErrorKind, Repeat, Result};
use crate::idempotency::IdempotencyKey;
use crate::op::Op;
use crate::pipeline::{Attempt, Pipeline};
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
#[derive(Debug)]
#[non_exhaustive]
pub struct StreamResponse {
    /// The status, always 2xx.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; a gap longer than the policy's idle timeout, or the end of the call's time, ends it with an error.
    pub body: BodyStream,
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
        endpoint.response(response).map_err(|e| e.with_op(E::OP))
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
        if let Some(cache) = self.shared.cache.as_ref().filter(|_| op.cache) {
            return cache.exchange(self, op, request).await;
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
        let (refreshed, policy) = (AtomicBool::new(false), self.pipeline.policy());
        let total = policy.total_timeout;
        let idle = policy.idle_timeout;
        let run = self.pipeline.run(op, key, |attempt| {
            let request = template.open();
            let refreshed = &refreshed;
            async move {
                let response = self.deliver(op, &attempt, request?).await?;
                let (head, payload) = response.into_parts();
                if head.status.is_success() {
                    let body = into_stream(payload).guarded(idle, total);
                    return Ok(StreamResponse { status: head.status, headers: head.headers, body });
                }
                let body = read_whole(op, payload, idle).await?;
                let response = WireResponse::new(op, head.status, head.headers, body);
                let error = match self.verdict(op, &attempt, response, refreshed).await {
                    Ok(response) => response.undecodable("the service answered neither success nor error"),
                    Err(error) => error,
                };
                Err(error)
            }
        });
        run.await.map_err(|e| template.explain_consumed(e))
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
            let request = template.open();
            let refreshed = &refreshed;
            async move {
                let idle = attempt.call.policy.idle_timeout;
                let (head, payload) = self.deliver(op, &attempt, request?).await?.into_parts();
                let body = read_whole(op, payload, idle).await?;
                let response = WireResponse::new(op, head.status, head.headers, body);
                self.verdict(op, &attempt, response, refreshed).await
            }
        });
        run.await.map_err(|e| template.explain_consumed(e))
    }

    /// Authorises and transports one attempt.
    async fn deliver(
        &self,
        op: &'static Op,
        attempt: &Attempt<'_>,
        mut request: WireRequest,
    ) -> Result<Response<Payload>> {
        if let (Some(name), Some(key)) = (&self.shared.key_header, &attempt.call.key) {
            let value = HeaderValue::from_str(&key.to_string()).map_err(|e| {
                Error::invalid_request("the idempotency key fits in no header").with_source(e)
            })?;
            request.headers_mut().insert(name.clone(), value);
        }
        if let Some(authorize) = &self.shared.authorize {
            authorize.authorize(&mut request).await?;
        }
        let exchange = Exchange::new(op, attempt.number, attempt.time_left());
        self.shared.transport.send(request, exchange).await.map_err(|e| e.into_error(op))
    }

    /// Learns from an answer, judges it, and mends what can be mended: stale credentials, a clock that is off.
    async fn verdict(
        &self,
        op: &'static Op,
        attempt: &Attempt<'_>,
        response: WireResponse,
        refreshed: &AtomicBool,
    ) -> Result<WireResponse> {
        let received = self.shared.clock.now();
        let fresh = !response.headers.contains_key(AGE);
        let clock_moved = fresh && self.shared.skew.observe(response.headers.get(DATE), received);
        let told = self.shared.classify.quota(&response, received);
        attempt.learn(&told);
        let Some(error) = judge(&*self.shared.classify, op, &response, &told) else {
            return Ok(response);
        };
        if error.kind() != ErrorKind::Unauthenticated {
            return Err(error);
        }
        if clock_moved {
            return Err(error.with_repeat(Repeat::ClockCorrected(self.shared.skew.get())));
        }
        match &self.shared.authorize {
            Some(authorize) if !refreshed.swap(true, Ordering::Relaxed) && authorize.refresh().await? => {
                Err(error.with_repeat(Repeat::Refreshed))
            }
            _ => Err(error),
        }
    }
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

    /// Says so in the error when a retry was impossible because the body existed once.
    fn explain_consumed(&self, error: Error) -> Error {
        if self.replayable || error.hint().is_some() {
            return error;
        }
        error.with_hint(
            "the body is a stream that exists once; give `Body::replay` so that it can be sent again",
        )
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

/// Buffers an answer up to the operation's limit.
async fn read_whole(op: &'static Op, payload: Payload, idle: Duration) -> Result<Bytes> {
    let limit = op.response_limit;
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

/// The answer broke off: the service has acted or refused, we shall not know from this answer.
fn broken_body(op: &'static Op, cause: crate::body::BoxError) -> Error {
    match cause.downcast::<TransportError>() {
        Ok(known) => known.into_error(op),
        Err(other) => Error::new(ErrorKind::Transport, Effect::Unknown, "the answer broke off")
            .with_op(op)
            .with_source(crate::transport::TransportError::reset().with_source(other)),
    }
}
