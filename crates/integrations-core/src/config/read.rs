//! Reads single values: resolves references, checks kinds and ranges, never quotes what may be a secret.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::problem::{Found, Place, Problem};
use super::schema::{self, Key, Takes};
use super::tree::{Data, Map, Node};
use crate::error::{Error, Result};
use crate::provider::SettingKind;
use crate::registry::{Registry, closest};
use crate::secret::{SecretRef, SecretString};
use crate::setup::Value;

/// A secret store: the entry's path, and the field of it.
pub(super) type Store<'a> = dyn Fn(&str, Option<&str>) -> Result<SecretString> + 'a;

/// Where references lead.
pub(super) struct Resolver<'a> {
    pub(super) vars: &'a BTreeMap<String, SecretString>,
    pub(super) store: Option<&'a Store<'a>>,
}

/// Reads values and gathers what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) found: &'a mut Found,
    /// `None` looks at shapes only: a value with references is taken for right.
    pub(super) resolver: Option<&'a Resolver<'a>>,
    pub(super) registry: &'a Registry,
    /// Whether secrets may stand in the text.
    pub(super) development: bool,
    /// The path of the instance or tenant that is read.
    pub(super) base: String,
}

/// The text of a value.
pub(super) struct Text {
    pub(super) value: SecretString,
    /// Where it was found.
    pub(super) reference: SecretRef,
    /// Whether the whole of it stands in a file for all to read.
    pub(super) written: bool,
    /// Whether it comes from where there is nothing but text, so that a number is text too.
    pub(super) loose: bool,
}

/// A checked value.
#[derive(Clone)]
pub(super) enum Leaf {
    Flag(bool),
    Whole(u64),
    Number(f64),
    Time(Duration),
    Text(String),
    Texts(Vec<String>),
}

/// Checked values by their path within an instance, e.g. `retry.max_attempts`, with their places. A section that is
/// switched on or off is a flag at the section's path.
#[derive(Default)]
pub(super) struct Values(BTreeMap<String, (Leaf, Place)>);

impl Reader<'_> {
    /// Reads a map by its table. `path` counts from the instance or tenant.
    pub(super) fn section(&mut self, map: &Map, keys: &'static [Key], path: &str, into: &mut Values) {
        for (name, entry) in map.iter() {
            match schema::find(keys, name) {
                Some(key) => self.key(&entry.value, key, &join(path, name), into),
                None => self.unknown(&entry.at, &join(path, name), name, keys.iter().map(|key| key.name)),
            }
        }
    }

    /// Reads the value of one key. `null` is as good as no entry.
    pub(super) fn key(&mut self, node: &Node, key: &'static Key, path: &str, into: &mut Values) {
        if node.is_null() {
            return;
        }
        match (key.takes, &node.data) {
            (Takes::Switch(keys), Data::Map(map)) => {
                into.set(path, Leaf::Flag(true), &node.at);
                self.section(map, keys, path, into);
            }
            (Takes::Section(keys), Data::Map(map)) => self.section(map, keys, path, into),
            (Takes::Named(keys), Data::Map(map)) => self.named(map, keys, path, into),
            (Takes::Section(_) | Takes::Named(_), _) => self.expected(node, path, key.name, "a map"),
            (Takes::Texts, _) => {
                let texts = self.list(node, key.name, path);
                into.set(path, Leaf::Texts(texts), &node.at);
            }
            (Takes::Other, _) => {}
            (takes, _) => {
                if let Some(leaf) = self.leaf(node, key.name, takes, path) {
                    into.set(path, leaf, &node.at);
                }
            }
        }
    }

    fn named(&mut self, map: &Map, keys: &'static [Key], path: &str, into: &mut Values) {
        for (name, entry) in map.iter() {
            let path = join(path, name);
            match &entry.value.data {
                Data::Map(inner) => self.section(inner, keys, &path, into),
                Data::Null => {}
                _ => self.expected(&entry.value, &path, name, "a map"),
            }
        }
    }

    /// Tells a problem of the value at `path`, which counts from the instance or tenant.
    pub(super) fn problem(&mut self, at: &Place, path: &str, message: impl Into<String>) -> &mut Problem {
        let path = join(&self.base, path);
        self.found.add(at, &path, message)
    }

    /// An error of the product as a problem at this place.
    pub(super) fn error(&mut self, at: &Place, path: &str, error: &Error) {
        let cause = || std::error::Error::source(error).map(ToString::to_string);
        self.problem(at, path, error.message()).hint = error.hint().map(str::to_owned).or_else(cause);
    }

    fn leaf(&mut self, node: &Node, name: &str, takes: Takes, path: &str) -> Option<Leaf> {
        let text = match self.text(node, path) {
            Ok(Some(text)) => Some(text),
            Ok(None) => return None,
            Err(NotText) => None,
        };
        let leaf = match &text {
            Some(text) => leaf_of_text(text, takes),
            None => leaf_of_data(&node.data, takes),
        };
        if leaf.is_none() {
            self.unreadable(node, path, name, &words(takes), text.is_some_and(|text| text.written));
        }
        leaf
    }

    fn unreadable(&mut self, node: &Node, path: &str, name: &str, wanted: &str, written: bool) {
        let hint = match &node.data {
            Data::Text(text) if written && is_old_flag(text) && wanted.starts_with("`true`") => {
                Some("YAML 1.2 reads `on`, `off`, `yes` and `no` as text")
            }
            Data::Text(text) if written && text.parse::<f64>().is_ok() => Some("remove the quotes"),
            Data::Integer(_) | Data::Float(_) | Data::Flag(_) if wanted.starts_with("text") => {
                Some("put it in quotes")
            }
            Data::Text(_) if wanted == "a list of texts" => Some("write it as `[…]`"),
            _ => None,
        };
        let problem = self.problem(&node.at, path, format!("`{name}` must be {wanted}"));
        problem.hint = hint.map(str::to_owned);
    }

    pub(super) fn expected(&mut self, node: &Node, path: &str, name: &str, wanted: &str) {
        self.problem(&node.at, path, format!("`{name}` must be {wanted}, this is {}", node.kind()));
    }

    pub(super) fn unknown<'n>(
        &mut self,
        at: &Place,
        path: &str,
        name: &str,
        known: impl Iterator<Item = &'n str>,
    ) {
        let known: Vec<&str> = known.collect();
        let close = closest(name, known.iter().copied());
        let problem = self.problem(at, path, format!("unknown key `{name}`"));
        problem
            .did_you_mean(close, || (known.len() <= 8).then(|| format!("known here: {}", known.join(", "))));
    }

    /// The text of a value, resolved. `None` when it cannot be got: then that is told already, or is not asked for.
    pub(super) fn text(&mut self, node: &Node, path: &str) -> Result<Option<Text>, NotText> {
        let (reference, in_file, loose) = match &node.data {
            Data::Text(text) if text.is_empty() => (SecretRef::Inline(SecretString::from("")), true, false),
            Data::Text(text) => match SecretRef::parse(text) {
                Ok(reference) => (reference, true, false),
                Err(e) => {
                    self.error(&node.at, path, &e);
                    return Ok(None);
                }
            },
            Data::Given(text) => {
                let value = SecretString::from(text.as_str());
                let reference = match &node.at {
                    Place::Variable(name) => SecretRef::Env(name.to_string()),
                    _ => SecretRef::Inline(value.clone()),
                };
                return Ok(Some(Text { value, reference, written: false, loose: true }));
            }
            Data::Param { value, written } => (value.clone(), *written, true),
            _ => return Err(NotText),
        };
        let reference = beside(reference, &node.at);
        let literal = reference.is_inline();
        let value = match (&reference, self.resolver) {
            (SecretRef::Inline(value), _) => Ok(value.clone()),
            (_, None) => return Ok(None),
            (reference, Some(resolver)) => resolver.resolve(reference),
        };
        match value {
            Ok(value) => {
                Ok(Some(Text { value, reference, written: literal && in_file, loose: loose || !literal }))
            }
            Err(e) => {
                self.error(&node.at, path, &e);
                Ok(None)
            }
        }
    }

    /// One setting of a provider. `None` when it cannot be read: then that is told already, or is not asked for.
    pub(super) fn setting(
        &mut self,
        node: &Node,
        name: &str,
        kind: SettingKind,
        path: &str,
    ) -> Option<Value> {
        let value = match self.text(node, path) {
            Ok(None) => return None,
            Ok(Some(text)) if matches!(kind, SettingKind::Secret) => {
                return self.secret(node, name, text, path);
            }
            Ok(Some(text)) => setting_of_text(&text, kind),
            Err(NotText) => self.setting_of_data(node, kind, path)?,
        };
        if value.is_none() {
            self.unreadable(node, path, name, schema::expected(kind).trim_end_matches(','), true);
        }
        value
    }

    fn secret(&mut self, node: &Node, name: &str, text: Text, path: &str) -> Option<Value> {
        if text.value.expose().is_empty() {
            self.problem(&node.at, path, format!("`{name}` is empty"));
            return None;
        }
        if text.written && !self.development {
            let message = format!("the secret `{name}` stands in the configuration itself");
            self.problem(&node.at, path, message).hint(
                "write `${NAME}`, `${file:PATH}` or `${vault:PATH}`, or mark the environment with `development: true`",
            );
            return None;
        }
        Some(Value::Secret { secret: text.value, found: text.reference })
    }

    /// `None` when that is told already.
    #[expect(clippy::option_option, reason = "told already, not of this kind, or a value")]
    fn setting_of_data(&mut self, node: &Node, kind: SettingKind, path: &str) -> Option<Option<Value>> {
        Some(match (kind, &node.data) {
            (SettingKind::Integer, Data::Integer(number)) => Some(Value::Integer(*number)),
            (SettingKind::Flag, Data::Flag(flag)) => Some(Value::Flag(*flag)),
            (SettingKind::Duration, data) => seconds(data).map(Value::Duration),
            (SettingKind::List, Data::List(items)) => Some(Value::List(self.texts(items, path)?)),
            _ => None,
        })
    }

    fn texts(&mut self, items: &[Node], path: &str) -> Option<Vec<String>> {
        let mut texts = Vec::with_capacity(items.len());
        let mut whole = true;
        for item in items {
            match self.text(item, path) {
                Ok(Some(text)) => texts.push(text.value.expose().clone()),
                Ok(None) => whole = false,
                Err(NotText) => {
                    whole = false;
                    let message = format!("an item of the list must be text, this is {}", item.kind());
                    let is_scalar = !matches!(item.data, Data::Map(_) | Data::List(_));
                    self.problem(&item.at, path, message).hint =
                        is_scalar.then(|| "put it in quotes".to_owned());
                }
            }
        }
        whole.then_some(texts)
    }

    /// A list of texts that are no secrets.
    pub(super) fn list(&mut self, node: &Node, name: &str, path: &str) -> Vec<String> {
        match &node.data {
            Data::Null => Vec::new(),
            Data::List(items) => self.texts(items, path).unwrap_or_default(),
            _ => {
                self.expected(node, path, name, "a list");
                Vec::new()
            }
        }
    }
}

/// The value is no text at all.
pub(super) struct NotText;

impl Resolver<'_> {
    fn resolve(&self, reference: &SecretRef) -> Result<SecretString> {
        let lookup = |name: &str| self.vars.get(name).map(|value| value.expose().clone());
        match reference {
            SecretRef::Vault { path, key } => match self.store {
                Some(store) => store(path, key.as_deref()).and_then(not_empty),
                None => reference.resolve(&lookup),
            },
            SecretRef::Joined(pieces) => {
                let values = pieces.iter().map(|piece| self.resolve(piece)).collect::<Result<Vec<_>>>()?;
                Ok(crate::secret::join(&values))
            }
            SecretRef::File(_) | SecretRef::Env(_) | SecretRef::Inline(_) => reference.resolve(&lookup),
        }
    }
}

fn not_empty(secret: SecretString) -> Result<SecretString> {
    if secret.expose().is_empty() {
        Err(Error::config("the entry of the secret store is empty"))
    } else {
        Ok(secret)
    }
}

/// A relative path counts from the folder of the file that names it. Also when the reference is resolved again, later.
fn beside(reference: SecretRef, at: &Place) -> SecretRef {
    match at {
        Place::Text { file, .. } => match Path::new(&**file).parent() {
            Some(folder) => reference.beside(folder),
            None => reference,
        },
        _ => reference,
    }
}

fn leaf_of_data(data: &Data, takes: Takes) -> Option<Leaf> {
    match (takes, data) {
        (Takes::Flag | Takes::Switch(_), Data::Flag(flag)) => Some(Leaf::Flag(*flag)),
        (Takes::Whole(..), Data::Integer(number)) => leaf_whole(u64::try_from(*number).ok()?, takes),
        (Takes::Number(..) | Takes::Part, Data::Integer(number)) => leaf_number(*number as f64, takes),
        (Takes::Number(..) | Takes::Part, Data::Float(number)) => leaf_number(*number, takes),
        (Takes::Time | Takes::TimeOrZero, data) => leaf_time(seconds(data)?, takes),
        _ => None,
    }
}

fn leaf_of_text(text: &Text, takes: Takes) -> Option<Leaf> {
    let value = text.value.expose().as_str();
    match takes {
        Takes::Text => (!value.is_empty()).then(|| Leaf::Text(value.to_owned())),
        Takes::Percent => {
            let percent: f64 = value.strip_suffix('%')?.trim().parse().ok()?;
            (percent > 0.0 && percent <= 100.0).then_some(Leaf::Number(percent / 100.0))
        }
        Takes::Time | Takes::TimeOrZero => match Value::parse(SettingKind::Duration, value) {
            Ok(Value::Duration(time)) if text.loose || value.ends_with(|c: char| c.is_ascii_alphabetic()) => {
                leaf_time(time, takes)
            }
            _ => None,
        },
        _ if !text.loose => None,
        Takes::Flag | Takes::Switch(_) => match Value::parse(SettingKind::Flag, value) {
            Ok(Value::Flag(flag)) => Some(Leaf::Flag(flag)),
            _ => None,
        },
        Takes::Whole(..) => leaf_whole(value.parse().ok()?, takes),
        Takes::Number(..) | Takes::Part => leaf_number(value.parse().ok()?, takes),
        Takes::Texts | Takes::Section(_) | Takes::Named(_) | Takes::Other => None,
    }
}

fn leaf_whole(number: u64, takes: Takes) -> Option<Leaf> {
    matches!(takes, Takes::Whole(least, most) if (least..=most).contains(&number))
        .then_some(Leaf::Whole(number))
}

fn leaf_number(number: f64, takes: Takes) -> Option<Leaf> {
    let fits = match takes {
        Takes::Number(least, most) => (least..=most).contains(&number),
        _ => number > 0.0 && number < 1.0,
    };
    fits.then_some(Leaf::Number(number))
}

/// The longest time that a configuration can mean.
const LONGEST: Duration = Duration::from_hours(366 * 24);

fn leaf_time(time: Duration, takes: Takes) -> Option<Leaf> {
    let fits = time <= LONGEST && (matches!(takes, Takes::TimeOrZero) || !time.is_zero());
    fits.then_some(Leaf::Time(time))
}

fn seconds(data: &Data) -> Option<Duration> {
    match data {
        Data::Integer(number) => u64::try_from(*number).ok().map(Duration::from_secs),
        Data::Float(number) => Duration::try_from_secs_f64(*number).ok(),
        _ => None,
    }
}

fn setting_of_text(text: &Text, kind: SettingKind) -> Option<Value> {
    let value = text.value.expose().as_str();
    match kind {
        SettingKind::Text | SettingKind::Url if value.is_empty() => None,
        SettingKind::Integer | SettingKind::Flag | SettingKind::List if !text.loose => None,
        _ => Value::parse(kind, value).ok(),
    }
}

fn is_old_flag(text: &str) -> bool {
    ["on", "off", "yes", "no"].iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// What a key takes, in words for a message.
fn words(takes: Takes) -> String {
    match takes {
        Takes::Flag => "`true` or `false`".to_owned(),
        Takes::Whole(least, most) if most == u64::from(u32::MAX) => format!("a whole number from {least}"),
        Takes::Whole(least, most) if least == most => format!("{least}"),
        Takes::Whole(least, most) => format!("a whole number from {least} to {most}"),
        Takes::Number(least, most) => format!("a number from {least} to {most}"),
        Takes::Part => "a number above 0 and below 1".to_owned(),
        Takes::Time => "a time above 0: seconds, or text such as `500ms`, at most 366 days".to_owned(),
        Takes::TimeOrZero => "a time: seconds, or text such as `500ms`, at most 366 days".to_owned(),
        Takes::Percent => "text such as `99.9%`".to_owned(),
        Takes::Text => "text that is not empty".to_owned(),
        Takes::Texts => "a list of texts".to_owned(),
        Takes::Switch(_) => "a map, `true` or `false`".to_owned(),
        Takes::Section(_) | Takes::Named(_) | Takes::Other => "a map".to_owned(),
    }
}

/// `name` below `path`.
pub(super) fn join(path: &str, name: &str) -> String {
    match (path, name) {
        ("", name) => name.to_owned(),
        (path, "") => path.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

impl Values {
    fn set(&mut self, path: &str, leaf: Leaf, at: &Place) {
        self.0.insert(path.to_owned(), (leaf, at.clone()));
    }

    /// Where the value at `path` stands.
    pub(super) fn place(&self, path: &str) -> Option<&Place> {
        self.0.get(path).map(|(_, place)| place)
    }

    pub(super) fn flag(&self, path: &str) -> Option<bool> {
        self.get(path, |leaf| if let Leaf::Flag(flag) = leaf { Some(*flag) } else { None })
    }

    pub(super) fn whole(&self, path: &str) -> Option<u64> {
        self.get(path, |leaf| if let Leaf::Whole(number) = leaf { Some(*number) } else { None })
    }

    pub(super) fn number(&self, path: &str) -> Option<f64> {
        self.get(path, |leaf| if let Leaf::Number(number) = leaf { Some(*number) } else { None })
    }

    pub(super) fn time(&self, path: &str) -> Option<Duration> {
        self.get(path, |leaf| if let Leaf::Time(time) = leaf { Some(*time) } else { None })
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.get(path, |leaf| if let Leaf::Text(text) = leaf { Some(text.as_str()) } else { None })
    }

    pub(super) fn texts(&self, path: &str) -> Option<&[String]> {
        self.get(path, |leaf| if let Leaf::Texts(texts) = leaf { Some(texts.as_slice()) } else { None })
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The first of the values whose paths begin so.
    pub(super) fn first_below(&self, prefix: &str) -> Option<(&str, &Place)> {
        let (path, (_, place)) = self.0.iter().find(|(path, _)| path.starts_with(prefix))?;
        Some((path, place))
    }

    /// The names that stand in the paths right after `prefix`.
    pub(super) fn names_below(&self, prefix: &str) -> impl Iterator<Item = &str> {
        let names = self.0.keys().filter_map(move |path| path.strip_prefix(prefix));
        let mut last = "";
        names.filter_map(move |rest| {
            let name = rest.rsplit_once('.').map_or(rest, |(name, _)| name);
            let new = name != last;
            last = name;
            new.then_some(name)
        })
    }

    fn get<'v, T>(&'v self, path: &str, read: impl Fn(&'v Leaf) -> Option<T>) -> Option<T> {
        self.0.get(path).and_then(|(leaf, _)| read(leaf))
    }
}
