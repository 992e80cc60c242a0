//! The issuer and its resource as a service on the loopback interface, in a thread of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use super::fleet::Event;
use super::issuer::{Group, Issuer, Moment, Pair, Ruling};

/// In requests: the number of the process.
pub(super) const PROCESS_HEADER: &str = "x-process";
/// In answers: where the process has to stop, and with whose tokens: `stored 17`.
pub(super) const STOP_HEADER: &str = "x-stop";

/// Longer than any proof: an access token ends because it is refused.
const EXPIRES_IN_S: u64 = 24 * 3600;
/// An exchange takes up to this long before the issuer rotates, and again after it.
const LATENCY_MS: u64 = 8;
const MAX_FORM: usize = 4096;

/// The service, and the issuer's books for whoever drives it.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) addr: SocketAddr,
    issuer: Arc<Mutex<Issuer>>,
}

impl Service {
    /// Serves until the process ends. Exchanges that are held are told to `tell`.
    pub(super) fn start(
        groups: impl IntoIterator<Item = Group>,
        tell: Sender<Event>,
    ) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let issuer = Arc::new(Mutex::new(Issuer::new(groups)));
        let service = Self { addr: listener.local_addr()?, issuer };
        let serving = service.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                match TcpListener::from_std(listener) {
                    Ok(listener) => serving.accept(listener, tell).await,
                    Err(e) => eprintln!("the issuer cannot listen: {e}"),
                }
            });
        });
        Ok(service)
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Issuer> {
        self.issuer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn accept(&self, listener: TcpListener, tell: Sender<Event>) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().serve(stream, tell.clone()));
        }
    }

    async fn serve(self, stream: TcpStream, tell: Sender<Event>) {
        let service = service_fn(|request| {
            let (service, tell) = (self.clone(), tell.clone());
            async move { Ok::<_, Infallible>(service.answer(request, &tell).await) }
        });
        // It ends with the process at the other side, killed or not.
        let _ended = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: Request<Incoming>, tell: &Sender<Event>) -> Response<Full<Bytes>> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/api") => self.resource(request.headers()),
            (&Method::POST, "/token") => self.token(request, tell).await,
            _ => json_answer(StatusCode::NOT_FOUND, &json!({})),
        }
    }

    fn resource(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let access = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let access = access.and_then(|value| parse("at", value.strip_prefix("Bearer ")?));
        if access.is_some_and(|access| self.books().call(access)) {
            json_answer(StatusCode::OK, &json!({ "ok": true }))
        } else {
            json_answer(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_token" }))
        }
    }

    async fn token(&self, request: Request<Incoming>, tell: &Sender<Event>) -> Response<Full<Bytes>> {
        let process =
            request.headers().get(PROCESS_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        let form = Limited::new(request.into_body(), MAX_FORM).collect().await;
        let refresh = form.ok().and_then(|form| refresh_token(&form.to_bytes()));
        let (Some(process), Some(refresh)) = (process, refresh) else {
            return json_answer(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_request" }));
        };
        latency().await;
        let ruling = self.books().redeem(process, refresh, Instant::now());
        let answer = match ruling {
            Ruling::Give(tokens, stop) => granted(tokens, stop),
            Ruling::Refuse => json_answer(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_grant" })),
            Ruling::Hold(moment) => {
                // At once: whoever asks may hang up. The proof is over if nobody listens.
                let _unheard = moment.map(|moment| tell.send(Event::Standing(process, moment)));
                std::future::pending().await
            }
        };
        latency().await;
        answer
    }
}

async fn latency() {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(..=LATENCY_MS))).await;
}

fn granted(tokens: Pair, stop: Option<Moment>) -> Response<Full<Bytes>> {
    let mut answer = json_answer(
        StatusCode::OK,
        &json!({
            "access_token": access_token(tokens),
            "refresh_token": refresh_token_of(tokens),
            "token_type": "Bearer",
            "expires_in": EXPIRES_IN_S,
        }),
    );
    let stop = stop.map(|moment| format!("{} {}", moment.name(), tokens.family));
    if let Some(stop) = stop.and_then(|stop| HeaderValue::from_str(&stop).ok()) {
        answer.headers_mut().insert(STOP_HEADER, stop);
    }
    answer
}

fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

pub(super) fn access_token(tokens: Pair) -> String {
    format!("at-{}-{}", tokens.family, tokens.generation)
}

pub(super) fn refresh_token_of(tokens: Pair) -> String {
    format!("rt-{}-{}", tokens.family, tokens.generation)
}

fn parse(prefix: &str, token: &str) -> Option<Pair> {
    let (family, generation) = token.strip_prefix(prefix)?.strip_prefix('-')?.split_once('-')?;
    Some(Pair { family: family.parse().ok()?, generation: generation.parse().ok()? })
}

/// Of a form (RFC 6749, section 6). Our tokens hold nothing that a form would escape.
fn refresh_token(form: &[u8]) -> Option<Pair> {
    let form = std::str::from_utf8(form).ok()?;
    let field =
        |name| form.split('&').filter_map(|field| field.split_once('=')).find(|field| field.0 == name);
    field("grant_type").filter(|(_, grant)| *grant == "refresh_token")?;
    parse("rt", field("refresh_token")?.1)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    fn started(group: Group) -> (Service, Receiver<Event>) {
        let (tell, told) = channel();
        (Service::start([group], tell).unwrap(), told)
    }

    async fn redeem(service: &Service, process: u32, token: &str) -> reqwest::Response {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let form = format!("grant_type=refresh_token&refresh_token={token}");
        let request = client.post(format!("http://{}/token", service.addr)).header(PROCESS_HEADER, process);
        request.body(form).send().await.unwrap()
    }

    async fn call(service: &Service, token: &str) -> u16 {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.get(format!("http://{}/api", service.addr)).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    }

    #[test]
    fn a_form_is_read_when_it_asks_for_a_refresh() {
        let pair = Pair { family: 3, generation: 17 };
        assert_eq!(refresh_token(b"grant_type=refresh_token&refresh_token=rt-3-17&client_id=x"), Some(pair));
        assert_eq!(refresh_token(b"grant_type=password&refresh_token=rt-3-17"), None);
        assert_eq!(refresh_token(b"grant_type=refresh_token&refresh_token=at-3-17"), None);
        assert_eq!(parse("at", &access_token(pair)), Some(pair));
        assert_eq!(parse("rt", &refresh_token_of(pair)), Some(pair));
    }

    #[tokio::test]
    async fn tokens_are_exchanged_used_and_refused() {
        let (service, _told) = started(Group::Strict);
        assert_eq!(call(&service, "at-0-0").await, 200);
        assert!(service.books().expire(0));
        assert_eq!(call(&service, "at-0-0").await, 401);
        let answer = redeem(&service, 1, "rt-0-0").await;
        assert!(!answer.headers().contains_key(STOP_HEADER));
        let answer: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(answer["refresh_token"], "rt-0-1");
        assert_eq!(call(&service, answer["access_token"].as_str().unwrap()).await, 200);
        let refused = redeem(&service, 1, "rt-0-0").await;
        assert_eq!(refused.status(), 400);
        assert!(refused.text().await.unwrap().contains("invalid_grant"));
        assert_eq!(call(&service, "at-0-1").await, 401);
    }

    #[tokio::test]
    async fn a_process_is_told_where_to_stop_with_whose_tokens() {
        let (service, _told) = started(Group::Outside);
        service.books().expire(0);
        service.books().arm(Moment::Stored, Group::Outside);
        assert_eq!(redeem(&service, 7, "rt-0-0").await.headers()[STOP_HEADER], "stored 0");
    }

    #[tokio::test]
    async fn an_exchange_that_is_held_is_told_of_and_never_answered() {
        let (service, told) = started(Group::Strict);
        service.books().expire(0);
        service.books().arm(Moment::Rotated, Group::Strict);
        let asking = tokio::spawn({
            let service = service.clone();
            async move { redeem(&service, 7, "rt-0-0").await }
        });
        let held = tokio::task::spawn_blocking(move || told.recv_timeout(Duration::from_secs(20)));
        let held = held.await.unwrap().unwrap();
        assert!(matches!(held, Event::Standing(7, Moment::Rotated)));
        assert!(!asking.is_finished());
        asking.abort();
        assert_eq!(redeem(&service, 8, "rt-0-0").await.status(), 400);
    }
}
