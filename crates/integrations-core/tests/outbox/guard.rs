//! What the outbox refuses.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Request, Response};
use integrations_core::outbox::{
    EndpointSettings, ErrorClass, MemoryOutbox, NewEvent, Outbox, SigningScheme,
};
use integrations_core::{Body, ErrorKind, Exchange, Payload, Reach, Transport, TransportError};

use crate::support::{Receiver, TENANT};

struct Vetting;

#[async_trait]
impl Transport for Vetting {
    async fn send(&self, _: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        panic!("nothing is sent");
    }

    fn reaches(&self) -> Reach {
        Reach::PublicOnly
    }
}

fn store() -> Arc<MemoryOutbox> {
    Arc::new(MemoryOutbox::new())
}

#[test]
fn a_transport_must_vouch_for_public_addresses() {
    let refused = Outbox::builder(store(), Arc::new(Receiver::default())).build().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.hint().unwrap().contains("public_only"));
    assert!(Outbox::builder(store(), Arc::new(Receiver::default())).allow_any_address().build().is_ok());
    assert!(Outbox::builder(store(), Arc::new(Arc::new(Vetting))).build().is_ok());
}

#[tokio::test]
async fn addresses_inside_are_refused_when_they_are_given() {
    let outbox = Outbox::builder(store(), Arc::new(Vetting)).build().unwrap();
    let create = |url: &str| outbox.create_endpoint(TENANT, EndpointSettings::new(url), SigningScheme::Hmac);
    for url in
        ["https://127.0.0.1/", "https://0x7f000001/", "https://[::ffff:10.0.0.1]/", "http://a.example/"]
    {
        assert_eq!(create(url).await.unwrap_err().kind(), ErrorKind::PermissionDenied, "{url}");
    }
    let endpoint = create("https://a.example/").await.unwrap();
    let inside = EndpointSettings::new("https://localhost./");
    let refused = outbox.update_endpoint(TENANT, &endpoint.id, inside).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    let ordered = EndpointSettings::new("https://a.example/").in_order();
    assert!(outbox.update_endpoint(TENANT, &endpoint.id, ordered).await.is_err());
    let moved = EndpointSettings::new("https://b.example/");
    let moved = outbox.update_endpoint(TENANT, &endpoint.id, moved).await.unwrap();
    assert_eq!((moved.settings.url.as_str(), moved.revision), ("https://b.example/", 1));
}

/// Kept under looser rules, sent under strict ones: nothing leaves (the transport would panic).
#[tokio::test]
async fn an_address_is_checked_again_at_each_attempt() {
    let store = store();
    let loose = Outbox::builder(store.clone(), Arc::new(Vetting)).allow_any_address().build().unwrap();
    let inside = EndpointSettings::new("http://127.0.0.1:3000/");
    let endpoint = loose.create_endpoint(TENANT, inside, SigningScheme::Hmac).await.unwrap();
    let strict = Outbox::builder(store, Arc::new(Vetting)).build().unwrap();
    let event = strict.publish(TENANT, NewEvent::new("a", &()).unwrap()).await.unwrap();
    strict.deliver_due().await.unwrap();
    let attempts = strict.attempts(TENANT, &endpoint.id, &event).await.unwrap();
    assert_eq!(attempts[0].class.map(ErrorClass::as_str), Some("blocked_address"));
    assert!(strict.endpoint(TENANT, &endpoint.id).await.unwrap().health.blocked);
}
