//! A flow that was begun.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integrations_core::provider::Pkce;
use integrations_core::{Effect, Error, ErrorKind, Result, Secret, SecretString};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use super::builder::Client;
use super::callback::Callback;
use super::pkce;

/// As long as issuers keep a code, and longer than a consent takes.
const LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// A flow that was begun: what the answer is held against. It lives for ten minutes and is used up by
/// [`Client::complete`].
///
/// Between the two requests of a web application it is kept by [`PendingAuthorization::to_stored`], in the session of the
/// browser that was sent away: an answer that another browser brings must not find it. Whoever takes it out of the
/// session deletes it there.
pub struct PendingAuthorization {
    pub(super) state: SecretString,
    pub(super) verifier: Option<SecretString>,
    pub(super) nonce: Option<SecretString>,
    pub(super) redirect_uri: Option<String>,
    issuer: Option<String>,
    client_id: String,
    issuer_address: String,
    created_at: Timestamp,
}

impl fmt::Debug for PendingAuthorization {
    /// Never state, verifier or nonce.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingAuthorization")
            .field("issuer", &self.issuer)
            .field("redirect_uri", &self.redirect_uri)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

impl PendingAuthorization {
    pub(super) fn new(client: &Client, redirect_uri: Option<String>, wants_nonce: bool) -> Result<Self> {
        let shared = &client.shared;
        let wants_proof = client.pkce() != Pkce::None;
        Ok(Self {
            state: pkce::random()?,
            verifier: wants_proof.then(pkce::random).transpose()?,
            nonce: wants_nonce.then(pkce::random).transpose()?,
            redirect_uri,
            issuer: shared.issuer.name.clone(),
            client_id: shared.client_id.clone(),
            issuer_address: shared.issuer.token_address().to_owned(),
            created_at: shared.clock.now(),
        })
    }

    /// The value by which the answer names this flow: a key under which to keep it, besides the browser's session.
    pub fn state(&self) -> &SecretString {
        &self.state
    }

    /// What the issuer's statement about the user must name; `None` if none was asked for.
    pub fn nonce(&self) -> Option<&SecretString> {
        self.nonce.as_ref()
    }

    /// When it ends.
    pub fn expires_at(&self) -> Timestamp {
        self.created_at.saturating_add(LIFETIME).unwrap_or(Timestamp::MAX)
    }

    /// The form in which it is kept. It holds the proof key: encrypt it if others can read the place.
    pub fn to_stored(&self) -> Result<Secret<Vec<u8>>> {
        let text = |secret: &SecretString| secret.expose().clone();
        let mut stored = Stored {
            state: text(&self.state),
            verifier: self.verifier.as_ref().map(text),
            nonce: self.nonce.as_ref().map(text),
            redirect_uri: self.redirect_uri.clone(),
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            issuer_address: self.issuer_address.clone(),
            created_at: self.created_at,
        };
        let bytes = serde_json::to_vec(&stored);
        stored.wipe();
        // The cause would quote what it could not write.
        bytes.map(Secret::new).map_err(|_| Error::invalid_request("the authorization cannot be stored"))
    }

    /// Reads the form in which it was kept; [`ErrorKind::Decode`] if it is another one.
    pub fn from_stored(bytes: &Secret<Vec<u8>>) -> Result<Self> {
        let stored: Stored = serde_json::from_slice(bytes.expose()).map_err(|_| {
            Error::new(ErrorKind::Decode, Effect::NotSent, "the stored authorization cannot be read")
                .with_hint("let the user begin again")
        })?;
        Ok(Self {
            state: stored.state.into(),
            verifier: stored.verifier.map(Into::into),
            nonce: stored.nonce.map(Into::into),
            redirect_uri: stored.redirect_uri,
            issuer: stored.issuer,
            client_id: stored.client_id,
            issuer_address: stored.issuer_address,
            created_at: stored.created_at,
        })
    }

    /// Whether `callback` answers this flow, which `client` began.
    pub(super) fn check(&self, client: &Client, callback: &Callback) -> Result<()> {
        let shared = &client.shared;
        let begun_by = (&self.client_id, &self.issuer, self.issuer_address.as_str());
        if begun_by != (&shared.client_id, &shared.issuer.name, shared.issuer.token_address()) {
            return Err(Error::invalid_request("the authorization was begun by another client"));
        }
        if shared.clock.now() >= self.expires_at() {
            return Err(Error::new(
                ErrorKind::ReauthRequired,
                Effect::NotSent,
                "the authorization took too long",
            )
            .with_hint("let the user begin again"));
        }
        if !self.state.ct_eq(callback.state.expose()) {
            return Err(Error::invalid_request(
                "the answer is not that to this authorization: its state differs",
            )
            .with_hint("it may be forged; let the user begin again"));
        }
        match (&callback.iss, &self.issuer) {
            // RFC 9207 section 2.4: compared as text, byte for byte.
            (Some(said), Some(issuer)) if said != issuer => {
                Err(Error::invalid_request("the answer comes from another issuer than the user was sent to")
                    .with_hint("somebody may be mixing issuers up; let the user begin again"))
            }
            (None, _) if shared.issuer.names_itself => Err(Error::invalid_request(
                "the answer does not name its issuer, which this issuer always does",
            )),
            _ => Ok(()),
        }
    }

    /// Whether the issuer's statement was made for this flow. Its signature is not looked at.
    pub(super) fn check_nonce(&self, id_token: Option<&SecretString>) -> Result<()> {
        let (Some(nonce), Some(id_token)) = (&self.nonce, id_token) else { return Ok(()) };
        match claimed_nonce(id_token.expose()) {
            Some(claimed) if nonce.ct_eq(&claimed) => Ok(()),
            _ => Err(Error::new(
                ErrorKind::InvalidRequest,
                Effect::Applied,
                "the issuer's statement about the user was not made for this authorization: its nonce differs",
            )
            .with_hint("for an issuer that leaves it out, `AuthorizeRequest::without_nonce`")),
        }
    }
}

fn claimed_nonce(id_token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        nonce: String,
    }
    let payload = URL_SAFE_NO_PAD.decode(id_token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Claims>(&payload).ok().map(|claims| claims.nonce)
}

#[derive(Serialize, Deserialize)]
struct Stored {
    state: String,
    verifier: Option<String>,
    nonce: Option<String>,
    redirect_uri: Option<String>,
    issuer: Option<String>,
    client_id: String,
    issuer_address: String,
    created_at: Timestamp,
}

impl Stored {
    fn wipe(&mut self) {
        self.state.zeroize();
        self.verifier.zeroize();
        self.nonce.zeroize();
    }
}
