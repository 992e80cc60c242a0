//! Linking by an id that somebody sent.

use integrations_auth::{Identities, Identity, Proven, UserId};

async fn naive(identities: Identities, user: UserId, identity: Proven<Identity>) {
    let _ = identities.link(user, identity).await;
}

fn main() {}
