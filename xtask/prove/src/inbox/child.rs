//! The receivers: ours, and two that are often written.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use integrations_core::Result;
use integrations_core::inbox::{Applied, Delivery, Handler, Inbox, Ordering, Settings, SqliteInbox, Work};
use integrations_core::store::{Module, Store, Tx};
use integrations_core::webhook::Event;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::load::{self, Load};

/// What the receiver is there for. `seen` and `queue` are the naive ones'.
static BOOKS: Module = Module {
    name: "books",
    steps: &[&[
        "CREATE TABLE effects (event_id TEXT NOT NULL PRIMARY KEY, times BIGINT NOT NULL)",
        "CREATE TABLE things (id TEXT NOT NULL PRIMARY KEY, version BIGINT NOT NULL, backwards BIGINT NOT NULL)",
        "CREATE TABLE seen (event_id TEXT NOT NULL PRIMARY KEY)",
        "CREATE TABLE queue (event_id TEXT NOT NULL PRIMARY KEY, delivery BIGINT NOT NULL, done BIGINT NOT NULL)",
    ]],
};
const EFFECT: &str = "INSERT INTO effects (event_id, times) VALUES ($1, 1) \
    ON CONFLICT (event_id) DO UPDATE SET times = effects.times + 1";
const CHANGE: &str = "INSERT INTO things (id, version, backwards) VALUES ($1, $2, 0) \
    ON CONFLICT (id) DO UPDATE SET version = excluded.version, \
    backwards = things.backwards + CASE WHEN excluded.version < things.version THEN 1 ELSE 0 END";

/// Events that a naive receiver handles at a time.
const WORKERS: usize = 64;

/// Reads deliveries' numbers, acknowledges them, and ends when there are no more and all are handled.
pub(super) fn run(role: &str, file: &Path, seed: u64) -> ExitCode {
    let load = Load::new(seed);
    let (tell, deliveries) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(std::result::Result::ok);
        lines.filter_map(|line| line.parse().ok()).try_for_each(|delivery| tell.send(delivery))
    });
    let served = super::runtime().block_on(async {
        let store = Store::open(file).await?;
        store.migrate(&BOOKS).await?;
        match role {
            "ours" => ours(store, &load, deliveries).await,
            "hasty" => hasty(store, &load, deliveries).await,
            _ => careful(store, &load, deliveries).await,
        }
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e:?}");
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    // The parent has gone if nobody listens, and this process ends with its input.
    let _unheard = writeln!(output, "{line}").and_then(|()| output.flush());
}

async fn ours(store: Store, load: &Load, mut deliveries: mpsc::UnboundedReceiver<usize>) -> Result<()> {
    let mut settings = Settings::default();
    // A lease outlives a killed worker by a second at most, and no event dies of fifty kills.
    (settings.deadline, settings.max_attempts) = (Duration::from_millis(500), 100);
    (settings.concurrency, settings.per_tenant) = (256, 256);
    let inbox = Inbox::builder(SqliteInbox::new(store.clone()).await?)
        .ordering("vendor", Ordering::ByVersion)
        .settings(settings)
        .build();
    say(&format!("ready {}", inbox.counts().await?.leased));
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = tokio::spawn({
        let inbox = inbox.clone();
        async move { inbox.run(Arc::new(Books), async { drop(stopped.await) }).await }
    });
    while let Some(delivery) = deliveries.recv().await {
        let (inbox, event) = (inbox.clone(), load.event(delivery));
        tokio::spawn(async move {
            match inbox.accept(&load::source(), vec![event]).await {
                Ok(_) => say(&format!("ack {delivery}")),
                Err(e) => eprintln!("not accepted: {e}"),
            }
        });
    }
    loop {
        let counts = inbox.counts().await?;
        if counts.waiting + counts.leased == 0 {
            break;
        }
        // Counting reads all of the table.
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    drop(stop);
    worker.await.map_err(|e| integrations_core::Error::config(e.to_string()))??;
    store.close().await?;
    say("idle");
    Ok(())
}

/// The effect, in the transaction that marks the event.
struct Books;

#[async_trait]
impl Handler for Books {
    async fn handle(&self, delivery: &Delivery) -> Result<Applied> {
        let Work::Apply(event) = &delivery.work else { return Ok(Applied::done()) };
        let event = event.clone();
        Ok(Applied::in_transaction(move |tx| Box::pin(async move { act(tx, &event).await })))
    }
}

async fn act(tx: &mut Tx, event: &Event) -> Result<()> {
    let thing = event.entity.as_ref().map(|entity| &*entity.id);
    let version = event.version.map(|version| version as i64);
    tx.execute(EFFECT, &[(&*event.id).into()]).await?;
    tx.execute(CHANGE, &[thing.into(), version.into()]).await?;
    Ok(())
}

/// The hasty one: acknowledge, because the vendor wants an answer soon; then look whether it is new; act; mark.
async fn hasty(store: Store, load: &Load, mut deliveries: mpsc::UnboundedReceiver<usize>) -> Result<()> {
    let workers = Arc::new(Semaphore::new(WORKERS));
    let mut tasks = JoinSet::new();
    // All deliveries are in memory once acknowledged, so that a killed process leaves none "in handling".
    say("ready 0");
    while let Some(delivery) = deliveries.recv().await {
        let (event, store, workers) = (load.event(delivery), store.clone(), workers.clone());
        say(&format!("ack {delivery}"));
        tasks.spawn(async move {
            let _turn = workers.acquire_owned().await;
            if let Err(e) = look_act_mark(&store, event).await {
                eprintln!("not handled: {e}");
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    store.close().await?;
    say("idle");
    Ok(())
}

async fn look_act_mark(store: &Store, event: Event) -> Result<()> {
    let id = event.id.clone();
    if !store.read("SELECT 1 FROM seen WHERE event_id = $1", &[(&*id).into()]).await?.is_empty() {
        return Ok(());
    }
    store.write(move |tx| Box::pin(async move { act(tx, &event).await })).await?;
    let mark = "INSERT INTO seen (event_id) VALUES ($1) ON CONFLICT (event_id) DO NOTHING";
    store.write(move |tx| Box::pin(async move { tx.execute(mark, &[id.into()]).await })).await?;
    Ok(())
}

/// The careful one: keep, acknowledge, act; mark in a transaction of its own. What was kept and is not marked is acted on
/// after a restart.
async fn careful(store: Store, load: &Load, mut deliveries: mpsc::UnboundedReceiver<usize>) -> Result<()> {
    let workers = Arc::new(Semaphore::new(WORKERS));
    let mut tasks = JoinSet::new();
    let kept = store.read("SELECT delivery FROM queue WHERE done = 0", &[]).await?;
    say(&format!("ready {}", kept.len()));
    for row in kept {
        let event = load.event(row.integer(0)? as usize);
        tasks.spawn(act_mark(store.clone(), event, workers.clone()));
    }
    while let Some(delivery) = deliveries.recv().await {
        let (event, store, workers) = (load.event(delivery), store.clone(), workers.clone());
        tasks.spawn(async move {
            if keep(&store, &event, delivery).await? {
                act_mark(store, event, workers).await?;
            }
            Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap_or_else(|e| Err(integrations_core::Error::config(e.to_string())))?;
    }
    store.close().await?;
    say("idle");
    Ok(())
}

/// Whether it is new.
async fn keep(store: &Store, event: &Event, delivery: usize) -> Result<bool> {
    let keep =
        "INSERT INTO queue (event_id, delivery, done) VALUES ($1, $2, 0) ON CONFLICT (event_id) DO NOTHING";
    let params = [(&*event.id).into(), (delivery as i64).into()];
    let kept = store.write(move |tx| Box::pin(async move { tx.execute(keep, &params).await })).await?;
    say(&format!("ack {delivery}"));
    Ok(kept > 0)
}

async fn act_mark(store: Store, event: Event, workers: Arc<Semaphore>) -> Result<()> {
    let _turn = workers.acquire_owned().await;
    let id = event.id.clone();
    store.write(move |tx| Box::pin(async move { act(tx, &event).await })).await?;
    let mark = "UPDATE queue SET done = 1 WHERE event_id = $1";
    store.write(move |tx| Box::pin(async move { tx.execute(mark, &[id.into()]).await })).await?;
    Ok(())
}
