//! Linking an identity that no service has vouched for, such as one from the body of a request.

use integrations_auth::{Identities, Identity, ProofOfControl};

async fn naive(identities: Identities, proof: ProofOfControl, claimed: Identity) {
    let _ = identities.link(proof, claimed).await;
}

fn main() {}
