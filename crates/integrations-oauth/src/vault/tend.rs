//! What happens to connections without a call: consent, disconnection, upkeep.

use std::time::Duration;

use integrations_core::{ConnectionId, ErrorKind, Result};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{sleep, timeout};

use super::listen::NEW;
use super::slot::{Need, View, extend_at};
use super::state::{Record, Status, context};
use super::{Inner, Vault, late, unknown_connection};
use crate::store::Lease;
use crate::token::TokenSet;

/// A change of state that was not told by then is told by [`Vault::tend`].
const UNTOLD: SignedDuration = SignedDuration::from_secs(60);
/// What could not be tended is tried again after this time.
const AGAIN: SignedDuration = SignedDuration::from_mins(10);
/// Between two looks at what is due.
const ROUND: Duration = Duration::from_secs(30);
const PAGE: u32 = 100;
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
    pub async fn tend(&self) -> Result<Tended> {
        let inner = &self.0;
        let mut tended = Tended::default();
        for _ in 0..PAGES {
            let due = inner.in_time(inner.store.due(inner.now(), PAGE)).await?;
            for id in &due {
                self.tend_one(id, &mut tended).await?;
            }
            if due.len() < PAGE as usize {
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
    pub async fn rewrap(&self) -> Result<u64> {
        let inner = &self.0;
        let mut after: Option<ConnectionId> = None;
        let mut rewrapped = 0;
        loop {
            let page = inner.in_time(inner.store.list(None, after.as_ref(), PAGE)).await?;
            let Some((last, _)) = page.last() else { return Ok(rewrapped) };
            after = Some(last.clone());
            for (id, entry) in page {
                let mut draft = entry.draft;
                if let Some(sealed) = inner.in_time(inner.sealer.rewrap(&draft.sealed, &context(&id))).await?
                {
                    draft.sealed = sealed.into();
                    // Whoever was faster has sealed it anew.
                    inner.in_time(inner.store.swap(&id, entry.version, &draft, None)).await?;
                    rewrapped += 1;
                }
            }
        }
    }

    async fn tend_one(&self, id: &ConnectionId, tended: &mut Tended) -> Result<()> {
        let inner = &self.0;
        let Some((version, record)) = inner.read(id).await? else { return Ok(()) };
        if record.unannounced.is_some() {
            // Put off first, so that other processes do not tell it at the same time.
            let Some(_) = inner.write(id, version, &record, None).await? else { return Ok(()) };
            if inner.announce(id, &record).await {
                tended.announced += 1;
            } else {
                tended.failed += 1;
            }
            return Ok(());
        }
        match inner.obtain(id, Need::After(record.rotation)).await {
            Ok(_) => tended.refreshed += 1,
            Err(error) => {
                tracing::debug!(%error, "a connection could not be tended");
                tended.failed += 1;
                inner.put_off(id, version).await?;
            }
        }
        Ok(())
    }
}

impl Inner {
    pub(super) async fn connect(&self, id: &ConnectionId, tokens: TokenSet) -> Result<()> {
        loop {
            let found = self.read(id).await?;
            let version = found.as_ref().map_or(0, |(version, _)| *version);
            let record = self.consented(found.map(|(_, record)| record), tokens.clone());
            // Tokens that can prove nothing are refused before they replace any.
            View::new(self, id, version, &record)?;
            if let Some(version) = self.write(id, version, &record, None).await? {
                self.announce(id, &record).await;
                self.slot(id).publish(View::new(self, id, version, &record)?);
                return Ok(());
            }
        }
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
    pub(super) async fn disconnect(&self, id: &ConnectionId) -> Result<bool> {
        let lease = self.lease_in_time(id).await?;
        let revoked = self.revoke(id, lease).await;
        if revoked.is_err() {
            self.in_time(self.store.release(id, lease)).await?;
        }
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

    async fn revoke(&self, id: &ConnectionId, lease: Lease) -> Result<bool> {
        let (_, record) = self.read(id).await?.ok_or_else(|| unknown_connection(id))?;
        let Status::Ready(tokens) = &record.status else {
            self.set_revoked(id, Some(lease)).await?;
            return Ok(true);
        };
        let source = self.sources.of(id)?;
        let revoked = match timeout(self.limits.exchange, source.revoke(tokens)).await {
            Ok(Ok(())) => true,
            Ok(Err(e)) if e.kind() == ErrorKind::Unsupported => false,
            Ok(Err(e)) => return Err(e),
            Err(_) => return Err(late("the issuer did not answer in time")),
        };
        self.set_revoked(id, Some(lease)).await?;
        Ok(revoked)
    }

    pub(super) async fn mark_revoked(&self, id: &ConnectionId) -> Result<()> {
        self.set_revoked(id, None).await
    }

    async fn set_revoked(&self, id: &ConnectionId, lease: Option<Lease>) -> Result<()> {
        loop {
            let (version, before) = self.read(id).await?.ok_or_else(|| unknown_connection(id))?;
            // One more, so that the result of an exchange under way does not bring it back to life.
            let record = Record { rotation: before.rotation + 1, ..self.changed(&before, Status::Revoked) };
            if let Some(version) = self.write(id, version, &record, lease.map(|lease| lease.fence)).await? {
                self.announce(id, &record).await;
                self.slot(id).publish(View::new(self, id, version, &record)?);
                return Ok(());
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
    pub(super) fn due_of(&self, record: &Record) -> Option<Timestamp> {
        if record.unannounced.is_some() {
            return self.now().checked_add(UNTOLD).ok();
        }
        let Status::Ready(tokens) = &record.status else { return None };
        let keep_alive = self.limits.keep_alive.filter(|_| tokens.refresh.is_some());
        let idle = keep_alive.and_then(|idle| tokens.obtained_at.checked_add(idle).ok());
        let ending = extend_at(tokens);
        idle.into_iter().chain(ending).min()
    }

    async fn put_off(&self, id: &ConnectionId, seen: u64) -> Result<()> {
        let Some(entry) = self.in_time(self.store.load(id)).await? else { return Ok(()) };
        if entry.version == seen {
            let mut draft = entry.draft;
            draft.due = self.now().checked_add(AGAIN).ok();
            self.in_time(self.store.swap(id, seen, &draft, None)).await?;
        }
        Ok(())
    }
}
