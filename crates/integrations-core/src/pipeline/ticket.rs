//! What an attempt holds of the stages, and how it gives that back.

use std::time::Duration;

use super::breaker::{Pass, Verdict};
use super::concurrency::Permit;
use super::limiter::{Outcome, Reservation};
use super::stages::{Slot, Stages};
use crate::error::ErrorKind;
use crate::op::Op;

/// What one attempt holds of the stages. Dropping it gives everything back: a turn that was not used is as if it had
/// not been asked for; an attempt that was sent and dropped counts as lost and tells the breaker nothing.
pub(crate) struct Ticket<'p> {
    pub(super) span: tracing::Span,
    pub(super) deadline: u64,
    /// 0 until the attempt is admitted.
    pub(super) number: u32,
    pub(super) settled: bool,
    pub(super) started: u64,
    /// Since when the caller waits for this answer: for a hedge, since the attempt that it stands in for began.
    pub(super) slow_since: u64,
    pub(super) slot: &'p Slot,
    pub(super) stages: &'p Stages,
    pub(super) pass: Option<Pass>,
    pub(super) quota: Option<Reservation>,
    pub(super) share: Option<Reservation>,
    pub(super) permit: Option<Permit<'p>>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.abandon();
        }
    }
}

impl<'p> Ticket<'p> {
    pub(super) fn new(slot: &'p Slot, stages: &'p Stages) -> Self {
        Self {
            span: tracing::Span::none(),
            deadline: 0,
            number: 0,
            settled: true,
            started: 0,
            slow_since: 0,
            slot,
            stages,
            pass: None,
            quota: None,
            share: None,
            permit: None,
        }
    }

    pub(super) fn settle(&mut self, verdict: Verdict, outcome: Outcome, now: u64) {
        self.settled = true;
        let slot = self.slot;
        if let (Some(limiter), Some(place)) = (&slot.gate.limiter, self.quota.take()) {
            limiter.settle(now, &place, outcome);
        }
        // What the vendor refuses says nothing about the tenant's share, which is ours and spans all buckets.
        if let (Some(share), Some(place)) = (&slot.tenancy.share, self.share.take()) {
            share.settle(now, &place, Outcome::Accepted);
        }
        self.permit = None;
        let took = Duration::from_nanos(now.saturating_sub(self.started));
        if let (Some(pass), Some(breaker)) = (self.pass.take(), &self.slot.gate.breaker)
            && let Some(transition) = breaker.record(pass, verdict, took, now)
        {
            let Op { provider, bucket, .. } = *self.slot.op;
            tracing::info!(parent: &self.span, provider.id = provider, bucket, ?transition, "circuit breaker");
        }
    }

    #[cold]
    pub(super) fn abandon(&mut self) {
        let now = self.stages.now();
        if self.number == 0 {
            self.give_back(now);
        } else {
            let took = Duration::from_nanos(now.saturating_sub(self.started));
            self.slot.metrics.attempt(Some(ErrorKind::Cancelled), took);
        }
        self.settle(Verdict::Ignored, Outcome::Lost, now);
    }

    /// The places at the rate limiters of an attempt that was never sent.
    fn give_back(&mut self, now: u64) {
        let slot = self.slot;
        let quota = slot.gate.limiter.as_ref().zip(self.quota.take());
        let share = slot.tenancy.share.as_ref().zip(self.share.take());
        for (limiter, place) in quota.into_iter().chain(share) {
            limiter.cancel(now, place);
        }
    }
}
