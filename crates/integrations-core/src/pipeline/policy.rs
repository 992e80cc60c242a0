//! What the stages do, as data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::breaker::BreakerPolicy;
use super::budget::BudgetPolicy;
use super::hedge::HedgePolicy;
use super::limiter::LimitPolicy;
use super::retry::RetryPolicy;
use crate::error::{Error, Result};

/// Who waits when the service, or our own limiter, says "not now".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The call waits, at most this long at a time; a longer delay is returned in the error at once.
    UpTo(Duration),
    /// The caller waits: every delay is returned in the error at once.
    FailFast,
}

impl Wait {
    /// The longest single wait.
    pub(crate) fn limit(self) -> Duration {
        match self {
            Self::UpTo(limit) => limit,
            Self::FailFast => Duration::ZERO,
        }
    }
}

impl Default for Wait {
    fn default() -> Self {
        Self::UpTo(Duration::from_secs(2))
    }
}

/// How many calls may be in flight to one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConcurrencyPolicy {
    /// Calls in flight, at least 1.
    pub max_in_flight: u32,
    /// Calls that may wait for a permit; more are refused at once. Tenants take turns.
    pub max_queue: u32,
}

impl ConcurrencyPolicy {
    /// A limit with the default queue.
    pub fn new(max_in_flight: u32) -> Self {
        Self { max_in_flight, ..Self::default() }
    }
}

impl Default for ConcurrencyPolicy {
    /// 1024 calls in flight, 10,000 waiting.
    ///
    /// A call that hangs keeps its permit until the attempt times out. 200 calls per second of which a fifth hangs
    /// for 10 s hold 480 permits; with 100 of them a brown-out of the service becomes an outage of ours. 1024 is also
    /// what Envoy allows: <https://envoyproxy.io/docs/envoy/v1.17.2/api-v3/config/cluster/v3/circuit_breaker.proto>.
    fn default() -> Self {
        Self { max_in_flight: 1024, max_queue: 10_000 }
    }
}

/// How the stages of one integration behave. `None` switches a stage off; the order never changes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// The whole call, waits and retries included.
    pub total_timeout: Duration,
    /// One attempt. For a streamed answer it ends at the headers.
    pub attempt_timeout: Duration,
    /// No chunk of an answer within this time ends the attempt.
    pub idle_timeout: Duration,
    /// Who waits.
    pub wait: Wait,
    /// Repeating failed attempts.
    pub retry: RetryPolicy,
    /// Holding calls back from a service that fails.
    pub breaker: Option<Arc<BreakerPolicy>>,
    /// The vendor's rate limit, shared by all callers of the same credential and bucket. Each bucket has windows of
    /// its own.
    pub limit: Option<LimitPolicy>,
    /// Buckets ([`Op::bucket`](crate::Op::bucket)) whose limit differs from [`Policy::limit`], by name.
    pub bucket_limits: BTreeMap<String, LimitPolicy>,
    /// This tenant's share of the vendor's rate limits: all its calls of the instance, whatever their bucket.
    pub tenant_limit: Option<LimitPolicy>,
    /// The part of the vendor's limits that this tenant gets while others wait too, above 0 and below 1; `None` for an
    /// equal part of what such tenants leave. While nobody else waits, every tenant may use everything.
    pub tenant_share: Option<f64>,
    /// The tokens that retries and hedges of one tenant cost.
    pub budget: BudgetPolicy,
    /// Calls in flight.
    pub concurrency: Option<ConcurrencyPolicy>,
    /// A second attempt for slow reads. Off by default: it spends vendor quota.
    pub hedge: Option<HedgePolicy>,
}

impl Policy {
    /// Refuses what cannot be meant: a time limit of 0, no attempt at all, a rate window without room.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind) that names the setting.
    pub fn validate(&self) -> Result<()> {
        let times = [
            ("total_timeout", self.total_timeout),
            ("attempt_timeout", self.attempt_timeout),
            ("idle_timeout", self.idle_timeout),
        ];
        for (name, time) in times {
            if time.is_zero() {
                return Err(Error::config(format!("`{name}` is 0, so that no call could ever succeed")));
            }
        }
        if self.retry.max_attempts == 0 {
            return Err(Error::config("`retry.max_attempts` is 0; 1 means a single attempt without retries"));
        }
        if !self.retry.multiplier.is_finite() || self.retry.multiplier < 1.0 {
            return Err(Error::config("`retry.multiplier` must be a number of at least 1"));
        }
        if self.tenant_share.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
            return Err(Error::config("`tenant_share` must be above 0 and below 1"));
        }
        let limits = [&self.limit, &self.tenant_limit].into_iter().flatten();
        limits.chain(self.bucket_limits.values()).try_for_each(LimitPolicy::validate)
    }
}

impl Policy {
    pub(crate) fn limit_of(&self, bucket: &str) -> Option<&LimitPolicy> {
        self.bucket_limits.get(bucket).or(self.limit.as_ref())
    }

    /// Whether both say the same of what the callers of one credential share.
    #[cfg(feature = "hub")]
    pub(crate) fn shares_gate_of(&self, other: &Self) -> bool {
        (&self.breaker, &self.limit, &self.bucket_limits, &self.concurrency)
            == (&other.breaker, &other.limit, &other.bucket_limits, &other.concurrency)
    }

    /// This policy with what the callers of one credential share taken from another.
    #[cfg(feature = "hub")]
    pub(crate) fn with_gate_of(&self, other: &Self) -> Self {
        Self {
            breaker: other.breaker.clone(),
            limit: other.limit.clone(),
            bucket_limits: other.bucket_limits.clone(),
            concurrency: other.concurrency,
            ..self.clone()
        }
    }
}

impl Default for Policy {
    /// 30 s in all, 10 s per attempt, 15 s between chunks; everything on but hedging and a tenant's share.
    fn default() -> Self {
        Self {
            total_timeout: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(15),
            wait: Wait::default(),
            retry: RetryPolicy::default(),
            breaker: Some(Arc::default()),
            limit: Some(LimitPolicy::default()),
            bucket_limits: BTreeMap::new(),
            tenant_limit: None,
            tenant_share: None,
            budget: BudgetPolicy::default(),
            concurrency: Some(ConcurrencyPolicy::default()),
            hedge: None,
        }
    }
}
