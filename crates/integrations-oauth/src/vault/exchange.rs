//! A flight: from an outdated token to the next one, once per fleet.
//!
//! The order is what keeps sessions: lease, read again, exchange, write until it is written, and only then let anybody
//! use it. Every result has the rotation number of the tokens that it came from, plus one: that number, not the lease,
//! decides between two results, so that one that comes late is kept if nothing newer is there.

use std::sync::Arc;
use std::time::Duration;

use integrations_core::{ConnectionId, Effect, Error, ErrorKind, Result};
use jiff::SignedDuration;
use tokio::time::{Instant, sleep, timeout};

use super::slot::{Goal, Slot, View, has_ended};
use super::state::{Reauth, Record, Status};
use super::{Inner, late, unknown_connection};
use crate::client::TokenSource;
use crate::store::Lease;
use crate::token::{Kept as _, TokenSet};

/// The pause between two looks at a connection that somebody else refreshes: this long at first, then up to the longest.
const POLL: Duration = Duration::from_millis(20);
const MAX_POLL: Duration = Duration::from_millis(500);
/// How long tokens are held that cannot be written because the store is down. They exist nowhere else.
const HOLD: Duration = Duration::from_secs(15 * 60);

type Found = Option<(u64, Record)>;

/// A lease and when it was asked for, which is not after it began.
struct Held {
    lease: Lease,
    asked: Instant,
}

impl Inner {
    pub(super) async fn fly(self: &Arc<Self>, slot: &Slot, goal: Goal) -> Result<View> {
        let id = slot.id();
        let begun = Instant::now();
        let mut poll = POLL;
        loop {
            let found = self.read(id).await?;
            if let Some(view) = self.good_enough(id, goal, &found)? {
                return Ok(view);
            }
            if found.is_none() && (goal == Goal::Look || self.sources.of(id)?.needs_user()) {
                return Err(gone(slot));
            }
            if begun.elapsed() > self.limits.lease + self.limits.exchange {
                return Err(late(
                    "another process refreshes the tokens, or the store is too slow for its leases",
                ));
            }
            let asked = Instant::now();
            match self.in_time(self.store.lease(id, self.limits.lease)).await? {
                None => {
                    sleep(poll.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
                    poll = (poll * 2).min(MAX_POLL);
                }
                Some(lease) => {
                    if let Some(view) = self.exchange(slot, goal, Held { lease, asked }).await? {
                        return Ok(view);
                    }
                }
            }
        }
    }

    /// What was found, if nothing has to be exchanged for it.
    fn good_enough(&self, id: &ConnectionId, goal: Goal, found: &Found) -> Result<Option<View>> {
        let Some((version, record)) = found else { return Ok(None) };
        let good = match (&record.status, goal) {
            (Status::Ready(tokens), Goal::Renew { beyond }) => {
                record.rotation > beyond && !has_ended(tokens, self.now())
            }
            _ => true,
        };
        good.then(|| View::new(self, id, *version, record)).transpose()
    }

    /// One exchange under a lease. `None`: the lease is too short by now.
    async fn exchange(self: &Arc<Self>, slot: &Slot, goal: Goal, held: Held) -> Result<Option<View>> {
        let id = slot.id();
        let ended = self.exchange_held(slot, goal, &held).await;
        if !matches!(ended, Ok(Ended::Written(_))) {
            self.give_back(id, held.lease).await;
        }
        ended.map(|ended| match ended {
            Ended::Written(view) | Ended::Adopted(view) => Some(view),
            Ended::TooLate => None,
        })
    }

    /// If it cannot be given back, it ends by itself.
    pub(super) async fn give_back(&self, id: &ConnectionId, lease: Lease) {
        if let Err(error) = self.in_time(self.store.release(id, lease)).await {
            tracing::debug!(%error, "a lease was not given back and has to run out");
        }
    }

    async fn exchange_held(self: &Arc<Self>, slot: &Slot, goal: Goal, held: &Held) -> Result<Ended> {
        let id = slot.id();
        // Between the look before the lease and the lease somebody may have been through.
        let found = self.read(id).await?;
        if let Some(view) = self.good_enough(id, goal, &found)? {
            return Ok(Ended::Adopted(view));
        }
        // The result has to be written within the lease. A store that took so long to lend and to read will take as long
        // to write; it is given twice the time.
        if self.remaining(held) < self.limits.exchange + 2 * held.asked.elapsed() {
            return Ok(Ended::TooLate);
        }
        let source = self.sources.of(id)?;
        let Some((version, record)) = found else {
            let tokens = self.first(&*source, slot).await?;
            return self.persist(slot, None, self.consented(None, tokens), held).await;
        };
        let Status::Ready(tokens) = &record.status else { return Err(late("the connection changed")) };
        let asked = if source.can_refresh(tokens) {
            self.ask(&*source, tokens, held).await
        } else {
            Err(Refusal::Final(Reauth::Ended))
        };
        match asked {
            Ok(next) => {
                let next = Record {
                    rotation: record.rotation + 1,
                    status: Status::Ready(tokens.kept_by(next)),
                    ..record.clone()
                };
                self.persist(slot, Some((version, record.rotation)), next, held).await
            }
            Err(Refusal::Final(reason)) => self.stop(slot, (version, record), reason, held).await,
            Err(Refusal::For(error)) => Err(error),
        }
    }

    fn remaining(&self, held: &Held) -> Duration {
        self.limits.lease.saturating_sub(held.asked.elapsed())
    }

    /// Tokens of a grant without a user.
    async fn first(&self, source: &dyn TokenSource, slot: &Slot) -> Result<TokenSet> {
        let asked = timeout(self.limits.exchange, source.initial()).await;
        asked.unwrap_or_else(|_| Err(unanswered()))?.ok_or_else(|| gone(slot))
    }

    /// Asks the issuer; a second time when nobody knows what became of the first, because an issuer that has not seen it,
    /// or that has a grace, will answer.
    async fn ask(
        &self,
        source: &dyn TokenSource,
        tokens: &TokenSet,
        held: &Held,
    ) -> Result<TokenSet, Refusal> {
        let limit = self.limits.exchange;
        let first = self.ask_once(source, tokens, limit, held.lease.taken_over).await;
        let lost =
            matches!(&first, Err(Refusal::For(e)) if matches!(e.effect(), Effect::Unknown | Effect::Applied));
        // After one that took all of its time the lease has a little less than that left.
        let limit = limit.min(self.remaining(held));
        if lost && limit >= self.limits.exchange / 2 {
            return self.ask_once(source, tokens, limit, true).await;
        }
        first
    }

    async fn ask_once(
        &self,
        source: &dyn TokenSource,
        tokens: &TokenSet,
        limit: Duration,
        interrupted: bool,
    ) -> Result<TokenSet, Refusal> {
        let asked = timeout(limit, source.refresh(tokens)).await;
        asked.unwrap_or_else(|_| Err(unanswered())).map_err(|error| {
            if error.kind() != ErrorKind::ReauthRequired {
                return Refusal::For(error);
            }
            if !source.needs_user() {
                return Refusal::For(error.with_kind(ErrorKind::Config));
            }
            let code = error.code().unwrap_or("invalid_grant").to_owned();
            Refusal::Final(if interrupted { Reauth::Interrupted { code } } else { Reauth::Refused { code } })
        })
    }

    /// Writes tokens that exist nowhere else, for as long as it takes, and gives what is then there. `from` is the
    /// version and the rotation that they came from.
    async fn persist(
        self: &Arc<Self>,
        slot: &Slot,
        from: Option<(u64, u64)>,
        mut record: Record,
        held: &Held,
    ) -> Result<Ended> {
        let id = slot.id();
        let mut seen = from.map_or(0, |(version, _)| version);
        let rotation = from.map(|(_, rotation)| rotation);
        // What somebody else's write has changed is theirs to tell.
        let mut changes = from.is_none();
        let mut pause = POLL;
        let begun = Instant::now();
        loop {
            match self.persist_once(id, seen, &record, held).await {
                Ok(Persisted::Written(version)) => {
                    if changes {
                        self.announce_later(id, &record);
                    }
                    return View::new(self, id, version, &record).map(Ended::Written);
                }
                // Others have brought tokens, or it was made anew. Also this very record, when an earlier try was written
                // and its answer lost.
                Ok(Persisted::Overtaken(version, theirs)) if Some(theirs.rotation) != rotation => {
                    return View::new(self, id, version, &theirs).map(Ended::Adopted);
                }
                Ok(Persisted::Overtaken(version, theirs)) => {
                    seen = version;
                    changes = theirs.status.word() != record.status.word();
                    record = Record { rotation: record.rotation, ..self.changed(&theirs, record.status) };
                    continue;
                }
                Ok(Persisted::Gone) if seen == 0 => {}
                // Forgotten meanwhile: nobody wants these tokens.
                Ok(Persisted::Gone) => return Err(gone(slot)),
                Err(error) => {
                    tracing::warn!(instance = &*id.instance, %error, "new tokens are not stored yet; trying again");
                }
            }
            if begun.elapsed() > HOLD {
                tracing::error!(instance = &*id.instance, "new tokens could not be stored and are lost");
                return Err(late("the store of tokens has been down for too long"));
            }
            sleep(pause.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(MAX_POLL);
        }
    }

    async fn persist_once(
        &self,
        id: &ConnectionId,
        seen: u64,
        record: &Record,
        held: &Held,
    ) -> Result<Persisted> {
        if let Some(version) = self.write(id, seen, record, Some(held.lease.fence)).await? {
            return Ok(Persisted::Written(version));
        }
        let found = self.read(id).await?;
        Ok(found.map_or(Persisted::Gone, |(version, theirs)| Persisted::Overtaken(version, Box::new(theirs))))
    }

    /// Writes that the user has to consent again, unless others know better: a sibling may have been faster with the same
    /// refresh token.
    async fn stop(
        self: &Arc<Self>,
        slot: &Slot,
        seen: (u64, Record),
        reason: Reauth,
        held: &Held,
    ) -> Result<Ended> {
        let id = slot.id();
        let (mut version, mut record) = seen;
        let rotation = record.rotation;
        loop {
            let next = self.changed(&record, Status::Reauth(reason.clone()));
            if let Some(written) = self.write(id, version, &next, Some(held.lease.fence)).await? {
                tracing::warn!(instance = &*id.instance, %reason, "a connection needs its user's consent");
                self.announce_later(id, &next);
                return View::new(self, id, written, &next).map(Ended::Written);
            }
            let Some(found) = self.read(id).await? else { return Err(gone(slot)) };
            (version, record) = found;
            if record.rotation != rotation || !matches!(record.status, Status::Ready(_)) {
                return View::new(self, id, version, &record).map(Ended::Adopted);
            }
        }
    }

    /// The record in another state, to be announced.
    pub(super) fn changed(&self, from: &Record, status: Status) -> Record {
        let before = from.status.word();
        let unannounced = match (&self.listener, before == status.word()) {
            (None, _) => None,
            (Some(_), true) => from.unannounced.clone(),
            (Some(_), false) => Some(before.to_owned()),
        };
        // Never the time of the change before: events are told apart by it.
        let next = from.since.checked_add(SignedDuration::from_millis(1)).unwrap_or(from.since);
        let since = if before == status.word() { from.since } else { self.now().max(next) };
        Record { rotation: from.rotation, since, status, unannounced }
    }
}

/// How an exchange under a lease ended.
enum Ended {
    /// With a write, and the lease with it.
    Written(View),
    /// With what somebody else has written.
    Adopted(View),
    /// Before it began, because the lease is too short by now.
    TooLate,
}

enum Persisted {
    Written(u64),
    Overtaken(u64, Box<Record>),
    Gone,
}

/// Why there are no new tokens.
enum Refusal {
    /// There will never be any without the user.
    Final(Reauth),
    /// Not now.
    For(Error),
}

/// What is known here of a connection that is not kept any more is of no use either.
fn gone(slot: &Slot) -> Error {
    slot.clear();
    unknown_connection(slot.id())
}

fn unanswered() -> Error {
    Error::new(ErrorKind::Timeout, Effect::Unknown, "the issuer did not answer in time")
}
