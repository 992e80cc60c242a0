//! The standard's requests, as the crate `oauth2` builds them.
//!
//! It builds and we send: its parser would refuse what vendors answer (a 201, an error with status 200, `expires_in` as
//! text), and its errors hold the body of the answer, token included. So it is given a client that keeps the request.

use std::borrow::Cow;
use std::future::{Future, Ready, ready};
use std::sync::{Mutex, PoisonError};

use integrations_core::{Error, Result};
use oauth2::basic::BasicClient;
use oauth2::{
    AccessToken, AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, CsrfToken,
    DeviceAuthorizationUrl, EmptyExtraDeviceAuthorizationFields, EndpointSet, HttpRequest, HttpResponse,
    IntrospectionUrl, PkceCodeVerifier, RedirectUrl, RefreshToken, RevocationUrl, Scope,
    StandardRevocableToken, TokenUrl,
};

use super::params::Params;

/// The addresses are ours to set, on what is built here.
const NOWHERE: &str = "https://issuer.invalid/";

type Standard = BasicClient<EndpointSet, EndpointSet, EndpointSet, EndpointSet, EndpointSet>;

/// Builds the requests of one client. Scopes come joined: the separator is not always a space.
pub(super) struct Draft(Standard);

impl Draft {
    pub(super) fn new(client_id: &str) -> Result<Self> {
        let unset =
            BasicClient::new(ClientId::new(client_id.to_owned())).set_auth_type(AuthType::RequestBody);
        let client = || -> std::result::Result<Standard, oauth2::url::ParseError> {
            Ok(unset
                .set_auth_uri(AuthUrl::new(NOWHERE.to_owned())?)
                .set_token_uri(TokenUrl::new(NOWHERE.to_owned())?)
                .set_device_authorization_url(DeviceAuthorizationUrl::new(NOWHERE.to_owned())?)
                .set_revocation_url(RevocationUrl::new(NOWHERE.to_owned())?)
                .set_introspection_url(IntrospectionUrl::new(NOWHERE.to_owned())?))
        };
        client().map(Self).map_err(|_| unbuildable())
    }

    /// The query of the user's address.
    pub(super) fn authorize(
        &self,
        state: &str,
        redirect_uri: Option<&str>,
        scope: Option<String>,
    ) -> Result<Params> {
        let mut request =
            self.0.authorize_url(|| CsrfToken::new(state.to_owned())).add_scopes(scope.map(Scope::new));
        if let Some(uri) = redirect_uri {
            request = request.set_redirect_uri(Cow::Owned(redirect_url(uri)?));
        }
        let (url, _) = request.url();
        Params::of_form(url.query().unwrap_or_default().as_bytes()).ok_or_else(unbuildable)
    }

    pub(super) async fn code(
        &self,
        code: &str,
        verifier: Option<&str>,
        redirect_uri: Option<&str>,
    ) -> Result<Params> {
        let mut request = self.0.exchange_code(AuthorizationCode::new(code.to_owned()));
        if let Some(verifier) = verifier {
            request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()));
        }
        if let Some(uri) = redirect_uri {
            request = request.set_redirect_uri(Cow::Owned(redirect_url(uri)?));
        }
        let recorder = Recorder::default();
        recorder.kept(request.request_async(&recorder)).await
    }

    pub(super) async fn refresh(&self, token: &str) -> Result<Params> {
        let (recorder, token) = (Recorder::default(), RefreshToken::new(token.to_owned()));
        recorder.kept(self.0.exchange_refresh_token(&token).request_async(&recorder)).await
    }

    pub(super) async fn client_credentials(&self, scope: Option<String>) -> Result<Params> {
        let recorder = Recorder::default();
        let request = self.0.exchange_client_credentials().add_scopes(scope.map(Scope::new));
        recorder.kept(request.request_async(&recorder)).await
    }

    pub(super) async fn device(&self, scope: Option<String>) -> Result<Params> {
        let recorder = Recorder::default();
        let request = self.0.exchange_device_code().add_scopes(scope.map(Scope::new));
        recorder.kept(request.request_async::<_, EmptyExtraDeviceAuthorizationFields>(&recorder)).await
    }

    pub(super) async fn revoke_refresh(&self, token: &str) -> Result<Params> {
        self.revoke(StandardRevocableToken::RefreshToken(RefreshToken::new(token.to_owned()))).await
    }

    pub(super) async fn revoke_access(&self, token: &str) -> Result<Params> {
        self.revoke(StandardRevocableToken::AccessToken(AccessToken::new(token.to_owned()))).await
    }

    async fn revoke(&self, token: StandardRevocableToken) -> Result<Params> {
        let recorder = Recorder::default();
        let request = self.0.revoke_token(token).map_err(|_| unbuildable())?;
        recorder.kept(request.request_async(&recorder)).await
    }

    pub(super) async fn introspect(&self, token: &str) -> Result<Params> {
        let (recorder, token) = (Recorder::default(), AccessToken::new(token.to_owned()));
        recorder.kept(self.0.introspect(&token).request_async(&recorder)).await
    }
}

/// Sends nothing, and keeps what it was to send.
#[derive(Default)]
struct Recorder(Mutex<Option<HttpRequest>>);

#[derive(Debug)]
struct NotSent;

impl std::fmt::Display for NotSent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not sent from here")
    }
}

impl std::error::Error for NotSent {}

impl<'c> AsyncHttpClient<'c> for Recorder {
    type Error = NotSent;
    type Future = Ready<Result<HttpResponse, NotSent>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
        ready(Err(NotSent))
    }
}

impl Recorder {
    async fn kept<T>(&self, sending: impl Future<Output = T>) -> Result<Params> {
        // Its outcome is always that nothing was sent.
        let _ = sending.await;
        let request = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        request.and_then(|request| Params::of_form(request.body())).ok_or_else(unbuildable)
    }
}

/// Checks a redirect address; it is sent byte for byte as it was given.
pub(super) fn redirect_url(uri: &str) -> Result<RedirectUrl> {
    RedirectUrl::new(uri.to_owned()).map_err(|_| {
        Error::config("the redirect address is not an absolute URL")
            .with_hint("give it as it is registered with the issuer, e.g. `https://app.example/callback`")
    })
}

fn unbuildable() -> Error {
    Error::invalid_request("the request to the issuer cannot be built")
}
