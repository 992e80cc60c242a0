//! Calls in a runtime of their own, whose time stands still while anything is to be done.

use std::future::Future;

use integrations_core::{Error, Result, WireRequest};

pub(super) fn run<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime =
        runtime.map_err(|e| Error::config("the runtime of a golden cannot be made").with_source(e))?;
    runtime.block_on(call)
}

/// The request with its body in memory.
pub(super) async fn whole(request: WireRequest) -> Result<http::Request<Vec<u8>>> {
    let (head, body) = request.into_parts();
    let (mut bytes, mut stream) = (Vec::new(), body.into_stream());
    while let Some(chunk) = stream.chunk().await {
        let failed = |_| Error::invalid_request("the body of the request cannot be read");
        bytes.extend_from_slice(&chunk.map_err(failed)?);
    }
    Ok(http::Request::from_parts(head, bytes))
}
