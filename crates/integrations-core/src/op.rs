//! Operations: one `static` per remote call, the single list that spans, metrics, limits, docs and checks read.

use std::time::Duration;

/// How often a call may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Safety {
    /// Changes nothing; may be hedged and cached.
    Read,
    /// Sending it twice has the effect of sending it once (PUT, DELETE).
    Idempotent,
    /// The *vendor* drops duplicates that carry the same key, for as long as [`Op::key_lifetime`] says.
    Keyed,
    /// At most once: an unknown outcome is reported, not repeated.
    Once,
}

/// Default limit for a buffered answer: 8 MiB.
pub const DEFAULT_RESPONSE_LIMIT: usize = 8 * 1024 * 1024;

/// One remote call of one provider. Made by `cargo xtask codegen` from `provider.toml`, or by hand:
///
/// ```
/// use integrations_core::{Op, Safety};
/// static GET_TRACK: Op = Op::new("spotify", "get_track", Safety::Read).http("GET", "/tracks/{id}").bucket("web");
/// assert_eq!(GET_TRACK.cost, 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Op {
    /// The provider's id, e.g. `spotify`.
    pub provider: &'static str,
    /// The operation's name in snake_case, unique within the provider.
    pub name: &'static str,
    /// How often it may be sent.
    pub safety: Safety,
    /// Units of vendor quota that one attempt takes.
    pub cost: u32,
    /// The rate bucket it draws from; one limiter and one breaker per bucket.
    pub bucket: &'static str,
    /// HTTP method, or `""` for an operation that is not HTTP.
    pub method: &'static str,
    /// Path template such as `/tracks/{id}`, or `""`. Low-cardinality, hence safe in spans and logs.
    pub path: &'static str,
    /// A buffered answer larger than this many bytes is refused.
    pub response_limit: usize,
    /// Whether the read cache may keep answers (only with [`Safety::Read`], and only if a cache is set).
    pub cache: bool,
    /// Statuses by which the vendor promises that it did not execute the call. Only these are retried for
    /// [`Safety::Once`].
    pub not_executed: &'static [u16],
    /// How long the vendor remembers an idempotency key ([`Safety::Keyed`]); `None` when it does not say.
    pub key_lifetime: Option<Duration>,
    /// The vendor replays a stored *failure* for a repeated key (Stripe v1), so an unknown outcome is
    /// settled by a read, not by a retry.
    pub replays_failures: bool,
    /// A redirect to another origin is refused instead of followed: for what is believed because of where it was read.
    pub keeps_origin: bool,
}

impl Op {
    /// An operation with cost 1 in the bucket `default`, not HTTP.
    pub const fn new(provider: &'static str, name: &'static str, safety: Safety) -> Self {
        Self {
            provider,
            name,
            safety,
            cost: 1,
            bucket: "default",
            method: "",
            path: "",
            response_limit: DEFAULT_RESPONSE_LIMIT,
            cache: false,
            not_executed: &[],
            key_lifetime: None,
            replays_failures: false,
            keeps_origin: false,
        }
    }

    /// Sets HTTP method and path template.
    #[must_use]
    pub const fn http(mut self, method: &'static str, path: &'static str) -> Self {
        self.method = method;
        self.path = path;
        self
    }

    /// Sets the quota units of one attempt.
    #[must_use]
    pub const fn cost(mut self, units: u32) -> Self {
        self.cost = units;
        self
    }

    /// Sets the rate bucket.
    #[must_use]
    pub const fn bucket(mut self, bucket: &'static str) -> Self {
        self.bucket = bucket;
        self
    }

    /// Sets the limit of a buffered answer, in bytes.
    #[must_use]
    pub const fn response_limit(mut self, bytes: usize) -> Self {
        self.response_limit = bytes;
        self
    }

    /// Allows the read cache.
    #[must_use]
    pub const fn cached(mut self) -> Self {
        self.cache = true;
        self
    }

    /// Names the statuses that mean "not executed".
    #[must_use]
    pub const fn not_executed(mut self, statuses: &'static [u16]) -> Self {
        self.not_executed = statuses;
        self
    }

    /// Says how long the vendor remembers a key.
    #[must_use]
    pub const fn key_lifetime(mut self, lifetime: Duration) -> Self {
        self.key_lifetime = Some(lifetime);
        self
    }

    /// Says that the vendor replays stored failures for a repeated key.
    #[must_use]
    pub const fn replays_failures(mut self) -> Self {
        self.replays_failures = true;
        self
    }

    /// Refuses redirects to another origin.
    #[must_use]
    pub const fn keeps_origin(mut self) -> Self {
        self.keeps_origin = true;
        self
    }
}
