//! Wall time, and how far the services' clocks are from ours.
//!
//! Waits use the monotonic clock of the runtime (`tokio::time`), so a paused runtime gives virtual time.
//! Wall time is for signatures, dates in headers and expiry; it comes from a [`Clock`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A source of wall time. The second implementation is a test's.
pub trait WallClock: Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> Timestamp;
}

/// A shared clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn WallClock>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Arc::new(System))
    }

    /// A clock of one's own.
    pub fn new(clock: impl WallClock) -> Self {
        Self(Arc::new(clock))
    }

    /// A clock that reads `start` now and moves with the runtime's clock: under a paused runtime wall time
    /// and waits are virtual together.
    pub fn virtual_from(start: Timestamp) -> Self {
        Self(Arc::new(Anchored { start, origin: Instant::now() }))
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

struct System;

impl WallClock for System {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

struct Anchored {
    start: Timestamp,
    origin: Instant,
}

impl WallClock for Anchored {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.origin.elapsed()).unwrap_or(SignedDuration::MAX);
        self.start.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}

/// How far a service's clock is from ours, measured from the `Date` header of an answer that refused a signature.
///
/// Signatures are made with [`Skew::adjust`]ed time; incoming webhooks are judged by our own clock alone.
#[derive(Debug, Default)]
pub struct Skew {
    /// Milliseconds the service is ahead of us; `Date` has a resolution of one second.
    ahead_ms: AtomicI64,
}

impl Skew {
    /// A difference smaller than this is within the resolution of `Date` and the time on the wire.
    pub const TOLERANCE: Duration = Duration::from_secs(2);

    /// Takes the `Date` header of an answer that arrived at `received`. Returns whether the skew moved by more
    /// than [`Skew::TOLERANCE`], that is, whether a signature made now would differ usefully.
    pub fn observe(&self, date: Option<&http::HeaderValue>, received: Timestamp) -> bool {
        let Some(theirs) = date.and_then(|v| v.to_str().ok()).and_then(crate::quota::http_date) else {
            return false;
        };
        let ahead = theirs.as_millisecond() - received.as_millisecond();
        let tolerance = Self::TOLERANCE.as_millis() as i64;
        let ahead = if ahead.abs() <= tolerance { 0 } else { ahead };
        let before = self.ahead_ms.swap(ahead, Ordering::Relaxed);
        (ahead - before).abs() > tolerance
    }

    /// Our time as the service sees it.
    pub fn adjust(&self, ours: Timestamp) -> Timestamp {
        ours.saturating_add(self.get()).unwrap_or(ours)
    }

    /// How far the service is ahead of us; negative when it is behind.
    pub fn get(&self) -> SignedDuration {
        SignedDuration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }
}
