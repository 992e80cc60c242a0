//! Why a token is refused.

use jiff::SignedDuration;

use crate::error::{Effect, Error, ErrorKind};

/// Why a token is refused. No text of the token is in it but a key's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtError {
    /// It is no JWT, or this part of it is not as it must be.
    #[error("the token's {0} is malformed")]
    Malformed(&'static str),
    /// It is signed with an algorithm that is not accepted.
    #[error("the token is signed with an algorithm that is not accepted")]
    Algorithm,
    /// It is signed by a key that is not in the set.
    #[error("the token is signed by a key that is not known")]
    UnknownKey {
        /// The key's id, if the token names one.
        kid: Option<String>,
    },
    /// The signature does not fit.
    #[error("the token's signature does not fit")]
    Signature,
    /// A claim or header field that must be there is missing.
    #[error("the token has no `{0}`")]
    Missing(&'static str),
    /// A claim or header field holds another value than it must.
    #[error("the token's `{0}` is another one than expected")]
    Mismatch(&'static str),
    /// It ended this long ago.
    #[error("the token ended {}s ago", .0.as_secs())]
    Expired(SignedDuration),
    /// It begins, or was issued, this long from now.
    #[error("the token begins in {}s", .0.as_secs())]
    NotYet(SignedDuration),
    /// It was used before.
    #[error("the token was used before")]
    Replayed,
}

impl JwtError {
    /// A stable word for it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey { .. } => "unknown_key",
            Self::Signature => "signature",
            Self::Missing(_) => "missing_claim",
            Self::Mismatch(_) => "claim_mismatch",
            Self::Expired(_) => "expired",
            Self::NotYet(_) => "not_yet_valid",
            Self::Replayed => "replayed",
        }
    }
}

impl From<JwtError> for Error {
    /// [`ErrorKind::Unauthenticated`], nothing sent; [`Error::code`] is [`JwtError::code`].
    fn from(refused: JwtError) -> Self {
        let error = Self::new(ErrorKind::Unauthenticated, Effect::NotSent, refused.to_string());
        let error = error.with_code(refused.code());
        let error = match &refused {
            JwtError::NotYet(by) => error.with_hint(clock_hint("behind", *by)),
            JwtError::Expired(by) if by.as_hours() < 1 => error.with_hint(clock_hint("ahead", *by)),
            _ => error,
        };
        error.with_source(refused)
    }
}

fn clock_hint(which: &str, by: SignedDuration) -> String {
    format!(
        "if the token is a fresh one, this machine's clock is {which} the issuer's, by {} s",
        by.as_secs()
    )
}
