//! Services on this machine that tell back what they were told, and others that break in every way.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::search::canary;

/// What the services were sent, as text: proof that the secrets travelled.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<String>>);

impl Seen {
    pub(crate) fn add(&self, text: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves each connection with `serve` on a port of its own.
pub(crate) async fn listen<F, Fut>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on the loopback interface");
    let addr = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    addr
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on the loopback interface");
    listener.local_addr().expect("it is bound")
}

/// HTTP/1 or 2: the status is the last path segment, the answer repeats the whole request in body and headers.
pub(crate) async fn echo(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, seen: Seen) {
    let service = service_fn(move |request| answer(request, seen.clone()));
    let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(request: Request<Incoming>, seen: Seen) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let told = format!("{} {:?} {}", head.uri, PlainHeaders(&head.headers), String::from_utf8_lossy(&body));
    seen.add(&told);
    let status = head.uri.path().rsplit('/').next().and_then(|text| text.parse().ok()).unwrap_or(200);
    // It ends at the proxy: RFC 9110, 11.7.2. What a proxy says of it has services of its own here.
    head.headers.remove(PROXY_AUTHORIZATION);
    let quoted = format!("{:?}, password {}", PlainHeaders(&head.headers), canary("basic"));
    let answer = serde_json::json!({
        "error": { "code": quoted, "message": format!("these credentials are not valid: {quoted}") },
        "request": told,
        "session": canary("answer-body"),
    });
    let mut response = Response::new(Full::new(answer.to_string().into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    echo_headers(&head, status, response.headers_mut());
    Ok(response)
}

/// Vendors, their proxies and their bugs put what they were sent into any of these. Which value becomes the request
/// id goes by the status.
fn echo_headers(head: &http::request::Parts, status: u16, into: &mut http::HeaderMap) {
    const NAMES: [&str; 11] = [
        "set-cookie",
        "www-authenticate",
        "proxy-authenticate",
        "link",
        "warning",
        "x-echo",
        "server",
        "via",
        "x-ratelimit-limit",
        "ratelimit-policy",
        "content-language",
    ];
    let mut add = |name: &'static str, value: &[u8]| {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            into.append(HeaderName::from_static(name), value);
        }
    };
    let token = canary("location");
    add("location", format!("/{token}?token={token}").as_bytes());
    add("set-cookie", format!("session={}; Secure", canary("set-cookie")).as_bytes());
    let address = [head.uri.path(), head.uri.query().unwrap_or_default()];
    let values: Vec<_> = head
        .headers
        .iter()
        .filter(|(name, _)| ![CONNECTION, CONTENT_LENGTH, HOST].contains(name))
        .map(|(_, value)| value.as_bytes())
        .chain(address.map(str::as_bytes))
        .collect();
    add("x-request-id", values[usize::from(status) % values.len()]);
    for (index, value) in values.iter().enumerate() {
        add(NAMES[index % NAMES.len()], value);
    }
}

pub(crate) struct PlainHeaders<'h>(pub(crate) &'h http::HeaderMap);

impl std::fmt::Debug for PlainHeaders<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(name, value)| {
            write!(f, "{name}: {}; ", String::from_utf8_lossy(value.as_bytes()))
        })
    }
}

/// Reads what comes first, answers with these bytes, and closes.
pub(crate) async fn answering(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes: Arc<[u8]> = bytes.into().into();
    listen(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            let _ = stream.read(&mut [0; 16 * 1024]).await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

/// Reads what comes first, answers with these bytes, and says nothing more.
pub(crate) async fn falling_silent(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes: Arc<[u8]> = bytes.into().into();
    listen(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            let _ = stream.read(&mut [0; 16 * 1024]).await;
            let _ = stream.write_all(&bytes).await;
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
    })
    .await
}

/// Breaks each connection off, after it has read something or at once.
pub(crate) async fn resetting(reads: bool) -> SocketAddr {
    listen(move |mut stream| async move {
        if reads {
            let _ = stream.read(&mut [0; 100]).await;
        }
        let _ = stream.set_zero_linger();
    })
    .await
}

/// An answer of HTTP/1 with this body.
pub(crate) fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// What a proxy does with a CONNECT: it takes it, and is a tunnel from then on.
pub(crate) async fn connect_proxy(target: SocketAddr, seen: Seen) -> SocketAddr {
    listen(move |mut stream| {
        let seen = seen.clone();
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                head.push(byte);
            }
            seen.add(&String::from_utf8_lossy(&head));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            let Ok(mut target) = TcpStream::connect(target).await else { return };
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
        }
    })
    .await
}

pub(crate) fn gzipped(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.expect("writing into memory does not fail")
}

/// A certificate authority, and a client that it vouches for.
pub(crate) struct Pki {
    authority: CertifiedIssuer<'static, KeyPair>,
    pub(crate) client_key: KeyPair,
    pub(crate) client_chain: String,
}

impl Pki {
    pub(crate) fn new() -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::new([])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let client_key = KeyPair::generate()?;
        let client = CertificateParams::new(["client".to_owned()])?.signed_by(&client_key, &authority)?;
        Ok(Self { client_chain: client.pem(), authority, client_key })
    }

    pub(crate) fn ca_pem(&self) -> String {
        self.authority.pem()
    }

    /// The echo behind TLS, which demands the client's certificate.
    pub(crate) async fn echo(&self, alpn: &[u8], seen: Seen) -> SocketAddr {
        let acceptor =
            TlsAcceptor::from(Arc::new(self.server_config(alpn).expect("the certificate was just made")));
        listen(move |stream| {
            let (acceptor, seen) = (acceptor.clone(), seen.clone());
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    echo(stream, seen).await;
                }
            }
        })
        .await
    }

    fn server_config(&self, alpn: &[u8]) -> Result<rustls::ServerConfig, Box<dyn std::error::Error>> {
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(["service.test".to_owned()])?.signed_by(&key, &self.authority)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.authority.der().clone())?;
        let clients =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der())?,
            )?;
        config.alpn_protocols = vec![alpn.to_vec()];
        Ok(config)
    }
}
