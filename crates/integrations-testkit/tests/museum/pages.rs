//! A service that gives the same cursor again, and a loop that reads the same page for ever:
//! <https://github.com/airbytehq/airbyte/pull/61502> (the wrong kind of paging, and a sync that never ends).

use integrations_core::page::{Scope, pages};
use integrations_core::{Op, Page, PageReq, Result, Safety};

static LIST: Op = Op::new("museum", "list", Safety::Read).http("GET", "/items");
/// More pages than anybody has patience for.
const PATIENCE: usize = 10_000;

/// The same page whatever is asked for, and the same way on.
fn page(cursor: Option<&str>) -> (Vec<u32>, Option<&'static str>) {
    let _ = cursor;
    (vec![1, 2, 3], Some("page-2"))
}

#[test]
fn the_reference_goes_on_until_somebody_stops_it() {
    let (mut cursor, mut read) = (None, 0);
    while read < PATIENCE {
        let (_, next) = page(cursor);
        read += 1;
        match next {
            Some(_) => cursor = next,
            None => break,
        }
    }
    assert_eq!(read, PATIENCE);
}

#[tokio::test]
async fn ours_ends_at_the_first_repetition_with_an_error() -> Result<()> {
    let scope = Scope::new(&LIST, &())?;
    let mut asked = 0;
    let mut all = pages(PageReq::first(), |_| {
        asked += 1;
        let (items, next) = page(None);
        let next = next.map(|token| scope.cursor(token));
        async move { Ok(Page::new(items, next)) }
    });
    let mut seen = 0;
    let error = loop {
        match all.next().await {
            Some(Ok(page)) => seen += page.items.len(),
            Some(Err(error)) => break error,
            None => panic!("it has to say that something is wrong"),
        }
    };
    drop(all);
    assert_eq!((asked, seen), (2, 6), "what was read is kept: {error}");
    Ok(())
}
