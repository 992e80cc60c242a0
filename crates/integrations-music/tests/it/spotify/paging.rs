//! Lists: pages of the service's sizes, to their end, and never round in a circle.

use integrations_core::ErrorKind;
use integrations_core::page::{Cursor, Scope};
use integrations_core::{Op, Safety};
use integrations_music::Music;
use integrations_music::spotify::Spotify;
use serde_json::{Value, json};

use super::script::{Script, Seen};
use super::{extended, user};

static SEARCH: Op = Op::new("spotify", "search", Safety::Read);

fn number(seen: &Seen, name: &str) -> Option<u64> {
    let query = seen.line.split_once('?').map_or("", |(_, query)| query);
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(|n| n.parse().unwrap())
}

/// A list of `total` tracks, as the service pages it.
fn listed(seen: &Seen, total: u64, item: impl Fn(u64) -> Value) -> Value {
    let (limit, offset) = (number(seen, "limit").unwrap_or(5), number(seen, "offset").unwrap_or(0));
    let to = (offset + limit).min(total);
    let items: Vec<Value> = (offset..to).map(item).collect();
    // The address is not to be called: only its place in the list counts.
    let next = (to < total).then(|| format!("https://evil.example/x?offset={to}&limit={limit}"));
    json!({ "items": items, "next": next, "total": total, "offset": offset, "limit": limit })
}

fn track(at: u64) -> Value {
    json!({ "id": format!("t{at}"), "name": "x" })
}

fn library(total: u64) -> Script {
    Script::new(move |seen, _| (200, listed(seen, total, |at| json!({ "track": track(at) })).to_string()))
}

fn search(total: u64) -> Script {
    Script::new(move |seen, _| (200, json!({ "tracks": listed(seen, total, track) }).to_string()))
}

#[tokio::test(start_paused = true)]
async fn a_list_is_read_to_its_end_in_the_largest_pages() {
    let script = library(120);
    let all = user(&script).library().unwrap().tracks().collect_up_to(1000).await.unwrap();
    let ids: Vec<_> = all.iter().map(|entry| entry.track.as_ref().unwrap().id.to_string()).collect();
    assert_eq!(ids, (0..120).map(|at| format!("t{at}")).collect::<Vec<_>>());
    let lines = [
        "GET /me/tracks?limit=50",
        "GET /me/tracks?limit=50&offset=50",
        "GET /me/tracks?limit=50&offset=100",
    ];
    assert_eq!(script.lines(), lines);
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_kept_within_what_the_mode_allows() {
    type Client = fn(&Script) -> Music;
    let table: [(Client, Option<u32>, u64); 6] = [
        (user, None, 10),
        (user, Some(50), 10),
        (user, Some(3), 3),
        (user, Some(0), 1),
        (extended, Some(1000), 50),
        (extended, None, 50),
    ];
    for (client, asked, sent) in table {
        let script = search(200);
        let (music, listing) = (client(&script), asked);
        let found = music.search("x");
        let found = if let Some(limit) = listing { found.limit(limit) } else { found };
        let page = found.page().await.unwrap();
        assert_eq!((page.items.len() as u64, page.total), (sent, Some(200)));
        assert_eq!(number(&script.seen()[0], "limit"), Some(sent), "{asked:?}");
    }
    for (client, sent) in [(user as Client, 10), (extended, 50)] {
        let script = Script::new(|seen, _| (200, listed(seen, 200, track).to_string()));
        client(&script).artists().unwrap().albums("ar1", None).page().await.unwrap();
        assert_eq!(number(&script.seen()[0], "limit"), Some(sent));
    }
}

/// Two lists that look alike: one has 1,010 results, the other many more.
#[tokio::test(start_paused = true)]
async fn the_end_of_what_a_search_shows_is_not_the_end_of_the_list() {
    let all = user(&search(1010)).search("x").collect_up_to(10_000).await.unwrap();
    assert_eq!(all.len(), 1010);

    let script = search(5000);
    let music = user(&script);
    let mut pages = music.search("x").pages();
    let mut count = 0;
    let error = loop {
        match pages.next().await.unwrap() {
            Ok(page) => count += page.items.len(),
            Err(error) => break error,
        }
    };
    assert_eq!((count, error.kind(), script.seen().len()), (1010, ErrorKind::InvalidRequest, 101));
    assert!(error.hint().unwrap().contains("narrow") && error.operation() == "search");
    assert!(pages.next().await.is_none());

    // A service that hides its next page there says as much by its total.
    let hiding = Script::new(|seen, _| {
        let mut page = listed(seen, 5000, track);
        if number(seen, "offset") == Some(1000) {
            page["next"] = Value::Null;
        }
        (200, json!({ "tracks": page }).to_string())
    });
    let error = user(&hiding).search("x").collect_up_to(10_000).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}

/// Whether the service counts the last page's own length among the 1,000 is not said: its next page ends either way.
#[tokio::test(start_paused = true)]
async fn a_search_that_hides_its_next_page_at_the_thousandth_result_is_cut_too() {
    let hiding = Script::new(|seen, _| {
        let mut page = listed(seen, 5000, track);
        match number(seen, "offset") {
            Some(990) => page["next"] = Value::Null,
            Some(1000) => return (400, json!({ "error": { "message": "Invalid offset" } }).to_string()),
            _ => {}
        }
        (200, json!({ "tracks": page }).to_string())
    });
    let music = user(&hiding);
    let mut all = music.search("x").pages().items();
    let mut count = 0;
    let error = loop {
        match all.next().await.unwrap() {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((count, error.kind()), (1000, ErrorKind::InvalidRequest));
}

#[tokio::test(start_paused = true)]
async fn a_page_of_nulls_without_a_total_is_not_the_end() {
    let script = Script::new(|seen, _| {
        let item = |at| if at < 50 { Value::Null } else { json!({ "track": track(at) }) };
        let mut page = listed(seen, 60, item);
        page["total"] = Value::Null;
        (200, page.to_string())
    });
    let all = user(&script).library().unwrap().tracks().collect_up_to(1000).await.unwrap();
    assert_eq!((all.len(), script.seen().len()), (10, 2));
}

#[tokio::test(start_paused = true)]
async fn nulls_make_pages_short_and_do_not_end_the_list() {
    let script = Script::new(|seen, _| {
        let item = |at| if at < 50 || at % 2 == 0 { Value::Null } else { json!({ "track": track(at) }) };
        (200, listed(seen, 100, item).to_string())
    });
    let all = user(&script).library().unwrap().tracks().collect_up_to(1000).await.unwrap();
    assert_eq!((all.len(), script.seen().len()), (25, 2));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_shrinks_meanwhile_ends() {
    let script = Script::new(|seen, before| {
        let mut page = listed(seen, 60, |at| json!({ "track": track(at) }));
        if before > 0 {
            page = json!({ "items": [], "next": "https://api.example/me/tracks?offset=100", "total": 40 });
        }
        (200, page.to_string())
    });
    let all = user(&script).library().unwrap().tracks().collect_up_to(1000).await.unwrap();
    assert_eq!((all.len(), script.seen().len()), (50, 2));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_turns_in_a_circle_is_an_error() {
    let circle = json!({ "items": [{ "track": track(1) }], "next": "https://api.example/?offset=50&limit=50", "total": 999 });
    let script = Script::always(200, &circle);
    let error = user(&script).library().unwrap().tracks().collect_up_to(1000).await.unwrap_err();
    assert_eq!((error.kind(), script.seen().len()), (ErrorKind::Unexpected, 2));
    let nowhere = json!({ "items": [], "next": "https://api.example/?limit=50", "total": 999 });
    let error = user(&Script::always(200, &nowhere)).library().unwrap().tracks().page().await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Decode, "get_saved_tracks"));
}

#[tokio::test(start_paused = true)]
async fn the_history_goes_backwards_until_there_is_no_next() {
    let script = Script::new(|seen, _| {
        let before = number(seen, "before").unwrap_or(300);
        let items = [json!({ "track": track(before), "played_at": "2024-05-01T10:00:00Z" })];
        let next = (before > 100).then_some("https://evil.example/next");
        let cursors = json!({ "after": "301", "before": (before - 100).to_string() });
        (200, json!({ "items": items, "next": next, "cursors": cursors, "limit": 50 }).to_string())
    });
    let all = user(&script).history().unwrap().recently_played().collect_up_to(100).await.unwrap();
    assert_eq!(
        all.iter().map(|played| played.track.id.as_str()).collect::<Vec<_>>(),
        ["t300", "t200", "t100"]
    );
    let path = "GET /me/player/recently-played";
    let lines =
        ["?limit=50", "?before=200&limit=50", "?before=100&limit=50"].map(|query| format!("{path}{query}"));
    assert_eq!(script.lines(), lines);
}

/// The address of the next page alone says where it begins, or nothing does.
#[tokio::test(start_paused = true)]
async fn a_history_without_cursors_goes_on_by_its_next_page() {
    let answer = |query: &str| {
        let items = [json!({ "track": track(1) })];
        json!({ "items": items, "next": format!("https://evil.example/x?{query}&limit=50"), "cursors": null })
    };
    let page = answer("before=200");
    let script = Script::new(move |seen, _| {
        let last = json!({ "items": [{ "track": track(2) }], "next": null, "cursors": null });
        (200, if number(seen, "before") == Some(200) { last.to_string() } else { page.to_string() })
    });
    let all = user(&script).history().unwrap().recently_played().collect_up_to(100).await.unwrap();
    assert_eq!((all.len(), script.seen().len()), (2, 2));
    let nowhere = Script::always(200, &answer("x=1"));
    let error = user(&nowhere).history().unwrap().recently_played().page().await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Decode, "get_recently_played"));
}

#[tokio::test(start_paused = true)]
async fn a_stored_cursor_resumes_its_own_list_and_no_other() {
    let script = search(30);
    let music = user(&script);
    let first = music.search("x").page().await.unwrap();
    let stored: Cursor = first.next.unwrap().to_string().parse().unwrap();
    let second = music.search("x").from(stored.clone()).limit(5).page().await.unwrap();
    assert_eq!((second.items.len(), second.items[0].id.as_str()), (5, "t10"));

    let sent = script.seen().len();
    let in_france = Spotify::builder().access_token("t").market("FR".parse().unwrap());
    let in_france = Music::new(in_france.transport(script.clone()).build().unwrap());
    let forged = Scope::new(&SEARCH, &()).map(|scope| scope.cursor("x"));
    let errors = [
        music.search("y").from(stored.clone()).page().await.unwrap_err(),
        music.albums().unwrap().search("x").from(stored.clone()).page().await.unwrap_err(),
        music.library().unwrap().tracks().from(stored.clone()).page().await.unwrap_err(),
        in_france.search("x").from(stored).page().await.unwrap_err(),
        music.search("x").from(forged.unwrap()).page().await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error:?}");
    }
    assert_eq!(script.seen().len(), sent);
}
