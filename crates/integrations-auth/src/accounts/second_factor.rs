//! Between the password and the second factor.

use integrations_core::{Result, SecretString};
use jiff::Timestamp;

use super::tickets::{Bond, SECOND_FACTOR, dead};
use super::{Accounts, SignedInUser};
use crate::{Method, SecondFactor, SecondFactorProof, User};

/// That somebody gave the right password and must show a second factor, within five minutes. Keep it in a cookie of the
/// browser that gave the password, as `HttpOnly` and `Secure`. It is no session.
#[derive(Debug)]
#[non_exhaustive]
pub struct PendingSecondFactor {
    token: SecretString,
    expires_at: Option<Timestamp>,
}

impl PendingSecondFactor {
    /// What to keep.
    pub fn token(&self) -> &SecretString {
        &self.token
    }

    /// When it is over, if it was just made.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// What was kept.
    pub fn from_token(token: SecretString) -> Self {
        Self { token, expires_at: None }
    }
}

impl Accounts {
    pub(super) async fn pend(&self, user: &User) -> Result<PendingSecondFactor> {
        let (token, expires_at) = self.issue(SECOND_FACTOR, user, &Bond::to(user)).await?;
        Ok(PendingSecondFactor { token, expires_at: Some(expires_at) })
    }

    /// Who must show a second factor: to check their code.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`](integrations_core::ErrorKind) with the code `token_invalid` if it is over, was used,
    /// or the password was changed.
    pub async fn awaited(&self, tenant: &str, pending: &PendingSecondFactor) -> Result<User> {
        self.peek(SECOND_FACTOR, tenant, &pending.token).await.map(|(user, _)| user)
    }

    /// Signs in whoever gave the password and showed a second factor.
    ///
    /// # Errors
    /// As [`awaited`](Self::awaited), also if the proof is somebody else's.
    pub async fn finish_second_factor(
        &self,
        tenant: &str,
        pending: PendingSecondFactor,
        proof: SecondFactorProof,
    ) -> Result<SignedInUser> {
        let user = self.awaited(tenant, &pending).await?;
        if proof.tenant() != tenant || *proof.user() != user.id {
            return Err(dead());
        }
        self.use_up(SECOND_FACTOR, tenant, &pending.token).await?;
        let second = match proof.method() {
            SecondFactor::OneTimeCode => Method::OneTimeCode,
            SecondFactor::RecoveryCode => Method::RecoveryCode,
        };
        self.open(&user, vec![Method::Password, second]).await
    }
}
