//! Golden files: recorded, compared, refused.

use std::path::Path;

use integrations_core::dynamic::OpEntry;
use integrations_core::{Endpoint, Op, Req, Result, WireRequest, WireResponse};
use integrations_testkit::golden::{Goldens, Problems};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::shelf::{FAKE, FILES, GET_SONG, NEWER_FAKE, OPS, SPEC, connect, folder, recorded};

fn read(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

fn edit(folder: &Path, name: &str, change: impl Fn(&mut Value)) {
    let mut golden = read(folder, name);
    change(&mut golden);
    std::fs::write(folder.join(name), golden.to_string()).unwrap();
}

fn check(folder: &Path, entries: &'static [OpEntry]) -> Result<(), Problems> {
    Goldens::load(&SPEC, entries, folder)?.fake(&FAKE).check(connect)
}

/// Each text is in one of the problems.
fn assert_told(problems: &Problems, texts: &[&str]) {
    for text in texts {
        assert!(problems.iter().any(|problem| problem.contains(text)), "{text} is not in {problems}");
    }
}

#[test]
fn what_is_recorded_holds_and_is_what_went_over_the_wire() {
    let (folder, goldens) = recorded(OPS, FILES);
    goldens.check(connect).unwrap();
    assert_eq!(goldens.iter().count(), FILES.len());

    let get = read(&folder, "get_song.json");
    let line = "GET /songs/a%2F1?market=CH";
    assert_eq!(get["request"], json!({"line": line, "headers": {}, "body": null}));
    assert_eq!(get["response"]["status"], 200);
    assert_eq!(get["response"]["headers"]["content-type"], "application/json; charset=utf-8");
    assert_eq!(get["response"]["body"]["artists"][1]["name"], "Bob");
    assert_eq!(get["output"]["artists"], json!(["Ada", "Bob"]));
    assert_eq!((&get["needs"], &get["formats"]), (&json!(["id"]), &json!(["released"])));

    let add = read(&folder, "add_song.json");
    assert_eq!(add["request"]["body"], json!({"title": "Über"}));
    let drop = read(&folder, "drop_song.json");
    assert_eq!((&drop["response"]["body"], drop.get("needs")), (&Value::Null, None));
    let cover = read(&folder, "set_cover.json");
    assert_eq!(cover["request"]["body"], "base64:/9g=");
    assert_eq!(cover["response"]["body"], "taken");
}

#[test]
fn recording_twice_gives_the_same_bytes() {
    let (folder, goldens) = recorded(OPS, FILES);
    let texts = || {
        FILES
            .iter()
            .map(|(name, _)| std::fs::read(folder.join(format!("{name}.json"))).unwrap())
            .collect::<Vec<_>>()
    };
    let first = texts();
    goldens.record(connect).unwrap();
    assert_eq!(first, texts());
    assert!(first.iter().all(|text| text.ends_with(b"\n}\n")));
}

#[test]
fn every_difference_of_every_file_is_told_at_once_with_both_values() {
    let (folder, _) = recorded(OPS, FILES);
    edit(&folder, "get_song.json", |golden| {
        golden["request"]["line"] = json!("GET /songs/x");
        golden["output"]["title"] = json!("Null");
    });
    edit(&folder, "add_song.json", |golden| golden["response"]["status"] = json!(200));
    edit(&folder, "drop_song.json", |golden| {
        golden.as_object_mut().unwrap().remove("output");
    });
    let problems = check(&folder, OPS).unwrap_err();
    assert_told(
        &problems,
        &[
            "get_song.json: request.line\n    recorded: \"GET /songs/x\"\n    now:      \"GET /songs/a%2F1?market=CH\"",
            "get_song.json: output.title\n    recorded: \"Null\"\n    now:      \"Eins\"",
            "add_song.json: response.status\n    recorded: 200\n    now:      201",
            "drop_song.json: it was not recorded yet",
            "INTEGRATIONS_GOLDEN=write",
        ],
    );
    assert_eq!(problems.iter().count(), 5, "{problems}");
}

#[test]
fn a_fake_that_has_changed_shows() {
    let (_, goldens) = recorded(OPS, FILES);
    let problems = goldens.fake(&NEWER_FAKE).check(connect).unwrap_err();
    assert_told(&problems, &["get_song.json: response.body.title", "get_song.bare.json: output.title"]);
}

/// It forgets the market.
#[derive(Serialize, Deserialize)]
struct Forgetful {
    id: String,
}

impl Endpoint for Forgetful {
    type Output = Value;
    const OP: &'static Op = &GET_SONG;

    fn request(&self, base: &http::Uri) -> Result<WireRequest> {
        Req::get(base).path(["songs", &self.id]).build()
    }

    fn response(&self, response: WireResponse) -> Result<Value> {
        response.json()
    }
}

#[test]
fn an_endpoint_that_has_changed_shows() {
    static CHANGED: &[OpEntry] = &[OpEntry::of::<Forgetful>()];
    let (folder, _) = recorded(&OPS[..1], &FILES[..1]);
    let problems = check(&folder, CHANGED).unwrap_err();
    assert_told(&problems, &["get_song.json: request.line", "get_song.json: output.artists"]);
}

#[test]
fn an_operation_without_a_golden_is_a_problem() {
    let (folder, _) = recorded(&OPS[..1], &FILES[..2]);
    let problems = check(&folder, OPS).unwrap_err();
    assert_told(&problems, &["add_song.json: there is no such file", "drop_song.json", "set_cover.json"]);
    let again = Goldens::load(&SPEC, OPS, &folder).unwrap().fake(&FAKE).record(connect).unwrap_err();
    assert_told(&again, &["add_song.json: there is no such file"]);
}

#[test]
fn files_that_are_none_are_told_together() {
    let files = [
        ("get_song", "{"),
        ("get_song.unknown", r#"{"args": {}, "argz": {}}"#),
        ("get_song.bare", r#"{"needs": []}"#),
        ("get_song.paths", r#"{"args": {}, "needs": "id"}"#),
        ("get_song.answer", r#"{"args": {}, "request": {}, "response": {"status": 7}, "output": {}}"#),
        ("get_album", r#"{"args": {}}"#),
    ];
    let problems = check(&folder(&files), OPS).unwrap_err();
    assert_told(
        &problems,
        &[
            "get_song.json: EOF",
            "get_song.unknown.json: a golden has no `argz`",
            "get_song.bare.json: there are no `args`",
            "get_song.paths.json: `needs` is not a list of paths",
            "get_song.answer.json: the recorded `response`",
            "get_album.json: the provider has no operation `get_album`",
        ],
    );
    assert_eq!(problems.iter().count(), files.len());
    assert!(check(Path::new("no/such/folder"), OPS).unwrap_err().to_string().contains("no/such/folder"));
}

#[test]
fn a_call_that_fails_and_arguments_that_do_not_fit_are_told() {
    let files = [("get_song", r#"{"args": {"id": ""}}"#), ("get_song.args", r#"{"args": {"idd": ""}}"#)];
    let goldens = Goldens::load(&SPEC, &OPS[..1], folder(&files)).unwrap().fake(&FAKE);
    let problems = goldens.record(connect).unwrap_err();
    assert_told(&problems, &["a path segment is empty", "get_song.args.json: the request cannot be built"]);

    let goldens = Goldens::load(&SPEC, &OPS[..1], folder(&FILES[..1])).unwrap().fake(&FAKE);
    let anonymous = |sandbox: &_| {
        let setup = integrations_testkit::golden::setup(&SPEC, sandbox)?;
        Ok(setup.caller(integrations_core::setup::no_transport)?.build())
    };
    assert_told(&goldens.record(anonymous).unwrap_err(), &["the call failed: "]);
    let of_none = Goldens::load(&SPEC, &OPS[..1], folder(&FILES[..1])).unwrap();
    assert_told(&of_none.record(connect).unwrap_err(), &["`shelf` has no fake"]);
}

#[test]
fn a_secret_is_neither_written_nor_read() {
    let files = [("add_song", r#"{"args": {"title": "t-secret"}}"#)];
    let folder = folder(&files);
    let load = || Goldens::load(&SPEC, &OPS[1..2], &folder).unwrap().fake(&FAKE);
    let problems = load().record(connect).unwrap_err();
    assert_told(&problems, &["request.body.title holds the value of the secret `token`", "output.title"]);
    assert_eq!(read(&folder, "add_song.json"), json!({"args": {"title": "t-secret"}}));
    assert!(!problems.to_string().contains("t-secret"), "{problems}");

    let (other, _) = recorded(&OPS[1..2], &[("add_song", r#"{"args": {"title": "x"}}"#)]);
    edit(&other, "add_song.json", |golden| golden["request"]["line"] = json!("POST /songs?k=t%2dsecret"));
    let problems = check(&other, &OPS[1..2]).unwrap_err();
    assert_told(&problems, &["add_song.json: request.line holds the value of the secret `token`"]);
}

#[test]
fn what_is_no_secret_may_be_written() {
    // The market `CH` is a setting that may be shown.
    let (folder, _) = recorded(&OPS[..1], &FILES[..1]);
    assert!(read(&folder, "get_song.json")["request"]["line"].as_str().unwrap().ends_with("=CH"));
}

#[test]
fn nothing_at_all_is_not_what_passes() {
    let folder = folder(&[]);
    assert_told(&check(&folder, &[]).unwrap_err(), &["`shelf` has no operation"]);
    let goldens = Goldens::load(&SPEC, OPS, &folder).unwrap();
    let problems = integrations_testkit::hostile::check(&goldens, &integrations_core::ByStatus).unwrap_err();
    assert_told(&problems, &["there are no golden files"]);
}
