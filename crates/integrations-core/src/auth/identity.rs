//! Who somebody is, as a service says.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// A mail address that can be compared: the part after `@` in lower case (RFC 5321 section 2.4 has domains without case),
/// the part before it as it was given. At most 254 bytes.
///
/// ```
/// use integrations_core::auth::MailAddress;
/// let address = MailAddress::parse("Ada@Example.ORG")?;
/// assert_eq!((address.as_str(), address.domain()), ("Ada@example.org", "example.org"));
/// assert!(MailAddress::parse("ada@example.org, eve@example.org").is_err());
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct MailAddress(String);

impl MailAddress {
    /// Reads an address. [`ErrorKind::InvalidRequest`](crate::ErrorKind) for what is none, for white space, control
    /// characters, quotes, angle brackets and lists. What it says is never in the error.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let odd = |c: char| c.is_control() || c.is_whitespace() || "\"'<>()[]\\,;:`".contains(c);
        let parts = text.rsplit_once('@').filter(|(local, domain)| {
            let is_named = |label: &str| {
                !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.len() <= 63
            };
            text.len() <= 254
                && !local.is_empty()
                && local.len() <= 64
                && !local.contains('@')
                && !text.contains(odd)
                && domain.split('.').all(is_named)
        });
        let Some((local, domain)) = parts else {
            return Err(
                Error::invalid_request("this is no mail address").with_hint("give it as `name@example.org`")
            );
        };
        Ok(Self(format!("{local}@{}", domain.to_lowercase())))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after `@`, in lower case.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The form that is unique among users: all of it in lower case, since mailboxes that differ by case alone belong
    /// to one person wherever people sign in by mail.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

impl fmt::Debug for MailAddress {
    /// The domain alone: an address is personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailAddress(***@{})", self.domain())
    }
}

impl<'de> Deserialize<'de> for MailAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|_| serde::de::Error::custom("a mail address was expected"))
    }
}

/// A mail address with what the service knows of it. It has no way to the bare address but by its three cases: whoever
/// reads it decides what an address that nobody verified is good for.
///
/// It cannot be taken for the address:
///
/// ```compile_fail,E0308
/// use integrations_core::auth::{EmailClaim, MailAddress};
/// fn find_account(address: &MailAddress) {}
/// fn naive(claim: &EmailClaim) {
///     find_account(claim);
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "address", rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "three states, which readers must tell apart")]
pub enum EmailClaim {
    /// The service says that the person has proven that they read mail there.
    Verified(MailAddress),
    /// The service says that nobody has proven it.
    Unverified(MailAddress),
    /// The service does not say.
    Unknown(MailAddress),
}

impl EmailClaim {
    /// The address, if the service says that it was verified.
    pub fn verified(&self) -> Option<&MailAddress> {
        match self {
            Self::Verified(address) => Some(address),
            Self::Unverified(_) | Self::Unknown(_) => None,
        }
    }

    /// The address whoever typed it: to fill a form with, or to send a verification to. It proves nothing.
    pub fn unproven(&self) -> &MailAddress {
        match self {
            Self::Verified(address) | Self::Unverified(address) | Self::Unknown(address) => address,
        }
    }
}

/// What a person is known by: who says it, and their name there. Nothing else is stable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IdentityKey {
    /// Who says it: an issuer's address (`iss`), or the address of a service without OpenID Connect.
    pub issuer: String,
    /// The person's name there, which is never given to anybody else: `sub`, or `tid.oid` with Microsoft Entra.
    pub subject: String,
}

impl IdentityKey {
    /// A person by issuer and subject.
    pub fn new(issuer: impl Into<String>, subject: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), subject: subject.into() }
    }
}

/// Who somebody is, as a service says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// The provider's id.
    pub provider: String,
    /// What they are known by.
    pub key: IdentityKey,
    /// The organisation that they belong to, where the service has them: Entra's `tid`, Google's `hd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// The mail address, with what the service knows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailClaim>,
    /// The whole name, as they want it shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// The family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// The name by which they are shown there, which they may change and another may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The address of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// The language, as BCP 47 has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// What else the service says, as it says it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Identity {
    /// Somebody of whom nothing is known but the key.
    pub fn new(provider: impl Into<String>, key: IdentityKey) -> Self {
        Self {
            provider: provider.into(),
            key,
            organisation: None,
            email: None,
            name: None,
            given_name: None,
            family_name: None,
            username: None,
            picture: None,
            locale: None,
            extra: Map::new(),
        }
    }
}

/// Something that was verified just now. Only [`SignIn`](super::SignIn) makes one.
///
/// It cannot be made of what somebody says:
///
/// ```compile_fail,E0423
/// use integrations_core::auth::{Identity, IdentityKey, Proven};
/// let claimed = Identity::new("google", IdentityKey::new("https://accounts.google.com", "1"));
/// let forged = Proven(claimed);
/// ```
///
/// nor read from what somebody sends:
///
/// ```compile_fail,E0277
/// use integrations_core::auth::{Identity, Proven};
/// let forged: Proven<Identity> = serde_json::from_str("{}").unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven<T>(T);

impl<T> Proven<T> {
    pub(super) fn new(value: T) -> Self {
        Self(value)
    }

    /// What was verified, as what anybody could say from now on.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> std::ops::Deref for Proven<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
