//! Through a proxy.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::Request;
use integrations_core::tls::TlsConfig;
use integrations_core::{Body, ErrorKind, TransportFailure};
use integrations_http::{EgressPolicy, HttpTransport, Proxy};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Server, builder, failure, get, read_head, send};
use crate::tls::{Authority, tunnel_to};

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

/// A CONNECT proxy that leads everywhere to `target`, and the heads it got.
async fn proxy(target: SocketAddr, verdict: &'static str) -> (Server, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let server = Server::raw(move |mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            let head = read_head(&mut stream).await;
            seen.lock().unwrap().push(head);
            let _ = stream.write_all(format!("HTTP/1.1 {verdict}\r\n\r\n").as_bytes()).await;
            if verdict.starts_with("200") {
                let mut target = TcpStream::connect(target).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
            }
        }
    })
    .await;
    (server, heads)
}

fn address(proxy: &Server) -> String {
    format!("http://user:c4nary@{}", proxy.addr)
}

#[tokio::test]
async fn https_goes_through_connect_and_shows_the_proxy_the_host_alone() {
    let authority = Authority::new();
    let inner = Server::answering(FINE).await;
    let front = tunnel_to(inner.addr, &authority, &[]).await;
    let (proxy, heads) = proxy(front.addr, "200 OK").await;
    let transport =
        builder().tls(authority.trusted()).proxy(Proxy::url(&address(&proxy)).unwrap()).build().unwrap();
    let response = send(&transport, get("https://service.test/path-c4nary")).await.unwrap();
    assert_eq!(response.body(), b"fine");
    let head = &heads.lock().unwrap()[0];
    assert!(head.starts_with("connect service.test:443 "), "{head}");
    assert!(head.contains("proxy-authorization: basic "), "{head}");
    assert!(!head.contains("c4nary"), "{head}");
    assert!(
        !inner.heads()[0].contains("proxy-authorization"),
        "the service never sees the proxy's credentials"
    );
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_gone_means_not_sent() {
    let inner = Server::answering(FINE).await;
    for (verdict, expected) in [("407 c4nary", "credentials"), ("502 c4nary", "refused")] {
        let (proxy, _) = proxy(inner.addr, verdict).await;
        let transport = builder().proxy(Proxy::url(&address(&proxy)).unwrap()).build().unwrap();
        let e = failure(&transport, get("https://service.test/c4nary")).await;
        assert_eq!((e.failure(), e.sent()), (TransportFailure::Connect, false));
        assert!(e.to_string().contains(expected), "{e}");
    }
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Proxy::url(&format!("http://user:c4nary@{gone}")).unwrap();
    for url in ["https://service.test/c4nary", "http://service.test/c4nary"] {
        let e = failure(&builder().proxy(proxy.clone()).build().unwrap(), get(url)).await;
        assert_eq!((e.failure(), e.sent()), (TransportFailure::Connect, false), "{url}");
    }
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn bypassed_hosts_are_reached_directly() {
    let inner = Server::answering(FINE).await;
    let (proxy, heads) = proxy(inner.addr, "200 OK").await;
    let explicit = Proxy::url(&address(&proxy)).unwrap().bypass("127.0.0.1,.corp.test");
    let transport = builder().proxy(explicit).build().unwrap();
    assert!(send(&transport, get(&inner.url("/"))).await.is_ok());
    assert!(heads.lock().unwrap().is_empty());
}

#[test]
fn credentials_are_never_shown_and_a_bad_address_is_not_repeated() {
    let proxy = Proxy::url("http://user:c4nary@proxy.test:3128").unwrap();
    assert_eq!(format!("{proxy:?}"), "Proxy(proxy.test)");
    assert!(!format!("{:?}", builder().proxy(proxy)).contains("c4nary"));
    for bad in ["c4nary", "socks5://user:c4nary@proxy.test", "http://", "http://us er:c4nary@proxy test"] {
        let e = Proxy::url(bad).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Config);
        assert!(!format!("{e:?}").contains("c4nary"));
    }
}

#[tokio::test]
async fn a_strict_policy_takes_a_proxy_only_by_name_and_by_leave() {
    let named = Proxy::url("http://127.0.0.1:1").unwrap();
    let strict = EgressPolicy::public_only;
    let refused = builder().egress(strict()).proxy(named.clone()).build().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    let refused = builder().egress(strict().allow_proxy()).proxy(Proxy::system()).build().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);

    let authority = Authority::new();
    let front = tunnel_to(Server::answering(FINE).await.addr, &authority, &[]).await;
    let (proxy, heads) = proxy(front.addr, "200 OK").await;
    let transport = builder()
        .tls(authority.trusted())
        .egress(strict().allow_proxy())
        .proxy(Proxy::url(&format!("http://proxy.corp.test:{}", proxy.addr.port())).unwrap())
        .resolve("proxy.corp.test", proxy.addr)
        .build()
        .unwrap();
    assert!(send(&transport, get("https://service.test/")).await.is_ok());
    // Names that are local, literal addresses and the proxy itself are refused before the proxy hears of them.
    for url in [
        "https://localhost/",
        "https://10.0.0.1/",
        "https://metadata.google.internal/",
        "https://proxy.corp.test/",
    ] {
        let e = failure(&transport, Request::get(url).body(Body::Empty).unwrap()).await;
        assert_eq!((e.failure(), e.sent()), (TransportFailure::Forbidden, false), "{url}");
    }
    assert_eq!(heads.lock().unwrap().len(), 1);
}

/// Set in the process that plays the application.
const CHILD: &str = "INTEGRATIONS_HTTP_TEST_CHILD";

/// A company's network: the way out is a CONNECT proxy, and the certificates are of a private authority. The
/// environment can only be set for another process, so this test runs itself.
#[tokio::test]
async fn the_environment_alone_gets_through_a_company_network() {
    if std::env::var_os(CHILD).is_some() {
        let transport = HttpTransport::builder().tls(TlsConfig::from_env().unwrap()).build().unwrap();
        assert_eq!(send(&transport, get("https://service.test/")).await.unwrap().body(), b"fine");
        return;
    }
    let authority = Authority::new();
    let front = tunnel_to(Server::answering(FINE).await.addr, &authority, &[]).await;
    let (proxy, heads) = proxy(front.addr, "200 OK").await;
    let roots = std::env::temp_dir().join(format!("integrations-http-{}.pem", std::process::id()));
    std::fs::write(&roots, authority.pem()).unwrap();

    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "proxies::the_environment_alone_gets_through_a_company_network"])
        .env_clear()
        .envs([(CHILD, "1"), ("HTTPS_PROXY", &address(&proxy))])
        .env("SSL_CERT_FILE", &roots);
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    std::fs::remove_file(&roots).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(heads.lock().unwrap()[0].starts_with("connect service.test:443 "));
}
