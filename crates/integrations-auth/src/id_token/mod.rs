//! Statements of issuers about users, verified (OpenID Connect Core 1.0).

#[cfg(any(feature = "entra", feature = "oidc"))]
mod browser_logout;
mod hash;
mod issuer;
mod logout;
#[cfg(any(feature = "entra", feature = "google-sign-in", feature = "oidc"))]
mod profile;
#[cfg(any(feature = "entra", feature = "google-sign-in", feature = "oidc"))]
mod relying;
#[cfg(test)]
mod tests;

use std::time::Duration;

use integrations_core::jose::{Algorithm, Claims, Jws, JwtError, MAX_LEEWAY};
use integrations_core::{Clock, Error, Result, SecretString};
use jiff::{SignedDuration, Timestamp};

use crate::LogoutNotice;
use crate::jwks::JwksCache;

#[cfg(any(feature = "entra", feature = "oidc"))]
pub(crate) use browser_logout::browser_logout;
#[cfg(feature = "entra")]
pub(crate) use issuer::is_tenant;
pub use issuer::{IssuerRule, Tenants};
#[cfg(any(feature = "entra", feature = "google-sign-in", feature = "oidc"))]
pub use profile::UserInfo;
#[cfg(any(feature = "entra", feature = "google-sign-in", feature = "oidc"))]
pub(crate) use profile::{Standard, completed, email, said_to_be_verified};
#[cfg(any(feature = "entra", feature = "google-sign-in", feature = "oidc"))]
pub(crate) use relying::{OpenId, Ways, refused};

/// OpenID Connect Core 1.0 section 2.
const LONGEST_SUBJECT: usize = 255;

/// The claim by which a logout token says what it is (OpenID Connect Back-Channel Logout 1.0 section 2.4).
const EVENTS: &str = "events";

/// Verifies what an issuer states about users: ID tokens (OpenID Connect Core 1.0 section 3.1.3.7) and logout tokens
/// (OpenID Connect Back-Channel Logout 1.0 section 2.6). Cheap to clone.
#[derive(Debug, Clone)]
#[must_use]
pub struct IdTokenVerifier {
    keys: JwksCache,
    issuer: IssuerRule,
    client_id: String,
    allowed: Vec<Algorithm>,
    leeway: Duration,
    clock: Clock,
}

/// What an ID token is held against besides issuer, audience and time. Nothing is expected by default: for a token that came
/// without a flow of one's own, such as at a refresh.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct Expect<'e> {
    nonce: Option<&'e SecretString>,
    max_age: Option<Duration>,
    access: Option<&'e SecretString>,
    code: Option<&'e SecretString>,
}

impl<'e> Expect<'e> {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The token must hold this nonce, which was sent with the request.
    pub fn nonce(mut self, nonce: &'e SecretString) -> Self {
        self.nonce = Some(nonce);
        self
    }

    /// The token must say when the user proved themselves (`auth_time`), and that it was within this time before now.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// The access token that came with it: the token's hash of it (`at_hash`), if there is one, must fit.
    pub fn access(mut self, access: &'e SecretString) -> Self {
        self.access = Some(access);
        self
    }

    /// The code that came with it: the token's hash of it (`c_hash`), if there is one, must fit.
    pub fn code(mut self, code: &'e SecretString) -> Self {
        self.code = Some(code);
        self
    }
}

impl IdTokenVerifier {
    /// Verifies statements of an issuer for this client.
    pub fn new(keys: JwksCache, issuer: impl Into<IssuerRule>, client_id: impl Into<String>) -> Self {
        Self {
            keys,
            issuer: issuer.into(),
            client_id: client_id.into(),
            allowed: Algorithm::PUBLIC.to_vec(),
            leeway: MAX_LEEWAY,
            clock: Clock::system(),
        }
    }

    /// The algorithms that are accepted. Default: [`Algorithm::PUBLIC`].
    pub fn allowed(mut self, allowed: impl IntoIterator<Item = Algorithm>) -> Self {
        self.allowed = allowed.into_iter().collect();
        self
    }

    /// By how much the issuer's clock may differ. Default, and at most: 60 seconds.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway.min(MAX_LEEWAY);
        self
    }

    /// The clock. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The issuer's keys.
    pub fn keys(&self) -> &JwksCache {
        &self.keys
    }

    /// What an ID token says, once all of it was found right.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`](integrations_core::ErrorKind), with a [`JwtError`] in the chain and its
    /// [`code`](JwtError::code) as [`Error::code`]; whatever the fetch of the keys failed with.
    pub async fn verify(&self, token: &SecretString, expect: &Expect<'_>) -> Result<Claims> {
        let jws = Jws::parse(token.expose())?;
        check_kind(jws.header().typ.as_deref(), &[])?;
        let claims = self.keys.verify(&jws, &self.allowed).await?;
        self.check_parties(&claims)?;
        claims.expect_now(self.clock.now(), self.leeway)?;
        claims.time("iat")?.ok_or(JwtError::Missing("iat"))?;
        if claims.get(EVENTS).is_some() {
            return Err(JwtError::Mismatch(EVENTS).into());
        }
        check_nonce(&claims, expect.nonce)?;
        if let Some(age) = expect.max_age {
            self.check_age(&claims, age)?;
        }
        for (name, of) in [("at_hash", expect.access), ("c_hash", expect.code)] {
            hash::check(&claims, name, of, &jws.header().alg)?;
        }
        check_subject(&claims)?;
        Ok(claims)
    }

    /// What a logout token says, once all of it was found right. That it was not used before is for whoever keeps
    /// [`LogoutNotice::id`].
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub async fn verify_logout(&self, token: &SecretString) -> Result<LogoutNotice> {
        let jws = Jws::parse(token.expose())?;
        check_kind(jws.header().typ.as_deref(), &["logout+jwt"])?;
        let claims = self.keys.verify(&jws, &self.allowed).await?;
        self.check_parties(&claims)?;
        logout::read(&claims, self.clock.now(), self.leeway)
    }

    /// Who speaks, and to whom.
    fn check_parties(&self, claims: &Claims) -> Result<(), JwtError> {
        self.issuer.check(claims)?;
        claims.expect_audience(&self.client_id)?;
        if claims.audiences()?.len() > 1 || claims.get("azp").is_some() {
            claims.expect("azp", &self.client_id)?;
        }
        Ok(())
    }

    fn check_age(&self, claims: &Claims, age: Duration) -> Result<()> {
        const AUTH_TIME: &str = "auth_time";
        let proven: Timestamp = claims.time(AUTH_TIME)?.ok_or(JwtError::Missing(AUTH_TIME))?;
        let past = self.clock.now().duration_since(proven);
        let leeway = SignedDuration::try_from(self.leeway).unwrap_or_default();
        if past < -leeway {
            return Err(JwtError::NotYet(-past).into());
        }
        let most = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX).saturating_add(leeway);
        if past > most {
            let error = Error::from(JwtError::Mismatch(AUTH_TIME));
            return Err(
                error.with_hint("they proved themselves longer ago than asked for: let them begin again")
            );
        }
        Ok(())
    }
}

/// That a token is not one of another kind, which says so in its header (RFC 8725 section 3.11): an access token, a logout
/// token, a request. Those without a kind of their own say `JWT` or nothing.
fn check_kind(typ: Option<&str>, accepted: &[&str]) -> Result<(), JwtError> {
    let Some(typ) = typ else { return Ok(()) };
    let typ = typ.to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    if typ.ends_with("+jwt") && !accepted.contains(&typ) { Err(JwtError::Mismatch("typ")) } else { Ok(()) }
}

fn check_nonce(claims: &Claims, expected: Option<&SecretString>) -> Result<(), JwtError> {
    let Some(expected) = expected else { return Ok(()) };
    if expected.ct_eq(claims.need("nonce")?) { Ok(()) } else { Err(JwtError::Mismatch("nonce")) }
}

fn check_subject(claims: &Claims) -> Result<(), JwtError> {
    if claims.need("sub")?.len() > LONGEST_SUBJECT { Err(JwtError::Malformed("sub")) } else { Ok(()) }
}
