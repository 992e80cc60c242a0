//! Published examples, and tokens that another implementation made.

use std::time::Duration;

use http::{HeaderMap, Method, Uri};
use integrations_core::ErrorKind;
use integrations_core::jose::{Algorithm, Jws, JwtError, SigningKey};
use integrations_core::webhook::{
    Algorithm as WebhookAlgorithm, Decoding, Incoming, Jwt, Key, KeyRing, Kit, Place, WebhookError,
};
use jiff::Timestamp;
use serde_json::json;

use super::{RSA_N, read, set};

/// The claims of RFC 7519 section 3.1, which RFC 7515 signs in its appendices.
const PAYLOAD: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

fn assert_are_joes(token: &str, jwk: serde_json::Value) {
    let claims = read(token, &set([jwk])).unwrap();
    let expected = json!({ "iss": "joe", "exp": 1_300_819_380, "http://example.com/is_root": true });
    assert_eq!(serde_json::Value::Object(claims.as_map().clone()), expected);
    let before = Timestamp::from_second(1_300_819_379).unwrap();
    claims.expect_now(before, Duration::ZERO).unwrap();
    let after = before + Duration::from_secs(1);
    assert!(matches!(claims.expect_now(after, Duration::ZERO), Err(JwtError::Expired(_))));
}

/// RFC 7515 appendix A.1, which is the example of RFC 7519 section 3.1. A set of public keys never verifies it; a shared
/// secret does, where deliveries have one.
#[test]
fn rfc_7515_a1_hs256() {
    const KIT: Jwt = Jwt::new(Place::Header("authorization"), &[WebhookAlgorithm::Hs256]);
    let token = format!(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{PAYLOAD}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    let verify = |secret: &str, second: i64| {
        let ring = KeyRing::new(Key::secret("k", secret.into(), Decoding::Base64).unwrap());
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        let request = Incoming {
            method: &Method::POST,
            uri: &Uri::from_static("https://example.com/"),
            headers: &headers,
            body: b"",
            received: Timestamp::from_second(second).unwrap(),
        };
        KIT.verify(&request, &ring).map(|_| ())
    };
    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    assert_eq!(verify(secret, 1_300_819_439), Ok(()));
    assert!(matches!(verify(secret, 1_300_819_440), Err(WebhookError::Stale(_))), "a minute after its end");
    assert_eq!(verify(&secret.replace('A', "B"), 1_300_819_379), Err(WebhookError::NoMatch));
}

/// RFC 7515 appendix A.2.
#[test]
fn rfc_7515_a2_rs256() {
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let jwk = json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB" });
    assert_are_joes(&format!("eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.{signature}"), jwk);
}

/// RFC 7515 appendix A.3.
#[test]
fn rfc_7515_a3_es256() {
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert_are_joes(&format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.{signature}"), rfc_7515_a3_jwk());
}

fn rfc_7515_a3_jwk() -> serde_json::Value {
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

/// RFC 7519 section 6.1: a token without a signature.
#[test]
fn rfc_7519_6_1_unsecured() {
    let token = format!("eyJhbGciOiJub25lIn0.{PAYLOAD}.");
    assert_eq!(read(&token, &set([rfc_7515_a3_jwk()])).unwrap_err(), JwtError::Malformed("signature"));
}

/// RFC 8037 appendix A.4. What is signed there is no JSON: that it is the payload that is refused says that the signature
/// fits, and with another signature it is not.
#[test]
fn rfc_8037_a4_ed25519() {
    let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let key = SigningKey::pem(&RFC_8037_PEM.into()).unwrap();
    let keys = set([key.public_jwk().unwrap()]);
    let read = |signature: &str| read(&format!("{message}.{signature}"), &keys).unwrap_err();
    assert_eq!(read(signature), JwtError::Malformed("payload"));
    assert_eq!(read(&signature.replace('h', "i")), JwtError::Signature);
}

/// The seed of RFC 8037 appendix A.1 as OpenSSL writes it: PKCS #8, version 1.
const RFC_8037_PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";

/// RFC 8037 appendices A.2 and A.3.
#[test]
fn rfc_8037_a3_thumbprint_of_ed25519() {
    let key = SigningKey::pem(&RFC_8037_PEM.into()).unwrap();
    assert_eq!(key.public_jwk().unwrap()["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_eq!(key.thumbprint().unwrap(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

/// RFC 8410 section 10.3: the private key, and its public half from section 10.1.
#[test]
fn rfc_8410_private_key_of_ed25519() {
    let pem = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
    let jwk = SigningKey::pem(&pem.into()).unwrap().public_jwk().unwrap();
    assert_eq!(jwk["x"], "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE");
}

/// The private keys of RFC 7515 appendices A.2.1 and A.3.1 in the forms that OpenSSL writes.
#[test]
fn private_keys_have_the_public_halves_of_the_rfc() {
    let rsa = SigningKey::pem(&super::RSA_PEM.into()).unwrap().public_jwk().unwrap();
    assert_eq!((&rsa["n"], &rsa["e"]), (&RSA_N.into(), &"AQAB".into()));
    let sec1 = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEII6bEJ5xkJi/mASH3x9dd+nLKWBuvtImO19XwhPfhPSyoAoGCCqGSM49
AwEHoUQDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72b
focs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==
-----END EC PRIVATE KEY-----
";
    let pkcs8 = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff
H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp
7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt
-----END PRIVATE KEY-----
";
    for pem in [sec1, pkcs8] {
        let jwk = SigningKey::pem(&pem.into()).unwrap().public_jwk().unwrap();
        let published = rfc_7515_a3_jwk();
        assert_eq!((&jwk["x"], &jwk["y"]), (&published["x"], &published["y"]));
    }
}

/// No RFC has an example of these two: they are signed by OpenSSL, PS256 with the key of RFC 7515 appendix A.2.
#[test]
fn what_another_implementation_signed_with_ps256_and_es384() {
    let ps256 = "eyJhbGciOiJQUzI1NiJ9.eyJpc3MiOiJqb2UifQ.cubonKDXTXc1m5PWhu6dDbAuUvJx4XmiFU5LUM4ehPKgbdZEX6yno88uqFXQ2YRnIxKl35loQLdjFp4adb0HswP5yLMUehBJC_zwZiEVKFlBX_24DW0rf7JfovSo5OsaDt6IQC31HSa81TiG5PbIk1nORYfAnb2lnaGN4Q95VZTlXG6W_EFko8Otf7x8-jPTZadyXNw3V9ORd4whZfr0imTON-s06h8ZAxBhbuafGBnyirW9Ljp-fgDWX4EtoUduHm4djKTZ-fgJ4Ixw2z9_BVM41DQ3Wu4WMfrxGpo4p_2iueNvETq6pH0DAajZ00Bm14KroSfgbTcfwwv_E3JrRQ";
    let es384 = "eyJhbGciOiJFUzM4NCJ9.eyJpc3MiOiJqb2UifQ.qIwlhMXQwXRUPN7QpwiJtdnyPvNxzKJOd_tplvCHGJPVBkdup2ZIQviWvs7U4EKdY13fLSpcwywr5SjevFnCSQSPyqO5Ag1RoLKLheLQ5mW6WP2aGq212dv2vuwXupPj";
    let keys = set([
        json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB" }),
        json!({
            "kty": "EC", "crv": "P-384",
            "x": "Za_U-0TfWNMk4o_p2bxV8GvKmdhCTI4_hlN0yJBGT5o8Y4e6uZ5fCqa8Z2tLMSUr",
            "y": "FEVmFd45YypWcz-xYWiZU-W-QqDtnJ8L5Q24zmMTZzCkyyVU5Ab4S9lqXoIvfs0C",
        }),
    ]);
    for token in [ps256, es384] {
        assert_eq!(read(token, &keys).unwrap().text("iss"), Some("joe"));
        let others = &[Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256];
        assert_eq!(Jws::parse(token).unwrap().verify(&keys, others).unwrap_err(), JwtError::Algorithm);
    }
}

/// A signed token's reasons, as the caller of a client sees them.
#[test]
fn a_refusal_is_an_error_of_authentication_with_a_stable_code() {
    let keys = set([rfc_7515_a3_jwk()]);
    let refused = read(&format!("eyJhbGciOiJub25lIn0.{PAYLOAD}.AAAA"), &keys).unwrap_err();
    let error = integrations_core::Error::from(refused);
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unauthenticated, Some("algorithm")));
}
