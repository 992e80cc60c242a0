//! The controls: tokens in one table, refreshed with the crate `oauth2` as its examples do.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use integrations_core::store::{Module, Store};
use integrations_core::{Authorize, CredentialVersion, Effect, Error, ErrorKind, Result, WireRequest};
use oauth2::basic::{BasicClient, BasicErrorResponseType};
use oauth2::{
    AsyncHttpClient, ClientId, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, RefreshToken,
    RequestTokenError, TokenResponse as _, TokenUrl,
};
use tokio::sync::Mutex;

use super::issuer::Pair;
use super::service::{PROCESS_HEADER, access_token, refresh_token_of};
use super::world::{Design, Place, Sessions, State, Way, store_delay};

static TABLE: Module = Module {
    name: "sessions",
    steps: &[&["CREATE TABLE sessions (family BIGINT NOT NULL PRIMARY KEY, access TEXT NOT NULL, \
                refresh TEXT NOT NULL, ended BIGINT NOT NULL)"]],
};
const READ: &str = "SELECT access, refresh, ended FROM sessions WHERE family = $1";
const WRITE: &str = "INSERT INTO sessions (family, access, refresh, ended) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (family) DO UPDATE SET access = excluded.access, refresh = excluded.refresh, \
    ended = excluded.ended";

pub(super) async fn open(place: &Place, way: &Arc<Way>) -> Result<Arc<dyn Sessions>> {
    let store = Store::open(&place.store).await?;
    store.migrate(&TABLE).await?;
    let url = TokenUrl::new(format!("{}token", place.base()?))
        .map_err(|_| Error::config("the issuer's address cannot be used"))?;
    let client = BasicClient::new(ClientId::new("prove".to_owned())).set_token_uri(url);
    let table = Arc::new(Table { store, client, http: Http::new(way)?, way: way.clone() });
    Ok(match place.design {
        Design::Alone => Arc::new(Alone(table)),
        _ => Arc::new(Naive(table)),
    })
}

/// What both have.
struct Table {
    store: Store,
    client: BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>,
    http: Http,
    way: Arc<Way>,
}

#[derive(Clone, PartialEq)]
struct Kept {
    access: String,  // tidy: not a secret, a fake issuer's
    refresh: String, // tidy: not a secret, a fake issuer's
    ended: bool,
}

impl Table {
    async fn read(&self, family: usize) -> Result<Kept> {
        store_delay().await;
        let rows = self.store.read(READ, &[(family as i64).into()]).await?;
        store_delay().await;
        let row = rows.first().ok_or_else(|| Error::config("the connection is not kept"))?;
        Ok(Kept {
            access: row.text(0)?.to_owned(),
            refresh: row.text(1)?.to_owned(),
            ended: row.integer(2)? != 0,
        })
    }

    async fn write(&self, family: usize, kept: &Kept) -> Result<()> {
        store_delay().await;
        self.way.storing(family).await;
        let values = [
            (family as i64).into(),
            (&*kept.access).into(),
            (&*kept.refresh).into(),
            i64::from(kept.ended).into(),
        ];
        self.store.write(move |tx| Box::pin(async move { tx.execute(WRITE, &values).await })).await?;
        self.way.stored(family).await;
        store_delay().await;
        Ok(())
    }

    /// What comes of a refresh token.
    async fn exchange(&self, refresh: &str) -> Result<Kept> {
        let refresh = RefreshToken::new(refresh.to_owned());
        let answer = self.client.exchange_refresh_token(&refresh).request_async(&self.http).await;
        match answer {
            Ok(tokens) => Ok(Kept {
                access: tokens.access_token().secret().clone(),
                refresh: tokens.refresh_token().unwrap_or(&refresh).secret().clone(),
                ended: false,
            }),
            Err(RequestTokenError::ServerResponse(refused))
                if *refused.error() == BasicErrorResponseType::InvalidGrant =>
            {
                Err(reconnect())
            }
            Err(_) => Err(Error::new(ErrorKind::Unavailable, Effect::Unknown, "the issuer did not answer")),
        }
    }

    async fn connect(&self, family: usize, first: Pair) -> Result<()> {
        let first = Kept { access: access_token(first), refresh: refresh_token_of(first), ended: false };
        self.write(family, &first).await
    }

    async fn state(&self, family: usize) -> Result<State> {
        let ended = self.read(family).await?.ended;
        Ok(if ended { State::ReauthRequired } else { State::Usable })
    }
}

fn reconnect() -> Error {
    Error::new(ErrorKind::ReauthRequired, Effect::Rejected, "the session has ended")
}

fn bearer(request: &mut WireRequest, access: &str) -> Result<()> {
    let value = HeaderValue::from_str(&format!("Bearer {access}"));
    let mut value = value.map_err(|_| Error::config("the token fits in no header"))?;
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(())
}

/// The client that the crate's examples use.
struct Http {
    client: reqwest::Client,
    way: Arc<Way>,
}

impl Http {
    fn new(way: &Arc<Way>) -> Result<Self> {
        integrations_http::install_crypto_provider();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()
            .map_err(|e| Error::config("the system gives no HTTP client").with_source(e))?;
        Ok(Self { client, way: way.clone() })
    }

    async fn send(&self, mut request: HttpRequest) -> std::result::Result<HttpResponse, reqwest::Error> {
        request.headers_mut().insert(PROCESS_HEADER, self.way.process().into());
        let answer = self.client.execute(request.try_into()?).await?;
        self.way.hear(answer.headers());
        let mut response = HttpResponse::new(Vec::new());
        *response.status_mut() = answer.status();
        response.headers_mut().clone_from(answer.headers());
        *response.body_mut() = answer.bytes().await?.to_vec();
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = reqwest::Error;
    type Future = std::pin::Pin<
        Box<dyn Future<Output = std::result::Result<HttpResponse, reqwest::Error>> + Send + 'c>,
    >;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Reads, asks, writes; whoever writes last wins.
struct Naive(Arc<Table>);

#[async_trait]
impl Sessions for Naive {
    async fn connect(&self, family: usize, first: Pair) -> Result<()> {
        self.0.connect(family, first).await
    }

    fn authorizer(&self, family: usize) -> Result<Arc<dyn Authorize>> {
        Ok(Arc::new(NaiveSession { table: self.0.clone(), family }))
    }

    async fn state(&self, family: usize) -> Result<State> {
        self.0.state(family).await
    }
}

struct NaiveSession {
    table: Arc<Table>,
    family: usize,
}

#[async_trait]
impl Authorize for NaiveSession {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        bearer(request, &self.table.read(self.family).await?.access)
    }

    async fn refresh(&self, _: Option<CredentialVersion>) -> Result<bool> {
        let kept = self.table.read(self.family).await?;
        let next = self.table.exchange(&kept.refresh).await?;
        self.table.write(self.family, &next).await?;
        Ok(true)
    }
}

/// A lock for each connection, and what is in memory is what is kept.
struct Alone(Arc<Table>);

#[async_trait]
impl Sessions for Alone {
    async fn connect(&self, family: usize, first: Pair) -> Result<()> {
        self.0.connect(family, first).await
    }

    fn authorizer(&self, family: usize) -> Result<Arc<dyn Authorize>> {
        let memory = Mutex::new(None);
        Ok(Arc::new(AloneSession(Arc::new(Locked { table: self.0.clone(), family, memory }))))
    }

    async fn state(&self, family: usize) -> Result<State> {
        self.0.state(family).await
    }
}

struct AloneSession(Arc<Locked>);

struct Locked {
    table: Arc<Table>,
    family: usize,
    /// The tokens and the number of their changes.
    memory: Mutex<Option<(Kept, u64)>>,
}

#[async_trait]
impl Authorize for AloneSession {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        let (kept, version) = self.0.present().await?;
        request.extensions_mut().insert(CredentialVersion(version));
        bearer(request, &kept.access)
    }

    async fn refresh(&self, used: Option<CredentialVersion>) -> Result<bool> {
        let session = self.0.clone();
        // Detached: whoever waits may go, the exchange must not.
        let refreshed = tokio::spawn(async move { session.refresh(used).await });
        refreshed.await.map_err(|e| Error::config(e.to_string()))?
    }
}

impl Locked {
    async fn present(&self) -> Result<(Kept, u64)> {
        let mut memory = self.memory.lock().await;
        let present = match &*memory {
            Some(present) => present.clone(),
            None => (self.table.read(self.family).await?, 1),
        };
        *memory = Some(present.clone());
        if present.0.ended { Err(reconnect()) } else { Ok(present) }
    }

    async fn refresh(&self, used: Option<CredentialVersion>) -> Result<bool> {
        let mut memory = self.memory.lock().await;
        let Some((kept, version)) = memory.clone() else { return Ok(true) };
        if kept.ended {
            return Err(reconnect());
        }
        if used != Some(CredentialVersion(version)) {
            return Ok(true);
        }
        let next = match self.table.exchange(&kept.refresh).await {
            Err(e) if e.kind() == ErrorKind::ReauthRequired => Kept { ended: true, ..kept },
            next => next?,
        };
        self.table.write(self.family, &next).await?;
        let ended = next.ended;
        *memory = Some((next, version + 1));
        if ended { Err(reconnect()) } else { Ok(true) }
    }
}
