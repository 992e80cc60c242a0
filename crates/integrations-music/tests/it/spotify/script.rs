//! A service that answers by what it is asked, for what no whole vendor is needed for.

use std::sync::{Arc, Mutex};

use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use integrations_core::{Body, Exchange, Payload, Transport, TransportError};
use serde_json::Value;

/// One request, without what the pipeline adds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    /// Method, path and query, without host and version.
    pub(super) line: String,
    pub(super) authorization: String,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

type Answers = dyn Fn(&Seen, usize) -> (u16, String) + Send + Sync;

#[derive(Clone)]
pub(super) struct Script {
    answers: Arc<Answers>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    /// Answers each request, of which so many came before it.
    pub(super) fn new(answers: impl Fn(&Seen, usize) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self { answers: Arc::new(answers), seen: Arc::default() }
    }

    /// Answers everything with this.
    pub(super) fn always(status: u16, body: &Value) -> Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Self::new(move |_, _| (status, body.clone()))
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

#[async_trait::async_trait]
impl Transport for Script {
    async fn send(&self, request: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        // Others come meanwhile, as on a wire.
        tokio::task::yield_now().await;
        let (head, body) = request.into_parts();
        let target = head.uri.path_and_query().unwrap().as_str();
        let seen = Seen {
            line: format!("{} {}", head.method, target.strip_prefix("/v1").unwrap_or(target)),
            authorization: head
                .headers
                .get(AUTHORIZATION)
                .map_or_else(String::new, |v| v.to_str().unwrap().to_owned()),
            body: String::from_utf8(body.as_bytes().unwrap_or_default().to_vec()).unwrap(),
        };
        let mut all = self.seen.lock().unwrap();
        let (status, text) = (self.answers)(&seen, all.len());
        all.push(seen);
        let mut response = Response::new(Payload::from(bytes::Bytes::from(text)));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok(response)
    }
}
