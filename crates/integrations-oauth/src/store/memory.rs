//! The store in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use integrations_core::{ConnectionId, Result};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Draft, Entry, Lease, TokenStore, lease_millis, whole_millis};

/// Connections in memory, shared by all clones: for tests, and for sessions that may end with the process.
///
/// Leases end by tokio's clock; a paused runtime gives them virtual time.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> integrations_core::Result<()> {
/// use std::time::Duration;
///
/// use integrations_core::ConnectionId;
/// use integrations_oauth::store::{Draft, MemoryTokens, TokenStore};
/// use jiff::Timestamp;
///
/// let store = MemoryTokens::new();
/// let id = ConnectionId::new("acme", "mail", "user-1")?;
/// let draft = Draft { state: "ready".into(), since: Timestamp::now(), sealed: "…".into(), due: None };
///
/// let lease = store.lease(&id, Duration::from_secs(30)).await?.expect("nobody else has it");
/// assert!(store.lease(&id, Duration::from_secs(30)).await?.is_none());
///
/// // Nothing is kept yet, so that the version seen is 0. The lease ends with the write.
/// assert_eq!(store.swap(&id, 0, &draft, Some(lease.fence)).await?, Some(1));
/// assert_eq!(store.swap(&id, 0, &draft, None).await?, None);
/// assert!(store.lease(&id, Duration::from_secs(30)).await?.is_some_and(|next| next.fence > lease.fence));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryTokens(Arc<Mutex<BTreeMap<ConnectionId, Place>>>);

/// A name and what is known of it. Stays when the connection is removed.
#[derive(Debug, Default)]
struct Place {
    version: u64,
    draft: Option<Draft>,
    fence: u64,
    /// The end of the lease; `None` when it was released.
    until: Option<Instant>,
}

impl MemoryTokens {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// 0 when nothing is kept.
    fn seen(&self) -> u64 {
        if self.draft.is_some() { self.version } else { 0 }
    }

    fn entry(&self) -> Option<Entry> {
        let draft = self.draft.clone()?;
        Some(Entry { version: self.version, draft })
    }
}

#[async_trait]
impl TokenStore for MemoryTokens {
    async fn load(&self, id: &ConnectionId) -> Result<Option<Entry>> {
        Ok(self.lock().get(id).and_then(Place::entry))
    }

    async fn swap(
        &self,
        id: &ConnectionId,
        seen: u64,
        next: &Draft,
        fence: Option<u64>,
    ) -> Result<Option<u64>> {
        let mut places = self.lock();
        let place = places.entry(id.clone()).or_default();
        if place.seen() != seen {
            return Ok(None);
        }
        place.version += 1;
        place.draft =
            Some(Draft { since: whole_millis(next.since), due: next.due.map(whole_millis), ..next.clone() });
        if fence == Some(place.fence) {
            place.until = None;
        }
        Ok(Some(place.version))
    }

    async fn remove(&self, id: &ConnectionId, seen: u64) -> Result<bool> {
        let mut places = self.lock();
        let found = places.get_mut(id).filter(|place| place.draft.is_some() && place.version == seen);
        Ok(found.and_then(|place| place.draft.take()).is_some())
    }

    async fn lease(&self, id: &ConnectionId, ttl: Duration) -> Result<Option<Lease>> {
        let now = Instant::now();
        let mut places = self.lock();
        let place = places.entry(id.clone()).or_default();
        if place.until.is_some_and(|until| until > now) {
            return Ok(None);
        }
        let taken_over = place.until.replace(now + Duration::from_millis(lease_millis(ttl))).is_some();
        place.fence += 1;
        Ok(Some(Lease { fence: place.fence, taken_over }))
    }

    async fn release(&self, id: &ConnectionId, lease: Lease) -> Result<()> {
        let now = Instant::now();
        if let Some(place) = self.lock().get_mut(id)
            && place.fence == lease.fence
        {
            place.until = place.until.filter(|until| *until <= now);
        }
        Ok(())
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<ConnectionId>> {
        let places = self.lock();
        let due = |(id, place): (_, &Place)| Some((place.draft.as_ref()?.due?, id));
        let mut found: Vec<_> = places.iter().filter_map(due).filter(|(due, _)| *due <= now).collect();
        found.sort_unstable();
        Ok(found.into_iter().take(limit as usize).map(|(_, id): (_, &ConnectionId)| id.clone()).collect())
    }

    async fn list(
        &self,
        tenant: Option<&str>,
        after: Option<&ConnectionId>,
        limit: u32,
    ) -> Result<Vec<(ConnectionId, Entry)>> {
        let places = self.lock();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(places
            .range::<ConnectionId, _>((start, Bound::Unbounded))
            .filter(|(id, _)| tenant.is_none_or(|tenant| *id.tenant == *tenant))
            .filter_map(|(id, place)| Some((id.clone(), place.entry()?)))
            .take(limit as usize)
            .collect())
    }
}
