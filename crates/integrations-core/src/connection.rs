//! The name of an end user's connection.

use std::sync::Arc;

use crate::error::{Error, Result};

/// Names one end user's connection to one instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ConnectionId {
    /// The tenant whose user it is; `""` for the application's own.
    pub tenant: Arc<str>,
    /// The instance. Of one that is composed of several providers, `NAME/0` is the first, `NAME/1` the second: a user's
    /// tokens are for one of them.
    pub instance: Arc<str>,
    /// The application's id of the user's connection.
    pub connection: Arc<str>,
}

impl ConnectionId {
    /// A connection of a tenant's user at an instance.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind) for what cannot be a name: 1 to 128 letters, digits and `._@-`. The tenant
    /// may be `""`, and the instance may have parts, `both/0`.
    pub fn new(
        tenant: impl Into<Arc<str>>,
        instance: impl Into<Arc<str>>,
        connection: impl Into<Arc<str>>,
    ) -> Result<Self> {
        let id = Self { tenant: tenant.into(), instance: instance.into(), connection: connection.into() };
        if !id.tenant.is_empty() {
            check_name("a tenant", &id.tenant)?;
        }
        for part in id.instance.split('/') {
            check_name("an instance", part)?;
        }
        check_name("a connection", &id.connection)?;
        Ok(id)
    }
}

/// Names become parts of keys, so that they hold nothing that separates such parts.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@-".contains(&b));
    if first && rest && name.len() <= 128 {
        return Ok(());
    }
    Err(Error::config(format!("the name of {what} cannot be used"))
        .with_hint("use 1 to 128 letters, digits and `._@-`, beginning with a letter or digit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_part_by_part() {
        for (tenant, instance, connection) in [("", "mail", "u1"), ("acme", "both/0", "user@example.com")] {
            assert!(ConnectionId::new(tenant, instance, connection).is_ok());
        }
        for (tenant, instance, connection) in [
            ("a/b", "mail", "u"),
            ("a", "", "u"),
            ("a", "mail/", "u"),
            ("a", "mail", ""),
            ("a", "mail", "u\0"),
        ] {
            assert!(ConnectionId::new(tenant, instance, connection).is_err());
        }
    }
}
