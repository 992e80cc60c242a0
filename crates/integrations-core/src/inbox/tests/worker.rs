//! The loop of a worker. With the store in memory time is virtual; with SQLite, whose thread does not follow a paused
//! clock, nothing waits.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep};

use super::*;

/// What a handler of these tests does, by the event's kind.
type Act = fn(u32) -> Result<Applied>;

/// Notes what it is given, and when.
struct Notes {
    acts: BTreeMap<&'static str, Act>,
    takes: Duration,
    seen: Mutex<Vec<(String, u32, Duration)>>,
    started: Instant,
    told: Semaphore,
}

impl Notes {
    fn new(takes: Duration, acts: &[(&'static str, Act)]) -> Arc<Self> {
        Arc::new(Self {
            acts: acts.iter().copied().collect(),
            takes,
            seen: Mutex::default(),
            started: Instant::now(),
            told: Semaphore::new(0),
        })
    }

    fn seen(&self) -> Vec<(String, u32, Duration)> {
        self.seen.lock().unwrap().clone()
    }

    fn ids(&self) -> Vec<String> {
        self.seen().into_iter().map(|(id, ..)| id).collect()
    }

    /// Waits until so many more handlings have ended.
    async fn wait_for(&self, handlings: u32) {
        self.told.acquire_many(handlings).await.unwrap().forget();
    }
}

#[async_trait]
impl Handler for Notes {
    async fn handle(&self, delivery: &Delivery) -> Result<Applied> {
        self.seen.lock().unwrap().push((delivery.event_id.clone(), delivery.attempt, self.started.elapsed()));
        // Also told when the deadline drops this.
        let _told = Told(&self.told);
        if !self.takes.is_zero() {
            sleep(self.takes).await;
        }
        let kind = delivery.event_id.split('-').next().unwrap_or_default();
        self.acts.get(kind).map_or_else(|| Ok(Applied::done()), |act| act(delivery.attempt))
    }
}

struct Told<'a>(&'a Semaphore);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

/// A running worker.
struct Worker {
    inbox: Inbox,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<()>>,
}

impl Worker {
    fn start(inbox: Inbox, handler: Arc<dyn Handler>) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let of_task = inbox.clone();
        let task = tokio::spawn(async move { of_task.run(handler, async { drop(stopped.await) }).await });
        Self { inbox, stop, task }
    }

    async fn stop(self) -> Inbox {
        drop(self.stop);
        self.task.await.unwrap().unwrap();
        self.inbox
    }

    /// Waits until nothing waits; for virtual time.
    async fn finish(self) -> Inbox {
        while self.inbox.counts().await.unwrap().waiting + self.inbox.counts().await.unwrap().leased > 0 {
            sleep(Duration::from_millis(10)).await;
        }
        self.stop().await
    }
}

fn settings() -> Settings {
    Settings { max_attempts: 3, ..Settings::default() }
}

fn memory(settings: Settings) -> Inbox {
    Inbox::builder(MemoryInbox::new()).settings(settings).clock(Clock::virtual_from(at(0))).build()
}

async fn put(inbox: &Inbox, tenant: &str, ids: &[&str]) {
    let events = ids.iter().map(|id| event(id)).collect();
    assert_eq!(inbox.accept(&source(tenant), events).await.unwrap().fresh as usize, ids.len());
}

fn unavailable(_: u32) -> Result<Applied> {
    Err(Error::new(ErrorKind::Unavailable, Effect::Rejected, "down"))
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_later_and_in_the_end_dead() {
    let twice: Act = |attempt| if attempt < 3 { unavailable(attempt) } else { Ok(Applied::done()) };
    let refused: Act = |_| Err(Error::new(ErrorKind::Declined, Effect::Rejected, "never"));
    let panics: Act = |attempt| if attempt == 1 { panic!("on purpose") } else { Ok(Applied::done()) };
    let told: Act = |attempt| match attempt {
        1 => unavailable(1).map_err(|e| e.with_retry_after(Duration::from_secs(100))),
        _ => Ok(Applied::done()),
    };
    let acts: [(&str, Act); 5] =
        [("twice", twice), ("always", unavailable), ("refused", refused), ("panics", panics), ("told", told)];
    let notes = Notes::new(Duration::ZERO, &acts);
    let inbox = memory(settings());
    put(&inbox, "t", &["twice", "always", "refused", "panics", "told", "good"]).await;
    let inbox = Worker::start(inbox, notes.clone()).finish().await;

    let times = |id: &str| {
        let seen = notes.seen().into_iter().filter(|(seen, ..)| seen == id);
        seen.map(|(_, _, at)| at.as_secs_f64()).collect::<Vec<_>>()
    };
    for id in ["twice", "always"] {
        let times = times(id);
        assert_eq!(times.len(), 3, "{id}");
        assert!((4.0..=6.1).contains(&(times[1] - times[0])), "{times:?}");
        assert!((8.0..=12.1).contains(&(times[2] - times[1])), "{times:?}");
    }
    assert_eq!((times("refused").len(), times("panics").len(), times("good").len()), (1, 2, 1));
    assert!((99.9..=100.2).contains(&times("told")[1]), "the service's word counts");
    let mut dead: Vec<_> = inbox
        .dead_letters(9)
        .await
        .unwrap()
        .into_iter()
        .map(|dead| (dead.key.event_id, dead.attempts))
        .collect();
    dead.sort();
    assert_eq!(dead, [("always".to_owned(), 3), ("refused".to_owned(), 1)]);
    assert_eq!(inbox.counts().await.unwrap(), Counts { done: 4, dead: 2, ..Counts::default() });
}

/// Written by hand, a handler can panic before there is a future.
#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_at_once_has_failed_and_gives_its_place_back() {
    struct Broken;
    impl Handler for Broken {
        fn handle<'s, 'd, 'f>(
            &'s self,
            _: &'d Delivery,
        ) -> std::pin::Pin<Box<dyn Future<Output = Result<Applied>> + Send + 'f>>
        where
            's: 'f,
            'd: 'f,
        {
            panic!("at once")
        }
    }
    let inbox = memory(Settings { max_attempts: 3, per_tenant: 1, ..settings() });
    put(&inbox, "t", &["a", "b"]).await;
    let worker = Worker::start(inbox.clone(), Arc::new(Broken));
    tokio::time::sleep(Duration::from_secs(100)).await;
    let dead = worker.stop().await.dead_letters(9).await.unwrap();
    assert_eq!(dead.len(), 2);
    assert!(dead.iter().all(|dead| dead.attempts == 3 && dead.error.contains("panicked")), "{dead:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_never_comes_is_no_overflow() {
    let never = Duration::MAX;
    let inbox = memory(Settings { deadline: never, idle: never, longest_wait: never, ..settings() });
    put(&inbox, "t", &["a"]).await;
    let inbox = Worker::start(inbox, Notes::new(Duration::ZERO, &[])).finish().await;
    assert_eq!(inbox.counts().await.unwrap().done, 1);
}

/// Whoever guesses the id of a claim must not make the true one a duplicate.
#[tokio::test(start_paused = true)]
async fn a_forged_claim_does_not_burn_the_id_of_a_true_one() {
    let inbox = memory(settings());
    let handler = Notes::new(Duration::ZERO, &[]);
    let worker = Worker::start(inbox.clone(), handler.clone());
    for entity in ["forged", "true", "true"] {
        let event = Event { trust: crate::webhook::Trust::Claim, ..super::about("evt_1", entity) };
        assert_eq!(inbox.accept(&source("t"), vec![event]).await.unwrap().fresh, 1);
        handler.wait_for(1).await;
    }
    assert_eq!(worker.finish().await.counts().await.unwrap().done, 3);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_has_failed() {
    let notes = Notes::new(Duration::from_secs(31), &[]);
    let inbox = memory(settings());
    put(&inbox, "t", &["slow"]).await;
    let inbox = Worker::start(inbox, notes.clone()).finish().await;
    assert_eq!(notes.ids().len(), 3);
    let dead = inbox.dead_letters(9).await.unwrap();
    assert!(dead[0].error.contains("took longer than 30s"), "{}", dead[0].error);
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_is_handled_at_once_and_nothing_is_asked_meanwhile() {
    let asked = Arc::new(AtomicU32::new(0));
    let store = Asked { store: MemoryInbox::new(), asked: asked.clone() };
    let settings = Settings { idle: Duration::from_secs(3600), ..settings() };
    let inbox = Inbox::builder(store).settings(settings).clock(Clock::virtual_from(at(0))).build();
    let notes = Notes::new(Duration::ZERO, &[]);
    let worker = Worker::start(inbox.clone(), notes.clone());
    sleep(Duration::from_secs(1000)).await;
    assert_eq!(asked.load(SeqCst), 1, "once, at its start");
    put(&inbox, "t", &["a"]).await;
    notes.wait_for(1).await;
    assert_eq!(notes.seen(), [("a".to_owned(), 1, Duration::from_secs(1000))]);
    sleep(Duration::from_secs(1000)).await;
    assert!(asked.load(SeqCst) <= 3, "after the event came and after it was done: {}", asked.load(SeqCst));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_noisy_tenant_does_not_starve_a_quiet_one() {
    let settings = Settings { concurrency: 4, per_tenant: 4, ..settings() };
    let inbox = memory(settings);
    let noise: Vec<_> = (0..100).map(|n| format!("noise-{n}")).collect();
    put(&inbox, "noisy", &noise.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let notes = Notes::new(Duration::from_secs(1), &[]);
    let worker = Worker::start(inbox.clone(), notes.clone());
    sleep(Duration::from_millis(2500)).await;
    put(&inbox, "ant", &["ant-1"]).await;
    put(&inbox, "zoe", &["zoe-1"]).await;
    worker.finish().await;
    for quiet in ["ant-1", "zoe-1"] {
        let (_, _, when) = notes.seen().into_iter().find(|(id, ..)| id == quiet).unwrap();
        assert!(when <= Duration::from_secs(3), "{quiet} came at 2.5 s and was handled at {when:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_tenants_slow_events_leave_room_for_others() {
    let settings = Settings { concurrency: 4, per_tenant: 3, ..settings() };
    let inbox = memory(settings);
    put(&inbox, "noisy", &["n-1", "n-2", "n-3", "n-4", "n-5"]).await;
    let notes = Notes::new(Duration::from_secs(20), &[]);
    let worker = Worker::start(inbox.clone(), notes.clone());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(notes.ids().len(), 3);
    put(&inbox, "quiet", &["q"]).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(notes.ids()[3], "q");
    worker.finish().await;
    assert_eq!(notes.ids().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_finishes_what_runs_and_begins_nothing() {
    let settings = Settings { concurrency: 1, ..settings() };
    let inbox = memory(settings);
    put(&inbox, "t", &["a", "b"]).await;
    let notes = Notes::new(Duration::from_secs(5), &[]);
    let worker = Worker::start(inbox, notes.clone());
    sleep(Duration::from_secs(1)).await;
    let inbox = worker.stop().await;
    assert_eq!((notes.ids(), notes.started.elapsed()), (vec!["a".to_owned()], Duration::from_secs(5)));
    assert_eq!(inbox.counts().await.unwrap(), Counts { waiting: 1, done: 1, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn a_refetch_is_handed_the_entity_and_not_the_event() {
    struct Reads(Mutex<Vec<Work>>);
    #[async_trait]
    impl Handler for Reads {
        async fn handle(&self, delivery: &Delivery) -> Result<Applied> {
            self.0.lock().unwrap().push(delivery.work.clone());
            Ok(Applied::done())
        }
    }
    let reads = Arc::new(Reads(Mutex::default()));
    let inbox = memory(settings());
    inbox.accept(&source("t"), vec![claim("a", "x"), claim("b", "x"), about("c", "y")]).await.unwrap();
    Worker::start(inbox, reads.clone()).finish().await;
    let seen = reads.0.lock().unwrap().clone();
    let refetch = Work::Refetch { entity: Some(Entity::new("thing", "x")), kind: "thing.changed".to_owned() };
    assert_eq!(seen.len(), 2, "two claims of one entity are one read");
    assert!(seen.contains(&refetch) && seen.contains(&Work::Apply(about("c", "y"))), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn the_intent_key_is_that_of_the_event_and_the_round() {
    let key = |source: Source, id: &str, attempt, round| {
        let work = Work::Apply(event(id));
        let (event_id, first_seen) = (id.to_owned(), at(0));
        Delivery { source, event_id, work, attempt, first_seen, duplicates: attempt, round }.intent_key()
    };
    let first = key(source("t"), "a", 1, 0);
    assert_eq!(first, key(source("t"), "a", 2, 0));
    assert!(crate::IdempotencyKey::new(&first).is_ok());
    for other in [key(source("t"), "a", 1, 1), key(source("t"), "b", 1, 0), key(source("ta"), "", 1, 0)] {
        assert_ne!(first, other);
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use super::*;
    use crate::store::{Module, Store};

    static EFFECTS: Module =
        Module { name: "effects", steps: &[&["CREATE TABLE effects (id TEXT NOT NULL PRIMARY KEY)"]] };

    /// Writes a row in the transaction of the mark; a second one for the same event is an error.
    struct Writes;

    #[async_trait]
    impl Handler for Writes {
        async fn handle(&self, delivery: &Delivery) -> Result<Applied> {
            let id = delivery.event_id.clone();
            Ok(Applied::in_transaction(move |tx| {
                Box::pin(async move {
                    tx.execute("INSERT INTO effects (id) VALUES ($1)", &[id.as_str().into()]).await?;
                    if id == "broken" {
                        return Err(Error::invalid_request("a rule was broken"));
                    }
                    Ok(())
                })
            }))
        }
    }

    async fn effects(store: &Store) -> Vec<String> {
        let rows = store.read("SELECT id FROM effects ORDER BY id", &[]).await.unwrap();
        rows.iter().map(|row| row.text(0).unwrap().to_owned()).collect()
    }

    async fn inbox(store: &Store) -> Inbox {
        store.migrate(&EFFECTS).await.unwrap();
        Inbox::builder(SqliteInbox::new(store.clone()).await.unwrap()).settings(settings()).build()
    }

    /// Reads until nothing waits: the writes are the clock here.
    async fn finish(worker: Worker) -> Inbox {
        loop {
            let counts = worker.inbox.counts().await.unwrap();
            if counts.waiting + counts.leased == 0 {
                return worker.stop().await;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn effects_are_committed_with_the_mark_or_not_at_all() {
        let store = Store::in_memory().await.unwrap();
        let inbox = inbox(&store).await;
        put(&inbox, "t", &["a", "b", "broken"]).await;
        let inbox = finish(Worker::start(inbox, Arc::new(Writes))).await;
        assert_eq!(effects(&store).await, ["a", "b"]);
        let dead = inbox.dead_letters(9).await.unwrap();
        assert_eq!((dead.len(), &*dead[0].key.event_id), (1, "broken"));
        assert!(dead[0].error.contains("a rule was broken"), "{}", dead[0].error);
    }

    /// A process that ends between any two steps, and its successor on the same file.
    #[tokio::test]
    async fn a_crash_at_any_point_leaves_one_effect() {
        let dir = std::env::temp_dir().join(format!("integrations-inbox-crash-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for point in 0..4 {
            let file = dir.join(format!("{point}.db"));
            let store = Store::open(&file).await.unwrap();
            store.migrate(&EFFECTS).await.unwrap();
            let inbox = SqliteInbox::new(store.clone()).await.unwrap();
            if point >= 1 {
                inbox.accept(vec![entry("t", event("a"), Ordering::Arrival)], at(0)).await.unwrap();
            }
            if point >= 2 {
                let leased = inbox.lease(&turn("first", 0)).await.unwrap().remove(0);
                let outcome = write(&leased).await;
                if point == 3 {
                    assert!(inbox.finish(&leased.lease, outcome, at(1)).await.unwrap());
                }
            }
            drop((inbox, store));

            let store = Store::open(&file).await.unwrap();
            let inbox = SqliteInbox::new(store.clone()).await.unwrap();
            // The sender was told nothing before the commit, and sends again.
            let again = inbox.accept(vec![entry("t", event("a"), Ordering::Arrival)], at(2)).await.unwrap();
            assert_eq!(again.duplicates, u32::from(point >= 1), "point {point}");
            for leased in inbox.lease(&turn("second", 61)).await.unwrap() {
                let outcome = write(&leased).await;
                assert!(inbox.finish(&leased.lease, outcome, at(62)).await.unwrap());
            }
            assert_eq!(effects(&store).await, ["a"], "point {point}");
            assert_eq!(inbox.counts().await.unwrap(), Counts { done: 1, ..Counts::default() });
            store.close().await.unwrap();
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    async fn write(leased: &Leased) -> Outcome {
        let delivery = crate::inbox::worker::delivery(leased);
        Outcome::Done(Writes.handle(&delivery).await.unwrap().effects)
    }

    #[tokio::test(start_paused = true)]
    async fn the_store_in_memory_says_that_it_has_no_transactions() {
        let inbox = memory(settings());
        put(&inbox, "t", &["a"]).await;
        let inbox = Worker::start(inbox, Arc::new(Writes)).finish().await;
        let dead = inbox.dead_letters(9).await.unwrap();
        assert!(dead[0].error.contains("no transactions"), "{}", dead[0].error);
    }
}

/// Counts the requests for work.
struct Asked {
    store: MemoryInbox,
    asked: Arc<AtomicU32>,
}

#[async_trait]
impl InboxStore for Asked {
    async fn accept(&self, entries: Vec<Entry>, now: Timestamp) -> Result<Accepted> {
        self.store.accept(entries, now).await
    }
    async fn lease(&self, turn: &Turn) -> Result<Vec<Leased>> {
        self.asked.fetch_add(1, SeqCst);
        self.store.lease(turn).await
    }
    async fn finish(&self, lease: &Lease, outcome: Outcome, now: Timestamp) -> Result<bool> {
        self.store.finish(lease, outcome, now).await
    }
    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.store.next_due().await
    }
    async fn replay(&self, which: &Replay, now: Timestamp) -> Result<u64> {
        self.store.replay(which, now).await
    }
    async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>> {
        self.store.dead_letters(limit).await
    }
    async fn counts(&self) -> Result<Counts> {
        self.store.counts().await
    }
    async fn purge(&self, bodies: Timestamp, keys: Timestamp) -> Result<Purged> {
        self.store.purge(bodies, keys).await
    }
    async fn discard_dead(&self, before: Timestamp) -> Result<u64> {
        self.store.discard_dead(before).await
    }
}
