//! The remote calls.

use http::Uri;
use integrations_core::{Endpoint, Op, Req, Result, WireRequest, WireResponse};
use serde::{Deserialize, Serialize};

use super::spec;
use crate::UserInfo;

/// Whose access token it is (OpenID Connect Core 1.0 section 5.3). The base address is the issuer's `userinfo_endpoint`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Userinfo {}

impl Endpoint for Userinfo {
    type Output = UserInfo;
    const OP: &'static Op = &spec::USERINFO;

    fn request(&self, base: &Uri) -> Result<WireRequest> {
        let request = Req::get(base);
        let ends_in_slash = base.path().len() > 1 && base.path().ends_with('/');
        if ends_in_slash { request.slash() } else { request }.build()
    }

    fn response(&self, response: WireResponse) -> Result<UserInfo> {
        UserInfo::read(&response)
    }
}

/// Every remote call with its types erased.
#[cfg(feature = "dynamic")]
pub static OPS: &[integrations_core::dynamic::OpEntry] =
    &[integrations_core::dynamic::OpEntry::of::<Userinfo>()];
