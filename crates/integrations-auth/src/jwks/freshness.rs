//! For how long an answer is fresh (RFC 9111), within what is sensible for keys.

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, HeaderName};

/// An issuer that forbids to keep its keys would be asked for every token.
const LEAST: Duration = Duration::from_secs(5 * 60);
/// A key that was withdrawn is believed for so long at most.
const MOST: Duration = Duration::from_secs(24 * 60 * 60);
/// For an issuer that does not say.
const USUAL: Duration = Duration::from_secs(60 * 60);

pub(super) fn of(headers: &HeaderMap) -> Duration {
    let directives: Vec<String> = texts(headers, CACHE_CONTROL)
        .flat_map(|line| line.split(','))
        .map(|directive| directive.trim().to_ascii_lowercase())
        .collect();
    if directives.iter().any(|directive| directive == "no-store" || directive == "no-cache") {
        return LEAST;
    }
    let max_age = directives.iter().find_map(|directive| directive.strip_prefix("max-age="));
    let Some(max_age) = max_age.and_then(|seconds| seconds.trim_matches('"').parse().ok()) else {
        return USUAL;
    };
    let age = texts(headers, AGE).find_map(|age| age.trim().parse().ok()).unwrap_or(0);
    Duration::from_secs(u64::saturating_sub(max_age, age)).clamp(LEAST, MOST)
}

fn texts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_issuer_says_counts_within_bounds() {
        let table: [(&[&str], Option<&str>, u64); 9] = [
            (&["public, max-age=19544, must-revalidate, no-transform"], None, 19_544),
            (&["public", "Max-Age=7200"], None, 7_200),
            (&["max-age=7200"], Some("1200"), 6_000),
            (&["max-age=7200"], Some("7100"), 300),
            (&["max-age=0"], None, 300),
            (&["max-age=31536000"], None, 86_400),
            (&["no-store, max-age=7200"], None, 300),
            (&["max-age=soon"], None, 3_600),
            (&[], Some("60"), 3_600),
        ];
        for (lines, age, expected) in table {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CACHE_CONTROL, line.parse().unwrap());
            }
            if let Some(age) = age {
                headers.insert(AGE, age.parse().unwrap());
            }
            assert_eq!(of(&headers).as_secs(), expected, "{lines:?} {age:?}");
        }
    }
}
