//! What every provider goes through in the tests of its category's crate: golden files, hostile answers, the category's
//! cases, and those under faults. Everything here panics with what is wrong: it is for tests.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use integrations_core::dynamic::OpEntry;
use integrations_core::provider::ProviderSpec;
use integrations_core::setup::Setup;
use integrations_core::{Classify, Error, Result};
use integrations_sandbox::{FAKES, Fake, Sandbox};

use crate::conformance::{Harness, Suite};
use crate::golden::{Goldens, Problems, setup};
use crate::{chaos, conformance, hostile};

/// The judges of a category as functions of a test's module, for the client and the suite that are named.
///
/// ```
/// use integrations_core::music::Music;
/// integrations_testkit::judges!(Music, integrations_testkit::conformance::music::suite());
/// ```
#[macro_export]
macro_rules! judges {
    ($client:ty, $suite:expr) => {
        $crate::judges!(@each $client, $suite;
            as_recorded(ops: &'static [integrations_core::dynamic::OpEntry], open: Open);
            bears_hostile_answers(
                ops: &'static [integrations_core::dynamic::OpEntry],
                errors: &dyn integrations_core::Classify
            );
            conforms(open: Open);
            bears_faults(open: Open);
        );

        type Open = fn(&integrations_core::setup::Setup) -> integrations_core::Result<$client>;
    };
    (@each $client:ty, $suite:expr; $($judge:ident($($name:ident: $kind:ty),+);)+) => {
        $(
            #[allow(dead_code, reason = "a build may have no provider that is judged so")]
            pub(crate) fn $judge(
                spec: &'static integrations_core::provider::ProviderSpec,
                $($name: $kind),+
            ) {
                let judges: $crate::judges::Judges<$client> =
                    $crate::judges::Judges::new($suite, env!("CARGO_MANIFEST_DIR"));
                judges.$judge(spec, $($name),+);
            }
        )+
    };
}

/// So many seeds run with the other tests; `cargo xtask chaos` takes more.
const SEEDS: Range<u64> = 0..60;

/// The judges of a category.
pub struct Judges<C: 'static> {
    suite: Suite<C>,
    package: &'static str,
}

impl<C> fmt::Debug for Judges<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judges").field("package", &self.package).finish_non_exhaustive()
    }
}

impl<C: 'static> Judges<C> {
    /// The judges with the cases of `suite`; `package` is the folder of the category's crate, `CARGO_MANIFEST_DIR`.
    pub fn new(suite: Suite<C>, package: &'static str) -> Self {
        Self { suite, package }
    }

    /// What is sent, what the fake answers, and what is made of it is as recorded.
    ///
    /// # Panics
    /// Where it is not.
    pub fn as_recorded(
        &self,
        spec: &'static ProviderSpec,
        ops: &'static [OpEntry],
        open: fn(&Setup) -> Result<C>,
    ) {
        let caller = |sandbox: &Sandbox| {
            let client = open(&setup(spec, sandbox)?)?;
            let caller = (self.suite.caller_of)(&client).cloned();
            caller.ok_or_else(|| Error::config("the driver does not tell its caller"))
        };
        none_of(self.goldens(spec, ops).check(caller));
    }

    /// Answers that nobody promised are read, or are typed errors.
    ///
    /// # Panics
    /// Where they are not.
    pub fn bears_hostile_answers(
        &self,
        spec: &'static ProviderSpec,
        ops: &'static [OpEntry],
        errors: &dyn Classify,
    ) {
        none_of(hostile::check(&self.goldens(spec, ops), errors));
    }

    /// Every case whose capabilities are there holds, and what is absent is refused before anything is sent.
    ///
    /// # Panics
    /// Where that is not so.
    pub fn conforms(&self, spec: &'static ProviderSpec, open: fn(&Setup) -> Result<C>) {
        conformance::check(&harness(spec, open), &self.suite).assert_good();
    }

    /// The same under faults.
    ///
    /// # Panics
    /// Where anything does not hold.
    pub fn bears_faults(&self, spec: &'static ProviderSpec, open: fn(&Setup) -> Result<C>) {
        let report = chaos::run(&harness(spec, open), &self.suite, SEEDS);
        assert!(report.as_ref().is_ok_and(|report| report.violations.is_empty()), "{}", told(report));
    }

    fn goldens(&self, spec: &'static ProviderSpec, ops: &'static [OpEntry]) -> Goldens {
        let module = spec.id.replace('-', "_");
        let folder = PathBuf::from(self.package).join("tests/it").join(module).join("golden");
        none_of(Goldens::load(spec, ops, folder))
    }
}

fn told(report: Result<chaos::Report, String>) -> String {
    report.map_or_else(|why| why, |report| report.to_string())
}

fn harness<C: 'static>(spec: &'static ProviderSpec, open: fn(&Setup) -> Result<C>) -> Harness<C> {
    Harness::new(spec, fake(spec), open)
}

fn fake(spec: &ProviderSpec) -> &'static Fake {
    let found = FAKES.iter().find(|fake| fake.provider == spec.id);
    found.unwrap_or_else(|| panic!("`{}` has no fake in this build", spec.id))
}

#[track_caller]
fn none_of<T>(judged: Result<T, Problems>) -> T {
    judged.unwrap_or_else(|problems| panic!("{problems}"))
}
