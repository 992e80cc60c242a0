//! `refresh`: four processes of 250 tasks use the same connections, whose access tokens expire and whose refresh tokens
//! can be redeemed once; processes are killed all the time.
//!
//! This process is the issuer and the resource. A refresh token that is shown again after it was redeemed ends the
//! session. Callers drop their calls, stores are slow, and processes are killed (SIGKILL) while they refresh: before the
//! issuer rotates, after the store has the new tokens, or at any moment at which nothing that was issued can be lost.
//! No session may be lost by these, and each expiry has one refresh that wins.
//!
//! Other kills come between the issuer's rotation and the store, where no client can help: before the answer leaves the
//! issuer, or after it has arrived. With an issuer that gives the same successors again for a while, no session may be
//! lost; with one that does not, exactly the sessions whose exchange was cut, each after one more request at most.
//!
//! The controls have the same load. The naive one refreshes when it is refused and writes what it got: it has to lose
//! sessions. The other one is right as long as it is a single process, and must lose none but those that are cut off: it
//! shows that the load can be borne.
//!
//! `INTEGRATIONS_TEST_POSTGRES` and `INTEGRATIONS_TEST_REDIS` are the URLs of databases for tests; without them these
//! stores are not run. `--seed=<number>` repeats the order of kills and expiries; what the processes do meanwhile is up
//! to the machine.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::report::Report;
use check::Checked;
use drive::drive;
use load::{Load, TASKS};
use world::Design;

mod check;
mod child;
mod control;
mod drive;
mod fleet;
mod issuer;
mod load;
mod service;
mod vault;
mod world;

/// Stores that processes can share, and the variable that holds a URL; `None`: a file.
const STORES: [(&str, Option<&str>); 3] = [
    ("sqlite", None),
    ("postgres", Some("INTEGRATIONS_TEST_POSTGRES")),
    ("redis", Some("INTEGRATIONS_TEST_REDIS")),
];

/// Runs the proof, or a child's part of it.
pub(crate) fn run(json: bool) -> ExitCode {
    match crate::option("child") {
        Some(design) => child::run(&design),
        None => prove().print(json),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system gives a runtime its event queue")
}

fn prove() -> Report {
    let seed = crate::option("seed").and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let dir = Dir::new(seed);
    let dir = &dir;
    let control = |design: Design| {
        let outcome = driven(design, dir.file(design.name()), seed);
        Run { name: design.name(), has_to_lose: design == Design::Naive, outcome }
    };
    let [file, databases @ ..] = STORES;
    let ours = |(name, variable)| ours(name, variable, dir, seed);
    // Side by side, because most of the time is spent with waiting for leases; but not all of them: a file that one
    // process at a time can write to is overtaken by the leases if the machine is too slow.
    let [first, naive, alone] =
        side_by_side([&|| ours(file), &|| control(Design::Naive), &|| control(Design::Alone)]);
    let [second, third] = side_by_side([&|| ours(databases[0]), &|| ours(databases[1])]);
    let ours = [first, second, third];
    report(seed, &ours, &naive, &alone)
}

fn side_by_side<const N: usize>(loads: [&(dyn Fn() -> Run + Sync); N]) -> [Run; N] {
    std::thread::scope(|scope| {
        let panicked =
            |_| Run { name: "?", has_to_lose: false, outcome: Outcome::Broken("it panicked".to_owned()) };
        loads.map(|load| scope.spawn(load)).map(|thread| thread.join().unwrap_or_else(panicked))
    })
}

/// What one load came to.
struct Run {
    name: &'static str,
    /// It shows that the load is one that sessions are lost under.
    has_to_lose: bool,
    outcome: Outcome,
}

enum Outcome {
    Checked(Checked),
    /// The proof itself failed.
    Broken(String),
    /// There is no such store; the variable that would name it.
    NotRun(&'static str),
}

impl Run {
    fn as_expected(&self) -> bool {
        match &self.outcome {
            Outcome::Checked(checked) if self.has_to_lose => checked.lost() > 0,
            Outcome::Checked(checked) => checked.faults.is_empty(),
            _ => false,
        }
    }

    fn was_not_run(&self) -> bool {
        matches!(self.outcome, Outcome::NotRun(_))
    }
}

fn ours(name: &'static str, variable: Option<&'static str>, dir: &Dir, seed: u64) -> Run {
    let store = match variable {
        None => Ok(dir.file("vault")),
        Some(variable) => std::env::var(variable).map_err(|_| Outcome::NotRun(variable)),
    };
    let outcome = store.map_or_else(|not_run| not_run, |store| driven(Design::Vault, store, seed));
    Run { name, has_to_lose: false, outcome }
}

fn driven(design: Design, store: String, seed: u64) -> Outcome {
    let run = format!("prove-{}-{seed}", std::process::id());
    drive(design, store, run, seed)
        .map_or_else(Outcome::Broken, |driven| Outcome::Checked(Checked::new(&driven)))
}

fn report(seed: u64, ours: &[Run], naive: &Run, alone: &Run) -> Report {
    let ran = ours.iter().filter(|run| !run.was_not_run());
    let all_clean = ran.clone().count() > 0 && ran.clone().all(Run::as_expected);
    let load = Load::of(Design::Vault);
    let mut story = vec![format!(
        "Injected for each store: {} processes of {TASKS} tasks, {} connections, at least {} expiries; --seed={seed}.",
        load.processes,
        load.groups().len(),
        load.expiries,
    )];
    story.extend(ours.iter().flat_map(|run| tell("Ours", run)));
    story.extend(tell("Control", naive));
    story.extend(tell("Control", alone));
    let by_store: serde_json::Map<_, _> =
        ours.iter().map(|run| (run.name.to_owned(), figures(run))).collect();
    Report {
        proof: "refresh",
        pass: all_clean && naive.as_expected() && alone.as_expected(),
        story,
        injected: json!({
            "seed": seed,
            "processes": load.processes,
            "tasks_per_process": TASKS,
            "sessions": load.groups().len(),
            "least_expiries": load.expiries,
            "kills": load.kills(&mut fastrand::Rng::new()).len(),
        }),
        ours: Value::Object(by_store),
        control: json!({
            "naive": figures(naive),
            "alone": figures(alone),
        }),
    }
}

fn figures(run: &Run) -> Value {
    match &run.outcome {
        Outcome::NotRun(variable) => json!({ "outcome": "not_run", "for_want_of": variable }),
        Outcome::Broken(why) => json!({ "outcome": "broken", "why": why }),
        Outcome::Checked(checked) => {
            let outcome = if run.as_expected() { "as_expected" } else { "not_as_expected" };
            json!({ "outcome": outcome, "faults": checked.faults, "figures": checked.figures })
        }
    }
}

fn tell(who: &str, run: &Run) -> Vec<String> {
    let name = run.name;
    match &run.outcome {
        Outcome::NotRun(variable) => vec![format!("{who}, {name}: NOT RUN, {variable} is not set.")],
        Outcome::Broken(why) => vec![format!("{who}, {name}: the proof itself failed: {why}")],
        Outcome::Checked(checked) => {
            let mut story = vec![format!(
                "{who}, {name}: {} lost sessions, {} cut exchanges; {} refreshes won for {} expiries, {} spent tokens \
                 shown; kills {}; {} s.",
                checked.lost(),
                checked.sum(|found| found.cut as u64),
                checked.sum(|found| found.won),
                checked.sum(|found| found.expiries),
                checked.sum(|found| found.reused + found.repeated),
                checked.figures["kills"],
                checked.figures["seconds"],
            )];
            story.extend(checked.groups.iter().map(|(group, found)| {
                format!(
                    "    {}: {} sessions, {} lost, {} cut; {} refreshes for {} expiries, {} without one.",
                    group.name(),
                    found.sessions,
                    found.lost,
                    found.cut,
                    found.won,
                    found.expiries,
                    found.needless,
                )
            }));
            if !run.has_to_lose {
                let fault = |fault| format!("    not as it has to be: {fault}");
                story.extend(checked.faults.iter().map(fault));
                story.extend(checked.cases.iter().map(|case| format!("    {case}")));
            }
            story
        }
    }
}

/// A place for the files, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(seed: u64) -> Self {
        let dir =
            std::env::temp_dir().join(format!("integrations-prove-refresh-{}-{seed}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("the system's directory for temporary files is writable");
        Self(dir)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).with_extension("db").display().to_string()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // What stays is in the directory for temporary files.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}
