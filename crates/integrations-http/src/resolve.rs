//! Names to vetted addresses. The addresses returned here are the ones that are dialled, so nothing can change
//! between check and use.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use integrations_core::BoxError;
use integrations_core::egress::plain_host;

use crate::egress::EgressPolicy;

/// A source of addresses for host names.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// Every address of `host`. It is called once per new connection, and all of its answer is vetted by the
    /// [`EgressPolicy`] before any address is dialled.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver.
pub(crate) struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Resolves, then refuses the name if *any* of its addresses is forbidden: an answer of one public and one
/// private address is an attack, not a choice.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) overrides: Arc<HashMap<String, SocketAddr>>,
    pub(crate) policy: Arc<EgressPolicy>,
    /// The operator's own proxy may stand on a private address.
    pub(crate) proxy_host: Option<Arc<str>>,
}

impl Guard {
    async fn vetted(self, host: String) -> Result<Vec<SocketAddr>, BoxError> {
        let plain = plain_host(&host);
        let addresses = if let Some(address) = self.overrides.get(plain.as_ref()) {
            vec![*address]
        } else {
            let found = self.resolver.resolve(&host).await?;
            found.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect()
        };
        if addresses.is_empty() {
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        }
        if self.proxy_host.as_deref() != Some(&*host) {
            for address in &addresses {
                self.policy.check_resolved(&plain, address.ip())?;
            }
        }
        Ok(addresses)
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        let host = name.as_str().to_owned();
        Box::pin(async move { guard.vetted(host).await.map(|found| Box::new(found.into_iter()) as Addrs) })
    }
}
