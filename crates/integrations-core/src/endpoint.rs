//! What a provider writes for one remote call, and what is the same for all calls of one provider.

use async_trait::async_trait;
use http::{StatusCode, Uri};
use jiff::Timestamp;

use crate::error::{Effect, Error, ErrorKind, Result};
use crate::op::Op;
use crate::quota::{self, Quota};
use crate::wire::{WireRequest, WireResponse};

/// One remote call: how its request is built and how its answer is read. Both are pure: no clock, no I/O, no log.
pub trait Endpoint: Send + Sync {
    /// What the call gives.
    type Output: Send;
    /// The operation; it drives spans, metrics, limits, docs and the contract check.
    const OP: &'static Op;

    /// Builds the request against the provider's base address, without credentials.
    fn request(&self, base: &Uri) -> Result<WireRequest>;

    /// Reads an answer that [`Classify`] found no error in.
    fn response(&self, response: WireResponse) -> Result<Self::Output>;
}

/// Puts credentials on a request: bearer, basic, HMAC, SigV4, OAuth 1. Asked once per attempt, so that a
/// signature is never older than its attempt.
#[async_trait]
pub trait Authorize: Send + Sync {
    /// Adds the credentials. Mark the header values as sensitive.
    async fn authorize(&self, request: &mut WireRequest) -> Result<()>;

    /// Called after the first 401 of a call. `true` when there are new credentials, so that one more attempt is due.
    /// `used` is what [`authorize`](Authorize::authorize) put among the request's extensions: of many calls that were
    /// refused with one credential, the first renews it and the others see that it is renewed.
    async fn refresh(&self, used: Option<CredentialVersion>) -> Result<bool> {
        let _ = used;
        Ok(false)
    }
}

/// Which generation of a credential a request went out with: an extension of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_structs, reason = "a number with a name")]
pub struct CredentialVersion(pub u64);

/// How one vendor says that something went wrong, and what it tells about its limits. No answer becomes `Ok`
/// without passing here, because some vendors send errors with status 200.
pub trait Classify: Send + Sync {
    /// The error in this answer, or `None`. An answer with a status other than 2xx that gives `None` here is
    /// judged by [`status_error`].
    fn classify(&self, op: &'static Op, response: &WireResponse) -> Option<Error>;

    /// What the answer tells about limits. The default understands every generic header family.
    fn quota(&self, response: &WireResponse, received: Timestamp) -> Quota {
        quota::standard(response.status, &response.headers, received)
    }
}

/// Judges by status alone: for services without an error envelope of their own.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByStatus;

impl Classify for ByStatus {
    fn classify(&self, _: &'static Op, _: &WireResponse) -> Option<Error> {
        None
    }
}

/// Status → kind, effect (RFC 9110 section 15, RFC 6585). A 5xx other than 501, 503 with a delay and 505 leaves
/// open whether the service acted; only a provider's own [`Classify`] may know better.
const STATUSES: [(u16, ErrorKind, Effect); 29] = [
    (400, ErrorKind::InvalidRequest, Effect::Rejected),
    (401, ErrorKind::Unauthenticated, Effect::Rejected),
    (402, ErrorKind::Declined, Effect::Rejected),
    (403, ErrorKind::PermissionDenied, Effect::Rejected),
    (404, ErrorKind::NotFound, Effect::Rejected),
    (405, ErrorKind::Unsupported, Effect::Rejected),
    (406, ErrorKind::InvalidRequest, Effect::Rejected),
    (407, ErrorKind::Config, Effect::NotSent),
    (408, ErrorKind::Timeout, Effect::Rejected),
    (409, ErrorKind::Conflict, Effect::Rejected),
    (410, ErrorKind::NotFound, Effect::Rejected),
    (411, ErrorKind::InvalidRequest, Effect::Rejected),
    (412, ErrorKind::Precondition, Effect::Rejected),
    (413, ErrorKind::InvalidRequest, Effect::Rejected),
    (414, ErrorKind::InvalidRequest, Effect::Rejected),
    (415, ErrorKind::InvalidRequest, Effect::Rejected),
    (416, ErrorKind::InvalidRequest, Effect::Rejected),
    (421, ErrorKind::Unavailable, Effect::Rejected),
    (422, ErrorKind::InvalidRequest, Effect::Rejected),
    (423, ErrorKind::Conflict, Effect::Rejected),
    (425, ErrorKind::Unavailable, Effect::Rejected),
    (428, ErrorKind::Precondition, Effect::Rejected),
    (429, ErrorKind::RateLimited, Effect::Rejected),
    (431, ErrorKind::InvalidRequest, Effect::Rejected),
    (451, ErrorKind::PermissionDenied, Effect::Rejected),
    (500, ErrorKind::Unavailable, Effect::Unknown),
    (501, ErrorKind::Unsupported, Effect::Rejected),
    (503, ErrorKind::Unavailable, Effect::Unknown),
    (505, ErrorKind::Unsupported, Effect::Rejected),
];

/// The error that a status other than 2xx stands for.
pub fn status_error(status: StatusCode) -> Error {
    let code = status.as_u16();
    let known = STATUSES.iter().find(|(listed, ..)| *listed == code);
    let (kind, effect) = known.map_or_else(|| by_class(status), |(_, kind, effect)| (*kind, *effect));
    let reason = status.canonical_reason().unwrap_or("no reason given");
    Error::new(kind, effect, format!("the service answered: {reason}")).with_status(code)
}

fn by_class(status: StatusCode) -> (ErrorKind, Effect) {
    if status.is_server_error() {
        (ErrorKind::Unavailable, Effect::Unknown)
    } else if status.is_client_error() {
        (ErrorKind::InvalidRequest, Effect::Rejected)
    } else {
        (ErrorKind::Unexpected, Effect::Unknown)
    }
}

/// Where vendors put the id that their support asks for.
const REQUEST_ID_HEADERS: [&str; 8] = [
    "x-request-id",
    "request-id",
    "x-amzn-requestid",
    "x-amz-request-id",
    "x-ms-request-id",
    "paypal-debug-id",
    "x-goog-request-id",
    "x-correlation-id",
];

/// The verdict on one answer: the vendor's own, else the status's, completed with operation, status, request id
/// and the delay the service asked for.
pub(crate) fn judge(
    classify: &dyn Classify,
    op: &'static Op,
    response: &WireResponse,
    told: &Quota,
) -> Option<Error> {
    // 304 answers a conditional request: what the caller has is still right.
    let good = response.status.is_success() || response.status == StatusCode::NOT_MODIFIED;
    let by_status = || (!good).then(|| status_error(response.status));
    let error = classify.classify(op, response).or_else(by_status)?;
    Some(complete(error, op, response, told))
}

fn complete(error: Error, op: &'static Op, response: &WireResponse, told: &Quota) -> Error {
    let mut error = error.with_op(op);
    if error.status().is_none() {
        error = error.with_status(response.status.as_u16());
    }
    if error.request_id().is_none()
        && let Some(id) = REQUEST_ID_HEADERS.iter().find_map(|name| response.header(name))
    {
        error = error.with_request_id(id);
    }
    let refused_on_purpose = error.retry_after().is_some() || told.retry_after.is_some();
    let held_back =
        matches!(error.kind(), ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::QuotaExhausted);
    if held_back
        && error.retry_after().is_none()
        && let Some(delay) = told.wait(op.bucket, op.cost)
    {
        error = error.with_retry_after(delay);
    }
    // A service that says when to come back has refused on purpose: it did not act. When a window of its quota
    // restarts, which many services tell with every answer, says nothing of the kind.
    if response.status == StatusCode::SERVICE_UNAVAILABLE
        && refused_on_purpose
        && error.effect() == Effect::Unknown
    {
        error = error.with_effect(Effect::Rejected);
    }
    error
}
