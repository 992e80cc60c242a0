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

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_when_the_time_is_over() {
    // A deadline of 0, and a wait for the rate limit that ends with the deadline.
    let mut limited = Policy::default();
    limited.limit = Some(
        LimitPolicy::default()
            .window(RateWindow::new(NonZeroU64::new(1).unwrap(), Duration::from_secs(1)).burst(1)),
    );
    limited.wait = Wait::UpTo(Duration::MAX);
    for (policy, timeout, first) in [(Policy::default(), ms(0), 0), (limited, ms(1000), 1)] {
        let pipeline = pipeline(policy).with_timeout(timeout);
        let sent = AtomicU32::new(0);
        let run = |_: Attempt<'_>| {
            sent.fetch_add(1, SeqCst);
            async { Ok(()) }
        };
        for _ in 0..first {
            pipeline.run(&ONCE, None, run).await.unwrap();
        }
        let e = pipeline.run(&ONCE, None, run).await.unwrap_err();
        assert_eq!((e.effect(), sent.load(SeqCst)), (Effect::NotSent, first), "{e:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_also_ends_calls_that_are_between_two_attempts() {
    let pipeline = pipeline(Policy::default());
    let stages = pipeline.stages().clone();
    let sent = AtomicU32::new(0);
    let run = |_: Attempt<'_>| {
        sent.fetch_add(1, SeqCst);
        stages.stop();
        async { Err::<(), _>(error(ErrorKind::Transport, Effect::NotSent)) }
    };
    let e = pipeline.run(&READ, None, run).await.unwrap_err();
    assert_eq!((e.kind(), sent.load(SeqCst)), (ErrorKind::Config, 1));
}

/// One call is in flight and fails with `failure` after 100 ms while ten others queue for its permit; gives when
/// those were sent.
async fn queued_behind(mut policy: Policy, failure: Error) -> Vec<Duration> {
    policy.concurrency = Some(ConcurrencyPolicy::new(1));
    policy.retry.max_attempts = 1;
    let pipeline = pipeline(policy);
    let (start, sent) = (Instant::now(), Arc::new(std::sync::Mutex::new(Vec::new())));
    let first = tokio::spawn({
        let pipeline = pipeline.clone();
        async move {
            let fail = |_: Attempt<'_>| {
                let failure = failure.clone();
                async move {
                    sleep(ms(100)).await;
                    Err::<(), _>(failure)
                }
            };
            pipeline.run(&READ, None, fail).await
        }
    });
    sleep(ms(1)).await;
    let queued: Vec<_> = (0..10)
        .map(|_| {
            let (pipeline, sent) = (pipeline.clone(), sent.clone());
            tokio::spawn(async move {
                let note = |_: Attempt<'_>| {
                    sent.lock().unwrap().push(start.elapsed());
                    async { Ok(()) }
                };
                pipeline.run(&READ, None, note).await
            })
        })
        .collect();
    first.await.unwrap().unwrap_err();
    for call in queued {
        let _ = call.await.unwrap();
    }
    Arc::into_inner(sent).unwrap().into_inner().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_for_calls_that_wait_for_a_permit() {
    let pause = error(ErrorKind::RateLimited, Effect::Rejected).with_retry_after(ms(1000));
    let sent = queued_behind(Policy::default(), pause).await;
    assert_eq!(sent.len(), 10);
    assert!(sent.iter().all(|at| *at >= ms(1100)), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_holds_for_calls_that_wait_for_a_permit() {
    let mut policy = Policy::default();
    let breaker = integrations_core::pipeline::breaker::BreakerPolicy::default().min_calls(1);
    policy.breaker = Some(Arc::new(breaker.open_for(ms(1000))));
    let sent = queued_behind(policy, error(ErrorKind::Unavailable, Effect::Unknown)).await;
    assert_eq!(sent.len(), 10);
    assert!(sent.iter().all(|at| *at >= ms(1100)), "{sent:?}");
}

/// A handle whose hedge delay is known: after a little more than 10 ms.
async fn hedging(mut policy: Policy) -> Pipeline {
    policy.hedge = Some(integrations_core::pipeline::hedge::HedgePolicy::default());
    let pipeline = pipeline(policy);
    for _ in 0..20 {
        pipeline.run(&READ, None, |_| async { Ok(sleep(ms(10)).await) }).await.unwrap();
    }
    pipeline
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_fails_teaches_the_stages_at_once() {
    let pipeline = hedging(Policy::default()).await;
    let (start, paused) = (Instant::now(), error(ErrorKind::RateLimited, Effect::Rejected));
    let slow = tokio::spawn({
        let pipeline = pipeline.clone();
        async move {
            let run = |attempt: Attempt<'_>| {
                let paused = paused.clone().with_retry_after(ms(1000));
                async move {
                    if attempt.number == 2 {
                        return Err(paused);
                    }
                    Ok(sleep(ms(500)).await)
                }
            };
            pipeline.run(&READ, None, run).await
        }
    });
    sleep(ms(100)).await;
    pipeline.run(&READ, None, |_| async { Ok(()) }).await.unwrap();
    assert!(start.elapsed() >= ms(1000), "sent during the pause: {:?}", start.elapsed());
    slow.await.unwrap().unwrap();
    let counted = &pipeline.stages().metrics().snapshot()[0];
    assert_eq!((counted.attempts_total(), counted.attempts(Some(ErrorKind::RateLimited))), (23, 1));
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_has_its_own_time_and_the_first_one_ends_with_its_own() {
    let pipeline = hedging(Policy::default()).await;
    let alive = Arc::new(());
    let run = |attempt: Attempt<'_>| {
        let held = alive.clone();
        async move {
            if attempt.number == 1 {
                return std::future::pending().await;
            }
            // Answers after the first attempt's time and before the end of its own.
            sleep(ms(9_998)).await;
            Ok(Arc::strong_count(&held))
        }
    };
    pipeline.run(&READ, None, run).await.unwrap();
    let counted = &pipeline.stages().metrics().snapshot()[0];
    assert_eq!((counted.attempts(Some(ErrorKind::Timeout)), counted.hedges()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_wins_does_not_make_the_service_look_fast() {
    fastrand::seed(5);
    let pipeline = hedging(Policy::default()).await;
    let hedges = |p: &Pipeline| p.stages().metrics().snapshot()[0].hedges();
    // One first attempt in five is slow from now on: in time that is no longer the tail.
    let mut lately = 0;
    for call in 0..8_000 {
        let before = hedges(&pipeline);
        let run = |attempt: Attempt<'_>| async move {
            let slow = attempt.number == 1 && call % 5 == 0;
            Ok(sleep(ms(if slow { 40 } else { 5 })).await)
        };
        pipeline.run(&READ, None, run).await.unwrap();
        lately += if call >= 7_000 { hedges(&pipeline) - before } else { 0 };
    }
    assert!(lately < 100, "{lately} of the last 1000 calls were hedged");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_timed_out_is_dropped_before_the_call_backs_off() {
    let mut policy = Policy::default();
    policy.attempt_timeout = ms(100);
    policy.total_timeout = Duration::from_secs(600);
    (policy.retry.base, policy.retry.cap) = (Duration::from_secs(300), Duration::from_secs(300));
    let pipeline = pipeline(policy);
    let alive = Arc::new(());
    let call = tokio::spawn({
        let alive = alive.clone();
        async move {
            let run = |_: Attempt<'_>| {
                let held = alive.clone();
                async move {
                    std::future::pending::<()>().await;
                    drop(held);
                    Ok(())
                }
            };
            pipeline.run(&READ, None, run).await
        }
    });
    sleep(ms(50)).await;
    assert_eq!(Arc::strong_count(&alive), 3);
    sleep(ms(60)).await;
    assert_eq!(Arc::strong_count(&alive), 2);
    call.abort();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_looked_at_no_key_does_not_settle_an_unknown_outcome() {
    let cases = [
        (ErrorKind::Declined, Effect::Rejected),
        (ErrorKind::InvalidRequest, Effect::Rejected),
        (ErrorKind::Unauthenticated, Effect::Unknown),
        (ErrorKind::ReauthRequired, Effect::Unknown),
        (ErrorKind::PermissionDenied, Effect::Unknown),
        (ErrorKind::QuotaExhausted, Effect::Unknown),
        (ErrorKind::Conflict, Effect::Unknown),
    ];
    for (kind, effect) in cases {
        let run = |attempt: Attempt<'_>| async move {
            let first = attempt.number == 1;
            Err::<(), _>(if first {
                error(ErrorKind::Unavailable, Effect::Unknown)
            } else {
                error(kind, Effect::Rejected)
            })
        };
        let e = pipeline(Policy::default()).run(&KEYED, None, run).await.unwrap_err();
        assert_eq!((e.kind(), e.effect(), e.attempts()), (kind, effect, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_opens_the_breaker_also_under_a_short_total_timeout() {
    let mut policy = Policy::default();
    policy.total_timeout = Duration::from_secs(5);
    policy.wait = Wait::FailFast;
    let pipeline = pipeline(policy);
    for _ in 0..30 {
        let e = pipeline.run(&READ, None, hang).await.unwrap_err();
        if e.kind() == ErrorKind::CircuitOpen {
            return;
        }
    }
    panic!("30 calls of 5 s each, and the breaker has noticed nothing");
}

#[tokio::test(start_paused = true)]
async fn what_no_wait_can_mend_is_not_called_retryable() {
    static LARGE: Op = Op::new("demo", "large", Safety::Read).cost(11);
    let mut policy = Policy::default();
    policy.limit = Some(LimitPolicy::default().window(units(10)));
    let e = pipeline(policy).run(&LARGE, None, hang).await.unwrap_err();
    assert_eq!((e.is_retryable(), e.retry_after()), (false, None), "{e:?}");
}

#[tokio::test(start_paused = true)]
async fn the_largest_durations_are_no_limits_and_no_panics() {
    let mut policy = Policy::default();
    (policy.total_timeout, policy.attempt_timeout) = (Duration::MAX, Duration::MAX);
    (policy.retry.base, policy.retry.cap) = (Duration::MAX, Duration::MAX);
    policy.wait = Wait::UpTo(Duration::MAX);
    let told = error(ErrorKind::Unavailable, Effect::Rejected).with_retry_after(Duration::MAX);
    let pipeline = pipeline(policy).with_timeout(Duration::MAX);
    let e = pipeline.run(&READ, None, |_| std::future::ready(Err::<(), _>(told.clone()))).await.unwrap_err();
    assert_eq!(e.attempts(), 1, "{}", e.explain());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_acts_is_in_good_health_even_if_its_answer_is_of_no_use() {
    let mut policy = Policy::default();
    let breaker = integrations_core::pipeline::breaker::BreakerPolicy::default().min_calls(1);
    policy.breaker = Some(Arc::new(breaker.open_for(ms(100))));
    policy.wait = Wait::FailFast;
    policy.retry.max_attempts = 1;
    let pipeline = pipeline(policy);
    let failures = [(ErrorKind::Unavailable, Effect::Unknown)];
    let probes = [(ErrorKind::Decode, Effect::Applied); 3];
    for (kind, effect) in failures.into_iter().chain(probes) {
        let e = pipeline.run(&ONCE, None, |_| async { Err::<(), _>(error(kind, effect)) }).await.unwrap_err();
        assert_eq!(e.kind(), kind);
        sleep(ms(200)).await;
    }
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let pipeline = pipeline.clone();
            tokio::spawn(
                async move { pipeline.run(&READ, None, |_| async { Ok(sleep(ms(10)).await) }).await },
            )
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}
