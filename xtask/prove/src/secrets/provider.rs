//! A provider whose calls carry a canary in every slot.

use std::collections::HashMap;

use async_trait::async_trait;
use base64::Engine as _;
use http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use http::{HeaderMap, Uri};
use integrations_core::CredentialVersion;
use integrations_core::{
    Authorize, Classify, Effect, Endpoint, Error, ErrorKind, Op, Req, Result, Safety, WireRequest,
    WireResponse, status_error,
};
use serde::{Deserialize, Serialize};

use super::search::canary;

pub(crate) static READ: Op =
    Op::new("vault", "read", Safety::Read).http("GET", "/bot{token}/{status}").response_limit(64 * 1024);
pub(crate) static WRITE: Op = Op::new("vault", "write", Safety::Keyed).http("POST", "/bot{token}/{status}");
pub(crate) static CACHED: Op =
    Op::new("vault", "cached", Safety::Read).http("GET", "/bot{token}/{status}").cached();

pub(crate) const KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A GET. The last path segment tells the echo which status to answer with.
#[derive(Serialize, Deserialize)]
pub(crate) struct Read {
    pub(crate) last: u16,
}

/// A POST with a JSON body or a form.
pub(crate) struct Write {
    pub(crate) last: u16,
    pub(crate) form: bool,
}

/// A GET that the cache may keep, judged by status alone.
pub(crate) struct Cached;

/// A GET whose answer is to be text.
pub(crate) struct Text;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Thing {
    id: u32,
    #[serde(default)]
    limits: HashMap<String, u32>,
    kind: Option<Kind>,
    #[serde(default)]
    nested: Vec<Strict>,
    shape: Option<Shape>,
    at: Option<jiff::Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Known,
    Sized(u32),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    at: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Shape {
    Round { size: u32 },
}

/// The builder with what all calls carry.
pub(crate) fn addressed(request: Req, last: &str) -> Req {
    request
        .path([&format!("bot{}", canary("path")), last])
        .query("key", Some(canary("query")))
        .header(API_KEY, Some(canary("header")))
        .header(COOKIE, Some(format!("session={}", canary("cookie"))))
}

impl Endpoint for Read {
    type Output = Thing;
    const OP: &'static Op = &READ;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        addressed(Req::get(base), &self.last.to_string()).build()
    }

    fn response(&self, response: WireResponse) -> Result<Thing> {
        response.json()
    }
}

impl Endpoint for Write {
    type Output = Thing;
    const OP: &'static Op = &WRITE;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        let request = addressed(Req::post(base), &self.last.to_string());
        if self.form {
            return request.form([("client_secret", canary("form-body"))]).build();
        }
        request.json(&serde_json::json!({ "client_secret": canary("json-body") })).build()
    }

    fn response(&self, response: WireResponse) -> Result<Thing> {
        response.json()
    }
}

impl Endpoint for Cached {
    type Output = WireResponse;
    const OP: &'static Op = &CACHED;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        addressed(Req::get(base), "200").build()
    }

    fn response(&self, response: WireResponse) -> Result<WireResponse> {
        Ok(response)
    }
}

impl Endpoint for Text {
    type Output = String;
    const OP: &'static Op = &READ;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        addressed(Req::get(base), "200").build()
    }

    fn response(&self, response: WireResponse) -> Result<String> {
        response.text().map(str::to_owned)
    }
}

/// Takes the service's own words into the error, as drivers do.
pub(crate) struct InItsWords;

#[derive(Deserialize)]
struct Envelope {
    error: Problem,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    message: String,
}

impl Classify for InItsWords {
    fn classify(&self, _: &'static Op, response: &WireResponse) -> Option<Error> {
        if response.status.is_success() {
            return None;
        }
        let Problem { code, message } = response.json::<Envelope>().ok()?.error;
        let by_status = status_error(response.status);
        Some(
            Error::new(by_status.kind(), by_status.effect(), message.as_str())
                .with_code(code)
                .with_hint(message),
        )
    }
}

/// What a refresh of the credentials comes to.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Refresh {
    Impossible,
    Helps,
    Fails,
}

/// A bearer token, or a name and a password.
pub(crate) struct Credentials {
    pub(crate) basic: bool,
    pub(crate) refresh: Refresh,
    /// Whether there are credentials at all.
    pub(crate) present: bool,
}

impl Credentials {
    pub(crate) fn bearer() -> Self {
        Self { basic: false, refresh: Refresh::Impossible, present: true }
    }

    pub(crate) fn basic() -> Self {
        Self { basic: true, ..Self::bearer() }
    }

    fn header(&self) -> String {
        if !self.basic {
            return format!("Bearer {}", canary("bearer"));
        }
        let pair = format!("user:{}", canary("basic"));
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    }
}

#[async_trait]
impl Authorize for Credentials {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        if !self.present {
            return Err(Error::new(
                ErrorKind::ReauthRequired,
                Effect::NotSent,
                "the user must consent again",
            ));
        }
        let mut value = HeaderValue::try_from(self.header())
            .map_err(|e| Error::config("the token fits in no header").with_source(e))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
        Ok(())
    }

    async fn refresh(&self, _: Option<CredentialVersion>) -> Result<bool> {
        if self.refresh == Refresh::Fails {
            // What a driver does with the token endpoint's answer: it names the place, and quotes nothing.
            let body = serde_json::json!({ "access_token": [canary("bearer")] }).to_string();
            let answer = WireResponse::new(&WRITE, http::StatusCode::OK, HeaderMap::new(), body);
            let cause = answer.json::<HashMap<String, String>>().err();
            let error = Error::new(ErrorKind::ReauthRequired, Effect::Rejected, "the token endpoint refused");
            return Err(cause.map_or(error.clone(), |cause| error.with_source(cause)));
        }
        Ok(self.refresh == Refresh::Helps)
    }
}
