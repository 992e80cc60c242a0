//! What a limiter knows beyond its windows: pauses, what the service told, places given up, the secret limit.

use std::num::NonZeroU64;
use std::time::Duration;

use super::Reservation;
use super::gcra::Window;
use super::policy::RateWindow;
use crate::pipeline::adaptive::Adaptive;

/// What a service told about one quota with an answer; `None` where it said nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Units left until the reset.
    pub remaining: Option<u64>,
    /// Units per window.
    pub limit: Option<u64>,
    /// The length of the window.
    pub window: Option<Duration>,
    /// Time until the quota is full again.
    pub reset_after: Option<Duration>,
}

/// Units that the service still grants until a reset.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    pub(super) left: u64,
    pub(super) until: u64,
}

/// A place in the queue that its owner gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Freed {
    pub(super) slot: u64,
    cost: u32,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Cold {
    pub(super) paused_from: u64,
    pub(super) paused_until: u64,
    /// How much of all pauses so far does not count as time in which buckets refill.
    pub(super) shift: u64,
    shift_before: u64,
    pub(super) budget: Option<Budget>,
    pub(super) adopted: Option<Window>,
    pub(super) adaptive: Option<Adaptive>,
    freed: Vec<Freed>,
    /// Units sent whose outcome is not known yet.
    pub(super) in_flight: u64,
}

impl Cold {
    /// Places remembered at most; a queue longer than this is already far beyond any sensible wait.
    const FREED: usize = 256;
    /// A reset further away than this is not believed: a month, the longest period that is sold.
    const FAR: Duration = Duration::from_hours(31 * 24);

    /// What another limiter of the same quota should know: without places and calls that only this one gets back.
    pub(super) fn for_successor(&self) -> Self {
        let adaptive = self.adaptive.as_ref().map(Adaptive::for_successor);
        Self { freed: Vec::new(), in_flight: 0, adaptive, ..self.clone() }
    }

    /// The time in which slots are counted: it stands still during a pause, so that all who queue keep their
    /// order and their distance, and nobody's slot passes while nobody may send. Except that one burst refills
    /// (`refill`, the shortest of the windows): this much may go at once when the pause ends.
    pub(super) fn virtual_now(&self, now: u64) -> u64 {
        now.max(self.paused_until).saturating_sub(self.shift)
    }

    pub(super) fn pause(&mut self, now: u64, until: u64, refill: u64) {
        if until <= now || until <= self.paused_until {
            return;
        }
        if now >= self.paused_until {
            self.paused_from = now;
            self.shift_before = self.shift;
        }
        self.paused_until = until;
        self.shift = self.shift_before + (until - self.paused_from).saturating_sub(refill);
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.freeze(now, until);
        }
    }

    pub(super) fn free(&mut self, virtual_now: u64, slot: u64, cost: u32) {
        self.freed.retain(|f| f.slot >= virtual_now);
        if slot > virtual_now && self.freed.len() < Self::FREED {
            self.freed.push(Freed { slot, cost });
        }
    }

    /// The earliest place that was given up and lies between `from` and `slot`.
    pub(super) fn freed_place(&self, from: u64, slot: u64, cost: u32) -> Option<Freed> {
        let fits = |f: &&Freed| f.slot >= from && f.slot < slot && f.cost >= cost;
        self.freed.iter().filter(fits).min_by_key(|f| f.slot).copied()
    }

    pub(super) fn reuse(&mut self, found: &Freed, cost: u32) {
        if let Some(i) = self.freed.iter().position(|f| f == found) {
            self.freed[i].cost -= cost;
            if self.freed[i].cost == 0 {
                self.freed.swap_remove(i);
            }
        }
    }

    /// The outcome of a call is known, or it was never sent.
    pub(super) fn back(&mut self, place: &Reservation) {
        if place.counted {
            self.in_flight = self.in_flight.saturating_sub(u64::from(place.cost));
        }
    }

    pub(super) fn learn(&mut self, now: u64, told: &Told) {
        if let (Some(limit), Some(per)) = (told.limit.and_then(NonZeroU64::new), told.window) {
            self.adopt(RateWindow::new(limit, per));
        }
        let reset = told.reset_after.filter(|d| !d.is_zero() && *d <= Self::FAR);
        if let (Some(remaining), Some(reset)) = (told.remaining, reset) {
            self.restrict(now, remaining, now + reset.as_nanos() as u64);
        }
    }

    fn adopt(&mut self, window: RateWindow) {
        // What cannot be a limit is ignored, as RFC drafts ask of malformed fields.
        let Ok(rate) = window.rate() else { return };
        match &mut self.adopted {
            Some(adopted) => adopted.rate = rate,
            None => self.adopted = Some(Window { rate, tat: 0 }),
        }
    }

    fn restrict(&mut self, now: u64, remaining: u64, until: u64) {
        let same_period = self.budget.as_ref().filter(|b| b.until > now);
        let sure = remaining.saturating_sub(self.in_flight);
        let left = match same_period {
            Some(budget) if self.in_flight > 0 => budget.left.min(sure),
            _ => sure,
        };
        self.budget = Some(Budget { left, until });
    }

    /// Until when the service grants nothing to a call of this cost.
    pub(super) fn spent_until(&self, now: u64, cost: u32) -> Option<u64> {
        let budget = self.budget.as_ref()?;
        (budget.until > now && budget.left < u64::from(cost)).then_some(budget.until)
    }

    /// Takes `cost` from what the service still grants; returns the reset that it was taken for.
    pub(super) fn spend(&mut self, now: u64, cost: u32) -> u64 {
        match &mut self.budget {
            Some(budget) if budget.until > now && budget.left >= u64::from(cost) => {
                budget.left -= u64::from(cost);
                budget.until
            }
            _ => 0,
        }
    }

    pub(super) fn unspend(&mut self, until: u64, cost: u32) {
        if let Some(budget) = self.budget.as_mut().filter(|b| b.until == until) {
            budget.left += u64::from(cost);
        }
    }
}
