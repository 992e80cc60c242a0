//! Rotation, and keys at rest.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use integrations_core::outbox::{ErrorClass, SigningKey, SigningScheme, SqliteOutbox};
use integrations_core::seal::Sealer;
use integrations_core::secret::Secret;
use integrations_core::store::Store;
use integrations_core::{Error, ErrorKind, Result};

use crate::support::{Bench, TENANT, hours, on_both_stores};

on_both_stores!(
    both_keys_sign_while_the_old_one_is_replaced,
    a_leaked_key_stops_at_once,
    no_more_keys_sign_than_receivers_read
);

async fn no_more_keys_sign_than_receivers_read(bench: Bench) {
    let endpoint = bench.endpoint("often.example").await;
    for _ in 1..8 {
        bench.outbox.rotate_key(TENANT, &endpoint.id).await.unwrap();
    }
    let refused = bench.outbox.rotate_key(TENANT, &endpoint.id).await.unwrap_err();
    assert_eq!(refused.kind(), integrations_core::ErrorKind::Conflict);
    assert_eq!(bench.reload(&endpoint).await.keys.len(), 8);
    bench.pass(hours(24));
    bench.outbox.rotate_key(TENANT, &endpoint.id).await.unwrap();
    let key = SigningKey::generate(SigningScheme::Hmac).unwrap();
    let left = bench.outbox.rotate_key_to(TENANT, &endpoint.id, key, Duration::ZERO).await.unwrap();
    assert_eq!(left.keys.len(), 1, "a key that has leaked is not even kept");
}

async fn both_keys_sign_while_the_old_one_is_replaced(bench: Bench) {
    let endpoint = bench.endpoint("rotate.example").await;
    let old = endpoint.keys[0].key.reveal();
    let endpoint = bench.outbox.rotate_key(TENANT, &endpoint.id).await.unwrap();
    let new = endpoint.keys[0].key.reveal();
    for (time, both) in
        [(hours(0), true), (Duration::from_secs(24 * 3600 - 1), true), (Duration::from_secs(1), false)]
    {
        bench.pass(time);
        bench.publish(1).await;
        bench.deliver().await;
        let got = bench.receiver.got().pop().unwrap();
        assert!(got.verifies(new.expose()));
        assert_eq!(got.verifies(old.expose()), both);
        assert_eq!(got.header("webhook-signature").split(' ').count(), 1 + usize::from(both));
    }
    assert_eq!(bench.reload(&endpoint).await.revision, 1);
}

async fn a_leaked_key_stops_at_once(bench: Bench) {
    let endpoint = bench.endpoint("leak.example").await;
    let old = endpoint.keys[0].key.reveal();
    let new = SigningKey::generate(SigningScheme::Ed25519).unwrap();
    let public = new.public().unwrap();
    bench.outbox.rotate_key_to(TENANT, &endpoint.id, new, Duration::ZERO).await.unwrap();
    bench.publish(1).await;
    bench.deliver().await;
    let got = bench.receiver.got().pop().unwrap();
    assert!(got.verifies(&public) && !got.verifies(old.expose()));
}

/// Turns bits over and refuses another context.
struct Turned;

#[async_trait]
impl Sealer for Turned {
    async fn seal(&self, plain: &Secret<Vec<u8>>, context: &[u8]) -> Result<Vec<u8>> {
        let turned = plain.expose().iter().map(|byte| !byte);
        Ok([context, b"|"].concat().into_iter().chain(turned).collect())
    }

    async fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Secret<Vec<u8>>> {
        let rest = sealed.strip_prefix(context).and_then(|rest| rest.strip_prefix(b"|"));
        let rest = rest.ok_or_else(|| Error::config("sealed for another"))?;
        Ok(Secret::new(rest.iter().map(|byte| !byte).collect()))
    }
}

#[tokio::test]
async fn a_store_on_disk_wants_a_sealer_or_leave_to_do_without() {
    let store = Store::in_memory().await.unwrap();
    let refused = SqliteOutbox::builder(store).open().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn sealed_keys_work_and_are_not_in_the_table() {
    let store = Store::in_memory().await.unwrap();
    let sealed = SqliteOutbox::builder(store.clone()).sealer(Arc::new(Turned)).open().await.unwrap();
    let bench = Bench::over(Arc::new(sealed));
    let endpoint = bench.endpoint("sealed.example").await;
    let key = endpoint.keys[0].key.reveal();
    bench.publish(1).await;
    bench.deliver().await;
    assert!(bench.receiver.got()[0].verifies(key.expose()));
    let row = &store.read("SELECT signing_keys FROM outbox_endpoints", &[]).await.unwrap()[0];
    assert!(!row.text(0).unwrap().contains("whsec_"));
    // Keys that cannot be opened fail their own deliveries, and nothing else.
    let keyless = SqliteOutbox::builder(store).allow_plain_secrets().open().await.unwrap();
    let later = Bench::over(Arc::new(keyless));
    let event = later.publish(2).await;
    later.deliver().await;
    let delivery = later.outbox.delivery(TENANT, &endpoint.id, &event).await.unwrap().unwrap();
    assert_eq!(delivery.last_class.map(ErrorClass::as_str), Some("signing_error"));
    assert!(later.receiver.got().is_empty());
}

/// Over an envelope: the keys survive a new process, a new master key, and are in nobody's hands but the sealer's.
#[cfg(feature = "seal")]
#[tokio::test]
async fn an_envelope_keeps_them_and_its_master_key_can_change() {
    use integrations_core::seal::{Envelope, LocalKeys};

    let (old, new) = (LocalKeys::generate().unwrap(), LocalKeys::generate().unwrap());
    let both = format!("{}\n{}", new.expose(), old.expose());
    let store = Store::in_memory().await.unwrap();
    let open = async |lines: &str| {
        let keys = LocalKeys::parse(&lines.into()).unwrap();
        let envelope = Arc::new(Envelope::new(Arc::new(keys), "outbox"));
        Bench::over(Arc::new(SqliteOutbox::builder(store.clone()).sealer(envelope).open().await.unwrap()))
    };

    let first = open(old.expose()).await;
    let endpoint = first.endpoint("sealed.example").await;
    let key = endpoint.keys[0].key.reveal();
    let row = &store.read("SELECT signing_keys FROM outbox_endpoints", &[]).await.unwrap()[0];
    assert!(!row.text(0).unwrap().contains(&key.expose()[6..]));

    let later = open(&both).await;
    later.publish(1).await;
    later.deliver().await;
    assert!(later.receiver.got()[0].verifies(key.expose()));

    let without = open(new.expose()).await;
    let event = without.publish(2).await;
    without.deliver().await;
    let delivery = without.outbox.delivery(TENANT, &endpoint.id, &event).await.unwrap().unwrap();
    assert_eq!(delivery.last_class.map(ErrorClass::as_str), Some("signing_error"));
    assert!(without.receiver.got().is_empty());
}

/// More endpoints than one page has, and one whose keys nobody can open any more.
#[cfg(feature = "seal")]
#[tokio::test]
async fn after_all_keys_are_rewrapped_the_old_master_key_can_go() {
    use integrations_core::seal::{Envelope, LocalKeys};

    let (old, new) = (LocalKeys::generate().unwrap(), LocalKeys::generate().unwrap());
    let both = format!("{}\n{}", new.expose(), old.expose());
    let store = Store::in_memory().await.unwrap();
    let open = async |lines: &str| {
        let keys = LocalKeys::parse(&lines.into()).unwrap();
        let envelope = Arc::new(Envelope::new(Arc::new(keys), "outbox"));
        Arc::new(SqliteOutbox::builder(store.clone()).sealer(envelope).open().await.unwrap())
    };
    let first = Bench::over(open(old.expose()).await);
    let mut endpoints = Vec::new();
    for n in 0..101 {
        endpoints.push(first.endpoint(&format!("r{n}.example")).await);
    }
    let lost = first.endpoint("lost.example").await;
    let id = lost.id.as_str().to_owned();
    let spoil = "UPDATE outbox_endpoints SET signing_keys = replace(signing_keys, 'value\":\"', 'value\":\"AAAA') \
                 WHERE id = $1";
    store.write(move |tx| Box::pin(async move { tx.execute(spoil, &[id.into()]).await })).await.unwrap();

    let rewrapping = open(&both).await;
    assert_eq!(rewrapping.rewrap().await.unwrap_err().kind(), ErrorKind::Decode, "of the spoilt one");
    first.outbox.delete_endpoint(TENANT, &lost.id).await.unwrap();
    assert_eq!(rewrapping.rewrap().await.unwrap(), 0, "the others were done all the same");

    let later = Bench::over(open(new.expose()).await);
    for endpoint in endpoints {
        let found = later.reload(&endpoint).await;
        assert_eq!(found.keys[0].key.reveal().expose(), endpoint.keys[0].key.reveal().expose());
        assert_eq!(found.revision, endpoint.revision);
    }
}

#[tokio::test]
async fn no_debug_shows_a_key_or_content() {
    let bench = Bench::sqlite().await;
    let endpoint = bench.endpoint("quiet.example").await;
    let key = endpoint.keys[0].key.reveal();
    bench
        .outbox
        .publish(TENANT, integrations_core::outbox::NewEvent::new("a", &"c4nary").unwrap())
        .await
        .unwrap();
    let leases = bench.store.lease(bench.now(), 9).await.unwrap();
    assert_eq!(leases.len(), 1);
    let shown = format!("{:?} {endpoint:?} {leases:?}", bench.outbox);
    assert!(!shown.contains(&key.expose()[6..]) && !shown.contains("c4nary"), "{shown}");
}
