//! The claims that OpenID Connect names (Core 1.0 section 5.1), as an [`Identity`].

use integrations_core::jose::{Claims, JwtError};
use integrations_core::{Result, StrictJson, TokenSet, WireResponse};
use serde::Serialize;
use serde_json::{Map, Value};

use super::LONGEST_SUBJECT;
use crate::{Completed, EmailClaim, Identity, IdentityKey, MailAddress};

/// Claims of a token that say nothing about the person.
const OF_THE_TOKEN: &[&str] = &[
    "acr",
    "aio",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "c_hash",
    "exp",
    "iat",
    "iss",
    "jti",
    "nbf",
    "nonce",
    "rh",
    "s_hash",
    "sid",
    "sub",
    "uti",
    "ver",
];

/// Claims that have a field of their own in an identity.
const FIELDS: &[&str] =
    &["email", "email_verified", "family_name", "given_name", "locale", "name", "picture"];

/// Claims about a person.
pub(crate) struct Standard<'c>(pub(crate) &'c Map<String, Value>);

impl Standard<'_> {
    /// A claim that is text, and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let text = self.0.get(name)?.as_str()?;
        Some(text.to_owned()).filter(|text| !text.trim().is_empty())
    }

    /// Somebody with their name, picture, language, and what there is besides. The mail address and the organisation are
    /// for the provider, which knows what they are worth.
    pub(crate) fn identity(&self, provider: &str, key: IdentityKey) -> Identity {
        let mut identity = Identity::new(provider, key);
        identity.name = self.text("name");
        identity.given_name = self.text("given_name");
        identity.family_name = self.text("family_name");
        identity.username = self.text("preferred_username");
        identity.picture = self.text("picture");
        identity.locale = self.text("locale");
        let others = self.0.iter().filter(|(name, _)| !is_known(name));
        identity.extra = others.map(|(name, value)| (name.clone(), value.clone())).collect();
        identity
    }
}

/// What an issuer says about the user of an access token (OpenID Connect Core 1.0 section 5.3.2).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UserInfo {
    /// The user's name at the issuer.
    pub sub: String,
    /// Everything that it says, `sub` included.
    pub claims: Map<String, Value>,
}

impl UserInfo {
    /// Reads an answer in plain JSON; one that is signed or encrypted is [`ErrorKind::Decode`](integrations_core::ErrorKind).
    pub(crate) fn read(response: &WireResponse) -> Result<Self> {
        let StrictJson(Value::Object(claims)) = response.json()? else {
            return Err(response.undecodable("the answer is no object"));
        };
        let sub = Standard(&claims).text("sub").filter(|sub| sub.len() <= LONGEST_SUBJECT);
        let sub = sub.ok_or_else(|| response.undecodable("the answer has no `sub`"))?;
        Ok(Self { sub, claims })
    }
}

/// A sign-in that has ended, with what the statement says about it.
pub(crate) fn completed(
    identity: Identity,
    tokens: TokenSet,
    claims: &Claims,
) -> Result<Completed, JwtError> {
    let mut completed = Completed::new(identity, tokens);
    completed.authenticated_at = claims.time("auth_time")?;
    completed.session = claims.text("sid").map(str::to_owned);
    Ok(completed)
}

fn is_known(name: &str) -> bool {
    name == "preferred_username" || OF_THE_TOKEN.contains(&name) || FIELDS.contains(&name)
}

/// A claim that is true or false. Some issuers write it as text, and Microsoft as a number.
pub(crate) fn said_to_be_verified(claim: Option<&Value>) -> Option<bool> {
    match claim? {
        Value::Bool(said) => Some(*said),
        Value::String(text) if text == "true" || text == "1" => Some(true),
        Value::String(text) if text == "false" || text == "0" => Some(false),
        Value::Number(number) => number.as_u64().filter(|number| *number <= 1).map(|number| number == 1),
        _ => None,
    }
}

/// The mail address, by what the provider knows of it; an address that is none is left out.
pub(crate) fn email(
    claims: &Standard<'_>,
    judge: impl FnOnce(&MailAddress) -> fn(MailAddress) -> EmailClaim,
) -> Option<EmailClaim> {
    let address = MailAddress::parse(&claims.text("email")?).ok()?;
    let state = judge(&address);
    Some(state(address))
}
