//! That somebody has just shown a second factor.

use crate::UserId;

/// A second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecondFactor {
    /// A code of the device that was enrolled.
    OneTimeCode,
    /// A code to recover with, now used up.
    RecoveryCode,
}

/// That a user has just shown a second factor. Only a check of one makes it, and it is used up by what it allows: it is
/// not cloned, kept or read from anything.
///
/// It cannot be made of what somebody says:
///
/// ```compile_fail,E0451
/// use integrations_auth::{SecondFactor, SecondFactorProof, UserId};
/// let forged = SecondFactorProof {
///     tenant: String::new(),
///     user: UserId::from("u1"),
///     method: SecondFactor::OneTimeCode,
/// };
/// ```
#[derive(Debug)]
pub struct SecondFactorProof {
    tenant: String,
    user: UserId,
    method: SecondFactor,
}

impl SecondFactorProof {
    #[cfg(feature = "otp")]
    pub(crate) fn new(tenant: &str, user: &UserId, method: SecondFactor) -> Self {
        Self { tenant: tenant.to_owned(), user: user.clone(), method }
    }

    /// Their tenant.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Who showed it.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// What they showed.
    pub fn method(&self) -> SecondFactor {
        self.method
    }
}
