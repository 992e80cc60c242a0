//! Signing somebody in by an identity that no service has vouched for.

use integrations_auth::{Identities, Identity};

async fn naive(identities: Identities, claimed: Identity) {
    let _ = identities.recognise("", &claimed).await;
}

fn main() {}
