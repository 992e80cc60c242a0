//! What a service tells about its limits, in every dialect the vendors speak.
//!
//! Everything here is a pure function of an answer and of the time it arrived. [`standard`] understands what many
//! services share: `Retry-After` in all its forms, the `RateLimit` field of every draft
//! (draft-ietf-httpapi-ratelimit-headers), the `RateLimit-*`, `X-RateLimit-*` and `X-Rate-Limit-*` families.
//! What one vendor does differently is declared as data, in [`RateRules`].
//!
//! How a limiter uses a [`Quota`]:
//! - [`Quota::wait`] answers "how long must the next call wait?". It is the whole answer for a simple limiter.
//! - [`Quota::retry_after`] is an order: nobody who shares the quota calls earlier, plus a little jitter, because every
//!   throttled client was told the same moment. A zero is an order too weak to obey alone: keep the floor of the
//!   computed back-off, or a service that answers `Retry-After: 0` gets a hot loop.
//! - A [`Window`] says "`remaining` of `limit` until `reset_after`". Lower the local estimate to `remaining`, never raise
//!   it above what was sent since: a positive `remaining` is a hint, not a grant (section 5 of the draft).
//! - `limit` and `period` give the refill rate for proactive pacing.

mod date;
mod dialect;
mod fields;
mod generic;
mod rules;
mod value;

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

pub use date::{http_date, http_date_near};
pub use rules::{DelayRule, Dialect, Flag, Place, RateRules, WindowRule};
pub use value::Unit;

/// The longest delay, reset or period that is reported: 31 days, the longest monthly quota.
///
/// A longer one is cut to this. Anything above 10^9 seconds (31 years), negative or not a number is nonsense and is
/// ignored, as if it had not been sent.
pub const MAX_DELAY: Duration = Duration::from_hours(31 * 24);

/// The largest number of windows that are read from one answer.
pub const MAX_WINDOWS: usize = 32;

/// The longest body, in bytes, in which limits are looked for: 256 KiB.
pub const MAX_BODY: usize = 256 * 1024;

/// What one answer told about the limits of the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// Do not call again before this much time has passed since the answer arrived; at most [`MAX_DELAY`].
    pub retry_after: Option<Duration>,
    /// `retry_after` concerns everything these credentials do, not only the bucket of the operation called.
    pub global: bool,
    /// The limits, in the order they were told; at most [`MAX_WINDOWS`].
    pub windows: Vec<Window>,
}

impl Quota {
    /// Nothing was told.
    pub fn is_empty(&self) -> bool {
        self.retry_after.is_none() && self.windows.is_empty()
    }

    /// How long a call of `cost` units in `bucket` (see [`Op::bucket`](crate::Op::bucket)) must wait: the told delay if
    /// there is one, else the longest reset of the windows that cannot pay for the call. `None`: no reason to wait, or
    /// no word about how long.
    pub fn wait(&self, bucket: &str, cost: u32) -> Option<Duration> {
        // RateLimit draft, section 5: Retry-After takes precedence over the reset of a window.
        self.retry_after.or_else(|| {
            self.windows
                .iter()
                .filter(|w| w.concerns(bucket) && w.lacks(cost))
                .filter_map(|w| w.reset_after)
                .max()
        })
    }

    fn push(&mut self, window: Window) {
        if self.windows.len() < MAX_WINDOWS && window.tells_something() {
            self.windows.push(window);
        }
    }

    fn pause(&mut self, delay: Duration) {
        self.retry_after = self.retry_after.max(Some(delay));
    }

    /// 429 says that a quota is used up: a window that only tells when it restarts is the one (Segment, Klarna).
    fn settle(&mut self, status: StatusCode) {
        if status != StatusCode::TOO_MANY_REQUESTS {
            return;
        }
        for window in &mut self.windows {
            if window.remaining.is_none() && window.reset_after.is_some() {
                window.remaining = Some(0);
            }
        }
    }
}

/// One limit: `remaining` of `limit` until `reset_after`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Window {
    /// The vendor's name of the policy or of its bucket, for logs and metrics.
    pub name: Option<Cow<'static, str>>,
    /// Set if the limit concerns one category of operations whatever operation was called; compared with
    /// [`Op::bucket`](crate::Op::bucket). `None`: it concerns the bucket of the operation called.
    pub category: Option<Cow<'static, str>>,
    /// Whose quota it is (an account, an organisation, an opaque key), where the service says so.
    pub partition: Option<Cow<'static, str>>,
    /// What is counted.
    pub measure: Measure,
    /// Units per period.
    pub limit: Option<u64>,
    /// Units left. Not a grant: other limits may apply.
    pub remaining: Option<u64>,
    /// Time until more units are given, at most [`MAX_DELAY`]. Zero if the told moment has passed.
    pub reset_after: Option<Duration>,
    /// The length of the window, at most [`MAX_DELAY`].
    pub period: Option<Duration>,
}

impl Window {
    /// Whether this is a limit on calls that counts those of `bucket`.
    pub(crate) fn counts_calls_of(&self, bucket: &str) -> bool {
        matches!(self.measure, Measure::Requests | Measure::Units) && self.concerns(bucket)
    }

    fn concerns(&self, bucket: &str) -> bool {
        self.category.as_deref().is_none_or(|category| category == bucket)
    }

    fn lacks(&self, cost: u32) -> bool {
        let needed = match self.measure {
            Measure::Requests | Measure::Units => u64::from(cost.max(1)),
            Measure::Bytes | Measure::Concurrency | Measure::Percent => 1,
        };
        self.remaining.is_some_and(|remaining| remaining < needed)
    }

    fn tells_something(&self) -> bool {
        self.limit.is_some() || self.remaining.is_some() || self.reset_after.is_some_and(|d| !d.is_zero())
    }
}

/// What a window counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Measure {
    /// Calls.
    #[default]
    Requests,
    /// Units of the vendor: points, tokens, credits, query cost.
    Units,
    /// Bytes of content.
    Bytes,
    /// Calls that run at the same time.
    Concurrency,
    /// Hundredths of a limit that stays secret.
    Percent,
}

/// Reads what any service may tell without a declaration of its own. `now` is the time at which the answer arrived.
///
/// - `Retry-After` (seconds, decimal seconds, the three date forms of RFC 9110, RFC 3339) and its millisecond variants
///   count on 4xx and 5xx only: on 2xx and 3xx they speak of one resource, not of the quota.
/// - Windows are ignored on answers from a cache (`Age` above zero), which are stale, and on redirects.
/// - A moment is measured against the service's own clock, the `Date` header, where there is one.
/// - A bare number is epoch milliseconds above 10^12, epoch seconds above 10^9, else seconds from now.
/// - What is malformed is ignored.
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use integrations_core::quota;
/// use std::time::Duration;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("ratelimit", "\"burst\";r=0;t=3, \"daily\";r=700;t=40000".parse()?);
/// let quota = quota::standard(StatusCode::OK, &headers, jiff::Timestamp::UNIX_EPOCH);
/// assert_eq!(quota.windows.len(), 2);
/// assert_eq!(quota.wait("default", 1), Some(Duration::from_secs(3)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn standard(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Quota {
    let mut quota = Quota::default();
    let told = generic::Told::of(headers);
    if told.is_empty() {
        return quota;
    }
    let now = value::service_time(headers, now);
    if value::is_refusal(status) {
        quota.retry_after = told.delay(now);
    }
    if value::windows_count(status, headers) {
        told.windows(now).into_iter().for_each(|window| quota.push(window));
    }
    quota.settle(status);
    quota
}
