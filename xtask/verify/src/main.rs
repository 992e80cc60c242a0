//! Judges that look at all providers at once: `xtask-verify chaos`.

use std::process::ExitCode;

mod chaos;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((name, rest)) if name == "chaos" => chaos::run(rest),
        _ => Err(chaos::USAGE.to_owned()),
    };
    outcome.unwrap_or_else(|message| {
        eprintln!("{message}");
        ExitCode::from(2)
    })
}
