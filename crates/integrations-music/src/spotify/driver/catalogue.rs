//! Albums, artists, and what is like them.

use async_trait::async_trait;
use integrations_core::page::{Page, PageReq};
use integrations_core::{Error, Result};

use super::super::ops::{GetRecommendations, ListOf, RelatedArtists, TopTracks};
use super::super::{Spotify, wire};
use super::id::id as id_of;
use super::{all, convert, everywhere};
use crate::{
    Album, AlbumDriver, AlbumId, Artist, ArtistDriver, ArtistId, ArtistInfo, ArtistInfoDriver, Market, Query,
    RecommendationDriver, Seeds, Track,
};

#[async_trait]
impl AlbumDriver for Spotify {
    async fn album(&self, id: &AlbumId, market: Option<Market>) -> Result<Album> {
        self.ask(self.one::<wire::Album>(id_of("album", id)?, market), convert::album).await
    }

    async fn album_tracks(&self, id: &AlbumId, market: Option<Market>, page: PageReq) -> Result<Page<Track>> {
        let market = self.in_market(market);
        let args = ListOf::<wire::Track> { id: id_of("album", id)?, market, ..ListOf::default() };
        self.listed(args, &page, 50, convert::track).await
    }

    async fn search_albums(&self, query: &Query, page: PageReq) -> Result<Page<Album>> {
        self.found(self.search_for("album", query), &page, |found| found.albums, convert::album).await
    }
}

#[async_trait]
impl ArtistDriver for Spotify {
    async fn artist(&self, id: &ArtistId) -> Result<Artist> {
        self.ask(everywhere::<wire::Artist>(id_of("artist", id)?), convert::artist).await
    }

    async fn artist_albums(
        &self,
        id: &ArtistId,
        market: Option<Market>,
        page: PageReq,
    ) -> Result<Page<Album>> {
        let market = self.in_market(market);
        let args = ListOf::<wire::Album> { id: id_of("artist", id)?, market, ..ListOf::default() };
        self.listed(args, &page, if self.is_extended { 50 } else { 10 }, convert::album).await
    }

    async fn artist_top_tracks(&self, id: &ArtistId, market: Option<Market>) -> Result<Vec<Track>> {
        self.ask(self.one::<TopTracks>(id_of("artist", id)?, market), |found| all(found, convert::track))
            .await
    }

    async fn search_artists(&self, query: &Query, page: PageReq) -> Result<Page<Artist>> {
        self.found(self.search_for("artist", query), &page, |found| found.artists, convert::artist).await
    }
}

#[async_trait]
impl ArtistInfoDriver for Spotify {
    /// Not among the capabilities.
    async fn artist_info(&self, _: &ArtistId) -> Result<ArtistInfo> {
        Err(Error::unsupported("`spotify` tells nothing about artists beyond the catalogue", "ask `lastfm`"))
    }

    async fn similar_artists(&self, id: &ArtistId) -> Result<Vec<Artist>> {
        self.ask(everywhere::<RelatedArtists>(id_of("artist", id)?), |found| all(found, convert::artist))
            .await
    }
}

#[async_trait]
impl RecommendationDriver for Spotify {
    async fn recommend(&self, seeds: &Seeds, limit: u32, market: Option<Market>) -> Result<Vec<Track>> {
        let args = GetRecommendations {
            seed_tracks: seeds.tracks.iter().map(|id| id_of("track", id)).collect::<Result<_>>()?,
            seed_artists: seeds.artists.iter().map(|id| id_of("artist", id)).collect::<Result<_>>()?,
            seed_genres: seeds.genres.clone(),
            limit: Some(limit),
            market: self.in_market(market),
            ..GetRecommendations::default()
        };
        self.ask(args, |found| all(found, convert::track)).await
    }
}
