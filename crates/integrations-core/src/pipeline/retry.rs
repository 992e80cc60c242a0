//! Whether a failed attempt may be repeated, and when.

use std::time::Duration;

use crate::error::{Effect, Error, ErrorKind};
use crate::op::{Op, Safety};

/// How often and how fast a call is repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included. 1 switches retries off.
    pub max_attempts: u32,
    /// Upper bound of the delay before the first retry; the delay is drawn evenly from 0 to the bound.
    pub base: Duration,
    /// The bound grows by this factor with each retry.
    pub multiplier: f64,
    /// The bound never exceeds this.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    /// Three attempts, 200 ms doubled each time, at most 5 s.
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base: Duration::from_millis(200),
            multiplier: 2.0,
            cap: Duration::from_secs(5),
        }
    }
}

/// A server's delay gets at most this much on top, so that callers who were told the same do not return as one.
const MAX_JITTER: Duration = Duration::from_millis(250);

impl RetryPolicy {
    /// The delay before retry `n` (0 for the first): full jitter, or the server's own delay with a little on top.
    /// A server's delay of 0 does not make a hot loop: our own delay is the floor.
    pub(crate) fn delay(&self, n: u32, told: Option<Duration>) -> Duration {
        let grown = self.base.as_secs_f64() * self.multiplier.powi(n.min(1024) as i32);
        let bound = grown.min(self.cap.as_secs_f64()).max(0.0);
        let own = Duration::from_secs_f64(bound * fastrand::f64());
        match told {
            None => own,
            Some(told) => own.max(told.saturating_add(MAX_JITTER.min(told / 10).mul_f64(fastrand::f64()))),
        }
    }
}

/// Why a failed attempt is not repeated, in words for [`Error::explain`]; `None` when it may be.
///
/// | effect ↓ / safety → | Read, Idempotent | Keyed | Once |
/// |---|---|---|---|
/// | NotSent | yes | yes | yes |
/// | Rejected | yes | yes | only for a status that the provider declares as "not executed" |
/// | Unknown | yes | within the key's life time, unless the vendor replays failures | no |
/// | Applied | no | no | no |
pub(crate) fn forbidden(op: &Op, error: &Error, since_start: Duration) -> Option<&'static str> {
    if !error.is_retryable() {
        return Some("trying again cannot help");
    }
    match (error.effect(), op.safety) {
        (Effect::NotSent, _)
        | (Effect::Rejected, Safety::Read | Safety::Idempotent | Safety::Keyed)
        | (Effect::Unknown, Safety::Read | Safety::Idempotent) => None,
        (Effect::Rejected, Safety::Once) => {
            let declared = error.status().is_some_and(|status| op.not_executed.contains(&status));
            (!declared).then_some("the operation is sent at most once, and the provider does not promise that this answer means \"not executed\"")
        }
        (Effect::Unknown, Safety::Keyed) if op.replays_failures => {
            Some("the service would replay a stored failure for this key: read the state instead")
        }
        (Effect::Unknown, Safety::Keyed) => {
            let expired = op.key_lifetime.is_some_and(|lifetime| since_start >= lifetime);
            expired.then_some("the service may have forgotten the idempotency key by now")
        }
        (Effect::Unknown, Safety::Once) => {
            Some("the service may have acted, and the operation is sent at most once")
        }
        (Effect::Applied, _) => Some("the service has acted already"),
    }
}

/// Whether the other side refused for want of quota: cheaper to repeat, and no sign of ill health.
pub(crate) fn is_throttle(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::RateLimited)
}

#[cfg(test)]
mod tests {
    use super::*;

    static READ: Op = Op::new("t", "read", Safety::Read);
    static IDEMPOTENT: Op = Op::new("t", "idempotent", Safety::Idempotent);
    static KEYED: Op = Op::new("t", "keyed", Safety::Keyed).key_lifetime(Duration::from_secs(10));
    static REPLAYS: Op = Op::new("t", "replays", Safety::Keyed).replays_failures();
    static ONCE: Op = Op::new("t", "once", Safety::Once);
    static DECLARED: Op = Op::new("t", "declared", Safety::Once).not_executed(&[429, 503]);

    fn failure(effect: Effect) -> Error {
        Error::new(ErrorKind::Unavailable, effect, "down").with_status(503)
    }

    #[test]
    fn the_table_of_effects_and_safeties() {
        use Effect::{Applied, NotSent, Rejected, Unknown};
        let rows: [(&Op, [bool; 4]); 6] = [
            (&READ, [true, true, true, false]),
            (&IDEMPOTENT, [true, true, true, false]),
            (&KEYED, [true, true, true, false]),
            (&REPLAYS, [true, true, false, false]),
            (&ONCE, [true, false, false, false]),
            (&DECLARED, [true, true, false, false]),
        ];
        for (op, expected) in rows {
            for (effect, may) in [NotSent, Rejected, Unknown, Applied].into_iter().zip(expected) {
                let verdict = forbidden(op, &failure(effect), Duration::ZERO);
                assert_eq!(verdict.is_none(), may, "{} {effect}: {verdict:?}", op.name);
            }
        }
    }

    #[test]
    fn a_permanent_error_is_never_repeated() {
        for kind in ErrorKind::ALL {
            let error = Error::new(kind, Effect::NotSent, "");
            assert_eq!(forbidden(&READ, &error, Duration::ZERO).is_none(), error.is_retryable(), "{kind}");
        }
    }

    #[test]
    fn a_key_is_not_trusted_beyond_its_life_time() {
        assert!(forbidden(&KEYED, &failure(Effect::Unknown), Duration::from_millis(9_999)).is_none());
        assert!(forbidden(&KEYED, &failure(Effect::Unknown), Duration::from_secs(10)).is_some());
        assert!(forbidden(&KEYED, &failure(Effect::Rejected), Duration::from_secs(10)).is_none());
    }

    #[test]
    fn delays_stay_within_their_bounds() {
        let policy = RetryPolicy::default();
        for n in [0, 1, 2, 5, 1100, u32::MAX] {
            let bound = (policy.base.as_secs_f64() * 2f64.powi(n.min(30) as i32)).min(5.0);
            let drawn: Vec<_> = (0..10_000).map(|_| policy.delay(n, None).as_secs_f64()).collect();
            assert!(drawn.iter().all(|d| *d <= bound), "retry {n}");
            assert!(drawn.iter().any(|d| *d > bound * 0.9) && drawn.iter().any(|d| *d < bound * 0.1));
        }
    }

    #[test]
    fn a_servers_delay_is_never_undercut_and_zero_is_no_hot_loop() {
        let policy = RetryPolicy { base: Duration::from_millis(100), ..RetryPolicy::default() };
        for _ in 0..10_000 {
            let told = Duration::from_secs(10);
            let delay = policy.delay(0, Some(told));
            assert!(delay >= told && delay <= told + MAX_JITTER);
        }
        assert!((0..100).any(|_| policy.delay(0, Some(Duration::ZERO)) > Duration::from_millis(10)));
    }
}
