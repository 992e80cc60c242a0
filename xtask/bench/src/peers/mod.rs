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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use bytes::Bytes;

    use super::by_hand::{ByHand, ByHandDyn};
    use super::reqwest::Client;
    use super::tower;
    use crate::contestant::{BoxError, Contestant};
    use crate::service::{Request, Response, Service};

    /// Fails the first time.
    #[derive(Default)]
    struct FailsFirst(AtomicU32);

    #[async_trait]
    impl Service for FailsFirst {
        async fn call(&self, request: Request) -> io::Result<Response> {
            if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            Ok(Response { key: request.key })
        }
    }

    struct NeverAnswers;

    #[async_trait]
    impl Service for NeverAnswers {
        async fn call(&self, _request: Request) -> io::Result<Response> {
            std::future::pending().await
        }
    }

    async fn call(contestant: impl Contestant) -> Result<u64, BoxError> {
        let request = Request { key: 7, body: Bytes::from_static(b"body") };
        Ok(contestant.call(0, request).await?.key)
    }

    #[tokio::test(start_paused = true)]
    async fn every_retry_stage_retries() {
        let service = || Arc::new(FailsFirst::default());
        assert_eq!(call(tower::four(service())).await.unwrap(), 7);
        assert_eq!(call(tower::four_boxed(service())).await.unwrap(), 7);
        assert_eq!(call(tower::five_behind_buffer(service())).await.unwrap(), 7);
        assert_eq!(call(Client::retrying(service()).unwrap()).await.unwrap(), 7);
        assert_eq!(call(ByHand::new(service(), 1).unwrap()).await.unwrap(), 7);
        assert_eq!(call(ByHandDyn::new(service()).unwrap()).await.unwrap(), 7);
        assert!(call(Client::plain(service()).unwrap()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn every_timeout_stage_times_out() {
        let service = || Arc::new(NeverAnswers);
        assert!(call(tower::four(service())).await.is_err());
        assert!(call(tower::four_boxed(service())).await.is_err());
        assert!(call(tower::five_behind_buffer(service())).await.is_err());
        assert!(call(ByHand::new(service(), 1).unwrap()).await.is_err());
        assert!(call(ByHandDyn::new(service()).unwrap()).await.is_err());
    }
}
