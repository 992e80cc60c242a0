//! The driver against the fake service, as a user in development mode, as an application, and where they are refused.

use std::time::Duration;

use integrations_core::setup::{Setup, Value};
use integrations_core::{Error, ErrorKind};
use integrations_music::spotify::{Spotify, SpotifyBuilder, spec};
use integrations_music::{EntryKind, Isrc, Music, NewPlaylist, PlayRequest, Playlists, Query, TrackId};
use integrations_sandbox::{DelayForm, Fault, Plan, Sandbox};

use EntryKind::{Episode, Gone, Local, Track};

struct World {
    sandbox: Sandbox,
}

impl World {
    fn new() -> Self {
        Self { sandbox: Sandbox::of("spotify", 0).unwrap() }
    }

    fn known(&self, name: &str) -> String {
        self.sandbox.known().get(name).unwrap().to_owned()
    }

    fn open(&self, builder: SpotifyBuilder) -> Music {
        Music::new(builder.transport(self.sandbox.clone()).clock(self.sandbox.clock()).build().unwrap())
    }

    fn with_token(&self, name: &str) -> Music {
        self.open(Spotify::builder().access_token(self.known(name).as_str()))
    }

    /// The user whose things the fake has, by an application in development mode.
    fn user(&self) -> Music {
        self.with_token("development_token")
    }

    fn application(&self) -> Music {
        let (id, secret) = (self.known("development_client_id"), self.known("development_client_secret"));
        self.open(Spotify::builder().client_credentials(id, secret.as_str()))
    }
}

async fn tracks(playlists: &Playlists<'_>, id: &str) -> Vec<TrackId> {
    let entries = playlists.entries(id, None).collect_up_to(1000).await.unwrap();
    entries.into_iter().map(|entry| entry.track.unwrap().id).collect()
}

fn ids<const N: usize>(from: &[TrackId], at: [usize; N]) -> Vec<TrackId> {
    at.map(|at| from[at].clone()).to_vec()
}

#[tokio::test(start_paused = true)]
async fn an_application_reads_the_catalogue() {
    let world = World::new();
    let music = world.application();
    let track = music.track(world.known("track")).await.unwrap();
    assert_eq!(
        (track.title.as_str(), track.artist()),
        (&*world.known("track_title"), &*world.known("track_artist"))
    );
    assert_eq!(track.duration_ms.unwrap().to_string(), world.known("track_duration_ms"));
    assert_eq!((track.popularity, track.url.is_some()), (None, true));
    let isrc: Isrc = world.known("track_isrc").parse().unwrap();
    assert_eq!(track.ids.isrc.as_ref(), Some(&isrc));
    let found = music.tracks_by_isrc(&isrc, None).await.unwrap();
    assert!(found.iter().any(|found| found.id == track.id) && found.len() < 5, "{}", found.len());
    let query = Query::new().title(&track.title).artist(track.artist());
    assert_eq!(music.search(query).page().await.unwrap().items[0].id, track.id);

    let (albums, artists) = (music.albums().unwrap(), music.artists().unwrap());
    let album = albums.get(world.known("album"), None).await.unwrap();
    assert_eq!(album.title, world.known("album_title"));
    let of_album = albums.tracks(&album.id, None).limit(1).collect_up_to(100).await.unwrap();
    assert_eq!(of_album.len(), usize::try_from(album.total_tracks.unwrap()).unwrap());
    assert!(of_album.iter().any(|found| found.id == track.id));
    assert_eq!(artists.get(world.known("artist")).await.unwrap().name, world.known("artist_name"));
    let of_artist = artists.albums(world.known("artist"), None).limit(1).collect_up_to(100).await.unwrap();
    assert!(of_artist.iter().any(|found| found.id == album.id));
    assert!(!albums.search(album.title.as_str()).page().await.unwrap().items.is_empty());
    assert!(!artists.search(track.artist()).page().await.unwrap().items.is_empty());
    let error = music.track(world.known("no_track")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn an_applications_token_is_fetched_once_and_again_when_it_ends() {
    let world = World::new();
    let music = world.application();
    let id = world.known("track");
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let (music, id) = (music.clone(), id.clone());
            tokio::spawn(async move { music.track(id).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(world.sandbox.requests(), 11);
    tokio::time::advance(Duration::from_secs(3601)).await;
    music.track(id).await.unwrap();
    assert_eq!(world.sandbox.requests(), 13);
}

#[tokio::test(start_paused = true)]
async fn a_playlist_is_made_filled_ordered_and_let_go() {
    let world = World::new();
    let music = world.user();
    let playlists = music.playlists().unwrap();
    let t: Vec<TrackId> =
        ["track", "track_2", "track_3", "track_4", "track_5"].map(|name| world.known(name).into()).to_vec();
    let made =
        playlists.create(&NewPlaylist::new("Judged").description("by hand").public(false)).await.unwrap();
    assert_eq!((made.public, made.description.as_deref()), (Some(false), Some("by hand")));
    let id = made.id.as_str();
    let first = playlists.add(id, &t[..3]).await.unwrap().unwrap();
    let second = playlists.insert(id, &ids(&t, [4, 3]), 0).await.unwrap().unwrap();
    assert_ne!(first, second);
    assert_eq!(tracks(&playlists, id).await, ids(&t, [4, 3, 0, 1, 2]));
    // The first one goes to the end, and back.
    playlists.reorder(id, 0, 1, 5, Some(&second)).await.unwrap();
    assert_eq!(tracks(&playlists, id).await, ids(&t, [3, 0, 1, 2, 4]));
    playlists.reorder(id, 4, 1, 0, None).await.unwrap();
    assert_eq!(tracks(&playlists, id).await, ids(&t, [4, 3, 0, 1, 2]));
    playlists.add(id, &t[..1]).await.unwrap();
    let seen = playlists.get(id).await.unwrap();
    assert_eq!(seen.total, Some(6));
    playlists.remove(id, &t[..1], seen.snapshot.as_ref()).await.unwrap();
    assert_eq!(tracks(&playlists, id).await, ids(&t, [4, 3, 1, 2]));
    playlists.replace(id, &[]).await.unwrap();
    assert!(tracks(&playlists, id).await.is_empty());
    let has = |all: Vec<integrations_music::Playlist>| all.iter().any(|playlist| playlist.id == made.id);
    assert!(has(playlists.list().limit(3).collect_up_to(100).await.unwrap()));
    playlists.delete(id).await.unwrap();
    assert!(!has(playlists.list().collect_up_to(100).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn all_that_can_stand_in_a_playlist_is_told_apart() {
    let world = World::new();
    let music = world.user();
    let playlists = music.playlists().unwrap();
    let entries = playlists.entries(world.known("mixed_playlist"), None).collect_up_to(100).await.unwrap();
    let kinds: Vec<_> = entries.iter().map(|entry| entry.kind.clone()).collect();
    assert_eq!(kinds, [Track, Local, Gone, Episode, Track]);
    assert!(entries[1].track.as_ref().unwrap().id.as_str().starts_with("spotify:local:"));
    // What stands in one playlist can be put into another, but for the file.
    let own = world.known("playlist");
    let episode = entries[3].track.as_ref().unwrap().id.clone();
    playlists.insert(&*own, std::slice::from_ref(&episode), 0).await.unwrap();
    let first = playlists.entries(&*own, None).limit(1).page().await.unwrap().items.remove(0);
    assert_eq!((first.kind, first.track.unwrap().id), (Episode, episode));
    let error = playlists.entries(world.known("foreign_playlist"), None).page().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.hint().is_some());
}

#[tokio::test(start_paused = true)]
async fn the_library_and_the_history_are_the_users() {
    let world = World::new();
    let music = world.user();
    let library = music.library().unwrap();
    let saved = library.tracks().limit(2).collect_up_to(1000).await.unwrap();
    let saved: Vec<TrackId> = saved.into_iter().filter_map(|entry| Some(entry.track?.id)).collect();
    assert!(!saved.is_empty() && library.has(&saved).await.unwrap().iter().all(|has| *has));
    for outcome in library.remove(&saved).await.unwrap() {
        outcome.unwrap();
    }
    assert!(!library.has(&saved).await.unwrap().contains(&true));
    assert!(library.save(&saved[..1]).await.unwrap()[0].is_ok());
    assert_eq!(library.tracks().collect_up_to(10).await.unwrap().len(), 1);
    library.albums().collect_up_to(10).await.unwrap();

    let history = music.history().unwrap();
    let heard = history.recently_played().limit(1).collect_up_to(1000).await.unwrap();
    let times: Vec<_> = heard.iter().map(|played| played.at.unwrap()).collect();
    assert!(!times.is_empty() && times.is_sorted_by(|a, b| a > b), "{times:?}");
    assert!(!history.top_tracks(integrations_music::Period::Month).page().await.unwrap().items.is_empty());
    assert!(!history.top_artists(integrations_music::Period::All).page().await.unwrap().items.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_player_plays_and_says_why_it_cannot() {
    let world = World::new();
    let music = world.user();
    let player = music.playback().unwrap();
    assert!(player.state().await.unwrap().unwrap().track.is_some());
    assert!(player.devices().await.unwrap().iter().any(|device| device.active));
    let wanted = TrackId::from(world.known("track_3"));
    player.play(&PlayRequest::Tracks(vec![wanted.clone()]), None).await.unwrap();
    assert_eq!(player.state().await.unwrap().unwrap().track.unwrap().id, wanted);
    player.enqueue(world.known("track_2"), None).await.unwrap();
    assert_eq!(player.queue().await.unwrap().next[0].id.as_str(), world.known("track_2"));
    player.pause(None).await.unwrap();
    assert!(!player.state().await.unwrap().unwrap().playing);

    let refused = async |token: &str| -> Error {
        world.with_token(token).playback().unwrap().pause(None).await.unwrap_err()
    };
    assert_eq!(world.with_token("idle_token").playback().unwrap().state().await.unwrap(), None);
    let idle = refused("idle_token").await;
    assert_eq!((idle.kind(), idle.code()), (ErrorKind::Precondition, Some("NO_ACTIVE_DEVICE")));
    let free = refused("free_token").await;
    assert_eq!((free.kind(), free.code()), (ErrorKind::PermissionDenied, Some("PREMIUM_REQUIRED")));
    let narrow = refused("narrow_token").await;
    assert_eq!(narrow.kind(), ErrorKind::PermissionDenied);
    assert!(narrow.hint().unwrap().contains("scope"), "{narrow:?}");
}

#[tokio::test(start_paused = true)]
async fn the_fakes_settings_open_a_client_with_everything() {
    let world = World::new();
    let setup = world.sandbox.settings().into_iter().fold(Setup::new(&spec::SPEC), |setup, (name, text)| {
        setup.set(name, Value::parse(spec::SPEC.setting(name).unwrap().kind, &text).unwrap())
    });
    let setup = setup.transport(std::sync::Arc::new(world.sandbox.clone())).clock(world.sandbox.clock());
    let music = Music::new(Spotify::open(&setup).unwrap());
    assert_eq!(music.caps().reduced(), None);
    let artists = music.artists().unwrap();
    assert!(!artists.top_tracks(world.known("artist"), None).await.unwrap().is_empty());
    assert!(!music.similar_artists(world.known("artist")).await.unwrap().is_empty());
    let seeds = integrations_music::Seeds { tracks: vec![world.known("track").into()], ..Default::default() };
    assert!(!music.recommend(&seeds, 3, None).await.unwrap().is_empty());
    assert!(music.track(world.known("track")).await.unwrap().popularity.is_some());
}

/// Hours are not waited for, and what shares the application does not ask meanwhile (github.com/Mincka/spotcast issue 68).
#[tokio::test(start_paused = true)]
async fn a_delay_of_hours_ends_the_call_and_all_others_until_then() {
    let world = World::new();
    let music = world.user();
    let day = Duration::from_secs(79_892);
    world.sandbox.plan(Plan::script([Some(Fault::RateLimited(day, DelayForm::Seconds))]));
    let begun = tokio::time::Instant::now();
    let many: Vec<TrackId> = (0..100).map(|_| world.known("track").into()).collect();
    for outcome in music.library().unwrap().save(&many).await.unwrap() {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert!(error.retry_after().unwrap() > Duration::from_secs(79_000), "{error:?}");
    }
    assert_eq!(music.track(world.known("track")).await.unwrap_err().kind(), ErrorKind::RateLimited);
    assert_eq!(world.sandbox.requests(), 1);
    assert!(begun.elapsed() < Duration::from_secs(60));
    tokio::time::advance(day + Duration::from_secs(3600)).await;
    assert!(!music.library().unwrap().save(&many[..1]).await.unwrap().is_empty());
}

/// A refusal by the limit has changed nothing: the call is made again, and what it does is done once.
#[tokio::test(start_paused = true)]
async fn an_addition_is_repeated_after_a_refusal_and_not_after_silence() {
    let world = World::new();
    let music = world.user();
    let (playlists, id) = (music.playlists().unwrap(), world.known("playlist"));
    let id = id.as_str();
    let track = [TrackId::from(world.known("track_5"))];
    let before = tracks(&playlists, id).await.len();
    let second = Duration::from_secs(1);
    world.sandbox.plan(Plan::script([Some(Fault::RateLimited(second, DelayForm::Seconds))]));
    playlists.add(id, &track).await.unwrap();
    assert_eq!(tracks(&playlists, id).await.len(), before + 1);
    world.sandbox.plan(Plan::script([Some(Fault::ResetAfter)]));
    let error = playlists.add(id, &track).await.unwrap_err();
    assert_eq!(error.effect(), integrations_core::Effect::Unknown);
    assert_eq!(tracks(&playlists, id).await.len(), before + 2);
    // Where the first track goes to the end, a second time would take another there.
    let order = tracks(&playlists, id).await;
    world.sandbox.plan(Plan::script([Some(Fault::ResetAfter)]));
    let end = u32::try_from(order.len()).unwrap();
    playlists.reorder(id, 0, 1, end, None).await.unwrap_err();
    let moved: Vec<_> = order[1..].iter().chain(&order[..1]).cloned().collect();
    assert_eq!(tracks(&playlists, id).await, moved);
}
