//! Refresh tokens: rotation, theft and lost answers.

use std::sync::Arc;
use std::time::Duration;

use integrations_auth::{MemoryRecords, RecordStore, RefreshGrant, RefreshReused, RefreshTokens};
use integrations_core::{Clock, Error, ErrorKind, SecretString};

use super::clock;

struct Bench {
    records: Arc<MemoryRecords>,
    clock: Clock,
    tokens: RefreshTokens,
}

fn bench() -> Bench {
    let (records, clock) = (Arc::new(MemoryRecords::new()), clock());
    Bench { tokens: RefreshTokens::new(records.clone(), clock.clone()), records, clock }
}

impl Bench {
    async fn begun(&self) -> SecretString {
        self.tokens.begin(&grant()).await.unwrap()
    }

    async fn next(&self, token: &SecretString) -> SecretString {
        self.tokens.redeem(token, "cli").await.unwrap().token
    }

    async fn error(&self, token: &SecretString) -> Error {
        self.tokens.redeem(token, "cli").await.unwrap_err()
    }
}

fn grant() -> RefreshGrant {
    RefreshGrant::new("acme", "u1".into(), "cli").scopes(["orders:read"])
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn each_token_gives_the_next_one_and_all_stand_for_the_same() {
    let bench = bench();
    let mut token = bench.begun().await;
    let mut seen = vec![token.expose().clone()];
    for _ in 0..50 {
        pass(600).await;
        let refreshed = bench.tokens.redeem(&token, "cli").await.unwrap();
        assert_eq!(refreshed.grant, grant());
        assert!(!seen.contains(refreshed.token.expose()));
        seen.push(refreshed.token.expose().clone());
        token = refreshed.token;
    }
    let kept = bench.records.owned("acme", "refresh", &"u1".into(), bench.clock.now()).await.unwrap();
    assert_eq!(kept.len(), 1);
    let kept = format!("{}{}", kept[0].0, String::from_utf8(kept[0].1.draft.value.expose().clone()).unwrap());
    for token in &seen {
        let random = token.split('.').skip(1).filter(|part| kept.contains(part));
        assert_eq!(random.count(), 0, "neither a secret nor the family's name is kept as it is");
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_token_ends_the_family_and_says_whose_it_was() {
    let bench = bench();
    let first = bench.begun().await;
    let second = bench.next(&first).await;
    pass(11).await;
    let error = bench.error(&first).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unauthenticated, Some("refresh_reused")));
    let whose: &RefreshReused = error.details().unwrap();
    assert_eq!(whose.grant, grant());
    assert!(!format!("{error:?}").contains(first.expose().rsplit('.').next().unwrap()));
    // Nobody has anything any more: neither the thief nor the owner.
    for token in [&second, &first] {
        assert_eq!(bench.error(token).await.code(), Some("refresh_token"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_from_before_the_last_one_is_old_at_once() {
    let bench = bench();
    let first = bench.begun().await;
    let second = bench.next(&first).await;
    let third = bench.next(&second).await;
    assert_eq!(bench.error(&first).await.code(), Some("refresh_reused"));
    assert_eq!(bench.error(&third).await.code(), Some("refresh_token"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_given_again_for_ten_seconds_from_the_first_time() {
    let bench = bench();
    let first = bench.begun().await;
    let second = bench.next(&first).await;
    for wait in [0, 4, 6] {
        pass(wait).await;
        assert!(bench.next(&first).await.ct_eq(second.expose()), "{wait}");
    }
    assert!(!bench.next(&second).await.ct_eq(second.expose()));
    // And once more, to its end.
    let bench = self::bench();
    let first = bench.begun().await;
    bench.next(&first).await;
    pass(10).await;
    bench.next(&first).await;
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(bench.error(&first).await.code(), Some("refresh_reused"));
}

#[tokio::test]
async fn all_who_redeem_one_token_at_once_get_the_same_one() {
    let bench = bench();
    let first = bench.begun().await;
    let redeemed = (0..6).map(|_| {
        let (tokens, first) = (bench.tokens.clone(), first.clone());
        tokio::spawn(async move { tokens.redeem(&first, "cli").await.unwrap().token })
    });
    let mut seen = std::collections::BTreeSet::new();
    for redeemed in redeemed.collect::<Vec<_>>() {
        seen.insert(redeemed.await.unwrap().expose().clone());
    }
    assert_eq!(seen.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_program_gets_nothing_and_ends_nothing() {
    let bench = bench();
    let first = bench.begun().await;
    let second = bench.next(&first).await;
    for token in [&first, &second] {
        let error = bench.tokens.redeem(token, "other").await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unauthenticated, Some("refresh_token")));
    }
    bench.next(&second).await;
}

#[tokio::test(start_paused = true)]
async fn a_family_ends_without_use_and_in_any_case() {
    const DAY: u64 = 86_400;
    let bench = bench();
    let idle = bench.begun().await;
    pass(30 * DAY).await;
    assert_eq!(bench.error(&idle).await.code(), Some("refresh_token"));

    let mut token = bench.begun().await;
    for _ in 0..8 {
        pass(10 * DAY).await;
        token = bench.next(&token).await;
    }
    pass(10 * DAY - 1).await;
    token = bench.next(&token).await;
    pass(1).await;
    assert_eq!(bench.error(&token).await.code(), Some("refresh_token"));
}

#[tokio::test(start_paused = true)]
async fn families_are_ended_by_one_of_their_tokens_and_by_their_user() {
    let bench = bench();
    let (one, other) = (bench.begun().await, bench.begun().await);
    let next = bench.next(&one).await;
    assert!(bench.tokens.revoke(&one).await.unwrap());
    assert!(!bench.tokens.revoke(&next).await.unwrap());
    assert_eq!(bench.error(&next).await.code(), Some("refresh_token"));
    let last = bench.next(&other).await;
    assert_eq!(bench.tokens.revoke_all("other", &"u1".into()).await.unwrap(), 0);
    assert_eq!(bench.tokens.revoke_all("acme", &"u1".into()).await.unwrap(), 1);
    assert!(bench.tokens.redeem(&last, "cli").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_token_is_refused_and_ends_nothing() {
    let bench = bench();
    let token = bench.begun().await;
    let parts: Vec<&str> = token.expose().splitn(3, '.').collect();
    let (tenant, family, secret) = (parts[0], parts[1], parts[2]);
    let wrong = [
        String::new(),
        "rt_".into(),
        "rt_..".into(),
        format!("{tenant}.{family}"),
        format!("{tenant}.{family}."),
        format!("{tenant}.{family}.{}", &secret[1..]),
        format!("{tenant}.{family}.{secret}="),
        format!("{tenant}.{family}.{secret}.x"),
        format!("rt_.{family}.{secret}"),
        format!("{tenant}.{secret}.{secret}"),
        token.expose().repeat(100),
    ];
    for wrong in wrong {
        let error = bench.error(&wrong.as_str().into()).await;
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Unauthenticated, Some("refresh_token")),
            "{wrong}"
        );
    }
    bench.next(&token).await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_behind_gives_a_lost_answer_no_longer() {
    for (behind, is_given) in [(9, true), (11, false)] {
        let bench = bench();
        let slow = Clock::virtual_from(bench.clock.now() - Duration::from_secs(behind));
        let slow = RefreshTokens::new(bench.records.clone(), slow);
        let first = bench.begun().await;
        let second = bench.next(&first).await;
        let again = slow.redeem(&first, "cli").await;
        assert_eq!(again.is_ok_and(|again| again.token.expose() == second.expose()), is_given, "{behind}");
    }
}
