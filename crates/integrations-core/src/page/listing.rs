//! A list that is asked for page by page, or all at once.

use std::fmt;
use std::pin::Pin;

use super::{Cursor, Items, Page, PageReq, Pages, pages};
use crate::error::Result;

type Fetching<'a, T> = Pin<Box<dyn Future<Output = Result<Page<T>>> + Send + 'a>>;

/// A list of which nothing was fetched yet. Say how much, and then how: one page, page by page, or item by item.
#[must_use = "nothing is fetched before a page or an item is asked for"]
pub struct Listing<'a, T> {
    fetch: Box<dyn FnMut(PageReq) -> Fetching<'a, T> + Send + 'a>,
    start: PageReq,
}

impl<'a, T: 'a> Listing<'a, T> {
    /// A list whose pages `fetch` gives.
    pub fn new<F, Fut>(mut fetch: F) -> Self
    where
        F: FnMut(PageReq) -> Fut + Send + 'a,
        Fut: Future<Output = Result<Page<T>>> + Send + 'a,
    {
        Self { fetch: Box::new(move |request| Box::pin(fetch(request))), start: PageReq::first() }
    }

    /// Sets how many items a page has at most. What is more than the service allows counts as what it allows.
    pub fn limit(mut self, items: u32) -> Self {
        self.start.limit = Some(items);
        self
    }

    /// Begins at a stored place, `None` for the beginning.
    pub fn from(mut self, cursor: impl Into<Option<Cursor>>) -> Self {
        self.start.cursor = cursor.into();
        self
    }

    /// One page.
    pub async fn page(mut self) -> Result<Page<T>> {
        (self.fetch)(self.start).await
    }

    /// Page by page; see [`pages`](super::pages()).
    pub fn pages(self) -> Pages<'a, T> {
        pages(self.start, self.fetch)
    }

    /// Item by item.
    pub fn items(self) -> Items<'a, T> {
        self.pages().items()
    }

    /// The first items, at most `max` of them; no page is fetched that they do not need.
    pub async fn collect_up_to(self, max: usize) -> Result<Vec<T>> {
        self.pages().collect_up_to(max).await
    }
}

impl<T> fmt::Debug for Listing<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").field("start", &self.start).finish_non_exhaustive()
    }
}
