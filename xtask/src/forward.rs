//! `cargo xtask prove` and `cargo xtask bench`: release builds of their own packages, which need more than this one may.

use crate::{Outcome, process};

/// Runs a proof by name; without one the program prints its list.
pub(crate) fn prove(arguments: &[String]) -> Outcome {
    run("xtask-prove", arguments)
}

/// Runs a benchmark by name; without one the program prints its list.
pub(crate) fn bench(arguments: &[String]) -> Outcome {
    run("xtask-bench", arguments)
}

/// Prints nothing of its own: with `--json` all of standard output belongs to the program.
fn run(package: &str, arguments: &[String]) -> Outcome {
    let mut command = process::cargo(&["run", "--release", "--quiet", "--package", package, "--"]);
    command.args(arguments);
    process::run_quietly(&mut command)
}
