//! Codes to recover with, for those whose telephone is gone.
//!
//! A code is 80 random bits, and SHA-256 is what it is kept as: a slow hash is for passwords, which people choose from few.
//! The user is part of the hash, so that nobody can search the codes of all users at once.

use integrations_core::{Effect, Error, ErrorKind, Result, SecretString};
use subtle::ConstantTimeEq as _;

use super::{ACTION, OneTimeCodes, hide_absence, is_enrolled};
use crate::names::hashed;
use crate::opaque;
use crate::proof::{SecondFactor, SecondFactorProof};
use crate::tokens::{base32, from_base32};
use crate::users::{User, UserId};

/// How many codes a user gets.
const CODES: usize = 10;

/// The random bytes of a code.
const BYTES: usize = 10;

impl OneTimeCodes {
    /// Gives ten new codes and ends the old ones. They are in the answer and nowhere else: show them once. Each stands for
    /// one code of the device. They are given for a second factor alone, be it the first code of an enrolment.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] with the code `not_enrolled` if the user has no second factor any more.
    pub async fn new_recovery_codes(&self, proof: SecondFactorProof) -> Result<Vec<SecretString>> {
        let (tenant, id) = (proof.tenant(), proof.user());
        let codes = (0..CODES).map(|_| new_code()).collect::<Result<Vec<_>>>()?;
        let hashes: Vec<_> = codes.iter().map(|code| kept(tenant, id, code.expose())).collect();
        let replace = |user: &mut User| {
            if !is_enrolled(user) {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    Effect::Rejected,
                    "the user has no second factor",
                )
                .with_code("not_enrolled"));
            }
            user.recovery.clone_from(&hashes);
            Ok(())
        };
        self.change(tenant, id, replace).await?;
        Ok(codes.iter().map(|code| grouped(code.expose()).into()).collect())
    }

    /// Checks a code to recover with, and uses it up. It is read in either case, with or without its hyphens.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] with the code `recovery_code`, one and the same for a wrong code, a used one and a
    /// user without any; [`ErrorKind::RateLimited`] while tries are held back.
    pub async fn recover(&self, tenant: &str, user: &UserId, code: &str) -> Result<SecondFactorProof> {
        self.throttle.admit(tenant, ACTION, user.as_str()).await?;
        let code = from_base32(code.trim()).filter(|bytes| bytes.len() == BYTES).ok_or_else(wrong_code)?;
        let shown = kept(tenant, user, &base32(&code));
        let outcome = self.change(tenant, user, |user| use_up(user, &shown)).await;
        outcome.map_err(|error| hide_absence(error, wrong_code))?;
        self.forget_tries(tenant, user).await;
        Ok(SecondFactorProof::new(tenant, user, SecondFactor::RecoveryCode))
    }

    /// How many codes are left to a user.
    pub async fn recovery_codes_left(&self, tenant: &str, user: &UserId) -> Result<usize> {
        Ok(self.user(tenant, user).await?.recovery.len())
    }
}

fn new_code() -> Result<SecretString> {
    Ok(base32(&*opaque::bytes::<BYTES>()?).into())
}

/// `abcd-efgh-jkmn-pqrs`.
fn grouped(code: &str) -> String {
    let groups: Vec<&str> = (0..code.len()).step_by(4).map(|at| &code[at..at + 4]).collect();
    groups.join("-")
}

fn kept(tenant: &str, user: &UserId, code: &str) -> String {
    hashed(&["recovery", tenant, user.as_str(), code])
}

/// Compares with all of them, so that the time tells nothing of which one it was.
fn use_up(user: &mut User, shown: &str) -> Result<()> {
    let fits: Vec<bool> =
        user.recovery.iter().map(|hash| hash.as_bytes().ct_eq(shown.as_bytes()).into()).collect();
    let at = fits.iter().position(|fits| *fits).filter(|_| is_enrolled(user)).ok_or_else(wrong_code)?;
    user.recovery.remove(at);
    Ok(())
}

fn wrong_code() -> Error {
    Error::new(ErrorKind::Unauthenticated, Effect::Rejected, "the recovery code is not good")
        .with_code("recovery_code")
        .with_hint("use another one of the codes; each is good once")
}
