//! One fake vendor, ready to be called.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use integrations_core::{Body, Clock, Exchange, Payload, Transport, TransportError, TransportFailure};
use jiff::Timestamp;

use crate::plan::Asked;
use crate::state::{Met, Seen, State};
use crate::{Answer, Call, FAKES, Fake, Known, Ledger, Plan};

/// 2026-03-02T12:00:00Z: a sandbox's time begins here, so that what it answers does not depend on the day.
const START: i64 = 1_772_452_800;

/// One fake vendor. Clones are the same vendor.
///
/// As a [`Transport`] it waits only on the runtime's clock: under a paused runtime a delay of an hour takes no time.
///
/// ```
/// use integrations_core::{Body, Exchange, Op, Safety, Transport};
/// use integrations_sandbox::*;
///
/// struct Bell(u32);
///
/// impl Vendor for Bell {
///     fn answer(&mut self, call: &Call<'_>, world: &mut World<'_>) -> Answer {
///         match (call.method.as_str(), call.segments().as_slice()) {
///             ("POST", ["ring"]) => {
///                 self.0 += 1;
///                 world.ledger.added("ring", self.0.to_string());
///                 Answer::json(200, &self.0.into())
///             }
///             _ => Answer::empty(404),
///         }
///     }
///
///     fn word(&self, trouble: Trouble) -> Option<Answer> {
///         matches!(trouble, Trouble::Broken(_)).then(|| Answer::empty(503))
///     }
///
///     fn settings(&self) -> Vec<(&'static str, String)> {
///         vec![("token", "t-1".to_owned())]
///     }
///
///     fn known(&self) -> Known {
///         Known::new()
///     }
/// }
///
/// static RING: Op = Op::new("bell", "ring", Safety::Once).http("POST", "/ring");
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
/// let bell = Sandbox::new(&Fake::new("bell", "demo", |_| Box::new(Bell(0))), 0);
/// bell.plan(Plan::script([Some(Fault::ResetAfter)]));
/// let ring = || {
///     let request = http::Request::post("https://bell.example/ring").body(Body::Empty)?;
///     Ok::<_, http::Error>(bell.send(request, Exchange::new(&RING, 1, std::time::Duration::from_secs(10))))
/// };
/// assert!(ring()?.await.is_err_and(|e| e.sent()));
/// assert_eq!(ring()?.await?.status(), 200);
/// // The first one rang too, though nobody was told.
/// assert_eq!(bell.ledger().changes().len(), 2);
/// assert_eq!(bell.faults()["reset_after"], 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Sandbox {
    fake: Fake,
    seed: u64,
    clock: Clock,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("provider", &self.fake.provider).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// A vendor in its first state. Its clock begins at 2026-03-02T12:00:00Z and moves with the runtime's.
    pub fn new(fake: &Fake, seed: u64) -> Self {
        let start = Timestamp::from_second(START).unwrap_or_default();
        Self {
            fake: *fake,
            seed,
            clock: Clock::virtual_from(start),
            state: Arc::new(Mutex::new(State::new(fake, seed))),
        }
    }

    /// The fake of a provider, if this build has it.
    pub fn of(provider: &str, seed: u64) -> Option<Self> {
        FAKES.iter().find(|fake| fake.provider == provider).map(|fake| Self::new(fake, seed))
    }

    /// The same with a clock that reads `start` now. With the present time as `start` it suits clients in other
    /// processes, which have only the system's clock. Clones made before keep their clock.
    #[must_use]
    pub fn starting(mut self, start: Timestamp) -> Self {
        self.clock = Clock::virtual_from(start);
        self
    }

    /// Puts everything back into the first state. Its clock goes on.
    pub fn reset(&self) {
        *self.state() = State::new(&self.fake, self.seed);
    }

    /// Sets what goes wrong from now on. A clock that was put wrong is right again.
    pub fn plan(&self, plan: Plan) {
        self.state().set_plan(plan);
    }

    /// How many requests went wrong, by [`Fault::kind`](crate::Fault::kind). A fault that this vendor cannot have, because it
    /// has no words for it or no credentials that change, is left out and not counted.
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.state().faults.clone()
    }

    /// How many requests have come, those that went wrong too.
    pub fn requests(&self) -> u64 {
        self.state().requests
    }

    /// The last exchanges, oldest first: at most 10,000.
    pub fn exchanges(&self) -> Vec<Seen> {
        self.state().seen.iter().copied().collect()
    }

    /// The largest number of an attempt, by operation.
    pub fn attempts(&self) -> BTreeMap<&'static str, u32> {
        self.state().attempts.clone()
    }

    /// What was changed so far.
    pub fn ledger(&self) -> Ledger {
        self.state().ledger.clone()
    }

    /// What is there in the first state.
    pub fn known(&self) -> Known {
        self.state().vendor.known()
    }

    /// What a client is set up with. After [`Fault::Rotated`](crate::Fault::Rotated) it has the new values: a source of
    /// secrets that asks here gets what a refresh would give.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        self.state().settings()
    }

    /// The vendor's time, which a client should be given too. [`Fault::ClockSkew`](crate::Fault::ClockSkew) does not show here.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// The id of the provider.
    pub fn provider(&self) -> &'static str {
        self.fake.provider
    }

    /// Answers one request, and nothing goes wrong.
    pub fn answer(&self, call: &Call<'_>) -> Answer {
        let now = self.clock.now();
        self.state().answer(call, now)
    }

    /// One request meets what the plan has for it. The kind of the fault is told too.
    pub(crate) fn meet(
        &self,
        call: &Call<'_>,
        exchange: Exchange,
        replayable: bool,
        served: bool,
    ) -> (Option<&'static str>, Met) {
        let now = self.clock.now();
        let own = served || exchange.op.provider == self.fake.provider;
        self.state().meet(call, &Asked { exchange, now, own, replayable, served })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After the time of its attempt an exchange that hangs ends, so that nothing hangs forever where no pipeline is.
const GRACE: Duration = Duration::from_secs(1);

#[async_trait]
impl Transport for Sandbox {
    async fn send(
        &self,
        request: Request<Body>,
        exchange: Exchange,
    ) -> Result<Response<Payload>, TransportError> {
        let (head, body) = request.into_parts();
        let replayable = body.can_replay();
        let body = collected(body).await?;
        let call = Call::new(&head.method, &head.uri, &head.headers, &body);
        let (_, met) = self.meet(&call, exchange, replayable, false);
        let failure = |failure, sent, message| Err(TransportError::new(failure, sent, message));
        match met {
            Met::Answered(answer, time) => {
                pass(time).await;
                Ok(response(answer))
            }
            Met::Refused => failure(TransportFailure::Connect, false, "no connection: connection refused"),
            Met::Reset => {
                failure(TransportFailure::Reset, true, "the connection broke before an answer arrived")
            }
            Met::Hangs => {
                pass(exchange.time_left.saturating_add(GRACE)).await;
                failure(TransportFailure::Timeout, true, "no answer ever came")
            }
        }
    }
}

async fn pass(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// A stream is read to its end first: a vendor acts on whole requests.
async fn collected(body: Body) -> Result<Bytes, TransportError> {
    let mut stream = body.into_stream();
    let mut whole = BytesMut::new();
    while let Some(chunk) = stream.chunk().await {
        let broken = |cause| {
            let message = "the body of the request broke off";
            TransportError::new(TransportFailure::BadRequest, false, message).with_source(cause)
        };
        whole.extend_from_slice(&chunk.map_err(broken)?);
    }
    Ok(whole.freeze())
}

fn response(answer: Answer) -> Response<Payload> {
    let mut response = Response::new(Payload::Whole(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}
