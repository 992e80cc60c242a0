//! Answers that no service would send.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use integrations_core::quota::{self, MAX_DELAY, MAX_WINDOWS, Quota, http_date, http_date_near};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::rules::RULES;

const NAMES: [&str; 33] = [
    "date",
    "age",
    "retry-after",
    "retry-after-ms",
    "x-ms-retry-after-ms",
    "x-amz-retry-after",
    "x-ratelimit-retry-after",
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-reset-after",
    "x-ratelimit-used",
    "x-ratelimit-bucket",
    "x-ratelimit-limit-minute",
    "x-ratelimit-reset-tokens",
    "x-rate-limit-reset",
    "x-rate-limit-remaining",
    "x-delay",
    "x-a",
    "x-b",
    "x-c",
    "x-d",
    "x-e",
    "x-f",
    "x-g",
    "x-h",
    "x-sentry-rate-limits",
    "x-app-usage",
];

/// Text near enough to the grammars to get past their first character.
const SHAPES: &str = concat!(
    "[0-9]{1,20}|-?[0-9]{0,5}\\.?[0-9]{0,25}|[0-9]{1,6}(h|m|s|ms|us)([0-9.]{1,6}(m|s|ms))?|PT[0-9]{1,9}[HMS]",
    "|(\"[a-z\\\\\"]{0,4}\"?|[a-z*]{1,4}|:[a-z=]{0,4}:?)(;[a-z]{1,2}(=[-?:\"0-9a-z.]{0,6})?){0,3}(, ?[a-z0-9;=\"]{0,9}){0,3}",
    "|(limit|remaining|reset)=[0-9-]{0,6}(, ?(limit|remaining|reset)=[0-9]{0,20}){0,3}",
    "|(Sun|Friday|mon),? [0-9]{1,2}[- ](Nov|feb|x)[- ][0-9]{1,5} [0-9:]{5,9}( GMT)?",
    "|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{4,8}(Z|[+-][0-9:]{2,5})?",
    "|[0-9.]{1,12}:[a-z;]{0,9}:[a-z]{0,5}(, ?[0-9]{1,9}:[a-z;]{0,9}){0,2}",
    "|[a-z]{0,4}=?[0-9]{1,18}/[0-9]{1,18}(\\(a=b\\))?;?",
    "|\\{\"[a-z0-9]{1,3}\":\\[?\\{?\"(call_count|type|reset_time_duration|estimated_time_to_regain_access)\":[0-9e\"x]{1,8}\\}?\\]?\\}",
);

const BODIES: &str = "\\{\"(retry_after|global|limit|reset|w|a)\":(-?[0-9]{1,20}(\\.[0-9]{1,9})?(e[0-9]{1,3})?|true|null|\"[0-9a-z:. +-]{0,20}\"|\\[[0-9]{1,14}\\])\\}|[\\[{]{0,300}|\\PC{0,40}";

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => SHAPES.prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..40)]
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    vec((select(NAMES.to_vec()), value()), 0..12).prop_map(|pairs| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        headers
    })
}

fn moment() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.as_second()..=Timestamp::MAX.as_second())
        .prop_map(|s| Timestamp::from_second(s).expect("in range"))
}

fn status() -> impl Strategy<Value = StatusCode> {
    prop_oneof![Just(429), 100u16..1000].prop_map(|code| StatusCode::from_u16(code).expect("three digits"))
}

fn assert_bounded(quota: &Quota) -> Result<(), TestCaseError> {
    let is_bounded = |time: Option<Duration>| time.is_none_or(|t| t <= MAX_DELAY);
    prop_assert!(is_bounded(quota.retry_after) && is_bounded(quota.wait("error", 3)));
    prop_assert!(quota.windows.len() <= MAX_WINDOWS);
    for window in &quota.windows {
        prop_assert!(is_bounded(window.reset_after) && is_bounded(window.period));
        prop_assert!(window.limit.is_none_or(|n| n <= 2_000_000_000_000_000));
        for name in [&window.name, &window.category, &window.partition].into_iter().flatten() {
            prop_assert!(!name.is_empty() && name.len() <= 128);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_panics_or_exceeds_the_bounds(
        headers in headers(),
        body in prop_oneof![BODIES.prop_map(String::into_bytes), vec(any::<u8>(), 0..64)],
        status in status(),
        now in moment(),
    ) {
        assert_bounded(&quota::standard(status, &headers, now))?;
        for (_, rules) in &RULES {
            assert_bounded(&rules.read(status, &headers, &body, now))?;
        }
    }

    #[test]
    fn a_list_without_end_is_cut(count in 1usize..400) {
        let mut headers = HeaderMap::new();
        let text = vec!["\"p\";q=1;w=1;r=1"; count].join(",");
        for name in ["ratelimit", "ratelimit-policy", "x-ratelimit-limit"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(&text).expect("a value"));
        }
        let quota = quota::standard(StatusCode::OK, &headers, Timestamp::UNIX_EPOCH);
        prop_assert_eq!(quota.windows.len(), count.min(MAX_WINDOWS));
    }

    #[test]
    fn every_http_date_comes_back(second in 0i64..3_155_760_000) {
        let at = Timestamp::from_second(second).expect("in range");
        let zoned = at.to_zoned(TimeZone::UTC);
        for form in ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"] {
            let text = zoned.strftime(form).to_string();
            prop_assert_eq!(http_date(&text), Some(at), "{}", &text);
            prop_assert_eq!(http_date_near(&text, at), Some(at), "{}", &text);
        }
    }

    #[test]
    fn no_text_is_a_panic_as_a_date(text in "\\PC{0,40}|[A-Za-z]{3,6},? [0-9A-Za-z: -]{0,30}", now in moment()) {
        let _ = (http_date(&text), http_date_near(&text, now));
    }
}
