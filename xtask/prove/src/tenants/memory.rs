//! What 10,000 tenants at five instances each cost in memory, and whether a metric names one of them.

use integrations_core::SecretString;
use integrations_core::config::{Config, InstanceConfig};
use integrations_core::hub::Hub;
use serde_json::{Value, json};

use super::world::{Mirror, Service, registry};
use crate::report::rounded;

const TENANTS: usize = 10_000;
const INSTANCES: usize = 5;
const AIM_MIB: f64 = 64.0;

pub(super) struct Memory {
    /// With what the hub keeps by itself.
    kept_mib: f64,
    /// With every client held by the application.
    held_mib: f64,
    /// Series of the metrics after the first tenant and after the last.
    series: [usize; 2],
    names_in_metrics: usize,
    /// The same for metrics with the tenant as a label.
    naive_series: usize,
    naive_names: usize,
}

pub(super) fn injected() -> Value {
    json!({ "tenants": TENANTS, "instances_each": INSTANCES, "calls_each": 1 })
}

pub(super) fn run() -> Memory {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime without I/O needs nothing").block_on(measure())
}

async fn measure() -> Memory {
    let hub = hub();
    let mut held = Vec::new();
    // What the process and one tenant need anyway.
    call_all(&hub, "tenant-0", None).await;
    let count =
        |hub: &Hub| hub.stages().metrics().prometheus().lines().filter(|l| !l.starts_with('#')).count();
    let first_series = count(&hub);
    let before = resident_mib();
    for tenant in 1..=TENANTS {
        call_all(&hub, &format!("tenant-{tenant}"), None).await;
    }
    let kept_mib = resident_mib() - before;
    for tenant in 1..=TENANTS {
        call_all(&hub, &format!("tenant-{tenant}"), Some(&mut held)).await;
    }
    let held_mib = resident_mib() - before;
    let text = hub.stages().metrics().prometheus();
    let series = (0..TENANTS * INSTANCES).map(|n| {
        format!("requests_total{{tenant=\"tenant-{}\",instance=\"i{}\"}} 1", n / INSTANCES, n % INSTANCES)
    });
    let naive = series.collect::<Vec<_>>().join("\n");
    Memory {
        kept_mib,
        held_mib,
        series: [first_series, count(&hub)],
        names_in_metrics: text.matches("tenant-").count(),
        naive_series: naive.lines().count(),
        naive_names: naive.matches("tenant-").count(),
    }
}

fn hub() -> Hub {
    let config = (0..INSTANCES).fold(Config::new("production"), |config, n| {
        let instance = InstanceConfig::new("mirror").set("token", SecretString::from("app"));
        config.instance(format!("i{n}"), instance)
    });
    Hub::builder(registry()).config(config).transport(Service).build().expect("the configuration is valid")
}

async fn call_all(hub: &Hub, tenant: &str, mut held: Option<&mut Vec<Mirror>>) {
    let tenant = hub.tenant(tenant).expect("every tenant is admitted");
    for n in 0..INSTANCES {
        let mirror: Mirror = tenant.open(&format!("i{n}")).expect("the instance is there");
        mirror.who(0).await.expect("the service answers");
        if let Some(held) = &mut held {
            held.push(mirror);
        }
    }
}

/// The process's resident memory; 0 where the system does not tell.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}

impl Memory {
    pub(super) fn holds(&self) -> bool {
        // What is not measured is not shown.
        let measured = self.kept_mib > 0.0;
        let small = self.kept_mib <= AIM_MIB && self.held_mib <= 2.0 * AIM_MIB;
        let closed = self.series[0] == self.series[1] && self.names_in_metrics == 0;
        measured && small && closed && self.naive_names > 0
    }

    pub(super) fn ours(&self) -> Value {
        json!({
            "kept_mib": rounded(self.kept_mib),
            "held_mib": rounded(self.held_mib),
            "series": self.series[1],
            "tenant_names_in_metrics": self.names_in_metrics,
        })
    }

    pub(super) fn control(&self) -> Value {
        json!({ "series": self.naive_series, "tenant_names_in_metrics": self.naive_names })
    }

    pub(super) fn story(&self) -> Vec<String> {
        vec![format!(
            "{TENANTS} tenants at {INSTANCES} instances: {:.1} MiB with what the hub keeps, {:.1} MiB with every client \
             held; {} series of metrics as with one tenant, against {} with the tenant as a label.",
            self.kept_mib, self.held_mib, self.series[1], self.naive_series
        )]
    }
}
