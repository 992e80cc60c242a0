//! Looking at the shared state and changing it at run time: switches, other policies, operators' hands on breakers.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use super::Stages;
use super::breaker::{Breaker, State};
use super::budget::RetryBudget;
use super::concurrency::Concurrency;
use super::limiter::Limiter;
use super::policy::Policy;
use super::pulse::Pulse;
use super::stages::{Gate, GateKey, SWITCHED, Tenancy, TenancyKey, successor_of};

/// What is off, and what was replaced while handles still hold it.
#[derive(Default)]
pub(super) struct Control {
    off: RwLock<HashSet<Switch>>,
    retired: Mutex<Retired<TenancyKey, Tenancy>>,
    retired_gates: Mutex<Retired<GateKey, Gate>>,
    /// Whether a gate was ever replaced.
    reshaped: AtomicBool,
}

/// What was replaced, as long as a handle holds it.
type Retired<K, V> = Vec<(K, Weak<V>)>;

/// A tenant, an instance, or the one at the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Switch {
    tenant: Option<Arc<str>>,
    instance: Option<Arc<str>>,
}

/// What all callers of one quota share: one credential at one bucket of one instance.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GateReport {
    /// The instance.
    pub instance: Arc<str>,
    /// Whose credential it is, by name: `""` for the application's own.
    pub credential: Arc<str>,
    /// The provider.
    pub provider: &'static str,
    /// The bucket.
    pub bucket: &'static str,
    /// What the breaker does; `None` without one.
    pub breaker: Option<State>,
    /// When an open breaker lets probes pass.
    pub reopens_in: Option<Duration>,
    /// How long the pause that the service asked for still lasts.
    pub paused: Option<Duration>,
    /// Units of quota that the service says are left.
    pub left: Option<u64>,
    /// Units per second at which a limit that nobody told is approached.
    pub rate: Option<f64>,
    /// Calls under way.
    pub in_flight: u32,
    /// Calls that wait, for quota or for a permit.
    pub waiting: u32,
}

impl Control {
    pub(super) fn is_off(&self, tenant: &Arc<str>, instance: &Arc<str>) -> bool {
        let off = self.off.read().unwrap_or_else(PoisonError::into_inner);
        let has = |tenant: Option<&Arc<str>>, instance: Option<&Arc<str>>| {
            off.contains(&Switch { tenant: tenant.cloned(), instance: instance.cloned() })
        };
        !off.is_empty()
            && (has(Some(tenant), None) || has(None, Some(instance)) || has(Some(tenant), Some(instance)))
    }

    /// Returns whether that changes anything.
    fn set(&self, switch: Switch, on: bool) -> bool {
        let mut off = self.off.write().unwrap_or_else(PoisonError::into_inner);
        if on { off.remove(&switch) } else { off.insert(switch) }
    }

    fn retired(&self) -> MutexGuard<'_, Retired<TenancyKey, Tenancy>> {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn retired_gates(&self) -> MutexGuard<'_, Retired<GateKey, Gate>> {
        self.retired_gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Switch {
    fn concerns(&self, (tenant, instance): &TenancyKey) -> bool {
        self.tenant.as_ref().is_none_or(|t| t == tenant)
            && self.instance.as_ref().is_none_or(|i| i == instance)
    }
}

impl Stages {
    /// Switches off, or on again, a tenant, an instance, or one tenant at one instance; all of it at once with neither.
    /// It holds for handles that are there and for those to come. Calls that are off end `NotSent`; those that wait in a
    /// queue end when their turn comes; those under way go on.
    pub fn switch(&self, tenant: Option<&str>, instance: Option<&str>, on: bool) {
        if tenant.is_none() && instance.is_none() {
            return if on { self.resume() } else { self.stop() };
        }
        let switch = Switch { tenant: tenant.map(Arc::from), instance: instance.map(Arc::from) };
        if !self.control.set(switch.clone(), on) {
            return;
        }
        let apply = |key: &TenancyKey, tenancy: &Tenancy| {
            if switch.concerns(key) {
                tenancy.set(SWITCHED, self.control.is_off(&key.0, &key.1));
            }
        };
        self.each_tenancy(apply);
    }

    /// Asks anew who is admitted, for all who have called; `None` leaves it as it is.
    #[cfg(feature = "hub")]
    pub(crate) fn readmit(&self, admits: impl Fn(&str, &str) -> Option<bool>) {
        self.each_tenancy(|(tenant, instance), tenancy| {
            if let Some(admitted) = admits(tenant, instance) {
                tenancy.set(super::stages::NOT_ADMITTED, !admitted);
            }
        });
    }

    /// Those there are and those that were replaced and are still held. Nothing is replaced meanwhile, so that none is
    /// missed.
    fn each_tenancy(&self, mut visit: impl FnMut(&TenancyKey, &Tenancy)) {
        let retired = self.control.retired();
        self.tenancies.for_each(&mut visit);
        for (key, tenancy) in retired.iter() {
            tenancy.upgrade().inspect(|tenancy| visit(key, tenancy));
        }
    }

    /// Gives an instance another policy. Where limits, breaker or permits differ, handles made from now on meet new ones,
    /// which know what the old ones knew of the service: an open breaker, a pause, quota that is spent, a limit that was
    /// told or found. Handles made before keep theirs, and calls under way end under what they began with.
    pub fn reshape(&self, instance: &str, policy: &Policy) {
        self.reshape_gates(|of, _| (*of == *instance).then_some(policy));
    }

    /// The same with a policy for each instance and credential; `None` leaves the gate as it is.
    pub(crate) fn reshape_gates<'p>(&self, policy_of: impl Fn(&str, &str) -> Option<&'p Policy>) {
        let now = self.now();
        // Before the state is read: whoever is told a pause after that finds both generations.
        self.control.reshaped.store(true, Ordering::SeqCst);
        let mut retired = self.control.retired_gates();
        retired.retain(|(_, gate)| gate.strong_count() > 0);
        let replaced = self.gates.replace(|key, gate| {
            let policy = policy_of(&key.instance, &key.credential)?;
            gate.successor(policy, key.bucket, now)
        });
        retired.extend(replaced.iter().map(|(key, gate)| (key.clone(), Arc::downgrade(gate))));
    }

    /// Tells a pause to every generation of a gate: it is a fact about the quota, whoever was told.
    pub(super) fn spread_pause(&self, key: &GateKey, now: u64, until: u64) {
        if !self.control.reshaped.load(Ordering::SeqCst) {
            return;
        }
        let retired = self.control.retired_gates();
        let older = retired.iter().filter(|(of, _)| of == key).filter_map(|(_, gate)| gate.upgrade());
        for gate in older.chain(self.gates.find(key)) {
            gate.limiter.as_ref().inspect(|limiter| limiter.pause_until(now, until));
        }
    }

    /// Those there are and those that were replaced and are still held.
    pub(super) fn each_gate(&self, mut visit: impl FnMut(&GateKey, &Gate)) {
        let retired = self.control.retired_gates();
        self.gates.for_each(&mut visit);
        for (key, gate) in retired.iter() {
            gate.upgrade().inspect(|gate| visit(key, gate));
        }
    }

    /// Calls under way, whatever generation of gates they hold.
    #[cfg(feature = "hub")]
    pub(crate) fn in_flight(&self) -> usize {
        let mut calls = 0;
        self.each_gate(|_, gate| {
            calls += gate.concurrency.as_ref().map_or(0, Concurrency::in_flight) as usize;
        });
        calls
    }

    /// Gives a tenant at an instance another limit of its own or other retry tokens, for handles made from now on.
    pub fn reshape_tenant(&self, tenant: &str, instance: &str, policy: &Policy) {
        let key: TenancyKey = (tenant.into(), instance.into());
        let now = self.now();
        let mut retired = self.control.retired();
        let replaced = self.tenancies.replace_one(&key, |old| {
            let same_share = match (&old.share, &policy.tenant_limit) {
                (Some(share), Some(limit)) => share.is_of(limit),
                (share, limit) => share.is_none() && limit.is_none(),
            };
            if same_share && *old.budget.policy() == policy.budget {
                return None;
            }
            let share =
                policy.tenant_limit.as_ref().map(|limit| successor_of(old.share.as_ref(), limit, now));
            let budget = RetryBudget::new(policy.budget);
            Some(Tenancy { budget, share, ..Tenancy::new(policy, old.off.load(Ordering::Relaxed)) })
        });
        if let Some(old) = replaced {
            if retired.len() == retired.capacity() {
                // Paid for by the insertions since the list was last full.
                retired.retain(|(_, tenancy)| tenancy.strong_count() > 0);
            }
            retired.push((key, Arc::downgrade(&old)));
        }
    }

    /// The tenants and instances of the calls so far, less those that are forgotten.
    #[cfg(feature = "hub")]
    pub(crate) fn callers(&self) -> Vec<TenancyKey> {
        self.tenancies.keys()
    }

    /// How the calls of one tenant at one instance fared lately; `None` before the first.
    pub fn pulse(&self, tenant: &str, instance: &str) -> Option<Pulse> {
        let key: TenancyKey = (tenant.into(), instance.into());
        let now = self.now();
        let mut pulses = Vec::new();
        self.tenancies.find(&key).inspect(|tenancy| note(&mut pulses, tenancy, now));
        self.retired_pulses(|retired| *retired == key, &mut pulses, now);
        pulses.into_iter().reduce(Pulse::merged)
    }

    /// How all calls of one instance fared lately, whoever made them; `None` before the first.
    pub fn pulses(&self, instance: &str) -> Option<Pulse> {
        let now = self.now();
        let mut pulses = Vec::new();
        self.tenancies.for_each(|(_, of), tenancy| {
            if **of == *instance {
                note(&mut pulses, tenancy, now);
            }
        });
        self.retired_pulses(|(_, of)| **of == *instance, &mut pulses, now);
        pulses.into_iter().reduce(Pulse::merged)
    }

    fn retired_pulses(&self, is_meant: impl Fn(&TenancyKey) -> bool, pulses: &mut Vec<Pulse>, now: u64) {
        for (_, tenancy) in self.control.retired().iter().filter(|(key, _)| is_meant(key)) {
            tenancy.upgrade().inspect(|tenancy| note(pulses, tenancy, now));
        }
    }

    /// Every gate, in no particular order.
    pub fn gates(&self) -> Vec<GateReport> {
        let now = self.now();
        let mut reports = Vec::new();
        self.gates.for_each(|key, gate| reports.push(report(key, gate, now)));
        reports
    }

    /// Holds every breaker of an instance open ([`State::ForcedOpen`]), lets everything pass
    /// ([`State::Disabled`]), or starts afresh ([`State::Closed`]); other states cannot be forced. A breaker that is made
    /// later starts closed: to keep an instance off, use [`Stages::switch`].
    pub fn force_breakers(&self, instance: &str, state: State) {
        let force = |breaker: &Breaker| match state {
            State::ForcedOpen => drop(breaker.force_open()),
            State::Disabled => drop(breaker.disable()),
            State::Closed => drop(breaker.reset()),
            State::Open | State::HalfOpen => {}
        };
        self.each_gate(|key, gate| {
            if *key.instance == *instance {
                gate.breaker.as_ref().inspect(|breaker| force(breaker));
            }
        });
    }
}

impl Tenancy {
    fn set(&self, why: u8, off: bool) {
        if off {
            self.off.fetch_or(why, Ordering::Relaxed);
        } else {
            self.off.fetch_and(!why, Ordering::Relaxed);
        }
    }
}

fn note(pulses: &mut Vec<Pulse>, tenancy: &Tenancy, now: u64) {
    let pulse = tenancy.pulse.read(now);
    if pulse.last_call.is_some() || pulse.last_error.is_some() {
        pulses.push(pulse);
    }
}

fn report(key: &GateKey, gate: &Gate, now: u64) -> GateReport {
    let limiter = gate.limiter.as_ref();
    GateReport {
        instance: key.instance.clone(),
        credential: key.credential.clone(),
        provider: key.provider,
        bucket: key.bucket,
        breaker: gate.breaker.as_ref().map(|breaker| breaker.state(now)),
        reopens_in: gate.breaker.as_ref().and_then(|breaker| breaker.reopens_in(now)),
        paused: limiter.and_then(|limiter| limiter.paused(now)),
        left: limiter.and_then(|limiter| limiter.left(now)),
        rate: limiter.and_then(Limiter::rate),
        in_flight: gate.concurrency.as_ref().map_or(0, Concurrency::in_flight),
        waiting: gate.concurrency.as_ref().map_or(0, Concurrency::queued) + gate.line.queued(),
    }
}
