//! The body of an answer: measured and inflated.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::response::Parts;
use http::{Response, StatusCode};
use http_body::Body as _;
use integrations_core::{BodyStream, Payload, TransportError, TransportFailure};

use crate::failure;
use crate::gzip::Inflate;

/// A body that is here already and no larger than this is handed over whole.
const WHOLE: u64 = 64 * 1024;

/// What a body is held to.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// The most bytes that may come over the wire.
    pub(crate) on_wire: u64,
    /// The most bytes that may come out of decompression.
    pub(crate) inflated: usize,
}

/// The answer as a `Transport` hands it over. `inflate` says whether we asked for gzip ourselves.
pub(crate) async fn receive(
    response: Response<reqwest::Body>,
    limits: Limits,
    inflate: bool,
) -> Result<Response<Payload>, TransportError> {
    let (mut parts, body) = response.into_parts();
    // They hold reqwest's URL and connection data; SDKs pass extensions on to their callers.
    parts.extensions.clear();
    let mut answer = Answer::new(body, limits);
    if inflate && is_gzip(&parts) {
        parts.headers.remove(CONTENT_ENCODING);
        parts.headers.remove(CONTENT_LENGTH);
        answer.inflate = Some(Inflate::new(limits.inflated));
    }
    let payload = answer.into_payload().await?;
    Ok(Response::from_parts(parts, payload))
}

/// A part of a compressed answer (206) cannot be inflated by itself.
fn is_gzip(parts: &Parts) -> bool {
    let encoding = parts.headers.get(CONTENT_ENCODING).map(http::HeaderValue::as_bytes);
    let gzip = encoding.is_some_and(|e| e.eq_ignore_ascii_case(b"gzip") || e.eq_ignore_ascii_case(b"x-gzip"));
    gzip && parts.status != StatusCode::PARTIAL_CONTENT
}

struct Answer {
    body: reqwest::Body,
    /// What `content-length` still promises.
    left: Option<u64>,
    received: u64,
    limits: Limits,
    first: Option<Bytes>,
    inflate: Option<Inflate>,
    ended: bool,
}

impl Answer {
    fn new(body: reqwest::Body, limits: Limits) -> Self {
        let left = body.size_hint().exact();
        Self { body, left, received: 0, limits, first: None, inflate: None, ended: false }
    }

    async fn into_payload(mut self) -> Result<Payload, TransportError> {
        if self.body.is_end_stream() {
            return Ok(Payload::Whole(Bytes::new()));
        }
        let length = self.left;
        if self.inflate.is_some() {
            return Ok(Payload::Stream(BodyStream::new(self, None)));
        }
        if let Some(length) = length.filter(|length| *length <= WHOLE) {
            // One look, no wait: what has arrived with the headers needs no stream.
            let arrived = std::future::poll_fn(|cx| Poll::Ready(self.poll_wire(cx))).await;
            if let Poll::Ready(Some(chunk)) = arrived {
                let chunk = chunk?;
                if chunk.len() as u64 == length {
                    return Ok(Payload::Whole(chunk));
                }
                self.first = Some(chunk);
            }
        }
        Ok(Payload::Stream(BodyStream::new(self, length)))
    }

    /// The next chunk as it came over the wire, counted.
    fn poll_wire(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(chunk) = frame.into_data() {
                        return Poll::Ready(Some(self.counted(chunk)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(failure::of_body(&error)))),
                None => return Poll::Ready(self.missing().map(Err)),
            }
        }
    }

    fn counted(&mut self, chunk: Bytes) -> Result<Bytes, TransportError> {
        let length = chunk.len() as u64;
        self.received += length;
        if self.received > self.limits.on_wire {
            return Err(TransportError::too_large(self.limits.on_wire as usize));
        }
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(length).ok_or_else(|| wrong_length("longer"))?;
        }
        Ok(chunk)
    }

    /// What is wrong with an answer that ends here.
    fn missing(&self) -> Option<TransportError> {
        self.left.filter(|left| *left > 0).map(|_| wrong_length("shorter"))
    }

    /// As [`Answer::poll_wire`], beginning with what had arrived with the headers.
    fn poll_next_wire(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => self.poll_wire(cx),
        }
    }

    fn poll_inflated(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        loop {
            let Some(inflate) = &mut self.inflate else { return self.poll_next_wire(cx) };
            match inflate.step() {
                Ok(Some(plain)) => return Poll::Ready(Some(Ok(plain))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            let chunk = ready!(self.poll_next_wire(cx)).transpose();
            let Some(inflate) = &mut self.inflate else { return Poll::Ready(chunk.transpose()) };
            match chunk {
                Ok(Some(chunk)) => inflate.feed(chunk),
                Ok(None) => {
                    let last = inflate.finish().transpose();
                    self.inflate = None;
                    self.ended = true;
                    return Poll::Ready(last);
                }
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

impl Stream for Answer {
    type Item = Result<Bytes, TransportError>;

    /// An error is the last item.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = ready!(self.poll_inflated(cx));
        if !matches!(next, Some(Ok(_))) {
            self.ended = true;
        }
        Poll::Ready(next)
    }
}

fn wrong_length(how: &str) -> TransportError {
    TransportError::new(TransportFailure::BadResponse, true, format!("the answer is {how} than it announced"))
}
