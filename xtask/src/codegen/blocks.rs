//! Generated blocks inside files that are otherwise written by hand.

use crate::Outcome;

const BEGIN: &str = "codegen:begin";
const END: &str = "codegen:end";

/// Whether `text` has a block.
pub(super) fn has_block(text: &str) -> bool {
    text.lines().any(|line| line.contains(BEGIN))
}

/// An empty block, with `comment` as the language's mark of a line comment.
#[cfg(test)]
pub(super) fn empty(comment: &str) -> String {
    format!("{comment} {BEGIN} (written by `cargo xtask codegen`)\n{comment} {END}\n")
}

/// `text` with the lines between the marks replaced by `body`. The lines of the marks stay as they are.
pub(super) fn fill(place: &str, text: &str, body: &str) -> Outcome<String> {
    let lines: Vec<&str> = text.lines().collect();
    let at = |mark: &str| lines.iter().position(|line| line.contains(mark));
    let (Some(begin), Some(end)) = (at(BEGIN), at(END)) else {
        return Err(format!(
            "{place}: has no block for generated lines; add a line `{BEGIN}` and a line `{END}`"
        ));
    };
    if end < begin {
        return Err(format!("{place}:{}: `{END}` stands before `{BEGIN}`", end + 1));
    }
    let body = body.trim_end_matches('\n');
    let body = (!body.is_empty()).then_some(body);
    let filled: Vec<&str> =
        lines[..=begin].iter().copied().chain(body).chain(lines[end..].iter().copied()).collect();
    Ok(filled.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_changes() {
        let text = format!("above\n{}below\n", empty("//"));
        let once = fill("f", &text, "a\nb\n").unwrap();
        assert_eq!(once.lines().count(), 6);
        assert!(once.starts_with("above\n") && once.ends_with("below\n") && once.contains("\na\nb\n"));
        assert_eq!(fill("f", &once, "a\nb\n").unwrap(), once);
        assert_eq!(fill("f", &once, "").unwrap(), text);
    }

    #[test]
    fn a_file_without_marks_is_an_error() {
        assert!(fill("lib.rs", "x\n", "y").unwrap_err().starts_with("lib.rs: has no block"));
        assert!(!has_block("x\n"));
    }
}
