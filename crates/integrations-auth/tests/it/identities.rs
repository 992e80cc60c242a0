//! Whose an identity is, when several come at once and when a store fails on the way.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use integrations_auth::{
    Begun, Completed, Draft, EmailClaim, Identities, Identity, IdentityKey, LinkedIdentity, MailAddress,
    MailTrust, MemoryRecords, MemoryUsers, Method, PendingSignIn, Proven, Recognised, Record, RecordId,
    RecordStore, Sessions, SignIn, SignInDriver, SignInRequest, User, UserId, UserStore, oidc,
};
use integrations_core::driver::Driver;
use integrations_core::provider::ProviderSpec;
use integrations_core::{Clock, Effect, Error, ErrorKind, Result, Secret, TokenSet};
use jiff::Timestamp;

const OURS: &str = "https://id.company.example";
const OTHER: &str = "https://id.elsewhere.example";

fn address() -> MailAddress {
    MailAddress::parse("ada@company.example").unwrap()
}

/// An issuer that says this.
struct Says(Identity);

impl Driver for Says {
    fn spec(&self) -> &'static ProviderSpec {
        &oidc::spec::SPEC
    }
    fn raw(&self) -> &dyn Any {
        self
    }
}

#[async_trait]
impl SignInDriver for Says {
    async fn begin(&self, _: &SignInRequest) -> Result<Begun> {
        let pending = PendingSignIn::new("oidc", "state".into(), Secret::new(Vec::new()), Timestamp::MAX);
        Ok(Begun::new(OURS, pending))
    }
    async fn complete(&self, _: PendingSignIn, _: &str) -> Result<Completed> {
        Ok(Completed::new(self.0.clone(), TokenSet::new("token", Timestamp::UNIX_EPOCH)))
    }
}

/// Somebody whose address an issuer calls verified.
async fn vouched(issuer: &str, subject: &str) -> Proven<Identity> {
    let mut identity = Identity::new("oidc", IdentityKey::new(issuer, subject));
    identity.email = Some(EmailClaim::Verified(address()));
    proven(identity).await
}

async fn proven(identity: Identity) -> Proven<Identity> {
    let sign_in = SignIn::new(Says(identity));
    let pending = sign_in.begin(SignInRequest::new()).await.unwrap().pending;
    sign_in.complete(pending, "").await.unwrap().identity
}

/// Users whom others look for at the same time, and records that fail when told to.
#[derive(Default)]
struct Slow {
    users: MemoryUsers,
    records: MemoryRecords,
    is_down: AtomicBool,
}

#[async_trait]
impl UserStore for Slow {
    async fn user(&self, tenant: &str, id: &UserId) -> Result<Option<User>> {
        self.users.user(tenant, id).await
    }
    async fn by_email(&self, tenant: &str, address: &MailAddress) -> Result<Option<User>> {
        let found = self.users.by_email(tenant, address).await;
        tokio::task::yield_now().await;
        found
    }
    async fn by_identity(&self, tenant: &str, key: &IdentityKey) -> Result<Option<User>> {
        let found = self.users.by_identity(tenant, key).await;
        tokio::task::yield_now().await;
        found
    }
    async fn insert(&self, user: &User) -> Result<User> {
        self.users.insert(user).await
    }
    async fn replace(&self, user: &User) -> Result<Option<User>> {
        self.users.replace(user).await
    }
    async fn remove(&self, tenant: &str, id: &UserId, seen: u64) -> Result<bool> {
        self.users.remove(tenant, id, seen).await
    }
    async fn list(&self, tenant: &str, after: Option<&UserId>, limit: u32) -> Result<Vec<User>> {
        self.users.list(tenant, after, limit).await
    }
}

impl Slow {
    fn check(&self) -> Result<()> {
        let down = || Error::new(ErrorKind::Unavailable, Effect::Unknown, "the store is down");
        if self.is_down.load(Ordering::SeqCst) { Err(down()) } else { Ok(()) }
    }
}

#[async_trait]
impl RecordStore for Slow {
    async fn get(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        self.check()?;
        self.records.get(id, now).await
    }
    async fn put(&self, id: &RecordId, seen: u64, next: &Draft, now: Timestamp) -> Result<Option<u64>> {
        self.check()?;
        self.records.put(id, seen, next, now).await
    }
    async fn take(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        self.check()?;
        self.records.take(id, now).await
    }
    async fn owned(
        &self,
        tenant: &str,
        kind: &'static str,
        owner: &UserId,
        now: Timestamp,
    ) -> Result<Vec<(String, Record)>> {
        self.check()?;
        self.records.owned(tenant, kind, owner, now).await
    }
    async fn remove_owned(&self, tenant: &str, kind: &'static str, owner: &UserId) -> Result<u64> {
        self.check()?;
        self.records.remove_owned(tenant, kind, owner).await
    }
    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.records.sweep(now, limit).await
    }
}

struct Bench {
    stores: Arc<Slow>,
    sessions: Sessions,
    identities: Identities,
}

fn bench(trust: MailTrust) -> Bench {
    let stores = Arc::new(Slow::default());
    let sessions = Sessions::new(stores.clone(), Clock::system());
    let identities = Identities::new(stores.clone(), sessions.clone(), Clock::system()).trust(trust);
    Bench { stores, sessions, identities }
}

async fn account(it: &Bench, is_verified: bool) -> User {
    let now = Clock::system().now();
    let mut user = User::new("ada", "", now);
    user.email = Some(address());
    user.email_verified_at = is_verified.then_some(now);
    user.password = Some("$argon2id$of-whoever-made-the-account".into());
    it.stores.insert(&user).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn two_who_come_at_once_with_a_new_identity_are_one_user() {
    for trust in [MailTrust::nobody(), MailTrust::nobody().provider(OURS)] {
        let it = bench(trust);
        let (one, other) = (vouched(OURS, "1").await, vouched(OURS, "1").await);
        let (one, other) =
            tokio::join!(it.identities.recognise("", &one), it.identities.recognise("", &other));
        let (created, known) = match (one.unwrap(), other.unwrap()) {
            (Recognised::Created(created), Recognised::Known(known))
            | (Recognised::Known(known), Recognised::Created(created)) => (created, known),
            both => panic!("one of them makes the user: {both:?}"),
        };
        assert_eq!(created.id, known.id);
        assert_eq!(it.stores.list("", None, 10).await.unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_word_of_one_issuer_is_not_that_of_another() {
    let trust = || MailTrust::nobody().provider_in(OURS, ["company.example"]).link_automatically();
    for is_verified in [true, false] {
        let it = bench(trust());
        let victim = account(&it, is_verified).await;
        let stranger = it.identities.recognise("", &vouched(OTHER, "1").await).await.unwrap();
        assert!(matches!(&stranger, Recognised::Created(user) if user.email.is_none()), "{stranger:?}");
        assert_eq!(it.stores.user("", &victim.id).await.unwrap().unwrap().version, victim.version);
        let own = it.identities.recognise("", &vouched(OURS, "1").await).await.unwrap();
        assert!(matches!(own, Recognised::Linked(_) | Recognised::Reclaimed(_)), "{own:?}");
    }
    // The provider's name is that of every issuer that is set up, and so says nothing about one.
    let it = bench(MailTrust::nobody().provider("oidc").link_automatically());
    account(&it, true).await;
    let outcome = it.identities.recognise("", &vouched(OTHER, "1").await).await.unwrap();
    assert!(matches!(outcome, Recognised::Created(_)), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn an_account_is_not_handed_over_while_its_sessions_cannot_be_ended() {
    let it = bench(MailTrust::nobody().provider(OURS));
    let prepared = account(&it, false).await;
    let (token, _) = it.sessions.create(&prepared, vec![Method::Password]).await.unwrap();
    let owner = vouched(OURS, "1").await;
    it.stores.is_down.store(true, Ordering::SeqCst);
    it.identities.recognise("", &owner).await.unwrap_err();
    it.stores.is_down.store(false, Ordering::SeqCst);
    it.identities.recognise("", &owner).await.unwrap();
    assert!(it.sessions.get(&token).await.unwrap().is_none(), "whoever made the account is still there");
}

#[tokio::test(start_paused = true)]
async fn what_an_identity_began_ends_with_it_also_after_a_failure() {
    let it = bench(MailTrust::nobody());
    let identity = vouched(OURS, "1").await;
    let mut user = account(&it, true).await;
    user.identities.push(LinkedIdentity::new(identity.key.clone(), "oidc", Clock::system().now()));
    let user = it.stores.replace(&user).await.unwrap().unwrap();
    let sign_in = SignIn::new(Says(identity.clone().into_inner()));
    let pending = sign_in.begin(SignInRequest::new()).await.unwrap().pending;
    let signed_in = sign_in.complete(pending, "").await.unwrap();
    let (begun, _) = it.sessions.create_signed_in(&user, &signed_in, vec![]).await.unwrap();
    let (_, own) = it.sessions.create(&user, vec![Method::Password]).await.unwrap();
    let fresh = || own.fresh(std::time::Duration::from_secs(60), Clock::system().now()).unwrap();
    it.stores.is_down.store(true, Ordering::SeqCst);
    it.identities.unlink(fresh(), &identity.key).await.unwrap_err();
    it.stores.is_down.store(false, Ordering::SeqCst);
    it.identities.unlink(fresh(), &identity.key).await.unwrap();
    assert!(it.sessions.get(&begun).await.unwrap().is_none(), "its session goes on");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_only_looks_like_a_users_is_not_theirs() {
    for is_verified in [true, false] {
        let it = bench(MailTrust::nobody().provider(OURS).link_automatically());
        let mut victim = account(&it, is_verified).await;
        victim.email = Some(MailAddress::parse("kate@company.example").unwrap());
        let victim = it.stores.replace(&victim).await.unwrap().unwrap();
        // The Kelvin sign, whose lower case is an ASCII letter.
        let looks = MailAddress::parse("\u{212a}ate@company.example").unwrap();
        let mut identity = vouched(OURS, "1").await.into_inner();
        identity.email = Some(EmailClaim::Verified(looks));
        let outcome = it.identities.recognise("", &proven(identity).await).await.unwrap();
        assert!(matches!(&outcome, Recognised::Created(user) if user.email.is_none()), "{outcome:?}");
        assert_eq!(it.stores.user("", &victim.id).await.unwrap().unwrap().version, victim.version);
    }
}
