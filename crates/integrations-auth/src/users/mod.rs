//! The application's own users.
//!
//! A user is one document with a version, and a store compares and swaps it: what two requests change at once is changed
//! by one after the other, or by one alone.

pub(crate) mod directory;
mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use integrations_core::{Effect, Error, ErrorKind, Result, Secret, SecretString};
use jiff::Timestamp;

use crate::{EmailClaim, IdentityKey, MailAddress};

pub use directory::Directory;
pub use memory::MemoryUsers;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::SqlUsers;

integrations_core::text_id! {
    /// The application's name for a user. It is never given to anybody else, and it is no secret.
    pub struct UserId;
}

/// A user of one tenant. Cheap enough to clone; it is changed by reading it, changing the copy and
/// [`UserStore::replace`].
#[derive(Clone)]
#[non_exhaustive]
pub struct User {
    /// The application's name for them.
    pub id: UserId,
    /// The tenant; `""` where there are none.
    pub tenant: String,
    /// Counts the changes; the first is 1. A store sets it.
    pub version: u64,
    /// The mail address that the application writes to; unique in the tenant, by [`MailAddress::folded`].
    pub email: Option<MailAddress>,
    /// Since when it is known that they read mail there; `None`: it is not.
    pub email_verified_at: Option<Timestamp>,
    /// The name, as they want it shown.
    pub name: Option<String>,
    /// The identities that sign in as this user. An identity belongs to one user of a tenant.
    pub identities: Vec<LinkedIdentity>,
    /// The password, as a PHC string.
    pub password: Option<SecretString>,
    /// The second factor by one-time codes.
    pub one_time: Option<OneTimePassword>,
    /// Hashes of the recovery codes that are left.
    pub recovery: Vec<String>,
    /// What they may do, and where.
    pub roles: Vec<RoleGrant>,
    /// Since when they may not sign in; `None`: they may.
    pub disabled_at: Option<Timestamp>,
    /// When the user was made.
    pub created_at: Timestamp,
    /// What the application keeps beside it.
    pub extra: BTreeMap<String, serde_json::Value>,
    /// What a newer build has written and this one cannot read: it is written back as it was.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        allow(dead_code, reason = "only they write it")
    )]
    pub(crate) unread: BTreeMap<String, serde_json::Value>,
}

impl fmt::Debug for User {
    /// Never what proves them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("tenant", &self.tenant)
            .field("version", &self.version)
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}

impl User {
    /// A user who has nothing yet to sign in with.
    pub fn new(id: impl Into<UserId>, tenant: impl Into<String>, created_at: Timestamp) -> Self {
        Self {
            id: id.into(),
            tenant: tenant.into(),
            version: 0,
            email: None,
            email_verified_at: None,
            name: None,
            identities: Vec::new(),
            password: None,
            one_time: None,
            recovery: Vec::new(),
            roles: Vec::new(),
            disabled_at: None,
            created_at,
            extra: BTreeMap::new(),
            unread: BTreeMap::new(),
        }
    }
}

/// An identity of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkedIdentity {
    /// What it is known by.
    pub key: IdentityKey,
    /// The provider's id.
    pub provider: String,
    /// The mail address there when it was linked.
    pub email: Option<EmailClaim>,
    /// When it was linked.
    pub linked_at: Timestamp,
}

impl LinkedIdentity {
    /// An identity, linked at this time.
    pub fn new(key: IdentityKey, provider: impl Into<String>, linked_at: Timestamp) -> Self {
        Self { key, provider: provider.into(), email: None, linked_at }
    }
}

/// A second factor by one-time codes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OneTimePassword {
    /// The shared secret.
    pub secret: Secret<Vec<u8>>,
    /// When a code of it was first shown; until then it proves nothing.
    pub confirmed_at: Option<Timestamp>,
    /// The step of the last code that was accepted: none that is not later is accepted again.
    pub last_step: Option<u64>,
}

impl OneTimePassword {
    /// A secret that nobody has shown a code of yet.
    pub fn new(secret: Secret<Vec<u8>>) -> Self {
        Self { secret, confirmed_at: None, last_step: None }
    }
}

/// That a user has a role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct RoleGrant {
    /// The role's name.
    pub role: String,
    /// In which part of the tenant: a path such as `projects/7`; `""` is all of it.
    pub scope: String,
}

impl RoleGrant {
    /// A role in a part of the tenant.
    pub fn new(role: impl Into<String>, scope: impl Into<String>) -> Self {
        Self { role: role.into(), scope: scope.into() }
    }
}

/// Keeps users.
///
/// Invariants that every store holds:
/// - Of all who replace the same version, one wins.
/// - A mail address and an identity belong to one user of a tenant, from the commit that gives them to the one that
///   takes them away.
#[async_trait]
pub trait UserStore: Send + Sync + 'static {
    /// The user of this id.
    async fn user(&self, tenant: &str, id: &UserId) -> Result<Option<User>>;

    /// The user with this mail address, verified or not.
    async fn by_email(&self, tenant: &str, address: &MailAddress) -> Result<Option<User>>;

    /// The user whom this identity belongs to.
    async fn by_identity(&self, tenant: &str, key: &IdentityKey) -> Result<Option<User>>;

    /// A new user. [`ErrorKind::Conflict`](integrations_core::ErrorKind) with the code `id`, `email` or `identity` if
    /// another one has it.
    async fn insert(&self, user: &User) -> Result<User>;

    /// The next version of a user. `None` if the present version is another one than `user.version`, or there is none;
    /// [`ErrorKind::Conflict`](integrations_core::ErrorKind) as with [`insert`](UserStore::insert).
    async fn replace(&self, user: &User) -> Result<Option<User>>;

    /// Forgets a user, if the present version is this one.
    async fn remove(&self, tenant: &str, id: &UserId, seen: u64) -> Result<bool>;

    /// Users of a tenant in the order of their ids, after `after`, at most `limit`. Fewer than `limit` are the last ones.
    async fn list(&self, tenant: &str, after: Option<&UserId>, limit: u32) -> Result<Vec<User>>;
}

/// What one user of a tenant has at most.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Claim {
    /// A folded mail address.
    Email(String),
    /// An identity.
    Identity(IdentityKey),
}

impl Claim {
    /// In an order, which all who write several at once keep.
    fn of(user: &User) -> BTreeSet<Self> {
        let identities = user.identities.iter().map(|identity| Self::Identity(identity.key.clone()));
        identities.chain(user.email.as_ref().map(|email| Self::Email(email.folded()))).collect()
    }

    /// The code of the conflict when another user has it.
    fn code(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Identity(_) => "identity",
        }
    }
}

fn taken(code: &'static str) -> Error {
    let (what, hint) = match code {
        "email" => {
            ("mail address", "let the user sign in to the account that has it; do not tell anybody who asks")
        }
        "identity" => ("identity", "sign in as the user whose it is, or unlink it there first"),
        _ => ("id", "give each user an id of their own, also after others were removed"),
    };
    Error::new(ErrorKind::Conflict, Effect::Rejected, format!("another user of the tenant has this {what}"))
        .with_code(code)
        .with_hint(hint)
}
