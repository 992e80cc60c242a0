//! The outcomes that a breaker's rates are taken over.

use std::sync::OnceLock;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicU8, AtomicU64};
use std::time::Duration;

use super::Window;

#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) failed: bool,
    pub(super) slow: bool,
}

/// What a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) calls: u64,
    pub(super) failed: u64,
    pub(super) slow: u64,
}

/// The window's content. Threads that record at the very moment of a change of state may lose or add an outcome each;
/// the phase itself is exact.
#[derive(Debug)]
pub(super) enum Samples {
    /// The last outcomes as bits, the newest lowest. Not a struct of its own: as such it would not leave its padding to
    /// the tag, and a breaker would take two cache lines.
    Count {
        failed: AtomicU64,
        slow: AtomicU64,
        filled: AtomicU8,
    },
    Time(OnceLock<Box<TimeWindow>>),
}

impl Samples {
    pub(super) fn new(window: Window) -> Self {
        match window {
            Window::Count(_) => {
                Self::Count { failed: AtomicU64::new(0), slow: AtomicU64::new(0), filled: AtomicU8::new(0) }
            }
            Window::Time(_) => Self::Time(OnceLock::new()),
        }
    }

    /// Adds an outcome. `None` when the window holds neither a failure nor a slow call, so that nothing can trip.
    #[inline]
    pub(super) fn push(&self, outcome: Outcome, now: u64, window: Window) -> Option<Tally> {
        match (self, window) {
            (Self::Count { failed, slow, filled }, Window::Count(size)) => {
                let mask = u64::MAX >> (64 - u32::from(size));
                // Counted first: a thread between the two steps makes the rate seem lower, never higher.
                count_up(filled, size);
                let failed = shift_in(failed, outcome.failed, mask);
                let slow = shift_in(slow, outcome.slow, mask);
                let tally = |bits: u64| u64::from(bits.count_ones());
                (failed | slow != 0).then(|| Tally {
                    calls: filled.load(Acquire).into(),
                    failed: tally(failed),
                    slow: tally(slow),
                })
            }
            (Self::Time(samples), Window::Time(length)) => {
                samples.get_or_init(|| Box::new(TimeWindow::new(length))).push(outcome, now)
            }
            _ => unreachable!("made from the window of the same policy"),
        }
    }

    pub(super) fn clear(&self) {
        match self {
            Self::Count { failed, slow, filled } => {
                filled.store(0, Relaxed);
                failed.store(0, Relaxed);
                slow.store(0, Relaxed);
            }
            Self::Time(samples) => {
                if let Some(samples) = samples.get() {
                    samples.clear();
                }
            }
        }
    }
}

#[inline]
pub(super) fn shift_in(bits: &AtomicU64, bit: bool, mask: u64) -> u64 {
    let shifted = |bits: u64| (bits << 1 | u64::from(bit)) & mask;
    match bits.fetch_update(AcqRel, Acquire, |bits| Some(shifted(bits)).filter(|new| *new != bits)) {
        Ok(before) => shifted(before),
        Err(unchanged) => unchanged,
    }
}

#[inline]
pub(super) fn count_up(filled: &AtomicU8, size: u8) {
    // An error says that the window is full, so that there is nothing to write.
    let _ = filled.fetch_update(AcqRel, Acquire, |filled| (filled < size).then(|| filled + 1));
}

/// Outcomes counted in buckets of equal length. A bucket is reused by writing its new number beside the count, so
/// nobody has to clear it when the time comes.
#[derive(Debug)]
pub(super) struct TimeWindow {
    pub(super) bucket_nanos: u64,
    /// One more than the number of the newest bucket with a failure or a slow call; 0 for none.
    pub(super) troubled: AtomicU64,
    pub(super) buckets: Box<[Bucket]>,
}

#[derive(Debug, Default)]
pub(super) struct Bucket {
    pub(super) calls: Counter,
    pub(super) failed: Counter,
    pub(super) slow: Counter,
}

impl TimeWindow {
    pub(super) fn new(length: Duration) -> Self {
        let buckets = length.as_secs().clamp(10, 30);
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        Self {
            bucket_nanos: nanos.div_ceil(buckets),
            troubled: AtomicU64::new(0),
            buckets: (0..buckets).map(|_| Bucket::default()).collect(),
        }
    }

    pub(super) fn push(&self, outcome: Outcome, now: u64) -> Option<Tally> {
        let number = now / self.bucket_nanos;
        let length = self.buckets.len() as u64;
        let bucket = &self.buckets[(number % length) as usize];
        bucket.calls.add(number);
        if outcome.failed {
            bucket.failed.add(number);
        }
        if outcome.slow {
            bucket.slow.add(number);
        }
        if outcome.failed || outcome.slow {
            self.troubled.fetch_max(number + 1, AcqRel);
        }
        let troubled = self.troubled.load(Acquire);
        (troubled > 0 && troubled + length > number + 1).then(|| self.tally(number))
    }

    pub(super) fn tally(&self, number: u64) -> Tally {
        let oldest = (number + 1).saturating_sub(self.buckets.len() as u64);
        let sum = |counter: fn(&Bucket) -> &Counter| {
            self.buckets.iter().map(|bucket| counter(bucket).within(oldest, number)).sum()
        };
        Tally { calls: sum(|b| &b.calls), failed: sum(|b| &b.failed), slow: sum(|b| &b.slow) }
    }

    pub(super) fn clear(&self) {
        self.troubled.store(0, Relaxed);
        for bucket in &self.buckets {
            bucket.calls.0.store(0, Relaxed);
            bucket.failed.0.store(0, Relaxed);
            bucket.slow.0.store(0, Relaxed);
        }
    }
}

/// A count (lower half) and the number of the bucket it belongs to (upper half: at 100 ms each, 13 years).
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, number: u64) {
        let tag = number << 32;
        // Smaller than the tag: the count of an earlier turn of this bucket. Beyond it: this outcome comes too late.
        let _ = self.0.fetch_update(AcqRel, Acquire, |word| {
            (word >> 32 <= tag >> 32).then(|| if word < tag { tag | 1 } else { word + 1 })
        });
    }

    pub(super) fn within(&self, oldest: u64, newest: u64) -> u64 {
        let word = self.0.load(Acquire);
        if (oldest..=newest).contains(&(word >> 32)) { word & u64::from(u32::MAX) } else { 0 }
    }
}
