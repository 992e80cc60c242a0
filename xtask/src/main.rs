//! The workspace's tooling: `cargo xtask <command>`.
//!
//! Invariants:
//! - It is compiled before everything else on a fresh machine, so it depends on serde, serde_json, toml and sha2 alone.
//! - Every rule it enforces has a test here that shows the rule catching a violation.
//! - It works without a network: `cargo deny`, a first build and the tests' servers fetch what they lack, and what
//!   cannot be fetched is skipped in so many words.
#![allow(clippy::print_stdout, reason = "a command line tool speaks through stdout")]

use std::process::ExitCode;

mod check;
mod codegen;
mod forward;
mod metadata;
mod new;
mod process;
mod release;
mod rust_source;
mod services;
mod specs;
mod test;
mod tidy;
mod workspace;

/// A failure in one line or several, for a human; empty when everything was said already.
type Outcome<T = ()> = Result<T, String>;

struct Command {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Outcome,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        arguments: "",
        about: "run every test and doctest; ends with `N passed, N failed`",
        run: test::run,
    },
    Command {
        name: "services",
        arguments: "",
        about: "start the servers that tests use, print their variables and wait for Ctrl-C",
        run: services::run,
    },
    Command {
        name: "check",
        arguments: "[step...]",
        about: "fmt, clippy, tidy, doc, deny, features, lines; without a step: all of them",
        run: check::run,
    },
    Command {
        name: "codegen",
        arguments: "[--check]",
        about: "write what follows from every provider.toml; --check only compares",
        run: codegen::run,
    },
    Command {
        name: "new",
        arguments: "<category> <provider>",
        about: "write a provider that compiles, with one call and its tests",
        run: new::run,
    },
    Command {
        name: "contract",
        arguments: "[--specs DIR] [--provider ID] [--json]",
        about: "judge requests and answers by the vendors' own descriptions",
        run: forward::contract,
    },
    Command {
        name: "specs",
        arguments: "fetch [--into DIR]",
        about: "download the vendors' own descriptions that specs.toml pins",
        run: specs::run,
    },
    Command {
        name: "prove",
        arguments: "[name] [--json]",
        about: "run one proof in release; without a name: list them",
        run: forward::prove,
    },
    Command {
        name: "bench",
        arguments: "[name] [--json]",
        about: "run one benchmark in release; without a name: list them",
        run: forward::bench,
    },
    Command {
        name: "chaos",
        arguments: "[--seeds N] [--provider ID] ...",
        about: "run every music provider's conformance cases under faults; --seed S: one run again; --json",
        run: forward::chaos,
    },
    Command {
        name: "conformance",
        arguments: "[--write]",
        about: "run every music provider's conformance cases; --write: the page that says which ran",
        run: forward::conformance,
    },
    Command {
        name: "release",
        arguments: "--dry-run",
        about: "check everything that is published and print the order; never publishes",
        run: release::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            if !message.is_empty() {
                eprintln!("{message}");
            }
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Outcome {
    let Some((name, rest)) = arguments.split_first() else {
        return Err(usage());
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        println!("{}", usage());
        return Ok(());
    }
    let command = COMMANDS
        .iter()
        .find(|command| command.name == name)
        .ok_or_else(|| format!("unknown command `{name}`\n\n{}", usage()))?;
    (command.run)(rest)
}

fn usage() -> String {
    let row =
        |command: &Command| format!("  {:<9} {:<38} {}", command.name, command.arguments, command.about);
    let rows: Vec<String> = COMMANDS.iter().map(row).collect();
    format!("usage: cargo xtask <command>\n\ncommands:\n{}", rows.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_command_is_answered_with_all_commands() {
        let error = dispatch(&["tset".to_owned()]).unwrap_err();
        assert!(error.starts_with("unknown command `tset`"), "{error}");
        for command in COMMANDS {
            assert!(error.contains(command.about), "{error}");
        }
        assert!(dispatch(&[]).unwrap_err().starts_with("usage:"));
    }
}
