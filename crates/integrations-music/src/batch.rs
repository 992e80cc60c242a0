//! Writes of many items, each of which has its own outcome.

use integrations_core::Result;

/// Writes batch by batch, one after the other. A call that failed is the failure of each item of its batch.
pub(crate) async fn by_batch<'i, I, T, F>(
    items: &'i [I],
    most: usize,
    mut write: impl FnMut(&'i [I]) -> F,
) -> Vec<Result<T>>
where
    F: Future<Output = Result<Vec<T>>>,
{
    let mut outcomes = Vec::with_capacity(items.len());
    for batch in items.chunks(most) {
        match write(batch).await {
            Ok(of_batch) => outcomes.extend(of_batch.into_iter().map(Ok)),
            Err(error) => outcomes.extend(batch.iter().map(|_| Err(error.clone()))),
        }
    }
    outcomes
}

/// Writes item by item, one after the other.
pub(crate) async fn one_by_one<'i, I, T, F>(
    items: &'i [I],
    mut write: impl FnMut(&'i I) -> F,
) -> Vec<Result<T>>
where
    F: Future<Output = Result<T>>,
{
    let mut outcomes = Vec::with_capacity(items.len());
    for item in items {
        outcomes.push(write(item).await);
    }
    outcomes
}
