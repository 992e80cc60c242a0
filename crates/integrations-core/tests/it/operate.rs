//! What an operator sees and does at run time: switches, other policies, health, the state of gates.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use integrations_core::pipeline::breaker::{BreakerPolicy, State};
use integrations_core::pipeline::budget::BudgetPolicy;
use integrations_core::pipeline::limiter::{LimitPolicy, RateWindow};
use integrations_core::pipeline::{Attempt, ConcurrencyPolicy, Pipeline, Policy, Scope, Stages, Wait};
use integrations_core::{Effect, Error, ErrorKind, Op, Result, Safety};
use tokio::time::{Instant, sleep};

static READ: Op = Op::new("demo", "read", Safety::Read);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn handle(stages: &Arc<Stages>, tenant: &str, instance: &str, policy: &Policy) -> Pipeline {
    stages.pipeline(Scope::new(tenant, instance), policy.clone()).unwrap()
}

fn window(limit: u64, per: Duration) -> LimitPolicy {
    LimitPolicy::default().window(RateWindow::new(NonZeroU64::new(limit).unwrap(), per))
}

/// One attempt only.
fn single() -> Policy {
    let mut policy = Policy::default();
    policy.retry.max_attempts = 1;
    policy
}

async fn ok(pipeline: &Pipeline) -> Result<()> {
    pipeline.run(&READ, None, |_: Attempt<'_>| async { Ok(()) }).await
}

async fn fails(pipeline: &Pipeline, kind: ErrorKind, effect: Effect) -> Error {
    let error = Error::new(kind, effect, "the answer said 4111-1111").with_status(418).with_code("teapot");
    pipeline.run(&READ, None, |_: Attempt<'_>| async { Err::<(), _>(error.clone()) }).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn instances_tenants_and_pairs_are_switched_for_handles_old_and_new() {
    let cases = [
        (None, Some("one"), [false, true, false, true], "`one` is switched off"),
        (Some("ant"), None, [false, false, true, true], "for this tenant"),
        (Some("ant"), Some("one"), [false, true, true, true], "for this tenant"),
        (None, None, [false; 4], "all integrations"),
    ];
    let pairs = [("ant", "one"), ("ant", "two"), ("bee", "one"), ("bee", "two")];
    for (tenant, instance, passes, says) in cases {
        let (stages, policy) = (Stages::new(), Policy::default());
        let old = pairs.map(|(tenant, instance)| handle(&stages, tenant, instance, &policy));
        for pipeline in &old {
            ok(pipeline).await.unwrap();
        }
        stages.switch(tenant, instance, false);
        let new = pairs.map(|(tenant, instance)| handle(&stages, tenant, instance, &policy));
        for pipeline in [&old, &new] {
            for (pipeline, passes) in pipeline.iter().zip(passes) {
                match ok(pipeline).await {
                    Ok(()) => assert!(passes, "{:?} {tenant:?} {instance:?}", pipeline.scope()),
                    Err(e) => {
                        assert!(!passes, "{:?} {tenant:?} {instance:?}", pipeline.scope());
                        assert_eq!(
                            (e.kind(), e.effect(), e.attempts()),
                            (ErrorKind::Config, Effect::NotSent, 0)
                        );
                        assert!(e.message().contains(says) && e.hint().is_some(), "{e}");
                    }
                }
            }
        }
        stages.switch(tenant, instance, true);
        for pipeline in old.iter().chain(&new) {
            ok(pipeline).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_in_a_queue_are_turned_away_when_their_turn_comes() {
    let mut at_the_limiter = single();
    at_the_limiter.limit = Some(window(1, ms(500)));
    let mut for_a_permit = single();
    for_a_permit.concurrency = Some(ConcurrencyPolicy::new(1));
    for policy in [at_the_limiter, for_a_permit] {
        let stages = Stages::new();
        let pipeline = handle(&stages, "ant", "one", &policy);
        let sent = Arc::new(AtomicU32::new(0));
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let (pipeline, sent) = (pipeline.clone(), sent.clone());
                tokio::spawn(async move {
                    let run = |_: Attempt<'_>| {
                        sent.fetch_add(1, SeqCst);
                        async { Ok(sleep(ms(400)).await) }
                    };
                    pipeline.run(&READ, None, run).await
                })
            })
            .collect();
        sleep(ms(10)).await;
        stages.switch(Some("ant"), None, false);
        let mut turned_away = 0;
        for call in calls {
            turned_away += u32::from(call.await.unwrap().is_err_and(|e| e.kind() == ErrorKind::Config));
        }
        assert_eq!((sent.load(SeqCst), turned_away), (1, 2));
        assert_eq!(stages.gates()[0].waiting, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_stays_open_until_the_same_time() {
    let (stages, mut policy) = (Stages::new(), single());
    policy.wait = Wait::FailFast;
    policy.limit = None;
    let old = handle(&stages, "ant", "one", &policy);
    while ok(&old).await.is_ok() {
        fails(&old, ErrorKind::Unavailable, Effect::Unknown).await;
        for _ in 0..30 {
            fails(&old, ErrorKind::Unavailable, Effect::Unknown).await;
        }
    }
    sleep(ms(400)).await;
    let left = stages.gates()[0].reopens_in.unwrap();
    policy.breaker = Some(Arc::new(BreakerPolicy::default().open_for(Duration::from_secs(60))));
    stages.reshape("one", &policy);
    assert_eq!(stages.gates()[0].reopens_in, Some(left));
    let new = handle(&stages, "ant", "one", &policy);
    assert_eq!(ok(&new).await.unwrap_err().kind(), ErrorKind::CircuitOpen);
    sleep(ms(601)).await;
    for _ in 0..5 {
        ok(&new).await.unwrap();
    }
}

/// Handles are made anew all the time while policies change all the time and the service asks for a pause now and then.
#[tokio::test(start_paused = true)]
async fn policies_change_under_load_without_a_failed_call_or_a_lost_pause() {
    for seed in 0..5 {
        let mut random = fastrand::Rng::with_seed(seed);
        let stages = Stages::new();
        let policies: Vec<Policy> = (1..=4_u64)
            .map(|n| {
                let mut policy = Policy::default();
                policy.retry.max_attempts = 10;
                policy.wait = Wait::UpTo(Duration::from_secs(10));
                policy.limit = Some(window(200 + 50 * n, Duration::from_secs(1)).adaptive(n != 4));
                policy.concurrency = Some(ConcurrencyPolicy::new(10 + n as u32));
                policy.tenant_limit = Some(window(100 * n, Duration::from_secs(1)));
                policy.budget = BudgetPolicy::default().capacity(10_000 + n as u32);
                policy
            })
            .collect();
        let (paused_until, end) = (Arc::new(AtomicU64::new(0)), Instant::now() + Duration::from_secs(20));
        let (start, throttle) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let mut tasks = Vec::new();
        for n in 0..20_u32 {
            let (stages, policies) = (stages.clone(), policies.clone());
            let (paused_until, throttle) = (paused_until.clone(), throttle.clone());
            tasks.push(tokio::spawn(async move {
                let mut calls = 0;
                let mut kept = handle(&stages, &format!("tenant-{}", n % 3), "one", &policies[0]);
                while Instant::now() < end {
                    // Half of the callers keep their handle for a while.
                    if n % 2 == 0 || calls % 7 == 0 {
                        kept = handle(&stages, &format!("tenant-{}", n % 3), "one", &policies[calls % 4]);
                    }
                    let run = |_: Attempt<'_>| {
                        let at = start.elapsed().as_nanos() as u64;
                        assert!(at >= paused_until.load(SeqCst), "seed {seed}: sent during a pause");
                        let told = throttle.swap(false, SeqCst).then_some(ms(300));
                        if let Some(delay) = told {
                            paused_until.store(at + delay.as_nanos() as u64, SeqCst);
                        }
                        async move {
                            let Some(delay) = told else { return Ok(sleep(ms(7)).await) };
                            Err(Error::new(ErrorKind::RateLimited, Effect::Rejected, "")
                                .with_retry_after(delay))
                        }
                    };
                    kept.run(&READ, None, run)
                        .await
                        .unwrap_or_else(|e| panic!("seed {seed}: {}", e.explain()));
                    calls += 1;
                }
                calls
            }));
        }
        while Instant::now() < end {
            sleep(ms(random.u64(1..40))).await;
            let policy = random.choice(&policies).unwrap();
            stages.reshape("one", policy);
            stages.reshape_tenant(&format!("tenant-{}", random.u8(..3)), "one", policy);
            throttle.fetch_or(random.u8(..60) == 0, SeqCst);
        }
        let mut calls = 0;
        for task in tasks {
            calls += task.await.unwrap();
        }
        println!("seed {seed}: {calls} calls");
        assert!(calls > 1_000, "seed {seed}: {calls}");
        let gate = &stages.gates()[0];
        assert_eq!((gate.in_flight, gate.waiting), (0, 0), "seed {seed}");
    }
}

/// A handle that was made before keeps its gate; what operators and the service say concerns it all the same.
#[tokio::test(start_paused = true)]
async fn older_gates_are_held_open_paused_and_counted_too() {
    let (stages, mut policy) = (Stages::new(), single());
    policy.wait = Wait::FailFast;
    let old = handle(&stages, "ant", "one", &policy);
    ok(&old).await.unwrap();
    policy.concurrency = Some(ConcurrencyPolicy::new(7));
    stages.reshape("one", &policy);
    let new = handle(&stages, "ant", "one", &policy);
    ok(&new).await.unwrap();
    stages.force_breakers("one", State::ForcedOpen);
    for pipeline in [&old, &new] {
        assert_eq!(ok(pipeline).await.unwrap_err().kind(), ErrorKind::CircuitOpen);
    }
    stages.force_breakers("one", State::Closed);
    let busy = Error::new(ErrorKind::Unavailable, Effect::Rejected, "busy").with_retry_after(ms(900));
    old.run(&READ, None, |_: Attempt<'_>| async { Err::<(), _>(busy.clone()) }).await.unwrap_err();
    let told = ok(&new).await.unwrap_err().retry_after().unwrap();
    assert!((ms(850)..=ms(900)).contains(&told), "{told:?}");
}
