//! What users are told by mail.

use async_trait::async_trait;
use integrations_core::{Result, SecretString};
use jiff::Timestamp;

use crate::MailAddress;

/// Sends what users are to be told. It is called after the answer to the request, with 60 seconds to be done; a failure is
/// in the log and is not tried again. An application that must not lose a mail when a process ends writes it to its outbox
/// here.
#[async_trait]
pub trait Notices: Send + Sync + 'static {
    /// Sends a notice, or puts it where it is sent from.
    async fn send(&self, notice: Notice) -> Result<()>;
}

/// What somebody is to be told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Notice {
    /// The tenant; `""` where there are none.
    pub tenant: String,
    /// Where to.
    pub to: MailAddress,
    /// What.
    pub what: NoticeKind,
}

/// What there is to tell. An address with a token in it is made of the application's own configured host, never of what a
/// request says (its `Host`), and its page says `Referrer-Policy: no-referrer`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum NoticeKind {
    /// Somebody signs up with this address: [`verify_address`](super::Accounts::verify_address) takes the token. Say that
    /// whoever did not sign up must not follow the link.
    #[non_exhaustive]
    VerifyAddress {
        /// Proves that the mail was read.
        token: SecretString,
        /// Until when.
        expires_at: Timestamp,
    },
    /// Somebody signed up with this address, or wants to have it, which has an account already.
    AlreadyRegistered,
    /// Somebody forgot their password: [`reset`](super::Accounts::reset) takes the token.
    #[non_exhaustive]
    ResetPassword {
        /// Proves that the mail was read.
        token: SecretString,
        /// Until when.
        expires_at: Timestamp,
    },
    /// The password was changed.
    PasswordChanged,
    /// A user wants this to be their address:
    /// [`confirm_address_change`](super::Accounts::confirm_address_change) takes the token.
    #[non_exhaustive]
    VerifyNewAddress {
        /// Proves that the mail was read.
        token: SecretString,
        /// Until when.
        expires_at: Timestamp,
    },
    /// This is no longer the address of the account.
    #[non_exhaustive]
    AddressChanged {
        /// What is.
        to: MailAddress,
    },
}
