//! What a connection is, and how that is sealed.

use std::fmt;

use integrations_core::seal::Sealer;
use integrations_core::{ConnectionId, Effect, Error, ErrorKind, Result, Secret};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::store::{Draft, Entry};
use crate::token::{Kept as _, StoredTokens, TokenSet};

/// What can be done with a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Its calls work.
    Ready,
    /// Its calls work as soon as the refresh ends that is under way here.
    Refreshing,
    /// What is stored of it cannot be read: its key is missing, it was changed, or a newer build wrote it. In lists; to
    /// ask for it alone tells why.
    Unreadable,
    /// Its user has to consent again.
    ReauthRequired {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: Reauth,
    },
    /// It was disconnected: by the application, or by the user at the service.
    Revoked {
        /// Since when.
        since: Timestamp,
    },
}

/// Why a user has to consent again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reauth {
    /// The access token has ended, or was refused, and there is nothing to exchange for another one.
    Ended,
    /// The issuer refused the refresh token: it was revoked, it ran out, the password was changed.
    Refused {
        /// The issuer's code, e.g. `invalid_grant`.
        code: String,
    },
    /// The issuer refused the refresh token after an exchange whose outcome nobody saw: the process that asked died, or
    /// the answer was lost, and the token had been spent.
    Interrupted {
        /// The issuer's code, e.g. `invalid_grant`.
        code: String,
    },
}

impl Reauth {
    /// The issuer's code, if it was asked.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Ended => None,
            Self::Refused { code } | Self::Interrupted { code } => Some(code),
        }
    }
}

impl fmt::Display for Reauth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => {
                f.write_str("the access token has ended, and the issuer gave nothing to exchange for another")
            }
            Self::Refused { code } => write!(f, "the issuer refused the refresh token: {code}"),
            Self::Interrupted { code } => {
                write!(f, "the refresh token was spent in an exchange whose outcome was lost: {code}")
            }
        }
    }
}

/// In an error of kind [`ErrorKind::ReauthRequired`] that the vault gives: what to tell the user.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reconnect {
    /// The connection.
    pub connection: ConnectionId,
    /// Since when.
    pub since: Timestamp,
    /// Why; `None`: it was disconnected.
    pub reason: Option<Reauth>,
    /// Where the user connects again, when the vault was told.
    pub link: Option<String>,
}

impl fmt::Display for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Some(reason) => reason.fmt(f),
            None => f.write_str("it was disconnected"),
        }
    }
}

impl std::error::Error for Reconnect {}

impl Reconnect {
    pub(super) fn into_error(self) -> Error {
        let error = Error::new(ErrorKind::ReauthRequired, Effect::NotSent, format!("connect again: {self}"));
        let error = match self.reason.as_ref().and_then(Reauth::code) {
            Some(code) => error.with_code(code),
            None => error,
        };
        let error = match &self.link {
            Some(link) => error.with_hint(format!("send the user to {link}")),
            None => {
                error.with_hint("let the user consent again, and give the new tokens to `Vault::connect`")
            }
        };
        error.with_source(self)
    }
}

/// One connection as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// Counts the tokens: those of a later exchange or consent have a higher number, in every process.
    pub(super) rotation: u64,
    pub(super) since: Timestamp,
    pub(super) status: Status,
    /// The word of the state before, while listeners have not heard of the change.
    pub(super) unannounced: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) enum Status {
    Ready(TokenSet),
    Reauth(Reauth),
    Revoked,
}

impl Status {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Ready(_) => "ready",
            Self::Reauth(_) => "reauth_required",
            Self::Revoked => "revoked",
        }
    }
}

impl Record {
    pub(super) fn state(&self) -> ConnectionState {
        match &self.status {
            Status::Ready(_) => ConnectionState::Ready,
            Status::Reauth(reason) => {
                ConnectionState::ReauthRequired { since: self.since, reason: reason.clone() }
            }
            Status::Revoked => ConnectionState::Revoked { since: self.since },
        }
    }

    /// What is written; `due` is when the vault looks at it next.
    pub(super) async fn seal(
        &self,
        sealer: &dyn Sealer,
        id: &ConnectionId,
        due: Option<Timestamp>,
    ) -> Result<Draft> {
        let plain = Plain::of(self).to_bytes()?;
        let bytes = sealer.seal(&plain, &context(id)).await?;
        Ok(Draft { state: self.status.word().to_owned(), since: self.since, sealed: bytes.into(), due })
    }

    pub(super) async fn open(sealer: &dyn Sealer, id: &ConnectionId, entry: &Entry) -> Result<Self> {
        let bytes = sealer.open(&entry.draft.sealed, &context(id)).await?;
        Plain::from_bytes(&bytes)?.into_record()
    }
}

/// Sealed bytes open in their own place alone.
pub(super) fn context(id: &ConnectionId) -> Vec<u8> {
    format!("oauth\0{}\0{}\0{}", id.tenant, id.instance, id.connection).into_bytes()
}

#[derive(Serialize, Deserialize)]
struct Plain {
    rotation: u64,
    since: Timestamp,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    interrupted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unannounced: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens: Option<StoredTokens>, // tidy: not a secret, it wipes itself
}

impl Plain {
    fn of(record: &Record) -> Self {
        let mut plain = Self {
            rotation: record.rotation,
            since: record.since,
            state: record.status.word().to_owned(),
            code: None,
            interrupted: false,
            unannounced: record.unannounced.clone(),
            tokens: None,
        };
        match &record.status {
            Status::Ready(tokens) => plain.tokens = Some(tokens.to_stored()),
            Status::Reauth(reason) => {
                plain.code = reason.code().map(str::to_owned);
                plain.interrupted = matches!(reason, Reauth::Interrupted { .. });
            }
            Status::Revoked => {}
        }
        plain
    }

    /// Written into room that is large enough: a buffer that grows leaves its old one unwiped.
    fn to_bytes(&self) -> Result<Secret<Vec<u8>>> {
        let mut length = Length(0);
        serde_json::to_writer(&mut length, self).map_err(|_| unreadable())?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
        serde_json::to_writer(&mut *bytes, self).map_err(|_| unreadable())?;
        Ok(Secret::new(std::mem::take(&mut *bytes)))
    }

    fn from_bytes(bytes: &Secret<Vec<u8>>) -> Result<Self> {
        // The cause is dropped, because it quotes what it could not read.
        serde_json::from_slice(bytes.expose()).map_err(|_| unreadable())
    }

    fn into_record(mut self) -> Result<Record> {
        let status = match (self.state.as_str(), &mut self.tokens) {
            ("ready", Some(tokens)) => Status::Ready(tokens.take()),
            ("reauth_required", _) => Status::Reauth(match (self.code.take(), self.interrupted) {
                (None, _) => Reauth::Ended,
                (Some(code), true) => Reauth::Interrupted { code },
                (Some(code), false) => Reauth::Refused { code },
            }),
            ("revoked", _) => Status::Revoked,
            _ => return Err(unreadable()),
        };
        Ok(Record {
            rotation: self.rotation,
            since: self.since,
            status,
            unannounced: self.unannounced.take(),
        })
    }
}

/// Counts what is written, and keeps nothing of it.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Decode, Effect::NotSent, "what is stored of the connection cannot be read")
        .with_hint("it may have been written by a newer build")
}
