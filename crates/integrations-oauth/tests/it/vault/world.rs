//! An issuer that spends refresh tokens, and stores and listeners that fail on purpose.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use integrations_core::seal::Sealer;
use integrations_core::{Clock, ConnectionId, Effect, Error, ErrorKind, Result, Secret};
use integrations_oauth::store::{Draft, Entry, Lease, MemoryTokens, TokenStore};
use integrations_oauth::{Listener, TokenSet, TokenSource, Transition, Vault, VaultBuilder};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio::time::sleep;

pub(crate) const LIFE: i64 = 3_600;

/// What happens to the next exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trouble {
    /// The answer is lost after the token was spent.
    LoseAnswer,
    /// The request is lost before.
    LoseRequest,
    /// Nothing, for now: come back after so many seconds.
    Busy(u64),
    /// The answer waits until [`Issuer::let_go`].
    HoldAnswer,
    /// The client panics.
    Panic,
    /// Nothing.
    None,
}

/// Refresh tokens are used once; a second use ends the family.
pub(crate) struct Issuer {
    clock: Clock,
    pub(crate) calls: AtomicU32,
    pub(crate) rotations: AtomicU32,
    pub(crate) revocations: AtomicU32,
    /// Refresh tokens that came a second time.
    pub(crate) reused: AtomicU32,
    pub(crate) troubles: Mutex<VecDeque<Trouble>>,
    /// Whether a spent token still gives its successor.
    pub(crate) grace: bool,
    /// Whether answers leave the refresh token out and keep it valid.
    pub(crate) keeps: bool,
    pub(crate) userless: bool,
    pub(crate) unrevocable: bool,
    /// Whether there is nothing to exchange tokens by.
    pub(crate) final_tokens: bool,
    /// Whether it wants a user's consent although it needs no user.
    pub(crate) confused: bool,
    /// How long access tokens live, in seconds.
    pub(crate) life: i64,
    book: Mutex<Book>,
    gate: Semaphore,
    pub(crate) held: Semaphore,
}

#[derive(Default)]
struct Book {
    successor: HashMap<String, String>,
    dead: HashSet<String>,
    next: u32,
}

impl Issuer {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self {
            clock: clock.clone(),
            calls: AtomicU32::new(0),
            rotations: AtomicU32::new(0),
            revocations: AtomicU32::new(0),
            reused: AtomicU32::new(0),
            troubles: Mutex::default(),
            grace: false,
            keeps: false,
            userless: false,
            unrevocable: false,
            final_tokens: false,
            confused: false,
            life: LIFE,
            book: Mutex::default(),
            gate: Semaphore::new(0),
            held: Semaphore::new(0),
        }
    }

    pub(crate) fn next(&self, trouble: Trouble) {
        self.troubles.lock().unwrap().push_back(trouble);
    }

    pub(crate) fn let_go(&self) {
        self.gate.add_permits(1);
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(SeqCst)
    }

    /// The tokens of a new consent: `family.0`.
    pub(crate) fn consent(&self, family: &str) -> TokenSet {
        self.tokens(&format!("{family}.0"))
    }

    pub(crate) fn kill(&self, family: &str) {
        self.book.lock().unwrap().dead.insert(family.to_owned());
    }

    fn tokens(&self, refresh: &str) -> TokenSet {
        let now = self.clock.now();
        let mut tokens = TokenSet::new(format!("access-{refresh}"), now);
        tokens.refresh = Some(refresh.to_owned().into());
        tokens.expires_at = Some(now + SignedDuration::from_secs(self.life));
        tokens
    }

    fn spend(&self, refresh: &str) -> Result<TokenSet> {
        let family = refresh.split('.').next().unwrap().to_owned();
        let mut book = self.book.lock().unwrap();
        if book.dead.contains(&family) {
            return Err(dead());
        }
        if let Some(successor) = book.successor.get(refresh) {
            self.reused.fetch_add(1, SeqCst);
            if self.grace {
                return Ok(self.tokens(&successor.clone()));
            }
            book.dead.insert(family);
            return Err(dead());
        }
        self.rotations.fetch_add(1, SeqCst);
        if self.keeps {
            let mut tokens = self.tokens(refresh);
            book.next += 1;
            tokens.access = format!("access-{refresh}-{}", book.next).into();
            tokens.refresh = None;
            return Ok(tokens);
        }
        book.next += 1;
        let next = format!("{family}.{}", book.next);
        book.successor.insert(refresh.to_owned(), next.clone());
        Ok(self.tokens(&next))
    }
}

fn dead() -> Error {
    Error::new(ErrorKind::ReauthRequired, Effect::Rejected, "the grant is over").with_code("invalid_grant")
}

#[async_trait]
impl TokenSource for Issuer {
    fn needs_user(&self) -> bool {
        !self.userless
    }

    fn can_refresh(&self, _: &TokenSet) -> bool {
        !self.final_tokens
    }

    async fn initial(&self) -> Result<Option<TokenSet>> {
        if !self.userless {
            return Ok(None);
        }
        self.calls.fetch_add(1, SeqCst);
        sleep(Duration::from_millis(100)).await;
        Ok(Some(self.consent("machine")))
    }

    async fn refresh(&self, present: &TokenSet) -> Result<TokenSet> {
        if self.final_tokens {
            return Err(Error::new(ErrorKind::ReauthRequired, Effect::NotSent, "nothing to ask with"));
        }
        self.calls.fetch_add(1, SeqCst);
        let trouble = self.troubles.lock().unwrap().pop_front().unwrap_or(Trouble::None);
        sleep(Duration::from_millis(50)).await;
        let lost = || Error::new(ErrorKind::Transport, Effect::Unknown, "the connection broke");
        match trouble {
            Trouble::LoseRequest => return Err(lost()),
            Trouble::Busy(seconds) => {
                return Err(Error::new(ErrorKind::RateLimited, Effect::Rejected, "not now")
                    .with_retry_after(Duration::from_secs(seconds)));
            }
            Trouble::Panic => panic!("a bug of somebody's"),
            Trouble::LoseAnswer | Trouble::HoldAnswer | Trouble::None => {}
        }
        if self.confused {
            return Err(dead());
        }
        let outcome = self.spend(present.refresh.as_ref().unwrap().expose());
        match trouble {
            Trouble::LoseAnswer => Err(lost()),
            Trouble::HoldAnswer => {
                self.held.add_permits(1);
                self.gate.acquire().await.unwrap().forget();
                outcome
            }
            _ => {
                sleep(Duration::from_millis(50)).await;
                outcome
            }
        }
    }

    async fn revoke(&self, present: &TokenSet) -> Result<()> {
        if self.unrevocable {
            return Err(Error::unsupported("there is no such address", "ask the user"));
        }
        let trouble = self.troubles.lock().unwrap().pop_front();
        match trouble {
            Some(Trouble::LoseRequest) => {
                return Err(Error::new(ErrorKind::Unavailable, Effect::NotSent, "down"));
            }
            Some(Trouble::HoldAnswer) => {
                self.held.add_permits(1);
                self.gate.acquire().await.unwrap().forget();
            }
            _ => {}
        }
        self.revocations.fetch_add(1, SeqCst);
        self.kill(present.refresh.as_ref().unwrap().expose().split('.').next().unwrap());
        Ok(())
    }
}

/// Binds to the context as a real one does, and hides nothing.
pub(crate) struct Glass(pub(crate) Arc<AtomicU32>);

#[async_trait]
impl Sealer for Glass {
    async fn seal(&self, plain: &Secret<Vec<u8>>, context: &[u8]) -> Result<Vec<u8>> {
        let head = [&[u8::try_from(self.0.load(SeqCst)).unwrap()], context, b"\n"].concat();
        Ok([head, plain.expose().clone()].concat())
    }

    async fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Secret<Vec<u8>>> {
        let head = [context, b"\n"].concat();
        let plain = sealed.get(1..).and_then(|rest| rest.strip_prefix(&head[..]));
        plain
            .map(|plain| Secret::new(plain.to_vec()))
            .ok_or_else(|| Error::config("sealed for something else"))
    }

    async fn rewrap(&self, sealed: &[u8], context: &[u8]) -> Result<Option<Vec<u8>>> {
        self.open(sealed, context).await?;
        let key = u8::try_from(self.0.load(SeqCst)).unwrap();
        let mut sealed = sealed.to_vec();
        let old = std::mem::replace(&mut sealed[0], key);
        Ok((old != key).then_some(sealed))
    }
}

/// Counts operations and fails on purpose.
#[derive(Default)]
pub(crate) struct Shaky {
    pub(crate) inner: MemoryTokens,
    pub(crate) operations: AtomicU32,
    /// A load or a swap takes so many milliseconds.
    pub(crate) slow: AtomicU32,
    /// So many milliseconds each lease takes.
    pub(crate) lends_slowly: AtomicU32,
    /// So many loads fail.
    pub(crate) blind: AtomicU32,
    /// So many swaps fail before they are done.
    pub(crate) refuse: AtomicU32,
    /// So many swaps are done and their answers lost.
    pub(crate) lose: AtomicU32,
}

impl Shaky {
    fn count(&self) {
        self.operations.fetch_add(1, SeqCst);
    }
}

fn take(left: &AtomicU32) -> bool {
    left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl TokenStore for Shaky {
    async fn load(&self, id: &ConnectionId) -> Result<Option<Entry>> {
        self.count();
        sleep(Duration::from_millis(self.slow.load(SeqCst).into())).await;
        if take(&self.blind) {
            return Err(Error::new(ErrorKind::Unavailable, Effect::NotSent, "the store is down"));
        }
        self.inner.load(id).await
    }

    async fn swap(
        &self,
        id: &ConnectionId,
        seen: u64,
        next: &Draft,
        fence: Option<u64>,
    ) -> Result<Option<u64>> {
        self.count();
        sleep(Duration::from_millis(self.slow.load(SeqCst).into())).await;
        if take(&self.refuse) {
            return Err(Error::new(ErrorKind::Unavailable, Effect::NotSent, "the store is down"));
        }
        let swapped = self.inner.swap(id, seen, next, fence).await;
        if take(&self.lose) {
            return Err(Error::new(ErrorKind::Transport, Effect::Unknown, "the store's answer was lost"));
        }
        swapped
    }

    async fn remove(&self, id: &ConnectionId, seen: u64) -> Result<bool> {
        self.count();
        self.inner.remove(id, seen).await
    }

    async fn lease(&self, id: &ConnectionId, ttl: Duration) -> Result<Option<Lease>> {
        self.count();
        let lent = self.inner.lease(id, ttl).await;
        sleep(Duration::from_millis(self.lends_slowly.load(SeqCst).into())).await;
        lent
    }

    async fn release(&self, id: &ConnectionId, lease: Lease) -> Result<()> {
        self.count();
        self.inner.release(id, lease).await
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<ConnectionId>> {
        self.inner.due(now, limit).await
    }

    async fn list(
        &self,
        tenant: Option<&str>,
        after: Option<&ConnectionId>,
        limit: u32,
    ) -> Result<Vec<(ConnectionId, Entry)>> {
        self.inner.list(tenant, after, limit).await
    }
}

/// Keeps what it hears; fails so many times first.
#[derive(Clone, Default)]
pub(crate) struct Ear {
    pub(crate) heard: Arc<Mutex<Vec<Transition>>>,
    pub(crate) failures: Arc<AtomicU32>,
}

#[async_trait]
impl Listener for Ear {
    async fn on(&self, transition: &Transition) -> Result<()> {
        self.heard.lock().unwrap().push(transition.clone());
        if take(&self.failures) { Err(Error::config("deaf")) } else { Ok(()) }
    }
}

impl Ear {
    pub(crate) fn words(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|t| t.id.rsplit('/').nth(1).unwrap().to_owned()).collect()
    }
}

/// A fleet: one issuer, one store, any number of vaults.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) store: Arc<Shaky>,
    pub(crate) key: Arc<AtomicU32>,
    pub(crate) ear: Ear,
    pub(crate) ada: ConnectionId,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Issuer)) -> Self {
        let clock = Clock::virtual_from("2026-11-20T12:00:00Z".parse().unwrap());
        let mut issuer = Issuer::new(&clock);
        change(&mut issuer);
        Self {
            issuer: Arc::new(issuer),
            clock,
            store: Arc::default(),
            key: Arc::default(),
            ear: Ear::default(),
            ada: ConnectionId::new("acme", "drive", "ada").unwrap(),
        }
    }

    pub(crate) fn builder(&self) -> VaultBuilder {
        Vault::builder(self.store.clone(), Arc::new(Glass(self.key.clone())))
            .source("drive", self.issuer.clone())
            .clock(self.clock.clone())
            .reconnect_link("https://app.example/{tenant}/{instance}?user={connection}")
    }

    pub(crate) fn vault(&self) -> Vault {
        self.builder().build()
    }

    /// A vault in which Ada is connected.
    pub(crate) async fn connected(&self) -> Vault {
        let vault = self.vault();
        vault.connect(&self.ada, self.issuer.consent("ada")).await.unwrap();
        vault
    }

    pub(crate) async fn sealed(&self) -> Bytes {
        self.store.inner.load(&self.ada).await.unwrap().unwrap().draft.sealed
    }
}

/// Until the token has ended.
pub(crate) async fn life_passes() {
    sleep(Duration::from_secs(LIFE.unsigned_abs())).await;
}
