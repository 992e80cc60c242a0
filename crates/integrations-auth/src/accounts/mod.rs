//! Accounts that sign in with a mail address and a password.
//!
//! Invariants:
//! - What is answered to somebody who is not signed in is the same whether an account exists, is verified, is disabled, has
//!   a password or has none: in kind, code, text and time. What differs (who is looked up, what is written, what is sent)
//!   happens after the answer, as an errand; where a password is held against nobody's, it takes the same time.
//! - A token that is sent by mail has 256 random bits, is kept as its SHA-256, works once, and is bound to the user, to the
//!   address and to what they proved so far.
//! - A mail goes to the address that the account has, never to the one that was typed: two that are equal for us may be two
//!   mailboxes.
//! - Whoever may no longer sign in has no session left, also if their sign-in ran at the same time.

mod change;
mod errands;
mod login;
mod notices;
mod reset;
mod second_factor;
mod sign_up;
mod tickets;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use integrations_core::{Clock, Effect, Error, ErrorKind, Result};

use crate::{MailAddress, Passwords, RecordStore, Sessions, Throttle, User, UserId, UserStore};

pub use change::Confirmation;
pub use login::{Login, SignedInUser};
pub use notices::{Notice, NoticeKind, Notices};
pub use second_factor::PendingSecondFactor;

use errands::Errands;

/// How often a change of a user is tried anew because somebody else changed them.
const ROUNDS: u32 = 8;

/// Accounts that sign in with a mail address and a password. Cheap to clone.
///
/// The limits on guessing count by mail address and by user. Limits by network address belong in front of the application.
#[derive(Clone)]
pub struct Accounts {
    users: Arc<dyn UserStore>,
    records: Arc<dyn RecordStore>,
    sessions: Sessions,
    passwords: Passwords,
    throttle: Throttle,
    notices: Arc<dyn Notices>,
    errands: Errands,
    clock: Clock,
    unverified_may_sign_in: bool,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("passwords", &self.passwords)
            .field("throttle", &self.throttle)
            .field("unverified_may_sign_in", &self.unverified_may_sign_in)
            .finish_non_exhaustive()
    }
}

impl Accounts {
    /// Accounts over these stores, with the default [`Throttle`]; only verified addresses sign in.
    pub fn new(
        users: Arc<dyn UserStore>,
        records: Arc<dyn RecordStore>,
        sessions: Sessions,
        passwords: Passwords,
        notices: impl Notices,
        clock: Clock,
    ) -> Self {
        Self {
            throttle: Throttle::new(Arc::clone(&records), clock.clone()),
            notices: Arc::new(notices),
            errands: Errands::new(),
            unverified_may_sign_in: false,
            users,
            records,
            sessions,
            passwords,
            clock,
        }
    }

    /// How slow guessing is.
    #[must_use]
    pub fn throttle(mut self, throttle: Throttle) -> Self {
        self.throttle = throttle;
        self
    }

    /// Lets accounts sign in whose address nobody has proven. Whoever makes one under somebody else's address can then use
    /// it until the owner comes, and learns that there was none.
    #[must_use]
    pub fn unverified_may_sign_in(mut self) -> Self {
        self.unverified_may_sign_in = true;
        self
    }

    /// Waits until what was begun after answers (accounts that are made, mails that are sent) is done; `false` if some of it
    /// is not within this time. To be called before the process ends: what is not done then is lost, and whoever waits
    /// for the mail asks for it again. New errands are refused meanwhile.
    pub async fn drain(&self, within: Duration) -> bool {
        self.errands.drain(within).await
    }

    /// Changes a user by compare-and-swap.
    async fn update(
        &self,
        tenant: &str,
        id: &UserId,
        change: impl Fn(&mut User) -> Result<()> + Send + Sync,
    ) -> Result<User> {
        for _ in 0..ROUNDS {
            let Some(mut user) = self.users.user(tenant, id).await? else { return Err(tickets::dead()) };
            change(&mut user)?;
            if let Some(user) = self.users.replace(&user).await? {
                return Ok(user);
            }
        }
        Err(contended())
    }

    /// Writes to a user's own address, after the answer.
    fn notify_later(&self, user: &User, what: NoticeKind) -> Result<()> {
        let this = self.clone();
        let to = user.email.clone();
        let tenant = user.tenant.clone();
        self.errands.run("a notice", async move { this.notify(&tenant, to.as_ref(), what).await })
    }

    async fn notify(&self, tenant: &str, to: Option<&MailAddress>, what: NoticeKind) -> Result<()> {
        let Some(to) = to.cloned() else { return Ok(()) };
        self.notices.send(Notice { tenant: tenant.to_owned(), to, what }).await
    }
}

fn contended() -> Error {
    Error::new(
        ErrorKind::Conflict,
        Effect::Rejected,
        "the user was changed by somebody else at the same time",
    )
    .with_code("changed")
    .with_retryable(true)
    .with_hint("try again")
}

#[cfg(test)]
mod tests;
