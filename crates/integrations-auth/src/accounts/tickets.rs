//! Tokens that work once.

use std::time::Duration;

use integrations_core::{Effect, Error, ErrorKind, Result, Secret, SecretString};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use super::Accounts;
use crate::names::hashed;
use crate::opaque;
use crate::{Draft, MailAddress, RecordId, User, UserId};

/// A kind of token.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    /// The kind of its records.
    kind: &'static str,
    lifetime: Duration,
    /// A new one is the only one.
    alone: bool,
    /// Whom it is good for, besides being bound to them.
    good_for: fn(&User, &Bond) -> bool,
}

/// Each sign-up has its own, or whoever signs up after somebody else would take away theirs.
pub(super) const VERIFY: Ticket = Ticket {
    kind: "verify",
    lifetime: Duration::from_secs(24 * 60 * 60),
    alone: false,
    good_for: |user, _| user.email_verified_at.is_none(),
};

pub(super) const RESET: Ticket = Ticket {
    kind: "reset",
    lifetime: Duration::from_secs(30 * 60),
    alone: true,
    good_for: |user, bond| bond.password_state == password_state(user),
};

pub(super) const ADDRESS_CHANGE: Ticket =
    Ticket { kind: "address_change", lifetime: Duration::from_secs(24 * 60 * 60), ..RESET };

pub(super) const SECOND_FACTOR: Ticket =
    Ticket { kind: "second_factor", lifetime: Duration::from_secs(5 * 60), alone: false, ..RESET };

/// A mark that nobody holds: somebody else has signed up with the address of an account that there was, and whose password
/// the account has is not known until one of their own mails is followed.
pub(super) const SIGNED_UP_AGAIN: Ticket = Ticket {
    kind: "signed_up_again",
    lifetime: Duration::from_secs(10 * 365 * 24 * 60 * 60),
    alone: true,
    good_for: |_, _| false,
};

const ALL: [Ticket; 5] = [VERIFY, RESET, ADDRESS_CHANGE, SECOND_FACTOR, SIGNED_UP_AGAIN];

/// What a token is bound to, and what it brings about.
#[derive(Serialize, Deserialize)]
pub(super) struct Bond {
    /// The account's address, folded.
    address: Option<String>,
    /// Since when it is proven.
    verified_at: Option<Timestamp>,
    /// Stands for the account's password.
    password_state: String, // tidy: not a secret, a hash of the password's hash
    /// The hash of the password that was given at sign-up.
    pub(super) password: Option<String>, // tidy: not a secret, wiped when dropped, and sealed by the store
    /// The address that is to be the account's.
    pub(super) new_address: Option<MailAddress>,
}

impl Drop for Bond {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

impl Bond {
    pub(super) fn to(user: &User) -> Self {
        let address = user.email.as_ref().map(MailAddress::folded);
        let (verified_at, password_state) = (user.email_verified_at, password_state(user));
        Self { address, verified_at, password_state, password: None, new_address: None }
    }

    /// Whether a token of this kind that was bound like this is good for the user as they are now.
    pub(super) fn holds(&self, ticket: Ticket, user: &User) -> bool {
        let address = user.email.as_ref().map(MailAddress::folded);
        let is_same = address == self.address && user.email_verified_at == self.verified_at;
        user.disabled_at.is_none() && is_same && (ticket.good_for)(user, self)
    }
}

impl Accounts {
    /// A new token, and when it is over.
    pub(super) async fn issue(
        &self,
        ticket: Ticket,
        user: &User,
        bond: &Bond,
    ) -> Result<(SecretString, Timestamp)> {
        if ticket.alone {
            self.records.remove_owned(&user.tenant, ticket.kind, &user.id).await?;
        }
        let (token, now) = (opaque::token()?, self.clock.now());
        let expires_at = now.saturating_add(ticket.lifetime).unwrap_or(Timestamp::MAX);
        let value = serde_json::to_vec(bond).map_err(|_| dead())?;
        let draft = Draft { owner: Some(user.id.clone()), expires_at, value: Secret::new(value) };
        let written = self.records.put(&ticket.id(&user.tenant, &token), 0, &draft, now).await?;
        written.map(|_| (token, expires_at)).ok_or_else(super::contended)
    }

    /// Whose token this is and what it brings about, if it is good now. It stays.
    pub(super) async fn peek(
        &self,
        ticket: Ticket,
        tenant: &str,
        token: &SecretString,
    ) -> Result<(User, Bond)> {
        let record = self.records.get(&ticket.id(tenant, token), self.clock.now()).await?;
        let Some(Draft { owner: Some(owner), value, .. }) = record.map(|record| record.draft) else {
            return Err(dead());
        };
        let bond: Bond = serde_json::from_slice(value.expose()).map_err(|_| dead())?;
        let user = self.users.user(tenant, &owner).await?.filter(|user| bond.holds(ticket, user));
        user.map(|user| (user, bond)).ok_or_else(dead)
    }

    /// Uses a token up: one of all who try goes on.
    pub(super) async fn use_up(&self, ticket: Ticket, tenant: &str, token: &SecretString) -> Result<()> {
        let present = self.records.take(&ticket.id(tenant, token), self.clock.now()).await?;
        present.map(drop).ok_or_else(dead)
    }

    /// Whether a user has a token of this kind.
    pub(super) async fn has(&self, ticket: Ticket, user: &User) -> Result<bool> {
        let owned = self.records.owned(&user.tenant, ticket.kind, &user.id, self.clock.now()).await?;
        Ok(!owned.is_empty())
    }

    /// Ends all tokens of a user.
    pub(super) async fn end_tickets(&self, tenant: &str, user: &UserId) -> Result<()> {
        for ticket in ALL {
            self.records.remove_owned(tenant, ticket.kind, user).await?;
        }
        Ok(())
    }
}

impl Ticket {
    fn id(self, tenant: &str, token: &SecretString) -> RecordId {
        RecordId::new(tenant, self.kind, hashed(&[self.kind, token.expose()]))
    }
}

fn password_state(user: &User) -> String {
    hashed(&["password", user.password.as_ref().map_or("", |hash| hash.expose().as_str())])
}

/// One answer for a token that never was, was used, is over, or is no longer good.
pub(super) fn dead() -> Error {
    Error::new(ErrorKind::Unauthenticated, Effect::Rejected, "the link or code is no longer good")
        .with_code("token_invalid")
        .with_hint("ask for another one")
}
