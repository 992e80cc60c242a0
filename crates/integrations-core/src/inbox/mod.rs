//! Events that others send: stored before they are acknowledged, applied once and in order.
//!
//! Invariants:
//! - Nothing is stored before its sender was verified, and nothing is acknowledged before it is stored.
//! - An event is known by tenant, provider and event id; for [`Settings::keep_keys`] a second one is not handled. A
//!   claim ([`Trust::Claim`]), whose id anybody can choose, is always a new one.
//! - At any time one worker handles one event of an entity, also with several processes on one store. A worker whose
//!   lease ran out writes nothing.
//! - An event older than what was applied to its entity is recorded as stale and never applied.
//! - Every event ends as done, stale or dead; none disappears.
//!
//! A handler may run more than once for one event: after a crash there is no telling how far it came. Its effects
//! happen once if they are writes of [`Applied::in_transaction`], or if whoever carries them out recognises
//! [`Delivery::intent_key`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::webhook::{Event, Trust};

mod memory;
mod receive;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod types;
mod worker;

pub use memory::MemoryInbox;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteInbox;
pub use store::{Entry, InboxStore, Lease, Leased, NEVER_ANSWERED, Outcome, Turn};
pub use types::{
    Accepted, Applied, Counts, DeadLetter, Delivery, Effects, EventKey, Handler, Ordering, Purged, Replay,
    Source, Work,
};

/// How events are handled. Change what you need of the default:
///
/// ```
/// let mut settings = integrations_core::inbox::Settings::default();
/// settings.max_attempts = 5;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The most events that one [`Inbox::run`] handles at a time; at least 1. Default 16.
    pub concurrency: usize,
    /// The most of them of one tenant; at least 1. Default 8.
    pub per_tenant: usize,
    /// How long a handler may take. A lease lasts twice as long. Default 30 s.
    pub deadline: Duration,
    /// After this many attempts an event is a dead letter; at least 1. Default 16, about six hours.
    pub max_attempts: u32,
    /// The wait after the first failed attempt; doubled after each further one, and up to a fifth longer or shorter by
    /// chance. Default 5 s.
    pub first_wait: Duration,
    /// The longest wait between two attempts. Default 1 h.
    pub longest_wait: Duration,
    /// How long an id is remembered after its event was settled, and an entity's order after its last event. Longer
    /// than any sender tries again. Default 30 days.
    pub keep_keys: Duration,
    /// How long a body is kept after its event was settled. Default 7 days.
    pub keep_bodies: Duration,
    /// How often a worker without work asks a store that other processes write to. Default 5 s.
    pub idle: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: 16,
            per_tenant: 8,
            deadline: Duration::from_secs(30),
            max_attempts: 16,
            first_wait: Duration::from_secs(5),
            longest_wait: Duration::from_secs(3600),
            keep_keys: DAY * 30,
            keep_bodies: DAY * 7,
            idle: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// The wait after a failed attempt (counted from 1); `chance` is in 0..1.
    fn wait(&self, attempt: u32, chance: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let wait = self.first_wait.saturating_mul(doubled).min(self.longest_wait);
        wait.mul_f64(0.8 + 0.4 * chance)
    }
}

/// Receives events and has them handled. Clones share everything.
#[derive(Clone)]
pub struct Inbox(Arc<Shared>);

struct Shared {
    store: Arc<dyn InboxStore>,
    settings: Settings,
    orderings: HashMap<String, Ordering>,
    clock: Clock,
    /// There may be work.
    wake: Notify,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

/// Makes an [`Inbox`].
pub struct InboxBuilder(Shared);

impl std::fmt::Debug for InboxBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InboxBuilder").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl InboxBuilder {
    /// Sets how events are handled.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.0.settings = settings;
        self
    }

    /// Sets the order of a provider's events; [`Ordering::Arrival`] unless set.
    #[must_use]
    pub fn ordering(mut self, provider: impl Into<String>, ordering: Ordering) -> Self {
        self.0.orderings.insert(provider.into(), ordering);
        self
    }

    /// Sets the source of wall time.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.0.clock = clock;
        self
    }

    /// The inbox.
    pub fn build(self) -> Inbox {
        Inbox(Arc::new(self.0))
    }
}

impl Inbox {
    /// An inbox over a store.
    pub fn builder(store: impl InboxStore + 'static) -> InboxBuilder {
        InboxBuilder(Shared {
            store: Arc::new(store),
            settings: Settings::default(),
            orderings: HashMap::new(),
            clock: Clock::system(),
            wake: Notify::new(),
        })
    }

    /// Stores the events that are not there yet; gives their number once they are safe. All are stored or, after an
    /// error, none, unless the error's effect is [`Effect::Unknown`]: then the sender's next delivery settles it.
    pub async fn accept(&self, source: &Source, events: Vec<Event>) -> Result<Accepted> {
        let ordering = self.0.orderings.get(&source.provider).copied().unwrap_or_default();
        let entries = events
            .into_iter()
            .map(|event| unburnt(event).map(|event| Entry::new(source.clone(), event, ordering)));
        let entries = entries.collect::<Result<Vec<_>>>()?;
        if entries.is_empty() {
            return Ok(Accepted::default());
        }
        let accepted = self.0.store.accept(entries, self.now()).await?;
        if accepted.fresh > 0 {
            self.0.wake.notify_one();
        }
        Ok(accepted)
    }

    /// Has events handled once more; gives their number. An event that waits already is not counted.
    /// [`ErrorKind::Precondition`] when the body of one to be forced was purged.
    pub async fn replay(&self, which: &Replay) -> Result<u64> {
        let replayed = self.0.store.replay(which, self.now()).await?;
        if replayed > 0 {
            self.0.wake.notify_one();
        }
        Ok(replayed)
    }

    /// Dead letters, the latest first.
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>> {
        self.0.store.dead_letters(limit).await
    }

    /// How many events there are.
    pub async fn counts(&self) -> Result<Counts> {
        self.0.store.counts().await
    }

    /// Removes what need not be kept any longer. Call it now and then, e.g. each hour. Dead letters stay until
    /// [`discard_dead`](Self::discard_dead).
    pub async fn purge(&self) -> Result<Purged> {
        let Settings { keep_bodies, keep_keys, .. } = self.0.settings;
        self.0.store.purge(self.ago(keep_bodies), self.ago(keep_keys)).await
    }

    /// Forgets the dead letters that died before this time, ids and bodies; gives their number. Such an event is
    /// handled if it is sent once more.
    pub async fn discard_dead(&self, before: Timestamp) -> Result<u64> {
        self.0.store.discard_dead(before).await
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn ago(&self, time: Duration) -> Timestamp {
        self.now().saturating_sub(time).unwrap_or(Timestamp::MIN)
    }

    fn after(&self, time: Duration) -> Timestamp {
        let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        self.now().saturating_add(time).unwrap_or(Timestamp::MAX)
    }
}

/// Anybody can send a claim, with any id: none may make another one a duplicate. So each has an id of its own, and what
/// waits of one entity is read once.
fn unburnt(mut event: Event) -> Result<Event> {
    if event.trust == Trust::Claim {
        event.id = format!("{}#{}", event.id, crate::IdempotencyKey::mint()?);
    }
    Ok(event)
}

fn purged_body() -> Error {
    Error::new(ErrorKind::Precondition, Effect::NotSent, "the event's body was purged")
        .with_hint("read the entity from the vendor's API, or keep bodies for longer")
}

#[cfg(test)]
mod tests;
