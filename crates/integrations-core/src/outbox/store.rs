//! Where events, endpoints and deliveries are kept.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::ledger::{Notice, Report, Rules};
use super::model::{Attempt, Delivery, Endpoint, EndpointId, EndpointStatus, Event, EventId};
use crate::error::Result;

/// A delivery that a worker has taken.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Lease {
    /// Where it goes.
    pub endpoint: Arc<Endpoint>,
    /// What goes.
    pub event: Event,
    /// The lease: its number is `fence`, its end is `due`.
    pub delivery: Delivery,
}

impl Lease {
    /// A delivery under a lease.
    pub fn new(endpoint: Arc<Endpoint>, event: Event, delivery: Delivery) -> Self {
        Self { endpoint, event, delivery }
    }
}

/// Which events an endpoint gets again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replay {
    /// This one, also if it has succeeded.
    One(EventId),
    /// All that were published at `since` or later and have not succeeded; in parts, each from `after` on.
    Since {
        /// The beginning.
        since: Timestamp,
        /// The place of the last event of the part before; 0 for the first part.
        after: u64,
    },
}

/// A part of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Replayed {
    /// Deliveries that begin anew.
    pub count: u64,
    /// Where the next part begins; `None` after the last one.
    pub next: Option<u64>,
}

impl Replayed {
    /// A part.
    pub fn new(count: u64, next: Option<u64>) -> Self {
        Self { count, next }
    }
}

/// Where events, endpoints and deliveries are kept. Each method is one transaction: all of it, or nothing.
///
/// What becomes of the rows is for the functions of [`ledger`](super::ledger) to say; a store reads, asks them, writes.
#[async_trait]
pub trait OutboxStore: Send + Sync + 'static {
    /// Keeps a new endpoint. [`ErrorKind::Conflict`](crate::ErrorKind) if it exists.
    async fn insert_endpoint(&self, endpoint: &Endpoint) -> Result<()>;

    /// Changes settings and keys if the stored revision is that of `endpoint`, and counts it up. Whether it was.
    async fn update_endpoint(&self, endpoint: &Endpoint) -> Result<bool>;

    /// Sets the status. [`EndpointStatus::Active`] forgets the health; any other withdraws what is not final.
    /// Whether the endpoint exists.
    async fn set_status(
        &self,
        tenant: &str,
        id: &EndpointId,
        status: EndpointStatus,
        now: Timestamp,
    ) -> Result<bool>;

    /// Forgets an endpoint with its keys, and withdraws what is not final. Whether it existed.
    async fn delete_endpoint(&self, tenant: &str, id: &EndpointId) -> Result<bool>;

    /// An endpoint.
    async fn endpoint(&self, tenant: &str, id: &EndpointId) -> Result<Option<Endpoint>>;

    /// A tenant's endpoints, the oldest first.
    async fn endpoints(&self, tenant: &str) -> Result<Vec<Endpoint>>;

    /// Keeps an event, with a delivery due at `due` for each active endpoint that [gets](Endpoint::gets) it. With an
    /// endpoint in order it waits for the partition's deliveries that are not final. Durable when this returns.
    async fn publish(&self, event: &Event, due: Timestamp) -> Result<()>;

    /// Takes up to `limit` deliveries that are due, from the endpoints that have waited longest, as many of each as
    /// [`places`](super::ledger::places) allows.
    async fn lease(&self, now: Timestamp, limit: u32) -> Result<Vec<Lease>>;

    /// Writes the end of an attempt, unless the lease is lost: then nothing is written, and this is `None`.
    async fn settle(
        &self,
        lease: &Lease,
        report: &Report,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Option<Vec<Notice>>>;

    /// When [`lease`](OutboxStore::lease) may find something.
    async fn next_wake(&self) -> Result<Option<Timestamp>>;

    /// Makes deliveries begin anew at `now`. [`ErrorKind::NotFound`](crate::ErrorKind) without such an endpoint or
    /// event, [`ErrorKind::Conflict`](crate::ErrorKind) if the endpoint is not active.
    async fn replay(
        &self,
        tenant: &str,
        endpoint: &EndpointId,
        what: &Replay,
        now: Timestamp,
    ) -> Result<Replayed>;

    /// Deliveries that failed or were parked, the newest first, before the place `before`.
    async fn failures(
        &self,
        tenant: &str,
        endpoint: &EndpointId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Delivery>>;

    /// One delivery.
    async fn delivery(
        &self,
        tenant: &str,
        endpoint: &EndpointId,
        event: &EventId,
    ) -> Result<Option<Delivery>>;

    /// The attempts of one delivery, the oldest first, replays and all.
    async fn attempts(&self, tenant: &str, endpoint: &EndpointId, event: &EventId) -> Result<Vec<Attempt>>;

    /// Forgets events that were published before `before` and have only final deliveries, with all that belongs to
    /// them. How many.
    async fn purge(&self, before: Timestamp) -> Result<u64>;
}

/// The most events of one part of a replay.
pub(super) const PART: usize = 500;
