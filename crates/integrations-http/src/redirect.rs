//! Redirects, followed by us so that every hop passes the egress policy and no credential leaves the origin.

use http::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderMap, HeaderName, LOCATION, RANGE, USER_AGENT};
use http::{Method, StatusCode};
use integrations_core::{TransportError, TransportFailure};
use url::Url;

/// How many redirects of one request are followed.
pub(crate) const MAX_HOPS: u32 = 5;

/// Headers that say nothing about who asks; they go along to another origin. So do conditions, `if-*`.
const NEUTRAL: [HeaderName; 4] = [ACCEPT, ACCEPT_LANGUAGE, USER_AGENT, RANGE];

/// Where the answer points, or `None` if it is to be handed to the caller as it is: no redirect, no `location`, or a
/// request that changes something or carries a body.
pub(crate) fn target(
    method: &Method,
    from: &Url,
    bodiless: bool,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<Url>, TransportError> {
    let followed = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let harmless = bodiless && matches!(*method, Method::GET | Method::HEAD);
    let Some(location) = headers.get(LOCATION).filter(|_| followed && harmless) else { return Ok(None) };
    let to = std::str::from_utf8(location.as_bytes()).ok().and_then(|text| from.join(text).ok());
    let to = to.ok_or_else(|| refused(TransportFailure::BadResponse, "a redirect to a malformed address"))?;
    if from.scheme() == "https" && to.scheme() != "https" {
        return Err(refused(TransportFailure::Forbidden, "a redirect from https to an unencrypted address"));
    }
    Ok(Some(to))
}

pub(crate) fn too_many() -> TransportError {
    refused(TransportFailure::BadResponse, "more than 5 redirects")
}

pub(crate) fn elsewhere() -> TransportError {
    refused(TransportFailure::Forbidden, "a redirect to another origin, which may not speak for this one")
}

fn refused(failure: TransportFailure, what: &str) -> TransportError {
    TransportError::new(failure, true, format!("the service answered with {what}"))
}

pub(crate) fn is_neutral(name: &HeaderName) -> bool {
    NEUTRAL.contains(name) || name.as_str().starts_with("if-")
}

/// The headers for the next hop. To another origin (scheme, host or port) go only neutral ones that were not marked
/// sensitive; what is dropped does not come back on the way home.
pub(crate) fn carried(headers: HeaderMap, from: &Url, to: &Url) -> HeaderMap {
    if from.origin() == to.origin() {
        return headers;
    }
    let mut kept = HeaderMap::new();
    for (name, value) in &headers {
        if is_neutral(name) && !value.is_sensitive() {
            kept.append(name, value.clone());
        }
    }
    kept
}
