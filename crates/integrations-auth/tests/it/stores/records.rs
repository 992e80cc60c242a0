//! What every store of records does.

use std::sync::Arc;

use integrations_auth::{Draft, RecordId, RecordStore, UserId};
use integrations_core::Secret;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

type Records = Arc<dyn RecordStore>;

super::suite! { records:
    a_record_comes_back_as_it_went_in
    a_first_write_needs_that_there_is_none
    a_write_needs_the_version_that_it_saw
    of_all_who_write_over_the_same_version_one_wins
    of_all_who_take_a_record_one_gets_it
    what_is_over_is_absent
    what_is_over_makes_room
    an_owners_records_come_in_order_and_go_together
    a_write_may_change_the_owner
    a_sweep_removes_what_is_over_and_no_more_than_asked
    tenants_and_kinds_share_nothing
    no_call_for_a_tenant_gives_anothers
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn id(key: &str) -> RecordId {
    RecordId::new("acme", "state", key)
}

fn draft(value: &str, ends: i64) -> Draft {
    Draft { owner: None, expires_at: at(ends), value: Secret::new(value.as_bytes().to_vec()) }
}

fn owned(value: &str, owner: &str) -> Draft {
    Draft { owner: Some(owner.into()), ..draft(value, 100) }
}

async fn read(records: &Records, id: &RecordId) -> Option<(u64, String)> {
    let record = records.get(id, at(0)).await.unwrap()?;
    Some((record.version, String::from_utf8(record.draft.value.expose().clone()).unwrap()))
}

async fn a_record_comes_back_as_it_went_in(here: &Records, there: &Records) {
    for (n, value) in [vec![], vec![0, 255, 7], vec![1; 100_000]].into_iter().enumerate() {
        for owner in [None, Some(UserId::new("")), Some(UserId::new("ada"))] {
            let name = id(&format!("{n} {owner:?}"));
            let sent = Draft { owner: owner.clone(), expires_at: at(9), value: Secret::new(value.clone()) };
            assert_eq!(here.put(&name, 0, &sent, at(0)).await.unwrap(), Some(1));
            let got = there.get(&name, at(0)).await.unwrap().unwrap();
            let back = (got.version, got.draft.owner, got.draft.expires_at, got.draft.value.expose().clone());
            assert_eq!(back, (1, owner, at(9), value.clone()));
        }
    }
    assert!(there.get(&id("absent"), at(0)).await.unwrap().is_none());
}

async fn a_first_write_needs_that_there_is_none(here: &Records, there: &Records) {
    assert_eq!(here.put(&id("a"), 1, &draft("x", 9), at(0)).await.unwrap(), None);
    assert_eq!(here.put(&id("a"), 0, &draft("x", 9), at(0)).await.unwrap(), Some(1));
    assert_eq!(there.put(&id("a"), 0, &draft("y", 9), at(0)).await.unwrap(), None);
    assert_eq!(read(here, &id("a")).await, Some((1, "x".to_owned())));
}

async fn a_write_needs_the_version_that_it_saw(here: &Records, there: &Records) {
    here.put(&id("a"), 0, &draft("x", 9), at(0)).await.unwrap();
    assert_eq!(there.put(&id("a"), 1, &draft("y", 9), at(0)).await.unwrap(), Some(2));
    for seen in [0, 1, 3, u64::MAX] {
        assert_eq!(here.put(&id("a"), seen, &draft("z", 9), at(0)).await.unwrap(), None);
    }
    assert_eq!(read(here, &id("a")).await, Some((2, "y".to_owned())));
    there.take(&id("a"), at(0)).await.unwrap().unwrap();
    assert_eq!(
        here.put(&id("a"), 2, &draft("z", 9), at(0)).await.unwrap(),
        None,
        "what was taken stays away"
    );
}

async fn of_all_who_write_over_the_same_version_one_wins(here: &Records, there: &Records) {
    for seen in 0..4 {
        let results = at_once(here, there, move |store, n| async move {
            store.put(&id("a"), seen, &draft(&n.to_string(), 9), at(0)).await.unwrap()
        })
        .await;
        let won: Vec<usize> = (0..8).filter(|n| results[*n].is_some()).collect();
        assert_eq!(won.len(), 1);
        assert_eq!(read(there, &id("a")).await, Some((seen + 1, won[0].to_string())));
    }
}

async fn of_all_who_take_a_record_one_gets_it(here: &Records, there: &Records) {
    here.put(&id("a"), 0, &draft("x", 9), at(0)).await.unwrap();
    let results =
        at_once(here, there, |store, _| async move { store.take(&id("a"), at(0)).await.unwrap() }).await;
    let won: Vec<_> = results.into_iter().flatten().collect();
    assert_eq!(won.len(), 1);
    assert_eq!(won[0].draft.value.expose(), b"x");
    assert!(read(here, &id("a")).await.is_none());
}

async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    here: &Records,
    there: &Records,
    call: impl Fn(Records, usize) -> F,
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

async fn what_is_over_is_absent(here: &Records, there: &Records) {
    for name in ["a", "b"] {
        let ends = Draft { owner: Some("ada".into()), ..draft("x", 10) };
        here.put(&id(name), 0, &ends, at(0)).await.unwrap();
    }
    let owner = UserId::new("ada");
    assert!(there.get(&id("a"), at(9)).await.unwrap().is_some());
    assert_eq!(there.owned("acme", "state", &owner, at(9)).await.unwrap().len(), 2);
    assert!(there.get(&id("a"), at(10)).await.unwrap().is_none());
    assert!(there.owned("acme", "state", &owner, at(10)).await.unwrap().is_empty());
    assert_eq!(there.put(&id("a"), 1, &draft("y", 99), at(10)).await.unwrap(), None);
    assert!(there.take(&id("a"), at(10)).await.unwrap().is_none());
    assert!(there.take(&id("b"), at(9)).await.unwrap().is_some());
}

async fn what_is_over_makes_room(here: &Records, there: &Records) {
    here.put(&id("a"), 0, &draft("x", 10), at(0)).await.unwrap();
    here.put(&id("a"), 1, &draft("x", 10), at(0)).await.unwrap();
    assert_eq!(there.put(&id("a"), 0, &owned("y", "ada"), at(10)).await.unwrap(), Some(1));
    let found = here.get(&id("a"), at(10)).await.unwrap().unwrap();
    assert_eq!((found.version, found.draft.value.expose().as_slice()), (1, &b"y"[..]));
    assert_eq!(found.draft.owner, Some("ada".into()));
}

async fn an_owners_records_come_in_order_and_go_together(here: &Records, there: &Records) {
    for name in ["b", "B", "é", "a"] {
        here.put(&id(name), 0, &owned(name, "ada"), at(0)).await.unwrap();
    }
    here.put(&id("eves"), 0, &owned("x", "eve"), at(0)).await.unwrap();
    here.put(&id("nobodys"), 0, &draft("x", 9), at(0)).await.unwrap();
    let found = there.owned("acme", "state", &"ada".into(), at(0)).await.unwrap();
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["B", "a", "b", "é"]);
    assert_eq!(found[1].1.draft.value.expose(), b"a");
    assert_eq!(there.remove_owned("acme", "state", &"ada".into()).await.unwrap(), 4);
    assert_eq!(here.remove_owned("acme", "state", &"ada".into()).await.unwrap(), 0);
    assert!(read(here, &id("a")).await.is_none());
    assert!(read(here, &id("eves")).await.is_some() && read(here, &id("nobodys")).await.is_some());
}

async fn a_write_may_change_the_owner(here: &Records, there: &Records) {
    here.put(&id("a"), 0, &owned("x", "ada"), at(0)).await.unwrap();
    here.put(&id("a"), 1, &owned("x", "eve"), at(0)).await.unwrap();
    assert!(there.owned("acme", "state", &"ada".into(), at(0)).await.unwrap().is_empty());
    assert_eq!(there.owned("acme", "state", &"eve".into(), at(0)).await.unwrap().len(), 1);
}

async fn a_sweep_removes_what_is_over_and_no_more_than_asked(here: &Records, there: &Records) {
    for n in 0..7 {
        here.put(&id(&n.to_string()), 0, &draft("x", 10 + n / 5), at(0)).await.unwrap();
    }
    assert_eq!(there.sweep(at(9), 99).await.unwrap(), 0);
    assert_eq!(there.sweep(at(10), 2).await.unwrap(), 2);
    assert_eq!(there.sweep(at(10), 0).await.unwrap(), 0);
    assert_eq!(here.sweep(at(10), 99).await.unwrap(), 3);
    assert_eq!(here.sweep(at(10), 99).await.unwrap(), 0);
    assert!(read(there, &id("5")).await.is_some() && read(there, &id("6")).await.is_some());
}

async fn tenants_and_kinds_share_nothing(here: &Records, there: &Records) {
    let own = RecordId::new("acme", "state", "a");
    here.put(&own, 0, &owned("x", "ada"), at(0)).await.unwrap();
    for other in [
        RecordId::new("", "state", "a"),
        RecordId::new("acme", "reset", "a"),
        RecordId::new("ACME", "state", "a"),
    ] {
        assert!(there.get(&other, at(0)).await.unwrap().is_none());
        assert!(there.take(&other, at(0)).await.unwrap().is_none());
        assert_eq!(there.put(&other, 1, &draft("y", 9), at(0)).await.unwrap(), None);
        assert!(there.owned(&other.tenant, other.kind, &"ada".into(), at(0)).await.unwrap().is_empty());
        assert_eq!(there.remove_owned(&other.tenant, other.kind, &"ada".into()).await.unwrap(), 0);
        assert_eq!(there.put(&other, 0, &draft("y", 9), at(0)).await.unwrap(), Some(1));
    }
    assert_eq!(read(there, &own).await, Some((1, "x".to_owned())));
}

/// Any calls, with names that differ little: what is found says whose it is.
async fn no_call_for_a_tenant_gives_anothers(here: &Records, there: &Records) {
    let names = || prop::sample::select(vec!["", "a", "A", "aa", "a/", "a\u{1}"]);
    let calls = prop::collection::vec((0..5_u8, names(), names(), names(), 0..3_u64), 1..60);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(1));
    let calls = calls.new_tree(&mut runner).unwrap().current();
    for (n, (what, tenant, key, owner, seen)) in calls.into_iter().enumerate() {
        let records = if n % 2 == 0 { here } else { there };
        let (id, owner) = (RecordId::new(tenant, "state", key), UserId::new(owner));
        let is_theirs =
            |value: &Secret<Vec<u8>>| assert!(value.expose().starts_with(format!("{tenant}|").as_bytes()));
        match what {
            0 => drop(
                records
                    .put(&id, seen, &owned(&format!("{tenant}|{key}"), owner.as_str()), at(0))
                    .await
                    .unwrap(),
            ),
            1 => records.get(&id, at(0)).await.unwrap().iter().for_each(|it| is_theirs(&it.draft.value)),
            2 => records.take(&id, at(0)).await.unwrap().iter().for_each(|it| is_theirs(&it.draft.value)),
            3 => {
                let found = records.owned(tenant, "state", &owner, at(0)).await.unwrap();
                for (_, it) in found {
                    is_theirs(&it.draft.value);
                }
            }
            _ => drop(records.remove_owned(tenant, "state", &owner).await.unwrap()),
        }
    }
}
