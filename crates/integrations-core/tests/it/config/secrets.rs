//! Where secrets come from, and what is left alone.

use integrations_core::config::{Config, Loader};
use integrations_core::setup::Value;
use integrations_core::{Error, ErrorKind, SecretRef, SecretString};

use super::good::{load, settings};
use super::providers::registry;

fn key(config: &Config) -> &SecretString {
    settings(&config.instances["mail"]).2.secret("key").unwrap().unwrap()
}

#[test]
fn a_file_is_looked_for_beside_the_configuration() {
    let folder = std::env::temp_dir().join(format!("integrations-config-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("secrets")).unwrap();
    std::fs::write(folder.join("secrets/key"), "SG.from-file\n").unwrap();
    let path = folder.join("config.yaml");
    std::fs::write(&path, "version: 1\ninstances:\n  mail: { use: sendgrid, key: '${file:secrets/key}' }\n")
        .unwrap();
    let registry = registry();
    let config = Loader::new(&registry).environment("production").file(&path).unwrap().load().unwrap();
    assert!(key(&config).ct_eq("SG.from-file"));
    let found = settings(&config.instances["mail"]).2.get("key");
    let Some(Value::Secret { found: SecretRef::File(path), .. }) = found else { panic!("{found:?}") };
    assert_eq!(*path, folder.join("secrets/key"), "so that it is found again later");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_file_that_is_not_there_is_told_at_once() {
    let registry = registry();
    let e = Loader::new(&registry).file("/no/such/config.yaml").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Config);
    assert!(e.message().contains("/no/such/config.yaml"), "{e}");
    let path = std::env::temp_dir().join(format!("integrations-config-{}.yaml", std::process::id()));
    std::fs::write(&path, b"version: 1 # \xff").unwrap();
    assert!(Loader::new(&registry).file(&path).unwrap_err().message().contains("not UTF-8"));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_store_answers_for_its_entries() {
    let text = "version: 1\ninstances:\n  mail: { use: sendgrid, key: 'SG.${vault:kv/mail#key}' }\n";
    let registry = registry();
    let loader = |answer: fn(&str, Option<&str>) -> Result<SecretString, Error>| {
        Loader::new(&registry).environment("production").text("c.yaml", text).secret_store(answer).load()
    };
    let config = loader(|path, key| {
        assert_eq!((path, key), ("kv/mail", Some("key")));
        Ok("from-store".into())
    });
    let config = config.unwrap();
    assert!(key(&config).ct_eq("SG.from-store"));
    let found = settings(&config.instances["mail"]).2.get("key");
    assert!(matches!(found, Some(Value::Secret { found: SecretRef::Joined(_), .. })));
    let problems = loader(|_, _| Err(Error::config("the store is sealed"))).unwrap_err();
    assert_eq!(problems.to_string(), "c.yaml:3:31: the store is sealed");
    assert!(loader(|_, _| Ok("".into())).unwrap_err().to_string().contains("is empty"));
}

#[test]
fn what_is_not_used_needs_no_secret() {
    let text = "version: 1
instances:
  mail: { use: sendgrid, key: '${MISSING}', enabled: false }
  other: 'sendgrid://default?key=${MISSING}'
environments:
  production: { other: { enabled: false } }
  staging: { other: { key: '${ALSO_MISSING}' } }
tenants:
  acme: { instances: { mail: { key: '${THEIRS_IS_MISSING}' } } }
";
    let config = load("production", text).unwrap();
    assert!(!config.instances["mail"].enabled && !config.instances["other"].enabled);
    let told = load("staging", text).unwrap_err().to_string();
    assert!(told.contains("ALSO_MISSING") && !told.contains("THEIRS"), "{told}");
}

#[test]
fn development_is_known_by_name_or_by_its_mark() {
    let text = |mark: &str| {
        let instances = "instances:\n  mail: { use: sendgrid, key: SG.4eC39H }";
        format!("version: 1\n{instances}\nenvironments:\n  here: {{ {mark} }}\n  dev: {{}}\n")
    };
    assert!(load("here", &text("development: true")).unwrap().development);
    assert!(load("dev", &text("")).unwrap().development);
    assert!(load("here", &text("")).unwrap_err().to_string().contains("stands in the configuration itself"));
    for name in ["development", "dev", "test", "local"] {
        assert!(load(name, "version: 1\n").unwrap().development, "{name}");
    }
    assert!(!load("production", "version: 1\n").unwrap().development);
}

#[test]
fn text_that_is_no_secret_may_hold_references_and_escapes() {
    let text = "version: 1
instances:
  mail: { use: sendgrid, key: '${SENDGRID_API_KEY}', sender: 'x-${SPOTIFY_CLIENT_ID}-$${X}' }
";
    let config = load("production", text).unwrap();
    assert_eq!(settings(&config.instances["mail"]).2.text("sender").unwrap(), Some("x-app-4eC39H-${X}"));
}

#[test]
fn a_whole_dsn_may_be_a_reference() {
    let text = "version: 1\ninstances:\n  mail: '${MAIL_DSN}'\n";
    let registry = registry();
    let loader = Loader::new(&registry).environment("production").text("c.yaml", text);
    let config = loader.vars([("MAIL_DSN", "sendgrid://eu?key=SG.x%26y")]).load().unwrap();
    assert_eq!(settings(&config.instances["mail"]).1, Some("eu"));
    assert!(key(&config).ct_eq("SG.x&y"));
}

#[test]
fn a_fake_on_this_machine_takes_any_key() {
    let text = "version: 1
instances:
  a: { use: paypal, host: 'http://localhost:1', client_id: a, client_secret: changeme }
  b: { use: stripe, host: 'http://127.0.0.1:1', secret_key: sk_live_x }
  c: { use: stripe, host: 'http://[::1]:1', secret_key: x }
";
    load("development", text).unwrap();
}

#[test]
fn problems_become_an_error_with_every_line() {
    let problems = load("production", "version: 2\nx: 1\n").unwrap_err();
    assert_eq!(problems.len(), 2);
    let error = Error::from(problems);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.message().contains("config.yaml:1:10") && error.message().contains("config.yaml:2:1"),
        "{error}"
    );
}
