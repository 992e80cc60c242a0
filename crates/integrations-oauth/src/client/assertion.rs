//! How a client proves itself.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use integrations_core::provider::ClientAuth;
use integrations_core::{CredentialVersion, Error, LiveSecret, Result, SecretString};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::params::Params;

/// RFC 7523 section 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Signs statements by which a client proves itself instead of by a shared secret.
#[async_trait]
pub trait ClientAssertion: Send + Sync + 'static {
    /// A signed JWT about this client. Asked for each attempt, within the attempt's time: one that may be used again can
    /// be kept by whoever implements this. `audience` is the token address; an issuer that wants its own name in `aud`
    /// is served by ignoring it. `now` is the client's time, or that of an issuer whose clock is known to be another.
    async fn assertion(&self, audience: &str, now: Timestamp) -> Result<SecretString>;
}

/// What a client has to prove itself with.
pub(super) enum Proof {
    /// Nothing: it names itself.
    Public,
    /// A secret.
    Secret(LiveSecret),
    /// A signed statement in the place of the secret.
    SignedSecret(Arc<dyn ClientAssertion>),
    /// A signed statement (`private_key_jwt`).
    Assertion(Arc<dyn ClientAssertion>),
}

impl Proof {
    /// Puts the client on one attempt; the version of the secret that was used, if it has one.
    pub(super) async fn put(
        &self,
        client: &ClientName<'_>,
        params: &mut Params,
        headers: &mut HeaderMap,
    ) -> Result<Option<CredentialVersion>> {
        match self {
            Self::Public => {
                params.set("client_id", client.id);
                Ok(None)
            }
            Self::Secret(secret) => {
                let used = secret.current();
                client.put_secret(&used.value, params, headers)?;
                Ok(Some(CredentialVersion(used.version)))
            }
            Self::SignedSecret(signer) => {
                client.put_secret(&signer.assertion(client.audience, client.now).await?, params, headers)?;
                Ok(None)
            }
            Self::Assertion(signer) => {
                params.set("client_id", client.id);
                params.set("client_assertion_type", JWT_BEARER);
                params.set("client_assertion", signer.assertion(client.audience, client.now).await?);
                Ok(None)
            }
        }
    }

    /// After a refusal: whether there is something else to try.
    pub(super) async fn renew(&self, used: Option<CredentialVersion>) -> bool {
        match (self, used) {
            (Self::Secret(secret), Some(used)) => secret.renew(used.0).await,
            _ => false,
        }
    }

    pub(super) fn is_public(&self) -> bool {
        matches!(self, Self::Public)
    }
}

/// Who proves itself, how, to whom and when.
pub(super) struct ClientName<'a> {
    pub(super) id: &'a str,
    pub(super) auth: ClientAuth,
    pub(super) audience: &'a str,
    pub(super) now: Timestamp,
}

impl ClientName<'_> {
    fn put_secret(&self, secret: &SecretString, params: &mut Params, headers: &mut HeaderMap) -> Result<()> {
        let pair = match self.auth {
            ClientAuth::Basic => format!("{}:{}", form_encoded(self.id), form_encoded(secret.expose())),
            ClientAuth::BasicRaw => format!("{}:{}", self.id, secret.expose()),
            ClientAuth::BasicSecret => format!("{}:", secret.expose()),
            _ => {
                params.set("client_id", self.id);
                params.set("client_secret", secret.clone());
                return Ok(());
            }
        };
        // RFC 6749 section 2.3: a client must not prove itself in two ways at once.
        params.remove("client_id");
        let pair = SecretString::new(pair);
        let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair.expose())))
            .map_err(|_| Error::config("the client's id or secret fits in no header"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }
}

/// What the form encoding of the URL standard leaves as it is, without the space.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_').remove(b' ');

fn form_encoded(text: &str) -> String {
    utf8_percent_encode(text, FORM).to_string().replace(' ', "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_secret_is_tried_again_only_if_it_is_another_one_than_was_refused() {
        let proof = Proof::Secret("s".into());
        let (mut params, mut headers) = (Params::default(), HeaderMap::new());
        let client = ClientName { id: "a", auth: ClientAuth::Body, audience: "", now: Timestamp::UNIX_EPOCH };
        let used = proof.put(&client, &mut params, &mut headers).await.unwrap();
        assert!(used.is_some() && !proof.renew(used).await);
        assert!(proof.renew(Some(CredentialVersion(0))).await);
        assert!(!Proof::Public.renew(used).await);
    }

    #[test]
    fn id_and_secret_are_form_encoded_before_base64_unless_the_vendor_does_not_decode() {
        let sent = |auth| {
            let (mut params, mut headers) = (Params::default(), HeaderMap::new());
            params.set("client_id", "a:b");
            let client = ClientName { id: "a:b", auth, audience: "", now: Timestamp::UNIX_EPOCH };
            client.put_secret(&"p +%/é".into(), &mut params, &mut headers).unwrap();
            assert_eq!(params.iter().count(), 0);
            let value = headers[AUTHORIZATION].to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
            assert!(headers[AUTHORIZATION].is_sensitive());
            String::from_utf8(STANDARD.decode(value).unwrap()).unwrap()
        };
        assert_eq!(sent(ClientAuth::Basic), "a%3Ab:p+%2B%25%2F%C3%A9");
        assert_eq!(sent(ClientAuth::BasicRaw), "a:b:p +%/é");
    }
}
