//! Who may do what.
//!
//! Invariants:
//! - What no role gives is denied. A role or a permission that is not defined gives nothing; so does a grant at a path
//!   that is none.
//! - A user's roles count in the user's own tenant alone, and for as long as the user is not disabled.
//! - One more role never takes anything away.
//! - Nobody gives, or takes away, what they do not have ([`Roles::assign_by`]).

mod assign;
mod granted;
mod scope;

use std::collections::{BTreeMap, BTreeSet};

use integrations_core::{Effect, Error, ErrorKind, Result};

use crate::{RoleGrant, User};

pub use granted::{Granted, Permission};
pub use scope::Scope;

/// An application's roles, as they were defined; they do not change.
///
/// ```
/// use integrations_auth::{Permission, RoleGrant, Roles, Scope, User};
/// use jiff::Timestamp;
///
/// const WRITE: Permission = Permission::new("invoices:write");
/// let roles = Roles::builder(["invoices:read", "invoices:write", "users:manage"])
///     .role("viewer", ["invoices:read"])
///     .role("clerk", ["invoices:*"])
///     .role("owner", ["*"])
///     .inherits("clerk", ["viewer"])
///     .build()?;
///
/// let mut ada = User::new("ada", "acme", Timestamp::UNIX_EPOCH);
/// ada.roles.push(RoleGrant::new("clerk", "projects/7"));
/// roles.check(&ada, &WRITE, &Scope::new("acme", "projects/7/docs"))?;
/// assert!(roles.check(&ada, &WRITE, &Scope::new("acme", "projects/70")).is_err());
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Roles {
    known: BTreeSet<Permission>,
    /// With everything that is inherited, and no wildcards.
    roles: BTreeMap<String, BTreeSet<Permission>>,
}

/// Defines [`Roles`].
#[derive(Debug, Clone)]
pub struct RolesBuilder {
    known: Vec<String>,
    roles: Vec<(String, Vec<String>)>,
    parents: Vec<(String, String)>,
}

impl RolesBuilder {
    /// A role, and what it gives: permissions, all of a kind (`invoices:*`), or all (`*`).
    #[must_use]
    pub fn role<S: Into<String>>(mut self, name: &str, gives: impl IntoIterator<Item = S>) -> Self {
        self.roles.push((name.to_owned(), gives.into_iter().map(Into::into).collect()));
        self
    }

    /// A role gives everything that these give, too.
    #[must_use]
    pub fn inherits<S: Into<String>>(mut self, name: &str, from: impl IntoIterator<Item = S>) -> Self {
        self.parents.extend(from.into_iter().map(|parent| (name.to_owned(), parent.into())));
        self
    }

    /// The roles, checked.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names it: a permission that is none or was not declared, a wildcard that nothing fits,
    /// a role that is defined twice or inherited and not defined, roles that inherit in a circle.
    pub fn build(self) -> Result<Roles> {
        let odd = |name: &&String| {
            name.is_empty() || name.contains(|c: char| c == '*' || c.is_whitespace() || c.is_control())
        };
        if let Some(name) = self.known.iter().find(odd) {
            return Err(config(format!("`{name}` is no name of a permission")));
        }
        let known: BTreeSet<Permission> = self.known.iter().cloned().map(Permission::from).collect();
        let mut own = BTreeMap::new();
        for (name, gives) in &self.roles {
            let expanded = gives.iter().map(|text| expand(&known, name, text)).collect::<Result<Vec<_>>>()?;
            if own.insert(name.as_str(), expanded.concat()).is_some() {
                return Err(config(format!("the role `{name}` is defined twice")));
            }
        }
        for name in self.parents.iter().flat_map(|(child, parent)| [child, parent]) {
            if !own.contains_key(name.as_str()) {
                return Err(config(format!("the role `{name}` inherits or is inherited and is not defined")));
            }
        }
        let mut roles = BTreeMap::new();
        for name in own.keys() {
            let reached = self.reached(name)?;
            let permissions = reached.iter().flat_map(|role| own.get(role).into_iter().flatten().cloned());
            roles.insert((*name).to_owned(), permissions.collect());
        }
        Ok(Roles { known, roles })
    }

    /// A role and all that it inherits from.
    fn reached<'a>(&'a self, name: &'a str) -> Result<BTreeSet<&'a str>> {
        let (mut reached, mut left) = (BTreeSet::from([name]), vec![name]);
        while let Some(child) = left.pop() {
            for (_, parent) in self.parents.iter().filter(|(of, _)| of == child) {
                if parent == name {
                    return Err(config(format!(
                        "the role `{name}` inherits from itself, by way of `{child}`"
                    )));
                }
                if reached.insert(parent) {
                    left.push(parent);
                }
            }
        }
        Ok(reached)
    }
}

impl Roles {
    /// Roles that give some of these permissions.
    pub fn builder<S: Into<String>>(permissions: impl IntoIterator<Item = S>) -> RolesBuilder {
        let known = permissions.into_iter().map(Into::into).collect();
        RolesBuilder { known, roles: Vec::new(), parents: Vec::new() }
    }

    /// Lets a user do something somewhere.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] if no role of theirs gives it there.
    pub fn check(&self, user: &User, permission: &Permission, scope: &Scope) -> Result<()> {
        if self.granted(user).allows(permission, scope) {
            return Ok(());
        }
        let hint = if self.known.contains(permission) {
            format!("it takes a role with `{permission}` in {scope}")
        } else {
            format!("the permission `{permission}` was not declared: no role has it")
        };
        Err(denied("the user may not do this").with_hint(hint))
    }

    /// What a user may do: nothing, if they are disabled.
    pub fn granted(&self, user: &User) -> Granted {
        let grants = user.roles.iter().filter(|_| user.disabled_at.is_none());
        Granted::of(grants.filter_map(|grant| {
            Some((Scope::of_grant(&user.tenant, grant), self.roles.get(&grant.role)?.clone()))
        }))
    }

    /// These permissions in one place, for a key that is for some things only: [`Granted::intersect`] it with what its
    /// user may do. Permissions that were not declared are left out.
    pub fn only<S: Into<String>>(&self, permissions: impl IntoIterator<Item = S>, scope: &Scope) -> Granted {
        let named: BTreeSet<Permission> =
            permissions.into_iter().map(|name| Permission::from(name.into())).collect();
        Granted::of([(scope.clone(), &named & &self.known)])
    }

    /// The grants of a user that give nothing, because the role is not defined or the path is none: what a change of the
    /// definitions has left behind.
    pub fn dangling<'u>(&self, user: &'u User) -> Vec<&'u RoleGrant> {
        let is_dangling = |grant: &&RoleGrant| {
            !self.roles.contains_key(&grant.role) || !Scope::of_grant(&user.tenant, grant).is_somewhere()
        };
        user.roles.iter().filter(is_dangling).collect()
    }
}

fn expand(known: &BTreeSet<Permission>, role: &str, text: &str) -> Result<Vec<Permission>> {
    let kind = text.strip_suffix(":*");
    let fits = |permission: &&Permission| {
        let name = permission.as_str();
        let of_kind =
            || kind.is_some_and(|kind| name.strip_prefix(kind).is_some_and(|rest| rest.starts_with(':')));
        text == "*" || name == text || of_kind()
    };
    let fitting: Vec<_> = known.iter().filter(fits).cloned().collect();
    if fitting.is_empty() && text != "*" {
        return Err(config(format!("the role `{role}` gives `{text}`, which fits no declared permission")));
    }
    Ok(fitting)
}

fn config(what: String) -> Error {
    Error::config(what).with_hint("correct the definition of the roles")
}

fn denied(what: &str) -> Error {
    Error::new(ErrorKind::PermissionDenied, Effect::NotSent, what)
}
