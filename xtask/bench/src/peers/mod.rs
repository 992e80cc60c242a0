//! What people use today, each with the stages it offers and with limits that no call ever meets.

pub(crate) mod by_hand;
pub(crate) mod reqwest;
pub(crate) mod tower;

use std::time::Duration;

/// No call comes near it.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Far above the two calls that are under way at most.
const CONCURRENCY: usize = 1 << 20;
/// Twenty times what a thread can call.
const CALLS_PER_SECOND: u32 = 100_000_000;
/// After the first attempt.
const RETRIES: u32 = 3;
/// Before the first retry.
const BACKOFF: Duration = Duration::from_millis(50);
