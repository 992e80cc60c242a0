//! From a configured instance to a client.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use http::Uri;

use super::Inner;
use crate::config::{Config, InstanceConfig, Target, TenantConfig, TenantInstance};
use crate::connection::{ConnectionId, check_name};
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

impl View<'_> {
    fn own_settings(&self) -> Option<&Arc<Settings>> {
        self.differs?.settings.as_ref().filter(|settings| !settings.is_empty())
    }

    fn has_own_credential(&self) -> bool {
        self.own_settings().is_some()
    }
}

impl Snapshot {
    pub(super) fn new(generation: u64, config: Config, off: Off) -> Self {
        Self { generation, config, off, policies: Mutex::default() }
    }

    pub(super) fn config_is_that_of(&self, other: &Self) -> bool {
        let [a, b] = [&self.config, &other.config];
        (&a.instances, &a.tenants, &a.any_tenant) == (&b.instances, &b.tenants, &b.any_tenant)
    }

    /// Whether the instance is on for those who may use it.
    pub(super) fn instance_is_on(&self, name: &str) -> bool {
        let configured = self.config.instances.get(name);
        configured.is_some_and(|instance| instance.enabled) && !self.off.instances.contains(name)
    }

    /// Whether the tenant, or the application as tenant `""`, may use the instance now.
    pub(super) fn admits(&self, tenant: &str, name: &str) -> bool {
        let may = |config: &TenantConfig| {
            let listed = config.instances.as_ref().map(|listed| listed.get(name));
            config.enabled && listed.is_none_or(|differs| differs.is_some_and(|differs| differs.enabled))
        };
        let admitted = self.known_tenant(tenant).is_some_and(may) && !self.off.tenants.contains(tenant);
        self.instance_is_on(name) && (tenant.is_empty() || admitted)
    }

    fn known_tenant(&self, name: &str) -> Option<&TenantConfig> {
        self.config.tenants.get(name).or(self.config.any_tenant.as_ref())
    }

    /// What the configuration says of a tenant; an unknown one is refused without naming any other.
    pub(super) fn tenant(&self, name: &str) -> Result<&TenantConfig> {
        self.known_tenant(name).ok_or_else(|| {
            Error::config(format!("there is no tenant `{name}`"))
                .with_hint("add it under `tenants`, or add `\"*\"` to admit every tenant")
        })
    }

    /// The instance for whoever is at `place`, if it is there and enabled for them.
    pub(super) fn view(&self, place: &Place, name: &str) -> Result<View<'_>> {
        let view = self.configured(place, name)?;
        if self.admits(&place.tenant, name) { Ok(view) } else { Err(switched_off(name)) }
    }

    /// The same, whether or not it is enabled.
    pub(super) fn configured(&self, place: &Place, name: &str) -> Result<View<'_>> {
        let tenant = if place.tenant.is_empty() { None } else { Some(self.tenant(&place.tenant)?) };
        let known = self.config.instances.get_key_value(name);
        let allowed = tenant.and_then(|tenant| tenant.instances.as_ref());
        let differs = allowed.and_then(|allowed| allowed.get(name));
        let Some((name, instance)) = known.filter(|_| allowed.is_none() || differs.is_some()) else {
            let names = self.config.instances.keys().map(Arc::as_ref);
            let open = names.filter(|name| allowed.is_none_or(|allowed| allowed.contains_key(*name)));
            // A name that nobody could have given is not repeated, however long it is.
            return Err(check_name("an instance", name).err().unwrap_or_else(|| no_instance(name, open)));
        };
        Ok(View { name, instance, tenant, differs })
    }

    /// What shapes the gate of a credential at an instance: that of the tenant whose credential it is, else the
    /// instance's. `None` when nobody who has the credential may use it.
    pub(super) fn gate_policy(&self, credential: &str, name: &str) -> Option<&Arc<Policy>> {
        let tenant: Arc<str> = credential.split('/').next().unwrap_or_default().into();
        let view = self.configured(&Place { tenant, connection: "".into() }, name).ok()?;
        let own = view.differs.filter(|_| view.has_own_credential());
        let policy = own.and_then(|differs| differs.policy.as_ref()).unwrap_or(&view.instance.policy);
        Some(policy)
    }

    /// The policy of an instance for a tenant. What the callers of one credential share is not the tenant's to change,
    /// unless the credential is.
    pub(super) fn policy(&self, view: &View<'_>) -> Arc<Policy> {
        let shared = &view.instance.policy;
        let base = view.differs.and_then(|differs| differs.policy.as_ref()).unwrap_or(shared);
        let (limit, share) = view.tenant.map_or((None, None), |tenant| (tenant.limit.as_ref(), tenant.share));
        let keeps_gate = view.has_own_credential() || base.shares_gate_of(shared);
        if keeps_gate && limit.is_none() && share.is_none() {
            return base.clone();
        }
        let mut policy = if keeps_gate { Policy::clone(base) } else { base.with_gate_of(shared) };
        policy.tenant_limit = limit.cloned().or(policy.tenant_limit);
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
            Target::Composed(..) if view.has_own_credential() => {
                Err(Error::config("settings belong to one provider, and it is composed of several")
                    .with_hint("configure another instance, and list it for this tenant"))
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
        let own = view.own_settings();
        let settings = own.map_or_else(|| settings.clone(), |own| Arc::new(settings.overlaid(own)));
        let mut scope =
            Scope::new(place.tenant.clone(), name.clone()).with_connection(place.connection.clone());
        if own.is_some() {
            scope = scope.with_credential(place.tenant.clone());
        }
        let mut setup =
            Setup::new(spec).settings(settings).transport(self.transport.clone()).clock(self.clock.clone());
        if let Some(store) = &self.secrets {
            setup = setup.secrets(store.clone());
        }
        if !place.connection.is_empty() {
            let id = ConnectionId {
                tenant: place.tenant.clone(),
                instance: name.clone(),
                connection: place.connection.clone(),
            };
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
        let admission: Weak<Self> = self.me.clone();
        Ok(setup.pipeline(self.stages.pipeline_under(scope, policy.clone(), admission)?))
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

/// The configured instance that a member belongs to.
pub(super) fn instance_of(member: &str) -> &str {
    member.split('/').next().unwrap_or_default()
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
