//! The keys that sign, and the set that shows their public halves (RFC 7515, RFC 7517).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::CACHE_CONTROL;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Map, Value, json};

use crate::Answer;
use crate::issuer::{BASE62, invented};

/// Invented: they are in every copy of this crate and protect nothing. An RSA key takes seconds to make.
const RSA: &[&str] =
    &[include_str!("keys/rsa-1.pem"), include_str!("keys/rsa-2.pem"), include_str!("keys/rsa-3.pem")];
const EC: &[&str] = &[include_str!("keys/ec-1.pem"), include_str!("keys/ec-2.pem")];
const ED: &[&str] = &[include_str!("keys/ed-1.pem"), include_str!("keys/ed-2.pem")];

/// So many keys are shown: the one that signs and the one before.
const SHOWN: usize = 2;

/// The keys of an issuer.
pub(crate) struct Keys {
    seed: u64,
    made: usize,
    /// The one that signs first.
    shown: Vec<Key>,
}

/// One key.
struct Key {
    kid: String,
    algorithm: Algorithm,
    private: EncodingKey,
}

/// What a token is signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Signer {
    /// The key that its header names.
    #[default]
    Own,
    /// Another key than its header names.
    Other,
    /// None at all (RFC 7519 section 6).
    Nobody,
    /// The public half of the key, as if it were a common secret (RFC 8725 section 2.1).
    Public,
}

impl Keys {
    /// Two keys for RS256.
    pub(crate) fn new(seed: u64) -> Self {
        let mut keys = Self { seed, made: 0, shown: Vec::new() };
        (0..SHOWN).for_each(|_| keys.rotate(Algorithm::RS256));
        keys
    }

    /// From now on a new key signs. The one before is still shown.
    pub(crate) fn rotate(&mut self, algorithm: Algorithm) {
        self.made += 1;
        let kid = invented(BASE62, self.seed, &format!("kid:{}", self.made), 27);
        self.shown.insert(0, Key { kid, algorithm, private: private(algorithm, self.made) });
        self.shown.truncate(SHOWN);
    }

    /// Shows only the key that signs.
    pub(crate) fn forget(&mut self) {
        self.shown.truncate(1);
    }

    /// What signs now.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.shown[0].algorithm
    }

    /// The name of the key that signs now.
    pub(crate) fn kid(&self) -> &str {
        &self.shown[0].kid
    }

    /// The public keys as a set, each with what `more` adds, or takes away with a null.
    pub(crate) fn set(&self, max_age: u32, more: &Value) -> Answer {
        let keys: Vec<Value> = self
            .shown
            .iter()
            .map(|key| {
                let mut public = public(key);
                merge(&mut public, more);
                public.into()
            })
            .collect();
        Answer::json(200, &json!({"keys": keys}))
            .header(CACHE_CONTROL, &format!("public, max-age={max_age}, must-revalidate, no-transform"))
    }

    /// A token in the compact form. `more` is put over its header.
    pub(crate) fn sign(&self, claims: &Map<String, Value>, more: &Value, signer: Signer) -> String {
        let key = &self.shown[0];
        let (name, private) = match signer {
            Signer::Own => (algorithm_name(key.algorithm), key.private.clone()),
            Signer::Other => (algorithm_name(key.algorithm), private(key.algorithm, self.made + 1)),
            Signer::Nobody => ("none", key.private.clone()),
            Signer::Public => ("HS256", EncodingKey::from_secret(&public_bytes(key))),
        };
        let mut header = object(json!({"typ": "JWT", "alg": name, "kid": key.kid}));
        merge(&mut header, more);
        let part = |part: &Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::from(part.clone()).to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let algorithm = if signer == Signer::Public { Algorithm::HS256 } else { key.algorithm };
        let signature = match signer {
            Signer::Nobody => String::new(),
            // It cannot fail with the keys above; a token without a signature would be seen at once.
            _ => crypto::sign(message.as_bytes(), &private, algorithm).unwrap_or_default(),
        };
        format!("{message}.{signature}")
    }

    /// The claims of a token that one of the keys shown has signed.
    #[cfg(any(feature = "entra", feature = "oidc"))]
    pub(crate) fn opened(&self, token: &str) -> Option<Map<String, Value>> {
        let (message, signature) = token.rsplit_once('.')?;
        let signed = |key: &&Key| {
            let public: Option<Jwk> = serde_json::from_value(public(key).into()).ok();
            let public = public.and_then(|public| jsonwebtoken::DecodingKey::from_jwk(&public).ok());
            public.is_some_and(|public| {
                crypto::verify(signature, message.as_bytes(), &public, key.algorithm).unwrap_or_default()
            })
        };
        self.shown.iter().find(signed)?;
        let claims = URL_SAFE_NO_PAD.decode(message.rsplit_once('.')?.1).ok()?;
        serde_json::from_slice(&claims).ok()
    }
}

/// The name of an algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1).
pub(crate) fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::ES256 => "ES256",
        Algorithm::EdDSA => "EdDSA",
        _ => "RS256",
    }
}

/// Puts members over those of an object; a null takes one away.
pub(crate) fn merge(object: &mut Map<String, Value>, more: &Value) {
    for (name, value) in more.as_object().into_iter().flatten() {
        match value {
            Value::Null => object.remove(name),
            value => object.insert(name.clone(), value.clone()),
        };
    }
}

/// The members of an object.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn private(algorithm: Algorithm, number: usize) -> EncodingKey {
    let pick = |keys: &[&str]| der(keys[number % keys.len()]);
    match algorithm {
        Algorithm::ES256 => EncodingKey::from_ec_der(&pick(EC)),
        Algorithm::EdDSA => EncodingKey::from_ed_der(&pick(ED)),
        _ => EncodingKey::from_rsa_der(&pick(RSA)),
    }
}

/// What stands between the lines with dashes (RFC 7468).
fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN"));
    let text: String = lines.skip(1).take_while(|line| !line.starts_with("-----END")).collect();
    STANDARD.decode(text).unwrap_or_default()
}

fn public(key: &Key) -> Map<String, Value> {
    let jwk = Jwk::from_encoding_key(&key.private, key.algorithm).ok();
    let mut members = object(jwk.and_then(|jwk| serde_json::to_value(jwk).ok()).unwrap_or_default());
    merge(&mut members, &json!({"kid": key.kid, "use": "sig", "alg": algorithm_name(key.algorithm)}));
    members
}

/// What an attacker would take for the secret: the public half as everybody sees it.
fn public_bytes(key: &Key) -> Vec<u8> {
    let members = public(key);
    let text = members.get("n").or(members.get("x")).and_then(Value::as_str).unwrap_or_default();
    URL_SAFE_NO_PAD.decode(text).unwrap_or_default()
}
