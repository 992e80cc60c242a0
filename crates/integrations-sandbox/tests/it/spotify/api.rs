//! The Web API.

use serde_json::{Value, json};

use super::Fake;

const NOTHING: Value = Value::Null;

fn tracks(fake: &Fake, numbers: &[usize]) -> Vec<String> {
    let all = fake.get("/me/tracks?limit=50");
    let id = |number: usize| all["items"][number]["track"]["uri"].as_str().unwrap().to_owned();
    numbers.iter().map(|&number| id(number)).collect()
}

/// A playlist of these tracks of the library.
fn playlist(fake: &Fake, numbers: &[usize]) -> String {
    let (status, made) = fake.ask("POST", "/me/playlists", &json!({"name": "Made"}));
    assert_eq!(status, 201);
    let id = made["id"].as_str().unwrap().to_owned();
    let uris = tracks(fake, numbers);
    assert_eq!(fake.status("POST", &format!("/playlists/{id}/items"), &json!({"uris": uris})), 201);
    id
}

/// The places in the library of what a playlist has.
fn order(fake: &Fake, playlist: &str) -> Vec<usize> {
    let all = tracks(fake, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    let items = fake.get(&format!("/playlists/{playlist}/items?limit=50"));
    let place = |item: &Value| all.iter().position(|uri| item["item"]["uri"] == json!(uri)).unwrap();
    items["items"].as_array().unwrap().iter().map(place).collect()
}

#[test]
fn what_is_known_is_there() {
    let fake = Fake::new();
    let track = fake.get(&format!("/tracks/{}", fake.id("track")));
    assert_eq!(track["name"], fake.id("track_title"));
    assert_eq!(track["artists"][0]["name"], fake.id("track_artist"));
    assert_eq!(track["album"]["name"], fake.id("track_album"));
    assert_eq!(track["external_ids"]["isrc"], fake.id("track_isrc"));
    assert_eq!(track["duration_ms"].to_string(), fake.id("track_duration_ms"));
    for number in 2..=5 {
        fake.get(&format!("/tracks/{}", fake.id(&format!("track_{number}"))));
    }
    assert_eq!(fake.get(&format!("/albums/{}", fake.id("album")))["name"], fake.id("album_title"));
    assert_eq!(fake.get(&format!("/artists/{}", fake.id("artist")))["name"], fake.id("artist_name"));
    let playlist =
        fake.get(&format!("/playlists/{}/items?market={}", fake.id("playlist"), fake.id("market")));
    assert!(playlist["total"].as_u64().unwrap() >= 5);
    assert!(
        playlist["items"].as_array().unwrap().iter().all(|item| item["item"]["is_playable"] == json!(true))
    );
    let devices = fake.get("/me/player/devices");
    assert_eq!(devices["devices"][0]["id"], fake.id("device"));
    assert!(
        fake.get("/recommendations/available-genre-seeds")["genres"]
            .as_array()
            .unwrap()
            .contains(&json!(fake.id("tag")))
    );
    assert_eq!(fake.status("GET", &format!("/tracks/{}", fake.id("no_track")), &NOTHING), 404);
}

#[test]
fn the_same_seed_is_the_same_vendor() {
    let (one, same, other) = (Fake::new(), Fake::new(), Fake::seeded(1));
    assert_eq!(one.known, same.known);
    assert_eq!(one.sandbox.settings(), same.sandbox.settings());
    assert_eq!(one.get("/me/playlists"), same.get("/me/playlists"));
    assert_ne!(one.id("track"), other.id("track"));
    assert_ne!(one.token, other.token);
}

#[test]
fn refusals_tell_why() {
    let fake = Fake::new();
    let no_track = fake.id("no_track");
    for (path, status, message) in [
        ("/tracks/short".to_owned(), 400, "Invalid base62 id"),
        (format!("/tracks/{no_track}"), 404, "Resource not found"),
        ("/nowhere".to_owned(), 404, "Service not found"),
        ("/me/playlists?limit=51".to_owned(), 400, "Invalid limit"),
        ("/me/playlists?limit=0".to_owned(), 400, "Invalid limit"),
        ("/me/playlists?offset=-1".to_owned(), 400, "Invalid offset"),
        ("/search?type=track".to_owned(), 400, "No search query"),
        ("/search?q=a".to_owned(), 400, "Missing parameter type"),
        ("/search?q=a&type=song".to_owned(), 400, "Bad search type field song"),
        ("/search?q=a&type=track&limit=51".to_owned(), 400, "Invalid limit"),
        ("/search?q=a&type=track&offset=1001".to_owned(), 400, "Invalid offset"),
        (format!("/tracks/{no_track}?market=xx"), 400, "Invalid market code"),
    ] {
        let (code, body) = fake.ask("GET", &path, &NOTHING);
        assert_eq!(code, status, "{path}");
        assert_eq!(body, json!({"error": {"status": status, "message": message}}), "{path}");
    }
}

#[test]
fn a_token_says_what_is_allowed() {
    let mut stranger = Fake::new();
    stranger.token = "BQstranger".to_owned();
    let (status, body) = stranger.ask("GET", "/me", &NOTHING);
    assert_eq!((status, &body["error"]["message"]), (401, &json!("Invalid access token")));
    let fake = Fake::new();
    let narrow = fake.with_token("narrow_token");
    assert_eq!(narrow.get("/me").get("email"), None);
    let (status, body) = narrow.ask("GET", "/me/tracks", &NOTHING);
    assert_eq!((status, &body["error"]["message"]), (403, &json!("Insufficient client scope")));
    for (method, path, body) in [
        ("GET", "/me/playlists", NOTHING),
        ("POST", "/me/playlists", json!({"name": "A"})),
        ("PUT", "/me/player/pause", NOTHING),
        ("GET", "/me/top/tracks", NOTHING),
        ("GET", "/me/player/recently-played", NOTHING),
    ] {
        assert_eq!(narrow.status(method, path, &body), 403, "{method} {path}");
    }
    let application = fake.with_token("app_token");
    assert_eq!(application.status("GET", "/me", &NOTHING), 401);
    application.get(&format!("/tracks/{}", fake.id("track")));
}

#[test]
fn private_playlists_need_their_own_scope() {
    let fake = Fake::new();
    let owner = fake.id("user");
    assert_eq!(owner, fake.get("/me")["id"].as_str().unwrap());
    let (status, made) = fake.ask("POST", "/me/playlists", &json!({"name": "Mine", "public": false}));
    assert_eq!((status, &made["public"]), (201, &json!(false)));
    let path = format!("/playlists/{}", made["id"].as_str().unwrap());
    fake.get(&path);
    let narrow = fake.with_token("narrow_token");
    assert_eq!(narrow.status("GET", &path, &NOTHING), 403);
    assert_eq!(narrow.status("GET", &format!("{path}/items"), &NOTHING), 403);
    narrow.get(&format!("/playlists/{}", fake.id("playlist")));
    let body = json!({"name": "Both", "collaborative": true});
    assert_eq!(fake.status("POST", "/me/playlists", &body), 400, "collaborative ones are not public");
    assert_eq!(fake.status("POST", "/me/playlists", &json!({})), 400);
}

#[test]
fn a_replaced_token_has_expired() {
    use integrations_sandbox::spotify;
    let mut vendor = (spotify::FAKE.make)(0);
    let before = vendor.settings();
    let (name, value) = vendor.rotate().unwrap();
    assert_eq!(name, "access_token");
    assert_ne!(before[0].1, value);
    assert_eq!(vendor.settings()[0].1, value);
}

#[test]
fn search_takes_words_and_filters() {
    let fake = Fake::new();
    let names = |query: &str, kind: &str| -> Vec<String> {
        let found = fake.get(&format!("/search?type={kind}&q={query}"));
        let items = found[format!("{kind}s")]["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("harbour%20lights", "track"), ["Harbour Lights", "Harbour Lights (Live)"]);
    assert_eq!(names("isrc%3AQZAAA1400001", "track"), ["Harbour Lights (Live)"]);
    assert_eq!(names("track%3A%22Low%20Tide%22%20artist%3ALanterns", "track"), ["Low Tide"]);
    assert_eq!(names("uber%20den", "track"), ["Über den Dächern"]);
    assert_eq!(names("year%3A1983", "album"), ["Takt"]);
    assert_eq!(names("year%3A1999-2012", "album"), ["Low Tide", "Rooms"]);
    assert_eq!(names(&format!("upc%3A{}", fake.id("album_upc")), "album"), [fake.id("album_title")]);
    assert_eq!(names("genre%3Akrautrock", "artist"), ["Maschinenhaus"]);
    assert_eq!(names("evening", "playlist"), ["Evening walk"]);
    assert_eq!(names("rooms", "track"), ["Rooms", "Nocturne for Two Doors"]);
    assert_eq!(names("crate%2002", "playlist"), ["Crate 02"]);
    assert!(names("crate%2003", "playlist").is_empty(), "it is private");
    assert_eq!(fake.status("POST", "/me/playlists", &json!({"name": "Morning"})), 201);
    assert_eq!(names("morning", "playlist"), ["Morning", "Indie Morning"]);
    assert!(names("nothing%20like%20this", "track").is_empty());
    assert!(names("isrc%3AQZAAA1400001", "album").is_empty(), "albums have no such code");
}

#[test]
fn pages_lead_to_each_other() {
    let fake = Fake::new();
    let mut path = "/me/tracks?limit=5&market=DE".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = fake.get(&path);
        assert_eq!(page["total"], 12);
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["track"]["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        path = next.strip_prefix("https://api.spotify.com/v1").unwrap().to_owned();
    }
    assert_eq!(seen.len(), 12);
    let second = fake.get("/me/tracks?limit=5&offset=5");
    assert!(second["previous"].as_str().unwrap().contains("offset=0&limit=5"));
    assert!(fake.get("/me/playlists")["total"].as_u64().unwrap() >= 12);
}

#[test]
fn plays_are_read_backwards_and_forwards() {
    let fake = Fake::new();
    let page = fake.get("/me/player/recently-played?limit=50");
    assert_eq!(page["items"].as_array().unwrap().len(), 50);
    assert!(page["next"].as_str().unwrap().contains("before="));
    let before = page["cursors"]["before"].as_str().unwrap();
    let rest = fake.get(&format!("/me/player/recently-played?limit=50&before={before}"));
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (10, &NOTHING));
    let oldest = rest["cursors"]["before"].as_str().unwrap();
    let newer = fake.get(&format!("/me/player/recently-played?limit=9&after={oldest}"));
    assert_eq!(newer["items"].as_array().unwrap().len(), 9);
    assert_eq!(newer["items"][0], rest["items"][0], "the nine behind the oldest are the others of that page");
    let newest = page["cursors"]["after"].as_str().unwrap();
    let none = fake.get(&format!("/me/player/recently-played?after={newest}"));
    assert_eq!((&none["items"], &none["cursors"]), (&json!([]), &NOTHING));
    assert_eq!(fake.status("GET", "/me/player/recently-played?before=1&after=1", &NOTHING), 400);
}

#[test]
fn items_are_added_where_they_are_wanted() {
    let fake = Fake::new();
    let id = playlist(&fake, &[0, 1, 2]);
    let path = format!("/playlists/{id}/items");
    let add = |path: &str, number: usize, position: Value| {
        let uris = tracks(&fake, &[number]);
        fake.status("POST", path, &json!({"uris": uris, "position": position}))
    };
    assert_eq!(add(&path, 3, json!(1)), 201);
    assert_eq!(order(&fake, &id), [0, 3, 1, 2]);
    assert_eq!(add(&path, 4, json!(4)), 201);
    assert_eq!(order(&fake, &id), [0, 3, 1, 2, 4]);
    assert_eq!(add(&path, 5, json!(6)), 400);
    assert_eq!(add(&path, 5, json!(-1)), 400);
    let uri = tracks(&fake, &[5]).remove(0);
    assert_eq!(add(&format!("{path}?uris={uri}&position=0"), 6, NOTHING), 201, "the query wins");
    assert_eq!(order(&fake, &id), [5, 0, 3, 1, 2, 4]);
    let many = vec![uri; 101];
    assert_eq!(fake.status("POST", &path, &json!({"uris": many})), 400);
    let unknown = format!("spotify:track:{}", fake.id("no_track"));
    assert_eq!(fake.status("POST", &path, &json!({"uris": [unknown]})), 400);
}

#[test]
fn stretches_are_moved_in_the_original_order() {
    let fake = Fake::new();
    for (start, before, length, expected) in [
        (0, 5, 1, [1, 2, 3, 4, 0]),
        (4, 0, 1, [4, 0, 1, 2, 3]),
        (0, 3, 2, [2, 0, 1, 3, 4]),
        (2, 1, 2, [0, 2, 3, 1, 4]),
        (1, 1, 1, [0, 1, 2, 3, 4]),
        (1, 2, 1, [0, 1, 2, 3, 4]),
    ] {
        let id = playlist(&fake, &[0, 1, 2, 3, 4]);
        let body = json!({"range_start": start, "insert_before": before, "range_length": length});
        assert_eq!(fake.status("PUT", &format!("/playlists/{id}/items"), &body), 200);
        assert_eq!(order(&fake, &id), expected, "{body}");
    }
    let id = playlist(&fake, &[0, 1]);
    for body in [
        json!({"range_start": 2, "insert_before": 0}),
        json!({"range_start": 0, "insert_before": 3}),
        json!({"range_start": 1, "insert_before": 0, "range_length": 2}),
        json!({"range_start": 1}),
        json!({"range_start": 1, "insert_before": 0, "uris": []}),
    ] {
        assert_eq!(fake.status("PUT", &format!("/playlists/{id}/items"), &body), 400, "{body}");
    }
}

#[test]
fn items_are_replaced_and_every_occurrence_is_removed() {
    let fake = Fake::new();
    let id = playlist(&fake, &[0, 1, 0, 2]);
    let path = format!("/playlists/{id}/items");
    let first = tracks(&fake, &[0]).remove(0);
    assert_eq!(fake.status("DELETE", &path, &json!({"items": [{"uri": first}]})), 200);
    assert_eq!(order(&fake, &id), [1, 2]);
    assert_eq!(fake.status("DELETE", &path, &json!({"tracks": [{"uri": first}]})), 400);
    let old = format!("/playlists/{id}/tracks");
    let second = tracks(&fake, &[1]).remove(0);
    assert_eq!(fake.status("DELETE", &old, &json!({"tracks": [{"uri": second}]})), 200);
    assert_eq!(order(&fake, &id), [2]);
    assert_eq!(fake.status("PUT", &path, &json!({"uris": tracks(&fake, &[3, 4])})), 200);
    assert_eq!(order(&fake, &id), [3, 4]);
    assert_eq!(fake.status("PUT", &path, &json!({"uris": []})), 200);
    assert!(order(&fake, &id).is_empty());
}

#[test]
fn a_snapshot_names_the_version_that_is_meant() {
    let fake = Fake::new();
    let id = playlist(&fake, &[0, 1, 2]);
    let path = format!("/playlists/{id}/items");
    let snapshot =
        |fake: &Fake| fake.get(&format!("/playlists/{id}?fields=snapshot_id"))["snapshot_id"].clone();
    let old = snapshot(&fake);
    let (_, added) = fake.ask("POST", &path, &json!({"uris": tracks(&fake, &[2, 3]), "position": 0}));
    assert_eq!(snapshot(&fake), added["snapshot_id"]);
    assert_ne!(old, added["snapshot_id"]);
    let body = json!({"range_start": 2, "insert_before": 0, "snapshot_id": old});
    assert_eq!(fake.status("PUT", &path, &body), 200);
    assert_eq!(order(&fake, &id), [2, 3, 2, 0, 1], "the last of the old three goes before the first of them");
    assert_eq!(fake.status("PUT", &path, &body), 200);
    assert_eq!(order(&fake, &id), [2, 3, 2, 0, 1], "again, without a difference");
    let uri = tracks(&fake, &[2]).remove(0);
    assert_eq!(fake.status("DELETE", &path, &json!({"items": [{"uri": uri}], "snapshot_id": old})), 200);
    assert_eq!(order(&fake, &id), [2, 3, 0, 1], "what was added since stays");
    let unknown = json!({"items": [{"uri": uri}], "snapshot_id": "AAAAnothing"});
    assert_eq!(fake.status("DELETE", &path, &unknown), 400);
    let before = snapshot(&fake);
    assert_eq!(fake.status("PUT", &format!("/playlists/{id}"), &json!({"name": "Renamed"})), 200);
    assert_ne!(snapshot(&fake), before, "a new name is a new version too");
}

#[test]
fn a_mixed_playlist_has_what_is_no_track() {
    let fake = Fake::new();
    let page = fake.get(&format!("/playlists/{}/items", fake.id("mixed_playlist")));
    let items = page["items"].as_array().unwrap();
    assert_eq!((&items[1]["is_local"], &items[1]["item"]["id"]), (&json!(true), &NOTHING));
    assert_eq!(items[1]["item"]["name"], "Harbour Lights Demo");
    assert_eq!(items[2]["item"], NOTHING);
    assert_eq!(items[3]["item"]["type"], "episode");
}

#[test]
fn fields_pick_parts() {
    let fake = Fake::new();
    let id = fake.id("playlist");
    let get = |fields: &str| fake.get(&format!("/playlists/{id}?fields={fields}"));
    assert_eq!(get("name"), json!({"name": "Evening walk"}));
    let page = get("items(total,items(item.name,is_local))");
    assert_eq!(page["items"]["items"][0], json!({"is_local": false, "item": {"name": "Harbour Lights"}}));
    let rest = get("items.items(!item,!track,!added_by),name");
    assert!(rest["items"]["items"][0].get("item").is_none());
    assert!(rest["items"]["items"][0].get("added_at").is_some());
    assert_eq!(rest["name"], "Evening walk");
}

#[test]
fn only_the_owner_changes_a_playlist() {
    let fake = Fake::new();
    let foreign = fake.id("foreign_playlist");
    let uri = tracks(&fake, &[0]);
    assert_eq!(fake.status("POST", &format!("/playlists/{foreign}/items"), &json!({"uris": uri})), 403);
    assert_eq!(fake.status("PUT", &format!("/playlists/{foreign}"), &json!({"name": "Mine"})), 403);
    fake.get(&format!("/playlists/{foreign}/items"));
    assert_eq!(fake.status("PUT", &format!("/playlists/{foreign}/followers"), &NOTHING), 200);
    let own = fake.get("/me/playlists?limit=50");
    assert!(own["items"].as_array().unwrap().iter().any(|playlist| playlist["id"] == json!(foreign)));
    assert_eq!(fake.status("DELETE", &format!("/playlists/{foreign}/followers"), &NOTHING), 200);
    let follows = format!("/playlists/{foreign}/followers/contains?ids={}", fake.id("user"));
    assert_eq!(fake.get(&follows), json!([false]));
}

#[test]
fn covers_are_jpegs_of_a_size() {
    let fake = Fake::new();
    let path = format!("/playlists/{}/images", fake.id("playlist"));
    let before = fake.get(&path);
    let put = |kind: &str, body: &str| fake.send("PUT", &path, kind, body.as_bytes()).status.as_u16();
    assert_eq!(put("image/jpeg", "/9j/4AAQSkZJRg=="), 202);
    assert_ne!(fake.get(&path), before);
    assert_eq!(put("image/png", "/9j/4AAQSkZJRg=="), 415);
    assert_eq!(put("image/jpeg", "aGVsbG8="), 400);
    assert_eq!(put("image/jpeg", &"/9j/".repeat(66_000)), 413);
}

#[test]
fn an_application_in_development_mode_has_less() {
    let fake = Fake::new();
    let less = fake.with_token("development_token");
    let (track, playlist) = (fake.id("track"), fake.id("playlist"));
    let (status, body) = less.ask("GET", &format!("/playlists/{playlist}/tracks"), &NOTHING);
    assert_eq!((status, body), (403, json!({"error": {"status": 403, "message": "Forbidden"}})));
    for (method, path, status) in [
        ("GET", format!("/tracks?ids={track}"), 403),
        ("PUT", format!("/me/tracks?ids={track}"), 403),
        ("GET", format!("/me/tracks/contains?ids={track}"), 403),
        ("GET", format!("/artists/{}/top-tracks", fake.id("artist")), 403),
        ("GET", format!("/artists/{}/related-artists", fake.id("artist")), 404),
        ("GET", format!("/recommendations?seed_tracks={track}"), 404),
        ("GET", "/markets".to_owned(), 403),
        ("GET", "/search?q=a&type=track&limit=11".to_owned(), 400),
        ("GET", format!("/playlists/{}/items", fake.id("foreign_playlist")), 403),
    ] {
        assert_eq!(less.status(method, &path, &NOTHING), status, "{method} {path}");
    }
    let shown = less.get(&format!("/tracks/{track}"));
    assert!(shown.get("popularity").is_none() && shown["album"].get("available_markets").is_none());
    assert_eq!(shown["external_ids"]["isrc"], fake.id("track_isrc"));
    assert!(fake.get(&format!("/tracks/{track}")).get("popularity").is_some());
    let own = less.get(&format!("/playlists/{playlist}"));
    assert!(own.get("tracks").is_none() && own["items"]["items"][0].get("track").is_none());
    assert!(less.get(&format!("/playlists/{}", fake.id("foreign_playlist"))).get("items").is_none());
    let me = less.get("/me");
    assert!(me.get("product").is_none() && me.get("account_id").is_some());
    assert_eq!(less.get("/search?q=morning&type=playlist")["playlists"]["items"], json!([null]));
    let uri = format!("spotify:track:{track}");
    assert_eq!(less.status("DELETE", &format!("/me/library?uris={uri}"), &NOTHING), 200);
    assert_eq!(less.get(&format!("/me/library/contains?uris={uri}")), json!([false]));
    assert_eq!(fake.get(&format!("/me/tracks/contains?ids={track}")), json!([false]));
}

#[test]
fn the_library_takes_what_it_names() {
    let fake = Fake::new();
    let artist = format!("spotify:artist:{}", fake.id("artist"));
    assert_eq!(fake.get(&format!("/me/library/contains?uris={artist}")), json!([true]));
    assert_eq!(fake.status("PUT", &format!("/me/library?uris={artist}"), &NOTHING), 400);
    assert_eq!(fake.status("PUT", "/me/library?uris=spotify:song:1", &NOTHING), 400);
    assert_eq!(fake.status("PUT", "/me/library", &NOTHING), 400);
    let uris = vec![format!("spotify:track:{}", fake.id("track")); 41].join(",");
    assert_eq!(fake.status("PUT", &format!("/me/library?uris={uris}"), &NOTHING), 400);
    let unknown = format!("spotify:track:{}", fake.id("no_track"));
    assert_eq!(fake.status("PUT", &format!("/me/library?uris={unknown}"), &NOTHING), 404);
    let body = json!({"timestamped_ids": [{"id": fake.id("track"), "added_at": "2020-01-02T03:04:05Z"}]});
    let path = format!("/me/tracks?ids={}", fake.id("track"));
    assert_eq!(fake.status("DELETE", &path, &NOTHING), 200);
    assert_eq!(fake.status("PUT", "/me/tracks", &body), 200);
    let all = fake.get("/me/tracks");
    assert_eq!(all["items"][0]["added_at"], "2020-01-02T03:04:05Z");
}

#[test]
fn followed_artists_go_on_behind_an_id() {
    let fake = Fake::new();
    let first = fake.get("/me/following?type=artist&limit=2");
    let after = first["artists"]["cursors"]["after"].as_str().unwrap();
    let second = fake.get(&format!("/me/following?type=artist&limit=2&after={after}"));
    assert_eq!(second["artists"]["items"].as_array().unwrap().len(), 1);
    assert_eq!((&second["artists"]["next"], &second["artists"]["total"]), (&NOTHING, &json!(3)));
    assert_eq!(fake.status("GET", "/me/following?type=user", &NOTHING), 400);
    let path = format!("/me/following?type=artist&ids={}", fake.id("artist"));
    assert_eq!(fake.status("DELETE", &path, &NOTHING), 204);
    assert_eq!(fake.get("/me/following?type=artist")["artists"]["total"], 2);
}

#[test]
fn the_player_does_what_it_is_told() {
    let fake = Fake::new();
    let put = |path: &str, body: &Value| fake.status("PUT", &format!("/me/player{path}"), body);
    assert_eq!(put("/volume?volume_percent=77", &NOTHING), 204);
    assert_eq!(put("/repeat?state=track", &NOTHING), 204);
    assert_eq!(put("/shuffle?state=true", &NOTHING), 204);
    assert_eq!(put("/pause", &NOTHING), 204);
    assert_eq!(put("/seek?position_ms=5000", &NOTHING), 204);
    let state = fake.get("/me/player");
    assert_eq!(state["device"]["volume_percent"], 77);
    assert_eq!((&state["repeat_state"], &state["shuffle_state"]), (&json!("track"), &json!(true)));
    assert_eq!((&state["is_playing"], &state["progress_ms"]), (&json!(false), &json!(5000)));
    assert_eq!(put("", &json!({"device_ids": [fake.id("device_2")], "play": true})), 204);
    let state = fake.get("/me/player");
    assert_eq!((&state["device"]["id"], &state["is_playing"]), (&json!(fake.id("device_2")), &json!(true)));
    for (path, body) in [
        ("/volume?volume_percent=101", NOTHING),
        ("/volume", NOTHING),
        ("/repeat?state=always", NOTHING),
        ("/shuffle?state=maybe", NOTHING),
        ("/seek?position_ms=-1", NOTHING),
        ("", json!({"device_ids": []})),
        ("/play", json!({"context_uri": "spotify:album:1", "uris": ["spotify:track:1"]})),
    ] {
        assert_eq!(put(path, &body), 400, "{path} {body}");
    }
    assert_eq!(put("/play?device_id=unknown", &NOTHING), 404);
}

#[test]
fn what_plays_next_is_told_and_remembered() {
    let fake = Fake::new();
    let album = format!("spotify:album:{}", fake.id("album"));
    let body = json!({"context_uri": album, "offset": {"position": 1}, "position_ms": 31_000});
    assert_eq!(fake.status("PUT", "/me/player/play", &body), 204);
    let name = |fake: &Fake| fake.get("/me/player/currently-playing")["item"]["name"].clone();
    assert_eq!(name(&fake), "Salt and Rope");
    let queued = format!("/me/player/queue?uri=spotify:episode:{}", fake.id("episode"));
    assert_eq!(fake.status("POST", &queued, &NOTHING), 204);
    let queue = fake.get("/me/player/queue");
    assert_eq!(
        (&queue["queue"][0]["type"], &queue["queue"][1]["name"]),
        (&json!("episode"), &json!("Low Tide"))
    );
    assert_eq!(fake.status("POST", "/me/player/next", &NOTHING), 204);
    assert_eq!(fake.get("/me/player")["item"], NOTHING, "who does not know episodes is shown none");
    assert_eq!(fake.get("/me/player?additional_types=track,episode")["item"]["type"], "episode");
    let played = fake.get("/me/player/recently-played?limit=1");
    assert_eq!(played["items"][0]["track"]["name"], "Salt and Rope");
    assert_eq!(fake.status("POST", "/me/player/next", &NOTHING), 204);
    assert_eq!(name(&fake), "Low Tide");
    assert_eq!(fake.status("POST", "/me/player/previous", &NOTHING), 204);
    assert_eq!(name(&fake), "Salt and Rope");
    let changes = fake.sandbox.ledger();
    assert!(changes.repeated().is_empty(), "{:?}", changes.repeated());
    assert_eq!(changes.changes().iter().filter(|change| change.adds_up).count(), 4);
}

#[tokio::test(start_paused = true)]
async fn songs_end_as_time_goes_on() {
    let fake = Fake::new();
    let name = |fake: &Fake| fake.get("/me/player")["item"]["name"].clone();
    assert_eq!(name(&fake), "Harbour Lights");
    tokio::time::advance(std::time::Duration::from_millis(172_001)).await;
    assert_eq!(name(&fake), "Salt and Rope");
    assert_eq!(fake.get("/me/player")["progress_ms"], 1);
}

#[test]
fn commands_need_a_device_and_a_subscription() {
    let fake = Fake::new();
    let (status, body) = fake.with_token("idle_token").ask("PUT", "/me/player/pause", &NOTHING);
    assert_eq!((status, &body["error"]["reason"]), (404, &json!("NO_ACTIVE_DEVICE")));
    let (status, body) = fake.with_token("free_token").ask("POST", "/me/player/next", &NOTHING);
    assert_eq!((status, &body["error"]["reason"]), (403, &json!("PREMIUM_REQUIRED")));
    assert_eq!(fake.with_token("idle_token").status("GET", "/me/player", &NOTHING), 204);
    assert_eq!(fake.with_token("free_token").get("/me")["product"], "free");
}

#[test]
fn a_song_is_not_sold_everywhere() {
    let fake = Fake::new();
    let found = fake.get("/search?q=track:Rooms&type=track&market=US");
    let track = &found["tracks"]["items"][0];
    assert_eq!((&track["is_playable"], &track["restrictions"]["reason"]), (&json!(false), &json!("market")));
    let book = format!("/audiobooks/{}", fake.id("audiobook"));
    assert_eq!(fake.status("GET", &format!("{book}?market=DE"), &NOTHING), 404);
    fake.get(&format!("{book}?market=US"));
}

#[test]
fn what_adds_up_stands_in_the_ledger() {
    let fake = Fake::new();
    let id = playlist(&fake, &[0, 1]);
    assert!(fake.sandbox.ledger().repeated().is_empty());
    let again = json!({"uris": tracks(&fake, &[0, 1])});
    assert_eq!(fake.status("POST", &format!("/playlists/{id}/items"), &again), 201);
    let ledger = fake.sandbox.ledger();
    let repeated: Vec<&str> = ledger.repeated().iter().map(|change| change.what.as_str()).collect();
    assert_eq!(repeated, ["add_items"]);
    fake.sandbox.reset();
    assert_eq!(fake.status("GET", &format!("/playlists/{id}"), &NOTHING), 404);
}
