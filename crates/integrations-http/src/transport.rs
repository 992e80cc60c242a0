//! One exchange, with its redirects.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RANGE,
};
use http::{Method, Request, Response, Uri};
use integrations_core::{
    Body, Exchange, Payload, Reach, Result, Transport, TransportError, TransportFailure,
};
use url::Url;

use crate::answer::{self, Limits};
use crate::builder::HttpTransportBuilder;
use crate::egress::EgressPolicy;
use crate::{failure, redirect, upload};

/// The [`Transport`] over reqwest. Cheap to clone; clones share one connection pool.
///
/// GET and HEAD without a body follow up to five redirects. To another origin go only `accept`,
/// `accept-language`, `user-agent`, `range` and `if-*`; a redirect from https to http is
/// [`TransportFailure::Forbidden`], and so is one to another origin where the operation says
/// [`keeps_origin`](integrations_core::Op::keeps_origin). Other methods get the 3xx answer itself.
///
/// Unless the request has `accept-encoding` or `range`, gzip is asked for and undone; then at most
/// [`Op::response_limit`](integrations_core::Op::response_limit) bytes come out. An operation that streams large
/// compressed answers sets a limit to match, or sends `accept-encoding: identity`.
#[derive(Clone)]
pub struct HttpTransport {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) client: reqwest::Client,
    pub(crate) policy: Arc<EgressPolicy>,
    pub(crate) proxy_host: Option<Arc<str>>,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_body: u64,
}

impl HttpTransport {
    /// A transport with every default. [`ErrorKind::Config`](integrations_core::ErrorKind::Config) if the platform
    /// has no certificate authorities.
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// A transport to be configured.
    pub fn builder() -> HttpTransportBuilder {
        HttpTransportBuilder::default()
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").field("egress", &self.inner.policy).finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(
        &self,
        request: Request<Body>,
        exchange: Exchange,
    ) -> Result<Response<Payload>, TransportError> {
        let (parts, body) = request.into_parts();
        let mut hop = Hop::new(parts.method, &parts.uri, parts.headers)?;
        let inflate = hop.ask_for_gzip();
        let limits = Limits { on_wire: self.inner.max_body, inflated: exchange.op.response_limit };
        let bodiless = matches!(body, Body::Empty);
        if bodiless {
            hop.announce_emptiness();
        }
        let mut body = Some(body);
        for followed in 0..=redirect::MAX_HOPS {
            let sent_before = followed > 0;
            let response = self
                .inner
                .exchange(&hop, body.take().unwrap_or_default())
                .await
                .map_err(|error| if sent_before { as_sent(error) } else { error })?;
            let to =
                redirect::target(&hop.method, &hop.url, bodiless, response.status(), response.headers())?;
            let Some(to) = to else { return answer::receive(response, limits, inflate).await };
            if exchange.op.keeps_origin && hop.url.origin() != to.origin() {
                return Err(redirect::elsewhere());
            }
            hop.headers = redirect::carried(hop.headers, &hop.url, &to);
            if inflate {
                hop.headers.insert(ACCEPT_ENCODING, GZIP);
            }
            hop.url = to;
        }
        Err(redirect::too_many())
    }

    /// [`Reach::PublicOnly`] under [`EgressPolicy::public_only`], unless a proxy resolves the names.
    fn reaches(&self) -> Reach {
        let vets = self.inner.policy.is_strict() && self.inner.proxy_host.is_none();
        if vets { Reach::PublicOnly } else { Reach::Anything }
    }
}

impl Inner {
    async fn exchange(&self, hop: &Hop, body: Body) -> Result<Response<reqwest::Body>, TransportError> {
        self.check(&hop.url)?;
        let (body, fault) = upload::outgoing(body);
        let mut request = reqwest::Request::new(hop.method.clone(), hop.url.clone());
        *request.headers_mut() = hop.headers.clone();
        *request.body_mut() = body;
        match self.client.execute(request).await {
            Ok(response) => Ok(response.into()),
            Err(error) => {
                Err(fault.take().unwrap_or_else(|| failure::of_request(&error, self.connect_timeout)))
            }
        }
    }

    fn check(&self, url: &Url) -> Result<(), TransportError> {
        self.policy.check_url(url).map_err(|refused| failure::forbidden(refused, false))?;
        // The proxy's name is exempt from vetting, so no request may use it to get inside.
        let is_proxy =
            self.policy.is_strict() && url.host_str() == self.proxy_host.as_deref() && url.has_host();
        if is_proxy {
            return Err(failure::forbidden(crate::egress::Refused("the proxy itself"), false));
        }
        Ok(())
    }
}

/// The failure of a later hop: the first request has reached its service.
fn as_sent(error: TransportError) -> TransportError {
    if error.sent() {
        return error;
    }
    TransportError::new(error.failure(), true, format!("after a redirect: {error}")).with_source(error)
}

const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// Headers whose values hold no secret, besides the neutral ones. Every other value is marked sensitive: `Debug`
/// hides it, and HTTP/2 never puts it into a compression table.
const PLAIN: [HeaderName; 3] = [ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE];

/// One request on its way.
struct Hop {
    method: Method,
    url: Url,
    headers: HeaderMap,
}

impl Hop {
    fn new(method: Method, uri: &Uri, mut headers: HeaderMap) -> Result<Self, TransportError> {
        let bad = |what| TransportError::new(TransportFailure::BadRequest, false, what);
        if method == Method::CONNECT {
            return Err(bad("CONNECT is for proxies"));
        }
        let url = Url::parse(&uri.to_string()).map_err(|_| bad("the address is not an absolute URI"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("the address is neither http nor https"));
        }
        for (name, value) in &mut headers {
            if !PLAIN.contains(name) && !redirect::is_neutral(name) {
                value.set_sensitive(true);
            }
        }
        Ok(Self { method, url, headers })
    }

    /// hyper leaves the length out when there is no body; servers then may answer 411 (RFC 9110, 8.6).
    fn announce_emptiness(&mut self) {
        if matches!(self.method, Method::POST | Method::PUT | Method::PATCH) {
            self.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
    }

    /// Asks for gzip unless the caller has chosen an encoding, wants a part, or asks for the headers alone, whose
    /// length is then the plain one. Returns whether it did.
    fn ask_for_gzip(&mut self) -> bool {
        let ours = self.method != Method::HEAD
            && !self.headers.contains_key(ACCEPT_ENCODING)
            && !self.headers.contains_key(RANGE);
        if ours {
            self.headers.insert(ACCEPT_ENCODING, GZIP);
        }
        ours
    }
}
