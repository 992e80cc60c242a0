//! Bodies of answers: idle, cut, too large, lying, compressed.

use std::io::{Read, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Method, Request};
use integrations_core::{Body, Payload, Transport, TransportFailure};
use tokio::io::AsyncWriteExt;

use crate::support::{
    Server, assert_clean, builder, exchange, failure, get, read, read_head, send, transport,
};

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// `size` zeros, packed.
fn zeros(size: u64) -> Vec<u8> {
    let mut packed = Vec::new();
    flate2::read::GzEncoder::new(std::io::repeat(0).take(size), Compression::best())
        .read_to_end(&mut packed)
        .unwrap();
    packed
}

fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn sized(headers: &str, body: &[u8]) -> Vec<u8> {
    ok(&format!("{headers}content-length: {}\r\n", body.len()), body)
}

#[tokio::test]
async fn a_silent_body_ends_with_the_idle_timeout() {
    let server = Server::raw(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nc4na").await;
        std::future::pending::<()>().await;
    })
    .await;
    let response = transport().send(get(&server.url("/")), exchange()).await.unwrap();
    let guarded = response.map(|payload| match payload {
        Payload::Stream(stream) => Payload::Stream(stream.guarded(Duration::from_millis(50), Duration::MAX)),
        whole => whole,
    });
    let e = read(guarded).await.unwrap_err();
    assert_clean(&e);
    assert_eq!((e.failure(), e.sent()), (TransportFailure::Timeout, true));
    assert!(e.to_string().contains("50ms"), "{e}");
}

#[tokio::test]
async fn a_body_cut_short_is_an_error_however_it_is_framed() {
    let cuts = [
        ok("content-length: 100\r\n", b"c4nary"),
        ok("transfer-encoding: chunked\r\n", b"6\r\nc4nary\r\n"),
        ok("transfer-encoding: chunked\r\n", b"64\r\nc4nary"),
    ];
    for cut in cuts {
        let server = Server::answering(cut).await;
        let e = failure(&transport(), get(&server.url("/"))).await;
        assert_eq!((e.failure(), e.sent()), (TransportFailure::Reset, true));
    }
    let reset = Server::raw(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nc4nary").await;
        let _ = stream.set_zero_linger();
    })
    .await;
    let e = failure(&transport(), get(&reset.url("/"))).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::Reset, true));
}

#[tokio::test]
async fn what_comes_after_the_announced_length_is_not_the_body() {
    let server = Server::answering(ok("content-length: 4\r\n", b"goodHTTP/1.1 200 OK\r\n\r\nevil")).await;
    assert_eq!(send(&transport(), get(&server.url("/"))).await.unwrap().body(), b"good");
}

#[tokio::test]
async fn contradicting_lengths_are_refused() {
    let server = Server::answering(ok("content-length: 4\r\ncontent-length: 5\r\n", b"c4nary")).await;
    let e = failure(&transport(), get(&server.url("/"))).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::BadResponse, true));
}

#[tokio::test]
async fn a_hard_limit_ends_any_body() {
    for headers in ["content-length: 100000\r\n", ""] {
        let server = Server::answering(ok(headers, &vec![7; 100_000])).await;
        let transport = builder().max_body(50_000).build().unwrap();
        let e = failure(&transport, get(&server.url("/"))).await;
        assert_eq!(e.failure(), TransportFailure::BadResponse);
        assert!(e.to_string().contains("50000 bytes"), "{e}");
    }
}

#[tokio::test]
async fn the_length_stays_known_and_a_body_that_is_here_needs_no_stream() {
    let large = Server::answering(sized("", &vec![7; 100_000])).await;
    let response = transport().send(get(&large.url("/")), exchange()).await.unwrap();
    let Payload::Stream(stream) = response.body() else { panic!("100 kB are streamed") };
    assert_eq!(stream.remaining(), Some(100_000));

    let empty = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let response = transport().send(get(&empty.url("/")), exchange()).await.unwrap();
    assert!(matches!(response.body(), Payload::Whole(bytes) if bytes.is_empty()));
    assert!(response.extensions().is_empty());
}

#[tokio::test]
async fn gzip_is_asked_for_and_undone() {
    let server = Server::answering(sized("content-encoding: gzip\r\n", &gzip(b"plain text"))).await;
    let response = send(&transport(), get(&server.url("/"))).await.unwrap();
    assert_eq!(response.body(), b"plain text");
    assert!(!response.headers().contains_key("content-encoding"));
    assert!(!response.headers().contains_key("content-length"));
    assert!(server.heads()[0].contains("accept-encoding: gzip\r\n"));
}

#[tokio::test]
async fn whoever_chooses_the_encoding_or_a_part_gets_the_bytes_as_they_are() {
    let packed = gzip(b"plain text");
    let server = Server::answering(sized("content-encoding: gzip\r\n", &packed)).await;
    for header in ["accept-encoding", "range"] {
        let own = Request::get(server.url("/")).header(header, "gzip").body(Body::Empty).unwrap();
        let response = send(&transport(), own).await.unwrap();
        assert_eq!(response.body(), &packed);
        assert_eq!(response.headers()["content-encoding"], "gzip");
    }
    assert!(!server.heads()[1].contains("accept-encoding"));
}

#[tokio::test]
async fn head_keeps_the_plain_length() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n").await;
    let head = Request::builder().method(Method::HEAD).uri(server.url("/")).body(Body::Empty).unwrap();
    let response = send(&transport(), head).await.unwrap();
    assert_eq!(response.headers()["content-length"], "1234");
    assert!(response.body().is_empty());
    assert!(!server.heads()[0].contains("accept-encoding"));
}

#[tokio::test]
async fn a_bomb_is_refused_by_size_and_by_ratio() {
    let size = Server::answering(sized("content-encoding: gzip\r\n", &gzip(&content(5 << 20)))).await;
    let e = failure(&transport(), get(&size.url("/"))).await;
    assert!(e.to_string().contains("4194304 bytes"), "{e}");

    let ratio = Server::answering(sized("content-encoding: gzip\r\n", &zeros(3 << 20))).await;
    let e = failure(&transport(), get(&ratio.url("/"))).await;
    assert_eq!(e.failure(), TransportFailure::BadResponse);
    assert!(e.to_string().contains("bomb"), "{e}");
}

/// Bytes that pack well, but not like a bomb.
fn content(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n / 64 % 251) as u8).collect()
}

#[tokio::test]
async fn broken_gzip_is_an_error() {
    let packed = gzip(&content(10_000));
    for body in [&packed[..packed.len() - 3], b"c4nary, not gzip"] {
        let server = Server::answering(sized("content-encoding: gzip\r\n", body)).await;
        let e = failure(&transport(), get(&server.url("/"))).await;
        assert_eq!((e.failure(), e.sent()), (TransportFailure::BadResponse, true));
    }
}
