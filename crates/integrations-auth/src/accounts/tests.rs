//! The second factor: its proof can be made inside the crate alone.
#![cfg(feature = "otp")]

use std::sync::Arc;

use async_trait::async_trait;
use integrations_core::{Clock, Result, SecretString};

use super::*;
use crate::{
    Cost, Login, MemoryRecords, MemoryUsers, Method, Notice, Notices, OneTimePassword, PendingSecondFactor,
    SecondFactor, SecondFactorProof,
};

struct Nowhere;

#[async_trait]
impl Notices for Nowhere {
    async fn send(&self, _: Notice) -> Result<()> {
        Ok(())
    }
}

const PASSWORD: &str = "correct horse battery staple";

/// Two users with a confirmed second factor.
async fn accounts() -> (Accounts, Arc<MemoryUsers>) {
    let clock = Clock::virtual_from("2026-11-20T12:00:00Z".parse().unwrap());
    let (users, records) = (Arc::new(MemoryUsers::new()), Arc::new(MemoryRecords::new()));
    let sessions = Sessions::new(Arc::clone(&records) as Arc<dyn RecordStore>, clock.clone());
    let passwords = Passwords::new().cost(Cost::insecure_for_tests(8));
    for id in ["u1", "u2"] {
        let now = clock.now();
        let mut user = User::new(id, "t", now);
        user.email = Some(MailAddress::parse(&format!("{id}@example.org")).unwrap());
        user.email_verified_at = Some(now);
        user.password = Some(passwords.hash(&PASSWORD.into()).await.unwrap());
        let mut factor = OneTimePassword::new(vec![1; 20].into());
        factor.confirmed_at = Some(now);
        user.one_time = Some(factor);
        users.insert(&user).await.unwrap();
    }
    let store = Arc::clone(&users) as Arc<dyn UserStore>;
    (Accounts::new(store, records, sessions, passwords, Nowhere, clock), users)
}

async fn half(accounts: &Accounts) -> PendingSecondFactor {
    let address = MailAddress::parse("u1@example.org").unwrap();
    match accounts.login("t", &address, &PASSWORD.into()).await.unwrap() {
        Login::SecondFactor(pending) => pending,
        Login::SignedIn(_) => panic!("a session without the second factor"),
    }
}

fn proof(user: &str, method: SecondFactor) -> SecondFactorProof {
    SecondFactorProof::new("t", &UserId::from(user), method)
}

fn copy(pending: &PendingSecondFactor) -> PendingSecondFactor {
    PendingSecondFactor::from_token(SecretString::from(pending.token().expose().as_str()))
}

#[tokio::test(start_paused = true)]
async fn password_and_second_factor_make_one_session() {
    let (accounts, _) = accounts().await;
    for (factor, method) in
        [(SecondFactor::OneTimeCode, Method::OneTimeCode), (SecondFactor::RecoveryCode, Method::RecoveryCode)]
    {
        let pending = half(&accounts).await;
        let kept = copy(&pending);
        let both = tokio::join!(
            accounts.finish_second_factor("t", pending, proof("u1", factor)),
            accounts.finish_second_factor("t", kept, proof("u1", factor))
        );
        let (Ok(signed_in), Err(e)) = both else { panic!("{both:?}") };
        assert_eq!(signed_in.session.methods, [Method::Password, method]);
        assert!(accounts.sessions.get(&signed_in.token).await.unwrap().is_some());
        assert_eq!(e.code(), Some("token_invalid"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_factor_of_somebody_else_is_none_and_a_changed_password_ends_the_wait() {
    let (accounts, users) = accounts().await;
    let pending = half(&accounts).await;
    let code = SecondFactor::OneTimeCode;
    let others = accounts.finish_second_factor("t", copy(&pending), proof("u2", code)).await;
    assert_eq!(others.unwrap_err().code(), Some("token_invalid"));
    let elsewhere = SecondFactorProof::new("u", &UserId::from("u1"), code);
    let others = accounts.finish_second_factor("t", copy(&pending), elsewhere).await;
    assert_eq!(others.unwrap_err().code(), Some("token_invalid"));
    let mut user = users.user("t", &UserId::from("u1")).await.unwrap().unwrap();
    user.password = Some(accounts.passwords.hash(&PASSWORD.into()).await.unwrap());
    users.replace(&user).await.unwrap().unwrap();
    let late = accounts.finish_second_factor("t", pending, proof("u1", code)).await;
    assert_eq!(late.unwrap_err().code(), Some("token_invalid"));
}

/// The user whom the sign-in has read had no second factor yet.
#[tokio::test(start_paused = true)]
async fn a_second_factor_that_is_confirmed_during_a_sign_in_leaves_no_session_without_it() {
    let (accounts, users) = accounts().await;
    let mut before = users.user("t", &UserId::from("u1")).await.unwrap().unwrap();
    before.one_time = None;
    let late = accounts.open(&before, vec![Method::Password]).await;
    assert_eq!(late.unwrap_err().code(), Some("sign_in_failed"));
    assert!(accounts.sessions.of_user("t", &before.id).await.unwrap().is_empty());
}

#[test]
fn a_token_dies_when_the_address_is_proven_by_another_way() {
    let mut user = User::new("u1", "t", "2026-11-20T12:00:00Z".parse().unwrap());
    user.email = Some(MailAddress::parse("u1@example.org").unwrap());
    let bond = tickets::Bond::to(&user);
    assert!(bond.holds(tickets::ADDRESS_CHANGE, &user));
    user.email_verified_at = Some(user.created_at);
    assert!(!bond.holds(tickets::ADDRESS_CHANGE, &user));
}
