//! The loop that delivers.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::store::Lease;
use super::{Inner, Outbox, deliver};
use crate::error::Result;

/// Why the loop goes on.
enum Woken {
    /// There may be something to deliver.
    Work,
    /// It was told to stop.
    Stop,
}

impl Outbox {
    /// Delivers until `shutdown` ends; then lets what is under way end within [`drain`](super::OutboxBuilder::drain).
    /// Any number of processes may run it over one store. Dropping it loses nothing: what was under way is sent again
    /// after its lease. A store that fails is logged and asked again.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut tasks = JoinSet::new();
        loop {
            let wait = self.0.lease_into(&mut tasks).await;
            if let Woken::Stop = self.0.wait(&mut tasks, shutdown.as_mut(), wait).await {
                break;
            }
        }
        let drained = timeout(self.0.drain, async { while tasks.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            tracing::warn!(left = tasks.len(), "deliveries under way at the stop will be sent again");
        }
    }

    /// Delivers what is due now, and returns when all of it has ended: for a scheduled job instead of [`Outbox::run`].
    /// Gives the number of attempts.
    pub async fn deliver_due(&self) -> Result<u64> {
        let mut attempts = 0;
        loop {
            let leases = self.0.store.lease(self.0.clock.now(), self.0.max_in_flight).await?;
            if leases.is_empty() {
                return Ok(attempts);
            }
            attempts += leases.len() as u64;
            let mut tasks = JoinSet::new();
            for lease in leases {
                self.0.start(&mut tasks, lease);
            }
            while tasks.join_next().await.is_some() {}
        }
    }
}

impl Inner {
    /// Starts what is due and there is room for; gives the time until there may be more.
    async fn lease_into(self: &Arc<Self>, tasks: &mut JoinSet<()>) -> Duration {
        let room = self.max_in_flight.saturating_sub(tasks.len() as u32);
        if room == 0 {
            // An attempt that ends makes room, and ends the wait.
            return self.poll;
        }
        match self.lease_once(tasks, room).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(%error, "the outbox's store failed; it is asked again");
                self.poll
            }
        }
    }

    async fn lease_once(self: &Arc<Self>, tasks: &mut JoinSet<()>, room: u32) -> Result<Duration> {
        let leases = self.store.lease(self.clock.now(), room).await?;
        if !leases.is_empty() {
            for lease in leases {
                self.start(tasks, lease);
            }
            return Ok(Duration::ZERO);
        }
        let next = self.store.next_wake().await?;
        let until =
            |at: Timestamp| Duration::try_from(at.duration_since(self.clock.now())).unwrap_or_default();
        // A millisecond more: stores round to it, and the worker shall not wake before its time.
        let wait = next.map_or(self.poll, |at| until(at) + Duration::from_millis(1));
        Ok(wait.min(self.poll))
    }

    fn start(self: &Arc<Self>, tasks: &mut JoinSet<()>, lease: Lease) {
        let outbox = self.clone();
        tasks.spawn(async move { outbox.deliver(&lease).await });
    }

    async fn deliver(&self, lease: &Lease) {
        let report = deliver::attempt(self, lease).await;
        let settled = self.store.settle(lease, &report, &self.rules, self.clock.now()).await;
        let (endpoint, event) = (&lease.endpoint.id, &lease.event.id);
        match settled {
            Ok(Some(notices)) => notices.iter().for_each(|notice| (self.listener)(&lease.endpoint, notice)),
            Ok(None) => {
                tracing::debug!(%endpoint, %event, "the delivery was withdrawn, or its lease was lost");
            }
            Err(error) => {
                tracing::error!(%endpoint, %event, %error, "an attempt's end was not kept; it is sent again");
            }
        }
    }

    /// Waits for the time, for an attempt's end, for a new event, or for the stop; whichever is first.
    async fn wait(
        &self,
        tasks: &mut JoinSet<()>,
        mut shutdown: std::pin::Pin<&mut impl Future<Output = ()>>,
        time: Duration,
    ) -> Woken {
        let mut time = pin!(sleep(time));
        let mut work = pin!(self.work.notified());
        std::future::poll_fn(|cx| {
            if shutdown.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Woken::Stop);
            }
            let ended = matches!(tasks.poll_join_next(cx), Poll::Ready(Some(_)));
            let woken = ended || work.as_mut().poll(cx).is_ready() || time.as_mut().poll(cx).is_ready();
            if woken { Poll::Ready(Woken::Work) } else { Poll::Pending }
        })
        .await
    }
}
