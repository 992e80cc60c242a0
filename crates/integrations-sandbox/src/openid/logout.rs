//! Signing out at the issuer, for vendors that have an address for it.

use http::header::LOCATION;

use super::OpenId;
use crate::issuer::with_query;
use crate::{Answer, Call, World};

impl OpenId {
    /// Ends a user's session, and sends them back where that is known (OpenID Connect RP-Initiated Logout 1.0). `redirects`
    /// are the addresses that were registered for it.
    pub(crate) fn end_session(
        &mut self,
        call: &Call<'_>,
        world: &mut World<'_>,
        redirects: &[&str],
    ) -> Answer {
        let hint = call.query("id_token_hint");
        let claims = hint.and_then(|hint| self.keys.opened(hint));
        if hint.is_some() && claims.is_none() {
            return Answer::text(400, "text/html; charset=utf-8", "<h1>The hint is not ours</h1>");
        }
        let stated = |name: &str| claims.as_ref().and_then(|claims| claims.get(name)?.as_str());
        let hinted = stated("oid").or(stated("sub")).or(call.query("logout_hint"));
        let user = self.choice(hinted).id.clone();
        let redirect = call.query("post_logout_redirect_uri");
        if redirect.is_some_and(|redirect| !redirects.contains(&redirect)) {
            return Answer::text(400, "text/html; charset=utf-8", "<h1>Unknown address</h1>");
        }
        self.end(&user, world);
        let state = call.query("state").map(|state| ("state", state));
        redirect.map_or_else(
            || Answer::text(200, "text/html; charset=utf-8", "<h1>You are signed out</h1>"),
            |redirect| Answer::empty(302).header(LOCATION, &with_query(redirect, state.into_iter())),
        )
    }
}
