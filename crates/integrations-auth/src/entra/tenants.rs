//! Whose accounts may sign in.

use integrations_core::{Error, Result};

use crate::Tenants;
use crate::id_token::is_tenant;

/// The tenants that the settings `tenant` and `tenants` admit together.
pub(super) fn admitted(tenant: &str, listed: Option<&[String]>) -> Result<Tenants> {
    let tenant = tenant.to_ascii_lowercase();
    let by_tenant = match tenant.as_str() {
        "common" => Tenants::Any,
        "organizations" => Tenants::Organizations,
        "consumers" => Tenants::Consumers,
        id if is_tenant(id) => Tenants::Only(vec![id.to_owned()]),
        // Statements name tenants by their ids, and which one has this domain is not known here.
        _ if listed.is_none() => {
            return Err(Error::config("a tenant that is given by its domain needs the setting `tenants`")
                .with_hint("set `tenant` to the directory (tenant) id, or `tenants` to it"));
        }
        _ => Tenants::Any,
    };
    let Some(listed) = listed else { return Ok(by_tenant) };
    let listed: Vec<String> = listed.iter().map(|id| id.trim().to_ascii_lowercase()).collect();
    if !listed.iter().all(|id| is_tenant(id)) {
        return Err(Error::config("the setting `tenants` has something that is no tenant's id")
            .with_hint("give directory (tenant) ids, separated by commas"));
    }
    let both: Vec<String> = listed.into_iter().filter(|id| by_tenant.admit(id)).collect();
    if both.is_empty() {
        return Err(Error::config("the settings `tenant` and `tenants` together admit nobody"));
    }
    Ok(Tenants::Only(both))
}

#[cfg(test)]
mod tests {
    use integrations_core::ErrorKind;

    use super::*;

    const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
    const ACME: &str = "11111111-2222-3333-4444-555555555555";
    const OTHER: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

    type Row = (&'static str, Option<&'static [&'static str]>, [bool; 3]);

    #[test]
    fn both_settings_together_say_who_may_sign_in() {
        // The settings; whether ACME, OTHER and personal accounts are admitted.
        let table: [Row; 10] = [
            ("common", None, [true, true, true]),
            ("organizations", None, [true, true, false]),
            ("consumers", None, [false, false, true]),
            (ACME, None, [true, false, false]),
            ("AAAAAAAA-bbbb-cccc-dddd-eeeeeeeeeeee", None, [false, true, false]),
            ("common", Some(&[ACME]), [true, false, false]),
            ("common", Some(&[ACME, PERSONAL]), [true, false, true]),
            ("organizations", Some(&[ACME, PERSONAL]), [true, false, false]),
            ("acme.onmicrosoft.com", Some(&[ACME]), [true, false, false]),
            (ACME, Some(&[" 11111111-2222-3333-4444-555555555555", OTHER]), [true, false, false]),
        ];
        for (tenant, listed, expected) in table {
            let listed: Option<Vec<String>> =
                listed.map(|listed| listed.iter().map(|id| (*id).to_owned()).collect());
            let tenants = admitted(tenant, listed.as_deref()).unwrap();
            assert_eq!([ACME, OTHER, PERSONAL].map(|id| tenants.admit(id)), expected, "{tenant} {listed:?}");
        }
    }

    #[test]
    fn settings_that_admit_nobody_or_cannot_be_checked_are_refused() {
        for (tenant, listed) in [
            ("acme.onmicrosoft.com", None),
            ("common", Some(&["acme.onmicrosoft.com"][..])),
            ("common", Some(&[][..])),
            ("consumers", Some(&[ACME][..])),
            (ACME, Some(&[OTHER][..])),
            ("organizations", Some(&[PERSONAL][..])),
        ] {
            let listed: Option<Vec<String>> =
                listed.map(|listed| listed.iter().map(|id| (*id).to_owned()).collect());
            let error = admitted(tenant, listed.as_deref()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{tenant} {listed:?}");
        }
    }
}
