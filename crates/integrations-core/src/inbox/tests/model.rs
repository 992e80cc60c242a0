//! Random histories: the stores agree with each other, and what they did keeps the promises.
//!
//! A failing history is printed and shrunk by proptest, with the seed to repeat it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const WORKERS: [&str; 2] = ["v", "w"];

#[derive(Debug, Clone)]
enum Step {
    Accept {
        tenant: u8,
        id: u8,
        entity: Option<u8>,
        version: Option<u8>,
        order: u8,
        claim: bool,
    },
    Lease {
        worker: usize,
        room: usize,
    },
    /// Ends one of the leases that were given, also one that ran out: done, again later, or dead.
    Finish {
        which: prop::sample::Index,
        how: u8,
    },
    Pass {
        seconds: u8,
    },
    ReplayDead,
    Force {
        tenant: u8,
        id: u8,
    },
    Purge {
        age: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let accept = (
        0..2_u8,
        0..12_u8,
        prop::option::of(0..2_u8),
        prop::option::of(0..5_u8),
        0..4_u8,
        prop::bool::weighted(0.2),
    );
    prop_oneof![
        5 => accept.prop_map(|(tenant, id, entity, version, order, claim)| {
            Step::Accept { tenant, id, entity, version, order, claim }
        }),
        4 => (0..2_usize, 1..5_usize).prop_map(|(worker, room)| Step::Lease { worker, room }),
        5 => (any::<prop::sample::Index>(), 0..5_u8).prop_map(|(which, how)| Step::Finish { which, how }),
        2 => (1..70_u8).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::ReplayDead),
        1 => (0..2_u8, 0..12_u8).prop_map(|(tenant, id)| Step::Force { tenant, id }),
        1 => (0..120_u8).prop_map(|age| Step::Purge { age }),
    ]
}

/// What both stores are asked, with what they answered.
struct Run {
    stores: Vec<Box<dyn InboxStore>>,
    now: i64,
    /// Leases as each store gave them.
    given: Vec<Vec<Leased>>,
    promises: Promises,
}

/// What was seen from outside.
#[derive(Default)]
struct Promises {
    /// Lanes in handling, until when, and which event.
    held: BTreeMap<String, (i64, i64, (String, String))>,
    /// Events done and not forced since.
    done: BTreeSet<(String, String)>,
    /// The order and the rank of what was applied last, by lane.
    applied: BTreeMap<String, (Ordering, i64)>,
}

impl Promises {
    fn leased(&mut self, leased: &Leased, now: i64) {
        let event = (leased.entry.source.tenant.clone(), leased.entry.event.id.clone());
        assert!(!self.done.contains(&event), "{event:?} is done and was leased again");
        let held = (leased.lease.fence, now + 60, event.clone());
        let before = self.held.insert(leased.lease.lane.clone(), held);
        assert!(before.is_none_or(|(_, until, _)| until <= now), "two workers in {}", leased.lease.lane);
        match self.applied.get(&leased.lease.lane) {
            Some((order, applied)) if *order == leased.entry.ordering => {
                assert!(leased.entry.rank >= *applied, "{event:?} is stale");
            }
            _ => {}
        }
    }

    /// A turn gives up what ran out of time at each attempt: nobody holds it any more.
    fn given_up(&mut self, dead: &[DeadLetter], now: i64) {
        let is_dead = |event: &(String, String)| {
            dead.iter().any(|dead| (&dead.key.tenant, &dead.key.event_id) == (&event.0, &event.1))
        };
        self.held.retain(|_, (_, until, event)| *until > now || !is_dead(event));
    }

    fn finished(&mut self, leased: &Leased, written: bool, done: bool) {
        let held = self.held.get(&leased.lease.lane).is_some_and(|(fence, ..)| *fence == leased.lease.fence);
        assert_eq!(written, held, "a result counts under a lease that is held, and no other");
        if !written {
            return;
        }
        self.held.remove(&leased.lease.lane);
        if done {
            self.done.insert((leased.entry.source.tenant.clone(), leased.entry.event.id.clone()));
            let (order, rank) = (leased.entry.ordering, leased.entry.rank);
            if matches!(order, Ordering::ByVersion | Ordering::ByVendorTime) {
                self.applied.insert(leased.lease.lane.clone(), (order, rank));
            }
        }
    }
}

impl Run {
    /// Asks all stores the same; their answers have to be equal.
    async fn all<T: PartialEq + std::fmt::Debug>(&self, ask: impl AsyncFn(&dyn InboxStore) -> T) -> T {
        let first = ask(&*self.stores[0]).await;
        for other in &self.stores[1..] {
            assert_eq!(ask(&**other).await, first);
        }
        first
    }

    async fn step(&mut self, step: Step) {
        let now = at(self.now);
        match step {
            Step::Accept { tenant, id, entity, version, order, claim } => {
                let entry = made(tenant, id, entity, version, order, claim);
                self.all(async |store| store.accept(vec![entry.clone()], now).await.unwrap()).await;
            }
            Step::Lease { worker, room } => self.lease(WORKERS[worker], room).await,
            Step::Finish { which, how } => self.finish(which, how).await,
            Step::Pass { seconds } => self.now += i64::from(seconds),
            Step::ReplayDead => {
                self.all(async |store| store.replay(&Replay::DeadSince(at(0)), now).await.unwrap()).await;
            }
            Step::Force { tenant, id } => {
                let key = EventKey::new(format!("t{tenant}"), "vendor", format!("e{id}"));
                let force = Replay::Force(key);
                let forced =
                    self.all(async |store| store.replay(&force, now).await.map_err(|e| e.kind())).await;
                if forced.is_ok_and(|count| count > 0) {
                    self.promises.done.remove(&(format!("t{tenant}"), format!("e{id}")));
                }
            }
            Step::Purge { age } => {
                let keys = at(self.now - i64::from(age));
                let purged = self.all(async |store| store.purge(now, keys).await.unwrap()).await;
                if purged.events > 0 {
                    // Their ids are forgotten, and with them what was seen of them.
                    self.promises.done.clear();
                    self.promises.applied.clear();
                }
            }
        }
        self.all(async |store| store.counts().await.unwrap()).await;
        self.all(async |store| store.next_due().await.unwrap()).await;
        self.all(async |store| store.dead_letters(100).await.unwrap()).await;
    }

    async fn lease(&mut self, owner: &str, room: usize) {
        let turn = Turn { room, ..turn(owner, self.now) };
        let mut answers = Vec::new();
        for store in &self.stores {
            let mut leased = store.lease(&turn).await.unwrap();
            leased.sort_by(|a, b| a.lease.lane.cmp(&b.lease.lane));
            answers.push(leased);
        }
        let dead = self.all(async |store| store.dead_letters(100).await.unwrap()).await;
        self.promises.given_up(&dead, self.now);
        for leased in &answers[0] {
            self.promises.leased(leased, self.now);
        }
        for answer in &answers[1..] {
            let names = |leased: &[Leased]| {
                let name =
                    |l: &Leased| (l.lease.lane.clone(), l.entry.clone(), l.attempt, l.duplicates, l.round);
                leased.iter().map(name).collect::<Vec<_>>()
            };
            assert_eq!(names(answer), names(&answers[0]));
        }
        for n in 0..answers[0].len() {
            self.given.push(answers.iter().map(|answer| answer[n].clone()).collect());
        }
    }

    async fn finish(&mut self, which: prop::sample::Index, how: u8) {
        if self.given.is_empty() {
            return;
        }
        let given = self.given[which.index(self.given.len())].clone();
        let outcome = || match how {
            0 => Outcome::Retry(at(self.now + 30), "again".to_owned()),
            1 => Outcome::Dead("bad".to_owned()),
            _ => done(),
        };
        let mut written = Vec::new();
        for (store, leased) in self.stores.iter().zip(&given) {
            written.push(store.finish(&leased.lease, outcome(), at(self.now)).await.unwrap());
        }
        assert!(written.iter().all(|w| *w == written[0]), "{written:?}");
        self.promises.finished(&given[0], written[0], how > 1);
    }
}

fn made(tenant: u8, id: u8, entity: Option<u8>, version: Option<u8>, order: u8, is_claim: bool) -> Entry {
    let mut event = event(&format!("e{id}"));
    event.entity = entity.map(|entity| Entity::new("thing", format!("x{entity}")));
    event.version = version.map(u64::from);
    event.occurred_at = version.map(|version| at(i64::from(version)));
    if is_claim {
        event.trust = Trust::Claim;
    }
    // One order for each tenant, as a provider has one.
    let orders = [Ordering::ByVersion, Ordering::ByVendorTime, Ordering::Arrival, Ordering::Refetch];
    let ordering = if tenant == 0 { orders[usize::from(order % 2) * 2] } else { orders[usize::from(order)] };
    Entry::new(source(&format!("t{tenant}")), event, ordering)
}

#[cfg_attr(
    not(feature = "sqlite"),
    allow(clippy::unused_async, reason = "a file is opened with SQLite alone")
)]
async fn stores() -> Vec<Box<dyn InboxStore>> {
    vec![
        Box::new(MemoryInbox::new()),
        #[cfg(feature = "sqlite")]
        Box::new(SqliteInbox::new(crate::store::Store::in_memory().await.unwrap()).await.unwrap()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn stores_agree_and_keep_their_promises(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut run = Run { stores: stores().await, now: 0, given: Vec::new(), promises: Promises::default() };
            for step in steps {
                run.step(step).await;
            }
        });
    }
}
