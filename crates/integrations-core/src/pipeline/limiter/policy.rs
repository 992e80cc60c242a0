//! The limits of one quota key, as data.

use std::num::NonZeroU64;
use std::time::Duration;

use super::gcra::Rate;
use crate::error::{Error, Result};

/// So many units per so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateWindow {
    /// Units that one window allows.
    pub limit: NonZeroU64,
    /// The length of the window, above zero and at most [`RateWindow::LONGEST`].
    pub per: Duration,
    /// Units that may be sent at once after a quiet time; `None` means `limit`, as most services' windows allow.
    /// Over any time `t` at most `burst + limit * t / per` units are sent, so where a service counts strictly
    /// within each window, a smaller burst avoids its refusals.
    pub burst: Option<u32>,
}

impl RateWindow {
    /// The longest window: 366 days.
    pub const LONGEST: Duration = Duration::from_hours(366 * 24);
    /// The fastest rate, in units per second. Above it, intervals in whole nanoseconds would be off by more
    /// than 0.1 %.
    pub const FASTEST: u64 = 1_000_000;

    /// `limit` units per `per`, all of which may be sent at once.
    pub const fn new(limit: NonZeroU64, per: Duration) -> Self {
        Self { limit, per, burst: None }
    }

    /// Sets the units that may be sent at once.
    #[must_use]
    pub const fn burst(mut self, units: u32) -> Self {
        self.burst = Some(units);
        self
    }

    pub(super) fn rate(&self) -> Result<Rate> {
        if self.per.is_zero() || self.per > Self::LONGEST {
            return Err(wrong(self, "its length must be above zero and at most 366 days"));
        }
        let per = self.per.as_nanos() as u64;
        // Rounded up, so that rounding never sends more than the limit.
        let interval = per.div_ceil(self.limit.get());
        if interval < 1_000_000_000 / Self::FASTEST {
            return Err(wrong(self, "more than 1000000 units per second cannot be spaced"));
        }
        let burst = self.burst.map_or(self.limit.get(), u64::from);
        let tolerance = interval
            .checked_mul(burst)
            .filter(|t| u128::from(*t) <= 2 * Self::LONGEST.as_nanos())
            .ok_or_else(|| wrong(self, "its burst is worth more than two years"))?;
        if burst == 0 {
            return Err(wrong(self, "a burst of 0 lets nothing through; the smallest is 1"));
        }
        Ok(Rate { interval, tolerance })
    }
}

fn wrong(window: &RateWindow, why: &str) -> Error {
    Error::config(format!("rate window of {} per {:?}: {why}", window.limit, window.per))
}

/// The limits of one quota key: provider, credential and bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitPolicy {
    /// The known limits; a call must fit all of them.
    pub windows: Vec<RateWindow>,
    /// Whether to obey what the service tells about its limits. It can only slow down, never exceed `windows`.
    pub learn: bool,
    /// Whether to find a limit that nobody tells by watching what the service refuses.
    pub adaptive: bool,
}

impl Default for LimitPolicy {
    fn default() -> Self {
        Self { windows: Vec::new(), learn: true, adaptive: true }
    }
}

impl LimitPolicy {
    /// Adds a window.
    #[must_use]
    pub fn window(mut self, window: RateWindow) -> Self {
        self.windows.push(window);
        self
    }

    /// Sets whether to obey what the service tells.
    #[must_use]
    pub fn learn(mut self, on: bool) -> Self {
        self.learn = on;
        self
    }

    /// Sets whether to find a secret limit.
    #[must_use]
    pub fn adaptive(mut self, on: bool) -> Self {
        self.adaptive = on;
        self
    }

    /// Checks every window.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming the window that cannot be.
    pub fn validate(&self) -> Result<()> {
        self.rates().map(drop)
    }

    pub(super) fn rates(&self) -> Result<Vec<Rate>> {
        self.windows.iter().map(RateWindow::rate).collect()
    }
}
