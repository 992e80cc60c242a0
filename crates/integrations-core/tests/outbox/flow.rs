//! What becomes of deliveries.

use std::time::Duration;

use integrations_core::outbox::{
    EndpointSettings, EndpointStatus, ErrorClass, NewEvent, Notice, RetrySchedule, SigningScheme, State,
};
use integrations_core::{ErrorKind, TransportFailure};
use jiff::Timestamp;

use crate::support::{Bench, Reply, START, TENANT, hours, on_both_stores};

on_both_stores!(
    a_delivery_is_signed_and_kept_with_its_attempt,
    events_go_to_the_endpoints_of_their_tenant_that_want_them,
    a_delivery_that_always_fails_takes_the_whole_schedule_and_is_told_of,
    the_receivers_delay_counts_in_both_forms_and_halves_the_rate,
    gone_means_gone,
    a_redirect_is_a_failure_and_is_not_followed,
    a_forbidden_address_is_not_tried_again,
    an_endpoint_that_fails_for_five_days_is_disabled_and_catches_up,
    an_endpoint_that_was_switched_off_catches_up_too,
    order_is_kept_within_a_partition_and_for_so_long_only,
    without_order_a_retry_holds_up_nothing,
    the_rate_and_the_places_of_an_endpoint_are_kept,
    replays_send_the_same_id_again,
    a_test_event_goes_to_one_endpoint,
    nobody_sees_another_tenants_things,
    a_deleted_endpoint_gets_nothing_and_old_events_are_forgotten,
    the_classes_of_failures_are_kept,
);

async fn a_delivery_is_signed_and_kept_with_its_attempt(bench: Bench) {
    let shared = bench.endpoint("shared.example").await;
    let settings = EndpointSettings::new("https://public.example/in?a=b");
    let public = bench.outbox.create_endpoint(TENANT, settings, SigningScheme::Ed25519).await.unwrap();
    let event = bench.publish(7).await;
    assert_eq!(bench.deliver().await, 2);
    let keys = [
        ("shared.example", shared.keys[0].key.reveal().expose().clone()),
        ("public.example", public.keys[0].key.public().unwrap()),
    ];
    for got in bench.receiver.got() {
        let (_, key) = keys.iter().find(|(host, _)| *host == got.host).unwrap();
        assert!(got.verifies(key), "{got:?}");
        assert_eq!((got.id(), got.number()), (event.clone(), 7));
        assert_eq!(got.header("webhook-timestamp"), START.to_string());
        assert_eq!(got.header("content-type"), "application/json");
        assert!(got.header("user-agent").starts_with("integrations-webhooks/"));
        assert!(!got.headers.contains_key("cookie") && !got.headers.contains_key("authorization"));
    }
    for endpoint in [&shared, &public] {
        assert_eq!(bench.state(endpoint, &event).await, State::Succeeded);
        let attempts = bench.outbox.attempts(TENANT, &endpoint.id, &event).await.unwrap();
        assert_eq!((attempts.len(), attempts[0].status, attempts[0].class), (1, Some(200), None));
        assert_eq!(attempts[0].head, "thanks");
        assert_eq!(bench.reload(endpoint).await.health.last_success, Some(bench.now()));
    }
    assert_eq!((bench.deliver().await, bench.pass_to_next().await), (0, false));
}

async fn events_go_to_the_endpoints_of_their_tenant_that_want_them(bench: Bench) {
    for (host, types) in
        [("all.example", &[][..]), ("some.example", &["thing.*"]), ("none.example", &["other"])]
    {
        let settings = EndpointSettings::new(format!("https://{host}/")).types(types.iter().copied());
        bench.endpoint_with(settings).await;
    }
    let elsewhere = EndpointSettings::new("https://elsewhere.example/");
    bench.outbox.create_endpoint("globex", elsewhere, SigningScheme::Hmac).await.unwrap();
    bench.publish(1).await;
    bench.deliver().await;
    let mut hosts: Vec<_> = bench.receiver.got().into_iter().map(|got| got.host).collect();
    hosts.sort();
    assert_eq!(hosts, ["all.example", "some.example"]);
}

async fn a_delivery_that_always_fails_takes_the_whole_schedule_and_is_told_of(bench: Bench) {
    let endpoint = bench.endpoint("down.example").await;
    bench.receiver.always("down.example", Reply::Status(500));
    let event = bench.publish(1).await;
    let began = bench.now();
    let mut attempts = bench.deliver().await;
    while bench.pass_to_next().await {
        attempts += bench.deliver().await;
    }
    assert_eq!(attempts, 10);
    let total = RetrySchedule::default().total();
    assert_eq!(Duration::try_from(bench.now().duration_since(began)).unwrap(), total);
    let key = endpoint.keys[0].key.reveal();
    let got = bench.receiver.got();
    let mut stamps: Vec<_> = got.iter().map(|got| got.header("webhook-timestamp").to_owned()).collect();
    stamps.dedup();
    assert_eq!(stamps.len(), 10, "each attempt has a time of its own");
    assert!(got.iter().all(|got| got.id() == event && got.verifies(key.expose())));
    assert_eq!(bench.state(&endpoint, &event).await, State::Failed);
    let since = began;
    assert_eq!(bench.notices(), [Notice::Failing { since }, Notice::DeliveryFailed(event.clone())]);
    let failures = bench.outbox.failures(TENANT, &endpoint.id, None, 10).await.unwrap();
    assert_eq!(failures.iter().map(|d| &d.event).collect::<Vec<_>>(), [&event]);
    assert_eq!(failures[0].last_class, Some(ErrorClass::Http5xx));
    assert_eq!(bench.outbox.attempts(TENANT, &endpoint.id, &event).await.unwrap().len(), 10);
}

async fn the_receivers_delay_counts_in_both_forms_and_halves_the_rate(bench: Bench) {
    let endpoint = bench.endpoint("busy.example").await;
    let date = "Fri, 15 Jan 2027 08:30:00 GMT";
    let at: Timestamp = "2027-01-15T08:30:00Z".parse().unwrap();
    assert!(at.as_second() > START);
    let replies =
        [Reply::After(429, "600".into()), Reply::After(503, date.into()), Reply::After(502, "1".into())];
    bench.receiver.answers("busy.example", replies);
    let event = bench.publish(1).await;
    bench.deliver().await;
    let delivery = bench.delivery(&endpoint, &event).await;
    assert_eq!(delivery.due.unwrap().as_second(), START + 600);
    assert_eq!((delivery.state, bench.reload(&endpoint).await.health.slowdown), (State::Retrying, 2));
    bench.pass_to_next().await;
    bench.deliver().await;
    assert_eq!(bench.delivery(&endpoint, &event).await.due, Some(at));
    bench.pass_to_next().await;
    bench.deliver().await;
    let own = Duration::from_secs(1800);
    let due = bench.delivery(&endpoint, &event).await.due.unwrap();
    assert_eq!(Duration::try_from(due.duration_since(at)).unwrap(), own, "the schedule is the floor");
    assert_eq!(bench.reload(&endpoint).await.health.slowdown, 8);
    bench.pass_to_next().await;
    bench.deliver().await;
    assert_eq!(bench.state(&endpoint, &event).await, State::Succeeded);
    assert_eq!(bench.reload(&endpoint).await.health.slowdown, 7, "it recovers by steps");
}

async fn gone_means_gone(bench: Bench) {
    let endpoint = bench.endpoint("gone.example").await;
    bench.receiver.answers("gone.example", [Reply::Status(500), Reply::Status(410)]);
    let first = bench.publish(1).await;
    bench.deliver().await;
    let second = bench.publish(2).await;
    bench.deliver().await;
    assert_eq!(bench.reload(&endpoint).await.status, EndpointStatus::Gone);
    for event in [&first, &second] {
        assert_eq!(bench.state(&endpoint, event).await, State::Cancelled);
    }
    bench.publish(3).await;
    assert!(!bench.pass_to_next().await);
    assert_eq!((bench.deliver().await, bench.notices()), (0, vec![Notice::Gone]));
    let refused = bench.outbox.replay(TENANT, &endpoint.id, &first).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}

async fn a_redirect_is_a_failure_and_is_not_followed(bench: Bench) {
    let endpoint = bench.endpoint("moved.example").await;
    bench.receiver.answers("moved.example", [302, 307, 308].map(Reply::Status));
    let event = bench.publish(1).await;
    for _ in 0..3 {
        bench.deliver().await;
        let delivery = bench.delivery(&endpoint, &event).await;
        assert_eq!((delivery.state, delivery.last_class), (State::Retrying, Some(ErrorClass::Http3xx)));
        bench.pass_to_next().await;
    }
    assert!(bench.receiver.got().iter().all(|got| got.host == "moved.example"));
}

async fn a_forbidden_address_is_not_tried_again(bench: Bench) {
    let endpoint = bench.endpoint("rebound.example").await;
    bench.receiver.answers("rebound.example", [Reply::Fail(TransportFailure::Forbidden, false)]);
    let event = bench.publish(1).await;
    bench.deliver().await;
    let delivery = bench.delivery(&endpoint, &event).await;
    assert_eq!((delivery.state, delivery.last_class), (State::Failed, Some(ErrorClass::BlockedAddress)));
    assert!(bench.reload(&endpoint).await.health.blocked);
    assert_eq!((bench.notices(), bench.pass_to_next().await), (vec![Notice::Blocked(event)], false));
}

async fn an_endpoint_that_fails_for_five_days_is_disabled_and_catches_up(bench: Bench) {
    let endpoint = bench.endpoint("long.example").await;
    bench.receiver.always("long.example", Reply::Status(500));
    let since = bench.now();
    for n in 0..7 {
        bench.publish(n).await;
        let end = bench.now().checked_add(jiff::SignedDuration::from_hours(20)).unwrap();
        bench.deliver().await;
        while bench.store.next_wake().await.unwrap().is_some_and(|next| next <= end) {
            bench.pass_to_next().await;
            bench.deliver().await;
        }
        bench.pass(Duration::try_from(end.duration_since(bench.now())).unwrap_or_default());
    }
    assert_eq!(bench.reload(&endpoint).await.status, EndpointStatus::Disabled);
    let notices = bench.notices();
    assert_eq!(notices.iter().filter(|n| **n == Notice::Failing { since }).count(), 1, "{notices:?}");
    assert_eq!(notices.iter().filter(|n| **n == Notice::Disabled { since }).count(), 1, "{notices:?}");
    let missed = bench.publish(99).await;
    assert_eq!((bench.pass_to_next().await, bench.deliver().await), (false, 0));
    bench.receiver.always("long.example", Reply::Status(204));
    let before = bench.receiver.got().len();
    assert_eq!(bench.outbox.enable_endpoint(TENANT, &endpoint.id, true).await.unwrap(), 8);
    assert_eq!(bench.deliver().await, 8);
    assert_eq!(bench.receiver.got().len() - before, 8);
    assert_eq!(bench.state(&endpoint, &missed).await, State::Succeeded);
}

/// It was well: nothing tells since when it failed.
async fn an_endpoint_that_was_switched_off_catches_up_too(bench: Bench) {
    for (host, well) in [("well.example", true), ("new.example", false)] {
        let endpoint = bench.endpoint(host).await;
        if well {
            bench.publish(1).await;
            assert_eq!(bench.deliver().await, 1);
        }
        bench.pass(hours(1));
        bench.publish(2).await;
        bench.outbox.disable_endpoint(TENANT, &endpoint.id).await.unwrap();
        bench.publish(3).await;
        assert_eq!(bench.outbox.enable_endpoint(TENANT, &endpoint.id, true).await.unwrap(), 2, "{host}");
        bench.deliver().await;
        assert_eq!(bench.receiver.numbers(host), if well { vec![1, 2, 3] } else { vec![2, 3] });
        bench.outbox.disable_endpoint(TENANT, &endpoint.id).await.unwrap();
        assert_eq!(bench.outbox.enable_endpoint(TENANT, &endpoint.id, true).await.unwrap(), 0, "it has all");
        bench.outbox.delete_endpoint(TENANT, &endpoint.id).await.unwrap();
        bench.pass(hours(1));
    }
}

async fn order_is_kept_within_a_partition_and_for_so_long_only(bench: Bench) {
    let settings = EndpointSettings::new("https://order.example/").limits(1000, 64).in_order();
    let endpoint = bench.endpoint_with(settings).await;
    bench.receiver.answers("order.example", vec![Reply::Status(500); 5]);
    let head = bench.publish_in(1, "a").await;
    bench.deliver().await;
    let behind = bench.publish_in(2, "a").await;
    bench.publish_in(3, "a").await;
    assert_eq!(bench.deliver().await, 0, "the others wait for the first");
    while bench.state(&endpoint, &head).await != State::Parked {
        assert_eq!(bench.state(&endpoint, &behind).await, State::Pending);
        assert!(bench.pass_to_next().await);
        bench.deliver().await;
    }
    bench.deliver().await;
    // Five attempts within 2:35:05; the sixth would come 5 h later, after the 6 h that a head may hold up others.
    assert_eq!(bench.receiver.numbers("order.example"), [1, 1, 1, 1, 1, 2, 3]);
    assert_eq!(bench.notices(), [Notice::DeliveryParked(head.clone())]);
    bench.receiver.answers("order.example", [Reply::Status(500)]);
    bench.publish_in(4, "b").await;
    bench.deliver().await;
    bench.publish_in(5, "b").await;
    bench.publish_in(6, "c").await;
    bench.deliver().await;
    assert_eq!(bench.receiver.numbers("order.example")[7..], [4, 6], "another partition goes on");
    bench.outbox.replay(TENANT, &endpoint.id, &head).await.unwrap();
    bench.pass_to_next().await;
    bench.pass(Duration::from_secs(10));
    bench.deliver().await;
    let mut rest = bench.receiver.numbers("order.example")[9..].to_vec();
    let place = |n| rest.iter().position(|m| *m == n).unwrap();
    assert!(place(4) < place(5), "{rest:?}");
    rest.sort_unstable();
    assert_eq!(rest, [1, 4, 5]);
}

async fn without_order_a_retry_holds_up_nothing(bench: Bench) {
    let endpoint = bench.endpoint("loose.example").await;
    bench.receiver.answers("loose.example", [Reply::Status(500)]);
    let first = bench.publish(1).await;
    bench.deliver().await;
    bench.publish(2).await;
    bench.deliver().await;
    assert_eq!(bench.receiver.numbers("loose.example"), [1, 2]);
    assert_eq!(bench.state(&endpoint, &first).await, State::Retrying);
}

async fn the_rate_and_the_places_of_an_endpoint_are_kept(bench: Bench) {
    bench.endpoint_with(EndpointSettings::new("https://rate.example/").limits(2, 3)).await;
    bench.endpoint("free.example").await;
    for n in 0..10 {
        bench.publish(n).await;
    }
    bench.deliver().await;
    assert_eq!(bench.receiver.numbers("free.example").len(), 10, "the other endpoint is not held up");
    let mut counts = vec![bench.receiver.numbers("rate.example").len()];
    for _ in 0..6 {
        bench.pass(Duration::from_millis(500));
        bench.deliver().await;
        counts.push(bench.receiver.numbers("rate.example").len());
    }
    assert_eq!(counts, [3, 4, 5, 6, 7, 8, 9], "three at first, then two in each second");
}

async fn replays_send_the_same_id_again(bench: Bench) {
    let endpoint = bench.endpoint("again.example").await;
    let done = bench.publish(1).await;
    bench.deliver().await;
    bench.pass(hours(1));
    let since = bench.now();
    bench.receiver.answers("again.example", [Reply::Fail(TransportFailure::Forbidden, false)]);
    let failed = bench.publish(2).await;
    bench.deliver().await;
    bench.receiver.answers("again.example", [Reply::Status(500)]);
    let retrying = bench.publish(3).await;
    bench.deliver().await;
    let conflict = bench.outbox.replay(TENANT, &endpoint.id, &retrying).await.unwrap_err();
    assert_eq!(conflict.kind(), ErrorKind::Conflict);
    assert_eq!(bench.outbox.replay_since(TENANT, &endpoint.id, since).await.unwrap(), 1);
    bench.outbox.replay(TENANT, &endpoint.id, &done).await.unwrap();
    bench.deliver().await;
    assert_eq!(bench.receiver.numbers("again.example"), [1, 2, 3, 1, 2]);
    let got = bench.receiver.got();
    assert_eq!((got[3].id(), got[4].id()), (done.clone(), failed.clone()));
    assert_ne!(got[3].header("webhook-timestamp"), got[0].header("webhook-timestamp"));
    assert_eq!(bench.outbox.attempts(TENANT, &endpoint.id, &done).await.unwrap().len(), 2);
    // What was published before an endpoint was made can be sent to it as well, in parts.
    for n in 0..1100 {
        bench.publish(n).await;
    }
    let late = bench.endpoint("late.example").await;
    let all = bench.outbox.replay_since(TENANT, &late.id, Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(all, 1103);
}

async fn a_test_event_goes_to_one_endpoint(bench: Bench) {
    let one = bench.endpoint_with(EndpointSettings::new("https://one.example/").types(["x.y"])).await;
    bench.endpoint("two.example").await;
    let event = bench.outbox.send_test(TENANT, &one.id).await.unwrap();
    bench.deliver().await;
    let got = bench.receiver.got();
    assert_eq!((got.len(), got[0].host.as_str(), got[0].id()), (1, "one.example", event));
    let body: serde_json::Value = serde_json::from_slice(&got[0].body).unwrap();
    assert_eq!(body["type"], "webhook.test");
}

async fn nobody_sees_another_tenants_things(bench: Bench) {
    let endpoint = bench.endpoint("mine.example").await;
    let event = bench.publish(1).await;
    bench.receiver.answers("mine.example", [Reply::Fail(TransportFailure::Forbidden, false)]);
    bench.deliver().await;
    let (outbox, id) = (&bench.outbox, &endpoint.id);
    assert!(outbox.endpoint("globex", id).await.is_err());
    assert!(outbox.endpoints("globex").await.unwrap().is_empty());
    assert!(outbox.rotate_key("globex", id).await.is_err());
    assert!(outbox.disable_endpoint("globex", id).await.is_err());
    assert!(outbox.delete_endpoint("globex", id).await.is_err());
    assert!(outbox.replay("globex", id, &event).await.is_err());
    assert!(outbox.send_test("globex", id).await.is_err());
    assert!(outbox.failures("globex", id, None, 9).await.unwrap().is_empty());
    assert!(outbox.delivery("globex", id, &event).await.unwrap().is_none());
    assert!(outbox.attempts("globex", id, &event).await.unwrap().is_empty());
    let theirs = NewEvent::new("thing.made", &()).unwrap();
    let theirs = outbox.publish("globex", theirs).await.unwrap();
    let refused = outbox.replay(TENANT, id, &theirs).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}

async fn a_deleted_endpoint_gets_nothing_and_old_events_are_forgotten(bench: Bench) {
    let endpoint = bench.endpoint("bye.example").await;
    bench.receiver.answers("bye.example", [Reply::Status(500)]);
    let event = bench.publish(1).await;
    bench.deliver().await;
    bench.pass(hours(1));
    assert_eq!(bench.outbox.purge(bench.now()).await.unwrap(), 0, "it is still on its way");
    bench.outbox.delete_endpoint(TENANT, &endpoint.id).await.unwrap();
    assert_eq!(bench.state(&endpoint, &event).await, State::Cancelled);
    assert_eq!((bench.pass_to_next().await, bench.deliver().await), (false, 0));
    assert_eq!(bench.outbox.purge(bench.now()).await.unwrap(), 1);
    assert!(bench.outbox.delivery(TENANT, &endpoint.id, &event).await.unwrap().is_none());
}

async fn the_classes_of_failures_are_kept(bench: Bench) {
    let endpoint = bench.endpoint("odd.example").await;
    let table = [
        (Reply::Fail(TransportFailure::Reset, true), Some(ErrorClass::Reset), 0),
        (Reply::Fail(TransportFailure::Tls, false), Some(ErrorClass::Tls), 0),
        (Reply::Fail(TransportFailure::Connect, false), Some(ErrorClass::ConnectRefused), 0),
        (Reply::Status(404), Some(ErrorClass::Http4xx), 6),
        (Reply::Status(429), Some(ErrorClass::Http429), 6),
        (Reply::Huge(100_000), None, 4096),
    ];
    bench.receiver.answers("odd.example", table.iter().map(|(reply, ..)| reply.clone()));
    let event = bench.publish(1).await;
    for _ in &table {
        bench.deliver().await;
        bench.pass_to_next().await;
    }
    let attempts = bench.outbox.attempts(TENANT, &endpoint.id, &event).await.unwrap();
    let kept: Vec<_> = attempts.iter().map(|attempt| (attempt.class, attempt.head.len())).collect();
    assert_eq!(kept, table.map(|(_, class, head)| (class, head)));
}
