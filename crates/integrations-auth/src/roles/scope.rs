//! Where something is: a tenant, and a path in it.

use std::fmt;

use crate::RoleGrant;

/// A part of a tenant: `projects/7`; the empty path is all of it.
///
/// A path is names with `/` between them. One that is not (`/a`, `a//b`, `a/../b`, control characters) is nowhere:
/// nobody is allowed anything there, and a role that was given there gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    tenant: String,
    path: String,
}

impl Scope {
    /// A part of a tenant.
    pub fn new(tenant: impl Into<String>, path: impl Into<String>) -> Self {
        Self { tenant: tenant.into(), path: path.into() }
    }

    /// All of a tenant.
    pub fn tenant_wide(tenant: impl Into<String>) -> Self {
        Self::new(tenant, "")
    }

    pub(super) fn of_grant(tenant: &str, grant: &RoleGrant) -> Self {
        Self::new(tenant, grant.scope.as_str())
    }

    /// The tenant.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The path in it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the path is one.
    pub fn is_somewhere(&self) -> bool {
        let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(char::is_control);
        self.path.is_empty() || self.path.split('/').all(is_name)
    }

    /// Whether `other` is this part or one inside it. `projects/7` covers `projects/7/docs` and not `projects/70`.
    pub fn covers(&self, other: &Self) -> bool {
        let below = || {
            other.path.strip_prefix(&self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.tenant == other.tenant
            && self.is_somewhere()
            && other.is_somewhere()
            && (self.path.is_empty() || below())
    }
}

impl fmt::Display for Scope {
    /// The path, without the tenant.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.path.is_empty() { "the whole tenant" } else { &self.path })
    }
}
