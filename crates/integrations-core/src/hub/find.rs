//! Which instances there are for what.

use std::sync::Arc;

use super::Hub;
use super::open::{Place, Snapshot, members};
use crate::registry::Instance;

/// What is looked for; everything that is not said fits.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Find {
    category: Option<String>,
    cap: Option<String>,
    tenant: Option<Arc<str>>,
}

impl Find {
    /// Every instance that is enabled.
    pub fn all() -> Self {
        Self::default()
    }

    /// Those of one category.
    pub fn category(mut self, name: impl Into<String>) -> Self {
        self.category = Some(name.into());
        self
    }

    /// Those that have a capability.
    pub fn cap(mut self, name: impl Into<String>) -> Self {
        self.cap = Some(name.into());
        self
    }

    /// Those that a tenant may use.
    pub fn tenant(mut self, name: impl Into<Arc<str>>) -> Self {
        self.tenant = Some(name.into());
        self
    }
}

/// An instance that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Its name.
    pub name: Arc<str>,
    /// Its category.
    pub category: &'static str,
    /// Its providers: one, or those it is composed of.
    pub providers: Vec<Arc<str>>,
    /// What it can do now.
    pub caps: Vec<&'static str>,
}

impl Hub {
    /// The enabled instances that fit, by name. A tenant that is not known finds nothing.
    pub fn find(&self, find: &Find) -> Vec<Found> {
        let snapshot = self.inner.snapshot();
        if find.tenant.as_ref().is_some_and(|tenant| tenant.is_empty()) {
            return Vec::new(); // No tenant's name, and the application's own.
        }
        let tenant = find.tenant.clone().unwrap_or_else(|| "".into());
        let place = Place { tenant, connection: "".into() };
        let found = snapshot.config.instances.keys().filter_map(|name| self.found(&snapshot, &place, name));
        found
            .filter(|f| find.category.as_ref().is_none_or(|category| f.category == category))
            .filter(|f| find.cap.as_ref().is_none_or(|cap| f.caps.contains(&cap.as_str())))
            .collect()
    }

    fn found(&self, snapshot: &Snapshot, place: &Place, name: &Arc<str>) -> Option<Found> {
        let view = snapshot.view(place, name).ok()?;
        let category = self.inner.category(&view.instance.target).ok()?;
        let client = self.inner.open_any(snapshot, place, name).ok()?;
        let providers: Vec<_> =
            members(name, &view.instance.target).into_iter().map(|member| member.provider).collect();
        let caps = self.caps(&*client, &providers);
        Some(Found { name: name.clone(), category, providers, caps })
    }

    /// What a client says of itself, else what all its providers can.
    pub(super) fn caps(&self, client: &dyn Instance, providers: &[Arc<str>]) -> Vec<&'static str> {
        client.caps().unwrap_or_else(|| {
            let mut specs = providers.iter().filter_map(|id| self.inner.registry.spec(id));
            let Some(first) = specs.next() else { return Vec::new() };
            let rest: Vec<_> = specs.collect();
            first.caps.iter().copied().filter(|cap| rest.iter().all(|spec| spec.can(cap))).collect()
        })
    }
}
