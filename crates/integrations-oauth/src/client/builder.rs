//! Clients of issuers.

use std::fmt;
use std::sync::Arc;

use integrations_core::pipeline::{Pipeline, Policy, Scope, Stages};
use integrations_core::provider::{OAuth, Pkce};
use integrations_core::{Clock, Error, LiveSecret, Result, Skew, Transport};

use super::assertion::{ClientAssertion, Proof};
use super::draft::{Draft, redirect_url};
use super::issuer::{Address, Issuer, Resolved};

/// One application at one issuer. Cheap to clone.
///
/// ```
/// use integrations_core::provider::OAuth;
/// use integrations_oauth::{AuthorizeRequest, Callback, Client};
/// # use std::sync::Arc;
/// # use integrations_core::{Body, Exchange, Payload, Transport, TransportError};
/// # struct Issuer;
/// # #[async_trait::async_trait]
/// # impl Transport for Issuer {
/// #     async fn send(&self, _: http::Request<Body>, _: Exchange) -> Result<http::Response<Payload>, TransportError> {
/// #         let answer = r#"{"access_token":"at-1","token_type":"Bearer","expires_in":3600}"#;
/// #         Ok(http::Response::new(Payload::Whole(answer.into())))
/// #     }
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// const FACTS: OAuth = OAuth::new("https://id.example/token").authorize_url("https://id.example/authorize");
///
/// let client = Client::builder(FACTS, "my-app")
///     .secret("from the issuer's page")
///     .redirect_uri("https://app.example/callback")
/// #   .transport(Arc::new(Issuer))
///     .build()?;
/// let (url, pending) = client.authorize(AuthorizeRequest::new(["calendar.read"]))?;
/// // Send the user to `url`; keep `pending` in the session; the issuer sends the user back with a query.
/// # assert!(url.starts_with("https://id.example/authorize?"));
/// # let query = format!("code=c-1&state={}", pending.state().expose());
/// let tokens = client.complete(pending, Callback::parse(&query)?).await?;
/// assert_eq!(tokens.access.expose(), "at-1");
/// # Ok::<(), integrations_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Client {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) issuer: Resolved,
    pub(super) client_id: String,
    pub(super) proof: Proof,
    pub(super) redirect_uri: Option<String>,
    pub(super) draft: Draft,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) pipeline: Pipeline,
    pub(super) clock: Clock,
    /// How far the issuer's clock is from ours.
    pub(super) skew: Arc<Skew>,
}

/// Builds a [`Client`].
#[must_use]
pub struct ClientBuilder {
    issuer: Issuer,
    client_id: String,
    proof: Proof,
    redirect_uri: Option<String>,
    transport: Option<Arc<dyn Transport>>,
    pipeline: Option<Pipeline>,
    clock: Clock,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { issuer, client_id, .. } = &*self.shared;
        f.debug_struct("Client")
            .field("issuer", &issuer.token_address())
            .field("client_id", client_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl Client {
    /// A client with this id at this issuer: a public one, unless a secret or an assertion is given.
    pub fn builder(issuer: impl Into<Issuer>, client_id: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            issuer: issuer.into(),
            client_id: client_id.into(),
            proof: Proof::Public,
            redirect_uri: None,
            transport: None,
            pipeline: None,
            clock: Clock::system(),
        }
    }

    /// How this client shows its proof key. One without a secret has nothing else against a stolen code (RFC 9700 section
    /// 2.1.1), so that no metadata may talk it out of that; an issuer that knows no proof keys has to ignore them.
    pub(super) fn pkce(&self) -> Pkce {
        match self.facts().pkce {
            Pkce::None if self.shared.proof.is_public() => Pkce::S256,
            pkce => pkce,
        }
    }

    pub(super) fn facts(&self) -> &OAuth {
        &self.shared.issuer.facts
    }
}

impl ClientBuilder {
    /// The client's secret. Asked for each attempt; after a refusal it is asked for anew, once.
    pub fn secret(mut self, secret: impl Into<LiveSecret>) -> Self {
        self.proof = Proof::Secret(secret.into());
        self
    }

    /// Proves the client by a signed statement (`private_key_jwt`, RFC 7523) instead of by a secret.
    pub fn assertion(mut self, signer: Arc<dyn ClientAssertion>) -> Self {
        self.proof = Proof::Assertion(signer);
        self
    }

    /// Sends a signed statement in the place of the secret, as Apple has it.
    pub fn signed_secret(mut self, signer: Arc<dyn ClientAssertion>) -> Self {
        self.proof = Proof::SignedSecret(signer);
        self
    }

    /// Where the issuer sends users back to, exactly as it is registered.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uri = Some(uri.into());
        self
    }

    /// What carries the calls; without one, a transport over reqwest (feature `http`).
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// The pipeline of the calls; without one, a pipeline of its own with every default.
    pub fn pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipeline = Some(pipeline);
        self
    }

    /// The clock by which tokens end and statements are dated. When an issuer refuses the client or a statement, and the
    /// date of its answer is another one, what is signed from then on has the issuer's time.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](integrations_core::ErrorKind) for an address of the issuer that has a part missing or is
    /// not `https`, for a redirect address that is none, and without a transport.
    pub fn build(self) -> Result<Client> {
        if self.client_id.is_empty() {
            return Err(Error::config("the client's id is empty"));
        }
        if let Some(uri) = &self.redirect_uri {
            redirect_url(uri)?;
        }
        let issuer = self.issuer.resolved()?;
        let pipeline = self.pipeline.map_or_else(|| own_pipeline(&issuer), Ok)?;
        let shared = Shared {
            draft: Draft::new(&self.client_id)?,
            issuer,
            client_id: self.client_id,
            proof: self.proof,
            redirect_uri: self.redirect_uri,
            transport: self.transport.map_or_else(default_transport, Ok)?,
            pipeline,
            clock: self.clock,
            skew: Arc::default(),
        };
        Ok(Client { shared: Arc::new(shared) })
    }
}

fn own_pipeline(issuer: &Resolved) -> Result<Pipeline> {
    let host = issuer.at(Address::Token)?.host().unwrap_or_default();
    Stages::new().pipeline(Scope::new("", host), Policy::default())
}

integrations_core::default_transport!(fn);
