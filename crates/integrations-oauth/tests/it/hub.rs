//! The vault behind a hub: calls of end users' connections.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use integrations_core::config::{Config, InstanceConfig};
use integrations_core::hub::Hub;
use integrations_core::provider::{Host, ProviderSpec, Status};
use integrations_core::registry::{Category, Registry};
use integrations_core::setup::no_transport;
use integrations_core::{
    Body, Caller, Effect, Endpoint, ErrorKind, Exchange, Op, Payload, Req, Result, Safety, Transport,
    TransportError, WireRequest, WireResponse,
};
use integrations_oauth::{Reconnect, Vault};
use tokio::time::sleep;

use crate::vault::world::{World, life_passes};

static GET: Op = Op::new("drive", "get", Safety::Read).http("GET", "/file");
static SPEC: ProviderSpec = ProviderSpec::new("drive", "Drive", "storage", Status::Full)
    .hosts(&[Host::new("production", "https://drive.example")]);

struct Get;

impl Endpoint for Get {
    type Output = String;
    const OP: &'static Op = &GET;
    fn request(&self, base: &http::Uri) -> Result<WireRequest> {
        Req::get(base).path(["file"]).build()
    }
    fn response(&self, response: WireResponse) -> Result<String> {
        Ok(String::from_utf8_lossy(&response.body).into_owned())
    }
}

#[derive(Clone)]
struct Drive(Caller);

impl Category for Drive {
    const NAME: &'static str = "storage";
}

/// Says who called; refuses the tokens that it is told to.
#[derive(Clone, Default)]
struct Service {
    refused: Arc<Mutex<Vec<String>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Transport for Service {
    async fn send(
        &self,
        request: http::Request<Body>,
        _: Exchange,
    ) -> Result<http::Response<Payload>, TransportError> {
        let token = request.headers()["authorization"].to_str().unwrap().to_owned();
        self.seen.lock().unwrap().push(token.clone());
        let refused = self.refused.lock().unwrap().contains(&token);
        let status = if refused { 401 } else { 200 };
        Ok(http::Response::builder().status(status).body(Bytes::from(token).into()).unwrap())
    }
}

fn hub(vault: &Vault, service: &Service) -> Hub {
    let mut registry = Registry::new();
    registry.add(&SPEC, |setup| Ok(Drive(setup.caller(no_transport)?.build())));
    let config = Config::new("production").instance("drive", InstanceConfig::new("drive"));
    let hub = Hub::builder(registry).config(config).transport(service.clone()).connections(vault.clone());
    hub.build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_connection_carries_its_token_and_survives_a_refusal() {
    let (world, service) = (World::new(), Service::default());
    let vault = world.connected().await;
    let drive: Drive =
        hub(&vault, &service).tenant("acme").unwrap().connection("ada").unwrap().open("drive").unwrap();
    assert_eq!(drive.0.call(&Get).await.unwrap(), "Bearer access-ada.0");
    sleep(Duration::from_secs(11)).await;
    service.refused.lock().unwrap().push("Bearer access-ada.0".to_owned());
    assert_eq!(drive.0.call(&Get).await.unwrap(), "Bearer access-ada.1");
    assert_eq!(world.issuer.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_dead_connection_reaches_nobody_and_says_where_to_reconnect() {
    let (world, service) = (World::new(), Service::default());
    let vault = world.connected().await;
    life_passes().await;
    world.issuer.kill("ada");
    let drive: Drive =
        hub(&vault, &service).tenant("acme").unwrap().connection("ada").unwrap().open("drive").unwrap();
    for _ in 0..50 {
        let e = drive.0.call(&Get).await.unwrap_err();
        assert_eq!((e.kind(), e.effect()), (ErrorKind::ReauthRequired, Effect::NotSent), "{e:?}");
        assert!(e.hint().is_some_and(|hint| hint.contains("https://app.example/acme/drive?user=ada")));
        assert!(e.details::<Reconnect>().is_some());
        assert_eq!(e.attempts(), 1);
    }
    assert_eq!((world.issuer.calls.load(SeqCst), service.seen.lock().unwrap().len()), (1, 0));
}
