//! The form in which a store keeps a user: one JSON object.
//!
//! A field that is missing is empty; the fields of a newer build are kept and written back, so that two builds may run
//! beside each other. Only what stands beside `User`'s own fields is kept so, not what a newer build adds inside them.

use std::collections::BTreeMap;

use integrations_core::{Effect, Error, ErrorKind, Result, Secret};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroize as _;

use super::{LinkedIdentity, OneTimePassword, RoleGrant, User, UserId};
use crate::{EmailClaim, IdentityKey, MailAddress};

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<MailAddress>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email_verified_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    identities: Vec<StoredIdentity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<String>, // tidy: not a secret, wiped when dropped, and sealed by the store
    #[serde(default, skip_serializing_if = "Option::is_none")]
    one_time: Option<StoredOneTime>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recovery: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<RoleGrant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Timestamp>,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, Value>,
    #[serde(flatten)]
    unread: BTreeMap<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct StoredIdentity {
    key: IdentityKey,
    provider: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<EmailClaim>,
    linked_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct StoredOneTime {
    secret: Vec<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirmed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_step: Option<u64>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.password.zeroize();
        self.recovery.zeroize();
    }
}

impl Drop for StoredOneTime {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// Counts what is written, so that there is room for all of it: a text that grows leaves its old buffer unwiped.
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

pub(super) fn to_bytes(user: &User) -> Result<Secret<Vec<u8>>> {
    // The cause would quote what it could not write.
    let unwritable = |_| Error::invalid_request("the user cannot be stored");
    let stored = Stored::of(user);
    let mut length = Length(0);
    serde_json::to_writer(&mut length, &stored).map_err(unwritable)?;
    let mut bytes = Vec::with_capacity(length.0);
    serde_json::to_writer(&mut bytes, &stored).map_err(unwritable)?;
    Ok(Secret::new(bytes))
}

pub(super) fn from_bytes(tenant: &str, id: UserId, version: u64, bytes: &Secret<Vec<u8>>) -> Result<User> {
    let mut stored: Stored = serde_json::from_slice(bytes.expose()).map_err(|_| {
        Error::new(ErrorKind::Decode, Effect::NotSent, "a stored user cannot be read")
            .with_hint("a newer build may have written it: bring this one to its version")
    })?;
    Ok(User {
        version,
        email: stored.email.take(),
        email_verified_at: stored.email_verified_at,
        name: stored.name.take(),
        identities: std::mem::take(&mut stored.identities).into_iter().map(StoredIdentity::linked).collect(),
        password: stored.password.take().map(Secret::new),
        one_time: stored.one_time.take().map(StoredOneTime::one_time),
        recovery: std::mem::take(&mut stored.recovery),
        roles: std::mem::take(&mut stored.roles),
        disabled_at: stored.disabled_at,
        extra: std::mem::take(&mut stored.extra),
        unread: std::mem::take(&mut stored.unread),
        ..User::new(id, tenant, stored.created_at)
    })
}

impl Stored {
    fn of(user: &User) -> Self {
        Self {
            email: user.email.clone(),
            email_verified_at: user.email_verified_at,
            name: user.name.clone(),
            identities: user.identities.iter().map(StoredIdentity::of).collect(),
            password: user.password.as_ref().map(|password| password.expose().clone()),
            one_time: user.one_time.as_ref().map(StoredOneTime::of),
            recovery: user.recovery.clone(),
            roles: user.roles.clone(),
            disabled_at: user.disabled_at,
            created_at: user.created_at,
            extra: user.extra.clone(),
            unread: user.unread.clone(),
        }
    }
}

impl StoredIdentity {
    fn of(identity: &LinkedIdentity) -> Self {
        let LinkedIdentity { key, provider, email, linked_at } = identity.clone();
        Self { key, provider, email, linked_at }
    }

    fn linked(self) -> LinkedIdentity {
        let Self { key, provider, email, linked_at } = self;
        LinkedIdentity { key, provider, email, linked_at }
    }
}

impl StoredOneTime {
    fn of(it: &OneTimePassword) -> Self {
        Self { secret: it.secret.expose().clone(), confirmed_at: it.confirmed_at, last_step: it.last_step }
    }

    fn one_time(mut self) -> OneTimePassword {
        let secret = Secret::new(std::mem::take(&mut self.secret));
        OneTimePassword { secret, confirmed_at: self.confirmed_at, last_step: self.last_step }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<User> {
        from_bytes("acme", "ada".into(), 7, &Secret::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn what_a_newer_build_wrote_is_written_back() {
        let text = r#"{"created_at":"2026-01-01T00:00:00Z","passkeys":[{"id":1}],"locale":"de"}"#;
        let mut user = read(text).unwrap();
        user.name = Some("Ada".to_owned());
        let written: Value = serde_json::from_slice(to_bytes(&user).unwrap().expose()).unwrap();
        let expected =
            r#"{"created_at":"2026-01-01T00:00:00Z","passkeys":[{"id":1}],"locale":"de","name":"Ada"}"#;
        assert_eq!(written, serde_json::from_str::<Value>(expected).unwrap());
        assert!(user.extra.is_empty() && user.version == 7);
    }

    #[test]
    fn what_cannot_be_read_is_not_quoted() {
        for text in [r#"{"password":"hunter2"}"#, r#"{"created_at":"hunter2"}"#, "hunter2"] {
            let e = read(text).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Decode);
            assert!(!format!("{e:?} {}", e.explain()).contains("hunter2"));
        }
    }
}
