//! An error that comes under status 200 is counted as done, and the token is never renewed:
//! <https://github.com/n8n-io/n8n/issues/32423>.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use async_trait::async_trait;
use bytes::Bytes;
use integrations_core::pipeline::{Policy, Scope, Stages};
use integrations_core::{
    Authorize, Body, Caller, Classify, CredentialVersion, Effect, Error, ErrorKind, Exchange, Op, Payload,
    Req, Result, Safety, Transport, TransportError, WireRequest, WireResponse,
};
use serde_json::{Value, json};

static READ: Op = Op::new("museum", "leads", Safety::Read).http("GET", "/leads");

/// Says in the body, and nowhere else, that the token has expired; the second token is good.
#[derive(Clone, Default)]
struct Service;

fn answer(token: Option<&str>) -> Value {
    match token {
        Some("2") => json!({ "success": true, "result": ["Ada"] }),
        _ => json!({ "success": false, "errors": [{ "code": "602", "message": "expired" }] }),
    }
}

#[async_trait]
impl Transport for Service {
    async fn send(
        &self,
        request: http::Request<Body>,
        _: Exchange,
    ) -> Result<http::Response<Payload>, TransportError> {
        let token = request.headers().get("token").map(|value| value.to_str().unwrap());
        Ok(http::Response::new(Bytes::from(answer(token).to_string()).into()))
    }
}

#[test]
fn the_reference_counts_it_as_done() {
    let (status, body) = (200, answer(Some("1")));
    let done = status == 200;
    let leads = body["result"].as_array().map_or(0, Vec::len);
    assert!(done && leads == 0, "nothing is red, and there are no leads");
}

/// The number of the token, counted up by each renewal.
#[derive(Default)]
struct Token(AtomicU32);

#[async_trait]
impl Authorize for Token {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        let number = self.0.load(SeqCst) + 1;
        request.headers_mut().insert("token", number.to_string().parse().unwrap());
        Ok(())
    }

    async fn refresh(&self, _: Option<CredentialVersion>) -> Result<bool> {
        self.0.fetch_add(1, SeqCst);
        Ok(true)
    }
}

struct Envelope;

impl Classify for Envelope {
    fn classify(&self, _: &'static Op, response: &WireResponse) -> Option<Error> {
        let body: Value = response.json().ok()?;
        let code = body["errors"][0]["code"].as_str()?;
        let kind = if code == "602" { ErrorKind::Unauthenticated } else { ErrorKind::Unexpected };
        Some(Error::new(kind, Effect::Rejected, "the service refused the call").with_code(code))
    }
}

#[tokio::test(start_paused = true)]
async fn ours_reads_the_body_before_anything_is_done() -> Result<()> {
    let pipeline = Stages::new().pipeline(Scope::new("", "museum"), Policy::default())?;
    let base: http::Uri = "https://museum.example".parse().unwrap();
    let token = Arc::new(Token::default());
    let caller = Caller::builder(base.clone(), Arc::new(Service), pipeline)
        .authorize(token.clone())
        .classify(Arc::new(Envelope))
        .build();
    let response = caller.exchange(&READ, None, Req::get(&base).build()?).await?;
    assert_eq!(response.json::<Value>()?["result"], json!(["Ada"]));
    assert_eq!(token.0.load(SeqCst), 1, "renewed once");
    Ok(())
}
