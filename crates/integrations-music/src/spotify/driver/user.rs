//! What the user saved, and what the user heard.

use async_trait::async_trait;
use integrations_core::page::{Page, PageReq, Scope};
use integrations_core::{Effect, Error, ErrorKind, Result};

use super::super::ops::{Args, CheckItems, GetRecentlyPlayed, List, RemoveItems, SaveItems, Saved};
use super::super::{Spotify, wire};
use super::{all, convert, track_uris};
use crate::batch::by_batch;
use crate::{Album, Artist, HistoryDriver, LibraryDriver, Period, Played, PlaylistEntry, Track, TrackId};

/// <https://developer.spotify.com/documentation/web-api/reference/save-library-items>
const LIBRARY_BATCH: usize = 40;

impl Spotify {
    /// Writes batch by batch.
    async fn each_batch<A: Args<Output = ()>>(
        &self,
        tracks: &[TrackId],
        write: impl Fn(Vec<String>) -> A + Send + Sync,
    ) -> Vec<Result<()>> {
        by_batch(tracks, LIBRARY_BATCH, |batch| {
            let call = self.call(write(track_uris(batch)));
            async move { call.await.map(|()| vec![(); batch.len()]) }
        })
        .await
    }
}

#[async_trait]
impl LibraryDriver for Spotify {
    async fn saved_tracks(&self, page: PageReq) -> Result<Page<PlaylistEntry>> {
        let args = List::<Saved<wire::Track>> { market: self.market, ..List::default() };
        self.listed(args, &page, 50, |entry| Ok(convert::entry(entry))).await
    }

    async fn save_tracks(&self, tracks: &[TrackId]) -> Vec<Result<()>> {
        self.each_batch(tracks, |uris| SaveItems { uris }).await
    }

    async fn remove_tracks(&self, tracks: &[TrackId]) -> Vec<Result<()>> {
        self.each_batch(tracks, |uris| RemoveItems { uris }).await
    }

    async fn has_tracks(&self, tracks: &[TrackId]) -> Result<Vec<bool>> {
        let mut told = Vec::with_capacity(tracks.len());
        for batch in tracks.chunks(LIBRARY_BATCH) {
            let has = self.ask(CheckItems { uris: track_uris(batch) }, |has| all(has, Ok)).await?;
            if has.len() != batch.len() {
                return Err(incomplete());
            }
            told.extend(has);
        }
        Ok(told)
    }

    async fn saved_albums(&self, page: PageReq) -> Result<Page<Album>> {
        let args = List::<Saved<wire::Album>> { market: self.market, ..List::default() };
        self.listed(args, &page, 50, convert::saved_album).await
    }
}

fn incomplete() -> Error {
    let message = "the answer does not say it of each track";
    Error::new(ErrorKind::Decode, Effect::Rejected, message).with_op(CheckItems::OP)
}

#[async_trait]
impl HistoryDriver for Spotify {
    /// Goes backwards by the time of the oldest one that a page has.
    async fn recently_played(&self, page: PageReq) -> Result<Page<Played>> {
        let scope = Scope::new(GetRecentlyPlayed::OP, &())?;
        let before = scope.position(page.cursor.as_ref())?;
        let limit = Some(page.limit.unwrap_or(50).clamp(1, 50));
        self.ask(GetRecentlyPlayed { limit, before, after: None }, |found| {
            let before = found.cursors.and_then(|cursors| cursors.before);
            let next = before.filter(|_| found.next.is_some()).map(|before| scope.cursor(before));
            Ok(Page::new(found.items.into_iter().map(convert::played).collect::<Result<_>>()?, next))
        })
        .await
    }

    async fn top_tracks(&self, period: &Period, page: PageReq) -> Result<Page<Track>> {
        let args = List::<wire::Track> { time_range: Some(time_range(period)?), ..List::default() };
        self.listed(args, &page, 50, convert::track).await
    }

    async fn top_artists(&self, period: &Period, page: PageReq) -> Result<Page<Artist>> {
        let args = List::<wire::Artist> { time_range: Some(time_range(period)?), ..List::default() };
        self.listed(args, &page, 50, convert::artist).await
    }
}

/// The service counts over about four weeks, six months and a year.
/// <https://developer.spotify.com/documentation/web-api/reference/get-users-top-artists-and-tracks>
fn time_range(period: &Period) -> Result<String> {
    match period {
        Period::Month => Ok("short_term".to_owned()),
        Period::HalfYear => Ok("medium_term".to_owned()),
        Period::Year | Period::All => Ok("long_term".to_owned()),
        _ => Err(Error::invalid_request("`spotify` does not count over this period")),
    }
}
