//! Where in a request a value stands, and reading it from there. A value that stands there twice is refused: which of
//! the two the vendor signed and which one a reader takes need not be the same.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Incoming, WebhookError, encoding};

/// Where in a request a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// A header, by its name in lower case.
    Header(&'static str),
    /// A parameter of the query.
    Query(&'static str),
    /// A field of a form body.
    Form(&'static str),
    /// A place in a JSON body (RFC 6901). Strings are taken without quotes, numbers and booleans as text.
    Json(&'static str),
    /// An item of the list that holds the signature: `t` in `t=1,v1=ab`.
    Item(&'static str),
}

impl Place {
    /// The name, for errors.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Header(name)
            | Self::Query(name)
            | Self::Form(name)
            | Self::Json(name)
            | Self::Item(name) => name,
        }
    }
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A request whose body, query and JSON are parsed when first asked for.
pub(super) struct View<'a> {
    pub(super) request: Incoming<'a>,
    json: OnceCell<Option<Value>>,
    form: OnceCell<Pairs>,
    query: OnceCell<Pairs>,
}

impl<'a> View<'a> {
    pub(super) fn new(request: &Incoming<'a>) -> Self {
        Self { request: *request, json: OnceCell::new(), form: OnceCell::new(), query: OnceCell::new() }
    }

    /// The value at a place, as text.
    pub(super) fn text(&self, place: Place) -> Result<Cow<'a, str>, WebhookError> {
        self.optional(place)?.ok_or(WebhookError::MissingHeader(place.name()))
    }

    /// The same, `None` when there is nothing at the place.
    pub(super) fn optional(&self, place: Place) -> Result<Option<Cow<'a, str>>, WebhookError> {
        let malformed = WebhookError::Malformed(place.name());
        match place {
            Place::Header(name) => header(&self.request, name).map(|value| value.map(Cow::Borrowed)),
            Place::Json(pointer) => self.json_text(pointer).map(|text| text.map(Cow::Owned)),
            Place::Query(_) | Place::Form(_) => match self.bytes(place)? {
                None => Ok(None),
                Some(bytes) => {
                    String::from_utf8(bytes).map(|text| Some(Cow::Owned(text))).map_err(|_| malformed)
                }
            },
            Place::Item(_) => Err(malformed),
        }
    }

    /// The value of a query parameter or a form field, decoded.
    pub(super) fn bytes(&self, place: Place) -> Result<Option<Vec<u8>>, WebhookError> {
        let (pairs, name) = match place {
            Place::Form(name) => (self.form(), name),
            Place::Query(name) => (self.query(), name),
            other => return Err(WebhookError::Malformed(other.name())),
        };
        let mut found = pairs.iter().filter(|(key, _)| key == name.as_bytes());
        let value = found.next().map(|(_, value)| value.clone());
        if found.next().is_some() { Err(WebhookError::Malformed(name)) } else { Ok(value) }
    }

    pub(super) fn form(&self) -> &Pairs {
        self.form.get_or_init(|| encoding::form_pairs(self.request.body))
    }

    pub(super) fn query(&self) -> &Pairs {
        let text = self.request.uri.query().unwrap_or_default();
        self.query.get_or_init(|| encoding::form_pairs(text.as_bytes()))
    }

    /// The texts that a pointer leads to; a `*` in it stands for every element of an array.
    pub(super) fn json_texts(&self, pointer: &'static str) -> Result<Vec<Option<String>>, WebhookError> {
        let root = self.json.get_or_init(|| strict_json(self.request.body));
        let root = root.as_ref().ok_or(WebhookError::Malformed("the JSON body"))?;
        let mut level = vec![root];
        let mut is_batch = false;
        for step in pointer.split('/').skip(1) {
            is_batch |= step == "*";
            level = level.into_iter().flat_map(|value| children(value, step, is_batch)).collect();
        }
        level.into_iter().map(|value| scalar(value).ok_or(WebhookError::Malformed(pointer))).collect()
    }

    /// A field of the JSON body's top level, by its plain name.
    pub(super) fn json_field(&self, name: &'static str) -> Result<Option<String>, WebhookError> {
        let root = self.json.get_or_init(|| strict_json(self.request.body));
        match root.as_ref().and_then(|root| root.get(name)).map(scalar) {
            None => Ok(None),
            Some(value) => value.ok_or(WebhookError::Malformed(name)),
        }
    }

    pub(super) fn json_text(&self, pointer: &'static str) -> Result<Option<String>, WebhookError> {
        let mut found = self.json_texts(pointer)?;
        if found.len() > 1 { Err(WebhookError::Malformed(pointer)) } else { Ok(found.pop().flatten()) }
    }
}

/// JSON in which no object names a field twice: readers differ in which of the two they take.
fn strict_json(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok().map(|Strict(value)| value)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(value))) = fields.next_entry::<String, _>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a field stands there twice"));
            }
        }
        Ok(object.into())
    }
}

/// Below a `*`, an element without the field counts as one with a null: none of a batch may be passed over.
fn children<'v>(value: &'v Value, step: &str, is_batch: bool) -> Vec<&'v Value> {
    let absent = || is_batch.then_some(&Value::Null);
    match value {
        Value::Array(items) if step == "*" => items.iter().collect(),
        Value::Array(items) => {
            step.parse().ok().and_then(|index: usize| items.get(index)).into_iter().collect()
        }
        Value::Object(fields) => {
            fields.get(&step.replace("~1", "/").replace("~0", "~")).or_else(absent).into_iter().collect()
        }
        _ => absent().into_iter().collect(),
    }
}

/// `Some(None)` is a null; `None` is something that has no text.
#[allow(clippy::option_option, reason = "null, text and neither are three things")]
fn scalar(value: &Value) -> Option<Option<String>> {
    match value {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(text.clone())),
        Value::Number(number) => Some(Some(number.to_string())),
        Value::Bool(flag) => Some(Some(flag.to_string())),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// A header that stands there at most once.
pub(super) fn header<'a>(
    request: &Incoming<'a>,
    name: &'static str,
) -> Result<Option<&'a str>, WebhookError> {
    let mut values = request.headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text)),
        _ => Err(WebhookError::Malformed(name)),
    }
}

/// Whether a host is the one of a pattern, in which one `*` stands for letters, digits and hyphens.
#[cfg(any(feature = "webhook-jwt", feature = "webhook-x509"))]
pub(super) fn host_matches(pattern: &str, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let Some((before, after)) = pattern.split_once('*') else { return pattern == host };
    host.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).is_some_and(|label| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}
