//! Rules that only some formats have words for; each row beside its twin.

use integrations_testkit::contract::{Description, ProviderReport, ReadError, Report, Unchecked};
use serde_json::{Value, json};

use crate::pets::read;
use crate::support::{answer, brief, request};

type Row = (&'static str, &'static str, &'static str);

fn requests(description: &Description, rows: &[Row]) {
    let mut wrong = Vec::new();
    for (good, bad, expected) in rows {
        let (fine, found) = (
            brief(&description.check_request(&request(good))),
            brief(&description.check_request(&request(bad))),
        );
        if !fine.is_empty() || found != [*expected] {
            wrong.push(format!("{good}: {fine:?}\n{bad}: {found:?} instead of {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn get(parameters: &Value) -> Description {
    read(&json!({"openapi": "3.0.3", "paths": {"/a": {"get": {"parameters": parameters, "responses": {}}}}}))
}

fn post(version: &str, kind: &str, schema: &Value, components: &Value) -> Description {
    let content = json!({kind: {"schema": schema}});
    read(&json!({"openapi": version, "paths": {"/a": {"post": {
        "requestBody": {"content": content}, "responses": {"200": {"content": content}}
    }}}, "components": {"schemas": components}}))
}

#[test]
fn styles_of_query_parameters() {
    let numbers = json!({"type": "array", "items": {"type": "integer"}, "maxItems": 2});
    let range = json!({"type": "object", "properties": {"gte": {"type": "integer"}, "in": numbers},
        "additionalProperties": false});
    let description = get(&json!([
        {"in": "query", "name": "each", "schema": numbers},
        {"in": "query", "name": "comma", "explode": false, "schema": numbers},
        {"in": "query", "name": "space", "style": "spaceDelimited", "explode": false, "schema": numbers},
        {"in": "query", "name": "pipe", "style": "pipeDelimited", "explode": false, "schema": numbers},
        {"in": "query", "name": "deep", "style": "deepObject", "explode": true, "schema": range},
        {"in": "query", "name": "list", "style": "deepObject", "explode": true, "schema": numbers},
        {"in": "query", "name": "spread", "schema": {"type": "object", "properties": {"from": {"type": "integer"}}}},
        {"in": "query", "name": "one", "schema": {"type": "string"}},
        {"in": "query", "name": "json", "content": {"application/json": {"schema": range}}}
    ]));
    requests(
        &description,
        &[
            ("GET /a?each=1&each=2", "GET /a?each=1&each=x", "query each /1: type"),
            ("GET /a?each=1&each=2", "GET /a?each=1&each=2&each=3", "query each: limit"),
            ("GET /a?each=1", "GET /a?each=1,2", "query each /0: type"),
            ("GET /a?one=1", "GET /a?one=1&one=2", "query one: type"),
            ("GET /a?comma=1,2", "GET /a?comma=1,x", "query comma /1: type"),
            ("GET /a?comma=1%2C2", "GET /a?comma=1%2C2%2C3", "query comma: limit"),
            ("GET /a?comma=1,2", "GET /a?comma=1&comma=2", "query comma: style"),
            ("GET /a?space=1%202", "GET /a?space=1,2", "query space /0: type"),
            ("GET /a?space=1+2", "GET /a?space=1%202%203", "query space: limit"),
            ("GET /a?pipe=1%7C2", "GET /a?pipe=1%202", "query pipe /0: type"),
            ("GET /a?deep[gte]=1", "GET /a?deep[gte]=x", "query deep /gte: type"),
            ("GET /a?deep%5Bgte%5D=1", "GET /a?deep%5Bgt%5D=1", "query deep /gt: unknown-field"),
            (
                "GET /a?deep[in][]=1&deep[in][]=2",
                "GET /a?deep[in][]=1&deep[in][]=x",
                "query deep /in/1: type",
            ),
            ("GET /a?list[]=1", "GET /a?list[]=x", "query list /0: type"),
            ("GET /a?list[0]=1&list[1]=2", "GET /a?list[0]=1&list[1]=x", "query list /1: type"),
            ("GET /a?from=1", "GET /a?from=x", "query spread /from: type"),
            (
                "GET /a?json=%7B%22gte%22%3A1%7D",
                "GET /a?json=%7B%22gt%22%3A1%7D",
                "query json /gt: unknown-field",
            ),
            ("GET /a?json=%7B%7D", "GET /a?json=gte", "query json: type"),
        ],
    );
}

#[test]
fn headers_and_paths() {
    let description = read(&json!({"openapi": "3.0.3", "paths": {"/a/{ids}": {
        "parameters": [
            {"in": "path", "name": "ids", "required": true, "schema": {"type": "array", "items": {"type": "integer"}}},
            {"in": "header", "name": "X-Version", "required": true, "schema": {"type": "string", "enum": ["1", "2"]}},
            {"in": "header", "name": "X-Count", "schema": {"type": "integer"}},
            {"in": "header", "name": "Authorization", "required": true, "schema": {"type": "integer"}}
        ],
        "get": {"responses": {}}
    }}}));
    requests(
        &description,
        &[
            ("GET /a/1,2 | x-version: 1", "GET /a/1,x | x-version: 1", "path ids /1: type"),
            (
                "GET /a/1 | x-version: 1 | x-other: 9",
                "GET /a/1 | x-other: 9",
                "header x-version: missing-parameter",
            ),
            ("GET /a/1 | x-version: 1", "GET /a/1 | x-version: 3", "header x-version: enum"),
            (
                "GET /a/1 | x-version: 1 | x-count: 9",
                "GET /a/1 | x-version: 1 | x-count: n",
                "header x-count: type",
            ),
        ],
    );
}

#[test]
fn fields_of_all_branches_are_known_and_no_others() {
    let components = json!({
        "Base": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
        "Card": {"type": "object", "required": ["number"],
            "properties": {"kind": {"type": "string"}, "number": {"type": "string"}}},
        "Bank": {"type": "object", "required": ["iban"],
            "properties": {"kind": {"type": "string"}, "iban": {"type": "string"}}}
    });
    let card = json!({"$ref": "#/components/schemas/Card"});
    let bank = json!({"$ref": "#/components/schemas/Bank"});
    let schema = json!({
        "allOf": [{"$ref": "#/components/schemas/Base"}, {"properties": {"note": {"type": "string"}}}],
        "properties": {
            "pay": {"oneOf": [card, bank]},
            "any": {"anyOf": [card, {"type": "string"}]},
            "kinds": {"oneOf": [card, bank], "discriminator": {"propertyName": "kind",
                "mapping": {"c": "#/components/schemas/Card", "b": "#/components/schemas/Bank"}}},
            "open": {"type": "object", "properties": {"a": {}}, "additionalProperties": true},
            "map": {"type": "object", "additionalProperties": {"type": "integer"}},
            "closed": {"type": "object", "additionalProperties": false},
            "mixed": {"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "integer"}},
            "free": {"type": "object"},
            "not": {"not": {"type": "string"}}
        }
    });
    for version in ["3.0.3", "3.1.0"] {
        requests(
            &post(version, "application/json", &schema, &components),
            &[
                (
                    r#"POST /a | json {"id":"1","note":"a"}"#,
                    r#"POST /a | json {"id":"1","nite":"a"}"#,
                    "body /nite: unknown-field",
                ),
                (r#"POST /a | json {"id":"1"}"#, r#"POST /a | json {"note":"1"}"#, "body /id: missing-field"),
                (
                    r#"POST /a | json {"id":"1","pay":{"number":"1"}}"#,
                    r#"POST /a | json {"id":"1","pay":{"number":"1","iban":"1","x":1}}"#,
                    "body /pay/x: unknown-field",
                ),
                (
                    r#"POST /a | json {"id":"1","pay":{"iban":"1"}}"#,
                    r#"POST /a | json {"id":"1","pay":{"iban":"1","number":2}}"#,
                    "body /pay/number: unknown-field",
                ),
                (
                    r#"POST /a | json {"id":"1","any":"x"}"#,
                    r#"POST /a | json {"id":"1","any":7}"#,
                    "body /any: alternatives",
                ),
                (
                    r#"POST /a | json {"id":"1","any":{"number":"1"}}"#,
                    r#"POST /a | json {"id":"1","any":{"number":1}}"#,
                    "body /any/number: type",
                ),
                (
                    r#"POST /a | json {"id":"1","kinds":{"kind":"b","iban":"1"}}"#,
                    r#"POST /a | json {"id":"1","kinds":{"kind":"c","number":"1","iban":"1"}}"#,
                    "body /kinds/iban: unknown-field",
                ),
                (
                    r#"POST /a | json {"id":"1","open":{"b":1}}"#,
                    r#"POST /a | json {"id":"1","open":1}"#,
                    "body /open: type",
                ),
                (
                    r#"POST /a | json {"id":"1","map":{"b":1}}"#,
                    r#"POST /a | json {"id":"1","map":{"b":"1"}}"#,
                    "body /map/b: type",
                ),
                (
                    r#"POST /a | json {"id":"1","mixed":{"b":1}}"#,
                    r#"POST /a | json {"id":"1","mixed":{"b":"1"}}"#,
                    "body /mixed/b: type",
                ),
                (
                    r#"POST /a | json {"id":"1","closed":{}}"#,
                    r#"POST /a | json {"id":"1","closed":{"b":1}}"#,
                    "body /closed/b: unknown-field",
                ),
                (
                    r#"POST /a | json {"id":"1","free":{"b":1}}"#,
                    r#"POST /a | json {"id":"1","free":[]}"#,
                    "body /free: type",
                ),
                (
                    r#"POST /a | json {"id":"1","not":1}"#,
                    r#"POST /a | json {"id":"1","not":"1"}"#,
                    "body /not: alternatives",
                ),
            ],
        );
    }
}

#[test]
fn words_of_3_0_and_of_3_1() {
    let old = json!({"type": "object", "properties": {
        "n": {"type": "number", "minimum": 0, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": false},
        "small": {"type": "integer", "format": "int32"},
        "file": {"type": "string", "format": "byte"},
        "short": {"$ref": "#/components/schemas/Text", "maxLength": 2},
        "none": {"type": "string", "nullable": true, "enum": ["a"]},
        "ref": {"nullable": true, "$ref": "#/components/schemas/Text"}
    }});
    let components = json!({"Text": {"type": "string"}});
    requests(
        &post("3.0.3", "application/json", &old, &components),
        &[
            (r#"POST /a | json {"n":0.1}"#, r#"POST /a | json {"n":0}"#, "body /n: limit"),
            (r#"POST /a | json {"n":9}"#, r#"POST /a | json {"n":9.1}"#, "body /n: limit"),
            (
                r#"POST /a | json {"small":2147483647}"#,
                r#"POST /a | json {"small":2147483648}"#,
                "body /small: limit",
            ),
            (r#"POST /a | json {"short":"abc"}"#, r#"POST /a | json {"short":1}"#, "body /short: type"),
            (r#"POST /a | json {"file":"+/8="}"#, r#"POST /a | json {"file":"a"}"#, "body /file: format"),
            (r#"POST /a | json {"file":"-_8"}"#, r#"POST /a | json {"file":" "}"#, "body /file: format"),
            (r#"POST /a | json {"file":"aGk="}"#, r#"POST /a | json {"file":"?"}"#, "body /file: format"),
            (r#"POST /a | json {"none":null}"#, r#"POST /a | json {"none":1}"#, "body /none: type"),
            (r#"POST /a | json {"ref":null}"#, r#"POST /a | json {"ref":1}"#, "body /ref: type"),
        ],
    );
    let new = json!({"type": "object", "patternProperties": {"^x-": {"type": "integer"}}, "properties": {
        "none": {"type": ["string", "null"]},
        "n": {"type": "number", "exclusiveMinimum": 0},
        "ref": {"$ref": "#/components/schemas/Text", "maxLength": 2},
        "pair": {"prefixItems": [{"type": "string"}, {"type": "integer"}]},
        "one": {"const": "a"}
    }});
    requests(
        &post("3.1.0", "application/json", &new, &components),
        &[
            (r#"POST /a | json {"none":null}"#, r#"POST /a | json {"none":1}"#, "body /none: type"),
            (r#"POST /a | json {"n":0.1}"#, r#"POST /a | json {"n":0}"#, "body /n: limit"),
            (r#"POST /a | json {"ref":"ab"}"#, r#"POST /a | json {"ref":"abc"}"#, "body /ref: limit"),
            (r#"POST /a | json {"x-a":1}"#, r#"POST /a | json {"x-a":"1"}"#, "body /x-a: type"),
            (r#"POST /a | json {"x-a":1}"#, r#"POST /a | json {"y-a":1}"#, "body /y-a: unknown-field"),
            (
                r#"POST /a | json {"pair":["a",1]}"#,
                r#"POST /a | json {"pair":["a","b"]}"#,
                "body /pair/1: type",
            ),
            (r#"POST /a | json {"one":"a"}"#, r#"POST /a | json {"one":"b"}"#, "body /one: enum"),
        ],
    );
}

#[test]
fn forms_with_brackets() {
    let schema = json!({"type": "object", "required": ["amount"], "additionalProperties": false, "properties": {
        "amount": {"type": "integer"},
        "expand": {"type": "array", "items": {"type": "string"}},
        "card": {"type": "object", "properties": {"month": {"type": "integer"}, "number": {"type": "string"}}},
        "items": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "integer"}}}},
        "metadata": {"anyOf": [{"type": "object", "additionalProperties": {"type": "string"}}, {"type": "string", "enum": [""]}]},
        "end": {"anyOf": [{"type": "string", "enum": ["now"]}, {"type": "integer"}]},
        "on": {"type": "boolean"}
    }});
    for (kind, word) in [("application/x-www-form-urlencoded", "form"), ("multipart/form-data", "multi")] {
        let description = post("3.0.3", kind, &schema, &json!({}));
        let rows: &[(&str, &str, &str)] = &[
            ("amount=1&expand[]=a&expand[]=b", "expand[]=a", "body /amount: missing-field"),
            ("amount=1", "amount=one", "body /amount: type"),
            ("amount=1&expand[0]=a", "amount=1&expnad[0]=a", "body /expnad: unknown-field"),
            ("amount=1&card[month]=2", "amount=1&card[month]=x", "body /card/month: type"),
            ("amount=1&card[number]=42", "amount=1&card[nmber]=42", "body /card/nmber: unknown-field"),
            ("amount=1&items[0][price]=1", "amount=1&items[0][price]=x", "body /items/0/price: type"),
            (
                "amount=1&items[0][price]=1",
                "amount=1&items[0][prise]=1",
                "body /items/0/prise: unknown-field",
            ),
            ("amount=1&metadata[a]=7", "amount=1&metadata[a][b]=7", "body /metadata/a: type"),
            ("amount=1&metadata=", "amount=1&metadata=x", "body /metadata: enum"),
            ("amount=1&end=now", "amount=1&end=then", "body /end: enum"),
            ("amount=1&end=17", "amount=1&end[a]=17", "body /end: alternatives"),
            ("amount=1&on=true", "amount=1&on=yes", "body /on: type"),
        ];
        for (good, bad, expected) in rows {
            let line =
                |body: &str| brief(&description.check_request(&request(&format!("POST /a | {word} {body}"))));
            assert_eq!(line(good), [""; 0], "{word} {good}");
            assert_eq!(line(bad), [*expected], "{word} {bad}");
        }
    }
}

#[test]
fn open_api_2_has_its_own_styles_forms_and_paths() {
    let description = read(&json!({
        "swagger": "2.0", "basePath": "/api",
        "paths": {"/send": {"post": {
            "consumes": ["application/x-www-form-urlencoded", "application/json"],
            "parameters": [
                {"in": "query", "name": "csv", "type": "array", "items": {"type": "integer"}},
                {"in": "query", "name": "multi", "type": "array", "collectionFormat": "multi", "items": {"type": "integer"}},
                {"in": "query", "name": "pipes", "type": "array", "collectionFormat": "pipes", "items": {"type": "integer"}},
                {"in": "formData", "name": "text", "type": "string", "required": true},
                {"in": "formData", "name": "count", "type": "integer"}
            ],
            "responses": {"200": {"schema": {"type": "object", "properties": {"a": {"type": "string", "x-nullable": true}}}}}
        }}},
        "x-ms-paths": {
            "/{box}?comp=list": {"get": {"parameters": [
                {"in": "query", "name": "max", "type": "integer"}], "responses": {"200": {}}}},
            "/{box}?restype=box": {"get": {"responses": {"200": {}}}}
        },
        "securityDefinitions": {"key": {"type": "apiKey", "in": "query", "name": "sig"}}
    }));
    requests(
        &description,
        &[
            (
                "POST /api/send?csv=1,2 | form text=a",
                "POST /api/send?csv=1,x | form text=a",
                "query csv /1: type",
            ),
            (
                "POST /api/send?multi=1&multi=2 | form text=a",
                "POST /api/send?multi=1,2 | form text=a",
                "query multi /0: type",
            ),
            (
                "POST /api/send?pipes=1%7C2 | form text=a",
                "POST /api/send?pipes=1,2 | form text=a",
                "query pipes /0: type",
            ),
            (
                "POST /api/send | form text=a",
                "POST /api/send | form txt=a&text=a",
                "body /txt: unknown-field",
            ),
            ("POST /api/send | form text=a", "POST /api/send | form count=1", "body /text: missing-field"),
            (
                r#"POST /api/send | json {"text":"a","count":1}"#,
                r#"POST /api/send | json {"text":"a","count":"1"}"#,
                "body /count: type",
            ),
            (
                "POST /api/send?sig=x | form text=a",
                "POST /api/send?sgi=x | form text=a",
                "query sgi: unknown-parameter",
            ),
            ("GET /api/b?comp=list&max=1", "GET /api/b?comp=list&max=x", "query max: type"),
            ("GET /api/b?restype=box", "GET /api/b?restype=box&max=1", "query max: unknown-parameter"),
            ("GET /api/b?restype=box", "GET /api/b?restype=bag", "path: unknown-operation"),
        ],
    );
    assert_eq!(brief(&answer(&description, "POST /api/send", r#"200 json {"a":null}"#, true)), [""; 0]);
}

#[test]
fn discovery_documents_tell_operations_apart_by_patterns() {
    let named = |id: &str, verb: &str, path: &str, pattern: &str| {
        json!({"id": id, "httpMethod": verb, "path": path, "response": {"$ref": "Thing"}, "parameters": {
            "name": {"type": "string", "location": "path", "required": true, "pattern": pattern},
            "ids": {"type": "integer", "location": "query", "repeated": true},
            "view": {"type": "string", "location": "query", "repeated": true, "enum": ["A", "B"]},
            "count": {"type": "integer", "format": "int32", "minimum": "1", "location": "query"}
        }})
    };
    let mut upload = named("put", "PUT", "v1/{+name}", "^b/[^/]+$");
    upload["supportsMediaUpload"] = json!(true);
    upload["mediaUpload"] = json!({"protocols": {"simple": {"path": "/upload/v1/{+name}"}}});
    let description = read(&json!({
        "kind": "discovery#restDescription", "rootUrl": "https://a.example/", "servicePath": "",
        "schemas": {"None": {"id": "None", "type": "object"}, "Thing": {"id": "Thing", "type": "object", "properties": {
            "size": {"type": "string", "format": "int64"},
            "wait": {"type": "string", "format": "google-duration"},
            "any": {"type": "any"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}}
        }}},
        "methods": {
            "a": named("a.get", "GET", "v1/{+name}", "^a/[^/]+$"),
            "b": named("b.get", "GET", "v1/{+name}", "^b/[^/]+$"),
            "run": named("a.run", "GET", "v1/{+name}:run", "^a/[^/]+$"),
            "put": upload,
            "stop": {"id": "a.stop", "httpMethod": "POST", "path": "v1/{+name}:stop", "request": {"$ref": "None"}}
        }
    }));
    assert_eq!(brief(&description.check_request(&request("POST /v1/a/1:stop"))), [""; 0]);
    let id = |path: &str| {
        description.operation(&http::Method::GET, path).and_then(|found| found.id().map(str::to_owned))
    };
    assert_eq!(id("/v1/a/1").as_deref(), Some("a.get"));
    assert_eq!(id("/v1/b/1").as_deref(), Some("b.get"));
    assert_eq!(id("/v1/a/1:run").as_deref(), Some("a.run"));
    requests(
        &description,
        &[
            ("GET /v1/a/1?ids=1&ids=2", "GET /v1/a/1?ids=1&ids=x", "query ids /1: type"),
            ("GET /v1/a/1?view=A&view=B", "GET /v1/a/1?view=A&view=C", "query view /1: enum"),
            ("GET /v1/a/1?count=1", "GET /v1/a/1?count=0", "query count: limit"),
            ("GET /v1/a/1", "GET /v1/a/1/2", "path name: pattern"),
            (
                "PUT /upload/v1/b/1?uploadType=media | text a",
                "PUT /upload/v1/b/1?uplaodType=media | text a",
                "query uplaodType: unknown-parameter",
            ),
        ],
    );
    for (good, bad, expected) in [
        (r#"{"size":"12"}"#, r#"{"size":12}"#, "body /size: type"),
        (r#"{"size":"-12"}"#, r#"{"size":"a"}"#, "body /size: format"),
        (r#"{"wait":"1.5s"}"#, r#"{"wait":"1.5"}"#, "body /wait: format"),
        (r#"{"any":[1]}"#, "[]", "body: type"),
        (r#"{"labels":{"a":"b"}}"#, r#"{"labels":{"a":1}}"#, "body /labels/a: type"),
    ] {
        let found =
            |body: &str| brief(&answer(&description, "GET /v1/a/1", &format!("200 json {body}"), true));
        assert_eq!(found(good), [""; 0]);
        assert_eq!(found(bad), [expected]);
    }
}

#[test]
fn a_kind_that_the_description_does_not_know_is_let_through_in_answers_of_the_vendor_only() {
    let components = json!({
        "card": {"type": "object", "properties": {"kind": {"type": "string"}, "number": {"type": "string"}}},
        "bank": {"type": "object", "properties": {"kind": {"type": "string"}, "iban": {"type": "string"}}}
    });
    let branches = json!([{"$ref": "#/components/schemas/card"}, {"$ref": "#/components/schemas/bank"}]);
    let schema = json!({"oneOf": branches, "discriminator": {"propertyName": "kind"}});
    let description = post("3.1.0", "application/json", &schema, &components);
    requests(
        &description,
        &[
            (
                r#"POST /a | json {"kind":"card"}"#,
                r#"POST /a | json {"kind":"cash"}"#,
                "body /kind: alternatives",
            ),
            (
                r#"POST /a | json {"kind":"card","number":"1"}"#,
                r#"POST /a | json {"kind":"card","iban":"1"}"#,
                "body /iban: unknown-field",
            ),
        ],
    );
    let cash = r#"200 json {"kind":"cash","coins":[1]}"#;
    assert_eq!(brief(&answer(&description, "POST /a", cash, false)), [""; 0]);
    assert_eq!(brief(&answer(&description, "POST /a", cash, true)), ["body /kind: alternatives"]);
    let wrong = r#"200 json {"kind":"card","number":1}"#;
    assert_eq!(brief(&answer(&description, "POST /a", wrong, false)), ["body /number: type"]);
}

#[test]
fn relative_addresses_are_let_through_in_answers_of_the_vendor_only() {
    let schema = json!({"type": "object", "properties": {"next": {"type": "string", "format": "uri"}}});
    let description = post("3.0.3", "application/json", &schema, &json!({}));
    let found = |next: &str, strict| {
        brief(&answer(&description, "POST /a", &format!(r#"200 json {{"next":"{next}"}}"#), strict))
    };
    assert_eq!(found("/a?page=2", false), [""; 0]);
    assert_eq!(found("/a?page=2", true), ["body /next: format"]);
    assert_eq!(found("a b", false), ["body /next: format"]);
    assert_eq!(found("https://a.example/a?page=2", true), [""; 0]);
}

#[test]
fn hyper_schema_links_to_instances_answer_with_lists() {
    let thing = json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "links": [
        {"href": "/things", "rel": "instances", "targetSchema": {"$ref": "#/definitions/thing"}},
        {"href": "/lists", "rel": "instances",
            "targetSchema": {"type": ["array"], "items": {"$ref": "#/definitions/thing"}}},
        {"href": "/things/{id}", "rel": "self", "targetSchema": {"$ref": "#/definitions/thing"}},
        {"href": "https://a.example", "rel": "self"}
    ]});
    let description = read(
        &json!({"$schema": "http://json-schema.org/draft-04/hyper-schema", "definitions": {"thing": thing}}),
    );
    assert_eq!(description.operations().count(), 3);
    for route in ["GET /things", "GET /lists"] {
        assert_eq!(brief(&answer(&description, route, r#"200 json [{"a":null}]"#, true)), [""; 0]);
        assert_eq!(brief(&answer(&description, route, r#"200 json [{"a":1}]"#, true)), ["body /0/a: type"]);
    }
    assert_eq!(brief(&answer(&description, "GET /things/1", "200 json []", true)), ["body: type"]);
}

#[test]
fn a_report_counts_violations_and_tells_what_was_not_checked() {
    let description = get(&json!([]));
    let found = description.check_request(&request("GET /a?b=1"));
    let unchecked = vec![Unchecked { op: "demo.b".to_owned(), why: "no description".to_owned(), due: false }];
    let request_violations = found.into_iter().map(|violation| ("demo.a".to_owned(), violation)).collect();
    let provider = ProviderReport {
        id: "demo".to_owned(),
        operations: 2,
        checked: 1,
        request_violations,
        unchecked,
        ..ProviderReport::default()
    };
    let late = Unchecked { op: "demo.c".to_owned(), why: "no golden".to_owned(), due: true };
    let outcomes = [(vec![], true), (provider.unchecked.clone(), true), (vec![late], false)];
    for (unchecked, passed) in outcomes {
        let provider = ProviderReport { unchecked, ..ProviderReport::default() };
        assert_eq!(Report { providers: vec![provider] }.passed(), passed);
    }
    let report = Report { providers: vec![provider] };
    assert!(!report.passed());
    let expected = json!({"violations": 1, "providers": [{
        "id": "demo", "operations": 2, "checked": 1,
        "request_violations": [
            {"op": "demo.a", "where": "query b", "what": "not described", "rule": "unknown-parameter"}
        ],
        "response_violations": [],
        "unchecked": [{"op": "demo.b", "why": "no description"}]
    }]});
    assert_eq!(serde_json::from_str::<Value>(&report.to_json()).unwrap(), expected);
}

#[test]
fn what_dangles_accepts_everything_and_is_told() {
    let schema = json!({"type": "object", "properties": {
        "a": {"$ref": "#/components/schemas/Gone"}, "b": {"$ref": "https://elsewhere.example/b.json"}, "c": {"type": "string"},
        "d": {"$ref": "#/components/schemas/Gone"}
    }});
    let description = post("3.0.3", "application/json", &schema, &json!({}));
    assert_eq!(description.dangling().len(), 2);
    let operation = description.operations().next().unwrap();
    assert_eq!(operation.unchecked().len(), 2, "{:?}", operation.unchecked());
    requests(
        &description,
        &[(r#"POST /a | json {"a":1,"b":[]}"#, r#"POST /a | json {"a":1,"b":[],"c":1}"#, "body /c: type")],
    );
}

#[test]
fn circles_end() {
    let components = json!({
        "Self": {"$ref": "#/components/schemas/Self"},
        "Either": {"anyOf": [{"$ref": "#/components/schemas/Either"}, {"$ref": "#/components/schemas/Both"}]},
        "Both": {"allOf": [{"$ref": "#/components/schemas/Either"}, {"type": "object"}], "properties": {"next": {"$ref": "#/components/schemas/Both"}}}
    });
    let deep = format!("{}{}", r#"{"next":"#.repeat(60), "{}".to_owned() + &"}".repeat(60));
    for name in ["Self", "Either", "Both"] {
        let schema = json!({"$ref": format!("#/components/schemas/{name}")});
        let description = post("3.0.3", "application/json", &schema, &components);
        assert_eq!(
            brief(&description.check_request(&request(&format!("POST /a | json {deep}")))),
            [""; 0],
            "{name}"
        );
    }
}

#[test]
fn secrets_and_long_values_are_not_shown() {
    let schema = json!({"type": "object", "properties": {
        "access_token": {"type": "integer"}, "count": {"type": "integer"}, "text": {"type": "integer"}
    }});
    let description = post("3.0.3", "application/json", &schema, &json!({}));
    let shown = |body: &str| {
        let found = description.check_request(&request(&format!("POST /a | json {body}")));
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(!shown(r#"{"access_token":"s3cr3t"}"#).contains("s3cr3t"));
    assert!(!shown(r#"{"text":{"inner":1}}"#).contains("inner"));
    assert!(!shown(r#"{"text":["list"]}"#).contains("list"));
    assert_eq!(shown(r#"{"a\nb":1}"#).lines().count(), 1);
    assert!(shown(r#"{"count":"short"}"#).contains("\"short\" is a string, not integer"));
    assert!(!shown(&format!(r#"{{"text":"{}"}}"#, "long".repeat(20))).contains("long"));
    let hook = request("POST /services/T0/0123456789abcdefghijklmn");
    let found = description.check_request(&hook);
    assert!(found[0].to_string().contains("/services/T0/…") && !found[0].to_string().contains("abcdef"));
    assert!(!format!("{hook:?}").contains("abcdef"));
    assert!(!format!("{:?}", request("GET /a?key=s3cr3t | authorization: s3cr3t")).contains("s3cr3t"));
}

#[test]
fn servers_put_paths_before_paths() {
    let of = |servers: Value| {
        let paths = json!({"/a": {"get": {"responses": {}}}});
        read(&json!({"openapi": "3.1.0", "servers": servers, "paths": paths}))
    };
    let found =
        |description: &Description, path: &str| description.operation(&http::Method::GET, path).is_some();
    for (server, good, bad) in [
        (json!([{"url": "https://x.example"}]), "/a", "/v1/a"),
        (json!([{"url": "https://x.example/v1/"}]), "/v1/a", "/a"),
        (json!([{"url": "https://{host}/{version}"}]), "/v9/a", "/a"),
        (json!([{"url": "/v1"}, {"url": "https://x.example/v2"}]), "/v2/a", "/v3/a"),
        (json!([{"url": "x.example/v1"}]), "/v1/a", "/x.example/v1/a"),
        (
            json!([{"url": "https://x.example{base}", "variables": {"base": {"default": "/b/c"}}}]),
            "/b/c/a",
            "/a",
        ),
        (
            json!([{"url": "https://x.example/{base}/v1", "variables": {"base": {"default": ""}}}]),
            "/v1/a",
            "/base/v1/a",
        ),
    ] {
        let description = of(server);
        assert!(found(&description, good) && !found(&description, bad), "{good}");
    }
    let moved = of(json!([{"url": "https://x.example"}])).at_base("/data/{version}");
    assert!(found(&moved, "/data/v60/a") && found(&moved, "/a") && !found(&moved, "/v60/a"));
}

#[test]
fn answers_of_fakes_have_no_fields_that_are_excluded() {
    let open = json!({"type": "object", "properties": {"a": {}}});
    let closed = json!({"type": "object", "properties": {"a": {}}, "additionalProperties": false});
    for (schema, expected) in [(open, vec![]), (closed, vec!["body /b: unknown-field"])] {
        let description = post("3.0.3", "application/json", &schema, &json!({}));
        assert_eq!(brief(&answer(&description, "POST /a", r#"200 json {"b":1}"#, true)), expected);
        assert_eq!(brief(&answer(&description, "POST /a", r#"200 json {"b":1}"#, false)), [""; 0]);
    }
}

#[test]
fn a_required_field_of_the_other_side_is_not_required_of_this_one() {
    let schema = json!({"type": "object", "required": ["id", "password"], "properties": {
        "id": {"$ref": "#/components/schemas/Id"}, "password": {"type": "string", "writeOnly": true}
    }});
    let components = json!({"Id": {"type": "string", "readOnly": true}});
    let description = post("3.0.3", "application/json", &schema, &components);
    requests(
        &description,
        &[(r#"POST /a | json {"password":"a"}"#, "POST /a | json {}", "body /password: missing-field")],
    );
    let found = |body: &str| brief(&answer(&description, "POST /a", &format!("200 json {body}"), true));
    assert_eq!(found(r#"{"id":"1"}"#), [""; 0]);
    assert_eq!(found("{}"), ["body /id: missing-field"]);
}

#[test]
fn a_value_that_names_its_subtype_may_have_fields_of_its_own() {
    let schema = json!({"type": "object", "discriminator": {"propertyName": "kind"},
        "properties": {"kind": {"type": "string"}}});
    requests(
        &post("3.0.3", "application/json", &schema, &json!({})),
        &[(
            r#"POST /a | json {"kind":"b","own":1}"#,
            r#"POST /a | json {"own":1}"#,
            "body /own: unknown-field",
        )],
    );
}

#[test]
fn the_nearer_description_counts() {
    let of = |schema: Value| json!({"in": "query", "name": "n", "schema": schema});
    let content = json!({
        "*/*": {"schema": {"type": "string"}},
        "application/json": {"schema": {"$ref": "#/components/schemas/A%20b"}}
    });
    let description = read(&json!({"openapi": "3.0.3", "paths": {"/a": {
        "parameters": [of(json!({"type": "boolean"})), {"$ref": "#/components/parameters/M"}],
        "post": {"parameters": [of(json!({"enum": ["a b"]}))], "requestBody": {"content": content}, "responses": {}}
    }}, "components": {
        "schemas": {"A b": {"type": "integer"}},
        "parameters": {"M": {"in": "query", "name": "m", "schema": {"type": "integer"}}}
    }}));
    requests(
        &description,
        &[
            ("POST /a?n=a+b", "POST /a?n=true", "query n: enum"),
            ("POST /a?n=a%20b&m=1", "POST /a?n=a%2Bb&m=1", "query n: enum"),
            ("POST /a?m=1", "POST /a?m=x", "query m: type"),
            ("POST /a | json 1", r#"POST /a | json "a""#, "body: type"),
        ],
    );
}

#[test]
fn headers_of_answers_are_asked_of_fakes_only() {
    let headers = json!({"X-Left": {"required": true, "schema": {"type": "integer"}}});
    let description = read(&json!({"openapi": "3.0.3", "paths": {"/a": {"get": {"responses": {
        "200": {"headers": headers}, "5XX": {}, "default": {"headers": headers}}}}}}));
    let operation = description.operation(&http::Method::GET, "/a").unwrap();
    let left = |value: &'static str| {
        http::HeaderMap::from_iter([(
            "x-left".parse::<http::HeaderName>().unwrap(),
            http::HeaderValue::from_static(value),
        )])
    };
    for status in [200, 404] {
        let strict =
            |headers: &http::HeaderMap| brief(&operation.check_response_strict(status, headers, b""));
        assert_eq!(strict(&left("1")), [""; 0]);
        assert_eq!(strict(&left("x")), ["header x-left: type"]);
        assert_eq!(strict(&http::HeaderMap::new()), ["header x-left: missing-parameter"]);
        assert_eq!(brief(&operation.check_response(status, &left("x"), b"")), [""; 0]);
    }
    assert_eq!(brief(&operation.check_response_strict(503, &http::HeaderMap::new(), b"")), [""; 0]);
}

#[test]
fn what_is_excluded_is_excluded_in_answers_of_fakes_only() {
    let schema = json!({"type": "object", "properties": {"a": {"not": {"type": "string"}}}});
    let description = post("3.0.3", "application/json", &schema, &json!({}));
    assert_eq!(brief(&answer(&description, "POST /a", r#"200 json {"a":"b"}"#, false)), [""; 0]);
    assert_eq!(
        brief(&answer(&description, "POST /a", r#"200 json {"a":"b"}"#, true)),
        ["body /a: alternatives"]
    );
}

#[test]
fn a_pattern_that_no_one_understands_is_told_and_the_rest_is_judged() {
    let schema =
        json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "(", "maxLength": 2}}});
    let description = post("3.0.3", "application/json", &schema, &json!({}));
    let operation = description.operations().next().unwrap();
    assert!(operation.unchecked().iter().any(|why| why.contains("pattern")));
    requests(
        &description,
        &[(r#"POST /a | json {"a":"ab"}"#, r#"POST /a | json {"a":"abc"}"#, "body /a: limit")],
    );
}

#[test]
fn references_are_followed_as_written_and_not_in_examples() {
    let schema = json!({"$ref": "#/components/schemas/C%20d", "example": {"$ref": "#/gone"}});
    let description = post("3.0.3", "application/json", &schema, &json!({"C%20d": {"type": "integer"}}));
    assert!(description.dangling().is_empty(), "{:?}", description.dangling());
    requests(&description, &[("POST /a | json 1", r#"POST /a | json "a""#, "body: type")]);
}

#[test]
fn webhooks_are_listed_and_no_request_goes_to_them() {
    let description =
        read(&json!({"openapi": "3.1.0", "webhooks": {"paid": {"post": {"operationId": "onPaid"}}}}));
    let operation = description.by_id("onPaid").unwrap();
    assert_eq!((operation.method(), operation.to_string().as_str()), (None, "webhook paid"));
    assert!(description.operation(&http::Method::POST, "/paid").is_none());
    assert_eq!(brief(&operation.check_request(&request("POST /paid"))), ["path: unknown-operation"]);
}

#[test]
fn text_in_quotes_stays_text_and_aliases_cannot_fill_the_memory() {
    let yaml = "openapi: '3.1.0'\npaths:\n  /a:\n    get:\n      parameters:\n      - {in: query, name: v, schema: {enum: ['1']}}\n      - {in: query, name: n, schema: {enum: [1]}}\n";
    let description = Description::parse(yaml.as_bytes()).unwrap();
    requests(&description, &[("GET /a?v=1&n=1", "GET /a?v=2&n=1", "query v: enum")]);
    let mut bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for (name, of) in ('b'..='z').zip('a'..) {
        bomb.push_str(&format!("{name}: &{name} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]\n"));
    }
    assert!(Description::parse(bomb.as_bytes()).unwrap_err().to_string().contains("aliases"));
}

#[test]
fn a_description_is_shared_between_threads() {
    let description = get(&json!([{"in": "query", "name": "n", "schema": {"type": "integer"}}]));
    let check = || brief(&description.check_request(&request("GET /a?n=x")));
    let found = std::thread::scope(|scope| {
        [scope.spawn(check), scope.spawn(check)].map(|thread| thread.join().unwrap())
    });
    assert_eq!(found, [["query n: type"], ["query n: type"]]);
}

#[test]
fn all_containers_are_read_and_others_refused_with_advice() {
    let yaml = "swagger: 2.0\npaths:\n  /a: &item\n    get:\n      operationId: read\n      responses:\n        200: {}\n  /b: *item\n";
    let description = Description::parse(yaml.as_bytes()).unwrap();
    assert_eq!(description.operations().count(), 2);
    assert!(description.by_id("read").unwrap().describes(200));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, yaml.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    assert_eq!(Description::parse(&packed).unwrap().operations().count(), 2);
    let refused = |bytes: &[u8]| -> ReadError { Description::parse(bytes).unwrap_err() };
    for (bytes, word) in [
        (&packed[..20], "gzip"),
        (b"\xff\xfe", "UTF-8"),
        (b"{", "JSON"),
        (b"a: [", "YAML"),
        (br#"{"asyncapi":"3.0.0"}"#, "AsyncAPI"),
        (br#"{"openapi":"4.0.0"}"#, "OpenAPI 4.0.0"),
        (b"[1]", "OpenAPI 2, Google discovery"),
        (b"", "something else"),
    ] {
        assert!(refused(bytes).to_string().contains(word), "{word}: {}", refused(bytes));
    }
    assert!(
        Description::read("no/such/file.json").unwrap_err().to_string().starts_with("no/such/file.json: ")
    );
}
