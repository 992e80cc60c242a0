//! What is done after the answer.

use std::sync::Arc;
use std::time::Duration;

use integrations_core::{Effect, Error, ErrorKind, Result};
use tokio::sync::Semaphore;

/// How many errands there are at once. Beyond it nobody is served, whoever they are.
const MOST: u32 = 1024;

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Work whose time must not show in an answer. Each piece holds one of the permits until it is done.
#[derive(Clone)]
pub(super) struct Errands(Arc<Semaphore>);

impl Errands {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST as usize)))
    }

    /// Begins a piece of work. What goes wrong with it is in the log alone.
    pub(super) fn run(
        &self,
        what: &'static str,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Result<()> {
        let permit = Arc::clone(&self.0).try_acquire_owned().map_err(|_| {
            Error::new(ErrorKind::Unavailable, Effect::NotSent, "too much is being done for others")
                .with_code("busy")
                .with_hint("try again later")
        })?;
        tokio::spawn(async move {
            match tokio::time::timeout(PATIENCE, work).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => tracing::error!(error = %e, what, "what was to follow an answer failed"),
                Err(_) => tracing::error!(what, "what was to follow an answer took too long"),
            }
            drop(permit);
        });
        Ok(())
    }

    /// Waits until there are none.
    pub(super) async fn drain(&self, within: Duration) -> bool {
        tokio::time::timeout(within, self.0.acquire_many(MOST)).await.is_ok()
    }
}
