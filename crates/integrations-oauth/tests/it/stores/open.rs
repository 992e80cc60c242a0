//! A store of each kind, empty, with two handles.

use std::sync::Arc;

use integrations_oauth::store::{MemoryTokens, TokenStore};

pub(crate) type Handle = Arc<dyn TokenStore>;

/// Two handles of one store: where it can be shared by processes, with connections of their own.
pub(crate) struct Two {
    pub(crate) here: Handle,
    pub(crate) there: Handle,
    #[cfg(feature = "sqlite")]
    _directory: Option<Directory>,
}

impl Two {
    fn of(here: impl TokenStore, there: impl TokenStore) -> Self {
        Self {
            here: Arc::new(here),
            there: Arc::new(there),
            #[cfg(feature = "sqlite")]
            _directory: None,
        }
    }
}

#[allow(clippy::unused_async, reason = "the others wait")]
pub(crate) async fn memory() -> Option<Two> {
    let store = MemoryTokens::new();
    Some(Two::of(store.clone(), store))
}

#[cfg(feature = "sqlite")]
pub(crate) use sqlite::{Directory, file as sqlite_file, in_memory as sqlite_in_memory};

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::path::PathBuf;

    use integrations_core::store::Store;
    use integrations_oauth::store::SqlTokens;

    use super::{Two, unique};

    /// Removed at the end.
    pub(crate) struct Directory(PathBuf);

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    pub(crate) async fn in_memory() -> Option<Two> {
        let store = SqlTokens::new(Store::in_memory().await.unwrap()).await.unwrap();
        Some(Two::of(store.clone(), store))
    }

    pub(crate) async fn file() -> Option<Two> {
        let path = std::env::temp_dir().join(unique());
        std::fs::create_dir(&path).unwrap();
        let file = path.join("tokens.db");
        let here = SqlTokens::new(Store::open(&file).await.unwrap()).await.unwrap();
        let there = SqlTokens::new(Store::open(&file).await.unwrap()).await.unwrap();
        Some(Two { _directory: Some(Directory(path)), ..Two::of(here, there) })
    }
}

#[cfg(feature = "postgres")]
pub(crate) async fn postgres() -> Option<Two> {
    use integrations_core::store::Store;
    use integrations_core::tls::TlsConfig;
    use integrations_oauth::store::SqlTokens;

    let server = server("INTEGRATIONS_TEST_POSTGRES")?;
    let open = async |url: String| Store::postgres(&url.into(), &TlsConfig::new()).await.unwrap();
    let schema = unique();
    // Statements are constants of a program; a test's live as long.
    let create: &'static str = format!("CREATE SCHEMA {schema}").leak();
    let maker = open(server.clone()).await;
    maker.write(move |tx| Box::pin(async move { tx.execute(create, &[]).await })).await.unwrap();
    maker.close().await.unwrap();

    let start = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{start}options[search_path]={schema}");
    let here = SqlTokens::new(open(url.clone()).await).await.unwrap();
    let there = SqlTokens::new(open(url).await).await.unwrap();
    Some(Two::of(here, there))
}

#[cfg(feature = "redis")]
pub(crate) async fn redis() -> Option<Two> {
    use integrations_oauth::store::RedisTokens;

    let url = server("INTEGRATIONS_TEST_REDIS")?.into();
    let prefix = unique();
    let here = RedisTokens::connect(&url).await.unwrap().with_prefix(&prefix).unwrap();
    let there = RedisTokens::connect(&url).await.unwrap().with_prefix(&prefix).unwrap();
    Some(Two::of(here, there))
}

/// A name that no other test of this or another run has.
#[cfg(any(feature = "sqlite", feature = "redis", feature = "postgres"))]
fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};

    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = jiff::Timestamp::now().as_microsecond();
    format!("integrations_oauth_{now}_{}_{count}", std::process::id())
}

/// The URL in a variable. Without it, says once that its tests do nothing, past the capture of the test harness.
#[cfg(any(feature = "redis", feature = "postgres"))]
fn server(variable: &'static str) -> Option<String> {
    use std::collections::BTreeSet;
    use std::io::Write as _;
    use std::sync::Mutex;

    static TOLD: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let url = std::env::var(variable).ok();
    if url.is_none() && TOLD.lock().unwrap().insert(variable) {
        let mut terminal = std::io::stderr();
        writeln!(terminal, "SKIPPED: {variable} is not set; what needs it is not tested").unwrap();
    }
    url
}
