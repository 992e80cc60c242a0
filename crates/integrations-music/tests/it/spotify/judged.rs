//! Spotify before the judges.

use integrations_core::Result;
use integrations_core::SecretString;
use integrations_core::setup::{Settings, Setup};
use integrations_music::Music;
use integrations_music::spotify::{Errors, Spotify, ops, spec::SPEC};
use integrations_sandbox::{Sandbox, spotify};
use integrations_testkit::chaos;
use integrations_testkit::conformance::{Harness, music};

use crate::judges;

fn open(setup: &Setup) -> Result<Music> {
    Spotify::open(setup).map(Music::new)
}

/// The user whose things the fake has, by an application in development mode.
fn in_development(setup: &Setup) -> Result<Music> {
    let token = SecretString::from(known("development_token"));
    open(&setup.clone().settings(Settings::default()).set("access_token", token))
}

/// An application in development mode without a user.
fn alone(setup: &Setup) -> Result<Music> {
    let secret = SecretString::from(known("development_client_secret"));
    let setup = setup.clone().settings(Settings::default()).set("client_secret", secret);
    open(&setup.set("client_id", known("development_client_id")))
}

fn known(name: &str) -> String {
    Sandbox::of(SPEC.id, 0).unwrap().known().get(name).unwrap().to_owned()
}

#[test]
fn calls_are_as_recorded() {
    judges::as_recorded(&SPEC, ops::OPS, open);
}

#[test]
fn hostile_answers_are_borne() {
    judges::bears_hostile_answers(&SPEC, ops::OPS, &Errors);
}

#[test]
fn the_categorys_cases_hold() {
    judges::conforms(&SPEC, open);
}

#[test]
fn they_hold_in_development_mode() {
    judges::conforms(&SPEC, in_development);
}

#[test]
fn they_hold_for_an_application_alone() {
    judges::conforms(&SPEC, alone);
}

#[test]
fn they_hold_under_faults() {
    judges::bears_faults(&SPEC, open);
}

/// Few seeds: what is new here are the paths of the calls, not what can go wrong with them.
#[test]
fn they_hold_under_faults_in_development_mode() {
    let harness = Harness::new(&SPEC, &spotify::FAKE, in_development);
    let report = chaos::run(&harness, &music::suite(), 0..20).unwrap();
    assert!(report.violations.is_empty(), "{report}");
}
