//! A vendor of a few lines: what it answers is a function of the request, and it remembers what it was asked.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use integrations_auth::{Begun, SignIn, SignInRequest, SignedIn};
use integrations_core::{Body, Exchange, Payload, Result, Transport, TransportError};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `GET https://host/path?query`.
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What is answered: status, headers, body.
pub(crate) type Reply = (u16, Vec<(&'static str, String)>, String);

pub(crate) fn reply(status: u16, body: &serde_json::Value) -> Reply {
    (status, vec![("content-type", "application/json".to_owned())], body.to_string())
}

#[derive(Clone)]
pub(crate) struct Service {
    answer: Arc<dyn Fn(&Seen) -> Reply + Send + Sync>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Service {
    pub(crate) fn new(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), seen: Arc::default() }
    }

    /// Everything that was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

#[async_trait::async_trait]
impl Transport for Service {
    async fn send(&self, request: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        let seen = Seen {
            line: format!("{} {}", request.method(), request.uri()),
            headers: request.headers().clone(),
            body: String::from_utf8(request.body().as_bytes().unwrap_or_default().to_vec()).unwrap(),
        };
        let (status, headers, body) = (self.answer)(&seen);
        self.seen.lock().unwrap().push(seen);
        let mut response = Response::new(Payload::from(Bytes::from(body)));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        Ok(response)
    }
}

/// The parameters of an address.
pub(crate) fn params(url: &str) -> Vec<(String, String)> {
    let request = integrations_core::Req::get(&url.parse().unwrap()).build().unwrap();
    integrations_core::params::of(&request)
}

pub(crate) fn param(url: &str, name: &str) -> Option<String> {
    params(url).into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// A whole flow, in which the browser comes back with the code `c-1`.
pub(crate) async fn signed_in(sign_in: &SignIn) -> Result<SignedIn> {
    let Begun { pending, .. } = sign_in.begin(SignInRequest::new()).await?;
    let answer = format!("code=c-1&state={}", pending.state().expose());
    sign_in.complete(pending, &answer).await
}

/// What the browser brings back that was sent to `url`.
#[cfg(feature = "dynamic")]
pub(crate) fn returned(sandbox: &integrations_sandbox::Sandbox, url: &str) -> String {
    use integrations_sandbox::Call;

    let (uri, headers) = (url.parse().unwrap(), HeaderMap::new());
    let answer = sandbox.answer(&Call::new(&http::Method::GET, &uri, &headers, b""));
    let location = answer.headers.get(http::header::LOCATION).unwrap().to_str().unwrap();
    location.split_once('?').unwrap().1.to_owned()
}
