//! What a provider makes of answers that nobody promised: the recorded ones, changed in every place.
//!
//! Services add fields, leave some out, set others to null, and one day answer with a proxy's page. A field that is new,
//! missing or null, a null among the elements of a list and a text that was never seen must not make an answer unusable,
//! unless the golden file says that the answer cannot be used without it (`needs`), or that the text has a format
//! (`formats`). Whatever else arrives is read, or is an error of kind [`Decode`](ErrorKind::Decode) that quotes nothing.
//!
//! The lists are judged too: an entry that nothing depends on is a problem.

mod mutation;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use integrations_core::{Classify, Effect, Error, ErrorKind, Safety, WireResponse};

use crate::golden::{Golden, Goldens, Problems};
use mutation::{CANARIES, List, Met, Must, Mutation};

/// Judges what the endpoints make of the recorded answers, changed. `classify` is the provider's: in the pipeline it sees
/// every answer before an endpoint does.
pub fn check(goldens: &Goldens, classify: &dyn Classify) -> Result<(), Problems> {
    if goldens.iter().next().is_none() {
        return Problems::none_of(vec!["there are no golden files".to_owned()]);
    }
    let mut met = Met::default();
    Problems::none_of(goldens.iter().flat_map(|golden| problems(golden, classify, &mut met)).collect())
}

fn problems(golden: &Golden, classify: &dyn Classify, met: &mut Met) -> Vec<String> {
    let Some(response) = golden.response() else {
        return vec![format!("{}.json: it was not recorded yet", golden.name())];
    };
    if !response.status.is_success() {
        return Vec::new();
    }
    let mut trial = Trial { golden, classify, found: BTreeMap::new(), used: BTreeSet::new() };
    trial.judge(&mutation::none(&response));
    // Some answers have an element for each thing that was asked for; those are taken as they are.
    let short = mutation::shortened(&response).filter(|short| matches!(trial.read(short), Outcome::Read));
    mutation::each(golden, &short.unwrap_or(response), met, |mutation| trial.judge(&mutation));
    trial.problems()
}

/// The trial of one golden.
struct Trial<'g> {
    golden: &'g Golden,
    classify: &'g dyn Classify,
    /// Place, mutation and problem; and how many elements of a list have it.
    found: BTreeMap<(String, String, String), usize>,
    /// The entries of the lists that something depends on.
    used: BTreeSet<(List, String)>,
}

/// What became of an answer.
enum Outcome {
    Read,
    Refused(Error),
    /// The vendor's own words for an error were found in it: its message may be quoted, its kind is any.
    TakenForError(Error),
    Panicked(String),
}

impl Trial<'_> {
    fn judge(&mut self, mutation: &Mutation) {
        let problem = match self.read(&mutation.response) {
            Outcome::Read => None,
            Outcome::Panicked(message) => Some(message),
            Outcome::TakenForError(e) => self.forbidden(mutation, &e),
            Outcome::Refused(e) => self
                .forbidden(mutation, &e)
                .or_else(|| self.mistyped(&e))
                .or_else(|| self.quoted(mutation, &e)),
        };
        if let Some(problem) = problem {
            self.add(mutation, problem);
        }
    }

    /// Whether this answer had to be read.
    fn forbidden(&mut self, mutation: &Mutation, error: &Error) -> Option<String> {
        match mutation.must {
            Must::NotPanic => None,
            Must::BeRead => Some(format!("refused: {error}")),
            Must::BeReadUnless(list) if list.of(self.golden).contains(&mutation.at) => {
                self.used.insert((list, mutation.at.clone()));
                None
            }
            Must::BeReadUnless(list) => {
                Some(format!("refused, and not among the `{}`: {error}", list.name()))
            }
        }
    }

    /// Whether a caller would take the error for something else than it is.
    fn mistyped(&self, error: &Error) -> Option<String> {
        let is_read = self.golden.op().safety == Safety::Read;
        let effect = if is_read { Effect::Rejected } else { Effect::Applied };
        let is_right = error.kind() == ErrorKind::Decode && error.effect() == effect;
        let (kind, told) = (error.kind(), error.effect());
        (!is_right).then(|| format!("refused as {kind}, {told}, and not as decode, {effect}: {error}"))
    }

    /// Whether the error quotes the answer: this one, or the same with a text of ours in each place that takes any.
    fn quoted(&self, mutation: &Mutation, error: &Error) -> Option<String> {
        let again = match mutation.with_canaries(self.golden).map(|response| self.read(&response)) {
            Some(Outcome::Panicked(message)) => return Some(message),
            Some(Outcome::Refused(error)) => Some(error),
            _ => None,
        };
        let found = [Some(error), again.as_ref()].into_iter().flatten().any(quotes);
        found.then(|| "the error quotes the answer".to_owned())
    }

    /// As the pipeline reads an answer.
    fn read(&self, response: &WireResponse) -> Outcome {
        let read = || match self.classify.classify(self.golden.op(), response) {
            Some(error) => Outcome::TakenForError(error),
            None => self.golden.read(response.clone()).map_or_else(Outcome::Refused, |_| Outcome::Read),
        };
        catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| Outcome::Panicked(message(&*panic)))
    }

    fn add(&mut self, mutation: &Mutation, problem: String) {
        *self.found.entry((mutation.at.clone(), mutation.what.clone(), problem)).or_default() += 1;
    }

    fn problems(self) -> Vec<String> {
        let name = self.golden.name();
        let found = self.found.iter().map(|((at, what, problem), count)| {
            let times = if *count > 1 { format!(" ({count} times)") } else { String::new() };
            let place = if at.is_empty() { "the answer" } else { at };
            format!("{name}.json: {place} {what}{times}: {problem}")
        });
        found.chain(self.unused()).collect()
    }

    fn unused(&self) -> impl Iterator<Item = String> {
        let entries =
            List::ALL.into_iter().flat_map(|list| list.of(self.golden).iter().map(move |at| (list, at)));
        let unused = entries.filter(|(list, at)| !self.used.contains(&(*list, (*at).clone())));
        unused.map(|(list, at)| {
            let (name, list) = (self.golden.name(), list.name());
            format!("{name}.json: `{list}` has {at}, but nothing depends on it: take it out")
        })
    }
}

fn quotes(error: &Error) -> bool {
    let texts = [error.to_string(), format!("{error:?}"), error.explain()];
    texts.iter().any(|text| CANARIES.iter().any(|canary| text.contains(canary)))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it does not say why");
    format!("panicked: {text}")
}
