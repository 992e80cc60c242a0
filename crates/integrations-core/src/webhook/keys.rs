//! The keys of one endpoint, and reading them from what a vendor's dashboard shows. What is obviously another vendor's
//! or another kind of key is refused here, with words, and not by a signature that never matches.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey};
use subtle::{Choice, ConstantTimeEq};

use super::{WebhookError, encoding};
use crate::error::{Error, Result};
use crate::secret::{Secret, SecretString};

/// How the text of a shared secret becomes the bytes of the key. It differs between vendors that show the same
/// `whsec_…`: Standard Webhooks decodes it, Stripe takes the text as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decoding {
    /// The text is the key.
    Utf8,
    /// Base64 of either alphabet.
    Base64,
    /// Hexadecimal digits.
    Hex,
    /// `whsec_` and base64 of 24 to 64 bytes; the prefix may be missing.
    StandardWebhooks,
    /// The SHA-1 of the text (Braintree).
    Sha1,
}

impl Decoding {
    /// All of them.
    pub(super) const ALL: [Self; 5] =
        [Self::Utf8, Self::Base64, Self::Hex, Self::StandardWebhooks, Self::Sha1];

    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Utf8 => Some(text.as_bytes().to_vec()),
            Self::Base64 => any_base64(text),
            Self::Hex => encoding::from_hex(text),
            Self::StandardWebhooks => any_base64(text.strip_prefix("whsec_").unwrap_or(text))
                .filter(|key| (24..=64).contains(&key.len())),
            Self::Sha1 => {
                Some(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref().to_vec())
            }
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Utf8 | Self::Sha1 => "text",
            Self::Base64 => "base64",
            Self::Hex => "hexadecimal digits",
            Self::StandardWebhooks => "`whsec_` and base64 of 24 to 64 bytes",
        }
    }
}

fn any_base64(text: &str) -> Option<Vec<u8>> {
    encoding::from_base64(text).or_else(|| encoding::from_base64_url(text))
}

/// One key with a name of our own choice, which logs may show.
#[derive(Clone)]
pub struct Key {
    name: String,
    material: Material,
}

#[derive(Clone)]
pub(super) enum Material {
    Secret {
        bytes: Secret<Vec<u8>>,
        text: SecretString,
    },
    Password(Secret<Vec<u8>>),
    Ed25519(Vec<u8>),
    P256(Vec<u8>),
    #[cfg(feature = "webhook-jwt")]
    Jwk(crate::jose::PublicKey),
    #[cfg(feature = "webhook-x509")]
    Anchor(Vec<u8>),
    #[cfg(feature = "webhook-x509")]
    Chain(Vec<Vec<u8>>),
    Nothing,
}

impl Key {
    /// A shared secret.
    pub fn secret(name: impl Into<String>, text: SecretString, decoding: Decoding) -> Result<Self> {
        refuse_what_is_no_secret(text.expose())?;
        let bytes = decoding.decode(text.expose()).filter(|bytes| !bytes.is_empty());
        let bytes = bytes.ok_or_else(|| {
            Error::config("the webhook secret cannot be decoded").with_hint(format!(
                "this vendor's secret is {}; copy it once more, whole",
                decoding.expected()
            ))
        })?;
        Ok(Self::new(name, Material::Secret { bytes: Secret::new(bytes), text }))
    }

    /// A user name and a password.
    pub fn password(name: impl Into<String>, user: &str, password: &SecretString) -> Result<Self> {
        if user.contains(':') || password.expose().is_empty() {
            return Err(Error::config("a user name without `:` and a password are needed"));
        }
        let pair = format!("{user}:{}", password.expose()).into_bytes();
        Ok(Self::new(name, Material::Password(Secret::new(pair))))
    }

    /// An Ed25519 public key: 64 hexadecimal digits, base64, or `whpk_` and base64.
    pub fn ed25519(name: impl Into<String>, text: &str) -> Result<Self> {
        if text.starts_with("whsk_") || text.starts_with("whsec_") {
            return Err(Error::config("this is a secret of the sender, not a public key").with_hint(
                "a receiver needs the public key, `whpk_…`; the sender's secret should be replaced now",
            ));
        }
        let text = text.strip_prefix("whpk_").unwrap_or(text);
        let bytes = encoding::from_hex(text).or_else(|| any_base64(text)).filter(|bytes| bytes.len() == 32);
        let bytes = bytes.ok_or_else(|| bad_public("Ed25519", "32 bytes in hexadecimal digits or base64"))?;
        Self::ed25519_raw(name, &bytes)
    }

    /// An Ed25519 public key of 32 bytes.
    pub fn ed25519_raw(name: impl Into<String>, bytes: &[u8]) -> Result<Self> {
        if bytes.len() == 32 && ParsedPublicKey::new(&ED25519, bytes).is_ok() {
            Ok(Self::new(name, Material::Ed25519(bytes.to_vec())))
        } else {
            Err(bad_public("Ed25519", "32 bytes"))
        }
    }

    /// A P-256 public key: `SubjectPublicKeyInfo` (RFC 5280) in base64, or PEM.
    pub fn p256(name: impl Into<String>, text: &str) -> Result<Self> {
        let der = match encoding::pem_block(text, "PUBLIC KEY") {
            Some((der, _)) => Some(der),
            None => any_base64(text.trim()),
        };
        let der = der.filter(|der| ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, der).is_ok());
        let expected = "the base64 or PEM of a `SubjectPublicKeyInfo`";
        Ok(Self::new(name, Material::P256(der.ok_or_else(|| bad_public("P-256", expected))?)))
    }

    /// A certificate that others may be signed under: the root, or the issuer, of a vendor's certificates, as PEM.
    #[cfg(feature = "webhook-x509")]
    pub fn anchor(name: impl Into<String>, pem: &str) -> Result<Self> {
        let [der] = certificates(pem)?.try_into().map_err(|_| {
            Error::config("one certificate is expected")
                .with_hint("add each trust anchor as a key of its own")
        })?;
        super::x509::check_anchor(&der)?;
        Ok(Self::new(name, Material::Anchor(der)))
    }

    /// A vendor's signing certificate as PEM, followed by those it was issued under. Its name is the address that
    /// deliveries call it by. Whether it can be trusted is asked at each delivery.
    #[cfg(feature = "webhook-x509")]
    pub fn certificate(address: impl Into<String>, pem: &str) -> Result<Self> {
        Ok(Self::new(address, Material::Chain(certificates(pem)?)))
    }

    /// The keys of a JWK set (RFC 7517), named by their ids. Those without an id are left out, and those that verify no
    /// signatures: see [`PublicKey::from_jwk`](crate::jose::PublicKey::from_jwk).
    #[cfg(feature = "webhook-jwt")]
    pub fn jwks(json: &[u8]) -> Result<Vec<Self>> {
        super::jwt::parse_jwks(json)
    }

    pub(super) fn new(name: impl Into<String>, material: Material) -> Self {
        Self { name: name.into(), material }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    #[cfg(any(feature = "webhook-jwt", feature = "webhook-x509"))]
    pub(super) fn material(&self) -> &Material {
        &self.material
    }
}

impl fmt::Debug for Key {
    /// The name and the kind, never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.material {
            Material::Secret { .. } => "secret",
            Material::Password(_) => "password",
            Material::Ed25519(_) => "ed25519",
            Material::P256(_) => "p256",
            #[cfg(feature = "webhook-jwt")]
            Material::Jwk(_) => "jwk",
            #[cfg(feature = "webhook-x509")]
            Material::Anchor(_) => "anchor",
            #[cfg(feature = "webhook-x509")]
            Material::Chain(_) => "certificate",
            Material::Nothing => "nothing",
        };
        write!(f, "Key({}, {kind})", self.name)
    }
}

/// The keys that one endpoint accepts: the present one and, while it is being rotated, its predecessor. Never empty.
///
/// ```
/// use integrations_core::webhook::{Decoding, Key, KeyRing};
///
/// let present = Key::secret("2026-11", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".into(), Decoding::StandardWebhooks)?;
/// let former = Key::secret("2026-05", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(), Decoding::StandardWebhooks)?;
/// let ring = KeyRing::new(present).with(former);
/// assert_eq!(ring.names().collect::<Vec<_>>(), ["2026-11", "2026-05"]);
///
/// let pasted = Key::secret("present", "sk_live_4eC39H".into(), Decoding::Utf8).unwrap_err();
/// assert!(pasted.to_string().contains("API key"));
/// # Ok::<(), integrations_core::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<Key>,
    params: BTreeMap<String, String>,
    verify_token: Option<SecretString>,
}

impl KeyRing {
    /// A ring of one key.
    pub fn new(key: Key) -> Self {
        Self { keys: vec![key], params: BTreeMap::new(), verify_token: None }
    }

    /// The ring of a vendor that does not sign: its deliveries are claims.
    pub fn unsigned() -> Self {
        Self::new(Key::new("none", Material::Nothing))
    }

    /// The keys of a JWK set (RFC 7517), as [`Key::jwks`] reads them; when none is left it is an error.
    #[cfg(feature = "webhook-jwt")]
    pub fn from_jwks(json: &[u8]) -> Result<Self> {
        let mut keys = super::jwt::parse_jwks(json)?.into_iter();
        let first = keys.next().ok_or_else(|| {
            Error::config("the JWK set has no key that can verify")
                .with_hint("check the address of the key set")
        })?;
        Ok(keys.fold(Self::new(first), Self::with))
    }

    /// Adds a key.
    #[must_use]
    pub fn with(mut self, key: Key) -> Self {
        self.keys.push(key);
        self
    }

    /// Adds the keys of another ring, and what it was configured with.
    #[must_use]
    pub fn with_all(mut self, other: &Self) -> Self {
        self.keys.extend(other.keys.iter().cloned());
        self.params.extend(other.params.clone());
        self.verify_token = self.verify_token.or_else(|| other.verify_token.clone());
        self
    }

    /// Sets a value that the endpoint was configured with and that deliveries are checked against: PayPal's webhook
    /// id, the audience of a JWT, the topic of a subscription.
    #[must_use]
    pub fn with_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Sets the secret that a `GET` handshake must repeat (`hub.verify_token`).
    #[must_use]
    pub fn with_verify_token(mut self, token: SecretString) -> Self {
        self.verify_token = Some(token);
        self
    }

    /// The names of the keys, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(Key::name)
    }

    #[cfg(any(feature = "webhook-jwt", feature = "webhook-x509"))]
    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    pub(super) fn param(&self, name: &str) -> Result<&str, WebhookError> {
        let value = self.params.get(name).filter(|value| !value.is_empty());
        value.map(String::as_str).ok_or_else(|| {
            WebhookError::Config(format!(
                "the endpoint's `{name}` is not set: give it with `KeyRing::with_param`"
            ))
        })
    }

    pub(super) fn is_verify_token(&self, given: &str) -> Result<bool, WebhookError> {
        let token = self.verify_token.as_ref().filter(|token| !token.expose().is_empty());
        let token = token.ok_or_else(|| {
            let message = "the endpoint has no verify token: give it with `KeyRing::with_verify_token`";
            WebhookError::Config(message.to_owned())
        })?;
        Ok(same_text(token.expose().as_bytes(), given.as_bytes()).into())
    }

    pub(super) fn is_unsigned(&self) -> bool {
        self.keys.iter().all(|key| matches!(key.material, Material::Nothing))
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.keys.iter().filter_map(|key| match &key.material {
            Material::Secret { bytes, .. } => Some((key.name(), &bytes.expose()[..])),
            _ => None,
        })
    }

    pub(super) fn passwords(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.keys.iter().filter_map(|key| match &key.material {
            Material::Password(pair) => Some((key.name(), &pair.expose()[..])),
            _ => None,
        })
    }

    pub(super) fn ed25519(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.keys.iter().filter_map(|key| match &key.material {
            Material::Ed25519(bytes) => Some((key.name(), &bytes[..])),
            _ => None,
        })
    }

    pub(super) fn p256(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.keys.iter().filter_map(|key| match &key.material {
            Material::P256(bytes) => Some((key.name(), &bytes[..])),
            _ => None,
        })
    }

    /// The same ring with its secrets decoded in another way; those that cannot be are left out.
    pub(super) fn decoded_as(&self, decoding: Decoding) -> Option<Self> {
        let again = |key: &Key| match &key.material {
            Material::Secret { bytes, text } => {
                let other = decoding.decode(text.expose()).filter(|other| other != bytes.expose())?;
                Some(Key::new(key.name(), Material::Secret { bytes: Secret::new(other), text: text.clone() }))
            }
            _ => None,
        };
        let keys: Vec<Key> = self.keys.iter().filter_map(again).collect();
        (!keys.is_empty()).then(|| Self { keys, ..self.clone() })
    }
}

impl fmt::Debug for KeyRing {
    /// Names and kinds, never a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

/// A kit that finds no key of its kind in the ring could never accept anything: that is our mistake, not the sender's.
pub(super) fn need<T>(found: Option<T>, kind: &str) -> Result<(), WebhookError> {
    let message =
        || WebhookError::Config(format!("this scheme needs {kind}, and the ring of keys holds none"));
    found.map(|_| ()).ok_or_else(message)
}

/// Compares two texts by their hashes: the time tells nothing of the secret, not even its length.
pub(super) fn same_text(secret: &[u8], given: &[u8]) -> Choice {
    let hash = |text: &[u8]| digest::digest(&digest::SHA256, text);
    hash(secret).as_ref().ct_eq(hash(given).as_ref())
}

fn bad_public(kind: &str, expected: &str) -> Error {
    Error::config(format!("this is not a public key of {kind}"))
        .with_hint(format!("expected is {expected}, as the vendor's dashboard shows it"))
}

#[cfg(feature = "webhook-x509")]
fn certificates(pem: &str) -> Result<Vec<Vec<u8>>> {
    let mut rest = pem;
    let mut found = Vec::new();
    while let Some((der, after)) = encoding::pem_block(rest, "CERTIFICATE") {
        found.push(der);
        rest = after;
    }
    if found.is_empty() {
        Err(Error::config("there is no certificate in PEM in this text"))
    } else {
        Ok(found)
    }
}

/// Beginnings of keys that are no webhook secret, and what they are.
const NO_SECRETS: &[(&str, &str)] = &[
    ("sk_live_", "an API key of Stripe"),
    ("sk_test_", "an API key of Stripe"),
    ("rk_live_", "a restricted API key of Stripe"),
    ("rk_test_", "a restricted API key of Stripe"),
    ("pk_live_", "a publishable API key of Stripe"),
    ("pk_test_", "a publishable API key of Stripe"),
    ("whpk_", "a public key of Standard Webhooks; give it as Ed25519 public key"),
    (
        "whsk_",
        "a sender's private key of Standard Webhooks; a receiver needs `whpk_…` and must not have this one",
    ),
    ("xoxb-", "a bot's API key of Slack; the webhook secret is the app's signing secret"),
    ("xoxp-", "a user's API key of Slack; the webhook secret is the app's signing secret"),
    ("xapp-", "an app's API key of Slack; the webhook secret is the app's signing secret"),
    ("SG.", "an API key of SendGrid"),
    ("ghp_", "an API key of GitHub"),
    ("gho_", "an API key of GitHub"),
    ("ghs_", "an API key of GitHub"),
    ("github_pat_", "an API key of GitHub"),
    ("shpat_", "an API key of Shopify; the webhook secret is the app's client secret"),
    ("AKIA", "an access key id of AWS"),
    ("-----BEGIN", "a key or certificate in PEM"),
];

fn refuse_what_is_no_secret(text: &str) -> Result<()> {
    let error = |message: String, hint: &str| Err(Error::config(message).with_hint(hint));
    if text.is_empty() {
        return error(
            "the webhook secret is empty".to_owned(),
            "copy it from the vendor's page of the endpoint",
        );
    }
    if text.trim() != text {
        return error(
            "the webhook secret begins or ends with white space".to_owned(),
            "remove the space or line end that came along when it was copied",
        );
    }
    if let Some((prefix, what)) = NO_SECRETS.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        return error(
            format!("the webhook secret begins with `{prefix}`: that is {what}"),
            "each webhook endpoint has a secret of its own; copy it from the vendor's page of the endpoint",
        );
    }
    match text.split_once('_').map(|(stem, _)| stem) {
        Some(stem) if is_slip_of_whsec(stem) => {
            error(format!("the webhook secret begins with `{stem}_`"), "`whsec_` was probably meant")
        }
        _ => Ok(()),
    }
}

/// Two letters swapped, one too many, one missing or one wrong.
fn is_slip_of_whsec(stem: &str) -> bool {
    const MEANT: &str = "whsec";
    let lacks = |a: &str, b: &str| a.chars().filter(|c| !b.contains(*c)).count();
    stem != MEANT && (4..=6).contains(&stem.len()) && lacks(stem, MEANT) <= 1 && lacks(MEANT, stem) <= 1
}
