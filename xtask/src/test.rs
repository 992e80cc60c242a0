//! `cargo xtask test`: every test and every doctest, summed into one line.

use crate::Outcome;
use crate::process::{self, Watched};
use crate::services::Services;

/// The benchmark's peers take minutes to build and it has no tests; `cargo xtask bench` builds and runs it.
const LEFT_OUT: &str = "xtask-bench";

const SELECTION: &[&str] = &["--workspace", "--all-features", "--no-fail-fast", "--exclude", LEFT_OUT];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

pub(crate) fn run(arguments: &[String]) -> Outcome {
    if !arguments.is_empty() {
        return Err(
            "`cargo xtask test` takes no arguments; for a part use `cargo nextest run -p <crate>`".to_owned()
        );
    }
    println!("left out: {LEFT_OUT} (a benchmark without tests; `cargo xtask bench` builds and runs it)");
    let services = Services::start();
    services.print_skipped();
    let tests = if process::has_subcommand("nextest") {
        nextest(&services)?
    } else {
        libtest(&["--tests"], &services)?
    };
    let total = tests + libtest(&["--doc"], &services)?;
    services.print_skipped();
    drop(services);
    // The last line of all output: others read it.
    println!("{total}");
    if total.failed == 0 { Ok(()) } else { Err(String::new()) }
}

fn nextest(services: &Services) -> Outcome<Counts> {
    let command = [&["nextest", "run", "--no-tests=pass"], SELECTION].concat();
    let watched = process::watch(process::cargo(&command).envs(services.variables()))?;
    let counts = nextest_counts(&watched.lines);
    if watched.success && counts.is_none() {
        return Err(
            "nextest printed no summary that this program can read: nothing is known about the tests"
                .to_owned(),
        );
    }
    Ok(settle(counts.unwrap_or_default(), &watched))
}

fn libtest(kind: &[&str], services: &Services) -> Outcome<Counts> {
    let command = [&["test"], kind, SELECTION].concat();
    let watched = process::watch(process::cargo(&command).envs(services.variables()))?;
    Ok(settle(libtest_counts(&watched.lines), &watched))
}

/// A command that fails without a failed test did not build or crashed; that counts as one failure.
fn settle(mut counts: Counts, watched: &Watched) -> Counts {
    if !watched.success && counts.failed == 0 {
        println!("the tests did not build or did not run to their end: counted as one failure");
        counts.failed = 1;
    }
    counts
}

/// Reads nextest's `Summary [ 1.2s] 7 tests run: 5 passed (1 slow), 1 failed, 1 timed out, 2 skipped`.
fn nextest_counts(lines: &[String]) -> Option<Counts> {
    let summary = lines.iter().rev().find(|line| line.trim_start().starts_with("Summary ["))?;
    let (_, list) = summary.split_once("run:")?;
    let mut counts = Counts::default();
    for (number, word) in numbered_words(&without_brackets(list), ',') {
        match word.as_str() {
            "passed" => counts.passed += number,
            "skipped" => counts.skipped += number,
            "failed" | "exec failed" | "timed out" => counts.failed += number,
            _ => {}
        }
    }
    Some(counts)
}

/// Sums the lines `test result: ok. 5 passed; 0 failed; 1 ignored; …` of libtest and rustdoc.
fn libtest_counts(lines: &[String]) -> Counts {
    let mut counts = Counts::default();
    for list in lines.iter().filter_map(|line| line.strip_prefix("test result: ")) {
        let list = list.split_once(". ").map_or("", |(_, list)| list);
        for (number, word) in numbered_words(list, ';') {
            match word.as_str() {
                "passed" => counts.passed += number,
                "failed" => counts.failed += number,
                "ignored" => counts.skipped += number,
                _ => {}
            }
        }
    }
    counts
}

/// `"5 passed (1 slow), 2 failed"` without what stands in brackets, because commas stand there too.
fn without_brackets(text: &str) -> String {
    let mut depth = 0_u32;
    text.chars()
        .filter(|c| {
            depth = if *c == '(' { depth + 1 } else { depth };
            let keep = depth == 0;
            depth = if *c == ')' { depth.saturating_sub(1) } else { depth };
            keep
        })
        .collect()
}

fn numbered_words(list: &str, separator: char) -> impl Iterator<Item = (u64, String)> {
    list.split(separator).filter_map(|part| {
        let (number, word) = part.trim().split_once(' ')?;
        Some((number.parse().ok()?, word.trim().to_owned()))
    })
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn nextest_summaries_are_read_with_every_kind_of_failure() {
        let table = [
            ("     Summary [   0.021s] 5 tests run: 5 passed, 0 skipped", (5, 0, 0)),
            (
                "     Summary [   9.1s] 9 tests run: 5 passed (1 slow, 1 flaky), 2 failed, 1 exec failed, 1 timed out, 3 skipped",
                (5, 4, 3),
            ),
            ("     Summary [   0.1s] 2/4 tests run: 1 passed, 1 failed, 1 skipped", (1, 1, 1)),
        ];
        for (text, (passed, failed, skipped)) in table {
            assert_eq!(nextest_counts(&lines(text)), Some(Counts { passed, failed, skipped }), "{text}");
        }
        assert_eq!(nextest_counts(&lines("nothing was run")), None);
    }

    #[test]
    fn libtest_results_are_summed_over_binaries() {
        let text = "\
running 3 tests
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: FAILED. 1 passed; 2 failed; 4 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(libtest_counts(&lines(text)), Counts { passed: 4, failed: 2, skipped: 4 });
    }

    #[test]
    fn a_build_failure_is_never_reported_as_success() {
        let broken = Watched { lines: lines("error: could not compile"), success: false };
        assert_eq!(settle(libtest_counts(&broken.lines), &broken).failed, 1);
    }

    #[test]
    fn the_closing_line_names_skipped_tests_only_when_there_are_some() {
        assert_eq!(Counts { passed: 3, failed: 1, skipped: 0 }.to_string(), "3 passed, 1 failed");
        assert_eq!(Counts { passed: 3, failed: 0, skipped: 2 }.to_string(), "3 passed, 0 failed, 2 skipped");
    }
}
