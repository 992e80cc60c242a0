//! The category's operations on this service.

use async_trait::async_trait;
use integrations_core::driver::{Caps, Driver};
use integrations_core::page::{Numbered, NumberedItems, Scope};
use integrations_core::{Effect, Endpoint, Error, ErrorKind, Page, PageReq, Result};

use super::id::Place;
use super::ops::{
    AlbumGetInfo, AlbumSearch, ArtistGetInfo, ArtistGetSimilar, ArtistGetTopAlbums, ArtistGetTopTags,
    ArtistGetTopTracks, ArtistSearch, Paged, TagGetTopTracks, TrackGetInfo, TrackGetTopTags, TrackLove,
    TrackScrobble, TrackSearch, TrackUnlove, TrackUpdateNowPlaying, UserGetLovedTracks, UserGetRecentTracks,
    UserGetTopArtists, UserGetTopTracks,
};
use super::types::{AlbumDetails, TrackDetails};
use super::{Lastfm, spec};
use crate::batch::{by_batch, one_by_one};
use crate::search::{Part, joined, refuse};
use crate::{
    Album, AlbumDriver, AlbumId, Artist, ArtistDriver, ArtistId, ArtistInfo, ArtistInfoDriver, ArtistRef,
    HistoryDriver, LibraryDriver, Market, MusicDriver, Period, Play, Played, PlaylistEntry, Query,
    ScrobbleDriver, Scrobbled, Tag, TagDriver, Track, TrackId,
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

impl Driver for Lastfm {
    integrations_core::client_driver!(&spec::SPEC);

    fn caps(&self) -> Caps {
        let caps = Caps::of(&spec::SPEC).only_if(self.has_session, BY_SESSION);
        caps.only_if(self.user.is_some(), BY_USER)
    }
}

#[async_trait]
impl MusicDriver for Lastfm {
    async fn track(&self, id: &TrackId, _: Option<Market>) -> Result<Track> {
        self.details(id, None).await.map(|details| details.track)
    }

    async fn search(&self, query: &Query, page: PageReq) -> Result<Page<Track>> {
        refuse("lastfm", query, &[Part::Album, Part::Year])?;
        let artist = query.artist.clone();
        let track = joined([&query.text, &query.title]).or(artist.clone()).unwrap_or_default();
        self.page(TrackSearch { track, artist, ..Default::default() }, page).await
    }

    integrations_core::facets! {
        albums: AlbumDriver, artists: ArtistDriver, artist_info: ArtistInfoDriver, tags: TagDriver,
        library: LibraryDriver, history: HistoryDriver, scrobbling: ScrobbleDriver,
    }
}

#[async_trait]
impl AlbumDriver for Lastfm {
    async fn album(&self, id: &AlbumId, _: Option<Market>) -> Result<Album> {
        self.album_details(id).await.map(|details| details.album)
    }

    /// The vendor gives all tracks with the album, so that there is one page.
    async fn album_tracks(&self, id: &AlbumId, _: Option<Market>, page: PageReq) -> Result<Page<Track>> {
        Scope::new(AlbumGetInfo::OP, id)?.position::<u64>(page.cursor.as_ref())?;
        self.album_details(id).await.map(|details| Page::whole(details.tracks))
    }

    async fn search_albums(&self, query: &Query, page: PageReq) -> Result<Page<Album>> {
        refuse("lastfm", query, &[Part::Title, Part::Year])?;
        let album = joined([&query.text, &query.album, &query.artist]).unwrap_or_default();
        let mut found = self.page(AlbumSearch { album, ..Default::default() }, page).await?;
        let artist = query.artist.as_deref().unwrap_or_default().to_lowercase();
        let is_by = |by: &ArtistRef| by.name.to_lowercase().contains(&artist);
        found.items.retain(|album| album.artists.iter().any(is_by));
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
        self.page(ArtistGetTopAlbums { artist, mbid, ..Default::default() }, page).await
    }

    async fn artist_top_tracks(&self, id: &ArtistId, _: Option<Market>) -> Result<Vec<Track>> {
        let Place { artist, mbid, .. } = Place::of_artist(id)?;
        let call = ArtistGetTopTracks { artist, mbid, ..Default::default() };
        self.caller.call(&call).await.map(|list| list.items)
    }

    async fn search_artists(&self, query: &Query, page: PageReq) -> Result<Page<Artist>> {
        refuse("lastfm", query, &[Part::Title, Part::Album, Part::Year])?;
        let artist = joined([&query.text, &query.artist]).unwrap_or_default();
        self.page(ArtistSearch { artist, ..Default::default() }, page).await
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
        self.page(TagGetTopTracks { tag: tag.to_owned(), ..Default::default() }, page).await
    }
}

#[async_trait]
impl LibraryDriver for Lastfm {
    async fn saved_tracks(&self, page: PageReq) -> Result<Page<PlaylistEntry>> {
        self.page(UserGetLovedTracks { user: self.user()?, ..Default::default() }, page).await
    }

    async fn save_tracks(&self, tracks: &[TrackId]) -> Vec<Result<()>> {
        one_by_one(tracks, |id| self.love(id, true)).await
    }

    async fn remove_tracks(&self, tracks: &[TrackId]) -> Vec<Result<()>> {
        one_by_one(tracks, |id| self.love(id, false)).await
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
}

#[async_trait]
impl HistoryDriver for Lastfm {
    async fn recently_played(&self, page: PageReq) -> Result<Page<Played>> {
        self.page(UserGetRecentTracks { user: self.user()?, ..Default::default() }, page).await
    }

    async fn top_tracks(&self, period: &Period, page: PageReq) -> Result<Page<Track>> {
        let (user, period) = (self.user()?, Some(spelled(period).to_owned()));
        self.page(UserGetTopTracks { user, period, ..Default::default() }, page).await
    }

    async fn top_artists(&self, period: &Period, page: PageReq) -> Result<Page<Artist>> {
        let (user, period) = (self.user()?, Some(spelled(period).to_owned()));
        self.page(UserGetTopArtists { user, period, ..Default::default() }, page).await
    }
}

#[async_trait]
impl ScrobbleDriver for Lastfm {
    async fn scrobble(&self, plays: &[Play]) -> Vec<Result<Scrobbled>> {
        by_batch(plays, LARGEST_BATCH, |batch| {
            let call = TrackScrobble { plays: batch.to_vec() };
            async move { self.caller.call(&call).await }
        })
        .await
    }

    async fn now_playing(&self, play: &Play) -> Result<()> {
        let outcome = self.caller.call(&TrackUpdateNowPlaying { play: play.clone() }).await?;
        let Scrobbled::Ignored(reason) = outcome else { return Ok(()) };
        let message = format!("the service does not show this: {reason}");
        Err(Error::new(ErrorKind::Declined, Effect::Rejected, message).with_op(TrackUpdateNowPlaying::OP))
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

    /// A track is loved by its names; those of a MusicBrainz id are asked for.
    async fn love(&self, id: &TrackId, is_loved: bool) -> Result<()> {
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
        self.user.clone().ok_or_else(|| spec::SPEC.missing("user"))
    }

    /// One page of a list, which `call` names without a place in it.
    async fn page<T, C>(&self, call: C, page: PageReq) -> Result<Page<T>>
    where
        C: Paged<Output = NumberedItems<T>>,
    {
        let place = Numbered::of(Scope::new(C::OP, &call)?, &page, USUAL_PAGE, LARGEST_PAGE)?;
        self.caller.call(&call.at(&place)).await.map(|found| place.page(found))
    }
}

/// Vendor page: <https://www.last.fm/api/show/user.getTopTracks>; what it knows besides can be given in its own words.
fn spelled(period: &Period) -> &str {
    match period {
        Period::Month => "1month",
        Period::HalfYear => "6month",
        Period::Year => "12month",
        Period::All => "overall",
        other => other.as_str(),
    }
}
