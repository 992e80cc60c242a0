//! Building requests and reading answers: the only place that percent-encodes and the only one that decodes.

use std::fmt::Display;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::Body;
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::op::{Op, Safety};

/// A request before it is authorised.
pub type WireRequest = http::Request<Body>;

/// RFC 3986 unreserved characters stay as they are; everything else is encoded, in segments and in queries.
pub(crate) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Builds a request. Path *segments* are encoded one by one, so an id of `a/../b` stays one segment.
///
/// ```
/// use integrations_core::Req;
/// let base = "https://api.example.com/v1".parse()?;
/// let request = Req::get(&base).path(["tracks", "a/../b"]).query("market", Some("FR")).build()?;
/// assert_eq!(request.uri(), "https://api.example.com/v1/tracks/a%2F..%2Fb?market=FR");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct Req {
    method: Method,
    uri: String,
    has_query: bool,
    headers: HeaderMap,
    body: Body,
    fault: Option<Error>,
}

impl std::fmt::Debug for Req {
    /// Method and kind of body. Not even the path, because some vendors' tokens travel there.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Req({}, {:?})", self.method, self.body)
    }
}

impl Req {
    /// A request with any method. `base` may have a path, which is kept; one with a query takes no further path.
    pub fn new(method: Method, base: &Uri) -> Self {
        let uri = base.to_string();
        let has_query = base.query().is_some();
        let uri = if has_query { uri } else { uri.trim_end_matches('/').to_owned() };
        Self { method, uri, has_query, headers: HeaderMap::new(), body: Body::Empty, fault: None }
    }

    /// `GET`.
    pub fn get(base: &Uri) -> Self {
        Self::new(Method::GET, base)
    }

    /// `POST`.
    pub fn post(base: &Uri) -> Self {
        Self::new(Method::POST, base)
    }

    /// `PUT`.
    pub fn put(base: &Uri) -> Self {
        Self::new(Method::PUT, base)
    }

    /// `PATCH`.
    pub fn patch(base: &Uri) -> Self {
        Self::new(Method::PATCH, base)
    }

    /// `DELETE`.
    pub fn delete(base: &Uri) -> Self {
        Self::new(Method::DELETE, base)
    }

    /// Appends path segments, each encoded. An empty segment, `.` or `..` is refused: servers and proxies
    /// would resolve it to another resource. So is a segment after a query, which would become part of it.
    pub fn path<S: AsRef<str>>(mut self, segments: impl IntoIterator<Item = S>) -> Self {
        for segment in segments {
            let segment = segment.as_ref();
            if matches!(segment, "" | "." | "..") {
                self.found(Error::invalid_request("a path segment is empty, `.` or `..`"));
            } else if self.has_query {
                self.found(Error::invalid_request("a path segment comes after the query"));
            }
            self.uri.push('/');
            self.uri.extend(utf8_percent_encode(segment, ENCODED));
        }
        self
    }

    /// Ends the path in a slash, which is left out otherwise: for services whose addresses have it. It comes after the last
    /// segment and before the query.
    pub fn slash(mut self) -> Self {
        if self.has_query {
            self.found(Error::invalid_request("a path segment comes after the query"));
        }
        self.uri.push('/');
        self
    }

    /// Appends one query parameter, or nothing for `None`.
    pub fn query(mut self, name: &str, value: Option<impl Display>) -> Self {
        if let Some(value) = value {
            self.uri.push(if self.has_query { '&' } else { '?' });
            self.has_query = true;
            self.uri.push_str(&Self::pair(name, &value.to_string()));
        }
        self
    }

    /// One parameter of a query or a form.
    pub(crate) fn pair(name: &str, value: &str) -> String {
        format!("{}={}", utf8_percent_encode(name, ENCODED), utf8_percent_encode(value, ENCODED))
    }

    /// Sets a header, or nothing for `None`. A value with control characters is refused.
    pub fn header(mut self, name: HeaderName, value: Option<impl AsRef<str>>) -> Self {
        if let Some(value) = value {
            if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
                self.headers.insert(name, value);
            } else {
                let message = format!("the value for header `{name}` has characters that no header may have");
                self.found(Error::invalid_request(message));
            }
        }
        self
    }

    /// A JSON body.
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => {
                self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                self.body = bytes.into();
            }
            Err(e) => {
                self.found(Error::invalid_request("the body cannot be written as JSON").with_source(e));
            }
        }
        self
    }

    /// A form body (`application/x-www-form-urlencoded`); bracketed names such as `items[0][price]` are the
    /// caller's to spell.
    pub fn form<K: AsRef<str>, V: AsRef<str>>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let pairs = pairs.into_iter().map(|(name, value)| Self::pair(name.as_ref(), value.as_ref()));
        let text = pairs.collect::<Vec<_>>().join("&");
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        self.body = text.into();
        self
    }

    /// Any body; set its content type by [`Req::header`].
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    fn found(&mut self, fault: Error) {
        self.fault.get_or_insert(fault);
    }

    /// The request, or what was wrong with the first bad part.
    pub fn build(self) -> Result<WireRequest> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let uri = Self::address(&self.uri)?;
        let mut request = http::Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers;
        Ok(request)
    }

    pub(crate) fn address(text: &str) -> Result<Uri> {
        text.parse().map_err(|e| {
            Error::invalid_request("the address of the service is not a valid URI").with_source(e)
        })
    }
}

/// A whole answer in memory, together with the operation it answers.
#[derive(Clone)]
#[non_exhaustive]
pub struct WireResponse {
    /// The operation.
    pub op: &'static Op,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Attempts that it took; 0 when it was made otherwise.
    pub(crate) attempts: u32,
}

impl WireResponse {
    /// An answer to `op`, as golden tests and fakes make it.
    pub fn new(op: &'static Op, status: StatusCode, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { op, status, headers, body: body.into(), attempts: 0 }
    }

    /// Decodes the body as JSON. The error names the place in the document by the fields of `T`, with `*` for any
    /// other key, and never shows the body; for a
    /// call that changes something its effect is [`Effect::Applied`], because the service has answered 2xx.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let mut reader = serde_json::Deserializer::from_slice(&self.body);
        crate::trail::deserialize(&mut reader).map_err(|(e, path)| {
            let what = match e.classify() {
                serde_json::error::Category::Data => "has another shape than expected",
                _ => "is not JSON",
            };
            let place = if path.is_empty() { String::new() } else { format!(" at `{path}`") };
            let message = format!("the answer {what}{place} (line {}, column {})", e.line(), e.column());
            self.undecodable(message)
        })
    }

    /// The body as text.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body)
            .map_err(|e| self.undecodable("the answer is not UTF-8").with_source(e))
    }

    /// A [`ErrorKind::Decode`] error of this answer.
    pub fn undecodable(&self, message: impl Into<String>) -> Error {
        let effect = if self.op.safety == Safety::Read { Effect::Rejected } else { Effect::Applied };
        Error::new(ErrorKind::Decode, effect, message).with_op(self.op).with_status(self.status.as_u16())
    }

    /// One header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}

impl std::fmt::Debug for WireResponse {
    /// Status and size; never headers or body.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WireResponse({}, {} bytes)", self.status, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static READ: Op = Op::new("test", "read", Safety::Read);
    static WRITE: Op = Op::new("test", "write", Safety::Once);

    fn base() -> Uri {
        "https://api.example.com/v1/".parse().unwrap()
    }

    #[test]
    fn segments_queries_and_forms_are_encoded() {
        let request = Req::post(&base())
            .path(["playlists", "a/../b?c#d", "ü"])
            .query("q", Some("a&b=c d"))
            .query("none", None::<&str>)
            .query("limit", Some(50))
            .form([("a b", "c&d"), ("e", "f=g")])
            .build()
            .unwrap();
        assert_eq!(
            request.uri(),
            "https://api.example.com/v1/playlists/a%2F..%2Fb%3Fc%23d/%C3%BC?q=a%26b%3Dc%20d&limit=50"
        );
        assert_eq!(request.body().as_bytes().unwrap(), b"a%20b=c%26d&e=f%3Dg");
    }

    #[test]
    fn a_path_after_a_query_is_refused_and_the_first_fault_is_told() {
        let with_query: Uri = "https://api.example.com/v1?key=1".parse().unwrap();
        for request in [
            Req::get(&with_query).path(["x"]),
            Req::get(&with_query).slash(),
            Req::get(&base()).query("a", Some(1)).path(["x", ""]),
        ] {
            let e = request.build().unwrap_err();
            assert!(e.message().contains("after the query"), "{e}");
        }
        let next = Req::get(&with_query).query("page", Some(2)).build().unwrap();
        assert_eq!(next.uri(), "https://api.example.com/v1?key=1&page=2");
    }

    #[test]
    fn debug_forms_show_no_address_header_or_body() {
        let base: Uri = "https://hunter2:hunter2@api.example.com/v1".parse().unwrap();
        let request = Req::post(&base).path(["bot-hunter2"]).query("k", Some("hunter2"));
        let request = request.header(http::header::ACCEPT, Some("hunter2")).body("hunter2");
        assert_eq!(format!("{request:?}"), "Req(POST, Bytes(7 bytes))");
        let payload = crate::transport::Payload::from(Bytes::from_static(b"hunter2"));
        assert_eq!(format!("{payload:?}"), "Whole(7 bytes)");
    }

    #[test]
    fn dot_segments_and_bad_headers_are_refused() {
        for bad in ["", ".", ".."] {
            let e = Req::get(&base()).path(["tracks", bad]).build().unwrap_err();
            assert_eq!((e.kind(), e.effect()), (ErrorKind::InvalidRequest, Effect::NotSent));
        }
        let injected = Req::get(&base()).header(http::header::ACCEPT, Some("a\r\nX-Evil: 1")).build();
        assert!(!injected.unwrap_err().to_string().contains("Evil"));
    }

    #[test]
    fn a_decode_error_names_the_place_and_not_the_body() {
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code, reason = "only its shape matters")]
        struct Tracks {
            items: Vec<u32>,
        }
        let body = r#"{"items":[1,"hunter2"]}"#;
        for (op, effect) in [(&READ, Effect::Rejected), (&WRITE, Effect::Applied)] {
            let response = WireResponse::new(op, StatusCode::OK, HeaderMap::new(), body);
            let e = response.json::<Tracks>().unwrap_err();
            assert_eq!((e.kind(), e.effect()), (ErrorKind::Decode, effect));
            assert!(e.to_string().contains("items[1]"), "{e}");
            assert!(!format!("{e:?}{}", e.explain()).contains("hunter2"));
        }
    }
}
