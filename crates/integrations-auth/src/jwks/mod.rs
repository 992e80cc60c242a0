//! The keys of an issuer, kept fresh.

mod freshness;
mod kept;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::Uri;
use http::header::{ACCEPT, HeaderValue};
use integrations_core::jose::{Algorithm, Claims, Jws, JwtError, KeySet};
use integrations_core::pipeline::{Pipeline, Policy, Scope, Stages};
use integrations_core::{Caller, Clock, Error, Op, Result, Safety, Transport, WireRequest};
use integrations_oauth::safe_uri;

pub(crate) use kept::{Kept, Source};

/// No issuer publishes more, in bytes.
const LONGEST_SET: usize = 64 * 1024;

/// RFC 7517 section 5. An issuer alone says what its keys are, so nobody else may answer.
static FETCH_KEYS: Op =
    Op::new("auth", "fetch_keys", Safety::Read).http("GET", "").response_limit(LONGEST_SET).keeps_origin();

/// The public keys of one issuer, fetched when they are needed. Cheap to clone; clones share the keys.
///
/// What is fetched when:
/// - Keys are fresh for as long as the answer's `Cache-Control` and `Age` say (RFC 9111), at least 5 minutes and at most 24
///   hours; an hour if they say nothing. Of all who find them stale, one fetches, and the others go on with those that are
///   there. With none there, all wait for the one. Nothing is fetched when nobody asks.
/// - A token that no key fits to (its id is unknown; or it names none, and no key verifies it) demands a fetch before its
///   time, because an issuer may rotate its keys at any moment. The first demand is granted at once, whenever the last
///   ordinary fetch was, so that a rotation costs no token. The next one is granted after the cool-down: until then such
///   tokens are refused without waiting and without traffic, as [`JwtError::UnknownKey`] with what is left of the cool-down
///   as [`Error::retry_after`]. Whoever invents key ids causes one fetch per cool-down, and can delay a rotation by that
///   much. Demands that arise while a fetch is under way wait for it.
/// - A set that was asked for after a token had come is not fetched once more for that token.
/// - After a fetch that failed there is none for a cool-down. The keys that are there stay in use for as long as the issuer
///   does not answer; an answer takes away those that are not in it. With none there, nobody can sign in: the second
///   fetch may follow 5 seconds after the first, the third 10 seconds after that, and so on up to the cool-down.
///
/// A fetch that was begun goes on when its caller is gone. It takes 10 seconds at most, and is repeated within them as the
/// pipeline's policy has it: 3 requests at most, by default. A set has 64 KiB at most. A redirect to another origin is
/// refused.
///
/// ```
/// use integrations_auth::JwksCache;
/// use integrations_core::jose::{Algorithm, Jws};
/// # use std::sync::Arc;
/// # use integrations_core::{Transport, Result};
/// async fn subject(transport: Arc<dyn Transport>, token: &str) -> Result<String> {
///     let keys = JwksCache::builder("https://id.example/keys", transport).build()?;
///     let claims = keys.verify(&Jws::parse(token)?, &[Algorithm::Es256]).await?;
///     Ok(claims.need("sub")?.to_owned())
/// }
/// ```
#[derive(Clone)]
pub struct JwksCache {
    kept: Kept<Published>,
    refused_unknown: Arc<AtomicU64>,
    uri: Uri,
}

/// What a [`JwksCache`] has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JwksCounts {
    /// Fetches that were begun, whether by staleness or by an unknown key.
    pub fetches: u64,
    /// Those of them that failed, or have not ended yet.
    pub failures: u64,
    /// Tokens that were refused because no key fitted.
    pub refused_unknown: u64,
}

/// Builds a [`JwksCache`].
#[must_use]
pub struct JwksCacheBuilder {
    url: String,
    transport: Arc<dyn Transport>,
    pipeline: Option<Pipeline>,
    clock: Clock,
    cool_down: Duration,
}

impl fmt::Debug for JwksCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwksCache")
            .field("host", &self.uri.host())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for JwksCacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwksCacheBuilder").field("cool_down", &self.cool_down).finish_non_exhaustive()
    }
}

impl JwksCacheBuilder {
    /// The pipeline of the fetches. Default: one of their own, with the default policy.
    pub fn pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipeline = Some(pipeline);
        self
    }

    /// The clock that dates in answers are measured by. Freshness is measured by the runtime's. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// What lies at least between two fetches that unknown keys demand, and between a failed fetch and the next one; while
    /// there are no keys, at most.
    /// Default: 60 seconds.
    pub fn cool_down(mut self, cool_down: Duration) -> Self {
        self.cool_down = cool_down;
        self
    }

    /// The cache, empty. [`ErrorKind::Config`](integrations_core::ErrorKind) for an address that is neither `https` nor on
    /// this machine.
    pub fn build(self) -> Result<JwksCache> {
        let uri = safe_uri(&self.url).map_err(|e| e.with_context("the address of the issuer's keys"))?;
        let own = || {
            let host = uri.host().unwrap_or_default();
            Stages::new().pipeline(Scope::new("", host), Policy::default())
        };
        let pipeline = self.pipeline.map_or_else(own, Ok)?;
        let caller = Caller::builder(uri.clone(), self.transport, pipeline).clock(self.clock).build();
        let kept = Kept::new(Published { caller, uri: uri.clone() }, self.cool_down);
        Ok(JwksCache { kept, refused_unknown: Arc::default(), uri })
    }
}

impl JwksCache {
    /// A cache of the keys at an address, over what carries the fetches. For an address that a tenant gave, use a
    /// transport that reaches public addresses alone.
    pub fn builder(url: impl Into<String>, transport: Arc<dyn Transport>) -> JwksCacheBuilder {
        JwksCacheBuilder {
            url: url.into(),
            transport,
            pipeline: None,
            clock: Clock::system(),
            cool_down: Duration::from_secs(60),
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> JwksCounts {
        let (fetches, failures) = self.kept.counts();
        JwksCounts { fetches, failures, refused_unknown: self.refused_unknown.load(Ordering::Relaxed) }
    }

    /// The claims of a token, if a key of the issuer signed it with one of these algorithms. Times, issuer and audience are
    /// not looked at: see [`Claims`].
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`](integrations_core::ErrorKind) with the [`JwtError`] in the chain; whatever the fetch
    /// failed with, if there are no keys yet.
    pub async fn verify(&self, jws: &Jws<'_>, allowed: &[Algorithm]) -> Result<Claims> {
        // A token that no key could save is no reason for traffic.
        if !allowed.iter().any(|algorithm| algorithm.as_str() == jws.header().alg) {
            return Err(JwtError::Algorithm.into());
        }
        let (before, _) = self.kept.counts();
        let mut held = self.kept.get().await?;
        loop {
            match jws.verify(&held.value, allowed) {
                Err(refused) if may_be_for_want_of_a_key(&refused, jws) => {
                    match self.kept.newer(&held, before).await {
                        Ok(newer) => held = newer,
                        Err(wait) => return Err(self.refuse(refused, wait)),
                    }
                }
                other => return Ok(other?),
            }
        }
    }

    fn refuse(&self, refused: JwtError, wait: Option<Duration>) -> Error {
        self.refused_unknown.fetch_add(1, Ordering::Relaxed);
        let error = Error::from(refused);
        match wait {
            Some(left) => error
                .with_retry_after(left)
                .with_hint("the issuer may have new keys, which are not fetched again before that"),
            None => error.with_hint("the issuer does not publish this key now"),
        }
    }
}

/// Without key ids, a new key shows as a signature that does not fit.
fn may_be_for_want_of_a_key(refused: &JwtError, jws: &Jws<'_>) -> bool {
    match refused {
        JwtError::UnknownKey { .. } => true,
        JwtError::Signature => jws.header().kid.is_none(),
        _ => false,
    }
}

/// An issuer's keys where it publishes them.
struct Published {
    caller: Caller,
    uri: Uri,
}

#[async_trait]
impl Source for Published {
    type Value = KeySet;

    async fn fetch(&self, _: Option<Arc<KeySet>>) -> Result<(KeySet, Duration)> {
        let mut request = WireRequest::default();
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let response = self.caller.exchange(&FETCH_KEYS, None, request).await?;
        let keys = KeySet::from_jwks(&response.body).map_err(|e| response.undecodable(e.message()))?;
        Ok((keys, freshness::of(&response.headers)))
    }
}
