//! The wait of everybody else for the vendor's rate limit while one tenant is loud, against the wait without it.
//!
//! All tenants share one credential and so one limit of 100 calls per second without a burst, of which the quiet ones
//! use four fifths. Solo is the same run without the loud tenant. A call that is refused counts as the longest wait.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use integrations_core::pipeline::limiter::{LimitPolicy, RateWindow};
use integrations_core::pipeline::{Pipeline, Policy, Scope, Stages, Wait};
use integrations_core::{Op, Result, Safety};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::report::rounded;

static READ: Op = Op::new("fair", "read", Safety::Read);

const TENANTS: usize = 10_000;
const LIMIT: u64 = 100;
const QUIET_CALLS_PER_SECOND: f64 = 80.0;
const PATIENCE: Duration = Duration::from_secs(2);
const SECONDS: f64 = 60.0;
const SEEDS: u64 = 3;
/// What a tenant offers alone: a hundred times one quiet tenant, the whole limit once more, and a hundred times all.
const LOUD: [(&str, f64); 3] = [
    ("100_times_one_tenant", 100.0 * QUIET_CALLS_PER_SECOND / TENANTS as f64),
    ("the_whole_limit", LIMIT as f64),
    ("100_times_all_tenants", 100.0 * QUIET_CALLS_PER_SECOND),
];
const AIM: f64 = 1.5;

pub(super) struct Fairness {
    rows: Vec<Row>,
}

/// One load, the worst of its seeds.
struct Row {
    name: &'static str,
    solo: f64,
    ours: f64,
    control: f64,
    ours_used: f64,
}

pub(super) fn injected() -> Value {
    json!({
        "tenants": TENANTS,
        "limit_per_s": LIMIT,
        "quiet_calls_per_s": QUIET_CALLS_PER_SECOND,
        "loud_calls_per_s": LOUD.map(|(name, rate)| json!({ name: rate })),
        "patience_s": PATIENCE.as_secs(),
        "virtual_s": SECONDS,
        "seeds": SEEDS,
    })
}

pub(super) fn run() -> Fairness {
    let rows = LOUD.map(|(name, loud)| {
        let trials = (0..SEEDS).map(|seed| {
            let solo = trial(Ours::new(), 0.0, seed);
            let ours = trial(Ours::new(), loud, seed);
            let control = trial(Fifo::new(), loud, seed);
            Row { name, solo: solo.p99, ours: ours.p99, control: control.p99, ours_used: ours.used }
        });
        let worst = |a: Row, b: Row| if b.ours / b.solo > a.ours / a.solo { b } else { a };
        trials.reduce(worst).expect("there is a seed")
    });
    Fairness { rows: rows.into() }
}

impl Fairness {
    pub(super) fn holds(&self) -> bool {
        let ours = self.rows.iter().all(|row| row.ours <= AIM * row.solo);
        let control_fails = self.rows.iter().skip(1).all(|row| row.control > AIM * row.solo);
        // A limiter that sends nobody would be fair too.
        let used = self.rows.iter().skip(1).all(|row| row.ours_used > 0.97);
        ours && control_fails && used
    }

    pub(super) fn ours(&self) -> Value {
        let row = |r: &Row| {
            json!({
                "load": r.name,
                "p99_wait_ms": rounded(r.ours * 1e3),
                "p99_solo_ms": rounded(r.solo * 1e3),
                "ratio": rounded(r.ours / r.solo),
                "limit_used": rounded(r.ours_used),
            })
        };
        self.rows.iter().map(row).collect()
    }

    pub(super) fn control(&self) -> Value {
        let row = |r: &Row| json!({ "load": r.name, "p99_wait_ms": rounded(r.control * 1e3), "ratio": rounded(r.control / r.solo) });
        self.rows.iter().map(row).collect()
    }

    pub(super) fn story(&self) -> Vec<String> {
        let mut story = vec![format!(
            "Injected: {TENANTS} tenants share a limit of {LIMIT} calls/s and use four fifths of it; one more is loud."
        )];
        story.extend(self.rows.iter().map(|r| {
            format!(
                "{}: the others' p99 wait is {:.0} ms ({:.2} of the {:.0} ms without it), first come first served {:.0} ms.",
                r.name,
                r.ours * 1e3,
                r.ours / r.solo,
                r.solo * 1e3,
                r.control * 1e3,
            )
        }));
        story
    }
}

struct Outcome {
    /// In seconds, of the quiet tenants.
    p99: f64,
    /// The part of the limit that was used by all.
    used: f64,
}

/// Lets a call through when its turn comes; whether it did.
trait Gate: Send + Sync + 'static {
    fn pass(&self, tenant: usize) -> impl Future<Output = bool> + Send;
}

/// Tenant 0 is the loud one.
fn trial(gate: impl Gate, loud: f64, seed: u64) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing");
    runtime.block_on(async move {
        let gate = Arc::new(gate);
        let waits = Arc::new(Mutex::new(Waits::default()));
        // One each, so that the quiet ones call at the same moments whatever the loud one does.
        let [mut quiet_rng, mut loud_rng] = [2 * seed, 2 * seed + 1].map(fastrand::Rng::with_seed);
        let start = Instant::now();
        let mut running = tokio::task::JoinSet::new();
        let (mut quiet_at, mut loud_at) = (0.0, gap(&mut loud_rng, loud));
        loop {
            let (at, tenant) =
                if quiet_at <= loud_at { (quiet_at, quiet_rng.usize(1..=TENANTS)) } else { (loud_at, 0) };
            if at >= SECONDS {
                break;
            }
            if tenant == 0 {
                loud_at += gap(&mut loud_rng, loud);
            } else {
                quiet_at += gap(&mut quiet_rng, QUIET_CALLS_PER_SECOND);
            }
            sleep_until(start + Duration::from_secs_f64(at)).await;
            let (gate, waits) = (gate.clone(), waits.clone());
            running.spawn(async move {
                let asked = Instant::now();
                let passed = gate.pass(tenant).await;
                let wait = if passed { asked.elapsed() } else { PATIENCE };
                waits.lock().unwrap_or_else(PoisonError::into_inner).note(tenant, wait, passed);
            });
            while running.try_join_next().is_some() {}
        }
        while running.join_next().await.is_some() {}
        let took = start.elapsed().as_secs_f64();
        waits.lock().unwrap_or_else(PoisonError::into_inner).outcome(took)
    })
}

/// The time to the next call of a Poisson process.
fn gap(rng: &mut fastrand::Rng, rate: f64) -> f64 {
    -(1.0 - rng.f64()).ln() / rate
}

#[derive(Default)]
struct Waits {
    quiet: Vec<Duration>,
    passed: u64,
}

impl Waits {
    fn note(&mut self, tenant: usize, wait: Duration, passed: bool) {
        self.passed += u64::from(passed);
        if tenant > 0 {
            self.quiet.push(wait);
        }
    }

    fn outcome(&mut self, seconds: f64) -> Outcome {
        self.quiet.sort_unstable();
        let p99 = self.quiet[self.quiet.len() * 99 / 100];
        Outcome { p99: p99.as_secs_f64(), used: self.passed as f64 / (seconds * LIMIT as f64) }
    }
}

struct Ours(Vec<Pipeline>);

impl Ours {
    fn new() -> Self {
        let per_second = NonZeroU64::new(LIMIT).expect("the limit is not 0");
        let limit =
            LimitPolicy::default().window(RateWindow::new(per_second, Duration::from_secs(1)).burst(1));
        let policy = Arc::new(policy(limit));
        let stages = Stages::new();
        let pipeline = |tenant| {
            let scope = Scope::new(format!("tenant-{tenant}"), "main");
            stages.pipeline(scope, policy.clone()).expect("the policy is valid")
        };
        Self((0..=TENANTS).map(pipeline).collect())
    }
}

fn policy(limit: LimitPolicy) -> Policy {
    let mut policy = Policy::default();
    policy.limit = Some(limit);
    policy.wait = Wait::UpTo(PATIENCE);
    policy
}

impl Gate for Ours {
    async fn pass(&self, tenant: usize) -> bool {
        let passed: Result<()> = self.0[tenant].run(&READ, None, async |_| Ok(())).await;
        passed.is_ok()
    }
}

/// The usual limiter: each caller takes the next free moment, unless that is too far away.
struct Fifo(Mutex<Option<Instant>>);

impl Fifo {
    fn new() -> Self {
        Self(Mutex::default())
    }

    fn take(&self) -> Option<Instant> {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let at = next.unwrap_or(now).max(now);
        if at - now > PATIENCE {
            return None;
        }
        *next = Some(at + Duration::from_secs(1) / LIMIT as u32);
        Some(at)
    }
}

impl Gate for Fifo {
    async fn pass(&self, _: usize) -> bool {
        match self.take() {
            Some(at) => {
                sleep_until(at).await;
                true
            }
            None => false,
        }
    }
}
