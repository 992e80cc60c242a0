//! `hidden-limit`: callers find a rate limit that nobody tells them, and that changes.
//!
//! A vendor draws its limit from 20, 40, 80 and 160 calls per second anew every 30 seconds and sends no headers
//! but, in the second half of the proof, a Retry-After whose penalty doubles when one calls during it. Eight
//! workers share one limiter. Each keeps four calls out: with one, eight workers at 50 ms could not even reach 160.
//! The control has the same work and the usual remedy: exponential backoff with full jitter, each call for itself.

use std::io::Write as _;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use integrations_core::pipeline::limiter::{LimitPolicy, Limiter, Outcome, Priority};
use serde_json::{Value, json};

use crate::sim::load::{Figures, Load, Service, TooMany, run};
use crate::sim::vendor::{Plan, Shape};

const SEEDS: u64 = 20;
const LIMITS: [f64; 4] = [20.0, 40.0, 80.0, 160.0];
const PERIODS: usize = 10;
const LOAD: Load = Load { workers: 8, in_flight: 4 };

/// Runs the proof, prints one JSON line, and fails when an aim is missed.
pub(crate) fn prove() -> ExitCode {
    let silent = Trial::all(false);
    let penal = Trial::all(true);
    let pass = silent.iter().all(Trial::finds_the_limit)
        && penal.iter().all(Trial::pauses)
        && silent.iter().chain(&penal).all(Trial::control_is_worse);
    let line = json!({
        "pass": pass,
        "injected": injected(),
        "ours": { "silent": worst(&silent, |t| t.ours), "retry_after": worst(&penal, |t| t.ours) },
        "control": { "silent": worst(&silent, |t| t.control), "retry_after": worst(&penal, |t| t.control) },
        "by_seed": { "silent": by_seed(&silent), "retry_after": by_seed(&penal) },
    });
    let printed = writeln!(std::io::stdout(), "{line}").is_ok();
    if pass && printed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Trial {
    seed: u64,
    shape: Shape,
    ours: Figures,
    control: Figures,
}

impl Trial {
    fn all(penalties: bool) -> Vec<Self> {
        (0..SEEDS).map(|seed| Self::new(seed, penalties)).collect()
    }

    fn new(seed: u64, penalties: bool) -> Self {
        let plan = plan(seed, &LIMITS, PERIODS, Duration::from_secs(30), penalties);
        let ours = run(&plan, LOAD, seed, limited());
        let control = run(&plan, LOAD, seed, naive(seed));
        Self { seed, shape: plan.shape, ours, control }
    }

    fn finds_the_limit(&self) -> bool {
        self.ours.goodput >= 0.95 && self.ours.refused < 0.02 && self.ours.fairness >= 0.98
    }

    fn pauses(&self) -> bool {
        self.ours.second_penalties == 0 && self.ours.fairness >= 0.98
    }

    fn control_is_worse(&self) -> bool {
        self.control.refused > 0.02 || self.control.goodput < 0.95
    }
}

fn plan(seed: u64, limits: &[f64], periods: usize, period: Duration, penalties: bool) -> Plan {
    let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let shape = Shape::drawn(&mut rng);
    let limits = (0..periods).map(|_| limits[rng.usize(0..limits.len())]).collect();
    Plan { shape, limits, period, penalties }
}

/// One call through the shared limiter: as often as it takes, never during a pause.
fn limited() -> impl AsyncFn(&Service, usize) {
    let limiter =
        Limiter::new(&LimitPolicy::default()).map(Rc::new).expect("the default policy has no windows");
    async move |service: &Service, worker: usize| {
        let now = || service.now().as_nanos() as u64;
        loop {
            let place = limiter.reserve(now(), 1, Priority::Interactive, Duration::MAX);
            let mut place = match place {
                Ok(place) => place,
                Err(refused) => {
                    tokio::time::sleep(refused.retry_in).await;
                    continue;
                }
            };
            while let Some(wait) = limiter.admit(now(), &mut place) {
                tokio::time::sleep(wait).await;
            }
            match service.call(worker).await {
                Ok(()) => return limiter.settle(now(), &place, Outcome::Accepted),
                Err(TooMany(after)) => limiter.settle(now(), &place, Outcome::Throttled(after)),
            }
        }
    }
}

/// One call with exponential backoff and full jitter, as it is usually written: base 100 ms, cap 20 s, and not
/// before the Retry-After of its own refusal.
fn naive(seed: u64) -> impl AsyncFn(&Service, usize) {
    let rng = std::cell::RefCell::new(fastrand::Rng::with_seed(seed));
    async move |service: &Service, worker: usize| {
        let mut ceiling = 0.1_f64;
        while let Err(TooMany(after)) = service.call(worker).await {
            let jitter = Duration::from_secs_f64(ceiling * rng.borrow_mut().f64());
            ceiling = (2.0 * ceiling).min(20.0);
            tokio::time::sleep(jitter.max(after.unwrap_or_default())).await;
        }
    }
}

fn injected() -> Value {
    json!({
        "seeds": SEEDS,
        "limits_per_second": LIMITS,
        "changes_every_s": 30,
        "seconds": 30 * PERIODS,
        "workers": LOAD.workers,
        "in_flight_per_worker": LOAD.in_flight,
        "vendor": "token bucket of 0.1 to 1 s, fixed or sliding window of 1 s, drawn per seed",
        "latency_ms": [20, 80],
    })
}

/// The worst of each figure over the seeds.
fn worst(trials: &[Trial], side: impl Fn(&Trial) -> Figures) -> Value {
    let of = |f: fn(&Figures) -> f64| trials.iter().map(|t| f(&side(t))).collect::<Vec<_>>();
    let least = |f| of(f).into_iter().fold(f64::INFINITY, f64::min);
    let most = |f| of(f).into_iter().fold(0.0, f64::max);
    let mean = |f| of(f).iter().sum::<f64>() / trials.len() as f64;
    json!({
        "goodput_worst": round(least(|f| f.goodput)),
        "goodput_mean": round(mean(|f| f.goodput)),
        "refused_worst": round(most(|f| f.refused)),
        "refused_mean": round(mean(|f| f.refused)),
        "fairness_worst": round(least(|f| f.fairness)),
        "second_penalties": most(|f| f.second_penalties as f64),
        "calls": of(|f| f.calls as f64).iter().sum::<f64>(),
    })
}

fn by_seed(trials: &[Trial]) -> Value {
    let rows = trials.iter().map(|t| {
        json!({
            "seed": t.seed,
            "shape": t.shape.name(),
            "goodput": round(t.ours.goodput),
            "refused": round(t.ours.refused),
            "second_penalties": t.ours.second_penalties,
        })
    });
    Value::Array(rows.collect())
}

fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(limits: &[f64], period: u64, shape: Shape, penalties: bool) -> Figures {
        let seed = limits.len() as u64 + period;
        let plan = Plan { shape, ..plan(seed, limits, 5, Duration::from_secs(period), penalties) };
        run(&plan, LOAD, seed, limited())
    }

    /// Nothing in the controller knows the four limits, the half minute or the second.
    #[test]
    fn other_limits_and_periods_are_found_too() {
        let cases: [(&[f64], u64, Shape); 6] = [
            (&[7.0, 55.0], 47, Shape::TokenBucket { seconds: 0.5 }),
            (&[55.0, 400.0], 20, Shape::TokenBucket { seconds: 0.2 }),
            (&[33.0], 100, Shape::TokenBucket { seconds: 10.0 }),
            (&[7.0, 55.0], 61, Shape::SlidingWindow),
            (&[55.0, 400.0], 40, Shape::SlidingWindow),
            (&[25.0, 100.0, 250.0], 50, Shape::FixedWindow),
        ];
        for (limits, period, shape) in cases {
            let got = figures(limits, period, shape, false);
            assert!(got.goodput >= 0.8, "{limits:?} {shape:?}: {got:?}");
            assert!(got.refused < 0.04, "{limits:?} {shape:?}: {got:?}");
            assert!(got.fairness >= 0.98, "{limits:?} {shape:?}: {got:?}");
        }
    }

    #[test]
    fn nobody_calls_during_a_pause() {
        for shape in [Shape::TokenBucket { seconds: 0.3 }, Shape::SlidingWindow, Shape::FixedWindow] {
            assert_eq!(figures(&[7.0, 120.0], 25, shape, true).second_penalties, 0, "{shape:?}");
        }
    }
}
