//! Finding a track again at another service.
//!
//! A [`Matcher`] asks by ISRC first, where the service has that, and then by words. What it says is never simply the first
//! hit: each [`Candidate`] has a score and a [`Reason`], and where two different recordings fit equally well the answer is
//! [`Found::Ambiguous`].
//!
//! What folding does not bridge: another script. `Чайковский` and `Tchaikovsky` are different words here; only an ISRC
//! finds the one by the other.
//!
//! ```
//! use integrations_music::matching::{Wanted, score};
//!
//! let here = Wanted::new("Don’t Stop Me Now (Remastered 2011)").artist("Queen").duration_ms(209_000);
//! let there = Wanted::new("Don't Stop Me Now").artist("QUEEN").duration_ms(210_000);
//! assert!(score(&here, &there).score > 0.99);
//!
//! let live = Wanted::new("Don't Stop Me Now - Live at Wembley").artist("Queen").duration_ms(209_000);
//! assert!(score(&here, &live).score < 0.5);
//! ```

mod find;
mod fold;
mod score;
mod spelling;
mod title;

pub use find::{Candidate, Found, Matcher};
pub use fold::fold;
pub use score::{Difference, How, Reason, Scored, score};
pub use title::{Title, Version};

use integrations_core::music::{Isrc, Track};
use serde::{Deserialize, Serialize};

/// What is known of a recording that is looked for, whichever service or file it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Wanted {
    /// The recording's code.
    pub isrc: Option<Isrc>,
    /// The title as shown.
    pub title: String,
    /// Who made it, the main artist first.
    pub artists: Vec<String>,
    /// The title of the album that it is taken from.
    pub album: Option<String>,
    /// How long it is, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Whether its words are marked as explicit.
    pub explicit: Option<bool>,
}

impl Wanted {
    /// A recording of which no more than this is known.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Adds an artist.
    #[must_use]
    pub fn artist(mut self, name: impl Into<String>) -> Self {
        self.artists.push(name.into());
        self
    }

    /// Sets the album's title.
    #[must_use]
    pub fn album(mut self, title: impl Into<String>) -> Self {
        self.album = Some(title.into());
        self
    }

    /// Sets how long it is, in milliseconds.
    #[must_use]
    pub fn duration_ms(mut self, duration: u64) -> Self {
        self.duration_ms = Some(duration);
        self
    }

    /// Sets the recording's code.
    #[must_use]
    pub fn isrc(mut self, isrc: Isrc) -> Self {
        self.isrc = Some(isrc);
        self
    }

    /// Sets whether its words are marked as explicit.
    #[must_use]
    pub fn explicit(mut self, is_explicit: bool) -> Self {
        self.explicit = Some(is_explicit);
        self
    }

    /// The artists and the title on one line.
    pub fn line(&self) -> String {
        if self.artists.is_empty() {
            return self.title.clone();
        }
        format!("{} - {}", self.artists.join(", "), self.title)
    }
}

impl From<&Track> for Wanted {
    fn from(track: &Track) -> Self {
        Self {
            isrc: track.ids.isrc.clone(),
            title: track.title.clone(),
            artists: track.artists.iter().map(|artist| artist.name.clone()).collect(),
            album: track.album.as_ref().map(|album| album.title.clone()).filter(|title| !title.is_empty()),
            duration_ms: track.duration_ms,
            explicit: track.explicit,
        }
    }
}
