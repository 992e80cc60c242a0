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

/// The stages that a call of [`Ours`] passes: all of them.
pub(crate) const STAGES: &str = "span, metrics, kill switch, total deadline, retry with two budgets, hedging, \
                                 breaker, vendor rate limit, tenant rate limit, concurrency, attempt timeout";

/// The same for [`KEYED`].
pub(crate) const KEYED_STAGES: &str = "span, metrics, kill switch, total deadline, idempotency key, retry with two \
                                       budgets, breaker, vendor rate limit, tenant rate limit, concurrency, \
                                       attempt timeout";

/// A read, so that hedging is armed.
pub(crate) static READ: Op = Op::new("bench", "read", Safety::Read);
/// Gets a random idempotency key per call; it is never hedged.
pub(crate) static KEYED: Op = Op::new("bench", "keyed", Safety::Keyed);

/// One resolved handle per tenant over one service.
pub(crate) struct Ours {
    service: Arc<dyn Service>,
    handles: Vec<Pipeline>,
    op: &'static Op,
}

impl Ours {
    /// Resolves the handles of `tenants` tenants, each with a credential of its own, hence with its own quota and
    /// breaker. It runs inside a runtime; limits are so high that no call waits.
    pub(crate) fn new(service: Arc<dyn Service>, tenants: usize, op: &'static Op) -> Self {
        let (stages, policy) = (Stages::with_max_keys(tenants * 2), Arc::new(policy()));
        let handle = |tenant: usize| {
            // A handle is kept: its keys are found once, not per call.
            let tenant: Arc<str> = tenant.to_string().into();
            let scope = Scope::new(tenant.clone(), "bench_main").with_credential(tenant);
            let handle = stages.pipeline(scope, policy.clone()).expect("the policy above is valid");
            handle.prepare(op);
            handle
        };
        Self { service, handles: (0..tenants).map(handle).collect(), op }
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
