//! What the inbox asks of a store. The logic that needs no store is in [`Inbox`](super::Inbox).
//!
//! A *lane* is what is worked on by one worker at a time: the events of one entity, or one event that has no entity. A
//! lease is held on a lane. Its *head* is the waiting event with the lowest rank; among equals, the first to arrive. A
//! head that failed holds back the rest of its lane until it is done or dead.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::types::{Accepted, Counts, DeadLetter, Effects, Ordering, Purged, Replay, Source};
use crate::error::Result;
use crate::webhook::{Event, Trust};

/// An event with its place in the order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// Where it came from.
    pub source: Source,
    /// The event.
    pub event: Event,
    /// The order that holds for this event.
    pub ordering: Ordering,
    /// Its lane.
    pub lane: String,
    /// Its place in the lane. Comparable only within one [`Ordering`].
    pub rank: i64,
}

impl Entry {
    /// The place of an event, with what its provider is set to.
    pub fn new(source: Source, event: Event, provider_ordering: Ordering) -> Self {
        let (ordering, rank) = place(&event, provider_ordering);
        let whose = (&source.tenant, &source.provider);
        // Lists of different lengths, so that no entity shares a lane with an event.
        let lane = match &event.entity {
            Some(entity) => serde_json::json!([whose.0, whose.1, entity.kind, entity.id]),
            None => serde_json::json!([whose.0, whose.1, event.id]),
        };
        Self { source, ordering, rank, lane: lane.to_string(), event }
    }
}

fn place(event: &Event, provider_ordering: Ordering) -> (Ordering, i64) {
    if event.trust == Trust::Claim {
        return (Ordering::Refetch, 0);
    }
    let rank = match provider_ordering {
        Ordering::Arrival | Ordering::Refetch => return (provider_ordering, 0),
        _ if event.entity.is_none() => return (Ordering::Arrival, 0),
        // Keeps the order: the lowest u64 becomes the lowest i64.
        Ordering::ByVersion => event.version.map(|version| (version ^ (1 << 63)) as i64),
        Ordering::ByVendorTime => event.occurred_at.map(Timestamp::as_microsecond),
    };
    rank.map_or((Ordering::Refetch, 0), |rank| (provider_ordering, rank))
}

/// The right to handle the head of a lane, until it runs out. A store takes a result only under the lane's present
/// owner and fence, so that a worker whose lease ran out writes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The lane.
    pub lane: String,
    /// Who holds it.
    pub owner: String,
    /// Rises with each lease of the lane.
    pub fence: i64,
    /// The event's number in this store.
    pub seq: i64,
    /// The highest number of an event that had arrived when the lease was given: a refetch settles up to here.
    pub covers: i64,
}

impl Lease {
    /// A lease that a store has given.
    pub fn new(lane: impl Into<String>, owner: impl Into<String>, fence: i64, seq: i64, covers: i64) -> Self {
        Self { lane: lane.into(), owner: owner.into(), fence, seq, covers }
    }
}

/// An event that was leased.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Leased {
    /// The right to it.
    pub lease: Lease,
    /// The event.
    pub entry: Entry,
    /// Counted from 1.
    pub attempt: u32,
    /// When it arrived first.
    pub first_seen: Timestamp,
    /// How often it came again.
    pub duplicates: u32,
    /// How often it was replayed by force.
    pub round: u32,
}

/// A worker's request for work.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Turn {
    /// Who asks. Unique among all workers, also after a restart.
    pub owner: String,
    /// The present time.
    pub now: Timestamp,
    /// When the leases run out.
    pub until: Timestamp,
    /// The most events to lease.
    pub room: usize,
    /// The tenant who had the last turn; the next one in the order of names is the first to be served.
    pub after: String,
    /// The most events of one tenant this worker handles at a time.
    pub per_tenant: usize,
    /// Events this worker handles already, by tenant; none with 0.
    pub running: BTreeMap<String, usize>,
    /// An event that was tried this often, without an answer the last time, is dead.
    pub max_attempts: u32,
}

impl Turn {
    /// How many more events of a tenant may be leased.
    pub fn share(&self, tenant: &str) -> usize {
        self.per_tenant.saturating_sub(self.running.get(tenant).copied().unwrap_or(0)).min(self.room)
    }

    /// What is left of the turn once these were leased. Lanes that gave nothing are due later now: those that had no
    /// room beside them are asked next.
    #[must_use]
    pub(super) fn after(mut self, leased: &[Leased]) -> Self {
        for leased in leased {
            let tenant = &leased.entry.source.tenant;
            self.room = self.room.saturating_sub(1);
            self.after.clone_from(tenant);
            *self.running.entry(tenant.clone()).or_default() += 1;
        }
        self
    }
}

/// What came of handling an event.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It was applied; these writes belong to it.
    Done(Effects),
    /// It failed and is due again at this time.
    Retry(Timestamp, String),
    /// It failed for good.
    Dead(String),
}

/// Why an event is dead that was tried as often as may be and never answered.
pub const NEVER_ANSWERED: &str = "its worker went away at each attempt: it may end the process";

/// A place for events. Each method is atomic, and what it wrote survives a crash once it has answered, as far as the
/// store survives one.
#[async_trait]
pub trait InboxStore: Send + Sync {
    /// Stores the events whose (tenant, provider, event id) is not there, and counts the others as duplicates.
    async fn accept(&self, entries: Vec<Entry>, now: Timestamp) -> Result<Accepted>;

    /// Leases the heads of due lanes, tenants taking turns. Marks what is stale or was never answered on the way.
    async fn lease(&self, turn: &Turn) -> Result<Vec<Leased>>;

    /// Writes what came of a leased event. `false`, and nothing is written, when the lease was lost. After an error
    /// nothing is written either, unless its effect is [`Effect::Unknown`](crate::Effect).
    async fn finish(&self, lease: &Lease, outcome: Outcome, now: Timestamp) -> Result<bool>;

    /// When the next lane is due, or its lease runs out.
    async fn next_due(&self) -> Result<Option<Timestamp>>;

    /// Makes events wait anew; gives their number.
    async fn replay(&self, which: &Replay, now: Timestamp) -> Result<u64>;

    /// Dead letters, the latest first.
    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>>;

    /// How many events there are.
    async fn counts(&self) -> Result<Counts>;

    /// Removes the bodies of events that were settled before `bodies`, and the events that were settled before `keys`.
    /// Dead letters stay.
    async fn purge(&self, bodies: Timestamp, keys: Timestamp) -> Result<Purged>;

    /// Removes the dead letters that died before this time; gives their number.
    async fn discard_dead(&self, before: Timestamp) -> Result<u64>;
}
