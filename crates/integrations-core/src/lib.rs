//! What every integration goes through: errors that say whether the other side acted, operations as data, one
//! resilience pipeline for REST and SDK calls alike, and the byte seam below it.
//!
//! Invariants:
//! - This crate names no HTTP client, no SDK and no server framework, in any feature set.
//! - Nothing here reads the environment's clock behind the caller's back: waits are the runtime's, wall time is a [`Clock`].
//! - An [`Error`] never holds a URL query, a header or a body; a secret has no `Display`.

mod authorize;
mod body;
mod caller;
mod clock;
mod connection;
mod echo;
mod endpoint;
mod error;
mod idempotency;
mod op;
mod random;
#[cfg(feature = "schema")]
mod schema;
mod strict_json;
mod text_id;
mod timeline;
mod token_set;
mod trail;
mod transport;
mod wire;

#[cfg(feature = "auth")]
pub mod auth;
#[cfg(feature = "cache")]
pub mod cache;
#[cfg(feature = "hub")]
pub mod config;
pub mod driver;
#[cfg(feature = "dynamic")]
pub mod dynamic;
pub mod egress;
#[cfg(feature = "hub")]
pub mod hub;
#[cfg(feature = "inbox")]
pub mod inbox;
#[cfg(feature = "jose")]
pub mod jose;
pub mod loose;
pub mod money;
#[cfg(feature = "music")]
pub mod music;
mod open_enum;
#[cfg(feature = "inbox")]
pub mod outbox;
pub mod page;
pub mod params;
pub mod pipeline;
pub mod provider;
pub mod quota;
#[cfg(feature = "hub")]
pub mod registry;
pub mod seal;
pub mod secret;
pub mod setup;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod store;
pub mod tls;
#[cfg(feature = "webhook")]
pub mod webhook;

pub use authorize::{Basic, Bearer, HeaderKey, bearer_token};
pub use body::{Body, BodyStream, BoxError, ReplayBody};
pub use caller::{Caller, CallerBuilder, StreamResponse};
pub use clock::{Clock, Skew, WallClock};
pub use connection::ConnectionId;
pub use endpoint::{Authorize, ByStatus, Classify, CredentialVersion, Endpoint, status_error};
pub use error::{Effect, Error, ErrorKind, Repeat, Result};
pub use idempotency::IdempotencyKey;
pub use money::{Currency, Money};
pub use op::{DEFAULT_RESPONSE_LIMIT, Op, Safety};
#[doc(hidden)]
pub use open_enum::private as __private;
pub use page::{Cursor, Page, PageReq};
pub use secret::{LiveSecret, Secret, SecretRef, SecretString};
pub use strict_json::StrictJson;
pub use timeline::WaitReason;
pub use token_set::TokenSet;
pub use transport::{Exchange, Payload, Reach, Transport, TransportError, TransportFailure};
pub use wire::{Req, WireRequest, WireResponse};
