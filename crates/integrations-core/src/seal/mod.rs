//! Encryption of what is stored.
//!
//! Invariants:
//! - What is sealed is bound to its context (whose it is, and where it stands): moved to another place it does not open.
//! - No key and no plain text is in an error or a `Debug`.

use async_trait::async_trait;

use crate::error::Result;
use crate::secret::Secret;

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
