//! Who may speak.

use integrations_core::jose::{Claims, JwtError};

/// The tenant of all personal accounts at Microsoft.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// Which issuer is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerRule(Rule);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    OneOf(Vec<String>),
    Template { before: String, after: String, tenants: Tenants },
}

/// Which tenants of a service are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tenants {
    /// Every one.
    Any,
    /// All but the tenant of personal accounts at Microsoft.
    Organizations,
    /// The tenant of personal accounts at Microsoft.
    Consumers,
    /// These, by their ids in lower case.
    Only(Vec<String>),
}

impl Tenants {
    /// Whether a tenant is one of them.
    pub fn admit(&self, tenant: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Organizations => tenant != CONSUMERS,
            Self::Consumers => tenant == CONSUMERS,
            Self::Only(listed) => listed.iter().any(|one| one == tenant),
        }
    }
}

impl From<&str> for IssuerRule {
    fn from(issuer: &str) -> Self {
        Self::one_of([issuer])
    }
}

impl From<String> for IssuerRule {
    fn from(issuer: String) -> Self {
        Self::one_of([issuer])
    }
}

impl IssuerRule {
    /// One issuer, in one of these spellings, byte for byte.
    pub fn one_of<S: Into<String>>(spellings: impl IntoIterator<Item = S>) -> Self {
        Self(Rule::OneOf(spellings.into_iter().map(Into::into).collect()))
    }

    /// An issuer whose name has the id of the user's tenant in it, which the token also says as `tid`: as Microsoft
    /// Entra's `https://login.microsoftonline.com/{tenantid}/v2.0`. Everything before and after `{tenantid}` must be the
    /// same byte for byte, the tenant be a UUID in lower case, and one of those that are admitted.
    pub fn by_tenant(template: &str, tenants: Tenants) -> Self {
        let (before, after) = template.split_once("{tenantid}").unwrap_or((template, ""));
        Self(Rule::Template { before: before.to_owned(), after: after.to_owned(), tenants })
    }

    pub(super) fn check(&self, claims: &Claims) -> Result<(), JwtError> {
        let said = claims.need("iss")?;
        match &self.0 {
            Rule::OneOf(spellings) if spellings.iter().any(|one| one == said) => Ok(()),
            Rule::OneOf(_) => Err(JwtError::Mismatch("iss")),
            Rule::Template { before, after, tenants } => {
                let tenant = claims.need("tid")?;
                if !is_tenant(tenant) {
                    return Err(JwtError::Malformed("tid"));
                }
                if said != format!("{before}{tenant}{after}") {
                    return Err(JwtError::Mismatch("iss"));
                }
                if tenants.admit(tenant) { Ok(()) } else { Err(JwtError::Mismatch("tid")) }
            }
        }
    }
}

/// Whether a text is a tenant's id: a UUID in lower case.
pub(crate) fn is_tenant(text: &str) -> bool {
    let fits = |(at, b): (usize, u8)| match at {
        8 | 13 | 18 | 23 => b == b'-',
        _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
    };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}
