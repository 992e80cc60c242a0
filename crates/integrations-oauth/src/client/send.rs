//! Sends one call to an issuer, through the pipeline like any other.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use http::header::{ACCEPT, HeaderValue};
use http::{HeaderMap, Uri};
use integrations_core::provider::{ClientAuth, TokenBody};
use integrations_core::{
    Authorize, Caller, Classify, CredentialVersion, Effect, Error, ErrorKind, Op, Req, Result, Safety,
    WireRequest, WireResponse,
};

use super::assertion::{ClientAssertion, ClientName};
use super::builder::{Client, Shared};
use super::params::Params;
use super::refusal;
use super::reply::{self, Arrival};
use crate::token::TokenSet;

/// One call, before the client is put on it.
pub(super) struct Message {
    pub(super) op: &'static Op,
    pub(super) to: Uri,
    pub(super) params: Params,
    pub(super) body: TokenBody,
    /// How the client proves itself; `None`: not at all.
    pub(super) auth: Option<ClientAuth>,
    /// Signs whom tokens are wanted for (RFC 7523 section 2.1).
    pub(super) signer: Option<Arc<dyn ClientAssertion>>,
    /// The field without which an answer is none.
    pub(super) expects: Option<&'static str>,
}

/// A message on its way.
struct Delivery {
    shared: Arc<Shared>,
    message: Message,
    /// What the last attempt sent: an issuer may quote it.
    sent: Mutex<Params>,
}

impl Client {
    /// Sends a message; the answer is a success.
    pub(super) async fn send(&self, message: Message) -> Result<WireResponse> {
        let (op, shared) = (message.op, self.shared.clone());
        let request = Req::post(&message.to).build()?;
        let to = message.to.clone();
        let delivery = Arc::new(Delivery { shared, message, sent: Mutex::default() });
        let caller = Caller::builder(to, self.shared.transport.clone(), self.shared.pipeline.clone())
            .authorize(delivery.clone())
            .classify(delivery)
            .clock(self.shared.clock.clone())
            .skew(self.shared.skew.clone())
            .build();
        caller.exchange(op, None, request).await.map_err(refusal::settled)
    }

    /// Sends a message that is answered by tokens.
    pub(super) async fn tokens(&self, message: Message) -> Result<TokenSet> {
        let response = self.send(message).await?;
        let arrival = Arrival::of(&response, &self.shared.clock);
        let read = reply::tokens(&response.body, self.facts(), arrival);
        read.map_err(|why| unreadable(&response, why))
    }
}

/// The issuer may have acted, or a proxy answered in its place.
pub(super) fn unreadable(response: &WireResponse, why: &str) -> Error {
    let effect = if response.op.safety == Safety::Read { Effect::Rejected } else { Effect::Unknown };
    Error::new(ErrorKind::Decode, effect, why)
        .with_op(response.op)
        .with_status(response.status.as_u16())
        .with_hint("see that the address is the issuer's, and not that of a page for people")
}

#[async_trait]
impl Authorize for Delivery {
    /// The whole request is written here, for the client's secret may be anywhere in it.
    async fn authorize(&self, request: &mut WireRequest) -> Result<()> {
        let Shared { issuer, proof, client_id, clock, skew, .. } = &*self.shared;
        let (audience, now) = (issuer.token_address(), skew.adjust(clock.now()));
        let (mut params, mut headers) = (self.message.params.clone(), HeaderMap::new());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        params.remove("client_id");
        if let Some(auth) = self.message.auth {
            let client = ClientName { id: client_id, auth, audience, now };
            if let Some(used) = proof.put(&client, &mut params, &mut headers).await? {
                request.extensions_mut().insert(used);
            }
        }
        if let Some(signer) = &self.message.signer {
            params.set("assertion", signer.assertion(audience, now).await?);
        }
        *self.sent.lock().unwrap_or_else(PoisonError::into_inner) = params.clone();
        params.rename(issuer.facts.renames);
        let (to, body) = (&self.message.to, self.message.body);
        write(request, to, headers, &params, body)
    }

    async fn refresh(&self, used: Option<CredentialVersion>) -> Result<bool> {
        Ok(self.shared.proof.renew(used).await)
    }
}

fn write(
    request: &mut WireRequest,
    to: &Uri,
    headers: HeaderMap,
    params: &Params,
    body: TokenBody,
) -> Result<()> {
    let written = match body {
        TokenBody::Json => {
            let fields: serde_json::Map<_, _> =
                params.iter().map(|(k, v)| (k.to_owned(), v.into())).collect();
            Req::post(to).json(&fields).build()?
        }
        TokenBody::Query => Req::get(to).build()?,
        _ => Req::post(to).form(params.iter()).build()?,
    };
    let (head, content) = written.into_parts();
    *request.method_mut() = head.method;
    // `Req` takes the `/` at the end of an address away.
    *request.uri_mut() = if body == TokenBody::Query { params.in_query_of(to)? } else { to.clone() };
    *request.headers_mut() = headers;
    request.headers_mut().extend(head.headers);
    *request.body_mut() = content;
    Ok(())
}

impl Classify for Delivery {
    fn classify(&self, op: &'static Op, response: &WireResponse) -> Option<Error> {
        let facts = &self.shared.issuer.facts;
        let fields = reply::document(&response.body).ok()?;
        let codes = reply::refusal(response.status, &fields, self.message.expects, facts)?;
        let is_known = |code: &String| facts.reauth_codes.contains(&code.as_str());
        let codes: Vec<String> =
            codes.into_iter().filter(|code| is_known(code) || self.is_fit_to_show(code)).collect();
        Some(refusal::error(op, response.status, &codes, facts))
    }
}

/// Parameters that are no secrets, and whose words codes have in them.
const PUBLIC: [&str; 4] = ["client_assertion_type", "grant_type", "scope", "token_type_hint"];
/// Shorter values are no secrets, and would be found in ordinary codes.
const SHORTEST_SECRET: usize = 8;

impl Delivery {
    /// A code is one word, and nothing that was sent: an issuer may quote it.
    fn is_fit_to_show(&self, code: &str) -> bool {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let quotes = |(name, value): (&str, &str)| {
            !PUBLIC.contains(&name) && value.len() >= SHORTEST_SECRET && code.contains(value)
        };
        refusal::is_word(code) && !sent.iter().any(quotes)
    }
}
