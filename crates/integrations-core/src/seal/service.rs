//! Where the keys above the data keys are.

use async_trait::async_trait;

use crate::error::Result;
use crate::secret::Secret;

/// A data key as it is stored, beside what it encrypts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a pair with names")]
pub struct Wrapped {
    /// The key that it was wrapped under: 1 to 255 visible ASCII characters. Stored in the clear.
    pub key_id: String,
    /// What the service made of it: at most 65,535 bytes.
    pub bytes: Vec<u8>,
}

/// Wraps and unwraps data keys: a key service of a cloud, an HSM, or [`LocalKeys`](super::LocalKeys).
///
/// What [`Envelope`](super::Envelope) promises rests on this:
/// - The wrapping is authenticated: [`unwrap`](KeyService::unwrap) refuses bytes of which one bit is changed, another
///   key id, and another context.
/// - It is made with a secret. A service that wraps under a public key (RSA-OAEP) does not do: whoever has that key
///   could wrap a data key of their own, and with it make entries that open.
///
/// An unknown key id is [`Config`](crate::ErrorKind::Config) with a hint that names it; a service that does not answer
/// is a retryable kind. Requests are cut off after 10 seconds; those for one data key at the same time are one.
#[async_trait]
pub trait KeyService: Send + Sync + 'static {
    /// The key that [`wrap`](KeyService::wrap) uses now, written as in its [`Wrapped::key_id`]. Without a request: it
    /// is asked for before each message, and when it changes a new data key is made.
    fn current_key_id(&self) -> String;

    /// Encrypts a data key (32 bytes) under the current key, bound to `context`, which is not secret: ASCII text, the
    /// value of an encryption context.
    async fn wrap(&self, data_key: &Secret<Vec<u8>>, context: &str) -> Result<Wrapped>;

    /// Undoes [`wrap`](KeyService::wrap), also for keys that are not current any more.
    async fn unwrap(&self, wrapped: &Wrapped, context: &str) -> Result<Secret<Vec<u8>>>;
}
