//! A store of each kind, empty, with two handles.

use std::any::Any;
use std::sync::Arc;

/// Two handles of one store: where it can be shared by processes, with connections of their own.
pub(crate) struct Two<T: ?Sized> {
    pub(crate) here: Arc<T>,
    pub(crate) there: Arc<T>,
    /// What is to live as long as they do.
    _kept: Box<dyn Any + Send>,
}

/// The ways to open one kind of store.
macro_rules! backends {
    ($kind:ident, $trait:ident, $memory:ident) => {
        pub(crate) mod $kind {
            use integrations_auth::{$memory, $trait};

            use super::*;

            #[allow(clippy::unused_async, reason = "the others wait")]
            pub(crate) async fn memory() -> Option<Two<dyn $trait>> {
                let store = Arc::new($memory::new());
                Some(Two { here: store.clone(), there: store, _kept: Box::new(()) })
            }

            #[cfg(feature = "sqlite")]
            pub(crate) async fn sqlite_in_memory() -> Option<Two<dyn $trait>> {
                let store = integrations_core::store::Store::in_memory().await.unwrap();
                let store = Arc::new(sql::$kind(store).await);
                Some(Two { here: store.clone(), there: store, _kept: Box::new(()) })
            }

            #[cfg(feature = "sqlite")]
            pub(crate) async fn sqlite_file() -> Option<Two<dyn $trait>> {
                let directory = sql::Directory::new();
                let here = Arc::new(sql::$kind(directory.open().await).await);
                let there = Arc::new(sql::$kind(directory.open().await).await);
                Some(Two { here, there, _kept: Box::new(directory) })
            }

            #[cfg(feature = "postgres")]
            pub(crate) async fn postgres() -> Option<Two<dyn $trait>> {
                let [here, there] = sql::postgres().await?;
                let (here, there) = (Arc::new(sql::$kind(here).await), Arc::new(sql::$kind(there).await));
                Some(Two { here, there, _kept: Box::new(()) })
            }
        }
    };
}

backends!(users, UserStore, MemoryUsers);
backends!(records, RecordStore, MemoryRecords);

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) mod sql {
    use std::sync::{Arc, LazyLock};

    use integrations_auth::{SqlRecords, SqlUsers};
    use integrations_core::SecretString;
    use integrations_core::seal::{Envelope, LocalKeys};
    use integrations_core::store::Store;

    static KEYS: LazyLock<SecretString> = LazyLock::new(|| LocalKeys::generate().unwrap());

    /// Of one key, but with data keys of its own, as another process has them.
    pub(crate) fn sealer(purpose: &str) -> Arc<Envelope> {
        Arc::new(Envelope::new(Arc::new(LocalKeys::parse(&KEYS).unwrap()), purpose))
    }

    pub(crate) async fn users(store: Store) -> SqlUsers {
        SqlUsers::new(store, sealer("users"), &"0123456789abcdef0123456789abcdef".into()).await.unwrap()
    }

    pub(crate) async fn records(store: Store) -> SqlRecords {
        SqlRecords::new(store, sealer("records")).await.unwrap()
    }

    /// Removed at the end.
    #[cfg(feature = "sqlite")]
    pub(crate) struct Directory(std::path::PathBuf);

    #[cfg(feature = "sqlite")]
    impl Directory {
        pub(crate) fn new() -> Self {
            let path = std::env::temp_dir().join(unique());
            std::fs::create_dir(&path).unwrap();
            Self(path)
        }

        pub(crate) fn path(&self) -> &std::path::Path {
            &self.0
        }

        pub(crate) async fn open(&self) -> Store {
            Store::open(self.0.join("auth.db")).await.unwrap()
        }
    }

    #[cfg(feature = "sqlite")]
    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// Two handles of a new schema.
    #[cfg(feature = "postgres")]
    pub(crate) async fn postgres() -> Option<[Store; 2]> {
        use integrations_core::tls::TlsConfig;

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
        Some([open(url.clone()).await, open(url).await])
    }

    /// A name that no other test of this or another run has.
    fn unique() -> String {
        use std::sync::atomic::{AtomicU32, Ordering};

        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = jiff::Timestamp::now().as_microsecond();
        format!("integrations_auth_{now}_{}_{count}", std::process::id())
    }

    /// The URL in a variable. Without it, says once that its tests do nothing, past the capture of the test harness.
    #[cfg(feature = "postgres")]
    fn server(variable: &'static str) -> Option<String> {
        use std::io::Write as _;
        use std::sync::Once;

        static TOLD: Once = Once::new();
        let url = std::env::var(variable).ok();
        if url.is_none() {
            TOLD.call_once(|| {
                let mut terminal = std::io::stderr();
                writeln!(terminal, "SKIPPED: {variable} is not set; what needs it is not tested").unwrap();
            });
        }
        url
    }
}
