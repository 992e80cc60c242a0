//! Changing the configuration while calls run.
//!
//! The global part (instances, environment) changes whole or not at all. Each tenant's part changes whole or not at all
//! too, but a mistake in one tenant's part holds back that tenant alone.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::open::{Off, Place, Snapshot, instance_of, members};
use super::{Hub, Inner};
use crate::config::{Change, Config, TenantConfig};
use crate::connection::check_name;
use crate::error::{Error, ErrorKind, Result};

/// The name of the entry for every tenant, which no tenant can have.
const EVERY: &str = "*";

/// Tenants whose part of a configuration cannot be used, and why.
pub type Kept = Vec<(Arc<str>, Error)>;

/// What a reload did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reloaded {
    /// What is different now; secrets are shown as where they come from.
    pub changes: Vec<Change>,
    /// Tenants whose part of the new configuration cannot be used. They keep what they had; a new one is not admitted.
    pub kept: Kept,
}

impl Hub {
    /// Goes over to another configuration. Calls in flight end under the present one; clients that were opened before
    /// keep their credentials and policy until they are opened again, but not their right to an instance that is gone.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when an instance cannot be made or no longer does what is required of it. Nothing has
    /// changed then.
    pub fn reload(&self, config: Config) -> Result<Reloaded> {
        let mut previous = self.inner.changing();
        let before = self.inner.snapshot();
        let (config, kept) = self.admissible(config, &before.config)?;
        let changes = Config::diff(&before.config, &config);
        *previous = Some(before.config.clone());
        self.go_over(&before, config, before.off.clone());
        Ok(Reloaded { changes, kept })
    }

    /// Changes one tenant's part.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it cannot be used. Nothing has changed then.
    pub fn reload_tenant(&self, name: impl Into<Arc<str>>, tenant: TenantConfig) -> Result<Vec<Change>> {
        let mut previous = self.inner.changing();
        let before = self.inner.snapshot();
        let name = name.into();
        check_name("a tenant", &name)?;
        let config = before.config.clone().tenant(name.clone(), tenant.clone());
        self.check_tenant(&Snapshot::new(0, config.clone(), Off::default()), &name, &tenant)?;
        let changes = Config::diff(&before.config, &config);
        *previous = Some(before.config.clone());
        self.go_over(&before, config, before.off.clone());
        Ok(changes)
    }

    /// Goes back to the configuration before the last change. A second rollback undoes the first.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there was no change yet.
    pub fn rollback(&self) -> Result<Vec<Change>> {
        let mut previous = self.inner.changing();
        let present = self.inner.snapshot();
        let config = previous.take().ok_or_else(|| Error::config("there was no change to roll back"))?;
        let changes = Config::diff(&present.config, &config);
        *previous = Some(present.config.clone());
        self.go_over(&present, config, present.off.clone());
        Ok(changes)
    }

    /// Switches an instance off or on for everybody, at once and also for clients that are open. It holds until it is
    /// called again, also over reloads.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there is no such instance.
    pub fn set_enabled(&self, instance: &str, enabled: bool) -> Result<()> {
        let _changing = self.inner.changing();
        let present = self.inner.snapshot();
        let Some((name, _)) = present.config.instances.get_key_value(instance) else {
            return Err(Error::config(format!("there is no instance `{instance}`")));
        };
        let mut off = present.off.clone();
        switch(&mut off.instances, name, enabled);
        self.go_over(&present, present.config.clone(), off);
        Ok(())
    }

    /// Switches a tenant off or on, at once and also for clients that are open. It holds until it is called again, also
    /// over reloads.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there is no such tenant.
    pub fn set_tenant_enabled(&self, tenant: &str, enabled: bool) -> Result<()> {
        let _changing = self.inner.changing();
        let present = self.inner.snapshot();
        present.tenant(tenant)?;
        let mut off = present.off.clone();
        switch(&mut off.tenants, &tenant.into(), enabled);
        self.go_over(&present, present.config.clone(), off);
        Ok(())
    }

    pub(super) fn start(&self, config: Config) -> Result<()> {
        let before = self.inner.snapshot();
        let (config, mut kept) = self.admissible(config, &before.config)?;
        if let Some((name, error)) = kept.pop() {
            return Err(error.with_context(&format!("the tenant `{name}`")));
        }
        self.go_over(&before, config, Off::default());
        Ok(())
    }

    /// The configuration without what cannot be used of tenants, and why that is so.
    fn admissible(&self, mut config: Config, before: &Config) -> Result<(Config, Kept)> {
        let candidate = Snapshot::new(0, config.clone(), Off::default());
        self.check_instances(&candidate)?;
        if let Some(any) = &candidate.config.any_tenant {
            let every = |e: Error| e.with_context("the entry for every tenant");
            if any.share.is_some() {
                let error = Error::config("a share is one tenant's, not everybody's");
                return Err(every(error.with_hint("leave it out: without one, tenants get equal parts")));
            }
            self.check_tenant(&candidate, &EVERY.into(), any).map_err(every)?;
        }
        let mut kept = Vec::new();
        for (name, tenant) in &candidate.config.tenants {
            let checked =
                check_name("a tenant", name).and_then(|()| self.check_tenant(&candidate, name, tenant));
            let Err(error) = checked else { continue };
            // A new one is not admitted: else the new entry for every tenant would do that.
            let old = before.tenants.get(name).or(before.any_tenant.as_ref());
            config.tenants.insert(name.clone(), old.cloned().unwrap_or_else(refused));
            kept.push((name.clone(), error));
        }
        Ok((config, kept))
    }

    fn check_instances(&self, candidate: &Snapshot) -> Result<()> {
        for (name, instance) in &candidate.config.instances {
            check_name("an instance", name)?;
            if instance.enabled {
                self.inner.open_any(candidate, &Place::application(), name)?;
            }
        }
        self.inner.requirements.iter().try_for_each(|wanted| {
            let client = self.inner.open_any(candidate, &Place::application(), &wanted.instance)?;
            let target = &candidate.config.instances[&wanted.instance].target;
            let providers: Vec<_> =
                members(&wanted.instance, target).into_iter().map(|member| member.provider).collect();
            let caps = self.caps(&*client, &providers);
            match wanted.caps.iter().find(|cap| !caps.contains(cap)) {
                None => Ok(()),
                Some(cap) => Err(Error::unsupported(
                    format!("the instance `{}` cannot `{cap}`, which is required of it", wanted.instance),
                    format!("it can {}", caps.join(", ")),
                )),
            }
        })
    }

    /// Whether everything that a tenant's part names is there and, where it has settings of its own, can be made.
    fn check_tenant(&self, candidate: &Snapshot, name: &Arc<str>, tenant: &TenantConfig) -> Result<()> {
        let place = Place { tenant: name.clone(), connection: "".into() };
        if let Some(limit) = &tenant.limit {
            limit.validate()?;
        }
        if tenant.share.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
            return Err(Error::config("`share` must be above 0 and below 1"));
        }
        for (instance, differs) in tenant.instances.iter().flatten() {
            if !candidate.config.instances.contains_key(instance) {
                return Err(Error::config(format!("there is no instance `{instance}`")));
            }
            if differs.settings.is_none() && differs.policy.is_none() {
                continue;
            }
            match self.inner.open_any(candidate, &place, instance) {
                Err(e) if e.kind() == ErrorKind::Config && !is_on(candidate, &place, instance) => drop(e),
                made => drop(made?),
            }
        }
        Ok(())
    }

    fn go_over(&self, before: &Snapshot, config: Config, off: Off) {
        let inner = &self.inner;
        let after = Arc::new(Snapshot::new(before.generation + 1, config, off));
        *inner.current.write().unwrap_or_else(PoisonError::into_inner) = after.clone();
        inner.readmit(before, &after);
        if !before.config_is_that_of(&after) {
            inner.reshape(before, &after);
            inner.probes.forget();
        }
    }
}

fn switch(off: &mut BTreeSet<Arc<str>>, name: &Arc<str>, on: bool) {
    if on {
        off.remove(name);
    } else {
        off.insert(name.clone());
    }
}

fn is_on(candidate: &Snapshot, place: &Place, instance: &str) -> bool {
    candidate.view(place, instance).is_ok()
}

impl Inner {
    fn changing(&self) -> MutexGuard<'_, Option<Config>> {
        // What is changed under the lock is whole after each statement.
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is no longer admitted is refused, also through clients that are open. Instances that are in neither
    /// configuration are none of this hub's.
    fn readmit(&self, before: &Snapshot, after: &Snapshot) {
        let is_ours =
            |name: &str| [before, after].iter().any(|snapshot| snapshot.config.instances.contains_key(name));
        self.stages.readmit(|tenant, member| {
            let name = instance_of(member);
            is_ours(name).then(|| after.admits(tenant, name))
        });
    }

    fn reshape(&self, before: &Snapshot, after: &Snapshot) {
        self.stages.reshape_gates(|member, credential| {
            let name = instance_of(member);
            let new = after.gate_policy(credential, name)?;
            let same = before.gate_policy(credential, name).is_some_and(|old| Arc::ptr_eq(old, new));
            (!same).then_some(&**new)
        });
        for (tenant, member) in self.stages.callers() {
            let place = Place { tenant, connection: "".into() };
            let policy = |of: &Snapshot| Some(of.policy(&of.configured(&place, instance_of(&member)).ok()?));
            if let Some(new) = policy(after).filter(|new| policy(before).as_ref() != Some(new)) {
                self.stages.reshape_tenant(&place.tenant, &member, &new);
            }
        }
    }
}

/// A tenant that is new and whose part has a mistake: nothing is known of what it may do.
fn refused() -> TenantConfig {
    TenantConfig { enabled: false, ..TenantConfig::new() }
}
