//! One suite for every store of users, and one for every store of records.
//!
//! PostgreSQL is tested when `INTEGRATIONS_TEST_POSTGRES` holds its URL; each test has a schema of its own there, which
//! stays.

mod built;
mod open;
mod records;
#[cfg(feature = "sqlite")]
mod sealed;
mod users;

/// Runs each case with two handles of one store, as two processes have them.
macro_rules! suite {
    ($cases:ident: $($case:ident)*) => {
        crate::stores::suite!(@ $cases memory: $($case)*);
        #[cfg(feature = "sqlite")]
        crate::stores::suite!(@ $cases sqlite_in_memory: $($case)*);
        #[cfg(feature = "sqlite")]
        crate::stores::suite!(@ $cases sqlite_file: $($case)*);
        #[cfg(feature = "postgres")]
        crate::stores::suite!(@ $cases postgres: $($case)*);
    };
    (@ $cases:ident $backend:ident: $($case:ident)*) => {
        mod $backend {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    if let Some(two) = crate::stores::open::$cases::$backend().await {
                        super::$case(&two.here, &two.there).await;
                    }
                }
            )*
        }
    };
}
use suite;
