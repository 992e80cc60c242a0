//! What a process of the fleet works with, whatever keeps its tokens.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, Request, Response, Uri};
use integrations_core::pipeline::{Policy, Scope, Stages};
use integrations_core::{
    Authorize, Body, Caller, Endpoint, Error, Exchange, Op, Payload, Req, Result, Safety, Transport,
    TransportError, WireRequest, WireResponse,
};
use integrations_http::{HttpTransport, Proxy};
use serde_json::json;

use super::issuer::{Moment, PARENT, Pair, Process};
use super::service::{PROCESS_HEADER, STOP_HEADER};
use super::{control, vault};

/// The instance that all connections belong to.
pub(super) const INSTANCE: &str = "issuer";
/// Each waits as long as the store does.
const OPENINGS: u32 = 10;
/// A store waits up to this long before each operation, and again after it.
const STORE_DELAY_MS: u64 = 6;

/// What keeps the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Design {
    /// Ours.
    Vault,
    /// Refreshes when it is refused, and writes what it got: for one task this is right.
    Naive,
    /// One process, one lock for each connection, kept before it is used: right while it is alone.
    Alone,
}

impl Design {
    const ALL: [Self; 3] = [Self::Vault, Self::Naive, Self::Alone];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Vault => "vault",
            Self::Naive => "naive",
            Self::Alone => "alone",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|design| design.name() == name)
    }
}

/// Whether a connection can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Usable,
    ReauthRequired,
}

/// The connections of one store. A connection is named by the number of its family.
#[async_trait]
pub(super) trait Sessions: Send + Sync {
    /// Keeps the tokens that a connection begins with.
    async fn connect(&self, family: usize, first: Pair) -> Result<()>;

    /// Proves the calls of a connection.
    fn authorizer(&self, family: usize) -> Result<Arc<dyn Authorize>>;

    /// What is kept of a connection's state.
    async fn state(&self, family: usize) -> Result<State>;

    /// Leaves nothing of a connection in a store that others use, too.
    async fn forget(&self, family: usize) -> Result<()> {
        let _ = family;
        Ok(())
    }
}

/// Where a process finds everything, and who it is.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) design: Design,
    /// A path, or a URL; it may hold a password.
    pub(super) store: String, // tidy: not a secret, a database for tests
    /// A name of this run, so that runs can share a database.
    pub(super) run: String,
    pub(super) issuer: SocketAddr,
    pub(super) process: Process,
}

impl Place {
    /// Opens the store; a file that others hold is tried again.
    pub(super) async fn open(&self, way: &Arc<Way>) -> Result<Arc<dyn Sessions>> {
        let mut tries = 1;
        loop {
            let opened = match self.design {
                Design::Vault => vault::open(self, way).await,
                Design::Naive | Design::Alone => control::open(self, way).await,
            };
            match opened {
                Err(e) if e.is_retryable() && tries < OPENINGS => tries += 1,
                opened => return opened,
            }
        }
    }

    pub(super) fn base(&self) -> Result<Uri> {
        let base = format!("http://{}", self.issuer).parse();
        base.map_err(|_| Error::config("the issuer's address cannot be used"))
    }

    /// A caller for each connection. They share limits and breaker, as the users of one application do.
    pub(super) fn callers(
        &self,
        sessions: &dyn Sessions,
        way: &Arc<Way>,
        families: usize,
    ) -> Result<Vec<Caller>> {
        let mut policy = Policy::default();
        policy.total_timeout = Duration::from_secs(15);
        let pipeline = Stages::new().pipeline(Scope::new("acme", INSTANCE), policy)?;
        let base = self.base()?;
        let caller = |family| {
            let authorizer = sessions.authorizer(family)?;
            let caller = Caller::builder(base.clone(), way.clone(), pipeline.clone());
            Ok(caller.authorize(authorizer).build())
        };
        (0..families).map(caller).collect()
    }
}

static CALL: Op = Op::new("issuer", "call", Safety::Read).http("GET", "/api");

/// A call that needs a good access token.
pub(super) struct Call;

impl Endpoint for Call {
    type Output = ();
    const OP: &'static Op = &CALL;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base).path(["api"]).build()
    }

    fn response(&self, _: WireResponse) -> Result<()> {
        Ok(())
    }
}

/// The way to the issuer: says which process asks, and hears where it has to stop.
pub(super) struct Way {
    http: HttpTransport,
    process: Process,
    stop: Stop,
}

impl Way {
    pub(super) fn new(process: Process) -> Result<Arc<Self>> {
        let http = HttpTransport::builder().proxy(Proxy::none()).build()?;
        Ok(Arc::new(Self { http, process, stop: Stop::default() }))
    }

    pub(super) fn process(&self) -> Process {
        self.process
    }

    /// The issuer's answer is here.
    pub(super) fn hear(&self, answer: &HeaderMap) {
        self.stop.hear(answer);
    }

    /// Tokens are about to be stored.
    pub(super) async fn storing(&self, family: usize) {
        self.stop.pass(Moment::Answered, family).await;
    }

    /// The store has them. The parent is told, unless this is the parent.
    pub(super) async fn stored(&self, family: usize) {
        if self.process != PARENT {
            super::child::say(&json!({ "kept": family }));
        }
        self.stop.pass(Moment::Stored, family).await;
    }
}

#[async_trait]
impl Transport for Way {
    async fn send(
        &self,
        mut request: Request<Body>,
        exchange: Exchange,
    ) -> std::result::Result<Response<Payload>, TransportError> {
        request.headers_mut().insert(PROCESS_HEADER, self.process.into());
        let answer = self.http.send(request, exchange).await?;
        self.hear(answer.headers());
        Ok(answer)
    }
}

/// Where this process has to stop: at a moment of one connection's refresh.
#[derive(Default)]
struct Stop(Mutex<Option<(Moment, usize)>>);

impl Stop {
    fn hear(&self, answer: &HeaderMap) {
        let told = answer.get(STOP_HEADER).and_then(|value| value.to_str().ok()?.split_once(' '));
        if let Some((moment, family)) = told {
            let told = Moment::parse(moment).zip(family.parse().ok());
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = told;
        }
    }

    /// What has to stop here says so and waits for its end.
    async fn pass(&self, moment: Moment, family: usize) {
        let told = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told == Some((moment, family)) {
            super::child::say(&json!({ "stopped": moment.name() }));
            std::future::pending::<()>().await;
        }
    }
}

/// A slow store.
pub(super) async fn store_delay() {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(..=STORE_DELAY_MS))).await;
}
