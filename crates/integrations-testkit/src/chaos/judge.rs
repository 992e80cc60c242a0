//! What must hold after a run under faults.

use std::collections::BTreeSet;
use std::time::Duration;

use integrations_core::pipeline::Policy;
use integrations_core::{Effect, Error, Op, Safety};
use integrations_sandbox::Severity;

use super::{Storm, Story, Violation};
use crate::conformance::{Failure, Outcome, Step};
use crate::secret;

/// The runtime's timers tick in milliseconds; one call may wait for several.
const ROUNDING: Duration = Duration::from_millis(100);
/// Beyond its retries a call is attempted once more after new credentials, and once more after a corrected clock.
const REPEATS: u32 = 2;
/// Faults after which a call may succeed and yet give something else.
const MISLEADING: &[&str] = &["lagging_index", "cursor_loop", "wrong_shape"];

pub(super) fn judge(
    calls: Calls,
    policy: &Policy,
    severity: Severity,
    calm: &Story,
    storm: &Storm,
    log: &str,
) -> Vec<Violation> {
    let mut found = Findings(Vec::new());
    for repeated in &storm.repeated {
        found.add("second_effect", format!("{repeated} stands in the ledger more than once"));
    }
    let misled = MISLEADING.iter().any(|kind| storm.faults.contains_key(kind));
    for (at, step) in storm.story.steps.iter().enumerate() {
        let undisturbed = calm.steps.get(at).filter(|calm| calm.name == step.name);
        let own = Own::of(calls, step);
        found.deadline(policy, step, own);
        found.attempts(policy, step, own);
        found.honesty(step, undisturbed);
        if let (Some(calm), false) = (undisturbed, misled) {
            // Each other thing that it asks, and one call that the answer leads to.
            let besides = 2 * others(calls, calm, step);
            found.repeats(step, own, Own::of(calls, calm).calls + besides);
        }
    }
    found.secrets(storm, log);
    found.result(severity, calm, storm);
    if let Err(e) = &storm.later {
        found.add("recovery", format!("long after the last fault a read fails: {e}"));
    }
    found.0
}

struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, invariant: &'static str, what: String) {
        self.0.push(Violation { invariant, what });
    }

    fn deadline(&mut self, policy: &Policy, step: &Step, own: Own) {
        let allowed = (policy.total_timeout + ROUNDING) * own.calls.max(1);
        if step.took > allowed {
            let (name, took) = (step.name, step.took);
            self.add("deadline", format!("`{name}` took {took:?}, and its calls have {allowed:?}"));
        }
    }

    fn attempts(&mut self, policy: &Policy, step: &Step, own: Own) {
        let most = policy.retry.max_attempts + REPEATS;
        let name = step.name;
        if let Some(sent) = step.sent.iter().find(|sent| sent.attempt > most) {
            let (op, attempt) = (sent.op.name, sent.attempt);
            self.add("attempts", format!("`{name}` calls {op} a {attempt}th time, of {most}"));
        }
        let Own { calls, sent, .. } = own;
        if u64::from(sent) > u64::from(calls) * u64::from(most) {
            self.add("attempts", format!("`{name}` sends {sent} requests for {calls} calls"));
        }
    }

    /// The number of an attempt is the client's own word: one that calls anew instead of trying again is told by how
    /// many calls it makes undisturbed. Only a list of several pages may have one more, as time passes.
    fn repeats(&mut self, step: &Step, Own { calls, reads, .. }: Own, undisturbed: u32) {
        let may_grow = reads && undisturbed > 1;
        if calls > undisturbed && !may_grow {
            let name = step.name;
            self.add("attempts", format!("`{name}` makes {calls} calls, and without faults {undisturbed}"));
        }
    }

    fn honesty(&mut self, step: &Step, undisturbed: Option<&Step>) {
        let name = step.name;
        let effects = || step.outcomes.iter().map(Outcome::effect);
        let denied = |effect: Option<Effect>| matches!(effect, Some(Effect::NotSent | Effect::Rejected));
        if let Some(change) = step.changes.first().filter(|_| effects().all(denied)) {
            let what = &change.what;
            self.add("honesty", format!("`{name}` says that nothing was done, and the ledger has {what}"));
        }
        let claimed = |effect: Option<Effect>| matches!(effect, None | Some(Effect::Applied));
        let changes = undisturbed.is_some_and(|step| !step.changes.is_empty());
        if changes && step.changes.is_empty() && effects().any(claimed) {
            self.add("honesty", format!("`{name}` says that it was done, and the ledger has nothing"));
        }
        if let Some(what) = undisturbed.filter(|_| effects().all(claimed)).and_then(|calm| lost(calm, step)) {
            self.add("honesty", format!("`{name}` says that all was done, and the ledger lacks {what}"));
        }
    }

    fn secrets(&mut self, storm: &Storm, log: &str) {
        let errors = storm.story.steps.iter().flat_map(|step| &step.outcomes);
        let errors = errors.filter_map(|outcome| outcome.0.as_ref()).chain(storm.later.as_ref().err());
        let ended = match &storm.story.ended {
            Err(Failure::Wrong(what)) => what.as_str(),
            _ => "",
        };
        let texts: Vec<String> = errors.map(everything_in).chain([ended.to_owned()]).collect();
        for (setting, secret) in &storm.secrets {
            let forms = secret::forms(secret);
            if let Some(line) = secret::line_with(log, &forms) {
                self.add("secret", format!("`{setting}` is in the log: {line}"));
            }
            if let Some(line) = texts.iter().find_map(|text| secret::line_with(text, &forms)) {
                self.add("secret", format!("`{setting}` is in an error: {line}"));
            }
        }
    }

    fn result(&mut self, severity: Severity, calm: &Story, met: &Storm) {
        let story = &met.story;
        if matches!(story.ended, Err(Failure::Endless)) {
            self.add("endless", "the case never ends".to_owned());
            return;
        }
        let same = same_steps(calm, story);
        if severity == Severity::Passing {
            self.all_well(same, calm, story);
        } else if !MISLEADING.iter().any(|kind| met.faults.contains_key(kind)) {
            self.no_lies(same, calm, story);
        }
    }

    /// After passing faults everything is as if there had been none.
    fn all_well(&mut self, same: usize, calm: &Story, story: &Story) {
        if let Some(step) = story.steps.get(same) {
            let failed = step.outcomes.iter().find_map(|outcome| outcome.0.as_ref());
            let ended = failed.map_or_else(|| "ends well".to_owned(), |e| format!("fails: {}", e.explain()));
            self.add("result", format!("under passing faults `{}` {ended}", step.name));
        } else if let Err(failure) = &story.ended {
            self.add("result", format!("under passing faults: {failure}"));
        } else if let Some(seen) = story.seen.iter().zip(&calm.seen).find(|(seen, calm)| seen != calm) {
            self.differs(seen.0.label);
        } else if (story.steps.len(), story.seen.len()) != (calm.steps.len(), calm.seen.len()) {
            let (steps, all) = (story.steps.len(), calm.steps.len());
            self.add("result", format!("under passing faults the case has {steps} steps, of {all}"));
        }
    }

    /// Whatever the faults are: as long as every call ends as it does undisturbed, so does what they give.
    fn no_lies(&mut self, same: usize, calm: &Story, story: &Story) {
        let pairs = story.seen.iter().zip(&calm.seen).filter(|(seen, _)| seen.after <= same);
        if let Some((seen, _)) = pairs.into_iter().find(|(seen, calm)| seen != calm) {
            self.differs(seen.label);
        }
        if let Err(Failure::Wrong(what)) = &story.ended
            && same == story.steps.len()
        {
            self.add("result", format!("every call ends as without faults, and yet {what}"));
        }
    }

    fn differs(&mut self, label: &str) {
        self.add("result", format!("`{label}` differs from what it is without faults"));
    }
}

/// Which requests are calls, with a time of their own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Calls {
    /// Those of the provider. Those for a token are within a call, and have its time.
    Of(&'static str),
    /// All of them.
    All,
}

impl Calls {
    fn has(self, op: &Op) -> bool {
        match self {
            Self::Of(provider) => op.provider == provider,
            Self::All => true,
        }
    }
}

/// What a step sent that counts as a call.
#[derive(Debug, Clone, Copy)]
struct Own {
    /// Each call begins with an attempt that does not count on from the last.
    calls: u32,
    sent: u32,
    /// All of it only reads.
    reads: bool,
}

impl Own {
    fn of(calls: Calls, step: &Step) -> Self {
        let (mut own, mut last) = (Self { calls: 0, sent: 0, reads: true }, u32::MAX);
        for sent in step.sent.iter().filter(|sent| calls.has(sent.op)) {
            own.sent += 1;
            own.reads &= sent.op.safety == Safety::Read;
            own.calls += u32::from(sent.attempt <= std::mem::replace(&mut last, sent.attempt));
        }
        own
    }
}

/// How many operations a step calls that it does not call undisturbed. One that finds its work half done may have more to
/// ask, as a client that is told that the token which it ends, at its second attempt, has ended already.
fn others(calls: Calls, calm: &Step, step: &Step) -> u32 {
    let own = |step: &Step| -> BTreeSet<(&str, &str)> {
        let sent = step.sent.iter().map(|sent| sent.op).filter(|op| calls.has(op));
        sent.map(|op| (op.provider, op.name)).collect()
    };
    own(step).difference(&own(calm)).count() as u32
}

/// A kind of change that was made less often than without faults.
fn lost<'s>(calm: &'s Step, step: &Step) -> Option<&'s str> {
    let count = |step: &Step, what: &str| step.changes.iter().filter(|change| change.what == what).count();
    let kinds = calm.changes.iter().map(|change| change.what.as_str());
    let mut lost = kinds.filter(|what| count(step, what) < count(calm, what));
    lost.next().filter(|_| !step.changes.is_empty())
}

/// How many steps from the first on end as they do undisturbed.
fn same_steps(calm: &Story, story: &Story) -> usize {
    let kinds = |step: &Step| step.outcomes.iter().map(Outcome::kind).collect::<Vec<_>>();
    let same = |(step, calm): &(&Step, &Step)| step.name == calm.name && kinds(step) == kinds(calm);
    story.steps.iter().zip(&calm.steps).take_while(same).count()
}

fn everything_in(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}\n{}", error.explain());
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!("\n{cause}\n{cause:?}");
        source = cause.source();
    }
    text
}
