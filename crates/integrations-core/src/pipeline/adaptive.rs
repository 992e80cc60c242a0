//! Finding a rate limit that nobody tells, by watching what the service refuses.
//!
//! Callers take numbered tickets; tickets fall due at the present rate, so a change of rate moves all who wait
//! and keeps their order. The controller knows three phases:
//!
//! 1. **Seek**, after a refusal. A bucket that refused is empty, so from then on (sent - refused) / time *is* the
//!    limit; a service that counts per second took exactly its limit in the second before. The first refusal
//!    goes back to what went through in that second (`target`), or near to the rate held before; each further
//!    one goes down to the measured rate. Refusals in a row double the hold-off, with one call at a time as a
//!    feeler, so a service that refuses everything for a while is asked seldom.
//! 2. **Hold** that rate until a probe is affordable: an accepted call earns [`EARN`] of a refusal, so refusals
//!    stay a small share of the traffic at any limit. A rate cut below `target` climbs back without that.
//! 3. **Probe**: a few percent up; each round of accepted calls doubles the step, up to [`STEEPEST`] per round,
//!    as long as callers are held back (else a higher rate would prove nothing). It ends at its first refusal.
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
/// No limit is guessed to be slower than one unit in 1.7 s: a caller that makes one call after the other is then never
/// turned away by a guess under the default wait of 2 s. A slower limit shows by its refusals, which are held off.
const SLOWEST: f64 = 0.6;
/// Kept below the estimate.
const MARGIN: f64 = 0.005;
/// Refusals that one accepted call pays for.
const EARN: f64 = 0.012;
/// After a pause that the service asked for, so many times its length passes until the next probe.
const PAUSE_WEIGHT: f64 = 12.0;
/// The same, if the refused probe had found room: the limit may lie higher still.
const RISEN_WEIGHT: f64 = 5.0;
/// How much of a pause does not count when the limit is measured: a bucket fills up meanwhile, a window begins anew.
const PAUSE_SHARE: f64 = 0.8;
/// A rate held without a refusal for so many seconds is not above the limit, whatever a probe then measures.
const PROOF: f64 = 5.0;
/// Refusals granted at the start, beyond those until a first rate is held: that rate may be far too low.
const ADVANCE: f64 = 5.0;
/// Refusals that can be saved up.
const SAVINGS: f64 = 40.0;
const FIRST_STEP: f64 = 1.03;
const STEEPEST: f64 = 1.5;
/// Accepted calls that pass a round.
const ROUND: f64 = 4.0;
/// The step while the rate is below what the service took a moment ago.
const RETURN_STEP: f64 = 1.5;
/// Services that count per second forget what was sent before that. The shortest time between two probes.
const MEMORY: f64 = 1.0;
/// The shortest round, in seconds: a service that counts per second is slow to show that a rate is too high.
const SLOW_ROUND: f64 = 0.25;
/// The same, once the rate is so far up that the limit must have risen.
const QUICK_ROUND: f64 = 0.12;
/// A probe that came this far proves that the limit has risen.
const FAR: f64 = 1.3;
/// A sleeper looks again after this time, to notice a rate that rose.
const LOOK_AGAIN: u64 = 50_000_000;
/// A feeler without answer is repeated after this time.
const FEELER: u64 = 1_000_000_000;
const SECOND: f64 = 1e9;

/// The controller of one secret limit.
#[derive(Debug, Clone)]
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
    /// The end of the present pause.
    frozen_until: u64,
    /// One call at a time, until one is accepted.
    feeling: bool,

    phase: Phase,
    /// The rate that was held last.
    safe: f64,
    /// The limit is hardly above this: what went through in the second before a refusal.
    target: f64,
    step: f64,
    round: Round,
    recent: Recent,
    credit: f64,
    cut_at: u64,
    /// Since when the rate has been held.
    rested_at: u64,
    /// Whether the rate from which the last probe began had been held for [`PROOF`].
    proven: bool,
    /// The rate comes from the very first refusals alone, so that it may be far too low.
    rough: bool,
    refused_in_row: u32,
    /// Seconds for which the service went on refusing after a first refusal: long where it counts per window.
    blocked: f64,
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

/// What went through lately, in tenths of a second.
#[derive(Debug, Clone)]
struct Recent {
    start: u64,
    /// The tenth that was written last, counted from the epoch.
    tenth: u64,
    units: [f64; Self::KEPT],
}

impl Recent {
    const TENTH: u64 = 100_000_000;
    const KEPT: usize = 11;

    fn new(now: u64) -> Self {
        Self { start: now, tenth: now / Self::TENTH, units: [0.0; Self::KEPT] }
    }

    fn add(&mut self, at: u64, units: f64) {
        let tenth = at / Self::TENTH;
        for skipped in (self.tenth + 1..=tenth).take(Self::KEPT) {
            self.units[skipped as usize % Self::KEPT] = 0.0;
        }
        self.tenth = self.tenth.max(tenth);
        if self.tenth - tenth < Self::KEPT as u64 {
            self.units[tenth as usize % Self::KEPT] += units;
        }
    }

    /// Units per second over the last second, or as much of it as there was.
    fn rate(&mut self, now: u64) -> f64 {
        self.add(now, 0.0);
        let begun = now % Self::TENTH;
        let oldest = (now / Self::TENTH + 1) as usize % Self::KEPT;
        // Of the oldest tenth, as much counts as the present one still lacks.
        let lacking = 1.0 - begun as f64 / Self::TENTH as f64;
        let sum = self.units.iter().sum::<f64>() - self.units[oldest] * (1.0 - lacking);
        sum / seconds(now - self.start.min(now)).clamp(0.1, 1.0)
    }
}

/// A moment at which the service's bucket was empty.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    at: u64,
    sent: f64,
    refused: f64,
}

impl Adaptive {
    /// What another limiter of the same quota should know: the rate found, without the tickets that were given out here.
    pub(crate) fn for_successor(&self) -> Self {
        Self { tail: self.position, queued: 0.0, ..self.clone() }
    }

    pub(crate) fn new(now: u64) -> Self {
        Self {
            rate: FIRST_RATE,
            position: 0.0,
            at: now,
            tail: 0.0,
            queued: 0.0,
            held_until: now,
            frozen_until: 0,
            feeling: true,
            phase: Phase::Seek,
            safe: FIRST_RATE,
            target: FIRST_RATE,
            step: FIRST_STEP,
            round: Round { since: now, accepted: 0.0, waited: false },
            recent: Recent::new(now),
            credit: ADVANCE,
            cut_at: 0,
            rested_at: now,
            proven: false,
            rough: false,
            refused_in_row: 0,
            blocked: 0.0,
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
        let longer = until.saturating_sub(now.max(self.frozen_until));
        self.anchor.at = self.anchor.at.saturating_add((PAUSE_SHARE * longer as f64) as u64);
        self.frozen_until = self.frozen_until.max(until);
        self.held_until = self.held_until.max(until);
    }

    /// How long a new caller would have to wait.
    pub(crate) fn quote(&mut self, now: u64, cost: u32, priority: Priority) -> u64 {
        self.advance(now);
        let due = self.next_due(cost);
        let mut wait = self.until_due(now, due);
        if wait == 0 && priority != Priority::Interactive {
            wait = self.until_spare(now, due, cost, priority);
        }
        self.round.waited |= wait > 0;
        wait
    }

    fn until_spare(&self, now: u64, due: f64, cost: u32, priority: Priority) -> u64 {
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
        self.recent.add(now, f64::from(cost));
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
        if sent >= self.cut_at && self.refused_in_row > 0 {
            let short = self.refused_in_row == 1;
            self.blocked = if short { 0.7 * self.blocked } else { since(sent, self.anchor.at).min(0.1) };
            self.refused_in_row = 0;
        }
        if sent >= self.cut_at && self.feeling {
            self.advance(now);
            self.feeling = false;
            self.held_until = now.max(self.frozen_until);
        }
        if sent >= self.round.since {
            self.round.accepted += f64::from(cost);
            self.steer(now);
        }
    }

    fn steer(&mut self, now: u64) {
        match self.phase {
            Phase::Seek => {
                if self.round.accepted >= (0.1 * self.rate).max(ROUND) {
                    self.phase = Phase::Hold;
                    self.safe = self.rate;
                }
            }
            Phase::Hold => {
                let rested = since(now, self.rested_at);
                let enough = rested >= MEMORY + 5.0 * self.blocked;
                let returning = self.target > 1.1 * self.rate;
                if enough && self.round.waited && (returning || self.credit >= 1.0) {
                    self.phase = Phase::Probe;
                    self.proven = rested >= PROOF;
                    let rough = std::mem::take(&mut self.rough);
                    self.step = if returning || rough { RETURN_STEP } else { FIRST_STEP };
                    self.set_rate(now, self.rate * self.step);
                }
            }
            Phase::Probe => {
                let long_enough =
                    since(now, self.round.since) >= if self.step < FAR { SLOW_ROUND } else { QUICK_ROUND };
                if self.round.accepted >= ROUND && long_enough && self.round.waited {
                    self.step_up(now);
                }
            }
        }
    }

    fn step_up(&mut self, now: u64) {
        self.step = (1.0 + 2.0 * (self.step - 1.0)).min(STEEPEST);
        let next = self.rate * self.step;
        if self.rate < self.target && next >= self.target {
            self.phase = Phase::Hold;
            self.safe = self.target;
            self.rested_at = now;
        }
        self.set_rate(now, if self.phase == Phase::Hold { self.target } else { next });
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
        if self.safe < FIRST_RATE {
            self.credit -= self.credit.clamp(0.0, 1.0);
        }
        if ticket.sent_before >= self.anchor.sent {
            self.anchor.refused += f64::from(cost);
        }
        if ticket.sent_before >= 0.0 {
            self.recent.add(sent, -f64::from(cost));
        }
        if sent < self.cut_at {
            return;
        }
        let rate = self.after_refusal(sent, ticket, cost);
        self.set_rate(now, rate);
        let before = self.phase;
        self.phase = Phase::Seek;
        // What left in this very moment left before: nothing may leave for a while now.
        self.cut_at = now + 1;
        self.rested_at = now;
        self.hold_off(now);
        if let Some(delay) = retry_after {
            self.pay_for_pause(before, delay);
        }
    }

    fn pay_for_pause(&mut self, before: Phase, delay: Duration) {
        self.target = self.rate;
        if before == Phase::Seek {
            self.rough = self.safe >= FIRST_RATE;
            self.credit = 1.0;
            return;
        }
        let weight = if self.rate > 1.05 * self.safe { RISEN_WEIGHT } else { PAUSE_WEIGHT };
        self.credit = 1.0 - weight * delay.as_secs_f64() * self.rate * EARN;
    }

    /// The rate to go on with.
    fn after_refusal(&mut self, sent: u64, ticket: &Ticket, cost: u32) -> f64 {
        let recent = self.recent.rate(sent) * (1.0 - MARGIN);
        let measured = self.measured(sent, ticket, cost);
        if self.phase != Phase::Seek {
            self.anchor = Anchor { at: sent, sent: ticket.sent_before + f64::from(cost), refused: 0.0 };
        }
        match self.phase {
            Phase::Hold => {
                let measured = measured.unwrap_or(self.rate);
                self.target = recent.min(measured.clamp(0.93 * self.rate, 0.97 * self.rate));
                self.target
            }
            Phase::Probe if recent <= FAR * self.safe => {
                // What went through on average is not more than the limit, what went through last not less.
                let least = measured.unwrap_or(self.safe);
                let most = recent.clamp(least, 1.08 * least);
                let between = 0.25 * least + 0.75 * most;
                // Well above the held rate on average: the limit rose, or the service had saved up.
                let risen = if recent > 1.15 * self.safe { 0.6 * self.safe + 0.4 * recent } else { 0.0 };
                let (low, high) = if self.proven { (1.0, 1.01) } else { (0.97, 1.03) };
                self.target = between.clamp(low * self.safe, high * self.safe).max(risen);
                self.target
            }
            Phase::Probe => {
                self.target = recent.min(self.rate);
                0.95 * self.target
            }
            Phase::Seek => {
                // A few calls measure badly, so one refusal does not cut deep; before anything is known it may.
                let lowest = if self.rate >= FIRST_RATE { 0.0 } else { 0.4 * self.rate };
                let rate = measured.map_or(self.rate, |m| m.max(lowest).min(self.rate));
                self.target = self.target.min(recent).max(rate);
                rate
            }
        }
    }

    /// Calls taken per second since the last refusal that began an episode: the limit, if the service's bucket
    /// was empty then and was not full since.
    fn measured(&self, sent: u64, ticket: &Ticket, cost: u32) -> Option<f64> {
        let units = ticket.sent_before - self.anchor.sent - (self.anchor.refused - f64::from(cost));
        let known = ticket.due >= 0.0 && units >= 0.5;
        known.then(|| (units + 0.5) / since(sent, self.anchor.at).max(1e-6) * (1.0 - MARGIN))
    }

    fn hold_off(&mut self, now: u64) {
        let first = (1.0 / self.rate).clamp(0.03, 2.0).max(self.blocked);
        let longest = (20.0 / self.rate).clamp(0.5, 60.0);
        let delay = (first * f64::from(1 << self.refused_in_row.min(20))).min(longest);
        self.refused_in_row += 1;
        self.feeling = self.refused_in_row > 1 || self.rate >= FIRST_RATE;
        self.held_until = self.frozen_until.max(now + (delay * SECOND) as u64);
        // Sleepers whose tickets fell due meanwhile do not go together afterwards. The first of them has waited long enough:
        // counted after the hold-off once more, its place would come too late for the default wait.
        self.position = self.position.min(self.tail - self.queued) + (delay * self.rate).min(1.0);
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

fn since(now: u64, then: u64) -> f64 {
    seconds(now.saturating_sub(then))
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// One caller that always has work, answered at once by a bucket of `burst` calls; accepted and refused calls
    /// after the first two seconds.
    fn against_bucket(limit: f64, burst: f64, priority: Priority) -> (f64, f64) {
        let (mut adaptive, mut tokens, mut last) = (Adaptive::new(0), 0.0_f64, 0);
        let (mut accepted, mut refused) = (0.0, 0.0);
        for now in (0..60_000 * MS).step_by(MS as usize) {
            if adaptive.quote(now, 1, priority) > 0 {
                continue;
            }
            let mut ticket = adaptive.reserve(now, 1);
            adaptive.depart(now, &mut ticket, 1);
            tokens = (tokens + limit * seconds(now - last)).min(burst);
            last = now;
            let count = if tokens >= 1.0 {
                tokens -= 1.0;
                adaptive.on_ok(now, now, 1);
                &mut accepted
            } else {
                adaptive.on_throttled(now, now, &ticket, 1, None);
                &mut refused
            };
            *count += f64::from(u8::from(now >= 2_000 * MS));
        }
        (accepted / (58.0 * limit), refused / (accepted + refused))
    }

    #[test]
    fn settles_at_the_limit_of_a_bucket_whoever_asks() {
        for priority in [Priority::Interactive, Priority::Webhook, Priority::Batch] {
            // At 5/s a minute is 300 calls: the search is slow by design, and the advance weighs more.
            for (limit, burst, least, most) in
                [(5.0, 1.0, 0.7, 0.05), (30.0, 15.0, 0.9, 0.03), (200.0, 20.0, 0.9, 0.03)]
            {
                let (goodput, refused) = against_bucket(limit, burst, priority);
                assert!(goodput >= least, "{limit} {priority:?}: {goodput}");
                assert!(refused < most, "{limit} {priority:?}: {refused}");
            }
        }
    }

    #[test]
    fn a_refusal_of_a_call_sent_before_the_cut_changes_nothing() {
        let mut adaptive = Adaptive::new(0);
        let mut ticket = adaptive.reserve(0, 1);
        adaptive.depart(0, &mut ticket, 1);
        adaptive.on_throttled(10 * MS, 0, &ticket, 1, None);
        let (rate, held) = (adaptive.rate(), adaptive.held_until);
        // Also of one that left in the same instant.
        for sent in [5 * MS, 10 * MS] {
            adaptive.on_throttled(12 * MS, sent, &ticket, 1, None);
            assert_eq!((adaptive.rate().to_bits(), adaptive.held_until), (rate.to_bits(), held));
        }
    }

    #[test]
    fn one_call_after_the_other_is_never_turned_away_by_a_guess() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut adaptive, mut now, mut refused) = (Adaptive::new(0), 0, false);
            for call in 0..500 {
                let wait = adaptive.quote(now, 1, Priority::Interactive);
                // The default wait. Refusals in a row say more than a guess, and are not meant.
                assert!(wait <= 2_000 * MS, "seed {seed}, call {call}: {} ms", wait / MS);
                now += wait;
                let mut ticket = adaptive.reserve(now, 1);
                adaptive.depart(now, &mut ticket, 1);
                let sent = now;
                now += random.u64(0..=1_500) * MS;
                refused = !refused && random.u8(..10) < 3;
                if refused {
                    adaptive.on_throttled(now, sent, &ticket, 1, None);
                } else {
                    adaptive.on_ok(now, sent, 1);
                }
            }
        }
    }

    #[test]
    fn a_pause_without_end_ends_nothing_but_the_calls() {
        let mut adaptive = Adaptive::new(0);
        let mut ticket = adaptive.reserve(0, 1);
        adaptive.depart(0, &mut ticket, 1);
        adaptive.on_throttled(10 * MS, 0, &ticket, 1, Some(Duration::MAX));
        for _ in 0..2 {
            adaptive.freeze(10 * MS, u64::MAX);
        }
        assert!(adaptive.quote(20 * MS, 1, Priority::Interactive) >= u64::MAX - 20 * MS);
        adaptive.on_throttled(30 * MS, 15 * MS, &ticket, 1, None);
        assert!(adaptive.rate().is_finite() && adaptive.rate() >= SLOWEST);
    }

    #[test]
    fn what_went_through_lately_forgets_after_a_second() {
        let mut recent = Recent::new(0);
        for now in (0..3_000 * MS).step_by(10 * MS as usize) {
            recent.add(now, 1.0);
        }
        let rate = recent.rate(3_000 * MS);
        assert!((rate - 100.0).abs() < 11.0, "{rate}");
        assert!(recent.rate(4_200 * MS).abs() < 1e-9);
    }
}
