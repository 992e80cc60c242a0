//! The store in memory: for tests, and for events that may be lost with the process.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use super::purged_body;
use super::store::{Entry, InboxStore, Lease, Leased, NEVER_ANSWERED, Outcome, Turn};
use super::types::{Accepted, Counts, DeadLetter, EventKey, Ordering, Purged, Replay};
use crate::error::{Error, Result};

/// Events in memory.
#[derive(Debug, Default)]
pub struct MemoryInbox(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: i64,
    rows: BTreeMap<i64, Row>,
    keys: HashMap<EventKey, i64>,
    lanes: HashMap<String, Lane>,
    /// Lanes with something to do: tenant, time, lane.
    due: BTreeSet<(String, Timestamp, String)>,
}

#[derive(Debug)]
struct Row {
    entry: Entry,
    status: Status,
    first_seen: Timestamp,
    due: Timestamp,
    attempts: u32,
    duplicates: u32,
    round: u32,
    finished: Timestamp,
    error: String,
    purged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Waiting,
    Done,
    Stale,
    Dead,
}

#[derive(Debug)]
struct Lane {
    tenant: String,
    /// Waiting events by rank and arrival, the leased one among them.
    waiting: BTreeSet<(i64, i64)>,
    /// When to look at it next; while it is leased, when the lease runs out.
    due: Option<Timestamp>,
    owner: Option<String>,
    fence: i64,
    /// The order and the rank of what was applied last.
    applied: Option<(Ordering, i64)>,
    touched: Timestamp,
}

impl MemoryInbox {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Between any two statements that could panic the state is consistent: there are none but for lack of memory.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl InboxStore for MemoryInbox {
    async fn accept(&self, entries: Vec<Entry>, now: Timestamp) -> Result<Accepted> {
        let mut state = self.lock();
        let mut accepted = Accepted::default();
        for entry in entries {
            if state.insert(entry, now) {
                accepted.fresh += 1;
            } else {
                accepted.duplicates += 1;
            }
        }
        Ok(accepted)
    }

    async fn lease(&self, turn: &Turn) -> Result<Vec<Leased>> {
        let mut state = self.lock();
        let (mut turn, mut leased) = (turn.clone(), Vec::new());
        loop {
            let (some, looked_at) = state.lease_round(&turn);
            let all_gave = some.len() == looked_at;
            turn = turn.after(&some);
            leased.extend(some);
            if all_gave || turn.room == 0 {
                return Ok(leased);
            }
        }
    }

    async fn finish(&self, lease: &Lease, outcome: Outcome, now: Timestamp) -> Result<bool> {
        if matches!(&outcome, Outcome::Done(effects) if !effects.is_empty()) {
            return Err(Error::unsupported(
                "the inbox in memory has no transactions for a handler's writes",
                "use the SQLite inbox, or make the effect idempotent by the delivery's intent key",
            ));
        }
        Ok(self.lock().finish(lease, outcome, now))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        Ok(self.lock().lanes.values().filter_map(|lane| lane.due).min())
    }

    async fn replay(&self, which: &Replay, now: Timestamp) -> Result<u64> {
        self.lock().replay(which, now)
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>> {
        let state = self.lock();
        let mut dead: Vec<_> = state.rows.iter().filter(|(_, row)| row.status == Status::Dead).collect();
        dead.sort_by_key(|(seq, row)| std::cmp::Reverse((row.finished, **seq)));
        Ok(dead.into_iter().take(limit as usize).map(|(_, row)| row.dead_letter()).collect())
    }

    async fn counts(&self) -> Result<Counts> {
        let state = self.lock();
        let of = |status| state.rows.values().filter(|row| row.status == status).count() as u64;
        let leased = state.lanes.values().filter(|lane| lane.owner.is_some()).count() as u64;
        Ok(Counts {
            waiting: of(Status::Waiting) - leased,
            leased,
            done: of(Status::Done),
            stale: of(Status::Stale),
            dead: of(Status::Dead),
        })
    }

    async fn purge(&self, bodies: Timestamp, keys: Timestamp) -> Result<Purged> {
        Ok(self.lock().purge(bodies, keys))
    }

    async fn discard_dead(&self, before: Timestamp) -> Result<u64> {
        let mut state = self.lock();
        let State { rows, keys, .. } = &mut *state;
        let all = rows.len();
        rows.retain(|_, row| row.status != Status::Dead || row.finished >= before);
        keys.retain(|_, seq| rows.contains_key(seq));
        Ok((all - rows.len()) as u64)
    }
}

impl State {
    fn insert(&mut self, entry: Entry, now: Timestamp) -> bool {
        let key = key_of(&entry);
        if let Some(row) = self.keys.get(&key).and_then(|seq| self.rows.get_mut(seq)) {
            row.duplicates += 1;
            return false;
        }
        self.last += 1;
        let (seq, lane, rank) = (self.last, entry.lane.clone(), entry.rank);
        self.lanes.entry(lane.clone()).or_insert_with(|| Lane::new(&entry.source.tenant, now));
        self.keys.insert(key, seq);
        self.rows.insert(seq, Row::new(entry, now));
        self.enqueue(&lane, rank, seq, now);
        true
    }

    fn enqueue(&mut self, lane: &str, rank: i64, seq: i64, now: Timestamp) {
        let Some(entry) = self.lanes.get_mut(lane) else { return };
        entry.waiting.insert((rank, seq));
        entry.touched = now;
        if entry.owner.is_none() {
            self.schedule(lane, Some(now));
        }
    }

    /// Sets when to look at a lane next.
    fn schedule(&mut self, name: &str, due: Option<Timestamp>) {
        let Some(lane) = self.lanes.get_mut(name) else { return };
        let before = std::mem::replace(&mut lane.due, due);
        let place = |due| (lane.tenant.clone(), due, name.to_owned());
        if let Some(before) = before {
            self.due.remove(&place(before));
        }
        if let Some(due) = due {
            self.due.insert(place(due));
        }
    }

    /// What the due lanes give, and how many were looked at.
    fn lease_round(&mut self, turn: &Turn) -> (Vec<Leased>, usize) {
        let mut queues: VecDeque<_> = self.due_by_tenant(turn).into();
        let (mut leased, mut looked_at) = (Vec::new(), 0);
        while let Some(mut lanes) = queues.pop_front() {
            if leased.len() >= turn.room {
                break;
            }
            let Some(lane) = lanes.pop_front() else { continue };
            looked_at += 1;
            leased.extend(self.lease(&lane, turn));
            queues.push_back(lanes);
        }
        (leased, looked_at)
    }

    /// The due lanes of each tenant, as far as the turn has room for them; the tenant whose turn it is first.
    fn due_by_tenant(&self, turn: &Turn) -> Vec<VecDeque<String>> {
        let mut tenants: BTreeMap<&str, VecDeque<String>> = BTreeMap::new();
        for (tenant, due, lane) in &self.due {
            let lanes = tenants.entry(tenant).or_default();
            if *due <= turn.now && lanes.len() < turn.share(tenant) {
                lanes.push_back(lane.clone());
            }
        }
        let (first, later): (Vec<_>, Vec<_>) =
            tenants.into_iter().partition(|(tenant, _)| *tenant > turn.after.as_str());
        let due = first.into_iter().chain(later).map(|(_, lanes)| lanes);
        due.filter(|lanes| !lanes.is_empty()).take(turn.room).collect()
    }

    fn lease(&mut self, name: &str, turn: &Turn) -> Option<Leased> {
        self.settle_stale(name, turn.now);
        loop {
            let lane = self.lanes.get_mut(name)?;
            lane.owner = None;
            let Some(&(_, seq)) = lane.waiting.first() else {
                self.schedule(name, None);
                return None;
            };
            let row = self.rows.get_mut(&seq)?;
            if row.due > turn.now {
                let due = row.due;
                self.schedule(name, Some(due));
                return None;
            } else if row.attempts >= turn.max_attempts {
                lane.waiting.pop_first();
                NEVER_ANSWERED.clone_into(&mut row.error);
                row.settle(Status::Dead, turn.now);
            } else {
                row.attempts += 1;
                lane.fence += 1;
                lane.owner = Some(turn.owner.clone());
                let lease = Lease::new(name, &*turn.owner, lane.fence, seq, self.last);
                let leased = row.leased(lease);
                self.schedule(name, Some(turn.until));
                return Some(leased);
            }
        }
    }

    /// What is older than what was applied is never applied.
    fn settle_stale(&mut self, name: &str, now: Timestamp) {
        let (Some(lane), rows) = (self.lanes.get_mut(name), &mut self.rows) else { return };
        let Some((ordering, applied)) = lane.applied else { return };
        lane.waiting.retain(|(rank, seq)| match rows.get_mut(seq) {
            Some(row) if row.entry.ordering == ordering && *rank < applied => {
                row.settle(Status::Stale, now);
                false
            }
            _ => true,
        });
    }

    fn finish(&mut self, lease: &Lease, outcome: Outcome, now: Timestamp) -> bool {
        let Some(lane) = self.lanes.get_mut(&lease.lane) else { return false };
        let held = lane.fence == lease.fence && lane.owner.as_deref() == Some(&*lease.owner);
        let Some(row) = self.rows.get_mut(&lease.seq).filter(|_| held) else { return false };
        lane.owner = None;
        lane.touched = now;
        let (ordering, rank) = (row.entry.ordering, row.entry.rank);
        match outcome {
            Outcome::Retry(due, error) => (row.due, row.error) = (due, error),
            Outcome::Dead(error) => {
                row.error = error;
                row.settle(Status::Dead, now);
                lane.waiting.remove(&(rank, lease.seq));
            }
            Outcome::Done(_) => {
                row.settle(Status::Done, now);
                lane.waiting.remove(&(rank, lease.seq));
                if matches!(ordering, Ordering::ByVersion | Ordering::ByVendorTime) {
                    lane.applied = Some((ordering, rank));
                }
            }
        }
        if row.status == Status::Done && ordering == Ordering::Refetch {
            self.settle_covered(lease, now);
        }
        let next = self.lanes.get(&lease.lane).and_then(|lane| lane.waiting.first());
        let due = next.and_then(|(_, seq)| self.rows.get(seq)).map(|row| row.due);
        self.schedule(&lease.lane, due);
        true
    }

    /// A refetch has seen what all refetches tell of that had come before it.
    fn settle_covered(&mut self, lease: &Lease, now: Timestamp) {
        let (Some(lane), rows) = (self.lanes.get_mut(&lease.lane), &mut self.rows) else { return };
        lane.waiting.retain(|(_, seq)| match rows.get_mut(seq) {
            Some(row) if row.entry.ordering == Ordering::Refetch && *seq <= lease.covers => {
                row.settle(Status::Done, now);
                false
            }
            _ => true,
        });
    }

    fn replay(&mut self, which: &Replay, now: Timestamp) -> Result<u64> {
        let (seqs, forced): (Vec<i64>, bool) = match which {
            Replay::Dead(key) => (self.dead(|row| key_of(&row.entry) == *key), false),
            Replay::DeadSince(since) => (self.dead(|row| row.finished >= *since), false),
            Replay::Force(key) => (self.keys.get(key).copied().into_iter().collect(), true),
        };
        let mut replayed = 0;
        for seq in seqs {
            let Some(row) = self.rows.get_mut(&seq).filter(|row| row.status != Status::Waiting) else {
                continue;
            };
            if row.purged && row.entry.ordering != Ordering::Refetch {
                return Err(purged_body());
            }
            if forced && row.status != Status::Dead {
                row.round += 1;
            }
            if forced && row.entry.ordering != Ordering::Refetch {
                (row.entry.ordering, row.entry.rank) = (Ordering::Arrival, i64::MIN);
            }
            (row.status, row.attempts, row.due) = (Status::Waiting, 0, now);
            let (lane, rank) = (row.entry.lane.clone(), row.entry.rank);
            self.lanes.entry(lane.clone()).or_insert_with(|| Lane::new(&row.entry.source.tenant, now));
            self.enqueue(&lane, rank, seq, now);
            replayed += 1;
        }
        Ok(replayed)
    }

    fn dead(&self, wanted: impl Fn(&Row) -> bool) -> Vec<i64> {
        let dead = self.rows.iter().filter(|(_, row)| row.status == Status::Dead && wanted(row));
        dead.map(|(seq, _)| *seq).collect()
    }

    fn purge(&mut self, bodies: Timestamp, keys: Timestamp) -> Purged {
        let mut purged = Purged::default();
        let settled =
            |row: &Row, before| matches!(row.status, Status::Done | Status::Stale) && row.finished < before;
        self.rows.retain(|_, row| {
            let keep = !settled(row, keys);
            purged.events += u64::from(!keep);
            if keep && !row.purged && settled(row, bodies) {
                row.entry.event.payload = Bytes::new();
                row.purged = true;
                purged.bodies += 1;
            }
            keep
        });
        let rows = &self.rows;
        self.keys.retain(|_, seq| rows.contains_key(seq));
        self.lanes.retain(|_, lane| !lane.waiting.is_empty() || lane.touched >= keys);
        purged
    }
}

impl Lane {
    fn new(tenant: &str, now: Timestamp) -> Self {
        Self {
            tenant: tenant.to_owned(),
            waiting: BTreeSet::new(),
            due: None,
            owner: None,
            // Not 0: a lane that was purged and comes back must not give an old lease's fence again.
            fence: now.as_microsecond(),
            applied: None,
            touched: now,
        }
    }
}

impl Row {
    fn new(entry: Entry, now: Timestamp) -> Self {
        Self {
            entry,
            status: Status::Waiting,
            first_seen: now,
            due: now,
            attempts: 0,
            duplicates: 0,
            round: 0,
            finished: now,
            error: String::new(),
            purged: false,
        }
    }

    fn settle(&mut self, status: Status, now: Timestamp) {
        (self.status, self.finished) = (status, now);
    }

    fn leased(&self, lease: Lease) -> Leased {
        Leased {
            lease,
            entry: self.entry.clone(),
            attempt: self.attempts,
            first_seen: self.first_seen,
            duplicates: self.duplicates,
            round: self.round,
        }
    }

    fn dead_letter(&self) -> DeadLetter {
        DeadLetter {
            key: key_of(&self.entry),
            kind: self.entry.event.kind.clone(),
            attempts: self.attempts,
            died_at: self.finished,
            error: self.error.clone(),
        }
    }
}

fn key_of(entry: &Entry) -> EventKey {
    EventKey::new(&*entry.source.tenant, &*entry.source.provider, &*entry.event.id)
}
