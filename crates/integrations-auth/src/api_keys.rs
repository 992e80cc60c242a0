//! Keys by which programs prove themselves.
//!
//! A key is `ik_live_` or `ik_test_`, 256 random bits in base32 and a check of 35 bits, as GitHub's are made: what was
//! mistyped, and what a scanner of leaked secrets found, is told without a store. With tenants, the tenant stands before
//! the bits. What is kept is a hash: SHA-256 is enough, since nobody searches 256 bits.

use std::sync::Arc;
use std::time::Duration;

use integrations_core::provider::Mode;
use integrations_core::{Clock, Effect, Error, ErrorKind, Result, Secret, SecretString};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::UserId;
use crate::names::{hashed, is_tenant};
use crate::opaque;
use crate::records::{Draft, Record, RecordId, RecordStore};
use crate::tokens::{FOREVER, base32, from_base32};

const KIND: &str = "api_key";

/// The length of 256 bits in base32.
const SECRET: usize = 52;

/// The length of the check: 35 bits in base32.
const CHECK: usize = 7;

/// Nothing longer is a key, in bytes.
const LONGEST: usize = 1024;

/// How often the last use is written at most: a busy key must not write with every call.
const USE_IS_NOTED_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Who writes a record at the same time as everybody else gives up after this many tries.
const TRIES: usize = 8;

integrations_core::text_id! {
    /// The name of an API key: a hash of it, and no secret.
    pub struct ApiKeyId;
}

/// What a new key is for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewApiKey {
    /// The tenant; `""` where there are none. It can be read in the key.
    pub tenant: String,
    /// Whose key it is: whoever shows it acts as this user.
    pub owner: UserId,
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// When it ends; `None`: when it is revoked.
    pub expires_at: Option<Timestamp>,
    /// Who made it, if that was somebody else.
    pub created_by: Option<UserId>,
}

impl NewApiKey {
    /// A key of a user that allows nothing and never ends.
    pub fn new(tenant: impl Into<String>, owner: UserId, name: impl Into<String>) -> Self {
        Self {
            tenant: tenant.into(),
            owner,
            name: name.into(),
            scopes: Vec::new(),
            expires_at: None,
            created_by: None,
        }
    }

    /// What it allows.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// When it ends.
    #[must_use]
    pub fn expires_at(mut self, end: Timestamp) -> Self {
        self.expires_at = Some(end);
        self
    }

    /// Who made it, if that was somebody else.
    #[must_use]
    pub fn created_by(mut self, user: UserId) -> Self {
        self.created_by = Some(user);
        self
    }
}

/// What is known of a key. The key itself is not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiKey {
    /// Its name among keys.
    pub id: ApiKeyId,
    /// What may be shown of it, so that people find it again: how it begins, and its last four characters, which are of
    /// the check.
    pub shown: String,
    /// The tenant; `""` where there are none.
    pub tenant: String,
    /// Whose it is.
    pub owner: UserId,
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// Who made it, if that was somebody else.
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None`: when it is revoked.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// The key that takes its place, if it was rotated.
    pub replaced_by: Option<ApiKeyId>,
}

/// What a record says; owner and end are the record's own.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    shown: String,
    name: String,
    scopes: Vec<String>,
    created_by: Option<UserId>,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
    replaced_by: Option<ApiKeyId>,
}

/// Makes and verifies keys. Cheap to clone.
#[derive(Clone)]
pub struct ApiKeys {
    records: Arc<dyn RecordStore>,
    clock: Clock,
    mode: Mode,
    prefix: String,
}

impl std::fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKeys")
            .field("prefix", &self.prefix)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// The parts of a key that is well-formed.
struct Parsed<'k> {
    mode: &'k str,
    tenant: String,
}

impl ApiKeys {
    /// Keys of one mode; one of the other mode is refused with a word of its own.
    pub fn new(records: Arc<dyn RecordStore>, clock: Clock, mode: Mode) -> Self {
        Self { records, clock, mode, prefix: "ik".into() }
    }

    /// Sets how keys begin; `ik` by default. Choose it once, and one that nobody else has.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] unless it has one to sixteen lower-case letters and digits.
    pub fn prefix(mut self, prefix: &str) -> Result<Self> {
        let is_plain = prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !is_plain || !(1..=16).contains(&prefix.len()) {
            return Err(Error::config("this is no prefix for API keys")
                .with_hint("choose one to sixteen lower-case letters and digits"));
        }
        prefix.clone_into(&mut self.prefix);
        Ok(self)
    }

    /// Makes a key. It is in the answer and nowhere else: show it once.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] for an end that has passed, a tenant so long that the key would be longer than 1 KiB,
    /// and one with control characters.
    pub async fn create(&self, new: &NewApiKey) -> Result<(SecretString, ApiKey)> {
        let now = self.clock.now();
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::invalid_request("the API key would have ended before it began"));
        }
        let text = self.text(&new.tenant)?;
        let id = ApiKeyId::new(hashed(&[text.expose()]));
        let kept = Kept {
            shown: self.shown(text.expose()),
            name: new.name.clone(),
            scopes: new.scopes.clone(),
            created_by: new.created_by.clone(),
            created_at: now,
            last_used_at: None,
            replaced_by: None,
        };
        let draft = kept.draft(Some(new.owner.clone()), new.expires_at.unwrap_or(FOREVER))?;
        let written = self.records.put(&record_id(&new.tenant, &id), 0, &draft, now).await?;
        written.ok_or_else(busy)?;
        Ok((text, read(&new.tenant, id.as_str(), &draft)?))
    }

    /// What a key allows, and whom it belongs to. Whether that user may still sign in is for the caller to look at.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] with the code `api_key`, one and the same for what is no key, was never made, has
    /// ended or was revoked; with the code `api_key_mode` for a key of the other mode. What is no key of this mode costs
    /// no access to the store.
    pub async fn verify(&self, text: &str) -> Result<ApiKey> {
        let parsed = self.parse(text).ok_or_else(refused)?;
        if parsed.mode != self.mode_word() {
            return Err(of_other_mode(parsed.mode, self.mode_word()));
        }
        let (id, now) = (ApiKeyId::new(hashed(&[text])), self.clock.now());
        let place = record_id(&parsed.tenant, &id);
        let record = self.records.get(&place, now).await?.ok_or_else(refused)?;
        let mut key = read(&parsed.tenant, id.as_str(), &record.draft)?;
        if key.last_used_at.is_none_or(|last| now.duration_since(last) >= USE_IS_NOTED_EVERY) {
            self.note_use(&place, &record, now).await;
            key.last_used_at = Some(now);
        }
        Ok(key)
    }

    /// Writes when it was used. That somebody else was faster does no harm, and neither does a store that cannot write:
    /// the key is good.
    async fn note_use(&self, place: &RecordId, record: &Record, now: Timestamp) {
        let written = async {
            let mut kept = Kept::read(&record.draft)?;
            kept.last_used_at = Some(now);
            let draft = kept.draft(record.draft.owner.clone(), record.draft.expires_at)?;
            self.records.put(place, record.version, &draft, now).await
        };
        if let Err(error) = written.await {
            tracing::warn!(kind = error.kind().as_str(), "the use of an API key could not be noted");
        }
    }

    /// Ends a key at once. Whether there was one.
    pub async fn revoke(&self, tenant: &str, id: &ApiKeyId) -> Result<bool> {
        let taken = self.records.take(&record_id(tenant, id), self.clock.now()).await?;
        Ok(taken.is_some())
    }

    /// Ends all keys of a user; how many there were.
    pub async fn revoke_all(&self, tenant: &str, owner: &UserId) -> Result<u64> {
        let first = self.records.remove_owned(tenant, KIND, owner).await?;
        // A key that took another one's place while the first removal ran is found by the second.
        Ok(first + self.records.remove_owned(tenant, KIND, owner).await?)
    }

    /// The keys of a user, oldest first.
    pub async fn list(&self, tenant: &str, owner: &UserId) -> Result<Vec<ApiKey>> {
        let records = self.records.owned(tenant, KIND, owner, self.clock.now()).await?;
        let keys = records.iter().map(|(id, record)| read(tenant, id, &record.draft));
        let mut keys = keys.collect::<Result<Vec<_>>>()?;
        keys.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        Ok(keys)
    }

    /// Makes a key that takes the place of another one. The old one is good for `grace` longer, or until its end if that
    /// is sooner; the new one ends when the old one was to.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such key of this mode; [`ErrorKind::Conflict`] with the code `replaced` if
    /// it was rotated before.
    pub async fn rotate(
        &self,
        tenant: &str,
        id: &ApiKeyId,
        grace: Duration,
    ) -> Result<(SecretString, ApiKey)> {
        let old = self.present(tenant, id).await?;
        let Some(owner) = old.draft.owner.clone() else { return Err(unreadable()) };
        let kept = Kept::read(&old.draft)?;
        if kept.shown.split('_').nth(1) != Some(self.mode_word()) {
            return Err(absent());
        }
        if kept.replaced_by.is_some() {
            return Err(replaced());
        }
        let new = NewApiKey {
            tenant: tenant.to_owned(),
            owner,
            name: kept.name,
            scopes: kept.scopes,
            expires_at: Some(old.draft.expires_at).filter(|end| *end != FOREVER),
            created_by: kept.created_by,
        };
        // The new one first: if nobody lives to see the end of this, nobody knows it, and the old one is as it was.
        let (text, key) = self.create(&new).await?;
        if let Err(error) = self.supersede(tenant, id, &key.id, grace).await {
            self.revoke(tenant, &key.id).await?;
            return Err(error);
        }
        Ok((text, key))
    }

    async fn supersede(&self, tenant: &str, id: &ApiKeyId, by: &ApiKeyId, grace: Duration) -> Result<()> {
        let now = self.clock.now();
        let end = SignedDuration::try_from(grace).ok().and_then(|grace| now.checked_add(grace).ok());
        for _ in 0..TRIES {
            let old = self.present(tenant, id).await?;
            let mut kept = Kept::read(&old.draft)?;
            if kept.replaced_by.replace(by.clone()).is_some() {
                return Err(replaced());
            }
            let end = end.map_or(old.draft.expires_at, |end| end.min(old.draft.expires_at));
            let draft = kept.draft(old.draft.owner.clone(), end)?;
            if self.records.put(&record_id(tenant, id), old.version, &draft, now).await?.is_some() {
                return Ok(());
            }
        }
        Err(busy())
    }

    async fn present(&self, tenant: &str, id: &ApiKeyId) -> Result<Record> {
        let record = self.records.get(&record_id(tenant, id), self.clock.now()).await?;
        record.ok_or_else(absent)
    }

    fn mode_word(&self) -> &'static str {
        if self.mode == Mode::Live { "live" } else { "test" }
    }

    fn text(&self, tenant: &str) -> Result<SecretString> {
        let secret = SecretString::from(base32(&*opaque::bytes::<32>()?));
        let coded = if tenant.is_empty() { String::new() } else { base32(tenant.as_bytes()) + "_" };
        let body =
            SecretString::from(format!("{}_{}_{coded}{}", self.prefix, self.mode_word(), secret.expose()));
        let text = SecretString::from(format!("{}{}", body.expose(), check(body.expose())));
        if text.expose().len() > LONGEST || !is_tenant(tenant) {
            return Err(Error::invalid_request(
                "the tenant's name is too long to be part of an API key, or has control characters",
            ));
        }
        Ok(text)
    }

    fn shown(&self, text: &str) -> String {
        format!("{}_{}_…{}", self.prefix, self.mode_word(), &text[text.len() - 4..])
    }

    /// The parts, if this is a key by its form and its check.
    fn parse<'k>(&self, text: &'k str) -> Option<Parsed<'k>> {
        if text.len() > LONGEST || !text.is_ascii() {
            return None;
        }
        let body = text.strip_prefix(&self.prefix)?.strip_prefix('_')?;
        let (mode, rest) = body.split_once('_').filter(|(mode, _)| matches!(*mode, "live" | "test"))?;
        let (tenant, secret) = match rest.split_once('_') {
            Some((tenant, secret)) => (coded_tenant(tenant)?, secret),
            None => (String::new(), rest),
        };
        let (signed, end) = text.split_at_checked(text.len().checked_sub(CHECK)?)?;
        let is_key = secret.len() == SECRET + CHECK && end == check(signed);
        is_key.then_some(Parsed { mode, tenant })
    }
}

/// The tenant in a key, in the one spelling that it has.
fn coded_tenant(coded: &str) -> Option<String> {
    let bytes = from_base32(coded)?;
    let tenant = std::str::from_utf8(&bytes).ok()?.to_owned();
    (!tenant.is_empty() && is_tenant(&tenant) && base32(tenant.as_bytes()) == coded).then_some(tenant)
}

/// The check of a key. It is no secret: anybody can compute it.
fn check(body: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes());
    let mut check = base32(hash.as_ref());
    check.truncate(CHECK);
    check
}

fn record_id(tenant: &str, id: &ApiKeyId) -> RecordId {
    RecordId::new(tenant, KIND, id.as_str())
}

impl Kept {
    fn read(draft: &Draft) -> Result<Self> {
        serde_json::from_slice(draft.value.expose()).map_err(|_| unreadable())
    }

    fn draft(&self, owner: Option<UserId>, expires_at: Timestamp) -> Result<Draft> {
        let value = serde_json::to_vec(self).map_err(|_| unreadable())?;
        Ok(Draft { owner, expires_at, value: Secret::new(value) })
    }
}

fn read(tenant: &str, id: &str, draft: &Draft) -> Result<ApiKey> {
    let kept = Kept::read(draft)?;
    Ok(ApiKey {
        id: id.into(),
        shown: kept.shown,
        tenant: tenant.to_owned(),
        owner: draft.owner.clone().ok_or_else(unreadable)?,
        name: kept.name,
        scopes: kept.scopes,
        created_by: kept.created_by,
        created_at: kept.created_at,
        expires_at: Some(draft.expires_at).filter(|end| *end != FOREVER),
        last_used_at: kept.last_used_at,
        replaced_by: kept.replaced_by,
    })
}

fn refused() -> Error {
    Error::new(ErrorKind::Unauthenticated, Effect::Rejected, "the API key is not good")
        .with_code("api_key")
        .with_hint("look whether the whole key was copied, and whether it was revoked or has ended")
}

fn of_other_mode(theirs: &str, ours: &str) -> Error {
    let message = format!("this is a key of the {theirs} mode, and here the {ours} mode is served");
    Error::new(ErrorKind::Unauthenticated, Effect::Rejected, message)
        .with_code("api_key_mode")
        .with_hint(format!("use a key of the {ours} mode, or the address of the {theirs} mode"))
}

fn absent() -> Error {
    Error::new(ErrorKind::NotFound, Effect::Rejected, "there is no such API key")
}

fn replaced() -> Error {
    Error::new(ErrorKind::Conflict, Effect::Rejected, "the API key was rotated before").with_code("replaced")
}

fn busy() -> Error {
    Error::new(ErrorKind::Conflict, Effect::Rejected, "the API key is being changed by others")
        .with_retryable(true)
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Decode, Effect::NotSent, "the kept API key cannot be read")
}
