//! What a transfer brought over and what was lost.

use std::fmt;

use integrations_core::music::PlaylistId;
use serde::{Deserialize, Serialize};

use super::plan::{Outcome, Row};

/// How many entries had which outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// All entries of the source.
    pub total: usize,
    /// The target has them.
    pub matched: usize,
    /// Several recordings fit.
    pub ambiguous: usize,
    /// Nothing fits.
    pub not_found: usize,
    /// No tracks of a catalogue.
    pub skipped: usize,
    /// Looking or saving failed.
    pub failed: usize,
    /// Not looked for yet.
    pub pending: usize,
}

impl Counts {
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut counts = Self { total: rows.len(), ..Self::default() };
        for row in rows {
            *match row.outcome {
                Outcome::Matched { .. } => &mut counts.matched,
                Outcome::Ambiguous { .. } => &mut counts.ambiguous,
                Outcome::NotFound { .. } => &mut counts.not_found,
                Outcome::Skipped { .. } => &mut counts.skipped,
                Outcome::Failed { .. } => &mut counts.failed,
                Outcome::Pending => &mut counts.pending,
            } += 1;
        }
        counts
    }
}

/// What became of every entry. `Display` is the loss report for people; its JSON is for programs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TransferReport {
    /// The provider that was read.
    pub from: String,
    /// The provider that is written.
    pub to: String,
    /// The playlist that is written to, once it is there.
    pub playlist: Option<PlaylistId>,
    /// How many entries had which outcome.
    pub counts: Counts,
    /// How many of the matched tracks are certainly written.
    pub written: usize,
    /// Whether everything is written.
    pub done: bool,
    /// Every entry, in order.
    pub rows: Vec<Row>,
}

impl fmt::Display for TransferReport {
    /// One line with the counts, and one for each entry that did not come over.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        write!(f, "{} of {} matched, {} written", counts.matched, counts.total, self.written)?;
        for (count, name) in [
            (counts.ambiguous, "ambiguous"),
            (counts.not_found, "not found"),
            (counts.skipped, "skipped"),
            (counts.failed, "failed"),
            (counts.pending, "not looked for yet"),
        ] {
            if count > 0 {
                write!(f, ", {count} {name}")?;
            }
        }
        for (at, row) in self.rows.iter().enumerate() {
            let line = row.wanted.line();
            let (what, hints) = match &row.outcome {
                Outcome::Matched { .. } | Outcome::Pending => continue,
                Outcome::Ambiguous { candidates } => ("several fit".to_owned(), candidates.as_slice()),
                Outcome::NotFound { candidates } => ("not found".to_owned(), candidates.as_slice()),
                Outcome::Skipped { why } => (why.text().to_owned(), [].as_slice()),
                Outcome::Failed { kind, message } => (format!("{kind}: {message}"), [].as_slice()),
            };
            write!(f, "\n{:>5}  {line}: {what}", at + 1)?;
            for hint in hints {
                write!(f, "\n       {:.2}  {} ({})", hint.score, hint.line, hint.reason)?;
            }
        }
        Ok(())
    }
}
