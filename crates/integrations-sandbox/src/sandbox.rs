//! One fake vendor, ready to be called.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http::{Request, Response};
use integrations_core::{Body, Clock, Exchange, Payload, Transport, TransportError};
use jiff::Timestamp;

use crate::{Answer, Call, FAKES, Fake, Known, Ledger, Plan, Vendor, World};

/// 2026-03-02T12:00:00Z: a sandbox's time begins here, so that what it answers does not depend on the day.
const START: i64 = 1_772_452_800;

/// One fake vendor. Clones are the same vendor.
#[derive(Clone)]
pub struct Sandbox {
    fake: Fake,
    seed: u64,
    clock: Clock,
    state: Arc<Mutex<State>>,
}

struct State {
    vendor: Box<dyn Vendor>,
    ledger: Ledger,
    random: fastrand::Rng,
    plan: Plan,
    faults: BTreeMap<&'static str, u64>,
    requests: u64,
}

impl State {
    fn new(fake: &Fake, seed: u64) -> Self {
        Self {
            vendor: (fake.make)(seed),
            ledger: Ledger::default(),
            random: fastrand::Rng::with_seed(seed),
            plan: Plan::none(),
            faults: BTreeMap::new(),
            requests: 0,
        }
    }
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

    /// Puts everything back into the first state. Its clock goes on.
    pub fn reset(&self) {
        *self.state() = State::new(&self.fake, self.seed);
    }

    /// Sets what goes wrong from now on.
    pub fn plan(&self, plan: Plan) {
        self.state().plan = plan;
    }

    /// How many requests went wrong, by [`Fault::kind`](crate::Fault::kind).
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.state().faults.clone()
    }

    /// How many requests have come, those that went wrong too.
    pub fn requests(&self) -> u64 {
        self.state().requests
    }

    /// What was changed so far.
    pub fn ledger(&self) -> Ledger {
        self.state().ledger.clone()
    }

    /// What is there in the first state.
    pub fn known(&self) -> Known {
        self.state().vendor.known()
    }

    /// What a client is set up with.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        self.state().vendor.settings()
    }

    /// The vendor's time, which a client should be given too.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Answers one request, and nothing goes wrong.
    pub fn answer(&self, call: &Call<'_>) -> Answer {
        let mut state = self.state();
        state.requests += 1;
        let State { vendor, ledger, random, .. } = &mut *state;
        let mut world = World { now: self.clock.now(), ledger, random, lags: false, loops: false };
        vendor.answer(call, &mut world)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Sandbox {
    async fn send(&self, request: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        let (head, body) = request.into_parts();
        let call = Call::new(&head.method, &head.uri, &head.headers, body.as_bytes().unwrap_or_default());
        let _ = self.state().plan.draw();
        Ok(response(self.answer(&call)))
    }
}

fn response(answer: Answer) -> Response<Payload> {
    let mut response = Response::new(Payload::Whole(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}
