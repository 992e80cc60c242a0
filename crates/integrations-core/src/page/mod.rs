//! Pages of results: cursors that outlive a restart and fit only the query they came from, and streams over
//! pages that end, or say why they cannot.

mod cursor;
mod listing;
mod numbered;
mod stream;

pub use cursor::{Cursor, Scope};
pub use listing::Listing;
pub use numbered::{Numbered, NumberedItems};
pub use stream::{Items, Pages, pages};

use crate::error::Result;

/// One page of results.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The results, in the service's order. A page may be empty and still have a next one.
    pub items: Vec<T>,
    /// Where the next page begins: the checkpoint to store once this page is worked off. `None` on the last.
    pub next: Option<Cursor>,
    /// How many results there are on all pages, where the service says so. It may be an estimate.
    pub total: Option<u64>,
}

impl<T> Page<T> {
    /// A page and where the next one begins.
    pub fn new(items: Vec<T>, next: Option<Cursor>) -> Self {
        Self { items, next, total: None }
    }

    /// A list that comes as one page.
    pub fn whole(items: Vec<T>) -> Self {
        let total = u64::try_from(items.len()).ok();
        Self { items, next: None, total }
    }

    /// Sets the number of results on all pages.
    #[must_use]
    pub fn with_total(mut self, total: Option<u64>) -> Self {
        self.total = total;
        self
    }

    /// The page with each item converted; the first failure is the result.
    pub fn try_map<U>(self, convert: impl FnMut(T) -> Result<U>) -> Result<Page<U>> {
        let items = self.items.into_iter().map(convert).collect::<Result<_>>()?;
        Ok(Page { items, next: self.next, total: self.total })
    }

    /// The page with each item converted.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        let items = self.items.into_iter().map(convert).collect();
        Page { items, next: self.next, total: self.total }
    }
}

/// Which page is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageReq {
    /// Where the page begins; `None` for the first.
    pub cursor: Option<Cursor>,
    /// How many items the page should have at most. Services cap it, and may give fewer before the last page.
    pub limit: Option<u32>,
}

impl PageReq {
    /// The first page, of the size that the service prefers.
    pub fn first() -> Self {
        Self::default()
    }

    /// The page that begins at a cursor.
    pub fn at(cursor: Cursor) -> Self {
        Self { cursor: Some(cursor), limit: None }
    }

    /// Sets how many items the page should have at most.
    #[must_use]
    pub fn limit(mut self, items: u32) -> Self {
        self.limit = Some(items);
        self
    }
}

impl From<Option<Cursor>> for PageReq {
    fn from(cursor: Option<Cursor>) -> Self {
        Self { cursor, limit: None }
    }
}

impl From<Cursor> for PageReq {
    fn from(cursor: Cursor) -> Self {
        Self::at(cursor)
    }
}
