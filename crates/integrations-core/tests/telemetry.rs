//! What an operator sees: one span per call with a child per attempt, waits with reasons, one log line per error.
//! A binary of its own: `tracing` decides once per process whether a span is wanted, and tests beside these want none.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integrations_core::pipeline::{Attempt, Policy, Scope, Stages};
use integrations_core::{
    Body, Caller, Effect, Endpoint, Error, ErrorKind, Exchange, Op, Payload, Req, Result, Safety, Transport,
    TransportError, WireRequest, WireResponse,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

static READ: Op = Op::new("demo", "read", Safety::Read).http("GET", "/things/{id}");

/// Writes down spans and events with their parents.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl Recorder {
    fn write(&self, line: String) {
        self.0.lock().expect("no writer panics").push(line);
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields(String::new());
        attributes.record(&mut fields);
        let parent = context.span(id).and_then(|s| s.parent().map(|p| p.name())).unwrap_or("-");
        let line = format!("span {} in {parent}{}", attributes.metadata().name(), fields.0);
        self.write(line);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields(String::new());
        values.record(&mut fields);
        let span = context.span(id).map_or("-", |s| s.name());
        self.write(format!("record on {span}{}", fields.0));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let span = context.event_span(event).map_or("-", |s| s.name());
        self.write(format!("{} in {span}{}", event.metadata().level(), fields.0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_call_is_one_span_with_a_child_per_attempt_and_one_log_line() {
    let recorder = Recorder::default();
    let subscriber = tracing_subscriber::registry().with(recorder.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let stages = Stages::new();
    let pipeline = stages.pipeline(Scope::new("acme", "demo_main"), Policy::default()).unwrap();
    let fail = |_: Attempt<'_>| async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        Err::<(), _>(Error::new(ErrorKind::Unavailable, Effect::Unknown, "down").with_status(500))
    };
    let _ = pipeline.run(&READ, None, fail).await;
    let lines = recorder.0.lock().unwrap().clone();
    let matching = |needle: &str| lines.iter().filter(|l| l.contains(needle)).count();
    assert_eq!(matching("span integration.call in - otel.name=demo.read"), 1, "{lines:#?}");
    assert_eq!(
        matching("span integration.attempt in integration.call otel.name=GET /things/{id}"),
        3,
        "{lines:#?}"
    );
    assert_eq!(matching("http.request.resend_count=2"), 1);
    assert_eq!(matching("reason=\"backoff\""), 2);
    assert_eq!(matching("WARN"), 1);
    assert_eq!(
        matching("WARN in integration.call message=call failed: demo.read: unavailable: down"),
        1,
        "{lines:#?}"
    );
}

struct Unread;

impl Endpoint for Unread {
    type Output = u32;
    const OP: &'static Op = &READ;

    fn request(&self, base: &http::Uri) -> Result<WireRequest> {
        Req::get(base).build()
    }

    fn response(&self, response: WireResponse) -> Result<u32> {
        response.json()
    }
}

struct Nonsense;

#[async_trait::async_trait]
impl Transport for Nonsense {
    async fn send(
        &self,
        _: http::Request<Body>,
        _: Exchange,
    ) -> Result<http::Response<Payload>, TransportError> {
        Ok(http::Response::new(Payload::Whole("hunter2".into())))
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_is_logged_once_and_tells_its_attempts() {
    let recorder = Recorder::default();
    let subscriber = tracing_subscriber::registry().with(recorder.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let pipeline = Stages::new().pipeline(Scope::new("acme", "demo_main"), Policy::default()).unwrap();
    let base = "https://demo.example".parse().unwrap();
    let e = Caller::builder(base, Arc::new(Nonsense), pipeline).build().call(&Unread).await.unwrap_err();
    assert_eq!((e.kind(), e.attempts()), (ErrorKind::Decode, 1));
    let lines = recorder.0.lock().unwrap().clone();
    assert!(
        lines.iter().any(|l| l == "record on integration.attempt http.response.status_code=200"),
        "{lines:#?}"
    );
    let logged: Vec<_> = lines.iter().filter(|line| line.starts_with("WARN")).collect();
    assert!(logged.len() == 1 && logged[0].contains("op.name=\"read\""), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("hunter2")));
}

#[tokio::test(start_paused = true)]
async fn tenants_never_become_labels() {
    let stages = Stages::new();
    for tenant in 0..1_000 {
        let pipeline =
            stages.pipeline(Scope::new(format!("tenant-{tenant}"), "demo_main"), Policy::default()).unwrap();
        pipeline.run(&READ, None, |_| async { Ok(()) }).await.unwrap();
    }
    let text = stages.metrics().prometheus();
    assert!(text.contains("integration_requests_total{provider=\"demo\",status=\"ok\"} 1000"), "{text}");
    assert!(!text.contains("tenant"));
    assert!(text.lines().count() < 100);
}
