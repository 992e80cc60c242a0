//! Judges that look at all providers at once: `xtask-verify contract | chaos | conformance`.

use std::process::ExitCode;

mod category;
mod chaos;
mod conformance;
mod contract;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((name, rest)) if name == "contract" => contract::run(rest),
        Some((name, rest)) if name == "chaos" => chaos::run(rest),
        Some((name, rest)) if name == "conformance" => conformance::run(rest),
        _ => Err(format!("{}\n{}\n{}", contract::USAGE, chaos::USAGE, conformance::USAGE)),
    };
    outcome.unwrap_or_else(|message| {
        eprintln!("{message}");
        ExitCode::from(2)
    })
}
