//! What a proof says at its end: a story for people, one line of JSON for programs.

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};

/// The outcome of one proof.
pub(crate) struct Report {
    pub(crate) proof: &'static str,
    pub(crate) pass: bool,
    /// What was injected, what ours did, what the naive way did under the same load; a line each.
    pub(crate) story: Vec<String>,
    pub(crate) injected: Value,
    pub(crate) ours: Value,
    pub(crate) control: Value,
}

impl Report {
    /// Prints the story, unless `json_only`, and then one line of JSON. Fails when the proof did, or the printing.
    pub(crate) fn print(&self, json_only: bool) -> ExitCode {
        let printed = std::io::stdout().write_all(self.render(json_only).as_bytes()).is_ok();
        if self.pass && printed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn render(&self, json_only: bool) -> String {
        let line = json!({
            "proof": self.proof,
            "pass": self.pass,
            "injected": self.injected,
            "ours": self.ours,
            "control": self.control,
        });
        let story = if json_only { String::new() } else { self.story.join("\n") + "\n" };
        format!("{story}{line}\n")
    }
}

/// Four decimals are all that a figure of a simulation is good for.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_json_with_or_without_the_story() {
        let report = Report {
            proof: "demo",
            pass: true,
            story: vec!["one".to_owned(), "two".to_owned()],
            injected: json!({}),
            ours: json!({ "hits": 0 }),
            control: json!({}),
        };
        let text = report.render(false);
        assert_eq!(text.lines().count(), 3);
        let last: Value = serde_json::from_str(text.lines().last().expect("three lines")).expect("JSON");
        assert_eq!((last["proof"].as_str(), last["pass"].as_bool()), (Some("demo"), Some(true)));
        assert_eq!(report.render(true).lines().count(), 1);
    }
}
