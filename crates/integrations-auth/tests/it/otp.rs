//! One-time codes and codes to recover with, as a user goes through them.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use integrations_auth::{
    MailAddress, MemoryRecords, MemoryUsers, Method, OneTimeCodes, SecondFactor, Sessions, Throttle, User,
    UserId, UserStore,
};
use integrations_core::{Clock, Error, ErrorKind, SecretString};
use jiff::Timestamp;

struct Bench {
    users: Arc<MemoryUsers>,
    sessions: Sessions,
    clock: Clock,
    codes: OneTimeCodes,
}

async fn bench() -> Bench {
    let clock = Clock::virtual_from("2026-03-01T12:00:00Z".parse().unwrap());
    let (users, records) = (Arc::new(MemoryUsers::new()), Arc::new(MemoryRecords::new()));
    let mut user = User::new("u1", "acme", clock.now());
    user.email = Some(MailAddress::parse("ada@example.org").unwrap());
    users.insert(&user).await.unwrap();
    let throttle = Throttle::new(records.clone(), clock.clone());
    let codes = OneTimeCodes::new(users.clone(), throttle, clock.clone(), "Acme & Söhne: CRM");
    Bench { users, sessions: Sessions::new(records, clock.clone()), clock, codes }
}

fn id() -> UserId {
    "u1".into()
}

/// A telephone: RFC 6238 once more, from what it was shown.
fn shown(secret: &SecretString, at: Timestamp) -> String {
    let symbols = secret.expose().bytes().map(|symbol| match symbol {
        b'A'..=b'Z' => u32::from(symbol - b'A'),
        _ => u32::from(symbol - b'2') + 26,
    });
    let (mut bytes, mut rest, mut bits) = (Vec::new(), 0_u32, 0);
    for symbol in symbols {
        (rest, bits) = ((rest << 5 | symbol) & 0xfff, bits + 5);
        if bits >= 8 {
            bits -= 8;
            bytes.push((rest >> bits) as u8);
        }
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let mac = hmac::sign(&key, &(at.as_second() as u64 / 30).to_be_bytes());
    let at = usize::from(mac.as_ref()[19] & 15);
    let cut = u32::from_be_bytes(mac.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", cut % 1_000_000)
}

impl Bench {
    fn at(&self, offset: i64) -> Timestamp {
        Timestamp::from_second(self.clock.now().as_second() + offset).unwrap()
    }

    async fn enrolled(&self) -> SecretString {
        let enrolment = self.codes.enrol("acme", &id()).await.unwrap();
        let code = shown(&enrolment.secret, self.at(0));
        let proof = self.codes.confirm("acme", &id(), &code).await.unwrap();
        assert_eq!((proof.tenant(), proof.user().as_str()), ("acme", "u1"));
        next_step().await;
        enrolment.secret
    }

    async fn user(&self) -> User {
        self.users.user("acme", &id()).await.unwrap().unwrap()
    }

    async fn recovery_codes(&self, secret: &SecretString) -> Vec<String> {
        let proof = self.codes.check("acme", &id(), &shown(secret, self.at(0))).await.unwrap();
        let codes = self.codes.new_recovery_codes(proof).await.unwrap();
        codes.iter().map(|code| code.expose().clone()).collect()
    }
}

async fn next_step() {
    tokio::time::advance(Duration::from_secs(30)).await;
}

fn told(error: &Error) -> (ErrorKind, Option<&str>, &str) {
    (error.kind(), error.code(), error.message())
}

const WRONG: (ErrorKind, Option<&str>, &str) =
    (ErrorKind::Unauthenticated, Some("one_time_code"), "the code is not good");

#[tokio::test(start_paused = true)]
async fn an_enrolment_is_an_address_for_telephones_and_proves_nothing_before_its_first_code() {
    let bench = bench().await;
    let enrolment = bench.codes.enrol("acme", &id()).await.unwrap();
    let secret = enrolment.secret.expose();
    assert_eq!(secret.len(), 32);
    let expected = format!(
        "otpauth://totp/Acme%20%26%20S%C3%B6hne%20%20CRM:ada%40example.org?secret={secret}\
         &issuer=Acme%20%26%20S%C3%B6hne%20%20CRM&algorithm=SHA1&digits=6&period=30"
    );
    assert_eq!(*enrolment.url.expose(), expected);
    assert!(!format!("{enrolment:?} {:?}", bench.user().await).contains(secret.as_str()));

    let code = shown(&enrolment.secret, bench.at(0));
    assert_eq!(told(&bench.codes.check("acme", &id(), &code).await.unwrap_err()), WRONG);
    assert!(bench.user().await.one_time.unwrap().confirmed_at.is_none());
    // One that was begun anew takes its place.
    let second = bench.codes.enrol("acme", &id()).await.unwrap();
    assert!(bench.codes.confirm("acme", &id(), &code).await.is_err());
    bench.codes.confirm("acme", &id(), &shown(&second.secret, bench.at(0))).await.unwrap();
    assert_eq!(bench.codes.enrol("acme", &id()).await.unwrap_err().code(), Some("enrolled"));
    // Confirmed once: a later code is for `check` alone.
    next_step().await;
    let code = shown(&second.secret, bench.at(0));
    assert!(bench.codes.confirm("acme", &id(), &code).await.is_err());
    let proof = bench.codes.check("acme", &id(), &code).await.unwrap();
    assert_eq!(proof.method(), SecondFactor::OneTimeCode);
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_another_system_is_read_as_people_have_it() {
    let bench = bench().await;
    for wrong in ["", "GEZDGNBV", "not base32!"] {
        let error = bench.codes.import("acme", &id(), &wrong.into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{wrong}");
    }
    let typed = SecretString::from(" gezd gnbv gy3t qojq gezd gnbv gy3t qojq ");
    let enrolment = bench.codes.import("acme", &id(), &typed).await.unwrap();
    assert_eq!(enrolment.secret.expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    bench.codes.confirm("acme", &id(), &shown(&enrolment.secret, bench.at(0))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_code_is_good_once_and_those_before_it_no_more() {
    let bench = bench().await;
    let secret = bench.enrolled().await;
    let (before, code, after) =
        (shown(&secret, bench.at(-30)), shown(&secret, bench.at(0)), shown(&secret, bench.at(30)));
    bench.codes.check("acme", &id(), &code).await.unwrap();
    for used in [&code, &before] {
        assert_eq!(told(&bench.codes.check("acme", &id(), used).await.unwrap_err()), WRONG);
    }
    // The telephone is fast by one step, which is then used up, too.
    bench.codes.check("acme", &id(), &after).await.unwrap();
    next_step().await;
    assert!(bench.codes.check("acme", &id(), &after).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_window_is_what_was_set_and_never_more_than_two_steps() {
    for (window, good) in
        [(0, vec![0]), (1, vec![-1, 0, 1]), (2, vec![-2, -1, 0, 1, 2]), (9, vec![-2, -1, 0, 1, 2])]
    {
        let bench = bench().await;
        let codes = bench.codes.clone().window(window);
        let secret = bench.enrolled().await;
        tokio::time::advance(Duration::from_secs(3600)).await;
        let mut accepted = Vec::new();
        for away in -3..=3 {
            let code = shown(&secret, bench.at(away * 30));
            if codes.check("acme", &id(), &code).await.is_ok() {
                accepted.push(away);
            }
        }
        assert_eq!(accepted, good, "{window}");
    }
}

#[tokio::test]
async fn of_many_requests_with_one_code_one_succeeds() {
    for recovering in [false, true] {
        let bench = bench().await;
        tokio::time::pause();
        let secret = bench.enrolled().await;
        let recovery = bench.recovery_codes(&secret).await;
        next_step().await;
        tokio::time::resume();
        let code = if recovering { recovery[3].clone() } else { shown(&secret, bench.at(0)) };
        let tries: Vec<_> = (0..5)
            .map(|_| {
                let (codes, code) = (bench.codes.clone(), code.clone());
                tokio::spawn(async move {
                    if recovering {
                        codes.recover("acme", &id(), &code).await
                    } else {
                        codes.check("acme", &id(), &code).await
                    }
                })
            })
            .collect();
        let mut won = 0;
        for attempt in tries {
            won += usize::from(attempt.await.unwrap().is_ok());
        }
        assert_eq!(won, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn guessing_is_held_back_for_both_kinds_together_and_success_forgets() {
    let bench = bench().await;
    let secret = bench.enrolled().await;
    let recovery = bench.recovery_codes(&secret).await;
    next_step().await;
    for _ in 0..2 {
        assert_eq!(told(&bench.codes.check("acme", &id(), "000000").await.unwrap_err()), WRONG);
        assert!(bench.codes.recover("acme", &id(), "aaaa-aaaa-aaaa-aaaa").await.is_err());
    }
    assert!(bench.codes.check("acme", &id(), "no digits").await.is_err());
    let good = shown(&secret, bench.at(0));
    for held in [
        bench.codes.check("acme", &id(), &good).await,
        bench.codes.recover("acme", &id(), &recovery[0]).await,
    ] {
        let error = held.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert!(error.retry_after().is_some());
    }
    tokio::time::advance(Duration::from_secs(30)).await;
    bench.codes.check("acme", &id(), &shown(&secret, bench.at(0))).await.unwrap();
    for _ in 0..5 {
        assert_eq!(told(&bench.codes.check("acme", &id(), "000000").await.unwrap_err()), WRONG);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_refuses_until_it_has_caught_up() {
    let bench = bench().await;
    let secret = bench.enrolled().await;
    bench.codes.check("acme", &id(), &shown(&secret, bench.at(0))).await.unwrap();
    let back = Clock::virtual_from(bench.at(-300));
    let throttle = Throttle::new(Arc::new(MemoryRecords::new()), back.clone()).free(1000);
    let codes = OneTimeCodes::new(bench.users.clone(), throttle, back.clone(), "Acme");
    let mut refused = 0;
    while codes.check("acme", &id(), &shown(&secret, back.now())).await.is_err() {
        refused += 1;
        next_step().await;
    }
    // Ten steps behind, and the step of the last code itself.
    assert_eq!(refused, 11);
}

#[tokio::test(start_paused = true)]
async fn recovery_codes_are_ten_are_good_once_each_and_are_kept_as_hashes() {
    let bench = bench().await;
    let secret = bench.enrolled().await;
    let codes = bench.recovery_codes(&secret).await;
    assert_eq!(codes.len(), 10);
    assert!(
        codes.iter().all(|code| code.len() == 19 && code.split('-').all(|group| group.len() == 4)),
        "{codes:?}"
    );
    let kept = bench.user().await.recovery;
    assert!(!codes.iter().any(|code| kept.iter().any(|kept| kept.contains(&code.replace('-', "")))));

    let typed = [codes[0].clone(), codes[1].to_uppercase(), format!(" {} ", codes[2].replace('-', " "))];
    for (used, code) in typed.iter().enumerate() {
        let proof = bench.codes.recover("acme", &id(), code).await.unwrap();
        assert_eq!(proof.method(), SecondFactor::RecoveryCode);
        assert_eq!(bench.codes.recovery_codes_left("acme", &id()).await.unwrap(), 9 - used);
        let again = bench.codes.recover("acme", &id(), code).await.unwrap_err();
        assert_eq!((again.kind(), again.code()), (ErrorKind::Unauthenticated, Some("recovery_code")));
        tokio::time::advance(Duration::from_secs(3600)).await;
    }
    // New ones end the old ones.
    let new = bench.recovery_codes(&secret).await;
    assert_eq!(bench.codes.recovery_codes_left("acme", &id()).await.unwrap(), 10);
    assert!(bench.codes.recover("acme", &id(), &codes[5]).await.is_err());
    bench.codes.recover("acme", &id(), &new[5]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_recovery_code_of_one_user_is_nothing_to_another() {
    let bench = bench().await;
    let secret = bench.enrolled().await;
    let codes = bench.recovery_codes(&secret).await;
    let (mine, mut other) = (bench.user().await, User::new("u2", "acme", bench.clock.now()));
    (other.one_time, other.recovery) = (mine.one_time, mine.recovery);
    bench.users.insert(&other).await.unwrap();
    assert!(bench.codes.recover("acme", &"u2".into(), &codes[0]).await.is_err());
    assert!(bench.codes.recover("acme", &id(), &codes[0]).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn disabling_takes_a_fresh_proof_and_takes_both_away() {
    let bench = bench().await;
    let secret = bench.enrolled().await;
    let recovery = bench.recovery_codes(&secret).await;
    let (_, session) = bench.sessions.create(&bench.user().await, vec![Method::Password]).await.unwrap();
    let proof = session.fresh(Duration::from_secs(60), bench.clock.now()).unwrap();
    bench.codes.disable(proof).await.unwrap();
    next_step().await;
    assert!(bench.user().await.one_time.is_none());
    assert_eq!(
        told(&bench.codes.check("acme", &id(), &shown(&secret, bench.at(0))).await.unwrap_err()),
        WRONG
    );
    assert!(bench.codes.recover("acme", &id(), &recovery[0]).await.is_err());
    assert!(bench.codes.enrol("acme", &id()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_user_who_does_not_exist_and_one_without_second_factor_are_answered_like_a_wrong_code() {
    let bench = bench().await;
    for user in ["u1", "nobody"] {
        let error = bench.codes.check("acme", &user.into(), "123456").await.unwrap_err();
        assert_eq!(told(&error), WRONG, "{user}");
        let error = bench.codes.recover("acme", &user.into(), "aaaa-aaaa-aaaa-aaaa").await.unwrap_err();
        assert_eq!(error.code(), Some("recovery_code"), "{user}");
    }
    assert_eq!(bench.codes.enrol("acme", &"nobody".into()).await.unwrap_err().kind(), ErrorKind::NotFound);
}
