//! The remote call: a struct with pure functions for the request and the answer.

use http::Uri;
#[cfg(feature = "dynamic")]
use integrations_core::dynamic::OpEntry;
use integrations_core::{Endpoint, Op, Req, Result, WireRequest, WireResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{spec, wire};
use crate::EmailClaim;

/// Every call with its types erased.
#[cfg(feature = "dynamic")]
pub static OPS: &[OpEntry] = &[OpEntry::of::<GetMe>()];

/// `GET /me`: vendor page
/// [Get Current User's Profile](https://developer.spotify.com/documentation/web-api/reference/get-current-users-profile).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GetMe {}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Account {
    /// What the person is known by: `account_id`, or `spotify:user:` and `id` where the service does not say it.
    pub subject: String,
    /// The name that it shows.
    pub display_name: Option<String>,
    /// The mail address that its owner typed.
    pub email: Option<EmailClaim>,
    /// The address of its largest picture.
    pub picture: Option<String>,
    /// `account_id`, `id`, `uri`, `country` and `product`, as Spotify says them.
    pub extra: Map<String, Value>,
}

impl Endpoint for GetMe {
    type Output = Account;
    const OP: &'static Op = &spec::GET_ME;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base).path(["me"]).build()
    }

    fn response(&self, response: WireResponse) -> Result<Account> {
        response.json::<wire::Me>()?.into_account(&response)
    }
}
