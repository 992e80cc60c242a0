//! Giving roles and taking them away.

use integrations_core::{Error, Result};

use super::{Roles, Scope, denied};
use crate::users::directory::change;
use crate::{RoleGrant, User, UserId, UserStore};

impl Roles {
    /// Gives a user a role, by nobody's leave: for an application's own set-up. One that they have is left alone.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`](integrations_core::ErrorKind) if the role is not defined or the path is none; [`ErrorKind::NotFound`](integrations_core::ErrorKind) without the
    /// user; [`ErrorKind::Conflict`](integrations_core::ErrorKind) if others kept changing them.
    pub async fn assign(
        &self,
        users: &dyn UserStore,
        tenant: &str,
        id: &UserId,
        grant: &RoleGrant,
    ) -> Result<User> {
        self.must_be_sound(tenant, grant)?;
        change(users, tenant, id, |user| {
            let is_new = !user.roles.contains(grant);
            user.roles.extend(is_new.then(|| grant.clone()));
            is_new
        })
        .await
    }

    /// Takes a role from a user, by nobody's leave. One that they do not have is left alone; it need not be defined.
    pub async fn revoke(
        &self,
        users: &dyn UserStore,
        tenant: &str,
        id: &UserId,
        grant: &RoleGrant,
    ) -> Result<User> {
        change(users, tenant, id, |user| {
            let before = user.roles.len();
            user.roles.retain(|it| it != grant);
            user.roles.len() < before
        })
        .await
    }

    /// Gives a user of the granter's tenant a role, if the granter has everything that it gives, there. As they are in the
    /// store by now. Whether they may give roles at all is a permission of the application's: ask for it before.
    ///
    /// # Errors
    /// As [`assign`](Roles::assign); [`ErrorKind::PermissionDenied`](integrations_core::ErrorKind) with the code `beyond_own` if they do not.
    pub async fn assign_by(
        &self,
        granter: &User,
        users: &dyn UserStore,
        id: &UserId,
        grant: &RoleGrant,
    ) -> Result<User> {
        self.must_be_sound(&granter.tenant, grant)?;
        self.must_have(granter, users, grant).await?;
        self.assign(users, &granter.tenant, id, grant).await
    }

    /// Takes a role from a user of the revoker's tenant, if the revoker has everything that it gives, there.
    ///
    /// # Errors
    /// As [`assign_by`](Roles::assign_by).
    pub async fn revoke_by(
        &self,
        revoker: &User,
        users: &dyn UserStore,
        id: &UserId,
        grant: &RoleGrant,
    ) -> Result<User> {
        self.must_have(revoker, users, grant).await?;
        self.revoke(users, &revoker.tenant, id, grant).await
    }

    fn must_be_sound(&self, tenant: &str, grant: &RoleGrant) -> Result<()> {
        let (role, path) = (&grant.role, &grant.scope);
        if !self.roles.contains_key(role) {
            return Err(Error::invalid_request(format!("there is no role `{role}`"))
                .with_hint("define it, or name another"));
        }
        if !Scope::of_grant(tenant, grant).is_somewhere() {
            return Err(Error::invalid_request(format!("`{path}` is no path"))
                .with_hint("give names with `/` between them, or nothing for the whole tenant"));
        }
        Ok(())
    }

    async fn must_have(&self, who: &User, users: &dyn UserStore, grant: &RoleGrant) -> Result<()> {
        let present = users.user(&who.tenant, &who.id).await?.filter(|user| user.disabled_at.is_none());
        let own =
            self.granted(&present.ok_or_else(|| denied("whoever gives or takes roles may not sign in"))?);
        let scope = Scope::of_grant(&who.tenant, grant);
        let gives = self.roles.get(&grant.role);
        let lacking = gives.into_iter().flatten().find(|permission| !own.allows(permission, &scope));
        let Some(lacking) = lacking else { return Ok(()) };
        Err(denied("nobody gives or takes what they do not have")
            .with_code("beyond_own")
            .with_hint(format!("`{}` gives `{lacking}`, which they lack in {scope}", grant.role)))
    }
}
