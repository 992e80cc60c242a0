//! Health comes from the traffic; a probe is sent only where there is none.

use std::time::Duration;

use integrations_core::ErrorKind;
use integrations_core::hub::{Depth, Health};

use super::{Memos, Wire, both, builder, config, hub};

#[tokio::test(start_paused = true)]
async fn ten_thousand_checks_cost_no_call_while_there_is_traffic() {
    let wire = Wire::default();
    let hub = hub(&wire);
    let memos: Memos = hub.tenant("acme").unwrap().open("main").unwrap();
    memos.read().await.unwrap();
    for n in 0..10_000 {
        if n % 1000 == 0 {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        let status = hub.check("main", Depth::Full).await.unwrap();
        assert_eq!((status.health, status.success_rate), (Health::Up, Some(1.0)));
    }
    assert_eq!(wire.sent(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_instance_is_probed_once_in_a_while_and_only_as_dear_as_allowed() {
    let wire = Wire::default();
    let hub = hub(&wire);
    for depth in [Depth::Passive, Depth::Cheap] {
        assert_eq!(hub.check("main", depth).await.unwrap().health, Health::Unknown);
    }
    assert_eq!(wire.sent(), 0, "its probe costs quota");
    for _ in 0..1000 {
        let status = hub.check("main", Depth::Full).await.unwrap();
        assert_eq!(status.health, Health::Up);
    }
    assert_eq!(wire.sent(), 1);
    tokio::time::sleep(Duration::from_secs(61)).await;
    let many = (0..50).map(|_| hub.check("main", Depth::Full));
    for status in futures(many).await {
        assert!(status.unwrap().probe.unwrap().1.is_ok());
    }
    assert_eq!(wire.sent(), 2, "one probe at a time");
}

async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in all.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(cx) {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().map(Option::unwrap).collect()
}

#[tokio::test(start_paused = true)]
async fn failures_show_in_the_status_of_the_instance_and_of_the_tenant_that_had_them() {
    let wire = Wire::default();
    let hub = hub(&wire);
    let (acme, own) = (hub.tenant("acme").unwrap(), hub.tenant("own").unwrap());
    own.open::<Memos>("main").unwrap().read().await.unwrap();
    wire.down(true);
    let memos: Memos = acme.open("main").unwrap();
    for _ in 0..100 {
        memos.read().await.unwrap_err();
    }
    let statuses = hub.status();
    let main = statuses.iter().find(|s| &*s.name == "main").unwrap();
    assert_eq!((main.health, main.category, main.enabled), (Health::Down, Some("memos"), true));
    assert_eq!(main.last_error.as_ref().map(|e| e.kind), Some(ErrorKind::CircuitOpen));
    assert!(main.reasons.iter().any(|r| r.contains("breaker")), "{:?}", main.reasons);
    assert_eq!(statuses.iter().find(|s| &*s.name == "gone").map(|s| s.health), Some(Health::Off));
    assert_eq!(statuses.iter().find(|s| &*s.name == "other").map(|s| s.health), Some(Health::Unknown));
    let of = |tenant: &integrations_core::hub::Tenant| {
        tenant.status().into_iter().find(|s| &*s.name == "main").unwrap()
    };
    assert_eq!((of(&acme).health, of(&own).health), (Health::Down, Health::Up));
    assert_eq!(own.status().len(), 1, "a tenant sees what it may use");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_well_again_is_up_and_one_credential_is_not_all() {
    let wire = Wire::default();
    let hub = hub(&wire);
    let [app, own] = [hub.open::<Memos>("main"), hub.tenant("own").unwrap().open("main")].map(Result::unwrap);
    wire.down(true);
    for _ in 0..100 {
        app.read().await.unwrap_err();
    }
    assert_eq!(hub.check("main", Depth::Passive).await.unwrap().health, Health::Down);
    wire.down(false);
    tokio::time::sleep(Duration::from_hours(1)).await;
    for _ in 0..3 {
        let status = hub.check("main", Depth::Full).await.unwrap();
        assert_eq!((status.health, status.reasons), (Health::Up, Vec::<String>::new()));
    }
    wire.down(true);
    for _ in 0..100 {
        own.read().await.unwrap_err();
    }
    wire.down(false);
    for _ in 0..100 {
        app.read().await.unwrap();
    }
    let status = hub.check("main", Depth::Passive).await.unwrap();
    assert_eq!(status.health, Health::Degraded, "{:?}", status.reasons);
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_show_until_a_call_is_let_in() {
    let wire = Wire::default();
    let hub = hub(&wire);
    let memos: Memos = hub.open("main").unwrap();
    for _ in 0..100 {
        memos.read().await.unwrap();
    }
    let told = || hub.status().into_iter().find(|s| &*s.name == "main").unwrap();
    assert_eq!((told().health, told().reasons), (Health::Up, vec![]));
    wire.refuses(true);
    assert_eq!(memos.read().await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    assert_eq!(told().health, Health::Degraded);
    assert_eq!(told().reasons, ["the credentials of the last call (`read`) were refused"]);
    wire.refuses(false);
    tokio::time::sleep(Duration::from_secs(1)).await;
    memos.read().await.unwrap();
    assert_eq!(told().health, Health::Up);
}

#[tokio::test(start_paused = true)]
async fn a_composed_instance_is_down_only_with_all_its_parts() {
    let wire = Wire::default();
    let hub = builder(&wire).config(config().instance("both", both())).build().unwrap();
    let memos: Memos = hub.open("both").unwrap();
    let told = || hub.status().into_iter().find(|s| &*s.name == "both").unwrap();
    wire.lose("127.0.0.1");
    for _ in 0..100 {
        memos.read().await.unwrap();
    }
    assert_eq!(told().health, Health::Degraded);
    assert!(told().reasons.iter().any(|reason| reason.contains("breaker")), "{:?}", told().reasons);
    wire.down(true);
    for _ in 0..100 {
        memos.read().await.unwrap_err();
    }
    assert_eq!(told().health, Health::Down);
}
