//! How vendors sign, from their documents. For tests: nothing here is meant to be fast or to keep a key.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// HMAC-SHA1 (RFC 2104).
pub fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key, message)
}

/// HMAC-SHA256 (RFC 2104).
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    mac(hmac::HMAC_SHA256, key, message)
}

/// HMAC-SHA512 (RFC 2104).
pub fn hmac_sha512(key: &[u8], message: &[u8]) -> Vec<u8> {
    mac(hmac::HMAC_SHA512, key, message)
}

fn mac(algorithm: hmac::Algorithm, key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec()
}

/// SHA-256.
pub fn sha256(message: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, message).as_ref().to_vec()
}

/// SHA-1.
pub fn sha1(message: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, message).as_ref().to_vec()
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// Base64 with padding (RFC 4648 section 4).
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Base64url without padding (RFC 4648 section 5).
pub fn base64_url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An Ed25519 key.
#[derive(Debug)]
pub struct Ed25519Signer(Ed25519KeyPair);

impl Ed25519Signer {
    /// The key of this seed.
    ///
    /// # Panics
    /// Never: any 32 bytes are a seed.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed"))
    }

    /// The public key, 32 bytes.
    pub fn public(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    /// The signature, 64 bytes.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

/// A P-256 key, made at random.
#[derive(Debug)]
pub struct P256Signer {
    pkcs8: Vec<u8>,
}

impl P256Signer {
    /// A new key.
    ///
    /// # Panics
    /// If the system has no randomness.
    pub fn generate() -> Self {
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        Self { pkcs8: pair.expect("the system has randomness").as_ref().to_vec() }
    }

    /// The public key as an uncompressed point (SEC 1): 4, x, y.
    pub fn point(&self) -> Vec<u8> {
        self.pair(&ECDSA_P256_SHA256_ASN1_SIGNING).public_key().as_ref().to_vec()
    }

    /// The public key as `SubjectPublicKeyInfo` (RFC 5480) in base64.
    pub fn spki(&self) -> String {
        const PREFIX: [u8; 26] = [
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        base64(&[&PREFIX[..], &self.point()].concat())
    }

    /// The public key as a JWK (RFC 7517) with this id.
    pub fn jwk(&self, kid: &str) -> String {
        let point = self.point();
        let (x, y) = (base64_url(&point[1..33]), base64_url(&point[33..]));
        format!(r#"{{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"{kid}","x":"{x}","y":"{y}"}}"#)
    }

    /// The signature in DER.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.signature(&ECDSA_P256_SHA256_ASN1_SIGNING, message)
    }

    /// The signature as JWTs have it: r and s, 64 bytes.
    pub fn sign_fixed(&self, message: &[u8]) -> Vec<u8> {
        self.signature(&ECDSA_P256_SHA256_FIXED_SIGNING, message)
    }

    fn signature(&self, algorithm: &'static EcdsaSigningAlgorithm, message: &[u8]) -> Vec<u8> {
        let signature = self.pair(algorithm).sign(&SystemRandom::new(), message);
        signature.expect("the system has randomness").as_ref().to_vec()
    }

    fn pair(&self, algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
        EcdsaKeyPair::from_pkcs8(algorithm, &self.pkcs8).expect("it was made by `generate`")
    }
}

/// A JWT (RFC 7515 section 7.1) of a header, claims and whatever signs the two.
pub fn jwt(header: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", base64_url(header.as_bytes()), base64_url(claims.as_bytes()));
    let signature = base64_url(&sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// The fields of a form as Twilio signs them: sorted by name, each name followed by its value, equal pairs once.
/// `+` is a space and `%` begins two hexadecimal digits (WHATWG URL, `application/x-www-form-urlencoded`).
pub fn sorted_form(body: &[u8]) -> Vec<u8> {
    let pairs = body.split(|b| *b == b'&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = pairs
        .map(|pair| {
            let mut sides = pair.splitn(2, |b| *b == b'=');
            let mut side = || form_text(sides.next().unwrap_or_default());
            (side(), side())
        })
        .collect();
    pairs.sort();
    pairs.dedup();
    pairs.into_iter().flat_map(|(name, value)| [name, value].concat()).collect()
}

fn form_text(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16));
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(&byte) = text.get(at) {
        let escape = digit(text.get(at + 1)).zip(digit(text.get(at + 2))).filter(|_| byte == b'%');
        out.push(match (byte, escape) {
            (_, Some((high, low))) => (high * 16 + low) as u8,
            (b'+', None) => b' ',
            (other, None) => other,
        });
        at += if escape.is_some() { 3 } else { 1 };
    }
    out
}

/// CRC-32 (IEEE 802.3).
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc % 2 == 1 { (crc / 2) ^ 0xEDB8_8320 } else { crc / 2 };
        }
    }
    !crc
}
