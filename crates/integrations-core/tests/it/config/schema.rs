//! The JSON Schema accepts what is right and refuses what is broken in structure.

use integrations_core::config::json_schema;
use serde_json::{Value, json};

use super::good;
use super::providers::registry;

fn errors(config: &Value) -> Vec<String> {
    let schema = json_schema(&registry());
    assert!(jsonschema::meta::is_valid(&schema), "the schema is no schema");
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator.iter_errors(config).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

/// YAML without anchors as JSON: the examples are written in flow style or in plain blocks, which TOML tells as well.
fn from_toml(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

#[test]
fn good_configurations_pass() {
    let everything = from_toml(include_str!("good/everything.toml"));
    assert_eq!(errors(&everything), Vec::<String>::new());
    let first = json!({
        "version": 1,
        "instances": {
            "spotify_main": { "use": "spotify", "client_id": "${A}", "client_secret": "${B}", "timeout": 30 },
            "mail": "failover(sendgrid://default?key=${C} smtps://user:${D}@mx.example:465)",
        },
        "environments": {
            "production": {
                "spotify_main": {
                    "enabled": true,
                    "rate_limits": { "requests_per_minute": 100, "burst_limit": 20 },
                    "circuit_breaker": { "failure_threshold": 5, "recovery_timeout": 60 },
                    "retry": { "max_attempts": 3, "backoff_multiplier": 2.0 },
                },
            },
            "staging": { "development": true, "spotify_main": { "retry": false, "market": "DE", "timeout": null } },
        },
        "tenants": {
            "enterprise_client": {
                "instances": ["spotify_main"], "rate_limits": { "requests_per_minute": 1000 },
                "features": ["premium_apis"], "sla": "99.9%", "share": 0.25,
            },
            "*": { "instances": { "spotify_main": { "client_secret": "${E}", "timeout": "5s" } } },
        },
    });
    assert_eq!(errors(&first), Vec::<String>::new());
    assert!(good::load("production", &first.to_string()).is_err(), "JSON is YAML, and `A` is not set");
}

#[test]
fn broken_configurations_fail() {
    let instance = |instance: Value| json!({ "version": 1, "instances": { "a": instance } });
    let tenant = |tenant: Value| json!({ "version": 1, "tenants": { "a": tenant } });
    let broken = [
        json!([]),
        json!({ "version": 2 }),
        json!({ "version": 1, "instance": {} }),
        json!({ "version": 1, "instances": [] }),
        json!({ "version": 1, "instances": { "a/b": {} } }),
        json!({ "version": 1, "environments": { "production": { "development": "yes" } } }),
        json!({ "version": 1, "environments": { "production": { "a": 7 } } }),
        instance(json!(7)),
        instance(json!({ "use": "spotifi" })),
        instance(json!({ "use": "spotify", "timeuot": 1 })),
        instance(json!({ "use": "spotify", "helo": "x" })),
        instance(json!({ "use": "smtp", "connections": "3" })),
        instance(json!({ "use": "smtp", "starttls": "on" })),
        instance(json!({ "use": "smtp", "domains": "a" })),
        instance(json!({ "use": "smtp", "password": 1234 })),
        instance(json!({ "timeout": 0 })),
        instance(json!({ "timeout": "5 parsecs" })),
        instance(json!({ "retry": 3 })),
        instance(json!({ "retry": { "max_attempts": 0 } })),
        instance(json!({ "retry": { "max_attempt": 1 } })),
        instance(json!({ "rate_limits": { "buckets": { "search": { "wait": 1 } } } })),
        instance(json!({ "hedge": { "quantile": 1 } })),
        tenant(json!({ "share": 1 })),
        tenant(json!({ "sla": 99.9 })),
        tenant(json!({ "feature": [] })),
        tenant(json!({ "instances": { "a": { "use": "smtp" } } })),
    ];
    for config in &broken {
        assert!(!errors(config).is_empty(), "{config} passes");
    }
}
