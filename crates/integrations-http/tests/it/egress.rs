//! The bypass corpus: nothing may reach the listener on the loopback.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use http::{Request, Uri};
use integrations_core::{Body, ErrorKind, Reach, Transport, TransportFailure};
use integrations_http::{EgressPolicy, HttpTransport, Proxy, Resolver};

use crate::support::{Server, builder, failure, get, send};

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

/// Answers the lists in turn, the last one for ever, and counts.
struct Script {
    answers: Vec<Vec<&'static str>>,
    asked: Arc<AtomicUsize>,
}

impl Script {
    fn new(answers: &[&[&'static str]]) -> Self {
        Self { answers: answers.iter().map(|a| a.to_vec()).collect(), asked: Arc::default() }
    }
}

#[async_trait]
impl Resolver for Script {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = &self.answers[asked.min(self.answers.len() - 1)];
        Ok(answer.iter().map(|ip| ip.parse().unwrap()).collect())
    }
}

/// The strict policy, but http and any port, so that only the address can be the reason.
fn strict() -> EgressPolicy {
    EgressPolicy::public_only().allow_http().ports([])
}

fn strict_transport() -> HttpTransport {
    builder().egress(strict()).build().unwrap()
}

async fn assert_forbidden(transport: &HttpTransport, url: &str) {
    let e = failure(transport, Request::get(url).body(Body::Empty).unwrap()).await;
    assert_eq!((e.failure(), e.sent()), (TransportFailure::Forbidden, false), "{url}: {e}");
    assert_eq!(e.into_error(&crate::support::OP).kind(), ErrorKind::PermissionDenied);
}

/// Spellings of the loopback; `{}` is the canary's port.
const LOOPBACK: [&str; 26] = [
    "http://127.0.0.1:{}/",
    "http://127.1:{}/",
    "http://127.0.1:{}/",
    "http://127.0.0.1.:{}/",
    "http://2130706433:{}/",
    "http://0x7f000001:{}/",
    "http://0x7f.0.0.1:{}/",
    "http://0x7f.1:{}/",
    "http://0177.0.0.1:{}/",
    "http://017700000001:{}/",
    "http://0177.0x0.1:{}/",
    "http://127.8.9.10:{}/",
    "http://0:{}/",
    "http://0.0.0.0:{}/",
    "http://localhost:{}/",
    "http://LOCALHOST.:{}/",
    "http://a.localhost:{}/",
    "http://[::1]:{}/",
    "http://[::]:{}/",
    "http://[0:0:0:0:0:0:0:1]:{}/",
    "http://[::ffff:127.0.0.1]:{}/",
    "http://[::ffff:7f00:1]:{}/",
    "http://[::127.0.0.1]:{}/",
    "http://[64:ff9b::7f00:1]:{}/",
    "http://[2002:7f00:1::]:{}/",
    "http://user:pass@127.0.0.1:{}/",
];

#[tokio::test]
async fn no_spelling_of_the_loopback_gets_through() {
    let canary = Server::answering(FINE).await;
    let transport = strict_transport();
    for template in LOOPBACK {
        let url = template.replace("{}", &canary.addr.port().to_string());
        match url.parse::<Uri>() {
            Ok(_) => assert_forbidden(&transport, &url).await,
            Err(e) => panic!("{url} tests nothing: {e}"),
        }
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn no_special_address_is_public_as_a_literal_or_from_a_name() {
    let special = [
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:0:10.0.0.1",
        "::192.168.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::",
        "2002:c0a8:1::",
        "3fff::1",
        "fc00::1",
        "fd12:3456::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "168.63.129.16",
        "100.100.100.200",
    ];
    for ip in special {
        let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
        assert_forbidden(&strict_transport(), &format!("http://{host}/")).await;
        let named = builder().egress(strict()).resolver(Script::new(&[&[ip]])).build().unwrap();
        assert_forbidden(&named, "http://hook.example/").await;
    }
}

#[test]
fn public_addresses_pass() {
    for ip in
        ["1.1.1.1", "100.63.255.255", "100.128.0.1", "172.32.0.1", "[2606:4700::1111]", "[64:ff9b::101:101]"]
    {
        let uri: Uri = format!("https://{ip}/hook").parse().unwrap();
        assert!(EgressPolicy::public_only().check(&uri).is_ok(), "{ip}");
    }
    assert!(EgressPolicy::public_only().check(&"https://hooks.example.com/x".parse().unwrap()).is_ok());
    assert!(EgressPolicy::public_only().check(&"https://hooks.example.com:8443/".parse().unwrap()).is_ok());
}

#[test]
fn schemes_ports_names_and_userinfo_are_checked_before_any_name_is_resolved() {
    let bad = [
        "http://hooks.example.com/",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:6379/",
        "ftp://hooks.example.com/",
        "https://user@hooks.example.com/",
        "https://user:word@hooks.example.com/",
        "https://localhost/",
        "https://intranet/",
        "https://printer.local/",
        "https://db.internal/",
        "https://db.internal./",
        "https://router.home.arpa/",
        "https://metadata.google.internal/",
    ];
    for uri in bad {
        let e = EgressPolicy::public_only().check(&uri.parse().unwrap()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::PermissionDenied, "{uri}");
    }
    let e = EgressPolicy::public_only().check(&"/relative".parse().unwrap()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
}

#[tokio::test]
async fn one_private_address_among_public_ones_refuses_the_name() {
    let canary = Server::answering(FINE).await;
    for answer in
        [&["93.184.215.14", "127.0.0.1"][..], &["127.0.0.1", "93.184.215.14"], &["::1", "2606:4700::1111"]]
    {
        let transport = builder().egress(strict()).resolver(Script::new(&[answer])).build().unwrap();
        assert_forbidden(&transport, &format!("http://hook.example:{}/", canary.addr.port())).await;
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn a_name_that_turns_private_is_refused_and_the_vetted_address_is_the_dialled_one() {
    // 127.0.0.2 plays the public address, by exception; the canary listens on the same port of 127.0.0.1.
    let public = Server::at("127.0.0.2:0", |mut stream| async move {
        crate::support::read_head(&mut stream).await;
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, FINE.as_bytes()).await;
    })
    .await;
    let canary =
        Server::at(&format!("127.0.0.1:{}", public.addr.port()), |stream| async move { drop(stream) }).await;
    let script = Script::new(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let asked = Arc::clone(&script.asked);
    let policy = strict().allow_cidr("127.0.0.2/32").unwrap();
    let transport = builder().egress(policy).resolver(script).pool_max_idle(0).build().unwrap();
    let url = format!("http://hook.example:{}/", public.addr.port());

    assert_eq!(send(&transport, get(&url)).await.unwrap().body(), b"fine");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "resolved once per connection, so there is no second answer");
    assert_forbidden(&transport, &url).await;
    assert_eq!((public.connections(), canary.connections()), (1, 0));
}

#[tokio::test]
async fn a_redirect_cannot_lead_inside() {
    let canary = Server::answering(FINE).await;
    let port = canary.addr.port();
    let policy = || strict().allow_cidr("127.0.0.2/32").unwrap();
    let targets = LOOPBACK.iter().map(|t| t.replace("{}", &port.to_string())).chain([
        format!("//127.0.0.1:{port}/"),
        format!("\\\\127.0.0.1:{port}\\"),
        format!("http://%31%32%37.0.0.1:{port}/"),
        format!("http://①②⑦.⓪.⓪.①:{port}/"),
        format!("http://127。0。0。1:{port}/"),
        format!("http://inside.example:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ]);
    for target in targets {
        let answer = format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
        let outside = Server::at("127.0.0.2:0", move |mut stream| {
            let answer = answer.clone();
            async move {
                crate::support::read_head(&mut stream).await;
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await;
            }
        })
        .await;
        let transport = builder().egress(policy()).resolve("inside.example", canary.addr).build().unwrap();
        let e = failure(&transport, get(&outside.url("/c4nary"))).await;
        assert_eq!((e.failure(), e.sent()), (TransportFailure::Forbidden, true), "{target}");
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn an_override_does_not_get_around_the_policy() {
    let canary = Server::answering(FINE).await;
    let transport = builder().egress(strict()).resolve("hook.example", canary.addr).build().unwrap();
    assert_forbidden(&transport, "http://hook.example/").await;
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn exceptions_are_deliberate_and_spare_no_metadata_service() {
    let server = Server::answering(FINE).await;
    let policy = strict().allow_host("Hook.Example.");
    let transport = builder().egress(policy.clone()).resolve("hook.example", server.addr).build().unwrap();
    assert!(send(&transport, get("http://hook.example/")).await.is_ok());

    let metadata = Script::new(&[&["169.254.169.254"]]);
    let transport = builder().egress(policy).resolver(metadata).build().unwrap();
    assert_forbidden(&transport, "http://hook.example/").await;

    for bad in ["10.0.0.0", "10.0.0.0/33", "::/129", "host/8"] {
        assert_eq!(EgressPolicy::new().allow_cidr(bad).unwrap_err().kind(), ErrorKind::Config, "{bad}");
    }
}

#[tokio::test]
async fn the_default_policy_refuses_metadata_services_and_nothing_else() {
    let metadata = [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "[fd00:ec2::254]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "metadata.google.internal",
    ];
    let transport = builder().build().unwrap();
    for host in metadata {
        assert_forbidden(&transport, &format!("http://{host}/latest/meta-data/")).await;
    }
    let named = builder().resolver(Script::new(&[&["169.254.169.254"]])).build().unwrap();
    assert_forbidden(&named, "http://innocent.example/").await;
    for host in ["127.0.0.1", "10.0.0.1", "localhost", "[::1]"] {
        let uri = format!("http://{host}:8080/").parse().unwrap();
        assert!(EgressPolicy::new().check(&uri).is_ok(), "{host}");
    }
    let open = EgressPolicy::new().allow_cidr("169.254.169.254/32").unwrap();
    assert!(open.check(&"http://169.254.169.254/".parse().unwrap()).is_ok());
}

#[tokio::test]
async fn only_a_transport_that_vets_addresses_itself_vouches_for_them() {
    let proxied = strict().allow_proxy();
    let proxy = Proxy::url("http://127.0.0.1:3128").unwrap();
    let reach = |transport: &HttpTransport| Arc::new(transport.clone()).reaches();
    assert_eq!(reach(&strict_transport()), Reach::PublicOnly);
    assert_eq!(reach(&builder().egress(EgressPolicy::new()).build().unwrap()), Reach::Anything);
    assert_eq!(reach(&builder().egress(proxied).proxy(proxy).build().unwrap()), Reach::Anything);
}
