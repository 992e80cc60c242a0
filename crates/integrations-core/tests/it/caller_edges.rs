//! Corners of calls over a transport: who is blamed, which deadline holds, what an answer still says.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, Uri};
use integrations_core::CredentialVersion;
use integrations_core::pipeline::{Policy, Scope, Stages};
use integrations_core::{
    Authorize, Body, BodyStream, Caller, CallerBuilder, Clock, Effect, Endpoint, Error, ErrorKind, Exchange,
    Op, Payload, Req, Result, Safety, Skew, Transport, TransportError, TransportFailure, WireRequest,
    WireResponse,
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

static READ: Op = Op::new("demo", "read", Safety::Read).http("GET", "/x").response_limit(64);
static SEND: Op = Op::new("demo", "send", Safety::Once).http("POST", "/x").response_limit(64);
static PUT: Op = Op::new("demo", "put", Safety::Idempotent).http("PUT", "/x");

type Answer = Result<Response<Payload>, TransportError>;
type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

type Answering = Box<dyn Fn(u32, &Request<Body>) -> Pending + Send + Sync>;

/// Answers the n-th request (from 1) by a function.
struct Service {
    sent: AtomicU32,
    answer: Answering,
}

#[async_trait]
impl Transport for Service {
    async fn send(&self, request: Request<Body>, _: Exchange) -> Answer {
        let number = self.sent.fetch_add(1, SeqCst) + 1;
        (self.answer)(number, &request).await
    }
}

fn service(answer: impl Fn(u32, &Request<Body>) -> Answer + Send + Sync + 'static) -> Arc<Service> {
    let answer = move |number, request: &Request<Body>| {
        let ready: Pending = Box::pin(std::future::ready(answer(number, request)));
        ready
    };
    Arc::new(Service { sent: AtomicU32::new(0), answer: Box::new(answer) })
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a transport gives")]
fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Ok(response.body(Payload::Whole(Bytes::copy_from_slice(body.as_bytes()))).unwrap())
}

fn base() -> Uri {
    "https://demo.example/v1".parse().unwrap()
}

fn builder(service: &Arc<Service>, policy: Policy) -> CallerBuilder {
    let pipeline = Stages::new().pipeline(Scope::new("acme", "demo_main"), policy).unwrap();
    Caller::builder(base(), service.clone(), pipeline)
}

fn get() -> WireRequest {
    Req::get(&base()).path(["x"]).build().unwrap()
}

/// Credentials that come, or fail to come, as a function says.
struct Tokens<A, R> {
    authorize: A,
    refresh: R,
}

#[async_trait]
impl<A, AF, R, RF> Authorize for Tokens<A, R>
where
    A: Fn() -> AF + Send + Sync,
    AF: Future<Output = Result<()>> + Send,
    R: Fn() -> RF + Send + Sync,
    RF: Future<Output = Result<bool>> + Send,
{
    async fn authorize(&self, _: &mut WireRequest) -> Result<()> {
        (self.authorize)().await
    }

    async fn refresh(&self, _: Option<CredentialVersion>) -> Result<bool> {
        (self.refresh)().await
    }
}

fn failing(kind: ErrorKind) -> Error {
    Error::new(kind, Effect::Unknown, "the token endpoint is down")
        .with_retry_after(Duration::from_secs(1000))
}

#[tokio::test(start_paused = true)]
async fn what_befalls_the_token_endpoint_is_not_the_services_fault() {
    // The signer hangs, or fails as only the token endpoint can.
    for hangs in [true, false] {
        let service = service(|_, _| reply(200, &[], "1"));
        let mut policy = Policy::default();
        policy.retry.max_attempts = 1;
        policy.wait = integrations_core::pipeline::Wait::FailFast;
        let healthy = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let authorize = {
            let healthy = healthy.clone();
            move || {
                let healthy = healthy.load(SeqCst);
                async move {
                    match (healthy, hangs) {
                        (true, _) => Ok(()),
                        (false, true) => std::future::pending().await,
                        (false, false) => Err(failing(ErrorKind::Unavailable)),
                    }
                }
            }
        };
        let tokens = Tokens { authorize, refresh: || async { Ok(false) } };
        let caller = builder(&service, policy).authorize(Arc::new(tokens)).build();
        for _ in 0..40 {
            let e = caller.exchange(&SEND, None, get()).await.unwrap_err();
            assert_eq!(e.effect(), Effect::NotSent, "{e:?}");
        }
        healthy.store(true, SeqCst);
        caller.exchange(&SEND, None, get()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_once_is_tried_again() {
    let refreshed = Arc::new(AtomicU32::new(0));
    let service = service({
        let refreshed = refreshed.clone();
        move |_, _| if refreshed.load(SeqCst) < 2 { reply(401, &[], "") } else { reply(200, &[], "1") }
    });
    let refresh = move || {
        let first = refreshed.fetch_add(1, SeqCst) == 0;
        async move { if first { Err(Error::new(ErrorKind::Timeout, Effect::Unknown, "slow")) } else { Ok(true) } }
    };
    let tokens = Tokens { authorize: || async { Ok(()) }, refresh };
    let caller = builder(&service, Policy::default()).authorize(Arc::new(tokens)).build();
    caller.exchange(&PUT, None, get()).await.unwrap();
    assert_eq!(service.sent.load(SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn every_call_that_was_signed_by_a_wrong_clock_is_corrected() {
    let clock = Clock::virtual_from(Timestamp::from_second(1_800_000_000).unwrap());
    let (skew, barrier) = (Arc::new(Skew::default()), Arc::new(tokio::sync::Barrier::new(4)));
    let ahead = SignedDuration::from_mins(7);
    let answer = {
        let (skew, clock) = (skew.clone(), clock.clone());
        move |number: u32, _: &Request<Body>| {
            let (skew, clock, barrier) = (skew.clone(), clock.clone(), barrier.clone());
            let signed_right = skew.get() == ahead;
            let pending: Pending = Box::pin(async move {
                if number <= 4 {
                    barrier.wait().await;
                }
                let date = (clock.now() + ahead).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                reply(if signed_right { 200 } else { 401 }, &[("date", &date)], "1")
            });
            pending
        }
    };
    let service = Arc::new(Service { sent: AtomicU32::new(0), answer: Box::new(answer) });
    let caller = builder(&service, Policy::default()).clock(clock).skew(skew).build();
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let caller = caller.clone();
            tokio::spawn(async move { caller.exchange(&READ, None, get()).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

/// A stream that gives a chunk every so often, without end.
struct Trickle(Duration, Pin<Box<tokio::time::Sleep>>);

fn trickle(every: Duration) -> BodyStream {
    BodyStream::new(Trickle(every, Box::pin(sleep(every))), None)
}

impl futures_core::Stream for Trickle {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::ready!(self.1.as_mut().poll(cx));
        self.1 = Box::pin(sleep(self.0));
        std::task::Poll::Ready(Some(Ok(Bytes::from_static(b"chunk"))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_call_that_began_it() {
    let answer = |_, _: &Request<Body>| {
        let pending: Pending = Box::pin(async {
            sleep(Duration::from_secs(4)).await;
            Ok(Response::new(Payload::Stream(trickle(Duration::from_millis(500)))))
        });
        pending
    };
    let service = Arc::new(Service { sent: AtomicU32::new(0), answer: Box::new(answer) });
    let caller = builder(&service, Policy::default()).build();
    let shorter = caller.pipeline().clone().with_timeout(Duration::from_secs(6));
    let start = Instant::now();
    let mut answer = caller.with_pipeline(shorter).stream(&READ, None, get()).await.unwrap();
    let cause = loop {
        match answer.body.chunk().await.unwrap() {
            Ok(_) => assert!(start.elapsed() < Duration::from_secs(7), "the call outlives its deadline"),
            Err(cause) => break cause,
        }
    };
    assert!(start.elapsed() <= Duration::from_millis(6_002), "{:?}", start.elapsed());
    assert!(cause.to_string().contains("time of the call"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_keeps_its_meaning_whatever_its_body_does() {
    let bodies: [fn() -> Payload; 3] = [
        || Payload::Whole(Bytes::from(vec![b'<'; 1000])),
        || Payload::Stream(trickle(Duration::from_secs(1))),
        || Payload::Stream(BodyStream::new(Broken, Some(1000))),
    ];
    for body in bodies {
        let service = service(move |_, _| {
            let refusal = Response::builder().status(429).header("retry-after", "3600");
            Ok(refusal.body(body()).unwrap())
        });
        let caller = builder(&service, Policy::default()).build();
        for streamed in [false, true] {
            let e = if streamed {
                caller.stream(&READ, None, get()).await.map(|_| ()).unwrap_err()
            } else {
                caller.exchange(&READ, None, get()).await.map(|_| ()).unwrap_err()
            };
            assert_eq!((e.kind(), e.retry_after().is_some()), (ErrorKind::RateLimited, true), "{e:?}");
        }
        assert_eq!(service.sent.load(SeqCst), 1, "sent during the pause");
    }
}

struct Broken;

impl futures_core::Stream for Broken {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_teaches_the_limits_too() {
    let service = service(|_, _| {
        reply(
            200,
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "600"), ("x-ratelimit-limit", "9")],
            "x",
        )
    });
    let caller = builder(&service, Policy::default()).build();
    caller.stream(&READ, None, get()).await.unwrap();
    let e = caller.stream(&READ, None, get()).await.unwrap_err();
    assert_eq!((e.kind(), e.effect()), (ErrorKind::RateLimited, Effect::NotSent));
}

#[tokio::test(start_paused = true)]
async fn the_failure_of_a_body_that_exists_once_is_reported_as_it_was() {
    let service =
        service(|_, _| Err(TransportError::new(TransportFailure::Reset, true, "the connection broke")));
    let caller = builder(&service, Policy::default()).build();
    let once = || Body::Once(BodyStream::from(Bytes::from_static(b"abc")));
    let start = Instant::now();
    let request = Req::put(&base()).path(["x"]).body(once()).build().unwrap();
    let e = caller.exchange(&PUT, None, request).await.unwrap_err();
    assert_eq!((e.kind(), e.effect(), e.attempts()), (ErrorKind::Transport, Effect::Unknown, 1), "{e:?}");
    assert!(e.hint().is_some_and(|hint| hint.contains("Body::replay")));
    assert_eq!((start.elapsed(), service.sent.load(SeqCst)), (Duration::ZERO, 1));
    let counted = &caller.pipeline().stages().metrics().snapshot()[0];
    assert_eq!((counted.attempts_total(), counted.retries()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_window_that_restarts_later_does_not_make_a_503_a_refusal() {
    let window = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "600"), ("x-ratelimit-limit", "9")];
    let service = service(move |_, _| reply(503, &window, ""));
    let e = builder(&service, Policy::default()).build().exchange(&SEND, None, get()).await.unwrap_err();
    assert_eq!(e.effect(), Effect::Unknown, "{e:?}");
}

#[tokio::test(start_paused = true)]
async fn debug_forms_name_the_user_and_no_content() {
    let service = service(|_, _| reply(200, &[("set-cookie", "hunter2")], "hunter2"));
    let base = "https://hunter2@demo.example/hunter2?hunter2".parse().unwrap();
    let pipeline = Stages::new().pipeline(Scope::new("acme", "demo_main"), Policy::default()).unwrap();
    let builder = Caller::builder(base, service, pipeline);
    let before = format!("{builder:?}");
    let caller = builder.build();
    let answer = caller.stream(&READ, None, get()).await.unwrap();
    let shown = format!("{before} {caller:?} {:?} {answer:?}", caller.pipeline().stages());
    assert!(shown.contains("acme") && shown.contains("200 OK") && !shown.contains("hunter2"), "{shown}");
}

struct Mine(Arc<Mutex<u32>>);

impl Endpoint for Mine {
    type Output = u32;
    const OP: &'static Op = &READ;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        *self.0.lock().unwrap() += 1;
        Req::get(base).path(["x"]).build()
    }

    fn response(&self, response: WireResponse) -> Result<u32> {
        response.json()
    }
}

#[tokio::test(start_paused = true)]
async fn calls_can_be_spawned_with_all_they_own() {
    let service = service(|_, _| reply(200, &[], "1"));
    let caller = builder(&service, Policy::default()).build();
    let pipeline = caller.pipeline().clone();
    let (spawned, mine) = (caller.clone(), Mine(Arc::default()));
    assert_eq!(tokio::spawn(async move { spawned.call(&mine).await }).await.unwrap().unwrap(), 1);
    let spawned = caller.clone();
    tokio::spawn(async move { spawned.stream(&READ, None, get()).await.map(|_| ()) }).await.unwrap().unwrap();
    let text = String::from("borrowed by each attempt");
    let run = tokio::spawn(async move {
        let text = &text;
        pipeline.run(&READ, None, |attempt| async move { Ok(text.len() + attempt.number as usize) }).await
    });
    assert_eq!(run.await.unwrap().unwrap(), 25);
}

#[cfg(feature = "cache")]
mod cache {
    use super::*;
    use integrations_core::IdempotencyKey;
    use integrations_core::cache::{CacheKey, CacheStore, MemoryStore, ReadCache};

    static CACHED: Op = Op::new("demo", "cached", Safety::Read).http("GET", "/x").cached();
    static CHARGE: Op = Op::new("demo", "charge", Safety::Keyed).http("POST", "/x").cached();

    fn clock() -> Clock {
        Clock::virtual_from(Timestamp::from_second(1_800_000_000).unwrap())
    }

    fn cached(service: &Arc<Service>, store: impl CacheStore) -> Caller {
        let clock = clock();
        let cache = ReadCache::new(store, clock.clone(), Duration::MAX);
        builder(service, Policy::default()).clock(clock).cache(cache).build()
    }

    fn memory() -> MemoryStore {
        MemoryStore::new(1 << 20)
    }

    /// A store that takes its time.
    struct Slow(Duration);

    #[async_trait]
    impl CacheStore for Slow {
        async fn get(&self, key: &CacheKey) -> Option<Bytes> {
            assert!(!format!("{key:?}").contains("47"), "the debug form shows the request");
            sleep(self.0).await;
            None
        }

        async fn put(&self, _: &CacheKey, _: Bytes, _: Duration) {
            sleep(self.0).await;
        }
    }

    fn hanging() -> Arc<Service> {
        let answer = |_, _: &Request<Body>| {
            let pending: Pending = Box::pin(std::future::pending());
            pending
        };
        Arc::new(Service { sent: AtomicU32::new(0), answer: Box::new(answer) })
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_store_does_not_hide_what_became_of_a_call() {
        let start = Instant::now();
        let caller = cached(&hanging(), Slow(Duration::from_millis(50)));
        let e = caller.exchange(&CACHED, None, get()).await.unwrap_err();
        assert_eq!((e.kind(), e.effect(), e.attempts()), (ErrorKind::Timeout, Effect::Unknown, 3), "{e:?}");
        assert!(start.elapsed() <= Duration::from_millis(30_002), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_hangs_takes_the_time_of_one_call_and_no_more() {
        let start = Instant::now();
        let service = service(|_, _| reply(200, &[("cache-control", "max-age=60")], "1"));
        let caller = cached(&service, Slow(Duration::MAX));
        let e = caller.exchange(&CACHED, None, get()).await.unwrap_err();
        assert_eq!((e.effect(), service.sent.load(SeqCst)), (Effect::NotSent, 0));
        assert!(start.elapsed() <= Duration::from_millis(30_002), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_with_little_time_does_not_end_for_those_with_more() {
        let answer = |_, _: &Request<Body>| {
            let pending: Pending = Box::pin(async {
                sleep(Duration::from_secs(2)).await;
                reply(200, &[], "1")
            });
            pending
        };
        let service = Arc::new(Service { sent: AtomicU32::new(0), answer: Box::new(answer) });
        let caller = cached(&service, memory());
        let hasty = caller.pipeline().clone().with_timeout(Duration::from_millis(100));
        let hasty = caller.clone().with_pipeline(hasty);
        let (hasty, patient) =
            tokio::join!(hasty.exchange(&CACHED, None, get()), caller.exchange(&CACHED, None, get()));
        assert_eq!(hasty.unwrap_err().kind(), ErrorKind::Timeout);
        patient.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_304_confirms_what_is_stored_or_leads_to_a_new_answer() {
        // (what the 304 says, requests in all): RFC 9110 lets a 304 leave out `Last-Modified`.
        let cases: [(&[(&str, &str)], u32); 4] = [
            (&[], 2),
            (&[("etag", "\"one\"")], 2),
            (&[("last-modified", "Wed, 01 Jan 2025 00:00:00 GMT")], 2),
            (&[("etag", "\"other\"")], 3),
        ];
        for (told, sent) in cases {
            let service = service(move |_, request| {
                if request.headers().contains_key("if-none-match") {
                    return reply(304, told, "");
                }
                let headers = [
                    ("cache-control", "max-age=1"),
                    ("etag", "\"one\""),
                    ("last-modified", "Wed, 01 Jan 2025 00:00:00 GMT"),
                ];
                reply(200, &headers, "1")
            });
            let caller = cached(&service, memory());
            for _ in 0..2 {
                let response = caller.exchange(&CACHED, None, get()).await.unwrap();
                assert_eq!((response.status.as_u16(), &response.body[..]), (200, &b"1"[..]), "{told:?}");
                sleep(Duration::from_secs(5)).await;
            }
            assert_eq!(service.sent.load(SeqCst), sent, "{told:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_number_in_a_header_is_too_large() {
        for header in [("cache-control", "max-age=18446744073709551615"), ("age", "18446744073709551615")] {
            let service = service(move |_, _| reply(200, &[header, ("etag", "\"one\"")], "1"));
            let caller = cached(&service, memory());
            for _ in 0..3 {
                caller.exchange(&CACHED, None, get()).await.unwrap();
                sleep(Duration::from_secs(5)).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_is_declared_cached_keeps_its_key() {
        let service = service(|_, request| {
            assert_eq!(request.headers()["idempotency-key"], "order-1");
            reply(200, &[], "1")
        });
        let cache = ReadCache::new(memory(), clock(), Duration::ZERO);
        let builder = builder(&service, Policy::default()).cache(cache);
        let caller = builder.key_header("idempotency-key".parse().unwrap()).build();
        let key = IdempotencyKey::new("order-1").unwrap();
        caller.exchange(&CHARGE, Some(key), get()).await.unwrap();
    }
}
