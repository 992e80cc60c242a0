//! Spotify before the judges.

use integrations_music::Music;
use integrations_music::spotify::{Errors, Spotify, ops, spec::SPEC};

use crate::judges;

#[test]
fn calls_are_as_recorded() {
    judges::as_recorded(&SPEC, ops::OPS, |setup| Spotify::open(setup).map(Music::new));
}

#[test]
fn hostile_answers_are_borne() {
    judges::bears_hostile_answers(&SPEC, ops::OPS, &Errors);
}

#[test]
fn the_categorys_cases_hold() {
    judges::conforms(&SPEC, |setup| Spotify::open(setup).map(Music::new));
}

#[test]
fn they_hold_under_faults() {
    judges::bears_faults(&SPEC, |setup| Spotify::open(setup).map(Music::new));
}
