//! A request and an answer, part by part.

use std::collections::BTreeSet;

use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::Request;
use super::document::{Document, Format};
use super::leaf::Mode;
use super::plan::{Body, Entry, Media, Parameter, Place, Plan, Response, Style, essence, is_form, is_json};
use super::schema::Checker;
use super::template::Template;
use super::violation::{Rule, Violation, shown_path};
use super::wire::{Node, Pair, brackets, decode, multipart, pairs};

/// Headers that descriptions give elsewhere. <https://spec.openapis.org/oas/v3.1.1.html#parameter-object>
const NO_PARAMETERS: &[&str] = &["accept", "content-type", "authorization"];

pub(super) fn unknown_operation(request: &Request) -> Violation {
    let what = format!("no operation for {} {}", request.method, shown_path(request.uri.path()));
    Violation::new("path", Rule::UnknownOperation, what)
}

pub(super) fn request(document: &Document, entry: &Entry, request: &Request) -> Vec<Violation> {
    let path = request.uri.path();
    let query = pairs(request.uri.query().unwrap_or_default());
    let template = best(&entry.templates, path);
    let upload = best(&entry.uploads, path).filter(|_| template.is_none());
    let Some((template, variables)) = template.or(upload.clone()) else {
        return vec![unknown_operation(request)];
    };
    if entry.method.as_ref() != Some(&request.method) {
        return vec![unknown_operation(request)];
    }
    let plan = entry.plan(document);
    let mut checker = Checker::new(document, Mode::Request, entry.id.as_deref().unwrap_or_default());
    let mut found = path_violations(&mut checker, plan, &variables);
    found.extend(query_violations(&mut checker, plan, template, &query, upload.is_some()));
    found.extend(header_violations(&mut checker, plan, &request.headers));
    if upload.is_none() {
        found.extend(body_violations(&mut checker, plan, &request.headers, &request.body));
    }
    found
}

fn best<'e>(templates: &'e [Template], path: &str) -> Option<(&'e Template, Vec<(String, String)>)> {
    let fitting = templates.iter().filter_map(|template| Some((template, template.matches(path)?)));
    fitting.max_by_key(|(template, _)| template.rank())
}

/// What is wrong with the variables of a path.
pub(super) fn variables(document: &Document, entry: &Entry, found: &[(String, String)]) -> Vec<Violation> {
    let mut checker = Checker::new(document, Mode::Request, "");
    path_violations(&mut checker, entry.plan(document), found)
}

fn path_violations<'d>(
    checker: &mut Checker<'d>,
    plan: &'d Plan,
    variables: &[(String, String)],
) -> Vec<Violation> {
    let mut found = Vec::new();
    for parameter in plan.parameters.iter().filter(|parameter| parameter.place == Place::Path) {
        if let Some((_, text)) = variables.iter().find(|(name, _)| *name == parameter.name) {
            let value = delimited(checker, parameter, text, decode_nothing);
            found.extend(checker.check(&parameter.schema, &value, &format!("path {}", parameter.name)));
        }
    }
    found
}

/// Texts of paths and headers are decoded already, or never encoded.
fn decode_nothing(text: &str) -> String {
    text.to_owned()
}

/// One text, as a list if the schema describes one.
fn delimited<'d>(
    checker: &mut Checker<'d>,
    parameter: &'d Parameter,
    raw: &str,
    decode: impl Fn(&str) -> String,
) -> Value {
    let schema = &parameter.schema;
    if parameter.style == Style::Json {
        let text = decode(raw);
        return serde_json::from_str(&text).unwrap_or(Value::String(text));
    }
    let Style::Delimited(delimiter) = parameter.style else {
        return checker.value(schema, &Node::of(vec![decode(raw)]), false);
    };
    if checker.admits(schema, "array") {
        let texts = split(raw, delimiter).iter().map(|text| decode(text)).collect();
        return list(checker, schema, texts);
    }
    if checker.admits(schema, "object") {
        let parts: Vec<String> = split(raw, delimiter).iter().map(|text| decode(text)).collect();
        let mut node = Node::default();
        for pair in parts.chunks(2) {
            node.add(&[&pair[0]], pair.get(1).cloned().unwrap_or_default());
        }
        return checker.value(schema, &node, false);
    }
    checker.value(schema, &Node::of(vec![decode(raw)]), false)
}

/// A list, also of one.
fn list<'d>(checker: &mut Checker<'d>, schema: &'d Value, texts: Vec<String>) -> Value {
    let items = checker.items(schema);
    let values = texts.into_iter().map(|text| checker.value(items, &Node::of(vec![text]), false));
    values.collect()
}

/// The delimiter may be encoded, as a space always is.
fn split(raw: &str, delimiter: char) -> Vec<String> {
    let encoded = format!("%{:02X}", u32::from(delimiter));
    let text = raw
        .replace(&encoded, &delimiter.to_string())
        .replace(&encoded.to_lowercase(), &delimiter.to_string());
    let text = if delimiter == ' ' { text.replace('+', " ") } else { text };
    text.split(delimiter).map(str::to_owned).collect()
}

fn query_violations<'d>(
    checker: &mut Checker<'d>,
    plan: &'d Plan,
    template: &Template,
    query: &[Pair],
    is_upload: bool,
) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut known: BTreeSet<&str> = template.fixed.iter().map(|(name, _)| name.as_str()).collect();
    known.extend(plan.known_query.iter().map(String::as_str));
    if is_upload {
        known.extend(["uploadType", "upload_id"]);
    }
    for parameter in plan.parameters.iter().filter(|parameter| parameter.place == Place::Query) {
        let at = format!("query {}", parameter.name);
        let given = given(checker, parameter, query);
        known.extend(given.iter().map(|pair| pair.name.as_str()));
        if given.is_empty() {
            if parameter.required {
                found.push(Violation::new(at, Rule::MissingParameter, "required"));
            }
            continue;
        }
        match parameter.style {
            Style::Delimited(_) | Style::Json if given.len() > 1 => {
                let what = format!("given {} times instead of once", given.len());
                found.push(Violation::new(at, Rule::Style, what));
            }
            Style::Delimited(_) | Style::Json => {
                let value = delimited(checker, parameter, &given[0].raw, decode);
                found.extend(checker.check(&parameter.schema, &value, &at));
            }
            Style::Exploded | Style::Deep => {
                let value = joined(checker, parameter, &given);
                found.extend(checker.check(&parameter.schema, &value, &at));
            }
        }
    }
    let unknown: BTreeSet<&str> =
        query.iter().map(|pair| pair.name.as_str()).filter(|name| !known.contains(name)).collect();
    let violation = |name| Violation::new(format!("query {name}"), Rule::UnknownParameter, "not described");
    found.extend(unknown.into_iter().map(violation));
    found
}

/// The pairs that belong to a parameter.
fn given<'q, 'd>(checker: &Checker<'d>, parameter: &'d Parameter, query: &'q [Pair]) -> Vec<&'q Pair> {
    let schema = &parameter.schema;
    let name = parameter.name.as_str();
    let is_object = parameter.style == Style::Exploded
        && checker.admits(schema, "object")
        && !checker.admits(schema, "array");
    let fields = if is_object { checker.field_names(schema) } else { BTreeSet::new() };
    let belongs = |pair: &&Pair| match parameter.style {
        Style::Deep => brackets(&pair.name).first() == Some(&name),
        _ if !fields.is_empty() => fields.contains(&pair.name),
        _ => pair.name == name,
    };
    query.iter().filter(belongs).collect()
}

fn joined<'d>(checker: &mut Checker<'d>, parameter: &'d Parameter, given: &[&Pair]) -> Value {
    let schema = &parameter.schema;
    let mut node = Node::default();
    for pair in given {
        let parts = brackets(&pair.name);
        match parameter.style {
            Style::Deep => node.add(&parts[1..], pair.value.clone()),
            _ if pair.name != parameter.name => node.add(&[&pair.name], pair.value.clone()),
            _ => node.add(&[], pair.value.clone()),
        }
    }
    let is_repeated = schema.get("repeated") == Some(&Value::Bool(true));
    let is_plain = node.fields.is_empty() && parameter.style == Style::Exploded;
    if is_plain && is_repeated {
        let texts = node.texts.iter();
        return texts.map(|text| single(checker, schema, text)).collect();
    }
    if is_plain && checker.admits(schema, "array") && !checker.admits(schema, "string") {
        return list(checker, schema, node.texts);
    }
    checker.value(schema, &node, false)
}

/// One value of a repeated parameter of a discovery document, whose words are those of one value.
fn single(checker: &Checker<'_>, schema: &Value, text: &str) -> Value {
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    let read = serde_json::from_str::<Value>(text).ok().filter(|_| kind != "string");
    debug_assert_eq!(checker.document.format, Format::Discovery, "only these have repeated parameters");
    read.unwrap_or_else(|| json!(text))
}

fn header_violations<'d>(checker: &mut Checker<'d>, plan: &'d Plan, headers: &HeaderMap) -> Vec<Violation> {
    let of_headers = plan.parameters.iter().filter(|parameter| parameter.place == Place::Header);
    of_headers.flat_map(|parameter| header_violation(checker, parameter, headers)).collect()
}

fn header_violation<'d>(
    checker: &mut Checker<'d>,
    parameter: &'d Parameter,
    headers: &HeaderMap,
) -> Vec<Violation> {
    let name = parameter.name.to_ascii_lowercase();
    let at = format!("header {name}");
    if NO_PARAMETERS.contains(&name.as_str()) {
        return Vec::new();
    }
    match headers.get(&name).map(|value| value.to_str()) {
        None if parameter.required => vec![Violation::new(at, Rule::MissingParameter, "required")],
        Some(Ok(text)) => {
            let value = delimited(checker, parameter, text, |text| text.trim().to_owned());
            checker.check(&parameter.schema, &value, &at)
        }
        // Bytes beyond ASCII are no text that a schema could describe.
        None | Some(Err(_)) => Vec::new(),
    }
}

fn body_violations<'d>(
    checker: &mut Checker<'d>,
    plan: &'d Plan,
    headers: &HeaderMap,
    body: &[u8],
) -> Vec<Violation> {
    let (required, media) = match &plan.body {
        Body::Any => return Vec::new(),
        Body::None if body.is_empty() => return Vec::new(),
        Body::None => {
            return vec![Violation::new("body", Rule::UnexpectedBody, "the operation takes none")];
        }
        Body::Described { required, media } => (*required, media),
    };
    if body.is_empty() {
        // A form without fields has no bytes.
        let is_missing = required && !media.is_empty() && !is_form(&content_type(headers));
        return if is_missing {
            vec![Violation::new("body", Rule::MissingBody, "required")]
        } else {
            Vec::new()
        };
    }
    let kind = content_type(headers);
    match media_of(media, &kind) {
        Some(media) => body_of(checker, media, &kind, body),
        None => vec![content_type_violation(media, &kind)],
    }
}

fn content_type(headers: &HeaderMap) -> String {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn content_type_violation(media: &[Media], kind: &str) -> Violation {
    let named: Vec<&str> = media.iter().map(|media| media.kind.as_str()).collect();
    let given = if kind.is_empty() { "not given".to_owned() } else { essence(kind) };
    Violation::new("header content-type", Rule::ContentType, format!("{given}, not {}", named.join(" or ")))
}

/// The description of this content type: the exact one before one with `*`.
fn media_of<'d>(media: &'d [Media], kind: &str) -> Option<&'d Media> {
    let kind = essence(kind);
    let fits = |pattern: &str| match pattern.split_once('*') {
        Some((before, after)) => kind.starts_with(before) && kind.ends_with(after) && !kind.is_empty(),
        None => pattern == kind,
    };
    let exact = media.iter().find(|media| media.kind == kind);
    exact.or_else(|| media.iter().find(|media| media.kind == "*/*" || fits(&media.kind)))
}

fn body_of<'d>(checker: &mut Checker<'d>, media: &'d Media, kind: &str, body: &[u8]) -> Vec<Violation> {
    let Some(schema) = &media.schema else { return Vec::new() };
    if is_json(kind) {
        return match serde_json::from_slice::<Value>(body) {
            Ok(value) => checker.check(schema, &value, "body"),
            Err(e) => {
                let what = format!("not JSON at line {} column {}", e.line(), e.column());
                vec![Violation::new("body", Rule::Malformed, what)]
            }
        };
    }
    if !is_form(kind) {
        return Vec::new();
    }
    let Some(node) = form(checker, schema, kind, body) else {
        return vec![Violation::new("body", Rule::Malformed, "not a form")];
    };
    let mut value = checker.value(schema, &node, true);
    if !value.is_object() {
        // Nothing was sent, or a form that no field describes.
        value = json!({});
    }
    checker.check(schema, &value, "body")
}

fn form<'d>(checker: &Checker<'d>, schema: &'d Value, kind: &str, body: &[u8]) -> Option<Node> {
    let names = checker.field_names(schema);
    let mut node = Node::default();
    let mut add = |name: &str, text: String| {
        let path = if names.contains(name) { vec![name] } else { brackets(name) };
        node.add(&path, text);
    };
    if essence(kind) == "multipart/form-data" {
        for part in multipart(kind, body)? {
            // What a file holds is described as text or not at all.
            add(&part.name, if part.is_file { String::new() } else { part.text });
        }
    } else {
        let text = std::str::from_utf8(body).ok()?;
        for pair in pairs(text) {
            add(&pair.name, pair.value);
        }
    }
    Some(node)
}

/// The description of answers with this status.
pub(super) fn response(plan: &Plan, status: u16) -> Option<&Response> {
    let exact = status.to_string();
    let class = format!("{}xx", status / 100);
    let named =
        |wanted: &str| plan.responses.iter().find(|response| response.status.to_lowercase() == wanted);
    named(&exact).or_else(|| named(&class)).or_else(|| named("default"))
}

pub(super) fn answer(
    document: &Document,
    plan: &Plan,
    mode: Mode,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
) -> Vec<Violation> {
    let is_strict = mode == Mode::StrictResponse;
    let Some(response) = response(plan, status) else {
        let violation = Violation::new("status", Rule::UnknownStatus, format!("{status} is not described"));
        return if is_strict { vec![violation] } else { Vec::new() };
    };
    let mut checker = Checker::new(document, mode, "");
    let mut found = Vec::new();
    if is_strict {
        let of_headers = response.headers.iter();
        found.extend(of_headers.flat_map(|header| header_violation(&mut checker, header, headers)));
    }
    found.extend(answer_body(&mut checker, &response.media, headers, body));
    found
}

fn answer_body<'d>(
    checker: &mut Checker<'d>,
    media: &'d [Media],
    headers: &HeaderMap,
    body: &[u8],
) -> Vec<Violation> {
    let is_strict = checker.mode == Mode::StrictResponse;
    let has_schema = media.iter().any(|media| media.schema.is_some());
    match (body.is_empty(), is_strict) {
        (true, true) if has_schema => return vec![Violation::new("body", Rule::MissingBody, "described")],
        (true, _) => return Vec::new(),
        (false, true) if media.is_empty() => {
            return vec![Violation::new("body", Rule::UnexpectedBody, "none is described")];
        }
        _ => {}
    }
    let kind = content_type(headers);
    if let Some(media) = media_of(media, &kind) {
        return body_of(checker, media, &kind, body);
    }
    if is_strict {
        return vec![content_type_violation(media, &kind)];
    }
    // A recorded answer often comes without its headers.
    let json = media.iter().find(|media| is_json(&media.kind) || media.kind == "*/*");
    json.map(|media| body_of(checker, media, "application/json", body)).unwrap_or_default()
}
