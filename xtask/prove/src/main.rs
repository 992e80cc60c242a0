//! Claims about the project that one command checks: `xtask-prove <claim>`.

use std::process::ExitCode;

mod hidden_limit;
mod sim;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("hidden-limit") => hidden_limit::prove(),
        other => {
            eprintln!("unknown claim {other:?}; known: hidden-limit");
            ExitCode::from(2)
        }
    }
}
