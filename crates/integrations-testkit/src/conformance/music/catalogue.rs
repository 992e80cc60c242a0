//! Tracks, albums, artists, tags.

use std::collections::HashSet;

use integrations_core::ErrorKind;
use integrations_core::music::{Album, Artist, Isrc, Music, Query, Seeds, Tag, Track, TrackId};

use crate::conformance::{Failure, Lab, hold};

type Run = Result<(), Failure>;
type MusicLab = Lab<Music>;

pub(super) async fn track(lab: &MusicLab) -> Run {
    let id = lab.known("track")?;
    let track = lab.step("track", lab.client().track(id.as_str())).await?;
    hold(track.id.as_str() == id, format!("the track has the id `{}`, not `{id}`", track.id))?;
    is_the_known(lab, &track)?;
    lab.see("track", &track);
    Ok(())
}

fn is_the_known(lab: &MusicLab, track: &Track) -> Run {
    let title = lab.known("track_title")?;
    hold(track.title == title, format!("its title is `{}`, not `{title}`", track.title))?;
    let artist = lab.known("track_artist")?;
    hold(track.artist() == artist, format!("its artist is `{}`, not `{artist}`", track.artist()))?;
    if let (Some(got), Ok(known)) = (track.duration_ms, lab.known("track_duration_ms")) {
        // Some services know seconds alone.
        let known: u64 = known.parse().unwrap_or_default();
        hold(got.abs_diff(known) < 1_000, format!("it lasts {got} ms, not {known}"))?;
    }
    if let (Some(got), Ok(known)) = (&track.ids.isrc, lab.known("track_isrc")) {
        hold(got.as_str() == known, format!("its ISRC is {got}, not {known}"))?;
    }
    Ok(())
}

pub(super) async fn track_missing(lab: &MusicLab) -> Run {
    let id = lab.known("no_track")?;
    match lab.step("track of nothing", lab.client().track(id)).await {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Failure::Call(e)),
        Ok(track) => Err(Failure::Wrong(format!("an id of nothing gives `{}`", track.title))),
    }
}

pub(super) async fn search_finds(lab: &MusicLab) -> Run {
    let id = lab.known("track")?;
    let query = Query::new().title(lab.known("track_title")?).artist(lab.known("track_artist")?);
    let page = lab.step("search by title and artist", lab.client().search(query).page()).await?;
    let found = page.items.iter().find(|track| track.id.as_str() == id);
    let found = found.ok_or_else(|| Failure::Wrong("the first page lacks the known track".to_owned()))?;
    lab.see("found", &ids(&page.items));
    let title = lab.known("track_title")?;
    hold(found.title == title, format!("it is found as `{}`, not as `{title}`", found.title))
}

pub(super) async fn search_words(lab: &MusicLab) -> Run {
    let id = lab.known("track")?;
    let query = Query::from(lab.known("track_title")?);
    let page = lab.step("search by words", lab.client().search(query).page()).await?;
    lab.see("found", &ids(&page.items));
    let found = page.items.iter().any(|track| track.id.as_str() == id);
    hold(found, "the words of its title do not find the known track")
}

pub(super) async fn search_nothing(lab: &MusicLab) -> Run {
    let page = lab.step("search for nothing", lab.client().search(super::nothing()).page()).await?;
    hold(page.items.is_empty(), "words that nothing has find something")?;
    hold(page.next.is_none(), "an empty result has a next page")
}

pub(super) async fn search_empty(lab: &MusicLab) -> Run {
    for query in [Query::new(), Query::from("  "), Query::new().year(2011)] {
        let search = lab.client().search(query).page();
        lab.refused("search without words", ErrorKind::InvalidRequest, search).await?;
    }
    Ok(())
}

pub(super) async fn search_to_the_end(lab: &MusicLab) -> Run {
    let title = lab.known("track_title")?;
    let all = lab.all("search to the end", 1, || lab.client().search(title.as_str())).await?;
    unique("tracks", &all)?;
    lab.see("all", &ids(&all));
    hold(!all.is_empty(), "the words of the known track's title find nothing")
}

pub(super) async fn search_foreign_cursor(lab: &MusicLab) -> Run {
    let title = lab.known("track_title")?;
    let first = lab.step("first page", lab.client().search(title.as_str()).limit(1).page()).await?;
    let cursor = first.next.ok_or_else(|| {
        Failure::Wrong("two tracks have the known title's words, and pages of one have no next".to_owned())
    })?;
    let second = lab.client().search(title.as_str()).limit(1).from(cursor.clone()).page();
    let second = lab.step("second page", second).await?;
    hold(ids(&second.items) != ids(&first.items), "the second page is the first")?;
    let other = lab.client().search("another").from(cursor).page();
    lab.refused("the cursor of another query", ErrorKind::InvalidRequest, other).await
}

pub(super) async fn isrc(lab: &MusicLab) -> Run {
    let code = parsed(&lab.known("track_isrc")?)?;
    let tracks = lab.step("by code", lab.client().tracks_by_isrc(&code, None)).await?;
    lab.see("tracks", &ids(&tracks));
    let id = lab.known("track")?;
    hold(tracks.iter().any(|track| track.id.as_str() == id), "its code does not find the known track")?;
    let others = tracks.iter().filter_map(|track| track.ids.isrc.as_ref()).filter(|isrc| **isrc != code);
    hold(others.count() == 0, "a code finds tracks with another code")
}

pub(super) async fn isrc_of_nothing(lab: &MusicLab) -> Run {
    let code = parsed("QZZZZ9999999")?;
    let tracks = lab.step("by a code of nothing", lab.client().tracks_by_isrc(&code, None)).await?;
    hold(tracks.is_empty(), "a code that nothing has finds something")
}

fn parsed(code: &str) -> Result<Isrc, Failure> {
    code.parse().map_err(|_| Failure::Wrong(format!("the peer's `{code}` is no ISRC")))
}

pub(super) async fn album(lab: &MusicLab) -> Run {
    let (id, title) = (lab.known("album")?, lab.known("album_title")?);
    let album = lab.step("album", lab.client().albums()?.get(id.as_str(), None)).await?;
    lab.see("album", &album);
    hold(album.id.as_str() == id, format!("the album has the id `{}`, not `{id}`", album.id))?;
    hold(album.title == title, format!("its title is `{}`, not `{title}`", album.title))
}

pub(super) async fn album_tracks(lab: &MusicLab) -> Run {
    let (album, id) = (lab.known("album")?, lab.known("track")?);
    let albums = lab.client().albums()?;
    let tracks = lab.all("tracks of an album", 1, || albums.tracks(album.as_str(), None)).await?;
    unique("tracks", &tracks)?;
    lab.see("tracks", &ids(&tracks));
    hold(tracks.iter().any(|track| track.id.as_str() == id), "the known album lacks the known track")
}

pub(super) async fn album_search(lab: &MusicLab) -> Run {
    let (id, query) = (lab.known("album")?, Query::new().album(lab.known("album_title")?));
    let page = lab.step("albums by words", lab.client().albums()?.search(query).page()).await?;
    lab.see("found", &ids(&page.items));
    hold(page.items.iter().any(|album| album.id.as_str() == id), "its title does not find the known album")?;
    let empty = lab.client().albums()?.search(Query::new()).page();
    lab.refused("albums without words", ErrorKind::InvalidRequest, empty).await
}

pub(super) async fn artist(lab: &MusicLab) -> Run {
    let (id, name) = (lab.known("artist")?, lab.known("artist_name")?);
    let artist = lab.step("artist", lab.client().artists()?.get(id.as_str())).await?;
    lab.see("artist", &artist);
    hold(artist.id.as_str() == id, format!("the artist has the id `{}`, not `{id}`", artist.id))?;
    hold(artist.name == name, format!("its name is `{}`, not `{name}`", artist.name))
}

pub(super) async fn artist_albums(lab: &MusicLab) -> Run {
    let (artist, id) = (lab.known("artist")?, lab.known("album")?);
    let artists = lab.client().artists()?;
    let albums = lab.all("albums of an artist", 1, || artists.albums(artist.as_str(), None)).await?;
    unique("albums", &albums)?;
    lab.see("albums", &ids(&albums));
    hold(albums.iter().any(|album| album.id.as_str() == id), "the known artist lacks the known album")
}

pub(super) async fn artist_top_tracks(lab: &MusicLab) -> Run {
    let (artist, name) = (lab.known("artist")?, lab.known("artist_name")?);
    let artists = lab.client().artists()?;
    let tracks = lab.step("what is heard most of an artist", artists.top_tracks(artist, None)).await?;
    unique("tracks", &tracks)?;
    lab.see("tracks", &ids(&tracks));
    hold(!tracks.is_empty(), "nothing is heard most of the known artist")?;
    let foreign = tracks.iter().find(|track| !track.artists.iter().any(|artist| artist.name == name));
    foreign.map_or(Ok(()), |track| hold(false, format!("`{}` is not by the known artist", track.title)))
}

pub(super) async fn artist_search(lab: &MusicLab) -> Run {
    let (id, query) = (lab.known("artist")?, Query::new().artist(lab.known("artist_name")?));
    let page = lab.step("artists by words", lab.client().artists()?.search(query).page()).await?;
    lab.see("found", &ids(&page.items));
    hold(
        page.items.iter().any(|artist| artist.id.as_str() == id),
        "its name does not find the known artist",
    )?;
    let empty = lab.client().artists()?.search(Query::new()).page();
    lab.refused("artists without words", ErrorKind::InvalidRequest, empty).await
}

pub(super) async fn artist_info(lab: &MusicLab) -> Run {
    let (id, name) = (lab.known("artist")?, lab.known("artist_name")?);
    let info = lab.step("about an artist", lab.client().artist_info(id)).await?;
    lab.see("info", &info);
    hold(info.artist.name == name, format!("it is about `{}`, not `{name}`", info.artist.name))?;
    weights(&info.tags)
}

pub(super) async fn similar_artists(lab: &MusicLab) -> Run {
    let id = lab.known("artist")?;
    let similar = lab.step("artists like one", lab.client().similar_artists(id.as_str())).await?;
    unique("artists", &similar)?;
    lab.see("similar", &ids(&similar));
    hold(!similar.is_empty(), "the known artist is like no other")?;
    hold(!ids(&similar).contains(&id.as_str()), "an artist is said to be like itself")
}

pub(super) async fn track_tags(lab: &MusicLab) -> Run {
    let id = lab.known("track")?;
    let tags = lab.step("tags of a track", lab.client().tags()?.of_track(id)).await?;
    lab.see("tags", &tags);
    hold(!tags.is_empty(), "the known track has no tags")?;
    weights(&tags)
}

pub(super) async fn artist_tags(lab: &MusicLab) -> Run {
    let id = lab.known("artist")?;
    let tags = lab.step("tags of an artist", lab.client().tags()?.of_artist(id)).await?;
    lab.see("tags", &tags);
    hold(!tags.is_empty(), "the known artist has no tags")?;
    weights(&tags)
}

/// The strongest first, from 0 to 100.
fn weights(tags: &[Tag]) -> Run {
    let weights: Vec<u8> = tags.iter().filter_map(|tag| tag.weight).collect();
    hold(weights.iter().all(|weight| *weight <= 100), "a tag has a weight above 100")?;
    hold(weights.is_sorted_by(|a, b| a >= b), "the tags are not in order, the strongest first")
}

pub(super) async fn tag_tracks(lab: &MusicLab) -> Run {
    let tag = lab.known("tag")?;
    let tags = lab.client().tags()?;
    let tracks = lab.all("tracks of a tag", 2, || tags.tracks(tag.as_str())).await?;
    unique("tracks", &tracks)?;
    lab.see("tracks", &ids(&tracks));
    hold(!tracks.is_empty(), "the known tag has no tracks")
}

pub(super) async fn recommendations(lab: &MusicLab) -> Run {
    let seeds = Seeds { tracks: vec![TrackId::from(lab.known("track")?)], ..Seeds::default() };
    let tracks = lab.step("tracks like one", lab.client().recommend(&seeds, 3, None)).await?;
    lab.see("tracks", &ids(&tracks));
    hold((1..=3).contains(&tracks.len()), format!("at most 3 tracks give {}", tracks.len()))
}

pub(super) async fn recommendation_seeds(lab: &MusicLab) -> Run {
    let id = TrackId::from(lab.known("track")?);
    for count in [0, 6] {
        let seeds = Seeds { tracks: vec![id.clone(); count], ..Seeds::default() };
        let call = lab.client().recommend(&seeds, 3, None);
        lab.refused("too few or too many seeds", ErrorKind::InvalidRequest, call).await?;
    }
    Ok(())
}

/// What has an id of its service's.
pub(super) trait Named {
    fn id(&self) -> &str;
}

/// Implements [`Named`] by the field `id`.
macro_rules! named {
    ($($name:ty),+) => {
        $(impl Named for $name {
            fn id(&self) -> &str {
                self.id.as_str()
            }
        })+
    };
}

named!(Track, Album, Artist, integrations_core::music::Playlist);

pub(super) fn ids<T: Named>(items: &[T]) -> Vec<&str> {
    items.iter().map(Named::id).collect()
}

/// Nothing stands in a list twice.
pub(super) fn unique<T: Named>(what: &str, items: &[T]) -> Run {
    let mut seen = HashSet::new();
    let twice = items.iter().find(|item| !seen.insert(item.id()));
    twice.map_or(Ok(()), |item| hold(false, format!("of the {what}, `{}` stands there twice", item.id())))
}
