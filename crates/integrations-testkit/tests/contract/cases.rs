//! Planted errors, one per rule, in every format; each beside a twin without the error.

use integrations_testkit::contract::Format;

use crate::pets;
use crate::support::{answer, brief, request};

/// A request that is right, the same with one error, and what must be found.
const REQUESTS: &[(&str, &str, &str)] = &[
    ("GET /v1/pets/1", "GET /v1/cats/1", "path: unknown-operation"),
    ("GET /v1/pets/1", "DELETE /v1/pets/1", "path: unknown-operation"),
    ("GET /v1/pets/1", "GET /pets/1", "path: unknown-operation"),
    ("GET /v1/pets/1", "GET /v1/pets/1/", "path: unknown-operation"),
    ("GET /v1/pets/mine", "GET /v1/pets/mine?a=b", "query a: unknown-parameter"),
    ("GET /v1/pets?owner=a&limit=5", "GET /v1/pets?owner=a&limits=5", "query limits: unknown-parameter"),
    ("GET /v1/pets?owner=a", "GET /v1/pets?owner=a&owner[]=b", "query owner[]: unknown-parameter"),
    ("GET /v1/pets?owner=a", "GET /v1/pets", "query owner: missing-parameter"),
    ("GET /v1/pets?owner=a&limit=5", "GET /v1/pets?owner=a&limit=five", "query limit: type"),
    ("GET /v1/pets?owner=a&deep=true", "GET /v1/pets?owner=a&deep=1", "query deep: type"),
    ("GET /v1/pets?owner=a&limit=100", "GET /v1/pets?owner=a&limit=101", "query limit: limit"),
    ("GET /v1/pets?owner=a&kind=cat", "GET /v1/pets?owner=a&kind=cow", "query kind: enum"),
    ("GET /v1/pets?owner=a&tag=x", "GET /v1/pets?owner=a&tag=X", "query tag: pattern"),
    (
        "GET /v1/pets?owner=a&since=2026-01-01T00:00:00%2B01:00",
        "GET /v1/pets?owner=a&since=2026-01-01",
        "query since: format",
    ),
    ("GET /v1/pets/1", "GET /v1/pets/one", "path …: type"),
    ("GET /v1/pets/1", r#"GET /v1/pets/1 | json {"a":1}"#, "body: unexpected-body"),
    (
        r#"POST /v1/pets | json {"name":"a"}"#,
        r#"POST /v1/pets | json {"name":"a","nmae":"b"}"#,
        "body /nmae: unknown-field",
    ),
    (
        r#"POST /v1/pets | json {"name":"a","parts":{"color":"b"}}"#,
        r#"POST /v1/pets | json {"name":"a","parts":{"colour":"b"}}"#,
        "body /parts/colour: unknown-field",
    ),
    (
        r#"POST /v1/pets | json {"name":"a","toys":[{"label":"b"}]}"#,
        r#"POST /v1/pets | json {"name":"a","toys":[{"label":"b"},{"lable":"b"}]}"#,
        "body /toys/1/lable: unknown-field",
    ),
    (
        r#"POST /v1/pets | json {"name":"a","parent":{"name":"b","parent":{"name":"c"}}}"#,
        r#"POST /v1/pets | json {"name":"a","parent":{"name":"b","parent":{"name":"c","x":1}}}"#,
        "body /parent/parent/x: unknown-field",
    ),
    (r#"POST /v1/pets | json {"name":"a"}"#, r#"POST /v1/pets | json {"name":1}"#, "body /name: type"),
    (r#"POST /v1/pets | json {"name":"a"}"#, r#"POST /v1/pets | json [{"name":"a"}]"#, "body: type"),
    (r#"POST /v1/pets | json {"name":"a"}"#, r#"POST /v1/pets | json {"name":null}"#, "body /name: type"),
    (
        r#"POST /v1/pets | json {"name":"a","age":0}"#,
        r#"POST /v1/pets | json {"name":"a","age":-1}"#,
        "body /age: limit",
    ),
    (
        r#"POST /v1/pets | json {"name":"a","age":1}"#,
        r#"POST /v1/pets | json {"name":"a","age":1.5}"#,
        "body /age: type",
    ),
    (
        r#"POST /v1/pets | json {"name":"a","kind":"dog"}"#,
        r#"POST /v1/pets | json {"name":"a","kind":"cow"}"#,
        "body /kind: enum",
    ),
    (
        r#"POST /v1/pets | json {"name":"a","born":"2026-01-01T00:00:00Z"}"#,
        r#"POST /v1/pets | json {"name":"a","born":"yesterday"}"#,
        "body /born: format",
    ),
    (
        r#"POST /v1/pets | json {"name":"a","code":"CH"}"#,
        r#"POST /v1/pets | json {"name":"a","code":"ch"}"#,
        "body /code: pattern",
    ),
    (
        r#"POST /v1/pets | json {"name":"a"}"#,
        r#"POST /v1/pets | json {"age":1}"#,
        "body /name: missing-field",
    ),
    (
        r#"POST /v1/pets | json {"name":"a"}"#,
        r#"POST /v1/pets | json {"name":"a","id":1}"#,
        "body /id: read-only",
    ),
    (
        r#"POST /v1/pets | json {"name":"a"}"#,
        r#"POST /v1/pets | text {"name":"a"}"#,
        "header content-type: content-type",
    ),
    (r#"POST /v1/pets | json {"name":"a"}"#, r#"POST /v1/pets | json {"name":"a""#, "body: malformed"),
    (r#"POST /v1/pets | json {"name":"a"}"#, "POST /v1/pets", "body: missing-body"),
];

/// An answer that is right, the same with one error, and what must be found; and whether the lenient judge finds it too.
const ANSWERS: &[(&str, &str, &str, &str, bool)] = &[
    ("GET /v1/pets/1", r#"200 json {"name":"a","id":1}"#, r#"200 json {"name":1}"#, "body /name: type", true),
    (
        "GET /v1/pets/1",
        r#"200 json {"name":"a","more":1}"#,
        r#"200 json {"id":1}"#,
        "body /name: missing-field",
        false,
    ),
    (
        "GET /v1/pets/1",
        r#"200 json {"name":"a","kind":"cat"}"#,
        r#"200 json {"name":"a","kind":"cow"}"#,
        "body /kind: enum",
        false,
    ),
    (
        "GET /v1/pets/1",
        r#"200 json {"name":"a","age":1}"#,
        r#"200 json {"name":"a","age":-1}"#,
        "body /age: limit",
        true,
    ),
    (
        "GET /v1/pets/1",
        r#"200 json {"name":"a","born":"2026-01-01T00:00:00Z"}"#,
        r#"200 json {"name":"a","born":"1.1.2026"}"#,
        "body /born: format",
        true,
    ),
    (
        "GET /v1/pets/1",
        r#"200 json {"name":"a","toys":[{"label":"b"}]}"#,
        r#"200 json {"name":"a","toys":[{"label":2}]}"#,
        "body /toys/0/label: type",
        true,
    ),
    (
        "GET /v1/pets/1",
        r#"200 json {"name":"a","parent":{"name":"b"}}"#,
        r#"200 json {"name":"a","parent":{"name":2}}"#,
        "body /parent/name: type",
        true,
    ),
    (
        "GET /v1/pets?owner=a",
        r#"200 json [{"name":"a"}]"#,
        r#"200 json [{"name":"a"},{"name":2}]"#,
        "body /1/name: type",
        true,
    ),
    ("GET /v1/pets?owner=a", "200 json []", r#"200 json {"name":"a"}"#, "body: type", true),
    ("GET /v1/pets/1", r#"200 json {"name":"a"}"#, "200 json {", "body: malformed", true),
    ("GET /v1/pets/1", r#"200 json {"name":"a"}"#, "200", "body: missing-body", false),
    (
        "GET /v1/pets/1",
        r#"200 json {"name":"a"}"#,
        r#"200 text {"name":"a"}"#,
        "header content-type: content-type",
        false,
    ),
    ("GET /v1/pets/mine", "204", r#"204 json {"a":1}"#, "body: unexpected-body", false),
    ("GET /v1/pets/1", r#"200 json {"name":"a"}"#, "404", "status: unknown-status", false),
];

/// What a format has no words for.
const CANNOT_SAY: &[(Format, &str, &str)] =
    &[(Format::Discovery, "body /name: missing-field", "required fields of answers")];

#[test]
fn every_planted_error_of_a_request_is_found_in_every_format() {
    let mut wrong = Vec::new();
    let mut cases = 0;
    for (format, description) in pets::all() {
        for (good, bad, expected) in REQUESTS {
            cases += 1;
            let found = brief(&description.check_request(&request(good)));
            if !found.is_empty() {
                wrong.push(format!("{format}: {good}: {found:?}"));
            }
            let found = brief(&description.check_request(&request(bad)));
            // The name of a path variable is the format's own matter.
            let is_same = match expected.split_once('…') {
                Some((before, after)) => {
                    found.len() == 1 && found[0].starts_with(before) && found[0].ends_with(after)
                }
                None => found == [*expected],
            };
            if !is_same {
                wrong.push(format!("{format}: {bad}: {found:?} instead of {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases >= 5 * 30);
}

#[test]
fn every_planted_error_of_an_answer_is_found_in_every_format() {
    let mut wrong = Vec::new();
    for (format, description) in pets::all() {
        for (route, good, bad, expected, is_lenient) in ANSWERS {
            for strict in [true, false] {
                let found = brief(&answer(&description, route, good, strict));
                if !found.is_empty() {
                    wrong.push(format!("{format}: {good} (strict: {strict}): {found:?}"));
                }
                let found = brief(&answer(&description, route, bad, strict));
                let can_say = !CANNOT_SAY.iter().any(|(other, what, _)| *other == format && what == expected);
                let expected: &[&str] = if (strict || *is_lenient) && can_say { &[expected] } else { &[] };
                if found != expected {
                    wrong.push(format!("{format}: {bad} (strict: {strict}): {found:?}, not {expected:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
