//! What the pipeline does when a service misbehaves, told on one screen: `cargo run -p integrations-example --example demo`.
//!
//! It needs no account and no network: the service is [`FakeNotes`], in memory. Time is virtual, so waits are told and
//! not sat through.

use std::error::Error as StdError;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Method, Request};
use integrations_core::pipeline::{Policy, Scope, Stages, Wait};
use integrations_core::{
    Error, ErrorKind, Exchange, IdempotencyKey, Result, Transport, WaitReason, WireRequest,
};
use integrations_example::notes::{Notes, spec};
use integrations_example::{FakeNotes, Fault, NewNote};
use tokio::time::{Instant, sleep};

const TOKEN: &str = "a-token-that-only-the-fake-knows";

fn main() -> Result<(), Box<dyn StdError>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let text = runtime.block_on(story())?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// The whole story, in the order in which it happens.
pub(crate) async fn story() -> Result<String> {
    let world = World::new()?;
    let mut text = String::new();
    for chapter in [
        world.a_call().await?,
        Box::pin(world.a_throttled_call()).await?,
        world.a_lost_reply().await?,
        world.an_outage().await?,
        world.the_worst_error().await?,
        world.the_counters(),
    ] {
        text.push_str(&chapter);
        text.push('\n');
    }
    Ok(text)
}

struct World {
    service: FakeNotes,
    stages: Arc<Stages>,
    notes: Notes,
}

impl World {
    fn new() -> Result<Self> {
        let (service, stages) = (FakeNotes::new(TOKEN), Stages::new());
        let notes = client(&service, &stages, Policy::default())?;
        Ok(Self { service, stages, notes })
    }

    async fn a_call(&self) -> Result<String> {
        let made = self.notes.create(note("Buy milk")).await?;
        let read = self.notes.get(made.id).await?;
        Ok(format!("1. A call: made note `{}` and read it back: {:?}\n", read.id, read.text))
    }

    /// The first call is told to come back later; the second one, to the same quota, waits without asking.
    async fn a_throttled_call(&self) -> Result<String> {
        let (from, before) = (Instant::now(), self.service.requests());
        self.service.fail_next(Fault::Throttled(Duration::from_secs(1)));
        let told = self.notes.get("n_1");
        let other = async {
            sleep(Duration::from_millis(100)).await;
            self.notes.get("n_1").await
        };
        let (told, other) = tokio::join!(told, other);
        told.and(other)?;
        let took = from.elapsed().as_secs_f64();
        let sent = self.service.requests() - before;
        let (_, backoff) = self.waits(WaitReason::Backoff);
        let (_, pause) = self.waits(WaitReason::VendorPause);
        Ok(format!(
            "2. Throttled (429, Retry-After: 1): two calls, {sent} requests, both fine after {took:.1} s\n   \
             the call that was told waited {backoff:.1} s ({}), the other one {pause:.1} s ({})\n",
            WaitReason::Backoff.as_str(),
            WaitReason::VendorPause.as_str(),
        ))
    }

    /// The service makes the note, and the connection breaks before the answer.
    async fn a_lost_reply(&self) -> Result<String> {
        self.service.fail_next(Fault::ReplyLost);
        self.notes.create(note("Pay the rent")).await?;
        self.service.fail_next(Fault::ReplyLost);
        naive_create(&self.service, "Water the plants").await?;
        Ok(format!(
            "3. A lost reply: our keyed create left {} note, a loop that just tries again left {}\n",
            self.kept("Pay the rent"),
            self.kept("Water the plants"),
        ))
    }

    /// Nothing works, until it does. These calls are told to fail fast instead of waiting for the breaker.
    async fn an_outage(&self) -> Result<String> {
        let mut impatient = Policy::default();
        impatient.wait = Wait::FailFast;
        let notes = client(&self.service, &self.stages, impatient)?;
        let before = self.service.requests();
        self.service.set_down(true);
        let mut spared = 0;
        for _ in 0..100 {
            let error = notes.get("n_1").await.expect_err("the service is down");
            spared += u32::from(error.kind() == ErrorKind::CircuitOpen);
        }
        let sent = self.service.requests() - before;
        self.service.set_down(false);
        let healed = Instant::now();
        self.notes.get("n_1").await?;
        Ok(format!(
            "4. An outage: 100 calls sent {sent} requests; the breaker ended {spared} calls before they cost one\n   \
             {:.1} s after the service is back, calls pass again\n",
            healed.elapsed().as_secs_f64(),
        ))
    }

    /// Every reply is lost: nobody can know what happened, and the error says so. The same key settles it.
    async fn the_worst_error(&self) -> Result<String> {
        let key = IdempotencyKey::new("demo/call-the-dentist")?;
        (0..3).for_each(|_| self.service.fail_next(Fault::ReplyLost));
        let call = || self.notes.create_keyed(note("Call the dentist"), key.clone());
        let error = call().await.expect_err("all three replies are lost");
        let settled = call().await?;
        let story = error.explain().replace('\n', "\n   ");
        Ok(format!(
            "5. The worst of it, explained by the error itself:\n   {}\n   \
             the same key again: note `{}`, and the service keeps {} of it\n",
            story.trim_end(),
            settled.id,
            self.kept("Call the dentist"),
        ))
    }

    /// What a Prometheus server would read, without the histograms.
    fn the_counters(&self) -> String {
        let all = self.stages.metrics().prometheus();
        let lines = all.lines().filter(|line| !line.starts_with('#') && !line.contains("_duration_seconds"));
        let lines: Vec<String> = lines.map(|line| format!("   {line}\n")).collect();
        format!("6. The counters, as Prometheus reads them:\n{}", lines.concat())
    }

    fn kept(&self, text: &str) -> usize {
        self.service.texts().iter().filter(|kept| *kept == text).count()
    }

    /// How often calls waited for this reason, and for how many seconds.
    fn waits(&self, reason: WaitReason) -> (u64, f64) {
        let all = self.stages.metrics().snapshot();
        all.iter().map(|op| op.waits(reason)).fold((0, 0.0), |(n, s), (m, t)| (n + m, s + t))
    }
}

fn client(service: &FakeNotes, stages: &Arc<Stages>, policy: Policy) -> Result<Notes> {
    let pipeline = stages.pipeline(Scope::new("acme", "notes_main"), policy)?;
    Notes::builder().token(TOKEN).transport(service.clone()).pipeline(pipeline).build()
}

fn note(text: &str) -> NewNote {
    NewNote { text: text.to_owned() }
}

/// What is written by hand everywhere: try again until it works. No key, so the service sees two intents.
async fn naive_create(service: &FakeNotes, text: &str) -> Result<()> {
    loop {
        let body = serde_json::json!({ "text": text }).to_string();
        let request: WireRequest = Request::builder()
            .method(Method::POST)
            .uri("https://api.notes.example/v1/notes")
            .header(AUTHORIZATION, format!("Bearer {TOKEN}"))
            .body(body.into())
            .map_err(|e| Error::invalid_request("the request cannot be built").with_source(e))?;
        let exchange = Exchange::new(&spec::CREATE_NOTE, 1, Duration::from_secs(10));
        if service.send(request, exchange).await.is_ok() {
            return Ok(());
        }
    }
}
