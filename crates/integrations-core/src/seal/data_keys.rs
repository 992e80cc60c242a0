//! The data keys of one purpose: the one that seals, and those that were unwrapped lately.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};

use super::aead::{self, KEY};
use super::service::{KeyService, Wrapped};
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::secret::Secret;

/// How long a request to the key service may take, and how long anybody waits for one.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// How long an unwrapped key is kept: the time after which a key that was withdrawn in the key service opens nothing.
pub(super) const KEEP: Duration = Duration::from_secs(5 * 60);

/// How many unwrapped keys are kept: the data keys of one process in a year, and few enough to look through.
pub(super) const MOST: usize = 400;

/// What one data key may seal before there is another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Epoch {
    pub(super) messages: u32,
    pub(super) age: Duration,
}

impl Epoch {
    /// With random nonces of 96 bits, 2^20 messages meet with a probability of 2^-57; the limit of SP 800-38D is 2^32.
    pub(super) const DEFAULT: Self = Self { messages: 1 << 20, age: Duration::from_secs(24 * 3600) };
}

/// A data key, and how it is stored.
pub(super) struct DataKey {
    pub(super) key: Secret<Vec<u8>>,
    pub(super) wrapped: Wrapped,
}

pub(super) struct DataKeys {
    service: Arc<dyn KeyService>,
    context: String,
    pub(super) epoch: Epoch,
    sealing: Mutex<Option<Sealing>>,
    /// The oldest is first.
    kept: Mutex<VecDeque<Kept>>,
}

/// One request that all who want its answer wait for together. If the one that runs it is dropped, the next one does.
type Flight = OnceCell<Result<Arc<DataKey>>>;

struct Sealing {
    flight: Arc<Flight>,
    since: Instant,
    left: u32,
}

struct Kept {
    wanted: Wanted,
    flight: Arc<Flight>,
    since: Instant,
}

#[derive(PartialEq)]
enum Wanted {
    Unwrapped(Wrapped),
    /// The key of the first, wrapped under the key with this id.
    Rewrapped(Wrapped, String),
}

impl DataKeys {
    pub(super) fn new(service: Arc<dyn KeyService>, context: String) -> Self {
        let (sealing, kept) = (Mutex::default(), Mutex::default());
        Self { service, context, epoch: Epoch::DEFAULT, sealing, kept }
    }

    pub(super) fn current_key_id(&self) -> String {
        self.service.current_key_id()
    }

    /// The key for one message.
    pub(super) async fn for_sealing(&self) -> Result<Arc<DataKey>> {
        let flight = self.sealing_flight();
        land(&flight, async { self.wrap(&aead::random_key()?).await }).await
    }

    pub(super) async fn unwrapped(&self, wrapped: &Wrapped) -> Result<Arc<DataKey>> {
        let flight = self.kept_flight(Wanted::Unwrapped(wrapped.clone()));
        land(&flight, self.unwrap(wrapped)).await
    }

    /// The same key under the current key. Entries that shared a wrapped key share one again.
    pub(super) async fn rewrapped(&self, key: &DataKey) -> Result<Arc<DataKey>> {
        let flight = self.kept_flight(Wanted::Rewrapped(key.wrapped.clone(), self.current_key_id()));
        land(&flight, self.wrap(&key.key)).await
    }

    fn sealing_flight(&self) -> Arc<Flight> {
        let (current, now) = (self.current_key_id(), Instant::now());
        let mut sealing = lock(&self.sealing);
        match sealing.as_mut().filter(|sealing| sealing.serves(&current, now, self.epoch)) {
            Some(sealing) => {
                sealing.left -= 1;
                sealing.flight.clone()
            }
            None => {
                let flight = Arc::<Flight>::default();
                let left = self.epoch.messages - 1;
                *sealing = Some(Sealing { flight: flight.clone(), since: now, left });
                flight
            }
        }
    }

    fn kept_flight(&self, wanted: Wanted) -> Arc<Flight> {
        let now = Instant::now();
        let mut kept = lock(&self.kept);
        kept.retain(|kept| now.duration_since(kept.since) < KEEP && !failed(&kept.flight));
        if let Some(found) = kept.iter().find(|kept| kept.wanted == wanted) {
            return found.flight.clone();
        }
        if kept.len() == MOST {
            kept.pop_front();
        }
        let flight = Arc::<Flight>::default();
        kept.push_back(Kept { wanted, flight: flight.clone(), since: now });
        flight
    }

    /// A key is used only after the service has given it back: permission to encrypt and none to decrypt, or a key that
    /// is rewrapped wrongly, would else be noticed when there is no other copy.
    async fn wrap(&self, key: &Secret<Vec<u8>>) -> Result<Arc<DataKey>> {
        let before = self.current_key_id();
        let wrapped = self.service.wrap(key, &self.context).await?;
        if ![before, self.current_key_id()].contains(&wrapped.key_id) {
            return Err(under_another_name(&self.current_key_id()));
        }
        let given_back = self.unwrapped(&wrapped).await?;
        if given_back.key.ct_eq(key.expose()) { Ok(given_back) } else { Err(another_key()) }
    }

    async fn unwrap(&self, wrapped: &Wrapped) -> Result<Arc<DataKey>> {
        let key = self.service.unwrap(wrapped, &self.context).await?;
        match key.expose().len() {
            KEY => Ok(Arc::new(DataKey { key, wrapped: wrapped.clone() })),
            _ => Err(another_key()),
        }
    }
}

impl Sealing {
    fn serves(&self, current: &str, now: Instant, epoch: Epoch) -> bool {
        let is_current = match self.flight.get() {
            None => true,
            Some(Ok(key)) => key.wrapped.key_id == current,
            Some(Err(_)) => false,
        };
        is_current && self.left > 0 && now.duration_since(self.since) < epoch.age
    }
}

/// Waits for the flight, or runs it. Those who wait together fail together: one after the other, each would wait the
/// whole deadline again.
async fn land(flight: &Flight, request: impl Future<Output = Result<Arc<DataKey>>>) -> Result<Arc<DataKey>> {
    in_time(async { flight.get_or_init(|| in_time(request)).await.clone() }).await
}

async fn in_time<T>(wait: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(DEADLINE, wait).await.unwrap_or_else(|_| {
        let message = format!("the key service did not answer within {} s", DEADLINE.as_secs());
        Err(Error::new(ErrorKind::Timeout, Effect::NotSent, message))
    })
}

/// Kept for those who wait for it, and for nobody who comes later.
fn failed(flight: &Flight) -> bool {
    matches!(flight.get(), Some(Err(_)))
}

/// Each message would else get a data key of its own, and each entry look as if it had to be rewrapped.
fn under_another_name(current: &str) -> Error {
    Error::config(format!("the key service says that `{current}` is current, and wraps under another id"))
        .with_hint("let `current_key_id` and `Wrapped::key_id` write a key in the same way")
}

fn another_key() -> Error {
    let message = "the key service gave back another data key than the one it had wrapped";
    Error::new(ErrorKind::Unexpected, Effect::NotSent, message)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
impl DataKeys {
    pub(super) fn count(&self) -> usize {
        lock(&self.kept).len()
    }

    pub(super) fn watch(&self) -> Vec<std::sync::Weak<Flight>> {
        let sealing = lock(&self.sealing).iter().map(|s| Arc::downgrade(&s.flight)).collect::<Vec<_>>();
        lock(&self.kept).iter().map(|kept| Arc::downgrade(&kept.flight)).chain(sealing).collect()
    }
}
