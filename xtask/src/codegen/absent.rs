//! `category.toml`: what a category is known to lack. A category without such a file lacks nothing that anybody named.

use std::path::Path;

use serde::Deserialize;

use super::facts::{Provider, Word, shaped};
use super::problems::Problems;
use crate::{Outcome, workspace};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    #[serde(default)]
    absent: Vec<Absent>,
}

/// A service, or a way, that nobody has written yet.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Absent {
    pub(super) name: Word,
    /// One sentence.
    pub(super) about: Word,
}

/// Reads what a category in `folder` lacks; a failure lists every problem as `file:line: problem`.
pub(super) fn load(root: &Path, folder: &Path, providers: &[Provider]) -> Outcome<Vec<Absent>> {
    let path = folder.join("category.toml");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let (text, place) = (workspace::read(&path)?, workspace::relative(root, &path));
    let Facts { absent } = shaped(&place, &text)?;
    judge(&absent, providers).into_outcome(&place, &text)?;
    Ok(absent)
}

fn judge(absent: &[Absent], providers: &[Provider]) -> Problems {
    let mut problems = Problems::default();
    problems.unique("name", absent.iter().map(|entry| &entry.name));
    for Absent { name, about } in absent {
        problems.words(&[name, about]);
        let is_there = providers.iter().any(|provider| provider.facts.name.as_ref() == name.as_ref());
        problems.when(is_there, name.span(), format!("`{}` is a provider, hence not absent", name.as_ref()));
        let sentence = about.as_ref();
        let is_one = sentence.ends_with('.') && !sentence.contains(". ") && !sentence.contains('\n');
        problems.when(!is_one, about.span(), "`about` is one sentence, with its full stop".to_owned());
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, NOTES};
    use super::super::plan;
    use super::*;

    const PLACE: &str = "crates/integrations-example/category.toml";
    const TAPES: &str =
        "# What is absent.\n\n[[absent]]\nname = \"Tapes\"\nabout = \"Notes that are spoken.\"\n";

    fn planned(category: &str) -> Outcome<String> {
        let fixture = Fixture::new(&[("example", "notes", NOTES)]);
        fixture.write(PLACE, category);
        let mut files = plan(fixture.root())?;
        files.remove(Path::new("docs/src/providers/matrix.md")).ok_or_else(|| "no matrix".to_owned())
    }

    #[test]
    fn what_is_absent_stands_below_the_matrix_of_its_category() {
        let text = planned(TAPES).unwrap();
        let table = "| `write` | yes |\n\nNot there yet:\n\n| what | about |\n| --- | --- |\n| Tapes | Notes that are spoken. |\n";
        assert!(text.ends_with(table), "{text}");
    }

    #[test]
    fn without_a_file_or_with_an_empty_one_there_is_no_table() {
        let fixture = Fixture::new(&[("example", "notes", NOTES)]);
        let without =
            plan(fixture.root()).unwrap().remove(Path::new("docs/src/providers/matrix.md")).unwrap();
        assert!(!without.contains("Not there yet"), "{without}");
        assert_eq!(planned("").unwrap(), without);
    }

    #[test]
    fn what_is_wrong_is_named_with_file_and_line() {
        for (from, to, line, told) in [
            ("[[absent]]", "[[abesnt]]", 3, "did you mean `absent`?"),
            ("about = ", "abuot = ", 5, "did you mean `about`?"),
            ("about = ", "# about = ", 3, "missing field `about`"),
            ("\"Tapes\"", "\" \"", 4, "must not be empty"),
            ("\"Tapes\"", "\"Notes\"", 4, "`Notes` is a provider, hence not absent"),
            ("spoken.", "spoken", 5, "one sentence"),
            ("spoken.", "spoken. And sung.", 5, "one sentence"),
        ] {
            let error = planned(&TAPES.replacen(from, to, 1)).unwrap_err();
            assert!(error.starts_with(&format!("{PLACE}:{line}: ")) && error.contains(told), "{to}: {error}");
        }
        let twice = format!("{TAPES}\n[[absent]]\nname = \"Tapes\"\nabout = \"Again.\"\n");
        let error = planned(&twice).unwrap_err();
        assert!(error.starts_with(&format!("{PLACE}:8: the name `Tapes` stands here twice")), "{error}");
    }
}
