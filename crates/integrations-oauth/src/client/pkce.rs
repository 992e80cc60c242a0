//! Random values of a flow, and the proof key of RFC 7636.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integrations_core::provider::Pkce;
use integrations_core::{Effect, Error, ErrorKind, Result, SecretString};

/// 32 random bytes in base64url: 43 characters, as RFC 7636 section 4.1 recommends for a verifier.
pub(crate) fn random() -> Result<SecretString> {
    let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut *bytes).map_err(|_| {
        Error::new(ErrorKind::Unexpected, Effect::NotSent, "the system gives no random bytes")
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes.as_slice()).into())
}

/// What is shown of a verifier before it is used; `None` if the vendor takes none.
pub(super) fn challenge(pkce: Pkce, verifier: &str) -> Option<String> {
    let hash = digest(&SHA256, verifier.as_bytes());
    match pkce {
        Pkce::S256 => Some(URL_SAFE_NO_PAD.encode(hash)),
        Pkce::S256Hex => Some(hex(hash.as_ref())),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_challenge_is_that_of_the_standard_and_its_hexadecimal_form_the_same_hash() {
        assert_eq!(challenge(Pkce::S256, VERIFIER).unwrap(), CHALLENGE);
        assert_ne!(challenge(Pkce::S256, "another").unwrap(), CHALLENGE);
        // The bytes of the same challenge.
        let hex = "13d31e961a1ad8ec2f16b10c4c982e0876a878ad6df144566ee1894acb70f9c3";
        assert_eq!(challenge(Pkce::S256Hex, VERIFIER).unwrap(), hex);
        assert_eq!(challenge(Pkce::None, VERIFIER), None);
    }

    #[test]
    fn random_values_have_256_bits_and_differ() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_eq!(URL_SAFE_NO_PAD.decode(one.expose()).unwrap().len(), 32);
        assert!(!one.ct_eq(other.expose()));
    }
}
