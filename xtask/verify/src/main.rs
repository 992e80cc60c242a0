//! Judges that look at all providers at once: `xtask-verify contract`.

use std::process::ExitCode;

mod contract;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((name, rest)) if name == "contract" => contract::run(rest),
        _ => Err(contract::USAGE.to_owned()),
    };
    outcome.unwrap_or_else(|message| {
        eprintln!("{message}");
        ExitCode::from(2)
    })
}
