//! Answers to a vendor that asks whether an address is meant to receive, before it sends there.
//!
//! A [`Question`] comes before any delivery and is answered from the request alone, or under a secret of the ring. A
//! [`Challenge`] comes as a delivery: it is answered from a [`Verified`] one and so cannot be answered unverified.
//!
//! ```
//! use http::{HeaderMap, Method, Uri};
//! use integrations_core::webhook::handshake::Question;
//! use integrations_core::webhook::{Decoding, Incoming, Key, KeyRing};
//!
//! let ring = KeyRing::new(Key::secret("app", "secret".into(), Decoding::Utf8)?).with_verify_token("our-word".into());
//! let asked = Incoming {
//!     method: &Method::GET,
//!     uri: &Uri::from_static("/hook?hub.mode=subscribe&hub.verify_token=our-word&hub.challenge=1158201444"),
//!     headers: &HeaderMap::new(),
//!     body: b"",
//!     received: "2026-11-20T00:00:00Z".parse()?,
//! };
//! let answer = Question::META.answer(&asked, &ring)?.expect("it is a question");
//! assert_eq!(answer.body().as_ref(), b"1158201444");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use serde_json::{Map, Value};

use super::place::View;
use super::{Encoding, Hash, Incoming, KeyRing, Place, Verified, WebhookError};

/// More than this is no challenge of any vendor.
const MAX_CHALLENGE: usize = 2048;

type Answer = Result<Option<Response<Bytes>>, WebhookError>;

/// A request that asks, and the form of the answer.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Question {
    /// `GET` with a challenge to repeat as text, if it knows the verify token, or speaks of what we asked for.
    Echo {
        /// The parameter to repeat.
        challenge: &'static str,
        /// The parameter that must be the ring's verify token.
        token: Option<&'static str>, // tidy: not a secret, the parameter's name
        /// The parameter that must be what the endpoint was configured with under the same name.
        param: Option<&'static str>,
    },
    /// `GET` with a challenge to sign under the first secret of the ring.
    Sign {
        /// The parameter to sign.
        challenge: &'static str,
        /// Which challenges are signed.
        shape: Shape,
        /// The hash of the signature.
        hash: Hash,
        /// How the signature is written.
        encoding: Encoding,
        /// The answer.
        answer: Form,
    },
    /// `POST` with a parameter to repeat as text (Microsoft Graph).
    Repeat {
        /// The parameter to repeat.
        parameter: &'static str,
    },
    /// CloudEvents' `OPTIONS`: consent to a sender, by its origin.
    CloudEvents {
        /// The origins that may send.
        origins: &'static [&'static str],
    },
    /// `HEAD`: whether anybody is there (Trello, Mandrill).
    Head,
}

/// Which challenges are signed. Anybody can ask, and the key is that of the deliveries: a text that could be a delivery
/// must not be signed, or whoever asks for it has a forged one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// Up to 256 letters, digits and `+ / = _ - .`: never JSON with a brace.
    Word,
    /// 20 to 32 hexadecimal digits in lower case.
    ShortHex,
}

impl Shape {
    fn holds(self, text: &str) -> bool {
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        match self {
            Self::Word => {
                text.len() <= 256 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=_-.".contains(&b))
            }
            Self::ShortHex => (20..=32).contains(&text.len()) && text.bytes().all(is_hex),
        }
    }
}

/// How a signed challenge is answered.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Form {
    /// JSON: the field of the signature, what stands before it, and the field of the challenge, if it is repeated.
    Json {
        /// The field that holds the signature.
        signature: &'static str,
        /// What stands before the signature.
        prefix: &'static str,
        /// The field that repeats the challenge.
        challenge: Option<&'static str>,
    },
    /// Text: a configured value, `|`, and the signature (Braintree).
    Text {
        /// The name of the configured value.
        param: &'static str,
    },
}

impl Question {
    /// Meta: `hub.challenge`, under the verify token.
    pub const META: Self =
        Self::Echo { challenge: "hub.challenge", token: Some("hub.verify_token"), param: None };
    /// WebSub, as YouTube speaks it: `hub.challenge`, for the topic that was asked for (`hub.topic`).
    pub const WEB_SUB: Self =
        Self::Echo { challenge: "hub.challenge", token: None, param: Some("hub.topic") };
    /// X: `crc_token`.
    pub const X: Self = Self::Sign {
        challenge: "crc_token",
        shape: Shape::Word,
        hash: Hash::Sha256,
        encoding: Encoding::Base64,
        answer: Form::Json { signature: "response_token", prefix: "sha256=", challenge: None },
    };
    /// LinkedIn: `challengeCode`.
    pub const LINKEDIN: Self = Self::Sign {
        challenge: "challengeCode",
        shape: Shape::Word,
        hash: Hash::Sha256,
        encoding: Encoding::Hex,
        answer: Form::Json { signature: "challengeResponse", prefix: "", challenge: Some("challengeCode") },
    };
    /// Braintree: `bt_challenge`; the endpoint's `public_key` is answered with.
    pub const BRAINTREE: Self = Self::Sign {
        challenge: "bt_challenge",
        shape: Shape::ShortHex,
        hash: Hash::Sha1,
        encoding: Encoding::Hex,
        answer: Form::Text { param: "public_key" },
    };
    /// Microsoft Graph: `validationToken`.
    pub const GRAPH: Self = Self::Repeat { parameter: "validationToken" };

    /// The answer, or `None` when the request is not this question.
    pub fn answer(&self, request: &Incoming<'_>, keys: &KeyRing) -> Answer {
        let view = View::new(request);
        match *self {
            Self::Echo { challenge, token, param } => {
                let Some(text) = asked(&view, &Method::GET, challenge)? else { return Ok(None) };
                check_token(&view, token, keys)?;
                check_param(&view, param, keys)?;
                Ok(Some(plain(text)))
            }
            Self::Sign { challenge, shape, hash, encoding, answer } => {
                let Some(text) = asked(&view, &Method::GET, challenge)? else { return Ok(None) };
                if !shape.holds(&text) {
                    return Err(WebhookError::Malformed(challenge));
                }
                signed(&text, hash, encoding, answer, keys).map(Some)
            }
            Self::Repeat { parameter } => Ok(asked(&view, &Method::POST, parameter)?.map(plain)),
            Self::CloudEvents { origins } => consent(&view, origins),
            Self::Head => Ok((request.method == Method::HEAD).then(|| respond(StatusCode::OK, None, ""))),
        }
    }
}

fn asked(view: &View<'_>, method: &Method, parameter: &'static str) -> Result<Option<String>, WebhookError> {
    if view.request.method != method {
        return Ok(None);
    }
    match view.optional(Place::Query(parameter))? {
        Some(text) if text.is_empty() || text.len() > MAX_CHALLENGE => {
            Err(WebhookError::Malformed(parameter))
        }
        text => Ok(text.map(std::borrow::Cow::into_owned)),
    }
}

fn check_token(view: &View<'_>, name: Option<&'static str>, keys: &KeyRing) -> Result<(), WebhookError> {
    let Some(name) = name else { return Ok(()) };
    if keys.is_verify_token(&view.text(Place::Query(name))?)? { Ok(()) } else { Err(WebhookError::NoMatch) }
}

fn check_param(view: &View<'_>, name: Option<&'static str>, keys: &KeyRing) -> Result<(), WebhookError> {
    let Some(name) = name else { return Ok(()) };
    if view.text(Place::Query(name))? == keys.param(name)? { Ok(()) } else { Err(WebhookError::NoMatch) }
}

fn signed(
    challenge: &str,
    hash: Hash,
    encoding: Encoding,
    form: Form,
    keys: &KeyRing,
) -> Result<Response<Bytes>, WebhookError> {
    let signature = sign(challenge, hash, encoding, keys)?;
    Ok(match form {
        Form::Text { param } => plain(format!("{}|{signature}", keys.param(param)?)),
        Form::Json { signature: field, prefix, challenge: repeated } => {
            let repeated = repeated.map(|name| (name.to_owned(), challenge.into()));
            let signature = (field.to_owned(), format!("{prefix}{signature}").into());
            json(repeated.into_iter().chain([signature]).collect())
        }
    })
}

/// Under the first secret: that is the present one, and a vendor asks for the present one.
fn sign(text: &str, hash: Hash, encoding: Encoding, keys: &KeyRing) -> Result<String, WebhookError> {
    let (_, secret) = keys.secrets().next().ok_or_else(|| {
        WebhookError::Config(
            "the challenge is signed under a secret, and the ring of keys holds none".to_owned(),
        )
    })?;
    Ok(encoding.encode(hash.mac(secret, text.as_bytes()).as_ref()))
}

/// CloudEvents, HTTP 1.1 Web Hooks, section 4: the status alone is no consent, the header is.
fn consent(view: &View<'_>, origins: &[&'static str]) -> Answer {
    if view.request.method != Method::OPTIONS {
        return Ok(None);
    }
    let origin = view.text(Place::Header("webhook-request-origin"))?;
    let known = origins.iter().find(|known| known.eq_ignore_ascii_case(&origin));
    let known = known.ok_or(WebhookError::NoMatch)?;
    let mut answer = respond(StatusCode::OK, None, "");
    answer.headers_mut().insert("webhook-allowed-origin", header::HeaderValue::from_static(known));
    if view.optional(Place::Header("webhook-request-rate"))?.is_some() {
        answer.headers_mut().insert("webhook-allowed-rate", header::HeaderValue::from_static("*"));
    }
    Ok(Some(answer))
}

/// A delivery that asks, and the form of the answer.
#[derive(Debug, Clone, Copy)]
pub struct Challenge {
    when: (&'static str, &'static str),
    reply: Reply,
}

/// How a [`Challenge`] is answered.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Reply {
    /// The text at this place of the JSON body, as plain text.
    Text(&'static str),
    /// JSON with this field: the text at this place of the JSON body.
    Json(&'static str, &'static str),
    /// Zoom's: the text at this place, repeated in one field, and its HMAC-SHA256 under the first secret in another.
    Signed {
        /// The place of the text.
        place: &'static str,
        /// The field that repeats it.
        repeated: &'static str,
        /// The field that holds its signature.
        signature: &'static str,
    },
    /// These very bytes of JSON.
    Fixed(&'static str),
    /// 204.
    NoContent,
}

impl Challenge {
    /// Slack's `url_verification`.
    pub const SLACK: Self = Self::new(("/type", "url_verification"), Reply::Text("/challenge"));
    /// Zoom's `endpoint.url_validation`.
    pub const ZOOM: Self = Self::new(
        ("/event", "endpoint.url_validation"),
        Reply::Signed { place: "/payload/plainToken", repeated: "plainToken", signature: "encryptedToken" },
    );
    /// Azure Event Grid's `SubscriptionValidationEvent`.
    pub const EVENT_GRID: Self = Self::new(
        ("/0/eventType", "Microsoft.EventGrid.SubscriptionValidationEvent"),
        Reply::Json("validationResponse", "/0/data/validationCode"),
    );
    /// Discord's `PING` of interactions.
    pub const DISCORD_INTERACTION: Self = Self::new(("/type", "1"), Reply::Fixed(r#"{"type":1}"#));
    /// Discord's `PING` of webhook events.
    pub const DISCORD_EVENT: Self = Self::new(("/type", "0"), Reply::NoContent);

    /// A delivery whose JSON body has this text at this place.
    pub const fn new(when: (&'static str, &'static str), reply: Reply) -> Self {
        Self { when, reply }
    }

    /// The answer, or `None` when the delivery is not this challenge.
    pub fn answer(&self, delivery: &Verified<'_>, keys: &KeyRing) -> Answer {
        let request = Incoming {
            method: &Method::POST,
            uri: delivery.uri(),
            headers: delivery.headers(),
            body: delivery.body(),
            received: delivery.received(),
        };
        let view = View::new(&request);
        let (place, value) = self.when;
        // A body that is no JSON, or has something else there, is simply another delivery.
        if !matches!(view.json_text(place), Ok(Some(text)) if text == value) {
            return Ok(None);
        }
        self.reply.answer(&view, keys).map(Some)
    }
}

impl Reply {
    fn answer(self, view: &View<'_>, keys: &KeyRing) -> Result<Response<Bytes>, WebhookError> {
        let text = |pointer: &'static str| view.text(Place::Json(pointer)).map(std::borrow::Cow::into_owned);
        Ok(match self {
            Self::NoContent => respond(StatusCode::NO_CONTENT, Some("application/json"), ""),
            Self::Fixed(body) => respond(StatusCode::OK, Some("application/json"), body),
            Self::Text(pointer) => plain(text(pointer)?),
            Self::Json(field, pointer) => {
                json([(field.to_owned(), text(pointer)?.into())].into_iter().collect())
            }
            Self::Signed { place, repeated, signature } => {
                let challenge = text(place)?;
                let mac = sign(&challenge, Hash::Sha256, Encoding::Hex, keys)?;
                json(
                    [(repeated.to_owned(), challenge.into()), (signature.to_owned(), mac.into())]
                        .into_iter()
                        .collect(),
                )
            }
        })
    }
}

/// The challenge is somebody else's text: no browser may take it for anything but text.
fn plain(text: String) -> Response<Bytes> {
    respond(StatusCode::OK, Some("text/plain; charset=utf-8"), text)
}

fn json(fields: Map<String, Value>) -> Response<Bytes> {
    respond(StatusCode::OK, Some("application/json"), Value::Object(fields).to_string())
}

fn respond(status: StatusCode, kind: Option<&'static str>, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    if let Some(kind) = kind {
        answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        answer
            .headers_mut()
            .insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    }
    answer
}
