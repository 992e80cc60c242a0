//! Keys that are fetched when a delivery names one that is not known, in virtual time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use integrations_core::webhook::{
    Algorithm, Event, Incoming, Jwt, Key, KeyRing, KeySource, Kit, Place, Receipt, Verified, Webhook,
    WebhookError,
};
use integrations_core::{Body, ErrorKind, Exchange, Payload, Transport, TransportError, TransportFailure};
use tokio::time::{advance, sleep};

use super::Sent;

const KIT: Jwt = Jwt::new(Place::Header("token"), &[Algorithm::Es256]).max_age(Duration::from_secs(300));

struct Hook;

impl Webhook for Hook {
    fn receive<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Receipt<'a>, WebhookError> {
        KIT.verify(request, keys).map(Receipt::Delivery)
    }

    fn events(&self, _: &Verified<'_>) -> integrations_core::Result<Vec<Event>> {
        Ok(Vec::new())
    }
}

/// A key of the vendor.
struct Signing(EcdsaKeyPair, &'static str);

impl Signing {
    fn new(kid: &'static str) -> Self {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap(), kid)
    }

    fn jwk(&self) -> String {
        let point = self.0.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        format!(r#"{{"kty":"EC","crv":"P-256","kid":"{}","x":"{x}","y":"{y}"}}"#, self.1)
    }

    fn deliver(&self) -> Sent {
        let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, self.1);
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(r#"{"iat":1700000000}"#));
        let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        Sent::post("{}").header("token", &format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn set(keys: &[&Signing]) -> Vec<u8> {
    format!(r#"{{"keys":[{}]}}"#, keys.iter().map(|key| key.jwk()).collect::<Vec<_>>().join(",")).into_bytes()
}

type Reply = Result<(u16, Vec<u8>), TransportFailure>;

/// Gives its replies in order, then the last one for ever; takes one second for each.
#[derive(Clone)]
struct Place0 {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<AtomicU32>,
}

impl Place0 {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self { replies: Arc::new(Mutex::new(replies.into_iter().collect())), asked: Arc::default() }
    }

    fn asked(&self) -> u32 {
        self.asked.load(SeqCst)
    }
}

#[async_trait]
impl Transport for Place0 {
    async fn send(&self, _: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        self.asked.fetch_add(1, SeqCst);
        sleep(Duration::from_secs(1)).await;
        let mut replies = self.replies.lock().unwrap();
        let reply = if replies.len() > 1 { replies.pop_front().unwrap() } else { replies[0].clone() };
        let (status, body) = reply.map_err(|failure| TransportError::new(failure, true, "down"))?;
        Ok(Response::builder().status(status).body(Bytes::from(body).into()).unwrap())
    }
}

fn source(place: &Place0) -> KeySource {
    KeySource::builder(place.clone()).jwks("https://keys.example.com/jwks").unwrap()
}

async fn receive(source: &KeySource, sent: &Sent) -> Result<(), WebhookError> {
    source.receive(&Hook, &sent.incoming()).await.map(|_| ())
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_once_and_again_when_one_is_not_known() {
    let (old, new) = (Signing::new("old"), Signing::new("new"));
    let place = Place0::new([Ok((200, set(&[&old]))), Ok((200, set(&[&old, &new])))]);
    let source = source(&place);
    for _ in 0..3 {
        assert_eq!(receive(&source, &old.deliver()).await, Ok(()));
    }
    assert_eq!(place.asked(), 1);
    // Within 30 s of the last fetch an unknown key makes no traffic.
    let unknown = WebhookError::UnknownKey { key: "new".into() };
    advance(Duration::from_secs(28)).await;
    assert_eq!(receive(&source, &new.deliver()).await, Err(unknown));
    assert_eq!(place.asked(), 1);
    advance(Duration::from_secs(2)).await;
    assert_eq!(receive(&source, &new.deliver()).await, Ok(()));
    assert_eq!(receive(&source, &old.deliver()).await, Ok(()));
    assert_eq!(place.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn invented_keys_make_no_more_than_one_fetch_per_30_s() {
    let (known, invented) = (Signing::new("known"), Signing::new("invented"));
    let place = Place0::new([Ok((200, set(&[&known])))]);
    let source = source(&place);
    let start = tokio::time::Instant::now();
    while start.elapsed() < Duration::from_secs(300) {
        assert!(matches!(receive(&source, &invented.deliver()).await, Err(WebhookError::UnknownKey { .. })));
        advance(Duration::from_millis(100)).await;
    }
    assert!(place.asked() <= 11, "{}", place.asked());
}

#[tokio::test(start_paused = true)]
async fn deliveries_at_once_wait_for_one_fetch() {
    let key = Signing::new("k");
    let place = Place0::new([Ok((200, set(&[&key])))]);
    let source = Arc::new(source(&place));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (source, sent) = (source.clone(), key.deliver());
        tasks.spawn(async move { receive(&source, &sent).await });
    }
    assert!(tasks.join_all().await.into_iter().all(|outcome| outcome.is_ok()));
    assert_eq!(place.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn known_keys_stay_in_use_while_their_place_is_down() {
    let (known, new) = (Signing::new("known"), Signing::new("new"));
    let place = Place0::new([
        Ok((200, set(&[&known]))),
        Err(TransportFailure::Connect),
        Ok((500, Vec::new())),
        Ok((200, b"<html>".to_vec())),
        Ok((200, set(&[&new]))),
    ]);
    let source = source(&place);
    assert_eq!(receive(&source, &known.deliver()).await, Ok(()));
    for asked in 2..=4 {
        advance(Duration::from_secs(3601)).await;
        assert_eq!(receive(&source, &known.deliver()).await, Ok(()));
        assert_eq!(place.asked(), asked);
        // The sender may come again: this is our failure, not its own.
        assert!(matches!(receive(&source, &new.deliver()).await, Err(WebhookError::Unavailable(_))));
    }
    advance(Duration::from_secs(3601)).await;
    assert_eq!(receive(&source, &new.deliver()).await, Ok(()));
    // The vendor withdrew it.
    assert!(matches!(receive(&source, &known.deliver()).await, Err(WebhookError::UnknownKey { .. })));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_key_set_is_not_taken_for_one() {
    let key = Signing::new("k");
    let large = [set(&[&key]), vec![b' '; 64 * 1024]].concat();
    for reply in
        [Ok((200, large)), Ok((302, set(&[&key]))), Ok((200, b"{}".to_vec())), Err(TransportFailure::Tls)]
    {
        let place = Place0::new([reply]);
        let refused = receive(&source(&place), &key.deliver()).await.unwrap_err();
        assert!(matches!(refused, WebhookError::Unavailable(_)), "{refused}");
        assert_eq!(integrations_core::Error::from(refused).kind(), ErrorKind::Unavailable);
    }
}

#[test]
fn only_https_and_only_allowed_hosts() {
    let place = Place0::new([Ok((200, Vec::new()))]);
    for address in ["http://keys.example.com/", "keys.example.com", "", "ftp://keys.example.com/"] {
        let refused = KeySource::builder(place.clone()).jwks(address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config, "{address}");
    }
    assert!(KeySource::builder(place).certificates().is_err(), "without hosts and anchors");
}

/// A kit that asks for the certificate at whatever address the delivery names: the source has a list of its own.
#[tokio::test(start_paused = true)]
async fn certificates_are_fetched_from_allowed_hosts_only() {
    struct Asking;
    impl Webhook for Asking {
        fn receive<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Receipt<'a>, WebhookError> {
            let key = request.headers["cert"].to_str().unwrap().to_owned();
            if keys.names().any(|name| name == key) {
                return Err(WebhookError::NoMatch);
            }
            Err(WebhookError::UnknownKey { key })
        }
        fn events(&self, _: &Verified<'_>) -> integrations_core::Result<Vec<Event>> {
            Ok(Vec::new())
        }
    }
    let pem = b"-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n";
    let place = Place0::new([Ok((200, pem.to_vec()))]);
    let base =
        KeyRing::new(Key::secret("any", "any".into(), integrations_core::webhook::Decoding::Utf8).unwrap());
    let source =
        KeySource::builder(place.clone()).keys(base).host("SNS.*.amazonaws.com").certificates().unwrap();
    let receive = async |address: &str| {
        source
            .receive(&Asking, &Sent::post("").header("cert", address).incoming())
            .await
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(receive("https://sns.eu-west-1.amazonaws.com/a.pem").await, WebhookError::NoMatch);
    assert_eq!(place.asked(), 1);
    for address in [
        "http://sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.a.evil.example.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
        "https://169.254.169.254/",
        "https://sns.eu-west-1.amazonaws.com./a.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/a.pem",
        "https://user@sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns..amazonaws.com/a.pem",
        "https://sns.eu_west.amazonaws.com/a.pem",
        "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem",
        "https://evil.example#sns.eu-west-1.amazonaws.com",
    ] {
        assert_eq!(receive(address).await, WebhookError::Malformed("the address of the key"), "{address}");
    }
    assert_eq!(place.asked(), 1);
    // However many addresses are invented on an allowed host, no more than 16 are asked in 30 s.
    for number in 0..200 {
        let _ = receive(&format!("https://sns.r{number}.amazonaws.com/a.pem")).await;
    }
    assert_eq!(place.asked(), 16);
    let crowded = receive("https://sns.eu-west-1.amazonaws.com/new.pem").await;
    assert!(matches!(crowded, WebhookError::Unavailable(_)), "a true one is to come again: {crowded:?}");
    assert_eq!(
        receive("https://sns.eu-west-1.amazonaws.com/a.pem").await,
        WebhookError::NoMatch,
        "still known"
    );
}
