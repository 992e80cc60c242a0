//! Passwords: hashes of other implementations, what is refused, and how many are hashed at once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use integrations_auth::{Breached, Cost, Passwords, Pepper};
use integrations_core::{Effect, Error, ErrorKind, Result, Secret, SecretString};
use tokio::time::Instant;

use super::{GOOD, OTHER, mail, secret, weak};

/// Made by argon2-cffi 25.1.0 (Python, over the reference implementation in C), with the calls that stand beside them.
const FOREIGN: [(&str, &str); 3] = [
    // PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1).hash(...)
    (
        "correct horse battery staple",
        "$argon2id$v=19$m=19456,t=2,p=1$WMIqHWTscGyPfPMx9QnGsQ$nkad1DpdTcu6VwpIqPtKSxyroG+JZF8LYOcuVwEOFrU",
    ),
    // PasswordHasher(time_cost=3, memory_cost=64, parallelism=4).hash(unicodedata.normalize("NFKC", ...))
    (
        "pässwörd ﬁsh １２",
        "$argon2id$v=19$m=64,t=3,p=4$lO8n5srJvJlzzCue2c//lg$Tb9EAZ7uUYI1IBth+DmDhNZThzDoCgseYLKr8jIXu1Q",
    ),
    // hash_secret(..., b"somesaltsomesalt", time_cost=2, memory_cost=64, parallelism=1, hash_len=32, type=Type.I, version=16)
    (
        "correct horse battery staple",
        "$argon2i$v=16$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$dPozAdedAnE7mVegpEbz56Bn3xHpTJSfwqL1eU47DV8",
    ),
];

async fn verdict(passwords: &Passwords, password: &str, stored: &str) -> (bool, bool) {
    let verdict = passwords.verify(&secret(password), &secret(stored)).await.unwrap();
    (verdict.matches, verdict.needs_rehash)
}

async fn hashed(passwords: &Passwords, password: &str) -> String {
    passwords.hash(&secret(password)).await.unwrap().expose().clone()
}

async fn code<T>(answer: impl Future<Output = Result<T>>) -> String {
    answer.await.err().map_or(String::new(), |e| e.code().unwrap_or("none").to_owned())
}

#[tokio::test]
async fn hashes_of_another_implementation_verify_and_those_of_another_policy_are_to_be_replaced() {
    let passwords = Passwords::new();
    for (at, (password, stored)) in FOREIGN.into_iter().enumerate() {
        assert_eq!(verdict(&passwords, password, stored).await, (true, at != 0), "{stored}");
        let wrong = format!("{password}.");
        assert!(!verdict(&passwords, &wrong, stored).await.0, "{stored}");
    }
}

#[tokio::test]
async fn a_hash_is_a_phc_string_with_its_own_salt_and_is_of_the_default_cost() {
    let passwords = Passwords::new();
    let (one, other) = (hashed(&passwords, GOOD).await, hashed(&weak(), GOOD).await);
    assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
    let parts: Vec<&str> = one.split('$').collect();
    assert_eq!((parts.len(), parts[4].len(), parts[5].len()), (6, 22, 43));
    assert_eq!(verdict(&passwords, GOOD, &one).await, (true, false));
    assert_eq!(verdict(&passwords, OTHER, &one).await, (false, false));
    assert_eq!(verdict(&passwords, GOOD, &other).await, (true, true));
    assert_ne!(hashed(&weak(), GOOD).await, other);
}

#[tokio::test]
async fn the_same_letters_are_the_same_password_however_they_were_typed() {
    let stored = hashed(&weak(), "Zoe\u{308} has ﬁve ｆｉｓｈ").await;
    assert!(verdict(&weak(), "Zo\u{eb} has five fish", &stored).await.0);
    assert!(!verdict(&weak(), "zo\u{eb} has five fish", &stored).await.0);
}

#[tokio::test]
async fn nothing_is_cut_off_and_more_than_a_kibibyte_is_refused() {
    let longest = "x".repeat(1024);
    let stored = hashed(&weak(), &longest).await;
    assert!(verdict(&weak(), &longest, &stored).await.0);
    assert!(!verdict(&weak(), &longest[1..], &stored).await.0);
    let longer = secret(&"x".repeat(1025));
    let passwords = weak();
    assert_eq!(code(passwords.hash(&longer)).await, "password_too_long");
    assert_eq!(code(passwords.verify(&longer, &secret(&stored))).await, "password_too_long");
    assert_eq!(code(passwords.check(&longer, None)).await, "password_too_long");
}

#[tokio::test]
async fn hashes_of_other_kinds_and_broken_ones_are_refused_and_not_quoted() {
    let passwords = weak();
    let cases = [
        ("$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", ErrorKind::Unsupported),
        ("$scrypt$ln=17,r=8,p=1$c2FsdHNhbHQ$aGFzaGhhc2g", ErrorKind::Unsupported),
        ("$pbkdf2-sha256$i=600000$c2FsdHNhbHQ$aGFzaGhhc2g", ErrorKind::Unsupported),
        ("", ErrorKind::Decode),
        ("5f4dcc3b5aa765d61d8327deb882cf99", ErrorKind::Decode),
        ("$argon2id$v=19$m=64,t=3,p=4$lO8n5srJvJlzzCue2c//lg", ErrorKind::Decode),
        ("$argon2id$v=18$m=64,t=3,p=4$lO8n5srJvJlzzCue2c//lg$Tb9EAZ7uUYI1IBth", ErrorKind::Decode),
        ("$argon2id$v=19$m=4294967295,t=3,p=4$lO8n5srJvJlzzCue2c//lg$Tb9EAZ7uUYI1IBth", ErrorKind::Decode),
        ("$argon2id$v=19$m=64,t=4294967295,p=4$lO8n5srJvJlzzCue2c//lg$Tb9EAZ7uUYI1IBth", ErrorKind::Decode),
    ];
    for (stored, kind) in cases {
        let e = passwords.verify(&secret(GOOD), &secret(stored)).await.unwrap_err();
        assert_eq!((e.kind(), e.code()), (kind, Some("password_hash")), "{stored}");
        assert!(stored.is_empty() || !format!("{e:?}").contains(stored), "{e:?}");
    }
}

#[tokio::test]
async fn a_hash_with_a_pepper_needs_it_and_the_pepper_can_change() {
    let pepper = |id: &str, byte| Pepper::new(id, Secret::new(vec![byte; 32])).unwrap();
    let (plain, first) = (weak(), weak().pepper(pepper("1", 1)));
    let (without, with) = (hashed(&plain, GOOD).await, hashed(&first, GOOD).await);
    assert!(with.contains(",keyid=MQ$"), "{with}");
    assert_eq!(verdict(&first, GOOD, &with).await, (true, false));
    assert_eq!(verdict(&first, OTHER, &with).await, (false, false));
    assert_eq!(verdict(&first, GOOD, &without).await, (true, true));
    let second = weak().old_pepper(pepper("1", 1)).pepper(pepper("2", 2));
    assert_eq!(verdict(&second, GOOD, &with).await, (true, true));
    assert!(hashed(&second, GOOD).await.contains(",keyid=Mg$"));
    assert!(!verdict(&weak().pepper(pepper("1", 9)), GOOD, &with).await.0);
    let retired = weak().old_pepper(pepper("1", 1));
    assert_eq!(verdict(&retired, GOOD, &with).await, (true, true));
    assert!(!hashed(&retired, GOOD).await.contains("keyid"));
    for passwords in [plain, weak().pepper(pepper("2", 2))] {
        assert_eq!(code(passwords.verify(&secret(GOOD), &secret(&with))).await, "unknown_pepper");
    }
    for (id, bytes) in [("", 32), ("123456789", 32), ("1", 15)] {
        assert!(Pepper::new(id, Secret::new(vec![0; bytes])).is_err(), "{id} {bytes}");
    }
}

#[test]
fn a_cost_is_one_of_those_that_owasp_names_or_more() {
    for (memory, passes) in [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)] {
        assert!(Cost::new(memory, passes, 1).is_ok() && Cost::new(memory, passes + 1, 2).is_ok());
        assert!(Cost::new(memory - 1, passes, 1).is_err(), "{memory} {passes}");
        assert!(Cost::new(memory, passes, 0).is_err());
    }
    for (memory, passes, lanes) in [(1_048_577, 2, 1), (19_456, 65, 1), (19_456, 2, 17), (7_168, 4, 1)] {
        let e = Cost::new(memory, passes, lanes).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Config, "{memory} {passes} {lanes}");
    }
}

#[tokio::test]
async fn short_passwords_and_those_that_are_the_address_are_refused() {
    let ada = mail("Ada.Lovelace.1815@Example.org");
    let at_8 = weak().min_length(1);
    let cases = [
        (weak(), "fourteen chars", "password_too_short"),
        (weak(), "fifteen charact", ""),
        // Fifteen characters of four bytes each, and one ligature that is two letters.
        (weak(), "🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎", ""),
        (weak(), "thirteen lette\u{fb01}", ""),
        (weak(), "ada.lovelace.1815", "password_is_address"),
        (weak(), "ADA.lovelace.1815@EXAMPLE.org", "password_is_address"),
        (weak(), "ada.lovelace.1816", ""),
        (at_8.clone(), "seven 7", "password_too_short"),
        (at_8, "eight 88", ""),
    ];
    for (passwords, password, expected) in cases {
        assert_eq!(code(passwords.check(&secret(password), Some(&ada))).await, expected, "{password}");
    }
    assert_eq!(code(weak().check(&secret("ada.lovelace.1815"), None)).await, "");
}

/// Answers like the range interface for the prefix of `password`, and notes what it was asked.
#[derive(Clone)]
struct Range {
    asked: Arc<Mutex<Vec<String>>>,
    answer: Option<Result<Vec<String>>>,
}

#[async_trait]
impl Breached for Range {
    async fn suffixes(&self, prefix: &str) -> Result<Vec<String>> {
        self.asked.lock().unwrap().push(prefix.to_owned());
        match &self.answer {
            Some(answer) => answer.clone(),
            None => std::future::pending().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stolen_password_is_refused_by_five_digits_of_its_hash_and_a_silent_list_lets_it_through() {
    // SHA-1 of `password` is 5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8.
    let hit = "1e4c9b93f3f0682250b6cf8331b7ee68fd8\r".to_owned();
    let miss = "0000000000000000000000000000000000A".to_owned();
    let down = Error::new(ErrorKind::Unavailable, Effect::Rejected, "down");
    let cases = [
        (Some(Ok(vec![miss.clone(), hit])), "password_breached"),
        (Some(Ok(vec![miss])), ""),
        (Some(Err(down)), ""),
        (None, ""),
    ];
    for (answer, expected) in cases {
        let range = Range { asked: Arc::default(), answer };
        let began = Instant::now();
        let passwords = weak().min_length(8).breached(range.clone());
        assert_eq!(code(passwords.check(&secret("password"), None)).await, expected);
        assert_eq!(*range.asked.lock().unwrap(), ["5BAA6"]);
        let waited = if range.answer.is_none() { 2 } else { 0 };
        assert_eq!(began.elapsed().as_secs(), waited);
    }
}

#[tokio::test(start_paused = true)]
async fn only_so_many_are_hashed_at_once_and_nobody_waits_for_ever() {
    let slow = Cost::insecure_for_tests(8 * 1024);
    let passwords = Passwords::new().cost(slow).at_once(1).longest_wait(Duration::ZERO);
    let password = secret(GOOD);
    let clone = passwords.clone();
    let (first, second) = tokio::join!(passwords.hash(&password), clone.hash(&password));
    assert!(first.is_ok());
    let e = second.unwrap_err();
    assert_eq!((e.kind(), e.code(), e.is_retryable()), (ErrorKind::Unavailable, Some("busy"), true));
    assert!(passwords.hash(&password).await.is_ok(), "the turn was not given back");
    let patient = passwords.longest_wait(Duration::from_secs(10));
    let (first, second) = tokio::join!(patient.hash(&password), patient.hash(&password));
    assert!(first.is_ok() && second.is_ok());
}

/// Whoever can write a hash into the database must not have all turns take its memory at once.
#[tokio::test(start_paused = true)]
async fn a_dear_hash_takes_as_many_turns_as_its_memory_is_worth() {
    let password = secret(GOOD);
    for (memory, alone) in [(8 * 1024, false), (8 * 1024 + 1, true), (64 * 1024, true)] {
        let stored = Passwords::new().cost(Cost::insecure_for_tests(memory)).hash(&password).await.unwrap();
        let passwords = Passwords::new().cost(Cost::insecure_for_tests(8 * 1024)).at_once(2);
        let passwords = passwords.longest_wait(Duration::ZERO);
        let (first, second) =
            tokio::join!(passwords.verify(&password, &stored), passwords.verify(&password, &stored));
        assert!(first.unwrap().matches);
        assert_eq!(second.is_err(), alone, "{memory}");
        assert!(passwords.verify(&password, &stored).await.is_ok(), "the turns were not given back");
    }
}

#[tokio::test]
async fn a_hash_that_nobody_waits_for_keeps_its_turn_until_it_is_made() {
    let slow = Cost::insecure_for_tests(32 * 1024);
    let passwords = Passwords::new().cost(slow).at_once(1).longest_wait(Duration::ZERO);
    let password: SecretString = secret(GOOD);
    {
        let mut gone = std::pin::pin!(passwords.hash(&password));
        assert!(polled_once(gone.as_mut()).await.is_none());
    }
    assert_eq!(code(passwords.hash(&password)).await, "busy");
}

/// What a future says when it is asked once.
async fn polled_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
