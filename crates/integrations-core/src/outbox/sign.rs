//! Signatures of the Standard Webhooks specification, version 1.0.0 (standardwebhooks.com), and their keys.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519_PUBLIC_KEY_LEN, Ed25519KeyPair, KeyPair as _};
use base64::engine::general_purpose::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet, engine::DecodePaddingMode};
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::random;
use crate::secret::{Secret, SecretString};

const HMAC_PREFIX: &str = "whsec_";
const ED25519_PREFIX: &str = "whsk_";
const PUBLIC_PREFIX: &str = "whpk_";

/// Bytes of a new key, and of an Ed25519 seed.
const NEW_KEY: usize = 32;
/// Bytes of a shared key, as the specification bounds it.
const HMAC_SIZE: std::ops::RangeInclusive<usize> = 24..=64;

/// Libraries write keys with padding and without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How deliveries are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SigningScheme {
    /// `v1`: HMAC-SHA256 with a key that both sides hold (`whsec_`).
    Hmac,
    /// `v1a`: Ed25519. The receiver holds the public key alone (`whpk_`).
    Ed25519,
}

/// A key that signs deliveries.
#[derive(Debug, Clone)]
pub struct SigningKey {
    scheme: SigningScheme,
    /// The shared key, or seed and public key.
    bytes: Secret<Vec<u8>>,
}

impl SigningKey {
    /// A new key of 32 random bytes.
    pub fn generate(scheme: SigningScheme) -> Result<Self> {
        let mut bytes = Zeroizing::new(vec![0; NEW_KEY]);
        random::fill(&mut bytes)?;
        if scheme == SigningScheme::Ed25519 {
            let pair = Ed25519KeyPair::from_seed_unchecked(&bytes).map_err(|_| malformed())?;
            bytes.extend_from_slice(pair.public_key().as_ref());
        }
        Ok(Self { scheme, bytes: Secret::new(std::mem::take(&mut bytes)) })
    }

    /// Reads `whsec_` (24 to 64 bytes in base64) or `whsk_` (seed and public key in base64).
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind) for anything else, a public key (`whpk_`) among it.
    pub fn parse(text: &SecretString) -> Result<Self> {
        let text = text.expose();
        let schemes = [(HMAC_PREFIX, SigningScheme::Hmac), (ED25519_PREFIX, SigningScheme::Ed25519)];
        let found = schemes.iter().find_map(|(prefix, scheme)| Some((text.strip_prefix(prefix)?, *scheme)));
        let (encoded, scheme) = found.ok_or_else(malformed)?;
        let bytes = Secret::new(LENIENT.decode(encoded).map_err(|_| malformed())?);
        let key = Self { scheme, bytes };
        if key.is_sound() { Ok(key) } else { Err(malformed()) }
    }

    fn is_sound(&self) -> bool {
        match self.scheme {
            SigningScheme::Hmac => HMAC_SIZE.contains(&self.bytes.expose().len()),
            SigningScheme::Ed25519 => self.pair().is_ok(),
        }
    }

    /// Which scheme it is for.
    pub fn scheme(&self) -> SigningScheme {
        self.scheme
    }

    /// The key as text. Shown to the receiver once (`whsec_`), or never (`whsk_`).
    pub fn reveal(&self) -> SecretString {
        let prefix = match self.scheme {
            SigningScheme::Hmac => HMAC_PREFIX,
            SigningScheme::Ed25519 => ED25519_PREFIX,
        };
        let encoded = Zeroizing::new(STANDARD.encode(self.bytes.expose()));
        SecretString::new([prefix, encoded.as_str()].concat())
    }

    /// The public key as text (`whpk_`); `None` for a shared key.
    pub fn public(&self) -> Option<String> {
        let bytes = self.bytes.expose();
        let public = bytes.get(bytes.len().checked_sub(ED25519_PUBLIC_KEY_LEN)?..)?;
        (self.scheme == SigningScheme::Ed25519).then(|| [PUBLIC_PREFIX, &STANDARD.encode(public)].concat())
    }

    /// One signature: `v1,` or `v1a,` and base64.
    fn sign(&self, content: &[u8]) -> Result<String> {
        Ok(match self.scheme {
            SigningScheme::Hmac => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.bytes.expose());
                format!("v1,{}", STANDARD.encode(hmac::sign(&key, content)))
            }
            SigningScheme::Ed25519 => format!("v1a,{}", STANDARD.encode(self.pair()?.sign(content))),
        })
    }

    /// Fails if the public half does not belong to the seed.
    fn pair(&self) -> Result<Ed25519KeyPair> {
        let (seed, public) = self.bytes.expose().split_at_checked(NEW_KEY).ok_or_else(malformed)?;
        Ed25519KeyPair::from_seed_and_public_key(seed, public).map_err(|_| malformed())
    }
}

fn malformed() -> Error {
    Error::invalid_request("this is no key for signing webhooks").with_hint(
        "give `whsec_` and 24 to 64 bytes in base64, or `whsk_` and an Ed25519 seed with its public key in base64",
    )
}

/// The header `webhook-signature`: one signature per key, separated by spaces, so that a receiver that knows any of
/// them accepts. `id` holds no dot; `at` is the time of this attempt.
pub(super) fn signatures<'a>(
    keys: impl IntoIterator<Item = &'a SigningKey>,
    id: &str,
    at: Timestamp,
    body: &[u8],
) -> Result<String> {
    let mut content = format!("{id}.{}.", at.as_second()).into_bytes();
    content.extend_from_slice(body);
    let signatures: Result<Vec<_>> = keys.into_iter().map(|key| key.sign(&content)).collect();
    let signatures = signatures?;
    if signatures.is_empty() {
        return Err(Error::config("the endpoint has no key that has not expired").with_hint("rotate its key"));
    }
    Ok(signatures.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// Key, id, time, body, signature: the specification's, its Rust library's and its server's test vectors.
    const VECTORS: [[&str; 5]; 3] = [
        [
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            "1649367553",
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ],
        [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ],
        [
            "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
        ],
    ];

    fn key(text: &str) -> SigningKey {
        SigningKey::parse(&text.into()).unwrap()
    }

    fn at(seconds: &str) -> Timestamp {
        Timestamp::from_second(seconds.parse().unwrap()).unwrap()
    }

    #[test]
    fn published_vectors() {
        for [text, id, seconds, body, signature] in VECTORS {
            let made = signatures([&key(text)], id, at(seconds), body.as_bytes()).unwrap();
            assert_eq!(made, signature);
        }
    }

    #[test]
    fn every_key_signs_in_order_and_no_key_is_an_error() {
        let [[old, id, seconds, body, first], .., [new, _, _, _, _]] = VECTORS;
        let both = signatures([&key(old), &key(new)], id, at(seconds), body.as_bytes()).unwrap();
        let (one, two) = both.split_once(' ').unwrap();
        assert_eq!(one, first);
        assert!(two.starts_with("v1a,"), "{two}");
        let none = signatures([], id, at(seconds), body.as_bytes()).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::Config);
    }

    #[test]
    fn the_public_key_is_the_published_one() {
        let public = key(VECTORS[2][0]).public();
        assert_eq!(public.as_deref(), Some("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="));
        assert_eq!(key(VECTORS[0][0]).public(), None);
    }

    #[test]
    fn keys_read_back_also_without_padding() {
        for [text, ..] in VECTORS {
            assert_eq!(key(text).reveal().expose(), text);
            assert_eq!(key(text.trim_end_matches('=')).reveal().expose(), text);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_quoted() {
        let truncated = &VECTORS[2][0][..60];
        let crossed = VECTORS[2][0].replace("whsk_6X", "whsk_7X");
        let short = "whsec_c2hvcnQ=";
        let long = format!("whsec_{}", STANDARD.encode([7; 65]));
        let public = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
        let typo = "hwsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        for bad in ["", "w", "whsec_", "whsec_%", truncated, &crossed, short, &long, public, typo] {
            let error = SigningKey::parse(&bad.into()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{bad}");
            assert!(bad.len() < 7 || !format!("{error:?}").contains(&bad[6..]), "{error:?}");
        }
    }

    #[test]
    fn new_keys_have_32_random_bytes_and_are_not_printed() {
        for (scheme, length) in [(SigningScheme::Hmac, 32), (SigningScheme::Ed25519, 64)] {
            let (a, b) = (SigningKey::generate(scheme).unwrap(), SigningKey::generate(scheme).unwrap());
            assert_eq!(a.bytes.expose().len(), length);
            assert!(!a.reveal().ct_eq(b.reveal().expose()));
            assert!(key(a.reveal().expose()).is_sound());
            assert!(!format!("{a:?}").contains(&a.reveal().expose()[6..]), "{a:?}");
        }
    }
}
