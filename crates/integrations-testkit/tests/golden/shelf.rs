//! A vendor that keeps songs: facts, endpoints, fake. The fake is written apart from the endpoints' types.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Uri;
use integrations_core::dynamic::OpEntry;
use integrations_core::provider::{AuthKind, Host, OpRow, ProviderSpec, Setting, Status};
use integrations_core::setup::no_transport;
use integrations_core::{Bearer, Caller, Endpoint, Op, Req, Result, Safety, WireRequest, WireResponse};
use integrations_sandbox::{Answer, Call, Fake, Known, Sandbox, Trouble, Vendor, World};
use integrations_testkit::golden::{Goldens, setup};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) static GET_SONG: Op = Op::new("shelf", "get_song", Safety::Read).http("GET", "/songs/{id}");
pub(crate) static ADD_SONG: Op = Op::new("shelf", "add_song", Safety::Once).http("POST", "/songs");
pub(crate) static DROP_SONG: Op =
    Op::new("shelf", "drop_song", Safety::Idempotent).http("DELETE", "/songs/{id}");
pub(crate) static SET_COVER: Op =
    Op::new("shelf", "set_cover", Safety::Idempotent).http("PUT", "/songs/{id}/cover");

pub(crate) static SPEC: ProviderSpec = ProviderSpec::new("shelf", "Shelf", "music", Status::Full)
    .hosts(&[Host::new("production", "https://api.shelf.example/v1")])
    .auth(AuthKind::Bearer)
    .settings(&[
        Setting::new("token", "a token").secret(),
        Setting::new("market", "where the listener is").optional(),
    ])
    .ops(&[
        OpRow::new(&GET_SONG, "Get a song", "https://shelf.example/get").description_id("get-song"),
        OpRow::new(&ADD_SONG, "Add a song", "https://shelf.example/add").description_id("add-song"),
        OpRow::new(&DROP_SONG, "Drop a song", "https://shelf.example/drop").description_id("drop-song"),
        OpRow::new(&SET_COVER, "Set a cover", "https://shelf.example/cover").undescribed("it is new"),
    ]);

pub(crate) static OPS: &[OpEntry] = &[
    OpEntry::of::<GetSong>(),
    OpEntry::of::<AddSong>(),
    OpEntry::of::<DropSong>(),
    OpEntry::of::<SetCover>(),
];

/// What is written by hand.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("get_song", r#"{"args": {"id": "a/1", "market": "CH"}, "needs": ["id"], "formats": ["released"]}"#),
    ("get_song.bare", r#"{"args": {"id": "2"}, "needs": ["id"], "formats": ["released"]}"#),
    ("add_song", r#"{"args": {"title": "Über"}, "needs": ["id"], "formats": ["released"]}"#),
    ("drop_song", r#"{"args": {"id": "2"}}"#),
    ("set_cover", r#"{"args": {"id": "2", "image": [255, 216]}}"#),
];

#[derive(Serialize, Deserialize)]
pub(crate) struct GetSong {
    id: String,
    market: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct AddSong {
    title: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct DropSong {
    id: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SetCover {
    id: String,
    image: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Song {
    pub(crate) id: String,
    title: String,
    artists: Vec<String>,
    released: Option<jiff::civil::Date>,
    gain: f64,
}

impl Endpoint for GetSong {
    type Output = Song;
    const OP: &'static Op = &GET_SONG;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base).path(["songs", &self.id]).query("market", self.market.as_ref()).build()
    }

    fn response(&self, response: WireResponse) -> Result<Song> {
        song(&response)
    }
}

impl Endpoint for AddSong {
    type Output = Song;
    const OP: &'static Op = &ADD_SONG;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::post(base).path(["songs"]).json(&json!({"title": self.title})).build()
    }

    fn response(&self, response: WireResponse) -> Result<Song> {
        song(&response)
    }
}

impl Endpoint for DropSong {
    type Output = ();
    const OP: &'static Op = &DROP_SONG;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::delete(base).path(["songs", &self.id]).build()
    }

    fn response(&self, _: WireResponse) -> Result<()> {
        Ok(())
    }
}

impl Endpoint for SetCover {
    type Output = ();
    const OP: &'static Op = &SET_COVER;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        let kind = Some("image/jpeg");
        let request =
            Req::put(base).path(["songs", &self.id, "cover"]).header(http::header::CONTENT_TYPE, kind);
        request.body(self.image.clone()).build()
    }

    fn response(&self, _: WireResponse) -> Result<()> {
        Ok(())
    }
}

/// Tolerant, as a provider must be.
pub(crate) fn song(response: &WireResponse) -> Result<Song> {
    let body: Value = response.json()?;
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let id = text("id");
    if id.is_empty() {
        return Err(response.undecodable("the song has no id"));
    }
    let artists = body["artists"].as_array().into_iter().flatten();
    let released = body["released"].as_str().map(str::parse).transpose();
    let released = released.map_err(|_| response.undecodable("the day of release is no day"))?;
    Ok(Song {
        id,
        title: text("title"),
        artists: artists.filter_map(|artist| artist["name"].as_str().map(str::to_owned)).collect(),
        released,
        gain: body["gain"].as_f64().unwrap_or_default(),
    })
}

pub(crate) const FAKE: Fake = Fake::new("shelf", "music", |_| Box::new(Shelf("Eins")));
/// It has changed since.
pub(crate) const NEWER_FAKE: Fake = Fake::new("shelf", "music", |_| Box::new(Shelf("Zwei")));

struct Shelf(&'static str);

impl Vendor for Shelf {
    fn answer(&mut self, call: &Call<'_>, _: &mut World<'_>) -> Answer {
        if call.bearer() != Some("t-secret") {
            return Answer::empty(401);
        }
        let song = |id: &str, title: &str| {
            json!({"id": id, "title": title, "artists": [{"name": "Ada"}, {"name": "Bob"}],
                "released": "2020-01-02", "gain": -7.123_456_789_012_345})
        };
        match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", ["v1", "songs", id]) => Answer::json(200, &song(id, self.0)),
            ("POST", ["v1", "songs"]) => {
                let title = call.json().and_then(|body| body["title"].as_str().map(str::to_owned));
                title.map_or_else(|| Answer::empty(400), |title| Answer::json(201, &song("9", &title)))
            }
            ("DELETE", ["v1", "songs", _]) => Answer::empty(204),
            ("PUT", ["v1", "songs", _, "cover"]) => Answer::text(202, "text/plain", "taken"),
            _ => Answer::empty(404),
        }
    }

    fn word(&self, _: Trouble) -> Option<Answer> {
        None
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("token", "t-secret".to_owned()), ("market", "CH".to_owned())]
    }

    fn known(&self) -> Known {
        Known::new()
    }
}

pub(crate) fn connect(sandbox: &Sandbox) -> Result<Caller> {
    let setup = setup(&SPEC, sandbox)?;
    let token = setup.live("token")?;
    Ok(setup.caller(no_transport)?.authorize(std::sync::Arc::new(Bearer::new(token))).build())
}

/// A folder of this test's own with these files.
pub(crate) fn folder(files: &[(&str, &str)]) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("golden-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        std::fs::write(folder.join(format!("{name}.json")), text).unwrap();
    }
    folder
}

/// Everything recorded.
pub(crate) fn recorded(entries: &'static [OpEntry], files: &[(&str, &str)]) -> (PathBuf, Goldens) {
    let folder = folder(files);
    let load = || Goldens::load(&SPEC, entries, &folder).unwrap().fake(&FAKE);
    load().record(connect).unwrap();
    (folder.clone(), load())
}
