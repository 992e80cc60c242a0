//! Webhooks from the request to the handler, with real kits, over both stores; and our own outbox as their sender.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, Uri};
use integrations_core::inbox::{
    Applied, Delivery, Handler, Inbox, InboxStore, MemoryInbox, Source, SqliteInbox,
};
use integrations_core::outbox::{
    EndpointSettings, MemoryOutbox, NewEvent, Outbox, SigningKey, SigningScheme,
};
use integrations_core::store::Store;
use integrations_core::webhook::handshake::Challenge;
use integrations_core::webhook::{
    Decoding, Encoding, Event, Grammar, Hmac, Incoming, Key, KeyRing, Kit, Place, Receipt, Scheme, Stamp,
    StandardWebhooks, Token, Verified, Webhook, WebhookError,
};
use integrations_core::{
    Body, Clock, Effect, Error, ErrorKind, Exchange, Payload, Transport, TransportError, WallClock,
};
use jiff::Timestamp;
use serde_json::Value;

const NOW: i64 = 1_700_000_000;
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const SLACK: Hmac = Hmac::sha256(
    Scheme::new(
        Place::Header("x-slack-signature"),
        &[Token::Text("v0:"), Token::Timestamp, Token::Text(":"), Token::Body],
    )
    .grammar(Grammar::Prefixed("v0="))
    .encoding(Encoding::Hex)
    .stamp(Stamp::seconds(Place::Header("x-slack-request-timestamp"))),
);

/// A vendor made of a kit and, perhaps, a challenge. The id is in the body, or in a header that is signed.
struct Vendor {
    kit: &'static dyn Kit,
    challenge: Option<Challenge>,
}

const STANDARD_VENDOR: Vendor = Vendor { kit: &StandardWebhooks, challenge: None };
const SLACK_VENDOR: Vendor = Vendor { kit: &SLACK, challenge: Some(Challenge::SLACK) };

impl Webhook for Vendor {
    fn receive<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Receipt<'a>, WebhookError> {
        let verified = self.kit.verify(request, keys)?;
        let answer = self.challenge.map(|challenge| challenge.answer(&verified, keys)).transpose()?.flatten();
        Ok(answer.map_or(Receipt::Delivery(verified), Receipt::Handshake))
    }

    fn events(&self, delivery: &Verified<'_>) -> integrations_core::Result<Vec<Event>> {
        let unreadable = || Error::new(ErrorKind::Decode, Effect::NotSent, "not an event");
        let body: Value = serde_json::from_slice(delivery.body()).map_err(|_| unreadable())?;
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let id = delivery.id().map(str::to_owned).or(text("event_id")).ok_or_else(unreadable)?;
        let kind = text("type").ok_or_else(unreadable)?;
        let event = Event::new(delivery, id, kind, delivery.body().to_vec());
        Ok(vec![match body["live"].as_bool() {
            Some(live) => event.live(live),
            None => event,
        }])
    }
}

/// A request that owns its parts.
#[derive(Clone)]
struct Sent {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Sent {
    fn new(body: &str, headers: &[(&'static str, &str)]) -> Self {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        Self { headers: headers.collect(), body: body.into() }
    }

    /// Signed as the specification says.
    fn standard(id: &str, second: i64, body: &str) -> Self {
        let key = STANDARD.decode(&SECRET[6..]).unwrap();
        let signature = STANDARD.encode(mac(&key, &format!("{id}.{second}.{body}")));
        let headers = [
            ("webhook-id", id),
            ("webhook-timestamp", &*second.to_string()),
            ("webhook-signature", &*format!("v1,{signature}")),
        ];
        Self::new(body, &headers)
    }

    /// Signed as Slack's page says.
    fn slack(_: &str, second: i64, body: &str) -> Self {
        let tag = mac(SECRET.as_bytes(), &format!("v0:{second}:{body}"));
        let hex = tag.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let headers = [
            ("x-slack-request-timestamp", &*second.to_string()),
            ("x-slack-signature", &*format!("v0={hex}")),
        ];
        Self::new(body, &headers)
    }

    fn changed(mut self, at: usize) -> Self {
        self.body[at] ^= 1;
        self
    }

    async fn to(
        &self,
        inbox: &Inbox,
        vendor: &Vendor,
        ring: &KeyRing,
        source: &Source,
    ) -> (u16, bool, Bytes) {
        let request = Incoming {
            method: &Method::POST,
            uri: &Uri::from_static("https://example.com/hook"),
            headers: &self.headers,
            body: &self.body,
            received: Timestamp::from_second(NOW).unwrap(),
        };
        let answer = inbox.receive(source, vendor, &request, ring).await;
        (answer.status().as_u16(), answer.headers().contains_key("retry-after"), answer.into_body())
    }
}

fn mac(key: &[u8], message: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes())
}

/// Notes the ids it is given.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

#[async_trait]
impl Handler for Notes {
    async fn handle(&self, delivery: &Delivery) -> integrations_core::Result<Applied> {
        self.0.lock().unwrap().push(delivery.event_id.clone());
        Ok(Applied::done())
    }
}

/// The ids of what was handled until nothing waits.
async fn handled(inbox: &Inbox) -> Vec<String> {
    let notes = Arc::new(Notes::default());
    let idle = async {
        loop {
            let counts = inbox.counts().await.unwrap();
            if counts.waiting + counts.leased == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    inbox.run(notes.clone(), idle).await.unwrap();
    let ids = notes.0.lock().unwrap();
    ids.clone()
}

fn source() -> Source {
    Source::new("tenant", "vendor", "endpoint").live(true)
}

fn empty(status: u16) -> (u16, bool, Bytes) {
    (status, false, Bytes::new())
}

type Sign = fn(&str, i64, &str) -> Sent;

async fn one_vendor(store: impl InboxStore + 'static, vendor: Vendor, decoding: Decoding, sign: Sign) {
    let inbox = Inbox::builder(store).build();
    let ring = KeyRing::new(Key::secret("present", SECRET.into(), decoding).unwrap());
    let body = |id: &str| format!(r#"{{"type":"thing.made","event_id":"{id}"}}"#);
    let good = sign("evt_1", NOW, &body("evt_1"));
    let answer = async |sent: &Sent| sent.to(&inbox, &vendor, &ring, &source()).await;

    // Whoever guesses the id does not burn it, however the forgery fails.
    let other = Key::secret("other", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(), decoding).unwrap();
    assert_eq!(good.to(&inbox, &vendor, &KeyRing::new(other), &source()).await, empty(401));
    for at in 0..good.body.len() {
        assert_eq!(answer(&good.clone().changed(at)).await, empty(401), "bit of byte {at}");
    }
    for (second, status) in [(-301, 401), (-300, 200), (300, 200), (301, 401)] {
        let id = format!("at{second}");
        assert_eq!(answer(&sign(&id, NOW + second, &body(&id))).await, empty(status), "{second}");
    }
    for extreme in ["9223372036854775807", "-9223372036854775808", "99999999999999999999", "-1", ""] {
        let mut sent = good.clone();
        let stamp = sent.headers.keys().find(|name| name.as_str().ends_with("timestamp")).unwrap().clone();
        sent.headers.insert(stamp, extreme.parse().unwrap());
        assert_eq!(answer(&sent).await, empty(401), "{extreme}");
    }
    let twice = |name: &http::HeaderName| {
        let mut sent = good.clone();
        sent.headers.append(name, sent.headers[name].clone());
        sent
    };
    for name in good.headers.keys() {
        assert_eq!(answer(&twice(name)).await, empty(401), "{name} twice");
        let mut sent = good.clone();
        sent.headers.remove(name);
        assert_eq!(answer(&sent).await, empty(401), "no {name}");
    }
    assert_eq!(inbox.counts().await.unwrap().waiting, 2, "nothing of a forgery is kept");

    assert_eq!(answer(&good).await, empty(200));
    assert_eq!(answer(&good).await, empty(200));
    let mut ids = handled(&inbox).await;
    ids.sort();
    assert_eq!(ids, ["at-300", "at300", "evt_1"]);
    assert_eq!(answer(&good).await, empty(200), "also after it was applied");
    assert_eq!(handled(&inbox).await, [""; 0]);

    assert_eq!(answer(&sign("evt_2", NOW, "not JSON")).await, empty(400));
    assert_eq!(answer(&sign("evt_2", NOW, "")).await, empty(400));
    let test_mode = r#"{"type":"thing.made","event_id":"evt_3","live":false}"#;
    assert_eq!(answer(&sign("evt_3", NOW, test_mode)).await, empty(200));
    assert_eq!(handled(&inbox).await, [""; 0], "of the other mode");
}

#[tokio::test]
async fn standard_webhooks_in_memory() {
    one_vendor(MemoryInbox::new(), STANDARD_VENDOR, Decoding::StandardWebhooks, Sent::standard).await;
}

#[tokio::test]
async fn standard_webhooks_in_sqlite() {
    let store = SqliteInbox::new(Store::in_memory().await.unwrap()).await.unwrap();
    one_vendor(store, STANDARD_VENDOR, Decoding::StandardWebhooks, Sent::standard).await;
}

#[tokio::test]
async fn slack_in_memory() {
    one_vendor(MemoryInbox::new(), SLACK_VENDOR, Decoding::Utf8, Sent::slack).await;
}

#[tokio::test]
async fn slack_in_sqlite() {
    let store = SqliteInbox::new(Store::in_memory().await.unwrap()).await.unwrap();
    one_vendor(store, SLACK_VENDOR, Decoding::Utf8, Sent::slack).await;
}

#[tokio::test]
async fn a_handshake_is_answered_when_it_is_signed() {
    let inbox = Inbox::builder(MemoryInbox::new()).build();
    let ring = KeyRing::new(Key::secret("present", SECRET.into(), Decoding::Utf8).unwrap());
    let question = Sent::slack("", NOW, r#"{"type":"url_verification","challenge":"3eZbrw1aB"}"#);
    let answer = question.to(&inbox, &SLACK_VENDOR, &ring, &source()).await;
    assert_eq!(answer, (200, false, Bytes::from_static(b"3eZbrw1aB")));
    assert_eq!(question.changed(3).to(&inbox, &SLACK_VENDOR, &ring, &source()).await, empty(401));
    assert_eq!(inbox.counts().await.unwrap().waiting, 0);
}

#[tokio::test]
async fn a_store_that_is_down_or_a_ring_without_a_key_asks_to_come_again() {
    let store = Store::in_memory().await.unwrap();
    let inbox = Inbox::builder(SqliteInbox::new(store.clone()).await.unwrap()).build();
    let ring = KeyRing::new(Key::secret("present", SECRET.into(), Decoding::Utf8).unwrap());
    let sent = Sent::slack("", NOW, r#"{"type":"thing.made","event_id":"evt_1"}"#);
    let again = (503, true, Bytes::new());
    assert_eq!(sent.to(&inbox, &SLACK_VENDOR, &KeyRing::unsigned(), &source()).await, again);
    store.close().await.unwrap();
    assert_eq!(sent.to(&inbox, &SLACK_VENDOR, &ring, &source()).await, again);
}

/// Wall time that stands.
struct Fixed;

impl WallClock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }
}

/// A receiver whose address leads to our own inbox.
struct Own {
    inbox: Inbox,
    ring: Mutex<KeyRing>,
    seen: Mutex<Vec<String>>,
}

#[async_trait]
impl Transport for Own {
    async fn send(&self, request: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        let (parts, body) = request.into_parts();
        let signature = parts.headers["webhook-signature"].to_str().unwrap().to_owned();
        self.seen.lock().unwrap().push(signature);
        let sent = Sent { headers: parts.headers, body: body.as_bytes().unwrap().to_vec() };
        let ring = self.ring.lock().unwrap().clone();
        let (status, _, body) = sent.to(&self.inbox, &STANDARD_VENDOR, &ring, &source()).await;
        Ok(Response::builder().status(status).body(body.into()).unwrap())
    }
}

fn receivers_key(key: &SigningKey) -> Key {
    match key.public() {
        Some(public) => Key::ed25519("public", &public).unwrap(),
        None => Key::secret("shared", key.reveal(), Decoding::StandardWebhooks).unwrap(),
    }
}

/// The receiver learns of a new key before, while and after the sender rotates it; what it knows of is accepted.
async fn our_inbox_accepts_our_outbox(scheme: SigningScheme, version: &str) {
    let inbox = Inbox::builder(MemoryInbox::new()).build();
    let first = SigningKey::generate(scheme).unwrap();
    let ring = Mutex::new(KeyRing::new(receivers_key(&first)));
    let own = Arc::new(Own { inbox: inbox.clone(), ring, seen: Mutex::default() });
    let outbox = Outbox::builder(Arc::new(MemoryOutbox::new()), own.clone()).allow_any_address();
    let outbox = outbox.clock(Clock::new(Fixed)).build().unwrap();
    let settings = EndpointSettings::new("https://own.example/in").limits(1000, 64);
    let endpoint = outbox.create_endpoint("acme", settings, scheme).await.unwrap();
    // In place of the one it was made with.
    outbox.rotate_key_to("acme", &endpoint.id, first.clone(), Duration::ZERO).await.unwrap();
    let deliver = async |signatures: usize, accepted: bool| {
        let event = NewEvent::new("thing.made", &serde_json::json!({ "name": "ä\n\u{2028}" })).unwrap();
        let event = outbox.publish("acme", event).await.unwrap();
        outbox.deliver_due().await.unwrap();
        let header = own.seen.lock().unwrap().last().unwrap().clone();
        assert_eq!(header.split(' ').filter(|one| one.starts_with(version)).count(), signatures, "{header}");
        let expected = if accepted { vec![event.to_string()] } else { Vec::new() };
        assert_eq!(handled(&inbox).await, expected);
    };
    deliver(1, true).await;

    let second = SigningKey::generate(scheme).unwrap();
    outbox.rotate_key_to("acme", &endpoint.id, second.clone(), Duration::from_secs(60)).await.unwrap();
    deliver(2, true).await;
    *own.ring.lock().unwrap() = KeyRing::new(receivers_key(&second)).with(receivers_key(&first));
    deliver(2, true).await;
    *own.ring.lock().unwrap() = KeyRing::new(receivers_key(&second));
    deliver(2, true).await;

    let third = SigningKey::generate(scheme).unwrap();
    outbox.rotate_key_to("acme", &endpoint.id, third, Duration::ZERO).await.unwrap();
    deliver(1, false).await;
}

#[tokio::test]
async fn our_inbox_accepts_our_outbox_with_v1() {
    our_inbox_accepts_our_outbox(SigningScheme::Hmac, "v1,").await;
}

#[tokio::test]
async fn our_inbox_accepts_our_outbox_with_v1a() {
    our_inbox_accepts_our_outbox(SigningScheme::Ed25519, "v1a,").await;
}
