//! A body that is a stream is gone after the first attempt, and the retry sends an empty one, which the service takes:
//! <https://github.com/jonbern/fetch-retry/issues/99>, <https://github.com/TrueLayer/reqwest-middleware/issues/44>.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use integrations_core::pipeline::{Policy, Scope, Stages};
use integrations_core::{
    Body, BodyStream, Caller, Exchange, Op, Payload, Req, Result, Safety, Transport, TransportError,
};

static UPLOAD: Op = Op::new("museum", "upload", Safety::Idempotent).http("PUT", "/file");

/// Fails the first time, and notes what arrived each time.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<Vec<Bytes>>>);

impl Service {
    fn take(&self, body: Bytes) -> u16 {
        let mut arrived = self.0.lock().unwrap();
        arrived.push(body);
        if arrived.len() == 1 { 503 } else { 200 }
    }

    fn arrived(&self) -> Vec<Bytes> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Transport for Service {
    async fn send(
        &self,
        request: http::Request<Body>,
        _: Exchange,
    ) -> Result<http::Response<Payload>, TransportError> {
        let mut body = request.into_body().into_stream();
        let mut arrived = Vec::new();
        while let Some(chunk) = poll_fn(|cx| body.poll_chunk(cx)).await {
            arrived.extend_from_slice(&chunk.unwrap());
        }
        let response = http::Response::builder().status(self.take(arrived.into()));
        Ok(response.body(Bytes::new().into()).unwrap())
    }
}

/// A stream of one chunk.
struct File(Option<Bytes>);

impl futures_core::Stream for File {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

fn file() -> BodyStream {
    BodyStream::new(File(Some(Bytes::from_static(b"the file"))), None)
}

#[test]
fn the_reference_sends_an_empty_body_the_second_time() {
    let service = Service::default();
    let mut stream = [Bytes::from_static(b"the file")].into_iter();
    for _ in 0..2 {
        let body: Vec<u8> = stream.by_ref().flatten().collect();
        if service.take(body.into()) == 200 {
            break;
        }
    }
    assert_eq!(service.arrived(), [&b"the file"[..], b""], "and the service said 200");
}

fn caller(service: &Service) -> Result<Caller> {
    let pipeline = Stages::new().pipeline(Scope::new("", "museum"), Policy::default())?;
    let base = "https://museum.example".parse().unwrap();
    Ok(Caller::builder(base, Arc::new(service.clone()), pipeline).build())
}

fn upload(body: Body) -> Result<integrations_core::WireRequest> {
    Req::put(&"https://museum.example".parse().unwrap()).path(["file"]).body(body).build()
}

#[tokio::test(start_paused = true)]
async fn ours_makes_the_stream_anew_for_each_attempt() -> Result<()> {
    let service = Service::default();
    let body = Body::replay(file);
    caller(&service)?.exchange(&UPLOAD, None, upload(body)?).await?;
    assert_eq!(service.arrived(), [&b"the file"[..], b"the file"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn ours_does_not_repeat_a_stream_that_exists_once_and_says_why() -> Result<()> {
    let service = Service::default();
    let body = Body::Once(file());
    let error = caller(&service)?.exchange(&UPLOAD, None, upload(body)?).await.unwrap_err();
    assert_eq!(service.arrived(), [&b"the file"[..]]);
    assert!(error.hint().is_some_and(|hint| hint.contains("Body::replay")), "{error:?}");
    Ok(())
}
