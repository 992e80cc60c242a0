//! "They proved themselves just now", said by a handler.

use integrations_auth::{Reauthenticated, UserId};

fn naive(user: UserId) -> Reauthenticated {
    Reauthenticated { tenant: String::new(), user }
}

fn main() {}
