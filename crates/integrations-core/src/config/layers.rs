//! Lays the layers of a configuration over each other: instance, environment, tenant, variables, code.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::problem::{Found, Place};
use super::schema;
use super::tree::{Data, Map, Node};
use crate::registry::{Registry, closest};
use crate::secret::SecretString;

/// What begins the name of a variable that sets a value.
const PREFIX: &str = "INTEGRATIONS__";

/// One environment's instances: what files say of each, and what is said over that from outside.
#[derive(Default)]
pub(super) struct Layers {
    pub(super) instances: BTreeMap<String, Layer>,
}

/// What is known of one instance.
pub(super) struct Layer {
    /// Where it was first named.
    pub(super) at: Place,
    /// Whether `instances` names it, or only the environment.
    pub(super) everywhere: bool,
    /// Each layer of the files by itself, the lowest first.
    pub(super) files: Vec<Map>,
    /// Variables and code: these go over a tenant's own too.
    pub(super) outside: Map,
}

impl Layer {
    /// All layers as one, with those of a tenant where they belong.
    pub(super) fn merged(&self, tenant: Option<&Map>) -> Map {
        let mut whole = Map::default();
        // A DSN from outside replaces the whole instance, as one in a file does.
        let files = if self.outside.get("dsn").is_some() { &[] } else { self.files.as_slice() };
        for layer in files.iter().chain(tenant).chain([&self.outside]) {
            whole.overlay(layer);
        }
        whole
    }
}

/// The layers of the files in one environment.
pub(super) fn layers(instances: Option<&Node>, environment: Option<&Node>, found: &mut Found) -> Layers {
    let mut layers = Layers::default();
    add(&mut layers, instances, "instances", found);
    let skipped = environment.map(|node| {
        let mut node = node.clone();
        if let Data::Map(map) = &mut node.data {
            map.0.remove(schema::DEVELOPMENT.name);
        }
        node
    });
    add(&mut layers, skipped.as_ref(), "environments", found);
    layers
}

fn add(layers: &mut Layers, node: Option<&Node>, path: &str, found: &mut Found) {
    let Some(Node { data: Data::Map(map), .. }) = node else { return };
    for (name, entry) in map.iter() {
        if name == schema::DEVELOPMENT.name {
            let problem = found.add(&entry.at, path, "an instance cannot be named `development`");
            problem.hint("inside an environment this is the key that marks it as development");
            continue;
        }
        if !schema::is_name(name) {
            found.add(&entry.at, path, format!("`{name}` cannot be the name of an instance")).hint(NAMES);
            continue;
        }
        let Some(layer) = instance(&entry.value, &format!("{path}.{name}"), name, found) else { continue };
        let known = layers.instances.entry(name.to_owned());
        let known = known.or_insert_with(|| Layer {
            at: entry.at.clone(),
            everywhere: path == "instances",
            files: Vec::new(),
            outside: Map::default(),
        });
        if matches!(entry.value.data, Data::Text(_)) {
            known.files.clear();
        }
        known.files.push(layer);
    }
}

/// What a name may be, for a hint.
pub(super) const NAMES: &str =
    "a name begins with a letter or digit and has letters, digits, `.`, `_`, `@` and `-`, at most 128";

/// One layer of an instance; a text is short for `{dsn: text}`.
fn instance(node: &Node, path: &str, name: &str, found: &mut Found) -> Option<Map> {
    match &node.data {
        Data::Map(map) => Some(map.clone()),
        Data::Null => Some(Map::default()),
        Data::Text(_) | Data::Given(_) => {
            let mut map = Map::default();
            map.insert("dsn", node.clone());
            Some(map)
        }
        _ => {
            let message = format!("the instance `{name}` must be a map or a DSN, this is {}", node.kind());
            found.add(&node.at, path, message);
            None
        }
    }
}

/// Lays the variables over the instances.
pub(super) fn variables(
    layers: &mut Layers,
    vars: &BTreeMap<String, SecretString>,
    registry: &Registry,
    found: &mut Found,
) {
    for (name, value) in vars {
        let Some(rest) = name.get(..PREFIX.len()).filter(|start| start.eq_ignore_ascii_case(PREFIX)) else {
            continue;
        };
        let place = Place::Variable(name.as_str().into());
        let rest = plain(&name[rest.len()..]);
        let Some((instance, keys)) = addressed(layers, &rest, &place, found) else { continue };
        let node = Node { at: place, data: Data::Given(value.expose().clone()) };
        let layer = layers.instances.get_mut(&instance);
        if let Some(layer) = layer {
            let path = keys_of(layer, &keys, registry);
            layer.outside.put(&path, node);
        }
    }
}

/// A name as variables can hold it.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// The instance that a variable means, and the rest of its name.
fn addressed(layers: &Layers, rest: &str, place: &Place, found: &mut Found) -> Option<(String, String)> {
    let begins = |name: &str| {
        let name = plain(name);
        let rest = rest.strip_prefix(&name)?;
        (rest.is_empty() || rest.starts_with("__"))
            .then(|| (name.len(), rest.trim_start_matches('_').to_owned()))
    };
    let fitting =
        layers.instances.keys().filter_map(|name| begins(name).map(|(length, keys)| (length, name, keys)));
    let mut fitting: Vec<_> = fitting.collect();
    let longest = fitting.iter().map(|(length, ..)| *length).max();
    fitting.retain(|(length, ..)| Some(*length) == longest);
    match fitting.as_slice() {
        [(_, name, keys)] => Some(((*name).clone(), keys.clone())),
        [] => {
            let meant = rest.split("__").next().unwrap_or_default();
            let names: Vec<(String, &String)> =
                layers.instances.keys().map(|name| (plain(name), name)).collect();
            let close =
                closest(meant, names.iter().map(|(plain, _)| plain.as_str())).map(str::to_ascii_uppercase);
            let problem = found.add(place, "", "there is no instance of this name in this environment");
            problem.hint = close.map(|close| format!("did you mean `{PREFIX}{close}…`?"));
            None
        }
        several => {
            let names: Vec<&str> = several.iter().map(|(_, name, _)| name.as_str()).collect();
            found
                .add(place, "", format!("it could mean each of the instances {}", names.join(", ")))
                .hint("rename one of them, or set the value in a file");
            None
        }
    }
}

/// The path within an instance that a variable's keys mean. The names of settings are matched as variables hold them.
fn keys_of(layer: &Layer, keys: &str, registry: &Registry) -> Vec<String> {
    if keys.is_empty() {
        return vec!["dsn".to_owned()];
    }
    let mut path: Vec<String> = keys.split("__").map(str::to_owned).collect();
    let merged = layer.merged(None);
    let spec = match merged.get("use").map(|node| &node.data) {
        Some(Data::Text(id)) => registry.spec(id),
        _ => None,
    };
    if let ([only], Some(spec)) = (path.as_mut_slice(), spec)
        && let Some(setting) = spec.settings.iter().find(|setting| plain(setting.name) == *only)
    {
        *only = setting.name.to_owned();
    }
    if let ([limits, buckets, name, ..], Some(spec)) = (path.as_mut_slice(), spec)
        && limits == "rate_limits"
        && buckets == "buckets"
        && let Some(bucket) = spec.buckets.iter().find(|bucket| plain(bucket.name) == *name)
    {
        *name = bucket.name.to_owned();
    }
    path
}

/// Lays what code sets over the instances.
pub(super) fn code(layers: &mut Layers, set: &[(String, String)], found: &mut Found) {
    for (path, value) in set {
        let place = Place::Code(Arc::from(path.as_str()));
        let named = layers.instances.keys().filter(|name| {
            path.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        let Some(name) = named.max_by_key(|name| name.len()).cloned() else {
            let meant = path.split('.').next().unwrap_or_default();
            let close = closest(meant, layers.instances.keys().map(String::as_str));
            let problem = found.add(&place, path, "there is no instance of this name in this environment");
            problem.did_you_mean(close, || None);
            continue;
        };
        let keys = path[name.len()..].trim_start_matches('.');
        let keys = if keys.is_empty() { "dsn" } else { keys };
        let keys: Vec<String> = keys.split('.').map(str::to_owned).collect();
        if let Some(layer) = layers.instances.get_mut(&name) {
            layer.outside.put(&keys, Node { at: place, data: Data::Given(value.clone()) });
        }
    }
}
