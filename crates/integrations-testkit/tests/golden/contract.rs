//! The judge judges: what the endpoints send and the fake answers fits the invented description, and a change of either
//! does not.

use http::Uri;
use integrations_core::dynamic::OpEntry;
use integrations_core::provider::{OpRow, ProviderSpec, Status};
use integrations_core::{Endpoint, Op, Req, Result, Safety, WireRequest, WireResponse};
use integrations_sandbox::{Answer, Call, Fake, Known, Trouble, Vendor, World};
use integrations_testkit::contract::{Description, Judge, ProviderReport, Report, Rule};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::shelf::{ADD_SONG, FILES, GET_SONG, OPS, SPEC, connect, folder, recorded};

fn description() -> Vec<Description> {
    let song = json!({
        "type": "object",
        "required": ["id", "title", "artists"],
        "properties": {
            "id": {"type": "string"},
            "title": {"type": "string"},
            "artists": {"type": "array", "items": {
                "type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}
            }},
            "released": {"type": "string", "format": "date"},
            "gain": {"type": "number"}
        }
    });
    let json = |schema: &Value| json!({"content": {"application/json": {"schema": schema}}});
    let id = json!({"in": "path", "name": "id", "required": true, "schema": {"type": "string"}});
    let market = json!({"in": "query", "name": "market", "schema": {"type": "string", "maxLength": 2}});
    let new = json!({
        "type": "object", "required": ["title"], "properties": {"title": {"type": "string"}},
        "additionalProperties": false
    });
    let text = json!({
        "openapi": "3.0.3",
        "servers": [{"url": "https://api.shelf.example/v1"}],
        "paths": {
            "/songs": {"post": {
                "operationId": "add-song", "requestBody": json(&new), "responses": {"201": json(&song)}
            }},
            "/songs/{id}": {
                "get": {
                    "operationId": "get-song", "parameters": [id, market], "responses": {"200": json(&song)}
                },
                "delete": {"operationId": "drop-song", "parameters": [id], "responses": {"204": {}}}
            }
        }
    });
    vec![Description::parse(text.to_string().as_bytes()).unwrap()]
}

fn found(violations: &[(String, integrations_testkit::contract::Violation)]) -> Vec<(&str, &str, Rule)> {
    violations.iter().map(|(op, found)| (op.as_str(), found.at.as_str(), found.rule)).collect()
}

fn passed(report: &ProviderReport) -> bool {
    Report { providers: vec![report.clone()] }.passed()
}

#[test]
fn what_fits_passes_and_what_is_not_described_is_told() {
    let goldens = recorded(OPS, FILES).1;
    let report = Judge::new(&SPEC, &description(), &goldens).run(connect);
    assert!(passed(&report), "{report:#?}");
    assert_eq!((report.id.as_str(), report.operations, report.checked), ("shelf", 4, 3));
    let unchecked: Vec<_> =
        report.unchecked.iter().map(|entry| (entry.op.as_str(), entry.why.as_str())).collect();
    assert_eq!(unchecked, [("set_cover", "it is new")]);
}

#[test]
fn a_renamed_field_of_a_request_is_a_violation() {
    let (descriptions, goldens) = (description(), recorded(OPS, FILES).1);
    let judge = Judge::new(&SPEC, &descriptions, &goldens).with_requests(|golden, request| {
        if golden.op() == &GET_SONG {
            request.uri = request.uri.to_string().replace("market=", "markt=").parse().unwrap();
        } else if golden.op() == &ADD_SONG {
            request.body = br#"{"name":"Eins"}"#.to_vec();
        }
    });
    let report = judge.run(connect);
    assert!(!passed(&report));
    assert_eq!(
        found(&report.request_violations),
        [
            ("get_song", "query markt", Rule::UnknownParameter),
            ("add_song", "body /title", Rule::MissingField),
            ("add_song", "body /name", Rule::UnknownField),
        ]
    );
    assert!(report.response_violations.is_empty());
}

#[test]
fn another_type_in_an_answer_is_a_violation() {
    let (descriptions, goldens) = (description(), recorded(OPS, FILES).1);
    let judge = Judge::new(&SPEC, &descriptions, &goldens).with_answers(|golden, answer| {
        if golden.name() == "get_song.bare" {
            answer["artists"][1]["name"] = json!(5);
        }
    });
    let report = judge.run(connect);
    // The fake's answer and the recorded one break the same rule in the same place: it is told once.
    assert_eq!(found(&report.response_violations), [("get_song.bare", "body /artists/1/name", Rule::Type)]);
    assert!(!passed(&report) && report.request_violations.is_empty());
}

/// An endpoint whose parameter has another name than the vendor's.
#[derive(Serialize, Deserialize)]
struct Misspelt {
    id: String,
    market: Option<String>,
}

impl Endpoint for Misspelt {
    type Output = ();
    const OP: &'static Op = &GET_SONG;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base).path(["songs", &self.id]).query("markt", self.market.as_ref()).build()
    }

    fn response(&self, _: WireResponse) -> Result<()> {
        Ok(())
    }
}

#[test]
fn an_endpoint_that_was_broken_after_the_recording_is_found_out() {
    static MISSPELT: &[OpEntry] = &[OpEntry::of::<Misspelt>()];
    let (folder, _) = recorded(&OPS[..1], &FILES[..1]);
    let goldens = integrations_testkit::golden::Goldens::load(&SPEC, MISSPELT, folder).unwrap();
    let report = Judge::new(&SPEC, &description(), &goldens.fake(&crate::shelf::FAKE)).run(connect);
    assert_eq!(found(&report.request_violations), [("get_song", "query markt", Rule::UnknownParameter)]);
}

/// A fake that no longer answers like its vendor.
struct Drifted;

impl Vendor for Drifted {
    fn answer(&mut self, _: &Call<'_>, _: &mut World<'_>) -> Answer {
        Answer::json(200, &json!({"id": 1, "title": "Eins"}))
    }

    fn word(&self, _: Trouble) -> Option<Answer> {
        None
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("token", "t-secret".to_owned())]
    }

    fn known(&self) -> Known {
        Known::new()
    }
}

#[test]
fn a_fake_that_was_broken_after_the_recording_is_found_out() {
    const DRIFTED: Fake = Fake::new("shelf", "music", |_| Box::new(Drifted));
    let goldens = recorded(&OPS[..1], &FILES[..1]).1.fake(&DRIFTED);
    let report = Judge::new(&SPEC, &description(), &goldens).run(connect);
    assert_eq!(
        found(&report.response_violations),
        [("get_song", "body /artists", Rule::MissingField), ("get_song", "body /id", Rule::Type),]
    );
}

#[test]
fn what_ought_to_be_checked_and_is_not_fails() {
    static NEW: Op = Op::new("shelf", "new", Safety::Read);
    static BARE: Op = Op::new("shelf", "bare", Safety::Read);
    static GAPS: ProviderSpec =
        ProviderSpec::new("shelf", "Shelf", "music", Status::Full).hosts(SPEC.hosts).ops(&[
            OpRow::new(&GET_SONG, "", "").description_id("get-song"),
            OpRow::new(&ADD_SONG, "", "").description_id("add-song"),
            OpRow::new(&NEW, "", "").description_id("not-there"),
            OpRow::new(&BARE, "", ""),
        ]);
    let files = folder(&FILES[..1]);
    let goldens = integrations_testkit::golden::Goldens::load(&SPEC, OPS, files).unwrap();
    let report = Judge::new(&GAPS, &description(), &goldens).run(connect);
    let unchecked: Vec<_> =
        report.unchecked.iter().map(|entry| (entry.op.as_str(), entry.why.as_str())).collect();
    assert_eq!(
        unchecked,
        [
            ("get_song", "the call failed: config: `shelf` has no fake"),
            ("get_song", "it was not recorded yet"),
            ("add_song", "it has no golden file"),
            ("new", "no description has the operation `not-there`"),
            ("bare", "its facts give neither an id nor a reason"),
        ]
    );
    assert!(report.unchecked.iter().all(|entry| entry.due) && report.checked == 0 && !passed(&report));
}
