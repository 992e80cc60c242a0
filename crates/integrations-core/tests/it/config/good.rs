//! Configurations that are right, and what they come to.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use integrations_core::config::{Composition, Config, InstanceConfig, Loader, Problems, Target};
use integrations_core::pipeline::breaker::{BreakerPolicy, Window};
use integrations_core::pipeline::budget::BudgetPolicy;
use integrations_core::pipeline::hedge::HedgePolicy;
use integrations_core::pipeline::limiter::{LimitPolicy, RateWindow};
use integrations_core::pipeline::{ConcurrencyPolicy, Policy, RetryPolicy, Wait};
use integrations_core::setup::{Settings, Value};

use super::providers::{VARS, registry};

pub(super) const FIRST: &str = include_str!("good/first.yaml");
pub(super) const EVERYTHING: &str = include_str!("good/everything.yaml");
const EVERYTHING_TOML: &str = include_str!("good/everything.toml");

pub(super) fn load(environment: &str, text: &str) -> Result<Config, Problems> {
    Loader::new(&registry()).environment(environment).text("config.yaml", text).vars(VARS).load()
}

fn loaded(environment: &str, text: &str) -> Config {
    load(environment, text).unwrap_or_else(|problems| panic!("{problems}"))
}

pub(super) fn settings(instance: &InstanceConfig) -> (&str, Option<&str>, &Settings) {
    match &instance.target {
        Target::Provider { id, host, settings } => (id, host.as_deref(), settings),
        other => panic!("{other:?} is no provider"),
    }
}

fn window(limit: u64, seconds: u64) -> RateWindow {
    RateWindow::new(NonZeroU64::new(limit).unwrap(), Duration::from_secs(seconds))
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_first_example_in_production() {
    let config = loaded("production", FIRST);
    assert_eq!((&*config.environment, config.development), ("production", false));
    let spotify = &config.instances["spotify_main"];
    let (id, host, set) = settings(spotify);
    assert_eq!((id, host), ("spotify", None));
    assert_eq!(set.text("client_id").unwrap(), Some("app-4eC39H"));
    assert!(set.secret("client_secret").unwrap().unwrap().ct_eq("shh-4eC39H"));
    let mut policy = Policy::default();
    policy.total_timeout = seconds(30);
    policy.limit = Some(LimitPolicy::default().window(window(100, 60).burst(20)));
    policy.bucket_limits = [("search".to_owned(), LimitPolicy::default().window(window(30, 60)))].into();
    let breaker = BreakerPolicy::default()
        .window(Window::Count(5))
        .min_calls(5)
        .failure_rate(100)
        .open_for(seconds(60));
    policy.breaker = Some(Arc::new(breaker));
    policy.retry = RetryPolicy { max_attempts: 3, multiplier: 2.0, ..RetryPolicy::default() };
    assert_eq!(*spotify.policy, policy);
    policy.validate().unwrap();

    let tenant = &config.tenants["enterprise_client"];
    assert!(tenant.enabled && config.any_tenant.is_none());
    let allowed = tenant.instances.as_ref().unwrap();
    assert_eq!(allowed.keys().map(|name| &**name).collect::<Vec<_>>(), ["spotify_main"]);
    assert!(allowed["spotify_main"].enabled && allowed["spotify_main"].policy.is_none());
    assert_eq!(tenant.limit, Some(LimitPolicy::default().window(window(1000, 60))));
    assert_eq!(tenant.features, BTreeSet::from([Arc::from("premium_apis")]));
    assert!((tenant.sla.unwrap() - 0.999).abs() < 1e-12);
    assert_eq!(tenant.share, Some(0.25));
}

#[test]
fn a_dsn_is_cut_before_its_secrets_are_put_in() {
    let config = loaded("production", FIRST);
    let Target::Composed(Composition::Failover, members) = &config.instances["mail"].target else { panic!() };
    let [
        Target::Provider { id, host, settings, .. },
        Target::Provider { id: id2, host: host2, settings: settings2, .. },
    ] = members.as_slice()
    else {
        panic!("{members:?}")
    };
    assert_eq!((&**id, host), ("sendgrid", &None));
    assert!(settings.secret("key").unwrap().unwrap().ct_eq("SG.4eC39H&=@/"));
    assert_eq!((&**id2, host2.as_deref()), ("smtp", Some("smtps://mx.example:465")));
    assert_eq!(settings2.text("user").unwrap(), Some("user"));
    assert!(settings2.secret("password").unwrap().unwrap().ct_eq("p@ss:4eC39H/?"));
}

#[test]
fn a_dsn_may_hold_any_key_of_its_instance() {
    let text = "version: 1
instances:
  a: 'sendgrid+http://localhost:8080/v3?key=${SENDGRID_API_KEY}&timeout=5&retry.max_attempts=2'
  b: { dsn: 'roundrobin(smtp://a.example failover(smtp://b.example smtp://c.example))', timeout: 6 }
  c: { dsn: 'smtp://a.example?keep=1', keep: 2 }
environments:
  production:
    b: { retry: false }
";
    let config = loaded("production", text);
    let (a, b) = (&config.instances["a"], &config.instances["b"]);
    assert_eq!(settings(a).1, Some("http://localhost:8080/v3"));
    assert_eq!((a.policy.total_timeout, a.policy.retry.max_attempts), (seconds(5), 2));
    assert_eq!((b.policy.total_timeout, b.policy.retry.max_attempts), (seconds(6), 1));
    let Target::Composed(Composition::RoundRobin, members) = &b.target else { panic!("{:?}", b.target) };
    assert!(matches!(&members[1], Target::Composed(Composition::Failover, inner) if inner.len() == 2));
    assert_eq!(settings(&config.instances["c"]).2.duration("keep").unwrap(), Some(seconds(2)));
}

#[test]
fn the_first_example_in_development() {
    let config = loaded("development", FIRST);
    assert!(config.development);
    let policy = &config.instances["spotify_main"].policy;
    assert_eq!(policy.limit, Some(LimitPolicy::default().window(window(10, 60).burst(5))));
    assert_eq!(policy.breaker, Policy::default().breaker);
}

#[test]
fn every_key_has_its_effect() {
    let config = loaded("production", EVERYTHING);
    let spotify = &config.instances["spotify_main"];
    assert_eq!(settings(spotify).1, Some("http://127.0.0.1:8080/v1"));
    let mut policy = Policy::default();
    policy.total_timeout = seconds(20);
    policy.attempt_timeout = Duration::from_millis(2_500);
    policy.idle_timeout = Duration::from_millis(500);
    policy.wait = Wait::UpTo(seconds(1));
    let limit = LimitPolicy::default().adaptive(false);
    policy.limit = Some(limit.clone().window(window(10, 1).burst(4)).window(window(5_000, 3_600)));
    policy.bucket_limits = [("search".to_owned(), limit.window(window(12, 60).burst(3)))].into();
    let breaker = BreakerPolicy::default()
        .window(Window::Time(seconds(30)))
        .failure_rate(40)
        .min_calls(10)
        .slow(80, seconds(3))
        .open_for(seconds(2))
        .open_growth(2, seconds(60))
        .half_open_calls(5)
        .max_half_open_wait(Duration::from_millis(250));
    policy.breaker = Some(Arc::new(breaker));
    policy.retry =
        RetryPolicy { max_attempts: 5, base: Duration::from_millis(100), multiplier: 3.0, cap: seconds(2) };
    policy.budget = BudgetPolicy::default().capacity(100).retry_cost(2).throttled_cost(1).success_gain(3);
    let mut concurrency = ConcurrencyPolicy::new(8);
    concurrency.max_queue = 0;
    policy.concurrency = Some(concurrency);
    policy.hedge =
        Some(HedgePolicy::default().quantile(0.9).min_delay(Duration::from_millis(20)).max_delay(seconds(1)));
    assert_eq!(*spotify.policy, policy);

    let mail = &config.instances["mail"];
    let mut policy = Policy::default();
    policy.retry.max_attempts = 1;
    policy.breaker = None;
    policy.concurrency = None;
    policy.hedge = Some(HedgePolicy::default());
    policy.wait = Wait::FailFast;
    assert_eq!(*mail.policy, policy);
    let set = settings(mail).2;
    assert_eq!(set.get("keep"), Some(&Value::Duration(seconds(90))));
    assert_eq!(set.get("connections"), Some(&Value::Integer(3)));
    assert_eq!(set.get("starttls"), Some(&Value::Flag(true)));
    assert_eq!(set.text("proxy").unwrap(), Some("http://proxy.example:3128"));
    assert_eq!(set.list("domains").unwrap().unwrap(), ["a.example", "app-4eC39H.example"]);
}

#[test]
fn toml_says_the_same() {
    let registry = registry();
    let toml = Loader::new(&registry)
        .environment("production")
        .text("config.toml", EVERYTHING_TOML)
        .vars(VARS)
        .load();
    assert_eq!(toml.unwrap().instances, loaded("production", EVERYTHING).instances);
}

#[test]
fn the_vendors_limits_hold_where_none_is_configured() {
    let text =
        "version: 1\ninstances:\n  a: { use: spotify, client_id: a, client_secret: \"${SMTP_PASSWORD}\" }\n";
    let policy = loaded("production", text).instances["a"].policy.clone();
    let vendor = |limit| LimitPolicy::default().window(window(limit, 60));
    assert_eq!(
        policy.bucket_limits,
        [("default".to_owned(), vendor(180)), ("search".to_owned(), vendor(30))].into()
    );
}

#[test]
fn aliases_stand_for_what_they_name() {
    let config = loaded(
        "production",
        "version: 1\ninstances:\n  a: &a { use: smtp, host: 'smtp://a.example', retry: &r { max_attempts: 7 } }\n  \
         b: *a\n  c: { use: smtp, host: 'smtp://c.example', retry: *r }\n",
    );
    assert_eq!(config.instances["a"], config.instances["b"]);
    assert_eq!(config.instances["c"].policy.retry.max_attempts, 7);
}

#[test]
fn later_files_go_over_earlier_ones_and_null_unsets() {
    let registry = registry();
    let base = "version: 1
instances:
  a:
    use: smtp
    host: smtp://a.example
    timeout: 5
    retry: { max_attempts: 7, max_delay: 9 }
";
    let more = "[instances.a]\nretry.max_attempts = 2\n[instances.b]\nuse = \"smtp\"\n";
    let last = "instances: { a: { timeout: null, host: null } }\n";
    let config = Loader::new(&registry)
        .environment("production")
        .text("base.yaml", base)
        .text("more.toml", more)
        .text("last.yml", last)
        .load()
        .unwrap();
    let a = &config.instances["a"];
    assert_eq!((a.policy.total_timeout, settings(a).1), (Policy::default().total_timeout, None));
    assert_eq!((a.policy.retry.max_attempts, a.policy.retry.cap), (2, seconds(9)));
    assert!(config.instances.contains_key("b"));
}

#[test]
fn tenants_may_differ() {
    let text = r#"version: 1
instances:
  pay: { use: stripe, secret_key: "${STRIPE_LIVE}", timeout: 8, rate_limits: { requests_per_second: 50 } }
  mail: smtp://mx.example:25
environments:
  production: {}
  staging: { only_there: { use: smtp } }
tenants:
  acme:
    instances:
      pay: { secret_key: "${OTHER}", rate_limits: { requests_per_second: 5 }, timeout: 3 }
      mail: { enabled: false }
  bolt: { instances: [mail, only_there] }
  cogs: { enabled: false }
  "*": { rate_limits: { requests_per_minute: 60 } }
"#;
    let registry = registry();
    let loader = Loader::new(&registry).environment("production").text("config.yaml", text);
    let config = loader.vars(VARS).vars([("OTHER", "sk_live_other")]).load().unwrap();

    let acme = config.tenants["acme"].instances.as_ref().unwrap();
    let own = acme["pay"].settings.as_ref().unwrap();
    assert!(own.secret("secret_key").unwrap().unwrap().ct_eq("sk_live_other"));
    let policy = acme["pay"].policy.as_ref().unwrap();
    assert_eq!(
        (policy.total_timeout, &policy.limit),
        (seconds(3), &Some(LimitPolicy::default().window(window(5, 1))))
    );
    assert!(!acme["mail"].enabled && acme["mail"].settings.is_none() && acme["mail"].policy.is_none());

    let bolt = config.tenants["bolt"].instances.as_ref().unwrap();
    assert_eq!(bolt.keys().map(|name| &**name).collect::<Vec<_>>(), ["mail"]);
    assert!(!config.tenants["cogs"].enabled && config.tenants["cogs"].instances.is_none());
    let any = config.any_tenant.as_ref().unwrap();
    assert_eq!((any.share, &any.limit), (None, &Some(LimitPolicy::default().window(window(60, 60)))));
}

#[test]
fn a_difference_is_told_without_secrets() {
    let before = loaded("production", FIRST);
    let registry = registry();
    let after = Loader::new(&registry)
        .environment("production")
        .text("config.yaml", FIRST.replace("timeout: 30", "timeout: 31").replace("[premium_apis]", "[]"))
        .vars(VARS)
        .vars([("SPOTIFY_CLIENT_SECRET", "new-4eC39H")])
        .load()
        .unwrap();
    let changes: Vec<String> = before.diff(&after).iter().map(ToString::to_string).collect();
    assert_eq!(
        changes,
        [
            "instances.spotify_main.client_secret: ${SPOTIFY_CLIENT_SECRET} (another value)",
            "instances.spotify_main.policy.total_timeout: 30s -> 31s",
            "tenants.enterprise_client.features: premium_apis -> ",
        ]
    );
    assert!(before.diff(&before.clone()).is_empty());
    assert!(!format!("{:?}{before:?}", before.diff(&after)).contains("shh-4eC39H"));
}
