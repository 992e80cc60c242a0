//! What the service says about a person.

use integrations_core::jose::JwtError;
use serde_json::{Map, Value};

use super::{ISSUER, spec};
use crate::id_token::{Standard, email, said_to_be_verified};
use crate::{EmailClaim, Identity, IdentityKey};

/// Google runs the mail of these, and of the domain in `hd`
/// (<https://developers.google.com/identity/gsi/web/guides/verify-google-id-token>).
const OWN_DOMAINS: &[&str] = &["gmail.com", "googlemail.com"];

/// Somebody by an ID token's claims, or by those of the call for them.
pub(super) fn to_identity(claims: &Map<String, Value>) -> Result<Identity, JwtError> {
    let said = Standard(claims);
    let subject = said.text("sub").ok_or(JwtError::Missing("sub"))?;
    let mut identity = said.identity(spec::SPEC.id, IdentityKey::new(ISSUER, subject));
    identity.organisation = said.text("hd").map(|domain| domain.to_ascii_lowercase());
    identity.extra.remove("hd");
    identity.email = email(&said, |address| {
        let is_theirs = identity.organisation.is_some() || OWN_DOMAINS.contains(&address.domain());
        match said_to_be_verified(claims.get("email_verified")) {
            Some(true) if is_theirs => EmailClaim::Verified,
            Some(false) => EmailClaim::Unverified,
            _ => EmailClaim::Unknown,
        }
    });
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mail_address_is_worth_what_google_can_know_of_it() {
        type State = fn(crate::MailAddress) -> EmailClaim;
        let table: [(Value, Option<State>); 12] = [
            (json!({"email": "a@gmail.com", "email_verified": true}), Some(EmailClaim::Verified)),
            (json!({"email": "a@GMail.com", "email_verified": true}), Some(EmailClaim::Verified)),
            (json!({"email": "a@googlemail.com", "email_verified": "true"}), Some(EmailClaim::Verified)),
            (json!({"email": "a@x.org", "email_verified": true, "hd": "x.org"}), Some(EmailClaim::Verified)),
            (json!({"email": "a@x.org", "email_verified": true}), Some(EmailClaim::Unknown)),
            (json!({"email": "a@x.org", "email_verified": true, "hd": ""}), Some(EmailClaim::Unknown)),
            (json!({"email": "a@x.org", "email_verified": true, "hd": true}), Some(EmailClaim::Unknown)),
            (json!({"email": "a@gmail.com.x.org", "email_verified": true}), Some(EmailClaim::Unknown)),
            (json!({"email": "a@gmail.com", "email_verified": false}), Some(EmailClaim::Unverified)),
            (
                json!({"email": "a@x.org", "email_verified": false, "hd": "x.org"}),
                Some(EmailClaim::Unverified),
            ),
            (json!({"email": "a@gmail.com"}), Some(EmailClaim::Unknown)),
            (json!({"email": "a@gmail.com, b@gmail.com", "email_verified": true}), None),
        ];
        for (mut claims, state) in table {
            claims["sub"] = "1".into();
            let claim = to_identity(claims.as_object().unwrap()).unwrap().email;
            let expected = state.map(|state| state(claim.as_ref().unwrap().unproven().clone()));
            assert_eq!(claim, expected, "{claims}");
        }
    }
}
