//! OAuth clients, the vault and its stores: an issuer that quotes what it was sent, stores that fail, and the files in
//! which stores keep what they were given.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use integrations_core::provider::{ClientAuth, OAuth};
use integrations_core::seal::{Envelope, LocalKeys};
use integrations_core::store::{Module, Store};
use integrations_core::tls::TlsConfig;
use integrations_core::{
    Body, ConnectionId, CredentialVersion, ErrorKind, Exchange, Payload, Result, SecretString, Transport,
    TransportError, TransportFailure,
};
use integrations_oauth::store::{MemoryTokens, RedisTokens, SqlTokens, TokenStore};
use integrations_oauth::{AuthorizeRequest, Callback, Client, TokenSet, Vault};
use jiff::Timestamp;

use super::lab::Lab;
use super::search::{Haul, canary};
use super::servers::{Seen, echo, listen};

/// The slots whose canary goes to the issuer or, with the access token, to a service.
pub(crate) const SENT: [&str; 4] = ["oauth-code", "oauth-secret", "oauth-refresh", "oauth-access"];
/// The slots that an issuer answers with.
pub(crate) const ANSWERED: [&str; 2] = ["oauth-extra", "oauth-id"];
/// The slots that stay here.
pub(crate) const KEPT: [&str; 2] = ["database-password", "master-key"];

/// The last of the connections that are stored.
const LAST_USER: &str = "zq7user-49";

/// What the issuer answers, with `{sent}` for what it was sent.
pub(super) const ANSWERS: [(u16, &str); 14] = [
    (400, r#"{"error":"invalid_grant","error_description":"no such token: {sent}"}"#),
    (400, r#"{"error":"{sent}"}"#),
    (400, r#"{"error":"invalid_request","error_description":"{sent}","error_uri":"https://x/?{sent}"}"#),
    (401, r#"{"error":"invalid_client","error_description":"{sent}"}"#),
    (200, r#"{"error":"bad_refresh_token","error_description":"{sent}"}"#),
    (200, r#"{"error":{"code":"{sent}","message":"{sent}"}}"#),
    (200, "<html>{sent}</html>"),
    (200, r#"{"access_token":17,"refresh_token":"{sent}"}"#),
    (200, r#"{"access_token":"{sent}","access_token":"{sent}"}"#),
    (200, r#"{"token":"{sent}"}"#),
    (200, "access_token={sent}&access_token={sent}"),
    (403, "{sent}"),
    (429, r#"{"error":"slow_down","message":"{sent}"}"#),
    (503, r#"{"message":"{sent}"}"#),
];

/// An issuer in memory, whose next answer is chosen.
#[derive(Clone)]
struct Issuer {
    seen: Seen,
    /// `None`: tokens. Past the list: the connection breaks.
    answer: Arc<Mutex<Option<usize>>>,
}

impl Issuer {
    fn next(&self, answer: Option<usize>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }
}

#[async_trait]
impl Transport for Issuer {
    async fn send(&self, request: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        let (head, body) = request.into_parts();
        let sent = match &body {
            Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        };
        self.seen.add(&format!("{} {:?} {sent}", head.uri, super::servers::PlainHeaders(&head.headers)));
        let answer = *self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let (status, text) = match answer {
            None => (200, tokens_json()),
            Some(n) => match ANSWERS.get(n) {
                Some((status, text)) => (*status, text.replace("{sent}", &sent.replace('"', "'"))),
                None => {
                    return Err(TransportError::new(TransportFailure::Reset, true, "the connection broke"));
                }
            },
        };
        let response = Response::builder().status(status).body(Bytes::from(text).into());
        Ok(response.expect("the statuses of the list are valid"))
    }
}

fn tokens_json() -> String {
    serde_json::json!({
        "access_token": canary("oauth-access"),
        "refresh_token": canary("oauth-refresh"),
        "id_token": canary("oauth-id"),
        "incoming_webhook": { "url": canary("oauth-extra") },
        "expires_in": 3600,
    })
    .to_string()
}

/// A client that proves itself in the header, or in the body.
fn client(transport: Arc<dyn Transport>, auth: ClientAuth, token_url: &str) -> Result<Client> {
    let facts = OAuth::new("https://issuer.test/token").authorize_url("https://issuer.test/authorize");
    let facts =
        facts.revoke_url("https://issuer.test/revoke").introspect_url("https://issuer.test/introspect");
    let issuer = integrations_oauth::Issuer::from(facts.client_auth(auth));
    Client::builder(issuer.at(integrations_oauth::Address::Token, token_url), "client-1")
        .secret(canary("oauth-secret").as_str())
        .redirect_uri("https://app.test/callback")
        .transport(transport)
        .build()
}

fn tokens(now: Timestamp) -> TokenSet {
    let mut tokens = TokenSet::new(canary("oauth-access"), now);
    tokens.refresh = Some(canary("oauth-refresh").into());
    tokens.id_token = Some(canary("oauth-id").into());
    tokens.extra.insert("webhook".into(), canary("oauth-extra").into());
    tokens
}

/// The 32 bytes of a master key are its canary's first ones.
fn keys() -> Result<LocalKeys> {
    LocalKeys::parse(&format!("k1:{}", STANDARD.encode(&canary("master-key").as_bytes()[..32])).into())
}

/// Goes every way; gives what could not be searched.
pub(crate) async fn all(lab: &mut Lab) -> Vec<String> {
    let begun = SystemTime::now();
    let mut missing = Vec::new();
    if let Err(error) = Box::pin(flows(lab)).await {
        lab.unexpected.push(format!("the flows of OAuth: {error}"));
    }
    match Box::pin(stores(lab, begun, &mut missing)).await {
        Ok(()) => {}
        Err(error) => lab.unexpected.push(format!("the vault: {error}")),
    }
    missing
}

async fn flows(lab: &mut Lab) -> Result<()> {
    let issuer = Issuer { seen: lab.seen.clone(), answer: Arc::default() };
    let transport: Arc<dyn Transport> = Arc::new(issuer.clone());
    for auth in [ClientAuth::Basic, ClientAuth::Body] {
        let client = client(transport.clone(), auth, "https://issuer.test/token")?;
        lab.debug("an OAuth client", &client);
        for answer in 0..=ANSWERS.len() {
            issuer.next(Some(answer));
            let path = |call: &str| format!("OAuth answer {answer}, {call}");
            let (_, pending) = client.authorize(AuthorizeRequest::new(["mail"]))?;
            lab.debug("a pending authorization", &pending);
            let callback = format!("code={}&state={}", encoded("oauth-code"), pending.state().expose());
            let callback = Callback::parse(&callback)?;
            lab.debug("a callback", &callback);
            lab.failed(&path("code"), None, client.complete(pending, callback).await);
            lab.failed(&path("refresh"), None, client.refresh(&tokens(Timestamp::now())).await);
            lab.failed(&path("client credentials"), None, client.client_credentials(["mail"]).await);
            lab.failed(&path("introspection"), None, {
                let found = client.introspect(&canary("oauth-access").into()).await;
                found.and_then(|found| if found.active { Ok(()) } else { Err(inactive()) })
            });
        }
    }
    // The same over a connection, so that hyper and rustls see it, too.
    let seen = lab.seen.clone();
    let addr = listen(move |stream| echo(stream, seen.clone())).await;
    let http: Arc<dyn Transport> = Arc::new(lab.transport().build()?);
    for status in [400, 401, 403, 500] {
        let client = client(http.clone(), ClientAuth::Body, &format!("http://{addr}/token/{status}"))?;
        lab.failed(&format!("OAuth status {status}"), None, client.refresh(&tokens(Timestamp::now())).await);
    }
    for bad in [
        format!("code={}", encoded("oauth-code")),
        format!("code={0}&code={0}&state=x", encoded("oauth-code")),
    ] {
        lab.failed("a callback that is none", ErrorKind::InvalidRequest, Callback::parse(&bad));
    }
    lab.failed("master keys that are none", ErrorKind::Config, {
        LocalKeys::parse(&format!("k1:{}", canary("master-key")).into())
    });
    Ok(())
}

fn inactive() -> integrations_core::Error {
    integrations_core::Error::config("inactive")
}

pub(super) fn encoded(slot: &str) -> String {
    percent_encoding::utf8_percent_encode(&canary(slot), percent_encoding::NON_ALPHANUMERIC).to_string()
}

async fn stores(lab: &mut Lab, begun: SystemTime, missing: &mut Vec<String>) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("integrations-secrets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|e| integrations_core::Error::config(e.to_string()))?;
    exercise(lab, "memory", Arc::new(MemoryTokens::new())).await?;

    let store = Store::open(folder.join("tokens.db")).await?;
    exercise(lab, "SQLite", Arc::new(SqlTokens::new(store.clone()).await?)).await?;
    search(lab, "SQLite", &folder, begun, missing);
    store.close().await?;
    search(lab, "SQLite", &folder, begun, missing);
    let gone = std::fs::remove_dir_all(&folder);
    lab.unexpected.extend(gone.err().map(|e| format!("the folder of SQLite: {e}")));

    match std::env::var("INTEGRATIONS_TEST_POSTGRES") {
        Err(_) => missing.push("PostgreSQL: INTEGRATIONS_TEST_POSTGRES is not set".to_owned()),
        Ok(url) => postgres(lab, &url, begun, missing).await?,
    }
    match std::env::var("INTEGRATIONS_TEST_REDIS") {
        Err(_) => missing.push("Redis: INTEGRATIONS_TEST_REDIS is not set".to_owned()),
        Ok(url) => redis(lab, &url, begun, missing).await?,
    }
    refused(lab).await;
    Ok(())
}

async fn postgres(lab: &mut Lab, url: &str, begun: SystemTime, missing: &mut Vec<String>) -> Result<()> {
    // A schema of its own, which goes with everything in it.
    let maker = Store::postgres(&url.into(), &TlsConfig::new()).await?;
    maker.write(|tx| Box::pin(async move { tx.execute("CREATE SCHEMA secrets_proof", &[]).await })).await?;
    let start = if url.contains('?') { '&' } else { '?' };
    let own = format!("{url}{start}options[search_path]=secrets_proof").into();
    let store = Store::postgres(&own, &TlsConfig::new()).await?;
    exercise(lab, "PostgreSQL", Arc::new(SqlTokens::new(store.clone()).await?)).await?;
    store.close().await?;
    let rows = maker.read("SELECT current_setting('data_directory')", &[]).await?;
    let folder = PathBuf::from(rows[0].text(0)?);
    search(lab, "PostgreSQL", &folder, begun, missing);
    maker
        .write(|tx| Box::pin(async move { tx.execute("DROP SCHEMA secrets_proof CASCADE", &[]).await }))
        .await?;
    maker.close().await
}

async fn redis(lab: &mut Lab, url: &str, begun: SystemTime, missing: &mut Vec<String>) -> Result<()> {
    let store =
        RedisTokens::connect(&url.into()).await?.with_prefix(format!("secrets:{}", std::process::id()))?;
    exercise(lab, "Redis", Arc::new(store)).await?;
    let asked = async {
        let mut raw = ::redis::Client::open(url)?.get_multiplexed_async_connection().await?;
        let () = ::redis::cmd("SAVE").query_async(&mut raw).await?;
        let folder: (String, String) =
            ::redis::cmd("CONFIG").arg("GET").arg("dir").query_async(&mut raw).await?;
        Ok::<_, ::redis::RedisError>(PathBuf::from(folder.1))
    };
    match asked.await {
        Ok(folder) => search(lab, "Redis", &folder, begun, missing),
        Err(error) => missing.push(format!("Redis: it does not save ({:?})", error.kind())),
    }
    Ok(())
}

/// A connection's life on one store, with the failures of its issuer.
async fn exercise(lab: &mut Lab, name: &str, store: Arc<dyn TokenStore>) -> Result<()> {
    let issuer = Issuer { seen: lab.seen.clone(), answer: Arc::default() };
    let client = client(Arc::new(issuer.clone()), ClientAuth::Body, "https://issuer.test/token")?;
    let keys = keys()?;
    lab.debug("master keys", &keys);
    let sealer = Arc::new(Envelope::new(Arc::new(keys), "oauth"));
    lab.debug("an envelope", &sealer);
    let vault = |store: Arc<dyn TokenStore>, sealer: Arc<Envelope>| {
        Vault::builder(store, sealer)
            .source("mail", Arc::new(client.clone()))
            .refused_again_after(std::time::Duration::ZERO)
            .build()
    };
    let ours = vault(store.clone(), sealer.clone());
    lab.debug("a vault", &ours);
    for n in 0..50 {
        let id = ConnectionId::new("acme", "mail", format!("zq7user-{n}"))?;
        ours.connect(&id, tokens(Timestamp::now())).await?;
    }
    let id = ConnectionId::new("acme", "mail", "zq7user-0")?;
    let version = ours.token(&id).await?.version;
    lab.debug("an access token", &ours.token(&id).await?);
    lab.debug("all tokens", &ours.tokens(&id).await?);
    lab.debug("a stored entry", &store.load(&id).await?);
    ours.authorizer(&id).refresh(Some(CredentialVersion(version))).await?;
    lab.debug("all tokens", &ours.tokens(&id).await?);

    // Everything but the answers that end the session or leave it in doubt.
    for answer in [3, 11, 12, 13] {
        issuer.next(Some(answer));
        let fresh = vault(store.clone(), sealer.clone());
        let version = fresh.token(&id).await?.version;
        let failed = fresh.authorizer(&id).refresh(Some(CredentialVersion(version))).await;
        lab.failed(&format!("the vault on {name}, answer {answer}"), None, failed);
    }
    let other = LocalKeys::parse(&LocalKeys::generate()?)?;
    let wrong = vault(store.clone(), Arc::new(Envelope::new(Arc::new(other), "oauth")));
    lab.failed(&format!("the vault on {name}, another key"), None, wrong.token(&id).await);
    issuer.next(Some(0));
    let version = ours.token(&id).await?.version;
    let failed = ours.authorizer(&id).refresh(Some(CredentialVersion(version))).await;
    lab.failed(&format!("the vault on {name}, refused"), ErrorKind::ReauthRequired, failed);
    lab.failed(&format!("the vault on {name}, dead"), ErrorKind::ReauthRequired, ours.token(&id).await);
    lab.debug("a state", &ours.state(&id).await?);
    let _unsupported = client.revoke(&tokens(Timestamp::now())).await;
    Ok(())
}

/// Databases that are not there, or refuse the password.
async fn refused(lab: &mut Lab) {
    let password = encoded("database-password");
    for host in ["127.0.0.1:1", "nowhere.invalid:1"] {
        let url: SecretString = format!("postgres://app:{password}@{host}/tokens").into();
        lab.failed("PostgreSQL that is not there", None, Store::postgres(&url, &TlsConfig::new()).await);
        for scheme in ["redis", "rediss"] {
            let url: SecretString = format!("{scheme}://app:{password}@{host}/0").into();
            lab.failed("Redis that is not there", None, RedisTokens::connect(&url).await);
        }
    }
    for (variable, scheme) in
        [("INTEGRATIONS_TEST_POSTGRES", "postgres"), ("INTEGRATIONS_TEST_REDIS", "redis")]
    {
        let Ok(url) = std::env::var(variable) else { continue };
        let Some((_, host)) = url.split_once('@') else { continue };
        let url: SecretString = format!("{scheme}://postgres:{password}@{host}").into();
        let path = format!("{scheme} with another password");
        if scheme == "postgres" {
            lab.failed(&path, None, Store::postgres(&url, &TlsConfig::new()).await);
        } else {
            lab.failed(&path, None, RedisTokens::connect(&url).await);
        }
    }
    let url: SecretString = format!("postgres://app:{password}@127.0.0.1:x/?{password}={password}").into();
    lab.failed(
        "an address of PostgreSQL that is none",
        ErrorKind::Config,
        Store::postgres(&url, &TlsConfig::new()).await,
    );
    let url: SecretString = format!("redis://app:{password}@127.0.0.1:x").into();
    lab.failed("an address of Redis that is none", ErrorKind::Config, RedisTokens::connect(&url).await);
}

/// Takes the files of a store. They must hold the name of a connection, or they are not where its rows are.
fn search(lab: &mut Lab, name: &str, folder: &Path, begun: SystemTime, missing: &mut Vec<String>) {
    if files(&mut lab.haul, name, folder, begun) == 0 {
        missing.push(format!("{name}: its files cannot be read from here"));
    } else if !lab.haul.holds(&place(name), LAST_USER) {
        lab.unexpected.push(format!("the files of {name} do not hold what was stored"));
    }
}

pub(super) fn place(name: &str) -> String {
    format!("a file of {name}")
}

/// Takes every file below a folder that was written since; how many that were.
pub(crate) fn files(haul: &mut Haul, name: &str, folder: &Path, since: SystemTime) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let mut found = 0;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found += files(haul, name, &path, since);
        } else if entry.metadata().and_then(|data| data.modified()).is_ok_and(|time| time >= since)
            && let Ok(bytes) = std::fs::read(&path)
        {
            haul.add(place(name), String::from_utf8_lossy(&bytes));
            found += 1;
        }
    }
    found
}

/// The place of what a store without encryption leaves behind.
pub(crate) const UNENCRYPTED: &str = "a file of a store without encryption";

/// What a store without encryption leaves behind.
pub(crate) async fn naive(haul: &mut Haul) -> Result<()> {
    static TABLE: Module =
        Module { name: "naive", steps: &[&["CREATE TABLE tokens (id TEXT PRIMARY KEY, body TEXT)"]] };
    let begun = SystemTime::now();
    let folder = std::env::temp_dir().join(format!("integrations-secrets-naive-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|e| integrations_core::Error::config(e.to_string()))?;
    let store = Store::open(folder.join("tokens.db")).await?;
    store.migrate(&TABLE).await?;
    let write = "INSERT INTO tokens (id, body) VALUES ($1, $2)";
    store
        .write(move |tx| {
            Box::pin(async move { tx.execute(write, &["u".into(), tokens_json().into()]).await })
        })
        .await?;
    store.close().await?;
    files(haul, "a store without encryption", &folder, begun);
    let _left_behind = std::fs::remove_dir_all(&folder);
    Ok(())
}
