//! A service says "come back in two hours", and the caller sleeps for two hours, whatever its own deadline:
//! <https://github.com/Mincka/spotcast/issues/68>.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use integrations_core::pipeline::{Policy, Scope, Stages};
use integrations_core::{
    Body, Caller, ErrorKind, Exchange, Op, Payload, Req, Result, Safety, Transport, TransportError,
};
use tokio::time::{Instant, sleep};

static READ: Op = Op::new("museum", "read", Safety::Read).http("GET", "/");
/// What that thread reports at most, in seconds.
const TOLD: u64 = 12_471;
const DEADLINE: Duration = Duration::from_secs(30);

/// Refuses the first call and tells how long to stay away.
#[derive(Default)]
struct Service(AtomicU32);

impl Service {
    fn answer(&self) -> Option<Duration> {
        (self.0.fetch_add(1, SeqCst) == 0).then(|| Duration::from_secs(TOLD))
    }
}

#[async_trait]
impl Transport for Service {
    async fn send(
        &self,
        _: http::Request<Body>,
        _: Exchange,
    ) -> Result<http::Response<Payload>, TransportError> {
        let response = match self.answer() {
            Some(_) => http::Response::builder().status(429).header("retry-after", TOLD),
            None => http::Response::builder().status(200),
        };
        Ok(response.body(Bytes::new().into()).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn the_reference_sleeps_as_long_as_it_is_told() {
    let (service, begun) = (Service::default(), Instant::now());
    while let Some(delay) = service.answer() {
        sleep(delay).await;
    }
    assert!(begun.elapsed() > DEADLINE, "whoever waits for it has gone long ago");
}

#[tokio::test(start_paused = true)]
async fn ours_ends_within_its_deadline_and_says_when_to_come_back() -> Result<()> {
    let mut policy = Policy::default();
    policy.total_timeout = DEADLINE;
    let pipeline = Stages::new().pipeline(Scope::new("", "museum"), policy)?;
    let base = "https://museum.example".parse().unwrap();
    let caller = Caller::builder(base, Arc::new(Service::default()), pipeline).build();
    let begun = Instant::now();
    let request = Req::get(&"https://museum.example".parse().unwrap()).build()?;
    let error = caller.exchange(&READ, None, request).await.unwrap_err();
    assert!(begun.elapsed() <= DEADLINE);
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(error.retry_after().is_some_and(|delay| delay.as_secs().abs_diff(TOLD) <= 1));
    Ok(())
}
