//! What the service says about a person.

use integrations_core::jose::JwtError;
use serde_json::{Map, Value};

use super::spec;
use crate::id_token::{Standard, email, said_to_be_verified};
use crate::{EmailClaim, Identity, IdentityKey};

/// Somebody by the claims of a verified ID token
/// (<https://learn.microsoft.com/en-us/entra/identity-platform/id-token-claims-reference>).
pub(super) fn to_identity(claims: &Map<String, Value>) -> Result<Identity, JwtError> {
    let said = Standard(claims);
    let need = |name: &'static str| said.text(name).ok_or(JwtError::Missing(name));
    // `sub` is another one for each application, so that a second one would not know the person again.
    let (tenant, object) = (need("tid")?, need("oid")?);
    let key = IdentityKey::new(need("iss")?, format!("{tenant}.{object}"));
    let mut identity = said.identity(spec::SPEC.id, key);
    identity.organisation = Some(tenant);
    identity.username = identity.username.or_else(|| said.text("upn"));
    for name in ["oid", "tid", "upn", "xms_edov"] {
        identity.extra.remove(name);
    }
    // `email_verified` is not looked at: any tenant's administrator can write what it is derived from.
    let is_proven = said_to_be_verified(claims.get("xms_edov")) == Some(true);
    identity.email = email(&said, |_| if is_proven { EmailClaim::Verified } else { EmailClaim::Unknown });
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity(claims: Value) -> Identity {
        let mut all = json!({
            "iss": "https://login.microsoftonline.com/t/v2.0", "tid": "t", "oid": "o", "sub": "pairwise",
        });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        to_identity(all.as_object().unwrap()).unwrap()
    }

    #[test]
    fn a_mail_address_is_proven_by_one_claim_alone() {
        type State = fn(crate::MailAddress) -> EmailClaim;
        let table: [(Value, State); 11] = [
            (json!(true), EmailClaim::Verified),
            (json!(1), EmailClaim::Verified),
            (json!("1"), EmailClaim::Verified),
            (json!("true"), EmailClaim::Verified),
            (json!(false), EmailClaim::Unknown),
            (json!(0), EmailClaim::Unknown),
            (json!("0"), EmailClaim::Unknown),
            (json!(2), EmailClaim::Unknown),
            (json!("yes"), EmailClaim::Unknown),
            (json!(["1"]), EmailClaim::Unknown),
            (json!(null), EmailClaim::Unknown),
        ];
        for (edov, state) in table {
            let told = json!({"email": "ada@example.org", "email_verified": true, "xms_edov": edov});
            let claim = identity(told).email.unwrap();
            assert_eq!(claim, state(claim.unproven().clone()), "{edov}");
        }
    }

    #[test]
    fn names_are_no_addresses() {
        let named = identity(json!({"preferred_username": "ceo@victim.example", "upn": "x@y.example"}));
        assert_eq!((named.email, named.username.as_deref()), (None, Some("ceo@victim.example")));
        let named = identity(json!({"upn": "x@y.example"}));
        assert_eq!((named.email, named.username.as_deref()), (None, Some("x@y.example")));
    }

    #[test]
    fn a_person_is_their_object_in_their_tenant() {
        let found = identity(json!({}));
        let key = IdentityKey::new("https://login.microsoftonline.com/t/v2.0", "t.o");
        assert_eq!((found.key, found.organisation.as_deref()), (key, Some("t")));
        let without = json!({"iss": "i", "tid": "t", "sub": "s"});
        assert_eq!(to_identity(without.as_object().unwrap()).unwrap_err(), JwtError::Missing("oid"));
    }
}
