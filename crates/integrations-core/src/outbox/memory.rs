//! The store in memory: for tests, and for what need not survive.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use super::ledger::{self, Notice, Report, Rules};
use super::model::{Attempt, Delivery, Endpoint, EndpointId, EndpointStatus, Event, EventId, Health};
use super::state::State;
use super::store::{Lease, OutboxStore, PART, Replay, Replayed};
use crate::error::{Effect, Error, ErrorKind, Result};

/// Keeps everything in memory, keys as they are. Gone with the process.
#[derive(Debug, Default)]
pub struct MemoryOutbox(Mutex<Tables>);

/// A delivery: its endpoint and its place.
type Key = (EndpointId, u64); // tidy: not a secret, the key of a row

#[derive(Debug, Default)]
struct Tables {
    endpoints: BTreeMap<EndpointId, Slot>,
    events: BTreeMap<u64, Event>,
    places: HashMap<EventId, u64>,
    deliveries: BTreeMap<Key, Delivery>,
    /// The deliveries that are not final.
    open: BTreeSet<Key>,
    attempts: HashMap<Key, Vec<Attempt>>,
    last: u64,
}

#[derive(Debug)]
struct Slot {
    endpoint: Endpoint,
    wake: Option<Timestamp>,
}

impl Slot {
    fn wake_by(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

impl MemoryOutbox {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // No method leaves the tables half changed when it panics: none of their steps can.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn owned(&self, tenant: &str, id: &EndpointId) -> Option<&Slot> {
        self.endpoints.get(id).filter(|slot| slot.endpoint.tenant == tenant)
    }

    fn owned_mut(&mut self, tenant: &str, id: &EndpointId) -> Option<&mut Slot> {
        self.endpoints.get_mut(id).filter(|slot| slot.endpoint.tenant == tenant)
    }

    fn open_of<'a>(&'a self, id: &EndpointId) -> impl Iterator<Item = &'a Delivery> {
        let keys = self.open.range((id.clone(), 0)..=(id.clone(), u64::MAX));
        keys.filter_map(|key| self.deliveries.get(key))
    }

    fn put(&mut self, delivery: Delivery) {
        let key = (delivery.endpoint.clone(), delivery.seq);
        if delivery.state.is_final() {
            self.open.remove(&key);
        } else {
            self.open.insert(key.clone());
        }
        self.deliveries.insert(key, delivery);
    }

    fn partition(&self, delivery: &Delivery) -> &str {
        self.events.get(&delivery.seq).map_or("", |event| &event.partition)
    }

    /// When a delivery that begins at `now` is due: `None` behind others of its partition.
    fn due(&self, endpoint: &Endpoint, partition: &str, now: Timestamp) -> Option<Timestamp> {
        let waits = endpoint.settings.fifo
            && self.open_of(&endpoint.id).any(|other| self.partition(other) == partition);
        (!waits).then_some(now)
    }

    /// Lets the next of a partition go, if nothing of it is on its way.
    fn release(&mut self, after: &Delivery, now: Timestamp) {
        let partition = self.partition(after);
        let others = self.open_of(&after.endpoint).filter(|other| self.partition(other) == partition);
        let others: Vec<_> = others.cloned().collect();
        let under_way = others.iter().any(|other| other.due.is_some());
        if let Some(first) = others.into_iter().next().filter(|_| !under_way) {
            self.put(Delivery { due: Some(now), ..first });
        }
    }

    fn withdraw_all(&mut self, id: &EndpointId) {
        let withdrawn: Vec<_> = self.open_of(id).filter_map(ledger::withdrawn).collect();
        for delivery in withdrawn {
            self.put(delivery);
        }
    }

    fn lease_of(&mut self, id: &EndpointId, now: Timestamp, limit: usize) -> Vec<Lease> {
        let Some(Slot { endpoint, .. }) = self.endpoints.get(id) else { return Vec::new() };
        let mut endpoint = endpoint.clone();
        let held = |d: &&Delivery| d.state == State::InFlight && d.due.is_some_and(|due| due > now);
        let in_flight = self.open_of(id).filter(held).count() as u32;
        let places = (ledger::places(&endpoint, in_flight, now) as usize).min(limit);
        let mut due: Vec<_> =
            self.open_of(id).filter(|d| d.due.is_some_and(|due| due <= now)).cloned().collect();
        due.sort_by_key(|delivery| (delivery.due, delivery.seq));
        due.truncate(places);
        let shared = Arc::new(endpoint.clone());
        let mut leases = Vec::new();
        for delivery in due {
            let taken = ledger::leased(&endpoint, &delivery, now);
            if let Some((delivery, event)) = taken.zip(self.events.get(&delivery.seq).cloned()) {
                self.put(delivery.clone());
                leases.push(Lease::new(shared.clone(), event, delivery));
            }
        }
        endpoint.health = ledger::taken(&endpoint, leases.len() as u32, now);
        let earliest = self.open_of(id).filter_map(|d| d.due).min();
        let lease_end = self.open_of(id).filter(held).filter_map(|d| d.due).min();
        let in_flight = in_flight + leases.len() as u32;
        let wake = ledger::wake(&endpoint, earliest, in_flight, lease_end, now);
        self.endpoints.insert(id.clone(), Slot { endpoint, wake });
        leases
    }

    fn again(&mut self, endpoint: &Endpoint, seq: u64, event: &EventId, now: Timestamp) -> bool {
        let partition = self.events.get(&seq).map_or(String::new(), |event| event.partition.clone());
        let due = self.due(endpoint, &partition, now);
        let delivery = match self.deliveries.get(&(endpoint.id.clone(), seq)) {
            Some(delivery) => ledger::replayed(delivery, due),
            None => Some(Delivery::new(endpoint.id.clone(), event.clone(), seq, due)),
        };
        delivery.map(|delivery| self.put(delivery)).is_some()
    }

    fn part(&self, endpoint: &Endpoint, since: Timestamp, after: u64) -> Vec<(u64, EventId, bool)> {
        let mine = |event: &&Event| event.tenant == endpoint.tenant && event.created >= since;
        let events = self.events.range(after.saturating_add(1)..).filter(|(_, event)| mine(event)).take(PART);
        let wanted = |seq: u64, event: &Event| {
            let delivery = self.deliveries.get(&(endpoint.id.clone(), seq));
            endpoint.gets(event) && delivery.is_none_or(|d| d.state.is_final() && d.state != State::Succeeded)
        };
        events.map(|(seq, event)| (*seq, event.id.clone(), wanted(*seq, event))).collect()
    }
}

/// What asks for an endpoint that is not there.
pub(super) fn no_endpoint() -> Error {
    Error::new(ErrorKind::NotFound, Effect::NotSent, "there is no such endpoint")
}

/// What asks for an event that is not there.
pub(super) fn no_event() -> Error {
    Error::new(ErrorKind::NotFound, Effect::NotSent, "there is no such event")
}

/// What asks for deliveries to an endpoint that gets none.
pub(super) fn not_active() -> Error {
    Error::new(ErrorKind::Conflict, Effect::NotSent, "the endpoint is not active")
        .with_hint("enable it first")
}

#[async_trait]
impl OutboxStore for MemoryOutbox {
    async fn insert_endpoint(&self, endpoint: &Endpoint) -> Result<()> {
        let mut tables = self.tables();
        if tables.endpoints.contains_key(&endpoint.id) {
            return Err(Error::new(ErrorKind::Conflict, Effect::NotSent, "the endpoint exists"));
        }
        tables.endpoints.insert(endpoint.id.clone(), Slot { endpoint: endpoint.clone(), wake: None });
        Ok(())
    }

    async fn update_endpoint(&self, endpoint: &Endpoint) -> Result<bool> {
        let mut tables = self.tables();
        let slot = tables.owned_mut(&endpoint.tenant, &endpoint.id);
        let Some(slot) = slot.filter(|slot| slot.endpoint.revision == endpoint.revision) else {
            return Ok(false);
        };
        slot.endpoint.settings = endpoint.settings.clone();
        slot.endpoint.keys.clone_from(&endpoint.keys);
        slot.endpoint.revision += 1;
        Ok(true)
    }

    async fn set_status(
        &self,
        tenant: &str,
        id: &EndpointId,
        status: EndpointStatus,
        now: Timestamp,
    ) -> Result<bool> {
        let mut tables = self.tables();
        let Some(slot) = tables.owned_mut(tenant, id) else { return Ok(false) };
        slot.endpoint.status = status;
        slot.endpoint.revision += 1;
        if status == EndpointStatus::Active {
            slot.endpoint.health = Health::default();
            slot.wake_by(now);
        } else {
            slot.wake = None;
            tables.withdraw_all(id);
        }
        Ok(true)
    }

    async fn delete_endpoint(&self, tenant: &str, id: &EndpointId) -> Result<bool> {
        let mut tables = self.tables();
        if tables.owned(tenant, id).is_none() {
            return Ok(false);
        }
        tables.endpoints.remove(id);
        tables.withdraw_all(id);
        Ok(true)
    }

    async fn endpoint(&self, tenant: &str, id: &EndpointId) -> Result<Option<Endpoint>> {
        Ok(self.tables().owned(tenant, id).map(|slot| slot.endpoint.clone()))
    }

    async fn endpoints(&self, tenant: &str) -> Result<Vec<Endpoint>> {
        let tables = self.tables();
        let endpoints = tables.endpoints.values().map(|slot| &slot.endpoint);
        let mut found: Vec<_> = endpoints.filter(|endpoint| endpoint.tenant == tenant).cloned().collect();
        found.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(found)
    }

    async fn publish(&self, event: &Event, due: Timestamp) -> Result<()> {
        let mut tables = self.tables();
        tables.last += 1;
        let seq = tables.last;
        let active = |endpoint: &&Endpoint| {
            endpoint.tenant == event.tenant
                && endpoint.status == EndpointStatus::Active
                && endpoint.gets(event)
        };
        let endpoints: Vec<_> =
            tables.endpoints.values().map(|slot| &slot.endpoint).filter(active).cloned().collect();
        for endpoint in endpoints {
            let at = tables.due(&endpoint, &event.partition, due);
            tables.put(Delivery::new(endpoint.id.clone(), event.id.clone(), seq, at));
            if let Some(slot) = tables.endpoints.get_mut(&endpoint.id) {
                slot.wake_by(due);
            }
        }
        tables.events.insert(seq, event.clone());
        tables.places.insert(event.id.clone(), seq);
        Ok(())
    }

    async fn lease(&self, now: Timestamp, limit: u32) -> Result<Vec<Lease>> {
        let mut tables = self.tables();
        let awake = |(id, slot): (&EndpointId, &Slot)| {
            slot.wake.filter(|wake| *wake <= now).map(|wake| (wake, id.clone()))
        };
        let mut awake: Vec<_> = tables.endpoints.iter().filter_map(awake).collect();
        awake.sort();
        let mut leases = Vec::new();
        for (_, id) in awake {
            let left = (limit as usize).saturating_sub(leases.len());
            if left == 0 {
                break;
            }
            leases.extend(tables.lease_of(&id, now, left));
        }
        Ok(leases)
    }

    async fn settle(
        &self,
        lease: &Lease,
        report: &Report,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Option<Vec<Notice>>> {
        let mut tables = self.tables();
        let key = (lease.endpoint.id.clone(), lease.delivery.seq);
        let tables = &mut *tables;
        let (Some(slot), Some(delivery)) = (tables.endpoints.get_mut(&key.0), tables.deliveries.get(&key))
        else {
            return Ok(None);
        };
        let fence = lease.delivery.fence;
        let Some(settled) = ledger::settle(rules, &slot.endpoint, delivery, fence, report, now) else {
            return Ok(None);
        };
        slot.endpoint.health = settled.health;
        slot.wake_by(now);
        let stopped = settled.status != slot.endpoint.status;
        if stopped {
            slot.endpoint.status = settled.status;
            slot.endpoint.revision += 1;
            slot.wake = None;
        }
        tables.put(settled.delivery.clone());
        tables.attempts.entry(key.clone()).or_default().push(report.attempt.clone());
        if stopped {
            tables.withdraw_all(&key.0);
        } else if settled.delivery.state.is_final() {
            tables.release(&settled.delivery, now);
        }
        Ok(Some(settled.notices))
    }

    async fn next_wake(&self) -> Result<Option<Timestamp>> {
        Ok(self.tables().endpoints.values().filter_map(|slot| slot.wake).min())
    }

    async fn replay(
        &self,
        tenant: &str,
        endpoint: &EndpointId,
        what: &Replay,
        now: Timestamp,
    ) -> Result<Replayed> {
        let mut tables = self.tables();
        let slot = tables.owned_mut(tenant, endpoint).ok_or_else(no_endpoint)?;
        if slot.endpoint.status != EndpointStatus::Active {
            return Err(not_active());
        }
        slot.wake_by(now);
        let endpoint = slot.endpoint.clone();
        match what {
            Replay::One(id) => {
                let seq = tables.places.get(id).copied().ok_or_else(no_event)?;
                if tables.events.get(&seq).is_none_or(|event| event.tenant != tenant) {
                    return Err(no_event());
                }
                Ok(Replayed::new(tables.again(&endpoint, seq, id, now).into(), None))
            }
            Replay::Since { since, after } => {
                let part = tables.part(&endpoint, *since, *after);
                let next = part.last().filter(|_| part.len() == PART).map(|(seq, ..)| *seq);
                let wanted = part.into_iter().filter(|(.., wanted)| *wanted);
                let count = wanted.filter(|(seq, id, _)| tables.again(&endpoint, *seq, id, now)).count();
                Ok(Replayed::new(count as u64, next))
            }
        }
    }

    async fn failures(
        &self,
        tenant: &str,
        endpoint: &EndpointId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        let tables = self.tables();
        if tables.owned(tenant, endpoint).is_none() {
            return Ok(Vec::new());
        }
        let range = (endpoint.clone(), 0)..(endpoint.clone(), before.unwrap_or(u64::MAX));
        let failed = |d: &&Delivery| matches!(d.state, State::Failed | State::Parked);
        let found = tables.deliveries.range(range).rev().map(|(_, delivery)| delivery).filter(failed);
        Ok(found.take(limit as usize).cloned().collect())
    }

    async fn delivery(
        &self,
        tenant: &str,
        endpoint: &EndpointId,
        event: &EventId,
    ) -> Result<Option<Delivery>> {
        let tables = self.tables();
        let Some(seq) = tables.places.get(event) else { return Ok(None) };
        let mine = tables.events.get(seq).is_some_and(|event| event.tenant == tenant);
        Ok(tables.deliveries.get(&(endpoint.clone(), *seq)).filter(|_| mine).cloned())
    }

    async fn attempts(&self, tenant: &str, endpoint: &EndpointId, event: &EventId) -> Result<Vec<Attempt>> {
        let Some(delivery) = self.delivery(tenant, endpoint, event).await? else { return Ok(Vec::new()) };
        Ok(self.tables().attempts.get(&(endpoint.clone(), delivery.seq)).cloned().unwrap_or_default())
    }

    async fn purge(&self, before: Timestamp) -> Result<u64> {
        let mut tables = self.tables();
        let open: BTreeSet<u64> = tables.open.iter().map(|(_, seq)| *seq).collect();
        let old = |(seq, event): (&u64, &Event)| {
            (event.created < before && !open.contains(seq)).then(|| (*seq, event.id.clone()))
        };
        let old: HashMap<_, _> = tables.events.iter().filter_map(old).collect();
        tables.events.retain(|seq, _| !old.contains_key(seq));
        tables.deliveries.retain(|(_, seq), _| !old.contains_key(seq));
        tables.attempts.retain(|(_, seq), _| !old.contains_key(seq));
        for id in old.values() {
            tables.places.remove(id);
        }
        Ok(old.len() as u64)
    }
}
