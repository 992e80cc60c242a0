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

/// Two attempts of one call: the first success wins and the loser is dropped; if both fail, the first attempt's
/// error is the call's. Gives the result and whether it is the first attempt's.
pub(crate) struct Race<'f, A, B, E> {
    first: Option<Pin<&'f mut A>>,
    second: Option<Pin<Box<B>>>,
    first_error: Option<E>,
    second_error: Option<E>,
}

impl<'f, A, B, E> Race<'f, A, B, E> {
    pub(crate) fn new(first: Pin<&'f mut A>, second: Pin<Box<B>>) -> Self {
        Self { first: Some(first), second: Some(second), first_error: None, second_error: None }
    }
}

impl<A, B, E> Unpin for Race<'_, A, B, E> {}

impl<T, E, A, B> Future for Race<'_, A, B, E>
where
    A: Future<Output = Result<T, E>>,
    B: Future<Output = Result<T, E>>,
{
    type Output = (Result<T, E>, bool);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(Poll::Ready(result)) = this.first.as_mut().map(|f| f.as_mut().poll(cx)) {
            this.first = None;
            match result {
                Ok(value) => return Poll::Ready((Ok(value), true)),
                Err(error) => this.first_error = Some(error),
            }
        }
        if let Some(Poll::Ready(result)) = this.second.as_mut().map(|f| f.as_mut().poll(cx)) {
            this.second = None;
            match result {
                Ok(value) => return Poll::Ready((Ok(value), false)),
                Err(error) => this.second_error = Some(error),
            }
        }
        if this.second_error.is_some()
            && let Some(error) = this.first_error.take()
        {
            return Poll::Ready((Err(error), true));
        }
        Poll::Pending
    }
}
