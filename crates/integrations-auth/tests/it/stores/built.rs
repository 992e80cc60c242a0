//! What is built on records, over each kind of store, in two processes.

use std::sync::Arc;
use std::time::Duration;

use integrations_auth::{
    ApiKeys, Grant, Method, Mode, NewApiKey, RecordStore, RefreshGrant, RefreshTokens, Sessions, TokenIssuer,
    User,
};
use integrations_core::{Clock, Error, ErrorKind, SecretString};
use jiff::Timestamp;

type Records = Arc<dyn RecordStore>;

const API: &str = "https://api.example.org";

super::suite! { records:
    sessions_begin_rotate_and_end
    api_keys_are_made_rotated_and_revoked
    access_tokens_of_one_process_are_good_in_the_other
    refresh_tokens_follow_each_other_and_a_copy_ends_them
    what_names_an_impossible_tenant_is_refused_as_any_other
}

fn clock() -> Clock {
    Clock::system()
}

fn user(id: &str) -> User {
    User::new(id, "acme", Timestamp::UNIX_EPOCH)
}

async fn sessions_begin_rotate_and_end(here: &Records, there: &Records) {
    let [one, two] = [here, there].map(|records| Sessions::new(records.clone(), clock()));
    let (first, session) = one.create(&user("ada"), vec![Method::Password]).await.unwrap();
    let (other, _) = one.create(&user("ada"), vec![Method::Password]).await.unwrap();
    let (eves, _) = two.create(&user("eve"), vec![Method::Password]).await.unwrap();
    assert_eq!(two.get(&first).await.unwrap().unwrap().id, session.id);

    let (second, rotated) = two.rotate(&first).await.unwrap().unwrap();
    assert!(one.get(&first).await.unwrap().is_none() && one.rotate(&first).await.unwrap().is_none());
    let (third, raised) = one.step_up(&second, vec![Method::OneTimeCode]).await.unwrap().unwrap();
    assert_eq!(raised.methods, [Method::Password, Method::OneTimeCode]);
    // The stores keep whole milliseconds of an end, not of what a session says.
    assert_eq!((rotated.created_at, raised.created_at), (session.created_at, session.created_at));
    assert_eq!(one.of_user("acme", &"ada".into()).await.unwrap().len(), 2);

    assert_eq!(two.end_others(&third).await.unwrap(), 1);
    assert!(one.get(&other).await.unwrap().is_none() && one.get(&third).await.unwrap().is_some());
    assert_eq!(one.end_all("acme", &"ada".into()).await.unwrap(), 1);
    assert!(two.get(&third).await.unwrap().is_none() && two.get(&eves).await.unwrap().is_some());
}

async fn api_keys_are_made_rotated_and_revoked(here: &Records, there: &Records) {
    let [one, two] = [here, there].map(|records| ApiKeys::new(records.clone(), clock(), Mode::Live));
    let end = clock().now() + Duration::from_secs(86_400);
    let new = NewApiKey::new("acme", "ada".into(), "export").scopes(["orders:read"]).expires_at(end);
    let (text, key) = one.create(&new).await.unwrap();
    let known = two.verify(text.expose()).await.unwrap();
    assert_eq!((&known.id, &known.scopes, &known.owner), (&key.id, &key.scopes, &key.owner));
    assert!(one.list("acme", &"ada".into()).await.unwrap()[0].last_used_at.is_some(), "the use was written");

    let (next, newer) = two.rotate("acme", &key.id, Duration::from_secs(60)).await.unwrap();
    let listed = one.list("acme", &"ada".into()).await.unwrap();
    let replaced: Vec<_> = listed.iter().map(|key| key.replaced_by.clone()).collect();
    assert_eq!(replaced, [Some(newer.id.clone()), None]);
    assert!(one.verify(text.expose()).await.is_ok() && one.verify(next.expose()).await.is_ok());
    assert_eq!(one.rotate("acme", &key.id, Duration::ZERO).await.unwrap_err().code(), Some("replaced"));

    assert!(one.revoke("acme", &key.id).await.unwrap() && !two.revoke("acme", &key.id).await.unwrap());
    assert_eq!(two.verify(text.expose()).await.unwrap_err().code(), Some("api_key"));
    assert_eq!(two.revoke_all("acme", &"ada".into()).await.unwrap(), 1);
    assert_eq!(one.verify(next.expose()).await.unwrap_err().code(), Some("api_key"));
}

async fn access_tokens_of_one_process_are_good_in_the_other(here: &Records, there: &Records) {
    let issuer = |records: &Records| TokenIssuer::new(records.clone(), clock(), "https://app.example.org");
    let (one, two) = (issuer(here), issuer(there));
    let grant = Grant::new("ada", API).tenant("acme").scopes(["orders:read"]);
    let (first, second) = tokio::join!(one.issue(&grant), two.issue(&grant));
    let (first, second) = (first.unwrap(), second.unwrap());
    for token in [&first, &second] {
        for process in [&one, &two, &issuer(there)] {
            let claims = process.verify(token.expose(), API).await.unwrap();
            assert_eq!((claims.subject.as_str(), claims.tenant.as_str()), ("ada", "acme"));
        }
    }
    let jwks = two.jwks().await.unwrap().0;
    assert_eq!((jwks["keys"].as_array().unwrap().len(), &jwks), (2, &one.jwks().await.unwrap().0));

    two.revoke_key(jwks["keys"][0]["kid"].as_str().unwrap()).await.unwrap();
    for process in [&two, &issuer(here)] {
        assert_eq!(process.verify(first.expose(), API).await.unwrap_err().code(), Some("unknown_key"));
        assert!(process.verify(two.issue(&grant).await.unwrap().expose(), API).await.is_ok());
    }
}

async fn refresh_tokens_follow_each_other_and_a_copy_ends_them(here: &Records, there: &Records) {
    let [one, two] = [here, there].map(|records| RefreshTokens::new(records.clone(), clock()));
    let first = one.begin(&RefreshGrant::new("acme", "ada".into(), "cli")).await.unwrap();
    let second = two.redeem(&first, "cli").await.unwrap().token;
    let again = one.redeem(&first, "cli").await.unwrap().token;
    assert_eq!(again.expose(), second.expose(), "a lost answer");
    let third = one.redeem(&second, "cli").await.unwrap().token;
    assert_eq!(two.redeem(&first, "cli").await.unwrap_err().code(), Some("refresh_reused"));
    assert_eq!(one.redeem(&third, "cli").await.unwrap_err().code(), Some("refresh_token"));
}

/// Anybody can write such a text. PostgreSQL keeps no text with a zero.
async fn what_names_an_impossible_tenant_is_refused_as_any_other(here: &Records, _: &Records) {
    let (keys, tokens) =
        (ApiKeys::new(here.clone(), clock(), Mode::Live), RefreshTokens::new(here.clone(), clock()));
    let refusal = |e: &Error| (e.kind(), e.code().map(str::to_owned));
    let e = keys.verify(&key_of_nul()).await.unwrap_err();
    assert_eq!(refusal(&e), (ErrorKind::Unauthenticated, Some("api_key".to_owned())));
    let random = "A".repeat(43);
    let token = SecretString::from(format!("rt_AA.{random}.{random}"));
    let e = tokens.redeem(&token, "cli").await.unwrap_err();
    assert_eq!(refusal(&e), (ErrorKind::Unauthenticated, Some("refresh_token".to_owned())));
    assert!(!tokens.revoke(&token).await.unwrap());
    // None is made that nobody could show.
    let e = keys.create(&NewApiKey::new("\0", "ada".into(), "x")).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    let e = tokens.begin(&RefreshGrant::new("\0", "ada".into(), "cli")).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
}

/// A key by its form and its check (the beginning of the SHA-256 of what is before it), with the tenant `"\0"`.
fn key_of_nul() -> String {
    format!("ik_live_aa_{}z4564uc", "a".repeat(52))
}
