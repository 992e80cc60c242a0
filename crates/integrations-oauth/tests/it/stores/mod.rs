//! One suite for every store of tokens.
//!
//! PostgreSQL and Redis are tested when `INTEGRATIONS_TEST_POSTGRES` and `INTEGRATIONS_TEST_REDIS` hold their URLs; each
//! test has a schema or a prefix of its own there, which stays.

#![allow(clippy::unwrap_used, reason = "a test ends with what it did not expect")]

mod cases;
mod model;
mod open;
#[cfg(feature = "redis")]
mod wire;

/// Runs each case with two handles of one store, as two processes have them.
macro_rules! suite {
    ($($case:ident)*) => {
        suite!(@ memory: $($case)*);
        #[cfg(feature = "sqlite")]
        suite!(@ sqlite_in_memory: $($case)*);
        #[cfg(feature = "sqlite")]
        suite!(@ sqlite_file: $($case)*);
        #[cfg(feature = "postgres")]
        suite!(@ postgres: $($case)*);
        #[cfg(feature = "redis")]
        suite!(@ redis: $($case)*);
    };
    (@ $backend:ident: $($case:ident)*) => {
        mod $backend {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    if let Some(two) = super::open::$backend().await {
                        super::cases::$case(&two.here, &two.there).await;
                    }
                }
            )*

            #[test]
            fn any_sequence_of_calls_gives_what_the_model_gives() {
                super::model::check(super::open::$backend);
            }
        }
    };
}

suite! {
    a_first_write_needs_that_nothing_is_kept
    a_write_over_a_version_needs_that_version
    versions_go_on_after_a_removal
    of_concurrent_writers_one_wins_each_version
    of_concurrent_first_writers_one_wins
    a_connection_is_lent_to_one
    of_concurrent_borrowers_one_gets_it
    a_lease_of_no_length_is_over_at_once
    an_old_lease_releases_nothing
    a_lease_that_ran_out_cannot_be_given_back
    a_write_ends_the_lease_it_names_and_no_other
    a_write_that_lost_leaves_the_lease
    fences_grow_over_writes_and_removals
    what_is_due_comes_in_order_and_within_the_limit
    a_write_and_a_removal_take_back_what_was_due
    pages_hold_everything_once_in_order
    a_tenant_is_listed_alone
    a_list_follows_writes_and_removals
    any_bytes_of_any_size_come_back
    times_are_kept_in_whole_milliseconds
    odd_names_are_different_connections
}

/// Leases of the memory end by tokio's clock, so that tests of what uses them need not wait.
#[tokio::test(start_paused = true)]
async fn a_lease_in_memory_ends_in_virtual_time() {
    use std::time::Duration;

    use integrations_oauth::store::{MemoryTokens, TokenStore as _};

    let store = MemoryTokens::new();
    let id = cases::id("acme", "mail", "u1");
    let first = store.lease(&id, Duration::from_secs(30)).await.unwrap().unwrap();
    tokio::time::advance(Duration::from_millis(29_999)).await;
    assert!(store.lease(&id, Duration::from_secs(30)).await.unwrap().is_none());
    tokio::time::advance(Duration::from_millis(1)).await;
    let second = store.lease(&id, Duration::from_secs(30)).await.unwrap().unwrap();
    assert!(second.taken_over && second.fence > first.fence);
}
