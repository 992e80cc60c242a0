//! Calls over a scripted transport: credentials, clocks, keys, bodies, limits, cache.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use integrations_core::CredentialVersion;
use integrations_core::pipeline::{Policy, Scope, Stages};
use integrations_core::{
    Authorize, Body, BodyStream, Caller, Classify, Clock, Effect, Endpoint, Error, ErrorKind, Exchange,
    IdempotencyKey, Op, Payload, Req, Result, Safety, Skew, Transport, TransportError, TransportFailure,
    WireRequest, WireResponse,
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

static READ: Op = Op::new("demo", "read", Safety::Read).http("GET", "/things/{id}").response_limit(64);
static WRITE: Op = Op::new("demo", "write", Safety::Keyed).http("POST", "/things");

struct ReadThing;

impl Endpoint for ReadThing {
    type Output = u32;
    const OP: &'static Op = &READ;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base).path(["things", "1"]).build()
    }

    fn response(&self, response: WireResponse) -> Result<u32> {
        response.json()
    }
}

type Reply = Box<dyn Fn(&Request<Bytes>) -> Result<Response<Payload>, TransportError> + Send + Sync>;

/// Answers with one scripted reply after the other, then with the last one; keeps what it was sent.
struct Scripted {
    replies: Mutex<VecDeque<Reply>>,
    seen: Mutex<Vec<Request<Bytes>>>,
}

impl Scripted {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        Arc::new(Self { replies: Mutex::new(replies.into_iter().collect()), seen: Mutex::default() })
    }

    fn sent(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    fn header(&self, index: usize, name: &str) -> String {
        self.seen.lock().unwrap()[index].headers()[name].to_str().unwrap().to_owned()
    }
}

#[async_trait]
impl Transport for Scripted {
    async fn send(&self, request: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        let (head, body) = request.into_parts();
        let mut stream = body.into_stream();
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.chunk().await {
            bytes.extend_from_slice(&chunk.unwrap());
        }
        let request = Request::from_parts(head, Bytes::from(bytes));
        let mut replies = self.replies.lock().unwrap();
        let reply = if replies.len() > 1 { replies.pop_front() } else { None };
        let answer = reply.as_ref().or(replies.front()).expect("a script has at least one reply")(&request);
        self.seen.lock().unwrap().push(request);
        answer
    }
}

fn reply(status: u16, headers: &'static [(&'static str, &'static str)], body: &'static str) -> Reply {
    Box::new(move |_| {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        Ok(response.body(Payload::Whole(Bytes::from_static(body.as_bytes()))).unwrap())
    })
}

fn reset(sent: bool) -> Reply {
    Box::new(move |_| Err(TransportError::new(TransportFailure::Reset, sent, "the connection broke")))
}

fn base() -> Uri {
    "https://demo.example/v1".parse().unwrap()
}

fn builder(transport: Arc<Scripted>) -> integrations_core::CallerBuilder {
    let pipeline = Stages::new().pipeline(Scope::new("acme", "demo_main"), Policy::default()).unwrap();
    Caller::builder(base(), transport, pipeline)
}

#[tokio::test(start_paused = true)]
async fn statuses_become_kinds_effects_and_retries() {
    let cases = [
        (400, ErrorKind::InvalidRequest, Effect::Rejected, 1),
        (401, ErrorKind::Unauthenticated, Effect::Rejected, 1),
        (403, ErrorKind::PermissionDenied, Effect::Rejected, 1),
        (404, ErrorKind::NotFound, Effect::Rejected, 1),
        (409, ErrorKind::Conflict, Effect::Rejected, 1),
        (429, ErrorKind::RateLimited, Effect::Rejected, 3),
        (500, ErrorKind::Unavailable, Effect::Unknown, 3),
        (503, ErrorKind::Unavailable, Effect::Unknown, 3),
        (599, ErrorKind::Unavailable, Effect::Unknown, 3),
        (302, ErrorKind::Unexpected, Effect::Unknown, 1),
    ];
    for (status, kind, effect, attempts) in cases {
        let transport = Scripted::new([reply(status, &[("x-request-id", "req-1")], "secret body")]);
        let e = builder(transport.clone()).build().call(&ReadThing).await.unwrap_err();
        assert_eq!((e.kind(), e.effect(), transport.sent()), (kind, effect, attempts), "{status}");
        assert_eq!((e.status(), e.request_id()), (Some(status), Some("req-1")));
        assert!(!format!("{e} {e:?} {}", e.explain()).contains("secret"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_with_503_means_that_the_service_refused() {
    let transport = Scripted::new([reply(503, &[("retry-after", "1")], ""), reply(200, &[], "7")]);
    let start = Instant::now();
    assert_eq!(builder(transport).build().call(&ReadThing).await.unwrap(), 7);
    assert!(start.elapsed() >= Duration::from_secs(1));
    let transport = Scripted::new([reply(503, &[("retry-after", "3600")], "")]);
    let e = builder(transport.clone()).build().call(&ReadThing).await.unwrap_err();
    assert_eq!(
        (e.effect(), e.retry_after(), transport.sent()),
        (Effect::Rejected, Some(Duration::from_secs(3600)), 1)
    );
}

/// Discord's way: a body field says that the delay concerns every bucket of the token.
struct Global;

impl Classify for Global {
    fn classify(&self, _: &'static Op, _: &WireResponse) -> Option<Error> {
        None
    }

    fn quota(&self, response: &WireResponse, received: Timestamp) -> integrations_core::quota::Quota {
        use integrations_core::quota::{Flag, Place, RateRules};
        const RULES: RateRules = RateRules::new().global(&[Flag::new(Place::Body("/global"), "true")]);
        RULES.read(response.status, &response.headers, &response.body, received)
    }
}

#[tokio::test(start_paused = true)]
async fn a_global_delay_pauses_every_bucket_of_the_credential() {
    static OTHER: Op = Op::new("demo", "other", Safety::Read).bucket("other");
    for (body, paused) in [("{\"global\":true}", true), ("{\"global\":false}", false)] {
        let transport = Scripted::new([
            reply(200, &[], "1"),
            reply(429, &[("retry-after", "30")], body),
            reply(200, &[], "1"),
        ]);
        let caller = builder(transport).classify(Arc::new(Global)).build();
        let other = || caller.exchange(&OTHER, None, Req::get(&base()).path(["other"]).build().unwrap());
        other().await.unwrap();
        assert_eq!(caller.call(&ReadThing).await.unwrap_err().kind(), ErrorKind::RateLimited);
        assert_eq!(other().await.is_err(), paused, "{body}");
    }
}

/// Errors in answers with status 200, as several vendors send them.
struct OkFalse;

impl Classify for OkFalse {
    fn classify(&self, _: &'static Op, response: &WireResponse) -> Option<Error> {
        let text = response.text().ok()?;
        text.contains("\"ok\":false")
            .then(|| Error::new(ErrorKind::Declined, Effect::Rejected, "refused").with_code("nope"))
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_with_status_200_is_an_error() {
    let transport = Scripted::new([reply(200, &[], "{\"ok\":false}")]);
    let e = builder(transport).classify(Arc::new(OkFalse)).build().call(&ReadThing).await.unwrap_err();
    assert_eq!((e.kind(), e.code(), e.status()), (ErrorKind::Declined, Some("nope"), Some(200)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_is_counted() {
    let caller = builder(Scripted::new([reply(200, &[], "seven")])).build();
    assert_eq!(caller.call(&ReadThing).await.unwrap_err().kind(), ErrorKind::Decode);
    let metrics = caller.pipeline().stages().metrics();
    assert_eq!(metrics.snapshot()[0].undecodable(), 1);
    let line = "integration_undecodable_total{provider=\"demo\",operation=\"read\"} 1";
    assert!(metrics.prometheus().lines().any(|l| l == line));
}

struct Token {
    generation: AtomicU32,
    renewable: AtomicBool,
}

#[async_trait]
impl Authorize for Token {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        let value = format!("Bearer t{}", self.generation.load(SeqCst));
        request.headers_mut().insert(http::header::AUTHORIZATION, value.parse().unwrap());
        Ok(())
    }

    async fn refresh(&self, _: Option<CredentialVersion>) -> Result<bool> {
        self.generation.fetch_add(1, SeqCst);
        Ok(self.renewable.load(SeqCst))
    }
}

#[tokio::test(start_paused = true)]
async fn a_401_leads_to_one_refresh_and_one_more_attempt() {
    for (renewable, sent) in [(true, 2), (false, 1)] {
        let token = Arc::new(Token { generation: AtomicU32::new(1), renewable: AtomicBool::new(renewable) });
        let transport = Scripted::new([reply(401, &[], ""), reply(401, &[], "")]);
        let caller = builder(transport.clone()).authorize(token.clone()).build();
        let e = caller.call(&ReadThing).await.unwrap_err();
        assert_eq!((e.kind(), transport.sent()), (ErrorKind::Unauthenticated, sent));
        assert_eq!(token.generation.load(SeqCst), 2, "refreshed once");
        if renewable {
            assert_eq!(transport.header(1, "authorization"), "Bearer t2");
        }
    }
}

/// Signs with the time that the service's clock shows.
struct Signer {
    clock: Clock,
    skew: Arc<Skew>,
}

#[async_trait]
impl Authorize for Signer {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        let time = self.skew.adjust(self.clock.now()).as_second();
        request.headers_mut().insert("x-signed-at", time.into());
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_costs_one_more_attempt() {
    let theirs: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    for off in [-600, 600] {
        let clock = Clock::virtual_from(theirs + SignedDuration::from_secs(off));
        let skew = Arc::new(Skew::default());
        let signer = Signer { clock: clock.clone(), skew: skew.clone() };
        let strict: fn(&Request<Bytes>) -> bool = |request| {
            let time: i64 = request.headers()["x-signed-at"].to_str().unwrap().parse().unwrap();
            (time - "2026-11-20T12:00:00Z".parse::<Timestamp>().unwrap().as_second()).abs() <= 5
        };
        let server: Reply = Box::new(move |request| {
            let status = if strict(request) { 200 } else { 401 };
            let response = Response::builder().status(status).header("date", "Fri, 20 Nov 2026 12:00:00 GMT");
            Ok(response.body(Payload::Whole(Bytes::from_static(b"1"))).unwrap())
        });
        let transport = Scripted::new([server]);
        let caller = builder(transport.clone()).clock(clock).skew(skew).authorize(Arc::new(signer)).build();
        assert_eq!(caller.call(&ReadThing).await.unwrap(), 1);
        assert_eq!(transport.sent(), 2);
        caller.call(&ReadThing).await.unwrap();
        assert_eq!(transport.sent(), 3, "the correction is remembered");
    }
}

#[tokio::test(start_paused = true)]
async fn the_idempotency_key_is_on_every_attempt() {
    let transport = Scripted::new([reset(true), reset(false), reply(200, &[], "1")]);
    let caller = builder(transport.clone()).key_header("idempotency-key".parse().unwrap()).build();
    let request = Req::post(&base()).path(["things"]).json(&1).build().unwrap();
    caller.exchange(&WRITE, Some(IdempotencyKey::new("order-1").unwrap()), request).await.unwrap();
    assert_eq!(transport.sent(), 3);
    for index in 0..3 {
        assert_eq!(transport.header(index, "idempotency-key"), "order-1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_sent_whole_on_each_attempt_or_not_again() {
    let whole = || BodyStream::new(Chunks(VecDeque::from(["ab", "cd"])), Some(4));
    for (body, attempts) in [(Body::from("abcd"), 3), (Body::replay(whole), 3), (Body::Once(whole()), 1)] {
        let transport = Scripted::new([reset(true)]);
        let request = Req::post(&base()).path(["things"]).body(body).build().unwrap();
        let e = builder(transport.clone()).build().exchange(&WRITE, None, request).await.unwrap_err();
        assert_eq!((transport.sent(), e.effect()), (attempts, Effect::Unknown));
        assert!(transport.seen.lock().unwrap().iter().all(|r| r.body() == "abcd"));
        assert_eq!(e.hint().is_some(), attempts == 1);
    }
}

/// A stream of the given chunks.
struct Chunks(VecDeque<&'static str>);

impl futures_core::Stream for Chunks {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop_front().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))))
    }
}

/// A body that gives one chunk and then nothing, for ever.
struct Stalls(bool);

impl futures_core::Stream for Stalls {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        if std::mem::replace(&mut self.0, true) {
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(Some(Ok(Bytes::from_static(b"1"))))
    }
}

fn stalling() -> Reply {
    Box::new(|_| Ok(Response::new(Payload::Stream(BodyStream::new(Stalls(false), None)))))
}

#[tokio::test(start_paused = true)]
async fn answers_have_a_size_limit_and_an_idle_limit() {
    let long = "9".repeat(65).leak();
    let streamed: Reply = Box::new(|_| {
        let chunks = Chunks(std::iter::repeat_n("99999999", 9).collect());
        Ok(Response::new(Payload::Stream(BodyStream::new(chunks, None))))
    });
    for script in [reply(200, &[], long), streamed] {
        let e = builder(Scripted::new([script])).build().call(&ReadThing).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Decode);
        assert!(e.to_string().contains("larger than 64 bytes"), "{e}");
    }
    let mut policy = Policy::default();
    policy.idle_timeout = Duration::from_secs(3);
    policy.retry.max_attempts = 1;
    let pipeline = Stages::new().pipeline(Scope::new("acme", "demo_main"), policy).unwrap();
    let caller = Caller::builder(base(), Scripted::new([stalling()]), pipeline).build();
    let start = Instant::now();
    let e = caller.call(&ReadThing).await.unwrap_err();
    assert_eq!((e.kind(), e.effect()), (ErrorKind::Timeout, Effect::Unknown));
    assert!(start.elapsed() <= Duration::from_millis(3_002));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_the_service_quotes_is_not_in_the_error() {
    struct Quoting;
    impl Classify for Quoting {
        fn classify(&self, _: &'static Op, response: &WireResponse) -> Option<Error> {
            let text = response.text().unwrap_or_default();
            Some(Error::new(ErrorKind::Unauthenticated, Effect::Rejected, text).with_code(text))
        }
    }
    let quoting: fn() -> Reply = || {
        Box::new(|request| {
            let sent = request.headers()["x-api-key"].clone();
            let body = Payload::Whole(Bytes::copy_from_slice(sent.as_bytes()));
            Ok(Response::builder().status(401).header("x-request-id", sent).body(body).unwrap())
        })
    };
    let caller = builder(Scripted::new([quoting()])).classify(Arc::new(Quoting)).build();
    let request = || {
        Req::get(&base())
            .header(http::HeaderName::from_static("x-api-key"), Some("key-hunter2"))
            .build()
            .unwrap()
    };
    let whole = caller.exchange(&READ, None, request()).await.unwrap_err();
    let stream = caller.stream(&READ, None, request()).await.unwrap_err();
    for e in [whole, stream] {
        assert_eq!((e.message(), e.code(), e.request_id()), ("***", Some("***"), Some("***")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_the_attempt_timeout_but_not_a_gap() {
    let caller = builder(Scripted::new([stalling()])).build();
    let request = Req::get(&base()).path(["things", "1"]).build().unwrap();
    let mut answer = caller.stream(&READ, None, request).await.unwrap();
    assert_eq!(answer.body.chunk().await.unwrap().unwrap(), "1");
    sleep(Duration::from_secs(12)).await;
    let start = Instant::now();
    let cause = answer.body.chunk().await.unwrap().unwrap_err();
    assert!(cause.to_string().contains("no data"), "{cause}");
    assert!(start.elapsed() <= Duration::from_millis(15_002));
    assert!(answer.body.chunk().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_refused_is_retried_and_explained() {
    let transport = Scripted::new([reply(500, &[], "x"), reply(200, &[], "abc")]);
    let request = Req::get(&base()).path(["things", "1"]).build().unwrap();
    let mut answer = builder(transport.clone()).build().stream(&READ, None, request).await.unwrap();
    assert_eq!((answer.status, transport.sent()), (StatusCode::OK, 2));
    assert_eq!(answer.body.chunk().await.unwrap().unwrap(), "abc");
}

#[cfg(feature = "cache")]
mod cache {
    use super::*;
    use integrations_core::cache::{MemoryStore, ReadCache};

    static CACHED: Op = Op::new("demo", "cached", Safety::Read).http("GET", "/things/{id}").cached();

    struct Setting {
        transport: Arc<Scripted>,
        cache: ReadCache,
        stages: Arc<Stages>,
    }

    impl Setting {
        fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
            let clock = Clock::virtual_from("2026-11-20T12:00:00Z".parse().unwrap());
            let cache = ReadCache::new(MemoryStore::new(1 << 20), clock, Duration::from_secs(300));
            Self { transport: Scripted::new(replies), cache, stages: Stages::new() }
        }

        fn caller(&self, tenant: &str, credential: &str) -> Caller {
            let mut policy = Policy::default();
            policy.retry.max_attempts = 1;
            let scope = Scope::new(tenant, "demo_main").with_credential(credential);
            let pipeline = self.stages.pipeline(scope, policy).unwrap();
            Caller::builder(base(), self.transport.clone(), pipeline).cache(self.cache.clone()).build()
        }
    }

    async fn get(caller: &Caller) -> Result<WireResponse> {
        caller.exchange(&CACHED, None, Req::get(&base()).path(["things", "1"]).build()?).await
    }

    #[tokio::test(start_paused = true)]
    async fn fresh_answers_cost_no_call_and_stale_ones_are_revalidated() {
        let setting = Setting::new([
            reply(200, &[("cache-control", "private, max-age=60"), ("etag", "\"v1\"")], "1"),
            reply(304, &[("cache-control", "private, max-age=60"), ("etag", "\"v1\"")], ""),
            reply(200, &[("cache-control", "private, max-age=60"), ("etag", "\"v2\"")], "2"),
        ]);
        let caller = setting.caller("acme", "");
        let mut bodies = Vec::new();
        for _ in 0..9 {
            let response = get(&caller).await.unwrap();
            bodies.push((response.body.clone(), response.header("cache-status").unwrap().to_owned()));
            sleep(Duration::from_secs(25)).await;
        }
        let bodies: Vec<_> =
            bodies.iter().map(|(b, s)| format!("{} {s}", String::from_utf8_lossy(b))).collect();
        assert_eq!(bodies[0], "1 integrations; fwd=miss");
        assert_eq!(bodies[1..3], ["1 integrations; hit", "1 integrations; hit"]);
        assert_eq!(bodies[3], "1 integrations; fwd=stale; fwd-status=304");
        assert_eq!(bodies[6], "2 integrations; fwd=miss");
        assert_eq!(setting.transport.sent(), 3);
        assert_eq!(setting.transport.header(1, "if-none-match"), "\"v1\"");
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_crosses_from_one_user_to_another() {
        let setting = Setting::new([reply(200, &[("cache-control", "max-age=60")], "1")]);
        for (tenant, credential) in
            [("a", ""), ("b", ""), ("a", "user-1"), ("a", "user-2"), ("a\u{0}", "user-1")]
        {
            let before = setting.transport.sent();
            get(&setting.caller(tenant, credential)).await.unwrap();
            assert_eq!(setting.transport.sent(), before + 1, "{tenant} {credential}");
            get(&setting.caller(tenant, credential)).await.unwrap();
            assert_eq!(setting.transport.sent(), before + 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn equal_calls_at_the_same_time_become_one_even_if_the_first_is_dropped() {
        struct Slow(AtomicU32);
        #[async_trait]
        impl Transport for Slow {
            async fn send(&self, _: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
                self.0.fetch_add(1, SeqCst);
                sleep(Duration::from_millis(100)).await;
                Ok(Response::new(Payload::Whole(Bytes::from_static(b"1"))))
            }
        }
        let setting = Setting::new([reset(true)]);
        let transport = Arc::new(Slow(AtomicU32::new(0)));
        let pipeline = setting.stages.pipeline(Scope::new("acme", "demo_main"), Policy::default()).unwrap();
        let caller =
            Caller::builder(base(), transport.clone(), pipeline).cache(setting.cache.clone()).build();
        let spawn = || {
            let caller = caller.clone();
            tokio::spawn(async move { get(&caller).await })
        };
        let first = spawn();
        tokio::task::yield_now().await;
        let others: Vec<_> = (0..20).map(|_| spawn()).collect();
        sleep(Duration::from_millis(50)).await;
        first.abort();
        for other in others {
            assert_eq!(other.await.unwrap().unwrap().body, "1");
        }
        assert_eq!(transport.0.load(SeqCst), 2, "the dropped one and one for all others");
        get(&caller).await.unwrap();
        assert_eq!(transport.0.load(SeqCst), 3, "an answer without freshness is not kept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_answer_stands_in_while_the_service_is_down() {
        for (control, allowed) in [
            ("max-age=60", true),
            ("max-age=60, stale-if-error=600", true),
            ("max-age=60, stale-if-error=5", false),
            ("max-age=60, must-revalidate", false),
        ] {
            let headers = Box::leak(Box::new([("cache-control", control)]));
            let setting = Setting::new([reply(200, headers, "1"), reply(503, &[], "")]);
            let caller = setting.caller("acme", "");
            get(&caller).await.unwrap();
            sleep(Duration::from_secs(90)).await;
            let answer = get(&caller).await;
            assert_eq!(answer.is_ok(), allowed, "{control}");
            if let Ok(answer) = answer {
                assert_eq!(answer.header("cache-status"), Some("integrations; hit; detail=stale-if-error"));
            }
        }
        let setting =
            Setting::new([reply(200, &[("cache-control", "max-age=60")], "1"), reply(404, &[], "")]);
        let caller = setting.caller("acme", "");
        get(&caller).await.unwrap();
        sleep(Duration::from_secs(90)).await;
        assert_eq!(get(&caller).await.unwrap_err().kind(), ErrorKind::NotFound, "a verdict is not overruled");
    }
}
