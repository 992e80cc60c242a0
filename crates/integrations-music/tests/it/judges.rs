//! What every provider goes through: golden files, hostile answers, the category's cases, and those under faults.

use std::path::Path;

use integrations_core::dynamic::OpEntry;
use integrations_core::provider::ProviderSpec;
use integrations_core::setup::Setup;
use integrations_core::{Classify, Error, Result};
use integrations_music::Music;
use integrations_sandbox::{FAKES, Fake};
use integrations_testkit::conformance::{self, Harness, music};
use integrations_testkit::golden::{Goldens, setup};
use integrations_testkit::{chaos, hostile};

type Open = fn(&Setup) -> Result<Music>;

/// What is sent, what the fake answers, and what is made of it is as recorded.
pub(crate) fn as_recorded(spec: &'static ProviderSpec, ops: &'static [OpEntry], open: Open) {
    let caller = |sandbox: &_| {
        let music = open(&setup(spec, sandbox)?)?;
        music.caller().cloned().ok_or_else(|| Error::config("the driver does not tell its caller"))
    };
    goldens(spec, ops).check(caller).unwrap();
}

/// Answers that nobody promised are read, or are typed errors.
pub(crate) fn bears_hostile_answers(
    spec: &'static ProviderSpec,
    ops: &'static [OpEntry],
    errors: &dyn Classify,
) {
    hostile::check(&goldens(spec, ops), errors).unwrap();
}

/// Every case whose capabilities are there holds, and what is absent is refused before anything is sent.
pub(crate) fn conforms(spec: &'static ProviderSpec, open: Open) {
    conformance::check(&Harness::new(spec, fake(spec), open), &music::suite()).assert_good();
}

/// The same under faults; `cargo xtask chaos` takes more seeds.
pub(crate) fn bears_faults(spec: &'static ProviderSpec, open: Open) {
    let report = chaos::run(&Harness::new(spec, fake(spec), open), &music::suite(), 0..60).unwrap();
    assert!(report.violations.is_empty(), "{report}");
}

fn goldens(spec: &'static ProviderSpec, ops: &'static [OpEntry]) -> Goldens {
    let module = spec.id.replace('-', "_");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(module).join("golden");
    Goldens::load(spec, ops, folder).unwrap()
}

fn fake(spec: &ProviderSpec) -> &'static Fake {
    FAKES.iter().find(|fake| fake.provider == spec.id).unwrap()
}
