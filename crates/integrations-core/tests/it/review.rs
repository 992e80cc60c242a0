//! Corners of the stages: what is given back, what is sent at the edge of a deadline, who is blamed.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use integrations_core::pipeline::limiter::{LimitPolicy, RateWindow};
use integrations_core::pipeline::{Attempt, ConcurrencyPolicy, Pipeline, Policy, Scope, Stages, Wait};
use integrations_core::{Effect, Error, ErrorKind, Op, Result, Safety};
use tokio::time::{Instant, sleep};

static READ: Op = Op::new("demo", "read", Safety::Read);
static KEYED: Op = Op::new("demo", "charge", Safety::Keyed);
static ONCE: Op = Op::new("demo", "send", Safety::Once);

fn scope() -> Scope {
    Scope::new("acme", "demo_main")
}

fn pipeline(policy: Policy) -> Pipeline {
    Stages::new().pipeline(scope(), policy).unwrap()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn units(units: u64) -> RateWindow {
    RateWindow::new(NonZeroU64::new(units).unwrap(), Duration::from_secs(3600))
}

fn error(kind: ErrorKind, effect: Effect) -> Error {
    Error::new(kind, effect, "scripted")
}

async fn hang(_: Attempt<'_>) -> Result<()> {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn a_call_that_gives_up_in_the_queue_costs_no_quota() {
    let mut policy = Policy::default();
    policy.limit = Some(LimitPolicy::default().window(units(10)));
    policy.concurrency = Some(ConcurrencyPolicy::new(1));
    policy.wait = Wait::UpTo(ms(10));
    let pipeline = pipeline(policy);
    let held = tokio::spawn({
        let pipeline = pipeline.clone();
        async move { pipeline.run(&READ, None, hang).await }
    });
    sleep(ms(1)).await;
    for _ in 0..20 {
        let e = pipeline.run(&READ, None, hang).await.unwrap_err();
        assert!(e.message().contains("in flight"), "{e}");
    }
    held.abort();
    let _ = held.await;
    for call in 0..9 {
        pipeline.run(&READ, None, |_| async { Ok(()) }).await.unwrap_or_else(|e| panic!("call {call}: {e}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_attempt_counts_as_an_attempt() {
    let pipeline = pipeline(Policy::default());
    let call = tokio::spawn({
        let pipeline = pipeline.clone();
        async move { pipeline.run(&READ, None, hang).await }
    });
    sleep(ms(1)).await;
    call.abort();
    let _ = call.await;
    let counted = &pipeline.stages().metrics().snapshot()[0];
    assert_eq!(counted.calls(Some(ErrorKind::Cancelled)), 1);
    assert_eq!(counted.attempts(Some(ErrorKind::Cancelled)), 1);
}
