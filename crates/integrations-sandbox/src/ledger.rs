//! What calls have changed.

use std::collections::HashMap;

/// One change at a vendor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Change {
    /// The vendor's name of what was done, such as `create_playlist`.
    pub what: String,
    /// What tells this change from another that was meant: a name, the ids, an idempotency key.
    pub subject: String,
    /// Doing it twice differs from doing it once.
    pub adds_up: bool,
}

/// The changes at a vendor, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger(Vec<Change>);

impl Ledger {
    /// Writes a change that adds up: a second one would be a second charge, message or entry.
    pub fn added(&mut self, what: &str, subject: impl Into<String>) {
        self.0.push(Change { what: what.to_owned(), subject: subject.into(), adds_up: true });
    }

    /// Writes a change that can be made again without a difference.
    pub fn set(&mut self, what: &str, subject: impl Into<String>) {
        self.0.push(Change { what: what.to_owned(), subject: subject.into(), adds_up: false });
    }

    /// All changes, oldest first.
    pub fn changes(&self) -> &[Change] {
        &self.0
    }

    /// The changes that add up and stand here more than once. Empty unless something was done twice, as long as no
    /// two that were meant have the same subject.
    pub fn repeated(&self) -> Vec<&Change> {
        let mut counts: HashMap<&Change, usize> = HashMap::new();
        for change in self.0.iter().filter(|change| change.adds_up) {
            *counts.entry(change).or_default() += 1;
        }
        let mut repeated: Vec<_> =
            counts.into_iter().filter(|(_, n)| *n > 1).map(|(change, _)| change).collect();
        repeated.sort_by(|a, b| (&a.what, &a.subject).cmp(&(&b.what, &b.subject)));
        repeated
    }
}
