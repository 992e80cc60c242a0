//! Everything that is logged during a run, spans and their fields too.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Runs something with a subscriber of its own, which takes everything; what was logged.
pub(super) fn everything<T>(run: impl FnOnce() -> T) -> (T, String) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_ansi(false)
        .without_time()
        .with_writer(log.clone())
        .finish();
    let ran = tracing::subscriber::with_default(subscriber, run);
    let lines = log.0.lock().unwrap_or_else(PoisonError::into_inner);
    (ran, String::from_utf8_lossy(&lines).into_owned())
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_every_level_and_fields_of_spans_are_caught() {
        let ((), log) = everything(|| {
            let span = tracing::trace_span!("outer", early = "one", late = tracing::field::Empty);
            let _in = span.enter();
            tracing::trace!(field = "two", "three");
            span.record("late", "four");
        });
        for word in ["one", "two", "three", "four"] {
            assert!(log.contains(word), "{word}: {log}");
        }
    }
}
