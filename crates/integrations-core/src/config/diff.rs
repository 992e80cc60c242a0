//! What changed between two configurations.

use std::collections::BTreeMap;
use std::fmt;

use super::dsn::shown;
use super::{Config, Target, TenantConfig};
use crate::pipeline::Policy;
use crate::secret::SecretString;
use crate::setup::{Settings, Value};

/// One value that differs. A secret is shown as its reference, or as `***` where it stands in the text itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The path of the value, e.g. `instances.spotify_main.policy.total_timeout`.
    pub path: String,
    /// The value before; `None` when there was none.
    pub before: Option<String>,
    /// The value now; `None` when there is none any more.
    pub after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) if before == after => {
                write!(f, "{}: {before} (another value)", self.path)
            }
            (Some(before), Some(after)) => write!(f, "{}: {before} -> {after}", self.path),
            (Some(before), None) => write!(f, "{}: {before} -> nothing", self.path),
            (None, Some(after)) => write!(f, "{}: nothing -> {after}", self.path),
            (None, None) => f.write_str(&self.path),
        }
    }
}

impl Config {
    /// What is different in `new`, by path. A secret whose reference stays and whose value changes is a change whose
    /// `before` and `after` read the same.
    pub fn diff(&self, new: &Self) -> Vec<Change> {
        let (before, after) = (flat(self), flat(new));
        let paths: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let differs = |path: &&String| match (before.get(*path), after.get(*path)) {
            (Some(before), Some(after)) => !before.is_same(after),
            _ => true,
        };
        let shown = |values: &Flat, path: &String| values.get(path).map(|value| value.shown.clone());
        paths
            .into_iter()
            .filter(differs)
            .map(|path| Change {
                path: path.clone(),
                before: shown(&before, path),
                after: shown(&after, path),
            })
            .collect()
    }
}

type Flat = BTreeMap<String, Shown>;

/// A value as it may be shown, with the secret behind it.
struct Shown {
    shown: String,
    secret: Option<SecretString>,
}

impl Shown {
    fn is_same(&self, other: &Self) -> bool {
        let same = match (&self.secret, &other.secret) {
            (Some(a), Some(b)) => a.ct_eq(b.expose()),
            (None, None) => true,
            _ => false,
        };
        same && self.shown == other.shown
    }
}

fn flat(config: &Config) -> Flat {
    let mut flat = Flat::new();
    put(&mut flat, "environment", &config.environment);
    put(&mut flat, "development", config.development);
    for (name, instance) in &config.instances {
        let path = format!("instances.{name}");
        put(&mut flat, &format!("{path}.enabled"), instance.enabled);
        target(&mut flat, &path, &instance.target);
        policy(&mut flat, &path, &instance.policy);
    }
    for (name, one) in &config.tenants {
        tenant(&mut flat, &format!("tenants.{name}"), one);
    }
    if let Some(any) = &config.any_tenant {
        tenant(&mut flat, "tenants.*", any);
    }
    flat
}

fn put(flat: &mut Flat, path: &str, value: impl fmt::Display) {
    flat.insert(path.to_owned(), Shown { shown: value.to_string(), secret: None });
}

fn target(flat: &mut Flat, path: &str, of: &Target) {
    match of {
        Target::Provider { id, host, settings: of } => {
            put(flat, &format!("{path}.use"), id);
            if let Some(host) = host {
                put(flat, &format!("{path}.host"), host);
            }
            settings(flat, path, of);
        }
        Target::Composed(how, members) => {
            put(flat, &format!("{path}.composition"), how.as_str());
            for (i, member) in members.iter().enumerate() {
                target(flat, &format!("{path}.{i}"), member);
            }
        }
    }
}

fn settings(flat: &mut Flat, path: &str, of: &Settings) {
    for (name, value) in of.iter() {
        let path = format!("{path}.{name}");
        match value {
            Value::Secret { secret, found } => {
                flat.insert(path, Shown { shown: shown(found), secret: Some(secret.clone()) });
            }
            Value::Text(text) => put(flat, &path, text),
            Value::Integer(number) => put(flat, &path, number),
            Value::Flag(on) => put(flat, &path, on),
            Value::Duration(time) => put(flat, &path, format_args!("{time:?}")),
            Value::List(items) => put(flat, &path, items.join(", ")),
        }
    }
}

fn policy(flat: &mut Flat, path: &str, of: &Policy) {
    let fields: [(&str, &dyn fmt::Debug); 13] = [
        ("total_timeout", &of.total_timeout),
        ("attempt_timeout", &of.attempt_timeout),
        ("idle_timeout", &of.idle_timeout),
        ("wait", &of.wait),
        ("retry", &of.retry),
        ("breaker", &of.breaker),
        ("limit", &of.limit),
        ("bucket_limits", &of.bucket_limits),
        ("tenant_limit", &of.tenant_limit),
        ("tenant_share", &of.tenant_share),
        ("budget", &of.budget),
        ("concurrency", &of.concurrency),
        ("hedge", &of.hedge),
    ];
    for (name, value) in fields {
        put(flat, &format!("{path}.policy.{name}"), format_args!("{value:?}"));
    }
}

fn tenant(flat: &mut Flat, path: &str, of: &TenantConfig) {
    put(flat, &format!("{path}.enabled"), of.enabled);
    let optional: [(&str, Option<&dyn fmt::Debug>); 3] = [
        ("limit", of.limit.as_ref().map(|limit| limit as _)),
        ("share", of.share.as_ref().map(|share| share as _)),
        ("sla", of.sla.as_ref().map(|sla| sla as _)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            put(flat, &format!("{path}.{name}"), format_args!("{value:?}"));
        }
    }
    let features: Vec<&str> = of.features.iter().map(|feature| &**feature).collect();
    put(flat, &format!("{path}.features"), features.join(", "));
    for (name, instance) in of.instances.iter().flatten() {
        let path = format!("{path}.instances.{name}");
        put(flat, &format!("{path}.enabled"), instance.enabled);
        if let Some(of) = &instance.settings {
            settings(flat, &path, of);
        }
        if let Some(of) = &instance.policy {
            policy(flat, &path, of);
        }
    }
    // Tells all instances from none.
    put(flat, &format!("{path}.instances"), if of.instances.is_some() { "listed" } else { "all" });
}
