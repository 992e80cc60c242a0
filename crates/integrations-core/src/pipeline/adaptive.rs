//! Finding a rate limit that nobody tells, by watching what the service refuses.
//!
//! Callers take numbered tickets; tickets fall due at the present rate, so a change of rate moves all who wait
//! and keeps their order. The controller knows three phases:
//!
//! 1. **Seek**, after a refusal. At a refusal the service's bucket is empty, so from then on
//!    (calls sent - calls refused) / time *is* the limit. The first refusal falls back to a rate known to be safe;
//!    each further one sets the rate to that estimate. Refusals in a row make the hold-off double, with one call
//!    at a time as a feeler, so a service that refuses everything for a while is asked seldom.
//! 2. **Hold**, a little below the estimate, until a probe is affordable: every accepted call earns
//!    [`EARN`] of a refusal, so refusals stay a small share of the traffic at any limit.
//! 3. **Probe**: a few percent up; each round of accepted calls doubles the step, up to [`STEEPEST`] per round,
//!    as long as callers are waiting (else a higher rate would prove nothing). It ends at its first refusal.
//!
//! What left before the last cut was sent at a rate already given up: its refusals are counted and ignored.

use std::time::Duration;

use super::limiter::Priority;

/// A place in the sequence of calls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ticket {
    /// The position at which it may go; negative when it has none yet.
    due: f64,
    /// Units sent before it.
    sent_before: f64,
}

impl Ticket {
    pub(crate) const NONE: Self = Self { due: -1.0, sent_before: -1.0 };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Seek,
    Hold,
    Probe,
}

/// The rate before anything is known: high, because the first refusals say more than a guess.
const FIRST_RATE: f64 = 1_000.0;
/// No limit is slower than one unit in this many seconds.
const SLOWEST: f64 = 1.0 / 3_600.0;
/// Kept below the estimate.
const MARGIN: f64 = 0.01;
/// Refusals that one accepted call pays for.
const EARN: f64 = 0.012;
/// Refusals that can be saved up.
const SAVINGS: f64 = 12.0;
const FIRST_STEP: f64 = 1.03;
const STEEPEST: f64 = 1.5;
/// Accepted calls that pass a round.
const ROUND: f64 = 4.0;
/// The shortest time between the end of one probe and the next.
const REST: f64 = 0.7;
/// A sleeper looks again after this time, to notice a rate that rose.
const LOOK_AGAIN: u64 = 50_000_000;
/// A feeler without answer is repeated after this time.
const FEELER: u64 = 1_000_000_000;
const SECOND: f64 = 1e9;

/// The controller of one secret limit.
#[derive(Debug)]
pub(crate) struct Adaptive {
    rate: f64,
    /// Units that have fallen due so far.
    position: f64,
    at: u64,
    /// The last ticket given out.
    tail: f64,
    /// Units with a ticket that have not gone yet.
    queued: f64,
    /// No ticket falls due before.
    held_until: u64,
    /// One call at a time, until one is accepted.
    feeling: bool,

    phase: Phase,
    /// The rate that a failed probe falls back to.
    safe: f64,
    step: f64,
    round: Round,
    rested_at: u64,
    credit: f64,
    cut_at: u64,
    refused_in_row: u32,
    anchor: Anchor,
    sent: f64,
}

/// What happened since the rate was last set.
#[derive(Debug, Clone, Copy)]
struct Round {
    since: u64,
    accepted: f64,
    /// Whether some caller had to wait, so that the rate was really used.
    waited: bool,
}

/// A moment at which the service's bucket was empty.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    at: u64,
    sent: f64,
    refused: f64,
}

impl Adaptive {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            rate: FIRST_RATE,
            position: 0.0,
            at: now,
            tail: 0.0,
            queued: 0.0,
            held_until: now,
            feeling: true,
            phase: Phase::Seek,
            safe: FIRST_RATE,
            step: FIRST_STEP,
            round: Round { since: now, accepted: 0.0, waited: false },
            rested_at: now,
            credit: SAVINGS / 2.0,
            cut_at: 0,
            refused_in_row: 0,
            anchor: Anchor { at: now, sent: 0.0, refused: 0.0 },
            sent: 0.0,
        }
    }

    pub(crate) fn rate(&self) -> f64 {
        self.rate
    }

    /// Nothing falls due before `until`.
    pub(crate) fn freeze(&mut self, now: u64, until: u64) {
        self.advance(now);
        self.held_until = self.held_until.max(until);
    }

    /// How long a new caller would have to wait.
    pub(crate) fn quote(&mut self, now: u64, cost: u32, priority: Priority) -> u64 {
        self.advance(now);
        let due = self.next_due(cost);
        let wait = self.until_due(now, due);
        if wait > 0 || priority == Priority::Interactive {
            return wait;
        }
        // The others leave a share of the small burst, and nothing goes to them past a queue.
        let share = if priority == Priority::Batch { 0.5 } else { 0.25 };
        let kept = (share * self.burst()).min(self.burst() - f64::from(cost)).max(0.0);
        if self.queued > 0.0 { self.interval(cost) } else { self.until_due(now, due + kept) }
    }

    pub(crate) fn reserve(&mut self, now: u64, cost: u32) -> Ticket {
        self.advance(now);
        self.tail = self.next_due(cost);
        self.queued += f64::from(cost);
        self.round.waited |= self.until_due(now, self.tail) > 0;
        Ticket { due: self.tail, ..Ticket::NONE }
    }

    /// How long the holder of a ticket should sleep before it asks again; 0 = go. Who reserved before there was
    /// a controller gets a ticket now.
    pub(crate) fn wait(&mut self, now: u64, ticket: &mut Ticket, cost: u32) -> u64 {
        if ticket.due < 0.0 {
            *ticket = self.reserve(now, cost);
        }
        self.advance(now);
        let wait = self.until_due(now, ticket.due);
        self.round.waited |= wait > 0;
        wait.min(LOOK_AGAIN)
    }

    pub(crate) fn depart(&mut self, now: u64, ticket: &mut Ticket, cost: u32) {
        self.queued -= f64::from(cost);
        ticket.sent_before = self.sent;
        self.sent += f64::from(cost);
        if self.feeling {
            self.held_until = self.held_until.max(now + FEELER);
        }
    }

    pub(crate) fn cancel(&mut self, ticket: &Ticket, cost: u32, gone: bool) {
        if ticket.due < 0.0 {
            return;
        }
        self.tail -= f64::from(cost);
        if gone {
            self.sent -= f64::from(cost);
        } else {
            self.queued -= f64::from(cost);
        }
    }

    pub(crate) fn on_ok(&mut self, now: u64, sent: u64, cost: u32) {
        self.credit = (self.credit + EARN * f64::from(cost)).min(SAVINGS);
        if sent >= self.cut_at {
            self.refused_in_row = 0;
            if self.feeling {
                self.advance(now);
                self.feeling = false;
                self.held_until = now;
            }
        }
        if sent >= self.round.since {
            self.round.accepted += f64::from(cost);
            self.steer(now);
        }
    }

    fn steer(&mut self, now: u64) {
        match self.phase {
            Phase::Seek => {
                if self.round.accepted >= (0.3 * self.rate).max(2.0 * ROUND) {
                    self.phase = Phase::Hold;
                    self.safe = self.rate;
                    self.rested_at = now;
                }
            }
            Phase::Hold => {
                let rested = seconds(now - self.rested_at) >= REST;
                if rested && self.credit >= 1.0 && self.round.waited {
                    self.phase = Phase::Probe;
                    self.step = FIRST_STEP;
                    self.set_rate(now, self.safe * self.step);
                }
            }
            Phase::Probe => {
                if self.round.accepted >= ROUND && self.round.waited {
                    self.step = (1.0 + 2.0 * (self.step - 1.0)).min(STEEPEST);
                    self.set_rate(now, self.rate * self.step);
                }
            }
        }
    }

    pub(crate) fn on_throttled(
        &mut self,
        now: u64,
        sent: u64,
        ticket: &Ticket,
        cost: u32,
        retry_after: Option<Duration>,
    ) {
        self.advance(now);
        self.credit = (self.credit - 1.0).max(-1.0);
        if ticket.sent_before >= self.anchor.sent {
            self.anchor.refused += f64::from(cost);
        }
        if sent < self.cut_at {
            return;
        }
        let rate = self.after_refusal(sent, ticket, cost);
        self.set_rate(now, rate);
        self.phase = Phase::Seek;
        self.cut_at = now;
        self.hold_off(now);
        if let Some(delay) = retry_after {
            // A refusal that costs a pause is afforded as seldom as one that costs that many calls.
            self.credit = -(delay.as_secs_f64() * self.rate * EARN);
        }
    }

    /// The rate to go on with.
    fn after_refusal(&mut self, sent: u64, ticket: &Ticket, cost: u32) -> f64 {
        let elapsed = seconds(sent.saturating_sub(self.anchor.at));
        let units = ticket.sent_before - self.anchor.sent - (self.anchor.refused - f64::from(cost));
        let measured = (units.max(0.0) + 0.5) / elapsed.max(1e-6);
        let known = ticket.due >= 0.0 && units >= 0.5;
        if self.phase == Phase::Seek {
            return if known { self.rate.min(measured * (1.0 - MARGIN)) } else { self.rate };
        }
        self.anchor = Anchor { at: sent, sent: ticket.sent_before + f64::from(cost), refused: 0.0 };
        if self.phase == Phase::Probe && self.rate > 1.5 * self.safe {
            return self.rate / self.step;
        }
        (measured * (1.0 - MARGIN)).clamp(0.95 * self.safe, 1.03 * self.safe).min(self.rate)
    }

    fn hold_off(&mut self, now: u64) {
        let first = (1.0 / self.rate).clamp(0.005, 1.0);
        let longest = (20.0 / self.rate).clamp(0.5, 60.0);
        let delay = (first * f64::from(1 << self.refused_in_row.min(20))).min(longest);
        self.refused_in_row += 1;
        self.feeling = self.refused_in_row > 1 || self.rate >= FIRST_RATE;
        self.held_until = self.held_until.min(now + FEELER).max(now + (delay * SECOND) as u64);
        // Sleepers whose tickets fell due meanwhile do not go together afterwards.
        self.position = self.position.min(self.tail - self.queued);
    }

    fn set_rate(&mut self, now: u64, rate: f64) {
        self.advance(now);
        self.rate = rate.max(SLOWEST);
        self.round = Round { since: now, accepted: 0.0, waited: false };
    }

    fn advance(&mut self, now: u64) {
        let from = self.at.max(self.held_until);
        if now > from {
            let due = self.position + self.rate * seconds(now - from);
            self.position = due.min(self.tail + self.burst());
        }
        self.at = self.at.max(now);
    }

    fn burst(&self) -> f64 {
        (0.02 * self.rate).max(1.0)
    }

    fn next_due(&self, cost: u32) -> f64 {
        self.tail.max(self.position - self.burst()) + f64::from(cost)
    }

    fn until_due(&self, now: u64, due: f64) -> u64 {
        let held = self.held_until.saturating_sub(now);
        let ahead = due - self.position;
        if ahead <= 1e-9 {
            return held;
        }
        held.saturating_add((ahead / self.rate * SECOND).ceil() as u64)
    }

    fn interval(&self, cost: u32) -> u64 {
        (f64::from(cost) / self.rate * SECOND) as u64
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / SECOND
}
