//! Who hears when a connection changes its state.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use integrations_core::{ConnectionId, Result};
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Inner;
use super::state::{ConnectionState, Record, Status};

/// How long a listener may take; after that it is told again by [`Vault::tend`](super::Vault::tend).
const LISTENING: Duration = Duration::from_secs(20);

/// A connection that changed its state: it was made, it needs its user's consent, it works again, it was revoked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Transition {
    /// The same each time that this change is told.
    pub id: String,
    /// The connection.
    pub connection: ConnectionId,
    /// The state before, as a word; `None`: the connection is new.
    pub from: Option<String>,
    /// The state now.
    pub to: ConnectionState,
    /// When it changed.
    pub at: Timestamp,
    /// Where the user connects again, when that is what is needed and the vault was told.
    pub link: Option<String>,
}

/// Hears each change of state once, from the process whose write made it. If that process dies before the listener has
/// returned `Ok`, or the listener fails, [`Vault::tend`](super::Vault::tend) of any process tells it again, under the
/// same [`Transition::id`]. A state that was left before anybody heard of it is not told.
#[async_trait]
pub trait Listener: Send + Sync + 'static {
    /// A connection changed its state.
    async fn on(&self, transition: &Transition) -> Result<()>;
}

/// The word for "there was none".
pub(super) const NEW: &str = "";

impl Inner {
    /// Tells the listener what a record says that this process has written, and takes note that it was told. Whether it
    /// was. Goes on when nobody waits for it, and a listener that panics has failed.
    pub(super) async fn announce(self: &Arc<Self>, id: &ConnectionId, record: &Record) -> bool {
        match self.announce_later(id, record) {
            Some(telling) => telling.await.unwrap_or(false),
            None => true,
        }
    }

    /// The same, without keeping anybody waiting.
    pub(super) fn announce_later(
        self: &Arc<Self>,
        id: &ConnectionId,
        record: &Record,
    ) -> Option<JoinHandle<bool>> {
        let (listener, from) = (self.listener.clone()?, record.unannounced.clone()?);
        let (inner, id, record) = (self.clone(), id.clone(), record.clone());
        Some(tokio::spawn(async move {
            let transition = inner.transition(&id, &record, &from);
            match timeout(LISTENING, listener.on(&transition)).await {
                Ok(Ok(())) => return inner.note_announced(&id, &record).await.is_ok(),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a listener of connections failed; it will be told again");
                }
                Err(_) => tracing::warn!("a listener of connections took too long; it will be told again"),
            }
            false
        }))
    }

    fn transition(&self, id: &ConnectionId, record: &Record, from: &str) -> Transition {
        let word = record.status.word();
        let since = record.since.as_millisecond();
        let needs_user = !matches!(record.status, Status::Ready(_));
        Transition {
            id: format!("{}/{}/{}/{word}/{since}", id.tenant, id.instance, id.connection),
            connection: id.clone(),
            from: (from != NEW).then(|| from.to_owned()),
            to: record.state(),
            at: record.since,
            link: self.link(id).filter(|_| needs_user),
        }
    }

    async fn note_announced(&self, id: &ConnectionId, told: &Record) -> Result<()> {
        loop {
            let Some((version, mut record)) = self.read(id).await? else { return Ok(()) };
            if record.unannounced.is_none()
                || record.status.word() != told.status.word()
                || record.since != told.since
            {
                return Ok(());
            }
            record.unannounced = None;
            if self.write(id, version, &record, None).await?.is_some() {
                return Ok(());
            }
        }
    }
}
