//! Cases that every provider of a category goes through, whoever it is.
//!
//! A [`Case`] is data: what it needs, and how it runs in a [`Lab`] that watches each portable call. Where an instance lacks
//! what a case needs, the capability's [`Twin`] runs instead: the call must be refused before anything is sent.
//!
//! ```
//! # #[cfg(feature = "music")] {
//! use integrations_testkit::conformance::{Suite, music};
//! let suite: Suite<_> = music::suite();
//! assert!(suite.cases.iter().any(|case| case.needs == ["track"]));
//! # }
//! ```
//!
//! Invariants:
//! - No case knows a provider. What a peer has in its first state, a case asks by name ([`Known`]).
//! - A case runs alone: a new peer, a new client, a runtime with virtual time.
//! - What is declared and not tested is told, and is a failure.

#[cfg(any(feature = "auth", feature = "music"))]
#[macro_use]
mod tables;

#[cfg(feature = "auth")]
pub mod auth;
#[cfg_attr(not(feature = "chaos"), allow(dead_code, reason = "chaos alone reads all that is recorded"))]
mod harness;
#[cfg_attr(not(feature = "chaos"), allow(dead_code, reason = "chaos alone reads all that is recorded"))]
mod lab;
#[cfg(feature = "music")]
pub mod music;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use integrations_core::driver::Caps;
use integrations_core::{Caller, Effect, ErrorKind, Result};
use integrations_sandbox::Known;

pub(crate) use harness::block_on;
pub use harness::{Harness, Peer};
pub use lab::{Failure, Lab, hold};
#[cfg(feature = "chaos")]
pub(crate) use lab::{Outcome, Seen, Step};

/// A future that a case gives. It need not be [`Send`]: each runs on a runtime of its own.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// No case takes longer, in virtual time; one that does never ends.
const LONGEST: Duration = Duration::from_hours(6);

/// One thing that every provider does alike.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "a row of a table")]
pub struct Case<C: 'static> {
    /// Its name, unique in its suite.
    pub id: &'static str,
    /// The capabilities without which it cannot run.
    pub needs: &'static [&'static str],
    /// What it does.
    pub run: for<'l> fn(&'l Lab<C>) -> Boxed<'l, Result<(), Failure>>,
}

/// A call that needs one capability: what becomes of it where the instance lacks that.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "a row of a table")]
pub struct Twin<C: 'static> {
    /// The capability.
    pub cap: &'static str,
    /// The call, with arguments that are valid and name nothing.
    pub call: for<'c> fn(&'c C) -> Boxed<'c, Result<()>>,
}

/// What every provider of a category goes through.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "made by its fields where a category is")]
pub struct Suite<C: 'static> {
    /// The names of everything that a provider of the category may have.
    pub caps: &'static [&'static str],
    /// What an instance has.
    pub caps_of: fn(&C) -> Caps,
    /// What is done.
    pub cases: &'static [Case<C>],
    /// What is refused, for each capability.
    pub twins: &'static [Twin<C>],
    /// What carries an instance's calls, if it tells.
    pub caller_of: fn(&C) -> Option<&Caller>,
    /// Every request is a call of its own, with its own time, those for a token too. Where it is `false`, those are within
    /// the provider's calls and have their time.
    pub counts_token_calls: bool,
    /// A call that changes nothing and succeeds with what is known, as long as the service is well.
    pub alive: for<'c> fn(&'c C, &'c Known) -> Boxed<'c, Result<()>>,
}

impl<C> Suite<C> {
    /// What is wrong with the suite itself: two cases of one name, a capability that no case needs or that has no twin,
    /// a need that is no capability.
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        for cap in self.caps {
            if !self.cases.iter().any(|case| case.needs.contains(cap)) {
                gaps.push(format!("no case needs `{cap}`"));
            }
            if !self.twins.iter().any(|twin| twin.cap == *cap) {
                gaps.push(format!("`{cap}` has no twin"));
            }
        }
        for (at, case) in self.cases.iter().enumerate() {
            let unknown = case.needs.iter().filter(|need| !self.caps.contains(need));
            gaps.extend(unknown.map(|need| format!("`{}` needs `{need}`, which is no capability", case.id)));
            if self.cases[..at].iter().any(|other| other.id == case.id) {
                gaps.push(format!("there are two cases `{}`", case.id));
            }
        }
        gaps
    }
}

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It ran, and everything was as it should be.
    Ran,
    /// The instance lacks these capabilities, and refused them as it should.
    Twin(Vec<&'static str>),
    /// What was wrong.
    Failed(Vec<String>),
}

/// One case and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trial {
    /// The case's name.
    pub case: &'static str,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of all cases.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The provider.
    pub provider: &'static str,
    /// Case by case.
    pub trials: Vec<Trial>,
    /// What the instance declares and no case that ran has needed.
    pub untested: Vec<&'static str>,
    /// What is wrong with the suite, or why there is no client.
    pub gaps: Vec<String>,
}

impl Report {
    fn without_client(provider: &'static str, reason: String) -> Self {
        Self { provider, trials: Vec::new(), untested: Vec::new(), gaps: vec![reason] }
    }

    /// Whether every case is as it should be and nothing is untested.
    pub fn is_good(&self) -> bool {
        self.untested.is_empty() && self.gaps.is_empty() && self.failed().next().is_none()
    }

    /// The cases that failed, with the reasons.
    pub fn failed(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.trials.iter().filter_map(|trial| match &trial.verdict {
            Verdict::Failed(reasons) => Some((trial.case, reasons.as_slice())),
            Verdict::Ran | Verdict::Twin(_) => None,
        })
    }

    /// Everything that is wrong, in one text.
    ///
    /// # Panics
    /// When something is wrong: this is for tests.
    pub fn assert_good(&self) {
        assert!(self.is_good(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:", self.provider)?;
        for trial in &self.trials {
            match &trial.verdict {
                Verdict::Ran => writeln!(f, "  {:<28} ran", trial.case)?,
                Verdict::Twin(lacks) => writeln!(f, "  {:<28} twin: lacks {}", trial.case, lacks.join(", "))?,
                Verdict::Failed(reasons) => {
                    writeln!(f, "  {:<28} FAILED: {}", trial.case, reasons.join("; "))?;
                }
            }
        }
        for cap in &self.untested {
            writeln!(f, "  `{cap}` is declared, and no case that ran needs it")?;
        }
        self.gaps.iter().try_for_each(|gap| writeln!(f, "  {gap}"))
    }
}

/// Runs every case of a suite, one by one.
pub fn check<C: 'static>(harness: &Harness<C>, suite: &Suite<C>) -> Report {
    let caps = match declared(harness, suite) {
        Ok(caps) => caps,
        Err(reason) => return Report::without_client(harness.spec().id, reason),
    };
    let trials: Vec<Trial> = suite.cases.iter().map(|case| trial(harness, suite, case, &caps)).collect();
    let is_twin = |trial: &Trial| matches!(trial.verdict, Verdict::Twin(_));
    let tried: Vec<&str> = trials.iter().filter(|trial| !is_twin(trial)).map(|trial| trial.case).collect();
    let needed =
        |cap: &str| suite.cases.iter().any(|case| case.needs.contains(&cap) && tried.contains(&case.id));
    let untested = caps.into_iter().filter(|cap| !needed(cap)).collect();
    Report { provider: harness.spec().id, trials, untested, gaps: suite.gaps() }
}

/// What the instance declares, or why there is none.
pub(crate) fn declared<C: 'static>(
    harness: &Harness<C>,
    suite: &Suite<C>,
) -> Result<Vec<&'static str>, String> {
    block_on(async {
        let lab = harness.lab().map_err(|e| format!("no client: {e}"))?;
        Ok((suite.caps_of)(lab.client()).iter().collect())
    })
}

fn trial<C: 'static>(harness: &Harness<C>, suite: &Suite<C>, case: &Case<C>, caps: &[&'static str]) -> Trial {
    let lacks: Vec<&'static str> = case.needs.iter().copied().filter(|need| !caps.contains(need)).collect();
    let reasons = if lacks.is_empty() { ran(harness, case) } else { refused(harness, suite, &lacks) };
    let verdict = match (reasons.is_empty(), lacks.is_empty()) {
        (false, _) => Verdict::Failed(reasons),
        (true, true) => Verdict::Ran,
        (true, false) => Verdict::Twin(lacks),
    };
    Trial { case: case.id, verdict }
}

fn ran<C: 'static>(harness: &Harness<C>, case: &Case<C>) -> Vec<String> {
    let ended = block_on(async {
        let lab = harness.lab().map_err(|e| format!("no client: {e}"))?;
        drive(&lab, case).await.map_err(|failure| lab.told(&failure))
    });
    ended.err().into_iter().collect()
}

/// Runs a case to its end, which it must have.
pub(crate) async fn drive<C: 'static>(lab: &Lab<C>, case: &Case<C>) -> Result<(), Failure> {
    let ended = tokio::time::timeout(LONGEST, (case.run)(lab)).await;
    ended.unwrap_or_else(|_| Err(Failure::Endless))
}

fn refused<C: 'static>(harness: &Harness<C>, suite: &Suite<C>, lacks: &[&'static str]) -> Vec<String> {
    let twins = suite.twins.iter().filter(|twin| lacks.contains(&twin.cap));
    let reasons = twins.map(|twin| block_on(is_refused(harness, twin)));
    reasons.filter_map(Result::err).collect()
}

async fn is_refused<C: 'static>(harness: &Harness<C>, twin: &Twin<C>) -> Result<(), String> {
    let lab = harness.lab().map_err(|e| format!("no client: {e}"))?;
    let wrong = |what: String| Err(format!("`{}` is not declared, and its call {what}", twin.cap));
    let ended = tokio::time::timeout(LONGEST, (twin.call)(lab.client())).await;
    match ended {
        Err(_) => wrong("never ends".to_owned()),
        _ if lab.requests() > 0 => wrong(format!("sent {} requests", lab.requests())),
        Ok(Ok(())) => wrong("succeeds".to_owned()),
        Ok(Err(e)) if (e.kind(), e.effect()) != (ErrorKind::Unsupported, Effect::NotSent) => {
            wrong(format!("fails as {} with the effect {}", e.kind(), e.effect()))
        }
        Ok(Err(e)) if e.hint().is_none_or(str::is_empty) => wrong("gives no hint".to_owned()),
        Ok(Err(_)) => Ok(()),
    }
}
