//! Tokens of the application's own: what they say, and how their keys rotate.

mod access;
mod fleet;
mod refresh;
mod rotation;

use std::sync::Arc;

use integrations_auth::{MemoryRecords, TokenIssuer};
use integrations_core::Clock;

const ISSUER: &str = "https://app.example.org";
const API: &str = "https://api.example.org";

fn clock() -> Clock {
    Clock::virtual_from("2026-03-01T12:00:00Z".parse().unwrap())
}

fn issuer(records: &Arc<MemoryRecords>, clock: &Clock) -> TokenIssuer {
    TokenIssuer::new(records.clone(), clock.clone(), ISSUER)
}
