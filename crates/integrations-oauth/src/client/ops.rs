//! The calls of an issuer, as operations.

use integrations_core::{Op, Safety};

use super::reply;

/// A code or a refresh token is good for one use, and an answer that was lost may have spent it: such calls go out once.
/// The other grants give one more token, which harms nobody.
const fn op(name: &'static str, safety: Safety) -> Op {
    Op::new("oauth", name, safety).response_limit(reply::LIMIT)
}

/// RFC 6749 section 4.1.3.
pub(super) static EXCHANGE_CODE: Op = op("exchange_code", Safety::Once).http("POST", "");
/// RFC 6749 section 6.
pub(super) static REFRESH: Op = op("refresh", Safety::Once).http("POST", "");
/// RFC 6749 section 4.4.
pub(super) static CLIENT_CREDENTIALS: Op = op("client_credentials", Safety::Idempotent).http("POST", "");
/// RFC 7523 section 2.1.
pub(super) static JWT_BEARER: Op = op("jwt_bearer", Safety::Idempotent).http("POST", "");
/// A short-lived token for a long-lived one, of vendors that have this.
pub(super) static UPGRADE: Op = op("upgrade", Safety::Idempotent).http("GET", "");
/// A token for one that lives longer, of vendors that have this.
pub(super) static EXTEND: Op = op("extend", Safety::Idempotent).http("GET", "");
/// RFC 8628 section 3.1.
pub(super) static START_DEVICE: Op = op("start_device", Safety::Idempotent).http("POST", "");
/// RFC 8628 section 3.4.
pub(super) static POLL_DEVICE: Op = op("poll_device", Safety::Once).http("POST", "");
/// RFC 7009.
pub(super) static REVOKE: Op = op("revoke", Safety::Idempotent).http("POST", "");
/// RFC 7662.
pub(super) static INTROSPECT: Op = op("introspect", Safety::Read).http("POST", "");
/// OpenID Connect Discovery 1.0 and RFC 8414. An issuer is believed about itself alone, so nobody else may answer.
pub(super) static DISCOVER: Op = op("discover", Safety::Read).http("GET", "").keeps_origin();
