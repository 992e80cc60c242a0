//! Tokens that the application issues itself, under keys that rotate.
//!
//! Access tokens are JWTs (RFC 9068), signed with keys that a fleet of processes shares through a [`RecordStore`], which
//! keeps them sealed. The keys rotate without anybody doing anything: there is always a next one, published for at least a
//! day before it signs, and what has signed is published until its last token is over.

mod access;
mod keeper;
mod refresh;
mod ring;

use std::sync::Arc;
use std::time::Duration;

use integrations_core::jose::{Algorithm, Jws, JwtError, MAX_LEEWAY};
use integrations_core::{Clock, Error, Result, SecretString};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::records::RecordStore;
use keeper::Keeper;

pub use access::{AccessClaims, Grant};
pub use refresh::{RefreshGrant, RefreshReused, RefreshTokens, Refreshed};

/// An access token is good for no longer than this: it cannot be called back.
const LONGEST_LIFE: Duration = Duration::from_secs(15 * 60);

/// How long others may keep the public keys, at most.
const JWKS_AGE: Duration = Duration::from_secs(3600);

/// For how long a key is published before it signs, at least.
const LEAST_AHEAD: Duration = Duration::from_secs(24 * 3600);

/// What our tokens are signed with.
const ALGORITHMS: &[Algorithm] = &[Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];

/// How an issuer signs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IssuerPolicy {
    algorithm: Algorithm,
    access_life: Duration,
    rotate_every: Duration,
    publish_ahead: Duration,
}

impl Default for IssuerPolicy {
    /// ES256, access tokens of ten minutes, a new key every thirty days, published a day ahead.
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Es256,
            access_life: Duration::from_secs(600),
            rotate_every: Duration::from_secs(30 * 24 * 3600),
            publish_ahead: LEAST_AHEAD,
        }
    }
}

impl IssuerPolicy {
    /// What keys made from now on sign with: `ES256`, `EdDSA` or `RS256`. Issuing fails with another one.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// How long an access token is good for, at most. 1 second to 15 minutes; what is outside counts as the nearer end.
    #[must_use]
    pub fn access_life(mut self, life: Duration) -> Self {
        self.access_life = life.clamp(Duration::from_secs(1), LONGEST_LIFE);
        self
    }

    /// How long a key signs. Less than the time that a key is published ahead counts as that.
    #[must_use]
    pub fn rotate_every(mut self, time: Duration) -> Self {
        self.rotate_every = time;
        self
    }

    /// For how long a key is published before it signs, at least. Less than a day counts as a day.
    #[must_use]
    pub fn publish_ahead(mut self, time: Duration) -> Self {
        self.publish_ahead = time.max(LEAST_AHEAD);
        self
    }

    /// When the successor of a key signs that is made now.
    fn successor(&self, last: Timestamp, now: Timestamp) -> Timestamp {
        later(last, self.rotate_every).max(later(now, self.publish_ahead))
    }

    /// How long a key is published after its last signature: until its tokens are over, by everybody's clock, and all who
    /// read the keys shortly before have read them again.
    fn afterlife(&self) -> SignedDuration {
        SignedDuration::try_from(self.access_life + JWKS_AGE + MAX_LEEWAY).unwrap_or(SignedDuration::MAX)
    }
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// Issues access tokens, and verifies them without asking anybody. Share it in an [`Arc`].
///
/// Issuers with one address and one store share their keys, whichever process they are in. Give test and live addresses of
/// their own: then neither accepts the other's tokens, even in one store.
///
/// Where the store has no keys, the first ones are made, with a warning in the log: if it has lost them, what they signed is
/// refused. Keys that are there and cannot be read are an error; they are not replaced.
pub struct TokenIssuer {
    issuer: String,
    keeper: Keeper,
}

impl std::fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenIssuer").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl TokenIssuer {
    /// An issuer of this address, which tokens name as `iss`, with the policy that is the default.
    pub fn new(records: Arc<dyn RecordStore>, clock: Clock, issuer: impl Into<String>) -> Self {
        Self::with_policy(records, clock, issuer, IssuerPolicy::default())
    }

    /// An issuer with a policy of its own. All processes of a fleet have the same one.
    pub fn with_policy(
        records: Arc<dyn RecordStore>,
        clock: Clock,
        issuer: impl Into<String>,
        policy: IssuerPolicy,
    ) -> Self {
        let issuer = issuer.into();
        Self { keeper: Keeper::new(records, clock, &issuer, policy), issuer }
    }

    /// Issues an access token.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`](integrations_core::ErrorKind) for a grant without subject or audience, with a scope
    /// that is none, with a claim that the issuer itself sets, or a life of less than a second; what the store says, if it
    /// has not been read for an hour.
    pub async fn issue(&self, grant: &Grant) -> Result<SecretString> {
        let ring = self.keeper.ring().await?;
        let now = self.keeper.clock.now();
        let claims = grant.claims(&self.issuer, now, self.keeper.policy.access_life)?;
        let current = ring.current(now).ok_or_else(|| Error::config("no key signs at this time"))?;
        current.key.sign(access::TYPE, &claims)
    }

    /// What an access token says, if it is one of this issuer for this audience, and holds now. Clocks of a fleet may
    /// differ by ten seconds.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`](integrations_core::ErrorKind) with [`JwtError::code`] as code.
    pub async fn verify(&self, token: &str, audience: &str) -> Result<AccessClaims> {
        let parsed = Jws::parse(token)?;
        let header = parsed.header();
        if header.typ.as_deref() != Some(access::TYPE) {
            return Err(JwtError::Mismatch("typ").into());
        }
        let kid = header.kid.as_deref().ok_or(JwtError::Missing("kid"))?;
        let mut ring = self.keeper.ring().await?;
        if !ring.has(kid) {
            ring = self.keeper.ring_anew().await?;
        }
        let claims = parsed.verify(ring.keys(), ALGORITHMS)?;
        Ok(AccessClaims::read(claims, &self.issuer, audience, self.keeper.clock.now())?)
    }

    /// The public keys as a JWK set (RFC 7517), and for how long others may keep them: the `max-age` of `Cache-Control`.
    pub async fn jwks(&self) -> Result<(Value, Duration)> {
        Ok((self.keeper.ring().await?.jwks()?, JWKS_AGE))
    }

    /// Takes a key out of the set, because others may know it. What it signed is refused: here at once, by the other
    /// processes of the fleet within a minute, by others when they read the keys again. If it signs now, the next one
    /// does from now on.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](integrations_core::ErrorKind) if it is not in the set.
    pub async fn revoke_key(&self, kid: &str) -> Result<()> {
        self.keeper.revoke(kid).await
    }
}
