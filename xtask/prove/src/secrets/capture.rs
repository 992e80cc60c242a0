//! All that is logged by anybody at any level, and what panics say.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Lines by target.
#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<Mutex<Vec<(String, String)>>>);

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {field}={value}");
    }
}

impl Capture {
    /// Listens to `tracing`, to `log` and to panics from now on, for the rest of the process.
    pub(crate) fn start() -> Self {
        let capture = Self::default();
        let subscriber = tracing_subscriber::registry().with(capture.clone());
        tracing::subscriber::set_global_default(subscriber).expect("a proof runs once per process");
        tracing_log::LogTracer::init().expect("a proof runs once per process");
        let of_panics = capture.clone();
        std::panic::set_hook(Box::new(move |panic| of_panics.push("panic".to_owned(), panic.to_string())));
        capture
    }

    /// What came since the last time.
    pub(crate) fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.lines())
    }

    fn push(&self, target: String, line: String) {
        self.lines().push((target, line));
    }

    fn lines(&self) -> MutexGuard<'_, Vec<(String, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let metadata = attributes.metadata();
        let mut line = format!("span {}", metadata.name());
        attributes.record(&mut Text(&mut line));
        self.push(metadata.target().to_owned(), line);
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut line = "record".to_owned();
        values.record(&mut Text(&mut line));
        self.push("span fields".to_owned(), line);
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut Text(&mut line));
        // What came by `log` has its target among the fields.
        let target = line.split_once("log.target=").and_then(|(_, rest)| rest.split(' ').next());
        let target = target.unwrap_or(event.metadata().target()).to_owned();
        self.push(target, line);
    }
}
