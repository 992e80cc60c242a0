//! A secret that may be replaced while it is in use.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{SecretRef, SecretString};
use crate::error::Result;

/// A value with the number of its generation.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "a pair with names")]
pub struct Versioned<T> {
    /// Counts replacements; says nothing across processes.
    pub version: u64,
    /// The value.
    pub value: T,
}

/// Where secrets are: files, a secret store.
#[async_trait]
pub trait SecretStore: Send + Sync + 'static {
    /// The present value.
    async fn get(&self, reference: &SecretRef) -> Result<SecretString>;
}

/// A secret that may be replaced while it is in use. Cheap to clone; clones are one secret.
#[derive(Clone)]
pub struct LiveSecret(Arc<Versioned<SecretString>>);

impl fmt::Debug for LiveSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LiveSecret(***)")
    }
}

impl LiveSecret {
    /// The present value. Asked for each attempt.
    pub async fn current(&self) -> Versioned<SecretString> {
        (*self.0).clone()
    }

    /// After `used` was refused: `true` when there is another value to try.
    pub async fn renew(&self, used: u64) -> bool {
        self.0.version != used
    }
}

impl From<SecretString> for LiveSecret {
    fn from(value: SecretString) -> Self {
        Self(Arc::new(Versioned { version: 1, value }))
    }
}

impl From<&str> for LiveSecret {
    fn from(value: &str) -> Self {
        SecretString::from(value).into()
    }
}
