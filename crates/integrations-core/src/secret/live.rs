//! A secret that may be replaced while it is in use.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::generations::Generations;
use super::{SecretRef, SecretString};
use crate::error::{Error, Result};

/// After a refusal, a source that has nothing new is asked again no sooner than this; twice as long each time, up to the
/// age at which it is asked anyway. A key that stays refused at thousands of calls per second must not become as many
/// questions to a secret store.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest age and the longest answer: `Duration::MAX` from now is no time that a clock can show.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// A value with the number of its generation.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "a pair with names")]
pub struct Versioned<T> {
    /// Counts replacements; says nothing across processes.
    pub version: u64,
    /// The value.
    pub value: T,
}

/// Where secrets are: files, a secret store.
#[async_trait]
pub trait SecretStore: Send + Sync + 'static {
    /// The present value. Errors are logged, so they must not hold values.
    async fn get(&self, reference: &SecretRef) -> Result<SecretString>;
}

/// How a [`LiveSecret`] follows its source.
#[derive(Clone)]
#[must_use]
pub struct Watch {
    max_age: Duration,
    timeout: Duration,
    check: Option<Arc<Check>>,
}

type Check = dyn Fn(&SecretString) -> Result<()> + Send + Sync;

impl Watch {
    /// Sets the age from which on the value is read again, at most a year. Default: 30 s.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age.min(LONGEST);
        self
    }

    /// Sets how long the source may take for one answer; so long a call waits for it at most, twice when its value was
    /// refused while it was being read. At most a year. Default: 2 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(LONGEST);
        self
    }

    /// Sets what a new value must pass. One that does not is logged, counted and not used.
    pub fn check(mut self, check: impl Fn(&SecretString) -> Result<()> + Send + Sync + 'static) -> Self {
        self.check = Some(Arc::new(check));
        self
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(30), timeout: Duration::from_secs(2), check: None }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("max_age", &self.max_age)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What has happened to a [`LiveSecret`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveCounts {
    /// How often its source was asked.
    pub reads: u64,
    /// How often the source failed, was late, or gave nothing.
    pub failures: u64,
    /// How many new values did not pass [`Watch::check`].
    pub rejected: u64,
    /// How many new values came into use.
    pub replaced: u64,
    /// How often a new value was refused, and the previous one came back into use.
    pub fallbacks: u64,
}

/// A secret that may be replaced while it is in use. Cheap to clone; clones are one secret.
///
/// - A fixed one, `LiveSecret::from("key")`, changes by [`set`](LiveSecret::set) alone.
/// - A watched one is read again from its source when it is old, while calls go on with what there is, and at once when
///   it was refused. A source that fails changes nothing.
///
/// The previous value is kept: when the vendor refuses a new one, which it may not know yet, calls go back to the previous
/// one until that is refused too, or for a minute.
///
/// ```
/// # use integrations_core::LiveSecret;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let key = LiveSecret::from("old");
/// let used = key.current();
/// key.set("new")?;
/// assert!(key.renew(used.version).await, "a call that was refused with the old one tries again");
/// assert_eq!(key.current().value.expose(), "new");
/// # Ok::<(), integrations_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LiveSecret(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    source: Option<Source>,
    /// Told whenever a read has ended.
    ended: watch::Sender<()>,
}

struct State {
    generations: Generations,
    reading: Option<Why>,
    /// When the source is asked whether anybody was refused or not.
    due: Instant,
    /// Until when a refusal is no reason to ask it.
    quiet_until: Instant,
    pause: Duration,
    counts: LiveCounts,
}

struct Source {
    reference: SecretRef,
    store: Arc<dyn SecretStore>,
    watch: Watch,
}

/// Why the source is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Age,
    Refusal,
}

impl fmt::Debug for LiveSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LiveSecret(***)")
    }
}

impl LiveSecret {
    /// A secret that follows its source; `initial` is what was read from it just now. Reading needs a tokio runtime, that
    /// of the calls; without one the value stays.
    pub fn watch(
        initial: SecretString,
        reference: SecretRef,
        store: Arc<dyn SecretStore>,
        watch: Watch,
    ) -> Self {
        Self::new(initial, Some(Source { reference, store, watch }))
    }

    fn new(value: SecretString, source: Option<Source>) -> Self {
        let now = Instant::now();
        let age = source.as_ref().map_or(LONGEST, |source| source.watch.max_age);
        let state = State {
            generations: Generations::new(value),
            reading: None,
            due: now + age,
            quiet_until: now,
            pause: FIRST_PAUSE,
            counts: LiveCounts::default(),
        };
        Self(Arc::new(Shared { state: Mutex::new(state), source, ended: watch::Sender::default() }))
    }

    /// The present value. Asked for each attempt; never waits.
    pub fn current(&self) -> Versioned<SecretString> {
        let now = Instant::now();
        let mut state = self.0.lock();
        let present = state.generations.current(now);
        if now >= state.due && state.reading.is_none() {
            self.0.read(state, Why::Age);
        }
        present
    }

    /// After `used` was refused: `true` when there is another value to try. Many who were refused with one version cause
    /// one read. Waits for the source no longer than [`Watch::timeout`] says.
    pub async fn renew(&self, used: u64) -> bool {
        if let Some(source) = &self.0.source {
            // A read that began for age may have seen what was there before the refusal.
            for _ in 0..2 {
                let Some((why, mut ended)) = self.0.reading_after_refusal(used) else { break };
                // The read ends by its own limit; this one is for a runtime that nobody drives any more.
                let _ = timeout(source.watch.timeout.mul_f64(1.1), ended.changed()).await;
                if why == Why::Refusal {
                    break;
                }
            }
        }
        let (another, fell_back) = self.0.lock().refused(used);
        if fell_back {
            let reference = self.0.source.as_ref().map(|source| &source.reference);
            tracing::warn!(?reference, "a new secret was refused; the previous one is in use again");
        }
        another
    }

    /// Puts a new value into use, which somebody pushed.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind) when it is empty, and that of [`Watch::check`]; the present value stays.
    pub fn set(&self, new: impl Into<SecretString>) -> Result<()> {
        let checked = self.0.checked(Ok(new.into()));
        self.0.lock().take(checked, Why::Age)
    }

    /// What has happened to it so far.
    pub fn counts(&self) -> LiveCounts {
        self.0.lock().counts
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn max_age(&self) -> Duration {
        self.source.as_ref().map_or(LONGEST, |source| source.watch.max_age)
    }

    /// The read that is to be waited for: the one that is under way, or a new one. `None` when there is another value
    /// already, or asking again so soon makes no sense.
    fn reading_after_refusal(self: &Arc<Self>, used: u64) -> Option<(Why, watch::Receiver<()>)> {
        let state = self.lock();
        if state.generations.version() != used {
            return None;
        }
        let ended = self.ended.subscribe();
        if let Some(why) = state.reading {
            return Some((why, ended));
        }
        let asks = Instant::now() >= state.quiet_until && self.read(state, Why::Refusal);
        asks.then_some((Why::Refusal, ended))
    }

    /// Begins to read in the background; `false` without a source or a runtime.
    fn read(self: &Arc<Self>, mut state: MutexGuard<'_, State>, why: Why) -> bool {
        let (Some(source), Ok(runtime)) = (&self.source, Handle::try_current()) else { return false };
        let (reference, store, limit) =
            (source.reference.clone(), source.store.clone(), source.watch.timeout);
        state.reading = Some(why);
        state.counts.reads += 1;
        let reading = Reading { shared: self.clone(), why, replaced: state.counts.replaced, answered: false };
        // A runtime that ends drops what it is given at once, and with it `reading`, which locks the state.
        drop(state);
        runtime.spawn(async move {
            let got = timeout(limit, store.get(&reference)).await.unwrap_or_else(|_| Err(late()));
            if let Err(error) = reading.answered(got) {
                tracing::warn!(?reference, %error, "a secret was not renewed; the old value stays");
            }
        });
        true
    }

    /// A value that may come into use. The check is the user's code, so the state is not locked meanwhile.
    fn checked(&self, got: Result<SecretString>) -> Checked {
        let new = got.map_err(Unusable::Failed)?;
        if new.expose().is_empty() {
            return Err(Unusable::Failed(Error::config("a secret is empty")));
        }
        match self.source.as_ref().and_then(|source| source.watch.check.as_ref()) {
            Some(check) => check(&new).map(|()| new).map_err(Unusable::Rejected),
            None => Ok(new),
        }
    }
}

type Checked = Result<SecretString, Unusable>;

enum Unusable {
    /// The source gave nothing.
    Failed(Error),
    /// What it gave did not pass the check.
    Rejected(Error),
}

/// A read under way. It has ended when this is dropped, also by a panic of the store or the end of the runtime.
struct Reading {
    shared: Arc<Shared>,
    why: Why,
    /// How many values had been replaced when it began: one that is pushed meanwhile is newer than what is read.
    replaced: u64,
    answered: bool,
}

impl Reading {
    fn answered(mut self, got: Result<SecretString>) -> Result<()> {
        let checked = self.shared.checked(got);
        self.answered = true;
        let mut state = self.shared.lock();
        if state.counts.replaced > self.replaced {
            return Ok(());
        }
        state.answered(checked, self.why, self.shared.max_age())
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let max_age = self.shared.max_age();
        let mut state = self.shared.lock();
        if !self.answered {
            state.counts.failures += 1;
            state.learnt_nothing(self.why, max_age);
        }
        state.reading = None;
        state.due = Instant::now() + max_age;
        drop(state);
        self.shared.ended.send_replace(());
    }
}

impl State {
    fn answered(&mut self, checked: Checked, why: Why, max_age: Duration) -> Result<()> {
        let before = self.counts.replaced;
        let took = self.take(checked, why);
        if self.counts.replaced > before {
            self.pause = FIRST_PAUSE;
        } else {
            self.learnt_nothing(why, max_age);
        }
        took
    }

    fn learnt_nothing(&mut self, why: Why, max_age: Duration) {
        if why == Why::Refusal {
            self.quiet_until = Instant::now() + self.pause;
            self.pause = (2 * self.pause).min(max_age);
        }
    }

    fn take(&mut self, checked: Checked, why: Why) -> Result<()> {
        let new = checked.map_err(|unusable| match unusable {
            Unusable::Failed(error) => {
                self.counts.failures += 1;
                error
            }
            Unusable::Rejected(error) => {
                self.counts.rejected += 1;
                error
            }
        })?;
        if self.generations.offer(new, why == Why::Refusal) {
            self.counts.replaced += 1;
        }
        Ok(())
    }

    /// Whether there is another value to try, and whether it is the previous one.
    fn refused(&mut self, used: u64) -> (bool, bool) {
        let before = self.generations.is_back();
        let another = self.generations.refused(used, Instant::now());
        let fell_back = self.generations.is_back() && !before;
        self.counts.fallbacks += u64::from(fell_back);
        (another, fell_back)
    }
}

fn late() -> Error {
    Error::config("the source of the secret did not answer in time")
}

impl From<SecretString> for LiveSecret {
    fn from(value: SecretString) -> Self {
        Self::new(value, None)
    }
}

impl From<&str> for LiveSecret {
    fn from(value: &str) -> Self {
        SecretString::from(value).into()
    }
}
