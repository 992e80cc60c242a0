//! The body of an answer: timed, measured, inflated.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::response::Parts;
use http::{Response, StatusCode};
use http_body::Body as _;
use integrations_core::{BodyStream, Payload, TransportError, TransportFailure};
use tokio::time::{Instant, Sleep};

use crate::failure;
use crate::gzip::Inflate;

/// A body that is here already and no larger than this is handed over whole.
const WHOLE: u64 = 64 * 1024;

/// What a body is held to.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// The longest wait for one chunk.
    pub(crate) idle: Duration,
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
    idle: Idle,
    first: Option<Bytes>,
    inflate: Option<Inflate>,
    ended: bool,
}

impl Answer {
    fn new(body: reqwest::Body, limits: Limits) -> Self {
        let left = body.size_hint().exact();
        let idle = Idle { limit: limits.idle, sleep: None, armed: false };
        Self { body, left, received: 0, limits, idle, first: None, inflate: None, ended: false }
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

    /// As [`Answer::poll_wire`], within the idle time.
    fn poll_timed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        match self.poll_wire(cx) {
            Poll::Ready(chunk) => {
                self.idle.armed = false;
                Poll::Ready(chunk)
            }
            Poll::Pending => self.idle.poll(cx).map(|error| Some(Err(error))),
        }
    }

    fn poll_inflated(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        loop {
            let Some(inflate) = &mut self.inflate else { return self.poll_timed(cx) };
            match inflate.step() {
                Ok(Some(plain)) => return Poll::Ready(Some(Ok(plain))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            let chunk = ready!(self.poll_timed(cx)).transpose();
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

/// Counts only while somebody waits: a slow reader is not an idle server.
struct Idle {
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Idle {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TransportError> {
        let limit = self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !self.armed {
            self.armed = true;
            // `Duration::MAX` means no limit; added to an `Instant` it would overflow.
            let far = Duration::from_hours(24 * 365);
            sleep.as_mut().reset(Instant::now() + limit.min(far));
        }
        sleep.as_mut().poll(cx).map(|()| TransportError::idle(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(5);

    /// Two chunks, each after half the idle time, then silence.
    struct Halting {
        chunks: u32,
        sleep: Pin<Box<Sleep>>,
    }

    impl Stream for Halting {
        type Item = Result<Bytes, std::io::Error>;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            if self.chunks == 0 {
                return Poll::Pending;
            }
            ready!(self.sleep.as_mut().poll(cx));
            self.chunks -= 1;
            self.sleep = Box::pin(tokio::time::sleep(IDLE / 2));
            Poll::Ready(Some(Ok(Bytes::from_static(b"chunk"))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_idle_time_counts_per_chunk_and_only_while_somebody_waits() {
        let halting = Halting { chunks: 2, sleep: Box::pin(tokio::time::sleep(IDLE / 2)) };
        let body = reqwest::Body::wrap(BodyStream::new(halting, None));
        let limits = Limits { idle: IDLE, on_wire: u64::MAX, inflated: usize::MAX };
        let mut stream = BodyStream::new(Answer::new(body, limits), None);
        assert_eq!(stream.chunk().await.unwrap().unwrap(), "chunk");
        tokio::time::advance(IDLE * 10).await;
        assert_eq!(stream.chunk().await.unwrap().unwrap(), "chunk");
        tokio::time::advance(IDLE * 10).await;
        let waited_from = Instant::now();
        let error = *stream.chunk().await.unwrap().unwrap_err().downcast::<TransportError>().unwrap();
        assert_eq!(error.failure(), TransportFailure::Timeout);
        // tokio's timer rounds up to the next millisecond.
        assert!((IDLE..IDLE + Duration::from_millis(2)).contains(&waited_from.elapsed()));
        assert!(stream.chunk().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_idle_time_is_no_limit_and_no_panic() {
        let halting = Halting { chunks: 1, sleep: Box::pin(tokio::time::sleep(Duration::from_hours(24))) };
        let body = reqwest::Body::wrap(BodyStream::new(halting, None));
        let limits = Limits { idle: Duration::MAX, on_wire: u64::MAX, inflated: usize::MAX };
        let mut stream = BodyStream::new(Answer::new(body, limits), None);
        assert_eq!(stream.chunk().await.unwrap().unwrap(), "chunk");
    }
}
