//! What GitHub sends: tolerant of anything new, and of anything missing that we can do without.

use integrations_core::{Result, WireResponse};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::types::{Account, CheckedToken, Email as KnownEmail};
use crate::{EmailClaim, MailAddress};

#[derive(Debug, Deserialize)]
pub(super) struct User {
    id: Option<u64>,
    login: Option<String>,
    name: Option<String>,
    email: Option<String>,
    avatar_url: Option<String>,
    node_id: Option<Value>,
    #[serde(rename = "type")]
    kind: Option<Value>,
    html_url: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Email {
    #[serde(rename = "email")]
    address: Option<String>,
    primary: Option<bool>,
    verified: Option<bool>,
}

/// The token itself comes back, too; nobody needs it.
#[derive(Debug, Deserialize)]
pub(super) struct Authorization {
    app: Option<App>,
    user: Option<TokenOwner>,
    scopes: Option<Vec<Option<String>>>,
    expires_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct App {
    client_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct TokenOwner {
    id: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    pub(super) message: Option<String>,
    pub(super) errors: Option<Vec<Option<Detail>>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Detail {
    Coded { code: String },
    Other(serde::de::IgnoredAny),
}

impl User {
    /// An account without a number is nobody.
    pub(super) fn into_account(self, response: &WireResponse) -> Result<Account> {
        let Self { id, login, name, email, avatar_url, node_id, kind, html_url } = self;
        let id = id.filter(|id| *id > 0).ok_or_else(|| response.undecodable("the account has no number"))?;
        let extra = [("node_id", node_id), ("type", kind), ("html_url", html_url)];
        let extra = extra.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Ok(Account {
            id,
            login: filled(login),
            name: filled(name),
            email: email.and_then(|text| MailAddress::parse(&text).ok()).map(EmailClaim::Unknown),
            avatar_url: filled(avatar_url),
            extra: extra.collect::<Map<_, _>>(),
        })
    }
}

impl Email {
    /// What is no address is left out.
    pub(super) fn into_domain(self) -> Option<KnownEmail> {
        let claim = match self.verified {
            Some(true) => EmailClaim::Verified,
            Some(false) => EmailClaim::Unverified,
            None => EmailClaim::Unknown,
        };
        let claim = MailAddress::parse(&self.address?).ok().map(claim)?;
        Some(KnownEmail { claim, is_primary: self.primary == Some(true) })
    }
}

impl Authorization {
    /// A token of which nobody says whose application it was given to was not checked; and one that says when it ends in
    /// words that nobody knows could be used for ever.
    pub(super) fn into_checked(self, response: &WireResponse) -> Result<CheckedToken> {
        let app = self.app.and_then(|app| filled(app.client_id));
        let client_id = app.ok_or_else(|| response.undecodable("the token has no application"))?;
        let expires_at = self.expires_at.map(|text| text.parse::<Timestamp>()).transpose();
        let expires_at = expires_at.map_err(|_| response.undecodable("the token's end is no time"))?;
        let user = self.user.and_then(|user| user.id).filter(|id| *id > 0);
        let scopes = self.scopes.into_iter().flatten().flatten().collect();
        Ok(CheckedToken { client_id, user, scopes, expires_at })
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}
