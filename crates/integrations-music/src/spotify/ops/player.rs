//! Playback. Control needs the user's Premium subscription; a device that is not named is the one that plays now.

use integrations_core::Op;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Args, Only};
use crate::Market;
use crate::spotify::spec;
use crate::spotify::wire::{Device, Playback, Queue};

/// `GET /me/player`: what plays where. `None` when nothing does.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GetPlayback {
    /// Whose catalogue is meant.
    pub market: Option<Market>,
    /// `track`, `episode`: what the caller understands.
    pub additional_types: Vec<String>,
}

impl Args for GetPlayback {
    type Output = Option<Playback>;
    const OP: &'static Op = &spec::GET_PLAYBACK;
}

/// `GET /me/player/currently-playing`: what plays, without where. `None` when nothing does.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GetCurrentlyPlaying(pub GetPlayback);

impl Args for GetCurrentlyPlaying {
    type Output = Option<Playback>;
    const OP: &'static Op = &spec::GET_CURRENTLY_PLAYING;
}

/// `PUT /me/player`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Transfer {
    /// The one device that is to play.
    pub device_ids: Vec<String>,
    /// Whether it starts to play; else it does what the last one did.
    pub play: Option<bool>,
}

impl Args for Transfer {
    type Output = ();
    const OP: &'static Op = &spec::TRANSFER_PLAYBACK;
    const BODY: &'static [&'static str] = &["device_ids", "play"];
}

/// What a player is told.
pub trait Command: Serialize + DeserializeOwned + Send + Sync {
    /// The operation.
    const OP: &'static Op;
    /// The fields that go into the body.
    const BODY: &'static [&'static str] = &[];
}

/// A command for a device.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Control<C> {
    /// The device.
    pub device_id: Option<String>,
    /// The command.
    #[serde(flatten)]
    pub command: C,
}

impl<C: Command> Args for Control<C> {
    type Output = ();
    const OP: &'static Op = C::OP;
    const BODY: &'static [&'static str] = C::BODY;
}

/// `PUT /me/player/play`: what is named, else what was paused.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Play {
    /// The URI of an album, artist or playlist.
    pub context_uri: Option<String>,
    /// URIs of tracks or episodes, without a context.
    pub uris: Option<Vec<String>>,
    /// Where to begin: `{"position": 5}` or `{"uri": "…"}`.
    pub offset: Option<Map<String, Value>>,
    /// How far into the first, in milliseconds.
    pub position_ms: Option<u64>,
}

impl Command for Play {
    const OP: &'static Op = &spec::PLAY;
    const BODY: &'static [&'static str] = &["context_uri", "uris", "offset", "position_ms"];
}

/// `PUT /me/player/pause`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pause {}

impl Command for Pause {
    const OP: &'static Op = &spec::PAUSE;
}

/// `POST /me/player/next`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Next {}

impl Command for Next {
    const OP: &'static Op = &spec::SKIP_TO_NEXT;
}

/// `POST /me/player/previous`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Previous {}

impl Command for Previous {
    const OP: &'static Op = &spec::SKIP_TO_PREVIOUS;
}

/// `PUT /me/player/seek`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Seek {
    /// How far into the track, in milliseconds.
    pub position_ms: u64,
}

impl Command for Seek {
    const OP: &'static Op = &spec::SEEK;
}

/// `PUT /me/player/repeat`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Repeat {
    /// `off`, `track` or `context`.
    pub state: String,
}

impl Command for Repeat {
    const OP: &'static Op = &spec::SET_REPEAT;
}

/// `PUT /me/player/volume`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Volume {
    /// From 0 to 100.
    pub volume_percent: u8,
}

impl Command for Volume {
    const OP: &'static Op = &spec::SET_VOLUME;
}

/// `PUT /me/player/shuffle`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Shuffle {
    /// Whether the order is random.
    pub state: bool,
}

impl Command for Shuffle {
    const OP: &'static Op = &spec::SET_SHUFFLE;
}

/// `POST /me/player/queue`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Enqueue {
    /// The URI of a track or episode.
    pub uri: String,
}

impl Command for Enqueue {
    const OP: &'static Op = &spec::ENQUEUE;
}

rows! { Only, Output, GET:
    Device => GET_DEVICES, Vec<Option<Self>>, "devices";
    Queue => GET_QUEUE, Self;
}
