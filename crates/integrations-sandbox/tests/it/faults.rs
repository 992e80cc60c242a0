//! Each fault as a client with the default policy meets it: what the caller is told, and what the ledger shows.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::header::{DATE, RETRY_AFTER};
use http::{Method, Request, Uri};
use integrations_core::{
    Body, BodyStream, Effect, Error, ErrorKind, Exchange, Op, Payload, Safety, Transport, TransportError,
    TransportFailure,
};
use integrations_sandbox::{Call, DelayForm, Fault, Plan, Sandbox, Severity};
use tokio::time::Instant;

use crate::{Add, AddOnce, List, SHELF, Set, client};

fn sandbox(faults: impl IntoIterator<Item = Fault>) -> Sandbox {
    let sandbox = Sandbox::new(&SHELF, 0);
    sandbox.plan(Plan::script(faults.into_iter().map(Some)));
    sandbox
}

fn told(error: &Error) -> (ErrorKind, Effect, u32) {
    (error.kind(), error.effect(), error.attempts())
}

const SECOND: Duration = Duration::from_secs(1);

/// What passes: a read is sent again and succeeds, at most this much later.
#[tokio::test(start_paused = true)]
async fn a_read_survives_what_passes() {
    let cases = [
        (Fault::Latency(3 * SECOND), 1, 3 * SECOND),
        (Fault::Refused, 2, SECOND),
        (Fault::ResetBefore, 2, SECOND),
        (Fault::ResetAfter, 2, SECOND),
        (Fault::HangBefore, 2, 11 * SECOND),
        (Fault::HangAfter, 2, 11 * SECOND),
        (Fault::RateLimited(SECOND, DelayForm::Seconds), 2, 2 * SECOND),
        (Fault::RateLimited(SECOND, DelayForm::HttpDate), 2, 2 * SECOND),
        (Fault::RateLimited(SECOND, DelayForm::Missing), 2, 2 * SECOND),
        (Fault::Broken { status: 500, acted: true }, 2, SECOND),
        (Fault::Broken { status: 503, acted: false }, 2, 2 * SECOND),
        (Fault::ProxyPage, 2, SECOND),
        (Fault::FailedWithSuccess, 2, SECOND),
        (Fault::Rotated, 2, SECOND),
        (Fault::ClockSkew(250), 2, SECOND),
        (Fault::ClockSkew(-250), 2, SECOND),
    ];
    for (fault, requests, at_most) in cases {
        let sandbox = sandbox([fault]);
        let from = Instant::now();
        let listed = client(&sandbox).call(&List).await;
        assert!(listed.is_ok(), "{fault:?}: {listed:?}");
        assert_eq!(sandbox.requests(), requests, "{fault:?}");
        assert!(from.elapsed() <= at_most + Duration::from_millis(300), "{fault:?}: {:?}", from.elapsed());
        assert_eq!(sandbox.faults().into_iter().collect::<Vec<_>>(), [(fault.kind(), 1)]);
    }
}

/// What does not pass, and what the caller of a read is told.
#[tokio::test(start_paused = true)]
async fn a_read_is_told_what_does_not_pass() {
    use Effect::Rejected;
    let hour = Duration::from_secs(3_600);
    let cases = [
        (Fault::Truncated, (ErrorKind::Decode, Rejected, 1)),
        (Fault::WrongShape, (ErrorKind::Decode, Rejected, 1)),
        (Fault::QuotaExhausted, (ErrorKind::QuotaExhausted, Rejected, 1)),
        (Fault::RateLimited(hour, DelayForm::Seconds), (ErrorKind::RateLimited, Rejected, 1)),
        (Fault::RateLimited(hour, DelayForm::HttpDate), (ErrorKind::RateLimited, Rejected, 1)),
    ];
    for (fault, expected) in cases {
        let error = client(&sandbox([fault])).call(&List).await.unwrap_err();
        assert_eq!(told(&error), expected, "{fault:?}");
        let delay = matches!(fault, Fault::RateLimited(..)).then_some(hour);
        assert_eq!(error.retry_after(), delay, "{fault:?}");
    }
}

/// What is sent at most once: what the caller is told, and how often it was done.
#[tokio::test(start_paused = true)]
async fn what_is_sent_at_most_once_is_done_at_most_once() {
    use Effect::{Applied, Rejected, Unknown};
    let cases = [
        (Fault::Latency(SECOND), None, 1),
        (Fault::Refused, None, 1),
        (Fault::ResetBefore, Some((ErrorKind::Transport, Unknown, 1)), 0),
        (Fault::ResetAfter, Some((ErrorKind::Transport, Unknown, 1)), 1),
        (Fault::HangBefore, Some((ErrorKind::Timeout, Unknown, 1)), 0),
        (Fault::HangAfter, Some((ErrorKind::Timeout, Unknown, 1)), 1),
        (Fault::RateLimited(SECOND, DelayForm::Seconds), Some((ErrorKind::RateLimited, Rejected, 1)), 0),
        (Fault::QuotaExhausted, Some((ErrorKind::QuotaExhausted, Rejected, 1)), 0),
        (Fault::Broken { status: 504, acted: true }, Some((ErrorKind::Unavailable, Unknown, 1)), 1),
        (Fault::Broken { status: 504, acted: false }, Some((ErrorKind::Unavailable, Unknown, 1)), 0),
        // The vendor says when to come back, so it has not acted whatever the plan says.
        (Fault::Broken { status: 503, acted: true }, Some((ErrorKind::Unavailable, Rejected, 1)), 0),
        (Fault::ProxyPage, Some((ErrorKind::Unavailable, Unknown, 1)), 0),
        (Fault::Truncated, Some((ErrorKind::Decode, Applied, 1)), 1),
        (Fault::WrongShape, Some((ErrorKind::Decode, Applied, 1)), 1),
        (Fault::FailedWithSuccess, Some((ErrorKind::Unavailable, Rejected, 1)), 0),
        (Fault::Rotated, None, 1),
        (Fault::ClockSkew(90), None, 1),
    ];
    for (fault, expected, changes) in cases {
        let sandbox = sandbox([fault]);
        let outcome = client(&sandbox).call(&AddOnce("a".to_owned())).await;
        assert_eq!(outcome.as_ref().err().map(told), expected, "{fault:?}");
        assert_eq!(sandbox.ledger().changes().len(), changes, "{fault:?}");
        assert!(sandbox.ledger().repeated().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_makes_one_change_of_two_requests() {
    for fault in [Fault::ResetAfter, Fault::HangAfter, Fault::Broken { status: 500, acted: true }] {
        let sandbox = sandbox([fault]);
        client(&sandbox).call(&Add("a".to_owned())).await.unwrap();
        assert_eq!((sandbox.requests(), sandbox.ledger().changes().len()), (2, 1), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_change_may_be_made_again() {
    let sandbox = sandbox([Fault::ResetAfter]);
    client(&sandbox).call(&Set("a")).await.unwrap();
    assert_eq!(sandbox.ledger().changes().len(), 2);
    assert!(sandbox.ledger().repeated().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_body_cannot_be_spoilt() {
    let sandbox = sandbox([Fault::Truncated, Fault::WrongShape]);
    for item in ["a", "b"] {
        client(&sandbox).call(&Set(item)).await.unwrap();
    }
    assert_eq!((sandbox.faults().len(), sandbox.ledger().changes().len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn loops_and_lags_change_what_a_list_says() {
    let sandbox = sandbox([]);
    let client = client(&sandbox);
    client.call(&Add("a".to_owned())).await.unwrap();
    sandbox.plan(Plan::script([Some(Fault::LaggingIndex), Some(Fault::CursorLoop), None]));
    let lagging = client.call(&List).await.unwrap();
    let looping = client.call(&List).await.unwrap();
    let right = client.call(&List).await.unwrap();
    assert!(lagging.items.is_empty());
    assert_eq!((looping.items.as_slice(), looping.next.as_deref()), (&["a".to_owned()][..], Some("again")));
    assert_eq!(right.next, None);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_is_told_by_the_settings_until_everything_is_put_back() {
    let sandbox = sandbox([Fault::Rotated]);
    client(&sandbox).call(&List).await.unwrap();
    let rotated = [("name", "a shelf".to_owned()), ("token", "t-1".to_owned())];
    assert_eq!(sandbox.settings(), rotated);
    sandbox.reset();
    assert_eq!(sandbox.settings()[1].1, "t-0");
    assert_eq!((sandbox.requests(), sandbox.faults().len(), sandbox.exchanges().len()), (0, 0, 0));
}

static PING: Op = Op::new("shelf", "ping", Safety::Read);

/// One request without a client, and its answer's status, `Date` and `Retry-After`.
async fn ping(sandbox: &Sandbox) -> (u16, String, Option<String>) {
    let request = Request::get("https://shelf.example/nothing").body(Body::Empty).unwrap();
    let answer = sandbox.send(request, Exchange::new(&PING, 1, 10 * SECOND)).await.unwrap();
    let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), header(DATE).unwrap(), header(RETRY_AFTER))
}

#[tokio::test(start_paused = true)]
async fn every_answer_has_the_date_of_the_vendors_clock() {
    let sandbox = sandbox([
        Fault::ClockSkew(-3_600),
        Fault::RateLimited(90 * SECOND, DelayForm::HttpDate),
        Fault::ProxyPage,
    ]);
    let date = |text: &str| text.to_owned();
    assert_eq!(ping(&sandbox).await, (401, date("Mon, 02 Mar 2026 11:00:00 GMT"), None));
    tokio::time::advance(60 * SECOND).await;
    let refused = ping(&sandbox).await;
    let back = Some(date("Mon, 02 Mar 2026 11:02:30 GMT"));
    assert_eq!(refused, (429, date("Mon, 02 Mar 2026 11:01:00 GMT"), back));
    assert_eq!(ping(&sandbox).await, (502, date("Mon, 02 Mar 2026 11:01:00 GMT"), None));
    sandbox.plan(Plan::none());
    assert_eq!(ping(&sandbox).await.1, "Mon, 02 Mar 2026 12:01:00 GMT");
    let later = sandbox.clone().starting("2030-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(ping(&later).await.1, "Tue, 01 Jan 2030 00:00:00 GMT");

    let (uri, headers) = (Uri::from_static("/"), http::HeaderMap::new());
    let direct = sandbox.answer(&Call::new(&Method::GET, &uri, &headers, b""));
    assert_eq!(direct.headers[DATE], "Mon, 02 Mar 2026 12:01:00 GMT");
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_written_as_it_was_drawn() {
    let limited = |form| Fault::RateLimited(Duration::from_millis(1_500), form);
    let sandbox = sandbox([DelayForm::Seconds, DelayForm::Missing].map(limited));
    assert_eq!(ping(&sandbox).await.2.as_deref(), Some("2"));
    assert_eq!(ping(&sandbox).await.2, None);
}

async fn send(sandbox: &Sandbox, body: Body) -> Result<http::Response<Payload>, TransportError> {
    let request = Request::post("https://shelf.example/items").header("authorization", "Bearer t-0");
    sandbox.send(request.body(body).unwrap(), Exchange::new(&PING, 1, 10 * SECOND)).await
}

#[tokio::test(start_paused = true)]
async fn transport_errors_say_whether_the_request_can_have_arrived() {
    let cases = [
        (Fault::Refused, TransportFailure::Connect, false),
        (Fault::ResetBefore, TransportFailure::Reset, true),
        (Fault::ResetAfter, TransportFailure::Reset, true),
        (Fault::HangAfter, TransportFailure::Timeout, true),
    ];
    for (fault, failure, sent) in cases {
        let from = Instant::now();
        let error = send(&sandbox([fault]), Body::Empty).await.unwrap_err();
        assert_eq!((error.failure(), error.sent()), (failure, sent), "{fault:?}");
        let hangs = failure == TransportFailure::Timeout;
        assert_eq!(from.elapsed() > 10 * SECOND, hangs, "{fault:?}: an attempt's timeout comes first");
    }
}

struct Chunks(Vec<Result<Bytes, std::io::Error>>);

impl futures_core::Stream for Chunks {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready((!self.0.is_empty()).then(|| self.0.remove(0)))
    }
}

#[tokio::test(start_paused = true)]
async fn streamed_bodies_arrive_whole_or_not_at_all() {
    let sandbox = sandbox([]);
    let chunks = || BodyStream::new(Chunks(vec![Ok("a".into()), Ok("b".into())]), None);
    send(&sandbox, Body::Once(chunks())).await.unwrap();
    send(&sandbox, Body::replay(chunks)).await.unwrap();
    let subjects: Vec<_> = sandbox.ledger().changes().iter().map(|change| change.subject.clone()).collect();
    assert_eq!(subjects, ["ab", "ab"]);

    let broken = Chunks(vec![Ok("a".into()), Err(std::io::Error::other("gone"))]);
    let error = send(&sandbox, Body::Once(BodyStream::new(broken, None))).await.unwrap_err();
    assert_eq!((error.failure(), error.sent()), (TransportFailure::BadRequest, false));
    assert_eq!(sandbox.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn exchanges_are_noted_from_the_vendors_side() {
    let sandbox = sandbox([Fault::ResetAfter, Fault::ProxyPage]);
    client(&sandbox).call(&List).await.unwrap();
    let request = Request::get("https://shelf.example/items").body(Body::Empty).unwrap();
    sandbox.send(request, Exchange::new(&PING, 1, Duration::ZERO)).await.unwrap();
    let seen = sandbox.exchanges();
    let short: Vec<_> = seen.iter().map(|s| (s.op, s.attempt, s.fault, s.status, s.late)).collect();
    let expected = [
        ("list", 1, Some("reset_after"), None, false),
        ("list", 2, Some("proxy_page"), Some(502), false),
        ("list", 3, None, Some(200), false),
        ("ping", 1, None, Some(401), true),
    ];
    assert_eq!(short, expected);
    assert_eq!((sandbox.attempts()["list"], sandbox.attempts()["ping"]), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn the_memory_of_exchanges_is_bounded() {
    let sandbox = sandbox([]);
    for _ in 0..10_010 {
        send(&sandbox, Body::Empty).await.unwrap();
    }
    assert_eq!((sandbox.exchanges().len(), sandbox.requests()), (10_000, 10_010));
}

/// One call of each safety after the other. Returns how many were made. The pauses of a client are random too, so tests
/// that make many calls give its chance a seed.
async fn calls(client: &integrations_core::Caller, rounds: u32, name: &str) -> u32 {
    for round in 0..rounds {
        let item = format!("{name}{round}");
        let why = |error: Error| panic!("{name}{round}: {}", error.explain());
        client.call(&List).await.unwrap_or_else(why);
        client.call(&Set("a")).await.unwrap_or_else(|e| panic!("{item}: {}", e.explain()));
        client.call(&Add(format!("{item}-keyed"))).await.unwrap_or_else(why);
        client.call(&AddOnce(item)).await.unwrap_or_else(why);
    }
    rounds * 4
}

#[tokio::test(start_paused = true)]
async fn under_passing_faults_every_call_ends_well_and_nothing_is_done_twice() {
    let mut kinds = BTreeSet::new();
    for seed in 0..60 {
        fastrand::seed(seed);
        let sandbox = Sandbox::new(&SHELF, seed);
        sandbox.plan(Plan::seeded(seed, Severity::Passing));
        let made = calls(&client(&sandbox), 25, "s").await;
        assert!(sandbox.requests() > u64::from(made), "no call was sent again");
        assert!(sandbox.ledger().repeated().is_empty(), "{:?}", sandbox.ledger().repeated());
        assert!(sandbox.exchanges().iter().all(|seen| seen.attempt <= 3 && !seen.late));
        kinds.extend(sandbox.faults().into_keys());
    }
    assert_eq!(kinds.len(), 12, "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn passing_faults_wear_no_client_out() {
    fastrand::seed(0);
    let sandbox = Sandbox::new(&SHELF, 0);
    sandbox.plan(Plan::seeded(0, Severity::Passing));
    calls(&client(&sandbox), 1_000, "s").await;
}

#[tokio::test(start_paused = true)]
async fn calls_side_by_side_end_well_too() {
    for seed in 0..20 {
        fastrand::seed(seed);
        let sandbox = Sandbox::new(&SHELF, seed);
        sandbox.plan(Plan::seeded(seed, Severity::Passing));
        let client = client(&sandbox);
        let mut tasks = tokio::task::JoinSet::new();
        for name in ["a", "b", "c", "d"] {
            let client = client.clone();
            tasks.spawn(async move { calls(&client, 20, name).await });
        }
        assert_eq!(tasks.join_all().await, [80; 4]);
        assert!(sandbox.ledger().repeated().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn under_any_faults_every_call_ends_in_time_and_nothing_is_done_twice() {
    let (mut kinds, mut failed) = (BTreeSet::new(), 0);
    for seed in 0..40 {
        fastrand::seed(seed);
        let sandbox = Sandbox::new(&SHELF, seed);
        sandbox.plan(Plan::seeded(seed, Severity::Any));
        let client = client(&sandbox);
        for round in 0..25 {
            let from = Instant::now();
            let outcomes = [
                client.call(&List).await.err(),
                client.call(&Add(format!("{round}-keyed"))).await.err(),
                client.call(&AddOnce(format!("{round}"))).await.err(),
            ];
            failed += outcomes.into_iter().flatten().count();
            assert!(from.elapsed() < 3 * 30 * SECOND + SECOND);
            tokio::time::advance(120 * SECOND).await;
        }
        assert!(sandbox.ledger().repeated().is_empty(), "seed {seed}: {:?}", sandbox.ledger().repeated());
        kinds.extend(sandbox.faults().into_keys());
    }
    assert_eq!(kinds, BTreeSet::from(Fault::KINDS));
    assert!(failed > 100, "{failed}");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_tells_the_same_story() {
    let mut stories = Vec::new();
    for seed in [5, 5, 6] {
        fastrand::seed(seed);
        let sandbox = Sandbox::new(&SHELF, seed);
        sandbox.plan(Plan::seeded(seed, Severity::Passing));
        calls(&client(&sandbox), 10, "s").await;
        stories.push(sandbox.exchanges());
    }
    assert_eq!(stories[0], stories[1]);
    assert_ne!(stories[0], stories[2]);
}
