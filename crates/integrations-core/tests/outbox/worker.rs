//! Leases, crashes, and the loop in virtual time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use integrations_core::outbox::{EndpointSettings, ErrorClass, NewEvent, Report, Rules, State};
use integrations_core::outbox::{MemoryOutbox, SqliteOutbox};
use integrations_core::store::Store;
use integrations_core::{Effect, Error, ErrorKind};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Bench, Reply, TENANT, on_both_stores};

on_both_stores!(
    a_worker_that_dies_loses_nothing,
    a_worker_that_lost_its_lease_writes_nothing,
    a_late_result_is_not_taken_for_that_of_another_event
);

/// All events were forgotten while an attempt was under way, so that its place is that of a new one.
async fn a_late_result_is_not_taken_for_that_of_another_event(bench: Bench) {
    let endpoint = bench.endpoint("late.example").await;
    bench.publish(1).await;
    let late = bench.store.lease(bench.now(), 9).await.unwrap().pop().unwrap();
    bench.outbox.disable_endpoint(TENANT, &endpoint.id).await.unwrap();
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.outbox.purge(bench.now()).await.unwrap(), 1);
    bench.outbox.enable_endpoint(TENANT, &endpoint.id, false).await.unwrap();
    let event = bench.publish(2).await;
    let present = bench.store.lease(bench.now(), 9).await.unwrap().pop().unwrap();
    assert_eq!(present.event.id, event);
    let report = Report::new(bench.now(), Duration::ZERO, Some(200), None);
    let settled = bench.store.settle(&late, &report, &Rules::default(), bench.now()).await.unwrap();
    assert_eq!(settled, None);
    assert_eq!(bench.state(&endpoint, &event).await, State::InFlight);
}

async fn a_worker_that_dies_loses_nothing(bench: Bench) {
    let endpoint = bench.endpoint("hang.example").await;
    bench.receiver.answers("hang.example", [Reply::Hang]);
    let event = bench.publish(1).await;
    let outbox = bench.outbox.clone();
    let worker = tokio::spawn(async move { outbox.deliver_due().await });
    bench.receiver.arrived.notified().await;
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
    assert_eq!(bench.state(&endpoint, &event).await, State::InFlight);
    bench.pass(Duration::from_secs(34));
    assert_eq!(bench.deliver().await, 0, "the lease is not over");
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.deliver().await, 1);
    assert_eq!(bench.state(&endpoint, &event).await, State::Succeeded);
    assert!(bench.receiver.got().iter().all(|got| got.id() == event));
}

async fn a_worker_that_lost_its_lease_writes_nothing(bench: Bench) {
    let endpoint = bench.endpoint("fence.example").await;
    let event = bench.publish(1).await;
    let first = bench.store.lease(bench.now(), 9).await.unwrap().pop().unwrap();
    assert!(bench.store.lease(bench.now(), 9).await.unwrap().is_empty());
    bench.pass(Duration::from_secs(35));
    let second = bench.store.lease(bench.now(), 9).await.unwrap().pop().unwrap();
    assert!(second.delivery.fence > first.delivery.fence);
    let rules = Rules::default();
    let settle = async |lease| {
        let report = Report::new(bench.now(), Duration::ZERO, Some(500), Some(ErrorClass::Http5xx));
        bench.store.settle(lease, &report, &rules, bench.now()).await.unwrap()
    };
    assert_eq!(settle(&first).await, None);
    assert_eq!(bench.delivery(&endpoint, &event).await, second.delivery);
    assert_eq!(settle(&second).await, Some(Vec::new()));
    assert_eq!(settle(&second).await, None, "once is enough");
    assert_eq!(bench.outbox.attempts(TENANT, &endpoint.id, &event).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_event_is_sent_if_and_only_if_its_transaction_commits() {
    let store = Store::in_memory().await.unwrap();
    let tables = SqliteOutbox::builder(store.clone()).allow_plain_secrets().open().await.unwrap();
    let bench = Bench::over(Arc::new(tables));
    bench.endpoint("tx.example").await;
    for (n, commits) in [(1, false), (2, true)] {
        let outbox = bench.outbox.clone();
        let job = store.write(move |tx| {
            Box::pin(async move {
                let event = NewEvent::new("thing.made", &serde_json::json!({ "n": n }))?;
                outbox.publish_in(tx, TENANT, event).await?;
                let undo = Error::new(ErrorKind::Conflict, Effect::Rejected, "undo");
                if commits { Ok(()) } else { Err(undo) }
            })
        });
        assert_eq!(job.await.is_ok(), commits);
        bench.outbox.wake();
    }
    bench.deliver().await;
    assert_eq!(bench.receiver.numbers("tx.example"), [2]);
}

/// A database file that is removed in the end.
struct File(PathBuf);

impl File {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("outbox-{}-{}.db", std::process::id(), fastrand::u64(..))))
    }

    async fn open(&self) -> (Store, Bench) {
        let store = Store::open(&self.0).await.unwrap();
        let tables = SqliteOutbox::builder(store.clone()).allow_plain_secrets().open().await.unwrap();
        (store, Bench::over(Arc::new(tables)))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            let _gone_already = std::fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}

#[tokio::test]
async fn what_was_kept_in_a_file_is_there_after_a_restart() {
    let file = File::new();
    let (store, bench) = file.open().await;
    bench.endpoint("file.example").await;
    bench.publish(1).await;
    store.close().await.unwrap();
    let (store, bench) = file.open().await;
    assert_eq!(bench.deliver().await, 1);
    let endpoint = bench.outbox.endpoints(TENANT).await.unwrap().pop().unwrap();
    assert!(bench.receiver.got()[0].verifies(endpoint.keys[0].key.reveal().expose()));
    store.close().await.unwrap();
}

#[tokio::test]
async fn two_processes_over_one_file_share_its_deliveries_and_its_limits() {
    let file = File::new();
    let ((one, first), (two, second)) = (file.open().await, file.open().await);
    for host in ["a.example", "b.example", "c.example"] {
        first.endpoint(host).await;
    }
    for n in 0..70 {
        first.publish(n).await;
    }
    let mut taken = Vec::new();
    for bench in [&first, &second, &second, &first, &second, &first, &second] {
        let leases = bench.store.lease(bench.now(), 30).await.unwrap();
        taken.extend(leases.into_iter().map(|lease| (lease.endpoint.id.clone(), lease.delivery.seq)));
    }
    let count = taken.len();
    taken.sort();
    taken.dedup();
    assert_eq!((taken.len(), count), (3 * 64, 3 * 64), "each once, and no endpoint more than its 64");
    one.close().await.unwrap();
    two.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_loop_takes_a_delivery_through_the_schedule() {
    let bench = Bench::virtual_time();
    let endpoint = bench.endpoint("slow.example").await;
    bench.receiver.always("slow.example", Reply::Status(500));
    let event = bench.publish(1).await;
    let began = Instant::now();
    bench.outbox.run(sleep(Duration::from_secs(76 * 3600))).await;
    assert!(began.elapsed() < Duration::from_secs(76 * 3600 + 1));
    assert_eq!(bench.receiver.got().len(), 10);
    assert_eq!(bench.state(&endpoint, &event).await, State::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_is_given_up_in_time_and_holds_up_nobody() {
    let bench = Bench::virtual_time();
    let settings =
        EndpointSettings::new("https://hang.example/").timeout(Duration::from_secs(15)).limits(1000, 4);
    let hangs = bench.endpoint_with(settings).await;
    bench.endpoint("quick.example").await;
    bench.receiver.always("hang.example", Reply::Hang);
    let first = bench.publish(0).await;
    for n in 1..100 {
        bench.publish(n).await;
    }
    bench.outbox.run(sleep(Duration::from_secs(2))).await;
    assert_eq!(bench.receiver.numbers("quick.example").len(), 100);
    assert_eq!(bench.receiver.numbers("hang.example").len(), 4, "as many as it has places");
    let attempts = bench.outbox.attempts(TENANT, &hangs.id, &first).await.unwrap();
    assert_eq!((attempts.len(), attempts[0].class), (1, Some(ErrorClass::ReadTimeout)));
    assert!(attempts[0].latency >= Duration::from_secs(15));
}

/// The status decides, also when it comes late and its body never.
#[tokio::test(start_paused = true)]
async fn a_success_whose_body_never_comes_is_a_success() {
    let bench = Bench::virtual_time();
    let settings = EndpointSettings::new("https://drip.example/").timeout(Duration::from_secs(15));
    let endpoint = bench.endpoint_with(settings).await;
    bench.receiver.answers("drip.example", [Reply::Drip(Duration::from_secs(14))]);
    let event = bench.publish(1).await;
    bench.outbox.run(sleep(Duration::from_secs(60))).await;
    assert_eq!(bench.state(&endpoint, &event).await, State::Succeeded);
    assert_eq!(bench.receiver.got().len(), 1, "it was not sent twice");
}

/// More hanging endpoints than there are places in all: a new event waits for a place, not for their backlog.
#[tokio::test(start_paused = true)]
async fn a_crowd_of_hanging_receivers_starves_nobody() {
    let bench = Bench::virtual_time();
    for n in 0..20 {
        let settings = EndpointSettings::new(format!("https://hang{n}.example/")).types(["thing.made"]);
        bench.endpoint_with(settings).await;
        bench.receiver.always(&format!("hang{n}.example"), Reply::Hang);
    }
    for n in 0..200 {
        bench.publish(n).await;
    }
    bench.endpoint_with(EndpointSettings::new("https://quick.example/").types(["other"])).await;
    let outbox = bench.outbox.clone();
    let publishing = async {
        sleep(Duration::from_secs(20)).await;
        let event = NewEvent::new("other", &serde_json::json!({ "n": 7 })).unwrap();
        outbox.publish(TENANT, event).await.unwrap();
        sleep(Duration::from_secs(31)).await;
    };
    bench.outbox.run(publishing).await;
    assert_eq!(bench.receiver.numbers("quick.example"), [7]);
}

/// Workers that die at any moment, receivers that fail at random: every event arrives, and nothing is left behind.
#[tokio::test(start_paused = true)]
async fn workers_that_die_at_random_lose_nothing() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let bench = Bench::virtual_time();
    let hosts = ["a.example", "b.example", "c.example"];
    for host in hosts {
        let settings = EndpointSettings::new(format!("https://{host}/")).limits(100, 4);
        bench.endpoint_with(if host == "c.example" { settings.in_order() } else { settings }).await;
        let replies = (0..60).map(|_| match random.u8(..6) {
            0 => Reply::Status(500),
            1 => Reply::Hang,
            2 => Reply::After(429, "2".into()),
            _ => Reply::Slow(Duration::from_millis(random.u64(..3000))),
        });
        bench.receiver.answers(host, replies.collect::<Vec<_>>());
    }
    for n in 0..100 {
        bench.publish_in(n, &format!("p{}", n % 10)).await;
        let (one, two) = (bench.outbox.clone(), bench.outbox.clone());
        let life = Duration::from_millis(random.u64(..4000));
        let worker = async { tokio::join!(one.run(std::future::pending()), two.run(std::future::pending())) };
        assert!(timeout(life, worker).await.is_err(), "dropped in the middle");
    }
    while bench.store.next_wake().await.unwrap().is_some() {
        bench.outbox.run(sleep(Duration::from_secs(3600))).await;
    }
    for host in hosts {
        let mut numbers = bench.receiver.numbers(host);
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>(), "{host}, seed {seed}");
    }
    for partition in 0..10 {
        let mut arrived = bench.receiver.numbers("c.example");
        arrived.retain(|n| n % 10 == partition);
        assert!(arrived.is_sorted(), "in order, seed {seed}: {arrived:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_event_ends_the_wait_and_a_stop_lets_attempts_end() {
    let bench = Bench::virtual_time();
    let endpoint = bench.endpoint("late.example").await;
    bench.receiver.answers("late.example", [Reply::Status(200), Reply::Slow(Duration::from_secs(3))]);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let outbox = bench.outbox.clone();
    let worker = tokio::spawn(async move { outbox.run(async { drop(stopped.await) }).await });
    sleep(Duration::from_millis(500)).await;
    let published = Instant::now();
    bench.publish(1).await;
    timeout(Duration::from_secs(5), bench.receiver.arrived.notified()).await.unwrap();
    assert!(published.elapsed() < Duration::from_millis(10), "{:?}", published.elapsed());
    let second = bench.publish(2).await;
    timeout(Duration::from_secs(5), bench.receiver.arrived.notified()).await.unwrap();
    stop.send(()).unwrap();
    worker.await.unwrap();
    assert_eq!(bench.state(&endpoint, &second).await, State::Succeeded);
}

#[test]
fn stores_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<MemoryOutbox>();
    shared::<SqliteOutbox>();
}
