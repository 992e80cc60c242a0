//! What a service tells about its limits, in every dialect the vendors speak.

use jiff::Timestamp;

/// Parses an HTTP date (RFC 9110 section 5.6.7).
pub fn http_date(_text: &str) -> Option<Timestamp> {
    None
}
