//! Sealing under data keys that a key service wraps.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::Sealer;
use super::aead::{self, NONCE};
use super::data_keys::{DataKey, DataKeys};
use super::format::{self, Entry};
use super::service::KeyService;
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::secret::Secret;

/// Envelope encryption: entries are sealed with AES-256-GCM under a data key, which is stored beside them, wrapped by a
/// [`KeyService`].
///
/// A data key is random, belongs to one purpose and one `Envelope`, and seals at most 2^20 entries or for 24 hours,
/// whichever ends first. Unwrapped data keys are kept for 5 minutes at most (400 of them), so that opening seldom asks
/// the key service; they are wiped at the first use after that. The key that seals is kept until its successor is made.
///
/// The tag of an entry covers the format's version, the algorithm, the purpose, the context, the nonce and the plain
/// text. It does not cover the wrapped data key and the id of the key above it, so that [`rewrap`](Sealer::rewrap)
/// replaces these two and leaves the ciphertext alone. That is sound because they only say how to get the data key:
/// the wrapping is authenticated by itself, with the purpose, so a changed bit is refused there; and were it not,
/// another data key fails at the tag, while the same data key gives the same plain text.
///
/// Not covered: an older entry put back in the place of a newer one with the same context opens, and the length of a
/// plain text is visible. A rewrapped entry keeps its data key; after a data key has leaked, open and seal again.
///
/// ```
/// use std::sync::Arc;
/// use integrations_core::seal::{Envelope, LocalKeys, Sealer};
/// use integrations_core::Secret;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let keys = LocalKeys::parse(&LocalKeys::generate()?)?;
/// let envelope = Envelope::new(Arc::new(keys), "tokens");
/// let sealed = envelope.seal(&Secret::new(b"refresh".to_vec()), b"tenant-1/mail").await?;
/// assert_eq!(envelope.open(&sealed, b"tenant-1/mail").await?.expose(), b"refresh");
/// assert!(envelope.open(&sealed, b"tenant-2/mail").await.is_err());
/// # Ok::<(), integrations_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Envelope {
    purpose: String,
    keys: DataKeys,
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

impl Envelope {
    /// Envelopes for one purpose, such as `outbox`: what is sealed for one does not open for another. ASCII text that
    /// is not secret, and that stays the same as long as the entries do.
    pub fn new(service: Arc<dyn KeyService>, purpose: impl Into<String>) -> Self {
        let purpose = purpose.into();
        Self { keys: DataKeys::new(service, format::key_context(&purpose)), purpose }
    }

    fn opened(&self, entry: &Entry<'_>, key: &DataKey, context: &[u8]) -> Result<Secret<Vec<u8>>> {
        let authenticated = format::authenticated(&self.purpose, context);
        aead::open(&key.key, entry.nonce, &authenticated, entry.body).ok_or_else(changed)
    }
}

#[async_trait]
impl Sealer for Envelope {
    /// Kinds of error: those of the [`KeyService`], and `Timeout` (retryable) if it does not answer within 10 seconds.
    async fn seal(&self, plain: &Secret<Vec<u8>>, context: &[u8]) -> Result<Vec<u8>> {
        let key = self.keys.for_sealing().await?;
        let nonce = aead::random::<NONCE>()?;
        let authenticated = format::authenticated(&self.purpose, context);
        let body = aead::seal(&key.key, nonce, &authenticated, plain.expose())?;
        format::encode(&key.wrapped, nonce, &body)
    }

    /// As for `seal`, and `Decode` for an entry that was changed, cut off, or sealed for another purpose or context.
    async fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Secret<Vec<u8>>> {
        let entry = format::parse(sealed)?;
        let key = self.keys.unwrapped(&entry.wrapped).await?;
        self.opened(&entry, &key, context)
    }

    /// As for `open`: an entry that does not open is not rewrapped.
    async fn rewrap(&self, sealed: &[u8], context: &[u8]) -> Result<Option<Vec<u8>>> {
        let entry = format::parse(sealed)?;
        if entry.wrapped.key_id == self.keys.current_key_id() {
            return Ok(None);
        }
        let key = self.keys.unwrapped(&entry.wrapped).await?;
        self.opened(&entry, &key, context)?;
        let key = self.keys.rewrapped(&key).await?;
        format::encode(&key.wrapped, entry.nonce, entry.body).map(Some)
    }
}

fn changed() -> Error {
    let message = "a sealed entry does not open: it was changed, or belongs to another place";
    Error::new(ErrorKind::Decode, Effect::NotSent, message)
        .with_hint("open it with the purpose and the context that it was sealed with")
}

#[cfg(test)]
mod tests;
