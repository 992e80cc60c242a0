//! A hub over an invented service that answers with the credentials it was called with.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, Uri};
use integrations_core::ConnectionId;
use integrations_core::hub::Connections;
use integrations_core::provider::{Host, ProviderSpec, Setting, Status};
use integrations_core::registry::{Category, Registry};
use integrations_core::setup::no_transport;
use integrations_core::{
    Authorize, Body, Caller, Endpoint, Exchange, HeaderKey, LiveSecret, Op, Payload, Req, Result, Safety,
    SecretString, Transport, TransportError, WireRequest, WireResponse,
};

static WHO: Op = Op::new("mirror", "who", Safety::Read).http("GET", "/who/{page}").cached();
static SPEC: ProviderSpec = ProviderSpec::new("mirror", "Mirror", "mirrors", Status::Full)
    .hosts(&[Host::new("production", "https://mirror.example")])
    .settings(&[Setting::new("token", "what it is called with").secret()]);

/// Asks the service who is calling.
pub(super) struct Who(pub(super) u64);

impl Endpoint for Who {
    type Output = String;
    const OP: &'static Op = &WHO;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base).path(["who", &self.0.to_string()]).build()
    }

    fn response(&self, response: WireResponse) -> Result<String> {
        response.json()
    }
}

#[derive(Clone)]
pub(super) struct Mirror(Caller);

impl Category for Mirror {
    const NAME: &'static str = "mirrors";
}

impl Mirror {
    pub(super) async fn who(&self, page: u64) -> Result<String> {
        self.0.call(&Who(page)).await
    }
}

pub(super) fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.add(&SPEC, |setup| {
        let caller = setup.caller(no_transport)?;
        let caller = match setup.authorizer() {
            Some(_) => caller,
            None => caller.authorize(proof_of(setup.live("token")?)),
        };
        Ok(Mirror(caller.build()))
    });
    registry
}

/// Nothing but the token in the header, so that the service's answer is the token itself.
pub(super) fn proof_of(token: impl Into<LiveSecret>) -> Arc<dyn Authorize> {
    Arc::new(HeaderKey::new(AUTHORIZATION, token))
}

/// Everybody is connected; the token says who it is.
pub(super) struct Users;

impl Connections for Users {
    fn authorizer(&self, id: &ConnectionId) -> Result<Arc<dyn Authorize>> {
        Ok(proof_of(token(&id.tenant, &id.connection)))
    }
}

/// The canary of a tenant or of one of its connections.
pub(super) fn token(tenant: &str, connection: &str) -> SecretString {
    format!("canary-{tenant}-{connection}").into()
}

/// The service: answers with the token, and lets it be kept for a minute.
#[derive(Clone)]
pub(super) struct Service;

#[async_trait]
impl Transport for Service {
    async fn send(&self, request: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let body = serde_json::to_vec(&token).unwrap_or_default();
        tokio::task::yield_now().await;
        let mut response = Response::new(Payload::Whole(body.into()));
        response.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
        Ok(response)
    }
}
