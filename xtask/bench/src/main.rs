//! Measures what the resilience pipeline, the vault and the reader of signed tokens cost per call, beside what people use
//! instead.
//!
//! Usage: `cargo run --release -p xtask-bench -- pipeline [--json] [--quick] [--build]`, or `-- tokens [--json] [--quick]`,
//! or `-- jwt [--json] [--quick]`

mod contestant;
mod core_build;
mod distance;
mod jwt;
mod machine;
mod measure;
mod ours;
mod peers;
mod report;
mod service;
mod suite;
mod tokens;
mod workers;

use std::io::{self, Write};

use alloc_tracker::Allocator;

use crate::contestant::BoxError;
use crate::machine::Machine;
use crate::measure::Plan;
use crate::report::Report;

// It counts in cells of each thread, so two threads do not meet in it.
#[global_allocator]
static ALLOCATOR: Allocator<std::alloc::System> = Allocator::system();

const USAGE: &str =
    "usage: xtask-bench pipeline [--json] [--quick] [--build], or xtask-bench tokens|jwt [--json] [--quick]";

fn main() -> Result<(), BoxError> {
    let options = Options::parse(std::env::args().skip(1))?;
    if cfg!(debug_assertions) && !options.quick {
        return Err(
            "a debug build says nothing about time: run it with --release, or with --quick to see it work"
                .into(),
        );
    }
    let plan = if options.quick { Plan::QUICK } else { Plan::FULL };
    match options.bench {
        Bench::Pipeline => pipeline(plan, &options),
        Bench::Tokens => tokens::run(plan, options.json, &mut io::stdout().lock()),
        Bench::Jwt => jwt::run(plan, options.json, &mut io::stdout().lock()),
    }
}

fn pipeline(plan: Plan, options: &Options) -> Result<(), BoxError> {
    let findings = suite::run(plan)?;
    let build = options.build.then(core_build::measure).transpose()?;
    let report = Report { findings, build, rounds: plan.rounds, machine: Machine::this() };
    let mut out = io::stdout().lock();
    report.write_table(&mut out)?;
    if options.json {
        writeln!(out, "{}", report.json())?;
    }
    Ok(())
}

/// What is measured.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Bench {
    #[default]
    Pipeline,
    /// The vault.
    Tokens,
    /// Signed tokens.
    Jwt,
}

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    bench: Bench,
    /// The last line of output is JSON.
    json: bool,
    /// One short round.
    quick: bool,
    /// Also measures how long `integrations-core` takes to compile.
    build: bool,
}

impl Options {
    fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, BoxError> {
        let mut args = args.into_iter();
        let bench = match args.next().as_deref() {
            Some("pipeline") => Bench::Pipeline,
            Some("tokens") => Bench::Tokens,
            Some("jwt") => Bench::Jwt,
            _ => return Err(USAGE.into()),
        };
        let mut options = Self { bench, ..Self::default() };
        for arg in args {
            match arg.as_str() {
                "--json" => options.json = true,
                "--quick" => options.quick = true,
                "--build" if bench == Bench::Pipeline => options.build = true,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, BoxError> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read_and_unknown_ones_refused() {
        assert_eq!(parse("pipeline").unwrap(), Options::default());
        let all = Options { bench: Bench::Pipeline, json: true, quick: true, build: true };
        assert_eq!(parse("pipeline --quick --json --build").unwrap(), all);
        assert_eq!(parse("tokens").unwrap().bench, Bench::Tokens);
        assert_eq!(parse("jwt").unwrap().bench, Bench::Jwt);
        for wrong in ["", "--json", "pipeline --jsno", "tokens --build", "jwt --build"] {
            assert_eq!(parse(wrong).unwrap_err().to_string(), USAGE);
        }
    }
}
