//! Changes of the configuration while calls run.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use integrations_core::config::{InstanceConfig, TenantConfig, TenantInstance};
use integrations_core::hub::Hub;
use integrations_core::pipeline::{Policy, Wait};
use integrations_core::secret::SecretStore;
use integrations_core::setup::Value;
use integrations_core::{Effect, ErrorKind, Result, SecretRef, SecretString};

use super::{Memos, Wire, builder, config, hub, memo, own, per_second, policy};

fn fail_fast(calls_per_second: u64) -> Policy {
    policy(|policy| {
        policy.wait = Wait::FailFast;
        policy.limit = Some(per_second(calls_per_second));
    })
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_credentials_and_says_what_changed() {
    let wire = Wire::default();
    let hub = hub(&wire);
    let old: Memos = hub.open("main").unwrap();
    let done = hub.reload(config().instance("main", memo("new-token"))).unwrap();
    assert!(done.kept.is_empty());
    let told = format!("{:?}", done.changes);
    assert!(told.contains("main") && !told.contains("token\"") || !told.contains("new-token"), "{told}");
    assert_eq!(hub.open::<Memos>("main").unwrap().read().await.unwrap(), "Bearer new-token");
    assert_eq!(old.read().await.unwrap(), "Bearer app-token", "a client that is open keeps its credentials");
    hub.rollback().unwrap();
    assert_eq!(hub.open::<Memos>("main").unwrap().read().await.unwrap(), "Bearer app-token");
    hub.rollback().unwrap();
    assert_eq!(hub.open::<Memos>("main").unwrap().read().await.unwrap(), "Bearer new-token");
}

/// A store whose one entry is replaced.
#[derive(Clone, Default)]
struct Entry {
    token: Arc<Mutex<&'static str>>,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl SecretStore for Entry {
    async fn get(&self, _: &SecretRef) -> Result<SecretString> {
        self.asked.fetch_add(1, SeqCst);
        Ok((*self.token.lock().unwrap()).into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_in_a_store_is_replaced_without_a_reload_for_everybody() {
    let (wire, store) = (Wire::default(), Entry::default());
    let found: SecretRef = "${vault:kv/memo}".parse().unwrap();
    let token = Value::Secret { secret: "first".into(), found };
    let config =
        config().instance("main", memo("").set("token", token)).any_tenant(Some(TenantConfig::new()));
    let with_store = builder(&wire).config(config.clone()).secrets(store.clone()).build().unwrap();
    let without = builder(&wire).config(config).build().unwrap();
    let clients = |hub: &Hub| -> Vec<Memos> {
        (0..100).map(|n| hub.tenant(format!("t{n}")).unwrap().open("main").unwrap()).collect()
    };
    let (following, fixed) = (clients(&with_store), clients(&without));
    *store.token.lock().unwrap() = "second";
    tokio::time::sleep(Duration::from_secs(30)).await;
    for _ in 0..2 {
        for client in &following {
            client.read().await.unwrap();
        }
    }
    assert_eq!(store.asked.load(SeqCst), 1, "one read for a hundred tenants");
    for (following, fixed) in following.iter().zip(&fixed) {
        assert_eq!(following.read().await.unwrap(), "Bearer second");
        assert_eq!(fixed.read().await.unwrap(), "Bearer first");
    }
    assert_eq!(with_store.open::<Memos>("main").unwrap().read().await.unwrap(), "Bearer second");
}

#[tokio::test(start_paused = true)]
async fn a_broken_configuration_changes_nothing() {
    let wire = Wire::default();
    let hub = builder(&wire).require("main", ["write"]).build().unwrap();
    let e = hub.rollback().unwrap_err();
    assert_eq!(e.message(), "there was no change to roll back");
    for broken in [
        config().instance("main", InstanceConfig::new("memo")),
        config().instance("extra", InstanceConfig::new("nothing")),
        config().instance("main", memo("t-readonly")),
    ] {
        hub.reload(broken).unwrap_err();
        assert_eq!(hub.open::<Memos>("main").unwrap().read().await.unwrap(), "Bearer app-token");
        assert!(hub.rollback().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_mistake_in_one_tenants_part_holds_back_that_tenant_alone() {
    let wire = Wire::default();
    let hub = hub(&wire);
    let next = config()
        .instance("main", memo("new-token"))
        .tenant("own", TenantConfig::new().instance("nowhere", TenantInstance::new()))
        .tenant("newcomer", TenantConfig::new().instance("nowhere", TenantInstance::new()));
    let done = hub.reload(next).unwrap();
    let kept: Vec<_> = done.kept.iter().map(|(name, e)| format!("{name}: {}", e.message())).collect();
    assert_eq!(kept, ["newcomer: there is no instance `nowhere`", "own: there is no instance `nowhere`"]);
    let read = |tenant: &'static str| hub.tenant(tenant).unwrap().open::<Memos>("main");
    assert_eq!(read("acme").unwrap().read().await.unwrap(), "Bearer new-token");
    assert_eq!(read("own").unwrap().read().await.unwrap(), "Bearer own-token", "it keeps what it had");
    assert_eq!(read("newcomer").unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test(start_paused = true)]
async fn one_tenant_is_changed_alone() {
    let wire = Wire::default();
    let hub = hub(&wire);
    let theirs: Memos = hub.tenant("own").unwrap().open("main").unwrap();
    let changes = hub.reload_tenant("own", TenantConfig::new().instance("main", own("fresh"))).unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(
        hub.tenant("own").unwrap().open::<Memos>("main").unwrap().read().await.unwrap(),
        "Bearer fresh"
    );
    hub.reload_tenant("own", TenantConfig::new().instance("spare", TenantInstance::new())).unwrap();
    let e = theirs.read().await.unwrap_err();
    assert_eq!(e.effect(), Effect::NotSent, "what it may no longer use ends for open clients too");
    hub.reload_tenant("own", TenantConfig::new()).unwrap();
    assert!(theirs.read().await.is_ok());
    assert!(
        hub.reload_tenant("own", TenantConfig::new().instance("nowhere", TenantInstance::new())).is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn instances_and_tenants_are_switched_off_and_on_at_once() {
    let wire = Wire::default();
    let hub = hub(&wire);
    let acme: Memos = hub.tenant("acme").unwrap().open("main").unwrap();
    let app: Memos = hub.open("main").unwrap();
    hub.set_enabled("main", false).unwrap();
    for memos in [&acme, &app] {
        assert_eq!(memos.read().await.unwrap_err().effect(), Effect::NotSent);
    }
    assert!(hub.open::<Memos>("main").is_err());
    hub.reload(config()).unwrap();
    assert!(hub.open::<Memos>("main").is_err(), "it holds over reloads");
    hub.set_enabled("main", true).unwrap();
    hub.set_tenant_enabled("acme", false).unwrap();
    assert!(app.read().await.is_ok());
    assert_eq!(acme.read().await.unwrap_err().effect(), Effect::NotSent);
    hub.set_tenant_enabled("acme", true).unwrap();
    assert!(acme.read().await.is_ok());
    assert_eq!(wire.sent(), 2);
    assert!(hub.set_enabled("nowhere", true).is_err());
    assert!(hub.set_tenant_enabled("nobody", true).is_err());
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_gone_ends_for_open_clients_and_comes_back() {
    let wire = Wire::default();
    let hub = hub(&wire);
    let spare: Memos = hub.open("spare").unwrap();
    let mut without = config();
    without.instances.remove("spare");
    hub.reload(without).unwrap();
    assert_eq!(spare.read().await.unwrap_err().effect(), Effect::NotSent);
    hub.rollback().unwrap();
    assert!(spare.read().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn tenants_without_an_entry_follow_the_entry_for_all() {
    let wire = Wire::default();
    let all = config().any_tenant(Some(TenantConfig::new()));
    let hub = builder(&wire).config(all).build().unwrap();
    let theirs: Memos = hub.tenant("anybody").unwrap().open("main").unwrap();
    assert!(theirs.read().await.is_ok());
    hub.reload(config()).unwrap();
    assert_eq!(theirs.read().await.unwrap_err().effect(), Effect::NotSent);
    hub.rollback().unwrap();
    assert!(theirs.read().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_new_limit_reaches_gates_that_exist() {
    let wire = Wire::default();
    let with = |limit| config().instance("main", memo("app-token").policy(fail_fast(limit)));
    let hub = builder(&wire).config(with(100)).build().unwrap();
    let pass = async || {
        let memos: Memos = hub.open("main").unwrap();
        let mut passed = 0;
        for _ in 0..20 {
            passed += usize::from(memos.read().await.is_ok());
        }
        passed
    };
    assert_eq!(pass().await, 20);
    hub.reload(with(3)).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(pass().await, 3);
    hub.reload(with(100)).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(pass().await, 20);
}

/// Real threads: a reload must not fail a call, nor hand out half of one configuration and half of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reloads_under_load_fail_no_call() {
    let wire = Wire::default();
    let hub = Arc::new(hub(&wire));
    let over = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = ["acme", "own", ""]
        .map(|tenant| {
            let (hub, over) = (hub.clone(), over.clone());
            tokio::spawn(async move {
                let mut calls = 0u32;
                while !over.load(SeqCst) || calls < 100 {
                    let memos: Memos = match tenant {
                        "" => hub.open("main").unwrap(),
                        name => hub.tenant(name).unwrap().open("main").unwrap(),
                    };
                    let token = memos.read().await.unwrap();
                    let expected = if tenant == "own" {
                        ["Bearer a-own", "Bearer b-own"]
                    } else {
                        ["Bearer a", "Bearer b"]
                    };
                    assert!(token.ends_with("-token") || expected.contains(&token.as_str()), "{token}");
                    calls += 1;
                }
                calls
            })
        })
        .into();
    for n in 0..1000 {
        let name = ["a", "b"][n % 2];
        let limit = Duration::from_secs(30 + n as u64 % 3);
        let next = config()
            .instance("main", memo(name).policy(policy(|policy| policy.total_timeout = limit)))
            .tenant("own", TenantConfig::new().instance("main", own(&format!("{name}-own"))));
        assert!(hub.reload(next).unwrap().kept.is_empty());
        tokio::task::yield_now().await;
    }
    over.store(true, SeqCst);
    for caller in callers {
        assert!(caller.await.unwrap() >= 100);
    }
}

/// Who has a client but has never called is known to nobody but the hub.
#[tokio::test(start_paused = true)]
async fn a_tenant_that_is_gone_before_its_first_call_is_refused() {
    let wire = Wire::default();
    let all = config().any_tenant(Some(TenantConfig::new()));
    let hub = builder(&wire).config(all).build().unwrap();
    let theirs: Memos = hub.tenant("anybody").unwrap().open("main").unwrap();
    let spare: Memos = hub.tenant("somebody").unwrap().open("spare").unwrap();
    let listed = TenantConfig::new().instance("main", TenantInstance::new());
    hub.reload(config().any_tenant(Some(listed))).unwrap();
    assert_eq!(spare.read().await.unwrap_err().effect(), Effect::NotSent, "its list does not have it");
    hub.reload(config()).unwrap();
    assert_eq!(theirs.read().await.unwrap_err().effect(), Effect::NotSent);
    hub.rollback().unwrap();
    assert!(theirs.read().await.is_ok());
    assert_eq!(wire.sent(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_switched_off_stays_off_over_reloads() {
    let wire = Wire::default();
    let hub = hub(&wire);
    let acme: Memos = hub.tenant("acme").unwrap().open("main").unwrap();
    hub.stages().switch(None, Some("main"), false);
    hub.reload(config().instance("main", memo("new-token"))).unwrap();
    for memos in [&acme, &hub.open("main").unwrap()] {
        assert_eq!(memos.read().await.unwrap_err().effect(), Effect::NotSent);
    }
    hub.stages().switch(None, Some("main"), true);
    assert!(acme.read().await.is_ok());
}

async fn passed(hub: &Hub, tenant: &str) -> usize {
    let memos: Memos = hub.tenant(tenant).unwrap().open("main").unwrap();
    let mut passed = 0;
    for _ in 0..20 {
        passed += usize::from(memos.read().await.is_ok());
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    passed
}

/// A gate belongs to a credential: only who has one of their own says what it lets through.
#[tokio::test(start_paused = true)]
async fn a_tenant_shapes_the_gate_of_its_own_credential_and_no_other() {
    let wire = Wire::default();
    let limited = |instance: TenantInstance, limit| {
        let mut instance = instance;
        instance.policy = Some(Arc::new(fail_fast(limit)));
        TenantConfig::new().instance("main", instance)
    };
    let with = |app, own_limit| {
        config()
            .instance("main", memo("app-token").policy(fail_fast(app)))
            .tenant("own", limited(own("own-token"), own_limit))
            .tenant("sly", limited(TenantInstance::new(), 1))
    };
    let hub = builder(&wire).config(with(10, 5)).build().unwrap();
    assert_eq!(passed(&hub, "sly").await, 10, "the application's credential is not the tenant's to limit");
    assert_eq!((passed(&hub, "acme").await, passed(&hub, "own").await), (10, 5));
    hub.reload(with(15, 5)).unwrap();
    assert_eq!((passed(&hub, "acme").await, passed(&hub, "own").await), (15, 5), "not the instance's");
    hub.set_enabled("main", false).unwrap();
    hub.reload_tenant("own", limited(own("own-token"), 3)).unwrap();
    hub.set_enabled("main", true).unwrap();
    assert_eq!((passed(&hub, "acme").await, passed(&hub, "own").await), (15, 3), "its new limit");
}

#[tokio::test(start_paused = true)]
async fn a_mistake_in_the_entry_for_all_and_names_that_would_clash_are_found_at_once() {
    let wire = Wire::default();
    let hub = hub(&wire);
    let mut greedy = TenantConfig::new();
    greedy.share = Some(2.0);
    let nowhere = TenantConfig::new().instance("nowhere", TenantInstance::new());
    for (wrong, message) in [
        (config().any_tenant(Some(nowhere)), "there is no instance `nowhere`"),
        (config().any_tenant(Some(greedy.clone())), "a share is one tenant's, not everybody's"),
        (config().instance("main/0", memo("x")), "the name of an instance cannot be used"),
    ] {
        let e = hub.reload(wrong).unwrap_err();
        assert!(e.message().contains(message), "{e}");
    }
    assert!(hub.reload_tenant("acme", greedy).is_err());
    assert!(hub.reload_tenant("acme/user", TenantConfig::new()).is_err());
    let kept = hub.reload(config().tenant("acme/user", TenantConfig::new())).unwrap().kept;
    assert_eq!(kept.len(), 1);
    assert!(hub.rollback().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_mistake_does_not_lock_out_a_tenant_that_the_entry_for_all_admitted() {
    let wire = Wire::default();
    let all = || config().any_tenant(Some(TenantConfig::new()));
    let hub = builder(&wire).config(all()).build().unwrap();
    let theirs: Memos = hub.tenant("anybody").unwrap().open("main").unwrap();
    let wrong = TenantConfig::new().instance("nowhere", TenantInstance::new());
    assert_eq!(hub.reload(all().tenant("anybody", wrong)).unwrap().kept.len(), 1);
    assert!(theirs.read().await.is_ok());
}
