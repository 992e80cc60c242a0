//! Which keys of a set are taken.

use integrations_core::ErrorKind;
use integrations_core::jose::{Algorithm, KeySet, PublicKey};
use serde_json::{Value, json};

use super::{EVERY, Issuer, RSA_N, b64, read, set, with, without};

fn algorithms(jwk: Value) -> Vec<Algorithm> {
    let key = PublicKey::from_jwk(jwk);
    EVERY.into_iter().filter(|algorithm| key.as_ref().is_some_and(|key| key.fits(*algorithm))).collect()
}

fn bytes(base64: &Value) -> Vec<u8> {
    base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, base64.as_str().unwrap())
        .unwrap()
}

#[test]
fn a_key_verifies_what_its_kind_does_and_nothing_else() {
    for algorithm in EVERY {
        let issuer = Issuer::new(algorithm);
        let mut expected = vec![algorithm];
        if matches!(algorithm, Algorithm::Rs256 | Algorithm::Ps256) {
            expected = vec![Algorithm::Rs256, Algorithm::Ps256];
        }
        assert_eq!(algorithms(issuer.jwk("k")), expected);
        assert_eq!(algorithms(with(issuer.jwk("k"), "alg", algorithm.as_str())), [algorithm], "narrowed");
        assert!(!PublicKey::from_jwk(issuer.jwk("k")).unwrap().fits(Algorithm::Hs256));
        let token = issuer.token(issuer.header("k"), "{}");
        assert!(read(&token, &set([with(issuer.jwk("k"), "alg", algorithm.as_str())])).is_ok());
    }
    let rsa = Issuer::new(Algorithm::Ps256);
    let only_pkcs1 = set([with(rsa.jwk("k"), "alg", "RS256")]);
    assert_eq!(read(&rsa.token(rsa.header("k"), "{}"), &only_pkcs1).unwrap_err(), super::unknown("k"));
}

#[test]
fn what_a_key_is_for_is_respected() {
    let cases: &[(&str, Value, bool)] = &[
        ("use", json!("sig"), true),
        ("use", json!("enc"), false),
        ("use", json!("SIG"), false),
        ("use", json!(null), false),
        ("use", json!(["sig"]), false),
        ("key_ops", json!(["verify"]), true),
        ("key_ops", json!(["sign", "verify"]), true),
        ("key_ops", json!(["sign"]), false),
        ("key_ops", json!([]), false),
        ("key_ops", json!(["encrypt", 7]), false),
        ("key_ops", json!("verify"), false),
        ("alg", json!("ES256"), true),
        ("alg", json!("ES384"), false),
        ("alg", json!("ES256K"), false),
        ("alg", json!("ECDH-ES"), false),
        ("alg", json!("es256"), false),
        ("alg", json!(null), false),
        ("alg", json!(["ES256"]), false),
        ("kid", json!(7), false),
        ("kid", json!(null), false),
        ("d", json!("AAAA"), false),
        ("x5c", json!(["AAAA"]), true),
        ("unheard_of", json!({}), true),
    ];
    let jwk = Issuer::new(Algorithm::Es256).jwk("k");
    for (name, value, is_taken) in cases {
        let taken = PublicKey::from_jwk(with(jwk.clone(), name, value.clone())).is_some();
        assert_eq!(taken, *is_taken, "{name}: {value}");
    }
    let contradictory = with(with(jwk, "use", "sig"), "key_ops", json!(["encrypt"]));
    assert!(PublicKey::from_jwk(contradictory).is_none());
}

#[test]
fn rsa_has_2048_bits_at_least_and_a_sound_exponent() {
    let jwk = |n: &str, e: &str| json!({ "kty": "RSA", "n": n, "e": e });
    let n = bytes(&RSA_N.into());
    // Made by OpenSSL, of 1024 and of 2047 bits; the latter has as many bytes as one of 2048.
    let short = "vJ1kFZSS6JbVCvxUYEwv-yWKtK5FEy9wpMkaq9Cwru44Dmoq7VsQ6VQQKmYWkkuKB5LEu3_gP3812c55AgF4_-ITiuNkcdVHteUFABRwFI-6iXQvzGFm_79ZXh9o9HninCqnPzDaz_vbJFoOmjN-98pHNOwdBB7bqI7hrWq219k";
    let almost = "YgOHBdCk08QvZXPlBJgsesFlHENPMCzgJj4gYa2tmf0xy47YhLTv6sq0zuLRHN8bBA64-lHZ8GzyErTrV7SbaQre62MCPtInkt3yzbQCSi2KYT-JMohW6FNkn6MJaWs3eP0NsJVobeQlbBcL8Q9Is42eFfgODUJXv9fILijXeVZma5uOs8jMpdaYXRK7sYc74uK02O2DJBPlYaZHbJDEVVObnav35Knc-_cwdECvVR79Iq8vKNRceU8xtmcntVxIhmi0wHZ8Dw4ghck1YNo2ovLYHndxhD7Ph8SqunW2GjkZ-YF2SgXK6BhiNUSQMaAN7lzJtve4Jxc9pNnZ6JVMmw";
    assert_eq!(bytes(&almost.into()).len(), 256);
    let zeros_before = |n: &str| b64([vec![0; 129], bytes(&n.into())].concat());
    let cases = [
        ("2048 bits", jwk(RSA_N, "AQAB"), true),
        ("1024 bits", jwk(short, "AQAB"), false),
        ("2047 bits", jwk(almost, "AQAB"), false),
        ("1024 bits that zeros make look like more", jwk(&zeros_before(short), "AQAB"), false),
        ("2047 bits, the same", jwk(&zeros_before(almost), "AQAB"), false),
        ("8200 bits", jwk(&b64([vec![1; 769], n.clone()].concat()), "AQAB"), false),
        ("the exponent 3", jwk(RSA_N, "Aw"), true),
        ("the exponent 1: a message is its own signature", jwk(RSA_N, "AQ"), false),
        ("the exponent 1 behind zeros", jwk(RSA_N, &b64([0, 0, 1])), false),
        ("an even exponent", jwk(RSA_N, &b64([2])), false),
        ("the exponent 0", jwk(RSA_N, &b64([0])), false),
        ("an empty exponent", jwk(RSA_N, ""), false),
        ("an empty modulus", jwk("", "AQAB"), false),
        ("padded", jwk(&format!("{RSA_N}=="), "AQAB"), false),
        ("a space", jwk(&format!("{RSA_N} "), "AQAB"), false),
        ("a number", with(jwk(RSA_N, "AQAB"), "e", 65_537), false),
        ("no modulus", without(jwk(RSA_N, "AQAB"), "n"), false),
        ("no exponent", without(jwk(RSA_N, "AQAB"), "e"), false),
    ];
    for (name, jwk, is_taken) in cases {
        assert_eq!(PublicKey::from_jwk(jwk).is_some(), is_taken, "{name}");
    }
}

/// Java's `BigInteger` writes 257 bytes for 2048 bits, and issuers have published that (RFC 7518 section 6.3.1.1).
#[test]
fn a_zero_before_the_modulus_is_no_part_of_it() {
    let issuer = Issuer::new(Algorithm::Rs256);
    let n = b64([vec![0], bytes(&RSA_N.into())].concat());
    let keys = set([with(issuer.jwk("k"), "n", n)]);
    assert!(read(&issuer.token(issuer.header("k"), "{}"), &keys).is_ok());
}

#[test]
fn a_point_is_on_its_curve_and_as_long_as_it_must_be() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
        let jwk = Issuer::new(algorithm).jwk("k");
        let x = bytes(&jwk["x"]);
        let mut wrong = vec![
            with(jwk.clone(), "x", b64([&[0], &x[..]].concat())),
            with(jwk.clone(), "x", b64([&x[..], &[0]].concat())),
            with(jwk.clone(), "x", b64(&x[1..])),
            with(jwk.clone(), "x", ""),
            with(jwk.clone(), "x", format!("{}=", jwk["x"].as_str().unwrap())),
            with(jwk.clone(), "x", json!([1])),
            without(jwk.clone(), "x"),
            without(jwk.clone(), "crv"),
            without(jwk.clone(), "kty"),
            with(jwk.clone(), "crv", "P-521"),
            with(jwk.clone(), "kty", "RSA"),
            with(jwk.clone(), "kty", "oct"),
        ];
        if algorithm != Algorithm::EdDsa {
            let mut off = bytes(&jwk["y"]);
            off[0] ^= 1;
            wrong.extend([
                with(jwk.clone(), "y", b64(off)),
                with(jwk.clone(), "y", jwk["x"].clone()),
                without(jwk.clone(), "y"),
                with(jwk.clone(), "kty", "OKP"),
                // One coordinate longer and one shorter are together as long as they must be.
                with(with(jwk.clone(), "x", b64(&x[..x.len() - 1])), "y", b64(vec![7; x.len() + 1])),
            ]);
        }
        for wrong in wrong {
            assert!(PublicKey::from_jwk(wrong.clone()).is_none(), "{wrong}");
        }
        assert!(PublicKey::from_jwk(jwk).is_some());
    }
}

/// The points are good ones, made by OpenSSL; X25519's is that of RFC 8037 appendix A.6.
#[test]
fn other_curves_are_left_out() {
    let others = [
        json!({
            "kty": "EC", "crv": "P-521",
            "x": "AJgVXEC-rL2UwQaMkX5EeZAndNxcIMnpalg2s_uG8B7LjRP7B_Y6nqqR43m_61EFjy6YM8J9BH8GVqW_ZZVv3O_9",
            "y": "AJo6s3BzCjwGO1_7tf3qNyUU4EwnCqRieoRkiRmYn2lmfdbZpIFJ1ksw5WiJOyaw1X0v2DxcOBAcTZAJsyRhRR1F",
        }),
        json!({
            "kty": "EC", "crv": "secp256k1", "x": "gaPPPyHns5CYnhRpc7EiRxsNYBW_Jog9g9YvogG7Z6w",
            "y": "JH28aBdSdnJqw1P7Z7FcmqyCdGjVSqd97VsvyMpqUQU",
        }),
        json!({ "kty": "OKP", "crv": "X25519", "x": "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08" }),
        json!({ "kty": "OKP", "crv": "Ed448", "x": b64([9; 57]) }),
        json!({ "kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ" }),
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA" }),
        json!({}),
        json!("a text"),
        json!(null),
    ];
    let ours = Issuer::new(Algorithm::Es256).jwk("k");
    let keys = set(others.into_iter().chain([ours]));
    assert_eq!(keys.keys().iter().map(PublicKey::kid).collect::<Vec<_>>(), [Some("k")]);
}

#[test]
fn a_set_is_an_object_with_keys_and_says_each_thing_once() {
    for bad in [
        "",
        "[]",
        "{}",
        "null",
        "\"keys\"",
        r#"{"keys":{}}"#,
        r#"{"keys":null}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"kty":"RSA","kty":"RSA"}]}"#,
        r#"{"keys":[]} x"#,
    ] {
        assert_eq!(KeySet::from_jwks(bad.as_bytes()).unwrap_err().kind(), ErrorKind::Config, "{bad}");
    }
    let many = |count: usize| json!({ "keys": vec![json!({}); count] }).to_string();
    assert!(KeySet::from_jwks(many(100).as_bytes()).unwrap().keys().is_empty());
    assert_eq!(KeySet::from_jwks(many(101).as_bytes()).unwrap_err().kind(), ErrorKind::Config);
    assert!(KeySet::from_jwks(br#"{"keys":[],"other":1}"#).is_ok());
}

#[test]
fn a_key_shows_its_id_alone() {
    let keys = set([Issuer::new(Algorithm::Rs256).jwk("k")]);
    assert_eq!(format!("{keys:?}"), r#"KeySet { keys: [PublicKey { kid: Some("k"), .. }] }"#);
}
