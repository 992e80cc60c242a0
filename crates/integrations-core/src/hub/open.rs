//! From a configured instance to a client.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use http::Uri;

use super::{ConnectionId, Inner};
use crate::config::{Config, InstanceConfig, Target, TenantConfig, TenantInstance};
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::pipeline::{Policy, Scope};
use crate::provider::ProviderSpec;
use crate::registry::{Category, Instance, closest, typed};
use crate::setup::{Settings, Setup};

/// One configuration, with what follows from it.
pub(super) struct Snapshot {
    pub(super) generation: u64,
    pub(super) config: Config,
    pub(super) off: Off,
    policies: Mutex<Policies>,
}

/// What was switched off by hand.
#[derive(Debug, Clone, Default)]
pub(super) struct Off {
    pub(super) instances: BTreeSet<Arc<str>>,
    pub(super) tenants: BTreeSet<Arc<str>>,
}

/// The policies of tenants, so that tenants of one plan share one.
type Policies = HashMap<Arc<str>, Vec<Arc<Policy>>>;

/// Plans are few; a tenant with numbers of its own has a policy of its own.
const PLANS: usize = 16;

/// Whose client it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// `""` for the application itself.
    pub(super) tenant: Arc<str>,
    /// `""` for the application's or the tenant's own credentials.
    pub(super) connection: Arc<str>,
}

impl Place {
    pub(super) fn application() -> Self {
        Self { tenant: "".into(), connection: "".into() }
    }
}

/// What has a pipeline of its own: an instance, or a part of a composed one.
pub(super) struct Member {
    pub(super) name: Arc<str>,
    pub(super) provider: Arc<str>,
}

/// One instance as one tenant sees it.
pub(super) struct View<'s> {
    pub(super) name: &'s Arc<str>,
    pub(super) instance: &'s InstanceConfig,
    tenant: Option<&'s TenantConfig>,
    differs: Option<&'s TenantInstance>,
}

impl Snapshot {
    pub(super) fn new(generation: u64, config: Config, off: Off) -> Self {
        Self { generation, config, off, policies: Mutex::default() }
    }

    /// Whether the instance is on for those who may use it.
    pub(super) fn instance_is_on(&self, name: &str) -> bool {
        let configured = self.config.instances.get(name);
        configured.is_some_and(|instance| instance.enabled) && !self.off.instances.contains(name)
    }

    /// Whether the tenant is let through.
    pub(super) fn tenant_is_on(&self, name: &str) -> bool {
        self.tenant(name).is_ok_and(|tenant| tenant.enabled) && !self.off.tenants.contains(name)
    }

    /// What the configuration says of a tenant; an unknown one is refused without naming any other.
    pub(super) fn tenant(&self, name: &str) -> Result<&TenantConfig> {
        self.config.tenants.get(name).or(self.config.any_tenant.as_ref()).ok_or_else(|| {
            Error::config(format!("there is no tenant `{name}`"))
                .with_hint("add it under `tenants`, or add `\"*\"` to admit every tenant")
        })
    }

    /// The instance for whoever is at `place`, if it is there and enabled for them.
    pub(super) fn view(&self, place: &Place, name: &str) -> Result<View<'_>> {
        let tenant = if place.tenant.is_empty() { None } else { Some(self.tenant(&place.tenant)?) };
        let known = self.config.instances.get_key_value(name);
        let allowed = tenant.and_then(|tenant| tenant.instances.as_ref());
        let differs = allowed.and_then(|allowed| allowed.get(name));
        let Some((name, instance)) = known.filter(|_| allowed.is_none() || differs.is_some()) else {
            let names = self.config.instances.keys().map(Arc::as_ref);
            let open = names.filter(|name| allowed.is_none_or(|allowed| allowed.contains_key(*name)));
            return Err(no_instance(name, open));
        };
        let on = self.instance_is_on(name)
            && (tenant.is_none() || self.tenant_is_on(&place.tenant))
            && differs.is_none_or(|differs| differs.enabled);
        if on { Ok(View { name, instance, tenant, differs }) } else { Err(switched_off(name)) }
    }

    /// The policy of an instance for a tenant.
    pub(super) fn policy(&self, view: &View<'_>) -> Arc<Policy> {
        let base = view.differs.and_then(|differs| differs.policy.as_ref()).unwrap_or(&view.instance.policy);
        let Some(TenantConfig { limit, share, .. }) = view.tenant else { return base.clone() };
        if limit.is_none() && share.is_none() {
            return base.clone();
        }
        let mut policy = Policy::clone(base);
        policy.tenant_limit = limit.clone().or(policy.tenant_limit);
        policy.tenant_share = share.or(policy.tenant_share);
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        let plans = policies.entry(view.name.clone()).or_default();
        if let Some(same) = plans.iter().find(|plan| ***plan == policy) {
            return same.clone();
        }
        let policy = Arc::new(policy);
        if plans.len() == PLANS {
            plans.remove(0);
        }
        plans.push(policy.clone());
        policy
    }
}

impl Inner {
    /// The client, made or kept.
    pub(super) fn open<C: Category>(&self, place: &Place, name: &str) -> Result<C> {
        let snapshot = self.snapshot();
        let view = snapshot.view(place, name)?;
        if let Some(client) = self.clients.get::<C>(snapshot.generation, place, name) {
            return Ok(client);
        }
        let category = self.category(&view.instance.target)?;
        let client: C = typed(self.make(&snapshot, place, &view)?, category)?;
        self.clients.keep(snapshot.generation, place, view.name, client.clone());
        Ok(client)
    }

    /// A client that nobody has asked for: to see whether it can be made, or to probe it.
    pub(super) fn open_any(
        &self,
        snapshot: &Snapshot,
        place: &Place,
        name: &str,
    ) -> Result<Box<dyn Instance>> {
        let view = snapshot.view(place, name)?;
        self.make(snapshot, place, &view)
    }

    fn make(&self, snapshot: &Snapshot, place: &Place, view: &View<'_>) -> Result<Box<dyn Instance>> {
        let policy = snapshot.policy(view);
        self.make_target(place, view, view.name, &view.instance.target, &policy)
            .map_err(|e| e.with_context(&format!("the instance `{}`", view.name)))
    }

    fn make_target(
        &self,
        place: &Place,
        view: &View<'_>,
        name: &Arc<str>,
        target: &Target,
        policy: &Arc<Policy>,
    ) -> Result<Box<dyn Instance>> {
        match target {
            Target::Provider { id, host, settings } => {
                let spec = self.registry.spec(id).ok_or_else(|| self.registry.absent(id))?;
                let setup = self.setup(place, view, name, spec, settings, policy)?;
                let setup = match host {
                    Some(host) => setup.base(address(spec, host)?),
                    None => setup,
                };
                self.registry.open_any(&setup)
            }
            Target::Composed(how, members) => {
                let made = members.iter().enumerate().map(|(n, member)| {
                    let name: Arc<str> = member_name(name, n).into();
                    self.make_target(place, view, &name, member, policy)
                });
                let id = first_provider(target).ok_or_else(|| Error::config("it has no members"))?;
                self.registry.compose_any(id, *how, made.collect::<Result<_>>()?)
            }
        }
    }

    /// Everything a provider needs. Whoever has credentials of their own has a gate of their own.
    fn setup(
        &self,
        place: &Place,
        view: &View<'_>,
        name: &Arc<str>,
        spec: &'static ProviderSpec,
        settings: &Arc<Settings>,
        policy: &Arc<Policy>,
    ) -> Result<Setup> {
        let own = view.differs.and_then(|differs| differs.settings.as_ref());
        let settings = own.map_or_else(|| settings.clone(), |own| Arc::new(settings.overlaid(own)));
        let mut scope =
            Scope::new(place.tenant.clone(), name.clone()).with_connection(place.connection.clone());
        if own.is_some() {
            scope = scope.with_credential(place.tenant.clone());
        }
        let mut setup =
            Setup::new(spec).settings(settings).transport(self.transport.clone()).clock(self.clock.clone());
        if !place.connection.is_empty() {
            let id = ConnectionId::new(place, view.name);
            let connections = self.connections.as_ref().ok_or_else(no_connections)?;
            setup = setup.authorize(connections.authorizer(&id)?);
            if spec.quota_per_connection {
                scope = scope.with_credential(format!("{}/{}", place.tenant, place.connection));
            }
        }
        #[cfg(feature = "cache")]
        if let Some(cache) = &self.cache {
            setup = setup.cache(cache.clone());
        }
        Ok(setup.pipeline(self.stages.pipeline(scope, policy.clone())?))
    }

    /// The category of what answers; an error when the build does not have it.
    pub(super) fn category(&self, target: &Target) -> Result<&'static str> {
        let id = first_provider(target).ok_or_else(|| Error::config("a composed instance has no members"))?;
        self.registry.spec(id).map(|spec| spec.category).ok_or_else(|| self.registry.absent(id))
    }
}

/// The instances that one configured instance consists of: itself, or its members.
pub(super) fn members(name: &str, target: &Target) -> Vec<Member> {
    match target {
        Target::Provider { id, .. } => vec![Member { name: name.into(), provider: id.clone() }],
        Target::Composed(_, all) => {
            all.iter().enumerate().flat_map(|(n, member)| members(&member_name(name, n), member)).collect()
        }
    }
}

/// A name of an instance has no `/`.
fn member_name(instance: &str, n: usize) -> String {
    format!("{instance}/{n}")
}

fn first_provider(target: &Target) -> Option<&Arc<str>> {
    match target {
        Target::Provider { id, .. } => Some(id),
        Target::Composed(_, members) => members.iter().find_map(first_provider),
    }
}

/// The address that a name of a host, or an absolute address, stands for.
fn address(spec: &ProviderSpec, host: &str) -> Result<Uri> {
    if let Some(url) = spec.host(host) {
        return Ok(Uri::from_static(url));
    }
    match host.parse::<Uri>() {
        Ok(uri) if uri.scheme().is_some() && uri.authority().is_some() => Ok(uri),
        _ => {
            let names: Vec<_> = spec.hosts.iter().map(|host| host.environment).collect();
            Err(Error::config(format!("`{}` has no host `{host}`", spec.id))
                .with_hint(format!("use one of {}, or an absolute address", names.join(", "))))
        }
    }
}

fn no_instance<'n>(name: &str, open: impl Iterator<Item = &'n str>) -> Error {
    let error = Error::config(format!("there is no instance `{name}`"));
    match closest(name, open) {
        Some(close) => error.with_hint(format!("did you mean `{close}`?")),
        None => error.with_hint("see the instances of the configuration, and those that the tenant may use"),
    }
}

fn switched_off(name: &str) -> Error {
    Error::new(ErrorKind::Config, Effect::NotSent, format!("the instance `{name}` is switched off"))
        .with_hint("enable it in the configuration or with `Hub::set_enabled`")
}

fn no_connections() -> Error {
    Error::unsupported("the hub has no connections of end users", "give one to `HubBuilder::connections`")
}
