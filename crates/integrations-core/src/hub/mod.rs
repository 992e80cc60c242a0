//! Many instances, tenants and connections at run time: one place to open clients, to reload, to switch off, to look.
//!
//! Invariants:
//! - A client is opened for a tenant: its credentials, its part of the quota, its retries and what is kept of its
//!   answers are under that tenant's name. There is no way from one [`Tenant`] to another's.
//! - A configuration is used whole or not at all; calls in flight end under the one they began with.
//! - What is kept per tenant is bounded, and forgotten when it is idle and too much.
//! - No tenant's name is in a metric, and none is in an error that another tenant could see.
//!
//! A provider and a category of one's own are registered like the built-in ones:
//!
//! ```
//! # use std::sync::Arc;
//! # use integrations_core::{config::{Config, InstanceConfig}, hub::Hub, provider::{Host, ProviderSpec, Status}};
//! # use integrations_core::{Caller, Endpoint, Op, Req, Result, Safety, WireRequest, WireResponse};
//! # use integrations_core::{registry::{Category, Registry}, setup::no_transport};
//! # use integrations_core::{Exchange, Payload, Transport, TransportError};
//! static FORECAST: Op = Op::new("drizzle", "forecast", Safety::Read).http("GET", "/forecast/{city}");
//! static SPEC: ProviderSpec = ProviderSpec::new("drizzle", "Drizzle", "weather", Status::Full)
//!     .hosts(&[Host::new("production", "https://drizzle.example/v1")]);
//!
//! struct Forecast<'c>(&'c str);
//!
//! impl Endpoint for Forecast<'_> {
//!     type Output = serde_json::Value;
//!     const OP: &'static Op = &FORECAST;
//!     fn request(&self, base: &http::Uri) -> Result<WireRequest> {
//!         Req::get(base).path(["forecast", self.0]).build()
//!     }
//!     fn response(&self, response: WireResponse) -> Result<Self::Output> {
//!         response.json()
//!     }
//! }
//!
//! #[derive(Clone)]
//! struct Weather(Caller);
//!
//! impl Category for Weather {
//!     const NAME: &'static str = "weather";
//! }
//!
//! # struct Sky;
//! # #[async_trait::async_trait]
//! # impl Transport for Sky {
//! #     async fn send(&self, _: http::Request<integrations_core::Body>, _: Exchange) -> Result<http::Response<Payload>, TransportError> {
//! #         Ok(http::Response::new(Payload::Whole(r#"{"sky":"rain"}"#.into())))
//! #     }
//! # }
//! # let transport = Sky;
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let mut registry = Registry::new();
//! registry.add(&SPEC, |setup| Ok(Weather(setup.caller(no_transport)?.build())));
//! let config = Config::new("production").instance("weather_main", InstanceConfig::new("drizzle"));
//! let hub = Hub::builder(registry).config(config).transport(transport).build()?;
//!
//! let weather: Weather = hub.tenant("acme")?.open("weather_main")?;
//! assert_eq!(weather.0.call(&Forecast("Lyon")).await?["sky"], "rain");
//! # Ok::<(), integrations_core::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clients;
mod find;
mod open;
mod reload;
mod status;
mod tenant;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::pipeline::{Admission, Stages};
use crate::registry::{Category, Registry};
use crate::secret::SecretStore;
use crate::transport::Transport;

use clients::Clients;
pub use find::{Find, Found};
use open::{Off, Place, Snapshot};
pub use reload::{Kept, Reloaded};
pub use status::{Depth, Health, Status};
pub use tenant::{Connection, Connections, Tenant};

/// The instances, tenants and connections of an application. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    /// For the handles of clients, which must not keep the hub that keeps them.
    me: Weak<Inner>,
    stages: Arc<Stages>,
    transport: Arc<dyn Transport>,
    clock: Clock,
    #[cfg(feature = "cache")]
    cache: Option<crate::cache::ReadCache>,
    connections: Option<Arc<dyn Connections>>,
    secrets: Option<Arc<dyn SecretStore>>,
    requirements: Vec<Requirement>,
    current: RwLock<Arc<Snapshot>>,
    /// What a rollback goes back to; held while the configuration is being changed.
    before: Mutex<Option<Config>>,
    clients: Clients,
    probes: status::Probes,
}

struct Requirement {
    instance: Arc<str>,
    caps: Vec<&'static str>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.inner.snapshot();
        f.debug_struct("Hub")
            .field("environment", &snapshot.config.environment)
            .field("instances", &snapshot.config.instances.keys())
            .finish_non_exhaustive()
    }
}

/// Builds a [`Hub`]; configuration and transport have no default.
#[must_use]
pub struct HubBuilder {
    registry: Registry,
    config: Option<Config>,
    stages: Option<Arc<Stages>>,
    transport: Option<Arc<dyn Transport>>,
    clock: Clock,
    #[cfg(feature = "cache")]
    cache: Option<crate::cache::ReadCache>,
    connections: Option<Arc<dyn Connections>>,
    secrets: Option<Arc<dyn SecretStore>>,
    requirements: Vec<Requirement>,
    max_clients: usize,
}

impl fmt::Debug for HubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubBuilder").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl HubBuilder {
    /// Sets the configuration.
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Sets what carries all calls.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Sets the state of the pipelines. Default: one of the hub's own.
    pub fn stages(mut self, stages: Arc<Stages>) -> Self {
        self.stages = Some(stages);
        self
    }

    /// Sets the clock. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Keeps answers that may be kept, apart for each tenant and connection. Default: no cache.
    #[cfg(feature = "cache")]
    pub fn cache(mut self, cache: crate::cache::ReadCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Sets who proves the calls of end users' connections. Default: there are none.
    pub fn connections(mut self, connections: impl Connections) -> Self {
        self.connections = Some(Arc::new(connections));
        self
    }

    /// Sets where secrets that can change are read again while they are in use, usually
    /// [`LocalSecrets`](crate::secret::LocalSecrets); see [`Setup::live`](crate::setup::Setup::live). Default: a new value
    /// is used after a reload.
    pub fn secrets(mut self, store: impl SecretStore) -> Self {
        self.secrets = Some(Arc::new(store));
        self
    }

    /// Says what an instance must be able to do, so that a lack shows at the start and at each reload, not at a call.
    pub fn require(
        mut self,
        instance: impl Into<Arc<str>>,
        caps: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let caps = caps.into_iter().collect();
        self.requirements.push(Requirement { instance: instance.into(), caps });
        self
    }

    /// Sets how many clients are kept ready, at least 1; default 10,000. A tenth of them is the most that one tenant
    /// may have. A client beyond that is made again when it is next opened.
    pub fn max_clients(mut self, clients: usize) -> Self {
        self.max_clients = clients.max(1);
        self
    }

    /// The hub. Every enabled instance is opened once.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind) and [`ErrorKind::Unsupported`](crate::ErrorKind), naming the instance.
    pub fn build(self) -> Result<Hub> {
        let config = self.config.ok_or_else(|| Error::config("the hub has no configuration"))?;
        let transport = self.transport.map_or_else(crate::setup::no_transport, Ok)?;
        let stages = self.stages.unwrap_or_else(Stages::new);
        let make = |me: &Weak<Inner>| Inner {
            registry: self.registry,
            me: me.clone(),
            stages,
            transport,
            clock: self.clock,
            #[cfg(feature = "cache")]
            cache: self.cache,
            connections: self.connections,
            secrets: self.secrets,
            requirements: self.requirements,
            current: RwLock::new(Arc::new(Snapshot::new(0, Config::new(""), Off::default()))),
            before: Mutex::default(),
            clients: Clients::new(self.max_clients),
            probes: status::Probes::default(),
        };
        let hub = Hub { inner: Arc::new_cyclic(make) };
        hub.start(config)?;
        Ok(hub)
    }
}

impl Hub {
    /// A hub over the providers of `registry`.
    pub fn builder(registry: Registry) -> HubBuilder {
        HubBuilder {
            registry,
            config: None,
            stages: None,
            transport: None,
            clock: Clock::system(),
            #[cfg(feature = "cache")]
            cache: None,
            connections: None,
            secrets: None,
            requirements: Vec::new(),
            max_clients: 10_000,
        }
    }

    /// A client of the application itself, without a tenant.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind) when there is no such instance, when it is switched off, and when it is
    /// of another category.
    pub fn open<C: Category>(&self, instance: &str) -> Result<C> {
        self.inner.open(&Place::application(), instance)
    }

    /// One tenant's view.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind) when the configuration does not know the tenant, or the name could not
    /// be one: 1 to 128 letters, digits and `._@-`.
    pub fn tenant(&self, name: impl Into<Arc<str>>) -> Result<Tenant> {
        Tenant::new(self.clone(), name.into())
    }

    /// The present configuration.
    pub fn config(&self) -> Config {
        self.inner.snapshot().config.clone()
    }

    /// The providers.
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// The state of the pipelines: metrics, gates.
    pub fn stages(&self) -> &Arc<Stages> {
        &self.inner.stages
    }

    /// Ends the work: new calls are refused, `NotSent`; those in flight have `grace` to end. Returns how many did not.
    pub async fn shutdown(&self, grace: Duration) -> usize {
        let stages = &self.inner.stages;
        stages.stop();
        let end = Instant::now() + grace;
        loop {
            let in_flight = stages.in_flight();
            if in_flight == 0 || Instant::now() >= end {
                return in_flight;
            }
            sleep(Duration::from_millis(10).min(end.saturating_duration_since(Instant::now()))).await;
        }
    }
}

/// Asked for clients that call for the first time, perhaps long after they were opened.
impl Admission for Inner {
    fn admits(&self, tenant: &str, member: &str) -> bool {
        self.snapshot().admits(tenant, open::instance_of(member))
    }
}

impl Inner {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
