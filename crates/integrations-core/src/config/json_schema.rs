//! The JSON Schema of a configuration, for editors and for checks without the program.

use serde_json::{Map, Value, json};

use super::schema::{self, DEVELOPMENT, Key, NAME_PATTERN, OWN, SHARED, TARGET, TENANT, TOP, Takes};
use crate::provider::{ProviderSpec, Setting, SettingKind};
use crate::registry::Registry;

/// The JSON Schema (draft 2020-12) of the configurations that this registry's providers can have.
///
/// It says of a single file what can be said without knowing the other layers: names of keys, kinds and ranges. Where
/// `use` stands beside the settings, they are those of the provider; where it does not, as in an environment, those of
/// all providers are allowed.
pub fn json_schema(registry: &Registry) -> Value {
    let specs: Vec<&ProviderSpec> = registry.specs().collect();
    let mut root = object(TOP);
    set(&mut root, "$schema", json!("https://json-schema.org/draft/2020-12/schema"));
    set(&mut root, "title", json!("Configuration of integrations"));
    let properties = &mut root["properties"];
    properties["instances"] = about(TOP, "instances", named(&json!({ "$ref": "#/$defs/instance" })));
    properties["environments"] = about(TOP, "environments", named(&json!({ "$ref": "#/$defs/environment" })));
    let tenants = json!({
        "type": ["object", "null"],
        "properties": { "*": { "$ref": "#/$defs/tenant" } },
        "patternProperties": { NAME_PATTERN: { "$ref": "#/$defs/tenant" } },
        "additionalProperties": false,
    });
    properties["tenants"] = about(TOP, "tenants", tenants);
    root["$defs"] = json!({
        "reference": { "type": "string", "pattern": "\\$\\{" },
        "instance": instance(&specs),
        "environment": environment(),
        "tenant": tenant(&specs),
    });
    root
}

fn set(of: &mut Value, name: &str, value: Value) {
    of[name] = value;
}

fn about(keys: &[Key], name: &str, mut schema: Value) -> Value {
    if let Some(key) = keys.iter().find(|key| key.name == name) {
        schema["description"] = json!(key.about);
    }
    schema
}

fn named(schema: &Value) -> Value {
    json!({ "type": ["object", "null"], "patternProperties": { NAME_PATTERN: schema }, "additionalProperties": false })
}

fn environment() -> Value {
    let mut schema = named(&json!({ "$ref": "#/$defs/instance" }));
    schema["properties"] = json!({ DEVELOPMENT.name: described(&DEVELOPMENT) });
    schema["patternProperties"] = json!({});
    // The key that marks the environment is not an instance.
    schema["additionalProperties"] = json!({ "$ref": "#/$defs/instance" });
    schema["propertyNames"] = json!({ "pattern": NAME_PATTERN });
    schema
}

/// A text is a DSN, `null` an instance without anything.
fn instance(specs: &[&ProviderSpec]) -> Value {
    let mut schema = object_of(TARGET.iter().chain(OWN).chain(SHARED), all_settings(specs));
    schema["properties"]["use"]["enum"] = json!(specs.iter().map(|spec| spec.id).collect::<Vec<_>>());
    schema["type"] = json!(["object", "string", "null"]);
    schema["allOf"] = specs.iter().map(|spec| of_provider(spec)).collect();
    schema
}

fn of_provider(spec: &ProviderSpec) -> Value {
    let mut settings: Map<String, Value> =
        schema::instance_keys().map(|key| (key.name.to_owned(), json!(true))).collect();
    settings.extend(spec.settings.iter().filter(|setting| !is_common(setting)).map(setting_entry));
    json!({
        "if": { "type": "object", "required": ["use"], "properties": { "use": { "const": spec.id } } },
        "then": { "properties": settings, "additionalProperties": false },
    })
}

fn all_settings(specs: &[&ProviderSpec]) -> Map<String, Value> {
    let settings = specs.iter().flat_map(|spec| spec.settings).filter(|setting| !is_common(setting));
    settings.map(|setting| (setting.name.to_owned(), json!(true))).collect()
}

/// A common key of the same name goes before a setting.
fn is_common(setting: &Setting) -> bool {
    schema::instance_keys().any(|key| key.name == setting.name)
}

fn setting_entry(setting: &Setting) -> (String, Value) {
    let plain = match setting.kind {
        SettingKind::Text | SettingKind::Secret | SettingKind::Url => json!({ "type": ["string", "null"] }),
        SettingKind::Integer => or_reference(json!({ "type": "integer" })),
        SettingKind::Flag => or_reference(json!({ "type": "boolean" })),
        SettingKind::Duration => json!({ "type": ["number", "string", "null"], "minimum": 0 }),
        SettingKind::List => or_reference(json!({ "type": "array", "items": { "type": "string" } })),
    };
    let mut schema = plain;
    schema["description"] = json!(setting.about);
    (setting.name.to_owned(), schema)
}

fn tenant(specs: &[&ProviderSpec]) -> Value {
    let mut schema = object(TENANT);
    schema["type"] = json!(["object", "null"]);
    let mut own = object_of(OWN.iter().chain(SHARED), all_settings(specs));
    own["type"] = json!(["object", "null"]);
    let mut by_name = named(&own);
    by_name["type"] = json!("object");
    let names = json!({ "type": "array", "items": { "type": "string", "pattern": NAME_PATTERN } });
    schema["properties"]["instances"] =
        about(TENANT, "instances", json!({ "anyOf": [names, by_name, { "type": "null" }] }));
    schema
}

fn object(keys: &'static [Key]) -> Value {
    object_of(keys.iter(), Map::new())
}

fn object_of(keys: impl Iterator<Item = &'static Key>, mut properties: Map<String, Value>) -> Value {
    properties.extend(keys.map(|key| (key.name.to_owned(), described(key))));
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn described(key: &Key) -> Value {
    let mut schema = taken(key.takes);
    schema["description"] = json!(key.about);
    schema
}

fn taken(takes: Takes) -> Value {
    match takes {
        Takes::Flag => or_reference(json!({ "type": "boolean" })),
        Takes::Whole(least, most) => {
            or_reference(json!({ "type": "integer", "minimum": least, "maximum": most }))
        }
        Takes::Number(least, most) => {
            or_reference(json!({ "type": "number", "minimum": least, "maximum": most }))
        }
        Takes::Part => {
            or_reference(json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 }))
        }
        Takes::Time => time(json!({ "type": "number", "exclusiveMinimum": 0 })),
        Takes::TimeOrZero => time(json!({ "type": "number", "minimum": 0 })),
        Takes::Text => json!({ "type": ["string", "null"], "minLength": 1 }),
        Takes::Texts => json!({ "type": ["array", "null"], "items": { "type": "string" } }),
        Takes::Percent => or_reference(json!({ "type": "string", "pattern": "%$" })),
        Takes::Section(keys) => or_null(object(keys)),
        Takes::Switch(keys) => json!({ "anyOf": [object(keys), { "type": ["boolean", "null"] }] }),
        Takes::Named(keys) => {
            json!({ "type": ["object", "null"], "additionalProperties": or_null(object(keys)) })
        }
        Takes::Other => json!({}),
    }
}

fn time(number: Value) -> Value {
    let text = json!({ "type": "string", "pattern": "^[0-9.]+ *(ms|s|m|h|d)$|\\$\\{" });
    json!({ "anyOf": [number, text, { "type": "null" }] })
}

fn or_null(mut object: Value) -> Value {
    object["type"] = json!(["object", "null"]);
    object
}

fn or_reference(plain: Value) -> Value {
    json!({ "anyOf": [plain, { "$ref": "#/$defs/reference" }, { "type": "null" }] })
}
