//! tower's layers.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Sleep;
use tower::retry::Policy;
use tower::retry::budget::{Budget, TpsBudget};
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};

use super::{BACKOFF, CALLS_PER_SECOND, CONCURRENCY, RETRIES, TIMEOUT};
use crate::contestant::{BoxError, Contestant};
use crate::service::{Request, Response, Service};

pub(crate) const FOUR: &str = "load shed, concurrency limit, retry with budget, timeout";
pub(crate) const FIVE: &str = "buffer, load shed, concurrency limit, rate limit, retry with budget, timeout";

/// Requests that may wait for the worker of a buffer.
const BUFFER: usize = 1024;

/// A tower service, cloned for each call.
pub(crate) struct Tower<S>(S);

impl<S> Contestant for Tower<S>
where
    S: tower::Service<Request, Response = Response, Error = BoxError> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    async fn call(&self, _tenant: usize, request: Request) -> Result<Response, BoxError> {
        let mut service = self.0.clone();
        service.ready().await?.call(request).await
    }
}

/// The layers that can be cloned, as one static type.
pub(crate) fn four(service: Arc<dyn Service>) -> impl Contestant {
    Tower(stack(service))
}

/// The same, boxed: the type that an application can name in its own structs.
pub(crate) fn four_boxed(service: Arc<dyn Service>) -> impl Contestant {
    Tower(BoxCloneSyncService::new(stack(service)))
}

/// With the rate limit, which cannot be cloned and so lives behind a buffer. Spawns the buffer's worker on the
/// current runtime.
pub(crate) fn five_behind_buffer(service: Arc<dyn Service>) -> impl Contestant {
    let stack = ServiceBuilder::new()
        .buffer(BUFFER)
        .load_shed()
        .concurrency_limit(CONCURRENCY)
        .rate_limit(u64::from(CALLS_PER_SECOND), Duration::from_secs(1))
        .retry(RetryErrors::new())
        .timeout(TIMEOUT)
        .service(leaf(service));
    Tower(BoxCloneSyncService::new(stack))
}

fn stack(
    service: Arc<dyn Service>,
) -> impl tower::Service<
    Request,
    Response = Response,
    Error = BoxError,
    Future = impl Future<Output = Result<Response, BoxError>> + Send + 'static,
> + Clone
+ Send
+ Sync
+ 'static {
    ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(CONCURRENCY)
        .retry(RetryErrors::new())
        .timeout(TIMEOUT)
        .service(leaf(service))
}

fn leaf(
    service: Arc<dyn Service>,
) -> impl tower::Service<
    Request,
    Response = Response,
    Error = std::io::Error,
    Future = impl Future<Output = std::io::Result<Response>> + Send + 'static,
> + Clone
+ Send
+ Sync
+ 'static {
    tower::service_fn(move |request| {
        let service = Arc::clone(&service);
        async move { service.call(request).await }
    })
}

/// Retries every failure, as often as the budget and [`RETRIES`] allow.
#[derive(Clone)]
struct RetryErrors {
    budget: Arc<TpsBudget>,
    left: u32,
}

impl RetryErrors {
    fn new() -> Self {
        Self { budget: Arc::new(TpsBudget::default()), left: RETRIES }
    }
}

impl<E> Policy<Request, Response, E> for RetryErrors {
    type Future = Sleep;

    fn retry(&mut self, _request: &mut Request, result: &mut Result<Response, E>) -> Option<Sleep> {
        if result.is_ok() {
            self.budget.deposit();
            return None;
        }
        if self.left == 0 || !self.budget.withdraw() {
            return None;
        }
        self.left -= 1;
        Some(tokio::time::sleep(BACKOFF))
    }

    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        Some(request.clone())
    }
}
