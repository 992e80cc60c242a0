//! When a delivery is tried again.

use std::time::Duration;

use crate::error::{Error, Result};

/// How far the jitter moves a delay, as a part of it.
const JITTER: f64 = 0.2;

/// A receiver's `Retry-After` counts up to this; it must not put a delivery off for ever.
const LONGEST_TOLD: Duration = Duration::from_secs(24 * 3600);

/// The example schedule of the Standard Webhooks specification ("Deliverability and reliability"): 75:35:05 in all.
const STANDARD: [u64; 10] = [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// The delay before each attempt of a delivery; it gives up after the last one.
///
/// Default: at once, then after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h, each of them ±20 %.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule(Vec<Duration>);

impl Default for RetrySchedule {
    fn default() -> Self {
        Self(STANDARD.into_iter().map(Duration::from_secs).collect())
    }
}

impl RetrySchedule {
    /// The delay before the first attempt, then before each further one.
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if there is none, or one is longer than 365 days.
    pub fn new(delays: impl IntoIterator<Item = Duration>) -> Result<Self> {
        let delays: Vec<_> = delays.into_iter().collect();
        if delays.is_empty() || delays.iter().any(|delay| *delay > Duration::from_secs(365 * 24 * 3600)) {
            return Err(Error::config("the retry schedule is empty, or has a delay of more than a year")
                .with_hint("give the delay before each attempt, the first one included"));
        }
        Ok(Self(delays))
    }

    /// Attempts in all.
    pub fn attempts(&self) -> usize {
        self.0.len()
    }

    /// The sum of all delays.
    pub fn total(&self) -> Duration {
        self.0.iter().sum()
    }

    /// The delay before the first attempt.
    pub fn first(&self) -> Duration {
        self.0.first().copied().unwrap_or_default()
    }

    /// The delay after attempt `made` (1 for the first) has failed, or `None` when it was the last. `jitter` is from
    /// -1 to 1; `told` is the receiver's `Retry-After`, a lower bound up to 24 h.
    pub fn after(&self, made: u32, jitter: f64, told: Option<Duration>) -> Option<Duration> {
        let delay = self.0.get(usize::try_from(made).ok()?)?;
        let moved = delay.mul_f64(1.0 + JITTER * jitter.clamp(-1.0, 1.0));
        Some(moved.max(told.unwrap_or_default().min(LONGEST_TOLD)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_schedule_takes_75_hours_35_minutes_and_5_seconds() {
        let schedule = RetrySchedule::default();
        assert_eq!(schedule.total(), Duration::from_secs(75 * 3600 + 35 * 60 + 5));
        assert_eq!((schedule.attempts(), schedule.first()), (10, Duration::ZERO));
    }

    #[test]
    fn jitter_moves_a_delay_by_a_fifth_and_no_further() {
        let schedule = RetrySchedule::default();
        for (jitter, millis) in [(-1.0, 4000), (0.0, 5000), (0.5, 5500), (1.0, 6000), (9.0, 6000)] {
            assert_eq!(schedule.after(1, jitter, None), Some(Duration::from_millis(millis)), "{jitter}");
        }
    }

    #[test]
    fn the_receivers_delay_is_a_lower_bound_with_an_end() {
        let schedule = RetrySchedule::default();
        for (told, seconds) in [(0, 5), (4, 5), (60, 60), (u64::MAX, 24 * 3600)] {
            let delay = schedule.after(1, 0.0, Some(Duration::from_secs(told)));
            assert_eq!(delay, Some(Duration::from_secs(seconds)), "{told}");
        }
    }

    #[test]
    fn it_gives_up_after_the_last_attempt() {
        let schedule = RetrySchedule::default();
        assert_eq!(schedule.after(9, 0.0, None), Some(Duration::from_secs(86_400)));
        for made in [10, 11, u32::MAX] {
            assert_eq!(schedule.after(made, 0.0, Some(Duration::from_secs(1))), None);
        }
    }

    #[test]
    fn an_empty_or_endless_schedule_is_refused() {
        assert!(RetrySchedule::new([]).is_err());
        assert!(RetrySchedule::new([Duration::MAX]).is_err());
    }
}
