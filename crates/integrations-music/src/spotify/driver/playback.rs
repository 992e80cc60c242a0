//! Playback on the user's devices, and tokens for players elsewhere.

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use integrations_core::{Body, Error, Result, SecretString};

use super::super::ops::{
    Command, Control, Enqueue, Fetch, GetPlayback, Next, Pause, Play, Previous, Repeat, Seek, Shuffle,
    Transfer, Volume,
};
use super::super::{Spotify, wire};
use super::id::{track_uri, uri};
use super::{all, convert};
use crate::{
    Device, DeviceId, Enqueued, PlayRequest, PlaybackDriver, PlaybackState, PlaybackToken,
    PlaybackTokenDriver, RepeatMode, TrackId,
};

impl Spotify {
    async fn tell(&self, device: Option<&DeviceId>, command: impl Command) -> Result<()> {
        self.call(Control { device_id: device.map(ToString::to_string), command }).await
    }
}

#[async_trait]
impl PlaybackDriver for Spotify {
    async fn state(&self) -> Result<Option<PlaybackState>> {
        let args = GetPlayback { market: self.market, ..GetPlayback::default() };
        self.ask(args, |found| found.map(convert::playback).transpose()).await
    }

    async fn devices(&self) -> Result<Vec<Device>> {
        self.ask(Fetch::<wire::Device>::default(), |found| all(found, |device| Ok(convert::device(device))))
            .await
    }

    async fn queue(&self) -> Result<Enqueued> {
        self.ask(Fetch::<wire::Queue>::default(), convert::queue).await
    }

    async fn play(&self, what: &PlayRequest, device: Option<&DeviceId>) -> Result<()> {
        let mut play = Play::default();
        match what {
            PlayRequest::Resume => {}
            PlayRequest::Tracks(tracks) => {
                play.uris = Some(tracks.iter().map(track_uri).collect::<Result<_>>()?);
            }
            PlayRequest::Album(id) => play.context_uri = Some(uri("album", id)?),
            PlayRequest::Artist(id) => play.context_uri = Some(uri("artist", id)?),
            PlayRequest::Playlist(id) => play.context_uri = Some(uri("playlist", id)?),
            _ => return Err(Error::invalid_request("`spotify` cannot play this")),
        }
        self.tell(device, play).await
    }

    async fn pause(&self, device: Option<&DeviceId>) -> Result<()> {
        self.tell(device, Pause {}).await
    }

    async fn next(&self, device: Option<&DeviceId>) -> Result<()> {
        self.tell(device, Next {}).await
    }

    async fn previous(&self, device: Option<&DeviceId>) -> Result<()> {
        self.tell(device, Previous {}).await
    }

    async fn seek(&self, position_ms: u64, device: Option<&DeviceId>) -> Result<()> {
        self.tell(device, Seek { position_ms }).await
    }

    async fn set_volume(&self, percent: u8, device: Option<&DeviceId>) -> Result<()> {
        self.tell(device, Volume { volume_percent: percent }).await
    }

    async fn set_shuffle(&self, on: bool, device: Option<&DeviceId>) -> Result<()> {
        self.tell(device, Shuffle { state: on }).await
    }

    async fn set_repeat(&self, mode: &RepeatMode, device: Option<&DeviceId>) -> Result<()> {
        self.tell(device, Repeat { state: mode.to_string() }).await
    }

    async fn enqueue(&self, track: &TrackId, device: Option<&DeviceId>) -> Result<()> {
        self.tell(device, Enqueue { uri: track_uri(track)? }).await
    }

    async fn transfer(&self, device: &DeviceId, play: bool) -> Result<()> {
        self.call(Transfer { device_ids: vec![device.to_string()], play: Some(play) }).await
    }
}

#[async_trait]
impl PlaybackTokenDriver for Spotify {
    /// What would prove a call, whatever it comes from; nothing is sent.
    async fn playback_token(&self) -> Result<PlaybackToken> {
        let mut request = http::Request::new(Body::Empty);
        self.proof.authorize.authorize(&mut request).await?;
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|header| header.strip_prefix("Bearer "));
        let token = token
            .ok_or_else(|| Error::unsupported("calls are not proved by a token", "set `access_token`"))?;
        Ok(PlaybackToken::new(SecretString::from(token)))
    }
}
