//! Conformance cases under faults, from seeds.
//!
//! Each seed picks a case and how bad it gets. The case runs twice, each time against a new peer and on a runtime whose time
//! is virtual: once undisturbed, and once under [`Plan::seeded`]. What must hold then:
//!
//! | invariant | what it says |
//! |---|---|
//! | `second_effect` | nothing that adds up stands in the peer's ledger twice |
//! | `deadline` | no portable call lasts longer than the total deadline of each remote call that it makes |
//! | `attempts` | no remote call is attempted more often than the policy allows, or made anew |
//! | `secret` | no secret is in a log line, a span or an error: plain, percent-encoded or in base64; nor is what was sent as `Authorization` |
//! | `honesty` | what failed as not sent or refused changed nothing; what succeeded or failed as applied did all that it does undisturbed |
//! | `result` | what passing faults hit ends as if undisturbed, and so does what succeeds under any fault |
//! | `recovery` | minutes after the last fault the service can be read again |
//! | `endless`, `panic` | a case ends, and by itself |
//!
//! The same seed gives the same run: the faults, the client's own chance, and time.

mod capture;
mod judge;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use integrations_core::{Error, Result};
use integrations_sandbox::{Plan, Severity};
use serde_json::{Value, json};

use self::judge::Calls;
use crate::conformance::{Case, Failure, Harness, Lab, Seen, Step, Suite, block_on, declared, drive};

/// After so long a time every breaker has had its chance to close.
const LATER: Duration = Duration::from_mins(5);
/// So many violations are shown to people.
const SHOWN: usize = 20;
/// Of ten seeds, so many meet passing faults alone.
const PASSING_OF_TEN: u8 = 7;

/// What did not hold in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The invariant.
    pub invariant: &'static str,
    /// What happened.
    pub what: String,
}

/// One run of a case under faults.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// The provider.
    pub provider: &'static str,
    /// The seed, which tells everything.
    pub seed: u64,
    /// The case.
    pub case: &'static str,
    /// How bad it got.
    pub severity: Severity,
    /// How many requests went wrong, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// The portable calls and how they ended, one line each.
    pub steps: Vec<String>,
    /// What did not hold.
    pub violations: Vec<Violation>,
}

impl Run {
    /// The command that runs it again.
    pub fn reproduce(&self) -> String {
        format!("cargo xtask chaos --provider {} --seed {}", self.provider, self.seed)
    }

    fn severity(&self) -> &'static str {
        match self.severity {
            Severity::Passing => "passing",
            _ => "any",
        }
    }

    /// The run for programs.
    pub fn to_json(&self) -> Value {
        let violations = self.violations.iter();
        json!({
            "provider": self.provider,
            "seed": self.seed,
            "case": self.case,
            "severity": self.severity(),
            "faults": self.faults,
            "steps": self.steps,
            "broken": violations
                .map(|violation| json!({ "invariant": violation.invariant, "what": violation.what }))
                .collect::<Vec<_>>(),
            "reproduce": self.reproduce(),
        })
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, seed {}: `{}` under {} faults",
            self.provider,
            self.seed,
            self.case,
            self.severity()
        )?;
        let faults: Vec<String> = self.faults.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        writeln!(f, "  faults: {}", if faults.is_empty() { "none".to_owned() } else { faults.join(", ") })?;
        self.steps.iter().try_for_each(|step| writeln!(f, "  {step}"))?;
        for violation in &self.violations {
            writeln!(f, "  VIOLATED {}: {}", violation.invariant, violation.what)?;
        }
        writeln!(f, "  again: {}", self.reproduce())
    }
}

/// Many runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many seeds there were.
    pub seeds: u64,
    /// How often each case ran.
    pub cases: BTreeMap<&'static str, u64>,
    /// How many requests went wrong, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// The runs in which something did not hold.
    pub violations: Vec<Run>,
}

impl Report {
    /// How many runs there were.
    pub fn runs(&self) -> u64 {
        self.cases.values().sum()
    }

    /// The report for programs.
    pub fn to_json(&self) -> Value {
        json!({
            "seeds": self.seeds,
            "runs": self.runs(),
            "cases": self.cases,
            "faults": self.faults,
            "violations": self.violations.iter().map(Run::to_json).collect::<Vec<_>>(),
        })
    }

    /// Adds the runs of other seeds.
    pub fn join(&mut self, other: Self) {
        self.seeds += other.seeds;
        for (mine, theirs) in [(&mut self.cases, other.cases), (&mut self.faults, other.faults)] {
            for (name, count) in theirs {
                *mine.entry(name).or_default() += count;
            }
        }
        self.violations.extend(other.violations);
    }

    fn add(&mut self, run: Run) {
        *self.cases.entry(run.case).or_default() += 1;
        for (kind, count) in &run.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        if !run.violations.is_empty() {
            self.violations.push(run);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.violations.iter().take(SHOWN).try_for_each(|run| write!(f, "{run}"))?;
        if let Some(more) = self.violations.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            writeln!(f, "and {more} more")?;
        }
        let wrong: u64 = self.faults.values().sum();
        let (runs, cases, violated) = (self.runs(), self.cases.len(), self.violations.len());
        writeln!(f, "{runs} runs of {cases} cases, {wrong} faults, {violated} runs with a violation")
    }
}

/// Runs the cases that an instance can run, one for each seed. An instance that declares nothing has no case, and so no run.
///
/// # Errors
/// Why there is no client, or that nothing of what it declares sends anything.
pub fn run<C: 'static>(harness: &Harness<C>, suite: &Suite<C>, seeds: Range<u64>) -> Result<Report, String> {
    let chaos = Chaos::new(harness, suite)?;
    let mut report = Report { seeds: seeds.end.saturating_sub(seeds.start), ..Report::default() };
    for run in seeds.filter_map(|seed| chaos.run(seed)) {
        report.add(run);
    }
    Ok(report)
}

/// Runs the case of one seed again; `None` for an instance that declares nothing.
///
/// # Errors
/// As [`run`].
pub fn one<C: 'static>(harness: &Harness<C>, suite: &Suite<C>, seed: u64) -> Result<Option<Run>, String> {
    Ok(Chaos::new(harness, suite)?.run(seed))
}

struct Chaos<'h, C: 'static> {
    harness: &'h Harness<C>,
    suite: &'h Suite<C>,
    /// Those that the instance can run and that send something.
    cases: Vec<&'h Case<C>>,
    /// What each case does undisturbed.
    calm: BTreeMap<&'static str, Calm>,
}

/// A case that ran.
pub(crate) struct Story {
    pub(crate) ended: Result<(), Failure>,
    pub(crate) steps: Vec<Step>,
    pub(crate) seen: Vec<Seen>,
}

impl Story {
    /// What sends nothing meets no fault.
    fn sends(&self) -> bool {
        self.steps.iter().any(|step| !step.sent.is_empty())
    }
}

type Calm = Result<Story, String>;

/// A case that ran under faults.
pub(crate) struct Storm {
    pub(crate) story: Story,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) repeated: Vec<String>,
    /// The read after everything, with what it ended as.
    pub(crate) later: Result<()>,
    /// Every secret that the client was given, with its setting.
    pub(crate) secrets: Vec<(String, String)>, // tidy: not a secret, a fake gave it, and logs are searched for it
}

impl<'h, C: 'static> Chaos<'h, C> {
    fn new(harness: &'h Harness<C>, suite: &'h Suite<C>) -> Result<Self, String> {
        let caps = declared(harness, suite)?;
        let runs = |case: &&Case<C>| case.needs.iter().all(|need| caps.contains(need));
        let cases: Vec<_> = suite.cases.iter().filter(runs).collect();
        // A key or a pause that a calm run draws by chance must not differ from one program to the next.
        fastrand::seed(0);
        let calm: BTreeMap<_, _> = cases.iter().map(|case| (case.id, calm(harness, case))).collect();
        let declares_nothing = cases.is_empty();
        let sends =
            |case: &&Case<C>| calm.get(case.id).is_none_or(|calm| calm.as_ref().map_or(true, Story::sends));
        let cases: Vec<_> = cases.into_iter().filter(sends).collect();
        if cases.is_empty() && !declares_nothing {
            return Err(format!("no case sends anything to `{}`", harness.spec().id));
        }
        Ok(Self { harness, suite, cases, calm })
    }

    fn run(&self, seed: u64) -> Option<Run> {
        let at = seed.checked_rem(self.cases.len() as u64)?;
        let case = self.cases.get(at as usize)?;
        Some(self.run_case(case, seed))
    }

    fn run_case(&self, case: &Case<C>, seed: u64) -> Run {
        let severity = severity(seed);
        let mut run = Run {
            provider: self.harness.spec().id,
            seed,
            case: case.id,
            severity,
            faults: BTreeMap::new(),
            steps: Vec::new(),
            violations: Vec::new(),
        };
        let harness = self.harness;
        let calm = match self.calm.get(case.id) {
            Some(Ok(calm)) => calm,
            Some(Err(what)) => {
                run.violations.push(Violation { invariant: "result", what: what.clone() });
                return run;
            }
            None => return run,
        };
        fastrand::seed(seed);
        let suite = self.suite;
        let (storm, log) = capture::everything(|| {
            let storm = || block_on(storm(harness, suite, case, Plan::seeded(seed, severity)));
            catch_unwind(AssertUnwindSafe(storm))
        });
        let storm = match storm {
            Ok(Ok(storm)) => storm,
            Ok(Err(e)) => {
                run.violations.push(Violation { invariant: "result", what: format!("no client: {e}") });
                return run;
            }
            Err(_) => {
                run.violations.push(Violation { invariant: "panic", what: "the case panicked".to_owned() });
                return run;
            }
        };
        let calls = if suite.counts_token_calls { Calls::All } else { Calls::Of(run.provider) };
        run.violations = judge::judge(calls, harness.limits(), severity, calm, &storm, &log);
        run.steps = storm.story.steps.iter().map(told).collect();
        run.faults = storm.faults;
        run
    }
}

/// Independent of which case a seed picks.
fn severity(seed: u64) -> Severity {
    let drawn = fastrand::Rng::with_seed(seed ^ 0x5EED).u8(..10);
    if drawn < PASSING_OF_TEN { Severity::Passing } else { Severity::Any }
}

/// How a case goes when nothing goes wrong.
fn calm<C: 'static>(harness: &Harness<C>, case: &Case<C>) -> Calm {
    let calm = || {
        block_on(async {
            let lab = harness.lab().map_err(|e| format!("no client: {e}"))?;
            drive(&lab, case).await.map_err(|failure| format!("it fails without any fault: {failure}"))?;
            Ok(Story { ended: Ok(()), steps: lab.steps(), seen: lab.seen() })
        })
    };
    catch_unwind(AssertUnwindSafe(calm))
        .unwrap_or_else(|_| Err("the case panicked without any fault".to_owned()))
}

async fn storm<C: 'static>(
    harness: &Harness<C>,
    suite: &Suite<C>,
    case: &Case<C>,
    plan: Plan,
) -> Result<Storm> {
    let lab = harness.lab()?;
    lab.plan(plan);
    let ended = drive(&lab, case).await;
    let story = Story { ended, steps: lab.steps(), seen: lab.seen() };
    let faults = lab.peer().faults();
    let repeated = lab.peer().ledger();
    let repeated =
        repeated.repeated().iter().map(|change| format!("{} of {}", change.what, change.subject)).collect();
    lab.plan(Plan::none());
    let later = later(&lab, suite).await;
    Ok(Storm { story, faults, repeated, later, secrets: lab.secrets() })
}

/// A read when all is over. What the service, or our own limiter, asked to wait for is waited for once.
async fn later<C: 'static>(lab: &Lab<C>, suite: &Suite<C>) -> Result<()> {
    let known = lab.peer().known();
    tokio::time::sleep(LATER).await;
    let first = (suite.alive)(lab.client(), &known).await;
    let Some(delay) = first.as_ref().err().and_then(Error::retry_after) else { return first };
    tokio::time::sleep(delay + Duration::from_secs(1)).await;
    (suite.alive)(lab.client(), &known).await
}

fn told(step: &Step) -> String {
    let failed = step.outcomes.iter().filter_map(|outcome| outcome.0.as_ref());
    let ended: Vec<String> = failed.map(|e| format!("{e} (effect {})", e.effect())).collect();
    let ended = if ended.is_empty() { "well".to_owned() } else { ended.join("; ") };
    let (sent, took) = (step.sent.len(), step.took.as_secs_f64());
    format!("{}: {sent} requests in {took:.3} s, ended {ended}", step.name)
}
