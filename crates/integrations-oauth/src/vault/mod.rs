//! The vault: tokens of connections that are always usable, or known not to be.

mod authorize;
mod exchange;
mod listen;
mod slot;
mod slots;
mod state;
mod tend;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use integrations_core::seal::Sealer;
use integrations_core::{Clock, ConnectionId, Effect, Error, ErrorKind, Result};
use jiff::Timestamp;
use tokio::time::timeout;

use crate::client::TokenSource;
use crate::store::TokenStore;
use crate::token::{AccessToken, TokenSet};

use self::slot::{Goal, Need, Slot, View};
use self::slots::Slots;
use self::state::{Record, Status};

pub use listen::{Listener, Transition};
pub use state::{ConnectionState, Reauth, Reconnect};
pub use tend::Tended;

/// Tokens of connections. Cheap to clone; clones are one vault.
///
/// A token that is about to end is exchanged in the background while the old one still proves calls. However many calls
/// want the next token, one of them exchanges: within a process they wait for the same exchange, and among processes one
/// has the store's [lease](crate::store::Lease). What came of it is durable before any call uses it. The exchange goes on
/// when the call that wanted it is dropped.
///
/// Needs a tokio runtime: exchanges are tasks of their own.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    store: Arc<dyn TokenStore>,
    sealer: Arc<dyn Sealer>,
    sources: Sources,
    clock: Clock,
    listener: Option<Arc<dyn Listener>>,
    link: Option<String>,
    limits: Limits,
    slots: Slots,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// One request to the issuer.
    exchange: Duration,
    /// A lease.
    lease: Duration,
    /// One operation of the store.
    store: Duration,
    /// Between two refreshes of one connection because its token was refused.
    refused_again: Duration,
    /// Between two refreshes of a connection that nobody uses.
    keep_alive: Option<Duration>,
}

/// What is in memory of a connection is read again after this time, so that what other processes did to it shows.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The same for a connection that does not work: its user may have reconnected.
const LOOK_AGAIN_STOPPED: Duration = Duration::from_secs(5);
/// The times that a call takes what others have fetched and finds it outdated again.
const ROUNDS: u32 = 8;

/// Finds the issuer of a connection that has no fixed one.
type FindSource = dyn Fn(&ConnectionId) -> Result<Arc<dyn TokenSource>> + Send + Sync;

#[derive(Default)]
struct Sources {
    fixed: HashMap<Arc<str>, Arc<dyn TokenSource>>,
    find: Option<Box<FindSource>>,
}

impl Sources {
    fn of(&self, id: &ConnectionId) -> Result<Arc<dyn TokenSource>> {
        match (self.fixed.get(&id.instance), &self.find) {
            (Some(source), _) => Ok(source.clone()),
            (None, Some(find)) => find(id),
            (None, None) => {
                Err(Error::config(format!("the vault has no source of tokens for `{}`", id.instance))
                    .with_hint("name it with `VaultBuilder::source`"))
            }
        }
    }
}

/// Builds a [`Vault`].
#[must_use]
pub struct VaultBuilder {
    store: Arc<dyn TokenStore>,
    sealer: Arc<dyn Sealer>,
    sources: Sources,
    clock: Clock,
    listener: Option<Arc<dyn Listener>>,
    link: Option<String>,
    limits: Limits,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl fmt::Debug for VaultBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl VaultBuilder {
    /// Sets who gives the tokens of all connections to `instance`.
    pub fn source(mut self, instance: impl Into<Arc<str>>, source: Arc<dyn TokenSource>) -> Self {
        self.sources.fixed.insert(instance.into(), source);
        self
    }

    /// Sets how the source of a connection is found that [`source`](VaultBuilder::source) does not name: for tenants with
    /// OAuth clients of their own. Asked before each exchange; keep what is costly to make.
    pub fn find_source(
        mut self,
        find: impl Fn(&ConnectionId) -> Result<Arc<dyn TokenSource>> + Send + Sync + 'static,
    ) -> Self {
        self.sources.find = Some(Box::new(find));
        self
    }

    /// Sets the clock that the ends of tokens are measured by. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets who hears of changes of state. Every process of a fleet needs it, for each tells what it has changed itself.
    /// Default: nobody.
    pub fn listener(mut self, listener: impl Listener) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Sets where a user connects again, with `{tenant}`, `{instance}` and `{connection}` to be filled in:
    /// `https://app.example/connect/{instance}?user={connection}`.
    pub fn reconnect_link(mut self, template: impl Into<String>) -> Self {
        self.link = Some(template.into());
        self
    }

    /// Sets how long one request to an issuer may take, and how long a connection is lent to the process that makes it;
    /// the lease is at least twice as long. When a process dies while it refreshes, the others wait for the lease to end.
    /// Defaults: 15 s and 30 s.
    pub fn exchange_timeout(mut self, exchange: Duration, lease: Duration) -> Self {
        self.limits.exchange = exchange;
        self.limits.lease = lease.max(exchange * 2);
        self
    }

    /// Sets how long one operation of the store may take. Default: 10 s.
    pub fn store_timeout(mut self, limit: Duration) -> Self {
        self.limits.store = limit;
        self
    }

    /// Sets how old tokens must be to be exchanged because a service refused them. A service may refuse a good token for
    /// reasons of its own, and each exchange would be in vain. Default: 10 s.
    pub fn refused_again_after(mut self, age: Duration) -> Self {
        self.limits.refused_again = age;
        self
    }

    /// Sets after what time [`Vault::tend`] refreshes a connection that nobody uses, because many issuers revoke what is
    /// idle; `None`: never. Default: a day.
    pub fn keep_alive(mut self, idle: Option<Duration>) -> Self {
        self.limits.keep_alive = idle;
        self
    }

    /// The vault.
    pub fn build(self) -> Vault {
        Vault(Arc::new(Inner {
            store: self.store,
            sealer: self.sealer,
            sources: self.sources,
            clock: self.clock,
            listener: self.listener,
            link: self.link,
            limits: self.limits,
            slots: Slots::default(),
        }))
    }
}

impl Vault {
    /// A vault over this store; everything that it writes is sealed by `sealer`.
    pub fn builder(store: Arc<dyn TokenStore>, sealer: Arc<dyn Sealer>) -> VaultBuilder {
        VaultBuilder {
            store,
            sealer,
            sources: Sources::default(),
            clock: Clock::system(),
            listener: None,
            link: None,
            limits: Limits {
                exchange: Duration::from_secs(15),
                lease: Duration::from_secs(30),
                store: Duration::from_secs(10),
                refused_again: Duration::from_secs(10),
                keep_alive: Some(Duration::from_secs(24 * 60 * 60)),
            },
        }
    }

    /// Takes the tokens that a user's consent gave, for a new connection or one that stopped working. They are durable
    /// when this returns; it goes on when it is dropped before.
    ///
    /// # Errors
    /// When they could not be stored: they exist nowhere else, so keep a copy and try again.
    pub async fn connect(&self, id: &ConnectionId, tokens: TokenSet) -> Result<()> {
        let (inner, id) = (self.0.clone(), id.clone());
        to_the_end(async move { inner.connect(&id, tokens).await }).await
    }

    /// The access token, fresh.
    ///
    /// # Errors
    /// [`ErrorKind::ReauthRequired`] with a [`Reconnect`] in its details, without a request to anybody;
    /// [`ErrorKind::NotFound`] for a connection that was never made; whatever kept a needed refresh from succeeding.
    pub async fn token(&self, id: &ConnectionId) -> Result<AccessToken> {
        let view = self.0.usable(&self.0.slot(id)).await?;
        let (tokens, rotation) = view.tokens()?;
        Ok(AccessToken { token: tokens.access.clone(), expires_at: tokens.expires_at, version: rotation })
    }

    /// All that the issuer gave, with a fresh access token. Errors as with [`token`](Vault::token).
    pub async fn tokens(&self, id: &ConnectionId) -> Result<TokenSet> {
        Ok(self.0.usable(&self.0.slot(id)).await?.tokens()?.0.clone())
    }

    /// What can be done with a connection, as the store has it; `None`: it was never made.
    pub async fn state(&self, id: &ConnectionId) -> Result<Option<ConnectionState>> {
        let Some((_, record)) = self.0.read(id).await? else { return Ok(None) };
        let state = record.state();
        let refreshing = state == ConnectionState::Ready && self.0.slot(id).is_renewing();
        Ok(Some(if refreshing { ConnectionState::Refreshing } else { state }))
    }

    /// The connections of one tenant, or of all, in the order of their names, after `after`, at most `limit`.
    pub async fn connections(
        &self,
        tenant: Option<&str>,
        after: Option<&ConnectionId>,
        limit: u32,
    ) -> Result<Vec<(ConnectionId, ConnectionState)>> {
        let inner = &*self.0;
        let entries = inner.in_time(inner.store.list(tenant, after, limit)).await?;
        let mut found = Vec::with_capacity(entries.len());
        for (id, entry) in entries {
            let state = match inner.in_time(Record::open(&*inner.sealer, &id, &entry)).await {
                Ok(record) => record.state(),
                Err(error) if error.is_retryable() => return Err(error),
                Err(_) => ConnectionState::Unreadable,
            };
            found.push((id, state));
        }
        Ok(found)
    }

    /// Revokes the tokens at the issuer and forgets them; calls end as [`ErrorKind::ReauthRequired`] until the user
    /// connects again. `false`: the issuer has no way to revoke, its tokens live on until they end.
    ///
    /// # Errors
    /// When the issuer could not be reached: then nothing has changed. When the store could not: then the tokens may be
    /// revoked and not yet forgotten; try again. [`ErrorKind::NotFound`] for a connection that was never made.
    pub async fn disconnect(&self, id: &ConnectionId) -> Result<bool> {
        let (inner, id) = (self.0.clone(), id.clone());
        to_the_end(async move { inner.disconnect(&id).await }).await
    }

    /// Takes note that the user has revoked the connection at the service, as some services tell by webhook. Its tokens
    /// are forgotten, also those of a consent that came before the note: drop notes that are older than
    /// [the connection](Vault::state).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a connection that was never made; when it could not be stored.
    pub async fn note_revoked(&self, id: &ConnectionId) -> Result<()> {
        self.0.mark_revoked(id).await
    }

    /// Removes a connection from the store, all but its name and the counters that the store's invariants need. Its
    /// tokens are not revoked: [`disconnect`](Vault::disconnect) first.
    pub async fn forget(&self, id: &ConnectionId) -> Result<()> {
        self.0.forget(id).await
    }
}

impl Inner {
    fn slot(&self, id: &ConnectionId) -> Arc<Slot> {
        self.slots.get(id)
    }

    /// What is in memory if it is usable, else what a flight brings.
    async fn usable(self: &Arc<Self>, slot: &Arc<Slot>) -> Result<Arc<View>> {
        match slot.decide(self, Need::Usable)? {
            slot::Next::Use(view) => Ok(view),
            // Boxed, so that the calls that wait for nothing do not carry its states.
            slot::Next::Wait(_) => Box::pin(self.obtain(slot, Need::Usable)).await,
        }
    }

    async fn obtain(self: &Arc<Self>, slot: &Arc<Slot>, need: Need) -> Result<Arc<View>> {
        let rounds = async {
            for _ in 0..ROUNDS {
                match slot.decide(self, need)? {
                    slot::Next::Use(view) => return Ok(view),
                    slot::Next::Wait(flight) => {
                        let goal = flight.goal;
                        match flight.landed().await {
                            Ok(view) if view.settles(need, goal, self.clock.now()) => return Ok(view),
                            // What a look did not find, a refresh may bring.
                            Err(error) if goal != Goal::Look => return Err(error),
                            _ => {}
                        }
                    }
                }
            }
            Err(late("the tokens change faster than they can be used"))
        };
        let limit = self.limits.lease + self.limits.exchange;
        timeout(limit, rounds).await.unwrap_or_else(|_| Err(late("no new tokens came in time")))
    }

    async fn read(&self, id: &ConnectionId) -> Result<Option<(u64, Record)>> {
        let Some(entry) = self.in_time(self.store.load(id)).await? else { return Ok(None) };
        let record = self.in_time(Record::open(&*self.sealer, id, &entry)).await?;
        Ok(Some((entry.version, record)))
    }

    /// Writes a record over the version that was seen. `None`: another one was faster.
    async fn write(
        &self,
        id: &ConnectionId,
        seen: u64,
        record: &Record,
        fence: Option<u64>,
    ) -> Result<Option<u64>> {
        let due = self.due_of(id, record);
        let draft = self.in_time(record.seal(&*self.sealer, id, due)).await?;
        let swap = timeout(self.limits.store, self.store.swap(id, seen, &draft, fence)).await;
        swap.unwrap_or_else(|_| Err(late("the store did not answer").with_effect(Effect::Unknown)))
    }

    async fn in_time<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        let done = timeout(self.limits.store, operation).await;
        done.unwrap_or_else(|_| Err(late("the store of tokens did not answer")))
    }

    fn link(&self, id: &ConnectionId) -> Option<String> {
        let filled =
            [("{tenant}", &id.tenant), ("{instance}", &id.instance), ("{connection}", &id.connection)];
        let template = self.link.as_ref()?;
        Some(filled.iter().fold(template.clone(), |link, (part, value)| link.replace(part, &encoded(value))))
    }

    fn reconnect(&self, id: &ConnectionId, record: &Record) -> Reconnect {
        let reason = match &record.status {
            Status::Reauth(reason) => Some(reason.clone()),
            Status::Ready(_) | Status::Revoked => None,
        };
        Reconnect { connection: id.clone(), since: record.since, reason, link: self.link(id) }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Runs what must not end halfway because the caller does, as that of a web request may.
async fn to_the_end<T: Send + 'static>(task: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(task).await.unwrap_or_else(|_| Err(slot::panicked()))
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Nothing was sent to the service that the call is for.
fn late(message: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, Effect::NotSent, message)
}

fn unknown_connection(id: &ConnectionId) -> Error {
    let name = format!("there is no connection `{}` to `{}`", id.connection, id.instance);
    Error::new(ErrorKind::NotFound, Effect::NotSent, name)
        .with_hint("let the user consent, and give the tokens to `Vault::connect`")
}
