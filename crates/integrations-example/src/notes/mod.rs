#![doc = include_str!("docs.md")]

mod auth;
mod driver;
mod error;
pub mod ops;
pub mod spec;
mod wire;

use std::sync::Arc;

use http::Uri;
use http::header::HeaderName;
use integrations_core::pipeline::{Pipeline, Policy, Scope, Stages};
use integrations_core::{Caller, Clock, Error, Result, SecretRef, SecretString, Transport};

pub use error::Errors;

use crate::transport::default_transport;

/// The variable that holds the token, as `provider.toml` names it.
const TOKEN: &str = "NOTES_TOKEN";

const KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// A client of the service. Cheap to clone.
#[derive(Clone)]
pub struct Notes {
    caller: Caller,
}

impl Notes {
    /// A client with the token in `NOTES_TOKEN`. [`ErrorKind::Config`](integrations_core::ErrorKind::Config) if it is
    /// not set.
    pub fn from_env() -> Result<Self> {
        Self::builder().vars(&|name| std::env::var(name).ok())?.build()
    }

    /// A client of which everything can be said.
    pub fn builder() -> NotesBuilder {
        NotesBuilder::default()
    }

    /// The caller behind this client: for endpoints of one's own, with the same protection.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// Builds a client; only the token has no default.
#[derive(Default)]
#[must_use]
pub struct NotesBuilder {
    token: Option<SecretString>,
    base: Option<Uri>,
    transport: Option<Arc<dyn Transport>>,
    pipeline: Option<Pipeline>,
    clock: Clock,
    #[cfg(feature = "cache")]
    cache: Option<integrations_core::cache::ReadCache>,
}

impl NotesBuilder {
    /// The token.
    pub fn token(mut self, token: impl Into<SecretString>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Takes the variables of this provider from `lookup`. [`ErrorKind::Config`](integrations_core::ErrorKind::Config)
    /// for one that is missing or empty.
    pub fn vars(self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let token = SecretRef::Env(TOKEN.to_owned()).resolve(lookup)?;
        Ok(self.token(token))
    }

    /// The address of the service. Default: the production host.
    pub fn base(mut self, base: Uri) -> Self {
        self.base = Some(base);
        self
    }

    /// What carries the calls. Default: a transport over reqwest of the client's own, if the feature `http` is on. Give
    /// several clients the same one, so that they share its connections.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// The pipeline of the calls. Default: one of the client's own, with the default policy.
    pub fn pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipeline = Some(pipeline);
        self
    }

    /// The clock that dates in answers are measured by. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Keeps the notes that are read, for as long as the service's answers allow. Default: no cache.
    #[cfg(feature = "cache")]
    pub fn cache(mut self, cache: integrations_core::cache::ReadCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// The client. [`ErrorKind::Config`](integrations_core::ErrorKind::Config) if there is no token or no transport.
    pub fn build(self) -> Result<Notes> {
        let token = self.token.ok_or_else(|| {
            Error::config("there is no token").with_hint(format!("set `{TOKEN}`, or give one to the builder"))
        })?;
        let base = match self.base {
            Some(base) => base,
            None => Uri::from_static(spec::SPEC.hosts[0].url),
        };
        let transport = self.transport.map_or_else(default_transport, Ok)?;
        let own = || Stages::new().pipeline(Scope::new("", spec::SPEC.id), Policy::default());
        let pipeline = self.pipeline.map_or_else(own, Ok)?;
        let caller = Caller::builder(base, transport, pipeline)
            .authorize(Arc::new(auth::Bearer::new(token)))
            .classify(Arc::new(Errors))
            .key_header(KEY_HEADER)
            .clock(self.clock);
        #[cfg(feature = "cache")]
        let caller = match self.cache {
            Some(cache) => caller.cache(cache),
            None => caller,
        };
        Ok(Notes { caller: caller.build() })
    }
}
