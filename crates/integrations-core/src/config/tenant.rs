//! Reads what each tenant may do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::instance::{draft, has_credentials};
use super::layers::{Layer, Layers, NAMES};
use super::policy::{limit, policy};
use super::problem::Place;
use super::read::{Reader, Values, join};
use super::schema::{self, TENANT};
use super::tree::{Data, Map, Node};
use super::{Target, TenantConfig, TenantInstance};
use crate::provider::ProviderSpec;
use crate::registry::closest;
use crate::setup::Settings;

/// The entry that holds for tenants without one.
const ANY: &str = "*";

/// All tenants, and the entry for those that have none.
#[derive(Default)]
pub(super) struct Tenants {
    pub(super) named: BTreeMap<Arc<str>, TenantConfig>,
    pub(super) any: Option<TenantConfig>,
}

/// Reads the tenants. `elsewhere` are the instances that only other environments have.
pub(super) fn tenants(
    reader: &mut Reader<'_>,
    node: Option<&Node>,
    layers: &Layers,
    elsewhere: &BTreeSet<String>,
) -> Tenants {
    let mut tenants = Tenants::default();
    let Some(Node { data: Data::Map(map), .. }) = node else { return tenants };
    let mut sum = 0.0;
    for (name, entry) in map.iter() {
        reader.base = join("tenants", name);
        if name != ANY && !schema::is_name(name) {
            reader.problem(&entry.at, "", format!("`{name}` cannot be the name of a tenant")).hint(NAMES);
            continue;
        }
        let values = Values::default();
        let mut context = Context { reader: &mut *reader, layers, elsewhere, values };
        let Some(config) = context.tenant(name, &entry.value) else { continue };
        if let (Some(share), Some(place)) = (config.share, context.values.place("share").cloned()) {
            if name == ANY {
                reader.problem(&place, "share", "a share is one tenant's, not everybody's").hint(EQUAL_PARTS);
                continue;
            }
            sum += share;
            if sum >= 1.0 {
                let message =
                    format!("the shares up to this one add up to {sum}; together they must stay below 1");
                reader.problem(&place, "share", message).hint("the rest is for tenants without a share");
            }
        }
        match name {
            ANY => tenants.any = Some(config),
            name => drop(tenants.named.insert(name.into(), config)),
        }
    }
    tenants
}

const EQUAL_PARTS: &str = "leave it out: tenants without a share get equal parts of what the others leave";

struct Context<'c, 'r> {
    reader: &'c mut Reader<'r>,
    layers: &'c Layers,
    elsewhere: &'c BTreeSet<String>,
    values: Values,
}

impl<'c> Context<'c, '_> {
    fn tenant(&mut self, name: &str, node: &Node) -> Option<TenantConfig> {
        let map = match &node.data {
            Data::Map(map) => map,
            Data::Null => &Map::default(),
            _ => {
                self.reader.expected(node, "", name, "a map");
                return None;
            }
        };
        self.reader.section(map, TENANT, "", &mut self.values);
        let limit = limit(self.reader, &self.values, "rate_limits");
        let features = self.values.texts("features").unwrap_or_default();
        Some(TenantConfig {
            enabled: self.values.flag("enabled").unwrap_or(true),
            features: features.iter().map(|feature| feature.as_str().into()).collect(),
            limit,
            share: self.values.number("share"),
            sla: self.values.number("sla"),
            instances: map.get("instances").and_then(|node| self.instances(node)),
        })
    }

    fn instances(&mut self, node: &Node) -> Option<BTreeMap<Arc<str>, TenantInstance>> {
        let mut instances = BTreeMap::new();
        match &node.data {
            Data::Null => return None,
            Data::List(items) => {
                for item in items {
                    let Data::Text(name) = &item.data else {
                        let message =
                            format!("the name of an instance must be text, this is {}", item.kind());
                        self.reader.problem(&item.at, "instances", message);
                        continue;
                    };
                    if self.layer(name, &item.at).is_some() {
                        instances.insert(name.as_str().into(), as_it_is());
                    }
                }
            }
            Data::Map(map) => {
                for (name, entry) in map.iter() {
                    let Some(layer) = self.layer(name, &entry.at) else { continue };
                    let before = std::mem::take(&mut self.reader.base);
                    self.reader.base = format!("{before}.instances.{name}");
                    let instance = self.own(layer, name, &entry.value);
                    self.reader.base = before;
                    instances.extend(instance.map(|instance| (Arc::from(name), instance)));
                }
            }
            _ => self.reader.expected(node, "instances", "instances", "a list of names, or a map from names"),
        }
        Some(instances)
    }

    fn layer(&mut self, name: &str, at: &Place) -> Option<&'c Layer> {
        let layers = self.layers;
        let layer = layers.instances.get(name);
        if layer.is_none() && !self.elsewhere.contains(name) {
            let close = closest(name, layers.instances.keys().map(String::as_str));
            let problem = self.reader.problem(at, "instances", format!("there is no instance `{name}`"));
            problem.did_you_mean(close, || None);
        }
        layer
    }

    fn own(&mut self, layer: &Layer, name: &str, node: &Node) -> Option<TenantInstance> {
        let own = match &node.data {
            Data::Map(own) => own,
            Data::Null => return Some(as_it_is()),
            _ => {
                self.reader.expected(node, "", name, "a map");
                return None;
            }
        };
        let mut laid_over = own.clone();
        laid_over.0.retain(|key, _| schema::find(schema::TARGET, key).is_none());
        let full = draft(self.reader, &layer.merged(Some(&laid_over)), &layer.at);
        self.check(own, full.spec);
        let settings = match (&full.target, full.spec) {
            (Some(Target::Provider { settings, .. }), Some(spec)) => own_settings(own, spec, settings),
            _ => Settings::new(),
        };
        let differs =
            own.keys().any(|key| key != "enabled" && schema::instance_keys().any(|known| known.name == key));
        let policy = differs.then(|| Arc::new(policy(self.reader, &full.values, full.spec)));
        let enabled = own.get("enabled").is_none() || full.values.flag("enabled").unwrap_or(true);
        full.target?;
        Some(TenantInstance { enabled, settings: (!settings.is_empty()).then(|| Arc::new(settings)), policy })
    }

    /// Refuses what cannot differ by tenant.
    fn check(&mut self, own: &Map, spec: Option<&'static ProviderSpec>) {
        let has_credentials = spec.is_some_and(|spec| has_credentials(own, spec));
        for (name, entry) in own.iter() {
            if schema::find(schema::TARGET, name).is_some() {
                let message = format!("`{name}` is the same for every tenant of an instance");
                let problem = self.reader.problem(&entry.at, name, message);
                problem.hint("configure another instance, and list it for this tenant");
            }
            if schema::find(schema::SHARED, name).is_some() && !has_credentials {
                let message = format!("`{name}` is shared by all tenants that use the same credentials");
                let problem = self.reader.problem(&entry.at, name, message);
                problem
                    .hint("give the tenant credentials of its own here, or set the tenant's `rate_limits` or `share`");
            }
        }
    }
}

fn as_it_is() -> TenantInstance {
    TenantInstance::new()
}

fn own_settings(own: &Map, spec: &ProviderSpec, all: &Settings) -> Settings {
    let mut mine = Settings::new();
    for (name, value) in
        all.iter().filter(|(name, _)| own.get(name).is_some() && spec.setting(name).is_some())
    {
        mine.set(name, value.clone());
    }
    mine
}
