//! What one vendor does differently, as data that its provider declares.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use super::value::{self, Unit, amount};
use super::{MAX_BODY, Measure, Quota, Window, dialect, fields, generic};

/// Where a value stands in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// In the header of this name, which is written in lower case.
    Header(&'static str),
    /// In the JSON body, at this JSON pointer (RFC 6901), in which `*` stands for any member or element; the first
    /// string, number or boolean found counts.
    Body(&'static str),
}

/// A delay in a place of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DelayRule {
    /// Where it stands.
    pub place: Place,
    /// How it is written.
    pub unit: Unit,
}

impl DelayRule {
    /// A delay in a header.
    pub const fn header(name: &'static str, unit: Unit) -> Self {
        Self { place: Place::Header(name), unit }
    }

    /// A delay in the JSON body.
    pub const fn body(pointer: &'static str, unit: Unit) -> Self {
        Self { place: Place::Body(pointer), unit }
    }
}

/// A fact told by one word in one place, such as `X-RateLimit-Scope: global`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flag {
    /// Where the word stands.
    pub place: Place,
    /// The word; case does not matter.
    pub is: &'static str,
}

impl Flag {
    /// `place` says `is`.
    pub const fn new(place: Place, is: &'static str) -> Self {
        Self { place, is }
    }
}

/// A window whose parts stand in places of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowRule {
    name: Option<&'static str>,
    name_in: Option<Place>,
    limit: Option<Place>,
    remaining: Option<Place>,
    used: Option<Place>,
    reset: Option<(Place, Unit)>,
    period: Option<Duration>,
    period_in: Option<(Place, Unit)>,
    measure: Measure,
}

impl WindowRule {
    /// A window without a name that counts calls.
    pub const fn new() -> Self {
        Self {
            name: None,
            name_in: None,
            limit: None,
            remaining: None,
            used: None,
            reset: None,
            period: None,
            period_in: None,
            measure: Measure::Requests,
        }
    }

    /// The family `limit`, `remaining`, `reset` in headers.
    pub const fn headers(
        limit: &'static str,
        remaining: &'static str,
        reset: &'static str,
        unit: Unit,
    ) -> Self {
        Self::new()
            .limit(Place::Header(limit))
            .remaining(Place::Header(remaining))
            .reset(Place::Header(reset), unit)
    }

    /// Names the window.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Says where the service names the window.
    #[must_use]
    pub const fn name_in(mut self, place: Place) -> Self {
        self.name_in = Some(place);
        self
    }

    /// Says where the units per period stand.
    #[must_use]
    pub const fn limit(mut self, place: Place) -> Self {
        self.limit = Some(place);
        self
    }

    /// Says where the units left stand.
    #[must_use]
    pub const fn remaining(mut self, place: Place) -> Self {
        self.remaining = Some(place);
        self
    }

    /// Says where the units used stand. With the limit or the units left, it gives the other.
    #[must_use]
    pub const fn used(mut self, place: Place) -> Self {
        self.used = Some(place);
        self
    }

    /// Says where the time of more units stands, and how it is written.
    #[must_use]
    pub const fn reset(mut self, place: Place, unit: Unit) -> Self {
        self.reset = Some((place, unit));
        self
    }

    /// Says how long the window is.
    #[must_use]
    pub const fn period(mut self, period: Duration) -> Self {
        self.period = Some(period);
        self
    }

    /// Says where the length of the window stands, and how it is written.
    #[must_use]
    pub const fn period_in(mut self, place: Place, unit: Unit) -> Self {
        self.period_in = Some((place, unit));
        self
    }

    /// Says what is counted.
    #[must_use]
    pub const fn measure(mut self, measure: Measure) -> Self {
        self.measure = measure;
        self
    }

    fn places(&self) -> [Option<Place>; 6] {
        let reset = self.reset.map(|(place, _)| place);
        let period = self.period_in.map(|(place, _)| place);
        [self.name_in, self.limit, self.remaining, self.used, reset, period]
    }

    fn read(&self, answer: &Answer<'_>) -> Window {
        let count = |place: Option<Place>| amount(&answer.text(place?)?);
        let time = |rule: Option<(Place, Unit)>| rule.and_then(|(place, unit)| answer.delay(place, unit));
        let (limit, remaining, used) = (count(self.limit), count(self.remaining), count(self.used));
        let name = self.name_in.and_then(|place| fields::name(&answer.text(place)?));
        Window {
            name: name.or(self.name.map(Cow::Borrowed)),
            limit: limit.or_else(|| remaining?.checked_add(used?)),
            remaining: remaining.or_else(|| Some(limit?.saturating_sub(used?))),
            reset_after: time(self.reset),
            period: time(self.period_in).or(self.period),
            measure: self.measure,
            ..Window::default()
        }
    }
}

impl Default for WindowRule {
    fn default() -> Self {
        Self::new()
    }
}

/// A header with a grammar of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// `32/40` (Shopify), `api-usage=25/5000; per-app-api-usage=17/250(appName=x)` (Salesforce): used of limit.
    UsedOfLimit {
        /// The header, in lower case.
        header: &'static str,
    },
    /// `Microsoft.Compute/GetVMScaleSet3Min;197,Microsoft.Compute/GetVMScaleSet30Min;1297` (Azure Resource Manager):
    /// policy and units left.
    RemainingByPolicy {
        /// The header, in lower case.
        header: &'static str,
    },
    /// `60:transaction:key, 2700:default;error:organization` (Sentry): seconds, categories (none means all), scope.
    /// A category becomes an exhausted [`Window`] of that [`Window::category`]. While the header is there,
    /// `Retry-After` is not read, for it would stop the categories that are not limited.
    PausesByCategory {
        /// The header, in lower case.
        header: &'static str,
    },
    /// `{"call_count":28,"total_time":25,"total_cputime":25}` (Meta), alone or below an account's id: percent of a
    /// secret limit, and the minutes or seconds until access comes back.
    UsagePercent {
        /// The header, in lower case.
        header: &'static str,
    },
}

/// How one service tells about its limits, beyond what [`standard`](super::standard) understands.
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use integrations_core::quota::{DelayRule, RateRules, Unit};
/// use std::time::Duration;
///
/// // Telegram Bot API, ResponseParameters.retry_after.
/// const RULES: RateRules = RateRules::new().delays(&[DelayRule::body("/parameters/retry_after", Unit::Seconds)]);
///
/// let body = br#"{"ok":false,"error_code":429,"parameters":{"retry_after":15}}"#;
/// let now = jiff::Timestamp::UNIX_EPOCH;
/// let quota = RULES.read(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), body, now);
/// assert_eq!(quota.retry_after, Some(Duration::from_secs(15)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateRules {
    delays: &'static [DelayRule],
    windows: &'static [WindowRule],
    dialects: &'static [Dialect],
    global: &'static [Flag],
    fallback: Option<Duration>,
}

impl RateRules {
    /// Nothing beyond [`standard`](super::standard).
    pub const fn new() -> Self {
        Self { delays: &[], windows: &[], dialects: &[], global: &[], fallback: None }
    }

    /// Places of a delay; the first that has one wins, before `Retry-After`. Read on 4xx and 5xx only.
    #[must_use]
    pub const fn delays(mut self, rules: &'static [DelayRule]) -> Self {
        self.delays = rules;
        self
    }

    /// The windows. They replace the generic families, which would read the same headers by guess.
    #[must_use]
    pub const fn windows(mut self, rules: &'static [WindowRule]) -> Self {
        self.windows = rules;
        self
    }

    /// Headers with a grammar of their own. They replace the generic families too.
    #[must_use]
    pub const fn dialects(mut self, dialects: &'static [Dialect]) -> Self {
        self.dialects = dialects;
        self
    }

    /// Any of these makes the delay concern all that the credentials do ([`Quota::global`]).
    #[must_use]
    pub const fn global(mut self, flags: &'static [Flag]) -> Self {
        self.global = flags;
        self
    }

    /// How long to wait after a 429 that tells nothing, where the vendor's page says so.
    #[must_use]
    pub const fn fallback(mut self, delay: Duration) -> Self {
        self.fallback = Some(delay);
        self
    }

    /// Reads one answer. `now` is the time at which it arrived. An empty `body` is a body that is not at hand; one
    /// above [`MAX_BODY`] bytes, or that is not JSON, tells nothing.
    pub fn read(&self, status: StatusCode, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Quota {
        let told = generic::Told::of(headers);
        let is_generic = self.windows.is_empty() && self.dialects.is_empty();
        if is_generic && told.is_empty() && !value::is_refusal(status) {
            return Quota::default();
        }
        let answer = self.answer(status, headers, body, now);
        let mut quota = Quota::default();
        if value::windows_count(status, headers) {
            self.read_windows(&answer, &told, &mut quota);
        }
        // Only a dialect has told a delay by now; it then told all of them.
        let has_pauses = quota.retry_after.is_some() || quota.windows.iter().any(|w| w.category.is_some());
        if value::is_refusal(status) && !has_pauses {
            let own = self.delays.iter().find_map(|rule| answer.delay(rule.place, rule.unit));
            quota.retry_after = own.or_else(|| told.delay(answer.now));
        }
        quota.settle(status);
        self.fall_back(status, &mut quota);
        quota.global = quota.retry_after.is_some() && self.global.iter().any(|flag| answer.says(*flag));
        quota
    }

    fn read_windows(&self, answer: &Answer<'_>, told: &generic::Told<'_>, quota: &mut Quota) {
        if self.windows.is_empty() && self.dialects.is_empty() {
            told.windows(answer.now).into_iter().for_each(|window| quota.push(window));
        }
        self.windows.iter().for_each(|rule| quota.push(rule.read(answer)));
        self.dialects.iter().for_each(|dialect| dialect::read(*dialect, answer.headers, quota));
    }

    fn fall_back(&self, status: StatusCode, quota: &mut Quota) {
        let is_silent = quota.retry_after.is_none() && quota.windows.iter().all(|w| w.reset_after.is_none());
        if status == StatusCode::TOO_MANY_REQUESTS && is_silent {
            quota.retry_after = self.fallback.map(|delay| delay.min(super::MAX_DELAY));
        }
    }

    fn answer<'a>(
        &self,
        status: StatusCode,
        headers: &'a HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Answer<'a> {
        let in_body = |place: Place| matches!(place, Place::Body(_));
        let wants_windows = self.windows.iter().flat_map(WindowRule::places).flatten().any(in_body);
        let wants_delay = value::is_refusal(status)
            && (self.delays.iter().any(|r| in_body(r.place)) || self.global.iter().any(|f| in_body(f.place)));
        let is_read = (wants_windows || wants_delay) && !body.is_empty() && body.len() <= MAX_BODY;
        let body = if is_read { serde_json::from_slice(body).ok() } else { None };
        Answer { headers, body, now: value::service_time(headers, now) }
    }
}

impl Default for RateRules {
    fn default() -> Self {
        Self::new()
    }
}

/// An answer as rules see it; `now` is on the service's clock.
struct Answer<'a> {
    headers: &'a HeaderMap,
    body: Option<Value>,
    now: Timestamp,
}

impl Answer<'_> {
    fn text(&self, place: Place) -> Option<Cow<'_, str>> {
        match place {
            Place::Header(name) => self.headers.get(name)?.to_str().ok().map(Cow::Borrowed),
            Place::Body(pointer) => find(self.body.as_ref()?, pointer.strip_prefix('/')?),
        }
    }

    fn delay(&self, place: Place, unit: Unit) -> Option<Duration> {
        unit.delay(&self.text(place)?, self.now)
    }

    fn says(&self, flag: Flag) -> bool {
        self.text(flag.place).is_some_and(|text| text.trim().eq_ignore_ascii_case(flag.is))
    }
}

/// The first scalar at `pointer`, whose leading `/` is cut off.
fn find<'v>(value: &'v Value, pointer: &str) -> Option<Cow<'v, str>> {
    let (step, rest) = match pointer.split_once('/') {
        Some((step, rest)) => (step, Some(rest)),
        None => (pointer, None),
    };
    let inside = |value: &'v Value| match rest {
        Some(rest) => find(value, rest),
        None => scalar(value),
    };
    match value {
        Value::Array(items) if step == "*" => items.iter().find_map(inside),
        Value::Object(members) if step == "*" => members.values().find_map(inside),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?).and_then(inside),
        Value::Object(members) => members.get(&*unescaped(step)).and_then(inside),
        _ => None,
    }
}

/// RFC 6901 section 4: first `~1`, then `~0`.
fn unescaped(step: &str) -> Cow<'_, str> {
    if step.contains('~') {
        Cow::Owned(step.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(step)
    }
}

fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(is) => Some(Cow::Borrowed(if *is { "true" } else { "false" })),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pointers_reach_scalars_and_a_star_reaches_any_element() {
        let value = json!({
            "a": {"b/c": 1, "~1": true},
            "list": [{"x": []}, {"x": "one"}, {"x": "two"}],
        });
        for (pointer, expected) in [
            ("a/b~1c", Some("1")),
            ("a/~01", Some("true")),
            ("list/*/x", Some("one")),
            ("list/2/x", Some("two")),
            ("*/1/x", Some("one")),
            ("list/9/x", None),
            ("list/-1/x", None),
            ("a", None),
            ("", None),
            ("a/b/c/d", None),
        ] {
            assert_eq!(find(&value, pointer).as_deref(), expected, "{pointer}");
        }
    }

    #[test]
    fn a_body_is_read_only_where_a_rule_asks_for_it() {
        const RULES: RateRules = RateRules::new().delays(&[DelayRule::body("/retry_after", Unit::Seconds)]);
        let read = |status, body: &str| {
            RULES.read(status, &HeaderMap::new(), body.as_bytes(), Timestamp::UNIX_EPOCH).retry_after
        };
        assert_eq!(read(StatusCode::TOO_MANY_REQUESTS, r#"{"retry_after":1}"#), Some(Duration::from_secs(1)));
        assert_eq!(read(StatusCode::OK, r#"{"retry_after":1}"#), None);
        let padded = format!("{{\"retry_after\":1,\"x\":\"{}\"}}", " ".repeat(MAX_BODY));
        assert_eq!(read(StatusCode::TOO_MANY_REQUESTS, &padded), None);
    }
}
