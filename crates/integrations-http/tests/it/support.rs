//! Servers that do as they are told, and a client side that searches every error for canaries.

use std::fmt::Write as _;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response};
use integrations_core::tls::TlsConfig;
use integrations_core::{Body, Exchange, Op, Payload, Safety, Transport, TransportError};
use integrations_http::{HttpTransport, HttpTransportBuilder, Proxy};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) static OP: Op = Op::new("test", "op", Safety::Read).response_limit(4 * 1024 * 1024);

/// Every secret in a test contains this word; no error may.
pub(crate) const CANARY: &str = "c4nary";

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// A server that treats each connection with `serve`.
    pub(crate) async fn raw<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self::at("127.0.0.1:0", serve).await
    }

    pub(crate) async fn at<F, Fut>(bind: &str, serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(bind).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Self { addr, connections, heads: Arc::default() }
    }

    /// A server that answers each request with these bytes and closes; it remembers the heads.
    pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = Arc::new(answer.into());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let mut server = Self::raw(move |mut stream| {
            let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
            async move {
                let head = read_head(&mut stream).await;
                seen.lock().unwrap().push(head);
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        })
        .await;
        server.heads = heads;
        server
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The request heads of an `answering` server, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

pub(crate) async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.unwrap_or(0) > 0 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

/// A builder that needs neither the platform's certificate authorities nor its proxies.
pub(crate) fn builder() -> HttpTransportBuilder {
    HttpTransport::builder().proxy(Proxy::none()).tls(any_ca())
}

pub(crate) fn transport() -> HttpTransport {
    builder().build().unwrap()
}

/// Roots that sign nothing in the test at hand.
fn any_ca() -> TlsConfig {
    TlsConfig::new().only_given_roots().ca_pem(crate::tls::Authority::new().pem()).unwrap()
}

pub(crate) fn exchange() -> Exchange {
    Exchange::new(&OP, 1, Duration::from_secs(30))
}

/// A request with a canary in its path, query, headers and body.
pub(crate) fn request(method: Method, url: &str) -> Request<Body> {
    let separator = if url.contains('?') { '&' } else { '?' };
    let body = if method == Method::GET { Body::Empty } else { Body::from("body-c4nary") };
    Request::builder()
        .method(method)
        .uri(format!("{url}{separator}key=query-c4nary"))
        .header("authorization", "Bearer header-c4nary")
        .header("x-api-key", "api-c4nary")
        .body(body)
        .unwrap()
}

pub(crate) fn get(url: &str) -> Request<Body> {
    request(Method::GET, url)
}

/// The answer with its whole body.
pub(crate) async fn send(
    transport: &HttpTransport,
    request: Request<Body>,
) -> Result<Response<Vec<u8>>, TransportError> {
    read(transport.send(request, exchange()).await?).await
}

pub(crate) async fn read(response: Response<Payload>) -> Result<Response<Vec<u8>>, TransportError> {
    let (parts, payload) = response.into_parts();
    let mut body = Vec::new();
    match payload {
        Payload::Whole(bytes) => body.extend_from_slice(&bytes),
        Payload::Stream(mut stream) => {
            while let Some(chunk) = stream.chunk().await {
                let chunk = chunk.map_err(|e| *e.downcast::<TransportError>().unwrap())?;
                body.extend_from_slice(&chunk);
            }
            assert!(stream.chunk().await.is_none(), "an ended body stays ended");
        }
        _ => unreachable!(),
    }
    Ok(Response::from_parts(parts, body))
}

/// The failure of a request, after a search for canaries in everything the error shows.
pub(crate) async fn failure(transport: &HttpTransport, request: Request<Body>) -> TransportError {
    let error = send(transport, request).await.map(|r| r.status()).unwrap_err();
    assert_clean(&error);
    error
}

pub(crate) fn assert_clean(error: &TransportError) {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        write!(text, " {error} {error:?} {error:#?}").unwrap();
        cause = error.source();
    }
    assert!(!text.contains(CANARY), "{text}");
}
