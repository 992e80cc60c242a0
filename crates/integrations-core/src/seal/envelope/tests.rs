use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::seal::data_keys::{DEADLINE, Epoch, KEEP, MOST};
use crate::seal::{LocalKeys, Wrapped};
use crate::secret::SecretString;

const CONTEXT: &[u8] = b"tenant-1/ep_1";

/// Local keys behind a service that takes its time, counts, and may be down.
struct Service {
    keys: LocalKeys,
    takes: Mutex<Duration>,
    down: AtomicBool,
    /// Gives back a data key of its own.
    lies: AtomicBool,
    wraps: AtomicU32,
    unwraps: AtomicU32,
}

impl Service {
    fn new(keys: &str) -> Arc<Self> {
        let (takes, down, lies) = (Mutex::default(), AtomicBool::default(), AtomicBool::default());
        let keys = LocalKeys::parse(&keys.into()).unwrap();
        Arc::new(Self { keys, takes, down, lies, wraps: AtomicU32::new(0), unwraps: AtomicU32::new(0) })
    }

    fn takes(&self, time: Duration) {
        *self.takes.lock().unwrap() = time;
    }

    /// How often it wrapped and unwrapped since the last question.
    fn asked(&self) -> (u32, u32) {
        (self.wraps.swap(0, Ordering::SeqCst), self.unwraps.swap(0, Ordering::SeqCst))
    }

    async fn work(&self) -> Result<()> {
        let takes = *self.takes.lock().unwrap();
        tokio::time::sleep(takes).await;
        if self.down.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, Effect::NotSent, "down"));
        }
        Ok(())
    }
}

#[async_trait]
impl KeyService for Service {
    fn current_key_id(&self) -> String {
        self.keys.current_key_id()
    }

    async fn wrap(&self, data_key: &Secret<Vec<u8>>, context: &str) -> Result<Wrapped> {
        self.wraps.fetch_add(1, Ordering::SeqCst);
        self.work().await?;
        self.keys.wrap(data_key, context).await
    }

    async fn unwrap(&self, wrapped: &Wrapped, context: &str) -> Result<Secret<Vec<u8>>> {
        self.unwraps.fetch_add(1, Ordering::SeqCst);
        self.work().await?;
        if self.lies.load(Ordering::SeqCst) {
            return aead::random_key();
        }
        self.keys.unwrap(wrapped, context).await
    }
}

fn key(id: &str, byte: u8) -> String {
    format!("{id}:{}", STANDARD.encode([byte; 32]))
}

fn text(keys: &[String]) -> SecretString {
    keys.join("\n").as_str().into()
}

fn envelope(service: &Arc<Service>) -> Envelope {
    Envelope::new(service.clone(), "test")
}

fn plain(text: &str) -> Secret<Vec<u8>> {
    Secret::new(text.as_bytes().to_vec())
}

fn local() -> Envelope {
    let keys = LocalKeys::parse(&LocalKeys::generate().unwrap()).unwrap();
    Envelope::new(Arc::new(keys), "test")
}

fn data_key(sealed: &[u8]) -> Wrapped {
    format::parse(sealed).unwrap().wrapped
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

#[tokio::test]
async fn no_changed_bit_and_no_part_of_an_entry_opens_or_is_rewrapped() {
    let keys = LocalKeys::parse(&text(&[key("a", 1), key("b", 2)])).unwrap();
    let envelope = Envelope::new(Arc::new(keys.clone()), "test");
    let sealed = envelope.seal(&plain("secret"), CONTEXT).await.unwrap();
    keys.replace(&text(&[key("b", 2), key("a", 1)])).unwrap();
    assert_eq!(envelope.open(&sealed, CONTEXT).await.unwrap().expose(), b"secret");

    let flips = (0..sealed.len() * 8).map(|bit| {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        changed
    });
    let parts = (0..sealed.len()).map(|length| sealed[..length].to_vec());
    let longer = [sealed.clone(), vec![0]].concat();
    let other_id =
        format::encode(&Wrapped { key_id: "b".into(), ..data_key(&sealed) }, [0; NONCE], &[0; 22]).unwrap();
    for bad in flips.chain(parts).chain([longer, other_id]) {
        let error = envelope.open(&bad, CONTEXT).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Decode | ErrorKind::Config), "{error:?}");
        assert!(!error.is_retryable());
        match envelope.rewrap(&bad, CONTEXT).await {
            Err(error) => assert!(matches!(error.kind(), ErrorKind::Decode | ErrorKind::Config), "{error:?}"),
            // One bit turns `a` into `c`, none turns it into `b`: only what names the current key stays as it is.
            Ok(kept) => assert!(kept.is_none() && data_key(&bad).key_id == "b"),
        }
    }
}

/// Even over a service that authenticates nothing, a changed entry opens to nothing else.
#[tokio::test]
async fn a_service_that_takes_any_bytes_gives_a_key_that_fails_at_the_tag() {
    struct Plain;
    #[async_trait]
    impl KeyService for Plain {
        fn current_key_id(&self) -> String {
            "plain".into()
        }
        async fn wrap(&self, data_key: &Secret<Vec<u8>>, _: &str) -> Result<Wrapped> {
            Ok(Wrapped { key_id: "plain".into(), bytes: data_key.expose().clone() })
        }
        async fn unwrap(&self, wrapped: &Wrapped, _: &str) -> Result<Secret<Vec<u8>>> {
            Ok(Secret::new(wrapped.bytes.clone()))
        }
    }
    let envelope = Envelope::new(Arc::new(Plain), "test");
    let sealed = envelope.seal(&plain("secret"), CONTEXT).await.unwrap();
    let key_at = 5 + "plain".len() + 2;
    for bit in key_at * 8..(key_at + 32) * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(envelope.open(&changed, CONTEXT).await.unwrap_err().kind(), ErrorKind::Decode);
    }
    // Its context is not authenticated either; the purpose is in the tag too.
    let other = Envelope::new(Arc::new(Plain), "other");
    assert_eq!(other.open(&sealed, CONTEXT).await.unwrap_err().kind(), ErrorKind::Decode);
    assert!(envelope.open(&sealed, CONTEXT).await.is_ok());
}

#[tokio::test]
async fn an_entry_opens_in_its_own_place_alone() {
    let envelope = local();
    let [one, two] = [&b"one"[..], b"two"];
    let sealed = envelope.seal(&plain("1"), one).await.unwrap();
    let other = envelope.seal(&plain("2"), two).await.unwrap();
    assert_eq!(data_key(&sealed), data_key(&other));
    assert_eq!(envelope.open(&sealed, one).await.unwrap().expose(), b"1");
    for (swapped, place) in [(&sealed, two), (&other, one), (&sealed, &b""[..]), (&sealed, b"one ")] {
        let error = envelope.open(swapped, place).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Decode, Effect::NotSent));
    }
}

#[tokio::test]
async fn an_entry_of_another_purpose_does_not_open() {
    let keys = Arc::new(LocalKeys::parse(&key("a", 1).as_str().into()).unwrap());
    let sealed = Envelope::new(keys.clone(), "outbox").seal(&plain("x"), CONTEXT).await.unwrap();
    assert!(Envelope::new(keys.clone(), "tokens").open(&sealed, CONTEXT).await.is_err());
    assert!(Envelope::new(keys, "outbox").open(&sealed, CONTEXT).await.is_ok());
}

#[tokio::test]
async fn no_nonce_comes_twice_under_one_data_key() {
    let envelope = local();
    let mut nonces = HashSet::new();
    let mut keys = HashSet::new();
    for _ in 0..2000 {
        let sealed = envelope.seal(&plain("same"), CONTEXT).await.unwrap();
        let entry = format::parse(&sealed).unwrap();
        assert!(nonces.insert(entry.nonce));
        keys.insert(entry.wrapped.bytes);
    }
    assert_eq!(keys.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_data_key_serves_so_many_messages_and_so_long() {
    let service = Service::new(&key("a", 1));
    let mut envelope = envelope(&service);
    assert_eq!((envelope.keys.epoch.messages, envelope.keys.epoch.age.as_secs()), (1 << 20, 24 * 3600));
    envelope.keys.epoch = Epoch { messages: 3, ..Epoch::DEFAULT };
    let mut seen = Vec::new();
    for wait in [0, 0, 0, 0, 24 * 3600 - 1, 1, 0, 0] {
        tokio::time::advance(Duration::from_secs(wait)).await;
        let wrapped = data_key(&envelope.seal(&plain("x"), CONTEXT).await.unwrap());
        seen.push(wrapped);
    }
    // Three messages; two within a day; three more.
    let groups: Vec<_> = seen.chunk_by(PartialEq::eq).map(<[_]>::len).collect();
    assert_eq!(groups, [3, 2, 3]);
    assert_eq!(service.asked(), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn opening_asks_the_service_once_in_five_minutes() {
    let service = Service::new(&key("a", 1));
    let sealed = envelope(&service).seal(&plain("x"), CONTEXT).await.unwrap();
    let reader = envelope(&service);
    service.asked();
    for (wait, asked) in
        [(Duration::ZERO, 1), (Duration::ZERO, 0), (Duration::from_secs(299), 0), (Duration::from_secs(1), 1)]
    {
        tokio::time::advance(wait).await;
        reader.open(&sealed, CONTEXT).await.unwrap();
        assert_eq!(service.asked(), (0, asked), "{wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_wiped_after_their_time_and_never_more_than_so_many() {
    let service = Service::new(&key("a", 1));
    let mut writer = envelope(&service);
    writer.keys.epoch.messages = 1;
    let reader = envelope(&service);
    let mut sealed = Vec::new();
    for _ in 0..=MOST {
        sealed.push(writer.seal(&plain("x"), CONTEXT).await.unwrap());
        reader.open(&sealed[sealed.len() - 1], CONTEXT).await.unwrap();
    }
    assert_eq!(reader.keys.count(), MOST);
    service.asked();
    reader.open(&sealed[1], CONTEXT).await.unwrap();
    assert_eq!(service.asked(), (0, 0));
    reader.open(&sealed[0], CONTEXT).await.unwrap();
    assert_eq!(service.asked(), (0, 1), "the oldest made room");

    let held = reader.keys.watch();
    assert!(held.len() == MOST && held.iter().all(|key| key.strong_count() == 1));
    tokio::time::advance(KEEP).await;
    reader.open(&sealed[0], CONTEXT).await.unwrap();
    assert!(held.iter().all(|key| key.strong_count() == 0), "`Secret` wipes what is dropped");
    assert_eq!(reader.keys.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn misses_at_the_same_time_are_one_request() {
    let service = Service::new(&key("a", 1));
    service.takes(Duration::from_secs(1));
    let writer = Arc::new(envelope(&service));
    let sealing: Vec<_> = (0..20)
        .map(|_| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.seal(&plain("x"), CONTEXT).await })
        })
        .collect();
    let mut sealed = Vec::new();
    for task in sealing {
        sealed.push(task.await.unwrap().unwrap());
    }
    assert_eq!(service.asked(), (1, 1));

    let reader = Arc::new(envelope(&service));
    let opening: Vec<_> = sealed
        .into_iter()
        .map(|sealed| {
            let reader = reader.clone();
            tokio::spawn(async move { reader.open(&sealed, CONTEXT).await })
        })
        .collect();
    for task in opening {
        assert_eq!(task.await.unwrap().unwrap().expose(), b"x");
    }
    assert_eq!(service.asked(), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_leaves_the_request_to_the_next() {
    let service = Service::new(&key("a", 1));
    let sealed = envelope(&service).seal(&plain("x"), CONTEXT).await.unwrap();
    service.takes(Duration::from_secs(2));
    let reader = Arc::new(envelope(&service));
    let open = || {
        let (reader, sealed) = (reader.clone(), sealed.clone());
        tokio::spawn(async move { reader.open(&sealed, CONTEXT).await })
    };
    let (first, second) = (open(), open());
    tokio::time::sleep(Duration::from_secs(1)).await;
    first.abort();
    assert_eq!(second.await.unwrap().unwrap().expose(), b"x");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_down_is_a_retryable_error_for_all_who_wait_and_is_asked_again() {
    let service = Service::new(&key("a", 1));
    let sealed = envelope(&service).seal(&plain("x"), CONTEXT).await.unwrap();
    let envelope = envelope(&service);
    service.asked();
    service.takes(Duration::from_secs(1));
    service.down.store(true, Ordering::SeqCst);
    let results = tokio::join!(envelope.open(&sealed, CONTEXT), envelope.open(&sealed, CONTEXT));
    for error in [
        results.0.unwrap_err(),
        results.1.unwrap_err(),
        envelope.seal(&plain("x"), CONTEXT).await.unwrap_err(),
    ] {
        assert!(error.kind() == ErrorKind::Unavailable && error.is_retryable());
    }
    assert_eq!(service.asked(), (1, 1));
    service.down.store(false, Ordering::SeqCst);
    envelope.open(&sealed, CONTEXT).await.unwrap();
    envelope.seal(&plain("x"), CONTEXT).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_wait_ends() {
    let service = Service::new(&key("a", 1));
    let sealed = envelope(&service).seal(&plain("x"), CONTEXT).await.unwrap();
    let envelope = envelope(&service);
    service.takes(Duration::MAX);
    let start = tokio::time::Instant::now();
    let secret = plain("x");
    let (one, two, three) = tokio::join!(
        envelope.open(&sealed, CONTEXT),
        envelope.open(&sealed, CONTEXT),
        envelope.seal(&secret, CONTEXT)
    );
    for error in [one.unwrap_err(), two.unwrap_err(), three.unwrap_err()] {
        assert!(error.kind() == ErrorKind::Timeout && error.is_retryable(), "{error:?}");
    }
    assert!(start.elapsed() < DEADLINE + Duration::from_millis(10), "{:?}", start.elapsed());
    service.takes(Duration::ZERO);
    envelope.open(&sealed, CONTEXT).await.unwrap();
    envelope.seal(&plain("x"), CONTEXT).await.unwrap();
}

#[tokio::test]
async fn nothing_is_sealed_under_a_key_that_the_service_does_not_give_back() {
    let service = Service::new(&key("a", 1));
    let envelope = envelope(&service);
    service.lies.store(true, Ordering::SeqCst);
    let error = envelope.seal(&plain("x"), CONTEXT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    service.lies.store(false, Ordering::SeqCst);
    envelope.seal(&plain("x"), CONTEXT).await.unwrap();
}

#[tokio::test]
async fn a_service_must_name_its_key_in_one_way() {
    struct Alias(LocalKeys);
    #[async_trait]
    impl KeyService for Alias {
        fn current_key_id(&self) -> String {
            "alias/mine".into()
        }
        async fn wrap(&self, data_key: &Secret<Vec<u8>>, context: &str) -> Result<Wrapped> {
            self.0.wrap(data_key, context).await
        }
        async fn unwrap(&self, wrapped: &Wrapped, context: &str) -> Result<Secret<Vec<u8>>> {
            self.0.unwrap(wrapped, context).await
        }
    }
    let keys = LocalKeys::parse(&key("a", 1).as_str().into()).unwrap();
    let error = Envelope::new(Arc::new(Alias(keys)), "test").seal(&plain("x"), CONTEXT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("alias/mine"));
}

/// What was under way when the keys were replaced ends well, and the next entry is under the new key.
#[tokio::test(start_paused = true)]
async fn keys_may_be_replaced_while_a_data_key_is_made() {
    let service = Service::new(&key("old", 1));
    service.takes(Duration::from_secs(1));
    let envelope = envelope(&service);
    let secret = plain("x");
    let replace = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        service.keys.replace(&text(&[key("new", 2), key("old", 1)])).unwrap();
    };
    let (sealed, ()) = tokio::join!(envelope.seal(&secret, CONTEXT), replace);
    assert_eq!(data_key(&sealed.unwrap()).key_id, "old");
    let sealed = envelope.seal(&secret, CONTEXT).await.unwrap();
    assert_eq!(data_key(&sealed).key_id, "new");
}

#[tokio::test(start_paused = true)]
async fn after_everything_is_rewrapped_the_old_key_can_go() {
    let service = Service::new(&key("old", 1));
    let envelope = envelope(&service);
    let mut entries = Vec::new();
    for n in 0..50 {
        entries.push(envelope.seal(&plain(&n.to_string()), CONTEXT).await.unwrap());
    }
    let left_out = envelope.seal(&plain("left out"), CONTEXT).await.unwrap();
    assert_eq!(envelope.rewrap(&entries[0], CONTEXT).await.unwrap(), None);

    service.keys.replace(&text(&[key("new", 2), key("old", 1)])).unwrap();
    service.asked();
    let fresh = envelope.seal(&plain("fresh"), CONTEXT).await.unwrap();
    assert_eq!(data_key(&fresh).key_id, "new", "a new key is used at once");
    assert_eq!(service.asked(), (1, 1));
    for entry in &mut entries {
        let next = envelope.rewrap(entry, CONTEXT).await.unwrap().unwrap();
        let (before, after) = (format::parse(entry).unwrap(), format::parse(&next).unwrap());
        assert_eq!((before.nonce, before.body), (after.nonce, after.body));
        assert_eq!(envelope.rewrap(&next, CONTEXT).await.unwrap(), None);
        *entry = next;
    }
    assert_eq!(service.asked(), (1, 1), "one data key is one request");
    let shared: HashSet<_> = entries.iter().map(|entry| data_key(entry).bytes).collect();
    assert_eq!(shared.len(), 1, "and stays one data key");

    service.keys.replace(&text(&[key("new", 2)])).unwrap();
    tokio::time::advance(KEEP).await;
    for (n, entry) in entries.iter().enumerate() {
        assert_eq!(envelope.open(entry, CONTEXT).await.unwrap().expose(), n.to_string().as_bytes());
    }
    for lost in [
        envelope.open(&left_out, CONTEXT).await.map(drop),
        envelope.rewrap(&left_out, CONTEXT).await.map(drop),
    ] {
        let error = lost.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.hint().unwrap().contains("`old`"));
    }
}

#[tokio::test]
async fn an_entry_is_not_rewrapped_in_another_place() {
    let service = Service::new(&key("old", 1));
    let envelope = envelope(&service);
    let sealed = envelope.seal(&plain("x"), CONTEXT).await.unwrap();
    service.keys.replace(&text(&[key("new", 2), key("old", 1)])).unwrap();
    assert_eq!(envelope.rewrap(&sealed, b"other").await.unwrap_err().kind(), ErrorKind::Decode);
    service.lies.store(true, Ordering::SeqCst);
    assert!(envelope.rewrap(&sealed, CONTEXT).await.is_err(), "nor under a key that does not give it back");
}

#[tokio::test]
async fn no_debug_and_no_error_shows_plain_text_or_key() {
    let keys = LocalKeys::parse(&key("a", 0xC4).as_str().into()).unwrap();
    let envelope = Envelope::new(Arc::new(keys), "test");
    let mut sealed = envelope.seal(&plain("c4nary"), CONTEXT).await.unwrap();
    assert!(!sealed.windows(6).any(|window| window == b"c4nary"));
    *sealed.last_mut().unwrap() ^= 1;
    let error = envelope.open(&sealed, CONTEXT).await.unwrap_err();
    let shown = format!("{envelope:?} {error:?} {}", error.explain());
    assert!(!shown.contains("c4nary") && !shown.contains("xMTE") && !shown.contains("196"), "{shown}");
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        text in prop::collection::vec(any::<u8>(), 0..2000),
        context in prop::collection::vec(any::<u8>(), 0..50),
        other in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let envelope = local();
        let (opened, elsewhere) = block_on(async {
            let sealed = envelope.seal(&Secret::new(text.clone()), &context).await.unwrap();
            (envelope.open(&sealed, &context).await, envelope.open(&sealed, &other).await)
        });
        prop_assert!(opened.unwrap().ct_eq(&text));
        prop_assert_eq!(elsewhere.is_ok(), other == context);
    }

    #[test]
    fn no_invented_bytes_open(
        tail in prop::collection::vec(any::<u8>(), 0..300),
        head in prop::sample::select(vec![&b""[..], b"IG", b"IG\x01\x01", b"IG\x01\x01\x01a\0\x3c"]),
    ) {
        let keys = LocalKeys::parse(&key("a", 1).as_str().into()).unwrap();
        let envelope = Envelope::new(Arc::new(keys), "test");
        let bytes = [head, &tail[..]].concat();
        let error = block_on(envelope.open(&bytes, CONTEXT)).unwrap_err();
        prop_assert!(matches!(error.kind(), ErrorKind::Decode | ErrorKind::Config));
    }
}
