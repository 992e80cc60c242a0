//! What every provider goes through: golden files, hostile answers, the category's cases, and those under faults.

use integrations_auth::SignIn;
use integrations_core::dynamic::OpEntry;
use integrations_core::provider::ProviderSpec;
use integrations_core::setup::Setup;
use integrations_core::{Classify, Result};
use integrations_testkit::conformance::auth;
use integrations_testkit::judges::Judges;

type Open = fn(&Setup) -> Result<SignIn>;

fn judges() -> Judges<SignIn> {
    Judges::new(auth::suite(), env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn as_recorded(spec: &'static ProviderSpec, ops: &'static [OpEntry], open: Open) {
    judges().as_recorded(spec, ops, open);
}

pub(crate) fn bears_hostile_answers(
    spec: &'static ProviderSpec,
    ops: &'static [OpEntry],
    errors: &dyn Classify,
) {
    judges().bears_hostile_answers(spec, ops, errors);
}

pub(crate) fn conforms(spec: &'static ProviderSpec, open: Open) {
    judges().conforms(spec, open);
}

pub(crate) fn bears_faults(spec: &'static ProviderSpec, open: Open) {
    judges().bears_faults(spec, open);
}
