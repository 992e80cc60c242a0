//! One resilience pipeline for every kind of call: an attempt is any closure, so REST, SMTP, Kafka and SDKs share it.
//!
//! The stages, outermost first: span and metrics, admission, total deadline, idempotency key, retry with budget
//! and hedging, circuit breaker, rate limiter, concurrency permit, (authorise and sign, in the attempt), attempt
//! timeout, (transport and classification, in the attempt). Each can be switched off in the [`Policy`]; none can be moved.
//!
//! A call that is dropped gives everything back: its permit, its place in the queue, its reservation of quota and
//! its half-open probe.

mod adaptive;
pub mod breaker;
pub mod budget;
pub mod concurrency;
mod control;
mod flight;
mod handle;
pub mod hedge;
pub mod limiter;
mod policy;
mod pulse;
mod retry;
mod stages;
mod telemetry;
mod ticket;
mod timed;

use std::future::Future;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::pin::{Pin, pin};
#[cfg(feature = "cache")]
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;

use crate::error::Result;
use crate::idempotency::IdempotencyKey;
use crate::op::Op;
use crate::quota::Quota;

use concurrency::TenantKey;
pub use control::GateReport;
use flight::{Flight, Next, nanos};
use handle::Slots;
use limiter::{Priority, Told};
pub use policy::{ConcurrencyPolicy, Policy, Wait};
pub use pulse::{LastError, Pulse};
pub use retry::RetryPolicy;
pub(crate) use stages::Admission;
use stages::Slot;
pub use stages::Stages;
pub use telemetry::{Metrics, OpSnapshot};
pub(crate) use telemetry::{answer_unusable, answered};
use ticket::Ticket;
use timed::Race;
pub(crate) use timed::Timed;

/// Whose call it is. All of it is part of keys, none of it is a metric label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Scope {
    /// The tenant; `""` for an application without tenants.
    pub tenant: Arc<str>,
    /// The configured instance of the provider, e.g. `spotify_main`.
    pub instance: Arc<str>,
    /// Whose vendor quota is used: the application's own credential (`""`) or one connection's. Tenants that share
    /// a credential share its gate; tenants with credentials of their own cannot trip each other's breaker.
    pub credential: Arc<str>,
    /// The end user whose connection it is; `""` for the application itself. What is kept of answers is kept by it.
    pub connection: Arc<str>,
}

impl Scope {
    /// A scope with the application's own credential.
    pub fn new(tenant: impl Into<Arc<str>>, instance: impl Into<Arc<str>>) -> Self {
        Self {
            tenant: tenant.into(),
            instance: instance.into(),
            credential: "".into(),
            connection: "".into(),
        }
    }

    /// The same with another credential.
    #[must_use]
    pub fn with_credential(mut self, credential: impl Into<Arc<str>>) -> Self {
        self.credential = credential.into();
        self
    }

    /// The same for the connection of an end user.
    #[must_use]
    pub fn with_connection(mut self, connection: impl Into<Arc<str>>) -> Self {
        self.connection = connection.into();
        self
    }
}

/// A handle through which the calls of one [`Scope`] go. Cheap to clone; keep it instead of making it per call.
///
/// ```
/// use integrations_core::pipeline::{Policy, Scope, Stages};
/// use integrations_core::{Op, Safety};
/// static PING: Op = Op::new("demo", "ping", Safety::Read);
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let stages = Stages::new();
/// let pipeline = stages.pipeline(Scope::new("acme", "demo_main"), Policy::default())?;
/// let pong = pipeline.run(&PING, None, |attempt| async move { Ok(attempt.number) }).await?;
/// assert_eq!(pong, 1);
/// # Ok::<(), integrations_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Pipeline {
    shared: Arc<Shared>,
    /// In nanoseconds: the policy's total timeout, or this handle's own.
    time_limit: u64,
    priority: Priority,
}

/// What every call reads, on two cache lines; the rest is behind a pointer.
#[repr(C, align(64))]
struct Shared {
    slots: Slots,
    stages: Arc<Stages>,
    policy: Arc<Policy>,
    owner: Box<Owner>,
}

struct Owner {
    scope: Scope,
    tenant: TenantKey,
    admission: Option<Weak<dyn Admission>>,
}

const _: () = assert!(size_of::<Shared>() <= 128);

/// What an attempt is told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attempt<'p> {
    /// 1 for the first attempt.
    pub number: u32,
    /// What is the same for all attempts of the call.
    pub call: Call<'p>,
    deadline: u64,
    slot: Handle<'p>,
}

/// What is the same for all attempts of one call.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Call<'p> {
    /// The idempotency key: the caller's, or one that was minted for a [`Safety::Keyed`](crate::Safety) operation.
    pub key: Option<IdempotencyKey>,
    /// Whose call it is.
    pub scope: &'p Scope,
    /// The policy it runs under.
    pub policy: &'p Policy,
}

#[derive(Clone, Copy)]
struct Handle<'p> {
    slot: &'p Slot,
    stages: &'p Stages,
}

impl std::fmt::Debug for Handle<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.slot.op.name)
    }
}

impl Attempt<'_> {
    /// The time until this attempt is dropped.
    pub fn time_left(&self) -> Duration {
        Duration::from_nanos(self.deadline.saturating_sub(self.slot.stages.now()))
    }

    /// When this attempt is dropped.
    pub(crate) fn ends_at(&self) -> Instant {
        self.slot.stages.instant(self.deadline)
    }

    /// Teaches the rate limiter what the service said about its limits.
    pub fn learn(&self, told: &Quota) {
        let Handle { slot, stages } = self.slot;
        if let (true, Some(delay)) = (told.global, told.retry_after) {
            let until = stages.now().saturating_add(nanos(delay));
            stages.pause_credential(self.call.scope, slot.op.provider, until);
        }
        let Some(limiter) = &slot.gate.limiter else { return };
        for window in told.windows.iter().filter(|w| w.counts_calls_of(slot.op.bucket)) {
            let told = Told {
                remaining: window.remaining,
                limit: window.limit,
                window: window.period,
                reset_after: window.reset_after,
            };
            limiter.learn(stages.now(), &told);
        }
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("scope", &self.shared.owner.scope).finish_non_exhaustive()
    }
}

impl Pipeline {
    fn new(
        stages: Arc<Stages>,
        scope: Scope,
        policy: Arc<Policy>,
        admission: Option<Weak<dyn Admission>>,
    ) -> Self {
        let tenant: TenantKey = BuildHasherDefault::<DefaultHasher>::default().hash_one(&scope.tenant).into();
        let tenant = policy.tenant_share.map_or(tenant, |share| tenant.share(share));
        let time_limit = nanos(policy.total_timeout);
        let owner = Box::new(Owner { scope, tenant, admission });
        let shared = Arc::new(Shared { slots: Slots::default(), stages, policy, owner });
        Self { shared, time_limit, priority: Priority::Interactive }
    }

    /// Finds the keys of `op` now, so that the first call does not have to.
    pub fn prepare(&self, op: &'static Op) {
        self.slot(op);
    }

    fn slot(&self, op: &'static Op) -> &Slot {
        let Shared { slots, stages, policy, owner } = &*self.shared;
        slots.get(op, || stages.slot(op, owner, policy))
    }

    /// Whether a call would be refused now: then it gets no answer that was kept either.
    #[cfg(feature = "cache")]
    pub(crate) fn is_off(&self, op: &'static Op) -> bool {
        self.shared.stages.is_stopped() || self.slot(op).tenancy.off.load(Ordering::Relaxed) != 0
    }

    /// Counts an answer that the service gave and nobody could read: decoding comes after the stages.
    pub(crate) fn count_undecodable(&self, op: &'static Op) {
        self.slot(op).metrics.undecodable();
    }

    /// A handle whose calls end within `timeout` if the policy's total timeout is longer.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.time_limit = nanos(timeout.min(self.shared.policy.total_timeout));
        self
    }

    /// A handle whose calls have another priority at the rate limiter.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The whole time that a call may take: the policy's total timeout, or the handle's own if that is shorter.
    pub fn time_limit(&self) -> Duration {
        Duration::from_nanos(self.time_limit)
    }

    /// The priority of this handle's calls at the rate limiter.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Whose calls go through this handle.
    pub fn scope(&self) -> &Scope {
        &self.shared.owner.scope
    }

    /// The policy of this handle.
    pub fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// The shared state behind this handle.
    pub fn stages(&self) -> &Arc<Stages> {
        &self.shared.stages
    }

    /// Runs one call: `attempt` is called once per attempt, with the same key each time.
    ///
    /// Errors come back with operation, number of attempts and timeline. An attempt that ends with an error is
    /// repeated only as the table in the guide says; an attempt that exceeds its timeout is dropped, and the call
    /// then has [`Effect::Unknown`](crate::Effect).
    pub async fn run<'p, T, F, Fut>(
        &'p self,
        op: &'static Op,
        key: Option<IdempotencyKey>,
        mut attempt: F,
    ) -> Result<T>
    where
        F: FnMut(Attempt<'p>) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let mut flight = Flight::begin(self, op, key)?;
        loop {
            let mut ticket = flight.ticket();
            if !flight.admit_now(&mut ticket) {
                Box::pin(flight.admit(&mut ticket)).await?;
            }
            let span = ticket.span.clone();
            let result = {
                // Dropped with this block: an attempt that timed out must not live on while the call backs off.
                let running = pin!(attempt(flight.attempt(&ticket)).instrument(span));
                drive(&mut flight, &mut ticket, running, &mut attempt).await
            };
            let error = match result {
                Ok(value) => {
                    flight.succeeded(&mut ticket);
                    return Ok(value);
                }
                Err(error) => error,
            };
            match flight.failed(&mut ticket, error) {
                Next::GiveUp(error) => return Err(error),
                Next::Again(delay) => Box::pin(flight.back_off(delay)).await,
            }
        }
    }
}

/// Runs one attempt to its end or its timeout, with a second one beside it if it is slow and may be hedged. Generic
/// and thin, as `run`: everything that decides is in [`Flight`], compiled once.
async fn drive<'p, T, F, Fut, Run>(
    flight: &mut Flight<'p>,
    ticket: &mut Ticket<'p>,
    mut running: Pin<&mut Run>,
    attempt: &mut F,
) -> Result<T>
where
    F: FnMut(Attempt<'p>) -> Fut,
    Fut: Future<Output = Result<T>>,
    Run: Future<Output = Result<T>>,
{
    let until = flight.hedge_at(ticket).unwrap_or(ticket.deadline);
    if let Some(result) = Timed::new(running.as_mut(), flight.instant(until)).await {
        return result;
    }
    let Some(second) = flight.admit_hedge(ticket) else {
        let rest = Timed::new(running, flight.instant(ticket.deadline)).await;
        return rest.unwrap_or_else(|| Err(Flight::timed_out(ticket)));
    };
    let hedge = Box::pin(attempt(flight.attempt(&second)).instrument(second.span.clone()));
    let mut second = Box::new(second);
    let mut race = pin!(Race::new(running, hedge));
    // The first attempt ends first. Whichever fails is settled at once, so that a pause it was told holds; the other
    // one, whose ticket stays, has its own time left.
    match Timed::new(race.as_mut(), flight.instant(ticket.deadline)).await {
        Some((result @ Ok(_), true)) => return result,
        Some((result @ Ok(_), false)) => {
            std::mem::swap(ticket, &mut *second);
            return result;
        }
        Some((Err(error), false)) => flight.lost(&mut second, &error),
        first => {
            race.as_mut().drop_first();
            let error =
                first.and_then(|(result, _)| result.err()).unwrap_or_else(|| Flight::timed_out(ticket));
            flight.lost(ticket, &error);
            std::mem::swap(ticket, &mut *second);
        }
    }
    let last = Timed::new(race, flight.instant(ticket.deadline)).await;
    last.map_or_else(|| Err(Flight::timed_out(ticket)), |(result, _)| result)
}
