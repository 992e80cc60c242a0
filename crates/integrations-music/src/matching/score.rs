//! How alike two descriptions of a recording are, from 0 to 1, and why.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Wanted;
use super::fold::fold;
use super::spelling::{same_numbers, same_person, same_title};
use super::title::{Title, names, short};

/// Title, artists, duration, album: what each part counts. An artist's name is nearly as telling as a title, because a
/// title alone is shared by covers; the album says little, because a recording is on several.
const WEIGHTS: [f32; 4] = [0.40, 0.35, 0.20, 0.05];

/// Up to here two durations are the same: services round, and cut silence differently.
const SAME_MS: u64 = 3_000;

/// From here on they say nothing for each other.
const APART_MS: u64 = 15_000;

/// The factor for other version words: a perfect match with another version stays far below any threshold.
const OTHER_VERSION: f32 = 0.4;

/// The factor for the same version words with other names: two remixes, two concerts.
const OTHER_DETAILS: f32 = 0.75;

/// The factor for other numbers in otherwise like titles: `Song 2` is not `Song 3`.
const OTHER_NUMBER: f32 = 0.6;

/// The factor for other words in titles that are much alike: `Home` is not `Hope`.
const OTHER_WORDS: f32 = 0.75;

/// Titles that an artist has on one album after the other, each time for another recording.
const REPEATED: &[&str] = &[
    "intro",
    "introduction",
    "outro",
    "interlude",
    "intermission",
    "skit",
    "untitled",
    "prelude",
    "prologue",
    "epilogue",
    "overture",
    "finale",
];

/// The most that a title without artists can tell.
const WITHOUT_ARTISTS: f32 = 0.75;

/// How many artists are compared; comparing costs the product of both numbers.
const MOST_ARTISTS: usize = 16;

/// The least for a name that is the same but for its spelling.
const SAME_NAME: f32 = 0.95;

/// Longer names are compared by their beginning; comparing costs the product of both lengths.
const LONGEST: usize = 256;

/// How a candidate was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum How {
    /// Both have the same ISRC, and nothing speaks against it.
    Isrc,
    /// By title, artists and duration.
    Words,
}

/// What differs between what was looked for and a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Difference {
    /// Another title.
    Title,
    /// Other artists.
    Artists,
    /// One of them has no artists.
    NoArtists,
    /// Another duration.
    Duration,
    /// Another album, which is common.
    Album,
    /// Another version: live, a remix.
    Version,
    /// The same kind of version with another name: another remix, another concert.
    VersionName,
    /// Another number in the title.
    Number,
    /// One has explicit words, the other has not.
    Explicit,
    /// The same ISRC, but nothing else fits: the code was reused or mistyped.
    IsrcReused,
    /// It cannot be heard in the market.
    NotPlayable,
}

/// Why a candidate has its score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reason {
    /// How it was found.
    pub how: How,
    /// How alike the titles are.
    pub title: f32,
    /// How alike the artists are; `None` when one of them has none.
    pub artists: Option<f32>,
    /// How alike the durations are; `None` when one is unknown.
    pub duration: Option<f32>,
    /// How alike the albums are; `None` when one is unknown.
    pub album: Option<f32>,
    /// What differs.
    pub differs: BTreeSet<Difference>,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.how {
            How::Isrc => "by ISRC",
            How::Words => "by words",
        };
        write!(f, "{how}: title {:.2}", self.title)?;
        for (name, part) in [("artists", self.artists), ("duration", self.duration), ("album", self.album)] {
            part.map_or(Ok(()), |part| write!(f, ", {name} {part:.2}"))?;
        }
        for (at, difference) in self.differs.iter().enumerate() {
            let text = match difference {
                Difference::Title => "another title",
                Difference::Artists => "other artists",
                Difference::NoArtists => "no artists to compare",
                Difference::Duration => "another duration",
                Difference::Album => "another album",
                Difference::Version => "another version",
                Difference::VersionName => "another version of the kind",
                Difference::Number => "another number",
                Difference::Explicit => "explicit on one side only",
                Difference::IsrcReused => "the ISRC is the same but nothing else",
                Difference::NotPlayable => "not playable",
            };
            write!(f, "{}{text}", if at == 0 { "; " } else { ", " })?;
        }
        Ok(())
    }
}

/// A score with its reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Scored {
    /// From 0.0 for nothing in common to 1.0 for the same.
    pub score: f32,
    /// Why.
    pub reason: Reason,
}

/// How alike two descriptions of a recording are, by words and duration alone. The order of the two makes no difference.
pub fn score(a: &Wanted, b: &Wanted) -> Scored {
    let titles = (Title::of(&a.title), Title::of(&b.title));
    let people = (people(a, &titles.0), people(b, &titles.1));
    // Who only takes part in a recording may have one of their own under the same title.
    let is_led = meet(&leaders(a, &titles.0), &people.1) && meet(&leaders(b, &titles.1), &people.0);
    let parts = [
        Some(titles_alike(&titles.0.base, &titles.1.base).powi(2)),
        groups_alike(&people.0, &people.1).map(|alike| if is_led { alike } else { 0.0 }),
        a.duration_ms.zip(b.duration_ms).map(|(a, b)| durations_alike(a, b)),
        a.album.as_ref().zip(b.album.as_ref()).map(|(a, b)| alike(&Title::of(a).base, &Title::of(b).base)),
    ];
    let (sum, weight) = parts.iter().zip(WEIGHTS).fold((0.0, 0.0), |(sum, total), (part, weight)| {
        part.map_or((sum, total), |part| (sum + part * weight, total + weight))
    });
    let mut scored = Scored { score: sum / weight, reason: reason(parts) };
    scored.compare_versions(&titles.0, &titles.1);
    scored.compare_albums(&titles.0, &titles.1);
    if parts[1].is_none() {
        scored.score = scored.score.min(WITHOUT_ARTISTS);
    }
    if a.explicit.zip(b.explicit).is_some_and(|(a, b)| a != b) {
        scored.reason.differs.insert(Difference::Explicit);
    }
    scored
}

impl Scored {
    fn compare_versions(&mut self, a: &Title, b: &Title) {
        let disjoint = !a.details.is_empty() && !b.details.is_empty() && a.details.is_disjoint(&b.details);
        let one_named = a.details.is_empty() != b.details.is_empty();
        let is_remix = a.versions.contains(&super::Version::Remix);
        let penalties = [
            (a.versions != b.versions, OTHER_VERSION, Difference::Version),
            (
                a.versions == b.versions && (disjoint || (one_named && is_remix)),
                OTHER_DETAILS,
                Difference::VersionName,
            ),
            (!same_numbers(&a.base, &b.base), OTHER_NUMBER, Difference::Number),
            (!same_title(&a.base, &b.base), OTHER_WORDS, Difference::Title),
        ];
        for (_, factor, difference) in penalties.into_iter().filter(|(holds, ..)| *holds) {
            self.score *= factor;
            self.reason.differs.insert(difference);
        }
    }

    fn compare_albums(&mut self, a: &Title, b: &Title) {
        let is_repeated = REPEATED.contains(&a.base.as_str()) && REPEATED.contains(&b.base.as_str());
        if is_repeated && self.reason.album.is_some_and(|album| album < 0.85) {
            self.score *= OTHER_DETAILS;
            self.reason.differs.insert(Difference::Album);
        }
    }
}

fn reason(parts: [Option<f32>; 4]) -> Reason {
    let [title, artists, duration, album] = parts;
    let kinds = [Difference::Title, Difference::Artists, Difference::Duration, Difference::Album];
    let mut differs: BTreeSet<Difference> = kinds
        .into_iter()
        .zip(parts)
        .filter(|(_, part)| part.is_some_and(|part| part < 0.6))
        .map(|(difference, _)| difference)
        .collect();
    if artists.is_none() {
        differs.insert(Difference::NoArtists);
    }
    Reason { how: How::Words, title: title.unwrap_or_default(), artists, duration, album, differs }
}

/// 1 up to [`SAME_MS`], then down to 0 at [`APART_MS`].
pub(super) fn durations_alike(a: u64, b: u64) -> f32 {
    let beyond = a.abs_diff(b).saturating_sub(SAME_MS).min(APART_MS - SAME_MS);
    1.0 - beyond as f32 / (APART_MS - SAME_MS) as f32
}

/// How alike two folded names are: by letters with and without spaces, or by words in any order.
fn alike(a: &str, b: &str) -> f32 {
    let joined = |text: &str| text.split(' ').collect::<String>();
    let cut = |text: &str| text.chars().take(LONGEST).collect::<String>();
    if a == b || joined(a) == joined(b) {
        return 1.0;
    }
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
    let (words_a, words_b) = (words(a), words(b));
    let shared = words_a.intersection(&words_b).count() as f32;
    let by_words = 2.0 * shared / (words_a.len() + words_b.len()) as f32;
    let by_letters = strsim::normalized_levenshtein(&cut(a), &cut(b)) as f32;
    // Words in another order are not the same name.
    by_letters.max(by_words * 0.95)
}

fn titles_alike(a: &str, b: &str) -> f32 {
    let alike = alike(a, b);
    if same_title(a, b) { alike.max(SAME_NAME) } else { alike }
}

/// Everybody who is named on a recording, folded.
fn people(wanted: &Wanted, title: &Title) -> Vec<String> {
    let named = wanted.artists.iter().map(|name| fold(short(name))).filter(|name| !name.is_empty());
    let mut people: Vec<String> = Vec::new();
    for name in named.chain(title.featured.iter().cloned()).take(MOST_ARTISTS) {
        if !people.contains(&name) {
            people.push(name);
        }
    }
    // Featured artists alone do not say whose recording it is.
    if wanted.artists.iter().all(|name| name.trim().is_empty()) { Vec::new() } else { people }
}

/// Those of [`people`] who do not merely take part.
fn leaders(wanted: &Wanted, title: &Title) -> Vec<String> {
    let all = people(wanted, &Title::default());
    let leading: Vec<String> = all.iter().filter(|name| !title.featured.contains(name)).cloned().collect();
    if leading.is_empty() { all } else { leading }
}

/// Whether somebody is in both groups; a group that nobody knows meets every other.
fn meet(a: &[String], b: &[String]) -> bool {
    let (split_a, split_b) = (split(a), split(b));
    let is_in = |name: &String| b.iter().chain(&split_b).any(|other| same_person(name, other));
    a.is_empty() || b.is_empty() || a.iter().chain(&split_a).any(is_in)
}

/// The names of several in one string, one by one.
fn split(people: &[String]) -> Vec<String> {
    let parts = people.iter().flat_map(|name| name.split(" and ").map(str::to_owned));
    parts.flat_map(|name| names(&name).collect::<Vec<_>>()).take(MOST_ARTISTS).collect()
}

/// How alike two groups of artists are: services name one, or all, or all in one string.
fn groups_alike(a: &[String], b: &[String]) -> Option<f32> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    Some(one_by_one(a, b).max(one_by_one(&split(a), &split(b))))
}

/// The smaller group in the larger counts most: a service may name fewer.
fn one_by_one(a: &[String], b: &[String]) -> f32 {
    let (mut best_a, mut best_b) = (vec![0.0_f32; a.len()], vec![0.0_f32; b.len()]);
    for (at_a, name) in a.iter().enumerate() {
        for (at_b, other) in b.iter().enumerate() {
            let alike = if same_person(name, other) { alike(name, other).max(SAME_NAME) } else { 0.0 };
            best_a[at_a] = best_a[at_a].max(alike);
            best_b[at_b] = best_b[at_b].max(alike);
        }
    }
    let mean = |best: &[f32]| best.iter().sum::<f32>() / best.len().max(1) as f32;
    let (forth, back) = (mean(&best_a), mean(&best_b));
    0.85 * forth.max(back) + 0.15 * forth.min(back)
}
