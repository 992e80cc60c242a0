//! One golden file, read and written.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode, Uri};
use integrations_core::dynamic::OpEntry;
use integrations_core::{Op, Result, WireResponse};
use serde_json::{Map, Value, json};

use super::Problems;

/// What is written by hand, beside `args`.
const LISTS: [&str; 2] = ["needs", "formats"];

/// What is recorded.
const RECORDED: [&str; 3] = ["request", "response", "output"];

const BASE64: &str = "base64:";

/// One case of one operation.
#[derive(Debug, Clone)]
pub struct Golden {
    name: String,
    entry: &'static OpEntry,
    args: Value,
    needs: Vec<String>,
    formats: Vec<String>,
    recorded: Option<Value>,
}

impl Golden {
    /// The file's name without `.json`: the operation, or the operation, a dot and the case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The operation.
    pub fn op(&self) -> &'static Op {
        self.entry.op
    }

    /// The endpoint.
    pub fn entry(&self) -> &'static OpEntry {
        self.entry
    }

    /// The endpoint's fields.
    pub fn args(&self) -> &Value {
        &self.args
    }

    /// Paths in the response without which it cannot be used.
    pub fn needs(&self) -> &[String] {
        &self.needs
    }

    /// Paths in the response of texts that are not free.
    pub fn formats(&self) -> &[String] {
        &self.formats
    }

    /// What the endpoint makes of an answer.
    pub fn read(&self, response: WireResponse) -> Result<Value> {
        (self.entry.response)(&self.args, response)
    }

    /// The recorded answer, if one was recorded.
    pub fn response(&self) -> Option<WireResponse> {
        let response = self.recorded.as_ref()?.get("response")?;
        let status =
            response.get("status").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok())?;
        let headers = headers_from(response.get("headers")?)?;
        let body = bytes(is_json(&headers), response.get("body")?)?;
        Some(WireResponse::new(self.op(), StatusCode::from_u16(status).ok()?, headers, body))
    }

    /// Request, response and output.
    pub(super) fn recorded(&self) -> Option<&Value> {
        self.recorded.as_ref()
    }

    pub(super) fn file(&self) -> String {
        format!("{}.json", self.name)
    }

    pub(super) fn write(&self, folder: &Path, recorded: Value) -> Result<(), String> {
        let mut whole = json!({"args": self.args});
        for (name, paths) in [("needs", &self.needs), ("formats", &self.formats)] {
            if !paths.is_empty() {
                whole[name] = json!(paths);
            }
        }
        if let (Some(whole), Value::Object(recorded)) = (whole.as_object_mut(), recorded) {
            whole.extend(recorded);
        }
        let text = serde_json::to_string_pretty(&sorted(whole)).map_err(|e| e.to_string())?;
        fs::write(folder.join(self.file()), text + "\n").map_err(|e| format!("cannot be written: {e}"))
    }
}

/// The files of a folder, by name.
pub(super) fn read_all(folder: &Path, entries: &'static [OpEntry]) -> Result<Vec<Golden>, Problems> {
    let (mut goldens, mut problems) = (Vec::new(), Vec::new());
    for name in names(folder).map_err(|e| Problems(vec![format!("{}: {e}", folder.display())]))? {
        match read(folder, &name, entries) {
            Ok(golden) => goldens.push(golden),
            Err(problem) => problems.push(format!("{name}.json: {problem}")),
        }
    }
    Problems::none_of(problems).map(|()| goldens)
}

fn names(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for file in fs::read_dir(folder)? {
        let name = file?.file_name();
        names.extend(name.to_string_lossy().strip_suffix(".json").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn read(folder: &Path, name: &str, entries: &'static [OpEntry]) -> Result<Golden, String> {
    let op = name.split('.').next().unwrap_or(name);
    let entry = entries.iter().find(|entry| entry.op.name == op);
    let entry = entry.ok_or_else(|| format!("the provider has no operation `{op}`"))?;
    let text = fs::read_to_string(folder.join(format!("{name}.json"))).map_err(|e| e.to_string())?;
    let whole: Map<String, Value> = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let is_known = |field: &&String| {
        *field == "args" || LISTS.contains(&field.as_str()) || RECORDED.contains(&field.as_str())
    };
    if let Some(unknown) = whole.keys().find(|field| !is_known(field)) {
        return Err(format!("a golden has no `{unknown}`"));
    }
    let args = whole.get("args").ok_or("there are no `args`: the endpoint's fields as an object")?;
    let golden = Golden {
        name: name.to_owned(),
        entry,
        args: args.clone(),
        needs: paths(&whole, LISTS[0])?,
        formats: paths(&whole, LISTS[1])?,
        recorded: recorded(&whole),
    };
    if golden.recorded.is_some() && golden.response().is_none() {
        return Err("the recorded `response` is not one; record it anew".to_owned());
    }
    Ok(golden)
}

fn paths(whole: &Map<String, Value>, name: &str) -> Result<Vec<String>, String> {
    let list = whole.get(name).unwrap_or(&Value::Null);
    let path = |path: &Value| path.as_str().map(str::to_owned);
    match list {
        Value::Null => Some(Vec::new()),
        list => list.as_array().and_then(|list| list.iter().map(path).collect()),
    }
    .ok_or_else(|| format!("`{name}` is not a list of paths"))
}

/// All three, or nothing was recorded.
fn recorded(whole: &Map<String, Value>) -> Option<Value> {
    RECORDED.iter().map(|name| Some(((*name).to_owned(), whole.get(*name)?.clone()))).collect()
}

/// A request as it stands in a file.
pub(super) fn sent(request: &http::Request<Vec<u8>>, base: &Uri) -> Result<Value, String> {
    let line = format!("{} {}", request.method(), relative(request.uri(), base));
    let headers = headers_of(request.headers());
    Ok(json!({"line": line, "headers": headers, "body": body(request.headers(), request.body())?}))
}

/// An answer as it stands in a file.
pub(super) fn answered(response: &WireResponse) -> Result<Value, String> {
    let body = body(&response.headers, &response.body)?;
    Ok(json!({"status": response.status.as_u16(), "headers": headers_of(&response.headers), "body": body}))
}

/// What follows the base address; all of it when it leads elsewhere.
fn relative(uri: &Uri, base: &Uri) -> String {
    let (uri, base) = (uri.to_string(), base.to_string());
    match uri.strip_prefix(base.trim_end_matches('/')) {
        Some(rest) if rest.is_empty() || rest.starts_with(['/', '?']) => rest.to_owned(),
        _ => uri,
    }
}

/// A header that is given several times is a list.
fn headers_of(headers: &HeaderMap) -> Value {
    let texts = |name| {
        let mut texts: Vec<Value> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned().into())
            .collect();
        if texts.len() == 1 { texts.remove(0) } else { Value::Array(texts) }
    };
    headers.keys().map(|name| (name.to_string(), texts(name))).collect()
}

fn headers_from(headers: &Value) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, texts) in headers.as_object()? {
        let name: HeaderName = name.parse().ok()?;
        let texts = texts.as_array().map_or(std::slice::from_ref(texts), Vec::as_slice);
        for text in texts {
            map.append(name.clone(), HeaderValue::from_str(text.as_str()?).ok()?);
        }
    }
    Some(map)
}

/// Whether the content type says JSON (RFC 8259, RFC 6839 section 3.1).
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

fn body(headers: &HeaderMap, bytes: &[u8]) -> Result<Value, String> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    if is_json(headers) {
        return serde_json::from_slice(bytes)
            .map_err(|e| format!("a body is not the JSON that its content type says: {e}"));
    }
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => format!("{BASE64}{}", STANDARD.encode(bytes)).into(),
    })
}

fn bytes(is_json: bool, body: &Value) -> Option<Vec<u8>> {
    match body {
        Value::Null => Some(Vec::new()),
        body if is_json => serde_json::to_vec(body).ok(),
        Value::String(text) => match text.strip_prefix(BASE64) {
            Some(text) => STANDARD.decode(text).ok(),
            None => Some(text.clone().into_bytes()),
        },
        _ => None,
    }
}

/// By name: a program that has serde_json keep the order of fields must not change the files.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            fields.into_iter().collect()
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        value => value,
    }
}
