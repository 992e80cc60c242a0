//! The writes that make a playlist what it should be, as the service can do them.

use std::collections::{HashMap, HashSet};
use std::fmt;

use integrations_core::music::{Music, MusicCap, TrackId};
use integrations_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::base::Side;
use super::moves::{Move, minimal_moves};

/// One write. Positions are counted from 0 in the playlist as the writes before have left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Edit {
    /// Tracks are taken out.
    Remove {
        /// These.
        tracks: Vec<TrackId>,
    },
    /// Entries are moved.
    Move {
        /// Where they begin.
        from: u32,
        /// How many.
        length: u32,
        /// They go before the entry that stands here.
        before: u32,
    },
    /// Tracks are put in.
    Insert {
        /// Before the entry that stands here; `None` for the end.
        at: Option<u32>,
        /// These.
        tracks: Vec<TrackId>,
    },
    /// Everything is replaced.
    Replace {
        /// By these.
        tracks: Vec<TrackId>,
    },
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remove { tracks } => write!(f, "remove {}", list(tracks)),
            Self::Move { from, length: 1, before } => write!(f, "move {from} before {before}"),
            Self::Move { from, length, before } => write!(f, "move {length} from {from} before {before}"),
            Self::Insert { at: Some(at), tracks } => write!(f, "insert {} before {at}", list(tracks)),
            Self::Insert { at: None, tracks } => write!(f, "add {}", list(tracks)),
            Self::Replace { tracks } => write!(f, "replace all by {}", list(tracks)),
        }
    }
}

fn list(tracks: &[TrackId]) -> String {
    tracks.iter().map(TrackId::as_str).collect::<Vec<_>>().join(", ")
}

/// A place of a playlist. Only tracks can be written; everything else stays behind what stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key<'a> {
    Track(&'a TrackId),
    Fixed(usize),
}

/// The writes that make `current` into `target`. In `current`, a place that is no track, or a further one of the same
/// track, is not written. [`ErrorKind::Unsupported`](integrations_core::ErrorKind) when the service cannot do it.
pub(super) fn edits(
    music: &Music,
    side: Side,
    current: &[Option<TrackId>],
    target: &[TrackId],
) -> Result<Vec<Edit>> {
    let most = music.playlists()?.most_per_write().max(1);
    let keys = keys(current);
    let goal: HashSet<&TrackId> = target.iter().collect();
    let mut gone: Vec<TrackId> = Vec::new();
    let mut kept: Vec<Key<'_>> = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        match (key, &current[at]) {
            (Key::Track(id), _) if !goal.contains(id) => gone.push((*id).clone()),
            // A removal takes every place of a track.
            (Key::Fixed(_), Some(id)) if !goal.contains(id) => {}
            _ => kept.push(*key),
        }
    }
    let goal = with_fixed(&kept, target);
    let here: HashSet<Key<'_>> = kept.iter().copied().collect();
    let there: Vec<Key<'_>> = goal.iter().copied().filter(|key| here.contains(key)).collect();
    let moves = minimal_moves(&kept, &there);
    if gone.is_empty() && moves.is_empty() && there.len() == goal.len() {
        return Ok(Vec::new());
    }
    let mut edits: Vec<Edit> =
        gone.chunks(most).map(|tracks| Edit::Remove { tracks: tracks.to_vec() }).collect();
    let parts = (gone.is_empty() || music.can(MusicCap::PlaylistRemove))
        .then(|| moved(music, &kept, &moves))
        .flatten()
        .and_then(|moved| Some((moved, inserted(music, &goal, &here, most)?)));
    if let Some((moved, inserted)) = parts {
        edits.extend(moved);
        edits.extend(inserted);
        return Ok(edits);
    }
    let has_fixed = kept.iter().any(|key| matches!(key, Key::Fixed(_)));
    let fits = target.len() <= most || music.can(MusicCap::PlaylistAdd);
    if music.can(MusicCap::PlaylistReplace) && fits && !has_fixed {
        return Ok(replaced(target, most));
    }
    Err(unsupported(music, side, has_fixed))
}

fn unsupported(music: &Music, side: Side, has_fixed: bool) -> Error {
    let why = if has_fixed { ", and it has entries that cannot be written again" } else { "" };
    Error::unsupported(
        format!("the {side} side, `{}`, cannot make the changes that are due{why}", music.spec().id),
        "it needs playlist_remove, playlist_insert and playlist_reorder, or playlist_replace",
    )
}

fn keys(current: &[Option<TrackId>]) -> Vec<Key<'_>> {
    let mut seen = HashSet::new();
    let mut keys = Vec::with_capacity(current.len());
    for (at, id) in current.iter().enumerate() {
        keys.push(match id {
            Some(id) if seen.insert(id) => Key::Track(id),
            _ => Key::Fixed(at),
        });
    }
    keys
}

/// The target with the places that cannot be written, each behind what it stands behind now.
fn with_fixed<'a>(kept: &[Key<'a>], target: &'a [TrackId]) -> Vec<Key<'a>> {
    let mut behind: HashMap<Option<Key<'a>>, Vec<Key<'a>>> = HashMap::new();
    let mut last = None;
    for key in kept {
        match key {
            Key::Track(_) => last = Some(*key),
            Key::Fixed(_) => behind.entry(last).or_default().push(*key),
        }
    }
    let mut goal = behind.remove(&None).unwrap_or_default();
    for id in target {
        goal.push(Key::Track(id));
        goal.extend(behind.remove(&Some(Key::Track(id))).unwrap_or_default());
    }
    goal
}

/// The moves as the service can do them: by itself, or by taking a track out and putting it in again.
fn moved(music: &Music, kept: &[Key<'_>], moves: &[Move]) -> Option<Vec<Edit>> {
    if moves.is_empty() || music.can(MusicCap::PlaylistReorder) {
        let edit = |step: &Move| Edit::Move { from: step.from as u32, length: 1, before: step.before as u32 };
        return Some(moves.iter().map(edit).collect());
    }
    let only_tracks = kept.iter().all(|key| matches!(key, Key::Track(_)));
    if !only_tracks || !music.can(MusicCap::PlaylistRemove) || !music.can(MusicCap::PlaylistInsert) {
        return None;
    }
    let mut order = kept.to_vec();
    let mut edits = Vec::new();
    for step in moves {
        let key = order.remove(step.from);
        let at = if step.before > step.from { step.before - 1 } else { step.before };
        order.insert(at, key);
        if let Key::Track(id) = key {
            edits.push(Edit::Remove { tracks: vec![id.clone()] });
            edits.push(Edit::Insert { at: Some(at as u32), tracks: vec![id.clone()] });
        }
    }
    Some(edits)
}

/// The insertions as the service can do them: anywhere, at the end, or at the end and then moved.
fn inserted(music: &Music, goal: &[Key<'_>], here: &HashSet<Key<'_>>, most: usize) -> Option<Vec<Edit>> {
    let mut edits = Vec::new();
    let mut length = here.len();
    let mut at = 0;
    while at < goal.len() {
        let run: Vec<TrackId> = goal[at..]
            .iter()
            .take(most)
            .map_while(|key| match key {
                Key::Track(id) if !here.contains(key) => Some((*id).clone()),
                _ => None,
            })
            .collect();
        if run.is_empty() {
            at += 1;
            continue;
        }
        let (count, is_end) = (run.len(), at == length);
        if is_end && music.can(MusicCap::PlaylistAdd) {
            edits.push(Edit::Insert { at: None, tracks: run });
        } else if music.can(MusicCap::PlaylistInsert) {
            edits.push(Edit::Insert { at: Some(at as u32), tracks: run });
        } else if music.can(MusicCap::PlaylistAdd) && music.can(MusicCap::PlaylistReorder) {
            edits.push(Edit::Insert { at: None, tracks: run });
            edits.push(Edit::Move { from: length as u32, length: count as u32, before: at as u32 });
        } else {
            return None;
        }
        at += count;
        length += count;
    }
    Some(edits)
}

fn replaced(target: &[TrackId], most: usize) -> Vec<Edit> {
    let (first, rest) = target.split_at(target.len().min(most));
    let replace = Edit::Replace { tracks: first.to_vec() };
    let adds = rest.chunks(most).map(|tracks| Edit::Insert { at: None, tracks: tracks.to_vec() });
    std::iter::once(replace).chain(adds).collect()
}
