use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response};
use integrations_core::jose::SigningKey;
use integrations_core::{Body, ErrorKind, Exchange, Payload, SecretString, TransportError, TransportFailure};
use serde_json::{Map, json};
use tokio::time::{Instant, advance};

use super::*;

const URL: &str = "https://id.example/keys";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// An issuer in memory.
#[derive(Default)]
struct Issuer {
    keys: Mutex<Vec<SigningKey>>,
    requests: AtomicU64,
    is_down: AtomicBool,
    /// How many requests are answered as by a service that is busy.
    hiccups: AtomicU64,
    panics: AtomicBool,
    takes: Mutex<Duration>,
    cache_control: Mutex<Option<&'static str>>,
}

impl Issuer {
    fn new() -> Arc<Self> {
        let issuer = Arc::new(Self::default());
        issuer.rotate(1);
        issuer
    }

    /// Publishes a new key and those before it, `kept` in all.
    fn rotate(&self, kept: usize) {
        let mut keys = self.keys.lock().unwrap();
        keys.insert(0, SigningKey::generate(Algorithm::EdDsa).unwrap());
        keys.truncate(kept);
    }

    fn token(&self) -> SecretString {
        sign(&self.keys.lock().unwrap()[0])
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    fn cache(self: &Arc<Self>) -> JwksCache {
        JwksCache::builder(URL, self.clone()).build().unwrap()
    }
}

#[async_trait]
impl Transport for Issuer {
    async fn send(
        &self,
        request: Request<Body>,
        exchange: Exchange,
    ) -> Result<Response<Payload>, TransportError> {
        assert_eq!(request.uri(), URL);
        assert!(exchange.op.keeps_origin && exchange.op.response_limit == 64 * 1024);
        self.requests.fetch_add(1, Ordering::SeqCst);
        let takes = *self.takes.lock().unwrap();
        tokio::time::sleep(takes).await;
        assert!(!self.panics.load(Ordering::SeqCst), "as asked for");
        if self.is_down.load(Ordering::SeqCst) {
            return Err(TransportError::new(TransportFailure::Forbidden, false, "down"));
        }
        let left = self.hiccups.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() {
            let mut busy = Response::new(Payload::Whole("".into()));
            *busy.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            return Ok(busy);
        }
        let keys: Vec<_> = self.keys.lock().unwrap().iter().map(|key| key.public_jwk().unwrap()).collect();
        let mut response = Response::new(Payload::Whole(json!({ "keys": keys }).to_string().into()));
        if let Some(said) = *self.cache_control.lock().unwrap() {
            response.headers_mut().insert("cache-control", said.parse().unwrap());
        }
        Ok(response)
    }
}

fn sign(key: &SigningKey) -> SecretString {
    key.sign("JWT", &Map::from_iter([("sub".to_owned(), json!("1"))])).unwrap()
}

fn stranger() -> SecretString {
    sign(&SigningKey::generate(Algorithm::EdDsa).unwrap())
}

async fn check(cache: &JwksCache, token: &SecretString) -> Result<Claims> {
    cache.verify(&Jws::parse(token.expose())?, Algorithm::PUBLIC).await
}

/// The code and what is to be waited.
async fn refusal(cache: &JwksCache, token: &SecretString) -> (Option<String>, Option<Duration>) {
    let error = check(cache, token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error:?}");
    (error.code().map(str::to_owned), error.retry_after())
}

fn unknown(wait: Option<Duration>) -> (Option<String>, Option<Duration>) {
    (Some("unknown_key".to_owned()), wait)
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_when_they_are_stale_and_not_before() {
    let issuer = Issuer::new();
    let (cache, token) = (issuer.cache(), issuer.token());
    assert_eq!(issuer.requests(), 0);
    for _ in 0..10 {
        check(&cache, &token).await.unwrap();
    }
    advance(Duration::from_secs(3599)).await;
    check(&cache, &token).await.unwrap();
    assert_eq!(issuer.requests(), 1);
    advance(Duration::from_secs(2)).await;
    check(&cache, &token).await.unwrap();
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn everybody_at_the_first_use_waits_for_one_fetch() {
    let issuer = Issuer::new();
    *issuer.takes.lock().unwrap() = Duration::from_secs(2);
    let (cache, token) = (issuer.cache(), issuer.token());
    let checks: Vec<_> = (0..100)
        .map(|_| {
            let (cache, token) = (cache.clone(), token.clone());
            tokio::spawn(async move { check(&cache, &token).await })
        })
        .collect();
    for one in checks {
        one.await.unwrap().unwrap();
    }
    assert_eq!((issuer.requests(), cache.counts().fetches), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_rotation_under_load_costs_no_token() {
    let issuer = Issuer::new();
    *issuer.takes.lock().unwrap() = Duration::from_millis(200);
    let cache = issuer.cache();
    check(&cache, &issuer.token()).await.unwrap();
    for rotation in 1..=3 {
        // Longer than the cool-down lies between two rotations, and less than the keys are fresh.
        advance(2 * MINUTE).await;
        let before = issuer.token();
        issuer.rotate(2);
        let after = issuer.token();
        let checks: Vec<_> = (0..5_000_u64)
            .map(|i| {
                let cache = cache.clone();
                let token = if i % 2 == 0 { before.clone() } else { after.clone() };
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_micros(200 * i)).await;
                    check(&cache, &token).await
                })
            })
            .collect();
        for one in checks {
            one.await.unwrap().unwrap();
        }
        assert_eq!((issuer.requests(), cache.counts().refused_unknown), (1 + rotation, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn invented_key_ids_cause_one_fetch_in_a_cool_down() {
    let issuer = Issuer::new();
    let (cache, good) = (issuer.cache(), issuer.token());
    check(&cache, &good).await.unwrap();
    let began = Instant::now();
    for i in 0..1_000_000_u32 {
        let header = format!("{{\"alg\":\"EdDSA\",\"kid\":\"{}\"}}", fastrand::u64(..));
        // A signature is not looked at before its key is known.
        let token = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header));
        let error = cache.verify(&Jws::parse(&token).unwrap(), &[Algorithm::EdDsa]).await.unwrap_err();
        assert_eq!(error.code(), Some("unknown_key"));
        if i % 1_000 == 0 {
            advance(Duration::from_millis(500)).await;
        }
    }
    let cool_downs = began.elapsed().as_secs().div_ceil(60);
    assert_eq!(cool_downs, 9, "of 60 s each: {:?}", began.elapsed());
    assert!(issuer.requests() <= 1 + cool_downs, "{} fetches", issuer.requests());
    assert!(issuer.requests() >= cool_downs, "a rotation would have been seen");
    assert_eq!(cache.counts().refused_unknown, 1_000_000);
    check(&cache, &good).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_rotation_within_the_cool_down_is_seen_when_it_is_over() {
    let issuer = Issuer::new();
    let cache = issuer.cache();
    check(&cache, &issuer.token()).await.unwrap();
    // Granted at once, right after the ordinary fetch.
    assert_eq!(refusal(&cache, &stranger()).await, unknown(None));
    assert_eq!(issuer.requests(), 2);

    issuer.rotate(2);
    let token = issuer.token();
    advance(Duration::from_secs(20)).await;
    assert_eq!(refusal(&cache, &token).await, unknown(Some(Duration::from_secs(40))));
    assert_eq!(issuer.requests(), 2);
    advance(Duration::from_secs(40)).await;
    check(&cache, &token).await.unwrap();
    assert_eq!(issuer.requests(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_set_that_was_asked_for_after_the_token_came_is_not_fetched_again_for_it() {
    let issuer = Issuer::new();
    let cache = issuer.cache();
    assert_eq!(refusal(&cache, &stranger()).await, unknown(None));
    assert_eq!(issuer.requests(), 1);
    // And it has not used up the one that may be demanded.
    issuer.rotate(1);
    check(&cache, &issuer.token()).await.unwrap();
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn keys_stay_in_use_while_the_issuer_does_not_answer() {
    let issuer = Issuer::new();
    let (cache, token) = (issuer.cache(), issuer.token());
    check(&cache, &token).await.unwrap();
    issuer.is_down.store(true, Ordering::SeqCst);
    for _ in 0..3 * 24 * 60 {
        advance(MINUTE).await;
        check(&cache, &token).await.unwrap();
        check(&cache, &token).await.unwrap();
        refusal(&cache, &stranger()).await;
    }
    let counts = cache.counts();
    assert!(counts.fetches <= 1 + 3 * 24 * 60, "{counts:?}");
    assert_eq!(counts.failures, counts.fetches - 1);
    issuer.is_down.store(false, Ordering::SeqCst);
    issuer.rotate(2);
    advance(MINUTE).await;
    check(&cache, &issuer.token()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_outage_at_the_first_use_makes_no_storm() {
    let issuer = Issuer::new();
    issuer.is_down.store(true, Ordering::SeqCst);
    let (cache, token) = (issuer.cache(), issuer.token());
    assert!(check(&cache, &token).await.unwrap_err().retry_after().is_none());
    // Nobody can sign in meanwhile, so that the first waits are short.
    for (fetches, wait) in (1..).zip([5, 10, 20, 40, 60, 60]) {
        advance(Duration::from_secs(wait - 1)).await;
        for _ in 0..100 {
            let error = check(&cache, &token).await.unwrap_err();
            assert_eq!(error.retry_after(), Some(Duration::from_secs(1)), "{error:?}");
        }
        assert_eq!(cache.counts().fetches, fetches);
        advance(Duration::from_secs(1)).await;
        check(&cache, &token).await.unwrap_err();
    }
    issuer.is_down.store(false, Ordering::SeqCst);
    advance(MINUTE).await;
    check(&cache, &token).await.unwrap();
    // With keys there, the next outage is one that has the whole cool-down again.
    issuer.is_down.store(true, Ordering::SeqCst);
    advance(2 * HOUR).await;
    check(&cache, &token).await.unwrap();
    assert_eq!(refusal(&cache, &stranger()).await, unknown(Some(MINUTE)));
}

#[tokio::test(start_paused = true)]
async fn a_short_cool_down_is_the_longest_wait_at_the_first_use_too() {
    let issuer = Issuer::new();
    issuer.is_down.store(true, Ordering::SeqCst);
    let cache = JwksCache::builder(URL, issuer.clone()).cool_down(Duration::from_secs(2)).build().unwrap();
    check(&cache, &issuer.token()).await.unwrap_err();
    let error = check(&cache, &issuer.token()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn one_fetch_is_three_requests_at_most() {
    let issuer = Issuer::new();
    issuer.hiccups.store(1, Ordering::SeqCst);
    let (cache, token) = (issuer.cache(), issuer.token());
    check(&cache, &token).await.unwrap();
    assert_eq!((issuer.requests(), cache.counts().fetches, cache.counts().failures), (2, 1, 0));

    issuer.hiccups.store(u64::MAX, Ordering::SeqCst);
    advance(2 * HOUR).await;
    check(&cache, &token).await.unwrap();
    assert_eq!((issuer.requests(), cache.counts().fetches), (5, 2));
    for _ in 0..1_000 {
        refusal(&cache, &stranger()).await;
    }
    assert_eq!(issuer.requests(), 5, "none within the cool-down");
}

#[tokio::test(start_paused = true)]
async fn what_the_issuer_withdrew_is_refused_once_its_answer_is_stale() {
    let issuer = Issuer::new();
    *issuer.cache_control.lock().unwrap() = Some("max-age=600");
    let (cache, old) = (issuer.cache(), issuer.token());
    check(&cache, &old).await.unwrap();
    issuer.rotate(1);
    advance(Duration::from_secs(599)).await;
    check(&cache, &old).await.unwrap();
    advance(Duration::from_secs(2)).await;
    assert_eq!(refusal(&cache, &old).await, unknown(None));
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn of_all_who_find_keys_stale_one_waits_for_new_ones() {
    let issuer = Issuer::new();
    let (cache, token) = (issuer.cache(), issuer.token());
    check(&cache, &token).await.unwrap();
    *issuer.takes.lock().unwrap() = Duration::from_secs(5);
    advance(2 * HOUR).await;
    let began = Instant::now();
    let timed = |cache: JwksCache, token: SecretString| async move {
        check(&cache, &token).await.unwrap();
        began.elapsed()
    };
    let checks: Vec<_> = (0..10).map(|_| tokio::spawn(timed(cache.clone(), token.clone()))).collect();
    let mut waits = Vec::new();
    for one in checks {
        waits.push(one.await.unwrap());
    }
    waits.sort();
    assert!(waits[8].is_zero() && waits[9] == Duration::from_secs(5), "{waits:?}");
    assert_eq!(issuer.requests(), 2);
}

async fn gives_up_after<T>(time: Duration, future: impl Future<Output = T>) {
    assert!(tokio::time::timeout(time, future).await.is_err(), "it was to be cut off");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_is_gone_leaves_its_fetch_to_the_others() {
    let issuer = Issuer::new();
    *issuer.takes.lock().unwrap() = Duration::from_secs(3);
    let (cache, token) = (issuer.cache(), issuer.token());
    gives_up_after(Duration::from_secs(1), check(&cache, &token)).await;
    check(&cache, &token).await.unwrap();
    assert_eq!(issuer.requests(), 1, "the same one");

    // Whoever demands a fetch and is gone has not used it up.
    issuer.rotate(1);
    let token = issuer.token();
    gives_up_after(Duration::from_secs(1), check(&cache, &stranger())).await;
    check(&cache, &token).await.unwrap();
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_panics_or_hangs_is_one_that_failed() {
    let issuer = Issuer::new();
    let (cache, token) = (issuer.cache(), issuer.token());
    issuer.panics.store(true, Ordering::SeqCst);
    assert_eq!(check(&cache, &token).await.unwrap_err().kind(), ErrorKind::Unavailable);
    issuer.panics.store(false, Ordering::SeqCst);
    assert!(check(&cache, &token).await.unwrap_err().retry_after().is_some());
    advance(MINUTE).await;
    *issuer.takes.lock().unwrap() = HOUR;
    let began = Instant::now();
    check(&cache, &token).await.unwrap_err();
    assert!(began.elapsed() <= Duration::from_secs(10), "{:?}", began.elapsed());
    *issuer.takes.lock().unwrap() = Duration::ZERO;
    advance(MINUTE).await;
    check(&cache, &token).await.unwrap();
    assert_eq!((cache.counts().fetches, cache.counts().failures), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_without_key_ids_may_rotate_too() {
    let issuer = Issuer::new();
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let nameless = |key: &SigningKey| SigningKey::pem(&key.to_pem().unwrap()).unwrap();
    *issuer.keys.lock().unwrap() = vec![nameless(&key)];
    let cache = issuer.cache();
    check(&cache, &issuer.token()).await.unwrap();
    let next = SigningKey::generate(Algorithm::EdDsa).unwrap();
    *issuer.keys.lock().unwrap() = vec![nameless(&next)];
    check(&cache, &issuer.token()).await.unwrap();
    let forged = sign(&nameless(&key));
    let (code, wait) = refusal(&cache, &forged).await;
    assert_eq!((code.as_deref(), wait), (Some("signature"), Some(MINUTE)));
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_no_key_could_save_makes_no_traffic() {
    let issuer = Issuer::new();
    let cache = issuer.cache();
    let token = stranger();
    let jws = Jws::parse(token.expose()).unwrap();
    let error = cache.verify(&jws, &[Algorithm::Rs256]).await.unwrap_err();
    assert_eq!((error.code(), issuer.requests()), (Some("algorithm"), 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_set_of_keys_is_a_fetch_that_failed() {
    struct Wrong;
    #[async_trait]
    impl Transport for Wrong {
        async fn send(&self, _: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
            Ok(Response::new(Payload::Whole("<html>".into())))
        }
    }
    let cache = JwksCache::builder(URL, Arc::new(Wrong)).build().unwrap();
    assert_eq!(check(&cache, &stranger()).await.unwrap_err().kind(), ErrorKind::Decode);
    assert_eq!(cache.counts().failures, 1);
    for bad in ["http://id.example/keys", "ftp://id.example/keys", "keys"] {
        let error = JwksCache::builder(bad, Arc::new(Wrong)).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
    }
}
