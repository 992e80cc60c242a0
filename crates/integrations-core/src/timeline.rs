//! What happened during one call, kept only once something other than a first success happens.

use std::fmt;
use std::time::Duration;

use crate::error::{Effect, ErrorKind, Repeat};

/// Why a call waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitReason {
    /// The vendor told every caller of this quota to pause.
    VendorPause,
    /// Our rate limiter spread the calls.
    RateLimit,
    /// The tenant used its share of the quota.
    TenantShare,
    /// All concurrency permits were taken.
    Queue,
    /// The circuit breaker was about to let calls through again.
    Breaker,
    /// The delay before a retry.
    Backoff,
}

impl WaitReason {
    /// The reason as a stable snake_case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VendorPause => "vendor_pause",
            Self::RateLimit => "rate_limit",
            Self::TenantShare => "tenant_share",
            Self::Queue => "queue",
            Self::Breaker => "breaker",
            Self::Backoff => "backoff",
        }
    }
}

/// One thing that happened during a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Waited { reason: WaitReason, took: Duration },
    Failed { attempt: u32, kind: ErrorKind, effect: Effect, status: Option<u16>, took: Duration },
    Repeated(Repeat),
    Hedged { after: Duration },
    NoRetry { why: &'static str },
}

/// The events of one call with their time since its start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timeline(Vec<(Duration, Event)>);

impl Timeline {
    pub(crate) fn push(&mut self, at: Duration, event: Event) {
        self.0.push((at, event));
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, event) in &self.0 {
            write!(f, "  +{:>9.3}s  ", at.as_secs_f64())?;
            match event {
                Event::Waited { reason, took } => writeln!(f, "waited {took:?}: {}", reason.as_str())?,
                Event::Failed { attempt, kind, effect, status, took } => {
                    write!(f, "attempt {attempt} failed after {took:?}: {kind}, {effect}")?;
                    match status {
                        Some(status) => writeln!(f, ", status {status}")?,
                        None => writeln!(f)?,
                    }
                }
                Event::Repeated(Repeat::Refreshed) => writeln!(f, "credentials refreshed, tried once more")?,
                Event::Repeated(Repeat::ClockCorrected(ahead)) => {
                    let side = if ahead.is_negative() { "ahead of" } else { "behind" };
                    let by = ahead.unsigned_abs();
                    writeln!(
                        f,
                        "the local clock is {by:?} {side} the service's: corrected, tried once more"
                    )?;
                }
                Event::Hedged { after } => {
                    writeln!(f, "no answer after {after:?}: a second attempt was sent")?;
                }
                Event::NoRetry { why } => writeln!(f, "not retried: {why}")?,
            }
        }
        Ok(())
    }
}
