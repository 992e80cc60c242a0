//! Refresh tokens, revocation and the first state.

use http::{HeaderMap, Method, Uri};
use serde_json::Value;

use super::*;
use crate::Ledger;

const NOW: Timestamp = Timestamp::constant(1_772_452_800, 0);

fn issuer(rotation: Rotation) -> Issuer {
    let policy = Policy {
        access_prefix: "at_",
        refresh_prefix: "rt_",
        access_seconds: 60,
        refresh_seconds: None,
        rotation,
    };
    let client = Client { id: "app".to_owned(), secret: Some("s p:1".to_owned()), ..Client::default() };
    let other = Client { id: "other".to_owned(), secret: Some("two".to_owned()), ..Client::default() };
    Issuer::new(0, policy, "user").with_client(client).with_client(other)
}

fn post(act: impl FnOnce(&Call<'_>, &mut World<'_>) -> Answer, client: &str, body: &str) -> (u16, Value) {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Basic {}", STANDARD.encode(client)).parse().unwrap());
    let uri = Uri::from_static("https://issuer.example/token");
    let call = Call::new(&Method::POST, &uri, &headers, body.as_bytes());
    let (mut ledger, mut random) = (Ledger::default(), fastrand::Rng::with_seed(0));
    let mut world = World { now: NOW, ledger: &mut ledger, random: &mut random, lags: false, loops: false };
    let answer = act(&call, &mut world);
    (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn refresh(issuer: &mut Issuer, token: &str) -> (u16, Value) {
    let body = format!("grant_type=refresh_token&refresh_token={token}");
    post(|call, world| issuer.token(call, world), "app:s%20p%3A1", &body)
}

#[test]
fn refresh_tokens_rotate_as_the_policy_says() {
    for (rotation, gives) in [(Rotation::Never, false), (Rotation::Always, true), (Rotation::Public, false)] {
        let mut issuer = issuer(rotation);
        let token = issuer.give_refresh(Grant::new("app", Some("user"), &["read"]));
        let (status, body) = refresh(&mut issuer, &token);
        assert_eq!((status, body.get("refresh_token").is_some()), (200, gives), "{rotation:?}");
        assert_eq!(refresh(&mut issuer, &token).0, if gives { 400 } else { 200 }, "{rotation:?}");
    }
}

#[test]
fn a_revoked_refresh_token_takes_its_access_tokens_along() {
    let mut issuer = issuer(Rotation::Never);
    let token = issuer.give_refresh(Grant::new("app", Some("user"), &["read"]));
    let access = refresh(&mut issuer, &token).1["access_token"].as_str().unwrap().to_owned();
    assert!(matches!(issuer.standing(&access, NOW), Standing::Good(grant) if grant.scopes == ["read"]));
    let body = format!("token={token}");
    assert_eq!(post(|call, world| issuer.revoke(call, world), "other:two", &body).0, 200);
    assert!(matches!(issuer.standing(&access, NOW), Standing::Good(_)), "only its own application ends it");
    assert_eq!(post(|call, world| issuer.revoke(call, world), "app:s%20p%3A1", &body).0, 200);
    assert_eq!(issuer.standing(&access, NOW), Standing::Dead);
    assert_eq!(refresh(&mut issuer, &token).1["error"], "invalid_grant");
    assert_eq!(post(|call, world| issuer.revoke(call, world), "app:s%20p%3A1", "token=unknown").0, 200);
    assert_eq!(post(|call, world| issuer.revoke(call, world), "app:wrong", &body).0, 401);
}

#[test]
fn what_is_given_first_stays_apart() {
    let mut issuer = issuer(Rotation::Never);
    let one = issuer.give_refresh(Grant::new("app", Some("user"), &[]));
    let two = issuer.give_access(Grant::new("app", Some("user"), &[]));
    let body = format!("token={one}");
    assert_eq!(post(|call, world| issuer.revoke(call, world), "app:s%20p%3A1", &body).0, 200);
    assert!(matches!(issuer.standing(&two, NOW), Standing::Good(_)));
    assert!(issuer.end_access(&two).is_some());
    assert_eq!(issuer.standing(&two, NOW), Standing::Dead);
    assert_eq!(issuer.standing("unknown", NOW), Standing::Unknown);
}
