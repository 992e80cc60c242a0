//! The whole way: client, pipeline, transport, fake service.

use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, Response};
use integrations_core::pipeline::{Policy, Scope, Stages};
use integrations_core::{
    Body, Effect, Error, ErrorKind, Exchange, IdempotencyKey, PageReq, Payload, Transport, TransportError,
    WaitReason,
};
use integrations_example::notes::{Notes, spec};
use integrations_example::{FakeNotes, Fault, NewNote};
use tokio::time::Instant;

const TOKEN: &str = "t-1";

fn connected() -> (FakeNotes, Notes) {
    let service = FakeNotes::new(TOKEN);
    let notes = Notes::builder().token(TOKEN).transport(service.clone()).build().unwrap();
    (service, notes)
}

fn note(text: &str) -> NewNote {
    NewNote { text: text.to_owned() }
}

fn verdict(error: &Error) -> (ErrorKind, Effect) {
    (error.kind(), error.effect())
}

#[tokio::test(start_paused = true)]
async fn a_note_is_made_read_and_deleted() {
    let (service, notes) = connected();
    let made = notes.create(note("Buy milk")).await.unwrap();
    assert_eq!(notes.get(made.id.clone()).await.unwrap(), made);
    notes.delete(made.id.clone()).await.unwrap();
    let error = notes.get(made.id).await.unwrap_err();
    assert_eq!(verdict(&error), (ErrorKind::NotFound, Effect::Rejected));
    assert_eq!(
        (error.operation(), error.code(), error.status()),
        ("get_note", Some("no_such_note"), Some(404))
    );
    assert!(service.texts().is_empty());
}

/// The naive way beside it: the same fault, tried again without a key.
#[tokio::test(start_paused = true)]
async fn a_lost_reply_leaves_one_note_with_a_key_and_two_without() {
    let (service, notes) = connected();
    service.fail_next(Fault::ReplyLost);
    let made = notes.create(note("keyed")).await.unwrap();
    assert_eq!((service.texts(), service.requests()), (vec!["keyed".to_owned()], 2));
    assert_eq!(notes.get(made.id).await.unwrap().text, "keyed");

    service.fail_next(Fault::ReplyLost);
    let mut tries = 0;
    loop {
        tries += 1;
        let request = Request::post("https://api.notes.example/v1/notes")
            .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
            .body(Body::from(r#"{"text":"naive"}"#))
            .unwrap();
        let exchange = Exchange::new(&spec::CREATE_NOTE, tries, Duration::from_secs(1));
        if service.send(request, exchange).await.is_ok() {
            break;
        }
    }
    assert_eq!((service.texts(), tries), (["keyed", "naive", "naive"].map(str::to_owned).to_vec(), 2));
}

#[tokio::test(start_paused = true)]
async fn the_same_intent_is_carried_out_once_across_calls() {
    let (service, notes) = connected();
    let key = || IdempotencyKey::new("tenant-7/note-1").unwrap();
    (0..3).for_each(|_| service.fail_next(Fault::ReplyLost));
    let error = notes.create_keyed(note("once"), key()).await.unwrap_err();
    assert_eq!(verdict(&error), (ErrorKind::Transport, Effect::Unknown));
    assert_eq!(error.attempts(), 3);
    let made = notes.create_keyed(note("once"), key()).await.unwrap();
    assert_eq!((made.id.as_str(), service.texts().len()), ("n_1", 1));
    let error = notes.create_keyed(note("another"), key()).await.unwrap_err();
    assert_eq!(verdict(&error), (ErrorKind::Conflict, Effect::Rejected));
}

#[tokio::test(start_paused = true)]
async fn a_told_delay_is_waited_for_and_a_long_one_is_handed_on() {
    let (service, notes) = connected();
    notes.create(note("x")).await.unwrap();
    let from = Instant::now();
    service.fail_next(Fault::Throttled(Duration::from_secs(2)));
    notes.get("n_1").await.unwrap();
    assert!(from.elapsed() >= Duration::from_secs(2), "{:?}", from.elapsed());
    service.fail_next(Fault::Throttled(Duration::from_secs(60)));
    let error = notes.get("n_1").await.unwrap_err();
    assert_eq!(verdict(&error), (ErrorKind::RateLimited, Effect::Rejected));
    assert_eq!((error.retry_after(), error.attempts()), (Some(Duration::from_secs(60)), 1));
    assert!(error.explain().contains("try again in: 60s"), "{}", error.explain());
}

#[tokio::test(start_paused = true)]
async fn a_server_error_is_repeated_and_counted() {
    let service = FakeNotes::new(TOKEN);
    let stages = Stages::new();
    let pipeline = stages.pipeline(Scope::new("", "notes"), Policy::default()).unwrap();
    let notes = Notes::builder().token(TOKEN).transport(service.clone()).pipeline(pipeline).build().unwrap();
    service.fail_next(Fault::Broken);
    notes.create(note("x")).await.unwrap();
    let counters = &stages.metrics().snapshot()[0];
    assert_eq!((counters.calls(None), counters.attempts_total(), counters.retries()), (1, 2, 1));
    assert_eq!(counters.waits(WaitReason::Backoff).0, 1);
}

#[tokio::test(start_paused = true)]
async fn pages_end_and_resume_and_refuse_a_foreign_cursor() {
    let (_, notes) = connected();
    for text in ["a", "b", "c", "d", "e"] {
        notes.create(note(text)).await.unwrap();
    }
    let all = notes.pages(PageReq::first().limit(2)).collect_up_to(100).await.unwrap();
    assert_eq!(all.iter().map(|n| n.text.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "d", "e"]);
    let first = notes.list(PageReq::first().limit(2)).await.unwrap();
    let stored = first.next.unwrap().to_string();
    let rest = notes.pages(PageReq::at(stored.parse().unwrap())).collect_up_to(100).await.unwrap();
    assert_eq!(rest.len(), 3);
    let foreign = integrations_core::page::Scope::new(&spec::GET_NOTE, &()).unwrap().cursor(1);
    let error = notes.list(foreign).await.unwrap_err();
    assert_eq!(verdict(&error), (ErrorKind::InvalidRequest, Effect::NotSent));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_is_told_without_being_shown() {
    let service = FakeNotes::new(TOKEN);
    let notes = Notes::builder().token("hunter2").transport(service.clone()).build().unwrap();
    let error = notes.create(note("x")).await.unwrap_err();
    assert_eq!(verdict(&error), (ErrorKind::Unauthenticated, Effect::Rejected));
    assert_eq!(service.requests(), 1);
    let broken = Notes::builder().token("hunter2\n").transport(service).build().unwrap();
    let unsendable = broken.create(note("x")).await.unwrap_err();
    assert_eq!(verdict(&unsendable), (ErrorKind::Config, Effect::NotSent));
    for error in [error, unsendable] {
        assert!(!format!("{error} {error:?} {}", error.explain()).contains("hunter2"));
    }
}

#[test]
fn the_client_reads_the_variables_that_the_facts_name() {
    let names: Vec<&str> = spec::SPEC.settings.iter().filter_map(|setting| setting.env).collect();
    let lookup = |name: &str| names.contains(&name).then(|| TOKEN.to_owned());
    let built = Notes::builder().vars(&lookup).unwrap().transport(FakeNotes::new(TOKEN)).build();
    assert!(built.is_ok());
    let missing = Notes::builder().vars(&|_| None).err().unwrap();
    assert!(missing.message().contains(names[0]), "{missing}");
    let none = Notes::builder().transport(FakeNotes::new(TOKEN)).build().err().unwrap();
    assert_eq!(verdict(&none), (ErrorKind::Config, Effect::NotSent));
    assert!(none.hint().unwrap().contains("set `token`, or the variable `NOTES_TOKEN`"), "{none:?}");
}

#[cfg(not(feature = "http"))]
#[test]
fn without_the_feature_http_a_transport_must_be_given() {
    let error = Notes::builder().token(TOKEN).build().err().unwrap();
    assert!(error.hint().unwrap().contains("`http`"), "{error:?}");
}

#[cfg(feature = "http")]
#[test]
fn with_the_feature_http_a_token_is_enough() {
    assert!(Notes::builder().token(TOKEN).build().is_ok());
}

/// Notes the headers of the last request.
struct Recorder(std::sync::Mutex<http::HeaderMap>);

#[async_trait::async_trait]
impl Transport for Recorder {
    async fn send(&self, request: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        self.0.lock().unwrap().clone_from(request.headers());
        Ok(Response::new(Payload::from(bytes::Bytes::from_static(include_bytes!("notes/golden/note.json")))))
    }
}

#[tokio::test(start_paused = true)]
async fn token_and_key_travel_in_their_headers() {
    let recorder = std::sync::Arc::new(Recorder(std::sync::Mutex::default()));
    let notes = Notes::builder().token(TOKEN).transport(recorder.clone()).build().unwrap();
    notes.create_keyed(note("x"), IdempotencyKey::new("k-1").unwrap()).await.unwrap();
    let headers = recorder.0.lock().unwrap().clone();
    let (token, key) = (&headers["authorization"], &headers["idempotency-key"]);
    assert_eq!((token, key), (&HeaderValue::from_static("Bearer t-1"), &HeaderValue::from_static("k-1")));
    assert!(token.is_sensitive());
}
