//! The category's operations on this service. Both quota modes take the calls that both have.

mod catalogue;
mod convert;
mod paging;
mod playback;
mod playlists;
mod user;

use async_trait::async_trait;
use integrations_core::driver::{Caps, Driver};
use integrations_core::page::{self, Page, PageReq};
use integrations_core::{Effect, Result, Safety};

use super::ops::{Args, Call, Get, Search, Single};
use super::{Spotify, spec, wire};
use crate::{
    AlbumDriver, ArtistDriver, ArtistInfoDriver, HistoryDriver, Isrc, IsrcDriver, LibraryDriver, Market,
    MusicDriver, PlaybackDriver, PlaybackTokenDriver, PlaylistDriver, Query, RecommendationDriver, Track,
    TrackId,
};

use paging::WINDOW;

impl Spotify {
    /// Calls one operation of the service's own, with the fields that it takes.
    pub async fn call<A: Args>(&self, args: A) -> Result<A::Output> {
        self.caller.call(&Call(args)).await
    }

    /// One call, and its answer as the category has it.
    async fn ask<A: Args, T>(&self, args: A, read: impl FnOnce(A::Output) -> Result<T>) -> Result<T> {
        let effect = if A::OP.safety == Safety::Read { Effect::Rejected } else { Effect::Applied };
        let answer = self.call(args).await?;
        read(answer).map_err(|error| error.with_op(A::OP).with_effect(effect))
    }

    fn in_market(&self, market: Option<Market>) -> Option<Market> {
        market.or(self.market)
    }

    fn one<K: Single + Default>(&self, id: &impl ToString, market: Option<Market>) -> Get<K> {
        Get { market: self.in_market(market), ..everywhere(id) }
    }

    fn search_for(&self, kind: &str, query: &Query) -> Search {
        let market = self.in_market(query.market);
        Search { q: words(query), kinds: vec![kind.to_owned()], market, ..Search::default() }
    }

    async fn found_tracks(&self, search: Search, page: &PageReq) -> Result<Page<Track>> {
        self.found(search, page, |found| found.tracks, convert::track).await
    }
}

/// What is the same in every market.
fn everywhere<K: Single + Default>(id: &impl ToString) -> Get<K> {
    Get { id: id.to_string(), ..Get::default() }
}

/// What is there of a list that has nulls for what is not.
fn all<T, U>(found: Vec<Option<T>>, read: impl FnMut(T) -> Result<U>) -> Result<Vec<U>> {
    found.into_iter().flatten().map(read).collect()
}

/// An id as the service's address of it; one that is an address stays as it is.
fn uri(kind: &str, id: &str) -> String {
    if id.starts_with("spotify:") { id.to_owned() } else { format!("spotify:{kind}:{id}") }
}

fn track_uris(tracks: &[TrackId]) -> Vec<String> {
    tracks.iter().map(|track| uri("track", track.as_str())).collect()
}

/// The query in the service's words. A quotation mark would end the words that it stands in.
/// <https://developer.spotify.com/documentation/web-api/reference/search>
fn words(query: &Query) -> String {
    let plain = |words: &str| words.replace('"', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let filter = |name: &str, words: &Option<String>| {
        let words = words.as_deref().map(plain).filter(|words| !words.is_empty())?;
        Some(format!("{name}:\"{words}\""))
    };
    let parts = [
        query.text.as_deref().map(plain).filter(|words| !words.is_empty()),
        filter("track", &query.title),
        filter("artist", &query.artist),
        filter("album", &query.album),
        query.year.map(|year| format!("year:{year}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

impl Driver for Spotify {
    integrations_core::client_driver!(&spec::SPEC);

    fn caps(&self) -> Caps {
        self.granted()
    }
}

#[async_trait]
impl MusicDriver for Spotify {
    async fn track(&self, id: &TrackId, market: Option<Market>) -> Result<Track> {
        self.ask(self.one::<wire::Track>(id, market), convert::track).await
    }

    async fn search(&self, query: &Query, page: PageReq) -> Result<Page<Track>> {
        self.found_tracks(self.search_for("track", query), &page).await
    }

    integrations_core::facets! {
        isrc: IsrcDriver, albums: AlbumDriver, artists: ArtistDriver, artist_info: ArtistInfoDriver,
        playlists: PlaylistDriver, library: LibraryDriver, history: HistoryDriver,
        recommendations: RecommendationDriver, playback: PlaybackDriver, playback_tokens: PlaybackTokenDriver,
    }
}

#[async_trait]
impl IsrcDriver for Spotify {
    /// The service looks a code up by its search, which may find more than was asked for.
    async fn tracks_by_isrc(&self, isrc: &Isrc, market: Option<Market>) -> Result<Vec<Track>> {
        let market = self.in_market(market);
        let search = Search {
            q: format!("isrc:{isrc}"),
            kinds: vec!["track".to_owned()],
            market,
            ..Search::default()
        };
        let found = page::pages(PageReq::first(), |page| {
            let search = search.clone();
            async move { self.found_tracks(search, &page).await }
        });
        let mut tracks = found.collect_up_to(WINDOW as usize).await?;
        tracks.retain(|track| track.ids.isrc.as_ref().is_none_or(|code| code == isrc));
        Ok(tracks)
    }
}
