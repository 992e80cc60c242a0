//! One-time codes as a second factor (RFC 6238), and codes to recover with.
//!
//! Invariants:
//! - A code is accepted once: of two requests with it, one succeeds. So is a code to recover with.
//! - Each try is counted before it is looked at, and all tries of a user together.
//! - Who has a second factor loses it only with [`Reauthenticated`], and new recovery codes are given for a second factor
//!   alone.

mod code;
mod recovery;

use std::sync::Arc;

use integrations_core::{Clock, Effect, Error, ErrorKind, Result, Secret, SecretString};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::opaque;
use crate::proof::{SecondFactor, SecondFactorProof};
use crate::sessions::Reauthenticated;
use crate::throttle::Throttle;
use crate::tokens::{base32, from_base32};
use crate::users::{OneTimePassword, User, UserId, UserStore};

/// What a URL need not encode (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Shorter secrets than these 128 bits are refused (RFC 4226 section 4, R6); ours have 160.
const LEAST_SECRET: usize = 16;

/// By how many steps the clock of a telephone may be wrong at most, in either direction.
const WIDEST_WINDOW: u8 = 2;

/// Who changes a user at the same time as everybody else gives up after this many tries.
const TRIES: usize = 8;

/// Tries of either kind of code are counted together: whoever guesses has one budget.
const ACTION: &str = "otp";

/// What to show somebody who enrols: once, and to them alone.
#[derive(Debug)]
#[non_exhaustive]
pub struct Enrolment {
    /// The `otpauth://` address, for a QR code.
    pub url: SecretString,
    /// The secret in base32, for those who type it.
    pub secret: SecretString,
}

/// Second factors by one-time codes: six digits that change every 30 seconds. Cheap to clone.
#[derive(Clone)]
pub struct OneTimeCodes {
    users: Arc<dyn UserStore>,
    throttle: Throttle,
    clock: Clock,
    issuer: String,
    window: u8,
}

impl std::fmt::Debug for OneTimeCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneTimeCodes")
            .field("issuer", &self.issuer)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

/// Which codes are asked for.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Enrolling,
    Enrolled,
}

impl OneTimeCodes {
    /// Codes for these users. `issuer` is what a telephone shows above them: the application's name.
    pub fn new(
        users: Arc<dyn UserStore>,
        throttle: Throttle,
        clock: Clock,
        issuer: impl Into<String>,
    ) -> Self {
        Self { users, throttle, clock, issuer: issuer.into(), window: 1 }
    }

    /// By how many steps of 30 seconds a telephone's clock may be wrong, in either direction: 0 to 2, and 1 by default.
    /// More counts as 2.
    #[must_use]
    pub fn window(mut self, steps: u8) -> Self {
        self.window = steps.min(WIDEST_WINDOW);
        self
    }

    /// Begins an enrolment with a new secret. It proves nothing until [`confirm`](OneTimeCodes::confirm), and takes the
    /// place of one that was begun before. Ask the user for a fresh proof first: whoever sits at a stolen session and
    /// enrols a telephone of their own keeps the user out.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] with the code `enrolled` if the user has a second factor;
    /// [`ErrorKind::NotFound`] if there is no such user.
    pub async fn enrol(&self, tenant: &str, user: &UserId) -> Result<Enrolment> {
        let secret = opaque::bytes::<20>()?;
        self.begin(tenant, user, Secret::new(secret.to_vec())).await
    }

    /// Begins an enrolment with a secret that the user has already, from another system: base32 in either case, with
    /// spaces and without padding. Its codes must have six digits, 30 seconds and SHA-1.
    ///
    /// # Errors
    /// As [`enrol`](OneTimeCodes::enrol), and [`ErrorKind::InvalidRequest`] for what is no base32 or less than 128 bits.
    pub async fn import(&self, tenant: &str, user: &UserId, secret: &SecretString) -> Result<Enrolment> {
        let bytes = from_base32(secret.expose().trim()).filter(|bytes| bytes.len() >= LEAST_SECRET);
        let bytes = bytes.ok_or_else(|| {
            Error::invalid_request("this is no secret for one-time codes")
                .with_hint("give 128 bits or more in base32: letters and the digits 2 to 7")
        })?;
        self.begin(tenant, user, Secret::new(bytes.to_vec())).await
    }

    async fn begin(&self, tenant: &str, id: &UserId, secret: Secret<Vec<u8>>) -> Result<Enrolment> {
        let user = self
            .change(tenant, id, |user| {
                if is_enrolled(user) {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        Effect::Rejected,
                        "the user has a second factor",
                    )
                    .with_code("enrolled")
                    .with_hint("let the user disable it first"));
                }
                user.one_time = Some(OneTimePassword::new(secret.clone()));
                Ok(user.clone())
            })
            .await?;
        let account = user.email.as_ref().map_or(user.id.as_str(), |email| email.as_str());
        Ok(enrolment(&self.issuer, account, secret.expose()))
    }

    /// Ends an enrolment: the user shows a first code, and from now on one is asked for. Sessions that were made without it
    /// go on: end them by [`Sessions::end_others`](crate::Sessions::end_others).
    ///
    /// # Errors
    /// As [`check`](OneTimeCodes::check).
    pub async fn confirm(&self, tenant: &str, user: &UserId, code: &str) -> Result<SecondFactorProof> {
        self.accept(tenant, user, code, Stage::Enrolling).await
    }

    /// Checks a code. It must be of a later step than the last one that was accepted; a clock that was set back therefore
    /// refuses until it has caught up.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] with the code `one_time_code`, one and the same for a wrong code, a used one and a
    /// user without second factor; [`ErrorKind::RateLimited`] while tries are held back.
    pub async fn check(&self, tenant: &str, user: &UserId, code: &str) -> Result<SecondFactorProof> {
        self.accept(tenant, user, code, Stage::Enrolled).await
    }

    async fn accept(&self, tenant: &str, id: &UserId, code: &str, stage: Stage) -> Result<SecondFactorProof> {
        self.throttle.admit(tenant, ACTION, id.as_str()).await?;
        let code = code::typed(code).ok_or_else(wrong_code)?;
        let outcome = self.change(tenant, id, |user| self.use_up(user, code, stage)).await;
        outcome.map_err(|error| hide_absence(error, wrong_code))?;
        self.forget_tries(tenant, id).await;
        Ok(SecondFactorProof::new(tenant, id, SecondFactor::OneTimeCode))
    }

    fn use_up(&self, user: &mut User, code: u32, stage: Stage) -> Result<()> {
        let now = self.clock.now();
        let known = user.one_time.as_mut().filter(|known| stage_of(known) == stage).ok_or_else(wrong_code)?;
        let steps = code::window(now, self.window);
        let step = code::matching(known.secret.expose(), code, steps, known.last_step);
        known.last_step = Some(step.ok_or_else(wrong_code)?);
        known.confirmed_at.get_or_insert(now);
        Ok(())
    }

    /// Takes the second factor and the recovery codes away.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the user is no more.
    pub async fn disable(&self, proof: Reauthenticated) -> Result<()> {
        let remove = |user: &mut User| {
            user.one_time = None;
            user.recovery.clear();
            Ok(())
        };
        self.change(proof.tenant(), proof.user(), remove).await
    }

    /// A code that was used up must not be lost because its tries could not be forgotten.
    async fn forget_tries(&self, tenant: &str, user: &UserId) {
        if let Err(error) = self.throttle.succeeded(tenant, ACTION, user.as_str()).await {
            tracing::warn!(kind = error.kind().as_str(), "tries of one-time codes could not be forgotten");
        }
    }

    /// Changes a user, again if somebody else did so meanwhile.
    async fn change<T>(
        &self,
        tenant: &str,
        id: &UserId,
        change: impl Fn(&mut User) -> Result<T>,
    ) -> Result<T> {
        for _ in 0..TRIES {
            let mut user = self.user(tenant, id).await?;
            let outcome = change(&mut user)?;
            if self.users.replace(&user).await?.is_some() {
                return Ok(outcome);
            }
        }
        Err(Error::new(ErrorKind::Conflict, Effect::Rejected, "the user is being changed by others")
            .with_retryable(true))
    }

    async fn user(&self, tenant: &str, id: &UserId) -> Result<User> {
        let user = self.users.user(tenant, id).await?;
        user.ok_or_else(|| Error::new(ErrorKind::NotFound, Effect::Rejected, "there is no such user"))
    }
}

fn stage_of(known: &OneTimePassword) -> Stage {
    if known.confirmed_at.is_some() { Stage::Enrolled } else { Stage::Enrolling }
}

fn is_enrolled(user: &User) -> bool {
    user.one_time.as_ref().is_some_and(|known| stage_of(known) == Stage::Enrolled)
}

/// The address that telephones read. A colon separates issuer and account there, also an encoded one.
fn enrolment(issuer: &str, account: &str, secret: &[u8]) -> Enrolment {
    let [issuer, account] =
        [issuer, account].map(|part| utf8_percent_encode(&part.replace(':', " "), RESERVED).to_string());
    let secret = SecretString::from(base32(secret).to_ascii_uppercase());
    let url = format!(
        "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={}&period={}",
        secret.expose(),
        code::DIGITS,
        code::PERIOD,
    );
    Enrolment { url: url.into(), secret }
}

fn wrong_code() -> Error {
    Error::new(ErrorKind::Unauthenticated, Effect::Rejected, "the code is not good")
        .with_code("one_time_code")
        .with_hint("wait for the next code; if none is good, look at the clock of the device")
}

/// A user who is no more is answered as one with a wrong code.
fn hide_absence(error: Error, wrong_code: fn() -> Error) -> Error {
    if error.kind() == ErrorKind::NotFound { wrong_code() } else { error }
}
