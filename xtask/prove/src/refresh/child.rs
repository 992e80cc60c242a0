//! A process of the fleet: its tasks call, and what keeps the tokens sees to it that they can.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use integrations_core::{Caller, Error, Result};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::issuer::Group;
use super::load::{CANCEL_MS, CANCEL_ONE_IN, Load, PAUSE_MS, TASKS, hot};
use super::world::{Call, Design, Place, Way};

/// The environment says which store, because arguments are for everybody to see.
pub(super) const STORE_VARIABLE: &str = "INTEGRATIONS_PROVE_STORE";

/// How calls ended: by group, by the word for it.
pub(super) type Tally = BTreeMap<String, BTreeMap<String, u64>>;

/// Calls until its input ends.
pub(super) fn run(design: &str) -> ExitCode {
    let called = place(design).and_then(|place| super::runtime().block_on(call(&place)));
    match called {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e:?}");
            ExitCode::FAILURE
        }
    }
}

/// Tells the parent.
pub(super) fn say(line: &Value) {
    let mut output = std::io::stdout().lock();
    // The parent has gone if nobody listens, and this process ends with its input.
    let _unheard = writeln!(output, "{line}").and_then(|()| output.flush());
}

fn place(design: &str) -> Result<Place> {
    let given = || {
        Some(Place {
            design: Design::parse(design)?,
            store: std::env::var(STORE_VARIABLE).ok()?,
            run: crate::option("run")?,
            issuer: crate::option("issuer")?.parse().ok()?,
            process: crate::option("process")?.parse().ok()?,
        })
    };
    given().ok_or_else(|| Error::config("a child of this proof is started by the proof"))
}

async fn call(place: &Place) -> Result<()> {
    let groups = Load::of(place.design).groups();
    let way = Way::new(place.process)?;
    let sessions = place.open(&way).await?;
    let callers = place.callers(&*sessions, &way, groups.len())?;
    let work = Arc::new(Work { callers, groups, tally: Mutex::default(), over: AtomicBool::new(false) });
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let work = work.clone();
        tasks.spawn(async move { work.run().await });
    }
    let input =
        tokio::task::spawn_blocking(|| std::io::stdin().lines().map_while(std::io::Result::ok).count());
    while !input.is_finished() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        work.report();
    }
    work.over.store(true, Ordering::Relaxed);
    while tasks.join_next().await.is_some() {}
    // Exchanges whose callers have gone are still under way.
    tokio::time::sleep(Duration::from_millis(500)).await;
    work.report();
    Ok(())
}

struct Work {
    callers: Vec<Caller>,
    groups: Vec<Group>,
    /// Since the last report.
    tally: Mutex<Tally>,
    over: AtomicBool,
}

impl Work {
    async fn run(&self) {
        while !self.over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(..=PAUSE_MS))).await;
            let families = self.callers.len();
            let family = if fastrand::bool() { hot(families) } else { fastrand::usize(..families) };
            let ended = call_once(&self.callers[family]).await;
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            let group = tally.entry(self.groups[family].name().to_owned()).or_default();
            *group.entry(ended.to_owned()).or_default() += 1;
        }
    }

    fn report(&self) {
        let tally = std::mem::take(&mut *self.tally.lock().unwrap_or_else(PoisonError::into_inner));
        if !tally.is_empty() {
            say(&json!({ "calls": tally }));
        }
    }
}

/// The word for how a call ended. Some callers lose patience and drop it.
async fn call_once(caller: &Caller) -> &'static str {
    let patience = match fastrand::u32(..CANCEL_ONE_IN) {
        0 => Duration::from_millis(fastrand::u64(..=CANCEL_MS)),
        _ => Duration::from_secs(60),
    };
    match tokio::time::timeout(patience, caller.call(&Call)).await {
        Ok(Ok(())) => "ok",
        Ok(Err(e)) => e.kind().as_str(),
        Err(_) => "dropped",
    }
}
