//! What access tokens say (RFC 9068).

use std::time::Duration;

use integrations_core::jose::{Claims, JwtError};
use integrations_core::{Error, Result};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::opaque;

/// The kind of token, so that no other token of ours is taken for one.
pub(super) const TYPE: &str = "at+jwt";

/// By how much the clocks of one fleet may differ.
const LEEWAY: Duration = Duration::from_secs(10);

/// What the issuer itself sets.
const RESERVED: [&str; 10] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "tid"];

/// What an access token is to say.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Grant {
    /// Who acts with it (`sub`): a user, or a program.
    pub subject: String,
    /// Who is to accept it (`aud`): the address of an API.
    pub audience: String,
    /// The tenant (`tid`); `""` where there are none.
    pub tenant: String,
    /// The program that got it, if that is not the application itself.
    pub client_id: Option<String>,
    /// What it allows.
    pub scopes: Vec<String>,
    /// How long it is good for, in whole seconds; longer than the policy's time counts as that, which is the default.
    pub life: Option<Duration>,
    /// What else it says. Whoever holds the token can read it.
    pub claims: Map<String, Value>,
}

impl Grant {
    /// A token for somebody at an API, which allows nothing yet.
    pub fn new(subject: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            audience: audience.into(),
            tenant: String::new(),
            client_id: None,
            scopes: Vec::new(),
            life: None,
            claims: Map::new(),
        }
    }

    /// In this tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Given to this program.
    #[must_use]
    pub fn client_id(mut self, client: impl Into<String>) -> Self {
        self.client_id = Some(client.into());
        self
    }

    /// What it allows.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// How long it is good for.
    #[must_use]
    pub fn life(mut self, life: Duration) -> Self {
        self.life = Some(life);
        self
    }

    /// Says something else, too.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// The claims of a token that is issued now.
    pub(super) fn claims(
        &self,
        issuer: &str,
        now: Timestamp,
        longest: Duration,
    ) -> Result<Map<String, Value>> {
        self.check()?;
        let life = self.life.unwrap_or(longest).min(longest).as_secs();
        if life == 0 {
            return Err(Error::invalid_request("the access token would have ended before it began"));
        }
        let now = now.as_second();
        let mut claims = self.claims.clone();
        let id = opaque::id()?;
        let text = [
            ("iss", issuer),
            ("sub", &self.subject),
            ("aud", &self.audience),
            ("jti", &id),
            ("tid", &self.tenant),
            ("client_id", self.client_id.as_deref().unwrap_or_default()),
            ("scope", &self.scopes.join(" ")),
        ];
        let said = text.into_iter().filter(|(_, text)| !text.is_empty());
        claims.extend(said.map(|(name, text)| (name.to_owned(), text.into())));
        claims.extend([("iat".to_owned(), now.into()), ("exp".to_owned(), (now + life as i64).into())]);
        Ok(claims)
    }

    fn check(&self) -> Result<()> {
        if self.subject.is_empty() || self.audience.is_empty() {
            return Err(Error::invalid_request("an access token needs a subject and an audience"));
        }
        if let Some(name) = RESERVED.into_iter().find(|name| self.claims.contains_key(*name)) {
            return Err(Error::invalid_request(format!("the issuer itself sets the claim `{name}`")));
        }
        if !self.scopes.iter().all(|scope| is_scope(scope)) {
            return Err(Error::invalid_request("a scope is not as RFC 6749 section 3.3 has it")
                .with_hint("use visible ASCII without spaces, quotes and backslashes"));
        }
        Ok(())
    }
}

fn is_scope(scope: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    !scope.is_empty() && scope.bytes().all(fits)
}

/// What an access token says that was found good.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AccessClaims {
    /// Who acts with it.
    pub subject: String,
    /// The tenant; `""` where there are none.
    pub tenant: String,
    /// The program that got it, if that is not the application itself.
    pub client_id: Option<String>,
    /// What it allows.
    pub scopes: Vec<String>,
    /// Its own name, never used twice.
    pub id: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// What else it says.
    pub claims: Map<String, Value>,
}

impl AccessClaims {
    /// Whether it allows something.
    pub fn allows(&self, scope: &str) -> bool {
        self.scopes.iter().any(|allowed| allowed == scope)
    }

    pub(super) fn read(
        claims: Claims,
        issuer: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<Self, JwtError> {
        claims.expect("iss", issuer)?;
        claims.expect_audience(audience)?;
        claims.expect_now(now, LEEWAY)?;
        let optional = |name: &'static str| claims.get(name).map(|_| claims.need(name)).transpose();
        let scopes = optional("scope")?.unwrap_or_default().split(' ').filter(|scope| !scope.is_empty());
        let read = Self {
            subject: claims.need("sub")?.to_owned(),
            tenant: optional("tid")?.unwrap_or_default().to_owned(),
            client_id: optional("client_id")?.map(str::to_owned),
            scopes: scopes.map(str::to_owned).collect(),
            id: claims.need("jti")?.to_owned(),
            issued_at: claims.time("iat")?.ok_or(JwtError::Missing("iat"))?,
            expires_at: claims.time("exp")?.ok_or(JwtError::Missing("exp"))?,
            claims: Map::new(),
        };
        let mut claims = claims.into_map();
        claims.retain(|name, _| !RESERVED.contains(&name.as_str()));
        Ok(Self { claims, ..read })
    }
}
