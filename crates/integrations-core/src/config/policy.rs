//! Makes a [`Policy`] of checked values.
//!
//! What the words of a configuration mean in a policy:
//! - `failure_threshold: 5`: the breaker opens when the last 5 outcomes are failures, all of them: a window of 5 calls,
//!   5 of them known, 100 percent. `failure_rate` says it by share instead, and the two exclude each other.
//! - `burst_limit` belongs to the shortest window: in the one of a day it would spread the day's requests evenly.
//! - `requests_per_…` is the limit of every bucket that has none of its own; that of the vendor's bucket `default`,
//!   which holds the operations without a special limit, is replaced by it.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::read::{Reader, Values, join};
use crate::pipeline::breaker::{BreakerPolicy, Window};
use crate::pipeline::budget::BudgetPolicy;
use crate::pipeline::hedge::HedgePolicy;
use crate::pipeline::limiter::{LimitPolicy, RateWindow};
use crate::pipeline::{ConcurrencyPolicy, Policy, RetryPolicy, Wait};
use crate::provider::ProviderSpec;
use crate::registry::closest;

/// The bucket of operations that name none.
const DEFAULT_BUCKET: &str = "default";

const WINDOWS: [(&str, u64); 4] = [
    ("requests_per_second", 1),
    ("requests_per_minute", 60),
    ("requests_per_hour", 3_600),
    ("requests_per_day", 86_400),
];

/// The policy of an instance: the vendor's facts with what is configured over them. `spec` is `None` for a composition.
pub(super) fn policy(reader: &mut Reader<'_>, values: &Values, spec: Option<&ProviderSpec>) -> Policy {
    let mut policy = Policy::default();
    policy.total_timeout = values.time("timeout").unwrap_or(policy.total_timeout);
    policy.attempt_timeout = values.time("attempt_timeout").unwrap_or(policy.attempt_timeout);
    policy.idle_timeout = values.time("idle_timeout").unwrap_or(policy.idle_timeout);
    if let (Some(total), Some(attempt)) = (values.time("timeout"), values.time("attempt_timeout"))
        && attempt > total
    {
        at(reader, values, "attempt_timeout", "`attempt_timeout` is longer than `timeout`, the whole call");
    }
    policy.wait = wait(reader, values);
    policy.retry = retry(reader, values);
    policy.budget = budget(values);
    policy.breaker = breaker(reader, values).map(Arc::new);
    policy.concurrency = concurrency(values);
    policy.hedge = hedge(reader, values);
    limits(reader, values, spec, &mut policy);
    policy
}

fn at(reader: &mut Reader<'_>, values: &Values, path: &str, message: &str) {
    if let Some(place) = values.place(path) {
        reader.problem(place, path, message);
    }
}

fn wait(reader: &mut Reader<'_>, values: &Values) -> Wait {
    let up_to = values.time("rate_limits.wait");
    match (values.flag("rate_limits.fail_fast"), up_to) {
        (Some(true), Some(_)) => {
            at(reader, values, "rate_limits.fail_fast", "`wait` and `fail_fast: true` exclude each other");
            Wait::FailFast
        }
        (Some(true), None) => Wait::FailFast,
        (_, Some(time)) => Wait::UpTo(time),
        (_, None) => Wait::default(),
    }
}

fn retry(reader: &mut Reader<'_>, values: &Values) -> RetryPolicy {
    let default = RetryPolicy::default();
    let off = values.flag("retry") == Some(false);
    let policy = RetryPolicy {
        max_attempts: if off {
            1
        } else {
            small(values.whole("retry.max_attempts")).unwrap_or(default.max_attempts)
        },
        base: values.time("retry.base_delay").unwrap_or(default.base),
        multiplier: values.number("retry.backoff_multiplier").unwrap_or(default.multiplier),
        cap: values.time("retry.max_delay").unwrap_or(default.cap),
    };
    if policy.base > policy.cap {
        let path =
            if values.place("retry.base_delay").is_some() { "retry.base_delay" } else { "retry.max_delay" };
        at(
            reader,
            values,
            path,
            &format!("`base_delay` ({:?}) is longer than `max_delay` ({:?})", policy.base, policy.cap),
        );
    }
    policy
}

fn budget(values: &Values) -> BudgetPolicy {
    let tokens = |name| small(values.whole(&join("retry.budget", name)));
    let mut budget = BudgetPolicy::default();
    if let Some(capacity) = tokens("capacity") {
        budget = budget.capacity(capacity);
    }
    if let Some(cost) = tokens("retry_cost") {
        budget = budget.retry_cost(cost);
    }
    if let Some(cost) = tokens("throttled_cost") {
        budget = budget.throttled_cost(cost);
    }
    if let Some(gain) = tokens("success_gain") {
        budget = budget.success_gain(gain);
    }
    budget
}

fn breaker(reader: &mut Reader<'_>, values: &Values) -> Option<BreakerPolicy> {
    if values.flag("circuit_breaker") == Some(false) {
        return None;
    }
    let path = |name| join("circuit_breaker", name);
    let whole = |name| values.whole(&path(name));
    let time = |name| values.time(&path(name));
    let mut breaker = window(reader, values, BreakerPolicy::default());
    if let Some(wait) = time("recovery_timeout") {
        breaker = breaker.open_for(wait);
    }
    if let Some(factor) = small(whole("recovery_growth")) {
        breaker = breaker.open_growth(factor, time("max_recovery_timeout").unwrap_or(Duration::from_mins(1)));
    } else {
        at(reader, values, &path("max_recovery_timeout"), "`max_recovery_timeout` needs `recovery_growth`");
    }
    if let Some(after) = time("slow_after") {
        breaker = breaker.slow(percent(whole("slow_rate")).unwrap_or(100), after);
    } else {
        at(reader, values, &path("slow_rate"), "`slow_rate` needs `slow_after`, which says what is slow");
    }
    if let Some(calls) = percent(whole("half_open_calls")) {
        breaker = breaker.half_open_calls(calls);
    }
    if let Some(wait) = time("half_open_wait") {
        breaker = breaker.max_half_open_wait(wait);
    }
    Some(breaker)
}

fn window(reader: &mut Reader<'_>, values: &Values, breaker: BreakerPolicy) -> BreakerPolicy {
    let path = |name| join("circuit_breaker", name);
    if let Some(in_a_row) = percent(values.whole(&path("failure_threshold"))) {
        for other in ["failure_rate", "window_calls", "window_time", "min_calls"] {
            let message = format!("`{other}` and `failure_threshold` (failures in a row) exclude each other");
            at(reader, values, &path(other), &message);
        }
        return breaker.window(Window::Count(in_a_row)).min_calls(in_a_row.into()).failure_rate(100);
    }
    let mut breaker = breaker;
    let time = values.time(&path("window_time"));
    if let Some(length) = time {
        if length < Duration::from_secs(1) {
            at(reader, values, &path("window_time"), "`window_time` must be at least 1 s");
        }
        at(reader, values, &path("window_calls"), "`window_calls` and `window_time` exclude each other");
        breaker = breaker.window(Window::Time(length));
    } else if let Some(calls) = percent(values.whole(&path("window_calls"))) {
        breaker = breaker.window(Window::Count(calls));
    }
    if let Some(rate) = percent(values.whole(&path("failure_rate"))) {
        breaker = breaker.failure_rate(rate);
    }
    match small(values.whole(&path("min_calls"))) {
        Some(calls) => breaker.min_calls(calls),
        None => breaker,
    }
}

fn concurrency(values: &Values) -> Option<ConcurrencyPolicy> {
    if values.flag("concurrency") == Some(false) {
        return None;
    }
    let default = ConcurrencyPolicy::default();
    Some(ConcurrencyPolicy {
        max_in_flight: small(values.whole("concurrency.max_in_flight")).unwrap_or(default.max_in_flight),
        max_queue: small(values.whole("concurrency.max_queue")).unwrap_or(default.max_queue),
    })
}

fn hedge(reader: &mut Reader<'_>, values: &Values) -> Option<HedgePolicy> {
    if values.flag("hedge") != Some(true) {
        return None;
    }
    let (least, most) = (values.time("hedge.min_delay"), values.time("hedge.max_delay"));
    if let (Some(least), Some(most)) = (least, most)
        && least > most
    {
        at(reader, values, "hedge.min_delay", "`min_delay` is longer than `max_delay`");
    }
    let mut hedge = HedgePolicy::default();
    if let Some(share) = values.number("hedge.quantile") {
        hedge = hedge.quantile(share);
    }
    if let Some(delay) = least {
        hedge = hedge.min_delay(delay);
    }
    if let Some(delay) = most {
        hedge = hedge.max_delay(delay);
    }
    Some(hedge)
}

fn limits(reader: &mut Reader<'_>, values: &Values, spec: Option<&ProviderSpec>, policy: &mut Policy) {
    let switched = |limit: LimitPolicy| {
        limit
            .learn(values.flag("rate_limits.learn").unwrap_or(true))
            .adaptive(values.flag("rate_limits.adaptive").unwrap_or(true))
    };
    let facts = spec.map(|spec| spec.buckets).unwrap_or_default();
    for bucket in facts {
        if let Some(limit) = NonZeroU64::new(bucket.limit) {
            let limit = LimitPolicy::default().window(RateWindow::new(limit, bucket.per));
            policy.bucket_limits.insert(bucket.name.to_owned(), switched(limit));
        }
    }
    let own = limit(reader, values, "rate_limits");
    if own.is_some() {
        policy.bucket_limits.remove(DEFAULT_BUCKET);
    }
    policy.limit = Some(switched(own.unwrap_or_default()));
    let names: Vec<String> = values.names_below("rate_limits.buckets.").map(str::to_owned).collect();
    for name in names {
        let path = format!("rate_limits.buckets.{name}");
        if let Some(spec) = spec {
            known_bucket(reader, values, spec, &name, &path);
        }
        if let Some(limit) = limit(reader, values, &path) {
            policy.bucket_limits.insert(name, switched(limit));
        }
    }
}

fn known_bucket(reader: &mut Reader<'_>, values: &Values, spec: &ProviderSpec, name: &str, path: &str) {
    let of_ops = spec.ops.iter().map(|row| row.op.bucket);
    let known: Vec<&str> = spec.buckets.iter().map(|bucket| bucket.name).chain(of_ops).collect();
    if known.contains(&name) || name == DEFAULT_BUCKET {
        return;
    }
    if let Some((_, place)) = values.first_below(&format!("{path}.")) {
        let problem = reader.problem(place, path, format!("`{}` has no bucket `{name}`", spec.id));
        problem.did_you_mean(closest(name, known.iter().copied()), || {
            (!known.is_empty()).then(|| format!("it has {}", known.join(", ")))
        });
    }
}

/// The limit that stands at `path`; `None` when there is no window.
pub(super) fn limit(reader: &mut Reader<'_>, values: &Values, path: &str) -> Option<LimitPolicy> {
    let windows = WINDOWS.iter().filter_map(|(name, seconds)| {
        let limit = NonZeroU64::new(values.whole(&join(path, name))?)?;
        Some(RateWindow::new(limit, Duration::from_secs(*seconds)))
    });
    let mut windows: Vec<RateWindow> = windows.collect();
    let burst_path = join(path, "burst_limit");
    if let Some(burst) = small(values.whole(&burst_path)) {
        match windows.first_mut() {
            Some(shortest) => *shortest = shortest.burst(burst),
            None => {
                at(
                    reader,
                    values,
                    &burst_path,
                    "`burst_limit` needs a window, such as `requests_per_minute`",
                );
            }
        }
    }
    if windows.is_empty() {
        return None;
    }
    let limit = windows.into_iter().fold(LimitPolicy::default(), LimitPolicy::window);
    if let (Err(e), Some((path, place))) =
        (limit.validate(), values.first_below(&join(path, "requests_per_")))
    {
        reader.error(place, path, &e);
    }
    Some(limit)
}

/// The tables keep these numbers within 32 bits.
fn small(number: Option<u64>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok())
}

/// The tables keep these numbers within 8 bits.
fn percent(number: Option<u64>) -> Option<u8> {
    number.and_then(|number| u8::try_from(number).ok())
}
