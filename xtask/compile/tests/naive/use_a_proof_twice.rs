//! One proof for two identities.

use integrations_auth::{Identities, Identity, ProofOfControl, Proven};

async fn naive(identities: Identities, proof: ProofOfControl, one: Proven<Identity>, other: Proven<Identity>) {
    let _ = identities.link(proof, one).await;
    let _ = identities.link(proof, other).await;
}

fn main() {}
