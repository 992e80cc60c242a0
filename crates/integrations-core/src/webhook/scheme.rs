//! A signature scheme as data: where the signature stands, how it is written, which text it covers, when it was made.

use std::borrow::Cow;
use std::time::Duration;

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};

use super::place::View;
use super::{Incoming, KeyRing, Place, Trust, Verified, WebhookError, encoding};

/// More signatures than this in one request are an attack on our time.
const MAX_SIGNATURES: usize = 32;

/// How the bytes of a signature are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// Hexadecimal digits of either case.
    Hex,
    /// RFC 4648 section 4, with or without padding.
    Base64,
    /// RFC 4648 section 5, with or without padding.
    Base64Url,
}

impl Encoding {
    pub(super) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => encoding::from_hex(text),
            Self::Base64 => encoding::from_base64(text),
            Self::Base64Url => encoding::from_base64_url(text),
        }
    }

    pub(super) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => encoding::to_hex(bytes),
            Self::Base64 => encoding::to_base64(bytes),
            Self::Base64Url => encoding::to_base64_url(bytes),
        }
    }
}

/// How a value holds its signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Grammar {
    /// The value is the signature.
    Plain,
    /// This text, then the signature: `sha256=…`.
    Prefixed(&'static str),
    /// The same, for a vendor that sends it with and without.
    MaybePrefixed(&'static str),
    /// A list of named items: `t=…,v1=…,v1=…`, or `v1,… v1,…`. Items of another name, such as an unknown version,
    /// are passed over.
    List {
        /// What stands between two items.
        separator: char,
        /// What stands between an item's name and its value.
        assign: char,
        /// The name of the signatures; without one all items are signatures.
        name: Option<&'static str>,
    },
    /// The signature, this character, and the signed text ([`Token::Rest`]).
    Joined(char),
}

/// A piece of the signed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Token {
    /// This text.
    Text(&'static str),
    /// The delivery's id.
    Id,
    /// The time of signing, exactly as it was sent.
    Timestamp,
    /// The body as it came.
    Body,
    /// The body's SHA-256 in lower-case hexadecimal digits.
    BodySha256,
    /// The body's CRC-32 (IEEE) as a decimal number. It does not bind the signature to the body, since other bodies have
    /// the same one: such a delivery is [`Trust::Authenticated`] only.
    BodyCrc32,
    /// The address with scheme, host and query, as the sender sees it.
    Url,
    /// The same, with these texts replaced (`%3A` by `:`).
    UrlReplacing(&'static [(&'static str, &'static str)]),
    /// The method in capitals.
    Method,
    /// The path with the query.
    Path,
    /// The text at a place of the JSON body.
    Json(&'static str),
    /// The same, and nothing when it is not there.
    JsonOrEmpty(&'static str),
    /// `name`, a line end, the text at `/name` of the JSON body, a line end; nothing when it is not there.
    JsonLine(&'static str),
    /// A field of the form body.
    Form(&'static str),
    /// A value that the endpoint was configured with ([`KeyRing::with_param`]), such as PayPal's webhook id.
    Param(&'static str),
    /// What [`Grammar::Joined`] leaves after the signature.
    Rest,
}

/// The signed text.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Signed {
    /// Always the same pieces.
    Always(&'static [Token]),
    /// The pieces depend on the value at a place; another value than these is refused.
    By(Place, &'static [(&'static str, &'static [Token])]),
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// RFC 3339.
    Rfc3339,
}

/// Where the time of signing stands, and how far it may be from ours, before or after.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    place: Place,
    unit: Unit,
    tolerance: Duration,
}

impl Stamp {
    /// What nearly all vendors recommend.
    pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

    /// Seconds since 1970 at this place, and a tolerance of 300 s.
    pub const fn seconds(place: Place) -> Self {
        Self::new(place, Unit::Seconds)
    }

    /// A time at this place, and a tolerance of 300 s.
    pub const fn new(place: Place, unit: Unit) -> Self {
        Self { place, unit, tolerance: Self::DEFAULT_TOLERANCE }
    }

    /// Sets how far the time may be from ours.
    #[must_use]
    pub const fn tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }
}

/// A signature scheme.
#[derive(Debug, Clone, Copy)]
pub struct Scheme {
    signature: Place,
    grammar: Grammar,
    encoding: Encoding,
    signed: Signed,
    id: Option<Place>,
    stamp: Option<Stamp>,
    covers_all_that_is_read: bool,
}

impl Scheme {
    /// The signature at this place, plain and hexadecimal, over these pieces.
    pub const fn new(signature: Place, signed: &'static [Token]) -> Self {
        Self {
            signature,
            grammar: Grammar::Plain,
            encoding: Encoding::Hex,
            signed: Signed::Always(signed),
            id: None,
            stamp: None,
            covers_all_that_is_read: false,
        }
    }

    /// Sets how the value holds its signatures.
    #[must_use]
    pub const fn grammar(mut self, grammar: Grammar) -> Self {
        self.grammar = grammar;
        self
    }

    /// Sets how a signature is written.
    #[must_use]
    pub const fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Sets the signed text, where it is not always the same pieces.
    #[must_use]
    pub const fn signed(mut self, signed: Signed) -> Self {
        self.signed = signed;
        self
    }

    /// Sets where the delivery's id stands.
    #[must_use]
    pub const fn id(mut self, place: Place) -> Self {
        self.id = Some(place);
        self
    }

    /// Sets where the time of signing stands. It should be a piece of the signed text: otherwise it proves nothing.
    #[must_use]
    pub const fn stamp(mut self, stamp: Stamp) -> Self {
        self.stamp = Some(stamp);
        self
    }

    /// Says that [`Webhook::events`](super::Webhook::events) reads nothing but what is signed, though that is not the
    /// whole body. Without this, such a delivery is [`Trust::Authenticated`] only.
    #[must_use]
    pub const fn covers_all_that_is_read(mut self) -> Self {
        self.covers_all_that_is_read = true;
        self
    }

    /// What of a request matters for its verification.
    pub(super) fn read<'a>(
        &self,
        request: &Incoming<'a>,
        keys: &KeyRing,
    ) -> Result<Reading<'a>, WebhookError> {
        let view = View::new(request);
        let value = view.text(self.signature)?;
        let tokens = self.tokens(&view)?;
        let at = |place: Place| match place {
            Place::Item(name) => self.item(&value, name).map(|text| Cow::Owned(text.to_owned())),
            place => view.text(place),
        };
        let id = self.id.map(at).transpose()?;
        let stamp = match self.stamp {
            None => None,
            Some(stamp) => {
                let text = at(stamp.place)?;
                let time =
                    parse_time(stamp.unit, &text).ok_or(WebhookError::Malformed(stamp.place.name()))?;
                Some((text, time))
            }
        };
        let mut parts = Parts {
            view: &view,
            keys,
            value: &value,
            grammar: self.grammar,
            id: id.as_deref(),
            stamp: stamp.as_ref().map(|(text, _)| &**text),
        };
        let message = parts.join(tokens)?;
        let signatures = self.signatures(&value)?;
        Ok(Reading {
            message,
            signatures,
            id,
            signed_at: stamp.map(|(_, time)| time),
            trust: self.trust(tokens),
        })
    }

    /// The last step, once a key was found: the time window.
    pub(super) fn accept<'a>(
        &self,
        reading: Reading<'a>,
        request: &Incoming<'a>,
        matched: &str,
    ) -> Result<Verified<'a>, WebhookError> {
        if let (Some(stamp), Some(time)) = (self.stamp, reading.signed_at) {
            check_window(time, request.received, stamp.tolerance)?;
        }
        let mut verified = Verified::new(request, reading.trust, matched);
        verified.id = reading.id;
        verified.signed_at = reading.signed_at;
        Ok(verified)
    }

    fn tokens(&self, view: &View<'_>) -> Result<&'static [Token], WebhookError> {
        match self.signed {
            Signed::Always(tokens) => Ok(tokens),
            Signed::By(place, cases) => {
                let value = view.text(place)?;
                let case = cases.iter().find(|(name, _)| *name == value);
                case.map(|(_, tokens)| *tokens).ok_or(WebhookError::Malformed(place.name()))
            }
        }
    }

    fn trust(&self, tokens: &[Token]) -> Trust {
        let is_body = |token: &Token| matches!(token, Token::Body | Token::BodySha256);
        if self.covers_all_that_is_read || tokens.iter().any(is_body) {
            Trust::Signed
        } else {
            Trust::Authenticated
        }
    }

    /// The signatures in a value. Of a list, what cannot be decoded is passed over.
    fn signatures(&self, value: &str) -> Result<Vec<Vec<u8>>, WebhookError> {
        let malformed = WebhookError::Malformed(self.signature.name());
        let one = |text: &str| match self.encoding.decode(text) {
            Some(bytes) if !bytes.is_empty() => Ok(vec![bytes]),
            _ => Err(malformed.clone()),
        };
        match self.grammar {
            Grammar::Plain => one(value),
            Grammar::Prefixed(prefix) => one(value.strip_prefix(prefix).ok_or(malformed.clone())?),
            Grammar::MaybePrefixed(prefix) => one(value.strip_prefix(prefix).unwrap_or(value)),
            Grammar::Joined(at) => one(value.split_once(at).ok_or(malformed.clone())?.0),
            Grammar::List { separator, assign, name } => {
                let found: Vec<_> = items(value, separator, assign)
                    .filter(|(key, _)| name.is_none_or(|name| name == *key))
                    .filter_map(|(_, text)| self.encoding.decode(text))
                    .filter(|bytes| !bytes.is_empty())
                    .take(MAX_SIGNATURES + 1)
                    .collect();
                if found.len() > MAX_SIGNATURES { Err(malformed) } else { Ok(found) }
            }
        }
    }

    /// The one item of this name.
    fn item<'v>(&self, value: &'v str, name: &'static str) -> Result<&'v str, WebhookError> {
        let Grammar::List { separator, assign, .. } = self.grammar else {
            return Err(WebhookError::Malformed(name));
        };
        let mut found = items(value, separator, assign).filter(|(key, _)| *key == name);
        match (found.next(), found.next()) {
            (Some((_, text)), None) => Ok(text),
            (None, _) => Err(WebhookError::MissingHeader(name)),
            _ => Err(WebhookError::Malformed(name)),
        }
    }
}

/// What was read of a request.
pub(super) struct Reading<'a> {
    pub(super) message: Vec<u8>,
    pub(super) signatures: Vec<Vec<u8>>,
    id: Option<Cow<'a, str>>,
    signed_at: Option<Timestamp>,
    trust: Trust,
}

fn items(value: &str, separator: char, assign: char) -> impl Iterator<Item = (&str, &str)> {
    value.split(separator).filter_map(move |item| item.trim_matches(' ').split_once(assign))
}

fn parse_time(unit: Unit, text: &str) -> Option<Timestamp> {
    let number = || text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten();
    match unit {
        Unit::Seconds => Timestamp::from_second(number()?).ok(),
        Unit::Millis => Timestamp::from_millisecond(number()?).ok(),
        Unit::Rfc3339 => text.parse().ok(),
    }
}

/// Both sides: a stamp in the future would allow a replay for as long again.
pub(super) fn check_window(
    signed: Timestamp,
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), WebhookError> {
    let age = now.duration_since(signed);
    let distance = age.unsigned_abs();
    if distance <= tolerance {
        Ok(())
    } else if age > SignedDuration::ZERO {
        Err(WebhookError::Stale(distance))
    } else {
        Err(WebhookError::Early(distance))
    }
}

/// Makes the signed text.
struct Parts<'r, 'a> {
    view: &'r View<'a>,
    keys: &'r KeyRing,
    value: &'r str,
    grammar: Grammar,
    id: Option<&'r str>,
    stamp: Option<&'r str>,
}

impl Parts<'_, '_> {
    fn join(&mut self, tokens: &[Token]) -> Result<Vec<u8>, WebhookError> {
        let mut message = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            if let (Token::Id, Some(Token::Text(separator))) = (token, tokens.get(index + 1)) {
                self.refuse_ambiguous_id(separator)?;
            }
            self.append(*token, &mut message)?;
        }
        Ok(message)
    }

    /// An id that holds the separator could borrow bytes from its neighbour.
    fn refuse_ambiguous_id(&self, separator: &str) -> Result<(), WebhookError> {
        if self.id.is_some_and(|id| id.contains(separator)) {
            Err(WebhookError::Malformed("the delivery's id"))
        } else {
            Ok(())
        }
    }

    fn append(&self, token: Token, message: &mut Vec<u8>) -> Result<(), WebhookError> {
        let request = &self.view.request;
        let mut text = |text: &str| message.extend_from_slice(text.as_bytes());
        match token {
            Token::Text(fixed) => text(fixed),
            Token::Id => text(self.id.ok_or_else(|| unset("id"))?),
            Token::Timestamp => text(self.stamp.ok_or_else(|| unset("time"))?),
            Token::Body => message.extend_from_slice(request.body),
            Token::BodySha256 => {
                text(&encoding::to_hex(digest::digest(&digest::SHA256, request.body).as_ref()));
            }
            Token::BodyCrc32 => text(&encoding::crc32(request.body).to_string()),
            Token::Url => text(&full_url(request)?),
            Token::UrlReplacing(table) => {
                let url = full_url(request)?;
                text(&table.iter().fold(url, |url, (from, to)| url.replace(from, to)));
            }
            Token::Method => text(request.method.as_str()),
            Token::Path => text(request.uri.path_and_query().map_or("/", |path| path.as_str())),
            Token::Json(pointer) => text(&self.view.text(Place::Json(pointer))?),
            Token::JsonOrEmpty(pointer) => text(&self.view.json_text(pointer)?.unwrap_or_default()),
            Token::JsonLine(name) => {
                if let Some(value) = self.view.json_field(name)? {
                    text(&format!("{name}\n{value}\n"));
                }
            }
            Token::Form(name) => {
                let value = self.view.bytes(Place::Form(name))?;
                message.extend_from_slice(&value.ok_or(WebhookError::MissingHeader(name))?);
            }
            Token::Param(name) => text(self.keys.param(name)?),
            Token::Rest => text(self.rest()?),
        }
        Ok(())
    }

    fn rest(&self) -> Result<&str, WebhookError> {
        match self.grammar {
            Grammar::Joined(at) => self.value.split_once(at).map(|(_, rest)| rest),
            _ => None,
        }
        .ok_or_else(|| unset("rest"))
    }
}

fn unset(what: &str) -> WebhookError {
    WebhookError::Config(format!("the scheme signs a delivery's {what} and does not say where it stands"))
}

/// The whole address; some vendors sign it.
pub(super) fn full_url(request: &Incoming<'_>) -> Result<String, WebhookError> {
    match (request.uri.scheme(), request.uri.authority()) {
        (Some(_), Some(_)) => Ok(request.uri.to_string()),
        _ => Err(WebhookError::Config(
            "this vendor signs the address it calls: configure the public base address, so that the request has scheme \
             and host as the sender sees them"
                .to_owned(),
        )),
    }
}
