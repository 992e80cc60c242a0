//! How connections leave the network.

use std::fmt;

use integrations_core::{Error, Result};
use url::Url;

/// Which proxy carries the requests. HTTPS goes through it by CONNECT, so it sees host names only.
#[derive(Clone, Default)]
pub struct Proxy(Kind);

#[derive(Clone, Default)]
enum Kind {
    #[default]
    System,
    Direct,
    Explicit {
        url: Url,
        bypass: Option<String>,
    },
}

impl Proxy {
    /// What the system says: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` and, on Windows and macOS, the
    /// system settings. The default.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// No proxy, whatever the system says.
    pub fn none() -> Self {
        Self(Kind::Direct)
    }

    /// This proxy for every request: `http://host:port` or `https://host:port`, with `user:password@` if the
    /// proxy wants Basic credentials. [`ErrorKind::Config`](integrations_core::ErrorKind::Config) for any other
    /// address; the error does not repeat it.
    pub fn url(url: &str) -> Result<Self> {
        let url = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                Error::config("the address of the proxy is malformed")
                    .with_hint("write it as http://host:port or http://user:password@host:port")
            })?;
        Ok(Self(Kind::Explicit { url, bypass: None }))
    }

    /// Hosts that are reached directly, as in `NO_PROXY`: `localhost,.corp.example,10.0.0.0/8`. Only an explicit
    /// proxy heeds it.
    #[must_use]
    pub fn bypass(mut self, hosts: impl Into<String>) -> Self {
        if let Kind::Explicit { bypass, .. } = &mut self.0 {
            *bypass = Some(hosts.into());
        }
        self
    }

    pub(crate) fn is_system(&self) -> bool {
        matches!(self.0, Kind::System)
    }

    /// The host of an explicit proxy, as its resolver will be asked for it.
    pub(crate) fn host(&self) -> Option<&str> {
        match &self.0 {
            Kind::Explicit { url, .. } => url.host_str(),
            Kind::System | Kind::Direct => None,
        }
    }

    pub(crate) fn apply(&self, client: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder> {
        match &self.0 {
            Kind::System => Ok(client),
            Kind::Direct => Ok(client.no_proxy()),
            Kind::Explicit { url, bypass } => {
                let proxy = reqwest::Proxy::all(url.clone())
                    .map_err(|_| Error::config("the address of the proxy is malformed"))?;
                let bypass = bypass.as_deref().and_then(reqwest::NoProxy::from_string);
                Ok(client.proxy(proxy.no_proxy(bypass)))
            }
        }
    }
}

impl fmt::Debug for Proxy {
    /// Never the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::System => f.write_str("Proxy(system)"),
            Kind::Direct => f.write_str("Proxy(none)"),
            Kind::Explicit { url, .. } => write!(f, "Proxy({})", url.host_str().unwrap_or_default()),
        }
    }
}
