//! Moving a playlist, or the saved tracks, from one service to another, and saying what was lost.
//!
//! A transfer has three steps, and a [`TransferPlan`] that can be stored after each:
//! [`read`](Transfer::read) reads the source, [`decide`](Transfer::decide) looks for each entry at the target, and
//! [`write`](Transfer::write) writes what was found. Between [`decide`](Transfer::decide) and [`write`](Transfer::write) the
//! plan's [`report`](TransferPlan::report) is the dry run.
//!
//! Invariants:
//! - What a stored plan has decided is not asked again, and what it has written is not written again.
//! - Adding twice adds twice, so the outcome of an add is never guessed: whatever a crash or a lost answer leaves open is
//!   settled by reading the target before the next write. When the target does not show it clearly, the transfer stops.
//! - Every entry of the source has one [`Outcome`], in the source's order.
//!
//! ```
//! use integrations_music::transfer::{Source, Target, Transfer};
//! use integrations_music::{Music, NewPlaylist, PlaylistId};
//!
//! async fn move_it(from: &Music, to: &Music, list: PlaylistId) -> integrations_core::Result<()> {
//!     let transfer = Transfer::new();
//!     let target = Target::New(NewPlaylist::new("Moved"));
//!     let mut plan = transfer.read(from, &Source::Playlist(list), to, target).await?;
//!     transfer.decide(to, &mut plan).await?;
//!     let stored = serde_json::to_string(&plan).unwrap_or_default();
//!     transfer.write(to, &mut plan).await?;
//!     assert!(plan.report().to_string().contains("matched"));
//!     # drop(stored);
//!     Ok(())
//! }
//! ```

mod plan;
mod report;
mod write;

pub use plan::{Hint, Outcome, Progress, Row, SkippedReason, Source, Target, TransferPlan};
pub use report::{Counts, TransferReport};
pub use write::Step;

use integrations_core::music::{EntryKind, Music, MusicCap, PlaylistEntry};
use integrations_core::page::Listing;
use integrations_core::{Error, ErrorKind, Result};

use crate::matching::{Candidate, Found, Matcher, Wanted};

/// How a transfer is done.
#[derive(Debug, Clone, Default)]
pub struct Transfer {
    matcher: Matcher,
}

impl Transfer {
    /// A transfer with the default matcher.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how recordings are looked for.
    #[must_use]
    pub fn matcher(mut self, matcher: Matcher) -> Self {
        self.matcher = matcher;
        self
    }

    /// Reads all of the source. [`ErrorKind::Unsupported`](integrations_core::ErrorKind) before anything is read, when the
    /// target cannot be searched or written.
    pub async fn read(
        &self,
        from: &Music,
        source: &Source,
        to: &Music,
        target: Target,
    ) -> Result<TransferPlan> {
        self.matcher.check(to)?;
        to.clone().require(target.needs())?;
        let mut entries = match source {
            Source::Playlist(list) => all(from.playlists()?.entries(list, None)).await?,
            Source::Library => all(from.library()?.tracks()).await?,
        };
        if matches!((source, &target), (Source::Library, _)) {
            // Libraries come with the newest first; what is saved or added first must be the oldest.
            entries.reverse();
        }
        let rows = entries.iter().map(row).collect();
        Ok(TransferPlan::new(from.spec().id, to.spec().id, source.clone(), target, rows))
    }

    /// Looks for each entry that was not looked for yet, one after the other. What can be true of one entry alone is its
    /// [`Outcome::Failed`]; any other failure (limits, credentials, an outage) stops here, and the plan keeps what was
    /// decided before.
    pub async fn decide(&self, to: &Music, plan: &mut TransferPlan) -> Result<()> {
        plan.check(to)?;
        for at in 0..plan.rows.len() {
            if !matches!(plan.rows[at].outcome, Outcome::Pending) {
                continue;
            }
            // The same recording twice is asked once.
            let twin = plan.rows[..at].iter().find(|row| row.wanted == plan.rows[at].wanted);
            plan.rows[at].outcome = match twin.filter(|row| !matches!(row.outcome, Outcome::Skipped { .. })) {
                Some(row) => row.outcome.clone(),
                None => outcome(self.matcher.find(to, &plan.rows[at].wanted).await)?,
            };
        }
        Ok(())
    }

    /// Looks again for the entries that were ambiguous, not found or failed.
    pub async fn decide_again(&self, to: &Music, plan: &mut TransferPlan) -> Result<()> {
        if plan.progress.written > 0 {
            return Err(Error::invalid_request("a part of this plan is written already")
                .with_hint("write it to its end, then make a new plan"));
        }
        for row in &mut plan.rows {
            if !matches!(row.outcome, Outcome::Matched { .. } | Outcome::Skipped { .. }) {
                row.outcome = Outcome::Pending;
            }
        }
        self.decide(to, plan).await
    }
}

/// The whole of a list.
pub(crate) async fn all<'a, T: 'a>(list: Listing<'a, T>) -> Result<Vec<T>> {
    list.collect_up_to(usize::MAX).await
}

fn row(entry: &PlaylistEntry) -> Row {
    let skipped = match entry.kind {
        EntryKind::Track => None,
        EntryKind::Episode => Some(SkippedReason::Episode),
        EntryKind::Local => Some(SkippedReason::Local),
        EntryKind::Gone => Some(SkippedReason::Gone),
        _ => Some(SkippedReason::Unknown),
    };
    let skipped = if entry.track.is_none() { Some(SkippedReason::Gone) } else { skipped };
    Row {
        wanted: entry.track.as_ref().map(Wanted::from).unwrap_or_default(),
        outcome: skipped.map_or(Outcome::Pending, |why| Outcome::Skipped { why }),
    }
}

/// The outcome for one entry, or the failure that would meet all others too.
fn outcome(found: Result<Found>) -> Result<Outcome> {
    match found {
        Ok(Found::Match { best, .. }) => {
            Ok(Outcome::Matched { track: best.track.id, score: best.score, reason: best.reason })
        }
        Ok(Found::Ambiguous { candidates }) => Ok(Outcome::Ambiguous { candidates: hints(&candidates) }),
        Ok(Found::NoMatch { candidates }) => Ok(Outcome::NotFound { candidates: hints(&candidates) }),
        Err(error) if is_of_one_entry(&error) => {
            Ok(Outcome::Failed { kind: error.kind().as_str().into(), message: error.message().to_owned() })
        }
        Err(error) => Err(error),
    }
}

/// Whether an error is about one recording, and says nothing about the next.
pub(crate) fn is_of_one_entry(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidRequest | ErrorKind::NotFound | ErrorKind::Declined | ErrorKind::Decode
    )
}

/// The best of the candidates, for people who decide themselves.
fn hints(candidates: &[Candidate]) -> Vec<Hint> {
    const MOST: usize = 3;
    let hint = |candidate: &Candidate| Hint {
        track: candidate.track.id.clone(),
        line: Wanted::from(&candidate.track).line(),
        score: candidate.score,
        reason: candidate.reason.clone(),
    };
    candidates.iter().take(MOST).map(hint).collect()
}

impl Target {
    /// What the target must be able to do.
    fn needs(&self) -> &'static [MusicCap] {
        match self {
            Self::New(_) => &[MusicCap::Playlists, MusicCap::PlaylistCreate, MusicCap::PlaylistAdd],
            Self::Playlist(_) => &[MusicCap::Playlists, MusicCap::PlaylistAdd],
            Self::Library => &[MusicCap::LibraryWrite],
        }
    }
}
