//! Commands that are programs of their own packages, which need more than this one may: `cargo xtask prove` and
//! `cargo xtask bench` in release builds, `cargo xtask contract`, `conformance` and `chaos` in debug builds.

use std::path::Path;
use std::process::Command;

use crate::services::Services;
use crate::{Outcome, process};

/// The proofs that write to databases.
const ON_SERVERS: [&str; 2] = ["refresh", "secrets"];

/// Runs a proof by name; without one the program prints its list. A proof that needs servers gets them.
pub(crate) fn prove(arguments: &[String]) -> Outcome {
    let mut command = command("xtask-prove", arguments);
    if !arguments.iter().any(|argument| ON_SERVERS.contains(&argument.as_str())) {
        return process::run_quietly(&mut command);
    }
    let services = Services::start();
    services.tell_skipped();
    process::run_quietly(command.envs(services.variables()))
}

/// Runs a benchmark by name; without one the program prints its list.
pub(crate) fn bench(arguments: &[String]) -> Outcome {
    process::run_quietly(&mut command("xtask-bench", arguments))
}

/// Runs conformance cases under faults. Debug builds do it well enough, so nothing is built for release.
pub(crate) fn chaos(arguments: &[String]) -> Outcome {
    let mut command = process::cargo(&["run", "--quiet", "--package", "xtask-verify", "--", "chaos"]);
    process::run_quietly(command.args(arguments))
}

/// Runs conformance cases as they are, and writes or compares the page of the book.
pub(crate) fn conformance(arguments: &[String]) -> Outcome {
    let mut command = process::cargo(&["run", "--quiet", "--package", "xtask-verify", "--", "conformance"]);
    process::run_quietly(command.args(arguments))
}

/// Runs the contract check. It runs in the workspace's root, so a folder that is named from here is named in full.
pub(crate) fn contract(arguments: &[String]) -> Outcome {
    let here = std::env::current_dir().map_err(|e| format!("the current folder is not known: {e}"))?;
    let mut command = process::cargo(&["run", "--quiet", "--package", "xtask-verify", "--", "contract"]);
    process::run_quietly(command.args(with_full_folder(arguments, &here)))
}

/// The arguments with what follows `--specs` as seen from anywhere.
fn with_full_folder(arguments: &[String], here: &Path) -> Vec<String> {
    let mut full = arguments.to_vec();
    let folder = full.iter().position(|argument| argument == "--specs").and_then(|at| full.get_mut(at + 1));
    if let Some(folder) = folder {
        *folder = here.join(&*folder).to_string_lossy().into_owned();
    }
    full
}

/// Prints nothing of its own: with `--json` all of standard output belongs to the program.
fn command(package: &str, arguments: &[String]) -> Command {
    let mut command = process::cargo(&["run", "--release", "--quiet", "--package", package, "--"]);
    command.args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_descriptions_is_named_in_full() {
        let full = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
            with_full_folder(&arguments, Path::new("/here"))
        };
        assert_eq!(full(&["--json", "--specs", "a/b"]), ["--json", "--specs", "/here/a/b"]);
        assert_eq!(full(&["--specs", "/a"]), ["--specs", "/a"]);
        assert_eq!(full(&["--specs"]), ["--specs"]);
        assert_eq!(full(&[]), [""; 0]);
    }
}
