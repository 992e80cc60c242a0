//! Which addresses are public: the one table behind every check of where a request may go.
//!
//! An address is judged by the IPv4 address that it embeds, if any ([`innermost`]); a name by whether it can only mean
//! something of our own network ([`is_local_name`]).

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Lower case and without the root's dot: `LOCALHOST.` is `localhost`.
pub fn plain_host(host: &str) -> Cow<'_, str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// Whether `name`, already plain, only means a metadata service; for requests whose name a proxy resolves.
pub fn is_metadata_name(name: &str) -> bool {
    METADATA_NAMES.contains(&name)
}

/// Whether `name`, already plain, means something of the local network: one label, or a reserved suffix. Also for a
/// name that ends with several dots: what a resolver makes of it is its own affair.
pub fn is_local_name(name: &str) -> bool {
    let reserved = |suffix| name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'));
    !name.contains('.') || name.ends_with('.') || LOCAL_SUFFIXES.into_iter().any(reserved)
}

const METADATA_NAMES: [&str; 2] = ["metadata.google.internal", "metadata.goog"];

/// RFC 6761, RFC 6762, RFC 8375 (home.arpa), and what ICANN reserved for private use in 2024 (.internal).
const LOCAL_SUFFIXES: [&str; 4] = ["localhost", "local", "internal", "home.arpa"];

/// Where cloud machines find credentials: EC2, GCE and Azure; ECS tasks; EKS pods; Alibaba; Azure's host; and the
/// IPv6 addresses of EC2, EKS and GCE.
const METADATA: [IpAddr; 8] = [
    v4([169, 254, 169, 254]),
    v4([169, 254, 170, 2]),
    v4([169, 254, 170, 23]),
    v4([100, 100, 100, 200]),
    v4([168, 63, 129, 16]),
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]),
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23]),
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]),
];

/// IANA's special-purpose registry for IPv4 (RFC 6890), with multicast and the reserved block.
const NOT_PUBLIC_V4: [Net; 16] = [
    Net(v4([0, 0, 0, 0]), 8),
    Net(v4([10, 0, 0, 0]), 8),
    Net(v4([100, 64, 0, 0]), 10),
    Net(v4([127, 0, 0, 0]), 8),
    Net(v4([169, 254, 0, 0]), 16),
    Net(v4([172, 16, 0, 0]), 12),
    Net(v4([192, 0, 0, 0]), 24),
    Net(v4([192, 0, 2, 0]), 24),
    Net(v4([192, 31, 196, 0]), 24),
    Net(v4([192, 88, 99, 0]), 24),
    Net(v4([192, 168, 0, 0]), 16),
    Net(v4([198, 18, 0, 0]), 15),
    Net(v4([198, 51, 100, 0]), 24),
    Net(v4([203, 0, 113, 0]), 24),
    Net(v4([224, 0, 0, 0]), 4),
    Net(v4([240, 0, 0, 0]), 4),
];

/// Only 2000::/3 is global unicast (RFC 4291); these parts of it are special.
const GLOBAL_V6: Net = Net(v6([0x2000, 0, 0, 0, 0, 0, 0, 0]), 3);
const NOT_PUBLIC_V6: [Net; 3] = [
    Net(v6([0x2001, 0, 0, 0, 0, 0, 0, 0]), 23),
    Net(v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]), 32),
    Net(v6([0x3fff, 0, 0, 0, 0, 0, 0, 0]), 20),
];

const fn v4(octets: [u8; 4]) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_octets(octets))
}

const fn v6(segments: [u16; 8]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_segments(segments))
}

/// Whether cloud machines read their credentials there. `ip` is an [`innermost`] address.
pub fn is_metadata(ip: IpAddr) -> bool {
    METADATA.contains(&ip)
}

/// Whether it is an address of the public Internet. `ip` is an [`innermost`] address.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => !NOT_PUBLIC_V4.iter().any(|net| net.contains(ip)),
        IpAddr::V6(_) => GLOBAL_V6.contains(ip) && !NOT_PUBLIC_V6.iter().any(|net| net.contains(ip)),
    }
}

/// The IPv4 address that a packet to `ip` would reach, if `ip` embeds one: v4-mapped (::ffff/96), v4-translated
/// (::ffff:0/96), v4-compatible (::/96), NAT64 (64:ff9b::/96, RFC 6052) and 6to4 (2002::/16, RFC 3056).
pub fn innermost(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let tail = |s: [u16; 8]| join(s[6], s[7]);
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => ip,
        s @ ([0, 0, 0, 0, 0, 0 | 0xffff, _, _]
        | [0, 0, 0, 0, 0xffff, 0, _, _]
        | [0x64, 0xff9b, 0, 0, 0, 0, _, _]) => tail(s),
        [0x2002, high, low, ..] => join(high, low),
        _ => ip,
    }
}

fn join(high: u16, low: u16) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

/// A network: its first address and its prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net(IpAddr, u8);

impl Net {
    /// Reads `10.1.0.0/16` or `fd12::/48`.
    pub fn parse(cidr: &str) -> Option<Self> {
        let (address, prefix) = cidr.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let prefix: u8 = prefix.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        (prefix <= longest).then_some(Self(address, prefix))
    }

    /// Whether `ip` is in it. An IPv4 network holds no IPv6 address, nor the other way round.
    pub fn contains(self, ip: IpAddr) -> bool {
        match (self.0, ip) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let host_bits = 32 - u32::from(self.1);
                (net.to_bits() ^ ip.to_bits()).checked_shr(host_bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let host_bits = 128 - u32::from(self.1);
                (net.to_bits() ^ ip.to_bits()).checked_shr(host_bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}
