//! `storm`: a service fails and heals. How much traffic does the failure cost, and how soon is all well again?
//!
//! One virtual service, its calls spread over two instances and four tenants, reads and keyed writes in turns. It
//! fails in four ways: a fast 500, a refused connection, silence until the attempt's timeout, and all three mixed.
//! Each run has a healthy warm-up. Everything is virtual time; policies are the shipped defaults. The controls
//! have the same load: three attempts with exponential backoff and full jitter, and the same behind a breaker as
//! it is usually written (20 failures in a row, then 60 s of refusals).

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use integrations_core::pipeline::{Pipeline, Policy, Scope, Stages};
use integrations_core::{Effect, Error, ErrorKind, Op, Result, Safety};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::report::{Report, rounded};

static READ: Op = Op::new("storm", "read", Safety::Read);
static CHARGE: Op = Op::new("storm", "charge", Safety::Keyed);

const SEEDS: u64 = 5;
const INSTANCES: [&str; 2] = ["main", "second"];
const TENANTS: [&str; 4] = ["ant", "bee", "cat", "dog"];
const SOON: Duration = Duration::from_secs(2);
const MIXES: [(&str, &[Failure]); 4] = [
    ("fast_500", &[Failure::Fast500]),
    ("refused", &[Failure::Refused]),
    ("hanging", &[Failure::Hangs]),
    ("mixed", &[Failure::Fast500, Failure::Refused, Failure::Hangs]),
];

#[derive(Clone, Copy)]
enum Failure {
    Fast500,
    Refused,
    Hangs,
}

/// A run: warm-up, trouble, and what comes after it.
#[derive(Clone, Copy)]
struct Storm {
    calls_per_second: f64,
    warm_up: Duration,
    trouble: Duration,
    after: Duration,
    /// The share of attempts that fails during the trouble.
    failing: f64,
    /// Whether calls come at a steady beat; otherwise they are a Poisson process.
    even: bool,
}

const OUTAGE: Storm = Storm {
    calls_per_second: 200.0,
    warm_up: Duration::from_secs(30),
    trouble: Duration::from_secs(60),
    after: Duration::from_secs(10),
    failing: 1.0,
    even: false,
};
const BROWN_OUT: Storm = Storm { failing: 0.2, after: Duration::ZERO, ..OUTAGE };
const DRIZZLE: Storm = Storm { failing: 0.01, ..BROWN_OUT };
/// Evenly, because by chance there may be no call at all in two seconds; long enough to speak of 99 percent.
const TRICKLE: Storm = Storm { calls_per_second: 1.0, after: Duration::from_secs(300), even: true, ..OUTAGE };

impl Storm {
    /// The time to the next call.
    fn gap(&self, rng: &mut fastrand::Rng) -> Duration {
        let beats = if self.even { 1.0 } else { -(1.0 - rng.f64()).ln() };
        Duration::from_secs_f64(beats / self.calls_per_second)
    }
}

/// Runs all storms, ours and the controls.
pub(crate) fn prove() -> Report {
    let outage = Trials::of(OUTAGE, ours);
    let budget_alone = Trials::of(OUTAGE, without_breaker);
    let trickle = Trials::of(TRICKLE, ours);
    let brown_out = Trials::of(BROWN_OUT, ours);
    let drizzle = Trials::of(DRIZZLE, ours);
    let naive = Trials::of(OUTAGE, naive);
    let naive_breaker = Trials::of(OUTAGE, naive_breaker);

    let ours_hold = outage.all(|f| f.attempts_per_call <= 1.1 && f.recovers())
        && budget_alone.all(|f| f.attempts_per_call <= 1.1)
        && trickle.all(Figures::recovers)
        && brown_out.all(|f| f.succeeded >= 0.95)
        && drizzle.all(|f| f.succeeded >= 0.9999);
    let controls_fail =
        naive.all(|f| f.attempts_per_call > 1.1) && naive_breaker.all(|f| f.first_soon < 0.99);
    Report {
        proof: "storm",
        pass: ours_hold && controls_fail,
        story: story([&outage, &budget_alone, &trickle, &brown_out, &drizzle], [&naive, &naive_breaker]),
        injected: injected(),
        ours: json!({
            "outage": outage.worst(),
            "outage_with_budget_alone": budget_alone.worst(),
            "outage_at_1_call_per_s": trickle.worst(),
            "brown_out_20_percent": brown_out.worst(),
            "drizzle_1_percent": drizzle.worst(),
        }),
        control: json!({ "three_attempts": naive.worst(), "breaker_60_s": naive_breaker.worst() }),
    }
}

fn injected() -> Value {
    json!({
        "calls_per_second": [OUTAGE.calls_per_second, TRICKLE.calls_per_second],
        "warm_up_s": OUTAGE.warm_up.as_secs(),
        "trouble_s": OUTAGE.trouble.as_secs(),
        "failing": [OUTAGE.failing, BROWN_OUT.failing, DRIZZLE.failing],
        "failures": MIXES.map(|(name, _)| name),
        "instances": [1, INSTANCES.len()],
        "tenants": TENANTS.len(),
        "seeds": SEEDS,
        "healthy_latency_ms": [20, 80],
    })
}

fn story(ours: [&Trials; 5], controls: [&Trials; 2]) -> Vec<String> {
    let [o, a, t, b, d] = ours.map(Trials::bounds);
    let [n, c] = controls.map(Trials::bounds);
    vec![
        "Injected: after 30 s of health a service fails for 60 s under 200 calls/s of four tenants, by fast 500s, \
         refused connections, silence and all three mixed, through one instance and two."
            .to_owned(),
        format!(
            "Ours: at most {:.3} attempts per call in the outage, {:.3} by the retry budget alone; the first success \
             {:.2} s after the healing; {:.2} % of the calls of the first 2 s after it succeed within 2 s.",
            o.worst.attempts_per_call,
            a.worst.attempts_per_call,
            o.worst.first_success,
            o.worst.first_soon * 100.0,
        ),
        format!(
            "Ours at 1 call/s, where 50 retries are always allowed: {:.2} attempts per call; first success after {:.2} s; \
             {:.2} % of the calls after the healing succeed within 2 s.",
            t.worst.attempts_per_call,
            t.worst.first_success,
            t.worst.all_soon * 100.0,
        ),
        format!(
            "Ours: where 20 % of the attempts fail, {:.2} % of the calls succeed; where 1 % fails, {:.3} %.",
            b.worst.succeeded * 100.0,
            d.worst.succeeded * 100.0,
        ),
        format!(
            "Control: three attempts with exponential backoff and full jitter make at least {:.2} attempts per call.",
            n.best.attempts_per_call,
        ),
        format!(
            "Control: the same behind a breaker that opens for 60 s: at best {:.2} % of the calls of the first 2 s, at \
             worst {:.2} % of those of the first 10 s, succeed within 2 s.",
            c.best.first_soon * 100.0,
            c.worst.all_soon * 100.0,
        ),
    ]
}

/// The figures of one run.
#[derive(Clone, Copy)]
struct Figures {
    /// Attempts per call during the trouble.
    attempts_per_call: f64,
    /// Share of the calls made during the trouble that succeeded.
    succeeded: f64,
    /// Share of the calls made in the first two seconds after the healing that succeeded within two seconds.
    first_soon: f64,
    /// The same for all calls after the healing.
    all_soon: f64,
    /// Seconds from the healing to the first success; infinite if there was none.
    first_success: f64,
}

impl Figures {
    fn recovers(&self) -> bool {
        self.first_success <= SOON.as_secs_f64() && self.first_soon >= 0.99 && self.all_soon >= 0.99
    }

    fn worse(self, other: Self) -> Self {
        Self {
            attempts_per_call: self.attempts_per_call.max(other.attempts_per_call),
            succeeded: self.succeeded.min(other.succeeded),
            first_soon: self.first_soon.min(other.first_soon),
            all_soon: self.all_soon.min(other.all_soon),
            first_success: self.first_success.max(other.first_success),
        }
    }

    fn better(self, other: Self) -> Self {
        Self {
            attempts_per_call: self.attempts_per_call.min(other.attempts_per_call),
            succeeded: self.succeeded.max(other.succeeded),
            first_soon: self.first_soon.max(other.first_soon),
            all_soon: self.all_soon.max(other.all_soon),
            first_success: self.first_success.min(other.first_success),
        }
    }

    fn json(&self, healed: bool) -> Value {
        let mut json = json!({
            "attempts_per_call": rounded(self.attempts_per_call),
            "succeeded_in_trouble": rounded(self.succeeded),
        });
        if healed {
            let first = self.first_success;
            json["first_2_s_within_2_s"] = rounded(self.first_soon).into();
            json["after_within_2_s"] = rounded(self.all_soon).into();
            json["first_success_s"] = first.is_finite().then(|| rounded(first)).into();
        }
        json
    }
}

/// One storm with every mix of failures, every number of instances and every seed.
struct Trials {
    storm: Storm,
    /// By mix.
    runs: Vec<(&'static str, Vec<Figures>)>,
}

struct Bounds {
    worst: Figures,
    best: Figures,
}

impl Trials {
    fn of(storm: Storm, client: fn(usize) -> Box<dyn Client>) -> Self {
        let trial = |(name, mix)| {
            let one_instance_and_all = [1, INSTANCES.len()].into_iter();
            let variants = one_instance_and_all.flat_map(|i| (0..SEEDS).map(move |seed| (i, seed)));
            (name, variants.map(|(instances, seed)| run(storm, mix, seed, || client(instances))).collect())
        };
        Self { storm, runs: MIXES.into_iter().map(trial).collect() }
    }

    fn all(&self, holds: impl Fn(&Figures) -> bool) -> bool {
        self.runs.iter().flat_map(|(_, figures)| figures).all(holds)
    }

    fn bounds(&self) -> Bounds {
        let all = || self.runs.iter().flat_map(|(_, figures)| figures).copied();
        let reduced = |by: fn(Figures, Figures) -> Figures| all().reduce(by).expect("there are runs");
        Bounds { worst: reduced(Figures::worse), best: reduced(Figures::better) }
    }

    /// The worst of each figure, by mix.
    fn worst(&self) -> Value {
        let healed = !self.storm.after.is_zero();
        let rows = self.runs.iter().map(|(mix, figures)| {
            let worst = figures.iter().copied().reduce(Figures::worse).map(|worst| worst.json(healed));
            ((*mix).to_owned(), worst.into())
        });
        Value::Object(rows.collect())
    }
}

/// One run in virtual time.
fn run(
    storm: Storm,
    mix: &'static [Failure],
    seed: u64,
    client: impl FnOnce() -> Box<dyn Client>,
) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing from the system");
    fastrand::seed(seed);
    runtime.block_on(async {
        let service = Arc::new(Service::new(storm, mix, seed));
        let client: Arc<dyn Client> = client().into();
        let calls = offer(storm, seed, &service, &client).await;
        service.figures(&calls)
    })
}

/// Offers the load and waits for the end of every call.
async fn offer(storm: Storm, seed: u64, service: &Arc<Service>, client: &Arc<dyn Client>) -> Vec<Call> {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x9E37_79B9_7F4A_7C15);
    let end = storm.warm_up + storm.trouble + storm.after;
    let first = Duration::from_secs_f64(rng.f64() / storm.calls_per_second);
    let (mut at, mut tasks) = (first, Vec::new());
    while at < end {
        sleep(at.saturating_sub(service.since_start())).await;
        let (service, client, number) = (service.clone(), client.clone(), tasks.len());
        tasks.push(tokio::spawn(async move {
            let issued = service.since_start();
            let succeeded = client.call(number, service.clone()).await;
            Call { issued, ended: service.since_start(), succeeded }
        }));
        at += storm.gap(&mut rng);
    }
    let mut calls = Vec::with_capacity(tasks.len());
    for task in tasks {
        calls.push(task.await.expect("a call does not panic"));
    }
    calls
}

struct Call {
    issued: Duration,
    ended: Duration,
    succeeded: bool,
}

impl Call {
    fn soon(&self) -> bool {
        self.succeeded && self.ended <= self.issued + SOON
    }
}

struct Service {
    start: Instant,
    storm: Storm,
    mix: &'static [Failure],
    rng: Mutex<fastrand::Rng>,
    attempts_in_trouble: AtomicU64,
}

impl Service {
    fn new(storm: Storm, mix: &'static [Failure], seed: u64) -> Self {
        Self {
            start: Instant::now(),
            storm,
            mix,
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            attempts_in_trouble: AtomicU64::new(0),
        }
    }

    fn since_start(&self) -> Duration {
        self.start.elapsed()
    }

    fn in_trouble(&self, at: Duration) -> bool {
        at >= self.storm.warm_up && at < self.healed()
    }

    fn healed(&self) -> Duration {
        self.storm.warm_up + self.storm.trouble
    }

    /// One attempt as the client sees it.
    async fn attempt(&self) -> Result<()> {
        let trouble = self.in_trouble(self.since_start());
        self.attempts_in_trouble.fetch_add(trouble.into(), Relaxed);
        let (failure, latency) = self.draw(trouble);
        let unwell = |effect, status| Error::new(ErrorKind::Unavailable, effect, "down").with_status(status);
        match failure {
            None => {
                sleep(latency).await;
                Ok(())
            }
            Some(Failure::Fast500) => {
                sleep(latency / 4).await;
                Err(unwell(Effect::Unknown, 500))
            }
            Some(Failure::Refused) => Err(Error::new(ErrorKind::Transport, Effect::NotSent, "refused")),
            Some(Failure::Hangs) => std::future::pending().await,
        }
    }

    /// What happens to an attempt, and its time when it is answered: 20 to 80 ms.
    fn draw(&self, trouble: bool) -> (Option<Failure>, Duration) {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let failing = trouble && rng.f64() < self.storm.failing;
        let failure = failing.then(|| self.mix[rng.usize(..self.mix.len())]);
        (failure, Duration::from_micros(rng.u64(20_000..80_000)))
    }

    fn figures(&self, calls: &[Call]) -> Figures {
        let healed = self.healed();
        let in_trouble: Vec<_> = calls.iter().filter(|call| self.in_trouble(call.issued)).collect();
        let after: Vec<_> = calls.iter().filter(|call| call.issued >= healed).collect();
        let first: Vec<_> = after.iter().copied().filter(|call| call.issued < healed + SOON).collect();
        let later = calls.iter().filter(|call| call.succeeded && call.ended >= healed);
        let first_success = later.map(|call| call.ended.abs_diff(healed).as_secs_f64());
        let attempts = self.attempts_in_trouble.load(Relaxed) as f64;
        Figures {
            attempts_per_call: attempts / in_trouble.len() as f64,
            succeeded: share(&in_trouble, |call| call.succeeded),
            first_soon: share(&first, Call::soon),
            all_soon: share(&after, Call::soon),
            first_success: first_success.reduce(f64::min).unwrap_or(f64::INFINITY),
        }
    }
}

fn share(calls: &[&Call], good: fn(&Call) -> bool) -> f64 {
    calls.iter().filter(|call| good(call)).count() as f64 / calls.len().max(1) as f64
}

type Answer<'c> = Pin<Box<dyn Future<Output = bool> + Send + 'c>>;

/// A way of calling the service.
trait Client: Send + Sync {
    /// Whether call `number` succeeded in the end.
    fn call(&self, number: usize, service: Arc<Service>) -> Answer<'_>;
}

/// The pipeline: one handle per tenant and instance.
struct Ours(Vec<Pipeline>);

impl Ours {
    fn new(instances: usize, policy: Policy) -> Self {
        let (stages, policy) = (Stages::new(), Arc::new(policy));
        let instances = INSTANCES.iter().take(instances);
        let scopes = instances.flat_map(|instance| TENANTS.map(|tenant| Scope::new(tenant, *instance)));
        let handles = scopes.map(|scope| stages.pipeline(scope, policy.clone()));
        Self(handles.collect::<Result<_>>().expect("the default policy is valid"))
    }
}

fn ours(instances: usize) -> Box<dyn Client> {
    Box::new(Ours::new(instances, Policy::default()))
}

/// What the retry budget does by itself.
fn without_breaker(instances: usize) -> Box<dyn Client> {
    let mut policy = Policy::default();
    policy.breaker = None;
    Box::new(Ours::new(instances, policy))
}

impl Client for Ours {
    fn call(&self, number: usize, service: Arc<Service>) -> Answer<'_> {
        let pipeline = &self.0[number % self.0.len()];
        // Whole rounds over the handles alternate, so that each handle has calls of both kinds.
        let op = if (number / self.0.len()).is_multiple_of(2) { &READ } else { &CHARGE };
        Box::pin(async move {
            let attempt = |_| {
                let service = service.clone();
                async move { service.attempt().await }
            };
            pipeline.run(op, None, attempt).await.is_ok()
        })
    }
}

/// Three attempts with exponential backoff and full jitter, each call for itself.
struct Naive {
    breaker: Option<Mutex<NaiveBreaker>>,
}

#[derive(Default)]
struct NaiveBreaker {
    failures_in_a_row: u32,
    open_until: Option<Instant>,
}

fn naive(_: usize) -> Box<dyn Client> {
    Box::new(Naive { breaker: None })
}

fn naive_breaker(_: usize) -> Box<dyn Client> {
    Box::new(Naive { breaker: Some(Mutex::default()) })
}

impl Naive {
    fn may_pass(&self) -> bool {
        let breaker = self.breaker.as_ref().map(|b| b.lock().unwrap_or_else(PoisonError::into_inner));
        breaker.and_then(|b| b.open_until).is_none_or(|until| Instant::now() >= until)
    }

    fn record(&self, failed: bool) {
        let Some(breaker) = &self.breaker else { return };
        let mut breaker = breaker.lock().unwrap_or_else(PoisonError::into_inner);
        breaker.failures_in_a_row = if failed { breaker.failures_in_a_row + 1 } else { 0 };
        if breaker.failures_in_a_row >= 20 {
            breaker.open_until = Some(Instant::now() + Duration::from_mins(1));
        }
    }
}

impl Client for Naive {
    fn call(&self, _: usize, service: Arc<Service>) -> Answer<'_> {
        Box::pin(async move {
            for attempt in 0..3 {
                if attempt > 0 {
                    let ceiling = 0.2 * f64::from(1 << (attempt - 1));
                    sleep(Duration::from_secs_f64(ceiling * fastrand::f64())).await;
                }
                if !self.may_pass() {
                    return false;
                }
                let outcome = timeout(Duration::from_secs(10), service.attempt()).await;
                let succeeded = matches!(outcome, Ok(Ok(())));
                self.record(!succeeded);
                if succeeded {
                    return true;
                }
            }
            false
        })
    }
}
