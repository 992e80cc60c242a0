//! What happens to connections without a call: consent, disconnection, upkeep.

use std::sync::Arc;
use std::time::Duration;

use integrations_core::{ConnectionId, Effect, ErrorKind, Result};
use jiff::{SignedDuration, Timestamp};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::listen::NEW;
use super::slot::{Need, View, extend_at, lapse_at};
use super::state::{Record, Status, context};
use super::{Inner, Vault, late, unknown_connection};
use crate::store::{Entry, Lease};
use crate::token::TokenSet;

/// A change of state that was not told by then is told by [`Vault::tend`].
const UNTOLD: SignedDuration = SignedDuration::from_secs(60);
/// What could not be tended is tried again after this time.
const AGAIN: SignedDuration = SignedDuration::from_mins(10);
/// Between two looks at what is due.
const ROUND: Duration = Duration::from_secs(30);
const PAGE: u32 = 100;
/// Connections of one page that are tended at the same time: an issuer that does not answer holds up few others.
const AT_ONCE: usize = 16;
/// The most pages of one round.
const PAGES: u32 = 100;

/// What [`Vault::tend`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tended {
    /// Connections that were refreshed so that they stay alive.
    pub refreshed: u32,
    /// Changes of state that the listener was told after all.
    pub announced: u32,
    /// Connections that could not be tended; they are tried again later.
    pub failed: u32,
}

impl Vault {
    /// Does what is due: refreshes connections that nobody uses, and long-lived tokens that are about to end; tells
    /// changes of state that a process did not live to tell. Any number of processes may do this.
    ///
    /// # Errors
    /// When the store does not answer. What fails for one connection is counted and tried again later.
    pub async fn tend(&self) -> Result<Tended> {
        let inner = &self.0;
        let mut tended = Tended::default();
        for _ in 0..PAGES {
            let due = inner.in_time(inner.store.due(inner.now(), PAGE)).await?;
            let is_last = due.len() < PAGE as usize;
            let mut under_way = JoinSet::new();
            for id in due {
                if under_way.len() >= AT_ONCE {
                    tended.count(under_way.join_next().await)?;
                }
                let inner = inner.clone();
                under_way.spawn(async move { inner.tend_one(&id).await });
            }
            while !under_way.is_empty() {
                tended.count(under_way.join_next().await)?;
            }
            if is_last {
                break;
            }
        }
        Ok(tended)
    }

    /// [Tends](Vault::tend) every half minute, for as long as it is polled.
    pub async fn keep_tending(&self) {
        loop {
            if let Err(error) = self.tend().await {
                tracing::warn!(%error, "connections could not be tended; trying again");
            }
            sleep(ROUND).await;
        }
    }

    /// Puts everything under the present key of the sealer, after that was changed; returns how many connections were
    /// under an older one. When it has returned 0, nothing needs the older keys any more.
    ///
    /// # Errors
    /// The first one, after everything else was put under the present key.
    pub async fn rewrap(&self) -> Result<u64> {
        let inner = &self.0;
        let mut after: Option<ConnectionId> = None;
        let (mut rewrapped, mut failed) = (0, None);
        loop {
            let page = inner.in_time(inner.store.list(None, after.as_ref(), PAGE)).await?;
            let Some((last, _)) = page.last() else { return failed.map_or(Ok(rewrapped), Err) };
            after = Some(last.clone());
            for (id, entry) in page {
                match inner.rewrap_one(&id, entry).await {
                    Ok(done) => rewrapped += u64::from(done),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
        }
    }
}

impl Tended {
    /// Adds what was done for one connection; that of a task that panicked has failed.
    fn count(&mut self, done: Option<Result<Result<Self>, JoinError>>) -> Result<()> {
        let failed = Self { failed: 1, ..Self::default() };
        let done = done.map_or(Ok(Self::default()), |done| done.unwrap_or(Ok(failed)))?;
        self.refreshed += done.refreshed;
        self.announced += done.announced;
        self.failed += done.failed;
        Ok(())
    }
}

impl Inner {
    async fn tend_one(self: &Arc<Self>, id: &ConnectionId) -> Result<Tended> {
        let mut tended = Tended::default();
        if let Err(error) = self.try_to_tend(id, &mut tended).await {
            tracing::debug!(%error, "a connection could not be tended");
            tended.failed += 1;
            // Ends the round when the store is down.
            self.put_off(id).await?;
        }
        Ok(tended)
    }

    async fn try_to_tend(self: &Arc<Self>, id: &ConnectionId, tended: &mut Tended) -> Result<()> {
        let Some((version, record)) = self.read(id).await? else { return Ok(()) };
        let upkeep = self.upkeep_at(id, &record).is_some_and(|at| at <= self.now());
        if record.unannounced.is_some() {
            // Put off first, so that other processes do not tell it at the same time.
            let Some(_) = self.write(id, version, &record, None).await? else { return Ok(()) };
            if self.announce(id, &record).await {
                tended.announced += 1;
            } else {
                tended.failed += 1;
            }
            if !upkeep {
                return Ok(());
            }
        }
        self.obtain(&self.slot(id), Need::After(record.rotation)).await?.tokens()?;
        tended.refreshed += 1;
        Ok(())
    }

    pub(super) async fn connect(self: &Arc<Self>, id: &ConnectionId, tokens: TokenSet) -> Result<()> {
        let mut unanswered = false;
        loop {
            let found = self.read(id).await?;
            let version = found.as_ref().map_or(0, |(version, _)| *version);
            let record = self.consented(found.map(|(_, record)| record), tokens.clone());
            // Tokens that can prove nothing are refused before they replace any.
            View::new(self, id, version, &record)?;
            match self.write(id, version, &record, None).await {
                Ok(Some(version)) => return self.written(id, version, &record).await,
                Ok(None) => {}
                // Perhaps written: these tokens are then written over themselves.
                Err(error) if error.effect() == Effect::Unknown && !unanswered => unanswered = true,
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes known what was written, first to calls.
    async fn written(self: &Arc<Self>, id: &ConnectionId, version: u64, record: &Record) -> Result<()> {
        self.slot(id).publish(View::new(self, id, version, record)?);
        self.announce(id, record).await;
        Ok(())
    }

    async fn rewrap_one(&self, id: &ConnectionId, entry: Entry) -> Result<bool> {
        let mut draft = entry.draft;
        let rewrapped = self.in_time(self.sealer.rewrap(&draft.sealed, &context(id))).await?;
        let Some(sealed) = rewrapped else { return Ok(false) };
        draft.sealed = sealed.into();
        // Whoever was faster has sealed it anew.
        self.in_time(self.store.swap(id, entry.version, &draft, None)).await?;
        Ok(true)
    }

    /// The rotation is a time, so that it is higher than any number that an exchange under way, or a connection of the
    /// same name that was forgotten, could have counted to.
    pub(super) fn consented(&self, found: Option<Record>, tokens: TokenSet) -> Record {
        let now = self.now();
        let clock = u64::try_from(now.as_microsecond()).unwrap_or(1);
        let status = Status::Ready(tokens);
        match found {
            Some(before) => {
                Record { rotation: clock.max(before.rotation + 1), ..self.changed(&before, status) }
            }
            None => {
                let unannounced = self.listener.is_some().then(|| NEW.to_owned());
                Record { rotation: clock, since: now, status, unannounced }
            }
        }
    }

    /// Under a lease, so that nobody is exchanging the tokens that are revoked.
    pub(super) async fn disconnect(self: &Arc<Self>, id: &ConnectionId) -> Result<bool> {
        self.read(id).await?.ok_or_else(|| unknown_connection(id))?;
        let lease = self.lease_in_time(id).await?;
        let revoked = self.revoke(id, lease).await;
        // If it cannot be given back, or has ended with a write, it ends by itself.
        self.give_back(id, lease).await;
        revoked
    }

    async fn lease_in_time(&self, id: &ConnectionId) -> Result<Lease> {
        let limit = self.limits.lease + self.limits.exchange;
        let leased = async {
            loop {
                if let Some(lease) = self.in_time(self.store.lease(id, self.limits.lease)).await? {
                    return Ok(lease);
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(limit, leased).await.unwrap_or_else(|_| Err(late("the connection is being refreshed")))
    }

    async fn revoke(self: &Arc<Self>, id: &ConnectionId, lease: Lease) -> Result<bool> {
        let (_, record) = self.read(id).await?.ok_or_else(|| unknown_connection(id))?;
        let of = Some((lease, record.rotation));
        let Status::Ready(tokens) = &record.status else {
            self.set_revoked(id, of).await?;
            return Ok(true);
        };
        let source = self.sources.of(id)?;
        let revoked = match timeout(self.limits.exchange, source.revoke(tokens)).await {
            Ok(Ok(())) => true,
            Ok(Err(e)) if e.kind() == ErrorKind::Unsupported => false,
            Ok(Err(e)) => return Err(e),
            Err(_) => return Err(late("the issuer did not answer in time")),
        };
        self.set_revoked(id, of).await?;
        Ok(revoked)
    }

    pub(super) async fn mark_revoked(self: &Arc<Self>, id: &ConnectionId) -> Result<()> {
        self.set_revoked(id, None).await
    }

    /// With a lease and a rotation: unless the user has consented again since then.
    async fn set_revoked(self: &Arc<Self>, id: &ConnectionId, of: Option<(Lease, u64)>) -> Result<()> {
        loop {
            let (version, before) = self.read(id).await?.ok_or_else(|| unknown_connection(id))?;
            // One more is what an exchange brought whose lease had run out; a consent counts from the time.
            if of.is_some_and(|(_, rotation)| before.rotation > rotation + 1) {
                return Ok(());
            }
            // One more, so that the result of an exchange under way does not bring it back to life.
            let record = Record { rotation: before.rotation + 1, ..self.changed(&before, Status::Revoked) };
            let fence = of.map(|(lease, _)| lease.fence);
            if let Some(version) = self.write(id, version, &record, fence).await? {
                return self.written(id, version, &record).await;
            }
        }
    }

    pub(super) async fn forget(&self, id: &ConnectionId) -> Result<()> {
        loop {
            let Some(entry) = self.in_time(self.store.load(id)).await? else { break };
            if self.in_time(self.store.remove(id, entry.version)).await? {
                break;
            }
        }
        self.slot(id).clear();
        Ok(())
    }

    /// When the vault has to look at the record without a call.
    pub(super) fn due_of(&self, id: &ConnectionId, record: &Record) -> Option<Timestamp> {
        if record.unannounced.is_some() {
            return self.now().checked_add(UNTOLD).ok();
        }
        self.upkeep_at(id, record)
    }

    /// When the tokens have to be exchanged although nobody uses them.
    fn upkeep_at(&self, id: &ConnectionId, record: &Record) -> Option<Timestamp> {
        let Status::Ready(tokens) = &record.status else { return None };
        if self.sources.of(id).is_ok_and(|source| !source.can_refresh(tokens)) {
            // Then they are over, which the user has to hear.
            return tokens.expires_at;
        }
        let idle = self.limits.keep_alive.filter(|_| tokens.refresh.is_some());
        let idle = idle.and_then(|idle| tokens.obtained_at.checked_add(idle).ok());
        let lapsing = self.limits.keep_alive.and_then(|_| lapse_at(tokens));
        idle.into_iter().chain(lapsing).chain(extend_at(tokens)).min()
    }

    /// Whatever the connection holds: it may be what cannot be read.
    async fn put_off(&self, id: &ConnectionId) -> Result<()> {
        let Some(entry) = self.in_time(self.store.load(id)).await? else { return Ok(()) };
        let mut draft = entry.draft;
        if draft.due.is_some_and(|due| due <= self.now()) {
            draft.due = self.now().checked_add(AGAIN).ok();
            self.in_time(self.store.swap(id, entry.version, &draft, None)).await?;
        }
        Ok(())
    }
}
