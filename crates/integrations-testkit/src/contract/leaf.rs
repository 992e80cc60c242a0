//! What one schema says of a value by itself: type, listed values, format, pattern, limits.
//!
//! The words that lead to other schemas are followed by hand: so only what a value needs is compiled, circles cost
//! nothing, and the names of all branches can be collected.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::violation::{Rule, Violation, shown};

/// Words that are taken over as they are.
const WORDS: &[&str] = &[
    "enum",
    "const",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

const TYPES: &[&str] = &["string", "integer", "number", "boolean", "array", "object", "null"];

/// Limits of whole numbers that only the format names.
const RANGES: &[(&str, f64, f64)] = &[
    ("int32", -2_147_483_648.0, 2_147_483_647.0),
    ("uint32", 0.0, 4_294_967_295.0),
    ("int64", -9_223_372_036_854_775_808.0, 9_223_372_036_854_775_807.0),
    ("uint64", 0.0, 18_446_744_073_709_551_615.0),
];

/// How strictly values are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Request,
    LenientResponse,
    StrictResponse,
}

/// The compiled words of one schema.
pub(super) struct Leaf {
    strict: Option<Validator>,
    /// Without listed values, since a service adds new ones; and with addresses that are relative.
    lenient: Option<Validator>,
    /// What could not be compiled.
    pub(super) unusable: Vec<&'static str>,
}

impl Leaf {
    pub(super) fn new(schema: &Value) -> Self {
        let mut unusable = Vec::new();
        let words = words(schema, &mut unusable);
        let mut lenient = words.clone();
        for word in ["enum", "const", "minProperties"] {
            lenient.remove(word);
        }
        if lenient.get("format") == Some(&json!("uri")) {
            lenient.insert("format".to_owned(), json!("uri-reference"));
        }
        Self { strict: compile(words, &mut unusable), lenient: compile(lenient, &mut Vec::new()), unusable }
    }

    /// What is wrong with the value by these words alone.
    pub(super) fn violations(&self, value: &Value, at: &str, mode: Mode) -> Vec<Violation> {
        let validator = if mode == Mode::LenientResponse { &self.lenient } else { &self.strict };
        let Some(validator) = validator else { return Vec::new() };
        let mut found: Vec<Violation> =
            validator.iter_errors(value).map(|error| violation(&error, value, at)).collect();
        // Of a value of another type the rest says nothing new.
        if let Some(at) = found.iter().position(|violation| violation.rule == Rule::Type) {
            found = vec![found.swap_remove(at)];
        }
        found
    }
}

fn compile(mut words: Map<String, Value>, unusable: &mut Vec<&'static str>) -> Option<Validator> {
    if words.is_empty() {
        return None;
    }
    if let Ok(validator) = validator(&words) {
        return Some(validator);
    }
    for &word in WORDS {
        let alone = words.get(word).map(|value| Map::from_iter([(word.to_owned(), value.clone())]));
        if alone.is_some_and(|alone| validator(&alone).is_err()) {
            words.remove(word);
            unusable.push(word);
        }
    }
    validator(&words).ok()
}

fn validator(words: &Map<String, Value>) -> Result<Validator, ValidationError<'static>> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .with_format("int32", |text: &str| text.parse::<i32>().is_ok())
        .with_format("int64", |text: &str| text.parse::<i64>().is_ok())
        .with_format("uint32", |text: &str| text.parse::<u32>().is_ok())
        .with_format("uint64", |text: &str| text.parse::<u64>().is_ok())
        .with_format("byte", is_base64)
        .with_format("google-datetime", |text: &str| text.parse::<jiff::Timestamp>().is_ok())
        .with_format("google-duration", is_google_duration)
        .build(&Value::Object(words.clone()))
}

/// In either alphabet, with or without padding: vendors differ, and their readers take all four.
fn is_base64(text: &str) -> bool {
    let bare = text.trim_end_matches('=');
    let padded = format!("{bare}{}", "=".repeat((4 - bare.len() % 4) % 4));
    STANDARD.decode(&padded).is_ok() || URL_SAFE.decode(&padded).is_ok()
}

/// <https://protobuf.dev/reference/protobuf/google.protobuf/#duration>
fn is_google_duration(text: &str) -> bool {
    let number = text.strip_suffix('s').unwrap_or_default();
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.starts_with(|c: char| c.is_ascii_digit()) && digits.parse::<f64>().is_ok_and(f64::is_finite)
}

/// The words of any of the formats in those of draft 2020-12.
fn words(schema: &Value, unusable: &mut Vec<&'static str>) -> Map<String, Value> {
    let Some(schema) = schema.as_object() else { return Map::new() };
    // In discovery documents a repeated parameter carries the words of one of its values.
    if schema.get("repeated") == Some(&Value::Bool(true)) {
        return Map::from_iter([("type".to_owned(), json!("array"))]);
    }
    let mut words: Map<String, Value> = WORDS
        .iter()
        .filter_map(|&word| Some((word.to_owned(), schema.get(word)?.clone())))
        .filter(|(_, value)| !value.is_null())
        .collect();
    if let Some(types) = types(schema, unusable) {
        words.insert("type".to_owned(), types);
    }
    for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        numeric_bound(&mut words, bound, exclusive);
    }
    integer_range(&mut words);
    words
}

/// The types of a schema; those that no JSON has are left out, and `file` and `any` are no type.
fn types(schema: &Map<String, Value>, unusable: &mut Vec<&'static str>) -> Option<Value> {
    let named: BTreeSet<&str> = match schema.get("type")? {
        Value::String(name) => BTreeSet::from([name.as_str()]),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => BTreeSet::new(),
    };
    if named.iter().all(|name| TYPES.contains(name)) && !named.is_empty() {
        return Some(json!(named));
    }
    if !named.iter().any(|name| matches!(*name, "file" | "any")) {
        unusable.push("type");
    }
    None
}

/// Before 2020-12 `exclusiveMinimum` was a flag, and discovery documents write bounds as text.
fn numeric_bound(words: &mut Map<String, Value>, bound: &str, exclusive: &str) {
    if let Some(number) = words.get(bound).and_then(Value::as_str).and_then(|text| text.parse::<f64>().ok()) {
        words.insert(bound.to_owned(), json!(number));
    }
    if let Some(Value::Bool(is_exclusive)) = words.get(exclusive).cloned() {
        words.remove(exclusive);
        if is_exclusive && let Some(number) = words.remove(bound) {
            words.insert(exclusive.to_owned(), number);
        }
    }
}

fn integer_range(words: &mut Map<String, Value>) {
    let format = words.get("format").and_then(Value::as_str).unwrap_or_default();
    let range = RANGES.iter().find(|(name, ..)| *name == format);
    if let Some((_, least, greatest)) = range.filter(|_| words.get("type") == Some(&json!(["integer"]))) {
        if !words.contains_key("exclusiveMinimum") {
            words.entry("minimum").or_insert(json!(least));
        }
        if !words.contains_key("exclusiveMaximum") {
            words.entry("maximum").or_insert(json!(greatest));
        }
    }
}

fn violation(error: &ValidationError<'_>, value: &Value, at: &str) -> Violation {
    let shown = if value.is_null() { "the value".to_owned() } else { shown(at, value) };
    let (rule, what) = match error.kind() {
        ValidationErrorKind::Type { kind } => {
            (Rule::Type, format!("{} is {}, not {}", shown, kind_of(value), wanted(kind)))
        }
        ValidationErrorKind::Enum { options } => {
            (Rule::Enum, format!("{shown} is none of {}", short_list(options)))
        }
        ValidationErrorKind::Constant { .. } => (Rule::Enum, format!("{shown} is not the one value")),
        ValidationErrorKind::Format { format } => {
            (Rule::Format, format!("{shown} is not of format {format}"))
        }
        ValidationErrorKind::Pattern { pattern } => {
            (Rule::Pattern, format!("{shown} does not match {pattern}"))
        }
        kind => (Rule::Limit, format!("{shown} is out of {}", kind.keyword())),
    };
    Violation::new(at, rule, what)
}

fn wanted(kind: &jsonschema::error::TypeKind) -> String {
    match kind {
        jsonschema::error::TypeKind::Single(name) => name.to_string(),
        jsonschema::error::TypeKind::Multiple(names) => {
            names.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(" or ")
        }
    }
}

pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn short_list(options: &Value) -> String {
    let all = options.as_array().map_or(&[][..], Vec::as_slice);
    let mut named: Vec<String> = all.iter().take(5).map(ToString::to_string).collect();
    if all.len() > named.len() {
        named.push(format!("… ({} in all)", all.len()));
    }
    named.join(", ")
}
