//! Keys at rest.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::rows::{at, unreadable};
use crate::error::{Error, Result};
use crate::outbox::model::{EndpointId, EndpointKey};
use crate::outbox::sign::SigningKey;
use crate::seal::Sealer;
use crate::secret::{Secret, SecretString};

/// What guards the keys of one store.
#[derive(Clone)]
pub(super) enum Guard {
    Sealed(Arc<dyn Sealer>),
    Plain,
    /// Neither a sealer nor leave to do without one.
    Refused,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    /// Base64 of what was sealed, or the key as text.
    value: String, // tidy: not a secret, sealed unless the operator allowed plain ones; never logged
    sealed: bool,
    created: i64,
    expires: Option<i64>,
}

impl Guard {
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Sealed(_) | Self::Plain => Ok(()),
            Self::Refused => Err(Error::config("the outbox has nothing to encrypt its keys with")
                .with_hint("give it a `sealer`, or `allow_plain_secrets` where the disk is trusted")),
        }
    }

    /// The keys of an endpoint as they are stored.
    pub(super) async fn close(&self, endpoint: &EndpointId, keys: &[EndpointKey]) -> Result<String> {
        self.check()?;
        let mut stored = Vec::with_capacity(keys.len());
        for EndpointKey { key, created, expires } in keys {
            let (value, sealed) = self.close_one(endpoint, &key.reveal()).await?;
            let (created, expires) = (created.as_millisecond(), expires.map(Timestamp::as_millisecond));
            stored.push(Stored { value, sealed, created, expires });
        }
        to_text(&stored)
    }

    async fn close_one(&self, endpoint: &EndpointId, text: &SecretString) -> Result<(String, bool)> {
        let Self::Sealed(by) = self else { return Ok((text.expose().clone(), false)) };
        let plain = Secret::new(text.expose().clone().into_bytes());
        let bytes = by.seal(&plain, endpoint.as_str().as_bytes()).await?;
        Ok((STANDARD.encode(bytes), true))
    }

    /// What to store in place of `stored`; `None` when it may stay.
    pub(super) async fn rewrapped(&self, endpoint: &EndpointId, stored: &str) -> Result<Option<String>> {
        let Self::Sealed(by) = self else { return Ok(None) };
        let (mut keys, mut changed) = (parse(stored)?, false);
        for key in keys.iter_mut().filter(|key| key.sealed) {
            if let Some(bytes) = by.rewrap(&decode(&key.value)?, endpoint.as_str().as_bytes()).await? {
                key.value = STANDARD.encode(bytes);
                changed = true;
            }
        }
        changed.then(|| to_text(&keys)).transpose()
    }

    /// The keys of an endpoint from what is stored.
    pub(super) async fn open(&self, endpoint: &EndpointId, stored: String) -> Result<Vec<EndpointKey>> {
        let text = Zeroizing::new(stored);
        let stored = parse(&text)?;
        let mut keys = Vec::with_capacity(stored.len());
        for Stored { value, sealed, created, expires } in stored {
            let key = SigningKey::parse(&self.open_one(endpoint, value, sealed).await?)?;
            keys.push(EndpointKey { key, created: at(created)?, expires: expires.map(at).transpose()? });
        }
        Ok(keys)
    }

    async fn open_one(&self, endpoint: &EndpointId, value: String, sealed: bool) -> Result<SecretString> {
        if !sealed {
            return Ok(SecretString::new(value));
        }
        let Self::Sealed(by) = self else {
            return Err(Error::config("the outbox's keys are sealed").with_hint("give it their `sealer`"));
        };
        let plain = by.open(&decode(&value)?, endpoint.as_str().as_bytes()).await?;
        let text = std::str::from_utf8(plain.expose()).map_err(|_| unreadable("a key that is no text"))?;
        Ok(SecretString::from(text))
    }
}

fn parse(stored: &str) -> Result<Vec<Stored>> {
    serde_json::from_str(stored).map_err(|_| unreadable("keys of another shape"))
}

fn to_text(stored: &[Stored]) -> Result<String> {
    serde_json::to_string(stored).map_err(|_| unreadable("keys that JSON cannot hold"))
}

fn decode(sealed: &str) -> Result<Vec<u8>> {
    STANDARD.decode(sealed).map_err(|_| unreadable("a key of another shape"))
}
