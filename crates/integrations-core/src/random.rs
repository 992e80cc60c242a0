//! Random bytes from the system.

use crate::error::{Effect, Error, ErrorKind, Result};

/// Fills `bytes`. [`ErrorKind::Unavailable`] where the system has no source of them.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|e| {
        Error::new(ErrorKind::Unavailable, Effect::NotSent, format!("the system gives no random bytes: {e}"))
    })
}
