//! Every service that signs people in, in memory: it says what it is told to say.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use integrations_auth::jose::{Algorithm, SigningKey};
use integrations_core::{
    Body, Exchange, Payload, Result, SecretString, Transport, TransportError, TransportFailure,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::search::canary;
use super::super::servers::{PlainHeaders, Seen};
use super::super::vault::ANSWERS;

pub(super) const CLIENT: &str = "client-1";
pub(super) const TID: &str = "11111111-2222-3333-4444-555555555555";

/// Answers of the right form with the wrong things in them.
const ODD: [(u16, &str); 4] = [
    (200, r#"{"sub":["{sent}"],"id":["{sent}"],"account_id":{"{sent}":1}}"#),
    (200, r#"["{sent}"]"#),
    (200, r#""{sent}""#),
    (422, r#"{"message":"{sent}","errors":[{"code":"{sent}"}]}"#),
];

/// How many ways there are to answer badly; at the last one the connection breaks.
pub(super) const BAD: usize = ANSWERS.len() + ODD.len() + 1;

/// What is answered badly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    Tokens,
    /// Everything but tokens and keys: profiles, the end of tokens.
    Others,
    All,
}

#[derive(Default)]
pub(super) struct Says {
    pub(super) bad: Option<(Target, usize)>,
    /// The ID token that comes with tokens.
    pub(super) statement: String,
    /// The proofs of the code's owner that came.
    pub(super) verifiers: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Issuer {
    seen: Seen,
    says: Arc<Mutex<Says>>,
    pub(super) key: Arc<SigningKey>,
}

impl Issuer {
    pub(super) fn new(seen: &Seen) -> Result<Self> {
        let key = Arc::new(SigningKey::generate(Algorithm::Es256)?.id("k1"));
        Ok(Self { seen: seen.clone(), says: Arc::default(), key })
    }

    pub(super) fn says(&self) -> MutexGuard<'_, Says> {
        self.says.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a service of this name calls itself.
    pub(super) fn name(provider: &str) -> String {
        match provider {
            "google" => "https://accounts.google.com".to_owned(),
            "entra" => format!("https://login.microsoftonline.com/{TID}/v2.0"),
            _ => "https://issuer.test".to_owned(),
        }
    }

    /// The claims of a good statement.
    pub(super) fn claims(provider: &str, nonce: &str) -> Map<String, Value> {
        let now = Timestamp::now().as_second();
        let claims = json!({
            "iss": Self::name(provider), "aud": CLIENT, "sub": "ada", "tid": TID, "oid": "ada-1",
            "iat": now, "exp": now + 600, "nonce": nonce,
        });
        claims.as_object().cloned().unwrap_or_default()
    }

    pub(super) fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<SecretString> {
        self.key.sign(typ, claims)
    }

    fn good(&self, method: &http::Method, path: &str) -> Value {
        if path.ends_with("/openid-configuration") {
            return json!({
                "issuer": "https://issuer.test",
                "authorization_endpoint": "https://issuer.test/authorize",
                "token_endpoint": "https://issuer.test/token",
                "userinfo_endpoint": "https://issuer.test/userinfo",
                "revocation_endpoint": "https://issuer.test/revoke",
                "end_session_endpoint": "https://issuer.test/logout",
                "jwks_uri": "https://issuer.test/keys",
                "backchannel_logout_supported": true,
            });
        }
        if is_keys(path) {
            return json!({ "keys": [self.key.public_jwk().unwrap_or_default()] });
        }
        if path.starts_with("/applications/") {
            let token = canary("signin-access");
            return json!({ "app": { "client_id": CLIENT }, "user": { "id": 7 }, "token": token });
        }
        match path.rsplit('/').next() {
            Some("user") => json!({ "id": 7, "login": "ada" }),
            Some("emails") => json!([]),
            Some("me") => json!({ "account_id": "ada", "id": "ada" }),
            Some("userinfo") => json!({ "sub": "ada", "iss": "x", "tid": TID, "oid": "ada-1" }),
            _ if method == http::Method::DELETE => json!({}),
            _ => json!({
                "access_token": canary("signin-access"),
                "refresh_token": canary("signin-refresh"),
                "id_token": self.says().statement,
                "token_type": "bearer",
                "expires_in": 3600,
            }),
        }
    }
}

fn is_keys(path: &str) -> bool {
    path.ends_with("/certs") || path.ends_with("/keys")
}

fn is_token(path: &str) -> bool {
    (path.ends_with("token") || path.ends_with("/access_token")) && !path.starts_with("/applications/")
}

/// Looks like a token: the header's JSON, anything, anything.
pub(super) fn unsigned(header: &Value, payload: &str) -> String {
    let [header, payload] =
        [header.to_string().as_str(), payload].map(|part| URL_SAFE_NO_PAD.encode(part.as_bytes()));
    format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode([7; 64]))
}

#[async_trait]
impl Transport for Issuer {
    async fn send(&self, request: Request<Body>, _: Exchange) -> Result<Response<Payload>, TransportError> {
        let (head, body) = request.into_parts();
        let mut sent = match &body {
            Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        };
        self.seen.add(&format!("{} {:?} {sent}", head.uri, PlainHeaders(&head.headers)));
        let verifier = sent.split('&').find_map(|pair| pair.strip_prefix("code_verifier="));
        self.says().verifiers.extend(verifier.map(str::to_owned));
        if let Some(proof) = head.headers.get(AUTHORIZATION) {
            sent = format!("{sent} {}", String::from_utf8_lossy(proof.as_bytes()));
        }
        let path = head.uri.path();
        let is_meant = |target| match target {
            Target::Tokens => is_token(path),
            Target::Others => !is_token(path) && !is_keys(path) && !path.contains("/.well-known/"),
            Target::All => true,
        };
        let bad = self.says().bad.filter(|(target, _)| is_meant(*target));
        let (status, text) = match bad {
            None => (200, self.good(&head.method, path).to_string()),
            Some((_, n)) => match ANSWERS.iter().chain(&ODD).nth(n) {
                Some((status, text)) => (*status, text.replace("{sent}", &sent.replace('"', "'"))),
                None => {
                    return Err(TransportError::new(TransportFailure::Reset, true, "the connection broke"));
                }
            },
        };
        let response = Response::builder().status(status).body(Bytes::from(text).into());
        Ok(response.expect("the statuses of the list are valid"))
    }
}
