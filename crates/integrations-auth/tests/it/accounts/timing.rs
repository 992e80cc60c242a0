//! How long a sign-in takes does not tell whether there is an account.
//!
//! Method: three things are timed in turn, many times, in an order that rotates: a sign-in at an unknown address, one with a
//! wrong password, and a bare verification of a password. A round finds them alike if the medians of the first two differ by
//! less than the spread (the interquartile range) of the third. The machine may be busy with something else during a round,
//! so the finding is that of two rounds out of three. A sign-in that looks nobody's password up is held against the same
//! rule, and must be found out.

use std::time::{Duration, Instant};

use super::*;

const TURNS: usize = 40;

/// The cost at which one hash takes a few milliseconds on this machine, so that nothing else does.
async fn calibrated() -> Cost {
    let mut memory = 64;
    loop {
        let passwords = Passwords::new().cost(Cost::insecure_for_tests(memory));
        let began = Instant::now();
        passwords.hash(&secret(GOOD)).await.unwrap();
        if began.elapsed() > Duration::from_millis(5) || memory > 64 * 1024 {
            return Cost::insecure_for_tests(memory);
        }
        memory *= 2;
    }
}

struct Times([Vec<Duration>; 3]);

impl Times {
    fn are_alike(&mut self) -> bool {
        self.0.iter_mut().for_each(|times| times.sort());
        let [unknown, wrong, bare] = &self.0;
        let spread = bare[TURNS * 3 / 4] - bare[TURNS / 4];
        unknown[TURNS / 2].abs_diff(wrong[TURNS / 2]) < spread
    }
}

async fn round(world: &World, passwords: &Passwords, naive: bool) -> Times {
    let stored = world.present("u1").await.password.unwrap();
    let mut times = Times(std::array::from_fn(|_| Vec::with_capacity(TURNS)));
    for turn in 0..TURNS * 3 {
        let what = (turn + turn / 3) % 3;
        let began = Instant::now();
        match what {
            0 => sign_in(world, "nobody@example.org", naive).await,
            1 => sign_in(world, "ada@example.org", naive).await,
            _ => assert!(!passwords.verify(&secret(OTHER), &stored).await.unwrap().matches),
        }
        times.0[what].push(began.elapsed());
    }
    times
}

async fn sign_in(world: &World, address: &str, naive: bool) {
    let address = mail(address);
    if naive && world.users.by_email("t", &address).await.unwrap().is_none() {
        return;
    }
    let refused = world.accounts.login("t", &address, &secret(OTHER)).await.unwrap_err();
    assert_eq!(refused.code(), Some("sign_in_failed"));
}

async fn is_found_alike(world: &World, passwords: &Passwords, naive: bool) -> bool {
    let mut alike = 0;
    for _ in 0..3 {
        alike += u32::from(round(world, passwords, naive).await.are_alike());
    }
    alike >= 2
}

#[tokio::test]
async fn an_unknown_address_takes_as_long_as_a_wrong_password_and_a_naive_sign_in_is_found_out() {
    let passwords = Passwords::new().cost(calibrated().await);
    let world = World::unthrottled(passwords.clone());
    let hash = passwords.hash(&secret(GOOD)).await.unwrap();
    world.insert("u1", "ada@example.org", |user| user.password = Some(hash)).await;
    assert!(is_found_alike(&world, &passwords, false).await, "the time tells whether there is an account");
    assert!(!is_found_alike(&world, &passwords, true).await, "this test would not find a naive sign-in out");
}
