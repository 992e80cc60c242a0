//! How the vendors of the corpus declare what [`standard`](integrations_core::quota::standard) cannot know.

use std::time::Duration;

use integrations_core::quota::{DelayRule, Dialect, Flag, Measure, Place, RateRules, Unit, WindowRule};

const DAY: Duration = Duration::from_hours(24);

/// The rules by the name that rows of the corpus use.
pub(crate) const RULES: [(&str, RateRules); 17] = [
    ("standard", RateRules::new()),
    ("discord", DISCORD),
    ("telegram", RateRules::new().delays(&[DelayRule::body("/parameters/retry_after", Unit::Seconds)])),
    ("google", RateRules::new().delays(&[DelayRule::body("/error/details/*/retryDelay", Unit::Span)])),
    ("hubspot", HUBSPOT),
    (
        "shopify_rest",
        RateRules::new().dialects(&[Dialect::UsedOfLimit { header: "x-shopify-shop-api-call-limit" }]),
    ),
    ("shopify_graphql", SHOPIFY_GRAPHQL),
    ("salesforce", RateRules::new().dialects(&[Dialect::UsedOfLimit { header: "sforce-limit-info" }])),
    ("sentry", SENTRY),
    ("meta", META),
    ("azure_arm", AZURE_ARM),
    ("anthropic", ANTHROPIC),
    ("prisjakt", PRISJAKT),
    ("soundcloud", SOUNDCLOUD),
    ("amplitude", RateRules::new().fallback(Duration::from_secs(30))),
    ("stripe", STRIPE),
    ("everything", EVERYTHING),
];

const DISCORD: RateRules = RateRules::new()
    .delays(&[DelayRule::body("/retry_after", Unit::Seconds)])
    .windows(&[WindowRule::headers(
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset-after",
        Unit::Seconds,
    )
    .name_in(Place::Header("x-ratelimit-bucket"))])
    .global(&[
        Flag::new(Place::Header("x-ratelimit-global"), "true"),
        Flag::new(Place::Header("x-ratelimit-scope"), "global"),
        Flag::new(Place::Body("/global"), "true"),
    ]);

/// The rolling window has room again at the latest after its own length; the day ends at midnight of the account's time
/// zone, which no header tells.
const HUBSPOT: RateRules = RateRules::new().windows(&[
    WindowRule::headers(
        "x-hubspot-ratelimit-max",
        "x-hubspot-ratelimit-remaining",
        "x-hubspot-ratelimit-interval-milliseconds",
        Unit::Millis,
    )
    .named("rolling")
    .period_in(Place::Header("x-hubspot-ratelimit-interval-milliseconds"), Unit::Millis),
    WindowRule::new()
        .named("daily")
        .limit(Place::Header("x-hubspot-ratelimit-daily"))
        .remaining(Place::Header("x-hubspot-ratelimit-daily-remaining"))
        .period(DAY),
]);

const SHOPIFY_GRAPHQL: RateRules = RateRules::new().windows(&[WindowRule::new()
    .limit(Place::Body("/extensions/cost/throttleStatus/maximumAvailable"))
    .remaining(Place::Body("/extensions/cost/throttleStatus/currentlyAvailable"))
    .measure(Measure::Units)]);

const SENTRY: RateRules = RateRules::new()
    .dialects(&[Dialect::PausesByCategory { header: "x-sentry-rate-limits" }])
    .fallback(Duration::from_mins(1));

const META: RateRules = RateRules::new().dialects(&[
    Dialect::UsagePercent { header: "x-app-usage" },
    Dialect::UsagePercent { header: "x-business-use-case-usage" },
    Dialect::UsagePercent { header: "x-ad-account-usage" },
]);

const AZURE_ARM: RateRules = RateRules::new()
    .windows(&[WindowRule::new()
        .named("subscription-reads")
        .remaining(Place::Header("x-ms-ratelimit-remaining-subscription-reads"))])
    .dialects(&[Dialect::RemainingByPolicy { header: "x-ms-ratelimit-remaining-resource" }]);

const ANTHROPIC: RateRules = RateRules::new().windows(&[
    WindowRule::headers(
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
        Unit::Date,
    )
    .named("requests"),
    WindowRule::headers(
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
        Unit::Date,
    )
    .named("tokens")
    .measure(Measure::Units),
]);

const PRISJAKT: RateRules = RateRules::new().windows(&[WindowRule::headers(
    "x-rate-limit-limit",
    "x-rate-limit-remaining",
    "x-rate-limit-reset",
    Unit::Millis,
)]);

const SOUNDCLOUD: RateRules = RateRules::new().windows(&[WindowRule::new()
    .name_in(Place::Body("/errors/*/meta/rate_limit/group"))
    .limit(Place::Body("/errors/*/meta/rate_limit/max_nr_of_requests"))
    .remaining(Place::Body("/errors/*/meta/remaining_requests"))
    .reset(Place::Body("/errors/*/meta/reset_time"), Unit::Date)
    .period_in(Place::Body("/errors/*/meta/rate_limit/time_window"), Unit::Span)]);

const STRIPE: RateRules = RateRules::new().global(&[
    Flag::new(Place::Header("stripe-rate-limited-reason"), "global-rate"),
    Flag::new(Place::Header("stripe-rate-limited-reason"), "global-concurrency"),
]);

/// Every kind of rule at once, for arbitrary input.
const EVERYTHING: RateRules = RateRules::new()
    .delays(&[
        DelayRule::header("x-delay", Unit::Minutes),
        DelayRule::body("/retry_after", Unit::Auto),
        DelayRule::body("/*/*", Unit::EpochMillis),
    ])
    .windows(&[
        WindowRule::headers("x-a", "x-b", "x-c", Unit::Auto)
            .used(Place::Header("x-d"))
            .period_in(Place::Body("/w"), Unit::Seconds),
        WindowRule::new().limit(Place::Body("/limit")).reset(Place::Body("/reset"), Unit::EpochSeconds),
    ])
    .dialects(&[
        Dialect::UsedOfLimit { header: "x-e" },
        Dialect::RemainingByPolicy { header: "x-f" },
        Dialect::PausesByCategory { header: "x-g" },
        Dialect::UsagePercent { header: "x-h" },
    ])
    .global(&[Flag::new(Place::Body("/global"), "true")])
    .fallback(Duration::MAX);
