//! Changed answers: a good client gets through, and each kind of a bad one is found out.

use http::Uri;
use integrations_core::dynamic::OpEntry;
use integrations_core::{
    ByStatus, Classify, Effect, Endpoint, Error, ErrorKind, Op, Req, Result, WireRequest, WireResponse,
};
use integrations_testkit::golden::Goldens;
use integrations_testkit::hostile;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shelf::{ADD_SONG, FAKE, FILES, GET_SONG, OPS, SPEC, folder, recorded, song};

/// One bad way to read a song each.
const READERS: [fn(&WireResponse) -> Result<Value>; 8] =
    [rigid, careless, talkative, mistaken, effectless, nosy, trusting, lax];

/// Everything that is there today is expected forever.
fn rigid(response: &WireResponse) -> Result<Value> {
    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rigid {
        id: String,
        title: String,
        artists: Vec<Value>,
        released: String,
        gain: f64,
    }
    response.json::<Rigid>().map(|song| song.title.into())
}

fn careless(response: &WireResponse) -> Result<Value> {
    let body: Value = response.json()?;
    Ok(body["artists"].as_array().map_or(Value::Null, |artists| artists[1]["name"].as_str().unwrap().into()))
}

fn talkative(response: &WireResponse) -> Result<Value> {
    let known = song(response)?;
    let body: Value = response.json()?;
    match body["gain"].as_f64() {
        Some(_) => Ok(known.id.into()),
        None => Err(response.undecodable(format!("the song {} has no gain", body["title"]))),
    }
}

fn mistaken(response: &WireResponse) -> Result<Value> {
    let known = song(response).map_err(|e| e.with_kind(ErrorKind::NotFound))?;
    Ok(known.id.into())
}

fn effectless(response: &WireResponse) -> Result<Value> {
    let known = song(response).map_err(|e| e.with_effect(Effect::Unknown))?;
    Ok(known.id.into())
}

/// The day is quoted only if it is none.
fn nosy(response: &WireResponse) -> Result<Value> {
    let known = song(response);
    let body: Value = response.json()?;
    known
        .map(|song| song.id.into())
        .map_err(|_| response.undecodable(format!("no day: {}", body["released"])))
}

/// Each artist has a name.
fn trusting(response: &WireResponse) -> Result<Value> {
    let body: Value = response.json()?;
    song(response)?;
    for artist in body["artists"].as_array().into_iter().flatten() {
        artist["name"].as_str().ok_or_else(|| response.undecodable("an artist has no name"))?;
    }
    Ok(Value::Null)
}

/// Reads anything, so that it needs nothing.
#[allow(clippy::unnecessary_wraps, reason = "it stands beside readers that fail")]
fn lax(_: &WireResponse) -> Result<Value> {
    Ok(Value::Null)
}

#[derive(Serialize, Deserialize)]
struct Get<const READER: usize> {
    id: String,
    market: Option<String>,
}

impl<const READER: usize> Endpoint for Get<READER> {
    type Output = Value;
    const OP: &'static Op = &GET_SONG;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base).path(["songs", &self.id]).build()
    }

    fn response(&self, response: WireResponse) -> Result<Value> {
        READERS[READER](&response)
    }
}

static GETS: [[OpEntry; 1]; READERS.len()] = [
    [OpEntry::of::<Get<0>>()],
    [OpEntry::of::<Get<1>>()],
    [OpEntry::of::<Get<2>>()],
    [OpEntry::of::<Get<3>>()],
    [OpEntry::of::<Get<4>>()],
    [OpEntry::of::<Get<5>>()],
    [OpEntry::of::<Get<6>>()],
    [OpEntry::of::<Get<7>>()],
];

fn goldens(reader: usize) -> Goldens {
    recorded(&GETS[reader], &FILES[..1]).1
}

fn problems(reader: usize) -> Vec<String> {
    let problems = hostile::check(&goldens(reader), &ByStatus).unwrap_err();
    problems.iter().map(str::to_owned).collect()
}

#[track_caller]
fn assert_has(problems: &[String], text: &str) {
    assert!(problems.iter().any(|problem| problem.contains(text)), "{text}: {problems:#?}");
}

#[test]
fn a_tolerant_client_gets_through() {
    hostile::check(&recorded(OPS, FILES).1, &ByStatus).unwrap();
}

#[test]
fn a_client_that_expects_what_it_sees_is_found_out_in_every_place() {
    let problems = problems(0);
    for field in ["title", "artists", "released", "gain"] {
        assert_has(
            &problems,
            &format!("get_song.json: {field} left out: refused, and not among the `needs`"),
        );
        assert_has(&problems, &format!("get_song.json: {field} set to null: refused"));
    }
    assert_has(&problems, "the answer given a new field: refused");
    assert_has(&problems, "`formats` has released, but nothing depends on it");
    assert!(!problems.iter().any(|problem| problem.contains(" id left out")), "{problems:#?}");
}

#[test]
fn a_client_that_panics_is_found_out() {
    let problems = problems(1);
    assert_has(&problems, "artists[].name left out: panicked: called `Option::unwrap()`");
    assert_has(&problems, "artists set to []: panicked: index out of bounds");
}

#[test]
fn an_error_that_quotes_the_answer_is_found_out_whatever_it_quotes() {
    assert_has(&problems(2), "gain set to a text: the error quotes the answer");
    assert_has(&problems(5), "released set to \"zz_new\": the error quotes the answer");
}

#[test]
fn an_error_of_another_kind_or_effect_is_found_out() {
    assert_has(&problems(3), "id left out: refused as not_found, rejected, and not as decode, rejected");
    assert_has(&problems(4), "id left out: refused as decode, unknown, and not as decode, rejected");
}

#[test]
fn elements_that_must_be_whole_are_told_once_with_their_number() {
    assert_has(&problems(6), "artists[].name left out (2 times): refused, and not among the `needs`");
    assert_has(&problems(6), "artists given a null: refused");
}

#[test]
fn entries_that_nothing_depends_on_are_problems() {
    assert_eq!(
        problems(7),
        [
            "get_song.json: `needs` has id, but nothing depends on it: take it out",
            "get_song.json: `formats` has released, but nothing depends on it: take it out"
        ]
    );
}

/// Takes a song without a title for an error.
struct Suspicious;

impl Classify for Suspicious {
    fn classify(&self, _: &'static Op, response: &WireResponse) -> Option<Error> {
        let body: Value = response.json().ok()?;
        let is_error = body.is_object() && body.get("title").is_none();
        is_error.then(|| Error::new(ErrorKind::NotFound, Effect::Rejected, "there is no song"))
    }
}

/// Panics over what is no JSON.
struct Fragile;

impl Classify for Fragile {
    fn classify(&self, _: &'static Op, response: &WireResponse) -> Option<Error> {
        response.json::<Value>().unwrap();
        None
    }
}

#[test]
fn what_reads_errors_is_judged_with_the_endpoint() {
    let goldens = recorded(&OPS[..1], &FILES[..1]).1;
    let problems = hostile::check(&goldens, &Suspicious).unwrap_err();
    let told: Vec<&str> = problems.iter().collect();
    let title = "get_song.json: title left out: refused, and not among the `needs`: not_found";
    assert!(told.len() == 1 && told[0].starts_with(title), "{told:?}");
    let problems = hostile::check(&goldens, &Fragile).unwrap_err();
    assert!(problems.iter().any(|problem| problem.contains("replaced by a page: panicked")), "{problems}");
}

#[test]
fn an_answer_to_a_write_that_cannot_be_read_was_applied_and_says_so() {
    #[derive(Serialize, Deserialize)]
    struct Add {
        title: String,
    }
    impl Endpoint for Add {
        type Output = Value;
        const OP: &'static Op = &ADD_SONG;

        fn request(&self, base: &Uri) -> Result<WireRequest> {
            Req::post(base).path(["songs"]).json(self).build()
        }

        fn response(&self, response: WireResponse) -> Result<Value> {
            let known = song(&response).map_err(|e| e.with_effect(Effect::Rejected))?;
            Ok(known.id.into())
        }
    }
    static ADDS: [OpEntry; 1] = [OpEntry::of::<Add>()];
    let goldens = recorded(&ADDS, &FILES[2..3]).1;
    let problems = hostile::check(&goldens, &ByStatus).unwrap_err();
    let told = problems.to_string();
    assert!(told.contains("refused as decode, rejected, and not as decode, applied"), "{told}");
}

#[test]
fn what_was_not_recorded_or_cannot_be_read_as_it_is_is_a_problem() {
    let goldens = Goldens::load(&SPEC, &OPS[..1], folder(&FILES[..1])).unwrap().fake(&FAKE);
    let problems = hostile::check(&goldens, &ByStatus).unwrap_err();
    assert!(problems.to_string().contains("get_song.json: it was not recorded yet"), "{problems}");

    let (folder, _) = recorded(&OPS[..1], &FILES[..1]);
    let file = folder.join("get_song.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"id\": \"a/1\",\n      \"rel", "\"rel")).unwrap();
    let goldens = Goldens::load(&SPEC, &OPS[..1], &folder).unwrap();
    let problems = hostile::check(&goldens, &ByStatus).unwrap_err();
    assert!(problems.to_string().contains("the answer as it was recorded: refused"), "{problems}");
}
