//! The stages together: what is repeated, who waits, what is given back.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use integrations_core::pipeline::limiter::{LimitPolicy, Priority, RateWindow};
use integrations_core::pipeline::{Attempt, Pipeline, Policy, Scope, Stages, Wait};
use integrations_core::{Effect, Error, ErrorKind, IdempotencyKey, Op, Repeat, Result, Safety};
use tokio::time::{Instant, sleep};

static READ: Op = Op::new("demo", "read", Safety::Read);
static WRITE: Op = Op::new("demo", "write", Safety::Idempotent);
static KEYED: Op = Op::new("demo", "charge", Safety::Keyed);
static ONCE: Op = Op::new("demo", "send", Safety::Once);

fn pipeline(policy: Policy) -> Pipeline {
    Stages::new().pipeline(Scope::new("acme", "demo_main"), policy).unwrap()
}

fn error(kind: ErrorKind, effect: Effect) -> Error {
    Error::new(kind, effect, "scripted")
}

fn down() -> Error {
    error(ErrorKind::Unavailable, Effect::Unknown)
}

fn throttled(after: Duration) -> Error {
    error(ErrorKind::RateLimited, Effect::Rejected).with_retry_after(after)
}

/// Runs a call whose attempts fail as scripted and then succeed; gives the result and the number of attempts.
async fn scripted(pipeline: &Pipeline, op: &'static Op, failures: Vec<Error>) -> (Result<u32>, u32) {
    let sent = AtomicU32::new(0);
    let run = |attempt: Attempt<'_>| {
        sent.fetch_add(1, SeqCst);
        let failure = failures.get(attempt.number as usize - 1).cloned();
        async move { failure.map_or(Ok(attempt.number), Err) }
    };
    let result = pipeline.run(op, None, run).await;
    (result, sent.load(SeqCst))
}

#[tokio::test(start_paused = true)]
async fn transient_failures_are_repeated_as_effect_and_safety_allow() {
    let unknown = || vec![down()];
    let not_sent = || vec![error(ErrorKind::Transport, Effect::NotSent)];
    let rejected = || vec![throttled(Duration::from_millis(100))];
    let applied = || vec![error(ErrorKind::Decode, Effect::Applied)];
    let cases: [(&'static Op, Vec<Error>, u32); 12] = [
        (&READ, unknown(), 2),
        (&WRITE, unknown(), 2),
        (&KEYED, unknown(), 2),
        (&ONCE, unknown(), 1),
        (&READ, not_sent(), 2),
        (&ONCE, not_sent(), 2),
        (&READ, rejected(), 2),
        (&KEYED, rejected(), 2),
        (&ONCE, rejected(), 1),
        (&READ, applied(), 1),
        (&KEYED, applied(), 1),
        (&READ, vec![error(ErrorKind::NotFound, Effect::Rejected)], 1),
    ];
    for (op, failures, attempts) in cases {
        let effect = failures[0].effect();
        let (result, sent) = scripted(&pipeline(Policy::default()), op, failures).await;
        assert_eq!(sent, attempts, "{} {effect}", op.name);
        assert_eq!(result.is_ok(), attempts == 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_tells_operation_attempts_and_story() {
    let (result, _) = scripted(&pipeline(Policy::default()), &READ, vec![down(), down(), down()]).await;
    let e = result.unwrap_err();
    assert_eq!((e.provider(), e.operation(), e.attempts()), ("demo", "read", 3));
    let story = e.explain();
    for part in
        ["attempt 1 failed", "attempt 3 failed", "backoff", "all attempts are used up", "may have acted"]
    {
        assert!(story.contains(part), "{part} in {story}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_key_is_minted_once_and_is_equal_on_all_attempts() {
    for given in [None, Some(IdempotencyKey::new("order-1").unwrap())] {
        let keys = std::sync::Mutex::new(Vec::new());
        let run = |attempt: Attempt<'_>| {
            keys.lock().unwrap().push(attempt.call.key.clone().unwrap());
            async { Err::<(), _>(down()) }
        };
        let _ = pipeline(Policy::default()).run(&KEYED, given.clone(), run).await;
        let keys = keys.into_inner().unwrap();
        assert_eq!(keys.len(), 3);
        assert!(keys.iter().all(|k| *k == keys[0] && given.as_ref().is_none_or(|g| g == k)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_not_forgotten_when_a_later_attempt_is_refused() {
    let refused = error(ErrorKind::Transport, Effect::NotSent);
    let failures = || vec![down(), refused.clone(), refused.clone()];
    let (result, _) = scripted(&pipeline(Policy::default()), &KEYED, failures()).await;
    assert_eq!(result.unwrap_err().effect(), Effect::Unknown);
    let (result, _) = scripted(&pipeline(Policy::default()), &READ, failures()).await;
    assert_eq!(result.unwrap_err().effect(), Effect::NotSent);
    // The vendor's verdict on the key settles what became of the first attempt.
    let declined = vec![down(), error(ErrorKind::Declined, Effect::Rejected)];
    let (result, _) = scripted(&pipeline(Policy::default()), &KEYED, declined).await;
    assert_eq!(result.unwrap_err().effect(), Effect::Rejected);
}

#[tokio::test(start_paused = true)]
async fn attempts_and_calls_end_in_time() {
    let start = Instant::now();
    let mut policy = Policy::default();
    policy.attempt_timeout = Duration::from_secs(4);
    policy.total_timeout = Duration::from_secs(10);
    let hang = |_: Attempt<'_>| std::future::pending::<Result<()>>();
    let e = pipeline(policy.clone()).run(&READ, None, hang).await.unwrap_err();
    assert_eq!((e.kind(), e.effect()), (ErrorKind::Timeout, Effect::Unknown));
    assert!(start.elapsed() <= Duration::from_millis(10_002), "{:?}", start.elapsed());
    let start = Instant::now();
    let e = pipeline(policy).with_timeout(Duration::from_secs(1)).run(&ONCE, None, hang).await.unwrap_err();
    assert_eq!((e.attempts(), e.effect()), (1, Effect::Unknown));
    assert!(start.elapsed() <= Duration::from_millis(1_002));
}

#[tokio::test(start_paused = true)]
async fn a_servers_delay_pauses_every_caller_of_the_quota_and_ends_for_all_at_once() {
    // With the rate left alone, all 500 go when the pause ends (the one that was told, up to a
    // tenth of the delay later); by default they are spread from then on.
    for (adaptive, spread) in [(false, 250), (true, 1_000)] {
        let mut policy = Policy::default();
        policy.limit = Some(LimitPolicy::default().adaptive(adaptive));
        let late = after_a_pause(policy).await;
        assert!(late[0] < Duration::from_millis(50), "the first goes at once: {:?}", late[0]);
        assert!(late[499] < Duration::from_millis(spread), "{:?}", late[499]);
    }
}

/// How long after the end of a vendor's pause each of 500 calls of 7 tenants was sent; panics if one was sent before.
async fn after_a_pause(policy: Policy) -> Vec<Duration> {
    let (stages, policy) = (Stages::new(), Arc::new(policy));
    let told = Duration::from_millis(1_500);
    let calls = Arc::new(AtomicU32::new(0));
    let paused_until = Instant::now() + told;
    let mut tasks = Vec::new();
    for n in 0..500 {
        let pipeline =
            stages.pipeline(Scope::new(format!("tenant-{}", n % 7), "demo_main"), policy.clone()).unwrap();
        let calls = calls.clone();
        tasks.push(tokio::spawn(async move {
            let run = |_: Attempt<'_>| {
                let first = calls.fetch_add(1, SeqCst) == 0;
                async move { if first { Err(throttled(told)) } else { Ok(Instant::now()) } }
            };
            pipeline.run(&READ, None, run).await
        }));
        // The first call is answered before the others come.
        tokio::task::yield_now().await;
    }
    let mut late = Vec::new();
    for task in tasks {
        let at = task.await.unwrap().unwrap();
        late.push(at.checked_duration_since(paused_until).expect("a call went out during the pause"));
    }
    assert_eq!(calls.load(SeqCst), 501);
    late.sort();
    late
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_a_policy() {
    let waits = [
        (Wait::FailFast, Duration::from_millis(10), false),
        (Wait::UpTo(Duration::from_secs(2)), Duration::from_secs(1), true),
        (Wait::UpTo(Duration::from_secs(2)), Duration::from_secs(3), false),
    ];
    for (wait, told, waited) in waits {
        let mut policy = Policy::default();
        policy.wait = wait;
        let pipeline = pipeline(policy);
        let start = Instant::now();
        let (result, sent) = scripted(&pipeline, &READ, vec![throttled(told)]).await;
        assert_eq!((result.is_ok(), sent), (waited, if waited { 2 } else { 1 }), "{wait:?} {told:?}");
        if let Err(e) = result {
            assert_eq!(e.retry_after(), Some(told));
            assert!(start.elapsed() < Duration::from_millis(2));
            let (second, sent) = scripted(&pipeline, &READ, vec![]).await;
            let e = second.unwrap_err();
            assert_eq!((e.kind(), e.effect(), sent), (ErrorKind::RateLimited, Effect::NotSent, 0));
            assert!(e.retry_after().unwrap() <= told + Duration::from_millis(50), "{:?}", e.retry_after());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_can_have_a_limit_of_its_own() {
    static SLOW: Op = Op::new("demo", "slow", Safety::Read).bucket("slow");
    let window = |n| RateWindow::new(NonZeroU64::new(n).unwrap(), Duration::from_secs(60));
    let mut policy = Policy::default();
    policy.wait = Wait::FailFast;
    policy.limit = Some(LimitPolicy::default().window(window(100)));
    policy.bucket_limits.insert("slow".into(), LimitPolicy::default().window(window(2)));
    let pipeline = pipeline(policy);
    for (op, allowed) in [(&SLOW, 2), (&READ, 100)] {
        for _ in 0..allowed {
            scripted(&pipeline, op, vec![]).await.0.unwrap();
        }
        assert_eq!(scripted(&pipeline, op, vec![]).await.0.unwrap_err().kind(), ErrorKind::RateLimited);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_in_one_bucket_does_not_hold_back_the_tenants_other_buckets() {
    static OTHER: Op = Op::new("demo", "other", Safety::Read).bucket("other");
    let window = RateWindow::new(NonZeroU64::new(1_000).unwrap(), Duration::from_secs(1));
    let mut policy = Policy::default();
    policy.tenant_limit = Some(LimitPolicy::default().window(window));
    let pipeline = pipeline(policy);
    let refused = scripted(&pipeline, &READ, vec![throttled(Duration::from_secs(3_600))]).await.0;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::RateLimited);
    assert_eq!(scripted(&pipeline, &READ, vec![]).await.1, 0, "the bucket itself is paused");
    scripted(&pipeline, &OTHER, vec![]).await.0.unwrap();
}

#[tokio::test(start_paused = true)]
async fn batch_work_waits_until_there_is_headroom_for_others() {
    let window = RateWindow::new(NonZeroU64::new(10).unwrap(), Duration::from_secs(1));
    let mut policy = Policy::default();
    policy.limit = Some(LimitPolicy::default().window(window));
    let interactive = pipeline(policy);
    let batch = interactive.clone().with_priority(Priority::Batch);
    let start = Instant::now();
    for _ in 0..10 {
        scripted(&interactive, &READ, vec![]).await.0.unwrap();
    }
    assert!(start.elapsed() < Duration::from_millis(2), "a burst goes at once");
    scripted(&batch, &READ, vec![]).await.0.unwrap();
    let waited = start.elapsed();
    assert!((400..=800).contains(&waited.as_millis()), "half of the burst is kept for others: {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn the_breaker_opens_on_ill_health_only_and_lets_calls_through_again() {
    let mut policy = Policy::default();
    policy.retry.max_attempts = 1;
    policy.wait = Wait::FailFast;
    let pipeline = pipeline(policy);
    for kind in
        [ErrorKind::NotFound, ErrorKind::Unauthenticated, ErrorKind::InvalidRequest, ErrorKind::RateLimited]
    {
        for _ in 0..500 {
            let (result, _) = scripted(&pipeline, &READ, vec![error(kind, Effect::Rejected)]).await;
            assert_eq!(result.unwrap_err().kind(), kind, "{kind} opened the breaker");
        }
    }
    let mut policy = pipeline.policy().clone();
    policy.limit = None;
    let pipeline = self::pipeline(policy);
    let mut refused = None;
    for _ in 0..500 {
        if let (Err(e), 0) = scripted(&pipeline, &READ, vec![down()]).await {
            refused = Some(e);
            break;
        }
    }
    let e = refused.expect("500 failures in a row open the breaker");
    assert_eq!((e.kind(), e.effect(), e.is_retryable()), (ErrorKind::CircuitOpen, Effect::NotSent, false));
    sleep(e.retry_after().unwrap()).await;
    for _ in 0..50 {
        scripted(&pipeline, &READ, vec![]).await.0.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_short_deadline_does_not_open_the_breaker() {
    let pipeline = pipeline(Policy::default());
    let hurried = pipeline.clone().with_timeout(Duration::from_millis(1));
    for _ in 0..500 {
        let e = hurried.run(&READ, None, |_| std::future::pending::<Result<()>>()).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Timeout);
    }
    scripted(&pipeline, &READ, vec![]).await.0.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tenant_with_its_own_credential_cannot_trip_anothers_breaker() {
    let stages = Stages::new();
    let of = |tenant: &str| {
        let mut policy = Policy::default();
        policy.wait = Wait::FailFast;
        stages.pipeline(Scope::new(tenant, "demo_main").with_credential(tenant), policy).unwrap()
    };
    let (broken, healthy) = (of("broken"), of("healthy"));
    for _ in 0..500 {
        let _ = scripted(&broken, &READ, vec![down(), down(), down()]).await;
    }
    assert_eq!(scripted(&broken, &READ, vec![]).await.0.unwrap_err().kind(), ErrorKind::CircuitOpen);
    scripted(&healthy, &READ, vec![]).await.0.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_retry_budget_bounds_what_an_outage_costs() {
    let mut policy = Policy::default();
    policy.breaker = None;
    let pipeline = pipeline(policy);
    let mut attempts = 0;
    for _ in 0..1_000 {
        attempts += scripted(&pipeline, &READ, vec![down(), down(), down()]).await.1;
    }
    assert_eq!(attempts, 1_000 + 50, "500 tokens pay for 50 retries");
    let (result, _) = scripted(&pipeline, &READ, vec![down()]).await;
    assert!(result.unwrap_err().explain().contains("retry budget is used up"));
}

#[tokio::test(start_paused = true)]
async fn one_more_attempt_after_a_refresh_is_outside_the_budget_and_happens_once() {
    let mut policy = Policy::default();
    policy.retry.max_attempts = 1;
    let pipeline = pipeline(policy);
    let stale = || {
        error(ErrorKind::Unauthenticated, Effect::Rejected).with_status(401).with_repeat(Repeat::Refreshed)
    };
    assert_eq!(scripted(&pipeline, &ONCE, vec![stale()]).await.1, 2);
    let (result, sent) = scripted(&pipeline, &ONCE, vec![stale(), stale(), stale()]).await;
    assert_eq!((sent, result.unwrap_err().kind()), (2, ErrorKind::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn dropped_calls_give_everything_back() {
    fastrand::seed(7);
    let stages = Stages::new();
    let mut policy = Policy::default();
    policy.concurrency = Some(integrations_core::pipeline::ConcurrencyPolicy::new(4));
    let pipeline = stages.pipeline(Scope::new("acme", "demo_main"), policy).unwrap();
    let in_flight = Arc::new(AtomicU64::new(0));
    for round in 0..200 {
        let mut tasks = Vec::new();
        for _ in 0..20 {
            let (pipeline, in_flight) = (pipeline.clone(), in_flight.clone());
            tasks.push(tokio::spawn(async move {
                let run = |_: Attempt<'_>| {
                    let in_flight = in_flight.clone();
                    async move {
                        let now = in_flight.fetch_add(1, SeqCst) + 1;
                        let _leave = Leave(in_flight);
                        assert!(now <= 4, "{now} in flight");
                        sleep(Duration::from_millis(fastrand::u64(1..20))).await;
                        if fastrand::u8(..) < 100 { Err(down()) } else { Ok(()) }
                    }
                };
                let _ = pipeline.run(&READ, None, run).await;
            }));
        }
        sleep(Duration::from_millis(fastrand::u64(0..25))).await;
        tasks.iter().filter(|_| fastrand::bool()).for_each(tokio::task::JoinHandle::abort);
        for task in tasks {
            if let Err(e) = task.await {
                assert!(e.is_cancelled(), "round {round}: {e}");
            }
        }
    }
    sleep(Duration::from_secs(5)).await;
    assert_eq!(in_flight.load(SeqCst), 0);
    let four = (0..4).map(|_| {
        let pipeline = pipeline.clone();
        tokio::spawn(async move {
            let run = |_: Attempt<'_>| async {
                sleep(Duration::from_millis(100)).await;
                Ok(())
            };
            pipeline.run(&READ, None, run).await
        })
    });
    let start = Instant::now();
    for task in four.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    assert!(start.elapsed() < Duration::from_millis(150), "a permit was lost: {:?}", start.elapsed());
}

struct Leave(Arc<AtomicU64>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn slow_reads_are_hedged_within_the_budget_and_writes_never() {
    fastrand::seed(3);
    let mut policy = Policy::default();
    policy.hedge = Some(integrations_core::pipeline::hedge::HedgePolicy::default());
    let pipeline = pipeline(policy);
    for op in [&READ, &WRITE] {
        let (sent, mut took) = (AtomicU32::new(0), Vec::new());
        for _ in 0..5_000 {
            let start = Instant::now();
            let run = |_: Attempt<'_>| {
                sent.fetch_add(1, SeqCst);
                let stalled = fastrand::u32(..100) < 2;
                let delay = if stalled { 5_000 } else { fastrand::u64(20..60) };
                async move {
                    sleep(Duration::from_millis(delay)).await;
                    Ok(())
                }
            };
            pipeline.run(op, None, run).await.unwrap();
            took.push(start.elapsed());
        }
        took.sort();
        let (p99, sent) = (took[took.len() * 99 / 100], sent.load(SeqCst));
        if op.safety == Safety::Read {
            assert!(p99 < Duration::from_secs(1), "{p99:?}");
            assert!(sent <= 5_000 * 106 / 100, "{sent} attempts for 5000 calls");
        } else {
            assert_eq!((sent, p99), (5_000, Duration::from_secs(5)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_kill_switch_ends_calls_before_anything_is_sent() {
    let stages = Stages::new();
    let pipeline = stages.pipeline(Scope::new("acme", "demo_main"), Policy::default()).unwrap();
    stages.stop();
    let (result, sent) = scripted(&pipeline, &READ, vec![]).await;
    let e = result.unwrap_err();
    assert_eq!((sent, e.kind(), e.effect()), (0, ErrorKind::Config, Effect::NotSent));
    stages.resume();
    scripted(&pipeline, &READ, vec![]).await.0.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fifth_of_the_attempts_hanging_does_not_starve_the_others() {
    fastrand::seed(11);
    let pipeline = pipeline(Policy::default());
    let calls = (0..4_000).map(|number| {
        let pipeline = pipeline.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(5) * number).await;
            let answer = |_: Attempt<'_>| async {
                if fastrand::u8(..5) == 0 {
                    std::future::pending::<()>().await;
                }
                sleep(Duration::from_millis(50)).await;
                Ok(())
            };
            pipeline.run(&READ, None, answer).await.is_ok()
        })
    });
    let mut succeeded = 0;
    // The others keep the load up while these are tried again.
    for call in calls.collect::<Vec<_>>().into_iter().take(2_000) {
        succeeded += u32::from(call.await.unwrap());
    }
    assert!(succeeded >= 1_900, "{succeeded} of 2000 calls at 200 per second");
}
