//! The fake of Spotify.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Uri};
use integrations_sandbox::{Answer, Call, Known, Sandbox, spotify};
use serde_json::Value;

mod api;
mod contract;
mod issuer;

/// A fake, and a token that asks it.
struct Fake {
    sandbox: Sandbox,
    token: String,
    known: Known,
}

impl Fake {
    fn new() -> Self {
        Self::seeded(0)
    }

    fn seeded(seed: u64) -> Self {
        let sandbox = Sandbox::new(&spotify::FAKE, seed);
        let token = setting(&sandbox, "access_token");
        Self { known: sandbox.known(), sandbox, token }
    }

    /// The same fake, asked with another token.
    fn with_token(&self, name: &str) -> Self {
        Self { sandbox: self.sandbox.clone(), token: self.id(name), known: self.known.clone() }
    }

    fn id(&self, name: &str) -> String {
        self.known.get(name).unwrap_or_else(|| panic!("{name} is known")).to_owned()
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {}", self.token).parse().unwrap());
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        let uri: Uri = format!("https://api.spotify.com/v1{path}").parse().unwrap();
        let method: Method = method.parse().unwrap();
        self.sandbox.answer(&Call::new(&method, &uri, &headers, body))
    }

    /// Status and body.
    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.send(method, path, "application/json", body.as_bytes());
        (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, &Value::Null);
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    fn status(&self, method: &str, path: &str, body: &Value) -> u16 {
        self.ask(method, path, body).0
    }
}

fn setting(sandbox: &Sandbox, name: &str) -> String {
    let settings = sandbox.settings();
    settings.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value).unwrap()
}
