//! Writing what was decided: each track once, whatever happens in between.

use integrations_core::music::{Music, MusicCap, NewPlaylist, Playlist, PlaylistEntry, PlaylistId, TrackId};
use integrations_core::{Effect, Error, ErrorKind, Result};

use super::plan::{Outcome, Target, TransferPlan};
use super::{Transfer, all, is_of_one_entry};

/// How many times in a row a batch is tried whose outcome was unknown, and which the target then did not have.
const TRIES: u32 = 3;

/// How many saved tracks one step writes.
const LIBRARY_BATCH: usize = 50;

/// What one step of the writing did. Store the plan after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// It looked which playlists have the new playlist's name.
    Looked,
    /// The playlist is there.
    Opened,
    /// This many tracks were written, or turned out to be there.
    Wrote(usize),
    /// A write had an unknown outcome, and the target does not have the tracks: the next step tries them again.
    Lost,
    /// Everything is written.
    Done,
}

impl Transfer {
    /// Writes all that was decided. After a failure the plan says how far it came: call it again with the same plan.
    pub async fn write(&self, to: &Music, plan: &mut TransferPlan) -> Result<()> {
        self.settle(to, plan).await?;
        let mut lost = 0;
        loop {
            match self.step(to, plan).await? {
                Step::Done => return Ok(()),
                Step::Lost if lost + 1 == TRIES => {
                    return Err(unknown("the same write was lost several times"));
                }
                Step::Lost => lost += 1,
                Step::Looked | Step::Opened | Step::Wrote(_) => lost = 0,
            }
        }
    }

    /// Makes a stored plan's progress true: what a crash left open is read from the target. Call it once before the first
    /// [`step`](Self::step) with a plan that was stored; [`write`](Self::write) does it itself.
    pub async fn settle(&self, to: &Music, plan: &mut TransferPlan) -> Result<()> {
        plan.check(to)?;
        if plan.progress.playlist.is_some() && !plan.progress.done {
            settle(to, plan).await?;
        }
        Ok(())
    }

    /// Does the next write, and no more than one.
    pub async fn step(&self, to: &Music, plan: &mut TransferPlan) -> Result<Step> {
        plan.check(to)?;
        if plan.rows.iter().any(|row| matches!(row.outcome, Outcome::Pending)) {
            return Err(Error::invalid_request("some entries were not looked for yet")
                .with_hint("call `decide` first"));
        }
        let target = plan.target.clone();
        match (&target, &plan.progress.namesakes, &plan.progress.playlist) {
            _ if plan.progress.done => Ok(Step::Done),
            (Target::Library, ..) => save(to, plan).await,
            (Target::New(new), None, None) => {
                plan.progress.namesakes =
                    Some(namesakes(to, new).await?.into_iter().map(|list| list.id).collect());
                Ok(Step::Looked)
            }
            (Target::New(new), Some(_), None) => open_new(to, plan, new).await,
            (Target::Playlist(list), _, None) => open(to, plan, list).await,
            (_, _, Some(list)) => {
                let list = list.clone();
                add(to, plan, &list).await
            }
        }
    }
}

async fn namesakes(to: &Music, new: &NewPlaylist) -> Result<Vec<Playlist>> {
    let lists = all(to.playlists()?.list()).await?;
    Ok(lists.into_iter().filter(|list| list.name == new.name).collect())
}

/// Creating twice makes two playlists: an empty one of the name that was not there before is the one that an earlier try
/// made. Lists lag, so that one is not looked for and made anew in one go.
async fn open_new(to: &Music, plan: &mut TransferPlan, new: &NewPlaylist) -> Result<Step> {
    let known = plan.progress.namesakes.clone().unwrap_or_default();
    let is_ours = |list: &Playlist| !known.contains(&list.id) && list.total.is_none_or(|total| total == 0);
    let made = match namesakes(to, new).await?.into_iter().find(is_ours) {
        Some(list) => list,
        None => match to.playlists()?.create(new).await {
            Err(error) if is_open(&error) => {
                let made = namesakes(to, new).await?.into_iter().find(is_ours);
                made.ok_or_else(|| unknown("it is not known whether the playlist was made"))?
            }
            made => made?,
        },
    };
    plan.progress.snapshot = made.snapshot;
    plan.progress.playlist = Some(made.id);
    Ok(Step::Opened)
}

async fn open(to: &Music, plan: &mut TransferPlan, list: &PlaylistId) -> Result<Step> {
    let entries = all(to.playlists()?.entries(list, None)).await?;
    let snapshot = to.playlists()?.get(list).await?.snapshot;
    plan.progress.before = entries.len();
    plan.progress.snapshot = snapshot;
    plan.progress.playlist = Some(list.clone());
    Ok(Step::Opened)
}

async fn add(to: &Music, plan: &mut TransferPlan, list: &PlaylistId) -> Result<Step> {
    let matched = plan.matched();
    let rest = matched.get(plan.progress.written..).unwrap_or_default();
    if rest.is_empty() {
        plan.progress.done = true;
        return Ok(Step::Done);
    }
    let playlists = to.playlists()?;
    let batch = &rest[..rest.len().min(playlists.most_per_write().max(1))];
    match playlists.add(list, batch).await {
        Ok(snapshot) => {
            plan.progress.written += batch.len();
            plan.progress.snapshot = snapshot;
            Ok(Step::Wrote(batch.len()))
        }
        Err(error) if is_open(&error) => {
            let before = plan.progress.written;
            settle(to, plan).await?;
            let arrived = plan.progress.written - before;
            Ok(if arrived == 0 { Step::Lost } else { Step::Wrote(arrived) })
        }
        Err(error) => Err(error),
    }
}

/// Whether the service may have acted although it did not say so.
fn is_open(error: &Error) -> bool {
    matches!(error.effect(), Effect::Unknown | Effect::Applied)
}

/// Reads the target, and sets how much of the plan is there.
async fn settle(to: &Music, plan: &mut TransferPlan) -> Result<()> {
    let Some(list) = plan.progress.playlist.clone() else { return Ok(()) };
    let entries = all(to.playlists()?.entries(&list, None)).await?;
    let snapshot = to.playlists()?.get(&list).await?.snapshot;
    let matched = plan.matched();
    let there =
        arrived(&entries, &matched, plan.progress.before, plan.progress.written).ok_or_else(changed)?;
    let is_other = plan.progress.snapshot != snapshot;
    let is_versioned = to.can(MusicCap::PlaylistSnapshot) && plan.progress.snapshot.is_some();
    if there < plan.progress.written {
        return Err(if is_versioned && is_other {
            changed()
        } else {
            unknown("the playlist does not show yet what was written")
        });
    }
    // Remembered also when it is an error: the same version at the next look is no longer a reader that lags.
    plan.progress.snapshot = snapshot;
    if there == plan.progress.written && is_versioned && is_other {
        return Err(unknown("the playlist has another version, but does not show what was written"));
    }
    plan.progress.written = there;
    Ok(())
}

/// How many of `matched` stand in the target from where the writing began. What was certainly written may have moved as a
/// whole, when somebody changed what stands before. `None` when something else stands there.
fn arrived(entries: &[PlaylistEntry], matched: &[TrackId], before: usize, written: usize) -> Option<usize> {
    let ids: Vec<Option<&TrackId>> =
        entries.iter().map(|entry| entry.track.as_ref().map(|track| &track.id)).collect();
    let run = |from: usize| {
        ids[from.min(ids.len())..].iter().zip(matched).take_while(|(id, want)| **id == Some(want)).count()
    };
    let here = run(before);
    if here >= written && (here > 0 || ids.len() <= before) {
        return Some(here);
    }
    // A reader that lags shows less than was written, and nothing else.
    if here < written && before + here >= ids.len() {
        return Some(here);
    }
    let elsewhere = (0..ids.len()).map(run).max().unwrap_or_default();
    (written > 0 && elsewhere >= written).then_some(elsewhere)
}

fn changed() -> Error {
    Error::new(
        ErrorKind::Conflict,
        Effect::NotSent,
        "somebody else changed the end of the playlist during the transfer",
    )
    .with_hint("look at the playlist, then make a new plan for what is missing")
}

fn unknown(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, Effect::Unknown, what)
        .with_hint("write the same plan again in a few minutes: it looks first, and writes nothing twice")
}

/// Saving twice is saving once, so a batch that failed is simply saved again.
async fn save(to: &Music, plan: &mut TransferPlan) -> Result<Step> {
    let rows: Vec<usize> =
        (0..plan.rows.len()).filter(|at| matches!(plan.rows[*at].outcome, Outcome::Matched { .. })).collect();
    // Rows that failed are no longer matched, so the count is of those before.
    let batch: Vec<usize> = rows.into_iter().skip(plan.progress.written).take(LIBRARY_BATCH).collect();
    if batch.is_empty() {
        plan.progress.done = true;
        return Ok(Step::Done);
    }
    let matched = plan.matched();
    let tracks = &matched[plan.progress.written..plan.progress.written + batch.len()];
    let outcomes = to.library()?.save(tracks).await?;
    let mut saved = 0;
    for ((at, track), outcome) in batch.into_iter().zip(tracks).zip(outcomes) {
        let outcome = match outcome {
            // Several in one call fail together for the one that is wrong.
            Err(error) if tracks.len() > 1 && is_of_one_entry(&error) && !is_open(&error) => {
                to.library()?.save(std::slice::from_ref(track)).await?.pop().unwrap_or(Err(error))
            }
            outcome => outcome,
        };
        match outcome {
            Ok(()) => saved += 1,
            Err(error) if is_open(&error) => {
                plan.progress.written += saved;
                return Ok(Step::Lost);
            }
            // Limits, credentials and outages say nothing about a track.
            Err(error) if error.is_retryable() || !is_of_one_entry(&error) => {
                plan.progress.written += saved;
                return Err(error);
            }
            Err(error) => {
                let kind = error.kind().as_str().into();
                plan.rows[at].outcome = Outcome::Failed { kind, message: error.message().to_owned() };
            }
        }
    }
    plan.progress.written += saved;
    Ok(Step::Wrote(saved))
}
