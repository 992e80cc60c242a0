//! Signing up, and proving an address.

use integrations_core::{ErrorKind, Result, SecretString};

use super::Accounts;
use super::notices::NoticeKind;
use super::tickets::{Bond, SIGNED_UP_AGAIN, VERIFY};
use crate::opaque;
use crate::unproven::strip_unproven;
use crate::{MailAddress, User};

const SIGN_UP: &str = "sign_up";
const VERIFICATION: &str = "verification";

impl Accounts {
    /// Signs somebody up. The answer is the same whether the address has an account; what happened is in the mail: a token
    /// for [`verify_address`](Self::verify_address), or that there is an account already.
    ///
    /// If there is an account whose address nobody has proven, its password stays as it is, and the token brings the one
    /// that was given here: whoever reads the mail of a sign-up decides which password the account has.
    ///
    /// The account is made after the answer. If that fails there is no mail, and the person signs up again.
    ///
    /// # Errors
    /// As [`Passwords::check`](crate::Passwords::check) if the password is refused; as
    /// [`Throttle::admit`](crate::Throttle::admit) if this address was tried too often;
    /// [`ErrorKind::Unavailable`] with the code `busy` if there is too much to do.
    pub async fn sign_up(&self, tenant: &str, address: &MailAddress, password: &SecretString) -> Result<()> {
        self.throttle.admit(tenant, SIGN_UP, &address.folded()).await?;
        self.passwords.check(password, Some(address)).await?;
        let hash = self.passwords.hash(password).await?;
        let (this, tenant, address) = (self.clone(), tenant.to_owned(), address.clone());
        self.errands.run("a sign-up", async move { this.register(&tenant, &address, hash).await })
    }

    /// Sends another token to an address that was signed up with and not proven yet. The answer is always the same.
    ///
    /// If people have signed up with it more than once, nobody knows which of the passwords is the owner's: the token brings
    /// none and takes the account's away, and they set one by [`request_reset`](Self::request_reset).
    ///
    /// # Errors
    /// As [`sign_up`](Self::sign_up), without those about passwords.
    pub async fn request_verification(&self, tenant: &str, address: &MailAddress) -> Result<()> {
        self.throttle.admit(tenant, VERIFICATION, &address.folded()).await?;
        let (this, tenant, address) = (self.clone(), tenant.to_owned(), address.clone());
        self.errands.run("a verification", async move {
            let Some(user) = this.users.by_email(&tenant, &address).await? else { return Ok(()) };
            this.ask_again(&user).await
        })
    }

    /// Sends the token again to whoever signs in before they proved their address, as often as if they had asked for it.
    pub(super) fn remind_later(&self, user: User) {
        let this = self.clone();
        let reminder = self.errands.run("a reminder", async move {
            let who = user.email.as_ref().map(MailAddress::folded).unwrap_or_default();
            match this.throttle.admit(&user.tenant, VERIFICATION, &who).await {
                Ok(()) => this.ask_again(&user).await,
                Err(e) if e.kind() == ErrorKind::RateLimited => Ok(()),
                Err(e) => Err(e),
            }
        });
        if let Err(e) = reminder {
            tracing::warn!(error = %e, "a mail was not sent again");
        }
    }

    /// The mail was read: the address is the account's owner's. This is no sign-in. Who has no password then is to be sent
    /// a [`request_reset`](Self::request_reset).
    ///
    /// An account that has another password than the one of the token's sign-up was made by somebody else: it loses what
    /// signs in to it, and its sessions.
    ///
    /// If the store fails half-way the token may be used up; another one is asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] with the code `token_invalid` if the token is unknown, used, or no longer good.
    pub async fn verify_address(&self, tenant: &str, token: &SecretString) -> Result<User> {
        let (user, bond) = self.peek(VERIFY, tenant, token).await?;
        self.use_up(VERIFY, tenant, token).await?;
        let is_own = is_password(&user, bond.password.as_deref());
        let now = self.clock.now();
        let user = self
            .update(tenant, &user.id, |user| {
                if !bond.holds(VERIFY, user) {
                    return Err(super::tickets::dead());
                }
                if !is_password(user, bond.password.as_deref()) {
                    strip_unproven(user);
                    user.password = bond.password.as_deref().map(SecretString::from);
                }
                user.email_verified_at = Some(now);
                Ok(())
            })
            .await?;
        if !is_own {
            self.sessions.end_all(tenant, &user.id).await?;
        }
        self.end_tickets(tenant, &user.id).await?;
        Ok(user)
    }

    async fn register(&self, tenant: &str, address: &MailAddress, hash: SecretString) -> Result<()> {
        let user = match self.users.by_email(tenant, address).await? {
            Some(user) => user,
            None => self.made(tenant, address, &hash).await?,
        };
        if user.email_verified_at.is_some() || user.disabled_at.is_some() {
            return self.notify(tenant, user.email.as_ref(), NoticeKind::AlreadyRegistered).await;
        }
        if !is_password(&user, Some(hash.expose())) {
            self.issue(SIGNED_UP_AGAIN, &user, &Bond::to(&user)).await?;
        }
        self.ask_to_verify(&user, Some(&hash)).await
    }

    /// A new account, or the one that somebody else made under this address just before.
    async fn made(&self, tenant: &str, address: &MailAddress, hash: &SecretString) -> Result<User> {
        let mut user = User::new(opaque::token()?.expose().as_str(), tenant, self.clock.now());
        user.email = Some(address.clone());
        user.password = Some(hash.clone());
        match self.users.insert(&user).await {
            Err(e) if e.kind() == ErrorKind::Conflict => self.users.by_email(tenant, address).await?.ok_or(e),
            made => made,
        }
    }

    async fn ask_again(&self, user: &User) -> Result<()> {
        let (Some(hash), None, None) = (&user.password, user.email_verified_at, user.disabled_at) else {
            return Ok(());
        };
        let is_alone = !self.has(SIGNED_UP_AGAIN, user).await?;
        self.ask_to_verify(user, Some(hash).filter(|_| is_alone)).await
    }

    async fn ask_to_verify(&self, user: &User, hash: Option<&SecretString>) -> Result<()> {
        let mut bond = Bond::to(user);
        bond.password = hash.map(|hash| hash.expose().clone());
        let (token, expires_at) = self.issue(VERIFY, user, &bond).await?;
        let what = NoticeKind::VerifyAddress { token, expires_at };
        self.notify(&user.tenant, user.email.as_ref(), what).await
    }
}

fn is_password(user: &User, hash: Option<&str>) -> bool {
    user.password.as_ref().map(|own| own.expose().as_str()) == hash
}
