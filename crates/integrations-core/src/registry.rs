//! Which providers a build has, by category, and how a client of each is made.
//!
//! A registry is a plain value: nothing registers itself, nothing is global. A provider of one's own, and a category of
//! one's own, are registered exactly as the built-in ones are.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::config::Composition;
use crate::error::{Error, Result};
use crate::provider::ProviderSpec;
use crate::setup::Setup;

/// What a check of an instance costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ProbeCost {
    /// Nothing of the vendor's quota: a connection, a discovery document.
    Free,
    /// One cheap call of quota.
    Quota,
    /// Money, a message, or a visible change.
    Paid,
}

/// A check of an instance by a call, with what it costs.
#[must_use]
pub struct Probe<'a> {
    /// What running it costs.
    pub cost: ProbeCost,
    /// The check.
    pub run: Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>,
}

impl<'a> Probe<'a> {
    /// A check that costs `cost`.
    pub fn new(cost: ProbeCost, run: impl Future<Output = Result<()>> + Send + 'a) -> Self {
        Self { cost, run: Box::pin(run) }
    }
}

impl fmt::Debug for Probe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("cost", &self.cost).finish_non_exhaustive()
    }
}

/// The portable interface of one kind of service: `Music`, `Payments`, or one of your own.
pub trait Category: Clone + Send + Sync + 'static {
    /// The category's name, e.g. `music`.
    const NAME: &'static str;

    /// What this instance can do, when that is less than what its provider can: a plan or a scope that is missing.
    fn caps(&self) -> Option<Vec<&'static str>> {
        None
    }

    /// A check by a call. `None` when there is none that makes sense.
    fn probe(&self) -> Option<Probe<'_>> {
        None
    }

    /// Several instances behind one. Default: [`ErrorKind::Unsupported`](crate::ErrorKind).
    fn compose(how: Composition, members: Vec<Self>) -> Result<Self> {
        let _ = (how, members);
        Err(Error::unsupported(
            format!("the category `{}` cannot put several providers behind one instance", Self::NAME),
            "configure one provider per instance",
        ))
    }
}

/// A provider that could be in a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Known {
    /// The provider's id.
    pub id: &'static str,
    /// Its category.
    pub category: &'static str,
    /// The feature that puts it into a build.
    pub feature: &'static str,
}

impl Known {
    /// A provider and its feature.
    pub const fn new(id: &'static str, category: &'static str, feature: &'static str) -> Self {
        Self { id, category, feature }
    }
}

/// The providers of a build. Cheap to clone.
#[derive(Clone, Default)]
pub struct Registry {
    entries: BTreeMap<&'static str, Arc<Entry>>,
    known: BTreeMap<&'static str, Known>,
}

struct Entry {
    spec: &'static ProviderSpec,
    category: &'static str,
    open: Box<Open>,
}

type Open = dyn Fn(&Setup) -> Result<Box<dyn Instance>> + Send + Sync;

/// A client whose category is not known here.
pub(crate) trait Instance: Any + Send + Sync {
    fn caps(&self) -> Option<Vec<&'static str>>;
    fn probe(&self) -> Option<Probe<'_>>;
}

impl<C: Category> Instance for C {
    fn caps(&self) -> Option<Vec<&'static str>> {
        Category::caps(self)
    }

    fn probe(&self) -> Option<Probe<'_>> {
        Category::probe(self)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

impl Registry {
    /// A registry without providers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a provider of the category `C`; `open` makes a client from what is configured.
    ///
    /// # Panics
    /// When there is a provider of this id already, or when `spec` names another category: both are mistakes in the
    /// program, which shows at its start.
    pub fn add<C: Category>(
        &mut self,
        spec: &'static ProviderSpec,
        open: impl Fn(&Setup) -> Result<C> + Send + Sync + 'static,
    ) -> &mut Self {
        assert_eq!(spec.category, C::NAME, "the provider `{}` is registered in another category", spec.id);
        let open: Box<Open> = Box::new(move |setup| Ok(Box::new(open(setup)?)));
        let entry = Entry { spec, category: C::NAME, open };
        let before = self.entries.insert(spec.id, Arc::new(entry));
        assert!(before.is_none(), "the provider `{}` is registered twice", spec.id);
        self
    }

    /// Says which providers could be in a build, so that an error can name the feature that is missing.
    pub fn know(&mut self, known: &[Known]) -> &mut Self {
        self.known.extend(known.iter().map(|known| (known.id, *known)));
        self
    }

    /// A client of one provider, outside of any hub.
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind) when this build does not have the provider, with the feature that
    /// is missing; [`ErrorKind::Config`](crate::ErrorKind) when the provider is of another category.
    ///
    pub fn open<C: Category>(&self, setup: &Setup) -> Result<C> {
        self.check_category(setup.spec().id, C::NAME)?;
        let instance: Box<dyn Any> = self.open_any(setup)?;
        Ok(*instance.downcast::<C>().map_err(|_| another_type(C::NAME))?)
    }

    pub(crate) fn open_any(&self, setup: &Setup) -> Result<Box<dyn Instance>> {
        (self.entry(setup.spec().id)?.open)(setup)
    }

    /// The facts of a provider that this build has.
    pub fn spec(&self, id: &str) -> Option<&'static ProviderSpec> {
        self.entries.get(id).map(|entry| entry.spec)
    }

    /// The facts of all providers that this build has, by id.
    pub fn specs(&self) -> impl Iterator<Item = &'static ProviderSpec> {
        self.entries.values().map(|entry| entry.spec)
    }

    /// The ids of the providers of one category, which are also the schemes of DSNs.
    pub fn schemes<C: Category>(&self) -> impl Iterator<Item = &'static str> {
        self.specs().filter(|spec| spec.category == C::NAME).map(|spec| spec.id)
    }

    /// A provider that is not in this build but could be.
    pub fn missing(&self, id: &str) -> Option<Known> {
        self.known.get(id).filter(|known| !self.entries.contains_key(known.id)).copied()
    }

    /// Why there is no provider `id`: [`ErrorKind::Unsupported`](crate::ErrorKind) with what to do.
    pub fn absent(&self, id: &str) -> Error {
        if let Some(known) = self.missing(id) {
            return Error::unsupported(
                format!("the provider `{id}` is not in this build"),
                format!("enable the feature `{}`", known.feature),
            );
        }
        let ids: Vec<&str> = self.entries.keys().copied().collect();
        let message = format!("there is no provider `{id}`");
        match closest(id, ids.iter().copied().chain(self.known.keys().copied())) {
            Some(close) => Error::unsupported(message, format!("did you mean `{close}`?")),
            None if ids.is_empty() => {
                Error::unsupported(message, "this build has no provider; enable a feature")
            }
            None => Error::unsupported(message, format!("this build has {}", ids.join(", "))),
        }
    }

    pub(crate) fn check_category(&self, id: &str, wanted: &'static str) -> Result<()> {
        let entry = self.entry(id)?;
        if entry.category == wanted {
            return Ok(());
        }
        Err(Error::config(format!("`{id}` is a provider of `{}`, not of `{wanted}`", entry.category)))
    }

    fn entry(&self, id: &str) -> Result<&Entry> {
        self.entries.get(id).map(Arc::as_ref).ok_or_else(|| self.absent(id))
    }
}

/// Two categories of one name.
pub(crate) fn another_type(category: &str) -> Error {
    Error::config(format!("two types are registered as the category `{category}`"))
}

/// The name that `wrong` was probably meant to be.
pub(crate) fn closest<'n>(wrong: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let near =
        |name: &&str| strsim::damerau_levenshtein(wrong, name) <= (wrong.len().max(name.len()) / 3).max(1);
    names.filter(near).min_by_key(|name| strsim::damerau_levenshtein(wrong, name))
}
