//! States, events, and what ends a connection.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use integrations_core::{ConnectionId, Effect, ErrorKind};
use integrations_oauth::store::TokenStore as _;
use integrations_oauth::{ConnectionState, Reauth, Reconnect, Tended, TokenSet};
use jiff::SignedDuration;
use tokio::time::sleep;

use super::world::{Trouble, World, life_passes};

#[tokio::test(start_paused = true)]
async fn a_connection_without_consent_costs_no_request_and_says_where_to_go() {
    let world = World::new();
    let vault = world.connected().await;
    life_passes().await;
    world.issuer.kill("ada");
    let first = vault.token(&world.ada).await.unwrap_err();
    assert_eq!(world.issuer.calls(), 1);
    let (since, operations) = (world.clock.now(), world.store.operations.load(SeqCst));
    for _ in 0..1_000 {
        let e = vault.token(&world.ada).await.unwrap_err();
        assert_eq!(
            (e.kind(), e.effect(), e.code()),
            (ErrorKind::ReauthRequired, Effect::NotSent, Some("invalid_grant"))
        );
    }
    assert_eq!(
        (world.issuer.calls(), world.store.operations.load(SeqCst)),
        (1, operations),
        "nobody was asked"
    );
    assert!(!first.is_retryable());
    assert!(first.hint().unwrap().contains("https://app.example/acme/drive?user=ada"), "{:?}", first.hint());
    let reconnect = first.details::<Reconnect>().unwrap();
    assert_eq!(reconnect.reason, Some(Reauth::Refused { code: "invalid_grant".into() }));
    assert!(reconnect.since <= since && reconnect.connection == world.ada);
    // Hours later the state is the same, and still nobody asks the issuer.
    for _ in 0..100 {
        sleep(Duration::from_secs(60)).await;
        assert_eq!(vault.token(&world.ada).await.unwrap_err().kind(), ErrorKind::ReauthRequired);
    }
    assert_eq!(world.issuer.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_consent_is_known_at_once_here_and_soon_elsewhere() {
    let world = World::new();
    let (here, there) = (world.connected().await, world.vault());
    there.token(&world.ada).await.unwrap();
    life_passes().await;
    world.issuer.kill("ada");
    assert!(here.token(&world.ada).await.is_err() && there.token(&world.ada).await.is_err());
    assert_eq!(world.issuer.calls(), 1, "the second one read what the first one wrote");
    here.connect(&world.ada, world.issuer.consent("ada-again")).await.unwrap();
    assert_eq!(here.token(&world.ada).await.unwrap().token.expose(), "access-ada-again.0");
    sleep(Duration::from_secs(5)).await;
    let _looks_again = there.token(&world.ada).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(there.token(&world.ada).await.unwrap().token.expose(), "access-ada-again.0");
    assert_eq!(here.state(&world.ada).await.unwrap(), Some(ConnectionState::Ready));
}

#[tokio::test(start_paused = true)]
async fn each_change_of_state_is_told_once_by_one_of_the_fleet() {
    let world = World::new();
    let vaults = [0; 3].map(|_| world.builder().listener(world.ear.clone()).build());
    vaults[0].connect(&world.ada, world.issuer.consent("ada")).await.unwrap();
    for _ in 0..3 {
        life_passes().await;
        for vault in &vaults {
            vault.token(&world.ada).await.unwrap();
        }
    }
    life_passes().await;
    world.issuer.kill("ada");
    for vault in vaults.iter().cycle().take(30) {
        assert!(vault.token(&world.ada).await.is_err());
    }
    sleep(Duration::from_secs(1)).await;
    vaults[1].connect(&world.ada, world.issuer.consent("again")).await.unwrap();
    vaults[2].disconnect(&world.ada).await.unwrap();
    sleep(Duration::from_secs(200)).await;
    for vault in &vaults {
        vault.tend().await.unwrap();
    }
    assert_eq!(world.ear.words(), ["ready", "reauth_required", "ready", "revoked"]);
    let heard = world.ear.heard.lock().unwrap();
    let from: Vec<_> = heard.iter().map(|t| t.from.as_deref()).collect();
    assert_eq!(from, [None, Some("ready"), Some("reauth_required"), Some("ready")]);
    assert_eq!(heard[1].link.as_deref(), Some("https://app.example/acme/drive?user=ada"));
    assert!(heard[0].link.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_a_listener_failed_to_hear_is_told_again_by_any_process() {
    let world = World::new();
    let vault = world.builder().listener(world.ear.clone()).build();
    world.ear.failures.store(2, SeqCst);
    vault.connect(&world.ada, world.issuer.consent("ada")).await.unwrap();
    assert_eq!(world.ear.words().len(), 1);
    let other = world.builder().listener(world.ear.clone()).build();
    assert_eq!(other.tend().await.unwrap(), Tended::default(), "not yet");
    for (wait, heard, announced, failed) in [(61, 2, 0, 1), (61, 3, 1, 0), (61, 3, 0, 0)] {
        sleep(Duration::from_secs(wait)).await;
        let tended = other.tend().await.unwrap();
        assert_eq!((world.ear.words().len(), tended.announced, tended.failed), (heard, announced, failed));
    }
    let heard = world.ear.heard.lock().unwrap();
    assert!(heard.iter().all(|t| t.id == heard[0].id));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_does_not_forget_what_was_not_told() {
    let world = World::new();
    let vault = world.builder().listener(world.ear.clone()).build();
    world.ear.failures.store(1, SeqCst);
    vault.connect(&world.ada, world.issuer.consent("ada")).await.unwrap();
    life_passes().await;
    vault.token(&world.ada).await.unwrap();
    sleep(Duration::from_secs(61)).await;
    assert_eq!(vault.tend().await.unwrap().announced, 1);
    assert_eq!(world.ear.words(), ["ready", "ready"]);
}

#[tokio::test(start_paused = true)]
async fn connections_that_nobody_uses_are_kept_alive() {
    let world = World::new();
    let vault = world.connected().await;
    for day in 1..=5 {
        sleep(Duration::from_secs(23 * 3600)).await;
        assert_eq!(vault.tend().await.unwrap().refreshed, 0);
        sleep(Duration::from_secs(3601)).await;
        assert_eq!(vault.tend().await.unwrap().refreshed, 1);
        assert_eq!(world.issuer.calls(), day);
    }
    let idle = world.builder().keep_alive(None).build();
    let bob = ConnectionId::new("acme", "drive", "bob").unwrap();
    idle.connect(&bob, world.issuer.consent("bob")).await.unwrap();
    sleep(Duration::from_secs(300 * 24 * 3600)).await;
    vault.tend().await.unwrap();
    assert_eq!(world.issuer.calls(), 6, "the first one alone");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_alive_is_put_off_and_not_asked_for_again_and_again() {
    let world = World::new();
    let vault = world.connected().await;
    sleep(Duration::from_secs(24 * 3600 + 1)).await;
    for _ in 0..10 {
        world.issuer.next(Trouble::Busy(1));
    }
    assert_eq!(vault.tend().await.unwrap().failed, 1);
    assert_eq!(vault.tend().await.unwrap().failed, 0);
    assert_eq!(world.issuer.calls(), 1);
    world.issuer.troubles.lock().unwrap().clear();
    sleep(Duration::from_secs(601)).await;
    assert_eq!(vault.tend().await.unwrap().refreshed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_long_lived_token_without_a_refresh_token_is_exchanged_before_it_ends() {
    let world = World::with(|issuer| issuer.keeps = true);
    let vault = world.vault();
    let mut tokens = TokenSet::new("long", world.clock.now());
    tokens.expires_at = Some(world.clock.now() + SignedDuration::from_hours(60 * 24));
    vault.connect(&world.ada, tokens.clone()).await.unwrap();
    let due = world.store.inner.clone();
    let at = |days: i64| world.clock.now() + SignedDuration::from_hours(24 * days);
    assert!(due.due(at(53), 9).await.unwrap().is_empty());
    assert_eq!(due.due(at(54), 9).await.unwrap(), std::slice::from_ref(&world.ada));
    tokens.expires_at = Some(world.clock.now() + SignedDuration::from_hours(1));
    vault.connect(&world.ada, tokens).await.unwrap();
    assert!(due.due(at(300), 9).await.unwrap().is_empty(), "a short one is had again for the asking");
}

#[tokio::test(start_paused = true)]
async fn a_disconnection_revokes_first_and_is_all_or_nothing() {
    let world = World::new();
    let vault = world.connected().await;
    world.issuer.next(Trouble::LoseRequest);
    assert_eq!(vault.disconnect(&world.ada).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(vault.state(&world.ada).await.unwrap(), Some(ConnectionState::Ready));
    assert!(vault.disconnect(&world.ada).await.unwrap());
    assert_eq!(world.issuer.revocations.load(SeqCst), 1);
    let e = vault.token(&world.ada).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ReauthRequired);
    assert!(!String::from_utf8_lossy(&world.sealed().await).contains("ada.0"), "no token is left");
    assert!(vault.disconnect(&world.ada).await.unwrap(), "it is disconnected");

    let world = World::with(|issuer| issuer.unrevocable = true);
    let vault = world.connected().await;
    assert!(!vault.disconnect(&world.ada).await.unwrap());
    assert!(matches!(vault.state(&world.ada).await.unwrap(), Some(ConnectionState::Revoked { .. })));
}

#[tokio::test(start_paused = true)]
async fn an_exchange_under_way_does_not_bring_a_revoked_connection_back() {
    let world = World::new();
    let (vault, other) = (world.connected().await, world.vault());
    life_passes().await;
    world.issuer.next(Trouble::HoldAnswer);
    let (id, busy) = (world.ada.clone(), other.clone());
    let waiting = tokio::spawn(async move { busy.token(&id).await });
    world.issuer.held.acquire().await.unwrap().forget();
    vault.note_revoked(&world.ada).await.unwrap();
    world.issuer.let_go();
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::ReauthRequired);
    assert!(matches!(vault.state(&world.ada).await.unwrap(), Some(ConnectionState::Revoked { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_consent_during_an_exchange_wins_over_its_result() {
    let world = World::new();
    let vault = world.connected().await;
    life_passes().await;
    world.issuer.next(Trouble::HoldAnswer);
    let (id, busy) = (world.ada.clone(), vault.clone());
    let waiting = tokio::spawn(async move { busy.token(&id).await });
    world.issuer.held.acquire().await.unwrap().forget();
    vault.connect(&world.ada, world.issuer.consent("new")).await.unwrap();
    world.issuer.let_go();
    assert_eq!(waiting.await.unwrap().unwrap().token.expose(), "access-new.0");
    assert_eq!(vault.token(&world.ada).await.unwrap().token.expose(), "access-new.0");
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_connection_is_unknown_and_can_be_made_anew() {
    let world = World::new();
    let vault = world.connected().await;
    let old = vault.token(&world.ada).await.unwrap().version;
    vault.forget(&world.ada).await.unwrap();
    assert_eq!(vault.token(&world.ada).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(vault.state(&world.ada).await.unwrap(), None);
    sleep(Duration::from_secs(2)).await;
    vault.connect(&world.ada, world.issuer.consent("new")).await.unwrap();
    let new = vault.token(&world.ada).await.unwrap();
    assert!(new.version > old, "calls that were refused with the old one see that it is newer");
    let nobody = ConnectionId::new("acme", "drive", "nobody").unwrap();
    assert_eq!(vault.token(&nobody).await.unwrap_err().kind(), ErrorKind::NotFound);
    let elsewhere = ConnectionId::new("acme", "mail", "ada").unwrap();
    assert_eq!(vault.token(&elsewhere).await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test(start_paused = true)]
async fn everything_is_put_under_the_present_key_while_calls_go_on() {
    let world = World::new();
    let vault = world.connected().await;
    for n in 0..250 {
        let id = ConnectionId::new("acme", "drive", format!("user-{n}")).unwrap();
        vault.connect(&id, world.issuer.consent(&format!("user{n}"))).await.unwrap();
    }
    world.key.store(1, SeqCst);
    assert_eq!(vault.rewrap().await.unwrap(), 251);
    assert_eq!(world.sealed().await[0], 1);
    assert_eq!(vault.rewrap().await.unwrap(), 0);
    assert_eq!(world.vault().token(&world.ada).await.unwrap().token.expose(), "access-ada.0");
}

#[tokio::test(start_paused = true)]
async fn bytes_of_another_connection_do_not_open_and_nothing_is_lost() {
    let world = World::new();
    let vault = world.connected().await;
    let bob = ConnectionId::new("acme", "drive", "bob").unwrap();
    let entry = world.store.inner.load(&world.ada).await.unwrap().unwrap();
    world.store.inner.swap(&bob, 0, &entry.draft, None).await.unwrap();
    let e = vault.token(&bob).await.unwrap_err();
    assert!(!format!("{e:?}").contains("access-ada"), "{e:?}");
    assert_eq!(world.store.inner.load(&bob).await.unwrap().unwrap().draft, entry.draft);
    assert!(vault.token(&world.ada).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nothing_prints_a_token() {
    let world = World::new();
    let vault = world.connected().await;
    let tokens = vault.tokens(&world.ada).await.unwrap();
    let texts = [
        format!("{vault:?}"),
        format!("{tokens:?}"),
        format!("{:?}", vault.token(&world.ada).await.unwrap()),
    ];
    for text in texts {
        assert!(!text.contains("access-") && !text.contains("ada.0"), "{text}");
    }
    let bad = TokenSet::new("line\nbreak-4eC39H", world.clock.now());
    let e = vault.connect(&world.ada, bad).await.unwrap_err();
    assert!(!format!("{e:?}").contains("4eC39H"));
    assert!(vault.token(&world.ada).await.is_ok(), "what was there is still there");
}

#[tokio::test(start_paused = true)]
async fn connections_are_listed_by_tenant_with_their_state() {
    let world = World::new();
    let vault = world.connected().await;
    let other = ConnectionId::new("zeta", "drive", "bob").unwrap();
    vault.connect(&other, world.issuer.consent("bob")).await.unwrap();
    vault.note_revoked(&other).await.unwrap();
    let all = vault.connections(None, None, 10).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(
        vault.connections(Some("acme"), None, 10).await.unwrap(),
        [(world.ada.clone(), ConnectionState::Ready)]
    );
    let rest = vault.connections(None, Some(&world.ada), 10).await.unwrap();
    assert!(matches!(rest[..], [(_, ConnectionState::Revoked { .. })]));
}
