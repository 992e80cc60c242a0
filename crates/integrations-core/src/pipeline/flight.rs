//! One call on its way through the stages: admission, settlement, the decision to try again.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::breaker::{Pass, State, Verdict};
use super::budget::{Cost, RetryBudget, Withdrawal};
use super::concurrency::Permit;
use super::limiter::{LimitReason, Limiter, LinedUp, Outcome, Priority, Reservation};
use super::retry::{forbidden, is_throttle};
use super::stages::{GateKey, Slot, Stages};
use super::ticket::Ticket;
use super::{Attempt, Call, Handle, Pipeline, telemetry};
use crate::error::{Effect, Error, ErrorKind, Repeat, Result};
use crate::idempotency::IdempotencyKey;
use crate::op::{Op, Safety};
use crate::timeline::{Event, Timeline, WaitReason};

/// A call that does not queue asks its limiter again this much later than it was told, or up to twice that.
const ASK_AGAIN: Duration = Duration::from_millis(2);

/// So far ahead of their time places at the vendor's limiter are taken by callers who are done with their turn.
const AHEAD: Duration = Duration::from_millis(10);

/// What follows a failed attempt.
pub(crate) enum Next {
    GiveUp(Error),
    Again(Duration),
}

/// The turn to take a place ahead at the vendor's limiter.
struct Turn<'p> {
    _permit: Permit<'p>,
    _lined_up: LinedUp<'p>,
}

pub(crate) struct Flight<'p> {
    pipeline: &'p Pipeline,
    stages: &'p Stages,
    slot: &'p Slot,
    op: &'static Op,
    key: Option<IdempotencyKey>,
    span: tracing::Span,
    started: u64,
    deadline: u64,
    /// Attempts sent so far, hedges included.
    sent: u32,
    retries: u32,
    /// What the last retry took from the tenant's budget and from the vendor's.
    withdrawn: Option<(Withdrawal, Withdrawal)>,
    hedged: bool,
    refreshed: bool,
    clock_corrected: bool,
    /// An earlier attempt may have acted.
    maybe_acted: bool,
    waited: bool,
    last_error: Option<Error>,
    /// `None` until something other than a first success happens.
    timeline: Option<Box<Timeline>>,
    finished: bool,
}

impl<'p> Flight<'p> {
    /// Stages 1 to 4: what is done once per call.
    pub(crate) fn begin(
        pipeline: &'p Pipeline,
        op: &'static Op,
        key: Option<IdempotencyKey>,
    ) -> Result<Self> {
        let shared = &*pipeline.shared;
        let stages = &*shared.stages;
        let slot = pipeline.slot(op);
        slot.touch();
        let started = stages.now();
        let mut flight = Self {
            pipeline,
            stages,
            slot,
            op,
            key,
            span: telemetry::call_span(op, &shared.owner),
            started,
            deadline: started.saturating_add(pipeline.time_limit),
            sent: 0,
            retries: 0,
            withdrawn: None,
            hedged: false,
            refreshed: false,
            clock_corrected: false,
            maybe_acted: false,
            waited: false,
            last_error: None,
            timeline: None,
            finished: false,
        };
        if let Some(error) = flight.switched_off() {
            return Err(flight.finish(error));
        }
        if op.safety == Safety::Keyed && flight.key.is_none() {
            flight.key = Some(IdempotencyKey::mint().map_err(|e| flight.finish(e))?);
        }
        Ok(flight)
    }

    /// Stage 2: why the call may not be made at all.
    #[inline]
    fn switched_off(&self) -> Option<Error> {
        let all = self.stages.is_stopped();
        if !all && self.slot.tenancy.off.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Some(off(all, &self.pipeline.shared.owner.scope.instance))
    }

    pub(crate) fn attempt(&self, ticket: &Ticket<'p>) -> Attempt<'p> {
        let shared = &self.pipeline.shared;
        Attempt {
            number: ticket.number,
            call: Call { key: self.key.clone(), scope: &shared.owner.scope, policy: &shared.policy },
            deadline: ticket.deadline,
            slot: Handle { slot: self.slot, stages: self.stages },
        }
    }

    pub(crate) fn instant(&self, at: u64) -> Instant {
        self.stages.instant(at)
    }

    fn now(&self) -> u64 {
        self.stages.now()
    }

    pub(crate) fn ticket(&self) -> Ticket<'p> {
        Ticket::new(self.slot, self.stages)
    }

    /// Stages 6 to 8 when none of them has to wait. `false` leaves the ticket empty: [`Flight::admit`] waits.
    pub(crate) fn admit_now(&mut self, ticket: &mut Ticket<'p>) -> bool {
        let now = if self.sent == 0 { self.started } else { self.now() };
        if now >= self.deadline || (self.sent > 0 && self.switched_off().is_some()) {
            return false;
        }
        ticket.settled = false;
        if self.try_stages(ticket, now).is_none() {
            ticket.abandon();
            return false;
        }
        self.count(ticket, now);
        true
    }

    fn try_stages(&self, ticket: &mut Ticket<'p>, now: u64) -> Option<()> {
        let slot = self.slot;
        if let Some(breaker) = &slot.gate.breaker {
            ticket.pass = Some(breaker.admit(now).ok()?);
        }
        let (cost, priority) = (self.op.cost, self.pipeline.priority);
        if let Some(limiter) = &slot.gate.limiter {
            if limiter.has_line() {
                return None; // Somebody waits for a place: nobody overtakes.
            }
            ticket.quota = Some(limiter.reserve(now, cost, priority, Duration::ZERO).ok()?);
        }
        if let Some(share) = &slot.tenancy.share {
            ticket.share = Some(share.reserve(now, cost, priority, Duration::ZERO).ok()?);
        }
        if let Some(concurrency) = &slot.gate.concurrency {
            ticket.permit = Some(concurrency.try_acquire()?);
        }
        Some(())
    }

    /// Stages 6 to 8 with waits, each as far as policy and deadline allow.
    pub(crate) async fn admit(&mut self, ticket: &mut Ticket<'p>) -> Result<()> {
        loop {
            self.wait_for_stages(ticket).await?;
            let now = self.now();
            if let Some(error) = self.switched_off() {
                return Err(self.finish(error));
            }
            if now >= self.deadline {
                let message = "the time of the call was over before an attempt could be sent";
                return Err(self.refused(ErrorKind::Timeout, message, Duration::ZERO));
            }
            if !self.is_overtaken(ticket, now) {
                self.count(ticket, now);
                return Ok(());
            }
            ticket.abandon();
        }
    }

    async fn wait_for_stages(&mut self, ticket: &mut Ticket<'p>) -> Result<()> {
        let slot = self.slot;
        ticket.settled = false;
        ticket.pass = self.pass_breaker().await?;
        if let Some(limiter) = &slot.gate.limiter {
            let turn = self.take_turn(limiter).await?;
            self.pass_limiter(limiter, turn, &mut ticket.quota, WaitReason::RateLimit).await?;
        }
        if let Some(share) = &slot.tenancy.share {
            self.pass_limiter(share, None, &mut ticket.share, WaitReason::TenantShare).await?;
        }
        ticket.permit = self.queue().await?;
        Ok(())
    }

    /// Whether a pause began or the breaker opened while this attempt waited at a later stage: it then gives up its
    /// places and asks again, so that a queue does not empty itself into a service that wants to be left alone.
    fn is_overtaken(&self, ticket: &Ticket<'p>, now: u64) -> bool {
        let gate = &self.slot.gate;
        let paused = gate.limiter.as_ref().is_some_and(|limiter| limiter.paused(now).is_some());
        let (Some(breaker), Some(pass)) = (&gate.breaker, &ticket.pass) else { return paused };
        let blocked = match breaker.state(now) {
            State::Open | State::ForcedOpen => true,
            State::HalfOpen => !pass.is_probe(),
            State::Closed | State::Disabled => false,
        };
        blocked || paused
    }

    /// A second attempt beside a slow first one: only if every stage lets it through at once.
    pub(crate) fn admit_hedge(&mut self, first: &Ticket<'p>) -> Option<Ticket<'p>> {
        let now = self.now();
        if self.hedged || now >= first.deadline || self.hedge_at(first).is_none() {
            return None;
        }
        self.hedged = true;
        let (tenant, vendor) = (&self.slot.tenancy.budget, &self.slot.vendor_budget);
        let (from_tenant, from_vendor) = RetryBudget::withdraw_both(tenant, vendor, Cost::Retry)?;
        let mut second = self.ticket();
        if !self.admit_now(&mut second) {
            tenant.refund(from_tenant);
            vendor.refund(from_vendor);
            return None;
        }
        // Its tokens are spent even if the call succeeds: else hedges would double the load of a service that is slow.
        second.slow_since = first.started;
        self.slot.metrics.hedge();
        let after = Duration::from_nanos(now.saturating_sub(first.started));
        self.note(now, Event::Hedged { after });
        tracing::debug!(parent: &self.span, after_ms = after.as_millis() as u64, "hedged");
        Some(second)
    }

    /// When a second attempt is due: only for reads, once per call, and only with enough samples.
    pub(crate) fn hedge_at(&self, ticket: &Ticket<'p>) -> Option<u64> {
        if self.op.safety != Safety::Read {
            return None;
        }
        let delay = self.slot.latency.as_ref()?.delay()?;
        let at = ticket.started.saturating_add(nanos(delay));
        (at < ticket.deadline).then_some(at)
    }

    fn count(&mut self, ticket: &mut Ticket<'p>, now: u64) {
        let limit = nanos(self.pipeline.shared.policy.attempt_timeout);
        self.sent += 1;
        ticket.number = self.sent;
        (ticket.started, ticket.slow_since) = (now, now);
        ticket.deadline = now.saturating_add(limit).min(self.deadline);
        ticket.span = telemetry::attempt_span(self.op, self.sent, &self.span);
    }

    async fn pass_breaker(&mut self) -> Result<Option<Pass>> {
        let Some(breaker) = &self.slot.gate.breaker else { return Ok(None) };
        let give_up_at = self.now().saturating_add(nanos(self.pipeline.shared.policy.wait.limit()));
        loop {
            let now = self.now();
            let blocked = match breaker.admit(now) {
                Ok(pass) => return Ok(Some(pass)),
                Err(blocked) => blocked,
            };
            let until = now.saturating_add(nanos(blocked.retry_in));
            let limit = give_up_at.min(self.deadline);
            if now >= limit || (!blocked.probing && until > limit) {
                return Err(self.refused(
                    ErrorKind::CircuitOpen,
                    "the circuit breaker holds calls back after repeated failures",
                    blocked.retry_in,
                ));
            }
            let until = self.instant(until.min(limit));
            let _ = tokio::time::timeout_at(until, breaker.changed(blocked)).await;
            self.note_wait(WaitReason::Breaker, now);
        }
    }

    /// The turn to take a place at the vendor's limiter. Places are given out in the order of asking, so that a tenant
    /// with a thousand calls would have a thousand in a row: only who has the turn takes one, and tenants take turns. A
    /// wait that cannot end in time is refused at once, as far as that can be known. Callers that do not queue need no
    /// turn: there is no place for them while others wait.
    async fn take_turn(&mut self, limiter: &'p Limiter) -> Result<Option<Turn<'p>>> {
        if self.pipeline.priority != Priority::Interactive {
            return Ok(None);
        }
        let lined_up = limiter.line_up();
        let line = &self.slot.gate.line;
        if let Some(permit) = line.try_acquire() {
            return Ok(Some(Turn { _permit: permit, _lined_up: lined_up }));
        }
        let (now, tenant, cost) = (self.now(), self.pipeline.shared.owner.tenant, self.op.cost);
        let longest = self.longest_wait(now);
        let outlook = limiter.outlook(now, line.ahead_of(tenant), cost);
        if outlook.retry_in > longest {
            return Err(self.held_back(outlook.reason, outlook.retry_in));
        }
        let mut turn = pin!(line.acquire(tenant));
        let mut until = now.saturating_add(nanos(longest));
        let outcome = loop {
            match tokio::time::timeout_at(self.instant(until), turn.as_mut()).await {
                Ok(outcome) => break outcome.ok(),
                // A pause that came meanwhile makes everybody late and turns nobody away.
                Err(_) => {
                    let paused = longest.saturating_add(limiter.paused_since(now));
                    let later = now.saturating_add(nanos(paused)).min(self.deadline);
                    if later <= until {
                        break None;
                    }
                    until = later;
                }
            }
        };
        let reason =
            if limiter.paused_since(now).is_zero() { WaitReason::RateLimit } else { WaitReason::VendorPause };
        self.note_wait(reason, now);
        if let Some(permit) = outcome {
            return Ok(Some(Turn { _permit: permit, _lined_up: lined_up }));
        }
        let outlook = limiter.outlook(self.now(), line.ahead_of(tenant).max(1), cost);
        Err(self.held_back(outlook.reason, outlook.retry_in))
    }

    /// Puts a place into `place`, from where it goes back if the call is dropped while it waits for its turn.
    async fn pass_limiter(
        &mut self,
        limiter: &'p Limiter,
        turn: Option<Turn<'p>>,
        place: &mut Option<Reservation>,
        reason: WaitReason,
    ) -> Result<()> {
        loop {
            let now = self.now();
            match limiter.reserve(now, self.op.cost, self.pipeline.priority, self.longest_wait(now)) {
                Ok(reservation) => {
                    let reservation = place.insert(reservation);
                    return self.wait_for_place(limiter, turn, reservation, reason).await;
                }
                Err(refused) => {
                    // Only interactive callers queue; the others ask again when there may be room.
                    let queues = self.pipeline.priority == Priority::Interactive;
                    if queues || refused.retry_in > self.longest_wait(now) {
                        return Err(self.held_back(refused.reason, refused.retry_in));
                    }
                    // Several that were told the same do not ask again in the same instant.
                    let delay = refused.retry_in + ASK_AGAIN.mul_f64(1.0 + fastrand::f64());
                    let delay = delay.min(self.longest_wait(now));
                    self.sleep(delay, wait_reason(refused.reason, reason)).await;
                }
            }
        }
    }

    /// A pause that comes meanwhile moves the place. The turn is handed on shortly before the place comes, so that timers
    /// that are late cost no throughput.
    async fn wait_for_place(
        &mut self,
        limiter: &'p Limiter,
        mut turn: Option<Turn<'p>>,
        reservation: &mut Reservation,
        reason: WaitReason,
    ) -> Result<()> {
        loop {
            let now = self.now();
            let Some(wait) = limiter.admit(now, reservation) else { return Ok(()) };
            let paused = limiter.paused(now).is_some();
            if wait > self.longest_wait(now) {
                let why = if paused { LimitReason::Pause } else { LimitReason::Window };
                return Err(self.held_back(why, wait));
            }
            if wait <= AHEAD {
                turn = None;
            }
            let nap = if turn.is_some() { wait.saturating_sub(AHEAD) } else { wait };
            self.sleep(nap, if paused { WaitReason::VendorPause } else { reason }).await;
        }
    }

    fn held_back(&mut self, reason: LimitReason, retry_in: Duration) -> Error {
        let message = match reason {
            LimitReason::Pause => "the service asked all callers of this quota to pause",
            LimitReason::Spent => "the service says that the quota is used up until its reset",
            LimitReason::Headroom => "the quota that is left is kept for more urgent calls",
            LimitReason::TooLarge => "the call costs more than the rate limit ever allows at once",
            _ => "the rate limit allows this call only later",
        };
        self.refused(ErrorKind::RateLimited, message, retry_in)
    }

    async fn queue(&mut self) -> Result<Option<Permit<'p>>> {
        let Some(concurrency) = &self.slot.gate.concurrency else { return Ok(None) };
        if let Some(permit) = concurrency.try_acquire() {
            return Ok(Some(permit));
        }
        let now = self.now();
        let until = self.instant(now.saturating_add(nanos(self.longest_wait(now))));
        let tenant = self.pipeline.shared.owner.tenant;
        let outcome = tokio::time::timeout_at(until, concurrency.acquire(tenant)).await;
        self.note_wait(WaitReason::Queue, now);
        match outcome {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_)) => {
                let message = "as many calls wait for this service as may wait";
                Err(self.refused(ErrorKind::RateLimited, message, Duration::ZERO))
            }
            Err(_) => {
                let message = "no call in flight to this service ended in time to let this one through";
                Err(self.refused(ErrorKind::RateLimited, message, Duration::ZERO))
            }
        }
    }

    /// The longest wait that policy and deadline allow now.
    fn longest_wait(&self, now: u64) -> Duration {
        let left = Duration::from_nanos(self.deadline.saturating_sub(now));
        self.pipeline.shared.policy.wait.limit().min(left)
    }

    async fn sleep(&mut self, delay: Duration, reason: WaitReason) {
        let now = self.now();
        tracing::debug!(parent: &self.span, reason = reason.as_str(), wait_ms = delay.as_millis() as u64, "waiting");
        sleep_until(self.instant(now.saturating_add(nanos(delay)))).await;
        self.note_wait(reason, now);
    }

    fn note_wait(&mut self, reason: WaitReason, since: u64) {
        let took = Duration::from_nanos(self.now().saturating_sub(since));
        self.waited = true;
        self.slot.metrics.waited(reason, took);
        self.note(since, Event::Waited { reason, took });
    }

    pub(crate) async fn back_off(&mut self, delay: Duration) {
        if !delay.is_zero() {
            self.sleep(delay, WaitReason::Backoff).await;
        }
    }

    pub(crate) fn timed_out(ticket: &Ticket<'p>) -> Error {
        let limit = Duration::from_nanos(ticket.deadline.saturating_sub(ticket.started));
        Error::new(ErrorKind::Timeout, Effect::Unknown, format!("no answer within {limit:?}"))
    }

    /// Settles a successful attempt and with it the call.
    pub(crate) fn succeeded(&mut self, ticket: &mut Ticket<'p>) {
        let now = self.now();
        ticket.settle(Verdict::Success, Outcome::Accepted, now);
        let took = Duration::from_nanos(now.saturating_sub(ticket.started));
        self.slot.tenancy.pulse.answered(took, now);
        if let Some(latency) = &self.slot.latency {
            latency.observe(Duration::from_nanos(now.saturating_sub(ticket.slow_since)));
        }
        let (tenant, vendor) = (&self.slot.tenancy.budget, &self.slot.vendor_budget);
        match self.withdrawn.take() {
            Some((from_tenant, from_vendor)) => {
                tenant.refund(from_tenant);
                vendor.refund(from_vendor);
            }
            None => {
                tenant.first_success();
                vendor.first_success();
            }
        }
        self.finished = true;
        if self.sent == 1 && !self.waited {
            self.slot.metrics.clean_call(took);
        } else {
            self.span.record("attempts", self.sent);
            self.slot.metrics.attempt(None, took);
            self.slot.metrics.call(None, self.since_start(now));
        }
    }

    /// Settles a failed attempt and decides what follows.
    pub(crate) fn failed(&mut self, ticket: &mut Ticket<'p>, error: Error) -> Next {
        let now = self.now();
        let error = error.with_op(self.op);
        self.lost(ticket, &error);
        match self.again(&error, now) {
            Ok(delay) => {
                self.maybe_acted |= error.effect() == Effect::Unknown;
                self.last_error = Some(error);
                Next::Again(delay)
            }
            Err(why) => {
                self.note(now, Event::NoRetry { why });
                Next::GiveUp(self.finish(error))
            }
        }
    }

    /// Settles a failed attempt: every stage learns from it, also when another one of the call is still under way.
    pub(crate) fn lost(&mut self, ticket: &mut Ticket<'p>, error: &Error) {
        let now = self.now();
        let took = Duration::from_nanos(now.saturating_sub(ticket.started));
        ticket.settle(self.verdict(ticket, error), outcome(error), now);
        telemetry::attempt_failed(&ticket.span, error);
        self.slot.metrics.attempt(Some(error.kind()), took);
        let pulse = &self.slot.tenancy.pulse;
        if lacked_credentials(error) {
            pulse.refused(error, self.op.name, now);
        } else {
            pulse.failed(error, self.op.name, took, now);
        }
        self.heed_pause(error, now);
        let (kind, effect, status) = (error.kind(), error.effect(), error.status());
        self.note(now, Event::Failed { attempt: ticket.number, kind, effect, status, took });
    }

    /// What the breaker learns: only the service's ill health counts, not what the caller did wrong, and not a
    /// deadline of the caller that was shorter than the attempt's own.
    fn verdict(&self, ticket: &Ticket<'p>, error: &Error) -> Verdict {
        let policy = &self.pipeline.shared.policy;
        let cut_short = error.kind() == ErrorKind::Timeout
            && ticket.deadline.saturating_sub(ticket.started)
                < nanos(policy.attempt_timeout.min(policy.total_timeout));
        match error.kind() {
            _ if error.is_about_credentials() => Verdict::Ignored,
            ErrorKind::Timeout if cut_short => Verdict::Ignored,
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Transport => Verdict::Failure,
            _ if is_throttle(error) => Verdict::Ignored,
            _ if matches!(error.effect(), Effect::Rejected | Effect::Applied) => Verdict::Success,
            _ => Verdict::Ignored,
        }
    }

    /// An overloaded service that says when to come back pauses everybody, as a refusal for want of quota does.
    fn heed_pause(&self, error: &Error, now: u64) {
        let asks_for_pause =
            error.kind() == ErrorKind::Unavailable || matches!(outcome(error), Outcome::Throttled(_));
        let (Some(delay), false) = (error.retry_after(), error.is_about_credentials()) else { return };
        if !asks_for_pause {
            return;
        }
        let until = now.saturating_add(nanos(delay));
        if let Some(limiter) = &self.slot.gate.limiter {
            limiter.pause_until(now, until);
        }
        self.stages.spread_pause(&GateKey::new(&self.pipeline.shared.owner.scope, self.op), now, until);
    }

    /// The delay before the next attempt, or why there is none.
    fn again(&mut self, error: &Error, now: u64) -> Result<Duration, &'static str> {
        if self.repeat_is_due(error, now) {
            return Ok(Duration::ZERO);
        }
        let policy = &self.pipeline.shared.policy;
        if let Some(why) = forbidden(self.op, error, self.since_start(now)) {
            return Err(why);
        }
        if self.retries + 1 >= policy.retry.max_attempts {
            return Err("all attempts are used up");
        }
        if error.retry_after().is_some_and(|told| told > policy.wait.limit()) {
            return Err("the service asks for a longer delay than this call may wait");
        }
        let delay = policy.retry.delay(self.retries, error.retry_after());
        if now.saturating_add(nanos(delay)) >= self.deadline {
            return Err("the deadline comes before the next attempt");
        }
        // What did not reach the service is no load on it; whoever gives the credentials has a budget of their own.
        let cost = if is_throttle(error) { Cost::Throttled } else { Cost::Retry };
        if !lacked_credentials(error) && !self.withdraw(cost) {
            return Err("the retry budget is used up");
        }
        self.retries += 1;
        self.slot.metrics.retry();
        Ok(delay)
    }

    fn repeat_is_due(&mut self, error: &Error, now: u64) -> bool {
        let Some(repeat) = error.repeat() else { return false };
        let done = match repeat {
            Repeat::Refreshed => &mut self.refreshed,
            Repeat::ClockCorrected(_) => &mut self.clock_corrected,
        };
        if std::mem::replace(done, true) || error.effect() != Effect::Rejected {
            return false;
        }
        self.note(now, Event::Repeated(repeat));
        tracing::debug!(parent: &self.span, ?repeat, "one more attempt");
        true
    }

    /// Takes tokens from both budgets, or from none.
    fn withdraw(&mut self, cost: Cost) -> bool {
        let taken = RetryBudget::withdraw_both(&self.slot.tenancy.budget, &self.slot.vendor_budget, cost);
        let allowed = taken.is_some();
        self.withdrawn = taken.or(self.withdrawn.take());
        allowed
    }

    /// A call that one of our own stages turned away.
    fn refused(&mut self, kind: ErrorKind, message: &str, retry_in: Duration) -> Error {
        let mut error = Error::new(kind, Effect::NotSent, message);
        error = match retry_in {
            Duration::ZERO => error,
            // No wait helps: a call larger than its limit, a breaker that an operator holds open.
            Duration::MAX => error.with_retryable(false),
            delay => error.with_retry_after(delay),
        };
        if let Some(cause) = self.last_error.take() {
            error = error.with_source(cause);
        }
        self.slot.tenancy.pulse.refused(&error, self.op.name, self.now());
        self.finish(error)
    }

    /// Ends the call with an error: its effect covers all attempts, it carries the timeline, it is logged.
    fn finish(&mut self, error: Error) -> Error {
        self.finished = true;
        let now = self.now();
        let took = self.since_start(now);
        let mut error = error.with_op(self.op).with_attempts(self.sent);
        if self.maybe_acted && !self.settles_earlier_attempts(&error) {
            error = error.with_effect(Effect::Unknown);
        }
        if let Some(timeline) = self.timeline.take() {
            error = error.with_timeline(timeline);
        }
        self.slot.metrics.call(Some(error.kind()), took);
        telemetry::call_failed(&self.span, &error, took);
        error
    }

    /// Whether the last answer also says what became of an earlier attempt with an unknown outcome. For a keyed
    /// operation the vendor's verdict on the request does. A refusal for want of quota, health or rights looked at no
    /// key, and a conflict may say that the first attempt is still under way (Stripe, `idempotency_key_in_use`).
    fn settles_earlier_attempts(&self, error: &Error) -> bool {
        match self.op.safety {
            Safety::Read => true,
            Safety::Keyed => {
                let verdict = matches!(error.kind(), ErrorKind::Declined | ErrorKind::InvalidRequest);
                error.effect() == Effect::Applied
                    || (error.effect() == Effect::Rejected && verdict && !error.is_retryable())
            }
            Safety::Idempotent | Safety::Once => error.effect() == Effect::Applied,
        }
    }

    fn note(&mut self, at: u64, event: Event) {
        let since_start = self.since_start(at);
        self.timeline.get_or_insert_default().push(since_start, event);
    }

    fn since_start(&self, now: u64) -> Duration {
        Duration::from_nanos(now.saturating_sub(self.started))
    }
}

impl Drop for Flight<'_> {
    /// The caller dropped the call: count it, nothing else is left to do.
    fn drop(&mut self) {
        if !self.finished {
            let took = self.since_start(self.now());
            self.slot.metrics.call(Some(ErrorKind::Cancelled), took);
        }
    }
}

#[cold]
fn off(all: bool, instance: &str) -> Error {
    let off = |message: String| Error::new(ErrorKind::Config, Effect::NotSent, message);
    if all {
        off("all integrations are switched off".to_owned())
            .with_hint("switch them on again with `Stages::resume`")
    } else {
        off(format!("`{instance}` is switched off, for all or for this tenant"))
            .with_hint("switch it on again with `Stages::switch`, or enable it in the configuration")
    }
}

/// Whether the attempt ended before the service was asked.
fn lacked_credentials(error: &Error) -> bool {
    error.is_about_credentials() && error.effect() == Effect::NotSent
}

/// What the rate limiter learns from a failed attempt.
fn outcome(error: &Error) -> Outcome {
    match error.effect() {
        Effect::Rejected if is_throttle(error) && !error.is_about_credentials() => {
            Outcome::Throttled(error.retry_after())
        }
        Effect::Rejected | Effect::Applied => Outcome::Accepted,
        Effect::NotSent | Effect::Unknown => Outcome::Lost,
    }
}

fn wait_reason(refused: LimitReason, otherwise: WaitReason) -> WaitReason {
    if refused == LimitReason::Pause { WaitReason::VendorPause } else { otherwise }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
