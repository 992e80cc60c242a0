//! Makes an instance of its merged layers: what answers its calls, and its checked values.

use std::sync::Arc;

use super::dsn::{Composition, Dsn, ProviderDsn};
use super::lint;
use super::mode::{HostMode, ModeClash, mode_clash};
use super::policy::policy;
use super::problem::Place;
use super::read::{Reader, Values};
use super::schema::{self, Key};
use super::tree::{Data, Map, Node};
use super::{InstanceConfig, Target};
use crate::provider::{Mode, ProviderSpec, Setting};
use crate::registry::closest;
use crate::secret::SecretRef;
use crate::setup::{Settings, Value};

/// The settings that the user and the password of a DSN go to: the first that the provider has.
const USER: &[&str] = &["user", "username"];
const PASSWORD: &[&str] = &["password"];

/// An instance that is read; what could not be read is told already.
pub(super) struct Draft {
    /// `None` for a composition and for what could not be read.
    pub(super) spec: Option<&'static ProviderSpec>,
    pub(super) target: Option<Target>,
    pub(super) values: Values,
}

impl Draft {
    pub(super) fn finish(self, reader: &mut Reader<'_>) -> Option<InstanceConfig> {
        let policy = Arc::new(policy(reader, &self.values, self.spec));
        let enabled = self.values.flag("enabled").unwrap_or(true);
        Some(InstanceConfig { enabled, target: self.target?, policy })
    }
}

/// Reads an instance. `at` is where it was first named. One that is switched off needs no secrets: its references are
/// left alone.
pub(super) fn draft(reader: &mut Reader<'_>, map: &Map, at: &Place) -> Draft {
    let mut enabled = Values::default();
    if let (Some(node), Some(key)) = (map.get("enabled"), schema::find(schema::OWN, "enabled")) {
        reader.key(node, key, key.name, &mut enabled);
    }
    let resolver = reader.resolver;
    if enabled.flag("enabled") == Some(false) {
        reader.resolver = None;
    }
    let draft = read(reader, map, at);
    reader.resolver = resolver;
    draft
}

fn read(reader: &mut Reader<'_>, map: &Map, at: &Place) -> Draft {
    let dsn = map.get("dsn").filter(|node| !node.is_null());
    let Some(node) = dsn else { return provider(reader, map, at) };
    let Some((dsn, written)) = parse(reader, node) else { return unread() };
    let mut keys = map.clone();
    keys.0.remove("dsn");
    match dsn {
        Dsn::Provider(one) => {
            if let Some(entry) = map.0.get("use") {
                reader.problem(&entry.at, "use", "`use` and `dsn` exclude each other");
                return unread();
            }
            let Some(mut whole) = dsn_entries(reader, &one, node, written) else { return unread() };
            whole.overlay(&keys);
            provider(reader, &whole, at)
        }
        Dsn::Composed(how, members) => composition(reader, how, &members, node, written, &keys),
    }
}

fn unread() -> Draft {
    Draft { spec: None, target: None, values: Values::default() }
}

/// The DSN, and whether it stands in a file. One that is a single reference is resolved first, any other after it is
/// cut into its parts, so that no character of a secret can be taken for a separator.
fn parse(reader: &mut Reader<'_>, node: &Node) -> Option<(Dsn, bool)> {
    let whole = match &node.data {
        Data::Text(text) => matches!(
            SecretRef::parse(text),
            Ok(SecretRef::Env(_) | SecretRef::File(_) | SecretRef::Vault { .. })
        ),
        _ => false,
    };
    let (parsed, written) = match &node.data {
        Data::Text(_) if whole => (Dsn::parse(reader.text(node, "dsn").ok()??.value.expose().trim()), false),
        Data::Text(text) => (Dsn::parse(text), true),
        Data::Given(text) => (Dsn::parse(text), false),
        _ => {
            reader.expected(node, "dsn", "dsn", "text");
            return None;
        }
    };
    match parsed {
        Ok(dsn) => Some((dsn, written)),
        Err(e) => {
            reader.error(&node.at, "dsn", &e);
            None
        }
    }
}

/// The entries of an instance that a DSN stands for.
fn dsn_entries(reader: &mut Reader<'_>, dsn: &ProviderDsn, node: &Node, written: bool) -> Option<Map> {
    let (id, spec) = scheme(reader, dsn, node)?;
    let mut map = Map::default();
    let text = |text: &str| Node { at: node.at.clone(), data: Data::Given(text.to_owned()) };
    let param = |value: SecretRef| Node { at: node.at.clone(), data: Data::Param { value, written } };
    map.insert("use", text(id));
    match host(dsn, spec) {
        Ok(Some(host)) => map.insert("host", param(host)),
        Ok(None) => {}
        Err(message) => {
            reader.problem(&node.at, "dsn", message);
        }
    }
    for (value, names, what) in [(&dsn.user, USER, "user"), (&dsn.password, PASSWORD, "password")] {
        let Some(value) = value else { continue };
        match names.iter().find(|name| spec.setting(name).is_some()) {
            Some(name) => map.insert(*name, param(value.clone())),
            None => {
                let settings: Vec<&str> = spec.settings.iter().map(|setting| setting.name).collect();
                let problem =
                    reader.problem(&node.at, "dsn", format!("`{id}` takes no {what} before the `@`"));
                problem.hint(format!("its settings are parameters: {}", settings.join(", ")));
            }
        }
    }
    for (name, value) in &dsn.params {
        if map.get(name).is_some() {
            reader.problem(&node.at, "dsn", format!("the DSN says `{name}` twice"));
            continue;
        }
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        map.put(&path, param(value.clone()));
    }
    Some(map)
}

/// The provider that a scheme means: its id, its id with `+` and how to connect (`sendgrid+http`), or its id with an
/// `s` for a connection under TLS (`smtps`).
fn scheme<'d>(
    reader: &mut Reader<'_>,
    dsn: &'d ProviderDsn,
    node: &Node,
) -> Option<(&'d str, &'static ProviderSpec)> {
    let scheme = dsn.scheme.as_str();
    let before_plus = scheme.split_once('+').map(|(id, _)| id);
    let candidates = [Some(scheme), before_plus, scheme.strip_suffix('s')];
    let found = candidates.into_iter().flatten().find_map(|id| Some((id, reader.registry.spec(id)?)));
    if found.is_none() {
        let absent = reader.registry.absent(before_plus.unwrap_or(scheme));
        reader.error(&node.at, "dsn", &absent);
    }
    found
}

/// What the host of a DSN means: nothing for `default`, the name of a host, or an address.
fn host(dsn: &ProviderDsn, spec: &ProviderSpec) -> Result<Option<SecretRef>, String> {
    let is_bare = dsn.port.is_none() && dsn.path.trim_end_matches('/').is_empty();
    if let SecretRef::Inline(name) = &dsn.host {
        let name = name.expose();
        let is_default = name == "default";
        if (is_default || spec.host(name).is_some()) && !is_bare {
            return Err(format!("the host `{name}` of a DSN takes no port and no path"));
        }
        if is_default {
            return Ok(None);
        }
        if spec.host(name).is_some() {
            return Ok(Some(dsn.host.clone()));
        }
    }
    let scheme = match (dsn.scheme.split_once('+'), spec.hosts.first()) {
        (Some((_, transport)), _) => transport,
        (None, Some(host)) => host.url.split_once("://").map_or("https", |(scheme, _)| scheme),
        (None, None) => &dsn.scheme,
    };
    let port = dsn.port.map(|port| format!(":{port}")).unwrap_or_default();
    let literal = |text: String| SecretRef::Inline(text.into());
    let mut pieces =
        vec![literal(format!("{scheme}://")), dsn.host.clone(), literal(format!("{port}{}", dsn.path))];
    if let Some(SecretRef::Inline(last)) = pieces.last()
        && last.expose().is_empty()
    {
        pieces.pop();
    }
    // One text where nothing is a reference, so that it can be read without resolving anything.
    let whole: Option<String> = pieces
        .iter()
        .map(|piece| if let SecretRef::Inline(text) = piece { Some(text.expose().as_str()) } else { None })
        .collect();
    Ok(Some(whole.map_or_else(|| SecretRef::Joined(pieces), literal)))
}

fn composition(
    reader: &mut Reader<'_>,
    how: Composition,
    members: &[Dsn],
    node: &Node,
    written: bool,
    keys: &Map,
) -> Draft {
    let mut values = Values::default();
    for (name, entry) in keys.iter() {
        match schema::OWN.iter().chain(schema::SHARED).find(|key| key.name == name) {
            Some(key) => reader.key(&entry.value, key, name, &mut values),
            None => {
                let problem = reader.problem(
                    &entry.at,
                    name,
                    format!("`{name}` cannot stand beside `{}(…)`", how.as_str()),
                );
                problem.hint("settings belong to one provider: put them into its DSN as parameters");
            }
        }
    }
    let mut category = None;
    let target = composed(reader, how, members, node, written, &mut category);
    Draft { spec: None, target, values }
}

fn composed(
    reader: &mut Reader<'_>,
    how: Composition,
    members: &[Dsn],
    node: &Node,
    written: bool,
    category: &mut Option<&'static str>,
) -> Option<Target> {
    let mut targets = Vec::with_capacity(members.len());
    for member in members {
        let target = match member {
            Dsn::Provider(one) => member_target(reader, one, node, written, category),
            Dsn::Composed(how, members) => composed(reader, *how, members, node, written, category),
        };
        targets.extend(target);
    }
    (targets.len() == members.len()).then_some(Target::Composed(how, targets))
}

fn member_target(
    reader: &mut Reader<'_>,
    dsn: &ProviderDsn,
    node: &Node,
    written: bool,
    category: &mut Option<&'static str>,
) -> Option<Target> {
    let map = dsn_entries(reader, dsn, node, written)?;
    let draft = provider(reader, &map, &node.at);
    let spec = draft.spec?;
    if let Some(path) = draft.values.paths().find(|path| !["use", "host"].contains(path)) {
        let problem = reader.problem(
            &node.at,
            "dsn",
            format!("`{path}` belongs to the whole, not to `{}` in it", spec.id),
        );
        problem.hint(format!("write a map: `{{ dsn: \"…\", {path}: … }}`"));
    }
    let expected = *category.get_or_insert(spec.category);
    if expected != spec.category {
        let message =
            format!("`{}` is a provider of `{}`, the others are of `{expected}`", spec.id, spec.category);
        reader.problem(&node.at, "dsn", message);
    }
    draft.target
}

/// Reads an instance of one provider.
fn provider(reader: &mut Reader<'_>, map: &Map, at: &Place) -> Draft {
    let mut values = Values::default();
    let known: Vec<&'static Key> = schema::instance_keys().collect();
    for key in &known {
        if let Some(node) = map.get(key.name) {
            reader.key(node, key, key.name, &mut values);
        }
    }
    let Some(id) = values.text("use").map(Arc::<str>::from) else {
        if map.get("use").is_none_or(Node::is_null) {
            reader
                .problem(at, "", "it says neither `use` nor `dsn`, so that no provider is chosen")
                .hint("add `use: PROVIDER`");
        }
        return Draft { spec: None, target: None, values };
    };
    let Some(spec) = reader.registry.spec(&id) else {
        let absent = reader.registry.absent(&id);
        reader.error(values.place("use").unwrap_or(at), "use", &absent);
        return Draft { spec: None, target: None, values };
    };
    let settings = settings(reader, map, spec);
    let host = values.text("host").map(Arc::<str>::from);
    check_host(reader, spec, &values);
    if reader.resolver.is_some() {
        required(reader, map, spec, at);
        modes_and_shapes(reader, map, spec, &values, &settings, at);
    }
    let target = Target::Provider { id, host, settings: Arc::new(settings) };
    Draft { spec: Some(spec), target: Some(target), values }
}

/// The settings among the entries; whatever is neither a setting nor a common key is told.
pub(super) fn settings(reader: &mut Reader<'_>, map: &Map, spec: &'static ProviderSpec) -> Settings {
    let mut settings = Settings::new();
    for (name, entry) in map.iter() {
        if schema::instance_keys().any(|key| key.name == name) {
            continue;
        }
        let Some(setting) = spec.setting(name) else {
            let known = schema::instance_keys().map(|key| key.name);
            let known = known.chain(spec.settings.iter().map(|setting| setting.name));
            unknown(reader, name, &entry.at, spec, known);
            continue;
        };
        if entry.value.is_null() {
            continue;
        }
        if let Some(value) = reader.setting(&entry.value, name, setting.kind, name) {
            settings.set(name, value);
        }
    }
    settings
}

fn unknown<'n>(
    reader: &mut Reader<'_>,
    name: &str,
    at: &Place,
    spec: &ProviderSpec,
    known: impl Iterator<Item = &'n str>,
) {
    let close = closest(name, known);
    let settings: Vec<&str> = spec.settings.iter().map(|setting| setting.name).collect();
    let problem = reader.problem(at, name, format!("unknown key `{name}`"));
    problem.did_you_mean(close, || {
        (!settings.is_empty()).then(|| format!("the settings of `{}` are {}", spec.id, settings.join(", ")))
    });
}

fn check_host(reader: &mut Reader<'_>, spec: &ProviderSpec, values: &Values) {
    let (Some(host), Some(place)) = (values.text("host"), values.place("host")) else { return };
    let is_address =
        host.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some() && uri.authority().is_some());
    if is_address {
        let has_user = host
            .parse::<http::Uri>()
            .is_ok_and(|uri| uri.authority().is_some_and(|a| a.as_str().contains('@')));
        if has_user {
            reader.problem(place, "host", "`host` holds a user, which belongs into the settings");
        }
        return;
    }
    if spec.host(host).is_some() {
        return;
    }
    let names: Vec<&str> = spec.hosts.iter().map(|host| host.environment).collect();
    let message = format!("`host` is neither an absolute address nor one of the hosts of `{}`", spec.id);
    reader.problem(place, "host", message).did_you_mean(closest(host, names.iter().copied()), || {
        Some(if names.is_empty() {
            "write an address with its scheme, such as `https://api.example.com`".to_owned()
        } else {
            format!("its hosts are {}", names.join(", "))
        })
    });
}

fn required(reader: &mut Reader<'_>, map: &Map, spec: &ProviderSpec, at: &Place) {
    for setting in spec.settings.iter().filter(|setting| setting.required) {
        if map.get(setting.name).is_none_or(Node::is_null) {
            let hint = match setting.env {
                Some(env) => format!("add `{}: \"${{{env}}}\"`: {}", setting.name, setting.about),
                None => format!("add `{}`: {}", setting.name, setting.about),
            };
            let message = format!("`{}` needs the setting `{}`", spec.id, setting.name);
            reader.problem(at, setting.name, message).hint(hint);
        }
    }
}

/// What the environment, the address and the credentials say of each other, and what the credentials say by themselves.
fn modes_and_shapes(
    reader: &mut Reader<'_>,
    map: &Map,
    spec: &'static ProviderSpec,
    values: &Values,
    settings: &Settings,
    at: &Place,
) {
    let host = HostMode::of(spec, values.text("host"));
    if host == HostMode::Loopback {
        return;
    }
    let host_clash = mode_clash(reader.development, host, None);
    if let Some(clash) = host_clash {
        let message = format!("`{}` would use {clash}", spec.id);
        let test_host = spec.hosts.iter().find(|host| host.mode == Mode::Test);
        let hint = match (clash, test_host) {
            (ModeClash::LiveHostInDevelopment, Some(host)) => format!("set `host: {}`", host.environment),
            _ => clash.hint().to_owned(),
        };
        reader.problem(values.place("host").unwrap_or(at), "host", message).hint(hint);
    }
    for (name, value) in settings.iter() {
        let (Some(setting), Some(node)) = (spec.setting(name), map.get(name)) else { continue };
        let (text, finding) = match value {
            Value::Secret { secret, .. } => (secret.expose().as_str(), lint::lint(setting, secret.expose())),
            Value::Text(text) => (text.as_str(), lint::lint_text(setting, text)),
            _ => continue,
        };
        if let Some(finding) = finding {
            reader.problem(&node.at, name, finding.message).hint = finding.hint;
            continue;
        }
        let clash = mode_clash(reader.development, host, lint::key_mode(setting, text))
            .filter(|_| host_clash.is_none());
        if let Some(clash) = clash {
            reader.problem(&node.at, name, format!("`{name}` is {clash}")).hint(clash.hint());
        }
    }
}

/// Whether one of these entries is a credential.
pub(super) fn has_credentials(map: &Map, spec: &ProviderSpec) -> bool {
    let is_secret = |name: &str| spec.setting(name).is_some_and(Setting::is_secret);
    map.iter().any(|(name, entry)| is_secret(name) && !entry.value.is_null())
}
