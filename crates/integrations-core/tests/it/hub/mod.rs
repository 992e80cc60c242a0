//! The hub through its public interface: an invented category with two providers over a transport that keeps what it
//! was sent.

mod health;
mod isolation;
mod reload;

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response, Uri};
use integrations_core::config::{Composition, Config, InstanceConfig, Target, TenantConfig, TenantInstance};
use integrations_core::hub::{Find, Hub, HubBuilder};
use integrations_core::pipeline::limiter::{LimitPolicy, RateWindow};
use integrations_core::pipeline::{Policy, Wait};
use integrations_core::provider::{Host, ProviderSpec, Setting, Status};
use integrations_core::registry::{Category, Known, Probe, ProbeCost, Registry};
use integrations_core::setup::{Settings, Setup, no_transport};
use integrations_core::{
    Bearer, Body, Caller, Effect, Endpoint, Error, ErrorKind, Exchange, Op, Payload, Req, Result, Safety,
    SecretString, Transport, TransportError, TransportFailure, WireRequest, WireResponse,
};

static READ: Op = Op::new("memo", "read", Safety::Read).http("GET", "/memos/{id}").cached();
static MEMO: ProviderSpec = ProviderSpec::new("memo", "Memo", "memos", Status::Full)
    .hosts(&[
        Host::new("production", "https://memo.example/v1"),
        Host::new("sandbox", "https://sandbox.memo.example/v1").test(),
    ])
    .settings(&[Setting::new("token", "a token").env("MEMO_TOKEN").secret()])
    .caps(&["read", "write"]);
static SCRAP: ProviderSpec = ProviderSpec::new("scrap", "Scrap", "memos", Status::Full)
    .hosts(&[Host::new("production", "https://scrap.example")])
    .settings(&[Setting::new("token", "a token").secret().optional()])
    .caps(&["read"]);
static OTHER: ProviderSpec = ProviderSpec::new("other", "Other", "others", Status::Full)
    .hosts(&[Host::new("production", "https://other.example")]);

struct ReadMemo(&'static str);

impl Endpoint for ReadMemo {
    type Output = String;
    const OP: &'static Op = &READ;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base).path(["memos", self.0]).build()
    }

    fn response(&self, response: WireResponse) -> Result<String> {
        response.json()
    }
}

/// The category: tries its callers one after the other while it is certain that nothing was done.
#[derive(Clone, Debug)]
struct Memos {
    callers: Vec<Caller>,
    read_only: bool,
}

impl Memos {
    async fn read(&self) -> Result<String> {
        let mut last = Err(Error::config("no caller"));
        for caller in &self.callers {
            last = caller.call(&ReadMemo("1")).await;
            if last.is_ok() {
                return last;
            }
        }
        last
    }
}

impl Category for Memos {
    const NAME: &'static str = "memos";

    fn caps(&self) -> Option<Vec<&'static str>> {
        self.read_only.then(|| vec!["read"])
    }

    fn probe(&self) -> Option<Probe<'_>> {
        Some(Probe::new(ProbeCost::Quota, async { self.read().await.map(drop) }))
    }

    fn compose(_: Composition, members: Vec<Self>) -> Result<Self> {
        Ok(Self { callers: members.into_iter().flat_map(|m| m.callers).collect(), read_only: true })
    }
}

#[derive(Clone, Debug)]
struct Others;

impl Category for Others {
    const NAME: &'static str = "others";
}

fn open(setup: &Setup) -> Result<Memos> {
    let caller = setup.caller(no_transport)?;
    let caller = match setup.authorizer() {
        Some(_) => caller,
        None => caller.authorize(Arc::new(Bearer::new(setup.live("token")?))),
    };
    let read_only = setup.spec().id == "scrap" || setup.secret("token")?.expose().ends_with("-readonly");
    Ok(Memos { callers: vec![caller.build()], read_only })
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.add(&MEMO, open).add(&SCRAP, open).add(&OTHER, |_| Ok(Others));
    registry.know(&[Known::new("tape", "memos", "tape"), Known::new("memo", "memos", "memo")]);
    registry
}

/// Keeps what it is sent; answers with the token that it was called with, so that a mix-up shows.
#[derive(Clone, Default)]
struct Wire(Arc<Shared>);

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<(String, String)>>,
    down: AtomicBool,
    refuses: AtomicBool,
    lost_host: Mutex<&'static str>,
}

impl Wire {
    /// Host and credentials of each request.
    fn seen(&self) -> Vec<(String, String)> {
        self.0.seen.lock().unwrap().clone()
    }

    fn sent(&self) -> usize {
        self.0.seen.lock().unwrap().len()
    }

    fn lose(&self, host: &'static str) {
        *self.0.lost_host.lock().unwrap() = host;
    }

    fn refuses(&self, refuses: bool) {
        self.0.refuses.store(refuses, SeqCst);
    }

    fn down(&self, down: bool) {
        self.0.down.store(down, SeqCst);
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let token = request.headers().get("authorization").map_or("", |v| v.to_str().unwrap()).to_owned();
        let is_lost = *self.0.lost_host.lock().unwrap() == host;
        self.0.seen.lock().unwrap().push((host, token.clone()));
        tokio::task::yield_now().await;
        if is_lost || self.0.down.load(SeqCst) {
            return Err(TransportError::new(TransportFailure::Connect, false, "nobody listens"));
        }
        let body = serde_json::to_vec(&token).unwrap();
        let status = if self.0.refuses.load(SeqCst) { 401 } else { 200 };
        let answer = Response::builder().status(status).header("cache-control", "max-age=60");
        Ok(answer.body(Payload::Whole(body.into())).unwrap())
    }
}

fn memo(token: &str) -> InstanceConfig {
    let fail_fast = policy(|policy| policy.wait = Wait::FailFast);
    InstanceConfig::new("memo").set("token", SecretString::from(token)).policy(fail_fast)
}

fn config() -> Config {
    Config::new("production")
        .instance("main", memo("app-token"))
        .instance("spare", InstanceConfig::new("scrap").set("token", SecretString::from("scrap-token")))
        .instance("gone", memo("x").enabled(false))
        .instance("other", InstanceConfig::new("other"))
        .any_tenant(None)
        .tenant("acme", TenantConfig::new().feature("premium"))
        .tenant("own", TenantConfig::new().instance("main", own("own-token")))
}

/// Two providers behind one instance.
fn both() -> InstanceConfig {
    let member = |id: &str, host: &str| match memo("t").host(host).target {
        Target::Provider { host, settings, .. } => Target::Provider { id: id.into(), host, settings },
        other => other,
    };
    let members = vec![member("memo", "http://127.0.0.1"), member("scrap", "production")];
    let fail_fast = policy(|policy| policy.wait = Wait::FailFast);
    InstanceConfig::new("").target(Target::Composed(Composition::Failover, members)).policy(fail_fast)
}

fn own(token: &str) -> TenantInstance {
    let mut settings = Settings::new();
    settings.set("token", SecretString::from(token));
    TenantInstance::new().settings(settings)
}

fn builder(wire: &Wire) -> HubBuilder {
    Hub::builder(registry()).config(config()).transport(wire.clone())
}

fn hub(wire: &Wire) -> Hub {
    builder(wire).build().unwrap()
}

/// The error's parts that somebody reads.
fn told(error: &Error) -> (ErrorKind, Effect, String) {
    let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    (error.kind(), error.effect(), format!("{}{hint}", error.message()))
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_opened_with_its_settings_and_at_its_address() {
    let wire = Wire::default();
    let sandbox = config().instance("test", memo("t").host("sandbox"));
    let near = sandbox.instance("near", memo("n").host("http://127.0.0.1:9/v1"));
    let hub = builder(&wire).config(near).build().unwrap();
    for name in ["main", "test", "near"] {
        hub.open::<Memos>(name).unwrap().read().await.unwrap();
    }
    let seen = wire.seen();
    let expected = [
        ("memo.example", "Bearer app-token"),
        ("sandbox.memo.example", "Bearer t"),
        ("127.0.0.1", "Bearer n"),
    ];
    assert_eq!(seen, expected.map(|(host, token)| (host.to_owned(), token.to_owned())));
}

#[test]
fn what_cannot_be_opened_says_why() {
    let hub = hub(&Wire::default());
    let acme = hub.tenant("acme").unwrap();
    let message = |error: Error| told(&error).2;
    assert_eq!(
        message(hub.open::<Memos>("mian").unwrap_err()),
        "there is no instance `mian` (did you mean `main`?)"
    );
    assert!(
        message(acme.open::<Memos>("gone").unwrap_err()).starts_with("the instance `gone` is switched off")
    );
    assert_eq!(
        message(acme.open::<Others>("main").unwrap_err()),
        "an instance of the category `memos` cannot be opened as `others` (open it as the type of its own category)"
    );
    let e = hub.open::<Memos>("other").unwrap_err();
    assert_eq!(told(&e).0, ErrorKind::Config);
    let own = hub.tenant("own").unwrap();
    assert_eq!(
        message(own.open::<Memos>("spare").unwrap_err()),
        "there is no instance `spare` (see the instances of the configuration, and those that the tenant may use)"
    );
}

#[test]
fn what_could_be_no_name_is_not_repeated() {
    let hub = hub(&Wire::default());
    let long = "a".repeat(1 << 20);
    for name in ["", "main\nforged", "main/0", &long] {
        let e = hub.open::<Memos>(name).unwrap_err();
        assert_eq!(e.message(), "the name of an instance cannot be used");
    }
}

#[test]
fn an_unknown_tenant_is_refused_without_naming_another() {
    let e = hub(&Wire::default()).tenant("acmee").unwrap_err();
    assert!(e.message().contains("`acmee`"));
    assert!(!format!("{e:?} {}", e.explain()).replace("acmee", "").contains("acme"));
    for name in ["", "a/b", "*", " ", "-x", &"x".repeat(129)] {
        assert_eq!(hub(&Wire::default()).tenant(name).unwrap_err().kind(), ErrorKind::Config, "{name}");
    }
}

#[test]
fn a_start_with_a_mistake_names_it() {
    let start = |config| told(&builder(&Wire::default()).config(config).build().unwrap_err());
    let one = |instance| start(Config::new("production").instance("a", instance));
    for (instance, kind, says) in [
        (InstanceConfig::new("tape"), ErrorKind::Unsupported, "(enable the feature `tape`)"),
        (InstanceConfig::new("mem"), ErrorKind::Unsupported, "(did you mean `memo`?)"),
        (InstanceConfig::new("memo"), ErrorKind::Config, "or the variable `MEMO_TOKEN`"),
        (
            memo("t").host("moon"),
            ErrorKind::Config,
            "(use one of production, sandbox, or an absolute address)",
        ),
        (InstanceConfig::new("memo").set("token", 3), ErrorKind::Config, "`token` must be a secret"),
        (memo("t").target(Target::Composed(Composition::Failover, vec![])), ErrorKind::Config, "no members"),
    ] {
        let (is, effect, message) = one(instance);
        assert_eq!((is, effect), (kind, Effect::NotSent), "{message}");
        assert!(message.contains(says) && message.starts_with("the instance `a`: "), "{message}");
    }
    let bad = TenantConfig::new().instance("nowhere", TenantInstance::new());
    let message = start(config().tenant("t", bad)).2;
    assert_eq!(message, "the tenant `t`: there is no instance `nowhere`");
    let e = Hub::builder(registry()).config(config()).build().unwrap_err();
    assert!(told(&e).2.contains("there is no transport"));
}

#[tokio::test(start_paused = true)]
async fn several_providers_stand_behind_one_instance() {
    let wire = Wire::default();
    let hub = builder(&wire).config(config().instance("both", both())).build().unwrap();
    let memos: Memos = hub.open("both").unwrap();
    assert_eq!(memos.callers.len(), 2);
    memos.read().await.unwrap();
    let found = hub.find(&Find::all().category("memos").cap("read"));
    let providers: Vec<_> = found.iter().map(|f| (&*f.name, f.providers.join("+"))).collect();
    assert_eq!(
        providers,
        [("both", "memo+scrap".to_owned()), ("main", "memo".to_owned()), ("spare", "scrap".to_owned())]
    );
    assert_eq!(
        hub.status()[0].last_call.map(|ago| ago.as_nanos()),
        Some(0),
        "members count for the instance"
    );
    let e = hub.reload_tenant("acme", TenantConfig::new().instance("both", own("theirs"))).unwrap_err();
    assert!(e.message().contains("composed"), "a token of one provider is not sent to the other: {e}");
    hub.set_enabled("both", false).unwrap();
    assert_eq!(memos.read().await.unwrap_err().effect(), Effect::NotSent);
    assert_eq!(wire.sent(), 1);
}

#[test]
fn instances_are_found_by_category_capability_and_tenant() {
    let hub = hub(&Wire::default());
    let names = |find: &Find| hub.find(find).into_iter().map(|f| f.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&Find::all()), ["main", "other", "spare"], "what is switched off is not found");
    assert_eq!(names(&Find::all().category("memos")), ["main", "spare"]);
    assert_eq!(names(&Find::all().category("memos").cap("write")), ["main"]);
    assert_eq!(names(&Find::all().tenant("own")), ["main"]);
    assert!(names(&Find::all().tenant("")).is_empty(), "the application's instances are not everybody's");
    assert_eq!(names(&Find::all().tenant("nobody")), [""; 0]);
    let own = hub.tenant("own").unwrap();
    assert_eq!(own.find(&Find::all().tenant("acme")).len(), 1, "a tenant cannot look for another");
}

#[test]
fn what_is_required_is_checked_at_the_start() {
    let wire = Wire::default();
    assert!(builder(&wire).require("main", ["read", "write"]).build().is_ok());
    let e = builder(&wire).require("spare", ["read", "write"]).build().unwrap_err();
    assert_eq!(told(&e).2, "the instance `spare` cannot `write`, which is required of it (it can read)");
    let readonly = config().instance("main", memo("t-readonly"));
    let e = builder(&wire).config(readonly).require("main", ["write"]).build().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn a_shut_down_hub_refuses_calls_and_waits_for_those_in_flight() {
    let wire = Wire::default();
    let hub = hub(&wire);
    let memos: Memos = hub.open("main").unwrap();
    let running = tokio::spawn({
        let memos = memos.clone();
        async move { memos.read().await }
    });
    tokio::task::yield_now().await;
    // What is in flight ends at the gate that it began at.
    let other = memo("app-token").policy(policy(|policy| policy.concurrency = None));
    hub.reload(config().instance("main", other)).unwrap();
    assert_eq!(hub.shutdown(Duration::from_secs(5)).await, 0);
    assert!(running.is_finished() && running.await.unwrap().is_ok());
    assert_eq!(memos.read().await.unwrap_err().effect(), Effect::NotSent);
    assert_eq!(wire.sent(), 1);
}

/// The default policy with one thing changed.
fn policy(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::default();
    change(&mut policy);
    policy
}

fn per_second(calls: u64) -> LimitPolicy {
    let window = RateWindow::new(NonZeroU64::new(calls).unwrap(), Duration::from_secs(1));
    LimitPolicy::default().window(window)
}
