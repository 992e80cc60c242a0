//! The builder that every provider's client has.

/// Declares the builder of a provider's client, and the client's `builder` and `from_env`.
///
/// The builder is a [`Setup`](crate::setup::Setup) of the provider, with `vars`, `base`, `transport`, `pipeline`,
/// `authorize`, `clock`, `build` and, with the declaring crate's own feature `cache`, `cache`. `build` calls the
/// client's `open(&Setup) -> Result<Self>`. What only this provider has, above all its credentials, is listed behind it
/// with the type of its value; what is more than one setting is added in an `impl` of the builder beside it, by its `set`.
///
/// ```
/// use integrations_core::provider::{Host, ProviderSpec, Setting, Status};
/// use integrations_core::setup::Setup;
/// use integrations_core::{Result, SecretString};
///
/// static SPEC: ProviderSpec = ProviderSpec::new("notes", "Notes", "example", Status::Full)
///     .settings(&[Setting::new("token", "a token").env("NOTES_TOKEN").secret()]);
///
/// #[derive(Debug)]
/// struct Notes(SecretString);
///
/// impl Notes {
///     fn open(setup: &Setup) -> Result<Self> {
///         Ok(Self(setup.secret("token")?.clone()))
///     }
/// }
///
/// integrations_core::client_builder! {
///     /// Builds a client; only the token has no default.
///     pub struct NotesBuilder for Notes of &SPEC;
///
///     /// The token.
///     token: SecretString,
/// }
///
/// let notes = Notes::builder().token("t-1").build()?;
/// assert_eq!(notes.0.expose(), "t-1");
/// let error = Notes::builder().build().unwrap_err();
/// assert_eq!(error.message(), "`notes` needs the setting `token`");
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[macro_export]
macro_rules! client_builder {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident for $client:ident of $spec:expr;
        $($(#[$about:meta])* $setting:ident: $value:ty,)*
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        #[must_use]
        $visibility struct $name($crate::setup::Setup);

        #[allow(dead_code, reason = "a client of one crate's own may need only some of it")]
        impl $client {
            /// A client with the variables that the provider's facts name.
            /// [`ErrorKind::Config`](integrations_core::ErrorKind::Config) for a required one that is not set.
            $visibility fn from_env() -> $crate::Result<Self> {
                Self::builder().vars(&|name| ::std::env::var(name).ok())?.build()
            }

            /// A client of which everything can be said.
            $visibility fn builder() -> $name {
                $name($crate::setup::Setup::new($spec))
            }
        }

        #[allow(dead_code, reason = "a client of one crate's own may need only some of it")]
        impl $name {
            fn set(self, setting: &str, value: impl ::core::convert::Into<$crate::setup::Value>) -> Self {
                Self(self.0.set(setting, value))
            }

            $(
                $(#[$about])*
                $visibility fn $setting(self, value: impl ::core::convert::Into<$value>) -> Self {
                    self.set(::core::stringify!($setting), ::core::convert::Into::<$value>::into(value))
                }
            )*

            /// Takes the variables of this provider from `lookup`.
            /// [`ErrorKind::Config`](integrations_core::ErrorKind::Config) for a required one that is not set, and for
            /// one that cannot be read.
            $visibility fn vars(
                self,
                lookup: &dyn ::core::ops::Fn(&str) -> ::core::option::Option<::std::string::String>,
            ) -> $crate::Result<Self> {
                self.0.vars(lookup).map(Self)
            }

            /// The address of the service. Default: the provider's first host.
            $visibility fn base(self, base: $crate::__private::Uri) -> Self {
                Self(self.0.base(base))
            }

            /// What carries the calls. Default: a transport over reqwest of the client's own, if the feature `http` is
            /// on. Give several clients the same one, so that they share its connections.
            $visibility fn transport(self, transport: impl $crate::Transport) -> Self {
                Self(self.0.transport(::std::sync::Arc::new(transport)))
            }

            /// The pipeline of the calls. Default: one of the client's own, with the default policy.
            $visibility fn pipeline(self, pipeline: $crate::pipeline::Pipeline) -> Self {
                Self(self.0.pipeline(pipeline))
            }

            /// Who proves each call, in place of the credentials in the settings: the token of an end user's
            /// connection.
            $visibility fn authorize(self, authorize: impl $crate::Authorize + 'static) -> Self {
                Self(self.0.authorize(::std::sync::Arc::new(authorize)))
            }

            /// The clock that dates in answers are measured by. Default: the system's.
            $visibility fn clock(self, clock: $crate::Clock) -> Self {
                Self(self.0.clock(clock))
            }

            /// Keeps the answers that are read, for as long as they allow. Default: no cache.
            #[cfg(feature = "cache")]
            $visibility fn cache(self, cache: $crate::cache::ReadCache) -> Self {
                Self(self.0.cache(cache))
            }

            /// The client. [`ErrorKind::Config`](integrations_core::ErrorKind::Config) that says what is missing or
            /// wrong.
            $visibility fn build(&self) -> $crate::Result<$client> {
                $client::open(&self.0)
            }
        }
    };
}
