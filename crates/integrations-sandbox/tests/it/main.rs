//! What faults do to the calls of a real client, and the fakes as a server.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod faults;
#[cfg(feature = "server")]
mod server;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, RETRY_AFTER};
use http::{StatusCode, Uri};
use integrations_core::pipeline::{Policy, Scope, Stages};
use integrations_core::{
    Authorize, Caller, Classify, CredentialVersion, Effect, Endpoint, Error, ErrorKind, Op, Req, Result,
    Safety, Skew, WireRequest, WireResponse,
};
use integrations_sandbox::{Answer, Call, Fake, Known, Sandbox, Trouble, Vendor, World};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

/// A vendor of shelves with items. It wants a token and a time that is right, and knows idempotency keys.
pub(crate) const SHELF: Fake = Fake::new("shelf", "demo", |_| Box::new(Shelf::default()));

#[derive(Default)]
struct Shelf {
    items: Vec<String>,
    keys: HashMap<String, Answer>,
    tokens: u32,
}

impl Vendor for Shelf {
    fn answer(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
        let time = call.header("x-time").and_then(|time| time.parse::<Timestamp>().ok());
        let is_wrong = |time| world.now.duration_since(time).abs() > SignedDuration::from_secs(5);
        if call.bearer() != Some(&self.token()) || time.is_some_and(is_wrong) {
            return self.word(Trouble::Unauthorized).unwrap();
        }
        let key = call.header("idempotency-key");
        if let Some(answer) = key.and_then(|key| self.keys.get(key)) {
            return answer.clone();
        }
        let answer = match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", ["items"]) => self.list(world),
            ("POST", ["items"]) => {
                let item = String::from_utf8_lossy(call.body).into_owned();
                world.ledger.added("add", &item);
                let answer = Answer::json(201, &json!({ "items": [item], "next": null }));
                self.items.push(item);
                answer
            }
            ("PUT", ["items", item]) => {
                world.ledger.set("set", *item);
                Answer::empty(204)
            }
            _ => Answer::empty(404),
        };
        if let Some(key) = key {
            self.keys.insert(key.to_owned(), answer.clone());
        }
        answer
    }

    fn word(&self, trouble: Trouble) -> Option<Answer> {
        let (status, code) = match trouble {
            Trouble::RateLimited(_) => (429, "slow_down"),
            Trouble::QuotaExhausted => (403, "quota"),
            Trouble::Unauthorized => (401, "token"),
            Trouble::Broken(503) => {
                let answer = Answer::json(503, &json!({ "error": "broken" }));
                return Some(answer.header(RETRY_AFTER, "1"));
            }
            Trouble::Broken(status) => (status, "broken"),
            Trouble::FailedWithSuccess => (200, "busy"),
            _ => return None,
        };
        Some(Answer::json(status, &json!({ "error": code })))
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("name", "a shelf".to_owned()), ("token", "t-0".to_owned())]
    }

    fn known(&self) -> Known {
        Known::new()
    }

    fn rotate(&mut self) -> Option<(&'static str, String)> {
        self.tokens += 1;
        Some(("token", self.token()))
    }
}

impl Shelf {
    fn token(&self) -> String {
        format!("t-{}", self.tokens)
    }

    fn list(&self, world: &World<'_>) -> Answer {
        let found = self.items.len() - usize::from(world.lags && !self.items.is_empty());
        let (page, next) = (&self.items[..found.min(20)], world.loops.then_some("again"));
        Answer::json(200, &json!({ "items": page, "next": next }))
    }
}

/// The vendor's errors, also the one under status 200.
struct Words;

impl Classify for Words {
    fn classify(&self, _: &'static Op, response: &WireResponse) -> Option<Error> {
        let body: serde_json::Value = serde_json::from_slice(&response.body).ok()?;
        let kind = match body.get("error")?.as_str()? {
            "busy" => ErrorKind::Unavailable,
            "quota" => ErrorKind::QuotaExhausted,
            _ => return None,
        };
        Some(Error::new(kind, Effect::Rejected, "the shelf says no"))
    }
}

/// A token that is fetched anew when it was refused, and the time.
struct Credentials {
    sandbox: Sandbox,
    token: Mutex<String>,
    skew: Arc<Skew>,
}

impl Credentials {
    fn present(sandbox: &Sandbox) -> String {
        sandbox.settings().into_iter().find(|(name, _)| *name == "token").unwrap().1
    }
}

#[async_trait]
impl Authorize for Credentials {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        let token = format!("Bearer {}", self.token.lock().unwrap());
        let time = self.skew.adjust(self.sandbox.clock().now()).to_string();
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_str(&token).unwrap());
        request
            .headers_mut()
            .insert(HeaderName::from_static("x-time"), HeaderValue::from_str(&time).unwrap());
        Ok(())
    }

    async fn refresh(&self, _: Option<CredentialVersion>) -> Result<bool> {
        let present = Self::present(&self.sandbox);
        Ok(std::mem::replace(&mut *self.token.lock().unwrap(), present.clone()) != present)
    }
}

/// A client with the default policy.
pub(crate) fn client(sandbox: &Sandbox) -> Caller {
    let pipeline = Stages::new().pipeline(Scope::new("acme", "shelf"), Policy::default()).unwrap();
    let skew = Arc::new(Skew::default());
    let token = Mutex::new(Credentials::present(sandbox));
    let credentials = Credentials { sandbox: sandbox.clone(), token, skew: skew.clone() };
    Caller::builder("https://shelf.example".parse().unwrap(), Arc::new(sandbox.clone()), pipeline)
        .authorize(Arc::new(credentials))
        .classify(Arc::new(Words))
        .key_header(HeaderName::from_static("idempotency-key"))
        .clock(sandbox.clock())
        .skew(skew)
        .build()
}

#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Items {
    pub(crate) items: Vec<String>,
    pub(crate) next: Option<String>,
}

static LIST: Op = Op::new("shelf", "list", Safety::Read).http("GET", "/items");
static SET: Op = Op::new("shelf", "set", Safety::Idempotent).http("PUT", "/items/{item}");
static ADD: Op = Op::new("shelf", "add", Safety::Keyed).http("POST", "/items");
static ADD_ONCE: Op = Op::new("shelf", "add_once", Safety::Once).http("POST", "/items");

pub(crate) struct List;

impl Endpoint for List {
    type Output = Items;
    const OP: &'static Op = &LIST;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base).path(["items"]).build()
    }

    fn response(&self, response: WireResponse) -> Result<Items> {
        response.json()
    }
}

pub(crate) struct Set(pub(crate) &'static str);

impl Endpoint for Set {
    type Output = ();
    const OP: &'static Op = &SET;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::put(base).path(["items", self.0]).build()
    }

    fn response(&self, response: WireResponse) -> Result<()> {
        assert_eq!(response.status, StatusCode::NO_CONTENT);
        Ok(())
    }
}

pub(crate) struct Add(pub(crate) String);

impl Endpoint for Add {
    type Output = Items;
    const OP: &'static Op = &ADD;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::post(base).path(["items"]).body(self.0.clone()).build()
    }

    fn response(&self, response: WireResponse) -> Result<Items> {
        response.json()
    }
}

pub(crate) struct AddOnce(pub(crate) String);

impl Endpoint for AddOnce {
    type Output = Items;
    const OP: &'static Op = &ADD_ONCE;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Add(self.0.clone()).request(base)
    }

    fn response(&self, response: WireResponse) -> Result<Items> {
        response.json()
    }
}
