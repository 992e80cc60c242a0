//! One tenant's view of the hub, and the connections of its end users.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::open::Place;
use super::{Find, Found, Hub, Status};
use crate::connection::{ConnectionId, check_name};
use crate::endpoint::Authorize;
use crate::error::Result;
use crate::registry::Category;

/// What one tenant may see and use. Cheap to clone; it follows reloads.
#[derive(Clone)]
pub struct Tenant {
    hub: Hub,
    place: Place,
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tenant").field(&self.place.tenant).finish()
    }
}

impl Tenant {
    pub(super) fn new(hub: Hub, name: Arc<str>) -> Result<Self> {
        check_name("a tenant", &name)?;
        hub.inner.snapshot().tenant(&name)?;
        Ok(Self { hub, place: Place { tenant: name, connection: "".into() } })
    }

    /// The tenant's name.
    pub fn name(&self) -> &str {
        &self.place.tenant
    }

    /// A client with the tenant's own credentials, or the application's if it has none.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind) when the tenant may not use the instance, when there is none, when it is
    /// switched off, and when it is of another category.
    pub fn open<C: Category>(&self, instance: &str) -> Result<C> {
        self.hub.inner.open(&self.place, instance)
    }

    /// The connection of one end user.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind) for what cannot be an id: 1 to 128 letters, digits and `._@-`.
    pub fn connection(&self, id: impl Into<Arc<str>>) -> Result<Connection> {
        let id = id.into();
        check_name("a connection", &id)?;
        let place = Place { tenant: self.place.tenant.clone(), connection: id };
        Ok(Connection { hub: self.hub.clone(), place })
    }

    /// The instances that the tenant may use.
    pub fn find(&self, find: &Find) -> Vec<Found> {
        self.hub.find(&find.clone().tenant(self.place.tenant.clone()))
    }

    /// How the tenant's own calls fare, by instance.
    pub fn status(&self) -> Vec<Status> {
        self.hub.inner.status_of(&self.place.tenant)
    }

    /// Whether the tenant has subscribed to a feature.
    pub fn has_feature(&self, name: &str) -> bool {
        self.hub
            .inner
            .snapshot()
            .tenant(&self.place.tenant)
            .is_ok_and(|tenant| tenant.features.contains(name))
    }

    /// What the tenant has subscribed to.
    pub fn features(&self) -> BTreeSet<Arc<str>> {
        let snapshot = self.hub.inner.snapshot();
        snapshot.tenant(&self.place.tenant).map(|tenant| tenant.features.clone()).unwrap_or_default()
    }

    /// The part of calls that the tenant was promised to succeed, e.g. 0.999.
    pub fn sla(&self) -> Option<f64> {
        self.hub.inner.snapshot().tenant(&self.place.tenant).ok()?.sla
    }
}

/// One end user's connection: the same instances, with that user's tokens.
#[derive(Clone)]
pub struct Connection {
    hub: Hub,
    place: Place,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("tenant", &self.place.tenant)
            .field("connection", &self.place.connection)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// A client with the user's tokens.
    ///
    /// # Errors
    /// Those of [`Tenant::open`] and of [`Connections::authorizer`].
    pub fn open<C: Category>(&self, instance: &str) -> Result<C> {
        self.hub.inner.open(&self.place, instance)
    }
}

/// Where the tokens of end users' connections are.
pub trait Connections: Send + Sync + 'static {
    /// Who proves the calls of a connection.
    ///
    /// # Errors
    /// [`ErrorKind::ReauthRequired`](crate::ErrorKind) when the user has to connect again,
    /// [`ErrorKind::NotFound`](crate::ErrorKind) when there is no such connection.
    fn authorizer(&self, id: &ConnectionId) -> Result<Arc<dyn Authorize>>;
}
