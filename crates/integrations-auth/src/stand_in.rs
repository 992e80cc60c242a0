//! Vendors' addresses, or those of what stands in for them.

use http::Uri;
use integrations_core::Result;
use integrations_core::provider::OAuth;
use integrations_core::setup::Setup;
use integrations_oauth::{Address, Issuer};

/// A vendor as an issuer.
pub(crate) fn issuer(setup: &Setup, facts: &OAuth) -> Result<Issuer> {
    let addresses = [
        (Address::Token, Some(facts.token_url)),
        (Address::Authorize, facts.authorize_url),
        (Address::Revoke, facts.revoke_url),
    ];
    addresses.into_iter().filter_map(|(address, url)| Some((address, url?))).try_fold(
        Issuer::from(*facts),
        |issuer, (address, url)| Ok(issuer.at(address, stand_in(setup, url)?)),
    )
}

/// A vendor's address, or the same path at what stands in for the vendor (the setting `accounts_url`): for fakes that
/// answer on this machine.
pub(crate) fn stand_in(setup: &Setup, url: &str) -> Result<String> {
    let Some(other) = setup.all().text("accounts_url")? else { return Ok(url.to_owned()) };
    let path = url.parse::<Uri>().ok().and_then(|uri| uri.path_and_query().map(ToString::to_string));
    Ok(format!("{}{}", other.trim_end_matches('/'), path.unwrap_or_default()))
}
