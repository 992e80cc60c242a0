//! Whatever is read, and whatever comes to be judged, nothing panics.

use http::{HeaderMap, HeaderValue, Method, Uri};
use integrations_testkit::contract::{Description, Request};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Words of all formats, so that garbage reaches every reader.
const WORDS: &[&str] = &[
    "type",
    "properties",
    "items",
    "required",
    "enum",
    "format",
    "pattern",
    "$ref",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "nullable",
    "additionalProperties",
    "minimum",
    "exclusiveMinimum",
    "discriminator",
    "propertyName",
    "mapping",
    "parameters",
    "in",
    "name",
    "schema",
    "content",
    "application/json",
    "responses",
    "200",
    "default",
    "requestBody",
    "get",
    "post",
    "servers",
    "url",
    "style",
    "explode",
    "methods",
    "resources",
    "path",
    "httpMethod",
    "repeated",
    "links",
    "href",
    "method",
    "targetSchema",
    "definitions",
    "schemas",
    "components",
    "paths",
    "/a/{b}",
    "x-ms-paths",
];

fn garbage() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(WORDS);
    let leaf = prop_oneof![
        word.clone().prop_map(|word| json!(word)),
        prop::sample::select(
            &["#", "#/paths/~1a~1{b}", "#/%zz", "/a/{+b}:{c", "query", "GET", "array", "^(", "[a]"][..]
        )
        .prop_map(|text| json!(text)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        let key = prop::sample::select(WORDS).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn of_all_formats(garbage: &Value) -> [Value; 5] {
    let item = json!({"get": garbage, "post": {"parameters": garbage, "requestBody": garbage, "responses": {"200": garbage}}});
    let open_api = |version: &str| {
        json!({"openapi": version, "servers": garbage, "paths": {"/a/{b}": item, "/c": garbage},
            "components": {"schemas": garbage}})
    };
    [
        open_api("3.0.0"),
        open_api("3.1.0"),
        json!({"swagger": "2.0", "x-ms-paths": {"/a/{b}?c=d": item}, "definitions": garbage, "paths": garbage}),
        json!({"kind": "discovery#restDescription", "schemas": garbage, "methods": {"a": garbage, "b": {
            "path": "a/{+b}", "httpMethod": "GET", "parameters": garbage, "request": garbage, "response": garbage}}}),
        json!({"$schema": "hyper-schema", "definitions": {"a": {"links": [garbage, {"href": "/a/{b}", "schema": garbage,
            "targetSchema": garbage, "method": "POST"}]}}, "links": garbage}),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Description::parse(&bytes);
        let _ = Description::parse(&[&[0x1f, 0x8b, 8][..], &bytes].concat());
    }

    #[test]
    fn text(text in "[-a-z:{}\\[\\]&*!<\" \n#|>0-9.,?]{0,120}") {
        let _ = Description::parse(text.as_bytes());
        let _ = Description::parse(format!("openapi: 3.0.0\npaths:\n  {text}").as_bytes());
    }

    #[test]
    fn descriptions(garbage in garbage(), body in garbage(), query in "[a-c\\[\\]=&%+,0-9]{0,30}") {
        let uri: Uri = format!("/a/1?{}", query.replace('[', "%5B").replace(']', "%5D")).parse().unwrap();
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, json.clone())]);
        for text in of_all_formats(&garbage) {
            let description = Description::parse(text.to_string().as_bytes()).unwrap();
            for method in [Method::GET, Method::POST] {
                let request = Request::new(method, uri.clone()).body(json.clone(), body.to_string());
                description.check_request(&request);
            }
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            description.check_request(&Request::new(Method::POST, uri.clone()).body(form, query.clone()));
            for operation in description.operations() {
                operation.check_response(200, &headers, body.to_string().as_bytes());
                operation.check_response_strict(200, &headers, body.to_string().as_bytes());
                operation.unchecked();
            }
            description.dangling();
        }
    }
}
