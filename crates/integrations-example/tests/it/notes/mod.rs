use std::time::Duration;

use http::{HeaderMap, StatusCode, Uri};
use integrations_core::{Effect, ErrorKind, Op, Safety, WireRequest, WireResponse};
use integrations_example::notes::ops::{CreateNote, DeleteNote, GetNote, ListNotes};
use integrations_example::notes::{classify, spec};
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
    let note = call.response(&answer(GetNote::OP, 200, include_str!("golden/note.json"))).unwrap();
    assert_eq!((note.id.as_str(), note.text.as_str()), ("n_1", "Buy milk"));
    assert_eq!(note.created.to_string(), "2026-03-01T09:30:00Z");
}

#[test]
fn list_notes_golden() {
    let call = ListNotes { limit: Some(2), cursor: Some("a b".to_owned()) };
    let expected = "GET https://api.notes.example/v1/notes?limit=2&cursor=a%20b";
    assert_eq!(line(&call.request(&base()).unwrap()), expected);
    let (notes, next) =
        call.response(&answer(ListNotes::OP, 200, include_str!("golden/notes.json"))).unwrap();
    assert_eq!(notes.len(), 2);
    assert_eq!((notes[1].text.as_str(), notes[1].created.to_string().as_str()), ("", "2026-03-02T07:30:00Z"));
    assert_eq!(next.as_deref(), Some("c_2"));
}

#[test]
fn the_last_page_has_no_cursor() {
    for body in [r#"{"notes":[]}"#, r#"{"notes":[],"next_cursor":null}"#, r#"{"next_cursor":""}"#] {
        let page = ListNotes::default().response(&answer(ListNotes::OP, 200, body)).unwrap();
        assert_eq!(page, (Vec::new(), None), "{body}");
    }
}

#[test]
fn create_note_golden() {
    let note = NewNote { text: "Buy \"milk\"".to_owned() };
    let call = CreateNote { note, idempotency_key: "k-1".to_owned() };
    let request = call.request(&base()).unwrap();
    assert_eq!(line(&request), "POST https://api.notes.example/v1/notes");
    assert_eq!(request.headers()["idempotency-key"], "k-1");
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(request.body().as_bytes().unwrap(), br#"{"text":"Buy \"milk\""}"#);
    let note = call.response(&answer(CreateNote::OP, 201, include_str!("golden/note.json"))).unwrap();
    assert_eq!(note.id, NoteId::from("n_1"));
}

#[test]
fn delete_note_golden() {
    let call = DeleteNote { id: NoteId::from("n_1") };
    assert_eq!(line(&call.request(&base()).unwrap()), "DELETE https://api.notes.example/v1/notes/n_1");
    call.response(&answer(DeleteNote::OP, 204, "")).unwrap();
    let error = call.response(&answer(DeleteNote::OP, 202, "")).unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Decode, Effect::Applied));
}

#[test]
fn a_note_that_cannot_be_used_is_a_decode_error_with_the_right_effect() {
    let created = r#"{"id":"n_1","text":"x"}"#;
    let note = NewNote { text: "x".to_owned() };
    let call = CreateNote { note, idempotency_key: "k".to_owned() };
    let error = call.response(&answer(CreateNote::OP, 201, created)).unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Decode, Effect::Applied));
    let call = GetNote { id: NoteId::from("n_1") };
    for body in [created, r#"{"created_at":"2026-03-01T09:30:00Z"}"#, r#"{"id":"","created_at":"now"}"#] {
        let error = call.response(&answer(GetNote::OP, 200, body)).unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Decode, Effect::Rejected), "{body}");
    }
}

#[test]
fn each_error_code_and_status_has_its_kind_and_effect() {
    use ErrorKind::{
        Conflict, InvalidRequest, NotFound, PermissionDenied, QuotaExhausted, RateLimited, Unauthenticated,
        Unavailable, Unexpected,
    };
    let table = [
        (400, "invalid_note", InvalidRequest, Effect::Rejected),
        (409, "key_reused", Conflict, Effect::Rejected),
        (404, "no_such_note", NotFound, Effect::Rejected),
        (403, "note_limit", QuotaExhausted, Effect::Rejected),
        (401, "token_expired", Unauthenticated, Effect::Rejected),
        (429, "too_fast", RateLimited, Effect::Rejected),
        (400, "something_new", InvalidRequest, Effect::Rejected),
        (401, "", Unauthenticated, Effect::Rejected),
        (403, "", PermissionDenied, Effect::Rejected),
        (404, "", NotFound, Effect::Rejected),
        (429, "", RateLimited, Effect::Rejected),
        (500, "", Unavailable, Effect::Unknown),
        (503, "", Unavailable, Effect::Rejected),
        (302, "", Unexpected, Effect::Unknown),
    ];
    for (status, code, kind, effect) in table {
        let body = format!(r#"{{"error":{{"code":"{code}","message":"no"}}}}"#);
        let status = StatusCode::from_u16(status).unwrap();
        let response = WireResponse::new(GetNote::OP, status, HeaderMap::new(), body);
        let error = classify(GetNote::OP, &response).unwrap();
        assert_eq!((error.kind(), error.effect()), (kind, effect), "{status} {code}");
        assert_eq!(error.code(), Some(code));
        assert_eq!(error.message(), "no");
    }
    assert!(classify(GetNote::OP, &answer(GetNote::OP, 200, "{}")).is_none());
}

#[test]
fn an_error_keeps_what_support_and_the_retry_need() {
    let headers = [("retry-after", "7"), ("x-request-id", "r_9")];
    let headers: HeaderMap =
        headers.into_iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect();
    let response =
        WireResponse::new(GetNote::OP, StatusCode::TOO_MANY_REQUESTS, headers, "<html>busy</html>");
    let error = classify(GetNote::OP, &response).unwrap();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!((error.request_id(), error.code()), (Some("r_9"), None));
    assert_eq!((error.provider(), error.operation()), ("notes", "get_note"));
    assert!(!format!("{error:?}").contains("html"));
}

#[test]
fn the_generated_facts_are_what_the_calls_use() {
    assert_eq!(PROVIDERS, [&spec::SPEC]);
    let ops = [GetNote::OP, ListNotes::OP, CreateNote::OP, DeleteNote::OP];
    let rows: Vec<&Op> = spec::SPEC.ops.iter().map(|row| row.op).collect();
    assert_eq!(rows, ops);
    assert_eq!(CreateNote::OP.safety, Safety::Keyed);
    assert_eq!(CreateNote::OP.key_lifetime, Some(Duration::from_hours(24)));
    for row in spec::SPEC.ops {
        assert!(spec::SPEC.bucket(row.op.bucket).is_some() && row.cap.is_some_and(|cap| spec::SPEC.can(cap)));
    }
}
