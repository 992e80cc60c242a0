//! A limit on calls in flight, shared fairly between tenants.
//!
//! Rules:
//! - While nobody waits, a permit is one atomic exchange, whoever asks.
//! - Once somebody waits, a permit that comes free goes to a waiter, never to a newcomer. Tenants with waiters take
//!   turns: a turn is one permit, or `weight` of them; within a tenant, first come, first served. So a tenant with one
//!   call waits for at most one turn of each other tenant, however many calls those have queued.
//! - A tenant with a share gets that part of the permits while others wait too. Its turns are as long as that takes, and
//!   what is missing to a whole permit is credited to the next (deficit round robin, Shreedhar and Varghese 1995).
//! - A waiter can be dropped at any time. If it had been given its permit already, that goes on to the next.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

/// Whose call it is, and how many permits a turn of theirs is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantKey {
    id: u64,
    weight: u32,
    /// In parts of [`ONE`]; 0 for none.
    share: u32,
}

/// One permit, as turns are credited.
const ONE: u64 = 1024;
/// The shortest turn: nobody is passed over for more than 64 rounds.
const SHORTEST: u64 = ONE / 64;

impl TenantKey {
    /// A tenant with weight 1.
    pub const fn new(id: u64) -> Self {
        Self { id, weight: 1, share: 0 }
    }

    /// Sets how many permits a turn is worth; at least 1. It takes effect from the tenant's next turn on.
    #[must_use]
    pub const fn weight(mut self, permits: u32) -> Self {
        self.weight = if permits == 0 { 1 } else { permits };
        self
    }

    /// Sets the part of the permits that the tenant gets while others wait too, above 0 and below 1, in place of a
    /// weight; those without a share divide the rest. A value that is no part counts as none.
    #[must_use]
    pub fn share(mut self, part: f64) -> Self {
        let valid = part > 0.0 && part < 1.0;
        self.share = if valid { ((part * ONE as f64).round() as u32).clamp(1, ONE as u32 - 1) } else { 0 };
        self
    }
}

impl From<u64> for TenantKey {
    fn from(id: u64) -> Self {
        Self::new(id)
    }
}

/// Why there is no permit and will be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refused {
    /// As many calls wait as may wait.
    QueueFull,
    /// [`Concurrency::close`] was called.
    Closed,
}

/// A limit on calls in flight.
#[derive(Debug)]
#[repr(C)]
pub struct Concurrency {
    /// Permits taken, and the flags [`QUEUED`] and [`CLOSED`].
    state: AtomicU64,
    /// Not 0, so that an `Option` of this takes no more room.
    limit: NonZeroU32,
    max_queue: u32,
    /// Made when the first call has to wait.
    queue: OnceLock<Box<Mutex<Queue>>>,
}

/// Somebody waits, or did when a permit last came free: the next one that comes free is not for the taking. Changes
/// only while the queue is locked.
const QUEUED: u64 = 1 << 32;
/// No further permits.
const CLOSED: u64 = 1 << 33;
const TAKEN: u64 = QUEUED - 1;

impl Concurrency {
    /// At most `limit` calls in flight (at least 1) and `max_queue` waiting; with 0 nobody waits.
    pub const fn new(limit: u32, max_queue: u32) -> Self {
        let limit = match NonZeroU32::new(limit) {
            Some(limit) => limit,
            None => NonZeroU32::MIN,
        };
        Self { state: AtomicU64::new(0), limit, max_queue, queue: OnceLock::new() }
    }

    /// A permit, if one is free and nobody waits for it.
    #[inline]
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        let free = |state: u64| (state < u64::from(self.limit.get())).then_some(state + 1);
        // The flags are above the count, so that a state with a flag is above every limit.
        self.state.fetch_update(AcqRel, Acquire, free).ok().map(|_| Permit { owner: self })
    }

    /// A permit, after waiting for it if need be. Safe to drop: a dropped waiter leaves nothing behind.
    pub async fn acquire(&self, tenant: TenantKey) -> Result<Permit<'_>, Refused> {
        if let Some(permit) = self.try_acquire() {
            return Ok(permit);
        }
        match self.enter(tenant)? {
            Entered::Free(permit) => Ok(permit),
            Entered::Queued(waiting) => waiting.await,
        }
    }

    /// Refuses all calls that wait and all that come. Permits already given stay valid.
    pub fn close(&self) {
        let mut queue = self.lock();
        self.state.fetch_or(CLOSED, AcqRel);
        let wakers = queue.take_wakers();
        drop(queue);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Calls in flight now.
    pub fn in_flight(&self) -> u32 {
        (self.state.load(Acquire) & TAKEN) as u32
    }

    /// Calls that wait now.
    pub fn queued(&self) -> u32 {
        if self.queue.get().is_some() { self.lock().len } else { 0 }
    }

    /// The most calls in flight.
    pub fn limit(&self) -> u32 {
        self.limit.get()
    }

    /// The most calls waiting.
    pub(crate) fn max_queue(&self) -> u32 {
        self.max_queue
    }

    /// About how many permits come free before one for a newcomer of this tenant: never more than wait, and for a tenant
    /// with nobody in the queue at most one turn of each other.
    pub(crate) fn ahead_of(&self, tenant: TenantKey) -> u32 {
        if self.queue.get().is_some() { self.lock().ahead_of(tenant) } else { 0 }
    }

    /// The slow path: under the lock, either a permit came free meanwhile or [`QUEUED`] is set at a moment when all
    /// were taken, so that whoever gives one back next looks into the queue.
    fn enter(&self, tenant: TenantKey) -> Result<Entered<'_>, Refused> {
        let mut queue = self.lock();
        let full = queue.len >= self.max_queue;
        let admit = |state: u64| {
            if state < u64::from(self.limit.get()) {
                return Some(state + 1);
            }
            (state & CLOSED == 0 && !full).then_some(state | QUEUED)
        };
        match self.state.fetch_update(AcqRel, Acquire, admit) {
            Ok(state) if state < u64::from(self.limit.get()) => Ok(Entered::Free(Permit { owner: self })),
            Ok(_) => {
                let ticket = queue.push(tenant);
                Ok(Entered::Queued(Waiting { owner: self, tenant: tenant.id, ticket: Some(ticket) }))
            }
            Err(state) if state & CLOSED != 0 => Err(Refused::Closed),
            Err(_) => Err(Refused::QueueFull),
        }
    }

    #[inline]
    fn release(&self) {
        let lower = |state: u64| (state & QUEUED == 0).then_some(state - 1);
        if self.state.fetch_update(AcqRel, Acquire, lower).is_err() {
            self.hand_on();
        }
    }

    /// Gives a permit that comes free to the next waiter.
    #[cold]
    fn hand_on(&self) {
        let mut queue = self.lock();
        let closed = self.state.load(Acquire) & CLOSED != 0;
        let next = if closed { None } else { queue.pop() };
        if next.is_none() {
            self.state.fetch_sub(1, AcqRel);
        }
        if queue.len == 0 {
            self.state.fetch_and(!QUEUED, AcqRel);
        }
        drop(queue);
        if let Some(waker) = next.and_then(|waiter| waiter.waker) {
            waker.wake();
        }
    }

    /// Takes a waiter out of the queue; whether it was still there.
    fn withdraw(&self, tenant: u64, ticket: u64) -> bool {
        let waiter = self.lock().remove(tenant, ticket);
        waiter.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is consistent between any two statements that could panic: there are none but for lack of memory.
        self.queue.get_or_init(Box::default).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Entered<'a> {
    Free(Permit<'a>),
    Queued(Waiting<'a>),
}

/// The right to one call in flight; given back when dropped.
#[derive(Debug)]
#[must_use = "the permit is given back as soon as it is dropped"]
pub struct Permit<'a> {
    owner: &'a Concurrency,
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.owner.release();
    }
}

/// A place in the queue. The ticket is in the queue until the permit is granted, and only then.
struct Waiting<'a> {
    owner: &'a Concurrency,
    tenant: u64,
    /// `None` once the wait has ended.
    ticket: Option<u64>,
}

impl<'a> Future for Waiting<'a> {
    type Output = Result<Permit<'a>, Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ticket = self.ticket.expect("a future that has ended is not polled again");
        let owner = self.owner;
        // Wakers are cloned and dropped outside the lock: that is foreign code, which may come back here.
        let fresh = cx.waker().clone();
        let mut queue = owner.lock();
        let Some(waiter) = queue.get(self.tenant, ticket) else {
            drop(queue);
            self.ticket = None;
            return Poll::Ready(Ok(Permit { owner }));
        };
        let stale = waiter.waker.replace(fresh);
        let closed = owner.state.load(Acquire) & CLOSED != 0;
        drop(queue);
        drop(stale);
        if !closed {
            return Poll::Pending;
        }
        owner.withdraw(self.tenant, ticket);
        self.ticket = None;
        Poll::Ready(Err(Refused::Closed))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket
            && !self.owner.withdraw(self.tenant, ticket)
        {
            // The permit was granted between the last poll and now.
            self.owner.release();
        }
    }
}

/// The waiters, by tenant. Trees instead of linked lists: a waiter leaves from the middle of its line at any time, and a
/// storm of cancellations must not be quadratic.
#[derive(Debug, Default)]
struct Queue {
    /// Tenants with waiters, and no others.
    lines: BTreeMap<u64, Line>,
    /// Whose turn it is: the number of a turn and the tenant's id.
    turns: BTreeMap<u64, u64>,
    /// The next number of a ticket or a turn.
    next: u64,
    len: u32,
    /// The shares of the lines that have one, in parts of [`ONE`], and how many lines have none.
    shares: u64,
    without_share: u64,
}

#[derive(Debug)]
struct Line {
    turn: u64,
    /// What is left in this turn, in parts of [`ONE`] permit.
    credit: u64,
    key: TenantKey,
    waiters: BTreeMap<u64, Waiter>,
}

#[derive(Debug, Default)]
struct Waiter {
    /// `None` until the future is polled for the first time.
    waker: Option<Waker>,
}

impl Queue {
    fn push(&mut self, tenant: TenantKey) -> u64 {
        let (turn, ticket) = (self.next, self.next + 1);
        self.next += 2;
        match self.lines.get_mut(&tenant.id) {
            Some(line) => {
                let before = std::mem::replace(&mut line.key, tenant);
                line.waiters.insert(ticket, Waiter::default());
                self.count(before, false);
                self.count(tenant, true);
            }
            None => {
                self.count(tenant, true);
                let waiters = BTreeMap::from([(ticket, Waiter::default())]);
                let credit = self.length_of_turn(tenant);
                self.turns.insert(turn, tenant.id);
                self.lines.insert(tenant.id, Line { turn, credit, key: tenant, waiters });
            }
        }
        self.len += 1;
        ticket
    }

    fn count(&mut self, tenant: TenantKey, comes: bool) {
        let (of_shares, of_others) = if tenant.share > 0 { (u64::from(tenant.share), 0) } else { (0, 1) };
        if comes {
            self.shares += of_shares;
            self.without_share += of_others;
        } else {
            self.shares -= of_shares;
            self.without_share -= of_others;
        }
    }

    /// How long a turn is that begins now, in parts of [`ONE`] permit. Those without a share get one permit each per
    /// round, which is `1 - shares` of it; so a share `s` is `s / (1 - shares)` times their number.
    fn length_of_turn(&self, tenant: TenantKey) -> u64 {
        let share = u64::from(tenant.share);
        if share == 0 {
            return u64::from(tenant.weight) * ONE;
        }
        let rest = ONE.saturating_sub(self.shares).max(1);
        let length = match self.without_share {
            // Among themselves, in proportion.
            0 => share,
            others => ONE * share * others / rest,
        };
        length.max(SHORTEST)
    }

    /// Takes the next waiter out.
    fn pop(&mut self) -> Option<Waiter> {
        loop {
            let tenant = *self.turns.first_key_value()?.1;
            let line = self.lines.get_mut(&tenant)?;
            if line.credit < ONE {
                self.rotate(tenant);
                continue;
            }
            let (_, waiter) = line.waiters.pop_first()?;
            line.credit -= ONE;
            let (is_empty, is_over) = (line.waiters.is_empty(), line.credit < ONE);
            self.len -= 1;
            if is_empty {
                self.leave(tenant);
            } else if is_over {
                self.rotate(tenant);
            }
            return Some(waiter);
        }
    }

    /// Ends a tenant's turn and gives it its next one, behind all others.
    fn rotate(&mut self, tenant: u64) {
        let Some(key) = self.lines.get(&tenant).map(|line| line.key) else { return };
        let length = self.length_of_turn(key);
        if let Some(line) = self.lines.get_mut(&tenant) {
            self.turns.remove(&line.turn);
            line.turn = self.next;
            line.credit += length;
            self.turns.insert(line.turn, tenant);
            self.next += 1;
        }
    }

    fn ahead_of(&self, tenant: TenantKey) -> u32 {
        let own = self.lines.get(&tenant.id).map_or(0, |line| line.waiters.len() as u64);
        let others = self.lines.len() as u64 - u64::from(own > 0);
        let turns = ((own + 1) * ONE).div_ceil(self.length_of_turn(tenant));
        (own + turns * others).min(u64::from(self.len)) as u32
    }

    fn get(&mut self, tenant: u64, ticket: u64) -> Option<&mut Waiter> {
        self.lines.get_mut(&tenant)?.waiters.get_mut(&ticket)
    }

    /// Takes one waiter out, if it is there.
    fn remove(&mut self, tenant: u64, ticket: u64) -> Option<Waiter> {
        let line = self.lines.get_mut(&tenant)?;
        let waiter = line.waiters.remove(&ticket)?;
        self.len -= 1;
        if line.waiters.is_empty() {
            self.leave(tenant);
        }
        Some(waiter)
    }

    fn leave(&mut self, tenant: u64) {
        if let Some(line) = self.lines.remove(&tenant) {
            self.turns.remove(&line.turn);
            self.count(line.key, false);
        }
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        self.lines
            .values_mut()
            .flat_map(|line| line.waiters.values_mut())
            .filter_map(|waiter| waiter.waker.take())
            .collect()
    }
}

#[cfg(test)]
mod tests;
