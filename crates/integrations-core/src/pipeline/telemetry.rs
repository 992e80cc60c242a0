//! Spans, events and counters of the pipeline. Metric labels are closed sets: provider, operation, outcome.
//! A tenant, an id or a URL never becomes a label; the tenant is a field of the span.

use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Owner;
use crate::error::{Error, ErrorKind};
use crate::op::Op;
use crate::timeline::WaitReason;

/// Upper bounds in seconds, as OpenTelemetry advises for HTTP durations; the last bucket has none.
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const BUCKETS: usize = BOUNDS.len() + 1;
/// Outcome 0 is success, then one per [`ErrorKind`].
const OUTCOMES: usize = ErrorKind::ALL.len() + 1;
const REASONS: [WaitReason; 6] = [
    WaitReason::VendorPause,
    WaitReason::RateLimit,
    WaitReason::TenantShare,
    WaitReason::Queue,
    WaitReason::Breaker,
    WaitReason::Backoff,
];

/// The counters of every operation that was called.
#[derive(Debug, Default)]
pub struct Metrics {
    ops: Mutex<Vec<Arc<OpMetrics>>>,
}

impl Metrics {
    /// The counters of one operation. Found once per handle, not per call.
    pub(crate) fn of(&self, op: &'static Op) -> Arc<OpMetrics> {
        let mut ops = self.ops.lock().unwrap_or_else(PoisonError::into_inner);
        // By name: Prometheus refuses a page on which two series have the same labels.
        if let Some(found) = ops.iter().find(|m| (m.op.provider, m.op.name) == (op.provider, op.name)) {
            return found.clone();
        }
        let new = Arc::new(OpMetrics::new(op));
        ops.push(new.clone());
        new
    }

    /// A consistent-enough reading of all counters: each counter is exact, two of them may be one call apart.
    pub fn snapshot(&self) -> Vec<OpSnapshot> {
        let ops = self.ops.lock().unwrap_or_else(PoisonError::into_inner);
        ops.iter().map(|m| m.snapshot()).collect()
    }

    /// All counters in Prometheus' text format 0.0.4.
    ///
    /// `integration_requests_total{provider,status}` counts calls by outcome (`ok` or an error kind);
    /// `integration_calls_total` has the operation too; `integration_attempts_total` counts what went over the
    /// wire; durations are in seconds.
    pub fn prometheus(&self) -> String {
        render(&self.snapshot())
    }
}

impl std::fmt::Debug for OpMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.op.name)
    }
}

/// The counters of one operation, spread over cores: two threads never write the same cache line.
pub(crate) struct OpMetrics {
    op: &'static Op,
    shards: Box<[Shard]>,
}

#[derive(Default)]
#[repr(align(128))]
struct Shard {
    /// Calls that succeeded at the first attempt: one call and one attempt in one write.
    clean: Durations,
    calls: Durations,
    attempts: Durations,
    call_outcomes: [AtomicU64; OUTCOMES],
    attempt_outcomes: [AtomicU64; OUTCOMES],
    retries: AtomicU64,
    hedges: AtomicU64,
    undecodable: AtomicU64,
    waits: [AtomicU64; REASONS.len()],
    waited_ns: [AtomicU64; REASONS.len()],
}

#[derive(Default)]
struct Durations {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

impl Durations {
    fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS - 1);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }
}

impl OpMetrics {
    fn new(op: &'static Op) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(16);
        Self { op, shards: (0..cores).map(|_| Shard::default()).collect() }
    }

    fn shard(&self) -> &Shard {
        &self.shards[thread_number() % self.shards.len()]
    }

    pub(crate) fn clean_call(&self, took: Duration) {
        self.shard().clean.observe(took);
    }

    pub(crate) fn call(&self, error: Option<ErrorKind>, took: Duration) {
        let shard = self.shard();
        shard.calls.observe(took);
        shard.call_outcomes[outcome(error)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn attempt(&self, error: Option<ErrorKind>, took: Duration) {
        let shard = self.shard();
        shard.attempts.observe(took);
        shard.attempt_outcomes[outcome(error)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retry(&self) {
        self.shard().retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn hedge(&self) {
        self.shard().hedges.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn undecodable(&self) {
        self.shard().undecodable.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn waited(&self, reason: WaitReason, for_: Duration) {
        let shard = self.shard();
        shard.waits[reason as usize].fetch_add(1, Ordering::Relaxed);
        shard.waited_ns[reason as usize].fetch_add(for_.as_nanos() as u64, Ordering::Relaxed);
    }

    fn snapshot(&self) -> OpSnapshot {
        let sum = |read: &dyn Fn(&Shard) -> &AtomicU64| -> u64 {
            self.shards.iter().map(|s| read(s).load(Ordering::Relaxed)).sum()
        };
        let histogram = |read: &dyn Fn(&Shard) -> &Durations| Histogram {
            buckets: std::array::from_fn(|i| sum(&|s| &read(s).buckets[i])),
            seconds: sum(&|s| &read(s).sum_ns) as f64 / 1e9,
        };
        let clean = histogram(&|s| &s.clean);
        let outcomes = |read: &dyn Fn(&Shard) -> &[AtomicU64; OUTCOMES]| {
            let mut counts: [u64; OUTCOMES] = std::array::from_fn(|i| sum(&|s| &read(s)[i]));
            counts[0] += clean.count();
            counts
        };
        OpSnapshot {
            op: self.op,
            calls: outcomes(&|s| &s.call_outcomes),
            attempts: outcomes(&|s| &s.attempt_outcomes),
            call_seconds: histogram(&|s| &s.calls).plus(&clean),
            attempt_seconds: histogram(&|s| &s.attempts).plus(&clean),
            retries: sum(&|s| &s.retries),
            hedges: sum(&|s| &s.hedges),
            undecodable: sum(&|s| &s.undecodable),
            waits: std::array::from_fn(|i| (sum(&|s| &s.waits[i]), sum(&|s| &s.waited_ns[i]) as f64 / 1e9)),
        }
    }
}

fn outcome(error: Option<ErrorKind>) -> usize {
    error.map_or(0, |kind| kind as usize + 1)
}

fn outcome_name(index: usize) -> &'static str {
    index.checked_sub(1).map_or("ok", |kind| ErrorKind::ALL[kind].as_str())
}

/// A small number of this thread, to pick its shard.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let mine = MINE.get();
    if mine != usize::MAX {
        return mine;
    }
    let new = NEXT.fetch_add(1, Ordering::Relaxed);
    MINE.set(new);
    new
}

/// A reading of one operation's counters.
#[derive(Debug, Clone)]
pub struct OpSnapshot {
    op: &'static Op,
    calls: [u64; OUTCOMES],
    attempts: [u64; OUTCOMES],
    call_seconds: Histogram,
    attempt_seconds: Histogram,
    retries: u64,
    hedges: u64,
    undecodable: u64,
    waits: [(u64, f64); REASONS.len()],
}

impl OpSnapshot {
    /// The operation.
    pub fn op(&self) -> &'static Op {
        self.op
    }

    /// Calls by outcome: `None` for success.
    pub fn calls(&self, error: Option<ErrorKind>) -> u64 {
        self.calls[outcome(error)]
    }

    /// All calls.
    pub fn calls_total(&self) -> u64 {
        self.calls.iter().sum()
    }

    /// Attempts by outcome: `None` for success.
    pub fn attempts(&self, error: Option<ErrorKind>) -> u64 {
        self.attempts[outcome(error)]
    }

    /// All attempts.
    pub fn attempts_total(&self) -> u64 {
        self.attempts.iter().sum()
    }

    /// Retries granted, without hedges and without repeats after a refresh. One that a later stage then held back is
    /// counted too.
    pub fn retries(&self) -> u64 {
        self.retries
    }

    /// Second attempts sent because the first was slow.
    pub fn hedges(&self) -> u64 {
        self.hedges
    }

    /// Calls whose answer was received (they count as successes above) but could not be understood.
    pub fn undecodable(&self) -> u64 {
        self.undecodable
    }

    /// How often calls waited for `reason`, and for how many seconds in all.
    pub fn waits(&self, reason: WaitReason) -> (u64, f64) {
        self.waits[reason as usize]
    }
}

#[derive(Debug, Clone)]
struct Histogram {
    buckets: [u64; BUCKETS],
    seconds: f64,
}

impl Histogram {
    fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    fn plus(mut self, other: &Self) -> Self {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
        self.seconds += other.seconds;
        self
    }
}

fn render(ops: &[OpSnapshot]) -> String {
    let mut text = String::new();
    requests_total(&mut text, ops);
    outcomes_total(&mut text, "integration_calls_total", "Calls by outcome.", ops, |op| &op.calls);
    outcomes_total(&mut text, "integration_attempts_total", "Attempts by outcome.", ops, |op| &op.attempts);
    durations(
        &mut text,
        "integration_call_duration_seconds",
        "Duration of calls, waits included.",
        ops,
        |op| &op.call_seconds,
    );
    durations(&mut text, "integration_attempt_duration_seconds", "Duration of attempts.", ops, |op| {
        &op.attempt_seconds
    });
    counter(&mut text, "integration_retries_total", "Retries granted.", ops, |op| op.retries);
    counter(&mut text, "integration_hedges_total", "Second attempts sent for slow first ones.", ops, |op| {
        op.hedges
    });
    counter(&mut text, "integration_undecodable_total", "Answers that could not be understood.", ops, |op| {
        op.undecodable
    });
    waits(&mut text, ops);
    text
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn requests_total(text: &mut String, ops: &[OpSnapshot]) {
    head(text, "integration_requests_total", "Calls by provider and outcome.", "counter");
    let mut providers: Vec<_> = ops.iter().map(|op| op.op.provider).collect();
    providers.sort_unstable();
    providers.dedup();
    for provider in providers {
        for index in 0..OUTCOMES {
            let of_provider = ops.iter().filter(|op| op.op.provider == provider);
            let count: u64 = of_provider.map(|op| op.calls[index]).sum();
            if count > 0 {
                let status = outcome_name(index);
                let _ = writeln!(
                    text,
                    "integration_requests_total{{provider=\"{provider}\",status=\"{status}\"}} {count}"
                );
            }
        }
    }
}

fn labels(op: &OpSnapshot) -> String {
    format!("provider=\"{}\",operation=\"{}\"", op.op.provider, op.op.name)
}

fn outcomes_total(
    text: &mut String,
    name: &str,
    help: &str,
    ops: &[OpSnapshot],
    read: fn(&OpSnapshot) -> &[u64; OUTCOMES],
) {
    head(text, name, help, "counter");
    for op in ops {
        for (index, count) in read(op).iter().enumerate().filter(|(_, count)| **count > 0) {
            let _ = writeln!(text, "{name}{{{},outcome=\"{}\"}} {count}", labels(op), outcome_name(index));
        }
    }
}

fn counter(text: &mut String, name: &str, help: &str, ops: &[OpSnapshot], read: fn(&OpSnapshot) -> u64) {
    head(text, name, help, "counter");
    for op in ops {
        let _ = writeln!(text, "{name}{{{}}} {}", labels(op), read(op));
    }
}

fn durations(
    text: &mut String,
    name: &str,
    help: &str,
    ops: &[OpSnapshot],
    read: fn(&OpSnapshot) -> &Histogram,
) {
    head(text, name, help, "histogram");
    for op in ops {
        let histogram = read(op);
        let labels = labels(op);
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(histogram.buckets) {
            below += count;
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
        }
        let count = histogram.count();
        let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
        let _ = writeln!(text, "{name}_sum{{{labels}}} {}", histogram.seconds);
        let _ = writeln!(text, "{name}_count{{{labels}}} {count}");
    }
}

fn waits(text: &mut String, ops: &[OpSnapshot]) {
    head(text, "integration_wait_seconds_total", "Time that calls waited, by reason.", "counter");
    for op in ops {
        for reason in REASONS {
            let (count, seconds) = op.waits(reason);
            if count > 0 {
                let _ = writeln!(
                    text,
                    "integration_wait_seconds_total{{{},reason=\"{}\"}} {seconds}",
                    labels(op),
                    reason.as_str()
                );
            }
        }
    }
}

/// The span of one call: what the user asked.
pub(crate) fn call_span(op: &'static Op, owner: &Owner) -> tracing::Span {
    tracing::info_span!(
        "integration.call",
        otel.name = %format_args!("{}.{}", op.provider, op.name),
        otel.kind = "internal",
        provider.id = op.provider,
        op.name = op.name,
        tenant = &*owner.scope.tenant,
        instance = &*owner.scope.instance,
        attempts = tracing::field::Empty,
        error.type = tracing::field::Empty,
    )
}

/// The span of one attempt, by OpenTelemetry's names for HTTP clients.
pub(crate) fn attempt_span(op: &'static Op, number: u32, call: &tracing::Span) -> tracing::Span {
    tracing::info_span!(
        parent: call,
        "integration.attempt",
        otel.name = %format_args!("{} {}", if op.method.is_empty() { op.provider } else { op.method }, op.path),
        otel.kind = "client",
        http.request.method = (!op.method.is_empty()).then_some(op.method),
        url.template = (!op.path.is_empty()).then_some(op.path),
        http.request.resend_count = (number > 1).then(|| number - 1),
        http.response.status_code = tracing::field::Empty,
        request_id = tracing::field::Empty,
        error.type = tracing::field::Empty,
    )
}

/// Notes the status on the span of the attempt that is under way.
pub(crate) fn answered(status: http::StatusCode) {
    tracing::Span::current().record("http.response.status_code", status.as_u16());
}

/// Notes a failed attempt on its span.
pub(crate) fn attempt_failed(span: &tracing::Span, error: &Error) {
    if let Some(status) = error.status() {
        span.record("http.response.status_code", status);
    }
    if let Some(id) = error.request_id() {
        span.record("request_id", id);
    }
    span.record("error.type", error.kind().as_str());
}

/// Logs a failed call: once, here. What the service decided is the caller's business and no cause for alarm.
pub(crate) fn call_failed(span: &tracing::Span, error: &Error, took: Duration) {
    span.record("attempts", error.attempts());
    span.record("error.type", error.kind().as_str());
    log(span, "call", error, Some(took.as_millis() as u64));
}

/// Logs an answer that its endpoint could not read: the call has ended well by then, so that nobody else does.
pub(crate) fn answer_unusable(error: &Error) {
    log(&tracing::Span::current(), "answer", error, None);
}

fn log(span: &tracing::Span, what: &str, error: &Error, duration_ms: Option<u64>) {
    let (provider, operation) = (error.provider(), error.operation());
    let (effect, attempt) = (error.effect().as_str(), error.attempts());
    // A level is part of an event's static data, hence two of them.
    macro_rules! event {
        ($level:ident, $verb:literal) => {
            tracing::$level!(
                parent: span, provider.id = provider, op.name = operation, effect, attempt, duration_ms,
                "{what} {}: {error}", $verb
            )
        };
    }
    if is_verdict(error.kind()) { event!(debug, "refused") } else { event!(warn, "failed") }
}

fn is_verdict(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidRequest
            | ErrorKind::Unsupported
            | ErrorKind::NotFound
            | ErrorKind::Conflict
            | ErrorKind::Precondition
            | ErrorKind::Declined
            | ErrorKind::Cancelled
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Safety;

    static OP: Op = Op::new("demo", "get", Safety::Read);

    #[test]
    fn a_clean_call_counts_as_one_call_and_one_attempt() {
        let metrics = Metrics::default();
        let op = metrics.of(&OP);
        op.clean_call(Duration::from_millis(7));
        op.attempt(Some(ErrorKind::Timeout), Duration::from_secs(20));
        op.call(Some(ErrorKind::Timeout), Duration::from_secs(20));
        op.waited(WaitReason::Backoff, Duration::from_millis(1500));
        let snapshot = &metrics.snapshot()[0];
        assert_eq!((snapshot.calls(None), snapshot.attempts(None)), (1, 1));
        assert_eq!(snapshot.calls(Some(ErrorKind::Timeout)), 1);
        let text = metrics.prometheus();
        for line in [
            "integration_requests_total{provider=\"demo\",status=\"ok\"} 1",
            "integration_requests_total{provider=\"demo\",status=\"timeout\"} 1",
            "integration_call_duration_seconds_bucket{provider=\"demo\",operation=\"get\",le=\"0.005\"} 0",
            "integration_call_duration_seconds_bucket{provider=\"demo\",operation=\"get\",le=\"0.01\"} 1",
            "integration_call_duration_seconds_bucket{provider=\"demo\",operation=\"get\",le=\"10\"} 1",
            "integration_call_duration_seconds_bucket{provider=\"demo\",operation=\"get\",le=\"+Inf\"} 2",
            "integration_attempt_duration_seconds_count{provider=\"demo\",operation=\"get\"} 2",
            "integration_wait_seconds_total{provider=\"demo\",operation=\"get\",reason=\"backoff\"} 1.5",
        ] {
            assert!(text.lines().any(|l| l == line), "missing {line} in\n{text}");
        }
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn two_operations_of_one_name_share_a_series() {
        static TWIN: Op = Op::new("demo", "get", Safety::Read);
        let metrics = Metrics::default();
        for op in [&OP, &TWIN] {
            metrics.of(op).clean_call(Duration::ZERO);
        }
        let text = metrics.prometheus();
        let series = text.lines().filter(|line| line.starts_with("integration_calls_total{")).count();
        assert_eq!((series, metrics.snapshot()[0].calls(None)), (1, 2));
    }

    #[test]
    fn counts_of_many_threads_add_up() {
        let metrics = Metrics::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let op = metrics.of(&OP);
                    (0..1000).for_each(|_| op.clean_call(Duration::ZERO));
                });
            }
        });
        assert_eq!(metrics.snapshot().len(), 1);
        assert_eq!(metrics.snapshot()[0].calls(None), 8000);
    }
}
