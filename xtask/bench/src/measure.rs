//! One round of one contestant: what a call takes, and what it allocates.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use alloc_tracker::Session;
use bytes::Bytes;
use fastrand::Rng;
use quanta::Clock;
use tokio::runtime::Runtime;

use crate::contestant::{BoxError, Contestant};
use crate::service::Request;
use crate::workers::Workers;

/// Calls between two readings of the clock: the price of a reading vanishes in them.
const BATCH: usize = 32;
/// Calls by which two counts of allocations differ; what the runtime allocates once falls out of the difference.
const COUNTED: usize = 1_024;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Rounds over all contestants.
    pub(crate) rounds: u32,
    /// Timed calls of a round, both in batches and one by one.
    pub(crate) calls: usize,
    /// Calls before the first timed one.
    pub(crate) warm_up: usize,
    /// A round ends after this time whatever it has; only contestants that park threads come near it.
    pub(crate) limit: Duration,
    /// The large number of tenants.
    pub(crate) many_tenants: usize,
}

impl Plan {
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        calls: 60_000,
        warm_up: 6_000,
        limit: Duration::from_millis(600),
        many_tenants: 1_000_000,
    };

    pub(crate) const QUICK: Self =
        Self { rounds: 1, calls: 6_000, warm_up: 600, limit: Duration::from_millis(100), ..Self::FULL };
}

/// One round's figures in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figures {
    /// Median over batches, per call.
    pub(crate) call: f64,
    /// Median and 99th percentile of single calls.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Share of the time for which the threads waited for their core because something else ran on it; `None` where
    /// the system does not tell.
    pub(crate) waited: Option<f64>,
}

/// A contestant as the suite sees it.
pub(crate) trait Bench: Send + Sync {
    /// One round on the first `threads` workers, all calling this one contestant.
    fn round(
        self: Arc<Self>,
        workers: &Workers,
        threads: usize,
        tenants: usize,
        plan: Plan,
    ) -> Result<Figures, BoxError>;

    /// Allocations per call.
    fn allocations(self: Arc<Self>, workers: &Workers) -> Result<f64, BoxError>;
}

impl<C: Contestant> Bench for C {
    fn round(
        self: Arc<Self>,
        workers: &Workers,
        threads: usize,
        tenants: usize,
        plan: Plan,
    ) -> Result<Figures, BoxError> {
        let party = Arc::new(Party::new(threads));
        let samples = workers.run(threads, |index| {
            let (contestant, party) = (Arc::clone(&self), Arc::clone(&party));
            move |runtime| runtime.block_on(attend(&*contestant, &party, index, tenants, plan))
        })?;
        Ok(Samples::figures(&samples.into_iter().collect::<Result<Vec<_>, _>>()?))
    }

    fn allocations(self: Arc<Self>, workers: &Workers) -> Result<f64, BoxError> {
        workers.run_first(move |runtime| {
            let feed = &mut Feed::new(0, 1, Arc::default());
            runtime.block_on(calls(&*self, feed, COUNTED))?;
            let once = counted(runtime, &*self, feed, COUNTED)?;
            let twice = counted(runtime, &*self, feed, 2 * COUNTED)?;
            Ok((twice as f64 - once as f64) / COUNTED as f64)
        })?
    }
}

fn counted<C: Contestant>(
    runtime: &Runtime,
    contestant: &C,
    feed: &mut Feed,
    count: usize,
) -> Result<u64, BoxError> {
    let session = Session::new().no_stdout().no_file();
    let operation = session.operation("calls");
    let span = operation.measure_thread().iterations(1);
    let answered = runtime.block_on(calls(contestant, feed, count));
    drop(span);
    answered?;
    let report = session.to_report();
    Ok(report.operations().map(|(_, operation)| operation.total_allocations_count()).sum())
}

/// One thread's part in a round.
async fn attend<C: Contestant>(
    contestant: &C,
    party: &Party,
    index: usize,
    tenants: usize,
    plan: Plan,
) -> Result<Samples, BoxError> {
    let feed = &mut Feed::new(index, tenants, Arc::clone(&party.beats[index]));
    let seat = party.sit(index);
    calls(contestant, feed, plan.warm_up).await?;
    let samples = timed(contestant, feed, &seat, plan).await?;
    seat.done();
    // The others are measured under the same load to their end, and the first thread carries the workers that
    // contestants have spawned on its runtime.
    while seat.others_go_on() {
        calls(contestant, feed, BATCH).await?;
    }
    Ok(samples)
}

/// Batches timed as a whole by turns with batches timed call by call, so that both see the same weather. What was
/// timed while another thread of the party stood still is left out: nothing contended then.
async fn timed<C: Contestant>(
    contestant: &C,
    feed: &mut Feed,
    seat: &Seat<'_>,
    plan: Plan,
) -> Result<Samples, BoxError> {
    let clock = Clock::new();
    let own_cost = reading_cost(&clock);
    let mut samples = Samples::with_capacity(plan.calls);
    let (started, waited_before) = (Instant::now(), waited());
    while samples.batches.is_empty() || samples.calls.len() < plan.calls && started.elapsed() < plan.limit {
        let others = seat.others_beats();
        feed.fill(BATCH);
        let start = clock.raw();
        feed.send_all(contestant).await?;
        let batch = clock.delta_as_nanos(start, clock.raw());

        let kept = samples.calls.len();
        feed.fill(BATCH);
        let mut sum = 0;
        for (tenant, request) in feed.batch.drain(..) {
            let start = clock.raw();
            sum ^= contestant.call(tenant, request).await?.key;
            let end = clock.raw();
            samples.calls.push(clock.delta_as_nanos(start + own_cost, end.max(start + own_cost)) as f64);
        }
        feed.check(sum)?;
        if seat.alone() || seat.others_beats() != others {
            samples.batches.push(batch as f64 / BATCH as f64);
        } else {
            samples.calls.truncate(kept);
        }
    }
    let waited = waited().zip(waited_before).map(|(after, before)| after.saturating_sub(before));
    samples.waited = waited.map(|waited| waited.as_secs_f64() / started.elapsed().as_secs_f64());
    Ok(samples)
}

/// For how long this thread has been able to run and did not, since it began; Linux tells it.
fn waited() -> Option<Duration> {
    // Time on the core, time in the queue for it, and how often: Documentation/scheduler/sched-stats.rst.
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    statistics.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

async fn calls<C: Contestant>(contestant: &C, feed: &mut Feed, count: usize) -> Result<(), BoxError> {
    for _ in 0..count.div_ceil(BATCH) {
        feed.fill(BATCH);
        feed.send_all(contestant).await?;
    }
    Ok(())
}

/// What two readings in a row differ by, in the clock's own unit.
fn reading_cost(clock: &Clock) -> u64 {
    let mut costs: Vec<u64> = (0..1_001)
        .map(|_| {
            let start = clock.raw();
            clock.raw().saturating_sub(start)
        })
        .collect();
    *costs.select_nth_unstable(500).1
}

/// Requests and tenants, made outside the timed part.
struct Feed {
    next_key: u64,
    expected: u64,
    tenants: usize,
    body: Bytes,
    random: Rng,
    batch: Vec<(usize, Request)>,
    beat: Arc<Beat>,
}

impl Feed {
    /// For one thread: its keys are its own, and so is the reference count of its body.
    fn new(thread: usize, tenants: usize, beat: Arc<Beat>) -> Self {
        Self {
            next_key: (thread as u64) << 48,
            expected: 0,
            tenants,
            body: Bytes::from(vec![b'x'; 64]),
            random: Rng::with_seed(thread as u64),
            batch: Vec::with_capacity(BATCH),
            beat,
        }
    }

    fn fill(&mut self, count: usize) {
        self.beat.0.fetch_add(1, Ordering::Relaxed);
        self.expected = 0;
        for _ in 0..count {
            self.next_key += 1;
            self.expected ^= self.next_key;
            let request = Request { key: self.next_key, body: self.body.clone() };
            self.batch.push((self.random.usize(..self.tenants), request));
        }
    }

    async fn send_all<C: Contestant>(&mut self, contestant: &C) -> Result<(), BoxError> {
        let mut sum = 0;
        for (tenant, request) in self.batch.drain(..) {
            sum ^= contestant.call(tenant, request).await?.key;
        }
        self.check(sum)
    }

    fn check(&self, sum: u64) -> Result<(), BoxError> {
        if sum == self.expected { Ok(()) } else { Err("an answer is not the service's".into()) }
    }
}

#[derive(Debug)]
struct Samples {
    batches: Vec<f64>,
    calls: Vec<f64>,
    waited: Option<f64>,
}

impl Samples {
    fn with_capacity(calls: usize) -> Self {
        Self {
            batches: Vec::with_capacity(calls / BATCH + 1),
            calls: Vec::with_capacity(calls + BATCH),
            waited: None,
        }
    }

    /// The figures of all threads together.
    fn figures(all: &[Self]) -> Figures {
        let mut batches: Vec<f64> = all.iter().flat_map(|samples| &samples.batches).copied().collect();
        let mut calls: Vec<f64> = all.iter().flat_map(|samples| &samples.calls).copied().collect();
        Figures {
            call: quantile(&mut batches, 0.5),
            p50: quantile(&mut calls, 0.5),
            p99: quantile(&mut calls, 0.99),
            waited: mean(all.iter().filter_map(|samples| samples.waited)),
        }
    }
}

pub(crate) fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.into_iter().collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The value below which `share` of the samples lie (nearest rank); 0 without samples.
pub(crate) fn quantile(samples: &mut [f64], share: f64) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let rank = (share * samples.len() as f64).ceil() as usize;
    let index = rank.saturating_sub(1).min(samples.len() - 1);
    *samples.select_nth_unstable_by(index, f64::total_cmp).1
}

/// Grows with each batch of one thread; on a cache line of its own (two, as the prefetcher takes them).
#[derive(Default)]
#[repr(align(128))]
struct Beat(AtomicU64);

/// Threads that start together and end in order: the first one leaves last.
struct Party {
    barrier: Barrier,
    beats: Vec<Arc<Beat>>,
    first_done: AtomicBool,
    others: AtomicUsize,
}

impl Party {
    fn new(threads: usize) -> Self {
        Self {
            barrier: Barrier::new(threads),
            beats: (0..threads).map(|_| Arc::default()).collect(),
            first_done: AtomicBool::new(false),
            others: AtomicUsize::new(threads - 1),
        }
    }

    fn sit(&self, index: usize) -> Seat<'_> {
        self.barrier.wait();
        Seat { party: self, index }
    }
}

/// Left by drop, so that a failed thread does not keep the others waiting.
struct Seat<'a> {
    party: &'a Party,
    index: usize,
}

impl Seat<'_> {
    fn alone(&self) -> bool {
        self.party.beats.len() == 1
    }

    fn others_beats(&self) -> u64 {
        let others = self.party.beats.iter().enumerate().filter(|(index, _)| *index != self.index);
        others.map(|(_, beat)| beat.0.load(Ordering::Relaxed)).sum()
    }

    fn done(&self) {
        if self.index == 0 {
            self.party.first_done.store(true, Ordering::Release);
        }
    }

    fn others_go_on(&self) -> bool {
        if self.index == 0 {
            self.party.others.load(Ordering::Acquire) > 0
        } else {
            !self.party.first_done.load(Ordering::Acquire)
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if self.index == 0 {
            self.done();
        } else {
            self.party.others.fetch_sub(1, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        for (samples, share, expected) in [
            (hundred.clone(), 0.5, "50"),
            (hundred, 0.99, "99"),
            (vec![7.0], 0.99, "7"),
            (Vec::new(), 0.5, "0"),
        ] {
            assert_eq!(quantile(&mut samples.clone(), share).to_string(), expected);
        }
    }

    #[test]
    fn a_thread_sees_the_beats_of_the_others_and_not_its_own() {
        let party = Party::new(2);
        let seats = [0, 1].map(|index| Seat { party: &party, index });
        Feed::new(1, 1, Arc::clone(&party.beats[1])).fill(BATCH);
        assert_eq!(seats.each_ref().map(Seat::others_beats), [1, 0]);
        assert!(!seats[0].alone());
    }

    #[test]
    fn the_first_thread_goes_on_until_the_others_have_left() {
        let party = Party::new(2);
        let [first, second] = [0, 1].map(|index| Seat { party: &party, index });
        assert!(first.others_go_on() && second.others_go_on());
        first.done();
        assert!(first.others_go_on() && !second.others_go_on());
        drop(second);
        assert!(!first.others_go_on());
    }
}
