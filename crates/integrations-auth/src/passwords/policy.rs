//! Which passwords are refused.

use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use integrations_core::{Error, Result, SecretString};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::{Passwords, normalised};
use crate::MailAddress;

/// How long a list of stolen passwords is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Knows which passwords were stolen elsewhere, and is not told the one that is asked for (k-anonymity, as with the range
/// interface of Pwned Passwords).
#[async_trait]
pub trait Breached: Send + Sync + 'static {
    /// The SHA-1 hashes of stolen passwords that begin with these five hexadecimal digits, in upper case: their other 35
    /// digits. Entries that stand for none (a service's padding, with a count of 0) are left out.
    async fn suffixes(&self, prefix: &str) -> Result<Vec<String>>;
}

impl Passwords {
    /// Whether a new password is good enough. `owner` is the address that it is to go with.
    ///
    /// A list of stolen passwords that does not answer within two seconds lets a password through, with a warning in the
    /// log.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`](integrations_core::ErrorKind) with the code `password_too_short`,
    /// `password_too_long`, `password_is_address` or `password_breached`.
    pub async fn check(&self, password: &SecretString, owner: Option<&MailAddress>) -> Result<()> {
        let normal = normalised(password)?;
        if normal.chars().count() < self.min_length {
            let hint = format!("a password has at least {} characters", self.min_length);
            return Err(refused("the password is too short", "password_too_short", hint));
        }
        if owner.is_some_and(|owner| is_address(&normal, owner)) {
            let hint = "choose one that nobody can read off an envelope";
            return Err(refused("the password is the mail address", "password_is_address", hint));
        }
        if self.is_breached(&normal).await {
            let hint = "choose another one, and change it wherever else it is used";
            return Err(refused("the password is known to thieves", "password_breached", hint));
        }
        Ok(())
    }

    async fn is_breached(&self, normal: &str) -> bool {
        let Some(breached) = &self.breached else { return false };
        let hash = sha1(normal);
        let (prefix, rest) = hash.split_at(5);
        let answer = tokio::time::timeout(PATIENCE, breached.suffixes(prefix)).await;
        match answer {
            Ok(Ok(suffixes)) => suffixes.iter().any(|suffix| suffix.trim().eq_ignore_ascii_case(rest)),
            Ok(Err(e)) => {
                tracing::warn!(error = %e, "the list of stolen passwords failed; a password was let through");
                false
            }
            Err(_) => {
                tracing::warn!("the list of stolen passwords did not answer; a password was let through");
                false
            }
        }
    }
}

fn is_address(normal: &str, owner: &MailAddress) -> bool {
    let password = Zeroizing::new(normal.to_lowercase());
    let address: String = owner.folded().nfkc().collect();
    let local = address.rsplit_once('@').map_or("", |(local, _)| local);
    *password == address || password.as_str() == local
}

fn sha1(text: &str) -> Zeroizing<String> {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let digits = hash.as_ref().iter().map(|byte| format!("{byte:02X}"));
    Zeroizing::new(digits.collect())
}

fn refused(message: &'static str, code: &'static str, hint: impl Into<String>) -> Error {
    Error::invalid_request(message).with_code(code).with_hint(hint)
}
