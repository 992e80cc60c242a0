//! Which redirects are followed, and with what.

use http::{Method, Request};
use integrations_core::{Body, TransportFailure};

use crate::support::{CANARY, Server, builder, failure, get, request, send, transport};

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

fn with_everything(url: &str) -> Request<Body> {
    let mut request = get(url);
    for (name, value) in [
        ("cookie", "session=c4nary"),
        ("proxy-authorization", "Basic c4nary"),
        ("x-goog-api-key", "c4nary"),
        ("accept", "application/json"),
        ("accept-language", "de"),
        ("if-none-match", "\"etag\""),
        ("user-agent", "ours/1"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let mut marked = http::HeaderValue::from_static("c4nary");
    marked.set_sensitive(true);
    request.headers_mut().insert("if-match", marked);
    request
}

#[tokio::test]
async fn no_credential_leaves_the_origin() {
    for status in [301, 302, 303, 307, 308] {
        let other = Server::answering(FINE).await;
        let first = Server::answering(redirect(status, &other.url("/next"))).await;
        let response = send(&transport(), with_everything(&first.url("/"))).await.unwrap();
        assert_eq!(response.body(), b"fine");
        let head = &other.heads()[0];
        assert!(!head.contains(CANARY) && !head.contains("referer"), "{head}");
        for kept in ["accept: application/json", "accept-language: de", "if-none-match", "user-agent: ours/1"]
        {
            assert!(head.contains(kept), "{kept} in {head}");
        }
    }
}

#[tokio::test]
async fn what_was_dropped_does_not_come_back() {
    // home -> away -> home again: the second request to home has no credentials.
    let home = Server::answering(FINE).await;
    let away = Server::answering(redirect(302, &home.url("/back"))).await;
    let start = Server::answering(redirect(302, &away.url("/"))).await;
    send(&transport(), with_everything(&start.url("/"))).await.unwrap();
    assert!(!home.heads()[0].contains(CANARY));
    assert!(start.heads()[0].contains(CANARY));
}

#[tokio::test]
async fn within_the_origin_credentials_stay() {
    let server = Server::answering(redirect(302, "/again")).await;
    let e = failure(&transport(), get(&server.url("/"))).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::BadResponse, true));
    assert!(e.to_string().contains("5 redirects"), "{e}");
    let heads = server.heads();
    assert_eq!(heads.len(), 6, "the request and five redirects");
    assert!(heads.iter().all(|head| head.contains("bearer header-c4nary")));
    assert!(heads[1].starts_with("get /again http"), "the query belongs to the first URL: {}", heads[1]);
}

#[tokio::test]
async fn what_changes_something_is_not_redirected() {
    let other = Server::answering(FINE).await;
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let first = Server::answering(redirect(307, &other.url("/c4nary"))).await;
        let response = send(&transport(), request(method, &first.url("/"))).await.unwrap();
        assert_eq!(response.status(), 307);
        assert!(response.headers().contains_key("location"));
    }
    let mut with_body = get(&Server::answering(redirect(307, &other.url("/"))).await.url("/"));
    *with_body.body_mut() = Body::from("query");
    assert_eq!(send(&transport(), with_body).await.unwrap().status(), 307);
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn bad_targets_are_errors_and_no_target_is_an_answer() {
    let cases = [
        ("http://", TransportFailure::BadResponse),
        ("ftp://127.0.0.1/c4nary", TransportFailure::Forbidden),
        ("file:///etc/c4nary", TransportFailure::Forbidden),
        ("http://user:c4nary@127.0.0.1/", TransportFailure::Forbidden),
        ("http://169.254.169.254/latest/c4nary", TransportFailure::Forbidden),
        ("http://[::ffff:169.254.169.254]/", TransportFailure::Forbidden),
    ];
    for (location, expected) in cases {
        let server = Server::answering(redirect(302, location)).await;
        let e = failure(&transport(), get(&server.url("/"))).await;
        assert_eq!((e.failure(), e.sent()), (expected, true), "{location}: {e}");
    }
    let server = Server::answering("HTTP/1.1 304 Not Modified\r\nlocation: /x\r\n\r\n").await;
    assert_eq!(send(&transport(), get(&server.url("/"))).await.unwrap().status(), 304);
    let server = Server::answering("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(send(&transport(), get(&server.url("/"))).await.unwrap().status(), 302);
}

#[tokio::test]
async fn https_is_never_left_for_http() {
    let plain = Server::answering(FINE).await;
    let inner = Server::answering(redirect(302, &plain.url("/c4nary"))).await;
    let authority = crate::tls::Authority::new();
    let front = crate::tls::tunnel_to(inner.addr, &authority, &[]).await;
    let transport = builder().tls(authority.trusted()).resolve("service.test", front.addr).build().unwrap();
    let e = failure(&transport, get("https://service.test/")).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::Forbidden, true));
    assert_eq!(plain.connections(), 0);
}

#[tokio::test]
async fn a_later_hop_that_fails_counts_as_sent() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = Server::answering(redirect(302, &format!("http://{gone}/c4nary"))).await;
    let e = failure(&transport(), get(&server.url("/"))).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::Connect, true));
}

#[tokio::test]
async fn what_is_believed_for_its_origin_stays_there() {
    use integrations_core::{Exchange, Op, Safety, Transport};
    static KEYS: Op = Op::new("test", "keys", Safety::Read).keeps_origin();

    let exchange = Exchange::new(&KEYS, 1, std::time::Duration::from_secs(30));
    let other = Server::answering(FINE).await;
    let away = Server::answering(redirect(302, &other.url("/"))).await;
    let e = transport().send(get(&away.url("/")), exchange).await.unwrap_err();
    assert_eq!((e.failure(), e.sent()), (TransportFailure::Forbidden, true));
    assert!(other.heads().is_empty(), "nobody asked");
    let home = Server::answering(redirect(302, "/again")).await;
    let e = transport().send(get(&home.url("/")), exchange).await.unwrap_err();
    assert!(e.to_string().contains("5 redirects"), "within the origin they are followed: {e}");
}
