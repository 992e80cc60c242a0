//! Every operation of the vendor's description, asked well and judged strictly, in the folder that
//! `INTEGRATIONS_SPECS` names.

use std::path::Path;

use http::Method;
use http::header::HeaderValue;
use integrations_sandbox::Answer;
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
    let Some(description) = description() else { return };
    let mut wrong = Vec::new();
    let mut judged = 0;
    for operation in description.operations() {
        judged += 1;
        let fake = Fake::new();
        let asked = Asked::new(&fake, &operation);
        let answer = asked.send(&fake);
        let status = answer.status.as_u16();
        let requests = description.check_request(&asked.request());
        let answers = operation.check_response_strict(status, &answer.headers, &answer.body);
        wrong.extend(requests.iter().chain(&answers).map(|violation| format!("{operation}: {violation:?}")));
        if !answer.status.is_success() {
            wrong.push(format!("{operation}: {} {:?}", answer.status, answer.body));
        }
    }
    assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(judged, 97);
}

/// What such applications lost is required by the description, so what there is of an answer is judged.
#[test]
fn what_is_left_in_development_mode_is_as_described() {
    let Some(description) = description() else { return };
    let mut wrong = Vec::new();
    let mut left = 0;
    for operation in description.operations() {
        let fake = Fake::new();
        let asked = Asked::new(&fake, &operation);
        let answer = asked.send(&fake.with_token("development_token"));
        let status = answer.status.as_u16();
        left += usize::from(answer.status.is_success());
        // The vendor's own playlists are found as nulls.
        let known = |at: &str| operation.id() == Some("search") && at.starts_with("body /playlists/items/");
        let answers = operation.check_response(status, &answer.headers, &answer.body);
        let answers = answers.iter().filter(|violation| !known(&violation.at));
        wrong.extend(answers.map(|violation| format!("{operation}: {violation:?}")));
        if !matches!(status, 200..=299 | 403 | 404) {
            wrong.push(format!("{operation}: {status} {:?}", answer.body));
        }
    }
    assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), wrong.join("\n"));
    // As many are gone as the description calls deprecated.
    assert_eq!(left, 97 - 48);
}

fn description() -> Option<Description> {
    let Some(folder) = std::env::var_os("INTEGRATIONS_SPECS") else {
        eprintln!("skipped: INTEGRATIONS_SPECS names no folder of descriptions");
        return None;
    };
    Some(Description::read(Path::new(&folder).join(FILE)).unwrap())
}

/// A well-formed request of an operation.
struct Asked {
    method: Method,
    path: String,
    kind: &'static str,
    body: String,
}

impl Asked {
    fn new(fake: &Fake, operation: &Operation<'_>) -> Self {
        let need = NEEDS.iter().find(|(id, ..)| Some(*id) == operation.id());
        let (query, body) = need.map_or(("", ""), |(_, query, body)| (*query, *body));
        Self {
            method: operation.method().unwrap().clone(),
            path: filled(fake, &with_variables(operation), &filled(fake, query, "")),
            kind: if body == COVER { "image/jpeg" } else { "application/json" },
            body: filled(fake, body, ""),
        }
    }

    fn request(&self) -> Request {
        let request = Request::new(self.method.clone(), format!("/v1{}", self.path).parse().unwrap());
        match self.body.as_str() {
            "" => request,
            body => request.body(HeaderValue::from_static(self.kind), body),
        }
    }

    fn send(&self, fake: &Fake) -> Answer {
        fake.send(self.method.as_str(), &self.path, self.kind, self.body.as_bytes())
    }
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
