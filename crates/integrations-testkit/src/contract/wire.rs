//! Parameters and forms: text with names, brought into the shape that a schema describes.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::schema::{ANYTHING, Checker};

/// Brackets behind one name.
const MAX_BRACKETS: usize = 32;

/// One pair of a query or form.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) value: String,
    /// Before decoding: delimiters are told apart there.
    pub(super) raw: String,
}

/// The pairs of a query or of a form body.
pub(super) fn pairs(text: &str) -> Vec<Pair> {
    text.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

fn pair(text: &str) -> Pair {
    let (name, raw) = text.split_once('=').unwrap_or((text, ""));
    Pair { name: decode(name), value: decode(raw), raw: raw.to_owned() }
}

pub(super) fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Texts under a name, and what stands in brackets behind it.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) texts: Vec<String>,
    pub(super) fields: Vec<(String, Node)>,
}

impl Node {
    pub(super) fn of(texts: Vec<String>) -> Self {
        Self { texts, fields: Vec::new() }
    }

    /// Adds `a[b][]` = text as the text under the path `a`, `b`, ``.
    pub(super) fn add(&mut self, path: &[&str], text: String) {
        let Some((first, rest)) = path.split_first() else {
            self.texts.push(text);
            return;
        };
        let at = self.fields.iter().position(|(name, _)| name == first).unwrap_or_else(|| {
            self.fields.push(((*first).to_owned(), Self::default()));
            self.fields.len() - 1
        });
        self.fields[at].1.add(rest, text);
    }
}

/// `a[b][]` as `a`, `b`, ``; a name without well-formed brackets is one part.
pub(super) fn brackets(name: &str) -> Vec<&str> {
    let Some((first, rest)) = name.split_once('[') else { return vec![name] };
    let Some(rest) = rest.strip_suffix(']') else { return vec![name] };
    let inner: Vec<&str> = rest.split("][").collect();
    if first.is_empty() || inner.len() > MAX_BRACKETS || inner.iter().any(|part| part.contains(['[', ']'])) {
        return vec![name];
    }
    [vec![first], inner].concat()
}

impl<'d> Checker<'d> {
    /// The node as the value that it most likely stands for.
    pub(super) fn value(&mut self, schema: &'d Value, node: &Node, json_text: bool) -> Value {
        if node.fields.is_empty() {
            return self.of_texts(schema, &node.texts, json_text);
        }
        let is_list = node.fields.iter().all(|(name, _)| name.bytes().all(|b| b.is_ascii_digit()));
        if is_list && (self.admits(schema, "array") || !self.admits(schema, "object")) {
            let schema = self.items(schema);
            let lists = node.fields.iter().flat_map(|(name, item)| match name.as_str() {
                "" if item.fields.is_empty() => {
                    item.texts.iter().map(|text| Node::of(vec![text.clone()])).map(Item::Own).collect()
                }
                _ => vec![Item::Of(item)],
            });
            let items: Vec<Item<'_>> = lists.collect();
            return items.iter().map(|item| self.value(schema, item.node(), json_text)).collect();
        }
        let mut map = Map::new();
        for (name, field) in &node.fields {
            let schemas = self.property(schema, name);
            map.insert(name.clone(), self.best(&schemas, field, json_text));
        }
        Value::Object(map)
    }

    /// The value under that of the schemas which it fits best.
    fn best(&mut self, schemas: &[&'d Value], node: &Node, json_text: bool) -> Value {
        let mut best: Option<(usize, Value)> = None;
        for schema in schemas {
            let value = self.value(schema, node, json_text);
            let wrong = self.check(schema, &value, "").len();
            if best.as_ref().is_none_or(|(least, _)| wrong < *least) {
                best = Some((wrong, value));
            }
        }
        best.map_or_else(|| self.value(&ANYTHING, node, json_text), |(_, value)| value)
    }

    fn of_texts(&mut self, schema: &'d Value, texts: &[String], json_text: bool) -> Value {
        if let [text] = texts {
            return self.of_text(schema, text, json_text);
        }
        let items = self.items(schema);
        texts.iter().map(|text| self.of_text(items, text, json_text)).collect()
    }

    /// Text is a number, a flag or JSON where the schema fits that better.
    fn of_text(&mut self, schema: &'d Value, text: &str, json_text: bool) -> Value {
        let read = |text: &str| serde_json::from_str::<Value>(text).ok();
        let is_simple = |value: &Value| value.is_number() || value.is_boolean();
        let mut candidates = vec![Value::from(text)];
        candidates.extend(read(text).filter(|value| is_simple(value) || (json_text && !value.is_string())));
        if self.admits(schema, "array") {
            let items = self.items(schema);
            candidates.push(Value::Array(vec![self.of_text(items, text, json_text)]));
        }
        let mut best: Option<((bool, usize), Value)> = None;
        for value in candidates {
            let found = self.check(schema, &value, "");
            let is_other = found.iter().any(|violation| {
                violation.at.is_empty()
                    && matches!(violation.rule, super::Rule::Type | super::Rule::Alternatives)
            });
            let wrong = (is_other, found.len());
            if best.as_ref().is_none_or(|(least, _)| wrong < *least) {
                best = Some((wrong, value));
            }
        }
        best.map_or(Value::Null, |(_, value)| value)
    }
}

enum Item<'n> {
    Own(Node),
    Of(&'n Node),
}

impl Item<'_> {
    fn node(&self) -> &Node {
        match self {
            Self::Own(node) => node,
            Self::Of(node) => node,
        }
    }
}

/// One part of a multipart body.
pub(super) struct FormPart {
    pub(super) name: String,
    pub(super) is_file: bool,
    pub(super) text: String,
}

/// The parts of `multipart/form-data`: <https://www.rfc-editor.org/rfc/rfc7578>
pub(super) fn multipart(content_type: &str, body: &[u8]) -> Option<Vec<FormPart>> {
    let boundary = content_type.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    let marker = format!("--{}", boundary.trim_matches('"'));
    let text = String::from_utf8_lossy(body);
    let mut parts = text.split(marker.as_str()).skip(1);
    let mut found = Vec::new();
    loop {
        let part = parts.next()?;
        if part.starts_with("--") {
            return Some(found);
        }
        let (head, body) = part.split_once("\r\n\r\n")?;
        let name = quoted(head, "name")?;
        let is_file = quoted(head, "filename").is_some();
        found.push(FormPart { name, is_file, text: body.strip_suffix("\r\n")?.to_owned() });
    }
}

/// A parameter of `Content-Disposition`.
fn quoted(head: &str, name: &str) -> Option<String> {
    let marker = format!(" {name}=\"");
    let (_, rest) = head.split_once(&marker)?;
    Some(rest.split('"').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_apart_at_well_formed_brackets_only() {
        assert_eq!(brackets("a[b][]"), ["a", "b", ""]);
        assert_eq!(brackets("a"), ["a"]);
        for odd in ["a[b", "[b]", "a[b]c", "a[b]c[d]"] {
            assert_eq!(brackets(odd), [odd]);
        }
    }

    #[test]
    fn a_multipart_body_without_its_end_is_none() {
        let whole = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n";
        let parts = multipart("multipart/form-data; boundary=x", whole.as_bytes()).unwrap();
        assert_eq!((parts[0].name.as_str(), parts[0].text.as_str(), parts[0].is_file), ("a", "1", false));
        assert!(multipart("multipart/form-data; boundary=x", &whole.as_bytes()[..50]).is_none());
        assert!(multipart("multipart/form-data", whole.as_bytes()).is_none());
    }
}
