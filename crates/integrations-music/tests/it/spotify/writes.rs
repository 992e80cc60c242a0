//! What changes something: what is sent, and what became of it.

use integrations_core::{Effect, Error, ErrorKind};
use integrations_music::{DeviceId, NewPlaylist, PlayRequest, PlaylistEdit, RepeatMode, Snapshot, TrackId};
use serde_json::{Value, json};

use super::script::{Script, Seen};
use super::user;

fn tracks(count: usize) -> Vec<TrackId> {
    (0..count).map(|at| TrackId::from(format!("t{at}"))).collect()
}

fn sent(script: &Script) -> (String, Value) {
    let seen = script.seen().pop().unwrap();
    let body = if seen.body.is_empty() { Value::Null } else { seen.json() };
    (seen.line, body)
}

#[tokio::test(start_paused = true)]
async fn each_write_to_a_playlist_is_one_request_and_gives_the_version_after_it() {
    let script = Script::always(201, &json!({ "snapshot_id": "s2" }));
    let music = user(&script);
    let playlists = music.playlists().unwrap();
    let (s1, s2) = (Snapshot::from("s1"), Some(Snapshot::from("s2")));
    let two = [TrackId::from("t1"), TrackId::from("spotify:episode:e1")];
    let uris = json!(["spotify:track:t1", "spotify:episode:e1"]);

    assert_eq!(playlists.add("p1", &two).await.unwrap(), s2);
    assert_eq!(sent(&script), ("POST /playlists/p1/items".into(), json!({ "uris": uris })));
    assert_eq!(playlists.insert("p1", &two, 0).await.unwrap(), s2);
    assert_eq!(sent(&script), ("POST /playlists/p1/items".into(), json!({ "uris": uris, "position": 0 })));
    assert_eq!(playlists.remove("p1", &two, Some(&s1)).await.unwrap(), s2);
    let items = json!([{ "uri": "spotify:track:t1" }, { "uri": "spotify:episode:e1" }]);
    let body = json!({ "items": items, "snapshot_id": "s1" });
    assert_eq!(sent(&script), ("DELETE /playlists/p1/items".into(), body));
    assert_eq!(playlists.reorder("p1", 0, 2, 10, Some(&s1)).await.unwrap(), s2);
    let body = json!({ "range_start": 0, "range_length": 2, "insert_before": 10, "snapshot_id": "s1" });
    assert_eq!(sent(&script), ("PUT /playlists/p1/items".into(), body));
    assert_eq!(playlists.replace("p1", &[]).await.unwrap(), s2);
    assert_eq!(sent(&script), ("PUT /playlists/p1/items".into(), json!({ "uris": [] })));

    let count = script.seen().len();
    let error = playlists.add("p1", &tracks(101)).await.unwrap_err();
    assert_eq!((error.kind(), script.seen().len()), (ErrorKind::InvalidRequest, count));
}

#[tokio::test(start_paused = true)]
async fn a_playlist_is_made_edited_and_let_go() {
    let script = Script::always(201, &json!({ "id": "p9", "name": "New" }));
    let music = user(&script);
    let playlists = music.playlists().unwrap();
    assert_eq!(playlists.create(&NewPlaylist::new("New")).await.unwrap().id.as_str(), "p9");
    assert_eq!(sent(&script), ("POST /me/playlists".into(), json!({ "name": "New" })));
    let shared = NewPlaylist::new("New").description("ours").collaborative();
    playlists.create(&shared).await.unwrap();
    let body = json!({ "name": "New", "description": "ours", "collaborative": true, "public": false });
    assert_eq!(sent(&script).1, body);
    playlists.create(&NewPlaylist::new("New").public(true)).await.unwrap();
    assert_eq!(sent(&script).1, json!({ "name": "New", "public": true }));
    let edit = PlaylistEdit { name: Some("Old".into()), public: Some(false), ..PlaylistEdit::default() };
    playlists.edit("p9", &edit).await.unwrap();
    assert_eq!(sent(&script), ("PUT /playlists/p9".into(), json!({ "name": "Old", "public": false })));
    playlists.delete("p9").await.unwrap();
    assert_eq!(sent(&script).0, "DELETE /me/library?uris=spotify%3Aplaylist%3Ap9");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_of_adding_is_not_tried_again() {
    let script = Script::always(502, &Value::Null);
    let error = user(&script).playlists().unwrap().add("p1", &tracks(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown));
    assert_eq!(script.seen().len(), 1);
}

fn uris(seen: &Seen) -> Vec<String> {
    let (_, query) = seen.line.split_once("uris=").unwrap();
    query.replace("%3A", ":").split("%2C").map(str::to_owned).collect()
}

/// The second batch fails: its tracks have its error, the others do not.
#[tokio::test(start_paused = true)]
async fn the_library_is_written_in_batches_with_an_outcome_for_each_track() {
    let script = Script::new(|seen, _| {
        if seen.line.contains("Atrack%3At40%2C") {
            (403, r#"{"error":{"message":"Insufficient client scope"}}"#.into())
        } else {
            (200, String::new())
        }
    });
    let music = user(&script);
    let library = music.library().unwrap();
    let (mut saved, removed) =
        (library.save(&tracks(100)).await.unwrap(), library.remove(&tracks(3)).await.unwrap());
    assert_eq!((saved.len(), removed.len()), (100, 3));
    let failed: Vec<usize> = (0..100).filter(|at| saved[*at].is_err()).collect();
    assert_eq!(failed, (40..80).collect::<Vec<_>>());
    let errors: Vec<_> = saved.drain(40..80).map(Result::unwrap_err).collect();
    for error in errors {
        assert_eq!((error.kind(), error.effect()), (ErrorKind::PermissionDenied, Effect::Rejected));
        assert!(error.hint().unwrap().contains("scope"));
    }
    let seen = script.seen();
    assert_eq!(seen.iter().map(|seen| uris(seen).len()).collect::<Vec<_>>(), [40, 40, 20, 3]);
    assert!(seen[0].line.starts_with("PUT /me/library?") && seen[3].line.starts_with("DELETE /me/library?"));
    assert_eq!(uris(&seen[2])[0], "spotify:track:t80");
    assert!(library.save(&[]).await.unwrap().is_empty());
}

/// By the address of a playlist the library would let the playlist go.
#[tokio::test(start_paused = true)]
async fn what_is_no_track_is_not_written_and_takes_no_other_with_it() {
    let script = Script::always(200, &Value::Null);
    let music = user(&script);
    let mixed =
        ["t1", "spotify:playlist:p1", "a,spotify:playlist:p1", "spotify:episode:e1", "t2"].map(TrackId::from);
    let outcomes = music.library().unwrap().remove(&mixed).await.unwrap();
    let failed: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().err().map(Error::effect)).collect();
    assert_eq!(failed, [None, Some(Effect::NotSent), Some(Effect::NotSent), None, None]);
    assert_eq!(uris(&script.seen()[0]), ["spotify:track:t1", "spotify:episode:e1", "spotify:track:t2"]);
    assert_eq!(script.seen().len(), 1);
    assert!(music.library().unwrap().has(&mixed).await.is_err());
    assert_eq!(script.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_library_is_asked_in_batches_and_must_answer_each() {
    let script = Script::new(|seen, _| {
        let has: Vec<bool> = uris(seen).iter().map(|uri| uri.ends_with('7')).collect();
        (200, json!(has).to_string())
    });
    let has = user(&script).library().unwrap().has(&tracks(50)).await.unwrap();
    let found: Vec<usize> = (0..50).filter(|at| has[*at]).collect();
    assert_eq!((has.len(), found, script.seen().len()), (50, vec![7, 17, 27, 37, 47], 2));
    assert!(script.lines()[0].starts_with("GET /me/library/contains?uris="));
    let short =
        user(&Script::always(200, &json!([true]))).library().unwrap().has(&tracks(2)).await.unwrap_err();
    assert_eq!((short.kind(), short.operation().is_empty()), (ErrorKind::Decode, false));
}

#[tokio::test(start_paused = true)]
async fn the_player_is_told_what_to_do() {
    let script = Script::always(204, &Value::Null);
    let music = user(&script);
    let player = music.playback().unwrap();
    let kitchen = DeviceId::from("d1");
    let device = Some(&kitchen);
    let both = PlayRequest::Tracks(vec!["t1".into(), "t2".into()]);
    player.play(&both, device).await.unwrap();
    let body = json!({ "uris": ["spotify:track:t1", "spotify:track:t2"] });
    assert_eq!(sent(&script), ("PUT /me/player/play?device_id=d1".into(), body));
    for (what, context) in [
        (PlayRequest::Album("al1".into()), "spotify:album:al1"),
        (PlayRequest::Artist("ar1".into()), "spotify:artist:ar1"),
        (PlayRequest::Playlist("p1".into()), "spotify:playlist:p1"),
    ] {
        player.play(&what, None).await.unwrap();
        assert_eq!(sent(&script), ("PUT /me/player/play".into(), json!({ "context_uri": context })));
    }
    player.play(&PlayRequest::Resume, None).await.unwrap();
    let (line, body) = sent(&script);
    assert!(line == "PUT /me/player/play" && (body == json!({}) || body.is_null()), "{body}");
    player.pause(device).await.unwrap();
    player.next(None).await.unwrap();
    player.previous(device).await.unwrap();
    player.seek(61_000, None).await.unwrap();
    player.set_volume(40, device).await.unwrap();
    player.set_shuffle(true, None).await.unwrap();
    player.set_repeat(&RepeatMode::Track, None).await.unwrap();
    player.enqueue("t1", None).await.unwrap();
    player.transfer(&kitchen, true).await.unwrap();
    assert_eq!(
        script.lines()[5..],
        [
            "PUT /me/player/pause?device_id=d1",
            "POST /me/player/next",
            "POST /me/player/previous?device_id=d1",
            "PUT /me/player/seek?position_ms=61000",
            "PUT /me/player/volume?device_id=d1&volume_percent=40",
            "PUT /me/player/shuffle?state=true",
            "PUT /me/player/repeat?state=track",
            "POST /me/player/queue?uri=spotify%3Atrack%3At1",
            "PUT /me/player",
        ]
    );
    assert_eq!(sent(&script).1, json!({ "device_ids": ["d1"], "play": true }));
}

#[tokio::test(start_paused = true)]
async fn without_a_device_there_is_something_to_do() {
    let refusal = json!({ "error": { "status": 404, "message": "Player command failed", "reason": "NO_ACTIVE_DEVICE" } });
    let error = user(&Script::always(404, &refusal)).playback().unwrap().pause(None).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Precondition, Some("NO_ACTIVE_DEVICE")));
    assert!(error.hint().unwrap().contains("open Spotify"));
}

/// A used-up quota is not waited for, though the answer says when to come back.
#[tokio::test(start_paused = true)]
async fn a_used_up_quota_is_not_tried_again() {
    let refusal =
        json!({ "error": { "status": 429, "message": "Too many requests", "reason": "QUOTA_EXCEEDED" } });
    let script = Script::always(429, &refusal);
    let error = user(&script).track("t1").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable(), script.seen().len()),
        (ErrorKind::QuotaExhausted, false, 1)
    );
}
