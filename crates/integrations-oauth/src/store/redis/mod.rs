//! The store in Redis.

mod link;
mod scripts;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use integrations_core::{ConnectionId, Effect, Error, ErrorKind, Result, SecretString};
use jiff::Timestamp;

use self::link::Link;
use super::{Draft, Entry, Lease, TokenStore, lease_millis};

/// Connections in Redis 5 or newer, or in what speaks its protocol and runs Lua scripts.
///
/// Invariants:
/// - What compares and writes is one script: nothing comes between the comparison, the write and the end of the lease.
/// - Nothing is sent twice. A command whose answer was lost is an error with [`Effect::Unknown`]; the next one goes over
///   a new connection. One that has been idle is tried before it is trusted with a command.
/// - The time of leases is the server's.
/// - No error holds the URL, its password or a text of the server, which may quote either.
///
/// # What can be lost
///
/// A vendor that rotates refresh tokens has forgotten the old one when the new one arrives here. If Redis then loses the
/// write, the user has to consent again. What it takes:
///
/// | setting | what is lost |
/// |---|---|
/// | `appendonly yes`, `appendfsync always` | nothing that was answered, if the machine's disk comes back |
/// | `appendonly yes`, `appendfsync everysec` (the default) | a crash of the machine: the last second, or two when the disk is slow |
/// | `appendonly no` | a crash of the process or the machine: everything since the last snapshot |
/// | a replica takes over | what had not reached it: replication does not wait |
/// | `maxmemory-policy allkeys-*` | any connection, at any time, when memory is short |
///
/// [`RedisTokens::connect`] reads the settings, where it may, and logs a warning for each that loses something. Who needs
/// more than `always` on one machine takes PostgreSQL.
///
/// # Keys
///
/// `{PREFIX}:connection:TENANT,INSTANCE,CONNECTION` is a hash, `{PREFIX}:names` all names in order, `{PREFIX}:due` those
/// that are due by time. The lists and the connections change together, so that all keys share one hash tag. A server in
/// cluster mode is refused: it would keep everything on one node anyway.
///
/// A user of Redis's access lists needs `~{PREFIX}:*` and `+@hash +@sortedset +@scripting +@connection +time +info`, and
/// `+config|get` for the warnings.
///
/// # TLS
///
/// `rediss://` trusts the platform's certificates, or those in the file that `SSL_CERT_FILE` names. Its crypto is the
/// process's rustls provider; if there is none, aws-lc-rs is installed.
#[derive(Debug, Clone)]
pub struct RedisTokens {
    link: Link,
    prefix: String,
}

const PREFIX: &str = "integrations:oauth";

/// Stands between the parts of a name. It sorts before everything that a part may hold (`-` is the first), so that
/// names are in the order of their parts.
const SEPARATOR: char = ',';

impl RedisTokens {
    /// Connects to `redis://[USER][:PASSWORD@]HOST[:PORT][/DATABASE]`, with `rediss` over TLS.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a URL that cannot be used, [`ErrorKind::Unauthenticated`] for a password that is
    /// refused, [`ErrorKind::Unsupported`] for a cluster; otherwise the server cannot be reached.
    pub async fn connect(url: &SecretString) -> Result<Self> {
        let link = Link::open(url)?;
        link.examine().await?;
        Ok(Self { link, prefix: PREFIX.to_owned() })
    }

    /// Keeps its keys under another prefix than `integrations:oauth`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for one that is not 1 to 128 letters, digits and `._:-`.
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Result<Self> {
        self.prefix = prefix.into();
        let fits = self.prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b));
        if fits && (1..=128).contains(&self.prefix.len()) {
            return Ok(self);
        }
        Err(Error::config("the prefix of the keys cannot be used")
            .with_hint("use 1 to 128 letters, digits and `._:-`"))
    }

    fn key(&self, of: &str) -> String {
        format!("{{{}}}:{of}", self.prefix)
    }

    fn connection_key(&self, name: &str) -> String {
        self.key("connection:") + name
    }

    fn names(&self) -> String {
        self.key("names")
    }

    fn due_times(&self) -> String {
        self.key("due")
    }
}

/// An entry as `HMGET` gives it. What is not kept has nothing sealed.
type Fields = (Option<u64>, Option<String>, Option<i64>, Option<Vec<u8>>, Option<i64>);

const FIELDS: [&str; 5] = ["version", "state", "since", "sealed", "due"];

#[async_trait]
impl TokenStore for RedisTokens {
    async fn load(&self, id: &ConnectionId) -> Result<Option<Entry>> {
        let mut command = redis::cmd("HMGET");
        command.arg(self.connection_key(&name(id))).arg(&FIELDS);
        entry(self.link.read(&command).await?)
    }

    async fn swap(
        &self,
        id: &ConnectionId,
        seen: u64,
        next: &Draft,
        fence: Option<u64>,
    ) -> Result<Option<u64>> {
        let name = name(id);
        let mut call = scripts::SWAP.key(self.connection_key(&name));
        call.key(self.names()).key(self.due_times());
        call.arg(&name).arg(seen).arg(&next.state).arg(next.since.as_millisecond()).arg(&next.sealed[..]);
        call.arg(or_empty(next.due.map(Timestamp::as_millisecond))).arg(or_empty(fence));
        self.link.run(Effect::Unknown, &call).await
    }

    async fn remove(&self, id: &ConnectionId, seen: u64) -> Result<bool> {
        let name = name(id);
        let mut call = scripts::REMOVE.key(self.connection_key(&name));
        call.key(self.names()).key(self.due_times()).arg(&name).arg(seen);
        self.link.run(Effect::Unknown, &call).await
    }

    async fn lease(&self, id: &ConnectionId, ttl: Duration) -> Result<Option<Lease>> {
        let mut call = scripts::LEASE.key(self.connection_key(&name(id)));
        call.arg(lease_millis(ttl));
        let lent: Option<(u64, bool)> = self.link.run(Effect::Unknown, &call).await?;
        Ok(lent.map(|(fence, taken_over)| Lease { fence, taken_over }))
    }

    async fn release(&self, id: &ConnectionId, lease: Lease) -> Result<()> {
        let mut call = scripts::RELEASE.key(self.connection_key(&name(id)));
        self.link.run(Effect::Unknown, call.arg(lease.fence)).await
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<ConnectionId>> {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(self.due_times()).arg("-inf").arg(now.as_millisecond());
        command.arg("LIMIT").arg(0).arg(limit);
        let names: Vec<String> = self.link.read(&command).await?;
        names.iter().map(|name| connection(name)).collect()
    }

    async fn list(
        &self,
        tenant: Option<&str>,
        after: Option<&ConnectionId>,
        limit: u32,
    ) -> Result<Vec<(ConnectionId, Entry)>> {
        let (from, to) = range(tenant, after);
        let mut call = scripts::LIST.key(self.names());
        call.arg(self.connection_key("")).arg(from).arg(to).arg(limit).arg(&FIELDS);
        let found: Vec<(String, Fields)> = self.link.run(Effect::NotSent, &call).await?;
        let listed = found.into_iter().map(|(name, fields)| {
            let entry = entry(fields)?.ok_or_else(|| unreadable("no connection under a name"))?;
            Ok((connection(&name)?, entry))
        });
        listed.collect()
    }
}

/// The bounds of `ZRANGEBYLEX`: `[` includes, `(` excludes, `-` and `+` are the ends.
fn range(tenant: Option<&str>, after: Option<&ConnectionId>) -> (String, String) {
    let after = after.map(name);
    let Some(tenant) = tenant else {
        return (after.map_or_else(|| "-".to_owned(), |after| format!("({after}")), "+".to_owned());
    };
    let first = format!("{tenant}{SEPARATOR}");
    let from = match after {
        Some(after) if after >= first => format!("({after}"),
        _ => format!("[{first}"),
    };
    // The byte after the separator ends the tenant's names.
    (from, format!("({tenant}{}", char::from(SEPARATOR as u8 + 1)))
}

fn name(id: &ConnectionId) -> String {
    [&*id.tenant, &*id.instance, &*id.connection].join(&SEPARATOR.to_string())
}

fn connection(name: &str) -> Result<ConnectionId> {
    let mut parts = name.split(SEPARATOR);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(tenant), Some(instance), Some(connection), None) => {
            ConnectionId::new(tenant, instance, connection)
        }
        _ => Err(unreadable("a name that is none")),
    }
}

fn entry(fields: Fields) -> Result<Option<Entry>> {
    match fields {
        (Some(version), Some(state), Some(since), Some(sealed), due) => {
            let draft = Draft {
                state,
                since: time(since)?,
                sealed: Bytes::from(sealed),
                due: due.map(time).transpose()?,
            };
            Ok(Some(Entry { version, draft }))
        }
        (_, _, _, None, _) => Ok(None),
        _ => Err(unreadable("a connection with a part missing")),
    }
}

fn time(millis: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(|_| unreadable("a time out of range"))
}

fn or_empty(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn unreadable(what: &str) -> Error {
    Error::new(ErrorKind::Decode, Effect::NotSent, format!("Redis holds {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(tenant: &str, instance: &str, connection: &str) -> ConnectionId {
        ConnectionId::new(tenant, instance, connection).unwrap()
    }

    #[test]
    fn names_are_in_the_order_of_their_parts_and_come_back() {
        let mut ids = [
            id("", "mail", "u"),
            id("a", "mail", "u"),
            id("a", "mail-2", "a"),
            id("a", "mail", "u-1"),
            id("a", "mail", "u.1"),
            id("a", "both/0", "u@example.com"),
            id("a", "both", "z"),
            id("a-b", "mail", "u"),
            id("a.b", "mail", "u"),
            id("A", "mail", "u"),
            id("ab", "mail", "u"),
        ];
        ids.sort();
        let names: Vec<_> = ids.iter().map(name).collect();
        assert!(names.is_sorted(), "{names:?}");
        for (id, name) in ids.iter().zip(&names) {
            assert_eq!(connection(name).unwrap(), *id);
        }
        for bad in ["", "a,b", "a,b,c,d", "a,,c", "a b,c,d"] {
            assert!(connection(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tenants_names_lie_between_its_bounds() {
        let text = |(from, to): (String, String)| format!("{from} {to}");
        assert_eq!(text(range(None, None)), "- +");
        assert_eq!(text(range(Some("a"), None)), "[a, (a-");
        assert_eq!(text(range(Some(""), None)), "[, (-");
        assert_eq!(text(range(None, Some(&id("a", "m", "u")))), "(a,m,u +");
        assert_eq!(text(range(Some("a"), Some(&id("a", "m", "u")))), "(a,m,u (a-");
        assert_eq!(text(range(Some("b"), Some(&id("a", "m", "u")))), "[b, (b-");
        assert_eq!(text(range(Some("a"), Some(&id("b", "m", "u")))), "(b,m,u (a-");
    }
}
