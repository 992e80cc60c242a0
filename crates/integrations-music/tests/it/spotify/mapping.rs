//! What the service says, as the category has it.

use integrations_core::{Effect, ErrorKind};
use integrations_music::spotify::Spotify;
use integrations_music::{
    AlbumKind, DeviceId, EntryKind, Music, Period, Playlist, Query, ReleaseDate, RepeatMode, Seeds, Track,
};
use serde_json::{Value, json};

use super::script::Script;
use super::{extended, user};

fn album() -> Value {
    json!({
        "album_type": "single", "id": "al1", "name": "Autobahn", "type": "album", "uri": "spotify:album:al1",
        "release_date": "1974-11", "release_date_precision": "month", "total_tracks": 2,
        "artists": [null, { "id": "ar1", "name": "Kraftwerk", "type": "artist" }],
        "images": [{ "url": "https://i.example/l", "width": 640, "height": 640 }, null, { "width": 1 }],
        "external_urls": { "spotify": "https://open.spotify.com/album/al1" },
        "external_ids": { "ean": "0724352143" }, "label": "Philips",
    })
}

fn track() -> Value {
    json!({
        "id": "t1", "name": "Autobahn", "type": "track", "uri": "spotify:track:t1", "duration_ms": 1_363_000,
        "explicit": false, "is_playable": true, "popularity": 57, "is_local": false, "preview_url": null,
        "artists": [{ "id": "ar1", "name": "Kraftwerk" }, { "id": null, "name": "Wolfgang Flür" }],
        "album": album(), "external_ids": { "isrc": "de-n06-00-17321" },
        "external_urls": { "spotify": "https://open.spotify.com/track/t1" }, "brand_new": [1],
    })
}

fn bare() -> Value {
    json!({ "id": "t1", "name": "Autobahn" })
}

#[tokio::test(start_paused = true)]
async fn a_track_is_read_whole() {
    let script = Script::always(200, &track());
    let track = user(&script).track_in("t1", Some("DE".parse().unwrap())).await.unwrap();
    assert_eq!(script.lines(), ["GET /tracks/t1?market=DE"]);
    assert_eq!((track.id.as_str(), track.title.as_str(), track.artist()), ("t1", "Autobahn", "Kraftwerk"));
    assert_eq!((track.artists[1].id.as_ref(), track.artists[1].name.as_str()), (None, "Wolfgang Flür"));
    let album = track.album.unwrap();
    assert_eq!((album.id.unwrap().as_str(), album.title.as_str()), ("al1", "Autobahn"));
    assert_eq!(track.duration_ms, Some(1_363_000));
    assert_eq!(track.ids.isrc.unwrap().as_str(), "DEN060017321");
    assert_eq!(track.released, "1974-11".parse::<ReleaseDate>().ok());
    assert_eq!((track.explicit, track.playable, track.popularity), (Some(false), Some(true), Some(0.57)));
    assert_eq!(track.url.as_deref(), Some("https://open.spotify.com/track/t1"));
    assert_eq!((track.images.len(), track.images[0].width), (1, Some(640)));
    assert_eq!(track.extra["brand_new"], json!([1]));
}

#[tokio::test(start_paused = true)]
async fn what_development_mode_leaves_out_is_unknown() {
    let track = user(&Script::always(200, &bare())).track("t1").await.unwrap();
    let mut expected = Track::new("t1", "Autobahn");
    expected.extra = track.extra.clone();
    assert_eq!(track, expected);
    let script = Script::always(200, &json!({ "id": "al1", "name": "", "images": null, "artists": null }));
    let album = user(&script).albums().unwrap().get("al1", None).await.unwrap();
    assert_eq!((album.title.as_str(), album.label, album.kind), ("", None, None));
    let script = Script::always(200, &json!({ "id": "ar1", "name": "Kraftwerk" }));
    let artist = user(&script).artists().unwrap().get("ar1").await.unwrap();
    assert_eq!((artist.followers, artist.popularity, artist.genres.len()), (None, None, 0));
}

#[tokio::test(start_paused = true)]
async fn without_an_id_a_thing_is_of_no_use() {
    let script = Script::always(200, &json!({ "name": "Autobahn", "type": "track" }));
    let music = user(&script);
    let error = music.track("t1").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect(), error.operation()),
        (ErrorKind::Decode, Effect::Rejected, "get_track")
    );
    assert_eq!(music.albums().unwrap().get("x", None).await.unwrap_err().kind(), ErrorKind::Decode);
    assert_eq!(music.artists().unwrap().get("x").await.unwrap_err().kind(), ErrorKind::Decode);
    // The playlist is there now, but nobody knows where.
    let new = integrations_music::NewPlaylist::new("x");
    let error = music.playlists().unwrap().create(&new).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Decode, Effect::Applied));
}

#[tokio::test(start_paused = true)]
async fn albums_and_artists_are_read_whole() {
    let script = Script::always(200, &album());
    let album = user(&script).albums().unwrap().get("al1", None).await.unwrap();
    assert_eq!(
        (album.id.as_str(), album.kind, album.total_tracks),
        ("al1", Some(AlbumKind::Single), Some(2))
    );
    assert_eq!((album.ids.upc.as_deref(), album.label.as_deref()), (Some("0724352143"), Some("Philips")));
    assert_eq!((album.artists.len(), album.images.len()), (1, 1));
    let told = json!({
        "id": "ar1", "name": "Kraftwerk", "genres": ["krautrock", null], "followers": { "href": null, "total": 9 },
        "popularity": 100, "external_urls": { "spotify": "https://open.spotify.com/artist/ar1" },
    });
    let artist = user(&Script::always(200, &told)).artists().unwrap().get("ar1").await.unwrap();
    assert_eq!(
        (artist.name.as_str(), artist.followers, artist.popularity),
        ("Kraftwerk", Some(9), Some(1.0))
    );
    assert_eq!(artist.genres, ["krautrock"]);
}

#[tokio::test(start_paused = true)]
async fn a_query_becomes_the_services_words() {
    let script = Script::always(200, &json!({ "tracks": { "items": [null, bare()] } }));
    let music = user(&script);
    let query =
        Query::from("live \"now").title("Tour de  France").artist("Kraft\"werk").album(" ").year(2003);
    let found = music.search(query.market("FR".parse().unwrap())).page().await.unwrap();
    assert_eq!((found.items.len(), found.next, found.total), (1, None, None));
    let line = "GET /search?limit=10&market=FR&q=live%20now%20track%3A%22Tour%20de%20France%22%20artist%3A%22Kraft%20werk\
                %22%20year%3A2003&type=track";
    assert_eq!(script.lines(), [line]);
    let empty = user(&Script::always(200, &json!({}))).search("x").page().await.unwrap();
    assert!(empty.items.is_empty() && empty.next.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_code_finds_all_tracks_that_have_it() {
    let other = json!({ "id": "t2", "name": "x", "external_ids": { "isrc": "GBAAA0000001" } });
    let items = json!([track(), other, bare()]);
    let script = Script::always(200, &json!({ "tracks": { "items": items, "next": null, "total": 3 } }));
    let found = user(&script).tracks_by_isrc(&"DEN060017321".parse().unwrap(), None).await.unwrap();
    assert_eq!(found.len(), 2, "one has another code, one tells none");
    assert_eq!(script.lines(), ["GET /search?limit=10&q=isrc%3ADEN060017321&type=track"]);
}

/// `items` and `item`, and `tracks` and `track` as they were called before.
#[tokio::test(start_paused = true)]
async fn both_names_of_what_is_in_a_playlist_are_understood() {
    for name in ["items", "tracks"] {
        let told = json!({
            "id": "p1", "name": "Mine", "description": "", "collaborative": false, "public": null, "snapshot_id": "s1",
            "owner": { "id": "u1", "display_name": null }, "images": null, name: { "total": 3, "href": "x" },
        });
        let playlist = user(&Script::always(200, &told)).playlists().unwrap().get("p1").await.unwrap();
        let mut expected = Playlist::new("p1", "Mine");
        expected.owner = Some(integrations_music::Owner::new("u1", None));
        expected.total = Some(3);
        expected.snapshot = Some("s1".into());
        expected.extra = playlist.extra.clone();
        assert_eq!(playlist, expected);
    }
    for name in ["item", "track"] {
        let told = json!({ "items": [{ "added_at": null, name: bare() }] });
        let script = Script::always(200, &told);
        let page = user(&script).playlists().unwrap().entries("p1", None).page().await.unwrap();
        assert_eq!(page.items[0].track.as_ref().unwrap().id.as_str(), "t1");
        assert_eq!(script.lines(), ["GET /playlists/p1/items?additional_types=track%2Cepisode&limit=50"]);
    }
}

#[tokio::test(start_paused = true)]
async fn each_place_of_a_playlist_says_what_stands_there() {
    let local = json!({
        "id": null, "name": "Demo", "uri": "spotify:local:Me:Tape:Demo:61", "type": "track", "is_local": true,
        "artists": [{ "id": null, "name": "Me" }], "album": { "id": null, "name": "Tape" }, "duration_ms": 61_000,
    });
    let episode = json!({ "id": "e1", "name": "Part 1", "type": "episode", "uri": "spotify:episode:e1", "artists": null });
    let husk = json!({ "id": null, "name": "", "uri": null, "type": "track", "artists": [] });
    let items = json!([
        { "added_at": "2024-05-01T10:00:00Z", "is_local": false, "item": track() },
        { "added_at": null, "is_local": true, "item": local },
        { "added_at": "soon", "item": episode },
        { "added_at": "2014-01-01T00:00:00Z", "added_by": null, "item": null },
        { "item": husk },
        null,
    ]);
    let script = Script::always(200, &json!({ "items": items, "next": null, "total": 6 }));
    let page = user(&script).playlists().unwrap().entries("p1", None).page().await.unwrap();
    let read: Vec<_> = page
        .items
        .iter()
        .map(|entry| {
            (entry.kind.clone(), entry.track.as_ref().map(|t| t.id.to_string()), entry.added_at.is_some())
        })
        .collect();
    let some = |id: &str| Some(id.to_owned());
    assert_eq!(
        read,
        [
            (EntryKind::Track, some("t1"), true),
            (EntryKind::Local, some("spotify:local:Me:Tape:Demo:61"), false),
            (EntryKind::Episode, some("spotify:episode:e1"), false),
            (EntryKind::Gone, None, true),
            (EntryKind::Gone, None, false),
        ]
    );
    assert_eq!(page.items[1].track.as_ref().unwrap().artist(), "Me");
}

#[tokio::test(start_paused = true)]
async fn what_was_saved_and_heard_keeps_its_time() {
    let script = Script::new(|seen, _| {
        let items = match seen.line.split('?').next().unwrap() {
            "GET /me/tracks" => {
                json!([{ "added_at": "2024-05-01T10:00:00Z", "track": track() }, { "track": null }])
            }
            "GET /me/albums" => json!([{ "added_at": "2024-05-01T10:00:00Z", "album": album() }]),
            "GET /me/player/recently-played" => {
                json!([{ "track": track(), "played_at": "2024-05-01T10:00:00.123Z" }])
            }
            "GET /me/top/tracks" => json!([track()]),
            "GET /me/top/artists" => json!([{ "id": "ar1", "name": "Kraftwerk" }]),
            other => panic!("{other}"),
        };
        (200, json!({ "items": items, "next": null }).to_string())
    });
    let music = user(&script);
    let library = music.library().unwrap();
    let saved = library.tracks().page().await.unwrap().items;
    assert_eq!(saved[0].added_at.unwrap().to_string(), "2024-05-01T10:00:00Z");
    assert_eq!(saved[1].kind, EntryKind::Gone);
    assert_eq!(library.albums().page().await.unwrap().items[0].id.as_str(), "al1");
    let history = music.history().unwrap();
    let played = history.recently_played().page().await.unwrap().items;
    assert_eq!(played[0].at.unwrap().to_string(), "2024-05-01T10:00:00.123Z");
    for (period, range) in [
        (Period::Month, "short"),
        (Period::HalfYear, "medium"),
        (Period::Year, "long"),
        (Period::All, "long"),
    ] {
        history.top_tracks(period.clone()).page().await.unwrap();
        let range = format!("time_range={range}_term");
        assert!(script.lines().last().unwrap().contains(&range), "{:?}", script.lines());
        assert_eq!(history.top_artists(period).page().await.unwrap().items[0].name, "Kraftwerk");
        assert!(script.lines().last().unwrap().contains(&range));
    }
    let sent = script.seen().len();
    let error = history.top_tracks(Period::from("decade")).page().await.unwrap_err();
    assert_eq!((error.kind(), script.seen().len()), (ErrorKind::InvalidRequest, sent));
}

#[tokio::test(start_paused = true)]
async fn extended_quota_brings_back_what_development_mode_lacks() {
    let script = Script::new(|seen, _| {
        let answer = match seen.line.split('?').next().unwrap() {
            "GET /artists/ar1/top-tracks" | "GET /recommendations" => {
                json!({ "tracks": [track(), null], "seeds": [] })
            }
            "GET /artists/ar1/related-artists" => json!({ "artists": [{ "id": "ar2", "name": "Neu!" }] }),
            "GET /search" => {
                json!({ "albums": { "items": [album()] }, "artists": { "items": [{ "id": "ar1" }] } })
            }
            other => panic!("{other}"),
        };
        (200, answer.to_string())
    });
    let music = extended(&script);
    let artists = music.artists().unwrap();
    assert_eq!(artists.top_tracks("ar1", None).await.unwrap().len(), 1);
    assert_eq!(music.similar_artists("ar1").await.unwrap()[0].name, "Neu!");
    let seeds = Seeds {
        tracks: vec!["t1".into(), "t2".into()],
        artists: vec!["ar1".into()],
        genres: vec!["krautrock".into()],
    };
    assert_eq!(music.recommend(&seeds, 7, None).await.unwrap().len(), 1);
    let line = "GET /recommendations?limit=7&seed_artists=ar1&seed_genres=krautrock&seed_tracks=t1%2Ct2";
    assert_eq!(script.lines().last().unwrap(), line);
    assert_eq!(music.albums().unwrap().search("x").page().await.unwrap().items.len(), 1);
    assert_eq!(artists.search("x").page().await.unwrap().items.len(), 1);
    assert_eq!(script.lines().last().unwrap(), "GET /search?limit=50&q=x&type=artist");
}

#[tokio::test(start_paused = true)]
async fn the_player_is_read() {
    let told = json!({
        "device": { "id": "d1", "name": "Kitchen", "type": "Speaker", "is_active": true, "is_restricted": false, "volume_percent": 59 },
        "repeat_state": "context", "shuffle_state": false, "progress_ms": 44272, "is_playing": true, "item": track(),
        "currently_playing_type": "track",
    });
    let playing = user(&Script::always(200, &told)).playback().unwrap().state().await.unwrap().unwrap();
    assert_eq!((playing.playing, playing.position_ms, playing.shuffle), (true, Some(44272), Some(false)));
    assert_eq!((playing.track.unwrap().id.as_str(), playing.repeat), ("t1", Some(RepeatMode::Context)));
    let device = playing.device.unwrap();
    assert_eq!(
        (device.id.unwrap().as_str(), device.kind.as_deref(), device.active, device.volume_percent),
        ("d1", Some("Speaker"), true, Some(59))
    );

    let silent = user(&Script::always(204, &Value::Null)).playback().unwrap().state().await.unwrap();
    assert_eq!(silent, None);
    let advert = json!({ "is_playing": true, "item": null, "currently_playing_type": "ad" });
    let advert = user(&Script::always(200, &advert)).playback().unwrap().state().await.unwrap().unwrap();
    assert_eq!((advert.playing, advert.track), (true, None));
    let episode = json!({ "is_playing": true, "item": { "id": "e1", "name": "x", "type": "episode" } });
    let episode = user(&Script::always(200, &episode)).playback().unwrap().state().await.unwrap().unwrap();
    assert_eq!(episode.track, None);

    let devices = json!({ "devices": [{ "id": "d1", "name": "Kitchen" }, { "id": "d2", "name": "Car", "is_restricted": true }, null] });
    let devices = user(&Script::always(200, &devices)).playback().unwrap().devices().await.unwrap();
    let ids: Vec<_> = devices.iter().map(|device| device.id.as_ref().map(DeviceId::as_str)).collect();
    assert_eq!(ids, [Some("d1"), None]);
    let queue =
        json!({ "currently_playing": track(), "queue": [{ "id": "e1", "type": "episode" }, track(), null] });
    let queue = user(&Script::always(200, &queue)).playback().unwrap().queue().await.unwrap();
    assert_eq!((queue.current.unwrap().id.as_str(), queue.next.len()), ("t1", 1));
}

/// The service has sent whole numbers with a fraction (github.com/ramsayleung/rspotify issue 452), and lengths below zero.
#[tokio::test(start_paused = true)]
async fn numbers_that_are_odd_do_not_lose_the_thing() {
    let told = json!({
        "id": "ar1", "name": "Kraftwerk", "followers": { "href": null, "total": 4.902_265_6e7 },
        "images": [{ "url": "https://i.example/l", "width": 806.0, "height": 999.0 }],
    });
    let artist = user(&Script::always(200, &told)).artists().unwrap().get("ar1").await.unwrap();
    assert_eq!((artist.followers, artist.images[0].width), (Some(49_022_656), Some(806)));
    let mut short = track();
    short["duration_ms"] = json!(-2000);
    let items = json!([{ "track": short }, { "track": bare() }]);
    let script = Script::always(200, &json!({ "items": items, "next": null, "total": 2.0 }));
    let page = user(&script).library().unwrap().tracks().page().await.unwrap();
    assert_eq!((page.items.len(), page.total), (2, Some(2)));
    assert_eq!(page.items[0].track.as_ref().unwrap().duration_ms, None);
}

/// What stands in a playlist is removed by the id that was put there, not by that of its stand-in.
#[tokio::test(start_paused = true)]
async fn a_track_that_another_stands_in_for_keeps_its_id() {
    let mut told = track();
    told["linked_from"] = json!({ "id": "t0", "type": "track", "uri": "spotify:track:t0" });
    let script = Script::always(200, &told);
    assert_eq!(extended(&script).track("t0").await.unwrap().id.as_str(), "t0");
    let items = json!({ "items": [{ "item": told }], "next": null });
    let script = Script::always(200, &items);
    let page = extended(&script).playlists().unwrap().entries("p1", None).page().await.unwrap();
    assert_eq!(page.items[0].track.as_ref().unwrap().id.as_str(), "t0");
}

/// Development mode does not tell which track a stand-in stands for.
#[tokio::test(start_paused = true)]
async fn what_can_be_removed_is_read_without_the_default_market() {
    let script = Script::always(200, &json!({ "items": [], "next": null, "total": 0 }));
    let builder = Spotify::builder().access_token("t").market("FR".parse().unwrap());
    let music = Music::new(builder.transport(script.clone()).build().unwrap());
    music.playlists().unwrap().entries("p1", None).page().await.unwrap();
    music.library().unwrap().tracks().page().await.unwrap();
    assert!(!script.lines().iter().any(|line| line.contains("market")), "{:?}", script.lines());
    music.playlists().unwrap().entries("p1", "DE".parse().ok()).page().await.unwrap();
    assert!(script.lines()[2].contains("market=DE"));
}

#[tokio::test(start_paused = true)]
async fn addresses_and_links_are_ids_too() {
    for given in [
        "spotify:track:t1",
        "https://open.spotify.com/track/t1",
        "https://open.spotify.com/intl-de/track/t1?si=abc",
        " https://open.spotify.com/track/t1#x ",
    ] {
        let script = Script::always(200, &bare());
        user(&script).track(given).await.unwrap();
        assert_eq!(script.lines(), ["GET /tracks/t1"], "{given}");
    }
    let script = Script::always(200, &json!({ "id": "p1", "name": "x", "items": [] }));
    let music = extended(&script);
    let playlists = music.playlists().unwrap();
    playlists.entries("spotify:user:me:playlist:p1", None).page().await.unwrap();
    music.albums().unwrap().get("https://open.spotify.com/album/al1", None).await.unwrap();
    let lines = ["GET /playlists/p1/items?additional_types=track%2Cepisode&limit=50", "GET /albums/al1"];
    assert_eq!(script.lines(), lines);

    let sent = script.seen().len();
    let refused = [
        music.track("spotify:album:al1").await.unwrap_err(),
        music.track("spotify:local:Me:Tape:Demo:61").await.unwrap_err(),
        music.track("https://example.com/track/t1").await.unwrap_err(),
        music.track("a,b").await.unwrap_err(),
        music.track("").await.unwrap_err(),
        playlists.get("https://open.spotify.com/track/t1").await.unwrap_err(),
        playlists.delete("spotify:track:t1").await.unwrap_err(),
        playlists.add("p1", &["spotify:playlist:p2".into()]).await.unwrap_err(),
        music.similar_artists("spotify:artist:").await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!((error.kind(), error.effect()), (ErrorKind::InvalidRequest, Effect::NotSent), "{error:?}");
        assert!(error.hint().is_some());
    }
    assert_eq!(script.seen().len(), sent);
}
