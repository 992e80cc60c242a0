//! The tower adapter.

use std::time::Duration;

use integrations_core::TransportFailure;
use integrations_http::TransportService;
use tower_service::Service as _;

use crate::support::{OP, Server, get, read, read_head, transport};

#[tokio::test]
async fn a_transport_is_a_tower_service() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine").await;
    let limit = Duration::from_secs(10);
    let mut service = TransportService::new(transport(), &OP, limit, limit);
    std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
    let response = service.call(get(&server.url("/"))).await.unwrap();
    assert_eq!(read(response).await.unwrap().body(), b"fine");
}

#[tokio::test]
async fn its_timeout_covers_the_wait_for_an_answer() {
    let server = Server::raw(|mut stream| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let limit = Duration::from_millis(50);
    let mut service = TransportService::new(transport(), &OP, limit, limit);
    let e = service.call(get(&server.url("/"))).await.unwrap_err();
    assert_eq!((e.failure(), e.sent()), (TransportFailure::Timeout, true));
}
