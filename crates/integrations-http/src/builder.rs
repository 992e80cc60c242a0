//! Configuration of the transport.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use integrations_core::egress::plain_host;
use integrations_core::tls::TlsConfig;
use integrations_core::{Error, Result};

use crate::egress::EgressPolicy;
use crate::proxy::Proxy;
use crate::resolve::{Guard, Resolver, SystemResolver};
use crate::transport::{HttpTransport, Inner};

/// Response header lines of HTTP/1; hyper's own default, stated because it is a defence.
const MAX_HEADER_LINES: usize = 100;

/// HTTP/2 PING while requests are open, so that a dead connection is found before TCP gives up.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Settings of an [`HttpTransport`]; see each method for its default.
#[must_use]
pub struct HttpTransportBuilder {
    tls: TlsConfig,
    proxy: Proxy,
    policy: EgressPolicy,
    resolver: Arc<dyn Resolver>,
    overrides: HashMap<String, SocketAddr>,
    user_agent: String,
    connect_timeout: Duration,
    pool_idle_timeout: Duration,
    pool_max_idle: usize,
    http2: bool,
    max_header_bytes: u32,
    max_body: u64,
}

impl Default for HttpTransportBuilder {
    fn default() -> Self {
        Self {
            tls: TlsConfig::new(),
            proxy: Proxy::system(),
            policy: EgressPolicy::new(),
            resolver: Arc::new(SystemResolver),
            overrides: HashMap::new(),
            user_agent: concat!("integrations/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            pool_idle_timeout: Duration::from_secs(90),
            pool_max_idle: usize::MAX,
            http2: true,
            max_header_bytes: 64 * 1024,
            max_body: u64::MAX,
        }
    }
}

impl HttpTransportBuilder {
    /// What TLS trusts and presents. Default: the platform's roots, no client certificate, TLS 1.2 or newer. A
    /// server name given there replaces the host in the certificate check; SNI still carries the URL's host.
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = tls;
        self
    }

    /// The proxy. Default: the system's; but a strict egress policy goes direct.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }

    /// Which addresses may be called. Default: all but metadata services.
    pub fn egress(mut self, policy: EgressPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// A resolver of one's own. Default: the operating system's.
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Sends `host` to `address`, like curl's `--resolve`. The port counts only where the URL has none; port 0 is
    /// the scheme's. The egress policy applies to the address.
    pub fn resolve(mut self, host: &str, address: SocketAddr) -> Self {
        self.overrides.insert(plain_host(host).into_owned(), address);
        self
    }

    /// The `user-agent` of requests that have none. Default: `integrations/<version>`.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// How long name, TCP, proxy and TLS may take together. Default: 10 s.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long an unused connection is kept. Default: 90 s.
    pub fn pool_idle_timeout(mut self, limit: Duration) -> Self {
        self.pool_idle_timeout = limit;
        self
    }

    /// How many unused connections are kept per host; 0 keeps none. Default: no limit.
    pub fn pool_max_idle(mut self, connections: usize) -> Self {
        self.pool_max_idle = connections;
        self
    }

    /// Whether HTTP/2 is offered to https servers. Default: yes.
    pub fn http2(mut self, offered: bool) -> Self {
        self.http2 = offered;
        self
    }

    /// The largest header list of an HTTP/2 answer, in bytes. Default: 64 KiB. HTTP/1 answers may have 100 lines in
    /// about 400 KiB, whatever is set here.
    pub fn max_header_bytes(mut self, bytes: u32) -> Self {
        self.max_header_bytes = bytes;
        self
    }

    /// The most bytes of any answer's body on the wire, streamed or not. Default: no limit here, because whoever
    /// buffers an answer applies the operation's own limit. Set it where answers do not matter, as for webhooks.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// The transport. [`ErrorKind::Config`](integrations_core::ErrorKind::Config) for certificates that cannot be
    /// used, a user agent that is no header value, and a proxy that the egress policy does not allow.
    pub fn build(self) -> Result<HttpTransport> {
        let proxy = self.effective_proxy()?;
        let proxy_host: Option<Arc<str>> = proxy.host().map(Into::into);
        let policy = Arc::new(self.policy);
        let guard = Guard {
            resolver: self.resolver,
            overrides: Arc::new(self.overrides),
            policy: Arc::clone(&policy),
            proxy_host: proxy_host.clone(),
        };
        let user_agent = HeaderValue::try_from(self.user_agent)
            .map_err(|e| Error::config("the user agent is no header value").with_source(e))?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(crate::tls::client_config(&self.tls, self.http2)?)
            .dns_resolver(guard)
            .user_agent(user_agent)
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(self.pool_idle_timeout)
            .pool_max_idle_per_host(self.pool_max_idle)
            .http1_max_headers(MAX_HEADER_LINES)
            .http2_max_header_list_size(self.max_header_bytes)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .tcp_nodelay(true);
        let client = without_hidden_work(client);
        let client = if self.http2 { client } else { client.http1_only() };
        let client = proxy
            .apply(client)?
            .build()
            .map_err(|e| Error::config("the HTTP client cannot be built").with_source(e.without_url()))?;
        let inner = Inner {
            client,
            policy,
            proxy_host,
            connect_timeout: self.connect_timeout,
            max_body: self.max_body,
        };
        Ok(HttpTransport { inner: Arc::new(inner) })
    }

    fn effective_proxy(&self) -> Result<Proxy> {
        let named = self.proxy.host().is_some();
        match (self.policy.is_strict(), self.policy.allows_proxy()) {
            (true, false) if named => Err(Error::config("the egress policy forbids proxies").with_hint(
                "a proxy resolves names unchecked; if it checks addresses itself, use allow_proxy()",
            )),
            (true, true) if self.proxy.is_system() => {
                Err(Error::config("a strict egress policy needs its proxy by name")
                    .with_hint("use Proxy::url"))
            }
            (true, false) => Ok(Proxy::none()),
            _ => Ok(self.proxy.clone()),
        }
    }
}

/// Switches off what reqwest would do behind our back: its retries (reqwest 0.13 repeats requests that HTTP/2
/// refused), its redirects, its decompression without limits, should another crate switch those features on.
fn without_hidden_work(client: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    client
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .no_hickory_dns()
}

impl fmt::Debug for HttpTransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransportBuilder")
            .field("tls", &self.tls)
            .field("proxy", &self.proxy)
            .field("egress", &self.policy)
            .finish_non_exhaustive()
    }
}
