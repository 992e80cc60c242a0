//! The byte seam: whatever carries a request to a service implements [`Transport`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::body::{Body, BodyStream, BoxError};
use crate::error::{Effect, Error, ErrorKind};
use crate::op::Op;

/// What a transport is told besides the request.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Exchange {
    /// The operation, for recorders and fakes.
    pub op: &'static Op,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The attempt is dropped after this time; a transport may use it for timeouts of its own parts.
    pub time_left: Duration,
}

impl Exchange {
    /// What one attempt of `op` is told.
    pub fn new(op: &'static Op, attempt: u32, time_left: Duration) -> Self {
        Self { op, attempt, time_left }
    }
}

/// An answer's body as the transport delivers it.
#[non_exhaustive]
pub enum Payload {
    /// All of it, in memory.
    Whole(Bytes),
    /// A stream, checked against the size limit by whoever reads it.
    Stream(BodyStream),
}

impl std::fmt::Debug for Payload {
    /// Names kind and size, never the content.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Stream(stream) => write!(f, "Stream({stream:?})"),
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

/// Which addresses a transport can be made to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reach {
    /// Any address that a request names.
    Anything,
    /// Public addresses alone: it vets what a name resolves to and dials the very address that it vetted.
    PublicOnly,
}

/// Bytes in, bytes out: reqwest, an in-process sandbox, a cassette, a fault injector or an SDK bridge.
///
/// A transport never retries, never follows a redirect to another origin with credentials, and never logs
/// a query, a header or a body. Dropping the future abandons the exchange; what had been sent may act.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends one request and returns the answer, whatever its status.
    async fn send(
        &self,
        request: http::Request<Body>,
        exchange: Exchange,
    ) -> Result<http::Response<Payload>, TransportError>;

    /// Which addresses it can be made to call. What sends to addresses that tenants give asks for
    /// [`Reach::PublicOnly`]; a transport that cannot vouch for it says [`Reach::Anything`].
    fn reaches(&self) -> Reach {
        Reach::Anything
    }
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    async fn send(
        &self,
        request: http::Request<Body>,
        exchange: Exchange,
    ) -> Result<http::Response<Payload>, TransportError> {
        (**self).send(request, exchange).await
    }

    fn reaches(&self) -> Reach {
        (**self).reaches()
    }
}

/// Why an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportFailure {
    /// DNS, TCP or a proxy: no connection.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The connection broke.
    Reset,
    /// A time limit inside the transport passed.
    Timeout,
    /// The egress policy forbids this address.
    Forbidden,
    /// The request could not be put on the wire: a malformed URI, a body stream that failed.
    BadRequest,
    /// The answer violates HTTP, its length, its compression or the size limit.
    BadResponse,
}

/// A failed exchange, and whether the request can have reached the service.
///
/// `Display` and `Debug` never hold a URL query, a header or a body; the cause must not either.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    failure: TransportFailure,
    sent: bool,
    message: String,
    #[source]
    source: Option<BoxError>,
}

impl TransportError {
    /// A failure. `sent` is `false` only when it is certain that the service got no complete request.
    pub fn new(failure: TransportFailure, sent: bool, message: impl Into<String>) -> Self {
        Self { failure, sent, message: message.into(), source: None }
    }

    /// No chunk of the answer arrived for `limit`.
    pub fn idle(limit: Duration) -> Self {
        Self::new(TransportFailure::Timeout, true, format!("no data for {limit:?} while reading the answer"))
    }

    /// The answer is larger than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        Self::new(TransportFailure::BadResponse, true, format!("the answer is larger than {limit} bytes"))
    }

    /// The connection broke while the answer was read.
    pub fn reset() -> Self {
        Self::new(TransportFailure::Reset, true, "the connection broke while reading the answer")
    }

    /// Sets the cause, already free of secrets.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Why the exchange failed.
    pub fn failure(&self) -> TransportFailure {
        self.failure
    }

    /// Whether the request can have reached the service.
    pub fn sent(&self) -> bool {
        self.sent
    }

    /// This failure as the error of one call of `op`.
    pub fn into_error(self, op: &'static Op) -> Error {
        let kind = match self.failure {
            TransportFailure::Connect | TransportFailure::Tls | TransportFailure::Reset => {
                ErrorKind::Transport
            }
            TransportFailure::Timeout => ErrorKind::Timeout,
            TransportFailure::Forbidden => ErrorKind::PermissionDenied,
            TransportFailure::BadRequest => ErrorKind::InvalidRequest,
            TransportFailure::BadResponse => ErrorKind::Decode,
        };
        let effect = if self.sent { Effect::Unknown } else { Effect::NotSent };
        Error::new(kind, effect, self.message.clone()).with_op(op).with_source(self)
    }
}
