//! The ring of a fleet: one record, which each process reads again and again, and which one of them changes.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use integrations_core::{Clock, Effect, Error, ErrorKind, Result};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, MutexGuard};

use super::IssuerPolicy;
use super::ring::Ring;
use crate::records::{Draft, RecordId, RecordStore};
use crate::tokens::FOREVER;

/// After this time the ring is read again: so soon a revoked key is refused by all processes.
const READ_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// A token of an unknown key makes us read no more often than this: anybody can invent ids of keys.
const LEAST_BETWEEN: SignedDuration = SignedDuration::from_secs(5);

/// While the store cannot be read, the ring is good for this long: as long as those that others have read.
const GOOD_FOR: SignedDuration = SignedDuration::from_secs(3600);

/// Where there is no ring to go on with, one asks the store after the other: nobody waits longer for their turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who writes the ring at the same time as the whole fleet gives up after this many tries.
const TRIES: usize = 16;

pub(super) struct Keeper {
    records: Arc<dyn RecordStore>,
    pub(super) clock: Clock,
    place: RecordId,
    pub(super) policy: IssuerPolicy,
    held: RwLock<Option<Held>>,
    turn: Mutex<()>,
}

#[derive(Clone)]
struct Held {
    ring: Arc<Ring>,
    read_at: Timestamp,
    asked_at: Timestamp,
}

impl Held {
    fn new(ring: Arc<Ring>, now: Timestamp) -> Self {
        Self { ring, read_at: now, asked_at: now }
    }

    fn is_fresh(&self, now: Timestamp, within: SignedDuration) -> bool {
        (SignedDuration::ZERO..within).contains(&now.duration_since(self.asked_at))
    }

    fn is_usable(&self, now: Timestamp) -> bool {
        now.duration_since(self.read_at) < GOOD_FOR && self.ring.current(now).is_some()
    }
}

impl Keeper {
    /// The ring of an issuer. Issuers share a store without sharing keys.
    pub(super) fn new(
        records: Arc<dyn RecordStore>,
        clock: Clock,
        issuer: &str,
        policy: IssuerPolicy,
    ) -> Self {
        let place = RecordId::new("", "signing_keys", issuer);
        Self { records, clock, place, policy, held: RwLock::default(), turn: Mutex::default() }
    }

    /// The ring, at most a minute old while the store can be read.
    pub(super) async fn ring(&self) -> Result<Arc<Ring>> {
        self.ring_within(READ_EVERY).await
    }

    /// The ring, read again for a token of an unknown key, though not for each such token.
    pub(super) async fn ring_anew(&self) -> Result<Arc<Ring>> {
        self.ring_within(LEAST_BETWEEN).await
    }

    async fn ring_within(&self, age: SignedDuration) -> Result<Arc<Ring>> {
        let usable = || self.held().filter(|held| held.is_usable(self.clock.now()));
        let fresh = || usable().filter(|held| held.is_fresh(self.clock.now(), age));
        if let Some(held) = fresh() {
            return Ok(held.ring);
        }
        // One reads; the others go on with what there is, and wait only where there is nothing.
        let turn = match usable() {
            Some(held) => match self.turn.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(held.ring),
            },
            None => self.turn().await?,
        };
        if let Some(held) = fresh() {
            return Ok(held.ring);
        }
        let read = self.settle(None).await;
        let now = self.clock.now();
        let held = match (read, usable()) {
            (Ok(ring), _) => Held::new(ring, now),
            (Err(error), Some(held)) => {
                tracing::warn!(
                    kind = error.kind().as_str(),
                    "the signing keys could not be read or advanced"
                );
                Held { asked_at: now, ..held }
            }
            (Err(error), None) => return Err(error),
        };
        self.hold(held.clone());
        drop(turn);
        Ok(held.ring)
    }

    async fn turn(&self) -> Result<MutexGuard<'_, ()>> {
        tokio::time::timeout(PATIENCE, self.turn.lock()).await.map_err(|_| {
            Error::new(ErrorKind::Unavailable, Effect::NotSent, "others wait for the signing keys already")
                .with_retryable(true)
        })
    }

    /// Takes a key out of the ring.
    pub(super) async fn revoke(&self, kid: &str) -> Result<()> {
        let _turn = self.turn().await?;
        let ring = self.settle(Some(kid)).await?;
        self.hold(Held::new(ring, self.clock.now()));
        Ok(())
    }

    /// Reads the ring, and writes it if it is to change; again if another process was faster.
    async fn settle(&self, revoked: Option<&str>) -> Result<Arc<Ring>> {
        for _ in 0..TRIES {
            let now = self.clock.now();
            let record = self.records.get(&self.place, now).await?;
            let ring = Arc::new(match &record {
                Some(record) => Ring::read(&record.draft.value)?,
                None => self.first_ring()?,
            });
            if revoked.is_some_and(|kid| !ring.has(kid)) {
                return Err(unknown_key());
            }
            if revoked.is_none() && !ring.is_due(now, &self.policy) {
                return Ok(ring);
            }
            if revoked.is_none() && ring.current(now).is_some() {
                // What was read is good, also while the store cannot be written.
                self.hold(Held::new(ring.clone(), now));
            }
            let ring = self.changed(&ring, revoked.map(str::to_owned), now).await?;
            let draft = Draft { owner: None, expires_at: FOREVER, value: ring.write()? };
            let seen = record.map_or(0, |record| record.version);
            if self.records.put(&self.place, seen, &draft, now).await?.is_some() {
                return Ok(Arc::new(ring));
            }
        }
        Err(Error::new(ErrorKind::Conflict, Effect::Rejected, "the signing keys are being changed by others")
            .with_retryable(true))
    }

    /// Nobody can tell that there were keys; if there were, all their tokens are refused from now on.
    fn first_ring(&self) -> Result<Ring> {
        let issuer = self.place.key.as_str();
        tracing::warn!(issuer, "the store has no signing keys: the first ones are made");
        Ring::new(Vec::new())
    }

    async fn changed(&self, ring: &Ring, revoked: Option<String>, now: Timestamp) -> Result<Ring> {
        let (ring, policy) = (ring.clone(), self.policy.clone());
        let change = move || match revoked {
            Some(kid) => ring.without(&kid, now)?.advance(now, &policy),
            None => ring.advance(now, &policy),
        };
        let failed = |_| Error::new(ErrorKind::Unexpected, Effect::NotSent, "no key could be made");
        tokio::task::spawn_blocking(change).await.map_err(failed)?
    }

    fn held(&self) -> Option<Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hold(&self, held: Held) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }
}

fn unknown_key() -> Error {
    Error::new(ErrorKind::NotFound, Effect::Rejected, "there is no such signing key")
        .with_hint("it may have been revoked before, or have outlived its tokens")
}
