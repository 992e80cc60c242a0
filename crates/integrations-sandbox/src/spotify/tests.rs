//! What only the sandbox brings about: lists that lag, lists that loop, tokens that are replaced, troubles in words.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Uri};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::Ledger;

struct Lab {
    service: Service,
    ledger: Ledger,
    random: fastrand::Rng,
    now: Timestamp,
    lags: bool,
    loops: bool,
}

impl Lab {
    fn new() -> Self {
        Self {
            service: Service::new(0),
            ledger: Ledger::default(),
            random: fastrand::Rng::with_seed(0),
            now: BEGINNING,
            lags: false,
            loops: false,
        }
    }

    fn ask(&mut self, method: &Method, path: &str, body: &str) -> (u16, Value) {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {}", self.service.tokens.access).parse().unwrap());
        let uri: Uri = format!("https://api.spotify.com/v1{path}").parse().unwrap();
        let call = Call::new(method, &uri, &headers, body.as_bytes());
        let Self { now, lags, loops, .. } = *self;
        let mut world = World { now, ledger: &mut self.ledger, random: &mut self.random, lags, loops };
        let answer = self.service.answer(&call, &mut world);
        (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn get(&mut self, path: &str) -> Value {
        self.ask(&Method::GET, path, "").1
    }
}

#[test]
fn lists_and_searches_lag_behind_and_single_reads_do_not() {
    let mut lab = Lab::new();
    let own = lab.service.known.get("playlist").unwrap().to_owned();
    let track = lab.service.known.get("track").unwrap().to_owned();
    let before = lab.get("/me/playlists?limit=1");
    let made = lab.ask(&Method::POST, "/me/playlists", r#"{"name": "Brand new"}"#).1;
    let uris = json!({"uris": [format!("spotify:track:{track}")]}).to_string();
    assert_eq!(lab.ask(&Method::POST, &format!("/playlists/{own}/items"), &uris).0, 201);
    lab.lags = true;
    assert_eq!(lab.get("/me/playlists?limit=1"), before, "neither the new one nor what was added");
    assert_eq!(lab.get("/search?q=brand&type=playlist")["playlists"]["total"], 0);
    let id = made["id"].as_str().unwrap();
    assert_eq!(lab.get(&format!("/playlists/{id}"))["name"], "Brand new");
    assert_eq!(lab.get(&format!("/playlists/{own}/items"))["total"], 7);
    lab.now = lab.now.checked_add(SignedDuration::from_secs(60)).unwrap();
    assert_eq!(lab.get("/me/playlists?limit=1")["items"][0]["id"], id);
    lab.lags = false;
    assert_eq!(lab.get("/search?q=brand&type=playlist")["playlists"]["total"], 1);
}

#[test]
fn a_looping_list_leads_to_the_page_that_was_given() {
    let mut lab = Lab::new();
    for (path, place) in [
        ("/me/tracks?limit=5&offset=5", ""),
        ("/search?q=o&type=track&limit=2&offset=2", "/tracks"),
        ("/me/following?type=artist&limit=1", "/artists"),
        ("/me/player/recently-played?limit=7", ""),
    ] {
        lab.loops = true;
        let page = lab.get(path);
        let page = page.pointer(place).unwrap();
        let next =
            page["next"].as_str().unwrap().strip_prefix("https://api.spotify.com/v1").unwrap().to_owned();
        lab.loops = false;
        let again = lab.get(&next);
        assert_eq!(again.pointer(place).unwrap()["items"], page["items"], "{path}");
        assert_ne!(again.pointer(place).unwrap()["next"], page["next"], "{path}");
    }
}

#[test]
fn a_replaced_token_has_expired_and_the_next_is_good() {
    let mut lab = Lab::new();
    let old = lab.service.tokens.access.clone();
    let (name, new) = lab.service.rotate().unwrap();
    assert_eq!((name, &new), ("access_token", &lab.service.tokens.access));
    assert_eq!(lab.ask(&Method::GET, "/me", "").0, 200);
    lab.service.tokens.access = old;
    let (status, body) = lab.ask(&Method::GET, "/me", "");
    assert_eq!((status, &body["error"]["message"]), (401, &json!("The access token expired")));
}

#[test]
fn troubles_have_words() {
    let service = Service::new(0);
    let word = |trouble| {
        let answer = service.word(trouble)?;
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        Some((answer.status.as_u16(), body["error"]["status"].clone(), body["error"]["reason"].clone()))
    };
    let quota = json!("QUOTA_EXCEEDED");
    assert_eq!(word(Trouble::RateLimited(None)), Some((429, json!(429), Value::Null)));
    assert_eq!(word(Trouble::QuotaExhausted), Some((429, json!(429), quota)));
    assert_eq!(word(Trouble::Unauthorized), Some((401, json!(401), Value::Null)));
    for status in [500, 502, 503, 504] {
        assert_eq!(word(Trouble::Broken(status)), Some((status, json!(status), Value::Null)));
    }
    assert_eq!(word(Trouble::FailedWithSuccess), None);
}
