//! Requests that go out, and whether those that fail were sent.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use integrations_core::{Body, BodyStream, Effect, ErrorKind, Transport, TransportFailure};
use integrations_http::Resolver;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::support::{OP, Server, builder, exchange, failure, get, read_head, request, send, transport};

struct NoSuchName;

#[async_trait]
impl Resolver for NoSuchName {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Err(io::Error::other("no such name: c4nary"))
    }
}

#[tokio::test]
async fn a_refused_connection_was_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let e = failure(&transport(), get(&format!("http://{addr}/c4nary"))).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::Connect, false));
    assert!(e.to_string().contains("refused"), "{e}");
    assert_eq!(e.into_error(&OP).effect(), Effect::NotSent);
}

#[tokio::test]
async fn an_unknown_name_was_not_sent() {
    let transport = builder().resolver(NoSuchName).build().unwrap();
    let e = failure(&transport, get("http://service.example/c4nary")).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::Connect, false));
    assert!(e.to_string().contains("resolved"), "{e}");
}

#[tokio::test]
async fn a_request_that_cannot_be_built_was_not_sent() {
    let canary = Server::answering("").await;
    for url in ["/c4nary", "ftp://127.0.0.1/c4nary"] {
        let e = failure(&transport(), get(url)).await;
        assert_eq!((e.failure(), e.sent()), (TransportFailure::BadRequest, false), "{url}");
    }
    let e = failure(&transport(), request(Method::CONNECT, &canary.url("/"))).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::BadRequest, false));
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn a_silent_handshake_ends_with_the_connect_timeout_and_was_not_sent() {
    let server = Server::raw(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let transport = builder().connect_timeout(Duration::from_millis(50)).build().unwrap();
    let e = failure(&transport, get(&server.url("/c4nary").replace("http:", "https:"))).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::Timeout, false));
    assert!(e.to_string().contains("50ms"), "{e}");
}

#[tokio::test]
async fn a_reset_before_any_answer_may_have_been_sent() {
    let resetting = Server::raw(|mut stream| async move {
        read_head(&mut stream).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let closing = Server::answering("").await;
    for server in [resetting, closing] {
        let e = failure(&transport(), request(Method::POST, &server.url("/c4nary"))).await;
        assert_eq!((e.failure(), e.sent()), (TransportFailure::Reset, true));
        assert_eq!(server.connections(), 1, "the transport does not retry");
        let e = e.into_error(&OP);
        assert_eq!((e.kind(), e.effect()), (ErrorKind::Transport, Effect::Unknown));
    }
}

#[tokio::test]
async fn an_answer_that_is_not_http_was_sent() {
    let server = Server::answering("c4nary is not HTTP\r\n\r\n").await;
    let e = failure(&transport(), get(&server.url("/"))).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::BadResponse, true));
}

#[tokio::test]
async fn too_many_header_lines_are_refused() {
    let lines = "x-line: c4nary\r\n".repeat(150);
    let server = Server::answering(format!("HTTP/1.1 200 OK\r\n{lines}\r\n")).await;
    let e = failure(&transport(), get(&server.url("/"))).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::BadResponse, true));
}

#[tokio::test]
async fn a_refused_http2_stream_was_not_processed() {
    let server = Server::raw(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            respond.send_reset(h2::Reason::REFUSED_STREAM);
        }
    })
    .await;
    // Over plain TCP hyper speaks HTTP/2 only by prior knowledge, so this goes the way of TLS and ALPN.
    let authority = crate::tls::Authority::new();
    let front = crate::tls::tunnel_to(server.addr, &authority, &[b"h2"]).await;
    let transport = builder().tls(authority.trusted()).resolve("service.test", front.addr).build().unwrap();
    let e = failure(&transport, request(Method::POST, "https://service.test/c4nary")).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::Reset, false));
    assert_eq!(front.connections(), 1);
}

/// Answers with the SHA-256 of the body, its announced length, and the headers it came with.
async fn hashing() -> Server {
    Server::raw(|stream| async move {
        let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
            let announced = request.headers().get("content-length").cloned();
            let body = request.into_body().collect().await?.to_bytes();
            let mut response = Response::new(Full::new(Bytes::copy_from_slice(&Sha256::digest(&body))));
            if let Some(length) = announced {
                response.headers_mut().insert("x-announced", length);
            }
            Ok::<_, hyper::Error>(response)
        });
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    })
    .await
}

/// A stream of `content` in pieces of 1000 bytes.
struct Pieces(Bytes);

impl Stream for Pieces {
    type Item = Result<Bytes, io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let length = self.0.len().min(1000);
        std::task::Poll::Ready((length > 0).then(|| Ok(self.0.split_to(length))))
    }
}

fn content() -> Bytes {
    (0..300_000u32).map(|n| (n % 251) as u8).collect::<Vec<_>>().into()
}

#[tokio::test]
async fn every_attempt_of_every_body_arrives_whole() {
    let server = hashing().await;
    let transport = transport();
    let length = content().len() as u64;
    let bodies: Vec<(Body, Option<u64>)> = vec![
        (content().into(), Some(length)),
        (Body::replay(move || BodyStream::new(Pieces(content()), Some(length))), Some(length)),
        (Body::replay(|| BodyStream::new(Pieces(content()), None)), None),
        (Body::Once(BodyStream::new(Pieces(content()), Some(length))), Some(length)),
        (Body::Once(BodyStream::new(Pieces(content()), None)), None),
    ];
    for (mut body, announced) in bodies {
        for attempt in 0..3 {
            let again = body.try_clone();
            let put = Request::put(server.url("/")).body(body).unwrap();
            let response = send(&transport, put).await.unwrap();
            assert_eq!(response.body().as_slice(), &Sha256::digest(content())[..], "attempt {attempt}");
            let seen = response.headers().get("x-announced").map(|v| v.to_str().unwrap().parse().unwrap());
            assert_eq!(seen, announced);
            match again {
                Some(again) => body = again,
                None => break,
            }
        }
    }
}

#[tokio::test]
async fn an_empty_post_announces_its_emptiness() {
    let server = hashing().await;
    let response =
        send(&transport(), Request::post(server.url("/")).body(Body::Empty).unwrap()).await.unwrap();
    assert_eq!(response.headers()["x-announced"], "0");
}

#[tokio::test]
async fn a_body_that_breaks_its_announcement_fails_the_request() {
    let server = hashing().await;
    for (announced, expected) in [(299_999, "longer"), (300_001, "shorter")] {
        let body = Body::Once(BodyStream::new(Pieces(content()), Some(announced)));
        let e = failure(&transport(), Request::put(server.url("/")).body(body).unwrap()).await;
        assert_eq!((e.failure(), e.sent()), (TransportFailure::BadRequest, true));
        assert!(e.to_string().contains(expected), "{e}");
    }
}

#[tokio::test]
async fn a_body_stream_that_fails_is_told_without_its_words() {
    struct Failing;
    impl Stream for Failing {
        type Item = Result<Bytes, String>;
        fn poll_next(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            std::task::Poll::Ready(Some(Err("cannot read c4nary".to_owned())))
        }
    }
    let server = hashing().await;
    let body = Body::Once(BodyStream::new(Failing, None));
    let e = failure(&transport(), Request::put(server.url("/")).body(body).unwrap()).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::BadRequest, true));
}

#[tokio::test]
async fn the_user_agent_is_ours_unless_the_request_has_one() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    send(&transport(), get(&server.url("/"))).await.unwrap();
    let own = Request::get(server.url("/")).header("user-agent", "own/1").body(Body::Empty).unwrap();
    send(&transport(), own).await.unwrap();
    let heads = server.heads();
    assert!(heads[0].contains(concat!("user-agent: integrations/", env!("CARGO_PKG_VERSION"))), "{heads:?}");
    assert!(heads[1].contains("user-agent: own/1"), "{heads:?}");
}

#[tokio::test]
async fn connections_are_reused_and_the_pool_can_be_switched_off() {
    for (idle, expected) in [(1, 1), (0, 3)] {
        let server = hashing().await;
        let transport = builder().pool_max_idle(idle).build().unwrap();
        for _ in 0..3 {
            send(&transport, get(&server.url("/"))).await.unwrap();
        }
        assert_eq!(server.connections(), expected);
    }
}

struct Endless;
impl Stream for Endless {
    type Item = Result<Bytes, io::Error>;
    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(Some(Ok(Bytes::from_static(&[7; 1000]))))
    }
}

#[tokio::test]
async fn an_early_answer_ends_a_long_upload() {
    let server = Server::raw(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\n\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let body = Body::Once(BodyStream::new(Endless, None));
    let transport = Arc::new(transport());
    let response =
        transport.send(Request::put(server.url("/")).body(body).unwrap(), exchange()).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}
