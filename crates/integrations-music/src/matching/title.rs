//! What a title says besides the name of the song: who takes part, which version it is.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::fold::fold;

/// A way in which a recording differs from the studio's. Titles with different ones name different recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Version {
    /// Before an audience.
    Live,
    /// By other hands from the same recording.
    Remix,
    /// Without electric instruments.
    Acoustic,
    /// Without voice.
    Instrumental,
    /// For singing along.
    Karaoke,
    /// Before the release.
    Demo,
    /// Cut for the radio or otherwise.
    Edit,
    /// Longer than the release.
    Extended,
    /// By somebody else.
    Cover,
    /// Faster, slower, pitched.
    Speed,
    /// A version that is told apart by a name.
    Named,
}

/// Words that make a version, each folded. Where several fit, all count.
const VERSIONS: &[(&str, Version)] = &[
    ("remix", Version::Remix),
    ("rmx", Version::Remix),
    ("mix", Version::Remix),
    ("rework", Version::Remix),
    ("bootleg", Version::Remix),
    ("mashup", Version::Remix),
    ("dub", Version::Remix),
    ("acoustic", Version::Acoustic),
    ("unplugged", Version::Acoustic),
    ("acustico", Version::Acoustic),
    ("acoustique", Version::Acoustic),
    ("instrumental", Version::Instrumental),
    ("karaoke", Version::Karaoke),
    ("demo", Version::Demo),
    ("demos", Version::Demo),
    ("rehearsal", Version::Demo),
    ("outtake", Version::Demo),
    ("edit", Version::Edit),
    ("extended", Version::Extended),
    ("cover", Version::Cover),
    ("tribute", Version::Cover),
    ("sped", Version::Speed),
    ("slowed", Version::Speed),
    ("nightcore", Version::Speed),
    ("orchestral", Version::Named),
    ("cappella", Version::Named),
    ("acapella", Version::Named),
    ("reprise", Version::Named),
    ("rerecorded", Version::Named),
    ("vivo", Version::Live),
    ("ライブ", Version::Live),
];

/// Words that say nothing about the recording. Years count among them.
const NOISE: &[&str] = &[
    "remaster",
    "remastered",
    "remasterise",
    "remasterizado",
    "digital",
    "digitally",
    "original",
    "album",
    "single",
    "mono",
    "stereo",
    "deluxe",
    "edition",
    "bonus",
    "track",
    "explicit",
    "clean",
    "official",
    "video",
    "audio",
    "music",
    "lyric",
    "lyrics",
    "visualizer",
    "hd",
    "hq",
    "4k",
    "version",
    "mix",
    "full",
    "anniversary",
    "the",
    "recording",
];

/// Titles and names are read up to here; what is longer is neither.
const LONGEST: usize = 512;

/// Words that begin the names of those who take part.
const FEATURING: &[&str] = &["feat", "ft", "featuring"];

/// A title taken apart. All texts are folded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Title {
    /// The name of the song.
    pub base: String,
    /// Which version it is; empty for the plain recording.
    pub versions: BTreeSet<Version>,
    /// The words that name the version: who made the remix, where it was played live.
    pub details: BTreeSet<String>,
    /// Who takes part.
    pub featured: Vec<String>,
    /// The name of the song as it is written: a service may not find it under the folded form.
    pub(super) written: String,
}

impl Title {
    /// Takes a title apart.
    ///
    /// ```
    /// use integrations_music::matching::{Title, Version};
    /// let title = Title::of("Umbrella (feat. JAY-Z) [Live at Wembley] - 2009 Remaster");
    /// assert_eq!((title.base.as_str(), title.featured), ("umbrella", vec!["jay z".to_owned()]));
    /// assert!(title.versions.contains(&Version::Live));
    /// ```
    pub fn of(text: &str) -> Self {
        let text = short(text);
        let mut title = Self::default();
        let mut rest = title.without_brackets(text);
        while let Some((before, after)) = split_suffix(&rest) {
            if before.trim().is_empty() || !title.takes(after) {
                break;
            }
            rest = before.to_owned();
        }
        let name = title.without_featuring(&rest);
        title.base = fold(name);
        if title.base.is_empty() {
            return Self { base: fold(text), written: text.to_owned(), ..Self::default() };
        }
        name.trim().clone_into(&mut title.written);
        title
    }

    /// The text without the brackets whose content is something else than a part of the name.
    fn without_brackets(&mut self, text: &str) -> String {
        let mut rest = String::new();
        let mut at = 0;
        while let Some((open, close, inner)) = next_bracket(text, at) {
            rest.push_str(&text[at..open]);
            let is_name = open == 0 && text[close..].trim().is_empty();
            if is_name || !self.takes(inner) {
                rest.push_str(&text[open..close]);
            }
            at = close;
        }
        rest.push_str(&text[at..]);
        rest
    }

    /// The text before a `feat.` that stands without brackets.
    fn without_featuring<'t>(&mut self, text: &'t str) -> &'t str {
        let words = text.char_indices().filter(|(_, c)| c.is_whitespace());
        for (at, space) in words {
            let after = &text[at + space.len_utf8()..];
            let word = after.split_whitespace().next().unwrap_or_default();
            if at > 0 && FEATURING.contains(&fold(word).as_str()) && self.takes(after) {
                return &text[..at];
            }
        }
        text
    }

    /// Whether a part of the title is no part of the name; what it says is kept.
    fn takes(&mut self, part: &str) -> bool {
        let folded = fold(part);
        let words: Vec<&str> = folded.split_whitespace().collect();
        let Some((first, others)) = words.split_first() else { return true };
        if FEATURING.contains(first) || *first == "with" {
            self.featured
                .extend(names(part.trim_start().split_once(char::is_whitespace).map_or("", |two| two.1)));
            return !others.is_empty();
        }
        if *first == "from" && says_where_from(part, others) {
            return true;
        }
        let found: BTreeSet<Version> = versions(&words);
        if words.iter().all(|word| is_noise(word)) && !found.iter().any(|version| *version != Version::Remix)
        {
            return words.as_slice() != ["mix"] || self.version(found, &words);
        }
        !found.is_empty() && self.version(found, &words)
    }

    fn version(&mut self, found: BTreeSet<Version>, words: &[&str]) -> bool {
        let says_kind = |word: &&str| VERSIONS.iter().any(|(text, _)| text == word) || is_noise(word);
        let joins = |word: &&str| {
            matches!(*word, "live" | "at" | "in" | "from" | "on" | "radio" | "up" | "by" | "and")
        };
        let details = words.iter().filter(|word| !says_kind(word) && !joins(word));
        self.details.extend(details.map(|word| (*word).to_owned()));
        self.versions.extend(found);
        true
    }
}

fn versions(words: &[&str]) -> BTreeSet<Version> {
    let mut found: BTreeSet<Version> =
        VERSIONS.iter().filter(|(text, _)| words.contains(text)).map(|(_, version)| *version).collect();
    if says_live(words) {
        found.insert(Version::Live);
    }
    let says_more = words.iter().any(|word| !is_noise(word));
    if found.is_empty() && says_more && words.ends_with(&["version"]) {
        found.insert(Version::Named);
    }
    // An edit or a mix for longer play is one thing, not two.
    if found.contains(&Version::Extended) {
        found.remove(&Version::Remix);
        found.remove(&Version::Edit);
    }
    found
}

/// `Live`, `Live at …`, `Recorded live`; but not `Live Forever`.
fn says_live(words: &[&str]) -> bool {
    const NEXT: &[&str] =
        &["at", "in", "from", "on", "version", "session", "sessions", "recording", "performance", "acoustic"];
    let follows = |at: usize| words.get(at + 1).is_none_or(|next| NEXT.contains(next) || is_year(next));
    words.iter().enumerate().any(|(at, word)| *word == "live" && follows(at))
}

/// `From "Frozen"`, `From the Motion Picture …`: the film that the recording is known from.
fn says_where_from(part: &str, words: &[&str]) -> bool {
    const KINDS: &[&str] = &["picture", "soundtrack", "film", "movie", "series", "musical"];
    let is_quoted = part.contains(['"', '“', '”', '„', '«', '»']);
    (is_quoted || words.iter().any(|word| KINDS.contains(word))) && versions(words).is_empty()
}

fn is_noise(word: &str) -> bool {
    NOISE.contains(&word) || is_year(word)
}

fn is_year(word: &str) -> bool {
    word.len() == 4
        && (word.starts_with("19") || word.starts_with("20"))
        && word.bytes().all(|b| b.is_ascii_digit())
}

/// The beginning of a text that may come from anybody.
pub(super) fn short(text: &str) -> &str {
    text.char_indices().nth(LONGEST).map_or(text, |(end, _)| &text[..end])
}

/// The names in `A, B & C`, folded.
pub(super) fn names(text: &str) -> impl Iterator<Item = String> {
    text.split([',', ';', '&', '/', '+']).map(fold).filter(|name| !name.is_empty())
}

/// The last ` - ` and what stands around it.
fn split_suffix(text: &str) -> Option<(&str, &str)> {
    [" - ", " – ", " — ", " ‐ "]
        .iter()
        .filter_map(|dash| text.rsplit_once(dash))
        .min_by_key(|(_, after)| after.len())
}

/// The next pair of brackets from `at` on: where it opens, where it has closed, and what is inside.
fn next_bracket(text: &str, at: usize) -> Option<(usize, usize, &str)> {
    const PAIRS: &[(char, char)] =
        &[('(', ')'), ('[', ']'), ('{', '}'), ('（', '）'), ('【', '】'), ('［', '］')];
    let (offset, open, close) = text[at..].char_indices().find_map(|(offset, c)| {
        PAIRS.iter().find(|(open, _)| *open == c).map(|(open, close)| (offset, *open, *close))
    })?;
    let start = at + offset + open.len_utf8();
    let mut depth = 1_u32;
    for (offset, c) in text[start..].char_indices() {
        depth = if c == open {
            depth + 1
        } else if c == close {
            depth - 1
        } else {
            depth
        };
        if depth == 0 {
            let end = start + offset;
            return Some((start - open.len_utf8(), end + close.len_utf8(), &text[start..end]));
        }
    }
    None
}
