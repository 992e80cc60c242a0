//! The user's playlists.

use async_trait::async_trait;
use integrations_core::Result;
use integrations_core::page::{Page, PageReq};

use super::super::ops::{
    AddContents, Args, ChangePlaylist, CreatePlaylist, GetContents, GetPlaylist, Items, List, RemoveContents,
    RemoveItems, ReorderContents, ReplaceContents,
};
use super::super::{Spotify, wire};
use super::convert;
use super::id::{entry_uris, id as id_of, uri};
use crate::{
    Market, NewPlaylist, Playlist, PlaylistDriver, PlaylistEdit, PlaylistEntry, PlaylistId, Snapshot, TrackId,
};

/// <https://developer.spotify.com/documentation/web-api/reference/add-items-to-playlist>
const MOST_PER_WRITE: usize = 100;

impl Spotify {
    /// One write, and the version of the playlist that it made.
    async fn write<A: Args<Output = wire::Version>>(&self, args: A) -> Result<Option<Snapshot>> {
        Ok(self.call(args).await?.snapshot_id.map(Snapshot::from))
    }
}

#[async_trait]
impl PlaylistDriver for Spotify {
    async fn playlists(&self, page: PageReq) -> Result<Page<Playlist>> {
        self.listed(List::<wire::Playlist>::default(), &page, 50, convert::playlist).await
    }

    async fn playlist(&self, id: &PlaylistId) -> Result<Playlist> {
        let args = GetPlaylist { id: id_of("playlist", id)?, market: self.market, ..GetPlaylist::default() };
        self.ask(args, convert::playlist).await
    }

    /// Without the types an episode would come as a track that is none. In a market others stand in for tracks, and
    /// development mode does not tell for which: only a call that names one gets it.
    async fn entries(
        &self,
        id: &PlaylistId,
        market: Option<Market>,
        page: PageReq,
    ) -> Result<Page<PlaylistEntry>> {
        let args = GetContents::<Items> {
            id: id_of("playlist", id)?,
            market,
            additional_types: ["track", "episode"].map(str::to_owned).into(),
            ..GetContents::default()
        };
        self.listed(args, &page, 50, |entry| Ok(convert::entry(entry))).await
    }

    /// What others may change cannot be public, which it would be if nothing were said.
    async fn create(&self, new: &NewPlaylist) -> Result<Playlist> {
        let args = CreatePlaylist {
            name: new.name.clone(),
            description: new.description.clone(),
            public: new.public.or(new.collaborative.then_some(false)),
            collaborative: new.collaborative.then_some(true),
        };
        self.ask(args, convert::playlist).await
    }

    async fn edit(&self, id: &PlaylistId, edit: &PlaylistEdit) -> Result<()> {
        let PlaylistEdit { name, description, public, collaborative } = edit.clone();
        let id = id_of("playlist", id)?;
        self.call(ChangePlaylist { id, name, description, public, collaborative }).await
    }

    /// There is no deletion: the user's library lets it go.
    async fn delete(&self, id: &PlaylistId) -> Result<()> {
        self.call(RemoveItems { uris: vec![uri("playlist", id)?] }).await
    }

    async fn add(&self, id: &PlaylistId, tracks: &[TrackId], at: Option<u32>) -> Result<Option<Snapshot>> {
        let (id, uris) = (id_of("playlist", id)?, entry_uris(tracks)?);
        let args = AddContents::<Items> { id, uris, position: at, ..AddContents::default() };
        self.write(args).await
    }

    async fn remove(
        &self,
        id: &PlaylistId,
        tracks: &[TrackId],
        seen: Option<&Snapshot>,
    ) -> Result<Option<Snapshot>> {
        let args = RemoveContents::<Items> {
            id: id_of("playlist", id)?,
            uris: entry_uris(tracks)?,
            snapshot_id: seen.map(ToString::to_string),
            ..RemoveContents::default()
        };
        self.write(args).await
    }

    async fn reorder(
        &self,
        id: &PlaylistId,
        from: u32,
        length: u32,
        before: u32,
        seen: Option<&Snapshot>,
    ) -> Result<Option<Snapshot>> {
        let args = ReorderContents::<Items> {
            id: id_of("playlist", id)?,
            range_start: from,
            insert_before: before,
            range_length: Some(length),
            snapshot_id: seen.map(ToString::to_string),
            ..ReorderContents::default()
        };
        self.write(args).await
    }

    async fn replace(&self, id: &PlaylistId, tracks: &[TrackId]) -> Result<Option<Snapshot>> {
        let (id, uris) = (id_of("playlist", id)?, entry_uris(tracks)?);
        self.write(ReplaceContents::<Items> { id, uris, ..ReplaceContents::default() }).await
    }

    fn most_per_write(&self) -> usize {
        MOST_PER_WRITE
    }
}
