//! What goes in and out of an issuer.

use http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Answer;

/// An application that is known to an issuer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its secret, unless it has none.
    pub secret: Option<String>, // tidy: not a secret, an invented application has it
    /// It may go without a secret where a code challenge or a refresh token that came of one vouches for it.
    pub public: bool,
    /// Where users may be sent back to.
    pub redirects: Vec<String>,
    /// What it may ask for.
    pub scopes: Vec<String>,
}

/// When a refresh gives a new refresh token and kills the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// Never: the answer has no refresh token.
    Never,
    /// At every refresh. A dead one that comes again ends all that came of the same consent (RFC 9700 section 4.14.2).
    Always,
    /// At every refresh by an application that showed no secret.
    Public,
    /// At every refresh, but the old one stays good.
    Lenient,
    /// At every refresh, which kills the access tokens given before too.
    Strict,
}

/// What an issuer's tokens look like and how long they live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// What access tokens begin with.
    pub access_prefix: &'static str,
    /// What refresh tokens and codes begin with.
    pub refresh_prefix: &'static str,
    /// How long an access token lives, in seconds.
    pub access_seconds: i64,
    /// How long a refresh token lives, counted from the user's consent, in seconds.
    pub refresh_seconds: Option<i64>,
    /// Whether refresh tokens are replaced.
    pub rotation: Rotation,
}

/// What a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The application.
    pub client: String,
    /// The user, unless the application acts for itself.
    pub subject: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it ends; never if absent.
    pub expires: Option<Timestamp>,
    /// It was given to an application that showed no secret.
    pub public: bool,
    /// How the user signed in, where that is told.
    pub sign_in: Option<SignIn>,
}

/// How a user signed in (OpenID Connect Core 1.0 section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// What the application wants to see again.
    pub nonce: Option<String>,
    /// When the user proved who they are.
    pub time: Timestamp,
    /// The application asked for a time, so it is told.
    pub asked_for_time: bool,
    /// The user's session at the issuer.
    pub session: String,
}

/// What the page where users consent makes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The user.
    pub subject: String,
    /// A refresh token is given too.
    pub offline: bool,
    /// How the user signed in, where that is told.
    pub sign_in: Option<SignIn>,
}

/// Tokens that were given out, before they are put into an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Issued {
    /// The members of the answer (RFC 6749 section 5.1).
    pub body: Value,
    /// What they stand for.
    pub grant: Grant,
    /// They came of a code, not of a refresh token.
    pub is_first: bool,
}

impl Grant {
    /// What an application may do for a user, or for itself.
    pub fn new(client: &str, subject: Option<&str>, scopes: &[&str]) -> Self {
        Self {
            client: client.to_owned(),
            subject: subject.map(ToOwned::to_owned),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            expires: None,
            public: false,
            sign_in: None,
        }
    }
}

/// How a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It is good.
    Good(&'a Grant),
    /// It was good once.
    Dead,
    /// Nobody gave it out.
    Unknown,
}

/// An error of RFC 6749 section 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Its code.
    pub error: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// The application showed itself by the header, so the answer names that way.
    pub by_header: bool,
}

pub(super) const fn refusal(error: &'static str, about: &'static str) -> Refusal {
    Refusal { error, about, by_header: false }
}

impl Refusal {
    /// The answer of RFC 6749 section 5.2.
    pub fn answer(self) -> Answer {
        let body = json!({"error": self.error, "error_description": self.about});
        let status = if self.by_header { 401 } else { 400 };
        let answer = Answer::json(status, &body).header(CACHE_CONTROL, "no-store");
        if self.by_header { answer.header(WWW_AUTHENTICATE, "Basic realm=\"token\"") } else { answer }
    }
}
