//! What goes in, what a handler is given, and what it answers.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::error::Result;
use crate::webhook::{Entity, Event};

/// Whose webhook it is, and through which of our addresses it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Source {
    /// The tenant: has its own turns, and its own event ids.
    pub tenant: String,
    /// The provider's id.
    pub provider: String,
    /// The endpoint's id.
    pub endpoint: String,
    /// The mode the endpoint expects, `true` for live; `None` takes both.
    pub live: Option<bool>,
}

impl Source {
    /// An endpoint that takes events of both modes.
    pub fn new(tenant: impl Into<String>, provider: impl Into<String>, endpoint: impl Into<String>) -> Self {
        Self { tenant: tenant.into(), provider: provider.into(), endpoint: endpoint.into(), live: None }
    }

    /// Sets the mode the endpoint expects; [`Inbox::receive`](super::Inbox::receive) sets events of the other aside.
    #[must_use]
    pub fn live(mut self, live: bool) -> Self {
        self.live = Some(live);
        self
    }
}

/// In which order the events of one entity are applied. Events without an entity have no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Ordering {
    /// As they arrived.
    #[default]
    Arrival,
    /// By [`Event::version`]. One that is older than what was applied is stale; one without a version is a `Refetch`.
    ByVersion,
    /// By [`Event::occurred_at`]. One that is older than what was applied is stale; one without a time is a `Refetch`.
    ByVendorTime,
    /// None: the handler reads the entity's present state from the API, once for all events that wait.
    Refetch,
}

/// What became of a delivery's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Accepted {
    /// Events that are stored now.
    pub fresh: u32,
    /// Events that were there before.
    pub duplicates: u32,
}

/// What a handler has to do.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Work {
    /// Apply what the event says.
    Apply(Event),
    /// Something happened; what it was must be read from the vendor's API. All events of the entity that came before
    /// this run are settled with it.
    Refetch {
        /// What to read; `None` when the event named nothing.
        entity: Option<Entity>,
        /// The vendor's name of what happened: a hint.
        kind: String,
    },
}

/// One event for a handler.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Delivery {
    /// Where it came from.
    pub source: Source,
    /// The event's id with the vendor.
    pub event_id: String,
    /// What to do.
    pub work: Work,
    /// Counted from 1; a replay starts again at 1.
    pub attempt: u32,
    /// When the event arrived first.
    pub first_seen: Timestamp,
    /// How many more times the vendor has sent it so far.
    pub duplicates: u32,
    /// How often it was replayed by force after it had been done.
    pub round: u32,
}

impl Delivery {
    /// A name for what this event makes us do: equal on all attempts, also after a crash; another one after a forced
    /// replay. Give it to services that recognise a repeated key, alone or as the start of one key per effect.
    ///
    /// It has 64 hexadecimal digits, so that it is a valid [`IdempotencyKey`](crate::IdempotencyKey).
    pub fn intent_key(&self) -> String {
        let round = self.round.to_string();
        let parts = [&*self.source.tenant, &*self.source.provider, &*self.event_id, &*round];
        let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for part in parts {
            // The length first: no two lists of parts give the same bytes.
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let mut key = String::with_capacity(64);
        for byte in hash.finish().as_ref() {
            key.push_str(&format!("{byte:02x}"));
        }
        key
    }
}

/// What a handler did.
#[derive(Debug)]
#[must_use]
pub struct Applied {
    pub(super) effects: Effects,
}

impl Applied {
    /// All is done, or there was nothing to do.
    pub fn done() -> Self {
        Self { effects: Effects::default() }
    }

    /// Writes that are committed together with the mark "done", or not at all. For [`SqliteInbox`](super::SqliteInbox);
    /// with another store the event ends as a dead letter.
    #[cfg(feature = "sqlite")]
    pub fn in_transaction<F>(writes: F) -> Self
    where
        F: for<'t> FnOnce(&'t mut crate::store::Tx) -> crate::store::TxFuture<'t, ()> + Send + 'static,
    {
        Self { effects: Effects { writes: Some(Box::new(writes)) } }
    }
}

#[cfg(feature = "sqlite")]
pub(super) type Writes =
    Box<dyn for<'t> FnOnce(&'t mut crate::store::Tx) -> crate::store::TxFuture<'t, ()> + Send>;

/// Writes to be committed together with the mark "done".
#[derive(Default)]
pub struct Effects {
    #[cfg(feature = "sqlite")]
    pub(super) writes: Option<Writes>,
}

impl Effects {
    /// Whether there are none.
    #[allow(clippy::unused_self, reason = "only SQL stores have effects")]
    pub fn is_empty(&self) -> bool {
        #[cfg(feature = "sqlite")]
        return self.writes.is_none();
        #[cfg(not(feature = "sqlite"))]
        true
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Effects(none)" } else { "Effects(..)" })
    }
}

/// What is done with events. May be called again for the same event after a failure, a crash or a lost lease.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles one event. A retryable error is tried again after a while, any other makes a dead letter at once; a
    /// panic and a missed deadline are retryable. It may be dropped at any await when its deadline passes.
    async fn handle(&self, delivery: &Delivery) -> Result<Applied>;
}

/// The name of one stored event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct EventKey {
    /// The tenant.
    pub tenant: String,
    /// The provider's id.
    pub provider: String,
    /// The event's id with the vendor.
    pub event_id: String,
}

impl EventKey {
    /// The event of a tenant.
    pub fn new(tenant: impl Into<String>, provider: impl Into<String>, event_id: impl Into<String>) -> Self {
        Self { tenant: tenant.into(), provider: provider.into(), event_id: event_id.into() }
    }
}

/// Which events to handle once more. Their attempts are counted anew.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Replay {
    /// One dead letter.
    Dead(EventKey),
    /// All dead letters that died at this time or later.
    DeadSince(Timestamp),
    /// One event, whatever became of it: after a mistake of our own was mended. It is applied even if it is older than
    /// what was applied since.
    Force(EventKey),
}

/// An event that was given up.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its name.
    pub key: EventKey, // tidy: not a secret, the event's name
    /// The vendor's name of what happened.
    pub kind: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up.
    pub died_at: Timestamp,
    /// Why.
    pub error: String,
}

/// How many events there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// To be handled, now or later.
    pub waiting: u64,
    /// Being handled, by a worker that may be gone.
    pub leased: u64,
    /// Applied.
    pub done: u64,
    /// Older than what had been applied: skipped.
    pub stale: u64,
    /// Given up.
    pub dead: u64,
}

/// What a purge removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Purged {
    /// Bodies of events whose ids are kept.
    pub bodies: u64,
    /// Events, with their ids.
    pub events: u64,
}
