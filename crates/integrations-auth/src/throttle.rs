//! Guessing is slow.
//!
//! Invariants:
//! - An attempt is counted before its outcome is known, by compare-and-swap: of any number of attempts at once no more get
//!   through than of as many one after the other.
//! - An attempt that is refused is not counted, so the wait never grows beyond [`Throttle::longest_delay`], whoever tries
//!   and however often.
//! - Where the store cannot be asked, nobody gets through.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use integrations_core::{Clock, Effect, Error, ErrorKind, Result, Secret};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::names::hashed;
use crate::{Draft, RecordId, RecordStore};

const KIND: &str = "throttle";

/// Who loses this often against others is refused: with the policy as it is, so many others have just got through.
const ROUNDS: u32 = 16;

/// Makes guessing slow: after a number of free attempts each one must wait, twice as long as the one before, up to a
/// longest wait. What is counted is forgotten when an attempt succeeds, or a while after the last one.
///
/// A count belongs to a tenant, an action and somebody: a mail address that is tried, the user who must show a code. Count
/// by what is attacked, not by where the attempts come from, or they come from everywhere; limits by network address belong
/// in front of the application besides.
///
/// Whoever owns an account waits no longer than [`longest_delay`](Throttle::longest_delay) for the next turn, but shares
/// the turns with whoever else tries. Give them a way in that is counted apart, such as a reset by mail.
///
/// There is a record for each somebody who was tried within [`forget_after`](Throttle::forget_after), also for those who do
/// not exist: sweep the store.
#[derive(Clone)]
pub struct Throttle {
    records: Arc<dyn RecordStore>,
    clock: Clock,
    policy: Policy,
}

#[derive(Debug, Clone, Copy)]
struct Policy {
    free: u32,
    first_delay: Duration,
    longest_delay: Duration,
    forget_after: Duration,
}

#[derive(Serialize, Deserialize)]
struct Count {
    attempts: u32,
    last: Timestamp,
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Throttle {
    /// Five free attempts, then waits from one second to 15 minutes; forgotten after 24 hours.
    pub fn new(records: Arc<dyn RecordStore>, clock: Clock) -> Self {
        let policy = Policy {
            free: 5,
            first_delay: Duration::from_secs(1),
            longest_delay: Duration::from_secs(15 * 60),
            forget_after: Duration::from_secs(24 * 60 * 60),
        };
        Self { records, clock, policy }
    }

    /// How many attempts need not wait; 5.
    #[must_use]
    pub fn free(mut self, attempts: u32) -> Self {
        self.policy.free = attempts;
        self
    }

    /// How long the first attempt that must wait waits, counted from the one before; 1 s. It doubles with each attempt.
    #[must_use]
    pub fn first_delay(mut self, delay: Duration) -> Self {
        self.policy.first_delay = delay;
        self
    }

    /// How long an attempt waits at most; 15 min.
    #[must_use]
    pub fn longest_delay(mut self, delay: Duration) -> Self {
        self.policy.longest_delay = delay;
        self
    }

    /// How long after the last attempt that got through all of them are forgotten; 24 h. Never less than the longest delay.
    #[must_use]
    pub fn forget_after(mut self, time: Duration) -> Self {
        self.policy.forget_after = time;
        self
    }

    /// Counts an attempt, if it may be made now. `who` is kept as a hash.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`] with [`Error::retry_after`] if it is too early, or if so many others were faster that
    /// nobody could tell; what the store says, if it cannot be asked.
    pub async fn admit(&self, tenant: &str, action: &'static str, who: &str) -> Result<()> {
        let id = id(tenant, action, who);
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let present = self.records.get(&id, now).await?;
            let seen = present.as_ref().map_or(0, |record| record.version);
            let count = present.map(|record| read(record.draft.value.expose())).transpose()?;
            if let Some(wait) = count.as_ref().and_then(|count| self.policy.wait(count, now)) {
                return Err(too_early(wait));
            }
            let attempts = count.map_or(0, |count| count.attempts).saturating_add(1);
            let next = self.policy.draft(&Count { attempts, last: now })?;
            if self.records.put(&id, seen, &next, now).await?.is_some() {
                return Ok(());
            }
        }
        Err(too_early(self.policy.first_delay))
    }

    /// Forgets the attempts of somebody at an action, and of nobody else.
    pub async fn succeeded(&self, tenant: &str, action: &'static str, who: &str) -> Result<()> {
        self.records.take(&id(tenant, action, who), self.clock.now()).await.map(drop)
    }
}

impl Policy {
    /// How long the next attempt must still wait; `None`: it need not.
    fn wait(&self, count: &Count, now: Timestamp) -> Option<Duration> {
        let delay = self.delay_after(count.attempts);
        // A clock that was set back would make the wait longer than the policy has it.
        let passed = now.duration_since(count.last).max(SignedDuration::ZERO).unsigned_abs();
        delay.checked_sub(passed).filter(|left| !left.is_zero())
    }

    fn delay_after(&self, attempts: u32) -> Duration {
        let Some(paid) = attempts.checked_sub(self.free) else { return Duration::ZERO };
        let factor = 2_u32.checked_pow(paid).unwrap_or(u32::MAX);
        self.first_delay.saturating_mul(factor).min(self.longest_delay)
    }

    fn draft(&self, count: &Count) -> Result<Draft> {
        let kept = SignedDuration::try_from(self.forget_after.max(self.longest_delay));
        let kept = kept.unwrap_or(SignedDuration::MAX);
        let expires_at = count.last.saturating_add(kept).unwrap_or(Timestamp::MAX);
        let value = serde_json::to_vec(count).map_err(|_| unreadable())?;
        Ok(Draft { owner: None, expires_at, value: Secret::new(value) })
    }
}

fn id(tenant: &str, action: &'static str, who: &str) -> RecordId {
    RecordId::new(tenant, KIND, hashed(&[action, who]))
}

fn read(bytes: &[u8]) -> Result<Count> {
    serde_json::from_slice(bytes).map_err(|_| unreadable())
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Decode, Effect::NotSent, "a count of attempts cannot be read")
        .with_hint("remove the records of the kind `throttle`")
}

fn too_early(wait: Duration) -> Error {
    Error::new(ErrorKind::RateLimited, Effect::Rejected, "too many attempts")
        .with_code("too_many_attempts")
        .with_retry_after(wait)
        .with_hint("try again later")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_the_longest_and_never_overflows() {
        let throttle = Throttle::new(Arc::new(crate::MemoryRecords::new()), Clock::system())
            .forget_after(Duration::ZERO);
        let after = |attempts| throttle.policy.delay_after(attempts).as_secs();
        assert_eq!([0, 4, 5, 6, 7, 8, 14, 15].map(after), [0, 0, 1, 2, 4, 8, 512, 900]);
        assert_eq!([16, 40, u32::MAX].map(after), [900, 900, 900]);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_wait_longer_than_the_policy() {
        let throttle = Throttle::new(Arc::new(crate::MemoryRecords::new()), Clock::system());
        let last: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let count = Count { attempts: 6, last };
        let before = last - SignedDuration::from_hours(5);
        assert_eq!(throttle.policy.wait(&count, before), Some(Duration::from_secs(2)));
    }
}
