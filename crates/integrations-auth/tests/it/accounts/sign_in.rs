//! Signing up and in.

use integrations_auth::{LinkedIdentity, Method, OneTimePassword};

use super::*;

#[tokio::test(start_paused = true)]
async fn somebody_signs_up_proves_the_address_and_signs_in() {
    let world = World::new();
    let ada = mail("ada@example.org");
    world.accounts.sign_up("t", &ada, &secret(GOOD)).await.unwrap();
    let token = world.token().await;
    assert_eq!(world.refusal("ada@example.org", GOOD).await, "sign_in_failed");
    let user = world.accounts.verify_address("t", &token).await.unwrap();
    assert_eq!((user.email.as_ref(), user.email_verified_at), (Some(&ada), Some(world.clock.now())));
    let signed_in = world.login("ADA@example.org", GOOD).await.unwrap();
    assert_eq!((&signed_in.user.id, &signed_in.session.methods), (&user.id, &vec![Method::Password]));
    assert!(world.sessions.get(&signed_in.token).await.unwrap().is_some());
    assert_eq!(world.refusal("ada@example.org", OTHER).await, "sign_in_failed");
    let other = world.accounts.login("u", &ada, &secret(GOOD)).await;
    assert!(said(&other).contains("sign_in_failed"), "another tenant");
}

#[tokio::test(start_paused = true)]
async fn of_two_who_sign_up_with_one_address_the_one_whose_mail_is_followed_has_the_account() {
    for follows in [0, 1] {
        let world = World::new();
        let ada = mail("ada@example.org");
        let (good, other) = (secret(GOOD), secret(OTHER));
        let (one, two) =
            tokio::join!(world.accounts.sign_up("t", &ada, &good), world.accounts.sign_up("t", &ada, &other));
        one.and(two).unwrap();
        let tokens: Vec<_> = world.mails().await.into_iter().map(|(_, what)| token_of(what)).collect();
        assert_eq!(tokens.len(), 2);
        assert_eq!(world.users.list("t", None, 9).await.unwrap().len(), 1);
        world.accounts.verify_address("t", &tokens[follows]).await.unwrap();
        let rest = world.accounts.verify_address("t", &tokens[1 - follows]).await;
        assert!(said(&rest).contains("token_invalid"), "the other one's mail is worth nothing any more");
        let open =
            [world.refusal("ada@example.org", GOOD).await, world.refusal("ada@example.org", OTHER).await];
        assert_eq!(open.iter().filter(|code| code.is_empty()).count(), 1, "{open:?}");
    }
}

/// Account pre-hijacking: somebody has an account under an address that is not theirs, with all that signs in to it, and
/// waits.
#[tokio::test(start_paused = true)]
async fn the_owner_of_an_address_takes_nothing_over_from_whoever_had_an_account_under_it() {
    for way in ["sign up", "reset"] {
        let world = World::new();
        let world = World { accounts: world.accounts.clone().unverified_may_sign_in(), ..world };
        let key = IdentityKey::new("https://issuer.test", "eve");
        let linked = LinkedIdentity::new(key.clone(), "oidc", world.clock.now());
        world
            .insert("u1", "ada@example.org", |user| {
                user.email_verified_at = None;
                user.identities = vec![linked];
                user.recovery = vec!["hash".to_owned()];
            })
            .await;
        let eve = world.login("ada@example.org", GOOD).await.unwrap();
        let mut user = world.present("u1").await;
        user.one_time = Some(OneTimePassword::new(vec![1].into()));
        world.users.replace(&user).await.unwrap().unwrap();
        if way == "sign up" {
            world.accounts.sign_up("t", &mail("ada@example.org"), &secret(OTHER)).await.unwrap();
            let token = world.token().await;
            assert_eq!(world.refusal("ada@example.org", GOOD).await, "", "a sign-up alone changes nothing");
            world.accounts.verify_address("t", &token).await.unwrap();
        } else {
            world.accounts.request_reset("t", &mail("ada@example.org")).await.unwrap();
            let token = world.token().await;
            world.accounts.reset("t", &token, &secret(OTHER)).await.unwrap();
        }
        assert!(world.sessions.get(&eve.token).await.unwrap().is_none(), "{way}");
        assert_eq!(world.refusal("ada@example.org", GOOD).await, "sign_in_failed", "{way}");
        assert!(world.users.by_identity("t", &key).await.unwrap().is_none(), "{way}");
        let user = world.login("ada@example.org", OTHER).await.unwrap().user;
        assert!(user.one_time.is_none() && user.recovery.is_empty() && user.email_verified_at.is_some());
    }
}

/// Account pre-hijacking by the mail that is sent again: it cannot know whose password is the owner's.
#[tokio::test(start_paused = true)]
async fn a_mail_that_is_sent_again_brings_no_password_once_two_have_signed_up() {
    for (first, second, day) in [(OTHER, GOOD, 0), (OTHER, GOOD, 2), (GOOD, OTHER, 0)] {
        let world = World::new();
        let ada = mail("ada@example.org");
        world.accounts.sign_up("t", &ada, &secret(first)).await.unwrap();
        world.mails().await;
        world.accounts.sign_up("t", &ada, &secret(second)).await.unwrap();
        world.mails().await;
        tokio::time::advance(Duration::from_secs(day * 24 * 60 * 60)).await;
        world.accounts.request_verification("t", &ada).await.unwrap();
        let token = world.token().await;
        let user = world.accounts.verify_address("t", &token).await.unwrap();
        assert!(user.password.is_none() && user.email_verified_at.is_some(), "{first} {day}");
        for password in [first, second] {
            assert_eq!(world.refusal("ada@example.org", password).await, "sign_in_failed");
        }
        world.accounts.request_reset("t", &ada).await.unwrap();
        let token = world.token().await;
        world.accounts.reset("t", &token, &secret(GOOD)).await.unwrap();
        assert_eq!(world.refusal("ada@example.org", GOOD).await, "");
    }
}

#[tokio::test(start_paused = true)]
async fn guessing_is_slow_and_the_right_password_ends_it() {
    let world = World::new();
    world.user("u1", "ada@example.org").await;
    for _ in 0..5 {
        assert_eq!(world.refusal("ada@example.org", OTHER).await, "sign_in_failed");
    }
    let e = world.login("ada@example.org", GOOD).await.unwrap_err();
    assert_eq!((e.code(), e.retry_after()), (Some("too_many_attempts"), Some(Duration::from_secs(1))));
    assert_eq!(world.refusal("eve@example.org", OTHER).await, "sign_in_failed", "others do not wait");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(world.refusal("Ada@example.org", GOOD).await, "");
    assert_eq!(world.refusal("ada@example.org", OTHER).await, "sign_in_failed");
}

#[tokio::test(start_paused = true)]
async fn of_twenty_guesses_at_once_five_are_tried() {
    let world = World::new();
    world.user("u1", "ada@example.org").await;
    let guesses = (0..20).map(|_| {
        let accounts = world.accounts.clone();
        tokio::spawn(async move { accounts.login("t", &mail("ada@example.org"), &secret(OTHER)).await.err() })
    });
    let mut tried = 0;
    for guess in guesses.collect::<Vec<_>>() {
        tried += u32::from(guess.await.unwrap().unwrap().code() == Some("sign_in_failed"));
    }
    assert_eq!(tried, 5);
}

#[tokio::test(start_paused = true)]
async fn a_hash_of_another_cost_is_replaced_as_its_owner_signs_in() {
    let world = World::with(Passwords::new().cost(Cost::insecure_for_tests(16)));
    world.user("u1", "ada@example.org").await;
    let hash = |user: &User| user.password.as_ref().unwrap().expose().clone();
    assert_eq!(world.refusal("ada@example.org", OTHER).await, "sign_in_failed");
    assert!(hash(&world.present("u1").await).contains("$m=8,"));
    let (one, other) =
        tokio::join!(world.login("ada@example.org", GOOD), world.login("ada@example.org", GOOD));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(hash(&world.present("u1").await).contains("$m=16,"));
    assert_eq!(world.present("u1").await.version, 2, "both found an old hash, one replaced it");
    for token in [one.token, other.token] {
        assert!(world.sessions.get(&token).await.unwrap().is_some());
    }
    assert_eq!(world.refusal("ada@example.org", GOOD).await, "");
    assert_eq!(world.present("u1").await.version, 2);
}

#[tokio::test(start_paused = true)]
async fn a_second_factor_that_was_confirmed_stands_between_the_password_and_a_session() {
    let world = World::new();
    for (id, confirmed) in [("u1", false), ("u2", true)] {
        world
            .insert(id, &format!("{id}@example.org"), |user| {
                let mut factor = OneTimePassword::new(vec![1; 20].into());
                factor.confirmed_at = confirmed.then_some(user.created_at);
                user.one_time = Some(factor);
            })
            .await;
    }
    assert!(world.login("u1@example.org", GOOD).await.is_ok());
    let half = world.accounts.login("t", &mail("u2@example.org"), &secret(GOOD)).await.unwrap();
    let Login::SecondFactor(pending) = half else { panic!("a session without the second factor") };
    assert_eq!(world.sessions.end_all("t", &UserId::from("u2")).await.unwrap(), 0);
    assert_eq!(world.accounts.awaited("t", &pending).await.unwrap().id.as_str(), "u2");
    assert!(said(&world.accounts.awaited("u", &pending).await).contains("token_invalid"));
    assert!(!format!("{pending:?}").contains(pending.token().expose()));
    tokio::time::advance(Duration::from_secs(5 * 60) - Duration::from_millis(1)).await;
    assert!(world.accounts.awaited("t", &pending).await.is_ok());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(said(&world.accounts.awaited("t", &pending).await).contains("token_invalid"));
}
