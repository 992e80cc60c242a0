//! Workers that always have work, and what became of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::vendor::{Plan, Vendor};

/// The vendor as workers reach it.
pub(crate) struct Service {
    vendor: RefCell<Vendor>,
    start: Instant,
    tally: RefCell<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    accepted: Vec<u64>,
    calls: u64,
    refused: u64,
}

/// A refusal, with the service's Retry-After.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TooMany(pub(crate) Option<Duration>);

impl Service {
    /// One call on behalf of a worker.
    pub(crate) async fn call(&self, worker: usize) -> Result<(), TooMany> {
        let sent = self.start.elapsed();
        let travel = self.vendor.borrow_mut().travel();
        tokio::time::sleep(travel).await;
        let arrived = self.start.elapsed();
        let verdict = self.vendor.borrow_mut().arrive(sent, arrived);
        if arrived < self.vendor.borrow().plan.length() {
            let mut tally = self.tally.borrow_mut();
            tally.calls += 1;
            tally.accepted[worker] += u64::from(verdict.accepted);
            tally.refused += u64::from(!verdict.accepted);
        }
        tokio::time::sleep(verdict.back).await;
        if !verdict.accepted {
            self.vendor.borrow_mut().told(self.start.elapsed());
        }
        if verdict.accepted { Ok(()) } else { Err(TooMany(verdict.retry_after)) }
    }
}

/// How much work there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) workers: usize,
    /// Calls that each worker keeps out at once.
    pub(crate) in_flight: usize,
}

/// What came of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Accepted calls by what the vendor would have accepted.
    pub(crate) goodput: f64,
    /// Refused calls by calls.
    pub(crate) refused: f64,
    /// Jain's index over the workers' accepted calls.
    pub(crate) fairness: f64,
    pub(crate) second_penalties: u64,
    pub(crate) calls: u64,
}

/// Runs workers against a vendor until its plan ends. `work`, made within the runtime whose virtual time it is to see,
/// makes one logical call, with its retries.
pub(crate) fn run<W>(plan: &Plan, load: Load, seed: u64, work: impl FnOnce() -> W) -> Figures
where
    W: AsyncFn(&Service, usize) + 'static,
{
    // What draws without a generator of its own, such as the jitter of retries, repeats itself too.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without I/O needs nothing that can fail");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, drive(plan.clone(), load, seed, work))
}

async fn drive<W>(plan: Plan, load: Load, seed: u64, work: impl FnOnce() -> W) -> Figures
where
    W: AsyncFn(&Service, usize) + 'static,
{
    let work = Rc::new(work());
    let (length, capacity) = (plan.length(), plan.capacity());
    let service = Rc::new(Service {
        vendor: RefCell::new(Vendor::new(plan, seed)),
        start: Instant::now(),
        tally: RefCell::new(Tally { accepted: vec![0; load.workers], ..Tally::default() }),
    });
    for worker in (0..load.in_flight).flat_map(|_| 0..load.workers) {
        let (service, work) = (Rc::clone(&service), Rc::clone(&work));
        tokio::task::spawn_local(async move {
            loop {
                work(&service, worker).await;
            }
        });
    }
    tokio::time::sleep(length).await;
    let tally = service.tally.borrow();
    Figures {
        goodput: tally.accepted.iter().sum::<u64>() as f64 / capacity,
        refused: tally.refused as f64 / tally.calls.max(1) as f64,
        fairness: jain(&tally.accepted),
        second_penalties: service.vendor.borrow().second_penalties,
        calls: tally.calls,
    }
}

fn jain(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|n| *n as f64).sum();
    let squares: f64 = shares.iter().map(|n| (*n as f64).powi(2)).sum();
    sum * sum / (shares.len() as f64 * squares).max(f64::MIN_POSITIVE)
}
