//! A key that passwords are hashed with and that is not kept beside the hashes.

use std::fmt;

use aws_lc_rs::hmac;
use integrations_core::{Error, Result, Secret};
use zeroize::Zeroizing;

/// A key that is not in the database: hashes that were stolen without it cannot be guessed at. What Argon2id hashes is
/// HMAC-SHA256 of the password under it. Its name is in each hash, so that it can be changed.
///
/// Whoever loses it loses all passwords.
#[derive(Clone)]
pub struct Pepper {
    id: String,
    key: Secret<Vec<u8>>,
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pepper").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Pepper {
    /// A pepper: its name, one to eight bytes, and at least 16 random bytes.
    /// [`ErrorKind::Config`](integrations_core::ErrorKind) if they are not that.
    pub fn new(id: impl Into<String>, key: Secret<Vec<u8>>) -> Result<Self> {
        let id = id.into();
        if id.is_empty() || id.len() > 8 || key.expose().len() < 16 {
            return Err(Error::config("a pepper has a name of one to eight bytes and a key of 16 or more")
                .with_hint("make 32 random bytes and name them by a number"));
        }
        Ok(Self { id, key })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn apply(&self, password: &[u8]) -> Zeroizing<Vec<u8>> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.expose());
        Zeroizing::new(hmac::sign(&key, password).as_ref().to_vec())
    }
}
