//! Circuit breaker: stops calling a service that fails, and finds out quickly when it works again.
//!
//! Rules:
//! - **Closed**: calls pass. Their outcomes fill a window; once it holds `min_calls` outcomes, and the share of
//!   failures (or of slow calls) reaches its rate, the breaker opens.
//! - **Open**: calls are blocked for `open_for`.
//! - **Half-open**: `half_open_calls` probes pass, the rest is blocked. As soon as their outcomes settle whether the
//!   rates can still be reached, the breaker closes or opens again. A probe that was [`Verdict::Ignored`] (the caller
//!   went away) frees its slot and changes nothing. When all slots are taken and none was granted for
//!   `max_half_open_wait`, the probes are taken for lost and a new round of them passes; should one of the lost
//!   report after all, its outcome still counts, so that a service slower than that wait can close its breaker.
//! - A [`Pass`] belongs to the phase that granted it: what it reports later is dropped.
//!
//! Time is a parameter: nanoseconds since any fixed instant, from a clock that does not go back. Deadlines are kept in
//! whole milliseconds, rounded up.
//!
//! A breaker is one cache line and shares it with nobody. While everything succeeds and the count window is full,
//! [`Breaker::admit`] and [`Breaker::record`] only read it.

mod window;

use std::pin::pin;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU64, fence};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;

use window::{Outcome, Samples, Tally};

const NANOS_PER_MILLI: u64 = 1_000_000;

/// What the rates are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// The last so many outcomes, 1 to 64. A full window without failures is only read, never written.
    Count(u8),
    /// The outcomes of the last so long, one second at least, kept in 10 to 30 buckets; the window moves by one bucket
    /// at a time. Every outcome is a write.
    Time(Duration),
}

/// When a breaker opens and how it closes again. Setters bring a value that is out of range to the nearest in range.
///
/// The defaults were chosen by simulation. A service that fails 20 % of the time must not open its breaker, because
/// retries still get nearly every call through: with 32 outcomes and 70 % it never opened in 2,000 runs of 10^6 calls
/// (at 25 % in 1 of 100 runs; the usual 50 % of 20 outcomes opened in each run). `min_calls` of 20 does the same for
/// the first calls, where the window is short. A dead service opens it after 20 outcomes when the breaker is new, after
/// 23 when all was well before. Recovery: a service that heals is seen within `open_for` when it fails fast, and within
/// `max_half_open_wait` + `open_for` = 1.5 s when it swallows calls; two successes then close the breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerPolicy {
    window: Window,
    min_calls: u32,
    failure_rate: u8,
    slow_rate: u8,
    slow_after: Duration,
    open_for: Duration,
    open_growth: u32,
    open_cap: Duration,
    half_open_calls: u8,
    max_half_open_wait: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            window: Window::Count(32),
            min_calls: 20,
            failure_rate: 70,
            slow_rate: 100,
            slow_after: Duration::MAX,
            open_for: Duration::from_secs(1),
            open_growth: 1,
            open_cap: Duration::from_mins(1),
            half_open_calls: 3,
            max_half_open_wait: Duration::from_millis(500),
        }
    }
}

impl BreakerPolicy {
    /// Sets what the rates are taken over; default the last 32 outcomes.
    #[must_use]
    pub fn window(mut self, window: Window) -> Self {
        self.window = match window {
            Window::Count(calls) => Window::Count(calls.clamp(1, 64)),
            Window::Time(length) => Window::Time(length.max(Duration::from_secs(1))),
        };
        self
    }

    /// Sets how many outcomes must be known before a rate says anything; at least 1, default 20. A count window
    /// smaller than this counts as enough when it is full.
    #[must_use]
    pub fn min_calls(mut self, calls: u32) -> Self {
        self.min_calls = calls.max(1);
        self
    }

    /// Sets the share of failures at which the breaker opens, 1 to 100 percent, default 70.
    #[must_use]
    pub fn failure_rate(mut self, percent: u8) -> Self {
        self.failure_rate = percent.clamp(1, 100);
        self
    }

    /// Sets the share of slow calls at which the breaker opens (1 to 100 percent, default 100), and from which duration
    /// on a call is slow: strictly more than `after`. Default [`Duration::MAX`], that is, no call is slow, because what
    /// is slow differs by operation (an upload, a report). A failure can be slow too, and then counts in both rates.
    #[must_use]
    pub fn slow(mut self, percent: u8, after: Duration) -> Self {
        self.slow_rate = percent.clamp(1, 100);
        self.slow_after = after;
        self
    }

    /// Sets how long calls are blocked before probes may pass; default 1 s, rounded up to milliseconds.
    #[must_use]
    pub fn open_for(mut self, wait: Duration) -> Self {
        self.open_for = wait;
        self
    }

    /// Makes each further opening, until the breaker closes again, `factor` times as long as the one before, up to
    /// `cap`; default factor 1. Growth makes recovery from a long outage slower: it is for services that punish
    /// probing.
    #[must_use]
    pub fn open_growth(mut self, factor: u32, cap: Duration) -> Self {
        self.open_growth = factor.max(1);
        self.open_cap = cap;
        self
    }

    /// Sets how many probes decide whether the breaker closes, which is also how many may be under way at once;
    /// 1 to 255, default 3.
    #[must_use]
    pub fn half_open_calls(mut self, calls: u8) -> Self {
        self.half_open_calls = calls.max(1);
        self
    }

    /// Sets after which silence the probes under way are taken for lost and new ones pass; default 500 ms. A longer
    /// wait means fewer probes on a service that swallows calls, and a later recovery from that.
    #[must_use]
    pub fn max_half_open_wait(mut self, wait: Duration) -> Self {
        self.max_half_open_wait = wait;
        self
    }

    fn open_duration(&self, earlier_openings: u8) -> Duration {
        let factor = self.open_growth.saturating_pow(u32::from(earlier_openings));
        let grown = self.open_for.saturating_mul(factor);
        grown.min(self.open_cap.max(self.open_for))
    }

    fn outcome(&self, verdict: Verdict, took: Duration) -> Option<Outcome> {
        match verdict {
            Verdict::Success => Some(Outcome { failed: false, slow: took > self.slow_after }),
            Verdict::Failure => Some(Outcome { failed: true, slow: took > self.slow_after }),
            Verdict::Ignored => None,
        }
    }

    fn trips(&self, tally: Tally) -> bool {
        let enough = match self.window {
            Window::Count(size) => self.min_calls.min(u32::from(size)),
            Window::Time(_) => self.min_calls,
        };
        tally.calls >= u64::from(enough)
            && (reaches(tally.failed, self.failure_rate, tally.calls)
                || reaches(tally.slow, self.slow_rate, tally.calls))
    }

    /// What the probes' outcomes say, as soon as the missing ones cannot change it any more.
    fn diagnose(&self, probes: Probes) -> Option<State> {
        let sick = |missing: u8| {
            let at_worst = |count: u8| u64::from(count) + u64::from(missing);
            let calls = u64::from(self.half_open_calls);
            reaches(at_worst(probes.failed), self.failure_rate, calls)
                || reaches(at_worst(probes.slow), self.slow_rate, calls)
        };
        if sick(0) {
            return Some(State::Open);
        }
        (!sick(self.half_open_calls.saturating_sub(probes.done))).then_some(State::Closed)
    }
}

fn reaches(count: u64, percent: u8, calls: u64) -> bool {
    count * 100 >= calls * u64::from(percent)
}

/// What became of a call, as the breaker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The service did its work, whether or not the answer pleased the caller.
    Success,
    /// The service failed: 5xx, timeout, broken connection.
    Failure,
    /// The call says nothing about the service: cancelled, the caller's own 4xx, 429, the loser of a hedge.
    Ignored,
}

/// What a breaker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Calls pass.
    Closed,
    /// Calls are blocked until a time.
    Open,
    /// A few probes pass.
    HalfOpen,
    /// An operator blocks all calls.
    ForcedOpen,
    /// An operator lets all calls pass and nothing is recorded.
    Disabled,
}

impl State {
    /// The state as a stable snake_case word, as used in metric labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
        }
    }
}

/// A change of state, for events and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
}

/// Permission for one call. Hand it back to [`Breaker::record`] exactly once, with [`Verdict::Ignored`] when the call
/// is dropped: a probe that is never reported keeps its slot for `max_half_open_wait`.
#[derive(Debug)]
#[must_use = "a probe keeps its slot until it is recorded"]
pub struct Pass {
    generation: u32,
    round: u8,
    probe: bool,
}

impl Pass {
    /// Whether this call is one of those that decide if the breaker closes again.
    pub const fn is_probe(&self) -> bool {
        self.probe
    }
}

/// Why and for how long a call may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blocked {
    /// After this time it is worth asking again; [`Duration::MAX`] while an operator keeps the breaker open.
    pub retry_in: Duration,
    /// Probes are under way: their verdict may come much earlier than `retry_in`, see [`Breaker::changed`].
    pub probing: bool,
    generation: u32,
}

/// The circuit breaker of one service or quota bucket.
#[derive(Debug)]
#[repr(align(64))]
pub struct Breaker {
    /// A packed [`Phase`].
    phase: AtomicU64,
    /// Packed [`Probes`]; those of an earlier generation count as none, so that nobody has to reset them.
    probes: AtomicU64,
    samples: Samples,
    waiters: OnceLock<Box<Notify>>,
    policy: Arc<BreakerPolicy>,
}

impl Breaker {
    /// A closed breaker with an empty window. Breakers under one policy can share it as an `Arc`.
    pub fn new(policy: impl Into<Arc<BreakerPolicy>>) -> Self {
        let policy = policy.into();
        Self {
            phase: AtomicU64::new(Phase::START.pack()),
            probes: AtomicU64::new(0),
            samples: Samples::new(policy.window),
            waiters: OnceLock::new(),
            policy,
        }
    }

    /// Asks to pass at `now`.
    #[inline]
    pub fn admit(&self, now: u64) -> Result<Pass, Blocked> {
        let phase = self.phase();
        if phase.state == State::Closed { Ok(phase.pass()) } else { self.admit_unless_closed(now) }
    }

    /// Takes the outcome of the call that `pass` allowed, which took `took` (without waits of our own) and ended at
    /// `now`. Returns the change of state that it caused.
    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "a pass is good for one report")]
    pub fn record(&self, pass: Pass, verdict: Verdict, took: Duration, now: u64) -> Option<Transition> {
        let phase = self.phase();
        if phase.generation != pass.generation {
            return None;
        }
        match phase.state {
            State::Closed => self.record_call(phase, verdict, took, now),
            State::HalfOpen => self.record_probe(&pass, verdict, took, now),
            State::Open | State::ForcedOpen | State::Disabled => None,
        }
    }

    /// A breaker under another policy that goes on holding back what this one holds back. The outcomes seen so far are
    /// forgotten: the new policy may count others.
    pub(crate) fn successor(&self, policy: Arc<BreakerPolicy>) -> Self {
        let new = Self::new(policy);
        let phase = self.phase();
        if phase.state != State::Closed {
            new.phase.store(phase.pack(), SeqCst);
        }
        new
    }

    /// When an open breaker lets probes pass; `None` when it is not open or an operator holds it.
    pub(crate) fn reopens_in(&self, now: u64) -> Option<Duration> {
        let phase = self.phase();
        (phase.state == State::Open).then(|| phase.remaining(now))
    }

    /// What the breaker does with a call at `now`. An open breaker whose time is up is half-open, whether or not a
    /// call has asked since.
    pub fn state(&self, now: u64) -> State {
        let phase = self.phase();
        match phase.state {
            State::Open if phase.is_overdue(now) => State::HalfOpen,
            state => state,
        }
    }

    /// Reads what the next call will need, so that it is on its way from memory. See `Slot::touch`.
    #[inline]
    pub(crate) fn touch(&self) -> u64 {
        self.phase.load(Relaxed)
    }

    /// The policy it was made with.
    pub fn policy(&self) -> &BreakerPolicy {
        &self.policy
    }

    /// Blocks all calls until [`Breaker::reset`] or [`Breaker::disable`].
    pub fn force_open(&self) -> Option<Transition> {
        self.switch(State::ForcedOpen)
    }

    /// Lets all calls pass and records nothing until [`Breaker::reset`] or [`Breaker::force_open`].
    pub fn disable(&self) -> Option<Transition> {
        self.switch(State::Disabled)
    }

    /// Closes the breaker and forgets all outcomes, also those of calls under way.
    pub fn reset(&self) -> Option<Transition> {
        self.switch(State::Closed)
    }

    /// Waits until `since` is out of date: the breaker changed its state, or the slot of a probe came free. Then ask
    /// [`Breaker::admit`] again: another caller may have been faster. This does not watch the time; wait for
    /// [`Blocked::retry_in`] beside it. Safe to drop.
    pub async fn changed(&self, since: Blocked) {
        let waiters = self.waiters.get_or_init(Box::default);
        let mut notified = pin!(waiters.notified());
        notified.as_mut().enable();
        // Pairs with the fence in `wake`: either that thread finds `waiters`, or this one finds the new phase.
        fence(SeqCst);
        if self.is_current(since) {
            notified.await;
        }
    }

    fn is_current(&self, since: Blocked) -> bool {
        let phase = self.phase();
        let probes = Probes::of(self.probes.load(SeqCst), phase.generation);
        let slot_free = phase.state == State::HalfOpen && probes.leave_room(&self.policy);
        phase.generation == since.generation && !slot_free
    }

    #[cold]
    fn admit_unless_closed(&self, now: u64) -> Result<Pass, Blocked> {
        loop {
            let phase = self.phase();
            match phase.state {
                State::Closed | State::Disabled => return Ok(phase.pass()),
                State::ForcedOpen => return Err(phase.blocked(Duration::MAX)),
                State::Open if !phase.is_overdue(now) => return Err(phase.blocked(phase.remaining(now))),
                State::Open => {
                    let deadline = deadline(now, self.policy.max_half_open_wait);
                    self.swap(phase, phase.next(State::HalfOpen).until(deadline));
                }
                State::HalfOpen => {
                    if let Some(answer) = self.probe(phase, now) {
                        return answer;
                    }
                }
            }
        }
    }

    /// One try at a slot; `None` when another thread changed something meanwhile.
    fn probe(&self, phase: Phase, now: u64) -> Option<Result<Pass, Blocked>> {
        let seen = self.probes.load(SeqCst);
        let probes = Probes::of(seen, phase.generation);
        let room = probes.leave_room(&self.policy);
        if !room && !phase.is_overdue(now) {
            return Some(Err(phase.blocked(phase.remaining(now))));
        }
        // The deadline moves before the slot is taken: whoever then finds no slot also finds it not overdue. That it
        // could be moved proves too that `seen` does not belong to a later phase.
        if !self.swap(phase, phase.until(deadline(now, self.policy.max_half_open_wait))) {
            return None;
        }
        let taken = if room { self.take_slot(seen, probes) } else { self.begin_round(phase.generation) }?;
        Some(Ok(Pass { generation: phase.generation, round: taken.round, probe: true }))
    }

    fn take_slot(&self, seen: u64, probes: Probes) -> Option<Probes> {
        let taken = Probes { in_flight: probes.in_flight + 1, ..probes };
        self.probes.compare_exchange(seen, taken.pack(), SeqCst, SeqCst).ok().map(|_| taken)
    }

    fn begin_round(&self, generation: u32) -> Option<Probes> {
        let renew = |word| {
            let probes = Probes::unpack(word);
            let renewed = Probes { round: probes.round.wrapping_add(1), in_flight: 1, ..probes };
            (probes.generation == generation).then_some(renewed)
        };
        let before = self.probes.fetch_update(SeqCst, SeqCst, |word| renew(word).map(Probes::pack)).ok()?;
        renew(before)
    }

    #[inline]
    fn record_call(&self, phase: Phase, verdict: Verdict, took: Duration, now: u64) -> Option<Transition> {
        let outcome = self.policy.outcome(verdict, took)?;
        let tally = self.samples.push(outcome, now, self.policy.window)?;
        self.policy.trips(tally).then(|| self.open(phase, now))?
    }

    #[cold]
    fn open(&self, phase: Phase, now: u64) -> Option<Transition> {
        let deadline = deadline(now, self.policy.open_duration(0));
        let opened = phase.next(State::Open).until(deadline);
        if self.swap(phase, opened) { Some(self.announce(phase, opened)) } else { None }
    }

    #[cold]
    fn record_probe(&self, pass: &Pass, verdict: Verdict, took: Duration, now: u64) -> Option<Transition> {
        let outcome = self.policy.outcome(verdict, took);
        let settle = |word| {
            let probes = Probes::unpack(word);
            (probes.generation == pass.generation).then(|| probes.settle(pass.round, outcome))
        };
        let before = self.probes.fetch_update(SeqCst, SeqCst, |word| settle(word).map(Probes::pack)).ok()?;
        let probes = settle(before)?;
        if outcome.is_none() {
            self.wake(Notify::notify_one);
            return None;
        }
        let next = self.policy.diagnose(probes)?;
        self.conclude(pass.generation, next, now)
    }

    /// Leaves the half-open phase `generation` unless another probe has done so.
    fn conclude(&self, generation: u32, state: State, now: u64) -> Option<Transition> {
        loop {
            let phase = self.phase();
            if phase.generation != generation {
                return None;
            }
            let mut next = phase.next(state);
            if state == State::Open {
                next.reopened = phase.reopened.saturating_add(1);
                next.deadline = deadline(now, self.policy.open_duration(next.reopened));
            } else {
                self.samples.clear();
            }
            if self.swap(phase, next) {
                return Some(self.announce(phase, next));
            }
        }
    }

    fn switch(&self, state: State) -> Option<Transition> {
        loop {
            let phase = self.phase();
            let next = phase.next(state);
            self.samples.clear();
            if self.swap(phase, next) {
                let transition = self.announce(phase, next);
                return (transition.from != transition.to).then_some(transition);
            }
        }
    }

    #[inline]
    fn phase(&self) -> Phase {
        Phase::unpack(self.phase.load(SeqCst))
    }

    fn swap(&self, from: Phase, to: Phase) -> bool {
        self.phase.compare_exchange(from.pack(), to.pack(), SeqCst, SeqCst).is_ok()
    }

    fn announce(&self, from: Phase, to: Phase) -> Transition {
        self.wake(Notify::notify_waiters);
        Transition { from: from.state, to: to.state }
    }

    fn wake(&self, how: impl Fn(&Notify)) {
        fence(SeqCst);
        if let Some(waiters) = self.waiters.get() {
            how(waiters);
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new(BreakerPolicy::default())
    }
}

/// State, its number and its end in one word, so that they change together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Phase {
    state: State,
    /// Openings in a row after the first one; 5 bits.
    reopened: u8,
    /// Counts changes of state; 18 bits. A pass would have to be kept for exactly 2^18 changes to be mistaken.
    generation: u32,
    /// End of an open phase, or of the patience with probes, in milliseconds; 38 bits are 8.7 years.
    deadline: u64,
}

impl Phase {
    const START: Self = Self { state: State::Closed, reopened: 0, generation: 0, deadline: 0 };
    const MAX_REOPENED: u8 = (1 << 5) - 1;
    const MAX_GENERATION: u32 = (1 << 18) - 1;
    const MAX_DEADLINE: u64 = (1 << 38) - 1;

    fn pack(self) -> u64 {
        let Self { state, reopened, generation, deadline } = self;
        state as u64
            | u64::from(reopened.min(Self::MAX_REOPENED)) << 3
            | u64::from(generation & Self::MAX_GENERATION) << 8
            | deadline.min(Self::MAX_DEADLINE) << 26
    }

    #[inline]
    fn unpack(word: u64) -> Self {
        let state = match word & 7 {
            0 => State::Closed,
            1 => State::Open,
            2 => State::HalfOpen,
            3 => State::ForcedOpen,
            _ => State::Disabled,
        };
        Self {
            state,
            reopened: (word >> 3) as u8 & Self::MAX_REOPENED,
            generation: (word >> 8) as u32 & Self::MAX_GENERATION,
            deadline: word >> 26,
        }
    }

    fn next(self, state: State) -> Self {
        let generation = (self.generation + 1) & Self::MAX_GENERATION;
        let reopened = if state == State::HalfOpen { self.reopened } else { 0 };
        Self { state, reopened, generation, deadline: 0 }
    }

    fn until(self, deadline: u64) -> Self {
        Self { deadline, ..self }
    }

    fn is_overdue(self, now: u64) -> bool {
        now / NANOS_PER_MILLI >= self.deadline
    }

    fn remaining(self, now: u64) -> Duration {
        Duration::from_nanos((self.deadline * NANOS_PER_MILLI).saturating_sub(now))
    }

    #[inline]
    fn pass(self) -> Pass {
        Pass { generation: self.generation, round: 0, probe: false }
    }

    fn blocked(self, retry_in: Duration) -> Blocked {
        Blocked { retry_in, probing: self.state == State::HalfOpen, generation: self.generation }
    }
}

fn deadline(now: u64, wait: Duration) -> u64 {
    let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
    now.saturating_add(wait).div_ceil(NANOS_PER_MILLI).min(Phase::MAX_DEADLINE)
}

/// The probes of one half-open phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Probes {
    generation: u32,
    /// Grows each time the probes under way are taken for lost.
    round: u8,
    in_flight: u8,
    done: u8,
    failed: u8,
    slow: u8,
}

impl Probes {
    fn of(word: u64, generation: u32) -> Self {
        let probes = Self::unpack(word);
        if probes.generation == generation {
            return probes;
        }
        Self { generation, round: 0, in_flight: 0, done: 0, failed: 0, slow: 0 }
    }

    fn pack(self) -> u64 {
        let [g0, g1, g2, _] = self.generation.to_le_bytes();
        u64::from_le_bytes([g0, g1, g2, self.round, self.in_flight, self.done, self.failed, self.slow])
    }

    fn unpack(word: u64) -> Self {
        let [g0, g1, g2, round, in_flight, done, failed, slow] = word.to_le_bytes();
        let generation = u32::from_le_bytes([g0, g1, g2, 0]);
        Self { generation, round, in_flight, done, failed, slow }
    }

    fn leave_room(self, policy: &BreakerPolicy) -> bool {
        self.in_flight.saturating_add(self.done) < policy.half_open_calls
    }

    fn settle(self, round: u8, outcome: Option<Outcome>) -> Self {
        let add = |count: u8, hit: bool| count.saturating_add(u8::from(hit));
        Self {
            in_flight: self.in_flight.saturating_sub(u8::from(round == self.round)),
            done: add(self.done, outcome.is_some()),
            failed: add(self.failed, outcome.is_some_and(|o| o.failed)),
            slow: add(self.slow, outcome.is_some_and(|o| o.slow)),
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
