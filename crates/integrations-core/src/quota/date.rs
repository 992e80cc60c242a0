//! Dates in headers: HTTP dates, RFC 3339, and the few odd forms that vendors document.

use jiff::civil::Date;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// In force where RFC 850's two-digit year has no present to be compared with: 1970 to 2069, as for cookies
/// (RFC 6265 section 5.1.1).
const CENTURY_START: i16 = 1970;

/// Forms beyond HTTP and RFC 3339.
const FORMS: [&str; 2] = [
    // SoundCloud's 429 body: `2015/06/01 09:49:40 +0000`.
    "%Y/%m/%d %H:%M:%S %z",
    // JavaScript's `Date.toString`, documented by lemlist: `Tue Feb 16 2021 09:02:42 GMT+0100 (…)`.
    "%a %b %d %Y %H:%M:%S GMT%z",
];

/// Parses an HTTP date (RFC 9110 section 5.6.7) in any of its three forms. A two-digit year lies in 1970 to 2069.
///
/// The weekday must be one but need not be the right one, and case does not matter: RFC 9110 asks recipients to be
/// robust. A leap second is read as the second before it.
///
/// ```
/// use integrations_core::quota::http_date;
/// let fixed = http_date("Sun, 06 Nov 1994 08:49:37 GMT");
/// assert!(fixed.is_some());
/// assert_eq!(http_date("Sunday, 06-Nov-94 08:49:37 GMT"), fixed);
/// assert_eq!(http_date("Sun Nov  6 08:49:37 1994"), fixed);
/// assert_eq!(http_date("1994-11-06T08:49:37Z"), None);
/// ```
pub fn http_date(text: &str) -> Option<Timestamp> {
    parse(text, || CENTURY_START)
}

/// Like [`http_date`], with the two-digit year as RFC 9110 wants it: no more than 50 years after `now`.
pub fn http_date_near(text: &str, now: Timestamp) -> Option<Timestamp> {
    parse(text, || now.to_zoned(TimeZone::UTC).year().saturating_sub(49))
}

/// Any date form that a service may send.
pub(super) fn any(text: &str, now: Timestamp) -> Option<Timestamp> {
    if text.starts_with(|c: char| c.is_ascii_alphabetic())
        && let Some(at) = http_date_near(text, now)
    {
        return Some(at);
    }
    let text = text.split_once(" (").map_or(text, |(date, _)| date);
    text.parse().ok().or_else(|| FORMS.iter().find_map(|form| by_form(form, text)))
}

fn by_form(form: &str, text: &str) -> Option<Timestamp> {
    BrokenDownTime::parse(form, text).ok()?.to_timestamp().ok()
}

fn parse(text: &str, first_year: impl FnOnce() -> i16) -> Option<Timestamp> {
    let (weekday, rest) = text.trim().split_once([',', ' '])?;
    is_weekday(weekday).then_some(())?;
    let mut words = [""; 5];
    let mut count = 0;
    for word in rest.split_ascii_whitespace() {
        *words.get_mut(count)? = word;
        count += 1;
    }
    let (date, time) = match words[..count] {
        [day, month, year, time, zone] if is_utc(zone) => (full_date(year, month, day)?, time),
        [date, time, zone] if is_utc(zone) => (short_date(date, first_year())?, time),
        [month, day, time, year] => (full_date(year, month, day)?, time),
        _ => return None,
    };
    at(date, time)
}

/// `Sun` or `Sunday`; not cut at a byte, because the text may be anything.
fn is_weekday(word: &str) -> bool {
    (3..=9).contains(&word.len())
        && word.ends_with(|c: char| c.is_ascii_alphabetic())
        && word.get(..3).is_some_and(|start| position(&WEEKDAYS, start).is_some())
}

fn is_utc(zone: &str) -> bool {
    ["GMT", "UTC", "+0000"].iter().any(|utc| zone.eq_ignore_ascii_case(utc))
}

fn full_date(year: &str, month: &str, day: &str) -> Option<Date> {
    (year.len() == 4).then_some(())?;
    date(digits(year)?, month, day)
}

fn short_date(text: &str, first_year: i16) -> Option<Date> {
    let mut parts = text.split('-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    (parts.next().is_none() && year.len() == 2).then_some(())?;
    let year = first_year + (digits(year)? - first_year).rem_euclid(100);
    date(year, month, day)
}

fn date(year: i16, month: &str, day: &str) -> Option<Date> {
    let month = position(&MONTHS, month)? + 1;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(digits(day)?).ok()?).ok()
}

fn at(date: Date, time: &str) -> Option<Timestamp> {
    let mut parts = time.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    (parts.next().is_none() && [hour, minute, second].iter().all(|p| p.len() == 2)).then_some(())?;
    let part = |text| i8::try_from(digits(text)?).ok();
    let second = match part(second)? {
        60 => 59,
        second => second,
    };
    let time = civil::Time::new(part(hour)?, part(minute)?, second, 0).ok()?;
    date.to_datetime(time).to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn position(names: &[&str], name: &str) -> Option<usize> {
    names.iter().position(|n| n.eq_ignore_ascii_case(name))
}

/// One to four ASCII digits.
fn digits(text: &str) -> Option<i16> {
    (text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_three_forms_of_rfc_9110_are_one_moment() {
        let expected = Some(stamp("1994-11-06T08:49:37Z"));
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "  sun, 6 nov 1994 08:49:37 utc ",
            "Mon, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(http_date(text), expected, "{text}");
        }
        assert_eq!(http_date("Sat, 31 Dec 2016 23:59:60 GMT"), Some(stamp("2016-12-31T23:59:59Z")));
    }

    #[test]
    fn a_two_digit_year_is_at_most_fifty_years_ahead() {
        let year = |yy: &str, now: &str| {
            let text = format!("Friday, 01-Jan-{yy} 00:00:00 GMT");
            http_date_near(&text, stamp(now)).unwrap().to_zoned(TimeZone::UTC).year()
        };
        let now = "2026-11-20T12:00:00Z";
        assert_eq!(
            [year("94", now), year("26", now), year("76", now), year("77", now)],
            [1994, 2026, 2076, 1977]
        );
        assert_eq!(year("01", "2099-12-31T23:00:00Z"), 2101);
        assert_eq!(http_date("Friday, 01-Jan-69 00:00:00 GMT"), Some(stamp("2069-01-01T00:00:00Z")));
        assert_eq!(http_date("Thursday, 01-Jan-70 00:00:00 GMT"), Some(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn what_is_not_a_date_is_none() {
        for text in [
            "",
            "Sun",
            "Sun, ",
            "Sön, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 PST",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT GMT",
            "Sun, -6 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sunday, 06-Nov-94-1 08:49:37 GMT",
            "Xyz Nov  6 08:49:37 1994",
            "120",
            "Tomorrow, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn other_documented_forms() {
        let now = stamp("2026-11-20T12:00:00Z");
        for (text, expected) in [
            ("2025-08-21T12:40:59Z", "2025-08-21T12:40:59Z"),
            ("2026-12-01T10:05Z", "2026-12-01T10:05:00Z"),
            ("2026-12-01T11:05:00.250+01:00", "2026-12-01T10:05:00.25Z"),
            ("2015/06/01 09:49:40 +0000", "2015-06-01T09:49:40Z"),
            ("Tue Feb 16 2021 09:02:42 GMT+0100 (Central European Standard Time)", "2021-02-16T08:02:42Z"),
        ] {
            assert_eq!(any(text, now), Some(stamp(expected)), "{text}");
        }
        // Without a zone nobody knows the moment.
        assert_eq!(any("2026-12-01T10:05:00", now), None);
    }
}
