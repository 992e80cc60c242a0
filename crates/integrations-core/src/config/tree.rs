//! A configuration as a tree of values, each with the place where it stands.

use std::collections::BTreeMap;

use super::problem::Place;
use crate::secret::SecretRef;

/// One value and where it stands. Has no `Debug`: a text may be a secret.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) data: Data,
}

#[derive(Clone)]
pub(super) enum Data {
    Null,
    Flag(bool),
    Integer(i64),
    Float(f64),
    /// Text of a file; it may hold references.
    Text(String),
    /// Text of a variable or of code, taken as it is, to be read as whatever is expected.
    Given(String),
    /// A parameter of a DSN, to be read as whatever is expected.
    Param {
        value: SecretRef,
        /// Whether the DSN stands in a file, so that what is literal in it stands there for all to read.
        written: bool,
    },
    List(Vec<Node>),
    Map(Map),
}

/// The entries of a map by key.
#[derive(Clone, Default)]
pub(super) struct Map(pub(super) BTreeMap<String, Entry>);

#[derive(Clone)]
pub(super) struct Entry {
    /// Where the key stands.
    pub(super) at: Place,
    pub(super) value: Node,
}

impl Map {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.0.get(key).map(|entry| &entry.value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn insert(&mut self, key: impl Into<String>, value: Node) {
        self.0.insert(key.into(), Entry { at: value.at.clone(), value });
    }

    /// Lays `upper` over this map: maps entry by entry, everything else as a whole; `null` unsets.
    pub(super) fn overlay(&mut self, upper: &Self) {
        for (key, entry) in &upper.0 {
            match (self.0.get_mut(key), &entry.value.data) {
                (Some(Entry { value: Node { data: Data::Map(lower), .. }, .. }), Data::Map(upper)) => {
                    lower.overlay(upper);
                }
                _ => {
                    self.0.insert(key.clone(), entry.clone());
                }
            }
        }
    }

    /// Puts `value` at `path`, making the maps on the way.
    pub(super) fn put(&mut self, path: &[String], value: Node) {
        let Some((first, rest)) = path.split_first() else { return };
        if rest.is_empty() {
            self.insert(first.as_str(), value);
            return;
        }
        let at = value.at.clone();
        let entry = self.0.entry(first.clone()).or_insert_with(|| Entry {
            at: at.clone(),
            value: Node { at: at.clone(), data: Data::Map(Self::default()) },
        });
        if !matches!(entry.value.data, Data::Map(_)) {
            entry.value = Node { at, data: Data::Map(Self::default()) };
        }
        if let Data::Map(inner) = &mut entry.value.data {
            inner.put(rest, value);
        }
    }
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        matches!(self.data, Data::Null)
    }

    /// What the value is, in words for a message.
    pub(super) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Flag(_) => "true or false",
            Data::Integer(_) => "a whole number",
            Data::Float(_) => "a number",
            Data::Text(_) | Data::Given(_) | Data::Param { .. } => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        }
    }
}
