//! The rate limiter: one per quota key, shared by every caller of it.
//!
//! It is a state machine without a clock, a timer or a task: time is an argument, in nanoseconds since an epoch
//! that the caller chooses (monotonic), and the caller sleeps.
//!
//! ```
//! # use integrations_core::pipeline::limiter::{LimitPolicy, Limiter, Outcome, Priority, RateWindow};
//! # use std::{num::NonZeroU64, time::Duration};
//! let policy = LimitPolicy::default()
//!     .window(RateWindow::new(NonZeroU64::new(10).unwrap(), Duration::from_secs(1)).burst(1));
//! let limiter = Limiter::new(&policy)?;
//! let mut now = 0;
//! for _ in 0..3 {
//!     let mut place = limiter.reserve(now, 1, Priority::Interactive, Duration::from_secs(1))?;
//!     while let Some(wait) = limiter.admit(now, &mut place) {
//!         now += wait.as_nanos() as u64; // a caller sleeps here; if it gives up, it calls `cancel`
//!     }
//!     // ... the call is sent here ...
//!     limiter.settle(now, &place, Outcome::Accepted);
//! }
//! assert_eq!(now, 200_000_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - Windows are GCRA (see `gcra`). One window costs a load and a compare-and-swap. Several windows, or anything
//!   beyond windows, take a mutex: a call must see all of them at one moment to be exact, and an uncontended
//!   mutex is the same two read-modify-writes as two windows would be, without a way back to lose.
//! - While nothing was throttled and nothing was told, nothing else is looked at or written.

mod cold;
mod gcra;
mod policy;

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use self::cold::Told;
pub use self::policy::{LimitPolicy, RateWindow};

use self::cold::Cold;
use self::gcra::{Rate, Window};
use super::adaptive::{Adaptive, Ticket};
use crate::error::Result;

/// Who asks. Only interactive callers queue; the others use what leaves headroom for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Priority {
    /// Somebody waits for the answer. Queues in order of asking.
    #[default]
    Interactive,
    /// Work caused by an event. Leaves a quarter of each burst, and never queues.
    Webhook,
    /// Work that can wait. Leaves half of each burst, and never queues.
    Batch,
}

/// What held a call back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitReason {
    /// The service told everybody to pause.
    Pause,
    /// A configured or learnt window is full.
    Window,
    /// The service said that nothing remains until the reset.
    Spent,
    /// The rate found by watching refusals.
    Adaptive,
    /// There is quota, but it is kept for more urgent callers.
    Headroom,
    /// The call costs more than a window ever holds; waiting does not help.
    TooLarge,
}

/// A call that may not go now, nor within the wait it allowed. Nothing was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("held back by the rate limiter ({reason:?}); the next try makes sense in {retry_in:?}")]
#[non_exhaustive]
pub struct Refused {
    /// How long until the call could go, if nobody else asks before; `Duration::MAX` for
    /// [`LimitReason::TooLarge`].
    pub retry_in: Duration,
    /// What held it back longest.
    pub reason: LimitReason,
}

/// How a sent call ended, as far as quota is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The service took it up, whatever it answered.
    Accepted,
    /// The service refused it for its rate, and perhaps said when to come back.
    Throttled(Option<Duration>),
    /// Nobody knows: a timeout, a reset. The quota counts as spent.
    Lost,
}

/// A place among the callers of a limiter. Give it back by [`Limiter::cancel`] or [`Limiter::settle`].
#[derive(Debug)]
#[must_use = "a place that is neither settled nor cancelled stays taken"]
pub struct Reservation {
    /// In the limiter's virtual time.
    slot: u64,
    wait: u64,
    sent: u64,
    /// The reset for which the service's own budget was charged, or 0.
    budget: u64,
    ticket: Ticket,
    cost: u32,
    counted: bool,
    gone: bool,
}

impl Reservation {
    fn immediate(now: u64, cost: u32) -> Self {
        Self {
            slot: NOWHERE,
            wait: 0,
            sent: now,
            budget: 0,
            ticket: Ticket::NONE,
            cost,
            counted: false,
            gone: true,
        }
    }

    /// How long the caller has to wait as things stand; zero means that it may go now, without asking
    /// [`Limiter::admit`].
    pub fn wait(&self) -> Duration {
        Duration::from_nanos(self.wait)
    }

    /// The units reserved.
    pub fn cost(&self) -> u32 {
        self.cost
    }
}

/// One call's question, within the lock.
#[derive(Clone, Copy)]
struct Ask {
    now: u64,
    cost: u32,
    priority: Priority,
    max_wait: Duration,
}

/// The rate limiter of one quota key. See the [module](self).
#[repr(C)]
pub struct Limiter {
    // What a call with one window reads and writes comes first: `Gate` puts it on one cache line with the permits.
    tat: AtomicU64,
    mode: AtomicU8,
    learn: bool,
    adaptive: bool,
    /// Callers who wait for a place ahead, or for their turn to take one.
    lined_up: AtomicU32,
    rates: [Rate; 2],
    guarded: Mutex<Guarded>,
}

/// A caller among those who wait; dropped, it has left.
#[derive(Debug)]
pub(crate) struct LinedUp<'l>(&'l AtomicU32);

impl Drop for LinedUp<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The slot of a call that went while nothing limited; it took nothing that could be given back.
const NOWHERE: u64 = u64::MAX;

/// Nothing limits: a call goes at once.
const OPEN: u8 = 0;
/// One window, without lock.
const SINGLE: u8 = 1;
/// Everything through the mutex.
const GUARDED: u8 = 2;

#[derive(Default)]
struct Guarded {
    /// The state of the second window.
    tat: u64,
    /// The third window and those after it.
    rest: Box<[Window]>,
    cold: Option<Box<Cold>>,
}

impl Limiter {
    /// A limiter with full buckets.
    ///
    /// # Errors
    /// Those of [`LimitPolicy::validate`].
    pub fn new(policy: &LimitPolicy) -> Result<Self> {
        let mut rates = policy.rates()?.into_iter();
        let first = [rates.next(), rates.next()];
        let mode = match first {
            [None, _] => OPEN,
            [Some(_), None] => SINGLE,
            [Some(_), Some(_)] => GUARDED,
        };
        Ok(Self {
            tat: AtomicU64::new(0),
            rates: first.map(|rate| rate.unwrap_or(Rate::NONE)),
            guarded: Mutex::new(Guarded {
                rest: rates.map(|rate| Window { rate, tat: 0 }).collect(),
                ..Guarded::default()
            }),
            mode: AtomicU8::new(mode),
            learn: policy.learn,
            adaptive: policy.adaptive,
            lined_up: AtomicU32::new(0),
        })
    }

    /// Reserves `cost` units in all windows or in none. The place may lie ahead by at most `max_wait`; only
    /// interactive callers get one that does.
    ///
    /// # Errors
    /// [`Refused`], with nothing reserved.
    pub fn reserve(
        &self,
        now: u64,
        cost: u32,
        priority: Priority,
        max_wait: Duration,
    ) -> Result<Reservation, Refused> {
        let ask = Ask { now, cost, priority, max_wait };
        match self.mode.load(Ordering::Acquire) {
            OPEN => Ok(Reservation::immediate(now, cost)),
            SINGLE => self.reserve_single(ask),
            _ => self.reserve_guarded(ask),
        }
    }

    fn reserve_single(&self, ask: Ask) -> Result<Reservation, Refused> {
        let rate = self.rates[0];
        if !rate.holds(ask.cost) {
            return Err(TOO_LARGE);
        }
        let mut tat = self.tat.load(Ordering::Relaxed);
        loop {
            let slot = rate.earliest(tat, ask.cost, ask.priority).max(ask.now);
            let wait = slot - ask.now;
            if wait > 0 {
                ask.may_wait(wait, window_reason(rate, tat, ask.cost, ask.now))?;
            }
            let next = rate.after(tat, slot, ask.cost);
            match self.tat.compare_exchange_weak(tat, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    let place = Reservation::immediate(ask.now, ask.cost);
                    return Ok(Reservation { slot, wait, gone: wait == 0, ..place });
                }
                Err(seen) => tat = seen,
            }
        }
    }

    fn reserve_guarded(&self, ask: Ask) -> Result<Reservation, Refused> {
        let mut guard = self.lock();
        let guarded = &mut *guard;
        let configured = self.rates.iter().chain(guarded.rest.iter().map(|w| &w.rate));
        if !configured.copied().all(|rate| rate.holds(ask.cost)) {
            return Err(TOO_LARGE);
        }
        let (virtual_now, pause) = guarded.clock(ask.now);
        let mut slot = virtual_now;
        let mut floor = virtual_now;
        let mut reason = if pause > 0 { LimitReason::Pause } else { LimitReason::Window };
        if let Some(until) = guarded.cold.as_ref().and_then(|c| c.spent_until(ask.now, ask.cost)) {
            floor += (until - ask.now).saturating_sub(pause);
            slot = floor;
            reason = LimitReason::Spent;
        }
        self.visit(guarded, |rate, tat| {
            let earliest = rate.earliest(tat, ask.cost, ask.priority);
            if earliest > slot {
                slot = earliest;
                reason = window_reason(rate, tat, ask.cost, virtual_now);
            }
            tat
        });
        let freed = guarded.cold.as_ref().and_then(|c| c.freed_place(floor, slot, ask.cost));
        let slot = freed.map_or(slot, |f| f.slot);
        let mut wait = pause + (slot - virtual_now);
        let adaptive = guarded.cold.as_mut().and_then(|c| c.adaptive.as_mut());
        if let Some(needs) = adaptive.map(|a| a.quote(ask.now, ask.cost, ask.priority))
            && needs > wait
        {
            wait = needs;
            reason = LimitReason::Adaptive;
        }
        if wait > 0 {
            ask.may_wait(wait, reason)?;
        }
        match (freed, &mut guarded.cold) {
            (Some(freed), Some(cold)) => cold.reuse(&freed, ask.cost),
            _ => self.visit(guarded, |rate, tat| rate.after(tat, slot, ask.cost)),
        }
        Ok(take(guarded, ask, slot, wait))
    }

    /// Asks whether the caller may send now. `None`: it may, and counts as sent. Otherwise it has to sleep this
    /// long and ask again: a pause or a lower rate may have come since, and a rate that is still being found is
    /// looked at often.
    pub fn admit(&self, now: u64, place: &mut Reservation) -> Option<Duration> {
        if place.gone {
            return None;
        }
        if self.mode.load(Ordering::Acquire) != GUARDED {
            place.wait = place.slot.saturating_sub(now);
            if place.wait == 0 {
                place.gone = true;
                place.sent = now;
                return None;
            }
            return Some(place.wait());
        }
        let mut guarded = self.lock();
        let (virtual_now, pause) = guarded.clock(now);
        place.wait = pause + place.slot.saturating_sub(virtual_now);
        if let Some(adaptive) = guarded.cold.as_mut().and_then(|c| c.adaptive.as_mut()) {
            place.wait = place.wait.max(adaptive.wait(now, &mut place.ticket, place.cost));
        }
        if place.wait == 0 {
            depart(&mut guarded, now, place);
            return None;
        }
        Some(place.wait())
    }

    /// Gives back a place whose call was not sent: the caller gave up, or a later stage refused.
    ///
    /// The units are free again at once. Of a queue, only the last place can be taken back without moving
    /// others; one from the middle goes to the next caller that would have to wait longer.
    #[expect(clippy::needless_pass_by_value, reason = "a place that was given back must not be used again")]
    pub fn cancel(&self, now: u64, place: Reservation) {
        let mode = self.mode.load(Ordering::Acquire);
        if mode == OPEN || (mode == SINGLE && self.cancel_single(now, &place)) {
            return;
        }
        let mut guarded = self.lock();
        let (virtual_now, _) = guarded.clock(now);
        if place.slot == NOWHERE {
            // It took nothing from any window.
        } else if self.is_last(&mut guarded, virtual_now, place.slot) {
            self.visit(&mut guarded, |rate, tat| tat.saturating_sub(rate.span(place.cost)));
        } else {
            guarded.cold().free(virtual_now, place.slot, place.cost);
            self.mode.store(GUARDED, Ordering::Release);
        }
        let cold = guarded.cold();
        cold.unspend(place.budget, place.cost);
        cold.back(&place);
        if let Some(adaptive) = &mut cold.adaptive {
            adaptive.cancel(&place.ticket, place.cost, place.gone);
        }
    }

    /// Returns whether the units could be given back without lock.
    fn cancel_single(&self, now: u64, place: &Reservation) -> bool {
        let rate = self.rates[0];
        let span = rate.span(place.cost);
        let mut tat = self.tat.load(Ordering::Relaxed);
        loop {
            let newest = tat.saturating_sub(rate.tolerance);
            if newest > now.max(place.slot) {
                return false;
            }
            let next = tat.saturating_sub(span);
            match self.tat.compare_exchange_weak(tat, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(seen) => tat = seen,
            }
        }
    }

    /// Whether no place after `slot` is still ahead.
    fn is_last(&self, guarded: &mut Guarded, virtual_now: u64, slot: u64) -> bool {
        let mut newest = 0;
        self.visit(guarded, |rate, tat| {
            newest = newest.max(tat.saturating_sub(rate.tolerance));
            tat
        });
        newest <= slot.max(virtual_now)
    }

    /// Tells how a sent call ended.
    pub fn settle(&self, now: u64, place: &Reservation, outcome: Outcome) {
        match outcome {
            Outcome::Throttled(retry_after) => self.on_throttled(now, place, retry_after),
            Outcome::Accepted | Outcome::Lost => {
                if self.mode.load(Ordering::Acquire) == GUARDED {
                    self.on_answer(now, place, outcome);
                }
            }
        }
    }

    fn on_answer(&self, now: u64, place: &Reservation, outcome: Outcome) {
        let mut guarded = self.lock();
        let Some(cold) = &mut guarded.cold else { return };
        cold.back(place);
        if let Some(adaptive) = &mut cold.adaptive
            && outcome == Outcome::Accepted
        {
            adaptive.on_ok(now, place.sent, place.cost);
        }
    }

    fn on_throttled(&self, now: u64, place: &Reservation, retry_after: Option<Duration>) {
        let mut guarded = self.lock();
        let cold = guarded.cold();
        cold.back(place);
        if self.adaptive {
            let adaptive = cold.adaptive.get_or_insert_with(|| Adaptive::new(now));
            adaptive.on_throttled(now, place.sent, &place.ticket, place.cost, retry_after);
        }
        if let Some(delay) = retry_after {
            let until = now.saturating_add(delay.as_nanos().min(u128::from(u64::MAX)) as u64);
            self.pause(&mut guarded, now, until);
        }
        self.mode.store(GUARDED, Ordering::Release);
    }

    /// Holds everybody back until `until`, also those who have a place already. An earlier end than the present
    /// one changes nothing. During the pause places keep their order and distance, and at most one burst refills.
    pub fn pause_until(&self, now: u64, until: u64) {
        let mut guarded = self.lock();
        self.pause(&mut guarded, now, until);
        self.mode.store(GUARDED, Ordering::Release);
    }

    fn pause(&self, guarded: &mut Guarded, now: u64, until: u64) {
        let mut refill = u64::MAX;
        self.visit(guarded, |rate, tat| {
            refill = refill.min(rate.tolerance);
            tat
        });
        guarded.cold().pause(now, until, refill);
    }

    /// A limiter under another policy with what is a fact about the quota: units already spent, pauses, what the service
    /// told, the rate found so far.
    ///
    /// # Errors
    /// Those of [`LimitPolicy::validate`].
    pub(crate) fn successor(&self, now: u64, policy: &LimitPolicy) -> Result<Self> {
        let new = Self::new(policy)?;
        let mut old = self.lock();
        let (virtual_now, _) = old.clock(now);
        let mut windows = Vec::new();
        self.visit(&mut old, |rate, tat| {
            windows.push(Window { rate, tat });
            tat
        });
        let mut guarded = new.lock();
        new.visit(&mut guarded, |rate, _| gcra::inherited(&windows, rate, virtual_now));
        if let Some(cold) = &old.cold {
            let mut cold = cold.for_successor();
            if !policy.learn {
                cold.budget = None;
                cold.adopted = None;
            }
            if !policy.adaptive {
                cold.adaptive = None;
            }
            guarded.cold = Some(Box::new(cold));
            new.mode.store(GUARDED, Ordering::Release);
        }
        drop(guarded);
        Ok(new)
    }

    /// Whether this limiter is what `policy` makes.
    pub(crate) fn is_of(&self, policy: &LimitPolicy) -> bool {
        let Ok(rates) = policy.rates() else { return false };
        let guarded = self.lock();
        let configured = self.rates.iter().copied().filter(|rate| *rate != Rate::NONE);
        let same = configured.chain(guarded.rest.iter().map(|window| window.rate)).eq(rates);
        same && (self.learn, self.adaptive) == (policy.learn, policy.adaptive)
    }

    /// What an interactive call would be told that comes after `ahead` units of others who have no place yet, as far as
    /// windows, pauses and what the service told can say: it may be longer, not shorter. Reserves nothing.
    pub(crate) fn outlook(&self, now: u64, ahead: u32, cost: u32) -> Refused {
        let mut guard = self.lock();
        let guarded = &mut *guard;
        let (virtual_now, pause) = guarded.clock(now);
        let mut wait = 0;
        self.visit(guarded, |rate, tat| {
            let taken = tat.max(virtual_now).saturating_add(rate.interval.saturating_mul(ahead.into()));
            wait = wait.max(rate.earliest(taken, cost, Priority::Interactive).saturating_sub(virtual_now));
            tat
        });
        let mut reason = if pause > 0 { LimitReason::Pause } else { LimitReason::Window };
        let units = ahead.saturating_add(cost);
        let spent = guarded.cold.as_ref().and_then(|cold| cold.spent_until(now, units));
        if let Some(until) = spent.filter(|until| until - now > pause + wait) {
            (wait, reason) = (until - now - pause, LimitReason::Spent);
        }
        Refused { retry_in: Duration::from_nanos(pause.saturating_add(wait)), reason }
    }

    /// How long the last pause lasts from `since` on.
    pub(crate) fn paused_since(&self, since: u64) -> Duration {
        let guarded = self.lock();
        let paused = |cold: &Cold| cold.paused_until.saturating_sub(cold.paused_from.max(since));
        Duration::from_nanos(guarded.cold.as_deref().map_or(0, paused))
    }

    /// Units that the service said are left until its reset, less those sent since.
    pub(crate) fn left(&self, now: u64) -> Option<u64> {
        if self.mode.load(Ordering::Acquire) != GUARDED {
            return None;
        }
        let guarded = self.lock();
        let budget = guarded.cold.as_ref()?.budget.as_ref()?;
        (budget.until > now).then_some(budget.left)
    }

    /// Counts a caller among those who wait until what is returned is dropped.
    pub(crate) fn line_up(&self) -> LinedUp<'_> {
        self.lined_up.fetch_add(1, Ordering::Relaxed);
        LinedUp(&self.lined_up)
    }

    /// Whether somebody waits, so that a newcomer must not take a place at once.
    #[inline]
    pub(crate) fn has_line(&self) -> bool {
        self.lined_up.load(Ordering::Relaxed) > 0
    }

    /// How long the present pause still lasts.
    pub fn paused(&self, now: u64) -> Option<Duration> {
        if self.mode.load(Ordering::Acquire) != GUARDED {
            return None;
        }
        let (_, pause) = self.lock().clock(now);
        (pause > 0).then(|| Duration::from_nanos(pause))
    }

    /// Obeys what the service told with an answer that arrived at `now`; nothing, unless the policy learns.
    ///
    /// - `remaining` with `reset_after`: until then at most so many units are sent. The answer does not say
    ///   whether calls that are still out were counted, so they are counted as not yet: `remaining` less those.
    ///   Within one period this only lowers what is left, except when nothing is out: then the answer is exact and
    ///   is taken as it is. So a pessimistic figure starves nobody: what is out comes back and corrects it.
    /// - `limit` with `window`: a further window, beside the configured ones, which it cannot raise.
    /// - Values that cannot be (a window of 0, a reset beyond 31 days) are ignored.
    pub fn learn(&self, now: u64, told: &Told) {
        if !self.learn || *told == Told::default() {
            return;
        }
        self.lock().cold().learn(now, told);
        self.mode.store(GUARDED, Ordering::Release);
    }

    /// Units per second at which a secret limit is approached at present; `None` before the first refusal.
    pub fn rate(&self) -> Option<f64> {
        if self.mode.load(Ordering::Acquire) != GUARDED {
            return None;
        }
        Some(self.lock().cold.as_ref()?.adaptive.as_ref()?.rate())
    }

    /// Reads what the next call will need, so that it is on its way from memory. See `Slot::touch`.
    #[inline]
    pub(crate) fn touch(&self) -> u64 {
        self.tat.load(Ordering::Relaxed) ^ self.rates[0].interval
    }

    /// Whether a new limiter would behave the same: full buckets, no pause, nothing learnt.
    pub fn is_idle(&self, now: u64) -> bool {
        if self.tat.load(Ordering::Relaxed) > now {
            return false;
        }
        let guarded = self.lock();
        guarded.cold.is_none() && guarded.tat <= now && guarded.rest.iter().all(|window| window.tat <= now)
    }

    fn lock(&self) -> MutexGuard<'_, Guarded> {
        // Nothing in a critical section panics between two writes that belong together.
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows every window to `f` and stores the TAT that it returns.
    fn visit(&self, guarded: &mut Guarded, mut f: impl FnMut(Rate, u64) -> u64) {
        let [first, second] = self.rates;
        if first != Rate::NONE {
            let tat = self.tat.load(Ordering::Relaxed);
            let next = f(first, tat);
            if next != tat {
                self.tat.store(next, Ordering::Relaxed);
            }
        }
        if second != Rate::NONE {
            guarded.tat = f(second, guarded.tat);
        }
        let adopted = guarded.cold.as_mut().and_then(|c| c.adopted.as_mut());
        for window in guarded.rest.iter_mut().chain(adopted) {
            window.tat = f(window.rate, window.tat);
        }
    }
}

const TOO_LARGE: Refused = Refused { retry_in: Duration::MAX, reason: LimitReason::TooLarge };

impl Ask {
    fn may_wait(&self, wait: u64, reason: LimitReason) -> Result<(), Refused> {
        let retry_in = Duration::from_nanos(wait);
        if self.priority == Priority::Interactive && retry_in <= self.max_wait {
            return Ok(());
        }
        Err(Refused { retry_in, reason })
    }
}

fn window_reason(rate: Rate, tat: u64, cost: u32, now: u64) -> LimitReason {
    let kept = rate.earliest(tat, cost, Priority::Interactive) <= now;
    if kept { LimitReason::Headroom } else { LimitReason::Window }
}

impl Guarded {
    fn cold(&mut self) -> &mut Cold {
        self.cold.get_or_insert_default()
    }

    /// Virtual time, and how long the present pause still lasts.
    fn clock(&self, now: u64) -> (u64, u64) {
        self.cold.as_ref().map_or((now, 0), |c| (c.virtual_now(now), c.paused_until.saturating_sub(now)))
    }
}

fn take(guarded: &mut Guarded, ask: Ask, slot: u64, wait: u64) -> Reservation {
    let mut place = Reservation::immediate(ask.now, ask.cost);
    place.slot = slot;
    place.wait = wait;
    place.gone = false;
    if let Some(cold) = &mut guarded.cold {
        place.budget = cold.spend(ask.now, ask.cost);
        if let Some(adaptive) = &mut cold.adaptive {
            place.ticket = adaptive.reserve(ask.now, ask.cost);
        }
    }
    if wait == 0 {
        depart(guarded, ask.now, &mut place);
    }
    place
}

fn depart(guarded: &mut Guarded, now: u64, place: &mut Reservation) {
    place.gone = true;
    place.sent = now;
    if let Some(cold) = &mut guarded.cold {
        place.counted = true;
        cold.in_flight += u64::from(place.cost);
        if let Some(adaptive) = &mut cold.adaptive {
            adaptive.depart(now, &mut place.ticket, place.cost);
        }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter")
            .field("learn", &self.learn)
            .field("adaptive", &self.adaptive)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
