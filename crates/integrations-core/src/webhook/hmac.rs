//! Keyed hashes (RFC 2104), the scheme of most vendors; and the plain hash that came before them.

use aws_lc_rs::{digest, hmac};
use subtle::ConstantTimeEq;

use super::keys::need;
use super::{Incoming, KeyRing, Kit, Scheme, Verified, WebhookError};

/// The hash under an [`Hmac`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hash {
    /// SHA-1, where a vendor still uses it. HMAC-SHA1 is not broken by collisions.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// The keyed hash of a message.
    pub(super) fn mac(self, secret: &[u8], message: &[u8]) -> hmac::Tag {
        let algorithm = match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, secret), message)
    }
}

/// Deliveries signed by a keyed hash under a shared secret.
#[derive(Debug, Clone, Copy)]
pub struct Hmac {
    hash: Hash,
    scheme: Scheme,
}

impl Hmac {
    /// HMAC with this hash.
    pub const fn new(hash: Hash, scheme: Scheme) -> Self {
        Self { hash, scheme }
    }

    /// HMAC-SHA256.
    pub const fn sha256(scheme: Scheme) -> Self {
        Self::new(Hash::Sha256, scheme)
    }

    /// HMAC-SHA1.
    pub const fn sha1(scheme: Scheme) -> Self {
        Self::new(Hash::Sha1, scheme)
    }

    /// HMAC-SHA512.
    pub const fn sha512(scheme: Scheme) -> Self {
        Self::new(Hash::Sha512, scheme)
    }
}

impl Kit for Hmac {
    fn verify<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Verified<'a>, WebhookError> {
        let reading = self.scheme.read(request, keys)?;
        need(keys.secrets().next(), "a shared secret")?;
        let matched = matching(self.hash, keys, &reading.message, &reading.signatures);
        self.scheme.accept(reading, request, matched.ok_or(WebhookError::NoMatch)?)
    }
}

/// Deliveries signed by the SHA-256 of the secret followed by the text: HubSpot's versions 1 and 2. Such a hash has no
/// time in it; take a keyed hash where the vendor offers one.
#[derive(Debug, Clone, Copy)]
pub struct SecretHash(Scheme);

impl SecretHash {
    /// A plain hash with this scheme.
    pub const fn new(scheme: Scheme) -> Self {
        Self(scheme)
    }
}

impl Kit for SecretHash {
    fn verify<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Verified<'a>, WebhookError> {
        let reading = self.0.read(request, keys)?;
        need(keys.secrets().next(), "a shared secret")?;
        // Whoever has seen one such hash can make that of a longer text. It goes on with the byte 0x80: no UTF-8.
        if std::str::from_utf8(request.body).is_err() {
            return Err(WebhookError::Malformed("the body"));
        }
        let hash = |secret: &[u8]| digest::digest(&digest::SHA256, &[secret, &reading.message].concat());
        let matched = matching_by(hash, keys, &reading.signatures);
        self.0.accept(reading, request, matched.ok_or(WebhookError::NoMatch)?)
    }
}

/// The name of a secret that makes one of these signatures.
pub(super) fn matching<'k>(
    hash: Hash,
    keys: &'k KeyRing,
    message: &[u8],
    signatures: &[Vec<u8>],
) -> Option<&'k str> {
    matching_by(|secret| hash.mac(secret, message), keys, signatures)
}

/// Every secret is tried with every signature, whatever was found before: the time taken says nothing about which one
/// matched.
fn matching_by<'k, T: AsRef<[u8]>>(
    tag: impl Fn(&[u8]) -> T,
    keys: &'k KeyRing,
    signatures: &[Vec<u8>],
) -> Option<&'k str> {
    let mut found = None;
    for (name, secret) in keys.secrets() {
        let tag = tag(secret);
        let mut equal = subtle::Choice::from(0);
        for signature in signatures {
            equal |= tag.as_ref().ct_eq(signature);
        }
        if bool::from(equal) {
            found = found.or(Some(name));
        }
    }
    found
}
