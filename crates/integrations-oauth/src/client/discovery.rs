//! What an issuer says about itself: OpenID Connect Discovery 1.0 and RFC 8414.

use std::sync::Arc;

use http::Uri;
use http::header::ACCEPT;
use integrations_core::pipeline::Pipeline;
use integrations_core::provider::{ClientAuth, OAuth, Pkce};
use integrations_core::{Caller, Error, ErrorKind, Req, Result, Transport, WireResponse};
use serde_json::{Map, Value};

use super::issuer::{Address, Issuer, safe_uri};
use super::{ops, reply};

/// Where the metadata has which address.
const ENDPOINTS: [(Address, &str); 5] = [
    (Address::Token, "token_endpoint"),
    (Address::Authorize, "authorization_endpoint"),
    (Address::Revoke, "revocation_endpoint"),
    (Address::Introspect, "introspection_endpoint"),
    (Address::Device, "device_authorization_endpoint"),
];

impl Issuer {
    /// Asks an issuer where its addresses are: at `/.well-known/openid-configuration`, then as RFC 8414 says. What it
    /// calls itself must be `issuer_url`, byte for byte.
    ///
    /// A redirect to another origin is refused. For an address that a tenant gave, use a transport that reaches public addresses alone.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](integrations_core::ErrorKind) if the address is neither `https` nor on this machine, if one of
    /// the addresses that it names is less safe than that, or if the issuer calls itself otherwise; [`ErrorKind::NotFound`](integrations_core::ErrorKind) if it says nothing.
    pub async fn discover(
        issuer_url: &str,
        transport: Arc<dyn Transport>,
        pipeline: Pipeline,
    ) -> Result<Self> {
        let base = safe_uri(issuer_url).map_err(|e| e.with_context("the issuer's address"))?;
        // RFC 8414 section 2. Behind a query, what is added to the path would be part of no path.
        if base.query().is_some() {
            return Err(Error::config("the issuer's address has a query"));
        }
        let caller = Caller::builder(base.clone(), transport, pipeline).build();
        let response = match fetch(&caller, &openid(&base)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => fetch(&caller, &rfc8414(&base)).await?,
            other => other?,
        };
        let metadata = reply::document(&response.body).map_err(|why| response.undecodable(why))?;
        of_metadata(issuer_url, &base, &metadata, &response)
    }
}

/// OpenID Connect Discovery 1.0 section 4: after the path.
fn openid(base: &Uri) -> String {
    format!("{}/.well-known/openid-configuration", base.to_string().trim_end_matches('/'))
}

/// RFC 8414 section 3: before the path.
fn rfc8414(base: &Uri) -> String {
    let authority = base.authority().map_or("", |authority| authority.as_str());
    let scheme = base.scheme_str().unwrap_or("https");
    let path = base.path().trim_end_matches('/');
    format!("{scheme}://{authority}/.well-known/oauth-authorization-server{path}")
}

async fn fetch(caller: &Caller, url: &str) -> Result<WireResponse> {
    let url = url.parse().map_err(|_| Error::config("the issuer's address is not a URL"))?;
    caller
        .exchange(&ops::DISCOVER, None, Req::get(&url).header(ACCEPT, Some("application/json")).build()?)
        .await
}

fn of_metadata(
    asked: &str,
    base: &Uri,
    metadata: &Map<String, Value>,
    response: &WireResponse,
) -> Result<Issuer> {
    let text = |name: &str| metadata.get(name).and_then(Value::as_str);
    // RFC 8414 section 3.3: else one issuer could speak for another.
    if text("issuer") != Some(asked) {
        return Err(Error::config("the issuer calls itself otherwise than it was asked for")
            .with_hint("give its address exactly as its metadata has it, with or without `/` at the end")
            .with_op(&ops::DISCOVER));
    }
    // An issuer that was asked over TLS is no reason to speak without it, not even to this machine.
    let check = |name: &str, url: &str| match safe_uri(url) {
        Ok(uri) if uri.scheme_str() == Some("http") && base.scheme_str() != Some("http") => {
            Err(Error::config(format!("the issuer's `{name}` is not `https`, though the issuer is")))
        }
        other => other.map(drop).map_err(|e| e.with_context(&format!("the issuer's `{name}`"))),
    };
    let mut issuer =
        Issuer::from(OAuth::new("").client_auth(client_auth(metadata)).pkce(pkce(metadata))).named(asked);
    for (address, name) in ENDPOINTS {
        match text(name) {
            Some(url) => {
                check(name, url)?;
                issuer = issuer.at(address, url);
            }
            None if address == Address::Token => {
                return Err(response.undecodable("the metadata has no `token_endpoint`"));
            }
            None => {}
        }
    }
    let checked = |name: &str| text(name).map(|url| check(name, url).map(|()| url.to_owned())).transpose();
    issuer.jwks_uri = checked("jwks_uri")?;
    issuer.userinfo_url = checked("userinfo_endpoint")?;
    issuer.logout_url = checked("end_session_endpoint")?;
    let says = |name: &str| metadata.get(name) == Some(&Value::Bool(true));
    issuer.names_itself = says("authorization_response_iss_parameter_supported");
    issuer.tells_logouts = says("backchannel_logout_supported");
    issuer.id_token_algorithms = texts(metadata, "id_token_signing_alg_values_supported");
    Ok(issuer)
}

fn texts(metadata: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    let list = metadata.get(name)?.as_array()?;
    Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// Basic is the default of RFC 8414.
fn client_auth(metadata: &Map<String, Value>) -> ClientAuth {
    let lists = |method| lists(metadata, "token_endpoint_auth_methods_supported", method);
    match (lists("client_secret_basic"), lists("client_secret_post")) {
        (Some(false), Some(true)) => ClientAuth::Body,
        _ => ClientAuth::Basic,
    }
}

/// An issuer that says nothing about proof keys has to ignore them (RFC 6749 section 3.1).
fn pkce(metadata: &Map<String, Value>) -> Pkce {
    match lists(metadata, "code_challenge_methods_supported", "S256") {
        Some(false) => Pkce::None,
        _ => Pkce::S256,
    }
}

fn lists(metadata: &Map<String, Value>, name: &str, value: &str) -> Option<bool> {
    metadata.get(name)?.as_array().map(|list| list.iter().any(|listed| listed == value))
}
