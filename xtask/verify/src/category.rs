//! The categories that are judged: what is the same for all of them, written once.

use std::ops::Range;

use integrations::auth::SignIn;
use integrations::music::Music;
use integrations::provider::ProviderSpec;
use integrations::registry;
use integrations::setup::Setup;
use integrations::{Caller, Result};
use integrations_sandbox::{FAKES, Fake};
use integrations_testkit::conformance::{Harness, Suite, auth, check, music};
use integrations_testkit::{chaos, conformance};

/// One kind of service.
#[derive(Debug)]
pub(crate) struct Category {
    pub(crate) name: &'static str,
    /// As people call it.
    pub(crate) title: &'static str,
    /// Each case with what it needs.
    pub(crate) cases: fn() -> Vec<(&'static str, &'static [&'static str])>,
    conforms: fn(&Judged) -> conformance::Report,
    storms: fn(&Judged, Range<u64>) -> Result<chaos::Report, String>,
    storm: fn(&Judged, u64) -> Result<Option<chaos::Run>, String>,
    caller: fn(&Setup) -> Result<Option<Caller>>,
}

pub(crate) static CATEGORIES: [Category; 2] = [Category::of::<SignIn>(), Category::of::<Music>()];

/// A category's client, and how it is judged.
trait Client: registry::Category {
    const TITLE: &'static str;
    const SUITE: fn() -> Suite<Self>;
}

impl Client for SignIn {
    const TITLE: &'static str = "Sign-in";
    const SUITE: fn() -> Suite<Self> = auth::suite;
}

impl Client for Music {
    const TITLE: &'static str = "Music";
    const SUITE: fn() -> Suite<Self> = music::suite;
}

/// A provider that has both a client and a fake.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged {
    pub(crate) category: &'static Category,
    pub(crate) spec: &'static ProviderSpec,
    fake: &'static Fake,
}

impl Category {
    const fn of<C: Client>() -> Self {
        Self {
            name: C::NAME,
            title: C::TITLE,
            cases: || (C::SUITE)().cases.iter().map(|case| (case.id, case.needs)).collect(),
            conforms: |judged| check(&judged.harness::<C>(), &(C::SUITE)()),
            storms: |judged, seeds| chaos::run(&judged.harness::<C>(), &(C::SUITE)(), seeds),
            storm: |judged, seed| chaos::one(&judged.harness::<C>(), &(C::SUITE)(), seed),
            caller: |setup| {
                let client = integrations::registry().open::<C>(setup)?;
                Ok(((C::SUITE)().caller_of)(&client).cloned())
            },
        }
    }

    /// Its providers that have both a client and a fake.
    pub(crate) fn judged(&'static self) -> Vec<Judged> {
        let registry = integrations::registry();
        let fakes = FAKES.iter().filter(|fake| fake.category == self.name);
        let both =
            |fake: &'static Fake| Some(Judged { category: self, spec: registry.spec(fake.provider)?, fake });
        fakes.filter_map(both).collect()
    }
}

impl Judged {
    fn harness<C: registry::Category>(&self) -> Harness<C> {
        let registry = integrations::registry();
        Harness::new(self.spec, self.fake, move |setup| registry.open::<C>(setup))
    }

    pub(crate) fn conforms(&self) -> conformance::Report {
        (self.category.conforms)(self)
    }

    /// The cases under faults, one for each seed.
    pub(crate) fn storms(&self, seeds: Range<u64>) -> Result<chaos::Report, String> {
        (self.category.storms)(self, seeds)
    }

    /// The case of one seed.
    pub(crate) fn storm(&self, seed: u64) -> Result<Option<chaos::Run>, String> {
        (self.category.storm)(self, seed)
    }
}

/// The providers of all categories that have both a client and a fake: all of them, or the one with this id.
pub(crate) fn chosen(id: Option<&str>) -> Result<Vec<Judged>, String> {
    let all: Vec<Judged> = CATEGORIES.iter().flat_map(Category::judged).collect();
    let chosen: Vec<_> =
        all.iter().copied().filter(|judged| id.is_none_or(|id| judged.spec.id == id)).collect();
    if chosen.is_empty() {
        let ids: Vec<&str> = all.iter().map(|judged| judged.spec.id).collect();
        return Err(format!("there is no such provider with a fake; there are {}", ids.join(", ")));
    }
    Ok(chosen)
}

/// What carries the calls of a provider, whichever category it is of; `None` where its client does not tell.
pub(crate) fn caller(setup: &Setup) -> Result<Option<Caller>> {
    let category = CATEGORIES.iter().find(|category| category.name == setup.spec().category);
    category.map_or(Ok(None), |category| (category.caller)(setup))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_with_a_fake_is_judged() {
        for fake in FAKES {
            assert!(CATEGORIES.iter().any(|category| category.name == fake.category), "{}", fake.category);
        }
    }

    #[test]
    fn every_provider_with_a_fake_is_chosen_and_no_other() {
        let ids: Vec<&str> = chosen(None).unwrap().iter().map(|judged| judged.spec.id).collect();
        let fakes = FAKES.iter().map(|fake| fake.provider);
        let registry = integrations::registry();
        let expected: Vec<&str> = fakes.filter(|id| registry.spec(id).is_some()).collect();
        assert_eq!(ids.len(), expected.len());
        assert!(expected.iter().all(|id| ids.contains(id)), "{ids:?}");
        assert_eq!(chosen(Some("spotify")).unwrap()[0].spec.id, "spotify");
        assert!(chosen(Some("nobody")).unwrap_err().contains("spotify"));
    }
}
