//! Hashes by which an ID token names what came with it (OpenID Connect Core 1.0 sections 3.1.3.6 and 3.3.2.11).

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integrations_core::SecretString;
use integrations_core::jose::{Claims, JwtError};

/// The hash that an algorithm of a token's signature is made with; Ed25519 has SHA-512 inside (RFC 8032).
const HASHES: &[(&str, &Algorithm)] = &[
    ("RS256", &SHA256),
    ("PS256", &SHA256),
    ("ES256", &SHA256),
    ("HS256", &SHA256),
    ("ES384", &SHA384),
    ("EdDSA", &SHA512),
];

/// That the hash in a claim, if both are there, is that of what came with the token.
pub(super) fn check(
    claims: &Claims,
    name: &'static str,
    of: Option<&SecretString>,
    alg: &str,
) -> Result<(), JwtError> {
    let (Some(_), Some(of)) = (claims.get(name), of) else { return Ok(()) };
    let (_, hash) = HASHES.iter().find(|(known, _)| *known == alg).ok_or(JwtError::Algorithm)?;
    let fits = SecretString::from(half(hash, of.expose())).ct_eq(claims.need(name)?);
    if fits { Ok(()) } else { Err(JwtError::Mismatch(name)) }
}

fn half(hash: &'static Algorithm, of: &str) -> String {
    let digest = digest(hash, of.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..hash.output_len / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_has_the_same_hash() {
        // OpenID Connect Core 1.0 appendix A.3.
        let of = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(half(&SHA256, of), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(half(&SHA384, of).len(), 32);
        assert_eq!(half(&SHA512, of).len(), 43);
    }
}
