//! Keeping two playlists alike, with what both were like after the last time: a three-way merge of sequences.
//!
//! [`plan`](Sync::plan) reads both sides, compares them with the [`SyncBase`], and says what it would do;
//! [`apply`](Sync::apply) does it, reads both again and gives the base for the next time. Store that base, also after
//! failures: it knows what is owed.
//!
//! The rules, in this order:
//! - A track that was added on either side is on both. An addition wins over a removal.
//! - A track that was removed on one side is removed on the other, also when it was moved there.
//! - A track that was moved on one side is moved on the other. Moved on both: the preferred side wins, the left if nothing
//!   else is set.
//! - Two tracks that were added at the same place: the preferred side's come first.
//! - A track that the other side does not have stays where it is, is in the base as one without a partner, and is not
//!   looked for again unless [`retry_unmatched`](Sync::retry_unmatched) asks for it.
//! - A track that stands several times in a playlist counts once; where the others stand is left alone, and so are
//!   episodes, local files and what is gone.
//!
//! Invariants:
//! - A read that shows less than a configurable share of what was there is no removal but an error with the code
//!   [`TOO_MANY_REMOVALS`], until somebody [consents](Sync::allow_removals).
//! - What was written here and is not visible yet is owed, not removed: a playlist's index may lag.
//! - Nothing is written on either side when one cannot do what the plan needs.
//!
//! ```
//! use integrations_music::sync::{Move, minimal_moves};
//!
//! let moves = minimal_moves(&["a", "b", "c", "d"], &["d", "a", "b", "c"]);
//! assert_eq!(moves, [Move { from: 3, before: 0 }]);
//! ```

mod apply;
mod base;
mod edit;
mod merge;
mod moves;
mod plan;

use merge::Change;

pub use apply::Applied;
pub use base::{Half, Pair, Place, Side, SyncBase};
pub use edit::Edit;
pub use moves::{Move, minimal_moves};
pub use plan::{Planned, SidePlan, SyncPlan};

use crate::matching::Matcher;

/// The code of the error when a side lost more tracks than may be removed without consent.
pub const TOO_MANY_REMOVALS: &str = "too_many_removals";

/// How two playlists are kept alike.
#[derive(Debug, Clone)]
pub struct Sync {
    matcher: Matcher,
    prefer: Side,
    share: f32,
    has_consent: bool,
    retries_unmatched: bool,
    patience: u8,
}

impl Default for Sync {
    fn default() -> Self {
        Self {
            matcher: Matcher::new(),
            prefer: Side::Left,
            share: 0.5,
            has_consent: false,
            retries_unmatched: false,
            patience: 2,
        }
    }
}

impl Sync {
    /// The left side wins, half of a side may be removed without consent, and what was written may take two rounds to
    /// become visible.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how recordings are looked for.
    #[must_use]
    pub fn matcher(mut self, matcher: Matcher) -> Self {
        self.matcher = matcher;
        self
    }

    /// Sets which side wins when both moved a track.
    #[must_use]
    pub fn prefer(mut self, side: Side) -> Self {
        self.prefer = side;
        self
    }

    /// Sets which share of a side may vanish between two rounds before somebody must consent, 0.0 to 1.0. One track always
    /// may.
    #[must_use]
    pub fn most_removals(mut self, share: f32) -> Self {
        self.share = share.clamp(0.0, 1.0);
        self
    }

    /// Consents to any number of removals. Set it for one round, after somebody looked.
    #[must_use]
    pub fn allow_removals(mut self) -> Self {
        self.has_consent = true;
        self
    }

    /// Looks again for tracks that had no partner the last time.
    #[must_use]
    pub fn retry_unmatched(mut self) -> Self {
        self.retries_unmatched = true;
        self
    }

    /// Sets for how many rounds a track that was written, and is not visible, is waited for before it is written again.
    #[must_use]
    pub fn patience(mut self, rounds: u8) -> Self {
        self.patience = rounds;
        self
    }
}
