//! Vendors that prove no more than that they know a password, and those that prove nothing.

use super::keys::{need, same_text};
use super::place::View;
use super::{Incoming, KeyRing, Kit, Place, Trust, Verified, WebhookError, encoding};

/// Deliveries with a user name and a password (RFC 7617).
#[derive(Debug, Clone, Copy, Default)]
pub struct BasicAuth;

impl Kit for BasicAuth {
    fn verify<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Verified<'a>, WebhookError> {
        let value = View::new(request).text(Place::Header("authorization"))?;
        let given = after_scheme(&value, "basic").and_then(encoding::from_base64);
        let given = given.ok_or(WebhookError::Malformed("authorization"))?;
        need(keys.passwords().next(), "a user name and a password")?;
        accept(request, keys.passwords(), &[given])
    }
}

/// Deliveries that repeat a secret which we chose: a header (`X-Goog-Channel-Token`), a query parameter, a field of the
/// body (`/value/*/clientState`; then every one of them must hold it).
#[derive(Debug, Clone, Copy)]
pub struct SharedToken {
    place: Place,
    is_bearer: bool,
}

impl SharedToken {
    /// The secret stands at this place.
    pub const fn new(place: Place) -> Self {
        Self { place, is_bearer: false }
    }

    /// The secret stands in `Authorization: Bearer` (RFC 6750).
    pub const fn bearer() -> Self {
        Self { place: Place::Header("authorization"), is_bearer: true }
    }

    fn given(&self, request: &Incoming<'_>) -> Result<Vec<Vec<u8>>, WebhookError> {
        let view = View::new(request);
        let missing = WebhookError::MissingHeader(self.place.name());
        let texts = match self.place {
            Place::Json(pointer) => view.json_texts(pointer)?,
            place => vec![view.optional(place)?.map(std::borrow::Cow::into_owned)],
        };
        let texts = texts.into_iter().collect::<Option<Vec<_>>>().filter(|texts| !texts.is_empty());
        let bytes = texts.ok_or(missing)?.into_iter().map(|text| {
            if self.is_bearer {
                after_scheme(&text, "bearer").map(|token| token.as_bytes().to_vec())
            } else {
                Some(text.into_bytes())
            }
        });
        bytes.collect::<Option<_>>().ok_or(WebhookError::Malformed(self.place.name()))
    }
}

impl Kit for SharedToken {
    fn verify<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Verified<'a>, WebhookError> {
        let given = self.given(request)?;
        need(keys.secrets().next(), "the secret that the vendor repeats")?;
        accept(request, keys.secrets(), &given)
    }
}

/// Deliveries of a vendor that does not sign at all. What they say is a [`Trust::Claim`]: read it from the vendor's API
/// before using it. The ring is [`KeyRing::unsigned`], so that nobody takes this kit by mistake.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unsigned;

impl Kit for Unsigned {
    fn verify<'a>(&self, request: &Incoming<'a>, keys: &KeyRing) -> Result<Verified<'a>, WebhookError> {
        if keys.is_unsigned() {
            Ok(Verified::new(request, Trust::Claim, "none"))
        } else {
            Err(WebhookError::Config(
                "this vendor signs nothing, yet the endpoint has a key: remove it, or use the kit that checks it"
                    .to_owned(),
            ))
        }
    }
}

/// Every given value must be the same known secret.
fn accept<'a, 'k>(
    request: &Incoming<'a>,
    known: impl Iterator<Item = (&'k str, &'k [u8])>,
    given: &[Vec<u8>],
) -> Result<Verified<'a>, WebhookError> {
    let mut found = None;
    for (name, secret) in known {
        let mut equal = subtle::Choice::from(1);
        for value in given {
            equal &= same_text(secret, value);
        }
        if bool::from(equal) {
            found = found.or(Some(name));
        }
    }
    Ok(Verified::new(request, Trust::Authenticated, found.ok_or(WebhookError::NoMatch)?))
}

/// What follows the name of an authentication scheme, which is written in any case.
pub(super) fn after_scheme<'v>(value: &'v str, scheme: &str) -> Option<&'v str> {
    let (name, rest) = value.split_once(' ')?;
    name.eq_ignore_ascii_case(scheme).then_some(rest)
}
