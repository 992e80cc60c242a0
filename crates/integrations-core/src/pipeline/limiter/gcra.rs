//! The generic cell rate algorithm: a bucket as one number, the theoretical arrival time (TAT).

use super::Priority;

/// A rate as nanoseconds per unit, and the burst as the time in which it refills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) interval: u64,
    pub(super) tolerance: u64,
}

impl Rate {
    /// A place for a window that is not there.
    pub(super) const NONE: Self = Self { interval: 0, tolerance: 0 };

    /// Whether a full bucket holds `cost` units. A window that is not there holds anything.
    pub(super) fn holds(self, cost: u32) -> bool {
        self.interval.saturating_mul(u64::from(cost)) <= self.tolerance || self == Self::NONE
    }

    /// The time in which `cost` units refill. What a window that the service told cannot hold empties it.
    pub(super) fn span(self, cost: u32) -> u64 {
        self.interval.saturating_mul(u64::from(cost)).min(self.tolerance)
    }

    /// The first moment at which a call of this cost conforms.
    pub(super) fn earliest(self, tat: u64, cost: u32, priority: Priority) -> u64 {
        let kept = match priority {
            Priority::Interactive => 0,
            Priority::Webhook => self.tolerance / 4,
            Priority::Batch => self.tolerance / 2,
        };
        let span = self.span(cost);
        // A full bucket is always enough, however much of it is to be left for others.
        tat.saturating_add(span).saturating_sub(span.max(self.tolerance - kept))
    }

    /// The TAT after a call of this cost at `at`.
    pub(super) fn after(self, tat: u64, at: u64, cost: u32) -> u64 {
        tat.max(at) + self.span(cost)
    }
}

/// A rate and its state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) rate: Rate,
    pub(super) tat: u64,
}

/// The TAT of a window of this rate that takes the place of others: units that were spent stay spent, as counted by the
/// window that is most like it.
pub(super) fn inherited(old: &[Window], rate: Rate, virtual_now: u64) -> u64 {
    if let Some(same) = old.iter().find(|window| window.rate == rate) {
        return same.tat;
    }
    let unlike = |window: &&Window| {
        let [small, large] = [window.rate.interval, rate.interval].map(u128::from);
        (small.max(large) << 32) / small.min(large).max(1)
    };
    let Some(like) = old.iter().min_by_key(unlike) else { return 0 };
    let ahead = u128::from(like.tat.saturating_sub(virtual_now));
    let spent = ahead * u128::from(rate.interval) / u128::from(like.rate.interval.max(1));
    // A bucket is at most empty: those who wait for more have places at the old window.
    virtual_now + u64::try_from(spent).map_or(rate.tolerance, |spent| spent.min(rate.tolerance))
}
