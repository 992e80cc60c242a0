//! What the issuer says about itself, and the client that follows from it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Uri;
use integrations_core::driver::Caps;
use integrations_core::jose::Algorithm;
use integrations_core::{Error, Result, SecretString};
use integrations_oauth::{Address, Issuer};

use super::{ops, spec};
use crate::id_token::{OpenId, Ways};
use crate::jwks::{JwksCache, Source};
use crate::relying::Relying;
use crate::{AuthCap, UserInfo};

/// Metadata changes rarely: keys are not part of it.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where an issuer says what it is.
pub(super) struct Discovery {
    pub(super) ways: Ways,
    pub(super) issuer: String,
}

/// A client of an issuer that has said what it is.
pub(super) struct Discovered {
    pub(super) openid: OpenId,
    pub(super) issuer: Issuer,
    ways: Ways,
    keys: JwksCache,
}

#[async_trait]
impl Source for Discovery {
    type Value = Discovered;

    async fn fetch(&self, present: Option<Arc<Discovered>>) -> Result<(Discovered, Duration)> {
        let Ways { transport, pipeline, .. } = self.ways.clone();
        let issuer = Issuer::discover(&self.issuer, transport, pipeline).await?;
        Ok((self.client_of(issuer, present.as_deref())?, A_DAY))
    }
}

impl Discovery {
    fn client_of(&self, issuer: Issuer, present: Option<&Discovered>) -> Result<Discovered> {
        let url = issuer.jwks_uri().ok_or_else(|| {
            Error::config("the issuer does not say where its keys are")
                .with_hint("without `jwks_uri` it speaks OAuth 2, and not OpenID Connect")
        })?;
        let same = present.filter(|present| present.issuer.jwks_uri() == Some(url));
        let keys = same.map_or_else(|| self.ways.keys(url), |present| Ok(present.keys.clone()))?;
        let verifier = self.ways.verifier(keys.clone(), self.issuer.as_str().into())?;
        let verifier = verifier.allowed(accepted(issuer.id_token_algorithms())?);
        let openid = OpenId { relying: Relying::of(&self.ways.setup, issuer.clone())?, verifier };
        Ok(Discovered { openid, issuer, ways: self.ways.clone(), keys })
    }
}

/// Of what the issuer signs with, what is accepted; everything that is, if it does not say.
fn accepted(listed: Option<&[String]>) -> Result<Vec<Algorithm>> {
    let is_listed = |algorithm: &&Algorithm| {
        listed.is_none_or(|listed| listed.iter().any(|name| name == algorithm.as_str()))
    };
    let accepted: Vec<Algorithm> = Algorithm::PUBLIC.iter().filter(is_listed).copied().collect();
    if accepted.is_empty() {
        return Err(Error::config("the issuer signs with no algorithm that is accepted")
            .with_hint("let it sign with ES256, EdDSA, PS256 or RS256"));
    }
    Ok(accepted)
}

impl Discovered {
    /// What this issuer can do, as far as it says.
    pub(super) fn caps(&self) -> Caps {
        AuthCap::ALL
            .into_iter()
            .filter(|cap| !self.has(*cap))
            .fold(Caps::of(&spec::SPEC), |caps, cap| caps.without(cap.as_str()))
    }

    /// [`ErrorKind::Unsupported`](integrations_core::ErrorKind) for what this issuer does not have.
    pub(super) fn need(&self, cap: AuthCap) -> Result<()> {
        if self.has(cap) {
            return Ok(());
        }
        Err(Error::unsupported(
            format!("the issuer lacks {}", cap.as_str()),
            "its metadata says so: ask `SignIn::can` after the first call, or switch it on at the issuer",
        ))
    }

    /// The client's id at the issuer.
    pub(super) fn client_id(&self) -> Result<&str> {
        self.ways.setup.text("client_id")
    }

    fn has(&self, cap: AuthCap) -> bool {
        match cap {
            AuthCap::Profile => self.issuer.userinfo_url().is_some(),
            AuthCap::Revoke => self.issuer.has(Address::Revoke),
            AuthCap::Logout => self.issuer.logout_url().is_some(),
            AuthCap::LogoutNotice => self.issuer.tells_logouts(),
            _ => true,
        }
    }

    /// What the issuer says about the user of an access token.
    pub(super) async fn user_info(&self, access: &SecretString) -> Result<UserInfo> {
        self.need(AuthCap::Profile)?;
        let malformed = |_| Error::config("the issuer's `userinfo_endpoint` is not a URL");
        let at: Uri = self.issuer.userinfo_url().unwrap_or_default().parse().map_err(malformed)?;
        let mut ways = self.ways.clone();
        ways.setup = ways.setup.base(at);
        ways.caller(access)?.call(&ops::Userinfo {}).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_may_narrow_what_is_accepted_and_never_widen_it() {
        let accepted = |listed: &[&str]| {
            let listed: Vec<String> = listed.iter().map(|name| (*name).to_owned()).collect();
            accepted(Some(&listed))
        };
        assert_eq!(accepted(&["RS256", "HS256", "none"]).unwrap(), [Algorithm::Rs256]);
        assert_eq!(accepted(&["ES384", "ES256"]).unwrap(), [Algorithm::Es256, Algorithm::Es384]);
        assert_eq!(super::accepted(None).unwrap(), Algorithm::PUBLIC);
        for none in [&["HS256", "none"][..], &[]] {
            assert_eq!(accepted(none).unwrap_err().kind(), integrations_core::ErrorKind::Config);
        }
    }
}
