//! Which parameters prove a call: the application's key, the user's session key, and the signature over both.
//!
//! Vendor page: <https://www.last.fm/api/authspec>.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use integrations_core::{
    Authorize, CredentialVersion, LiveSecret, Result, SecretString, WireRequest, bearer_token, params,
};
use md5::{Digest, Md5};

use super::spec::SPEC;

/// Parameters that the signature leaves out.
const UNSIGNED: [&str; 2] = ["format", "callback"];

/// Puts key, session key and signature on a call. What is put depends on the call:
///
/// | call | session key | signature |
/// |---|---|---|
/// | `auth.…` | no | yes |
/// | a write, which is a POST | yes | yes |
/// | `user.…`, if there is a session key, so that users see what they hide from others | yes | yes |
/// | any other read | no | no |
#[derive(Clone)]
pub(super) struct Signature {
    pub(super) api_key: String, // tidy: not a secret, it stands in addresses that users see
    pub(super) secret: Option<LiveSecret>,
    /// Who has the session key of a user: it is taken from the bearer token that this puts on a request.
    pub(super) session: Option<Arc<dyn Authorize>>,
}

impl Signature {
    async fn session_key(&self) -> Result<SecretString> {
        let session = self.session.as_ref().ok_or_else(|| SPEC.missing("session_key"))?;
        bearer_token(session.as_ref()).await
    }

    fn is_of_user(&self, request: &WireRequest, call: &str) -> bool {
        let is_write = *request.method() == Method::POST;
        !call.starts_with("auth.") && (is_write || (self.session.is_some() && call.starts_with("user.")))
    }
}

#[async_trait]
impl Authorize for Signature {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        let mut pairs = params::of(request);
        let call = pairs.iter().find(|(name, _)| name == "method").map_or("", |(_, call)| call);
        let (is_of_user, is_of_application) = (self.is_of_user(request, call), call.starts_with("auth."));
        let sent = pairs.len();
        pairs.push(("api_key".to_owned(), self.api_key.clone()));
        if is_of_user {
            pairs.push(("sk".to_owned(), self.session_key().await?.expose().clone()));
        }
        if is_of_user || is_of_application {
            let secret = self.secret.as_ref().ok_or_else(|| SPEC.missing("shared_secret"))?;
            let present = secret.current();
            pairs.push(("api_sig".to_owned(), sign(&mut pairs.clone(), &present.value)));
            request.extensions_mut().insert(CredentialVersion(present.version));
        }
        pairs.push(("format".to_owned(), "json".to_owned()));
        params::append(request, &pairs[sent..])
    }

    /// A refused signature is about the shared secret. A refused session key is no case for this: it is asked for
    /// each call, and lasts until the user takes it back.
    async fn refresh(&self, used: Option<CredentialVersion>) -> Result<bool> {
        match (&self.secret, used) {
            (Some(secret), Some(CredentialVersion(used))) => Ok(secret.renew(used).await),
            _ => Ok(false),
        }
    }
}

/// The vendor's signature: MD5 over all parameters, by name in the order of bytes, and the secret.
pub(super) fn sign(pairs: &mut [(String, String)], secret: &SecretString) -> String {
    pairs.sort();
    let mut hash = Md5::new();
    for (name, value) in pairs.iter().filter(|(name, _)| !UNSIGNED.contains(&name.as_str())) {
        hash.update(name);
        hash.update(value);
    }
    hash.update(secret.expose());
    format!("{:x}", Bytes::copy_from_slice(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use integrations_core::Req;

    use super::*;

    fn signed(pairs: &[(&str, &str)], secret: &str) -> String {
        let mut pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        sign(&mut pairs, &SecretString::from(secret))
    }

    #[test]
    fn a_signature_is_over_sorted_parameters_and_the_secret() {
        let session = [("token", "yyyyyy"), ("api_key", "xxxxxxxx"), ("method", "auth.getSession")];
        assert_eq!(signed(&session, "ilovecher"), "1333ebf6f7dec747486b6ce965cca66b");
        let love = [
            ("method", "track.love"),
            ("api_key", "key"),
            ("sk", "sess"),
            ("artist", "Björk"),
            ("track", "Jóga"),
            ("format", "json"),
        ];
        assert_eq!(signed(&love, "secret"), "c2139525ce326d94d9f92f778d460e67");
    }

    async fn put_on(signature: &Signature, method: &str, call: &str) -> Result<String> {
        let base = "https://demo.example/2.0/".parse().unwrap();
        let mut request = match method {
            "GET" => Req::get(&base).query("method", Some(call)).build()?,
            _ => Req::post(&base).form([("method", call)]).build()?,
        };
        signature.authorize(&mut request).await?;
        let form = std::str::from_utf8(request.body().as_bytes().unwrap()).unwrap();
        Ok(format!("{}{form}", request.uri().query().unwrap_or_default()))
    }

    #[tokio::test]
    async fn a_call_shows_no_more_than_it_needs() {
        let key = Signature { api_key: "k".to_owned(), secret: None, session: None };
        let application = Signature { secret: Some(SecretString::from("s").into()), ..key.clone() };
        let bearer = integrations_core::Bearer::new(SecretString::from("u"));
        let user = Signature { session: Some(Arc::new(bearer.clone())), ..application.clone() };
        let has = |text: &str| {
            let names: Vec<_> = text.split('&').map(|pair| pair.split('=').next().unwrap()).collect();
            assert!(names.contains(&"api_key") && names.contains(&"format"), "{text}");
            (names.contains(&"sk"), names.contains(&"api_sig"))
        };
        for (signature, method, call, expected) in [
            (&key, "GET", "track.search", (false, false)),
            (&user, "GET", "track.search", (false, false)),
            (&key, "GET", "user.getInfo", (false, false)),
            (&user, "GET", "user.getInfo", (true, true)),
            (&user, "POST", "track.love", (true, true)),
            (&application, "GET", "auth.getSession", (false, true)),
            (&user, "POST", "auth.getMobileSession", (false, true)),
        ] {
            assert_eq!(has(&put_on(signature, method, call).await.unwrap()), expected, "{method} {call}");
        }
        for (signature, call) in [(&key, "auth.getSession"), (&application, "track.love")] {
            let method = if call == "track.love" { "POST" } else { "GET" };
            let error = put_on(signature, method, call).await.unwrap_err();
            assert_eq!(error.kind(), integrations_core::ErrorKind::Config, "{call}");
        }
        let silent = Signature { session: Some(Arc::new(bearer.scheme("x"))), ..application };
        assert!(
            put_on(&silent, "POST", "track.love").await.unwrap_err().message().contains("no bearer token")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_shared_secret_that_was_replaced_is_tried_once_more() {
        let secret = LiveSecret::from("old");
        let signature = Signature { api_key: "k".to_owned(), secret: Some(secret.clone()), session: None };
        let mut request = Req::get(&"https://demo.example/2.0/".parse().unwrap())
            .query("method", Some("auth.getToken"))
            .build()
            .unwrap();
        signature.authorize(&mut request).await.unwrap();
        let used = request.extensions().get::<CredentialVersion>().copied();
        assert!(!signature.refresh(None).await.unwrap());
        secret.set("new").unwrap();
        assert!(signature.refresh(used).await.unwrap());
    }

    #[test]
    fn the_tenth_of_a_batch_is_signed_before_the_first() {
        let mut batch: Vec<(String, String)> = (0..11)
            .flat_map(|i| {
                [
                    (format!("artist[{i}]"), format!("A{i}")),
                    (format!("track[{i}]"), format!("T{i}")),
                    (format!("timestamp[{i}]"), (1_700_000_000 + i).to_string()),
                ]
            })
            .collect();
        batch.extend(
            [("method", "track.scrobble"), ("api_key", "key"), ("sk", "sess")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        assert_eq!(sign(&mut batch, &SecretString::from("secret")), "5aa78afe67ac98c898dd3becf561b521");
    }
}
