//! What can be looked up: tracks, albums, artists, shows, episodes, audiobooks and chapters.

use serde_json::{Value, json};

use super::ask::{Ask, Refusal, Reply, View, base62, linked, named, ok, uri_parts, with};
use super::{HEX, Service};
use crate::issuer::{BASE62, invented};
use crate::{SONGS, Song, World};

/// Where this vendor sells.
pub(super) const MARKETS: &[&str] = &["AT", "CH", "CZ", "DE", "FR", "GB", "US"];
/// Where it sells audiobooks.
const BOOK_MARKETS: &[&str] = &["GB", "US"];
/// The one recording that is not sold everywhere, and where it is.
const RESTRICTED: (&str, &[&str]) = ("CZXXX9900002", &["CZ", "DE"]);
/// The recording with a guest, and who that is.
const GUEST: (&str, &str) = ("FRYYY2000002", "Maschinenhaus");
/// Albums whose day of release is not known: dates come as a year, a month or a day.
const DATES: &[(&str, &str, &str)] = &[
    ("Takt", "1983", "year"),
    ("Rooms", "1999-04", "month"),
    ("Low Tide", "2011-05-13", "day"),
    ("Live at the Pier", "2014-09-26", "day"),
    ("Upward", "2020-02-28", "day"),
];
const SHOWS: &[(&str, &str)] = &[("Tape Hiss", "Halyard Audio"), ("Off the Grid Staff", "Halyard Audio")];
const EPISODES: &[(usize, &str, u64, &str)] = &[
    (0, "How a Chorus Is Built", 1_912_000, "2025-11-04"),
    (0, "The Quiet Verse", 2_204_500, "2025-11-18"),
    (0, "Rooms and Their Echoes", 1_755_250, "2025-12-02"),
    (1, "Counting to Seven", 2_931_000, "2026-01-13"),
    (1, "A Bar of Nothing", 2_480_750, "2026-01-27"),
];
const BOOKS: &[(&str, &str, &str)] = &[
    ("The Lighthouse Ledger", "Orla Vance", "Teo Brand"),
    ("Nine Short Winters", "Mika Aalto", "Orla Vance"),
];
const CHAPTERS: &[(usize, &str, u64)] = &[
    (0, "Opening", 602_000),
    (0, "The Keeper", 1_544_000),
    (0, "The Storm", 1_830_500),
    (1, "First Winter", 1_211_000),
    (1, "Second Winter", 1_399_000),
];

/// An artist.
#[derive(Debug)]
pub(super) struct Artist {
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) genres: Vec<&'static str>,
}

/// An album.
#[derive(Debug)]
pub(super) struct Album {
    pub(super) id: String,
    pub(super) title: &'static str,
    pub(super) artist: usize,
    pub(super) year: u16,
    pub(super) upc: String,
    pub(super) tracks: Vec<usize>,
}

/// A track.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) id: String,
    pub(super) song: &'static Song,
    pub(super) artists: Vec<usize>,
    pub(super) album: usize,
}

/// A show, an episode, an audiobook or a chapter, by its place in the table of its kind.
#[derive(Debug)]
pub(super) struct Spoken {
    pub(super) id: String,
    pub(super) name: &'static str,
    /// The show of an episode, the book of a chapter.
    pub(super) whole: usize,
    pub(super) parts: Vec<usize>,
}

/// Everything that can be looked up.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) seed: u64,
    pub(super) artists: Vec<Artist>,
    pub(super) albums: Vec<Album>,
    pub(super) tracks: Vec<Track>,
    pub(super) shows: Vec<Spoken>,
    pub(super) episodes: Vec<Spoken>,
    pub(super) books: Vec<Spoken>,
    pub(super) chapters: Vec<Spoken>,
}

/// The fields that applications in development mode lost in February 2026.
const LOST_BY_ALBUMS: &[&str] = &["popularity", "label", "available_markets", "album_group"];
const LOST_BY_TRACKS: &[&str] = &["popularity", "available_markets", "linked_from"];
const LOST_BY_ARTISTS: &[&str] = &["popularity", "followers"];
const LOST_BY_SPOKEN: &[&str] = &["publisher", "available_markets"];

/// The answer to what is looked up, or nothing if this part has no such route.
pub(super) fn route(service: &mut Service, ask: &Ask<'_>, _: &mut World<'_>) -> Option<Reply> {
    let catalogue = &service.catalogue;
    let ("GET", path) = ask.route() else { return None };
    Some(match *path {
        ["tracks", id] => one(id, catalogue.track_of(id), |track| catalogue.track(&ask.view, track)),
        ["tracks"] => many(ask, "tracks", 50, |id| Some(catalogue.track(&ask.view, catalogue.track_of(id)?))),
        ["albums", id] => one(id, catalogue.album_of(id), |album| catalogue.album(ask, album)),
        ["albums"] => many(ask, "albums", 20, |id| Some(catalogue.album(ask, catalogue.album_of(id)?))),
        ["albums", id, "tracks"] => catalogue.album_tracks(ask, id),
        ["artists", id] => one(id, catalogue.artist_of(id), |artist| catalogue.artist(&ask.view, artist)),
        ["artists"] => {
            many(ask, "artists", 50, |id| Some(catalogue.artist(&ask.view, catalogue.artist_of(id)?)))
        }
        ["artists", id, "albums"] => catalogue.artist_albums(ask, id),
        ["artists", id, "top-tracks"] => catalogue.top_tracks(ask, id),
        ["artists", id, "related-artists"] => catalogue.related(ask, id),
        ["shows", id] => one(id, find(&catalogue.shows, id), |show| catalogue.show(ask, show)),
        ["shows"] => {
            many(ask, "shows", 50, |id| Some(catalogue.simple_show(&ask.view, find(&catalogue.shows, id)?)))
        }
        ["shows", id, "episodes"] => parts(ask, id, &catalogue.shows, |&part| {
            catalogue.simple_episode(&ask.view, &catalogue.episodes[part])
        }),
        ["episodes", id] => {
            one(id, find(&catalogue.episodes, id), |episode| catalogue.episode(&ask.view, episode))
        }
        ["episodes"] => {
            many(ask, "episodes", 50, |id| Some(catalogue.episode(&ask.view, find(&catalogue.episodes, id)?)))
        }
        ["audiobooks", id] => one(id, catalogue.sold_book(ask, id), |book| catalogue.book(ask, book)),
        ["audiobooks"] => {
            many(ask, "audiobooks", 50, |id| Some(catalogue.book(ask, catalogue.sold_book(ask, id)?)))
        }
        ["audiobooks", id, "chapters"] => parts(ask, id, &catalogue.books, |&part| {
            catalogue.simple_chapter(&ask.view, &catalogue.chapters[part])
        }),
        ["chapters", id] => {
            one(id, find(&catalogue.chapters, id), |chapter| catalogue.chapter(&ask.view, chapter))
        }
        ["chapters"] => {
            many(ask, "chapters", 50, |id| Some(catalogue.chapter(&ask.view, find(&catalogue.chapters, id)?)))
        }
        ["markets"] => ok(&json!({"markets": MARKETS})),
        _ => return None,
    })
}

fn one<T>(id: &str, found: Option<T>, show: impl FnOnce(T) -> Value) -> Reply {
    base62(id)?;
    ok(&show(found.ok_or_else(Refusal::absent)?))
}

/// A batch: what nobody knows comes as null in its place.
fn many(ask: &Ask<'_>, name: &str, max: usize, mut show: impl FnMut(&str) -> Option<Value>) -> Reply {
    let found: Vec<Option<Value>> = ask.ids(max)?.iter().map(|id| show(id)).collect();
    ok(&json!({ name: found }))
}

/// The episodes of a show, the chapters of a book.
fn parts(ask: &Ask<'_>, id: &str, all: &[Spoken], show: impl FnMut(&usize) -> Value) -> Reply {
    base62(id)?;
    let whole = find(all, id).ok_or_else(Refusal::absent)?;
    ok(&ask.page(ask.window(20, 50)?, &whole.parts, show))
}

fn find<'a>(all: &'a [Spoken], id: &str) -> Option<&'a Spoken> {
    all.iter().find(|spoken| spoken.id == id)
}

impl Catalogue {
    pub(super) fn new(seed: u64) -> Self {
        let mut made = Self {
            seed,
            artists: Vec::new(),
            albums: Vec::new(),
            tracks: Vec::new(),
            shows: spoken(seed, "show", SHOWS.iter().map(|&(name, ..)| (0, name))),
            episodes: spoken(seed, "episode", EPISODES.iter().map(|&(show, name, ..)| (show, name))),
            books: spoken(seed, "audiobook", BOOKS.iter().map(|&(name, ..)| (0, name))),
            chapters: spoken(seed, "chapter", CHAPTERS.iter().map(|&(book, name, _)| (book, name))),
        };
        for song in SONGS {
            made.add(song);
        }
        connect(&mut made.shows, &made.episodes);
        connect(&mut made.books, &made.chapters);
        made
    }

    fn add(&mut self, song: &'static Song) {
        let artist = self.artist_index(song.artist);
        for tag in song.tags {
            if !self.artists[artist].genres.contains(tag) {
                self.artists[artist].genres.push(tag);
            }
        }
        let mut artists = vec![artist];
        if song.isrc == GUEST.0 {
            artists.push(self.artist_index(GUEST.1));
        }
        let known = self.albums.iter().position(|album| album.artist == artist && album.title == song.album);
        let album = known.unwrap_or_else(|| {
            let key = format!("{}/{}", song.artist, song.album);
            self.albums.push(Album {
                id: id(self.seed, "album", &key),
                title: song.album,
                artist,
                year: song.year,
                upc: invented(b"0123456789", self.seed, &format!("upc:{key}"), 12),
                tracks: Vec::new(),
            });
            self.albums.len() - 1
        });
        self.albums[album].tracks.push(self.tracks.len());
        self.tracks.push(Track { id: id(self.seed, "track", song.isrc), song, artists, album });
    }

    fn artist_index(&mut self, name: &'static str) -> usize {
        self.artists.iter().position(|artist| artist.name == name).unwrap_or_else(|| {
            self.artists.push(Artist { id: id(self.seed, "artist", name), name, genres: Vec::new() });
            self.artists.len() - 1
        })
    }

    pub(super) fn track_of(&self, id: &str) -> Option<&Track> {
        self.tracks.iter().find(|track| track.id == id)
    }

    pub(super) fn album_of(&self, id: &str) -> Option<&Album> {
        self.albums.iter().find(|album| album.id == id)
    }

    pub(super) fn artist_of(&self, id: &str) -> Option<&Artist> {
        self.artists.iter().find(|artist| artist.id == id)
    }

    pub(super) fn episode_of(&self, id: &str) -> Option<&Spoken> {
        find(&self.episodes, id)
    }

    pub(super) fn show_of(&self, id: &str) -> Option<&Spoken> {
        find(&self.shows, id)
    }

    pub(super) fn book_of(&self, id: &str) -> Option<&Spoken> {
        find(&self.books, id)
    }

    fn sold_book(&self, ask: &Ask<'_>, id: &str) -> Option<&Spoken> {
        let is_sold = |market: &str| market == "from_token" || BOOK_MARKETS.contains(&market);
        self.book_of(id).filter(|_| ask.view.market.as_deref().is_none_or(is_sold))
    }

    /// A number from 0 to 99 that belongs to an id.
    pub(super) fn popularity(&self, id: &str) -> u64 {
        invented(b"0123456789", self.seed, &format!("popularity:{id}"), 2).parse().unwrap_or_default()
    }

    pub(super) fn images(&self, key: &str) -> Value {
        let image = |size: u32| {
            let name = invented(HEX, self.seed, &format!("image:{key}:{size}"), 40);
            json!({"url": format!("https://i.scdn.co/image/{name}"), "height": size, "width": size})
        };
        Value::Array([640, 300, 64].map(image).into())
    }

    pub(super) fn simple_artist(&self, artist: usize) -> Value {
        let artist = &self.artists[artist];
        named("artist", &artist.id, artist.name)
    }

    pub(super) fn artist(&self, view: &View, artist: &Artist) -> Value {
        let popularity = self.popularity(&artist.id);
        let more = json!({
            "followers": {"href": null, "total": 100 + popularity * 37},
            "genres": artist.genres,
            "images": self.images(&artist.id),
            "popularity": popularity,
        });
        view.lessen(with(named("artist", &artist.id, artist.name), more), LOST_BY_ARTISTS)
    }

    fn artists_of(&self, artists: &[usize]) -> Vec<Value> {
        artists.iter().map(|&artist| self.simple_artist(artist)).collect()
    }

    fn album_base(&self, album: &Album) -> Value {
        let (_, date, precision) =
            DATES.iter().find(|(title, ..)| *title == album.title).copied().unwrap_or(("", "2000", "year"));
        let more = json!({
            "album_type": album_type(album),
            "artists": self.artists_of(&[album.artist]),
            "available_markets": MARKETS,
            "images": self.images(&album.id),
            "release_date": date,
            "release_date_precision": precision,
            "total_tracks": album.tracks.len(),
        });
        with(named("album", &album.id, album.title), more)
    }

    pub(super) fn simple_album(&self, view: &View, album: &Album) -> Value {
        view.lessen(self.album_base(album), LOST_BY_ALBUMS)
    }

    pub(super) fn album(&self, ask: &Ask<'_>, album: &Album) -> Value {
        let path = format!("albums/{}/tracks", album.id);
        let tracks = ask
            .embedded(&path, 50, &album.tracks, |&track| self.simple_track(&ask.view, &self.tracks[track]));
        let more = json!({
            "copyrights": [{"text": format!("{} Halyard Records", album.year), "type": "P"}],
            "external_ids": {"upc": album.upc},
            "genres": [],
            "label": "Halyard Records",
            "popularity": self.popularity(&album.id),
            "tracks": tracks,
        });
        ask.view.lessen(with(self.album_base(album), more), LOST_BY_ALBUMS)
    }

    fn album_tracks(&self, ask: &Ask<'_>, id: &str) -> Reply {
        base62(id)?;
        let album = self.album_of(id).ok_or_else(Refusal::absent)?;
        let window = ask.window(20, 50)?;
        ok(&ask.page(window, &album.tracks, |&track| self.simple_track(&ask.view, &self.tracks[track])))
    }

    pub(super) fn simple_track(&self, view: &View, track: &Track) -> Value {
        let song = track.song;
        let markets = if song.isrc == RESTRICTED.0 { RESTRICTED.1 } else { MARKETS };
        let more = json!({
            "artists": self.artists_of(&track.artists),
            "available_markets": markets,
            "disc_number": 1,
            "duration_ms": song.duration_ms,
            "explicit": false,
            "is_local": false,
            "preview_url": null,
            "track_number": song.position,
        });
        let mut object = with(named("track", &track.id, song.title), more);
        if let Some(market) = &view.market {
            let is_playable = market == "from_token" || markets.contains(&market.as_str());
            object["is_playable"] = is_playable.into();
            if !is_playable {
                object["restrictions"] = json!({"reason": "market"});
            }
        }
        view.lessen(object, LOST_BY_TRACKS)
    }

    pub(super) fn track(&self, view: &View, track: &Track) -> Value {
        let more = json!({
            "album": self.simple_album(view, &self.albums[track.album]),
            "external_ids": {"isrc": track.song.isrc},
            "popularity": self.popularity(&track.id),
        });
        view.lessen(with(self.simple_track(view, track), more), LOST_BY_TRACKS)
    }

    fn artist_albums(&self, ask: &Ask<'_>, id: &str) -> Reply {
        const GROUPS: &[&str] = &["album", "single", "appears_on", "compilation"];
        base62(id)?;
        let artist = self.artists.iter().position(|artist| artist.id == id).ok_or_else(Refusal::absent)?;
        let wanted: Vec<&str> = match ask.call.query("include_groups") {
            None => GROUPS.to_vec(),
            Some(text) => text.split(',').collect(),
        };
        if wanted.iter().any(|group| !GROUPS.contains(group)) {
            return Err(Refusal::bad("Invalid album type"));
        }
        let group = |album: &Album| match album {
            album if album.artist == artist => Some(album_type(album)),
            album if album.tracks.iter().any(|&track| self.tracks[track].artists.contains(&artist)) => {
                Some("appears_on")
            }
            _ => None,
        };
        let mut albums: Vec<(&Album, &str)> =
            self.albums.iter().filter_map(|album| Some((album, group(album)?))).collect();
        albums.retain(|(_, group)| wanted.contains(group));
        albums.sort_by_key(|(album, _)| std::cmp::Reverse(album.year));
        // Ten at most since February 2026 in development mode, five if none are asked for.
        let window = if ask.view.is_extended { ask.window(20, 50)? } else { ask.window(5, 10)? };
        ok(&ask.page(window, &albums, |(album, group)| {
            let object = with(self.album_base(album), json!({"album_group": group}));
            ask.view.lessen(object, LOST_BY_ALBUMS)
        }))
    }

    fn top_tracks(&self, ask: &Ask<'_>, id: &str) -> Reply {
        base62(id)?;
        let artist = self.artists.iter().position(|artist| artist.id == id).ok_or_else(Refusal::absent)?;
        let mut tracks: Vec<&Track> =
            self.tracks.iter().filter(|track| track.artists.contains(&artist)).collect();
        tracks.sort_by_key(|track| std::cmp::Reverse(self.popularity(&track.id)));
        tracks.truncate(10);
        let tracks: Vec<Value> = tracks.iter().map(|track| self.track(&ask.view, track)).collect();
        ok(&json!({"tracks": tracks}))
    }

    fn related(&self, ask: &Ask<'_>, id: &str) -> Reply {
        base62(id)?;
        let artist = self.artist_of(id).ok_or_else(Refusal::absent)?;
        let is_related = |other: &&Artist| {
            other.id != artist.id && other.genres.iter().any(|genre| artist.genres.contains(genre))
        };
        let artists: Vec<Value> =
            self.artists.iter().filter(is_related).map(|other| self.artist(&ask.view, other)).collect();
        ok(&json!({"artists": artists}))
    }

    pub(super) fn simple_show(&self, view: &View, show: &Spoken) -> Value {
        let index = self.shows.iter().position(|other| other.id == show.id).unwrap_or_default();
        let more = json!({
            "available_markets": MARKETS,
            "is_externally_hosted": false,
            "media_type": "audio",
            "publisher": SHOWS[index].1,
            "total_episodes": show.parts.len(),
        });
        view.lessen(with(self.spoken("show", show), more), LOST_BY_SPOKEN)
    }

    pub(super) fn show(&self, ask: &Ask<'_>, show: &Spoken) -> Value {
        let path = format!("shows/{}/episodes", show.id);
        let episodes = ask
            .embedded(&path, 50, &show.parts, |&part| self.simple_episode(&ask.view, &self.episodes[part]));
        with(self.simple_show(&ask.view, show), json!({"episodes": episodes}))
    }

    pub(super) fn simple_episode(&self, view: &View, episode: &Spoken) -> Value {
        let index = self.episodes.iter().position(|other| other.id == episode.id).unwrap_or_default();
        let (_, _, duration, date) = EPISODES[index];
        let more = json!({
            "audio_preview_url": null,
            "duration_ms": duration,
            "is_externally_hosted": false,
            "is_playable": true,
            "language": "en",
            "release_date": date,
            "release_date_precision": "day",
        });
        let mut object = with(self.spoken("episode", episode), more);
        if let Some(fields) = object.as_object_mut() {
            fields.remove("copyrights");
        }
        if view.positions {
            object["resume_point"] = json!({"fully_played": false, "resume_position_ms": 0});
        }
        object
    }

    /// Whether there is such a track or episode. Other things cannot be played one by one.
    pub(super) fn plays(&self, uri: &str) -> Result<bool, Refusal> {
        let invalid = || Refusal::bad(format!("Invalid track uri: {uri}"));
        let (kind, id) = uri_parts(uri).ok_or_else(invalid)?;
        base62(id).map_err(|_| invalid())?;
        match kind {
            "track" => Ok(self.track_of(id).is_some()),
            "episode" => Ok(self.episode_of(id).is_some()),
            _ => Err(invalid()),
        }
    }

    /// How long an episode is, in milliseconds.
    pub(super) fn length_of(&self, episode: &Spoken) -> i64 {
        let index = self.episodes.iter().position(|other| other.id == episode.id).unwrap_or_default();
        EPISODES[index].2 as i64
    }

    pub(super) fn episode(&self, view: &View, episode: &Spoken) -> Value {
        let show = self.simple_show(view, &self.shows[episode.whole]);
        with(self.simple_episode(view, episode), json!({"show": show}))
    }

    pub(super) fn simple_book(&self, view: &View, book: &Spoken) -> Value {
        let index = self.books.iter().position(|other| other.id == book.id).unwrap_or_default();
        let (_, author, narrator) = BOOKS[index];
        let more = json!({
            "authors": [{"name": author}],
            "available_markets": BOOK_MARKETS,
            "edition": "Unabridged",
            "media_type": "audio",
            "narrators": [{"name": narrator}],
            "publisher": author,
            "total_chapters": book.parts.len(),
        });
        view.lessen(with(self.spoken("audiobook", book), more), LOST_BY_SPOKEN)
    }

    pub(super) fn book(&self, ask: &Ask<'_>, book: &Spoken) -> Value {
        let path = format!("audiobooks/{}/chapters", book.id);
        let chapters = ask
            .embedded(&path, 50, &book.parts, |&part| self.simple_chapter(&ask.view, &self.chapters[part]));
        with(self.simple_book(&ask.view, book), json!({"chapters": chapters}))
    }

    fn simple_chapter(&self, view: &View, chapter: &Spoken) -> Value {
        let index = self.chapters.iter().position(|other| other.id == chapter.id).unwrap_or_default();
        let place = self.books[chapter.whole].parts.iter().position(|&part| part == index);
        let more = json!({
            "audio_preview_url": null,
            "available_markets": BOOK_MARKETS,
            "chapter_number": place,
            "duration_ms": CHAPTERS[index].2,
            "is_playable": true,
            "release_date": "2024-03-05",
            "release_date_precision": "day",
            // A chapter is played as an episode and names itself so.
            "type": "episode",
            "uri": format!("spotify:episode:{}", chapter.id),
        });
        view.lessen(with(self.spoken("chapter", chapter), more), &["available_markets"])
    }

    fn chapter(&self, view: &View, chapter: &Spoken) -> Value {
        let book = self.simple_book(view, &self.books[chapter.whole]);
        with(self.simple_chapter(view, chapter), json!({"audiobook": book}))
    }

    /// What everything that is spoken has.
    fn spoken(&self, kind: &str, spoken: &Spoken) -> Value {
        let about = format!("About {}.", spoken.name);
        let more = json!({
            "copyrights": [],
            "description": about,
            "explicit": false,
            "html_description": format!("<p>{about}</p>"),
            "images": self.images(&spoken.id),
            "languages": ["en"],
            "name": spoken.name,
        });
        with(linked(kind, &spoken.id), more)
    }
}

/// Few tracks make a single.
pub(super) fn album_type(album: &Album) -> &'static str {
    if album.tracks.len() == 1 { "single" } else { "album" }
}

/// The id of a thing: the same for the same seed.
pub(super) fn id(seed: u64, kind: &str, key: &str) -> String {
    invented(BASE62, seed, &format!("{kind}:{key}"), 22)
}

fn spoken(seed: u64, kind: &str, all: impl Iterator<Item = (usize, &'static str)>) -> Vec<Spoken> {
    all.map(|(whole, name)| Spoken { id: id(seed, kind, name), name, whole, parts: Vec::new() }).collect()
}

fn connect(wholes: &mut [Spoken], parts: &[Spoken]) {
    for (index, part) in parts.iter().enumerate() {
        wholes[part.whole].parts.push(index);
    }
}
