use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;

use super::super::{Dialect, Module, Store};
use super::*;

static NUMBERS: Module = Module {
    name: "numbers",
    steps: &[&["CREATE TABLE numbers (n BIGINT NOT NULL PRIMARY KEY, note TEXT, raw BLOB)"]],
};
static NUMBERS_2: Module = Module {
    name: "numbers",
    steps: &[
        NUMBERS.steps[0],
        &["CREATE INDEX numbers_note ON numbers (note)", "INSERT INTO numbers (n) VALUES (-1)"],
    ],
};

/// A directory of its own for each test, removed at its end.
pub(in super::super) struct Dir(PathBuf);

impl Dir {
    pub(in super::super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("integrations-store-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(in super::super) fn file(&self) -> PathBuf {
        self.0.join("store.db")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

async fn insert(store: &Store, n: i64) -> Result<u64> {
    store.write(move |tx| Box::pin(async move { add(tx, n).await })).await
}

async fn add(tx: &mut Tx, n: i64) -> Result<u64> {
    tx.execute("INSERT INTO numbers (n) VALUES ($1)", &[n.into()]).await
}

async fn count(store: &Store) -> i64 {
    store.read("SELECT COUNT(*) FROM numbers", &[]).await.unwrap()[0].integer(0).unwrap()
}

async fn opened(dir: &Dir) -> Store {
    let store = Store::open(dir.file()).await.unwrap();
    store.migrate(&NUMBERS).await.unwrap();
    store
}

#[tokio::test]
async fn values_come_back_as_they_went_in_and_other_types_are_refused() {
    let store = Store::in_memory().await.unwrap();
    store.migrate(&NUMBERS).await.unwrap();
    let sql = "INSERT INTO numbers (n, note, raw) VALUES ($1, $2, $3)";
    store
        .write(move |tx| {
            Box::pin(async move {
                let raw = Bytes::from_static(&[0, 255]);
                tx.execute(sql, &[i64::MIN.into(), "ünï\0".into(), raw.into()]).await?;
                tx.execute(sql, &[1_i64.into(), Param::Null, None::<Bytes>.into()]).await
            })
        })
        .await
        .unwrap();
    let rows = store.read("SELECT n, note, raw FROM numbers ORDER BY n", &[]).await.unwrap();
    assert_eq!(rows[0].integer(0).unwrap(), i64::MIN);
    assert_eq!(rows[0].text(1).unwrap(), "ünï\0");
    assert_eq!(rows[0].blob(2).unwrap(), &[0, 255][..]);
    assert_eq!((rows[1].opt_text(1).unwrap(), rows[1].opt_blob(2).unwrap()), (None, None));
    for wrong in
        [rows[0].text(0).err(), rows[1].text(1).err(), rows[0].integer(3).err(), rows[0].blob(1).err()]
    {
        assert_eq!(wrong.map(|e| e.kind()), Some(ErrorKind::Decode));
    }
}

#[tokio::test]
async fn a_job_that_fails_undoes_its_own_writes_and_nothing_else() {
    let dir = Dir::new();
    let store = opened(&dir).await;
    insert(&store, 7).await.unwrap();
    // All are queued before the writer runs, so that they share a transaction.
    let (good, clash, own, hidden, panic, last) = tokio::join!(
        insert(&store, 1),
        store.write(|tx| {
            Box::pin(async move {
                add(tx, 2).await?;
                add(tx, 7).await
            })
        }),
        store.write(|tx| {
            Box::pin(async move {
                add(tx, 3).await?;
                Err::<(), _>(Error::invalid_request("no"))
            })
        }),
        store.write(|tx| {
            Box::pin(async move {
                add(tx, 4).await?;
                let _hidden = add(tx, 7).await;
                Ok(())
            })
        }),
        store.write(|tx| {
            Box::pin(async move {
                add(tx, 5).await?;
                panic!("on purpose");
                #[allow(unreachable_code, reason = "gives the job its type")]
                Ok(())
            })
        }),
        insert(&store, 6),
    );
    assert_eq!((good.unwrap(), last.unwrap()), (1, 1));
    assert_eq!(clash.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(own.unwrap_err().kind(), ErrorKind::InvalidRequest);
    assert_eq!(hidden.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(panic.unwrap_err().kind(), ErrorKind::Unexpected);
    let rows = store.read("SELECT n FROM numbers ORDER BY n", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.integer(0).unwrap()).collect::<Vec<_>>(), [1, 6, 7]);
}

#[tokio::test]
async fn what_was_answered_is_in_the_file() {
    let dir = Dir::new();
    let store = opened(&dir).await;
    insert(&store, 1).await.unwrap();
    // Another connection sees it while the first is still open, and after a close.
    let other = Store::open(dir.file()).await.unwrap();
    assert_eq!(count(&other).await, 1);
    insert(&other, 2).await.unwrap();
    assert_eq!(count(&store).await, 2);
    store.close().await.unwrap();
    other.close().await.unwrap();
    let again = opened(&dir).await;
    assert_eq!(count(&again).await, 2);
}

#[tokio::test]
async fn closing_commits_what_waits_and_refuses_what_comes_later() {
    let dir = Dir::new();
    let store = opened(&dir).await;
    let (first, second, closed) = tokio::join!(insert(&store, 1), insert(&store, 2), store.close());
    assert_eq!((first.unwrap(), second.unwrap()), (1, 1));
    closed.unwrap();
    assert_eq!(insert(&store, 3).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.read("SELECT 1", &[]).await.unwrap_err().kind(), ErrorKind::Unavailable);
    store.close().await.unwrap();
    assert_eq!(count(&opened(&dir).await).await, 2);
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_writer() {
    let dir = Dir::new();
    let store = opened(&dir).await;
    insert(&store, 1).await.unwrap();
    drop(store);
    assert_eq!(count(&opened(&dir).await).await, 1);
}

#[tokio::test]
async fn a_full_disk_fails_the_job_and_hangs_nobody() {
    let dir = Dir::new();
    let store = opened(&dir).await;
    let limit =
        store.write(|tx| Box::pin(async move { tx.query("PRAGMA max_page_count = 8", &[]).await })).await;
    assert_eq!(limit.unwrap().len(), 1);
    let big = |n: i64| {
        store.write(move |tx| {
            Box::pin(async move {
                let raw = Bytes::from(vec![0; 100_000]);
                tx.execute("INSERT INTO numbers (n, raw) VALUES ($1, $2)", &[n.into(), raw.into()]).await
            })
        })
    };
    let (a, b, small) = tokio::join!(big(1), big(2), insert(&store, 3));
    for full in [a, b] {
        let e = full.unwrap_err();
        assert_eq!((e.kind(), e.hint()), (ErrorKind::Unavailable, Some("the disk is full; free some space")));
    }
    // Whether the small one fits depends on what SQLite undoes; its answer has to be true.
    let kept = i64::from(small.is_ok());
    assert_eq!(count(&store).await, kept);
    assert_eq!(insert(&store, 4).await.is_ok(), count(&store).await == kept + 1);
}

/// The transaction is gone in the middle of a group, as SQLite does with some disk errors: what came before and after
/// the bad job in the group is refused, and nothing of it is in the file.
#[tokio::test]
async fn a_lost_transaction_fails_the_whole_group_and_the_next_one_works() {
    let dir = Dir::new();
    let store = opened(&dir).await;
    let lost = store.write(|tx| {
        Box::pin(async move {
            add(tx, 2).await?;
            tx.execute("ROLLBACK", &[]).await
        })
    });
    let (before, lost, after) = tokio::join!(insert(&store, 1), lost, insert(&store, 3));
    assert!(before.is_err() && lost.is_err() && after.is_err());
    assert_eq!(count(&store).await, 0);
    insert(&store, 4).await.unwrap();
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn a_job_nobody_waits_for_any_more_is_not_run() {
    let dir = Dir::new();
    let store = opened(&dir).await;
    let ran = Arc::new(AtomicUsize::new(0));
    let seen = ran.clone();
    let mut dropped = Box::pin(store.write(move |tx| {
        seen.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { add(tx, 1).await })
    }));
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(dropped.as_mut().poll(cx))).await.is_pending());
    drop(dropped);
    insert(&store, 2).await.unwrap();
    assert_eq!((ran.load(Ordering::Relaxed), count(&store).await), (0, 1));
}

#[tokio::test]
async fn tables_are_made_once_and_brought_forward_and_newer_ones_are_refused() {
    let dir = Dir::new();
    let store = opened(&dir).await;
    store.migrate(&NUMBERS).await.unwrap();
    store.migrate(&NUMBERS_2).await.unwrap();
    store.migrate(&NUMBERS_2).await.unwrap();
    assert_eq!(count(&store).await, 1);
    let e = store.migrate(&NUMBERS).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Config);
    assert!(e.to_string().contains("`numbers` tables have version 2; this build knows up to 1"), "{e}");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    static BROKEN: Module =
        Module { name: "numbers", steps: &[NUMBERS.steps[0], &["CREATE TABLE a (b TEXT)", "NO SQL"]] };
    let dir = Dir::new();
    let store = Store::open(dir.file()).await.unwrap();
    assert!(store.migrate(&BROKEN).await.is_err());
    store.migrate(&NUMBERS).await.unwrap();
    assert_eq!(count(&store).await, 0);
}

#[tokio::test]
async fn a_file_that_cannot_be_a_store_is_refused_with_its_reason() {
    let dir = Dir::new();
    std::fs::write(dir.file(), [b'x'; 4096]).unwrap();
    assert_eq!(Store::open(dir.file()).await.unwrap_err().kind(), ErrorKind::Config);
    let e = Store::open(dir.0.join("missing").join("store.db")).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Config);
    assert!(e.hint().is_some());
}

/// No name means anything but a file: not a query, not another directory, not memory.
#[tokio::test]
async fn names_with_special_characters_are_names() {
    let dir = Dir::new();
    for name in [":memory:", "a b", "a?mode=memory&cache=shared#x", "100%41", "it's \"q\"", "größe", "file:x"]
    {
        let file = dir.0.join(name);
        let store = Store::open(&file).await.unwrap();
        store.migrate(&NUMBERS).await.unwrap();
        insert(&store, 1).await.unwrap();
        assert_eq!(count(&store).await, 1, "{name}");
        store.close().await.unwrap();
        assert!(file.metadata().unwrap().len() > 0, "{name}");
        assert_eq!(count(&Store::open(&file).await.unwrap()).await, 1, "{name}");
    }
}

/// SQLite itself takes this name for a database that is gone with its last handle.
#[tokio::test]
async fn a_file_that_is_called_memory_survives() {
    let name = ":memory:";
    let store = Store::open(name).await.unwrap();
    store.migrate(&NUMBERS).await.unwrap();
    insert(&store, 1).await.unwrap();
    store.close().await.unwrap();
    let survived = std::fs::metadata(name).unwrap().len();
    for suffix in ["", "-wal", "-shm"] {
        let _missing = std::fs::remove_file(format!("{name}{suffix}"));
    }
    assert!(survived > 0);
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = Dir::new();
    std::fs::write(dir.file(), []).unwrap();
    std::fs::set_permissions(dir.file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = opened(&dir).await;
    insert(&store, 1).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(&dir.0).unwrap().map(|file| file.unwrap()).collect();
    assert!(files.len() >= 2, "the database and its log");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

#[test]
fn debug_shows_no_value() {
    let row =
        Row(vec!["hunter2".into(), 31337_i64.into(), Bytes::from_static(b"hunter2").into(), Param::Null]);
    assert_eq!(format!("{row:?}"), "Row([Text(7 bytes), Integer, Blob(7 bytes), Null])");
}

#[test]
fn statements_become_those_of_postgresql() {
    let table = "CREATE TABLE a (id TEXT, body BLOB)";
    assert_eq!(Dialect::Sqlite.render(table), table);
    assert_eq!(Dialect::Postgres.render(table), "CREATE TABLE a (id TEXT, body BYTEA)");
}
