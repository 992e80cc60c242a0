//! What goes wrong on purpose.

use std::collections::VecDeque;
use std::time::Duration;

/// How a delay is written into `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DelayForm {
    /// Whole seconds.
    Seconds,
    /// A date (RFC 9110 section 5.6.7).
    HttpDate,
    /// Not at all.
    Missing,
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The answer takes this long.
    Latency(Duration),
    /// The connection breaks before the vendor gets the request.
    ResetBefore,
    /// The vendor does what it was asked, and the connection breaks before the answer.
    ResetAfter,
    /// Nothing ever comes back, and the vendor did nothing.
    HangBefore,
    /// Nothing ever comes back, though the vendor did what it was asked.
    HangAfter,
    /// 429, in the vendor's own words, with a delay.
    RateLimited(Duration, DelayForm),
    /// The quota of a longer time is used up, in the vendor's own words.
    QuotaExhausted,
    /// A status from 500 on; the vendor may have done what it was asked.
    Broken {
        /// 500, 502, 503 or 504.
        status: u16,
        /// Whether it did.
        acted: bool,
    },
    /// A proxy between answers with a page, status 502, and the vendor gets nothing.
    ProxyPage,
    /// The vendor acts, and half of its answer arrives.
    Truncated,
    /// The vendor acts, and its answer has another shape than it should.
    WrongShape,
    /// A passing failure under status 200, where the vendor has such; it did nothing.
    FailedWithSuccess,
    /// The credentials were replaced a moment ago, and those in use are refused.
    Rotated,
    /// The vendor's clock is this many seconds ahead, or behind when negative.
    ClockSkew(i32),
    /// The next page of a list is one that was given before.
    CursorLoop,
    /// What was written lately is not found yet.
    LaggingIndex,
}

impl Fault {
    /// Its name in reports.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Latency(_) => "latency",
            Self::ResetBefore => "reset_before",
            Self::ResetAfter => "reset_after",
            Self::HangBefore => "hang_before",
            Self::HangAfter => "hang_after",
            Self::RateLimited(..) => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Broken { .. } => "broken",
            Self::ProxyPage => "proxy_page",
            Self::Truncated => "truncated",
            Self::WrongShape => "wrong_shape",
            Self::FailedWithSuccess => "failed_with_success",
            Self::Rotated => "rotated",
            Self::ClockSkew(_) => "clock_skew",
            Self::CursorLoop => "cursor_loop",
            Self::LaggingIndex => "lagging_index",
        }
    }
}

/// How bad it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Only faults after which a call that may be sent again succeeds: passing ones, fewer in a row than there are
    /// attempts, and delays that are worth waiting for.
    Passing,
    /// Anything.
    Any,
}

/// Which requests go wrong, and how.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What happens to the next requests, one by one; `None` leaves one alone.
    script: VecDeque<Option<Fault>>,
    chance: Option<(fastrand::Rng, Severity)>,
    in_a_row: u32,
}

impl Plan {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// The next requests go wrong in these ways, those after them not.
    pub fn script(faults: impl IntoIterator<Item = Option<Fault>>) -> Self {
        Self { script: faults.into_iter().collect(), ..Self::default() }
    }

    /// Requests go wrong by chance, from a seed.
    pub fn seeded(seed: u64, severity: Severity) -> Self {
        Self { chance: Some((fastrand::Rng::with_seed(seed), severity)), ..Self::default() }
    }

    /// What happens to the next request.
    pub(crate) fn draw(&mut self) -> Option<Fault> {
        let _ = (&self.chance, &self.in_a_row);
        self.script.pop_front().flatten()
    }
}
