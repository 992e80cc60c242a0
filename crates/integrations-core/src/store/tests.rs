//! What every database does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::*;
use crate::error::{Effect, Error, ErrorKind};

/// A database of its own for each case.
pub(super) enum Bench {
    #[cfg(feature = "sqlite")]
    Memory(Store),
    #[cfg(feature = "sqlite")]
    File(super::sqlite::tests::Dir),
    #[cfg(feature = "postgres")]
    Postgres(super::postgres::tests::Schema),
}

impl Bench {
    /// Another handle; of another process, so to speak, if the database can be shared by some.
    async fn store(&self) -> Store {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Memory(store) => store.clone(),
            #[cfg(feature = "sqlite")]
            Self::File(dir) => Store::open(dir.file()).await.unwrap(),
            #[cfg(feature = "postgres")]
            Self::Postgres(schema) => schema.store().await,
        }
    }

    fn outlives_its_handles(&self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Memory(_) => false,
            #[cfg(feature = "sqlite")]
            Self::File(_) => true,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => true,
        }
    }

    async fn items(&self) -> Store {
        let store = self.store().await;
        store.migrate(&ITEMS).await.unwrap();
        store
    }
}

macro_rules! suite {
    ($($case:ident),+ $(,)?) => {
        #[cfg(feature = "sqlite")]
        mod memory {
            use super::*;
            $(#[tokio::test]
            async fn $case() {
                super::$case(&Bench::Memory(Store::in_memory().await.unwrap())).await;
            })+
        }
        #[cfg(feature = "sqlite")]
        mod file {
            use super::*;
            $(#[tokio::test]
            async fn $case() {
                super::$case(&Bench::File(super::super::sqlite::tests::Dir::new())).await;
            })+
        }
        #[cfg(feature = "postgres")]
        mod postgres {
            use super::*;
            use crate::store::postgres::tests::Schema;
            $(#[tokio::test]
            async fn $case() {
                let Some(schema) = Schema::new().await else { return };
                let bench = Bench::Postgres(schema);
                super::$case(&bench).await;
                #[allow(irrefutable_let_patterns, reason = "the other databases are other features")]
                if let Bench::Postgres(schema) = bench {
                    schema.drop().await;
                }
            })+
        }
    };
}

suite! {
    values_come_back_as_they_went_in,
    every_column_takes_null_and_then_a_value,
    a_row_is_updated_or_kept_on_conflict,
    a_statement_gives_the_rows_that_it_changed,
    numbers_and_truth_values_are_integers,
    another_type_is_refused_with_its_name,
    a_job_that_fails_undoes_its_own_writes_and_nothing_else,
    what_was_answered_is_seen_by_others,
    nothing_can_be_done_after_a_failed_statement,
    a_job_that_gave_up_on_a_statement_fails,
    a_job_that_ended_its_transaction_fails,
    a_job_that_waits_for_too_long_is_undone,
    a_job_that_began_is_committed_when_its_caller_has_gone,
    closing_commits_what_waits_and_refuses_what_comes_later,
    tables_are_made_once_and_brought_forward_and_newer_ones_are_refused,
    a_migration_that_fails_leaves_nothing_behind,
    the_stores_time_is_now_and_one_for_the_statement,
    increments_by_many_are_all_counted,
    debug_shows_no_address,
}

static ITEMS: Module = Module {
    name: "items",
    steps: &[&["CREATE TABLE items (id TEXT NOT NULL PRIMARY KEY, n BIGINT, note TEXT, raw BLOB)"]],
};
static ITEMS_2: Module = Module {
    name: "items",
    steps: &[
        ITEMS.steps[0],
        &["CREATE INDEX items_note ON items (note)", "INSERT INTO items (id, n) VALUES ('made', -1)"],
    ],
};

const INSERT: &str = "INSERT INTO items (id, n, note, raw) VALUES ($1, $2, $3, $4)";

async fn add(tx: &mut Tx, id: &'static str) -> Result<u64> {
    tx.execute("INSERT INTO items (id, n) VALUES ($1, 0)", &[id.into()]).await
}

async fn insert(store: &Store, id: &'static str) -> Result<u64> {
    store.write(move |tx| Box::pin(async move { add(tx, id).await })).await
}

async fn run(store: &Store, sql: &'static str, params: Vec<Param>) -> Result<Vec<Row>> {
    store.write(move |tx| Box::pin(async move { tx.query(sql, &params).await })).await
}

async fn ids(store: &Store) -> Vec<String> {
    let rows = store.read("SELECT id FROM items ORDER BY id", &[]).await.unwrap();
    rows.iter().map(|row| row.text(0).unwrap().to_owned()).collect()
}

/// Lets time pass. It is not left to stand: a database answers in its own.
pub(super) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

async fn values_come_back_as_they_went_in(bench: &Bench) {
    let store = bench.items().await;
    let sent: Vec<Param> =
        vec!["ünï".into(), i64::MIN.into(), "".into(), Bytes::from_static(&[0, 255]).into()];
    let params = sent.clone();
    let done = store.write(move |tx| Box::pin(async move { tx.execute(INSERT, &params).await })).await;
    assert_eq!(done.unwrap(), 1);
    let rows = store.read("SELECT id, n, note, raw FROM items", &[]).await.unwrap();
    assert_eq!(rows, [Row(sent)]);
    let wanted = [Bytes::from_static(&[0, 255]).into(), i64::MIN.into()];
    let found = store.read("SELECT n FROM items WHERE raw = $1 AND n = $2", &wanted).await.unwrap();
    assert_eq!(found.len(), 1);
    let none = store.read("SELECT n FROM items WHERE id = $1", &["absent".into()]).await.unwrap();
    assert!(none.is_empty());
}

async fn every_column_takes_null_and_then_a_value(bench: &Bench) {
    let store = bench.items().await;
    let full = || (7_i64.into(), Param::from("note"), Param::from(Bytes::from_static(b"raw")));
    // Of the same statement, in both orders: a driver that keeps its types would refuse the later ones.
    for (id, (n, note, raw)) in [
        ("1", (Param::Null, Param::Null, Param::Null)),
        ("2", full()),
        ("3", (None::<i64>.into(), None::<&str>.into(), None::<Bytes>.into())),
        ("4", full()),
    ] {
        let (sent, params) = (Row(vec![n.clone(), note.clone(), raw.clone()]), vec![id.into(), n, note, raw]);
        run(&store, INSERT, params).await.unwrap();
        let back = store.read("SELECT n, note, raw FROM items WHERE id = $1", &[id.into()]).await.unwrap();
        assert_eq!(back, [sent], "{id}");
    }
    let set = "UPDATE items SET n = $1, note = $2, raw = $3 WHERE id = $4 RETURNING n, note, raw";
    let rows = run(&store, set, vec![Param::Null, Param::Null, Param::Null, "4".into()]).await.unwrap();
    assert_eq!(rows, [Row(vec![Param::Null; 3])]);
    let cast = "SELECT COUNT(*) FROM items WHERE CAST($1 AS BIGINT) IS NULL OR n = $2";
    let rows = store.read(cast, &[Param::Null, Param::Null]).await.unwrap();
    assert_eq!(rows[0].integer(0).unwrap(), 4);
    let e = run(&store, INSERT, vec![Param::Null; 4]).await.unwrap_err();
    assert_eq!((e.kind(), e.effect()), (ErrorKind::Conflict, Effect::Rejected), "a key is never NULL");
}

async fn a_row_is_updated_or_kept_on_conflict(bench: &Bench) {
    let store = bench.items().await;
    let upsert = "INSERT INTO items (id, n) VALUES ($1, $2) \
                  ON CONFLICT (id) DO UPDATE SET n = items.n + excluded.n WHERE items.n < 10 RETURNING n";
    let mut seen = Vec::new();
    for n in [3_i64, 4, 5, 6] {
        let rows = run(&store, upsert, vec!["a".into(), n.into()]).await.unwrap();
        seen.push(rows.first().map(|row| row.integer(0).unwrap()));
    }
    assert_eq!(seen, [Some(3), Some(7), Some(12), None]);
    let keep = "INSERT INTO items (id, n) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
    let again = store
        .write(move |tx| {
            Box::pin(async move {
                let first = tx.execute(keep, &["a".into(), 0_i64.into()]).await?;
                Ok((first, tx.execute(keep, &["b".into(), 0_i64.into()]).await?))
            })
        })
        .await;
    assert_eq!(again.unwrap(), (0, 1));
}

async fn a_statement_gives_the_rows_that_it_changed(bench: &Bench) {
    let store = bench.items().await;
    for id in ["a", "b", "c"] {
        insert(&store, id).await.unwrap();
    }
    // The lease of one row, as workers take it.
    let lease = "UPDATE items SET n = $1 WHERE id = \
                 (SELECT id FROM items WHERE n = 0 ORDER BY id LIMIT 1 /* skip locked */) RETURNING id";
    let rows = run(&store, lease, vec![1_i64.into()]).await.unwrap();
    assert_eq!(rows[0].text(0).unwrap(), "a");
    let gone =
        run(&store, "DELETE FROM items WHERE n = $1 RETURNING id, n", vec![0_i64.into()]).await.unwrap();
    assert_eq!(gone.len(), 2);
    let counted = store.write(|tx| {
        Box::pin(async move {
            tx.execute("UPDATE items SET n = $1 WHERE n = $2", &[1_i64.into(), 0_i64.into()]).await
        })
    });
    assert_eq!(counted.await.unwrap(), 0);
}

async fn numbers_and_truth_values_are_integers(bench: &Bench) {
    static SMALL: Module = Module {
        name: "small",
        steps: &[&["CREATE TABLE small (a INT, b SMALLINT, c VARCHAR(9), d BIGINT)"]],
    };
    let store = bench.store().await;
    store.migrate(&SMALL).await.unwrap();
    let sql = "INSERT INTO small (a, b, c, d) VALUES ($1, $2, $3, $4)";
    run(&store, sql, vec![Param::Null, Param::Null, Param::Null, Param::Null]).await.unwrap();
    run(&store, sql, vec![(-7_i64).into(), 8_i64.into(), "x".into(), true.into()]).await.unwrap();
    let back = "SELECT a, b, c, d, COUNT(*), d = 1, EXISTS (SELECT 1 FROM small WHERE a = 0) \
                FROM small WHERE a = $1 GROUP BY a, b, c, d";
    let rows = store.read(back, &[(-7_i64).into()]).await.unwrap();
    let expected = vec![
        (-7_i64).into(),
        8_i64.into(),
        "x".into(),
        1_i64.into(),
        1_i64.into(),
        true.into(),
        false.into(),
    ];
    assert_eq!(rows, [Row(expected)]);
}

async fn another_type_is_refused_with_its_name(bench: &Bench) {
    let store = bench.items().await;
    insert(&store, "a").await.unwrap();
    let e = store.read("SELECT id, CAST(1.5 AS REAL) FROM items", &[]).await.unwrap_err();
    assert_eq!((e.kind(), e.effect()), (ErrorKind::Decode, Effect::NotSent));
    assert!(e.to_string().contains("column 1"), "{e}");
    let e = run(&store, "SELECT CAST(1.5 AS REAL)", vec![]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Decode);
    assert_eq!(ids(&store).await, ["a"]);
}

async fn a_job_that_fails_undoes_its_own_writes_and_nothing_else(bench: &Bench) {
    let store = bench.items().await;
    insert(&store, "7").await.unwrap();
    let (good, clash, own, hidden, panic, last) = tokio::join!(
        insert(&store, "1"),
        store.write(|tx| {
            Box::pin(async move {
                add(tx, "2").await?;
                add(tx, "7").await
            })
        }),
        store.write(|tx| {
            Box::pin(async move {
                add(tx, "3").await?;
                Err::<(), _>(Error::invalid_request("no"))
            })
        }),
        store.write(|tx| {
            Box::pin(async move {
                add(tx, "4").await?;
                let _hidden = add(tx, "7").await;
                Ok(())
            })
        }),
        store.write(|tx| {
            Box::pin(async move {
                add(tx, "5").await?;
                panic!("on purpose");
                #[allow(unreachable_code, reason = "gives the job its type")]
                Ok(())
            })
        }),
        insert(&store, "6"),
    );
    assert_eq!((good.unwrap(), last.unwrap()), (1, 1));
    for (e, kind) in [
        (clash.unwrap_err(), ErrorKind::Conflict),
        (hidden.unwrap_err(), ErrorKind::Conflict),
        (panic.unwrap_err(), ErrorKind::Unexpected),
    ] {
        assert_eq!((e.kind(), e.effect(), e.is_retryable()), (kind, Effect::Rejected, false), "{e:?}");
    }
    assert_eq!(own.unwrap_err().kind(), ErrorKind::InvalidRequest);
    assert_eq!(ids(&store).await, ["1", "6", "7"]);
}

async fn what_was_answered_is_seen_by_others(bench: &Bench) {
    let (store, other) = (bench.items().await, bench.store().await);
    insert(&store, "a").await.unwrap();
    assert_eq!(ids(&other).await, ["a"]);
    insert(&other, "b").await.unwrap();
    assert_eq!(ids(&store).await, ["a", "b"]);
}

async fn nothing_can_be_done_after_a_failed_statement(bench: &Bench) {
    let store = bench.items().await;
    insert(&store, "a").await.unwrap();
    let later = store.write(|tx| {
        Box::pin(async move {
            let first = add(tx, "a").await.unwrap_err();
            let second = tx.query("SELECT 1", &[]).await.unwrap_err();
            Ok((first.to_string(), second.to_string(), tx.execute("DELETE FROM items", &[]).await?))
        })
    });
    assert_eq!(later.await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(ids(&store).await, ["a"]);
}

async fn a_job_that_gave_up_on_a_statement_fails(bench: &Bench) {
    let long = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 300000) \
                SELECT COUNT(*) FROM c";
    let store = bench.items().await;
    let gave_up = store.write(move |tx| {
        Box::pin(async move {
            add(tx, "a").await?;
            let mut query = Box::pin(tx.query(long, &[]));
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(query.as_mut().poll(cx))).await;
            drop(query);
            Ok(polled.is_pending())
        })
    });
    let e = gave_up.await.unwrap_err();
    assert_eq!((e.kind(), e.effect()), (ErrorKind::Unexpected, Effect::Rejected));
    assert!(e.to_string().contains("gave up"), "{e}");
    insert(&store, "c").await.unwrap();
    assert_eq!(ids(&store).await, ["c"]);
}

async fn a_job_that_ended_its_transaction_fails(bench: &Bench) {
    let store = bench.items().await;
    let lost = store.write(|tx| {
        Box::pin(async move {
            add(tx, "a").await?;
            tx.execute("ROLLBACK", &[]).await
        })
    });
    assert!(lost.await.is_err());
    insert(&store, "b").await.unwrap();
    assert_eq!(ids(&store).await, ["b"]);
}

async fn a_job_that_waits_for_too_long_is_undone(bench: &Bench) {
    let store = bench.items().await;
    let slow = store.write(|tx| {
        Box::pin(async move {
            add(tx, "a").await?;
            pass(JOB_DEADLINE).await;
            std::future::pending::<Result<()>>().await
        })
    });
    let e = slow.await.unwrap_err();
    assert_eq!((e.kind(), e.effect()), (ErrorKind::Timeout, Effect::Rejected));
    insert(&store, "b").await.unwrap();
    assert_eq!(ids(&store).await, ["b"]);
}

async fn a_job_that_began_is_committed_when_its_caller_has_gone(bench: &Bench) {
    let store = bench.items().await;
    let (begun, has_begun) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let other = store.clone();
    let caller = tokio::spawn(async move {
        let job = other.write(|tx| {
            Box::pin(async move {
                add(tx, "a").await?;
                begun.send(()).unwrap();
                may_go_on.await.unwrap();
                add(tx, "b").await
            })
        });
        job.await
    });
    has_begun.await.unwrap();
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    go_on.send(()).unwrap();
    // Waits for what began before.
    store.close().await.unwrap();
    if bench.outlives_its_handles() {
        assert_eq!(ids(&bench.store().await).await, ["a", "b"]);
    }
}

async fn closing_commits_what_waits_and_refuses_what_comes_later(bench: &Bench) {
    let store = bench.items().await;
    let (first, second, closed) = tokio::join!(insert(&store, "1"), insert(&store, "2"), store.close());
    assert_eq!((first.unwrap(), second.unwrap()), (1, 1));
    closed.unwrap();
    let ran = Arc::new(AtomicBool::new(false));
    let seen = ran.clone();
    let late = store.write(move |tx| {
        seen.store(true, Ordering::Relaxed);
        Box::pin(async move { add(tx, "3").await })
    });
    let e = late.await.unwrap_err();
    assert_eq!((e.kind(), e.effect()), (ErrorKind::Unavailable, Effect::NotSent));
    assert!(!ran.load(Ordering::Relaxed));
    assert_eq!(store.read("SELECT 1", &[]).await.unwrap_err().kind(), ErrorKind::Unavailable);
    store.close().await.unwrap();
}

async fn tables_are_made_once_and_brought_forward_and_newer_ones_are_refused(bench: &Bench) {
    let store = bench.items().await;
    store.migrate(&ITEMS).await.unwrap();
    store.migrate(&ITEMS_2).await.unwrap();
    store.migrate(&ITEMS_2).await.unwrap();
    assert_eq!(ids(&store).await, ["made"]);
    let e = store.migrate(&ITEMS).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Config);
    assert!(e.to_string().contains("`items` tables have version 2; this build knows up to 1"), "{e}");
}

async fn a_migration_that_fails_leaves_nothing_behind(bench: &Bench) {
    static BROKEN: Module =
        Module { name: "items", steps: &[ITEMS.steps[0], &["CREATE TABLE a (b TEXT)", "NO SQL"]] };
    let store = bench.store().await;
    assert_eq!(store.migrate(&BROKEN).await.unwrap_err().effect(), Effect::Rejected);
    store.migrate(&ITEMS).await.unwrap();
    assert!(ids(&store).await.is_empty());
    assert!(store.read("SELECT b FROM a", &[]).await.is_err());
}

async fn the_stores_time_is_now_and_one_for_the_statement(bench: &Bench) {
    let store = bench.items().await;
    let ours = || jiff::Timestamp::now().as_millisecond();
    let before = ours();
    let sql = "INSERT INTO items (id, n, note) VALUES ($1, {now_ms} + $2, CAST({now_ms} AS TEXT)) \
               ON CONFLICT (id) DO UPDATE SET n = {now_ms}, note = CAST({now_ms} AS TEXT) RETURNING n, note";
    let first = run(&store, sql, vec!["a".into(), 60_000_i64.into()]).await.unwrap()[0].integer(0).unwrap();
    let again = run(&store, sql, vec!["a".into(), 0_i64.into()]).await.unwrap();
    let now = again[0].integer(0).unwrap();
    // The database is on this machine: both have the same clock, rounded.
    assert!(
        first - 60_000 >= before - 1 && now >= first - 60_000 && now <= ours() + 1,
        "{before} {first} {now}"
    );
    let live = "SELECT COUNT(*) FROM items WHERE n <= {now_ms} AND n > {now_ms} - $1";
    assert_eq!(store.read(live, &[60_000_i64.into()]).await.unwrap()[0].integer(0).unwrap(), 1);
    assert_eq!(store.read(live, &[0_i64.into()]).await.unwrap()[0].integer(0).unwrap(), 0);
}

/// Each reads and writes in one statement, so that none needs a lock of its own.
async fn increments_by_many_are_all_counted(bench: &Bench) {
    let (store, other) = (bench.items().await, bench.store().await);
    insert(&store, "a").await.unwrap();
    let mut all = tokio::task::JoinSet::new();
    for n in 0..60 {
        let store = if n % 2 == 0 { store.clone() } else { other.clone() };
        all.spawn(async move {
            run(
                &store,
                "UPDATE items SET n = n + $1 WHERE id = $2 RETURNING n",
                vec![1_i64.into(), "a".into()],
            )
            .await
            .unwrap()[0]
                .integer(0)
                .unwrap()
        });
    }
    let mut seen = all.join_all().await;
    seen.sort_unstable();
    assert_eq!(seen, (1..=60).collect::<Vec<i64>>());
}

async fn debug_shows_no_address(bench: &Bench) {
    let store = bench.items().await;
    let text = format!("{store:?}");
    assert!(text.contains("Database") || text.contains("Postgres"), "{text}");
    for secret in ["host", "port", "password", "user"] {
        assert!(!text.contains(secret), "{text}");
    }
}
