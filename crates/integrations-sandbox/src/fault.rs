//! What goes wrong on purpose.

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
    /// The vendor acts at once, and its answer takes this long.
    Latency(Duration),
    /// There is no connection at all: the one failure of which a client knows that the vendor got nothing. A server
    /// cannot refuse what it has accepted; there it is a [`Fault::ResetBefore`].
    Refused,
    /// The connection breaks before the vendor has the whole request. The client cannot know that.
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
    /// A status from 500 on; the vendor may have done what it was asked. It did not where it says so: by a delay
    /// with 503.
    Broken {
        /// 500, 502, 503 or 504.
        status: u16,
        /// Whether it did.
        acted: bool,
    },
    /// A proxy between answers with a page, status 502, and the vendor gets nothing.
    ProxyPage,
    /// The vendor acts, and half of its answer arrives, as if it were all.
    Truncated,
    /// The vendor acts, and its answer has another shape than it should.
    WrongShape,
    /// A passing failure under status 200, where the vendor has such; it did nothing.
    FailedWithSuccess,
    /// The credentials were replaced a moment ago, and those in use are refused.
    Rotated,
    /// From this request on the vendor's clock is this many seconds ahead, or behind when negative, until another
    /// such fault or another plan.
    ClockSkew(i32),
    /// The next page of a list is one that was given before.
    CursorLoop,
    /// What was written lately is not found yet.
    LaggingIndex,
}

impl Fault {
    /// The names of all kinds.
    pub const KINDS: [&'static str; 17] = [
        "latency",
        "refused",
        "reset_before",
        "reset_after",
        "hang_before",
        "hang_after",
        "rate_limited",
        "quota_exhausted",
        "broken",
        "proxy_page",
        "truncated",
        "wrong_shape",
        "failed_with_success",
        "rotated",
        "clock_skew",
        "cursor_loop",
        "lagging_index",
    ];

    /// Its name in reports.
    pub const fn kind(&self) -> &'static str {
        let index = match self {
            Self::Latency(_) => 0,
            Self::Refused => 1,
            Self::ResetBefore => 2,
            Self::ResetAfter => 3,
            Self::HangBefore => 4,
            Self::HangAfter => 5,
            Self::RateLimited(..) => 6,
            Self::QuotaExhausted => 7,
            Self::Broken { .. } => 8,
            Self::ProxyPage => 9,
            Self::Truncated => 10,
            Self::WrongShape => 11,
            Self::FailedWithSuccess => 12,
            Self::Rotated => 13,
            Self::ClockSkew(_) => 14,
            Self::CursorLoop => 15,
            Self::LaggingIndex => 16,
        };
        Self::KINDS[index]
    }
}

/// How bad it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Only faults after which a call with the default policy ends well: what its operation allows to be sent again,
    /// fewer in a row than there are attempts, and delays that are worth waiting for. An operation that is sent at
    /// most once meets only what leaves no doubt that the vendor did nothing.
    Passing,
    /// Anything: delays of hours, outages of many requests, answers that nobody can read.
    Any,
}
