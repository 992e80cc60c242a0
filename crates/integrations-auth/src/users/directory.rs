//! What an application's administrators do with users.

use std::fmt;
use std::sync::Arc;

use integrations_core::{Clock, Effect, Error, ErrorKind, Result};

use super::{User, UserId, UserStore};
use crate::{Session, SessionToken, Sessions};

/// How often a change is tried again when others change the same user.
const ATTEMPTS: u32 = 8;

/// Users together with their sessions. Cheap to clone.
///
/// Invariant: whoever [`signed_in`](Directory::signed_in) gives is there and may sign in by now, also if their session
/// was made while they were disabled or removed.
#[derive(Clone)]
pub struct Directory {
    users: Arc<dyn UserStore>,
    sessions: Sessions,
    clock: Clock,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}

impl Directory {
    /// These users, and their sessions.
    pub fn new(users: Arc<dyn UserStore>, sessions: Sessions, clock: Clock) -> Self {
        Self { users, sessions, clock }
    }

    /// Who shows this token, and their session. A session of a user who is gone, or may not sign in, ends.
    pub async fn signed_in(&self, token: &SessionToken) -> Result<Option<(Session, User)>> {
        let Some(session) = self.sessions.get(token).await? else { return Ok(None) };
        let user = self.users.user(&session.tenant, &session.user).await?;
        if let Some(user) = user.filter(|user| user.disabled_at.is_none()) {
            return Ok(Some((session, user)));
        }
        self.sessions.end(token).await?;
        Ok(None)
    }

    /// The user may not sign in from now on, and their sessions end. [`ErrorKind::NotFound`] without the user.
    pub async fn disable(&self, tenant: &str, id: &UserId) -> Result<User> {
        let now = self.clock.now();
        let user = change(&*self.users, tenant, id, |user| {
            let is_new = user.disabled_at.is_none();
            user.disabled_at.get_or_insert(now);
            is_new
        })
        .await?;
        self.sessions.end_all(tenant, id).await?;
        Ok(user)
    }

    /// The user may sign in again. [`ErrorKind::NotFound`] without the user.
    pub async fn enable(&self, tenant: &str, id: &UserId) -> Result<User> {
        change(&*self.users, tenant, id, |user| user.disabled_at.take().is_some()).await
    }

    /// Forgets a user, whatever others change at the same time, and ends their sessions; `false` if there is none.
    /// Records of other kinds, such as API keys, are left to whoever made them.
    pub async fn remove(&self, tenant: &str, id: &UserId) -> Result<bool> {
        for _ in 0..ATTEMPTS {
            let Some(user) = self.users.user(tenant, id).await? else { return Ok(false) };
            if self.users.remove(tenant, id, user.version).await? {
                self.sessions.end_all(tenant, id).await?;
                return Ok(true);
            }
        }
        Err(busy())
    }
}

/// Changes a user, again when another one was faster. `apply` says whether there is something to write.
pub(crate) async fn change(
    users: &dyn UserStore,
    tenant: &str,
    id: &UserId,
    apply: impl Fn(&mut User) -> bool + Send + Sync,
) -> Result<User> {
    for _ in 0..ATTEMPTS {
        let Some(mut user) = users.user(tenant, id).await? else {
            return Err(Error::new(ErrorKind::NotFound, Effect::NotSent, "the tenant has no such user"));
        };
        if !apply(&mut user) {
            return Ok(user);
        }
        if let Some(changed) = users.replace(&user).await? {
            return Ok(changed);
        }
    }
    Err(busy())
}

fn busy() -> Error {
    Error::new(ErrorKind::Conflict, Effect::Rejected, "others kept changing the user")
        .with_code("busy")
        .with_hint("try again")
        .with_retryable(true)
}
