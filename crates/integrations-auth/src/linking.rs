//! Which identities belong to one user, and who may say so.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use integrations_core::{Clock, Effect, Error, ErrorKind, Result};

use crate::sessions::{Reauthenticated, Sessions};
use crate::unproven::strip_unproven;
use crate::{
    EmailClaim, Identity, IdentityKey, LinkedIdentity, MailAddress, Proven, User, UserId, UserStore, opaque,
};

/// A race is lost at most this often before we give up: each loss is somebody else's success.
const TRIES: usize = 8;

/// The provider that speaks for whichever issuer it was set up for: what one of them says, another one does not.
const ANY_ISSUER: &str = "oidc";

/// That whoever asks has just proven to be a user: by [`Reauthenticated`], or by a [`Flow`](crate::Flow) that was begun with
/// it and came back to the same browser. It links one identity.
///
/// Without it nothing is linked:
///
/// ```compile_fail,E0061
/// use integrations_auth::{Identities, Identity, Proven, UserId};
/// async fn naive(identities: Identities, user: UserId, identity: Proven<Identity>) {
///     identities.link(user, identity).await;
/// }
/// ```
///
/// and nobody makes one of an id:
///
/// ```compile_fail,E0624
/// let proof = integrations_auth::ProofOfControl::new("", "user-1");
/// ```
#[derive(Debug)]
pub struct ProofOfControl {
    tenant: String,
    user: UserId,
}

impl ProofOfControl {
    pub(crate) fn new(tenant: impl Into<String>, user: impl Into<UserId>) -> Self {
        Self { tenant: tenant.into(), user: user.into() }
    }

    pub(crate) fn into_parts(self) -> (String, UserId) {
        (self.tenant, self.user)
    }

    /// Who it is about.
    pub fn user(&self) -> &UserId {
        &self.user
    }
}

impl From<Reauthenticated> for ProofOfControl {
    fn from(proof: Reauthenticated) -> Self {
        Self::new(proof.tenant(), proof.user().clone())
    }
}

/// Whose word about mail addresses counts, and for what. Default: nobody's.
///
/// A provider that lets people type an address and calls it verified hands over every account with that address: trust one
/// only for the domains that it is the authority of, or whose owners it asks.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct MailTrust {
    /// The domains for which a provider's or an issuer's word counts; `None`: for all.
    providers: BTreeMap<String, Option<Vec<String>>>,
    links: bool,
}

impl MailTrust {
    /// Nobody's word counts: no address of an identity becomes a user's, and nothing is linked by it.
    pub fn nobody() -> Self {
        Self::default()
    }

    /// An address that this provider calls verified counts as verified, whatever its domain. Of the providers here, that is
    /// sound for Google alone, whose client calls an address verified only where Google is the authority for it.
    ///
    /// A provider is named by its id, or by its issuer as [`IdentityKey::issuer`] has it. With `oidc`, which is for any
    /// issuer, the issuer must be named: trust in `oidc` as such is trust in nobody.
    pub fn provider(mut self, provider: impl Into<String>) -> Self {
        self.providers.insert(provider.into(), None);
        self
    }

    /// The same for addresses in these domains: for a company's own issuer, by its address.
    pub fn provider_in<D: Into<String>>(
        mut self,
        provider: impl Into<String>,
        domains: impl IntoIterator<Item = D>,
    ) -> Self {
        let domains = domains.into_iter().map(|domain| domain.into().to_lowercase()).collect();
        self.providers.insert(provider.into(), Some(domains));
        self
    }

    /// Links an identity by its address without asking: when a trusted provider calls the address verified, and it is the
    /// verified address of a user. Default: the user has to sign in the usual way first ([`Recognised::LinkRequired`]).
    pub fn link_automatically(mut self) -> Self {
        self.links = true;
        self
    }

    /// The address of an identity that counts as verified.
    fn proven<'i>(&self, identity: &'i Identity) -> Option<&'i MailAddress> {
        let address = identity.email.as_ref().and_then(EmailClaim::verified)?;
        let by_id = || self.providers.get(&identity.provider).filter(|_| identity.provider != ANY_ISSUER);
        let domains = self.providers.get(&identity.key.issuer).or_else(by_id)?;
        let is_theirs =
            domains.as_ref().is_none_or(|own| own.iter().any(|domain| domain == address.domain()));
        is_theirs.then_some(address)
    }
}

/// Whom an identity belongs to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Recognised {
    /// The user whom it has belonged to.
    Known(User),
    /// A new user.
    Created(User),
    /// The user with the same verified address, whom it belongs to from now on ([`MailTrust::link_automatically`]).
    Linked(User),
    /// The user with the same address, who had not proven to read mail there. Whoever put the address there may not be its
    /// owner: what could sign in was taken away, and all sessions were ended. API keys and refresh tokens are elsewhere:
    /// end them by [`ApiKeys::revoke_all`](crate::ApiKeys::revoke_all) and
    /// [`RefreshTokens::revoke_all`](crate::RefreshTokens::revoke_all).
    Reclaimed(User),
    /// The address is that of a user who has to sign in the usual way and link the identity: nothing was changed. Do not
    /// say whose address it is: the person knows.
    LinkRequired,
}

/// The identities of an application's users.
///
/// An identity that nobody has is a new user's. That it becomes another user's is decided by [`MailTrust`] or by
/// [`ProofOfControl`], never by a mail address that somebody claims.
#[derive(Clone)]
pub struct Identities {
    users: Arc<dyn UserStore>,
    sessions: Sessions,
    trust: MailTrust,
    clock: Clock,
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identities").field("trust", &self.trust).finish_non_exhaustive()
    }
}

impl Identities {
    /// The identities of these users. Nobody's word about mail addresses counts.
    pub fn new(users: Arc<dyn UserStore>, sessions: Sessions, clock: Clock) -> Self {
        Self { users, sessions, trust: MailTrust::nobody(), clock }
    }

    /// Sets whose word about mail addresses counts.
    #[must_use]
    pub fn trust(mut self, trust: MailTrust) -> Self {
        self.trust = trust;
        self
    }

    /// Whose identity this is; a new user's, if it is nobody's.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] with the code `disabled` for a user who may not sign in.
    pub async fn recognise(&self, tenant: &str, identity: &Proven<Identity>) -> Result<Recognised> {
        for _ in 0..TRIES {
            match self.recognise_once(tenant, identity).await {
                // Somebody else took the identity, the address or the version first: look again.
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Ok(Some(recognised)) => return Ok(recognised),
                Err(error) => return Err(error),
            }
        }
        Err(contended())
    }

    async fn recognise_once(&self, tenant: &str, identity: &Identity) -> Result<Option<Recognised>> {
        if let Some(user) = self.users.by_identity(tenant, &identity.key).await? {
            return check_enabled(&user).map(|()| Some(Recognised::Known(user)));
        }
        let Some(address) = self.trust.proven(identity) else {
            return self.create(tenant, identity, None).await;
        };
        match self.users.by_email(tenant, address).await? {
            None => self.create(tenant, identity, Some(address)).await,
            Some(user) if !is_mailbox_of(&user, address) => self.create(tenant, identity, None).await,
            Some(user) if user.email_verified_at.is_none() => self.reclaim(user, identity).await,
            Some(_) if !self.trust.links => Ok(Some(Recognised::LinkRequired)),
            Some(user) => {
                check_enabled(&user)?;
                Ok(self.add(user, identity).await?.map(Recognised::Linked))
            }
        }
    }

    async fn create(
        &self,
        tenant: &str,
        identity: &Identity,
        address: Option<&MailAddress>,
    ) -> Result<Option<Recognised>> {
        let now = self.clock.now();
        let mut user = User::new(opaque::id()?, tenant, now);
        user.email = address.cloned();
        user.email_verified_at = address.map(|_| now);
        user.name.clone_from(&identity.name);
        user.identities.push(self.linked(identity));
        self.users.insert(&user).await.map(|user| Some(Recognised::Created(user)))
    }

    /// The owner of an address finds an account that somebody else may have prepared for them
    /// (<https://arxiv.org/abs/2205.10174>, "pre-hijacking"): nothing that was put there before counts.
    async fn reclaim(&self, mut user: User, identity: &Identity) -> Result<Option<Recognised>> {
        check_enabled(&user)?;
        strip_unproven(&mut user);
        user.email_verified_at = Some(self.clock.now());
        // Before, because nobody comes back to it if this fails afterwards; and again for those that began meanwhile.
        self.sessions.end_all(&user.tenant, &user.id).await?;
        let Some(user) = self.add(user, identity).await? else { return Ok(None) };
        self.sessions.end_all(&user.tenant, &user.id).await?;
        Ok(Some(Recognised::Reclaimed(user)))
    }

    async fn add(&self, mut user: User, identity: &Identity) -> Result<Option<User>> {
        user.identities.push(self.linked(identity));
        self.users.replace(&user).await
    }

    /// Links an identity to the user who has just proven themselves. One that is theirs already stays.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] with the code `identity` if it is another user's.
    pub async fn link(&self, proof: ProofOfControl, identity: Proven<Identity>) -> Result<User> {
        let (tenant, id) = proof.into_parts();
        for _ in 0..TRIES {
            let user = self.present(&tenant, &id).await?;
            if user.identities.iter().any(|own| own.key == identity.key) {
                return Ok(user);
            }
            if let Some(user) = self.add(user, &identity).await? {
                return Ok(user);
            }
        }
        Err(contended())
    }

    /// Takes an identity away from the user who has just proven themselves, and ends the sessions that it began. One that
    /// is not theirs is no failure.
    ///
    /// # Errors
    /// [`ErrorKind::Precondition`] with the code `last_sign_in` if nothing else is left to sign in with.
    pub async fn unlink(&self, proof: Reauthenticated, key: &IdentityKey) -> Result<User> {
        let (tenant, id) = (proof.tenant(), proof.user());
        for _ in 0..TRIES {
            let mut user = self.present(tenant, id).await?;
            if !user.identities.iter().any(|own| own.key == *key) {
                // It may have been taken away by a call that failed before its sessions had ended.
                self.end_sessions_of(&user, key).await?;
                return Ok(user);
            }
            user.identities.retain(|own| own.key != *key);
            if user.identities.is_empty() && (user.password.is_none() || user.email_verified_at.is_none()) {
                return Err(Error::new(
                    ErrorKind::Precondition,
                    Effect::NotSent,
                    "nothing else is left to sign in with",
                )
                .with_code("last_sign_in")
                .with_hint("set a password, or link another identity, first"));
            }
            if let Some(user) = self.users.replace(&user).await? {
                self.end_sessions_of(&user, key).await?;
                return Ok(user);
            }
        }
        Err(contended())
    }

    async fn end_sessions_of(&self, user: &User, key: &IdentityKey) -> Result<()> {
        for session in self.sessions.of_user(&user.tenant, &user.id).await? {
            if session.identity.as_ref() == Some(key) {
                self.sessions.end_named(&user.tenant, &user.id, &session.id).await?;
            }
        }
        Ok(())
    }

    async fn present(&self, tenant: &str, id: &UserId) -> Result<User> {
        let user =
            self.users.user(tenant, id).await?.ok_or_else(|| {
                Error::new(ErrorKind::NotFound, Effect::NotSent, "the user is no longer there")
            })?;
        check_enabled(&user).map(|()| user)
    }

    fn linked(&self, identity: &Identity) -> LinkedIdentity {
        let mut linked = LinkedIdentity::new(identity.key.clone(), &identity.provider, self.clock.now());
        linked.email.clone_from(&identity.email);
        linked
    }
}

/// Addresses that are unique together may still be two mailboxes: the lower case of some letters is an ASCII letter.
fn is_mailbox_of(user: &User, address: &MailAddress) -> bool {
    user.email.as_ref().is_some_and(|own| own.as_str().eq_ignore_ascii_case(address.as_str()))
}

fn check_enabled(user: &User) -> Result<()> {
    if user.disabled_at.is_none() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::PermissionDenied, Effect::NotSent, "the user may not sign in")
        .with_code("disabled"))
}

fn contended() -> Error {
    Error::new(ErrorKind::Conflict, Effect::NotSent, "the user was changed by others again and again")
        .with_hint("try again")
}
