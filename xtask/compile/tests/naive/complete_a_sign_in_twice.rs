//! One flow for two answers.

use integrations_auth::{PendingSignIn, SignIn};

async fn naive(provider: SignIn, pending: PendingSignIn) {
    let _ = provider.complete(pending, "code=1&state=2").await;
    let _ = provider.complete(pending, "code=3&state=2").await;
}

fn main() {}
