//! What must hold after a run under faults.

use std::time::Duration;

use integrations_core::pipeline::Policy;
use integrations_core::{Effect, Error};
use integrations_sandbox::Severity;

use super::{Storm, Story, Violation};
use crate::conformance::{Failure, Outcome, Step};

/// The runtime's timers tick in milliseconds; one call may wait for several.
const ROUNDING: Duration = Duration::from_millis(100);
/// Beyond its retries a call is attempted once more after new credentials, and once more after a corrected clock.
const REPEATS: u32 = 2;
/// A shorter setting is no secret that could be told from other text.
const SHORTEST_SECRET: usize = 6;
/// Faults after which a call may succeed and yet give something else.
const MISLEADING: &[&str] = &["lagging_index", "cursor_loop", "wrong_shape"];

pub(super) fn judge(
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
    for (at, step) in storm.story.steps.iter().enumerate() {
        let undisturbed = calm.steps.get(at).filter(|calm| calm.name == step.name);
        found.deadline(policy, step);
        found.attempts(policy, step);
        found.honesty(step, undisturbed);
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

    fn deadline(&mut self, policy: &Policy, step: &Step) {
        let allowed = (policy.total_timeout + ROUNDING) * calls(step).max(1);
        if step.took > allowed {
            let (name, took) = (step.name, step.took);
            self.add("deadline", format!("`{name}` took {took:?}, and its calls have {allowed:?}"));
        }
    }

    fn attempts(&mut self, policy: &Policy, step: &Step) {
        let most = policy.retry.max_attempts + REPEATS;
        let (name, sent) = (step.name, step.sent.len());
        if let Some(sent) = step.sent.iter().find(|sent| sent.attempt > most) {
            let (op, attempt) = (sent.op.name, sent.attempt);
            self.add("attempts", format!("`{name}` calls {op} a {attempt}th time, of {most}"));
        }
        let calls = calls(step);
        if sent as u64 > u64::from(calls) * u64::from(most) {
            self.add("attempts", format!("`{name}` sends {sent} requests for {calls} calls"));
        }
    }

    fn honesty(&mut self, step: &Step, undisturbed: Option<&Step>) {
        let effects = || step.outcomes.iter().map(Outcome::effect);
        let denied = |effect: Option<Effect>| matches!(effect, Some(Effect::NotSent | Effect::Rejected));
        let added = step.changes.iter().find(|change| change.adds_up);
        if let Some(change) = added.filter(|_| effects().all(denied)) {
            let (name, what) = (step.name, &change.what);
            self.add("honesty", format!("`{name}` says that nothing was done, and the ledger has {what}"));
        }
        let changes = undisturbed.is_some_and(|step| !step.changes.is_empty());
        if changes && step.changes.is_empty() && effects().any(|effect| effect == Some(Effect::Applied)) {
            let name = step.name;
            self.add("honesty", format!("`{name}` says that it was done, and the ledger has nothing"));
        }
    }

    fn secrets(&mut self, storm: &Storm, log: &str) {
        let errors = storm.story.steps.iter().flat_map(|step| &step.outcomes);
        let errors = errors.filter_map(|outcome| outcome.0.as_ref()).chain(storm.later.as_ref().err());
        let ended = match &storm.story.ended {
            Err(Failure::Wrong(what)) => what.as_str(),
            _ => "",
        };
        let texts: Vec<String> = errors.map(everything_in).collect();
        let secrets = storm.secrets.iter().filter(|(_, secret)| secret.len() >= SHORTEST_SECRET);
        for (setting, secret) in secrets {
            let shown = |text: &str| text.replace(secret.as_str(), "***");
            if let Some(line) = log.lines().find(|line| line.contains(secret.as_str())) {
                self.add("secret", format!("`{setting}` is in the log: {}", shown(line)));
            }
            let text =
                texts.iter().map(String::as_str).chain([ended]).find(|text| text.contains(secret.as_str()));
            if let Some(text) = text {
                self.add("secret", format!("`{setting}` is in an error: {}", shown(text)));
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

/// How many remote calls a step made: each begins with an attempt that does not count on from the last.
fn calls(step: &Step) -> u32 {
    let mut last = u32::MAX;
    let attempts = step.sent.iter().map(|sent| sent.attempt);
    attempts.filter(|attempt| *attempt <= std::mem::replace(&mut last, *attempt)).count() as u32
}

/// How many steps from the first on end as they do undisturbed.
fn same_steps(calm: &Story, story: &Story) -> usize {
    let kinds = |step: &Step| step.outcomes.iter().map(Outcome::kind).collect::<Vec<_>>();
    let same = |(step, calm): &(&Step, &Step)| step.name == calm.name && kinds(step) == kinds(calm);
    story.steps.iter().zip(&calm.steps).take_while(same).count()
}

fn everything_in(error: &Error) -> String {
    format!("{error}\n{error:?}\n{}", error.explain())
}
