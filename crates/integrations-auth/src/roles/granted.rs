//! What somebody may do, and where.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use super::Scope;

/// Something that may be allowed: `invoices:write`. It has no wildcards; those are in roles' definitions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(Cow<'static, str>);

impl Permission {
    /// A permission of the program's own.
    ///
    /// ```
    /// use integrations_auth::Permission;
    /// const WRITE_INVOICES: Permission = Permission::new("invoices:write");
    /// ```
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Permission {
    fn from(name: &'static str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Permission {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What somebody may do, and where: permissions in parts of tenants. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted(Vec<(Scope, BTreeSet<Permission>)>);

impl Granted {
    pub(super) fn of(parts: impl IntoIterator<Item = (Scope, BTreeSet<Permission>)>) -> Self {
        Self(
            parts
                .into_iter()
                .filter(|(scope, permissions)| scope.is_somewhere() && !permissions.is_empty())
                .collect(),
        )
    }

    /// Whether this permission is among them in this place.
    pub fn allows(&self, permission: &Permission, scope: &Scope) -> bool {
        self.0.iter().any(|(within, permissions)| within.covers(scope) && permissions.contains(permission))
    }

    /// What both allow: what a key of a user's may do is what the user may do and the key is for.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let pairs = self.0.iter().flat_map(|one| other.0.iter().map(move |two| (one, two)));
        Self::of(pairs.filter_map(|((here, mine), (there, theirs))| {
            let narrower =
                [(here, there), (there, here)].into_iter().find(|(wide, narrow)| wide.covers(narrow));
            Some((narrower?.1.clone(), mine & theirs))
        }))
    }

    /// Whether it allows nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
