//! Who gets the permit that comes free: start-time fair queueing between tenants, and shares on top of it.
//!
//! Each permit moves its tenant one unit of virtual time ahead; who is furthest behind is next. A tenant that comes to
//! the queue begins at the present virtual time, unless its last permits were a moment ago and it is ahead of that. So
//! tenants that all want much take turns; and one that wants little is served before a second permit goes to anybody who
//! wants much, which turns alone would not give: it would have to wait for a turn of the loud one at each of its calls.
//! (Goyal, Vin, Cheng: Start-Time Fair Queuing, 1996.)

use std::collections::{BTreeMap, HashMap};
use std::task::Waker;

use super::TenantKey;

/// A whole permit, as shares are counted.
pub(super) const WHOLE: u32 = 1024;

/// A whole permit, as what is earned is counted: so fine that a small part of a small share is something.
const PERMIT: u64 = WHOLE as u64 * WHOLE as u64;

/// Virtual time moves on after so many permits, however many tenants come that were never served: so who waits for a
/// second permit gets at least this part of them.
const STANDSTILL: u32 = 64;

/// The others that are counted at most to say who is ahead of a newcomer.
const MANY: usize = 1024;

/// What the shares of all who wait come to at most, in parts of [`WHOLE`]: with more they shrink in proportion, so that
/// those without a share, and those who come late, are not left waiting for ever.
const ALL_SHARES: u64 = WHOLE as u64 * 63 / 64;

/// The waiters, by tenant. Trees instead of linked lists: a waiter leaves from the middle of its line at any time, and a
/// storm of cancellations must not be quadratic.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Tenants with waiters, and no others.
    lines: BTreeMap<u64, Line>,
    /// Those without a share by when they are due, first come first: virtual time and number, and the tenant.
    due: BTreeMap<(u64, u64), u64>,
    /// Where the virtual time is: when the last one was due.
    time: u64,
    /// Permits since it moved.
    standing: u32,
    /// Tenants who are ahead of it and do not wait, and when they are due.
    ahead: HashMap<u64, u64>,
    shares: Shares,
    /// The next number of a ticket or a place.
    next: u64,
    len: u32,
}

#[derive(Debug)]
struct Line {
    key: TenantKey,
    due: (u64, u64),
    waiters: BTreeMap<u64, Waiter>,
}

#[derive(Debug, Default)]
pub(super) struct Waiter {
    /// `None` until the future is polled for the first time.
    pub(super) waker: Option<Waker>,
}

/// What tenants with a share have earned, in parts of [`PERMIT`]: their share of each permit since they first came, at
/// most one permit while they do not wait.
#[derive(Debug, Default)]
struct Shares {
    /// Permits so far.
    permits: u64,
    /// Those that wait.
    waiting: BTreeMap<u64, u64>,
    /// Those that do not: what they had, and after how many permits.
    away: HashMap<u64, (u64, u64)>,
}

impl Queue {
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn push(&mut self, tenant: TenantKey) -> u64 {
        let ticket = self.number();
        let place = self.number();
        if let Some(line) = self.lines.get_mut(&tenant.id) {
            line.waiters.insert(ticket, Waiter::default());
        } else {
            let from = self.first_due(tenant.id);
            self.ahead.remove(&tenant.id);
            let line =
                Line { key: tenant, due: (from, place), waiters: [(ticket, Waiter::default())].into() };
            if tenant.share > 0 {
                self.shares.come(tenant);
            } else {
                self.due.insert(line.due, tenant.id);
            }
            self.lines.insert(tenant.id, line);
        }
        self.len += 1;
        ticket
    }

    /// Takes the next waiter out.
    pub(super) fn pop(&mut self) -> Option<Waiter> {
        let earned = self.shares.next(&self.lines, self.due.is_empty());
        let tenant = earned.or_else(|| self.due.first_key_value().map(|(_, tenant)| *tenant))?;
        let number = self.number();
        let line = self.lines.get_mut(&tenant)?;
        let (_, waiter) = line.waiters.pop_first()?;
        if line.key.share == 0 {
            self.due.remove(&line.due);
            let (due, _) = line.due;
            line.due = (due + 1, number);
            self.due.insert(line.due, tenant);
            self.pass(due);
        }
        self.len -= 1;
        self.leave_if_empty(tenant);
        Some(waiter)
    }

    /// Virtual time comes to when this one was due.
    fn pass(&mut self, due: u64) {
        self.standing = if due > self.time { 0 } else { self.standing + 1 };
        self.time = self.time.max(due);
        if self.standing >= STANDSTILL {
            (self.time, self.standing) = (self.time + 1, 0);
        }
    }

    pub(super) fn get(&mut self, tenant: u64, ticket: u64) -> Option<&mut Waiter> {
        self.lines.get_mut(&tenant)?.waiters.get_mut(&ticket)
    }

    /// Takes one waiter out, if it is there.
    pub(super) fn remove(&mut self, tenant: u64, ticket: u64) -> Option<Waiter> {
        let waiter = self.lines.get_mut(&tenant)?.waiters.remove(&ticket)?;
        self.len -= 1;
        self.leave_if_empty(tenant);
        Some(waiter)
    }

    fn leave_if_empty(&mut self, tenant: u64) {
        if self.lines.get(&tenant).is_some_and(|line| line.waiters.is_empty())
            && let Some(line) = self.lines.remove(&tenant)
        {
            self.due.remove(&line.due);
            self.shares.go(line.key);
            self.remember(tenant, line.due.0);
        }
        if self.len == 0 {
            // Nobody competes any more: who was ahead of whom is over.
            self.ahead.clear();
            self.shares.away.clear();
        }
    }

    /// Keeps when a tenant is due next, as long as that says something.
    fn remember(&mut self, tenant: u64, due: u64) {
        if due <= self.time {
            return;
        }
        if self.ahead.len() == self.ahead.capacity() {
            // Paid for by the insertions since the map was last full.
            let time = self.time;
            self.ahead.retain(|_, due| *due > time);
        }
        self.ahead.insert(tenant, due);
    }

    /// How many permits at least come free before one for a newcomer of this tenant. Exact for one that has nobody in the
    /// queue, if nobody has a share and at most [`MANY`] others are ahead.
    pub(super) fn ahead_of(&self, tenant: TenantKey) -> u32 {
        let line = self.lines.get(&tenant.id);
        let own = line.map_or(0, |line| line.waiters.len() as u64);
        let permits = match tenant.share {
            0 => {
                let first = line.map_or_else(|| self.first_due(tenant.id), |line| line.due.0);
                own + self.others_until(first + own, tenant.id)
            }
            share => (own * u64::from(WHOLE)).div_ceil(u64::from(share)),
        };
        permits.min(u64::from(self.len)) as u32
    }

    /// When a tenant is due that comes to the queue now.
    fn first_due(&self, tenant: u64) -> u64 {
        self.ahead.get(&tenant).copied().unwrap_or_default().max(self.time)
    }

    /// Waiters of other tenants who are due until then; of those due at that moment, who is there already comes first.
    fn others_until(&self, due: u64, tenant: u64) -> u64 {
        let others = self.due.range(..=(due, u64::MAX)).filter(|(_, id)| **id != tenant).take(MANY);
        let until = |(&(from, _), id): (&(u64, u64), &u64)| {
            self.lines.get(id).map_or(0, |line| (line.waiters.len() as u64).min((due - from).max(1)))
        };
        others.map(until).sum()
    }

    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        self.lines
            .values_mut()
            .flat_map(|line| line.waiters.values_mut())
            .filter_map(|waiter| waiter.waker.take())
            .collect()
    }

    /// Whether nothing is left of anybody.
    #[cfg(test)]
    pub(super) fn is_clean(&self) -> bool {
        let shares = self.shares.waiting.is_empty() && self.shares.away.is_empty();
        self.lines.is_empty() && self.due.is_empty() && self.ahead.is_empty() && shares
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Shares {
    fn come(&mut self, tenant: TenantKey) {
        let earned = match self.away.remove(&tenant.id) {
            Some((had, after)) => {
                let since = (self.permits - after) * u64::from(tenant.share) * u64::from(WHOLE);
                (had + since).min(PERMIT.max(had))
            }
            None => PERMIT,
        };
        self.waiting.insert(tenant.id, earned);
    }

    fn go(&mut self, tenant: TenantKey) {
        if let Some(earned) = self.waiting.remove(&tenant.id) {
            self.away.insert(tenant.id, (earned, self.permits));
        }
    }

    /// Everybody who waits earns their part of one more permit; who has earned most of all, and at least one, gets it.
    /// With nobody else there, whoever has most.
    fn next(&mut self, lines: &BTreeMap<u64, Line>, alone: bool) -> Option<u64> {
        self.permits += 1;
        let share = |tenant: &u64| lines.get(tenant).map_or(0, |line| u64::from(line.key.share));
        let all: u64 = self.waiting.keys().map(share).sum();
        for (tenant, earned) in &mut self.waiting {
            *earned += share(tenant) * u64::from(WHOLE) * ALL_SHARES / all.max(ALL_SHARES);
        }
        let (tenant, earned) = self.waiting.iter_mut().max_by_key(|(_, earned)| **earned)?;
        let enough = *earned >= PERMIT;
        *earned = if enough || alone { earned.saturating_sub(PERMIT) } else { *earned };
        (enough || alone).then_some(*tenant)
    }
}
