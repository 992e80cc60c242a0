//! Signing in with a password.

use integrations_core::{Effect, Error, ErrorKind, Result, SecretString};

use super::{Accounts, PendingSecondFactor};
use crate::{MailAddress, Method, Passwords, Session, SessionToken, User};

pub(super) const LOGIN: &str = "login";

/// How far a sign-in came.
#[derive(Debug)]
#[must_use]
#[allow(clippy::exhaustive_enums, reason = "a case that nobody handles would be a way in")]
pub enum Login {
    /// They are signed in.
    SignedIn(Box<SignedInUser>),
    /// The password was right, and they must show a second factor.
    SecondFactor(PendingSecondFactor),
}

/// Somebody who signed in.
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedInUser {
    /// Who.
    pub user: User,
    /// Their session's token, for the browser alone.
    pub token: SessionToken,
    /// Their session.
    pub session: Session,
}

impl Accounts {
    /// Signs somebody in. A wrong password, an unknown address, an account without a password, one that is disabled and one
    /// whose address is not proven are one answer, after the same time: whoever signs up with an address and then signs in
    /// does not learn whether it had an account. After the right password of one whose address is not proven, its mail
    /// is sent again, as [`request_verification`](Self::request_verification) does.
    ///
    /// The time of a hash that was not made by the present policy is its own; it shows until its owner signs in, which
    /// replaces it.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] with the code `sign_in_failed`; [`ErrorKind::RateLimited`] if this address was tried too often, whether it has an account or not;
    /// [`ErrorKind::InvalidRequest`] and [`ErrorKind::Unavailable`] as with [`Passwords::verify`].
    pub async fn login(&self, tenant: &str, address: &MailAddress, password: &SecretString) -> Result<Login> {
        Passwords::check_longest(password)?;
        let who = address.folded();
        self.throttle.admit(tenant, LOGIN, &who).await?;
        let found = self.users.by_email(tenant, address).await?;
        let Some((user, needs_rehash)) = self.proven(found, password).await? else { return Err(failed()) };
        if user.email_verified_at.is_none() && !self.unverified_may_sign_in {
            self.remind_later(user);
            return Err(failed());
        }
        self.throttle.succeeded(tenant, LOGIN, &who).await?;
        let user = if needs_rehash { self.rehashed(user, password).await? } else { user };
        if has_second_factor(&user) {
            return self.pend(&user).await.map(Login::SecondFactor);
        }
        let signed_in = self.open(&user, vec![Method::Password]).await?;
        Ok(Login::SignedIn(Box::new(signed_in)))
    }

    /// The user whose password it is, and whether its hash is an old one. It takes the same time without a user.
    pub(super) async fn proven(
        &self,
        found: Option<User>,
        password: &SecretString,
    ) -> Result<Option<(User, bool)>> {
        let user = found.filter(|user| user.disabled_at.is_none());
        let hash = user.as_ref().and_then(|user| user.password.as_ref());
        let (Some(user), Some(hash)) = (&user, hash) else { return self.nobody(password).await };
        match self.passwords.verify(password, hash).await {
            Ok(verdict) => Ok(verdict.matches.then(|| (user.clone(), verdict.needs_rehash))),
            // A hash that cannot be held against anything tells the caller no more than none.
            Err(e) if matches!(e.code(), Some("password_hash" | "unknown_pepper")) => {
                tracing::error!(error = %e, user = %user.id, "a user's password cannot be verified");
                self.nobody(password).await
            }
            Err(e) => Err(e),
        }
    }

    async fn nobody(&self, password: &SecretString) -> Result<Option<(User, bool)>> {
        self.passwords.verify_none(password).await.map(|()| None)
    }

    /// A session, unless the password was changed, the user disabled or a second factor confirmed that they did not show
    /// while they signed in: whoever did that has ended the sessions that there were, and this one came after.
    pub(super) async fn open(&self, user: &User, methods: Vec<Method>) -> Result<SignedInUser> {
        let (token, session) = self.sessions.create(user, methods).await?;
        let is_alone = session.methods == [Method::Password];
        let may_enter = |present: &User| {
            present.disabled_at.is_none()
                && has_same_password(present, user)
                && !(is_alone && has_second_factor(present))
        };
        match self.users.user(&user.tenant, &user.id).await?.filter(may_enter) {
            Some(user) => Ok(SignedInUser { user, token, session }),
            None => {
                self.sessions.end(&token).await?;
                Err(failed())
            }
        }
    }

    /// The user with a hash by the present policy. Whoever cannot write it signs in with the old one.
    async fn rehashed(&self, user: User, password: &SecretString) -> Result<User> {
        let hash = match self.passwords.hash(password).await {
            Ok(hash) => hash,
            Err(e) => {
                tracing::warn!(error = %e, user = %user.id, "an old hash of a password stays");
                return Ok(user);
            }
        };
        let mut next = user.clone();
        next.password = Some(hash);
        match self.users.replace(&next).await {
            Ok(Some(user)) => Ok(user),
            Ok(None) => self.still(&user, password).await,
            Err(e) => {
                tracing::warn!(error = %e, user = %user.id, "an old hash of a password stays");
                Ok(user)
            }
        }
    }

    /// The user as somebody else has changed them meanwhile, if the password is still theirs.
    async fn still(&self, user: &User, password: &SecretString) -> Result<User> {
        let present = self.users.user(&user.tenant, &user.id).await?;
        let proven = self.proven(present, password).await?;
        proven.map(|(user, _)| user).ok_or_else(failed)
    }
}

fn has_second_factor(user: &User) -> bool {
    user.one_time.as_ref().is_some_and(|factor| factor.confirmed_at.is_some())
}

pub(super) fn has_same_password(one: &User, other: &User) -> bool {
    let hash = |user: &User| user.password.as_ref().map(|hash| hash.expose().clone());
    hash(one) == hash(other)
}

/// One answer for all who are not signed in.
pub(super) fn failed() -> Error {
    Error::new(ErrorKind::Unauthenticated, Effect::Rejected, "the mail address or the password is wrong")
        .with_code("sign_in_failed")
        .with_hint("try again, follow the link in the mail of the sign-up, or reset the password")
}
