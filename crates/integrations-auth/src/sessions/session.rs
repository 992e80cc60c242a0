//! A session, and the proof that its user was there a moment ago.

use std::fmt;
use std::time::Duration;

use integrations_core::{Effect, Error, ErrorKind, Result, Secret};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{IdentityKey, UserId};

integrations_core::text_id! {
    /// Names a session in lists: no secret, since it is a hash. A session whose token was replaced has another one.
    pub struct SessionId;
}

/// How somebody proved who they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// With their password.
    Password,
    /// With a one-time code.
    OneTimeCode,
    /// With a recovery code, in place of a one-time code.
    RecoveryCode,
    /// At a service; its provider's id.
    Provider(String),
}

const PROVIDER: &str = "provider:";

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password => f.write_str("password"),
            Self::OneTimeCode => f.write_str("one_time_code"),
            Self::RecoveryCode => f.write_str("recovery_code"),
            Self::Provider(id) => write!(f, "{PROVIDER}{id}"),
        }
    }
}

impl Method {
    fn parse(text: &str) -> Option<Self> {
        let plain = [Self::Password, Self::OneTimeCode, Self::RecoveryCode];
        let provider = || text.strip_prefix(PROVIDER).map(|id| Self::Provider(id.to_owned()));
        plain.into_iter().find(|method| method.to_string() == text).or_else(provider)
    }
}

/// That somebody is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// Its name in lists.
    pub id: SessionId,
    /// Who.
    pub user: UserId,
    /// Their tenant.
    pub tenant: String,
    /// How they proved who they are, in this session so far.
    pub methods: Vec<Method>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When they last proved who they are.
    pub authenticated_at: Timestamp,
    /// When it was last used, up to a minute before.
    pub seen_at: Timestamp,
    /// The identity that they signed in with, at a service.
    pub identity: Option<IdentityKey>,
    /// The service's name for their session there.
    pub provider_session: Option<String>,
}

impl Session {
    /// The proof that the user proved who they are within this time; `now` is the present time by the application's
    /// clock.
    ///
    /// # Errors
    /// [`ErrorKind::ReauthRequired`] with the code `stale` if it is longer ago.
    pub fn fresh(&self, within: Duration, now: Timestamp) -> Result<Reauthenticated> {
        let within = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
        if now.duration_since(self.authenticated_at) > within {
            return Err(Error::new(
                ErrorKind::ReauthRequired,
                Effect::NotSent,
                "the user proved who they are too long ago for this",
            )
            .with_code("stale")
            .with_hint("ask for the password, a code or a sign-in again, and call `Sessions::step_up`"));
        }
        Ok(Reauthenticated {
            tenant: self.tenant.clone(),
            user: self.user.clone(),
            at: self.authenticated_at,
        })
    }

    pub(super) fn to_bytes(&self) -> Result<Secret<Vec<u8>>> {
        let stored = Stored {
            methods: self.methods.iter().map(Method::to_string).collect(),
            created_at: self.created_at,
            authenticated_at: self.authenticated_at,
            seen_at: self.seen_at,
            identity: self.identity.clone(),
            provider_session: self.provider_session.clone(),
        };
        let bytes = serde_json::to_vec(&stored);
        bytes.map(Secret::new).map_err(|_| Error::invalid_request("the session cannot be stored"))
    }

    pub(super) fn from_bytes(id: SessionId, tenant: &str, user: UserId, bytes: &[u8]) -> Result<Self> {
        let stored: Stored = serde_json::from_slice(bytes).map_err(|_| {
            Error::new(ErrorKind::Decode, Effect::NotSent, "the stored session cannot be read")
                .with_hint("end it and let the user sign in again")
        })?;
        Ok(Self {
            id,
            user,
            tenant: tenant.to_owned(),
            // What a newer build knows and this one does not proves nothing here.
            methods: stored.methods.iter().filter_map(|text| Method::parse(text)).collect(),
            created_at: stored.created_at,
            authenticated_at: stored.authenticated_at,
            seen_at: stored.seen_at,
            identity: stored.identity,
            provider_session: stored.provider_session,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    methods: Vec<String>,
    created_at: Timestamp,
    authenticated_at: Timestamp,
    seen_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<IdentityKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider_session: Option<String>,
}

/// That a user proved who they are a moment ago: asked for before a password, a mail address, a second factor or an
/// identity is changed. [`Session::fresh`] alone makes it, and it is given away when it is used.
///
/// It cannot be used twice:
///
/// ```compile_fail,E0382
/// use integrations_auth::Reauthenticated;
/// fn change(proof: Reauthenticated) {}
/// fn twice(proof: Reauthenticated) {
///     change(proof);
///     change(proof);
/// }
/// ```
///
/// nor read from what somebody sends:
///
/// ```compile_fail,E0277
/// let forged: integrations_auth::Reauthenticated = serde_json::from_str("{}").unwrap();
/// ```
#[derive(Debug)]
pub struct Reauthenticated {
    tenant: String,
    user: UserId,
    at: Timestamp,
}

impl Reauthenticated {
    /// Their tenant.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Who.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// When they proved it.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}
