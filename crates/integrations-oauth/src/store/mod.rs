//! Where the tokens of connections are kept, encrypted.
//!
//! A store keeps bytes that it cannot read. It compares and swaps by version, and it lends a connection to one refresher
//! of a fleet at a time.
//!
//! Invariants:
//! - Of all who swap the same version, one wins. What won is as durable as the store can make it when it is answered.
//! - A connection has one lease at a time, and the fences of its leases only grow: also after it was removed, and after
//!   every process that knew them has ended.
//! - Versions of a name only grow, too, so that nobody takes a connection that was made anew for the one he knew. For
//!   this the name and two counters of a removed connection stay; its state, its times and its tokens do not.
//! - Times of leases are the store's own; wall times ([`Draft::since`], [`Draft::due`]) are kept in whole milliseconds,
//!   and what is finer is cut off.
//! - Names of connections are not encrypted: they are in columns, keys, errors and events, and stay when a connection is
//!   removed. Let them be numbers of your own and not e-mail addresses.
//! - Every wait ends, and an error says whether something may have been written.
//!
//! | store | who shares it | what a crash takes |
//! |---|---|---|
//! | [`MemoryTokens`] | the tasks of one process | everything |
//! | `SqlTokens` (features `sqlite`, `postgres`) | the processes of one machine; a fleet | nothing that was answered |
//! | `RedisTokens` (feature `redis`) | a fleet | depends on its settings; see there |

mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use integrations_core::{ConnectionId, Result};
use jiff::Timestamp;

pub use memory::MemoryTokens;
#[cfg(feature = "redis")]
pub use redis::RedisTokens;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::SqlTokens;

/// What is kept of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "stores of others make it from their rows")]
pub struct Entry {
    /// Counts the writes; the first is 1.
    pub version: u64,
    /// What was written.
    pub draft: Draft,
}

/// What is to be kept of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "stores of others write all of it")]
pub struct Draft {
    /// The word of the connection's state, for lists; what it means is sealed with the tokens.
    pub state: String,
    /// Since when.
    pub since: Timestamp,
    /// The tokens and everything else, sealed.
    pub sealed: Bytes,
    /// When the vault has to look at it without being asked.
    pub due: Option<Timestamp>,
}

/// The right to refresh one connection, for a while.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "stores of others make it")]
pub struct Lease {
    /// Counts the leases of this connection: an older one can release nothing.
    pub fence: u64,
    /// Whether the one before ran out without being released: its holder died, or lost its way, perhaps in the middle
    /// of an exchange.
    pub taken_over: bool,
}

/// Keeps connections. All times of leases are the store's own: clocks of machines differ.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// What is kept.
    async fn load(&self, id: &ConnectionId) -> Result<Option<Entry>>;

    /// Writes if the present version is `seen` (0: nothing is kept), and ends the lease `fence` with it. `Some` is the
    /// new version, durable; `None`: another one was faster.
    ///
    /// # Errors
    /// With [`Effect::Unknown`](integrations_core::Effect) it may have been written.
    async fn swap(
        &self,
        id: &ConnectionId,
        seen: u64,
        next: &Draft,
        fence: Option<u64>,
    ) -> Result<Option<u64>>;

    /// Forgets the connection if the present version is `seen`; versions of a later one of the same name go on from
    /// there. A lease of it goes on. `false`: another one was faster, or nothing is kept.
    async fn remove(&self, id: &ConnectionId, seen: u64) -> Result<bool>;

    /// Lends the connection for `ttl`, in whole milliseconds, rounded up; `None`: somebody else has it. A connection
    /// that is not kept can be lent, too. The time begins between the call and its answer, so that a holder reckons
    /// from before the call. With [`Effect::Unknown`](integrations_core::Effect) it may be lent, to nobody who knows,
    /// until it runs out.
    async fn lease(&self, id: &ConnectionId, ttl: Duration) -> Result<Option<Lease>>;

    /// Gives a lease back before it ends. A lease that is over, or was taken over, is left alone.
    async fn release(&self, id: &ConnectionId, lease: Lease) -> Result<()>;

    /// Connections whose [`Draft::due`] is not after `now`, the longest due first and then by name, at most `limit`.
    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<ConnectionId>>;

    /// The connections of one tenant, or of all, in the order of [`ConnectionId`], after `after`, at most `limit`. Fewer
    /// than `limit` are the last ones. What stays from the first page to the last is on exactly one of them.
    async fn list(
        &self,
        tenant: Option<&str>,
        after: Option<&ConnectionId>,
        limit: u32,
    ) -> Result<Vec<(ConnectionId, Entry)>>;
}

/// The longest lease in milliseconds, 35,000 years: no store's arithmetic overflows with it.
const LONGEST_LEASE: u64 = 1 << 50;

/// How long a lease is, in milliseconds.
fn lease_millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_micros().div_ceil(1000)).unwrap_or(LONGEST_LEASE).min(LONGEST_LEASE)
}

/// A time as stores keep it.
fn whole_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
