//! What every store of users does.

use std::sync::Arc;

use integrations_auth::{
    EmailClaim, IdentityKey, LinkedIdentity, MailAddress, OneTimePassword, RoleGrant, User, UserId, UserStore,
};
use integrations_core::{ErrorKind, Secret};
use jiff::Timestamp;
use serde_json::json;

type Users = Arc<dyn UserStore>;

super::suite! { users:
    a_user_comes_back_as_they_went_in
    a_store_sets_the_version
    a_version_is_replaced_once
    of_all_who_replace_the_same_version_one_wins
    of_all_who_insert_the_same_id_one_wins
    a_mail_address_is_one_users_however_it_is_written
    an_identity_is_one_users
    of_all_who_claim_the_same_address_one_wins
    a_replacement_that_lost_leaves_everything
    what_a_user_gives_up_is_free
    a_removed_user_frees_what_they_had
    a_removal_needs_the_present_version
    two_users_swap_their_addresses_over_a_third
    tenants_share_nothing
    pages_hold_every_user_once_in_order
    odd_names_are_different_users
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn user(id: &str) -> User {
    User::new(id, "acme", time(0))
}

fn mail(text: &str) -> MailAddress {
    MailAddress::parse(text).unwrap()
}

fn key(subject: &str) -> IdentityKey {
    IdentityKey::new("https://issuer.example", subject)
}

fn with_mail(id: &str, address: &str) -> User {
    let mut user = user(id);
    user.email = Some(mail(address));
    user
}

fn with_identity(id: &str, subject: &str) -> User {
    let mut user = user(id);
    user.identities = vec![LinkedIdentity::new(key(subject), "oidc", time(1))];
    user
}

fn with(mut user: User, change: impl FnOnce(&mut User)) -> User {
    change(&mut user);
    user
}

fn id(user: Option<User>) -> Option<String> {
    user.map(|user| user.id.to_string())
}

/// Everything of a user, to be compared.
fn all(user: &User) -> impl PartialEq + std::fmt::Debug + use<> {
    let one_time =
        user.one_time.as_ref().map(|it| (it.secret.expose().clone(), it.confirmed_at, it.last_step));
    let proofs = (user.password.as_ref().map(|it| it.expose().clone()), one_time, user.recovery.clone());
    let mail = (user.email.clone(), user.email_verified_at, user.name.clone());
    let rest = (user.roles.clone(), user.disabled_at, user.created_at, user.extra.clone());
    (user.id.clone(), user.tenant.clone(), user.version, mail, user.identities.clone(), proofs, rest)
}

fn full(id: &str) -> User {
    let mut user = with_mail(id, "Ada@Example.org");
    user.email_verified_at = Some(time(2));
    user.name = Some("Ada Ünïcode".to_owned());
    let mut linked = LinkedIdentity::new(key("1"), "oidc", time(3));
    linked.email = Some(EmailClaim::Unverified(mail("other@example.org")));
    user.identities = vec![linked, LinkedIdentity::new(key("2"), "google", time(4))];
    user.password = Some("$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA".into());
    let mut one_time = OneTimePassword::new(Secret::new(vec![0, 1, 255]));
    (one_time.confirmed_at, one_time.last_step) = (Some(time(5)), Some(u64::MAX));
    user.one_time = Some(one_time);
    user.recovery = vec!["hash".to_owned()];
    user.roles = vec![RoleGrant::new("editor", "projects/7"), RoleGrant::new("viewer", "")];
    user.disabled_at = Some(time(6));
    user.extra.insert("plan".to_owned(), json!({"name": "big", "seats": [1, null]}));
    user
}

async fn a_user_comes_back_as_they_went_in(here: &Users, there: &Users) {
    let sent = full("ada");
    let kept = here.insert(&sent).await.unwrap();
    let expected = all(&with(sent.clone(), |it| {
        it.version = 1;
    }));
    assert_eq!(all(&kept), expected);
    for found in [
        there.user("acme", &sent.id).await,
        there.by_email("acme", &mail("aDA@example.ORG")).await,
        there.by_identity("acme", &key("1")).await,
        there.by_identity("acme", &key("2")).await,
    ] {
        assert_eq!(all(&found.unwrap().unwrap()), expected);
    }
    assert_eq!(all(&there.list("acme", None, 9).await.unwrap()[0]), expected);
    let bare = here.insert(&user("bare")).await.unwrap();
    assert_eq!(all(&there.user("acme", &"bare".into()).await.unwrap().unwrap()), all(&bare));
    assert!(there.user("acme", &"nobody".into()).await.unwrap().is_none());
    assert!(there.by_email("acme", &mail("nobody@example.org")).await.unwrap().is_none());
    assert!(
        there.by_identity("acme", &IdentityKey::new("https://other.example", "1")).await.unwrap().is_none()
    );
}

async fn a_store_sets_the_version(here: &Users, there: &Users) {
    let first = here
        .insert(&with(user("ada"), |it| {
            it.version = 7;
        }))
        .await
        .unwrap();
    let second = there.replace(&first).await.unwrap().unwrap();
    let third = here.replace(&second).await.unwrap().unwrap();
    assert_eq!([first.version, second.version, third.version], [1, 2, 3]);
    assert_eq!(there.user("acme", &first.id).await.unwrap().unwrap().version, 3);
}

async fn a_version_is_replaced_once(here: &Users, there: &Users) {
    let seen = here.insert(&user("ada")).await.unwrap();
    let named = |name: &str| {
        with(seen.clone(), |it| {
            it.name = Some(name.to_owned());
        })
    };
    assert!(there.replace(&named("first")).await.unwrap().is_some());
    assert!(here.replace(&named("second")).await.unwrap().is_none());
    assert!(
        here.replace(&with(named("third"), |it| {
            it.version = 3;
        }))
        .await
        .unwrap()
        .is_none()
    );
    assert!(
        here.replace(&with(named("fourth"), |it| {
            it.version = u64::MAX;
        }))
        .await
        .unwrap()
        .is_none()
    );
    assert!(
        here.replace(&with(user("nobody"), |it| {
            it.version = 0;
        }))
        .await
        .unwrap()
        .is_none()
    );
    let kept = here.user("acme", &seen.id).await.unwrap().unwrap();
    assert_eq!((kept.name.as_deref(), kept.version), (Some("first"), 2));
}

/// What each of several tasks got that did the same at once.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    here: &Users,
    there: &Users,
    call: impl Fn(Users, usize) -> F,
) -> Vec<T> {
    let tasks: Vec<_> = (0..8)
        .map(|n| tokio::spawn(call(if n % 2 == 0 { here.clone() } else { there.clone() }, n)))
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

async fn of_all_who_replace_the_same_version_one_wins(here: &Users, there: &Users) {
    let mut seen = here.insert(&user("ada")).await.unwrap();
    for round in 1..=5 {
        let results = at_once(here, there, |store, n| {
            let next = with(seen.clone(), |it| {
                it.name = Some(n.to_string());
            });
            async move { store.replace(&next).await.unwrap() }
        })
        .await;
        let mut won = results.into_iter().flatten();
        let winner = won.next().unwrap();
        assert!(won.next().is_none());
        seen = there.user("acme", &seen.id).await.unwrap().unwrap();
        assert_eq!((seen.version, &seen.name), (round + 1, &winner.name));
    }
}

async fn of_all_who_insert_the_same_id_one_wins(here: &Users, there: &Users) {
    let results = at_once(here, there, |store, n| async move {
        store.insert(&with_mail("ada", &format!("a{n}@example.org"))).await.map_err(conflict)
    })
    .await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let lost = results.iter().filter_map(|result| result.as_ref().err());
    assert!(lost.clone().all(|code| code == "id"), "{:?}", lost.collect::<Vec<_>>());
    let mut found = 0;
    for n in 0..8 {
        found +=
            usize::from(here.by_email("acme", &mail(&format!("a{n}@example.org"))).await.unwrap().is_some());
    }
    assert_eq!(found, 1, "who lost has claimed nothing");
}

fn conflict(e: integrations_core::Error) -> String {
    assert_eq!(e.kind(), ErrorKind::Conflict, "{e}");
    assert!(e.hint().is_some() && !e.explain().contains('@'), "{}", e.explain());
    e.code().unwrap().to_owned()
}

async fn a_mail_address_is_one_users_however_it_is_written(here: &Users, there: &Users) {
    here.insert(&with_mail("ada", "ada@example.org")).await.unwrap();
    assert_eq!(conflict(there.insert(&with_mail("eve", "ADA@EXAMPLE.org")).await.unwrap_err()), "email");
    let eve = there.insert(&with_mail("eve", "eve@example.org")).await.unwrap();
    let grabs = with(eve.clone(), |it| {
        it.email = Some(mail("Ada@example.org"));
    });
    assert_eq!(conflict(here.replace(&grabs).await.unwrap_err()), "email");
    let rewritten = with(eve, |it| {
        it.email = Some(mail("Eve@example.org"));
    });
    let kept = here.replace(&rewritten).await.unwrap().unwrap();
    assert_eq!(kept.email.unwrap().as_str(), "Eve@example.org", "one may write one's own otherwise");
    assert_eq!(conflict(here.insert(&with_mail("ada", "eve@example.org")).await.unwrap_err()), "id");
}

async fn an_identity_is_one_users(here: &Users, there: &Users) {
    here.insert(&with_identity("ada", "1")).await.unwrap();
    assert_eq!(conflict(there.insert(&with_identity("eve", "1")).await.unwrap_err()), "identity");
    let eve = there.insert(&with_identity("eve", "2")).await.unwrap();
    let both = [&eve.identities[..], &with_identity("eve", "1").identities].concat();
    assert_eq!(
        conflict(
            here.replace(&with(eve.clone(), |it| {
                it.identities = both;
            }))
            .await
            .unwrap_err()
        ),
        "identity"
    );
    let twice = [&eve.identities[..], &eve.identities].concat();
    assert!(
        here.replace(&with(eve, |it| {
            it.identities = twice;
        }))
        .await
        .unwrap()
        .is_some(),
        "of one user it is one"
    );
    // Where the parts are cut makes a difference.
    let mut odd = user("odd");
    odd.identities =
        vec![LinkedIdentity::new(IdentityKey::new("https://issuer.example1", ""), "oidc", time(1))];
    here.insert(&odd).await.unwrap();
    assert_eq!(id(there.by_identity("acme", &key("1")).await.unwrap()).as_deref(), Some("ada"));
}

async fn of_all_who_claim_the_same_address_one_wins(here: &Users, there: &Users) {
    for n in 0..8 {
        here.insert(&user(&n.to_string())).await.unwrap();
    }
    let results = at_once(here, there, |store, n| async move {
        let mut own = store.user("acme", &n.to_string().into()).await.unwrap().unwrap();
        own.email = Some(mail("wanted@example.org"));
        own.identities = with_identity("", "wanted").identities;
        store.replace(&own).await.map_err(conflict)
    })
    .await;
    let won: Vec<_> = results.iter().flatten().collect();
    assert_eq!(won.len(), 1);
    let winner = won[0].as_ref().unwrap().id.to_string();
    assert_eq!(id(there.by_email("acme", &mail("wanted@example.org")).await.unwrap()), Some(winner.clone()));
    assert_eq!(id(there.by_identity("acme", &key("wanted")).await.unwrap()), Some(winner));
    let with_it = here.list("acme", None, 99).await.unwrap();
    assert_eq!(with_it.iter().filter(|user| user.email.is_some() || user.version == 2).count(), 1);
}

async fn a_replacement_that_lost_leaves_everything(here: &Users, there: &Users) {
    here.insert(&with_identity("ada", "1")).await.unwrap();
    let eve = here.insert(&with_mail("eve", "eve@example.org")).await.unwrap();
    let mut grabs = with_identity("eve", "1");
    (grabs.version, grabs.email) = (eve.version, Some(mail("new@example.org")));
    assert_eq!(conflict(there.replace(&grabs).await.unwrap_err()), "identity");
    let stale = with(eve.clone(), |it| {
        it.version = 9;
        it.email = Some(mail("new@example.org"));
    });
    assert!(there.replace(&stale).await.unwrap().is_none());
    assert!(here.by_email("acme", &mail("new@example.org")).await.unwrap().is_none());
    let kept = here.by_email("acme", &mail("eve@example.org")).await.unwrap().unwrap();
    assert_eq!(all(&kept), all(&eve));
    here.insert(&with_mail("new", "new@example.org")).await.unwrap();
}

async fn what_a_user_gives_up_is_free(here: &Users, there: &Users) {
    let ada = here.insert(&full("ada")).await.unwrap();
    let less = with(ada, |it| {
        it.email = None;
        it.identities.remove(0);
    });
    there.replace(&less).await.unwrap().unwrap();
    assert!(here.by_email("acme", &mail("ada@example.org")).await.unwrap().is_none());
    assert!(here.by_identity("acme", &key("1")).await.unwrap().is_none());
    let mut eve = with_identity("eve", "1");
    eve.email = Some(mail("ada@example.org"));
    here.insert(&eve).await.unwrap();
    assert_eq!(conflict(here.insert(&with_identity("bob", "2")).await.unwrap_err()), "identity");
}

async fn a_removed_user_frees_what_they_had(here: &Users, there: &Users) {
    let ada = here.insert(&full("ada")).await.unwrap();
    assert!(there.remove("acme", &ada.id, 1).await.unwrap());
    assert!(here.user("acme", &ada.id).await.unwrap().is_none());
    assert!(here.by_email("acme", &mail("ada@example.org")).await.unwrap().is_none());
    assert!(here.by_identity("acme", &key("2")).await.unwrap().is_none());
    assert!(here.replace(&ada).await.unwrap().is_none());
    assert!(!here.remove("acme", &ada.id, 1).await.unwrap());
    let successor = here.insert(&full("eve")).await.unwrap();
    assert_eq!(all(&there.by_identity("acme", &key("2")).await.unwrap().unwrap()), all(&successor));
}

async fn a_removal_needs_the_present_version(here: &Users, there: &Users) {
    let ada = here.insert(&with_mail("ada", "ada@example.org")).await.unwrap();
    here.replace(&ada).await.unwrap().unwrap();
    for seen in [0, 1, 3, u64::MAX] {
        assert!(!there.remove("acme", &ada.id, seen).await.unwrap());
    }
    assert!(here.by_email("acme", &mail("ada@example.org")).await.unwrap().is_some());
    let results =
        at_once(here, there, |store, _| async move { store.remove("acme", &"ada".into(), 2).await.unwrap() });
    assert_eq!(results.await.into_iter().filter(|gone| *gone).count(), 1);
}

async fn two_users_swap_their_addresses_over_a_third(here: &Users, there: &Users) {
    let ada = here.insert(&with_mail("ada", "one@example.org")).await.unwrap();
    let eve = here.insert(&with_mail("eve", "two@example.org")).await.unwrap();
    let to = |user: User, address: &str| {
        with(user, |it| {
            it.email = Some(mail(address));
        })
    };
    let ada = here.replace(&to(ada, "free@example.org")).await.unwrap().unwrap();
    there.replace(&to(eve, "one@example.org")).await.unwrap().unwrap();
    here.replace(&to(ada, "two@example.org")).await.unwrap().unwrap();
    assert_eq!(id(there.by_email("acme", &mail("one@example.org")).await.unwrap()).as_deref(), Some("eve"));
    assert_eq!(id(there.by_email("acme", &mail("two@example.org")).await.unwrap()).as_deref(), Some("ada"));
    assert_eq!(id(there.by_email("acme", &mail("free@example.org")).await.unwrap()), None);
}

async fn tenants_share_nothing(here: &Users, there: &Users) {
    let acme = here.insert(&full("ada")).await.unwrap();
    for other in ["", "acm", "ACME", "acme\u{1}"] {
        assert!(there.user(other, &acme.id).await.unwrap().is_none());
        assert!(there.by_email(other, &mail("ada@example.org")).await.unwrap().is_none());
        assert!(there.by_identity(other, &key("1")).await.unwrap().is_none());
        assert!(there.list(other, None, 9).await.unwrap().is_empty());
        assert!(
            there
                .replace(&with(acme.clone(), |it| {
                    it.tenant = String::from(other);
                }))
                .await
                .unwrap()
                .is_none()
        );
        assert!(!there.remove(other, &acme.id, 1).await.unwrap());
        let theirs = with(full("ada"), |it| {
            it.tenant = String::from(other);
            it.name = Some(other.to_owned());
        });
        here.insert(&theirs).await.unwrap();
        let found = there.by_email(other, &mail("ada@example.org")).await.unwrap().unwrap();
        assert_eq!((found.tenant.as_str(), found.name.as_deref()), (other, Some(other)));
        assert!(here.remove(other, &acme.id, 1).await.unwrap());
    }
    assert_eq!(all(&there.by_identity("acme", &key("1")).await.unwrap().unwrap()), all(&acme));
}

async fn pages_hold_every_user_once_in_order(here: &Users, there: &Users) {
    let ids = ["a", "B", "aa", "é", "z", "0", "a-b", "a b", "Z"];
    for id in ids {
        here.insert(&user(id)).await.unwrap();
        here.insert(&with(user(id), |it| {
            it.tenant = String::from("other");
        }))
        .await
        .unwrap();
    }
    let mut expected = ids.map(str::to_owned);
    expected.sort();
    for limit in [1, 2, 4, 9, 50] {
        let (mut seen, mut last): (Vec<String>, Option<UserId>) = (Vec::new(), None);
        loop {
            let page = there.list("acme", last.as_ref(), limit).await.unwrap();
            assert!(page.iter().all(|user| user.tenant == "acme"));
            seen.extend(page.iter().map(|user| user.id.to_string()));
            last = page.last().map(|user| user.id.clone()).or(last);
            if page.len() < limit as usize {
                break;
            }
        }
        assert_eq!(seen, expected, "by {limit}");
    }
    assert!(here.list("acme", None, 0).await.unwrap().is_empty());
    let after_absent = here.list("acme", Some(&"a-".into()), 1).await.unwrap();
    assert_eq!(after_absent[0].id.as_str(), "a-b", "a page begins after a name that nobody has");
}

async fn odd_names_are_different_users(here: &Users, there: &Users) {
    let names = ["", " ", "a", "A", "a ", "ä", "a\u{308}", "%", "_", "'", "\\", "a\nb", "🦀"];
    for (n, name) in names.iter().enumerate() {
        here.insert(&with_mail(name, &format!("a{n}@example.org"))).await.unwrap();
    }
    for (n, name) in names.iter().enumerate() {
        let found = there.user("acme", &UserId::new(*name)).await.unwrap().unwrap();
        assert_eq!(found.email.unwrap().as_str(), format!("a{n}@example.org"));
    }
    assert_eq!(there.list("acme", None, 99).await.unwrap().len(), names.len());
}
