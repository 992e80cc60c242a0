//! Futures of the pipeline that allocate nothing: a time limit whose timer exists only once it is needed, and a race.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

pin_project! {
    /// `Some(output)`, or `None` once `limit` is reached. A future that is ready at once costs no timer.
    pub(crate) struct Timed<'f, F> {
        future: Pin<&'f mut F>,
        limit: Instant,
        #[pin]
        timer: Option<Sleep>,
    }
}

impl<'f, F: Future> Timed<'f, F> {
    pub(crate) fn new(future: Pin<&'f mut F>, limit: Instant) -> Self {
        Self { future, limit, timer: None }
    }
}

impl<F: Future> Future for Timed<'_, F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(output) = this.future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        if this.timer.is_none() {
            this.timer.set(Some(sleep_until(*this.limit)));
        }
        match this.timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    }
}

/// Two attempts of one call. Gives the result of whichever ends first, and whether it is the first attempt's; polled
/// again after that, the other one's.
pub(crate) struct Race<'f, A, B> {
    first: Option<Pin<&'f mut A>>,
    second: Option<Pin<Box<B>>>,
}

impl<'f, A, B> Race<'f, A, B> {
    pub(crate) fn new(first: Pin<&'f mut A>, second: Pin<Box<B>>) -> Self {
        Self { first: Some(first), second: Some(second) }
    }

    /// Polls the first attempt no more.
    pub(crate) fn drop_first(mut self: Pin<&mut Self>) {
        self.first = None;
    }
}

impl<A, B> Unpin for Race<'_, A, B> {}

impl<A, B> Future for Race<'_, A, B>
where
    A: Future,
    B: Future<Output = A::Output>,
{
    type Output = (A::Output, bool);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(Poll::Ready(result)) = self.first.as_mut().map(|f| f.as_mut().poll(cx)) {
            self.first = None;
            return Poll::Ready((result, true));
        }
        if let Some(Poll::Ready(result)) = self.second.as_mut().map(|f| f.as_mut().poll(cx)) {
            self.second = None;
            return Poll::Ready((result, false));
        }
        Poll::Pending
    }
}
