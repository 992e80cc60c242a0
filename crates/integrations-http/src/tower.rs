//! Any transport as a tower service.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use integrations_core::{Body, Exchange, Op, Payload, Transport, TransportError, TransportFailure};
use tower_service::Service;

/// A [`Transport`] as a `tower_service::Service`, for code that is built of tower layers. Every request counts as
/// a first attempt of one operation; none of the pipeline's stages apply.
#[derive(Clone)]
pub struct TransportService<T> {
    transport: T,
    op: &'static Op,
    timeout: Duration,
    idle_timeout: Duration,
}

impl<T> TransportService<T> {
    /// Sends through `transport` as `op`. The whole exchange up to the headers may take `timeout`, each chunk of the
    /// body `idle_timeout`.
    pub fn new(transport: T, op: &'static Op, timeout: Duration, idle_timeout: Duration) -> Self {
        Self { transport, op, timeout, idle_timeout }
    }
}

impl<T> fmt::Debug for TransportService<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportService").field("op", &self.op.name).finish_non_exhaustive()
    }
}

impl<T: Transport + Clone> Service<Request<Body>> for TransportService<T> {
    type Response = Response<Payload>;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Payload>, TransportError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let transport = self.transport.clone();
        let (op, timeout, idle) = (self.op, self.timeout, self.idle_timeout);
        Box::pin(async move {
            let sending = transport.send(request, Exchange::new(op, 1, timeout));
            let Ok(outcome) = tokio::time::timeout(timeout, sending).await else {
                let message = format!("no answer within {timeout:?}");
                return Err(TransportError::new(TransportFailure::Timeout, true, message));
            };
            Ok(outcome?.map(|payload| match payload {
                Payload::Stream(stream) => Payload::Stream(stream.guarded(idle, Duration::MAX)),
                whole => whole,
            }))
        })
    }
}
