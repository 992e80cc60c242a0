//! Streams over pages and over their items.

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{fmt, vec};

use futures_core::Stream;

use super::{Cursor, Page, PageReq};
use crate::error::{Effect, Error, ErrorKind, Result};

type Fetching<'a, T> = Pin<Box<dyn Future<Output = Result<Page<T>>> + Send + 'a>>;
type Fetch<'a, T> = Box<dyn FnMut(PageReq) -> Fetching<'a, T> + Send + 'a>;

/// All pages from `start` on: `fetch` is called once per page, only when the page is asked for (nothing is fetched
/// ahead), so each page is a call of its own with its own deadline and retries.
///
/// The stream ends after a page without `next`, and after the first error. A page whose `next` was seen before
/// is still handed out; then comes an error instead of an endless loop.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use integrations_core::page::{Page, PageReq, Scope, pages};
/// use integrations_core::{Op, Safety};
/// static LIST: Op = Op::new("demo", "list", Safety::Read);
/// let scope = Scope::new(&LIST, &())?;
///
/// let mut all = pages(PageReq::first().limit(2), |request| async move {
///     let from = scope.position::<u32>(request.cursor.as_ref())?.unwrap_or(0);
///     let to = (from + request.limit.unwrap_or(10)).min(5);
///     Ok(Page::new((from..to).collect(), (to < 5).then(|| scope.cursor(to))))
/// });
/// let mut sum = 0;
/// while let Some(page) = all.next().await {
///     let page = page?;
///     sum += page.items.iter().sum::<u32>();
///     // Store `page.next` now: it resumes after this page.
/// }
/// assert_eq!(sum, 10);
/// # Ok::<(), integrations_core::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pages<'a, T, F, Fut>(start: impl Into<PageReq>, mut fetch: F) -> Pages<'a, T>
where
    F: FnMut(PageReq) -> Fut + Send + 'a,
    Fut: Future<Output = Result<Page<T>>> + Send + 'a,
{
    let start = start.into();
    let seen = Seen::from(start.cursor.as_ref());
    Pages { fetch: Box::new(move |request| Box::pin(fetch(request))), at: start, state: State::Idle, seen }
}

/// A stream of pages, made by [`pages`].
#[must_use = "a stream does nothing until it is polled"]
pub struct Pages<'a, T> {
    fetch: Fetch<'a, T>,
    at: PageReq,
    state: State<'a, T>,
    seen: Seen,
}

enum State<'a, T> {
    Idle,
    Fetching(Fetching<'a, T>),
    Looped,
    Done,
}

impl<'a, T> Pages<'a, T> {
    /// The next page; `None` at the end and after an error. Dropping the future loses nothing: the call goes on
    /// when the next page is asked for again.
    pub async fn next(&mut self) -> Option<Result<Page<T>>> {
        poll_fn(|cx| self.poll_page(cx)).await
    }

    /// Where to resume, after an error too: the cursor of the page that was not handed out yet. `None` means
    /// from the first page, or, at the end, that nothing is left.
    pub fn checkpoint(&self) -> Option<&Cursor> {
        self.at.cursor.as_ref()
    }

    /// The items of the pages, one by one.
    pub fn items(self) -> Items<'a, T> {
        Items { checkpoint: self.at.cursor.clone(), after: None, pages: self, buffer: Vec::new().into_iter() }
    }

    /// The first items, at most `max` of them; no page is fetched that they do not need.
    pub async fn collect_up_to(self, max: usize) -> Result<Vec<T>> {
        self.items().collect_up_to(max).await
    }

    fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Page<T>>>> {
        loop {
            match &mut self.state {
                State::Idle => self.state = State::Fetching((self.fetch)(self.at.clone())),
                State::Fetching(call) => {
                    let page = ready!(call.as_mut().poll(cx));
                    self.state = State::Done;
                    return Poll::Ready(Some(page.inspect(|page| self.move_to(page.next.clone()))));
                }
                State::Looped => {
                    self.state = State::Done;
                    return Poll::Ready(Some(Err(looped())));
                }
                State::Done => return Poll::Ready(None),
            }
        }
    }

    fn move_to(&mut self, next: Option<Cursor>) {
        if let Some(next) = &next {
            self.state = if self.seen.insert(next) { State::Idle } else { State::Looped };
        }
        self.at.cursor = next;
    }
}

fn looped() -> Error {
    Error::new(
        ErrorKind::Unexpected,
        Effect::NotSent,
        "the service gave a cursor that it had given before: the list would never end",
    )
    .with_hint("some results may be missing; report it to the service")
}

/// The cursors so far, as hashes.
///
/// The first [`Seen::REMEMBERED`] are kept, and a return to any of them is noticed at once. Beyond them Brent's method
/// keeps a single one, renewed each time the number of steps doubles: it notices every loop, after at most three
/// times its length. So memory is bounded (1 MiB of hashes) and no loop is endless.
/// R. P. Brent, "An improved Monte Carlo factorization algorithm", BIT 20 (1980).
#[derive(Default)]
struct Seen {
    first: HashSet<u128>,
    anchor: Option<u128>,
    steps: u64,
}

impl Seen {
    const REMEMBERED: usize = 65_536;

    /// Whether the cursor is new.
    fn insert(&mut self, cursor: &Cursor) -> bool {
        let hash = cursor.fingerprint();
        if self.anchor == Some(hash) || self.first.contains(&hash) {
            return false;
        }
        if self.first.len() < Self::REMEMBERED {
            return self.first.insert(hash);
        }
        self.steps += 1;
        if self.steps.is_power_of_two() {
            self.anchor = Some(hash);
        }
        true
    }
}

impl From<Option<&Cursor>> for Seen {
    fn from(start: Option<&Cursor>) -> Self {
        let mut seen = Self::default();
        if let Some(start) = start {
            seen.insert(start);
        }
        seen
    }
}

impl<T> Unpin for Pages<'_, T> {}

impl<T> Stream for Pages<'_, T> {
    type Item = Result<Page<T>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_page(cx)
    }
}

impl<T> fmt::Debug for Pages<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("at", &self.at).finish_non_exhaustive()
    }
}

/// A stream of the items of [`Pages`]. It ends at the end of the list and after the first error.
#[must_use = "a stream does nothing until it is polled"]
pub struct Items<'a, T> {
    pages: Pages<'a, T>,
    buffer: vec::IntoIter<T>,
    checkpoint: Option<Cursor>,
    after: Option<Cursor>,
}

impl<T> Items<'_, T> {
    /// The next item; `None` at the end and after an error. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    /// Where to resume so that no item is lost: the page of the item handed out last, or the page after it once
    /// it was the last of its page. Items of a page that was begun come again. `None` means from the first page.
    pub fn checkpoint(&self) -> Option<&Cursor> {
        let worked_off = self.buffer.as_slice().is_empty() && self.after.is_some();
        if worked_off { self.after.as_ref() } else { self.checkpoint.as_ref() }
    }

    /// The next items, at most `max` of them; no page is fetched that they do not need. After an error the
    /// items before it are lost: use [`Items::next`] to keep them.
    pub async fn collect_up_to(mut self, max: usize) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while items.len() < max {
            match self.next().await {
                Some(item) => items.push(item?),
                None => break,
            }
        }
        Ok(items)
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        loop {
            if let Some(item) = self.buffer.next() {
                return Poll::Ready(Some(Ok(item)));
            }
            let begins = self.pages.checkpoint().cloned();
            match ready!(self.pages.poll_page(cx)) {
                Some(Ok(page)) => {
                    self.buffer = page.items.into_iter();
                    (self.checkpoint, self.after) = (begins, page.next);
                }
                Some(Err(e)) => return Poll::Ready(Some(Err(e))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<T> Unpin for Items<'_, T> {}

impl<T> Stream for Items<'_, T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx)
    }
}

impl<T> fmt::Debug for Items<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("pages", &self.pages).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
