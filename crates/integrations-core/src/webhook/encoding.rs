//! Text to bytes and back, in the few forms that signatures and keys are written in.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Padding may be there or not; bits beyond the last byte must be zero, so that each value has one spelling.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT.with_encode_padding(false));

pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

pub(super) fn from_base64_url(text: &str) -> Option<Vec<u8>> {
    BASE64_URL.decode(text).ok()
}

pub(super) fn to_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

pub(super) fn to_base64_url(bytes: &[u8]) -> String {
    BASE64_URL.encode(bytes)
}

/// Either case: vendors send both, and what is compared is bytes.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8)).collect()
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The first block of a PEM text with this label (RFC 7468), and what follows it.
pub(super) fn pem_block<'t>(text: &'t str, label: &str) -> Option<(Vec<u8>, &'t str)> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let start = text.find(&begin)? + begin.len();
    let length = text[start..].find(&end)?;
    let content: String = text[start..start + length].split_ascii_whitespace().collect();
    Some((from_base64(&content)?, &text[start + length + end.len()..]))
}

/// `application/x-www-form-urlencoded` bytes, decoded: a value need not be UTF-8.
pub(super) fn form_decode(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    percent_encoding::percent_decode(&spaced).collect()
}

/// The pairs of a form or a query, decoded, in their order.
pub(super) fn form_pairs(text: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    text.split(|&b| b == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let cut = pair.iter().position(|&b| b == b'=').unwrap_or(pair.len());
            (form_decode(&pair[..cut]), form_decode(pair.get(cut + 1..).unwrap_or_default()))
        })
        .collect()
}

/// CRC-32 as in IEEE 802.3, which PayPal signs instead of the body.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_one_spelling_but_for_case_and_padding() {
        assert_eq!(from_hex("00fF"), Some(vec![0, 255]));
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("+f"), None);
        assert_eq!(from_base64("AA=="), Some(vec![0]));
        assert_eq!(from_base64("AA"), Some(vec![0]));
        assert_eq!(from_base64("AB=="), None, "bits beyond the last byte");
        assert_eq!(from_base64_url("_-8"), Some(vec![255, 239]));
        assert_eq!(to_hex(&[0, 255]), "00ff");
    }

    #[test]
    fn a_pem_text_is_read_block_by_block() {
        let text =
            "x\n-----BEGIN A-----\nAAEC\nAw==\n-----END A-----\n-----BEGIN A-----\n/w==\n-----END A-----";
        let (first, rest) = pem_block(text, "A").unwrap();
        assert_eq!(first, [0, 1, 2, 3]);
        assert_eq!(pem_block(rest, "A").unwrap().0, [255]);
        assert!(pem_block(text, "B").is_none());
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc32(br#"{"id":"WH-TEST"}"#), 2_932_163_759);
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn forms_are_decoded_as_bytes() {
        let pairs = form_pairs(b"a=1+2&b=%ff&&c&d=x=y");
        let expected: [(&[u8], &[u8]); 4] = [(b"a", b"1 2"), (b"b", b"\xff"), (b"c", b""), (b"d", b"x=y")];
        assert!(pairs.iter().map(|(k, v)| (&k[..], &v[..])).eq(expected));
    }
}
