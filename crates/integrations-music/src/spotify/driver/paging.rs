//! Parts of lists that are counted by offset.

use std::str::FromStr;

use integrations_core::page::{Page, PageReq, Scope};
use integrations_core::{Effect, Error, ErrorKind, Result};

use super::super::ops::{Args, GetContents, Items, List, ListOf, Listed, Part, Search};
use super::super::{Spotify, wire};

/// A search shows so many results, however many there are: its pages begin at this offset at the latest.
/// <https://developer.spotify.com/documentation/web-api/reference/search>
pub(super) const WINDOW: u64 = 1000;

/// The fields of an operation that gives a part of a list.
pub(super) trait Counted: Args {
    /// At most so many, and how many to leave out before.
    fn place(&mut self) -> (&mut Option<u32>, &mut Option<u64>);
}

macro_rules! counted {
    ($($args:ty $(, $kind:ident)?;)+) => {$(
        impl$(<K: $kind>)? Counted for $args {
            fn place(&mut self) -> (&mut Option<u32>, &mut Option<u64>) {
                (&mut self.limit, &mut self.offset)
            }
        }
    )+};
}

counted! {
    GetContents<Items>;
    List<K>, Listed;
    ListOf<K>, Part;
    Search;
}

/// Which part of a list is asked for.
struct Place {
    scope: Scope,
    limit: u32,
    offset: u64,
}

impl Place {
    /// The part of the list that `args` name without a place in it. A page has `most` items at most, and as many if
    /// nothing is said: fewer calls for the same list.
    fn of<A: Counted>(args: &mut A, page: &PageReq, most: u32) -> Result<Self> {
        let scope = Scope::new(A::OP, args)?;
        let offset = scope.position(page.cursor.as_ref())?.unwrap_or(0);
        let limit = page.limit.unwrap_or(most).clamp(1, most);
        let (limit_field, offset_field) = args.place();
        (*limit_field, *offset_field) = (Some(limit), Some(offset).filter(|offset| *offset > 0));
        Ok(Self { scope, limit, offset })
    }

    /// The page. Whether there is another one, the service alone knows: nulls make pages short, and while a list shrinks
    /// an empty page may name a next one that lies behind the end.
    fn page<T, U>(&self, found: wire::Page<T>, read: impl FnMut(T) -> Result<U>) -> Result<Page<U>> {
        let next: Option<u64> = found.next.as_deref().map(|next| number_of(next, "offset")).transpose()?;
        if next.is_some_and(|next| next <= self.offset) {
            return Err(looped());
        }
        let is_there = |next: &u64| !found.items.is_empty() || found.total.is_none_or(|total| *next < total);
        let next = next.filter(is_there).map(|offset| self.scope.cursor(offset));
        let items = found.items.into_iter().map(read).collect::<Result<_>>()?;
        Ok(Page::new(items, next).with_total(found.total))
    }

    /// The page of a search. Behind the last one that the service shows there may be more: a cursor leads to an error, of
    /// the service itself if it counts a page's own length among what it shows.
    fn page_in_window<T, U>(
        &self,
        found: wire::Page<T>,
        read: impl FnMut(T) -> Result<U>,
    ) -> Result<Page<U>> {
        let behind = self.offset + u64::from(self.limit);
        let is_cut = behind >= WINDOW && found.total.is_some_and(|total| total > behind);
        let mut page = self.page(found, read)?;
        page.next = page.next.or_else(|| is_cut.then(|| self.scope.cursor(behind)));
        Ok(page)
    }
}

impl Spotify {
    /// One page of a list.
    pub(super) async fn listed<A, T, U>(
        &self,
        mut args: A,
        page: &PageReq,
        most: u32,
        read: impl FnMut(T) -> Result<U> + Send,
    ) -> Result<Page<U>>
    where
        A: Counted + Args<Output = wire::Page<T>>,
        T: Send,
    {
        let place = Place::of(&mut args, page, most)?;
        self.ask(args, |found| place.page(found, read)).await
    }

    /// One page of a search for things of one kind.
    pub(super) async fn found<T, U>(
        &self,
        mut search: Search,
        page: &PageReq,
        pick: impl FnOnce(wire::SearchResult) -> Option<wire::Page<T>> + Send,
        read: impl FnMut(T) -> Result<U> + Send,
    ) -> Result<Page<U>>
    where
        T: Default + Send,
    {
        let place = Place::of(&mut search, page, if self.is_extended { 50 } else { 10 })?;
        if place.offset > WINDOW {
            let error = Error::invalid_request("a search shows no more than its first 1,000 results");
            return Err(error.with_op(Search::OP).with_hint("narrow the query, by the year for example"));
        }
        self.ask(search, |found| place.page_in_window(pick(found).unwrap_or_default(), read)).await
    }
}

/// A part that names itself as the next one would be given twice.
fn looped() -> Error {
    let message = "the next page is one that was given before: the list would never end";
    Error::new(ErrorKind::Unexpected, Effect::Rejected, message)
}

/// Where the next part begins, by its address. The address itself is never called: a cursor may have been in foreign hands.
pub(super) fn number_of<T: FromStr>(address: &str, name: &str) -> Result<T> {
    let query = address.split_once('?').map_or("", |(_, query)| query);
    let number = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    number.and_then(|number| number.parse().ok()).ok_or_else(|| {
        let message = format!("the address of the next page has no `{name}`");
        Error::new(ErrorKind::Decode, Effect::Rejected, message)
    })
}
