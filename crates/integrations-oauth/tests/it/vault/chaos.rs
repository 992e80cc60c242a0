//! Anything in any order, by three processes at once: no refresh token is used twice, and what is last is what counts.

use std::collections::HashSet;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use fastrand::Rng;
use integrations_core::{ConnectionId, CredentialVersion, ErrorKind};
use integrations_oauth::{ConnectionState, Vault};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::world::World;

const STEPS: u32 = 80;

/// One of the things that happen to a connection. `ends`: also those that end one.
fn step(rng: &mut Rng, world: &World, vault: &Vault, ends: bool, under_way: &mut JoinSet<()>) {
    let (vault, id) = (vault.clone(), world.ada.clone());
    let family = world.issuer.consent(&format!("family{}", rng.u32(..)));
    match rng.u32(0..if ends { 12 } else { 9 }) {
        0..=3 => under_way.spawn(async move { drop(vault.token(&id).await) }),
        4..=5 => under_way.spawn(async move {
            if let Ok(token) = vault.token(&id).await {
                let proof = vault.authorizer(&id);
                let _told = proof.refresh(Some(CredentialVersion(token.version))).await;
            }
        }),
        6 => under_way.spawn(async move { drop(vault.tend().await) }),
        7 => {
            world.key.fetch_add(1, SeqCst);
            under_way.spawn(async move { drop(vault.rewrap().await) })
        }
        8 => under_way.spawn(async move { drop(vault.connect(&id, family).await) }),
        9 => under_way.spawn(async move { drop(vault.note_revoked(&id).await) }),
        10 => under_way.spawn(async move { drop(vault.disconnect(&id).await) }),
        _ => under_way.spawn(async move { drop(vault.forget(&id).await) }),
    };
}

/// With connections that end, never none: one that is made anew in the millisecond of the one before is that one.
async fn some_time(rng: &mut Rng, ends: bool) {
    let millis = [u64::from(ends), u64::from(ends), 1, 30, 70, 200, 5_000, 61_000, 3_500_000];
    sleep(Duration::from_millis(millis[rng.usize(..millis.len())])).await;
}

/// A life of a connection; `troubles`: with a store that fails now and then.
async fn live(seed: u64, ends: bool, troubles: bool) -> World {
    let mut rng = Rng::with_seed(seed);
    let world = World::new();
    let vaults = [0; 3].map(|_| world.builder().listener(world.ear.clone()).build());
    vaults[0].connect(&world.ada, world.issuer.consent("ada")).await.unwrap();
    let mut under_way = JoinSet::new();
    for _ in 0..STEPS {
        if troubles {
            world.store.slow.store([0, 0, 10, 1_000][rng.usize(..4)], SeqCst);
            world.store.refuse.store(rng.u32(0..6).saturating_sub(3), SeqCst);
            world.store.lose.store(rng.u32(0..4).saturating_sub(2), SeqCst);
            world.store.blind.store(rng.u32(0..6).saturating_sub(4), SeqCst);
        }
        let vault = &vaults[rng.usize(..3)];
        step(&mut rng, &world, vault, ends, &mut under_way);
        some_time(&mut rng, ends).await;
    }
    for trouble in [&world.store.slow, &world.store.refuse, &world.store.lose, &world.store.blind] {
        trouble.store(0, SeqCst);
    }
    let ended = tokio::time::timeout(Duration::from_secs(600), under_way.join_all()).await;
    assert!(ended.is_ok(), "seed {seed}: every wait ends");
    sleep(Duration::from_secs(700)).await;
    assert_eq!(world.issuer.reused.load(SeqCst), 0, "seed {seed}: a refresh token was used twice");
    for vault in &vaults {
        vault.tend().await.unwrap();
        agrees(seed, &world, vault, &world.ada).await;
    }
    world
}

/// What the vault says of the connection is what its calls get.
async fn agrees(seed: u64, world: &World, vault: &Vault, id: &ConnectionId) {
    let _takes_note_of_others = vault.token(id).await;
    sleep(Duration::from_secs(1)).await;
    let kept = vault.state(id).await.unwrap();
    let got = vault.token(id).await.map(drop).map_err(|e| e.kind());
    let expected = match kept {
        None => Err(ErrorKind::NotFound),
        Some(ConnectionState::Ready) => Ok(()),
        Some(_) => Err(ErrorKind::ReauthRequired),
    };
    assert_eq!(got, expected, "seed {seed}: {kept:?}, heard {:?}", world.ear.words());
}

#[tokio::test(start_paused = true)]
async fn no_session_is_lost_whatever_happens_at_once() {
    for seed in 0..40 {
        for troubles in [false, true] {
            let world = live(seed, false, troubles).await;
            let state = world.vault().state(&world.ada).await.unwrap();
            assert_eq!(state, Some(ConnectionState::Ready), "seed {seed}");
            if !troubles {
                assert_eq!(world.ear.words(), ["ready"], "seed {seed}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_change_is_told_once_whatever_happens_at_once() {
    for seed in 0..40 {
        let world = live(seed, true, false).await;
        let heard = world.ear.heard.lock().unwrap();
        let different: HashSet<_> = heard.iter().map(|transition| &transition.id).collect();
        assert_eq!(different.len(), heard.len(), "seed {seed}: {heard:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_refresh_token_is_used_twice_when_connections_end_and_the_store_fails() {
    for seed in 0..40 {
        live(seed, true, true).await;
    }
}
