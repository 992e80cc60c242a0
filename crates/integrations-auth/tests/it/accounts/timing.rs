//! How long a sign-in takes does not tell whether there is an account.
//!
//! Method: a sign-in at an unknown address and one with a wrong password are timed side by side in 60 pairs, of which every
//! other one begins with the unknown address. If nothing tells the two apart, each is the faster one in half of the pairs;
//! that it is so in fewer than 15 has a probability below 1 in 10000 (sign test, both sides). A round finds them apart if
//! that happens and their medians differ by more than a fiftieth, which leaves out what no network shows. Pairs and ranks do
//! not mind what else the machine does. The finding is that of two rounds out of three. A sign-in that looks nobody's
//! password up is held against the same rule, and must be found out.

use std::time::{Duration, Instant};

use super::*;

const PAIRS: usize = 60;
/// The least number of pairs in which each must be the faster one.
const LEAST: usize = 15;

/// The cost at which one hash takes a few milliseconds on this machine, so that nothing else does. The shortest of several
/// counts: a busy machine makes each one look dear.
async fn calibrated() -> Cost {
    let mut memory = 64;
    loop {
        let passwords = Passwords::new().cost(Cost::insecure_for_tests(memory));
        let mut shortest = Duration::MAX;
        for _ in 0..5 {
            let began = Instant::now();
            passwords.hash(&secret(GOOD)).await.unwrap();
            shortest = shortest.min(began.elapsed());
        }
        if shortest > Duration::from_millis(5) || memory > 64 * 1024 {
            return Cost::insecure_for_tests(memory);
        }
        memory *= 2;
    }
}

async fn are_alike(world: &World, naive: bool) -> bool {
    let (mut unknown, mut wrong) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        if pair % 2 == 0 {
            unknown.push(time(world, "nobody@example.org", naive).await);
            wrong.push(time(world, "ada@example.org", naive).await);
        } else {
            wrong.push(time(world, "ada@example.org", naive).await);
            unknown.push(time(world, "nobody@example.org", naive).await);
        }
    }
    let faster = unknown.iter().zip(&wrong).filter(|(unknown, wrong)| unknown < wrong).count();
    let (unknown, wrong) = (median(unknown), median(wrong));
    (LEAST..=PAIRS - LEAST).contains(&faster) || unknown.abs_diff(wrong) < wrong / 50
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

async fn time(world: &World, address: &str, naive: bool) -> Duration {
    let began = Instant::now();
    sign_in(world, address, naive).await;
    began.elapsed()
}

async fn sign_in(world: &World, address: &str, naive: bool) {
    let address = mail(address);
    if naive && world.users.by_email("t", &address).await.unwrap().is_none() {
        return;
    }
    let refused = world.accounts.login("t", &address, &secret(OTHER)).await.unwrap_err();
    assert_eq!(refused.code(), Some("sign_in_failed"));
}

async fn is_found_alike(world: &World, naive: bool) -> bool {
    let mut alike = 0;
    for _ in 0..3 {
        alike += u32::from(are_alike(world, naive).await);
    }
    alike >= 2
}

#[tokio::test]
async fn an_unknown_address_takes_as_long_as_a_wrong_password_and_a_naive_sign_in_is_found_out() {
    let passwords = Passwords::new().cost(calibrated().await);
    let world = World::unthrottled(passwords.clone());
    let hash = passwords.hash(&secret(GOOD)).await.unwrap();
    world.insert("u1", "ada@example.org", |user| user.password = Some(hash)).await;
    assert!(is_found_alike(&world, false).await, "the time tells whether there is an account");
    assert!(!is_found_alike(&world, true).await, "this test would not find a naive sign-in out");
}
