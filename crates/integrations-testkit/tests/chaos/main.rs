//! Chaos over an invented provider: the sound client breaks nothing, and each defect is found.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod depot;
mod parcels;

use std::collections::BTreeSet;

use integrations_testkit::{chaos, conformance};
use parcels::{Defect, harness, idle, nothing, panics, suite, undeclared};

/// So many seeds find every planted defect, and a sound client survives them.
const SEEDS: u64 = 600;

fn violated(defect: Defect) -> (BTreeSet<&'static str>, chaos::Report) {
    let report = chaos::run(&harness(defect), &suite(), 0..SEEDS).unwrap();
    let all = report.violations.iter().flat_map(|run| &run.violations);
    (all.map(|violation| violation.invariant).collect(), report)
}

#[track_caller]
fn finds(defect: Defect, invariant: &str) {
    let (violated, report) = violated(defect);
    assert!(violated.contains(invariant), "{defect:?} is not found as {invariant}: {report}");
}

#[test]
fn every_case_holds_without_faults() {
    let report = conformance::check(&harness(Defect::None), &suite());
    assert!(report.failed().next().is_none() && report.untested.is_empty(), "{report}");
}

#[test]
fn a_call_that_works_though_it_is_not_declared_is_a_failure() {
    let report = conformance::check(&harness(Defect::None), &undeclared());
    let failed: Vec<_> = report.failed().collect();
    assert_eq!(failed.len(), 1, "{report}");
    assert_eq!(failed[0].0, "reroute");
    assert!(failed[0].1[0].contains("sent 1 requests"), "{report}");
}

#[test]
fn a_sound_client_breaks_nothing() {
    let (violated, report) = violated(Defect::None);
    assert!(violated.is_empty(), "{report}");
    assert_eq!(report.runs(), SEEDS);
    assert_eq!(report.cases.len(), 6);
    assert!(report.cases.values().all(|runs| *runs == SEEDS / 6), "{report:?}");
    let met: BTreeSet<&str> = report.faults.keys().copied().collect();
    for kind in ["reset_after", "hang_after", "rate_limited", "truncated", "rotated", "proxy_page"] {
        assert!(met.contains(kind), "no run met {kind}: {met:?}");
    }
}

#[test]
fn a_write_that_is_repeated_after_a_lost_reply_is_found() {
    finds(Defect::RepeatsWrites, "second_effect");
}

#[test]
fn a_token_in_a_log_line_is_found_and_not_repeated() {
    let (violated, report) = violated(Defect::LogsToken);
    assert!(violated.contains("secret"), "{report}");
    assert!(!report.to_string().contains("parcel-token-"), "{report}");
}

#[test]
fn a_token_in_an_error_is_found_and_not_repeated() {
    let (violated, report) = violated(Defect::TellsToken);
    assert!(violated.contains("secret"), "{report}");
    let told: Vec<_> = report.violations.iter().flat_map(|run| &run.violations).collect();
    assert!(!format!("{told:?}").contains("parcel-token-"), "{told:?}");
}

#[test]
fn a_deadline_that_is_lost_is_found() {
    finds(Defect::IgnoresDeadline, "deadline");
}

#[test]
fn an_effect_that_is_denied_is_found() {
    finds(Defect::Denies, "honesty");
}

#[test]
fn a_failure_that_is_taken_for_a_result_is_found() {
    finds(Defect::Guesses, "result");
}

#[test]
fn a_credential_that_is_not_renewed_is_found() {
    finds(Defect::KeepsOldToken, "recovery");
}

#[test]
fn an_instance_that_declares_nothing_has_no_case_and_no_violation() {
    let report = chaos::run(&harness(Defect::None), &nothing(), 0..10).unwrap();
    assert_eq!((report.seeds, report.runs(), report.violations.len()), (10, 0, 0));
    assert_eq!(chaos::one(&harness(Defect::None), &nothing(), 3).unwrap(), None);
}

#[test]
fn a_declared_client_that_sends_nothing_at_all_is_told() {
    let refused = chaos::run(&harness(Defect::None), &idle(), 0..10).unwrap_err();
    assert!(refused.contains("no case sends anything"), "{refused}");
}

#[test]
fn a_case_that_panics_is_a_violation_and_not_the_end() {
    let report = chaos::run(&harness(Defect::None), &panics(), 0..2).unwrap();
    assert_eq!(report.violations.len(), 2, "{report}");
    assert!(report.to_string().contains("panicked without any fault"), "{report}");
}

#[test]
fn an_encoded_token_in_an_error_is_found_and_not_repeated() {
    let (violated, report) = violated(Defect::TellsEncodedToken);
    assert!(violated.contains("secret"), "{report}");
    assert!(report.to_string().contains("with the token ") && report.to_string().contains("***"), "{report}");
}

#[test]
fn what_is_no_setting_and_was_sent_as_credentials_is_looked_for_too() {
    let (violated, report) = violated(Defect::LogsSession);
    assert!(violated.contains("secret"), "{report}");
    assert!(report.to_string().contains("`authorization` is in the log"), "{report}");
}

#[test]
fn an_effect_that_is_denied_is_found_also_where_it_does_not_add_up() {
    finds(Defect::DeniesReroute, "honesty");
}

#[test]
fn a_failed_write_that_is_taken_for_done_is_found() {
    finds(Defect::Claims, "honesty");
}

#[test]
fn calls_that_are_made_anew_are_found() {
    finds(Defect::CallsAnew, "attempts");
}

#[test]
fn a_seed_tells_everything() {
    let report = chaos::run(&harness(Defect::RepeatsWrites), &suite(), 0..SEEDS).unwrap();
    let run = report.violations.first().unwrap();
    assert_eq!(&chaos::one(&harness(Defect::RepeatsWrites), &suite(), run.seed).unwrap().unwrap(), run);
    assert_eq!(run.reproduce(), format!("cargo xtask chaos --provider parcels --seed {}", run.seed));
    let json = report.to_json();
    assert_eq!(json["violations"][0]["seed"], run.seed);
    assert_eq!(json["runs"], SEEDS);
}
