use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::op::{Op, Safety};
use crate::page::Scope;

static LIST: Op = Op::new("demo", "list", Safety::Read);

fn scope() -> Scope {
    Scope::new(&LIST, &"all").unwrap()
}

/// A service with `sizes[n]` items on page `n`, numbered through; it counts its calls.
#[derive(Clone)]
struct Fake {
    sizes: Arc<Vec<usize>>,
    calls: Arc<AtomicUsize>,
}

impl Fake {
    fn new(sizes: Vec<usize>) -> Self {
        Self { sizes: Arc::new(sizes), calls: Arc::default() }
    }

    fn page(&self, cursor: Option<&Cursor>) -> Result<Page<usize>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let number = scope().position::<usize>(cursor)?.unwrap_or(0);
        let begin: usize = self.sizes[..number].iter().sum();
        let items = (begin..begin + self.sizes[number]).collect();
        let next = (number + 1 < self.sizes.len()).then(|| scope().cursor(number + 1));
        Ok(Page::new(items, next))
    }

    fn pages(&self, start: Option<Cursor>) -> Pages<'static, usize> {
        let fake = self.clone();
        pages(start, move |request| {
            let fake = fake.clone();
            async move { fake.page(request.cursor.as_ref()) }
        })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn len(&self) -> usize {
        self.sizes.iter().sum()
    }
}

/// Pages whose cursors follow `next`: page `n` points to page `next(n)`.
fn chain(next: impl Fn(u64) -> Option<u64> + Send + 'static) -> Pages<'static, u64> {
    let scope = scope();
    pages(None, move |request| {
        let number = scope.position::<u64>(request.cursor.as_ref()).map(Option::unwrap_or_default);
        let page = number.map(|number| Page::new(vec![number], next(number).map(|n| scope.cursor(n))));
        std::future::ready(page)
    })
}

async fn drain(mut pages: Pages<'_, u64>) -> (Vec<u64>, Option<Error>) {
    let mut items = Vec::new();
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => {
                items.extend(page.items);
                assert!(items.len() < 1_000_000, "the list does not end");
            }
            Err(e) => {
                assert!(pages.next().await.is_none(), "nothing comes after an error");
                return (items, Some(e));
            }
        }
    }
    assert!(pages.next().await.is_none(), "the end stays the end");
    (items, None)
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[tokio::test]
async fn the_stream_ends_with_the_last_page_and_fetches_nothing_ahead() {
    let fake = Fake::new(vec![2, 0, 3]);
    let mut pages = fake.pages(None);
    for n in 1..=3 {
        assert!(pages.next().await.unwrap().is_ok());
        assert_eq!(fake.calls(), n);
    }
    assert!(pages.next().await.is_none());
    assert!(pages.next().await.is_none());
    assert_eq!((fake.calls(), pages.checkpoint()), (3, None));
}

#[tokio::test]
async fn no_page_is_fetched_that_the_collected_items_do_not_need() {
    for (max, items, calls) in [(0, 0, 0), (1, 1, 1), (2, 2, 1), (3, 3, 3), (5, 5, 3), (9, 5, 3)] {
        let fake = Fake::new(vec![2, 0, 3]);
        assert_eq!(fake.pages(None).collect_up_to(max).await.unwrap(), (0..items).collect::<Vec<_>>());
        assert_eq!(fake.calls(), calls, "{max}");
    }
}

#[tokio::test]
async fn a_cursor_that_does_not_move_is_an_error_after_its_page() {
    let (items, error) = drain(chain(|_| Some(7))).await;
    assert_eq!(items, [0, 7]);
    let error = error.unwrap();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unexpected, Effect::NotSent));
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_loop_over_several_pages_is_an_error() {
    let (items, error) = drain(chain(|n| Some(if n == 3 { 1 } else { n + 1 }))).await;
    assert_eq!((items.as_slice(), error.is_some()), (&[0, 1, 2, 3][..], true));
}

#[tokio::test]
async fn the_page_resumed_from_counts_as_seen() {
    let start = scope().cursor(1);
    let mut pages = pages(start, |_| async { Ok(Page::new(vec![()], Some(scope().cursor(1)))) });
    assert!(pages.next().await.unwrap().is_ok());
    assert!(pages.next().await.unwrap().is_err());
}

#[tokio::test]
async fn loops_beyond_the_remembered_cursors_are_noticed_and_long_lists_are_not_mistaken_for_loops() {
    let kept = Seen::REMEMBERED as u64;
    let (items, error) = drain(chain(move |n| (n < 3 * kept).then_some(n + 1))).await;
    assert_eq!((items.len() as u64, error.is_none()), (3 * kept + 1, true));

    let (begin, length) = (kept + 100, 1000);
    let (items, error) = drain(chain(move |n| Some(if n == begin + length { begin } else { n + 1 }))).await;
    assert!(error.is_some());
    assert!((items.len() as u64) <= begin + 3 * length, "{}", items.len());
}

#[tokio::test]
async fn the_stream_stops_after_an_error_and_tells_where_to_resume() {
    let fake = Fake::new(vec![1, 1, 1]);
    let failing = fake.clone();
    let mut pages = pages(PageReq::first(), move |request| {
        let page = failing.page(request.cursor.as_ref());
        let fails = failing.calls() == 2;
        async move { if fails { Err(Error::new(ErrorKind::Unavailable, Effect::Rejected, "down")) } else { page } }
    });
    assert_eq!(pages.next().await.unwrap().unwrap().items, [0]);
    assert_eq!(pages.next().await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(pages.next().await.is_none());
    let rest = fake.pages(pages.checkpoint().cloned()).collect_up_to(usize::MAX).await.unwrap();
    assert_eq!(rest, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_loses_no_page() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let mut pages = pages(None, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            tokio::time::sleep(std::time::Duration::from_mins(1)).await;
            Ok(Page::new(vec!["late"], None))
        }
    });
    let wait = tokio::time::timeout(std::time::Duration::from_secs(1), pages.next()).await;
    assert!(wait.is_err());
    assert_eq!(pages.next().await.unwrap().unwrap().items, ["late"]);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_page_size_is_asked_for_on_every_page() {
    let mut pages = pages(PageReq::first().limit(50), |request| async move {
        assert_eq!(request.limit, Some(50));
        Ok(Page::new(vec![()], request.cursor.is_none().then(|| scope().cursor(1))))
    });
    while let Some(page) = pages.next().await {
        page.unwrap();
    }
}

#[tokio::test]
async fn both_are_streams() {
    fn streams<T>(_: &impl Stream<Item = Result<T>>) {}
    let pages = Fake::new(vec![1]).pages(None);
    streams(&pages);
    let mut items = pages.items();
    streams(&items);
    let next = poll_fn(|cx| Pin::new(&mut items).poll_next(cx)).await;
    assert_eq!(next.unwrap().unwrap(), 0);
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0_usize..5, 1..12)
}

proptest! {
    #[test]
    fn each_checkpoint_of_a_page_resumes_exactly_after_it(sizes in sizes()) {
        let fake = Fake::new(sizes);
        block_on(async {
            let (mut pages, mut before) = (fake.pages(None), Vec::new());
            while let Some(page) = pages.next().await {
                let page = page.unwrap();
                before.extend(page.items);
                let Some(next) = page.next else { break };
                let stored: Cursor = next.to_string().parse().unwrap();
                let rest = fake.pages(Some(stored)).collect_up_to(usize::MAX).await.unwrap();
                assert_eq!([before.clone(), rest].concat(), (0..fake.len()).collect::<Vec<_>>());
            }
            assert_eq!(before, (0..fake.len()).collect::<Vec<_>>());
        });
    }

    #[test]
    fn each_checkpoint_of_an_item_loses_nothing_and_repeats_at_most_its_page(sizes in sizes()) {
        let largest = sizes.iter().copied().max().unwrap_or(0);
        let fake = Fake::new(sizes);
        block_on(async {
            let mut items = fake.pages(None).items();
            while let Some(item) = items.next().await {
                let done = item.unwrap() + 1;
                let rest = fake.pages(items.checkpoint().cloned()).collect_up_to(usize::MAX).await.unwrap();
                let first = fake.len() - rest.len();
                assert!(first <= done && done - first <= largest, "{first} {done}");
                assert_eq!(rest, (first..fake.len()).collect::<Vec<_>>());
            }
        });
    }
}
