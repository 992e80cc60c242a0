//! A client of the invented vendor: a sound one, and ones with a defect each.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::header::{AUTHORIZATION, HeaderName};
use integrations_core::driver::Caps;
use integrations_core::provider::{AuthKind, Host, ProviderSpec, Setting, Status};
use integrations_core::setup::{Setup, no_transport};
use integrations_core::{
    Authorize, Bearer, Caller, CredentialVersion, Effect, Error, ErrorKind, LiveSecret, Op, Req, Result,
    Safety, WireRequest,
};
use integrations_sandbox::Known;
use integrations_testkit::conformance::{Boxed, Case, Failure, Harness, Lab, Suite, Twin, hold};
use serde_json::{Value, json};

use crate::depot;

static GET: Op = Op::new("parcels", "get", Safety::Read).http("GET", "/parcels/{id}");
static LIST: Op = Op::new("parcels", "list", Safety::Read).http("GET", "/parcels");
static SEND: Op = Op::new("parcels", "send", Safety::Once).http("POST", "/parcels");
static LABEL: Op = Op::new("parcels", "label", Safety::Keyed).http("POST", "/labels");
static REROUTE: Op = Op::new("parcels", "reroute", Safety::Idempotent).http("PUT", "/parcels/{id}/address");

static SPEC: ProviderSpec = ProviderSpec::new("parcels", "Parcels", "parcels", Status::Full)
    .hosts(&[Host::new("production", "https://api.parcels.example")])
    .auth(AuthKind::Bearer)
    .settings(&[Setting::new("token", "a token").secret()])
    .caps(CAPS);

const CAPS: &[&str] = &["read", "send", "label", "reroute"];

/// What is wrong with a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    None,
    /// Sends a parcel again when the reply was lost.
    RepeatsWrites,
    /// Logs the header that it puts on a request.
    LogsToken,
    /// Says in an error which token was refused.
    TellsToken,
    /// Waits for better times, however long they take to come.
    IgnoresDeadline,
    /// Says that nothing was sent when nobody knows.
    Denies,
    /// Takes a failed read for an empty result.
    Guesses,
    /// Never asks for the new token.
    KeepsOldToken,
    /// Says in an error what was sent to prove who it is, encoded.
    TellsEncodedToken,
    /// Says that nothing was done when nobody knows, also of what may be done again.
    DeniesReroute,
    /// Takes a failed write for one that was done.
    Claims,
    /// Logs a session that it has made itself, and sends.
    LogsSession,
    /// Calls anew where the policy's attempts are used up.
    CallsAnew,
}

/// A client.
#[derive(Clone)]
pub(crate) struct Parcels {
    caller: Caller,
    token: LiveSecret,
    defect: Defect,
}

pub(crate) fn harness(defect: Defect) -> Harness<Parcels> {
    Harness::new(&SPEC, &depot::FAKE, move |setup| Parcels::open(setup, defect))
}

impl Parcels {
    fn open(setup: &Setup, defect: Defect) -> Result<Self> {
        let token = setup.live("token")?;
        let authorize: Arc<dyn Authorize> = match defect {
            Defect::LogsToken => Arc::new(Chatty(token.clone())),
            Defect::LogsSession => Arc::new(Session(token.clone())),
            Defect::KeepsOldToken => Arc::new(Bearer::new(setup.secret("token")?.clone())),
            _ => Arc::new(Bearer::new(token.clone())),
        };
        let key = HeaderName::from_static("idempotency-key");
        let caller = setup.caller(no_transport)?.authorize(authorize).key_header(key).build();
        Ok(Self { caller, token, defect })
    }

    async fn call(&self, op: &'static Op, path: &[&str], query: Option<u32>, body: Value) -> Result<Value> {
        let base = Uri::from_static("https://api.parcels.example");
        let request = || {
            let request = Req::new(op.method.parse().unwrap(), &base).path(path).query("after", query);
            if body.is_null() { request.build() } else { request.json(&body).build() }
        };
        let once = async || self.caller.exchange(op, None, request()?).await?.json::<Value>();
        let ended = once().await;
        let unknown = ended.as_ref().is_err_and(|e| e.effect() == Effect::Unknown);
        match (self.defect, ended) {
            (Defect::RepeatsWrites, Err(_)) if unknown => once().await,
            (Defect::TellsToken, Err(e)) => {
                let token = self.token.current().value;
                Err(e.with_context(&format!("with the token {}", token.expose())))
            }
            (Defect::IgnoresDeadline, Err(e)) if e.is_retryable() => {
                tokio::time::sleep(Duration::from_secs(600)).await;
                once().await
            }
            (Defect::TellsEncodedToken, Err(e)) => {
                let token = STANDARD.encode(format!("id:{}", self.token.current().value.expose()));
                Err(e.with_context(&format!("with the token {token}")))
            }
            (Defect::DeniesReroute, Err(e)) if unknown && op == &REROUTE => {
                Err(e.with_effect(Effect::Rejected))
            }
            (Defect::Claims, Err(_)) if op == &REROUTE => Ok(Value::Null),
            (Defect::CallsAnew, Err(e)) if op == &GET && e.is_retryable() => once().await,
            (Defect::Denies, Err(e)) if unknown => Err(e.with_effect(Effect::NotSent)),
            (Defect::Guesses, Err(e)) if e.is_retryable() => Ok(json!({ "id": 3, "to": "", "ids": [] })),
            (_, ended) => ended,
        }
    }

    async fn address(&self, id: &str) -> Result<String> {
        let parcel = self.call(&GET, &["parcels", id], None, Value::Null).await?;
        parcel["to"].as_str().map(str::to_owned).ok_or_else(|| undecodable(&GET))
    }

    async fn ids(&self, after: Option<u32>) -> Result<(Vec<u64>, Option<u32>)> {
        let page = self.call(&LIST, &["parcels"], after, Value::Null).await?;
        let ids = page["ids"].as_array().ok_or_else(|| undecodable(&LIST))?;
        Ok((ids.iter().filter_map(Value::as_u64).collect(), page["next"].as_u64().map(|id| id as u32)))
    }

    async fn send(&self, to: &str) -> Result<String> {
        let parcel = self.call(&SEND, &["parcels"], None, json!({ "to": to })).await?;
        parcel["id"].as_u64().map(|id| id.to_string()).ok_or_else(|| undecodable(&SEND))
    }

    async fn label(&self) -> Result<u64> {
        let label = self.call(&LABEL, &["labels"], None, json!({ "size": "small" })).await?;
        label["label"].as_u64().ok_or_else(|| undecodable(&LABEL))
    }

    async fn reroute(&self, id: &str, to: &str) -> Result<()> {
        self.call(&REROUTE, &["parcels", id, "address"], None, json!({ "to": to })).await.map(drop)
    }
}

fn undecodable(op: &'static Op) -> Error {
    let effect = if op.safety == Safety::Read { Effect::Rejected } else { Effect::Applied };
    Error::new(ErrorKind::Decode, effect, "the answer has another shape than expected").with_op(op)
}

struct Chatty(LiveSecret);

#[async_trait]
impl Authorize for Chatty {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        Bearer::new(self.0.clone()).authorize(request).await?;
        tracing::trace!(token = self.0.current().value.expose(), "authorized");
        Ok(())
    }

    async fn refresh(&self, used: Option<CredentialVersion>) -> Result<bool> {
        Bearer::new(self.0.clone()).refresh(used).await
    }
}

struct Session(LiveSecret);

#[async_trait]
impl Authorize for Session {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        let session = depot::session(self.0.current().value.expose());
        tracing::trace!(session, "authorized");
        request.headers_mut().insert(AUTHORIZATION, format!("Session {session}").parse().unwrap());
        Ok(())
    }
}

type Run = Result<(), Failure>;

async fn read(lab: &Lab<Parcels>) -> Run {
    let to = lab.step("get", lab.client().address(&lab.known("parcel")?)).await?;
    lab.see("address", &to);
    hold(to == lab.known("address")?, format!("the parcel goes to {to}"))
}

async fn missing(lab: &Lab<Parcels>) -> Run {
    let ended = lab.step("get nothing", lab.client().address("999")).await;
    hold(ended.is_err_and(|e| e.kind() == ErrorKind::NotFound), "a parcel that does not exist is found")
}

async fn pages(lab: &Lab<Parcels>) -> Run {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let (ids, next) = lab.step("list", lab.client().ids(after)).await?;
        all.extend(ids);
        after = next.filter(|next| Some(*next) != after);
        if after.is_none() || all.len() > 100 {
            break;
        }
    }
    lab.see("ids", &all);
    hold(all == (1..=10).collect::<Vec<u64>>(), format!("the pages have {all:?}"))
}

async fn send(lab: &Lab<Parcels>) -> Run {
    for to in ["1 New Street", "2 New Street", "3 New Street"] {
        let id = lab.step("send", lab.client().send(to)).await?;
        let address = lab.step("get", lab.client().address(&id)).await?;
        hold(address == to, format!("the parcel goes to {address}"))?;
    }
    Ok(())
}

async fn label(lab: &Lab<Parcels>) -> Run {
    let first = lab.step("label", lab.client().label()).await?;
    let second = lab.step("label", lab.client().label()).await?;
    lab.see("labels", &(first, second));
    hold((first, second) == (1, 2), format!("two labels are {first} and {second}"))
}

async fn reroute(lab: &Lab<Parcels>) -> Run {
    let id = lab.known("parcel")?;
    lab.step("reroute", lab.client().reroute(&id, "9 Far Lane")).await?;
    let to = lab.step("get", lab.client().address(&id)).await?;
    lab.see("address", &to);
    hold(to == "9 Far Lane", format!("the parcel goes to {to} after it was rerouted"))
}

static CASES: &[Case<Parcels>] = &[
    Case { id: "read", needs: &["read"], run: |lab| Box::pin(read(lab)) },
    Case { id: "missing", needs: &["read"], run: |lab| Box::pin(missing(lab)) },
    Case { id: "pages", needs: &["read"], run: |lab| Box::pin(pages(lab)) },
    Case { id: "send", needs: &["send", "read"], run: |lab| Box::pin(send(lab)) },
    Case { id: "label", needs: &["label"], run: |lab| Box::pin(label(lab)) },
    Case { id: "reroute", needs: &["reroute", "read"], run: |lab| Box::pin(reroute(lab)) },
];

fn alive<'c>(client: &'c Parcels, _: &'c Known) -> Boxed<'c, Result<()>> {
    Box::pin(async move { client.address("3").await.map(drop) })
}

pub(crate) fn suite() -> Suite<Parcels> {
    Suite {
        caps: CAPS,
        caps_of: |_| Caps::of(&SPEC),
        cases: CASES,
        twins: &[],
        caller_of: |_| None,
        counts_token_calls: false,
        alive,
    }
}

/// The same for clients that do not declare a call, and make it nevertheless.
pub(crate) fn undeclared() -> Suite<Parcels> {
    static TWINS: &[Twin<Parcels>] = &[Twin {
        cap: "reroute",
        call: |client| Box::pin(async move { client.reroute("3", "0 Nowhere").await }),
    }];
    Suite { caps_of: |_| Caps::of(&SPEC).without("reroute"), twins: TWINS, ..suite() }
}

/// Clients that declare nothing.
pub(crate) fn nothing() -> Suite<Parcels> {
    Suite { caps_of: |_| CAPS.iter().fold(Caps::of(&SPEC), |caps, cap| caps.without(cap)), ..suite() }
}

/// A case that sends nothing.
pub(crate) fn idle() -> Suite<Parcels> {
    static CASES: &[Case<Parcels>] =
        &[Case { id: "idle", needs: &["read"], run: |_| Box::pin(async { Ok(()) }) }];
    Suite { cases: CASES, ..suite() }
}

/// A case that is broken itself.
pub(crate) fn panics() -> Suite<Parcels> {
    static CASES: &[Case<Parcels>] =
        &[Case { id: "panics", needs: &["read"], run: |_| panic!("on purpose") }];
    Suite { cases: CASES, ..suite() }
}
