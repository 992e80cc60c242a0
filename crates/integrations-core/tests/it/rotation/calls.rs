//! Calls with credentials that are replaced.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderName};
use http::{Request, Response, Uri};
use integrations_core::pipeline::{Policy, Scope, Stages};
use integrations_core::{
    Authorize, Basic, Bearer, Body, Caller, CredentialVersion, Endpoint, ErrorKind, Exchange, HeaderKey,
    LiveSecret, Op, Payload, Req, Result, Safety, Transport, TransportError, WireRequest, WireResponse,
};
use tokio::time::sleep;

use super::Store;

static READ: Op = Op::new("gate", "read", Safety::Read).http("GET", "/");

struct Read;

impl Endpoint for Read {
    type Output = u32;
    const OP: &'static Op = &READ;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base).build()
    }

    fn response(&self, response: WireResponse) -> Result<u32> {
        response.json()
    }
}

/// A vendor that accepts some tokens, after some time on the way. It answers with the number of the attempt.
#[derive(Clone, Default)]
struct Gate {
    accepted: Arc<Mutex<Vec<&'static str>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Gate {
    fn accepting(tokens: &[&'static str]) -> Self {
        let gate = Self::default();
        gate.accept(tokens);
        gate
    }

    fn accept(&self, tokens: &[&'static str]) {
        *self.accepted.lock().unwrap() = tokens.to_vec();
    }

    fn caller(&self, token: LiveSecret) -> Caller {
        let pipeline = Stages::new().pipeline(Scope::new("", "gate"), Policy::default()).unwrap();
        let base = Uri::from_static("https://gate.example");
        Caller::builder(base, Arc::new(self.clone()), pipeline)
            .authorize(Arc::new(Bearer::new(token)))
            .build()
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

#[async_trait]
impl Transport for Gate {
    async fn send(
        &self,
        request: Request<Body>,
        exchange: Exchange,
    ) -> Result<Response<Payload>, TransportError> {
        sleep(Duration::from_millis(10)).await;
        let token =
            request.headers()[AUTHORIZATION].to_str().unwrap().trim_start_matches("Bearer ").to_owned();
        let good = self.accepted.lock().unwrap().contains(&token.as_str());
        self.seen.lock().unwrap().push(token);
        let status = if good { 200 } else { 401 };
        Ok(Response::builder()
            .status(status)
            .body(Payload::Whole(exchange.attempt.to_string().into()))
            .unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_reads_the_key_anew_and_is_made_once_more() {
    let (gate, store) = (Gate::accepting(&["a"]), Store::holding("a"));
    let caller = gate.caller(store.watched());
    assert_eq!(caller.call(&Read).await.unwrap(), 1);
    gate.accept(&["b"]);
    store.hold("b");
    assert_eq!(caller.call(&Read).await.unwrap(), 2);
    assert_eq!(caller.call(&Read).await.unwrap(), 1);
    assert_eq!(gate.seen(), ["a", "a", "b", "b"]);

    // The naive way: a key that is read once.
    let caller = gate.caller(LiveSecret::from("a"));
    let error = caller.call(&Read).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unauthenticated, 1));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_in_flight_share_one_read() {
    let (gate, store) = (Gate::accepting(&["b"]), Store::holding("a"));
    let caller = gate.caller(store.watched());
    store.hold("b");
    store.takes(Duration::from_millis(20));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let caller = caller.clone();
        calls.spawn(async move { caller.call(&Read).await.unwrap() });
    }
    assert!(calls.join_all().await.into_iter().all(|attempts| attempts == 2));
    assert_eq!(store.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_ahead_of_the_vendor_costs_one_more_attempt_at_each_end() {
    let (gate, store) = (Gate::accepting(&["a"]), Store::holding("a"));
    let key = store.watched();
    let caller = gate.caller(key.clone());
    key.set("b").unwrap();
    store.hold("b");
    let attempts = async || caller.call(&Read).await.unwrap();
    assert_eq!([attempts().await, attempts().await, attempts().await], [2, 1, 1]);
    gate.accept(&["b"]);
    assert_eq!([attempts().await, attempts().await, attempts().await], [2, 1, 1]);
    assert_eq!(gate.seen(), ["b", "a", "a", "a", "a", "b", "b", "b"]);
}

#[tokio::test(start_paused = true)]
async fn when_no_key_is_accepted_each_call_is_made_once() {
    let (gate, store) = (Gate::accepting(&[]), Store::holding("a"));
    let key = store.watched();
    let caller = gate.caller(key.clone());
    store.hold("b");
    let mut attempts = Vec::new();
    for _ in 0..6 {
        let error = caller.call(&Read).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        attempts.push(error.attempts());
    }
    // a and b; b and a; a and b; then b alone.
    assert_eq!(attempts, [2, 2, 2, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn each_way_puts_a_sensitive_header_and_its_version() {
    let basic = Basic::new("Aladdin", "open sesame").unwrap();
    let ways: [(Box<dyn Authorize>, &str, &str); 4] = [
        (Box::new(Bearer::new("t-1")), "authorization", "Bearer t-1"),
        (Box::new(Bearer::new("t-1").scheme("token")), "authorization", "token t-1"),
        (Box::new(HeaderKey::new(HeaderName::from_static("x-api-key"), "k-1")), "x-api-key", "k-1"),
        // RFC 7617 section 2.
        (Box::new(basic), "authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
    ];
    for (way, header, expected) in ways {
        let mut request = Req::get(&Uri::from_static("https://x.example")).build().unwrap();
        way.authorize(&mut request).await.unwrap();
        let value = &request.headers()[header];
        assert!(value == expected && value.is_sensitive(), "{value:?}");
        let used = request.extensions().get::<CredentialVersion>().copied();
        assert_eq!(used, Some(CredentialVersion(1)));
        assert!(!way.refresh(used).await.unwrap() && !way.refresh(None).await.unwrap());
        assert!(way.refresh(Some(CredentialVersion(0))).await.unwrap(), "{header}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_header_may_have_is_told_without_the_value() {
    let ways: [Box<dyn Authorize>; 2] = [
        Box::new(Bearer::new("hunter2\n")),
        Box::new(HeaderKey::new(HeaderName::from_static("x-api-key"), "hunter2\u{0}")),
    ];
    for way in ways {
        let mut request = Req::get(&Uri::from_static("https://x.example")).build().unwrap();
        let error = way.authorize(&mut request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
    for user in ["a:b", "a\nb"] {
        assert_eq!(Basic::new(user, "p").unwrap_err().kind(), ErrorKind::Config);
    }
}
