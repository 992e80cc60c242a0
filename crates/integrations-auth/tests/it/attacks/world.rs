//! A site with users, browsers, and services that somebody may have got at.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, Method, Uri};
use integrations_auth::{
    Finished, Flow, Identities, MailTrust, MemoryRecords, MemoryUsers, Sent, Sessions, SignIn, SignInRequest,
    Start, entra, github_sign_in, google_sign_in, oidc, spotify_sign_in,
};
use integrations_core::provider::ProviderSpec;
use integrations_core::setup::Setup;
use integrations_core::{Clock, Result, SecretString};
use integrations_sandbox::{Call, FAKES, Sandbox};
use serde_json::Value as Json;

/// A service, and who sits before it.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) sandbox: Sandbox,
}

impl Service {
    pub(crate) fn new(id: &str) -> Self {
        let fake = FAKES.iter().find(|fake| fake.provider == id).unwrap();
        Self { sandbox: Sandbox::new(fake, 0) }
    }

    /// What is there in the first state.
    pub(crate) fn known(&self, name: &str) -> String {
        self.sandbox.known().get(name).unwrap_or_else(|| panic!("nobody knows `{name}`")).to_owned()
    }

    /// Asks for what only the sandbox has: a wrong statement, new keys.
    pub(crate) fn control(&self, what: &str, fields: &[(&str, &str)]) -> Json {
        let uri: Uri = format!("https://sandbox.test/__sandbox/{what}").parse().unwrap();
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        let answer = self.sandbox.answer(&Call::new(&Method::POST, &uri, &headers, form.as_bytes()));
        assert!(answer.status.is_success(), "{what}: {answer:?}");
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    pub(crate) fn setup(&self, spec: &'static ProviderSpec) -> Setup {
        let setup = Setup::new(spec).transport(Arc::new(self.sandbox.clone())).clock(self.sandbox.clock());
        self.sandbox.settings().into_iter().fold(setup, |setup, (name, text)| {
            let is_secret = spec.setting(name).is_none_or(integrations_core::provider::Setting::is_secret);
            if is_secret { setup.set(name, SecretString::from(text)) } else { setup.set(name, text) }
        })
    }

    /// What a browser gets that follows the service's page with the user's consent: the query of the address that it is sent
    /// back to.
    pub(crate) fn consent(&self, url: &str) -> String {
        let uri: Uri = url.parse().unwrap();
        let answer = self.sandbox.answer(&Call::new(&Method::GET, &uri, &HeaderMap::new(), b""));
        let back = answer.headers.get("location").unwrap_or_else(|| panic!("{url}: {answer:?}"));
        back.to_str().unwrap().split_once('?').unwrap().1.to_owned()
    }
}

/// A site that signs its users in.
pub(crate) struct Site {
    pub(crate) flow: Flow,
    pub(crate) users: Arc<MemoryUsers>,
    pub(crate) sessions: Sessions,
    pub(crate) identities: Identities,
    pub(crate) google: Service,
    pub(crate) entra: Service,
    pub(crate) github: Service,
    pub(crate) spotify: Service,
    pub(crate) oidc: Service,
    pub(crate) clock: Clock,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::trusting(MailTrust::nobody())
    }

    pub(crate) fn trusting(trust: MailTrust) -> Self {
        let [google, entra, github, spotify, oidc] =
            ["google-sign-in", "entra", "github-sign-in", "spotify-sign-in", "oidc"].map(Service::new);
        let clock = google.sandbox.clock();
        let records = Arc::new(MemoryRecords::new());
        let users = Arc::new(MemoryUsers::new());
        let sessions = Sessions::new(records.clone(), clock.clone());
        let flow = Flow::builder(records)
            .provider("google", google_client(&google))
            .provider("entra", entra_client(&entra))
            .provider("github", github_client(&github))
            .provider("spotify", spotify_client(&spotify))
            .provider("oidc", oidc_client(&oidc))
            .clock(clock.clone())
            .build();
        let identities = Identities::new(users.clone(), sessions.clone(), clock.clone()).trust(trust);
        Self { flow, users, sessions, identities, google, entra, github, spotify, oidc, clock }
    }

    pub(crate) fn service(&self, provider: &str) -> &Service {
        match provider {
            "google" => &self.google,
            "entra" => &self.entra,
            "github" => &self.github,
            "spotify" => &self.spotify,
            _ => &self.oidc,
        }
    }
}

fn google_client(service: &Service) -> SignIn {
    SignIn::new(google_sign_in::GoogleSignIn::open(&service.setup(&google_sign_in::spec::SPEC)).unwrap())
}

fn entra_client(service: &Service) -> SignIn {
    // Everybody's accounts, of any organisation.
    let setup = service.setup(&entra::spec::SPEC).set("tenant", "common");
    SignIn::new(entra::Entra::open(&setup).unwrap())
}

fn github_client(service: &Service) -> SignIn {
    SignIn::new(github_sign_in::GithubSignIn::open(&service.setup(&github_sign_in::spec::SPEC)).unwrap())
}

fn spotify_client(service: &Service) -> SignIn {
    SignIn::new(spotify_sign_in::SpotifySignIn::open(&service.setup(&spotify_sign_in::spec::SPEC)).unwrap())
}

pub(crate) fn oidc_client(service: &Service) -> SignIn {
    SignIn::new(oidc::Oidc::open(&service.setup(&oidc::spec::SPEC)).unwrap())
}

/// A browser, which keeps the cookies that it was given.
#[derive(Default)]
pub(crate) struct Browser(BTreeMap<String, String>);

impl Browser {
    /// Clicks on "sign in": the address that the browser is sent to.
    pub(crate) async fn click(&mut self, site: &Site, provider: &str) -> String {
        self.start(site, provider, Start::sign_in(), SignInRequest::new()).await.unwrap()
    }

    pub(crate) async fn click_as(&mut self, site: &Site, provider: &str, user: &str) -> String {
        let request = SignInRequest::new().login_hint(user);
        self.start(site, provider, Start::sign_in(), request).await.unwrap()
    }

    pub(crate) async fn start(
        &mut self,
        site: &Site,
        provider: &str,
        start: Start,
        request: SignInRequest,
    ) -> Result<String> {
        let Sent { url, set_cookie, .. } = site.flow.begin(provider, start, request).await?;
        let (pair, _) = set_cookie.to_str().unwrap().split_once(';').unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        self.0.insert(name.to_owned(), value.to_owned());
        Ok(url)
    }

    pub(crate) fn cookies(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn headers(&self) -> HeaderMap {
        headers(&self.cookies())
    }

    /// Comes back to a provider's address with an answer.
    pub(crate) async fn come_back(&self, site: &Site, provider: &str, answer: &str) -> Result<Finished> {
        site.flow.complete(provider, answer, &self.headers()).await
    }

    /// The whole way, as an honest person goes it.
    pub(crate) async fn sign_in(&mut self, site: &Site, provider: &str) -> Result<Finished> {
        let url = self.click(site, provider).await;
        self.come_back(site, provider, &site.service(provider).consent(&url)).await
    }

    /// The same as another user of the service.
    pub(crate) async fn sign_in_as(&mut self, site: &Site, provider: &str, user: &str) -> Result<Finished> {
        let url = self.click_as(site, provider, user).await;
        self.come_back(site, provider, &site.service(provider).consent(&url)).await
    }
}

/// The headers of a request with these cookies.
pub(crate) fn headers(cookies: &str) -> HeaderMap {
    HeaderMap::from_iter([(http::header::COOKIE, cookies.parse().unwrap())])
}
