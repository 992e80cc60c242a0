//! Everything that this crate's dependencies log at TRACE, searched for secrets. A process of its own, because the
//! subscriber is global.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use integrations_core::tls::TlsConfig;
use integrations_core::{Body, Exchange, Op, Payload, Safety, Transport};
use integrations_http::{HttpTransport, Proxy};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

static OP: Op = Op::new("test", "op", Safety::Read);

/// Each place has a canary of its own, so that a find tells where it leaked from.
const PLACES: [&str; 9] = [
    "path",
    "query",
    "authorization",
    "api-key",
    "cookie",
    "body",
    "answer-header",
    "answer-body",
    "proxy-password",
];

fn canary(place: &str) -> String {
    format!("c4nary-{place}")
}

/// All spans and events as text, one per line, with their targets.
#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<String>>>);

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Capture {
    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl<S: Subscriber> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut line = format!("{} span {}", attributes.metadata().target(), attributes.metadata().name());
        attributes.record(&mut Text(&mut line));
        self.push(line);
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut line = "record".to_owned();
        values.record(&mut Text(&mut line));
        self.push(line);
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = format!("{} {}", event.metadata().level(), event.metadata().target());
        event.record(&mut Text(&mut line));
        self.push(line);
    }
}

/// The ways in which a dependency could print a secret: as text, as a list of bytes, in hex.
fn spellings(secret: &str) -> [String; 4] {
    let bytes = secret.as_bytes();
    let list = format!("{bytes:?}");
    let hex = bytes.iter().fold(String::new(), |mut hex, b| {
        write!(hex, "{b:02x}").unwrap();
        hex
    });
    [secret.to_owned(), list.trim_matches(['[', ']']).to_owned(), hex.to_uppercase(), hex]
}

async fn serve(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static) {
    let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
        let redirect = request.uri().path().ends_with("/redirect");
        request.into_body().collect().await?;
        let mut response = Response::new(Full::new(Bytes::from(canary("answer-body"))));
        let set = canary("answer-header").parse().unwrap();
        response.headers_mut().insert("set-cookie", set);
        if redirect {
            *response.status_mut() = http::StatusCode::FOUND;
            let to = format!("/{}?{}", canary("path"), canary("query")).parse().unwrap();
            response.headers_mut().insert("location", to);
        }
        Ok::<_, hyper::Error>(response)
    });
    let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Serves each connection with `serve`.
async fn listen<F, Fut>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    addr
}

async fn resetting() -> SocketAddr {
    listen(|mut stream| async move {
        let _ = stream.read(&mut [0; 100]).await;
        let _ = stream.set_zero_linger();
    })
    .await
}

async fn garbage() -> SocketAddr {
    listen(|mut stream| async move {
        let _ = stream.read(&mut [0; 100]).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 c4nary-answer-header\r\nbad header c4nary-answer-header\r\n\r\n")
            .await;
    })
    .await
}

async fn connect_proxy(target: SocketAddr) -> SocketAddr {
    listen(move |mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut target = TcpStream::connect(target).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
    })
    .await
}

struct Pki {
    authority: CertifiedIssuer<'static, KeyPair>,
    client_key: KeyPair,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { authority, client_key: KeyPair::generate().unwrap() }
    }

    async fn tls(&self, alpn: &[u8]) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["service.test".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = vec![alpn.to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        listen(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream).await;
                }
            }
        })
        .await
    }

    fn client(&self) -> TlsConfig {
        let params = CertificateParams::new(["client".to_owned()]).unwrap();
        let certificate = params.signed_by(&self.client_key, &self.authority).unwrap();
        TlsConfig::new()
            .only_given_roots()
            .ca_pem(self.authority.pem())
            .unwrap()
            .client_identity_pem(certificate.pem(), self.client_key.serialize_pem())
            .unwrap()
    }
}

fn request(method: &Method, base: &str, path: &str) -> Request<Body> {
    let body = if *method == Method::GET { Body::Empty } else { canary("body").into() };
    Request::builder()
        .method(method)
        .uri(format!("{base}/{}{path}?key={}", canary("path"), canary("query")))
        .header("authorization", format!("Bearer {}", canary("authorization")))
        .header("x-api-key", canary("api-key"))
        .header("cookie", canary("cookie"))
        .body(body)
        .unwrap()
}

/// Sends, reads everything, and returns whatever error came, as text.
async fn exercise(transport: &HttpTransport, request: Request<Body>) -> Option<String> {
    let exchange = Exchange::new(&OP, 1, Duration::from_secs(20));
    let response = match transport.send(request, exchange).await {
        Ok(response) => response,
        Err(e) => return Some(format!("{e} {e:?} ") + &format!("{:?}", e.into_error(&OP))),
    };
    if let Payload::Stream(mut stream) = response.into_body() {
        while let Some(chunk) = stream.chunk().await {
            if let Err(e) = chunk {
                return Some(format!("{e} {e:?}"));
            }
        }
    }
    None
}

#[tokio::test]
async fn no_secret_is_in_any_log_line_of_any_dependency() {
    let capture = Capture::default();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(capture.clone())).unwrap();
    tracing_log::LogTracer::init().unwrap();

    let pki = Pki::new();
    let (h1, h2) = (pki.tls(b"http/1.1").await, pki.tls(b"h2").await);
    let plain = listen(serve).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let credentials = format!("user:{}@", canary("proxy-password"));
    let at = |addr: SocketAddr| {
        let builder = HttpTransport::builder().tls(pki.client()).proxy(Proxy::none());
        builder.resolve("service.test", addr).build().unwrap()
    };
    let via = |proxy: SocketAddr| {
        let proxy = Proxy::url(&format!("http://{credentials}{proxy}")).unwrap();
        HttpTransport::builder().tls(pki.client()).proxy(proxy).build().unwrap()
    };
    let tls = "https://service.test";
    let http = "http://service.test";
    let routes = [
        (at(plain), http, true),
        (at(h1), tls, true),
        (at(h2), tls, true),
        (via(connect_proxy(h2).await), tls, true),
        (via(plain), http, true),
        (at(gone), http, false),
        (at(resetting().await), http, false),
        (at(resetting().await), tls, false),
        (at(garbage().await), http, false),
        (at(garbage().await), tls, false),
        (via(gone), tls, false),
        (via(garbage().await), tls, false),
    ];
    let mut errors = Vec::new();
    for (transport, base, works) in &routes {
        for method in [Method::GET, Method::POST] {
            for path in ["", "/redirect"] {
                let error = exercise(transport, request(&method, base, path)).await;
                assert_eq!(error.is_none(), *works, "{base}: {error:?}");
                errors.extend(error);
            }
        }
    }
    assert!(errors.iter().all(|e| !e.contains("c4nary")), "{errors:#?}");

    let lines = capture.0.lock().unwrap().clone();
    for target in ["h2::", "hyper_util::", "rustls::", "reqwest::"] {
        assert!(lines.iter().any(|line| line.contains(target)), "nothing captured from {target}");
    }
    assert!(
        lines.iter().any(|line| line.starts_with("TRACE ") && line.contains("service.test")),
        "values are captured"
    );
    let key = pki.client_key.serialize_pem();
    let mut secrets: Vec<_> = PLACES.map(canary).to_vec();
    secrets.extend(key.lines().filter(|line| !line.starts_with('-')).map(str::to_owned));
    // `user:c4nary-proxy-password` in Base64, as CONNECT carries it.
    secrets.push("dXNlcjpjNG5hcnktcHJveHktcGFzc3dvcmQ".to_owned());
    for secret in secrets {
        for spelling in spellings(&secret) {
            let found: Vec<_> = lines.iter().filter(|line| line.contains(&spelling)).take(5).collect();
            assert!(found.is_empty(), "{secret} in {found:#?}");
        }
    }
}
