//! Whatever the bytes are, there is an answer, and only the bytes that were signed are taken.

use std::sync::LazyLock;

use integrations_core::jose::{Algorithm, Jws, KeySet, PublicKey};
use proptest::prelude::*;

use super::{EVERY, Issuer, read, set};

static ISSUERS: LazyLock<Vec<Issuer>> = LazyLock::new(|| EVERY.map(Issuer::new).into());

/// The two uses of the RSA key are one key.
static KEYS: LazyLock<KeySet> =
    LazyLock::new(|| set(ISSUERS.iter().skip(1).map(|issuer| issuer.jwk(issuer.algorithm.as_str()))));

const CLAIMS: &str =
    r#"{"iss":"https://issuer.example","sub":"24400320","aud":"s6BhdRkqt3","exp":1311281970}"#;

static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let kid = |issuer: &Issuer| match issuer.algorithm {
        Algorithm::Rs256 => Algorithm::Ps256.as_str(),
        other => other.as_str(),
    };
    ISSUERS.iter().map(|issuer| issuer.token(issuer.header(kid(issuer)), CLAIMS)).collect()
});

fn answers(token: &str) {
    if let Ok(jws) = Jws::parse(token)
        && let Ok(claims) = jws.verify(&KEYS, Algorithm::PUBLIC)
    {
        let _ = (claims.audiences(), claims.time("exp"), claims.need("sub"));
    }
}

proptest! {
    #[test]
    fn any_text_has_an_answer(token in ".{0,300}", parts in "[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}") {
        answers(&token);
        answers(&parts);
    }

    #[test]
    fn any_bytes_signed_by_the_right_key_have_an_answer(
        header in prop::collection::vec(any::<u8>(), 0..80),
        payload in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let issuer = &ISSUERS[4];
        answers(&issuer.token(&header, &payload));
        answers(&issuer.token(issuer.header("EdDSA"), &payload));
    }

    #[test]
    fn any_bytes_are_a_set_or_none(json in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,a-z0-9]{0,60}") {
        let _ = KeySet::from_jwks(&json);
        let _ = KeySet::from_jwks(text.as_bytes());
        let _ = serde_json::from_str(&text).ok().and_then(PublicKey::from_jwk);
    }

    #[test]
    fn a_token_with_a_byte_changed_is_refused(which in 0..5_usize, at in any::<prop::sample::Index>(), byte in 0..128_u8) {
        let good = &TOKENS[which];
        prop_assert!(read(good, &KEYS).is_ok());
        let mut changed = good.clone().into_bytes();
        let at = at.index(changed.len());
        prop_assume!(changed[at] != byte);
        changed[at] = byte;
        let changed = String::from_utf8(changed).unwrap();
        prop_assert!(read(&changed, &KEYS).is_err(), "{changed}");
    }

    #[test]
    fn a_token_with_a_byte_more_or_less_is_refused(which in 0..5_usize, at in any::<prop::sample::Index>(), byte in 0..128_u8) {
        let good = &TOKENS[which];
        let mut longer = good.clone();
        longer.insert(at.index(good.len() + 1), byte as char);
        let mut shorter = good.clone();
        shorter.remove(at.index(good.len()));
        for changed in [longer, shorter] {
            prop_assert!(read(&changed, &KEYS).is_err(), "{changed}");
        }
    }
}

/// Each byte of each token, by the nearest change to it, so that none is left to chance.
#[test]
fn every_byte_of_a_token_counts() {
    for good in TOKENS.iter() {
        for at in 0..good.len() {
            let mut changed = good.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(read(&changed, &KEYS).is_err(), "at {at}: {changed}");
        }
    }
}
