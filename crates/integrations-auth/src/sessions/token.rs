//! The secret that a browser holds, and the cookie that it is in.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use integrations_core::{Error, Result, Secret, SecretString};

use super::SessionId;
use crate::names::hashed;
use crate::{cookies, opaque};

/// Browsers take a cookie of this prefix only over TLS, for the whole of this host, and from no other host
/// (draft-ietf-httpbis-rfc6265bis section 4.1.3.2).
const COOKIE: &str = "__Host-sid";
const SECRET: usize = 32;
/// The longest text of a token: what is longer came from nobody here.
const LONGEST: usize = 1024;

/// What a browser shows to be signed in: 256 random bits, and before them the tenant, if there is one. A store keeps the
/// SHA-256 of it.
#[derive(Clone)]
pub struct SessionToken {
    tenant: String,
    text: SecretString,
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionToken").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl SessionToken {
    pub(super) fn generate(tenant: &str) -> Result<Self> {
        if !is_tenant(tenant) {
            return Err(Error::invalid_request(
                "the name of the tenant is too long, or has control characters",
            )
            .with_hint("give tenants short names; they stand in the session's cookie"));
        }
        let text = format!("{}{}", prefix(tenant), opaque::token()?.expose());
        Ok(Self { tenant: tenant.to_owned(), text: text.into() })
    }

    /// Reads the text of a token; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (tenant, secret) = text.rsplit_once('.').unwrap_or(("", text));
        let tenant = String::from_utf8(URL_SAFE_NO_PAD.decode(tenant).ok()?).ok()?;
        let secret = Secret::new(URL_SAFE_NO_PAD.decode(secret).ok()?);
        // One text for each token: with the empty tenant there is no dot.
        let is_whole = secret.expose().len() == SECRET && text.starts_with(&prefix(&tenant));
        let is_dotted = text.contains('.');
        (is_whole && is_dotted != tenant.is_empty() && is_tenant(&tenant))
            .then(|| Self { tenant, text: text.into() })
    }

    /// The text, for a place other than a cookie.
    pub fn text(&self) -> &SecretString {
        &self.text
    }

    /// The tenant whose user is signed in, by what the browser says: the session says it in truth.
    pub(super) fn tenant(&self) -> &str {
        &self.tenant
    }

    pub(super) fn id(&self) -> SessionId {
        SessionId::new(hashed(&["session", self.text.expose()]))
    }

    /// The value of `Set-Cookie` that signs a browser in: `__Host-sid=…; Path=/; Secure; HttpOnly; SameSite=Lax`. It
    /// ends with the browser, and the session at the latest when its time is over. Marked as sensitive.
    pub fn set_cookie(&self) -> Result<HeaderValue> {
        cookies::set(COOKIE, self.text.expose(), None)
    }

    /// The value of `Set-Cookie` that makes a browser forget its token.
    pub fn forget_cookie() -> HeaderValue {
        HeaderValue::from_static("__Host-sid=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
    }

    /// The token in a request's `Cookie` fields; `None` without one, also if its text is no token.
    ///
    /// The name is compared by its bytes, and nothing but spaces is cut off before it: browsers protect the exact name
    /// alone.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`](integrations_core::ErrorKind) with the code `duplicate_cookie` if there are several: one of them was slipped in.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>> {
        Ok(cookies::find(headers, COOKIE)?.and_then(Self::parse))
    }
}

fn is_tenant(tenant: &str) -> bool {
    prefix(tenant).len() + SECRET.div_ceil(3) * 4 <= LONGEST && !tenant.contains(char::is_control)
}

fn prefix(tenant: &str) -> String {
    if tenant.is_empty() { String::new() } else { format!("{}.", URL_SAFE_NO_PAD.encode(tenant)) }
}
