//! Playback: devices, what plays, the queue, and what was played.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::ask::{API, Ask, Refusal, Reply, base62, ok, uri_parts};
use super::catalogue::{Catalogue, Track};
use super::playlists::shown_item;
use super::{BEGINNING, HEX, Service};
use crate::issuer::invented;
use crate::{Answer, World};

/// A song counts as played after this long.
const COUNTS_AFTER: i64 = 30_000;
/// How far the first song has come when everything begins.
const FIRST_PROGRESS: i64 = 42_000;
/// More than any page holds.
const FIRST_PLAYS: i64 = 60;
const REPEATS: &[&str] = &["off", "track", "context"];

/// Something that plays.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) id: String,
    name: &'static str,
    kind: &'static str,
    is_active: bool,
    volume: i64,
}

/// What was played.
#[derive(Debug, Clone)]
struct Play {
    uri: String,
    at: Timestamp,
    context: Option<String>,
}

/// A user's playback.
#[derive(Debug)]
pub(super) struct Player {
    pub(super) devices: Vec<Device>,
    context: Option<String>,
    /// What plays one after the other.
    tracks: Vec<String>,
    index: usize,
    /// What plays now; it may come from the queue.
    current: Option<String>,
    queue: Vec<String>,
    progress: i64,
    /// When `progress` was right.
    since: Timestamp,
    is_playing: bool,
    shuffles: bool,
    repeat: String,
    /// How often what plays was changed.
    moves: u64,
    /// Oldest first.
    history: Vec<Play>,
}

/// The answer about playback, or nothing if this part has no such route.
pub(super) fn route(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>) -> Option<Reply> {
    let (method, path) = ask.route();
    let ["me", "player", rest @ ..] = path else { return None };
    Some(match (method, rest) {
        ("GET", []) => state(service, ask),
        ("GET", ["devices"]) => devices(service, ask),
        ("GET", ["currently-playing"]) => currently_playing(service, ask),
        ("GET", ["recently-played"]) => recently_played(service, ask),
        ("GET", ["queue"]) => queue(service, ask),
        ("PUT", []) => transfer(service, ask, world),
        ("PUT", ["play"]) => play(service, ask, world),
        ("PUT", ["pause"]) => command(service, ask, world, "pause", |player, _| {
            player.is_playing = false;
            Ok(String::new())
        }),
        ("PUT", ["seek"]) => command(service, ask, world, "seek", seek),
        ("PUT", ["repeat"]) => command(service, ask, world, "repeat", repeat),
        ("PUT", ["volume"]) => command(service, ask, world, "volume", volume),
        ("PUT", ["shuffle"]) => command(service, ask, world, "shuffle", shuffle),
        ("POST", ["next"]) => skip(service, ask, world, "next", Player::next),
        ("POST", ["previous"]) => skip(service, ask, world, "previous", Player::previous),
        ("POST", ["queue"]) => enqueue(service, ask, world),
        _ => return None,
    })
}

/// The player of the user, at the present time.
fn player<'s>(service: &'s mut Service, ask: &Ask<'_>, scopes: &[&str]) -> Result<&'s mut Player, Refusal> {
    let user = ask.user_with(scopes)?;
    let account = service.accounts.get_mut(user).ok_or_else(Refusal::absent)?;
    account.player.advance(&service.catalogue, ask.now);
    Ok(&mut account.player)
}

fn state(service: &mut Service, ask: &Ask<'_>) -> Reply {
    let player = player(service, ask, &["user-read-playback-state"])?;
    let Some(device) = player.devices.iter().find(|device| device.is_active).map(Device::shown) else {
        return Ok(Answer::empty(204));
    };
    let (shuffles, repeat) = (player.shuffles, player.repeat.clone());
    let mut object = playing(service, ask)?;
    object["device"] = device;
    object["repeat_state"] = repeat.into();
    object["shuffle_state"] = shuffles.into();
    ok(&object)
}

fn currently_playing(service: &mut Service, ask: &Ask<'_>) -> Reply {
    let player = player(service, ask, &["user-read-currently-playing"])?;
    if player.current.is_none() || !player.devices.iter().any(|device| device.is_active) {
        return Ok(Answer::empty(204));
    }
    ok(&playing(service, ask)?)
}

fn playing(service: &mut Service, ask: &Ask<'_>) -> Result<Value, Refusal> {
    let user = ask.user()?;
    let account = service.accounts.get(user).ok_or_else(Refusal::absent)?;
    let player = &account.player;
    let kind = player.current.as_deref().and_then(uri_parts).map_or("unknown", |(kind, _)| kind);
    // Episodes are shown to those who say that they know them.
    let types = ask.call.query("additional_types").unwrap_or("track");
    let is_shown = kind != "episode" || types.split(',').any(|kind| kind == "episode");
    let item = player.current.as_ref().filter(|_| is_shown);
    let mut object = json!({
        "actions": if player.is_playing { json!({"resuming": false}) } else { json!({"pausing": false}) },
        "currently_playing_type": kind,
        "is_playing": player.is_playing,
        "item": item.map(|uri| shown_item(&service.catalogue, &ask.view, uri)),
        "progress_ms": player.progress,
        "timestamp": player.since.as_millisecond(),
    });
    if let Some(uri) = &player.context {
        object["context"] = context(uri);
    }
    Ok(object)
}

fn context(uri: &str) -> Value {
    let (kind, id) = uri_parts(uri).unwrap_or(("unknown", ""));
    json!({
        "external_urls": {"spotify": format!("https://open.spotify.com/{kind}/{id}")},
        "href": format!("{API}/{kind}s/{id}"),
        "type": kind,
        "uri": uri,
    })
}

fn devices(service: &mut Service, ask: &Ask<'_>) -> Reply {
    let player = player(service, ask, &["user-read-playback-state"])?;
    ok(&json!({"devices": player.devices.iter().map(Device::shown).collect::<Vec<_>>()}))
}

fn queue(service: &mut Service, ask: &Ask<'_>) -> Reply {
    let scopes = &["user-read-currently-playing", "user-read-playback-state"];
    let player = player(service, ask, scopes)?;
    let (current, coming) = (player.current.clone(), player.coming());
    let show = |uri: &String| shown_item(&service.catalogue, &ask.view, uri);
    let coming: Vec<Value> = coming.iter().map(show).collect();
    ok(&json!({"currently_playing": current.as_ref().map(show), "queue": coming}))
}

/// What was played, the latest first, in pages that go on before or after an instant in milliseconds.
fn recently_played(service: &mut Service, ask: &Ask<'_>) -> Reply {
    let limit = ask.window(20, 50)?.limit;
    let (before, after) = (ask.number("before")?, ask.number("after")?);
    if before.is_some() && after.is_some() {
        return Err(Refusal::bad("Only one of before and after can be given"));
    }
    let player = player(service, ask, &["user-read-recently-played"])?;
    let fits = |play: &&Play| {
        let at = play.at.as_millisecond();
        before.is_none_or(|before| at < before) && after.is_none_or(|after| at > after)
    };
    let all: Vec<Play> = player.history.iter().rev().filter(fits).cloned().collect();
    // Those that follow an instant most closely come first when one asks for what is after it.
    let start = if after.is_some() { all.len().saturating_sub(limit) } else { 0 };
    let plays = &all[start..all.len().min(start + limit)];
    let items: Vec<Value> = plays.iter().map(|play| shown_play(&service.catalogue, ask, play)).collect();
    let stamp = |play: &Play| play.at.as_millisecond().to_string();
    let (first, last) = (plays.first().map(stamp), plays.last().map(stamp));
    let limit_text = limit.to_string();
    let href = ask.address("me/player/recently-played", &[("limit", &limit_text)]);
    let follow = |name: &str, at: &String| {
        ask.address("me/player/recently-played", &[(name, at), ("limit", &limit_text)])
    };
    let next = match () {
        () if ask.is_loop() => Some(href.clone()),
        () if after.is_some() => first.as_ref().filter(|_| start > 0).map(|at| follow("after", at)),
        () => last.as_ref().filter(|_| limit < all.len()).map(|at| follow("before", at)),
    };
    let cursors = first.zip(last).map(|(first, last)| json!({"after": first, "before": last}));
    ok(&json!({"cursors": cursors, "href": href, "items": items, "limit": limit, "next": next}))
}

fn shown_play(catalogue: &Catalogue, ask: &Ask<'_>, play: &Play) -> Value {
    let mut object = json!({
        "played_at": play.at.to_string(),
        "track": shown_item(catalogue, &ask.view, &play.uri),
    });
    if let Some(uri) = &play.context {
        object["context"] = context(uri);
    }
    object
}

/// Control needs the scope and a subscription.
fn control<'s>(service: &'s mut Service, ask: &Ask<'_>) -> Result<&'s mut Player, Refusal> {
    let user = ask.user_with(&["user-modify-playback-state"])?;
    if !service.accounts.get(user).is_some_and(|account| account.is_premium) {
        return Err(Refusal::new(403, "Player command failed: Premium required").because("PREMIUM_REQUIRED"));
    }
    player(service, ask, &[])
}

/// The device that a command is for becomes the active one.
fn aim(player: &mut Player, ask: &Ask<'_>) -> Result<(), Refusal> {
    match ask.call.query("device_id") {
        Some(id) => player.activate(id),
        None if player.devices.iter().any(|device| device.is_active) => Ok(()),
        None => {
            Err(Refusal::new(404, "Player command failed: No active device found")
                .because("NO_ACTIVE_DEVICE"))
        }
    }
}

/// A command that can be given twice without a difference. What it does tells what was set.
fn command(
    service: &mut Service,
    ask: &Ask<'_>,
    world: &mut World<'_>,
    name: &str,
    act: impl FnOnce(&mut Player, &Ask<'_>) -> Result<String, Refusal>,
) -> Reply {
    let player = control(service, ask)?;
    aim(player, ask)?;
    let subject = act(player, ask)?;
    world.ledger.set(name, subject);
    Ok(Answer::empty(204))
}

fn seek(player: &mut Player, ask: &Ask<'_>) -> Result<String, Refusal> {
    let position = required_number(ask, "position_ms")?;
    if position < 0 {
        return Err(Refusal::bad("Invalid position_ms"));
    }
    player.progress = position;
    Ok(position.to_string())
}

fn volume(player: &mut Player, ask: &Ask<'_>) -> Result<String, Refusal> {
    let percent = required_number(ask, "volume_percent")?;
    if !(0..=100).contains(&percent) {
        return Err(Refusal::bad("Invalid volume_percent"));
    }
    for device in player.devices.iter_mut().filter(|device| device.is_active) {
        device.volume = percent;
    }
    Ok(percent.to_string())
}

fn repeat(player: &mut Player, ask: &Ask<'_>) -> Result<String, Refusal> {
    let state = ask.required("state")?;
    if !REPEATS.contains(&state) {
        return Err(Refusal::bad("Invalid state"));
    }
    state.clone_into(&mut player.repeat);
    Ok(state.to_owned())
}

fn shuffle(player: &mut Player, ask: &Ask<'_>) -> Result<String, Refusal> {
    let state = ask.required("state")?;
    player.shuffles = state.parse().map_err(|_| Refusal::bad("Invalid state"))?;
    Ok(state.to_owned())
}

fn required_number(ask: &Ask<'_>, name: &str) -> Result<i64, Refusal> {
    ask.number(name)?.ok_or_else(|| Refusal::bad(format!("Missing required field: {name}")))
}

fn skip(
    service: &mut Service,
    ask: &Ask<'_>,
    world: &mut World<'_>,
    name: &str,
    act: impl FnOnce(&mut Player, Timestamp),
) -> Reply {
    let player = control(service, ask)?;
    aim(player, ask)?;
    world.ledger.added(name, player.moves.to_string());
    act(player, ask.now);
    Ok(Answer::empty(204))
}

fn enqueue(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>) -> Reply {
    ask.user()?;
    let uri = ask.required("uri")?.to_owned();
    playable(&service.catalogue, &uri)?;
    let player = control(service, ask)?;
    aim(player, ask)?;
    world.ledger.added("queue", &uri);
    player.queue.push(uri);
    Ok(Answer::empty(204))
}

fn playable(catalogue: &Catalogue, uri: &str) -> Result<(), Refusal> {
    if catalogue.plays(uri)? { Ok(()) } else { Err(Refusal::absent()) }
}

fn transfer(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>) -> Reply {
    let body = ask.body()?;
    let player = control(service, ask)?;
    let ids = body["device_ids"].as_array().map(Vec::as_slice);
    let Some([Value::String(id)]) = ids else {
        return Err(Refusal::bad("Exactly one device id is needed"));
    };
    player.activate(id)?;
    if body["play"] == json!(true) {
        player.is_playing = player.current.is_some();
    }
    world.ledger.set("transfer", id);
    Ok(Answer::empty(204))
}

fn play(service: &mut Service, ask: &Ask<'_>, world: &mut World<'_>) -> Reply {
    ask.user()?;
    let body = ask.body()?;
    let wanted = wanted(service, &body)?;
    let position = body["position_ms"].as_i64().filter(|position| *position >= 0);
    if position.is_none() && !body["position_ms"].is_null() {
        return Err(Refusal::bad("Invalid position_ms"));
    }
    let start = wanted.as_ref().map_or(Ok(0), |(_, tracks)| offset(&body["offset"], tracks))?;
    let player = control(service, ask)?;
    aim(player, ask)?;
    if let Some((context, tracks)) = wanted {
        player.remember(ask.now);
        player.current = tracks.get(start).cloned();
        (player.context, player.tracks, player.index, player.progress) = (context, tracks, start, 0);
        player.moves += 1;
    }
    player.progress = position.unwrap_or(player.progress);
    player.is_playing = player.current.is_some();
    let subject = body.to_string();
    world.ledger.set("play", subject);
    Ok(Answer::empty(204))
}

/// What is to be played: a context with what is in it, or single things. Nothing: go on.
type Wanted = (Option<String>, Vec<String>);

fn wanted(service: &Service, body: &Value) -> Result<Option<Wanted>, Refusal> {
    match (&body["context_uri"], &body["uris"]) {
        (Value::Null, Value::Null) => Ok(None),
        (Value::String(uri), Value::Null) => Ok(Some((Some(uri.clone()), inside(service, uri)?))),
        (Value::Null, Value::Array(uris)) if !uris.is_empty() => {
            let uris: Vec<String> =
                uris.iter().map(|uri| uri.as_str().unwrap_or_default().to_owned()).collect();
            uris.iter().try_for_each(|uri| playable(&service.catalogue, uri))?;
            Ok(Some((None, uris)))
        }
        _ => Err(Refusal::bad("Either context_uri or uris can be given")),
    }
}

/// What plays in an album, an artist, a playlist or a show.
fn inside(service: &Service, uri: &str) -> Result<Vec<String>, Refusal> {
    let catalogue = &service.catalogue;
    let (kind, id) = uri_parts(uri).ok_or_else(|| Refusal::bad("Invalid context uri"))?;
    base62(id).map_err(|_| Refusal::bad("Invalid context uri"))?;
    let track = |track: &Track| format!("spotify:track:{}", track.id);
    let found = match kind {
        "album" => catalogue
            .album_of(id)
            .map(|album| album.tracks.iter().map(|&index| track(&catalogue.tracks[index])).collect()),
        "artist" => catalogue.artists.iter().position(|artist| artist.id == id).map(|artist| {
            catalogue.tracks.iter().filter(|track| track.artists.contains(&artist)).map(track).collect()
        }),
        "playlist" => service.playlists.find(id).ok().map(super::playlists::Playlist::uris),
        "show" => catalogue.show_of(id).map(|show| {
            show.parts
                .iter()
                .map(|&part| format!("spotify:episode:{}", catalogue.episodes[part].id))
                .collect()
        }),
        _ => return Err(Refusal::bad("Unsupported context uri")),
    };
    found.ok_or_else(Refusal::absent)
}

fn offset(offset: &Value, tracks: &[String]) -> Result<usize, Refusal> {
    let index = match (&offset["position"], &offset["uri"]) {
        (Value::Null, Value::Null) => Some(0),
        (Value::Null, uri) => tracks.iter().position(|track| Some(track.as_str()) == uri.as_str()),
        (position, _) => position.as_u64().and_then(|position| usize::try_from(position).ok()),
    };
    index.filter(|index| *index < tracks.len().max(1)).ok_or_else(|| Refusal::bad("Invalid offset"))
}

impl Device {
    fn shown(&self) -> Value {
        json!({
            "id": self.id, "is_active": self.is_active, "is_private_session": false, "is_restricted": false,
            "name": self.name, "supports_volume": true, "type": self.kind, "volume_percent": self.volume,
        })
    }
}

impl Player {
    /// A player that is silent, with two devices, neither of them active.
    pub(super) fn silent(seed: u64, user: &str) -> Self {
        let device = |name: &'static str, kind: &'static str, volume: i64| Device {
            id: invented(HEX, seed, &format!("device:{user}:{name}"), 40),
            name,
            kind,
            is_active: false,
            volume,
        };
        Self {
            devices: vec![device("Desk", "Computer", 60), device("Kitchen", "Speaker", 35)],
            context: None,
            tracks: Vec::new(),
            index: 0,
            current: None,
            queue: Vec::new(),
            progress: 0,
            since: BEGINNING,
            is_playing: false,
            shuffles: false,
            repeat: "off".to_owned(),
            moves: 0,
            history: Vec::new(),
        }
    }

    /// The same, playing a context on the first device, with plays behind it.
    pub(super) fn playing(mut self, context: String, tracks: Vec<String>, catalogue: &Catalogue) -> Self {
        self.devices[0].is_active = true;
        self.current = tracks.first().cloned();
        self.history = (0..FIRST_PLAYS)
            .rev()
            .zip(catalogue.tracks.iter().cycle())
            .map(|(number, track)| Play {
                uri: format!("spotify:track:{}", track.id),
                at: back(SignedDuration::from_mins(5 * number + 5)),
                context: (number % 2 == 0).then(|| context.clone()),
            })
            .collect();
        (self.context, self.tracks, self.progress) = (Some(context), tracks, FIRST_PROGRESS);
        self.is_playing = true;
        "context".clone_into(&mut self.repeat);
        self
    }

    fn activate(&mut self, id: &str) -> Result<(), Refusal> {
        if !self.devices.iter().any(|device| device.id == id) {
            return Err(Refusal::new(404, "Device not found"));
        }
        for device in &mut self.devices {
            device.is_active = device.id == id;
        }
        Ok(())
    }

    /// What time did: songs that ended were followed by others.
    fn advance(&mut self, catalogue: &Catalogue, now: Timestamp) {
        let passed = now.as_millisecond() - self.since.as_millisecond();
        self.since = now;
        if !self.is_playing {
            return;
        }
        self.progress += passed.max(0);
        while self.is_playing {
            let length = self.current.as_deref().map_or(0, |uri| length(catalogue, uri));
            if length == 0 || self.progress < length {
                return;
            }
            let rest = self.progress - length;
            self.progress = length;
            if self.repeat == "track" {
                self.remember(now);
            } else {
                self.next(now);
            }
            self.progress = rest;
        }
        self.progress = 0;
    }

    /// What plays now has been played, if it went on for long enough.
    fn remember(&mut self, now: Timestamp) {
        // Episodes are not in the history.
        let song = self.current.clone().filter(|uri| uri.starts_with("spotify:track:"));
        if let Some(uri) = song.filter(|_| self.progress >= COUNTS_AFTER) {
            self.history.push(Play { uri, at: now, context: self.context.clone() });
        }
    }

    fn next(&mut self, now: Timestamp) {
        self.remember(now);
        self.moves += 1;
        self.progress = 0;
        if !self.queue.is_empty() {
            self.current = Some(self.queue.remove(0));
            return;
        }
        self.index += 1;
        if self.index >= self.tracks.len() {
            self.index = 0;
            self.is_playing = self.is_playing && self.repeat != "off";
        }
        self.current = self.tracks.get(self.index).cloned();
    }

    fn previous(&mut self, now: Timestamp) {
        self.remember(now);
        self.moves += 1;
        self.progress = 0;
        self.index = self.index.saturating_sub(1);
        self.current = self.tracks.get(self.index).cloned();
    }

    /// The queue, and then what the context goes on with.
    fn coming(&self) -> Vec<String> {
        let rest = self.tracks.iter().skip(self.index + 1);
        let again = self.tracks.iter().take(if self.repeat == "context" { self.index + 1 } else { 0 });
        self.queue.iter().chain(rest).chain(again).take(20).cloned().collect()
    }
}

fn back(by: SignedDuration) -> Timestamp {
    BEGINNING.saturating_sub(by).unwrap_or(BEGINNING)
}

fn length(catalogue: &Catalogue, uri: &str) -> i64 {
    match uri_parts(uri) {
        Some(("track", id)) => catalogue.track_of(id).map_or(0, |track| track.song.duration_ms as i64),
        Some(("episode", id)) => catalogue.episode_of(id).map_or(0, |episode| catalogue.length_of(episode)),
        _ => 0,
    }
}
