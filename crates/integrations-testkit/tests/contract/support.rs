//! Requests and answers in one line each.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use integrations_testkit::contract::{Description, Request, Violation};

/// `POST /pets | x-version: 1 | json {"a":1}`; a body is `json`, `form`, `multi` (fields as in a form, in parts) or
/// `text`.
pub(crate) fn request(line: &str) -> Request {
    let mut parts = line.split(" | ");
    let (method, uri) = parts.next().unwrap().split_once(' ').unwrap();
    let mut request = Request::new(method.parse::<Method>().unwrap(), uri.parse::<Uri>().unwrap());
    for part in parts {
        match body(part) {
            Some((kind, body)) => request = request.body(kind, body),
            None => {
                let (name, value) = part.split_once(": ").unwrap();
                request = request.header(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
        }
    }
    request
}

fn body(part: &str) -> Option<(HeaderValue, String)> {
    let (kind, body) = part.split_once(' ')?;
    let (kind, body) = match kind {
        "json" => ("application/json; charset=utf-8", body.to_owned()),
        "form" => ("application/x-www-form-urlencoded", body.to_owned()),
        "multi" => ("multipart/form-data; boundary=b", multipart(body)),
        "text" => ("text/plain", body.to_owned()),
        _ => return None,
    };
    Some((HeaderValue::from_static(kind), body))
}

fn multipart(fields: &str) -> String {
    let mut body = String::new();
    for (name, value) in fields.split('&').filter_map(|pair| pair.split_once('=')) {
        body.push_str(&format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    body + "--b--\r\n"
}

/// `200 json {"a":1}`, sent by the operation of `route`.
pub(crate) fn answer(description: &Description, route: &str, line: &str, strict: bool) -> Vec<Violation> {
    let (method, path) = route.split_once(' ').unwrap();
    let operation = description.operation(&method.parse().unwrap(), path).unwrap();
    let (status, rest) = line.split_once(' ').unwrap_or((line, ""));
    let status = status.parse().unwrap();
    let mut headers = HeaderMap::new();
    let mut sent = String::new();
    if let Some((kind, body)) = body(rest) {
        headers.insert("content-type", kind);
        sent = body;
    }
    if strict {
        operation.check_response_strict(status, &headers, sent.as_bytes())
    } else {
        operation.check_response(status, &headers, sent.as_bytes())
    }
}

/// The places and rules, as `body /a: type`.
pub(crate) fn brief(found: &[Violation]) -> Vec<String> {
    found.iter().map(|violation| format!("{}: {}", violation.at, violation.rule)).collect()
}
