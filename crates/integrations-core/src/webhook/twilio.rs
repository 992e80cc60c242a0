//! Twilio's signature over the address and the form: <https://www.twilio.com/docs/usage/security>.

use aws_lc_rs::digest;
use subtle::ConstantTimeEq;

use super::keys::need;
use super::place::View;
use super::scheme::full_url;
use super::{Hash, Incoming, KeyRing, Kit, Place, Trust, Verified, WebhookError, encoding, hmac};

const BODY_HASH: &str = "bodySHA256";

/// Deliveries signed over the address and the sorted fields of the form, as Twilio does: HMAC-SHA1 in base64. A body
/// that is no form is signed through `bodySHA256` in the query.
///
/// The address is tried with and without the standard port, because senders disagree on it. There is no time in the
/// scheme: a replay is stopped by the inbox alone.
#[derive(Debug, Clone, Copy)]
pub struct TwilioForm {
    header: &'static str,
}

impl TwilioForm {
    /// The signature in this header; Twilio's is `x-twilio-signature`.
    pub const fn new(header: &'static str) -> Self {
        Self { header }
    }
}

impl Kit for TwilioForm {
    fn verify<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Verified<'a>, WebhookError> {
        let view = View::new(request);
        let text = view.text(Place::Header(self.header))?;
        let signature = encoding::from_base64(&text).filter(|bytes| !bytes.is_empty());
        let signature = [signature.ok_or(WebhookError::Malformed(self.header))?];
        need(keys.secrets().next(), "the account's auth token")?;
        let fields = signed_fields(&view)?;
        let mut found = None;
        for url in spellings(&full_url(request)?, request) {
            let message = [url.as_bytes(), &fields].concat();
            found = found.or(hmac::matching(Hash::Sha1, keys, &message, &signature));
        }
        Ok(Verified::new(request, Trust::Signed, found.ok_or(WebhookError::NoMatch)?))
    }
}

/// What follows the address in the signed text.
fn signed_fields(view: &View<'_>) -> Result<Vec<u8>, WebhookError> {
    match view.optional(Place::Query(BODY_HASH))? {
        Some(expected) => check_body_hash(view, &expected).map(|()| Vec::new()),
        None => refuse_hidden_body(view).map(|()| sorted_fields(view)),
    }
}

fn check_body_hash(view: &View<'_>, expected: &str) -> Result<(), WebhookError> {
    let expected = encoding::from_hex(expected).ok_or(WebhookError::Malformed(BODY_HASH))?;
    let actual = digest::digest(&digest::SHA256, view.request.body);
    if bool::from(actual.as_ref().ct_eq(&expected)) { Ok(()) } else { Err(WebhookError::NoMatch) }
}

/// Without `bodySHA256` the signature covers a form; another content type would be read as something else.
fn refuse_hidden_body(view: &View<'_>) -> Result<(), WebhookError> {
    let kind = view.optional(Place::Header("content-type"))?.unwrap_or_default().to_ascii_lowercase();
    let is_form = kind.is_empty() || kind.starts_with("application/x-www-form-urlencoded");
    if view.request.body.is_empty() || is_form { Ok(()) } else { Err(WebhookError::MissingHeader(BODY_HASH)) }
}

/// Names by their bytes; the values of one name sorted, each once.
fn sorted_fields(view: &View<'_>) -> Vec<u8> {
    let mut pairs: Vec<_> = view.form().iter().collect();
    pairs.sort();
    pairs.dedup();
    pairs.into_iter().flat_map(|(name, value)| [&name[..], &value[..]].concat()).collect()
}

/// The address as it came, without its port, and with the standard one.
fn spellings(url: &str, request: &Incoming<'_>) -> Vec<String> {
    let mut found = vec![url.to_owned()];
    if let (Some(scheme), Some(authority)) = (request.uri.scheme_str(), request.uri.authority()) {
        let standard = if scheme == "https" { 443 } else { 80 };
        let rest = request.uri.path_and_query().map_or("/", |path| path.as_str());
        let (host, port) = (authority.host(), authority.port_u16());
        if port == Some(standard) {
            found.push(format!("{scheme}://{host}{rest}"));
        } else if port.is_none() {
            found.push(format!("{scheme}://{host}:{standard}{rest}"));
        }
    }
    found
}
