//! Random bytes and texts: the one place of this crate that makes them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integrations_core::{Effect, Error, ErrorKind, Result, SecretString};
use zeroize::Zeroizing;

/// Random bytes of the system.
pub(crate) fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0_u8; N]);
    getrandom::fill(&mut *bytes).map_err(|_| {
        Error::new(ErrorKind::Unavailable, Effect::NotSent, "the system gives no random bytes")
    })?;
    Ok(bytes)
}

/// 256 random bits in base64url: 43 characters.
pub(crate) fn token() -> Result<SecretString> {
    Ok(URL_SAFE_NO_PAD.encode(bytes::<32>()?.as_slice()).into())
}

/// A name that nobody else has: 128 random bits in base64url.
pub(crate) fn id() -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(bytes::<16>()?.as_slice()))
}
