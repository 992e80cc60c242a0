//! Running what a caller gave.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use tokio::time::timeout;

use super::tx::Tx;
use super::{JOB_DEADLINE, TxFuture, failure};
use crate::error::{Effect, Result};

/// Runs a job within its deadline; a panic is an error.
pub(super) async fn run<T, F>(job: F, tx: &mut Tx) -> Result<T>
where
    F: for<'t> FnOnce(&'t mut Tx) -> TxFuture<'t, T>,
{
    let value = guarded(job, tx).await?;
    // A job that hides a failed statement has failed all the same.
    tx.usable().map(|()| value)
}

async fn guarded<T, F>(job: F, tx: &mut Tx) -> Result<T>
where
    F: for<'t> FnOnce(&'t mut Tx) -> TxFuture<'t, T>,
{
    let Ok(mut running) = catch_unwind(AssertUnwindSafe(|| job(tx))) else {
        return Err(failure::panicked());
    };
    let polled = std::future::poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx)))
            .unwrap_or_else(|_| Poll::Ready(Err(failure::panicked())))
    });
    timeout(JOB_DEADLINE, polled).await.unwrap_or_else(|_| Err(failure::late(Effect::Rejected)))
}
