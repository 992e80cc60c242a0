//! The state that calls share, by key: gates by (instance, credential, bucket), what a tenant has by (tenant,
//! instance), budgets by vendor. A key is looked up once, when a handle first uses it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::time::Instant;

use super::breaker::{Breaker, State};
use super::budget::{BudgetPolicy, RetryBudget};
use super::concurrency::Concurrency;
use super::control::Control;
use super::hedge::HedgeDelay;
use super::limiter::{LimitPolicy, Limiter};
use super::policy::{ConcurrencyPolicy, Policy};
use super::pulse::Recorder;
use super::telemetry::{Metrics, OpMetrics};
use super::{Owner, Pipeline, Scope};
use crate::error::Result;
use crate::op::Op;

/// The shared state of all pipelines of a process (or of one test).
pub struct Stages {
    epoch: Instant,
    max_keys: usize,
    pub(super) gates: Keyed<GateKey, Gate>,
    pub(super) tenancies: Keyed<TenancyKey, Tenancy>,
    vendor_budgets: Keyed<&'static str, RetryBudget>,
    /// By instance and operation: the tenants of one instance learn from each other.
    latencies: Keyed<(Arc<str>, &'static str, &'static str), HedgeDelay>,
    metrics: Metrics,
    stopped: AtomicBool,
    pub(super) control: Control,
}

impl std::fmt::Debug for Stages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stages").field("stopped", &self.is_stopped()).finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct GateKey {
    pub(super) instance: Arc<str>,
    pub(super) credential: Arc<str>,
    pub(super) provider: &'static str,
    pub(super) bucket: &'static str,
}

impl GateKey {
    pub(super) fn new(scope: &Scope, op: &Op) -> Self {
        Self {
            instance: scope.instance.clone(),
            credential: scope.credential.clone(),
            provider: op.provider,
            bucket: op.bucket,
        }
    }
}

/// Tenant and instance.
pub(super) type TenancyKey = (Arc<str>, Arc<str>);

/// Switched off by [`Stages::switch`].
pub(super) const SWITCHED: u8 = 1;
/// Not admitted by the [`Admission`] of the handles.
pub(super) const NOT_ADMITTED: u8 = 2;

/// Who may call what, as whoever makes handles knows it: asked when a tenant first calls an instance.
pub(crate) trait Admission: Send + Sync {
    fn admits(&self, tenant: &str, instance: &str) -> bool;
}

/// What all callers of one quota share, in one allocation. Permits and the window's state, which every call writes,
/// share a cache line; the breaker, which a call that succeeds only reads, has its own.
#[repr(C, align(64))]
pub(crate) struct Gate {
    pub(crate) concurrency: Option<Concurrency>,
    pub(crate) limiter: Option<Limiter>,
    pub(crate) breaker: Option<Breaker>,
    /// Whose turn it is to take a place at the limiter that lies ahead: one at a time, tenants taking turns.
    pub(crate) line: Concurrency,
}

/// What one tenant has at one instance, whatever the bucket; what every call reads and writes of it on one cache line.
#[repr(C, align(64))]
pub(crate) struct Tenancy {
    pub(crate) budget: RetryBudget,
    /// Why the tenant's calls of this instance are refused: [`SWITCHED`], [`NOT_ADMITTED`]; 0 when they are not.
    pub(crate) off: AtomicU8,
    pub(crate) pulse: Recorder,
    /// The tenant's part of the vendor's limit.
    pub(crate) share: Option<Limiter>,
}

/// What one handle needs for one operation, found at its first call.
#[repr(C)]
pub(crate) struct Slot {
    pub(crate) op: &'static Op,
    pub(crate) gate: Arc<Gate>,
    pub(crate) tenancy: Arc<Tenancy>,
    pub(crate) vendor_budget: Arc<RetryBudget>,
    pub(crate) metrics: Arc<OpMetrics>,
    pub(crate) latency: Option<Arc<HedgeDelay>>,
}

impl Stages {
    /// How many idle keys of each kind are kept: about 50 MB at worst.
    pub const DEFAULT_MAX_KEYS: usize = 100_000;

    /// State for one process. Needs a tokio runtime only when calls wait.
    pub fn new() -> Arc<Self> {
        Self::with_max_keys(Self::DEFAULT_MAX_KEYS)
    }

    /// State that forgets idle keys beyond `max_keys` of each kind. A key in use by a handle is never forgotten.
    pub fn with_max_keys(max_keys: usize) -> Arc<Self> {
        Arc::new(Self {
            epoch: Instant::now(),
            max_keys,
            gates: Keyed::default(),
            tenancies: Keyed::default(),
            vendor_budgets: Keyed::default(),
            latencies: Keyed::default(),
            metrics: Metrics::default(),
            stopped: AtomicBool::new(false),
            control: Control::default(),
        })
    }

    /// A handle for the calls of `scope`. Keep it: it resolves its keys once. Where several handles share a gate,
    /// the policy of the first one that calls shapes it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind) when the policy contradicts itself.
    pub fn pipeline(self: &Arc<Self>, scope: Scope, policy: impl Into<Arc<Policy>>) -> Result<Pipeline> {
        let policy = policy.into();
        policy.validate()?;
        Ok(Pipeline::new(self.clone(), scope, policy, None))
    }

    /// The counters of all calls.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The kill switch for everything: calls end at once, `NotSent`, until [`Stages::resume`].
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Undoes [`Stages::stop`].
    pub fn resume(&self) {
        self.stopped.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Monotonic time in nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        Instant::now().saturating_duration_since(self.epoch).as_nanos() as u64
    }

    pub(crate) fn instant(&self, at: u64) -> Instant {
        self.epoch + std::time::Duration::from_nanos(at)
    }

    /// Pauses every bucket of one credential: the service said that its delay concerns them all. Rare, hence a walk
    /// over the gates there are rather than one more thing for each call to read.
    pub(crate) fn pause_credential(&self, scope: &Scope, provider: &'static str, until: u64) {
        let now = self.now();
        self.each_gate(|key, gate| {
            let same = key.provider == provider
                && key.instance == scope.instance
                && key.credential == scope.credential;
            if let (true, Some(limiter)) = (same, &gate.limiter) {
                limiter.pause_until(now, until);
            }
        });
    }

    /// A handle whose calls are refused as soon as `admission` does not admit them; see [`Stages::readmit`].
    #[cfg(feature = "hub")]
    pub(crate) fn pipeline_under(
        self: &Arc<Self>,
        scope: Scope,
        policy: Arc<Policy>,
        admission: Weak<dyn Admission>,
    ) -> Result<Pipeline> {
        policy.validate()?;
        Ok(Pipeline::new(self.clone(), scope, policy, Some(admission)))
    }

    pub(super) fn slot(&self, op: &'static Op, owner: &Owner, policy: &Policy) -> Slot {
        let scope = &owner.scope;
        let gate_key = GateKey::new(scope, op);
        let now = self.now();
        Slot {
            op,
            gate: self.gates.get(
                gate_key,
                self.max_keys,
                || Gate::new(policy, op.bucket),
                |gate| gate.is_idle(now),
            ),
            tenancy: self.tenancies.get(
                (scope.tenant.clone(), scope.instance.clone()),
                self.max_keys,
                || Tenancy::new(policy, self.off(owner)),
                |tenancy| tenancy.is_idle(now),
            ),
            vendor_budget: self.vendor_budgets.get(
                op.provider,
                self.max_keys,
                || RetryBudget::new(BudgetPolicy::default()),
                RetryBudget::is_full,
            ),
            metrics: self.metrics.of(op),
            latency: policy.hedge.map(|hedge| {
                let key = (scope.instance.clone(), op.provider, op.name);
                self.latencies.get(key, self.max_keys, || HedgeDelay::new(hedge), |_| true)
            }),
        }
    }

    /// Under the lock of the tenancies, so that a change of mind finds what this made.
    fn off(&self, owner: &Owner) -> u8 {
        let Scope { tenant, instance, .. } = &owner.scope;
        let admission = owner.admission.as_ref().and_then(Weak::upgrade);
        let admitted = admission.is_none_or(|admission| admission.admits(tenant, instance));
        let switched = if self.control.is_off(tenant, instance) { SWITCHED } else { 0 };
        if admitted { switched } else { switched | NOT_ADMITTED }
    }
}

impl Tenancy {
    pub(super) fn new(policy: &Policy, off: u8) -> Self {
        Self {
            budget: RetryBudget::new(policy.budget),
            off: AtomicU8::new(off),
            pulse: Recorder::default(),
            share: policy.tenant_limit.as_ref().map(new_limiter),
        }
    }

    /// Whether forgetting this loses nothing but how calls fared.
    fn is_idle(&self, now: u64) -> bool {
        self.budget.is_full() && self.share.as_ref().is_none_or(|share| share.is_idle(now))
    }
}

pub(super) fn new_limiter(policy: &LimitPolicy) -> Limiter {
    Limiter::new(policy).expect("`Stages::pipeline` has validated the policy")
}

/// A limiter under another policy, with what the old one knows.
pub(super) fn successor_of(old: Option<&Limiter>, policy: &LimitPolicy, now: u64) -> Limiter {
    old.and_then(|old| old.successor(now, policy).ok()).unwrap_or_else(|| new_limiter(policy))
}

fn new_concurrency(policy: ConcurrencyPolicy) -> Concurrency {
    Concurrency::new(policy.max_in_flight, policy.max_queue)
}

fn new_line(policy: &Policy) -> Concurrency {
    Concurrency::new(1, policy.concurrency.unwrap_or_default().max_queue)
}

impl Slot {
    /// Reads one word of everything a call is about to change. Each of the stages' read-modify-writes would wait for
    /// its own line of memory; these plain loads wait for all lines at once. With 10^6 keys that halves a call's time.
    #[inline]
    pub(crate) fn touch(&self) {
        let gate = &*self.gate;
        std::hint::black_box((
            gate.breaker.as_ref().map(Breaker::touch),
            gate.limiter.as_ref().map(Limiter::touch),
            gate.concurrency.as_ref().map(Concurrency::in_flight),
            self.tenancy.share.as_ref().map(Limiter::touch),
            self.tenancy.budget.tokens(),
        ));
    }
}

impl Gate {
    fn new(policy: &Policy, bucket: &str) -> Self {
        Self {
            breaker: policy.breaker.clone().map(Breaker::new),
            limiter: policy.limit_of(bucket).map(new_limiter),
            concurrency: policy.concurrency.map(new_concurrency),
            line: new_line(policy),
        }
    }

    /// This gate under another policy, with what is a fact about the service carried over; `None` when nothing changes.
    pub(super) fn successor(&self, policy: &Policy, bucket: &str, now: u64) -> Option<Self> {
        let same = self.breaker.as_ref().map(Breaker::policy) == policy.breaker.as_deref()
            && match (&self.limiter, policy.limit_of(bucket)) {
                (Some(limiter), Some(limit)) => limiter.is_of(limit),
                (limiter, limit) => limiter.is_none() && limit.is_none(),
            }
            && self.concurrency.as_ref().map(|c| (c.limit(), c.max_queue()))
                == policy.concurrency.map(|c| (c.max_in_flight.max(1), c.max_queue));
        if same {
            return None;
        }
        let breaker = policy.breaker.clone().map(|new| match &self.breaker {
            Some(old) => old.successor(new),
            None => Breaker::new(new),
        });
        let limiter = policy.limit_of(bucket).map(|new| successor_of(self.limiter.as_ref(), new, now));
        let concurrency = policy.concurrency.map(new_concurrency);
        Some(Self { concurrency, limiter, breaker, line: new_line(policy) })
    }

    /// Whether forgetting this gate loses nothing: no pause, no learnt limit, no open breaker.
    fn is_idle(&self, now: u64) -> bool {
        self.breaker.as_ref().is_none_or(|b| b.state(now) == State::Closed)
            && self.limiter.as_ref().is_none_or(|l| l.is_idle(now))
    }
}

/// A map of shared values that forgets those nobody holds.
pub(super) struct Keyed<K, V>(Mutex<Entries<K, V>>);

struct Entries<K, V> {
    map: HashMap<K, Arc<V>>,
    sweep_at: usize,
}

impl<K, V> Default for Keyed<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Entries { map: HashMap::new(), sweep_at: 0 }))
    }
}

impl<K: Eq + Hash, V> Keyed<K, V> {
    /// The value of `key`, made when new. Once more than `max` keys are there, those that no handle holds and
    /// that are `idle` are forgotten, and beyond twice that the others that no handle holds. If that frees
    /// little, the next sweep waits until the map has doubled, so that an insertion costs O(1) on average.
    fn get(&self, key: K, max: usize, make: impl FnOnce() -> V, idle: impl Fn(&V) -> bool) -> Arc<V> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = entries.map.get(&key) {
            return found.clone();
        }
        if entries.map.len() >= max.max(entries.sweep_at) {
            entries.map.retain(|_, value| Arc::strong_count(value) > 1 || !idle(value));
            if entries.map.len() >= max.saturating_mul(2) {
                entries.map.retain(|_, value| Arc::strong_count(value) > 1);
            }
            entries.sweep_at = entries.map.len() * 2;
        }
        let new = Arc::new(make());
        entries.map.insert(key, new.clone());
        new
    }

    pub(super) fn for_each(&self, mut visit: impl FnMut(&K, &V)) {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.map.iter().for_each(|(key, value)| visit(key, value));
    }

    /// The value of `key`, if there is one.
    pub(super) fn find(&self, key: &K) -> Option<Arc<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map.get(key).cloned()
    }

    #[cfg(feature = "hub")]
    pub(super) fn keys(&self) -> Vec<K>
    where
        K: Clone,
    {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map.keys().cloned().collect()
    }

    /// Puts another value in the place of each that `make` gives one for. Returns what was replaced.
    pub(super) fn replace(&self, make: impl Fn(&K, &V) -> Option<V>) -> Vec<(K, Arc<V>)>
    where
        K: Clone,
    {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut replaced = Vec::new();
        for (key, value) in &mut entries.map {
            if let Some(new) = make(key, value) {
                replaced.push((key.clone(), std::mem::replace(value, Arc::new(new))));
            }
        }
        replaced
    }

    /// Puts another value in the place of one, if `make` gives one. Returns what was replaced.
    pub(super) fn replace_one(&self, key: &K, make: impl FnOnce(&V) -> Option<V>) -> Option<Arc<V>> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = entries.map.get_mut(key)?;
        let new = make(value)?;
        Some(std::mem::replace(value, Arc::new(new)))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().unwrap().map.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_call_writes_lies_on_one_cache_line() {
        assert_eq!(std::mem::offset_of!(Gate, concurrency), 0);
        assert_eq!(std::mem::offset_of!(Gate, limiter), 32, "its first 32 bytes are what one window needs");
        assert_eq!((std::mem::offset_of!(Gate, breaker), std::mem::offset_of!(Gate, line)), (128, 192));
        assert_eq!(size_of::<Gate>(), 256);
        assert!(std::mem::offset_of!(Tenancy, share) <= 64, "what every call writes of a tenancy");
    }

    #[test]
    fn idle_keys_are_forgotten_and_held_ones_are_not() {
        let map: Keyed<u32, u32> = Keyed::default();
        let held: Vec<_> = (0..10).map(|k| map.get(k, 20, || k, |_| true)).collect();
        for k in 10..10_000 {
            map.get(k, 20, || k, |_| true);
            assert!(map.len() <= 20);
        }
        for (k, value) in held.iter().enumerate() {
            assert!(Arc::ptr_eq(value, &map.get(k as u32, 20, || 0, |_| true)));
        }
    }

    #[test]
    fn keys_with_something_to_remember_stay() {
        let map: Keyed<u32, u32> = Keyed::default();
        for k in 0..1000 {
            map.get(k, 10, || k, |v| v % 100 != 0);
        }
        let remembered = (0..1000).step_by(100).filter(|k| *map.get(*k, 10, || 1, |_| true) == *k).count();
        assert_eq!(remembered, 10);
    }
}
