//! `inbox`: a receiver of webhooks is killed fifty times, while it accepts and while it applies.
//!
//! 70,000 events of 5,000 entities, 30,000 of them sent twice, all in a random order, so that an entity's versions
//! arrive in any order. This process is the vendor: it sends to a child process until each delivery was acknowledged,
//! and sends again what a killed child had not acknowledged. The child is killed (SIGKILL) at random moments and
//! started again on the same file; then it may finish. An effect is a row counted in the handler's transaction.
//!
//! The control has the same load, kills and database: it acknowledges first and works later, looks for duplicates
//! before it acts and marks the event after it acted.
//!
//! `--seed=<number>` repeats a run's order, duplicates and moments; how far the child has come by then is up to the
//! machine.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use integrations_core::Result;
use integrations_core::inbox::{Inbox, SqliteInbox};
use integrations_core::store::Store;
use serde_json::{Value, json};

use crate::report::{Report, rounded};
use check::Findings;
use load::Load;
use sender::Sent;

mod check;
mod child;
mod load;
mod sender;

const KILLS: u32 = 50;
/// Events of the measurement of accepts alone, and how many are on their way at a time.
const ACCEPTS: usize = 20_000;
const AT_ONCE: usize = 64;

/// Runs the proof, or the child's part of it.
pub(crate) fn run(json: bool) -> ExitCode {
    match option("child") {
        Some(role) => child::run(&role, Path::new(&option("file").unwrap_or_default()), seed()),
        None => prove().print(json),
    }
}

fn option(name: &str) -> Option<String> {
    std::env::args()
        .find_map(|arg| arg.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

fn seed() -> u64 {
    option("seed").and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..1_000_000))
}

fn prove() -> Report {
    let seed = seed();
    let load = Load::new(seed);
    let dir = Dir::new(seed);
    let (ours_file, naive_file) = (dir.0.join("ours.db"), dir.0.join("naive.db"));
    let ours = sender::send("ours", &ours_file, seed);
    let naive = sender::send("naive", &naive_file, seed);
    let runtime = runtime();
    let judged = runtime.block_on(async {
        let ours = check::ours(&ours_file).await?;
        let naive = check::naive(&naive_file).await?;
        Ok::<_, integrations_core::Error>((
            ours,
            naive,
            accepts_per_second(&dir.0.join("rate.db"), &load).await?,
        ))
    });
    match (ours, naive, judged) {
        (Ok(ours), Ok(naive), Ok((found, control, rate))) => {
            report(seed, (&ours, &found), (&naive, &control), rate)
        }
        (ours, naive, judged) => {
            let faults = [ours.err(), naive.err(), judged.err().map(|e| e.to_string())];
            failed(seed, faults.into_iter().flatten().collect())
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system gives a runtime its event queue")
}

/// Accepts of one event each, durable, without anybody who applies them.
async fn accepts_per_second(file: &Path, load: &Load) -> Result<f64> {
    let inbox = Inbox::builder(SqliteInbox::new(Store::open(file).await?).await?).build();
    let mut tasks = tokio::task::JoinSet::new();
    let started = Instant::now();
    for lane in 0..AT_ONCE {
        let events: Vec<_> = (lane..ACCEPTS).step_by(AT_ONCE).map(|n| load.event(n)).collect();
        let inbox = inbox.clone();
        tasks.spawn(async move {
            for event in events {
                inbox.accept(&load::source(), vec![event]).await?;
            }
            Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap_or_else(|e| Err(integrations_core::Error::config(e.to_string())))?;
    }
    Ok(ACCEPTS as f64 / started.elapsed().as_secs_f64())
}

fn report(seed: u64, ours: (&Sent, &Findings), naive: (&Sent, &Findings), rate: f64) -> Report {
    let interrupted = |sent: &Sent| sent.killed_accepting > 0 && sent.killed_applying > 0;
    let control_fails = naive.1.lost > 0 || naive.1.double_effects > 0;
    Report {
        proof: "inbox",
        pass: ours.1.clean() && ours.0.kills == KILLS && interrupted(ours.0) && control_fails,
        story: story(seed, ours, naive, rate),
        injected: json!({
            "seed": seed,
            "deliveries": load::DELIVERIES,
            "events": load::EVENTS,
            "entities": load::ENTITIES,
            "duplicates": load::DELIVERIES - load::EVENTS,
            "kills": KILLS,
        }),
        ours: figures(ours.0, ours.1, json!({ "durable_accepts_per_s": rounded(rate) })),
        control: figures(naive.0, naive.1, json!({})),
    }
}

fn figures(sent: &Sent, found: &Findings, mut more: Value) -> Value {
    let figures = json!({
        "lost": found.lost,
        "double_effects": found.double_effects,
        "wrong_final_states": found.wrong_final_states,
        "applied_backwards": found.backwards,
        "dead": found.dead,
        "applied": found.applied,
        "stale": found.stale,
        "kills": sent.kills,
        "kills_with_unacknowledged_deliveries": sent.killed_accepting,
        "kills_with_events_in_handling": sent.killed_applying,
        "sent_again": sent.repeated,
        "seconds": rounded(sent.took.as_secs_f64()),
    });
    if let (Some(all), Value::Object(figures)) = (more.as_object_mut(), figures) {
        all.extend(figures);
    }
    more
}

fn story(seed: u64, ours: (&Sent, &Findings), naive: (&Sent, &Findings), rate: f64) -> Vec<String> {
    let line = |name: &str, (sent, found): (&Sent, &Findings)| {
        format!(
            "{name}: {} lost, {} double effects, {} of {} entities in a wrong state, {} applied backwards; \
             {} applied, {} stale, {} dead; {} kills ({} while accepting, {} while applying), {:.1} s.",
            found.lost,
            found.double_effects,
            found.wrong_final_states,
            load::ENTITIES,
            found.backwards,
            found.applied,
            found.stale,
            found.dead,
            sent.kills,
            sent.killed_accepting,
            sent.killed_applying,
            sent.took.as_secs_f64(),
        )
    };
    vec![
        format!(
            "Injected: {} deliveries of {} events in a random order, {KILLS} kills; --seed={seed}.",
            load::DELIVERIES,
            load::EVENTS,
        ),
        line("Ours", ours),
        line("Control: acknowledge first, look, act, then mark", naive),
        format!("Durable accepts of one event each, {AT_ONCE} at a time: {rate:.0} per second."),
    ]
}

fn failed(seed: u64, faults: Vec<String>) -> Report {
    let mut story = vec![format!("The proof itself failed; --seed={seed}.")];
    story.extend(faults.iter().cloned());
    Report {
        proof: "inbox",
        pass: false,
        story,
        injected: json!({ "seed": seed }),
        ours: json!({ "faults_of_the_proof": faults }),
        control: json!({}),
    }
}

/// A place for the files, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(seed: u64) -> Self {
        let dir =
            std::env::temp_dir().join(format!("integrations-prove-inbox-{}-{seed}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("the system's directory for temporary files is writable");
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // What stays is in the directory for temporary files.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

/// How long one child lives before it is killed.
fn life(rng: &mut fastrand::Rng) -> Duration {
    Duration::from_millis(rng.u64(20..300))
}
