//! The outbox over this transport: what a customer's address can be made to do.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use integrations_core::outbox::{
    Attempt, EndpointSettings, ErrorClass, MemoryOutbox, NewEvent, Outbox, OutboxBuilder, SigningScheme,
};
use integrations_core::{ErrorKind, Transport};
use integrations_http::{EgressPolicy, HttpTransport, Resolver};

use crate::support::{Server, builder};

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

struct Loopback;

#[async_trait]
impl Resolver for Loopback {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }
}

struct Nowhere;

#[async_trait]
impl Resolver for Nowhere {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

fn strict() -> EgressPolicy {
    EgressPolicy::public_only().allow_http().ports([])
}

fn outbox(transport: impl Transport) -> OutboxBuilder {
    Outbox::builder(Arc::new(MemoryOutbox::new()), Arc::new(transport))
}

/// One event to `url`, and its first attempt.
async fn send_to(outbox: &Outbox, url: String) -> Attempt {
    let settings = EndpointSettings::new(url);
    let endpoint = outbox.create_endpoint("acme", settings, SigningScheme::Hmac).await.unwrap();
    let event = outbox.publish("acme", NewEvent::new("thing.made", &()).unwrap()).await.unwrap();
    assert_eq!(outbox.deliver_due().await.unwrap(), 1);
    outbox.attempts("acme", &endpoint.id, &event).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_name_that_leads_inside_is_blocked_before_any_connection() {
    let canary = Server::answering(FINE).await;
    let transport = builder().egress(strict()).resolver(Loopback).build().unwrap();
    let outbox = outbox(transport).allow_http().ports([canary.addr.port()]).build().unwrap();
    let attempt = send_to(&outbox, format!("http://hooks.example.com:{}/", canary.addr.port())).await;
    assert_eq!((attempt.class, attempt.status), (Some(ErrorClass::BlockedAddress), None));
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let canary = Server::answering(FINE).await;
    for status in [301, 302, 303, 307, 308] {
        let head =
            format!("HTTP/1.1 {status} Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", canary.url("/"));
        let server = Server::answering(head).await;
        let outbox = outbox(builder().build().unwrap()).allow_any_address().build().unwrap();
        let attempt = send_to(&outbox, server.url("/in")).await;
        assert_eq!((attempt.class, attempt.status), (Some(ErrorClass::Http3xx), Some(status)));
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn what_fails_has_its_class_and_a_large_answer_is_cut() {
    let transport = builder().egress(strict()).resolver(Nowhere).build().unwrap();
    let unresolved = outbox(transport).allow_http().build().unwrap();
    let attempt = send_to(&unresolved, "http://hooks.example.com/".to_owned()).await;
    assert_eq!(attempt.class, Some(ErrorClass::Dns));

    let large = format!("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{}", "x".repeat(1_000_000));
    let server = Server::answering(large).await;
    let open = outbox(builder().build().unwrap()).allow_any_address().build().unwrap();
    let attempt = send_to(&open, server.url("/in")).await;
    assert_eq!((attempt.class, attempt.head.len()), (None, 4096));
    let head = server.heads().remove(0).to_ascii_lowercase();
    assert!(head.starts_with("post /in ") && head.contains("webhook-signature: v1,"), "{head}");
    assert!(head.contains("user-agent: integrations-webhooks/") && !head.contains("cookie"), "{head}");
}

#[test]
fn a_transport_with_the_default_policy_is_refused() {
    let refused = outbox(HttpTransport::new().unwrap()).build().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
}
