//! `cargo xtask prove` and `cargo xtask bench`: release builds of their own packages, which need more than this one may.

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

/// Runs a judge of all providers. It sums up what debug builds do well enough, so nothing is built for release.
pub(crate) fn chaos(arguments: &[String]) -> Outcome {
    let mut command = process::cargo(&["run", "--quiet", "--package", "xtask-verify", "--", "chaos"]);
    process::run_quietly(command.args(arguments))
}

/// Prints nothing of its own: with `--json` all of standard output belongs to the program.
fn command(package: &str, arguments: &[String]) -> Command {
    let mut command = process::cargo(&["run", "--release", "--quiet", "--package", package, "--"]);
    command.args(arguments);
    command
}
