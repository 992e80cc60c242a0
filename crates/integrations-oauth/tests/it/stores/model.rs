//! Any sequence of calls, against a model of a few lines.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use integrations_core::ConnectionId;
use integrations_oauth::store::{Draft, Entry, Lease, TokenStore};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::open::Two;

#[derive(Debug, Clone)]
enum Call {
    /// Over the present version, or over one that is this much older.
    Swap {
        who: usize,
        older: u64,
        due: Option<i64>,
        fence: Which,
    },
    Remove {
        who: usize,
        older: u64,
    },
    Lease {
        who: usize,
        long: bool,
    },
    Release {
        who: usize,
        which: Which,
    },
    Due {
        now: i64,
        limit: u32,
    },
    List {
        tenant: Option<usize>,
        after: Option<usize>,
        limit: u32,
    },
}

#[derive(Debug, Clone, Copy)]
enum Which {
    Nobodys,
    Present,
    Older,
}

const TENANTS: [&str; 3] = ["", "a", "a-b"];

fn who(n: usize) -> ConnectionId {
    ConnectionId::new(TENANTS[n % 3], ["mail", "both/0"][n / 3], "u@example.com").unwrap()
}

fn calls() -> impl Strategy<Value = Vec<(bool, Call)>> {
    let which = || prop_oneof![Just(Which::Nobodys), Just(Which::Present), Just(Which::Older)];
    let older = || prop_oneof![4 => Just(0), 1 => 1..3_u64];
    let someone = || 0..6_usize;
    let call = prop_oneof![
        4 => (someone(), older(), proptest::option::of(0..20_i64), which())
            .prop_map(|(who, older, due, fence)| Call::Swap { who, older, due, fence }),
        1 => (someone(), older()).prop_map(|(who, older)| Call::Remove { who, older }),
        3 => (someone(), any::<bool>()).prop_map(|(who, long)| Call::Lease { who, long }),
        2 => (someone(), which()).prop_map(|(who, which)| Call::Release { who, which }),
        1 => (0..20_i64, 0..8_u32).prop_map(|(now, limit)| Call::Due { now, limit }),
        1 => (proptest::option::of(0..3_usize), proptest::option::of(someone()), 0..8_u32)
            .prop_map(|(tenant, after, limit)| Call::List { tenant, after, limit }),
    ];
    proptest::collection::vec((any::<bool>(), call), 1..60)
}

#[derive(Default)]
struct Place {
    draft: Option<Draft>,
    /// The number of writes, and of leases.
    version: u64,
    fence: u64,
    lease: State,
}

#[derive(Default, PartialEq)]
enum State {
    #[default]
    Free,
    Held,
    RanOut,
}

impl Place {
    fn seen(&self, older: u64) -> u64 {
        if self.draft.is_some() { self.version.saturating_sub(older) } else { older }
    }

    fn fence(&self, which: Which) -> Option<u64> {
        match which {
            Which::Nobodys => None,
            Which::Present => Some(self.fence),
            Which::Older => self.fence.checked_sub(1),
        }
    }

    fn entry(&self) -> Option<Entry> {
        self.draft.clone().map(|draft| Entry { version: self.version, draft })
    }
}

type Model = BTreeMap<ConnectionId, Place>;

/// Makes the call to the store and to the model, and compares the answers.
async fn step(store: &dyn TokenStore, model: &mut Model, call: &Call) {
    match *call {
        Call::Swap { who: n, older, due, fence } => {
            let id = who(n);
            let place = model.entry(id.clone()).or_default();
            let next = Draft {
                state: format!("{n}"),
                since: Timestamp::UNIX_EPOCH,
                sealed: Bytes::from(format!("{call:?}")),
                due: due.map(|due| Timestamp::from_millisecond(due).unwrap()),
            };
            let (seen, fence) = (place.seen(older), place.fence(fence));
            let wins = seen == if place.draft.is_some() { place.version } else { 0 };
            if wins {
                place.version += 1;
                place.draft = Some(next.clone());
                if fence == Some(place.fence) {
                    place.lease = State::Free;
                }
            }
            let expected = wins.then_some(place.version);
            assert_eq!(store.swap(&id, seen, &next, fence).await.unwrap(), expected);
            assert_eq!(store.load(&id).await.unwrap(), place.entry());
        }
        Call::Remove { who: n, older } => {
            let place = model.entry(who(n)).or_default();
            let seen = place.seen(older);
            let wins = place.draft.is_some() && seen == place.version;
            if wins {
                place.draft = None;
            }
            assert_eq!(store.remove(&who(n), seen).await.unwrap(), wins);
            assert_eq!(store.load(&who(n)).await.unwrap(), place.entry());
        }
        Call::Lease { who: n, long } => {
            let place = model.entry(who(n)).or_default();
            let ttl = if long { Duration::from_secs(3600) } else { Duration::ZERO };
            let lent = store.lease(&who(n), ttl).await.unwrap();
            let expected = (place.lease != State::Held).then(|| {
                place.fence += 1;
                let taken_over = place.lease == State::RanOut;
                place.lease = if long { State::Held } else { State::RanOut };
                (place.fence, taken_over)
            });
            assert_eq!(lent.map(|lease| (lease.fence, lease.taken_over)), expected);
        }
        Call::Release { who: n, which } => {
            let place = model.entry(who(n)).or_default();
            let Some(fence) = place.fence(which) else { return };
            if fence == place.fence && place.lease == State::Held {
                place.lease = State::Free;
            }
            store.release(&who(n), Lease { fence, taken_over: false }).await.unwrap();
        }
        Call::Due { now, limit } => {
            let now = Timestamp::from_millisecond(now).unwrap();
            let due = |(id, place): (&ConnectionId, &Place)| Some((place.draft.as_ref()?.due?, id.clone()));
            let mut expected: Vec<_> = model.iter().filter_map(due).filter(|(due, _)| *due <= now).collect();
            expected.sort();
            expected.truncate(limit as usize);
            let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
            assert_eq!(store.due(now, limit).await.unwrap(), expected);
        }
        Call::List { tenant, after, limit } => {
            let (tenant, after) = (tenant.map(|n| TENANTS[n]), after.map(who));
            let mut expected: Vec<_> =
                model.iter().filter_map(|(id, place)| Some((id.clone(), place.entry()?))).collect();
            expected.retain(|(id, _)| tenant.is_none_or(|tenant| *id.tenant == *tenant));
            expected.retain(|(id, _)| after.as_ref().is_none_or(|after| id > after));
            expected.truncate(limit as usize);
            assert_eq!(store.list(tenant, after.as_ref(), limit).await.unwrap(), expected);
        }
    }
}

/// Checks a kind of store, if there is one.
pub(crate) fn check<F: Future<Output = Option<Two>>>(open: fn() -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    if runtime.block_on(open()).is_none() {
        return;
    }
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&calls(), |calls| {
            runtime.block_on(async {
                let two = open().await.unwrap();
                let mut model = Model::new();
                for (here, call) in &calls {
                    step(if *here { &*two.here } else { &*two.there }, &mut model, call).await;
                }
            });
            Ok(())
        })
        .unwrap();
}
