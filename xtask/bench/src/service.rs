//! The remote service every contestant calls, in memory.

use std::io;
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;

/// A call: its own key, and a body that all calls share.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) key: u64,
    pub(crate) body: Bytes,
}

/// An answer: the key of the request, so that a stage that answers by itself would be found out.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) key: u64,
}

#[async_trait]
pub(crate) trait Service: Send + Sync + 'static {
    async fn call(&self, request: Request) -> io::Result<Response>;
}

/// Answers at the first poll.
#[derive(Debug)]
pub(crate) struct Ready {
    /// Read on each call, so that a call touches what its handle points to, as a real one does.
    pub(crate) mask: u64,
}

#[async_trait]
impl Service for Ready {
    async fn call(&self, request: Request) -> io::Result<Response> {
        Ok(Response { key: request.key & self.mask })
    }
}

/// Is pending once and wakes itself, as a socket that is read at the next turn of the event loop.
#[derive(Debug)]
pub(crate) struct PendingOnce;

#[async_trait]
impl Service for PendingOnce {
    async fn call(&self, request: Request) -> io::Result<Response> {
        let mut polled = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        Ok(Response { key: request.key })
    }
}
