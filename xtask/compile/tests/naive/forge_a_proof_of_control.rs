//! The right to link, made of an id.

use integrations_auth::{ProofOfControl, UserId};

fn naive(user: UserId) -> ProofOfControl {
    ProofOfControl { tenant: String::new(), user }
}

fn main() {}
