//! When to send a second attempt: after the time that most calls of an operation take.
//!
//! [`HedgeDelay`] keeps a histogram of latencies in buckets that are at most 6.25 % wide, from 65 µs to 137 s, and of
//! that only what came lately: whenever it holds 256 samples it halves them. The histogram is fed every call at first,
//! then one call in eight, so that most calls write nothing; reading the delay is one load.
//!
//! What to feed: the time of each *first* attempt that succeeded. When its hedge wins, feed the time that the first
//! attempt had been under way by then: leaving the slow ones out would pull the quantile down, and with each turn more
//! calls would be hedged.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64};
use std::time::Duration;

/// When a hedge is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HedgePolicy {
    quantile: f64,
    min_delay: Duration,
    max_delay: Duration,
}

impl Default for HedgePolicy {
    fn default() -> Self {
        Self { quantile: 0.95, min_delay: Duration::from_millis(10), max_delay: Duration::from_mins(1) }
    }
}

impl HedgePolicy {
    /// Sets the share of calls that are answered before a hedge would be sent, 0.5 to 0.999, default 0.95: one call in
    /// twenty is hedged.
    #[must_use]
    pub fn quantile(mut self, share: f64) -> Self {
        self.quantile = share.clamp(0.5, 0.999);
        self
    }

    /// Sets the shortest delay; default 10 ms, below which a hedge hardly gains more than it costs.
    #[must_use]
    pub fn min_delay(mut self, delay: Duration) -> Self {
        self.min_delay = delay;
        self
    }

    /// Sets the longest delay; default 60 s. Where the quantile is beyond it, more calls are hedged than the quantile
    /// says. A `max_delay` below `min_delay` wins.
    #[must_use]
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }
}

/// Fewer samples than this say nothing about a tail.
const MIN_SAMPLES: u32 = 20;
/// The delay is computed anew after so many samples.
const REFRESH_EVERY: u32 = 16;
/// So many samples are kept at most, and half of them at least once there were so many.
const MAX_SAMPLES: u32 = 256;
/// From half of [`MAX_SAMPLES`] on, one call in so many is a sample.
const SAMPLE_ONE_IN: u32 = 8;

/// Learns the latency of one operation and says when to hedge it.
#[derive(Debug)]
pub struct HedgeDelay {
    /// Nanoseconds; 0 while unknown.
    delay: AtomicU64,
    samples: AtomicU32,
    /// Held by the one thread that reads or halves the histogram; nobody waits for it.
    busy: AtomicBool,
    histogram: Box<[AtomicU16]>,
    policy: HedgePolicy,
}

impl HedgeDelay {
    /// Knows nothing yet. Takes about 700 bytes.
    pub fn new(policy: HedgePolicy) -> Self {
        Self {
            delay: AtomicU64::new(0),
            samples: AtomicU32::new(0),
            busy: AtomicBool::new(false),
            histogram: (0..scale::BUCKETS).map(|_| AtomicU16::new(0)).collect(),
            policy,
        }
    }

    /// How long to wait for an answer before a second attempt is sent; `None` until 20 latencies are known.
    #[inline]
    pub fn delay(&self) -> Option<Duration> {
        match self.delay.load(Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    /// Takes the latency of one call.
    #[inline]
    pub fn observe(&self, took: Duration) {
        if self.samples.load(Relaxed) < MAX_SAMPLES / 2 || fastrand::u32(..SAMPLE_ONE_IN) == 0 {
            self.sample(took);
        }
    }

    fn sample(&self, took: Duration) {
        self.histogram[scale::bucket(took)].fetch_add(1, Relaxed);
        let samples = self.samples.fetch_add(1, Relaxed) + 1;
        let due = samples.is_multiple_of(REFRESH_EVERY) && samples > MIN_SAMPLES;
        if (due || samples == MIN_SAMPLES) && !self.busy.swap(true, Acquire) {
            self.refresh();
            if samples >= MAX_SAMPLES {
                self.halve();
            }
            self.busy.store(false, Release);
        }
    }

    #[cold]
    fn refresh(&self) {
        let counts = || self.histogram.iter().map(|count| u32::from(count.load(Relaxed)));
        let rank = (f64::from(counts().sum::<u32>()) * self.policy.quantile).ceil() as u32;
        let mut below = 0;
        let bucket = counts().position(|count| {
            below += count;
            below >= rank
        });
        let delay = scale::upper_bound(bucket.unwrap_or(scale::BUCKETS - 1));
        let delay = delay.max(self.policy.min_delay).min(self.policy.max_delay);
        self.delay.store(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX).max(1), Relaxed);
    }

    /// Halves each bucket and carries what does not divide into the next. Rounding each down would wipe out the tail,
    /// where buckets hold one sample each, and the tail is what this is about.
    fn halve(&self) {
        let (mut carry, mut removed) = (0, 0);
        for count in &self.histogram {
            let held = u32::from(count.load(Relaxed));
            let surplus = held - u32::midpoint(held, carry);
            carry = (held + carry) % 2;
            // By difference, so that what other threads add meanwhile stays.
            count.fetch_sub(surplus as u16, Relaxed);
            removed += surplus;
        }
        self.samples.fetch_sub(removed, Relaxed);
    }
}

impl Default for HedgeDelay {
    fn default() -> Self {
        Self::new(HedgePolicy::default())
    }
}

/// Buckets of a logarithmic scale: each power of two is cut into sixteen equal parts.
mod scale {
    use std::time::Duration;

    const PARTS: u32 = 16;
    /// 2^16 ns = 65.5 µs: everything shorter falls into the first bucket.
    const MIN_POWER: u32 = 16;
    /// 2^37 ns = 137 s: everything longer falls into the last bucket.
    const MAX_POWER: u32 = 37;
    pub(super) const BUCKETS: usize = ((MAX_POWER - MIN_POWER) * PARTS) as usize;

    pub(super) fn bucket(took: Duration) -> usize {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let nanos = nanos.clamp(1 << MIN_POWER, (1 << MAX_POWER) - 1);
        let power = nanos.ilog2();
        let part = (nanos >> (power - PARTS.ilog2())) as u32 - PARTS;
        ((power - MIN_POWER) * PARTS + part) as usize
    }

    /// The first duration beyond the bucket.
    pub(super) fn upper_bound(bucket: usize) -> Duration {
        let next = bucket as u32 + 1;
        let power = MIN_POWER + next / PARTS;
        Duration::from_nanos(u64::from(PARTS + next % PARTS) << (power - PARTS.ilog2()))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    const WIDTH: f64 = 1.0 / 16.0;

    fn open_policy() -> HedgePolicy {
        HedgePolicy::default().min_delay(Duration::ZERO)
    }

    fn fed(policy: HedgePolicy, millis: impl IntoIterator<Item = u64>) -> HedgeDelay {
        let hedge = HedgeDelay::new(policy);
        millis.into_iter().for_each(|ms| hedge.sample(Duration::from_millis(ms)));
        hedge
    }

    fn delay(hedge: &HedgeDelay) -> f64 {
        hedge.delay().expect("enough samples").as_secs_f64()
    }

    #[test]
    fn twenty_samples_are_needed() {
        let hedge = fed(HedgePolicy::default(), [100; 19]);
        assert_eq!(hedge.delay(), None);
        hedge.sample(Duration::from_millis(100));
        assert!((0.1..=0.1 * (1.0 + WIDTH)).contains(&delay(&hedge)));
    }

    #[test]
    fn the_delay_stays_within_its_bounds() {
        let policy =
            HedgePolicy::default().min_delay(Duration::from_millis(50)).max_delay(Duration::from_millis(70));
        assert_eq!(fed(policy, [1; 20]).delay(), Some(Duration::from_millis(50)));
        assert_eq!(fed(policy, [500; 20]).delay(), Some(Duration::from_millis(70)));
        assert_eq!(
            fed(policy.max_delay(Duration::ZERO), [500; 20]).delay(),
            Some(Duration::from_nanos(1)),
            "no delay is still a known delay"
        );
    }

    #[test]
    fn a_slower_service_is_noticed_at_once_and_a_faster_one_soon() {
        let hedge = fed(HedgePolicy::default(), [20; 1_000]);
        assert!(delay(&hedge) < 0.022);
        for _ in 0..32 {
            hedge.sample(Duration::from_secs(1));
        }
        assert!(delay(&hedge) >= 1.0, "{}", delay(&hedge));
        let samples_until_forgotten = (1..1_000).find(|_| {
            hedge.sample(Duration::from_millis(20));
            delay(&hedge) < 0.022
        });
        assert!(samples_until_forgotten.is_some_and(|n| n <= 400), "{samples_until_forgotten:?}");
    }

    #[test]
    fn a_long_past_is_forgotten() {
        let hedge = fed(HedgePolicy::default(), std::iter::repeat_n(1_000, 10_000));
        for _ in 0..640 {
            hedge.sample(Duration::from_millis(20));
        }
        assert!(delay(&hedge) < 0.022, "{}", delay(&hedge));
    }

    #[test]
    fn halving_keeps_a_thin_tail() {
        // One call in ten is slow, and no two of these alike.
        let mut random = fastrand::Rng::with_seed(3);
        let hedge = HedgeDelay::default();
        for call in 0..20_000 {
            let millis = if call % 10 == 0 { random.u64(1_000..60_000) } else { 30 };
            hedge.sample(Duration::from_millis(millis));
            assert!(call < 100 || delay(&hedge) > 1.0, "call {call}: {}", delay(&hedge));
        }
    }

    #[test]
    fn only_one_thread_at_a_time_works_on_the_histogram() {
        let hedge = HedgeDelay::default();
        hedge.busy.store(true, Relaxed);
        (0..300).for_each(|_| hedge.sample(Duration::from_millis(100)));
        assert_eq!((hedge.delay(), hedge.samples.load(Relaxed)), (None, 300));
        hedge.busy.store(false, Relaxed);
        (0..REFRESH_EVERY).for_each(|_| hedge.sample(Duration::from_millis(100)));
        assert!(hedge.delay().is_some() && hedge.samples.load(Relaxed) < MAX_SAMPLES);
    }

    #[test]
    fn most_calls_write_nothing() {
        fastrand::seed(5);
        let hedge = HedgeDelay::default();
        let written: usize = (0..8_000)
            .filter(|_| {
                let before = hedge.samples.load(Relaxed);
                hedge.observe(Duration::from_millis(30));
                hedge.samples.load(Relaxed) != before
            })
            .count();
        assert!((900..1_400).contains(&written), "{written}");
        assert!((MAX_SAMPLES / 2..=MAX_SAMPLES).contains(&hedge.samples.load(Relaxed)));
    }

    #[test]
    fn threads_do_not_corrupt_the_histogram() {
        let hedge = HedgeDelay::default();
        thread::scope(|scope| {
            for thread in 0..4 {
                let hedge = &hedge;
                scope.spawn(move || {
                    for i in 0..50_000 {
                        hedge.sample(Duration::from_millis(10 + (i + thread) % 90));
                    }
                });
            }
        });
        let held: u32 = hedge.histogram.iter().map(|count| u32::from(count.load(Relaxed))).sum();
        assert_eq!(held, hedge.samples.load(Relaxed));
        assert!(held < 2 * MAX_SAMPLES, "{held}");
        let far_off: u32 = hedge.histogram[scale::bucket(Duration::from_millis(101)) + 1..]
            .iter()
            .map(|count| u32::from(count.load(Relaxed)))
            .sum();
        assert_eq!(far_off, 0);
    }

    proptest! {
        #[test]
        fn a_bucket_is_narrow_and_holds_its_values(nanos in 65_536..137_000_000_000_u64) {
            let took = Duration::from_nanos(nanos);
            let bucket = scale::bucket(took);
            let upper = scale::upper_bound(bucket);
            prop_assert!(upper > took);
            prop_assert!(upper.as_secs_f64() <= took.as_secs_f64() * (1.0 + WIDTH) + 1e-9);
            prop_assert_eq!(scale::bucket(upper.saturating_sub(Duration::from_nanos(1))), bucket);
        }

        #[test]
        fn any_duration_has_a_bucket(nanos in any::<u64>(), seconds in any::<u64>()) {
            prop_assert!(scale::bucket(Duration::new(seconds, 0)) < scale::BUCKETS);
            prop_assert!(scale::bucket(Duration::from_nanos(nanos)) < scale::BUCKETS);
        }

        /// Against a sorted list, while nothing is forgotten yet: within one bucket above the exact quantile.
        #[test]
        fn the_quantile_is_exact_to_one_bucket(
            quantile in 0.5..0.999_f64,
            millis in prop::collection::vec(1..100_000_u64, 240),
        ) {
            let hedge = fed(open_policy().quantile(quantile).max_delay(Duration::MAX), millis.iter().copied());
            let mut sorted = millis;
            sorted.sort_unstable();
            let exact = sorted[(240.0 * quantile).ceil() as usize - 1] as f64 / 1e3;
            let got = delay(&hedge);
            prop_assert!(got > exact && got <= exact * (1.0 + WIDTH) + 1e-9, "{} for {}", got, exact);
        }
    }
}
