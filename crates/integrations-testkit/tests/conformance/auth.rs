//! The cases of sign-in over a model of a service: a sound one passes all of them, and each defect fails its case.

use integrations_testkit::conformance::{Report, Verdict, auth, check};

use crate::turnstile::{CAPS, Defect, harness};

/// What is wrong, and a case that notices.
const DEFECTS: &[(Defect, &str)] = &[
    (Defect::SendsWithoutTls, "begin"),
    (Defect::NamesAnotherState, "begin"),
    (Defect::MailIsKey, "sign_in"),
    (Defect::MailIsKey, "profile_known_token"),
    (Defect::KeyChanges, "sign_in"),
    (Defect::EverybodyIsOne, "sign_in_other_user"),
    (Defect::IgnoresState, "sign_in_state_differs"),
    (Defect::IgnoresState, "sign_in_answer_of_another_flow"),
    (Defect::IgnoresNonce, "id_token_of_another_flow"),
    (Defect::IgnoresProof, "sign_in_code_of_another_flow"),
    (Defect::IgnoresTheEnd, "sign_in_expired_pending"),
    (Defect::TakesTheFirst, "sign_in_ambiguous_answer"),
    (Defect::CompletesTwice, "sign_in_code_twice"),
    (Defect::TakesAnyCode, "sign_in_invented_code"),
    (Defect::TakesAnyCode, "sign_in_code_twice"),
    (Defect::DeclinesAsBroken, "sign_in_declined"),
    (Defect::ForgetsMail, "email_verification"),
    (Defect::SaysUnverifiedAlways, "email_verification"),
    (Defect::SaysVerifiedAlways, "email_verification"),
    (Defect::DoesNotSay, "email_verification"),
    (Defect::ForgetsStatement, "id_token"),
    (Defect::ForgetsWhatWasKept, "sign_in_stored"),
    (Defect::ProfileOfAnybody, "profile_foreign_token"),
    (Defect::GivesTheOldToken, "refresh"),
    (Defect::DeadIsUnavailable, "refresh_dead"),
    (Defect::NeverRevokes, "revoke"),
    (Defect::RevokesKnownOnly, "revoke_unknown"),
    (Defect::RevokesKnownOnly, "revoke"),
    (Defect::ForgetsLogoutState, "logout"),
    (Defect::TakesAnyNotice, "logout_notice"),
    (Defect::TakesAnyNotice, "logout_notice_id_token"),
];

fn verdict<'r>(report: &'r Report, case: &str) -> &'r Verdict {
    &report.trials.iter().find(|trial| trial.case == case).unwrap().verdict
}

#[test]
fn a_sound_service_passes_every_case() {
    let report = check(&harness(Defect::None, &[]), &auth::suite());
    report.assert_good();
    assert!(report.trials.iter().all(|trial| trial.verdict == Verdict::Ran), "{report}");
}

#[test]
fn each_defect_fails_its_case() {
    for (defect, case) in DEFECTS {
        let report = check(&harness(*defect, &[]), &auth::suite());
        assert!(matches!(verdict(&report, case), Verdict::Failed(_)), "{defect:?}, `{case}`: {report}");
    }
}

/// What a service does not know, nobody may claim in its name.
#[test]
fn where_the_service_does_not_verify_no_address_is_told_as_verified() {
    const LACKS: &[&str] = &["email_verification"];
    check(&harness(Defect::None, LACKS), &auth::suite()).assert_good();
    let report = check(&harness(Defect::SaysVerifiedAlways, LACKS), &auth::suite());
    for case in ["sign_in", "sign_in_other_user", "profile", "profile_known_token"] {
        assert!(matches!(verdict(&report, case), Verdict::Failed(_)), "`{case}`: {report}");
    }
}

#[test]
fn a_profile_that_knows_more_than_the_sign_in_is_noticed() {
    let report = check(&harness(Defect::ProfileVerifies, &["email_verification"]), &auth::suite());
    assert!(matches!(verdict(&report, "profile"), Verdict::Failed(_)), "{report}");
}

#[test]
fn without_any_capability_every_twin_runs() {
    let report = check(&harness(Defect::None, &CAPS), &auth::suite());
    report.assert_good();
    assert!(report.trials.iter().all(|trial| matches!(trial.verdict, Verdict::Twin(_))), "{report}");
}

#[cfg(feature = "chaos")]
mod under_faults {
    use std::collections::BTreeSet;

    use integrations_testkit::chaos::{self, Report};

    use super::*;

    fn report(defect: Defect) -> Report {
        chaos::run(&harness(defect, &[]), &auth::suite(), 0..300).unwrap()
    }

    fn violated(report: &Report) -> BTreeSet<&'static str> {
        let all = report.violations.iter().flat_map(|run| &run.violations);
        all.map(|violation| violation.invariant).collect()
    }

    /// A code is exchanged at most once, and what became of it is told as unknown where nobody knows.
    #[test]
    fn a_sound_service_bears_faults() {
        let report = report(Defect::None);
        assert!(report.violations.is_empty(), "{report}");
        for kind in ["reset_after", "hang_after", "broken", "truncated"] {
            assert!(report.faults.contains_key(kind), "no {kind} was met: {report}");
        }
    }

    #[test]
    fn what_shows_only_under_faults_is_found() {
        for (defect, invariant) in [
            (Defect::ExchangesAgain, "attempts"),
            (Defect::ClaimsNothingSent, "honesty"),
            (Defect::TellsTheCode, "secret"),
        ] {
            let report = report(defect);
            assert!(violated(&report).contains(invariant), "{defect:?}: {report}");
        }
    }
}
