//! reqwest-middleware and reqwest-retry, with the service as a middleware that answers by itself.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::HeaderName;
use http::{Extensions, StatusCode};
use reqwest::{ResponseBuilderExt, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;

use super::{BACKOFF, RETRIES, TIMEOUT};
use crate::contestant::{BoxError, Contestant};
use crate::service::{Request, Response, Service};

static KEY: HeaderName = HeaderName::from_static("x-key");

/// Builds a reqwest request and response around the call and does nothing else: what the next two start from.
pub(crate) struct Floor {
    url: Url,
    client: reqwest::Client,
    service: Arc<dyn Service>,
}

impl Floor {
    pub(crate) fn new(service: Arc<dyn Service>) -> Result<Self, BoxError> {
        Ok(Self { url: url()?, client: reqwest::Client::new(), service })
    }
}

impl Contestant for Floor {
    async fn call(&self, _tenant: usize, request: Request) -> Result<Response, BoxError> {
        let Request { key, body } = request;
        let outgoing = self.client.post(self.url.clone()).header(&KEY, key).body(body).build()?;
        incoming(exchange(&*self.service, outgoing).await?)
    }
}

/// A client with middleware.
pub(crate) struct Client {
    url: Url,
    client: ClientWithMiddleware,
}

impl Client {
    /// No middleware but the one that answers.
    pub(crate) fn plain(service: Arc<dyn Service>) -> Result<Self, BoxError> {
        let client = ClientBuilder::new(reqwest::Client::new()).with(ShortCircuit(service)).build();
        Ok(Self { url: url()?, client })
    }

    /// With retries, which have no budget.
    pub(crate) fn retrying(service: Arc<dyn Service>) -> Result<Self, BoxError> {
        let policy =
            ExponentialBackoff::builder().retry_bounds(BACKOFF, TIMEOUT).build_with_max_retries(RETRIES);
        let client = ClientBuilder::new(reqwest::Client::new())
            .with(RetryTransientMiddleware::new_with_policy(policy))
            .with(ShortCircuit(service))
            .build();
        Ok(Self { url: url()?, client })
    }
}

impl Contestant for Client {
    async fn call(&self, _tenant: usize, request: Request) -> Result<Response, BoxError> {
        let Request { key, body } = request;
        incoming(self.client.post(self.url.clone()).header(&KEY, key).body(body).send().await?)
    }
}

struct ShortCircuit(Arc<dyn Service>);

#[async_trait]
impl Middleware for ShortCircuit {
    async fn handle(
        &self,
        request: reqwest::Request,
        _extensions: &mut Extensions,
        _next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        exchange(&*self.0, request).await.map_err(reqwest_middleware::Error::middleware)
    }
}

fn url() -> Result<Url, BoxError> {
    Ok("http://service.invalid/call".parse()?)
}

/// Calls the service; a failure becomes a 503, which is what reqwest-retry looks at.
async fn exchange(
    service: &dyn Service,
    mut request: reqwest::Request,
) -> Result<reqwest::Response, http::Error> {
    let key = key(request.headers()).unwrap_or_default();
    // reqwest lends a body only as a slice; copying it would be a cost of this harness.
    let status = match service.call(Request { key, body: Bytes::new() }).await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    // Without `url` the conversion below would parse a made-up address.
    let mut answer = http::Response::builder().status(status).url(request.url().clone()).body(Bytes::new())?;
    std::mem::swap(answer.headers_mut(), request.headers_mut());
    Ok(answer.into())
}

fn incoming(answer: reqwest::Response) -> Result<Response, BoxError> {
    let answer = answer.error_for_status()?;
    let key = key(answer.headers()).ok_or("the answer has no key")?;
    Ok(Response { key })
}

fn key(headers: &http::HeaderMap) -> Option<u64> {
    headers.get(&KEY)?.to_str().ok()?.parse().ok()
}
