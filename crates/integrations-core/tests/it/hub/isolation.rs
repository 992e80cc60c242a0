//! Nothing of one tenant or connection is seen or used by another.

use std::sync::Arc;

use integrations_core::ConnectionId;
use integrations_core::config::{Composition, Target, TenantConfig};
use integrations_core::hub::Connections;
use integrations_core::{Authorize, Effect, Error, ErrorKind, Result, SecretString};

use super::{Bearer, Memos, Wire, builder, config, hub, memo, own, per_second};

/// Users `ann` and `bob` are connected; `eve` has to connect again.
struct Users;

impl Connections for Users {
    fn authorizer(&self, id: &ConnectionId) -> Result<Arc<dyn Authorize>> {
        match &*id.connection {
            "ann" | "bob" => {
                let token = format!("{}/{}/{}", id.tenant, id.instance, id.connection);
                Ok(Arc::new(Bearer::new(SecretString::from(token))))
            }
            "eve" => {
                Err(Error::new(ErrorKind::ReauthRequired, Effect::NotSent, "`eve` has to connect again"))
            }
            _ => Err(Error::new(ErrorKind::NotFound, Effect::NotSent, "there is no such connection")),
        }
    }
}

fn limited(calls: u64) -> TenantConfig {
    let mut tenant = TenantConfig::new();
    tenant.limit = Some(per_second(calls));
    tenant
}

#[tokio::test(start_paused = true)]
async fn each_calls_with_its_own_credentials() {
    let wire = Wire::default();
    let hub = builder(&wire).connections(Users).build().unwrap();
    let (acme, own) = (hub.tenant("acme").unwrap(), hub.tenant("own").unwrap());
    for (memos, token) in [
        (hub.open::<Memos>("main"), "app-token"),
        (acme.open("main"), "app-token"),
        (own.open("main"), "own-token"),
        (acme.connection("ann").unwrap().open("main"), "acme/main/ann"),
        (acme.connection("bob").unwrap().open("main"), "acme/main/bob"),
        (own.connection("ann").unwrap().open("main"), "own/main/ann"),
        (acme.connection("ann").unwrap().open("spare"), "acme/spare/ann"),
    ] {
        assert_eq!(memos.unwrap().read().await.unwrap(), format!("Bearer {token}"));
    }
    let kind = |who: &str| acme.connection(who).unwrap().open::<Memos>("main").unwrap_err().kind();
    assert_eq!((kind("eve"), kind("zoe")), (ErrorKind::ReauthRequired, ErrorKind::NotFound));
    assert_eq!(wire.sent(), 7);
}

/// The user's tokens of one provider are not sent to the other.
#[tokio::test(start_paused = true)]
async fn each_part_of_a_composed_instance_has_its_own_connections() {
    let wire = Wire::default();
    let parts = ["one-token", "two-token"].map(|token| memo(token).target).to_vec();
    let both = memo("").target(Target::Composed(Composition::Failover, parts));
    let hub = builder(&wire).config(config().instance("both", both)).connections(Users).build().unwrap();
    let ann: Memos = hub.tenant("acme").unwrap().connection("ann").unwrap().open("both").unwrap();
    wire.down(true);
    ann.read().await.unwrap_err();
    let mut tokens: Vec<_> = wire.seen().into_iter().map(|(_, token)| token).collect();
    tokens.dedup();
    assert_eq!(tokens, ["Bearer acme/both/0/ann", "Bearer acme/both/1/ann"]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_needs_somebody_who_has_its_tokens() {
    let ann = hub(&Wire::default()).tenant("acme").unwrap().connection("ann").unwrap();
    assert_eq!(ann.open::<Memos>("main").unwrap_err().kind(), ErrorKind::Unsupported);
}

#[cfg(feature = "cache")]
#[tokio::test(start_paused = true)]
async fn no_answer_crosses_through_the_cache() {
    use std::time::Duration;

    use integrations_core::Clock;
    use integrations_core::cache::{MemoryStore, ReadCache};

    let wire = Wire::default();
    let cache = ReadCache::new(MemoryStore::new(1 << 20), Clock::system(), Duration::ZERO);
    let hub = builder(&wire).connections(Users).cache(cache).build().unwrap();
    let acme = hub.tenant("acme").unwrap();
    let own = hub.tenant("own").unwrap();
    let open = || {
        [
            hub.open::<Memos>("main"),
            acme.open("main"),
            own.open("main"),
            acme.connection("ann").unwrap().open("main"),
            acme.connection("bob").unwrap().open("main"),
            own.connection("ann").unwrap().open("main"),
        ]
    };
    let mut answers = Vec::new();
    for _ in 0..2 {
        for memos in open() {
            answers.push(memos.unwrap().read().await.unwrap());
        }
    }
    assert_eq!(answers[..6], answers[6..], "each gets its own again");
    assert_eq!(wire.sent(), 6, "the second round came from the cache");
    let kept: Memos = acme.open("main").unwrap();
    hub.set_tenant_enabled("acme", false).unwrap();
    assert!(kept.read().await.is_err(), "who is switched off gets no answer that was kept either");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_breaks_its_own_service_breaks_nobody_elses() {
    let wire = Wire::default();
    let hub = hub(&wire);
    let theirs: Memos = hub.tenant("own").unwrap().open("main").unwrap();
    wire.down(true);
    let mut kinds = Vec::new();
    for _ in 0..100 {
        kinds.push(theirs.read().await.unwrap_err().kind());
    }
    assert_eq!(kinds.last(), Some(&ErrorKind::CircuitOpen));
    wire.down(false);
    let sent = wire.sent();
    assert!(hub.tenant("acme").unwrap().open::<Memos>("main").unwrap().read().await.is_ok());
    assert_eq!(wire.sent(), sent + 1, "at once and at the first attempt");
}

#[tokio::test(start_paused = true)]
async fn a_tenants_limit_is_its_own() {
    let wire = Wire::default();
    let config = config().tenant("slow", limited(2)).tenant("fast", limited(5));
    let hub = builder(&wire).config(config).build().unwrap();
    let mut passed = Vec::new();
    for name in ["slow", "fast", "acme"] {
        let memos: Memos = hub.tenant(name).unwrap().open("main").unwrap();
        let mut count = 0;
        for _ in 0..10 {
            count += usize::from(memos.read().await.is_ok());
        }
        passed.push(count);
    }
    assert_eq!(passed, [2, 5, 10]);
}

#[tokio::test(start_paused = true)]
async fn clients_are_kept_apart_and_kept() {
    let wire = Wire::default();
    let hub =
        builder(&wire).config(config().tenant("two", TenantConfig::new().instance("main", own("2")))).build();
    let hub = hub.unwrap();
    for _ in 0..3 {
        for (name, token) in [("own", "own-token"), ("two", "2"), ("acme", "app-token")] {
            let memos: Memos = hub.tenant(name).unwrap().open("main").unwrap();
            assert_eq!(memos.read().await.unwrap(), format!("Bearer {token}"));
        }
    }
}
