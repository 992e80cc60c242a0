//! What a client of one provider is made from: settings, address, transport, pipeline, clock, cache.
//!
//! A provider's builder, which [`client_builder!`](crate::client_builder) declares, and the hub fill the same [`Setup`];
//! the provider reads it once.

mod builder;
mod settings;

use std::fmt;
use std::sync::Arc;

use http::Uri;

use crate::authorize::Bearer;
use crate::caller::{Caller, CallerBuilder};
use crate::clock::Clock;
use crate::endpoint::Authorize;
use crate::error::{Error, Result};
use crate::pipeline::{Pipeline, Policy, Scope, Stages};
use crate::provider::{Mode, ProviderSpec, Setting};
use crate::secret::{LiveSecret, SecretRef, SecretStore, SecretString, Watch};
use crate::transport::Transport;

pub use settings::{Settings, Value};

/// The transport of a client that was given none, for [`Setup::caller`] where there is no default:
/// [`ErrorKind::Config`](crate::ErrorKind).
pub fn no_transport() -> Result<Arc<dyn Transport>> {
    Err(Error::config("there is no transport")
        .with_hint("give one to the builder or to the hub, for example `integrations_http::HttpTransport`"))
}

/// Declares `default_transport`, what carries the calls of a client that was given no transport: reqwest's, if the crate
/// has the feature `http`, which must switch on its dependency `integrations_http`.
#[macro_export]
macro_rules! default_transport {
    ($visibility:vis fn) => {
        /// A transport over reqwest; [`ErrorKind::Config`](integrations_core::ErrorKind::Config) if this build has none.
        /// Give it to several clients, and they share its connections.
        $visibility fn default_transport() -> $crate::Result<::std::sync::Arc<dyn $crate::Transport>> {
            let transport: ::core::option::Option<::std::sync::Arc<dyn $crate::Transport>> = None;
            #[cfg(feature = "http")]
            let transport = transport
                .or(Some(::std::sync::Arc::new(::integrations_http::HttpTransport::builder().build()?)));
            transport.ok_or_else(|| {
                $crate::Error::config("there is no transport")
                    .with_hint("enable the feature `http`, or give one to the builder")
            })
        }
    };
}

/// What a client of one provider is made from. Cheap to clone.
#[derive(Clone)]
#[must_use]
pub struct Setup {
    spec: &'static ProviderSpec,
    settings: Arc<Settings>,
    base: Option<Uri>,
    transport: Option<Arc<dyn Transport>>,
    pipeline: Option<Pipeline>,
    authorize: Option<Arc<dyn Authorize>>,
    secrets: Option<Arc<dyn SecretStore>>,
    clock: Clock,
    #[cfg(feature = "cache")]
    cache: Option<crate::cache::ReadCache>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("provider", &self.spec.id)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Setup {
    /// Nothing but the provider's defaults.
    pub fn new(spec: &'static ProviderSpec) -> Self {
        Self {
            spec,
            settings: Arc::default(),
            base: None,
            transport: None,
            pipeline: None,
            authorize: None,
            secrets: None,
            clock: Clock::system(),
            #[cfg(feature = "cache")]
            cache: None,
        }
    }

    /// Sets one setting.
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        Arc::make_mut(&mut self.settings).set(name, value);
        self
    }

    /// Replaces all settings.
    pub fn settings(mut self, settings: impl Into<Arc<Settings>>) -> Self {
        self.settings = settings.into();
        self
    }

    /// Takes the provider's variables from `lookup`, as `&|name| std::env::var(name).ok()` does.
    /// [`ErrorKind::Config`](crate::ErrorKind) for a required one that is missing, and for one that cannot be read.
    pub fn vars(mut self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        for setting in self.spec.settings {
            let Some(name) = setting.env else { continue };
            if !setting.required && lookup(name).is_none() {
                continue;
            }
            let text = SecretRef::Env(name.to_owned()).resolve(lookup)?;
            let value = Value::parse(setting.kind, text.expose())
                .map_err(|e| Error::config(format!("the variable `{name}`: {}", e.message())))?;
            self = self.set(setting.name, value);
        }
        Ok(self)
    }

    /// Sets the address of the service. Default: the provider's first host.
    pub fn base(mut self, base: Uri) -> Self {
        self.base = Some(base);
        self
    }

    /// Sets what carries the calls.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Sets the pipeline of the calls. Default: one of the client's own, with the default policy.
    pub fn pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipeline = Some(pipeline);
        self
    }

    /// Sets who proves each call, in place of the credentials in the settings: the token of an end user's connection.
    pub fn authorize(mut self, authorize: Arc<dyn Authorize>) -> Self {
        self.authorize = Some(authorize);
        self
    }

    /// Sets where secrets are read again while they are in use; see [`Setup::live`]. Default: they are not.
    pub fn secrets(mut self, store: Arc<dyn SecretStore>) -> Self {
        self.secrets = Some(store);
        self
    }

    /// Sets the clock. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Keeps the answers that are read, for as long as they allow. Default: no cache.
    #[cfg(feature = "cache")]
    pub fn cache(mut self, cache: crate::cache::ReadCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// The provider.
    pub fn spec(&self) -> &'static ProviderSpec {
        self.spec
    }

    /// All settings.
    pub fn all(&self) -> &Settings {
        &self.settings
    }

    /// A text that there must be. [`ErrorKind::Config`](crate::ErrorKind) that says where it comes from.
    pub fn text(&self, name: &str) -> Result<&str> {
        self.settings.text(name)?.ok_or_else(|| self.spec.missing(name))
    }

    /// A secret that there must be. [`ErrorKind::Config`](crate::ErrorKind) that says where it comes from.
    pub fn secret(&self, name: &str) -> Result<&SecretString> {
        self.settings.secret(name)?.ok_or_else(|| self.spec.missing(name))
    }

    /// A secret that there must be, to be asked for each attempt. It follows its source when that can change (files,
    /// entries of a secret store) and there is a store to read it from; the first client of these settings begins that,
    /// and all others share it. A new value must be of the same [`Mode`] as the first, as far as
    /// the setting's shapes tell, and of a shape of the setting if the first was: a live key that somebody puts over a test
    /// key is not used.
    /// [`ErrorKind::Config`](crate::ErrorKind) that says where it comes from.
    pub fn live(&self, name: &str) -> Result<LiveSecret> {
        let first = self.secret(name)?;
        let followed = self.secrets.as_ref().and_then(|store| {
            let spec = self.spec;
            self.settings.live(name, |secret, found| {
                let watch = Watch::default();
                let watch = match spec.setting(name) {
                    Some(setting) => {
                        let (mode, fits) = (setting.mode_of(secret.expose()), setting.fits(secret.expose()));
                        watch.check(move |new| same_mode(setting, mode, fits, new))
                    }
                    None => watch,
                };
                LiveSecret::watch(secret.clone(), found.clone(), store.clone(), watch)
            })
        });
        Ok(followed.unwrap_or_else(|| first.clone().into()))
    }

    /// The address of the service, if one was set.
    pub fn own_base(&self) -> Option<&Uri> {
        self.base.as_ref()
    }

    /// The pipeline, if one was set.
    pub fn own_pipeline(&self) -> Option<&Pipeline> {
        self.pipeline.as_ref()
    }

    /// Who proves each call, when that is not in the settings.
    pub fn authorizer(&self) -> Option<&Arc<dyn Authorize>> {
        self.authorize.as_ref()
    }

    /// Who proves each call with a bearer token: who was set, or the token in a setting, if there is one.
    ///
    /// ```
    /// use integrations_core::bearer_token;
    /// use integrations_core::provider::{ProviderSpec, Setting, Status};
    /// use integrations_core::setup::Setup;
    /// use std::sync::Arc;
    /// static SPEC: ProviderSpec = ProviderSpec::new("notes", "Notes", "example", Status::Full)
    ///     .settings(&[Setting::new("token", "a token").secret()]);
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    ///
    /// let setup = Setup::new(&SPEC);
    /// assert!(setup.bearer("token")?.is_none());
    /// let setup = setup.set("token", integrations_core::SecretString::from("t-1"));
    /// assert_eq!(bearer_token(&*setup.bearer("token")?.expect("it is set")).await?.expose(), "t-1");
    /// let setup = setup.authorize(Arc::new(integrations_core::Bearer::new("t-2")));
    /// assert_eq!(bearer_token(&*setup.bearer("token")?.expect("it is set")).await?.expose(), "t-2");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bearer(&self, name: &str) -> Result<Option<Arc<dyn Authorize>>> {
        if self.authorize.is_some() || self.settings.secret(name)?.is_none() {
            return Ok(self.authorize.clone());
        }
        Ok(Some(Arc::new(Bearer::new(self.live(name)?))))
    }

    /// The clock.
    pub fn wall_clock(&self) -> &Clock {
        &self.clock
    }

    /// What carries the calls, for those that do not go to the service itself, such as those for tokens. `fallback` makes
    /// it when none was set.
    pub fn carrier(
        &self,
        fallback: impl FnOnce() -> Result<Arc<dyn Transport>>,
    ) -> Result<Arc<dyn Transport>> {
        self.transport.clone().map_or_else(fallback, Ok)
    }

    /// A caller with everything that is the same for all providers. `fallback` makes the transport when none was set.
    pub fn caller(&self, fallback: impl FnOnce() -> Result<Arc<dyn Transport>>) -> Result<CallerBuilder> {
        let base = match (&self.base, self.spec.hosts.first()) {
            (Some(base), _) => base.clone(),
            (None, Some(host)) => Uri::from_static(host.url),
            (None, None) => {
                return Err(Error::config(format!("`{}` has no address", self.spec.id))
                    .with_hint("set the address of the service: this provider has no default"));
            }
        };
        let transport = self.carrier(fallback)?;
        let own = || Stages::new().pipeline(Scope::new("", self.spec.id), Policy::default());
        let pipeline = self.pipeline.clone().map_or_else(own, Ok)?;
        let caller = Caller::builder(base, transport, pipeline).clock(self.clock.clone());
        let caller = match &self.authorize {
            Some(authorize) => caller.authorize(authorize.clone()),
            None => caller,
        };
        #[cfg(feature = "cache")]
        let caller = match &self.cache {
            Some(cache) => caller.cache(cache.clone()),
            None => caller,
        };
        Ok(caller)
    }
}

fn same_mode(setting: &Setting, mode: Option<Mode>, fits: bool, new: &SecretString) -> Result<()> {
    if fits && !setting.fits(new.expose()) {
        return Err(Error::config(format!("the new value of `{}` begins like no value of it", setting.name))
            .with_hint("look at what the secret's source holds now"));
    }
    if setting.mode_of(new.expose()) == mode {
        return Ok(());
    }
    Err(Error::config(format!("the new value of `{}` is for another mode than the first", setting.name))
        .with_hint("put a key of the same mode there, or load the configuration anew"))
}
