//! Judges that look at all providers at once: `xtask-verify contract | chaos`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::SUCCESS
}
