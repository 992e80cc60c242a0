//! The usual crates put together in thirty lines, as in many an application.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use failsafe::backoff::EqualJittered;
use failsafe::failure_policy::ConsecutiveFailures;
use failsafe::futures::CircuitBreaker;
use failsafe::{Config, StateMachine, backoff, failure_policy};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::Semaphore;

use super::{BACKOFF, CALLS_PER_SECOND, CONCURRENCY, RETRIES, TIMEOUT};
use crate::contestant::{BoxError, Contestant};
use crate::service::{Request, Response, Service};

pub(crate) const STAGES: &str = "retry, rate limit by key, concurrency limit, circuit breaker, timeout";

pub(crate) struct ByHand {
    service: Arc<dyn Service>,
    limiter: DefaultKeyedRateLimiter<u64>,
    permits: Semaphore,
    breaker: StateMachine<ConsecutiveFailures<EqualJittered>, ()>,
}

impl ByHand {
    /// With the limiter's map filled, so that no timed call adds a tenant.
    pub(crate) fn new(service: Arc<dyn Service>, tenants: usize) -> Result<Self, BoxError> {
        let rate = NonZeroU32::new(CALLS_PER_SECOND).ok_or("the rate is zero")?;
        let limiter = RateLimiter::keyed(Quota::per_second(rate));
        for tenant in 0..tenants as u64 {
            limiter.check_key(&tenant).map_err(|_| "the limiter refuses a first call")?;
        }
        let opened_for = backoff::equal_jittered(Duration::from_secs(1), TIMEOUT);
        let breaker =
            Config::new().failure_policy(failure_policy::consecutive_failures(5, opened_for)).build();
        Ok(Self { service, limiter, permits: Semaphore::new(CONCURRENCY), breaker })
    }

    async fn attempt(&self, tenant: u64, request: Request) -> Result<Response, Failure> {
        self.limiter.until_key_ready(&tenant).await;
        let _permit = self.permits.acquire().await.map_err(|_| Failure::Closed)?;
        let answer = async { Ok(tokio::time::timeout(TIMEOUT, self.service.call(request)).await??) };
        self.breaker.call(answer).await.map_err(|e| match e {
            failsafe::Error::Inner(failure) => failure,
            failsafe::Error::Rejected => Failure::Open,
        })
    }
}

impl Contestant for ByHand {
    async fn call(&self, tenant: usize, request: Request) -> Result<Response, BoxError> {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(BACKOFF)
            .with_max_times(RETRIES as usize)
            .with_jitter();
        let answer = (|| self.attempt(tenant as u64, request.clone()))
            .retry(backoff)
            .sleep(tokio::time::sleep)
            .when(Failure::is_transient)
            .await;
        Ok(answer?)
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the service failed")]
    Service(#[from] std::io::Error),
    #[error("the service took too long")]
    Timeout(#[from] tokio::time::error::Elapsed),
    #[error("the circuit is open")]
    Open,
    #[error("the client is closed")]
    Closed,
}

impl Failure {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Service(_) | Self::Timeout(_))
    }
}

/// The same behind a trait object, as an application holds it to swap it in tests.
pub(crate) struct ByHandDyn(Arc<dyn Client>);

impl ByHandDyn {
    pub(crate) fn new(service: Arc<dyn Service>) -> Result<Self, BoxError> {
        Ok(Self(Arc::new(ByHand::new(service, 1)?)))
    }
}

impl Contestant for ByHandDyn {
    async fn call(&self, tenant: usize, request: Request) -> Result<Response, BoxError> {
        self.0.send(tenant, request).await
    }
}

#[async_trait]
trait Client: Send + Sync {
    async fn send(&self, tenant: usize, request: Request) -> Result<Response, BoxError>;
}

#[async_trait]
impl Client for ByHand {
    async fn send(&self, tenant: usize, request: Request) -> Result<Response, BoxError> {
        self.call(tenant, request).await
    }
}
