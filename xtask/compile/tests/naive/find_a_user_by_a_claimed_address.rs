//! The account of whoever has typed the address at another service.

use integrations_auth::{Identity, UserStore};

async fn naive(users: &dyn UserStore, identity: Identity) {
    if let Some(email) = identity.email {
        let _ = users.by_email("", &email).await;
    }
}

fn main() {}
