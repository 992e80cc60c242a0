//! Keys that sign.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::base64url::encoded;
use super::jwk::{self, Fields};
use crate::error::{Effect, Error, ErrorKind, Result};
use crate::secret::SecretString;

/// A private key that signs JWTs (RFC 7515): RSA with SHA-256 (`RS256`), P-256 (`ES256`) or Ed25519 (`EdDSA`), as the key
/// is.
pub struct SigningKey {
    key: Key,
    id: Option<String>,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("alg", &self.key.algorithm().as_str())
            .field("id", &self.id)
            .finish()
    }
}

impl Key {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
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
            Self::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        };
        signed.map_err(|_| Error::config("the private key cannot sign"))
    }
}

impl SigningKey {
    /// Reads a private key in PEM: PKCS #8, PKCS #1 (RSA) or SEC 1 (P-256).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for anything else, for RSA below 2048 bits and for other curves.
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
                    .or_else(|| ed25519(Ed25519KeyPair::from_pkcs8(der)))
            }
            _ => None,
        };
        Ok(Self { key: key.ok_or_else(unusable)?, id: None })
    }

    /// A new key, named by its thumbprint (RFC 7638). RSA has 2048 bits.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for `HS256`, `PS256` and `ES384`, which nothing here signs with.
    pub fn generate(algorithm: Algorithm) -> Result<Self> {
        let key = match algorithm {
            Algorithm::Rs256 => {
                RsaKeyPair::generate(KeySize::Rsa2048).ok().map(|key| Key::Rsa(Box::new(key)))
            }
            Algorithm::Es256 => p256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)),
            Algorithm::EdDsa => ed25519(Ed25519KeyPair::generate()),
            _ => {
                return Err(Error::unsupported(
                    format!("no keys are made for {}", algorithm.as_str()),
                    "choose ES256, EdDSA or RS256",
                ));
            }
        };
        let failed = || Error::new(ErrorKind::Unexpected, Effect::NotSent, "no key could be made");
        let key = Self { key: key.ok_or_else(failed)?, id: None };
        let id = key.thumbprint()?;
        Ok(key.id(id))
    }

    /// Sets the id under which the other side knows the key (`kid`).
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Its id.
    pub fn kid(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// The private key in PEM (PKCS #8), to be kept sealed.
    pub fn to_pem(&self) -> Result<SecretString> {
        let der = match &self.key {
            Key::Rsa(key) => key.as_der().map(|der: Pkcs8V1Der<'_>| der.as_ref().to_vec()),
            Key::P256(key) => key.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
            Key::Ed25519(key) => key.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
        };
        let der = der.map(Zeroizing::new).map_err(|_| Error::config("the private key cannot be written"))?;
        let text = Zeroizing::new(STANDARD.encode(&*der));
        Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *text).into())
    }

    /// The public half as a JWK with `alg`, `use` and `kid`.
    pub fn public_jwk(&self) -> Result<Value> {
        let mut jwk = self.essential_jwk()?;
        jwk.insert("alg".into(), self.algorithm().as_str().into());
        jwk.insert("use".into(), "sig".into());
        if let Some(id) = &self.id {
            jwk.insert("kid".into(), id.as_str().into());
        }
        Ok(Value::Object(jwk))
    }

    /// The thumbprint of its public half (RFC 7638, SHA-256), an id that nobody has to agree on.
    pub fn thumbprint(&self) -> Result<String> {
        jwk::thumbprint(&self.essential_jwk()?).ok_or_else(unreadable)
    }

    fn essential_jwk(&self) -> Result<Fields> {
        let members = match &self.key {
            Key::Rsa(key) => {
                let public = key.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                vec![
                    ("kty", "RSA".to_owned()),
                    ("n", encoded(n.big_endian_without_leading_zero())),
                    ("e", encoded(e.big_endian_without_leading_zero())),
                ]
            }
            Key::P256(key) => {
                let point = key.public_key().as_ref().strip_prefix(&[4]).filter(|xy| xy.len() == 64);
                let (x, y) = point.ok_or_else(unreadable)?.split_at(32);
                vec![
                    ("kty", "EC".to_owned()),
                    ("crv", "P-256".to_owned()),
                    ("x", encoded(x)),
                    ("y", encoded(y)),
                ]
            }
            Key::Ed25519(key) => vec![
                ("kty", "OKP".to_owned()),
                ("crv", "Ed25519".to_owned()),
                ("x", encoded(key.public_key())),
            ],
        };
        Ok(members.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect())
    }

    /// A token with these claims. `typ` is the kind of token: `JWT`, or `at+jwt` for an access token (RFC 9068).
    pub fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<SecretString> {
        let mut header = json!({ "alg": self.algorithm().as_str(), "typ": typ });
        if let Some(id) = &self.id {
            header["kid"] = id.as_str().into();
        }
        let unwritable = |_| Error::config("the claims cannot be written");
        let claims = Zeroizing::new(serde_json::to_vec(claims).map_err(unwritable)?);
        let message = format!("{}.{}", encoded(header.to_string()), encoded(&*claims));
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

fn ed25519<E>(key: Result<Ed25519KeyPair, E>) -> Option<Key> {
    key.ok().map(Key::Ed25519)
}

fn unreadable() -> Error {
    Error::config("the public half of the key cannot be read")
}

fn unusable() -> Error {
    Error::config("the private key cannot be used")
        .with_hint("give PEM with an Ed25519 or P-256 key, or an RSA key of 2048 bits or more")
}
