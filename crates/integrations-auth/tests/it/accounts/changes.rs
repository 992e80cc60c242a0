//! Changes by somebody who is signed in.

use integrations_auth::{Confirmation, Reauthenticated, Session, SessionToken};

use super::*;

fn password(text: &str) -> Confirmation {
    Confirmation::Password(secret(text))
}

fn fresh(session: &Session, world: &World) -> Reauthenticated {
    session.fresh(Duration::from_secs(60), world.clock.now()).unwrap()
}

async fn change(world: &World, session: &SessionToken, confirmation: Confirmation, new: &str) -> String {
    let answer = world.accounts.change_password(session, confirmation, &secret(new)).await;
    answer.err().map_or(String::new(), |e| e.code().unwrap_or("none").to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_change_needs_the_present_password_or_a_fresh_proof_and_ends_the_other_sessions() {
    for way in ["password", "proof"] {
        let world = World::new();
        world.user("u1", "ada@example.org").await;
        let (other, own) =
            (world.login("ada@example.org", GOOD).await, world.login("ada@example.org", GOOD).await);
        let (other, own) = (other.unwrap(), own.unwrap());
        world.accounts.request_reset("t", &mail("ada@example.org")).await.unwrap();
        let reset = world.token().await;
        let confirmation = match way {
            "password" => password(GOOD),
            _ => Confirmation::Reauthenticated(fresh(&own.session, &world)),
        };
        assert_eq!(change(&world, &own.token, password(OTHER), OTHER).await, "wrong_password");
        assert_eq!(change(&world, &own.token, password(GOOD), "short").await, "password_too_short");
        assert_eq!(change(&world, &own.token, confirmation, OTHER).await, "");
        let names: Vec<_> = world.mails().await.iter().map(|(_, what)| name_of(what)).collect();
        assert_eq!(names, ["password changed"]);
        assert!(world.sessions.get(&own.token).await.unwrap().is_some());
        assert!(world.sessions.get(&other.token).await.unwrap().is_none());
        assert_eq!(world.refusal("ada@example.org", GOOD).await, "sign_in_failed");
        assert_eq!(world.refusal("ada@example.org", OTHER).await, "");
        let late = world.accounts.reset("t", &reset, &secret(GOOD)).await;
        assert!(said(&late).contains("token_invalid"), "a reset that was asked for before is over");
    }
}

#[tokio::test(start_paused = true)]
async fn guessing_the_present_password_is_slow_also_with_a_session() {
    let world = World::new();
    world.user("u1", "ada@example.org").await;
    let own = world.login("ada@example.org", GOOD).await.unwrap();
    for _ in 0..5 {
        assert_eq!(change(&world, &own.token, password(OTHER), OTHER).await, "wrong_password");
    }
    assert_eq!(change(&world, &own.token, password(GOOD), OTHER).await, "too_many_attempts");
    assert_eq!(world.refusal("ada@example.org", GOOD).await, "", "signing in is counted apart");
}

#[tokio::test(start_paused = true)]
async fn nobody_changes_with_the_proof_of_somebody_else_or_without_a_session() {
    let world = World::new();
    world.user("u1", "ada@example.org").await;
    world.user("u2", "eve@example.org").await;
    let (ada, eve) = (world.login("ada@example.org", GOOD).await, world.login("eve@example.org", GOOD).await);
    let (ada, eve) = (ada.unwrap(), eve.unwrap());
    let proof = Confirmation::Reauthenticated(fresh(&eve.session, &world));
    assert_eq!(change(&world, &ada.token, proof, OTHER).await, "wrong_proof");
    let mut user = world.present("u1").await;
    user.disabled_at = Some(world.clock.now());
    world.users.replace(&user).await.unwrap().unwrap();
    assert_eq!(change(&world, &ada.token, password(GOOD), OTHER).await, "session_ended");
    world.sessions.end(&eve.token).await.unwrap();
    assert_eq!(change(&world, &eve.token, password(GOOD), OTHER).await, "session_ended");
}

#[tokio::test(start_paused = true)]
async fn an_address_changes_when_the_new_one_is_proven_and_the_old_one_is_told() {
    let world = World::new();
    world.user("u1", "ada@example.org").await;
    let own = world.login("ada@example.org", GOOD).await.unwrap();
    let new = mail("countess@example.org");
    let wrong = world.accounts.request_address_change(&own.token, password(OTHER), &new).await;
    assert!(said(&wrong).contains("wrong_password"));
    world.accounts.request_address_change(&own.token, password(GOOD), &new).await.unwrap();
    let mut mails = world.mails().await;
    assert_eq!((mails.len(), mails[0].0.as_str()), (1, "countess@example.org"));
    let token = token_of(mails.remove(0).1);
    assert_eq!(world.present("u1").await.email, Some(mail("ada@example.org")), "it stays until then");
    let user = world.accounts.confirm_address_change("t", &token).await.unwrap();
    assert_eq!((user.email, user.email_verified_at), (Some(new), Some(world.clock.now())));
    let mails = world.mails().await;
    let told: Vec<_> = mails.iter().map(|(to, what)| (to.as_str(), name_of(what))).collect();
    assert_eq!(told, [("ada@example.org", "address changed")]);
    assert!(said(&world.accounts.confirm_address_change("t", &token).await).contains("token_invalid"));
    assert_eq!(world.refusal("countess@example.org", GOOD).await, "");
    assert_eq!(world.refusal("ada@example.org", GOOD).await, "sign_in_failed");
}

#[tokio::test(start_paused = true)]
async fn an_address_of_somebody_else_is_not_to_be_had_and_the_asker_does_not_learn_it() {
    let world = World::new();
    world.user("u1", "ada@example.org").await;
    world.user("u2", "eve@example.org").await;
    let own = world.login("ada@example.org", GOOD).await.unwrap();
    let eves =
        world.accounts.request_address_change(&own.token, password(GOOD), &mail("eve@example.org")).await;
    assert!(eves.is_ok());
    let mails = world.mails().await;
    assert_eq!(
        (mails.len(), mails[0].0.as_str(), name_of(&mails[0].1)),
        (1, "eve@example.org", "already registered")
    );
    // Free when it was asked for, taken when it is confirmed.
    let late = mail("late@example.org");
    world.accounts.request_address_change(&own.token, password(GOOD), &late).await.unwrap();
    let token = world.token().await;
    world.user("u3", "late@example.org").await;
    let e = world.accounts.confirm_address_change("t", &token).await.unwrap_err();
    assert_eq!(e.code(), Some("email"));
    assert_eq!(world.present("u1").await.email, Some(mail("ada@example.org")));
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_that_runs_while_the_password_is_reset_or_the_user_disabled_leaves_no_session() {
    for what in [Meanwhile::Password, Meanwhile::Disabled, Meanwhile::Name] {
        let world = World::new();
        world.user("u1", "ada@example.org").await;
        *world.calls.meanwhile.lock().unwrap() = Some(what);
        let code = world.refusal("ada@example.org", GOOD).await;
        let left = world.sessions.of_user("t", &UserId::from("u1")).await.unwrap().len();
        let expected = if matches!(what, Meanwhile::Name) { ("", 1) } else { ("sign_in_failed", 0) };
        assert_eq!((code.as_str(), left), expected, "{what:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_does_not_undo_a_reset_that_was_faster() {
    let world = World::new();
    world.user("u1", "ada@example.org").await;
    let own = world.login("ada@example.org", GOOD).await.unwrap();
    world.accounts.request_reset("t", &mail("ada@example.org")).await.unwrap();
    let token = world.token().await;
    let (third, other) = ("a third one for the third try", secret(OTHER));
    // Both have read the same user; whichever writes first wins.
    let (reset, changed) = tokio::join!(
        world.accounts.reset("t", &token, &other),
        change(&world, &own.token, password(GOOD), third)
    );
    let opened =
        [world.refusal("ada@example.org", OTHER).await, world.refusal("ada@example.org", third).await];
    match reset {
        Ok(()) => assert_eq!((changed.as_str(), opened[0].as_str()), ("changed", "")),
        Err(e) => {
            assert_eq!((e.code(), changed.as_str(), opened[1].as_str()), (Some("token_invalid"), "", ""));
        }
    }
    assert_eq!(opened.iter().filter(|code| code.is_empty()).count(), 1);
}
