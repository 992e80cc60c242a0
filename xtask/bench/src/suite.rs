//! Who is measured, in which cells, and in which order.

use std::sync::Arc;

use crate::contestant::{Bare, BoxError, Contestant};
use crate::distance::{self, Distance};
use crate::measure::{Bench, Figures, Plan, mean, quantile};
use crate::ours::{self, Ours};
use crate::peers::by_hand::{self, ByHand, ByHandDyn};
use crate::peers::reqwest::{Client, Floor};
use crate::peers::tower;
use crate::service::{PendingOnce, Ready, Service};
use crate::workers::Workers;

/// What a contestant is in the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Bare,
    Ours,
    /// Ours with an operation that gets an idempotency key instead of a hedge.
    OursKeyed,
    /// A floor of its own for the peers that cannot be measured on the bare service.
    Floor,
    Peer,
}

/// One kind of measurement of one contestant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    Ready,
    ReadyTwoThreads,
    Pending,
    PendingTwoThreads,
    TenTenants,
    ManyTenants,
}

impl Cell {
    pub(crate) fn threads(self) -> usize {
        if matches!(self, Self::ReadyTwoThreads | Self::PendingTwoThreads) { 2 } else { 1 }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Ready => "ready at once",
            Self::ReadyTwoThreads => "ready at once, two threads",
            Self::Pending => "pending once",
            Self::PendingTwoThreads => "pending once, two threads",
            Self::TenTenants => "ready at once, 10 tenants at random",
            Self::ManyTenants => "ready at once, 10^6 tenants at random",
        }
    }

    fn is_pending(self) -> bool {
        matches!(self, Self::Pending | Self::PendingTwoThreads)
    }

    fn tenants(self, plan: Plan) -> usize {
        match self {
            Self::TenTenants => TEN,
            Self::ManyTenants => plan.many_tenants,
            _ => 1,
        }
    }
}

const TEN: usize = 10;
const BARE: &str = "bare Arc<dyn async_trait>";
const FLOOR: &str = "reqwest request and response";

/// Medians over the rounds, and the range of the rounds, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) call: f64,
    pub(crate) call_min: f64,
    pub(crate) call_max: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) waited: Option<f64>,
}

impl Summary {
    fn of(rounds: &[Figures]) -> Self {
        let median =
            |pick: fn(&Figures) -> f64| quantile(&mut rounds.iter().map(pick).collect::<Vec<_>>(), 0.5);
        let calls = || rounds.iter().map(|figures| figures.call);
        Self {
            call: median(|figures| figures.call),
            call_min: calls().fold(f64::INFINITY, f64::min),
            call_max: calls().fold(0.0, f64::max),
            p50: median(|figures| figures.p50),
            p99: median(|figures| figures.p99),
            waited: mean(rounds.iter().filter_map(|figures| figures.waited)),
        }
    }
}

/// What was found of one contestant.
pub(crate) struct Outcome {
    pub(crate) role: Role,
    pub(crate) name: &'static str,
    pub(crate) stages: &'static str,
    /// The name of the contestant that it is compared with.
    pub(crate) over: &'static str,
    cells: Vec<(Cell, Summary)>,
    allocations: f64,
    pending_allocations: f64,
}

impl Outcome {
    /// `None` where the cell was not measured: no second core, or no tenants.
    pub(crate) fn get(&self, cell: Cell) -> Option<Summary> {
        self.cells.iter().find(|(c, _)| *c == cell).map(|(_, summary)| *summary)
    }

    /// The mean over the cells with so many threads of [`Figures::waited`].
    pub(crate) fn waited(&self, threads: usize) -> Option<f64> {
        let cells = self.cells.iter().filter(|(cell, _)| cell.threads() == threads);
        mean(cells.filter_map(|(_, summary)| summary.waited))
    }

    /// Per call.
    pub(crate) fn allocations(&self, cell: Cell) -> f64 {
        if cell.is_pending() { self.pending_allocations } else { self.allocations }
    }
}

/// What was found of everyone.
pub(crate) struct Findings {
    pub(crate) outcomes: Vec<Outcome>,
    /// What was found before each round of two threads, in nanoseconds.
    pub(crate) distances: Vec<f64>,
    /// The figures of two threads are from rounds at this distance; `None` when some contestant has none there.
    pub(crate) distance: Option<Distance>,
}

/// Measures everyone, round by round.
pub(crate) fn run(plan: Plan) -> Result<Findings, BoxError> {
    let workers = Workers::start()?;
    // Inside the runtime of the first worker, because some contestants spawn a task or make a timer.
    let entries = workers.run_first(move |runtime| {
        let _context = runtime.enter();
        line_up(plan)
    })??;
    let mut trials: Vec<Trial> = entries.iter().flat_map(Entry::trials).collect();
    trials.retain(|trial| trial.cell.threads() <= workers.count());
    for round in 0..plan.rounds as usize {
        // Each round starts elsewhere, so that nobody always follows the same neighbour.
        let shift = round * trials.len() / plan.rounds as usize;
        for step in 0..trials.len() {
            let at = (step + shift) % trials.len();
            trials[at].round(&workers, plan)?;
        }
    }
    let distance = common_distance(&trials);
    let outcomes =
        entries.iter().map(|entry| entry.outcome(&trials, distance, &workers)).collect::<Result<_, _>>()?;
    let distances =
        trials.iter().flat_map(|trial| &trial.rounds).filter_map(|round| round.distance).collect();
    Ok(Findings { outcomes, distances, distance })
}

/// The distance at which everyone has a round with two threads; the larger one if there are two.
fn common_distance(trials: &[Trial]) -> Option<Distance> {
    let two_threads = || trials.iter().filter(|trial| trial.cell.threads() == 2);
    [Distance::Far, Distance::Near]
        .into_iter()
        .find(|distance| two_threads().all(|trial| trial.rounds.iter().any(|round| round.is_at(*distance))))
}

fn line_up(plan: Plan) -> Result<Vec<Entry>, BoxError> {
    let ready = || Arc::new(Ready { mask: u64::MAX });
    Ok(vec![
        Entry::new(Role::Bare, BARE, "none", |service| Ok(Bare::new(service)))?
            .with_tenants(plan, |tenants| Ok(Bare::with_tenants(tenants)))?,
        Entry::new(Role::Ours, "ours", ours::STAGES, |service| Ok(Ours::new(service, 1, &ours::READ)))?
            .with_tenants(plan, |tenants| Ok(Ours::new(ready(), tenants, &ours::READ)))?,
        Entry::new(Role::OursKeyed, "ours, keyed", ours::KEYED_STAGES, |service| {
            Ok(Ours::new(service, 1, &ours::KEYED))
        })?,
        Entry::new(Role::Peer, "tower, static type", tower::FOUR, |service| Ok(tower::four(service)))?,
        Entry::new(Role::Peer, "tower, boxed", tower::FOUR, |service| Ok(tower::four_boxed(service)))?,
        Entry::new(Role::Peer, "tower behind Buffer, boxed", tower::FIVE, |service| {
            Ok(tower::five_behind_buffer(service))
        })?,
        Entry::new(Role::Floor, FLOOR, "none", Floor::new)?,
        Entry::new(Role::Peer, "reqwest-middleware", "none", Client::plain)?.over(FLOOR),
        Entry::new(Role::Peer, "reqwest-retry", "retry", Client::retrying)?.over(FLOOR),
        Entry::new(Role::Peer, "hand-made", by_hand::STAGES, |service| ByHand::new(service, 1))?
            .with_tenants(plan, |tenants| ByHand::new(ready(), tenants))?,
        Entry::new(Role::Peer, "hand-made, Arc<dyn>", by_hand::STAGES, ByHandDyn::new)?,
    ])
}

/// A contestant on each service.
struct Entry {
    role: Role,
    name: &'static str,
    stages: &'static str,
    over: &'static str,
    ready: Arc<dyn Bench>,
    pending: Arc<dyn Bench>,
    ten_tenants: Option<Arc<dyn Bench>>,
    many_tenants: Option<Arc<dyn Bench>>,
}

impl Entry {
    fn new<C: Contestant>(
        role: Role,
        name: &'static str,
        stages: &'static str,
        make: impl Fn(Arc<dyn Service>) -> Result<C, BoxError>,
    ) -> Result<Self, BoxError> {
        let ready = Arc::new(make(Arc::new(Ready { mask: u64::MAX }))?);
        let pending = Arc::new(make(Arc::new(PendingOnce))?);
        Ok(Self { role, name, stages, over: BARE, ready, pending, ten_tenants: None, many_tenants: None })
    }

    /// Adds the cells in which calls go to random tenants.
    fn with_tenants<C: Contestant>(
        mut self,
        plan: Plan,
        make: impl Fn(usize) -> Result<C, BoxError>,
    ) -> Result<Self, BoxError> {
        self.ten_tenants = Some(Arc::new(make(TEN)?));
        self.many_tenants = Some(Arc::new(make(plan.many_tenants)?));
        Ok(self)
    }

    fn over(mut self, floor: &'static str) -> Self {
        self.over = floor;
        self
    }

    fn trials(&self) -> Vec<Trial> {
        let benches = [
            (Cell::Ready, Some(&self.ready)),
            (Cell::ReadyTwoThreads, Some(&self.ready)),
            (Cell::Pending, Some(&self.pending)),
            (Cell::PendingTwoThreads, Some(&self.pending)),
            (Cell::TenTenants, self.ten_tenants.as_ref()),
            (Cell::ManyTenants, self.many_tenants.as_ref()),
        ];
        let trial = |(cell, bench): (Cell, Option<&Arc<dyn Bench>>)| {
            Some(Trial { contestant: self.name, cell, bench: Arc::clone(bench?), rounds: Vec::new() })
        };
        benches.into_iter().filter_map(trial).collect()
    }

    fn outcome(
        &self,
        trials: &[Trial],
        distance: Option<Distance>,
        workers: &Workers,
    ) -> Result<Outcome, BoxError> {
        let own = trials.iter().filter(|trial| trial.contestant == self.name);
        Ok(Outcome {
            role: self.role,
            name: self.name,
            stages: self.stages,
            over: self.over,
            cells: own.map(|trial| (trial.cell, trial.summary(distance))).collect(),
            allocations: Arc::clone(&self.ready).allocations(workers)?,
            pending_allocations: Arc::clone(&self.pending).allocations(workers)?,
        })
    }
}

/// One cell of one contestant, and its rounds so far.
struct Trial {
    contestant: &'static str,
    cell: Cell,
    bench: Arc<dyn Bench>,
    rounds: Vec<Round>,
}

impl Trial {
    fn round(&mut self, workers: &Workers, plan: Plan) -> Result<(), BoxError> {
        let distance = (self.cell.threads() == 2).then(|| distance::measure(workers)).transpose()?;
        let bench = Arc::clone(&self.bench);
        let figures = bench.round(workers, self.cell.threads(), self.cell.tenants(plan), plan)?;
        self.rounds.push(Round { figures, distance });
        Ok(())
    }

    /// Of all rounds, or with two threads of those at `distance`.
    fn summary(&self, distance: Option<Distance>) -> Summary {
        let fits =
            |round: &&Round| distance.is_none_or(|wanted| round.distance.is_none() || round.is_at(wanted));
        let rounds: Vec<Figures> = self.rounds.iter().filter(fits).map(|round| round.figures).collect();
        Summary::of(&rounds)
    }
}

struct Round {
    figures: Figures,
    /// Of the two cores, just before; `None` with one thread.
    distance: Option<f64>,
}

impl Round {
    fn is_at(&self, wanted: Distance) -> bool {
        self.distance.map(Distance::of) == Some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TINY: Plan =
        Plan { rounds: 2, calls: 64, warm_up: 32, limit: Duration::from_secs(5), many_tenants: 100 };

    #[test]
    fn everyone_is_measured_in_every_cell_of_his() {
        let outcomes = run(TINY).unwrap().outcomes;
        let names: Vec<_> = outcomes.iter().map(|outcome| outcome.name).collect();
        for outcome in &outcomes {
            let with_tenants = [BARE, "ours", "hand-made"].contains(&outcome.name);
            let two_threads = std::thread::available_parallelism().unwrap().get() > 1;
            let expected = if two_threads { 4 } else { 2 } + if with_tenants { 2 } else { 0 };
            assert_eq!(outcome.cells.len(), expected, "{}", outcome.name);
            assert!(
                outcome
                    .cells
                    .iter()
                    .all(|(_, summary)| summary.call > 0.0 && summary.call_min <= summary.call)
            );
            assert!(outcome.allocations >= 1.0, "the boxed future of {} was not counted", outcome.name);
            assert!(names.contains(&outcome.over), "{} has no floor", outcome.name);
        }
    }

    #[test]
    fn figures_of_two_threads_come_from_one_distance() {
        let trial = |distances: [f64; 3]| Trial {
            contestant: "one",
            cell: Cell::ReadyTwoThreads,
            bench: Arc::new(Bare::with_tenants(1)),
            rounds: distances
                .map(|ns| Round {
                    figures: Figures { call: ns, p50: ns, p99: ns, waited: None },
                    distance: Some(ns),
                })
                .into(),
        };
        let call = |trial: &Trial, distance| trial.summary(distance).call.to_string();
        let (mixed, near) = (trial([20.0, 180.0, 22.0]), trial([20.0, 21.0, 22.0]));
        assert_eq!(call(&mixed, Some(Distance::Far)), "180");
        assert_eq!(call(&mixed, Some(Distance::Near)), "20");
        assert_eq!(call(&mixed, None), "22");
        assert_eq!(common_distance(&[trial([180.0, 20.0, 20.0]), mixed]), Some(Distance::Far));
        assert_eq!(common_distance(&[trial([180.0, 20.0, 20.0]), near]), Some(Distance::Near));
        assert_eq!(common_distance(&[trial([180.0; 3]), trial([20.0; 3])]), None);
    }
}
