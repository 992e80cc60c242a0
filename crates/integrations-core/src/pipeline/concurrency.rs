//! A limit on calls in flight, shared fairly between tenants.
//!
//! Rules:
//! - While nobody waits, a permit is one atomic exchange, whoever asks.
//! - Once somebody waits, a permit that comes free goes to a waiter, never to a newcomer. Tenants that want much take
//!   turns; one that wants little is served before anybody gets a second permit, however many calls the others have
//!   queued. Within a tenant, first come, first served.
//! - A tenant with a share gets that part of the permits while others wait too. No permit lies idle.
//! - A waiter can be dropped at any time. If it had been given its permit already, that goes on to the next.

mod queue;

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use queue::{Queue, WHOLE};

/// Whose call it is, and which part of the permits is theirs while others wait too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantKey {
    id: u64,
    /// In parts of [`WHOLE`]; 0 for none.
    share: u32,
}

impl TenantKey {
    /// A tenant without a share.
    pub const fn new(id: u64) -> Self {
        Self { id, share: 0 }
    }

    /// Sets the tenant's part of the permits, above 0 and below 1. What is no part counts as none.
    #[must_use]
    pub fn share(mut self, part: f64) -> Self {
        let valid = part > 0.0 && part < 1.0;
        self.share = if valid { ((part * f64::from(WHOLE)).round() as u32).clamp(1, WHOLE - 1) } else { 0 };
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
        if self.queue.get().is_some() { self.lock().len() } else { 0 }
    }

    /// The most calls in flight.
    pub fn limit(&self) -> u32 {
        self.limit.get()
    }

    /// The most calls waiting.
    pub(crate) fn max_queue(&self) -> u32 {
        self.max_queue
    }

    /// About how many permits come free before one for a newcomer of this tenant.
    pub(crate) fn ahead_of(&self, tenant: TenantKey) -> u32 {
        if self.queue.get().is_some() { self.lock().ahead_of(tenant) } else { 0 }
    }

    /// The slow path: under the lock, either a permit came free meanwhile or [`QUEUED`] is set at a moment when all
    /// were taken, so that whoever gives one back next looks into the queue.
    fn enter(&self, tenant: TenantKey) -> Result<Entered<'_>, Refused> {
        let mut queue = self.lock();
        let full = queue.len() >= self.max_queue;
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
        if queue.len() == 0 {
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

#[cfg(test)]
mod tests;
