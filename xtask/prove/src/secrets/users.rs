//! Sign-in and users: issuers that quote and forge, stores that break and give back what nobody wrote, everything that a
//! user can do wrong, and the files in which users are kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use integrations_auth::{SqlRecords, SqlUsers, UserStore};
use integrations_core::seal::{Envelope, LocalKeys};
use integrations_core::store::{Module, Store};
use integrations_core::tls::TlsConfig;
use integrations_core::{Error, ErrorKind, Result, SecretString};
use jiff::{SignedDuration, Timestamp};

use super::lab::Lab;
use super::search::{Haul, canary};
use super::vault::{self, files};
use stores::{Fault, Stores};

mod issuer;
mod life;
mod sign_in;
mod stores;
mod wrong;

/// The slots whose canary goes to a service.
pub(crate) const SENT: [&str; 4] = ["signin-code", "signin-secret", "signin-access", "signin-refresh"];
/// The slots that a service answers with, or a browser.
pub(crate) const ANSWERED: [&str; 3] = ["signin-id", "forged-claim", "typed-token"];
/// The slots that stay here.
pub(crate) const KEPT: [&str; 8] = [
    "user-password",
    "next-password",
    "pepper",
    "stored-hash",
    "stored-record",
    "totp-secret",
    "index-key",
    "sealing-key",
];
/// The slots whose secrets are drawn at random; each has to be there, or it was not searched for.
pub(crate) const DRAWN: [&str; 18] = [
    "state",
    "nonce",
    "code-verifier",
    "flow-cookie",
    "id-token",
    "logout-token",
    "mail-token",
    "password-hash",
    "session-token",
    "second-factor-token",
    "enrolment-secret",
    "enrolment-url",
    "recovery-code",
    "api-key",
    "signing-key",
    "access-token",
    "refresh-token",
    "issuer-key",
];

/// A clock that is set forward by hand.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicI64>);

impl integrations_core::WallClock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

impl Hand {
    fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

fn secret(slot: &str) -> SecretString {
    canary(slot).into()
}

/// Goes every way; gives what could not be searched.
pub(crate) async fn all(lab: &mut Lab) -> Vec<String> {
    let begun = SystemTime::now();
    let mut missing = Vec::new();
    for (what, gone) in [
        ("sign-in", Box::pin(sign_in::all(lab)).await),
        ("what users do wrong", Box::pin(wrong::all(lab)).await),
        ("a life over broken stores", Box::pin(life::broken(lab)).await),
        ("users in tables", Box::pin(kept(lab, begun, &mut missing)).await),
    ] {
        lab.unexpected.extend(gone.err().map(|error| format!("{what}: {error}")));
    }
    missing
}

/// The 32 bytes of the master key are its canary's first ones.
fn sealer(purpose: &str) -> Result<Arc<Envelope>> {
    let key = format!("k1:{}", STANDARD.encode(&canary("sealing-key").as_bytes()[..32]));
    Ok(Arc::new(Envelope::new(Arc::new(LocalKeys::parse(&key.into())?), purpose)))
}

async fn kept(lab: &mut Lab, begun: SystemTime, missing: &mut Vec<String>) -> Result<()> {
    let folder = folder("users")?;
    let store = Store::open(folder.join("users.db")).await?;
    let ids = lives(lab, "SQLite", &store).await?;
    search(lab, ("SQLite", &ids), &folder, begun, missing);
    store.close().await?;
    search(lab, ("SQLite", &ids), &folder, begun, missing);
    let gone = std::fs::remove_dir_all(&folder);
    lab.unexpected.extend(gone.err().map(|e| format!("the folder of the users: {e}")));
    match std::env::var("INTEGRATIONS_TEST_POSTGRES") {
        Err(_) => missing.push("users in PostgreSQL: INTEGRATIONS_TEST_POSTGRES is not set".to_owned()),
        Ok(url) => postgres(lab, &url, begun, missing).await?,
    }
    Ok(())
}

async fn postgres(lab: &mut Lab, url: &str, begun: SystemTime, missing: &mut Vec<String>) -> Result<()> {
    let maker = Store::postgres(&url.into(), &TlsConfig::new()).await?;
    maker.write(|tx| Box::pin(async move { tx.execute("CREATE SCHEMA users_proof", &[]).await })).await?;
    let start = if url.contains('?') { '&' } else { '?' };
    let own = format!("{url}{start}options[search_path]=users_proof").into();
    let store = Store::postgres(&own, &TlsConfig::new()).await?;
    let lived = lives(lab, "PostgreSQL", &store).await;
    store.close().await?;
    let rows = maker.read("SELECT current_setting('data_directory')", &[]).await?;
    let ids = lived.as_deref().unwrap_or_default();
    search(lab, ("PostgreSQL", ids), rows[0].text(0)?.as_ref(), begun, missing);
    maker
        .write(|tx| Box::pin(async move { tx.execute("DROP SCHEMA users_proof CASCADE", &[]).await }))
        .await?;
    maker.close().await?;
    lived.map(drop)
}

/// Twenty users' lives in tables, and keys that do not fit. Gives the names of the users, which stand in clear.
async fn lives(lab: &mut Lab, name: &str, store: &Store) -> Result<Vec<String>> {
    let users = Arc::new(SqlUsers::new(store.clone(), sealer("users")?, &secret("index-key")).await?);
    let records = Arc::new(SqlRecords::new(store.clone(), sealer("records")?).await?);
    lab.debug("users in tables", &users);
    lab.debug("records in tables", &records);
    let stores = Stores::over(users, records, Fault::None);
    for n in 0..20 {
        life::life(lab, &stores, &format!("person-{n}"), n == 0).await?;
    }
    stores.draw(lab);
    let ids = stores.list(life::TENANT, None, 100).await?.into_iter().map(|user| user.id.as_str().to_owned());
    let ids: Vec<_> = ids.collect();

    let path = |what: &str| format!("{what} of users on {name}");
    let other = sealer("another purpose")?;
    let users = SqlUsers::new(store.clone(), other.clone(), &secret("index-key")).await?;
    let records = SqlRecords::new(store.clone(), other).await?;
    let stores = Stores::over(Arc::new(users), Arc::new(records), Fault::None);
    let failed = life::life(lab, &stores, "person-0", false).await;
    lab.failed(&path("another key"), None, failed);
    for key in [canary("index-key").repeat(2), canary("index-key")[..31].to_owned()] {
        let failed = SqlUsers::new(store.clone(), sealer("users")?, &key.into()).await;
        lab.failed(&path("another index key"), ErrorKind::Config, failed);
    }
    Ok(ids)
}

fn search(
    lab: &mut Lab,
    (name, ids): (&str, &[String]),
    folder: &std::path::Path,
    begun: SystemTime,
    missing: &mut Vec<String>,
) {
    let name = format!("{name} with users");
    if files(&mut lab.haul, &name, folder, begun) == 0 {
        missing.push(format!("{name}: its files cannot be read from here"));
    } else if !ids.iter().all(|id| lab.haul.holds(&vault::place(&name), id)) || ids.is_empty() {
        lab.unexpected.push(format!("the files of {name} do not hold what was stored"));
    }
}

fn folder(name: &str) -> Result<std::path::PathBuf> {
    let folder = std::env::temp_dir().join(format!("integrations-secrets-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|e| Error::config(e.to_string()))?;
    Ok(folder)
}

/// The place of what a table without encryption leaves behind.
pub(crate) const UNENCRYPTED: &str = "a file of users without encryption";

/// The same secrets in a table without encryption.
pub(crate) async fn naive(drawn: &[(&'static str, String)], haul: &mut Haul) -> Result<()> {
    static TABLE: Module =
        Module { name: "naive_users", steps: &[&["CREATE TABLE users (slot TEXT, secret TEXT)"]] };
    let begun = SystemTime::now();
    let folder = folder("users-naive")?;
    let store = Store::open(folder.join("users.db")).await?;
    store.migrate(&TABLE).await?;
    let one_of_each = DRAWN.iter().filter_map(|slot| drawn.iter().find(|(drawn, _)| drawn == slot));
    let mut rows: Vec<_> = one_of_each.map(|(slot, secret)| (*slot, secret.clone())).collect();
    rows.extend(["user-password", "next-password", "totp-secret"].map(|slot| (slot, canary(slot))));
    store
        .write(move |tx| {
            let rows = rows.clone();
            Box::pin(async move {
                for (slot, secret) in rows {
                    let row = [slot.into(), secret.into()];
                    tx.execute("INSERT INTO users (slot, secret) VALUES ($1, $2)", &row).await?;
                }
                Ok(())
            })
        })
        .await?;
    store.close().await?;
    files(haul, "users without encryption", &folder, begun);
    let _left_behind = std::fs::remove_dir_all(&folder);
    Ok(())
}
