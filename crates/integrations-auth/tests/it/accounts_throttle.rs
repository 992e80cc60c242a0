//! Guessing is slow, to the millisecond, for any number of guesses at once, and for nobody but who is guessed at.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use integrations_auth::{Draft, MemoryRecords, Record, RecordId, RecordStore, Throttle, UserId};
use integrations_core::{Clock, ErrorKind, Result};
use jiff::Timestamp;
use tokio::time::{Instant, advance};

const MS: Duration = Duration::from_millis(1);

fn clock() -> Clock {
    Clock::virtual_from("2026-11-20T12:00:00Z".parse().unwrap())
}

fn throttle() -> Throttle {
    Throttle::new(Arc::new(MemoryRecords::new()), clock())
}

async fn wait_of(throttle: &Throttle, who: &str) -> Option<Duration> {
    let refused = throttle.admit("t", "login", who).await.err()?;
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::RateLimited, Some("too_many_attempts")));
    Some(refused.retry_after().unwrap())
}

#[tokio::test(start_paused = true)]
async fn after_five_attempts_each_waits_twice_as_long_up_to_a_quarter_of_an_hour_and_not_a_millisecond_less()
{
    let throttle = throttle();
    for _ in 0..5 {
        assert_eq!(wait_of(&throttle, "ada").await, None);
    }
    for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900] {
        let delay = Duration::from_secs(seconds);
        assert_eq!(wait_of(&throttle, "ada").await, Some(delay));
        advance(delay.saturating_sub(MS)).await;
        // Refused attempts move nothing: the wait goes on to its end.
        assert_eq!(wait_of(&throttle, "ada").await, Some(MS));
        assert_eq!(wait_of(&throttle, "ada").await, Some(MS));
        advance(MS).await;
        assert_eq!(wait_of(&throttle, "ada").await, None, "after {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_are_forgotten_a_day_after_the_last_one_and_not_before() {
    let day = Duration::from_secs(24 * 60 * 60);
    for (time, free) in [(day.saturating_sub(MS), 1), (day, 5)] {
        let throttle = throttle();
        for _ in 0..14 {
            while let Some(wait) = wait_of(&throttle, "ada").await {
                advance(wait).await;
            }
        }
        advance(time).await;
        let mut admitted = 0;
        while wait_of(&throttle, "ada").await.is_none() {
            admitted += 1;
        }
        assert_eq!(admitted, free, "after {time:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn success_forgets_one_person_at_one_action_in_one_tenant() {
    let throttle = throttle();
    let all = [("t", "login", "ada"), ("t", "login", "eve"), ("t", "reset", "ada"), ("u", "login", "ada")];
    for (tenant, action, who) in all {
        for _ in 0..5 {
            throttle.admit(tenant, action, who).await.unwrap();
        }
    }
    throttle.succeeded("t", "login", "ada").await.unwrap();
    for (at, (tenant, action, who)) in all.into_iter().enumerate() {
        assert_eq!(throttle.admit(tenant, action, who).await.is_ok(), at == 0, "{tenant} {action} {who}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_hammers_cannot_make_the_owner_wait_longer_than_the_longest_delay() {
    let throttle = throttle();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(48 * 60 * 60) {
        let wait = wait_of(&throttle, "ada").await.unwrap_or(MS);
        assert!(wait <= Duration::from_secs(900), "{wait:?}");
        advance(wait).await;
    }
    while let Some(wait) = wait_of(&throttle, "ada").await {
        advance(wait).await;
    }
    assert_eq!(wait_of(&throttle, "ada").await, Some(Duration::from_secs(900)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_guesses_at_once_five_get_through() {
    let slow = Yielding(MemoryRecords::new());
    let throttle = Throttle::new(Arc::new(slow), clock()).first_delay(Duration::from_secs(600));
    let guesses = (0..100).map(|_| {
        let throttle = throttle.clone();
        tokio::spawn(async move { throttle.admit("t", "login", "ada").await })
    });
    let mut admitted = 0;
    for guess in guesses.collect::<Vec<_>>() {
        match guess.await.unwrap() {
            Ok(()) => admitted += 1,
            Err(e) => assert_eq!(e.kind(), ErrorKind::RateLimited),
        }
    }
    assert_eq!(admitted, 5);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_never_fast_enough_is_refused_and_not_let_through() {
    let throttle = Throttle::new(Arc::new(Losing), clock());
    assert_eq!(wait_of(&throttle, "ada").await, Some(Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn the_store_is_told_no_name() {
    let records = Arc::new(MemoryRecords::new());
    let throttle = Throttle::new(Arc::clone(&records) as Arc<dyn RecordStore>, clock());
    throttle.admit("t", "login", "ada@example.org").await.unwrap();
    assert!(!format!("{records:?}").contains("ada"), "{records:?}");
}

/// Lets others go first between reading and writing.
struct Yielding(MemoryRecords);

/// A store where somebody else is always faster.
struct Losing;

#[async_trait]
impl RecordStore for Yielding {
    async fn get(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        let found = self.0.get(id, now).await;
        tokio::task::yield_now().await;
        found
    }

    async fn put(&self, id: &RecordId, seen: u64, next: &Draft, now: Timestamp) -> Result<Option<u64>> {
        self.0.put(id, seen, next, now).await
    }

    async fn take(&self, id: &RecordId, now: Timestamp) -> Result<Option<Record>> {
        self.0.take(id, now).await
    }

    async fn owned(
        &self,
        tenant: &str,
        kind: &'static str,
        owner: &UserId,
        now: Timestamp,
    ) -> Result<Vec<(String, Record)>> {
        self.0.owned(tenant, kind, owner, now).await
    }

    async fn remove_owned(&self, tenant: &str, kind: &'static str, owner: &UserId) -> Result<u64> {
        self.0.remove_owned(tenant, kind, owner).await
    }

    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.0.sweep(now, limit).await
    }
}

#[async_trait]
impl RecordStore for Losing {
    async fn get(&self, _: &RecordId, _: Timestamp) -> Result<Option<Record>> {
        Ok(None)
    }

    async fn put(&self, _: &RecordId, _: u64, _: &Draft, _: Timestamp) -> Result<Option<u64>> {
        Ok(None)
    }

    async fn take(&self, _: &RecordId, _: Timestamp) -> Result<Option<Record>> {
        Ok(None)
    }

    async fn owned(
        &self,
        _: &str,
        _: &'static str,
        _: &UserId,
        _: Timestamp,
    ) -> Result<Vec<(String, Record)>> {
        Ok(Vec::new())
    }

    async fn remove_owned(&self, _: &str, _: &'static str, _: &UserId) -> Result<u64> {
        Ok(0)
    }

    async fn sweep(&self, _: Timestamp, _: u32) -> Result<u64> {
        Ok(0)
    }
}
