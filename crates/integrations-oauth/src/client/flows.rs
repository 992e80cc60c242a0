//! The grants, and what else there is to do with tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use integrations_core::provider::{ClientAuth, Exchange, OAuth, Refresh, TokenBody};
use integrations_core::{Effect, Error, ErrorKind, Op, Result, SecretString};
use jiff::Timestamp;
use serde_json::Value;

use super::assertion::ClientAssertion;
use super::builder::Client;
use super::callback::{Callback, Outcome};
use super::issuer::Address;
use super::params::Params;
use super::pending::PendingAuthorization;
use super::send::{Message, unreadable};
use super::{ops, refusal, reply};
use crate::token::{Kept as _, TokenSet};

/// Where [`TokenSet::extra`] holds that an upgrade is still to come.
const UPGRADE: &str = "integrations.upgrade";
const DUE: &str = "due";

/// What an issuer says of a token (RFC 7662).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Introspection {
    /// Whether it is valid now.
    pub active: bool,
    /// What it allows; `None`: the issuer does not say.
    pub scopes: Option<Vec<String>>,
    /// Whose client it was given to.
    pub client_id: Option<String>,
    /// Whom it stands for, as the issuer names them.
    pub subject: Option<String>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// The other fields: texts as they are, everything else as JSON.
    pub extra: BTreeMap<String, SecretString>,
}

impl Client {
    /// Ends a flow: holds the issuer's answer against what was begun, and exchanges its code. With `openid` among the
    /// scopes, the nonce of a statement that came is compared, too; its signature is not: verify [`TokenSet::id_token`]
    /// before you believe what it says. An `iss` in the answer is compared if the issuer's own name is known.
    ///
    /// Where a vendor's first token is a short-lived one and cannot be exchanged for a long-lived one just now, that first
    /// token is the outcome, and [`Client::refresh`] makes up for the rest.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] if state, issuer or nonce are not those of `pending`; [`ErrorKind::Declined`] if the
    /// user said no; [`ErrorKind::ReauthRequired`] if the user has to begin again. [`Error::code`] is the issuer's.
    pub async fn complete(&self, pending: PendingAuthorization, callback: Callback) -> Result<TokenSet> {
        pending.check(self, &callback)?;
        let code = match callback.outcome {
            Outcome::Code(code) => code,
            Outcome::Error(code) => return Err(refusal::of_callback(&code, self.facts())),
        };
        let verifier = pending.verifier.as_ref().map(|verifier| verifier.expose().as_str());
        let draft = &self.shared.draft;
        let mut params = draft.code(code.expose(), verifier, pending.redirect_uri.as_deref()).await?;
        params.set_all(self.facts().token_params);
        let mut tokens = self.tokens(self.grant(&ops::EXCHANGE_CODE, Address::Token, params)?).await?;
        pending.check_nonce(tokens.id_token.as_ref())?;
        let Some(exchange) = &self.facts().upgrade else { return Ok(tokens) };
        match self.upgraded(exchange, &tokens).await {
            // The code is spent: without the token that it gave, the user would have to consent again.
            Err(error) if error.is_retryable() || error.effect() == Effect::Unknown => {
                tracing::warn!(%error, "a token was not exchanged for a long-lived one; the next refresh tries again");
                tokens.extra.insert(UPGRADE.to_owned(), DUE.into());
                Ok(tokens)
            }
            other => other,
        }
    }

    /// A long-lived token for a short-lived one.
    async fn upgraded(&self, exchange: &Exchange, present: &TokenSet) -> Result<TokenSet> {
        let mut next = self.exchange(&ops::UPGRADE, Address::Upgrade, exchange, present).await?;
        if let Some(state) = next.extra.get_mut(UPGRADE) {
            *state = "done".into();
        }
        Ok(next)
    }

    /// The next tokens, by the refresh token or, with vendors that have none, by the access token itself.
    ///
    /// # Errors
    /// As [`TokenSource::refresh`](crate::TokenSource::refresh).
    pub async fn refresh(&self, present: &TokenSet) -> Result<TokenSet> {
        let facts = self.facts();
        if let Some(exchange) = self.due_upgrade(present) {
            return self.upgraded(exchange, present).await;
        }
        if let Some(exchange) = self.extension() {
            return self.exchange(&ops::EXTEND, Address::Extend, exchange, present).await;
        }
        let token = present.refresh.as_ref().ok_or_else(no_refresh_token)?;
        let mut params = self.shared.draft.refresh(token.expose()).await?;
        params.set_all(facts.refresh_params);
        let has_own = self.shared.issuer.at(Address::Refresh).is_ok();
        let address = if has_own { Address::Refresh } else { Address::Token };
        self.tokens(self.grant(&ops::REFRESH, address, params)?).await
    }

    /// Whether there is anything to ask for the next tokens with.
    pub(super) fn can_refresh(&self, present: &TokenSet) -> bool {
        present.refresh.is_some() || self.extension().is_some() || self.due_upgrade(present).is_some()
    }

    /// The exchange for a long-lived token that could not be made when the code was exchanged.
    fn due_upgrade(&self, present: &TokenSet) -> Option<&Exchange> {
        let is_due = present.extra.get(UPGRADE).is_some_and(|state| state.expose() == DUE);
        self.facts().upgrade.as_ref().filter(|_| is_due)
    }

    /// How access tokens themselves are exchanged for later ones, with vendors that do.
    fn extension(&self) -> Option<&Exchange> {
        let facts = self.facts();
        facts.extend.as_ref().filter(|_| matches!(facts.refresh, Refresh::Extend))
    }

    /// Tokens of the client itself (RFC 6749 section 4.4), for these scopes alone: those that a vendor always asks for
    /// are for users.
    pub async fn client_credentials<S: AsRef<str>>(
        &self,
        scopes: impl IntoIterator<Item = S>,
    ) -> Result<TokenSet> {
        let mut params = self.shared.draft.client_credentials(self.scope(scopes)).await?;
        params.set("grant_type", self.facts().client_grant);
        self.tokens(self.grant(&ops::CLIENT_CREDENTIALS, Address::Token, params)?).await
    }

    /// Tokens for a signed statement about somebody (RFC 7523 section 2.1), such as a service account's.
    pub async fn jwt_bearer<S: AsRef<str>>(
        &self,
        assertion: impl Into<SecretString>,
        scopes: impl IntoIterator<Item = S>,
    ) -> Result<TokenSet> {
        let mut message = self.jwt_bearer_grant(scopes)?;
        message.params.set("assertion", assertion);
        self.tokens(message).await
    }

    /// The same with a statement that is signed anew for each attempt.
    pub(crate) async fn jwt_bearer_signed(
        &self,
        signer: Arc<dyn ClientAssertion>,
        scopes: &[String],
    ) -> Result<TokenSet> {
        self.tokens(Message { signer: Some(signer), ..self.jwt_bearer_grant(scopes)? }).await
    }

    fn jwt_bearer_grant<S: AsRef<str>>(&self, scopes: impl IntoIterator<Item = S>) -> Result<Message> {
        let mut params = Params::default();
        params.set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
        if let Some(scope) = self.scope(scopes) {
            params.set("scope", scope);
        }
        let mut message = self.grant(&ops::JWT_BEARER, Address::Token, params)?;
        // The statement says who asks; a client that has nothing else to prove stays unnamed.
        message.auth = message.auth.filter(|_| !self.shared.proof.is_public());
        Ok(message)
    }

    /// Ends the tokens at the issuer (RFC 7009): the refresh token, which ends what came of it, or else the access
    /// token. Tokens that the issuer does not know are ended.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the issuer cannot.
    pub async fn revoke(&self, present: &TokenSet) -> Result<()> {
        let draft = &self.shared.draft;
        if let Some(token) = &present.refresh {
            match self.revoke_one(draft.revoke_refresh(token.expose()).await?).await {
                Err(error) if error.code() == Some("unsupported_token_type") => {}
                other => return other,
            }
        }
        self.revoke_one(draft.revoke_access(present.access.expose()).await?).await
    }

    async fn revoke_one(&self, params: Params) -> Result<()> {
        let message = Message { expects: None, ..self.form(&ops::REVOKE, Address::Revoke, params)? };
        match self.send(message).await {
            // What is not valid is ended: RFC 7009 section 2.2 asks for a success, which not all give.
            Err(error) if error.kind() == ErrorKind::ReauthRequired => Ok(()),
            other => other.map(drop),
        }
    }

    /// Asks the issuer about a token.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the issuer does not say.
    pub async fn introspect(&self, token: &SecretString) -> Result<Introspection> {
        let params = self.shared.draft.introspect(token.expose()).await?;
        let message = self.form(&ops::INTROSPECT, Address::Introspect, params)?;
        let response = self.send(Message { expects: Some("active"), ..message }).await?;
        let mut fields = reply::document(&response.body).map_err(|why| unreadable(&response, why))?;
        let Some(Value::Bool(active)) = fields.remove("active") else {
            return Err(unreadable(&response, "the answer does not say whether the token is active"));
        };
        let mut text = |name| match fields.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (client_id, subject) = (text("client_id"), text("sub"));
        let arrival = reply::Arrival::of(&response, &self.shared.clock);
        Ok(Introspection {
            active,
            client_id,
            subject,
            scopes: fields.remove("scope").and_then(|scope| reply::scopes(&scope)),
            expires_at: fields.remove("exp").and_then(|exp| reply::moment(&exp, arrival)),
            extra: reply::extra(fields).collect(),
        })
    }

    /// An exchange of the access token; what the answer leaves out stays.
    async fn exchange(
        &self,
        op: &'static Op,
        address: Address,
        exchange: &Exchange,
        present: &TokenSet,
    ) -> Result<TokenSet> {
        let mut params = Params::default();
        params.set("grant_type", exchange.grant);
        params.set(exchange.token_param, present.access.clone());
        let message = Message {
            body: TokenBody::Query,
            // A GET has no other place for it.
            auth: exchange.with_client.then_some(ClientAuth::Body),
            ..self.grant(op, address, params)?
        };
        Ok(present.kept_by(self.tokens(message).await?))
    }

    /// A call of the token address, as the vendor wants it.
    pub(super) fn grant(&self, op: &'static Op, address: Address, params: Params) -> Result<Message> {
        let OAuth { token_body, .. } = *self.facts();
        Ok(Message { body: token_body, expects: Some("access_token"), ..self.form(op, address, params)? })
    }

    /// A call of any other address: a form.
    pub(super) fn form(&self, op: &'static Op, address: Address, params: Params) -> Result<Message> {
        let to = self.shared.issuer.at(address)?.clone();
        Ok(Message {
            op,
            to,
            params,
            body: TokenBody::Form,
            auth: Some(self.facts().client_auth),
            signer: None,
            expects: None,
        })
    }

    pub(super) fn scope<S: AsRef<str>>(&self, scopes: impl IntoIterator<Item = S>) -> Option<String> {
        let scopes: Vec<S> = scopes.into_iter().collect();
        self.shared.issuer.joined(scopes.iter().map(AsRef::as_ref))
    }
}

fn no_refresh_token() -> Error {
    Error::new(ErrorKind::ReauthRequired, Effect::NotSent, "the issuer gave no refresh token")
        .with_hint("let the user connect again; some issuers give one only if a scope such as `offline_access` is asked for")
}
