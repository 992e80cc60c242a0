//! Keys that sign.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use integrations_core::jose::{Algorithm, Jws, SigningKey};
use integrations_core::{ErrorKind, SecretString};
use serde_json::{Map, json};

use super::{read, set};

const SIGNS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

fn pem(label: &str, der: &[u8]) -> SecretString {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der)).into()
}

fn p256() -> SecretString {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref())
}

#[test]
fn what_a_key_signs_its_public_half_verifies_here_and_elsewhere() {
    for algorithm in SIGNS {
        let key = SigningKey::generate(algorithm).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let claims = Map::from_iter([("iss".to_owned(), json!("us")), ("exp".to_owned(), json!(5_000))]);
        let token = key.sign("at+jwt", &claims).unwrap();
        let jwk = key.public_jwk().unwrap();
        assert_eq!((&jwk["alg"], &jwk["use"]), (&json!(algorithm.as_str()), &json!("sig")));
        let header = Jws::parse(token.expose()).unwrap().header().clone();
        assert_eq!(
            (header.alg.as_str(), header.typ.as_deref(), header.kid.as_deref()),
            (algorithm.as_str(), Some("at+jwt"), key.kid())
        );
        assert_eq!(*read(token.expose(), &set([jwk.clone()])).unwrap().as_map(), claims);

        let theirs = jsonwebtoken::DecodingKey::from_jwk(&serde_json::from_value(jwk).unwrap()).unwrap();
        let mut validation = jsonwebtoken::Validation::new(header.alg.parse().unwrap());
        validation.validate_exp = false;
        let read = jsonwebtoken::decode::<Map<_, _>>(token.expose(), &theirs, &validation).unwrap();
        assert_eq!(read.claims, claims);

        let other = SigningKey::generate(algorithm).unwrap().id(key.kid().unwrap());
        let other = set([other.public_jwk().unwrap()]);
        assert!(super::read(token.expose(), &other).is_err(), "a stranger under our id");
    }
}

#[test]
fn a_new_key_is_called_by_its_thumbprint() {
    for algorithm in SIGNS {
        let key = SigningKey::generate(algorithm).unwrap();
        let thumbprint = key.thumbprint().unwrap();
        assert_eq!(key.kid(), Some(thumbprint.as_str()));
        let renamed = key.id("ours");
        assert_eq!(renamed.thumbprint().unwrap(), thumbprint, "the id is no part of it");
        assert_eq!(renamed.public_jwk().unwrap()["kid"], "ours");
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(renamed.public_jwk().unwrap()).unwrap();
        assert_eq!(jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap(), thumbprint);
    }
}

#[test]
fn a_key_is_written_and_read_again() {
    for algorithm in SIGNS {
        let key = SigningKey::generate(algorithm).unwrap();
        let again = SigningKey::pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!(again.algorithm(), algorithm);
        assert_eq!(again.thumbprint().unwrap(), key.thumbprint().unwrap());
        assert_eq!(again.kid(), None, "a file has no id");
    }
}

#[test]
fn what_nothing_signs_with_is_not_generated() {
    for algorithm in [Algorithm::Hs256, Algorithm::Ps256, Algorithm::Es384] {
        let error = SigningKey::generate(algorithm).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.hint().is_some());
    }
}

#[test]
fn what_is_no_usable_key_is_refused_without_quoting_it() {
    let weak = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let cut = &weak.as_der().unwrap().as_ref()[..600].to_vec();
    for bad in [pem("PRIVATE KEY", b"4eC39H"), pem("PRIVATE KEY", cut), "4eC39H".into(), "".into()] {
        let e = SigningKey::pem(&bad).unwrap_err();
        assert!(!format!("{e:?}").contains("4eC39H"), "{e:?}");
        assert!(e.hint().is_some());
    }
    assert_eq!(format!("{:?}", SigningKey::pem(&p256()).unwrap()), "SigningKey { alg: \"ES256\", id: None }");
}

#[test]
fn a_key_is_read_as_files_have_it_and_no_other_curve_or_encryption_passes() {
    let private = p256();
    let crlf = private.expose().replace('\n', "\r\n");
    let after_text = format!("Bag Attributes\n    friendlyName: x\n{}\ntrailing\n", private.expose());
    let after_certificate = format!("{}{}", pem("CERTIFICATE", b"x").expose(), private.expose());
    for good in [crlf, after_text, after_certificate] {
        SigningKey::pem(&good.into()).unwrap();
    }
    let other = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let encrypted = private.expose().replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let public = private.expose().replace("PRIVATE KEY", "PUBLIC KEY");
    let escaped = private.expose().replace('\n', "\\n");
    for bad in [
        pem("PRIVATE KEY", other.to_pkcs8v1().unwrap().as_ref()),
        encrypted.into(),
        public.into(),
        escaped.into(),
    ] {
        assert_eq!(SigningKey::pem(&bad).unwrap_err().kind(), ErrorKind::Config);
    }
}

/// PKCS #1 of 1024 bits, made by OpenSSL.
#[test]
fn rsa_below_2048_bits_signs_nothing() {
    let short = include_str!("rsa1024.pem");
    assert_eq!(SigningKey::pem(&short.into()).unwrap_err().kind(), ErrorKind::Config);
}
