//! Tenants that share a vendor's limit: who gets how much of it, who waits how long, who is turned away.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integrations_core::pipeline::limiter::{LimitPolicy, Priority, RateWindow};
use integrations_core::pipeline::{Attempt, Pipeline, Policy, Scope, Stages, Wait};
use integrations_core::{Effect, Error, ErrorKind, Op, Result, Safety};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

static READ: Op = Op::new("fair", "read", Safety::Read);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// So many calls per second, without a burst.
fn policy(per_second: u64) -> Policy {
    let window = RateWindow::new(NonZeroU64::new(per_second).unwrap(), Duration::from_secs(1)).burst(1);
    let mut policy = Policy::default();
    policy.limit = Some(LimitPolicy::default().window(window));
    policy
}

fn of(stages: &Arc<Stages>, tenant: &str, policy: &Policy) -> Pipeline {
    stages.pipeline(Scope::new(tenant, "main"), policy.clone()).unwrap()
}

async fn call(pipeline: &Pipeline, takes: Duration) -> Result<()> {
    pipeline.run(&READ, None, |_: Attempt<'_>| async move { Ok(sleep(takes).await) }).await
}

/// Callers that call again as soon as they can, until `end`; the calls that succeeded are added to `served`.
fn loud(pipeline: &Pipeline, callers: usize, end: Instant, served: &Arc<AtomicU32>) -> Vec<JoinHandle<()>> {
    let one = |_| {
        let (pipeline, served) = (pipeline.clone(), served.clone());
        tokio::spawn(async move {
            while Instant::now() < end {
                match call(&pipeline, ms(5)).await {
                    Ok(()) => drop(served.fetch_add(1, SeqCst)),
                    Err(_) => sleep(ms(20)).await,
                }
            }
        })
    };
    (0..callers).map(one).collect()
}

async fn p99_of_a_quiet_tenant(pipeline: &Pipeline) -> Duration {
    let mut took = Vec::new();
    for _ in 0..200 {
        sleep(ms(37)).await;
        let asked = Instant::now();
        call(pipeline, ms(60)).await.expect("a quiet tenant is not turned away");
        took.push(asked.elapsed());
    }
    took.sort();
    took[took.len() * 99 / 100]
}

/// Need 16: a tenant that offers a hundred times as much does not slow another one down.
#[tokio::test(start_paused = true)]
async fn the_wait_of_a_quiet_tenant_does_not_grow_with_the_load_of_another() {
    let (stages, policy) = (Stages::new(), policy(250));
    let quiet = of(&stages, "quiet", &policy);
    let alone = p99_of_a_quiet_tenant(&quiet).await;
    let (end, served) = (Instant::now() + Duration::from_secs(25), Arc::default());
    let tasks = loud(&of(&stages, "loud", &policy), 1_000, end, &served);
    sleep(ms(500)).await;
    let beside = p99_of_a_quiet_tenant(&quiet).await;
    println!("p99 alone {alone:?}, beside a thousand callers {beside:?}");
    assert!(beside <= alone.mul_f64(1.5), "{beside:?} beside a loud tenant, {alone:?} alone");
    for task in tasks {
        task.await.unwrap();
    }
    let rate = f64::from(served.load(SeqCst)) / 25.0;
    assert!(rate >= 235.0, "the turns cost throughput: {rate} of 250 per second");
}

#[tokio::test(start_paused = true)]
async fn shares_are_parts_of_the_vendors_limit_and_nobody_idles() {
    let (stages, policy) = (Stages::new(), policy(100));
    let seconds = 20;
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut tenants = BTreeMap::new();
    for (tenant, share, callers) in
        [("half", Some(0.5), 200), ("tenth", Some(0.1), 30), ("a", None, 400), ("b", None, 40)]
    {
        let mut policy = policy.clone();
        policy.tenant_share = share;
        let served = Arc::default();
        let tasks = loud(&of(&stages, tenant, &policy), callers, end, &served);
        tenants.insert(tenant, (served, tasks));
    }
    let mut parts = BTreeMap::new();
    for (tenant, (served, tasks)) in tenants {
        for task in tasks {
            task.await.unwrap();
        }
        parts.insert(tenant, f64::from(served.load(SeqCst)));
    }
    let all: f64 = parts.values().sum();
    println!("{parts:?} of {all}");
    for (tenant, due) in [("half", 0.5), ("tenth", 0.1), ("a", 0.2), ("b", 0.2)] {
        let got = parts[tenant] / all;
        assert!((got - due).abs() <= 0.03 * due, "{tenant} got {got} of {due}");
    }
    assert!(all >= 0.98 * (100 * seconds) as f64, "{all} calls in {seconds} s");
}

#[tokio::test(start_paused = true)]
async fn a_hopeless_wait_is_refused_at_once_and_a_fair_one_is_not() {
    let (stages, policy) = (Stages::new(), policy(10));
    let many = of(&stages, "many", &policy);
    let (start, delays) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (many, delays) = (many.clone(), delays.clone());
            tokio::spawn(async move {
                if let Err(e) = call(&many, ms(1)).await {
                    assert_eq!((e.kind(), e.attempts()), (ErrorKind::RateLimited, 0));
                    assert!(start.elapsed() < ms(2), "refused only after {:?}", start.elapsed());
                    delays.lock().unwrap().push(e.retry_after().expect("it says when"));
                }
            })
        })
        .collect();
    sleep(ms(1)).await;
    assert_eq!(delays.lock().unwrap().len(), 100 - 21, "one at once, twenty within two seconds");
    assert!(delays.lock().unwrap().iter().all(|delay| (ms(2_000)..ms(2_200)).contains(delay)), "{delays:?}");
    let asked = Instant::now();
    call(&of(&stages, "one", &policy), ms(1)).await.unwrap();
    assert!(asked.elapsed() <= ms(310), "one turn of the other tenant, not {:?}", asked.elapsed());
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_with_a_share_is_told_a_shorter_wait() {
    let (stages, mut policy) = (Stages::new(), policy(10));
    for tenant in 0..15 {
        let other = of(&stages, &format!("other-{tenant}"), &policy);
        tokio::spawn(async move { call(&other, ms(1)).await });
    }
    tokio::task::yield_now().await;
    policy.wait = Wait::UpTo(ms(600));
    let e = call(&of(&stages, "without", &policy), ms(1)).await.unwrap_err();
    assert!(e.retry_after().unwrap() > ms(1_000), "{e}");
    policy.tenant_share = Some(0.5);
    call(&of(&stages, "with", &policy), ms(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn callers_that_go_away_while_they_wait_for_their_turn_leave_nothing() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (stages, policy) = (Stages::new(), policy(100));
        let mut tasks = Vec::new();
        for _ in 0..300 {
            let pipeline = of(&stages, &format!("tenant-{}", random.u8(..9)), &policy);
            let starts = ms(random.u64(..50));
            tasks.push(tokio::spawn(async move {
                sleep(starts).await;
                let _ = call(&pipeline, ms(3)).await;
            }));
        }
        for task in &tasks {
            sleep(ms(random.u64(..2))).await;
            task.abort();
        }
        for task in tasks {
            let _ = task.await;
        }
        let start = Instant::now();
        let last = of(&stages, "last", &policy);
        for _ in 0..20 {
            call(&last, Duration::ZERO).await.unwrap();
        }
        assert!(start.elapsed() <= ms(20 * 10 + 25), "seed {seed}: places were lost: {:?}", start.elapsed());
        let gate = &stages.gates()[0];
        assert_eq!((gate.in_flight, gate.waiting), (0, 0), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn batch_work_never_passes_a_line() {
    let (stages, mut policy) = (Stages::new(), policy(100));
    policy.wait = Wait::UpTo(Duration::from_secs(10));
    let pipeline = of(&stages, "acme", &policy);
    let busy_until = Instant::now() + Duration::from_secs(3);
    let line = loud(&pipeline, 50, busy_until, &Arc::default());
    sleep(ms(100)).await;
    call(&pipeline.clone().with_priority(Priority::Batch), ms(1)).await.unwrap();
    assert!(Instant::now() >= busy_until, "it passed interactive callers");
    for task in line {
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_goes_at_once_without_contention() {
    let window = RateWindow::new(NonZeroU64::new(50).unwrap(), Duration::from_secs(1));
    let mut policy = Policy::default();
    policy.limit = Some(LimitPolicy::default().window(window));
    policy.tenant_share = Some(0.1);
    let pipeline = of(&Stages::new(), "acme", &policy);
    let start = Instant::now();
    for _ in 0..50 {
        call(&pipeline, Duration::ZERO).await.unwrap();
    }
    assert!(start.elapsed() < ms(2), "a share is no limit while nobody else waits: {:?}", start.elapsed());
}

#[test]
fn a_share_is_a_part() {
    for (share, valid) in [(0.25, true), (0.0, false), (1.0, false), (-0.5, false), (f64::NAN, false)] {
        let mut policy = Policy::default();
        policy.tenant_share = Some(share);
        let result = policy.validate();
        assert_eq!(result.is_ok(), valid, "{share}");
        if let Err(e) = result {
            assert!(e.message().contains("tenant_share"), "{e}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_comes_while_calls_stand_in_line_turns_none_of_them_away() {
    let (stages, mut policy) = (Stages::new(), policy(10));
    policy.retry.max_attempts = 1;
    policy.limit = policy.limit.map(|limit| limit.adaptive(false));
    let pipeline = of(&stages, "acme", &policy);
    let told = |_: Attempt<'_>| async {
        sleep(ms(300)).await;
        Err::<(), _>(
            Error::new(ErrorKind::RateLimited, Effect::Rejected, "slow down").with_retry_after(ms(1_000)),
        )
    };
    let first = {
        let pipeline = pipeline.clone();
        tokio::spawn(async move { pipeline.run(&READ, None, told).await })
    };
    tokio::task::yield_now().await;
    let start = Instant::now();
    let in_line: Vec<_> = (0..18)
        .map(|_| {
            let pipeline = pipeline.clone();
            tokio::spawn(async move { call(&pipeline, ms(1)).await.map(|()| start.elapsed()) })
        })
        .collect();
    first.await.unwrap().unwrap_err();
    let mut ended = Vec::new();
    for call in in_line {
        ended.push(call.await.unwrap().unwrap());
    }
    assert!(ended.iter().all(|at| *at < ms(301) || *at >= ms(1_300)), "sent during the pause: {ended:?}");
    assert!(*ended.last().unwrap() > ms(2_000), "the pause was to make the last ones late: {ended:?}");
}

/// A day's window with room says nothing about a wait that a second's window causes, nor does the price of one call
/// about those before it.
#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_in_time_is_not_refused() {
    static DEAR: Op = Op::new("fair", "dear", Safety::Read).cost(5);
    let day = RateWindow::new(NonZeroU64::new(100_000).unwrap(), Duration::from_hours(24));
    let second = RateWindow::new(NonZeroU64::new(10).unwrap(), Duration::from_secs(1)).burst(5);
    let mut policy = Policy::default();
    policy.limit = Some(LimitPolicy::default().window(second).window(day));
    let pipeline = of(&Stages::new(), "acme", &policy);
    let calls: Vec<_> = (0..15)
        .map(|_| {
            let pipeline = pipeline.clone();
            tokio::spawn(async move { call(&pipeline, ms(1)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let asked = Instant::now();
    pipeline.run(&DEAR, None, |_: Attempt<'_>| async { Ok(()) }).await.unwrap();
    assert!(asked.elapsed() > ms(1_000), "{:?}", asked.elapsed());
    for call in calls {
        call.await.unwrap().unwrap();
    }
}
