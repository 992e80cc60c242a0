//! Forgotten passwords.

use integrations_core::{Effect, Error, Result, SecretString};

use super::Accounts;
use super::login::LOGIN;
use super::notices::NoticeKind;
use super::tickets::{Bond, RESET, dead};
use crate::unproven::strip_unproven;
use crate::{MailAddress, User};

const ACTION: &str = "reset";

impl Accounts {
    /// Sends a token for [`reset`](Self::reset) to the account of this address, if there is one that may sign in. The
    /// answer is always the same. The token is good for 30 minutes, and the one before it no longer; of two that are asked
    /// for in the same moment both may be good, until one is used.
    ///
    /// # Errors
    /// As [`Throttle::admit`](crate::Throttle::admit) if this address was tried too often;
    /// [`ErrorKind::Unavailable`](integrations_core::ErrorKind) with the code `busy` if there is too much to do.
    pub async fn request_reset(&self, tenant: &str, address: &MailAddress) -> Result<()> {
        self.throttle.admit(tenant, ACTION, &address.folded()).await?;
        let (this, tenant, address) = (self.clone(), tenant.to_owned(), address.clone());
        self.errands.run("a reset", async move {
            let user = this.users.by_email(&tenant, &address).await?;
            let Some(user) = user.filter(|user| user.disabled_at.is_none()) else { return Ok(()) };
            let (token, expires_at) = this.issue(RESET, &user, &Bond::to(&user)).await?;
            let what = NoticeKind::ResetPassword { token, expires_at };
            this.notify(&tenant, user.email.as_ref(), what).await
        })
    }

    /// Sets a new password for whoever read the mail. It signs nobody in, ends all sessions and keeps the second factor.
    ///
    /// Who reads the mail owns the address: it is verified. If it was not, somebody else may have made the account, and it
    /// loses whatever else signs in to it.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`](integrations_core::ErrorKind) with the code `token_invalid` if the token is unknown,
    /// used, or no longer good; as [`Passwords::check`](crate::Passwords::check) if the password is refused, which does not
    /// use the token up. With [`Effect::Applied`] the password was set and sessions may be left: call
    /// [`Sessions::end_all`](crate::Sessions::end_all).
    pub async fn reset(&self, tenant: &str, token: &SecretString, password: &SecretString) -> Result<()> {
        let (user, bond) = self.peek(RESET, tenant, token).await?;
        self.passwords.check(password, user.email.as_ref()).await?;
        let hash = self.passwords.hash(password).await?;
        self.use_up(RESET, tenant, token).await?;
        let now = self.clock.now();
        let user = self
            .update(tenant, &user.id, |user| {
                if !bond.holds(RESET, user) {
                    return Err(dead());
                }
                strip_unproven(user);
                user.password = Some(hash.clone());
                user.email_verified_at = user.email_verified_at.or(Some(now));
                Ok(())
            })
            .await?;
        self.after_reset(&user).await.map_err(applied)
    }

    async fn after_reset(&self, user: &User) -> Result<()> {
        self.sessions.end_all(&user.tenant, &user.id).await?;
        self.end_tickets(&user.tenant, &user.id).await?;
        if let Some(address) = &user.email {
            self.throttle.succeeded(&user.tenant, LOGIN, &address.folded()).await?;
        }
        self.notify_later(user, NoticeKind::PasswordChanged)
    }
}

/// The change is done; what was to follow is not.
pub(super) fn applied(e: Error) -> Error {
    e.with_effect(Effect::Applied).with_hint("the change is done; end the user's sessions")
}
