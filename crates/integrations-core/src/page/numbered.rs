//! Lists whose pages have numbers.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::{Page, PageReq, Scope};
use crate::error::Result;

/// What a service gives on a numbered page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NumberedItems<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The number of the last page, where the service says so.
    pub last: Option<u64>,
    /// How many items all pages have, where the service says so.
    pub total: Option<u64>,
}

impl<T> NumberedItems<T> {
    /// The items of a page, and what the service says of all pages.
    pub fn new(items: Vec<T>, last: Option<u64>, total: Option<u64>) -> Self {
        Self { items, last, total }
    }
}

/// A page of a list whose pages have numbers, from 1. A number means nothing without the length of the pages before it, so
/// that a cursor has both, and the first page decides about the length of all.
///
/// ```
/// use integrations_core::page::{Numbered, NumberedItems, PageReq, Scope};
/// use integrations_core::{Op, Safety};
/// static LIST: Op = Op::new("demo", "list", Safety::Read);
/// let scope = Scope::new(&LIST, &())?;
///
/// let first = Numbered::of(scope, &PageReq::first().limit(1000), 50, 200)?;
/// assert_eq!((first.number(), first.length()), (1, 200));
///
/// let page = first.page(NumberedItems::new(vec!["a"], Some(2), None));
/// let second = Numbered::of(scope, &page.next.into(), 50, 200)?;
/// assert_eq!((second.number(), second.length()), (2, 200));
/// assert_eq!(second.page(NumberedItems::new(vec!["b"], Some(2), None)).next, None);
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Numbered {
    scope: Scope,
    place: Place,
}

/// The position in a cursor.
#[derive(Debug, Clone, Copy)]
struct Place {
    number: u32,
    length: u32,
}

impl Numbered {
    /// The page that is asked for. Pages are as long as the first request says, or `usual`; never longer than `most`.
    pub fn of(scope: Scope, page: &PageReq, usual: u32, most: u32) -> Result<Self> {
        let first = Place { number: 1, length: page.limit.unwrap_or(usual) };
        let place = scope.position(page.cursor.as_ref())?.unwrap_or(first);
        Ok(Self { scope, place: Place { length: place.length.clamp(1, most), ..place } })
    }

    /// The number of the page, from 1.
    pub fn number(&self) -> u32 {
        self.place.number
    }

    /// How many items it has at most.
    pub fn length(&self) -> u32 {
        self.place.length
    }

    /// What the service gave for it. Another page follows unless the last one is reached, or unknown.
    pub fn page<T>(self, found: NumberedItems<T>) -> Page<T> {
        let Place { number, length } = self.place;
        let is_last = found.last.is_none_or(|last| last <= number.into());
        let next = number.checked_add(1).filter(|_| !is_last).map(|number| Place { number, length });
        Page::new(found.items, next.map(|next| self.scope.cursor(next))).with_total(found.total)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.number, self.length)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (number, length) = text.split_once('x').ok_or(())?;
        let part = |text: &str| text.parse().ok().filter(|part| *part > 0).ok_or(());
        Ok(Self { number: part(number)?, length: part(length)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Effect, ErrorKind};
    use crate::op::{Op, Safety};

    static LIST: Op = Op::new("demo", "list", Safety::Read);

    fn at(page: &PageReq) -> Result<(u32, u32)> {
        let page = Numbered::of(Scope::new(&LIST, &())?, page, 50, 200)?;
        Ok((page.number(), page.length()))
    }

    #[test]
    fn the_first_page_decides_about_the_length() {
        for (limit, length) in [(None, 50), (Some(0), 1), (Some(7), 7), (Some(201), 200)] {
            assert_eq!(at(&PageReq { cursor: None, limit }).unwrap(), (1, length));
        }
        let cursor = Scope::new(&LIST, &()).unwrap().cursor("3x20");
        assert_eq!(at(&PageReq::at(cursor).limit(99)).unwrap(), (3, 20));
    }

    #[test]
    fn places_that_nobody_gave_out_are_refused() {
        let scope = Scope::new(&LIST, &()).unwrap();
        for wrong in ["", "3", "x", "0x5", "5x0", "-1x5", "1x2x3", "4294967296x1"] {
            let error = at(&PageReq::at(scope.cursor(wrong))).unwrap_err();
            assert_eq!((error.kind(), error.effect()), (ErrorKind::InvalidRequest, Effect::NotSent));
        }
        assert_eq!(at(&PageReq::at(scope.cursor("1x4294967295"))).unwrap(), (1, 200));
    }

    #[test]
    fn a_list_ends_with_its_last_page_or_where_none_is_told() {
        let scope = Scope::new(&LIST, &()).unwrap();
        let page = |number: u32, last| {
            let request = PageReq::at(scope.cursor(format!("{number}x5")));
            Numbered::of(scope, &request, 50, 200).unwrap().page(NumberedItems::<u8>::new(
                vec![],
                last,
                Some(9),
            ))
        };
        assert_eq!(page(1, Some(2)).next, Some(scope.cursor("2x5")));
        for (number, last) in [(2, Some(2)), (3, Some(2)), (1, None), (u32::MAX, Some(u64::MAX))] {
            let page = page(number, last);
            assert_eq!((page.next, page.total), (None, Some(9)));
        }
    }
}
