//! What both sides were like after the last round.

use std::fmt;

use integrations_core::music::{PlaylistId, TrackId};
use serde::{Deserialize, Serialize};

use crate::matching::Wanted;

/// The version of the stored form.
pub(super) const VERSION: u32 = 1;

/// One of the two playlists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "there is no third side")]
pub enum Side {
    /// The one that is named first.
    Left,
    /// The other one.
    Right,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Left, Self::Right];

    pub(super) fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "left",
            Self::Right => "right",
        })
    }
}

/// Whether a track is on a side, as far as was known after the last round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Place {
    /// It is not there.
    #[default]
    Absent,
    /// It was seen there.
    Here,
    /// It should be there and was not seen: the write failed, or is not visible yet.
    Owed {
        /// For how many rounds more it is waited for before it is written again.
        waits: u8,
    },
    /// It should be gone and was seen, or may still appear.
    Doomed {
        /// For how many rounds more it may appear.
        waits: u8,
    },
}

/// What one side has of a pair.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Half {
    /// The side's id of the track; `None` when the side does not have it.
    pub id: Option<TrackId>,
    /// Whether it is in the playlist.
    pub place: Place,
}

/// One recording, as each side names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pair {
    /// What both are.
    pub identity: Wanted,
    /// The left one.
    pub left: Half,
    /// The right one.
    pub right: Half,
    /// Why one side has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmatched: Option<String>,
    /// Whether looking for it failed, so that the next round looks again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

impl Pair {
    pub(super) fn new(identity: Wanted) -> Self {
        Self { identity, left: Half::default(), right: Half::default(), unmatched: None, failed: false }
    }

    pub(super) fn half(&self, side: Side) -> &Half {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    pub(super) fn half_mut(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }
}

/// What both sides were like after the last round. Store it after each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncBase {
    /// The version of the stored form.
    pub version: u32,
    /// The left playlist.
    pub left: PlaylistId,
    /// The right playlist.
    pub right: PlaylistId,
    /// Every recording, in the order that both have or will have.
    pub pairs: Vec<Pair>,
}

impl SyncBase {
    /// The base of two playlists that were never kept alike: everything counts as added.
    pub fn new(left: impl Into<PlaylistId>, right: impl Into<PlaylistId>) -> Self {
        Self { version: VERSION, left: left.into(), right: right.into(), pairs: Vec::new() }
    }

    /// The recordings that one side does not have.
    pub fn unmatched(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(|pair| pair.unmatched.is_some())
    }
}
