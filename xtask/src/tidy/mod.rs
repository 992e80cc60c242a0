//! The rules of the workspace that a program can check, and no compiler does.

mod dependencies;
mod links;
mod sources;

use std::fmt;
use std::path::Path;

use crate::metadata::Metadata;
use crate::{Outcome, workspace};

/// One broken rule, at a place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    place: String,
    line: usize,
    message: String,
}

impl Violation {
    fn new(place: &str, line: usize, message: impl Into<String>) -> Self {
        Self { place: place.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.place;
        match self.line {
            0 => write!(f, "{place}: {}", self.message),
            line => write!(f, "{place}:{line}: {}", self.message),
        }
    }
}

/// Checks the whole workspace and lists everything that is wrong.
pub(crate) fn run() -> Outcome {
    let root = workspace::root();
    let mut found = dependencies::violations(&Metadata::load()?);
    found.extend(dependencies::core_tree()?);
    found.extend(source_violations(&root)?);
    found.extend(links::violations(&root)?);
    if found.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    Err(lines.join("\n"))
}

fn source_violations(root: &Path) -> Outcome<Vec<Violation>> {
    let providers = workspace::provider_folders(root)?;
    let mut found = Vec::new();
    for top in ["crates", "xtask"] {
        for file in workspace::files(&root.join(top), ".rs")? {
            let is_provider = providers.iter().any(|folder| file.starts_with(folder));
            let place = workspace::relative(root, &file);
            found.extend(sources::violations(&place, &workspace::read(&file)?, is_provider));
        }
    }
    Ok(found)
}
