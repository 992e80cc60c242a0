//! A sign-in through a browser, from the first click to who it is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use integrations_core::{Clock, Effect, Error, ErrorKind, Result, Secret, SecretString};
use integrations_oauth::Callback;
use serde::{Deserialize, Serialize};

use crate::linking::ProofOfControl;
use crate::names::hashed;
use crate::{Begun, Draft, PendingSignIn, RecordId, RecordStore, SignIn, SignInRequest, SignedIn, UserId};
use crate::{cookies, opaque};

/// Carries sign-ins through browsers.
///
/// - What the answer is held against is kept in a [`RecordStore`], and given once.
/// - The answer counts only in the browser that was sent: a cookie binds them. Each flow has its own, so that two tabs do
///   not disturb each other.
/// - The answer counts only at the provider that the browser was sent to: give each provider its own redirect address, and
///   [`complete`](Flow::complete) the name of the one whose address was called.
/// - The browser goes on to a path of this site alone.
///
/// ```
/// use integrations_auth::{Flow, MemoryRecords, SignInRequest, Start};
/// # use std::sync::Arc;
/// # async fn demo(google: integrations_auth::SignIn, answer: &str, headers: &http::HeaderMap) -> integrations_core::Result<()> {
/// let flow = Flow::builder(Arc::new(MemoryRecords::new())).provider("google", google).build();
///
/// // GET /signin/google
/// let sent = flow.begin("google", Start::sign_in().return_to("/inbox"), SignInRequest::new()).await?;
/// // Answer 303 with `Location: sent.url` and `Set-Cookie: sent.set_cookie`.
///
/// // GET /callback/google
/// let finished = flow.complete("google", answer, headers).await?;
/// // `finished.signed_in.identity` is who it is; go on to `finished.return_to`.
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Flow {
    providers: Arc<BTreeMap<String, SignIn>>,
    records: Arc<dyn RecordStore>,
    clock: Clock,
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("providers", &self.providers.keys()).finish_non_exhaustive()
    }
}

/// Builds a [`Flow`].
#[must_use]
pub struct FlowBuilder {
    providers: BTreeMap<String, SignIn>,
    records: Arc<dyn RecordStore>,
    clock: Clock,
}

impl fmt::Debug for FlowBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowBuilder").field("providers", &self.providers.keys()).finish_non_exhaustive()
    }
}

/// What a flow is for, and where the browser goes on afterwards.
#[derive(Debug)]
#[must_use]
pub struct Start {
    tenant: String,
    return_to: String,
    link_to: Option<UserId>,
}

/// Where the browser is sent.
#[non_exhaustive]
pub struct Sent {
    /// The service's page.
    pub url: String,
    /// The value of `Set-Cookie` for this answer.
    pub set_cookie: HeaderValue,
}

impl fmt::Debug for Sent {
    /// The query has the state and the nonce in it, for the browser alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let page = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("Sent").field("page", &page).finish_non_exhaustive()
    }
}

/// A flow that came to its end.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finished {
    /// Who it is.
    pub signed_in: SignedIn,
    /// The tenant that it was begun for.
    pub tenant: String,
    /// The path of this site to go on to.
    pub return_to: String,
    /// If it was begun to link an identity: the right to do so.
    pub proof: Option<ProofOfControl>,
    /// The value of `Set-Cookie` that removes the flow's cookie.
    pub clear_cookie: HeaderValue,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    pending: Vec<u8>,
    provider: String,
    binding: String,
    return_to: String,
    link_to: Option<String>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.pending);
    }
}

const KIND: &str = "state";
const BINDING: &str = "browser";

impl Start {
    /// To sign somebody in.
    pub fn sign_in() -> Self {
        Self { tenant: String::new(), return_to: "/".to_owned(), link_to: None }
    }

    /// To link an identity to a user who has just proven themselves.
    pub fn link(proof: ProofOfControl) -> Self {
        let (tenant, user) = proof.into_parts();
        Self { tenant, return_to: "/".to_owned(), link_to: Some(user) }
    }

    /// Sets the tenant, for sign-ins. Default: `""`, for where there are none.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        if self.link_to.is_none() {
            self.tenant = tenant.into();
        }
        self
    }

    /// Sets the path to go on to, such as `/inbox?unread=1`. Default: `/`.
    pub fn return_to(mut self, path: impl Into<String>) -> Self {
        self.return_to = path.into();
        self
    }
}

impl FlowBuilder {
    /// Adds a provider under the name that its addresses on this site have.
    pub fn provider(mut self, name: impl Into<String>, sign_in: SignIn) -> Self {
        self.providers.insert(name.into(), sign_in);
        self
    }

    /// Sets the clock. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The flow.
    pub fn build(self) -> Flow {
        Flow { providers: Arc::new(self.providers), records: self.records, clock: self.clock }
    }
}

impl Flow {
    /// A flow over this store, which all processes of a site share.
    pub fn builder(records: Arc<dyn RecordStore>) -> FlowBuilder {
        FlowBuilder { providers: BTreeMap::new(), records, clock: Clock::system() }
    }

    /// The names of its providers.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.providers.keys().map(String::as_str)
    }

    /// Begins a sign-in at a provider.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a provider of another name; [`ErrorKind::InvalidRequest`] for a path to go on to that
    /// leads, or could lead, to another site.
    pub async fn begin(&self, provider: &str, start: Start, request: SignInRequest) -> Result<Sent> {
        let return_to = own_path(start.return_to)?;
        let Begun { url, pending, .. } = self.provider(provider)?.begin(request).await?;
        let (binding, now) = (opaque::token()?, self.clock.now());
        let stored = Stored {
            pending: pending.to_stored()?.expose().clone(),
            provider: provider.to_owned(),
            binding: hashed(&[BINDING, binding.expose()]),
            return_to,
            link_to: start.link_to.map(|user| user.as_str().to_owned()),
        };
        let value = serde_json::to_vec(&stored).map(Secret::new);
        let value = value.map_err(|_| Error::invalid_request("the sign-in cannot be stored"))?;
        let draft = Draft { owner: None, expires_at: pending.expires_at(), value };
        let id = record_of(&start.tenant, pending.state());
        if self.records.put(&id, 0, &draft, now).await?.is_none() {
            return Err(Error::new(ErrorKind::Unexpected, Effect::NotSent, "a state was invented twice"));
        }
        let life = pending.expires_at().duration_since(now).unsigned_abs();
        let cookie = Secret::new(format!("{}.{}", URL_SAFE_NO_PAD.encode(start.tenant), binding.expose()));
        let set_cookie = cookies::set(&cookie_of(pending.state()), cookie.expose(), Some(life))?;
        Ok(Sent { url, set_cookie })
    }

    /// Ends a sign-in. `provider` is the name of the one whose address was called, `answer` the query (or the form) that
    /// it was called with, `headers` those of the browser's request.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] with the code `state_unknown` for an answer to no flow of this browser, or to one that
    /// is over or was answered; `provider_mismatch` for one that came to another provider's address. Else as
    /// [`SignIn::complete`].
    pub async fn complete(&self, provider: &str, answer: &str, headers: &HeaderMap) -> Result<Finished> {
        let sign_in = self.provider(provider)?;
        let state = Callback::parse(answer)?.state().clone();
        let name = cookie_of(&state);
        let cookie = cookies::find(headers, &name)?.ok_or_else(unknown)?;
        let (tenant, binding) = cookie.split_once('.').ok_or_else(unknown)?;
        let id = record_of(&decoded(tenant).ok_or_else(unknown)?, &state);
        let now = self.clock.now();
        // Looked at first: whoever has the state and not the cookie must not use the flow up.
        let record = self.records.get(&id, now).await?.ok_or_else(unknown)?;
        let mut stored = read(&record.draft.value)?;
        if !Secret::new(hashed(&[BINDING, binding])).ct_eq(&stored.binding) {
            return Err(unknown());
        }
        if stored.provider != provider {
            return Err(Error::invalid_request("the answer came to the address of another provider")
                .with_code("provider_mismatch")
                .with_hint("somebody may be mixing providers up; let the user begin again"));
        }
        self.records.take(&id, now).await?.ok_or_else(unknown)?;
        let pending = PendingSignIn::from_stored(&std::mem::take(&mut stored.pending).into())?;
        let signed_in = sign_in.complete(pending, answer).await?;
        let proof = stored.link_to.take().map(|user| ProofOfControl::new(&id.tenant, user));
        Ok(Finished {
            signed_in,
            return_to: std::mem::take(&mut stored.return_to),
            proof,
            clear_cookie: cookies::forget(&name)?,
            tenant: id.tenant,
        })
    }

    fn provider(&self, name: &str) -> Result<&SignIn> {
        self.providers.get(name).ok_or_else(|| {
            let names = self.providers().collect::<Vec<_>>().join(", ");
            Error::new(ErrorKind::NotFound, Effect::NotSent, "there is no sign-in provider of this name")
                .with_hint(format!("there are: {names}"))
        })
    }
}

fn record_of(tenant: &str, state: &SecretString) -> RecordId {
    RecordId::new(tenant, KIND, hashed(&[KIND, state.expose()]))
}

/// One for each flow, so that two tabs do not disturb each other.
fn cookie_of(state: &SecretString) -> String {
    let name: String = hashed(&[KIND, state.expose()]).chars().take(16).collect();
    format!("__Host-signin-{name}")
}

fn read(value: &Secret<Vec<u8>>) -> Result<Stored> {
    serde_json::from_slice(value.expose()).map_err(|_| {
        Error::new(ErrorKind::Decode, Effect::NotSent, "the stored sign-in cannot be read")
            .with_hint("let the user begin again")
    })
}

fn unknown() -> Error {
    Error::invalid_request("the answer belongs to no sign-in of this browser")
        .with_code("state_unknown")
        .with_hint("it may be forged, over, or answered already; let the user begin again")
}

/// A path of this site. Browsers take `\` for `/` and leave tabs and line ends out, so that neither may be in it
/// (<https://url.spec.whatwg.org/#concept-basic-url-parser>); what begins with two slashes names another host.
fn own_path(path: String) -> Result<String> {
    let leads_elsewhere = !path.starts_with('/')
        || path.starts_with("//")
        || path.len() > 2048
        || path.bytes().any(|b| b == b'\\' || b <= b' ' || b == 0x7f);
    if leads_elsewhere {
        return Err(Error::invalid_request("the address to go on to is no path of this site")
            .with_code("return_to")
            .with_hint("give a path that begins with one `/`, such as `/inbox`"));
    }
    Ok(path)
}

fn decoded(tenant: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(tenant).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_browser_carries_is_not_printed() {
        let sent = Sent {
            url: "https://id.example/page?state=hunter2&nonce=hunter2".to_owned(),
            set_cookie: HeaderValue::from_static("__Host-signin-1=hunter2"),
        };
        assert_eq!(format!("{sent:?}"), "Sent { page: \"https://id.example/page\", .. }");
    }

    #[test]
    fn the_browser_goes_on_to_this_site_alone() {
        for good in ["/", "/inbox", "/a/b?c=d&e=/f#g", "/%2f%2fevil.example", "/a//b", "/@evil.example"] {
            assert_eq!(own_path(good.to_owned()).unwrap(), good);
        }
        let long = format!("/{}", "a".repeat(2048));
        for bad in [
            "",
            "inbox",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/a\r\nSet-Cookie: x=1",
            "javascript:alert(1)",
            " /inbox",
            "/a b",
            "http:/evil.example",
            &long,
        ] {
            let error = own_path(bad.to_owned()).unwrap_err();
            assert_eq!(error.code(), Some("return_to"), "{bad:?}");
        }
    }
}
