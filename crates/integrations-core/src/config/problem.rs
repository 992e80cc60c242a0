//! What is wrong with a configuration, and where.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};

/// Where a value comes from. Ordered as problems are printed: by file and place, then variables, then code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Place {
    /// A place in a text.
    Text {
        /// The file's path, or the name that the text was given.
        file: Arc<str>,
        /// The line, from 1.
        line: u32,
        /// The column in characters, from 1.
        column: u32,
    },
    /// A variable.
    Variable(Arc<str>),
    /// A value that code set, by its path.
    Code(Arc<str>),
    /// The configuration as a whole.
    Whole,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Code(path) => write!(f, "`{path}` set in code"),
            Self::Whole => f.write_str("configuration"),
        }
    }
}

/// One thing that is wrong with a configuration. Never holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Problem {
    /// Where the value stands that is wrong.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The path of the value, e.g. `instances.spotify_main.timeout`; empty for the whole.
    pub path: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// Everything that is wrong with a configuration: never empty, sorted by place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems, sorted by place.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// How many there are; at least 1.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Problems {
    /// One line for each problem: `file:line:column: message (hint)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        let message = match problems.len() {
            1 => problems.to_string(),
            n => format!("the configuration has {n} problems:\n{problems}"),
        };
        Self::config(message).with_source(problems)
    }
}

/// Where problems are gathered while reading goes on.
#[derive(Debug, Default)]
pub(super) struct Found(Vec<Problem>);

impl Found {
    pub(super) fn add(&mut self, place: &Place, path: &str, message: impl Into<String>) -> &mut Problem {
        self.0.push(Problem {
            place: place.clone(),
            message: message.into(),
            hint: None,
            path: path.to_owned(),
        });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// What was made, or all that was found, once each: several environments share what stands in `instances`.
    pub(super) fn finish<T>(mut self, made: Option<T>) -> Result<T, Problems> {
        self.0.sort();
        self.0.dedup_by(|a, b| a.place == b.place && a.message == b.message);
        match made {
            Some(made) if self.0.is_empty() => return Ok(made),
            None if self.0.is_empty() => {
                self.add(&Place::Whole, "", "it cannot be read");
            }
            _ => {}
        }
        Err(Problems(self.0))
    }
}

impl Problem {
    pub(super) fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }

    pub(super) fn did_you_mean(&mut self, close: Option<&str>, otherwise: impl FnOnce() -> Option<String>) {
        self.hint = close.map(|close| format!("did you mean `{close}`?")).or_else(otherwise);
    }
}
