//! Refresh tokens (RFC 6749 section 6, RFC 9700 section 4.14.2): opaque, rotating, one family per sign-in.
//!
//! A token is `rt_`, the tenant, the family and a secret. A family is one record; it keeps the hashes of the present secret
//! and of the one before it. The family's name has 256 random bits and stands in tokens alone, so whoever shows it with any
//! other secret shows an old token: somebody has a copy, and the whole family ends.
//!
//! Whose answer was lost shows the old token again: within ten seconds, and while its successor was not used, they get that
//! same successor. It is computed from the old secret and a random value of the record, so that it need not be kept; a
//! thief who is that fast has no more than the owner has, and the next of the two to fall behind ends the family.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integrations_core::{Clock, Effect, Error, ErrorKind, Result, Secret, SecretString};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::later;
use crate::names::{hashed, is_tenant};
use crate::opaque;
use crate::records::{Draft, Record, RecordId, RecordStore};
use crate::users::UserId;

const KIND: &str = "refresh";

const PREFIX: &str = "rt_";

/// Nothing longer is a token, in bytes.
const LONGEST: usize = 2048;

/// For how long an old token gives its successor again. The clocks of one fleet may differ by as much.
const LOST_ANSWER: SignedDuration = SignedDuration::from_secs(10);

/// Who redeems a token at the same time as many others gives up after this many tries.
const TRIES: usize = 8;

/// What a family of tokens stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RefreshGrant {
    /// Whose it is.
    pub user: UserId,
    /// The tenant; `""` where there are none. It can be read in the token.
    pub tenant: String,
    /// The program that was given the first token. No other one can use it.
    pub client: String,
    /// What access tokens may allow.
    pub scopes: Vec<String>,
}

impl RefreshGrant {
    /// A family for a user and a program.
    pub fn new(tenant: impl Into<String>, user: UserId, client: impl Into<String>) -> Self {
        Self { user, tenant: tenant.into(), client: client.into(), scopes: Vec::new() }
    }

    /// What access tokens may allow.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }
}

/// What a token was redeemed for.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refreshed {
    /// The next token. The one that was redeemed is used up.
    pub token: SecretString,
    /// What it stands for. Whether the user may still sign in is for the caller to look at.
    pub grant: RefreshGrant,
    /// The family's name among records: no secret.
    pub family: String,
}

/// That an old token was used again: somebody has a copy. Found by [`Error::details`]; tell the user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshReused {
    /// What the family stood for that has ended.
    pub grant: RefreshGrant,
    /// The family's name among records: no secret.
    pub family: String,
}

impl fmt::Display for RefreshReused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "an old refresh token of the user `{}` was used again; its family has ended",
            self.grant.user
        )
    }
}

impl std::error::Error for RefreshReused {}

/// What a record says of a family.
#[derive(Serialize, Deserialize)]
struct Family {
    grant: RefreshGrant,
    /// The hash of the present secret.
    present: String,
    /// The hash of the secret before it; empty at first.
    former: String,
    /// What the present secret was computed from the former one with.
    salt: String,
    rotated_at: Timestamp,
    ends_at: Timestamp,
}

/// Makes and redeems refresh tokens. Cheap to clone.
#[derive(Clone)]
pub struct RefreshTokens {
    records: Arc<dyn RecordStore>,
    clock: Clock,
    idle: Duration,
    absolute: Duration,
}

impl fmt::Debug for RefreshTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshTokens")
            .field("idle", &self.idle)
            .field("absolute", &self.absolute)
            .finish_non_exhaustive()
    }
}

/// A token in its parts.
struct Parsed<'t> {
    tenant: String,
    family: &'t str,
    secret: &'t str, // tidy: not a secret of its own, a part of the caller's text
}

/// How a secret stands to a family.
enum Standing {
    Present,
    Former,
    Old,
}

impl RefreshTokens {
    /// Tokens that end after 30 days without use, and after 90 days in any case.
    pub fn new(records: Arc<dyn RecordStore>, clock: Clock) -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self { records, clock, idle: day * 30, absolute: day * 90 }
    }

    /// After which time without use a family ends.
    #[must_use]
    pub fn idle(mut self, time: Duration) -> Self {
        self.idle = time;
        self
    }

    /// After which time a family ends in any case.
    #[must_use]
    pub fn absolute(mut self, time: Duration) -> Self {
        self.absolute = time;
        self
    }

    /// Begins a family: its first token.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] for a tenant so long that the token would be longer than 2 KiB, and for one with
    /// control characters.
    pub async fn begin(&self, grant: &RefreshGrant) -> Result<SecretString> {
        let (now, family, secret) = (self.clock.now(), opaque::token()?, opaque::token()?);
        let token = text(&grant.tenant, family.expose(), secret.expose());
        if token.expose().len() > LONGEST || !is_tenant(&grant.tenant) {
            return Err(Error::invalid_request(
                "the tenant's name is too long to be part of a refresh token, or has control characters",
            ));
        }
        let begun = Family {
            grant: grant.clone(),
            present: hashed(&[secret.expose()]),
            former: String::new(),
            salt: String::new(),
            rotated_at: now,
            ends_at: later(now, self.absolute),
        };
        let draft = self.draft(&begun, now)?;
        let written = self.records.put(&place(&grant.tenant, family.expose()), 0, &draft, now).await?;
        written.map(|_| token).ok_or_else(busy)
    }

    /// Redeems a token for the next one. Of all who redeem it at once, all get the same one.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] with the code `refresh_token` for what is no token, has ended or belongs to another
    /// program, and with the code `refresh_reused` and [`RefreshReused`] as its cause for an old token, whose family has
    /// now ended. Give both to the program as `invalid_grant`.
    pub async fn redeem(&self, token: &SecretString, client: &str) -> Result<Refreshed> {
        let parsed = parse(token.expose()).ok_or_else(refused)?;
        let place = place(&parsed.tenant, parsed.family);
        for _ in 0..TRIES {
            let now = self.clock.now();
            let record = self.records.get(&place, now).await?.ok_or_else(refused)?;
            let family = read(&record)?;
            if !bool::from(family.grant.client.as_bytes().ct_eq(client.as_bytes())) {
                return Err(refused());
            }
            let next = match family.standing(parsed.secret, now) {
                Standing::Old => return Err(self.end(&place, family).await?),
                Standing::Former => Some(successor(parsed.secret, &family.salt)),
                Standing::Present => self.rotate(&place, &record, &family, parsed.secret, now).await?,
            };
            if let Some(next) = next {
                let token = text(&parsed.tenant, parsed.family, next.expose());
                return Ok(Refreshed { token, grant: family.grant, family: place.key });
            }
        }
        Err(busy())
    }

    /// Writes the next secret; `None` if somebody else did so meanwhile.
    async fn rotate(
        &self,
        place: &RecordId,
        record: &Record,
        family: &Family,
        secret: &str,
        now: Timestamp,
    ) -> Result<Option<SecretString>> {
        let salt = opaque::token()?.expose().clone();
        let next = successor(secret, &salt);
        let rotated = Family {
            grant: family.grant.clone(),
            present: hashed(&[next.expose()]),
            former: family.present.clone(),
            salt,
            rotated_at: now,
            ends_at: family.ends_at,
        };
        let written = self.records.put(place, record.version, &self.draft(&rotated, now)?, now).await?;
        Ok(written.map(|_| next))
    }

    /// Ends a family of which an old token was used.
    async fn end(&self, place: &RecordId, family: Family) -> Result<Error> {
        self.records.take(place, self.clock.now()).await?;
        Ok(reused(RefreshReused { grant: family.grant, family: place.key.clone() }))
    }

    /// Ends the family of a token, whichever of its tokens this is. Whether there was one.
    pub async fn revoke(&self, token: &SecretString) -> Result<bool> {
        let Some(parsed) = parse(token.expose()) else { return Ok(false) };
        let family = self.records.take(&place(&parsed.tenant, parsed.family), self.clock.now()).await?;
        Ok(family.is_some())
    }

    /// Ends all families of a user; how many there were.
    pub async fn revoke_all(&self, tenant: &str, user: &UserId) -> Result<u64> {
        self.records.remove_owned(tenant, KIND, user).await
    }

    fn draft(&self, family: &Family, now: Timestamp) -> Result<Draft> {
        let unwritable = |_| Error::config("the refresh token cannot be written");
        Ok(Draft {
            owner: Some(family.grant.user.clone()),
            expires_at: later(now, self.idle).min(family.ends_at),
            value: Secret::new(serde_json::to_vec(family).map_err(unwritable)?),
        })
    }
}

impl Family {
    /// Both comparisons are made, whatever comes of the first.
    fn standing(&self, secret: &str, now: Timestamp) -> Standing {
        let hash = hashed(&[secret]);
        let is_present = bool::from(self.present.as_bytes().ct_eq(hash.as_bytes()));
        let is_former = bool::from(self.former.as_bytes().ct_eq(hash.as_bytes()));
        let is_lost_answer = now.duration_since(self.rotated_at).abs() <= LOST_ANSWER;
        match (is_present, is_former && is_lost_answer) {
            (true, _) => Standing::Present,
            (false, true) => Standing::Former,
            (false, false) => Standing::Old,
        }
    }
}

/// The secret that follows one. Neither the record nor the secret alone gives it.
fn successor(secret: &str, salt: &str) -> SecretString {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    URL_SAFE_NO_PAD.encode(hmac::sign(&key, salt.as_bytes())).into()
}

fn text(tenant: &str, family: &str, secret: &str) -> SecretString {
    format!("{PREFIX}{}.{family}.{secret}", URL_SAFE_NO_PAD.encode(tenant)).into()
}

fn parse(text: &str) -> Option<Parsed<'_>> {
    let text = Some(text).filter(|text| text.len() <= LONGEST)?.strip_prefix(PREFIX)?;
    let (tenant, rest) = text.split_once('.')?;
    let (family, secret) = rest.split_once('.')?;
    let is_random = |part: &str| URL_SAFE_NO_PAD.decode(part).is_ok_and(|bytes| bytes.len() == 32);
    let tenant = String::from_utf8(URL_SAFE_NO_PAD.decode(tenant).ok()?).ok()?;
    (is_random(family) && is_random(secret) && is_tenant(&tenant)).then_some(Parsed {
        tenant,
        family,
        secret,
    })
}

fn place(tenant: &str, family: &str) -> RecordId {
    RecordId::new(tenant, KIND, hashed(&[family]))
}

fn read(record: &Record) -> Result<Family> {
    serde_json::from_slice(record.draft.value.expose())
        .map_err(|_| Error::new(ErrorKind::Decode, Effect::NotSent, "the kept refresh token cannot be read"))
}

fn refused() -> Error {
    Error::new(ErrorKind::Unauthenticated, Effect::Rejected, "the refresh token is not good")
        .with_code("refresh_token")
        .with_hint("let the user sign in again")
}

fn reused(whose: RefreshReused) -> Error {
    Error::new(ErrorKind::Unauthenticated, Effect::Applied, "an old refresh token was used again")
        .with_code("refresh_reused")
        .with_hint("somebody has a copy: tell the user, and let them sign in again")
        .with_source(whose)
}

fn busy() -> Error {
    Error::new(ErrorKind::Conflict, Effect::Rejected, "the refresh token is being redeemed by others")
        .with_retryable(true)
}
