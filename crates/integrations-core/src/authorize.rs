//! The usual ways to prove a call, with a secret that may be replaced while it is in use.

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::endpoint::{Authorize, CredentialVersion};
use crate::error::{Error, Result};
use crate::secret::{LiveSecret, SecretString};
use crate::wire::WireRequest;

/// `Authorization: Bearer TOKEN` (RFC 6750 section 2.1), or with a vendor's own word in place of `Bearer`.
///
/// ```
/// use integrations_core::{Authorize, Bearer, Req};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let mut request = Req::get(&"https://api.example.com".parse()?).path(["me"]).build()?;
/// Bearer::new("t-1").scheme("token").authorize(&mut request).await?;
/// assert_eq!(request.headers()["authorization"], "token t-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Bearer {
    scheme: &'static str,
    token: LiveSecret,
}

impl Bearer {
    /// Puts the token on each attempt.
    pub fn new(token: impl Into<LiveSecret>) -> Self {
        Self { scheme: "Bearer", token: token.into() }
    }

    /// Sets the word before the token, such as `token` or `DeepL-Auth-Key`. Default: `Bearer`.
    pub fn scheme(mut self, scheme: &'static str) -> Self {
        self.scheme = scheme;
        self
    }
}

#[async_trait]
impl Authorize for Bearer {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        let scheme = self.scheme;
        put(request, AUTHORIZATION, &self.token, |token| Zeroizing::new(format!("{scheme} {token}")))
    }

    async fn refresh(&self, used: Option<CredentialVersion>) -> Result<bool> {
        renew(&self.token, used).await
    }
}

/// The token that somebody puts on requests as `Authorization: Bearer TOKEN`, for services that take it elsewhere.
/// [`ErrorKind::Config`](crate::ErrorKind) if it is no bearer token.
///
/// ```
/// use integrations_core::{Basic, Bearer, bearer_token};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// assert_eq!(bearer_token(&Bearer::new("t-1")).await?.expose(), "t-1");
/// assert!(bearer_token(&Basic::new("user", "password")?).await.is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn bearer_token(authorizer: &dyn Authorize) -> Result<SecretString> {
    let mut carrier = WireRequest::default();
    authorizer.authorize(&mut carrier).await?;
    let value = carrier.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(SecretString::from)
        .ok_or_else(|| Error::config("whoever proves the calls of this connection gave no bearer token"))
}

/// A key in a header of the vendor's own, such as `x-api-key`.
#[derive(Debug, Clone)]
#[must_use]
pub struct HeaderKey {
    header: HeaderName,
    key: LiveSecret,
}

impl HeaderKey {
    /// Puts the key on each attempt.
    pub fn new(header: HeaderName, key: impl Into<LiveSecret>) -> Self {
        Self { header, key: key.into() }
    }
}

#[async_trait]
impl Authorize for HeaderKey {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        put(request, self.header.clone(), &self.key, |key| Zeroizing::new(key.to_owned()))
    }

    async fn refresh(&self, used: Option<CredentialVersion>) -> Result<bool> {
        renew(&self.key, used).await
    }
}

/// User and password, `Authorization: Basic …` (RFC 7617), in UTF-8.
#[derive(Debug, Clone)]
#[must_use]
pub struct Basic {
    user: String,
    password: LiveSecret,
}

impl Basic {
    /// Puts both on each attempt. [`ErrorKind::Config`](crate::ErrorKind) for a user with a colon or a control character,
    /// which RFC 7617 section 2 forbids.
    pub fn new(user: impl Into<String>, password: impl Into<LiveSecret>) -> Result<Self> {
        let user = user.into();
        if user.contains(|c: char| c == ':' || c.is_control()) {
            return Err(Error::config("the user of a Basic credential has a colon or a control character"));
        }
        Ok(Self { user, password: password.into() })
    }
}

#[async_trait]
impl Authorize for Basic {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        let credentials = |password: &str| {
            let pair = Zeroizing::new(format!("{}:{password}", self.user));
            Zeroizing::new(format!("Basic {}", *Zeroizing::new(BASE64_STANDARD.encode(&*pair))))
        };
        put(request, AUTHORIZATION, &self.password, credentials)
    }

    async fn refresh(&self, used: Option<CredentialVersion>) -> Result<bool> {
        renew(&self.password, used).await
    }
}

fn put(
    request: &mut WireRequest,
    header: HeaderName,
    secret: &LiveSecret,
    text: impl FnOnce(&str) -> Zeroizing<String> + Send,
) -> Result<()> {
    let present = secret.current();
    let mut value = HeaderValue::from_str(&text(present.value.expose()))
        .map_err(|_| Error::config("the credential has characters that no header may have"))?;
    value.set_sensitive(true);
    request.headers_mut().insert(header, value);
    request.extensions_mut().insert(CredentialVersion(present.version));
    Ok(())
}

/// Without a version, somebody has taken it off the request: then nothing says what was refused.
async fn renew(secret: &LiveSecret, used: Option<CredentialVersion>) -> Result<bool> {
    match used {
        Some(CredentialVersion(used)) => Ok(secret.renew(used).await),
        None => Ok(false),
    }
}
