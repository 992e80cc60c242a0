//! What an account has before anybody proved that they read mail at its address.

use crate::User;

/// Takes away whatever signs in to an account that was made under an address which nobody had proven: somebody else may
/// have made it, waiting for the address's owner to come (account pre-hijacking). Name, roles and what the application
/// keeps stay. To be called as the address is proven for the first time, by another way than the account's own; whoever
/// calls it ends the account's sessions after writing it. Accounts with a proven address are left alone.
pub(crate) fn strip_unproven(user: &mut User) {
    if user.email_verified_at.is_some() {
        return;
    }
    user.password = None;
    user.one_time = None;
    user.recovery.clear();
    user.identities.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IdentityKey, LinkedIdentity, OneTimePassword};

    #[test]
    fn only_an_unproven_account_loses_what_signs_in_to_it() {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let mut user = User::new("u1", "", now);
        user.name = Some("Ada".to_owned());
        user.password = Some("$argon2id$".into());
        user.one_time = Some(OneTimePassword::new(vec![1].into()));
        user.recovery = vec!["hash".to_owned()];
        user.identities =
            vec![LinkedIdentity::new(IdentityKey::new("https://issuer.test", "1"), "oidc", now)];
        let mut proven = user.clone();
        proven.email_verified_at = Some(now);
        strip_unproven(&mut proven);
        assert!(proven.password.is_some() && proven.one_time.is_some());
        assert_eq!((proven.recovery.len(), proven.identities.len()), (1, 1));
        strip_unproven(&mut user);
        assert!(user.password.is_none() && user.one_time.is_none());
        assert!(user.recovery.is_empty() && user.identities.is_empty());
        assert_eq!(user.name.as_deref(), Some("Ada"));
    }
}
