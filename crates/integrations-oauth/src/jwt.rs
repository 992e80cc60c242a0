//! Statements that are signed with a private key: who a client is (RFC 7523 section 2.2), and for whom tokens are wanted
//! (section 2.1).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use integrations_core::{Error, Result, SecretString};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::client::{Client, ClientAssertion, TokenSource, random};
use crate::token::TokenSet;

pub use integrations_core::jose::SigningKey;

/// A statement is dated back by this much: a verifier whose clock is behind ours refuses what comes from the future, and
/// says no more than that the statement is invalid.
const BACKDATED: Duration = Duration::from_secs(60);

/// Signs one kind of statement, anew each time.
///
/// | for | `issuer` | `subject` | `audience` | `lifetime` |
/// |---|---|---|---|---|
/// | `private_key_jwt` | client id | client id | not set: the token address | up to 5 min |
/// | Apple's client secret | team id | client id | `https://appleid.apple.com` | up to 6 months |
/// | a Google service account | its e-mail | whom it acts for, if anybody | not set | up to 1 h |
/// | Salesforce | consumer key | user name | `https://login.salesforce.com` | up to 5 min |
#[derive(Debug)]
pub struct Statement {
    key: SigningKey,
    issuer: String,
    subject: Option<String>,
    audience: Option<String>,
    lifetime: Duration,
    claims: Map<String, Value>,
}

impl Statement {
    /// A statement of `issuer`, good for five minutes.
    pub fn new(key: SigningKey, issuer: impl Into<String>) -> Self {
        Self {
            key,
            issuer: issuer.into(),
            subject: None,
            audience: None,
            lifetime: Duration::from_secs(300),
            claims: Map::new(),
        }
    }

    /// Sets whom it is about (`sub`).
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets whom it is for (`aud`). Default: the address that it is sent to.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Sets how long it is good for, from its date, which is a minute back: more than a minute.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Adds a text that the other side wants to see, such as Google's `scope`.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.claims.insert(name.into(), Value::String(value.into()));
        self
    }

    fn signed(&self, audience: &str, now: Timestamp) -> Result<SecretString> {
        if self.lifetime <= BACKDATED {
            return Err(Error::config("a statement would be over before it is sent")
                .with_hint("give it a life of more than a minute: it is dated a minute back"));
        }
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX / 4);
        let dated = now.as_second() - seconds(BACKDATED);
        let mut claims = self.claims.clone();
        claims.insert("iss".into(), self.issuer.as_str().into());
        if let Some(subject) = &self.subject {
            claims.insert("sub".into(), subject.as_str().into());
        }
        claims.insert("aud".into(), self.audience.as_deref().unwrap_or(audience).into());
        claims.insert("iat".into(), dated.into());
        claims.insert("exp".into(), (dated + seconds(self.lifetime)).into());
        // So that a statement that is seen twice is noticed.
        claims.insert("jti".into(), random()?.expose().as_str().into());
        self.key.sign("JWT", &claims)
    }
}

#[async_trait]
impl ClientAssertion for Statement {
    async fn assertion(&self, audience: &str, now: Timestamp) -> Result<SecretString> {
        self.signed(audience, now)
    }
}

/// Tokens for signed statements, such as those of a service account: nobody has to consent, and there is nothing to
/// refresh.
#[derive(Debug)]
pub struct JwtBearer {
    client: Client,
    statement: Arc<Statement>,
    scopes: Vec<String>,
}

impl JwtBearer {
    /// Tokens for this statement; with no scopes when they stand in the statement.
    pub fn new<S: Into<String>>(
        client: Client,
        statement: Statement,
        scopes: impl IntoIterator<Item = S>,
    ) -> Self {
        Self { client, statement: Arc::new(statement), scopes: scopes.into_iter().map(Into::into).collect() }
    }

    async fn exchange(&self) -> Result<TokenSet> {
        self.client.jwt_bearer_signed(self.statement.clone(), &self.scopes).await
    }
}

#[async_trait]
impl TokenSource for JwtBearer {
    fn needs_user(&self) -> bool {
        false
    }

    async fn initial(&self) -> Result<Option<TokenSet>> {
        self.exchange().await.map(Some)
    }

    async fn refresh(&self, _: &TokenSet) -> Result<TokenSet> {
        self.exchange().await
    }

    async fn revoke(&self, present: &TokenSet) -> Result<()> {
        self.client.revoke(present).await
    }

    fn scheme(&self) -> &str {
        TokenSource::scheme(&self.client)
    }
}

#[cfg(test)]
mod tests {
    use integrations_core::jose::{Algorithm, Claims, Jws, KeySet};
    use serde_json::json;

    use super::*;

    fn key() -> SigningKey {
        SigningKey::generate(Algorithm::Es256).unwrap().id("k1")
    }

    fn keys(of: &Statement) -> KeySet {
        let set = json!({ "keys": [of.key.public_jwk().unwrap()] });
        KeySet::from_jwks(set.to_string().as_bytes()).unwrap()
    }

    fn opened(jwt: &SecretString, keys: &KeySet) -> Claims {
        Jws::parse(jwt.expose()).unwrap().verify(keys, Algorithm::PUBLIC).unwrap()
    }

    #[test]
    fn a_statement_is_a_jwt_under_the_id_of_its_key() {
        for algorithm in [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa] {
            let statement = Statement::new(SigningKey::generate(algorithm).unwrap().id("k1"), "team");
            let signed = statement.signed("aud", now()).unwrap();
            opened(&signed, &keys(&statement));
            let jws = Jws::parse(signed.expose()).unwrap();
            let header = jws.header();
            assert_eq!(
                (header.alg.as_str(), header.typ.as_deref(), header.kid.as_deref()),
                (algorithm.as_str(), Some("JWT"), Some("k1"))
            );
        }
    }

    #[test]
    fn a_statement_says_what_it_was_told_and_is_dated_back() {
        let statement = Statement::new(key(), "robot@example.com")
            .subject("boss@example.com")
            .lifetime(Duration::from_secs(3_600))
            .claim("scope", "calendar");
        let keys = keys(&statement);
        let claims = opened(&statement.signed("https://issuer/token", now()).unwrap(), &keys);
        let mut claims = claims.into_map();
        let id = claims.remove("jti").unwrap();
        assert_eq!(id.as_str().unwrap().len(), 43);
        assert_eq!(
            Value::Object(claims),
            json!({
                "iss": "robot@example.com", "sub": "boss@example.com", "aud": "https://issuer/token",
                "iat": 1_795_175_940, "exp": 1_795_179_540, "scope": "calendar",
            })
        );
        let elsewhere = statement.audience("https://login.example");
        let claims = opened(&elsewhere.signed("x", now()).unwrap(), &keys);
        assert_eq!(claims.text("aud"), Some("https://login.example"));
        assert_ne!(claims.get("jti"), Some(&id), "no statement is like another");
    }

    #[test]
    fn a_statement_that_would_be_over_already_is_not_signed() {
        let lives =
            |seconds| Statement::new(key(), "a").lifetime(Duration::from_secs(seconds)).signed("b", now());
        assert!(lives(61).is_ok() && lives(u64::MAX).is_ok());
        for seconds in [0, 60] {
            assert_eq!(lives(seconds).unwrap_err().kind(), integrations_core::ErrorKind::Config);
        }
    }

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }
}
