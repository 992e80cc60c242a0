//! Events that we send to others' endpoints: signed, retried, and never to an address inside our own network.
//!
//! The wire format is that of the Standard Webhooks specification (standardwebhooks.com): any of its libraries verifies
//! what is sent here.
//!
//! Invariants:
//! - An event that [`Outbox::publish`] has answered for is kept, and each of its deliveries ends as succeeded, failed,
//!   parked or cancelled, whatever process dies meanwhile: at least once, with one id.
//! - Deliveries go through a transport that dials public addresses alone ([`Reach::PublicOnly`](crate::Reach)), unless
//!   the builder was told otherwise. Redirects are failures.
//! - A worker writes a result under its own lease or not at all.
//! - Nothing of one endpoint holds up another; within one, only order that was asked for.
//! - No key and no content of an event is in a log, an error or a `Debug`.
//!
//! ```
//! use std::sync::Arc;
//! use integrations_core::outbox::{EndpointSettings, MemoryOutbox, NewEvent, Outbox, SigningScheme};
//! # use integrations_core::{Body, Exchange, Payload, Transport, TransportError};
//! # struct Receiver;
//! # #[async_trait::async_trait]
//! # impl Transport for Receiver {
//! #     async fn send(&self, r: http::Request<Body>, _: Exchange) -> Result<http::Response<Payload>, TransportError> {
//! #         assert!(r.headers().contains_key("webhook-signature"));
//! #         Ok(http::Response::new(bytes::Bytes::new().into()))
//! #     }
//! # }
//! # let transport = Arc::new(Receiver);
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! // In production: `HttpTransport` with `EgressPolicy::public_only()`, and no `allow_any_address`.
//! let outbox = Outbox::builder(Arc::new(MemoryOutbox::new()), transport).allow_any_address().build()?;
//! let settings = EndpointSettings::new("https://hooks.example.com/in").types(["invoice.*"]);
//! let endpoint = outbox.create_endpoint("acme", settings, SigningScheme::Hmac).await?;
//! assert!(endpoint.keys[0].key.reveal().expose().starts_with("whsec_"));
//!
//! let event = NewEvent::new("invoice.paid", &serde_json::json!({ "id": "in_17" }))?;
//! outbox.publish("acme", event).await?;
//! assert_eq!(outbox.deliver_due().await?, 1);
//! # Ok::<(), integrations_core::Error>(())
//! # }).unwrap();
//! ```

mod address;
mod builder;
mod class;
mod deliver;
mod endpoints;
pub mod ledger;
mod memory;
mod model;
mod schedule;
mod sign;
#[cfg(feature = "sqlite")]
mod sqlite;
mod state;
mod store;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use jiff::Timestamp;
use tokio::sync::Notify;

use self::address::Admission;
use self::builder::{Jitter, Listener};
use crate::clock::Clock;
use crate::error::Result;
use crate::transport::Transport;

pub use builder::OutboxBuilder;
pub use class::ErrorClass;
pub use ledger::{Notice, Report, Rules, Settled};
pub use memory::MemoryOutbox;
pub use model::{
    Attempt, Delivery, Endpoint, EndpointId, EndpointKey, EndpointSettings, EndpointStatus, Event, EventId,
    Health, MAX_PAYLOAD, NewEvent,
};
pub use schedule::RetrySchedule;
pub use sign::{SigningKey, SigningScheme};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOutbox, SqliteOutboxBuilder};
pub use state::{Happening, Mark, Plan, State, Transition, next};
pub use store::{Lease, OutboxStore, Replay, Replayed};

/// Sends events to the endpoints that want them. Cheap to clone; clones are one outbox.
#[derive(Clone)]
pub struct Outbox(Arc<Inner>);

struct Inner {
    store: Arc<dyn OutboxStore>,
    transport: Arc<dyn Transport>,
    clock: Clock,
    rules: Rules,
    admission: Admission,
    user_agent: HeaderValue,
    max_in_flight: u32,
    poll: Duration,
    drain: Duration,
    jitter: Jitter,
    listener: Listener,
    /// Told when there may be something to deliver.
    work: Notify,
}

impl Outbox {
    /// An outbox to be configured.
    pub fn builder(store: Arc<dyn OutboxStore>, transport: Arc<dyn Transport>) -> OutboxBuilder {
        OutboxBuilder::new(store, transport)
    }

    /// Publishes an event to the tenant's endpoints that want it. Durable when this returns.
    pub async fn publish(&self, tenant: &str, event: NewEvent) -> Result<EventId> {
        let now = self.0.clock.now();
        let event = event.into_event(tenant, now)?;
        self.keep(&event, now).await?;
        Ok(event.id)
    }

    async fn keep(&self, event: &Event, now: Timestamp) -> Result<()> {
        self.0.store.publish(event, ledger::later(now, self.0.rules.schedule.first())).await?;
        self.wake();
        Ok(())
    }

    /// Publishes an event within the caller's own transaction: it is sent if and only if that is committed. The
    /// outbox's tables must be in the same store. Call [`Outbox::wake`] after the commit, or let the worker find it
    /// within [`poll_every`](OutboxBuilder::poll_every).
    #[cfg(feature = "sqlite")]
    pub async fn publish_in(
        &self,
        tx: &mut crate::store::Tx,
        tenant: &str,
        event: NewEvent,
    ) -> Result<EventId> {
        let now = self.0.clock.now();
        let event = event.into_event(tenant, now)?;
        sqlite::publish(tx, &event, ledger::later(now, self.0.rules.schedule.first())).await?;
        Ok(event.id)
    }

    /// Tells this process's worker that there may be something to deliver.
    pub fn wake(&self) {
        self.0.work.notify_one();
    }

    /// Forgets events that were published before `before` and are through at all their endpoints. Gives their number.
    /// Until then they can be replayed.
    pub async fn purge(&self, before: Timestamp) -> Result<u64> {
        self.0.store.purge(before).await
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("rules", &self.0.rules).finish_non_exhaustive()
    }
}
