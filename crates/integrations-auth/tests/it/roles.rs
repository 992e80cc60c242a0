//! Roles: their definitions, what they give, and who may give them.

use std::collections::BTreeSet;

use integrations_auth::{Granted, MemoryUsers, Permission, RoleGrant, Roles, Scope, User, UserStore as _};
use integrations_core::ErrorKind;
use jiff::Timestamp;
use proptest::prelude::*;

const PERMISSIONS: [&str; 4] = ["invoices:read", "invoices:write", "invoicesx:read", "users:manage"];

fn roles() -> Roles {
    Roles::builder(PERMISSIONS)
        .role("viewer", ["invoices:read"])
        .role("clerk", ["invoices:*"])
        .role("lead", ["users:manage"])
        .role("owner", ["*"])
        .role("none", Vec::<String>::new())
        .inherits("lead", ["clerk"])
        .inherits("clerk", ["viewer"])
        .build()
        .unwrap()
}

fn user(grants: &[(&str, &str)]) -> User {
    let mut user = User::new("ada", "acme", Timestamp::UNIX_EPOCH);
    user.roles = grants.iter().map(|(role, scope)| RoleGrant::new(*role, *scope)).collect();
    user
}

fn acme(path: &str) -> Scope {
    Scope::new("acme", path)
}

fn allowed(user: &User, path: &str) -> Vec<&'static str> {
    let granted = roles().granted(user);
    PERMISSIONS.into_iter().filter(|name| granted.allows(&Permission::new(name), &acme(path))).collect()
}

#[test]
fn roles_give_what_they_and_their_parents_say() {
    assert_eq!(allowed(&user(&[("viewer", "")]), ""), ["invoices:read"]);
    assert_eq!(
        allowed(&user(&[("clerk", "")]), ""),
        ["invoices:read", "invoices:write"],
        "and not invoicesx"
    );
    assert_eq!(allowed(&user(&[("lead", "")]), "a/b"), ["invoices:read", "invoices:write", "users:manage"]);
    assert_eq!(allowed(&user(&[("owner", "")]), ""), PERMISSIONS);
    for nothing in [user(&[]), user(&[("none", "")]), user(&[("unknown", "")]), user(&[("Viewer", "")])] {
        assert!(allowed(&nothing, "").is_empty());
    }
}

#[test]
fn definitions_are_checked_and_the_error_names_what_is_wrong() {
    let base = || Roles::builder(["a:read", "b:read"]).role("one", ["a:read"]).role("two", ["b:*"]);
    assert!(base().build().is_ok());
    for (wrong, named) in [
        (base().role("three", ["a:wriet"]), "a:wriet"),
        (base().role("three", ["c:*"]), "c:*"),
        (base().role("three", ["a*"]), "a*"),
        (base().role("three", [""]), "three"),
        (base().role("one", ["b:read"]), "one"),
        (base().inherits("one", ["nobody"]), "nobody"),
        (base().inherits("nobody", ["one"]), "nobody"),
        (base().inherits("one", ["one"]), "one"),
        (base().inherits("one", ["two"]).inherits("two", ["one"]), "one"),
        (
            base().role("x", ["*"]).inherits("x", ["one"]).inherits("one", ["two"]).inherits("two", ["one"]),
            "two",
        ),
        (Roles::builder(["a:*"]), "a:*"),
        (Roles::builder([""]), "``"),
        (Roles::builder(["a b"]), "a b"),
    ] {
        let e = wrong.build().unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Config);
        assert!(e.message().contains(named), "{e} should name {named}");
    }
    let diamond = base().role("top", ["*"]).inherits("top", ["one", "two"]).role("base", ["a:read"]);
    assert!(diamond.inherits("one", ["base"]).inherits("two", ["base"]).build().is_ok());
}

#[test]
fn a_scope_covers_itself_and_what_is_below() {
    let in_seven = user(&[("viewer", "projects/7")]);
    for (path, inside) in [
        ("projects/7", true),
        ("projects/7/docs", true),
        ("projects/70", false),
        ("projects/7x/docs", false),
        ("projects", false),
        ("", false),
        ("Projects/7", false),
        ("x/projects/7", false),
        ("projects/7/", false),
        ("projects/7//docs", false),
        ("projects/7/../8", false),
        ("projects/7/.", false),
        ("/projects/7", false),
        ("projects/7/a\nb", false),
    ] {
        assert_eq!(!allowed(&in_seven, path).is_empty(), inside, "{path:?}");
    }
    assert!(allowed(&user(&[("owner", "")]), "a/../b").is_empty(), "nobody is allowed anything nowhere");
}

#[test]
fn a_denial_names_the_permission_and_what_is_left_behind_is_found() {
    let ada = user(&[("viewer", "projects/7"), ("gone", ""), ("viewer", "a//b")]);
    let read = Permission::new("invoices:read");
    roles().check(&ada, &read, &acme("projects/7")).unwrap();
    let e = roles().check(&ada, &read, &acme("projects/8")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::PermissionDenied);
    assert!(e.hint().unwrap().contains("`invoices:read`") && e.hint().unwrap().contains("projects/8"));
    let e =
        roles().check(&user(&[("owner", "")]), &Permission::new("invoices:wriet"), &acme("")).unwrap_err();
    assert!(e.hint().unwrap().contains("not declared"));
    let dangling: Vec<_> = roles().dangling(&ada).into_iter().map(|it| it.role.clone()).collect();
    assert_eq!(dangling, ["gone", "viewer"]);
}

#[test]
fn a_disabled_user_has_nothing() {
    let mut ada = user(&[("owner", "")]);
    ada.disabled_at = Some(Timestamp::UNIX_EPOCH);
    assert!(allowed(&ada, "").is_empty() && roles().granted(&ada).is_empty());
}

#[test]
fn a_key_does_what_it_is_for_and_its_user_may() {
    let clerk = roles().granted(&user(&[("clerk", "projects/7")]));
    let key = roles().only(["invoices:read", "users:manage", "undeclared"], &acme(""));
    let both = clerk.intersect(&key);
    let allows = |name: &'static str, path: &str| both.allows(&Permission::new(name), &acme(path));
    assert!(allows("invoices:read", "projects/7"));
    assert!(
        !allows("invoices:read", "")
            && !allows("invoices:write", "projects/7")
            && !allows("users:manage", "projects/7")
    );
    assert!(clerk.intersect(&Granted::default()).is_empty());
    assert!(
        !clerk
            .intersect(&roles().only(["invoices:read"], &Scope::new("other", "")))
            .allows(&Permission::new("invoices:read"), &acme("projects/7"))
    );
}

#[tokio::test]
async fn nobody_gives_or_takes_what_they_do_not_have() {
    let users = MemoryUsers::new();
    let new = async |id: &str, tenant: &str| {
        users.insert(&User::new(id, tenant, Timestamp::UNIX_EPOCH)).await.unwrap()
    };
    let (clerk, eve) = (new("clerk", "acme").await, new("eve", "acme").await);
    new("eve", "other").await;
    let grant = |role: &str, scope: &str| RoleGrant::new(role, scope);
    let clerk = roles().assign(&users, "acme", &clerk.id, &grant("clerk", "projects/7")).await.unwrap();
    let again = roles().assign(&users, "acme", &clerk.id, &grant("clerk", "projects/7")).await.unwrap();
    assert_eq!(again.version, clerk.version, "what is there is not written again");

    for (role, scope) in [("clerk", "projects/7"), ("viewer", "projects/7/docs"), ("none", "")] {
        let eve = roles().assign_by(&clerk, &users, &eve.id, &grant(role, scope)).await.unwrap();
        assert!(eve.roles.contains(&grant(role, scope)));
    }
    for (role, scope) in
        [("owner", "projects/7"), ("lead", "projects/7"), ("viewer", ""), ("viewer", "projects/70")]
    {
        let e = roles().assign_by(&clerk, &users, &eve.id, &grant(role, scope)).await.unwrap_err();
        assert_eq!((e.kind(), e.code()), (ErrorKind::PermissionDenied, Some("beyond_own")));
        assert!(e.hint().unwrap().contains(role));
    }
    let kept = users.user("acme", &eve.id).await.unwrap().unwrap();
    assert_eq!(kept.roles.len(), 3);
    roles().assign(&users, "acme", &eve.id, &grant("owner", "")).await.unwrap();
    assert!(roles().revoke_by(&clerk, &users, &eve.id, &grant("owner", "")).await.is_err());
    let less = roles().revoke_by(&clerk, &users, &eve.id, &grant("clerk", "projects/7")).await.unwrap();
    assert_eq!(less.roles.len(), 3);

    for (role, scope) in [("unknown", ""), ("viewer", "projects/7/"), ("viewer", "projects/7/../8")] {
        let e = roles().assign_by(&clerk, &users, &eve.id, &grant(role, scope)).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    }
    let e = roles()
        .assign_by(&clerk, &users, &"nobody".into(), &grant("viewer", "projects/7"))
        .await
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);

    // What counts is what the store says by now, not what the caller still holds.
    roles().revoke(&users, "acme", &clerk.id, &grant("clerk", "projects/7")).await.unwrap();
    assert!(roles().assign_by(&clerk, &users, &eve.id, &grant("viewer", "projects/7")).await.is_err());
    let mut disabled = users.user("acme", &eve.id).await.unwrap().unwrap();
    disabled.disabled_at = Some(Timestamp::UNIX_EPOCH);
    users.replace(&disabled).await.unwrap().unwrap();
    assert!(roles().assign_by(&disabled, &users, &clerk.id, &grant("none", "")).await.is_err());
    assert!(users.user("other", &eve.id).await.unwrap().unwrap().roles.is_empty());
}

fn paths() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec!["a", "b", "aa", "..", ""]);
    prop::collection::vec(names, 0..4).prop_map(|names| names.join("/"))
}

fn grants() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let role = prop::sample::select(vec!["viewer", "clerk", "lead", "owner", "none", "unknown"]);
    prop::collection::vec((role, paths()), 0..6)
}

fn holder(tenant: &str, grants: &[(&'static str, String)]) -> User {
    let mut user = User::new("ada", tenant, Timestamp::UNIX_EPOCH);
    user.roles = grants.iter().map(|(role, path)| RoleGrant::new(*role, path.as_str())).collect();
    user
}

/// What is allowed, by comparing names of paths one by one.
fn model(grants: &[(&'static str, String)], permission: &str, path: &str) -> bool {
    let names = |path: &str| -> Option<Vec<String>> {
        let names: Vec<String> = path.split('/').map(str::to_owned).collect();
        if path.is_empty() {
            return Some(Vec::new());
        }
        names.iter().all(|name| !name.is_empty() && name != "..").then_some(names)
    };
    let gives = |role: &str| -> BTreeSet<&str> {
        match role {
            "viewer" => PERMISSIONS[..1].iter().copied().collect(),
            "clerk" => PERMISSIONS[..2].iter().copied().collect(),
            "lead" => [PERMISSIONS[0], PERMISSIONS[1], PERMISSIONS[3]].into(),
            "owner" => PERMISSIONS.into(),
            _ => BTreeSet::new(),
        }
    };
    let Some(path) = names(path) else { return false };
    grants.iter().any(|(role, within)| {
        gives(role).contains(permission) && names(within).is_some_and(|within| path.starts_with(&within))
    })
}

proptest! {
    #[test]
    fn what_is_allowed_is_what_the_model_allows(grants in grants(), more in grants(), path in paths(), at in 0..4_usize) {
        let (name, scope) = (PERMISSIONS[at], acme(&path));
        let allows = |grants: &[(&'static str, String)]| {
            roles().check(&holder("acme", grants), &Permission::new(name), &scope).is_ok()
        };
        let allowed = allows(&grants);
        prop_assert_eq!(allowed, model(&grants, name, &path));
        prop_assert_eq!(allowed, allows(&grants), "the same question has the same answer");
        let all = [&grants[..], &more].concat();
        prop_assert!(!allowed || allows(&all), "more grants never deny");
        let reversed: Vec<_> = grants.iter().cloned().rev().collect();
        prop_assert_eq!(allowed, allows(&reversed));
        let elsewhere = roles().check(&holder("acme", &all), &Permission::new(name), &Scope::new("other", path));
        prop_assert!(elsewhere.is_err(), "a tenant's grant never counts in another");
    }

    #[test]
    fn both_allow_what_each_allows(one in grants(), two in grants(), path in paths(), at in 0..4_usize) {
        let (one, two) = (roles().granted(&holder("acme", &one)), roles().granted(&holder("acme", &two)));
        let allows = |granted: &Granted| granted.allows(&Permission::new(PERMISSIONS[at]), &acme(&path));
        prop_assert_eq!(allows(&one.intersect(&two)), allows(&one) && allows(&two));
        prop_assert_eq!(allows(&two.intersect(&one)), allows(&one) && allows(&two));
    }
}
