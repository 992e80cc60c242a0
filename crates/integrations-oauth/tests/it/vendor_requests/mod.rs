//! What goes to each vendor, and what becomes of its answers: the client held against a table that was written from the
//! vendors' pages.

mod rows;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Request, Response};
use integrations_core::{Body, Clock, ErrorKind, Exchange, Payload, Result, Transport, TransportError};
use integrations_oauth::vendors::ALL;
use integrations_oauth::{Address, AuthorizeRequest, Callback, Client, Issuer, TokenSet};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;

use rows::ROWS;

/// What is sent to one vendor, and what its answers mean. Queries and bodies are written decoded, by the order of names.
///
/// The client is `cid` with the secret `se+cret/1`, comes back at `https://app.example/cb`, asks for the scopes `a` and `b`,
/// gets the code `the-code` and has the tokens `the-access` and `the-refresh`.
pub(crate) struct Row {
    pub(crate) vendor: &'static str,
    /// Values of the parts of addresses that have no default.
    pub(crate) vars: &'static [(&'static str, &'static str)],
    /// The user's address; `{s256}` and `{hex}` stand for the two forms of a proof key.
    pub(crate) authorize: Option<&'static str>,
    pub(crate) code: Option<Sent>,
    /// Right after the code was exchanged.
    pub(crate) upgrade: Option<Sent>,
    /// The refresh, or the extension of a life.
    pub(crate) refresh: Option<Sent>,
    /// For the client itself.
    pub(crate) client: Option<Sent>,
    pub(crate) samples: &'static [Sample],
}

/// One request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sent<T = &'static str> {
    pub(crate) to: T,
    pub(crate) shape: Shape,
    /// What `Authorization: Basic` holds.
    pub(crate) basic: Option<T>,
    pub(crate) fields: T,
}

/// What a request looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `POST` of a form.
    Form,
    /// `POST` of a JSON object.
    Json,
    /// `GET`.
    Query,
}

/// Which request an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Code,
    Refresh,
    Client,
}

/// An answer in the vendor's shape; all tokens are invented.
pub(crate) struct Sample {
    pub(crate) of: Of,
    /// The answer that came first, where two requests follow one another.
    pub(crate) before: Option<&'static str>,
    pub(crate) status: u16,
    pub(crate) body: &'static str,
    pub(crate) expected: Expected,
}

pub(crate) enum Expected {
    Tokens(Tokens),
    Fails(ErrorKind, &'static str),
}

/// What is understood; lives in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) access: &'static str,
    pub(crate) refresh: Option<&'static str>,
    pub(crate) lives: Option<i64>,
    pub(crate) refresh_lives: Option<i64>,
    pub(crate) scopes: Option<&'static [&'static str]>,
    pub(crate) extra: &'static [(&'static str, &'static str)],
}

const START: Timestamp = Timestamp::constant(1_767_225_600, 0); // 2026-01-01T00:00:00Z

#[test]
fn every_vendor_has_one_row_and_every_request_an_answer() {
    assert!(ROWS.iter().map(|row| row.vendor).eq(ALL.iter().map(|(name, _)| *name)));
    for row in ROWS {
        for (sent, of) in [(&row.code, Of::Code), (&row.refresh, Of::Refresh), (&row.client, Of::Client)] {
            let has_sample = row.samples.iter().any(|sample| sample.of == of);
            assert_eq!(sent.is_some(), has_sample, "{}: {of:?}", row.vendor);
        }
        assert!(row.code.is_some() || row.authorize.is_none(), "{}", row.vendor);
    }
}

#[test]
fn rows_are_written_in_the_order_of_names() {
    for row in ROWS {
        let sent = [&row.code, &row.upgrade, &row.refresh, &row.client]
            .into_iter()
            .flatten()
            .map(|sent| sent.fields);
        let query = row.authorize.and_then(|url| url.split_once('?')).map(|(_, query)| query);
        for fields in sent.chain(query) {
            let names: Vec<&str> = fields.split('&').map(|f| f.split_once('=').unwrap().0).collect();
            assert!(names.is_sorted_by(|a, b| a < b), "{}: {fields}", row.vendor);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_and_answers_are_those_of_each_vendor() {
    let mut wrong: BTreeMap<(&str, usize), Vec<String>> = BTreeMap::new();
    for row in ROWS {
        for (index, sample) in row.samples.iter().enumerate() {
            wrong.insert((row.vendor, index), check(row, sample).await);
        }
    }
    wrong.retain(|_, found| !found.is_empty());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Everything that is not as the row says.
async fn check(row: &Row, sample: &Sample) -> Vec<String> {
    let (status, before) = (sample.status, sample.before.map(|body| (200, body)));
    let wire = Arc::new(Wire::new(before.into_iter().chain([(status, sample.body)])));
    let client = client(row, wire.clone());
    let mut wrong = Vec::new();
    let outcome = match sample.of {
        Of::Refresh => client.refresh(&present()).await,
        Of::Client => client.client_credentials(Vec::<String>::new()).await,
        Of::Code => {
            let (url, pending) = client.authorize(AuthorizeRequest::new(["a", "b"])).unwrap();
            let back = format!("code=the-code&state={}", pending.state().expose());
            let state = pending.state().expose().clone();
            let outcome = client.complete(pending, Callback::parse(&back).unwrap()).await;
            let url = shown(&url, &state, wire.verifier().as_deref());
            if row.authorize.is_some_and(|expected| expected != url) {
                wrong.push(format!("the user's address: {url}"));
            }
            outcome
        }
    };
    let expected = match sample.of {
        Of::Code => [&row.code, &row.upgrade],
        Of::Refresh => [&row.refresh, &None],
        Of::Client => [&row.client, &None],
    };
    let reached = expected.into_iter().flatten().take(1 + usize::from(sample.before.is_some()));
    let sent = wire.sent();
    if !reached.map(owned).eq(sent.iter().map(masked)) {
        wrong.push(format!("sent: {:#?}", sent.iter().map(masked).collect::<Vec<_>>()));
    }
    wrong.extend(difference(&sample.expected, outcome));
    wrong
}

fn client(row: &Row, wire: Arc<Wire>) -> Client {
    let facts = ALL.iter().find(|(name, _)| *name == row.vendor).unwrap().1;
    let mut issuer =
        row.vars.iter().fold(Issuer::from(facts), |issuer, (name, value)| issuer.var(*name, *value));
    if row.authorize.is_none() {
        // The vendor's code comes another way, yet what keeps the flow together is the same.
        issuer = issuer.at(Address::Authorize, "https://vendor.example/install");
    }
    Client::builder(issuer, "cid")
        .secret("se+cret/1")
        .redirect_uri("https://app.example/cb")
        .transport(wire)
        .clock(Clock::virtual_from(START))
        .build()
        .unwrap()
}

fn present() -> TokenSet {
    let mut tokens = TokenSet::new("the-access", START);
    tokens.refresh = Some("the-refresh".into());
    tokens
}

/// The user's address as rows have it.
fn shown(url: &str, state: &str, verifier: Option<&str>) -> String {
    let (at, query) = url.split_once('?').unwrap();
    let hash = verifier.map(|verifier| digest(&SHA256, verifier.as_bytes()));
    let s256 = hash.map(|hash| URL_SAFE_NO_PAD.encode(hash));
    let digits = |mut text: String, byte: &u8| {
        text.push_str(&format!("{byte:02x}"));
        text
    };
    let hex = hash.map(|hash| hash.as_ref().iter().fold(String::new(), digits));
    let pairs = pairs(query).into_iter().map(|(name, value)| {
        let value = match name.as_str() {
            "state" if value == state => "{state}".to_owned(),
            "code_challenge" if Some(&value) == s256.as_ref() => "{s256}".to_owned(),
            "code_challenge" if Some(&value) == hex.as_ref() => "{hex}".to_owned(),
            _ => value,
        };
        (name, value)
    });
    format!("{at}?{}", joined(pairs.collect()))
}

fn difference(expected: &Expected, outcome: Result<TokenSet>) -> Option<String> {
    match (expected, outcome) {
        (Expected::Fails(kind, code), Err(error)) => {
            let found = (error.kind(), error.code().unwrap_or_default());
            (found != (*kind, *code)).then(|| format!("failed as {found:?}"))
        }
        (Expected::Fails(..), Ok(tokens)) => Some(format!("taken: {tokens:?}")),
        (Expected::Tokens(_), Err(error)) => Some(format!("refused: {error}")),
        (Expected::Tokens(expected), Ok(tokens)) => understood(expected, &tokens),
    }
}

fn understood(expected: &Tokens, tokens: &TokenSet) -> Option<String> {
    let text = |secret: &integrations_core::SecretString| secret.expose().clone();
    let lives = |at: Option<Timestamp>| at.map(|at| at.duration_since(START));
    let seconds = |seconds: Option<i64>| seconds.map(SignedDuration::from_secs);
    let scopes = expected.scopes.map(|scopes| scopes.iter().map(|scope| (*scope).to_owned()).collect());
    let extra = |name: &str| tokens.extra.get(name).map(text);
    let checks = [
        ("access", text(&tokens.access) == expected.access),
        ("refresh", tokens.refresh.as_ref().map(text).as_deref() == expected.refresh),
        ("lives", lives(tokens.expires_at) == seconds(expected.lives)),
        ("refresh_lives", lives(tokens.refresh_expires_at) == seconds(expected.refresh_lives)),
        ("scopes", tokens.scopes == scopes),
        ("extra", expected.extra.iter().all(|(name, value)| extra(name).as_deref() == Some(*value))),
    ];
    let wrong: Vec<&str> = checks.iter().filter(|(_, is_right)| !is_right).map(|(name, _)| *name).collect();
    (!wrong.is_empty()).then(|| format!("not understood: {wrong:?} of {tokens:?}"))
}

/// Keeps what was sent, and answers as it was told; the last answer stays.
struct Wire {
    answers: Mutex<VecDeque<(u16, &'static str)>>,
    sent: Mutex<Vec<Sent<String>>>,
}

impl Wire {
    fn new(answers: impl IntoIterator<Item = (u16, &'static str)>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), sent: Mutex::default() }
    }

    fn sent(&self) -> Vec<Sent<String>> {
        std::mem::take(&mut *self.sent.lock().unwrap())
    }

    fn verifier(&self) -> Option<String> {
        let sent = self.sent.lock().unwrap();
        let value = |field: &str| field.strip_prefix("code_verifier=").map(str::to_owned);
        sent.first()?.fields.split('&').find_map(value)
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        self.sent.lock().unwrap().push(read(&request));
        let mut answers = self.answers.lock().unwrap();
        let (status, body) =
            if answers.len() > 1 { answers.pop_front() } else { answers.front().copied() }.unwrap();
        let response =
            Response::builder().status(status).body(Payload::Whole(Bytes::from_static(body.as_bytes())));
        Ok(response.unwrap())
    }
}

fn read(request: &Request<Body>) -> Sent<String> {
    let url = request.uri().to_string();
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("accept"), Some("application/json"));
    let body = std::str::from_utf8(request.body().as_bytes().unwrap_or_default()).unwrap();
    let (to, shape, fields) = match (request.method(), header("content-type")) {
        (&Method::GET, None) => {
            let (to, query) = url.split_once('?').unwrap();
            (to, Shape::Query, pairs(query))
        }
        (&Method::POST, Some("application/json")) => (
            url.as_str(),
            Shape::Json,
            serde_json::from_str::<BTreeMap<_, _>>(body).unwrap().into_iter().collect(),
        ),
        (&Method::POST, Some("application/x-www-form-urlencoded")) => {
            (url.as_str(), Shape::Form, pairs(body))
        }
        other => panic!("{other:?}"),
    };
    let basic = header("authorization").map(|value| {
        let pair = STANDARD.decode(value.strip_prefix("Basic ").unwrap()).unwrap();
        String::from_utf8(pair).unwrap()
    });
    Sent { to: to.to_owned(), shape, basic, fields: joined(fields) }
}

fn owned(sent: &Sent) -> Sent<String> {
    let Sent { to, shape, basic, fields } = *sent;
    Sent { to: to.to_owned(), shape, basic: basic.map(str::to_owned), fields: fields.to_owned() }
}

/// Without what is random.
fn masked(sent: &Sent<String>) -> Sent<String> {
    let mask = |field: &str| match field.split_once('=') {
        Some(("code_verifier", verifier)) if verifier.len() >= 43 => "code_verifier={verifier}".to_owned(),
        _ => field.to_owned(),
    };
    let fields = sent.fields.split('&').map(mask).collect::<Vec<_>>().join("&");
    Sent { to: sent.to.clone(), shape: sent.shape, basic: sent.basic.clone(), fields }
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let decoded =
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned();
    let pair =
        |pair: &str| pair.split_once('=').map(|(name, value)| (decoded(name), decoded(value))).unwrap();
    text.split('&').map(pair).collect()
}

fn joined(mut pairs: Vec<(String, String)>) -> String {
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}
