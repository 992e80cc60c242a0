//! The flow of devices.

use std::time::Duration;

use integrations_core::{Clock, ErrorKind};
use integrations_oauth::{Client, DeviceAuthorization, DevicePoll};
use tokio::time::Instant;

use super::support::{FACTS, Script, TOKENS, answer, broken, expect, pairs, start};

const STARTED: &str = r#"{"device_code":"dc-secret-1","user_code":"WDJB-MJHT","verification_uri":"https://id.example/go",
    "verification_uri_complete":"https://id.example/go?c=WDJB-MJHT","expires_in":600,"interval":5}"#;
const PENDING: &str = r#"{"error":"authorization_pending"}"#;
const SLOWER: &str = r#"{"error":"slow_down"}"#;

async fn started(client: &Client) -> DeviceAuthorization {
    client.start_device(["mail.read"]).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_device_is_told_what_to_show_and_polls_with_its_code() {
    let script = Script::new([answer(200, STARTED), answer(400, PENDING), answer(200, TOKENS)]);
    let client = script.client(FACTS.default_scopes(&["offline_access"]));
    let device = started(&client).await;
    assert_eq!((device.user_code(), device.verification_uri()), ("WDJB-MJHT", "https://id.example/go"));
    assert_eq!(device.verification_uri_complete(), Some("https://id.example/go?c=WDJB-MJHT"));
    assert_eq!(device.expires_at(), start() + jiff::SignedDuration::from_secs(600));
    assert!(!format!("{device:?}").contains("dc-secret-1"));

    let DevicePoll::Pending { wait } = client.poll_device(&device).await.unwrap() else { panic!() };
    assert_eq!(wait, Duration::from_secs(5));
    let DevicePoll::Done(tokens) = client.poll_device(&device).await.unwrap() else { panic!() };
    assert_eq!(tokens.access.expose(), "at-1");

    let seen = script.seen();
    assert_eq!((seen[0].op, seen[0].uri.path()), ("start_device", "/device"));
    assert_eq!(pairs(&seen[0].body), expect(&[("scope", "mail.read offline_access")]));
    assert_eq!((seen[1].op, seen[1].uri.path()), ("poll_device", "/token"));
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    assert_eq!(pairs(&seen[1].body), expect(&[("grant_type", grant), ("device_code", "dc-secret-1")]));
}

#[tokio::test(start_paused = true)]
async fn waiting_keeps_the_interval_and_slows_down_for_good() {
    let answers =
        [(200, STARTED), (400, PENDING), (400, SLOWER), (429, SLOWER), (400, PENDING), (200, TOKENS)];
    let script = Script::new(answers.map(|(status, body)| answer(status, body)));
    let client = script.client(FACTS);
    let device = started(&client).await;
    let begun = Instant::now();
    client.await_device(&device).await.unwrap();
    // 5, 5, then 10 after the first `slow_down`, 15 twice after the second.
    assert_eq!(begun.elapsed().as_secs(), 5 + 5 + 10 + 15 + 15);
    assert_eq!(script.seen().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_away_for_a_while_is_asked_again_more_slowly() {
    let script = Script::new([
        answer(200, STARTED),
        broken(true),
        answer(503, "<html>"),
        answer(400, PENDING),
        answer(200, TOKENS),
    ]);
    let client = script.client(FACTS);
    let device = started(&client).await;
    let begun = Instant::now();
    client.await_device(&device).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 5 + 10 + 20 + 20);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_the_code_and_with_a_refusal() {
    let short = STARTED.replace("600", "12");
    let script = Script::new([answer(200, short), answer(400, PENDING), answer(400, PENDING)]);
    let client = script.client(FACTS);
    let device = started(&client).await;
    let error = client.await_device(&device).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::ReauthRequired, Some("expired_token")));
    assert_eq!(script.seen().len(), 3);

    for (code, kind) in [
        ("access_denied", ErrorKind::Declined),
        ("expired_token", ErrorKind::ReauthRequired),
        ("invalid_client", ErrorKind::Config),
    ] {
        let refused = format!(r#"{{"error":"{code}"}}"#);
        let script = Script::new([answer(200, STARTED), answer(400, refused)]);
        let client = script.client(FACTS);
        let device = started(&client).await;
        let error = client.await_device(&device).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, Some(code)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_the_parts_that_matter_is_refused_and_the_rest_has_defaults() {
    for bad in [
        STARTED.replace("device_code", "x"),
        STARTED.replace("\"WDJB-MJHT\"", "7"),
        STARTED.replace("https://id.example/go\"", "javascript:alert(1)\""),
        "<html>".to_owned(),
    ] {
        let error = Script::new([answer(200, bad)]).client(FACTS).start_device(["a"]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
    }
    let least = r#"{"device_code":"d","user_code":"u","verification_url":"https://id.example/go"}"#;
    let device = started(&Script::new([answer(200, least)]).client(FACTS)).await;
    assert_eq!(device.interval(), Duration::from_secs(5));
    assert_eq!(device.expires_at(), start() + jiff::SignedDuration::from_mins(10));
    let text = r#"{"device_code":"d","user_code":"u","verification_uri":"https://id.example/go","interval":"7","expires_in":"60"}"#;
    let device = started(&Script::new([answer(200, text)]).client(FACTS)).await;
    assert_eq!(
        (device.interval().as_secs(), device.expires_at()),
        (7, start() + jiff::SignedDuration::from_secs(60))
    );
}

#[tokio::test(start_paused = true)]
async fn what_github_and_others_answer_while_the_user_decides_is_understood() {
    let script = Script::new([
        answer(200, STARTED.replace("\"interval\":5", "\"interval\":-1")),
        answer(200, r#"{"error":"authorization_pending","error_description":"d","error_uri":"u"}"#),
        answer(200, r#"{"error":"slow_down","interval":10}"#),
        answer(428, PENDING),
        answer(200, "error=authorization_pending&error_description=d"),
        answer(200, TOKENS),
    ]);
    let client = script.client(FACTS);
    let device = started(&client).await;
    assert_eq!(device.interval(), Duration::from_secs(5));
    client.await_device(&device).await.unwrap();
    assert_eq!(device.interval(), Duration::from_secs(10));
    assert_eq!(script.seen().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn waiting_can_be_given_up_and_taken_up_again() {
    let script = Script::new([answer(200, STARTED), answer(400, PENDING), answer(200, TOKENS)]);
    let client = script.client(FACTS);
    let device = started(&client).await;
    let waited = tokio::time::timeout(Duration::from_secs(7), client.await_device(&device)).await;
    assert!(waited.is_err());
    assert_eq!(script.seen().len(), 2);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(script.seen().len(), 2, "nobody polls for whoever has gone");
    client.await_device(&device).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_never_answers_is_asked_until_the_code_ends_and_no_longer() {
    let away = (0..30).map(|_| broken(true));
    let script = Script::new([answer(200, STARTED)].into_iter().chain(away));
    let client = script.client(FACTS);
    let device = started(&client).await;
    let begun = Instant::now();
    let error = client.await_device(&device).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::ReauthRequired, Some("expired_token")));
    assert!((600..660).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert!(script.seen().len() < 16, "{}", script.seen().len());
}

#[tokio::test]
async fn an_issuer_without_the_flow_says_so() {
    let facts = integrations_core::provider::OAuth::new("https://id.example/token");
    let client =
        Client::builder(facts, "a").transport(Script::new([])).clock(Clock::system()).build().unwrap();
    assert_eq!(client.start_device(["a"]).await.unwrap_err().kind(), ErrorKind::Unsupported);
}
