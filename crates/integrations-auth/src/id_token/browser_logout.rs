//! Signing out at the issuer.

use integrations_core::{Req, Result, SecretString};
use integrations_oauth::safe_uri;

use crate::LogoutRequest;

/// Where to send a browser to sign out (OpenID Connect RP-Initiated Logout 1.0 section 2).
pub(crate) fn browser_logout(at: &str, client_id: &str, request: &LogoutRequest) -> Result<String> {
    let url = Req::get(&safe_uri(at)?)
        .query("client_id", Some(client_id))
        .query("id_token_hint", request.id_token.as_ref().map(SecretString::expose))
        .query("post_logout_redirect_uri", request.return_to.as_ref())
        .query("state", request.state.as_ref());
    Ok(url.build()?.uri().to_string())
}
