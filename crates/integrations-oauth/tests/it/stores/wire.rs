//! What goes over the wire to Redis, and what does not come back: against a server that is made for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use integrations_core::{ConnectionId, Effect, Error, ErrorKind};
use integrations_oauth::store::{Draft, RedisTokens, TokenStore as _};
use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Answers every command, and does something else with scripts.
#[derive(Default)]
struct Server {
    scripts: AtomicU32,
    connections: AtomicU32,
    is_cluster: bool,
    /// Closes the connection under a script, or answers this; nothing at all if it is empty.
    script_answer: Option<&'static str>,
    script_arrived: Notify,
    /// Closes a connection before it reads the next command.
    hangs_up: AtomicBool,
    login_answer: Option<&'static str>,
}

impl Server {
    async fn start(self) -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://user:hunter2@{}/", listener.local_addr().unwrap());
        let server = Arc::new(self);
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(accepting.clone().serve(BufStream::new(stream)));
            }
        });
        (server, url)
    }

    async fn serve(self: Arc<Self>, mut stream: BufStream<TcpStream>) -> Option<()> {
        loop {
            let command = read(&mut stream).await?;
            if self.hangs_up.swap(false, Ordering::SeqCst) {
                return None;
            }
            let answer = match command[0].to_uppercase().as_str() {
                "AUTH" => self.login_answer.unwrap_or("+OK\r\n").to_owned(),
                "EVALSHA" => {
                    self.scripts.fetch_add(1, Ordering::SeqCst);
                    self.script_arrived.notify_one();
                    self.script_answer?.to_owned()
                }
                "INFO" => {
                    let mode = if self.is_cluster { "cluster" } else { "standalone" };
                    let info = format!("redis_mode:{mode}\r\naof_enabled:1\r\n");
                    format!("${}\r\n{info}\r\n", info.len())
                }
                "CONFIG" => "-NOPERM this user has no permissions\r\n".to_owned(),
                _ => "+OK\r\n".to_owned(),
            };
            stream.write_all(answer.as_bytes()).await.ok()?;
            stream.flush().await.ok()?;
        }
    }
}

/// A command: an array of texts.
async fn read(stream: &mut BufStream<TcpStream>) -> Option<Vec<String>> {
    let mut command = Vec::new();
    for _ in 0..number(stream).await? {
        let mut text = vec![0; number(stream).await? + 2];
        stream.read_exact(&mut text).await.ok()?;
        command.push(String::from_utf8_lossy(&text).trim_end().to_owned());
    }
    Some(command)
}

/// `*3` and `$3` are 3.
async fn number(stream: &mut BufStream<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.trim_end().get(1..)?.parse().ok()
}

fn id() -> ConnectionId {
    ConnectionId::new("acme", "mail", "u1").unwrap()
}

async fn swap(store: &RedisTokens) -> Result<Option<u64>, Error> {
    let sealed = Bytes::from_static(b"hunter2");
    let next = Draft { state: "ready".into(), since: Timestamp::UNIX_EPOCH, sealed, due: None };
    store.swap(&id(), 0, &next, None).await
}

fn shows_nothing(e: &Error) {
    let text = format!("{e} {e:?} {}", e.explain());
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_unknown_and_not_sent_again() {
    let (server, url) = Server::default().start().await;
    let store = RedisTokens::connect(&url.into()).await.unwrap();
    let e = swap(&store).await.unwrap_err();
    assert_eq!((e.kind(), e.effect()), (ErrorKind::Transport, Effect::Unknown));
    shows_nothing(&e);
    assert_eq!(server.scripts.load(Ordering::SeqCst), 1);

    // The next one goes over a new connection.
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    swap(&store).await.unwrap_err();
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    assert_eq!(server.scripts.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_write_that_is_not_answered_is_unknown_after_a_while_and_its_connection_given_up() {
    let (server, url) = Server { script_answer: Some(""), ..Server::default() }.start().await;
    let store = RedisTokens::connect(&url.into()).await.unwrap();
    let writing = {
        let store = store.clone();
        tokio::spawn(async move { swap(&store).await })
    };
    server.script_arrived.notified().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::time::resume();
    let e = writing.await.unwrap().unwrap_err();
    assert_eq!((e.kind(), e.effect()), (ErrorKind::Timeout, Effect::Unknown));
    assert_eq!(server.scripts.load(Ordering::SeqCst), 1);
    assert_eq!(store.due(Timestamp::UNIX_EPOCH, 1).await.unwrap_err().kind(), ErrorKind::Unexpected);
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_connection_that_broke_while_it_was_idle_is_made_anew_before_a_write() {
    let (server, url) = Server { script_answer: Some(":7\r\n"), ..Server::default() }.start().await;
    let store = RedisTokens::connect(&url.into()).await.unwrap();
    assert_eq!(swap(&store).await.unwrap(), Some(7));
    server.hangs_up.store(true, Ordering::SeqCst);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    assert_eq!(swap(&store).await.unwrap(), Some(7));
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    assert_eq!(server.scripts.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refusal_is_told_by_its_code_and_never_quoted() {
    for (answer, kind, effect) in [
        ("-OOM command not allowed: hunter2\r\n", ErrorKind::Unavailable, Effect::Rejected),
        ("-READONLY hunter2\r\n", ErrorKind::Unavailable, Effect::Rejected),
        ("-NOPERM hunter2\r\n", ErrorKind::PermissionDenied, Effect::Unknown),
        ("-MOVED 3999 hunter2:6381\r\n", ErrorKind::Unsupported, Effect::Rejected),
        ("-ERR Error running script: hunter2\r\n", ErrorKind::Unexpected, Effect::Unknown),
        ("-HUNTER hunter2\r\n", ErrorKind::Unexpected, Effect::Unknown),
        ("$7\r\nhunter2\r\n", ErrorKind::Unexpected, Effect::Unknown),
    ] {
        let (server, url) = Server { script_answer: Some(answer), ..Server::default() }.start().await;
        let store = RedisTokens::connect(&url.into()).await.unwrap();
        let e = swap(&store).await.unwrap_err();
        assert_eq!((e.kind(), e.effect()), (kind, effect), "{answer}");
        shows_nothing(&e);
        assert_eq!(server.scripts.load(Ordering::SeqCst), 1, "{answer}");
    }
}

#[tokio::test]
async fn a_refused_password_is_not_shown() {
    for answer in ["-WRONGPASS hunter2\r\n", "-ERR unknown command `AUTH`, with args: `hunter2`\r\n"] {
        let (_, url) = Server { login_answer: Some(answer), ..Server::default() }.start().await;
        let e = RedisTokens::connect(&url.into()).await.unwrap_err();
        assert_eq!((e.kind(), e.effect()), (ErrorKind::Unauthenticated, Effect::NotSent));
        shows_nothing(&e);
    }
}

#[tokio::test]
async fn a_cluster_is_refused() {
    let (_, url) = Server { is_cluster: true, ..Server::default() }.start().await;
    let e = RedisTokens::connect(&url.into()).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert!(e.hint().is_some());
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_that_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for scheme in ["redis", "rediss"] {
        let url = format!("{scheme}://user:hunter2@{address}/").into();
        let e = RedisTokens::connect(&url).await.unwrap_err();
        assert_eq!((e.kind(), e.effect()), (ErrorKind::Transport, Effect::NotSent));
        shows_nothing(&e);
    }
}

#[tokio::test]
async fn a_prefix_cannot_name_other_keys() {
    let (_, url) = Server::default().start().await;
    let store = RedisTokens::connect(&url.into()).await.unwrap();
    assert!(store.clone().with_prefix("app:tokens-2").is_ok());
    for bad in ["", "{a}", "a b", "a*", "ä", &"a".repeat(129)] {
        assert_eq!(store.clone().with_prefix(bad).unwrap_err().kind(), ErrorKind::Config, "{bad}");
    }
}
