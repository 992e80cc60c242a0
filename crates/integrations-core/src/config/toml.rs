//! TOML 1.1 as a tree with places.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Found, Place};
use super::tree::{Data, Map, Node};
use super::yaml::{MAX_DEPTH, add_entry};

/// The tree, or `None` when the text cannot be read at all; the problems say why.
pub(super) fn read(file: &Arc<str>, text: &str, found: &mut Found) -> Option<Node> {
    let lines = Lines::new(file, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for e in &errors {
        let at = lines.place(e.span().map_or(0, |span| span.start));
        found.add(&at, "", format!("this is not TOML: {}", e.message()));
    }
    if !errors.is_empty() {
        return None;
    }
    let data = Data::Map(map(table.get_ref(), &lines, 0, found));
    Some(Node { at: lines.place(0), data })
}

fn map(table: &DeTable<'_>, lines: &Lines<'_>, depth: usize, found: &mut Found) -> Map {
    let mut map = Map::default();
    for (key, value) in table {
        let value = node(value, lines, depth + 1, found);
        add_entry(&mut map, key.get_ref().to_string(), lines.place(key.span().start), value, found);
    }
    map
}

fn node(value: &Spanned<DeValue<'_>>, lines: &Lines<'_>, depth: usize, found: &mut Found) -> Node {
    let at = lines.place(value.span().start);
    if depth > MAX_DEPTH {
        found.add(&at, "", format!("more than {MAX_DEPTH} maps and lists within each other"));
        return Node { at, data: Data::Null };
    }
    let data = match value.get_ref() {
        DeValue::String(text) => Data::Text(text.to_string()),
        DeValue::Boolean(flag) => Data::Flag(*flag),
        DeValue::Integer(number) => {
            let whole = i64::from_str_radix(number.as_str(), number.radix());
            // What does not fit is still a number, out of any range.
            whole.map_or(Data::Float(f64::MAX), Data::Integer)
        }
        DeValue::Float(number) => Data::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Datetime(_) => {
            found.add(&at, "", "a date is expected nowhere").hint("put it in quotes");
            Data::Null
        }
        DeValue::Array(items) => {
            Data::List(items.iter().map(|item| node(item, lines, depth + 1, found)).collect())
        }
        DeValue::Table(table) => Data::Map(map(table, lines, depth, found)),
    };
    Node { at, data }
}

/// Turns offsets in bytes into lines and columns.
struct Lines<'t> {
    file: &'t Arc<str>,
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn new(file: &'t Arc<str>, text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { file, text, starts }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts[line - 1];
        let before = self.text.get(start..offset.min(self.text.len())).unwrap_or_default();
        let column = before.chars().count() as u32 + 1;
        Place::Text { file: self.file.clone(), line: line as u32, column }
    }
}
