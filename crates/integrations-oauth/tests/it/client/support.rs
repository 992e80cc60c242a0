//! An issuer in memory, and what it was sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use integrations_core::pipeline::{Pipeline, Policy, Scope, Stages};
use integrations_core::provider::OAuth;
use integrations_core::{Body, Clock, Exchange, Payload, Transport, TransportError, TransportFailure};
use integrations_oauth::{Callback, Client, ClientBuilder, Issuer, PendingAuthorization};
use jiff::Timestamp;

pub(crate) const FACTS: OAuth = OAuth::new("https://id.example/token")
    .authorize_url("https://id.example/authorize")
    .revoke_url("https://id.example/revoke")
    .introspect_url("https://id.example/introspect")
    .device_url("https://id.example/device")
    .issuer("https://id.example");

pub(crate) const TOKENS: &str =
    r#"{"access_token":"at-1","token_type":"Bearer","expires_in":3600,"refresh_token":"rt-1"}"#;

pub(crate) fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) op: &'static str,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Id and secret of Basic credentials, as they were encoded.
    pub(crate) fn basic(&self) -> String {
        let encoded = self.header("authorization").strip_prefix("Basic ").unwrap();
        String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
    }
}

type Answer = Result<Response<Payload>, TransportError>;

/// Gives one answer after the other, and fails when there are none left.
pub(crate) struct Script {
    answers: Mutex<VecDeque<Answer>>,
    seen: Mutex<Vec<Seen>>,
}

impl Script {
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), seen: Mutex::default() })
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request.
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }

    pub(crate) fn client(self: &Arc<Self>, issuer: impl Into<Issuer>) -> Client {
        self.builder(issuer).build().unwrap()
    }

    /// A client with a secret that needs encoding.
    pub(crate) fn builder(self: &Arc<Self>, issuer: impl Into<Issuer>) -> ClientBuilder {
        Client::builder(issuer, "my-app")
            .secret("s/e+c")
            .redirect_uri("https://app.example/cb")
            .transport(self.clone())
            .clock(Clock::virtual_from(start()))
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: Request<Body>, exchange: Exchange) -> Answer {
        let (head, body) = request.into_parts();
        let body = String::from_utf8(body.as_bytes().unwrap().to_vec()).unwrap();
        let seen =
            Seen { op: exchange.op.name, method: head.method, uri: head.uri, headers: head.headers, body };
        self.seen.lock().unwrap().push(seen);
        self.answers.lock().unwrap().pop_front().expect("more calls than answers")
    }
}

pub(crate) fn pipeline() -> Pipeline {
    Stages::new().pipeline(Scope::new("acme", "issuer"), Policy::default()).unwrap()
}

#[allow(clippy::unnecessary_wraps, reason = "a script has failures among its answers")]
pub(crate) fn answer(status: u16, body: impl Into<Bytes>) -> Answer {
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Payload::Whole(body.into())).unwrap())
}

/// The connection broke after the request had gone out, or before.
pub(crate) fn broken(sent: bool) -> Answer {
    Err(TransportError::new(TransportFailure::Reset, sent, "the connection broke"))
}

/// A query as sorted pairs.
pub(crate) fn pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned()
    };
    let mut pairs: Vec<_> = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    pairs.sort();
    pairs
}

pub(crate) fn value(pairs: &[(String, String)], name: &str) -> String {
    let mut found = pairs.iter().filter(|(present, _)| present == name);
    let value = found.next().unwrap_or_else(|| panic!("no `{name}` in {pairs:?}")).1.clone();
    assert!(found.next().is_none(), "`{name}` twice");
    value
}

/// Pairs that are expected.
pub(crate) fn expect(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    pairs.sort();
    pairs
}

/// The answer that an honest issuer gives.
pub(crate) fn good_callback(pending: &PendingAuthorization) -> Callback {
    Callback::parse(&format!("code=c-1&state={}", pending.state().expose())).unwrap()
}
