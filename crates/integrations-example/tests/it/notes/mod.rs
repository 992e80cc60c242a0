use std::time::Duration;

use http::{HeaderMap, StatusCode, Uri};
use integrations_core::{Classify, Effect, Endpoint, ErrorKind, Op, Safety, WireRequest, WireResponse};
use integrations_example::notes::ops::{CreateNote, DeleteNote, GetNote, ListNotes};
use integrations_example::notes::{Errors, spec};
use integrations_example::{NewNote, NoteId, PROVIDERS};

fn base() -> Uri {
    spec::SPEC.hosts[0].url.parse().expect("the first host is an address")
}

fn answer(op: &'static Op, status: u16, body: &'static str) -> WireResponse {
    let status = StatusCode::from_u16(status).expect("the tests name statuses that exist");
    WireResponse::new(op, status, HeaderMap::new(), body)
}

fn line(request: &WireRequest) -> String {
    format!("{} {}", request.method(), request.uri())
}

#[test]
fn get_note_golden() {
    let call = GetNote { id: NoteId::from("n/../1") };
    assert_eq!(line(&call.request(&base()).unwrap()), "GET https://api.notes.example/v1/notes/n%2F..%2F1");
    let note = call.response(answer(GetNote::OP, 200, include_str!("golden/note.json"))).unwrap();
    assert_eq!((note.id.as_str(), note.text.as_str()), ("n_1", "Buy milk"));
    assert_eq!(note.created.to_string(), "2026-03-01T09:30:00Z");
}

#[test]
fn list_notes_golden() {
    let call = ListNotes { limit: Some(2), cursor: Some("a b".to_owned()) };
    let expected = "GET https://api.notes.example/v1/notes?limit=2&cursor=a%20b";
    assert_eq!(line(&call.request(&base()).unwrap()), expected);
    let page = call.response(answer(ListNotes::OP, 200, include_str!("golden/notes.json"))).unwrap();
    assert_eq!(page.notes.len(), 2);
    let last = &page.notes[1];
    assert_eq!((last.text.as_str(), last.created.to_string().as_str()), ("", "2026-03-02T07:30:00Z"));
    assert_eq!(page.next_cursor.as_deref(), Some("c_2"));
}

#[test]
fn the_last_page_has_no_cursor() {
    for body in [r#"{"notes":[]}"#, r#"{"notes":[],"next_cursor":null}"#, r#"{"next_cursor":""}"#] {
        let page = ListNotes::default().response(answer(ListNotes::OP, 200, body)).unwrap();
        assert!(page.notes.is_empty() && page.next_cursor.is_none(), "{body}");
    }
}

#[test]
fn create_note_golden() {
    let call = CreateNote { note: NewNote { text: "Buy \"milk\"".to_owned() } };
    let request = call.request(&base()).unwrap();
    assert_eq!(line(&request), "POST https://api.notes.example/v1/notes");
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(request.body().as_bytes().unwrap(), br#"{"text":"Buy \"milk\""}"#);
    let note = call.response(answer(CreateNote::OP, 201, include_str!("golden/note.json"))).unwrap();
    assert_eq!(note.id, NoteId::from("n_1"));
}

#[test]
fn delete_note_golden() {
    let call = DeleteNote { id: NoteId::from("n_1") };
    assert_eq!(line(&call.request(&base()).unwrap()), "DELETE https://api.notes.example/v1/notes/n_1");
    call.response(answer(DeleteNote::OP, 204, "")).unwrap();
    let error = call.response(answer(DeleteNote::OP, 202, "")).unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Decode, Effect::Applied));
}

#[test]
fn a_note_that_cannot_be_used_is_a_decode_error_with_the_right_effect() {
    let created = r#"{"id":"n_1","text":"x"}"#;
    let call = CreateNote { note: NewNote { text: "x".to_owned() } };
    let error = call.response(answer(CreateNote::OP, 201, created)).unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Decode, Effect::Applied));
    let call = GetNote { id: NoteId::from("n_1") };
    for body in [created, r#"{"created_at":"2026-03-01T09:30:00Z"}"#, r#"{"id":"","created_at":"now"}"#] {
        let error = call.response(answer(GetNote::OP, 200, body)).unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Decode, Effect::Rejected), "{body}");
    }
}

#[test]
fn each_error_code_has_its_kind_and_effect() {
    use ErrorKind::{
        Conflict, InvalidRequest, NotFound, QuotaExhausted, RateLimited, Unauthenticated, Unavailable,
    };
    let table = [
        (400, "invalid_note", InvalidRequest, Effect::Rejected),
        (409, "key_reused", Conflict, Effect::Rejected),
        (404, "no_such_note", NotFound, Effect::Rejected),
        (403, "note_limit", QuotaExhausted, Effect::Rejected),
        (401, "token_expired", Unauthenticated, Effect::Rejected),
        (429, "too_fast", RateLimited, Effect::Rejected),
        (400, "something_new", InvalidRequest, Effect::Rejected),
        (500, "something_new", Unavailable, Effect::Unknown),
    ];
    for (status, code, kind, effect) in table {
        let body = format!(r#"{{"error":{{"code":"{code}","message":"no"}}}}"#);
        let status = StatusCode::from_u16(status).unwrap();
        let response = WireResponse::new(GetNote::OP, status, HeaderMap::new(), body);
        let error = Errors.classify(GetNote::OP, &response).unwrap();
        assert_eq!((error.kind(), error.effect()), (kind, effect), "{status} {code}");
        assert_eq!((error.code(), error.message()), (Some(code), "no"));
    }
}

#[test]
fn what_is_no_envelope_is_left_to_the_status_and_never_quoted() {
    for (status, body) in [(200, r#"{"error":{"code":"x"}}"#), (502, "<html>busy</html>"), (404, "{}")] {
        assert!(Errors.classify(GetNote::OP, &answer(GetNote::OP, status, body)).is_none(), "{status}");
    }
    let no_message = answer(GetNote::OP, 404, r#"{"error":{"code":"no_such_note"}}"#);
    assert_eq!(
        Errors.classify(GetNote::OP, &no_message).unwrap().message(),
        "the service answered: Not Found"
    );
}

#[test]
fn a_refusal_tells_how_long_to_wait() {
    let headers = [("retry-after".parse().unwrap(), "7".parse().unwrap())].into_iter().collect();
    let response = WireResponse::new(GetNote::OP, StatusCode::TOO_MANY_REQUESTS, headers, "");
    let told = Errors.quota(&response, jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(told.retry_after, Some(Duration::from_secs(7)));
}

#[cfg(feature = "dynamic")]
#[test]
fn the_erased_table_holds_every_operation_of_the_facts() {
    use integrations_example::notes::ops::OPS;
    assert!(OPS.iter().map(|entry| entry.op).eq(spec::SPEC.ops.iter().map(|row| row.op)));
    let create = &OPS[2];
    let fields = serde_json::json!({ "note": { "text": "x" } });
    let request = (create.request)(&fields, &base()).unwrap();
    assert_eq!(request.body().as_bytes().unwrap(), br#"{"text":"x"}"#);
    let golden = answer(CreateNote::OP, 201, include_str!("golden/note.json"));
    let note = (create.response)(&fields, golden).unwrap();
    let expected = serde_json::json!({ "id": "n_1", "text": "Buy milk", "created": "2026-03-01T09:30:00Z" });
    assert_eq!(note, expected);
    let error = (create.request)(&serde_json::json!({ "note": {} }), &base()).unwrap_err();
    assert!(error.message().contains("`note`"), "{error}");
}

#[test]
fn the_generated_facts_are_what_the_calls_use() {
    assert!(PROVIDERS.contains(&&spec::SPEC));
    let ops = [GetNote::OP, ListNotes::OP, CreateNote::OP, DeleteNote::OP];
    let rows: Vec<&Op> = spec::SPEC.ops.iter().map(|row| row.op).collect();
    assert_eq!(rows, ops);
    assert_eq!(CreateNote::OP.safety, Safety::Keyed);
    assert_eq!(CreateNote::OP.key_lifetime, Some(Duration::from_hours(24)));
    for row in spec::SPEC.ops {
        assert!(spec::SPEC.bucket(row.op.bucket).is_some() && row.cap.is_some_and(|cap| spec::SPEC.can(cap)));
    }
}
