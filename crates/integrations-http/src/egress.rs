//! Which addresses may be called.

use std::net::IpAddr;

use http::Uri;
use integrations_core::egress::{
    Net, innermost, is_local_name, is_metadata, is_metadata_name, is_public, plain_host,
};
use integrations_core::{Effect, Error, ErrorKind, Result};
use url::{Host, Url};

/// Which addresses a transport may call. Checked on every hop, for names on every address they resolve to, and
/// the address that was checked is the one that is dialled.
///
/// The default is for services that the operator configures: it refuses only the addresses from which cloud
/// machines read their own credentials. [`EgressPolicy::public_only`] is for addresses that tenants give.
///
/// Addresses with `user:password@` are refused by both: credentials belong in headers.
///
/// **Proxies.** Behind a proxy, the proxy resolves names; only literal addresses and the names themselves can be
/// checked here. A strict policy therefore goes direct, unless [`EgressPolicy::allow_proxy`] says otherwise.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    strict: bool,
    http: bool,
    proxy: bool,
    ports: Vec<u16>,
    hosts: Vec<String>,
    nets: Vec<Net>,
}

impl EgressPolicy {
    /// Any address but the clouds' metadata services. The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only `https` on ports 443 and 8443 of public addresses: no loopback, private, link-local, shared (CGNAT),
    /// unique-local, multicast, documentation, benchmark or reserved address in any notation or embedding, and no
    /// local name (`localhost`, one label, `.local`, `.internal`).
    pub fn public_only() -> Self {
        Self { strict: true, ports: vec![443, 8443], ..Self::default() }
    }

    /// Also allows plain `http`, and port 80. Without effect on the default policy, which allows it.
    #[must_use]
    pub fn allow_http(mut self) -> Self {
        self.http = true;
        if self.strict {
            self.ports.push(80);
        }
        self
    }

    /// Allows exactly these ports; an empty list allows every port.
    #[must_use]
    pub fn ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.ports = ports.into_iter().collect();
        self
    }

    /// A deliberate exception: the name `host` may resolve to any address but a metadata service's.
    #[must_use]
    pub fn allow_host(mut self, host: &str) -> Self {
        self.hosts.push(plain_host(host).into_owned());
        self
    }

    /// A deliberate exception: addresses of this network, such as `10.1.0.0/16` or `fd12::/48`, may be called.
    /// Naming a metadata address exempts it as well.
    pub fn allow_cidr(mut self, cidr: &str) -> Result<Self> {
        let net = Net::parse(cidr).ok_or_else(|| {
            Error::config(format!("`{cidr}` is no network")).with_hint("write it as 10.1.0.0/16 or fd12::/48")
        })?;
        self.nets.push(net);
        Ok(self)
    }

    /// Allows a strict policy to go through a proxy that is named explicitly. What names resolve to is then for
    /// the proxy to check.
    #[must_use]
    pub fn allow_proxy(mut self) -> Self {
        self.proxy = true;
        self
    }

    /// Whether `uri` may be called as far as can be told without resolving its name: for checking an address when
    /// a tenant enters it. [`ErrorKind::PermissionDenied`] if not, [`ErrorKind::InvalidRequest`] if it is no
    /// absolute URI.
    pub fn check(&self, uri: &Uri) -> Result<()> {
        let url = Url::parse(&uri.to_string())
            .map_err(|_| Error::invalid_request("the address is not an absolute URI"))?;
        self.check_url(&url)
            .map_err(|e| Error::new(ErrorKind::PermissionDenied, Effect::NotSent, e.to_string()))
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.strict
    }

    pub(crate) fn allows_proxy(&self) -> bool {
        self.proxy || !self.strict
    }

    pub(crate) fn check_url(&self, url: &Url) -> Result<(), Refused> {
        let plain_http_allowed = self.http || !self.strict;
        match url.scheme() {
            "https" => {}
            "http" if plain_http_allowed => {}
            _ => return Err(Refused("its scheme")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused("credentials in the address"));
        }
        let port = url.port_or_known_default().unwrap_or_default();
        if !self.ports.is_empty() && !self.ports.contains(&port) {
            return Err(Refused("its port"));
        }
        match url.host() {
            Some(Host::Ipv4(ip)) => self.check_address(ip.into()),
            Some(Host::Ipv6(ip)) => self.check_address(ip.into()),
            Some(Host::Domain(name)) => self.check_name(&plain_host(name)),
            None => Err(Refused("an address without a host")),
        }
    }

    fn check_name(&self, name: &str) -> Result<(), Refused> {
        if is_metadata_name(name) {
            return Err(Refused("a metadata service"));
        }
        if self.strict && is_local_name(name) && !self.is_exempt(name) {
            return Err(Refused("a local name"));
        }
        Ok(())
    }

    /// Checks one address that `host`, already plain, resolved to.
    pub(crate) fn check_resolved(&self, host: &str, ip: IpAddr) -> Result<(), Refused> {
        if self.is_exempt(host) && !is_metadata(innermost(ip)) {
            return Ok(());
        }
        self.check_address(ip)
    }

    fn check_address(&self, ip: IpAddr) -> Result<(), Refused> {
        let inner = innermost(ip);
        if self.nets.iter().any(|net| net.contains(inner) || net.contains(ip)) {
            return Ok(());
        }
        if is_metadata(inner) {
            return Err(Refused("a metadata service"));
        }
        if self.strict && !is_public(inner) {
            return Err(Refused("an address that is not public"));
        }
        Ok(())
    }

    fn is_exempt(&self, host: &str) -> bool {
        self.hosts.iter().any(|allowed| allowed == host)
    }
}

/// Why the policy refuses. It names no address: a tenant must not learn what our names resolve to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the egress policy forbids {0}")]
pub(crate) struct Refused(pub(crate) &'static str);

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    /// The ways to write an IPv4 address as an IPv6 address that reaches it.
    fn embedded(v4: Ipv4Addr) -> [Ipv6Addr; 5] {
        let bits = u128::from(v4.to_bits());
        [
            v4.to_ipv6_mapped(),
            Ipv6Addr::from_bits(bits),
            Ipv6Addr::from_bits(0xffff << 48 | bits),
            Ipv6Addr::from_bits(0x64_ff9b << 96 | bits),
            Ipv6Addr::from_bits(0x2002 << 112 | bits << 80),
        ]
    }

    proptest! {
        #[test]
        fn an_embedded_address_is_judged_as_the_one_inside(bits in 2u32..) {
            let v4 = Ipv4Addr::from_bits(bits);
            for v6 in embedded(v4) {
                for policy in [EgressPolicy::new(), EgressPolicy::public_only()] {
                    prop_assert_eq!(policy.check_address(v6.into()), policy.check_address(v4.into()), "{}", v6);
                }
            }
        }

        #[test]
        fn every_address_of_an_excepted_network_passes(bits: u32, prefix in 0u8..=32) {
            let net = Net::parse(&format!("{}/{prefix}", Ipv4Addr::from_bits(bits))).unwrap();
            let policy = EgressPolicy { nets: vec![net], ..EgressPolicy::public_only() };
            let mask = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            for inside in [bits | mask, bits & !mask] {
                prop_assert_eq!(policy.check_address(Ipv4Addr::from_bits(inside).into()), Ok(()));
            }
            if let Some(flip) = 1u32.checked_shl(32 - u32::from(prefix)) {
                prop_assert!(!net.contains(Ipv4Addr::from_bits(bits ^ flip).into()));
            }
        }
    }
}
