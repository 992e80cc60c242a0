//! The service behind the provider, in memory and on the byte seam, with the faults that real services have.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode, Uri};
use integrations_core::{Body, Exchange, Payload, Transport, TransportError};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// 429 with `Retry-After` in whole seconds; the request is not looked at.
    Throttled(Duration),
    /// 500; the request was not executed, but the answer does not say so.
    Broken,
    /// The request is executed; then the connection breaks before the answer.
    ReplyLost,
}

/// An invented notes service that lives in this process. Clones are the same service.
///
/// ```
/// # #[cfg(feature = "notes")]
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
/// use integrations_example::notes::Notes;
/// use integrations_example::{FakeNotes, Fault, NewNote};
///
/// let service = FakeNotes::new("a-token");
/// let notes = Notes::builder().token("a-token").transport(service.clone()).build()?;
/// service.fail_next(Fault::ReplyLost);
/// notes.create(NewNote { text: "Buy milk".to_owned() }).await?;
/// assert_eq!((service.requests(), service.texts().len()), (2, 1));
/// # Ok::<(), integrations_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct FakeNotes(Arc<Mutex<Service>>);

#[derive(Default)]
struct Service {
    authorization: String,
    notes: Vec<Stored>,
    made: usize,
    /// What an idempotency key was first used for: the text, and the id of its note.
    keys: HashMap<String, (String, String)>,
    faults: VecDeque<Fault>,
    down: bool,
    requests: u64,
}

struct Stored {
    id: String,
    text: String,
    created_at: Timestamp,
}

impl Stored {
    fn json(&self) -> Value {
        json!({ "id": self.id, "text": self.text, "created_at": self.created_at.to_string() })
    }
}

/// Status, delay in seconds, JSON.
type Answer = (StatusCode, Option<u64>, Value);

impl FakeNotes {
    /// An empty service that knows one token.
    pub fn new(token: &str) -> Self {
        let service = Service { authorization: format!("Bearer {token}"), ..Service::default() };
        Self(Arc::new(Mutex::new(service)))
    }

    /// Lets one request to come fail; several calls line up.
    pub fn fail_next(&self, fault: Fault) {
        self.service().faults.push_back(fault);
    }

    /// While it is down, every request is answered by 500 and none is executed.
    pub fn set_down(&self, down: bool) {
        self.service().down = down;
    }

    /// The texts of the notes it keeps, oldest first.
    pub fn texts(&self) -> Vec<String> {
        self.service().notes.iter().map(|note| note.text.clone()).collect()
    }

    /// How many requests have reached it.
    pub fn requests(&self) -> u64 {
        self.service().requests
    }

    fn service(&self) -> MutexGuard<'_, Service> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for FakeNotes {
    async fn send(&self, request: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        let (head, body) = request.into_parts();
        let body = body.as_bytes().unwrap_or_default();
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        let mut service = self.service();
        service.requests += 1;
        if service.down {
            return Ok(response(problem(500, "down", "the service is down")));
        }
        let fault = service.faults.pop_front();
        match fault {
            Some(Fault::Throttled(delay)) => {
                let (status, _, problem) = problem(429, "too_fast", "too many requests");
                return Ok(response((status, Some(delay.as_secs()), problem)));
            }
            Some(Fault::Broken) => return Ok(response(problem(500, "oops", "something broke"))),
            Some(Fault::ReplyLost) | None => {}
        }
        if header(AUTHORIZATION.as_str()) != Some(&service.authorization) {
            return Ok(response(problem(401, "token_expired", "the token is not valid")));
        }
        let answer = service.answer(&head.method, &head.uri, header("idempotency-key"), body);
        if fault == Some(Fault::ReplyLost) {
            return Err(TransportError::reset());
        }
        Ok(response(answer))
    }
}

impl Service {
    fn answer(&mut self, method: &Method, uri: &Uri, key: Option<&str>, body: &[u8]) -> Answer {
        let path: Vec<&str> = uri.path().split('/').skip(2).collect();
        match (method.as_str(), path.as_slice()) {
            ("GET", ["notes"]) => self.list(uri.query().unwrap_or_default()),
            ("POST", ["notes"]) => self.create(key, body),
            ("GET", ["notes", id]) => self.get(id),
            ("DELETE", ["notes", id]) => self.delete(id),
            _ => problem(404, "no_such_page", "there is nothing here"),
        }
    }

    fn list(&self, query: &str) -> Answer {
        let parameter = |name: &str| {
            query.split('&').filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == name)?.1.parse().ok()
        };
        let from = parameter("cursor").unwrap_or(0_usize).min(self.notes.len());
        let to = (from + parameter("limit").unwrap_or(20).min(100)).min(self.notes.len());
        let notes: Vec<Value> = self.notes[from..to].iter().map(Stored::json).collect();
        let next = (to < self.notes.len()).then(|| to.to_string());
        (StatusCode::OK, None, json!({ "notes": notes, "next_cursor": next }))
    }

    fn create(&mut self, key: Option<&str>, body: &[u8]) -> Answer {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(text) = body["text"].as_str() else {
            return problem(400, "invalid_note", "a note has a text");
        };
        if let Some((first, id)) = key.and_then(|key| self.keys.get(key)) {
            return if first == text {
                self.get(&id.clone())
            } else {
                problem(409, "key_reused", "the key stands for another note")
            };
        }
        self.made += 1;
        let id = format!("n_{}", self.made);
        if let Some(key) = key {
            self.keys.insert(key.to_owned(), (text.to_owned(), id.clone()));
        }
        let created_at = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(self.made as i64);
        let note = Stored { id, text: text.to_owned(), created_at };
        let answer = note.json();
        self.notes.push(note);
        (StatusCode::CREATED, None, answer)
    }

    fn get(&self, id: &str) -> Answer {
        match self.notes.iter().find(|note| note.id == id) {
            Some(note) => (StatusCode::OK, None, note.json()),
            None => problem(404, "no_such_note", "there is no such note"),
        }
    }

    fn delete(&mut self, id: &str) -> Answer {
        let before = self.notes.len();
        self.notes.retain(|note| note.id != id);
        if self.notes.len() == before {
            return problem(404, "no_such_note", "there is no such note");
        }
        (StatusCode::NO_CONTENT, None, Value::Null)
    }
}

fn problem(status: u16, code: &str, message: &str) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, None, json!({ "error": { "code": code, "message": message } }))
}

fn response((status, delay, json): Answer) -> Response<Payload> {
    let body = if json.is_null() { Bytes::new() } else { json.to_string().into() };
    let mut response = Response::new(Payload::from(body));
    *response.status_mut() = status;
    if let Some(seconds) = delay {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}
