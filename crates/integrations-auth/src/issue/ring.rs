//! The keys of an issuer, as a function of time.
//!
//! Each key signs from its beginning to that of the next one. The next one is always there, so that everybody has read it
//! long before it signs; what has signed stays until nobody can hold a token of it.

use std::sync::Arc;

use integrations_core::jose::{KeySet, SigningKey};
use integrations_core::{Effect, Error, ErrorKind, Result, Secret, SecretString};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroize as _;

use super::IssuerPolicy;

/// A key and when it begins to sign.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) kid: String,
    pub(super) key: Arc<SigningKey>,
    pub(super) from: Timestamp,
}

/// The keys, in the order in which they sign.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    entries: Vec<Entry>,
    keys: KeySet,
}

/// What is written of a key. The store seals it.
#[derive(Serialize, Deserialize)]
struct Stored {
    kid: String,
    pem: String,
    from: Timestamp,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.pem.zeroize();
    }
}

impl Ring {
    pub(super) fn new(entries: Vec<Entry>) -> Result<Self> {
        let keys = KeySet::from_jwks(jwks(&entries)?.to_string().as_bytes())?;
        Ok(Self { entries, keys })
    }

    pub(super) fn read(stored: &Secret<Vec<u8>>) -> Result<Self> {
        let unreadable =
            |_| Error::new(ErrorKind::Decode, Effect::NotSent, "the kept signing keys cannot be read");
        let stored: Vec<Stored> = serde_json::from_slice(stored.expose()).map_err(unreadable)?;
        let entry = |stored: &Stored| {
            let key = SigningKey::pem(&SecretString::from(stored.pem.as_str()))?.id(&stored.kid);
            Ok(Entry { kid: stored.kid.clone(), key: Arc::new(key), from: stored.from })
        };
        Self::new(stored.iter().map(entry).collect::<Result<_>>()?)
    }

    pub(super) fn write(&self) -> Result<Secret<Vec<u8>>> {
        let stored = |entry: &Entry| {
            let pem = entry.key.to_pem()?.expose().clone();
            Ok(Stored { kid: entry.kid.clone(), pem, from: entry.from })
        };
        let stored = self.entries.iter().map(stored).collect::<Result<Vec<_>>>()?;
        let unwritable = |_| Error::config("the signing keys cannot be written");
        serde_json::to_vec(&stored).map(Secret::new).map_err(unwritable)
    }

    /// The key that signs at a time: the last that has begun. Where a faster clock has written the ring, the first may not
    /// have begun yet; it is published, so it signs.
    pub(super) fn current(&self, now: Timestamp) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.from <= now).or(self.entries.first())
    }

    pub(super) fn keys(&self) -> &KeySet {
        &self.keys
    }

    pub(super) fn jwks(&self) -> Result<Value> {
        jwks(&self.entries)
    }

    pub(super) fn has(&self, kid: &str) -> bool {
        self.entries.iter().any(|entry| entry.kid == kid)
    }

    /// Whether [`advance`](Ring::advance) would change it.
    pub(super) fn is_due(&self, now: Timestamp, policy: &IssuerPolicy) -> bool {
        self.has_no_next(now) || self.outlived(now, policy) > 0
    }

    fn has_no_next(&self, now: Timestamp) -> bool {
        self.entries.last().is_none_or(|last| last.from <= now)
    }

    /// The ring as it must be at a time. It may make keys, which takes a while with RSA.
    pub(super) fn advance(mut self, now: Timestamp, policy: &IssuerPolicy) -> Result<Self> {
        self.entries.drain(..self.outlived(now, policy));
        while self.has_no_next(now) {
            // Nobody has read a ring without keys: its first one need not wait.
            let from = self.entries.last().map_or(now, |last| policy.successor(last.from, now));
            let key = SigningKey::generate(policy.algorithm)?;
            let kid = key.kid().unwrap_or_default().to_owned();
            self.entries.push(Entry { kid, key: Arc::new(key), from });
        }
        Self::new(self.entries)
    }

    /// The ring without a key that must not be believed any more. If it was the one that signs, the next one signs at once:
    /// it was published before.
    pub(super) fn without(mut self, kid: &str, now: Timestamp) -> Result<Self> {
        let signs = self.current(now).is_some_and(|current| current.kid == kid);
        self.entries.retain(|entry| entry.kid != kid);
        if let Some(next) = self.entries.iter_mut().find(|next| signs && next.from > now) {
            next.from = now;
        }
        Self::new(self.entries)
    }

    /// How many keys nobody can hold a valid token of.
    fn outlived(&self, now: Timestamp, policy: &IssuerPolicy) -> usize {
        let ends = self.entries.iter().skip(1).map(|next| next.from);
        ends.take_while(|end| now.duration_since(*end) >= policy.afterlife()).count()
    }
}

fn jwks(entries: &[Entry]) -> Result<Value> {
    let keys = entries.iter().map(|entry| entry.key.public_jwk()).collect::<Result<Vec<_>>>()?;
    Ok(json!({ "keys": keys }))
}
