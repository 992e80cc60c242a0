//! Keeping two playlists alike: the rules one by one, what each service can do, and a model that must converge.

use std::collections::{BTreeSet, HashSet};

use integrations_core::ErrorKind;
use integrations_music::sync::{
    Applied, Edit, Place, Side, Sync, SyncBase, SyncPlan, TOO_MANY_REMOVALS, minimal_moves,
};
use integrations_music::{EntryKind, PlaylistEntry, PlaylistId, Track};
use proptest::prelude::*;

use crate::shelf::{Fault, Shelf, track};

/// Each letter is a song that both services have: `la` on the left, `ra` on the right. `x`, `y` and `z` are on one side.
const BOTH: &str = "abcdefghijklmnopqrstuvw";

struct Two {
    left: Shelf,
    right: Shelf,
    lists: [PlaylistId; 2],
    base: SyncBase,
    sync: Sync,
}

impl Two {
    fn new(left: &str, right: &str) -> Self {
        Self::of(Shelf::left(), Shelf::right(), left, right)
    }

    fn of(left: Shelf, right: Shelf, on_left: &str, on_right: &str) -> Self {
        let song = |side: char, letter: char| {
            track(
                &format!("{side}{letter}"),
                &format!("Band {letter}{letter}{letter}{letter}"),
                &letter.to_string().repeat(5),
                200,
            )
        };
        left.stock(BOTH.chars().chain("xyz".chars()).map(|letter| song('l', letter)));
        right.stock(BOTH.chars().map(|letter| song('r', letter)));
        let make = |shelf: &Shelf, side: char, letters: &str| {
            let ids: Vec<String> = letters.chars().map(|letter| format!("{side}{letter}")).collect();
            shelf.list("Mine", &ids.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let lists = [make(&left, 'l', on_left), make(&right, 'r', on_right)];
        let base = SyncBase::new(&lists[0], &lists[1]);
        Self { left, right, lists, base, sync: Sync::new() }
    }

    /// Both sides have these, and a round has seen it.
    async fn alike(letters: &str) -> Self {
        let mut two = Self::new(letters, letters);
        assert!(two.round().await.is_empty());
        two
    }

    async fn plan(&self) -> integrations_core::Result<SyncPlan> {
        // As it is stored between two rounds.
        let base: SyncBase = serde_json::from_str(&serde_json::to_string(&self.base).unwrap()).unwrap();
        assert_eq!(base, self.base);
        self.sync.plan(&self.left.music(), &self.right.music(), &base).await
    }

    async fn try_round(&mut self) -> integrations_core::Result<(SyncPlan, Applied)> {
        let plan = self.plan().await?;
        let applied = self.sync.apply(&self.left.music(), &self.right.music(), &plan).await;
        self.base = applied.base.clone();
        Ok((plan, applied))
    }

    async fn round(&mut self) -> SyncPlan {
        let (plan, applied) = self.try_round().await.unwrap();
        assert!(applied.failures.is_empty(), "{:?}", applied.failures);
        plan
    }

    fn shelf(&self, side: Side) -> (&Shelf, &PlaylistId, char) {
        match side {
            Side::Left => (&self.left, &self.lists[0], 'l'),
            Side::Right => (&self.right, &self.lists[1], 'r'),
        }
    }

    fn letters(&self, side: Side) -> String {
        let (of, list, _) = self.shelf(side);
        of.ids(list).iter().map(|id| id.chars().nth(1).unwrap()).collect()
    }

    fn both(&self) -> (String, String) {
        (self.letters(Side::Left), self.letters(Side::Right))
    }

    /// The user puts the list into this order, with what is new.
    fn set(&self, side: Side, letters: &str) {
        let (of, list, prefix) = self.shelf(side);
        of.edit(list, |entries, tracks| {
            *entries = letters.chars().map(|letter| entry(prefix, letter, tracks)).collect();
        });
    }
}

fn entry(prefix: char, letter: char, tracks: &[Track]) -> PlaylistEntry {
    let id = format!("{prefix}{letter}");
    PlaylistEntry::track(tracks.iter().find(|track| track.id.as_str() == id).unwrap().clone(), None)
}

fn same(letters: &str) -> (String, String) {
    (letters.to_owned(), letters.to_owned())
}

#[tokio::test]
async fn the_rules() {
    // Before; the left after the user's edits; the right after them; both after the round.
    let cases = [
        ("abc", "abc", "abc", "abc"),
        ("abc", "abcd", "abc", "abcd"),
        ("abc", "dabc", "abc", "dabc"),
        ("abc", "abc", "abdc", "abdc"),
        ("abc", "ac", "abc", "ac"),
        ("abc", "abc", "bc", "bc"),
        ("abc", "cab", "abc", "cab"),
        ("abc", "abc", "bca", "bca"),
        // Removed on one side, moved on the other.
        ("abcd", "bcd", "bcda", "bcd"),
        // Added on both, at the same place and the same track.
        ("abc", "abdc", "abec", "abdec"),
        ("abc", "abcd", "dabc", "abcd"),
        // Removed on both.
        ("abc", "ac", "ac", "ac"),
        // Moved on both: to the same place, to different ones (the left wins), different ones.
        ("abcd", "dabc", "dabc", "dabc"),
        ("abcde", "eabcd", "abecd", "eabcd"),
        ("abcdef", "bcdefa", "fabcde", "fbcdea"),
        // Everything at once; what was added behind a track goes with it.
        ("abcdef", "acdefg", "hfabcde", "hfgacde"),
    ];
    for (before, left, right, after) in cases {
        let mut two = Two::alike(before).await;
        two.set(Side::Left, left);
        two.set(Side::Right, right);
        two.round().await;
        assert_eq!(two.both(), same(after), "{before} {left} {right}");
        assert!(two.round().await.is_empty(), "{before} {left} {right}");
    }
}

#[tokio::test]
async fn the_first_round_joins_what_both_have_without_asking() {
    let mut two = Two::new("abcd", "dbe");
    two.round().await;
    let (left, right) = two.both();
    assert_eq!((left.as_str(), left == right), ("abcde", true), "{left} {right}");
    // Only `a`, `c` and `e` had to be looked for.
    assert_eq!((two.right.calls("search"), two.left.calls("search")), (2, 1));
    assert!(two.round().await.is_empty());
}

#[tokio::test]
async fn the_right_may_be_preferred() {
    let mut two = Two::alike("abcde").await;
    two.sync = two.sync.clone().prefer(Side::Right);
    two.set(Side::Left, "eabcd");
    two.set(Side::Right, "abecd");
    two.round().await;
    assert_eq!(two.both(), same("abecd"));
    two.set(Side::Left, "abfecd");
    two.set(Side::Right, "abgecd");
    two.round().await;
    assert_eq!(two.both(), same("abgfecd"));
}

#[tokio::test]
async fn what_the_other_side_does_not_have_is_kept_and_asked_for_once() {
    let mut two = Two::alike("ab").await;
    two.set(Side::Left, "axb");
    let plan = two.round().await;
    assert_eq!(two.both(), ("axb".to_owned(), "ab".to_owned()));
    assert!(plan.to_string().contains("left only: Band xxxx - xxxxx (not found)"), "{plan}");
    let asked = two.right.all_calls();
    assert!(two.round().await.is_empty());
    assert_eq!((two.right.calls("search"), two.base.unmatched().count()), (2, 1));
    assert!(two.right.all_calls() > asked);
    // Asked again, the other side has it now.
    two.right.stock([track("rx", "Band xxxx", "xxxxx", 200)]);
    two.sync = two.sync.clone().retry_unmatched();
    two.round().await;
    assert_eq!((two.both(), two.base.unmatched().count()), (same("axb"), 0));
    two.set(Side::Left, "ab");
    two.round().await;
    assert_eq!(two.both(), same("ab"));
}

#[tokio::test]
async fn what_fails_for_one_track_stops_no_other() {
    let mut two = Two::alike("ab").await;
    two.right.poison("ccccc");
    two.set(Side::Left, "acbd");
    let plan = two.round().await;
    assert_eq!(two.letters(Side::Right), "abd");
    assert!(
        plan.to_string().ends_with("left only: Band cccc - ccccc (decode: the answer makes no sense)"),
        "{plan}"
    );
    // A failure of all is no answer about any.
    two.right.broken("search", true);
    two.set(Side::Left, "acbde");
    assert_eq!(two.plan().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_emptied_side_needs_consent() {
    for letters in ["", "ab"] {
        let mut two = Two::alike("abcdef").await;
        two.set(Side::Right, letters);
        let error = two.plan().await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, Some(TOO_MANY_REMOVALS)));
        assert!(
            error.message().contains("of 6 tracks are gone from the right side, and 3 may go"),
            "{error}"
        );
        assert_eq!(two.letters(Side::Left), "abcdef");
        two.sync = two.sync.clone().allow_removals();
        two.round().await;
        assert_eq!(two.both(), same(letters));
    }
}

#[tokio::test]
async fn a_lost_write_is_made_up_for_and_not_taken_as_an_edit() {
    for fault in [Fault::Refused, Fault::Lost, Fault::ReplyLost] {
        for op in ["add", "remove", "reorder"] {
            let mut two = Two::alike("abcdef").await;
            two.right.fault(op, 1, fault);
            two.set(Side::Left, "gfacdeh");
            let (_, applied) = two.try_round().await.unwrap();
            assert_eq!((applied.failures.len(), applied.failures[0].0), (1, Side::Right), "{fault:?} {op}");
            two.round().await;
            assert_eq!(two.both(), same("gfacdeh"), "{fault:?} {op}");
            assert!(two.round().await.is_empty(), "{fault:?} {op}");
        }
    }
}

#[tokio::test]
async fn what_is_written_and_not_visible_yet_is_neither_removed_nor_written_twice() {
    let mut two = Two::alike("abc").await;
    two.right.lag(2);
    two.set(Side::Left, "abcd");
    two.round().await;
    let owed = two.base.pairs.iter().find(|pair| pair.identity.title == "ddddd").unwrap();
    assert_eq!(owed.right.place, Place::Owed { waits: 2 });
    for _ in 0..3 {
        assert!(two.round().await.is_empty());
        assert_eq!(two.both(), same("abcd"));
    }
    assert!(two.base.pairs.iter().all(|pair| pair.right.place == Place::Here));
    // A removal that is not visible yet brings nothing back.
    two.set(Side::Left, "bcd");
    for _ in 0..5 {
        two.round().await;
        assert_eq!(two.both(), same("bcd"));
    }
    assert!(two.round().await.is_empty());
}

#[tokio::test]
async fn what_never_becomes_visible_is_written_again_after_the_patience() {
    let left = Shelf::left();
    let right = Shelf::right().without(&["playlist_snapshot"]);
    let mut two = Two::of(left, right, "ab", "ab");
    two.round().await;
    two.right.fault("add", 1, Fault::Lost);
    two.set(Side::Left, "abc");
    two.try_round().await.unwrap();
    for _ in 0..2 {
        assert!(two.round().await.is_empty());
        assert_eq!(two.letters(Side::Right), "ab");
    }
    two.round().await;
    assert_eq!(two.both(), same("abc"));
}

#[tokio::test]
async fn a_track_that_was_exchanged_for_another_edition_is_still_the_same() {
    let mut two = Two::alike("abc").await;
    two.left.stock([track("lB", "Band bbbb", "bbbbb (Remastered 2020)", 201)]);
    two.left.edit(&two.lists[0], |entries, tracks| entries[1] = entry('l', 'B', tracks));
    assert!(two.round().await.is_empty());
    assert_eq!(two.both(), ("aBc".to_owned(), "abc".to_owned()));
    two.set(Side::Right, "ac");
    two.round().await;
    assert_eq!(two.both(), same("ac"));
}

#[tokio::test]
async fn what_cannot_be_written_stays_where_it_is() {
    let mut two = Two::alike("abc").await;
    two.right.edit(&two.lists[1], |entries, _| {
        entries.insert(0, PlaylistEntry::new(EntryKind::Episode, Some(Track::new("e", "Talk")), None));
        entries.insert(2, PlaylistEntry::new(EntryKind::Gone, None, None));
        let again = entries[1].clone();
        entries.push(again);
    });
    assert!(two.round().await.is_empty());
    two.set(Side::Left, "cabd");
    two.round().await;
    assert_eq!(
        two.right.ids(&two.lists[1]),
        ["episode", "rc", "ra", "ra", "gone", "rb", "rd"].map(str::to_owned).to_vec()
    );
}

#[tokio::test]
async fn each_service_is_written_as_it_can_be() {
    let cases: &[(&[&str], usize)] = &[
        (&["playlist_replace"], 100),
        (&["playlist_reorder", "playlist_replace"], 100),
        (&["playlist_insert", "playlist_replace"], 2),
        (&["playlist_reorder", "playlist_insert", "playlist_remove"], 100),
        (&["playlist_reorder", "playlist_insert", "playlist_remove", "playlist_snapshot"], 2),
        (&["playlist_reorder", "playlist_insert", "playlist_remove", "playlist_add"], 100),
    ];
    for (lacking, most) in cases {
        let mut two = Two::of(Shelf::left(), Shelf::right().without(lacking).most(*most), "abcdef", "abcdef");
        two.round().await;
        two.set(Side::Left, "ghfacdei");
        two.round().await;
        assert_eq!(two.both(), same("ghfacdei"), "{lacking:?}");
        assert!(two.round().await.is_empty(), "{lacking:?}");
    }
}

#[tokio::test]
async fn what_a_side_cannot_do_is_said_before_anything_is_written() {
    let lacking = ["playlist_remove", "playlist_replace"];
    let mut two = Two::of(Shelf::left(), Shelf::right().without(&lacking), "abc", "abc");
    two.round().await;
    two.set(Side::Left, "ac");
    two.set(Side::Right, "abcd");
    let error = two.plan().await.unwrap_err();
    assert_eq!((error.kind(), two.both()), (ErrorKind::Unsupported, ("ac".to_owned(), "abcd".to_owned())));
    assert!(error.message().contains("the right side, `right`"), "{error}");
    // What can be put at the end needs no more than that.
    let lacking = ["playlist_remove", "playlist_replace", "playlist_insert", "playlist_reorder"];
    let mut two = Two::of(Shelf::left(), Shelf::right().without(&lacking), "abc", "ab");
    two.round().await;
    assert_eq!(two.both(), same("abc"));
}

#[tokio::test]
async fn a_replace_that_broke_off_is_made_whole_again_and_removes_nothing() {
    let lacking = ["playlist_reorder", "playlist_insert", "playlist_remove"];
    let mut two = Two::of(Shelf::left(), Shelf::right().without(&lacking).most(2), "abcdef", "abcdef");
    two.round().await;
    two.set(Side::Left, "fabcde");
    two.right.fault("add", 1, Fault::Refused);
    two.try_round().await.unwrap();
    assert_eq!(two.both(), ("fabcde".to_owned(), "fa".to_owned()));
    two.round().await;
    assert_eq!(two.both(), same("fabcde"));
}

#[tokio::test]
async fn a_side_that_changed_since_the_plan_is_not_written() {
    for lacking in [&[][..], &["playlist_snapshot", "playlist_insert", "playlist_remove"]] {
        let mut two = Two::of(Shelf::left(), Shelf::right().without(lacking), "abc", "abc");
        two.round().await;
        two.set(Side::Left, "dabc");
        let plan = two.plan().await.unwrap();
        two.set(Side::Right, "abce");
        let plan: SyncPlan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        let applied = two.sync.apply(&two.left.music(), &two.right.music(), &plan).await;
        assert_eq!(applied.failures[0].1.kind(), ErrorKind::Conflict, "{lacking:?}");
        assert_eq!(two.letters(Side::Right), "abce");
        two.base = applied.base;
        two.round().await;
        assert_eq!(two.both(), same("dabce"), "{lacking:?}");
    }
}

#[tokio::test]
async fn a_plan_can_be_read_by_people() {
    let two = Two::alike("abcd").await;
    two.set(Side::Left, "dacex");
    let plan = two.plan().await.unwrap();
    assert_eq!(
        plan.to_string(),
        "3 writes, 1 without a partner\n\
         right: remove rb\n\
         right: move 2 before 0\n\
         right: add re\n\
         left only: Band xxxx - xxxxx (not found)"
    );
    assert_eq!(plan.right.edits[1], Edit::Move { from: 2, length: 1, before: 0 });
}

#[tokio::test]
async fn a_failed_reading_after_the_writing_loses_and_revives_nothing() {
    for lost in [false, true] {
        let mut two = Two::alike("abcd").await;
        two.set(Side::Left, "acde");
        let plan = two.plan().await.unwrap();
        two.right.broken("entries", true);
        if lost {
            two.right.fault("remove", 1, Fault::Lost);
        }
        let applied = two.sync.apply(&two.left.music(), &two.right.music(), &plan).await;
        assert_eq!(applied.failures.len(), 1 + usize::from(lost));
        two.base = applied.base;
        two.right.broken("entries", false);
        for _ in 0..3 {
            two.round().await;
        }
        assert_eq!(two.both(), same("acde"), "{lost}");
    }
}

/// What users did in a model run.
#[derive(Default)]
struct History {
    added: HashSet<char>,
    removed: HashSet<char>,
}

/// A user edits a side at random.
fn scribble(two: &Two, side: Side, rng: &mut fastrand::Rng, history: &mut History) {
    let mut letters: Vec<char> = two.letters(side).chars().collect();
    for _ in 0..rng.usize(0..4) {
        match rng.usize(0..4) {
            0 | 1 => {
                let extra = if side == Side::Left { "xyz" } else { "" };
                let free: Vec<char> =
                    BOTH.chars().chain(extra.chars()).filter(|c| !letters.contains(c)).collect();
                let Some(letter) = rng.choice(free) else { continue };
                letters.insert(rng.usize(0..=letters.len()), letter);
                history.added.insert(letter);
            }
            2 if !letters.is_empty() => {
                history.removed.insert(letters.remove(rng.usize(0..letters.len())));
            }
            3 if !letters.is_empty() => {
                let letter = letters.remove(rng.usize(0..letters.len()));
                letters.insert(rng.usize(0..=letters.len()), letter);
            }
            _ => {}
        }
    }
    two.set(side, &letters.iter().collect::<String>());
}

/// Random edits of both sides, random faults of all writes, rounds in between; in the end quiet.
async fn model(seed: u64, lacking: &[&'static str], most: usize) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut two = Two::of(Shelf::left(), Shelf::right().without(lacking).most(most), "abcdef", "cdefgh");
    two.sync = Sync::new().allow_removals();
    let mut history = History { added: "abcdefgh".chars().collect(), ..History::default() };
    for round in 0..12 {
        for side in [Side::Left, Side::Right] {
            if rng.bool() {
                scribble(&two, side, &mut rng, &mut history);
            }
        }
        two.left.chaos(rng.u64(..), 0.25);
        two.right.chaos(rng.u64(..), 0.25);
        two.try_round().await.unwrap_or_else(|error| panic!("seed {seed}, round {round}: {error}"));
    }
    two.left.chaos(0, 0.0);
    two.right.chaos(0, 0.0);
    let mut rounds = 0;
    let rests = |place: Place| matches!(place, Place::Here | Place::Absent);
    while !two.round().await.is_empty()
        || !two.base.pairs.iter().all(|pair| rests(pair.left.place) && rests(pair.right.place))
    {
        rounds += 1;
        assert!(rounds < 8, "seed {seed} does not come to rest");
    }
    let (left, right) = two.both();
    let matched: String = left.chars().filter(|letter| BOTH.contains(*letter)).collect();
    assert_eq!(matched, right, "seed {seed}");
    assert_eq!(left.chars().collect::<BTreeSet<_>>().len(), left.len(), "seed {seed}: {left}");
    let lost: Vec<_> =
        history.added.difference(&history.removed).filter(|letter| !left.contains(**letter)).collect();
    assert!(lost.is_empty(), "seed {seed} lost {lost:?}: {left}");
}

#[tokio::test]
async fn random_edits_and_faults_converge() {
    for seed in 0..40 {
        model(seed, &[], 3).await;
    }
}

#[tokio::test]
async fn random_edits_and_faults_converge_without_versions() {
    for seed in 0..25 {
        model(seed, &["playlist_snapshot"], 3).await;
    }
}

#[tokio::test]
async fn random_edits_and_faults_converge_with_replace_alone() {
    for seed in 0..25 {
        model(seed, &["playlist_insert", "playlist_remove", "playlist_reorder"], 4).await;
    }
}

#[tokio::test]
async fn random_edits_and_faults_converge_with_moves_by_hand() {
    for seed in 0..25 {
        model(seed, &["playlist_reorder", "playlist_replace"], 4).await;
    }
}

/// The length of a longest common subsequence of a permutation and the sorted order, the slow way.
fn longest(order: &[usize]) -> usize {
    let mut best = vec![1; order.len()];
    for at in 0..order.len() {
        for before in 0..at {
            if order[before] < order[at] {
                best[at] = best[at].max(best[before] + 1);
            }
        }
    }
    best.into_iter().max().unwrap_or(0)
}

proptest! {
    #[test]
    fn moves_lead_to_the_target_and_are_as_few_as_can_be(order in Just((0..12_usize).collect::<Vec<_>>()).prop_shuffle(), length in 0..12_usize) {
        let current: Vec<usize> = order.into_iter().filter(|number| *number < length).collect();
        let target: Vec<usize> = (0..length).collect();
        let moves = minimal_moves(&current, &target);
        prop_assert_eq!(moves.len(), length - longest(&current));
        let mut list = current;
        for step in moves {
            let entry = list.remove(step.from);
            list.insert(if step.before > step.from { step.before - 1 } else { step.before }, entry);
        }
        prop_assert_eq!(list, target);
    }
}
