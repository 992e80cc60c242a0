//! What an answer is changed into.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use integrations_core::WireResponse;
use serde_json::{Value, json};

use crate::golden::{Golden, is_json};

/// A text that no type expects.
const NEW_TEXT: &str = "zz_new";

/// A text that no error may show.
const CANARY: &str = "zz_canary";

const LEAST: &str = "-9223372036854775808";
const MOST: &str = "18446744073709551615";

/// What no error may show.
pub(super) const CANARIES: [&str; 4] = [NEW_TEXT, CANARY, LEAST, MOST];

/// Deeper than any reader follows.
const DEPTH: usize = 200;

/// An answer that was changed in one place.
pub(super) struct Mutation {
    /// The path of the place, with `[]` for elements; empty for the whole answer.
    pub(super) at: String,
    /// What was done there.
    pub(super) what: String,
    pub(super) must: Must,
    pub(super) response: WireResponse,
    /// The changed document, if it is one; and the text of ours where a format stood.
    changed: Option<Changed>,
}

struct Changed {
    body: Value,
    /// The place of a text with a format, which takes no text of ours otherwise.
    format: Option<Vec<Step>>,
}

impl Mutation {
    /// The same with a text of ours in each place that takes any.
    pub(super) fn with_canaries(&self, golden: &Golden) -> Option<WireResponse> {
        let Changed { body, format } = self.changed.as_ref()?;
        let mut canaries = with_canaries(body, "", golden.formats());
        if let Some(place) = format.as_ref().and_then(|steps| find(&mut canaries, steps)) {
            *place = CANARY.into();
        }
        Some(with_body(&self.response, canaries.to_string()))
    }
}

/// What a client must do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Must {
    BeRead,
    /// Unless the golden file lists the place.
    BeReadUnless(List),
    /// It is read, or it is a decode error.
    NotPanic,
}

/// A list of places in a golden file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    Needs,
    Formats,
}

impl List {
    pub(super) const ALL: [Self; 2] = [Self::Needs, Self::Formats];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Needs => "needs",
            Self::Formats => "formats",
        }
    }

    pub(super) fn of(self, golden: &Golden) -> &[String] {
        match self {
            Self::Needs => golden.needs(),
            Self::Formats => golden.formats(),
        }
    }
}

/// The answer itself, which must be read before any other is.
pub(super) fn none(response: &WireResponse) -> Mutation {
    let what = "as it was recorded".to_owned();
    Mutation { at: String::new(), what, must: Must::BeRead, response: response.clone(), changed: None }
}

/// The answer with the first element of each list and one more of each shape: what is small is changed fast.
pub(super) fn shortened(response: &WireResponse) -> Option<WireResponse> {
    let body: Value = serde_json::from_slice(&response.body).ok().filter(|_| is_json(&response.headers))?;
    Some(with_body(response, short(body).to_string()))
}

fn short(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, short(value))).collect(),
        Value::Array(items) => {
            let mut shapes = BTreeSet::new();
            let is_new = |(index, item): &(usize, Value)| {
                let mut hasher = DefaultHasher::new();
                shape(item, &mut hasher);
                *index == 0 || shapes.insert(hasher.finish())
            };
            items.into_iter().map(short).enumerate().filter(is_new).map(|(_, item)| item).collect()
        }
        value => value,
    }
}

/// How often an object of the same fields throughout was met among the golden files before, field by field. What two
/// have borne, and damage that one has borne, is not tried on a third: a catalogue has the same artist in a hundred places.
#[derive(Default)]
pub(super) struct Met(BTreeMap<u64, u8>);

impl Met {
    const ENOUGH: u8 = 2;

    /// How often a place like this was met in the golden files before.
    fn times(&self, place: &Place) -> u8 {
        self.0.get(&place.kin).copied().unwrap_or_default()
    }

    fn add(&mut self, places: &[Place]) {
        let kins: BTreeSet<u64> = places.iter().map(|place| place.kin).collect();
        for kin in kins {
            let times = self.0.entry(kin).or_default();
            *times = times.saturating_add(1);
        }
    }
}

/// Every mutation of an answer.
pub(super) fn each(golden: &Golden, response: &WireResponse, met: &mut Met, mut judge: impl FnMut(Mutation)) {
    let whole = |what: &str, must, response| Mutation {
        at: String::new(),
        what: what.to_owned(),
        must,
        response,
        changed: None,
    };
    for (what, changed) in pages(response) {
        judge(whole(&what, Must::NotPanic, changed));
    }
    let body = if is_json(&response.headers) { serde_json::from_slice(&response.body).ok() } else { None };
    let Some(body): Option<Value> = body else { return };
    for (what, changed) in wholes(response, &with_canaries(&body, "", golden.formats())) {
        judge(whole(&what, Must::NotPanic, changed));
    }
    let mut places = Vec::new();
    collect(&body, &Place::default(), &mut places);
    let (mut alike, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for place in &places {
        // Where elements of a list look alike, the first and one more speak for all.
        if !alike.insert((&place.at, place.likeness)) {
            continue;
        }
        let is_listed = List::ALL.iter().any(|list| list.of(golden).contains(&place.at));
        if met.times(place) >= Met::ENOUGH && !is_listed {
            continue;
        }
        // What only must not panic does so in one element of a list as in all.
        let is_first = seen.insert(&place.at) && met.times(place) == 0;
        for (what, must, change) in changes(place, is_first) {
            let Some(changed) = place.changed(&body, &change) else { continue };
            let format = (must == Must::BeReadUnless(List::Formats)).then(|| place.steps.clone());
            judge(Mutation {
                at: place.at.clone(),
                what,
                must,
                response: with_body(response, changed.to_string()),
                changed: Some(Changed { body: changed, format }),
            });
        }
    }
    met.add(&places);
}

/// What proxies and broken services answer instead.
fn pages(response: &WireResponse) -> Vec<(String, WireResponse)> {
    let page = format!("<!doctype html><html><body>{CANARY}</body></html>");
    let html = with_type(response, "text/html");
    let texts =
        ["", "null", "[]", "{}", "0", "true", "\"zz_canary\"", "[\"zz_canary\"]", "{\"zz_canary\":[]}"];
    let mut pages: Vec<_> = texts
        .into_iter()
        .map(|text| (format!("replaced by `{text}`"), with_body(response, text.to_owned())))
        .collect();
    pages.push(("replaced by a page".to_owned(), with_body(&html, page.clone())));
    pages.push(("replaced by a page of the old type".to_owned(), with_body(response, page)));
    pages.push(("replaced by bytes".to_owned(), with_body(response, vec![0xff, 0xfe, 0x00, 0xc3, 0x28])));
    pages
}

/// The same document, damaged or under another name.
fn wholes(response: &WireResponse, body: &Value) -> Vec<(String, WireResponse)> {
    let text = body.to_string().into_bytes();
    let cuts = [1, text.len() / 4, text.len() / 2, text.len() * 3 / 4, text.len().saturating_sub(1)];
    let cut = |at: usize| (format!("cut off after {at} bytes"), with_body(response, text[..at].to_vec()));
    let mut wholes: Vec<_> = cuts.into_iter().map(cut).collect();
    let same = with_body(response, text.clone());
    wholes.push(("as text/plain".to_owned(), with_type(&same, "text/plain")));
    wholes.push(("as text/html".to_owned(), with_type(&same, "text/html; charset=utf-8")));
    let mut untyped = same;
    untyped.headers.remove(CONTENT_TYPE);
    wholes.push(("without a content type".to_owned(), untyped));
    wholes.push(("in a list".to_owned(), with_body(response, json!([body]).to_string())));
    wholes.push(("in an object".to_owned(), with_body(response, json!({"data": body}).to_string())));
    wholes
}

fn with_body(response: &WireResponse, body: impl Into<Vec<u8>>) -> WireResponse {
    WireResponse::new(response.op, response.status, response.headers.clone(), body.into())
}

fn with_type(response: &WireResponse, kind: &'static str) -> WireResponse {
    let mut response = response.clone();
    response.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// One step into a document.
#[derive(Debug, Clone)]
enum Step {
    Field(String),
    Element(usize),
}

#[derive(Debug, Clone, Default)]
struct Place {
    steps: Vec<Step>,
    at: String,
    kind: Kind,
    /// The same for places in elements that have the same fields throughout, but for the first of a list.
    likeness: u64,
    /// The same for fields of one name and shape in objects that have the same fields throughout.
    kin: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    Object,
    Array,
    Text,
    Number,
    #[default]
    Other,
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Object(_) => Kind::Object,
        Value::Array(_) => Kind::Array,
        Value::String(_) => Kind::Text,
        Value::Number(_) => Kind::Number,
        Value::Null | Value::Bool(_) => Kind::Other,
    }
}

/// The places in a value that stands at `place`, itself among them.
fn collect(value: &Value, place: &Place, places: &mut Vec<Place>) {
    places.push(Place { kind: kind(value), ..place.clone() });
    let mut own = DefaultHasher::new();
    shape(value, &mut own);
    for (step, at, child) in children(value, &place.at) {
        let mut kin = own.clone();
        if let Step::Field(name) = &step {
            name.hash(&mut kin);
        }
        let likeness = match step {
            Step::Field(_) => place.likeness,
            Step::Element(index) => {
                let mut hasher = DefaultHasher::new();
                (place.likeness, index == 0).hash(&mut hasher);
                shape(child, &mut hasher);
                hasher.finish()
            }
        };
        let mut steps = place.steps.clone();
        steps.push(step);
        collect(child, &Place { steps, at, kind: Kind::Other, likeness, kin: kin.finish() }, places);
    }
}

/// Names and kinds, and what tells variants of elements apart: the text in `type`.
fn shape(value: &Value, hasher: &mut DefaultHasher) {
    (kind(value) as u8).hash(hasher);
    for (step, _, child) in children(value, "") {
        if let Step::Field(name) = step {
            name.hash(hasher);
            child.as_str().filter(|_| name == "type").hash(hasher);
        }
        shape(child, hasher);
    }
}

fn children<'v>(value: &'v Value, at: &str) -> Vec<(Step, String, &'v Value)> {
    match value {
        Value::Object(fields) => {
            let child =
                |(name, child): (&String, &'v Value)| (Step::Field(name.clone()), field(at, name), child);
            fields.iter().map(child).collect()
        }
        Value::Array(items) => {
            let at = format!("{at}[]");
            items.iter().enumerate().map(|(index, item)| (Step::Element(index), at.clone(), item)).collect()
        }
        _ => Vec::new(),
    }
}

fn field(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

enum Change {
    Set(Value),
    Drop,
    Add(&'static str, Value),
    Insert(Value),
}

impl Place {
    /// The document with this place changed; `None` where the change does not fit.
    fn changed(&self, body: &Value, change: &Change) -> Option<Value> {
        let mut body = body.clone();
        if let Change::Drop = change {
            let Some((Step::Field(name), parents)) = self.steps.split_last() else { return None };
            find(&mut body, parents)?.as_object_mut()?.remove(name)?;
            return Some(body);
        }
        let place = find(&mut body, &self.steps)?;
        match change {
            Change::Set(value) => *place = value.clone(),
            Change::Add(name, value) => {
                place.as_object_mut()?.insert((*name).to_owned(), value.clone());
            }
            Change::Insert(value) => place.as_array_mut()?.insert(0, value.clone()),
            Change::Drop => {}
        }
        Some(body)
    }

    fn is_field(&self) -> bool {
        matches!(self.steps.last(), Some(Step::Field(_)))
    }
}

fn find<'v>(value: &'v mut Value, steps: &[Step]) -> Option<&'v mut Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get_mut(name),
        Step::Element(index) => value.get_mut(*index),
    })
}

fn changes(place: &Place, is_first: bool) -> Vec<(String, Must, Change)> {
    let mut changes = additive(place);
    if is_first && !place.steps.is_empty() {
        let damage =
            |(what, value): (&str, Value)| (format!("set to {what}"), Must::NotPanic, Change::Set(value));
        changes.extend(damages(place.kind).into_iter().map(damage));
    }
    changes
}

/// What services do without announcing it.
fn additive(place: &Place) -> Vec<(String, Must, Change)> {
    let needs = Must::BeReadUnless(List::Needs);
    let mut changes = Vec::new();
    if place.is_field() {
        changes.push(("left out".to_owned(), needs, Change::Drop));
        changes.push(("set to null".to_owned(), needs, Change::Set(Value::Null)));
    }
    match place.kind {
        Kind::Object => {
            let new = json!({"zz_new": ["zz_new", null, 1]});
            changes.push(("given a new field".to_owned(), Must::BeRead, Change::Add("zz_new", new)));
        }
        Kind::Array => {
            changes.push(("given a null".to_owned(), Must::BeRead, Change::Insert(Value::Null)));
        }
        Kind::Text => {
            let what = format!("set to \"{NEW_TEXT}\"");
            changes.push((what, Must::BeReadUnless(List::Formats), Change::Set(NEW_TEXT.into())));
        }
        Kind::Number | Kind::Other => {}
    }
    changes
}

/// What is no promise broken, but a service broken.
fn damages(kind: Kind) -> Vec<(&'static str, Value)> {
    let deep = (0..DEPTH).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    let mut damages = vec![
        ("true", json!(true)),
        ("{}", json!({})),
        ("[]", json!([])),
        ("[{}]", json!([{}])),
        ("many lists in each other", deep),
    ];
    match kind {
        Kind::Number => damages.extend([
            ("the least number", json!(i64::MIN)),
            ("the greatest number", json!(u64::MAX)),
            ("-1", json!(-1)),
            ("a fraction", json!(0.5)),
            ("a huge fraction", json!(1e308)),
            ("a text", json!(CANARY)),
            ("a long number as text", json!(MOST)),
        ]),
        _ => damages.extend([
            ("0", json!(0)),
            ("the least number", json!(i64::MIN)),
            ("an empty text", json!("")),
            ("a long text", json!(CANARY.repeat(1000))),
            ("a text of other scripts", json!("\u{202e}\u{0}é𝄞")),
        ]),
    }
    damages
}

/// The document with a text of ours in each place that takes any.
fn with_canaries(value: &Value, at: &str, formats: &[String]) -> Value {
    match value {
        Value::String(_) if !formats.iter().any(|format| format == at) => CANARY.into(),
        Value::Object(fields) => {
            let canaries = |(name, value): (&String, &Value)| {
                (name.clone(), with_canaries(value, &field(at, name), formats))
            };
            fields.iter().map(canaries).collect()
        }
        Value::Array(items) => {
            let at = format!("{at}[]");
            items.iter().map(|item| with_canaries(item, &at, formats)).collect()
        }
        value => value.clone(),
    }
}
