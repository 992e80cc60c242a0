//! AES-256-GCM (NIST SP 800-38D), and the random bytes for it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::error::{Effect, Error, ErrorKind, Result};
use crate::random;
use crate::secret::Secret;

/// Bytes of a key.
pub(super) const KEY: usize = 32;
/// Bytes of a nonce.
pub(super) const NONCE: usize = 12;
/// Bytes of a tag.
pub(super) const TAG: usize = 16;

/// The ciphertext of `plain`, and its tag. No nonce may be used twice with one key.
pub(super) fn seal(key: &Secret<Vec<u8>>, nonce: [u8; NONCE], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let key = cipher(key).ok_or_else(|| refused(plain))?;
    // Room for the tag too, because a vector that grows leaves its old buffer unwiped.
    let mut buffer = Zeroizing::new(Vec::with_capacity(plain.len() + TAG));
    buffer.extend_from_slice(plain);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut *buffer)
        .map_err(|_| refused(plain))?;
    Ok(std::mem::take(&mut *buffer))
}

/// The plain text of a ciphertext with its tag; `None` if anything about it is not as it was sealed.
pub(super) fn open(
    key: &Secret<Vec<u8>>,
    nonce: [u8; NONCE],
    aad: &[u8],
    sealed: &[u8],
) -> Option<Secret<Vec<u8>>> {
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = cipher(key)?.open_in_place(nonce, Aad::from(aad), &mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(Secret::new(std::mem::take(&mut *buffer)))
}

/// A new key. It stays on the heap: an array would leave a copy wherever it is moved from.
pub(super) fn random_key() -> Result<Secret<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; KEY]);
    random::fill(&mut bytes)?;
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}

/// Random bytes that are not secret.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    random::fill(&mut bytes)?;
    Ok(bytes)
}

fn cipher(key: &Secret<Vec<u8>>) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key.expose()).ok().map(LessSafeKey::new)
}

fn refused(plain: &[u8]) -> Error {
    let message = format!("AES-256-GCM cannot encrypt {} bytes with this key", plain.len());
    Error::new(ErrorKind::InvalidRequest, Effect::NotSent, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// Test case 16 of "The Galois/Counter Mode of Operation" (McGrew and Viega).
    #[test]
    fn the_published_vector_is_met_both_ways() {
        let key = Secret::new(hex(&"feffe9928665731c6d6a8f9467308308".repeat(2)));
        let nonce = hex("cafebabefacedbaddecaf888").try_into().unwrap();
        let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let plain = hex(concat!(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72",
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        ));
        let sealed = hex(concat!(
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa",
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b"
        ));
        assert_eq!(seal(&key, nonce, &aad, &plain).unwrap(), sealed);
        assert_eq!(open(&key, nonce, &aad, &sealed).unwrap().expose(), &plain);
        assert!(open(&key, nonce, &aad[1..], &sealed).is_none());
    }

    #[test]
    fn a_key_of_another_length_encrypts_nothing() {
        for length in [0, 16, 24, 31, 33] {
            let key = Secret::new(vec![1; length]);
            assert_eq!(seal(&key, [0; NONCE], b"", b"x").unwrap_err().kind(), ErrorKind::InvalidRequest);
            assert!(open(&key, [0; NONCE], b"", &[0; 17]).is_none());
        }
    }

    #[test]
    fn less_than_a_tag_does_not_open() {
        let key = random_key().unwrap();
        for length in 0..TAG {
            assert!(open(&key, [0; NONCE], b"", &vec![0; length]).is_none());
        }
    }
}
