//! Request bodies, held to the length they announce.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use integrations_core::{Body, BodyStream, BoxError, Error, TransportError, TransportFailure};

/// Where a failing body stream leaves its cause: hyper's error would bring it out for HTTP/1 only.
#[derive(Clone, Default)]
pub(crate) struct Fault(Arc<Mutex<Option<TransportError>>>);

impl Fault {
    fn set(&self, error: TransportError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(crate) fn take(&self) -> Option<TransportError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The body as reqwest sends it: with its content-length if it is known, chunked otherwise.
pub(crate) fn outgoing(body: Body) -> (Option<reqwest::Body>, Fault) {
    let fault = Fault::default();
    let body = match body {
        Body::Empty => None,
        Body::Bytes(bytes) => Some(bytes.into()),
        streamed => {
            let stream = streamed.into_stream();
            let announced = stream.remaining();
            Some(reqwest::Body::wrap(Upload { stream, left: announced, fault: fault.clone() }))
        }
    };
    (body, fault)
}

/// hyper cuts a body that is longer than announced without a word, so that half a file would be stored as a
/// whole one. Here both "too long" and "too short" fail the request.
struct Upload {
    stream: BodyStream,
    left: Option<u64>,
    fault: Fault,
}

impl Upload {
    fn checked(&mut self, chunk: Bytes) -> Result<Bytes, TransportError> {
        if let Some(left) = &mut self.left {
            let length = chunk.len() as u64;
            *left = left.checked_sub(length).ok_or_else(|| broken("is longer than announced"))?;
        }
        Ok(chunk)
    }

    fn fail(&self, error: TransportError) -> BoxError {
        self.fault.set(error);
        "the request body failed".into()
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let outcome = match std::task::ready!(self.stream.poll_chunk(cx)) {
            Some(Ok(chunk)) => self.checked(chunk),
            Some(Err(cause)) => Err(with_safe_cause(broken("failed"), &cause)),
            None if self.left.is_some_and(|left| left > 0) => Err(broken("is shorter than announced")),
            None => return Poll::Ready(None),
        };
        Poll::Ready(Some(outcome.map(Frame::data).map_err(|error| self.fail(error))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0) && http_body::Body::is_end_stream(&self.stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn broken(how: &str) -> TransportError {
    TransportError::new(TransportFailure::BadRequest, true, format!("the request body {how}"))
}

/// A stream's error may quote what it was reading. Our own errors never do, and of an I/O error its kind is
/// enough.
fn with_safe_cause(error: TransportError, cause: &BoxError) -> TransportError {
    if let Some(ours) = cause.downcast_ref::<Error>() {
        error.with_source(ours.clone())
    } else if let Some(io) = cause.downcast_ref::<std::io::Error>() {
        error.with_source(std::io::Error::from(io.kind()))
    } else {
        error
    }
}
