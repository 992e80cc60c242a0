//! The keys of a configuration as data: what is checked, what is suggested for a typo and what the JSON Schema says all
//! come from these tables.

use crate::provider::SettingKind;

/// One key of a map.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    pub(super) about: &'static str,
}

/// What a key takes.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    /// `true` or `false`.
    Flag,
    /// A whole number in a range.
    Whole(u64, u64),
    /// A number in a range, the limits included.
    Number(f64, f64),
    /// A number above 0 and below 1.
    Part,
    /// Seconds, or text such as `500ms`; above 0 and at most 366 days.
    Time,
    /// The same, or 0.
    TimeOrZero,
    /// Text.
    Text,
    /// Several texts.
    Texts,
    /// Text such as `99.9%`.
    Percent,
    /// A map with these keys.
    Section(&'static [Key]),
    /// The same, or `true` for its defaults, or `false` to switch it off.
    Switch(&'static [Key]),
    /// A map from names to such sections.
    Named(&'static [Key]),
    /// What has a reader of its own.
    Other,
}

const fn key(name: &'static str, takes: Takes, about: &'static str) -> Key {
    Key { name, takes, about }
}

const MAX: u64 = u32::MAX as u64;

/// The keys of the whole.
pub(super) const TOP: &[Key] = &[
    key("version", Takes::Whole(1, 1), "The version of this format: 1."),
    key("instances", Takes::Other, "What exists in every environment, by name: a map, or a DSN."),
    key("environments", Takes::Other, "What differs in each environment, by name."),
    key("tenants", Takes::Other, "What each tenant may do, by name; `*` for those without an entry."),
];

/// The key of an environment beside its instances.
pub(super) const DEVELOPMENT: Key = key(
    "development",
    Takes::Flag,
    "Whether this is development: literal secrets are allowed and live credentials refused. Default: by the name.",
);

/// The keys that say what answers an instance's calls.
pub(super) const TARGET: &[Key] = &[
    key("use", Takes::Text, "The provider's id."),
    key(
        "dsn",
        Takes::Text,
        "The provider, its address and its settings as one line; several by `failover(…)`.",
    ),
    key("host", Takes::Text, "The name of one of the provider's hosts, or an absolute address."),
];

/// The keys of an instance that a tenant may always have of its own.
pub(super) const OWN: &[Key] = &[
    key("enabled", Takes::Flag, "Whether it may be used. Default true."),
    key("timeout", Takes::Time, "The whole call, waits and retries included. Default 30 s."),
    key("attempt_timeout", Takes::Time, "One attempt. Default 10 s."),
    key("idle_timeout", Takes::Time, "The longest time without a chunk of the answer. Default 15 s."),
    key("retry", Takes::Switch(RETRY), "Repeating failed attempts."),
    key("hedge", Takes::Switch(HEDGE), "A second attempt for slow reads. Off by default."),
];

/// The keys of an instance about what all users of one credential share.
pub(super) const SHARED: &[Key] = &[
    key("rate_limits", Takes::Section(RATE_LIMITS), "The vendor's rate limits."),
    key("circuit_breaker", Takes::Switch(BREAKER), "Holding calls back from a service that fails."),
    key("concurrency", Takes::Switch(CONCURRENCY), "Calls in flight."),
];

macro_rules! windows {
    ($($more:expr),* $(,)?) => {
        &[
            key("requests_per_second", Takes::Whole(1, 1_000_000), "Requests in a second."),
            key("requests_per_minute", Takes::Whole(1, 60_000_000), "Requests in a minute."),
            key("requests_per_hour", Takes::Whole(1, 3_600_000_000), "Requests in an hour."),
            key("requests_per_day", Takes::Whole(1, 86_400_000_000), "Requests in a day."),
            key(
                "burst_limit",
                Takes::Whole(1, MAX),
                "Requests at once after a quiet time, in the shortest of the windows. Default: all of its requests.",
            ),
            $($more),*
        ]
    };
}

/// The windows of one limit.
pub(super) const WINDOWS: &[Key] = windows![];

const RATE_LIMITS: &[Key] = windows![
    key("buckets", Takes::Named(WINDOWS), "Limits of single buckets of the provider, by name."),
    key("wait", Takes::TimeOrZero, "The longest single wait for a limit. Default 2 s."),
    key("fail_fast", Takes::Flag, "Return every delay to the caller at once."),
    key("learn", Takes::Flag, "Obey what the vendor tells about its limits. Default true."),
    key("adaptive", Takes::Flag, "Find limits that nobody tells by watching refusals. Default true."),
];

const BREAKER: &[Key] = &[
    key("failure_threshold", Takes::Whole(1, 64), "Opens after so many failures in a row."),
    key("failure_rate", Takes::Whole(1, 100), "Opens at this share of failures, in percent. Default 70."),
    key("window_calls", Takes::Whole(1, 64), "The share is taken over the last so many calls. Default 32."),
    key("window_time", Takes::Time, "The share is taken over the calls of the last so long, from 1 s."),
    key(
        "min_calls",
        Takes::Whole(1, MAX),
        "Calls that must be known before the share says anything. Default 20.",
    ),
    key("slow_after", Takes::Time, "From this time on a call is slow."),
    key("slow_rate", Takes::Whole(1, 100), "Opens at this share of slow calls, in percent. Default 100."),
    key("recovery_timeout", Takes::Time, "How long calls are blocked before probes may pass. Default 1 s."),
    key(
        "recovery_growth",
        Takes::Whole(1, 100),
        "Each further opening lasts so many times longer. Default 1.",
    ),
    key("max_recovery_timeout", Takes::Time, "The longest opening when it grows. Default 60 s."),
    key("half_open_calls", Takes::Whole(1, 255), "Probes that decide whether it closes. Default 3."),
    key("half_open_wait", Takes::Time, "When silent probes are taken for lost. Default 500 ms."),
];

const RETRY: &[Key] = &[
    key("max_attempts", Takes::Whole(1, 100), "Attempts in all, the first one included. Default 3."),
    key(
        "backoff_multiplier",
        Takes::Number(1.0, 100.0),
        "Each delay's bound is so many times the last. Default 2.",
    ),
    key("base_delay", Takes::TimeOrZero, "The bound of the delay before the first retry. Default 200 ms."),
    key("max_delay", Takes::TimeOrZero, "The bound never exceeds this. Default 5 s."),
    key("budget", Takes::Section(BUDGET), "The tokens that retries and hedges of one tenant cost."),
];

const BUDGET: &[Key] = &[
    key("capacity", Takes::Whole(0, MAX), "Tokens in all. Default 500."),
    key("retry_cost", Takes::Whole(0, MAX), "The price of a retry or a hedge. Default 10."),
    key(
        "throttled_cost",
        Takes::Whole(0, MAX),
        "The price of a retry after the vendor asked for a pause. Default 5.",
    ),
    key("success_gain", Takes::Whole(0, MAX), "What a success at the first attempt adds. Default 1."),
];

const CONCURRENCY: &[Key] = &[
    key("max_in_flight", Takes::Whole(1, MAX), "Calls in flight. Default 1024."),
    key("max_queue", Takes::Whole(0, MAX), "Calls that may wait; more are refused at once. Default 10000."),
];

const HEDGE: &[Key] = &[
    key(
        "quantile",
        Takes::Number(0.5, 0.999),
        "The share of calls answered before a hedge is sent. Default 0.95.",
    ),
    key("min_delay", Takes::TimeOrZero, "The shortest delay. Default 10 ms."),
    key("max_delay", Takes::Time, "The longest delay. Default 60 s."),
];

/// The keys of a tenant.
pub(super) const TENANT: &[Key] = &[
    key("enabled", Takes::Flag, "Whether the tenant's calls are let through. Default true."),
    key(
        "instances",
        Takes::Other,
        "What it may use: a list of names, or a map from names to what differs. Default: all.",
    ),
    key("rate_limits", Takes::Section(WINDOWS), "The tenant's own rate limit at each instance."),
    key("features", Takes::Texts, "What the tenant has subscribed to, in the application's own words."),
    key("sla", Takes::Percent, "The part of calls that the tenant was promised to succeed, e.g. `99.9%`."),
    key("share", Takes::Part, "The part of the vendor's limits that the tenant gets while others wait too."),
];

/// The names of environments that are development without being marked.
pub(super) const DEVELOPMENT_NAMES: &[&str] = &["development", "dev", "test", "local"];

/// Names of instances, tenants and environments begin with a letter or digit and hold these beside them.
pub(super) const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$";

pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@-".contains(&b))
}

/// All keys of an instance beside its provider's settings.
pub(super) fn instance_keys() -> impl Iterator<Item = &'static Key> {
    TARGET.iter().chain(OWN).chain(SHARED)
}

pub(super) fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    keys.iter().find(|key| key.name == name)
}

/// What a setting takes, in words.
pub(super) const fn expected(kind: SettingKind) -> &'static str {
    match kind {
        SettingKind::Text | SettingKind::Secret => "text",
        SettingKind::Integer => "a whole number",
        SettingKind::Flag => "`true` or `false`",
        SettingKind::Duration => "seconds, or text such as `500ms`,",
        SettingKind::Url => "an absolute address, such as `https://api.example.com`,",
        SettingKind::List => "a list of texts",
    }
}
