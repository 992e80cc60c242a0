//! How much a call in flight takes: a service with 10,000 of them holds 10,000 of these futures.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Request, Response, Uri};
use integrations_core::pipeline::{Policy, Scope, Stages};
use integrations_core::{Body, Caller, Exchange, Op, Payload, Req, Safety, Transport, TransportError};

static READ: Op = Op::new("demo", "read", Safety::Read);

struct Silent;

#[async_trait]
impl Transport for Silent {
    async fn send(&self, _: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_call_in_flight_is_small() {
    let base: Uri = "https://demo.example".parse().unwrap();
    let pipeline = Stages::new().pipeline(Scope::new("acme", "demo_main"), Policy::default()).unwrap();
    let run = size_of_val(&pipeline.run(&READ, None, |_| async { Ok(()) }));
    let caller = Caller::builder(base.clone(), Arc::new(Silent), pipeline.clone()).build();
    let exchange = size_of_val(&caller.exchange(&READ, None, Req::get(&base).build().unwrap()));
    assert!(run <= 1_024, "{run}");
    assert!(exchange <= 5 * 1_024, "{exchange}");
}
