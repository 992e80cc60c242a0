//! One attempt.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use tokio::time::{Instant, timeout};

use super::Inner;
use super::class::ErrorClass;
use super::ledger::Report;
use super::model::Attempt;
use super::sign::signatures;
use super::store::Lease;
use crate::body::Body;
use crate::error::{ErrorKind, Result};
use crate::op::{Op, Safety};
use crate::quota;
use crate::transport::{Exchange, Payload};

/// How much of an answer is read and kept.
const HEAD: usize = 4096;

/// Receivers drop a second delivery of one id; the limit is for transports that read all of an answer.
static DELIVER: Op = Op::new("outbox", "deliver", Safety::Idempotent).http("POST", "/");

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// An answer, as far as it matters.
struct Answer {
    status: StatusCode,
    told: Option<Duration>,
    head: Bytes,
}

/// Sends a delivery once and says how it ended.
pub(super) async fn attempt(outbox: &Inner, lease: &Lease) -> Report {
    let at = outbox.clock.now();
    let jitter = (outbox.jitter)();
    let request = match request(outbox, lease) {
        Ok(request) => request,
        Err(class) => return Report { jitter, ..Report::new(at, Duration::ZERO, None, Some(class)) },
    };
    let began = Instant::now();
    let limit = lease.endpoint.settings.timeout;
    let exchange = Exchange::new(&DELIVER, lease.delivery.attempts, limit);
    let answer = send(outbox, request, exchange, limit).await;
    let latency = began.elapsed();
    match answer {
        Ok(Answer { status, told, head }) => {
            let (class, status) = (ErrorClass::of_status(status), Some(status.as_u16()));
            Report { attempt: Attempt { at, latency, status, class, head }, told, jitter }
        }
        Err(class) => Report { jitter, ..Report::new(at, latency, None, Some(class)) },
    }
}

/// The signed request. The address is checked anew at each attempt: the rules may be stricter than when it was given.
fn request(outbox: &Inner, lease: &Lease) -> Result<Request<Body>, ErrorClass> {
    let uri = outbox.admission.admit(&lease.endpoint.settings.url).map_err(|e| match e.kind() {
        ErrorKind::PermissionDenied => ErrorClass::BlockedAddress,
        _ => ErrorClass::BadAnswer,
    })?;
    let (now, event) = (outbox.clock.now(), &lease.event);
    let signature = signatures(lease.endpoint.keys_at(now), event.id.as_str(), now, &event.payload)
        .map_err(|_| ErrorClass::SigningError)?;
    Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(CONTENT_TYPE, "application/json")
        // The head of an answer is kept as it comes; nothing is inflated.
        .header(ACCEPT_ENCODING, "identity")
        .header(USER_AGENT, outbox.user_agent.clone())
        .header(ID, event.id.as_str())
        .header(TIMESTAMP, HeaderValue::from(now.as_second()))
        .header(SIGNATURE, signature)
        .body(Body::from(event.payload.clone()))
        .map_err(|_| ErrorClass::SigningError)
}

async fn send(
    outbox: &Inner,
    request: Request<Body>,
    exchange: Exchange,
    limit: Duration,
) -> Result<Answer, ErrorClass> {
    // The limit ends with the status: a success must not become a failure while its body is read.
    let sent = timeout(limit, outbox.transport.send(request, exchange)).await;
    let sent = sent.map_err(|_| ErrorClass::ReadTimeout)?;
    let (parts, payload) = sent.map_err(|e| ErrorClass::of_failure(&e)).map(Response::into_parts)?;
    let told = quota::standard(parts.status, &parts.headers, outbox.clock.now()).retry_after;
    Ok(Answer { status: parts.status, told, head: head(payload).await })
}

/// The beginning of the answer. The status has decided already: a body that breaks or never ends changes nothing.
async fn head(payload: Payload) -> Bytes {
    let mut stream = match payload {
        Payload::Whole(bytes) => return bytes.slice(..bytes.len().min(HEAD)),
        Payload::Stream(stream) => stream,
    };
    let mut head = BytesMut::new();
    let read = async {
        while head.len() < HEAD {
            let Some(Ok(chunk)) = stream.chunk().await else { break };
            head.extend_from_slice(&chunk[..chunk.len().min(HEAD - head.len())]);
        }
    };
    // What arrived in time is kept.
    let _ended = timeout(READING, read).await;
    head.freeze()
}

/// How long the answer's body is waited for, once its status is here.
const READING: Duration = Duration::from_secs(2);
