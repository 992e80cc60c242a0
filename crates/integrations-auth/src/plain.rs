//! What sign-in at services with OAuth 2 alone has in common: no statement comes with the tokens, so that who somebody is,
//! is asked with their token.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::Uri;
use integrations_core::setup::Setup;
use integrations_core::{Authorize, Caller, CallerBuilder, Classify, Error, Result, SecretString, TokenSet};

use crate::relying::{Relying, spent};
use crate::transport::default_transport;
use crate::{Begun, Completed, Identity, PendingSignIn, SignInRequest, stand_in};

/// One service as an application uses it.
#[derive(Clone)]
pub(crate) struct Plain {
    relying: Relying,
    setup: Setup,
    classify: Arc<dyn Classify>,
    issuer: String,
}

impl Plain {
    /// What is set up for a service whose people sign in at `accounts`, an origin.
    pub(crate) fn open(setup: &Setup, accounts: &str, classify: Arc<dyn Classify>) -> Result<Self> {
        let issuer = issuer(setup, accounts)?;
        let setup = setup.clone().transport(setup.carrier(default_transport)?);
        let facts = setup.spec().oauth.ok_or_else(|| Error::config("the provider's facts name no issuer"))?;
        let relying = Relying::of(&setup, stand_in::issuer(&setup, &facts)?)?;
        // All callers share the limits of the first.
        let pipeline = setup.caller(default_transport)?.build().pipeline().clone();
        Ok(Self { relying, setup: setup.pipeline(pipeline), classify, issuer })
    }

    /// Who says who people are: the first half of their keys.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Calls that `authorize` proves; without it, whoever the setup names.
    pub(crate) fn caller(&self, authorize: Option<Arc<dyn Authorize>>) -> Result<Caller> {
        let caller = self.setup.caller(default_transport)?.classify(self.classify.clone());
        Ok(authorize.into_iter().fold(caller, CallerBuilder::authorize).build())
    }

    /// Calls in one person's name, under a limit of their own where the service counts by person: else whoever uses theirs
    /// up would hold everybody else's sign-in back.
    pub(crate) fn caller_of(&self, access: &SecretString, authorize: Arc<dyn Authorize>) -> Result<Caller> {
        let caller = self.caller(Some(authorize))?;
        if !self.setup.spec().quota_per_connection {
            return Ok(caller);
        }
        let shared = caller.pipeline();
        let hash = digest(&SHA256, access.expose().as_bytes());
        let scope = shared.scope().clone().with_credential(BASE64_URL_SAFE_NO_PAD.encode(hash));
        let own = shared.stages().pipeline(scope, shared.policy().clone())?;
        let own = own.with_timeout(shared.time_limit()).with_priority(shared.priority());
        Ok(caller.with_pipeline(own))
    }

    /// Begins a flow. [`ErrorKind::Unsupported`](integrations_core::ErrorKind) for a proof of a certain age: nothing that
    /// comes back says when somebody proved themselves, so that nobody could hold the service to it.
    pub(crate) fn begin(&self, scopes: &[&str], request: &SignInRequest) -> Result<Begun> {
        if request.max_age.is_some() {
            let id = self.setup.spec().id;
            return Err(Error::unsupported(
                format!("`{id}` does not say when somebody proved themselves"),
                "leave `max_age` out, and ask for a proof of your own: a password, a second factor",
            ));
        }
        self.relying.begin(scopes, request)
    }

    /// Ends a flow: exchanges its code, and asks by `who` whose the tokens are.
    pub(crate) async fn complete<F>(
        &self,
        pending: PendingSignIn,
        answer: &str,
        who: impl FnOnce(SecretString) -> F + Send,
    ) -> Result<Completed>
    where
        F: Future<Output = Result<Identity>> + Send,
    {
        let (tokens, ..) = self.relying.exchange(pending, answer).await?;
        let identity = who(tokens.access.clone()).await.map_err(spent)?;
        Ok(Completed::new(identity, tokens))
    }

    /// The next tokens. What the answer leaves out stays: some applications keep their refresh token.
    pub(crate) async fn refresh(&self, present: &TokenSet) -> Result<TokenSet> {
        let mut next = self.relying.client().refresh(present).await?;
        if next.refresh.is_none() {
            next.refresh.clone_from(&present.refresh);
            next.refresh_expires_at = next.refresh_expires_at.or(present.refresh_expires_at);
        }
        next.scopes = next.scopes.or_else(|| present.scopes.clone());
        Ok(next)
    }
}

/// Who says who people are. The vendor's name is for what the vendor says: where people sign in elsewhere, at a server of
/// one's own or at a fake, they are that address's people, because there everybody can be number 1.
///
/// # Errors
/// [`ErrorKind::Config`](integrations_core::ErrorKind) if one of the two addresses is the vendor's and the other is not:
/// tokens would go to whom they are not for, and strangers would get the vendor's name.
fn issuer(setup: &Setup, accounts: &str) -> Result<String> {
    let login = setup.all().text("accounts_url")?.map_or_else(|| Ok(accounts.to_owned()), origin)?;
    let host = setup.spec().hosts.first().map(|host| origin(host.url)).transpose()?;
    let api = setup.own_base().map(|base| origin(&base.to_string())).transpose()?.or_else(|| host.clone());
    if (login == accounts) != (api == host) {
        return Err(Error::config("of the address of the service and `accounts_url`, one is the vendor's")
            .with_hint(
                "set both, or none: the one is asked who somebody is, with the token that the other gave",
            ));
    }
    Ok(login)
}

/// Scheme, host and port as they are compared (RFC 6454 section 4).
fn origin(url: &str) -> Result<String> {
    let wrong = || Error::config("an address of the service is none").with_hint("give it as `https://host`");
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let (scheme, host) = uri.scheme_str().zip(uri.host()).ok_or_else(wrong)?;
    let (scheme, host) = (scheme.to_ascii_lowercase(), host.to_ascii_lowercase());
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = uri.port_u16().filter(|port| *port != usual).map(|port| format!(":{port}"));
    Ok(format!("{scheme}://{host}{}", port.unwrap_or_default()))
}
