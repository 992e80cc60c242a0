use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::thread;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

const MS: u64 = NANOS_PER_MILLI;
const QUICK: Duration = Duration::from_millis(5);

fn ns(d: Duration) -> u64 {
    d.as_nanos() as u64
}

fn pass_and_record(breaker: &Breaker, verdict: Verdict, now: u64) -> Option<Transition> {
    let pass = breaker.admit(now).expect("the breaker lets calls pass");
    breaker.record(pass, verdict, QUICK, now)
}

fn opened(policy: BreakerPolicy) -> Breaker {
    let breaker = Breaker::new(policy);
    while breaker.state(0) == State::Closed {
        pass_and_record(&breaker, Verdict::Failure, 0);
    }
    breaker
}

// ---- the reference automaton: plain lists, no bits, no packing --------------------------------------------------

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: u64,
    failed: bool,
    slow: bool,
}

#[derive(Debug)]
struct ModelPass {
    phase: u64,
    id: u64,
}

struct Model {
    policy: BreakerPolicy,
    state: State,
    phase: u64,
    history: VecDeque<Sample>,
    openings: u32,
    ends: u64,
    granted: u64,
    live: Vec<u64>,
    reports: Vec<Sample>,
}

impl Model {
    fn new(policy: BreakerPolicy) -> Self {
        Self {
            policy,
            state: State::Closed,
            phase: 0,
            history: VecDeque::new(),
            openings: 0,
            ends: 0,
            granted: 0,
            live: Vec::new(),
            reports: Vec::new(),
        }
    }

    fn enter(&mut self, state: State) -> Option<Transition> {
        let from = std::mem::replace(&mut self.state, state);
        self.phase += 1;
        self.live.clear();
        self.reports.clear();
        if !matches!(state, State::Open | State::HalfOpen) {
            self.openings = 0;
            self.history.clear();
        }
        (from != state).then_some(Transition { from, to: state })
    }

    fn open(&mut self, now: u64) -> Option<Transition> {
        let mut wait = self.policy.open_for;
        for _ in 0..self.openings {
            wait = (wait * self.policy.open_growth).min(self.policy.open_cap.max(self.policy.open_for));
        }
        let transition = self.enter(State::Open);
        self.openings += 1;
        self.ends = whole_ms(now + ns(wait));
        transition
    }

    fn admit(&mut self, now: u64) -> Result<ModelPass, (Duration, bool)> {
        if self.state == State::ForcedOpen {
            return Err((Duration::MAX, false));
        }
        if self.state == State::Open {
            if now < self.ends {
                return Err((Duration::from_nanos(self.ends - now), false));
            }
            self.enter(State::HalfOpen);
            self.ends = whole_ms(now + ns(self.policy.max_half_open_wait));
        }
        if self.state == State::HalfOpen {
            if self.live.len() + self.reports.len() >= usize::from(self.policy.half_open_calls) {
                if now < self.ends {
                    return Err((Duration::from_nanos(self.ends - now), true));
                }
                self.live.clear();
            }
            self.ends = whole_ms(now + ns(self.policy.max_half_open_wait));
            self.live.push(self.granted);
        }
        self.granted += 1;
        Ok(ModelPass { phase: self.phase, id: self.granted - 1 })
    }

    fn record(&mut self, pass: &ModelPass, verdict: Verdict, took: Duration, now: u64) -> Option<Transition> {
        if pass.phase != self.phase {
            return None;
        }
        let sample =
            Sample { at: now, failed: verdict == Verdict::Failure, slow: took > self.policy.slow_after };
        match self.state {
            State::Closed if verdict != Verdict::Ignored => {
                self.history.push_back(sample);
                self.forget(now);
                if self.sick() { self.open(now) } else { None }
            }
            State::HalfOpen => {
                self.live.retain(|id| *id != pass.id);
                if verdict == Verdict::Ignored {
                    return None;
                }
                self.reports.push(sample);
                self.settle(now)
            }
            _ => None,
        }
    }

    fn forget(&mut self, now: u64) {
        match self.policy.window {
            Window::Count(size) => {
                while self.history.len() > usize::from(size) {
                    self.history.pop_front();
                }
            }
            Window::Time(length) => {
                let buckets = length.as_secs().clamp(10, 30);
                let each = ns(length).div_ceil(buckets);
                self.history.retain(|s| s.at / each + buckets > now / each);
            }
        }
    }

    fn sick(&self) -> bool {
        let enough = match self.policy.window {
            Window::Count(size) => (self.policy.min_calls as usize).min(usize::from(size)),
            Window::Time(_) => self.policy.min_calls as usize,
        };
        self.history.len() >= enough && self.rates_reached(self.history.iter())
    }

    fn rates_reached<'a>(&self, samples: impl Iterator<Item = &'a Sample>) -> bool {
        let samples: Vec<_> = samples.collect();
        let percent = |hits: usize| hits as f64 * 100.0 / samples.len() as f64;
        percent(samples.iter().filter(|s| s.failed).count()) >= f64::from(self.policy.failure_rate)
            || percent(samples.iter().filter(|s| s.slow).count()) >= f64::from(self.policy.slow_rate)
    }

    /// Plays the missing probes once all well and once all bad: when both end alike, the verdict is known.
    fn settle(&mut self, now: u64) -> Option<Transition> {
        let play = |rest: bool| {
            let mut all = self.reports.clone();
            all.resize(
                usize::from(self.policy.half_open_calls),
                Sample { at: now, failed: rest, slow: rest },
            );
            self.rates_reached(all.iter())
        };
        match (play(false), play(true)) {
            (true, true) => self.open(now),
            (false, false) => self.enter(State::Closed),
            _ => None,
        }
    }

    fn state(&self, now: u64) -> State {
        if self.state == State::Open && now >= self.ends { State::HalfOpen } else { self.state }
    }
}

fn whole_ms(at: u64) -> u64 {
    at.div_ceil(MS) * MS
}

// ---- random sequences -------------------------------------------------------------------------------------------

#[derive(Debug, Clone, Copy)]
enum Step {
    Admit,
    Record { which: usize, verdict: Verdict, took: Duration },
    Advance(u64),
    Force(State),
}

fn policies(window: impl Strategy<Value = Window> + 'static) -> impl Strategy<Value = BreakerPolicy> {
    let rates = (1..30_u32, 1..=100_u8, 1..=100_u8, any::<bool>());
    let waits = (1..3_000_000_000_u64, 1..4_u32, 0..8_000_u64, 1..6_u8, 1..2_000_000_000_u64);
    (window, rates, waits).prop_map(|(window, (min, fail, slow, watch), (open, grow, cap, probes, wait))| {
        BreakerPolicy::default()
            .window(window)
            .min_calls(min)
            .failure_rate(fail)
            .slow(slow, if watch { Duration::from_millis(100) } else { Duration::MAX })
            .open_for(Duration::from_nanos(open))
            .open_growth(grow, Duration::from_millis(cap))
            .half_open_calls(probes)
            .max_half_open_wait(Duration::from_nanos(wait))
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let verdict = prop_oneof![
        5 => Just(Verdict::Success),
        4 => Just(Verdict::Failure),
        1 => Just(Verdict::Ignored),
    ];
    let record = (any::<prop::sample::Index>(), verdict, 0..200_u64).prop_map(|(which, verdict, took)| {
        Step::Record { which: which.index(1 << 20), verdict, took: Duration::from_millis(took) }
    });
    let forced = prop_oneof![Just(State::ForcedOpen), Just(State::Disabled), Just(State::Closed)];
    vec(
        prop_oneof![
            60 => Just(Step::Admit),
            60 => record,
            10 => (0..50 * MS).prop_map(Step::Advance),
            8 => (0..4_000 * MS).prop_map(Step::Advance),
            1 => forced.prop_map(Step::Force),
        ],
        1..400,
    )
}

fn agree(policy: &BreakerPolicy, steps: &[Step]) -> Result<Vec<Transition>, TestCaseError> {
    let (breaker, mut model) = (Breaker::new(policy.clone()), Model::new(policy.clone()));
    let (mut now, mut under_way, mut seen) = (7 * MS, Vec::new(), Vec::new());
    for step in steps {
        match *step {
            Step::Admit => match (breaker.admit(now), model.admit(now)) {
                (Ok(pass), Ok(expected)) => {
                    prop_assert_eq!(pass.is_probe(), model.state == State::HalfOpen);
                    under_way.push((pass, expected));
                }
                (Err(blocked), Err(expected)) => {
                    prop_assert_eq!((blocked.retry_in, blocked.probing), expected);
                }
                (got, expected) => prop_assert!(false, "at {now}: {got:?}, expected {expected:?}"),
            },
            Step::Record { which, verdict, took } if !under_way.is_empty() => {
                let (pass, expected) = under_way.swap_remove(which % under_way.len());
                let got = breaker.record(pass, verdict, took, now);
                prop_assert_eq!(got, model.record(&expected, verdict, took, now));
                seen.extend(got);
            }
            Step::Record { .. } => {}
            Step::Advance(by) => now += by,
            Step::Force(state) => {
                let got = match state {
                    State::ForcedOpen => breaker.force_open(),
                    State::Disabled => breaker.disable(),
                    _ => breaker.reset(),
                };
                prop_assert_eq!(got, model.enter(state));
            }
        }
        prop_assert_eq!(breaker.state(now), model.state(now));
    }
    Ok(seen)
}

/// Runs many sequences, and makes sure that they went everywhere: a generator that never trips would prove nothing.
fn check_against_model(window: impl Strategy<Value = Window> + 'static) {
    let (opened, reopened, closed) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(600) });
    runner
        .run(&(policies(window), steps()), |(policy, steps)| {
            for transition in agree(&policy, &steps)? {
                let counter = match (transition.from, transition.to) {
                    (State::Closed, State::Open) => &opened,
                    (State::HalfOpen, State::Open) => &reopened,
                    _ => &closed,
                };
                counter.set(counter.get() + 1);
            }
            Ok(())
        })
        .expect("breaker and model agree");
    assert!(
        opened.get() > 100 && reopened.get() > 50 && closed.get() > 50,
        "{opened:?} {reopened:?} {closed:?}"
    );
}

#[test]
fn a_count_window_agrees_with_the_reference() {
    check_against_model(prop_oneof![1..=12_u8, 1..=64_u8].prop_map(Window::Count));
}

#[test]
fn a_time_window_agrees_with_the_reference() {
    check_against_model((1_000..40_000_u64).prop_map(|ms| Window::Time(Duration::from_millis(ms))));
}

proptest! {
    #[test]
    fn a_phase_survives_packing(state in 0..5_u64, reopened in 0..32_u8, generation in 0..1_u32 << 18, deadline in 0..1_u64 << 38) {
        let state = Phase::unpack(state).state;
        let phase = Phase { state, reopened, generation, deadline };
        prop_assert_eq!(Phase::unpack(phase.pack()), phase);
    }

    #[test]
    fn probes_survive_packing(generation in 0..1_u32 << 18, counts in any::<[u8; 5]>()) {
        let [round, in_flight, done, failed, slow] = counts;
        let probes = Probes { generation, round, in_flight, done, failed, slow };
        prop_assert_eq!(Probes::unpack(probes.pack()), probes);
    }
}

// ---- the rules by example ---------------------------------------------------------------------------------------

#[test]
fn a_breaker_is_one_cache_line() {
    assert_eq!((size_of::<Breaker>(), align_of::<Breaker>()), (64, 64));
    assert!(size_of::<Pass>() <= 8);
}

#[test]
fn below_min_calls_nothing_opens() {
    let breaker = Breaker::new(BreakerPolicy::default().window(Window::Count(64)).min_calls(20));
    for _ in 0..19 {
        assert_eq!(pass_and_record(&breaker, Verdict::Failure, 0), None);
    }
    let opened = Transition { from: State::Closed, to: State::Open };
    assert_eq!(pass_and_record(&breaker, Verdict::Failure, 0), Some(opened));
}

#[test]
fn the_rate_is_reached_when_it_is_equal() {
    let breaker =
        Breaker::new(BreakerPolicy::default().window(Window::Count(10)).min_calls(10).failure_rate(50));
    for i in 0..9 {
        let verdict = if i < 5 { Verdict::Success } else { Verdict::Failure };
        assert_eq!(pass_and_record(&breaker, verdict, 0), None);
    }
    assert!(pass_and_record(&breaker, Verdict::Failure, 0).is_some());
}

#[test]
fn a_time_window_forgets() {
    let policy = BreakerPolicy::default().window(Window::Time(Duration::from_secs(10))).min_calls(10);
    let breaker = Breaker::new(policy);
    for _ in 0..9 {
        pass_and_record(&breaker, Verdict::Failure, 0);
    }
    assert_eq!(pass_and_record(&breaker, Verdict::Failure, 10_000 * MS), None);
    for _ in 0..8 {
        assert_eq!(pass_and_record(&breaker, Verdict::Failure, 10_000 * MS), None);
    }
    assert!(pass_and_record(&breaker, Verdict::Failure, 19_999 * MS).is_some());
}

#[test]
fn a_success_can_be_the_call_that_opens_it() {
    let policy = BreakerPolicy::default().window(Window::Time(Duration::from_secs(10))).min_calls(10);
    for (last, opens) in [(9_999 * MS, true), (10_000 * MS, false)] {
        let breaker = Breaker::new(policy.clone());
        for _ in 0..9 {
            pass_and_record(&breaker, Verdict::Failure, 0);
        }
        assert_eq!(pass_and_record(&breaker, Verdict::Success, last).is_some(), opens);
    }
}

#[test]
fn an_outcome_older_than_the_window_is_dropped() {
    let window = super::window::TimeWindow::new(Duration::from_secs(10));
    let failure = Outcome { failed: true, slow: false };
    window.push(failure, 15_000 * MS);
    window.push(failure, 5_000 * MS);
    assert_eq!(window.push(failure, 15_000 * MS), Some(Tally { calls: 2, failed: 2, slow: 0 }));
}

#[test]
fn slow_calls_open_it_too() {
    let slow = Duration::from_millis(100);
    let breaker = Breaker::new(BreakerPolicy::default().min_calls(4).slow(50, slow));
    for took in [slow, slow, slow + QUICK] {
        let pass = breaker.admit(0).expect("closed");
        assert_eq!(breaker.record(pass, Verdict::Success, took, 0), None);
    }
    let pass = breaker.admit(0).expect("closed");
    assert!(breaker.record(pass, Verdict::Success, slow + QUICK, 0).is_some());
}

#[test]
fn a_full_window_of_successes_stays_as_it_is() {
    let breaker = Breaker::new(BreakerPolicy::default().window(Window::Count(8)));
    let words = |breaker: &Breaker| match &breaker.samples {
        Samples::Count { failed, slow, filled } => {
            [failed.load(SeqCst), slow.load(SeqCst), filled.load(SeqCst).into()]
        }
        Samples::Time(_) => panic!("made with a count window"),
    };
    for _ in 0..8 {
        pass_and_record(&breaker, Verdict::Success, 0);
    }
    assert_eq!(words(&breaker), [0, 0, 8]);
    pass_and_record(&breaker, Verdict::Failure, 0);
    for _ in 0..8 {
        assert_ne!(words(&breaker)[0], 0);
        pass_and_record(&breaker, Verdict::Success, 0);
    }
    assert_eq!(words(&breaker), [0, 0, 8]);
}

#[test]
fn a_cancelled_probe_frees_its_slot_and_changes_nothing() {
    let breaker = opened(BreakerPolicy::default().half_open_calls(1));
    let now = 1_000 * MS;
    for _ in 0..10 {
        let pass = breaker.admit(now).expect("one slot");
        assert!(pass.is_probe());
        assert!(breaker.admit(now).is_err_and(|blocked| blocked.probing));
        assert_eq!(breaker.record(pass, Verdict::Ignored, QUICK, now), None);
        assert_eq!(breaker.state(now), State::HalfOpen);
    }
}

#[test]
fn lost_probes_are_replaced_and_still_count() {
    let breaker = opened(BreakerPolicy::default().failure_rate(50).half_open_calls(2));
    let now = 1_000 * MS;
    let lost: Vec<_> = (0..2).map(|_| breaker.admit(now).expect("two slots")).collect();
    let blocked = breaker.admit(now + 100 * MS).expect_err("both are taken");
    assert_eq!(blocked.retry_in, Duration::from_millis(400));

    let later = now + 500 * MS;
    let fresh: Vec<_> = (0..2).map(|_| breaker.admit(later).expect("a new round")).collect();
    assert!(breaker.admit(later).is_err());
    // A late report frees no slot of the new round, but it is one of the two outcomes asked for.
    let [first, second] = <[Pass; 2]>::try_from(lost).expect("two of them");
    assert_eq!(breaker.record(first, Verdict::Success, QUICK, later), None);
    assert!(breaker.admit(later).is_err());
    let closed = Transition { from: State::HalfOpen, to: State::Closed };
    assert_eq!(breaker.record(second, Verdict::Success, QUICK, later), Some(closed));
    for pass in fresh {
        assert_eq!(breaker.record(pass, Verdict::Failure, QUICK, later), None);
    }
    assert_eq!(breaker.state(later), State::Closed);
}

#[test]
fn an_operator_has_the_last_word() {
    let breaker = Breaker::default();
    let earlier = breaker.admit(0).expect("closed");
    assert_eq!(breaker.force_open(), Some(Transition { from: State::Closed, to: State::ForcedOpen }));
    assert_eq!(breaker.force_open(), None);
    assert_eq!(breaker.admit(u64::MAX).expect_err("forced").retry_in, Duration::MAX);
    assert_eq!(breaker.disable(), Some(Transition { from: State::ForcedOpen, to: State::Disabled }));
    for _ in 0..100 {
        assert_eq!(pass_and_record(&breaker, Verdict::Failure, 0), None);
    }
    assert_eq!(breaker.reset(), Some(Transition { from: State::Disabled, to: State::Closed }));
    assert_eq!(breaker.record(earlier, Verdict::Failure, QUICK, 0), None);
    assert_eq!(breaker.state(0), State::Closed);
}

#[test]
fn openings_grow_up_to_the_cap() {
    let breaker = opened(BreakerPolicy::default().half_open_calls(1).open_growth(2, Duration::from_secs(3)));
    let mut now = 0;
    for seconds in [1, 2, 3, 3] {
        let blocked = breaker.admit(now).expect_err("open");
        assert_eq!(blocked.retry_in, Duration::from_secs(seconds));
        now += ns(blocked.retry_in);
        pass_and_record(&breaker, Verdict::Failure, now);
    }
}

// ---- the defaults -----------------------------------------------------------------------------------------------

#[test]
fn a_fifth_of_failures_never_opens_it() {
    for seed in 0..4 {
        let (breaker, mut random) = (Breaker::default(), fastrand::Rng::with_seed(seed));
        for call in 0..1_000_000 {
            let verdict = if random.u32(..5) == 0 { Verdict::Failure } else { Verdict::Success };
            assert_eq!(pass_and_record(&breaker, verdict, call), None, "seed {seed}, call {call}");
        }
    }
}

#[test]
fn a_dead_service_opens_it_quickly() {
    let failures_until_open = |healthy_calls: u32| {
        let breaker = Breaker::default();
        for _ in 0..healthy_calls {
            pass_and_record(&breaker, Verdict::Success, 0);
        }
        (1..1_000).find(|_| pass_and_record(&breaker, Verdict::Failure, 0).is_some())
    };
    assert_eq!(failures_until_open(0), Some(20));
    assert_eq!(failures_until_open(1_000), Some(23));
}

/// A call every 10 ms on a service that is dead until `heals`; each failure takes `timeout`, each success 20 ms.
/// Returns after which time from the healing on the breaker was closed.
fn recovery(heals: u64, timeout: u64) -> u64 {
    let breaker = Breaker::default();
    let mut under_way: Vec<(u64, Pass, Verdict)> = Vec::new();
    for now in (0..).step_by(10) {
        under_way.sort_by_key(|(ends, ..)| std::cmp::Reverse(*ends));
        while under_way.last().is_some_and(|(ends, ..)| *ends <= now) {
            let (ends, pass, verdict) = under_way.pop().expect("looked at above");
            breaker.record(pass, verdict, QUICK, ends * MS);
        }
        if now >= heals && breaker.state(now * MS) == State::Closed {
            return now - heals;
        }
        if let Ok(pass) = breaker.admit(now * MS) {
            let (took, verdict) =
                if now < heals { (timeout, Verdict::Failure) } else { (20, Verdict::Success) };
            under_way.push((now + took, pass, verdict));
        }
    }
    unreachable!("the loop has no end of its own")
}

#[test]
fn a_healed_service_is_used_again_within_two_seconds() {
    for timeout in [1, 30, 400, 900, 1_000, 3_000, 10_000] {
        for heals in (20_000..32_000).step_by(70) {
            let took = recovery(heals, timeout);
            assert!(took < 2_000, "healed at {heals} ms, timeout {timeout} ms: closed after {took} ms");
        }
    }
}

// ---- waiting ----------------------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn waiters_learn_of_a_verdict_and_of_a_free_slot() {
    let breaker = opened(BreakerPolicy::default().half_open_calls(1));
    let now = 1_000 * MS;
    for verdict in [Verdict::Ignored, Verdict::Success] {
        let probe = breaker.admit(now).expect("one slot");
        let blocked = breaker.admit(now).expect_err("one slot only");
        let mut waiter = task(breaker.changed(blocked));
        assert!(waiter.poll_once().is_pending());
        breaker.record(probe, verdict, QUICK, now);
        assert!(waiter.poll_once().is_ready());
        // What is out of date already is not waited for.
        assert!(task(breaker.changed(blocked)).poll_once().is_ready());
    }
    assert_eq!(breaker.state(now), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_verdict_wakes_everybody() {
    let breaker = Arc::new(opened(BreakerPolicy::default().half_open_calls(1)));
    let now = 1_000 * MS;
    let probe = breaker.admit(now).expect("one slot");
    let mut waiters = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let breaker = Arc::clone(&breaker);
        let blocked = breaker.admit(now).expect_err("one slot only");
        waiters.spawn(async move {
            breaker.changed(blocked).await;
            breaker.state(now)
        });
    }
    tokio::task::yield_now().await;
    breaker.record(probe, Verdict::Success, QUICK, now);
    assert_eq!(waiters.join_all().await, [State::Closed; 100]);
}

struct Task<F>(std::pin::Pin<Box<F>>);

fn task<F: Future>(future: F) -> Task<F> {
    Task(Box::pin(future))
}

impl<F: Future> Task<F> {
    fn poll_once(&mut self) -> std::task::Poll<F::Output> {
        let waker = std::task::Waker::noop();
        self.0.as_mut().poll(&mut std::task::Context::from_waker(waker))
    }
}

// ---- threads ----------------------------------------------------------------------------------------------------

const THREADS: u64 = 4;

#[test]
fn threads_never_share_a_slot_and_lose_none() {
    const SLOTS: u8 = 3;
    let breaker = opened(BreakerPolicy::default().half_open_calls(SLOTS));
    let (active, granted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let now = 1_000 * MS;
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let Ok(pass) = breaker.admit(now) else { continue };
                    assert!(active.fetch_add(1, SeqCst) < usize::from(SLOTS));
                    granted.fetch_add(1, SeqCst);
                    thread::yield_now();
                    active.fetch_sub(1, SeqCst);
                    assert_eq!(breaker.record(pass, Verdict::Ignored, QUICK, now), None);
                }
            });
        }
    });
    assert!(granted.into_inner() > 1_000);
    for _ in 0..SLOTS {
        assert!(breaker.admit(now).is_ok(), "all slots came back");
    }
    assert!(breaker.admit(now).is_err());
}

#[test]
fn threads_through_many_phases_leave_a_working_breaker() {
    const SLOTS: usize = 2;
    let policy = BreakerPolicy::default()
        .window(Window::Count(8))
        .min_calls(4)
        .open_for(Duration::from_millis(2))
        .half_open_calls(SLOTS as u8)
        .max_half_open_wait(Duration::from_hours(10_000));
    let breaker = Breaker::new(policy);
    let clock = AtomicU64::new(0);
    let active: Vec<AtomicUsize> = (0..1 << 18).map(|_| AtomicUsize::new(0)).collect();
    let (opened, closed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for seed in 0..THREADS {
            let (breaker, clock, active, opened, closed) = (&breaker, &clock, &active, &opened, &closed);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                let (mut granted, mut blocked) = (0, 0);
                while granted < 5_000 {
                    let now = clock.fetch_add(MS / 4, SeqCst);
                    let Ok(pass) = breaker.admit(now) else {
                        // The thread with the last slot may be waiting for a processor, but not for ever.
                        blocked += 1;
                        assert!(blocked < 2_000_000, "a slot was lost");
                        thread::yield_now();
                        continue;
                    };
                    (granted, blocked) = (granted + 1, 0);
                    let phase = pass.probe.then(|| &active[pass.generation as usize]);
                    if let Some(phase) = phase {
                        assert!(phase.fetch_add(1, SeqCst) < SLOTS);
                        thread::yield_now();
                        phase.fetch_sub(1, SeqCst);
                    }
                    let verdict = [Verdict::Success, Verdict::Failure, Verdict::Ignored][random.usize(..3)];
                    match breaker.record(pass, verdict, QUICK, now).map(|transition| transition.to) {
                        Some(State::Open) => opened.fetch_add(1, SeqCst),
                        Some(State::Closed) => closed.fetch_add(1, SeqCst),
                        _ => 0,
                    };
                }
            });
        }
    });
    let (opened, closed) = (opened.into_inner(), closed.into_inner());
    assert!(opened > 100 && closed > 20, "opened {opened}, closed {closed}");
    let now = clock.into_inner() + 10_000 * MS;
    for _ in 0..SLOTS {
        pass_and_record(&breaker, Verdict::Success, now);
    }
    assert_eq!(breaker.state(now), State::Closed);
}
