//! The vault behind a hub: calls of end users' connections.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use integrations_core::config::{Config, InstanceConfig};
use integrations_core::hub::{Health, Hub};
use integrations_core::provider::{Host, ProviderSpec, Status};
use integrations_core::registry::{Category, Registry};
use integrations_core::setup::no_transport;
use integrations_core::{
    Body, Caller, ConnectionId, Effect, Endpoint, ErrorKind, Exchange, Op, Payload, Req, Result, Safety,
    Transport, TransportError, WireRequest, WireResponse,
};
use integrations_oauth::{Reconnect, Vault};
use tokio::time::sleep;

use crate::vault::world::{Trouble, World, life_passes};

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
    /// So many calls it is too busy for.
    busy: Arc<AtomicU32>,
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
        let busy = self.busy.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        let status = match (refused, busy) {
            (true, _) => 401,
            (_, true) => 503,
            _ => 200,
        };
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

#[tokio::test(start_paused = true)]
async fn a_user_who_has_to_consent_again_does_not_make_the_service_look_down() {
    let (world, service) = (World::new(), Service::default());
    let vault = world.connected().await;
    let bob = ConnectionId::new("acme", "drive", "bob").unwrap();
    vault.connect(&bob, world.issuer.consent("bob")).await.unwrap();
    vault.note_revoked(&world.ada).await.unwrap();
    let hub = hub(&vault, &service);
    let open =
        |user| -> Drive { hub.tenant("acme").unwrap().connection(user).unwrap().open("drive").unwrap() };
    for _ in 0..100 {
        assert_eq!(open("ada").0.call(&Get).await.unwrap_err().kind(), ErrorKind::ReauthRequired);
    }
    sleep(Duration::from_secs(1)).await;
    open("bob").0.call(&Get).await.unwrap();
    let status = hub.status().into_iter().find(|status| &*status.name == "drive").unwrap();
    assert_eq!(status.health, Health::Up, "{:?}", status.reasons);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_in_trouble_spends_no_retry_of_the_service() {
    let (world, service) = (World::new(), Service::default());
    let vault = world.connected().await;
    let hub = hub(&vault, &service);
    let open = |user: &str| -> Drive {
        hub.tenant("acme").unwrap().connection(user).unwrap().open("drive").unwrap()
    };
    for n in 0..150 {
        let id = ConnectionId::new("acme", "drive", format!("user-{n}")).unwrap();
        vault.connect(&id, world.issuer.consent(&format!("user{n}"))).await.unwrap();
    }
    life_passes().await;
    for _ in 0..1_000 {
        world.issuer.next(Trouble::Busy(0));
    }
    for n in 0..150 {
        let e = open(&format!("user-{n}")).0.call(&Get).await.unwrap_err();
        assert_eq!((e.kind(), e.effect()), (ErrorKind::RateLimited, Effect::NotSent));
    }
    world.issuer.troubles.lock().unwrap().clear();
    service.busy.store(1, SeqCst);
    assert_eq!(open("ada").0.call(&Get).await.unwrap(), "Bearer access-ada.1", "after one more attempt");
    assert_eq!(service.busy.load(SeqCst), 0);
}
