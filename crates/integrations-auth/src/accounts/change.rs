//! Changes by somebody who is signed in.

use integrations_core::{Effect, Error, ErrorKind, Result, SecretString};

use super::login::has_same_password;
use super::notices::NoticeKind;
use super::reset::applied;
use super::tickets::{ADDRESS_CHANGE, Bond, dead};
use super::{Accounts, contended};
use crate::{MailAddress, Reauthenticated, SessionToken, User};

const PASSWORD: &str = "password";
const ADDRESS: &str = "address_change";

/// Shows that it is still the user who sits there, before something is changed that would keep them out.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "each case is a way in")]
pub enum Confirmation {
    /// Their present password. Guesses are slowed down.
    Password(SecretString),
    /// They proved who they are a moment ago.
    Reauthenticated(Reauthenticated),
}

impl Accounts {
    /// Sets another password, also the first one of a user who has none. All other sessions end; the user is told by mail.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] with the code `session_ended`; [`ErrorKind::PermissionDenied`] with the code
    /// `wrong_password` or `wrong_proof`; as [`Throttle::admit`](crate::Throttle::admit) after too many wrong ones; as
    /// [`Passwords::check`](crate::Passwords::check) if the new one is refused. With [`Effect::Applied`] the password was
    /// set and sessions may be left.
    pub async fn change_password(
        &self,
        session: &SessionToken,
        confirmation: Confirmation,
        new: &SecretString,
    ) -> Result<()> {
        let user = self.confirmed(session, confirmation).await?;
        self.passwords.check(new, user.email.as_ref()).await?;
        let hash = self.passwords.hash(new).await?;
        let user = self
            .update(&user.tenant, &user.id, |present| {
                if !has_same_password(present, &user) || present.disabled_at.is_some() {
                    return Err(contended());
                }
                present.password = Some(hash.clone());
                Ok(())
            })
            .await?;
        self.after_change(session, &user).await.map_err(applied)
    }

    /// Sends a token for [`confirm_address_change`](Self::confirm_address_change) to the address that is to be the user's.
    /// Until then the present one stays. The answer is the same whether the new one has an account; if somebody else has
    /// it they are told so. A user may prove the address that they have, if nobody has yet.
    ///
    /// # Errors
    /// As [`change_password`](Self::change_password), without those about new passwords; [`ErrorKind::RateLimited`] after
    /// too many addresses.
    pub async fn request_address_change(
        &self,
        session: &SessionToken,
        confirmation: Confirmation,
        new: &MailAddress,
    ) -> Result<()> {
        let user = self.confirmed(session, confirmation).await?;
        self.throttle.admit(&user.tenant, ADDRESS, user.id.as_str()).await?;
        let (this, new) = (self.clone(), new.clone());
        self.errands.run("a change of address", async move { this.ask_new_address(&user, &new).await })
    }

    /// The mail to the new address was read: it is the account's. The old one is told.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] with the code `token_invalid` if the token is unknown, used, or no longer good: since
    /// the address or the password was changed; [`ErrorKind::Conflict`] with the code `email` if somebody else has the
    /// address by now.
    pub async fn confirm_address_change(&self, tenant: &str, token: &SecretString) -> Result<User> {
        let (before, bond) = self.peek(ADDRESS_CHANGE, tenant, token).await?;
        let new = bond.new_address.clone().ok_or_else(dead)?;
        self.use_up(ADDRESS_CHANGE, tenant, token).await?;
        let now = self.clock.now();
        let user = self
            .update(tenant, &before.id, |user| {
                if !bond.holds(ADDRESS_CHANGE, user) {
                    return Err(dead());
                }
                user.email = Some(new.clone());
                user.email_verified_at = Some(now);
                Ok(())
            })
            .await?;
        self.end_tickets(tenant, &user.id).await.map_err(applied)?;
        if before.email != user.email {
            self.notify_later(&before, NoticeKind::AddressChanged { to: new }).map_err(applied)?;
        }
        Ok(user)
    }

    async fn confirmed(&self, session: &SessionToken, confirmation: Confirmation) -> Result<User> {
        let session = self.sessions.get(session).await?.ok_or_else(ended)?;
        let user = self.users.user(&session.tenant, &session.user).await?;
        let user = user.filter(|user| user.disabled_at.is_none()).ok_or_else(ended)?;
        match confirmation {
            Confirmation::Password(password) => self.confirm_by_password(user, &password).await,
            Confirmation::Reauthenticated(proof) => {
                let is_theirs = proof.user() == &user.id && proof.tenant() == user.tenant;
                is_theirs.then_some(user).ok_or_else(|| wrong("the proof is somebody else's", "wrong_proof"))
            }
        }
    }

    async fn confirm_by_password(&self, user: User, password: &SecretString) -> Result<User> {
        let (tenant, id) = (user.tenant.clone(), user.id.clone());
        self.throttle.admit(&tenant, PASSWORD, id.as_str()).await?;
        let proven = self.proven(Some(user), password).await?;
        let (user, _) = proven.ok_or_else(|| wrong("this is not the password", "wrong_password"))?;
        self.throttle.succeeded(&tenant, PASSWORD, id.as_str()).await?;
        Ok(user)
    }

    async fn after_change(&self, session: &SessionToken, user: &User) -> Result<()> {
        self.sessions.end_others(session).await?;
        // Others are ended by a session that is alone; one that has just ended ends none.
        if self.sessions.get(session).await?.is_none() {
            self.sessions.end_all(&user.tenant, &user.id).await?;
        }
        self.end_tickets(&user.tenant, &user.id).await?;
        self.notify_later(user, NoticeKind::PasswordChanged)
    }

    async fn ask_new_address(&self, user: &User, new: &MailAddress) -> Result<()> {
        let holder = self.users.by_email(&user.tenant, new).await?;
        if let Some(other) = holder.filter(|holder| holder.id != user.id) {
            let what = NoticeKind::AlreadyRegistered;
            return self.notify(&user.tenant, other.email.as_ref(), what).await;
        }
        let mut bond = Bond::to(user);
        bond.new_address = Some(new.clone());
        let (token, expires_at) = self.issue(ADDRESS_CHANGE, user, &bond).await?;
        let what = NoticeKind::VerifyNewAddress { token, expires_at };
        self.notify(&user.tenant, Some(new), what).await
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Unauthenticated, Effect::Rejected, "the session has ended")
        .with_code("session_ended")
        .with_hint("sign in again")
}

fn wrong(message: &'static str, code: &'static str) -> Error {
    Error::new(ErrorKind::PermissionDenied, Effect::Rejected, message)
        .with_code(code)
        .with_hint("ask the user for the present password, or to sign in again")
}
