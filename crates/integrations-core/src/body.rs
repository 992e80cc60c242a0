//! Request and response bodies, by whether they can be sent again.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use sync_wrapper::SyncWrapper;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::transport::TransportError;

/// The error of a body stream: any error type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request body. Only the first two kinds can be sent again; a call with [`Body::Once`] is sent at most
/// once whatever its [`Op`](crate::Op) says.
#[derive(Default)]
#[non_exhaustive]
pub enum Body {
    /// No body.
    #[default]
    Empty,
    /// Bytes in memory.
    Bytes(Bytes),
    /// A factory of streams: each attempt gets the whole body anew.
    Replay(ReplayBody),
    /// A stream that exists once.
    Once(BodyStream),
}

impl Body {
    /// A body that is made anew for each attempt. `make` must be cheap: it is called once per attempt.
    pub fn replay(make: impl Fn() -> BodyStream + Send + Sync + 'static) -> Self {
        Self::Replay(ReplayBody(Arc::new(make)))
    }

    /// Whether the body can be sent more than once.
    pub fn can_replay(&self) -> bool {
        !matches!(self, Self::Once(_))
    }

    /// The body for one more attempt, or `None` for [`Body::Once`].
    pub fn try_clone(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Bytes(bytes) => Some(Self::Bytes(bytes.clone())),
            Self::Replay(factory) => Some(Self::Replay(factory.clone())),
            Self::Once(_) => None,
        }
    }

    /// The bytes of a body in memory; `None` for a stream.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Empty => Some(&[]),
            Self::Bytes(bytes) => Some(bytes),
            Self::Replay(_) | Self::Once(_) => None,
        }
    }

    /// The body as a stream; a [`Body::Replay`] is opened.
    pub fn into_stream(self) -> BodyStream {
        match self {
            Self::Empty => BodyStream::from(Bytes::new()),
            Self::Bytes(bytes) => BodyStream::from(bytes),
            Self::Replay(factory) => (factory.0)(),
            Self::Once(stream) => stream,
        }
    }
}

impl fmt::Debug for Body {
    /// Names kind and size, never the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Replay(_) => f.write_str("Replay"),
            Self::Once(_) => f.write_str("Once"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Bytes(bytes) }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

/// The factory inside [`Body::Replay`].
#[derive(Clone)]
pub struct ReplayBody(Arc<dyn Fn() -> BodyStream + Send + Sync>);

/// A stream of bytes with its length when known. It is `Send + Sync` because the SDKs that carry it ask for
/// both, and it is an [`http_body::Body`] so that they can take it as it is.
pub struct BodyStream {
    chunks: Chunks,
    remaining: Option<u64>,
}

enum Chunks {
    Whole(Bytes),
    Stream(SyncWrapper<BoxStream>),
}

type BoxStream = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

impl BodyStream {
    /// A body from a stream of chunks; `length` is its exact size in bytes when known.
    pub fn new<S, E>(stream: S, length: Option<u64>) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let boxed = Box::pin(MapErr { stream: Box::pin(stream) });
        Self { chunks: Chunks::Stream(SyncWrapper::new(boxed)), remaining: length }
    }

    /// The bytes that are still to come, when known.
    pub fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// The next chunk, or `None` at the end.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, BoxError>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Polls for the next chunk.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        let next = match &mut self.chunks {
            Chunks::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Chunks::Whole(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            Chunks::Stream(stream) => stream.get_mut().as_mut().poll_next(cx),
        };
        if let (Poll::Ready(Some(Ok(chunk))), Some(left)) = (&next, &mut self.remaining) {
            *left = left.saturating_sub(chunk.len() as u64);
        }
        next
    }
}

impl BodyStream {
    /// The same stream with limits: an error when no chunk arrives for `idle`, or when `total` has passed.
    #[must_use]
    pub fn guarded(self, idle: Duration, total: Duration) -> Self {
        if matches!(self.chunks, Chunks::Whole(_)) {
            return self;
        }
        let remaining = self.remaining;
        let guarded =
            Guarded { inner: self, idle, end: Instant::now().checked_add(total), timer: None, armed: false };
        Self::new(guarded, remaining)
    }
}

/// A stream under an idle timeout and a deadline. The idle time counts only while somebody waits: a slow reader is
/// not an idle server. One timer, made once the stream keeps its reader waiting.
struct Guarded {
    inner: BodyStream,
    idle: Duration,
    end: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

/// What "no limit" comes to: a moment that fits into an `Instant`.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

impl Stream for Guarded {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Poll::Ready(next) = this.inner.poll_chunk(cx) {
            this.armed = false;
            return Poll::Ready(next);
        }
        let by_idle = Instant::now() + this.idle.min(FAR);
        let limit = this.end.map_or(by_idle, |end| by_idle.min(end));
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(limit)));
        if !std::mem::replace(&mut this.armed, true) {
            timer.as_mut().reset(limit);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        this.inner = BodyStream::from(Bytes::new());
        Poll::Ready(Some(Err(TransportError::idle(this.idle).into())))
    }
}

impl From<Bytes> for BodyStream {
    fn from(bytes: Bytes) -> Self {
        let remaining = Some(bytes.len() as u64);
        Self { chunks: Chunks::Whole(bytes), remaining }
    }
}

impl fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyStream").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}

impl Stream for BodyStream {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_chunk(cx)
    }
}

impl http_body::Body for BodyStream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        self.poll_chunk(cx).map(|next| next.map(|chunk| chunk.map(http_body::Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.chunks, Chunks::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.remaining.map_or_else(http_body::SizeHint::default, http_body::SizeHint::with_exact)
    }
}

struct MapErr<S> {
    stream: Pin<Box<S>>,
}

impl<S, E> Stream for MapErr<S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<BoxError>,
{
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.as_mut().poll_next(cx).map(|next| next.map(|chunk| chunk.map_err(Into::into)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_send_sync<T: Send + Sync>() {}

    #[test]
    fn bodies_are_send_and_sync() {
        assert_send_sync::<BodyStream>();
        assert_send_sync::<Body>();
    }

    #[tokio::test]
    async fn a_replay_body_gives_each_attempt_the_whole_content() {
        let body = Body::replay(|| BodyStream::from(Bytes::from_static(b"whole")));
        for _ in 0..3 {
            let mut stream = body.try_clone().unwrap().into_stream();
            assert_eq!(stream.remaining(), Some(5));
            assert_eq!(stream.chunk().await.unwrap().unwrap(), "whole");
            assert!(stream.chunk().await.is_none());
        }
        assert!(Body::Once(BodyStream::from(Bytes::new())).try_clone().is_none());
    }

    const IDLE: Duration = Duration::from_secs(5);

    /// Chunks, each after half the idle time, then silence.
    struct Halting {
        chunks: u32,
        sleep: Pin<Box<Sleep>>,
    }

    impl Halting {
        fn stream(chunks: u32) -> BodyStream {
            BodyStream::new(Self { chunks, sleep: Box::pin(tokio::time::sleep(IDLE / 2)) }, None)
        }
    }

    impl Stream for Halting {
        type Item = Result<Bytes, std::io::Error>;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            if self.chunks == 0 || self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.chunks -= 1;
            self.sleep = Box::pin(tokio::time::sleep(IDLE / 2));
            Poll::Ready(Some(Ok(Bytes::from_static(b"chunk"))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_idle_time_counts_per_chunk_and_only_while_somebody_waits() {
        let mut stream = Halting::stream(2).guarded(IDLE, Duration::MAX);
        for _ in 0..2 {
            assert_eq!(stream.chunk().await.unwrap().unwrap(), "chunk");
            tokio::time::advance(IDLE * 10).await;
        }
        let waited_from = Instant::now();
        let error = stream.chunk().await.unwrap().unwrap_err();
        assert!(error.to_string().contains("no data for 5s"), "{error}");
        // tokio's timer rounds up to the next millisecond.
        assert!((IDLE..IDLE + Duration::from_millis(2)).contains(&waited_from.elapsed()));
        assert!(stream.chunk().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_idle_time_is_no_limit_and_no_panic() {
        let mut stream = Halting::stream(1).guarded(Duration::MAX, Duration::MAX);
        assert_eq!(stream.chunk().await.unwrap().unwrap(), "chunk");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_with_the_time_of_its_call() {
        let mut stream = Halting::stream(u32::MAX).guarded(IDLE, IDLE * 3);
        let from = Instant::now();
        while stream.chunk().await.is_some_and(|chunk| chunk.is_ok()) {}
        assert!(from.elapsed() < IDLE * 3 + Duration::from_millis(2), "{:?}", from.elapsed());
    }

    #[test]
    fn debug_never_shows_content() {
        assert_eq!(format!("{:?}", Body::from("secret")), "Bytes(6 bytes)");
    }
}
