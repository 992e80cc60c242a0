//! What every store does. Times are given, so that nothing waits.

use super::*;

/// Runs each case on each store.
macro_rules! suite {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&crate::inbox::MemoryInbox::new()).await;
            })+
        }
        #[cfg(feature = "sqlite")]
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                let store = crate::store::Store::in_memory().await.unwrap();
                super::$case(&crate::inbox::SqliteInbox::new(store).await.unwrap()).await;
            })+
        }
    };
}

suite! {
    an_event_is_stored_once_and_its_repetitions_are_counted,
    all_of_an_event_comes_back,
    the_events_of_an_entity_are_handled_one_at_a_time,
    a_worker_that_lost_its_lease_writes_nothing,
    what_is_older_than_what_was_applied_is_stale,
    the_vendors_time_orders_too,
    a_failed_event_holds_back_its_entity_and_nothing_else,
    a_refetch_settles_what_came_before_it_and_nothing_later,
    what_cannot_be_ordered_or_believed_is_read_from_the_api,
    dead_letters_are_listed_and_replayed_with_new_attempts,
    dead_letters_can_be_discarded,
    a_done_event_can_be_forced_once_more,
    an_event_that_never_answers_dies,
    tenants_take_turns,
    a_tenant_has_no_more_than_its_share,
    a_lane_that_waits_takes_no_room_from_those_that_are_due,
    bodies_go_first_then_ids_and_dead_letters_stay,
    the_next_time_is_known,
}

async fn put(store: &dyn InboxStore, entries: Vec<Entry>, now: i64) -> (u32, u32) {
    let accepted = store.accept(entries, at(now)).await.unwrap();
    (accepted.fresh, accepted.duplicates)
}

async fn lease(store: &dyn InboxStore, owner: &str, now: i64) -> Vec<Leased> {
    store.lease(&turn(owner, now)).await.unwrap()
}

/// Leases what is due and ends all of it well; the ids.
async fn apply(store: &dyn InboxStore, now: i64) -> Vec<String> {
    let mut ids = Vec::new();
    for leased in lease(store, "w", now).await {
        assert!(store.finish(&leased.lease, done(), at(now)).await.unwrap());
        ids.push(leased.entry.event.id);
    }
    ids
}

async fn apply_all(store: &dyn InboxStore, now: i64) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let some = apply(store, now).await;
        if some.is_empty() {
            return ids;
        }
        ids.extend(some);
    }
}

fn ids(leased: &[Leased]) -> Vec<&str> {
    leased.iter().map(|leased| &*leased.entry.event.id).collect()
}

fn plain(tenant: &str, id: &str) -> Entry {
    entry(tenant, event(id), Ordering::Arrival)
}

fn versioned(id: &str, version: u64) -> Entry {
    entry("t", about(id, "x").version(version), Ordering::ByVersion)
}

async fn an_event_is_stored_once_and_its_repetitions_are_counted(store: &dyn InboxStore) {
    assert_eq!(put(store, vec![plain("t", "a"), plain("t", "b"), plain("t", "a")], 0).await, (2, 1));
    assert_eq!(put(store, vec![plain("t", "a"), plain("u", "a")], 1).await, (1, 1));
    let other = Entry::new(Source::new("t", "another", "endpoint"), event("a"), Ordering::Arrival);
    assert_eq!(put(store, vec![other], 1).await, (1, 0));
    let leased = lease(store, "w", 2).await;
    let a = leased.iter().find(|l| l.entry.event.id == "a" && l.entry.source == source("t")).unwrap();
    assert_eq!((a.duplicates, a.attempt, a.round, a.first_seen), (2, 1, 0, at(0)));
    assert_eq!(apply_all(store, 100).await.len(), 4);
    assert_eq!(put(store, vec![plain("t", "a")], 101).await, (0, 1), "also after it was applied");
    assert_eq!(apply_all(store, 102).await.len(), 0);
    assert_eq!(store.counts().await.unwrap(), Counts { done: 4, ..Counts::default() });
}

async fn all_of_an_event_comes_back(store: &dyn InboxStore) {
    let full = about("ünï", "x").version(u64::MAX).occurred_at(at(-5)).live(true);
    let bare = Event { trust: Trust::Authenticated, payload: vec![0, 255].into(), ..event("") };
    let entries = vec![entry("", full, Ordering::ByVersion), entry("", bare, Ordering::ByVendorTime)];
    put(store, entries.clone(), 0).await;
    let leased = lease(store, "w", 0).await;
    assert_eq!(leased.len(), 2, "also of the tenant without a name");
    for expected in entries {
        assert!(leased.iter().any(|leased| leased.entry == expected), "{expected:?}");
    }
}

async fn the_events_of_an_entity_are_handled_one_at_a_time(store: &dyn InboxStore) {
    let of = |id: &str, entity: &str| entry("t", about(id, entity), Ordering::Arrival);
    put(store, vec![of("a", "x"), of("b", "x"), of("c", "y"), plain("t", "d"), plain("t", "e")], 0).await;
    let elsewhere = Entry::new(source("u"), about("f", "x"), Ordering::Arrival);
    put(store, vec![elsewhere], 0).await;
    let first = lease(store, "w", 0).await;
    let mut free = ids(&first);
    free.sort_unstable();
    assert_eq!(free, ["a", "c", "d", "e", "f"]);
    assert!(lease(store, "other", 0).await.is_empty());
    assert_eq!(store.counts().await.unwrap(), Counts { waiting: 1, leased: 5, ..Counts::default() });
    let a = first.iter().find(|leased| leased.entry.event.id == "a").unwrap();
    assert!(store.finish(&a.lease, done(), at(1)).await.unwrap());
    assert_eq!(ids(&lease(store, "other", 1).await), ["b"]);
}

async fn a_worker_that_lost_its_lease_writes_nothing(store: &dyn InboxStore) {
    put(store, vec![plain("t", "a")], 0).await;
    let slow = lease(store, "w", 0).await.remove(0);
    assert!(lease(store, "v", 59).await.is_empty());
    // The same owner too: it is the fence that counts.
    let again = lease(store, "w", 60).await.remove(0);
    assert_eq!((again.attempt, again.lease.fence), (2, slow.lease.fence + 1));
    for outcome in [done(), Outcome::Dead("late".to_owned()), Outcome::Retry(at(61), "late".to_owned())] {
        assert!(!store.finish(&slow.lease, outcome, at(61)).await.unwrap());
    }
    let stolen = Lease { owner: "v".to_owned(), ..again.lease.clone() };
    assert!(!store.finish(&stolen, done(), at(61)).await.unwrap());
    assert_eq!(store.counts().await.unwrap().leased, 1);
    assert!(store.finish(&again.lease, done(), at(62)).await.unwrap());
    assert!(!store.finish(&again.lease, done(), at(62)).await.unwrap(), "a lease ends with its result");
    assert_eq!(store.counts().await.unwrap(), Counts { done: 1, ..Counts::default() });
}

async fn what_is_older_than_what_was_applied_is_stale(store: &dyn InboxStore) {
    put(store, vec![versioned("five", 5), versioned("two", 2), versioned("three", 3)], 0).await;
    assert_eq!(apply_all(store, 0).await, ["two", "three", "five"], "what waits is put in order");
    put(store, vec![versioned("four", 4), versioned("five again", 5), versioned("top", u64::MAX)], 1).await;
    assert_eq!(apply_all(store, 1).await, ["five again", "top"]);
    put(store, vec![versioned("half", u64::MAX / 2), versioned("zero", 0)], 2).await;
    assert!(apply_all(store, 2).await.is_empty());
    assert_eq!(store.counts().await.unwrap(), Counts { done: 5, stale: 3, ..Counts::default() });
    assert_eq!(store.next_due().await.unwrap(), None);
}

async fn the_vendors_time_orders_too(store: &dyn InboxStore) {
    let of = |id: &str, time| entry("t", about(id, "x").occurred_at(at(time)), Ordering::ByVendorTime);
    put(store, vec![of("b", 20), of("a", 10)], 0).await;
    assert_eq!(apply_all(store, 0).await, ["a", "b"]);
    put(store, vec![of("c", 19), of("d", 20), of("e", 21)], 1).await;
    assert_eq!(apply_all(store, 1).await, ["d", "e"]);
    assert_eq!(store.counts().await.unwrap().stale, 1);
}

async fn a_failed_event_holds_back_its_entity_and_nothing_else(store: &dyn InboxStore) {
    put(store, vec![versioned("one", 1), versioned("two", 2), plain("t", "other")], 0).await;
    let leased = lease(store, "w", 0).await;
    let one = leased.iter().find(|leased| leased.entry.event.id == "one").unwrap();
    let retry = Outcome::Retry(at(90), "not now".to_owned());
    assert!(store.finish(&one.lease, retry, at(1)).await.unwrap());
    put(store, vec![versioned("three", 3)], 2).await;
    assert_eq!(ids(&lease(store, "w", 89).await), ["other"], "whose lease had run out");
    let again = lease(store, "w", 90).await.remove(0);
    assert_eq!((&*again.entry.event.id, again.attempt), ("one", 2));
    assert!(store.finish(&again.lease, Outcome::Dead("never".to_owned()), at(91)).await.unwrap());
    assert_eq!(apply_all(store, 91).await, ["two", "three"], "the dead hold back nobody");
}

async fn a_refetch_settles_what_came_before_it_and_nothing_later(store: &dyn InboxStore) {
    let of = |id: &str, entity: &str| entry("t", about(id, entity), Ordering::Refetch);
    put(store, vec![of("a", "x"), of("b", "x"), of("c", "x"), of("z", "y")], 0).await;
    let leased = lease(store, "w", 0).await;
    assert_eq!(ids(&leased), ["a", "z"]);
    put(store, vec![of("d", "x")], 1).await;
    assert!(store.finish(&leased[0].lease, done(), at(2)).await.unwrap());
    assert_eq!(store.counts().await.unwrap(), Counts { waiting: 1, leased: 1, done: 3, ..Counts::default() });
    assert_eq!(ids(&lease(store, "w", 3).await), ["d"]);
}

async fn what_cannot_be_ordered_or_believed_is_read_from_the_api(store: &dyn InboxStore) {
    let entries = vec![
        entry("t", claim("claim", "a"), Ordering::Arrival),
        entry("t", Event { version: Some(7), ..claim("versioned claim", "b") }, Ordering::ByVersion),
        entry("t", Event { entity: None, ..claim("bare claim", "") }, Ordering::Arrival),
        entry("t", about("no version", "d"), Ordering::ByVersion),
        entry("t", about("no time", "e"), Ordering::ByVendorTime),
        entry("t", event("nothing to order").version(3), Ordering::ByVersion),
    ];
    put(store, entries, 0).await;
    for leased in lease(store, "w", 0).await {
        let by_itself = leased.entry.event.id == "nothing to order";
        let expected = if by_itself { Ordering::Arrival } else { Ordering::Refetch };
        assert_eq!(leased.entry.ordering, expected, "{}", leased.entry.event.id);
    }
}

async fn die(store: &dyn InboxStore, now: i64, why: &str) {
    for leased in lease(store, "w", now).await {
        assert!(store.finish(&leased.lease, Outcome::Dead(why.to_owned()), at(now)).await.unwrap());
    }
}

async fn dead_letters_are_listed_and_replayed_with_new_attempts(store: &dyn InboxStore) {
    for (now, id) in [(1, "a"), (2, "b"), (3, "c")] {
        put(store, vec![plain("t", id)], now).await;
        die(store, now, &format!("{id} is bad")).await;
    }
    let dead = store.dead_letters(2).await.unwrap();
    assert_eq!(dead.iter().map(|dead| &*dead.key.event_id).collect::<Vec<_>>(), ["c", "b"]);
    assert_eq!((&*dead[0].error, dead[0].attempts, dead[0].died_at), ("c is bad", 1, at(3)));
    assert!(apply_all(store, 4).await.is_empty());

    let one = Replay::Dead(EventKey::new("t", "vendor", "a"));
    assert_eq!(store.replay(&one, at(5)).await.unwrap(), 1);
    assert_eq!(store.replay(&one, at(5)).await.unwrap(), 0, "it waits already");
    assert_eq!(store.replay(&Replay::Dead(EventKey::new("u", "vendor", "b")), at(5)).await.unwrap(), 0);
    let again = lease(store, "w", 5).await.remove(0);
    assert_eq!((&*again.entry.event.id, again.attempt, again.round), ("a", 1, 0));
    assert!(store.finish(&again.lease, done(), at(5)).await.unwrap());
    assert_eq!(store.replay(&one, at(6)).await.unwrap(), 0, "it is done");

    assert_eq!(store.replay(&Replay::DeadSince(at(3)), at(7)).await.unwrap(), 1);
    assert_eq!(store.replay(&Replay::DeadSince(at(0)), at(7)).await.unwrap(), 1);
    assert_eq!(apply_all(store, 8).await.len(), 2);
    assert!(store.dead_letters(9).await.unwrap().is_empty());
}

async fn dead_letters_can_be_discarded(store: &dyn InboxStore) {
    for (now, id) in [(1, "a"), (2, "b")] {
        put(store, vec![plain("t", id)], now).await;
        die(store, now, "bad").await;
    }
    put(store, vec![plain("t", "waits")], 3).await;
    assert_eq!(store.discard_dead(at(2)).await.unwrap(), 1);
    let left = store.dead_letters(9).await.unwrap();
    assert_eq!(left.iter().map(|dead| &*dead.key.event_id).collect::<Vec<_>>(), ["b"]);
    assert_eq!(
        put(store, vec![plain("t", "a"), plain("t", "b")], 4).await,
        (1, 1),
        "its id is forgotten too"
    );
    assert_eq!(apply_all(store, 5).await.len(), 2, "what waited and what came again");
}

async fn a_done_event_can_be_forced_once_more(store: &dyn InboxStore) {
    put(store, vec![versioned("one", 1)], 0).await;
    apply_all(store, 0).await;
    put(store, vec![versioned("two", 2)], 1).await;
    apply_all(store, 1).await;
    let force = Replay::Force(EventKey::new("t", "vendor", "one"));
    assert_eq!(store.replay(&force, at(2)).await.unwrap(), 1);
    let forced = lease(store, "w", 2).await.remove(0);
    assert_eq!((&*forced.entry.event.id, forced.attempt, forced.round), ("one", 1, 1));
    assert!(store.finish(&forced.lease, done(), at(2)).await.unwrap());
    put(store, vec![versioned("old", 1)], 3).await;
    assert!(apply_all(store, 3).await.is_empty(), "the order is still that of the second");
    assert_eq!(store.replay(&Replay::Force(EventKey::new("t", "vendor", "gone")), at(4)).await.unwrap(), 0);
}

async fn an_event_that_never_answers_dies(store: &dyn InboxStore) {
    put(store, vec![plain("t", "a")], 0).await;
    let mut last = Vec::new();
    for attempt in 1..=3 {
        last = lease(store, "w", i64::from(attempt) * 60).await;
        assert_eq!(last[0].attempt, attempt);
    }
    assert!(lease(store, "w", 1000).await.is_empty());
    assert_eq!(store.dead_letters(9).await.unwrap()[0].error, NEVER_ANSWERED);
    assert!(!store.finish(&last[0].lease, done(), at(1001)).await.unwrap(), "it was given up");
}

async fn tenants_take_turns(store: &dyn InboxStore) {
    let noisy: Vec<_> = (0..50).map(|n| plain("noisy", &format!("n{n}"))).collect();
    put(store, noisy, 0).await;
    put(store, vec![plain("ant", "a"), plain("bee", "b1"), plain("bee", "b2"), plain("zoe", "z")], 1).await;
    let tenants = |leased: &[Leased]| {
        leased.iter().map(|leased| leased.entry.source.tenant.clone()).collect::<Vec<_>>()
    };
    let first = Turn { room: 3, after: "bee".to_owned(), ..turn("w", 2) };
    assert_eq!(tenants(&store.lease(&first).await.unwrap()), ["noisy", "zoe", "ant"]);
    let second = Turn { room: 5, after: "ant".to_owned(), ..turn("w", 2) };
    assert_eq!(tenants(&store.lease(&second).await.unwrap()), ["bee", "noisy", "bee", "noisy", "noisy"]);
}

async fn a_tenant_has_no_more_than_its_share(store: &dyn InboxStore) {
    let noisy: Vec<_> = (0..50).map(|n| plain("noisy", &format!("n{n}"))).collect();
    put(store, noisy, 0).await;
    put(store, vec![plain("quiet", "q")], 1).await;
    let busy = Turn { per_tenant: 4, running: [("noisy".to_owned(), 3)].into(), ..turn("w", 2) };
    let leased = store.lease(&busy).await.unwrap();
    assert_eq!(ids(&leased), ["n0", "q"]);
    let full = Turn { per_tenant: 4, running: [("noisy".to_owned(), 4)].into(), ..turn("w", 2) };
    assert!(store.lease(&full).await.unwrap().is_empty());
}

/// A new event makes a lane look due whose first event is to be tried later.
async fn a_lane_that_waits_takes_no_room_from_those_that_are_due(store: &dyn InboxStore) {
    let of_x = |id: &str| entry("t", about(id, "x"), Ordering::Arrival);
    put(store, vec![of_x("1")], 0).await;
    let failed = lease(store, "w", 0).await.remove(0);
    store.finish(&failed.lease, Outcome::Retry(at(100), "later".to_owned()), at(0)).await.unwrap();
    put(store, vec![of_x("2"), plain("t", "3"), plain("u", "4")], 1).await;
    for (per_tenant, expected) in [(1, "3"), (1, "4")] {
        let turn = Turn { room: 1, per_tenant, ..turn("w", 2) };
        assert_eq!(ids(&store.lease(&turn).await.unwrap()), [expected]);
    }
}

async fn bodies_go_first_then_ids_and_dead_letters_stay(store: &dyn InboxStore) {
    put(store, vec![plain("t", "bad")], 0).await;
    die(store, 0, "bad").await;
    put(store, vec![versioned("two", 2)], 1).await;
    apply_all(store, 1).await;
    put(store, vec![versioned("one", 1)], 2).await;
    apply_all(store, 2).await;
    put(store, vec![plain("t", "waits")], 3).await;
    let purge = async |bodies, keys| {
        let purged = store.purge(at(bodies), at(keys)).await.unwrap();
        (purged.bodies, purged.events)
    };
    assert_eq!(purge(1, 0).await, (0, 0), "not before its time");
    assert_eq!(purge(2, 0).await, (1, 0));
    assert_eq!(purge(50, 1).await, (1, 0));
    let force = Replay::Force(EventKey::new("t", "vendor", "two"));
    assert_eq!(store.replay(&force, at(9)).await.unwrap_err().kind(), ErrorKind::Precondition);
    assert_eq!(put(store, vec![versioned("two", 2)], 10).await, (0, 1), "its id is still known");
    assert_eq!(purge(50, 50).await, (0, 2));
    assert_eq!(put(store, vec![versioned("two", 2)], 60).await, (1, 0));
    assert_eq!(store.counts().await.unwrap(), Counts { waiting: 2, dead: 1, ..Counts::default() });
    assert_eq!(store.replay(&Replay::DeadSince(at(0)), at(61)).await.unwrap(), 1);
    let leased = lease(store, "w", 61).await;
    assert_eq!(leased.len(), 3);
    assert!(leased.iter().all(|leased| !leased.entry.event.payload.is_empty()));
}

async fn the_next_time_is_known(store: &dyn InboxStore) {
    assert_eq!(store.next_due().await.unwrap(), None);
    put(store, vec![plain("t", "a")], 5).await;
    assert_eq!(store.next_due().await.unwrap(), Some(at(5)));
    let leased = lease(store, "w", 5).await.remove(0);
    assert_eq!(store.next_due().await.unwrap(), Some(at(65)));
    assert!(store.finish(&leased.lease, Outcome::Retry(at(30), String::new()), at(6)).await.unwrap());
    assert_eq!(store.next_due().await.unwrap(), Some(at(30)));
    apply_all(store, 30).await;
    assert_eq!(store.next_due().await.unwrap(), None);
}
