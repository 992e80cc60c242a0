//! Which requests go wrong: by a script, or by chance from a seed.

use std::collections::VecDeque;
use std::time::Duration;

use integrations_core::{Exchange, Safety};
use jiff::{SignedDuration, Timestamp};

use crate::{DelayForm, Fault, Severity};

/// Which requests go wrong, and how.
///
/// ```
/// use integrations_sandbox::{Fault, Plan, Severity};
/// // The second request breaks off, the others are answered.
/// let plan = Plan::script([None, Some(Fault::ResetAfter)]);
/// // Whatever a client must survive without its caller taking notice.
/// let weather = Plan::seeded(7, Severity::Passing);
/// # let _ = (plan, weather);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What happens to the next requests, one by one; `None` leaves one alone.
    script: VecDeque<Option<Fault>>,
    chance: Option<Chance>,
}

/// Faults by chance.
#[derive(Debug, Clone)]
struct Chance {
    random: fastrand::Rng,
    severity: Severity,
    /// What also happens to the next requests, and to how many of them.
    streak: Option<(Fault, u32)>,
    /// When credentials or clock were changed last.
    disturbed: Option<Timestamp>,
    /// When the rate was limited last.
    limited: Option<Timestamp>,
}

/// One request as a plan sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) exchange: Exchange,
    pub(crate) now: Timestamp,
    /// The operation is one of the vendor's own, not one for a token, which is a call inside another call.
    pub(crate) own: bool,
    /// The body can be sent again.
    pub(crate) replayable: bool,
    /// It came through a socket, which has been accepted.
    pub(crate) served: bool,
}

impl Plan {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// The next requests go wrong in these ways, those after them not.
    pub fn script(faults: impl IntoIterator<Item = Option<Fault>>) -> Self {
        Self { script: faults.into_iter().collect(), ..Self::default() }
    }

    /// Requests go wrong by chance, from a seed: the same requests in the same order and at the same times meet the same
    /// faults. The pauses of a client between attempts are random too; who wants a call's whole story again gives them
    /// a seed as well (`fastrand::seed`, on the thread that makes the calls).
    pub fn seeded(seed: u64, severity: Severity) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        let chance = Chance { random, severity, streak: None, disturbed: None, limited: None };
        Self { chance: Some(chance), ..Self::default() }
    }

    /// What happens to the next request.
    pub(crate) fn draw(&mut self, asked: &Asked) -> Option<Fault> {
        match &mut self.chance {
            Some(chance) => chance.draw(asked),
            None => self.script.pop_front().flatten(),
        }
    }
}

/// Makes one fault of a kind.
type Make = fn(&mut fastrand::Rng) -> Fault;

/// Faults and how often each is drawn among them.
type Mix = [(u32, Make)];

/// Faults that hurt less than half of the time keep the breaker and the retry budget of the default policy out of play:
/// the one opens at 70 % failures, the other pays for one second retry with ten calls that succeed at once.
static PASSING: &Mix = &[
    (6, |random| Fault::Latency(Duration::from_millis(random.u64(1..=1_500)))),
    (3, |_| Fault::Refused),
    (3, |_| Fault::ResetBefore),
    (4, |_| Fault::ResetAfter),
    (1, |_| Fault::HangBefore),
    (1, |_| Fault::HangAfter),
    (4, |random| Fault::RateLimited(Duration::from_secs(1), told(random))),
    (5, broken),
    (2, |_| Fault::ProxyPage),
    (2, |_| Fault::FailedWithSuccess),
    (2, |_| Fault::Rotated),
    (2, |random| Fault::ClockSkew(random.i32(-300..=300))),
];

static ANYTHING: &Mix = &[
    (4, |random| Fault::Latency(Duration::from_millis(random.u64(1..=40_000)))),
    (2, |_| Fault::Refused),
    (2, |_| Fault::ResetBefore),
    (2, |_| Fault::ResetAfter),
    (2, |_| Fault::HangBefore),
    (2, |_| Fault::HangAfter),
    (4, |random| Fault::RateLimited(long_delay(random), form(random))),
    (1, |_| Fault::QuotaExhausted),
    (4, broken),
    (2, |_| Fault::ProxyPage),
    (2, |_| Fault::Truncated),
    (2, |_| Fault::WrongShape),
    (2, |_| Fault::FailedWithSuccess),
    (2, |_| Fault::Rotated),
    (2, |random| Fault::ClockSkew(random.i32(-86_400..=86_400))),
    (2, |_| Fault::CursorLoop),
    (2, |_| Fault::LaggingIndex),
];

fn broken(random: &mut fastrand::Rng) -> Fault {
    Fault::Broken { status: [500, 502, 503, 504][random.usize(..4)], acted: random.bool() }
}

fn form(random: &mut fastrand::Rng) -> DelayForm {
    if random.u8(..3) == 0 { DelayForm::Missing } else { told(random) }
}

/// Where no delay is told, a client has to guess one, and may guess one that is too long to wait for.
fn told(random: &mut fastrand::Rng) -> DelayForm {
    if random.bool() { DelayForm::Seconds } else { DelayForm::HttpDate }
}

/// None, seconds, minutes or hours.
fn long_delay(random: &mut fastrand::Rng) -> Duration {
    let unit = [0, 1, 60, 3_600][random.usize(..4)];
    Duration::from_secs(unit * random.u64(1..=24))
}

fn pick(mix: &Mix, random: &mut fastrand::Rng) -> Option<Fault> {
    let total: u32 = mix.iter().map(|(weight, _)| weight).sum();
    let mut ticket = random.u32(..total);
    let (_, make) = mix.iter().find(|(weight, _)| {
        let found = ticket < *weight;
        ticket = ticket.saturating_sub(*weight);
        found
    })?;
    Some(make(random))
}

/// So often a fault that does not suit the request is drawn again.
const DRAWS: usize = 8;
/// The attempts of the default policy.
const ATTEMPTS: u32 = 3;
/// Credentials are refreshed, and a clock is corrected, once per call: no call of the default policy, which takes 30 s
/// at most, meets two changes of them. A limiter that was refused often guesses a limit that is too slow to wait for.
const CALM: SignedDuration = SignedDuration::from_mins(1);

/// Longer than a call of the default policy.
const REMEMBERED: Duration = Duration::from_mins(1);

impl Chance {
    fn draw(&mut self, asked: &Asked) -> Option<Fault> {
        match self.severity {
            Severity::Passing => self.passing(asked),
            Severity::Any => self.anything(asked),
        }
    }

    fn passing(&mut self, asked: &Asked) -> Option<Fault> {
        if asked.exchange.attempt >= ATTEMPTS || self.random.u8(..100) >= 30 {
            return None;
        }
        let fault = (0..DRAWS)
            .filter_map(|_| pick(PASSING, &mut self.random))
            .map(|fault| asked.suited(fault))
            .find(|fault| asked.passes(fault))?;
        let Some(last) = self.last(&fault) else { return Some(fault) };
        if last.is_some_and(|at| asked.now.duration_since(at) < CALM) {
            return None;
        }
        *last = Some(asked.now);
        Some(fault)
    }

    /// When the last fault came that must not come again soon.
    fn last(&mut self, fault: &Fault) -> Option<&mut Option<Timestamp>> {
        match fault {
            Fault::Rotated | Fault::ClockSkew(_) => Some(&mut self.disturbed),
            Fault::RateLimited(..) => Some(&mut self.limited),
            _ => None,
        }
    }

    fn anything(&mut self, asked: &Asked) -> Option<Fault> {
        if let Some(fault) = self.in_streak(asked) {
            return Some(fault);
        }
        if self.random.u8(..100) >= 40 {
            return None;
        }
        self.streak = match self.random.u8(..100) {
            0..=2 => Some((Fault::Refused, self.random.u32(5..=40))),
            3..=5 => Some((Fault::Broken { status: 503, acted: false }, self.random.u32(5..=40))),
            6..=7 => Some((Fault::Rotated, self.random.u32(2..=6))),
            _ => None,
        };
        self.in_streak(asked).or_else(|| {
            (0..DRAWS)
                .filter_map(|_| pick(ANYTHING, &mut self.random))
                .map(|fault| asked.suited(fault))
                .find(|fault| asked.meets(fault))
        })
    }

    /// The outage or the storm that is going on.
    fn in_streak(&mut self, asked: &Asked) -> Option<Fault> {
        let (fault, left) = self.streak?;
        self.streak = left.checked_sub(2).map(|left| (fault, left + 1));
        asked.meets(&fault).then_some(fault)
    }
}

impl Asked {
    /// The fault as this operation can meet it: a vendor that promises not to have acted keeps its word.
    fn suited(&self, fault: Fault) -> Fault {
        match fault {
            Fault::Broken { status, .. } if self.promises(status) => Fault::Broken { status, acted: false },
            other => other,
        }
    }

    /// Whether this operation can meet it at all.
    fn meets(&self, fault: &Fault) -> bool {
        match fault {
            Fault::CursorLoop | Fault::LaggingIndex => self.own && self.exchange.op.safety == Safety::Read,
            Fault::Rotated => self.own,
            _ => true,
        }
    }

    /// Whether the call ends well after it: the table of effects and safeties, from the vendor's side.
    fn passes(&self, fault: &Fault) -> bool {
        let first = self.exchange.attempt == 1;
        match fault {
            Fault::Latency(time) => *time < self.exchange.time_left / (ATTEMPTS + 1),
            _ if !self.replayable => false,
            Fault::Refused => !self.served || self.may_repeat_unknown(),
            Fault::ResetBefore
            | Fault::ResetAfter
            | Fault::Broken { .. }
            | Fault::ProxyPage
            | Fault::FailedWithSuccess => self.may_repeat_unknown(),
            // A hang takes a whole attempt: one leaves enough of the call's time, two might not.
            Fault::HangBefore | Fault::HangAfter => first && self.own && self.may_repeat_unknown(),
            // Refusals in a row are held off for longer and longer by the client itself.
            Fault::RateLimited(..) => {
                first && (self.exchange.op.safety != Safety::Once || self.promises(429))
            }
            Fault::Rotated | Fault::ClockSkew(_) => self.own,
            _ => false,
        }
    }

    /// The vendor promises that it did not act when it answers so.
    fn promises(&self, status: u16) -> bool {
        self.exchange.op.not_executed.contains(&status)
    }

    /// The operation may be sent again when nobody knows what became of it.
    fn may_repeat_unknown(&self) -> bool {
        let op = self.exchange.op;
        match op.safety {
            Safety::Read | Safety::Idempotent => true,
            Safety::Keyed => !op.replays_failures && op.key_lifetime.is_none_or(|time| time >= REMEMBERED),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use integrations_core::Op;
    use integrations_core::pipeline::{Policy, Wait};

    use super::*;

    static READ: Op = Op::new("demo", "read", Safety::Read);
    static PUT: Op = Op::new("demo", "put", Safety::Idempotent);
    static KEYED: Op = Op::new("demo", "keyed", Safety::Keyed);
    static REPLAYS: Op = Op::new("demo", "replays", Safety::Keyed).replays_failures();
    static FORGETS: Op = Op::new("demo", "forgets", Safety::Keyed).key_lifetime(Duration::from_secs(5));
    static ONCE: Op = Op::new("demo", "once", Safety::Once);
    static DECLARED: Op = Op::new("demo", "declared", Safety::Once).not_executed(&[429, 503]);
    static TOKEN: Op = Op::new("oauth", "refresh", Safety::Idempotent);

    fn asked(op: &'static Op, attempt: u32) -> Asked {
        Asked {
            exchange: Exchange::new(op, attempt, Duration::from_secs(10)),
            now: Timestamp::UNIX_EPOCH,
            own: op.provider == "demo",
            replayable: true,
            served: false,
        }
    }

    /// What `seeds` plans do to their first `requests` requests.
    fn drawn(severity: Severity, seeds: u64, requests: u32, asked: Asked) -> Vec<Fault> {
        let of_seed = |seed| {
            let mut plan = Plan::seeded(seed, severity);
            (0..requests).filter_map(|_| plan.draw(&asked)).collect::<Vec<_>>()
        };
        (0..seeds).flat_map(of_seed).collect()
    }

    fn kinds(faults: &[Fault]) -> BTreeSet<&'static str> {
        faults.iter().map(Fault::kind).collect()
    }

    #[test]
    fn the_numbers_are_those_of_the_default_policy() {
        let policy = Policy::default();
        assert_eq!(policy.retry.max_attempts, ATTEMPTS);
        assert!(policy.total_timeout < REMEMBERED && CALM.unsigned_abs() == REMEMBERED);
        assert!(policy.total_timeout > 2 * policy.attempt_timeout, "a hang leaves time for another attempt");
        assert_eq!(policy.wait, Wait::UpTo(Duration::from_secs(2)), "longer than any delay that passes");
    }

    #[test]
    fn a_script_is_followed_and_then_nothing_goes_wrong() {
        let mut plan = Plan::script([None, Some(Fault::Refused), None]);
        let seen: Vec<_> = (0..5).map(|_| plan.draw(&asked(&READ, 1))).collect();
        assert_eq!(seen, [None, Some(Fault::Refused), None, None, None]);
        assert_eq!(Plan::none().draw(&asked(&READ, 1)), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_and_another_one_others() {
        for severity in [Severity::Passing, Severity::Any] {
            let faults = |seed| {
                let mut plan = Plan::seeded(seed, severity);
                (0..200).map(|_| plan.draw(&asked(&READ, 1))).collect::<Vec<_>>()
            };
            assert_eq!(faults(3), faults(3));
            assert_ne!(faults(3), faults(4));
        }
    }

    #[test]
    fn every_kind_is_reached_and_the_first_request_may_be_hit() {
        let anything = kinds(&drawn(Severity::Any, 2_000, 1, asked(&READ, 1)));
        assert_eq!(anything, BTreeSet::from(Fault::KINDS));
        let passing = kinds(&drawn(Severity::Passing, 2_000, 1, asked(&READ, 1)));
        let lasting =
            BTreeSet::from(["quota_exhausted", "truncated", "wrong_shape", "cursor_loop", "lagging_index"]);
        assert_eq!(passing, BTreeSet::from(Fault::KINDS).difference(&lasting).copied().collect());
    }

    #[test]
    fn faults_come_often_and_not_always() {
        let share = |severity| drawn(severity, 100, 100, asked(&READ, 1)).len() as f64 / 10_000.0;
        assert!((0.2..0.35).contains(&share(Severity::Passing)), "{}", share(Severity::Passing));
        assert!((0.4..0.9).contains(&share(Severity::Any)), "{}", share(Severity::Any));
    }

    #[test]
    fn the_last_attempt_of_a_call_passes() {
        assert!(!drawn(Severity::Passing, 100, 100, asked(&READ, 2)).is_empty());
        assert!(drawn(Severity::Passing, 100, 100, asked(&READ, 3)).is_empty());
        assert!(!drawn(Severity::Any, 10, 100, asked(&READ, 3)).is_empty());
    }

    #[test]
    fn what_is_sent_at_most_once_meets_only_what_leaves_no_doubt() {
        let certain = BTreeSet::from(["latency", "refused", "rotated", "clock_skew"]);
        let met = |op, served| kinds(&drawn(Severity::Passing, 2_000, 3, Asked { served, ..asked(op, 1) }));
        assert_eq!(met(&ONCE, false), certain);
        assert_eq!(met(&ONCE, true), BTreeSet::from(["latency", "rotated", "clock_skew"]));
        for op in [&REPLAYS, &FORGETS] {
            let with_limit = certain.union(&BTreeSet::from(["rate_limited"])).copied().collect();
            assert_eq!(met(op, false), with_limit, "{}", op.name);
        }
        assert!(met(&KEYED, true).contains("reset_after") && met(&PUT, true).contains("refused"));
        let with_limit = certain.union(&BTreeSet::from(["rate_limited"])).copied().collect();
        assert_eq!(met(&DECLARED, false), with_limit);
        for fault in drawn(Severity::Any, 500, 10, asked(&DECLARED, 1)) {
            assert_ne!(fault, Fault::Broken { status: 503, acted: true }, "the vendor broke its word");
        }
    }

    #[test]
    fn delays_that_pass_are_short() {
        for fault in drawn(Severity::Passing, 500, 20, asked(&READ, 1)) {
            match fault {
                Fault::Latency(time) => assert!(time <= Duration::from_millis(1_500)),
                Fault::RateLimited(delay, form) => {
                    assert!(delay == Duration::from_secs(1) && form != DelayForm::Missing);
                }
                _ => {}
            }
        }
        let hurried =
            Asked { exchange: Exchange::new(&READ, 1, Duration::from_millis(400)), ..asked(&READ, 1) };
        for fault in drawn(Severity::Passing, 500, 20, hurried) {
            assert!(
                !matches!(fault, Fault::Latency(time) if time >= Duration::from_millis(100)),
                "{fault:?}"
            );
        }
    }

    #[test]
    fn a_call_meets_one_change_of_credentials_or_clock_and_the_next_comes_later() {
        let mut plan = Plan::seeded(1, Severity::Passing);
        let mut changes = Vec::new();
        for second in 0..2_000 {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
            let fault = plan.draw(&Asked { now, ..asked(&READ, 1) });
            let disturbs = matches!(fault, Some(Fault::Rotated | Fault::ClockSkew(_)));
            changes.extend(disturbs.then_some(second));
        }
        assert!(changes.len() > 5 && changes.windows(2).all(|pair| pair[1] - pair[0] >= 60), "{changes:?}");
    }

    #[test]
    fn a_call_for_a_token_is_neither_rotated_nor_left_hanging() {
        let passing = kinds(&drawn(Severity::Passing, 2_000, 3, asked(&TOKEN, 1)));
        for kind in ["rotated", "clock_skew", "hang_before", "hang_after"] {
            assert!(!passing.contains(kind), "{kind}");
        }
        let anything = kinds(&drawn(Severity::Any, 2_000, 3, asked(&TOKEN, 1)));
        assert!(!anything.contains("rotated") && anything.contains("hang_after"));
    }

    #[test]
    fn only_reads_meet_loops_and_lags() {
        let met = kinds(&drawn(Severity::Any, 2_000, 3, asked(&PUT, 1)));
        assert!(!met.contains("cursor_loop") && !met.contains("lagging_index"));
    }

    #[test]
    fn a_body_that_exists_once_meets_nothing_that_needs_a_second_attempt() {
        let streamed = Asked { replayable: false, ..asked(&PUT, 1) };
        assert_eq!(kinds(&drawn(Severity::Passing, 500, 10, streamed)), BTreeSet::from(["latency"]));
    }

    #[test]
    fn an_outage_hits_many_requests_in_a_row_and_ends() {
        let mut plan = Plan::seeded(0, Severity::Any);
        let mut longest = 0;
        let mut row = (None, 0);
        for _ in 0..5_000 {
            let fault = plan.draw(&asked(&READ, 1));
            row = if fault.is_some() && fault == row.0 { (fault, row.1 + 1) } else { (fault, 1) };
            longest = longest.max(if row.0.is_some() { row.1 } else { 0 });
        }
        assert!((15..=90).contains(&longest), "{longest}");
    }
}
