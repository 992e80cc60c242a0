//! What every store does. `here` and `there` are two handles of it.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use integrations_core::ConnectionId;
use integrations_oauth::store::{Draft, Entry, Lease};
use jiff::Timestamp;

use super::open::Handle;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);

pub(crate) fn id(tenant: &str, instance: &str, connection: &str) -> ConnectionId {
    ConnectionId::new(tenant, instance, connection).unwrap()
}

fn user() -> ConnectionId {
    id("acme", "mail", "u1")
}

fn millis(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

fn draft(word: &str) -> Draft {
    let sealed = Bytes::from(format!("sealed {word}"));
    Draft { state: word.to_owned(), since: millis(1_700_000_000_123), sealed, due: None }
}

fn due(at: i64) -> Draft {
    Draft { due: Some(millis(at)), ..draft("ready") }
}

/// Leases what nobody has.
async fn lend(store: &Handle, ttl: Duration) -> Lease {
    store.lease(&user(), ttl).await.unwrap().expect("nobody has it")
}

async fn is_lent(store: &Handle) -> bool {
    store.lease(&user(), LONG).await.unwrap().is_none()
}

pub(crate) async fn a_first_write_needs_that_nothing_is_kept(here: &Handle, there: &Handle) {
    assert_eq!(here.load(&user()).await.unwrap(), None);
    assert_eq!(here.swap(&user(), 1, &draft("early"), None).await.unwrap(), None);
    assert_eq!(here.load(&user()).await.unwrap(), None);

    assert_eq!(here.swap(&user(), 0, &draft("first"), None).await.unwrap(), Some(1));
    let kept = Some(Entry { version: 1, draft: draft("first") });
    assert_eq!(there.load(&user()).await.unwrap(), kept);

    assert_eq!(there.swap(&user(), 0, &draft("second"), None).await.unwrap(), None);
    assert_eq!(here.load(&user()).await.unwrap(), kept);
    assert_eq!(here.load(&id("acme", "mail", "u2")).await.unwrap(), None);
}

pub(crate) async fn a_write_over_a_version_needs_that_version(here: &Handle, there: &Handle) {
    here.swap(&user(), 0, &draft("1"), None).await.unwrap();
    assert_eq!(there.swap(&user(), 1, &draft("2"), None).await.unwrap(), Some(2));
    for stale in [1, 3, u64::MAX] {
        assert_eq!(here.swap(&user(), stale, &draft("late"), None).await.unwrap(), None);
    }
    assert_eq!(here.swap(&user(), 2, &draft("3"), None).await.unwrap(), Some(3));
    let kept = there.load(&user()).await.unwrap().unwrap();
    assert_eq!((kept.version, kept.draft), (3, draft("3")));
}

pub(crate) async fn versions_go_on_after_a_removal(here: &Handle, there: &Handle) {
    assert!(!here.remove(&user(), 0).await.unwrap());
    here.swap(&user(), 0, &due(5), None).await.unwrap();
    here.swap(&user(), 1, &due(5), None).await.unwrap();
    for stale in [0, 1, 3] {
        assert!(!there.remove(&user(), stale).await.unwrap());
    }
    assert!(there.remove(&user(), 2).await.unwrap());
    assert_eq!(here.load(&user()).await.unwrap(), None);
    assert!(!here.remove(&user(), 2).await.unwrap());

    // Whoever knew the one before does not write over the one that follows.
    assert_eq!(here.swap(&user(), 2, &draft("late"), None).await.unwrap(), None);
    let anew = here.swap(&user(), 0, &draft("anew"), None).await.unwrap().unwrap();
    assert!(anew > 2);
    assert_eq!(here.swap(&user(), 2, &draft("late"), None).await.unwrap(), None);
    assert_eq!(there.load(&user()).await.unwrap().unwrap().draft, draft("anew"));
}

/// Runs a call for each number at once, every other one through the other handle.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    (here, there): (&Handle, &Handle),
    count: u32,
    call: impl Fn(Handle, u32) -> F,
) -> Vec<T> {
    let tasks: Vec<_> = (0..count)
        .map(|n| tokio::spawn(call(if n % 2 == 0 { here.clone() } else { there.clone() }, n)))
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

async fn race(here: &Handle, there: &Handle, seen: u64) {
    let swaps = at_once((here, there), 64, |store, n| async move {
        (n, store.swap(&user(), seen, &draft(&n.to_string()), None).await.unwrap())
    });
    let won: Vec<_> = swaps.await.into_iter().filter(|(_, version)| version.is_some()).collect();
    let [(winner, Some(version))] = won[..] else { panic!("{} won", won.len()) };
    assert_eq!(version, seen + 1);
    let kept = there.load(&user()).await.unwrap().unwrap();
    assert_eq!((kept.version, kept.draft), (version, draft(&winner.to_string())));
}

pub(crate) async fn of_concurrent_writers_one_wins_each_version(here: &Handle, there: &Handle) {
    here.swap(&user(), 0, &draft("start"), None).await.unwrap();
    for seen in 1..=4 {
        race(here, there, seen).await;
    }
}

pub(crate) async fn of_concurrent_first_writers_one_wins(here: &Handle, there: &Handle) {
    race(here, there, 0).await;
}

pub(crate) async fn a_connection_is_lent_to_one(here: &Handle, there: &Handle) {
    // Nothing is kept of it.
    let first = lend(here, LONG).await;
    assert!(!first.taken_over);
    assert!(is_lent(here).await && is_lent(there).await);
    assert_eq!(here.load(&user()).await.unwrap(), None);
    assert!(there.lease(&id("acme", "mail", "u2"), LONG).await.unwrap().is_some());

    here.release(&user(), first).await.unwrap();
    let second = lend(there, LONG).await;
    assert!(!second.taken_over);
    assert!(second.fence > first.fence);
}

pub(crate) async fn of_concurrent_borrowers_one_gets_it(here: &Handle, there: &Handle) {
    let mut last = 0;
    for _ in 0..4 {
        let leases =
            at_once((here, there), 32, |store, _| async move { store.lease(&user(), LONG).await.unwrap() });
        let got: Vec<_> = leases.await.into_iter().flatten().collect();
        let [lease] = got[..] else { panic!("{} got it", got.len()) };
        assert!(lease.fence > last && !lease.taken_over);
        last = lease.fence;
        here.release(&user(), lease).await.unwrap();
    }
}

pub(crate) async fn a_lease_of_no_length_is_over_at_once(here: &Handle, there: &Handle) {
    let first = lend(here, Duration::ZERO).await;
    let second = lend(there, Duration::ZERO).await;
    assert!(!first.taken_over && second.taken_over);
    assert!(second.fence > first.fence);
    // However long, it is one.
    let third = lend(here, Duration::MAX).await;
    assert!(third.taken_over && third.fence > second.fence);
    assert!(is_lent(there).await);
}

pub(crate) async fn an_old_lease_releases_nothing(here: &Handle, there: &Handle) {
    let old = lend(here, Duration::ZERO).await;
    let present = lend(there, LONG).await;
    here.release(&user(), old).await.unwrap();
    here.release(&user(), Lease { fence: present.fence + 1, ..present }).await.unwrap();
    here.release(&id("acme", "mail", "nobody"), present).await.unwrap();
    assert!(is_lent(here).await);
    there.release(&user(), present).await.unwrap();
    assert!(!lend(here, LONG).await.taken_over);
}

pub(crate) async fn a_lease_that_ran_out_cannot_be_given_back(here: &Handle, there: &Handle) {
    let over = lend(here, Duration::ZERO).await;
    here.release(&user(), over).await.unwrap();
    assert!(lend(there, LONG).await.taken_over);
}

pub(crate) async fn a_write_ends_the_lease_it_names_and_no_other(here: &Handle, there: &Handle) {
    let first = lend(here, LONG).await;
    // Without a fence, and with another one's.
    here.swap(&user(), 0, &draft("1"), None).await.unwrap();
    here.swap(&user(), 1, &draft("2"), Some(first.fence + 1)).await.unwrap();
    assert!(is_lent(there).await);

    assert_eq!(here.swap(&user(), 2, &draft("3"), Some(first.fence)).await.unwrap(), Some(3));
    let second = lend(there, LONG).await;
    assert!(!second.taken_over && second.fence > first.fence);
    here.swap(&user(), 3, &draft("4"), Some(first.fence)).await.unwrap();
    assert!(is_lent(here).await);
    there.swap(&user(), 4, &draft("5"), Some(second.fence)).await.unwrap();

    // What ran out while its holder wrote has come to a good end all the same, and a first write is no other one.
    let late = lend(here, Duration::ZERO).await;
    here.swap(&user(), 5, &draft("6"), Some(late.fence)).await.unwrap();
    let third = lend(there, LONG).await;
    assert!(!third.taken_over);
    assert!(there.remove(&user(), 6).await.unwrap());
    there.swap(&user(), 0, &draft("anew"), Some(third.fence)).await.unwrap().unwrap();
    assert!(!lend(here, LONG).await.taken_over);
}

pub(crate) async fn a_write_that_lost_leaves_the_lease(here: &Handle, there: &Handle) {
    let lease = lend(here, LONG).await;
    there.swap(&user(), 0, &draft("theirs"), None).await.unwrap();
    for stale in [0, 2] {
        assert_eq!(here.swap(&user(), stale, &draft("ours"), Some(lease.fence)).await.unwrap(), None);
    }
    assert!(is_lent(there).await);
}

pub(crate) async fn fences_grow_over_writes_and_removals(here: &Handle, there: &Handle) {
    let mut last = 0;
    let mut grown = |lease: Lease| {
        assert!(lease.fence > last, "{} after {last}", lease.fence);
        last = lease.fence;
    };
    for _ in 0..3 {
        let lease = lend(here, LONG).await;
        grown(lease);
        let version = here.swap(&user(), 0, &draft("kept"), Some(lease.fence)).await.unwrap().unwrap();
        let held = lend(there, LONG).await;
        grown(held);
        // A removal takes no lease from anybody.
        assert!(here.remove(&user(), version).await.unwrap());
        assert!(is_lent(here).await);
        there.release(&user(), held).await.unwrap();
    }
}

pub(crate) async fn what_is_due_comes_in_order_and_within_the_limit(here: &Handle, there: &Handle) {
    let at = [("b", 30), ("a", 30), ("c", 10), ("d", 20), ("later", 41)];
    for (name, at) in at {
        here.swap(&id("acme", "mail", name), 0, &due(at), None).await.unwrap();
    }
    here.swap(&id("acme", "mail", "never"), 0, &draft("ready"), None).await.unwrap();
    here.swap(&id("", "both/0", "past"), 0, &due(-10), None).await.unwrap();
    let names = async |now, limit| {
        let due = there.due(millis(now), limit).await.unwrap();
        due.iter().map(|id| id.connection.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(40, 10).await, ["past", "c", "d", "a", "b"]);
    assert_eq!(names(40, 2).await, ["past", "c"]);
    assert_eq!(names(20, 10).await, ["past", "c", "d"]);
    assert_eq!(names(40, 0).await, [""; 0]);
    assert_eq!(names(-11, 10).await, [""; 0]);
    assert_eq!(there.due(millis(0), 1).await.unwrap(), [id("", "both/0", "past")]);
}

pub(crate) async fn a_write_and_a_removal_take_back_what_was_due(here: &Handle, there: &Handle) {
    let all = async || there.due(millis(100), 10).await.unwrap().len();
    here.swap(&user(), 0, &due(10), None).await.unwrap();
    assert_eq!(all().await, 1);
    here.swap(&user(), 1, &draft("ready"), None).await.unwrap();
    assert_eq!(all().await, 0);
    here.swap(&user(), 2, &due(20), None).await.unwrap();
    here.swap(&user(), 2, &draft("lost"), None).await.unwrap();
    assert_eq!(all().await, 1);
    here.swap(&user(), 3, &due(200), None).await.unwrap();
    assert_eq!(all().await, 0);
    here.swap(&user(), 4, &due(20), None).await.unwrap();
    assert!(here.remove(&user(), 5).await.unwrap());
    assert_eq!(all().await, 0);
}

/// Names that sort differently by parts, as one text, without punctuation, and without case.
fn names() -> BTreeSet<ConnectionId> {
    let tenants = ["", "a", "a-b", "a.b", "a0", "ab", "B", "b"];
    let rest = [("both/0", "u"), ("both/1", "u"), ("both", "z"), ("mail", "u@example.com"), ("mail", "U.1")];
    let of = |tenant| rest.map(|(instance, connection)| id(tenant, instance, connection));
    tenants.into_iter().flat_map(of).collect()
}

async fn keep_all(store: &Handle) -> Vec<ConnectionId> {
    for id in names() {
        store.swap(&id, 0, &draft(&format!("{id:?}")), None).await.unwrap();
    }
    names().into_iter().collect()
}

async fn pages(store: &Handle, tenant: Option<&str>, limit: u32) -> Vec<ConnectionId> {
    let mut all = Vec::new();
    loop {
        let page = store.list(tenant, all.last(), limit).await.unwrap();
        let ended = page.len() < limit as usize;
        assert!(page.len() <= limit as usize);
        for (id, entry) in page {
            assert_eq!(entry, Entry { version: 1, draft: draft(&format!("{id:?}")) });
            all.push(id);
        }
        if ended {
            return all;
        }
    }
}

pub(crate) async fn pages_hold_everything_once_in_order(here: &Handle, there: &Handle) {
    assert_eq!(here.list(None, None, 10).await.unwrap(), []);
    let all = keep_all(here).await;
    for limit in [1, 7, 40, 1000] {
        assert_eq!(pages(there, None, limit).await, all);
    }
    assert_eq!(there.list(None, None, 0).await.unwrap(), []);
    // A place between connections is one, too.
    let after = there.list(None, Some(&id("a-a", "x", "y")), 1).await.unwrap();
    assert_eq!(after[0].0, id("a-b", "both", "z"));
}

pub(crate) async fn a_tenant_is_listed_alone(here: &Handle, there: &Handle) {
    let all = keep_all(here).await;
    for tenant in ["", "a", "a-b", "B", "b"] {
        let own: Vec<_> = all.iter().filter(|id| *id.tenant == *tenant).cloned().collect();
        for limit in [2, 5, 100] {
            assert_eq!(pages(there, Some(tenant), limit).await, own);
        }
    }
    assert_eq!(pages(there, Some("nobody"), 5).await, []);
    let before = there.list(Some("b"), Some(&id("a", "mail", "u")), 1).await.unwrap();
    assert_eq!(before[0].0, id("b", "both", "z"));
    let behind = there.list(Some("a"), Some(&id("b", "mail", "u")), 1).await.unwrap();
    assert_eq!(behind, []);
}

pub(crate) async fn a_list_follows_writes_and_removals(here: &Handle, there: &Handle) {
    let other = id("acme", "mail", "u0");
    here.swap(&user(), 0, &draft("1"), None).await.unwrap();
    here.swap(&other, 0, &draft("1"), None).await.unwrap();
    // A lease makes no connection.
    here.lease(&id("acme", "mail", "lent"), LONG).await.unwrap();
    here.swap(&user(), 1, &due(5), None).await.unwrap();
    let second = (user(), Entry { version: 2, draft: due(5) });
    let first = (other.clone(), Entry { version: 1, draft: draft("1") });
    assert_eq!(there.list(Some("acme"), None, 10).await.unwrap(), [first, second.clone()]);
    assert!(here.remove(&other, 1).await.unwrap());
    assert_eq!(there.list(Some("acme"), None, 10).await.unwrap(), std::slice::from_ref(&second));
    assert_eq!(there.list(None, None, 10).await.unwrap(), [second]);
}

pub(crate) async fn any_bytes_of_any_size_come_back(here: &Handle, there: &Handle) {
    let all_bytes: Bytes = (0..=255).cycle().take(256 * 1024).collect();
    let texts = [Bytes::new(), Bytes::from_static(b"\0"), Bytes::from_static(b"a\0b\r\n'\\\xff"), all_bytes];
    for (version, sealed) in texts.into_iter().enumerate() {
        let next = Draft { sealed, state: "wörd 'with' \\ marks".to_owned(), ..draft("") };
        here.swap(&user(), version as u64, &next, None).await.unwrap().unwrap();
        assert_eq!(there.load(&user()).await.unwrap().unwrap().draft, next);
        assert_eq!(there.list(None, None, 1).await.unwrap()[0].1.draft, next);
    }
}

pub(crate) async fn times_are_kept_in_whole_milliseconds(here: &Handle, there: &Handle) {
    let fine = Timestamp::from_nanosecond(1_700_000_000_123_456_789).unwrap();
    let far: Timestamp = "9999-12-30T12:00:00.999Z".parse().unwrap();
    for (version, (at, kept)) in [(fine, millis(1_700_000_000_123)), (far, far)].into_iter().enumerate() {
        let next = Draft { since: at, due: Some(at), ..draft("ready") };
        here.swap(&user(), version as u64, &next, None).await.unwrap().unwrap();
        let found = there.load(&user()).await.unwrap().unwrap().draft;
        assert_eq!((found.since, found.due), (kept, Some(kept)));
        assert_eq!(there.due(at, 1).await.unwrap(), [user()]);
        let before = kept - jiff::SignedDuration::from_millis(1);
        assert_eq!(there.due(before, 1).await.unwrap(), []);
    }
}

pub(crate) async fn odd_names_are_different_connections(here: &Handle, there: &Handle) {
    let all = [
        id("", "both/0", "u@example.com"),
        id("", "both", "u@example.com"),
        id("both", "0", "u@example.com"),
        id("a.b", "c", "d"),
        id("a", "b.c", "d"),
        id("a", "b", "c.d"),
        id("a-b", "c", "d"),
        id("A-B", "c", "d"),
    ];
    for (n, id) in all.iter().enumerate() {
        assert_eq!(here.swap(id, 0, &draft(&n.to_string()), None).await.unwrap(), Some(1));
    }
    for (n, id) in all.iter().enumerate() {
        assert_eq!(there.load(id).await.unwrap().unwrap().draft, draft(&n.to_string()));
    }
}
