//! What goes wrong around a connection and must not cost its session, nor anybody's patience.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use async_trait::async_trait;
use integrations_core::{Clock, ConnectionId, CredentialVersion, Effect, ErrorKind, Result};
use integrations_oauth::store::{Draft, TokenStore as _};
use integrations_oauth::{ConnectionState, Listener, Reauth, Reconnect, TokenSet, Transition, Vault};
use jiff::SignedDuration;
use tokio::time::{sleep, timeout};

use super::world::{Glass, LIFE, Trouble, World, life_passes};

fn someone(name: &str) -> ConnectionId {
    ConnectionId::new("acme", "drive", name).unwrap()
}

async fn access(vault: &Vault, world: &World) -> Result<String> {
    vault.token(&world.ada).await.map(|token| token.token.expose().clone())
}

#[tokio::test(start_paused = true)]
async fn asking_for_connections_that_never_were_leaves_nothing_in_the_store() {
    let world = World::new();
    let vault = world.vault();
    let nobody = someone("nobody");
    assert_eq!(vault.token(&nobody).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(vault.disconnect(&nobody).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(vault.note_revoked(&nobody).await.unwrap_err().kind(), ErrorKind::NotFound);
    let first = world.store.inner.lease(&nobody, Duration::from_secs(1)).await.unwrap().unwrap();
    assert_eq!(first.fence, 1, "it was never lent, so that no place was made for it");
}

#[tokio::test(start_paused = true)]
async fn tokens_that_have_ended_when_they_come_are_not_exchanged_again_and_again() {
    for life in [0, -100] {
        let world = World::with(|issuer| issuer.life = life);
        let vault = world.connected().await;
        let e = vault.token(&world.ada).await.unwrap_err();
        assert_eq!((e.kind(), world.issuer.calls()), (ErrorKind::Unavailable, 1));
        assert!(e.hint().is_some_and(|hint| hint.contains("clock")), "{e:?}");
        for _ in 0..600 {
            sleep(Duration::from_secs(1)).await;
            assert!(vault.token(&world.ada).await.is_err());
        }
        assert!((5..25).contains(&world.issuer.calls()), "{}", world.issuer.calls());
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_of_nothing_is_no_hot_loop() {
    let world = World::new();
    let vault = world.connected().await;
    life_passes().await;
    for _ in 0..100 {
        world.issuer.next(Trouble::Busy(0));
    }
    for _ in 0..100 {
        assert_eq!(vault.token(&world.ada).await.unwrap_err().kind(), ErrorKind::RateLimited);
    }
    assert_eq!(world.issuer.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_cannot_be_exchanged_are_used_until_they_end_and_the_end_is_told() {
    let world = World::with(|issuer| issuer.final_tokens = true);
    let vault = world.builder().listener(world.ear.clone()).build();
    let mut tokens = TokenSet::new("sixty-days", world.clock.now());
    tokens.expires_at = Some(world.clock.now() + SignedDuration::from_hours(60 * 24));
    vault.connect(&world.ada, tokens).await.unwrap();
    for hour in 0..60 * 24 {
        vault.tend().await.unwrap();
        assert_eq!(access(&vault, &world).await.unwrap(), "sixty-days", "hour {hour}");
        sleep(Duration::from_secs(3600)).await;
    }
    vault.tend().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.ear.words(), ["ready", "reauth_required"], "nobody had to call for it");
    let e = vault.token(&world.ada).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::ReauthRequired, None));
    assert_eq!(e.details::<Reconnect>().unwrap().reason, Some(Reauth::Ended));
    assert_eq!(world.issuer.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_ends_sooner_than_the_upkeep_is_renewed_in_time() {
    let world = World::new();
    let vault = world.vault();
    let mut tokens = world.issuer.consent("ada");
    tokens.refresh_expires_at = Some(world.clock.now() + SignedDuration::from_mins(30));
    vault.connect(&world.ada, tokens).await.unwrap();
    for _ in 0..30 {
        vault.tend().await.unwrap();
        sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(world.issuer.calls(), 1);
}

/// Puts bytes in a connection's place that do not open.
async fn spoil(world: &World, id: &ConnectionId) {
    let now = world.clock.now();
    let draft = Draft { state: "ready".into(), since: now, sealed: "spoilt".into(), due: Some(now) };
    world.store.inner.swap(id, 0, &draft, None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_connection_that_cannot_be_read_does_not_keep_others_from_upkeep() {
    let world = World::new();
    spoil(&world, &someone("a-spoilt-one")).await;
    let vault = world.connected().await;
    sleep(Duration::from_secs(24 * 3600 + 1)).await;
    let tended = vault.tend().await.unwrap();
    assert_eq!((tended.refreshed, tended.failed), (1, 1));
    assert_eq!(vault.tend().await.unwrap().failed, 0, "it is put off");
}

#[tokio::test(start_paused = true)]
async fn one_connection_that_cannot_be_read_does_not_keep_others_from_new_keys() {
    let world = World::new();
    let vault = world.connected().await;
    spoil(&world, &someone("ada-spoilt")).await;
    vault.connect(&someone("bob"), world.issuer.consent("bob")).await.unwrap();
    world.key.store(1, SeqCst);
    assert!(vault.rewrap().await.is_err(), "somebody has to look at it");
    assert_eq!(world.sealed().await[0], 1);
    assert_eq!(world.store.inner.load(&someone("bob")).await.unwrap().unwrap().draft.sealed[0], 1);
}

#[tokio::test(start_paused = true)]
async fn one_connection_that_cannot_be_read_is_listed_among_the_others() {
    let world = World::new();
    let vault = world.connected().await;
    spoil(&world, &someone("a-spoilt-one")).await;
    let listed = vault.connections(None, None, 10).await.unwrap();
    let states: Vec<_> = listed.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, [ConnectionState::Unreadable, ConnectionState::Ready]);
    assert!(vault.state(&someone("a-spoilt-one")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_always_fails_does_not_cost_the_session() {
    let world = World::new();
    let vault = world.builder().listener(world.ear.clone()).build();
    world.ear.failures.store(u32::MAX, SeqCst);
    vault.connect(&world.ada, world.issuer.consent("ada")).await.unwrap();
    for _ in 0..25 * 60 {
        sleep(Duration::from_secs(60)).await;
        vault.tend().await.unwrap();
    }
    assert_eq!(world.issuer.calls(), 1, "kept alive");
    assert!(world.ear.words().len() > 100, "and told again all the while");
}

struct Slow;

#[async_trait]
impl Listener for Slow {
    async fn on(&self, _: &Transition) -> Result<()> {
        sleep(Duration::from_secs(10)).await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_listener_holds_back_neither_new_tokens_nor_their_end() {
    let world = World::new();
    let vault = world.builder().listener(Slow).build();
    vault.connect(&world.ada, world.issuer.consent("ada")).await.unwrap();
    for _ in 0..2 {
        // The caller does not wait for the listener either.
        assert!(timeout(Duration::from_secs(1), vault.note_revoked(&world.ada)).await.is_err());
        assert_eq!(vault.token(&world.ada).await.unwrap_err().kind(), ErrorKind::ReauthRequired);
        let again = vault.connect(&world.ada, world.issuer.consent("again"));
        assert!(timeout(Duration::from_secs(1), again).await.is_err());
        assert_eq!(access(&vault, &world).await.unwrap(), "access-again.0");
    }
}

struct Frail;

#[async_trait]
impl Listener for Frail {
    async fn on(&self, transition: &Transition) -> Result<()> {
        panic!("{}", transition.id)
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_ends_neither_a_consent_nor_the_upkeep() {
    let world = World::new();
    let vault = world.builder().listener(Frail).build();
    vault.connect(&world.ada, world.issuer.consent("ada")).await.unwrap();
    sleep(Duration::from_secs(24 * 3600 + 1)).await;
    let tended = vault.tend().await.unwrap();
    assert_eq!((tended.refreshed, tended.failed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_others_have_brought_is_used_while_the_issuer_is_left_alone() {
    let world = World::new();
    let (here, there) = (world.connected().await, world.vault());
    life_passes().await;
    world.issuer.next(Trouble::Busy(600));
    assert_eq!(access(&here, &world).await.unwrap_err().kind(), ErrorKind::RateLimited);
    there.connect(&world.ada, world.issuer.consent("again")).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    let operations = world.store.operations.load(SeqCst);
    assert_eq!(access(&here, &world).await.unwrap(), "access-again.0");
    assert!(world.store.operations.load(SeqCst) <= operations + 1, "one look");
    assert_eq!(world.issuer.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_the_issuer_is_left_alone_the_store_is_seldom_looked_at() {
    let world = World::new();
    let vault = world.connected().await;
    life_passes().await;
    world.issuer.next(Trouble::Busy(600));
    assert!(access(&vault, &world).await.is_err());
    let before = world.store.operations.load(SeqCst);
    for _ in 0..500 {
        assert_eq!(access(&vault, &world).await.unwrap_err().kind(), ErrorKind::RateLimited);
        sleep(Duration::from_millis(100)).await;
    }
    assert!(world.store.operations.load(SeqCst) - before <= 11, "every five seconds");
}

#[tokio::test(start_paused = true)]
async fn a_look_that_failed_does_not_hold_back_a_refresh() {
    let world = World::new();
    let vault = world.connected().await;
    let used = vault.token(&world.ada).await.unwrap().version;
    sleep(Duration::from_secs(61)).await;
    world.store.blind.store(1, SeqCst);
    access(&vault, &world).await.unwrap();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(world.store.blind.load(SeqCst), 0, "it looked");
    assert!(vault.authorizer(&world.ada).refresh(Some(CredentialVersion(used))).await.unwrap());
    // Nor one that is still under way.
    let used = vault.token(&world.ada).await.unwrap().version;
    sleep(Duration::from_secs(61)).await;
    world.store.blind.store(1, SeqCst);
    access(&vault, &world).await.unwrap();
    assert!(vault.authorizer(&world.ada).refresh(Some(CredentialVersion(used))).await.unwrap());
    assert_eq!(world.issuer.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_consent_during_a_disconnection_is_not_taken_away() {
    let world = World::new();
    let vault = world.connected().await;
    world.issuer.next(Trouble::HoldAnswer);
    let (id, slow) = (world.ada.clone(), vault.clone());
    let ending = tokio::spawn(async move { slow.disconnect(&id).await });
    world.issuer.held.acquire().await.unwrap().forget();
    sleep(Duration::from_secs(1)).await;
    vault.connect(&world.ada, world.issuer.consent("again")).await.unwrap();
    world.issuer.let_go();
    assert!(ending.await.unwrap().unwrap());
    assert_eq!(vault.state(&world.ada).await.unwrap(), Some(ConnectionState::Ready));
    assert_eq!(access(&vault, &world).await.unwrap(), "access-again.0");
    let free = world.store.inner.lease(&world.ada, Duration::from_secs(1)).await.unwrap();
    assert!(free.is_some_and(|lease| !lease.taken_over), "the lease was given back");
}

/// A vault on a machine whose clock is behind.
fn behind(world: &World) -> Vault {
    let clock = Clock::virtual_from(world.clock.now() - SignedDuration::from_secs(120));
    Vault::builder(world.store.clone(), Arc::new(Glass(world.key.clone())))
        .source("drive", world.issuer.clone())
        .clock(clock)
        .build()
}

#[tokio::test(start_paused = true)]
async fn a_connection_made_anew_on_a_machine_whose_clock_is_behind_is_known_elsewhere() {
    let world = World::new();
    let (here, there) = (world.connected().await, behind(&world));
    let used = here.token(&world.ada).await.unwrap().version;
    there.forget(&world.ada).await.unwrap();
    there.connect(&world.ada, world.issuer.consent("again")).await.unwrap();
    sleep(Duration::from_secs(61)).await;
    access(&here, &world).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(access(&here, &world).await.unwrap(), "access-again.0");
    assert!(here.authorizer(&world.ada).refresh(Some(CredentialVersion(used))).await.unwrap());
    assert_eq!(world.issuer.calls(), 0, "the token is another one already");
}

#[tokio::test(start_paused = true)]
async fn an_exchange_under_way_does_not_overwrite_a_connection_made_anew() {
    let world = World::new();
    let (here, there) = (world.connected().await, behind(&world));
    sleep(Duration::from_secs(11)).await;
    world.issuer.next(Trouble::HoldAnswer);
    let (proof, used) = (here.authorizer(&world.ada), here.token(&world.ada).await.unwrap().version);
    let waiting = tokio::spawn(async move { proof.refresh(Some(CredentialVersion(used))).await });
    world.issuer.held.acquire().await.unwrap().forget();
    there.forget(&world.ada).await.unwrap();
    there.connect(&world.ada, world.issuer.consent("again")).await.unwrap();
    world.issuer.let_go();
    let _told = waiting.await.unwrap();
    assert_eq!(access(&world.vault(), &world).await.unwrap(), "access-again.0");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_forgotten_elsewhere_is_not_used_until_its_token_ends() {
    let world = World::new();
    let (here, there) = (world.connected().await, world.vault());
    sleep(Duration::from_secs(LIFE.unsigned_abs() - 20)).await;
    there.forget(&world.ada).await.unwrap();
    let _serves_once = here.token(&world.ada).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(access(&here, &world).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(world.issuer.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_user_nobody_is_asked_to_consent() {
    let world = World::with(|issuer| (issuer.userless, issuer.confused) = (true, true));
    let vault = world.vault();
    access(&vault, &world).await.unwrap();
    life_passes().await;
    let e = access(&vault, &world).await.unwrap_err();
    assert_eq!((e.kind(), e.code()), (ErrorKind::Config, Some("invalid_grant")));
    assert_eq!(vault.state(&world.ada).await.unwrap(), Some(ConnectionState::Ready));
}

#[tokio::test(start_paused = true)]
async fn a_consent_whose_write_was_not_answered_is_written_again() {
    let world = World::new();
    let vault = world.builder().listener(world.ear.clone()).build();
    world.store.lose.store(1, SeqCst);
    vault.connect(&world.ada, world.issuer.consent("ada")).await.unwrap();
    assert_eq!(access(&vault, &world).await.unwrap(), "access-ada.0");
    assert_eq!(world.ear.words(), ["ready"]);
    world.store.lose.store(2, SeqCst);
    assert!(vault.connect(&world.ada, world.issuer.consent("again")).await.is_err(), "not for ever");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_did_not_answer_in_time_is_asked_once_more_at_once() {
    let world = World::new();
    let vault = world.connected().await;
    life_passes().await;
    world.issuer.next(Trouble::HoldAnswer);
    world.store.slow.store(10, SeqCst);
    let begun = world.clock.now();
    assert!(access(&vault, &world).await.is_err());
    assert!(world.clock.now().duration_since(begun) < SignedDuration::from_secs(17));
    let state = vault.state(&world.ada).await.unwrap().unwrap();
    let ConnectionState::ReauthRequired { reason, .. } = state else { panic!("{state:?}") };
    assert_eq!(reason, Reauth::Interrupted { code: "invalid_grant".into() });
    assert_eq!(world.issuer.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn upkeep_that_finds_a_dead_connection_does_not_count_it_as_refreshed() {
    let world = World::new();
    let vault = world.connected().await;
    world.issuer.kill("ada");
    sleep(Duration::from_secs(24 * 3600 + 1)).await;
    let tended = vault.tend().await.unwrap();
    assert_eq!((tended.refreshed, tended.failed), (0, 1));
    assert_eq!(vault.tend().await.unwrap().failed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_ends_neither_a_consent_nor_a_disconnection_halfway() {
    let world = World::new();
    let vault = world.vault();
    world.store.slow.store(10, SeqCst);
    let consent = vault.connect(&world.ada, world.issuer.consent("ada"));
    assert!(timeout(Duration::from_millis(5), consent).await.is_err());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(access(&vault, &world).await.unwrap(), "access-ada.0");

    world.issuer.next(Trouble::HoldAnswer);
    assert!(timeout(Duration::from_secs(1), vault.disconnect(&world.ada)).await.is_err());
    world.issuer.let_go();
    sleep(Duration::from_secs(1)).await;
    let state = vault.state(&world.ada).await.unwrap();
    assert!(matches!(state, Some(ConnectionState::Revoked { .. })), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_does_not_answer_holds_up_few_others() {
    let world = World::new();
    let vault = world.connected().await;
    for n in 0..15 {
        vault.connect(&someone(&format!("a{n}")), world.issuer.consent(&format!("a{n}"))).await.unwrap();
        world.issuer.next(Trouble::HoldAnswer);
    }
    sleep(Duration::from_secs(24 * 3600 + 1)).await;
    let begun = world.clock.now();
    let tended = vault.tend().await.unwrap();
    assert_eq!((tended.refreshed, tended.failed), (1, 15));
    assert!(world.clock.now().duration_since(begun) < SignedDuration::from_secs(46));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_is_not_asked_again_and_again() {
    let world = World::new();
    let vault = world.connected().await;
    life_passes().await;
    for _ in 0..100 {
        world.issuer.next(Trouble::Panic);
    }
    let e = access(&vault, &world).await.unwrap_err();
    assert_eq!((e.kind(), e.effect()), (ErrorKind::Unexpected, Effect::NotSent));
    for _ in 0..100 {
        assert!(access(&vault, &world).await.is_err());
    }
    assert_eq!(world.issuer.calls(), 1);
    // Whoever panicked has lost the lease with whatever it was doing.
    world.issuer.troubles.lock().unwrap().clear();
    sleep(Duration::from_secs(31)).await;
    assert_eq!(access(&vault, &world).await.unwrap(), "access-ada.1");
}
