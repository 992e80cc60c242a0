//! What the searches of services have in common.

use integrations_core::{Error, Result};

use crate::Query;

/// A part of a query that not every search takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Title,
    Album,
    Year,
}

/// Refuses a query with one of these parts: a search that would leave out what was asked for finds the wrong things.
pub(crate) fn refuse(provider: &str, query: &Query, parts: &[Part]) -> Result<()> {
    let asked = parts.iter().find_map(|part| match part {
        Part::Title => query.title.is_some().then_some("a title"),
        Part::Album => query.album.is_some().then_some("an album"),
        Part::Year => query.year.is_some().then_some("a year"),
    });
    asked.map_or(Ok(()), |what| {
        let message = format!("`{provider}` does not search by {what} here");
        Err(Error::unsupported(message, "leave it out, and choose among the results"))
    })
}

/// The words of several parts, for a search that has one text for all.
pub(crate) fn joined<const N: usize>(parts: [&Option<String>; N]) -> Option<String> {
    let words: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    (!words.is_empty()).then(|| words.join(" "))
}
