//! Which addresses an endpoint may have, as far as can be told without resolving a name. What a name resolves to is
//! for the transport to check, at each connection.

use http::Uri;
use url::{Host, Url};

use crate::egress::{innermost, is_local_name, is_metadata, is_metadata_name, is_public, plain_host};
use crate::error::{Effect, Error, ErrorKind, Result};

/// The longest address.
const MAX_LENGTH: usize = 2048;

/// What an address is held to.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    pub(super) http: bool,
    pub(super) ports: Vec<u16>,
    /// For development: any scheme of http, any port, any host.
    pub(super) anything: bool,
}

impl Default for Admission {
    fn default() -> Self {
        Self { http: false, ports: vec![443, 8443], anything: false }
    }
}

impl Admission {
    /// The address as it will be called. It is read by the parser that the transport uses as well, so that no spelling
    /// means one host here and another there.
    pub(super) fn admit(&self, text: &str) -> Result<Uri> {
        let malformed = || {
            Error::invalid_request("the endpoint's address is not an absolute URL of at most 2048 characters")
                .with_hint("give one such as https://hooks.example.com/in")
        };
        if text.len() > MAX_LENGTH {
            return Err(malformed());
        }
        let url = Url::parse(text).map_err(|_| malformed())?;
        self.check(&url)?;
        url.as_str().parse().map_err(|_| malformed())
    }

    fn check(&self, url: &Url) -> Result<()> {
        let plain = self.http || self.anything;
        if !(url.scheme() == "https" || plain && url.scheme() == "http") {
            return Err(forbidden("its scheme", "use https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(forbidden("credentials in it", "deliveries are signed; leave user and password out"));
        }
        if url.fragment().is_some() {
            return Err(forbidden("a fragment (`#`)", "it would never be sent; leave it out"));
        }
        if self.anything {
            return Ok(());
        }
        let port = url.port_or_known_default().unwrap_or_default();
        if !self.ports.contains(&port) {
            return Err(forbidden("its port", "use 443"));
        }
        check_host(url.host())
    }
}

fn check_host(host: Option<Host<&str>>) -> Result<()> {
    let literal = match host {
        Some(Host::Ipv4(ip)) => ip.into(),
        Some(Host::Ipv6(ip)) => ip.into(),
        Some(Host::Domain(name)) => {
            let name = plain_host(name);
            let local = is_local_name(&name) || is_metadata_name(&name);
            return if local { Err(forbidden("a local name", PUBLIC)) } else { Ok(()) };
        }
        None => return Err(forbidden("no host", PUBLIC)),
    };
    let ip = innermost(literal);
    // Azure's is of a public range.
    if is_public(ip) && !is_metadata(ip) {
        Ok(())
    } else {
        Err(forbidden("an address that is not public", PUBLIC))
    }
}

const PUBLIC: &str = "use a host that is reachable from the public Internet";

fn forbidden(what: &str, hint: &'static str) -> Error {
    let message = format!("the endpoint's address is refused for {what}");
    Error::new(ErrorKind::PermissionDenied, Effect::NotSent, message).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hosts that mean something inside; any of them in a URL is refused.
    const INSIDE: [&str; 72] = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::10.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::808:808]",
        "[100::1]",
        "[2001::1]",
        "[2001:1ff::1]",
        "[2001:db8::1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[ff02::1]",
        "[3fff::1]",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "2130706433",
        "127.1",
        "127.0.1",
        "0",
        "127.0.0.1.",
        "0xa9fea9fe",
        "2852039166",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "a.localhost",
        "printer.local",
        "vault.internal",
        "metadata.google.internal",
        "metadata.goog",
        "router.home.arpa",
        "intranet",
        "intranet.",
        "%6c%6f%63%61%6c%68%6f%73%74",
        "168.63.129.16",
        "[::ffff:168.63.129.16]",
        "１２７.0.0.1",
        "①②⑦.0.0.1",
        "localhost..",
        "ｌｏｃａｌｈｏｓｔ",
    ];

    const OUTSIDE: [&str; 9] = [
        "hooks.example.com",
        "8.8.8.8",
        "1.1.1.1",
        "172.32.0.1",
        "100.128.0.1",
        "[2606:4700:4700::1111]",
        "[64:ff9b::8.8.8.8]",
        "[::ffff:8.8.8.8]",
        "bücher.example",
    ];

    fn verdict(url: &str) -> Option<ErrorKind> {
        Admission::default().admit(url).err().map(|e| e.kind())
    }

    #[test]
    fn no_spelling_of_an_inner_host_is_admitted() {
        for host in INSIDE {
            for url in
                [format!("https://{host}/in"), format!("https://{host}:8443/"), format!("https:\\\\{host}/")]
            {
                assert_eq!(verdict(&url), Some(ErrorKind::PermissionDenied), "{url}");
            }
        }
    }

    #[test]
    fn public_hosts_are_admitted() {
        for host in OUTSIDE {
            assert_eq!(verdict(&format!("https://{host}/in?a=b")), None, "{host}");
        }
    }

    #[test]
    fn schemes_ports_userinfo_and_fragments_are_checked() {
        let refused = [
            "http://hooks.example.com/",
            "ftp://hooks.example.com/",
            "file:///etc/passwd",
            "gopher://8.8.8.8/",
            "https://hooks.example.com:22/",
            "https://hooks.example.com:80/",
            "https://u@hooks.example.com/",
            "https://u:p@hooks.example.com/",
            "https://8.8.8.8@127.0.0.1/",
            "https://hooks.example.com/#part",
            "data:text/plain,hi",
            "unix:/run/docker.sock",
        ];
        for url in refused {
            assert_eq!(verdict(url), Some(ErrorKind::PermissionDenied), "{url}");
        }
        let long = format!("https://hooks.example.com/{}", "a".repeat(2048));
        for url in
            ["", "hooks.example.com", "/in", "https://", "https://[::1", "https://1.2.3.256/", long.as_str()]
        {
            assert_eq!(verdict(url), Some(ErrorKind::InvalidRequest), "{url}");
        }
    }

    #[test]
    fn http_and_other_ports_are_admitted_where_allowed() {
        let loose = Admission { http: true, ports: vec![443, 80, 8080], anything: false };
        for url in ["http://hooks.example.com/", "https://hooks.example.com:8080/"] {
            assert!(loose.admit(url).is_ok(), "{url}");
        }
        assert!(loose.admit("http://127.0.0.1:8080/").is_err());
        let anything = Admission { anything: true, ..Admission::default() };
        assert!(anything.admit("http://127.0.0.1:3000/in").is_ok());
        assert!(anything.admit("http://u:p@127.0.0.1:3000/in").is_err());
    }

    #[test]
    fn no_error_quotes_the_address() {
        let error = Admission::default().admit("https://u:hunter2@hooks.example.com/").unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}
