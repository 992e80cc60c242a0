//! Statements that are signed with a private key: who a client is (RFC 7523 section 2.2), and for whom tokens are wanted
//! (section 2.1).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integrations_core::{Error, Result, SecretString};
use jiff::Timestamp;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};

use crate::client::{Client, ClientAssertion, TokenSource, random};
use crate::token::TokenSet;

/// A statement is dated back by this much: a verifier whose clock is behind ours refuses what comes from the future, and
/// says no more than that the statement is invalid.
const BACKDATED: Duration = Duration::from_secs(60);

/// A private key that signs JWTs (RFC 7515): RSA with SHA-256 (`RS256`), or P-256 (`ES256`), as the key is.
pub struct SigningKey {
    key: Key,
    id: Option<String>,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("alg", &self.key.algorithm()).field("id", &self.id).finish()
    }
}

impl Key {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        let signed = match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map(|()| signature)
            }
            Self::P256(key) => key.sign(&random, message).map(|signature| signature.as_ref().to_vec()),
        };
        signed.map_err(|_| Error::config("the private key cannot sign"))
    }
}

impl SigningKey {
    /// Reads a private key in PEM: PKCS #8, PKCS #1 (RSA) or SEC 1 (P-256).
    ///
    /// # Errors
    /// [`ErrorKind::Config`](integrations_core::ErrorKind) for anything else, for RSA below 2048 bits and for other
    /// curves.
    pub fn pem(pem: &SecretString) -> Result<Self> {
        let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| unusable())?;
        let key = match &der {
            PrivateKeyDer::Pkcs1(key) => rsa(RsaKeyPair::from_der(key.secret_pkcs1_der())),
            PrivateKeyDer::Sec1(key) => p256(EcdsaKeyPair::from_private_key_der(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                key.secret_sec1_der(),
            )),
            PrivateKeyDer::Pkcs8(key) => {
                let der = key.secret_pkcs8_der();
                p256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der))
                    .or_else(|| rsa(RsaKeyPair::from_pkcs8(der)))
            }
            _ => None,
        };
        Ok(Self { key: key.ok_or_else(unusable)?, id: None })
    }

    /// Sets the id under which the other side knows the key (`kid`).
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    fn sign(&self, claims: &Map<String, Value>) -> Result<SecretString> {
        let mut header = json!({ "alg": self.key.algorithm(), "typ": "JWT" });
        if let Some(id) = &self.id {
            header["kid"] = id.as_str().into();
        }
        let claims = Value::Object(claims.clone());
        let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = encoded(self.key.sign(message.as_bytes())?);
        Ok(format!("{message}.{signature}").into())
    }
}

fn rsa<E>(key: Result<RsaKeyPair, E>) -> Option<Key> {
    key.ok().filter(|key| key.public_modulus_len() >= 256).map(|key| Key::Rsa(Box::new(key)))
}

fn p256<E>(key: Result<EcdsaKeyPair, E>) -> Option<Key> {
    key.ok().map(Key::P256)
}

fn unusable() -> Error {
    Error::config("the private key cannot be used")
        .with_hint("give PEM with a P-256 key, or an RSA key of 2048 bits or more")
}

fn encoded(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

/// Signs one kind of statement, anew each time.
///
/// | for | `issuer` | `subject` | `audience` | `lifetime` |
/// |---|---|---|---|---|
/// | `private_key_jwt` | client id | client id | not set: the token address | up to 5 min |
/// | Apple's client secret | team id | client id | `https://appleid.apple.com` | up to 6 months |
/// | a Google service account | its e-mail | whom it acts for, if anybody | not set | up to 1 h |
/// | Salesforce | consumer key | user name | `https://login.salesforce.com` | up to 5 min |
#[derive(Debug)]
pub struct Statement {
    key: SigningKey,
    issuer: String,
    subject: Option<String>,
    audience: Option<String>,
    lifetime: Duration,
    claims: Map<String, Value>,
}

impl Statement {
    /// A statement of `issuer`, good for five minutes.
    pub fn new(key: SigningKey, issuer: impl Into<String>) -> Self {
        Self {
            key,
            issuer: issuer.into(),
            subject: None,
            audience: None,
            lifetime: Duration::from_secs(300),
            claims: Map::new(),
        }
    }

    /// Sets whom it is about (`sub`).
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets whom it is for (`aud`). Default: the address that it is sent to.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Sets how long it is good for, from its date, which is a minute back: more than a minute.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Adds a text that the other side wants to see, such as Google's `scope`.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.claims.insert(name.into(), Value::String(value.into()));
        self
    }

    fn signed(&self, audience: &str, now: Timestamp) -> Result<SecretString> {
        if self.lifetime <= BACKDATED {
            return Err(Error::config("a statement would be over before it is sent")
                .with_hint("give it a life of more than a minute: it is dated a minute back"));
        }
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX / 4);
        let dated = now.as_second() - seconds(BACKDATED);
        let mut claims = self.claims.clone();
        claims.insert("iss".into(), self.issuer.as_str().into());
        if let Some(subject) = &self.subject {
            claims.insert("sub".into(), subject.as_str().into());
        }
        claims.insert("aud".into(), self.audience.as_deref().unwrap_or(audience).into());
        claims.insert("iat".into(), dated.into());
        claims.insert("exp".into(), (dated + seconds(self.lifetime)).into());
        // So that a statement that is seen twice is noticed.
        claims.insert("jti".into(), random()?.expose().as_str().into());
        self.key.sign(&claims)
    }
}

#[async_trait]
impl ClientAssertion for Statement {
    async fn assertion(&self, audience: &str, now: Timestamp) -> Result<SecretString> {
        self.signed(audience, now)
    }
}

/// Tokens for signed statements, such as those of a service account: nobody has to consent, and there is nothing to
/// refresh.
#[derive(Debug)]
pub struct JwtBearer {
    client: Client,
    statement: Arc<Statement>,
    scopes: Vec<String>,
}

impl JwtBearer {
    /// Tokens for this statement; with no scopes when they stand in the statement.
    pub fn new<S: Into<String>>(
        client: Client,
        statement: Statement,
        scopes: impl IntoIterator<Item = S>,
    ) -> Self {
        Self { client, statement: Arc::new(statement), scopes: scopes.into_iter().map(Into::into).collect() }
    }

    async fn exchange(&self) -> Result<TokenSet> {
        self.client.jwt_bearer_signed(self.statement.clone(), &self.scopes).await
    }
}

#[async_trait]
impl TokenSource for JwtBearer {
    fn needs_user(&self) -> bool {
        false
    }

    async fn initial(&self) -> Result<Option<TokenSet>> {
        self.exchange().await.map(Some)
    }

    async fn refresh(&self, _: &TokenSet) -> Result<TokenSet> {
        self.exchange().await
    }

    async fn revoke(&self, present: &TokenSet) -> Result<()> {
        self.client.revoke(present).await
    }

    fn scheme(&self) -> &str {
        TokenSource::scheme(&self.client)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING, KeyPair as _, ParsedPublicKey,
        RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
    };
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn pem(label: &str, der: &[u8]) -> SecretString {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der)).into()
    }

    fn p256() -> (SecretString, Vec<u8>) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let pem = pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref());
        (pem, pair.public_key().as_ref().to_vec())
    }

    fn opened(jwt: &SecretString, public: &[u8], with: &'static dyn VerificationAlgorithm) -> (Value, Value) {
        let jwt = jwt.expose();
        let (message, signature) = jwt.rsplit_once('.').unwrap();
        let key = ParsedPublicKey::new(with, public).unwrap();
        key.verify_sig(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let part = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        let (header, claims) = message.split_once('.').unwrap();
        (part(header), part(claims))
    }

    #[test]
    fn each_kind_of_key_signs_what_its_public_half_verifies() {
        let (private, public) = p256();
        let statement = Statement::new(SigningKey::pem(&private).unwrap().id("k1"), "team");
        let (header, _) = opened(&statement.signed("aud", now()).unwrap(), &public, &ECDSA_P256_SHA256_FIXED);
        assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" }));

        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let statement = Statement::new(
            SigningKey::pem(&pem("PRIVATE KEY", pair.as_der().unwrap().as_ref())).unwrap(),
            "robot@example.com",
        );
        let public = pair.public_key().as_ref();
        let (header, _) =
            opened(&statement.signed("aud", now()).unwrap(), public, &RSA_PKCS1_2048_8192_SHA256);
        assert_eq!(header["alg"], "RS256");
    }

    #[test]
    fn a_statement_says_what_it_was_told_and_is_dated_back() {
        let (private, public) = p256();
        let statement = Statement::new(SigningKey::pem(&private).unwrap(), "robot@example.com")
            .subject("boss@example.com")
            .lifetime(Duration::from_secs(3_600))
            .claim("scope", "calendar");
        let (_, mut claims) = opened(
            &statement.signed("https://issuer/token", now()).unwrap(),
            &public,
            &ECDSA_P256_SHA256_FIXED,
        );
        let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
        assert_eq!(id.as_str().unwrap().len(), 43);
        assert_eq!(
            claims,
            json!({
                "iss": "robot@example.com", "sub": "boss@example.com", "aud": "https://issuer/token",
                "iat": 1_795_175_940, "exp": 1_795_179_540, "scope": "calendar",
            })
        );
        let elsewhere = statement.audience("https://login.example");
        let (_, claims) = opened(&elsewhere.signed("x", now()).unwrap(), &public, &ECDSA_P256_SHA256_FIXED);
        assert_eq!(claims["aud"], "https://login.example");
        assert_ne!(claims["jti"], id, "no statement is like another");
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
        let (private, _) = p256();
        assert_eq!(
            format!("{:?}", SigningKey::pem(&private).unwrap()),
            "SigningKey { alg: \"ES256\", id: None }"
        );
    }

    #[test]
    fn a_key_is_read_as_files_have_it_and_no_other_curve_or_encryption_passes() {
        let (private, _) = p256();
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
            assert_eq!(SigningKey::pem(&bad).unwrap_err().kind(), integrations_core::ErrorKind::Config);
        }
    }

    #[test]
    fn a_statement_that_would_be_over_already_is_not_signed() {
        let (private, _) = p256();
        let lives = |seconds| {
            let key = SigningKey::pem(&private).unwrap();
            Statement::new(key, "a").lifetime(Duration::from_secs(seconds)).signed("b", now())
        };
        assert!(lives(61).is_ok() && lives(u64::MAX).is_ok());
        for seconds in [0, 60] {
            assert_eq!(lives(seconds).unwrap_err().kind(), integrations_core::ErrorKind::Config);
        }
    }

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }
}
