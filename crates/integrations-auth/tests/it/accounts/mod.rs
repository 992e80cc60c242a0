//! Accounts with passwords, from the outside.

mod changes;
mod enumeration;
mod passwords;
mod sign_in;
mod timing;
mod tokens;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use integrations_auth::{
    Accounts, Cost, Draft, IdentityKey, Login, MailAddress, MemoryRecords, MemoryUsers, Notice, NoticeKind,
    Notices, Passwords, Record, RecordId, RecordStore, Sessions, SignedInUser, Throttle, User, UserId,
    UserStore,
};
use integrations_core::{Clock, Error, Result, SecretString};
use jiff::Timestamp;

const GOOD: &str = "correct horse battery staple";
const OTHER: &str = "an altogether different one";

fn secret(text: &str) -> SecretString {
    text.into()
}

fn mail(text: &str) -> MailAddress {
    MailAddress::parse(text).unwrap()
}

fn weak() -> Passwords {
    Passwords::new().cost(Cost::insecure_for_tests(8))
}

/// What the application is made of, and what happened to it.
struct World {
    accounts: Accounts,
    users: Arc<MemoryUsers>,
    records: Arc<MemoryRecords>,
    sessions: Sessions,
    mails: Mails,
    calls: Calls,
    clock: Clock,
}

/// What was sent.
#[derive(Clone, Default)]
struct Mails(Arc<Mutex<Vec<Notice>>>);

/// What the stores were asked, and what somebody else does just before a session is written.
#[derive(Clone, Default)]
struct Calls {
    made: Arc<Mutex<Vec<String>>>,
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

/// What somebody else does to the user `u1`.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    Password,
    Disabled,
    Name,
}

impl World {
    fn new() -> Self {
        Self::with(weak())
    }

    fn with(passwords: Passwords) -> Self {
        let clock = Clock::virtual_from("2026-11-20T12:00:00Z".parse().unwrap());
        let (users, records) = (Arc::new(MemoryUsers::new()), Arc::new(MemoryRecords::new()));
        let (mails, calls) = (Mails::default(), Calls::default());
        let watched = Arc::new(Watched {
            users: Arc::clone(&users),
            records: Arc::clone(&records),
            calls: calls.clone(),
        });
        let sessions = Sessions::new(Arc::clone(&watched) as Arc<dyn RecordStore>, clock.clone());
        let accounts = Accounts::new(
            Arc::clone(&watched) as Arc<dyn UserStore>,
            watched,
            sessions.clone(),
            passwords,
            mails.clone(),
            clock.clone(),
        );
        Self { accounts, users, records, sessions, mails, calls, clock }
    }

    /// One where nobody is slowed down.
    fn unthrottled(passwords: Passwords) -> Self {
        let world = Self::with(passwords);
        let records = Arc::clone(&world.records) as Arc<dyn RecordStore>;
        let throttle = Throttle::new(records, world.clock.clone()).free(u32::MAX);
        Self { accounts: world.accounts.clone().throttle(throttle), ..world }
    }

    async fn settle(&self) {
        assert!(self.accounts.drain(Duration::from_secs(120)).await);
    }

    /// A verified user with [`GOOD`] as the password.
    async fn user(&self, id: &str, address: &str) -> User {
        self.insert(id, address, |_| ()).await
    }

    async fn insert(&self, id: &str, address: &str, change: impl FnOnce(&mut User)) -> User {
        let now = self.clock.now();
        let mut user = User::new(id, "t", now);
        user.email = Some(mail(address));
        user.email_verified_at = Some(now);
        user.password = Some(weak().hash(&secret(GOOD)).await.unwrap());
        change(&mut user);
        self.users.insert(&user).await.unwrap()
    }

    async fn present(&self, id: &str) -> User {
        self.users.user("t", &UserId::from(id)).await.unwrap().unwrap()
    }

    async fn login(&self, address: &str, password: &str) -> Result<SignedInUser> {
        match self.accounts.login("t", &mail(address), &secret(password)).await? {
            Login::SignedIn(user) => Ok(*user),
            Login::SecondFactor(_) => panic!("a second factor is asked for"),
        }
    }

    /// The code of a sign-in that fails; `""` if it does not.
    async fn refusal(&self, address: &str, password: &str) -> String {
        let refused = self.login(address, password).await.err();
        refused.map_or(String::new(), |e| e.code().unwrap().to_owned())
    }

    /// The mails that were sent since the last time, once all is done.
    async fn mails(&self) -> Vec<(String, NoticeKind)> {
        self.settle().await;
        let mails = std::mem::take(&mut *self.mails.0.lock().unwrap());
        mails.into_iter().map(|notice| (notice.to.as_str().to_owned(), notice.what)).collect()
    }

    /// The token in the only mail that was sent since the last time.
    async fn token(&self) -> SecretString {
        let mut mails = self.mails().await;
        assert_eq!(mails.len(), 1, "{mails:?}");
        token_of(mails.remove(0).1)
    }
}

fn token_of(what: NoticeKind) -> SecretString {
    match what {
        NoticeKind::VerifyAddress { token, .. }
        | NoticeKind::ResetPassword { token, .. }
        | NoticeKind::VerifyNewAddress { token, .. } => token,
        other => panic!("there is no token in {other:?}"),
    }
}

fn name_of(what: &NoticeKind) -> &'static str {
    match what {
        NoticeKind::VerifyAddress { .. } => "verify",
        NoticeKind::AlreadyRegistered => "already registered",
        NoticeKind::ResetPassword { .. } => "reset",
        NoticeKind::PasswordChanged => "password changed",
        NoticeKind::VerifyNewAddress { .. } => "verify new",
        NoticeKind::AddressChanged { .. } => "address changed",
        _ => "unknown",
    }
}

/// All that an answer says.
fn said<T>(answer: &Result<T>) -> String {
    let all =
        |e: &Error| format!("{e} | {:?} {:?} {:?} {:?}", e.kind(), e.code(), e.effect(), e.retry_after());
    answer.as_ref().err().map_or_else(|| "ok".to_owned(), all)
}

#[async_trait]
impl Notices for Mails {
    async fn send(&self, notice: Notice) -> Result<()> {
        self.0.lock().unwrap().push(notice);
        Ok(())
    }
}

/// Both stores, with a note of what they were asked.
struct Watched {
    users: Arc<MemoryUsers>,
    records: Arc<MemoryRecords>,
    calls: Calls,
}

impl Watched {
    fn note(&self, call: &str) {
        self.calls.made.lock().unwrap().push(call.to_owned());
    }

    async fn meddle(&self) {
        let Some(what) = self.calls.meanwhile.lock().unwrap().take() else { return };
        let mut user = self.users.user("t", &UserId::from("u1")).await.unwrap().unwrap();
        match what {
            Meanwhile::Password => user.password = Some(weak().hash(&secret(OTHER)).await.unwrap()),
            Meanwhile::Disabled => user.disabled_at = Some(user.created_at),
            Meanwhile::Name => user.name = Some("Ada".to_owned()),
        }
        self.users.replace(&user).await.unwrap().unwrap();
    }
}

#[async_trait]
impl UserStore for Watched {
    async fn user(&self, tenant: &str, id: &UserId) -> Result<Option<User>> {
        self.note("user");
        self.users.user(tenant, id).await
    }

    async fn by_email(&self, tenant: &str, address: &MailAddress) -> Result<Option<User>> {
        self.note("by_email");
        self.users.by_email(tenant, address).await
    }

    async fn by_identity(&self, tenant: &str, key: &IdentityKey) -> Result<Option<User>> {
        self.note("by_identity");
        self.users.by_identity(tenant, key).await
    }

    async fn insert(&self, user: &User) -> Result<User> {
        self.note("insert");
        // Two who sign up at once have both seen that there is no account.
        tokio::task::yield_now().await;
        self.users.insert(user).await
    }

    async fn replace(&self, user: &User) -> Result<Option<User>> {
        self.note("replace");
        self.users.replace(user).await
    }

    async fn remove(&self, tenant: &str, id: &UserId, seen: u64) -> Result<bool> {
        self.note("remove");
        self.users.remove(tenant, id, seen).await
    }

    async fn list(&self, tenant: &str, after: Option<&UserId>, limit: u32) -> Result<Vec<User>> {
        self.note("list");
        self.users.list(tenant, after, limit).await
    }
}

#[async_trait]
impl RecordStore for Watched {
    async fn get(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        self.note(&format!("get {}", id.kind));
        self.records.get(id, now).await
    }

    async fn put(&self, id: &RecordId, seen: u64, next: &Draft, now: Timestamp) -> Result<Option<u64>> {
        self.note(&format!("put {}", id.kind));
        if id.kind == "session" {
            self.meddle().await;
        }
        self.records.put(id, seen, next, now).await
    }

    async fn take(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        self.note(&format!("take {}", id.kind));
        self.records.take(id, now).await
    }

    async fn owned(
        &self,
        tenant: &str,
        kind: &'static str,
        owner: &UserId,
        now: Timestamp,
    ) -> Result<Vec<(String, Record)>> {
        self.note(&format!("owned {kind}"));
        self.records.owned(tenant, kind, owner, now).await
    }

    async fn remove_owned(&self, tenant: &str, kind: &'static str, owner: &UserId) -> Result<u64> {
        self.note(&format!("remove_owned {kind}"));
        self.records.remove_owned(tenant, kind, owner).await
    }

    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.records.sweep(now, limit).await
    }
}
