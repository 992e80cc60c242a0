//! reqwest's errors as ours. Nothing of theirs is kept: their texts hold URLs, and a peer's words may be in them.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use integrations_core::{TransportError, TransportFailure as Failure};

use crate::egress::Refused;

/// A request that got no answer.
pub(crate) fn of_request(error: &reqwest::Error, connect_timeout: Duration) -> TransportError {
    if let Some(refused) = find::<Refused>(error) {
        return forbidden(*refused, false);
    }
    if error.is_builder() {
        return TransportError::new(Failure::BadRequest, false, "the request is not valid HTTP");
    }
    if error.is_connect() {
        return of_connect(error, connect_timeout);
    }
    if never_began(error) {
        let message = "the connection closed before the request was sent";
        return TransportError::new(Failure::Reset, false, message);
    }
    of_exchange(error, "before an answer arrived")
}

/// A broken answer: the request has been sent.
pub(crate) fn of_body(error: &reqwest::Error) -> TransportError {
    of_exchange(error, "while the answer was read")
}

pub(crate) fn forbidden(refused: Refused, sent: bool) -> TransportError {
    TransportError::new(Failure::Forbidden, sent, refused.to_string())
}

/// No connection, hence nothing sent: reqwest calls only name, TCP, proxy and handshake errors so.
fn of_connect(error: &reqwest::Error, timeout: Duration) -> TransportError {
    if error.is_timeout() {
        let message = format!("no connection within {timeout:?}");
        return TransportError::new(Failure::Timeout, false, message);
    }
    if error.is_dns() {
        let message = "the name of the service, or of the proxy, could not be resolved";
        return TransportError::new(Failure::Connect, false, message)
            .with_source(io::Error::from(io::ErrorKind::NotFound));
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return TransportError::new(Failure::Tls, false, "the TLS handshake failed").with_source(tls.clone());
    }
    if let Some(tunnel) = tunnel(error) {
        return TransportError::new(Failure::Connect, false, tunnel);
    }
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(kind) => TransportError::new(Failure::Connect, false, format!("no connection: {kind}"))
            .with_source(io::Error::from(kind)),
        None => TransportError::new(Failure::Connect, false, "no connection"),
    }
}

/// The request began, so it may have arrived.
fn of_exchange(error: &reqwest::Error, when: &str) -> TransportError {
    if let Some(tls) = find::<rustls::Error>(error) {
        return TransportError::new(Failure::Tls, true, format!("TLS failed {when}"))
            .with_source(tls.clone());
    }
    if error.is_timeout() {
        return TransportError::new(Failure::Timeout, true, format!("the connection timed out {when}"));
    }
    if let Some(hyper) = find::<hyper::Error>(error)
        && hyper.is_parse()
    {
        return TransportError::new(Failure::BadResponse, true, "the answer is not valid HTTP");
    }
    let broken = TransportError::new(Failure::Reset, true, format!("the connection broke {when}"));
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(kind) => broken.with_source(io::Error::from(kind)),
        None => broken,
    }
}

/// hyper hands a request back unsent when the connection closed before it took it ("never even started", says
/// its dispatcher), and an HTTP/2 server refuses a stream only before any processing (RFC 9113, 8.7). GOAWAY is
/// not among them: a stream below its last id may have been processed.
fn never_began(error: &reqwest::Error) -> bool {
    let unsent = find::<hyper::Error>(error).is_some_and(hyper::Error::is_canceled);
    let refused = find::<h2::Error>(error)
        .is_some_and(|e| e.is_reset() && e.is_remote() && e.reason() == Some(h2::Reason::REFUSED_STREAM));
    unsent || refused
}

/// What became of CONNECT. hyper-util's error type is private; its texts are constants.
fn tunnel(error: &reqwest::Error) -> Option<&'static str> {
    let text = causes(error).map(ToString::to_string).find(|text| text.starts_with("tunnel error: "))?;
    Some(match text.as_str() {
        "tunnel error: proxy authorization required" => "the proxy wants other credentials",
        "tunnel error: failed to create underlying connection" => "the proxy cannot be reached",
        _ => "the proxy refused to connect to the service",
    })
}

/// The first cause of type `T`.
fn find<T: StdError + 'static>(error: &reqwest::Error) -> Option<&T> {
    causes(error).find_map(|cause| cause.downcast_ref::<T>())
}

/// Every cause. `io::Error::source` skips the error that it wraps, and rustls's sits there, two deep.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |cause: &&(dyn StdError + 'static)| {
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|e| e as &(dyn StdError + 'static)).or_else(|| (*cause).source())
    })
}
