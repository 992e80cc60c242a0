//! How a client of a provider is opened for a case: over a peer, with what the peer says a client is set up with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderMap, LOCATION};
use http::{Method, Request, Response, Uri};
use integrations_core::pipeline::{Policy, Scope, Stages};
use integrations_core::provider::ProviderSpec;
use integrations_core::secret::SecretStore;
use integrations_core::setup::{Setup, Value};
use integrations_core::{
    Body, Clock, Effect, Error, ErrorKind, Exchange, Op, Payload, Result, Safety, SecretRef, SecretString,
    Transport, TransportError,
};
use integrations_sandbox::{Call, Fake, Known, Ledger, Plan, Sandbox};

use super::{Boxed, Lab};

/// The other side of a case: it answers, it says what it has, and it keeps a ledger. A [`Sandbox`] is one; a driver of
/// your own may bring its own.
#[async_trait]
pub trait Peer: Transport {
    /// What is there in the first state.
    fn known(&self) -> Known;

    /// What was changed so far.
    fn ledger(&self) -> Ledger;

    /// What a client is set up with at present. Values of settings that the provider's facts call secret, or do not
    /// name, are secrets.
    fn settings(&self) -> Vec<(&'static str, String)>;

    /// The peer's time.
    fn clock(&self) -> Clock;

    /// Sets what goes wrong from now on.
    fn plan(&self, plan: Plan);

    /// How many requests went wrong, by kind.
    fn faults(&self) -> BTreeMap<&'static str, u64>;

    /// Where a browser that opens an address is sent (`Location`); `None` if it is sent nowhere. It has no credentials,
    /// follows nothing, and no fault is meant for it.
    async fn browse(&self, address: &Uri) -> Result<Option<String>> {
        let request = Request::get(address.clone()).body(Body::Empty);
        let request = request.map_err(|_| Error::invalid_request("no browser can open this address"))?;
        let answer = self.send(request, Exchange::new(&BROWSE, 1, PATIENCE)).await.map_err(|e| {
            Error::new(ErrorKind::Unavailable, Effect::Unknown, "the browser gets no answer").with_source(e)
        })?;
        Ok(location(answer.headers()))
    }
}

/// What a browser sends is nobody's operation.
static BROWSE: Op = Op::new("browser", "open", Safety::Read);

/// So long a browser waits.
const PATIENCE: Duration = Duration::from_secs(30);

fn location(headers: &HeaderMap) -> Option<String> {
    headers.get(LOCATION).and_then(|address| address.to_str().ok()).map(str::to_owned)
}

#[async_trait]
impl Peer for Sandbox {
    fn known(&self) -> Known {
        Self::known(self)
    }

    fn ledger(&self) -> Ledger {
        Self::ledger(self)
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        Self::settings(self)
    }

    fn clock(&self) -> Clock {
        Self::clock(self)
    }

    fn plan(&self, plan: Plan) {
        Self::plan(self, plan);
    }

    fn faults(&self) -> BTreeMap<&'static str, u64> {
        Self::faults(self)
    }

    async fn browse(&self, address: &Uri) -> Result<Option<String>> {
        let headers = HeaderMap::new();
        Ok(location(&self.answer(&Call::new(&Method::GET, address, &headers, b"")).headers))
    }
}

type Open<C> = dyn Fn(&Setup) -> Result<C> + Send + Sync;
type Make = dyn Fn() -> Arc<dyn Peer> + Send + Sync;

/// How clients of a provider are made, each over a new peer. Cheap to clone.
pub struct Harness<C> {
    spec: &'static ProviderSpec,
    peer: Arc<Make>,
    open: Arc<Open<C>>,
    policy: Policy,
}

impl<C> Clone for Harness<C> {
    fn clone(&self) -> Self {
        Self {
            spec: self.spec,
            peer: self.peer.clone(),
            open: self.open.clone(),
            policy: self.policy.clone(),
        }
    }
}

impl<C> fmt::Debug for Harness<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness").field("provider", &self.spec.id).finish_non_exhaustive()
    }
}

impl<C: 'static> Harness<C> {
    /// Clients over the provider's fake.
    pub fn new(
        spec: &'static ProviderSpec,
        fake: &'static Fake,
        open: impl Fn(&Setup) -> Result<C> + Send + Sync + 'static,
    ) -> Self {
        Self::over(spec, move || Arc::new(Sandbox::new(fake, 0)), open)
    }

    /// Clients over a peer of one's own; `peer` makes one in its first state.
    pub fn over(
        spec: &'static ProviderSpec,
        peer: impl Fn() -> Arc<dyn Peer> + Send + Sync + 'static,
        open: impl Fn(&Setup) -> Result<C> + Send + Sync + 'static,
    ) -> Self {
        Self { spec, peer: Arc::new(peer), open: Arc::new(open), policy: Policy::default() }
    }

    /// Sets the policy of the clients' calls, which chaos judges them by. Default: the default one.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The provider's facts.
    pub fn spec(&self) -> &'static ProviderSpec {
        self.spec
    }

    #[cfg(feature = "chaos")]
    pub(crate) fn limits(&self) -> &Policy {
        &self.policy
    }

    /// A client over a new peer. Within a runtime whose time is virtual.
    pub(crate) fn lab(&self) -> Result<Lab<C>> {
        let wire =
            Arc::new(Wire { peer: (self.peer)(), sent: Mutex::default(), credentials: Mutex::default() });
        let vault = Arc::new(Vault { peer: wire.peer.clone(), given: Mutex::default() });
        let pipeline = Stages::new().pipeline(Scope::new("", self.spec.id), self.policy.clone())?;
        let mut setup = Setup::new(self.spec)
            .transport(wire.clone())
            .clock(wire.peer.clock())
            .pipeline(pipeline)
            .secrets(vault.clone());
        for (name, text) in wire.peer.settings() {
            setup = setup.set(name, vault.value(self.spec, name, &text)?);
        }
        Ok(Lab::new((self.open)(&setup)?, wire, vault))
    }
}

/// Runs a future on a runtime of its own, whose time is virtual and whose only thread is this one.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let future: Boxed<'_, T> = Box::pin(future);
    match tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build() {
        Ok(runtime) => runtime.block_on(future),
        Err(e) => unreachable!("a runtime without I/O needs nothing of the system: {e}"),
    }
}

/// One request that went to the peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) op: &'static Op,
    pub(crate) attempt: u32,
}

/// The way to the peer, which notes what passes.
pub(super) struct Wire {
    pub(super) peer: Arc<dyn Peer>,
    sent: Mutex<Vec<Sent>>,
    /// What requests proved themselves with, and what a case was given on the way, each once.
    credentials: Mutex<Vec<(&'static str, String)>>,
}

impl Wire {
    pub(super) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn credentials(&self) -> Vec<(&'static str, String)> {
        self.credentials.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note(&self, name: &'static str, secret: &str) {
        let mut known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        if !secret.is_empty() && !known.iter().any(|(_, known)| known == secret) {
            known.push((name, secret.to_owned()));
        }
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(
        &self,
        request: Request<Body>,
        exchange: Exchange,
    ) -> Result<Response<Payload>, TransportError> {
        let sent = Sent { op: exchange.op, attempt: exchange.attempt };
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
        if let Some(header) = request.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok()) {
            // What follows the scheme (RFC 9110 section 11.4).
            self.note("authorization", header.split_once(' ').map_or(header, |(_, rest)| rest));
        }
        self.peer.send(request, exchange).await
    }
}

/// The peer's settings as a secret store: a credential that was rotated is found there, as it would be in a vault.
pub(super) struct Vault {
    peer: Arc<dyn Peer>,
    /// Every secret that left here.
    given: Mutex<Vec<(String, String)>>,
}

impl Vault {
    fn value(&self, spec: &'static ProviderSpec, name: &str, text: &str) -> Result<Value> {
        if let Some(setting) = spec.setting(name).filter(|setting| !setting.is_secret()) {
            return Value::parse(setting.kind, text);
        }
        self.note(name, text);
        let found = SecretRef::Vault { path: name.to_owned(), key: None };
        Ok(Value::Secret { secret: SecretString::from(text), found })
    }

    fn note(&self, name: &str, text: &str) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if !given.iter().any(|(_, known)| known == text) {
            given.push((name.to_owned(), text.to_owned()));
        }
    }

    /// Every secret that left here, with its setting.
    pub(super) fn given(&self) -> Vec<(String, String)> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl SecretStore for Vault {
    async fn get(&self, reference: &SecretRef) -> Result<SecretString> {
        let SecretRef::Vault { path, .. } = reference else {
            return Err(Error::config("this store has entries alone"));
        };
        let present = self.peer.settings().into_iter().find(|(name, _)| name == path);
        let (_, text) = present.ok_or_else(|| Error::config(format!("there is no entry `{path}`")))?;
        self.note(path, &text);
        Ok(SecretString::from(text))
    }
}
