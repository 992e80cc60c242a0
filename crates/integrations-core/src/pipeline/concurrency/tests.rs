use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep, timeout};

use super::*;

const MS: Duration = Duration::from_millis(1);

/// A future that is polled by hand.
type Waiter<'a> = Pin<Box<dyn Future<Output = Result<Permit<'a>, Refused>> + 'a>>;

fn waiter(limit: &Concurrency, tenant: impl Into<TenantKey>) -> Waiter<'_> {
    let mut waiter: Waiter<'_> = Box::pin(limit.acquire(tenant.into()));
    assert!(poll(&mut waiter).is_none(), "it has to wait");
    waiter
}

fn poll<'a>(waiter: &mut Waiter<'a>) -> Option<Result<Permit<'a>, Refused>> {
    match waiter.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

fn assert_idle(limit: &Concurrency) {
    assert_eq!((limit.in_flight(), limit.queued()), (0, 0));
    let permits: Vec<_> = std::iter::from_fn(|| limit.try_acquire()).collect();
    assert_eq!(permits.len(), limit.limit() as usize, "full capacity");
    let queue = limit.lock();
    assert!(queue.is_clean());
}

#[test]
fn it_is_small() {
    assert!(size_of::<Concurrency>() <= 32, "{}", size_of::<Concurrency>());
    assert_eq!(size_of::<Permit<'_>>(), 8);
}

#[test]
fn the_limit_holds_without_waiting() {
    let limit = Concurrency::new(2, 0);
    let (first, _second) = (limit.try_acquire().expect("free"), limit.try_acquire().expect("free"));
    assert!(limit.try_acquire().is_none());
    drop(first);
    assert!(limit.try_acquire().is_some());
    assert_eq!(limit.in_flight(), 1);
}

#[test]
fn a_full_queue_refuses_at_once() {
    let limit = Concurrency::new(1, 2);
    let permit = limit.try_acquire().expect("free");
    let (first, _second) = (waiter(&limit, 1), waiter(&limit, 2));
    let mut third: Waiter<'_> = Box::pin(limit.acquire(TenantKey::new(3)));
    assert!(matches!(poll(&mut third), Some(Err(Refused::QueueFull))));
    drop(first);
    let _third = waiter(&limit, 3);
    drop(permit);
}

#[test]
fn nobody_passes_those_who_wait() {
    let limit = Concurrency::new(1, 8);
    let permit = limit.try_acquire().expect("free");
    let mut first = waiter(&limit, 1);
    drop(permit);
    assert!(limit.try_acquire().is_none(), "the permit is the waiter's");
    let mut newcomer = waiter(&limit, 2);
    let permit = poll(&mut first).expect("granted").expect("open");
    assert!(poll(&mut newcomer).is_none());
    drop(permit);
    drop(poll(&mut newcomer).expect("granted"));
    assert_idle(&limit);
}

#[test]
fn a_permit_given_to_a_dropped_waiter_goes_on() {
    let limit = Concurrency::new(1, 8);
    let permit = limit.try_acquire().expect("free");
    let (first, second, mut third) = (waiter(&limit, 1), waiter(&limit, 1), waiter(&limit, 2));
    drop(permit);
    drop(first);
    // Tenant 2's turn came when the first waiter of tenant 1 had got its permit.
    let permit = poll(&mut third).expect("granted").expect("open");
    drop(second);
    drop(permit);
    assert_idle(&limit);
}

#[test]
fn closing_refuses_waiters_and_newcomers() {
    let limit = Concurrency::new(1, 8);
    let permit = limit.try_acquire().expect("free");
    let (mut first, second) = (waiter(&limit, 1), waiter(&limit, 2));
    limit.close();
    assert!(matches!(poll(&mut first), Some(Err(Refused::Closed))));
    assert!(limit.try_acquire().is_none());
    let mut newcomer: Waiter<'_> = Box::pin(limit.acquire(TenantKey::new(3)));
    assert!(matches!(poll(&mut newcomer), Some(Err(Refused::Closed))));
    drop(permit);
    assert_eq!((limit.in_flight(), limit.queued()), (0, 1));
    drop(second);
    assert_eq!(limit.queued(), 0);
}

#[test]
fn a_permit_granted_before_closing_is_still_given() {
    let limit = Concurrency::new(1, 8);
    let permit = limit.try_acquire().expect("free");
    let mut first = waiter(&limit, 1);
    drop(permit);
    limit.close();
    drop(poll(&mut first).expect("granted").expect("before it closed"));
    assert_eq!(limit.in_flight(), 0);
}

/// Runs `calls` (tenant, number of calls), each call 1 ms, one at a time; returns the tenants in order of service.
async fn order_of_service(calls: &[(TenantKey, usize)]) -> Vec<u64> {
    let limit = Rc::new(Concurrency::new(1, 10_000));
    let order = Rc::new(RefCell::new(Vec::new()));
    let local = LocalSet::new();
    let blocker = limit.try_acquire().expect("free");
    for &(tenant, count) in calls {
        for number in 0..count {
            let (limit, order) = (Rc::clone(&limit), Rc::clone(&order));
            local.spawn_local(async move {
                let _permit = limit.acquire(tenant).await.expect("open");
                order.borrow_mut().push((tenant.id, number));
                sleep(MS).await;
            });
        }
    }
    local.run_until(sleep(MS)).await;
    drop(blocker);
    local.await;
    assert_idle(&limit);
    let order = order.borrow();
    for &(tenant, _) in calls {
        let numbers: Vec<_> = order.iter().filter(|(id, _)| *id == tenant.id).map(|(_, n)| *n).collect();
        assert!(numbers.is_sorted(), "tenant {} is served in order: {numbers:?}", tenant.id);
    }
    order.iter().map(|(id, _)| *id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_quiet_tenant_waits_for_one_turn_of_a_loud_one() {
    let order = order_of_service(&[(TenantKey::new(1), 100), (TenantKey::new(2), 1)]).await;
    assert_eq!(order.len(), 101);
    assert!(order.iter().position(|id| *id == 2).is_some_and(|turn| turn <= 1), "{order:?}");
}

#[tokio::test(start_paused = true)]
async fn equal_tenants_take_turns() {
    let tenants = [1, 2, 3].map(|id| (TenantKey::new(id), 20));
    let order = order_of_service(&tenants).await;
    assert_eq!(order, [1, 2, 3].repeat(20));
}

#[tokio::test(start_paused = true)]
async fn a_share_is_a_part_of_the_permits_while_others_wait() {
    for part in [0.05, 0.25, 0.5, 0.9] {
        for others in [1, 3, 50] {
            let mut calls = vec![(TenantKey::new(0).share(part), 2_000)];
            calls.extend((1..=others).map(|id| (TenantKey::new(id), 2_000 / others as usize)));
            let order = order_of_service(&calls).await;
            // Until one side has nobody left.
            let contended = &order[..1_000];
            let got = contended.iter().filter(|id| **id == 0).count() as f64 / contended.len() as f64;
            assert!((got - part).abs() < 0.01, "{part} of {others} others: {got}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_shares_hold_beside_each_other_and_nothing_lies_idle() {
    let [first, second] = [TenantKey::new(1).share(0.5), TenantKey::new(2).share(0.2)];
    let order = order_of_service(&[(first, 500), (second, 500), (TenantKey::new(3), 500)]).await;
    let count = |id: u64| order[..500].iter().filter(|got| **got == id).count();
    assert!(
        (count(1) as i64 - 250).abs() <= 3 && (count(2) as i64 - 100).abs() <= 3,
        "{} {}",
        count(1),
        count(2)
    );
    assert_eq!(order.len(), 1_500, "everybody is served in the end");
    let order = order_of_service(&[(first, 100), (second, 100)]).await;
    assert_eq!(order.len(), 200, "those with a share may use everything");
}

/// As many calls as there are permits come from tenants that were never seen: who waits for a second permit gets one
/// nevertheless.
#[tokio::test(start_paused = true)]
async fn newcomers_do_not_starve_who_waits() {
    let limit = Rc::new(Concurrency::new(1, 10_000));
    let served = Rc::new(Cell::new(0));
    let local = LocalSet::new();
    for n in 0..2_000_u64 {
        let (limit, served) = (Rc::clone(&limit), Rc::clone(&served));
        let (tenant, comes) = if n < 100 { (0, 0) } else { (n, n as u32 - 100) };
        local.spawn_local(async move {
            sleep(comes * MS).await;
            let _permit = limit.acquire(tenant.into()).await.expect("open");
            served.set(served.get() + u32::from(tenant == 0));
            sleep(MS).await;
        });
    }
    local.run_until(sleep(1_000 * MS)).await;
    assert!((12..=18).contains(&served.get()), "a 65th of 1,000, not {}", served.get());
    local.await;
    assert_idle(&limit);
}

/// Need 16: a tenant that offers a hundred times as much must not slow another one down.
#[tokio::test(start_paused = true)]
async fn the_wait_of_a_quiet_tenant_does_not_grow_with_the_load_of_another() {
    let limit = Rc::new(Concurrency::new(4, 10_000));
    let local = LocalSet::new();
    for _ in 0..400 {
        let limit = Rc::clone(&limit);
        local.spawn_local(async move {
            let end = Instant::now() + Duration::from_secs(10);
            while Instant::now() < end {
                let _permit = limit.acquire(1.into()).await.expect("open");
                sleep(10 * MS).await;
            }
        });
    }
    let quiet = local.run_until(async {
        let mut worst = Duration::ZERO;
        for _ in 0..100 {
            sleep(33 * MS).await;
            let asked = Instant::now();
            let _permit = limit.acquire(2.into()).await.expect("open");
            worst = worst.max(asked.elapsed());
        }
        worst
    });
    let worst = quiet.await;
    assert!(worst <= 10 * MS, "one call of the other tenant at most, not {worst:?}");
    local.await;
    assert_idle(&limit);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_cancellations_leaves_nothing_behind() {
    for seed in 0..20 {
        let limit = Rc::new(Concurrency::new(3, 500));
        let (local, peak, served) = (LocalSet::new(), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..400 {
            let (limit, peak, served) = (Rc::clone(&limit), Rc::clone(&peak), Rc::clone(&served));
            let tenant =
                TenantKey::new(random.u64(..7)).share(if random.bool() { 0.0 } else { random.f64() });
            let (starts, holds, patience) = (random.u64(..40), random.u64(..6), random.u64(..30));
            local.spawn_local(async move {
                sleep(starts as u32 * MS).await;
                let call = async {
                    let permit = limit.acquire(tenant).await.expect("open, and room for all");
                    peak.set(limit.in_flight().max(peak.get()));
                    sleep(holds as u32 * MS).await;
                    served.set(served.get() + 1);
                    drop(permit);
                };
                // Cancelled while waiting, while holding a permit, or in the very millisecond it is granted.
                let _ = timeout(patience as u32 * MS, call).await;
            });
        }
        local.await;
        assert_eq!(peak.get(), 3, "seed {seed}");
        assert!((20..380).contains(&served.get()), "seed {seed}: {served:?} of 400");
        assert_idle(&limit);
    }
}

#[tokio::test(start_paused = true)]
async fn it_works_across_tasks() {
    let limit: &'static Concurrency = Box::leak(Box::new(Concurrency::new(2, 100)));
    let mut tasks = JoinSet::new();
    for tenant in 0..50 {
        tasks.spawn(async move {
            let _permit = limit.acquire(tenant.into()).await.expect("open");
            sleep(MS).await;
        });
    }
    let start = Instant::now();
    tasks.join_all().await;
    assert_eq!(start.elapsed(), 25 * MS);
    assert_idle(limit);
}

#[test]
fn threads_keep_the_limit_and_lose_no_permit() {
    const LIMIT: u32 = 2;
    let limit = Concurrency::new(LIMIT, 1_000);
    let (active, served) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for seed in 0..4 {
            let (limit, active, served) = (&limit, &active, &served);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..5_000 {
                    let mut call = Box::pin(limit.acquire(TenantKey::new(seed)));
                    let waker = Waker::noop();
                    if random.bool() && call.as_mut().poll(&mut Context::from_waker(waker)).is_pending() {
                        continue;
                    }
                    drop(call);
                    let _permit = runtime.block_on(limit.acquire(TenantKey::new(seed))).expect("open");
                    assert!(active.fetch_add(1, SeqCst) < LIMIT as usize);
                    thread::yield_now();
                    active.fetch_sub(1, SeqCst);
                    served.fetch_add(1, SeqCst);
                }
            });
        }
    });
    assert!(served.into_inner() > 5_000);
    assert_idle(&limit);
}

// ---- against a plain model --------------------------------------------------------------------------------------

#[derive(Debug, Clone, Copy)]
enum Step {
    Ask(u64),
    /// Polls all waiters and checks who has been granted.
    Look,
    Release(usize),
    Cancel(usize),
}

/// Plain lists: each tenant with the virtual time at which it is due, and its waiters.
#[derive(Default)]
struct Model {
    in_flight: usize,
    time: u64,
    standing: u32,
    lines: Vec<(u64, u64, VecDeque<u64>)>,
    due: HashMap<u64, u64>,
    granted: Vec<u64>,
}

impl Model {
    fn ask(&mut self, limit: usize, tenant: u64, id: u64) {
        if self.lines.is_empty() && self.in_flight < limit {
            self.in_flight += 1;
            self.granted.push(id);
        } else if let Some((_, _, line)) = self.lines.iter_mut().find(|(t, ..)| *t == tenant) {
            line.push_back(id);
        } else {
            let due = self.due.get(&tenant).copied().unwrap_or_default().max(self.time);
            self.lines.push((tenant, due, [id].into()));
        }
    }

    fn free_one(&mut self) {
        // The first of those that are due first.
        let Some(at) = (0..self.lines.len()).min_by_key(|at| self.lines[*at].1) else {
            self.in_flight -= 1;
            return;
        };
        let (tenant, due, mut line) = self.lines.remove(at);
        self.granted.extend(line.pop_front());
        self.standing = if due > self.time { 0 } else { self.standing + 1 };
        self.time = self.time.max(due) + u64::from(self.standing == 64);
        self.standing %= 64;
        self.lines.push((tenant, due + 1, line));
        self.tidy();
    }

    fn cancel(&mut self, id: u64) {
        if let Some(at) = self.granted.iter().position(|granted| *granted == id) {
            self.granted.swap_remove(at);
            self.free_one();
        }
        self.lines.iter_mut().for_each(|(_, _, line)| line.retain(|waiting| *waiting != id));
        self.tidy();
    }

    fn tidy(&mut self) {
        for (tenant, due, _) in self.lines.extract_if(.., |(_, _, line)| line.is_empty()) {
            self.due.insert(tenant, due);
        }
        if self.lines.is_empty() {
            self.due.clear();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
    #[test]
    fn it_grants_in_the_order_of_the_model(limit in 1..4_u32, steps in prop::collection::vec(prop_oneof![
        4 => (0..6_u64).prop_map(Step::Ask),
        2 => Just(Step::Look),
        3 => (0..64_usize).prop_map(Step::Release),
        2 => (0..64_usize).prop_map(Step::Cancel),
    ], 1..200)) {
        let concurrency = Concurrency::new(limit, 1_000);
        let mut model = Model::default();
        let mut waiters: Vec<(u64, Waiter<'_>)> = Vec::new();
        let mut held: HashMap<u64, Permit<'_>> = HashMap::new();
        let mut order: Vec<u64> = Vec::new();
        for (id, step) in (0..).zip(steps) {
            match step {
                Step::Ask(tenant) => {
                    model.ask(limit as usize, tenant, id);
                    let key = TenantKey::new(tenant);
                    let mut waiter: Waiter<'_> = Box::pin(concurrency.acquire(key));
                    match poll(&mut waiter) {
                        Some(permit) => {
                            held.insert(id, permit.expect("open"));
                            order.push(id);
                        }
                        None => waiters.push((id, waiter)),
                    }
                }
                Step::Look => {
                    waiters.retain_mut(|(id, waiter)| match poll(waiter) {
                        Some(permit) => {
                            held.insert(*id, permit.expect("open"));
                            order.push(*id);
                            false
                        }
                        None => true,
                    });
                    let mut expected = model.granted.clone();
                    expected.sort_unstable();
                    let mut got: Vec<_> = held.keys().copied().collect();
                    got.sort_unstable();
                    prop_assert_eq!(got, expected);
                }
                Step::Release(which) if !order.is_empty() => {
                    let id = order.swap_remove(which % order.len());
                    held.remove(&id);
                    model.cancel(id);
                }
                Step::Cancel(which) if !waiters.is_empty() => {
                    let (id, waiter) = waiters.swap_remove(which % waiters.len());
                    drop(waiter);
                    model.cancel(id);
                }
                Step::Release(_) | Step::Cancel(_) => {}
            }
            let waiting: usize = model.lines.iter().map(|(_, _, line)| line.len()).sum();
            prop_assert_eq!((concurrency.in_flight() as usize, concurrency.queued() as usize), (model.in_flight, waiting));
        }
        drop((waiters, held));
        assert_idle(&concurrency);
    }
}

/// The tenants in the order in which a queue lets them go.
fn drained(queue: &mut Queue, tickets: &mut Vec<(u64, u64)>) -> Vec<u64> {
    let mut order = Vec::new();
    while queue.pop().is_some() {
        let gone = tickets.iter().position(|(tenant, ticket)| queue.get(*tenant, *ticket).is_none());
        order.push(tickets.swap_remove(gone.expect("one of them went")).0);
    }
    order
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
    #[test]
    fn who_has_nobody_in_the_queue_is_told_who_is_ahead(
        before in prop::collection::vec((0..12_u64, 0..4_usize), 0..60),
    ) {
        let (mut queue, mut tickets) = (Queue::default(), Vec::new());
        for (tenant, pops) in before {
            tickets.push((tenant, queue.push(TenantKey::new(tenant))));
            for _ in 0..pops {
                queue.pop();
            }
            tickets.retain(|(tenant, ticket)| queue.get(*tenant, *ticket).is_some());
        }
        for own in 0..5 {
            let newcomer = TenantKey::new(own);
            let alone = tickets.iter().all(|(tenant, _)| *tenant != own);
            let told = queue.ahead_of(newcomer) as usize;
            prop_assert!(told <= queue.len() as usize);
            if alone {
                tickets.push((own, queue.push(newcomer)));
                let order = drained(&mut queue, &mut tickets);
                prop_assert_eq!(order.iter().position(|tenant| *tenant == own), Some(told), "{:?}", order);
                break;
            }
        }
    }
}

/// An entry for every tenant can promise each of them a quarter.
#[test]
fn shares_of_more_than_everything_starve_nobody() {
    let mut queue = Queue::default();
    for tenant in 0..100 {
        for _ in 0..100 {
            queue.push(TenantKey::new(tenant).share(0.25));
        }
    }
    let without = queue.push(TenantKey::new(1_000));
    let served = |queue: &mut Queue, tenant, ticket| {
        (1..10_000).find(|_| queue.pop().is_none() || queue.get(tenant, ticket).is_none())
    };
    let after = served(&mut queue, 1_000, without);
    assert!(after.is_some_and(|n| n <= 200), "without a share: after {after:?}");
    for _ in 0..2_000 {
        queue.pop();
    }
    let late = queue.push(TenantKey::new(2_000).share(0.25));
    let after = served(&mut queue, 2_000, late);
    assert!(after.is_some_and(|n| n <= 200), "late: after {after:?}");
}
