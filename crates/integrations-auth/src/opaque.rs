//! Random texts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integrations_core::{Effect, Error, ErrorKind, Result, SecretString};
use zeroize::Zeroizing;

/// 256 random bits in base64url: 43 characters.
pub(crate) fn token() -> Result<SecretString> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    fill(&mut *bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes.as_slice()).into())
}

/// Random bytes of the system.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes)
        .map_err(|_| Error::new(ErrorKind::Unexpected, Effect::NotSent, "the system gives no random bytes"))
}

/// A name that nobody else has: 128 random bits.
pub(crate) fn id() -> Result<String> {
    let mut bytes = [0_u8; 16];
    fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
