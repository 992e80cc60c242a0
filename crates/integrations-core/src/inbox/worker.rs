//! Workers: they lease what is due, have it handled and write what came of it.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Inbox;
use super::store::{Leased, Outcome, Turn};
use super::types::{Applied, Delivery, Handler, Ordering, Work};
use crate::error::{Effect, Error, ErrorKind, Result};

/// The wait before a store is asked again that could not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Why the loop goes on.
enum Wake {
    Stop,
    Work,
}

/// Events in handling, and whose they are.
#[derive(Default)]
struct Running {
    tasks: JoinSet<String>,
    by_tenant: BTreeMap<String, usize>,
}

impl Running {
    fn begin(&mut self, tenant: &str, task: impl Future<Output = ()> + Send + 'static) {
        *self.by_tenant.entry(tenant.to_owned()).or_default() += 1;
        let tenant = tenant.to_owned();
        self.tasks.spawn(async move {
            task.await;
            tenant
        });
    }

    /// Whether any has ended.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Poll::Ready(Some(ended)) = self.tasks.poll_join_next(cx) {
            any = true;
            // A task catches its handler's panics and nobody aborts it, so that it always names its tenant.
            let Ok(tenant) = ended else { continue };
            self.by_tenant.entry(tenant).and_modify(|count| *count -= 1);
        }
        if any {
            self.by_tenant.retain(|_, count| *count > 0);
        }
        any
    }
}

impl Inbox {
    /// Handles events until `shutdown` is ready; then finishes those in handling, leases no more and returns. May run
    /// in several tasks and processes on one store. Needs a tokio runtime with time.
    ///
    /// While the store cannot be reached it is asked again each second.
    pub async fn run(&self, handler: Arc<dyn Handler>, shutdown: impl Future<Output = ()>) -> Result<()> {
        let owner = crate::IdempotencyKey::mint()?.to_string();
        let mut shutdown = pin!(shutdown);
        let mut running = Running::default();
        let mut after = String::new();
        loop {
            let pause = self.turn(&owner, &mut after, &handler, &mut running).await;
            let mut woken = pin!(self.0.wake.notified());
            let mut slept = pin!(sleep(pause));
            let wake = std::future::poll_fn(|cx| {
                if shutdown.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Wake::Stop);
                }
                let ended = running.poll_ended(cx);
                let due = slept.as_mut().poll(cx).is_ready();
                let told = woken.as_mut().poll(cx).is_ready();
                if ended || due || told { Poll::Ready(Wake::Work) } else { Poll::Pending }
            });
            if let Wake::Stop = wake.await {
                break;
            }
            // Handlings that ended in one commit wake this one by one: let them all end, and lease for all of them at
            // once.
            tokio::task::yield_now().await;
        }
        while running.tasks.join_next().await.is_some() {}
        Ok(())
    }

    /// Leases as much as there is room for; gives the time until there may be more, unless something happens before.
    async fn turn(
        &self,
        owner: &str,
        after: &mut String,
        handler: &Arc<dyn Handler>,
        running: &mut Running,
    ) -> Duration {
        let settings = &self.0.settings;
        let room = settings.concurrency.max(1).saturating_sub(running.tasks.len());
        if room == 0 {
            return settings.idle;
        }
        let now = self.now();
        let turn = Turn {
            owner: owner.to_owned(),
            now,
            until: self.after(settings.deadline.saturating_mul(2)),
            room,
            after: after.clone(),
            per_tenant: settings.per_tenant.max(1),
            running: running.by_tenant.clone(),
            max_attempts: settings.max_attempts.max(1),
        };
        let leased = match self.0.store.lease(&turn).await {
            Ok(leased) => leased,
            Err(e) => return paused(&e),
        };
        let full = leased.len() >= room;
        for leased in leased {
            let tenant = leased.entry.source.tenant.clone();
            after.clone_from(&tenant);
            running.begin(&tenant, self.clone().handle(handler.clone(), leased));
        }
        if full {
            return settings.idle;
        }
        match self.0.store.next_due().await {
            Ok(due) => self.until(due, !running.tasks.is_empty()),
            Err(e) => paused(&e),
        }
    }

    /// The time until a lane is due. One that is due already and was not leased belongs to a tenant who has its share:
    /// it waits for one of the tenant's events to end, and for no clock.
    fn until(&self, due: Option<Timestamp>, busy: bool) -> Duration {
        let idle = self.0.settings.idle;
        let Some(due) = due else { return idle };
        let wait = Duration::try_from(due.duration_since(self.now())).unwrap_or_default();
        if wait.is_zero() && busy { idle } else { wait.min(idle) }
    }

    async fn handle(self, handler: Arc<dyn Handler>, leased: Leased) {
        let settings = &self.0.settings;
        let delivery = delivery(&leased);
        let result = guarded(settings.deadline, &*handler, &delivery).await;
        let Err(failed) = self.settle(&leased, result).await else { return };
        // The writes of the handler could not be committed: that is a failure of the handling.
        if let Err(e) = self.settle(&leased, Err(failed)).await {
            tracing::error!(
                provider = leased.entry.source.provider, event = delivery.event_id, error = %e,
                "the outcome of an event could not be stored; it is handled again when its lease has run out",
            );
        }
    }

    async fn settle(&self, leased: &Leased, result: Result<Applied>) -> Result<()> {
        let outcome = match result {
            Ok(applied) => Outcome::Done(applied.effects),
            Err(e) => self.failed(leased, &e),
        };
        if !self.0.store.finish(&leased.lease, outcome, self.now()).await? {
            tracing::warn!(
                provider = leased.entry.source.provider,
                event = leased.entry.event.id,
                "an event's lease was lost while it was handled; the result was thrown away",
            );
        }
        Ok(())
    }

    fn failed(&self, leased: &Leased, error: &Error) -> Outcome {
        let settings = &self.0.settings;
        let (provider, event) = (&*leased.entry.source.provider, &*leased.entry.event.id);
        if !error.is_retryable() || leased.attempt >= settings.max_attempts {
            tracing::error!(provider, event, attempt = leased.attempt, error = %error, "an event is a dead letter");
            return Outcome::Dead(error.to_string());
        }
        tracing::warn!(provider, event, attempt = leased.attempt, error = %error, "an event is tried again later");
        let wait =
            settings.wait(leased.attempt, fastrand::f64()).max(error.retry_after().unwrap_or_default());
        Outcome::Retry(self.after(wait), error.to_string())
    }
}

/// Handles a delivery within its deadline; a panic is an error.
async fn guarded(deadline: Duration, handler: &dyn Handler, delivery: &Delivery) -> Result<Applied> {
    let begin = || handler.handle(delivery);
    let Ok(mut handling) = std::panic::catch_unwind(AssertUnwindSafe(begin)) else { return Err(panicked()) };
    let polled = std::future::poll_fn(|cx| {
        let poll = || handling.as_mut().poll(cx);
        std::panic::catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|_| Poll::Ready(Err(panicked())))
    });
    timeout(deadline, polled).await.unwrap_or_else(|_| Err(late(deadline)))
}

/// Without the panic's message, which may hold anything: the panic hook has printed it already.
fn panicked() -> Error {
    Error::new(ErrorKind::Unexpected, Effect::Unknown, "the event's handler panicked").with_retryable(true)
}

fn late(deadline: Duration) -> Error {
    Error::new(
        ErrorKind::Timeout,
        Effect::Unknown,
        format!("the event's handler took longer than {deadline:?}"),
    )
}

fn paused(error: &Error) -> Duration {
    tracing::warn!(error = %error, "the inbox's store cannot be asked for work; trying again in a second");
    STORE_PAUSE
}

pub(super) fn delivery(leased: &Leased) -> Delivery {
    let event = &leased.entry.event;
    let work = match leased.entry.ordering {
        Ordering::Refetch => Work::Refetch { entity: event.entity.clone(), kind: event.kind.clone() },
        _ => Work::Apply(event.clone()),
    };
    Delivery {
        source: leased.entry.source.clone(),
        event_id: event.id.clone(),
        work,
        attempt: leased.attempt,
        first_seen: leased.first_seen,
        duplicates: leased.duplicates,
        round: leased.round,
    }
}

#[cfg(test)]
mod tests {
    use crate::inbox::Settings;

    #[test]
    fn waits_double_up_to_the_longest_and_vary_by_a_fifth() {
        let settings = Settings::default();
        let seconds = |attempt, chance| settings.wait(attempt, chance).as_secs_f64();
        for (attempt, middle) in [(1, 5.0), (2, 10.0), (5, 80.0), (11, 3600.0), (u32::MAX, 3600.0)] {
            assert!((seconds(attempt, 0.5) - middle).abs() < 1e-6, "{attempt}");
            assert!((seconds(attempt, 0.0) - middle * 0.8).abs() < 1e-6, "{attempt}");
            assert!((seconds(attempt, 1.0) - middle * 1.2).abs() < 1e-6, "{attempt}");
        }
        let all: f64 = (1..settings.max_attempts).map(|attempt| seconds(attempt, 0.5)).sum();
        assert!((6.0..7.0).contains(&(all / 3600.0)), "{all}");
    }
}
