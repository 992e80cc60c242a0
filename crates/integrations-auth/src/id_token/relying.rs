//! What sign-in at every issuer of OpenID Connect has in common.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integrations_core::jose::{Claims, JwtError};
use integrations_core::pipeline::{Pipeline, Policy, Scope, Stages};
use integrations_core::setup::Setup;
use integrations_core::{Effect, Error, ErrorKind, Result, SecretString, TokenSet, Transport};
use serde_json::{Map, Value};

use super::{Expect, IdTokenVerifier, IssuerRule};
use crate::PendingSignIn;
use crate::jwks::JwksCache;
use crate::relying::{Relying, spent};
use crate::transport::default_transport;

/// A client of an issuer, and what its statements are held against.
#[derive(Debug, Clone)]
pub(crate) struct OpenId {
    pub(crate) relying: Relying,
    pub(crate) verifier: IdTokenVerifier,
}

impl OpenId {
    /// Exchanges the code, and verifies the statement that came.
    pub(crate) async fn complete(&self, pending: PendingSignIn, answer: &str) -> Result<(TokenSet, Claims)> {
        let (tokens, nonce, max_age) = self.relying.exchange(pending, answer).await?;
        let statement = tokens.id_token.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Decode, Effect::Applied, "the issuer gave no statement about the user")
                .with_hint("the scope `openid` must be among those that the client may ask for")
        })?;
        let expect = Expect { nonce: nonce.as_ref(), max_age, ..Expect::new() };
        let verified = self.verifier.verify(statement, &expect.access(&tokens.access)).await;
        let claims = verified.map_err(spent)?;
        Ok((tokens, claims))
    }

    /// The next tokens, with what the answer leaves out as it was. A statement that came is verified, and must be about
    /// the same person (OpenID Connect Core 1.0 section 12.2); while the issuer's keys are not to be had, it is left out.
    pub(crate) async fn refresh(&self, present: &TokenSet) -> Result<TokenSet> {
        let mut next = self.relying.client().refresh(present).await?;
        if let Some(statement) = &next.id_token {
            match self.verifier.verify(statement, &Expect::new().access(&next.access)).await {
                Ok(claims) => check_same_person(&claims, present)?,
                // Those before may have ended with the exchange: without these, the person would have to begin again.
                Err(error) if is_for_want_of_keys(&error) => next.id_token = None,
                Err(error) => return Err(error.with_effect(Effect::Applied)),
            }
        }
        next.refresh = next.refresh.or_else(|| present.refresh.clone());
        next.id_token = next.id_token.or_else(|| present.id_token.clone());
        next.scopes = next.scopes.or_else(|| present.scopes.clone());
        Ok(next)
    }
}

fn check_same_person(claims: &Claims, present: &TokenSet) -> Result<()> {
    let before = present.id_token.as_ref().and_then(claimed_subject);
    let is_same = before.is_none_or(|before| claims.text("sub") == Some(&before));
    if is_same { Ok(()) } else { Err(refused(JwtError::Mismatch("sub"))) }
}

/// Nothing was found wrong with a statement: its key could not be fetched, or may not be fetched yet.
fn is_for_want_of_keys(error: &Error) -> bool {
    error.kind() != ErrorKind::Unauthenticated || error.retry_after().is_some()
}

/// Whom a statement of one's own keeping is about. It was verified when it came.
fn claimed_subject(statement: &SecretString) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(statement.expose().split('.').nth(1)?).ok()?;
    let claims: Map<String, Value> = serde_json::from_slice(&payload).ok()?;
    Some(claims.get("sub")?.as_str()?.to_owned())
}

/// A statement that does not hold, after the issuer has given its tokens.
pub(crate) fn refused(why: JwtError) -> Error {
    Error::from(why).with_effect(Effect::Applied)
}

/// A setup with its transport and pipeline made, so that all that is opened from it shares them.
#[derive(Clone)]
pub(crate) struct Ways {
    pub(crate) setup: Setup,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) pipeline: Pipeline,
}

impl Ways {
    pub(crate) fn of(setup: &Setup) -> Result<Self> {
        let transport = setup.carrier(default_transport)?;
        let own = || Stages::new().pipeline(Scope::new("", setup.spec().id), Policy::default());
        let pipeline = setup.own_pipeline().cloned().map_or_else(own, Ok)?;
        let setup = setup.clone().transport(transport.clone()).pipeline(pipeline.clone());
        Ok(Self { setup, transport, pipeline })
    }

    /// The keys at an address.
    pub(crate) fn keys(&self, url: &str) -> Result<JwksCache> {
        let keys = JwksCache::builder(url, self.transport.clone()).pipeline(self.pipeline.clone());
        keys.clock(self.setup.wall_clock().clone()).build()
    }

    /// What verifies an issuer's statements by these keys.
    pub(crate) fn verifier(&self, keys: JwksCache, issuer: IssuerRule) -> Result<IdTokenVerifier> {
        let verifier = IdTokenVerifier::new(keys, issuer, self.setup.text("client_id")?);
        Ok(verifier.clock(self.setup.wall_clock().clone()))
    }

    /// Calls that are proven by this token.
    #[cfg(any(feature = "google-sign-in", feature = "oidc"))]
    pub(crate) fn caller(&self, access: &SecretString) -> Result<integrations_core::Caller> {
        let proof = Arc::new(integrations_core::Bearer::new(access.clone()));
        Ok(self.setup.clone().authorize(proof).caller(default_transport)?.build())
    }
}
