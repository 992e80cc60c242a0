//! The bytes of a sealed entry.
//!
//! `IG` | version 1 | algorithm 1 | length 1, key id | length 2, wrapped data key | nonce 12 | ciphertext | tag 16
//!
//! The numbers are bytes; lengths are big-endian.

use super::aead::{NONCE, TAG};
use super::service::Wrapped;
use crate::error::{Effect, Error, ErrorKind, Result};

const MAGIC: [u8; 2] = *b"IG";
/// The version that is written.
const VERSION: u8 = 1;
/// AES-256-GCM under a data key of 32 bytes.
const AES_256_GCM: u8 = 1;

/// A sealed entry, taken apart and not yet trusted.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) wrapped: Wrapped,
    pub(super) nonce: [u8; NONCE],
    /// Ciphertext and tag.
    pub(super) body: &'a [u8],
}

/// The bytes of an entry. `Unexpected` for a wrapped key that the format has no room for.
pub(super) fn encode(wrapped: &Wrapped, nonce: [u8; NONCE], body: &[u8]) -> Result<Vec<u8>> {
    let lengths = (u8::try_from(wrapped.key_id.len()), u16::try_from(wrapped.bytes.len()));
    let (Ok(key_id), Ok(key), true) = (lengths.0, lengths.1, is_key_id(wrapped.key_id.as_bytes())) else {
        let message = "the key service gave a key id or a wrapped key that cannot be stored";
        return Err(Error::new(ErrorKind::Unexpected, Effect::NotSent, message));
    };
    Ok([
        &MAGIC[..],
        &[VERSION, AES_256_GCM, key_id],
        wrapped.key_id.as_bytes(),
        &key.to_be_bytes(),
        &wrapped.bytes,
        &nonce,
        body,
    ]
    .concat())
}

/// Takes an entry apart. `Decode` for anything that [`encode`] does not write.
pub(super) fn parse(sealed: &[u8]) -> Result<Entry<'_>> {
    let mut rest = sealed;
    if array(&mut rest)? != MAGIC {
        return Err(unreadable("it does not begin with `IG`"));
    }
    match array(&mut rest)? {
        [VERSION, AES_256_GCM] => parse_first_version(rest),
        [version, algorithm] => {
            Err(unreadable(&format!("its version is {version} and its algorithm {algorithm}"))
                .with_hint("read it with the release that wrote it, or a later one"))
        }
    }
}

fn parse_first_version(mut rest: &[u8]) -> Result<Entry<'_>> {
    let [length] = array(&mut rest)?;
    let key_id = take(&mut rest, length.into())?;
    if !is_key_id(key_id) {
        return Err(unreadable("its key id is empty or has invisible characters"));
    }
    let length = u16::from_be_bytes(array(&mut rest)?);
    let bytes = take(&mut rest, length.into())?.to_vec();
    let nonce = array(&mut rest)?;
    if rest.len() < TAG {
        return Err(cut_off());
    }
    let wrapped = Wrapped { key_id: String::from_utf8_lossy(key_id).into_owned(), bytes };
    Ok(Entry { wrapped, nonce, body: rest })
}

/// What the tag of an entry covers besides its plain text: all that says how to read it, and what it is for.
pub(super) fn authenticated(purpose: &str, context: &[u8]) -> Vec<u8> {
    let length = (purpose.len() as u64).to_be_bytes();
    [&MAGIC[..], &[VERSION, AES_256_GCM], &length, purpose.as_bytes(), context].concat()
}

/// What the wrapping of a data key is bound to: a key for one algorithm and purpose serves no other.
pub(super) fn key_context(purpose: &str) -> String {
    format!("integrations-seal/{VERSION}/{AES_256_GCM}/{purpose}")
}

/// What can be shown in an error and a log as it is.
fn is_key_id(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_graphic)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (taken, left) = rest.split_first_chunk().ok_or_else(cut_off)?;
    *rest = left;
    Ok(*taken)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    rest.split_off(..length).ok_or_else(cut_off)
}

fn cut_off() -> Error {
    unreadable("it is cut off")
}

fn unreadable(why: &str) -> Error {
    Error::new(ErrorKind::Decode, Effect::NotSent, format!("a sealed entry cannot be read: {why}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrapped(key_id: &str, bytes: usize) -> Wrapped {
        Wrapped { key_id: key_id.to_owned(), bytes: vec![7; bytes] }
    }

    /// What was written once must be read forever: this text is fixed.
    #[test]
    fn the_layout_is_the_documented_one() {
        let sealed = encode(&wrapped("k1", 3), [9; NONCE], &[5; 17]).unwrap();
        let expected = [&b"IG\x01\x01\x02k1\x00\x03\x07\x07\x07"[..], &[9; NONCE], &[5; 17]].concat();
        assert_eq!(sealed, expected);
    }

    #[test]
    fn no_two_pairs_of_purpose_and_context_are_authenticated_alike() {
        assert_ne!(authenticated("ab", b"c"), authenticated("a", b"bc"));
        assert_ne!(authenticated("", b"a"), authenticated("a", b""));
    }

    #[test]
    fn what_cannot_be_stored_is_not_cut_short() {
        for bad in [wrapped("", 1), wrapped("a b", 1), wrapped(&"k".repeat(256), 1), wrapped("k", 65_536)] {
            assert_eq!(encode(&bad, [0; NONCE], &[0; TAG]).unwrap_err().kind(), ErrorKind::Unexpected);
        }
        let largest = wrapped(&"k".repeat(255), 65_535);
        let sealed = encode(&largest, [0; NONCE], &[0; TAG]).unwrap();
        assert_eq!(parse(&sealed).unwrap().wrapped, largest);
    }

    #[test]
    fn other_versions_and_algorithms_are_told_by_number() {
        let mut sealed = encode(&wrapped("k1", 3), [9; NONCE], &[5; 17]).unwrap();
        for (at, says) in [(2, "version is 2"), (3, "algorithm 2")] {
            sealed[at] = 2;
            let error = parse(&sealed).unwrap_err();
            assert!(error.message().contains(says) && error.hint().is_some(), "{error:?}");
            sealed[at] = 1;
        }
        parse(&sealed).unwrap();
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            key_id in "[!-~]{1,255}",
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            nonce: [u8; NONCE],
            body in prop::collection::vec(any::<u8>(), TAG..100),
        ) {
            let wrapped = Wrapped { key_id, bytes };
            let sealed = encode(&wrapped, nonce, &body).unwrap();
            let entry = parse(&sealed).unwrap();
            prop_assert_eq!((entry.wrapped, entry.nonce, entry.body), (wrapped, nonce, &body[..]));
        }

        /// Nothing is read in two ways: what parses is what would be written.
        #[test]
        fn what_is_read_would_be_written_alike(tail in prop::collection::vec(any::<u8>(), 0..200)) {
            for head in [&b""[..], b"IG\x01\x01", b"IG\x01\x01\x01k\0\x02"] {
                let sealed = [head, &tail].concat();
                match parse(&sealed) {
                    Ok(entry) => prop_assert_eq!(encode(&entry.wrapped, entry.nonce, entry.body).unwrap(), sealed),
                    Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Decode),
                }
            }
        }
    }
}
