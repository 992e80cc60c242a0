//! Encryption of what is stored.
//!
//! Invariants:
//! - What is sealed is bound to its context (whose it is, where it stands): moved to another place it does not open.
//! - No key and no plain text is in an error or a `Debug`.
//! - Nothing is sealed under a data key that the key service has not given back once: what is stored can be opened.

#[cfg(feature = "seal")]
mod aead;
#[cfg(feature = "seal")]
mod data_keys;
#[cfg(feature = "seal")]
mod envelope;
#[cfg(feature = "seal")]
mod format;
#[cfg(feature = "seal")]
mod local;
#[cfg(feature = "seal")]
mod service;

use async_trait::async_trait;

use crate::error::Result;
use crate::secret::Secret;

#[cfg(feature = "seal")]
pub use envelope::Envelope;
#[cfg(feature = "seal")]
pub use local::LocalKeys;
#[cfg(feature = "seal")]
pub use service::{KeyService, Wrapped};

/// Encrypts what is to be stored: with a key of the operator's, or a key service.
#[async_trait]
pub trait Sealer: Send + Sync + 'static {
    /// Encrypts and authenticates `plain` together with `context`, which is not secret.
    async fn seal(&self, plain: &Secret<Vec<u8>>, context: &[u8]) -> Result<Vec<u8>>;

    /// Undoes [`seal`](Sealer::seal). An error for bytes that were changed, or sealed with another context.
    async fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Secret<Vec<u8>>>;

    /// What to store in place of `sealed`, when it is under a key that is to be retired; `None` when it may stay.
    async fn rewrap(&self, sealed: &[u8], context: &[u8]) -> Result<Option<Vec<u8>>> {
        let _ = (sealed, context);
        Ok(None)
    }
}
