//! What an issuer says about a person.

use serde_json::{Map, Value};

use super::spec;
use crate::id_token::{Standard, email, said_to_be_verified};
use crate::{EmailClaim, Identity, IdentityKey};

/// Somebody by the claims that an issuer makes.
pub(super) fn to_identity(key: IdentityKey, claims: &Map<String, Value>) -> Identity {
    let said = Standard(claims);
    let mut identity = said.identity(spec::SPEC.id, key);
    identity.email = email(&said, |_| match said_to_be_verified(claims.get("email_verified")) {
        Some(true) => EmailClaim::Verified,
        Some(false) => EmailClaim::Unverified,
        None => EmailClaim::Unknown,
    });
    identity
}

/// Whether a statement leaves out what was asked for, as it may where the issuer tells it at another address (OpenID
/// Connect Core 1.0 section 5.4).
pub(super) fn is_bare(identity: &Identity) -> bool {
    identity.email.is_none() || identity.name.is_none()
}

/// Takes from `other` what `identity` does not have. A mail address comes with what was said about it, never with what was
/// said elsewhere about another one.
pub(super) fn fill(identity: &mut Identity, other: Identity) {
    let Identity { email, name, given_name, family_name, username, picture, locale, extra, .. } = other;
    identity.email = identity.email.take().or(email);
    for (mine, theirs) in [
        (&mut identity.name, name),
        (&mut identity.given_name, given_name),
        (&mut identity.family_name, family_name),
        (&mut identity.username, username),
        (&mut identity.picture, picture),
        (&mut identity.locale, locale),
    ] {
        *mine = mine.take().or(theirs);
    }
    for (name, value) in extra {
        identity.extra.entry(name).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity(claims: &Value) -> Identity {
        to_identity(IdentityKey::new("https://id.example", "1"), claims.as_object().unwrap())
    }

    #[test]
    fn a_mail_address_is_worth_what_the_issuer_says() {
        type State = fn(crate::MailAddress) -> EmailClaim;
        let table: [(Value, Option<State>); 8] = [
            (json!({"email": "a@x.org", "email_verified": true}), Some(EmailClaim::Verified)),
            (json!({"email": "a@x.org", "email_verified": "true"}), Some(EmailClaim::Verified)),
            (json!({"email": "a@x.org", "email_verified": false}), Some(EmailClaim::Unverified)),
            (json!({"email": "a@x.org", "email_verified": "false"}), Some(EmailClaim::Unverified)),
            (json!({"email": "a@x.org"}), Some(EmailClaim::Unknown)),
            (json!({"email": "a@x.org", "email_verified": {"value": true}}), Some(EmailClaim::Unknown)),
            (json!({"email": "no address", "email_verified": true}), None),
            (json!({"email_verified": true, "preferred_username": "a@x.org"}), None),
        ];
        for (claims, state) in table {
            let claim = identity(&claims).email;
            let expected = state.map(|state| state(claim.as_ref().unwrap().unproven().clone()));
            assert_eq!(claim, expected, "{claims}");
        }
    }

    #[test]
    fn what_was_said_of_one_address_is_not_said_of_another() {
        let mut mine = identity(&json!({"email": "eve@x.org", "name": "E"}));
        fill(
            &mut mine,
            identity(&json!({"email": "ada@x.org", "email_verified": true, "name": "A", "zone": 1})),
        );
        let expected = EmailClaim::Unknown(crate::MailAddress::parse("eve@x.org").unwrap());
        assert_eq!((mine.email, mine.name.as_deref()), (Some(expected), Some("E")));
        assert_eq!(mine.extra["zone"], 1);
    }

    #[test]
    fn what_is_about_the_token_is_not_about_the_person() {
        let found = identity(
            &json!({"iss": "i", "aud": "c", "exp": 1, "nonce": "n", "at_hash": "h", "groups": ["g"]}),
        );
        assert_eq!(found.extra.keys().collect::<Vec<_>>(), ["groups"]);
    }
}
