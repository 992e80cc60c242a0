//! Claims about the project that one command checks: `xtask-prove <name> [--json]`. Without a name it lists them.

use std::io::Write as _;
use std::process::ExitCode;

mod hidden_limit;
mod inbox;
mod keys;
mod refresh;
mod report;
mod rotation;
mod secrets;
mod sim;
mod storm;
mod tenants;

struct Proof {
    name: &'static str,
    shows: &'static str,
    /// Runs it and prints; `true` prints the JSON line alone.
    run: fn(bool) -> ExitCode,
}

const PROOFS: &[Proof] = &[
    Proof {
        name: "hidden-limit",
        shows: "callers find a rate limit that nobody tells them, and that changes",
        run: |json| hidden_limit::prove().print(json),
    },
    Proof {
        name: "storm",
        shows: "an outage costs at most a tenth more traffic, and two seconds after it calls succeed again",
        run: |json| storm::prove().print(json),
    },
    Proof {
        name: "secrets",
        shows: "no credential reaches a log, an error, a metric or a panic, whatever goes wrong",
        run: |json| secrets::prove().print(json),
    },
    Proof {
        name: "tenants",
        shows: "a loud tenant is not noticed by 10,000 others, and nothing of one reaches another",
        run: |json| tenants::prove().print(json),
    },
    Proof {
        name: "rotation",
        shows: "credentials are replaced every 200 ms under 2,000 calls per second, and no call fails for it",
        run: |json| rotation::prove().print(json),
    },
    Proof {
        name: "inbox",
        shows: "webhooks are applied once and in order by a receiver that is killed again and again",
        run: inbox::run,
    },
    Proof {
        name: "keys",
        shows: "an issuer rotates its keys under load and strangers invent key ids; nobody is locked out or asked in vain",
        run: |json| keys::prove().print(json),
    },
    Proof {
        name: "refresh",
        shows: "refresh tokens are redeemed once by processes that are killed again and again; no session is lost",
        run: refresh::run,
    },
];

fn main() -> ExitCode {
    let (options, names): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg.starts_with('-'));
    let json = options.iter().any(|option| option == "--json");
    match names.first() {
        None => list(),
        Some(name) => match PROOFS.iter().find(|proof| proof.name == name) {
            Some(proof) => (proof.run)(json),
            None => {
                eprintln!("there is no proof `{name}`; without a name the proofs are listed");
                ExitCode::from(2)
            }
        },
    }
}

/// The value of `--name=value`.
fn option(name: &str) -> Option<String> {
    std::env::args()
        .find_map(|arg| arg.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

fn list() -> ExitCode {
    let mut stdout = std::io::stdout();
    let printed = PROOFS.iter().try_for_each(|proof| writeln!(stdout, "{}  {}", proof.name, proof.shows));
    if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
