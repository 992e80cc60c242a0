//! `inbox`: a receiver of webhooks is killed fifty times, while it accepts and while it applies.
//!
//! 70,000 events of 5,000 entities, 30,000 of them sent twice, all in a random order, so that an entity's versions
//! arrive in any order. This process is the vendor: it sends to a child process until each delivery was acknowledged,
//! and sends again what a killed child had not acknowledged. The child is killed (SIGKILL) at random moments and
//! started again on the same file; then it may finish. An effect is a row counted in the handler's transaction.
//!
//! The controls have the same load, kills and database. The hasty one acknowledges first and works later, looks for
//! duplicates before it acts and marks the event after it acted: it loses events. The careful one keeps the event before
//! it acknowledges, but marks it in another transaction than that of its effect: it doubles effects.
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

use crate::option;
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

fn seed() -> u64 {
    option("seed").and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..1_000_000))
}

fn prove() -> Report {
    let seed = seed();
    let load = Load::new(seed);
    let dir = Dir::new(seed);
    let roles = ["ours", "hasty", "careful"];
    let sent = send_all(&roles, &dir, seed);
    let judged = runtime().block_on(async {
        let mut found = vec![check::ours(&dir.file("ours")).await?];
        for role in &roles[1..] {
            found.push(check::naive(&dir.file(role)).await?);
        }
        Ok::<_, integrations_core::Error>((found, accepts_per_second(&dir.file("rate"), &load).await?))
    });
    match (sent, judged) {
        (Ok(sent), Ok((found, rate))) => {
            let runs: Vec<Run<'_>> = sent.iter().zip(&found).collect();
            report(seed, &runs, rate)
        }
        (sent, judged) => {
            let faults = [sent.err(), judged.err().map(|e| e.to_string())];
            failed(seed, faults.into_iter().flatten().collect())
        }
    }
}

/// Side by side: none of them keeps more than one processor busy.
fn send_all(roles: &[&str], dir: &Dir, seed: u64) -> std::result::Result<Vec<Sent>, String> {
    std::thread::scope(|scope| {
        let start = |role| scope.spawn(move || sender::send(role, &dir.file(role), seed));
        let sending: Vec<_> = roles.iter().copied().map(start).collect();
        let ended = sending.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.map(|ended| ended.unwrap_or_else(|_| Err("a sender panicked".to_owned()))).collect()
    })
}

/// How the sending to one receiver went, and what was found in its file.
type Run<'r> = (&'r Sent, &'r Findings);

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

fn report(seed: u64, runs: &[Run<'_>], rate: f64) -> Report {
    let &[ours, hasty, careful] = runs else {
        return failed(seed, vec!["there are three receivers".to_owned()]);
    };
    let interrupted = ours.0.killed_accepting > 0 && ours.0.killed_applying > 0;
    // Each control fails in its own way, so that neither a loss nor a double effect would have gone unseen.
    let controls_fail = hasty.1.lost > 0 && careful.1.double_effects > 0;
    Report {
        proof: "inbox",
        pass: ours.1.clean() && ours.0.kills == KILLS && interrupted && controls_fail,
        story: story(seed, [ours, hasty, careful], rate),
        injected: json!({
            "seed": seed,
            "deliveries": load::DELIVERIES,
            "events": load::EVENTS,
            "entities": load::ENTITIES,
            "duplicates": load::DELIVERIES - load::EVENTS,
            "kills": KILLS,
        }),
        ours: figures(ours, json!({ "durable_accepts_per_s": rounded(rate) })),
        control: json!({ "hasty": figures(hasty, json!({})), "careful": figures(careful, json!({})) }),
    }
}

fn figures((sent, found): Run<'_>, mut more: Value) -> Value {
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

fn story(seed: u64, [ours, hasty, careful]: [Run<'_>; 3], rate: f64) -> Vec<String> {
    let line = |name: &str, (sent, found): Run<'_>| {
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
        line("Hasty control: acknowledge first, look, act, then mark", hasty),
        line("Careful control: keep, acknowledge, act, then mark", careful),
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

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name).with_extension("db")
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
