//! The category's operations on this service.

use std::any::Any;

use async_trait::async_trait;
use integrations_core::driver::{Caps, Driver};
use integrations_core::page::Scope;
use integrations_core::provider::ProviderSpec;
use integrations_core::{Caller, Effect, Endpoint, Error, ErrorKind, Page, PageReq, Result};
use serde::Serialize;

use super::id::Place;
use super::ops::{
    AlbumGetInfo, AlbumSearch, ArtistGetInfo, ArtistGetSimilar, ArtistGetTopAlbums, ArtistGetTopTags,
    ArtistGetTopTracks, ArtistSearch, TagGetTopTracks, TrackGetInfo, TrackGetTopTags, TrackLove,
    TrackScrobble, TrackSearch, TrackUnlove, TrackUpdateNowPlaying, UserGetLovedTracks, UserGetRecentTracks,
    UserGetTopArtists, UserGetTopTracks,
};
use super::types::{AlbumDetails, Listed, TrackDetails};
use super::{Lastfm, spec};
use crate::{
    Album, AlbumDriver, AlbumId, Artist, ArtistDriver, ArtistId, ArtistInfo, ArtistInfoDriver, HistoryDriver,
    LibraryDriver, Market, MusicDriver, Period, Play, Played, PlaylistEntry, Query, ScrobbleDriver,
    Scrobbled, Tag, TagDriver, Track, TrackId,
};

/// The vendor's default, and the most that each of its lists takes
/// (<https://www.last.fm/api/show/user.getRecentTracks>).
const USUAL_PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 200;

/// How many scrobbles one call takes (<https://www.last.fm/api/show/track.scrobble>).
const LARGEST_BATCH: usize = 50;

/// What needs a user's session key, and what needs to know whose history and library are meant.
const BY_SESSION: &[&str] = &["library_write", "scrobble", "now_playing"];
const BY_USER: &[&str] = &["library", "library_check", "recently_played", "top_tracks", "top_artists"];

/// A page's number means nothing without the length of the pages before it: a place in a list is `number * PLACE + length`.
const PLACE: u64 = 1000;

/// Facets that this client is itself.
macro_rules! facets {
    ($($name:ident: $facet:ident),*) => {
        $(fn $name(&self) -> Option<&dyn $facet> { Some(self) })*
    };
}

impl Driver for Lastfm {
    fn spec(&self) -> &'static ProviderSpec {
        &spec::SPEC
    }

    fn caps(&self) -> Caps {
        let lacking = |has: bool, caps: &'static [&'static str]| if has { &[] } else { caps };
        let by_session = lacking(self.has_session, BY_SESSION).iter();
        let all = by_session.chain(lacking(self.user.is_some(), BY_USER));
        all.fold(Caps::of(&spec::SPEC), |caps, cap| caps.without(cap))
    }

    fn raw(&self) -> &dyn Any {
        self
    }

    fn caller(&self) -> Option<&Caller> {
        Some(&self.caller)
    }
}

#[async_trait]
impl MusicDriver for Lastfm {
    async fn track(&self, id: &TrackId, _: Option<Market>) -> Result<Track> {
        self.details(id, None).await.map(|details| details.track)
    }

    async fn search(&self, query: &Query, page: PageReq) -> Result<Page<Track>> {
        refuse(&[("an album", query.album.is_some()), ("a year", query.year.is_some())])?;
        let artist = query.artist.clone();
        let track = joined([&query.text, &query.title]).or(artist.clone()).unwrap_or_default();
        self.page(query, page, |limit, page| TrackSearch { track, artist, limit, page }).await
    }

    facets!(
        albums: AlbumDriver, artists: ArtistDriver, artist_info: ArtistInfoDriver, tags: TagDriver,
        library: LibraryDriver, history: HistoryDriver, scrobbling: ScrobbleDriver
    );
}

#[async_trait]
impl AlbumDriver for Lastfm {
    async fn album(&self, id: &AlbumId, _: Option<Market>) -> Result<Album> {
        self.album_details(id).await.map(|details| details.album)
    }

    /// The vendor gives all tracks with the album, so that there is one page.
    async fn album_tracks(&self, id: &AlbumId, _: Option<Market>, page: PageReq) -> Result<Page<Track>> {
        Scope::new(AlbumGetInfo::OP, id)?.position::<u64>(page.cursor.as_ref())?;
        let tracks = self.album_details(id).await?.tracks;
        let total = u64::try_from(tracks.len()).ok();
        Ok(Page::new(tracks, None).with_total(total))
    }

    async fn search_albums(&self, query: &Query, page: PageReq) -> Result<Page<Album>> {
        refuse(&[("a title", query.title.is_some()), ("a year", query.year.is_some())])?;
        let album = joined([&query.text, &query.album, &query.artist]).unwrap_or_default();
        let mut found = self.page(query, page, |limit, page| AlbumSearch { album, limit, page }).await?;
        if let Some(artist) = query.artist.as_ref().map(|artist| artist.to_lowercase()) {
            let is_by =
                |album: &Album| album.artists.iter().any(|by| by.name.to_lowercase().contains(&artist));
            found.items.retain(is_by);
        }
        Ok(found)
    }
}

#[async_trait]
impl ArtistDriver for Lastfm {
    async fn artist(&self, id: &ArtistId) -> Result<Artist> {
        ArtistInfoDriver::artist_info(self, id).await.map(|info| info.artist)
    }

    async fn artist_albums(&self, id: &ArtistId, _: Option<Market>, page: PageReq) -> Result<Page<Album>> {
        let Place { artist, mbid, .. } = Place::of_artist(id)?;
        let call = |limit, page| ArtistGetTopAlbums { artist, mbid, limit, page, ..Default::default() };
        self.page(id, page, call).await
    }

    async fn artist_top_tracks(&self, id: &ArtistId, _: Option<Market>) -> Result<Vec<Track>> {
        let Place { artist, mbid, .. } = Place::of_artist(id)?;
        let call = ArtistGetTopTracks { artist, mbid, ..Default::default() };
        self.caller.call(&call).await.map(|list| list.items)
    }

    async fn search_artists(&self, query: &Query, page: PageReq) -> Result<Page<Artist>> {
        let Query { title, album, year, .. } = query;
        refuse(&[("a title", title.is_some()), ("an album", album.is_some()), ("a year", year.is_some())])?;
        let artist = joined([&query.text, &query.artist]).unwrap_or_default();
        self.page(query, page, |limit, page| ArtistSearch { artist, limit, page }).await
    }
}

#[async_trait]
impl ArtistInfoDriver for Lastfm {
    async fn artist_info(&self, id: &ArtistId) -> Result<ArtistInfo> {
        let Place { artist, mbid, .. } = Place::of_artist(id)?;
        self.caller.call(&ArtistGetInfo { artist, mbid, ..Default::default() }).await
    }

    async fn similar_artists(&self, id: &ArtistId) -> Result<Vec<Artist>> {
        let Place { artist, mbid, .. } = Place::of_artist(id)?;
        self.caller.call(&ArtistGetSimilar { artist, mbid, ..Default::default() }).await
    }
}

#[async_trait]
impl TagDriver for Lastfm {
    async fn track_tags(&self, id: &TrackId) -> Result<Vec<Tag>> {
        let Place { artist, title: track, mbid } = Place::of_track(id)?;
        self.caller.call(&TrackGetTopTags { artist, track, mbid, autocorrect: None }).await
    }

    async fn artist_tags(&self, id: &ArtistId) -> Result<Vec<Tag>> {
        let Place { artist, mbid, .. } = Place::of_artist(id)?;
        self.caller.call(&ArtistGetTopTags { artist, mbid, autocorrect: None }).await
    }

    async fn tag_tracks(&self, tag: &str, page: PageReq) -> Result<Page<Track>> {
        self.page(&tag, page, |limit, page| TagGetTopTracks { tag: tag.to_owned(), limit, page }).await
    }
}

#[async_trait]
impl LibraryDriver for Lastfm {
    async fn saved_tracks(&self, page: PageReq) -> Result<Page<PlaylistEntry>> {
        let user = self.user()?;
        self.page(&user, page, |limit, page| UserGetLovedTracks { user: user.clone(), limit, page }).await
    }

    async fn save_tracks(&self, tracks: &[TrackId]) -> Vec<Result<()>> {
        self.love(tracks, true).await
    }

    async fn remove_tracks(&self, tracks: &[TrackId]) -> Vec<Result<()>> {
        self.love(tracks, false).await
    }

    async fn has_tracks(&self, tracks: &[TrackId]) -> Result<Vec<bool>> {
        let mut loved = Vec::with_capacity(tracks.len());
        for id in tracks {
            let is_loved = self.details(id, Some(self.user()?)).await?.loved;
            loved.push(is_loved.ok_or_else(|| {
                let message = "the answer does not say whether the user loves the track";
                Error::new(ErrorKind::Decode, Effect::Rejected, message).with_op(TrackGetInfo::OP)
            })?);
        }
        Ok(loved)
    }

    async fn saved_albums(&self, _: PageReq) -> Result<Page<Album>> {
        Err(Error::unsupported("`lastfm` keeps no albums for a user", "read `Library::tracks`"))
    }
}

#[async_trait]
impl HistoryDriver for Lastfm {
    async fn recently_played(&self, page: PageReq) -> Result<Page<Played>> {
        let user = self.user()?;
        let call =
            |limit, page| UserGetRecentTracks { user: user.clone(), limit, page, ..Default::default() };
        self.page(&user, page, call).await
    }

    async fn top_tracks(&self, period: &Period, page: PageReq) -> Result<Page<Track>> {
        let (user, period) = (self.user()?, spelled(period));
        let query = (user.clone(), period.clone());
        self.page(&query, page, |limit, page| UserGetTopTracks { user, period: Some(period), limit, page })
            .await
    }

    async fn top_artists(&self, period: &Period, page: PageReq) -> Result<Page<Artist>> {
        let (user, period) = (self.user()?, spelled(period));
        let query = (user.clone(), period.clone());
        self.page(&query, page, |limit, page| UserGetTopArtists { user, period: Some(period), limit, page })
            .await
    }
}

#[async_trait]
impl ScrobbleDriver for Lastfm {
    async fn scrobble(&self, plays: &[Play]) -> Vec<Result<Scrobbled>> {
        let mut outcomes = Vec::with_capacity(plays.len());
        for batch in plays.chunks(LARGEST_BATCH) {
            match self.caller.call(&TrackScrobble { plays: batch.to_vec() }).await {
                Ok(of_batch) => outcomes.extend(of_batch.into_iter().map(Ok)),
                Err(error) => outcomes.extend(batch.iter().map(|_| Err(error.clone()))),
            }
        }
        outcomes
    }

    async fn now_playing(&self, play: &Play) -> Result<()> {
        match self.caller.call(&TrackUpdateNowPlaying { play: play.clone() }).await? {
            Scrobbled::Ignored(reason) => {
                let message = format!("the service does not show this: {reason}");
                Err(Error::new(ErrorKind::Declined, Effect::Rejected, message)
                    .with_op(TrackUpdateNowPlaying::OP))
            }
            _ => Ok(()),
        }
    }
}

impl Lastfm {
    async fn details(&self, id: &TrackId, username: Option<String>) -> Result<TrackDetails> {
        let Place { artist, title: track, mbid } = Place::of_track(id)?;
        self.caller.call(&TrackGetInfo { artist, track, mbid, username, autocorrect: None }).await
    }

    async fn album_details(&self, id: &AlbumId) -> Result<AlbumDetails> {
        let Place { artist, title: album, mbid } = Place::of_album(id)?;
        self.caller.call(&AlbumGetInfo { artist, album, mbid, ..Default::default() }).await
    }

    /// One call for each track.
    async fn love(&self, tracks: &[TrackId], is_loved: bool) -> Vec<Result<()>> {
        let mut outcomes = Vec::with_capacity(tracks.len());
        for id in tracks {
            outcomes.push(self.love_one(id, is_loved).await);
        }
        outcomes
    }

    /// A track is loved by its names; those of a MusicBrainz id are asked for.
    async fn love_one(&self, id: &TrackId, is_loved: bool) -> Result<()> {
        let (artist, track) = match Place::of_track(id)? {
            Place { artist: Some(artist), title: Some(track), .. } => (artist, track),
            _ => {
                let track = self.details(id, None).await?.track;
                (track.artist().to_owned(), track.title)
            }
        };
        if is_loved {
            self.caller.call(&TrackLove { artist, track }).await
        } else {
            self.caller.call(&TrackUnlove { artist, track }).await
        }
    }

    fn user(&self) -> Result<String> {
        self.user.clone().ok_or_else(|| {
            Error::config("`lastfm` does not know whose library and history are meant")
                .with_hint("set `user`, or the variable `LASTFM_USER`")
        })
    }

    /// One page of a list; `call` takes its length and its number.
    async fn page<T: Send, E: Endpoint<Output = Listed<T>>>(
        &self,
        query: &(impl Serialize + Sync),
        page: PageReq,
        call: impl FnOnce(Option<u32>, Option<u32>) -> E + Send,
    ) -> Result<Page<T>> {
        let scope = Scope::new(E::OP, query)?;
        let first = PLACE + u64::from(page.limit.unwrap_or(USUAL_PAGE).clamp(1, LARGEST_PAGE));
        let place = scope.position(page.cursor.as_ref())?.unwrap_or(first);
        let part = |part: u64| u32::try_from(part).ok().map(|part| part.max(1));
        let list = self.caller.call(&call(part(place % PLACE), part(place / PLACE))).await?;
        let next = list.last.is_some_and(|last| place / PLACE < last);
        let next = next.then(|| scope.cursor(place.saturating_add(PLACE)));
        Ok(Page::new(list.items, next).with_total(list.total))
    }
}

/// Vendor page: <https://www.last.fm/api/show/user.getTopTracks>; what it knows besides can be given in its own words.
fn spelled(period: &Period) -> String {
    let word = match period {
        Period::Month => "1month",
        Period::HalfYear => "6month",
        Period::Year => "12month",
        Period::All => "overall",
        other => other.as_str(),
    };
    word.to_owned()
}

/// A search that would leave out what was asked for finds the wrong things.
fn refuse(asked: &[(&str, bool)]) -> Result<()> {
    match asked.iter().find(|(_, is_asked)| *is_asked) {
        None => Ok(()),
        Some((what, _)) => Err(Error::unsupported(
            format!("`lastfm` does not search by {what} here"),
            "leave it out, and choose among the results",
        )),
    }
}

fn joined<const N: usize>(words: [&Option<String>; N]) -> Option<String> {
    let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
    (!words.is_empty()).then(|| words.join(" "))
}
