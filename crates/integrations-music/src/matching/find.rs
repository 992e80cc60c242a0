//! Asking a service for a recording, and choosing among what it answers.

use std::cmp::Reverse;
use std::collections::HashSet;

use integrations_core::music::{Market, Music, MusicCap, Query, Track};
use integrations_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::score::{Difference, How, Reason, durations_alike, score};
use super::{Title, Wanted};

/// A track that could be what was looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Candidate {
    /// The track.
    pub track: Track,
    /// From 0.0 for nothing in common to 1.0 for the same.
    pub score: f32,
    /// Why.
    pub reason: Reason,
}

/// What became of a search for a recording. The candidates are all that were looked at, the best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Found {
    /// One recording fits, and no other as well.
    Match {
        /// The best candidate.
        best: Box<Candidate>,
        /// The others.
        candidates: Vec<Candidate>,
    },
    /// Several different recordings fit equally well.
    Ambiguous {
        /// All of them, and those that fit less.
        candidates: Vec<Candidate>,
    },
    /// None fits well enough.
    NoMatch {
        /// Those that fit somewhat.
        candidates: Vec<Candidate>,
    },
}

impl Found {
    /// The track, if one was found.
    pub fn track(&self) -> Option<&Track> {
        match self {
            Self::Match { best, .. } => Some(&best.track),
            Self::Ambiguous { .. } | Self::NoMatch { .. } => None,
        }
    }
}

/// How recordings are looked for.
///
/// A match takes at most three calls: one by ISRC, which is the only one when it finds the recording; one by title and
/// artist; one by words anywhere, if the one before found nothing that fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Matcher {
    threshold: f32,
    margin: f32,
    most: u32,
    market: Option<Market>,
}

impl Default for Matcher {
    fn default() -> Self {
        Self { threshold: Self::THRESHOLD, margin: Self::MARGIN, most: 10, market: None }
    }
}

impl Matcher {
    /// The score from which on a candidate is a match, if nothing else is set. Over the labelled pairs of this crate's tests
    /// the same recordings score 0.93 and more, and different ones 0.79 and less.
    pub const THRESHOLD: f32 = 0.86;

    /// How near the second best may be before the two are ambiguous, if nothing else is set: less than any single
    /// difference between two recordings that is worth a part of the score.
    pub const MARGIN: f32 = 0.03;

    /// A matcher with the default threshold and margin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the score from which on a candidate is a match, 0.0 to 1.0.
    #[must_use]
    pub fn threshold(mut self, score: f32) -> Self {
        self.threshold = score.clamp(0.0, 1.0);
        self
    }

    /// Sets how near the second best may be before the two are ambiguous.
    #[must_use]
    pub fn margin(mut self, score: f32) -> Self {
        self.margin = score.clamp(0.0, 1.0);
        self
    }

    /// Sets how many hits of a search are looked at, 1 to 50.
    #[must_use]
    pub fn most(mut self, hits: u32) -> Self {
        self.most = hits.clamp(1, 50);
        self
    }

    /// Sets whose catalogue is searched.
    #[must_use]
    pub fn market(mut self, market: Market) -> Self {
        self.market = Some(market);
        self
    }

    /// The score from which on a candidate is a match.
    pub(crate) fn least(&self) -> f32 {
        self.threshold
    }

    /// [`ErrorKind::Unsupported`](integrations_core::ErrorKind) when a service can be asked neither by ISRC nor by words.
    pub fn check(&self, music: &Music) -> Result<()> {
        if music.can(MusicCap::Isrc) || music.can(MusicCap::Search) {
            return Ok(());
        }
        Err(Error::unsupported(
            format!("`{}` can be searched neither by ISRC nor by words", music.spec().id),
            "choose a service that has `isrc` or `search`",
        ))
    }

    /// Looks for a recording.
    pub async fn find(&self, music: &Music, wanted: &Wanted) -> Result<Found> {
        self.check(music)?;
        let mut tracks = self.by_isrc(music, wanted).await?;
        if self.judge(wanted, &tracks).track().is_some() || !music.can(MusicCap::Search) {
            return Ok(self.judge(wanted, &tracks));
        }
        for query in queries(wanted) {
            let query = self.market.map_or(query.clone(), |market| query.market(market));
            tracks.extend(music.search(query).limit(self.most).collect_up_to(self.most as usize).await?);
            let found = self.judge(wanted, &tracks);
            if !matches!(found, Found::NoMatch { .. }) {
                return Ok(found);
            }
        }
        Ok(self.judge(wanted, &tracks))
    }

    async fn by_isrc(&self, music: &Music, wanted: &Wanted) -> Result<Vec<Track>> {
        match &wanted.isrc {
            Some(isrc) if music.can(MusicCap::Isrc) => music.tracks_by_isrc(isrc, self.market).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Chooses among tracks that are there already. Nothing is asked.
    pub fn judge(&self, wanted: &Wanted, tracks: &[Track]) -> Found {
        let mut seen = HashSet::new();
        let fresh = tracks.iter().filter(|track| seen.insert(&track.id));
        let mut candidates: Vec<Candidate> = fresh.map(|track| candidate(wanted, track)).collect();
        candidates.sort_by(|a, b| {
            b.score.total_cmp(&a.score).then_with(|| preference(wanted, a).cmp(&preference(wanted, b)))
        });
        let Some(best) = candidates.first() else { return Found::NoMatch { candidates } };
        if best.score < self.threshold {
            return Found::NoMatch { candidates };
        }
        let near =
            |other: &&Candidate| best.score - other.score <= self.margin && other.score >= self.threshold;
        // An ISRC that both have decides, however many others sound the same.
        let by_words = best.reason.how == How::Words;
        if by_words && candidates[1..].iter().filter(near).any(|other| are_apart(&best.track, &other.track)) {
            return Found::Ambiguous { candidates };
        }
        let best = candidates.iter().take_while(|other| best.score - other.score <= f32::EPSILON).count();
        let first = candidates[..best.max(1)]
            .iter()
            .enumerate()
            .min_by_key(|(_, one)| preference(wanted, one))
            .map_or(0, |(at, _)| at);
        let best = Box::new(candidates.remove(first));
        Found::Match { best, candidates }
    }
}

/// Two forms of the question, the narrower first.
fn queries(wanted: &Wanted) -> Vec<Query> {
    let title = Title::of(&wanted.title);
    if title.base.is_empty() {
        return Vec::new();
    }
    let name = title.written;
    let Some(artist) = wanted.artists.iter().find(|name| !name.trim().is_empty()) else {
        return vec![Query::from(name)];
    };
    vec![Query::new().title(name.clone()).artist(artist.clone()), Query::from(format!("{artist} {name}"))]
}

fn candidate(wanted: &Wanted, track: &Track) -> Candidate {
    let other = Wanted::from(track);
    let mut scored = score(wanted, &other);
    if wanted.isrc.is_some() && wanted.isrc == other.isrc {
        if is_trusted(wanted, &other, scored.score) {
            scored.reason.how = How::Isrc;
            scored.score = 0.9 + 0.1 * scored.score;
        } else {
            scored.reason.differs.insert(Difference::IsrcReused);
        }
    }
    if track.playable == Some(false) {
        scored.reason.differs.insert(Difference::NotPlayable);
    }
    Candidate { track: track.clone(), score: scored.score, reason: scored.reason }
}

/// Codes are mistyped and reused. A duration that is far off, or no duration and other words, speaks against one; other
/// words alone do not, because a title may be in another script.
fn is_trusted(wanted: &Wanted, other: &Wanted, words: f32) -> bool {
    match wanted.duration_ms.zip(other.duration_ms) {
        Some((a, b)) => durations_alike(a, b) > 0.0,
        None => words >= 0.5,
    }
}

/// Among equals: what can be heard, the same explicit flag, the nearest duration, the same album. Durations that are equal
/// here differ by silence, and flags by words.
fn preference(wanted: &Wanted, candidate: &Candidate) -> (bool, bool, u64, Reverse<u32>) {
    let track = &candidate.track;
    let apart = wanted.duration_ms.zip(track.duration_ms).map_or(0, |(a, b)| a.abs_diff(b));
    let album = candidate.reason.album.map_or(0, |album| (album * 100.0) as u32);
    (
        track.playable == Some(false),
        candidate.reason.differs.contains(&Difference::Explicit),
        apart,
        Reverse(album),
    )
}

/// Whether two tracks are different recordings, and not one recording on two albums.
fn are_apart(a: &Track, b: &Track) -> bool {
    if a.ids.isrc.is_some() && a.ids.isrc == b.ids.isrc {
        return false;
    }
    let alike = score(&Wanted::from(a), &Wanted::from(b));
    let same_length = alike.reason.duration.is_none_or(|duration| duration >= 1.0);
    !(same_length
        && alike.reason.title >= 1.0
        && alike.reason.artists.is_none_or(|artists| artists >= 0.85)
        && alike.score >= 0.9)
}
