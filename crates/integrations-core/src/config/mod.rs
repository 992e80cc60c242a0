//! Which instances of which providers an application has, in which environment, and what each tenant may do with them.
//!
//! ```
//! use integrations_core::provider::{Host, ProviderSpec, Setting, Status};
//! use integrations_core::registry::{Category, Registry};
//! use std::time::Duration;
//!
//! #[derive(Clone)]
//! struct Notes;
//!
//! impl Category for Notes {
//!     const NAME: &'static str = "notes";
//! }
//!
//! static JOTTER: ProviderSpec = ProviderSpec::new("jotter", "Jotter", "notes", Status::Full)
//!     .hosts(&[Host::new("production", "https://api.jotter.example")])
//!     .settings(&[Setting::new("token", "a token from the dashboard").secret()]);
//!
//! let mut registry = Registry::new();
//! registry.add(&JOTTER, |_| Ok(Notes));
//!
//! # #[cfg(feature = "config")] {
//! use integrations_core::config::Loader;
//!
//! let text = r#"
//! version: 1
//! instances:
//!   pad: { use: jotter, token: "${JOTTER_TOKEN}", timeout: 20 }
//! environments:
//!   production:
//!     pad: { retry: { max_attempts: 5 } }
//! "#;
//! let load = |token: &str| {
//!     let vars = [("JOTTER_TOKEN", token), ("INTEGRATIONS__PAD__TIMEOUT", "10")];
//!     Loader::new(&registry).environment("production").text("config.yaml", text).vars(vars).load()
//! };
//! let config = load("abc")?;
//! let pad = &config.instances["pad"];
//! assert_eq!((pad.policy.total_timeout, pad.policy.retry.max_attempts), (Duration::from_secs(10), 5));
//!
//! // What changed, without the secret itself:
//! let changes = config.diff(&load("def")?);
//! assert_eq!(changes[0].to_string(), "instances.pad.token: ${JOTTER_TOKEN} (another value)");
//!
//! // What is wrong, all of it, with its place:
//! let problems = load("Bearer abc").unwrap_err();
//! assert_eq!(
//!     problems.to_string(),
//!     "config.yaml:4:30: `token` begins with `Bearer `, which the client adds by itself (remove `Bearer `)",
//! );
//! # }
//! # Ok::<(), integrations_core::Error>(())
//! ```
//!
//! The layers, each over the one before: the provider's facts, `instances`, the chosen one of `environments`, `tenants`,
//! variables (`INTEGRATIONS__INSTANCE__KEY`), code. Maps are laid over each other key by key, everything else is
//! replaced, `null` unsets.
//!
//! Invariants:
//! - What is loaded is whole: every setting is known to its provider, every reference is resolved, every number is in
//!   range. A configuration with one problem is not used at all, and all its problems are told at once.
//! - A secret is a reference in text, and a [`SecretString`](crate::SecretString) once loaded; nothing prints it.
//! - Nothing here reads the process environment: whoever loads says where variables come from.

mod build;
mod diff;
mod dsn;
#[cfg(feature = "config")]
mod instance;
#[cfg(feature = "config")]
mod json_schema;
#[cfg(feature = "config")]
mod layers;
#[cfg(feature = "config")]
mod lint;
#[cfg(feature = "config")]
mod load;
mod mode;
#[cfg(feature = "config")]
mod policy;
#[cfg(feature = "config")]
mod problem;
#[cfg(feature = "config")]
mod read;
#[cfg(feature = "config")]
mod schema;
#[cfg(feature = "config")]
mod tenant;
#[cfg(feature = "config")]
mod toml;
#[cfg(feature = "config")]
mod tree;
#[cfg(feature = "config")]
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::pipeline::Policy;
use crate::pipeline::limiter::LimitPolicy;
use crate::setup::Settings;

pub use diff::Change;
pub use dsn::{Composition, Dsn, ProviderDsn};
#[cfg(feature = "config")]
pub use json_schema::json_schema;
#[cfg(feature = "config")]
pub use load::Loader;
pub use mode::{HostMode, ModeClash, mode_clash};
#[cfg(feature = "config")]
pub use problem::{Place, Problem, Problems};

/// A configuration, checked and with everything resolved: one environment of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The environment's name, e.g. `production`.
    pub environment: Arc<str>,
    /// Whether it is marked as development: secrets may stand in the text, live credentials may not be used.
    pub development: bool,
    /// The instances by name.
    pub instances: BTreeMap<Arc<str>, InstanceConfig>,
    /// The tenants by name.
    pub tenants: BTreeMap<Arc<str>, TenantConfig>,
    /// What holds for tenants that have no entry of their own (`"*"`); `None` when there must be one.
    pub any_tenant: Option<TenantConfig>,
}

/// One configured instance.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InstanceConfig {
    /// Whether it may be used.
    pub enabled: bool,
    /// What answers its calls.
    pub target: Target,
    /// How its pipeline behaves, before a tenant's own limits.
    pub policy: Arc<Policy>,
}

/// What answers an instance's calls.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Target {
    /// A provider with its settings.
    Provider {
        /// The provider's id, e.g. `spotify`.
        id: Arc<str>,
        /// The name of one of the provider's hosts, or an absolute address; `None` for the provider's first host.
        host: Option<Arc<str>>,
        /// Its settings.
        settings: Arc<Settings>,
    },
    /// Several providers of one category behind one instance.
    Composed(Composition, Vec<Target>),
}

/// What one tenant may do.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TenantConfig {
    /// Whether the tenant's calls are let through.
    pub enabled: bool,
    /// The instances that the tenant may use, with what differs for it; `None` for all of them as they are.
    pub instances: Option<BTreeMap<Arc<str>, TenantInstance>>,
    /// The tenant's own rate limit at each instance.
    pub limit: Option<LimitPolicy>,
    /// The part of the vendor's limits that the tenant gets while others wait too; see
    /// [`Policy::tenant_share`](crate::pipeline::Policy).
    pub share: Option<f64>,
    /// What the tenant has subscribed to, in the application's own words.
    pub features: BTreeSet<Arc<str>>,
    /// The part of calls that the tenant was promised to succeed: 0.999 for `"99.9%"`.
    pub sla: Option<f64>,
}

/// What differs for one tenant at one instance.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TenantInstance {
    /// Whether the tenant may use it now.
    pub enabled: bool,
    /// Settings of the tenant's own, laid over those of the instance: its own credentials, its own quota.
    pub settings: Option<Arc<Settings>>,
    /// Policy of the tenant's own, complete; `None` for that of the instance.
    pub policy: Option<Arc<Policy>>,
}
