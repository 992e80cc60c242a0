//! Signatures under a public key: Ed25519 (RFC 8032) and ECDSA over P-256.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};

use super::keys::need;
use super::{Incoming, KeyRing, Kit, Scheme, Verified, WebhookError};

/// Deliveries signed with Ed25519.
#[derive(Debug, Clone, Copy)]
pub struct Ed25519(Scheme);

impl Ed25519 {
    /// Ed25519 with this scheme.
    pub const fn new(scheme: Scheme) -> Self {
        Self(scheme)
    }
}

impl Kit for Ed25519 {
    fn verify<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Verified<'a>, WebhookError> {
        let reading = self.0.read(request, keys)?;
        need(keys.ed25519().next(), "an Ed25519 public key")?;
        let matched = matching(&ED25519, keys.ed25519(), &reading.message, &reading.signatures);
        self.0.accept(reading, request, matched.ok_or(WebhookError::NoMatch)?)
    }
}

/// Deliveries signed with ECDSA over P-256 and SHA-256; the signature is DER.
#[derive(Debug, Clone, Copy)]
pub struct EcdsaP256(Scheme);

impl EcdsaP256 {
    /// ECDSA with this scheme.
    pub const fn new(scheme: Scheme) -> Self {
        Self(scheme)
    }
}

impl Kit for EcdsaP256 {
    fn verify<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Verified<'a>, WebhookError> {
        let reading = self.0.read(request, keys)?;
        need(keys.p256().next(), "a P-256 public key")?;
        let matched = matching(&ECDSA_P256_SHA256_ASN1, keys.p256(), &reading.message, &reading.signatures);
        self.0.accept(reading, request, matched.ok_or(WebhookError::NoMatch)?)
    }
}

/// The name of a key under which one of these signatures holds.
pub(super) fn matching<'k>(
    algorithm: &'static dyn VerificationAlgorithm,
    keys: impl Iterator<Item = (&'k str, &'k [u8])>,
    message: &[u8],
    signatures: &[Vec<u8>],
) -> Option<&'k str> {
    let mut found = None;
    for (name, public) in keys {
        let public = UnparsedPublicKey::new(algorithm, public);
        if signatures.iter().filter(|signature| public.verify(message, signature).is_ok()).count() > 0 {
            found = found.or(Some(name));
        }
    }
    found
}
