//! One small API in each of the formats.

use integrations_testkit::contract::{Description, Format};
use serde_json::{Value, json};

/// The format and its description.
pub(crate) fn all() -> Vec<(Format, Description)> {
    let texts = [
        (Format::OpenApi30, open_api_3("3.0.3")),
        (Format::OpenApi31, open_api_3("3.1.0")),
        (Format::OpenApi2, open_api_2()),
        (Format::Discovery, discovery()),
        (Format::HyperSchema, hyper_schema()),
    ];
    texts.into_iter().map(|(format, text)| (format, read(&text))).collect()
}

pub(crate) fn read(text: &Value) -> Description {
    Description::parse(text.to_string().as_bytes()).unwrap()
}

fn pet(reference: &str) -> Value {
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "id": {"type": "integer", "readOnly": true},
            "name": {"type": "string"},
            "age": {"type": "integer", "minimum": 0},
            "kind": {"type": "string", "enum": ["cat", "dog"]},
            "born": {"type": "string", "format": "date-time"},
            "code": {"type": "string", "pattern": "^[A-Z]{2}$"},
            "parts": {"type": "object", "properties": {"color": {"type": "string"}}},
            "toys": {"type": "array", "items": {"type": "object", "properties": {"label": {"type": "string"}}}},
            "parent": {"$ref": reference}
        }
    })
}

/// Name, whether it is required, and the schema.
fn query() -> Vec<(&'static str, bool, Value)> {
    vec![
        ("owner", true, json!({"type": "string"})),
        ("limit", false, json!({"type": "integer", "maximum": 100})),
        ("kind", false, json!({"type": "string", "enum": ["cat", "dog"]})),
        ("tag", false, json!({"type": "string", "pattern": "^[a-z]+$"})),
        ("since", false, json!({"type": "string", "format": "date-time"})),
        ("deep", false, json!({"type": "boolean"})),
    ]
}

fn open_api_3(version: &str) -> Value {
    let reference = json!({"$ref": "#/components/schemas/Pet"});
    let content = |schema: &Value| json!({"application/json": {"schema": schema}});
    let parameters: Vec<Value> = query()
        .into_iter()
        .map(|(name, required, schema)| json!({"in": "query", "name": name, "required": required, "schema": schema}))
        .collect();
    json!({
        "openapi": version,
        "servers": [{"url": "https://pets.example/v1"}],
        "paths": {
            "/pets": {
                "get": {"operationId": "pets.list", "parameters": parameters, "responses": {"200": {"content":
                    content(&json!({"type": "array", "items": reference}))}}},
                "post": {"requestBody": {"required": true, "content": content(&reference)},
                    "responses": {"2XX": {"content": content(&reference)}}}
            },
            "/pets/{id}": {
                "parameters": [{"in": "path", "name": "id", "required": true, "schema": {"type": "integer"}}],
                "get": {"responses": {"200": {"content": content(&reference)}}}
            },
            "/pets/mine": {"get": {"responses": {"204": {}}}}
        },
        "components": {"schemas": {"Pet": pet("#/components/schemas/Pet")}}
    })
}

fn open_api_2() -> Value {
    let reference = json!({"$ref": "#/definitions/Pet"});
    let parameters: Vec<Value> = query()
        .into_iter()
        .map(|(name, required, mut schema)| {
            schema["in"] = json!("query");
            schema["name"] = json!(name);
            schema["required"] = json!(required);
            schema
        })
        .collect();
    json!({
        "swagger": "2.0", "host": "pets.example", "basePath": "/v1",
        "consumes": ["application/json"], "produces": ["application/json"],
        "paths": {
            "/pets": {
                "get": {"operationId": "pets.list", "parameters": parameters,
                    "responses": {"200": {"schema": {"type": "array", "items": reference}}}},
                "post": {"parameters": [{"in": "body", "name": "pet", "required": true, "schema": reference}],
                    "responses": {"201": {"schema": reference}}}
            },
            "/pets/{id}": {"get": {
                "parameters": [{"in": "path", "name": "id", "required": true, "type": "integer"}],
                "responses": {"200": {"schema": reference}}
            }},
            "/pets/mine": {"get": {"responses": {"204": {}}}}
        },
        "definitions": {"Pet": pet("#/definitions/Pet")}
    })
}

fn discovery() -> Value {
    let mut parameters = serde_json::Map::new();
    for (name, required, mut schema) in query() {
        schema["location"] = json!("query");
        schema["required"] = json!(required);
        parameters.insert(name.to_owned(), schema);
    }
    let mut pet = pet("Pet");
    pet.as_object_mut().unwrap().remove("required");
    pet["id"] = json!("Pet");
    pet["properties"]["name"]["annotations"] = json!({"required": ["pets.insert"]});
    json!({
        "kind": "discovery#restDescription", "rootUrl": "https://pets.example/", "servicePath": "v1/",
        "parameters": {"alt": {"type": "string", "location": "query", "enum": ["json"]}},
        "schemas": {"Pet": pet, "Pets": {"id": "Pets", "type": "array", "items": {"$ref": "Pet"}}},
        "resources": {"pets": {"methods": {
            "list": {"id": "pets.list", "path": "pets", "httpMethod": "GET", "parameters": parameters,
                "response": {"$ref": "Pets"}},
            "insert": {"id": "pets.insert", "path": "pets", "httpMethod": "POST", "request": {"$ref": "Pet"},
                "response": {"$ref": "Pet"}},
            "get": {"id": "pets.get", "path": "pets/{id}", "httpMethod": "GET", "response": {"$ref": "Pet"},
                "parameters": {"id": {"type": "integer", "location": "path", "required": true}}},
            "mine": {"id": "pets.mine", "path": "pets/mine", "httpMethod": "GET"}
        }}}
    })
}

fn hyper_schema() -> Value {
    let mut pet = pet("#/definitions/pet");
    let properties: serde_json::Map<String, Value> =
        query().into_iter().map(|(name, _, schema)| (name.to_owned(), schema)).collect();
    let mut links = json!([
        {"href": "/v1/pets", "rel": "instances", "schema": {"properties": properties, "required": ["owner"]},
            "targetSchema": {"$ref": "#/definitions/pet"}},
        {"href": "/v1/pets", "rel": "create", "method": "POST", "schema": {"$ref": "#/definitions/pet"},
            "targetSchema": {"$ref": "#/definitions/pet"}},
        {"href": "/v1/pets/{(%23%2Fdefinitions%2Fpet%2Fproperties%2Fid)}", "rel": "self", "method": "GET",
            "targetSchema": {"$ref": "#/definitions/pet"}},
        {"href": "/v1/pets/mine", "rel": "mine", "method": "GET"}
    ]);
    pet["links"] = links.take();
    json!({"$schema": "http://interagent.github.io/interagent-hyper-schema", "definitions": {"pet": pet}})
}
