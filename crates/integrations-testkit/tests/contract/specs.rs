//! Real descriptions, in the folder that `INTEGRATIONS_SPECS` names: `MANIFEST.json` lists them with their format and
//! number of operations.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use integrations_testkit::contract::{Description, Format};
use serde_json::Value;

/// Formats of the list that the judge reads.
const READ: &[&str] = &["openapi3", "openapi2", "google-discovery", "json-hyper-schema"];

/// Where the list counts otherwise, by how many, and why.
const COUNTED_OTHERWISE: &[(&str, i64, &str)] =
    &[("heroku/schema.json", 1, "the link of the whole schema to itself is an operation as well")];

#[test]
fn every_listed_description_is_read_with_all_its_operations() {
    let Some(folder) = std::env::var_os("INTEGRATIONS_SPECS") else {
        eprintln!("skipped: INTEGRATIONS_SPECS names no folder of descriptions");
        return;
    };
    let folder = Path::new(&folder);
    let list: Vec<Value> =
        serde_json::from_slice(&std::fs::read(folder.join("MANIFEST.json")).unwrap()).unwrap();
    let began = Instant::now();
    let mut looking = Duration::ZERO;
    let (mut read, mut operations, mut dangling, mut wrong) = (0, 0, 0, Vec::new());
    for entry in &list {
        let (file, format) = (entry["file"].as_str().unwrap(), entry["format"].as_str().unwrap());
        let result = Description::read(folder.join(file));
        if !READ.contains(&format) {
            if result.is_ok() {
                wrong.push(format!("{file}: read, though it is {format}"));
            }
            continue;
        }
        match result {
            Err(e) => wrong.push(e.to_string()),
            Ok(description) => {
                let count = description.operations().count();
                read += 1;
                operations += count;
                dangling += description.dangling().len();
                wrong.extend(unlike(file, count as i64, entry["operations"].as_i64()));
                let looked = Instant::now();
                look_into(&description);
                wrong.extend(unreachable_operations(file, description));
                looking += looked.elapsed();
            }
        }
    }
    let reading = began.elapsed().saturating_sub(looking);
    println!(
        "{read} descriptions, {operations} operations, {dangling} dangling references; read in {reading:.1?}, looked into \
         in {looking:.1?}"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(read > 0, "the list names no description that the judge reads");
}

fn unlike(file: &str, count: i64, listed: Option<i64>) -> Option<String> {
    let more = COUNTED_OTHERWISE.iter().find(|(name, ..)| *name == file).map_or(0, |(_, more, _)| *more);
    let listed = listed? + more;
    (count != listed).then(|| format!("{file}: {count} operations, {listed} are listed"))
}

/// A path made from each template leads back to an operation of the same shape.
fn unreachable_operations(file: &str, description: Description) -> BTreeSet<String> {
    let description = description.at_base("");
    let is_discovery = description.format() == Format::Discovery;
    let mut wrong = BTreeSet::new();
    for operation in description.operations() {
        let Some(method) = operation.method() else { continue };
        let path = format!("/{}", operation.path().trim_start_matches('/'));
        let filled = shape(&path).replace("{}", "1");
        match description.operation(method, &filled) {
            None => {
                wrong.insert(format!("{file}: {operation} is not found at {filled}"));
            }
            // Discovery documents tell by patterns which one of a shape it is, and 1 fits none of them.
            Some(found) if !is_discovery && shape(found.path()) != shape(operation.path()) => {
                wrong.insert(format!("{file}: {operation} is taken for {found} at {filled}"));
            }
            Some(_) => {}
        }
    }
    wrong
}

/// The path with nameless variables, and without what only tells operations apart for readers: a fragment, and query
/// names without a value.
fn shape(path: &str) -> String {
    let path = path.split('#').next().unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut parts = path.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    let path =
        parts.fold(first, |shape, part| shape + "{}" + part.split_once('}').map_or("", |(_, rest)| rest));
    let pairs: Vec<&str> = query.split('&').filter(|pair| pair.contains('=')).collect();
    if pairs.is_empty() { path } else { format!("{path}?{}", pairs.join("&")) }
}

/// Looks into every operation: nothing may hang or panic, whatever comes.
fn look_into(description: &Description) {
    let json = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    for operation in description.operations() {
        for body in
            ["{}", "[{}]", "null", r#"{"id":"1","object":"a","data":[{"id":1,"items":{"data":[{}]}}]}"#]
        {
            operation.check_response(200, &json, body.as_bytes());
            operation.check_response_strict(200, &json, body.as_bytes());
        }
        operation.unchecked();
    }
}
