//! How calls fared lately: passive health, from the traffic there is.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// The weight of the newest answer in the moving averages: about the last 32 count.
const NEWEST: f32 = 1.0 / 32.0;

/// What is older than this by one more time counts a third of what it did.
const MEMORY: Duration = Duration::from_mins(1);

/// While all is well, answers that come faster than this, in nanoseconds, are not all counted.
const OFTEN: u64 = 50_000_000;

/// From this part on, a further success changes nothing.
const ALL_WELL: f32 = 0.999;

/// An average over more answers than this says no more.
const WINDOW: u64 = 32;

/// What the calls of one tenant at one instance showed. Written by every attempt without a lock: two answers at the same
/// moment may count as one.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Recorder {
    /// The part of answers that were as they should be, and their mean time in microseconds: two `f32`.
    averages: AtomicU64,
    answers: AtomicU64,
    /// Nanoseconds of the stages' clock, plus one; 0 for never.
    last_call: AtomicU64,
    last_error: Mutex<Option<Box<Noted>>>,
}

#[derive(Debug, Clone)]
struct Noted {
    at: u64,
    error: LastError,
}

/// A failure that speaks of the service, without anything that could be data.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastError {
    /// What kind it was.
    pub kind: ErrorKind,
    /// The operation that failed.
    pub operation: &'static str,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The service's own code, if it gave one.
    pub code: Option<String>,
    /// Whether the call left the process; otherwise one of our own stages refused it.
    pub sent: bool,
    /// How long ago that was.
    pub ago: Duration,
}

/// How the calls of one tenant at one instance, or of all tenants there, fared lately.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Pulse {
    /// The part of the last answers that were as they should be, 0 to 1; `None` before the first. What the caller did
    /// wrong, and what the service declined, is as it should be.
    pub success_rate: Option<f64>,
    /// The mean time of the last answers.
    pub latency: Option<Duration>,
    /// How many answers are behind the averages: while all is well, at most 20 per second are counted.
    pub answers: u64,
    /// How long ago the last one was.
    pub last_call: Option<Duration>,
    /// The last failure that speaks of the service.
    pub last_error: Option<LastError>,
}

impl Recorder {
    /// Notes an answer that was as it should be. While all are, one in a while is enough: what is written by every call
    /// has to go from core to core.
    #[inline]
    pub(crate) fn answered(&self, took: Duration, now: u64) {
        let since = (now + 1).saturating_sub(self.last_call.load(Relaxed));
        if since >= OFTEN || unpack(self.averages.load(Relaxed)).0 < ALL_WELL {
            self.count(1.0, took, now);
        }
    }

    /// Notes a failed attempt.
    pub(crate) fn failed(&self, error: &Error, operation: &'static str, took: Duration, now: u64) {
        if !speaks_of_the_service(error.kind()) {
            return self.answered(took, now);
        }
        self.count(0.0, took, now);
        self.note(error, operation, true, now);
    }

    /// Notes a call that one of our own stages refused.
    pub(crate) fn refused(&self, error: &Error, operation: &'static str, now: u64) {
        if speaks_of_the_service(error.kind()) {
            self.note(error, operation, false, now);
        }
    }

    pub(crate) fn read(&self, now: u64) -> Pulse {
        let answers = self.answers.load(Relaxed);
        let (rate, micros) = unpack(self.averages.load(Relaxed));
        let ago = |at: u64| Duration::from_nanos(now.saturating_sub(at));
        let noted = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Pulse {
            success_rate: (answers > 0).then_some(f64::from(rate)),
            latency: (answers > 0).then(|| Duration::from_nanos((f64::from(micros) * 1e3) as u64)),
            answers,
            last_call: self.last_call.load(Relaxed).checked_sub(1).map(ago),
            last_error: noted.map(|noted| LastError { ago: ago(noted.at), ..noted.error }),
        }
    }

    #[inline]
    fn count(&self, success: f32, took: Duration, now: u64) {
        let micros = took.as_nanos() as f32 / 1e3;
        let answers = self.answers.load(Relaxed);
        let averages = if answers == 0 {
            (success, micros)
        } else {
            let newest = self.weight_of_newest(now);
            let (rate, mean) = unpack(self.averages.load(Relaxed));
            (rate + (success - rate) * newest, mean + (micros - mean) * newest)
        };
        self.averages.store(pack(averages), Relaxed);
        self.answers.store(answers + 1, Relaxed);
        self.last_call.store(now + 1, Relaxed);
    }

    /// The longer nothing came, the less what was before says.
    fn weight_of_newest(&self, now: u64) -> f32 {
        let gap = Duration::from_nanos(now.saturating_sub(self.last_call.load(Relaxed)));
        if gap < MEMORY / 32 { NEWEST } else { NEWEST.max(1.0 - part_left(gap)) }
    }

    fn note(&self, error: &Error, operation: &'static str, sent: bool, now: u64) {
        let error = LastError {
            kind: error.kind(),
            operation,
            status: error.status(),
            code: error.code().map(str::to_owned),
            sent,
            ago: Duration::ZERO,
        };
        let noted = Some(Box::new(Noted { at: now, error }));
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = noted;
    }
}

impl Pulse {
    /// Both as one: averages weighed by how many answers are behind them and how much older one's last answer is than the
    /// other's, the later of each event.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let latest = [self.last_call, other.last_call].into_iter().flatten().min().unwrap_or_default();
        let weights = [&self, &other].map(|pulse| {
            let later = pulse.last_call.unwrap_or_default().saturating_sub(latest);
            pulse.answers.min(WINDOW) as f64 * f64::from(part_left(later))
        });
        let mean = |values: [Option<f64>; 2]| match values {
            [Some(a), Some(b)] => Some((a * weights[0] + b * weights[1]) / (weights[0] + weights[1])),
            [a, b] => a.or(b),
        };
        let latencies = [self.latency, other.latency].map(|latency| latency.map(|l| l.as_secs_f64()));
        let last_error = match (self.last_error, other.last_error) {
            (Some(a), Some(b)) => Some(if a.ago <= b.ago { a } else { b }),
            (a, b) => a.or(b),
        };
        Self {
            success_rate: mean([self.success_rate, other.success_rate]),
            latency: mean(latencies).map(Duration::from_secs_f64),
            answers: self.answers.saturating_add(other.answers),
            last_call: [self.last_call, other.last_call].into_iter().flatten().min(),
            last_error,
        }
    }
}

/// Whether an error says something about the service, and not about what was asked of it.
fn speaks_of_the_service(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Timeout
            | ErrorKind::Unavailable
            | ErrorKind::Transport
            | ErrorKind::CircuitOpen
            | ErrorKind::RateLimited
            | ErrorKind::QuotaExhausted
            | ErrorKind::Unauthenticated
            | ErrorKind::ReauthRequired
            | ErrorKind::Decode
            | ErrorKind::Unexpected
    )
}

/// How much what was known before a time counts after it.
fn part_left(time: Duration) -> f32 {
    (-time.as_secs_f32() / MEMORY.as_secs_f32()).exp()
}

fn pack((rate, micros): (f32, f32)) -> u64 {
    u64::from(rate.to_bits()) << 32 | u64::from(micros.to_bits())
}

fn unpack(word: u64) -> (f32, f32) {
    (f32::from_bits((word >> 32) as u32), f32::from_bits(word as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Effect;

    const TOOK: Duration = Duration::from_millis(10);

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, Effect::Rejected, "no").with_status(503).with_code("busy")
    }

    #[test]
    fn nothing_is_known_before_the_first_answer() {
        let recorder = Recorder::default();
        assert_eq!(recorder.read(5), Pulse::default());
        recorder.answered(TOOK, 1_000);
        let pulse = recorder.read(3_000);
        assert_eq!((pulse.success_rate, pulse.latency), (Some(1.0), Some(TOOK)));
        assert_eq!(pulse.last_call, Some(Duration::from_nanos(2_000)));
    }

    #[test]
    fn half_of_the_answers_failing_shows_as_a_half() {
        let recorder = Recorder::default();
        for n in 0..1_000 {
            match n % 2 {
                0 => recorder.answered(TOOK, n),
                _ => recorder.failed(&error(ErrorKind::Unavailable), "read", TOOK, n),
            }
        }
        let pulse = recorder.read(1_000);
        assert!((pulse.success_rate.unwrap() - 0.5).abs() < 0.03, "{pulse:?}");
        let last = pulse.last_error.unwrap();
        assert_eq!(
            (last.kind, last.operation, last.status, last.sent),
            (ErrorKind::Unavailable, "read", Some(503), true)
        );
        assert_eq!((last.code.as_deref(), last.ago), (Some("busy"), Duration::from_nanos(1)));
    }

    #[test]
    fn what_the_caller_did_wrong_is_no_fault_of_the_service() {
        let recorder = Recorder::default();
        let kinds =
            [ErrorKind::NotFound, ErrorKind::InvalidRequest, ErrorKind::Declined, ErrorKind::Conflict];
        for (n, kind) in (1..).zip(kinds) {
            recorder.failed(&error(kind), "read", TOOK, n * OFTEN);
        }
        recorder.refused(&error(ErrorKind::Config), "read", 1);
        let pulse = recorder.read(1);
        assert_eq!((pulse.success_rate, pulse.answers, pulse.last_error), (Some(1.0), 4, None));
    }

    #[test]
    fn a_refusal_of_our_own_is_marked_as_such_and_is_no_answer() {
        let recorder = Recorder::default();
        recorder.refused(&error(ErrorKind::CircuitOpen), "read", 1);
        let pulse = recorder.read(1);
        assert_eq!((pulse.answers, pulse.success_rate), (0, None));
        assert_eq!(pulse.last_error.map(|e| (e.kind, e.sent)), Some((ErrorKind::CircuitOpen, false)));
    }

    #[test]
    fn pulses_of_several_tenants_are_weighed_by_their_answers() {
        let (one, many) = (Recorder::default(), Recorder::default());
        let end = 100 * OFTEN;
        one.failed(&error(ErrorKind::Timeout), "read", TOOK, end);
        for n in 1..=1_000 {
            many.answered(TOOK, n * OFTEN / 10);
        }
        let pulse = one.read(end).merged(many.read(end));
        assert!((pulse.success_rate.unwrap() - 32.0 / 33.0).abs() < 0.001);
        assert_eq!(
            (pulse.answers, pulse.last_call),
            (101, Some(Duration::ZERO)),
            "every tenth, and the failure"
        );
        assert!(pulse.last_error.is_some());
        assert_eq!(Pulse::default().merged(Pulse::default()), Pulse::default());
    }

    #[test]
    fn what_is_long_ago_says_little() {
        let minutes = |n: u64| n * 60_000_000_000;
        let (old, new) = (Recorder::default(), Recorder::default());
        for n in 0..100 {
            old.failed(&error(ErrorKind::Unavailable), "read", TOOK, n);
            new.answered(TOOK, minutes(10) + n);
        }
        let rate = |pulse: Pulse| pulse.success_rate.unwrap();
        let now = minutes(11);
        assert!(rate(old.read(now).merged(new.read(now))) > 0.99, "a tenant that has gone");
        assert!(rate(new.read(now).merged(old.read(now))) > 0.99);
        assert!(rate(old.read(now).merged(old.read(now))) < 0.01, "nobody is later");
        old.answered(TOOK, minutes(10));
        assert!(rate(old.read(now)) > 0.99, "it is back after ten minutes");
        let days = minutes(100_000);
        assert!(rate(old.read(days).merged(Recorder::default().read(days))).is_finite());
    }
}
