//! The remote calls: one struct each, with pure functions for the request and the answer.

use http::Uri;
#[cfg(feature = "dynamic")]
use integrations_core::dynamic::OpEntry;
use integrations_core::{Endpoint, Op, Req, Result, WireRequest, WireResponse};
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::{spec, wire};

/// Every call with its types erased.
#[cfg(feature = "dynamic")]
pub static OPS: &[OpEntry] = &[OpEntry::of::<GetMe>()];

/// `GET /me`: vendor page [Who am I](https://lastfm.example/docs/me).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GetMe {}

impl Endpoint for GetMe {
    type Output = Account;
    const OP: &'static Op = &spec::GET_ME;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base).path(["me"]).build()
    }

    fn response(&self, response: WireResponse) -> Result<Account> {
        response.json::<wire::Me>()?.into_domain(&response)
    }
}
