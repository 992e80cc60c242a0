//! A session's token in a log line.

use integrations_auth::SessionToken;

fn naive(token: SessionToken) -> String {
    format!("{token}")
}

fn main() {}
