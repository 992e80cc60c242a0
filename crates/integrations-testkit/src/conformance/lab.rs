//! Where a case runs: the client, what its peer has, and a record of each portable call.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use integrations_core::page::Listing;
use integrations_core::{Effect, Error, ErrorKind, Result, SecretString};
use integrations_sandbox::Change;
#[cfg(feature = "chaos")]
use integrations_sandbox::Plan;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

#[cfg(feature = "chaos")]
use super::Peer;
use super::harness::{Sent, Vault, Wire};

/// No list of a peer is longer.
const LONGEST_LIST: usize = 2_000;

/// Why a case did not reach its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// A portable call failed.
    Call(Error),
    /// A call succeeded, or failed, and its result is wrong.
    Wrong(String),
    /// The peer does not have what the case asks for by name.
    Absent(String),
    /// The case went on for hours.
    Endless,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(e) => write!(f, "{e} (effect {})", e.effect()),
            Self::Wrong(what) => f.write_str(what),
            Self::Absent(name) => {
                write!(f, "the peer has no `{name}`, which a declared capability is tested with")
            }
            Self::Endless => f.write_str("it never ends"),
        }
    }
}

/// A [`Failure`] that says `what`, unless something holds.
pub fn hold(holds: bool, what: impl Into<String>) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Wrong(what.into())) }
}

/// How one portable call ended, or one of its items.
#[derive(Debug, Clone)]
pub(crate) struct Outcome(pub(crate) Option<Error>);

impl Outcome {
    /// What is the same for the same story: not the texts, which tell of attempts and delays.
    pub(crate) fn kind(&self) -> Option<ErrorKind> {
        self.0.as_ref().map(Error::kind)
    }

    pub(crate) fn effect(&self) -> Option<Effect> {
        self.0.as_ref().map(Error::effect)
    }
}

/// One portable call.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// One, or one for each item.
    pub(crate) outcomes: Vec<Outcome>,
    /// In virtual time.
    pub(crate) took: Duration,
    pub(crate) sent: Vec<Sent>,
    pub(crate) changes: Vec<Change>,
}

/// A value that a case has seen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) label: &'static str,
    /// How many steps there were before.
    pub(crate) after: usize,
    pub(crate) value: Value,
}

/// Where a case runs.
pub struct Lab<C> {
    client: C,
    wire: Arc<Wire>,
    vault: Arc<Vault>,
    steps: Mutex<Vec<Step>>,
    seen: Mutex<Vec<Seen>>,
}

impl<C> fmt::Debug for Lab<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lab").field("steps", &lock(&self.steps).len()).finish_non_exhaustive()
    }
}

impl<C> Lab<C> {
    pub(super) fn new(client: C, wire: Arc<Wire>, vault: Arc<Vault>) -> Self {
        Self { client, wire, vault, steps: Mutex::default(), seen: Mutex::default() }
    }

    /// The client.
    pub fn client(&self) -> &C {
        &self.client
    }

    /// What the peer has in its first state under a name. A [`Failure`] when it has nothing: a capability that is declared
    /// must be testable.
    pub fn known(&self, name: &str) -> Result<String, Failure> {
        let known = self.wire.peer.known();
        known.get(name).map(str::to_owned).ok_or_else(|| Failure::Absent(name.to_owned()))
    }

    /// What a browser that opens `address` brings back: the query of the address that the peer sends it to. It is nobody's
    /// call: it is not among the [`requests`](Lab::requests), and no fault meets it.
    pub async fn browse(&self, address: &str) -> Result<String, Failure> {
        let wrong = |what: &str| Failure::Wrong(format!("a browser is sent to an address that {what}"));
        let uri = address.parse().map_err(|_| wrong("none can open"))?;
        let back = self.wire.peer.browse(&uri).await?.ok_or_else(|| wrong("sends it nowhere"))?;
        let (_, query) = back.split_once('?').ok_or_else(|| wrong("sends it back without an answer"))?;
        Ok(query.to_owned())
    }

    /// Notes a secret that the case was given on the way: like those that the client is set up with, it must be in no log
    /// and no error.
    pub fn secret(&self, name: &'static str, secret: &SecretString) {
        self.wire.note(name, secret.expose());
    }

    /// The peer's time.
    pub fn now(&self) -> Timestamp {
        self.wire.peer.clock().now()
    }

    /// Makes one portable call and notes how long it took, what was sent for it, what it changed and how it ended.
    pub async fn step<T>(&self, name: &'static str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let ended = |ended: &Result<T>| vec![Outcome(ended.as_ref().err().cloned())];
        self.watch(name, call, ended).await
    }

    /// The same for a call whose items have outcomes of their own.
    pub async fn items<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<Vec<Result<T>>>>,
    ) -> Result<Vec<Result<T>>> {
        let ended = |ended: &Result<Vec<Result<T>>>| match ended {
            Ok(items) => items.iter().map(|item| Outcome(item.as_ref().err().cloned())).collect(),
            Err(e) => vec![Outcome(Some(e.clone()))],
        };
        self.watch(name, call, ended).await
    }

    /// Makes a portable call that must be refused as `kind` before anything is sent.
    pub async fn refused<T>(
        &self,
        name: &'static str,
        kind: ErrorKind,
        call: impl Future<Output = Result<T>>,
    ) -> Result<(), Failure> {
        let before = self.requests();
        let ended = self.step(name, call).await;
        hold(self.requests() == before, format!("`{name}` sends requests for what it must refuse"))?;
        match ended {
            Ok(_) => Err(Failure::Wrong(format!("`{name}` succeeds, and must be refused"))),
            Err(e) if (e.kind(), e.effect()) == (kind, Effect::NotSent) => Ok(()),
            Err(e) => Err(Failure::Wrong(format!(
                "`{name}` is refused as {} with the effect {}, not as {kind}",
                e.kind(),
                e.effect()
            ))),
        }
    }

    /// Every item of a list, once as the service cuts it and once in pages of `limit`: both must be the same.
    pub async fn all<'c, T: PartialEq + 'c>(
        &self,
        name: &'static str,
        limit: u32,
        list: impl Fn() -> Listing<'c, T>,
    ) -> Result<Vec<T>, Failure> {
        let whole = self.step(name, list().collect_up_to(LONGEST_LIST)).await?;
        let paged = self.step(name, list().limit(limit).collect_up_to(LONGEST_LIST)).await?;
        let (all, small) = (whole.len(), paged.len());
        hold(
            whole == paged,
            format!("`{name}` has {all} items, which differ from the {small} of small pages"),
        )?;
        Ok(whole)
    }

    /// Notes a value that must be the same when faults come between. Nothing that depends on the time.
    pub fn see(&self, label: &'static str, value: &impl Serialize) {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        let after = lock(&self.steps).len();
        lock(&self.seen).push(Seen { label, after, value });
    }

    /// How many requests went to the peer.
    pub fn requests(&self) -> usize {
        self.wire.sent().len()
    }

    /// How many changes the peer has written down.
    pub fn changes(&self) -> usize {
        self.wire.peer.ledger().changes().len()
    }

    async fn watch<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T>>,
        outcomes: impl FnOnce(&Result<T>) -> Vec<Outcome>,
    ) -> Result<T> {
        let (sent, changes) = (self.requests(), self.changes());
        let start = Instant::now();
        let ended = call.await;
        let step = Step {
            name,
            outcomes: outcomes(&ended),
            took: start.elapsed(),
            sent: self.wire.sent().split_off(sent),
            changes: self.wire.peer.ledger().changes().get(changes..).unwrap_or_default().to_vec(),
        };
        lock(&self.steps).push(step);
        ended
    }

    /// A failure in words, with the call that it came from.
    pub(super) fn told(&self, failure: &Failure) -> String {
        match (failure, lock(&self.steps).last()) {
            (Failure::Call(_), Some(step)) => format!("`{}`: {failure}", step.name),
            _ => failure.to_string(),
        }
    }
}

#[cfg(feature = "chaos")]
impl<C> Lab<C> {
    pub(crate) fn peer(&self) -> &dyn Peer {
        &*self.wire.peer
    }

    pub(crate) fn plan(&self, plan: Plan) {
        self.wire.peer.plan(plan);
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        lock(&self.steps).clone()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    /// Every secret that the client was given, with its setting, what it proved itself with, and what came on the way.
    pub(crate) fn secrets(&self) -> Vec<(String, String)> {
        let came = self.wire.credentials().into_iter().map(|(name, secret)| (name.to_owned(), secret));
        self.vault.given().into_iter().chain(came).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
