//! What PostgreSQL alone does. Needs a server: `INTEGRATIONS_TEST_POSTGRES` is the URL of a superuser's database.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;

use super::*;
use crate::store::tests::pass;
use crate::store::{Module, Store};

const VARIABLE: &str = "INTEGRATIONS_TEST_POSTGRES";

static NUMBERS: Module = Module {
    name: "numbers",
    steps: &[
        &["CREATE TABLE numbers (n BIGINT NOT NULL PRIMARY KEY, m BIGINT NOT NULL)"],
        &["INSERT INTO numbers (n, m) VALUES (1, 0), (2, 0)"],
    ],
};

/// A schema of its own for each test.
pub(in super::super) struct Schema {
    server: String,
    name: String,
}

impl Schema {
    /// `None`, with a line that says so, where there is no server.
    pub(in super::super) async fn new() -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let Ok(server) = std::env::var(VARIABLE) else {
            println!("skipped: {VARIABLE} does not hold the URL of a PostgreSQL database");
            return None;
        };
        let (process, n) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let name = format!("store_{process}_{n}_{:x}", fastrand::u32(..));
        let schema = Self { server, name };
        schema.on_the_server(format!("CREATE SCHEMA {}", schema.name)).await;
        Some(schema)
    }

    pub(in super::super) async fn drop(self) {
        self.on_the_server(format!("DROP SCHEMA {} CASCADE", self.name)).await;
    }

    async fn on_the_server(&self, sql: String) {
        let store = opened(&self.server).await;
        execute(&store, sql.leak()).await.unwrap();
        store.close().await.unwrap();
    }

    pub(in super::super) async fn store(&self) -> Store {
        self.store_with("").await
    }

    async fn store_with(&self, parameters: &str) -> Store {
        opened(&self.url(parameters)).await
    }

    fn url(&self, parameters: &str) -> String {
        let start = if self.server.contains('?') { '&' } else { '?' };
        format!("{}{start}options[search_path]={}{parameters}", self.server, self.name)
    }

    async fn numbers(&self, parameters: &str) -> Store {
        let store = self.store_with(parameters).await;
        store.migrate(&NUMBERS).await.unwrap();
        store
    }
}

async fn opened(url: &str) -> Store {
    Store::postgres(&url.into(), &TlsConfig::new()).await.unwrap()
}

async fn execute(store: &Store, sql: &'static str) -> Result<u64> {
    store.write(move |tx| Box::pin(async move { tx.execute(sql, &[]).await })).await
}

async fn number(store: &Store, sql: &'static str) -> i64 {
    store.read(sql, &[]).await.unwrap()[0].integer(0).unwrap()
}

fn idle(store: &Store) -> usize {
    match &store.0 {
        crate::store::Database::Postgres(database) => database.idle().len(),
        #[cfg(feature = "sqlite")]
        crate::store::Database::Sqlite(_) => 0,
    }
}

async fn set(tx: &mut Tx, n: i64) -> Result<u64> {
    tx.execute("UPDATE numbers SET m = m + 1 WHERE n = $1", &[n.into()]).await
}

/// A job that has run its statement, waits, and then ends.
struct Held {
    job: tokio::task::JoinHandle<Result<u64>>,
    go_on: oneshot::Sender<()>,
}

async fn held(store: &Store) -> Held {
    let (begun, has_begun) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel();
    let store = store.clone();
    let job = tokio::spawn(async move {
        store
            .write(|tx| {
                Box::pin(async move {
                    let changed = set(tx, 1).await?;
                    begun.send(()).unwrap();
                    // An error means that nobody waits any more.
                    let _told = may_go_on.await;
                    Ok(changed)
                })
            })
            .await
    });
    has_begun.await.unwrap();
    Held { job, go_on }
}

#[tokio::test]
async fn eight_migrate_at_once() {
    let Some(schema) = Schema::new().await else { return };
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = schema.store().await;
        all.spawn(async move { store.migrate(&NUMBERS).await });
    }
    for migrated in all.join_all().await {
        migrated.unwrap();
    }
    let store = schema.store().await;
    assert_eq!(number(&store, "SELECT COUNT(*) FROM numbers").await, 2);
    assert_eq!(number(&store, "SELECT version FROM store_modules").await, 2);
    schema.drop().await;
}

#[tokio::test]
async fn a_server_that_ends_the_connection_fails_the_job_and_the_next_one_works() {
    let Some(schema) = Schema::new().await else { return };
    let (store, other) = (schema.numbers("").await, schema.store().await);
    let ended = store.write(move |tx| {
        Box::pin(async move {
            set(tx, 1).await?;
            let me = tx.query("SELECT pg_backend_pid()", &[]).await?[0].integer(0)?;
            let end = "SELECT pg_terminate_backend(CAST($1 AS INT))";
            assert_eq!(other.read(end, &[me.into()]).await?[0].integer(0)?, 1);
            set(tx, 1).await
        })
    });
    let e = ended.await.unwrap_err();
    assert_eq!((e.kind(), e.effect(), e.is_retryable()), (ErrorKind::Unavailable, Effect::Rejected, true));
    assert_eq!(idle(&store), 0);
    assert_eq!(number(&store, "SELECT m FROM numbers WHERE n = 1").await, 0);
    execute(&store, "UPDATE numbers SET m = 5").await.unwrap();
    assert_eq!(number(&store, "SELECT m FROM numbers WHERE n = 1").await, 5);
    schema.drop().await;
}

#[tokio::test]
async fn a_read_gives_back_a_connection_that_answers_and_no_other() {
    let Some(schema) = Schema::new().await else { return };
    let store = schema.store().await;
    let refused = store.read("SELECT $1", &["a\0b".into()]).await.unwrap_err();
    assert_eq!((refused.code(), idle(&store)), (Some("22021"), 1));
    let e = store.read("SELECT pg_terminate_backend(pg_backend_pid())", &[]).await.unwrap_err();
    assert_eq!((e.kind(), e.effect(), e.is_retryable()), (ErrorKind::Unavailable, Effect::NotSent, true));
    assert_eq!(idle(&store), 0);
    schema.drop().await;
}

/// A restart of the server is noticed before the job begins.
#[tokio::test]
async fn connections_that_ended_while_idle_are_replaced() {
    let Some(schema) = Schema::new().await else { return };
    let (store, other) = (schema.numbers("&application_name=to_be_ended").await, schema.store().await);
    let (a, b) = (held(&store).await, store.read("SELECT 1", &[]).await);
    b.unwrap();
    a.go_on.send(()).unwrap();
    a.job.await.unwrap().unwrap();
    assert_eq!(idle(&store), 2);
    let end = "SELECT COUNT(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
               WHERE application_name = 'to_be_ended'";
    assert!(number(&other, end).await >= 2);
    execute(&store, "UPDATE numbers SET m = 5").await.unwrap();
    assert_eq!(number(&store, "SELECT m FROM numbers WHERE n = 1").await, 5);
    schema.drop().await;
}

#[tokio::test]
async fn a_wait_for_a_lock_ends_in_the_server() {
    let Some(schema) = Schema::new().await else { return };
    let store = schema.numbers("&options[lock_timeout]=50").await;
    let holder = held(&store).await;
    let e = execute(&store, "UPDATE numbers SET m = 9 WHERE n = 1").await.unwrap_err();
    assert_eq!((e.kind(), e.code(), e.effect()), (ErrorKind::Unavailable, Some("55P03"), Effect::Rejected));
    assert!(e.is_retryable());
    assert_eq!(idle(&store), 1, "the connection is as good as before");
    holder.go_on.send(()).unwrap();
    holder.job.await.unwrap().unwrap();
    execute(&store, "UPDATE numbers SET m = 9 WHERE n = 1").await.unwrap();
    schema.drop().await;
}

async fn two_idle(store: &Store) {
    let (a, b) = tokio::join!(
        store.read("SELECT m, pg_sleep(0.1)::text FROM numbers", &[]),
        store.read("SELECT m, pg_sleep(0.1)::text FROM numbers", &[])
    );
    assert_eq!((a.is_ok(), b.is_ok(), idle(store)), (true, true, 2));
}

/// After a failover the connections lead to a standby, and the name of the server to the new primary.
#[tokio::test]
async fn a_connection_to_a_server_that_takes_no_writes_is_not_used_again() {
    let Some(schema) = Schema::new().await else { return };
    schema.numbers("").await;
    let standby = schema.store_with("&options[default_transaction_read_only]=on").await;
    two_idle(&standby).await;
    let e = execute(&standby, "UPDATE numbers SET m = 9").await.unwrap_err();
    assert_eq!((e.kind(), e.effect(), e.code()), (ErrorKind::Unavailable, Effect::Rejected, Some("25006")));
    assert_eq!(idle(&standby), 0);
    schema.drop().await;
}

#[tokio::test]
async fn a_statement_ends_in_the_server() {
    let Some(schema) = Schema::new().await else { return };
    let store = schema.numbers("&options[statement_timeout]=50").await;
    let e = execute(&store, "SELECT pg_sleep(60)").await.unwrap_err();
    assert_eq!((e.kind(), e.code(), e.effect()), (ErrorKind::Timeout, Some("57014"), Effect::Rejected));
    let e = store.read("SELECT pg_sleep(60)", &[]).await.unwrap_err();
    assert_eq!((e.kind(), e.effect()), (ErrorKind::Timeout, Effect::NotSent));
    schema.drop().await;
}

#[tokio::test]
async fn the_sessions_settings_are_set() {
    let Some(schema) = Schema::new().await else { return };
    let store = schema.store().await;
    for (setting, value) in [
        ("SELECT current_setting('statement_timeout')", "4s"),
        ("SELECT current_setting('lock_timeout')", "3s"),
        ("SELECT current_setting('idle_in_transaction_session_timeout')", "10s"),
    ] {
        assert_eq!(store.read(setting, &[]).await.unwrap()[0].text(0).unwrap(), value, "{setting}");
    }
    let level = store.write(|tx| {
        Box::pin(async move { tx.query("SELECT current_setting('transaction_isolation')", &[]).await })
    });
    assert_eq!(level.await.unwrap()[0].text(0).unwrap(), "read committed");
    schema.drop().await;
}

/// One of two jobs that wait for each other is refused, and goes through when it is tried again.
#[tokio::test]
async fn a_deadlock_is_rejected_and_retryable() {
    let Some(schema) = Schema::new().await else { return };
    let store = schema.numbers("&options[deadlock_timeout]=10").await;
    let meeting = Arc::new(tokio::sync::Barrier::new(2));
    let crossing = |first: i64, second: i64| {
        let meeting = Arc::clone(&meeting);
        store.write(move |tx| {
            Box::pin(async move {
                set(tx, first).await?;
                meeting.wait().await;
                set(tx, second).await
            })
        })
    };
    let (a, b) = tokio::join!(crossing(1, 2), crossing(2, 1));
    assert_ne!(a.is_ok(), b.is_ok(), "one of them goes through");
    let e = a.and(b).unwrap_err();
    assert_eq!((e.kind(), e.code(), e.effect()), (ErrorKind::Unavailable, Some("40P01"), Effect::Rejected));
    assert!(e.is_retryable());
    assert_eq!(number(&store, "SELECT CAST(SUM(m) AS BIGINT) FROM numbers").await, 2);
    schema.drop().await;
}

#[tokio::test]
async fn a_serialization_failure_is_rejected_and_retryable() {
    let Some(schema) = Schema::new().await else { return };
    let (store, other) = (schema.numbers("").await, schema.store().await);
    let stale = store.write(move |tx| {
        Box::pin(async move {
            tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", &[]).await?;
            tx.query("SELECT m FROM numbers", &[]).await?;
            execute(&other, "UPDATE numbers SET m = 7 WHERE n = 1").await?;
            set(tx, 1).await
        })
    });
    let e = stale.await.unwrap_err();
    assert_eq!((e.kind(), e.code(), e.effect()), (ErrorKind::Unavailable, Some("40001"), Effect::Rejected));
    assert!(e.is_retryable());
    assert_eq!(number(&store, "SELECT m FROM numbers WHERE n = 1").await, 7);
    schema.drop().await;
}

/// Wherever the caller is dropped, the next one finds a connection without an open transaction, and the server has no
/// lock left.
#[tokio::test]
async fn a_dropped_write_leaves_nothing_open() {
    let Some(schema) = Schema::new().await else { return };
    let store =
        schema.numbers("&application_name=dropped&options[default_transaction_isolation]=serializable").await;
    let mut unfinished = 0;
    for polls in 1..30 {
        let mut write = Box::pin(store.write(|tx| Box::pin(async move { set(tx, 1).await })));
        let mut ended = false;
        for _ in 0..polls {
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(write.as_mut().poll(cx))).await;
            if polled.is_ready() {
                ended = true;
                break;
            }
            // So that what is polled next may have got its answer.
            store.read("SELECT 1", &[]).await.unwrap();
        }
        unfinished += i64::from(!ended);
        drop(write);
        // Ours are at another level than what runs outside of them.
        let level = store.read("SELECT current_setting('transaction_isolation')", &[]).await.unwrap();
        assert_eq!(level[0].text(0).unwrap(), "serializable", "after {polls} polls");
    }
    assert!(unfinished > 0, "none was dropped before its end");
    // Waits for what began before.
    store.close().await.unwrap();
    let other = schema.store().await;
    execute(&other, "LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let open = "SELECT COUNT(*) FROM pg_stat_activity \
                WHERE application_name = 'dropped' AND state LIKE 'idle in transaction%'";
    assert_eq!(number(&other, open).await, 0);
    schema.drop().await;
}

#[tokio::test]
async fn a_job_past_its_deadline_in_a_statement_loses_its_connection() {
    let Some(schema) = Schema::new().await else { return };
    let store = schema.numbers("").await;
    let options = address::options(&schema.url(""), &TlsConfig::new()).unwrap();
    let mut holder = options.connect().await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE numbers SET m = 7 WHERE n = 1").execute(&mut holder).await.unwrap();
    let stuck = store.write(|tx| {
        Box::pin(async move {
            set(tx, 2).await?;
            let mut waits = Box::pin(set(tx, 1));
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(waits.as_mut().poll(cx))).await;
            assert!(polled.is_pending());
            pass(JOB_DEADLINE).await;
            waits.await
        })
    });
    let e = stuck.await.unwrap_err();
    assert_eq!((e.kind(), e.effect(), e.code()), (ErrorKind::Timeout, Effect::Rejected, None));
    assert_eq!(idle(&store), 0);
    sqlx::raw_sql("COMMIT").execute(&mut holder).await.unwrap();
    execute(&store, "UPDATE numbers SET m = m + 1").await.unwrap();
    let found = store.read("SELECT m FROM numbers ORDER BY n", &[]).await.unwrap();
    assert_eq!(found, [Row(vec![8_i64.into()]), Row(vec![1_i64.into()])]);
    schema.drop().await;
}

#[tokio::test]
async fn what_waits_for_a_connection_gets_its_turn() {
    let Some(schema) = Schema::new().await else { return };
    let store = schema.numbers("").await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..4 * CONNECTIONS {
        let store = store.clone();
        all.spawn(async move { number(&store, "SELECT COUNT(*) FROM numbers").await });
    }
    assert_eq!(all.join_all().await, vec![2; 4 * CONNECTIONS as usize]);
    assert!(idle(&store) <= CONNECTIONS as usize);
    schema.drop().await;
}

/// A deferred condition is looked at by `COMMIT`.
#[tokio::test]
async fn a_refused_commit_is_an_unknown_effect() {
    static LATE: Module = Module {
        name: "late",
        steps: &[&["CREATE TABLE late (n BIGINT UNIQUE DEFERRABLE INITIALLY DEFERRED)"]],
    };
    let Some(schema) = Schema::new().await else { return };
    let store = schema.store().await;
    store.migrate(&LATE).await.unwrap();
    let e = execute(&store, "INSERT INTO late (n) VALUES (1), (1)").await.unwrap_err();
    assert_eq!((e.kind(), e.effect()), (ErrorKind::Conflict, Effect::Unknown));
    assert_eq!(number(&store, "SELECT COUNT(*) FROM late").await, 0);
    schema.drop().await;
}

/// Another process changes a table under a prepared statement.
#[tokio::test]
async fn a_plan_that_fits_no_more_fails_once() {
    let Some(schema) = Schema::new().await else { return };
    let (store, other) = (schema.numbers("").await, schema.store().await);
    let all = "SELECT * FROM numbers WHERE n = $1";
    two_idle(&store).await;
    assert_eq!(store.read(all, &[1_i64.into()]).await.unwrap()[0].0.len(), 2);
    execute(&other, "ALTER TABLE numbers ADD COLUMN more TEXT").await.unwrap();
    assert_eq!(store.read(all, &[1_i64.into()]).await.unwrap_err().code(), Some("0A000"));
    assert_eq!(idle(&store), 0, "the others have such plans too");
    assert_eq!(store.read(all, &[1_i64.into()]).await.unwrap()[0].0.len(), 3);
    schema.drop().await;
}

#[tokio::test]
async fn the_stores_time_can_be_looked_up_in_an_index() {
    let Some(schema) = Schema::new().await else { return };
    let store = schema.numbers("&options[enable_seqscan]=off").await;
    let plan = store.read("EXPLAIN SELECT n FROM numbers WHERE n <= {now_ms}", &[]).await.unwrap();
    let plan: Vec<&str> = plan.iter().map(|row| row.text(0).unwrap()).collect();
    assert!(plan.iter().any(|line| line.contains("Index Cond")), "{plan:?}");
    schema.drop().await;
}

#[tokio::test]
async fn what_the_server_refuses_is_named_without_the_password() {
    let Some(schema) = Schema::new().await else { return };
    let good = url::Url::parse(&schema.url("")).unwrap();
    let changed = |change: &dyn Fn(&mut url::Url)| {
        let mut url = good.clone();
        change(&mut url);
        url.to_string()
    };
    for (url, kind) in [
        (changed(&|url| url.set_password(Some("hunter2")).unwrap()), ErrorKind::Config),
        (changed(&|url| url.set_path("/absent")), ErrorKind::Config),
        (changed(&|url| url.set_port(Some(1)).unwrap()), ErrorKind::Unavailable),
        (format!("{good}&sslmode=verify-full"), ErrorKind::Config),
    ] {
        let e = Store::postgres(&url.into(), &TlsConfig::new()).await.unwrap_err();
        let shown = format!("{e} {e:?}");
        assert_eq!(e.kind(), kind, "{shown}");
        assert!(e.hint().is_some() && !shown.contains("hunter2"), "{shown}");
    }
    let store = schema.numbers("").await;
    let text = store.read("SELECT CAST(CAST($1 AS TEXT) AS BIGINT)", &["hunter2".into()]).await.unwrap_err();
    assert!(!format!("{text} {text:?}").contains("hunter2"), "{text:?}");
    let nul = store.read("SELECT $1", &["a\0b".into()]).await.unwrap_err();
    assert_eq!(nul.kind(), ErrorKind::InvalidRequest);
    schema.drop().await;
}
