//! OAuth 2 as vendors really speak it, and a vault in which no session is lost.
//!
//! Invariants:
//! - A refresh token is redeemed once: by one task of a process and one process of a fleet. What came of it is on the
//!   disk before anybody uses the new access token.
//! - A connection whose user has to consent again is a state: its calls fail without a request to anybody, and say where
//!   to reconnect.
//! - A flow that was begun cannot be completed without the state it was begun with.
//! - Tokens are encrypted in every store; no token is in a log, an error or a `Debug`.
//!
//! There is no implicit grant and no password grant: RFC 9700 forbids them.

mod client;
mod jwt;
pub mod store;
mod token;
mod vault;
pub mod vendors;

pub use client::*;
pub use jwt::{JwtBearer, SigningKey, Statement};
pub use token::{AccessToken, TokenSet};
pub use vault::*;
