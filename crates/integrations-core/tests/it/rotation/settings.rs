//! Settings whose source may change.

use std::sync::Arc;

use integrations_core::ErrorKind;
use integrations_core::provider::{ProviderSpec, Setting, Shape, Status};
use integrations_core::secret::{LiveSecret, SecretRef, SecretString};
use integrations_core::setup::{Settings, Setup, Value};
use tokio::time::sleep;

use super::{MAX_AGE, Store, settle, value, vault, version};

static SPEC: ProviderSpec = ProviderSpec::new("bank", "Bank", "payments", Status::Full).settings(&[
    Setting::new("key", "a key").secret().shapes(&[Shape::test("test_"), Shape::live("live_")]),
    Setting::new("token", "a token").secret(),
    Setting::new("mail", "a key that tells no mode").secret().shapes(&[Shape::new("SG.")]),
]);

fn found(secret: &str, reference: SecretRef) -> Value {
    Value::Secret { secret: SecretString::from(secret), found: reference }
}

fn settings(name: &str, value: Value) -> Arc<Settings> {
    let mut settings = Settings::new();
    settings.set(name, value);
    Arc::new(settings)
}

fn setup(settings: &Arc<Settings>, store: &Store) -> Setup {
    Setup::new(&SPEC).settings(settings.clone()).secrets(Arc::new(store.clone()))
}

/// Whether it follows its source.
async fn follows(key: &LiveSecret, store: &Store) -> bool {
    store.hold("new");
    key.renew(version(key).await).await && value(key).await == "new"
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_followed_when_it_can_change_and_there_is_a_store() {
    let joined: SecretRef = "a ${vault:kv/a}".parse().unwrap();
    for (reference, expected) in [
        (vault(), true),
        (SecretRef::File("/run/secrets/token".into()), true),
        (joined, true),
        ("${TOKEN}".parse().unwrap(), false),
        ("a ${TOKEN}".parse().unwrap(), false),
        (SecretRef::Inline("old".into()), false),
    ] {
        let store = Store::holding("old");
        let settings = settings("token", found("old", reference.clone()));
        let fixed = Setup::new(&SPEC).settings(settings.clone()).live("token").unwrap();
        assert!(!follows(&fixed, &store).await, "nobody said where to read {reference:?} from");
        let key = setup(&settings, &store).live("token").unwrap();
        assert_eq!(value(&key).await, "old");
        assert_eq!(follows(&key, &store).await, expected, "{reference:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_clients_of_one_instance_share_one_source() {
    let store = Store::holding("old");
    let settings = settings("token", found("old", vault()));
    let mut own = Settings::new();
    own.set("key", SecretString::from("test_own"));
    let keys: Vec<LiveSecret> = (0..10_000)
        .map(|n| match n % 2 {
            0 => setup(&settings, &store).live("token").unwrap(),
            _ => setup(&Arc::new(settings.overlaid(&own)), &store).live("token").unwrap(),
        })
        .collect();
    store.hold("new");
    sleep(MAX_AGE).await;
    for key in &keys {
        value(key).await;
    }
    settle().await;
    assert_eq!(store.asked(), 1);
    for key in &keys {
        assert_eq!(value(key).await, "new");
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_a_tenants_own_is_its_own() {
    let store = Store::holding("old");
    let common = settings("token", found("old", vault()));
    let own = settings("token", found("own", "${vault:kv/acme}".parse().unwrap()));
    let both = Arc::new(common.overlaid(&own));
    let (of_all, of_one) =
        (setup(&common, &store).live("token").unwrap(), setup(&both, &store).live("token").unwrap());
    assert_eq!((value(&of_all).await, value(&of_one).await), ("old".to_owned(), "own".to_owned()));
    of_one.set("other").unwrap();
    assert_eq!((value(&of_all).await, value(&of_one).await), ("old".to_owned(), "other".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_key_of_another_mode_is_not_used() {
    for (first, other, same) in
        [("test_1", "live_1", "test_2"), ("live_1", "test_1", "live_2"), ("old", "live_1", "o")]
    {
        let store = Store::holding(first);
        let key = setup(&settings("key", found(first, vault())), &store).live("key").unwrap();
        store.hold(other);
        sleep(MAX_AGE).await;
        value(&key).await;
        settle().await;
        assert_eq!((value(&key).await.as_str(), key.counts().rejected), (first, 1));
        assert!(!key.renew(version(&key).await).await);
        assert_eq!(value(&key).await, first);
        store.hold(same);
        sleep(MAX_AGE).await;
        value(&key).await;
        settle().await;
        assert_eq!(value(&key).await, same);
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_that_looks_like_none_of_the_setting_is_not_used() {
    let store = Store::holding("SG.1");
    let key = setup(&settings("mail", found("SG.1", vault())), &store).live("mail").unwrap();
    store.hold("<html>");
    assert!(!key.renew(version(&key).await).await);
    assert_eq!((value(&key).await, key.counts().rejected), ("SG.1".to_owned(), 1));
    store.hold("SG.2");
    sleep(MAX_AGE).await;
    assert!(key.renew(version(&key).await).await);
    assert_eq!(value(&key).await, "SG.2");
}

#[test]
fn a_secret_that_is_missing_is_told_as_ever() {
    let store = Store::holding("x");
    let error = setup(&Arc::default(), &store).live("token").unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Config, "`bank` needs the setting `token`"));
    let text = settings("token", Value::Text("x".to_owned()));
    assert_eq!(
        setup(&text, &store).live("token").unwrap_err().message(),
        "the setting `token` must be a secret"
    );
}
