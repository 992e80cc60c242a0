//! What keeps sessions alive, in virtual time.

mod adversity;
mod chaos;
mod states;
pub(crate) mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use integrations_core::{Body, CredentialVersion, Effect, ErrorKind};
use integrations_oauth::{AccessToken, ConnectionState, Reauth, Reconnect, Vault};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use world::{Glass, LIFE, Shaky, Trouble, World, life_passes};

/// The access tokens that so many callers of each vault get.
async fn stampede(vaults: &[Vault], world: &World, callers: u32) -> Vec<String> {
    let mut all = JoinSet::new();
    for vault in vaults {
        for _ in 0..callers {
            let (vault, id) = (vault.clone(), world.ada.clone());
            all.spawn(async move { vault.token(&id).await.unwrap().token.expose().clone() });
        }
    }
    all.join_all().await
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_of_four_vaults_cost_one_exchange() {
    let world = World::new();
    let mut vaults = vec![world.connected().await];
    vaults.extend((1..4).map(|_| world.vault()));
    for round in 1..=5 {
        life_passes().await;
        let tokens = stampede(&vaults, &world, 250).await;
        assert_eq!(tokens.len(), 1000);
        assert!(tokens.iter().all(|token| *token == format!("access-ada.{round}")), "{tokens:?}");
        assert_eq!((world.issuer.calls(), world.issuer.rotations.load(SeqCst)), (round, round));
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_lease_the_same_stampede_ends_the_family() {
    // The twin of the test above: the issuer does notice.
    let world = World::new();
    let tokens = world.issuer.consent("ada");
    let source: &dyn integrations_oauth::TokenSource = &*world.issuer;
    let (a, b) = tokio::join!(source.refresh(&tokens), source.refresh(&tokens));
    assert_ne!(a.is_err(), b.is_err());
    let next = a.or(b).unwrap();
    assert_eq!(source.refresh(&next).await.unwrap_err().kind(), ErrorKind::ReauthRequired);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_exchanged_early_and_nobody_waits_for_it() {
    let world = World::new();
    let vault = world.connected().await;
    sleep(Duration::from_secs(LIFE.unsigned_abs() - 130)).await;
    assert_eq!(stampede(std::slice::from_ref(&vault), &world, 10).await, vec!["access-ada.0"; 10]);
    assert_eq!(world.issuer.calls(), 0);
    sleep(Duration::from_secs(120)).await;
    let at_once = timeout(Duration::from_millis(1), vault.token(&world.ada)).await.unwrap().unwrap();
    assert_eq!(at_once.token.expose(), "access-ada.0", "the old one still serves");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(vault.token(&world.ada).await.unwrap().token.expose(), "access-ada.1");
    assert_eq!(world.issuer.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_caller_does_not_lose_what_was_exchanged() {
    let world = World::new();
    let vault = world.connected().await;
    for round in 1..=20 {
        life_passes().await;
        // The issuer rotates after 50 ms and answers after 100 ms.
        let cancelled = timeout(Duration::from_millis(10 * round % 110), vault.token(&world.ada)).await;
        assert!(cancelled.is_err());
        let token = vault.token(&world.ada).await.unwrap();
        assert_eq!(token.token.expose(), &format!("access-ada.{round}"));
    }
    assert_eq!(world.issuer.calls(), 20);
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_refresh_token_keeps_the_old_one() {
    let world = World::with(|issuer| issuer.keeps = true);
    let vault = world.connected().await;
    for round in 1..=3 {
        life_passes().await;
        let tokens = vault.tokens(&world.ada).await.unwrap();
        assert_eq!(tokens.access.expose(), &format!("access-ada.0-{round}"));
        assert_eq!(tokens.refresh.unwrap().expose(), "ada.0");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_uses_tokens_that_are_not_written() {
    let world = World::new();
    let vault = world.connected().await;
    life_passes().await;
    world.store.refuse.store(6, SeqCst);
    let waiting = timeout(Duration::from_millis(600), vault.token(&world.ada)).await;
    assert!(waiting.is_err(), "exchanged, and not yet written");
    assert_eq!(world.issuer.rotations.load(SeqCst), 1);
    assert_eq!(vault.token(&world.ada).await.unwrap().token.expose(), "access-ada.1");
    assert_eq!(world.issuer.calls(), 1);
    let other = world.vault();
    assert_eq!(other.token(&world.ada).await.unwrap().token.expose(), "access-ada.1", "it is in the store");
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_recognised() {
    let world = World::new();
    let vault = world.connected().await;
    life_passes().await;
    world.store.lose.store(1, SeqCst);
    assert_eq!(vault.token(&world.ada).await.unwrap().token.expose(), "access-ada.1");
    assert_eq!(world.issuer.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_or_answer_is_asked_for_once_more() {
    let table = [
        // Whether the issuer has a grace, what happens, whether the session lives, requests to the issuer.
        (false, Trouble::LoseRequest, true, 2),
        (true, Trouble::LoseAnswer, true, 2),
        (false, Trouble::LoseAnswer, false, 2),
    ];
    for (grace, trouble, lives, calls) in table {
        let world = World::with(|issuer| issuer.grace = grace);
        let vault = world.connected().await;
        life_passes().await;
        world.issuer.next(trouble);
        let token = vault.token(&world.ada).await;
        assert_eq!(token.is_ok(), lives, "{trouble:?}");
        if !lives {
            let state = vault.state(&world.ada).await.unwrap().unwrap();
            let ConnectionState::ReauthRequired { reason, .. } = state else { panic!("{state:?}") };
            assert_eq!(reason, Reauth::Interrupted { code: "invalid_grant".into() });
        }
        sleep(Duration::from_secs(10)).await;
        let _again = vault.token(&world.ada).await;
        assert_eq!(world.issuer.calls(), calls, "{trouble:?}");
    }
}

/// Begins an exchange in a runtime of its own, which ends when the issuer has spent the token.
fn die_in_an_exchange(world: &World) {
    world.issuer.next(Trouble::HoldAnswer);
    let (vault, id, issuer) = (world.vault(), world.ada.clone(), world.issuer.clone());
    let process = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            tokio::select! {
                _ = vault.token(&id) => panic!("it got its answer"),
                held = issuer.held.acquire() => held.unwrap().forget(),
            }
        });
    });
    process.join().unwrap();
}

/// What the next process gets, after the lease of the dead one.
async fn after_a_death(world: &World) -> integrations_core::Result<AccessToken> {
    let vault = world.vault();
    let mut tokens = world.issuer.consent("ada");
    tokens.obtained_at = "2026-11-19T00:00:00Z".parse().unwrap();
    tokens.expires_at = Some("2026-11-19T01:00:00Z".parse().unwrap());
    vault.connect(&world.ada, tokens).await.unwrap();
    die_in_an_exchange(world);
    assert_eq!(world.issuer.rotations.load(SeqCst), 1);
    let begun = world.clock.now();
    let token = vault.token(&world.ada).await;
    let waited = world.clock.now().duration_since(begun).as_secs();
    assert!((25..=31).contains(&waited), "{waited} s");
    assert_eq!(world.issuer.calls(), 2, "one request more");
    token
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_in_an_exchange_loses_nothing_where_the_issuer_has_a_grace() {
    let world = World::with(|issuer| issuer.grace = true);
    assert_eq!(after_a_death(&world).await.unwrap().token.expose(), "access-ada.1");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_in_an_exchange_costs_this_session_where_it_has_none() {
    let world = World::new();
    let e = after_a_death(&world).await.unwrap_err();
    assert_eq!((e.kind(), e.effect()), (ErrorKind::ReauthRequired, Effect::NotSent));
    let reason = e.details::<Reconnect>().unwrap().reason.clone();
    assert_eq!(reason, Some(Reauth::Interrupted { code: "invalid_grant".into() }));
    assert!(world.vault().token(&world.ada).await.is_err());
    assert_eq!(world.issuer.calls(), 2, "and none after it");
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_written_late_is_kept_when_nothing_newer_is_there() {
    let world = World::new();
    let cut_off = world.builder().listener(world.ear.clone()).build();
    cut_off.connect(&world.ada, world.issuer.consent("ada")).await.unwrap();
    life_passes().await;
    world.store.refuse.store(100, SeqCst);
    let (id, waiting) = (world.ada.clone(), cut_off.clone());
    let late = tokio::spawn(async move { waiting.token(&id).await });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.issuer.rotations.load(SeqCst), 1, "exchanged, and the store is out of reach");

    // Another process reaches the store, waits for the lease to end and is refused by the issuer.
    let sibling = Shaky { inner: world.store.inner.clone(), ..Shaky::default() };
    let other = Vault::builder(Arc::new(sibling), Arc::new(Glass(world.key.clone())))
        .source("drive", world.issuer.clone())
        .clock(world.clock.clone())
        .listener(world.ear.clone())
        .build();
    assert_eq!(other.token(&world.ada).await.unwrap_err().kind(), ErrorKind::ReauthRequired);

    world.store.refuse.store(0, SeqCst);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(late.await.unwrap().unwrap().token.expose(), "access-ada.1");
    assert_eq!(other.state(&world.ada).await.unwrap(), Some(ConnectionState::Ready));
    assert_eq!(world.ear.words(), ["ready", "reauth_required", "ready"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_exchanged_that_could_not_be_written_within_its_lease() {
    for (takes, exchanged) in [(2_000, 1), (6_000, 0)] {
        let world = World::new();
        let vault = world.connected().await;
        life_passes().await;
        world.store.lends_slowly.store(takes, SeqCst);
        let token = vault.token(&world.ada).await;
        assert_eq!((token.is_ok(), world.issuer.calls()), (exchanged == 1, exchanged), "{takes} ms");
        if let Err(e) = token {
            assert_eq!((e.kind(), e.effect()), (ErrorKind::Unavailable, Effect::NotSent));
            world.store.lends_slowly.store(0, SeqCst);
            sleep(Duration::from_secs(90)).await;
            assert_eq!(vault.token(&world.ada).await.unwrap().token.expose(), "access-ada.1");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_issuer_is_busy_the_present_token_serves_and_nobody_hammers() {
    let world = World::new();
    let vault = world.connected().await;
    for _ in 0..100 {
        world.issuer.next(Trouble::Busy(20));
    }
    sleep(Duration::from_secs(LIFE.unsigned_abs() - 60)).await;
    for _ in 0..50 {
        assert_eq!(vault.token(&world.ada).await.unwrap().token.expose(), "access-ada.0");
        sleep(Duration::from_secs(1)).await;
    }
    assert!((2..=4).contains(&world.issuer.calls()), "{}", world.issuer.calls());
    sleep(Duration::from_secs(10)).await;
    let before = world.issuer.calls();
    for _ in 0..100 {
        let e = vault.token(&world.ada).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::RateLimited);
        assert!(e.retry_after().unwrap() <= Duration::from_secs(20));
    }
    assert!(world.issuer.calls() <= before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_refusals_of_one_token_lead_to_one_exchange() {
    let world = World::new();
    let vault = world.connected().await;
    let proof = vault.authorizer(&world.ada);
    let mut request = http::Request::new(Body::Empty);
    proof.authorize(&mut request).await.unwrap();
    let used = *request.extensions().get::<CredentialVersion>().unwrap();
    assert_eq!(request.headers()["authorization"], "Bearer access-ada.0");
    assert!(request.headers()["authorization"].is_sensitive());

    assert!(!proof.refresh(Some(used)).await.unwrap(), "it is too young to have ended");
    assert_eq!(world.issuer.calls(), 0);
    sleep(Duration::from_secs(11)).await;
    let mut refused = JoinSet::new();
    for _ in 0..100 {
        let proof = vault.authorizer(&world.ada);
        refused.spawn(async move { proof.refresh(Some(used)).await.unwrap() });
    }
    assert!(refused.join_all().await.into_iter().all(|renewed| renewed));
    assert_eq!(world.issuer.calls(), 1);
    assert!(proof.refresh(Some(used)).await.unwrap(), "a straggler");
    assert_eq!(world.issuer.calls(), 1);
    proof.authorize(&mut request).await.unwrap();
    assert_eq!(request.headers()["authorization"], "Bearer access-ada.1");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_a_sibling_has_renewed_is_taken_from_the_store() {
    let world = World::new();
    let (a, b) = (world.connected().await, world.vault());
    let old = b.token(&world.ada).await.unwrap();
    sleep(Duration::from_secs(11)).await;
    assert!(a.authorizer(&world.ada).refresh(Some(CredentialVersion(old.version))).await.unwrap());
    assert!(b.authorizer(&world.ada).refresh(Some(CredentialVersion(old.version))).await.unwrap());
    assert_eq!(b.token(&world.ada).await.unwrap().token.expose(), "access-ada.1");
    assert_eq!(world.issuer.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn tokens_without_a_user_are_fetched_once_for_all() {
    let world = World::with(|issuer| issuer.userless = true);
    let vaults = [world.vault(), world.vault()];
    let tokens = stampede(&vaults, &world, 100).await;
    assert!(tokens.iter().all(|token| token == "access-machine.0"));
    assert_eq!(world.issuer.calls(), 1);
}
