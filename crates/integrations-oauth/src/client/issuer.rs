//! Where an issuer is, and how it departs from the standards.

use http::Uri;
use integrations_core::provider::OAuth;
use integrations_core::{Error, Result};

/// The addresses that an issuer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// Where codes and refresh tokens are exchanged.
    Token,
    /// Where users consent.
    Authorize,
    /// Where tokens are refreshed, when not at [`Address::Token`].
    Refresh,
    /// Where tokens are revoked (RFC 7009).
    Revoke,
    /// Where tokens are looked at (RFC 7662).
    Introspect,
    /// Where a device asks for its code (RFC 8628).
    Device,
    /// Where a short-lived token is exchanged for a long-lived one.
    Upgrade,
    /// Where the life of a token is extended.
    Extend,
}

impl Address {
    pub(super) const ALL: [Self; 8] = [
        Self::Token,
        Self::Authorize,
        Self::Refresh,
        Self::Revoke,
        Self::Introspect,
        Self::Device,
        Self::Upgrade,
        Self::Extend,
    ];

    fn of(self, facts: &OAuth) -> Option<&'static str> {
        match self {
            Self::Token => Some(facts.token_url),
            Self::Authorize => facts.authorize_url,
            Self::Refresh => facts.refresh_url,
            Self::Revoke => facts.revoke_url,
            Self::Introspect => facts.introspect_url,
            Self::Device => facts.device_url,
            Self::Upgrade => facts.upgrade.map(|exchange| exchange.url),
            Self::Extend => facts.extend.map(|exchange| exchange.url),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Authorize => "authorize",
            Self::Refresh => "refresh",
            Self::Revoke => "revoke",
            Self::Introspect => "introspect",
            Self::Device => "device",
            Self::Upgrade => "upgrade",
            Self::Extend => "extend",
        }
    }
}

/// Where an issuer is, and how it departs from the standards: a vendor's facts, or what [`Issuer::discover`] found.
///
/// ```
/// use integrations_core::provider::OAuth;
/// use integrations_oauth::Issuer;
/// const FACTS: OAuth = OAuth::new("https://login.example/{tenant}/token").vars(&[("tenant", "")]);
/// let issuer = Issuer::from(FACTS).var("tenant", "acme");
/// ```
#[derive(Debug, Clone)]
pub struct Issuer {
    pub(super) facts: OAuth,
    addresses: [Option<String>; Address::ALL.len()],
    name: Option<String>,
    vars: Vec<(String, String)>,
    pub(super) names_itself: bool,
    pub(super) jwks_uri: Option<String>,
    pub(super) userinfo_url: Option<String>,
    pub(super) logout_url: Option<String>,
    pub(super) id_token_algorithms: Option<Vec<String>>, // tidy: not a secret, names of algorithms
    pub(super) tells_logouts: bool,
}

impl From<OAuth> for Issuer {
    fn from(facts: OAuth) -> Self {
        Self {
            facts,
            addresses: Address::ALL.map(|address| address.of(&facts).map(str::to_owned)),
            name: facts.issuer.map(str::to_owned),
            vars: Vec::new(),
            names_itself: false,
            jwks_uri: None,
            userinfo_url: None,
            logout_url: None,
            id_token_algorithms: None,
            tells_logouts: false,
        }
    }
}

impl Issuer {
    /// Fills the part `{name}` of addresses. The value may have letters, digits, `.`, `_` and `-`: with anything else it
    /// could lead to another host. What is wrong is told when the client is built.
    #[must_use]
    pub fn var(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.vars.push((name.into(), value.into()));
        self
    }

    /// Sets one address: for an issuer of one's own, or a fake.
    #[must_use]
    pub fn at(mut self, address: Address, url: impl Into<String>) -> Self {
        self.addresses[address as usize] = Some(url.into());
        self
    }

    /// Sets the name by which the issuer calls itself in `iss` (RFC 9207).
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name by which the issuer calls itself.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where the issuer's keys are, as its metadata says: for whoever verifies its statements.
    pub fn jwks_uri(&self) -> Option<&str> {
        self.jwks_uri.as_deref()
    }

    /// Where the issuer says who an access token's user is (OpenID Connect Core 1.0 section 5.3), as its metadata says.
    pub fn userinfo_url(&self) -> Option<&str> {
        self.userinfo_url.as_deref()
    }

    /// Where browsers are sent to sign out (OpenID Connect RP-Initiated Logout 1.0), as the issuer's metadata says.
    pub fn logout_url(&self) -> Option<&str> {
        self.logout_url.as_deref()
    }

    /// What the issuer signs its statements about users with, as its metadata says; `None` if it does not.
    pub fn id_token_algorithms(&self) -> Option<&[String]> {
        self.id_token_algorithms.as_deref()
    }

    /// Whether the issuer's metadata says that it tells when somebody signed out (OpenID Connect Back-Channel Logout 1.0).
    pub fn tells_logouts(&self) -> bool {
        self.tells_logouts
    }

    /// Whether the issuer has such an address.
    pub fn has(&self, address: Address) -> bool {
        self.addresses[address as usize].is_some()
    }

    /// All parts filled and all addresses checked.
    pub(super) fn resolved(&self) -> Result<Resolved> {
        self.check_vars()?;
        let mut addresses = [const { None }; Address::ALL.len()];
        for (address, place) in Address::ALL.iter().zip(&mut addresses) {
            if let Some(template) = &self.addresses[*address as usize] {
                let url = self.filled(template)?;
                let about =
                    |e: Error| e.with_context(&format!("the {} address of the issuer", address.name()));
                *place = Some((safe_uri(&url).map_err(about)?, url));
            }
        }
        let name = self.name.as_deref().map(|name| self.filled(name)).transpose()?;
        Ok(Resolved { facts: self.facts, addresses, name, names_itself: self.names_itself })
    }

    fn check_vars(&self) -> Result<()> {
        let templates = || self.addresses.iter().flatten().chain(&self.name);
        for (name, value) in &self.vars {
            if !templates().any(|template| template.contains(&format!("{{{name}}}"))) {
                return Err(Error::config(format!("no address of the issuer has a part `{{{name}}}`")));
            }
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
            if value.is_empty() || !value.bytes().all(plain) || value.bytes().all(|b| b == b'.') {
                return Err(Error::config(format!(
                    "the part `{name}` of the issuer's addresses is malformed"
                ))
                .with_hint("it may have letters, digits, `.`, `_` and `-`"));
            }
        }
        Ok(())
    }

    fn filled(&self, template: &str) -> Result<String> {
        let mut url = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            url.push_str(before);
            url.push_str(self.value(name)?);
            rest = after;
        }
        url.push_str(rest);
        Ok(url)
    }

    fn value(&self, name: &str) -> Result<&str> {
        let given = self.vars.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let default = || self.facts.vars.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        given.or_else(default).filter(|value| !value.is_empty()).ok_or_else(|| {
            Error::config(format!("the part `{name}` of the issuer's addresses is missing"))
                .with_hint(format!("set it: `.var(\"{name}\", …)`"))
        })
    }
}

/// An issuer whose addresses can be used.
pub(super) struct Resolved {
    pub(super) facts: OAuth,
    addresses: [Option<(Uri, String)>; Address::ALL.len()],
    pub(super) name: Option<String>,
    pub(super) names_itself: bool,
}

impl Resolved {
    /// [`ErrorKind::Unsupported`](integrations_core::ErrorKind) if the issuer has no such address.
    pub(super) fn at(&self, address: Address) -> Result<&Uri> {
        self.addresses[address as usize].as_ref().map(|(uri, _)| uri).ok_or_else(|| {
            Error::unsupported(
                format!("the issuer has no {} address", address.name()),
                "if it has one, set it with `Issuer::at`",
            )
        })
    }

    /// The token address as it was given.
    pub(super) fn token_address(&self) -> &str {
        self.addresses[Address::Token as usize].as_ref().map_or("", |(_, url)| url)
    }

    /// Scopes with the issuer's separator; `None` without any.
    pub(super) fn joined<'a>(&self, scopes: impl IntoIterator<Item = &'a str>) -> Option<String> {
        let scopes: Vec<&str> = scopes.into_iter().collect();
        (!scopes.is_empty()).then(|| scopes.join(self.facts.scope_separator.encode_utf8(&mut [0; 4])))
    }
}

/// An address to which secrets may go: `https`, or `http` to this machine, without a user and a fragment.
/// [`ErrorKind::Config`](integrations_core::ErrorKind) for any other.
pub fn safe_uri(url: &str) -> Result<Uri> {
    let uri: Uri = url.parse().map_err(|_| Error::config("it is not a URL"))?;
    let host = uri.host().unwrap_or_default();
    let safe = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => is_loopback(host),
        _ => false,
    };
    if !safe {
        return Err(Error::config("it is not `https`").with_hint("`http` is allowed to this machine alone"));
    }
    let odd =
        host.is_empty() || url.contains('#') || uri.authority().is_some_and(|a| a.as_str().contains('@'));
    if odd {
        return Err(Error::config("it has a user, a fragment or no host"));
    }
    Ok(uri)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use integrations_core::ErrorKind;

    use super::*;

    const FACTS: OAuth = OAuth::new("https://{host}/{tenant}/token")
        .authorize_url("https://{host}/{tenant}/authorize")
        .issuer("https://{host}/{tenant}")
        .vars(&[("host", "login.example"), ("tenant", "")]);

    fn message(issuer: &Issuer) -> String {
        let error = issuer.resolved().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.message().to_owned()
    }

    #[test]
    fn parts_are_filled_by_what_was_given_and_by_defaults() {
        let found = Issuer::from(FACTS).var("tenant", "acme").resolved().unwrap();
        assert_eq!(found.at(Address::Token).unwrap(), "https://login.example/acme/token");
        assert_eq!(found.name.as_deref(), Some("https://login.example/acme"));
        let found = Issuer::from(FACTS).var("tenant", "acme").var("host", "eu.example").resolved().unwrap();
        assert_eq!(found.at(Address::Authorize).unwrap(), "https://eu.example/acme/authorize");
        assert_eq!(found.at(Address::Revoke).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_part_that_is_missing_unknown_or_leads_elsewhere_is_refused_by_name() {
        assert!(message(&Issuer::from(FACTS)).contains("`tenant`"));
        assert!(message(&Issuer::from(FACTS).var("tenat", "x")).contains("{tenat}"));
        for value in ["", "evil.example/x", "a@b", "..", "a?b", "a#b", "a%2fb", "{host}"] {
            assert!(message(&Issuer::from(FACTS).var("tenant", value)).contains("`tenant`"), "{value}");
        }
    }

    #[test]
    fn secrets_go_by_https_or_to_this_machine() {
        for good in
            ["https://a.example/t?x=1", "http://127.0.0.1:1/t", "http://[::1]:1/t", "http://localhost/t"]
        {
            assert!(safe_uri(good).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example/t",
            "http://localhost.evil.example/t",
            "ftp://a.example/t",
            "/t",
            "",
            "https://u:p@a.example/t",
            "https://a.example/t#f",
        ] {
            assert_eq!(safe_uri(bad).unwrap_err().kind(), ErrorKind::Config, "{bad}");
        }
        let unsafe_one =
            Issuer::from(OAuth::new("https://a.example/t")).at(Address::Revoke, "http://a.example/r");
        assert!(message(&unsafe_one).contains("revoke"));
    }
}
