//! Signed tokens: JWS in compact form (RFC 7515), keys as JWK (RFC 7517), algorithms (RFC 7518, RFC 8037), JWT (RFC 7519).
//!
//! Invariants (RFC 8725):
//! - The reader's list chooses the algorithm and the key set the key; the header of a token chooses neither. `jku`, `jwk`,
//!   `x5u` and `x5c` are not looked at, `crit` is refused.
//! - A token is read strictly: base64url without padding, no field twice, 16 KiB at most.
//! - A set of public keys holds no shared secrets, and each of its keys verifies its own kind of algorithm alone.
//! - There is no encryption (JWE) and no `none`.

mod algorithm;
mod base64url;
mod claims;
mod error;
mod jwk;
mod jws;
mod key;
mod sign;

pub use algorithm::Algorithm;
pub use claims::{Claims, MAX_LEEWAY};
pub use error::JwtError;
pub use jws::{Header, Jws, MAX_TOKEN};
pub use key::{KeySet, PublicKey};
pub use sign::SigningKey;
