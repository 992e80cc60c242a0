//! `tokens`: what it costs to prove a call with the token of a connection, while nothing has to be refreshed.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderValue};
use integrations_core::seal::{Envelope, LocalKeys};
use integrations_core::{Authorize, Body, ConnectionId, WireRequest};
use integrations_oauth::store::MemoryTokens;
use integrations_oauth::{TokenSet, TokenSource, Vault};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::RwLock;

use crate::contestant::{BoxError, Contestant};
use crate::machine::Machine;
use crate::measure::{Bench, Plan, quantile};
use crate::service::{Request, Response};
use crate::workers::Workers;

/// Connections among which each call picks one.
const MANY: usize = 10_000;

/// Makes the request and puts a header on it that was made before: the floor.
struct Fixed(HeaderValue);

/// What is commonly written: the token behind a lock, its end compared, the header made for each call.
struct ByHand(Vec<RwLock<(String, Instant)>>);

struct Ours(Vec<Arc<dyn Authorize>>);

fn request() -> WireRequest {
    http::Request::new(Body::Empty)
}

/// The header must be there, or nothing was measured.
fn answered(proved: &WireRequest, request: &Request) -> Result<Response, BoxError> {
    if proved.headers().contains_key(AUTHORIZATION) {
        Ok(Response { key: request.key })
    } else {
        Err("the call was not proved".into())
    }
}

impl Contestant for Fixed {
    async fn call(&self, _: usize, call: Request) -> Result<Response, BoxError> {
        let mut proved = request();
        proved.headers_mut().insert(AUTHORIZATION, self.0.clone());
        answered(&proved, &call)
    }
}

impl Contestant for ByHand {
    async fn call(&self, connection: usize, call: Request) -> Result<Response, BoxError> {
        let mut proved = request();
        let token = self.0[connection].read().await;
        if token.1 <= Instant::now() {
            return Err("the token has ended".into());
        }
        let mut header = HeaderValue::try_from(format!("Bearer {}", token.0))?;
        header.set_sensitive(true);
        proved.headers_mut().insert(AUTHORIZATION, header);
        answered(&proved, &call)
    }
}

impl Contestant for Ours {
    async fn call(&self, connection: usize, call: Request) -> Result<Response, BoxError> {
        let mut proved = request();
        self.0[connection].authorize(&mut proved).await?;
        answered(&proved, &call)
    }
}

/// Is never asked.
struct Nobody;

#[async_trait]
impl TokenSource for Nobody {
    async fn refresh(&self, _: &TokenSet) -> integrations_core::Result<TokenSet> {
        Err(integrations_core::Error::config("nothing has to be refreshed here"))
    }

    async fn revoke(&self, _: &TokenSet) -> integrations_core::Result<()> {
        Ok(())
    }
}

fn token(n: usize) -> String {
    format!("access-token-of-usual-length-{n:010}")
}

async fn ours(connections: usize) -> Result<Ours, BoxError> {
    let keys = LocalKeys::parse(&LocalKeys::generate()?)?;
    let sealer = Arc::new(Envelope::new(Arc::new(keys), "bench"));
    let vault =
        Vault::builder(Arc::new(MemoryTokens::new()), sealer).source("main", Arc::new(Nobody)).build();
    let mut authorizers = Vec::with_capacity(connections);
    for n in 0..connections {
        let id = ConnectionId::new("acme", "main", format!("user-{n}"))?;
        let mut tokens = TokenSet::new(token(n), Timestamp::now());
        tokens.expires_at = Some(Timestamp::now() + SignedDuration::from_hours(24));
        vault.connect(&id, tokens).await?;
        authorizers.push(vault.authorizer(&id));
    }
    Ok(Ours(authorizers))
}

fn by_hand(connections: usize) -> ByHand {
    let ends = Instant::now() + Duration::from_secs(86_400);
    ByHand((0..connections).map(|n| RwLock::new((token(n), ends))).collect())
}

/// Who is measured, by name, and among how many connections.
type Entry = (&'static str, usize, Arc<dyn Bench>);

fn line_up(runtime: &Runtime) -> Result<Vec<Entry>, BoxError> {
    let fixed = HeaderValue::try_from(format!("Bearer {}", token(0)))?;
    Ok(vec![
        ("a header made before", 1, Arc::new(Fixed(fixed))),
        ("by hand: RwLock, end compared, header made", 1, Arc::new(by_hand(1))),
        ("the vault", 1, Arc::new(runtime.block_on(ours(1))?)),
        ("by hand, 10,000 connections", MANY, Arc::new(by_hand(MANY))),
        ("the vault, 10,000 connections", MANY, Arc::new(runtime.block_on(ours(MANY))?)),
    ])
}

/// Measures and prints.
pub(crate) fn run(plan: Plan, as_json: bool, out: &mut impl Write) -> Result<(), BoxError> {
    let workers = Workers::start()?;
    let entries = workers.run_first(line_up)??;
    let mut found = Vec::new();
    writeln!(out, "Proving one call, medians of {} rounds in ns; allocations.", plan.rounds)?;
    for (name, connections, contestant) in entries {
        let mut cells = Vec::new();
        for threads in 1..=workers.count().min(2) {
            let mut rounds = Vec::new();
            for _ in 0..plan.rounds {
                rounds.push(contestant.clone().round(&workers, threads, connections, plan)?.call);
            }
            cells.push(quantile(&mut rounds, 0.5).round());
        }
        let allocations = contestant.allocations(&workers)?;
        writeln!(out, "{name:<45} {cells:?} on one and two threads, {allocations:.1} allocations")?;
        found.push(json!({ "name": name, "call_ns": cells, "allocations": allocations }));
    }
    if as_json {
        writeln!(
            out,
            "{}",
            json!({ "bench": "tokens", "contestants": Value::from(found), "machine": Machine::this() })
        )?;
    }
    Ok(())
}
