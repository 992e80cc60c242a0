//! Whether an answer ever reaches somebody else: many tenants and connections call at once, with a cache, few clients
//! kept, and the configuration changing under them. Each answer is the credential it was called with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use integrations_core::Clock;
use integrations_core::cache::{MemoryStore, ReadCache};
use integrations_core::config::{Config, InstanceConfig, TenantConfig, TenantInstance};
use integrations_core::hub::Hub;
use integrations_core::setup::Settings;
use serde_json::{Value, json};

use super::world::{Mirror, Service, Users, registry, token};

const TENANTS: usize = 50;
const CONNECTIONS: usize = 5;
const TASKS: usize = 64;
const CALLS: usize = 500;
const PAGES: u64 = 4;
const RELOADS: usize = 100;
const SEED: u64 = 1;

pub(super) struct Canaries {
    calls: usize,
    crossed: usize,
    failed: usize,
    naive_crossed: usize,
}

pub(super) fn injected() -> Value {
    json!({
        "tenants": TENANTS, "connections_each": CONNECTIONS, "tasks": TASKS, "calls_each": CALLS,
        "reloads": RELOADS, "seed": SEED,
    })
}

pub(super) fn run() -> Canaries {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    runtime.expect("a runtime without I/O needs nothing").block_on(search())
}

async fn search() -> Canaries {
    let cache = ReadCache::new(MemoryStore::new(1 << 22), Clock::system(), Duration::ZERO);
    let hub = Hub::builder(registry())
        .config(config(0))
        .transport(Service)
        .connections(Users)
        .cache(cache)
        .max_clients(100)
        .build()
        .expect("the configuration is valid");
    let naive = Arc::new(Mutex::new(HashMap::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        tasks.spawn(caller(hub.clone(), naive.clone(), SEED.wrapping_mul(0x9e37_79b9) ^ task as u64));
    }
    for n in 1..=RELOADS {
        hub.reload(config(n)).expect("the configuration is valid");
        tokio::task::yield_now().await;
    }
    let mut found = Canaries { calls: 0, crossed: 0, failed: 0, naive_crossed: 0 };
    while let Some(done) = tasks.join_next().await {
        let [calls, crossed, failed, naive_crossed] = done.expect("no task panics");
        found.calls += calls;
        found.crossed += crossed;
        found.failed += failed;
        found.naive_crossed += naive_crossed;
    }
    found
}

/// Each tenant has credentials of its own; `n` makes one configuration differ from the next.
fn config(n: usize) -> Config {
    let app = InstanceConfig::new("mirror").set("token", token("app", ""));
    let config =
        Config::new("production").instance("main", app.clone()).instance(format!("extra{}", n % 3), app);
    (0..TENANTS).fold(config, |config, tenant| {
        let name = tenant_name(tenant);
        let mut settings = Settings::new();
        settings.set("token", token(&name, ""));
        let own = TenantInstance::new().settings(settings);
        config.tenant(name, TenantConfig::new().instance("main", own))
    })
}

fn tenant_name(n: usize) -> String {
    format!("t{n}")
}

/// Calls, and how many of them got another's canary, failed, and would have got another's from a cache by address.
async fn caller(hub: Hub, naive: Arc<Mutex<HashMap<u64, String>>>, seed: u64) -> [usize; 4] {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut counts = [CALLS, 0, 0, 0];
    for _ in 0..CALLS {
        let name = tenant_name(rng.usize(..TENANTS));
        let connection = rng.usize(..=CONNECTIONS);
        let page = rng.u64(..PAGES);
        let (mirror, expected) = open(&hub, &name, connection);
        match mirror.who(page).await {
            Ok(answer) => counts[1] += usize::from(answer != expected),
            Err(_) => counts[2] += 1,
        }
        let mut naive = naive.lock().unwrap_or_else(PoisonError::into_inner);
        counts[3] += usize::from(*naive.entry(page).or_insert_with(|| expected.clone()) != expected);
    }
    counts
}

/// Connection 0 is the tenant itself.
fn open(hub: &Hub, name: &str, connection: usize) -> (Mirror, String) {
    let tenant = hub.tenant(name).expect("the tenant is configured");
    if connection == 0 {
        return (tenant.open("main").expect("it may use it"), token(name, "").expose().clone());
    }
    let user = format!("u{connection}");
    let connection = tenant.connection(user.clone()).expect("the name is valid");
    (connection.open("main").expect("it may use it"), token(name, &user).expose().clone())
}

impl Canaries {
    pub(super) fn holds(&self) -> bool {
        self.crossed == 0 && self.failed == 0 && self.calls == TASKS * CALLS && self.naive_crossed > 0
    }

    pub(super) fn ours(&self) -> Value {
        json!({ "calls": self.calls, "crossed": self.crossed, "failed": self.failed })
    }

    pub(super) fn control(&self) -> Value {
        json!({ "calls": self.calls, "crossed": self.naive_crossed })
    }

    pub(super) fn story(&self) -> Vec<String> {
        vec![format!(
            "{} calls of {TENANTS} tenants and their connections, {RELOADS} reloads under them: {} answers crossed, {} \
             calls failed; with a cache by address alone {} would have crossed.",
            self.calls, self.crossed, self.failed, self.naive_crossed
        )]
    }
}
