//! Who is signed in.
//!
//! Invariants:
//! - A store keeps the SHA-256 of a token and never the token. Whoever reads it signs in as nobody.
//! - A session that was ended does not come back: neither by a request that had read it before, nor under the token that
//!   was about to take its place.
//! - A session ends when it was not used for a while, and at a time that no use moves.
//! - A token is of one tenant: with another tenant's name before it, it is another token.

mod session;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use integrations_core::Clock;
use integrations_core::{Effect, Error, ErrorKind, Result, Secret};
use jiff::Timestamp;

use crate::names::hashed;
use crate::{Draft, IdentityKey, LogoutNotice, Record, RecordId, RecordStore, SignedIn, User, UserId};

pub use session::{Method, Reauthenticated, Session, SessionId};
pub use token::SessionToken;

const KIND: &str = "session";
/// Names of sessions, owned by what stands for an identity.
const BY_IDENTITY: &str = "session_identity";
/// Names of sessions, owned by what stands for a service's session: a name that is the service's alone.
const BY_PROVIDER_SESSION: &str = "session_provider";
/// How long a session that is in use goes without a write.
const STRIDE: Duration = Duration::from_secs(60);
/// How often whoever ends several sessions looks for them: one that took another one's place during the first look is found
/// by the second.
const LOOKS: u32 = 2;

/// The sessions of users. Cheap to clone.
///
/// A session in use is written once a minute at most, so that a request costs one read. It may therefore end up to a
/// minute before it was idle for the whole time.
#[derive(Clone)]
pub struct Sessions {
    records: Arc<dyn RecordStore>,
    clock: Clock,
    idle: Duration,
    absolute: Duration,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("idle", &self.idle)
            .field("absolute", &self.absolute)
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// Sessions that end after 30 minutes without use, and after 12 hours.
    pub fn new(records: Arc<dyn RecordStore>, clock: Clock) -> Self {
        let (idle, absolute) = (Duration::from_secs(30 * 60), Duration::from_secs(12 * 60 * 60));
        Self { records, clock, idle, absolute }
    }

    /// After which time without use a session ends, also those that there are.
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// After which time a session ends, also those that there are.
    #[must_use]
    pub fn absolute(mut self, absolute: Duration) -> Self {
        self.absolute = absolute;
        self
    }

    /// A session of a user who has just proven who they are, in these ways.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] with the code `disabled` if they may not sign in.
    pub async fn create(&self, user: &User, methods: Vec<Method>) -> Result<(SessionToken, Session)> {
        let now = self.clock.now();
        self.start(user, draft_of(user, methods, now)).await
    }

    /// A session of a user who has signed in at a service, and whom this identity belongs to. A [`LogoutNotice`] of the
    /// service ends it.
    ///
    /// [`Session::authenticated_at`] is what the service says, which may be long ago; if it says nothing, the present
    /// time. Ask with [`SignInRequest::max_age`](crate::SignInRequest) for a service to ask them anew.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] with the code `identity` if it is not theirs; otherwise as
    /// [`create`](Sessions::create).
    pub async fn create_signed_in(
        &self,
        user: &User,
        signed_in: &SignedIn,
        also: Vec<Method>,
    ) -> Result<(SessionToken, Session)> {
        let key = &signed_in.identity.key;
        if !user.identities.iter().any(|identity| identity.key == *key) {
            return Err(Error::invalid_request("the identity that signed in is not this user's")
                .with_code("identity")
                .with_hint("look the user up by the identity, or link it first"));
        }
        let (now, first) = (self.clock.now(), Method::Provider(signed_in.identity.provider.clone()));
        let methods = std::iter::once(first).chain(also).collect();
        let session = Session {
            authenticated_at: signed_in.authenticated_at.map_or(now, |at| at.min(now)),
            identity: Some(key.clone()),
            provider_session: signed_in.session.clone(),
            ..draft_of(user, methods, now)
        };
        self.start(user, session).await
    }

    /// The session of a token, if it has not ended. This use moves the end of the idle time.
    pub async fn get(&self, token: &SessionToken) -> Result<Option<Session>> {
        let now = self.clock.now();
        let Some((version, session)) = self.read(token.tenant(), &token.id(), now).await? else {
            return Ok(None);
        };
        if now.duration_since(session.seen_at).unsigned_abs() < STRIDE.min(self.idle / 2) {
            return Ok(Some(session));
        }
        let session = Session { seen_at: now, ..session };
        // Whoever was faster has moved the end as well, or has ended the session after this use.
        self.records.put(&record_id(&session), version, &self.draft(&session)?, now).await?;
        Ok(Some(session))
    }

    /// A new token for the same session; the one before is none any more. `None` if it has ended, or another one was
    /// faster.
    pub async fn rotate(&self, token: &SessionToken) -> Result<Option<(SessionToken, Session)>> {
        self.renew(token, |_, _| ()).await
    }

    /// The user has proven who they are once more: the time and the ways are noted, and the session has a new token, as
    /// it may now do more. `None` as with [`rotate`](Sessions::rotate).
    pub async fn step_up(
        &self,
        token: &SessionToken,
        methods: Vec<Method>,
    ) -> Result<Option<(SessionToken, Session)>> {
        self.renew(token, |session, now| {
            session.authenticated_at = now;
            let new = methods.into_iter().filter(|method| !session.methods.contains(method));
            let new: Vec<_> = new.collect();
            session.methods.extend(new);
        })
        .await
    }

    /// The sessions of a user that have not ended, in no order that means something.
    pub async fn of_user(&self, tenant: &str, user: &UserId) -> Result<Vec<Session>> {
        let now = self.clock.now();
        let records = self.records.owned(tenant, KIND, user, now).await?;
        let sessions =
            records.into_iter().map(|(key, record)| read_session(tenant, SessionId::new(key), &record));
        let sessions: Vec<Session> = sessions.collect::<Result<_>>()?;
        Ok(sessions.into_iter().filter(|session| self.ends(session) > now).collect())
    }

    /// Ends the session of a token. One that has ended is left alone.
    pub async fn end(&self, token: &SessionToken) -> Result<()> {
        self.take(token.tenant(), &token.id()).await.map(drop)
    }

    /// Ends one of a user's sessions by its name; `false` if they have none of it.
    pub async fn end_named(&self, tenant: &str, user: &UserId, id: &SessionId) -> Result<bool> {
        let theirs = self.of_user(tenant, user).await?;
        Ok(theirs.iter().any(|session| session.id == *id) && self.take(tenant, id).await?)
    }

    /// Ends all sessions of a user; how many there were.
    pub async fn end_all(&self, tenant: &str, user: &UserId) -> Result<u64> {
        let mut ended = 0;
        for _ in 0..LOOKS {
            ended += self.records.remove_owned(tenant, KIND, user).await?;
        }
        Ok(ended)
    }

    /// Ends all sessions of a token's user but the token's own; how many there were. Nothing ends if the token's has.
    pub async fn end_others(&self, token: &SessionToken) -> Result<u64> {
        let Some((_, own)) = self.read(token.tenant(), &token.id(), self.clock.now()).await? else {
            return Ok(0);
        };
        let mut ended = 0;
        for _ in 0..LOOKS {
            let theirs = self.records.owned(&own.tenant, KIND, &own.user, self.clock.now()).await?;
            let others = theirs.into_iter().map(|(key, _)| SessionId::new(key)).filter(|id| *id != own.id);
            ended += self.take_each(&own.tenant, others.collect()).await?;
        }
        Ok(ended)
    }

    /// Ends what a service's notice is about; how many sessions there were. With an identity and a session's name it is
    /// that session of the identity, and the identity's sessions of which the service gave no name.
    ///
    /// The notice may come again: that it is not believed twice is for whoever keeps [`LogoutNotice::id`].
    pub async fn end_notified(&self, tenant: &str, notice: &LogoutNotice) -> Result<u64> {
        let (kind, owner) = match (&notice.key, &notice.session) {
            (Some(key), _) => (BY_IDENTITY, identity_owner(key)),
            (None, Some(name)) => (BY_PROVIDER_SESSION, provider_session_owner(&notice.issuer, name)),
            (None, None) => return Ok(0),
        };
        let mut ended = 0;
        for _ in 0..LOOKS {
            let found = self.found_by(tenant, kind, &owner).await?;
            let meant = found.into_iter().filter(|session| is_meant(session, notice));
            ended += self.take_each(tenant, meant.map(|session| session.id).collect()).await?;
        }
        Ok(ended)
    }

    async fn found_by(&self, tenant: &str, kind: &'static str, owner: &UserId) -> Result<Vec<Session>> {
        let now = self.clock.now();
        let mut sessions = Vec::new();
        for (key, _) in self.records.owned(tenant, kind, owner, now).await? {
            let found = self.read(tenant, &SessionId::new(key), now).await?;
            sessions.extend(found.map(|(_, session)| session));
        }
        Ok(sessions)
    }

    async fn start(&self, user: &User, session: Session) -> Result<(SessionToken, Session)> {
        if user.disabled_at.is_some() {
            return Err(disabled());
        }
        let token = SessionToken::generate(&user.tenant)?;
        let session = Session { id: token.id(), ..session };
        self.write_new(&session).await?;
        Ok((token, session))
    }

    /// The new record is there before the old one goes, so that whoever ends all sessions meanwhile finds one of them:
    /// if it was the old one, the new one goes as well.
    async fn renew(
        &self,
        token: &SessionToken,
        change: impl FnOnce(&mut Session, Timestamp) + Send,
    ) -> Result<Option<(SessionToken, Session)>> {
        let now = self.clock.now();
        let Some((_, mut session)) = self.read(token.tenant(), &token.id(), now).await? else {
            return Ok(None);
        };
        change(&mut session, now);
        let next = SessionToken::generate(&session.tenant)?;
        let session = Session { id: next.id(), seen_at: now, ..session };
        self.write_new(&session).await?;
        if self.take(token.tenant(), &token.id()).await? {
            return Ok(Some((next, session)));
        }
        self.take(&session.tenant, &session.id).await?;
        Ok(None)
    }

    /// What finds a session comes first: one that no notice ends must not be left when the rest fails.
    async fn write_new(&self, session: &Session) -> Result<()> {
        let by_identity = session.identity.as_ref().map(|key| (BY_IDENTITY, identity_owner(key)));
        let by_name = session.identity.as_ref().zip(session.provider_session.as_deref());
        let by_name =
            by_name.map(|(key, name)| (BY_PROVIDER_SESSION, provider_session_owner(&key.issuer, name)));
        for (kind, owner) in by_identity.into_iter().chain(by_name) {
            let id = RecordId::new(&session.tenant, kind, session.id.as_str());
            let expires_at = after(session.created_at, self.absolute);
            self.put_new(&id, Draft { owner: Some(owner), expires_at, value: Secret::new(Vec::new()) })
                .await?;
        }
        self.put_new(&record_id(session), self.draft(session)?).await
    }

    async fn put_new(&self, id: &RecordId, draft: Draft) -> Result<()> {
        let written = self.records.put(id, 0, &draft, self.clock.now()).await?;
        written.map(drop).ok_or_else(|| {
            Error::new(
                ErrorKind::Unexpected,
                Effect::Rejected,
                "a session of this random name is there already",
            )
        })
    }

    async fn read(&self, tenant: &str, id: &SessionId, now: Timestamp) -> Result<Option<(u64, Session)>> {
        let Some(record) = self.records.get(&RecordId::new(tenant, KIND, id.as_str()), now).await? else {
            return Ok(None);
        };
        let session = read_session(tenant, id.clone(), &record)?;
        Ok((self.ends(&session) > now).then_some((record.version, session)))
    }

    async fn take(&self, tenant: &str, id: &SessionId) -> Result<bool> {
        for kind in [BY_IDENTITY, BY_PROVIDER_SESSION] {
            self.records.take(&RecordId::new(tenant, kind, id.as_str()), self.clock.now()).await?;
        }
        let record = RecordId::new(tenant, KIND, id.as_str());
        Ok(self.records.take(&record, self.clock.now()).await?.is_some())
    }

    async fn take_each(&self, tenant: &str, ids: Vec<SessionId>) -> Result<u64> {
        let mut taken = 0;
        for id in ids {
            taken += u64::from(self.take(tenant, &id).await?);
        }
        Ok(taken)
    }

    fn draft(&self, session: &Session) -> Result<Draft> {
        let owner = Some(session.user.clone());
        Ok(Draft { owner, expires_at: self.ends(session), value: session.to_bytes()? })
    }

    /// By the present policy, which may be a stricter one than when the session was written.
    fn ends(&self, session: &Session) -> Timestamp {
        after(session.seen_at, self.idle).min(after(session.created_at, self.absolute))
    }
}

fn draft_of(user: &User, methods: Vec<Method>, now: Timestamp) -> Session {
    Session {
        id: SessionId::new(""),
        user: user.id.clone(),
        tenant: user.tenant.clone(),
        methods,
        created_at: now,
        authenticated_at: now,
        seen_at: now,
        identity: None,
        provider_session: None,
    }
}

fn read_session(tenant: &str, id: SessionId, record: &Record) -> Result<Session> {
    let owner = record
        .draft
        .owner
        .clone()
        .ok_or_else(|| Error::new(ErrorKind::Decode, Effect::NotSent, "a stored session is nobody's"))?;
    Session::from_bytes(id, tenant, owner, record.draft.value.expose())
}

fn record_id(session: &Session) -> RecordId {
    RecordId::new(&session.tenant, KIND, session.id.as_str())
}

fn is_meant(session: &Session, notice: &LogoutNotice) -> bool {
    let same_issuer = session.identity.as_ref().is_some_and(|own| own.issuer == notice.issuer);
    let same_identity = same_issuer && (notice.key.is_none() || session.identity == notice.key);
    let may_be = session.provider_session.is_none() && notice.key.is_some();
    same_identity && (notice.session.is_none() || may_be || session.provider_session == notice.session)
}

fn identity_owner(key: &IdentityKey) -> UserId {
    UserId::new(hashed(&["identity", &key.issuer, &key.subject]))
}

fn provider_session_owner(issuer: &str, name: &str) -> UserId {
    UserId::new(hashed(&["provider session", issuer, name]))
}

fn after(at: Timestamp, time: Duration) -> Timestamp {
    at.saturating_add(time).unwrap_or(Timestamp::MAX)
}

fn disabled() -> Error {
    Error::new(ErrorKind::PermissionDenied, Effect::NotSent, "the user may not sign in")
        .with_code("disabled")
        .with_hint("tell them so only after they proved who they are; an administrator can enable them")
}
