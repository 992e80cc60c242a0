//! The remote calls: one struct each, with pure functions for the request and the answer.

use http::header::{ACCEPT, HeaderName, USER_AGENT};
use http::{Method, Uri};
#[cfg(feature = "dynamic")]
use integrations_core::dynamic::OpEntry;
use integrations_core::{Endpoint, Op, Req, Result, SecretString, WireRequest, WireResponse};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::proof::OfApplication;
use super::types::{Account, CheckedToken, Email};
use super::{spec, wire};

/// Every call with its types erased.
#[cfg(feature = "dynamic")]
pub static OPS: &[OpEntry] = &[
    OpEntry::of::<GetUser>(),
    OpEntry::of::<ListEmails>(),
    OpEntry::of::<CheckToken>(),
    OpEntry::of::<DeleteToken>(),
    OpEntry::of::<DeleteGrant>(),
];

/// The most that a page has (<https://docs.github.com/en/rest/users/emails>); nobody has more addresses.
const WHOLE_LIST: u32 = 100;

/// `GET /user`: vendor page
/// [Get the authenticated user](https://docs.github.com/en/rest/users/users#get-the-authenticated-user).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GetUser {}

impl Endpoint for GetUser {
    type Output = Account;
    const OP: &'static Op = &spec::GET_USER;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        request(Method::GET, base).path(["user"]).build()
    }

    fn response(&self, response: WireResponse) -> Result<Account> {
        response.json::<wire::User>()?.into_account(&response)
    }
}

/// `GET /user/emails`: vendor page
/// [List email addresses](https://docs.github.com/en/rest/users/emails#list-email-addresses-for-the-authenticated-user).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ListEmails {}

impl Endpoint for ListEmails {
    type Output = Vec<Email>;
    const OP: &'static Op = &spec::LIST_EMAILS;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        request(Method::GET, base).path(["user", "emails"]).query("per_page", Some(WHOLE_LIST)).build()
    }

    fn response(&self, response: WireResponse) -> Result<Vec<Email>> {
        let list = response.json::<Vec<Option<wire::Email>>>()?;
        Ok(list.into_iter().flatten().filter_map(wire::Email::into_domain).collect())
    }
}

/// `POST /applications/{client_id}/token`: vendor page
/// [Check a token](https://docs.github.com/en/rest/apps/oauth-applications#check-a-token).
#[derive(Debug, Clone, Deserialize)]
pub struct CheckToken {
    /// The application.
    pub client_id: String,
    /// The token.
    pub access_token: SecretString,
}

impl Endpoint for CheckToken {
    type Output = CheckedToken;
    const OP: &'static Op = &spec::CHECK_TOKEN;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        of_application(Method::POST, base, [&self.client_id, "token"], &self.access_token)
    }

    fn response(&self, response: WireResponse) -> Result<CheckedToken> {
        response.json::<wire::Authorization>()?.into_checked(&response)
    }
}

/// `DELETE /applications/{client_id}/token`: vendor page
/// [Delete an app token](https://docs.github.com/en/rest/apps/oauth-applications#delete-an-app-token).
#[derive(Debug, Clone, Deserialize)]
pub struct DeleteToken {
    /// The application.
    pub client_id: String,
    /// The token.
    pub access_token: SecretString,
}

impl Endpoint for DeleteToken {
    type Output = ();
    const OP: &'static Op = &spec::DELETE_TOKEN;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        of_application(Method::DELETE, base, [&self.client_id, "token"], &self.access_token)
    }

    fn response(&self, _: WireResponse) -> Result<()> {
        Ok(())
    }
}

/// `DELETE /applications/{client_id}/grant`: all tokens that this user gave the application, and their consent. Vendor page
/// [Delete an app authorization](https://docs.github.com/en/rest/apps/oauth-applications#delete-an-app-authorization).
#[derive(Debug, Clone, Deserialize)]
pub struct DeleteGrant {
    /// The application.
    pub client_id: String,
    /// One of the tokens, which must still be valid.
    pub access_token: SecretString,
}

impl Endpoint for DeleteGrant {
    type Output = ();
    const OP: &'static Op = &spec::DELETE_GRANT;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        of_application(Method::DELETE, base, [&self.client_id, "grant"], &self.access_token)
    }

    fn response(&self, _: WireResponse) -> Result<()> {
        Ok(())
    }
}

/// A request with what GitHub wants on each; without a user agent it answers nothing
/// (<https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api>).
fn request(method: Method, base: &Uri) -> Req {
    Req::new(method, base)
        .header(ACCEPT, Some("application/vnd.github+json"))
        .header(USER_AGENT, Some("integrations"))
        .header(HeaderName::from_static("x-github-api-version"), spec::SPEC.api.map(|api| api.pin))
}

/// A call that the application makes for itself, about a token.
fn of_application(
    method: Method,
    base: &Uri,
    [client_id, what]: [&str; 2],
    token: &SecretString,
) -> Result<WireRequest> {
    let request = request(method, base).path(["applications", client_id, what]);
    let mut request = request.json(&json!({ "access_token": token.expose() })).build()?;
    request.extensions_mut().insert(OfApplication);
    Ok(request)
}
