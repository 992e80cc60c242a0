//! `rotation`: credentials are replaced while calls are made with them, and no call fails for it.
//!
//! A vendor replaces its token every 200 ms for a minute, while 2,000 calls per second are made by a caller as it is
//! shipped. The runs ([`CASES`]) differ in how long the vendor accepts the token before, in when the new one can be had,
//! and in where from: a store that is read when a call is refused, or every 100 ms; a file that is replaced by `rename`;
//! pushed. The controls have the same vendors: one reads its token at its start, one before each call, and neither makes
//! a refused call again.
//!
//! Where the vendor knows the old token no more and the new one cannot be had yet, nobody has a token that works:
//! tokens that come late are shown with an overlap alone.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, Uri};
use integrations_core::pipeline::{Policy, Scope, Stages};
use integrations_core::secret::{LocalSecrets, SecretStore, Watch};
use integrations_core::{
    Authorize, Bearer, Body, Caller, Endpoint, Error, Exchange, LiveSecret, Op, Payload, Req, Result, Safety,
    SecretRef, SecretString, Transport, TransportError, WireRequest, WireResponse,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::report::{Report, rounded};

static CALL: Op = Op::new("gate", "call", Safety::Read).http("GET", "/");

const PERIOD: Duration = Duration::from_millis(200);
const LENGTH: Duration = Duration::from_secs(60);
const CALLS_PER_SECOND: u32 = 2_000;
/// To the vendor, and as long back, drawn anew for each way.
const TRAVEL_MS: std::ops::Range<u64> = 2..15;
const SECOND: Duration = Duration::from_secs(1);
const LAG: Duration = Duration::from_millis(100);
const RARELY: Duration = Duration::from_secs(30);
const OFTEN: Duration = Duration::from_millis(100);

/// One vendor, and one way to its tokens.
struct Case {
    name: &'static str,
    /// How long the vendor accepts the token before.
    overlap: Duration,
    /// How long after its time the vendor accepts a token; it can be had before.
    ahead: Duration,
    /// How long after its time a token can be had.
    late: Duration,
    from: From,
    /// The largest shares of failed calls and of calls that were made twice that are no regression.
    failed: f64,
    twice: f64,
}

#[derive(Clone, Copy)]
enum From {
    Store { max_age: Duration },
    File,
    Pushed,
}

const OVERLAP: Case = Case {
    name: "overlap",
    overlap: SECOND,
    ahead: Duration::ZERO,
    late: Duration::ZERO,
    from: From::Store { max_age: RARELY },
    failed: 0.0,
    twice: 0.02,
};
const NONE: Case = Case { name: "no_overlap", overlap: Duration::ZERO, twice: 0.08, ..OVERLAP };
const AHEAD: Case = Case { name: "ahead", ahead: LAG, ..NONE };

/// The shares are those measured, with some room. `ahead_read_often` alone has calls that fail: a token that is read less
/// than two journeys before the vendor accepts it is refused, and by the time the call comes back with the token before,
/// that one has ended. A third attempt would help; a call has one for credentials.
const CASES: [Case; 8] = [
    OVERLAP,
    Case { name: "overlap_read_often", from: From::Store { max_age: OFTEN }, twice: 0.0, ..OVERLAP },
    NONE,
    Case { name: "no_overlap_file", from: From::File, ..NONE },
    AHEAD,
    Case { name: "ahead_pushed", from: From::Pushed, twice: 0.13, ..AHEAD },
    Case {
        name: "ahead_read_often",
        from: From::Store { max_age: OFTEN },
        twice: 0.13,
        failed: 0.01,
        ..AHEAD
    },
    Case { name: "late_overlap", late: LAG, ..OVERLAP },
];

/// The controls fail at least so many calls at a vendor without overlap.
const CONTROL_FAILED: f64 = 0.02;

/// Runs all cases, ours and the controls.
pub(crate) fn prove() -> Report {
    let ours: Vec<(&Case, Figures)> = CASES.iter().map(|case| (case, run(case, Client::Live))).collect();
    let controls = [("read_once", Client::ReadOnce), ("read_each_time", Client::ReadEachTime)]
        .map(|(name, client)| (name, run(&NONE, client), run(&AHEAD, client)));
    let good = ours.iter().all(|(case, got)| case.holds(got));
    let shown = controls
        .iter()
        .all(|(_, none, ahead)| none.failed_share().min(ahead.failed_share()) >= CONTROL_FAILED);
    let rows = ours.iter().map(|(case, got)| (case.name.to_owned(), got.row(case.holds(got))));
    let naive = controls.iter().map(|(name, none, ahead)| {
        ((*name).to_owned(), json!({ "no_overlap": none.row(false), "ahead": ahead.row(false) }))
    });
    Report {
        proof: "rotation",
        pass: good && shown,
        story: story(&ours, &controls),
        injected: injected(),
        ours: rows.collect(),
        control: naive.collect(),
    }
}

fn story(ours: &[(&Case, Figures)], controls: &[(&str, Figures, Figures)]) -> Vec<String> {
    let line = |who: &str, vendor: &str, got: &Figures| {
        format!(
            "{who}, {vendor}: {} calls, {} failed, at most {} attempts, made twice {}, source read {} times",
            got.calls,
            got.failed,
            got.most_attempts,
            rounded(got.twice_share()),
            got.reads,
        )
    };
    let mut story = vec![format!(
        "injected: a token that is replaced every {} ms for {} s, {CALLS_PER_SECOND} calls per second",
        PERIOD.as_millis(),
        LENGTH.as_secs(),
    )];
    story.extend(ours.iter().map(|(case, got)| line("ours", case.name, got)));
    for (name, none, ahead) in controls {
        story.extend([line(name, NONE.name, none), line(name, AHEAD.name, ahead)]);
    }
    story
}

fn injected() -> Value {
    json!({
        "replaced_every_ms": PERIOD.as_millis() as u64,
        "virtual_s": LENGTH.as_secs(),
        "calls_per_s": CALLS_PER_SECOND,
        "travel_ms_each_way": [TRAVEL_MS.start, TRAVEL_MS.end - 1],
        "overlap_ms": SECOND.as_millis() as u64,
        "ahead_or_late_ms": LAG.as_millis() as u64,
    })
}

impl Case {
    fn holds(&self, got: &Figures) -> bool {
        got.most_attempts <= 2
            && got.failed_share() <= self.failed
            && got.twice_share() <= self.twice
            && got.calls == u64::from(CALLS_PER_SECOND) * LENGTH.as_secs()
    }

    fn accepts(&self, token: &str, at: Duration) -> bool {
        let Some(begin) = number(token).map(|n| n * PERIOD + self.ahead) else { return false };
        // The first token of all is known from the start.
        let begin = if number(token) == Some(0) { Duration::ZERO } else { begin };
        let end = number(token).map_or(begin, |n| (n + 1) * PERIOD + self.ahead + self.overlap);
        (begin..end).contains(&at)
    }

    /// What can be had at a time.
    fn token(&self, at: Duration) -> String {
        token(at.saturating_sub(self.late))
    }
}

fn token(at: Duration) -> String {
    format!("t-{}", at.as_millis() / PERIOD.as_millis())
}

fn number(token: &str) -> Option<u32> {
    token.strip_prefix("t-")?.parse().ok()
}

#[derive(Debug, Default)]
struct Figures {
    calls: u64,
    failed: u64,
    twice: u64,
    most_attempts: u32,
    reads: u64,
}

impl Figures {
    fn failed_share(&self) -> f64 {
        self.failed as f64 / self.calls.max(1) as f64
    }

    fn twice_share(&self) -> f64 {
        self.twice as f64 / self.calls.max(1) as f64
    }

    fn row(&self, holds: bool) -> Value {
        json!({
            "holds": holds,
            "calls": self.calls,
            "failed": self.failed,
            "max_attempts": self.most_attempts,
            "made_twice": rounded(self.twice_share()),
            "reads": self.reads,
        })
    }
}

#[derive(Clone, Copy)]
enum Client {
    Live,
    ReadOnce,
    ReadEachTime,
}

fn run(case: &'static Case, client: Client) -> Figures {
    fastrand::seed(7);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O needs nothing that can fail").block_on(drive(case, client))
}

async fn drive(case: &'static Case, client: Client) -> Figures {
    let source = Source { case, start: Instant::now() };
    let file = TokenFile::new();
    let key = source.key(&file);
    let authorize: Arc<dyn Authorize> = match client {
        Client::Live => Arc::new(Bearer::new(key.clone())),
        Client::ReadOnce => Arc::new(Bearer::new(SecretString::from(token(Duration::ZERO)))),
        Client::ReadEachTime => Arc::new(ReadEachTime(source.clone())),
    };
    let pipeline = Stages::new().pipeline(Scope::new("", "gate_main"), Policy::default());
    let gate = Gate(source.clone());
    let base = Uri::from_static("https://gate.example");
    let caller = Caller::builder(base, Arc::new(gate), pipeline.expect("the default policy is valid"));
    let caller = caller.authorize(authorize).build();
    let rotation = tokio::spawn(source.clone().rotate(key.clone(), file.path.clone()));
    let tally = Arc::new(Mutex::new(Figures::default()));
    for n in 0..CALLS_PER_SECOND * LENGTH.as_secs() as u32 {
        sleep_until(source.start + n * SECOND / CALLS_PER_SECOND).await;
        let (caller, tally) = (caller.clone(), tally.clone());
        tokio::spawn(async move {
            let made = caller.call(&Call).await;
            let attempts = made.as_ref().map_or_else(Error::attempts, |attempts| *attempts);
            let mut tally = lock(&tally);
            tally.calls += 1;
            tally.failed += u64::from(made.is_err());
            tally.twice += u64::from(attempts > 1);
            tally.most_attempts = tally.most_attempts.max(attempts);
        });
    }
    sleep(SECOND).await;
    rotation.abort();
    let mut figures = std::mem::take(&mut *lock(&tally));
    figures.reads = key.counts().reads;
    figures
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the tokens of one case can be had.
#[derive(Clone)]
struct Source {
    case: &'static Case,
    start: Instant,
}

impl Source {
    /// The client's key, as its case says.
    fn key(&self, file: &TokenFile) -> LiveSecret {
        let first = SecretString::from(token(Duration::ZERO));
        match self.case.from {
            From::Pushed => first.into(),
            From::Store { max_age } => {
                let reference = SecretRef::Vault { path: "gate".to_owned(), key: None };
                LiveSecret::watch(first, reference, Arc::new(self.clone()), Watch::default().max_age(max_age))
            }
            From::File => {
                file.replace(first.expose());
                let (reference, store) = (SecretRef::File(file.path.clone()), LocalSecrets::new(|_| None));
                LiveSecret::watch(first, reference, Arc::new(store), Watch::default())
            }
        }
    }

    /// Replaces what does not look at the time by itself.
    async fn rotate(self, key: LiveSecret, path: PathBuf) {
        for n in 1_u32.. {
            sleep_until(self.start + n * PERIOD + self.case.late).await;
            let token = token(n * PERIOD);
            match self.case.from {
                From::Store { .. } => return,
                From::File => replace(&path, &token),
                From::Pushed => key.set(token).expect("it is not empty"),
            }
        }
    }
}

#[async_trait]
impl SecretStore for Source {
    async fn get(&self, _: &SecretRef) -> Result<SecretString> {
        sleep(Duration::from_millis(1)).await;
        Ok(self.case.token(self.start.elapsed()).into())
    }
}

struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    fn new() -> Self {
        let name = format!("integrations-prove-rotation-{}-{:x}", std::process::id(), fastrand::u64(..));
        Self { path: std::env::temp_dir().join(name) }
    }

    fn replace(&self, token: &str) {
        replace(&self.path, token);
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// So that a reader sees the old content or the new one, and nothing between them.
fn replace(path: &Path, token: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, token)
        .and_then(|()| std::fs::rename(&beside, path))
        .expect("there is a folder for files");
}

/// The control that asks for the token before each call, and leaves it at a refusal.
struct ReadEachTime(Source);

#[async_trait]
impl Authorize for ReadEachTime {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        let token = self.0.case.token(self.0.start.elapsed());
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        request.headers_mut().insert(AUTHORIZATION, value.expect("letters and digits"));
        Ok(())
    }
}

struct Call;

impl Endpoint for Call {
    type Output = u32;
    const OP: &'static Op = &CALL;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base).build()
    }

    fn response(&self, response: WireResponse) -> Result<u32> {
        response.json()
    }
}

/// The vendor. It answers with the number of the attempt.
struct Gate(Source);

#[async_trait]
impl Transport for Gate {
    async fn send(
        &self,
        request: Request<Body>,
        exchange: Exchange,
    ) -> Result<Response<Payload>, TransportError> {
        sleep(Duration::from_millis(fastrand::u64(TRAVEL_MS))).await;
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let good = self.0.case.accepts(token, self.0.start.elapsed());
        sleep(Duration::from_millis(fastrand::u64(TRAVEL_MS))).await;
        let mut response = Response::new(Payload::Whole(exchange.attempt.to_string().into()));
        if !good {
            *response.status_mut() = http::StatusCode::UNAUTHORIZED;
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_vendor_accepts_each_token_for_its_time() {
        for (case, from, to) in [(&NONE, 400, 600), (&OVERLAP, 400, 1_600), (&AHEAD, 500, 700)] {
            for (at, good) in [(from - 1, false), (from, true), (to - 1, true), (to, false)] {
                assert_eq!(case.accepts("t-2", ms(at)), good, "{} at {at}", case.name);
            }
            assert!(!case.accepts("x", ms(from)));
        }
        assert!(AHEAD.accepts("t-0", ms(0)));
        assert_eq!([0, 199, 200].map(|at| token(ms(at))), ["t-0", "t-0", "t-1"]);
    }
}
