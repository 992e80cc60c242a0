//! Tokens that are sent by mail: once, for a while, bound to what was so when they were made.

use integrations_auth::OneTimePassword;

use super::*;

const MS: Duration = Duration::from_millis(1);

async fn reset_token(world: &World) -> SecretString {
    world.accounts.request_reset("t", &mail("ada@example.org")).await.unwrap();
    world.token().await
}

async fn reset(world: &World, token: &SecretString, password: &str) -> String {
    let answer = world.accounts.reset("t", token, &secret(password)).await;
    answer.err().map_or(String::new(), |e| e.code().unwrap_or("none").to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_reset_signs_nobody_in_ends_all_sessions_keeps_the_second_factor_and_tells_the_owner() {
    let world = World::new();
    world.user("u1", "ada@example.org").await;
    let before = world.login("ada@example.org", GOOD).await.unwrap();
    let mut user = world.present("u1").await;
    user.one_time = Some(OneTimePassword::new(vec![1].into()));
    user.recovery = vec!["hash".to_owned()];
    world.users.replace(&user).await.unwrap().unwrap();
    for _ in 0..6 {
        world.refusal("ada@example.org", OTHER).await;
    }
    let token = reset_token(&world).await;
    assert!(world.sessions.get(&before.token).await.unwrap().is_some(), "asking changes nothing");
    assert_eq!(reset(&world, &token, "too short").await, "password_too_short");
    assert_eq!(reset(&world, &token, OTHER).await, "", "a refused password does not use the token up");
    let mails = world.mails().await;
    assert_eq!(mails.iter().map(|(_, what)| name_of(what)).collect::<Vec<_>>(), ["password changed"]);
    assert!(world.sessions.get(&before.token).await.unwrap().is_none());
    let user = world.present("u1").await;
    assert!(user.one_time.is_some() && user.recovery.len() == 1);
    assert_eq!(world.sessions.of_user("t", &user.id).await.unwrap().len(), 0);
    assert_eq!(world.refusal("ada@example.org", GOOD).await, "sign_in_failed");
    assert_eq!(world.refusal("ada@example.org", OTHER).await, "", "who reset the password need not wait");
}

#[tokio::test(start_paused = true)]
async fn of_two_who_use_one_token_one_sets_the_password() {
    let world = World::new();
    world.user("u1", "ada@example.org").await;
    let token = reset_token(&world).await;
    let (one, other) = tokio::join!(
        reset(&world, &token, "the first of two racers"),
        reset(&world, &token, "the second of two racers")
    );
    let mut codes = [one, other];
    codes.sort();
    assert_eq!(codes, ["", "token_invalid"]);
    assert_eq!(world.present("u1").await.version, 2);
    assert_eq!(reset(&world, &token, OTHER).await, "token_invalid");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_until_its_time_is_over_and_not_a_millisecond_longer() {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    for (time, good) in [(minutes(30).saturating_sub(MS), true), (minutes(30), false)] {
        let world = World::new();
        world.user("u1", "ada@example.org").await;
        let token = reset_token(&world).await;
        tokio::time::advance(time).await;
        assert_eq!(reset(&world, &token, OTHER).await.is_empty(), good, "{time:?}");
    }
    for (time, good) in [(minutes(24 * 60).saturating_sub(MS), true), (minutes(24 * 60), false)] {
        let world = World::new();
        world.accounts.sign_up("t", &mail("ada@example.org"), &secret(GOOD)).await.unwrap();
        let token = world.token().await;
        tokio::time::advance(time).await;
        assert_eq!(world.accounts.verify_address("t", &token).await.is_ok(), good, "{time:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_token_dies_with_whatever_it_was_bound_to() {
    for what in ["newer token", "password", "address", "disabled", "other tenant", "other kind", "nothing"] {
        let world = World::new();
        let user = world.user("u1", "ada@example.org").await;
        let token = reset_token(&world).await;
        let mut changed = user.clone();
        match what {
            "newer token" => drop(reset_token(&world).await),
            "password" => changed.password = Some(weak().hash(&secret(GOOD)).await.unwrap()),
            "address" => changed.email = Some(mail("eve@example.org")),
            "disabled" => changed.disabled_at = Some(world.clock.now()),
            _ => {}
        }
        world.users.replace(&changed).await.unwrap().unwrap();
        let answer = match what {
            "other tenant" => world.accounts.reset("u", &token, &secret(OTHER)).await.err(),
            "other kind" => world.accounts.verify_address("t", &token).await.err(),
            _ => world.accounts.reset("t", &token, &secret(OTHER)).await.err(),
        };
        let code = answer.map(|e| e.code().unwrap().to_owned());
        let expected = (what != "nothing").then(|| "token_invalid".to_owned());
        assert_eq!(code, expected, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn mails_go_to_the_address_that_the_account_has_and_tokens_are_nowhere_else() {
    let world = World::new();
    world.user("u1", "ada@example.org").await;
    // The Kelvin sign is a `k` in lower case, and another letter to a mail server.
    world.user("u2", "kate@example.org").await;
    for (typed, own) in
        [("ADA@example.org", "ada@example.org"), ("\u{212a}ate@example.org", "kate@example.org")]
    {
        world.accounts.request_reset("t", &mail(typed)).await.unwrap();
        let mut mails = world.mails().await;
        assert_eq!(mails.len(), 1, "{typed}");
        let (to, what) = mails.remove(0);
        assert_eq!(to, own);
        let token = token_of(what.clone());
        assert_eq!(token.expose().len(), 43, "256 bits in base64url");
        assert!(!format!("{what:?} {:?}", world.records).contains(token.expose().as_str()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_verification_is_sent_again_for_the_password_that_was_given_before() {
    let world = World::new();
    let ada = mail("ada@example.org");
    world.accounts.sign_up("t", &ada, &secret(GOOD)).await.unwrap();
    world.mails().await;
    world.accounts.request_verification("t", &ada).await.unwrap();
    let token = world.token().await;
    world.accounts.verify_address("t", &token).await.unwrap();
    assert_eq!(world.refusal("ada@example.org", GOOD).await, "");
}
