//! What another side publishes: fetched by one for all who need it, and used on while that side does not answer.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use integrations_core::{Effect, Error, ErrorKind, Result};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// A fetch takes at most so long, its repetitions included: somebody waits for it.
const LONGEST_FETCH: Duration = Duration::from_secs(10);

/// What lies at least between a first fetch that failed and the second. Without anything to go on with, everybody waits.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// Where something is published.
#[async_trait]
pub(crate) trait Source: Send + Sync + 'static {
    /// What is published.
    type Value: Send + Sync + 'static;

    /// What is published now, and for how long it is fresh. `present` is what was so far.
    async fn fetch(&self, present: Option<Arc<Self::Value>>) -> Result<(Self::Value, Duration)>;
}

/// What was fetched.
pub(crate) struct Held<V> {
    pub(crate) value: Arc<V>,
    /// Which fetch it came from, counted from 1.
    number: u64,
    fresh_until: Instant,
}

impl<V> Clone for Held<V> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), number: self.number, fresh_until: self.fresh_until }
    }
}

/// Something published, with what was fetched of it last. Clones share it.
pub(crate) struct Kept<S: Source>(Arc<Inner<S>>);

impl<S: Source> Clone for Kept<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Inner<S: Source> {
    source: S,
    cool_down: Duration,
    state: Mutex<State<S::Value>>,
    /// Held by the one fetch that is under way.
    flight: Arc<tokio::sync::Mutex<()>>,
}

struct State<V> {
    held: Option<Held<V>>,
    /// Why the last fetch failed, and until when none follows.
    failed: Option<(Error, Instant)>,
    /// Until when nobody may ask for a fetch before its time.
    demanded_until: Option<Instant>,
    fetches: u64,
    failures: u64,
}

impl<V> State<V> {
    /// What may be used without asking: it is fresh, or the other side has just not answered.
    fn usable(&self, now: Instant) -> Option<Held<V>> {
        let is_held_off = self.failed.as_ref().is_some_and(|(_, until)| now < *until);
        self.held.as_ref().filter(|held| now < held.fresh_until || is_held_off).cloned()
    }

    /// For how long no fetch may be demanded.
    fn wait(&self, now: Instant) -> Option<Duration> {
        let failed = self.failed.as_ref().map(|(_, until)| *until);
        let until = failed.max(self.demanded_until)?;
        Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Holds off the next fetch, because the last one failed: for a cool-down, and with nothing fetched so far for a
    /// shorter time, twice as long after each failure.
    fn hold_off(&mut self, why: Error, now: Instant, cool_down: Duration) {
        // Without anything there, all of them have failed.
        let before = u32::try_from(self.failures).unwrap_or(u32::MAX).saturating_sub(1);
        let first = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(before));
        let wait = if self.held.is_some() { cool_down } else { cool_down.min(first) };
        self.failed = Some((why, now.checked_add(wait).unwrap_or(now)));
    }
}

impl<S: Source> Kept<S> {
    /// Nothing fetched yet. `cool_down` is what lies at least between a failed fetch and the next one, once something is
    /// there, and between two that were demanded before their time.
    pub(crate) fn new(source: S, cool_down: Duration) -> Self {
        let state = State { held: None, failed: None, demanded_until: None, fetches: 0, failures: 0 };
        Self(Arc::new(Inner { source, cool_down, state: Mutex::new(state), flight: Arc::default() }))
    }

    /// How many fetches began, and how many of them failed.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.fetches, state.failures)
    }

    /// What was fetched last, however old.
    pub(crate) fn present(&self) -> Option<Held<S::Value>> {
        self.state().held.clone()
    }

    /// What is fresh. Of all who find it stale, one fetches, and the others go on with what is there; with nothing there,
    /// they wait for the one.
    ///
    /// # Errors
    /// Why the fetch failed, if nothing is there; until the next fetch may begin, without another one and with what is left
    /// as [`Error::retry_after`].
    pub(crate) async fn get(&self) -> Result<Held<S::Value>> {
        if let Some(held) = self.usable() {
            return Ok(held);
        }
        let flight = self.0.flight.clone();
        let turn = match self.present() {
            Some(stale) => match flight.try_lock_owned() {
                Ok(turn) => turn,
                Err(_) => return Ok(stale),
            },
            None => flight.lock_owned().await,
        };
        // Another one may have been faster.
        if let Some(held) = self.usable() {
            return Ok(held);
        }
        self.held_off()?;
        let fetched = self.fetch(turn).await;
        self.present().ok_or(()).or_else(|()| fetched.and_then(|()| Err(gone())))
    }

    /// What is newer than `seen`, for whom `seen` is not enough: what somebody else has fetched meanwhile, or what is
    /// fetched now, although `seen` may be fresh. `before` is how many fetches had begun when the need arose.
    ///
    /// # Errors
    /// When there is nothing newer to be had: `None` if `seen` was asked for after the need arose, and else after which
    /// time a fetch may be demanded again.
    pub(crate) async fn newer(
        &self,
        seen: &Held<S::Value>,
        before: u64,
    ) -> Result<Held<S::Value>, Option<Duration>> {
        let turn = self.0.flight.clone().lock_owned().await;
        let now = Instant::now();
        {
            let mut state = self.state();
            if let Some(held) = state.held.as_ref().filter(|held| held.number > seen.number) {
                return Ok(held.clone());
            }
            if seen.number > before {
                return Err(None);
            }
            if let Some(left) = state.wait(now) {
                return Err(Some(left));
            }
            state.demanded_until = now.checked_add(self.0.cool_down);
        }
        let fetched = self.fetch(turn).await;
        let held = self.present().filter(|_| fetched.is_ok());
        held.ok_or_else(|| self.state().wait(Instant::now()))
    }

    fn usable(&self) -> Option<Held<S::Value>> {
        self.state().usable(Instant::now())
    }

    fn held_off(&self) -> Result<()> {
        let state = self.state();
        let Some((error, until)) = &state.failed else { return Ok(()) };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() { Ok(()) } else { Err(error.clone().with_retry_after(left)) }
    }

    /// Fetches in a task of its own: whoever waits for it may be gone before it is done, and what they have begun is for
    /// all.
    async fn fetch(&self, turn: OwnedMutexGuard<()>) -> Result<()> {
        let kept = self.clone();
        let task = tokio::spawn(async move {
            let outcome = kept.fetch_now().await;
            drop(turn);
            outcome
        });
        task.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn fetch_now(&self) -> Result<()> {
        let (number, present) = self.begin();
        let fetched = in_time(self.0.source.fetch(present)).await;
        let (now, mut state) = (Instant::now(), self.state());
        match fetched {
            Ok((value, fresh)) => {
                let fresh_until = now.checked_add(fresh).unwrap_or(now);
                state.held = Some(Held { value: Arc::new(value), number, fresh_until });
                (state.failed, state.failures) = (None, state.failures - 1);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "what is published could not be fetched");
                state.hold_off(error.clone(), now, self.0.cool_down);
                Err(error)
            }
        }
    }

    /// Counts as failed until it has not: one that ends otherwise than by an outcome holds off the next one, too.
    fn begin(&self) -> (u64, Option<Arc<S::Value>>) {
        let mut state = self.state();
        (state.fetches, state.failures) = (state.fetches + 1, state.failures + 1);
        state.hold_off(gone(), Instant::now(), self.0.cool_down);
        (state.fetches, state.held.as_ref().map(|held| held.value.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State<S::Value>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn in_time<T>(fetch: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || Error::new(ErrorKind::Timeout, Effect::Rejected, "nothing came in 10 s");
    tokio::time::timeout(LONGEST_FETCH, pin!(fetch)).await.unwrap_or_else(|_| Err(late()))
}

fn gone() -> Error {
    Error::new(ErrorKind::Unavailable, Effect::Rejected, "what is published could not be fetched")
}
