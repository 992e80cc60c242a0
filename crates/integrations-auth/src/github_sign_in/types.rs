//! What the calls give.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{EmailClaim, IdentityKey};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Account {
    /// Its number, which it keeps.
    pub id: u64,
    /// Its name in addresses, which its owner may change and another may take.
    pub login: Option<String>,
    /// The name that it shows.
    pub name: Option<String>,
    /// The mail address that it shows to everybody. GitHub does not say whether it is verified.
    pub email: Option<EmailClaim>,
    /// The address of its picture.
    pub avatar_url: Option<String>,
    /// `node_id`, `type` and `html_url`, as GitHub says them.
    pub extra: Map<String, Value>,
}

/// A mail address of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Email {
    /// The address, and whether GitHub has verified it.
    pub claim: EmailClaim,
    /// Whether GitHub writes there.
    pub is_primary: bool,
}

/// What GitHub says of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckedToken {
    /// The application that it was given to.
    pub client_id: String,
    /// The number of the account that it stands for; `None`: it stands for no user.
    pub user: Option<u64>,
    /// What it allows; none with tokens of GitHub Apps, which have permissions in their place.
    pub scopes: Vec<String>,
    /// When it ends; `None`: when it is revoked.
    pub expires_at: Option<Timestamp>,
}

/// A token that was given to this application.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnToken {
    /// Whom it stands for.
    pub key: IdentityKey,
    /// What it allows; none with tokens of GitHub Apps, which have permissions in their place.
    pub scopes: Vec<String>,
    /// When it ends; `None`: when it is revoked.
    pub expires_at: Option<Timestamp>,
}
