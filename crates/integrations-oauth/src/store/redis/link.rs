//! The connection to the server: made anew when it broke, with a deadline on everything, and never sending twice.
//!
//! The library's own manager does not send twice either. But it does not tell a connection that could not be made, when
//! nothing was sent, from one that broke under a command; and one that merely falls silent, as behind a firewall that
//! forgot it, it keeps.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use integrations_core::{Effect, Error, ErrorKind, Result, SecretString};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo as _, RedisError, RedisResult,
    ScriptInvocation,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long a connection takes to be made, with TLS and the password, or to be waited for.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long an answer takes.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// After how long without a command a connection may have broken unseen.
const IDLE: Duration = Duration::from_secs(1);
/// How long an idle connection takes to show that it works.
const PING_DEADLINE: Duration = Duration::from_secs(1);

/// A server, shared by all clones.
#[derive(Clone)]
pub(super) struct Link(Arc<Shared>);

struct Shared {
    client: Client,
    live: Mutex<Live>,
}

#[derive(Default)]
struct Live {
    connection: Option<MultiplexedConnection>,
    /// Counts the connections, so that nobody drops another one than the one that failed him.
    number: u64,
    used: Option<Instant>,
}

impl fmt::Debug for Link {
    /// The client's own would show the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

impl Link {
    /// A server that is not yet connected to.
    pub(super) fn open(url: &SecretString) -> Result<Self> {
        // The library's error is left out: it may quote the URL.
        let info = url.expose().as_str().into_connection_info().map_err(|_| {
            Error::config("the URL of Redis cannot be used")
                .with_hint("write `redis://[USER][:PASSWORD@]HOST[:PORT][/DATABASE]`, or `rediss://` for TLS")
        })?;
        if url.expose().starts_with("rediss:") {
            // Without a provider rustls panics when it is connected.
            integrations_http::install_crypto_provider();
        }
        // Commands are small and waited for: Nagle's algorithm would hold them back.
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(info).map_err(|e| failed(&e, Effect::NotSent))?;
        Ok(Self(Arc::new(Shared { client, live: Mutex::default() })))
    }

    /// Runs a command that changes nothing.
    pub(super) async fn read<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        self.send(Effect::NotSent, async |mut connection| command.query_async(&mut connection).await).await
    }

    /// Runs a script; `if_lost` is the effect when its answer is lost. One that the server does not know has not run: it
    /// is loaded and called again.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        if_lost: Effect,
        call: &ScriptInvocation<'_>,
    ) -> Result<T> {
        self.send(if_lost, async |mut connection| call.invoke_async(&mut connection).await).await
    }

    async fn send<T>(
        &self,
        if_lost: Effect,
        command: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T> {
        let (connection, number) = timeout(CONNECT_DEADLINE, self.connected())
            .await
            .unwrap_or_else(|_| Err(late(Effect::NotSent)))?;
        let (error, broken) = match timeout(ANSWER_DEADLINE, command(connection)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(e)) => (failed(&e, if_lost), breaks(&e)),
            Err(_) => (late(if_lost), true),
        };
        if broken {
            self.forget(number).await;
        }
        Err(error)
    }

    /// A connection that was used a moment ago, or has just answered.
    async fn connected(&self) -> Result<(MultiplexedConnection, u64)> {
        let mut live = self.0.live.lock().await;
        if let Some(connection) = live.connection.clone() {
            let fresh = live.used.is_some_and(|used| used.elapsed() < IDLE);
            if fresh || answers(connection.clone()).await {
                live.used = Some(Instant::now());
                return Ok((connection, live.number));
            }
            live.connection = None;
        }
        // The deadlines are those of the callers.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connection = self
            .0
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|e| failed(&e, Effect::NotSent))?;
        *live = Live {
            connection: Some(connection.clone()),
            number: live.number + 1,
            used: Some(Instant::now()),
        };
        Ok((connection, live.number))
    }

    async fn forget(&self, number: u64) {
        let mut live = self.0.live.lock().await;
        if live.number == number {
            live.connection = None;
        }
    }

    /// Connects, refuses a server that cannot be used, and warns of one that loses what it is given.
    pub(super) async fn examine(&self) -> Result<()> {
        self.read::<()>(&redis::cmd("PING")).await?;
        // Users and providers differ in what they may read.
        let info: Option<String> = self.read(&redis::cmd("INFO")).await.ok();
        let config: Option<HashMap<String, String>> =
            self.read(redis::cmd("CONFIG").arg("GET").arg("appendfsync")).await.ok();
        let info = info.unwrap_or_default();
        if field(&info, "redis_mode") == Some("cluster") {
            return Err(cluster());
        }
        let sync = config.as_ref().and_then(|config| config.get("appendfsync"));
        for weakness in weaknesses(&info, sync.map(String::as_str)) {
            tracing::warn!("{weakness}");
        }
        Ok(())
    }
}

async fn answers(mut connection: MultiplexedConnection) -> bool {
    let ping = redis::cmd("PING");
    timeout(PING_DEADLINE, ping.query_async::<()>(&mut connection)).await.is_ok_and(|answer| answer.is_ok())
}

/// A line of `INFO`.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

/// What of the server's settings loses sessions.
fn weaknesses(info: &str, appendfsync: Option<&str>) -> Vec<&'static str> {
    let Some(logged) = field(info, "aof_enabled").map(|enabled| enabled != "0") else {
        return vec![
            "Redis does not tell whether it keeps what it is given; allow `INFO`, or see to it yourself",
        ];
    };
    let evicts = field(info, "maxmemory_policy").is_some_and(|policy| policy.starts_with("allkeys"));
    let table = [
        (!logged, "Redis keeps no append-only file: a crash loses sessions; set `appendonly yes`"),
        (
            logged && appendfsync.is_some_and(|sync| sync != "always"),
            "Redis does not sync each write: a crash of its machine loses the sessions of the last second; \
             set `appendfsync always`",
        ),
        (evicts, "Redis may evict sessions when its memory is full; set `maxmemory-policy noeviction`"),
    ];
    table.into_iter().filter_map(|(holds, weakness)| holds.then_some(weakness)).collect()
}

/// Whether the connection is of no use after the error.
fn breaks(error: &RedisError) -> bool {
    // A replica says that it cannot write: the name may lead to the primary when it is looked up anew.
    error.is_io_error() || error.is_unrecoverable_error() || error.code() == Some("READONLY")
}

/// What the server's codes mean. With each of them it has not begun to write.
const CODES: [(&str, ErrorKind, &str); 9] = [
    ("BUSY", ErrorKind::Unavailable, "a script of somebody keeps the server busy"),
    ("LOADING", ErrorKind::Unavailable, "the server is starting"),
    ("MASTERDOWN", ErrorKind::Unavailable, "the replica has no primary"),
    ("MISCONF", ErrorKind::Unavailable, "the server cannot write to its disk"),
    ("NOAUTH", ErrorKind::Unauthenticated, "put a password into the URL"),
    ("NOREPLICAS", ErrorKind::Unavailable, "the server has too few replicas to write"),
    ("OOM", ErrorKind::Unavailable, "the server's memory is full"),
    ("READONLY", ErrorKind::Unavailable, "the URL leads to a replica; give it the primary's address"),
    ("TRYAGAIN", ErrorKind::Unavailable, "the server is being changed"),
];

/// The library's error in our terms, by its code and kind alone: its text may quote what was sent.
fn failed(error: &RedisError, if_lost: Effect) -> Error {
    let code = error.code().unwrap_or_default();
    if let Some((code, kind, hint)) = CODES.iter().find(|(known, ..)| *known == code) {
        return Error::new(*kind, Effect::Rejected, format!("Redis refused: {code}"))
            .with_code(*code)
            .with_hint(*hint);
    }
    if error.is_cluster_error() || code == "CROSSSLOT" {
        return cluster().with_effect(Effect::Rejected);
    }
    match error.kind() {
        redis::ErrorKind::AuthenticationFailed => {
            Error::new(ErrorKind::Unauthenticated, Effect::NotSent, "Redis refused the password")
                .with_hint("check the user and the password in the URL")
        }
        redis::ErrorKind::Server(redis::ServerErrorKind::NoPerm) => {
            Error::new(ErrorKind::PermissionDenied, if_lost, "Redis refused a command: NOPERM")
                .with_code(code)
                .with_hint("allow the user of the URL the commands and keys that the documentation names")
        }
        redis::ErrorKind::Io if error.is_timeout() => late(if_lost),
        redis::ErrorKind::Io => Error::new(ErrorKind::Transport, if_lost, "the connection to Redis failed")
            .with_hint(
                "check that the server runs at the URL and, with `rediss`, that its certificate is trusted",
            ),
        redis::ErrorKind::InvalidClientConfig => Error::config("Redis cannot be connected to as configured")
            .with_hint("check the URL, and the certificates if it begins with `rediss`"),
        _ => Error::new(
            ErrorKind::Unexpected,
            if_lost,
            format!("Redis gave an unexpected answer: {}", error.category()),
        ),
    }
}

fn late(effect: Effect) -> Error {
    Error::new(ErrorKind::Timeout, effect, "Redis did not answer in time")
}

fn cluster() -> Error {
    Error::unsupported(
        "Redis is in cluster mode",
        "give tokens a server of their own, with replicas if you like, or use PostgreSQL",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_lose_sessions_are_told() {
        let info = |aof: u8, policy: &str| {
            format!("# Server\r\nredis_mode:standalone\r\naof_enabled:{aof}\r\nmaxmemory_policy:{policy}\r\n")
        };
        let cases = [
            (info(1, "noeviction"), Some("always"), vec![]),
            (info(1, "noeviction"), None, vec![]),
            (info(1, "volatile-lru"), Some("everysec"), vec!["sync each write"]),
            (info(0, "noeviction"), Some("everysec"), vec!["append-only"]),
            (info(0, "allkeys-lru"), Some("always"), vec!["append-only", "evict"]),
            (String::new(), None, vec!["does not tell"]),
        ];
        for (info, sync, expected) in cases {
            let found = weaknesses(&info, sync);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.contains(expected), "{found}");
            }
        }
    }

    #[test]
    fn a_url_that_cannot_be_used_is_not_quoted() {
        for url in
            ["redis://u:hunter2@", "http://u:hunter2@host/", "hunter2", "redis://u:hunter2@host:99999/"]
        {
            let e = Link::open(&url.into()).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Config);
            assert!(!format!("{e:?} {e}").contains("hunter2"), "{e:?}");
        }
        let link = Link::open(&"redis://u:hunter2@host/1".into()).unwrap();
        assert!(!format!("{link:?}").contains("hunter2"));
    }
}
