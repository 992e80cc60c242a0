//! What a transfer has decided and done, in a form that can be stored.

use integrations_core::music::{Music, NewPlaylist, PlaylistId, Snapshot, TrackId};
use integrations_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::report::{Counts, TransferReport};
use crate::matching::{Reason, Wanted};

/// The version of the stored form.
const VERSION: u32 = 1;

/// What is moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// A playlist.
    Playlist(PlaylistId),
    /// The saved tracks.
    Library,
}

/// Where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Target {
    /// A new playlist.
    New(NewPlaylist),
    /// The end of a playlist that is there.
    Playlist(PlaylistId),
    /// The saved tracks.
    Library,
}

/// Why an entry is not looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkippedReason {
    /// A file of the user's own.
    Local,
    /// An episode of a podcast.
    Episode,
    /// The source no longer has it.
    Gone,
    /// Something that this version does not know.
    Unknown,
}

impl SkippedReason {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Local => "a local file",
            Self::Episode => "an episode",
            Self::Gone => "the source no longer has it",
            Self::Unknown => "neither a track nor an episode",
        }
    }
}

/// A track that was not taken, for people who decide themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hint {
    /// The track at the target.
    pub track: TrackId,
    /// Its artists and title.
    pub line: String,
    /// Its score.
    pub score: f32,
    /// Why it has that score.
    pub reason: Reason,
}

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It was not looked for yet.
    Pending,
    /// The target has it.
    Matched {
        /// The track at the target.
        track: TrackId,
        /// How alike they are.
        score: f32,
        /// Why.
        reason: Reason,
    },
    /// Several recordings at the target fit equally well.
    Ambiguous {
        /// The best of them.
        candidates: Vec<Hint>,
    },
    /// The target has nothing that fits well enough.
    NotFound {
        /// What came nearest.
        candidates: Vec<Hint>,
    },
    /// It is no track of a catalogue.
    Skipped {
        /// What it is instead.
        why: SkippedReason,
    },
    /// Looking for it or saving it failed.
    Failed {
        /// The kind of the error.
        kind: Box<str>,
        /// What it said.
        message: String,
    },
}

/// One entry of the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Row {
    /// What is known of it.
    pub wanted: Wanted,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How far the writing is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Progress {
    /// Playlists that had the new playlist's name before it was made; `None` as long as nobody looked.
    pub namesakes: Option<Vec<PlaylistId>>,
    /// The playlist that is written to, once it is there.
    pub playlist: Option<PlaylistId>,
    /// How many entries it had before the first write.
    pub before: usize,
    /// How many of the matched tracks are certainly written.
    pub written: usize,
    /// The version after the last write, where the target has versions.
    pub snapshot: Option<Snapshot>,
    /// Whether everything is written.
    pub done: bool,
}

/// What a transfer has decided and done. Store it, and a transfer that was interrupted goes on where it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TransferPlan {
    /// The version of the stored form.
    pub version: u32,
    /// The provider that is read.
    pub from: String,
    /// The provider that is written.
    pub to: String,
    /// What is moved.
    pub source: Source,
    /// Where it goes.
    pub target: Target,
    /// The entries of the source, in the order in which they are written.
    pub rows: Vec<Row>,
    /// How far the writing is.
    pub progress: Progress,
}

impl TransferPlan {
    pub(super) fn new(from: &str, to: &str, source: Source, target: Target, rows: Vec<Row>) -> Self {
        let progress = Progress::default();
        Self { version: VERSION, from: from.into(), to: to.into(), source, target, rows, progress }
    }

    /// A plan for recordings that come from elsewhere, for example from a file.
    pub fn of(wanted: Vec<Wanted>, to: &Music, target: Target) -> Self {
        let rows = wanted.into_iter().map(|wanted| Row { wanted, outcome: Outcome::Pending }).collect();
        Self::new("", to.spec().id, Source::Library, target, rows)
    }

    /// A person's decision for an entry that the matcher left open.
    pub fn choose(&mut self, row: usize, hint: &Hint) -> Result<()> {
        if self.progress.written > 0 {
            return Err(Error::invalid_request("a part of this plan is written already"));
        }
        let row =
            self.rows.get_mut(row).ok_or_else(|| Error::invalid_request("the plan has no such entry"))?;
        row.outcome =
            Outcome::Matched { track: hint.track.clone(), score: hint.score, reason: hint.reason.clone() };
        Ok(())
    }

    /// What became of every entry so far. Before the writing it is the dry run.
    pub fn report(&self) -> TransferReport {
        TransferReport {
            from: self.from.clone(),
            to: self.to.clone(),
            playlist: self.progress.playlist.clone(),
            counts: Counts::of(&self.rows),
            written: self.progress.written,
            done: self.progress.done,
            rows: self.rows.clone(),
        }
    }

    /// The tracks at the target, in order.
    pub(super) fn matched(&self) -> Vec<TrackId> {
        let matched = |row: &Row| match &row.outcome {
            Outcome::Matched { track, .. } => Some(track.clone()),
            _ => None,
        };
        self.rows.iter().filter_map(matched).collect()
    }

    /// [`ErrorKind::InvalidRequest`](integrations_core::ErrorKind) for a plan of another version or another target.
    pub(super) fn check(&self, to: &Music) -> Result<()> {
        if self.version != VERSION {
            return Err(Error::invalid_request(format!("a plan of version {}", self.version))
                .with_hint(format!("this software reads version {VERSION}: make a new plan")));
        }
        if self.to != to.spec().id {
            return Err(Error::invalid_request(format!(
                "a plan for `{}` is not one for `{}`",
                self.to,
                to.spec().id
            )));
        }
        Ok(())
    }
}
