//! Whoever is not signed in cannot tell which accounts there are.

use integrations_auth::Sessions;

use super::*;

const STATES: [&str; 6] =
    ["absent", "verified", "unverified", "disabled", "without a password", "of another hash"];
const BCRYPT: &str = "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW";

async fn make(world: &World, state: &str) {
    let now = world.clock.now();
    let change = |user: &mut User| match state {
        "unverified" => user.email_verified_at = None,
        "disabled" => user.disabled_at = Some(now),
        "without a password" => user.password = None,
        "of another hash" => user.password = Some(BCRYPT.into()),
        _ => {}
    };
    if state != "absent" {
        world.insert("u1", "ada@example.org", change).await;
    }
}

/// What can be called by whoever is not signed in.
#[derive(Debug, Clone, Copy)]
enum Call {
    LoginWrong,
    LoginTooLong,
    SignUp,
    SignUpShort,
    SignUpIsAddress,
    Verification,
    Reset,
    VerifyToken,
    ResetToken,
    ChangeToken,
}

impl Call {
    const ALL: [Self; 10] = [
        Self::LoginWrong,
        Self::LoginTooLong,
        Self::SignUp,
        Self::SignUpShort,
        Self::SignUpIsAddress,
        Self::Verification,
        Self::Reset,
        Self::VerifyToken,
        Self::ResetToken,
        Self::ChangeToken,
    ];

    async fn make(self, world: &World) -> String {
        let (it, ada) = (&world.accounts, mail("Ada@example.org"));
        match self {
            Self::LoginWrong => said(&it.login("t", &ada, &secret(OTHER)).await),
            Self::LoginTooLong => said(&it.login("t", &ada, &secret(&"x".repeat(1025))).await),
            Self::SignUp => said(&it.sign_up("t", &ada, &secret(OTHER)).await),
            Self::SignUpShort => said(&it.sign_up("t", &ada, &secret("short")).await),
            Self::SignUpIsAddress => said(&it.sign_up("t", &ada, &secret("ada@example.org")).await),
            Self::Verification => said(&it.request_verification("t", &ada).await),
            Self::Reset => said(&it.request_reset("t", &ada).await),
            Self::VerifyToken => said(&it.verify_address("t", &secret("guess")).await),
            Self::ResetToken => said(&it.reset("t", &secret("guess"), &secret(OTHER)).await),
            Self::ChangeToken => said(&it.confirm_address_change("t", &secret("guess")).await),
        }
    }
}

/// Answers to eight calls one after the other (the last ones come too early), and what the stores were asked until each
/// answer.
async fn seen(call: Call, state: &str) -> Vec<(String, Vec<String>)> {
    let world = World::new();
    make(&world, state).await;
    let mut all = Vec::new();
    for _ in 0..8 {
        world.calls.made.lock().unwrap().clear();
        let answer = call.make(&world).await;
        all.push((answer, world.calls.made.lock().unwrap().clone()));
        world.settle().await;
    }
    all
}

#[tokio::test(start_paused = true)]
async fn every_answer_is_the_same_whatever_the_account_is_and_so_is_what_the_stores_do_until_then() {
    for call in Call::ALL {
        let absent = seen(call, "absent").await;
        let counts_guesses = matches!(
            call,
            Call::LoginWrong | Call::SignUp | Call::SignUpShort | Call::Verification | Call::Reset
        );
        assert_eq!(
            absent[7].0.contains("RateLimited"),
            counts_guesses || matches!(call, Call::SignUpIsAddress)
        );
        for state in STATES {
            assert_eq!(seen(call, state).await, absent, "{call:?}: {state}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_right_password_of_an_account_that_may_not_sign_in_is_a_wrong_one() {
    let absent = seen(Call::LoginWrong, "absent").await.remove(0).0;
    let world = World::new();
    world.insert("u1", "ada@example.org", |user| user.disabled_at = Some(user.created_at)).await;
    assert_eq!(said(&world.login("ada@example.org", GOOD).await), absent);
    assert!(absent.contains("sign_in_failed"), "{absent}");
}

#[tokio::test(start_paused = true)]
async fn that_an_address_is_not_verified_is_told_by_mail_after_the_right_password_alone() {
    let world = World::new();
    world.insert("u1", "ada@example.org", |user| user.email_verified_at = None).await;
    assert_eq!(world.refusal("ada@example.org", OTHER).await, "sign_in_failed");
    assert_eq!(world.mails().await.len(), 0);
    assert_eq!(world.refusal("ada@example.org", GOOD).await, "sign_in_failed");
    let token = world.token().await;
    for _ in 0..4 {
        world.accounts.request_verification("t", &mail("ada@example.org")).await.unwrap();
    }
    world.mails().await;
    assert_eq!(world.refusal("ada@example.org", GOOD).await, "sign_in_failed");
    assert_eq!(world.mails().await.len(), 0, "five in all, however they are asked for");
    let open = World { accounts: world.accounts.clone().unverified_may_sign_in(), ..world };
    assert_eq!(open.refusal("ada@example.org", GOOD).await, "");
    open.accounts.verify_address("t", &token).await.unwrap();
    assert_eq!(open.refusal("ada@example.org", GOOD).await, "", "it brings the password that was right");
}

/// Whoever signs up with an address that is not theirs knows the password of the account that is made if there was none.
#[tokio::test(start_paused = true)]
async fn a_sign_in_after_a_sign_up_does_not_tell_whether_there_was_an_account() {
    let mut all = Vec::new();
    for state in STATES {
        let world = World::new();
        make(&world, state).await;
        assert_eq!(Call::SignUp.make(&world).await, "ok");
        world.settle().await;
        world.calls.made.lock().unwrap().clear();
        let answer = Call::LoginWrong.make(&world).await;
        all.push((answer, world.calls.made.lock().unwrap().clone()));
    }
    assert!(all[0].0.contains("sign_in_failed"), "{all:?}");
    assert!(all.iter().all(|seen| *seen == all[0]), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn the_mail_alone_tells_what_there_is() {
    let table = [
        ("absent", ["verify", "", ""]),
        ("verified", ["already registered", "", "reset"]),
        ("unverified", ["verify", "verify", "reset"]),
        ("disabled", ["already registered", "", ""]),
        ("without a password", ["already registered", "", "reset"]),
        ("of another hash", ["already registered", "", "reset"]),
    ];
    for (state, expected) in table {
        for (call, expected) in [Call::SignUp, Call::Verification, Call::Reset].into_iter().zip(expected) {
            let world = World::new();
            make(&world, state).await;
            assert_eq!(call.make(&world).await, "ok");
            let mails = world.mails().await;
            let names: Vec<_> = mails.iter().map(|(to, what)| (to.as_str(), name_of(what))).collect();
            let to = if state == "absent" { "Ada@example.org" } else { "ada@example.org" };
            let expected: Vec<_> = [(to, expected)].into_iter().filter(|mail| !mail.1.is_empty()).collect();
            assert_eq!(names, expected, "{call:?}: {state}");
        }
    }
}

/// A mailer that never answers and a store that fails after the answer change no answer.
#[tokio::test(start_paused = true)]
async fn an_answer_does_not_wait_for_the_mail_and_tells_nothing_of_its_failure() {
    struct Silent;
    #[async_trait]
    impl Notices for Silent {
        async fn send(&self, _: Notice) -> Result<()> {
            std::future::pending().await
        }
    }
    let clock = Clock::virtual_from("2026-11-20T12:00:00Z".parse().unwrap());
    let (users, records) = (Arc::new(MemoryUsers::new()), Arc::new(MemoryRecords::new()));
    let sessions = Sessions::new(Arc::clone(&records) as Arc<dyn RecordStore>, clock.clone());
    let accounts = Accounts::new(users, records, sessions, weak(), Silent, clock);
    let began = tokio::time::Instant::now();
    accounts.sign_up("t", &mail("ada@example.org"), &secret(GOOD)).await.unwrap();
    accounts.request_reset("t", &mail("ada@example.org")).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(!accounts.drain(Duration::from_secs(59)).await, "the mail is not sent");
    assert!(accounts.drain(Duration::from_secs(2)).await, "an errand has a deadline");
}
