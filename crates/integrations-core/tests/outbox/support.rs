//! A scripted receiver that verifies as the specification says, a clock set by hand, and both stores.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::{hmac, signature};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use integrations_core::outbox::{
    Delivery, Endpoint, EndpointSettings, EventId, MemoryOutbox, NewEvent, Notice, Outbox, OutboxBuilder,
    OutboxStore, SigningScheme, SqliteOutbox, State,
};
use integrations_core::store::Store;
use integrations_core::{
    Body, BodyStream, Clock, Exchange, Payload, Transport, TransportError, TransportFailure,
};
use jiff::Timestamp;
use tokio::sync::Notify;

pub(crate) const TENANT: &str = "acme";
pub(crate) const START: i64 = 1_800_000_000;

/// Wall time that moves when it is told to.
#[derive(Clone)]
pub(crate) struct Hand(Arc<AtomicI64>);

impl integrations_core::WallClock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16),
    After(u16, String),
    Fail(TransportFailure, bool),
    Huge(usize),
    Hang,
    Slow(Duration),
    /// The status after this time, and a body that never comes.
    Drip(Duration),
}

/// A body that never comes.
struct Never;

impl futures_core::Stream for Never {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Pending
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) host: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn id(&self) -> EventId {
        EventId::from(self.header("webhook-id"))
    }

    pub(crate) fn number(&self) -> i64 {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        body["data"]["n"].as_i64().unwrap()
    }

    /// Written from the specification, not from the sender: any signature of the list that this key makes.
    pub(crate) fn verifies(&self, key: &str) -> bool {
        let content = [self.header("webhook-id"), ".", self.header("webhook-timestamp"), "."].concat();
        let content = [content.as_bytes(), &self.body].concat();
        self.header("webhook-signature").split(' ').any(|one| {
            let (version, value) = one.split_once(',').unwrap();
            let value = STANDARD.decode(value).unwrap();
            match (version, key.split_once('_').unwrap()) {
                ("v1", ("whsec", key)) => {
                    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(key).unwrap());
                    hmac::verify(&key, &content, &value).is_ok()
                }
                ("v1a", ("whpk", key)) => {
                    let key = STANDARD.decode(key).unwrap();
                    signature::UnparsedPublicKey::new(&signature::ED25519, key)
                        .verify(&content, &value)
                        .is_ok()
                }
                _ => false,
            }
        })
    }
}

/// Answers each host's requests from its script, then 200.
#[derive(Default)]
pub(crate) struct Receiver {
    script: Mutex<HashMap<String, VecDeque<Reply>>>,
    forever: Mutex<HashMap<String, Reply>>,
    got: Mutex<Vec<Got>>,
    pub(crate) arrived: Notify,
}

impl Receiver {
    pub(crate) fn answers(&self, host: &str, replies: impl IntoIterator<Item = Reply>) {
        self.script.lock().unwrap().entry(host.into()).or_default().extend(replies);
    }

    pub(crate) fn always(&self, host: &str, reply: Reply) {
        self.forever.lock().unwrap().insert(host.into(), reply);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    pub(crate) fn numbers(&self, host: &str) -> Vec<i64> {
        self.got().iter().filter(|got| got.host == host).map(Got::number).collect()
    }

    fn reply(&self, host: &str) -> Reply {
        let scripted = self.script.lock().unwrap().get_mut(host).and_then(VecDeque::pop_front);
        let forever = || self.forever.lock().unwrap().get(host).cloned();
        scripted.or_else(forever).unwrap_or(Reply::Status(200))
    }
}

#[async_trait]
impl Transport for Receiver {
    async fn send(&self, request: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        let (parts, body) = request.into_parts();
        let host = parts.uri.host().unwrap().to_owned();
        let body = Bytes::copy_from_slice(body.as_bytes().unwrap());
        self.got.lock().unwrap().push(Got { host: host.clone(), headers: parts.headers, body });
        self.arrived.notify_one();
        let mut answer = Response::builder();
        let mut content = Bytes::from_static(b"thanks");
        match self.reply(&host) {
            Reply::Status(status) => answer = answer.status(status),
            Reply::After(status, after) => answer = answer.status(status).header("retry-after", after),
            Reply::Fail(failure, sent) => return Err(TransportError::new(failure, sent, "scripted")),
            Reply::Huge(size) => content = vec![b'x'; size].into(),
            Reply::Hang => std::future::pending().await,
            Reply::Slow(time) => tokio::time::sleep(time).await,
            Reply::Drip(time) => {
                tokio::time::sleep(time).await;
                return Ok(Response::new(Payload::Stream(BodyStream::new(Never, None))));
            }
        }
        Ok(answer.body(content.into()).unwrap())
    }
}

pub(crate) struct Bench {
    pub(crate) hand: Hand,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) store: Arc<dyn OutboxStore>,
    pub(crate) outbox: Outbox,
    pub(crate) notices: Arc<Mutex<Vec<Notice>>>,
}

impl Bench {
    pub(crate) fn memory() -> Self {
        Self::over(Arc::new(MemoryOutbox::new()))
    }

    pub(crate) async fn sqlite() -> Self {
        let store = Store::in_memory().await.unwrap();
        Self::over(Arc::new(SqliteOutbox::builder(store).allow_plain_secrets().open().await.unwrap()))
    }

    pub(crate) fn over(store: Arc<dyn OutboxStore>) -> Self {
        let hand = Hand(Arc::new(AtomicI64::new(START * 1000)));
        Self::with(store, hand.clone(), Clock::new(hand))
    }

    /// Wall time moves with the runtime's.
    pub(crate) fn virtual_time() -> Self {
        let clock = Clock::virtual_from(Timestamp::from_second(START).unwrap());
        Self::with(Arc::new(MemoryOutbox::new()), Hand(Arc::new(AtomicI64::new(0))), clock)
    }

    fn with(store: Arc<dyn OutboxStore>, hand: Hand, clock: Clock) -> Self {
        let receiver = Arc::new(Receiver::default());
        let notices = Arc::new(Mutex::new(Vec::new()));
        let heard = notices.clone();
        let outbox = Self::builder(&store, &receiver)
            .clock(clock)
            .on_notice(move |_, notice| heard.lock().unwrap().push(notice.clone()))
            .build()
            .unwrap();
        Self { hand, receiver, store, outbox, notices }
    }

    fn builder(store: &Arc<dyn OutboxStore>, receiver: &Arc<Receiver>) -> OutboxBuilder {
        Outbox::builder(store.clone(), receiver.clone())
            .allow_any_address()
            .jitter(|| 0.0)
            .poll_every(Duration::from_secs(60))
    }

    pub(crate) async fn endpoint(&self, host: &str) -> Endpoint {
        self.endpoint_with(EndpointSettings::new(format!("https://{host}/in")).limits(1000, 64)).await
    }

    pub(crate) async fn endpoint_with(&self, settings: EndpointSettings) -> Endpoint {
        self.outbox.create_endpoint(TENANT, settings, SigningScheme::Hmac).await.unwrap()
    }

    pub(crate) async fn publish(&self, n: i64) -> EventId {
        self.publish_in(n, "").await
    }

    pub(crate) async fn publish_in(&self, n: i64, partition: &str) -> EventId {
        let event = NewEvent::new("thing.made", &serde_json::json!({ "n": n })).unwrap().partition(partition);
        self.outbox.publish(TENANT, event).await.unwrap()
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.hand.0.fetch_add(time.as_millis() as i64, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Timestamp {
        integrations_core::WallClock::now(&self.hand)
    }

    /// Goes to the moment at which something is due. Whether there is one.
    pub(crate) async fn pass_to_next(&self) -> bool {
        let Some(next) = self.store.next_wake().await.unwrap() else { return false };
        self.hand.0.fetch_max(next.as_millisecond(), Ordering::SeqCst);
        true
    }

    pub(crate) async fn deliver(&self) -> u64 {
        self.outbox.deliver_due().await.unwrap()
    }

    pub(crate) async fn delivery(&self, endpoint: &Endpoint, event: &EventId) -> Delivery {
        self.outbox.delivery(TENANT, &endpoint.id, event).await.unwrap().unwrap()
    }

    pub(crate) async fn state(&self, endpoint: &Endpoint, event: &EventId) -> State {
        self.delivery(endpoint, event).await.state
    }

    pub(crate) async fn reload(&self, endpoint: &Endpoint) -> Endpoint {
        self.outbox.endpoint(TENANT, &endpoint.id).await.unwrap()
    }

    pub(crate) fn notices(&self) -> Vec<Notice> {
        self.notices.lock().unwrap().clone()
    }
}

pub(crate) fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

/// Each case over both stores.
macro_rules! on_both_stores {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $case() { super::$case(crate::support::Bench::memory()).await; })*
        }
        mod sqlite {
            $(#[tokio::test] async fn $case() { super::$case(crate::support::Bench::sqlite().await).await; })*
        }
    };
}
pub(crate) use on_both_stores;
