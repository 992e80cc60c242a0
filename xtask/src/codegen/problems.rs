//! What is wrong in facts of the right shape, and the checks that all facts share.

use std::collections::BTreeSet;
use std::ops::Range;

use super::facts::{Word, line_of, nearest};
use crate::Outcome;

/// A broken rule, at a byte of the file.
struct Problem {
    at: usize,
    message: String,
}

/// Collects broken rules.
#[derive(Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
}

impl Problems {
    /// Fails with every problem as `file:line: problem`.
    pub(super) fn into_outcome(self, place: &str, text: &str) -> Outcome {
        if self.found.is_empty() {
            return Ok(());
        }
        let line = |p: &Problem| format!("{place}:{}: {}", line_of(text, p.at), p.message);
        Err(self.found.iter().map(line).collect::<Vec<_>>().join("\n"))
    }

    pub(super) fn words(&mut self, words: &[&Word]) {
        for word in words {
            self.when(word.as_ref().trim().is_empty(), word.span(), "must not be empty".to_owned());
        }
    }

    pub(super) fn urls(&mut self, urls: &[&Word]) {
        for url in urls {
            let is_url = url.as_ref().starts_with("https://") && !url.as_ref().contains(char::is_whitespace);
            self.when(!is_url, url.span(), format!("`{}` is not an https address", url.as_ref()));
        }
    }

    pub(super) fn spelled(&mut self, word: &Word, is_right: fn(&str) -> bool, style: &str) {
        self.when(!is_right(word.as_ref()), word.span(), format!("`{}` is not {style}", word.as_ref()));
    }

    pub(super) fn unique<'a>(&mut self, what: &str, words: impl Iterator<Item = &'a Word>) {
        let mut seen = BTreeSet::new();
        for word in words {
            let again = !seen.insert(word.as_ref());
            self.when(again, word.span(), format!("the {what} `{}` stands here twice", word.as_ref()));
        }
    }

    pub(super) fn one_of<'b>(
        &mut self,
        word: &Word,
        what: &str,
        names: impl Iterator<Item = &'b (impl AsRef<str> + ?Sized + 'b)>,
    ) {
        let names: Vec<&str> = names.map(AsRef::as_ref).collect();
        if names.contains(&word.as_ref().as_str()) {
            return;
        }
        let suggestion = nearest(word.as_ref(), names.iter().copied());
        let suggestion = suggestion.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        self.push(word.span(), format!("there is no {what} `{}`{suggestion}", word.as_ref()));
    }

    pub(super) fn when(&mut self, is_wrong: bool, span: Range<usize>, message: String) {
        if is_wrong {
            self.push(span, message);
        }
    }

    pub(super) fn push(&mut self, span: Range<usize>, message: String) {
        self.found.push(Problem { at: span.start, message });
    }
}

/// Lower-case letters, digits and `-`, a letter first.
pub(crate) fn is_kebab(text: &str) -> bool {
    starts_with_letter(text) && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

pub(super) fn is_snake(text: &str) -> bool {
    starts_with_letter(text) && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

pub(super) fn is_screaming(text: &str) -> bool {
    starts_with_letter(text) && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

fn starts_with_letter(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
}
