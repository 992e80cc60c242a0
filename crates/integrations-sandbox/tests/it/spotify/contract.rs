//! Every operation of the vendor's description, asked well and judged strictly, in the folder that
//! `INTEGRATIONS_SPECS` names.

use std::path::Path;

use http::header::HeaderValue;
use integrations_testkit::contract::{Description, Operation, Request};

use super::Fake;

const FILE: &str = "spotify/fixed-spotify-open-api.yml";

/// What operations need besides their path: the query and the body, with names of known things in braces.
const NEEDS: &[(&str, &str, &str)] = &[
    ("get-multiple-albums", "ids={album}", ""),
    ("get-multiple-artists", "ids={artist}", ""),
    ("get-multiple-shows", "ids={show}", ""),
    ("get-multiple-episodes", "ids={episode}", ""),
    ("get-multiple-audiobooks", "ids={audiobook}", ""),
    ("get-several-chapters", "ids={chapter}", ""),
    ("get-several-tracks", "ids={track},{track_2}", ""),
    ("get-several-audio-features", "ids={track},{track_2}", ""),
    ("save-audiobooks-user", "ids={audiobook}", ""),
    ("remove-audiobooks-user", "ids={audiobook}", ""),
    ("check-users-saved-audiobooks", "ids={audiobook}", ""),
    ("save-albums-user", "ids={album}", ""),
    ("remove-albums-user", "ids={album}", ""),
    ("check-users-saved-albums", "ids={album}", ""),
    ("save-tracks-user", "", r#"{"ids": ["{track}"]}"#),
    ("remove-tracks-user", "ids={track}", ""),
    ("check-users-saved-tracks", "ids={track}", ""),
    ("save-episodes-user", "ids={episode}", r#"{"ids": ["{episode}"]}"#),
    ("remove-episodes-user", "ids={episode}", ""),
    ("check-users-saved-episodes", "ids={episode}", ""),
    ("save-shows-user", "ids={show}", ""),
    ("remove-shows-user", "ids={show}", ""),
    ("check-users-saved-shows", "ids={show}", ""),
    ("search", "q=o&type=album,artist,playlist,track,show,episode,audiobook&limit=2", ""),
    ("create-playlist", "", r#"{"name": "New", "public": false}"#),
    ("create-playlist-for-user", "", r#"{"name": "New", "public": false}"#),
    ("change-playlist-details", "", r#"{"name": "Renamed"}"#),
    ("add-items-to-playlist", "", r#"{"uris": ["spotify:track:{track}"], "position": 0}"#),
    ("add-tracks-to-playlist", "", r#"{"uris": ["spotify:track:{track}"], "position": 0}"#),
    ("reorder-or-replace-playlists-items", "", r#"{"range_start": 0, "insert_before": 3}"#),
    ("reorder-or-replace-playlists-tracks", "", r#"{"uris": ["spotify:track:{track}"]}"#),
    ("remove-items-playlist", "", r#"{"items": [{"uri": "spotify:track:{track}"}]}"#),
    ("remove-tracks-playlist", "", r#"{"tracks": [{"uri": "spotify:track:{track}"}]}"#),
    ("save-library-items", "uris=spotify%3Atrack%3A{track},spotify%3Aplaylist%3A{foreign_playlist}", ""),
    ("remove-library-items", "uris=spotify%3Atrack%3A{track},spotify%3Aplaylist%3A{foreign_playlist}", ""),
    ("check-library-contains", "uris=spotify%3Atrack%3A{track},spotify%3Aartist%3A{artist}", ""),
    // A last page says by a null that nothing follows, which the description does not allow.
    ("get-followed", "type=artist&limit=1", ""),
    ("follow-artists-users", "type=artist&ids={artist}", r#"{"ids": ["{artist}"]}"#),
    ("unfollow-artists-users", "type=artist&ids={artist}", ""),
    ("check-current-user-follows", "type=artist&ids={artist}", ""),
    ("follow-playlist", "", r#"{"public": true}"#),
    ("check-if-user-follows-playlist", "ids={user}", ""),
    ("get-recommendations", "seed_tracks={track}&seed_genres=indie&limit=3", ""),
    ("upload-custom-playlist-cover", "", COVER),
    ("transfer-a-users-playback", "", r#"{"device_ids": ["{device}"]}"#),
    ("start-a-users-playback", "device_id={device_2}", r#"{"context_uri": "spotify:album:{album}"}"#),
    ("seek-to-position-in-currently-playing-track", "position_ms=1000", ""),
    ("set-repeat-mode-on-users-playback", "state=track", ""),
    ("set-volume-for-users-playback", "volume_percent=10", ""),
    ("toggle-shuffle-for-users-playback", "state=true", ""),
    ("add-to-queue", "uri=spotify%3Atrack%3A{track}", ""),
];

/// The smallest text that begins as a JPEG does.
const COVER: &str = "/9j/4AAQSkZJRg==";

#[test]
fn every_operation_is_answered_as_described() {
    let Some(folder) = std::env::var_os("INTEGRATIONS_SPECS") else {
        eprintln!("skipped: INTEGRATIONS_SPECS names no folder of descriptions");
        return;
    };
    let description = Description::read(Path::new(&folder).join(FILE)).unwrap();
    let mut wrong = Vec::new();
    let mut judged = 0;
    for operation in description.operations() {
        judged += 1;
        wrong.extend(violations(&description, &operation));
    }
    assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(judged, 97);
}

fn violations(description: &Description, operation: &Operation<'_>) -> Vec<String> {
    let fake = Fake::new();
    let need = NEEDS.iter().find(|(id, ..)| Some(*id) == operation.id());
    let (query, body) = need.map_or(("", ""), |(_, query, body)| (*query, *body));
    let path = filled(&fake, &with_variables(operation), &filled(&fake, query, ""));
    let kind = if body == COVER { "image/jpeg" } else { "application/json" };
    let body = filled(&fake, body, "");
    let method = operation.method().unwrap();
    let mut request = Request::new(method.clone(), format!("/v1{path}").parse().unwrap());
    if !body.is_empty() {
        request = request.body(HeaderValue::from_static(kind), body.clone());
    }
    let asked = description.check_request(&request);
    let answer = fake.send(method.as_str(), &path, kind, body.as_bytes());
    let answered = operation.check_response_strict(answer.status.as_u16(), &answer.headers, &answer.body);
    let mut wrong: Vec<String> =
        asked.iter().chain(&answered).map(|violation| format!("{operation}: {violation:?}")).collect();
    if !answer.status.is_success() {
        wrong.push(format!("{operation}: {} {:?}", answer.status, answer.body));
    }
    wrong
}

/// The path, its variables named as what is known.
fn with_variables(operation: &Operation<'_>) -> String {
    let path = operation.path();
    let kind = path.trim_start_matches('/').split('/').next().unwrap();
    let name = match kind {
        "audio-features" | "audio-analysis" => "track",
        kind => kind.trim_end_matches('s'),
    };
    path.replace("{id}", &format!("{{{name}}}"))
        .replace("{playlist_id}", "{playlist}")
        .replace("{user_id}", "{user}")
        .replace("{category_id}", "indie")
}

/// A text with ids in place of the names in braces, and a query behind it.
fn filled(fake: &Fake, text: &str, query: &str) -> String {
    const NAMES: &[&str] = &[
        "track",
        "track_2",
        "album",
        "artist",
        "show",
        "episode",
        "audiobook",
        "chapter",
        "playlist",
        "user",
        "device",
        "device_2",
        "foreign_playlist",
    ];
    let text =
        NAMES.iter().fold(text.to_owned(), |text, name| text.replace(&format!("{{{name}}}"), &fake.id(name)));
    if query.is_empty() { text } else { format!("{text}?{query}") }
}
