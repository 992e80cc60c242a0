//! Reading both sides, and deciding what has to be done.

use std::collections::{HashMap, HashSet};
use std::fmt;

use integrations_core::music::{EntryKind, Music, MusicCap, PlaylistId, Snapshot, Track, TrackId};
use integrations_core::{Effect, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::base::{Pair, Place, Side, SyncBase, VERSION};
use super::edit::{Edit, edits};
use super::merge::{change, order, stays};
use super::{Change, Sync, TOO_MANY_REMOVALS};
use crate::matching::{Found, Title, Wanted};
use crate::transfer::{all, is_of_one_entry};

/// What a side shows.
pub(super) struct Seen {
    pub(super) snapshot: Option<Snapshot>,
    /// The track at each place; `None` for what cannot be written.
    pub(super) ids: Vec<Option<TrackId>>,
    tracks: HashMap<TrackId, Track>,
}

impl Seen {
    pub(super) fn has(&self, id: Option<&TrackId>) -> bool {
        id.is_some_and(|id| self.tracks.contains_key(id))
    }

    /// The tracks in their order, each once.
    fn each(&self) -> Vec<TrackId> {
        let mut seen = HashSet::new();
        self.ids.iter().flatten().filter(|id| seen.insert(*id)).cloned().collect()
    }
}

/// One recording, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Planned {
    /// The recording. Its places are those of the last round.
    pub pair: Pair,
    /// Whether it stays.
    pub stays: bool,
    /// Whether it is on the left now.
    pub on_left: bool,
    /// Whether it is on the right now.
    pub on_right: bool,
    /// Whether it is written on the left.
    pub to_left: bool,
    /// Whether it is written on the right.
    pub to_right: bool,
}

impl Planned {
    pub(super) fn on(&self, side: Side) -> bool {
        match side {
            Side::Left => self.on_left,
            Side::Right => self.on_right,
        }
    }

    pub(super) fn to(&self, side: Side) -> bool {
        match side {
            Side::Left => self.to_left,
            Side::Right => self.to_right,
        }
    }
}

/// What is done on one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SidePlan {
    /// The version that it is made for, where the service has versions.
    pub snapshot: Option<Snapshot>,
    /// What stands there now; `None` for what cannot be written.
    pub now: Vec<Option<TrackId>>,
    /// The writes, in order.
    pub edits: Vec<Edit>,
}

/// What one round would do. `Display` is for people; stored, it can be applied later, if nothing has changed until then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncPlan {
    /// The left playlist.
    pub left_list: PlaylistId,
    /// The right playlist.
    pub right_list: PlaylistId,
    /// Every recording: what stays, in the order that both get, then what goes.
    pub pairs: Vec<Planned>,
    /// What is done on the left.
    pub left: SidePlan,
    /// What is done on the right.
    pub right: SidePlan,
}

impl SyncPlan {
    /// Whether nothing has to be written.
    pub fn is_empty(&self) -> bool {
        self.left.edits.is_empty() && self.right.edits.is_empty()
    }

    /// The recordings that one side does not have, and why.
    pub fn unmatched(&self) -> impl Iterator<Item = &Pair> {
        self.pairs
            .iter()
            .filter(|planned| planned.stays)
            .map(|planned| &planned.pair)
            .filter(|pair| pair.unmatched.is_some())
    }

    pub(super) fn side(&self, side: Side) -> &SidePlan {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    pub(super) fn list(&self, side: Side) -> &PlaylistId {
        match side {
            Side::Left => &self.left_list,
            Side::Right => &self.right_list,
        }
    }
}

impl fmt::Display for SyncPlan {
    /// One line for each write and for each recording without a partner.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let writes = self.left.edits.len() + self.right.edits.len();
        write!(f, "{writes} writes, {} without a partner", self.unmatched().count())?;
        for side in Side::BOTH {
            for edit in &self.side(side).edits {
                write!(f, "\n{side}: {edit}")?;
            }
        }
        for pair in self.unmatched() {
            let side = if pair.left.id.is_some() { Side::Left } else { Side::Right };
            write!(
                f,
                "\n{side} only: {} ({})",
                pair.identity.line(),
                pair.unmatched.as_deref().unwrap_or_default()
            )?;
        }
        Ok(())
    }
}

impl Sync {
    /// Reads both sides and says what a round would do. Nothing is written.
    ///
    /// Errors: [`ErrorKind::Conflict`] with the code [`TOO_MANY_REMOVALS`]; [`ErrorKind::Unsupported`] when a side cannot
    /// do what is due.
    pub async fn plan(&self, left: &Music, right: &Music, base: &SyncBase) -> Result<SyncPlan> {
        if base.version != VERSION {
            return Err(Error::invalid_request(format!("a base of version {}", base.version))
                .with_hint(format!("this software reads version {VERSION}")));
        }
        let music = [left, right];
        let seen = [read(left, &base.left).await?, read(right, &base.right).await?];
        self.guard(&base.pairs, &seen)?;
        let is_kept = |pair: &&Pair| pair.unmatched.is_none() || !(pair.failed || self.retries_unmatched);
        let mut pairs: Vec<Pair> = base.pairs.iter().filter(is_kept).cloned().collect();
        let known = pairs.len();
        self.join(music, &seen, &mut pairs).await?;
        let planned = self.merged(pairs, known, &seen);
        let side = |at: usize| -> Result<SidePlan> {
            let side = Side::BOTH[at];
            let target: Vec<TrackId> = planned
                .iter()
                .filter(|planned| planned.stays && (planned.on(side) || planned.to(side)))
                .filter_map(|planned| planned.pair.half(side).id.clone())
                .collect();
            let edits = edits(music[at], side, &seen[at].ids, &target)?;
            Ok(SidePlan { snapshot: seen[at].snapshot.clone(), now: seen[at].ids.clone(), edits })
        };
        let (left, right) = (side(0)?, side(1)?);
        Ok(SyncPlan {
            left_list: base.left.clone(),
            right_list: base.right.clone(),
            pairs: planned,
            left,
            right,
        })
    }

    /// A read that failed quietly looks like a side that somebody emptied.
    fn guard(&self, pairs: &[Pair], seen: &[Seen; 2]) -> Result<()> {
        for (side, seen) in Side::BOTH.into_iter().zip(seen) {
            let here: Vec<&Pair> = pairs.iter().filter(|pair| pair.half(side).place == Place::Here).collect();
            let gone = here.iter().filter(|pair| !seen.has(pair.half(side).id.as_ref())).count();
            let allowed = ((here.len() as f32 * self.share) as usize).max(1);
            if gone > allowed && !self.has_consent {
                let message = format!(
                    "{gone} of {} tracks are gone from the {side} side, and {allowed} may go",
                    here.len()
                );
                return Err(Error::new(ErrorKind::Conflict, Effect::NotSent, message)
                    .with_code(TOO_MANY_REMOVALS)
                    .with_hint(
                        "look at the playlist; if they were removed on purpose, use `allow_removals` once",
                    ));
            }
        }
        Ok(())
    }

    /// Finds the partner of every track that the base does not know.
    async fn join(&self, music: [&Music; 2], seen: &[Seen; 2], pairs: &mut Vec<Pair>) -> Result<()> {
        let mut fresh = [0, 1].map(|at| {
            let side = Side::BOTH[at];
            let known: HashSet<&TrackId> =
                pairs.iter().filter_map(|pair| pair.half(side).id.as_ref()).collect();
            seen[at].each().into_iter().filter(|id| !known.contains(id)).collect::<Vec<_>>()
        });
        self.join_here(seen, &mut fresh, pairs);
        for at in [0, 1] {
            for id in std::mem::take(&mut fresh[at]) {
                let is_joined = pairs.iter().any(|pair| pair.half(Side::BOTH[at]).id.as_ref() == Some(&id));
                if !is_joined && let Some(track) = seen[at].tracks.get(&id) {
                    self.look(music[1 - at], Side::BOTH[at], track, seen, pairs).await?;
                }
            }
        }
        Ok(())
    }

    /// Joins what both sides have added, without asking anybody. Only tracks with the same ISRC or title are compared.
    fn join_here(&self, seen: &[Seen; 2], fresh: &mut [Vec<TrackId>; 2], pairs: &mut Vec<Pair>) {
        let key = |track: &Track| {
            let isrc = track.ids.isrc.as_ref().map(|isrc| format!("isrc {isrc}"));
            [isrc, Some(Title::of(&track.title).base)].into_iter().flatten()
        };
        let mut by_key: HashMap<String, Vec<&Track>> = HashMap::new();
        for track in fresh[1].iter().filter_map(|id| seen[1].tracks.get(id)) {
            key(track).for_each(|key| by_key.entry(key).or_default().push(track));
        }
        let mut taken: HashSet<TrackId> = HashSet::new();
        fresh[0].retain(|id| {
            let Some(track) = seen[0].tracks.get(id) else { return false };
            let near: Vec<Track> = key(track)
                .filter_map(|key| by_key.get(&key))
                .flatten()
                .filter(|other| !taken.contains(&other.id))
                .map(|other| (*other).clone())
                .collect();
            let wanted = Wanted::from(track);
            let found = self.matcher.judge(&wanted, &near);
            let Some(other) = found.track() else { return true };
            taken.insert(other.id.clone());
            let mut pair = Pair::new(wanted);
            (pair.left.id, pair.right.id) = (Some(id.clone()), Some(other.id.clone()));
            pairs.push(pair);
            false
        });
        fresh[1].retain(|id| !taken.contains(id));
    }

    /// Asks the other side for a track that was added on `side`.
    async fn look(
        &self,
        other: &Music,
        side: Side,
        track: &Track,
        seen: &[Seen; 2],
        pairs: &mut Vec<Pair>,
    ) -> Result<()> {
        let mut pair = Pair::new(Wanted::from(track));
        pair.half_mut(side).id = Some(track.id.clone());
        let found = self.matcher.find(other, &pair.identity).await;
        pair.failed = found.is_err();
        let (partner, why) = match found {
            Ok(Found::Match { best, candidates }) => {
                let there = &seen[side.other() as usize];
                (Some(self.present(best.track.id, &candidates, there)), String::new())
            }
            Ok(Found::Ambiguous { .. }) => (None, "several recordings fit".to_owned()),
            Ok(Found::NoMatch { .. }) => (None, "not found".to_owned()),
            Err(error) if is_of_one_entry(&error) => (None, format!("{}: {}", error.kind(), error.message())),
            Err(error) => return Err(error),
        };
        let Some(partner) = partner else {
            pair.unmatched = Some(why);
            pairs.push(pair);
            return Ok(());
        };
        let taken = pairs.iter_mut().find(|pair| pair.half(side.other()).id.as_ref() == Some(&partner));
        let Some(old) = taken else {
            pair.half_mut(side.other()).id = Some(partner);
            pairs.push(pair);
            return Ok(());
        };
        let is_gone = !seen[side as usize].has(old.half(side).id.as_ref());
        if old.half(side).id.is_none() || is_gone {
            // It was without a partner, or another edition of the same recording has taken the old one's place.
            old.half_mut(side).id = Some(track.id.clone());
            (old.unmatched, old.failed) = (None, false);
        } else {
            pair.unmatched = Some(format!("the same recording as {}", old.identity.line()));
            pairs.push(pair);
        }
        Ok(())
    }

    /// Of several editions that fit, the one that the playlist has already.
    fn present(&self, best: TrackId, others: &[crate::matching::Candidate], seen: &Seen) -> TrackId {
        let fits = |id: &TrackId| seen.has(Some(id));
        if fits(&best) {
            return best;
        }
        let other = others.iter().find(|other| other.score >= self.matcher.least() && fits(&other.track.id));
        other.map_or(best, |other| other.track.id.clone())
    }

    /// Decides for every pair, and orders them.
    fn merged(&self, pairs: Vec<Pair>, known: usize, seen: &[Seen; 2]) -> Vec<Planned> {
        let planned: Vec<Planned> = pairs.into_iter().map(|pair| decide(pair, seen)).collect();
        let staying = |at: &usize| planned[*at].stays;
        let shown = Side::BOTH.map(|side| {
            let at: HashMap<&TrackId, usize> = planned
                .iter()
                .enumerate()
                .filter_map(|(at, planned)| Some((planned.pair.half(side).id.as_ref()?, at)))
                .collect();
            let each = seen[side as usize].each();
            each.iter().filter_map(|id| at.get(id).copied()).filter(staying).collect::<Vec<_>>()
        });
        let base: Vec<usize> = (0..known.min(planned.len())).filter(staying).collect();
        let (first, second) = (self.prefer as usize, self.prefer.other() as usize);
        let mut order = order(&base, [&shown[first], &shown[second]]);
        order.extend((0..planned.len()).filter(|at| !planned[*at].stays));
        order.into_iter().map(|at| planned[at].clone()).collect()
    }
}

fn decide(pair: Pair, seen: &[Seen; 2]) -> Planned {
    let on = Side::BOTH.map(|side| seen[side as usize].has(pair.half(side).id.as_ref()));
    let changes: [Change; 2] = [0, 1].map(|at| change(&pair, Side::BOTH[at], on[at]));
    let stays = stays(changes);
    let to = [0, 1].map(|at| {
        let half = pair.half(Side::BOTH[at]);
        let is_awaited = matches!(half.place, Place::Owed { waits: 1.. });
        stays && half.id.is_some() && !on[at] && !is_awaited
    });
    Planned { pair, stays, on_left: on[0], on_right: on[1], to_left: to[0], to_right: to[1] }
}

/// Reads a side. A playlist that changes while its pages are read is read again.
pub(super) async fn read(music: &Music, list: &PlaylistId) -> Result<Seen> {
    const TRIES: usize = 3;
    let playlists = music.playlists()?;
    let mut before = version(music, list).await?;
    for _ in 0..TRIES {
        let entries = all(playlists.entries(list, None)).await?;
        let after = version(music, list).await?;
        if before != after {
            before = after;
            continue;
        }
        let tracks: Vec<Option<Track>> = entries
            .into_iter()
            .map(|entry| {
                entry.track.filter(|track| entry.kind == EntryKind::Track && !track.id.as_str().is_empty())
            })
            .collect();
        return Ok(Seen {
            snapshot: after,
            ids: tracks.iter().map(|track| track.as_ref().map(|track| track.id.clone())).collect(),
            tracks: tracks.into_iter().flatten().map(|track| (track.id.clone(), track)).collect(),
        });
    }
    Err(Error::new(ErrorKind::Conflict, Effect::NotSent, "the playlist changed each time while it was read")
        .with_hint("try again when nobody edits it"))
}

/// The version of a playlist, where the service has versions.
pub(super) async fn version(music: &Music, list: &PlaylistId) -> Result<Option<Snapshot>> {
    if !music.can(MusicCap::PlaylistSnapshot) {
        return Ok(None);
    }
    Ok(music.playlists()?.get(list).await?.snapshot)
}
