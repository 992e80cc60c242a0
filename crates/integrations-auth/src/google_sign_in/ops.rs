//! The remote calls.

use http::Uri;
use integrations_core::{Endpoint, Op, Req, Result, WireRequest, WireResponse};
use serde::{Deserialize, Serialize};

use super::spec;
use crate::UserInfo;

/// Whose access token it is ([documentation](https://developers.google.com/identity/openid-connect/openid-connect)).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Userinfo {}

impl Endpoint for Userinfo {
    type Output = UserInfo;
    const OP: &'static Op = &spec::USERINFO;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        Req::get(base).path(["userinfo"]).build()
    }

    fn response(&self, response: WireResponse) -> Result<UserInfo> {
        UserInfo::read(&response)
    }
}

/// Every remote call with its types erased.
#[cfg(feature = "dynamic")]
pub static OPS: &[integrations_core::dynamic::OpEntry] =
    &[integrations_core::dynamic::OpEntry::of::<Userinfo>()];
