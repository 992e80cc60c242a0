//! Users in tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use integrations_core::seal::Sealer;
use integrations_core::store::{Module, Param, Row, Store, Tx};
use integrations_core::{Effect, Error, ErrorKind, Result, SecretString};

use super::{Claim, User, UserId, UserStore, stored, taken};
use crate::names::framed;
use crate::records::sql::{count, integer, migrate};
use crate::{IdentityKey, MailAddress};

/// Users in SQLite or PostgreSQL, sealed.
///
/// Invariants:
/// - What stands in clear are tenants, users' ids and versions. A user's document is sealed, bound to tenant and id: it
///   opens in no other row. (An older document that was put back in its own row opens.)
/// - Mail addresses and identities stand there as HMAC-SHA256 under a key of their own, bound to the tenant: whoever
///   reads the tables cannot try addresses out, and tells users of two tenants not to be the same person.
/// - What a row of the index says is held against the document: a row that was changed signs nobody in.
/// - The version is compared and swapped by one statement, in one transaction with the addresses and identities.
#[derive(Clone)]
pub struct SqlUsers {
    store: Store,
    sealer: Arc<dyn Sealer>,
    index: Arc<hmac::Key>,
}

impl fmt::Debug for SqlUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlUsers").finish_non_exhaustive()
    }
}

/// The tables, with the database's name of the order by bytes. `auth_claims` has what one user of a tenant has at most.
macro_rules! tables {
    ($bytewise:literal) => {
        Module {
            name: "auth_users",
            steps: &[&[
                concat!(
                    "CREATE TABLE auth_users (tenant TEXT COLLATE ",
                    $bytewise,
                    " NOT NULL, id TEXT COLLATE ",
                    $bytewise,
                    " NOT NULL, version BIGINT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (tenant, id))"
                ),
                concat!(
                    "CREATE TABLE auth_claims (tenant TEXT COLLATE ",
                    $bytewise,
                    " NOT NULL, name TEXT COLLATE ",
                    $bytewise,
                    " NOT NULL, id TEXT COLLATE ",
                    $bytewise,
                    " NOT NULL, PRIMARY KEY (tenant, name))"
                ),
                "CREATE INDEX auth_claims_of ON auth_claims (tenant, id)",
                "CREATE TABLE auth_index (name TEXT NOT NULL PRIMARY KEY, proof TEXT NOT NULL)",
            ]],
        }
    };
}

static SQLITE: Module = tables!("BINARY");
static POSTGRES: Module = tables!("\"C\"");

const PROVE: &str = "INSERT INTO auth_index (name, proof) VALUES ('key', $1) ON CONFLICT (name) DO NOTHING";
const PROOF: &str = "SELECT proof FROM auth_index WHERE name = 'key'";

const USER: &str = "SELECT id, version, sealed FROM auth_users WHERE tenant = $1 AND id = $2";

const BY_CLAIM: &str = "SELECT u.id, u.version, u.sealed FROM auth_claims c \
     JOIN auth_users u ON u.tenant = c.tenant AND u.id = c.id WHERE c.tenant = $1 AND c.name = $2";

const LIST: &str = "SELECT id, version, sealed FROM auth_users WHERE tenant = $1 ORDER BY id LIMIT $2";
const LIST_AFTER: &str =
    "SELECT id, version, sealed FROM auth_users WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3";

const INSERT: &str = "INSERT INTO auth_users (tenant, id, version, sealed) VALUES ($1, $2, 1, $3) \
     ON CONFLICT (tenant, id) DO NOTHING";

const REPLACE: &str = "UPDATE auth_users SET version = version + 1, sealed = $1 \
     WHERE tenant = $2 AND id = $3 AND version = $4";

const REMOVE: &str = "DELETE FROM auth_users WHERE tenant = $1 AND id = $2 AND version = $3";

const CLAIMS: &str = "SELECT name FROM auth_claims WHERE tenant = $1 AND id = $2";
const CLAIM: &str = "INSERT INTO auth_claims (tenant, name, id) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant, name) DO NOTHING";
const UNCLAIM: &str = "DELETE FROM auth_claims WHERE tenant = $1 AND name = $2 AND id = $3";
const UNCLAIM_ALL: &str = "DELETE FROM auth_claims WHERE tenant = $1 AND id = $2";

impl SqlUsers {
    /// Makes the tables, or brings them to the present version. `index_key` is at least 32 random bytes, in base64 for
    /// instance, that stay the same as long as the users do: mail addresses and identities are found by it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when a newer build has written the tables, when the key is shorter than 32 bytes, and when
    /// it is another one than before.
    pub async fn new(store: Store, sealer: Arc<dyn Sealer>, index_key: &SecretString) -> Result<Self> {
        if index_key.expose().len() < 32 {
            return Err(Error::config("the key of the users' index is shorter than 32 bytes")
                .with_hint("make one with `openssl rand -base64 32`"));
        }
        migrate(&store, &SQLITE, &POSTGRES).await?;
        let index = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, index_key.expose().as_bytes()));
        let users = Self { store, sealer, index };
        users.prove_key().await?;
        Ok(users)
    }

    /// With another key nobody would be found, and one address would have two users.
    async fn prove_key(&self) -> Result<()> {
        let proof = self.blind(&["auth index key"]);
        let params = [proof.as_str().into()];
        self.store.write(move |tx| Box::pin(async move { tx.execute(PROVE, &params).await })).await?;
        let rows = self.store.read(PROOF, &[]).await?;
        if rows.first().map(|row| row.text(0)).transpose()? == Some(proof.as_str()) {
            return Ok(());
        }
        Err(Error::config("the key of the users' index is another one than these users were written with")
            .with_hint("give the key that was given first; it cannot be changed"))
    }

    fn blind(&self, parts: &[&str]) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.index, &framed(parts)))
    }

    fn name(&self, tenant: &str, claim: &Claim) -> String {
        match claim {
            Claim::Email(folded) => self.blind(&["auth email", tenant, folded]),
            Claim::Identity(key) => self.blind(&["auth identity", tenant, &key.issuer, &key.subject]),
        }
    }

    async fn seal(&self, user: &User) -> Result<Change> {
        let sealed = self.sealer.seal(&stored::to_bytes(user)?, &context(&user.tenant, &user.id)).await?;
        let claims = Claim::of(user);
        let claims = claims.iter().map(|claim| (self.name(&user.tenant, claim), claim.code())).collect();
        let (tenant, id) = (user.tenant.as_str().into(), user.id.as_str().into());
        Ok(Change { tenant, id, seen: integer(user.version), sealed: Bytes::from(sealed).into(), claims })
    }

    async fn open(&self, tenant: &str, row: &Row) -> Result<User> {
        let id = UserId::from(row.text(0)?);
        let plain = self.sealer.open(&row.blob(2)?, &context(tenant, &id)).await?;
        stored::from_bytes(tenant, id, count(row, 1)?, &plain)
    }

    async fn by_claim(&self, tenant: &str, claim: Claim) -> Result<Option<User>> {
        let name = self.name(tenant, &claim);
        let rows = self.store.read(BY_CLAIM, &[tenant.into(), name.into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let user = self.open(tenant, row).await?;
        if Claim::of(&user).contains(&claim) {
            return Ok(Some(user));
        }
        Err(Error::new(ErrorKind::Decode, Effect::NotSent, "the users' index names a user who does not fit")
            .with_hint("somebody may have changed the table `auth_claims`"))
    }
}

/// What a transaction writes of one user.
struct Change {
    tenant: Param,
    id: Param,
    seen: Param,
    sealed: Param,
    /// Names in the index, with the code of the conflict. In one order for all, so that two who want the same names wait
    /// for each other and not in a circle.
    claims: BTreeMap<String, &'static str>,
}

impl Change {
    async fn insert(self, tx: &mut Tx) -> Result<()> {
        let params = [self.tenant.clone(), self.id.clone(), self.sealed.clone()];
        if tx.execute(INSERT, &params).await? == 0 {
            return Err(taken("id"));
        }
        self.claim(tx).await
    }

    async fn replace(self, tx: &mut Tx) -> Result<bool> {
        let params = [self.sealed.clone(), self.tenant.clone(), self.id.clone(), self.seen.clone()];
        if tx.execute(REPLACE, &params).await? == 0 {
            return Ok(false);
        }
        self.claim(tx).await?;
        Ok(true)
    }

    /// The user's row was written before: whoever else changes its claims waits for this transaction.
    async fn claim(self, tx: &mut Tx) -> Result<()> {
        let rows = tx.query(CLAIMS, &[self.tenant.clone(), self.id.clone()]).await?;
        let had: BTreeSet<&str> = rows.iter().map(|row| row.text(0)).collect::<Result<_>>()?;
        let names: BTreeSet<&str> =
            had.iter().copied().chain(self.claims.keys().map(String::as_str)).collect();
        for name in names {
            let params = [self.tenant.clone(), name.into(), self.id.clone()];
            match self.claims.get(name) {
                None => drop(tx.execute(UNCLAIM, &params).await?),
                Some(_) if had.contains(name) => {}
                Some(code) if tx.execute(CLAIM, &params).await? == 0 => return Err(taken(code)),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

#[async_trait]
impl UserStore for SqlUsers {
    async fn user(&self, tenant: &str, id: &UserId) -> Result<Option<User>> {
        let rows = self.store.read(USER, &[tenant.into(), id.as_str().into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        self.open(tenant, row).await.map(Some)
    }

    async fn by_email(&self, tenant: &str, address: &MailAddress) -> Result<Option<User>> {
        self.by_claim(tenant, Claim::Email(address.folded())).await
    }

    async fn by_identity(&self, tenant: &str, key: &IdentityKey) -> Result<Option<User>> {
        self.by_claim(tenant, Claim::Identity(key.clone())).await
    }

    async fn insert(&self, user: &User) -> Result<User> {
        let change = self.seal(user).await?;
        self.store.write(move |tx| Box::pin(async move { change.insert(tx).await })).await?;
        Ok(User { version: 1, ..user.clone() })
    }

    async fn replace(&self, user: &User) -> Result<Option<User>> {
        let change = self.seal(user).await?;
        let replaced = self.store.write(move |tx| Box::pin(async move { change.replace(tx).await })).await?;
        Ok(replaced.then(|| User { version: user.version + 1, ..user.clone() }))
    }

    async fn remove(&self, tenant: &str, id: &UserId, seen: u64) -> Result<bool> {
        let (whose, seen) = ([Param::from(tenant), id.as_str().into()], integer(seen));
        let job = self.store.write(move |tx| {
            Box::pin(async move {
                let [tenant, id] = whose.clone();
                let removed = tx.execute(REMOVE, &[tenant, id, seen]).await? > 0;
                if removed {
                    tx.execute(UNCLAIM_ALL, &whose).await?;
                }
                Ok(removed)
            })
        });
        job.await
    }

    async fn list(&self, tenant: &str, after: Option<&UserId>, limit: u32) -> Result<Vec<User>> {
        let rows = match after {
            None => self.store.read(LIST, &[tenant.into(), limit.into()]).await?,
            Some(after) => {
                self.store.read(LIST_AFTER, &[tenant.into(), after.as_str().into(), limit.into()]).await?
            }
        };
        let mut users = Vec::with_capacity(rows.len());
        for row in rows {
            users.push(self.open(tenant, &row).await?);
        }
        Ok(users)
    }
}

fn context(tenant: &str, id: &UserId) -> Vec<u8> {
    framed(&["auth user", tenant, id.as_str()])
}
