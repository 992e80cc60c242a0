//! What keys, codes and tokens have in common: texts that people type, and an end that is none.

use jiff::Timestamp;
use zeroize::Zeroizing;

/// The end of what has none: every record must have one. It is the beginning of the year 9999, which each store can write.
pub(crate) const FOREVER: Timestamp = Timestamp::constant(253_370_764_800, 0);

/// RFC 4648 section 6, in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Base32 in lower case, without padding.
pub(crate) fn base32(bytes: &[u8]) -> String {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| (byte >> (7 - at % 8)) & 1);
    let symbol = |group: usize| (0..5).fold(0_u8, |value, offset| value << 1 | bit(group * 5 + offset));
    let groups = (bytes.len() * 8).div_ceil(5);
    (0..groups).map(|group| char::from(ALPHABET[usize::from(symbol(group))])).collect()
}

/// Reads base32 as people type it: in either case, with spaces and hyphens between, with or without padding. `None` for
/// anything else, and for a text that no bytes give.
pub(crate) fn from_base32(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // A buffer that grew would leave its former places behind unwiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let (mut rest, mut bits) = (0_u32, 0);
    for typed in text.trim_end_matches('=').bytes().filter(|typed| !matches!(typed, b' ' | b'-')) {
        let value = ALPHABET.iter().position(|symbol| *symbol == typed.to_ascii_lowercase())?;
        rest = rest << 5 | value as u32;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((rest >> bits) as u8);
            rest &= (1 << bits) - 1;
        }
    }
    // What is left over must be filling: less than one symbol, and zero.
    (bits < 5 && rest == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 section 10.
    const VECTORS: [(&str, &str); 7] = [
        ("", ""),
        ("f", "MY======"),
        ("fo", "MZXQ===="),
        ("foo", "MZXW6==="),
        ("foob", "MZXW6YQ="),
        ("fooba", "MZXW6YTB"),
        ("foobar", "MZXW6YTBOI======"),
    ];

    #[test]
    fn base32_is_that_of_the_standard_both_ways() {
        for (plain, coded) in VECTORS {
            assert_eq!(base32(plain.as_bytes()), coded.trim_end_matches('=').to_lowercase());
            assert_eq!(from_base32(coded).unwrap().as_slice(), plain.as_bytes());
        }
    }

    #[test]
    fn it_is_read_as_people_type_it_and_nothing_else_is_read() {
        for typed in ["mzxw 6ytb-oi", "MzXw6YtBoI=", " MZXW6YTB OI "] {
            assert_eq!(from_base32(typed).unwrap().as_slice(), b"foobar", "{typed}");
        }
        for wrong in ["mzxw6ytb0i", "m", "mzxw6ytboj", "mzx=w6yt", "mzxw6ytbö"] {
            assert!(from_base32(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_has_no_end_ends_in_the_year_9999() {
        assert_eq!(FOREVER.to_string(), "9999-01-01T00:00:00Z");
    }
}
