//! Settings of an outbox.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::Notify;

use super::address::Admission;
use super::ledger::{Notice, Rules};
use super::model::Endpoint;
use super::store::OutboxStore;
use super::{Inner, Outbox};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::transport::{Reach, Transport};

pub(super) type Listener = Arc<dyn Fn(&Endpoint, &Notice) + Send + Sync>;
pub(super) type Jitter = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Settings of an [`Outbox`]; see each method for its default.
#[must_use]
pub struct OutboxBuilder {
    store: Arc<dyn OutboxStore>,
    transport: Arc<dyn Transport>,
    clock: Clock,
    rules: Rules,
    admission: Admission,
    user_agent: String,
    max_in_flight: u32,
    poll: Duration,
    drain: Duration,
    jitter: Jitter,
    listener: Listener,
}

impl OutboxBuilder {
    pub(super) fn new(store: Arc<dyn OutboxStore>, transport: Arc<dyn Transport>) -> Self {
        Self {
            store,
            transport,
            clock: Clock::system(),
            rules: Rules::default(),
            admission: Admission::default(),
            user_agent: concat!("integrations-webhooks/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_in_flight: 64,
            poll: Duration::from_secs(1),
            drain: Duration::from_secs(20),
            jitter: Arc::new(|| fastrand::f64() * 2.0 - 1.0),
            listener: Arc::new(|_, _| ()),
        }
    }

    /// The clock. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// When to try again, and when to stop. Default: [`Rules::default`].
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// What receivers see as `User-Agent`. Default: this library's name.
    pub fn user_agent(mut self, product: impl Into<String>) -> Self {
        self.user_agent = product.into();
        self
    }

    /// Also admits `http` addresses, on port 80. The transport must allow them too.
    pub fn allow_http(mut self) -> Self {
        self.admission.http = true;
        self.admission.ports.push(80);
        self
    }

    /// The ports that addresses may have. Default: 443 and 8443. The transport must allow them too.
    pub fn ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.admission.ports = ports.into_iter().collect();
        self
    }

    /// Admits any address and any transport: for tests, for development, and where an egress proxy does the checking.
    /// With it, a customer's endpoint can be an address inside your own network.
    pub fn allow_any_address(mut self) -> Self {
        self.admission.anything = true;
        self
    }

    /// Deliveries at the same time, in this process. Default: 64.
    pub fn max_in_flight(mut self, deliveries: u32) -> Self {
        self.max_in_flight = deliveries;
        self
    }

    /// How soon the worker finds what another process, or a transaction of one's own, has published. Default: 1 s.
    pub fn poll_every(mut self, interval: Duration) -> Self {
        self.poll = interval;
        self
    }

    /// How long attempts may take to end after the worker was told to stop. What has not ended is sent again after
    /// its lease. Default: 20 s.
    pub fn drain(mut self, limit: Duration) -> Self {
        self.drain = limit;
        self
    }

    /// Where jitter comes from: numbers from -1 to 1. Default: random ones.
    pub fn jitter(mut self, source: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        self.jitter = Arc::new(source);
        self
    }

    /// Who hears of what somebody should know. It is called after the store has kept the cause and must not block;
    /// a crash between the two loses the notice, not its cause, which stays readable.
    pub fn on_notice(mut self, listener: impl Fn(&Endpoint, &Notice) + Send + Sync + 'static) -> Self {
        self.listener = Arc::new(listener);
        self
    }

    /// Checks the settings. [`ErrorKind::Config`](crate::ErrorKind) if the transport does not vouch for calling
    /// public addresses alone ([`Reach::PublicOnly`]), for a user agent that is no header value, and for limits of 0.
    pub fn build(self) -> Result<Outbox> {
        if !self.admission.anything && self.transport.reaches() != Reach::PublicOnly {
            return Err(Error::config(
                "the outbox's transport can be made to call addresses of your own network",
            )
            .with_hint(
                "build it with `EgressPolicy::public_only()`; for tests there is `allow_any_address()`",
            ));
        }
        if self.max_in_flight == 0 || self.poll.is_zero() {
            return Err(Error::config("the outbox's `max_in_flight` and `poll_every` must be above 0"));
        }
        let user_agent = HeaderValue::try_from(self.user_agent)
            .map_err(|_| Error::config("the outbox's user agent is no header value"))?;
        Ok(Outbox(Arc::new(Inner {
            store: self.store,
            transport: self.transport,
            clock: self.clock,
            rules: self.rules,
            admission: self.admission,
            user_agent,
            max_in_flight: self.max_in_flight,
            poll: self.poll,
            drain: self.drain,
            jitter: self.jitter,
            listener: self.listener,
            work: Notify::new(),
        })))
    }
}

impl fmt::Debug for OutboxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("OutboxBuilder");
        f.field("rules", &self.rules).field("admission", &self.admission).finish_non_exhaustive()
    }
}
