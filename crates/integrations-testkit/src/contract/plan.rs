//! The operations of a description, each brought into one shape whatever the format is.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::document::{Document, Format, reference};
use super::template::Template;

/// The methods that a path can have.
const METHODS: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// One operation.
pub(super) struct Entry {
    pub(super) id: Option<String>,
    /// `None` for what the service sends to others.
    pub(super) method: Option<Method>,
    /// The path as it stands in the description.
    pub(super) path: String,
    /// The paths with all bases before them.
    pub(super) templates: Vec<Template>,
    /// Where files go instead: Google has a path of its own for them.
    pub(super) uploads: Vec<Template>,
    /// Pointer to the object that holds the operation, and the name or index of the operation within it.
    holder: String,
    member: String,
    plan: OnceLock<Plan>,
}

/// What a request and the answers of an operation look like.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) parameters: Vec<Parameter>,
    /// Query parameters that belong to every operation, as keys do.
    pub(super) known_query: BTreeSet<String>,
    pub(super) body: Body,
    pub(super) responses: Vec<Response>,
}

#[derive(Default)]
pub(super) enum Body {
    #[default]
    None,
    /// Something that the description does not describe.
    Any,
    Described {
        required: bool,
        media: Vec<Media>,
    },
}

/// A body of one content type.
pub(super) struct Media {
    /// In lower case, without parameters; may hold `*`.
    pub(super) kind: String,
    pub(super) schema: Option<Value>,
}

pub(super) struct Response {
    /// `200`, `2XX` or `default`.
    pub(super) status: String,
    pub(super) headers: Vec<Parameter>,
    pub(super) media: Vec<Media>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) required: bool,
    pub(super) style: Style,
    pub(super) schema: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Lists repeat the name, objects become a parameter for each field.
    Exploded,
    /// One text, with this between items.
    Delimited(char),
    /// `name[field]`.
    Deep,
    /// JSON as text.
    Json,
}

impl Entry {
    fn new(method: Option<Method>, id: Option<&Value>, path: &str, holder: String, member: &str) -> Self {
        Self {
            id: id.and_then(Value::as_str).map(str::to_owned),
            method,
            path: path.to_owned(),
            templates: Vec::new(),
            uploads: Vec::new(),
            holder,
            member: member.to_owned(),
            plan: OnceLock::new(),
        }
    }

    /// The object that describes the operation.
    pub(super) fn source<'d>(&self, document: &'d Document) -> Option<(&'d Value, &'d Value)> {
        let holder = document.follow(document.root.pointer(&self.holder)?)?;
        Some((holder, holder.get(&self.member).or_else(|| holder.get(self.member.parse::<usize>().ok()?))?))
    }

    pub(super) fn plan(&self, document: &Document) -> &Plan {
        self.plan.get_or_init(|| {
            let Some((holder, operation)) = self.source(document) else { return Plan::default() };
            match document.format {
                Format::OpenApi30 | Format::OpenApi31 | Format::OpenApi2 => {
                    open_api(document, holder, operation)
                }
                Format::Discovery => discovery(document, operation),
                Format::HyperSchema => hyper_schema(document, operation, self.method.as_ref()),
            }
        })
    }
}

/// All operations, in the order of the description.
pub(super) fn entries(document: &Document) -> Vec<Entry> {
    match document.format {
        Format::OpenApi30 | Format::OpenApi31 | Format::OpenApi2 => open_api_entries(document),
        Format::Discovery => discovery_entries(document),
        Format::HyperSchema => hyper_schema_entries(document),
    }
}

fn open_api_entries(document: &Document) -> Vec<Entry> {
    let mut entries = Vec::new();
    for section in ["paths", "x-ms-paths", "webhooks"] {
        for (path, item) in members(document.root.get(section)) {
            let Some(item) = document.follow(item) else { continue };
            for (key, operation) in members(Some(item)) {
                let method = METHODS.contains(&key.as_str()).then(|| key.to_ascii_uppercase());
                let Some(method) = method.and_then(|name| name.parse::<Method>().ok()) else { continue };
                let holder = format!("/{section}/{}", escaped(path));
                let is_received = section != "webhooks";
                let id = operation.get("operationId");
                let mut entry = Entry::new(is_received.then_some(method), id, path, holder, key);
                if is_received {
                    let bases = open_api_bases(document, item, operation);
                    entry.templates = bases.iter().map(|base| Template::new(&joined(base, path))).collect();
                }
                entries.push(entry);
            }
        }
    }
    entries
}

fn open_api_bases(document: &Document, item: &Value, operation: &Value) -> BTreeSet<String> {
    if document.format == Format::OpenApi2 {
        return BTreeSet::from([text(&document.root, "basePath").to_owned()]);
    }
    let servers = [operation, item, &document.root]
        .into_iter()
        .find_map(|holder| holder.get("servers")?.as_array().filter(|servers| !servers.is_empty()));
    let bases = servers.map(|servers| servers.iter().map(server_path).collect::<BTreeSet<String>>());
    bases.unwrap_or_else(|| BTreeSet::from([String::new()]))
}

/// The path of a server's address. A variable stays one, unless its default has several segments or none.
fn server_path(server: &Value) -> String {
    let mut url = text(server, "url").to_owned();
    for (name, variable) in members(server.get("variables")) {
        let default = text(variable, "default");
        if default.is_empty() || default.contains('/') {
            url = url.replace(&format!("{{{name}}}"), default);
        }
    }
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map(|at| &rest[at..]),
        None if url.starts_with('/') => Some(url.as_str()),
        None => url.find('/').map(|at| &url[at..]),
    };
    path.unwrap_or_default().to_owned()
}

fn joined(base: &str, path: &str) -> String {
    format!("/{}/{}", base.trim_matches('/'), path.strip_prefix('/').unwrap_or(path)).replacen("//", "/", 1)
}

fn open_api(document: &Document, item: &Value, operation: &Value) -> Plan {
    let mut plan = Plan { known_query: key_parameters(document), ..Plan::default() };
    let mut form = Vec::new();
    for parameter in parameters(document, item, operation) {
        match text(parameter, "in") {
            "body" => {
                let media = kinds(document, operation, "consumes", &["application/json"]);
                let schema = parameter.get("schema").cloned();
                let media = media.into_iter().map(|kind| Media { kind, schema: schema.clone() }).collect();
                plan.body = Body::Described { required: flag(parameter, "required"), media };
            }
            "formData" => form.push(parameter),
            _ => plan.parameters.extend(open_api_parameter(document, parameter)),
        }
    }
    if !form.is_empty() {
        plan.body = form_body(document, operation, &form);
    }
    if let Some(body) = operation.get("requestBody") {
        plan.body = match document.follow(body) {
            Some(body) => {
                Body::Described { required: flag(body, "required"), media: media(body.get("content")) }
            }
            None => Body::Any,
        };
    }
    plan.responses = responses(document, operation);
    plan
}

/// Those of the operation replace those of the path that have the same name and place.
fn parameters<'d>(document: &'d Document, item: &'d Value, operation: &'d Value) -> Vec<&'d Value> {
    let mut found: Vec<&Value> = Vec::new();
    for holder in [operation, item] {
        for parameter in elements(holder.get("parameters")) {
            let Some(parameter) = document.follow(parameter) else { continue };
            let same = |other: &&Value| ["name", "in"].iter().all(|key| other.get(key) == parameter.get(key));
            if !found.iter().any(same) {
                found.push(parameter);
            }
        }
    }
    found
}

fn open_api_parameter(document: &Document, parameter: &Value) -> Option<Parameter> {
    let place = match text(parameter, "in") {
        "path" => Place::Path,
        "query" => Place::Query,
        "header" => Place::Header,
        "cookie" => Place::Cookie,
        _ => return None,
    };
    let content = parameter.get("content").and_then(|content| members(Some(content)).next());
    let is_version_2 = document.format == Format::OpenApi2;
    let schema = match content {
        Some((_, media)) => media.get("schema").cloned(),
        None if is_version_2 => Some(parameter.clone()),
        None => parameter.get("schema").cloned(),
    };
    let style = match content {
        Some((kind, _)) if is_json(kind) => Style::Json,
        _ if is_version_2 => collection_style(text(parameter, "collectionFormat")),
        _ => style(parameter, place),
    };
    Some(Parameter {
        name: text(parameter, "name").to_owned(),
        place,
        required: flag(parameter, "required") || place == Place::Path,
        style,
        schema: schema.unwrap_or(Value::Bool(true)),
    })
}

/// <https://spec.openapis.org/oas/v3.1.1.html#style-values>
fn style(parameter: &Value, place: Place) -> Style {
    let style = text(parameter, "style");
    let is_form = matches!(place, Place::Query | Place::Cookie) && matches!(style, "" | "form");
    let explode = parameter.get("explode").and_then(Value::as_bool).unwrap_or(is_form);
    match style {
        "deepObject" => Style::Deep,
        _ if explode && place == Place::Query => Style::Exploded,
        "spaceDelimited" => Style::Delimited(' '),
        "pipeDelimited" => Style::Delimited('|'),
        _ => Style::Delimited(','),
    }
}

fn collection_style(format: &str) -> Style {
    match format {
        "multi" => Style::Exploded,
        "ssv" => Style::Delimited(' '),
        "tsv" => Style::Delimited('\t'),
        "pipes" => Style::Delimited('|'),
        _ => Style::Delimited(','),
    }
}

fn form_body(document: &Document, operation: &Value, fields: &[&Value]) -> Body {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (text(field, "name").to_owned(), (*field).clone())).collect();
    let required: Vec<&str> =
        fields.iter().filter(|field| flag(field, "required")).map(|field| text(field, "name")).collect();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    let forms = ["application/x-www-form-urlencoded", "multipart/form-data"];
    let media = kinds(document, operation, "consumes", &forms);
    let media = media.into_iter().map(|kind| Media { kind, schema: Some(schema.clone()) }).collect();
    Body::Described { required: !required.is_empty(), media }
}

/// Names of query parameters that carry a key, whatever the operation.
fn key_parameters(document: &Document) -> BTreeSet<String> {
    let root = &document.root;
    let schemes = root.pointer("/components/securitySchemes").or_else(|| root.get("securityDefinitions"));
    let in_query = members(schemes).filter(|(_, scheme)| text(scheme, "in") == "query");
    in_query.map(|(_, scheme)| text(scheme, "name").to_owned()).collect()
}

fn responses(document: &Document, operation: &Value) -> Vec<Response> {
    let mut found = Vec::new();
    for (status, response) in members(operation.get("responses")) {
        let Some(response) = document.follow(response) else {
            let media = vec![Media { kind: "*/*".to_owned(), schema: None }];
            found.push(Response { status: status.clone(), headers: Vec::new(), media });
            continue;
        };
        let headers = members(response.get("headers")).filter_map(|(name, header)| {
            let header = document.follow(header)?;
            let schema = header.get("schema").unwrap_or(header).clone();
            let required = flag(header, "required");
            let style = Style::Delimited(',');
            Some(Parameter { name: name.clone(), place: Place::Header, required, style, schema })
        });
        let media = match response.get("schema") {
            Some(schema) => kinds(document, operation, "produces", &["application/json"])
                .into_iter()
                .map(|kind| Media { kind, schema: Some(schema.clone()) })
                .collect(),
            None => media(response.get("content")),
        };
        found.push(Response { status: status.clone(), headers: headers.collect(), media });
    }
    found
}

fn media(content: Option<&Value>) -> Vec<Media> {
    members(content)
        .map(|(kind, media)| Media { kind: essence(kind), schema: media.get("schema").cloned() })
        .collect()
}

fn kinds(document: &Document, operation: &Value, word: &str, default: &[&str]) -> Vec<String> {
    let named = [operation, &document.root]
        .into_iter()
        .find_map(|holder| holder.get(word)?.as_array().filter(|kinds| !kinds.is_empty()));
    match named {
        Some(kinds) => kinds.iter().filter_map(Value::as_str).map(essence).collect(),
        None => default.iter().map(|kind| (*kind).to_owned()).collect(),
    }
}

fn discovery_entries(document: &Document) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut waiting = vec![(String::new(), &document.root)];
    while let Some((pointer, holder)) = waiting.pop() {
        for (name, method) in members(holder.get("methods")) {
            entries.extend(discovery_entry(document, &pointer, name, method));
        }
        for (name, resource) in members(holder.get("resources")) {
            waiting.push((format!("{pointer}/resources/{}", escaped(name)), resource));
        }
    }
    entries
}

fn discovery_entry(document: &Document, pointer: &str, name: &str, method: &Value) -> Option<Entry> {
    let root = &document.root;
    let path = text(method, "path");
    let verb = text(method, "httpMethod").parse::<Method>().ok()?;
    let mut entry = Entry::new(Some(verb), method.get("id"), path, format!("{pointer}/methods"), name);
    let host = server_path(&json!({"url": text(root, "rootUrl")}));
    let base = joined(&host, text(root, "servicePath"));
    entry.templates = vec![Template::new(&joined(&base, path))];
    let protocols = members(method.pointer("/mediaUpload/protocols"));
    entry.uploads =
        protocols.map(|(_, protocol)| Template::new(&joined(&host, text(protocol, "path")))).collect();
    Some(entry)
}

fn discovery(document: &Document, method: &Value) -> Plan {
    let mut plan = Plan::default();
    for (name, parameter) in members(method.get("parameters")) {
        let place = if text(parameter, "location") == "path" { Place::Path } else { Place::Query };
        plan.parameters.push(Parameter {
            name: name.clone(),
            place,
            required: flag(parameter, "required"),
            style: Style::Exploded,
            schema: parameter.clone(),
        });
    }
    for (name, parameter) in members(document.root.get("parameters")) {
        let style = Style::Exploded;
        let (name, schema) = (name.clone(), parameter.clone());
        plan.parameters.push(Parameter { name, place: Place::Query, required: false, style, schema });
    }
    let described =
        |schema: &Value| vec![Media { kind: "application/json".to_owned(), schema: Some(schema.clone()) }];
    if let Some(schema) = method.get("request") {
        // A message without fields may be left out.
        let required = document.follow(schema).is_some_and(|schema| schema.get("properties").is_some());
        plan.body = Body::Described { required, media: described(schema) };
    } else if flag(method, "supportsMediaUpload") {
        plan.body = Body::Any;
    }
    plan.responses.push(Response {
        status: "2XX".to_owned(),
        headers: Vec::new(),
        media: method.get("response").map(described).unwrap_or_default(),
    });
    plan
}

fn hyper_schema_entries(document: &Document) -> Vec<Entry> {
    let mut holders: Vec<(String, &Value)> = members(document.root.get("definitions"))
        .map(|(name, definition)| (format!("/definitions/{}/links", escaped(name)), definition))
        .collect();
    holders.push(("/links".to_owned(), &document.root));
    let mut entries = Vec::new();
    for (pointer, holder) in holders {
        for (index, link) in elements(holder.get("links")).enumerate() {
            let href = text(link, "href");
            let verb = link.get("method").and_then(Value::as_str).unwrap_or("GET").to_ascii_uppercase();
            let Some(verb) = verb.parse::<Method>().ok().filter(|_| href.starts_with('/')) else { continue };
            let mut entry = Entry::new(Some(verb), None, href, pointer.clone(), &index.to_string());
            entry.templates = vec![Template::new(href)];
            entries.push(entry);
        }
    }
    entries
}

fn hyper_schema(document: &Document, link: &Value, method: Option<&Method>) -> Plan {
    let mut plan = Plan::default();
    for name in variables(text(link, "href")) {
        // A variable in parentheses is an escaped reference to its schema.
        let bare = name.trim_start_matches('(').trim_end_matches(')');
        let target = percent_decode_str(bare).decode_utf8_lossy().into_owned();
        let schema = if target.starts_with('#') { json!({"$ref": target}) } else { Value::Bool(true) };
        let (place, style) = (Place::Path, Style::Delimited(','));
        plan.parameters.push(Parameter { name, place, required: true, style, schema });
    }
    match link.get("schema") {
        Some(schema) if method == Some(&Method::GET) => {
            let described = document.follow(schema).unwrap_or(schema);
            let required: Vec<&Value> = elements(described.get("required")).collect();
            for (name, schema) in members(described.get("properties")) {
                let required = required.iter().any(|required| *required == name);
                let (place, style, schema) = (Place::Query, Style::Exploded, schema.clone());
                plan.parameters.push(Parameter { name: name.clone(), place, required, style, schema });
            }
        }
        Some(schema) => {
            let kind =
                link.get("encType").and_then(Value::as_str).map_or("application/json".to_owned(), essence);
            let media = vec![Media { kind, schema: Some(schema.clone()) }];
            let required =
                document.follow(schema).is_some_and(|schema| elements(schema.get("required")).count() > 0);
            plan.body = Body::Described { required, media };
        }
        None => {}
    }
    plan.responses.push(Response {
        status: "2XX".to_owned(),
        headers: Vec::new(),
        media: target(document, link),
    });
    plan
}

/// A link to `instances` names the schema of one of them.
fn target(document: &Document, link: &Value) -> Vec<Media> {
    let Some(schema) = link.get("targetSchema") else { return Vec::new() };
    let is_list = document.follow(schema).is_some_and(|schema| schema.get("items").is_some());
    let schema = if text(link, "rel") == "instances" && !is_list {
        json!({"type": "array", "items": schema})
    } else {
        schema.clone()
    };
    vec![Media { kind: "application/json".to_owned(), schema: Some(schema) }]
}

fn variables(template: &str) -> Vec<String> {
    let parts = template.split('{').skip(1);
    parts.filter_map(|part| part.split_once('}')).map(|(name, _)| name.to_owned()).collect()
}

/// The dangling references of an operation, and what else is not checked of it.
pub(super) fn unchecked(document: &Document, entry: &Entry) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let Some((holder, operation)) = entry.source(document) else { return found };
    let shared = holder.get("parameters").into_iter().flat_map(|value| elements(Some(value)));
    for start in std::iter::once(operation).chain(shared) {
        document.reach(start, &mut |object| {
            if let Some(target) = reference(object).filter(|target| document.resolve(target).is_none()) {
                found.insert(format!("the reference {target} leads nowhere"));
            }
            for word in ["if", "contains", "propertyNames", "dependentRequired", "dependentSchemas"] {
                if object.get(word).is_some_and(Value::is_object)
                    && object.get("type").is_none_or(|kind| !kind.is_object())
                {
                    found.insert(format!("the word {word} is not followed"));
                }
            }
            if object.get("pattern").is_some_and(Value::is_string) {
                for word in &document.leaf(object).unusable {
                    found.insert(format!("a {word} is not understood"));
                }
            }
        });
    }
    let plan = entry.plan(document);
    for cookie in plan.parameters.iter().filter(|parameter| parameter.place == Place::Cookie) {
        found.insert(format!("the cookie {} is not looked at", cookie.name));
    }
    if let Body::Described { media, .. } = &plan.body {
        for media in media.iter().filter(|media| media.schema.is_some() && !is_read(&media.kind)) {
            found.insert(format!("a body of {} is not looked into", media.kind));
        }
    }
    if matches!(plan.body, Body::Any) || !entry.uploads.is_empty() {
        found.insert("an uploaded file is not looked into".to_owned());
    }
    found
}

fn is_read(kind: &str) -> bool {
    is_json(kind) || is_form(kind)
}

pub(super) fn is_form(kind: &str) -> bool {
    matches!(essence(kind).as_str(), "application/x-www-form-urlencoded" | "multipart/form-data")
}

pub(super) fn is_json(kind: &str) -> bool {
    let kind = essence(kind);
    kind == "application/json" || kind.ends_with("+json") || kind == "text/json"
}

/// The content type in lower case and without parameters.
pub(super) fn essence(kind: &str) -> String {
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn flag(value: &Value, name: &str) -> bool {
    value.get(name) == Some(&Value::Bool(true))
}

fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn elements(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}
