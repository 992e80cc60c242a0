//! Credentials that are replaced while calls are made with them.

mod calls;
mod settings;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use integrations_core::secret::{LiveSecret, LocalSecrets, SecretRef, SecretStore, SecretString, Watch};
use integrations_core::{Error, ErrorKind, Result};
use tokio::time::{Instant, sleep, timeout};

const MAX_AGE: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(2);

/// A secret store that does what it is told.
#[derive(Clone, Default)]
struct Store(Arc<Inside>);

#[derive(Default)]
struct Inside {
    answer: Mutex<Option<String>>,
    takes: Mutex<Duration>,
    panics: Mutex<bool>,
    asked: AtomicUsize,
}

impl Store {
    fn holding(value: &str) -> Self {
        let store = Self::default();
        store.hold(value);
        store
    }

    fn hold(&self, value: &str) {
        *self.0.answer.lock().unwrap() = Some(value.to_owned());
    }

    fn fails(&self) {
        *self.0.answer.lock().unwrap() = None;
    }

    fn takes(&self, time: Duration) {
        *self.0.takes.lock().unwrap() = time;
    }

    fn asked(&self) -> usize {
        self.0.asked.load(SeqCst)
    }

    /// What it holds now, watched.
    fn watched(&self) -> LiveSecret {
        self.watched_with(Watch::default())
    }

    fn watched_with(&self, watch: Watch) -> LiveSecret {
        let initial = self.0.answer.lock().unwrap().clone().unwrap();
        LiveSecret::watch(initial.into(), vault(), Arc::new(self.clone()), watch)
    }
}

#[async_trait]
impl SecretStore for Store {
    /// What it held when it was asked.
    async fn get(&self, _: &SecretRef) -> Result<SecretString> {
        self.0.asked.fetch_add(1, SeqCst);
        let answer = self.0.answer.lock().unwrap().clone();
        let takes = *self.0.takes.lock().unwrap();
        assert!(!std::mem::take(&mut *self.0.panics.lock().unwrap()), "the store is told to panic");
        sleep(takes).await;
        answer.map(SecretString::from).ok_or_else(|| Error::config("the store is sealed"))
    }
}

fn vault() -> SecretRef {
    "${vault:kv/app#token}".parse().unwrap()
}

async fn value(secret: &LiveSecret) -> String {
    secret.current().value.expose().clone()
}

async fn version(secret: &LiveSecret) -> u64 {
    secret.current().version
}

/// Lets what was begun in the background end.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_fixed_value_is_itself_until_another_is_pushed() {
    let key = LiveSecret::from("old-key");
    let used = version(&key).await;
    assert!(!key.renew(used).await, "there is no other");
    let clone = key.clone();
    clone.set("new-key").unwrap();
    assert!(key.renew(used).await);
    assert_eq!(value(&key).await, "new-key");
    assert_eq!(key.set("").unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(value(&key).await, "new-key");
    assert_eq!(format!("{key:?}"), "LiveSecret(***)");
}

#[tokio::test(start_paused = true)]
async fn an_old_value_is_read_again_while_calls_go_on_with_it() {
    let store = Store::holding("old");
    store.takes(Duration::from_millis(500));
    let key = store.watched();
    store.hold("new");
    sleep(Duration::from_millis(29_999)).await;
    assert_eq!((value(&key).await, store.asked()), ("old".to_owned(), 0), "it is not old yet");
    sleep(Duration::from_millis(1)).await;
    let before = Instant::now();
    for _ in 0..100 {
        assert_eq!(value(&key).await, "old");
    }
    assert_eq!(before.elapsed(), Duration::ZERO, "nobody waits");
    sleep(Duration::from_millis(501)).await;
    assert_eq!((value(&key).await, store.asked()), ("new".to_owned(), 1), "a hundred calls, one read");
    sleep(Duration::from_secs(29)).await;
    value(&key).await;
    settle().await;
    assert_eq!(store.asked(), 1, "its age counts from the read");
    assert_eq!(key.counts().replaced, 1);
}

#[tokio::test(start_paused = true)]
async fn many_that_are_refused_with_one_value_cause_one_read() {
    let store = Store::holding("old");
    store.takes(Duration::from_millis(50));
    let key = store.watched();
    store.hold("new");
    let used = version(&key).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..1_000_u64 {
        let key = key.clone();
        tasks.spawn(async move {
            sleep(Duration::from_micros(n * 100)).await;
            key.renew(used).await
        });
    }
    assert!(tasks.join_all().await.into_iter().all(|another| another));
    assert_eq!((value(&key).await, store.asked()), ("new".to_owned(), 1));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_began_before_the_refusal_is_not_trusted() {
    let store = Store::holding("old");
    store.takes(Duration::from_millis(100));
    let key = store.watched();
    sleep(MAX_AGE).await;
    let used = version(&key).await;
    settle().await;
    store.hold("new");
    assert!(key.renew(used).await, "the first read saw the old value");
    assert_eq!((value(&key).await, store.asked()), ("new".to_owned(), 2));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_hangs_no_call() {
    let store = Store::holding("old");
    let key = store.watched();
    store.takes(Duration::from_secs(3_600));
    sleep(MAX_AGE).await;
    let before = Instant::now();
    assert_eq!(value(&key).await, "old");
    assert_eq!(before.elapsed(), Duration::ZERO);
    let used = version(&key).await;
    let renewed = timeout(2 * LIMIT + Duration::from_millis(1), key.renew(used)).await;
    assert!(!renewed.expect("it has a limit"));
    let before = Instant::now();
    assert!(!key.renew(used).await);
    assert_eq!(before.elapsed(), Duration::ZERO, "the next refusal does not wait for it again at once");
    assert_eq!((value(&key).await, key.counts().failures), ("old".to_owned(), 2));

    store.takes(Duration::ZERO);
    store.hold("new");
    sleep(Duration::from_millis(200)).await;
    assert!(key.renew(used).await, "and it is asked again when it answers again");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_or_panics_changes_nothing() {
    let store = Store::holding("old");
    let key = store.watched();
    store.fails();
    sleep(MAX_AGE).await;
    value(&key).await;
    settle().await;
    *store.0.panics.lock().unwrap() = true;
    sleep(MAX_AGE).await;
    value(&key).await;
    settle().await;
    assert_eq!((value(&key).await, store.asked(), key.counts().failures), ("old".to_owned(), 2, 2));
    store.hold("");
    sleep(MAX_AGE).await;
    value(&key).await;
    settle().await;
    assert_eq!((value(&key).await, key.counts().failures), ("old".to_owned(), 3), "a secret is never empty");
    store.hold("new");
    sleep(MAX_AGE).await;
    value(&key).await;
    settle().await;
    assert_eq!(value(&key).await, "new");
}

#[tokio::test(start_paused = true)]
async fn a_new_value_that_is_refused_gives_way_to_the_previous_one_once() {
    let store = Store::holding("old");
    let key = store.watched();
    store.hold("new");
    let first = version(&key).await;
    assert!(key.renew(first).await);
    let second = version(&key).await;
    assert!(key.renew(second).await, "the vendor does not know the new one yet");
    assert_eq!(value(&key).await, "old");
    assert!(key.renew(second).await, "who was refused with the new one later finds the old one");
    assert_eq!((value(&key).await, key.counts().fallbacks), ("old".to_owned(), 1));
    let third = version(&key).await;
    assert!(key.renew(third).await, "now the vendor knows the new one");
    assert_eq!(value(&key).await, "new");
    let fourth = version(&key).await;
    assert!(!key.renew(fourth).await, "both were refused: there is nothing to try");
    assert_eq!((value(&key).await, key.counts().fallbacks), ("new".to_owned(), 1));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_stays_refused_does_not_become_a_storm_of_reads() {
    let store = Store::holding("dead");
    let key = store.watched();
    let used = version(&key).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        assert!(!key.renew(used).await);
        sleep(Duration::from_millis(1)).await;
    }
    // 0.1 s, doubled up to 30 s: 10 reads in 51.1 s.
    assert!((8..=11).contains(&store.asked()), "{}", store.asked());
    store.hold("alive");
    sleep(MAX_AGE).await;
    assert!(key.renew(used).await);
    let used = version(&key).await;
    store.hold("third");
    assert!(key.renew(used).await, "a value that changes is asked for at once again");
}

#[tokio::test(start_paused = true)]
async fn a_new_value_must_pass_the_check() {
    let store = Store::holding("test_1");
    let test_only = |new: &SecretString| {
        let good = new.expose().starts_with("test_");
        good.then_some(()).ok_or_else(|| Error::config("not a test key"))
    };
    let key = store.watched_with(Watch::default().check(test_only));
    store.hold("live_1");
    let used = version(&key).await;
    assert!(!key.renew(used).await);
    assert_eq!(
        (value(&key).await, key.counts().rejected, key.counts().failures),
        ("test_1".to_owned(), 1, 0)
    );
    assert_eq!(key.set("live_1").unwrap_err().message(), "not a test key");
    store.hold("test_2");
    sleep(MAX_AGE).await;
    value(&key).await;
    settle().await;
    assert_eq!(value(&key).await, "test_2");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_replaced_is_read_again() {
    let folder = std::env::temp_dir().join(format!("integrations-rotation-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (path, beside) = (folder.join("token"), folder.join("token.new"));
    let replace = |value: &str| {
        std::fs::write(&beside, value).unwrap();
        std::fs::rename(&beside, &path).unwrap();
    };
    replace("one\n");
    let reference = SecretRef::File(path.clone());
    let store = Arc::new(LocalSecrets::new(|_| None));
    let initial = store.get(&reference).await.unwrap();
    let key = LiveSecret::watch(initial, reference, store, Watch::default());
    replace("two\n");
    let used = version(&key).await;
    assert!(key.renew(used).await);
    assert_eq!(value(&key).await, "two");
    std::fs::remove_file(&path).unwrap();
    let used = version(&key).await;
    assert!(key.renew(used).await, "a file that is gone changes nothing; there is the previous value");
    assert_eq!((value(&key).await, key.counts().failures), ("one".to_owned(), 1));
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_is_not_asked_at_each_refusal() {
    let store = Store::holding("old");
    let key = store.watched();
    let used = version(&key).await;
    for _ in 0..100 {
        *store.0.panics.lock().unwrap() = true;
        assert!(!key.renew(used).await);
    }
    assert_eq!((store.asked(), key.counts().failures), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_a_value_was_pushed_does_not_replace_it() {
    let store = Store::holding("old");
    store.takes(Duration::from_millis(100));
    let key = store.watched();
    store.hold("older");
    sleep(MAX_AGE).await;
    value(&key).await;
    settle().await;
    key.set("pushed").unwrap();
    sleep(Duration::from_millis(100)).await;
    assert_eq!((value(&key).await, store.asked()), ("pushed".to_owned(), 1));
    store.hold("newest");
    sleep(MAX_AGE).await;
    value(&key).await;
    sleep(Duration::from_millis(101)).await;
    assert_eq!(value(&key).await, "newest", "what is read afterwards does");
}

#[tokio::test(start_paused = true)]
async fn a_check_may_look_at_the_secret_that_it_guards() {
    let (store, seen) = (Store::holding("old"), Arc::<Mutex<Option<LiveSecret>>>::default());
    let looking = seen.clone();
    let check = move |_: &SecretString| {
        let secret = looking.lock().unwrap().clone();
        assert_eq!(secret.map(|secret| secret.counts().replaced), Some(0));
        Ok(())
    };
    let key = store.watched_with(Watch::default().check(check));
    *seen.lock().unwrap() = Some(key.clone());
    store.hold("new");
    assert!(key.renew(version(&key).await).await);
    *seen.lock().unwrap() = None;
}

#[tokio::test(start_paused = true)]
async fn an_age_without_end_is_a_long_one() {
    let store = Store::holding("old");
    let key = store.watched_with(Watch::default().max_age(Duration::MAX).timeout(Duration::MAX));
    store.hold("new");
    assert!(key.renew(version(&key).await).await);
    assert_eq!(value(&key).await, "new");
}

/// A task that is polled while its runtime ends finds one that takes no other tasks.
#[test]
fn a_runtime_that_has_ended_stops_nobody() {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let _inside = handle.enter();
        let store = Store::holding("old");
        let key = store.watched_with(Watch::default().max_age(Duration::ZERO));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let used = key.current().version;
        let renewed = std::pin::pin!(key.renew(1)).poll(&mut context);
        done.send((used, renewed, store.asked())).unwrap();
    });
    let answer = is_done.recv_timeout(Duration::from_secs(10)).expect("it waits for itself");
    assert_eq!(answer, (1, std::task::Poll::Ready(false), 0));
}

/// All that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_logged_names_the_reference_and_no_value() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let store = Store::holding("hunter2-a");
    let reject = |_: &SecretString| Err(Error::config("of another mode"));
    let rejecting = store.watched_with(Watch::default().check(reject));
    let following = store.watched();
    store.hold("hunter2-b");
    let _ = rejecting.renew(version(&rejecting).await).await;
    assert!(following.renew(version(&following).await).await);
    assert!(following.renew(version(&following).await).await);
    store.fails();
    sleep(MAX_AGE).await;
    value(&following).await;
    settle().await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for part in ["kv/app", "of another mode", "the store is sealed", "the previous one is in use again"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}
