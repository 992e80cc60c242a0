//! The pipeline of `integrations-core` as a contestant.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use integrations_core::pipeline::hedge::HedgePolicy;
use integrations_core::pipeline::limiter::{LimitPolicy, RateWindow};
use integrations_core::pipeline::{ConcurrencyPolicy, Pipeline, Policy, Scope, Stages};
use integrations_core::{Effect, Error, ErrorKind, Op, Safety};

use crate::contestant::{BoxError, Contestant};
use crate::service::{Request, Response, Service};

pub(crate) const WIRED: bool = true;

/// The stages that a call of [`Ours`] passes: all of them.
pub(crate) const STAGES: &str = "span, metrics, kill switch, total deadline, retry with two budgets, hedging, \
                                 breaker, vendor rate limit, tenant rate limit, concurrency, attempt timeout";

/// A read, so that hedging is armed. The idempotency stage acts on keyed operations only.
static OP: Op = Op::new("bench", "call", Safety::Read);
static KEYED: Op = Op::new("bench", "keyed", Safety::Keyed);

/// One resolved handle per tenant over one service.
pub(crate) struct Ours {
    service: Arc<dyn Service>,
    handles: Vec<Pipeline>,
    op: &'static Op,
}

impl Ours {
    /// Resolves the handles of `tenants` tenants, each with a credential of its own, hence with its own quota and
    /// breaker. It runs inside a runtime; limits are so high that no call waits.
    pub(crate) fn new(service: Arc<dyn Service>, tenants: usize) -> Self {
        let (stages, policy) = (Stages::with_max_keys(tenants * 2), Arc::new(policy()));
        let handle = |tenant: usize| {
            let tenant: Arc<str> = tenant.to_string().into();
            let scope = Scope::new(tenant.clone(), "bench_main").with_credential(tenant);
            stages.pipeline(scope, policy.clone()).expect("the policy above is valid")
        };
        Self { service, handles: (0..tenants).map(handle).collect(), op: &OP }
    }

    /// The same with an operation that gets a random idempotency key per call instead of a hedge.
    pub(crate) fn keyed(service: Arc<dyn Service>) -> Self {
        Self { op: &KEYED, ..Self::new(service, 1) }
    }
}

fn policy() -> Policy {
    let window =
        RateWindow::new(NonZeroU64::new(RateWindow::FASTEST).expect("not 0"), Duration::from_secs(1));
    let limit = LimitPolicy::default().window(window.burst(u32::MAX));
    let mut policy = Policy::default();
    policy.limit = Some(limit.clone());
    policy.tenant_limit = Some(limit);
    policy.concurrency = Some(ConcurrencyPolicy::new(1_000));
    policy.hedge = Some(HedgePolicy::default());
    policy
}

impl Contestant for Ours {
    async fn call(&self, tenant: usize, request: Request) -> Result<Response, BoxError> {
        let run = self.handles[tenant].run(self.op, None, |_| {
            let call = self.service.call(request.clone());
            async move {
                call.await
                    .map_err(|e| Error::new(ErrorKind::Transport, Effect::Unknown, "broken").with_source(e))
            }
        });
        Ok(run.await?)
    }
}
