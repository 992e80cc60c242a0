//! The cases of each category over a model of a service: a sound one passes all of them, and each defect fails its case.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod auth;
mod jukebox;
mod turnstile;

use integrations_sandbox::Known;
use integrations_testkit::conformance::{Report, Verdict, check, music};
use jukebox::{Defect, client, empty_shop, harness};

/// What is wrong, and a case that notices.
const DEFECTS: &[(Defect, &str)] = &[
    (Defect::InventsTracks, "track_missing"),
    (Defect::RepeatsPages, "search_to_the_end"),
    (Defect::TakesAnyCursor, "search_foreign_cursor"),
    (Defect::ShufflesAlbums, "album_tracks"),
    (Defect::MixesUpCodes, "isrc"),
    (Defect::MixesUpCodes, "isrc_of_nothing"),
    (Defect::FindsItselfSimilar, "similar_artists"),
    (Defect::WeakTagsFirst, "track_tags"),
    (Defect::WeakTagsFirst, "artist_tags"),
    (Defect::CreatesTwice, "playlist_create"),
    (Defect::ForgetsName, "playlist_edit"),
    (Defect::KeepsDeleted, "playlist_delete"),
    (Defect::KeepsDeleted, "playlist_life"),
    (Defect::AddsInFront, "playlist_add"),
    (Defect::InsertsAtEnd, "playlist_insert"),
    (Defect::RemovesFirstOnly, "playlist_remove_all"),
    (Defect::CountsAfterTheMove, "playlist_reorder"),
    (Defect::CountsAfterTheMove, "playlist_reorder_range"),
    (Defect::AddsOnReplace, "playlist_replace"),
    (Defect::AddsOnReplace, "playlist_clear"),
    (Defect::KeepsVersion, "playlist_snapshot"),
    (Defect::ForgetsToSave, "library_write"),
    (Defect::ForgetsToSave, "library_write_check"),
    (Defect::AnswersBackwards, "library_check"),
    (Defect::OldestFirst, "library"),
    (Defect::OldestFirst, "recently_played"),
    (Defect::SortsOutcomes, "scrobble"),
    (Defect::CountsOldPlays, "scrobble"),
    (Defect::CountsOldPlays, "scrobble_many"),
    (Defect::ForgetsPlays, "scrobble"),
    (Defect::ForgetsPlays, "scrobble_many"),
    (Defect::ForgetsPlays, "now_playing"),
    (Defect::EmptyLibrary, "library"),
    (Defect::EmptyLibrary, "library_albums"),
    (Defect::NeverPauses, "playback_pause"),
    (Defect::IgnoresVolume, "playback_settings"),
    (Defect::SkipsTwice, "playback_skip"),
    (Defect::EmptyToken, "playback_token"),
    (Defect::NoRecommendations, "recommendations"),
];

fn verdict<'r>(report: &'r Report, case: &str) -> &'r Verdict {
    &report.trials.iter().find(|trial| trial.case == case).unwrap().verdict
}

#[test]
fn a_sound_service_passes_every_case() {
    let report = check(&harness(Defect::None, &[]), &music::suite());
    report.assert_good();
    assert!(report.trials.iter().all(|trial| trial.verdict == Verdict::Ran), "{report}");
}

#[test]
fn each_defect_fails_its_case_and_no_unrelated_one() {
    for (defect, case) in DEFECTS {
        let report = check(&harness(*defect, &[]), &music::suite());
        assert!(matches!(verdict(&report, case), Verdict::Failed(_)), "{defect:?}: {report}");
        assert_eq!(verdict(&report, "track"), &Verdict::Ran, "{defect:?}: {report}");
    }
}

#[test]
fn what_is_not_declared_is_refused_instead() {
    let report = check(&harness(Defect::None, &["scrobble", "playlist_insert"]), &music::suite());
    report.assert_good();
    assert_eq!(verdict(&report, "scrobble"), &Verdict::Twin(vec!["scrobble"]));
    assert_eq!(verdict(&report, "playlist_insert"), &Verdict::Twin(vec!["playlist_insert"]));
    assert_eq!(verdict(&report, "playlist_add"), &Verdict::Ran);
    assert!(report.to_string().contains("twin: lacks scrobble"), "{report}");
}

#[test]
fn without_any_capability_every_twin_runs() {
    static ALL: [&str; integrations_core::music::MusicCap::ALL.len()] = {
        let mut names = [""; integrations_core::music::MusicCap::ALL.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = integrations_core::music::MusicCap::ALL[at].as_str();
            at += 1;
        }
        names
    };
    let report = check(&harness(Defect::None, &ALL), &music::suite());
    report.assert_good();
    assert!(report.trials.iter().all(|trial| matches!(trial.verdict, Verdict::Twin(_))), "{report}");
}

#[test]
fn a_capability_whose_cases_all_lack_another_is_untested() {
    let report = check(&harness(Defect::None, &["playlists"]), &music::suite());
    assert!(report.untested.contains(&"playlist_add"), "{report}");
    assert!(!report.is_good() && report.failed().next().is_none(), "{report}");
}

#[test]
fn a_peer_that_lacks_what_is_declared_fails_the_case_and_says_so() {
    let report = check(&empty_shop(), &music::suite());
    let Verdict::Failed(reasons) = verdict(&report, "track") else { panic!("{report}") };
    assert!(reasons[0].contains("the peer has no `track`"), "{reasons:?}");
}

/// Recovery is asked of what a service has: one that knows no tracks is not taken for broken.
#[tokio::test]
async fn what_has_no_tracks_is_alive_too() {
    let known = Known::new().with("track", "0");
    let all = ["track", "search", "library", "recently_played", "playlists"];
    for lacks in 0..=all.len() {
        let client = client(Defect::None, &all[..lacks]);
        (music::suite().alive)(&client, &known).await.unwrap();
    }
}
