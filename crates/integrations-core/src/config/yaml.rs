//! YAML 1.2 as a tree with places.
//!
//! Read from the parser's events rather than through serde: so every key has its place too, reading goes on after a
//! problem, and aliases are counted before they are copied. What a configuration does not need is refused: tags, merge
//! keys (not part of YAML 1.2), keys that are no text, several documents.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::problem::{Found, Place};
use super::tree::{Data, Entry, Map, Node};

/// Maps and lists within each other.
pub(super) const MAX_DEPTH: usize = 32;
/// Values, with those that aliases repeat.
const MAX_VALUES: usize = 100_000;
/// Bytes of a key.
pub(super) const MAX_KEY: usize = 256;

/// The tree, or `None` when the text cannot be read at all; the problems say why.
pub(super) fn read(file: &Arc<str>, text: &str, found: &mut Found) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parser = Parser::new_from_str(text);
    let mut reader = Reader { parser, file, text, found, anchors: HashMap::new(), values: 0 };
    reader.document().ok()
}

/// Reading cannot go on; the problem is told already.
struct Stop;

struct Reader<'a, 'f> {
    parser: Parser<'a, StrInput<'a>>,
    file: &'f Arc<str>,
    text: &'a str,
    found: &'f mut Found,
    /// Finished values with an anchor, and how many values each has.
    anchors: HashMap<usize, (Node, usize)>,
    values: usize,
}

impl<'a> Reader<'a, '_> {
    fn document(&mut self) -> Result<Node, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if root.is_some() => {
                    let place = self.place(span.start);
                    self.found
                        .add(&place, "", "a second document begins here")
                        .hint("a configuration is one document: remove the `---`, or load two files");
                    return Err(Stop);
                }
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        let empty = Node { at: self.place(Marker::new(0, 1, 0)), data: Data::Map(Map::default()) };
        Ok(root.unwrap_or(empty))
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(e)) => {
                self.broken(&e);
                Err(Stop)
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Stop> {
        let at = self.place(span.start);
        if depth > MAX_DEPTH {
            self.found.add(&at, "", format!("more than {MAX_DEPTH} maps and lists within each other"));
            return Err(Stop);
        }
        self.count(1, &at)?;
        let before = self.values;
        let (anchor, tag, data) = match event {
            Event::Alias(id) => return self.alias(id, at),
            Event::Scalar(text, style, anchor, tag) => (anchor, tag, scalar(&text, style)),
            Event::SequenceStart(anchor, tag) => (anchor, tag, Data::List(self.list(depth)?)),
            Event::MappingStart(anchor, tag) => (anchor, tag, Data::Map(self.map(depth)?)),
            _ => (0, None, Data::Null),
        };
        if tag.is_some() {
            self.found.add(&at, "", "tags (`!…`) are not supported").hint("remove the tag");
        }
        let node = Node { at, data };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.values - before + 1));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Stop> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Map, Stop> {
        let mut map = Map::default();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                return Ok(map);
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if matches!(&key.data, Data::Text(name) if name == "<<") {
                self.merge_key(&key.at, &value, &mut map);
            } else if let Some(name) = self.key(&key) {
                add_entry(&mut map, name, key.at, value, self.found);
            }
        }
    }

    /// Told, and filled in all the same, so that nothing is told to be missing that was meant to come from there.
    fn merge_key(&mut self, at: &Place, value: &Node, map: &mut Map) {
        let problem = self.found.add(at, "", "merge keys (`<<`) are not part of YAML 1.2");
        problem.hint("repeat the entries, or put what is common into `instances`");
        if let Data::Map(common) = &value.data {
            for (name, entry) in common.iter() {
                map.0.entry(name.to_owned()).or_insert_with(|| entry.clone());
            }
        }
    }

    fn key(&mut self, key: &Node) -> Option<String> {
        match &key.data {
            Data::Text(name) => Some(name.clone()),
            _ => {
                let problem =
                    self.found.add(&key.at, "", format!("a key must be text, this is {}", key.kind()));
                problem.hint("put the key in quotes");
                None
            }
        }
    }

    fn alias(&mut self, id: usize, at: Place) -> Result<Node, Stop> {
        let Some(values) = self.anchors.get(&id).map(|(_, values)| *values) else {
            self.found.add(&at, "", "an alias within the value that it stands for");
            return Err(Stop);
        };
        self.count(values, &at)?;
        self.anchors.get(&id).map(|(node, _)| node.clone()).ok_or(Stop)
    }

    fn count(&mut self, values: usize, at: &Place) -> Result<(), Stop> {
        self.values = self.values.saturating_add(values);
        if self.values <= MAX_VALUES {
            return Ok(());
        }
        self.found.add(at, "", format!("more than {MAX_VALUES} values, with those that aliases repeat"));
        Err(Stop)
    }

    fn broken(&mut self, e: &ScanError) {
        let place = self.place(*e.marker());
        let line = self.text.lines().nth(e.marker().line().saturating_sub(1)).unwrap_or_default();
        let indent = &line[..line.len() - line.trim_start().len()];
        let problem = self.found.add(&place, "", format!("this is not YAML: {}", e.info()));
        if indent.contains('\t') {
            problem.hint("indent with spaces: YAML does not allow tabs there");
        } else if e.info().contains("quoted scalar") {
            problem.hint("a quote that was opened before has no end");
        }
    }

    fn place(&self, marker: Marker) -> Place {
        let (line, column) = (marker.line().max(1) as u32, marker.col() as u32 + 1);
        Place::Text { file: self.file.clone(), line, column }
    }
}

/// Adds an entry unless there is one of this name already.
pub(super) fn add_entry(map: &mut Map, name: String, at: Place, value: Node, found: &mut Found) {
    if name.len() > MAX_KEY {
        found.add(&at, "", format!("a key longer than {MAX_KEY} bytes"));
        return;
    }
    if let Some(first) = map.0.get(&name) {
        let message = format!("the key `{name}` stands here for the second time");
        found.add(&at, &name, message).hint(format!("the first one is at {}", first.at));
        return;
    }
    map.0.insert(name, Entry { at, value });
}

/// The core schema of YAML 1.2: `on`, `off`, `yes` and `no` are text.
/// <https://yaml.org/spec/1.2.2/#1032-tag-resolution>
fn scalar(text: &str, style: ScalarStyle) -> Data {
    if style != ScalarStyle::Plain {
        return Data::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Flag(true),
        "false" | "False" | "FALSE" => Data::Flag(false),
        _ => number(text).unwrap_or_else(|| Data::Text(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Data> {
    if let Some(digits) = text.strip_prefix("0o") {
        return unsigned(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return unsigned(digits, 16);
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !digits.bytes().any(|b| b.is_ascii_digit())
    {
        return None;
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        // What does not fit is still a number, so that nobody takes it for text.
        let whole = text.parse().map(Data::Integer).ok();
        return whole.or_else(|| text.parse().map(Data::Float).ok());
    }
    text.parse().ok().filter(|number: &f64| number.is_finite()).map(Data::Float)
}

fn unsigned(digits: &str, radix: u32) -> Option<Data> {
    let plain = digits.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then(|| i64::from_str_radix(digits, radix).ok().map(Data::Integer)).flatten()
}
