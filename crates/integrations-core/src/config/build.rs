//! Configuration from code.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Config, InstanceConfig, Target, TenantConfig, TenantInstance};
use crate::pipeline::Policy;
use crate::setup::{Settings, Value};

impl Config {
    /// An environment without instances; every tenant is known.
    pub fn new(environment: impl Into<Arc<str>>) -> Self {
        Self {
            environment: environment.into(),
            development: false,
            instances: BTreeMap::new(),
            tenants: BTreeMap::new(),
            any_tenant: Some(TenantConfig::new()),
        }
    }

    /// Adds or replaces an instance.
    #[must_use]
    pub fn instance(mut self, name: impl Into<Arc<str>>, instance: InstanceConfig) -> Self {
        self.instances.insert(name.into(), instance);
        self
    }

    /// Adds or replaces a tenant.
    #[must_use]
    pub fn tenant(mut self, name: impl Into<Arc<str>>, tenant: TenantConfig) -> Self {
        self.tenants.insert(name.into(), tenant);
        self
    }

    /// Sets what holds for tenants without an entry; `None` refuses them.
    #[must_use]
    pub fn any_tenant(mut self, tenant: Option<TenantConfig>) -> Self {
        self.any_tenant = tenant;
        self
    }
}

impl InstanceConfig {
    /// An instance of a provider at its default address, with the default policy and without settings.
    pub fn new(provider: impl Into<Arc<str>>) -> Self {
        let target = Target::Provider { id: provider.into(), host: None, settings: Arc::default() };
        Self { enabled: true, target, policy: Arc::new(Policy::default()) }
    }

    /// Sets one setting of the provider. A composed instance has none of its own: nothing changes.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Target::Provider { settings, .. } = &mut self.target {
            Arc::make_mut(settings).set(name, value);
        }
        self
    }

    /// Sets the address: the name of one of the provider's hosts, or an absolute one.
    #[must_use]
    pub fn host(mut self, address: impl Into<Arc<str>>) -> Self {
        if let Target::Provider { host, .. } = &mut self.target {
            *host = Some(address.into());
        }
        self
    }

    /// Sets what answers.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Sets how its pipeline behaves.
    #[must_use]
    pub fn policy(mut self, policy: impl Into<Arc<Policy>>) -> Self {
        self.policy = policy.into();
        self
    }

    /// Sets whether it may be used.
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }
}

impl TenantConfig {
    /// A tenant that may use every instance as it is.
    pub fn new() -> Self {
        let (instances, features) = (None, BTreeSet::new());
        Self { enabled: true, instances, limit: None, share: None, features, sla: None }
    }

    /// Allows one instance; the first call takes away those that are not named.
    #[must_use]
    pub fn instance(mut self, name: impl Into<Arc<str>>, differs: TenantInstance) -> Self {
        self.instances.get_or_insert_default().insert(name.into(), differs);
        self
    }

    /// Adds a feature that the tenant has subscribed to.
    #[must_use]
    pub fn feature(mut self, name: impl Into<Arc<str>>) -> Self {
        self.features.insert(name.into());
        self
    }
}

impl Default for TenantConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl TenantInstance {
    /// The instance as it is.
    pub fn new() -> Self {
        Self { enabled: true, settings: None, policy: None }
    }

    /// Sets settings of the tenant's own.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(Arc::new(settings));
        self
    }
}

impl Default for TenantInstance {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_said_anything_about_is_enabled() {
        assert_eq!(TenantConfig::default(), TenantConfig::new());
        assert_eq!(TenantInstance::default(), TenantInstance::new());
        assert!(TenantConfig::default().enabled && TenantInstance::default().enabled);
    }
}
