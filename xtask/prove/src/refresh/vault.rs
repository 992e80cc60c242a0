//! Ours: the vault over a store that the processes share. All that knows the vault is here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use integrations_core::provider::OAuth;
use integrations_core::seal::{Envelope, LocalKeys};
use integrations_core::store::Store;
use integrations_core::tls::TlsConfig;
use integrations_core::{Authorize, ConnectionId, Error, Result, SecretString};
use integrations_oauth::store::{Draft, Entry, Lease, RedisTokens, SqlTokens, TokenStore};
use integrations_oauth::{Address, Client, ConnectionState, Issuer, TokenSet, Vault};
use jiff::Timestamp;

use super::issuer::Pair;
use super::service::{access_token, refresh_token_of};
use super::world::{INSTANCE, Place, Sessions, State, Way, store_delay};

/// One request to the issuer, and a lease. The lease of a killed process has to run out before others refresh.
const EXCHANGE: Duration = Duration::from_secs(4);
const LEASE: Duration = Duration::from_secs(12);

/// The key of this proof: what it seals is worth nothing.
const MASTER_KEY: &str = "prove:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="; // tidy: not a secret, a fake issuer's

/// Opens the store that the place names.
pub(super) async fn open(place: &Place, way: &Arc<Way>) -> Result<Arc<dyn Sessions>> {
    let url = SecretString::from(place.store.clone());
    let store: Arc<dyn TokenStore> = match place.store.split_once("://") {
        Some(("postgres" | "postgresql", _)) => {
            Arc::new(SqlTokens::new(Store::postgres(&url, &TlsConfig::new()).await?).await?)
        }
        Some(_) => Arc::new(RedisTokens::connect(&url).await?),
        None => Arc::new(SqlTokens::new(Store::open(&place.store).await?).await?),
    };
    let store = Arc::new(Slow { store, way: way.clone() });
    let keys = LocalKeys::parse(&MASTER_KEY.to_owned().into())?;
    let issuer = Issuer::from(OAuth::new("https://issuer.example/token"))
        .at(Address::Token, format!("{}token", place.base()?));
    let client = Client::builder(issuer, "prove").transport(way.clone()).build()?;
    let vault = Vault::builder(store, Arc::new(Envelope::new(Arc::new(keys), "prove")))
        .source(INSTANCE, Arc::new(client))
        .exchange_timeout(EXCHANGE, LEASE)
        // The proof's service refuses no good token, and refuses often.
        .refused_again_after(Duration::ZERO)
        .build();
    Ok(Arc::new(Ours { vault, run: place.run.clone() }))
}

struct Ours {
    vault: Vault,
    /// The tenant, so that runs can share a database.
    run: String,
}

impl Ours {
    fn id(&self, family: usize) -> Result<ConnectionId> {
        ConnectionId::new(&*self.run, INSTANCE, format!("c{family}"))
    }
}

#[async_trait]
impl Sessions for Ours {
    async fn connect(&self, family: usize, first: Pair) -> Result<()> {
        let mut tokens = TokenSet::new(access_token(first), Timestamp::now());
        tokens.refresh = Some(refresh_token_of(first).into());
        self.vault.connect(&self.id(family)?, tokens).await
    }

    fn authorizer(&self, family: usize) -> Result<Arc<dyn Authorize>> {
        Ok(self.vault.authorizer(&self.id(family)?))
    }

    async fn state(&self, family: usize) -> Result<State> {
        let state = self.vault.state(&self.id(family)?).await?;
        let ended = matches!(state, Some(ConnectionState::ReauthRequired { .. }));
        Ok(if ended { State::ReauthRequired } else { State::Usable })
    }

    async fn forget(&self, family: usize) -> Result<()> {
        self.vault.forget(&self.id(family)?).await
    }
}

/// A store that takes its time, and in which a process stops where it was told to.
struct Slow {
    store: Arc<dyn TokenStore>,
    way: Arc<Way>,
}

impl Slow {
    async fn slowly<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        store_delay().await;
        let ended = operation.await;
        store_delay().await;
        ended
    }
}

/// The number in a connection's name.
fn family(id: &ConnectionId) -> Result<usize> {
    let family = id.connection.strip_prefix('c').and_then(|number| number.parse().ok());
    family.ok_or_else(|| Error::config("this is no connection of the proof"))
}

#[async_trait]
impl TokenStore for Slow {
    async fn load(&self, id: &ConnectionId) -> Result<Option<Entry>> {
        self.slowly(self.store.load(id)).await
    }

    async fn swap(
        &self,
        id: &ConnectionId,
        seen: u64,
        next: &Draft,
        fence: Option<u64>,
    ) -> Result<Option<u64>> {
        let swap = async {
            let family = family(id)?;
            self.way.storing(family).await;
            let swapped = self.store.swap(id, seen, next, fence).await?;
            if swapped.is_some() {
                self.way.stored(family).await;
            }
            Ok(swapped)
        };
        self.slowly(swap).await
    }

    async fn remove(&self, id: &ConnectionId, seen: u64) -> Result<bool> {
        self.slowly(self.store.remove(id, seen)).await
    }

    async fn lease(&self, id: &ConnectionId, ttl: Duration) -> Result<Option<Lease>> {
        self.slowly(self.store.lease(id, ttl)).await
    }

    async fn release(&self, id: &ConnectionId, lease: Lease) -> Result<()> {
        self.slowly(self.store.release(id, lease)).await
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<ConnectionId>> {
        self.slowly(self.store.due(now, limit)).await
    }

    async fn list(
        &self,
        tenant: Option<&str>,
        after: Option<&ConnectionId>,
        limit: u32,
    ) -> Result<Vec<(ConnectionId, Entry)>> {
        self.slowly(self.store.list(tenant, after, limit)).await
    }
}
