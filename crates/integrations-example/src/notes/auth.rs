//! `Authorization: Bearer …`.

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderValue};
use integrations_core::{Authorize, Error, Result, SecretString, WireRequest};

/// Puts the token on each attempt.
pub(super) struct Bearer {
    token: SecretString,
}

impl Bearer {
    pub(super) fn new(token: SecretString) -> Self {
        Self { token }
    }
}

#[async_trait]
impl Authorize for Bearer {
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.token.expose()))
            .map_err(|_| Error::config("the token has characters that no header may have"))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
        Ok(())
    }
}
