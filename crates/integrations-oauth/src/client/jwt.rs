//! Statements that a client signs with a key of its own.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use integrations_core::{Clock, Effect, Error, ErrorKind, Result, Secret, SecretString};
use serde_json::{Value, json};

use super::assertion::ClientAssertion;
use super::pkce;

/// Signs what a client proves itself with (RFC 7523 section 3): made anew each time, valid for five minutes.
///
/// For Apple, whose secret is such a statement by the team: [`JwtAssertion::es256`] with the client's id, then
/// [`JwtAssertion::issuer`] with the team's, [`JwtAssertion::audience`] `https://appleid.apple.com`, and
/// [`ClientBuilder::signed_secret`](crate::ClientBuilder::signed_secret).
pub struct JwtAssertion {
    client_id: String,
    issuer: Option<String>,
    audience: Option<String>,
    key_id: Option<String>, // tidy: not a secret, it names the key
    key: Key,
    clock: Clock,
}

enum Key {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
}

/// As short as issuers recommend; the clocks of the two sides may differ by some of it.
const LIFETIME: Duration = Duration::from_secs(300);

impl fmt::Debug for JwtAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAssertion")
            .field("client_id", &self.client_id)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

impl JwtAssertion {
    /// Signs with a key on the curve P-256, given as PKCS #8 in PEM.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is another key.
    pub fn es256(client_id: impl Into<String>, pem: &SecretString) -> Result<Self> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der(pem)?.expose());
        key.map(|key| Self::with(client_id.into(), Key::Es256(key)))
            .map_err(|_| other_key("on the curve P-256"))
    }

    /// Signs with an RSA key of at least 2048 bits, given as PKCS #8 in PEM.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is another key.
    pub fn rs256(client_id: impl Into<String>, pem: &SecretString) -> Result<Self> {
        let key = RsaKeyPair::from_pkcs8(der(pem)?.expose());
        key.map(|key| Self::with(client_id.into(), Key::Rs256(key))).map_err(|_| other_key("of RSA"))
    }

    fn with(client_id: String, key: Key) -> Self {
        Self { client_id, issuer: None, audience: None, key_id: None, key, clock: Clock::system() }
    }

    /// The name of the key at the issuer (`kid`).
    #[must_use]
    pub fn key_id(mut self, id: impl Into<String>) -> Self {
        self.key_id = Some(id.into());
        self
    }

    /// Who signs (`iss`), if not the client itself.
    #[must_use]
    pub fn issuer(mut self, name: impl Into<String>) -> Self {
        self.issuer = Some(name.into());
        self
    }

    /// For whom it is (`aud`), if not for the token address.
    #[must_use]
    pub fn audience(mut self, name: impl Into<String>) -> Self {
        self.audience = Some(name.into());
        self
    }

    /// The clock for its dates.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn header(&self) -> Value {
        let alg = match self.key {
            Key::Es256(_) => "ES256",
            Key::Rs256(_) => "RS256",
        };
        match &self.key_id {
            Some(id) => json!({ "alg": alg, "typ": "JWT", "kid": id }),
            None => json!({ "alg": alg, "typ": "JWT" }),
        }
    }

    fn claims(&self, audience: &str) -> Result<Value> {
        let now = self.clock.now().as_second();
        Ok(json!({
            "iss": self.issuer.as_ref().unwrap_or(&self.client_id),
            "sub": self.client_id,
            "aud": self.audience.as_deref().unwrap_or(audience),
            "iat": now,
            "exp": now + LIFETIME.as_secs() as i64,
            "jti": pkce::random()?.expose(),
        }))
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        let signed = match &self.key {
            Key::Es256(key) => key.sign(&random, message).map(|signature| signature.as_ref().to_vec()),
            Key::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map(|()| signature)
            }
        };
        signed.map_err(|_| Error::new(ErrorKind::Unexpected, Effect::NotSent, "the key does not sign"))
    }
}

#[async_trait]
impl ClientAssertion for JwtAssertion {
    async fn assertion(&self, audience: &str) -> Result<SecretString> {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(self.header()), part(self.claims(audience)?));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(message.as_bytes())?);
        Ok(format!("{message}.{signature}").into())
    }
}

/// The bytes between the two lines of a PEM file (RFC 7468).
fn der(pem: &SecretString) -> Result<Secret<Vec<u8>>> {
    let inner = || {
        let (_, after) = pem.expose().split_once("-----BEGIN PRIVATE KEY-----")?;
        let (inner, _) = after.split_once("-----END PRIVATE KEY-----")?;
        let text = SecretString::new(inner.split_whitespace().collect());
        STANDARD.decode(text.expose()).ok()
    };
    inner().map(Secret::new).ok_or_else(|| other_key("in PEM"))
}

fn other_key(expected: &str) -> Error {
    Error::config(format!("the client's key is not a private key {expected}")).with_hint(
        "it begins with `-----BEGIN PRIVATE KEY-----`; `openssl pkcs8 -topk8 -nocrypt` makes that of others",
    )
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
        VerificationAlgorithm,
    };
    use jiff::Timestamp;

    use super::*;

    fn pem(der: &[u8]) -> SecretString {
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der)).into()
    }

    /// Checks the signature, and gives header and claims.
    fn opened(jwt: &SecretString, how: &'static dyn VerificationAlgorithm, key: &[u8]) -> (Value, Value) {
        let (message, signature) = jwt.expose().rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(how, key).verify(message.as_bytes(), &signature).unwrap();
        assert!(UnparsedPublicKey::new(how, key).verify(b"x", &signature).is_err());
        let (header, claims) = message.split_once('.').unwrap();
        let part = |text: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
        (part(header), part(claims))
    }

    #[tokio::test(start_paused = true)]
    async fn a_statement_says_who_for_whom_and_until_when_and_is_signed() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = pem(pair.to_pkcs8v1().unwrap().as_ref());
        let signer = JwtAssertion::es256("com.example.web", &key)
            .unwrap()
            .key_id("K1")
            .issuer("TEAM")
            .audience("https://appleid.apple.com")
            .clock(Clock::virtual_from(start));
        let jwt = signer.assertion("https://id.example/token").await.unwrap();
        let (header, mut claims) = opened(&jwt, &ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT", "kid": "K1" }));
        let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
        let expected = json!({
            "iss": "TEAM", "sub": "com.example.web", "aud": "https://appleid.apple.com",
            "iat": 1_767_225_600, "exp": 1_767_225_900,
        });
        assert_eq!(claims, expected);
        let again = signer.assertion("https://id.example/token").await.unwrap();
        let (_, again) = opened(&again, &ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        assert_ne!(again["jti"], id);
    }

    #[tokio::test]
    async fn a_client_speaks_for_itself_to_the_token_address() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let key = pem(der.as_ref());
        let jwt =
            JwtAssertion::rs256("my-app", &key).unwrap().assertion("https://id.example/token").await.unwrap();
        let (header, claims) = opened(&jwt, &RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
        assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT" }));
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("my-app"), &json!("my-app")));
        assert_eq!(claims["aud"], "https://id.example/token");
        assert!(JwtAssertion::es256("my-app", &key).is_err());
    }

    #[test]
    fn another_key_is_refused_without_being_quoted() {
        for bad in ["", "canary", "-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----"] {
            for made in [JwtAssertion::es256("a", &bad.into()), JwtAssertion::rs256("a", &bad.into())] {
                let error = made.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config);
                assert!(!format!("{error:?}").contains("canary"));
            }
        }
        let garbage = pem(b"canary");
        assert_eq!(JwtAssertion::es256("a", &garbage).unwrap_err().kind(), ErrorKind::Config);
    }
}
