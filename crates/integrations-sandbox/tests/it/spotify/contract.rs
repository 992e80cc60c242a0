//! Every operation of the vendor's description, asked well and judged strictly, in the folder that
//! `INTEGRATIONS_SPECS` names.

use super::*;

const FILE: &str = "spotify/fixed-spotify-open-api.yml";

/// What operations need besides their path: the query, with names of known things in braces, and the body.
fn needs(operation: &str) -> (&'static str, Value) {
    let nothing = Value::Null;
    match operation {
        "get-multiple-albums" => ("ids={album}", nothing),
        "get-multiple-artists" => ("ids={artist}", nothing),
        "get-multiple-shows" => ("ids={show}", nothing),
        "get-multiple-episodes" => ("ids={episode}", nothing),
        "get-multiple-audiobooks" => ("ids={audiobook}", nothing),
        "get-several-chapters" => ("ids={chapter}", nothing),
        "get-several-tracks" | "get-several-audio-features" => ("ids={track},{track_2}", nothing),
        "save-audiobooks-user" | "remove-audiobooks-user" | "check-users-saved-audiobooks" => {
            ("ids={audiobook}", nothing)
        }
        "save-albums-user" | "remove-albums-user" | "check-users-saved-albums" => ("ids={album}", nothing),
        "remove-tracks-user" | "check-users-saved-tracks" => ("ids={track}", nothing),
        "save-tracks-user" => ("", json!({"ids": ["{track}"]})),
        "save-episodes-user" => ("ids={episode}", json!({"ids": ["{episode}"]})),
        "remove-episodes-user" | "check-users-saved-episodes" => ("ids={episode}", nothing),
        "save-shows-user" | "remove-shows-user" | "check-users-saved-shows" => ("ids={show}", nothing),
        "search" => ("q=o&type=album,artist,playlist,track,show,episode,audiobook&limit=2", nothing),
        "create-playlist" | "create-playlist-for-user" => ("", json!({"name": "New", "public": false})),
        "change-playlist-details" => ("", json!({"name": "Renamed"})),
        "add-items-to-playlist" | "add-tracks-to-playlist" => {
            ("", json!({"uris": ["spotify:track:{track}"], "position": 0}))
        }
        "reorder-or-replace-playlists-items" | "reorder-or-replace-playlists-tracks" => {
            ("", json!({"range_start": 0, "insert_before": 3, "range_length": 2}))
        }
        "remove-items-playlist" => ("", json!({"items": [{"uri": "spotify:track:{track}"}]})),
        "remove-tracks-playlist" => ("", json!({"tracks": [{"uri": "spotify:track:{track}"}]})),
        "save-library-items" | "remove-library-items" | "check-library-contains" => {
            ("uris=spotify%3Atrack%3A{track},spotify%3Aplaylist%3A{foreign_playlist}", nothing)
        }
        // The last page says that nothing follows by a null that the description does not allow.
        "get-followed" => ("type=artist&limit=1", nothing),
        "follow-artists-users" => ("type=artist&ids={artist}", json!({"ids": ["{artist}"]})),
        "unfollow-artists-users" | "check-current-user-follows" => ("type=artist&ids={artist}", nothing),
        "follow-playlist" => ("", json!({"public": true})),
        "check-if-user-follows-playlist" => ("ids={user}", nothing),
        "get-recommendations" => ("seed_tracks={track}&seed_genres=indie&limit=3", nothing),
        "transfer-a-users-playback" => ("", json!({"device_ids": ["{device}"]})),
        "start-a-users-playback" => (
            "device_id={device_2}",
            json!({"context_uri": "spotify:album:{album}", "offset": {"position": 1}}),
        ),
        "seek-to-position-in-currently-playing-track" => ("position_ms=1000", nothing),
        "set-repeat-mode-on-users-playback" => ("state=track", nothing),
        "set-volume-for-users-playback" => ("volume_percent=10", nothing),
        "toggle-shuffle-for-users-playback" => ("state=true", nothing),
        "add-to-queue" => ("uri=spotify%3Atrack%3A{track}", nothing),
        _ => ("", nothing),
    }
}

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
    let (query, body) = needs(operation.id().unwrap());
    let path = filled(&fake, &with_variables(operation), &filled(&fake, query, ""));
    let (kind, body) = match body {
        Value::Null if operation.id() == Some("upload-custom-playlist-cover") => {
            ("image/jpeg", COVER.to_owned())
        }
        Value::Null => ("application/json", String::new()),
        body => ("application/json", filled(&fake, &body.to_string(), "")),
    };
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
