//! Names that are made of what must not be seen, and contexts that no two things share.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The parts one after the other, each with its length before it: other parts never give the same bytes.
pub(crate) fn framed(parts: &[&str]) -> Vec<u8> {
    let with_length = |part: &&str| [&(part.len() as u64).to_be_bytes(), part.as_bytes()].concat();
    parts.iter().flat_map(with_length).collect()
}

/// SHA-256 of the parts in base64url, 43 characters: names what is kept under a secret, or under what is personal.
pub(crate) fn hashed(parts: &[&str]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, &framed(parts)))
}

/// Whether every store can keep this as a tenant's name. Anybody can write another one into a token, and is refused for it
/// before a store fails.
pub(crate) fn is_tenant(name: &str) -> bool {
    !name.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_cut_elsewhere_have_other_names() {
        assert_ne!(hashed(&["ab", "c"]), hashed(&["a", "bc"]));
        assert_ne!(hashed(&["a"]), hashed(&["a", ""]));
        assert_eq!(hashed(&["a", "b"]).len(), 43);
    }
}
