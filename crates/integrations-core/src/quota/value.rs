//! Numbers, spans and moments as they stand in headers and bodies.

use std::time::Duration;

use http::header::{AGE, DATE};
use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};

use super::{MAX_DELAY, date};

/// 31 years. No service means that as a delay; it is an epoch, a bug, or an attack.
const NONSENSE: Duration = Duration::from_secs(1_000_000_000);

/// Structured fields have integers of at most 15 digits (RFC 9651 section 3.3.1).
const MAX_AMOUNT: f64 = 999_999_999_999_999.0;

/// How a time value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Unknown or mixed: a date, a span such as `1m30.951s`, or a number, which is epoch milliseconds above 10^12,
    /// epoch seconds above 10^9, else seconds from now.
    Auto,
    /// Seconds from now, perhaps with a fraction.
    Seconds,
    /// Milliseconds from now.
    Millis,
    /// Minutes from now.
    Minutes,
    /// Seconds since 1970, perhaps with a fraction.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
    /// An HTTP date, RFC 3339, or one of the odd forms vendors document. Without a zone it is ignored.
    Date,
    /// A span with units: `1m30.951s`, `20ms`, `3.5s`, or ISO 8601 such as `PT24H`.
    Span,
}

impl Unit {
    /// The time from `now` on; zero for a moment in the past, `None` for nonsense.
    pub(super) fn delay(self, text: &str, now: Timestamp) -> Option<Duration> {
        let text = text.trim();
        match self {
            Self::Auto => auto(text, now),
            Self::Seconds => seconds(number(text)?),
            Self::Millis => seconds(number(text)? / 1e3),
            Self::Minutes => seconds(number(text)? * 60.0),
            Self::EpochSeconds => until(epoch_millis(number(text)? * 1e3)?, now),
            Self::EpochMillis => until(epoch_millis(number(text)?)?, now),
            Self::Date => until(date::any(text, now)?, now),
            Self::Span => span(text),
        }
    }
}

fn auto(text: &str, now: Timestamp) -> Option<Duration> {
    match number(text) {
        Some(n) if n > 1e12 => Unit::EpochMillis.delay(text, now),
        Some(n) if n > 1e9 => Unit::EpochSeconds.delay(text, now),
        Some(n) => seconds(n),
        None => span(text).or_else(|| Unit::Date.delay(text, now)),
    }
}

/// A count: `99`, or `99.0` as Reddit sends it. `-1` for "unknown" (Azure OpenAI) is none.
pub(super) fn amount(text: &str) -> Option<u64> {
    number(text.trim()).filter(|n| *n <= MAX_AMOUNT).map(|n| n as u64)
}

/// Digits with at most one point: what `f64` also accepts (`inf`, `1e30`, `-5`, `+5`) is no value of a limit.
pub(super) fn number(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && text.len() <= 40;
    is_plain.then(|| text.parse().ok())?
}

/// Whole seconds, as structured fields have them.
pub(super) fn whole_seconds(n: u64) -> Option<Duration> {
    bounded(Duration::from_secs(n))
}

/// Seconds from now, which are finite and not negative because they come from [`number`].
fn seconds(n: f64) -> Option<Duration> {
    bounded(Duration::try_from_secs_f64(n).ok()?)
}

fn span(text: &str) -> Option<Duration> {
    // Without this, jiff would also read `5 years ago` and the like.
    let is_span = text.starts_with(|c: char| c.is_ascii_digit() || c == 'P') && text.len() <= 40;
    let span: SignedDuration = is_span.then(|| text.parse().ok())??;
    bounded(Duration::try_from(span).ok()?)
}

fn epoch_millis(n: f64) -> Option<Timestamp> {
    Timestamp::from_millisecond(n.round() as i64).ok()
}

fn until(at: Timestamp, now: Timestamp) -> Option<Duration> {
    bounded(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

fn bounded(delay: Duration) -> Option<Duration> {
    (delay <= NONSENSE).then_some(delay.min(MAX_DELAY))
}

/// The present time on the service's clock: its `Date`, plus the time the answer spent in caches, else our own time.
/// So a moment it names survives our clock being wrong.
pub(super) fn service_time(headers: &HeaderMap, now: Timestamp) -> Timestamp {
    let date = headers.get(DATE).and_then(|v| v.to_str().ok()).and_then(|v| date::http_date_near(v, now));
    let Some(date) = date else { return now };
    let age = SignedDuration::try_from(age(headers)).unwrap_or_default();
    date.saturating_add(age).unwrap_or(date)
}

fn age(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(AGE).and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or(0)).min(MAX_DELAY)
}

/// Whether a delay told with this status speaks of the quota. `Retry-After` on 202 is a polling interval and on 3xx
/// belongs to the redirect (RFC 9110 section 10.2.3).
pub(super) fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// Whether the windows told are current: not on an answer from a cache, and not on a redirect, which must not be kept
/// waiting by `r=0` (RateLimit draft, sections on caching and on server behaviour). 304 is no redirect.
pub(super) fn windows_count(status: StatusCode, headers: &HeaderMap) -> bool {
    age(headers).is_zero() && (!status.is_redirection() || status == StatusCode::NOT_MODIFIED)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_795_176_000).unwrap()
    }

    #[test]
    fn the_heuristic_splits_at_ten_to_the_ninth_and_twelfth() {
        let delay = |text| Unit::Auto.delay(text, now());
        assert_eq!(delay("30"), Some(Duration::from_secs(30)));
        assert_eq!(delay("1000000000"), Some(MAX_DELAY));
        assert_eq!(delay("1000000001"), Some(Duration::ZERO));
        assert_eq!(delay("1795176005"), Some(Duration::from_secs(5)));
        assert_eq!(delay("1795176005.25"), Some(Duration::from_millis(5250)));
        assert_eq!(delay("1795176005250"), Some(Duration::from_millis(5250)));
        // Epoch microseconds are no date that the calendar has.
        assert_eq!(delay("1795176005250000"), None);
    }

    #[test]
    fn numbers_are_plain_decimals() {
        for text in ["", ".", "-1", "+1", "1e3", "inf", "NaN", "0x10", "1_000", "1,5", "1.2.3", "٣"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(number(&"9".repeat(41)), None);
        assert_eq!(amount(" 99.9 "), Some(99));
        assert_eq!(amount("1000000000000000"), None);
    }

    #[test]
    fn spans_have_units_and_no_sign() {
        for (text, millis) in [
            ("1m30.951s", 90_951),
            ("20ms", 20),
            ("6m0s", 360_000),
            ("1h2m3s", 3_723_000),
            ("3.5s", 3_500),
            ("0s", 0),
            ("PT24H", 86_400_000),
        ] {
            assert_eq!(Unit::Span.delay(text, now()), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["-5s", "5s ago", "soon", "5", "P1Y", "99999999999h", ""] {
            assert_eq!(Unit::Span.delay(text, now()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_gives_more_than_the_bound(text in "[0-9a-zA-Z.:+ ,-]{0,24}|\\PC{0,24}|[0-9]{1,45}(\\.[0-9]{0,9})?") {
            for unit in [Unit::Auto, Unit::Seconds, Unit::Millis, Unit::Minutes, Unit::EpochSeconds,
                         Unit::EpochMillis, Unit::Date, Unit::Span] {
                prop_assert!(unit.delay(&text, now()).is_none_or(|d| d <= MAX_DELAY));
            }
        }

        #[test]
        fn spans_as_go_prints_them_come_back(millis in 0u64..86_400_000) {
            let (h, m, s, ms) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60, millis % 1000);
            let text = format!("{h}h{m}m{s}.{ms:03}s");
            prop_assert_eq!(Unit::Span.delay(&text, now()), Some(Duration::from_millis(millis)));
        }
    }
}
