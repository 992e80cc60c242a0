//! Search: words and filters over everything that has a name.

use serde_json::{Map, Value};

use super::Service;
use super::ask::{Ask, Refusal, Reply, View, Window, ok};
use super::catalogue::{Album, Artist, Catalogue, Spoken, Track};
use super::playlists::{Playlist, VENDOR, Version, simple};
use crate::World;

const FILTERS: &[&str] = &["track", "artist", "album", "year", "isrc", "upc", "genre", "tag"];
const LAST_OFFSET: usize = 1000;
/// Albums below this popularity are what `tag:hipster` finds.
const HIPSTER: u64 = 10;

/// What is searched for.
#[derive(Debug, Default)]
struct Query {
    words: Vec<String>,
    filters: Vec<(&'static str, String)>,
}

/// The answer of the search, or nothing for any other route.
pub(super) fn route(service: &mut Service, ask: &Ask<'_>, _: &mut World<'_>) -> Option<Reply> {
    (ask.route() == ("GET", &["search"])).then(|| search(service, ask))
}

fn search(service: &Service, ask: &Ask<'_>) -> Reply {
    let text = ask.call.query("q").filter(|text| !text.trim().is_empty());
    let query = Query::parse(text.ok_or_else(|| Refusal::bad("No search query"))?);
    let kinds = ask.call.query("type").filter(|kinds| !kinds.is_empty());
    let kinds = kinds.ok_or_else(|| Refusal::bad("Missing parameter type"))?;
    // Ten since February 2026 in development mode.
    let window = if ask.view.is_extended { ask.window(20, 50)? } else { ask.window(5, 10)? };
    if window.offset > LAST_OFFSET {
        return Err(Refusal::bad("Invalid offset"));
    }
    let mut found = Map::new();
    for kind in kinds.split(',') {
        let wrong = || Refusal::bad(format!("Bad search type field {kind}"));
        found.insert(format!("{kind}s"), of_kind(service, ask, &query, kind, window).ok_or_else(wrong)?);
    }
    ok(&Value::Object(found))
}

fn of_kind(service: &Service, ask: &Ask<'_>, query: &Query, kind: &str, window: Window) -> Option<Value> {
    let catalogue = &service.catalogue;
    let (view, replaced) = (&ask.view, &[("type", kind)]);
    Some(match kind {
        "track" => {
            let found = query.best(&catalogue.tracks, |query, track| query.finds_track(catalogue, track));
            ask.page_with(replaced, window, &found, |track| catalogue.track(view, track))
        }
        "album" => {
            let found = query.best(&catalogue.albums, |query, album| query.finds_album(catalogue, album));
            ask.page_with(replaced, window, &found, |album| catalogue.simple_album(view, album))
        }
        "artist" => {
            let found = query.best(&catalogue.artists, |query, artist| query.finds_artist(catalogue, artist));
            ask.page_with(replaced, window, &found, |artist| catalogue.artist(view, artist))
        }
        "show" => {
            let found = query.best(&catalogue.shows, Query::finds_spoken);
            ask.page_with(replaced, window, &found, |show| catalogue.simple_show(view, show))
        }
        "episode" => {
            let found = query.best(&catalogue.episodes, Query::finds_spoken);
            ask.page_with(replaced, window, &found, |episode| catalogue.simple_episode(view, episode))
        }
        "audiobook" => {
            let found = query.best(&catalogue.books, Query::finds_spoken);
            ask.page_with(replaced, window, &found, |book| catalogue.simple_book(view, book))
        }
        "playlist" => {
            let indexed = |playlist| Playlist::indexed(playlist, ask).map(|version| (playlist, version));
            let all: Vec<(&Playlist, &Version)> = service.playlists.all.iter().filter_map(indexed).collect();
            let found = query.best(&all, |query, (_, version)| query.finds_playlist(version));
            ask.page_with(replaced, window, &found, |(playlist, version)| {
                shown_playlist(service, view, playlist, version)
            })
        }
        _ => return None,
    })
}

/// The vendor's own playlists come as null where they may not be shown.
fn shown_playlist(service: &Service, view: &View, playlist: &Playlist, version: &Version) -> Value {
    let is_hidden = playlist.owner == VENDOR && !view.is_extended;
    if is_hidden { Value::Null } else { simple(service, view, playlist, version) }
}

impl Query {
    /// A filter's value goes on to the next filter, or to its closing quote.
    fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let mut rest = text.trim();
        let mut open: Option<&'static str> = None;
        while !rest.is_empty() {
            if let Some((name, behind)) = filter(rest) {
                if let Some((quoted, after)) = behind.strip_prefix('"').and_then(|text| text.split_once('"'))
                {
                    query.filters.push((name, folded(quoted)));
                    (open, rest) = (None, after.trim_start());
                } else {
                    query.filters.push((name, String::new()));
                    (open, rest) = (Some(name), behind.trim_start());
                }
                continue;
            }
            let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let word = folded(word.trim_matches('"'));
            match (open, query.filters.last_mut()) {
                (Some(_), Some((_, value))) if value.is_empty() => *value = word,
                (Some(_), Some((_, value))) => *value += &format!(" {word}"),
                _ => query.words.push(word),
            }
            rest = after.trim_start();
        }
        query
    }

    /// What is found, those first whose name is what was searched for.
    fn best<'t, T>(&self, all: &'t [T], rank: impl Fn(&Self, &T) -> Option<usize>) -> Vec<&'t T> {
        let mut found: Vec<(usize, &T)> =
            all.iter().filter_map(|item| Some((rank(self, item)?, item))).collect();
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, item)| item).collect()
    }

    /// How good a name is for the words, 0 the best; nothing if a word stands nowhere.
    fn rank(&self, name: &str, around: &[&str]) -> Option<usize> {
        let name = folded(name);
        let all = around.iter().fold(name.clone(), |all, text| all + " " + &folded(text));
        let wanted = self.words.join(" ");
        let wanted_name = self.filters.iter().find(|(filter, _)| *filter == "track").map(|(_, value)| value);
        if !self.words.iter().all(|word| all.contains(word.as_str())) {
            return None;
        }
        match () {
            () if name == wanted || Some(&name) == wanted_name => Some(0),
            () if self.words.iter().all(|word| name.contains(word.as_str())) => Some(1),
            () => Some(2),
        }
    }

    /// Whether every filter holds; one that is not for this kind of thing finds nothing.
    fn holds(&self, test: impl Fn(&str, &str) -> bool) -> bool {
        self.filters.iter().all(|(name, value)| test(name, value))
    }

    fn finds_track(&self, catalogue: &Catalogue, track: &Track) -> Option<usize> {
        let song = track.song;
        let artists: Vec<&str> = track.artists.iter().map(|&artist| catalogue.artists[artist].name).collect();
        let artists = artists.join(" ");
        let holds = self.holds(|filter, value| match filter {
            "track" => has(song.title, value),
            "artist" => has(&artists, value),
            "album" => has(song.album, value),
            "year" => is_in_years(song.year, value),
            "isrc" => song.isrc.eq_ignore_ascii_case(value),
            "genre" => song.tags.contains(&value),
            _ => false,
        });
        if holds { self.rank(song.title, &[&artists, song.album]) } else { None }
    }

    fn finds_album(&self, catalogue: &Catalogue, album: &Album) -> Option<usize> {
        let artist = catalogue.artists[album.artist].name;
        let holds = self.holds(|filter, value| match filter {
            "artist" => has(artist, value),
            "album" => has(album.title, value),
            "year" => is_in_years(album.year, value),
            "upc" => album.upc == value,
            "tag" => value == "hipster" && catalogue.popularity(&album.id) < HIPSTER,
            _ => false,
        });
        if holds { self.rank(album.title, &[artist]) } else { None }
    }

    fn finds_artist(&self, catalogue: &Catalogue, artist: &Artist) -> Option<usize> {
        let mut albums =
            catalogue.albums.iter().filter(|album| catalogue.artists[album.artist].id == artist.id);
        let mut years = albums.by_ref().map(|album| album.year);
        let holds = self.holds(|filter, value| match filter {
            "artist" => has(artist.name, value),
            "genre" => artist.genres.contains(&value),
            "year" => true,
            _ => false,
        });
        let year = self.filters.iter().find(|(filter, _)| *filter == "year");
        let fits = year.is_none_or(|(_, value)| years.any(|year| is_in_years(year, value)));
        if holds && fits { self.rank(artist.name, &[]) } else { None }
    }

    fn finds_spoken(&self, spoken: &Spoken) -> Option<usize> {
        if self.filters.is_empty() { self.rank(spoken.name, &[]) } else { None }
    }

    fn finds_playlist(&self, version: &Version) -> Option<usize> {
        if version.is_public && self.filters.is_empty() { self.rank(&version.name, &[]) } else { None }
    }
}

fn filter(text: &str) -> Option<(&'static str, &str)> {
    FILTERS.iter().find_map(|name| Some((*name, text.strip_prefix(name)?.strip_prefix(':')?)))
}

fn has(text: &str, words: &str) -> bool {
    let text = folded(text);
    words.split_whitespace().all(|word| text.contains(word))
}

/// `1999`, or `1990-2000`.
fn is_in_years(year: u16, text: &str) -> bool {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    matches!((from.parse::<u16>(), to.parse::<u16>()), (Ok(from), Ok(to)) if (from..=to).contains(&year))
}

/// In small letters without marks, as it is compared.
fn folded(text: &str) -> String {
    const MARKED: &[(char, char)] =
        &[('ä', 'a'), ('à', 'a'), ('ç', 'c'), ('é', 'e'), ('è', 'e'), ('ö', 'o'), ('ü', 'u')];
    let plain =
        |letter| MARKED.iter().find(|(marked, _)| *marked == letter).map_or(letter, |(_, plain)| *plain);
    text.to_lowercase().chars().map(plain).collect()
}
