//! Moving playlists: every outcome, the dry run, and that nothing is written twice whatever gets lost.

use integrations_core::{Effect, ErrorKind};
use integrations_music::matching::Wanted;
use integrations_music::transfer::{Outcome, SkippedReason, Source, Step, Target, Transfer, TransferPlan};
use integrations_music::{EntryKind, Music, NewPlaylist, PlaylistEntry, PlaylistId, Track};

use crate::shelf::{Fault, Shelf, coded, track};

const CODE: &str = "GBUM71029604";

fn songs(prefix: &str, count: usize) -> Vec<Track> {
    (0..count)
        .map(|at| {
            track(
                &format!("{prefix}{at}"),
                "A",
                ["Autobahn", "Believe", "Cars", "Dreams", "Enola Gay", "Fade", "Gold", "Hey"][at],
                200,
            )
        })
        .collect()
}

/// Two services that have the same songs under other ids, and a playlist of them on the left.
fn shelves(count: usize, most: usize) -> (Shelf, Shelf, PlaylistId) {
    let (left, right) = (Shelf::left(), Shelf::right().most(most));
    left.stock(songs("l", count));
    right.stock(songs("r", count));
    let ids: Vec<String> = (0..count).map(|at| format!("l{at}")).collect();
    let list = left.list("Mine", &ids.iter().map(String::as_str).collect::<Vec<_>>());
    (left, right, list)
}

async fn planned(left: &Shelf, right: &Shelf, list: &PlaylistId, target: Target) -> (Music, TransferPlan) {
    let (from, to) = (left.music(), right.music());
    let mut plan = Transfer::new().read(&from, &Source::Playlist(list.clone()), &to, target).await.unwrap();
    Transfer::new().decide(&to, &mut plan).await.unwrap();
    (to, plan)
}

fn new() -> Target {
    Target::New(NewPlaylist::new("Moved"))
}

fn names(prefix: &str, numbers: &[usize]) -> Vec<String> {
    numbers.iter().map(|at| format!("{prefix}{at}")).collect()
}

/// The plan as a process finds it that starts after another crashed.
fn stored(plan: &TransferPlan) -> TransferPlan {
    serde_json::from_str(&serde_json::to_string(plan).unwrap()).unwrap()
}

#[tokio::test]
async fn every_entry_has_an_outcome_and_the_rest_arrives_in_order() {
    let (left, right, list) = shelves(3, 2);
    left.stock([
        track("live", "A", "Autobahn (Live)", 200),
        track("none", "Z", "Zzz", 200),
        track("two", "B", "Twice", 0),
    ]);
    right.stock([track("s", "B", "Twice", 100), track("t", "B", "Twice", 200)]);
    left.edit(&list, |entries, tracks| {
        let of = |id: &str| {
            let mut track = tracks.iter().find(|track| track.id.as_str() == id).unwrap().clone();
            track.duration_ms = track.duration_ms.filter(|duration| *duration > 0);
            track
        };
        entries.insert(0, PlaylistEntry::new(EntryKind::Local, Some(Track::new("", "Mine")), None));
        entries.push(PlaylistEntry::new(EntryKind::Episode, Some(Track::new("e", "Talk")), None));
        entries.push(PlaylistEntry::new(EntryKind::Track, None, None));
        entries.extend(["live", "none", "two"].map(|id| PlaylistEntry::track(of(id), None)));
    });
    let (to, mut plan) = planned(&left, &right, &list, new()).await;
    let dry = plan.report();
    assert_eq!((right.calls("create"), right.calls("add"), dry.written, dry.done), (0, 0, 0, false));
    Transfer::new().write(&to, &mut plan).await.unwrap();
    let report = plan.report();
    assert_eq!(right.ids(report.playlist.as_ref().unwrap()), ["r0", "r1", "r2"]);
    assert_eq!(
        (report.counts.matched, report.counts.ambiguous, report.counts.not_found, report.counts.skipped),
        (3, 1, 2, 3)
    );
    let skipped: Vec<_> = report
        .rows
        .iter()
        .filter_map(|row| match row.outcome {
            Outcome::Skipped { why } => Some(why),
            _ => None,
        })
        .collect();
    assert_eq!(skipped, [SkippedReason::Local, SkippedReason::Episode, SkippedReason::Gone]);
    let text = report.to_string();
    assert!(text.starts_with("3 of 9 matched, 3 written, 1 ambiguous, 2 not found, 3 skipped\n"), "{text}");
    assert!(
        text.contains("    7  A - Autobahn (Live): not found\n       0.40  A - Autobahn (by words: "),
        "{text}"
    );
    assert!(text.contains("another version"), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((&json["rows"][1]["outcome"], &json["rows"][1]["track"]), (&"matched".into(), &"r0".into()));
}

#[tokio::test]
async fn a_lost_write_is_looked_for_and_never_written_twice() {
    for fault in [Fault::Lost, Fault::ReplyLost] {
        for nth in 1..=3 {
            let (left, right, list) = shelves(5, 2);
            right.fault("add", nth, fault);
            let (to, mut plan) = planned(&left, &right, &list, new()).await;
            Transfer::new().write(&to, &mut plan).await.unwrap();
            let there = right.ids(plan.progress.playlist.as_ref().unwrap());
            assert_eq!(there, names("r", &[0, 1, 2, 3, 4]), "{fault:?} {nth}");
        }
    }
}

#[tokio::test]
async fn a_transfer_that_crashed_anywhere_goes_on() {
    for crash in 0..6 {
        let (left, right, list) = shelves(5, 2);
        let (to, mut plan) = planned(&left, &right, &list, new()).await;
        for _ in 0..crash {
            Transfer::new().step(&to, &mut plan).await.unwrap();
        }
        // The next step is done, but its result is not stored.
        let mut resumed = stored(&plan);
        Transfer::new().step(&to, &mut plan).await.unwrap();
        // A version that nobody stored looks like a reader that lags, once.
        if Transfer::new().write(&to, &mut resumed).await.is_err() {
            Transfer::new().write(&to, &mut resumed).await.unwrap();
        }
        assert_eq!(right.lists(), ["Moved"], "{crash}");
        assert_eq!(
            right.ids(resumed.progress.playlist.as_ref().unwrap()),
            names("r", &[0, 1, 2, 3, 4]),
            "{crash}"
        );
    }
}

#[tokio::test]
async fn a_playlist_whose_making_was_lost_is_found_and_one_of_the_name_before_is_not_taken() {
    for fault in [Fault::Lost, Fault::ReplyLost] {
        let (left, right, list) = shelves(2, 2);
        right.list("Moved", &["r1"]);
        right.fault("create", 1, fault);
        let (to, mut plan) = planned(&left, &right, &list, new()).await;
        // What nobody sees may only lag: the next one makes it, and somebody chooses when.
        if fault == Fault::Lost {
            let error = Transfer::new().write(&to, &mut plan).await.unwrap_err();
            assert_eq!((error.effect(), right.calls("create")), (Effect::Unknown, 1));
        }
        Transfer::new().write(&to, &mut plan).await.unwrap();
        assert_eq!(right.lists(), ["Moved", "Moved"], "{fault:?}");
        assert_eq!(right.ids(&"list-1".into()), ["r1"]);
        assert_eq!(right.ids(&"list-2".into()), ["r0", "r1"]);
    }
}

#[tokio::test]
async fn a_reader_that_lags_stops_the_transfer_instead_of_a_second_write() {
    let (left, right, list) = shelves(4, 2);
    let target = right.list("There", &["r3"]);
    let (to, mut plan) = planned(&left, &right, &list, Target::Playlist(target.clone())).await;
    right.fault("add", 1, Fault::ReplyLost);
    right.lag(1);
    let error = Transfer::new().write(&to, &mut plan).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown));
    right.lag(0);
    let mut plan = stored(&plan);
    Transfer::new().write(&to, &mut plan).await.unwrap();
    assert_eq!(right.ids(&target), names("r", &[3, 0, 1, 2, 3]));
}

#[tokio::test]
async fn a_target_that_somebody_else_wrote_to_is_left_alone() {
    let (left, right, list) = shelves(4, 2);
    let target = right.list("There", &[]);
    let (to, mut plan) = planned(&left, &right, &list, Target::Playlist(target.clone())).await;
    Transfer::new().step(&to, &mut plan).await.unwrap();
    right.edit(&target, |entries, tracks| entries.push(PlaylistEntry::track(tracks[3].clone(), None)));
    let error = Transfer::new().write(&to, &mut stored(&plan)).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Conflict, Effect::NotSent));
    assert_eq!(right.ids(&target), ["r3"]);
}

#[tokio::test]
async fn what_was_written_may_move_as_a_whole() {
    let (left, right, list) = shelves(4, 2);
    let target = right.list("There", &["r3"]);
    let (to, mut plan) = planned(&left, &right, &list, Target::Playlist(target.clone())).await;
    for _ in 0..2 {
        Transfer::new().step(&to, &mut plan).await.unwrap();
    }
    right.edit(&target, |entries, _| drop(entries.remove(0)));
    let mut plan = stored(&plan);
    // Another version, and nothing new in it: once that looks like a reader that lags.
    Transfer::new().write(&to, &mut plan).await.unwrap_err();
    Transfer::new().write(&to, &mut plan).await.unwrap();
    assert_eq!(right.ids(&target), names("r", &[0, 1, 2, 3]));
}

#[tokio::test]
async fn limits_stop_the_deciding_and_keep_what_was_decided() {
    let (left, right, list) = shelves(4, 2);
    let (from, to) = (left.music(), right.music());
    let mut plan = Transfer::new().read(&from, &Source::Playlist(list), &to, new()).await.unwrap();
    right.broken("search", true);
    assert_eq!(Transfer::new().decide(&to, &mut plan).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(plan.report().counts.pending, 4);
    assert_eq!(Transfer::new().write(&to, &mut plan).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    right.broken("search", false);
    Transfer::new().decide(&to, &mut plan).await.unwrap();
    let calls = right.calls("search");
    Transfer::new().decide(&to, &mut stored(&plan)).await.unwrap();
    assert_eq!((plan.report().counts.matched, right.calls("search")), (4, calls));
}

#[tokio::test]
async fn the_library_keeps_its_order_and_survives_lost_saves() {
    let (left, right, _) = shelves(5, 2);
    left.save(&["l0", "l1", "l2", "l3"]);
    right.fault("save", 2, Fault::ReplyLost);
    right.fault("save", 4, Fault::Lost);
    let (from, to) = (left.music(), right.music());
    let mut plan = Transfer::new().read(&from, &Source::Library, &to, Target::Library).await.unwrap();
    Transfer::new().decide(&to, &mut plan).await.unwrap();
    Transfer::new().write(&to, &mut plan).await.unwrap();
    assert_eq!(right.saved(), names("r", &[3, 2, 1, 0]));
    assert_eq!((plan.report().written, plan.report().done), (4, true));
}

#[tokio::test]
async fn recordings_from_a_file_are_moved_too_and_a_person_may_choose() {
    let right = Shelf::right();
    right.stock([
        coded("r", "A", "Song", 200, CODE),
        track("s", "B", "Twice", 100),
        track("t", "B", "Twice", 200),
    ]);
    let to = right.music();
    let wanted =
        vec![Wanted::new("Song").isrc(CODE.parse().unwrap()).artist("A"), Wanted::new("Twice").artist("B")];
    let mut plan = TransferPlan::of(wanted, &to, new());
    Transfer::new().decide(&to, &mut plan).await.unwrap();
    let Outcome::Ambiguous { candidates } = plan.rows[1].outcome.clone() else { panic!("{plan:?}") };
    plan.choose(1, &candidates[1]).unwrap();
    Transfer::new().write(&to, &mut plan).await.unwrap();
    assert_eq!(right.ids(&"list-1".into()), vec!["r".to_owned(), candidates[1].track.to_string()]);
    assert!(plan.choose(1, &candidates[0]).is_err());
}

#[tokio::test]
async fn what_the_target_cannot_do_is_said_before_anything_is_read() {
    for lacking in ["playlist_create", "playlist_add", "playlists"] {
        let (left, right, list) = shelves(1, 2);
        let right = right.without(&[lacking]);
        let error = Transfer::new()
            .read(&left.music(), &Source::Playlist(list), &right.music(), new())
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), left.all_calls() + right.all_calls()),
            (ErrorKind::Unsupported, 0),
            "{lacking}"
        );
        assert!(error.message().contains(lacking), "{error}");
    }
}

#[tokio::test]
async fn a_plan_of_another_version_or_service_is_refused() {
    let (left, right, list) = shelves(1, 2);
    let (to, plan) = planned(&left, &right, &list, new()).await;
    assert!(Transfer::new().write(&left.music(), &mut plan.clone()).await.is_err());
    let mut plan = plan;
    plan.version = 9;
    let error = Transfer::new().step(&to, &mut plan).await.unwrap_err();
    assert!(error.message().contains("version 9"), "{error}");
    plan.version = 1;
    assert_eq!(Transfer::new().step(&to, &mut plan).await.unwrap(), Step::Looked);
}

#[tokio::test]
async fn what_fails_for_one_entry_stops_no_other_and_may_be_tried_again() {
    let (left, right, list) = shelves(3, 2);
    right.poison("believe");
    let (to, mut plan) = planned(&left, &right, &list, new()).await;
    let counts = plan.report().counts;
    assert_eq!((counts.matched, counts.failed), (2, 1));
    assert!(plan.report().to_string().contains("A - Believe: decode: the answer makes no sense"));
    right.poison("nothing");
    Transfer::new().decide_again(&to, &mut plan).await.unwrap();
    Transfer::new().write(&to, &mut plan).await.unwrap();
    assert_eq!(right.ids(&"list-1".into()), names("r", &[0, 1, 2]));
    assert!(Transfer::new().decide_again(&to, &mut plan).await.is_err());
}
