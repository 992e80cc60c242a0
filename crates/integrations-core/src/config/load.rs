//! Reading configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::instance::draft;
use super::layers::{self, Layers};
use super::problem::{Found, Place, Problems};
use super::read::{Reader, Resolver, Store, Values, join};
use super::schema::{self, DEVELOPMENT, DEVELOPMENT_NAMES, TOP};
use super::tenant::tenants;
use super::tree::{Data, Map, Node};
use super::{Config, InstanceConfig};
use super::{toml, yaml};
use crate::error::{Error, Result};
use crate::registry::{Registry, closest};
use crate::secret::SecretString;

/// The largest text of a configuration: 1 MiB.
const MAX_TEXT: usize = 1024 * 1024;

/// Loads a configuration from files, variables and code; see the [module](super).
///
/// ```
/// use integrations_core::config::Loader;
/// use integrations_core::registry::Registry;
///
/// let registry = Registry::new();
/// let problems = Loader::new(&registry)
///     .environment("production")
///     .text("config.yaml", "version: 1\ninstancse: {}\n")
///     .load()
///     .unwrap_err();
/// assert_eq!(problems.to_string(), "config.yaml:2:1: unknown key `instancse` (did you mean `instances`?)");
/// ```
#[must_use]
pub struct Loader<'r> {
    registry: &'r Registry,
    environment: Option<String>,
    sources: Vec<Source>,
    vars: BTreeMap<String, SecretString>,
    set: Vec<(String, String)>,
    store: Option<Box<Store<'r>>>,
}

struct Source {
    name: Arc<str>,
    text: String,
}

impl fmt::Debug for Loader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources: Vec<&str> = self.sources.iter().map(|source| &*source.name).collect();
        f.debug_struct("Loader")
            .field("environment", &self.environment)
            .field("sources", &sources)
            .finish_non_exhaustive()
    }
}

impl<'r> Loader<'r> {
    /// Nothing yet. The providers and their settings are those of `registry`.
    pub fn new(registry: &'r Registry) -> Self {
        Self {
            registry,
            environment: None,
            sources: Vec::new(),
            vars: BTreeMap::new(),
            set: Vec::new(),
            store: None,
        }
    }

    /// Chooses the environment. There is no default.
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.environment = Some(name.into());
        self
    }

    /// Adds a file, `*.yaml`, `*.yml`, `*.json` (which is YAML) or `*.toml`; blocking. What a later file says goes over
    /// what earlier ones say. [`ErrorKind::Config`](crate::ErrorKind) when it cannot be read.
    pub fn file(self, path: impl AsRef<Path>) -> Result<Self> {
        let name = path.as_ref().display().to_string();
        let bytes = read(path.as_ref()).map_err(|e| {
            Error::config(format!("the configuration `{name}` cannot be read: {e}")).with_source(e)
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::config(format!("the configuration `{name}` is not UTF-8 text")))?;
        Ok(self.text(name, text))
    }

    /// Adds a text under a name whose end tells its format, as that of a file does.
    pub fn text(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.sources.push(Source { name: name.into().into(), text: text.into() });
        self
    }

    /// Adds variables, as `std::env::vars()` gives them: those that references name, and those that set a value
    /// (`INTEGRATIONS__SPOTIFY_MAIN__TIMEOUT`). Later ones replace earlier ones of the same name.
    pub fn vars<N: Into<String>, V: Into<String>>(mut self, vars: impl IntoIterator<Item = (N, V)>) -> Self {
        self.vars.extend(vars.into_iter().map(|(name, value)| (name.into(), value.into().into())));
        self
    }

    /// Sets one value from code, over everything else: `set("spotify_main.timeout", "30")`. The text is read as
    /// whatever the key takes.
    pub fn set(mut self, path: impl Into<String>, value: impl Into<String>) -> Self {
        self.set.push((path.into(), value.into()));
        self
    }

    /// Sets where `${vault:PATH#KEY}` leads: `lookup` gets the path and the key. Its errors are shown, so they must not
    /// hold values.
    pub fn secret_store(mut self, lookup: impl Fn(&str, Option<&str>) -> Result<SecretString> + 'r) -> Self {
        self.store = Some(Box::new(lookup));
        self
    }

    /// Reads, checks and resolves everything; blocking where a reference names a file. All problems at once.
    ///
    /// References of other environments and of instances that are switched off are not resolved; everything else about
    /// them is checked. An instance that is switched off and whose whole DSN is a reference is left out.
    pub fn load(self) -> Result<Config, Problems> {
        let mut found = Found::default();
        let config = self.read(&mut found);
        found.finish(config)
    }

    fn read(&self, found: &mut Found) -> Option<Config> {
        let root = self.root(found)?;
        let names = environments(&root, found);
        let chosen = self.chosen(&root, &names, found)?;
        let resolver = Resolver { vars: &self.vars, store: self.store.as_deref() };
        let mut elsewhere = BTreeSet::new();
        for (name, node) in names.iter().filter(|(name, _)| *name != chosen) {
            development(name, Some(node), &mut self.reader(found, None, true));
            let layers = layers::layers(root.get("instances"), Some(node), found);
            instances(&mut self.reader(found, None, true), &layers);
            elsewhere.extend(layers.instances.into_keys());
        }
        let node = names.iter().find(|(name, _)| *name == chosen).map(|(_, node)| *node);
        let development = development(chosen, node, &mut self.reader(found, None, true));
        let mut layers = layers::layers(root.get("instances"), node, found);
        layers::variables(&mut layers, &self.vars, self.registry, found);
        layers::code(&mut layers, &self.set, found);
        let mut reader = self.reader(found, Some(&resolver), development);
        Some(config(&mut reader, &root, chosen, &layers, &elsewhere))
    }

    fn reader<'a>(
        &self,
        found: &'a mut Found,
        resolver: Option<&'a Resolver<'a>>,
        development: bool,
    ) -> Reader<'a>
    where
        'r: 'a,
    {
        Reader { found, resolver, registry: self.registry, development, base: String::new() }
    }

    /// All files as one map. `None` when one of them cannot be read: what it says is missing then, and every further
    /// problem could come from that.
    fn root(&self, found: &mut Found) -> Option<Map> {
        if self.sources.is_empty() {
            found.add(&Place::Whole, "", "there is nothing to load").hint("call `file(…)` or `text(…)`");
            return None;
        }
        let mut root = Map::default();
        let mut whole = true;
        for source in &self.sources {
            match tree(source, found) {
                Some(Node { data: Data::Map(map), .. }) => {
                    self.top(&map, found);
                    root.overlay(&map);
                }
                Some(node) => {
                    let message = format!("a configuration is a map, this is {}", node.kind());
                    found.add(&node.at, "", message).hint("begin with `version: 1`");
                    whole = false;
                }
                None => whole = false,
            }
        }
        if whole && root.get("version").is_none() {
            let at = Place::Text { file: self.sources[0].name.clone(), line: 1, column: 1 };
            found.add(&at, "version", "the key `version` is missing").hint("begin with `version: 1`");
        }
        whole.then_some(root)
    }

    fn top(&self, map: &Map, found: &mut Found) {
        let mut reader = self.reader(found, None, true);
        reader.section(map, TOP, "", &mut Values::default());
        for name in ["instances", "environments", "tenants"] {
            if let Some(node) = map.get(name).filter(|node| !matches!(node.data, Data::Map(_) | Data::Null)) {
                reader.expected(node, name, name, "a map from names");
            }
        }
    }

    fn chosen<'s>(&'s self, root: &Map, names: &[(&str, &Node)], found: &mut Found) -> Option<&'s str> {
        let known = || names.iter().map(|(name, _)| *name);
        let Some(chosen) = self.environment.as_deref() else {
            let problem = found.add(&Place::Whole, "", "no environment is chosen");
            problem.hint("call `environment(…)`, for example with `production`");
            return None;
        };
        let Some(environments) = root.0.get("environments").filter(|_| !names.is_empty()) else {
            return Some(chosen);
        };
        if known().any(|name| name == chosen) {
            return Some(chosen);
        }
        let problem =
            found.add(&environments.at, "environments", format!("there is no environment `{chosen}`"));
        problem.did_you_mean(closest(chosen, known()), || {
            Some(format!("there are {}", known().collect::<Vec<_>>().join(", ")))
        });
        None
    }
}

/// A file up to the size that shows that it is too large.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn tree(source: &Source, found: &mut Found) -> Option<Node> {
    let at = Place::Text { file: source.name.clone(), line: 1, column: 1 };
    if source.text.len() > MAX_TEXT {
        found.add(&at, "", "the text is larger than 1 MiB");
        return None;
    }
    match Path::new(&*source.name).extension().and_then(|end| end.to_str()) {
        Some("yaml" | "yml" | "json") => yaml::read(&source.name, &source.text, found),
        Some("toml") => toml::read(&source.name, &source.text, found),
        _ => {
            let problem = found.add(&at, "", "the name does not tell the format");
            problem.hint("end it with `.yaml`, `.yml`, `.json` or `.toml`");
            None
        }
    }
}

/// The environments by name.
fn environments<'m>(root: &'m Map, found: &mut Found) -> Vec<(&'m str, &'m Node)> {
    let Some(Node { data: Data::Map(map), .. }) = root.get("environments") else { return Vec::new() };
    let mut names = Vec::new();
    for (name, entry) in map.iter() {
        let path = join("environments", name);
        if !schema::is_name(name) {
            let problem =
                found.add(&entry.at, &path, format!("`{name}` cannot be the name of an environment"));
            problem.hint(layers::NAMES);
        }
        if !matches!(entry.value.data, Data::Map(_) | Data::Null) {
            let message = format!("the environment `{name}` must be a map, this is {}", entry.value.kind());
            found.add(&entry.value.at, &path, message);
        }
        names.push((name, &entry.value));
    }
    names
}

fn config(
    reader: &mut Reader<'_>,
    root: &Map,
    chosen: &str,
    layers: &Layers,
    elsewhere: &BTreeSet<String>,
) -> Config {
    let development = reader.development;
    let instances = instances(reader, layers);
    let tenants = tenants(reader, root.get("tenants"), layers, elsewhere);
    let environment = chosen.into();
    Config { environment, development, instances, tenants: tenants.named, any_tenant: tenants.any }
}

/// The instances that can be read.
fn instances(reader: &mut Reader<'_>, layers: &Layers) -> BTreeMap<Arc<str>, InstanceConfig> {
    let mut instances = BTreeMap::new();
    for (name, layer) in &layers.instances {
        reader.base = join("instances", name);
        let merged = layer.merged(None);
        let says_what = merged.get("use").or(merged.get("dsn")).is_some();
        if !layer.everywhere && !says_what {
            let common = layers.instances.iter().filter(|(_, layer)| layer.everywhere);
            let close = closest(name, common.map(|(name, _)| name.as_str()));
            let problem =
                reader.problem(&layer.at, "", format!("there is no instance `{name}` in `instances`"));
            problem.did_you_mean(close, || {
                Some("one of this environment alone needs `use` or `dsn` here".to_owned())
            });
            continue;
        }
        let instance = draft(reader, &merged, &layer.at).finish(reader);
        instances.extend(instance.map(|instance| (Arc::from(name.as_str()), instance)));
    }
    instances
}

/// Whether the environment is marked as development, by its key or else by its name.
fn development(name: &str, node: Option<&Node>, reader: &mut Reader<'_>) -> bool {
    let mut values = Values::default();
    if let Some(Node { data: Data::Map(map), .. }) = node
        && let Some(marked) = map.get(DEVELOPMENT.name)
    {
        reader.base = join("environments", name);
        reader.key(marked, &DEVELOPMENT, DEVELOPMENT.name, &mut values);
    }
    values.flag(DEVELOPMENT.name).unwrap_or_else(|| DEVELOPMENT_NAMES.contains(&name))
}
