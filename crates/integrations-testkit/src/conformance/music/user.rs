//! What belongs to a user: library, history, scrobbles, playback.

use integrations_core::music::{DeviceId, PlaylistEntry};
use integrations_core::music::{
    IgnoredReason, Music, Period, Play, PlayRequest, PlaybackState, Played, RepeatMode, Scrobbled, TrackId,
};
use integrations_core::{ErrorKind, Result as Called};
use jiff::SignedDuration;

use super::catalogue::{ids, unique};
use crate::conformance::{Failure, Lab, hold};

type Run = Result<(), Failure>;
type MusicLab = Lab<Music>;

fn saved(entries: &[PlaylistEntry]) -> Vec<&str> {
    entries.iter().filter_map(|entry| entry.track.as_ref()).map(|track| track.id.as_str()).collect()
}

/// Every item succeeded, and there are as many as were asked for.
fn each<T>(items: Vec<Called<T>>, count: usize) -> Result<Vec<T>, Failure> {
    let got = items.len();
    hold(got == count, format!("{count} items have {got} outcomes"))?;
    Ok(items.into_iter().collect::<Called<_>>()?)
}

pub(super) async fn library(lab: &MusicLab) -> Run {
    let library = lab.client().library()?;
    let entries = lab.all("saved tracks", 1, || library.tracks()).await?;
    lab.see("saved", &saved(&entries));
    hold(!entries.is_empty(), "the user has saved no tracks")?;
    let added: Vec<_> = entries.iter().filter_map(|entry| entry.added_at).collect();
    hold(added.is_sorted_by(|a, b| a >= b), "the saved tracks are not in order, the newest first")
}

pub(super) async fn library_write(lab: &MusicLab) -> Run {
    let library = lab.client().library()?;
    let new = [TrackId::from(lab.known("track_4")?), TrackId::from(lab.known("track_5")?)];
    each(lab.items("save", library.save(&new)).await?, new.len())?;
    let entries = lab.step("saved tracks", library.tracks().collect_up_to(2_000)).await?;
    lab.see("saved", &sorted(saved(&entries)));
    let is_there = |entries: &[PlaylistEntry], id: &TrackId| saved(entries).contains(&id.as_str());
    hold(new.iter().all(|id| is_there(&entries, id)), "the library lacks what was saved")?;
    each(lab.items("remove", library.remove(&new[..1])).await?, 1)?;
    let entries = lab.step("saved tracks", library.tracks().collect_up_to(2_000)).await?;
    lab.see("left", &sorted(saved(&entries)));
    hold(!is_there(&entries, &new[0]), "the library still has what was removed")?;
    hold(is_there(&entries, &new[1]), "the library lacks what was not removed")
}

fn sorted(mut ids: Vec<&str>) -> Vec<&str> {
    ids.sort_unstable();
    ids
}

pub(super) async fn library_write_check(lab: &MusicLab) -> Run {
    let library = lab.client().library()?;
    let tracks = [TrackId::from(lab.known("track_4")?), TrackId::from(lab.known("track_5")?)];
    each(lab.items("save", library.save(&tracks[..1])).await?, 1)?;
    let has = lab.step("has", library.has(&tracks[..1])).await?;
    hold(has == [true], "the library says that it lacks what was saved")?;
    each(lab.items("remove", library.remove(&tracks)).await?, 2)?;
    let has = lab.step("has", library.has(&tracks)).await?;
    hold(has == [false, false], "the library says that it has what was removed")
}

pub(super) async fn library_check(lab: &MusicLab) -> Run {
    let names = ["track", "track_2", "track_3", "track_4", "track_5"];
    let tracks: Vec<TrackId> =
        names.iter().map(|name| lab.known(name).map(TrackId::from)).collect::<Result<_, _>>()?;
    let library = lab.client().library()?;
    let has = lab.step("has", library.has(&tracks)).await?;
    lab.see("has", &has);
    hold(has.len() == tracks.len(), format!("{} tracks give {} answers", tracks.len(), has.len()))?;
    let backwards: Vec<TrackId> = tracks.into_iter().rev().collect();
    let mut back = lab.step("has", library.has(&backwards)).await?;
    back.reverse();
    hold(has == back, "the answers are not in the order of the questions")
}

pub(super) async fn library_albums(lab: &MusicLab) -> Run {
    let library = lab.client().library()?;
    let albums = lab.all("saved albums", 1, || library.albums()).await?;
    unique("albums", &albums)?;
    lab.see("albums", &ids(&albums));
    hold(!albums.is_empty(), "the user has saved no albums")
}

pub(super) async fn recently_played(lab: &MusicLab) -> Run {
    let history = lab.client().history()?;
    let start = lab.now();
    let played = lab.step("recently played", history.recently_played().collect_up_to(2_000)).await?;
    let paged = history.recently_played().limit(2).collect_up_to(2_000);
    let paged = lab.step("recently played in small pages", paged).await?;
    // Whatever plays meanwhile comes on top.
    let before = |played: &[Played]| -> Vec<Played> {
        played.iter().filter(|played| played.at.is_some_and(|at| at <= start)).cloned().collect()
    };
    hold(before(&played) == before(&paged), "what was heard differs in small pages")?;
    let heard = before(&played);
    lab.see("heard", &heard.iter().map(|played| played.track.id.as_str()).collect::<Vec<_>>());
    hold(!heard.is_empty(), "the user heard nothing")?;
    let at: Vec<_> = played.iter().filter_map(|played| played.at).collect();
    hold(at.is_sorted_by(|a, b| a >= b), "what was heard is not in order, the latest first")?;
    let playing = played.iter().skip(1).filter(|played| played.at.is_none()).count();
    hold(playing == 0, "what is being heard is not the first")
}

pub(super) async fn top_tracks(lab: &MusicLab) -> Run {
    let history = lab.client().history()?;
    for period in [Period::Month, Period::HalfYear, Period::Year, Period::All] {
        let tracks = lab.all("top tracks", 2, || history.top_tracks(period.clone())).await?;
        unique("tracks", &tracks)?;
        lab.see("tracks", &ids(&tracks));
        hold(!tracks.is_empty(), format!("the user has no top tracks of `{period}`"))?;
    }
    Ok(())
}

pub(super) async fn top_artists(lab: &MusicLab) -> Run {
    let history = lab.client().history()?;
    for period in [Period::Month, Period::All] {
        let artists = lab.all("top artists", 1, || history.top_artists(period.clone())).await?;
        unique("artists", &artists)?;
        lab.see("artists", &ids(&artists));
        hold(!artists.is_empty(), format!("the user has no top artists of `{period}`"))?;
    }
    Ok(())
}

/// The known track, begun so many minutes ago.
fn heard(lab: &MusicLab, minutes: i64) -> Result<Play, Failure> {
    let started = lab.now().saturating_sub(SignedDuration::from_mins(minutes)).unwrap_or_default();
    Ok(Play::new(lab.known("track_artist")?, lab.known("track_title")?, started))
}

/// Half a year: longer ago than any service counts.
const LONG_AGO: i64 = 180 * 24 * 60;

pub(super) async fn scrobble(lab: &MusicLab) -> Run {
    let plays = [heard(lab, 60)?, heard(lab, LONG_AGO)?, heard(lab, 30)?.duration_ms(200_000)];
    let outcomes = lab.items("scrobble", lab.client().scrobbling()?.scrobble(&plays)).await?;
    let outcomes = each(outcomes, plays.len())?;
    lab.see("outcomes", &outcomes);
    let expected = [Scrobbled::Accepted, Scrobbled::Ignored(IgnoredReason::TooOld), Scrobbled::Accepted];
    hold(outcomes == expected, format!("two good plays around an old one end as {outcomes:?}"))?;
    was_told(lab)
}

/// Of what only the service shows there is no reading back: its ledger says that it came.
fn was_told(lab: &MusicLab) -> Run {
    hold(lab.changes() > 0, "the service was told nothing of what is heard")
}

pub(super) async fn scrobble_many(lab: &MusicLab) -> Run {
    let mut plays = (0..120).map(|at| heard(lab, 1_000 - 5 * at)).collect::<Result<Vec<_>, _>>()?;
    plays[70] = heard(lab, LONG_AGO)?;
    let outcomes = lab.items("scrobble", lab.client().scrobbling()?.scrobble(&plays)).await?;
    let outcomes = each(outcomes, plays.len())?;
    let ignored: Vec<usize> = (0..outcomes.len()).filter(|at| outcomes[*at] != Scrobbled::Accepted).collect();
    lab.see("ignored", &ignored);
    hold(
        ignored == [70],
        format!("of many plays of which the one at 70 is too old, {ignored:?} are ignored"),
    )?;
    was_told(lab)
}

pub(super) async fn now_playing(lab: &MusicLab) -> Run {
    let play = heard(lab, 0)?;
    lab.step("now playing", lab.client().scrobbling()?.now_playing(&play)).await?;
    was_told(lab)
}

async fn state(lab: &MusicLab) -> Result<PlaybackState, Failure> {
    let state = lab.step("state", lab.client().playback()?.state()).await?;
    state.ok_or_else(|| Failure::Wrong("nothing plays anywhere".to_owned()))
}

fn device(lab: &MusicLab) -> Result<DeviceId, Failure> {
    lab.known("device").map(DeviceId::from)
}

pub(super) async fn playback_state(lab: &MusicLab) -> Run {
    let device = device(lab)?;
    let playback = lab.client().playback()?;
    let devices = lab.step("devices", playback.devices()).await?;
    lab.see("devices", &devices);
    hold(
        devices.iter().any(|one| one.id.as_ref() == Some(&device)),
        "the known device is not among the devices",
    )?;
    let active = devices.iter().filter(|device| device.active).count();
    hold(active <= 1, format!("{active} devices are the one that plays now"))?;
    let state = lab.step("state", playback.state()).await?;
    lab.see("playing", &state.as_ref().map(|state| state.playing));
    // What is in the queue depends on how long the player has been playing.
    lab.step("queue", playback.queue()).await?;
    Ok(())
}

/// Playing begins on the known device, so that every command has something to act on. One track repeats, so that no time
/// that passes moves on to the next.
async fn play(lab: &MusicLab) -> Run {
    let device = device(lab)?;
    let playback = lab.client().playback()?;
    lab.step("repeat one", playback.set_repeat(&RepeatMode::Track, Some(&device))).await?;
    let what = PlayRequest::Tracks(vec![
        TrackId::from(lab.known("track")?),
        TrackId::from(lab.known("track_2")?),
        TrackId::from(lab.known("track_3")?),
    ]);
    Ok(lab.step("play", playback.play(&what, Some(&device))).await?)
}

/// What plays has the id that the peer knows under a name.
async fn plays(lab: &MusicLab, name: &str) -> Run {
    let state = state(lab).await?;
    let (wanted, got) = (lab.known(name)?, state.track.map(|track| track.id));
    hold(got.as_ref().is_some_and(|id| id.as_str() == wanted), format!("{got:?} plays then, not `{wanted}`"))
}

pub(super) async fn playback_pause(lab: &MusicLab) -> Run {
    play(lab).await?;
    let playback = lab.client().playback()?;
    hold(state(lab).await?.playing, "it is not playing after it was told to play")?;
    plays(lab, "track").await?;
    lab.step("pause", playback.pause(None)).await?;
    hold(!state(lab).await?.playing, "it is playing after it was told to pause")?;
    lab.step("resume", playback.play(&PlayRequest::Resume, None)).await?;
    hold(state(lab).await?.playing, "it is not playing after it was told to go on")
}

pub(super) async fn playback_settings(lab: &MusicLab) -> Run {
    play(lab).await?;
    let playback = lab.client().playback()?;
    lab.step("pause", playback.pause(None)).await?;
    lab.step("seek", playback.seek(42_000, None)).await?;
    lab.step("volume", playback.set_volume(30, None)).await?;
    lab.step("shuffle", playback.set_shuffle(true, None)).await?;
    lab.step("repeat", playback.set_repeat(&RepeatMode::Context, None)).await?;
    let state = state(lab).await?;
    let volume = state.device.and_then(|device| device.volume_percent);
    lab.see("state", &(state.position_ms, volume, state.shuffle, &state.repeat));
    hold(state.position_ms == Some(42_000), format!("it stands at {:?} ms, not 42000", state.position_ms))?;
    hold(volume == Some(30), format!("the volume is {volume:?}, not 30"))?;
    hold(state.shuffle == Some(true), "the order is not random")?;
    hold(state.repeat == Some(RepeatMode::Context), format!("it repeats {:?}, not the context", state.repeat))
}

pub(super) async fn playback_skip(lab: &MusicLab) -> Run {
    play(lab).await?;
    let playback = lab.client().playback()?;
    lab.step("next", playback.next(None)).await?;
    plays(lab, "track_2").await?;
    lab.step("previous", playback.previous(None)).await?;
    plays(lab, "track").await?;
    let id = lab.known("track_5")?;
    lab.step("enqueue", playback.enqueue(id.as_str(), None)).await?;
    let queue = lab.step("queue", playback.queue()).await?;
    lab.see("queue", &ids(&queue.next));
    hold(ids(&queue.next).contains(&id.as_str()), "what was enqueued is not in the queue")
}

pub(super) async fn playback_transfer(lab: &MusicLab) -> Run {
    let device = device(lab)?;
    lab.step("transfer", lab.client().playback()?.transfer(&device, true)).await?;
    let state = state(lab).await?;
    let active = state.device.and_then(|device| device.id);
    lab.see("device", &active);
    hold(active == Some(device), "another device plays after the transfer")?;
    hold(state.playing, "it is not playing after a transfer that starts it")
}

pub(super) async fn playback_too_loud(lab: &MusicLab) -> Run {
    let playback = lab.client().playback()?;
    lab.refused("volume", ErrorKind::InvalidRequest, playback.set_volume(101, None)).await
}

pub(super) async fn playback_token(lab: &MusicLab) -> Run {
    let token = lab.step("token", lab.client().playback_token()).await?;
    let text = token.token.expose();
    hold(!text.is_empty(), "the token is empty")?;
    hold(!format!("{token:?}").contains(text), "the token is in its Debug")
}
