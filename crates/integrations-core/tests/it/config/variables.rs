//! Variables and code go over everything that files say.

use std::time::Duration;

use integrations_core::config::{Config, Loader, Problems, Target};

use super::good::settings;
use super::providers::registry;

const TEXT: &str = "version: 1
instances:
  spotify-main: { use: spotify, client_id: a, client_secret: '${SECRET}', timeout: 5, retry: { max_delay: 9 } }
  mail: { use: smtp, host: 'smtp://mx.example' }
  mail.eu: { use: smtp, host: 'smtp://eu.example' }
environments:
  production:
    spotify-main: { timeout: 6 }
tenants:
  acme: { instances: { spotify-main: { timeout: 7 } } }
";

fn load(vars: &[(&str, &str)], set: &[(&str, &str)]) -> Result<Config, Problems> {
    let registry = registry();
    let loader = Loader::new(&registry).environment("production").text("config.yaml", TEXT);
    let loader = loader.vars([("SECRET", "shh")]).vars(vars.iter().copied());
    set.iter().fold(loader, |loader, (path, value)| loader.set(*path, *value)).load()
}

fn timeout(config: &Config, instance: &str) -> u64 {
    config.instances[instance].policy.total_timeout.as_secs()
}

fn tenants_timeout(config: &Config) -> u64 {
    let own = config.tenants["acme"].instances.as_ref().unwrap();
    own["spotify-main"].policy.as_ref().unwrap().total_timeout.as_secs()
}

#[test]
fn each_layer_goes_over_the_one_below() {
    let files = load(&[], &[]).unwrap();
    assert_eq!((timeout(&files, "spotify-main"), tenants_timeout(&files)), (6, 7));
    let vars = [("INTEGRATIONS__SPOTIFY_MAIN__TIMEOUT", "8")];
    let variables = load(&vars, &[]).unwrap();
    assert_eq!((timeout(&variables, "spotify-main"), tenants_timeout(&variables)), (8, 8));
    let code = load(&vars, &[("spotify-main.timeout", "9")]).unwrap();
    assert_eq!((timeout(&code, "spotify-main"), tenants_timeout(&code)), (9, 9));
}

#[test]
fn names_are_matched_whatever_their_case_and_the_longest_instance_wins() {
    let config = load(
        &[
            ("integrations__Spotify_Main__Retry__Max_Attempts", "7"),
            ("INTEGRATIONS__SPOTIFY_MAIN__CLIENT_SECRET", "${not a reference"),
            ("INTEGRATIONS__MAIL__TIMEOUT", "500ms"),
            ("INTEGRATIONS__MAIL_EU__STARTTLS", "1"),
            ("INTEGRATIONS__MAIL_EU__DOMAINS", "a.example, b.example"),
            ("INTEGRATIONS__SPOTIFY_MAIN__RATE_LIMITS__BUCKETS__SEARCH__REQUESTS_PER_DAY", "3"),
            ("INTEGRATIONS_OTHER", "not ours"),
        ],
        &[("mail.eu.connections", "4")],
    )
    .unwrap();
    let spotify = &config.instances["spotify-main"];
    assert_eq!((spotify.policy.retry.max_attempts, spotify.policy.retry.cap), (7, Duration::from_secs(9)));
    assert!(settings(spotify).2.secret("client_secret").unwrap().unwrap().ct_eq("${not a reference"));
    assert_eq!(spotify.policy.bucket_limits["search"].windows[0].limit.get(), 3);
    assert_eq!(config.instances["mail"].policy.total_timeout, Duration::from_millis(500));
    let eu = settings(&config.instances["mail.eu"]).2;
    assert_eq!((eu.flag("starttls").unwrap(), eu.integer("connections").unwrap()), (Some(true), Some(4)));
    assert_eq!(eu.list("domains").unwrap().unwrap(), ["a.example", "b.example"]);
}

#[test]
fn a_whole_instance_may_be_a_dsn_in_a_variable() {
    let config =
        load(&[("INTEGRATIONS__MAIL", "smtp://ada:p%40ss@my.example:26?keep=5&connections=2")], &[]).unwrap();
    let (id, host, set) = settings(&config.instances["mail"]);
    assert_eq!((id, host), ("smtp", Some("smtp://my.example:26")));
    assert!(set.secret("password").unwrap().unwrap().ct_eq("p@ss"));
    assert_eq!(set.duration("keep").unwrap(), Some(Duration::from_secs(5)));
    assert_eq!(set.integer("connections").unwrap(), Some(2));
    assert!(matches!(config.instances["mail.eu"].target, Target::Provider { .. }));
}

#[test]
fn a_switch_can_be_turned_by_a_variable() {
    let config =
        load(&[("INTEGRATIONS__MAIL__RETRY", "false"), ("INTEGRATIONS__MAIL__HEDGE", "true")], &[]).unwrap();
    let policy = &config.instances["mail"].policy;
    assert_eq!((policy.retry.max_attempts, policy.hedge.is_some()), (1, true));
}
