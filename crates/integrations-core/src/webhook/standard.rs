//! Standard Webhooks: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use aws_lc_rs::signature::ED25519;

use super::keys::need;
use super::{
    Encoding, Grammar, Hash, Incoming, KeyRing, Kit, Place, Scheme, Stamp, Token, Verified, WebhookError,
};
use super::{asymmetric, hmac};

const SIGNED: &[Token] = &[Token::Id, Token::Text("."), Token::Timestamp, Token::Text("."), Token::Body];
const STANDARD: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];
/// What Svix, which the standard came from, calls the same headers.
const SVIX: [&str; 3] = ["svix-id", "svix-timestamp", "svix-signature"];

/// Deliveries by Standard Webhooks: `v1` (HMAC-SHA256) under the secrets of the ring
/// ([`Decoding::StandardWebhooks`](super::Decoding)) and `v1a` (Ed25519) under its public keys, with the headers
/// `webhook-*` or `svix-*`. The tolerance is 300 s.
#[derive(Debug, Clone, Copy, Default)]
pub struct StandardWebhooks;

impl Kit for StandardWebhooks {
    fn verify<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Verified<'a>, WebhookError> {
        need(keys.secrets().next().or(keys.ed25519().next()), "a shared secret or an Ed25519 public key")?;
        let names = family(request);
        let v1 = scheme(names, "v1").read(request, keys)?;
        let v1a = scheme(names, "v1a").read(request, keys)?;
        let by_secret = hmac::matching(Hash::Sha256, keys, &v1.message, &v1.signatures);
        let by_public = asymmetric::matching(&ED25519, keys.ed25519(), &v1a.message, &v1a.signatures);
        let matched = by_secret.or(by_public).ok_or(WebhookError::NoMatch)?;
        scheme(names, "v1").accept(v1, request, matched)
    }
}

/// One family for all three: a mixture is nobody's.
fn family(request: &Incoming<'_>) -> [&'static str; 3] {
    let is_svix = SVIX.iter().any(|name| request.headers.contains_key(*name));
    let is_standard = STANDARD.iter().any(|name| request.headers.contains_key(*name));
    if is_svix && !is_standard { SVIX } else { STANDARD }
}

fn scheme([id, stamp, signature]: [&'static str; 3], version: &'static str) -> Scheme {
    Scheme::new(Place::Header(signature), SIGNED)
        .grammar(Grammar::List { separator: ' ', assign: ',', name: Some(version) })
        .encoding(Encoding::Base64)
        .id(Place::Header(id))
        .stamp(Stamp::seconds(Place::Header(stamp)))
}
