//! Incoming webhooks: published vectors, keys, handshakes, diagnosis, fetched keys.

mod diagnosis;
mod fetching;
mod handshakes;
mod keys;
mod vectors;

use http::{HeaderMap, HeaderName, Method, Uri};
use integrations_core::webhook::{Decoding, Incoming, Key, KeyRing};
use jiff::Timestamp;

/// A request that owns its parts.
#[derive(Clone)]
struct Sent {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Vec<u8>,
    received: Timestamp,
}

impl Sent {
    fn post(body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: Method::POST,
            uri: Uri::from_static("https://example.com/hook"),
            headers: HeaderMap::new(),
            body: body.into(),
            received: Timestamp::constant(1_700_000_000, 0),
        }
    }

    fn get(uri: &str) -> Self {
        Self { method: Method::GET, uri: uri.parse().unwrap(), ..Self::post("") }
    }

    fn uri(mut self, uri: &str) -> Self {
        self.uri = uri.parse().unwrap();
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(HeaderName::from_static(name), value.parse().unwrap());
        self
    }

    fn at(mut self, second: i64) -> Self {
        self.received = Timestamp::from_second(second).unwrap();
        self
    }

    fn incoming(&self) -> Incoming<'_> {
        let Self { method, uri, headers, body, received } = self;
        Incoming { method, uri, headers, body, received: *received }
    }
}

fn ring(text: &str, decoding: Decoding) -> KeyRing {
    KeyRing::new(Key::secret("present", text.into(), decoding).unwrap())
}

fn utf8(text: &str) -> KeyRing {
    ring(text, Decoding::Utf8)
}
