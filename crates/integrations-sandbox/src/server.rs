//! The fakes as an HTTP server on this machine.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use integrations_core::{Exchange, Op, Safety};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::state::Met;
use crate::{Answer, Call, Sandbox};

/// Sandboxes that answer on 127.0.0.1 or `[::1]`, over HTTP/1.1, until this is dropped.
///
/// Faults are real here: a delay takes its time, a reset closes the socket before or after the vendor has acted, a hang
/// holds the connection until the client goes. What a client calls one operation and one attempt does not travel with
/// a request; the method stands for the one, and faults in a row at one address for the other, so that under
/// [`Severity::Passing`](crate::Severity::Passing) calls of the same address at the same time may have more than their share.
///
/// ```
/// # use integrations_sandbox::*;
/// # struct Bell;
/// # impl Vendor for Bell {
/// #     fn answer(&mut self, _: &Call<'_>, _: &mut World<'_>) -> Answer { Answer::empty(204) }
/// #     fn word(&self, _: Trouble) -> Option<Answer> { None }
/// #     fn settings(&self) -> Vec<(&'static str, String)> { Vec::new() }
/// #     fn known(&self) -> Known { Known::new() }
/// # }
/// # let fake = Fake::new("bell", "demo", |_| Box::new(Bell));
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// // Clients elsewhere have only the system's clock, so the vendor gets its time.
/// let bell = Sandbox::new(&fake, 0).starting(jiff::Timestamp::now());
/// let server = Server::start([bell.clone()], "127.0.0.1:0".parse()?).await?;
/// assert_eq!(server.base("bell").path(), "/bell");
/// server.shutdown().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the server ends when this is dropped"]
pub struct Server {
    address: SocketAddr,
    /// It serves one sandbox at the root.
    alone: bool,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Serves each sandbox below `/{provider}`, which the vendor does not see.
    ///
    /// # Errors
    /// When the address is not one of this machine alone, or cannot be had.
    pub async fn start(
        sandboxes: impl IntoIterator<Item = Sandbox>,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let by_provider = sandboxes.into_iter().map(|sandbox| (sandbox.provider(), sandbox)).collect();
        Self::serve(Routes::ByProvider(by_provider), address).await
    }

    /// Serves one sandbox at the root.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn one(sandbox: Sandbox, address: SocketAddr) -> io::Result<Self> {
        Self::serve(Routes::One(sandbox), address).await
    }

    async fn serve(routes: Routes, address: SocketAddr) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            let message = "fakes answer on this machine alone: the address is no loopback address";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let alone = matches!(routes, Routes::One(_));
        let (stop, stopped) = watch::channel(false);
        let desk = Arc::new(Desk { routes, rows: Mutex::default() });
        let accepting = tokio::spawn(accept(listener, desk, stopped));
        Ok(Self { address, alone, stop, accepting })
    }

    /// The address it answers on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client of a provider is given as the service's address.
    pub fn base(&self, provider: &str) -> Uri {
        let path = if self.alone { "/".to_owned() } else { format!("/{provider}") };
        let uri = Uri::builder().scheme("http").authority(self.address.to_string()).path_and_query(path);
        uri.build().unwrap_or_default()
    }

    /// Accepts nothing more, lets answers under way go out, closes what a fault holds, and returns once all is closed.
    /// Dropping does the same without waiting for the end.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // It fails only when the runtime ends meanwhile, and then there is nothing left to wait for.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// Whose request it is.
enum Routes {
    One(Sandbox),
    ByProvider(HashMap<&'static str, Sandbox>),
}

/// What all connections share.
struct Desk {
    routes: Routes,
    /// Faults in a row, by method and address.
    rows: Mutex<HashMap<u64, u32>>,
}

/// The largest body of a request, in bytes.
const BODY_LIMIT: usize = 16 * 1024 * 1024;
/// The time of an attempt, as the default policy has it.
const ATTEMPT: Duration = Duration::from_secs(10);
/// So many rows of faults are kept.
const ROWS: usize = 10_000;
/// So long a client may take to end its request once the server is to stop.
const GRACE: Duration = Duration::from_secs(2);
/// After a failure to accept, such as too many open files, this long nothing is accepted.
const PAUSE: Duration = Duration::from_millis(50);

async fn accept(listener: TcpListener, desk: Arc<Desk>, stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    while let Some(accepted) = or_stop(listener.accept(), stopped.clone()).await {
        if *stopped.borrow() {
            break;
        }
        while connections.try_join_next().is_some() {}
        match accepted.and_then(|(stream, _)| prepared(stream)) {
            Ok(stream) => {
                connections.spawn(converse(stream, desk.clone(), stopped.clone()));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
    drop(listener);
    let ends = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ends).await.is_err() {
        connections.shutdown().await;
    }
}

/// Without this, an answer's last segment waits for the client's delayed acknowledgement, 40 ms.
fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Serves one connection to its end.
async fn converse(stream: TcpStream, desk: Arc<Desk>, stopped: watch::Receiver<bool>) {
    let service = service_fn(|request| desk.answer(request, stopped.clone()));
    // The answers have dates of their own.
    let serving =
        http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(stream), service);
    let mut serving = pin!(serving);
    let mut stopping = pin!(stop(stopped.clone()));
    let mut told = false;
    let end = poll_fn(|cx| {
        if !told && stopping.as_mut().poll(cx).is_ready() {
            told = true;
            serving.as_mut().graceful_shutdown();
        }
        serving.as_mut().poll(cx)
    });
    // A reset is meant, and what a client breaks off is its own business.
    let _ = end.await;
}

/// The connection is closed without an answer.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed on purpose")
    }
}

impl std::error::Error for Closed {}

impl Desk {
    async fn answer(
        &self,
        request: Request<Incoming>,
        stopped: watch::Receiver<bool>,
    ) -> Result<Response<Full<Bytes>>, Closed> {
        let (head, body) = request.into_parts();
        let too_large = || Ok(response(Answer::text(413, "text/plain", "the body is too large")));
        if body.size_hint().lower() > BODY_LIMIT as u64 {
            return too_large();
        }
        let body = match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(e) if e.is::<LengthLimitError>() => return too_large(),
            Err(_) => return Err(Closed),
        };
        match self.meet(&head, &body) {
            Met::Answered(answer, time) if time.is_zero() => Ok(response(answer)),
            Met::Answered(answer, time) => {
                let slept = or_stop(tokio::time::sleep(time), stopped).await;
                slept.map(|()| response(answer)).ok_or(Closed)
            }
            Met::Refused | Met::Reset => Err(Closed),
            Met::Hangs => {
                stop(stopped).await;
                Err(Closed)
            }
        }
    }

    fn meet(&self, head: &Parts, body: &[u8]) -> Met {
        let Some((sandbox, uri)) = self.routes.find(&head.uri) else {
            return Answer::text(404, "text/plain", "no fake of this name is served here").into();
        };
        let call = Call::new(&head.method, &uri, &head.headers, body);
        let row = row(&head.method, &head.uri);
        let exchange = Exchange::new(op(&head.method), self.faults_at(row) + 1, ATTEMPT);
        let (fault, met) = sandbox.meet(&call, exchange, true, true);
        self.note(row, fault.is_some());
        met
    }

    fn faults_at(&self, row: u64) -> u32 {
        self.rows().get(&row).copied().unwrap_or(0)
    }

    fn note(&self, row: u64, hit: bool) {
        let mut rows = self.rows();
        if !hit {
            rows.remove(&row);
            return;
        }
        if rows.len() >= ROWS {
            rows.clear();
        }
        *rows.entry(row).or_default() += 1;
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<u64, u32>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Routes {
    /// The sandbox, and the address as the vendor sees it.
    fn find(&self, uri: &Uri) -> Option<(&Sandbox, Uri)> {
        let by_provider = match self {
            Self::One(sandbox) => return Some((sandbox, uri.clone())),
            Self::ByProvider(by_provider) => by_provider,
        };
        let path = uri.path().strip_prefix('/')?;
        let (provider, rest) = path.split_once('/').unwrap_or((path, ""));
        let sandbox = by_provider.get(provider)?;
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let inner = format!("/{rest}{query}").parse::<PathAndQuery>().ok()?;
        Some((sandbox, Uri::from(inner)))
    }
}

/// What the method says of a request, for want of an operation (RFC 9110 section 9.2).
fn op(method: &Method) -> &'static Op {
    static GET: Op = Op::new("server", "get", Safety::Read);
    static HEAD: Op = Op::new("server", "head", Safety::Read);
    static PUT: Op = Op::new("server", "put", Safety::Idempotent);
    static DELETE: Op = Op::new("server", "delete", Safety::Idempotent);
    static POST: Op = Op::new("server", "post", Safety::Once);
    static OTHER: Op = Op::new("server", "other", Safety::Once);
    match *method {
        Method::GET => &GET,
        Method::HEAD => &HEAD,
        Method::PUT => &PUT,
        Method::DELETE => &DELETE,
        Method::POST => &POST,
        _ => &OTHER,
    }
}

fn row(method: &Method, uri: &Uri) -> u64 {
    let mut hasher = DefaultHasher::new();
    (method, uri).hash(&mut hasher);
    hasher.finish()
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// The output, or `None` once the server is to stop.
async fn or_stop<F: Future>(future: F, stopped: watch::Receiver<bool>) -> Option<F::Output> {
    let (mut future, mut stop) = (pin!(future), pin!(stop(stopped)));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => stop.as_mut().poll(cx).map(|()| None),
    })
    .await
}

async fn stop(mut stopped: watch::Receiver<bool>) {
    // It fails only when the server is gone, which is the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accepted_sockets_do_not_wait_for_more_data() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let stream = accepted.unwrap().0;
        assert!(!stream.nodelay().unwrap());
        assert!(prepared(stream).unwrap().nodelay().unwrap());
        drop(client);
    }

    #[test]
    fn rows_of_faults_are_counted_by_address_and_forgotten() {
        let desk = Desk { routes: Routes::ByProvider(HashMap::new()), rows: Mutex::default() };
        let [first, second] = ["/a?x=1", "/a?x=2"].map(|uri| row(&Method::GET, &Uri::from_static(uri)));
        desk.note(first, true);
        desk.note(first, true);
        assert_eq!((desk.faults_at(first), desk.faults_at(second)), (2, 0));
        desk.note(first, false);
        assert_eq!(desk.faults_at(first), 0);
        for row in 0..3 * ROWS as u64 {
            desk.note(row, true);
        }
        assert!(desk.rows().len() <= ROWS);
    }
}
