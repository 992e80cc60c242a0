//! `cargo xtask check`: everything that must hold before a change goes in, except the tests.

use std::path::Path;

use crate::metadata::Metadata;
use crate::rust_source::{Part, code_only, part};
use crate::{Outcome, codegen, process, tidy, workspace};

struct Step {
    name: &'static str,
    run: fn() -> Outcome,
}

const STEPS: &[Step] = &[
    Step { name: "fmt", run: fmt },
    Step { name: "tidy", run: tidy::run },
    Step { name: "lines", run: lines },
    Step { name: "clippy", run: clippy },
    Step { name: "doc", run: doc },
    Step { name: "deny", run: deny },
    Step { name: "features", run: features },
];

/// Hand-written lines that a provider may have. Past it, core or the category lacks something.
const MOST_LINES: usize = 900;

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
    if let Some(unknown) = arguments.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("unknown step `{unknown}`; the steps are {}", names.join(", ")));
    }
    let chosen =
        STEPS.iter().filter(|step| arguments.is_empty() || arguments.iter().any(|name| name == step.name));
    let mut failed = Vec::new();
    for step in chosen {
        println!("== {}", step.name);
        if let Err(message) = (step.run)() {
            eprintln!("{message}");
            failed.push(step.name);
        }
    }
    if failed.is_empty() {
        println!("check: all good");
        return Ok(());
    }
    Err(format!("check failed: {}", failed.join(", ")))
}

fn fmt() -> Outcome {
    process::run(&mut process::cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Outcome {
    let arguments = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    process::run(&mut process::cargo(&arguments))
}

/// Broken intra-doc links and missing docs are warnings of rustdoc, hence errors here.
fn doc() -> Outcome {
    let mut command = process::cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
    process::run(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Advisories are left to a machine that may fetch their database.
fn deny() -> Outcome {
    if !process::has_subcommand("deny") {
        println!("skipped: cargo-deny is not installed (`cargo install --locked cargo-deny@0.20.2`)");
        return Ok(());
    }
    process::run(&mut process::cargo(&["deny", "check", "bans", "licenses", "sources"]))
}

/// Each feature of each published crate compiles alone, and so does the crate without any.
fn features() -> Outcome {
    let metadata = Metadata::load()?;
    let mut failed = Vec::new();
    for package in metadata.published() {
        let alone = ["check", "--quiet", "--package", &package.name, "--no-default-features"];
        let features = package.features.keys().filter(|feature| *feature != "default");
        let calls = std::iter::once(alone.to_vec())
            .chain(features.map(|feature| [&alone[..], &["--features", feature.as_str()]].concat()));
        for arguments in calls {
            failed.extend(process::run(&mut process::cargo(&arguments)).err());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// Reports the hand-written lines of every provider and refuses those that are too long.
fn lines() -> Outcome {
    let root = workspace::root();
    let mut sizes = Vec::new();
    let mut too_long = Vec::new();
    for folder in workspace::provider_folders(&root)? {
        let (place, size) = (workspace::relative(&root, &folder), hand_written_lines(&folder)?);
        let size_facts = codegen::size_facts(&folder)?;
        let ops = size_facts.ops;
        let (most, why) = match size_facts.long {
            Some(long) => (long.most_lines, format!(": {}", long.why)),
            None => (MOST_LINES, String::new()),
        };
        println!("{size:>5}  {place}, {ops} operations{why}");
        if size > most {
            too_long.push(format!("{place}: {size} hand-written lines, more than {most}"));
        }
        sizes.push(size);
    }
    sizes.sort_unstable();
    if let Some(median) = sizes.get(sizes.len() / 2) {
        println!(
            "{median:>5}  median of {} providers (at most {MOST_LINES} each without a reason)",
            sizes.len()
        );
    }
    if too_long.is_empty() { Ok(()) } else { Err(too_long.join("\n")) }
}

fn hand_written_lines(folder: &Path) -> Outcome<usize> {
    let mut sum = 0;
    for file in workspace::files(folder, ".rs")? {
        let text = workspace::read(&file)?;
        if !text.starts_with("// @generated") {
            sum += product_lines(&text);
        }
    }
    Ok(sum)
}

/// Lines with text outside test items; comments and docs count, blank lines do not.
fn product_lines(text: &str) -> usize {
    let tests = part(&code_only(text), Part::Tests);
    text.lines()
        .zip(tests.lines())
        .filter(|(line, test)| !line.trim().is_empty() && test.trim().is_empty())
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_step_is_answered_with_all_steps() {
        let error = run(&["clipy".to_owned()]).unwrap_err();
        assert!(STEPS.iter().all(|step| error.contains(step.name)), "{error}");
    }

    #[test]
    fn tests_and_blank_lines_are_not_counted() {
        let text = "//! Docs.\n\nfn a() {\n    b();\n}\n\n#[cfg(test)]\nmod tests {\n    fn t() {}\n}\n";
        assert_eq!(product_lines(text), 4);
    }
}
