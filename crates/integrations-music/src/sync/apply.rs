//! Doing what was planned, and finding out what is there afterwards.

use std::collections::{HashMap, HashSet};

use integrations_core::music::{Music, Snapshot, TrackId};
use integrations_core::{Effect, Error, ErrorKind, Result};

use super::Sync;
use super::base::{Pair, Place, Side, SyncBase, VERSION};
use super::edit::Edit;
use super::plan::{Planned, Seen, SyncPlan, read, version};

/// What a round did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Applied {
    /// What both sides are like now. Store it whether or not something failed.
    pub base: SyncBase,
    /// What failed. The next round makes up for it.
    pub failures: Vec<(Side, Error)>,
}

/// How the writes of one side went.
#[derive(Default)]
struct Written {
    failure: Option<Error>,
    /// Tracks whose write may have arrived, also when nobody said so.
    sent: HashSet<TrackId>,
    /// The version that the last write was made for, and the tracks that it puts in.
    last: (Option<Snapshot>, HashSet<TrackId>),
    /// Whether tracks that were there before were taken out in between, and may be missing now.
    has_holes: bool,
}

impl Sync {
    /// Does what was planned, and reads both sides again. A side that has changed since the plan is not written. The first
    /// failure on a side ends the writes there; the other side is still written.
    pub async fn apply(&self, left: &Music, right: &Music, plan: &SyncPlan) -> Applied {
        let music = [left, right];
        let mut written: [Written; 2] = Default::default();
        let mut seen: [Option<Seen>; 2] = [None, None];
        let mut failures = Vec::new();
        for side in Side::BOTH {
            let at = side as usize;
            written[at] = write(music[at], plan, side).await;
            failures.extend(written[at].failure.clone().map(|error| (side, error)));
        }
        for side in Side::BOTH {
            match read(music[side as usize], plan.list(side)).await {
                Ok(read) => seen[side as usize] = Some(read),
                Err(error) => failures.push((side, error)),
            }
        }
        let base = self.settled(plan, &written, &seen);
        Applied { base, failures }
    }

    /// The base of what is really there.
    fn settled(&self, plan: &SyncPlan, written: &[Written; 2], seen: &[Option<Seen>; 2]) -> SyncBase {
        let settle = |planned: &Planned| {
            let mut pair = planned.pair.clone();
            for side in Side::BOTH {
                let at = side as usize;
                pair.half_mut(side).place = self.placed(planned, side, &written[at], seen[at].as_ref());
            }
            pair
        };
        let pairs: Vec<Pair> = plan.pairs.iter().map(settle).filter(|pair| !is_gone(pair)).collect();
        SyncBase {
            version: VERSION,
            left: plan.left_list.clone(),
            right: plan.right_list.clone(),
            pairs: self.ordered(pairs, plan, written, seen),
        }
    }

    fn placed(&self, planned: &Planned, side: Side, written: &Written, seen: Option<&Seen>) -> Place {
        let half = planned.pair.half(side);
        let Some(id) = &half.id else { return Place::Absent };
        let is_seen = seen.is_some_and(|seen| seen.has(Some(id)));
        // A version that is the one before the last write did not get that write.
        let has_version = seen.is_some_and(|seen| seen.snapshot.is_some() && seen.snapshot == written.last.0);
        let may_come = written.sent.contains(id) && !(has_version && written.last.1.contains(id));
        match (planned.stays, planned.on(side), half.place) {
            (true, true, _) if !is_seen && written.has_holes => {
                Place::Owed { waits: if written.failure.is_some() { 0 } else { self.patience } }
            }
            (true, true, _) => Place::Here,
            (true, false, _) if is_seen => Place::Here,
            (true, false, Place::Owed { waits: waits @ 1.. }) => Place::Owed { waits: waits - 1 },
            (true, false, _) => Place::Owed { waits: if may_come { self.patience } else { 0 } },
            (false, true, _) if is_seen || (seen.is_none() && written.failure.is_some()) => {
                Place::Doomed { waits: 0 }
            }
            (false, false, Place::Owed { waits: waits @ 1.. } | Place::Doomed { waits: waits @ 1.. }) => {
                Place::Doomed { waits: waits - 1 }
            }
            (false, ..) => Place::Absent,
        }
    }

    /// The order that both have. Where a side did not get the new order, its own is the old one: then the other side's shows
    /// as moved in the next round, and not the other way about.
    fn ordered(
        &self,
        pairs: Vec<Pair>,
        plan: &SyncPlan,
        written: &[Written; 2],
        seen: &[Option<Seen>; 2],
    ) -> Vec<Pair> {
        let failed = [self.prefer, self.prefer.other()]
            .into_iter()
            .find(|side| written[*side as usize].failure.is_some());
        let Some(side) = failed else { return pairs };
        let ids = seen[side as usize].as_ref().map_or(&plan.side(side).now, |seen| &seen.ids);
        let ranks: HashMap<&TrackId, usize> =
            ids.iter().enumerate().rev().filter_map(|(at, id)| Some((id.as_ref()?, at))).collect();
        let mut rank = 0;
        let mut ranked: Vec<(usize, Pair)> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            // What the side does not have stays behind what stands before it.
            rank = pair.half(side).id.as_ref().and_then(|id| ranks.get(id).copied()).unwrap_or(rank);
            ranked.push((rank, pair));
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, pair)| pair).collect()
    }
}

/// Whether no side has a pair, or may still show it.
fn is_gone(pair: &Pair) -> bool {
    pair.left.place == Place::Absent && pair.right.place == Place::Absent
}

async fn write(music: &Music, plan: &SyncPlan, side: Side) -> Written {
    let mut written = Written::default();
    written.failure = edit_all(music, plan, side, &mut written).await.err();
    written
}

async fn edit_all(music: &Music, plan: &SyncPlan, side: Side, written: &mut Written) -> Result<()> {
    let mine = plan.side(side);
    if mine.edits.is_empty() {
        return Ok(());
    }
    let mut at = version(music, plan.list(side)).await?;
    // A replacement takes no version along, and some services have none.
    let needs_look = at.is_none() || mine.edits.iter().any(|edit| matches!(edit, Edit::Replace { .. }));
    if at != mine.snapshot || (needs_look && read(music, plan.list(side)).await?.ids != mine.now) {
        return Err(changed(side));
    }
    let there: HashSet<&TrackId> = mine.now.iter().flatten().collect();
    for edit in &mine.edits {
        written.has_holes |= makes_holes(edit, plan, side);
        let fresh: HashSet<TrackId> =
            put_in(edit).iter().filter(|track| !there.contains(track)).cloned().collect();
        written.sent.extend(fresh.iter().cloned());
        written.last = (at.clone(), fresh);
        at = do_one(music, plan, side, edit, at.as_ref()).await.inspect_err(|error| {
            if matches!(error.effect(), Effect::NotSent | Effect::Rejected) {
                written.sent.retain(|track| !written.last.1.contains(track));
            }
        })?;
    }
    Ok(())
}

/// The tracks that an edit puts in.
fn put_in(edit: &Edit) -> &[TrackId] {
    match edit {
        Edit::Insert { tracks, .. } | Edit::Replace { tracks } => tracks,
        Edit::Remove { .. } | Edit::Move { .. } => &[],
    }
}

/// Whether an edit takes out for a while what is to stay: a replacement, or a move that the service does not have.
fn makes_holes(edit: &Edit, plan: &SyncPlan, side: Side) -> bool {
    let stays = |track: &TrackId| {
        plan.pairs.iter().any(|planned| planned.stays && planned.pair.half(side).id.as_ref() == Some(track))
    };
    match edit {
        Edit::Replace { .. } => true,
        Edit::Remove { tracks } => tracks.iter().any(stays),
        Edit::Insert { .. } | Edit::Move { .. } => false,
    }
}

async fn do_one(
    music: &Music,
    plan: &SyncPlan,
    side: Side,
    edit: &Edit,
    at: Option<&Snapshot>,
) -> Result<Option<Snapshot>> {
    let (playlists, list) = (music.playlists()?, plan.list(side));
    match edit {
        Edit::Remove { tracks } => playlists.remove(list, tracks, at).await,
        Edit::Move { from, length, before } => playlists.reorder(list, *from, *length, *before, at).await,
        Edit::Insert { at: Some(at), tracks } => playlists.insert(list, tracks, *at).await,
        Edit::Insert { at: None, tracks } => playlists.add(list, tracks).await,
        Edit::Replace { tracks } => playlists.replace(list, tracks).await,
    }
}

fn changed(side: Side) -> Error {
    Error::new(
        ErrorKind::Conflict,
        Effect::NotSent,
        format!("the {side} side has changed since the plan was made"),
    )
    .with_hint("make a new plan")
}
