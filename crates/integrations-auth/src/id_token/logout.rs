//! Notices that somebody signed out at the issuer (OpenID Connect Back-Channel Logout 1.0 section 2.6).

use std::time::Duration;

use integrations_core::Result;
use integrations_core::jose::{Claims, JwtError};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{EVENTS, check_subject};
use crate::{IdentityKey, LogoutNotice};

const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Earlier drafts have no `exp`; a notice is delivered at once.
const LONGEST_WITHOUT_END: SignedDuration = SignedDuration::from_mins(5);

/// The notice in a logout token whose signature, issuer and audience were found right.
pub(super) fn read(claims: &Claims, now: Timestamp, leeway: Duration) -> Result<LogoutNotice> {
    let is_logout = claims.get(EVENTS).and_then(|events| events.get(LOGOUT)).is_some_and(Value::is_object);
    if !is_logout {
        return Err(JwtError::Mismatch(EVENTS).into());
    }
    // With one, it could have been an ID token.
    if claims.get("nonce").is_some() {
        return Err(JwtError::Mismatch("nonce").into());
    }
    let issued_at = check_time(claims, now, leeway)?;
    let mut notice = LogoutNotice::new(claims.need("iss")?, claims.need("jti")?, issued_at);
    if claims.get("sub").is_some() {
        check_subject(claims)?;
        notice.key = Some(IdentityKey::new(&notice.issuer, claims.need("sub")?));
    }
    if claims.get("sid").is_some() {
        notice.session = Some(claims.need("sid")?.to_owned());
    }
    if notice.key.is_none() && notice.session.is_none() {
        return Err(JwtError::Missing("sub").into());
    }
    Ok(notice)
}

fn check_time(claims: &Claims, now: Timestamp, leeway: Duration) -> Result<Timestamp, JwtError> {
    let issued_at = claims.time("iat")?.ok_or(JwtError::Missing("iat"))?;
    if claims.get("exp").is_some() {
        claims.expect_now(now, leeway)?;
        return Ok(issued_at);
    }
    let leeway = SignedDuration::try_from(leeway).unwrap_or_default();
    let age = now.duration_since(issued_at);
    if age < -leeway {
        return Err(JwtError::NotYet(-age));
    }
    let late = age.saturating_sub(LONGEST_WITHOUT_END);
    if late >= leeway { Err(JwtError::Expired(late)) } else { Ok(issued_at) }
}
